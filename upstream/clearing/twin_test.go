package clearing_test

import (
	"strings"
	"testing"

	"quancun/money"
	"quancun/upstream/channel"
	"quancun/upstream/clearing"
)

// TestTwins gives money of one order back three times on the channel's own page, under no
// number: the bill has three lines that are alike in everything. People write one off
// after the other, the newest first, and the bill is compared in between. Each is told
// until it is written off, and none goes with another.
func TestTwins(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		no := w.paid(30 * yuan)
		w.set("2026-03-02 10:00:00")
		s, err := w.alipay.Bill(t.Context(), day)
		w.must(err)
		for range 3 {
			s.Lines = append(s.Lines, channel.Line{
				OrderNo: no, TradeNo: s.Lines[0].TradeNo, Kind: channel.Refund, Amount: 5 * yuan, At: s.Lines[0].At,
			})
		}
		_, err = w.house.SaveStatement(t.Context(), source, s)
		w.must(err)
		for left := 3; left >= 0; left-- {
			if _, err := w.house.Compare(t.Context(), source, day); err != nil {
				t.Fatal(err)
			}
			open, err := w.house.Exceptions(t.Context(), false)
			if err != nil || len(open) != left {
				t.Fatalf("%d lines open, %v; want %d:\n%s", len(open), err, left, strings.Join(w.inbox(), "\n"))
			}
			if left > 0 {
				_, err = w.house.WriteOff(t.Context(), open[len(open)-1].ID, two("x"))
				w.must(err)
			}
		}
		if got, err := w.books.Balance(t.Context(), clearing.OverShort); err != nil || got != -15*money.Yuan {
			t.Errorf("over and short %s, %v; want -15.00", got, err)
		}
		w.rerun()
		w.whole()
	})
}
