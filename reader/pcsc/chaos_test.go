package pcsc_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"quancun/reader"
	"quancun/reader/apdu"
	"quancun/reader/pcsc"
	"quancun/reader/pcsctest"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/reader/readertest"
	"quancun/reader/sim"
)

// hand lays a card down again and again, as somebody does whom a screen asks to
// put the card back, until it is told to keep off.
type hand struct {
	t    *testing.T
	addr string
	card *sim.Card
	stop context.CancelFunc
	done sync.WaitGroup
}

func (h *hand) lay() {
	ctx, cancel := context.WithCancel(context.WithoutCancel(h.t.Context()))
	h.stop = cancel
	h.done.Go(func() {
		for ctx.Err() == nil {
			_ = sim.Serve(ctx, h.addr, h.card) // it is the test that tears it
			select {
			case <-time.After(30 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
}

func (h *hand) keepOff() {
	h.stop()
	h.done.Wait()
}

// TestChaos breaks what can break, one after the other in a random order, under
// a terminal that only follows the device's states. After each, the terminal
// must get to read the card, with nobody's help. The seed is fixed, as pcscd's
// timing is chance enough.
func TestChaos(t *testing.T) {
	s := start(t)
	d := pcsc.New(pcsc.Options{Timeout: timeout})
	changes := watch(t, d)
	h := &hand{t: t, addr: s.Addr(0), card: readertest.NewCard(t)}
	h.lay()
	t.Cleanup(h.keepOff)
	dice := rand.New(rand.NewPCG(1, 2))
	for round := range 15 {
		card := readCard(t, d, changes)
		what := dice.IntN(5)
		t.Logf("round %d: %d", round, what)
		switch what {
		case 0: // torn, and back at once
			breakAt(t, h.card, card, sim.Break{How: sim.TearBefore, INS: 0xB0})
		case 1: // torn while the service restarts
			h.card.Break(sim.Break{How: sim.Slow, INS: 0xB0, Delay: time.Hour})
			restarted := make(chan error)
			go func() { restarted <- restart(s) }()
			breakAt(t, h.card, card, sim.Break{})
			if err := <-restarted; err != nil {
				t.Fatal(err)
			}
		case 2: // silent, then taken and laid down again
			breakAt(t, h.card, card, sim.Break{How: sim.SilentBefore, INS: 0xB0})
			h.keepOff()
			h.lay()
		case 3: // swapped for itself while nobody talks to it
			h.keepOff()
			h.lay()
			breakAt(t, h.card, card, sim.Break{})
		case 4: // nothing; the terminal lets go, and the card is laid down anew
			h.keepOff()
			h.lay()
		}
		card.Close()
		h.card.Mend()
	}
}

func restart(s *pcsctest.Service) error {
	time.Sleep(50 * time.Millisecond)
	return s.Restart()
}

// breakAt breaks virtual at its next READ BINARY, and sends one to it.
func breakAt(t *testing.T, virtual *sim.Card, card reader.Card, b sim.Break) {
	t.Helper()
	if b.How != 0 {
		virtual.Break(b)
	}
	if _, err := apdu.Transmit(card, apdu.Command{INS: 0xB0, P1: 0x95, Le: 4}); err == nil || apdu.Answered(err) {
		t.Errorf("a broken card says %v, want silence", err)
	}
}

// readCard follows the device until a card has been read, as a terminal does: it
// tries once for each state with a card.
func readCard(t *testing.T, d reader.Device, changes <-chan reader.State) reader.Card {
	t.Helper()
	var last error
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for {
		select {
		case now := <-changes:
			if !now.Card {
				continue
			}
		case <-deadline.C:
			t.Fatalf("the card was never read again, last because of: %v", last)
		}
		card, err := d.Connect()
		if err == nil {
			if _, err = purse.Open(card, profile.Default()); err == nil {
				return card
			}
			card.Close()
		}
		if last = err; errors.Is(err, purse.ErrForeign) {
			t.Errorf("our card is taken for a foreign one: %v", err)
		}
	}
}
