package kiosk_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/service"
	"quancun/kiosk/tender"
	"quancun/money"
)

const task dialog.Word = "test.service"

// served opens a stand with a service for everybody, and has a person choose it.
func served(t *testing.T, run func(context.Context, *service.Visit) (dialog.Report, error)) *stand {
	s := newStandServing(t, away{}, service.Service{Name: task, Run: run})
	s.want(kiosk.Home)
	s.inputs <- kiosk.Input{Event: kiosk.ChoseOpenService, Service: task}
	return s
}

func (s *stand) answer(a dialog.Answer) {
	s.inputs <- kiosk.Input{Dialog: dialog.Input{No: s.now().Dialog.No, Event: dialog.Answered, Answer: a}}
}

// TestServes: a service asks, works and ends; nobody stops its work.
func TestServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var paid money.Fen
		s := served(t, func(ctx context.Context, v *service.Visit) (r dialog.Report, err error) {
			f, err := v.Amount(ctx, task, 100, 500)
			if err != nil {
				return r, err
			}
			if err := v.Work(ctx, task); err != nil {
				return r, err
			}
			time.Sleep(10 * time.Second)
			if ctx.Err() == nil {
				paid = f
			}
			return dialog.Report{Facts: []dialog.Fact{dialog.Amount(task, f)}}, nil
		})
		if v := s.want(kiosk.Serving); v.Dialog.Question.Max != 500 || v.Chosen != task || len(v.Services) != 1 {
			t.Errorf("asks %+v", v.Dialog)
		}
		s.answer(dialog.Answer{Amount: 501})
		if v := s.want(kiosk.Serving); v.Dialog.Question.Wrong != dialog.WrongAmount {
			t.Errorf("asks again %+v", v.Dialog)
		}
		s.answer(dialog.Answer{Amount: 300})
		if v := s.want(kiosk.AtWork); v.Dialog.Question.Name != task || !v.Step.Held() {
			t.Errorf("works %+v", v.Dialog)
		}
		s.inputs <- kiosk.Input{Event: kiosk.Leave}
		s.inputs <- kiosk.Input{Dialog: dialog.Input{Event: dialog.Left}}
		s.want(kiosk.AtWork)
		time.Sleep(11 * time.Second)
		if v := s.want(kiosk.Served); v.Dialog.Outcome != dialog.Done || v.Dialog.Report.Facts[0].Amount != 300 || paid != 300 {
			t.Errorf("ended %+v, %v paid", v.Dialog, paid)
		}
		s.inputs <- kiosk.Input{Event: kiosk.Leave}
		if v := s.want(kiosk.Home); v.Dialog.Page != 0 || v.Chosen != "" || len(v.Services) != 1 {
			t.Errorf("at Home %+v", v)
		}
	})
}

// TestServiceLeft: who leaves at a question, in whatever way, has had nothing done.
func TestServiceLeft(t *testing.T) {
	for name, leave := range map[string]func(*stand){
		"leave": func(s *stand) { s.inputs <- kiosk.Input{Event: kiosk.Leave} },
		"back": func(s *stand) {
			s.inputs <- kiosk.Input{Dialog: dialog.Input{No: s.now().Dialog.No, Event: dialog.Left}}
		},
		"time": func(*stand) { time.Sleep(76 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan error, 1)
				s := served(t, func(ctx context.Context, v *service.Visit) (r dialog.Report, err error) {
					err = v.Confirm(ctx, task)
					ended <- err
					return r, err
				})
				s.want(kiosk.Serving)
				leave(s)
				s.want(kiosk.Home)
				if err := <-ended; !errors.Is(err, dialog.ErrLeft) && !errors.Is(err, context.Canceled) {
					t.Errorf("Confirm = %v", err)
				}
			})
		})
	}
}

// TestServiceFollows: what is being checked is no failure, and the page changes by
// itself when the end is known.
func TestServiceFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		report := dialog.Report{Follow: func(ctx context.Context) (dialog.Report, error) {
			time.Sleep(20 * time.Second)
			return dialog.Report{No: "2"}, ctx.Err()
		}}
		s := served(t, func(context.Context, *service.Visit) (dialog.Report, error) {
			return report, tender.ErrUnknown
		})
		if v := s.want(kiosk.Served); v.Dialog.Outcome != dialog.Unknown || v.Fault == 0 {
			t.Errorf("ended %+v, code %d", v.Dialog, v.Fault)
		}
		time.Sleep(21 * time.Second)
		if v := s.want(kiosk.Served); v.Dialog.Outcome != dialog.Done || v.Dialog.Report.No != "2" || v.Fault != 0 {
			t.Errorf("in the end %+v, code %d", v.Dialog, v.Fault)
		}
	})
}

