package speech

import (
	"quancun/kiosk/till"
	"quancun/ui/text"
)

// Pad is what a till asks a holder for who has a PIN pad of their own; nothing where
// none is asked. How many tries are left is for the screen.
func Pad(v till.View, t *text.Texts) (all []Utterance) {
	say := func(key string) { all = append(all, utterance(t.T(key), t.Language(), false)) }
	switch {
	case !v.Pad.Set:
		return nil
	case !v.Pad.There:
		say("speech.pinpad.away")
		return all
	case v.PIN.Wrong:
		say("speech.pinpad.wrong")
	}
	say("speech.pinpad")
	return all
}

// Sale is what a till says of how a sale ended; nothing while it has not. At a till
// amounts are everybody's: whoever pays hears what was taken.
func Sale(v till.View, t *text.Texts) []Utterance {
	open := func(words string) Utterance { return utterance(words, t.Language(), false) }
	switch v.Step {
	case till.Sold:
		return []Utterance{open(t.T("speech.sold", "amount", text.Amount(v.Amount)))}
	case till.Declined:
		title, _ := t.Fault(v.Fault)
		if v.Kept > 0 {
			title = t.T("till.kept")
		}
		if v.Amount == 0 { // a card was looked at, and nothing sold
			return []Utterance{open(title)}
		}
		return []Utterance{open(t.T("speech.notsold")), open(title)}
	case till.Unknown, till.Doubt:
		return []Utterance{open(t.T("speech.checking"))}
	}
	return nil
}
