package push

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"quancun/journal"
	"quancun/ledger"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func public(name string) ed25519.PublicKey { return keyOf(name).Public().(ed25519.PublicKey) }

// shelf is a journal in memory. It objects to what no journal takes.
type shelf struct {
	max      int // entries of one batch
	appended chan struct{}

	mu      sync.Mutex
	epoch   journal.Epoch
	bodies  [][]byte
	acked   journal.Head
	fails   error
	opened  []string // reasons of new epochs
	old     map[journal.Epoch][][]byte
	gone    bool // the files of older epochs cannot be read
	refuses int  // acknowledgements that were wrong
}

func newShelf(n int) *shelf {
	s := &shelf{max: 10, appended: make(chan struct{}, 1), epoch: journal.Epoch{1}}
	s.acked.Epoch = s.epoch
	for range n {
		s.append("K01")
	}
	return s
}

func (s *shelf) append(ref string) {
	s.mu.Lock()
	s.add(ref)
	s.mu.Unlock()
	select {
	case s.appended <- struct{}{}:
	default:
	}
}

func (s *shelf) add(ref string) {
	e := journal.Entry{
		Terminal: "T1", Epoch: s.epoch, Seq: int64(len(s.bodies)) + 1, At: noon,
		Kind: journal.TopUpIntent, Ref: ref, Card: "1001", Amount: 100,
	}
	s.bodies = append(s.bodies, e.Encode(s.head(len(s.bodies)).Hash))
}

func (s *shelf) head(n int) journal.Head {
	h := journal.Head{Epoch: s.epoch, Seq: int64(n)}
	if n > 0 {
		h.Hash = journal.HashOf(s.bodies[n-1])
	}
	return h
}

func (s *shelf) Head(context.Context) (journal.Head, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.head(len(s.bodies)), s.fails
}

func (s *shelf) HashAt(_ context.Context, seq int64) (journal.Hash, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.head(int(seq)).Hash, s.fails
}

func (s *shelf) Waiting(context.Context) (ledger.Waiting, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return ledger.Waiting{Count: int64(len(s.bodies)) - s.acked.Seq, Acked: s.acked}, s.fails
}

func (s *shelf) Appended() <-chan struct{} { return s.appended }

func (s *shelf) Batch(_ context.Context, from int64, most int) (journal.Batch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if from < 1 || from > int64(len(s.bodies))+1 {
		panic(fmt.Sprintf("batch from %d of %d", from, len(s.bodies)))
	}
	if int(from) == len(s.bodies)+1 && s.fails == nil {
		return journal.Batch{}, ledger.ErrNotFound
	}
	end := min(int(from)-1+min(s.max, most), len(s.bodies))
	b := journal.Batch{Epoch: s.epoch, From: from, Bodies: slices.Clone(s.bodies[from-1 : end])}
	note, err := journal.Checkpoint{Terminal: "T1", Epoch: s.epoch, Size: int64(end), Root: rootOf(s.bodies[:end])}.
		Sign(keyOf("T1"))
	b.Note = note
	return b, errors.Join(err, s.fails)
}

func rootOf(bodies [][]byte) journal.Hash {
	var f journal.Frontier
	for _, b := range bodies {
		f.Append(journal.HashOf(b))
	}
	return f.Root()
}

func (s *shelf) Acknowledge(_ context.Context, a journal.Ack) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, _, err := journal.OpenCosigned(a.Note, CampusName, public("campus"))
	if err != nil || a.Head.Seq <= s.acked.Seq || a.Head != s.head(int(a.Head.Seq)) ||
		c.Root != rootOf(s.bodies[:a.Head.Seq]) {
		s.refuses++
		return fmt.Errorf("acknowledged %d after %d: %w", a.Head.Seq, s.acked.Seq, err)
	}
	s.acked = a.Head
	return s.fails
}

func (s *shelf) Old(_ context.Context, theirs journal.Head, most int) (journal.Batch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	bodies := s.old[theirs.Epoch]
	if int(theirs.Seq) >= len(bodies) {
		return journal.Batch{}, ledger.ErrNotFound
	}
	if s.gone {
		return journal.Batch{}, ledger.ErrGone
	}
	end := min(int(theirs.Seq)+min(s.max, most), len(bodies))
	b := journal.Batch{Epoch: theirs.Epoch, From: theirs.Seq + 1, Bodies: slices.Clone(bodies[theirs.Seq:end])}
	var err error
	b.Note, err = journal.Checkpoint{Terminal: "T1", Epoch: b.Epoch, Size: int64(end), Root: rootOf(bodies[:end])}.
		Sign(keyOf("T1"))
	return b, err
}

