// Package shift is a till's shift (班次) and its drawer (钱箱): opened with a
// float, counted blind, closed with a numbered Z report.
//
// Everything of it is in the journal and nowhere else, but for the sums of counts
// that nobody has let be taken yet ([Rules]). A [Drawer] that starts
// reads where it stands, so a power cut at any moment costs nothing but what was
// being done, and that is done or not. Its figures are [journal.Report]'s: the
// journal's verification adds them up again.
//
// A shift is not a day and not a person. It goes on over midnight, over a clock
// that is set, over an upstream that is away, and when the cashier who opened it
// has gone with their card; only a Z ends it.
//
// It refuses to know screens, who holds which card, and how paper is printed.
package shift

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"quancun/journal"
	"quancun/kiosk/staff"
	"quancun/ledger"
	"quancun/money"
)

// Why something is not done. Nothing has moved after any of these. Besides them
// there are [staff.ErrForbidden] and the ledger's own: ErrShort for a drawer that
// does not hold as much, and ErrFailed, after which nobody knows and the program
// has to look again.
var (
	ErrOpen   = errors.New("shift: a shift is open already")
	ErrClosed = errors.New("shift: no shift is open")
	// ErrReason means that a reason has to be given.
	ErrReason = errors.New("shift: a reason is needed")
	// ErrDiffers means that what was counted is not what the books say. It is told
	// without saying by how much; counting again, or a reason, goes on.
	ErrDiffers = errors.New("shift: the count is not what the books say")
	// ErrSecond means that a second person has to sign the count.
	ErrSecond = errors.New("shift: a second person has to count")
	// ErrUncounted means that the drawer has to be counted before the shift ends.
	ErrUncounted = errors.New("shift: the drawer was not counted")
	// ErrAmount means that an amount, or a number of pieces, cannot be.
	ErrAmount = errors.New("shift: not an amount")
)

// Book is the journal. [ledger.Book] is one.
type Book interface {
	Append(ctx context.Context, e journal.Entry) (journal.Entry, error)
	Get(ctx context.Context, ref string) (ledger.Item, error)
	Since(ctx context.Context, from int64, n int) ([]journal.Entry, error)
	Head(ctx context.Context) (journal.Head, error)
	Waiting(ctx context.Context) (ledger.Waiting, error)
}

// Rules are what a campus has decided.
type Rules struct {
	TwoPersons bool   // a second person signs every count
	Left       string // file for the sums of counts that were not taken; "": they end with the program
}

// Drawer is a terminal's drawer and the shift that is open. A terminal has one.
// It may be used from any goroutine.
type Drawer struct {
	book     Book
	terminal string
	rules    Rules

	mu    sync.Mutex
	tally *journal.Tally // what the journal comes to; nil before it was read; guarded by mu
	epoch journal.Epoch  // of what was read; guarded by mu
	next  int64          // the first entry that was not read; guarded by mu
	lossy bool           // entries may be missing since the last count; guarded by mu

	left left // counts that were not taken; guarded by mu
}

// New returns the drawer of a terminal.
func New(book Book, terminal string, rules Rules) *Drawer {
	return &Drawer{book: book, terminal: terminal, rules: rules, left: left{path: rules.Left}}
}

// Rules returns what the campus has decided.
func (d *Drawer) Rules() Rules { return d.rules }

// Act is who does something with the drawer, and why. The same Act, with the same
// Ref, may be tried again after any error: what was done is not done twice.
type Act struct {
	Ref     string // names it for good; the caller makes it
	By      staff.Member
	Release *staff.Release // where By may not do it alone; nil for none
	Reason  string         // in the cashier's words; "" where none is needed
}

// State is where a shift stands.
type State struct {
	Open   bool
	Shift  string    // its Ref
	Opened time.Time // as the terminal's clock said then
	By     string    // staff number of who opened it

	// Report is what a report would say now, but for its number. Its Till is what
	// should be in the drawer: whoever counts blind is not shown it.
	Report journal.Report

	lossy bool // the journal has lost entries since the last count
}

// OnDayOf reports whether the shift was opened on the day of now. A shift of
// yesterday is shown, and goes on.
func (s State) OnDayOf(now time.Time) bool { return DayOf(s.Opened) == DayOf(now) }

// MustCount reports whether the drawer has to be counted before the shift ends:
// unless nothing was ever in it, or only dropped from since the last count. A count of
// before the journal was put back to an older one, or was damaged, says nothing of what
// came into the drawer then.
func (s State) MustCount() bool {
	r := s.Report
	untouched := r.Brought == 0 && r.Till == 0 && r.Moved() == 0 && r.NoSales == 0 &&
		r.TopUps.Count+r.PayOuts.Count+r.CashIn.Count+r.CashOut.Count == 0
	return (!r.Counted || s.lossy) && !untouched
}

