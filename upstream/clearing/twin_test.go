package clearing_test

import (
	"errors"
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

// TestReturnedAndListedAgain gives money back of which the next file of the day has nothing,
// and the one after it has it again: it is another line, of money that is on its way back.
func TestReturnedAndListedAgain(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.lateMoney()
		whole, err := w.alipay.Bill(t.Context(), day)
		w.must(err)
		reads := func(s channel.Statement) (id int64) {
			t.Helper()
			_, err := w.house.SaveStatement(t.Context(), source, s)
			w.must(err)
			_, err = w.house.Compare(t.Context(), source, s.Day)
			w.must(err)
			all, err := w.house.Exceptions(t.Context(), false)
			w.must(err)
			for _, x := range all {
				id = x.ID
			}
			return id
		}
		w.must(w.house.Return(t.Context(), reads(whole), w.alipay, two("x")))
		if id := reads(channel.Statement{Day: day}); id != 0 {
			t.Fatalf("line %d is still open", id)
		}
		again := reads(whole)
		if again == 0 {
			t.Fatal("the line has not come again")
		}
		if _, err := w.house.Assign(t.Context(), again, holder, two("x")); !errors.Is(err, clearing.ErrReturned) {
			t.Errorf("Assign = %v, want ErrReturned", err)
		}
		if _, err := w.house.WriteOff(t.Context(), again, two("x")); !errors.Is(err, clearing.ErrReturned) {
			t.Errorf("WriteOff = %v, want ErrReturned", err)
		}
		if err := w.house.Return(t.Context(), again, w.alipay, two("x")); !errors.Is(err, clearing.ErrReturned) {
			t.Errorf("Return = %v, want ErrReturned", err)
		}
		w.set("2026-03-03 10:00:00")
		w.once(0) // the refund is in the bill of the 2nd
		if got := w.inbox(); len(got) != 2 || !strings.HasPrefix(got[1], "closed ") {
			t.Errorf("inbox %q, want both lines closed", got)
		}
		w.whole()
	})
}
