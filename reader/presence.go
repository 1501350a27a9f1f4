package reader

import (
	"context"
	"sync"
)

// Presence is what a [Device] has in common with any other that is told of each
// change, as opposed to one that has to look: its state, who waits for a change
// of it, and whether its card is in use. The zero Presence is a reader that is
// not connected. Its methods are safe for concurrent use.
//
// It knows no card. A device that keeps one changes both under a lock of its
// own, which it takes first.
type Presence struct {
	mu      sync.Mutex
	plugged bool
	card    bool
	laid    uint32 // cards so far
	inUse   bool
	closed  bool
	changed chan struct{} // closed and forgotten at a change; nil while nobody waits
}

// Plug says that the reader is there, without a card, or that it is gone.
func (p *Presence) Plug(in bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plugged, p.card = in, false
	p.announce()
}

// Lay says that a card was laid down, in place of any other. It reports false,
// and does nothing, on a reader that is not connected or was closed.
func (p *Presence) Lay() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.plugged || p.closed {
		return false
	}
	p.card = true
	p.laid++
	p.announce()
	return true
}

// Take says that no card is on the reader any more.
func (p *Presence) Take() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.card = false
	p.announce()
}

// Claim gives the card on the reader to its caller, until Release. Otherwise it
// returns [ErrClosed], [ErrNoCard] or [ErrBusy], as [Device].Connect does. A card
// that is taken away stays claimed, and with it the reader.
func (p *Presence) Claim() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return ErrClosed
	case !p.card:
		return ErrNoCard
	case p.inUse:
		return ErrBusy
	}
	p.inUse = true
	return nil
}

// Release takes a Claim back.
func (p *Presence) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inUse = false
}

// Close ends every Wait and Claim with [ErrClosed]. It reports whether it was
// the first.
func (p *Presence) Close() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.card, p.closed = false, true
	p.announce()
	return true
}

// Wait is the Wait of a [Device].
func (p *Presence) Wait(ctx context.Context, last State) (State, error) {
	for {
		now, changed, err := p.look()
		if err != nil || now != last {
			return now, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return last, ctx.Err()
		}
	}
}

// look returns the state, and a channel that is closed when it has changed.
func (p *Presence) look() (State, <-chan struct{}, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return State{}, nil, ErrClosed
	}
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	if !p.plugged {
		return State{}, p.changed, nil
	}
	return State{Connected: true, Card: p.card, Insertions: p.laid}, p.changed, nil
}

// announce wakes everybody who waits. Its caller holds mu.
func (p *Presence) announce() {
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}
