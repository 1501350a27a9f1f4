package gossip

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"quancun/journal"
	"quancun/money"
	"quancun/paycode"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)

// made returns a key that is nobody's.
func made(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

// terminal returns one of a campus, that sends to and hears from nobody yet.
func terminal(t testing.TB, id, campus string) *Circle {
	t.Helper()
	key := made(id)
	paper, err := journal.Certify(id, public(key), noon, made(campus))
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{
		Key: key, Paper: paper, Campus: public(made(campus)), Now: func() time.Time { return noon },
		Log: slog.New(slog.DiscardHandler),
	})
}

// spent is the n-th code that was taken.
func spent(n int) Spent {
	s := Spent{Account: "2026000101", Amount: money.Yuan, Alone: true, At: noon}
	s.Code.Time, s.Code.Counter = noon.Unix(), uint16(n)
	binary.BigEndian.PutUint32(s.Code.Device[:], uint32(n))
	return s
}

func (c *Circle) says(t testing.TB, news ...Spent) []byte {
	t.Helper()
	b, err := encode(news, c.Paper, c.Key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNews(t *testing.T) {
	a, b := terminal(t, "C01", "campus"), terminal(t, "C02", "campus")
	packet := a.says(t, spent(1), spent(2))
	if err := errors.Join(b.hear(packet), b.hear(packet)); err != nil { // twice is once
		t.Fatal(err)
	}
	for n, want := range []bool{false, true, true, false} {
		if who, taken := b.Taken(spent(n).Code); taken != want || taken && who != "C01" {
			t.Errorf("code %d: %q, %v", n, who, taken)
		}
	}
	if got := b.Sum("2026000101", noon); got != 2*money.Yuan {
		t.Errorf("sum %s", got)
	}
	if got := b.Sum("2026000101", noon.Add(time.Second)) + b.Sum("2026000102", noon); got != 0 {
		t.Errorf("sum of another day and of another account %s", got)
	}
	if err := a.hear(packet); err != nil {
		t.Error(err)
	}
	if _, taken := a.Taken(spent(1).Code); taken {
		t.Error("a terminal takes its own news for a neighbour's")
	}
	if full := a.says(t, make([]Spent, newsMax)...); len(full)+newsMax*paycode.AccountLenMax+48 > packetMax {
		t.Errorf("%d bytes do not fit into a frame", len(full))
	}
}

// TestStrangers: what no terminal of this campus has signed is not believed, nor
// is a bit that was changed on the way.
func TestStrangers(t *testing.T) {
	a, b := terminal(t, "C01", "campus"), terminal(t, "C02", "campus")
	good := a.says(t, spent(1))
	stranger := terminal(t, "C03", "another campus")
	thief := terminal(t, "C03", "campus")
	thief.Paper = a.Paper // with a key that is not its own
	packets := [][]byte{stranger.says(t, spent(1)), thief.says(t, spent(1)), nil, {1}, append(good, 0), good[:len(good)-1]}
	for i := range len(good) * 8 {
		p := append([]byte(nil), good...)
		p[i/8] ^= 1 << (i % 8)
		packets = append(packets, p)
	}
	for i, p := range packets {
		if err := b.hear(p); err == nil {
			t.Errorf("packet %d was believed", i)
		}
	}
	if _, taken := b.Taken(spent(1).Code); taken {
		t.Error("a code is taken that nobody has taken")
	}
	if wrong := spent(1); b.hear(a.says(t, func() Spent { wrong.Amount = -1; return wrong }())) == nil {
		t.Error("an amount below zero was believed")
	}
}

// TestBounded: a terminal that talks without end fills its own share, and takes
// nothing from others.
func TestBounded(t *testing.T) {
	a, b, c := terminal(t, "C01", "campus"), terminal(t, "C02", "campus"), terminal(t, "C03", "campus")
	if err := c.hear(b.says(t, spent(0))); err != nil {
		t.Fatal(err)
	}
	now := noon
	c.Now = func() time.Time { return now }
	for n := 1; n <= spentMax+newsMax; n += newsMax {
		var news []Spent
		for i := range newsMax {
			news = append(news, spent(n+i))
		}
		if err := c.hear(a.says(t, news...)); err != nil {
			t.Fatal(err)
		}
	}
	if p := c.heard["C01"]; len(p.spent) != spentMax || len(p.order) != spentMax {
		t.Errorf("%d and %d codes are kept", len(p.spent), len(p.order))
	}
	if _, taken := c.Taken(spent(0).Code); !taken {
		t.Error("another terminal's news are gone")
	}
	now = noon.Add(keepFor + time.Second) // a day later all of it is old
	late := spent(9999)
	late.At = now
	if err := c.hear(a.says(t, late, spent(1))); err != nil {
		t.Fatal(err)
	}
	if p := c.heard["C01"]; len(p.spent) != 1 {
		t.Errorf("%d codes are kept", len(p.spent))
	}
}

// TestLost: a datagram that is lost is made good by one of the next.
func TestLost(t *testing.T) {
	a, b := terminal(t, "C01", "campus"), terminal(t, "C02", "campus")
	var conns []net.PacketConn
	for range 2 {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	a.Tell(spent(1)) // to nobody
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for i, c := range []*Circle{a, b} {
		running.Go(func() {
			if err := c.Run(ctx, conns[i], []net.Addr{conns[1-i].LocalAddr()}); !errors.Is(err, context.Canceled) {
				t.Errorf("ran until %v", err)
			}
		})
	}
	for until := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, taken := b.Taken(spent(1).Code); taken {
			return
		}
		if time.Now().After(until) {
			t.Fatal("never heard")
		}
	}
}

func TestListen(t *testing.T) {
	conn, peers, err := Listen("127.0.0.1:0", []string{"127.0.0.1:7946", "127.0.0.1:7947"})
	if err != nil || len(peers) != 2 || peers[1].String() != "127.0.0.1:7947" {
		t.Fatalf("peers %v, %v", peers, err)
	}
	conn.Close()
	for _, bad := range []string{"127.0.0.1", "127.0.0.1:x"} {
		if conn, _, err := Listen("127.0.0.1:0", []string{bad}); err == nil {
			conn.Close()
			t.Errorf("peer %q was taken", bad)
		}
	}
	if conn, _, err := Listen("239.255.31.1:7946", []string{"127.0.0.1:1"}); err == nil {
		conn.Close()
		t.Error("a group with peers was taken")
	}
}

// TestKeep ends when it is told to, whether there is a network or not.
func TestKeep(t *testing.T) {
	a := terminal(t, "C01", "campus")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, listen := range []string{"127.0.0.1:0", "198.51.100.1:7946"} { // the second is none of ours
		if err := a.Keep(ctx, listen, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: kept until %v", listen, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	a := terminal(f, "C01", "campus")
	f.Add(a.says(f, spent(1)))
	f.Fuzz(func(t *testing.T, b []byte) {
		news, paper, err := decode(b, a.Campus)
		if err != nil {
			return
		}
		if again, err := encode(news, paper, a.Key); err != nil || string(again) != string(b) {
			t.Errorf("%x reads back as %x, %v", b, again, err)
		}
	})
}
