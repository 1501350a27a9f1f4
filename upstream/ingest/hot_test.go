package ingest_test

import (
	"strings"
	"testing"
	"time"

	"quancun/upstream/ingest"
	"quancun/upstream/lost"
	"quancun/upstream/store"
)

// TestLostCardSold has a till without a network sell to a lost card. Whoever looks at it
// reads from when on its holder was promised to bear nothing, and nobody is promised
// anything of a card that was only put onto the list.
func TestLostCardSold(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a, b := w.holder("1001", 100*yuan), w.holder("1002", 100*yuan)
		p, q, c := w.card(1, a, 50*yuan), w.card(2, b, 50*yuan), w.till("C01")
		l, err := lost.New(w.books, lost.Policy{Risk: 24 * time.Hour}).Report(t.Context(),
			lost.Request{Ref: "L1", Terminal: "C01", Account: a})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.books.SetCardStatus(t.Context(), q.no, store.CardHot); err != nil {
			t.Fatal(err)
		}
		c.sell(p, "s1", 2*yuan)
		c.sell(q, "s2", 3*yuan)
		c.push()
		w.inbox(ingest.HotCard, ingest.HotCard)
		lines, err := w.books.Exceptions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range lines {
			promise := "promised to bear nothing from " + l.Free.Format(time.RFC3339)
			if got, want := strings.Contains(x.Detail, promise), strings.Contains(x.Detail, p.no); got != want ||
				!want && strings.Contains(x.Detail, "promised") {
				t.Errorf("about %s yuan: %s", x.Amount, x.Detail)
			}
		}
		w.sound()
	})
}
