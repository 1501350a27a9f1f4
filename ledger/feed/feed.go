// Package feed is a terminal's own copy of what upstream publishes to every
// terminal: the hotlist, the settings, the public keys, the bath timetable.
// With it a terminal decides alone while upstream is away, and knows how old
// what it goes by is.
//
// # Forward only
//
// A feed has a version, which never decreases. An [Update] is the whole feed
// or a step from the version that is here; one that is not newer, or that steps
// from another version, changes nothing. It takes effect whole: in one
// transaction on the disk, and then in one swap in memory, so that a check
// never waits for it and never sees half of it.
//
// # What the loss means
//
// The copy is one SQLite file, and losing it costs a download. So a file that
// is damaged is thrown away. What must not happen is that a list which is gone
// passes for one that is empty: a feed that was lost has the age [Unknown], until
// upstream has given it again, or has said that there is none.
//
// # What it refuses to know
//
// Networks, and whose signature is on an update: its caller has checked that.
// And what to do about a hot card or an old list, which is the flow's to say.
package feed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Hotlist is the name of the one feed that this package looks into. Every other
// one is bytes to it.
const Hotlist = "hotlist"

// Keys is the feed of the public keys that codes are checked by, and of the phones
// that were lost.
const Keys = "keys"

// Names are the feeds that there are.
var Names = []string{Hotlist, "settings", Keys, "bath"}

// Card is a card's serial number as it is on the card.
type Card [10]byte

// Reason is why a card is hot. The numbers are upstream's.
type Reason uint8

// Hot is a card that must not be taken.
type Hot struct {
	Card   Card
	Reason Reason
}

// Update is a step forward of one feed, which the campus has signed.
type Update struct {
	Name    string
	Version uint64    // that it leads to
	From    uint64    // that it steps from; 0 for the whole feed, Version if there was nothing newer at Issued
	Issued  time.Time // by upstream

	// Adds and Removes are the hotlist's, each in the order of card numbers and
	// without a repeat. A card that is there already gets the new reason; one
	// that is in both is there afterwards.
	Adds    []Hot
	Removes []Card

	Content []byte // of every other feed, whole
}

// Reasons why an update changes nothing.
var (
	// ErrOld means that the feed is as new or newer: the update is a replay.
	ErrOld = errors.New("feed: not newer than what is here")
	// ErrGap means that the update steps from another version than the one that
	// is here: the whole feed is needed.
	ErrGap = errors.New("feed: does not follow from what is here")
	// ErrMalformed means that an update says what none can say.
	ErrMalformed = errors.New("feed: malformed update")
)

// Unknown is the age of a feed that is not here.
const Unknown = time.Duration(math.MaxInt64)

// Status is how new a feed is.
type Status struct {
	Name    string
	Version uint64    // 0: nothing of it is here
	Issued  time.Time // of this version
	Checked time.Time // when upstream last said, by its own time, that there was no newer one; zero: never
}

// Age returns for how long upstream may have known better. Of a feed that is
// not here, and where the clock is behind what the feed says, nobody knows:
// it is [Unknown].
func (s Status) Age(now time.Time) time.Duration {
	age := now.Sub(s.Checked)
	if s.Checked.IsZero() || age < -clockSlack {
		return Unknown
	}
	return max(age, 0)
}

// clockSlack is how far a clock may be behind before it is no clock: it was
// compared with upstream's a round trip ago.
const clockSlack = time.Minute

// Feeds is an open copy. Its methods may be called from any goroutine, and
// those that only look never wait for one that writes.
type Feeds struct {
	path string
	now  atomic.Pointer[state]

	mu     sync.Mutex           // one writer at a time; guards what follows
	store  *store               // nil after a failure, until it can be opened again
	noted  map[string]time.Time // Checked as it is on the disk
	closed bool
}

// state is what is known at one moment. It is never changed: a writer puts
// another in its place.
type state struct {
	status map[string]Status
	hot    *list
}

