package speech

import (
	"slices"
	"strings"

	"quancun/money"
	"quancun/ui/text"
)

// keys says what each key of the page does, and which key of the keypad that is.
func (s *teller) keys() {
	if s.Digits {
		s.arrows()
	} else {
		s.numbered()
	}
	if s.Leave != "" {
		s.key("speech.leave", "what", s.Leave)
	}
}

// numbered are keys that digits press.
func (s *teller) numbered() {
	for _, k := range s.Keys {
		switch {
		case k.Off:
			s.label("speech.off", "what", k.Label)
		case k.Number > 0:
			s.label("speech.key", "key", k.Number, "what", k.Label)
		}
	}
	if s.More {
		s.key("speech.next")
	}
}

// arrows are the keys of a page on which digits are typed: Enter presses the first, and
// arrows go to the others.
func (s *teller) arrows() {
	var others []Key
	for _, k := range s.Keys {
		switch {
		case k.Primary:
			s.label("speech.enter", "what", k.Label)
		case !k.Off:
			others = append(others, k)
		}
	}
	if len(others) > 0 {
		s.key("speech.arrows")
	}
	for _, k := range others {
		s.add(k.Label, s.personal(k.Label))
	}
}

// label says a text with the label of a key in it, which is private if it has a figure
// in it: a room, an amount, a time.
func (s *teller) label(key string, pairs ...any) {
	private := false
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] == "what" {
			private = s.personal(pairs[i+1].(string))
		}
	}
	s.add(s.t.T(key, pairs...), private)
}

// personal reports whether a label is somebody's own, or has just been told as that.
func (s *teller) personal(label string) bool { return personal(label) || slices.Contains(s.own, label) }

// personal reports whether a label is somebody's own.
func personal(label string) bool { return strings.ContainsAny(label, "¥*0123456789") }

// Label is what is said when a mark comes to a key.
func Label(t *text.Texts, label string) Utterance {
	return utterance(label, t.Language(), personal(label))
}

// Typed is what has been typed on a page.
type Typed struct {
	PIN    int // digits of a PIN
	Hidden bool
	Sum    bool // Text is an amount in yuan
	Text   string
}

// Echo is what is said of a key that was typed: how many digits of a PIN there are,
// and of anything else what it is.
func Echo(t *text.Texts, typed Typed) Utterance {
	switch {
	case typed.Hidden:
		return Words(t, "speech.digits", "count", typed.PIN)
	case typed.Text == "":
		return Words(t, "speech.empty")
	case typed.Sum:
		return utterance(sum(typed.Text, t.Language()), t.Language(), true)
	}
	last := typed.Text[len(typed.Text)-1:]
	if personal(last) {
		last = spaced(last, t.Language())
	}
	return utterance(last, t.Language(), true)
}

// sum is an amount while it is typed.
func sum(typed string, l text.Language) string {
	f, err := money.Parse(strings.TrimSuffix(typed, "."))
	if err != nil {
		return typed
	}
	return Amount(f, l)
}
