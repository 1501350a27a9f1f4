// Package push carries a terminal's journal upstream, for as long as the
// program runs.
//
// It drops nothing, whatever it is told: a batch counts as taken when the
// campus has signed for the very checkpoint that was sent, and for no other
// answer. Until then the same entries are sent again, a little later each time.
//
// It refuses to know what entries say, and what the network is.
package push

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"quancun/journal"
	"quancun/ledger"
)

// Book is the journal that is pushed. [ledger.Book] is one.
type Book interface {
	Head(ctx context.Context) (journal.Head, error)
	// HashAt returns the hash of an entry.
	HashAt(ctx context.Context, seq int64) (journal.Hash, error)
	// Waiting returns, among others, the last position that was acknowledged.
	Waiting(ctx context.Context) (ledger.Waiting, error)
	// Batch returns the entries from a number on, as many as go up at once and no more
	// than most, and [ledger.ErrNotFound] if there is none.
	Batch(ctx context.Context, from int64, most int) (journal.Batch, error)
	Acknowledge(ctx context.Context, a journal.Ack) error
	// Appended has a token when there is something new.
	Appended() <-chan struct{}
	// Old returns entries after theirs of an older journal that this one carries
	// on, no more than most, and [ledger.ErrGone] if they cannot be pushed as they were.
	Old(ctx context.Context, theirs journal.Head, most int) (journal.Batch, error)
	// NewEpoch leaves the journal as it is and goes on in a new one, into which
	// it carries what upstream has not acknowledged.
	NewEpoch(ctx context.Context, reason string, theirs journal.Head) error
}

// Upstream takes batches. A *[journal.PushError] says why one was not taken; any
// other error leaves that unknown.
type Upstream interface {
	Push(ctx context.Context, b journal.Batch) (journal.Ack, error)
}

// CampusName is the name under which the campus signs for what it has.
const CampusName = "quancun/campus"

// How long things take.
const (
	// gather is how long a new entry waits for others: an intent and its end go
	// up together. An entry is upstream within two seconds, so that a disk that
	// dies loses nothing older.
	gather = 300 * time.Millisecond

	// After a failure the next attempt comes after a pause, which grows. Its
	// length has chance in it, so that terminals that were cut off together do
	// not come back together.
	pauseMin = time.Second
	pauseMax = time.Minute

	// idleMax is how long an idle Pusher trusts that it would have been told.
	idleMax = time.Minute

	// callMax is how long one batch may take: half a megabyte over a bad line. Over a
	// worse one batches become smaller until they fit, and larger again while they
	// take no longer than callEasy.
	callMax  = time.Minute
	callEasy = callMax / 4

	// epochEvery is how long a new epoch has to last before there can be another.
	// An upstream that is out of its mind must not fill the disk with epochs.
	epochEvery = time.Hour
)

// Options are what a [Pusher] needs.
type Options struct {
	Book     Book
	Upstream Upstream
	Campus   ed25519.PublicKey // whose signature acknowledges
	Now      func() time.Time  // for what is told about the Pusher; time.Now if nil
	Log      *slog.Logger
}

// Pusher is the journal's way upstream. Make one with [New].
//
// The fields up to the blank line never change, but for Campus, which mu guards.
// Those up to the next belong to the goroutine that is in Run.
type Pusher struct {
	Options
	wake chan struct{} // has a token when what was heard changes what to do

	next   int64 // number to push from; 0: after what was acknowledged
	most   int   // entries of one batch, as the line is
	pause  time.Duration
	opened time.Time    // when the last new epoch was opened
	asked  journal.Head // of an older journal: after it upstream has been given more

	mu     sync.Mutex // guards what follows
	heard  *journal.Head
	back   bool
	health Health
}

// New returns a Pusher. It does nothing before Run.
func New(o Options) *Pusher {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Pusher{Options: o, wake: make(chan struct{}, 1), most: journal.BatchMax}
}

