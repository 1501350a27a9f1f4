// Package dialog is a conversation with a person at the terminal: a script that
// asks one thing after the other, and then does one thing.
//
// A script reads from top to bottom, because it runs on a goroutine of its own and
// waits in its [Talk] for each answer. It may be left at every question, and then
// nothing has happened. From [Talk.Work] on nobody leaves it, and it ends in one of
// three ways: done, refused, or "being checked", which is never shown as either.
//
// Who shows the questions and hands over the answers holds the other end, a
// [Conversation]: the office of a till (package office), and the kiosk for its
// holders (package service).
//
// It refuses to know how anything looks and in which words: everything that is
// read is a [Word], which the screen looks up, or a value.
package dialog

import (
	"context"
	"errors"
	"time"

	"quancun/money"
)

// Word names something that the screen has words for, such as "shift.open". The
// catalogue has it as "dialog.shift.open", and what else there is to say of it as
// "dialog.shift.open.hint". Every Word is a constant of its package, so that a test
// finds those without words.
type Word string

// Script asks, and then does something. Its error is [ErrLeft] or ctx's if the
// person has gone away, which only [Talk] returns. A report comes with an error when
// there is something to say besides it.
type Script func(ctx context.Context, t *Talk) (Report, error)

// ErrLeft means that whoever was asked has gone away, or has not answered in
// time. Nothing has happened.
var ErrLeft = errors.New("dialog: left")

// Refusal is a "no" that has words of its own. Nothing has happened.
type Refusal struct {
	Why   Word // the catalogue has Why and, what to do now, Why + ".advice"
	Cause error
}

// Error says why.
func (r *Refusal) Error() string {
	if r.Cause == nil {
		return "refused: " + string(r.Why)
	}
	return "refused: " + string(r.Why) + ": " + r.Cause.Error()
}

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Cause }

// Refuse returns a "no" with words of its own.
func Refuse(why Word, cause error) error { return &Refusal{why, cause} }

// Outcome is how a script ended.
type Outcome int

// The outcomes.
const (
	Done    Outcome = 1
	Refused Outcome = 2 // certainly nothing has happened
	Unknown Outcome = 3 // it is being checked; not to be done again
)

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
	Told  bool // it was only looked up: nothing was done, so nothing has come off

	// QR is what the code says that a phone may scan from the page, to take the
	// report along; "" for none.
	QR string

	// Follow waits until the end of what is being checked is known, and returns it;
	// nil: nobody can wait for it. Of what is done it waits until there is something
	// newer to say. While the report is read it is called once, and then the Follow of
	// what it has returned.
	Follow func(ctx context.Context) (Report, error) `json:"-"`
}

// Bare reports whether there is nothing to read but how the task has ended.
func (r Report) Bare() bool {
	return len(r.Facts) == 0 && len(r.Table.Rows) == 0 && len(r.Plot) == 0 && r.QR == ""
}

// Fact is one line: a name and a value. What the value is follows from Kind.
type Fact struct {
	Name   Word
	Kind   ValueKind
	Text   string
	TextEN string `json:",omitempty"` // in English; "": as Text
	Amount money.Fen
	Count  int64
	At     time.Time
	Till   time.Time `json:",omitzero"`
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
	IsCode   ValueKind = 5 // Text is digits that somebody types elsewhere
	IsDay    ValueKind = 6 // of At
	IsSpan   ValueKind = 7 // of a day, from At until Till
)

// Text returns a line with a text that means the same in every language, such as
// a number or a name.
func Text(name Word, s string) Fact { return Fact{Name: name, Text: s} }

// Named returns a line with a text that may read otherwise in English; en "" does not.
func Named(name Word, zh, en string) Fact { return Fact{Name: name, Text: zh, TextEN: en} }

// Amount returns a line with an amount.
func Amount(name Word, f money.Fen) Fact { return Fact{Name: name, Kind: IsAmount, Amount: f} }

// Count returns a line with a number of things.
func Count(name Word, n int64) Fact { return Fact{Name: name, Kind: IsCount, Count: n} }

// Moment returns a line with a time.
func Moment(name Word, at time.Time) Fact { return Fact{Name: name, Kind: IsMoment, At: at} }

// Day returns a line with a day.
func Day(name Word, at time.Time) Fact { return Fact{Name: name, Kind: IsDay, At: at} }

// Span returns a line with a part of a day.
func Span(name Word, from, till time.Time) Fact {
	return Fact{Name: name, Kind: IsSpan, At: from, Till: till}
}

// Code returns a line with digits that somebody types elsewhere. They are shown in
// groups of four, and if they are what a report is about, as large as there is room.
func Code(name Word, digits string) Fact { return Fact{Name: name, Kind: IsCode, Text: digits} }

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

// Paper is where reports come out.
type Paper interface {
	// Print prints a report. After an error it is kept, and printed as soon as the
	// printer is ready.
	Print(ctx context.Context, r Report) error
}
