package till

import (
	"context"
	"errors"
	"image"
	"log/slog"
	"time"

	"quancun/beijing"
	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/staff"
	"quancun/kiosk/tender"
	"quancun/ledger"
	"quancun/reader"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/upstream/client"
)

// Staff signs cashiers in and out. [staff.Desk] is one.
type Staff interface {
	SignIn(ctx context.Context, card purse.Info, pin *kiosk.PIN) (staff.Member, error)
	SignOut(ctx context.Context) error
}

// Seller sells for a code.
type Seller interface {
	Sell(ctx context.Context, code string, s tender.Sale) (tender.Sold, error)
}

// Asker can say what became of a sale for a code, of which nobody knew.
type Asker interface {
	Query(ctx context.Context, ref string) (tender.Sold, error)
}

// PINs checks the PIN that a sale for a code waits for, after [tender.ErrPIN]. Its
// refusals are the upstream's.
type PINs interface {
	CheckPIN(ctx context.Context, ref string, pin *[kiosk.PINLength]byte) error
}

// Way is a way of paying by a code.
type Way struct {
	Kind   Kind
	Online bool // it needs the upstream
	Takes  func(code string) bool
	Same   func(one, other string) bool // two codes are of one payer; nil: nobody can tell
	Seller Seller
}

// Photos shows who has paid the sale that has its first entry at a place of the journal.
// It is nil for who has no photo.
type Photos interface {
	Photo(ctx context.Context, ref string, first journal.Position) (image.Image, error)
}

// Sales is what the desk reads of the journal.
type Sales interface {
	Get(ctx context.Context, ref string) (ledger.Item, error)
	Head(ctx context.Context) (journal.Head, error)
	Since(ctx context.Context, from int64, n int) ([]journal.Entry, error)
}

// Desk performs what the steps ask for: it is the hands of the till, as
// [Session] is its feet. It holds the card and the sale, and hands out to the
// screen only what may be seen.
//
// Everything below the blank line belongs to the goroutine that performs acts.
type Desk struct {
	Device reader.Device
	Cards  *kiosk.Seller // sells for cards
	Gate   kiosk.Gate    // checks holders' PINs
	Book   Sales
	Staff  Staff           // nil: nobody signs in, and Plan names who sells
	Office *office.Session // nil: there is none
	// Owed names the task of the office that a cashier who signs in is asked for
	// first, such as to open a shift; "" for none. nil: there is none ever.
	Owed    func(ctx context.Context) dialog.Word
	Ways    []Way
	Photos  Photos // nil: none are shown
	Plan    Plan
	Profile *profile.Profile
	Clock   kiosk.Clock
	Log     *slog.Logger

	member staff.Member // who is signed in
	card   reader.Card  // powered; nil: none
	info   purse.Info   // of the card that the sale is about
	sale   sale
	recent recent
	way    *Way // of the code that is being paid by; nil: none
}

// sale is what the desk knows of the sale that is being made, besides its price,
// which is the view's.
type sale struct {
	ref  string
	card purse.CardNo
	code string // that pays; "": a card does

	settled   bool           // the tap that is under way has begun with settling
	confirmed bool           // it may be the same as a moment ago
	pinned    bool           // the holder's PIN was checked
	leveled   bool           // the purse has been loaded
	session   client.Session // of the holder; nil: nobody has checked the PIN upstream
}

// outcome is what came of an act: an event for the flow, or 0 for none, and
// what the screen may know of it.
type outcome struct {
	event Event
	patch func(*View)
}

// act performs what a step asks for. It runs on the Desk's goroutine, one at a
// time, and returns early, with nothing done, when ctx ends; from the point of
// no return on it finishes whatever ctx says.
type act func(ctx context.Context) outcome

// act returns what v's step asks for, or nil. slot is how the reader is.
func (d *Desk) act(v View, in Input, slot reader.State) act {
	switch v.Step {
	case Locked, OutOfOrder:
		return d.lock
	case Ready:
		return d.idle
	case ReadingStaff:
		return d.readStaff
	case SigningIn:
		return func(ctx context.Context) outcome { return d.signIn(ctx, in.PIN) }
	case Looking:
		return d.look
	case Present:
		return func(ctx context.Context) outcome { return d.present(ctx, in.Event) }
	case Selling:
		return func(ctx context.Context) outcome { return d.sell(ctx, v) }
	case CheckingPIN:
		return func(ctx context.Context) outcome { return d.checkPIN(ctx, in.PIN, v) }
	case Levelling:
		return d.level
	case Settling:
		return func(ctx context.Context) outcome { return d.settle(ctx, v) }
	case Paying:
		return func(ctx context.Context) outcome { return d.pay(ctx, in.Code, v) }
	case Querying:
		return func(ctx context.Context) outcome { return d.query(ctx, v) }
	case Office:
		return func(ctx context.Context) outcome { return d.serveOffice(ctx, slot) }
	case Sold, Declined:
		return func(ctx context.Context) outcome {
			if in.Event == WasThis { // that sale is of a moment ago, too
				d.recent.add(d.info.CardNo, v.Sale, d.now().Add(repeatWithin))
			}
			d.over(ctx)
			return d.portrait(ctx, v)
		}
	}
	return nil
}

// idle forgets the sale and whose it was.
func (d *Desk) idle(ctx context.Context) outcome {
	d.Cards.Drop(ctx)
	d.leave()
	return outcome{}
}

// lock forgets the sale, and who has sold.
func (d *Desk) lock(ctx context.Context) outcome {
	if d.Staff != nil {
		if err := d.Staff.SignOut(ctx); err != nil {
			d.Log.Error("nobody is signed out", "err", err)
		}
		d.member = staff.Member{}
	}
	return d.idle(ctx)
}

