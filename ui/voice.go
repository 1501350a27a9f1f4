package ui

import (
	"slices"
	"time"

	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/ui/look"
	"quancun/ui/sound"
	"quancun/ui/speech"
	"quancun/ui/widget"
)

// Voice says things aloud. Its methods do not wait.
type Voice interface {
	// Say says s in place of whatever is being said; an empty one is silence.
	Say(s speech.Script)
	// Plugged reports whether headphones are plugged in, and Jack has it each time
	// that it changes.
	Plugged() bool
	Jack() <-chan bool
}

// spoken is what a person who hears the page has heard of it.
type spoken struct {
	step  kiosk.Step
	no    int // of the dialog's page
	parts []speech.Utterance
	first int       // key that the digit 1 presses, from 0
	since time.Time // when the page came
}

// Digits that press a key; 0 goes on to the next ones.
const numbersMax = 9

// bounceMax is how long a digit presses nothing on a new page: one too many of a PIN
// was meant for the page before.
const bounceMax = 700 * time.Millisecond

// speaks reports whether pages are read aloud now.
func (w *Window) speaks() bool { return w.o.Voice != nil && w.access.needs.Spoken }

// narrate says what is new on the page: all of another page, and of the same one what
// it has not said.
func (w *Window) narrate() {
	if !w.speaks() {
		return
	}
	before := w.spoken
	anew := before.step != w.view.Step || before.no != w.view.Dialog.No || w.greets
	if anew {
		w.spoken = spoken{step: w.view.Step, no: w.view.Dialog.No, since: w.o.Now()}
	}
	w.spoken.parts = w.describe()
	parts := w.spoken.parts
	if !anew {
		known := func(u speech.Utterance) bool { return slices.Contains(before.parts, u) }
		parts = slices.DeleteFunc(slices.Clone(parts), known)
	}
	if w.greets {
		parts = append([]speech.Utterance{speech.Words(w.o.Texts, "speech.welcome")}, parts...)
		w.greets = false
	}
	if anew || len(parts) > 0 {
		w.say(parts...)
	}
}

// describe is what is said of the page.
func (w *Window) describe() []speech.Utterance {
	s := speech.Stage{
		Texts: w.o.Texts, Now: w.o.Now(), Phone: w.o.Phone, Portrait: w.o.Panel.Portrait(),
		Choosing: w.access.choosing, Digits: w.screen.TakesDigits(), Leave: w.screen.Leaving(),
	}
	number := 1 - w.spoken.first
	for _, b := range w.screen.Keys() {
		k := speech.Key{Label: b.Said, Off: b.Disabled(), Primary: b.Primary()}
		if !k.Off {
			if number >= 1 && number <= numbersMax {
				k.Number = number
			}
			number++
		}
		s.Keys = append(s.Keys, k)
	}
	s.More = number-1 > numbersMax || w.spoken.first > 0
	return speech.Page(w.view, s)
}

// say says some words in place of whatever is being said.
func (w *Window) say(parts ...speech.Utterance) {
	w.heard = parts
	w.o.Voice.Say(speech.Script{Parts: parts, Withheld: speech.Withheld(w.o.Texts), Anew: w.view.Step == kiosk.Home})
}

// repeat says the whole page once more.
func (w *Window) repeat(before ...speech.Utterance) {
	w.spoken.parts = w.describe()
	w.say(append(before, w.spoken.parts...)...)
}

// star is the key that has the page repeated, and before that has it read at all.
func (w *Window) star() {
	switch {
	case w.o.Voice == nil:
	case w.speaks():
		w.repeat()
	default:
		w.speakUp()
	}
}

// speakUp begins to read pages aloud, for a person who then needs longer, too.
func (w *Window) speakUp() {
	n := w.access.needs
	n.Spoken, n.Unhurried = true, true
	w.ask(access{n, false, w.o.Now()})
}

