package office

import (
	"time"

	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/staff"
)

// Menu is the page of a menu: its Entries are what there is to do.
const Menu dialog.Page = 1

// View is what the screen may know.
type View struct {
	dialog.View
	Ends    time.Time  // when the page is left by itself; zero: never
	Entries []Entry    // Menu
	Fault   kiosk.Code // Ended: why not; 0: see Why
}

// Entry is a task in the menu.
type Entry struct {
	Name    dialog.Word
	Group   Group
	Why     dialog.Word // why it cannot be done now; "": it can
	Release bool        // a second person has to release it

	task int // in [Desk.Tasks]
}

// Words of the conversation with the staff.
const (
	NeedsUpstream dialog.Word = "needs.upstream"
	NoSecond      dialog.Word = "no.second" // nobody signs in here, so nobody can release
	SecondCard    dialog.Word = "second.card"
	SecondPIN     dialog.Word = "second.pin"
	OwnCard       dialog.Word = "own.card"
	OwnPIN        dialog.Word = "own.pin"
	ReadingCard   dialog.Word = "reading.card"
	CheckingPIN   dialog.Word = "checking.pin"

	WrongCard   dialog.Word = "wrong.card" // it cannot be read
	WrongPIN    dialog.Word = "wrong.pin"
	WrongPerson dialog.Word = "wrong.person" // who may not release it either
)

// Privilege returns the word for a privilege.
func Privilege(p staff.Privilege) dialog.Word { return dialog.Word("may." + string(p)) }
