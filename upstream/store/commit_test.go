package store_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quancun/upstream/store"
	"quancun/upstream/store/pgtest"
)

// TestCommitUnknown cuts the connection at COMMIT, before and after it had its
// effect. The caller hears that nobody knows; asked again, it was done once.
func TestCommitUnknown(t *testing.T) {
	for name, effect := range map[string]bool{"NoEffect": false, "Effect": true} {
		t.Run(name, func(t *testing.T) {
			d := pgtest.New(t)
			direct := newBooks(t, place{d.DSN, "pgx"})
			cut := &cutter{server: pgtest.Shared(t).Socket(), effect: effect}
			b := open(t, place{cut.listen(t, d.DSN), "pgx"}, nil)
			create(t, direct, "O1")
			pay := store.OrderStep{To: store.OrderPaid, PaidAt: time.Now()}
			cut.atCommit(func() bool { return true })
			if _, err := b.Advance(t.Context(), "O1", pay); !errors.Is(err, store.ErrUnknown) {
				t.Errorf("Advance = %v, want %v", err, store.ErrUnknown)
			}
			o, err := direct.Order(t.Context(), "O1")
			if err != nil || (o.State == store.OrderPaid) != effect {
				t.Errorf("after it: %+v, %v; want it paid: %t", o, err, effect)
			}
			if o, err = b.Advance(t.Context(), "O1", pay); err != nil || o.Balance != opening+20*yuan {
				t.Errorf("Advance again = %+v, %v", o, err)
			}
			check(t, direct)
		})
	}
}

// TestCallerLeaves: a caller that has left does not make its outcome unknown.
func TestCallerLeaves(t *testing.T) { onBoth(t, testCallerLeaves) }

func testCallerLeaves(t *testing.T, p place) {
	b := newBooks(t, p)
	addLoad(t, b, load1, 7)
	ctx, cancel := context.WithCancel(t.Context())
	err := b.WithCard(ctx, cardNo, func(c store.CardTx) error {
		defer cancel()
		return c.Settle(load1, store.LoadWritten, "TAC")
	})
	if !errors.Is(err, context.Canceled) || errors.Is(err, store.ErrUnknown) {
		t.Errorf("WithCard = %v, want only that it was cancelled", err)
	}
	if l, err := b.Load(t.Context(), load1); err != nil || l.State != store.LoadOpen {
		t.Errorf("Load = %+v, %v; want it open", l, err)
	}
}

// commitMessage is a COMMIT on PostgreSQL's wire: a query of 11 bytes.
const commitMessage = "Q\x00\x00\x00\x0bcommit\x00"

// TestCallerLeavesAtCommit: a caller that leaves while COMMIT is under way does
// not end it.
func TestCallerLeavesAtCommit(t *testing.T) {
	d := pgtest.New(t)
	cut := &cutter{server: pgtest.Shared(t).Socket()}
	b := newBooks(t, place{cut.listen(t, d.DSN), "pgx"})
	ctx, cancel := context.WithCancel(t.Context())
	cut.atCommit(func() bool {
		cancel()
		time.Sleep(50 * time.Millisecond) // for whoever listens to ctx
		return false
	})
	if err := b.SetCardStatus(ctx, cardNo, store.CardHot); err != nil {
		t.Errorf("SetCardStatus: %v", err)
	}
	if c, err := b.Card(t.Context(), cardNo); err != nil || c.Status != store.CardHot {
		t.Errorf("Card = %+v, %v", c, err)
	}
}

// cutter stands between a client and PostgreSQL, and may cut the connection at
// a COMMIT.
type cutter struct {
	server string
	effect bool // pass the COMMIT on, and keep the answer
	armed  atomic.Pointer[func() bool]
}

// atCommit calls do at the next COMMIT, and cuts the connection if it says so.
func (c *cutter) atCommit(do func() (cut bool)) { c.armed.Store(&do) }

// listen returns dsn by way of c.
func (c *cutter) listen(t *testing.T, dsn string) string {
	t.Helper()
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, filepath.Base(c.server)))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { c.serve(conn) })
		}
	})
	t.Cleanup(func() { // after the books are closed, and with them all connections
		l.Close()
		wg.Wait()
	})
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.RawQuery = url.Values{"host": {dir}}.Encode()
	return u.String()
}

func (c *cutter) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", c.server)
	if err != nil {
		return
	}
	defer server.Close()
	var cut atomic.Bool
	answered := make(chan struct{})
	go func() { // answers
		defer close(answered)
		buffer := make([]byte, 64<<10)
		for {
			n, err := server.Read(buffer)
			if err != nil || cut.Load() {
				client.Close()
				return
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			break
		}
		if strings.Contains(string(buffer[:n]), commitMessage) {
			if do := c.armed.Swap(nil); do != nil && (*do)() {
				cut.Store(true)
			}
		}
		if cut.Load() && !c.effect {
			break
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			break
		}
	}
	if cut.Load() && c.effect {
		<-answered
	}
	server.Close()
	<-answered
}
