package kiosk

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"quancun/kiosk/rules"
	"quancun/pboc"
	"quancun/upstream/client"
)

// Clock is the machine's clock, put right by what the upstream says. Cards,
// receipts and timeouts go by it; the journal goes by the machine's own and
// orders by number. What the upstream has said goes on by the time since boot,
// which nobody can set, however long it says no more.
type Clock struct {
	machine func() time.Time
	uptime  func() time.Duration
	told    *atomic.Pointer[told]
}

// told is what the upstream has said.
type told struct {
	now    time.Time
	uptime time.Duration // when it did
}

// NewClock returns a clock that believes the machine's until told otherwise;
// machine is [time.Now] and uptime [ledger.Uptime] on a real one.
func NewClock(machine func() time.Time, uptime func() time.Duration) Clock {
	return Clock{machine, uptime, new(atomic.Pointer[told])}
}

// Now returns the upstream's time as well as it is known.
func (c Clock) Now() time.Time {
	t := c.told.Load()
	if t == nil {
		return c.machine()
	}
	return t.now.Add(c.uptime() - t.uptime)
}

// Drift returns by how much the machine's own clock is ahead.
func (c Clock) Drift() time.Duration {
	if drift := c.machine().Round(0).Sub(c.Now()); drift.Abs() >= driftMin {
		return drift
	}
	return 0
}

// driftMin is how far the machine may be off before it is put right: below it
// the round trip of the question is most of the answer.
const driftMin = 2 * time.Second

func (c Clock) set(drift time.Duration) {
	if drift.Abs() < driftMin {
		drift = 0
	}
	c.told.Store(&told{c.machine().Round(0).Add(-drift), c.uptime()}) // without Go's own uptime in it
}

// Terms is what the upstream said at the last Hello. It is safe for use by
// several goroutines.
type Terms struct {
	id string // of the terminal
	no pboc.TerminalNo

	mu      sync.Mutex
	welcome client.Welcome // guarded by mu
	rules   rules.Rules    // guarded by mu
}

// NewTerms returns the terms of the terminal with the given ID and number, with
// nothing allowed until the upstream has said what is.
func NewTerms(terminal string, no pboc.TerminalNo) *Terms {
	return &Terms{id: terminal, no: no, rules: rules.Default()}
}

// Terminal returns the terminal's ID.
func (t *Terms) Terminal() string { return t.id }

// TerminalNo returns the number that is part of every MAC of this terminal.
func (t *Terms) TerminalNo() pboc.TerminalNo { return t.no }

// Policy returns what the school allows.
func (t *Terms) Policy() client.Policy {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.welcome.Policy
}

// Place returns where the terminal stands; zero if the upstream has not said so.
func (t *Terms) Place() client.Place {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.welcome.Place
}

// Rules returns what may be sold while the upstream does not answer.
func (t *Terms) Rules() rules.Rules {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rules
}

func (t *Terms) setRules(r rules.Rules) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rules = r
}

func (t *Terms) set(w client.Welcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.welcome = w
}

// InHand names what the person at the terminal is about to bring to an end,
// so that the [Keeper] leaves it alone. It is safe for use by several
// goroutines.
type InHand struct {
	mu   sync.Mutex
	refs map[string]bool // guarded by mu
}

// Take puts ref in hand.
func (h *InHand) Take(ref string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refs == nil {
		h.refs = make(map[string]bool)
	}
	h.refs[ref] = true
}

// Drop leaves ref to the Keeper.
func (h *InHand) Drop(ref string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.refs, ref)
}

// Clear leaves everything to the Keeper: the person has gone.
func (h *InHand) Clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.refs)
}

// Has reports whether ref is in hand.
func (h *InHand) Has(ref string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.refs[ref]
}

// unanswered marks an error of the upstream that is no refusal.
func unanswered(err error) error {
	if refused(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNoAnswer, err)
}

// details encodes what has no float, map or pointer in it, which cannot fail.
func details(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("kiosk: internal error: " + err.Error())
	}
	return b
}

// NewRef returns a name for something that is about to be journalled, which
// nobody else has.
func NewRef() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(id[:])
}
