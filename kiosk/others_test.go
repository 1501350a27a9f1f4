package kiosk_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"quancun/kiosk"
	"quancun/ledger/feed"
)

// TestOthers: how other people's services stand comes with the terminal's health,
// whenever it changes, and is not forgotten while the upstream is away.
func TestOthers(t *testing.T) {
	w := newCampus(t)
	p := w.newPost("K01", 0)
	p.open()
	defer p.close()
	now := []kiosk.Standing{{Service: kiosk.NetworkService}}
	health := make(chan kiosk.Health, 1)
	keeper := &kiosk.Keeper{
		Upstream: p.up, Outbox: p.journal(), Push: p.pusher, Pull: feed.NewPuller(p.feeds, kiosk.FeedSource(p.up), p.log),
		Feeds: p.feeds, Clock: p.clock, Terms: p.terms, InHand: p.hand, Health: health, Log: p.log,
		Others: func(context.Context) []kiosk.Standing { return append([]kiosk.Standing(nil), now...) },
	}
	round := func(told bool, upstream bool) {
		t.Helper()
		keeper.Round(t.Context(), false)
		select {
		case h := <-health:
			if !told || h.Upstream != upstream || !reflect.DeepEqual(h.Others, now) {
				t.Errorf("told %t: %+v, want %+v", told, h, now)
			}
		default:
			if told {
				t.Error("the change was not told")
			}
		}
	}
	round(true, true)
	round(false, true)
	now[0].Since = time.Now()
	round(true, true)
	p.up.leave()
	round(true, false)
	round(false, false)
}
