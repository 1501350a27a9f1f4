package server

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"sync"
	"time"

	"quancun/upstream/keys"
	"quancun/upstream/wire"
)

const (
	challengeLife = time.Minute

	// spentMax bounds the memory that sign-ins can make us use. It is a
	// thousand sign-ins in a second, for a minute.
	spentMax = 60_000
)

// challenges are what sealed PINs are bound to. One is a time, some chance, and
// a MAC over both with the terminal and the card. So it is kept nowhere, and
// any upstream with the same keys takes it, also after a restart; each takes it
// once.
type challenges struct {
	keys keys.Store
	now  func() time.Time

	mu    sync.Mutex
	spent map[spentChallenge]time.Time // until when it would be good; guarded by mu
}

// The parts of a challenge, wire.ChallengeLen bytes together.
const (
	challengeTime   = 8 // milliseconds since 1970
	challengeChance = 8
	challengeMAC    = wire.ChallengeLen - challengeTime - challengeChance
)

type spentChallenge [wire.ChallengeLen]byte

// Challenge returns what a PIN is to be sealed with that a [Service] will check,
// for a name that no card and no other service has.
func (s *Server) Challenge(ctx context.Context, name string) ([]byte, error) {
	return s.challenges.issue(ctx, terminal(ctx).ID, name)
}

// SpendChallenge reports whether a challenge is good, which it then is no more.
func (s *Server) SpendChallenge(ctx context.Context, name string, challenge []byte) (bool, error) {
	return s.challenges.spend(ctx, terminal(ctx).ID, name, challenge)
}

// issue returns a new challenge.
func (c *challenges) issue(ctx context.Context, terminal, card string) ([]byte, error) {
	head := make([]byte, challengeTime+challengeChance, wire.ChallengeLen)
	binary.BigEndian.PutUint64(head, uint64(c.now().UnixMilli()))
	rand.Read(head[challengeTime:]) //nolint:errcheck // it never fails
	mac, err := c.mac(ctx, terminal, card, head)
	return append(head, mac...), err
}

// spend reports whether challenge is good, which it then is no more.
func (c *challenges) spend(ctx context.Context, terminal, card string, challenge []byte) (bool, error) {
	if len(challenge) != wire.ChallengeLen {
		return false, nil
	}
	head, mac := challenge[:challengeTime+challengeChance], challenge[challengeTime+challengeChance:]
	want, err := c.mac(ctx, terminal, card, head)
	if err != nil || subtle.ConstantTimeCompare(want, mac) != 1 {
		return false, err
	}
	issued, now := time.UnixMilli(int64(binary.BigEndian.Uint64(head))), c.now()
	if age := now.Sub(issued); age >= challengeLife || age < -challengeLife { // clocks of two upstreams differ
		return false, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := spentChallenge(challenge)
	if _, again := c.spent[key]; again || !c.room(now) {
		return false, nil
	}
	c.spent[key] = issued.Add(challengeLife)
	return true, nil
}

// room makes room for one more, by forgetting what is over. When all are still
// good there is none: a challenge that is refused costs its holder a second tap.
func (c *challenges) room(now time.Time) bool {
	if c.spent == nil {
		c.spent = map[spentChallenge]time.Time{}
	}
	if len(c.spent) >= spentMax {
		for key, until := range c.spent {
			if !now.Before(until) {
				delete(c.spent, key)
			}
		}
	}
	return len(c.spent) < spentMax
}

// mac binds a challenge to who may use it. A session's token begins with its
// version, so that neither can pass for the other.
func (c *challenges) mac(ctx context.Context, terminal, card string, head []byte) ([]byte, error) {
	text := append([]byte("challenge\x00"+terminal+"\x00"+card+"\x00"), head...)
	mac, err := c.keys.SessionMAC(ctx, text)
	return mac[:challengeMAC], err
}
