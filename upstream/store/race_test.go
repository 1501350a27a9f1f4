package store_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quancun/pboc"
	"quancun/upstream/store"
)

// TestRaces has two campusd do the same to the same books at the same moment,
// many times over: what one reads in order to write, the other must not write.
func TestRaces(t *testing.T) {
	for _, tt := range []struct {
		name string
		race func(*testing.T, [2]*store.Books)
	}{
		{"Cap", raceCap},
		{"OrderNumber", raceOrderNumber},
		{"Credit", raceCredit},
		{"Ends", raceEnds},
		{"PIN", racePIN},
		{"TerminalNumbers", raceTerminalNumbers},
		{"Holder", raceHolder},
		{"Load", raceLoad},
		{"Alarm", raceAlarm},
		{"Hear", raceHear},
		{"Seen", raceSeen},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, p place) {
				both := [2]*store.Books{newBooks(t, p), open(t, p, nil)}
				tt.race(t, both)
				check(t, both[1])
			})
		})
	}
}

// atOnce calls do n times at once, on both books in turn.
func atOnce(both [2]*store.Books, n int, do func(b *store.Books, i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			do(both[i%2], i)
		})
	}
	close(start)
	wg.Wait()
}

// raceCap: of orders that fit one by one, only those are made that fit all
// together.
func raceCap(t *testing.T, both [2]*store.Books) {
	var made atomic.Int64
	atOnce(both, 16, func(b *store.Books, i int) {
		_, err := b.CreateOrder(t.Context(), order(fmt.Sprintf("C%d", i), 20*yuan), opening+70*yuan)
		switch {
		case err == nil:
			made.Add(1)
		case !errors.As(err, new(*store.CapError)):
			t.Errorf("CreateOrder: %v", err)
		}
	})
	if made.Load() != 3 {
		t.Errorf("%d orders of 20 yuan fit into 70", made.Load())
	}
}

// raceOrderNumber: one number for two accounts is one order and one conflict,
// and the same order again is the same.
func raceOrderNumber(t *testing.T, both [2]*store.Books) {
	other := order("N1", 20*yuan)
	other.Account, other.CardNo = "holder/1002", "00002026000100012346"
	err1 := both[0].AddHolder(t.Context(), store.Holder{Account: other.Account, Number: "1002"}, store.PIN{}, 0)
	err2 := both[0].AddCard(t.Context(), store.Card{No: other.CardNo, Account: other.Account, Status: store.CardActive})
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	var conflicts atomic.Int64
	atOnce(both, 16, func(b *store.Books, i int) {
		o := order("N1", 20*yuan)
		if i/2%2 == 0 {
			o = other
		}
		_, err := b.CreateOrder(t.Context(), o, 1000*yuan)
		if errors.Is(err, store.ErrConflict) {
			conflicts.Add(1)
		} else if err != nil {
			t.Errorf("CreateOrder: %v", err)
		}
	})
	if conflicts.Load() != 8 {
		t.Errorf("%d conflicts, want those of one account", conflicts.Load())
	}
	if all, err := both[0].Alarms(t.Context()); err != nil || len(all) != 1 || all[0].Times != 8 {
		t.Errorf("Alarms = %+v, %v; want one, 8 times", all, err)
	}
}

func raceCredit(t *testing.T, both [2]*store.Books) {
	create(t, both[0], "P1")
	atOnce(both, 16, func(b *store.Books, _ int) {
		o, err := b.Advance(t.Context(), "P1", store.OrderStep{To: store.OrderPaid, PaidAt: time.Now()})
		if err != nil || o.Balance != opening+20*yuan {
			t.Errorf("Advance = %+v, %v", o, err)
		}
	})
	if f, err := both[1].Balance(t.Context(), holder); err != nil || f != opening+20*yuan {
		t.Errorf("balance %s, %v", f, err)
	}
}

// raceEnds: an order that is paid and given back at once comes to one of them.
func raceEnds(t *testing.T, both [2]*store.Books) {
	for i := range 10 {
		no := fmt.Sprintf("E%d", i)
		create(t, both[0], no)
		var done atomic.Int64
		atOnce(both, 2, func(b *store.Books, k int) {
			to := []store.OrderState{store.OrderPaid, store.OrderReturned}[k]
			_, err := b.Advance(t.Context(), no, store.OrderStep{To: to, PaidAt: paidAt(to)})
			if err == nil {
				done.Add(1)
			} else if !errors.Is(err, store.ErrBackward) {
				t.Errorf("Advance: %v", err)
			}
		})
		if done.Load() != 1 {
			t.Errorf("%s came to %d ends", no, done.Load())
		}
	}
}

