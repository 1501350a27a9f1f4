// Package hub lets many wait for an order that one engine moves, and keeps two
// from asking about the same order at once. It knows orders by their numbers and
// nothing else of them.
package hub

import "sync"

// Hub wakes those who wait for an order to move. It holds nothing for orders
// that nobody waits for. The zero Hub is ready.
type Hub struct {
	mu    sync.Mutex
	waits map[string]*wait // guarded by mu
}

type wait struct {
	moved   chan struct{} // closed at the next move
	waiters int
}

// Watch returns a function for the channel that closes at the order's next
// move, from the call to Watch on, and one to stop watching.
func (h *Hub) Watch(no string) (moved func() <-chan struct{}, leave func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waits == nil {
		h.waits = map[string]*wait{}
	}
	w := h.waits[no]
	if w == nil {
		w = &wait{moved: make(chan struct{})}
		h.waits[no] = w
	}
	w.waiters++
	current := w.moved
	moved = func() <-chan struct{} {
		h.mu.Lock()
		defer h.mu.Unlock()
		was := current
		current = w.moved // the next call waits for the move after this one
		return was
	}
	return moved, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if w.waiters--; w.waiters == 0 {
			delete(h.waits, no)
		}
	}
}

// Move wakes everybody who waits for an order.
func (h *Hub) Move(no string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w := h.waits[no]; w != nil {
		close(w.moved)
		w.moved = make(chan struct{})
	}
}

// Locks are one lock for each order, taken by whoever asks the channel about
// it, so that no two questions about one order cross. The zero Locks are ready.
type Locks struct {
	mu   sync.Mutex
	held map[string]*lock // guarded by mu
}

type lock struct {
	free  chan struct{} // holds one token while free
	users int
}

// Take waits for an order's lock, or for done, and returns what gives it back.
// It returns nil if done came first.
func (l *Locks) Take(no string, done <-chan struct{}) (give func()) {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[string]*lock{}
	}
	k := l.held[no]
	if k == nil {
		k = &lock{free: make(chan struct{}, 1)}
		k.free <- struct{}{}
		l.held[no] = k
	}
	k.users++
	l.mu.Unlock()

	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if k.users--; k.users == 0 {
			delete(l.held, no)
		}
	}
	select {
	case <-k.free:
		return func() {
			k.free <- struct{}{}
			leave()
		}
	case <-done:
		leave()
		return nil
	}
}
