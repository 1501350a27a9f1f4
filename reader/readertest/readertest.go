// Package readertest holds every [reader.Device] to one behaviour, with virtual
// cards that tear, fall silent and are swapped.
package readertest

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"quancun/pboc"
	"quancun/reader"
	"quancun/reader/apdu"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/reader/sim"
	"quancun/reader/vpcd"
)

// Bench is a device under test and the hand that lays cards on it.
type Bench struct {
	Device reader.Device

	// Lay lays c on the device, which may take its time to see it, and
	// returns a function that takes c away. A test lays one card at a time.
	Lay func(t *testing.T, c *sim.Card) (take func())

	// Timeout is the device's time limit for a card. Keep it short.
	Timeout time.Duration
}

// patience is how long a device may take to see what happened. pcscd looks
// every half second, and the machine may be busy.
const patience = 20 * time.Second

// Run runs the conformance tests. newBench returns a bench of its own for each,
// whose device Run closes.
func Run(t *testing.T, newBench func(*testing.T) Bench) {
	for _, tt := range []struct {
		name string
		test func(*testing.T, *bench)
	}{
		{"Purse", testPurse},
		{"NoCard", testNoCard},
		{"Exclusive", testExclusive},
		{"Swap", testSwap},
		{"TearBefore", testTearBefore},
		{"TearAfter", testTearAfter},
		{"TakenInMidCommand", testTaken},
		{"Silent", testSilent},
		{"PINForgotten", testPINForgotten},
		{"WaitEnds", testWaitEnds},
		{"Closed", testClosed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &bench{Bench: newBench(t), t: t}
			t.Cleanup(func() {
				if err := b.Device.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			b.until("connected and empty", func(s reader.State) bool { return s.Connected && !s.Card })
			tt.test(t, b)
		})
	}
}

// bench is a Bench in the hands of one test.
type bench struct {
	Bench
	t    *testing.T
	last reader.State
}

// until waits until the device's state is as wanted.
func (b *bench) until(what string, want func(reader.State) bool) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	for !want(b.last) {
		now, err := b.Device.Wait(ctx, b.last)
		if ctx.Err() != nil {
			b.t.Fatalf("never %s, last state %+v", what, b.last)
		}
		if err != nil {
			time.Sleep(50 * time.Millisecond) // the service may be starting
			now = reader.State{}
		} else if now == b.last {
			b.t.Fatalf("Wait returned the state it was given: %+v", now)
		}
		b.last = now
	}
}

// lay lays c down and waits until the device has seen it.
func (b *bench) lay(c *sim.Card) (take func()) {
	b.t.Helper()
	before := b.last.Insertions
	take = b.Lay(b.t, c)
	b.until("a card", func(s reader.State) bool { return s.Card && s.Insertions > before })
	return take
}

// away waits until the device has seen that the card is gone.
func (b *bench) away() {
	b.t.Helper()
	b.until("empty", func(s reader.State) bool { return s.Connected && !s.Card })
}

func (b *bench) connect() reader.Card {
	b.t.Helper()
	card, err := b.Device.Connect()
	if err != nil {
		b.t.Fatalf("Connect: %v", err)
	}
	b.t.Cleanup(func() { card.Close() })
	return card
}

// NewCard returns a campus card with 50 yuan on it.
func NewCard(t testing.TB) *sim.Card {
	t.Helper()
	s, err := sim.Issue(profile.Default(), sim.LabMasters, sim.Holder{
		CardNo: purse.CardNo{0, 0, 0x20, 0x26, 0, 1, 0, 1, 0x23, 0x45}, UID: [4]byte{4, 0xA1, 0xB2, 0xC3},
		Name: "张三", Number: "202600012345", Start: 20260901, Expiry: 20300831, Balance: 5000,
	})
	if err != nil {
		t.Fatal(err)
	}
	return sim.New(s)
}

var (
	terminal = pboc.TerminalNo{1, 2, 3, 4, 5, 6}
	at       = pboc.Stamp{0x20, 0x26, 0x09, 0x15, 0x08, 0x30, 0x15}
)

const amount = 1000

// load loads amount, as far as the card lets it.
func load(t *testing.T, card purse.Card) (purse.Torn, pboc.MAC, error) {
	t.Helper()
	info, err := purse.Open(card, profile.Default())
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	verify(t, card)
	o, err := purse.InitLoad{KeyIndex: 1, Amount: amount, Terminal: terminal}.Send(card)
	if err != nil {
		t.Fatal(err)
	}
	l := pboc.Load{Balance: o.Balance, Counter: o.Counter, Amount: amount, Terminal: terminal, At: at}
	session := sim.LabMasters.Load.Diversify(info.Factor).LoadSession(o.Random, o.Counter)
	tac, err := purse.CreditLoad{At: at, MAC2: l.MAC2(session)}.Send(card)
	return purse.Torn{Counter: o.Counter, Balance: o.Balance, Amount: amount, Terminal: terminal, At: at}, tac, err
}

