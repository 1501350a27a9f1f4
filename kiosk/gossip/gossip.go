// Package gossip tells the terminals on a local network which codes were taken,
// so that while upstream is gone a code is good at one of them and not at each.
//
// It is news and no promise: a datagram may be lost, and a terminal that is
// elsewhere hears nothing. What is spent twice all the same is bounded by what a
// code is good for, and upstream finds it. No sale waits for it.
//
// # Whom it believes
//
// A datagram is signed with the key of a terminal's journal, which the campus has
// certified; whoever has no such key says nothing. What it says makes a terminal
// refuse a code and never take one. One terminal's news take no other's place in
// memory: each may fill its own share and no more.
package gossip

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"quancun/journal"
	"quancun/money"
	"quancun/paycode"
)

// Spent is a code that a terminal has taken.
type Spent struct {
	Code    paycode.Use
	Account string
	Amount  money.Fen
	Alone   bool      // nobody upstream was asked: it counts for the allowance
	At      time.Time // when it was taken, to the second
}

// Limits of what is kept: for each terminal more than it takes in a day, and for
// more terminals than stand on one network.
const (
	spentMax = 5000
	peersMax = 200
)

// keepFor is how long news is kept: the allowance is a day's.
const keepFor = 24 * time.Hour

// Config is what a Circle is made of.
type Config struct {
	Key    crypto.Signer // of this terminal's journal
	Paper  journal.Certificate
	Campus ed25519.PublicKey
	Now    func() time.Time
	Log    *slog.Logger
}

// Circle is a terminal among its neighbours. It is safe for use by several
// goroutines. Make one with [New]; it hears nothing before Run.
type Circle struct {
	Config

	mu    sync.Mutex
	conn  net.PacketConn   // that datagrams come by and leave from; nil before Run; guarded by mu
	peers []net.Addr       // to whom they go: terminals, or a group of them; guarded by mu
	heard map[string]*peer // by terminal; guarded by mu
	told  []Spent          // this terminal's last ones, to be told again; guarded by mu
}

// peer is what one terminal has said.
type peer struct {
	spent map[paycode.Use]Spent
	order []paycode.Use // in which they came
}

// New returns a Circle.
func New(c Config) *Circle { return &Circle{Config: c, heard: map[string]*peer{}} }

// openEvery is how long it takes until a network that was not there is tried
// again.
const openEvery = 15 * time.Second