// Health is how the way upstream is.
type Health struct {
	Last    time.Time // when upstream last took something; zero: not since the start
	Failing time.Time // since when nothing goes up that should; zero: all is well
	Err     error     // why

	// Diverged is how the journal stood to upstream's when a new epoch was last
	// opened, 0 if none was: this machine was restored from a copy, or there is
	// another one with its identity. Somebody has to come and look.
	Diverged   journal.Standing
	DivergedAt time.Time
}

// Health returns how the way upstream is.
func (p *Pusher) Health() Health {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.health
}

// Trust tells the Pusher whose signature acknowledges from now on.
func (p *Pusher) Trust(campus ed25519.PublicKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Campus = campus
}

// Heard tells the Pusher what upstream said of this journal at a greeting, and
// whether upstream has been away before it.
func (p *Pusher) Heard(theirs journal.Head, back bool) {
	p.mu.Lock()
	p.heard, p.back = &theirs, p.back || back
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Run pushes until ctx ends, and returns ctx's error.
func (p *Pusher) Run(ctx context.Context) error {
	for {
		more, err := p.Step(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.note(err)
		switch {
		case err != nil:
			p.pause = min(max(2*p.pause, pauseMin), pauseMax)
			p.rest(ctx)
		case more && p.asked != (journal.Head{}):
			// Entries of an older journal went up: whether it helps is still to be seen.
		case more:
			p.pause = 0
		default:
			p.pause = 0
			p.await(ctx)
		}
	}
}

// note keeps how it went for who asks.
func (p *Pusher) note(err error) {
	if err != nil {
		p.Log.Warn("push failed", "err", err, "pause", p.pause)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil:
		p.health.Failing = time.Time{}
	case p.health.Err == nil:
		p.health.Failing = p.Now()
	}
	p.health.Err = err
}

// rest waits after a failure. It is cut short once when upstream, which was
// away, is back: by as much as keeps terminals apart that have seen it come
// back together.
func (p *Pusher) rest(ctx context.Context) {
	timer := time.NewTimer(p.pause/2 + rand.N(p.pause/2))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case <-p.wake:
		}
		p.mu.Lock()
		back := p.back
		p.back = false
		p.mu.Unlock()
		if back {
			p.pause = 0
			timer.Reset(rand.N(pauseMin))
		}
	}
}

// await waits until there may be something to do.
func (p *Pusher) await(ctx context.Context) {
	timer := time.NewTimer(idleMax)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-p.wake:
	case <-p.Book.Appended():
		timer.Reset(gather)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
	}
}

// Step does one thing that is due, and reports whether another may be. Run
// calls it again and again; a simulation calls it in a time of its own.
func (p *Pusher) Step(ctx context.Context) (more bool, err error) {
	p.mu.Lock()
	theirs := p.heard
	p.heard, p.back = nil, false
	p.mu.Unlock()
	if theirs != nil {
		if err := p.greeted(ctx, *theirs); err != nil {
			return false, err
		}
	}
	b, err := p.batch(ctx)
	if errors.Is(err, ledger.ErrNotFound) || err == nil && len(b.Bodies) == 0 {
		return false, nil // all is upstream
	}
	if err != nil {
		return false, err
	}
	ack, err := p.push(ctx, b)
	if no := (*journal.PushError)(nil); errors.As(err, &no) {
		return p.rejected(ctx, b, no)
	}
	if err != nil {
		return false, err
	}
	p.asked = journal.Head{}
	return true, p.acknowledge(ctx, b, ack)
}

func (p *Pusher) push(ctx context.Context, b journal.Batch) (journal.Ack, error) {
	called, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	began := time.Now()
	ack, err := p.Upstream.Push(called, b)
	switch easy := time.Since(began) <= callEasy; {
	case easy && err == nil:
		p.most = min(2*p.most, journal.BatchMax)
	case !easy && err != nil:
		p.most = max(len(b.Bodies)/2, 1)
	}
	if err != nil {
		return ack, fmt.Errorf("push %s from %d: %w", b.Epoch, b.From, err)
	}
	return ack, nil
}

