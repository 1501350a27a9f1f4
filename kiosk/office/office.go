// Package office is what the staff do at a till besides selling: the drawer and
// its shift, refunds, reports, receipts, the machine, and the card centre's desk.
//
// Each of these is a [Task]: a script that asks who stands there one thing after
// the other, and then does one thing. It reads from top to bottom, because it
// runs on a goroutine of its own and waits in its [Talk] for each answer. A
// [Session] runs one task at a time and owns what the screen shows.
//
// A task may be left at every question, and then nothing has happened. From
// [Talk.Work] on nobody leaves it, and it ends in one of three ways: done,
// refused, or "being checked", which is never shown as either.
//
// It refuses to know how anything looks and in which words: everything that is
// read is a [Word], which the screen looks up, or a value.
package office

import (
	"context"
	"errors"
	"time"

	"quancun/kiosk/staff"
	"quancun/money"
)

// Word names something that the screen has words for, such as "shift.open". The
// catalogue has it as "office.shift.open". Every Word is a constant of its
// package, so that a test finds those without words.
type Word string

// Task is something that the staff do.
type Task struct {
	Name  Word  // also says what it does, under Name + ".hint"
	Group Group // part of the menu
	// Needs is what takes part in it at all. Who may not has a second person
	// release it before the first question.
	Needs staff.Privilege
	// Online says that it needs the upstream. Without it the menu says why not.
	Online bool
	// Run does it. Its error is [ErrLeft] if the person has gone away, which only
	// Talk returns; see [Outcome] for the others. A report comes with an error
	// when there is something to say besides it.
	Run func(ctx context.Context, t *Talk) (Report, error)
}

// Group is a part of the menu. The numbers are their order.
type Group int

// The groups.
const (
	Drawer  Group = 1 // shift and cash
	Sales   Group = 2 // refunds, copies, queries
	Reports Group = 3
	Holders Group = 4 // the card centre
	Machine Group = 5 // printer, upstream, settings
)

// ErrLeft means that whoever was asked has gone away, or has not answered in
// time. Nothing has happened.
var ErrLeft = errors.New("office: left")

// Refusal is a "no" that has words of its own. Nothing has happened.
type Refusal struct {
	Why   Word // the catalogue has Why and, what to do now, Why + ".advice"
	Cause error
}

// Error says why.
func (r *Refusal) Error() string {
	if r.Cause == nil {
		return "office: refused: " + string(r.Why)
	}
	return "office: refused: " + string(r.Why) + ": " + r.Cause.Error()
}

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Cause }

// Refuse returns a "no" with words of its own.
func Refuse(why Word, cause error) error { return &Refusal{why, cause} }

// Report is what came of a task, or what it shows. It can be printed and saved.
type Report struct {
	Title Word // "" for the task's own name
	No    string
	Ref   string // of the entry that it is about, whose own receipt is printed; "" for none
	Facts []Fact
	Table Table
	Plot  []Bar
	Next  Word // what to do now, such as "close the drawer"; "" for nothing
	Print bool // it is printed without being asked for
}

// Fact is one line: a name and a value. What the value is follows from Kind.
type Fact struct {
	Name   Word
	Kind   ValueKind
	Text   string
	Amount money.Fen
	Count  int64
	At     time.Time
	Word   Word
	Strong bool // what the page is about
}

// ValueKind says which field of a Fact, or cell, has its value.
type ValueKind int

// The kinds of values.
const (
	IsText   ValueKind = 0
	IsAmount ValueKind = 1
	IsCount  ValueKind = 2
	IsMoment ValueKind = 3
	IsWord   ValueKind = 4
)

// Text returns a line with a text that means the same in every language, such as
// a number or a name.
func Text(name Word, s string) Fact { return Fact{Name: name, Text: s} }

// Amount returns a line with an amount.
func Amount(name Word, f money.Fen) Fact { return Fact{Name: name, Kind: IsAmount, Amount: f} }

// Count returns a line with a number of things.
func Count(name Word, n int64) Fact { return Fact{Name: name, Kind: IsCount, Count: n} }

// Moment returns a line with a time.
func Moment(name Word, at time.Time) Fact { return Fact{Name: name, Kind: IsMoment, At: at} }

// Said returns a line with words.
func Said(name, value Word) Fact { return Fact{Name: name, Kind: IsWord, Word: value} }

// Table has rows of values under heads. A Fact in it needs no Name.
type Table struct {
	Heads []Word
	Rows  [][]Fact
}

// Bar is one bar of a plot. All bars of a plot are amounts.
type Bar struct {
	Label string
	Value money.Fen
}

// Outcome is how a task ended.
type Outcome int

// The outcomes.
const (
	Done    Outcome = 1
	Refused Outcome = 2 // certainly nothing has happened
	Unknown Outcome = 3 // it is being checked; not to be done again
)
