package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"quancun/journal"
	"quancun/paycode"
	"quancun/upstream/phone"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// Push takes entries of a terminal's journal. When it returns without an
// error, all of them are durable and posted. The same batch again gets the
// same answer, or a later one.
//
// A [*journal.PushError] says that the batch does not fit; nothing of it was
// taken. Every other error is an unknown outcome.
func (g *Ingest) Push(ctx context.Context, t store.Terminal, b journal.Batch) (journal.Ack, error) {
	if len(b.Bodies) > journal.BatchMax {
		return journal.Ack{}, g.unproven(ctx, t, b)
	}
	return g.receive(ctx, t, b, true)
}

// Carry is [Ingest.Push] for a journal that a person has carried here: it has
// one checkpoint, at its end, and any length, and is asked for nothing else.
func (g *Ingest) Carry(ctx context.Context, t store.Terminal, b journal.Batch) (journal.Ack, error) {
	return g.receive(ctx, t, b, false)
}

// receive takes b. asking says whether to ask first for what was before it, if
// we have lost that.
func (g *Ingest) receive(ctx context.Context, t store.Terminal, b journal.Batch, asking bool) (journal.Ack, error) {
	p, err := g.prove(ctx, t, b)
	if errors.Is(err, journal.ErrUnproven) {
		return journal.Ack{}, g.unproven(ctx, t, b)
	}
	if err != nil {
		return journal.Ack{}, err
	}
	defer p.cosigned() //nolint:errcheck // it has been asked for below, or nothing was written
	var ack journal.Ack
	var rejected *journal.PushError
	err = g.books.Write(ctx, func(tx *sqldb.Tx) error {
		k := &taking{ctx: context.WithoutCancel(ctx), g: g, tx: tx, push: p, asking: asking, now: g.books.Now()}
		ack, rejected = journal.Ack{}, nil // it may be run again
		var err error
		ack, err = k.take()
		if _, err := p.cosigned(); err != nil {
			return err // nothing of it stays, whatever else is the matter
		}
		if errors.As(err, &rejected) {
			return nil // what it has noted about the fork stays
		}
		return err
	})
	if rejected == nil && errors.Is(err, journal.ErrUnproven) {
		return journal.Ack{}, g.unproven(ctx, t, b)
	}
	if err != nil {
		g.known.forget() // what these books have had, and may have no more: then this would go on for ever
		return journal.Ack{}, fmt.Errorf("push %s/%s from %d: %w", t.ID, b.Epoch, b.From, err)
	}
	if rejected != nil {
		return journal.Ack{}, rejected
	}
	return ack, nil
}

func (g *Ingest) unproven(ctx context.Context, t store.Terminal, b journal.Batch) error {
	h, err := g.Head(ctx, t.ID, b.Epoch)
	if err != nil {
		return err
	}
	return &journal.PushError{Reason: journal.ErrUnproven, Head: h}
}

// Head returns how far we have a terminal's journal of an epoch.
func (g *Ingest) Head(ctx context.Context, terminal string, epoch journal.Epoch) (h journal.Head, err error) {
	err = g.books.Read(ctx, func(tx *sqldb.Tx) error {
		j, err := readJournal(ctx, tx, terminal, epoch)
		h = journal.Head{Epoch: epoch, Seq: j.head.Seq, Hash: j.head.Hash}
		if errors.Is(err, store.ErrNone) {
			err = nil
		}
		return err
	})
	return h, err
}

// Greet returns how far we have the journal of a terminal that says up to which
// entry we have acknowledged it. If we have less, these books were restored from
// a copy, and somebody is told: the terminal brings again what is missing, and
// it would look like news if it is a single entry.
func (g *Ingest) Greet(ctx context.Context, acked journal.Position) (journal.Head, error) {
	h, err := g.Head(ctx, acked.Terminal, acked.Epoch)
	if err != nil || acked.Seq <= h.Seq {
		return h, err
	}
	err = g.books.Write(ctx, func(tx *sqldb.Tx) error {
		return g.noteLost(ctx, tx, acked, h.Seq)
	})
	return h, err
}

// push is a batch, read. Whether its note is of these entries shows when they are
// held against what we have.
type push struct {
	terminal   store.Terminal
	batch      journal.Batch
	checkpoint journal.Checkpoint
	cosigned   func() ([]byte, error) // waits for the note with both signatures; see cosign
	items      []item
	cards      map[string]card // of all entries, those that we know
	holders    map[string]bool // of all entries' account numbers, those that we know
}

