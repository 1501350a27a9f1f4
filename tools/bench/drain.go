package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"quancun/ledger"
	"quancun/ledger/push"
)

// darkEntries are what a terminal has sold while the network was away for
// days.
const darkEntries = 100_000

// measureDrain measures how long it takes until the upstream has all of it,
// with and without a far line in between.
func measureDrain(ctx context.Context, dir string) (_ []figure, err error) {
	u, err := newUpstream(ctx, dir, "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, u.close()) }()
	var figures []figure
	for _, line := range []struct {
		name string
		rtt  time.Duration
	}{{"drain.rtt0", 0}, {"drain.rtt50", 50 * time.Millisecond}} {
		took, err := u.drain(ctx, line.name, line.rtt)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", line.name, err)
		}
		figures = append(figures, figure{line.name, took.Seconds(), "s", "", fmt.Sprintf(
			"%d entries from a journal to the upstream's, %s; %.0f/s", darkEntries, overTLS,
			darkEntries/took.Seconds())})
	}
	return figures, nil
}

// drain fills a journal and pushes it over a line of that round trip.
func (u *upstreamBench) drain(ctx context.Context, name string, rtt time.Duration) (took time.Duration, err error) {
	t := &till{}
	t.book, err = ledger.Open(ctx, filepath.Join(u.dir, name+".db"), ledger.Options{
		Terminal: benchTerminal, Key: u.keys.Journal, Version: "bench",
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, t.book.Close()) }()
	if err := t.fill(ctx, darkEntries); err != nil {
		return 0, err
	}
	address, stop, err := farAway(u.stack.UpstreamAddr, rtt/2)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	c := u.dial(address)
	defer c.Close()
	p := push.New(push.Options{
		Book: t.book, Upstream: c, Campus: u.who.CampusKey, Log: slog.New(slog.DiscardHandler),
	})
	start := time.Now()
	for more := true; more; {
		if more, err = p.Step(ctx); err != nil {
			return 0, err
		}
	}
	took = time.Since(start)
	if w, err := t.book.Waiting(ctx); err != nil || w.Count > 0 {
		return 0, fmt.Errorf("%d entries are not upstream: %w", w.Count, err)
	}
	return took, nil
}

// farAway listens for connections and passes them on, each byte later by way.
func farAway(to string, way time.Duration) (address string, stop func() error, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			go carry(far, near, way)
			go carry(near, far, way)
		}
	}()
	return l.Addr().String(), l.Close, nil
}

// parcel is what was read at once, and when it is to arrive.
type parcel struct {
	bytes  []byte
	arrive time.Time
}

// carry passes on what it reads, a little later, and never out of order.
func carry(to, from net.Conn, way time.Duration) {
	parcels := make(chan parcel, 1024)
	go func() {
		defer close(parcels)
		for {
			b := make([]byte, 64<<10)
			n, err := from.Read(b)
			if n > 0 {
				parcels <- parcel{b[:n], time.Now().Add(way)}
			}
			if err != nil {
				return
			}
		}
	}()
	defer to.Close()
	for p := range parcels {
		time.Sleep(time.Until(p.arrive))
		if _, err := to.Write(p.bytes); err != nil {
			io.Copy(io.Discard, from) //nolint:errcheck // it ends with the connection
			return
		}
	}
}