// State returns where the shift stands.
func (d *Drawer) State(ctx context.Context) (State, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state(ctx)
}

func (d *Drawer) state(ctx context.Context) (s State, err error) {
	if err := d.catchUp(ctx); err != nil {
		return State{}, fmt.Errorf("read shift: %w", err)
	}
	s.Report, s.lossy = d.tally.Report(0), d.lossy
	if e, open := d.tally.Opened(); open {
		s.Open, s.Shift, s.Opened, s.By = true, e.Ref, e.At, e.Operator
	}
	return s, nil
}

// pageLen is how many entries are read at a time.
const pageLen = 256

// catchUp adds up what was journalled since it was last called. An error leaves
// it to be read from where the journal itself says.
func (d *Drawer) catchUp(ctx context.Context) (err error) {
	head, err := d.book.Head(ctx)
	if err != nil {
		return err
	}
	if d.tally == nil || d.epoch != head.Epoch {
		d.tally = nil
		if d.next, err = d.start(ctx, head.Seq); err != nil {
			return err
		}
		d.epoch, d.tally, d.lossy = head.Epoch, journal.NewTally(d.terminal), false
	}
	defer func() {
		if err != nil {
			d.tally = nil
		}
	}()
	for d.next <= head.Seq {
		page, err := d.book.Since(ctx, d.next, pageLen)
		if err != nil {
			return err
		}
		for _, e := range page {
			if e.Epoch != d.epoch {
				return errors.New("the journal has begun a new epoch meanwhile")
			}
			if err := d.tally.Add(e); err != nil {
				return err
			}
			d.next, d.lossy = e.Seq+1, lossyAfter(e, d.lossy)
		}
		if len(page) == 0 {
			return fmt.Errorf("entry %d is missing", d.next)
		}
	}
	return nil
}

// lossyAfter reports whether entries may be missing since the last count, after an entry.
func lossyAfter(e journal.Entry, before bool) bool {
	switch e.Kind {
	case journal.EpochOpened:
		o, err := e.Opening()
		return err != nil || o.Reason != journal.ReasonRestored // only the upstream has lost something then
	case journal.Counted, journal.ShiftClosed:
		return false
	}
	return before
}

// start returns where to begin to add up: at the last Z that this journal has not
// carried over, or at its first entry.
func (d *Drawer) start(ctx context.Context, last int64) (int64, error) {
	for last > 0 {
		from := max(last-pageLen+1, 1)
		page, err := d.book.Since(ctx, from, int(last-from+1))
		if err != nil {
			return 0, err
		}
		for i := len(page) - 1; i >= 0; i-- {
			if page[i].Kind == journal.ShiftClosed {
				return page[i].Seq, nil
			}
		}
		last = from - 1
	}
	return 1, nil
}

// details is what an entry of the drawer says besides.
type details struct {
	What     string           `json:"what,omitempty"`
	Reason   string           `json:"reason,omitempty"`
	Released *released        `json:"released,omitempty"`
	Second   string           `json:"second,omitempty"` // who has signed the count, too
	Pieces   map[string]int64 `json:"pieces,omitempty"` // how many, by what each is worth in fen
	Earlier  []money.Fen      `json:"earlier,omitempty"`
}

// released names who has allowed what.
type released struct {
	What staff.Privilege `json:"what"`
	By   string          `json:"by"`
}

func (a Act) details() details {
	d := details{Reason: a.Reason}
	if a.Release != nil {
		d.Released = &released{a.Release.What, a.Release.By.No}
	}
	return d
}

// entry returns an entry of the drawer.
func (a Act) entry(k journal.Kind, amount money.Fen, d details) journal.Entry {
	text, err := json.Marshal(d)
	if err != nil {
		panic("shift: internal error: " + err.Error()) // texts and numbers
	}
	return journal.Entry{Kind: k, Ref: a.Ref, Operator: a.By.No, Amount: amount, Details: text}
}

// done returns the entry with a's Ref, if it was written before an earlier try
// was told so.
func (d *Drawer) done(ctx context.Context, a Act, k journal.Kind) (journal.Entry, bool, error) {
	i, err := d.book.Get(ctx, a.Ref)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return journal.Entry{}, false, nil
	case err != nil:
		return journal.Entry{}, false, err
	case i.First.Kind != k:
		return journal.Entry{}, false, fmt.Errorf("%w: %q is a %s", ledger.ErrConflict, a.Ref, i.First.Kind)
	}
	return i.First, true, nil
}
