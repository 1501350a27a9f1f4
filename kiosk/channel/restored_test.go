package channel_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"quancun/money"
	"quancun/upstream/ingest"
)

// TestRestored puts an older copy in the place of a till's journal, after a sale
// whose entries are upstream: of before the sale, and of after each entry of it.
// Whether the till first asks what is open, or first pushes and finds that it has
// to go on in a new epoch, it has then sold that once, or never if the copy has
// not heard of it; and the books have it once.
func TestRestored(t *testing.T) {
	for after := range 4 {
		for _, first := range []string{"keep", "push"} {
			t.Run(fmt.Sprintf("after=%d/%s", after, first), func(t *testing.T) {
				t.Parallel()
				restoredOnce(t, after, first)
			})
		}
	}
}

func restoredOnce(t *testing.T, after int, first string) {
	w := newWorld(t)
	w.book.to, w.book.copied = filepath.Join(w.dir, "copy.db"), after
	if after == 0 {
		w.ok(w.book.Backup(t.Context(), w.book.to))
	}
	sale, want := w.sale(8*yuan), money.Fen(8*yuan)
	_, err := w.seller().Sell(t.Context(), w.code(), sale)
	w.ok(err)
	w.agree(want)

	w.restore(w.book.to)
	next := w.sale(3 * yuan) // what a till does next, which has a number that upstream knows
	_, err = w.seller().Sell(t.Context(), w.code(), next)
	w.ok(err)
	if first == "keep" {
		w.keep()
	}
	w.push()
	w.keep()
	w.push()
	own := 3 * yuan
	if after > 0 {
		own += want
	}
	w.compare(own, want+3*yuan)
	w.expect(ingest.Fork, ingest.EpochOpened, ingest.ChannelTwice)
}

// expect checks that the operator's inbox has lines of these kinds and of no
// others.
func (w *world) expect(kinds ...ingest.ExceptionKind) {
	w.t.Helper()
	open, err := w.books.Exceptions(w.t.Context())
	w.ok(err)
	for _, e := range open {
		if !slices.Contains(kinds, ingest.ExceptionKind(e.Kind)) {
			w.t.Errorf("the inbox has %q about %s: %s", e.Kind, e.Ref, e.Detail)
		}
	}
}
