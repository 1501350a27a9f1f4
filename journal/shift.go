package journal

import (
	"encoding/json"
	"fmt"

	"quancun/money"
)

// Report is what a terminal's entries come to since its last Z report. It is
// the Details of a [ShiftClosed] (the Z) and of a [ShiftReport] (an X, which is
// the same and ends nothing). Every entry of a journal is added up by exactly one
// Z: what is written after one belongs to the next, whether or not a shift is open.
type Report struct {
	Z int64 `json:"z"` // number of the last Z, of this one if it is one; from 1, without a gap
	X int64 `json:"x"` // number of the last X, of this one if it is one; the same

	From  int64  `json:"from"`            // the first entry that is added up
	Part  bool   `json:"part,omitempty"`  // an epoch began since the last Z: what upstream had may be missing
	Shift string `json:"shift,omitempty"` // Ref of the open shift

	// The drawer. Brought is what was in it before From, and Till what is in it
	// now: brought, and what came in, less what went out.
	Brought money.Fen `json:"brought"`
	Float   money.Fen `json:"float"`
	CashIn  Sum       `json:"cash_in"`
	CashOut Sum       `json:"cash_out"`
	TopUps  Sum       `json:"top_ups"`
	PayOuts Sum       `json:"pay_outs"`
	Over    money.Fen `json:"over"`
	Short   money.Fen `json:"short"`
	Till    money.Fen `json:"till"`
	Counted bool      `json:"counted"` // and has only been dropped from since
	NoSales int64     `json:"no_sales"`

	Card    Sum `json:"card"`
	Code    Sum `json:"code"`
	Channel Sum `json:"channel"`
	Refunds Sum `json:"refunds"`
	Fees    Sum `json:"fees"`

	Suspense  money.Fen `json:"suspense"`  // of sales of which nobody knows yet
	Perpetual money.Fen `json:"perpetual"` // sold by this terminal ever; it never goes back

	// What the terminal saw when it wrote the report. It cannot be added up again.
	Unsynced   int64  `json:"unsynced"` // entries that upstream had not acknowledged
	ClockSteps int64  `json:"clock_steps"`
	Reason     string `json:"reason,omitempty"`   // in the operator's words
	Released   string `json:"released,omitempty"` // who has allowed it, where the operator may not alone
}

// Sum is how many there were, and what they come to.
type Sum struct {
	Count  int64     `json:"n"`
	Amount money.Fen `json:"fen"`
}

func (s *Sum) add(f money.Fen) { s.Count, s.Amount = s.Count+1, s.Amount+f }

// Moved is what has come into the drawer less what has gone out of it.
func (r Report) Moved() money.Fen {
	return r.Float + r.CashIn.Amount - r.CashOut.Amount + r.TopUps.Amount - r.PayOuts.Amount + r.Over - r.Short
}

// Sold is what was sold, before what was given back.
func (r Report) Sold() money.Fen { return r.Card.Amount + r.Code.Amount + r.Channel.Amount }

// seen returns r without what cannot be added up again.
func (r Report) seen() Report {
	r.Unsynced, r.ClockSteps, r.Reason, r.Released = 0, 0, "", ""
	return r
}

// Report returns what a [ShiftClosed] or [ShiftReport] entry says.
func (e Entry) Report() (r Report, err error) {
	if err := json.Unmarshal(e.Details, &r); err != nil || !e.Kind.Sums() {
		return r, fmt.Errorf("%w: %s with details %.40q", ErrMalformed, e.Kind, e.Details)
	}
	return r, nil
}

// Tally adds up a journal, entry by entry, as its reports do. It begins at the
// first entry of a journal or at a Z that this journal has not carried over.
type Tally struct {
	till, suspense Account
	r              Report
	opened         Entry
	last           Position // of the last entry
	written        int64    // number of the last that was not a clock step
	copies         Copies   // of what was carried over
}

// NewTally returns a Tally of a terminal's journal.
func NewTally(terminal string) *Tally {
	return &Tally{till: TillAccount(terminal), suspense: SuspenseAccount(terminal)}
}

// Opened returns the entry with which the open shift began, and false if none is
// open.
func (t *Tally) Opened() (Entry, bool) { return t.opened, t.opened.Kind == ShiftOpened }

// Last returns the position of the last entry.
func (t *Tally) Last() Position { return t.last }

