package pcsc_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
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

// timeout is longer than a card takes that answers, on a machine with much else to do.
const timeout = 2 * time.Second

// start starts a real pcscd for one test.
func start(t *testing.T) *pcsctest.Service {
	t.Helper()
	pcsctest.Need(t)
	s, err := pcsctest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("pcscd said:\n%s", s.Log())
		}
		if err := s.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	return s
}

func TestDevice(t *testing.T) {
	pcsctest.Need(t)
	readertest.Run(t, func(t *testing.T) readertest.Bench {
		s := start(t)
		d := pcsc.New(pcsc.Options{Reader: s.Reader(0), Timeout: timeout})
		return readertest.Bench{Device: d, Lay: readertest.Dial(s.Addr(0)), Timeout: timeout}
	})
}

// watch runs reader.Watch until the test ends and returns its channel.
func watch(t *testing.T, d reader.Device) <-chan reader.State {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	changes, done := make(chan reader.State), make(chan error)
	go func() { done <- reader.Watch(ctx, d, changes, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		for range changes {
		}
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Watch = %v, want %v", err, context.Canceled)
		}
		if err := d.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return changes
}

func await(t *testing.T, changes <-chan reader.State, what string, want func(reader.State) bool) reader.State {
	t.Helper()
	timer := time.NewTimer(30 * time.Second)
	defer timer.Stop()
	var seen []reader.State
	for {
		select {
		case s := <-changes:
			if seen = append(seen, s); want(s) {
				return s
			}
		case <-timer.C:
			t.Fatalf("never %s; saw %+v", what, seen)
		}
	}
}

// TestServiceRestarts restarts pcscd again and again under a Watch, while a card
// lies on the reader, and reads the card after each restart.
func TestServiceRestarts(t *testing.T) {
	s := start(t)
	d := pcsc.New(pcsc.Options{Reader: "virtual pcd 00 00", Timeout: timeout})
	changes := watch(t, d)
	virtual := readertest.NewCard(t)
	var before uint32
	for i := range 8 {
		take := readertest.Dial(s.Addr(0))(t, virtual)
		now := await(t, changes, "a card", func(now reader.State) bool { return now.Card })
		if now.Insertions <= before {
			t.Errorf("round %d: insertion %d after %d", i, now.Insertions, before)
		}
		before = now.Insertions
		card, err := d.Connect()
		if err != nil {
			t.Fatalf("round %d: Connect: %v", i, err)
		}
		if _, err := purse.Open(card, profile.Default()); err != nil {
			t.Errorf("round %d: Open: %v", i, err)
		}
		if err := s.Halt(); err != nil {
			t.Fatal(err)
		}
		if _, err := apdu.Transmit(card, apdu.Command{INS: 0xA4}); err == nil || apdu.Answered(err) {
			t.Errorf("round %d: without a service a card says %v, want silence", i, err)
		}
		card.Close()
		if _, err := d.Connect(); err == nil {
			t.Errorf("round %d: connected without a service", i)
		}
		await(t, changes, "disconnected", func(now reader.State) bool { return !now.Connected })
		take()
		if err := s.Resume(); err != nil {
			t.Fatal(err)
		}
		await(t, changes, "connected", func(now reader.State) bool { return now.Connected && !now.Card })
	}
	if n := openFiles(t); n > 40 {
		t.Errorf("%d files are open: sockets to services of the past are left", n)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// TestNoService has no pcscd at all. It is an error that passes, and not the
// end.
func TestNoService(t *testing.T) {
	s := start(t)
	if err := s.Halt(); err != nil {
		t.Fatal(err)
	}
	d := pcsc.New(pcsc.Options{Timeout: timeout})
	defer d.Close()
	if _, err := d.Wait(t.Context(), reader.State{}); err == nil {
		t.Error("there is a reader without a service")
	}
	if _, err := d.Connect(); err == nil {
		t.Error("connected without a service")
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	if now, err := d.Wait(t.Context(), reader.State{}); err != nil || !now.Connected {
		t.Errorf("Wait = %+v, %v; want connected", now, err)
	}
}

// TestNoReader waits for a reader that is not there. That is a state and no
// error.
func TestNoReader(t *testing.T) {
	start(t)
	d := pcsc.New(pcsc.Options{Reader: "no such reader", Timeout: timeout})
	defer d.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if now, err := d.Wait(ctx, reader.State{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Wait = %+v, %v; want %v", now, err, context.DeadlineExceeded)
	}
	if _, err := d.Connect(); !errors.Is(err, reader.ErrNoCard) {
		t.Errorf("Connect = %v, want %v", err, reader.ErrNoCard)
	}
}

// TestPluggedElsewhere: a reader that has come back under another name is found again also
// by one who only looks before each connection, as a SAM's slot does.
func TestPluggedElsewhere(t *testing.T) {
	s := start(t)
	d := pcsc.New(pcsc.Options{Reader: "pcd 00 00", Timeout: timeout})
	t.Cleanup(func() { _ = d.Close() })
	connect := func() (err error) {
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
			ctx, stop := context.WithTimeout(t.Context(), 500*time.Millisecond)
			_, _ = d.Wait(ctx, reader.State{}) // Connect says what is wrong
			stop()
			var card reader.Card
			if card, err = d.Connect(); err == nil {
				return card.Close()
			}
		}
		return err
	}
	virtual := readertest.NewCard(t)
	take := readertest.Dial(s.Addr(0))(t, virtual)
	if err := connect(); err != nil {
		t.Fatal(err)
	}
	take()
	if err := s.Pull(); err != nil {
		t.Fatal(err)
	}
	if err := s.PlugAs("Other PCD"); err != nil {
		t.Fatal(err)
	}
	defer readertest.Dial(s.Addr(0))(t, virtual)()
	if err := connect(); err != nil {
		t.Errorf("in another slot: %v", err)
	}
}

// TestReaderPulled pulls the last reader out and plugs it back in. The service
// without readers is no error, and the reader is found again by itself.
func TestReaderPulled(t *testing.T) {
	s := start(t)
	d := pcsc.New(pcsc.Options{Timeout: timeout})
	changes := watch(t, d)
	for range 3 {
		await(t, changes, "connected", func(now reader.State) bool { return now.Connected })
		if err := s.Pull(); err != nil {
			t.Fatal(err)
		}
		await(t, changes, "disconnected", func(now reader.State) bool { return !now.Connected })
		other := pcsc.New(pcsc.Options{Timeout: timeout})
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if now, err := other.Wait(ctx, reader.State{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait = %+v, %v; want %v", now, err, context.DeadlineExceeded)
		}
		cancel()
		other.Close()
		if err := s.Plug(); err != nil {
			t.Fatal(err)
		}
	}
	await(t, changes, "connected", func(now reader.State) bool { return now.Connected })
}

// TestTornAndBackAtOnce tears a card and puts it back before pcscd has looked.
// pcscd sees no change, or one that it takes back; the device must still say
// that there is a card to be asked.
func TestTornAndBackAtOnce(t *testing.T) {
	s := start(t)
	d := pcsc.New(pcsc.Options{Timeout: timeout})
	changes := watch(t, d)
	virtual := readertest.NewCard(t)
	readertest.Dial(s.Addr(0))(t, virtual)
	before := await(t, changes, "a card", func(now reader.State) bool { return now.Card })
	card, err := d.Connect()
	if err != nil {
		t.Fatal(err)
	}
	virtual.Break(sim.Break{How: sim.TearBefore, INS: 0xB0})
	if _, err := purse.Open(card, profile.Default()); err == nil || apdu.Answered(err) {
		t.Errorf("Open = %v, want silence", err)
	}
	readertest.Dial(s.Addr(0))(t, virtual)
	card.Close()
	await(t, changes, "asked anew", func(now reader.State) bool {
		return now.Card && now.Insertions > before.Insertions
	})
	if card, err = d.Connect(); err != nil {
		t.Fatal(err)
	}
	defer card.Close()
	if _, err := purse.Open(card, profile.Default()); err != nil {
		t.Errorf("Open: %v", err)
	}
}

// TestOnlyOurReader lays a card on the other reader, which must not matter.
func TestOnlyOurReader(t *testing.T) {
	s := start(t)
	d := pcsc.New(pcsc.Options{Reader: s.Reader(1), Timeout: timeout})
	changes := watch(t, d)
	await(t, changes, "connected", func(now reader.State) bool { return now.Connected })
	readertest.Dial(s.Addr(0))(t, sim.New(sim.Foreign(sim.Bank, [4]byte{1})))
	readertest.Dial(s.Addr(1))(t, readertest.NewCard(t))
	if now := await(t, changes, "a card", func(now reader.State) bool { return now.Card }); now.Insertions != 1 {
		t.Errorf("state %+v, want one insertion", now)
	}
	card, err := d.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer card.Close()
	if _, err := purse.Open(card, profile.Default()); err != nil {
		t.Errorf("Open: %v", err)
	}
	for _, command := range [][]byte{nil, {0}} {
		if _, err := card.Transmit(command); err == nil {
			t.Errorf("%X was sent", command)
		}
	}
}

// TestForeign lays down what is no campus card.
func TestForeign(t *testing.T) {
	s := start(t)
	d := pcsc.New(pcsc.Options{Timeout: timeout})
	changes := watch(t, d)
	for _, m := range []sim.Model{sim.Bank, sim.M1, sim.Blank} {
		t.Run(fmt.Sprint(m), func(t *testing.T) {
			take := readertest.Dial(s.Addr(0))(t, sim.New(sim.Foreign(m, [4]byte{1, 2, 3, 4})))
			await(t, changes, "a card", func(now reader.State) bool { return now.Card })
			card, err := d.Connect()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := purse.Open(card, profile.Default()); !errors.Is(err, purse.ErrForeign) {
				t.Errorf("Open = %v, want %v", err, purse.ErrForeign)
			}
			card.Close()
			take()
			await(t, changes, "empty", func(now reader.State) bool { return now.Connected && !now.Card })
		})
	}
}
