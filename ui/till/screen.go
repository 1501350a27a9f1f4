// Package till has one page for every step of the cashier's flow. Like the
// kiosk's, a page is built from values and gives back callbacks: it starts
// nothing, asks nobody and reads no clock, and it offers exactly the events that
// [till.Step.Next] accepts from a person at that step.
//
// Everything can be done without a finger, too: digits, the point, Enter,
// Escape, Backspace, F1 to F12 for products, * for the office, whose pages are in
// package dialog, - to lock, / for the other language, and + for what else a page
// asks.
package till

import (
	"time"

	"fyne.io/fyne/v2"

	"quancun/kiosk"
	desk "quancun/kiosk/dialog"
	"quancun/kiosk/till"
	"quancun/ui/dialog"
	"quancun/ui/text"
	"quancun/ui/widget"
)

// Stage is what a page is built on: everything but the view.
type Stage struct {
	Texts *text.Texts
	Kit   widget.Kit
	Now   time.Time // also says in which zone times are shown
	Phone string    // where a cashier can ask; "": nowhere
	Staff bool      // cashiers sign in, and so can lock the till
	Typed *Typed    // what was typed so far; the page goes on with it

	On         func(till.Input) // what the person did
	OnLanguage func()           // the other language was asked for
	Redraw     func()           // the page has to be built anew: another part of it was asked for
}

// Typed is what a person has typed and not sent. It outlives a page; its owner
// forgets it by [Typed.Step].
type Typed struct {
	PIN kiosk.PIN
	Sum string // yuan, with at most one point

	Office dialog.Typed
}

// Step forgets what was typed at a step before. A price that was begun on the
// page of the sale before goes on at [till.Ready].
func (t *Typed) Step(now till.Step) {
	t.PIN.Wipe()
	if now != till.Ready {
		t.Sum = ""
	}
	t.Office.PIN.Wipe()
	t.Office = dialog.Typed{}
}

// Screen is a page on the panel. Its object fills the panel.
type Screen struct {
	Object fyne.CanvasObject

	view  till.View
	stage Stage
	ticks []func(now time.Time)

	typeRune func(rune)
	erase    func()
	confirm  func()
	turn     func(by int)
	dots     func(digits int)
	waiting  func(receipts int)
	function func(n int)
	keys     map[rune]func() // by what a keypad beside the panel has, too
	leaves   bool            // a person may leave
}

// Build makes the page of v.
func Build(v till.View, s Stage) *Screen {
	p := &page{v: v, s: s, k: s.Kit, t: s.Texts, screen: &Screen{view: v, stage: s}}
	p.screen.leaves = p.accepts(till.Leave)
	p.atOffice()
	p.screen.keys = p.shortcuts()
	p.screen.Object = p.frame(p.content())
	p.screen.Object.Resize(s.Kit.Panel.Size())
	return p.screen
}

// Tick redraws what the time changes, and only if it did.
func (s *Screen) Tick(now time.Time) {
	s.stage.Now = now
	for _, f := range s.ticks {
		f(now)
	}
}

// Ends takes the new end of the step.
func (s *Screen) Ends(at, now time.Time) {
	s.view.Ends = at
	s.Tick(now)
}

// Dots shows how many digits were typed on the holder's own pad.
func (s *Screen) Dots(digits int) {
	if s.dots != nil {
		s.dots(digits)
	}
}

// Waiting shows how many receipts wait for the printer.
func (s *Screen) Waiting(receipts int) {
	if s.waiting != nil {
		s.waiting(receipts)
	}
}

// Keys of a keypad beside the panel, on every page where they mean something.
const (
	Office   = '*' // opens the office
	Lock     = '-'
	Language = '/' // the other one
	Second   = '+' // what a page asks besides what Enter does
)

// shortcuts are what these keys do on the page. One on which a text is typed has
// them for its text.
func (p *page) shortcuts() map[rune]func() {
	if p.office != nil && p.v.Office.Page == desk.Asking && p.v.Office.Question.Kind == desk.AskText {
		return nil
	}
	keys := map[rune]func(){Language: p.s.OnLanguage}
	if p.v.HasOffice && p.accepts(till.OpenOffice) {
		keys[Office] = func() { p.s.On(till.Input{Event: till.OpenOffice}) }
	}
	if p.locks() {
		keys[Lock] = func() { p.s.On(till.Input{Event: till.Lock}) }
	}
	if p.v.Step == till.PaidBefore {
		keys[Second] = func() { p.s.On(till.Input{Event: till.Confirmed}) }
	}
	return keys
}

// Type types a character, and reports whether the page has something to type it
// into.
func (s *Screen) Type(r rune) bool {
	switch do := s.keys[r]; {
	case do != nil:
		do()
	case s.typeRune != nil:
		s.typeRune(r)
	default:
		return false
	}
	return true
}

// Erase takes the last digit back.
func (s *Screen) Erase() {
	if s.erase != nil {
		s.erase()
	}
}

// Confirm does what the page's first key does, as Enter asks.
func (s *Screen) Confirm() {
	if s.confirm != nil {
		s.confirm()
	}
}

// Function does what the n-th function key does, from 1.
func (s *Screen) Function(n int) {
	if s.function != nil {
		s.function(n)
	}
}

// Turn shows another part of the page, as arrows ask.
func (s *Screen) Turn(by int) {
	if s.turn != nil {
		s.turn(by)
	}
}

// Leave leaves, where the step allows it.
func (s *Screen) Leave() {
	if s.leaves {
		s.stage.On(s.leaving())
	}
}

// Top is what can be tapped now.
func (s *Screen) Top() fyne.CanvasObject { return s.Object }

// leaving is how this page is left. One of the office names itself, so that who
// leaves twice does not leave the next page, too.
func (s *Screen) leaving() till.Input {
	if s.view.Step == till.Office {
		return till.Input{Office: desk.Input{No: s.view.Office.No, Event: desk.Left}}
	}
	return till.Input{Event: till.Leave}
}

// content is the page of the step between header and footer. Every step has
// one; a step without one is a mistake in this program.
func (p *page) content() fyne.CanvasObject {
	switch p.v.Step {
	case till.Locked:
		return p.locked()
	case till.ReadingStaff, till.SigningIn, till.Looking, till.Selling, till.CheckingPIN, till.Levelling,
		till.Settling, till.Paying, till.Querying:
		return p.working()
	case till.StaffPIN, till.EnterPIN:
		return p.pin()
	case till.Ready:
		return p.price()
	case till.Present:
		return p.present()
	case till.Glance:
		return p.glance()
	case till.Ask, till.PaidBefore:
		return p.question()
	case till.Sold:
		return p.sold()
	case till.Declined:
		return p.declined()
	case till.Doubt, till.Unknown:
		return p.doubt()
	case till.OutOfOrder:
		return p.outOfOrder()
	case till.Office:
		return p.office.Object
	}
	panic("till: internal error: no page for this step")
}