func verify(t *testing.T, card purse.Card) {
	t.Helper()
	pin := purse.PIN{'1', '2', '3', '4', '5', '6'}
	if err := (purse.VerifyPIN{PIN: &pin}).Send(card); err != nil {
		t.Fatal(err)
	}
}

// testPurse loads a card and reads it again.
func testPurse(t *testing.T, b *bench) {
	take := b.lay(NewCard(t))
	card := b.connect()
	if len(card.ATR()) < 2 {
		t.Errorf("ATR = %X", card.ATR())
	}
	if _, tac, err := load(t, card); err != nil || !tac.Valid() {
		t.Errorf("load: TAC %X, %v", tac, err)
	}
	info, err := purse.Open(card, profile.Default())
	if err != nil || info.Balance != 6000 || info.Name != "张三" || info.UID != "04A1B2C3" {
		t.Errorf("afterwards: %+v, %v", info, err)
	}
	for range 2 {
		if err := card.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	take()
	b.away()
}

func testNoCard(t *testing.T, b *bench) {
	if _, err := b.Device.Connect(); !errors.Is(err, reader.ErrNoCard) {
		t.Errorf("Connect = %v, want %v", err, reader.ErrNoCard)
	}
}

func testExclusive(t *testing.T, b *bench) {
	b.lay(NewCard(t))
	card := b.connect()
	if other, err := b.Device.Connect(); !errors.Is(err, reader.ErrBusy) {
		t.Errorf("a second Connect = %v, %v; want %v", other, err, reader.ErrBusy)
	}
	if _, err := purse.Open(card, profile.Default()); err != nil {
		t.Errorf("the first one: %v", err)
	}
	if err := card.Close(); err != nil {
		t.Error(err)
	}
	b.connect()
}

// testSwap puts another card in the place of the first one while nobody looks.
func testSwap(t *testing.T, b *bench) {
	first := NewCard(t)
	take := b.lay(first)
	card := b.connect()
	before := b.last
	take()
	other := sim.New(sim.Foreign(sim.Bank, [4]byte{9, 9, 9, 9}))
	b.Lay(t, other)
	b.until("another card", func(s reader.State) bool { return s.Card && s.Insertions > before.Insertions })

	// What was connected is the first card, and stays it.
	if _, err := purse.Open(card, profile.Default()); err == nil || apdu.Answered(err) {
		t.Errorf("the first card answered after it was taken: %v", err)
	}
	card.Close()
	if _, err := purse.Open(b.connect(), profile.Default()); !errors.Is(err, purse.ErrForeign) {
		t.Errorf("Open = %v, want %v", err, purse.ErrForeign)
	}
}

func testTearBefore(t *testing.T, b *bench) {
	testTear(t, b, sim.TearBefore, purse.Verdict{Outcome: purse.NotExecuted, Evidence: purse.ByCounter})
}

func testTearAfter(t *testing.T, b *bench) {
	testTear(t, b, sim.TearAfter, purse.Verdict{Outcome: purse.Executed, Evidence: purse.ByProof | purse.ByLog})
}

// testTear tears a load, puts the card back and settles.
func testTear(t *testing.T, b *bench, how sim.How, want purse.Verdict) {
	virtual := NewCard(t)
	b.lay(virtual)
	card := b.connect()
	virtual.Break(sim.Break{How: how, INS: 0x52})
	torn, _, err := load(t, card)
	if err == nil || apdu.Answered(err) {
		t.Fatalf("CREDIT FOR LOAD = %v, want silence", err)
	}
	if _, err := apdu.Transmit(card, apdu.Command{INS: 0xA4}); err == nil || apdu.Answered(err) {
		t.Errorf("a torn card says %v, want silence", err)
	}
	card.Close()
	b.away()
	b.lay(virtual)
	b.settle(torn, want)
}

func (b *bench) settle(torn purse.Torn, want purse.Verdict) {
	b.t.Helper()
	card := b.connect()
	defer card.Close()
	if _, err := purse.Open(card, profile.Default()); err != nil {
		b.t.Fatal(err)
	}
	verify(b.t, card)
	got, err := purse.SettleLoad(card, profile.Default(), torn)
	got.TAC, got.MAC2 = pboc.MAC{}, pboc.MAC{}
	if err != nil || got != want {
		b.t.Errorf("SettleLoad = %+v, %v; want %+v", got, err, want)
	}
}

// testTaken takes the card away while it computes.
func testTaken(t *testing.T, b *bench) {
	virtual := NewCard(t)
	take := b.lay(virtual)
	card := b.connect()
	virtual.Break(sim.Break{How: sim.Slow, INS: 0xB0, Delay: patience})
	time.AfterFunc(50*time.Millisecond, take)
	_, err := apdu.Transmit(card, apdu.Command{INS: 0xB0, P1: 0x95, Le: 4})
	if err == nil || apdu.Answered(err) || errors.Is(err, reader.ErrSilent) {
		t.Errorf("err = %v, want that it has gone", err)
	}
	card.Close()
	b.away()
}

// testSilent lets a card never answer. The device gives up in time, and works
// again once that card has left.
func testSilent(t *testing.T, b *bench) {
	virtual := NewCard(t)
	take := b.lay(virtual)
	card := b.connect()
	virtual.Break(sim.Break{How: sim.SilentAfter, INS: 0x52})
	start := time.Now()
	torn, _, err := load(t, card)
	if !errors.Is(err, reader.ErrSilent) || apdu.Answered(err) {
		t.Errorf("err = %v, want %v", err, reader.ErrSilent)
	}
	if d := time.Since(start); d < b.Timeout || d > b.Timeout+patience/2 {
		t.Errorf("gave up after %v, want %v", d, b.Timeout)
	}
	if _, err := card.Transmit([]byte{0, 0xA4, 0, 0}); err == nil {
		t.Error("a dead connection answered")
	}
	card.Close()
	take()
	b.away()
	b.lay(virtual)
	b.settle(torn, purse.Verdict{Outcome: purse.Executed, Evidence: purse.ByProof | purse.ByLog})
}

// testPINForgotten sees to it that no PIN outlives the connection in which it
// was verified.
func testPINForgotten(t *testing.T, b *bench) {
	b.lay(NewCard(t))
	card := b.connect()
	if _, err := purse.Open(card, profile.Default()); err != nil {
		t.Fatal(err)
	}
	verify(t, card)
	card.Close()
	_, err := purse.InitLoad{KeyIndex: 1, Amount: 1, Terminal: terminal}.Send(b.connect())
	if !errors.Is(err, apdu.NotFound) { // not even the application is selected any more
		t.Errorf("err = %v, want %v", err, apdu.NotFound)
	}
}

func testWaitEnds(t *testing.T, b *bench) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	start := time.Now()
	if _, err := b.Device.Wait(ctx, b.last); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait = %v, want %v", err, context.Canceled)
	}
	if d := time.Since(start); d > patience/2 {
		t.Errorf("Wait took %v to end", d)
	}
}