// card is what never changes of a card.
type card struct {
	account store.Account
	factor  [8]byte
}

// prove does all that needs no lock: it reads the entries and checks their TACs. The
// note's signature is checked beside it, and beside what comes then: that takes as
// long as all the rest, and is over before anything of the batch is committed.
func (g *Ingest) prove(ctx context.Context, t store.Terminal, b journal.Batch) (p *push, err error) {
	p = &push{terminal: t, batch: b}
	p.checkpoint, err = journal.PeekCheckpoint(b.Note)
	last := b.From + int64(len(b.Bodies)) - 1
	if c := p.checkpoint; err != nil || c.Terminal != t.ID || c.Epoch != b.Epoch || c.Size != last ||
		b.From < 1 || len(b.Bodies) == 0 {
		return nil, journal.ErrUnproven
	}
	p.cosigned = beside(func() ([]byte, error) { return g.cosign(t, b.Note) })
	if err := g.read(context.WithoutCancel(ctx), p); err != nil { // nobody watches for short reads, see file
		_, unsigned := p.cosigned()
		return nil, cmp.Or(unsigned, err)
	}
	return p, nil
}

// beside runs do at once, and returns what waits for it to end.
func beside[T any](do func() (T, error)) func() (T, error) {
	var v T
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		v, err = do()
	}()
	return func() (T, error) {
		<-done
		return v, err
	}
}

// cosign checks the terminal's signature of a note and adds ours, or it is
// ErrUnproven. Ours leaves with the answer, which is when the root was found to be
// that of what we hold.
func (g *Ingest) cosign(t store.Terminal, note []byte) ([]byte, error) {
	both, err := g.campus().Cosign(note, t.JournalKey, g.books.Now())
	switch {
	case errors.Is(err, journal.ErrUnsigned), errors.Is(err, journal.ErrMalformed):
		return nil, journal.ErrUnproven
	case err != nil:
		return nil, fmt.Errorf("cosign: %w", err)
	}
	return both, nil
}

// read reads the entries, and what never changes of what they name.
func (g *Ingest) read(ctx context.Context, p *push) error {
	for i, body := range p.batch.Bodies {
		at := journal.Position{Terminal: p.terminal.ID, Epoch: p.batch.Epoch, Seq: p.batch.From + int64(i)}
		p.items = append(p.items, readItem(at, body))
	}
	if err := g.lookUp(ctx, p); err != nil {
		return err
	}
	for i := range p.items {
		if err := g.checkTAC(ctx, p.items[i].innermost(), p.cards); err != nil {
			return err
		}
	}
	return g.checkCodes(ctx, p.items)
}

// checkCodes checks the codes of what phones have paid.
func (g *Ingest) checkCodes(ctx context.Context, items []item) error {
	ofCode := func(it item) bool { return it.innermost().entry.Kind == journal.CodeSale }
	if !slices.ContainsFunc(items, ofCode) {
		return nil
	}
	if k := g.known.issuers.Load(); k != nil && checkCodes(items, *k) {
		return nil
	}
	k, err := phone.Issuers(ctx, g.books.Live())
	if err != nil {
		return err
	}
	if len(k.Issuers) > 0 { // until there is one, somebody may make the first
		g.known.issuers.Store(&k)
	}
	checkCodes(items, k)
	return nil
}

// checkCodes reports whether there was the key of whoever is said to have issued them.
func checkCodes(items []item, k paycode.Keys) (all bool) {
	all = true
	for i := range items {
		all = items[i].innermost().checkCode(k) && all
	}
	return all
}

// taking is a push under way, in a transaction.
type taking struct {
	ctx  context.Context //nolint:containedctx // lives for one transaction
	g    *Ingest
	tx   *sqldb.Tx
	push *push
	now  time.Time

	asking bool // for what we have lost of the journal before

	journal  journalRow
	brought  brought // of the entries that are pushed
	holds    []hold  // of the terminal, those that are not closed
	desk     *desk   // where entries are worked on
	releases []release
	alone    bool             // the journal goes on with entries of its own
	opening  *journal.Opening // with which the journal begins, once it is known
}

