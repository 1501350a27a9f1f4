package speech

import (
	"quancun/kiosk/till"
	"quancun/ui/text"
)

// Sale is what a till says of how a sale ended; nothing while it has not. At a till
// amounts are everybody's: whoever pays hears what was taken.
func Sale(v till.View, t *text.Texts) []Utterance {
	open := func(words string) Utterance { return utterance(words, t.Language(), false) }
	switch v.Step {
	case till.Sold:
		return []Utterance{open(t.T("speech.sold", "amount", text.Amount(v.Amount)))}
	case till.Declined:
		title, _ := t.Fault(v.Fault)
		return []Utterance{open(t.T("speech.notsold")), open(title)}
	case till.Unknown, till.Doubt:
		return []Utterance{open(t.T("speech.checking"))}
	}
	return nil
}
