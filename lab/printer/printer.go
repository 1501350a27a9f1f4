// Package printer is the stand-in for a receipt printer: it takes ESC/POS over
// TCP as a printer on port 9100 does, answers what it is asked about its state,
// and makes of what it gets both the text and a picture of the paper. Its paper
// can run low and out, its cover can be opened, it can be switched off, all on
// command.
//
// It knows nothing of the program that it serves, and shares no code with it.
package printer

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// State is what can be done to the printer by hand.
type State struct {
	Paper   string `json:"paper"`   // "ok", "low" or "out"
	Cover   bool   `json:"cover"`   // open
	Offline bool   `json:"offline"` // by its button
	Fault   bool   `json:"fault"`   // of the cutter
	Lines   int    `json:"lines"`   // of paper that are left before it is out; 0 is plenty
}

// Receipt is what was cut off.
type Receipt struct {
	Text  string    `json:"text"`  // row by row
	Codes []string  `json:"codes"` // of QR codes
	At    time.Time `json:"at"`

	rows []row
}

// Printer is the stand-in. Its methods are safe for concurrent use.
type Printer struct {
	Columns int // of font A: 32 for paper of 58 mm, 48 for 80 mm
	Log     *slog.Logger

	// Cut, if not nil, is called with each receipt that was cut off.
	Cut func(Receipt)

	mu       sync.Mutex
	state    State         // guarded by mu
	receipts []Receipt     // guarded by mu; the newest last
	kicks    int           // how often the drawer was unlocked; guarded by mu
	caller   net.Conn      // guarded by mu; nil for nobody
	ready    chan struct{} // closed when the state has changed; guarded by mu
}

// New returns a printer that is switched on, with paper in it.
func New(columns int, log *slog.Logger) *Printer {
	return &Printer{Columns: columns, Log: log, state: State{Paper: "ok"}, ready: make(chan struct{})}
}

// State returns how it is.
func (p *Printer) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// ErrState means that a state is none.
var ErrState = errors.New(`lab/printer: paper is "ok", "low" or "out", and lines are 0 or more`)

// Set does to the printer what a hand does. New paper, a closed cover and the
// button let it go on with what it was printing.
func (p *Printer) Set(s State) error {
	if s.Paper != "ok" && s.Paper != "low" && s.Paper != "out" || s.Lines < 0 {
		return ErrState
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = s
	close(p.ready)
	p.ready = make(chan struct{})
	return nil
}

// Receipts returns what was cut off, the oldest first.
func (p *Printer) Receipts() []Receipt {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Receipt(nil), p.receipts...)
}

// Kicks returns how often the drawer that is plugged in was unlocked.
func (p *Printer) Kicks() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kicks
}

func (p *Printer) kick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kicks++
}

// prints reports whether it prints in a state.
func (s State) prints() bool { return s.Paper != "out" && !s.Cover && !s.Offline && !s.Fault }

// Serve takes calls until ctx ends, and returns ctx's error. As a printer does,
// it talks to one caller at a time, and goes on printing what it was sent after
// the caller has gone.
func (p *Printer) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	queue := make(chan byte, 64<<10) // a printer's buffer
	var printing sync.WaitGroup
	defer printing.Wait()
	ctx, end := context.WithCancel(ctx)
	defer end()
	printing.Go(func() {
		d := decoder{printer: p, in: source{ctx, queue}}
		d.run()
	})
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		p.serve(ctx, conn, queue)
	}
}

// serve reads what a caller sends. Real-time questions are answered at once, in
// their place in the stream of bytes; all else stands in line.
func (p *Printer) serve(ctx context.Context, conn net.Conn, queue chan<- byte) {
	defer conn.Close() //nolint:errcheck // the caller has hung up
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	p.talk(conn)
	defer p.talk(nil)
	r := bufio.NewReader(conn)
	for {
		b, err := r.ReadByte()
		if err != nil {
			return
		}
		if b == dle {
			if next, err := r.Peek(2); err == nil && next[0] == eot {
				_, _ = r.Discard(2)
				p.answer(next[1])
				continue
			}
		}
		select {
		case queue <- b:
		case <-ctx.Done():
			return
		}
	}
}

// talk makes a caller the one that answers go to; nil for nobody.
func (p *Printer) talk(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.caller = conn
}

// say sends a byte to whoever is there.
func (p *Printer) say(b byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.caller != nil {
		_, _ = p.caller.Write([]byte{b})
	}
}

// answer answers DLE EOT n.
func (p *Printer) answer(n byte) {
	s := p.State()
	b := byte(0x12) // what is always so
	set := func(bit byte, on bool) {
		if on {
			b |= bit
		}
	}
	switch n {
	case 1:
		set(0x08, !s.prints())
	case 2:
		set(0x04, s.Cover)
		set(0x20, s.Paper == "out")
		set(0x40, s.Fault)
	case 3:
		set(0x08, s.Fault)
	case 4:
		set(0x0C, s.Paper != "ok")
		set(0x60, s.Paper == "out")
	default:
		return
	}
	p.say(b)
}

// await waits until it prints, and reports whether it does: otherwise the caller
// has gone, or the lab ends.
func (p *Printer) await(ctx context.Context) bool {
	for {
		p.mu.Lock()
		ok, ready := p.state.prints(), p.ready
		p.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-ready:
		case <-ctx.Done():
			return false
		}
	}
}

// use takes a line of paper.
func (p *Printer) use() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state.Lines > 0 {
		if p.state.Lines--; p.state.Lines == 0 {
			p.state.Paper = "out"
		}
	}
}

func (p *Printer) cut(r Receipt) {
	p.mu.Lock()
	p.receipts = append(p.receipts, r)
	p.mu.Unlock()
	if p.Cut != nil {
		p.Cut(r)
	}
}
