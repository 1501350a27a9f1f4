// Package speech turns what a page shows into what is said of it: titles, what is
// asked, facts, and every choice with the key of the keypad that makes it. What a
// stranger in the queue must not hear is marked, and whoever says it (app/audio) has
// to keep it to headphones.
//
// It takes values and gives back words; it makes no sound, and it does not know how
// a page looks.
package speech

import (
	"strings"
	"time"
	"unicode"

	"quancun/ui/text"
)

// Utterance is a few words that are said in one breath.
type Utterance struct {
	Text     string        // as a synthesiser reads it right; see [Read]
	Language text.Language // of the voice that says it
	// Private is what only its owner may hear: a name, an amount, a number, a code.
	Private bool
}

// Script is what is said, in order, in place of whatever is being said.
type Script struct {
	Parts []Utterance
	// Withheld is said instead of what is private where it cannot be said, once a
	// visit; Anew begins a visit.
	Withheld Utterance
	Anew     bool
	// Aloud is said through the loudspeaker, whoever has headphones: at a till.
	Aloud bool
}

// Key is a key of the page as a keypad beside the panel presses it.
type Key struct {
	Number  int    // the digit that presses it; 0: it has none now
	Label   string // what stands on it
	Off     bool   // it cannot be pressed now
	Primary bool   // Enter presses it too
}

// Stage is what a page's words need besides its view.
type Stage struct {
	Texts    *text.Texts
	Now      time.Time // also says in which zone times are told
	Phone    string    // of the card centre; "": none
	Portrait bool      // where things are depends on it
	Choosing bool      // Home asks what the person needs

	Keys   []Key  // of the page
	More   bool   // there are more than have digits: 0 goes on to the next ones
	Digits bool   // digits are typed here, so that keys are chosen by arrows
	Leave  string // what Escape does; "": nothing
}

// teller collects what is said.
type teller struct {
	Stage
	t   *text.Texts
	all []Utterance
	own []string // values that only their owner may hear, on a key too
}

func newTeller(s Stage) *teller { return &teller{Stage: s, t: s.Texts} }

// say says words that anybody may hear. An amount in them is private all the same.
func (s *teller) say(words string) { s.add(words, strings.Contains(words, "¥")) }

// tell says words that only their owner may hear.
func (s *teller) tell(words string) { s.add(words, true) }

// key says a text of the catalogue.
func (s *teller) key(key string, pairs ...any) { s.say(s.t.T(key, pairs...)) }

func (s *teller) add(words string, private bool) {
	if words != "" {
		s.all = append(s.all, utterance(words, s.t.Language(), private))
	}
}

func utterance(words string, l text.Language, private bool) Utterance {
	l = spokenIn(words, l)
	return Utterance{Text: Read(words, l), Language: l, Private: private}
}

// spokenIn is the language of words on a page in language l: the key to another
// language is labelled in that one, and its voice is the one that can read it.
func spokenIn(words string, l text.Language) text.Language {
	han, latin := false, false
	for _, r := range words {
		han = han || unicode.Is(unicode.Han, r)
		latin = latin || r < unicode.MaxASCII && unicode.IsLetter(r)
	}
	switch {
	case han && !latin:
		return text.Chinese
	case latin && !han:
		return text.English
	}
	return l
}

// Withheld is what is said instead of what is private.
func Withheld(t *text.Texts) Utterance {
	return utterance(t.T("speech.withheld"), t.Language(), false)
}

// Words is a text of the catalogue, which everybody may hear.
func Words(t *text.Texts, key string, pairs ...any) Utterance {
	return utterance(t.T(key, pairs...), t.Language(), false)
}