// take returns a *journal.PushError when the batch does not fit.
func (k *taking) take() (journal.Ack, error) {
	if err := k.lockJournal(); err != nil {
		return journal.Ack{}, err
	}
	fresh, err := k.compare()
	if err != nil {
		return journal.Ack{}, err
	}
	tree, err := k.treeAt(k.push.checkpoint.Size - int64(len(fresh)))
	if err != nil {
		return journal.Ack{}, err
	}
	for i := range fresh {
		tree.Append(fresh[i].hash)
	}
	if tree.Root() != k.push.checkpoint.Root {
		return journal.Ack{}, k.unproven(fresh)
	}
	if len(fresh) == 0 { // the answer to it was lost
		return k.acknowledge(k.journal.head)
	}
	if err := k.askFor(fresh); err != nil {
		return journal.Ack{}, err
	}
	if k.journal.superseded {
		return journal.Ack{}, k.reject(journal.ErrFork, k.noteFork(&fresh[0], "its epoch has been superseded"))
	}
	if err := k.keep(fresh); err != nil {
		return journal.Ack{}, err
	}
	if err := k.post(fresh); err != nil {
		return journal.Ack{}, err
	}
	last := fresh[len(fresh)-1]
	h := journal.Head{Epoch: k.push.batch.Epoch, Seq: last.Seq, Hash: last.hash}
	if err := k.advance(h, tree); err != nil {
		return journal.Ack{}, err
	}
	return k.acknowledge(h)
}

func (k *taking) acknowledge(h journal.Head) (journal.Ack, error) {
	note, err := k.push.cosigned()
	return journal.Ack{Head: h, Note: note}, err
}

// reject returns why the batch does not fit, once that has been noted.
func (k *taking) reject(reason, noted error) error {
	if noted != nil {
		return noted
	}
	return &journal.PushError{Reason: reason, Head: k.journal.head}
}

// unproven returns why a root is not that of what we hold: the note is of
// something else, or the terminal has other entries than we before these.
func (k *taking) unproven(fresh []item) error {
	if len(fresh) > 0 && (fresh[0].fault != nil || fresh[0].chained(k.journal.head.Hash)) {
		return k.reject(journal.ErrUnproven, nil)
	}
	return k.reject(journal.ErrFork, k.noteFork(&k.push.items[0], "its journal has other entries before this one"))
}

// compare holds what we have against what came, and returns what is new.
func (k *taking) compare() ([]item, error) {
	have, items := k.journal.head.Seq, k.push.items
	if items[0].Seq > have+1 {
		return nil, k.reject(journal.ErrGap, k.noteGap())
	}
	known := items[:min(int64(len(items)), have+1-items[0].Seq)]
	if len(known) == 0 {
		return items, nil
	}
	hashes, err := k.hashes(known[0].Seq, known[len(known)-1].Seq)
	if err != nil {
		return nil, err
	}
	for i := range known {
		if known[i].hash != hashes[i] {
			return nil, k.reject(journal.ErrFork, k.noteFork(&known[i], "we hold another entry under this number"))
		}
	}
	return items[len(known):], nil
}

// noteFork keeps the first of the bytes that are not ours. Whoever has sent
// them brings the rest in an epoch of its own.
func (k *taking) noteFork(it *item, why string) error {
	_, err := k.tx.Exec(k.ctx, `
		INSERT INTO fork_entries (journal, seq, hash, body, received_ms) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		k.journal.id, it.Seq, it.hash[:], it.body, k.now.UnixMilli())
	if err != nil {
		return fmt.Errorf("keep fork: %w", err)
	}
	e := exception(Fork, it.Position, why)
	e.Ref = it.Terminal + "/" + it.Epoch.String() // one line, however often it is tried
	return k.g.books.Except(k.ctx, k.tx, []store.Exception{e})
}

// noteGap notes that a terminal goes on from entries that we do not have. It
// would only do so when we have acknowledged them.
func (k *taking) noteGap() error {
	at := k.push.items[0].Position
	at.Seq--
	return k.noteLost(at, k.journal.head.Seq)
}

// noteLost notes that we have had the entry at a position, and now only have
// its journal up to another.
func (k *taking) noteLost(at journal.Position, have int64) error {
	return k.g.noteLost(k.ctx, k.tx, at, have)
}

func (g *Ingest) noteLost(ctx context.Context, tx *sqldb.Tx, at journal.Position, have int64) error {
	e := exception(Lost, at, fmt.Sprintf("we have acknowledged %d, and have %d", at.Seq, have))
	e.Ref = at.Terminal + "/" + at.Epoch.String() // one line, however often it is tried
	err := g.books.Except(ctx, tx, []store.Exception{e})
	return errors.Join(err, g.books.NoteRestored(ctx, tx, at.Terminal, e.Detail))
}
