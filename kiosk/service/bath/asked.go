package bath

import (
	"context"
	"errors"
	"fmt"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/request"
	"quancun/kiosk/tender"
	"quancun/upstream/client/bath"
)

// The services of these requests, as the journal calls them.
const (
	Service    = "bath"
	Cancelling = "bath_cancel"
	Settling   = "bath_settle"
)

// Services are all of them: each wants [Desk.Ask].
var Services = []string{Service, Cancelling, Settling}

// Ask is what the keeper of requests asks about a request that nobody waits for any
// more. One that has not come yet never will.
func (d *Desk) Ask(ctx context.Context, intent journal.Entry) (journal.Outcome, error) {
	done, err := d.Upstream.End(ctx, intent.Ref)
	switch {
	case err != nil:
		return 0, err
	case done:
		return journal.Done, nil
	}
	return journal.NotDone, nil
}

// name names the next request of this visit, for good.
func (t *visit) name() string {
	if t.refs++; t.refs > 1 {
		return kiosk.NewRef()
	}
	return t.Ref()
}

// asked is a request: a reservation, or what is done about one. Upstream does it once,
// however often it is asked for under its name.
type asked struct {
	*Desk
	service string
	ref     string
	what    any                        // is asked for
	came    func(bath.Reservation) any // is told upstream again if it has lost it; nil for nothing
	do      func(context.Context) (bath.Reservation, error)
	told    func(bath.Reservation) dialog.Report // of what it has come to
	about   []dialog.Fact                        // told while nobody knows
	unsure  dialog.Word                          // said then
	never   dialog.Word                          // said if it has not arrived, and never will

	lost bool             // an answer was, so that it may be done
	made bath.Reservation // zero until the upstream has said so
}

// run writes the request down, asks for it, and tells what came of it. What is refused
// comes back as the upstream's refusal, with its words.
func (a *asked) run(ctx context.Context, account string) (dialog.Report, error) {
	outcome, err := a.Requests.Do(ctx, a.request(account), a.ask)
	report := a.report(err)
	if outcome == 0 {
		report.Follow = a.follow
	}
	return report, err
}

func (a *asked) request(account string) request.Request {
	r := request.Request{Ref: a.ref, Service: a.service, Account: account, What: a.what}
	r.Came = func() any {
		if a.made.Ref == "" { // it was refused, or nobody has said what it came to
			return nil
		}
		return a.came(a.made)
	}
	return r
}

// ask asks, and once more if the answer is lost.
func (a *asked) ask(ctx context.Context) (journal.Outcome, error) {
	outcome, err := a.once(ctx)
	if outcome == 0 && sleep(ctx, a.Pause) == nil {
		outcome, err = a.once(ctx)
	}
	if outcome == 0 {
		return 0, fmt.Errorf("%w: %w", dialog.Refuse(a.unsure, nil), err)
	}
	return outcome, err
}

func (a *asked) once(ctx context.Context) (journal.Outcome, error) {
	made, err := a.do(ctx)
	switch {
	case err == nil:
		a.made = made
		return journal.Done, nil
	case a.lost && isRefused(err):
		return a.whether(ctx, err)
	case isRefused(err):
		return journal.NotDone, a.refusal(err)
	}
	a.lost = true
	a.Log.Warn("answer about a bath was lost", "service", a.service, "ref", a.ref, "err", err)
	return 0, err
}

// whether says what an answer has said that was lost, where asking again was refused:
// that is no word about the request before, which may have been done, or still arrive.
func (a *asked) whether(ctx context.Context, no error) (journal.Outcome, error) {
	done, err := a.Upstream.End(ctx, a.ref)
	switch {
	case err != nil:
		return 0, err
	case done:
		return journal.Done, nil
	}
	return journal.NotDone, a.refusal(no)
}

func (a *asked) refusal(err error) error {
	if no := (*bath.Refusal)(nil); errors.As(err, &no) && no.Reason == bath.Ended {
		return dialog.Refuse(a.never, err)
	}
	return refusal(err)
}

// follow asks until there is an answer, for as long as the holder waits.
func (a *asked) follow(ctx context.Context) (dialog.Report, error) {
	for {
		if err := sleep(ctx, a.Pause); err != nil {
			return dialog.Report{}, errors.Join(tender.ErrUnknown, err)
		}
		outcome, err := a.once(ctx)
		if outcome == 0 {
			continue
		}
		a.Requests.End(ctx, a.request(""), outcome)
		return a.report(err), err
	}
}

func (a *asked) report(err error) dialog.Report {
	switch {
	case err != nil && !errors.Is(err, tender.ErrUnknown):
		return refusedReport(err)
	case a.made.Ref != "":
		return a.told(a.made)
	}
	return dialog.Report{No: short(a.ref), Facts: a.about, Next: lookLater}
}
