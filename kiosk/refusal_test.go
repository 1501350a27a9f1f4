package kiosk_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"quancun/kiosk"
	"quancun/reader/purse"
	"quancun/reader/sim"
	"quancun/upstream/store"
)

// TestWrongPIN: a wrong PIN says how many tries are left, the right one after
// it is taken, and the card's own tries are not touched.
func TestWrongPIN(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.look()
	var hints []kiosk.PINHint
	p.instead = map[kiosk.Step]func(kiosk.View){kiosk.EnterPIN: func(v kiosk.View) {
		hints = append(hints, v.PIN)
		digits := "000000"
		if len(hints) == 3 {
			digits = pin
		}
		w.input <- kiosk.Input{Event: kiosk.Typed, PIN: typed(digits)}
	}}
	p.visit(nil)
	want := []kiosk.PINHint{{}, {Wrong: true, TriesLeft: 4}, {Wrong: true, TriesLeft: 3}}
	if len(hints) != 3 || hints[1] != want[1] || hints[2] != want[2] {
		t.Errorf("hints %+v, want %+v", hints, want)
	}
	if _, ok := p.saw(kiosk.Account); !ok || w.card.State().PINTries != 3 {
		t.Errorf("walked %v, card has %d tries", p.walk, w.card.State().PINTries)
	}
}

// TestPINLocked: the fifth wrong PIN locks it, here and for the next visit,
// and the card still has its own tries.
func TestPINLocked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wrong := map[kiosk.Step]func(kiosk.View){kiosk.EnterPIN: func(kiosk.View) {
		w.input <- kiosk.Input{Event: kiosk.Typed, PIN: typed("000000")}
	}}
	for range 2 {
		p := w.topUp()
		p.instead = wrong
		p.visit(nil)
		if v, ok := p.saw(kiosk.Fault); !ok || v.Fault != kiosk.CodePINLocked {
			t.Errorf("walked %v, told %+v", p.walk, v)
		}
	}
	if w.card.State().PINTries != 3 {
		t.Errorf("card has %d tries", w.card.State().PINTries)
	}
}

// TestCardPIN: a card whose own PIN is another one is sent to the centre, with
// a code that tells the clerk which of the two it is.
func TestCardPIN(t *testing.T) {
	for _, tt := range []struct {
		name  string
		tries int
		want  kiosk.Code
	}{{"Other", 3, kiosk.CodeCardPIN}, {"Locked", 0, kiosk.CodeCardPINLock}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.ok(w.card.Update(func(s *sim.State) { s.PIN, s.PINTries = sim.Secret{0x99, 0x99, 0x99}, tt.tries }))
			p := w.look().visit(nil)
			if v, ok := p.saw(kiosk.Fault); !ok || v.Fault != tt.want {
				t.Errorf("walked %v, told %+v", p.walk, v)
			}
		})
	}
}

// TestRefusedCards: what the upstream knows of a card is said before any PIN.
func TestRefusedCards(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*world)
		want   kiosk.Code
	}{
		{"Hot", func(w *world) { w.ok(w.books.SetCardStatus(w.t.Context(), cardNo, store.CardHot)) }, kiosk.CodeHot},
		{"Retired", func(w *world) {
			w.ok(w.books.SetCardStatus(w.t.Context(), cardNo, store.CardRetired))
		}, kiosk.CodeRetired},
		{"Unknown", func(w *world) { w.card = factory(w.t, func(h *sim.Holder) { h.CardNo[9] ^= 1 }) }, kiosk.CodeUnknownCard},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tt.change(w)
			p := w.topUp().visit(nil)
			if v, ok := p.saw(kiosk.Fault); !ok || v.Fault != tt.want || len(p.walk) > 4 {
				t.Errorf("walked %v, told %+v", p.walk, v)
			}
		})
	}
}

// TestOtherCard: somebody else's card on the reader gets nothing of what was
// paid, and the right one, put back after it, gets all.
func TestOtherCard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := factory(t, func(h *sim.Holder) { h.CardNo[9], h.UID = 0x99, [4]byte{9, 9, 9, 9} })
	p := w.topUp()
	first := true
	p.instead = map[kiosk.Step]func(kiosk.View){
		kiosk.Pay: func(v kiosk.View) { w.slot.Take(); p.pay(v) },
		kiosk.Replace: func(v kiosk.View) {
			w.slot.Take()
			if first {
				first = false
				w.slot.Lay(other)
				return
			}
			if v.Notice == kiosk.OtherCardThere {
				w.slot.Lay(w.card)
			}
		},
	}
	p.visit(nil)
	if v, ok := p.saw(kiosk.Done); !ok || v.Balance.Purse != 50*yuan {
		t.Errorf("walked %v, told %+v", p.walk, p.told)
	}
	if other.State().Balance != uint32(50*yuan) {
		t.Errorf("the other card has %d fen", other.State().Balance)
	}
	w.agree()
}

// TestUpstreamGone: the upstream goes away for good at each call of a top-up,
// and comes back after a power cut.
func TestUpstreamGone(t *testing.T) {
	for _, point := range []string{"CreateTopUp", "GetTopUp", "PlanLoad", "AuthorizeLoad", "ReportLoad"} {
		for _, kept := range []bool{false, true} {
			name := point + "/Lost"
			if kept {
				name = point + "/Kept"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.up.goAway(point, kept)
				p := w.topUp()
				if point == "GetTopUp" {
					p.instead = map[kiosk.Step]func(kiosk.View){kiosk.Pay: func(v kiosk.View) {
						p.pay(v)
						w.input <- kiosk.Input{Event: kiosk.Leave} // and gives up waiting
					}}
				}
				w.survive(p.visit(nil))
			})
		}
	}
}