// greeted acts upon what upstream says that it has: it may be less than it has
// acknowledged, if it was restored from a copy. Nothing that is new may come for
// days, and what is old has to go up again all the same.
func (p *Pusher) greeted(ctx context.Context, theirs journal.Head) error {
	if err := p.compare(ctx, theirs); err != nil {
		return err
	}
	w, err := p.Book.Waiting(ctx)
	if err != nil || theirs.Epoch != w.Acked.Epoch {
		return err
	}
	if p.next == 0 {
		p.next = w.Acked.Seq + 1
	}
	if theirs.Seq+1 < p.next {
		// The last that it has acknowledged goes up again. It answers with where to
		// go on from, and its own books say that they have lost something.
		p.next--
	}
	return nil
}

func (p *Pusher) batch(ctx context.Context) (journal.Batch, error) {
	if p.next == 0 {
		w, err := p.Book.Waiting(ctx)
		if err != nil {
			return journal.Batch{}, err
		}
		p.next = w.Acked.Seq + 1
	}
	return p.Book.Batch(ctx, p.next, p.most)
}

// errAck means that an answer does not acknowledge what was sent, whatever it
// says.
var errAck = errors.New("push: answer does not acknowledge the batch")

// proven returns the last entry of b if a proves that upstream has all of it: the
// campus has signed for the very checkpoint that was sent.
func (p *Pusher) proven(b journal.Batch, a journal.Ack) (journal.Head, error) {
	p.mu.Lock()
	campus := p.Campus
	p.mu.Unlock()
	end := journal.Head{
		Epoch: b.Epoch, Seq: b.From + int64(len(b.Bodies)) - 1, Hash: journal.HashOf(b.Bodies[len(b.Bodies)-1]),
	}
	c, _, err := journal.OpenCosigned(a.Note, CampusName, campus)
	if err != nil {
		return end, fmt.Errorf("%w: %w", errAck, err)
	}
	if c.Epoch != end.Epoch || c.Size != end.Seq || !bytes.Equal(textOf(a.Note), textOf(b.Note)) {
		return end, fmt.Errorf("%w: signed for %d entries of %s", errAck, c.Size, c.Epoch)
	}
	if a.Head.Epoch != end.Epoch || a.Head.Seq < end.Seq || a.Head.Seq == end.Seq && a.Head.Hash != end.Hash {
		return end, fmt.Errorf("%w: upstream is at %d", errAck, a.Head.Seq)
	}
	return end, nil
}

// acknowledge has the journal note that b is upstream, if a proves it.
func (p *Pusher) acknowledge(ctx context.Context, b journal.Batch, a journal.Ack) error {
	end, err := p.proven(b, a)
	if err != nil {
		return err
	}
	w, err := p.Book.Waiting(ctx)
	if err != nil {
		return err
	}
	if end.Seq > w.Acked.Seq { // otherwise upstream has lost what it had, and gets it again
		if err := p.Book.Acknowledge(ctx, journal.Ack{Head: end, Note: a.Note}); err != nil {
			return err
		}
	}
	p.next = end.Seq + 1
	p.mu.Lock()
	p.health.Last = p.Now()
	p.mu.Unlock()
	if a.Head.Seq > end.Seq {
		return p.compare(ctx, a.Head)
	}
	return nil
}

// textOf returns what a note's signatures are about.
func textOf(note []byte) []byte {
	text, _, _ := bytes.Cut(note, []byte("\n\n"))
	return text
}

// rejected finds out what to do after upstream has taken nothing of b.
func (p *Pusher) rejected(ctx context.Context, b journal.Batch, no *journal.PushError) (more bool, err error) {
	epoch := b.Epoch
	if no.Head.Epoch != epoch && !errors.Is(no, journal.ErrUnproven) {
		return p.bringOld(ctx, no)
	}
	if err := p.compare(ctx, no.Head); err != nil {
		return false, err
	}
	now, err := p.Book.Head(ctx)
	if err == nil && now.Epoch == epoch && no.Head.Epoch == epoch && errors.Is(no, journal.ErrFork) {
		// All that upstream has of this journal is ours, and it takes no more of
		// it: a clone that has found out first has gone on in another epoch.
		err = p.diverged(ctx, journal.Forked, no.Head)
		return err == nil, err
	}
	if err != nil || now.Epoch != epoch {
		return err == nil, err // a new epoch has been opened: that is what goes up now
	}
	if !errors.Is(no, journal.ErrGap) || no.Head.Epoch != epoch || no.Head.Seq+1 >= b.From {
		return false, fmt.Errorf("push from %d: %w", b.From, no)
	}
	p.Log.Warn("upstream has lost entries; they go up again", "from", no.Head.Seq+1, "until", b.From)
	p.next = no.Head.Seq + 1
	return true, nil
}