// Report returns what a report of kind k says if it is the next entry.
func (t *Tally) Report(k Kind) Report {
	r := t.r
	switch k {
	case ShiftClosed:
		r.Z++
	case ShiftReport:
		r.X++
	}
	r.Brought = r.Till - r.Moved()
	return r
}

// Check returns [ErrRule] if a report does not say what the entries before it
// come to. It is called before the report is added.
func (t *Tally) Check(e Entry) error {
	got, err := e.Report()
	if err != nil {
		return err
	}
	if want := t.Report(e.Kind).seen(); got.seen() != want {
		return e.rule("it says %+v, and the entries come to %+v", got.seen(), want)
	}
	if e.Origin.Epoch != e.Epoch || e.Origin.Seq < t.written || e.Origin.Seq >= e.Seq || e.Amount != max(got.Till, 0) {
		return e.rule("it is over entry %d, and holds %s", e.Origin.Seq, e.Amount)
	}
	return nil
}

// Add adds the next entry. What it carries over is added where it stands, and once, but
// for the balances, which the epoch began with.
func (t *Tally) Add(e Entry) error {
	t.last = e.Position()
	if t.r.From == 0 {
		t.r.From = e.Seq
	}
	if e.Kind != ClockStep {
		t.written = e.Seq
	}
	said, err := e.Inner()
	if err != nil {
		return err
	}
	switch {
	case e.Kind == EpochOpened:
		return t.begin(e)
	case e.Kind == Carried && t.copies.Again(said):
		return nil
	}
	for _, p := range e.Postings {
		switch p.Account {
		case t.till:
			t.r.Till -= p.Amount
		case t.suspense:
			t.r.Suspense += p.Amount
		}
	}
	if said.Kind.Sums() {
		return t.report(e, said)
	}
	t.cash(said)
	t.sale(said)
	return nil
}

// begin takes over the balances of the journal before.
func (t *Tally) begin(e Entry) error {
	o, err := e.Opening()
	t.r.Till, t.r.Suspense, t.r.Part = -o.Accounts[t.till], o.Accounts[t.suspense], true
	return err
}

// report goes on after a report. One that was carried over comes after what the
// epoch began with, and says nothing about the balances any more.
func (t *Tally) report(e, said Entry) error {
	r, err := said.Report()
	if err != nil {
		return err
	}
	t.r.X = r.X
	if said.Kind == ShiftReport {
		return nil
	}
	next := Report{Z: r.Z, X: r.X, From: e.Seq + 1, Till: r.Till, Suspense: r.Suspense, Perpetual: r.Perpetual}
	if e.Kind == Carried {
		next.Till, next.Suspense, next.Part = t.r.Till, t.r.Suspense, true
	}
	t.r, t.opened = next, Entry{}
	return nil
}

// cash adds what an entry does to the drawer.
func (t *Tally) cash(e Entry) {
	r := &t.r
	switch e.Kind {
	case ShiftOpened:
		r.Float += e.Amount
		r.Shift, t.opened = e.Ref, e
	case CashIn:
		r.CashIn.add(e.Amount)
	case CashOut:
		r.CashOut.add(e.Amount)
		return // what was counted is less by what was dropped
	case CashTopUp:
		r.TopUps.add(e.Amount)
	case PayOut:
		r.PayOuts.add(e.Amount)
	case DrawerOpened:
		r.NoSales++
	case Counted:
		if d := e.Difference(); d > 0 {
			r.Over += d
		} else {
			r.Short -= d
		}
		r.Counted = true
		return
	default:
		return
	}
	r.Counted = false
}

// sale adds what an entry sells.
func (t *Tally) sale(e Entry) {
	r := &t.r
	switch {
	case e.Kind == SaleEnd && e.Outcome.Happened():
		r.Card.add(e.Amount)
	case e.Kind == CodeSale:
		r.Code.add(e.Amount)
	case e.Kind == ChannelSale:
		r.Channel.add(e.Amount)
	case e.Kind == Refund:
		r.Refunds.add(e.Amount)
		return
	case e.Kind == Fee:
		r.Fees.add(e.Amount)
		return
	case e.Kind == ClockStep:
		r.ClockSteps++
		return
	default:
		return
	}
	r.Perpetual += e.Amount
}

// Difference is what a [Counted] entry has found more in the drawer than the
// books said; less than zero if it was less.
func (e Entry) Difference() money.Fen {
	for _, p := range e.Postings {
		if e.Kind == Counted && p.Account == TillAccount(e.Terminal) {
			return -p.Amount
		}
	}
	return 0
}