// TestDoubtShown: a load in doubt is settled at the next visit, and the person
// is told so in a line.
func TestDoubtShown(t *testing.T) {
	for _, tt := range []struct {
		how  sim.How
		want kiosk.Notice
	}{{sim.TearAfter, kiosk.DoubtSettled}, {sim.TearBefore, kiosk.DoubtUndone}} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.card.Break(sim.Break{How: tt.how, INS: 0x52})
			p := w.topUp()
			p.keeps = true
			p.visit(nil)
			again := w.topUp() // to the amounts, where nothing else happens first
			seen := kiosk.NoNotice
			again.instead = map[kiosk.Step]func(kiosk.View){kiosk.Amount: func(v kiosk.View) {
				seen = v.Notice
				w.input <- kiosk.Input{Event: kiosk.Leave}
			}}
			again.visit(nil)
			if seen != tt.want {
				t.Errorf("notice %d, want %d; walked %v", seen, tt.want, again.walk)
			}
		})
	}
}

// TestCardLog: the card's own log tells of the top-up.
func TestCardLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.topUp().visit(nil)
	p := w.look()
	next := []kiosk.Event{kiosk.ChoseCardLog, kiosk.Leave}
	p.instead = map[kiosk.Step]func(kiosk.View){
		kiosk.Account: func(kiosk.View) {
			w.input <- kiosk.Input{Event: next[0]}
			next = next[1:]
		},
		kiosk.CardLog: func(kiosk.View) {},
	}
	var log kiosk.Log
	p.visit(func(v kiosk.View) bool {
		if v.Log.Read {
			log = v.Log
			w.input <- kiosk.Input{Event: kiosk.Back}
		}
		return false
	})
	if len(log.Movements) != 1 || log.Movements[0].Amount != 20*yuan || log.Movements[0].Kind != kiosk.MovedLoad ||
		time.Since(log.Movements[0].At) > time.Hour {
		t.Errorf("card log %+v", log)
	}
}

// TestDiskFull: a machine whose disk is nearly full is closed before anybody
// can pay, and says why.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.crash()
	w.options.RoomMin = math.MaxInt64
	w.startTerminal()
	v := w.shows("that it is closed", func(v kiosk.View) bool { return v.Step == kiosk.OutOfOrder })
	if v.Fault != kiosk.CodeFull {
		t.Errorf("fault %d", v.Fault)
	}
}

// TestNothingSecret: after a whole top-up with a wrong PIN before it, no PIN,
// whole name or key is in the journal, the books, or what the screen was told.
func TestNothingSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.topUp()
	tried := false
	var shown strings.Builder
	p.instead = map[kiosk.Step]func(kiosk.View){kiosk.EnterPIN: func(kiosk.View) {
		digits := pin
		if !tried {
			digits = "314159"
		}
		tried = true
		w.input <- kiosk.Input{Event: kiosk.Typed, PIN: typed(digits)}
	}}
	p.visit(func(v kiosk.View) bool { describe(&shown, v); return false })
	w.agree()
	w.crash()
	for _, secret := range []string{pin, "314159", "欧阳晓明"} {
		if strings.Contains(shown.String(), secret) {
			t.Errorf("the screen was told %q", secret)
		}
	}
	no, err := purse.ParseCardNo(cardNo)
	w.ok(err)
	if strings.Contains(shown.String(), no.Full()) {
		t.Error("the screen was told the whole card number")
	}
	w.searchFiles(pin, "314159")
}

// TestClockWrong: a machine whose clock is a day or decades off tops up all the
// same, counts down as it should, and dates receipts by the upstream.
func TestClockWrong(t *testing.T) {
	for _, ahead := range []time.Duration{-24 * time.Hour, 25 * time.Hour, -56 * 365 * 24 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorldAhead(t, ahead)
			p := w.topUp()
			p.instead = map[kiosk.Step]func(kiosk.View){kiosk.Pay: func(v kiosk.View) {
				if left := time.Until(v.TopUp.Expires); left < 80*time.Second || left > 100*time.Second {
					t.Errorf("the code is shown as good for %v", left)
				}
				p.pay(v)
			}}
			p.visit(nil)
			if v, ok := p.saw(kiosk.Done); !ok || time.Since(v.Receipt.At).Abs() > time.Minute {
				t.Errorf("walked %v, receipt of %v", p.walk, v.Receipt.At)
			}
			w.agree()
		})
	}
}

// TestReaderPulled: the reader's cable is pulled while the card is written, and
// plugged back in.
func TestReaderPulled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.topUp()
	p.instead = map[kiosk.Step]func(kiosk.View){
		kiosk.Pay: func(v kiosk.View) {
			w.slot.Plug(false)
			p.pay(v)
		},
		kiosk.Replace: func(kiosk.View) {
			w.slot.Plug(true)
			w.slot.Lay(w.card)
		},
	}
	p.visit(nil)
	if _, ok := p.saw(kiosk.Done); !ok {
		t.Errorf("walked %v", p.walk)
	}
	w.agree()
}
