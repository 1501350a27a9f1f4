package office

import (
	"strings"
	"time"

	"quancun/kiosk"
	"quancun/kiosk/staff"
)

// View is what the screen may know. A field that does not belong to the page is
// zero.
type View struct {
	Page Page
	No   int       // of the page; an [Input] says which it is about
	Ends time.Time // when the page is left by itself; zero: never
	Task Word      // Asking, Ended

	Entries  []Entry  // Menu
	Question Question // Asking

	// Ended.
	Outcome  Outcome
	Report   Report
	Fault    kiosk.Code // why not; 0: see Why
	Why      Word       // why not, in words of its own
	CanPrint bool
	CanSave  bool
	Printed  PrintState
	Saved    string // where the report was saved; "" for nowhere
	NotSaved bool
}

// titled returns the report with its title.
func (v View) titled() Report {
	r := v.Report
	if r.Title == "" {
		r.Title = v.Task
	}
	return r
}

// Page is what is shown. 0 is nothing: the till is selling.
type Page int

// The pages.
const (
	Menu   Page = 1
	Asking Page = 2
	Ended  Page = 3
)

// Busy reports whether something is being done that nobody may leave.
func (v View) Busy() bool { return v.Page == Asking && v.Question.Kind == Working }

// Entry is a task in the menu.
type Entry struct {
	Name    Word
	Group   Group
	Why     Word // why it cannot be done now; "": it can
	Release bool // a second person has to release it

	task int // in [Desk.Tasks]
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
	Pick   int    // Picked: index of the entry
	Answer Answer // Answered
}

// Event is something that a person did.
type Event int

// The events.
const (
	Picked   Event = 1
	Answered Event = 2
	Left     Event = 3
	PrintIt  Event = 4
	SaveIt   Event = 5
	LockUp   Event = 6 // lock the till, which leaves everything that may be left
)

// Words of the conversation itself.
const (
	NeedsUpstream Word = "needs.upstream"
	NoSecond      Word = "no.second" // nobody signs in here, so nobody can release
	SecondCard    Word = "second.card"
	SecondPIN     Word = "second.pin"
	OwnCard       Word = "own.card"
	OwnPIN        Word = "own.pin"
	ReadingCard   Word = "reading.card"
	CheckingPIN   Word = "checking.pin"

	WrongAmount Word = "wrong.amount"
	WrongAgain  Word = "wrong.again" // two PINs that are not the same
	WrongCard   Word = "wrong.card"  // it cannot be read
	WrongPIN    Word = "wrong.pin"
	WrongPerson Word = "wrong.person" // who may not release it either
)

// Privilege returns the word for a privilege.
func Privilege(p staff.Privilege) Word { return Word("may." + string(p)) }

// WantsCard reports whether a card is asked for.
func (v View) WantsCard() bool { return v.Page == Asking && v.Question.wantsCard() }

// WantsCode reports whether a code may be scanned instead of typed.
func (v View) WantsCode() bool {
	return v.Page == Asking && (v.Question.Kind == AskNumber || v.Question.Kind == AskText)
}

func (q Question) wantsCard() bool { return q.Kind == AskCard || q.Kind == AskStaffCard }

// answeredBy reports whether a answers q as to its form.
func (q Question) answeredBy(a Answer) bool {
	switch q.Kind {
	case AskPIN, AskStaffPIN:
		return a.PIN != nil && a.PIN.Full()
	case AskNumber:
		return a.Text != "" && len(a.Text) <= q.Length && strings.Trim(a.Text, "0123456789") == ""
	case AskText:
		return a.Text != "" && len([]rune(a.Text)) <= q.Length
	case AskCard, AskStaffCard:
		return false // the reader answers
	}
	return true
}
