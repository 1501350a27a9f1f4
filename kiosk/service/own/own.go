// Package own is what a holder sees at the kiosk of what is theirs: where money is
// that is on its way, their records with each receipt again, their limits, a code
// for their phone, the check of a new card, and help.
//
// Nothing here moves money, so nothing of it is in the journal. It refuses to know
// what becomes of open money: the upstream says what is open, and until when it is
// decided.
package own

import (
	"context"
	"time"

	"quancun/journal"
	"quancun/kiosk/dialog"
	"quancun/kiosk/service"
	"quancun/money"
	"quancun/upstream/client"
	"quancun/upstream/client/holder"
)

// Upstream is what the upstream tells a holder. A *[client.Refusal] is "refused";
// any other error is "unknown", after which it may be asked again. [holder.Desk] is
// one.
type Upstream interface {
	Open(ctx context.Context, s client.Session, c holder.Card) (holder.Standing, error)
	Records(ctx context.Context, s client.Session, f holder.Filter) (all []holder.Record, pages int, err error)
	Receipt(ctx context.Context, s client.Session, id string) (r holder.Record, code string, err error)
	Limits(ctx context.Context, s client.Session) (holder.Limits, error)
	Invite(ctx context.Context, s client.Session) (holder.Invitation, error)
	CardCheck(ctx context.Context, s client.Session) (holder.CardCheck, error)
	CheckCard(ctx context.Context, s client.Session, agrees bool) error
}

// Names of the services.
const (
	Money   dialog.Word = "own.money"
	Records dialog.Word = "own.records"
	About   dialog.Word = "own.about"
	Help    dialog.Word = "own.help"
	Check   dialog.Word = "own.check"
)

const looking dialog.Word = "own.looking"

// Desk tells holders. It is safe for concurrent use.
type Desk struct {
	Upstream Upstream
	// Unsent returns what is in the terminal's journal and not upstream yet. It may be
	// nil.
	Unsent func(ctx context.Context) ([]journal.Entry, error)
	Now    func() time.Time
}

// Services returns the services, in the order in which they are offered.
func (d *Desk) Services() []service.Service {
	return []service.Service{
		{Name: Money, SignIn: true, Run: d.money},
		{Name: Records, SignIn: true, Inside: true, Run: d.records},
		{Name: About, SignIn: true, Inside: true, Run: d.about},
		{Name: Check, SignIn: true, Unlisted: true, Run: d.check},
		{Name: Help, Run: help},
	}
}

// First returns the service that comes first after a sign-in, before the account is
// shown: the check of a card that is new. "" is none, also where nobody knows.
func (d *Desk) First(ctx context.Context, s client.Session) dialog.Word {
	c, err := d.Upstream.CardCheck(ctx, s)
	if err != nil || !c.Wanted {
		return ""
	}
	return Check
}

func strong(f dialog.Fact) dialog.Fact {
	f.Strong = true
	return f
}

// yuan is an amount in one line with something else. What is paid is below zero.
func yuan(f money.Fen) string {
	if f < 0 {
		return "-¥" + (-f).String()
	}
	return "¥" + f.String()
}
