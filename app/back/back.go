// Package back puts the office of a till together: what the staff can do there
// besides selling. Each set of tasks is a package of its own under kiosk/office,
// which knows nothing of the others; here they get the parts that they work with.
package back

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"slices"
	"time"

	"quancun/app/paper"
	"quancun/app/sheet"
	"quancun/kiosk"
	"quancun/kiosk/channel"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/office/aftersale"
	"quancun/kiosk/office/cash"
	"quancun/kiosk/office/counter"
	"quancun/kiosk/office/figures"
	"quancun/kiosk/refund"
	"quancun/kiosk/shift"
	"quancun/kiosk/staff"
	"quancun/kiosk/till"
	"quancun/ledger"
	"quancun/ledger/feed"
	"quancun/ledger/push"
	"quancun/money"
	"quancun/reader"
	"quancun/reader/profile"
	"quancun/ui/text"
	"quancun/upstream/client"
	"quancun/upstream/client/centre"
)

// Parts are the terminal's, which owns them.
type Parts struct {
	Terminal string // as receipts name it
	Book     *ledger.Book
	Client   *client.Client
	Campus   func() ed25519.PublicKey
	Feeds    *feed.Feeds
	Terms    *kiosk.Terms
	InHand   *kiosk.InHand
	Wallet   *channel.Seller
	Push     *push.Pusher
	Drawer   *shift.Drawer
	Kick     func(context.Context) error // unlocks the drawer; nil: it has a key only
	Reports  string                      // folder in which reports are saved
	Media    string                      // folder below which removable media are mounted; "" for none
	Staff    *staff.Desk                 // nil: nobody signs in
	Clerk    *paper.Clerk                // nil: there is no printer
	Device   reader.Device
	Profile  *profile.Profile
	Plan     till.Plan

	RefundLimit money.Fen // above which a second person releases a refund

	Beside func(run func(ctx context.Context) error) // keeps something running beside

	Now func() time.Time
	Log *slog.Logger
}

// sets are the sets of tasks, in the order of the menu. Whoever has made another
// adds it here.
var sets = []func(p Parts, online func() bool) []office.Task{
	drawers,
	sales,
	aftersales,
	counters,
}

// New returns the office of a till that is made of p.
func New(p Parts) (*office.Session, error) {
	texts, err := text.New() // paper is in Chinese, whatever the screen shows
	if err != nil {
		return nil, err
	}
	d := &office.Desk{Staff: p.Staff, Device: p.Device, Profile: p.Profile, Now: p.Now, Log: p.Log}
	s := office.New(d, nil)
	for _, set := range sets {
		d.Tasks = append(d.Tasks, set(p, s.IsOnline)...)
	}
	d.Files = &sheet.Folder{
		Dir: p.Reports, Media: p.Media, Place: p.Plan.Place, Texts: texts, Now: p.Now, Log: p.Log,
	}
	if p.Clerk != nil {
		place := client.Place{ZH: p.Clerk.Issuer.Merchant}
		p.Clerk.Reports = &reports{texts: texts, words: p.Clerk.Words, place: func() client.Place { return place },
			terminal: p.Terminal, staff: p.Staff, now: p.Now, print: p.Clerk.Desk.Print}
		d.Paper = p.Clerk
	}
	return s, check(d.Tasks)
}

// check returns an error if two tasks have one name.
func check(all []office.Task) error {
	var names []dialog.Word
	for _, t := range all {
		if slices.Contains(names, t.Name) {
			return errors.New("back: internal error: two tasks are called " + string(t.Name))
		}
		names = append(names, t.Name)
	}
	return nil
}

// drawers are about the drawer and its shift.
func drawers(p Parts, _ func() bool) []office.Task {
	return cash.Tasks(cash.Config{Drawer: p.Drawer, Kick: p.Kick})
}

// Owed returns what a cashier who signs in is asked for first: to open a shift,
// while none is open. It may be left; what is sold then is in the next Z.
func Owed(d *shift.Drawer, log *slog.Logger) func(context.Context) dialog.Word {
	return func(ctx context.Context) dialog.Word {
		s, err := d.State(ctx)
		switch {
		case err != nil:
			log.Error("shift not read", "err", err) // the Keeper says what that means
		case !s.Open:
			return cash.Open
		}
		return ""
	}
}

// sales are figures of what was sold.
func sales(p Parts, _ func() bool) []office.Task {
	return figures.Tasks(figures.Config{Book: p.Book, Meals: p.Plan.Meals, Now: p.Now})
}

// counters are the card centre's.
func counters(p Parts, _ func() bool) []office.Task {
	d := counter.New(counter.Config{
		Centre: centre.New(p.Client), Money: p.Client, Push: p.Push, Book: p.Book, Shift: p.Drawer, Profile: p.Profile,
		Now: p.Now, Log: p.Log,
	})
	p.Beside(d.Run)
	return d.Tasks()
}

// aftersales are about sales that were made.
func aftersales(p Parts, online func() bool) []office.Task {
	c := aftersale.Config{
		Terminal: p.Terminal, Book: p.Book, Wallet: p.Wallet, Campus: p.Campus, Online: online, Now: p.Now,
		Refunds: &refund.Desk{Book: p.Book, Limit: p.RefundLimit, Channel: &channel.Refunder{
			Book: p.Book, Upstream: p.Client, InHand: p.InHand, Log: p.Log,
		}},
	}
	if p.Clerk != nil {
		c.Receipts = p.Clerk
	}
	return aftersale.Tasks(c)
}
