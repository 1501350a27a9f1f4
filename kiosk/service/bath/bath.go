// Package bath is a place in a bath (洗浴预约) at the kiosk: which are open, what is
// free, a reservation with its code, its cancellation, and the end of a shower that the
// controller's log has not told of yet.
//
// A reservation, its cancellation and its settlement are requests: each is in the
// journal before the upstream is asked. Asked again it is the same, so a lost answer is
// asked for again, and whoever goes away meanwhile has it ended by the keeper of
// requests: it was done, or never will be. A stub that was typed is a request of its
// own, and is not written down: the upstream knows what it says.
package bath

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"quancun/beijing"
	"quancun/kiosk/dialog"
	"quancun/kiosk/request"
	"quancun/kiosk/service"
	"quancun/upstream/client"
	"quancun/upstream/client/bath"
)

// Upstream is what the upstream does. A *[bath.Refusal] or *[client.Refusal] is
// "refused"; any other error is "unknown". [bath.Desk] is one.
type Upstream interface {
	Halls(ctx context.Context) (bath.Halls, error)
	Day(ctx context.Context, hall uint16, ahead int) (bath.Day, error)
	Reserve(ctx context.Context, s client.Session, q bath.Request) (bath.Reservation, error)
	Cancel(ctx context.Context, s client.Session, a bath.Act) (bath.Reservation, error)
	Close(ctx context.Context, s client.Session, a bath.Act, stub string) (bath.Reservation, error)
	Mine(ctx context.Context, s client.Session) ([]bath.Reservation, error)
	End(ctx context.Context, ref string) (done bool, err error)
}

// Desk serves holders. It is safe for concurrent use.
type Desk struct {
	Upstream Upstream
	Requests *request.Desk
	Now      func() time.Time
	Pause    time.Duration // before a lost answer is asked for again
	Log      *slog.Logger
}

// Service returns the service.
func (d *Desk) Service() service.Service {
	return service.Service{Name: Name, SignIn: true, Run: d.run}
}

// visit is a holder who is served.
type visit struct {
	*Desk
	*service.Visit
	halls bath.Halls
	mine  []bath.Reservation // the latest slot first
	refs  int                // requests that were made
}

func (d *Desk) run(ctx context.Context, v *service.Visit) (dialog.Report, error) {
	if err := v.Work(ctx, looking); err != nil {
		return dialog.Report{}, err
	}
	var err1, err2 error
	t := &visit{Desk: d, Visit: v}
	t.halls, err1 = d.Upstream.Halls(ctx)
	t.mine, err2 = d.Upstream.Mine(ctx, v.Session)
	switch err := errors.Join(err1, err2); {
	case err != nil:
		return dialog.Report{}, nothing(err)
	case len(t.mine) == 0 && len(t.halls.Halls) == 0:
		return dialog.Report{}, dialog.Refuse(noHalls, nil)
	case len(t.mine) == 0:
		return t.reserve(ctx)
	}
	options := []dialog.Option{{Word: reserve}, {Word: mine}}
	if len(t.halls.Halls) == 0 {
		options[0].Note = noHalls
	}
	i, err := v.Choose(ctx, askWhat, options)
	switch {
	case err != nil:
		return dialog.Report{}, err
	case i == 0:
		return t.reserve(ctx)
	}
	return t.own(ctx)
}

// span is a time of a day, or of every day.
func span(from, to time.Time) string { return clock(from) + "-" + clock(to) }

func clock(at time.Time) string { return at.In(beijing.Zone).Format("15:04") }

// slot is when a reservation is, with its day.
func slot(r bath.Reservation) dialog.Fact {
	return dialog.Span(factSlot, r.From.In(beijing.Zone), r.To.In(beijing.Zone))
}

// unnamed is a value by itself.
func unnamed(f dialog.Fact) dialog.Fact {
	f.Name = ""
	return f
}

// since is a time after midnight, as a clock shows it.
func since(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d", int(d.Hours()), int(d.Minutes())%60)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func strong(f dialog.Fact) dialog.Fact {
	f.Strong = true
	return f
}
