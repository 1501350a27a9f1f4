// Package paper prints a receipt of each sale that a till shows as made. It
// watches what the screen is shown and reads the rest in the journal, so that the
// till does not wait for paper, and no receipt is of a sale that is not written
// down. What was not seen on the screen, such as a refund, a copy, or a sale
// before a power cut, it makes from the journal alone.
package paper

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"quancun/app/printer"
	"quancun/journal"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office/aftersale"
	"quancun/kiosk/till"
	"quancun/ledger"
)

// Book is the part of the journal that receipts are made of. [ledger.Book] is
// one.
type Book interface {
	Get(ctx context.Context, ref string) (ledger.Item, error)
	Recent(ctx context.Context, n int) ([]journal.Entry, error)
	// Receipt returns the signed receipt for what came of a reference.
	Receipt(ctx context.Context, ref string, c journal.Certificate) (journal.Receipt, error)
}

// queueMax is how many sales may wait to be put into the tray. That takes a
// moment; what waits for the printer is in the tray.
const queueMax = 256

// Clerk prints receipts. Start makes it ready.
type Clerk struct {
	Book        Book
	Desk        *printer.Desk
	Issuer      printer.Issuer // but for the school, which the upstream names
	Words       printer.Words
	Certificate journal.Certificate
	Every       time.Duration // between looks at what could not be printed
	Reports     dialog.Paper  // prints what is about no entry of the journal; nil until tasks are done
	Log         *slog.Logger

	// Told, which has room for one, always holds the newest state of the printer that
	// nobody has taken; nil: nobody is told.
	Told chan till.Printer

	sold   chan till.View
	last   string                 // belongs to who calls See
	told   till.Printer           // newest; belongs to Run
	school atomic.Pointer[string] // its name, as it was shown last
}

// Start makes c ready to work, and returns it.
func (c *Clerk) Start() *Clerk {
	c.sold = make(chan till.View, queueMax)
	return c
}

// See takes what the screen is shown. It never waits. One goroutine calls it.
func (c *Clerk) See(v till.View) {
	if v.Health.SchoolZH != "" {
		c.school.Store(&v.Health.SchoolZH)
	}
	if v.Step != till.Sold || v.Sale.Ref == c.last || v.Sale.Number == 0 {
		return
	}
	c.last = v.Sale.Ref
	select {
	case c.sold <- v:
	default:
		c.Log.Error("receipt not made: too many wait", "ref", v.Sale.Ref)
	}
}

// Run prints until ctx ends, and returns ctx's error.
func (c *Clerk) Run(ctx context.Context) error {
	lost, err := c.lost(ctx)
	if err != nil && ctx.Err() == nil {
		c.Log.Error("lost receipts not looked for", "err", err)
	}
	again := time.NewTicker(c.Every)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case v := <-c.sold:
			if err := c.print(ctx, v); err != nil && ctx.Err() == nil {
				c.Log.Warn("receipt not printed", "ref", v.Sale.Ref, "err", err)
				c.look(ctx)
			}
		case <-again.C:
			c.makeUp(ctx, lost) // by now the school's name is known
			lost = nil
			c.look(ctx)
		}
	}
}

// means are what the till calls otherwise.
var means = map[till.Kind]printer.Means{
	till.ByCard: printer.ByCard, till.ByCode: printer.ByCode, till.ByAlipay: printer.ByChannel,
}

// print prints the receipt of the sale that the screen has shown.
func (c *Clerk) print(ctx context.Context, v till.View) error {
	s := v.Sale
	item, err := c.Book.Get(ctx, s.Ref)
	if err != nil {
		return err
	}
	receipt := printer.Sale{
		Entry: item.End, Lines: linesOf(item), Paid: means[s.With], Offline: !s.Online,
		Holder: s.Holder, Balance: v.Balance, Known: v.Known,
	}
	slip, err := c.proven(ctx, receipt)
	if err != nil {
		return err
	}
	return c.Desk.Print(ctx, slip)
}

// look asks the printer how it is, prints what is left over if it would, and tells
// the till of what a person has to look after: a roll that has ended, before the next
// customer asks for a receipt, too.
func (c *Clerk) look(ctx context.Context) {
	state, waiting := c.Printer(ctx)
	if waiting > 0 && prints(state) {
		if n, err := c.Desk.PrintKept(ctx); err != nil && ctx.Err() == nil {
			c.Log.Warn("kept receipts not printed", "printed", n, "err", err)
		}
		state, waiting = c.Printer(ctx)
	}
	if ctx.Err() != nil {
		return // it was not asked
	}
	now := till.Printer{Lacks: state, Waiting: waiting}
	if state == aftersale.PrinterReady {
		now = till.Printer{}
	}
	if c.Told == nil || now == c.told {
		return
	}
	c.told = now
	select {
	case <-c.Told: // which nobody has taken
	default:
	}
	c.Told <- now
}

// prints reports whether a printer in that state would print.
func prints(state dialog.Word) bool {
	return state == aftersale.PrinterReady || state == aftersale.PrinterLow
}
