package office_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/staff"
	"quancun/kiosk/tender"
	"quancun/money"
	"quancun/reader"
)

var cashier = staff.Member{No: "7", Name: "王*", Role: staff.Cashier}

// paper is a printer that counts.
type paper struct {
	printed []dialog.Report
	err     error
}

func (p *paper) Print(_ context.Context, r dialog.Report) error {
	p.printed = append(p.printed, r)
	return p.err
}

// counter is a till at which somebody stands who does what say says.
type counter struct {
	t       *testing.T
	session *office.Session
	views   chan office.View
	left    chan error
}

func open(t *testing.T, d *office.Desk) *counter {
	t.Helper()
	d.Now, d.Log = time.Now, slog.New(slog.DiscardHandler)
	c := &counter{t: t, views: make(chan office.View, 64), left: make(chan error, 1)}
	c.session = office.New(d, func(v office.View) { c.views <- v })
	c.session.Online(true)
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	go func() { c.left <- c.session.Serve(ctx, cashier, reader.State{}) }()
	synctest.Wait() // Serve forgets what was done before it began
	return c
}

// page returns the newest page when nothing more happens.
func (c *counter) page() (v office.View) {
	synctest.Wait()
	for {
		select {
		case v = <-c.views:
		default:
			return v
		}
	}
}

func (c *counter) do(in dialog.Input) office.View {
	c.session.Send(in)
	return c.page()
}

func answer(a dialog.Answer) dialog.Input { return dialog.Input{Event: dialog.Answered, Answer: a} }

// drop is a task with a question of each sort that has no card.
func drop(done *atomic.Int64, err error) office.Task {
	return office.Task{Name: "test.drop", Group: office.Drawer, Needs: staff.Drop,
		Run: func(ctx context.Context, t *office.Talk) (dialog.Report, error) {
			f, e := t.Amount(ctx, "test.amount", 1, money.Yuan)
			if e != nil {
				return dialog.Report{}, e
			}
			if e := t.Confirm(ctx, "test.sure", dialog.Amount("test.amount", f)); e != nil {
				return dialog.Report{}, e
			}
			if e := t.Work(ctx, "test.work"); e != nil {
				return dialog.Report{}, e
			}
			time.Sleep(time.Minute)
			done.Add(int64(f))
			return dialog.Report{Print: true, Facts: []dialog.Fact{dialog.Amount("test.amount", f)}}, err
		}}
}

func TestTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var done atomic.Int64
		p := &paper{}
		c := open(t, &office.Desk{Tasks: []office.Task{drop(&done, nil)}, Paper: p})
		if v := c.page(); v.Page != office.Menu || len(v.Entries) != 1 || v.Entries[0].Release {
			t.Fatalf("menu: %+v", v)
		}
		if v := c.do(dialog.Input{Event: dialog.Picked}); v.Question.Kind != dialog.AskAmount {
			t.Fatalf("first question: %+v", v)
		}
		if v := c.do(answer(dialog.Answer{Amount: 2 * money.Yuan})); v.Question.Wrong != dialog.WrongAmount {
			t.Fatalf("too much: %+v", v.Question)
		}
		if v := c.do(answer(dialog.Answer{Amount: 50})); v.Question.Kind != dialog.AskConfirm || v.Question.Facts[0].Amount != 50 {
			t.Fatalf("confirmation: %+v", v.Question)
		}
		if v := c.do(answer(dialog.Answer{})); !v.Busy() || done.Load() != 0 {
			t.Fatalf("work: %+v", v)
		}
		if v := c.do(dialog.Input{Event: dialog.Left}); v.Page != 0 || done.Load() != 0 {
			t.Fatalf("left what is being done: %+v", v)
		}
		time.Sleep(61 * time.Second)
		v := c.page()
		if v.Outcome != dialog.Done || v.Printed != dialog.Printed || done.Load() != 50 || len(p.printed) != 1 {
			t.Fatalf("end: %+v, done %d, printed %d", v, done.Load(), len(p.printed))
		}
		if p.printed[0].Title != "test.drop" {
			t.Errorf("printed with title %q", p.printed[0].Title)
		}
	})
}

func TestLeft(t *testing.T) {
	leave := map[string]func(*counter) office.View{
		"by hand": func(c *counter) office.View { return c.do(dialog.Input{Event: dialog.Left}) },
		"in time": func(c *counter) office.View { time.Sleep(121 * time.Second); return c.page() },
	}
	for name, leave := range leave {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var done atomic.Int64
				c := open(t, &office.Desk{Tasks: []office.Task{drop(&done, nil)}})
				c.do(dialog.Input{Event: dialog.Picked})
				c.do(answer(dialog.Answer{Amount: 50}))
				if v := leave(c); v.Page != office.Menu || done.Load() != 0 {
					t.Errorf("left a question: %+v, done %d", v, done.Load())
				}
				time.Sleep(6 * time.Minute)
				if err := <-c.left; err != nil {
					t.Errorf("left alone for long: %v", err)
				}
			})
		})
	}
}

func TestOutcomes(t *testing.T) {
	for want, err := range map[dialog.Outcome]error{
		dialog.Done:    nil,
		dialog.Refused: dialog.Refuse("test.no", errors.New("a reason")),
		dialog.Unknown: tender.ErrUnknown,
	} {
		synctest.Test(t, func(t *testing.T) {
			var done atomic.Int64
			p := &paper{err: errors.New("no paper")}
			c := open(t, &office.Desk{Tasks: []office.Task{drop(&done, err)}, Paper: p})
			c.do(dialog.Input{Event: dialog.Picked})
			c.do(answer(dialog.Answer{Amount: 50}))
			c.do(answer(dialog.Answer{}))
			time.Sleep(61 * time.Second)
			v := c.page()
			if v.Page != dialog.Ended || v.Outcome != want {
				t.Errorf("%v ended as %d: %+v", err, v.Outcome, v)
			}
			if printed := v.Printed == dialog.NotYet; printed != (err == nil) {
				t.Errorf("%v: printed is %d", err, v.Printed)
			}
			if want == dialog.Refused && (v.Why != "test.no" || v.Fault != 0) {
				t.Errorf("refused for %q, fault %d", v.Why, v.Fault)
			}
		})
	}
}

func TestMenu(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := func(context.Context, *office.Talk) (dialog.Report, error) { return dialog.Report{}, nil }
		d := &office.Desk{Tasks: []office.Task{
			{Name: "test.mine", Needs: staff.Drop, Run: run},
			{Name: "test.online", Needs: staff.Drop, Online: true, Run: run},
			{Name: "test.not", Needs: staff.NoSale, Run: run}, // which nobody can release here
		}}
		c := open(t, d)
		c.session.Online(false)
		c.do(dialog.Input{Event: dialog.Picked, Pick: 0})
		v := c.do(dialog.Input{Event: dialog.Left})
		if len(v.Entries) != 2 || v.Entries[0].Why != "" || v.Entries[1].Why != office.NeedsUpstream {
			t.Errorf("menu without the upstream: %+v", v.Entries)
		}
		if v := c.do(dialog.Input{Event: dialog.Picked, Pick: 1}); v.Page != office.Menu {
			t.Errorf("picked what cannot be done: %+v", v)
		}
	})
}
