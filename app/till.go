package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"quancun/app/back"
	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/barcode"
	"quancun/kiosk/channel"
	"quancun/kiosk/shift"
	"quancun/kiosk/tender"
	"quancun/kiosk/till"
	"quancun/money"
	"quancun/pboc"
	"quancun/reader"
	"quancun/reader/pcsc"
	"quancun/reader/pinpad"
	"quancun/reader/purse"
	"quancun/reader/sam"
	"quancun/reader/scanner"
	"quancun/upstream/client/photo"
)

// TillConfig says what a cashier's face sells, and for whom.
type TillConfig struct {
	Merchant string `toml:"merchant"` // account of the upstream that is credited
	Place    string `toml:"place"`    // as the screen calls the till; the merchant if empty

	// Operator sells where nobody signs in with a staff card.
	Operator     string `toml:"operator"`
	OperatorName string `toml:"operator_name"`

	BudgetMS int `toml:"budget_ms"` // that a tap may wait for the upstream

	// RefundLimit is the amount in yuan above which a second person releases a
	// refund; every refund needs one if it is empty.
	RefundLimit string `toml:"refund_limit"`

	TwoCount bool   `toml:"two_count"` // a second person signs each count of the drawer
	Reports  string `toml:"reports"`   // folder for reports that are saved; "reports" beside the journal if empty
	Media    string `toml:"media"`     // below which a stick is mounted that they are saved on; none if empty

	Products []ProductConfig `toml:"product"`
	Meals    []MealConfig    `toml:"meal"`
}

// ProductConfig is a key of the till.
type ProductConfig struct {
	Name    string `toml:"name"`
	Price   string `toml:"price"`   // in yuan, such as "12.50"
	Barcode string `toml:"barcode"` // EAN-13, EAN-8, UPC-A, or the site's own; none if empty
}

// MealConfig is a time of the day in which everybody pays the same.
type MealConfig struct {
	Name  string `toml:"name"`
	From  string `toml:"from"` // such as "11:00"
	To    string `toml:"to"`
	Price string `toml:"price"`
}

// PINPadConfig says on what holders type their PIN at a till.
type PINPadConfig struct {
	Device   string `toml:"device"`   // path of an input device, or part of its name; the till's own panel if empty
	Fallback bool   `toml:"fallback"` // the panel does while the pad is away
}

// SAMConfig says which SAM proves the till to the cards.
type SAMConfig struct {
	Kind string `toml:"kind"` // "file", or "pcsc" for a SAM in a slot
	File string `toml:"file"` // from "campusd keys sam"
	Name string `toml:"name"` // pcsc: part of the slot's name; "sam" if empty, as most readers call theirs
}

// plan reads what the till sells.
func (c TillConfig) plan() (till.Plan, error) {
	p := till.Plan{
		Merchant: c.Merchant, Place: c.Place, Operator: till.Operator{No: c.Operator, Name: c.OperatorName},
	}
	if p.Place == "" {
		p.Place = c.Merchant
	}
	var errs []error
	price := func(s string) money.Fen {
		f, err := money.Parse(s)
		errs = append(errs, err)
		return f
	}
	minute := func(s string) till.Minute {
		m, err := till.ParseMinute(s)
		errs = append(errs, err)
		return m
	}
	for _, x := range c.Products {
		code, err := barcode.Code(""), error(nil)
		if x.Barcode != "" {
			code, err = barcode.Parse(x.Barcode)
		}
		errs = append(errs, err)
		p.Products = append(p.Products, till.Product{Name: x.Name, Price: price(x.Price), Barcode: code})
	}
	for _, m := range c.Meals {
		p.Meals = append(p.Meals, till.Meal{
			Name: m.Name, From: minute(m.From), To: minute(m.To), Price: price(m.Price),
		})
	}
	return p, errors.Join(append(errs, p.Check())...)
}

// module is the SAM that proves the till to the cards.
type module struct {
	purse.Card
	io.Closer
	slot reader.Device // that it is in, to be watched by one who asks it nothing; nil: it is a file
}

