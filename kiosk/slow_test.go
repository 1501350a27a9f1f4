package kiosk_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/reader/sim"
	"quancun/upstream/client"
)

// hung is an upstream that is gone without a word.
type hung struct{ upstream }

func (hung) LookUpCard(ctx context.Context, _ string) (client.Card, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second) // as the client does
	defer cancel()
	<-ctx.Done()
	return client.Card{}, ctx.Err()
}

// TestSlowCard: a card that takes too long to read is not shown a fault
// without a name.
func TestSlowCard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, hung{})
		c := factory(t, nil)
		for range 4 {
			c.Break(sim.Break{How: sim.Slow, Delay: 2900 * time.Millisecond})
		}
		s.slot.Lay(c)
		time.Sleep(16 * time.Second)
		if v := s.want(kiosk.Fault); v.Fault == 0 {
			t.Error("the fault has no name")
		}
		time.Sleep(30 * time.Second)
	})
}

// doubtful is an upstream that takes anybody's PIN, and takes its whole time
// over a report.
type doubtful struct{ upstream }

func (doubtful) LookUpCard(context.Context, string) (client.Card, error) {
	return client.Card{Status: client.CardActive}, nil
}

func (doubtful) SignIn(context.Context, string, []byte, *[kiosk.PINLength]byte) (client.Session, client.Account, error) {
	return client.Session("s"), client.Account{}, nil
}

func (doubtful) ReportLoad(ctx context.Context, _ client.LoadReport) (client.LoadStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second) // as the client does
	defer cancel()
	<-ctx.Done()
	return client.LoadStatus{}, ctx.Err()
}

// inDoubt is a journal with a load that only the upstream can settle.
type inDoubt struct{ kiosk.Book }

func (inDoubt) OpenFor(context.Context, string) ([]journal.Entry, error) {
	details := json.RawMessage(`{"counter":5,"balance":0,"terminal":"000000000001","at":"20260101000000"}`)
	return []journal.Entry{{Seq: 1, Kind: journal.LoadIntent, Ref: "00", Amount: 100, Details: details}}, nil
}

// TestCardFlutters: a card at the edge of the field comes and goes while the
// upstream is slow. The machine is free again after it.
func TestCardFlutters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStandOn(t, doubtful{}, inDoubt{})
		c := factory(t, func(h *sim.Holder) { h.PIN = pin })
		s.slot.Lay(c)
		s.want(kiosk.EnterPIN)
		s.inputs <- kiosk.Input{Event: kiosk.Typed, PIN: typed(pin)}
		s.want(kiosk.SigningIn)
		for range 10 { // in two and a half seconds
			s.slot.Take()
			time.Sleep(125 * time.Millisecond)
			s.slot.Lay(c)
			time.Sleep(125 * time.Millisecond)
		}
		s.slot.Take()
		time.Sleep(time.Minute)
		select {
		case s.inputs <- kiosk.Input{Event: kiosk.Leave}:
		case <-time.After(time.Hour):
			t.Fatal("nothing moves any more")
		}
		s.want(kiosk.Home)
	})
}
