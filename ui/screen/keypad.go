package screen

import (
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
func (s *Screen) keys() (list []*widget.Button) {
	widget.Walk(s.Top(), func(o fyne.CanvasObject, _ fyne.Position) {
		if b, ok := o.(*widget.Button); ok && !b.Disabled() && !strings.HasPrefix(b.Name, "digit-") {
			list = append(list, b)
		}
	})
	return list
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
