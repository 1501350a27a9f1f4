package shift

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"quancun/journal"
	"quancun/kiosk/staff"
	"quancun/ledger"
	"quancun/money"
)

// Open opens a shift (开班) and puts the float (备用金) into the drawer, out of the
// safe, in one entry. What the shift before has left in the drawer stays in it.
func (d *Drawer) Open(ctx context.Context, a Act, float money.Fen) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := a.By.Allow(staff.OpenShift, a.Ref, a.Release); err != nil {
		return err
	}
	if float < 0 || float > journal.AmountMax {
		return fmt.Errorf("%w: a float of %s", ErrAmount, float)
	}
	if _, done, err := d.done(ctx, a, journal.ShiftOpened); err != nil || done {
		return err
	}
	s, err := d.state(ctx)
	switch {
	case err != nil:
		return err
	case s.Open:
		return fmt.Errorf("%w: by %s", ErrOpen, s.By)
	}
	_, err = d.book.Append(ctx, a.entry(journal.ShiftOpened, float, a.details()))
	return err
}

// CashIn puts cash into the drawer that nobody has paid, such as change, out of
// the safe. It needs a reason.
func (d *Drawer) CashIn(ctx context.Context, a Act, amount money.Fen) error {
	return d.move(ctx, a, movement{journal.CashIn, staff.CashMove, "in", amount})
}

// CashOut takes cash out of the drawer other than a drop. It needs a reason.
func (d *Drawer) CashOut(ctx context.Context, a Act, amount money.Fen) error {
	return d.move(ctx, a, movement{journal.CashOut, staff.CashMove, "out", amount})
}

// Drop takes cash out of the drawer and into the safe (投库).
func (d *Drawer) Drop(ctx context.Context, a Act, amount money.Fen) error {
	return d.move(ctx, a, movement{journal.CashOut, staff.Drop, "drop", amount})
}

// NoSale writes down that the drawer is opened without a sale, before it is. It
// needs a reason.
func (d *Drawer) NoSale(ctx context.Context, a Act) error {
	return d.move(ctx, a, movement{journal.DrawerOpened, staff.NoSale, "no sale", 0})
}

// OpenToCount writes down that the drawer is opened to be counted, before it is.
func (d *Drawer) OpenToCount(ctx context.Context, a Act) error {
	return d.move(ctx, a, movement{journal.DrawerOpened, staff.Count, "count", 0})
}

// movement is something that is done with the drawer during a shift.
type movement struct {
	kind   journal.Kind
	needs  staff.Privilege
	what   string
	amount money.Fen
}

func (d *Drawer) move(ctx context.Context, a Act, m movement) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := a.By.Allow(m.needs, a.Ref, a.Release); err != nil {
		return err
	}
	if m.kind != journal.DrawerOpened && (m.amount <= 0 || m.amount > journal.AmountMax) {
		return fmt.Errorf("%w: %s", ErrAmount, m.amount)
	}
	if a.Reason == "" && (m.needs == staff.CashMove || m.needs == staff.NoSale) {
		return ErrReason
	}
	said := a.details()
	said.What = m.what
	if _, done, err := d.done(ctx, a, m.kind); err != nil || done {
		return err
	}
	if err := d.mustBeOpen(ctx); err != nil {
		return err
	}
	_, err := d.book.Append(ctx, a.entry(m.kind, m.amount, said))
	return err
}

func (d *Drawer) mustBeOpen(ctx context.Context) error {
	s, err := d.state(ctx)
	if err == nil && !s.Open {
		err = ErrClosed
	}
	return err
}

// pieces are the notes and coins there are, and what each is worth.
var pieces = map[money.Fen]bool{
	100 * money.Yuan: true, 50 * money.Yuan: true, 20 * money.Yuan: true, 10 * money.Yuan: true,
	5 * money.Yuan: true, 2 * money.Yuan: true, money.Yuan: true,
	50: true, 20: true, 10: true, 5: true, 2: true, 1: true,
}

// Count is what somebody has counted in the drawer (盘点), not knowing what should
// be there.
type Count struct {
	Pieces map[money.Fen]int64 // how many, by what each is worth
	Second *staff.Release      // of [staff.SignCount], where two have to count; nil for none
}

// Sum returns what the pieces come to.
func (c Count) Sum() (sum money.Fen, err error) {
	for worth, n := range c.Pieces {
		if !pieces[worth] || n < 0 || n > int64(journal.AmountMax/worth) {
			return 0, fmt.Errorf("%w: %d pieces of %s", ErrAmount, n, worth)
		}
		if sum += worth * money.Fen(n); sum > journal.AmountMax {
			return 0, fmt.Errorf("%w: too much for a drawer", ErrAmount)
		}
	}
	return sum, nil
}

