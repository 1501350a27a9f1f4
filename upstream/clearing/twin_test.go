package clearing_test

import (
	"context"
	"errors"
	"fmt"
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
		w.must(w.house.Return(t.Context(), w.reads(whole), w.alipay, two("x")))
		if id := w.reads(channel.Statement{Day: day}); id != 0 {
			t.Fatalf("line %d is still open", id)
		}
		again := w.reads(whole)
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
		w.closesBoth()
	})
}

// reads takes a file of a day, and returns the last line that is open then, or 0.
func (w *world) reads(s channel.Statement) (id int64) {
	w.t.Helper()
	_, err := w.house.SaveStatement(w.t.Context(), source, s)
	w.must(err)
	_, err = w.house.Compare(w.t.Context(), source, s.Day)
	w.must(err)
	all, err := w.house.Exceptions(w.t.Context(), false)
	w.must(err)
	for _, x := range all {
		id = x.ID
	}
	return id
}

// TestUnsentReturnListedAgain: nobody knows whether a channel has given back what it was asked
// for, when a file of the day has nothing of the money, and the next one has it again. The
// channel can be asked once more, and what it says counts for the new line too.
func TestUnsentReturnListedAgain(t *testing.T) {
	for name, refuses := range map[string]bool{"Done": false, "Refused": true} {
		t.Run(name, func(t *testing.T) {
			onBothEngines(t, func(t *testing.T, w *world) { returnedUnheard(t, w, refuses) })
		})
	}
}

func returnedUnheard(t *testing.T, w *world, refuses bool) {
	w.lateMoney()
	whole, err := w.alipay.Bill(t.Context(), day)
	w.must(err)
	first := w.reads(whole)
	if err := w.house.Return(t.Context(), first, saying{errors.New("no line")}, two("x")); err == nil {
		t.Fatal("nobody has heard it, and it is returned")
	}
	w.reads(channel.Statement{Day: day})
	again := w.reads(whole)
	if err := w.house.Return(t.Context(), again, w.alipay, two("x")); !errors.Is(err, clearing.ErrReturned) ||
		!strings.Contains(err.Error(), fmt.Sprintf("#%d", first)) {
		t.Errorf("Return of the new line = %v, want ErrReturned by line %d", err, first)
	}
	if refuses {
		if err := w.house.Return(t.Context(), first, saying{channel.ErrRefused}, two("x")); !errors.Is(err, channel.ErrRefused) {
			t.Errorf("Return = %v, want ErrRefused", err)
		}
		_, err := w.house.Assign(t.Context(), again, holder, two("x"))
		w.must(err)
		w.whole()
		return
	}
	w.must(w.house.Return(t.Context(), first, w.alipay, two("x")))
	if err := w.house.Return(t.Context(), first, w.alipay, two("x")); !errors.Is(err, clearing.ErrClosed) {
		t.Errorf("Return of what is given back = %v, want ErrClosed", err)
	}
	w.closesBoth()
}

// closesBoth sees the refund, which is in the bill of the 2nd, close both lines.
func (w *world) closesBoth() {
	w.t.Helper()
	w.set("2026-03-03 10:00:00")
	w.once(0)
	if got := w.inbox(); len(got) != 2 || !strings.HasPrefix(got[1], "closed ") {
		w.t.Errorf("inbox %q, want both lines closed", got)
	}
	w.whole()
}

// saying is a channel that gives nothing back, and says why.
type saying struct{ err error }

func (s saying) Refund(context.Context, string, string, money.Fen) error { return s.err }