// compare opens a new epoch if upstream's copy of the journal is another
// journal than this one.
func (p *Pusher) compare(ctx context.Context, theirs journal.Head) error {
	ours, err := p.Book.Head(ctx)
	if err != nil || theirs.Epoch != ours.Epoch {
		return err // news of an epoch that is over
	}
	var at journal.Hash
	if theirs.Seq > 0 && theirs.Seq <= ours.Seq {
		if at, err = p.Book.HashAt(ctx, theirs.Seq); err != nil {
			return err
		}
	}
	if standing := journal.Compare(ours, theirs, at); standing == journal.Rewound || standing == journal.Forked {
		return p.diverged(ctx, standing, theirs)
	}
	return nil
}

// oldMax is how many older journals upstream may lack, each before the last.
const oldMax = 100

// bringOld pushes entries of an older journal that upstream asks for, before it
// takes what came after them: it was restored from a copy, and has lost what it
// had acknowledged. Those that it does not take as they were, a new epoch carries
// over.
func (p *Pusher) bringOld(ctx context.Context, no *journal.PushError) (more bool, err error) {
	for n := 0; errors.Is(no, journal.ErrGap); n++ {
		if n == oldMax || no.Head == p.asked {
			p.asked = journal.Head{}
			return false, fmt.Errorf("push: upstream asks again for what it has taken: %s: %w", no.Head.Epoch, no)
		}
		p.Log.Warn("upstream has lost entries of an older journal; they go up again",
			"epoch", no.Head.Epoch, "from", no.Head.Seq+1)
		b, err := p.Book.Old(ctx, no.Head, p.most)
		if errors.Is(err, ledger.ErrGone) {
			p.Log.Error("entries of an older journal cannot be pushed as they were", "err", err)
			break
		}
		if err != nil {
			return false, err
		}
		asked := no.Head
		ack, err := p.push(ctx, b)
		if errors.As(err, &no) {
			continue // it lacks what was before that, too
		}
		if err == nil {
			_, err = p.proven(b, ack)
		}
		p.asked = asked
		return err == nil, err
	}
	err = p.open(ctx, journal.ReasonRestored, no.Head)
	return err == nil, err
}

// reasons are what a new epoch says of why it was opened.
var reasons = map[journal.Standing]string{
	journal.Rewound: journal.ReasonRewound, journal.Forked: journal.ReasonForked,
}

// diverged goes on in a new epoch, since upstream has another journal under this
// one's name.
func (p *Pusher) diverged(ctx context.Context, standing journal.Standing, theirs journal.Head) error {
	if err := p.open(ctx, reasons[standing], theirs); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.health.Diverged, p.health.DivergedAt = standing, p.opened
	return nil
}

// open goes on in a new epoch.
func (p *Pusher) open(ctx context.Context, reason string, theirs journal.Head) error {
	now := p.Now()
	if !p.opened.IsZero() && now.Sub(p.opened) < epochEvery {
		return fmt.Errorf("push: journal is %s again, after a new epoch was opened at %s", reason, p.opened)
	}
	p.Log.Error("upstream's journal and this one do not go together; a new epoch is opened",
		"reason", reason, "epoch", theirs.Epoch, "theirs", theirs.Seq)
	if err := p.Book.NewEpoch(ctx, reason, theirs); err != nil {
		return fmt.Errorf("open new epoch: %w", err)
	}
	p.opened, p.next, p.asked = now, 0, journal.Head{}
	return nil
}
