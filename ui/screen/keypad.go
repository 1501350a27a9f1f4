package screen

import (
	"cmp"
	"slices"
	"strings"

	"fyne.io/fyne/v2"

	"quancun/kiosk"
	"quancun/ui/widget"
)

// What a keypad beside the panel does, whose keys can be told apart by touch:
// digits are typed, two keys turn a mark from key to key of the page, Enter presses
// the marked one or else the page's first, and Escape leaves.

// TypeDigit types a digit on the page's pad, and reports whether it has one. While
// the page asks whether the person is still there, any key says yes and nothing
// else.
func (s *Screen) TypeDigit(digit byte) bool {
	return s.pressed(func() { s.typeDigit(digit) }, s.typeDigit != nil)
}

// Erase takes the last digit back.
func (s *Screen) Erase() { s.pressed(s.erase, s.erase != nil) }

// Confirm presses the marked key, or does what the page's first key does.
func (s *Screen) Confirm() {
	keys := s.keys()
	if i := slices.IndexFunc(keys, (*widget.Button).Marked); i >= 0 {
		s.pressed(func() { keys[i].Tapped(nil) }, true)
		return
	}
	s.pressed(s.confirm, s.confirm != nil)
}

// Turn moves the mark by so many keys, at first to the page's first one.
func (s *Screen) Turn(by int) {
	s.pressed(func() { s.turn(by) }, len(s.keys()) > 0)
}

func (s *Screen) turn(by int) {
	keys := s.keys()
	next := slices.IndexFunc(keys, (*widget.Button).Primary)
	if now := slices.IndexFunc(keys, (*widget.Button).Marked); now >= 0 {
		keys[now].Mark(false)
		next = (now + by + len(keys)) % len(keys)
	}
	next = max(next, 0)
	keys[next].Mark(true)
	s.stage.Typed.Marked = keys[next].Name
}

// remark marks on a page that was drawn anew the key that was marked before.
func (s *Screen) remark() {
	for _, b := range s.keys() {
		b.Mark(b.Name == s.stage.Typed.Marked)
	}
}

// keys are the keys that can be marked: those that work, but for the ones that the
// keypad has itself.
func (s *Screen) keys() []*widget.Button {
	return slices.DeleteFunc(s.buttons(), (*widget.Button).Disabled)
}

// buttons are the page's keys but for digits: what it is about first.
func (s *Screen) buttons() (list []*widget.Button) {
	widget.Walk(s.Top(), func(o fyne.CanvasObject, _ fyne.Position) {
		if b, ok := o.(*widget.Button); ok && !strings.HasPrefix(b.Name, "digit-") {
			list = append(list, b)
		}
	})
	last := func(b *widget.Button) int { return slices.Index(everywhere, b.Name) }
	slices.SortStableFunc(list, func(a, b *widget.Button) int { return cmp.Compare(last(a), last(b)) })
	return list
}

// Keys are the page's keys in the order in which they are read aloud. Those that the
// keypad has itself and letters are not among them, and a page under a question has
// none.
func (s *Screen) Keys() []*widget.Button {
	if len(s.overlay.Objects) > 0 {
		return nil
	}
	return slices.DeleteFunc(s.buttons(), func(b *widget.Button) bool {
		return slices.Contains(keypadHas, b.Name) || strings.HasPrefix(b.Name, "letter-")
	})
}

var (
	keypadHas  = []string{"leave", "erase", "point"}
	everywhere = []string{"clear", "access", "language", "staff"} // on most pages, and seldom pressed
)

// TakesDigits reports whether digits are typed here.
func (s *Screen) TakesDigits() bool { return s.typeDigit != nil || len(s.overlay.Objects) > 0 }

// Leaving is what leaving is called; "" where nobody leaves.
func (s *Screen) Leaving() string {
	if _, ok := s.view.Step.Next(kiosk.Leave); !ok {
		return ""
	}
	if len(s.overlay.Objects) > 0 {
		return s.stage.Texts.T(s.leaving())
	}
	return s.stage.Texts.T(leaving(s.view))
}

// Marked is what is said of the key that is marked; "" for none.
func (s *Screen) Marked() string {
	for _, b := range s.keys() {
		if b.Marked() {
			return b.Said
		}
	}
	return ""
}

// pressed acts, and reports whether there was anything to do.
func (s *Screen) pressed(act func(), has bool) bool {
	switch {
	case len(s.overlay.Objects) > 0:
		s.stage.On(kiosk.Input{Event: kiosk.MoreTime})
		return true
	case has:
		act()
	}
	return has
}