// openSAM opens the SAM that the configuration names, for the terminal of that
// number. One in a slot that is not there yet is no error: the till says so.
func openSAM(c SAMConfig, terminal pboc.TerminalNo) (module, error) {
	switch c.Kind {
	case "file":
		s, err := sam.Open(c.File, terminal)
		return module{s, s, nil}, err
	case "pcsc":
		o := pcsc.Options{Reader: cmp.Or(c.Name, "sam"), Timeout: answerMax}
		s := &sam.Slot{Device: pcsc.New(o), Terminal: terminal}
		return module{s, s, pcsc.New(o)}, nil // who waits at a device for a change keeps others from it
	}
	return module{}, fmt.Errorf("sam.kind %q is not known", c.Kind)
}

// watchSAM tells of each change of the SAM's slot; nil: it is in none.
func (t *terminal) watchSAM(m module) <-chan reader.State {
	if m.slot == nil {
		return nil
	}
	t.closers = append(t.closers, m.slot)
	states := make(chan reader.State)
	t.beside = append(t.beside, func(ctx context.Context) error { return reader.Watch(ctx, m.slot, states, t.log) })
	return states
}

// joinTill makes the flow of a till, and what works beside it.
func (t *terminal) joinTill(j joined, face *tillFace) error {
	plan, err := t.config.Till.plan()
	if err != nil {
		return err
	}
	module, err := openSAM(t.config.SAM, j.terms.TerminalNo())
	if err != nil {
		return err
	}
	t.closers = append(t.closers, module)
	seller := t.seller(j, module)
	clerk, err := t.openPrinter(plan)
	if err != nil {
		return err
	}
	wallet := &channel.Seller{Book: t.book, Upstream: t.client, InHand: j.hand, Log: t.log}
	desk := &till.Desk{
		Device: t.device, Cards: seller, Gate: t.client, Book: t.book, Plan: plan, Profile: j.profile,
		Ways: t.ways(j, wallet), Photos: photo.New(t.client), Clock: t.clock, Log: t.log,
	}
	office := back.Parts{
		Terminal: t.renewer.Papers.Terminal, Book: t.book, Client: t.client, Campus: t.campusKey, Feeds: t.feeds,
		Terms: j.terms, InHand: j.hand, Wallet: wallet, Push: t.pusher,
		Clerk: clerk, Device: t.device, Profile: j.profile, Plan: plan,
		Beside: func(run func(context.Context) error) { t.beside = append(t.beside, run) },
		Drawer: shift.New(t.book, t.renewer.Papers.Terminal, shift.Rules{
			TwoPersons: t.config.Till.TwoCount,
			Left:       filepath.Join(filepath.Dir(t.config.Journal), "counts.left"),
		}),
		Reports: t.config.Till.Reports, Media: t.config.Till.Media, Now: t.clock.Now, Log: t.log,
	}
	if office.RefundLimit, err = t.config.Till.refundLimit(); err != nil {
		return err
	}
	if clerk != nil && t.config.Printer.Drawer {
		office.Kick = clerk.Desk.Printer.Kick
	}
	if t.config.Staff.SignIn {
		if office.Staff, err = t.staffDesk(j.keys, face); err != nil {
			return err
		}
		desk.Staff = office.Staff
	}
	if desk.Office, err = back.New(office); err != nil {
		return err
	}
	desk.Owed = back.Owed(office.Drawer, t.log)
	t.readScanner(face)
	t.readPad(face)
	face.clerk = clerk
	face.session = &till.Session{
		Pad: face.pad.out, PadOrPanel: t.config.PINPad.Fallback,
		Desk: desk, Terms: j.terms, Feeds: t.feeds, Cards: t.cards, Inputs: face.inputs, Health: t.health,
		SAM:  t.watchSAM(module),
		News: face.news, Unread: t.config.unread(), Show: face.see,
		Sheet: t.config.keys(t.renewer.Papers.Terminal), Log: t.log,
	}
	if clerk != nil {
		face.session.Printer = clerk.Told
	}
	return nil
}

// seller sells for cards.
func (t *terminal) seller(j joined, sam purse.Card) *kiosk.Seller {
	return &kiosk.Seller{
		Settler: kiosk.Settler{
			Book: t.book, Issuer: t.client, Profile: j.profile, Terminal: j.terms.TerminalNo(), SAM: sam,
		},
		Upstream: t.client, Push: t.pusher, Feeds: t.feeds, Terms: j.terms, Clock: t.clock,
		Budget: time.Duration(t.config.Till.BudgetMS) * time.Millisecond, Log: t.log,
	}
}