// with returns the state with another status of one feed.
func (s *state) with(next Status, hot *list) *state {
	status := maps.Clone(s.status)
	status[next.Name] = next
	return &state{status, hot}
}

// Open opens the copy at path. What is there and cannot be read is thrown away,
// and an empty copy takes its place. The caller closes the Feeds.
//
// The path may also be a URI of SQLite's ("file:/feeds.db?vfs=…"), as of a disk
// in memory. What cannot be read there stays, and is an error.
func Open(ctx context.Context, path string) (*Feeds, error) {
	f := &Feeds{path: path}
	if err := f.usable(ctx); err != nil {
		return nil, err
	}
	return f, nil
}

// Look returns how new the feeds of the copy at path are, in the order of
// [Names]. It changes nothing and may be called beside a terminal that works.
func Look(ctx context.Context, path string) ([]Status, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	db, err := connect(path, "mode=ro&_busy_timeout=5000")
	if err != nil {
		return nil, fmt.Errorf("look at feeds: %w", err)
	}
	s := &store{db}
	rows, err := s.rows(ctx)
	if err = errors.Join(err, s.close()); err != nil {
		return nil, fmt.Errorf("look at feeds: %w", err)
	}
	var all []Status
	for _, name := range Names {
		st := rows[name].Status
		st.Name = name
		all = append(all, st)
	}
	return all, nil
}

// Close closes the copy. What is in memory stays there.
func (f *Feeds) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	s := f.store
	if f.store = nil; s == nil {
		return nil
	}
	return s.close()
}

// Hot reports whether a card is on the hotlist, and why. It says nothing about
// how old the list is: see [Feeds.Status].
func (f *Feeds) Hot(c Card) (Reason, bool) { return f.now.Load().hot.find(c) }

// HotCount returns the number of cards on the hotlist.
func (f *Feeds) HotCount() int { return f.now.Load().hot.len() }

// Status returns how new a feed is.
func (f *Feeds) Status(name string) Status {
	s := f.now.Load().status[name]
	s.Name = name
	return s
}

// Content returns what a feed says, and nil if it is not here. The hotlist has
// no content: ask [Feeds.Hot].
func (f *Feeds) Content(ctx context.Context, name string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.usable(ctx); err != nil {
		return nil, err
	}
	if f.Status(name).Version == 0 {
		return nil, nil
	}
	return f.store.content(ctx, name)
}