func testClosed(t *testing.T, b *bench) {
	for range 2 {
		if err := b.Device.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if _, err := b.Device.Wait(t.Context(), b.last); !errors.Is(err, reader.ErrClosed) {
		t.Errorf("Wait = %v, want %v", err, reader.ErrClosed)
	}
	if _, err := b.Device.Connect(); !errors.Is(err, reader.ErrClosed) {
		t.Errorf("Connect = %v, want %v", err, reader.ErrClosed)
	}
}

// Dial returns a Bench.Lay that dials cards into a vpcd listener at addr.
func Dial(addr string) func(*testing.T, *sim.Card) (take func()) {
	return func(t *testing.T, c *sim.Card) func() {
		t.Helper()
		ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = sim.Serve(ctx, addr, c) // how it ended is the test's own doing
		}()
		take := func() {
			cancel()
			<-done
		}
		t.Cleanup(take)
		return take
	}
}

// Insert puts a SAM into the slot of vpcd at addr, until it is pulled or the test ends.
func Insert(t *testing.T, addr string, sam purse.Card) (pull func()) {
	t.Helper()
	tcp, err := (&net.Dialer{}).DialContext(context.WithoutCancel(t.Context()), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() { serveSAM(vpcd.Conn{Conn: tcp}, sam) })
	pull = sync.OnceFunc(func() {
		tcp.Close()
		done.Wait()
	})
	t.Cleanup(pull)
	return pull
}

// serveSAM is the life of a SAM in its slot.
func serveSAM(conn vpcd.Conn, sam purse.Card) {
	for {
		frame, err := conn.ReadFrame()
		var answer []byte
		switch {
		case err != nil:
			return // it is pulled
		case len(frame) > 1:
			answer, err = sam.Transmit(frame)
		case frame[0] == vpcd.ControlATR:
			answer = []byte{0x3B, 0x60, 0x00, 0x00} // T=0, no historical bytes
		default:
			continue
		}
		if err == nil {
			err = conn.WriteFrame(answer)
		}
		if err != nil {
			return
		}
	}
}
