// Package screen has one page for every step of the kiosk's flow. A page is
// built from values and gives back callbacks: it starts nothing, asks nobody
// and reads no clock, for the time comes in. A page offers exactly the events
// that [kiosk.Step.Next] accepts from a person at that step.
package screen

import (
	"time"

	"fyne.io/fyne/v2"

	"quancun/kiosk"
	"quancun/ui/dialog"
	"quancun/ui/look"
	"quancun/ui/text"
	"quancun/ui/widget"
)

// Stage is what a page is built on: everything but the view.
type Stage struct {
	Texts *text.Texts
	Kit   widget.Kit
	Now   time.Time // also says in which zone times are shown
	Phone string    // where a person can ask; "": nowhere
	Typed *Typed    // what was typed so far; the page goes on with it

	On         func(kiosk.Input) // what the person did
	OnLanguage func()            // the other language was asked for
	OnStaff    func()            // the staff ask for the till; nil: there is none here
	Redraw     func()            // the page has to be built anew: another part of it was asked for

	// Choosing says that Home asks what the person needs. OnNeeds takes what was
	// chosen so far, and whether Home goes on asking; nil: there is no choice.
	Choosing bool
	OnNeeds  func(n look.Needs, choosing bool)
	Speaks   bool // pages can be read aloud here
}

// Typed is what a person has typed and not sent. It outlives a page, so that a
// page drawn anew in the other language loses no digit; its owner wipes it
// when the step changes.
type Typed struct {
	PIN kiosk.PIN
	Sum string // whole yuan

	Dialog dialog.Typed

	Marked string // the key that a keypad presses, by its name; "": none
}

// Wipe forgets what was typed.
func (t *Typed) Wipe() {
	t.PIN.Wipe()
	t.Sum, t.Marked = "", ""
	t.Dialog.PIN.Wipe()
	t.Dialog = dialog.Typed{}
}

// Screen is a page on the panel. Its object fills the panel.
type Screen struct {
	Object fyne.CanvasObject

	view    kiosk.View
	stage   Stage
	overlay *fyne.Container // the warning; empty without one
	ticks   []func(now time.Time)

	typeDigit func(byte)
	erase     func()
	confirm   func()
}

// Build makes the page of v, as closely set as it has to be to fit on the panel.
func Build(v kiosk.View, s Stage) *Screen {
	for {
		page := build(v, s)
		if s.Kit.Density == look.Closest || s.Kit.Fits(page.Object) {
			return page
		}
		s.Kit.Density++
	}
}

func build(v kiosk.View, s Stage) *Screen {
	p := &page{v: v, s: s, k: s.Kit, t: s.Texts, screen: &Screen{view: v, stage: s}}
	content := p.content()
	p.screen.overlay = widget.Pile()
	p.screen.Object = widget.Pile(p.frame(content), p.screen.overlay)
	p.screen.Warn(v.Ends, v.Warning, s.Now)
	p.screen.Object.Resize(s.Kit.Panel.Size())
	p.screen.remark()
	return p.screen
}

// Tick redraws what the time changes, and only if it did.
func (s *Screen) Tick(now time.Time) {
	s.stage.Now = now
	for _, f := range s.ticks {
		f(now)
	}
}

// Warn shows or hides the question whether the person is still there, and
// takes the new end of the step.
func (s *Screen) Warn(ends time.Time, warning bool, now time.Time) {
	s.view.Ends = ends
	if warning != (len(s.overlay.Objects) > 0) {
		s.overlay.RemoveAll()
		if warning {
			s.overlay.Add(s.warning(now))
		}
	}
	s.Tick(now)
}

// Top is what can be tapped now: the question over the page, or else the page.
func (s *Screen) Top() fyne.CanvasObject {
	if len(s.overlay.Objects) > 0 {
		return s.overlay
	}
	return s.Object
}

// Leave leaves, where the step allows it.
func (s *Screen) Leave() {
	if _, ok := s.view.Step.Next(kiosk.Leave); ok {
		s.stage.On(kiosk.Input{Event: kiosk.Leave})
	}
}

// content is the page of the step between header and footer. Every step has
// one; a step without one is a mistake in this program.
func (p *page) content() fyne.CanvasObject {
	switch p.v.Step {
	case kiosk.Home:
		return p.atHome()
	case kiosk.Present:
		return p.present()
	case kiosk.Reading, kiosk.SigningIn, kiosk.Ordering, kiosk.Cancelling,
		kiosk.Rereading, kiosk.Unlocking, kiosk.Settling:
		return p.working()
	case kiosk.CardOnly:
		return p.cardOnly()
	case kiosk.EnterPIN, kiosk.ReenterPIN:
		return p.pin()
	case kiosk.Account:
		return p.account()
	case kiosk.CardLog:
		return p.cardLog()
	case kiosk.Amount:
		return p.amount()
	case kiosk.OtherSum:
		return p.otherSum()
	case kiosk.Pay:
		return p.pay()
	case kiosk.Loading:
		return p.loading()
	case kiosk.Done:
		return p.done()
	case kiosk.OnAccount:
		return p.onAccount()
	case kiosk.Unpaid, kiosk.Checking:
		return p.unpaidOrChecking()
	case kiosk.Replace, kiosk.Doubt, kiosk.TakeCard:
		return p.card()
	case kiosk.Serving, kiosk.AtWork, kiosk.Served:
		return p.service()
	case kiosk.Fault:
		return p.fault()
	case kiosk.OutOfOrder:
		return p.outOfOrder()
	}
	panic("screen: internal error: no page for this step")
}
