package kiosk_test

import (
	"context"
	"errors"
	"testing"

	"quancun/kiosk"
	"quancun/ledger/feed"
	"quancun/reader/purse"
	"quancun/upstream/store"
)

func (w *world) setHot() {
	w.t.Helper()
	w.ok(w.books.SetCardStatus(w.t.Context(), cardNo, store.CardHot))
}

// TestFoundCard: of a lost card on the reader its owner is told, also while only the
// hotlist of this terminal knows of it; and what could not be told is not claimed.
func TestFoundCard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var told []string
	var fails error
	w.found = func(_ context.Context, no string) error {
		told = append(told, no)
		return fails
	}
	w.restart()
	w.setHot()
	for _, tt := range []struct {
		name string
		away bool
		err  error
		want kiosk.Code
	}{{"Told", false, nil, kiosk.CodeKept}, {"NotTold", false, errors.New("journal"), kiosk.CodeHot}, {"Away", true, nil, kiosk.CodeKept}} {
		told, fails = nil, tt.err
		p := w.look()
		p.instead = map[kiosk.Step]func(kiosk.View){kiosk.Present: func(kiosk.View) {
			if tt.away {
				w.eventually(func() string {
					no, err := purse.ParseCardNo(cardNo)
					w.ok(err)
					if _, hot := w.feeds.Hot(feed.Card(no)); !hot {
						return "the hotlist is not here"
					}
					return ""
				})
				w.up.leave()
			}
			w.slot.Lay(w.card)
		}}
		p.visit(nil)
		v, ok := p.saw(kiosk.Fault)
		if !ok || v.Fault != tt.want || len(told) != 1 || told[0] != cardNo {
			t.Errorf("%s: walked %v, told %+v, owner %q", tt.name, p.walk, v, told)
		}
	}
}

// TestLostMeanwhile: a card that is reported lost while it lies on the reader gets
// nothing from then on; what was paid is on the account.
func TestLostMeanwhile(t *testing.T) {
	for _, tt := range []struct {
		name  string
		at    kiosk.Step
		ends  kiosk.Step
		code  kiosk.Code
		gains bool
	}{{"Amount", kiosk.Amount, kiosk.Fault, kiosk.CodeHot, false}, {"Pay", kiosk.Pay, kiosk.OnAccount, kiosk.CodeHot, true}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := w.topUp()
			p.instead = map[kiosk.Step]func(kiosk.View){tt.at: func(v kiosk.View) {
				w.setHot()
				p.instead = nil
				p.act(v)
			}}
			p.visit(nil)
			want := opening
			if tt.gains {
				want += 20 * yuan
			}
			v, ok := p.saw(tt.ends)
			if !ok || v.Fault != tt.code || w.balance() != want || w.purse() != opening {
				t.Errorf("walked %v, told %+v; %s on the account, %s on the card", p.walk, v, w.balance(), w.purse())
			}
		})
	}
}
