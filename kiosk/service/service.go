// Package service is what a holder can have done at a kiosk besides topping up:
// network fee, electricity, bath, a lost card.
//
// Each [Service] is a script of package dialog. Its questions may be left, by going
// or by taking the card away, and then nothing has happened: ctx ends. From
// [dialog.Talk.Work] on nobody stops it, and it ends by itself, within its own
// deadlines: done, refused, or tender.ErrUnknown for "being checked". What is
// irreversible it writes into the journal before it asks the upstream.
//
// The kiosk's flow shows the questions; see package kiosk.
package service

import (
	"context"
	"errors"
	"time"

	"quancun/kiosk/dialog"
	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/client"
)

// Service is something that a holder can have done.
type Service struct {
	Name dialog.Word // also says what it is for, under Name + ".hint"
	// SignIn says that card and PIN come first. A service without it is there for
	// everybody, from the home page.
	SignIn bool
	// Online says that it needs the upstream all the same.
	Online bool
	// Inside says that it is about the holder's own account, where it is offered, and
	// not on the home page.
	Inside bool
	// Unlisted says that the terminal itself begins it, and nobody is offered it.
	Unlisted bool
	Run      func(ctx context.Context, v *Visit) (dialog.Report, error)
}

// What a service is refused for that somebody has to look after. Its own words say so to
// the holder, and these have a code for whoever is called.
var (
	ErrSilent = errors.New("service: a look-up was not answered")
	ErrUnread = errors.New("service: no meter was read")
	ErrBaths  = errors.New("service: the baths were not looked up")
)

// Visit is a service's end of its conversation with a holder.
type Visit struct {
	*dialog.Talk
	Holder // zero without a sign-in
}

// Holder is whoever is signed in.
type Holder struct {
	Session client.Session // lent: it ends with the visit
	CardNo  string         // in full, as the upstream takes it; not to be shown
	Account client.Account // as it stood when the service began

	Purse  money.Fen  // on the card itself
	Bought []Purchase // that the card has written down, newest first; only where Purse is less than the books say
}

// Purchase is what a card has written down of a purchase. Nothing proves it.
type Purchase struct {
	TerminalNo pboc.TerminalNo
	Stamp      pboc.Stamp
	At         time.Time // zero if the stamp is no time
	Amount     money.Fen
}