// readScanner reads a serial scanner, if there is one.
func (t *terminal) readScanner(face *tillFace) {
	port := t.config.Scanner.Serial
	if port == "" {
		return
	}
	serial := scanner.Serial{Port: port, Baud: t.config.Scanner.Baud, Log: t.log}
	t.beside = append(t.beside, face.readScans,
		func(ctx context.Context) error { return serial.Run(ctx, face.scans) })
}

// readPad reads the holders' PIN pad, if there is one.
func (t *terminal) readPad(face *tillFace) {
	if t.config.PINPad.Device == "" {
		return
	}
	keys := make(chan pinpad.Event)
	face.pad = newPadRelay(keys, &face.away)
	pad := pinpad.Pad{Device: t.config.PINPad.Device, Log: t.log}
	t.beside = append(t.beside, face.pad.run,
		func(ctx context.Context) error { return pad.Run(ctx, keys) })
}

// padRelay hands on what happens at the PIN pad while the till is shown. What is
// pressed at another face is forgotten.
type padRelay struct {
	in   <-chan pinpad.Event
	out  chan pinpad.Event // nil: there is no pad
	anew chan struct{}
	away *atomic.Bool // another face is shown
}

func newPadRelay(in <-chan pinpad.Event, away *atomic.Bool) padRelay {
	return padRelay{in: in, out: make(chan pinpad.Event), anew: make(chan struct{}, 1), away: away}
}

// again says once more whether the pad is there, to a till that is shown anew.
func (r padRelay) again() {
	if r.out != nil {
		put(r.anew)
	}
}

func (r padRelay) run(ctx context.Context) error {
	var state pinpad.Event // whether it is there
	for {
		var e pinpad.Event
		select {
		case e = <-r.in:
			if e.Kind == pinpad.There || e.Kind == pinpad.Away {
				state = e
			}
		case <-r.anew:
			e = state
		case <-ctx.Done():
			return ctx.Err()
		}
		if e.Kind == 0 || r.away.Load() {
			continue
		}
		select {
		case r.out <- e:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// examine says whether the PIN pad can be read.
func (c PINPadConfig) examine() finding {
	const name = "PIN pad"
	err := pinpad.Try(c.Device)
	mend := "plug it in; compare pinpad.device with ls /dev/input/by-id and /sys/class/input/event*/device/name"
	switch {
	case err == nil:
		return finding{name, c.Device + " can be read, and kept from the screen", "", false}
	case errors.Is(err, unix.EBUSY):
		return finding{name, c.Device + " is in use, as it is while the terminal runs", "", false}
	case errors.Is(err, fs.ErrPermission):
		mend = "the terminal's user has to be in the group input: adduser quancun input"
	}
	return finding{name, fmt.Sprintf("%s: %v", c.Device, err), mend, c.Fallback}
}

// refundLimit is the amount above which a second person releases a refund; 0:
// always.
func (c TillConfig) refundLimit() (money.Fen, error) {
	if c.RefundLimit == "" {
		return 0, nil
	}
	f, err := money.Parse(c.RefundLimit)
	if err != nil {
		return 0, fmt.Errorf("till.refund_limit: %w", err)
	}
	return f, nil
}

// ended tells the cashier what became of a sale or a refund that was left open. A
// kiosk, and a cashier who has read nothing for long, do without: it is in the
// journal.
func (f *tillFace) ended(intent journal.Entry, done bool) {
	if n, ok := till.NewsOf(intent, intent.Ref, done); ok {
		f.tell(n)
	}
}

// left is ended for a payment or a refund by code: err says why it was not made.
func (f *tillFace) left(intent journal.Entry, err error) {
	if n, ok := till.NewsOf(intent, strings.TrimPrefix(intent.Ref, channel.IntentPrefix), err == nil); ok {
		n.Returned = errors.Is(err, tender.ErrReturned)
		f.tell(n)
	}
}

func (f *tillFace) tell(n till.News) {
	select {
	case f.news <- n:
	default:
	}
}
