package speech

import (
	"slices"
	"testing"

	"quancun/kiosk"
	"quancun/kiosk/till"
	"quancun/money"
	"quancun/ui/text"
)

// TestLookIsNoSale: a card that bounces when it is lifted is looked at once more, and cannot
// be read. Nobody hears that it was not charged, right after it was.
func TestLookIsNoSale(t *testing.T) {
	texts, err := text.New()
	if err != nil {
		t.Fatal(err)
	}
	v := till.View{Step: till.Declined, Fault: kiosk.CodeCardSilent}
	for amount, want := range map[money.Fen]bool{0: false, 12 * money.Yuan: true} {
		v.Amount = amount
		said := slices.ContainsFunc(Sale(v, texts), func(u Utterance) bool { return u.Text == texts.T("speech.notsold") })
		if said != want {
			t.Errorf("of %s it is said to be not charged: %t", amount, said)
		}
	}
}
