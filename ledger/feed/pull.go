package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// Source is where feeds come from. It has checked who signed what it returns.
type Source interface {
	// Pull returns a step from version have, to which the step was issued then, to a
	// newer one, or the whole feed.
	Pull(ctx context.Context, name string, have uint64, issued time.Time) (Update, error)
}

// The pause after a pull that failed grows, and has chance in it, so that
// terminals that were cut off together do not come back together.
const (
	pauseMin = time.Second
	pauseMax = time.Minute
)

// againEvery is how often a feed is asked for although its version is the newest: books
// that were restored from a copy may have come to that number again, with something else.
const againEvery = 10 * time.Minute

// Puller keeps the feeds as new as upstream says that they are. Make one with
// [NewPuller].
type Puller struct {
	feeds  *Feeds
	source Source
	log    *slog.Logger
	wake   chan struct{}        // has a token when there is something newer
	asked  map[string]time.Time // when each was last pulled, by upstream's clock; Level's own

	mu     sync.Mutex
	newest map[string]uint64 // guarded by mu
	at     time.Time         // when they were that; guarded by mu
}

// NewPuller returns a Puller, which does nothing before Run.
func NewPuller(f *Feeds, from Source, log *slog.Logger) *Puller {
	return &Puller{feeds: f, source: from, log: log, wake: make(chan struct{}, 1), asked: map[string]time.Time{}}
}

// Heard tells the Puller which versions were the newest at the time at, by
// upstream's clock.
func (p *Puller) Heard(ctx context.Context, newest map[string]uint64, at time.Time) {
	for _, name := range Names { // in one order: on a disk that is getting full it decides what is noted
		version, told := newest[name]
		if !told {
			continue
		}
		if err := p.feeds.Checked(ctx, name, version, at); err != nil {
			p.log.Warn("feed's age not noted", "feed", name, "err", err)
		}
	}
	p.mu.Lock()
	p.newest, p.at = newest, at
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Run pulls until ctx ends, and returns ctx's error.
func (p *Puller) Run(ctx context.Context) error {
	pause := time.Duration(0)
	for {
		err := p.Level(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			pause = min(max(2*pause, pauseMin), pauseMax)
			p.log.Warn("feed not pulled", "err", err, "pause", pause)
			select {
			case <-ctx.Done():
			case <-time.After(pause/2 + rand.N(pause/2)):
			}
		default:
			pause = 0
			select {
			case <-ctx.Done():
			case <-p.wake:
			}
		}
	}
}

// Level pulls every feed that is behind, and now and then one that seems not to be. One
// that cannot be pulled does not hold up the others. Run calls it when there is news; a
// simulation calls it in a time of its own.
func (p *Puller) Level(ctx context.Context) error {
	p.mu.Lock()
	newest, at := p.newest, p.at
	p.mu.Unlock()
	var errs []error
	for _, name := range Names {
		have := p.feeds.Status(name).Version
		due := have > 0 && at.Sub(p.asked[name]).Abs() >= againEvery
		switch {
		case newest == nil:
		case have < newest[name], have == newest[name] && due:
			err := p.pull(ctx, name, have)
			if err == nil {
				p.asked[name] = at
			}
			errs = append(errs, err)
		case have > newest[name]:
			p.tell(ctx, name, have)
		}
	}
	return errors.Join(errs...)
}

// tell has upstream learn, by being asked, that a version is here which it has
// never made: it was restored from a copy, and somebody there has to see to it.
// Nothing here goes back, and the feed grows old.
func (p *Puller) tell(ctx context.Context, name string, have uint64) {
	err := p.pull(ctx, name, have)
	if err != nil && !errors.Is(err, ErrOld) { // otherwise it has caught up meanwhile
		p.log.Error("upstream's feed is older than the one here", "feed", name, "version", have, "err", err)
	}
}

// pull brings one feed forward: by a step, or whole where a step does not fit.
func (p *Puller) pull(ctx context.Context, name string, have uint64) error {
	u, err := p.source.Pull(ctx, name, have, p.feeds.Status(name).Issued)
	if err == nil {
		err = p.feeds.Apply(ctx, u)
	}
	if errors.Is(err, ErrGap) {
		if u, err = p.source.Pull(ctx, name, 0, time.Time{}); err == nil {
			err = p.feeds.Apply(ctx, u)
		}
	}
	if err != nil {
		return fmt.Errorf("pull %s after %d: %w", name, have, err)
	}
	if u.From < u.Version {
		p.log.Info("feed taken", "feed", name, "version", u.Version, "from", u.From)
	}
	return nil
}