// Apply takes an update. When it returns without an error the update is on the
// disk and in force; [ErrOld], [ErrGap] and [ErrMalformed] have changed nothing,
// and after any other error the feed is as it was or as the update has it.
func (f *Feeds) Apply(ctx context.Context, u Update) error {
	if err := u.check(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.usable(ctx); err != nil {
		return err
	}
	now := f.now.Load()
	have := now.status[u.Name]
	switch {
	case u.From == u.Version && u.Version == have.Version:
		return f.checked(ctx, u.Name, u.Version, u.Issued)
	case u.Version <= have.Version:
		return fmt.Errorf("%w: %s has version %d, not %d", ErrOld, u.Name, have.Version, u.Version)
	case u.From != 0 && u.From != have.Version:
		return fmt.Errorf("%w: %s has version %d, not %d", ErrGap, u.Name, have.Version, u.From)
	}
	issued := u.Issued.UTC().Truncate(time.Millisecond)
	next := Status{u.Name, u.Version, issued, newer(have.Checked, issued)}
	hot := now.hot
	if u.Name == Hotlist {
		hot = hot.apply(u)
	}
	if err := f.store.apply(ctx, u, next); err != nil {
		return f.fail("take "+u.Name, err)
	}
	f.noted[u.Name] = next.Checked
	f.now.Store(now.with(next, hot))
	return nil
}

func (u Update) check() error {
	hot := len(u.Adds) > 0 || len(u.Removes) > 0
	ok := slices.Contains(Names, u.Name) && u.Version > 0 && u.Version <= math.MaxInt64 && u.From <= u.Version &&
		u.Issued.Year() >= 1970 && u.Issued.Year() <= 9999
	switch {
	case !ok, u.From == u.Version && (hot || len(u.Content) > 0):
		return fmt.Errorf("%w: %.20q version %d from %d", ErrMalformed, u.Name, u.Version, u.From)
	case u.Name == Hotlist && len(u.Content) > 0, u.Name != Hotlist && hot, u.From == 0 && len(u.Removes) > 0:
		return fmt.Errorf("%w: %s does not come in this form", ErrMalformed, u.Name)
	case !ascending(u.Removes, Card.compare),
		!ascending(u.Adds, func(a, b Hot) int { return a.Card.compare(b.Card) }):
		return fmt.Errorf("%w: cards are not in order", ErrMalformed)
	}
	return nil
}

func (c Card) compare(d Card) int { return bytes.Compare(c[:], d[:]) }

// ascending reports whether all are in order, each once.
func ascending[T any](all []T, compare func(a, b T) int) bool {
	for i := 1; i < len(all); i++ {
		if compare(all[i-1], all[i]) >= 0 {
			return false
		}
	}
	return true
}

// noteEvery is how often it is written down that a feed is still the newest.
// After a crash a feed may pass for older than it is by this much, never for
// newer.
const noteEvery = time.Minute

// Checked notes that at the time at, by upstream's clock, newest was the newest
// version of a feed. It keeps the feed young if that is what is here.
func (f *Feeds) Checked(ctx context.Context, name string, newest uint64, at time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.checked(ctx, name, newest, at)
}

// checked is Checked for who holds f.mu.
func (f *Feeds) checked(ctx context.Context, name string, newest uint64, at time.Time) error {
	now := f.now.Load()
	next := now.status[name]
	if next.Version != newest || newer(next.Checked, at).Equal(next.Checked) {
		return nil // where newest is older, upstream was restored, and has to catch up first
	}
	next.Name, next.Checked = name, at
	f.now.Store(now.with(next, now.hot))
	if at.Sub(f.noted[name]).Abs() < noteEvery {
		return nil
	}
	if err := f.usable(ctx); err != nil {
		return err
	}
	next.Checked = at.UTC().Truncate(time.Millisecond)
	if err := f.store.checked(ctx, next); err != nil {
		return f.fail("note "+name, err)
	}
	f.noted[name] = next.Checked
	return nil
}

// lateMax is how much later than another an answer may come that was given before
// it. What is older than that was said by an upstream whose clock was set back.
const lateMax = time.Hour

// newer returns when a feed was the newest, as far as is known: at, unless have is
// later by what two answers may overtake each other. An upstream whose clock was
// ahead for a while has told of a time that may be years away: until then nobody
// would know how old the feed is. That it may be older now lets nobody sell longer.
func newer(have, at time.Time) time.Time {
	if late := have.Sub(at); late >= 0 && late <= lateMax {
		return have
	}
	return at
}

// fail lets go of a file of which a write has failed: what is on the disk is
// known only when it has been read again. In memory everything stays as it
// was, and grows old. The caller holds f.mu.
func (f *Feeds) fail(op string, err error) error {
	s := f.store
	f.store = nil
	return errors.Join(fmt.Errorf("%s: %w", op, err), s.close())
}

// usable opens the file if it is not open. The caller holds f.mu, or f alone.
func (f *Feeds) usable(ctx context.Context) error {
	switch {
	case f.closed:
		return os.ErrClosed
	case f.store != nil:
		return nil
	}
	s, now, err := openStore(ctx, f.path)
	if err != nil {
		return fmt.Errorf("open feeds: %w", err)
	}
	f.store, f.noted = s, make(map[string]time.Time)
	for name, st := range now.status {
		f.noted[name] = st.Checked
	}
	f.now.Store(now)
	return nil
}
