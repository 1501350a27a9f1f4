package dialog

import (
	"strings"

	"quancun/kiosk/pin"
	"quancun/money"
)

// View is what the screen may know of a conversation. A field that does not belong
// to the page is zero.
type View struct {
	Page Page
	No   int  // of the page; an [Input] says which it is about
	Task Word // what the script does

	Question Question // Asking

	// Ended.
	Outcome  Outcome
	Report   Report
	Followed bool // what is being checked is waited for, and changes this page
	Why      Word // why not, in words of its own; "": whoever shows it has a code
	CanPrint bool
	CanSave  bool
	Printed  PrintState
	NoPaper  Word   `json:",omitempty"` // why it was not printed, as far as the printer has said
	Saved    string // where the report was saved; "" for nowhere
	NotSaved bool
}

// Titled returns the report with its title.
func (v View) Titled() Report {
	r := v.Report
	if r.Title == "" {
		r.Title = v.Task
	}
	return r
}

// Page is what is shown. 0 is nothing; 1 is a menu, which package office has.
type Page int

// The pages.
const (
	Asking Page = 2
	Ended  Page = 3
)

// Busy reports whether something is being done that nobody may leave.
func (v View) Busy() bool { return v.Page == Asking && v.Question.Kind == Working }

// WantsCard reports whether a card is asked for.
func (v View) WantsCard() bool { return v.Page == Asking && v.Question.WantsCard() }

// WantsCode reports whether a code may be scanned instead of typed.
func (v View) WantsCode() bool {
	return v.Page == Asking && (v.Question.Kind == AskNumber || v.Question.Kind == AskText)
}

// PrintState is what has become of printing a report.
type PrintState int

// The states of printing.
const (
	NotPrinted PrintState = 0
	Printing   PrintState = 1
	Printed    PrintState = 2
	NotYet     PrintState = 3 // it is kept, and comes when the printer is ready
)

// Input is what a person did.
type Input struct {
	No     int // of the page that it is about; 0: of the one that is shown
	Event  Event
	Pick   int    // Picked: index of an entry of a menu
	Answer Answer // Answered
}

// Event is something that a person did.
type Event int

// The events.
const (
	Picked   Event = 1 // at a menu
	Answered Event = 2
	Left     Event = 3
	PrintIt  Event = 4
	SaveIt   Event = 5
	LockUp   Event = 6 // of a till: it leaves everything that may be left
)

// Words of the conversation itself.
const (
	WrongAmount Word = "wrong.amount"
	WrongAgain  Word = "wrong.again" // two PINs that are not the same
	OneMoment   Word = "one.moment"  // something is being done that has no words of its own
)

// Question is a page that asks for something. What does not belong to its kind
// is zero.
type Question struct {
	Kind    AskKind
	Name    Word
	Facts   []Fact      // what the question is about
	Max     money.Fen   // AskAmount
	Min     money.Fen   // AskAmount
	Length  int         // AskNumber, AskText: characters at most
	Letters bool        // AskNumber: there may be letters in it; they are capitals
	Options []Option    // AskChoice
	Pieces  []money.Fen // AskPieces: what each is worth, the largest first
	Wrong   Word        // what was wrong with the answer before; "" for nothing
	Of      Word        // AskStaffCard, AskStaffPIN: what is to be released
}

// AskKind is a kind of question.
type AskKind int

// The kinds of questions.
const (
	AskAmount    AskKind = 1
	AskNumber    AskKind = 2 // digits, typed or scanned
	AskText      AskKind = 3 // letters, digits and spaces, as a keyboard has them
	AskChoice    AskKind = 4
	AskPieces    AskKind = 5 // how many of each note and coin
	AskCard      AskKind = 6 // of a holder, on the reader
	AskPIN       AskKind = 7 // of a holder
	AskConfirm   AskKind = 8 // last word before it happens
	AskStaffCard AskKind = 9 // of a second person
	AskStaffPIN  AskKind = 10
	Working      AskKind = 11 // asks nothing: it is being done, or a card is being read
)

// Option is something to choose. It has a Word or, where it is a value, a Text; or
// both, a Word and the value after it. A time comes last.
type Option struct {
	Word   Word
	Text   string
	TextEN string `json:",omitempty"` // in English; "": as Text
	When   Fact   `json:",omitzero"`  // a moment, a day or a span, without a name; zero: none
	Note   Word   // why it cannot be chosen; "": it can
}

// Answer answers the question that is shown. Left means that there is none.
type Answer struct {
	Left   bool
	Amount money.Fen
	Text   string // AskNumber, AskText
	Choice int    // index of the option
	Pieces []int64
	PIN    *pin.PIN // whoever takes it wipes it
	Card   bool     // AskCard, AskStaffCard: one was laid down
}

// WantsCard reports whether a card answers the question.
func (q Question) WantsCard() bool { return q.Kind == AskCard || q.Kind == AskStaffCard }

// Reply returns what in says to the question, if anything. A PIN that says nothing
// is wiped.
func (q Question) Reply(in Input) (Answer, bool) {
	if in.Event == Answered && q.answeredBy(in.Answer) {
		return in.Answer, true
	}
	in.Answer.PIN.Wipe()
	return Answer{Left: true}, in.Event == Left
}

// alphabet is what a number may be made of.
func (q Question) alphabet() string {
	if q.Letters {
		return "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	}
	return "0123456789"
}

// answeredBy reports whether a answers q as to its form.
func (q Question) answeredBy(a Answer) bool {
	switch q.Kind {
	case AskPIN, AskStaffPIN:
		return a.PIN != nil && a.PIN.Full()
	case AskNumber:
		return a.Text != "" && len(a.Text) <= q.Length && strings.Trim(a.Text, q.alphabet()) == ""
	case AskText:
		return a.Text != "" && len([]rune(a.Text)) <= q.Length
	case AskCard, AskStaffCard:
		return false // the reader answers
	}
	return true
}