func (s *shelf) NewEpoch(_ context.Context, reason string, _ journal.Head) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.bodies[s.acked.Seq:]
	s.opened = append(s.opened, reason)
	if s.old == nil {
		s.old = map[journal.Epoch][][]byte{}
	}
	s.old[s.epoch] = s.bodies
	s.epoch[0]++
	s.bodies, s.acked = nil, journal.Head{Epoch: s.epoch}
	s.add("opened")
	for range old {
		s.add("carried")
	}
	return nil
}

// campus is an upstream in memory that checks all that it is given.
type campus struct {
	mu      sync.Mutex
	bodies  map[journal.Epoch][][]byte
	calls   []time.Time
	each    time.Duration // that the line takes for an entry
	pushing bool
	worse   func(call int) trouble // nil: none
	needs   map[journal.Epoch]int  // entries of older epochs without which it takes nothing newer
}

// trouble is what happens to one call.
type trouble struct {
	before error                          // the request is lost, or answered with this
	after  error                          // it takes effect, and this is the answer
	hang   bool                           // no answer at all
	twist  func(journal.Ack) *journal.Ack // another answer
}

func newCampus() *campus { return &campus{bodies: make(map[journal.Epoch][][]byte)} }

func (c *campus) Push(ctx context.Context, b journal.Batch) (journal.Ack, error) {
	c.mu.Lock()
	if c.pushing {
		panic("two batches in flight")
	}
	c.pushing = true
	c.calls = append(c.calls, time.Now())
	var what trouble
	if c.worse != nil {
		what = c.worse(len(c.calls))
	}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.pushing = false
		c.mu.Unlock()
	}()
	if took := c.each * time.Duration(len(b.Bodies)); took > 0 {
		select {
		case <-ctx.Done():
			return journal.Ack{}, ctx.Err()
		case <-time.After(took):
		}
	}
	if what.hang {
		<-ctx.Done()
		return journal.Ack{}, ctx.Err()
	}
	if what.before != nil {
		return journal.Ack{}, what.before
	}
	ack, err := c.take(b)
	if err == nil && what.twist != nil {
		ack = *what.twist(ack)
	}
	if what.after != nil {
		return journal.Ack{}, what.after
	}
	return ack, err
}

func (c *campus) take(b journal.Batch) (journal.Ack, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := (journal.Epoch{1}); e[0] < b.Epoch[0]; e[0]++ {
		if len(c.bodies[e]) < c.needs[e] {
			return journal.Ack{}, &journal.PushError{Reason: journal.ErrGap, Head: c.head(e)}
		}
	}
	have := c.bodies[b.Epoch]
	if int(b.From) > len(have)+1 {
		return journal.Ack{}, &journal.PushError{Reason: journal.ErrGap, Head: c.head(b.Epoch)}
	}
	for i, body := range b.Bodies {
		switch at := int(b.From) - 1 + i; {
		case at == len(have):
			have = append(have, body)
		case !slices.Equal(have[at], body):
			return journal.Ack{}, &journal.PushError{Reason: journal.ErrFork, Head: c.head(b.Epoch)}
		}
	}
	check, err := journal.OpenCheckpoint(b.Note, public("T1"))
	if err != nil || check.Size > int64(len(have)) || check.Root != rootOf(have[:check.Size]) {
		return journal.Ack{}, &journal.PushError{Reason: journal.ErrUnproven, Head: c.head(b.Epoch)}
	}
	c.bodies[b.Epoch] = have
	note, err := journal.Campus{Name: CampusName, Key: keyOf("campus")}.Cosign(b.Note, public("T1"), noon)
	return journal.Ack{Head: c.head(b.Epoch), Note: note}, err
}

func (c *campus) head(e journal.Epoch) journal.Head {
	h := journal.Head{Epoch: e, Seq: int64(len(c.bodies[e]))}
	if h.Seq > 0 {
		h.Hash = journal.HashOf(c.bodies[e][h.Seq-1])
	}
	return h
}