// TestServiceCounts: what is done is told better while its page stands, as often as there
// is something newer, and the page stands no longer for that.
func TestServiceCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var follow func(n int) func(ctx context.Context) (dialog.Report, error)
		follow = func(n int) func(ctx context.Context) (dialog.Report, error) {
			return func(ctx context.Context) (dialog.Report, error) {
				select {
				case <-time.After(20 * time.Second):
				case <-ctx.Done():
				}
				return dialog.Report{No: strconv.Itoa(n), Follow: follow(n + 1)}, ctx.Err()
			}
		}
		s := served(t, func(context.Context, *service.Visit) (dialog.Report, error) {
			return dialog.Report{No: "0", Follow: follow(1)}, nil
		})
		first := s.want(kiosk.Served)
		for _, no := range []string{"1", "2"} {
			time.Sleep(21 * time.Second)
			v := s.want(kiosk.Served)
			if d := v.Dialog; d.Outcome != dialog.Done || d.Report.No != no || d.No != first.Dialog.No || d.Followed ||
				v.Ends != first.Ends {
				t.Errorf("later %+v until %v, at first until %v", d, v.Ends, first.Ends)
			}
		}
		time.Sleep(20 * time.Second)
		s.want(kiosk.Home)
	})
}

// TestServiceReferred: what machines cannot find out goes to people, and the page says
// so instead of promising to change.
func TestServiceReferred(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := served(t, func(context.Context, *service.Visit) (dialog.Report, error) {
			return dialog.Report{Follow: func(context.Context) (dialog.Report, error) {
				time.Sleep(20 * time.Second)
				return dialog.Report{No: "2"}, errors.Join(tender.ErrUnknown, dialog.Refuse(task, nil))
			}}, tender.ErrUnknown
		})
		if v := s.want(kiosk.Served); !v.Dialog.Followed {
			t.Errorf("ended %+v", v.Dialog)
		}
		time.Sleep(21 * time.Second)
		v := s.want(kiosk.Served).Dialog
		if v.Outcome != dialog.Unknown || v.Why != task || v.Report.No != "2" || v.Followed {
			t.Errorf("in the end %+v", v)
		}
	})
}

// noPaper is a printer whose paper is out until it is given some.
type noPaper struct{ out bool }

func (p *noPaper) Print(context.Context, dialog.Report) error {
	if p.out {
		return dialog.Refuse("unprinted.out", errors.New("out"))
	}
	return nil
}

// TestServicePrinted: the page says whether it is on paper and, if not, why not.
func TestServicePrinted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := served(t, func(context.Context, *service.Visit) (dialog.Report, error) {
			return dialog.Report{Print: true}, nil
		})
		s.want(kiosk.Served)
		synctest.Wait()
		if v := s.now().Dialog; v.Printed != dialog.NotYet || v.NoPaper != "unprinted.out" {
			t.Errorf("without paper: %+v", v)
		}
		s.paper.out = false
		s.inputs <- kiosk.Input{Dialog: dialog.Input{No: s.now().Dialog.No, Event: dialog.PrintIt}}
		synctest.Wait()
		if v := s.now().Dialog; v.Printed != dialog.Printed || v.NoPaper != "" {
			t.Errorf("with paper: %+v", v)
		}
	})
}

// TestServiceRefuses: a "no" with words of its own has them on the page.
func TestServiceRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := served(t, func(context.Context, *service.Visit) (r dialog.Report, err error) {
			return r, dialog.Refuse(task, errAway)
		})
		if v := s.want(kiosk.Served); v.Dialog.Outcome != dialog.Refused || v.Dialog.Why != task || v.Fault != 0 {
			t.Errorf("ended %+v, code %d", v.Dialog, v.Fault)
		}
	})
}

// TestServiceNotThere: what is not offered, or wants a sign-in, is not begun by a tap.
func TestServiceNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStandServing(t, away{}, service.Service{Name: task, SignIn: true})
		s.want(kiosk.Home)
		s.inputs <- kiosk.Input{Event: kiosk.ChoseOpenService, Service: task}
		s.inputs <- kiosk.Input{Event: kiosk.ChoseService, Service: "test.other"}
		s.want(kiosk.Home)
		s.inputs <- kiosk.Input{Event: kiosk.ChoseService, Service: task}
		if v := s.want(kiosk.Present); v.Chosen != task || v.Service != kiosk.OtherService {
			t.Errorf("view %+v", v)
		}
	})
}

// TestServiceDown: a tap that comes just after whoever gives the service has fallen
// silent begins nothing, and neither does one on what needs the upstream while that is
// away.
func TestServiceDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStandServing(t, away{}, service.Service{Name: task, Online: true,
			Run: func(ctx context.Context, v *service.Visit) (dialog.Report, error) {
				return dialog.Report{}, v.Confirm(ctx, task)
			}})
		s.want(kiosk.Home)
		works := kiosk.Health{Terminal: "T1", Upstream: true, Others: []kiosk.Standing{{Service: string(task)}}}
		down, dark := works, works
		down.Others = []kiosk.Standing{{Service: string(task), Since: time.Now()}}
		dark.Upstream = false
		for _, h := range []kiosk.Health{down, dark} {
			s.health <- h
			s.inputs <- kiosk.Input{Event: kiosk.ChoseOpenService, Service: task}
			s.want(kiosk.Home)
		}
		s.health <- works
		s.inputs <- kiosk.Input{Event: kiosk.ChoseOpenService, Service: task}
		s.want(kiosk.Serving)
	})
}