// Count takes a count, and posts the difference between it and the books, which
// is what it returns: more than zero is over (长款), less is short (短款). A count
// that differs needs a reason; without one it returns [ErrDiffers], and the sum is
// written down with the next that is taken. Counting again posts what has come to
// differ since.
func (d *Drawer) Count(ctx context.Context, a Act, c Count) (difference money.Fen, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := a.By.Allow(staff.Count, a.Ref, a.Release); err != nil {
		return 0, err
	}
	said, sum, err := d.counted(a, c)
	if err != nil {
		return 0, err
	}
	if e, done, err := d.done(ctx, a, journal.Counted); err != nil || done {
		return e.Difference(), err
	}
	s, err := d.state(ctx)
	switch {
	case err != nil:
		return 0, err
	case !s.Open:
		return 0, ErrClosed
	case sum != s.Report.Till && a.Reason == "":
		if err := d.left.add(s.Shift, sum); err != nil {
			return 0, err
		}
		return 0, ErrDiffers
	}
	said.Earlier = d.left.of(s.Shift)
	e, err := d.book.Append(ctx, a.entry(journal.Counted, sum, said))
	if err == nil {
		d.left.forget()
	}
	return e.Difference(), err
}

// counted returns what a count says.
func (d *Drawer) counted(a Act, c Count) (said details, sum money.Fen, err error) {
	if sum, err = c.Sum(); err != nil {
		return said, 0, err
	}
	said = a.details()
	said.Pieces = map[string]int64{}
	for worth, n := range c.Pieces {
		if n > 0 {
			said.Pieces[strconv.FormatInt(int64(worth), 10)] = n
		}
	}
	switch second := c.Second; {
	case second == nil && d.rules.TwoPersons:
		return said, 0, ErrSecond
	case second != nil && !second.Signs(a.By, a.Ref):
		return said, 0, fmt.Errorf("%w: %s", ErrSecond, second.By.No)
	case second != nil:
		said.Second = second.By.No
	}
	return said, sum, nil
}

// X writes an X report, and returns it. It ends nothing.
func (d *Drawer) X(ctx context.Context, a Act) (journal.Report, error) {
	return d.report(ctx, a, journal.ShiftReport)
}

// Z ends the shift (交班) with a Z report, and returns it. The drawer has to be
// counted first, unless nothing was ever in it; after the count cash may only be
// dropped. Entries that upstream does not have yet are no obstacle: the report
// says how many there were. Somebody else's shift takes a supervisor.
func (d *Drawer) Z(ctx context.Context, a Act) (journal.Report, error) {
	return d.report(ctx, a, journal.ShiftClosed)
}

// triesMax is how often a report is made anew because something else was
// journalled meanwhile, which are settlements of a card: there are never many.
const triesMax = 100

func (d *Drawer) report(ctx context.Context, a Act, k journal.Kind) (journal.Report, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e, done, err := d.done(ctx, a, k); err != nil {
		return journal.Report{}, err
	} else if done {
		return e.Report()
	}
	for try := 1; ; try++ {
		e, err := d.reportNow(ctx, a, k)
		if err == nil {
			e, err = d.book.Append(ctx, e)
		}
		switch {
		case err == nil:
			return e.Report()
		case !errors.Is(err, ledger.ErrBehind) || try == triesMax:
			return journal.Report{}, err
		}
	}
}

// reportNow returns a report over all that is journalled.
func (d *Drawer) reportNow(ctx context.Context, a Act, k journal.Kind) (journal.Entry, error) {
	s, err := d.state(ctx)
	if err != nil {
		return journal.Entry{}, err
	}
	if err := d.mayReport(a, k, s); err != nil {
		return journal.Entry{}, err
	}
	r := d.tally.Report(k)
	waiting, err := d.book.Waiting(ctx)
	if err != nil {
		return journal.Entry{}, err
	}
	r.Unsynced, r.Reason = waiting.Count, a.Reason
	if a.Release != nil {
		r.Released = a.Release.By.No
	}
	e := a.entry(k, max(r.Till, 0), details{})
	e.Origin = d.tally.Last()
	if e.Details, err = json.Marshal(r); err != nil {
		panic("shift: internal error: " + err.Error()) // texts and numbers
	}
	return e, nil
}

// mayReport returns why the shift cannot have a report, or not by this member.
func (d *Drawer) mayReport(a Act, k journal.Kind, s State) error {
	needs := staff.XReport
	if k == journal.ShiftClosed {
		if needs = staff.CloseShift; s.Open && s.By != a.By.No {
			needs = staff.CloseOther
		}
	}
	if err := a.By.Allow(needs, a.Ref, a.Release); err != nil {
		return err
	}
	if !s.Open {
		return ErrClosed
	}
	if k == journal.ShiftClosed && s.MustCount() {
		return ErrUncounted
	}
	return nil
}

// Past returns the last n Z reports that this journal has, the newest first.
func (d *Drawer) Past(ctx context.Context, n int) ([]journal.Entry, error) {
	head, err := d.book.Head(ctx)
	if err != nil {
		return nil, fmt.Errorf("read past shifts: %w", err)
	}
	var all []journal.Entry
	for last := head.Seq; last > 0 && len(all) < n; last -= pageLen {
		from := max(last-pageLen+1, 1)
		page, err := d.book.Since(ctx, from, int(last-from+1))
		if err != nil {
			return nil, fmt.Errorf("read past shifts: %w", err)
		}
		for i := len(page) - 1; i >= 0 && len(all) < n; i-- {
			if page[i].Kind == journal.ShiftClosed {
				all = append(all, page[i])
			}
		}
	}
	return all, nil
}