func racePIN(t *testing.T, both [2]*store.Books) {
	var tries atomic.Int64
	atOnce(both, 16, func(b *store.Books, _ int) {
		_, _, err := b.ReservePINTry(t.Context(), holder)
		if err == nil {
			tries.Add(1)
		} else if !errors.Is(err, store.ErrPINLocked) {
			t.Errorf("ReservePINTry: %v", err)
		}
	})
	if tries.Load() != store.PINTriesMax {
		t.Errorf("%d tries", tries.Load())
	}
}

func raceTerminalNumbers(t *testing.T, both [2]*store.Books) {
	atOnce(both, 16, func(b *store.Books, i int) {
		s := store.Terminal{ID: fmt.Sprintf("R%d", i/2)} // each twice
		if i/2 == 3 {
			s.No = pboc.TerminalNo{5: 4} // brings its own
		}
		if _, err := b.AddTerminal(t.Context(), s); err != nil && i/2 != 3 {
			t.Errorf("AddTerminal: %v", err)
		}
	})
	all, err := both[0].Terminals(t.Context())
	if err != nil || len(all) < 8 {
		t.Errorf("Terminals = %+v, %v", all, err)
	}
}

func raceHolder(t *testing.T, both [2]*store.Books) {
	var added atomic.Int64
	atOnce(both, 8, func(b *store.Books, i int) {
		h := store.Holder{Account: store.HolderAccount(fmt.Sprint(2000 + i)), Number: "2000"}
		err := b.AddHolder(t.Context(), h, store.PIN{}, yuan)
		if err == nil {
			added.Add(1)
		} else if !errors.Is(err, store.ErrConflict) {
			t.Errorf("AddHolder: %v", err)
		}
	})
	if added.Load() != 1 {
		t.Errorf("%d holders of one number", added.Load())
	}
}

// raceLoad: a load is written once, whoever brings the proof, and an offer
// gets its stamp with nobody in between.
func raceLoad(t *testing.T, both [2]*store.Books) {
	addLoad(t, both[0], load1, 7)
	atOnce(both, 16, func(b *store.Books, i int) {
		err := b.WithCard(t.Context(), cardNo, func(c store.CardTx) error {
			last, err := c.LastOffer()
			if err != nil {
				return err
			}
			last.Stamp[0]++
			return errors.Join(c.Settle(load1, store.LoadWritten, "TAC"), c.AddOffer(last))
		})
		if err != nil {
			t.Errorf("WithCard: %v", err)
		}
	})
	if c, err := both[1].Card(t.Context(), cardNo); err != nil || c.Mirror != 40*yuan {
		t.Errorf("mirror %s, %v; want 40", c.Mirror, err)
	}
}

func raceAlarm(t *testing.T, both [2]*store.Books) {
	var first atomic.Int64
	atOnce(both, 16, func(b *store.Books, _ int) {
		isFirst, err := b.Alarm(t.Context(), store.Alarm{Kind: store.AlarmCounter, Ref: cardNo})
		if err != nil {
			t.Errorf("Alarm: %v", err)
		}
		if isFirst {
			first.Add(1)
		}
	})
	all, err := both[0].Alarms(t.Context())
	if err != nil || len(all) != 1 || all[0].Times != 16 || first.Load() != 1 {
		t.Errorf("Alarms = %+v, %v, %d were first", all, err, first.Load())
	}
}

// raceHear: a journal that has become shorter is one alarm, whoever hears it
// first: the others find it as it is.
func raceHear(t *testing.T, both [2]*store.Books) {
	const rounds = 10
	for range rounds {
		if err := both[0].Hear(t.Context(), "K01", store.Heard{JournalHead: 100}); err != nil {
			t.Fatal(err)
		}
		atOnce(both, 8, func(b *store.Books, _ int) {
			if err := b.Hear(t.Context(), "K01", store.Heard{JournalHead: 50}); err != nil {
				t.Errorf("Hear: %v", err)
			}
		})
	}
	all, err := both[0].Alarms(t.Context())
	if err != nil || len(all) != 1 || all[0].Kind != store.AlarmJournalRewound || all[0].Times != rounds {
		t.Errorf("Alarms = %+v, %v; want one, %d times", all, err, rounds)
	}
}

func raceSeen(t *testing.T, both [2]*store.Books) {
	for i := range 4 {
		no := fmt.Sprintf("S%d", i)
		create(t, both[0], no)
		reach(t, both[0], no, store.OrderClosed)
		reach(t, both[0], no, store.OrderPaid)
	}
	since := time.Now().Add(time.Second)
	atOnce(both, 8, func(b *store.Books, _ int) {
		if err := b.MarkSeen(t.Context(), holder, since); err != nil {
			t.Errorf("MarkSeen: %v", err)
		}
	})
	if v, err := both[0].View(t.Context(), cardNo, since); err != nil || v.Unseen || len(v.Late) != 0 {
		t.Errorf("View = %+v, %v", v, err)
	}
}
