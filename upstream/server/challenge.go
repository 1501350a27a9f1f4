package server

import (
	"crypto/rand"
	"crypto/subtle"
	"sync"
	"time"

	"quancun/upstream/wire"
)

const (
	challengeLife = time.Minute

	// challengesMax bounds the memory that terminals can make us use. There
	// is at most one challenge for a terminal and card, so a campus of a
	// thousand terminals stays far below it.
	challengesMax = 10_000
)

// challenges are what sealed PINs are bound to. They are kept in memory: one
// that is lost in a restart costs its holder a second tap.
type challenges struct {
	now func() time.Time

	mu   sync.Mutex
	open map[challengeKey]challenge // guarded by mu
}

type challengeKey struct{ terminal, card string }

type challenge struct {
	random  [wire.ChallengeLen]byte
	expires time.Time
}

// issue returns a new challenge, and forgets an earlier one of the same
// terminal and card.
func (c *challenges) issue(terminal, card string) []byte {
	n := challenge{expires: c.now().Add(challengeLife)}
	rand.Read(n.random[:]) //nolint:errcheck // it never fails
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil || len(c.open) >= challengesMax {
		c.sweep()
	}
	c.open[challengeKey{terminal, card}] = n
	return n.random[:]
}

// spend reports whether random is the open challenge, which then is none any
// more, right or wrong.
func (c *challenges) spend(terminal, card string, random []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := challengeKey{terminal, card}
	n, ok := c.open[key]
	delete(c.open, key)
	return ok && c.now().Before(n.expires) && subtle.ConstantTimeCompare(n.random[:], random) == 1
}

// sweep forgets what is over, and everything if that is not enough.
func (c *challenges) sweep() {
	for key, n := range c.open {
		if !c.now().Before(n.expires) {
			delete(c.open, key)
		}
	}
	if c.open == nil || len(c.open) >= challengesMax {
		c.open = map[challengeKey]challenge{}
	}
}