// leave lets the card go, too.
func (d *Desk) leave() {
	d.letGo()
	d.info, d.sale, d.way = purse.Info{}, sale{}, nil
}

// over lets the card go, and keeps what a re-tap is answered from.
func (d *Desk) over(ctx context.Context) outcome {
	d.Cards.Drop(ctx)
	d.letGo()
	d.sale = sale{}
	return outcome{}
}

func (d *Desk) letGo() {
	if d.card != nil {
		if err := d.card.Close(); err != nil {
			d.Log.Warn("card was not let go", "err", err)
		}
		d.card = nil
	}
}

// present waits for a card or a code. Who comes here from a question has
// answered it; who comes from a PIN has taken the card away. What was held, asked or
// shown for one price is nothing to another.
func (d *Desk) present(ctx context.Context, e Event) outcome {
	d.letGo()
	switch e {
	case Confirmed:
		d.sale.confirmed = true
	case Priced:
		d.Cards.Drop(ctx)
		d.sale = sale{}
	}
	return outcome{}
}

// fail is the outcome of a step that cannot go on. Nothing has moved, unless
// nobody knows that.
func (d *Desk) fail(doing string, err error) outcome {
	code, event := kiosk.Explain(err), Failed
	if code.Doubt() {
		event = NotKnown
	}
	d.Log.Warn("step failed", "doing", doing, "code", int(code), "err", err)
	return outcome{event, func(v *View) { v.Fault = code }}
}

// takeUp powers the card and reads who it is. A card that falls silent is
// reported as such, whatever it fell silent over.
func (d *Desk) takeUp() (purse.Info, error) {
	d.letGo()
	card, err := d.Device.Connect()
	if err != nil {
		return purse.Info{}, errors.Join(kiosk.ErrCardGone, err)
	}
	d.card = card
	info, err := purse.Open(card, d.Profile)
	if err != nil && kiosk.Explain(err) == kiosk.CodeInternal {
		err = errors.Join(kiosk.ErrCardGone, err)
	}
	return info, err
}

// usable reports why a card may not be used today, if it may not.
func (d *Desk) usable(info purse.Info) error {
	return info.Check(purse.DateOf(d.now()))
}

func (d *Desk) now() time.Time { return d.Clock.Now().In(beijing.Zone) }

// readStaff reads the card of who wants to sell.
func (d *Desk) readStaff(context.Context) outcome {
	info, err := d.takeUp()
	if err == nil {
		err = d.usable(info)
	}
	d.letGo() // a PIN is shown to the upstream, and never to a staff card
	if err != nil {
		return d.fail("read staff card", err)
	}
	d.info = info
	holder := kiosk.HolderOf(info)
	return outcome{CardRead, func(v *View) { v.Holder = holder }}
}

// signIn checks a cashier's PIN.
func (d *Desk) signIn(ctx context.Context, pin *kiosk.PIN) outcome {
	defer pin.Wipe()
	m, err := d.Staff.SignIn(ctx, d.info, pin)
	if wrong := (*staff.PINWrong)(nil); errors.As(err, &wrong) {
		return outcome{PINWrong, func(v *View) { v.PIN = PINHint{Wrong: true, TriesLeft: wrong.Left} }}
	}
	sells := m.Role.May(staff.Sell)
	if err == nil && !sells && d.Office == nil {
		err = m.Allow(staff.Sell, "", nil)
	}
	if err != nil {
		d.Log.Warn("nobody signed in", "err", err)
		code := explainStaff(err)
		return outcome{Failed, func(v *View) { v.Fault = code }}
	}
	d.Log.Info("signed in", "operator", m.No)
	d.member = m
	event := SignedIn
	if !sells || d.owes(ctx) {
		event = OpenOffice
	}
	return outcome{event, func(v *View) {
		v.Operator, v.Holder, v.OfficeOnly = Operator{m.No, m.Name}, kiosk.Holder{}, !sells
	}}
}

// owes has the office begin with what a cashier owes, if that is something.
func (d *Desk) owes(ctx context.Context) bool {
	if d.Office == nil || d.Owed == nil {
		return false
	}
	task := d.Owed(ctx)
	d.Office.Begin(task)
	return task != ""
}

// explainStaff returns the code of an error of a sign-in.
func explainStaff(err error) kiosk.Code {
	switch {
	case errors.Is(err, staff.ErrNobody):
		return kiosk.CodeNotStaff
	case errors.Is(err, staff.ErrPINLocked):
		return kiosk.CodeStaffLocked
	case errors.Is(err, staff.ErrAway):
		return kiosk.CodeStaffAway
	case errors.Is(err, staff.ErrForbidden):
		return kiosk.CodeForbidden
	}
	return kiosk.Explain(err)
}

// pinWrong reports whether the upstream has said that a PIN is wrong.
func pinWrong(err error) (left int, wrong bool) {
	no := (*client.Refusal)(nil)
	if errors.As(err, &no) && no.Reason == client.PINWrong {
		return no.TriesLeft, true
	}
	return 0, false
}

// look answers a card that was laid down without a price, or once more.
func (d *Desk) look(context.Context) outcome {
	info, err := d.takeUp()
	if err == nil {
		err = d.usable(info)
	}
	d.letGo()
	if err != nil {
		return d.fail("look at card", err)
	}
	d.info = info
	holder, last := kiosk.HolderOf(info), d.recent.of(info.CardNo, d.now())
	return outcome{CardRead, func(v *View) {
		v.Holder, v.Balance, v.Known, v.Sale = holder, info.Balance, true, last
	}}
}
