package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"quancun/reader"
)

// slotTimeout is how long a [Slot] waits for a card to answer, as the devices
// for real readers do.
const slotTimeout = 3 * time.Second

// Slot is a reader inside this process: a [reader.Device] onto which a test or a
// tool lays a card. Make one with [NewSlot].
type Slot struct {
	// Timeout is how long a card may take to answer. Set it before use.
	Timeout time.Duration

	// EmptyTears makes a tear look as it does on pcscd with vpcd: not as an
	// error, but as an answer of no bytes. Set it before use.
	EmptyTears bool

	presence reader.Presence

	mu    sync.Mutex // guards what follows, and that presence says the same
	card  *Card
	field context.Context // ends when card leaves; nil without a card
	take  context.CancelFunc
}

// NewSlot returns a reader without a card.
func NewSlot() *Slot {
	s := &Slot{Timeout: slotTimeout}
	s.presence.Plug(true)
	return s
}

// Lay puts c on the reader, powered up, in place of any other card. A card lies
// on one reader at a time. On a reader that is unplugged it has no effect.
func (s *Slot) Lay(c *Card) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove()
	if !s.presence.Lay() {
		return
	}
	c.PowerOn()
	s.card = c
	s.field, s.take = context.WithCancel(context.Background())
}

// Take takes the card away, if there is one, even in mid-command.
func (s *Slot) Take() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove()
	s.presence.Take()
}

// Plug pulls the reader's cable out, with the card that is on it, or plugs it
// back in.
func (s *Slot) Plug(in bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove()
	s.presence.Plug(in)
}

func (s *Slot) remove() {
	if s.card == nil {
		return
	}
	s.take()
	s.card, s.field, s.take = nil, nil, nil
}

// Wait implements [reader.Device].
func (s *Slot) Wait(ctx context.Context, last reader.State) (reader.State, error) {
	return s.presence.Wait(ctx, last)
}

// Connect implements [reader.Device].
func (s *Slot) Connect() (reader.Card, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.presence.Claim(); err != nil {
		return nil, err
	}
	s.card.PowerOn()
	return &connection{slot: s, card: s.card, field: s.field, atr: s.card.ATR()}, nil
}

// Close implements [reader.Device].
func (s *Slot) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove()
	s.presence.Close()
	return nil
}

// connection is a card of a Slot, in use.
type connection struct {
	slot  *Slot
	card  *Card
	field context.Context
	atr   []byte
	close sync.Once
	dead  error // owned by the one who uses the card
}

func (c *connection) ATR() []byte { return c.atr }

// Transmit implements [reader.Card].
func (c *connection) Transmit(command []byte) ([]byte, error) {
	if c.dead != nil {
		return nil, c.dead
	}
	response, err := c.exchange(command)
	if err == nil {
		return response, nil
	}
	c.dead = err
	if !errors.Is(err, reader.ErrSilent) {
		c.slot.torn(c.card)
		if c.slot.EmptyTears {
			return []byte{}, nil
		}
	}
	return nil, err
}

// exchange gives the card its time. Only a [Break] uses that up, and not the
// machine on which the card computes: it may have no time for the card just now,
// and that makes no card silent.
func (c *connection) exchange(command []byte) ([]byte, error) {
	if c.field.Err() != nil {
		return nil, ErrTorn
	}
	b := c.card.due(command)
	if b.How == Slow && b.Delay >= c.slot.Timeout {
		command = slices.Clone(command) // the caller may wipe it before the card is done
		go func() {                     // it goes on with the command all the same, as a real one would
			defer clear(command)
			_, _ = c.card.perform(c.field, command, b) // nobody listens any more
		}()
	} else if response, err := c.card.perform(c.field, command, b); !errors.Is(err, reader.ErrSilent) {
		return response, err
	}
	timer := time.NewTimer(c.slot.Timeout)
	defer timer.Stop()
	select {
	case <-c.field.Done():
		return nil, ErrTorn
	case <-timer.C:
		return nil, fmt.Errorf("%w after %v", reader.ErrSilent, c.slot.Timeout)
	}
}

// torn takes the card away after it has torn itself.
func (s *Slot) torn(c *Card) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.card == c {
		s.remove()
		s.presence.Take()
	}
}

func (c *connection) Close() error {
	c.close.Do(func() {
		if c.field.Err() == nil {
			c.card.PowerOff()
		}
		c.slot.presence.Release()
	})
	return nil
}