// Keep hears and tells by what [Listen] opens until ctx ends, and returns ctx's
// error. A network that is not there yet, or goes, is tried again.
func (c *Circle) Keep(ctx context.Context, listen string, peers []string) error {
	for {
		conn, to, err := Listen(listen, peers)
		if err == nil {
			err = errors.Join(c.Run(ctx, conn, to), conn.Close())
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.Log.Warn("no way to the neighbours", "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(openEvery):
		}
	}
}

// Run hears by conn until ctx ends, tells peers, and tells them the last codes
// again a few times: datagrams get lost. It returns ctx's error, and earlier the
// one of a conn that is closed. The caller closes conn.
func (c *Circle) Run(ctx context.Context, conn net.PacketConn, peers []net.Addr) error {
	c.mu.Lock()
	c.conn, c.peers = conn, peers
	c.mu.Unlock()
	var again sync.WaitGroup
	defer again.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	again.Go(func() { c.repeat(ctx) })
	b := make([]byte, packetMax+1)
	for {
		n, from, err := conn.ReadFrom(b)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			c.Log.Warn("neighbours not heard", "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			continue
		}
		if err := c.hear(b[:n]); err != nil {
			c.Log.Debug("news not believed", "from", from.String(), "err", err)
		}
	}
}

// The last codes are told again so often, and so long after each other.
const (
	repeatEvery = time.Second
	repeatFor   = 5 * time.Second
)

func (c *Circle) repeat(ctx context.Context) {
	t := time.NewTicker(repeatEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		c.mu.Lock()
		for len(c.told) > 0 && c.Now().Sub(c.told[0].At) > repeatFor {
			c.told = c.told[1:]
		}
		news := c.told[:min(len(c.told), newsMax)]
		c.mu.Unlock()
		if len(news) > 0 {
			c.send(news)
		}
	}
}

// Tell tells that this terminal has taken a code. It waits for nobody.
func (c *Circle) Tell(s Spent) {
	c.mu.Lock()
	if len(c.told) == newsMax {
		c.told = c.told[1:]
	}
	c.told = append(c.told[:len(c.told):len(c.told)], s)
	c.mu.Unlock()
	c.send([]Spent{s})
}

func (c *Circle) send(news []Spent) {
	b, err := encode(news, c.Paper, c.Key)
	if err != nil {
		c.Log.Error("news not signed", "err", err)
		return
	}
	c.mu.Lock()
	conn, peers := c.conn, c.peers
	c.mu.Unlock()
	for _, to := range peers {
		if _, err := conn.WriteTo(b, to); err != nil {
			c.Log.Debug("neighbour not told", "to", to.String(), "err", err)
		}
	}
}

// hear takes a datagram, if a terminal of this campus has sent it.
func (c *Circle) hear(b []byte) error {
	news, paper, err := decode(b, c.Campus)
	if err != nil || paper.Terminal == c.Paper.Terminal { // our own, out of the group
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.heard[paper.Terminal]
	if p == nil {
		if len(c.heard) == peersMax {
			return errors.New("gossip: too many terminals")
		}
		p = &peer{spent: map[paycode.Use]Spent{}}
		c.heard[paper.Terminal] = p
	}
	for _, s := range news {
		p.add(s, c.Now())
	}
	return nil
}

// add keeps one line, and forgets what is too old or too much.
func (p *peer) add(s Spent, now time.Time) {
	if now.Sub(s.At).Abs() > keepFor {
		return
	}
	if _, known := p.spent[s.Code]; !known {
		p.order = append(p.order, s.Code)
	}
	p.spent[s.Code] = s
	for len(p.order) > spentMax || len(p.order) > 0 && now.Sub(p.spent[p.order[0]].At) > keepFor {
		delete(p.spent, p.order[0])
		p.order = p.order[1:]
	}
}

// Taken returns which neighbour has taken a code.
func (c *Circle) Taken(code paycode.Use) (terminal string, taken bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, p := range c.heard {
		if _, ok := p.spent[code]; ok {
			return name, true
		}
	}
	return "", false
}

// Sum returns what an account has spent at neighbours in the dark since a moment.
func (c *Circle) Sum(account string, since time.Time) (sum money.Fen) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.heard {
		for _, s := range p.spent {
			if s.Account == account && s.Alone && !s.At.Before(since) {
				sum += s.Amount
			}
		}
	}
	return sum
}

// Listen opens what a Circle hears by and tells. listen is the address of a
// multicast group, such as 239.255.31.1:7946, which then is all that is told; or
// this machine's own, with the neighbours' as peers.
func Listen(listen string, peers []string) (net.PacketConn, []net.Addr, error) {
	own, err := net.ResolveUDPAddr("udp", listen)
	if err != nil {
		return nil, nil, fmt.Errorf("gossip: %w", err)
	}
	if own.IP.IsMulticast() {
		if len(peers) > 0 {
			return nil, nil, errors.New("gossip: a group has no peers besides")
		}
		conn, err := net.ListenMulticastUDP("udp", nil, own)
		if err != nil {
			return nil, nil, fmt.Errorf("gossip: %w", err)
		}
		return conn, []net.Addr{own}, nil
	}
	var all []net.Addr
	for _, p := range peers {
		a, err := net.ResolveUDPAddr("udp", p)
		if err != nil {
			return nil, nil, fmt.Errorf("gossip: %w", err)
		}
		all = append(all, a)
	}
	conn, err := net.ListenUDP("udp", own)
	if err != nil {
		return nil, nil, fmt.Errorf("gossip: %w", err)
	}
	return conn, all, nil
}