// plug takes that headphones were plugged in or pulled out.
func (w *Window) plug(in bool) {
	switch {
	case w.o.Voice == nil:
	case in && !w.speaks():
		w.speakUp()
	case in:
		w.repeat()
	case w.speaks() && w.view.Step == kiosk.Home:
		w.hush()
		w.ask(access{}) // whoever they belong to goes away
	case w.speaks():
		w.say(speech.Words(w.o.Texts, "speech.unplugged"))
	}
}

// backHome ends what one person has asked for, and what is being said to them.
func (w *Window) backHome() {
	spoke := w.speaks()
	w.access = w.lasting()
	switch {
	case w.access.needs.Unhurried: // the flow has forgotten it
		w.o.OnInput(kiosk.Input{Event: kiosk.Pace, Unhurried: true})
	case spoke && !w.speaks():
		w.hush()
	}
}

// hush ends what is being said.
func (w *Window) hush() {
	if w.o.Voice != nil {
		w.o.Voice.Say(speech.Script{Anew: true})
	}
}

// lasting is what is left of what a person needs when Home comes back: whoever has the
// headphones plugged in still stands there.
func (w *Window) lasting() (a access) {
	if w.speaks() && w.o.Voice.Plugged() {
		a = access{needs: look.Needs{Spoken: true, Unhurried: w.access.needs.Unhurried}, at: w.o.Now()}
	}
	return a
}

// choose presses the key that has a digit, on a page that takes none.
func (w *Window) choose(digit int) {
	if w.o.Now().Sub(w.spoken.since) < bounceMax {
		return
	}
	keys := slices.DeleteFunc(w.screen.Keys(), (*widget.Button).Disabled)
	if digit == 0 && len(keys) > numbersMax {
		if w.spoken.first += numbersMax; w.spoken.first >= len(keys) {
			w.spoken.first = 0
		}
		w.repeat()
		return
	}
	if at := w.spoken.first + digit - 1; digit > 0 && digit <= numbersMax && at < len(keys) {
		w.player.Play(sound.Key)
		keys[at].Tapped(nil)
		return
	}
	w.player.Play(sound.Refuse)
}

// echo says what was typed last, or taken back, on the page of before.
func (w *Window) echo(before kiosk.View, digit bool) {
	if !w.speaks() {
		return
	}
	v, typed := w.view, speech.Typed{Text: w.typed.Dialog.Text}
	if v.Step != before.Step || v.Dialog.No != before.Dialog.No {
		return // the next page is being said
	}
	switch {
	case v.Step == kiosk.EnterPIN || v.Step == kiosk.ReenterPIN:
		typed.Hidden, typed.PIN = true, digits(&w.typed.PIN, digit)
	case v.Step == kiosk.OtherSum:
		typed.Sum, typed.Text = true, w.typed.Sum
	case v.Dialog.Question.Kind == dialog.AskPIN:
		typed.Hidden, typed.PIN = true, digits(&w.typed.Dialog.PIN, digit)
	case v.Dialog.Question.Kind == dialog.AskAmount:
		typed.Sum = true
	case v.Dialog.Question.Kind == dialog.AskChoice:
		w.spoken.parts = w.describe()
		w.say(append([]speech.Utterance{speech.Echo(w.o.Texts, typed)}, w.found()...)...)
		return
	}
	w.say(speech.Echo(w.o.Texts, typed))
}

// digits is how many digits of a PIN there are. After the last one it has gone.
func digits(p *kiosk.PIN, typed bool) int {
	if typed && p.Len() == 0 {
		return kiosk.PINLength
	}
	return p.Len()
}

// found are the first few of what a search has found.
func (w *Window) found() (all []speech.Utterance) {
	const most = 3
	for _, b := range w.screen.Keys() {
		if len(all) < most && !b.Disabled() {
			all = append(all, speech.Label(w.o.Texts, b.Said))
		}
	}
	return all
}
