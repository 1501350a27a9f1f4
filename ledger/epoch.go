package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"quancun/journal"
	"quancun/money"
)

// NewEpoch leaves the journal as it is and goes on in a new one, because
// upstream's copy is another journal than this one: this machine was restored
// from a copy, or has a clone. theirs is upstream's head of the old epoch, zero
// if nobody has asked.
//
// The new journal begins with what the old one came to, and carries over every
// entry that upstream may not have and every entry of what is still open, so
// that nothing is lost and no number is given twice. The old file is kept beside
// it, named after its epoch: upstream may ask for it again ([Book.Old]).
//
// theirs may also be of a journal before this one, which upstream has lost a
// part of that cannot be pushed again as it was. Then that part is carried over
// entry by entry, as far as it can be read, and the opening tells how many
// entries are gone.
//
// After a power cut the journal is the old one or the new one. If another
// process is reading it, NewEpoch returns an error and nothing has changed.
func (b *Book) NewEpoch(ctx context.Context, reason string, theirs journal.Head) error {
	if err := b.takeAlone(ctx); err != nil {
		return err
	}
	defer b.give()
	defer b.files.Unlock()
	ctx = context.WithoutCancel(ctx)
	older, err := b.older(ctx, theirs)
	if err != nil {
		return fmt.Errorf("open new epoch: %w", err)
	}
	left, err := b.estate(ctx, theirs, older.rows)
	if err != nil {
		return b.fail("open new epoch", err)
	}
	left.opening.Reason, left.opening.Theirs, left.opening.Gone = reason, theirs.Seq, older.gone
	if err := left.build(ctx, b.path+nextSuffix, b.o); err != nil {
		return fmt.Errorf("open new epoch: %w", named(err)) // the journal is as it was
	}
	clock := b.w.clock
	if err := b.replace(ctx); err != nil {
		return err
	}
	b.w.clock = clock // it has been running all the time
	b.announce(b.w.tail)
	return nil
}

// nextSuffix is the ending of the next journal, and halfSuffix what it has besides
// while it is being made.
const (
	nextSuffix = ".next"
	halfSuffix = ".part"
)

// besides are the endings of the files that SQLite keeps beside a database.
var besides = []string{"-wal", "-shm", "-journal"}

// replace puts the journal that was built in the place of the old one.
func (b *Book) replace(ctx context.Context) error {
	old := b.w.epoch
	if err := b.w.close(); err != nil {
		return b.fail("open new epoch", err)
	}
	if err := b.s.detach(ctx); err != nil {
		err = fmt.Errorf("open new epoch: %w", named(err))
		if reopen := b.openFile(ctx); reopen != nil {
			return b.fail("open new epoch", errors.Join(err, reopen))
		}
		return err // somebody is reading it
	}
	if err := moveOn(b.o.FS, b.path, oldName(b.path, old.String())); err != nil {
		return b.fail("open new epoch", err)
	}
	if err := b.openFile(ctx); err != nil {
		return b.fail("open new epoch", err)
	}
	return nil
}

// oldName returns where the journal of an epoch that is over is kept.
func oldName(path, epoch string) string {
	ext := filepath.Ext(path)
	return strings.TrimSuffix(path, ext) + "." + epoch + ext
}

// moveOn puts the journal that was built in the place of the one at path. At
// every moment one of the two is at path, or both are there under other names:
// that is when [settleEpoch] finishes it.
func moveOn(files FS, path, old string) error {
	dir := filepath.Dir(path)
	if err := files.SyncDir(dir); err != nil { // a "-wal" that came back would be played into the new file
		return err
	}
	if err := files.Rename(path, old); err != nil && !isMissing(err) {
		return err
	}
	if err := files.SyncDir(dir); err != nil {
		return err
	}
	if err := files.Rename(path+nextSuffix, path); err != nil {
		return err
	}
	return files.SyncDir(dir)
}

// settleEpoch finishes or undoes a change of epoch that a power cut has ended.
func settleEpoch(files FS, path string) error {
	next := path + nextSuffix
	building, err := exists(files, next)
	if err != nil || !building {
		return err
	}
	there, err := exists(files, path)
	switch {
	case err != nil:
		return err
	case there:
		return discardDB(files, next) // the old one is whole, and nobody has been told
	}
	if err := files.Rename(next, path); err != nil {
		return err
	}
	return files.SyncDir(filepath.Dir(path))
}

func discardDB(files FS, path string) error {
	for _, ending := range append(slices.Clone(besides), "") {
		if err := discard(files, path+ending); err != nil {
			return err
		}
	}
	return nil
}

// estate is what a journal leaves to the next.
type estate struct {
	opening journal.Opening
	agreed  journal.Position
	carried []journal.Entry
	at      time.Time // of its last entry
}

// estate reads what the journal leaves, and adds what was found in older ones.
// Its caller has the turn.
func (b *Book) estate(ctx context.Context, theirs journal.Head, older []row) (*estate, error) {
	agreed, err := b.agreed(ctx, theirs)
	if err != nil {
		return nil, err
	}
	rows, err := readRows(ctx, b.s.conn, `WHERE seq > ? ORDER BY seq`, agreed.Seq)
	if err != nil {
		return nil, err
	}
	left := newEstate(b.o, b.head, agreed, b.w.at)
	left.opening.Accounts = map[journal.Account]money.Fen{}
	for name := range b.w.accounts {
		if balance := b.w.balance(name); balance != 0 {
			left.opening.Accounts[name] = balance
		}
	}
	begun, err := b.begun(ctx, rows, agreed.Seq)
	if err != nil {
		return nil, err
	}
	for _, r := range slices.Concat(older, begun, rows) {
		if err := left.carry(r); err != nil {
			return nil, err
		}
	}
	return left, nil
}

// agreed returns the last entry of which it is sure that upstream has it and all
// before it: what it has acknowledged, unless theirs says that it has lost that
// since.
func (b *Book) agreed(ctx context.Context, theirs journal.Head) (journal.Head, error) {
	acked, err := ackedOf(ctx, b.s.conn)
	switch {
	case err != nil || theirs.Epoch == (journal.Epoch{}):
		return acked, err
	case theirs.Epoch != acked.Epoch: // it takes nothing of this journal before it has more of that one
		return journal.Head{Epoch: acked.Epoch}, nil
	case theirs.Seq >= acked.Seq:
		return acked, nil
	}
	ours, err := nodes{ctx, b.s.conn}.hashes(`SELECT hash FROM journal WHERE seq = ?`, theirs.Seq)
	if err != nil || len(ours) == 1 && ours[0] == theirs.Hash {
		return theirs, err
	}
	return journal.Head{Epoch: acked.Epoch}, nil // others have pushed there: nobody knows from where on
}

func newEstate(o Options, head, agreed journal.Head, at time.Time) *estate {
	left := &estate{
		opening: journal.Opening{
			Epoch: head.Epoch, Head: head.Seq, Hash: journal.Hex(head.Hash), Version: o.Version,
		},
		agreed: journal.Position{Terminal: o.Terminal, Epoch: head.Epoch, Seq: agreed.Seq},
		at:     at,
	}
	if agreed.Seq > 0 {
		left.opening.Agreed = journal.Hex(agreed.Hash)
	}
	return left
}

// begun returns the acknowledged entries without which others could not be
// understood: those of what is open, those that rows go on with, and those that
// the next report of the shift adds up.
func (b *Book) begun(ctx context.Context, rows []row, acked int64) ([]row, error) {
	seqs := map[int64]bool{}
	add := func(from string, args ...any) error {
		return each(ctx, b.s.conn, `SELECT j.seq `+from, func(r *sql.Rows) error {
			var seq int64
			err := r.Scan(&seq)
			seqs[seq] = true
			return err
		}, args...)
	}
	if err := add(openRows); err != nil {
		return nil, err
	}
	for _, r := range rows {
		inner, err := r.Inner()
		if err != nil {
			return nil, err
		}
		if i := inner.Kind.Intent(); i != 0 && i != inner.Kind {
			if err := add(`FROM journal j WHERE j.ref = ? AND j.role IN (1, 2)`, inner.Ref); err != nil {
				return nil, err
			}
		}
	}
	s, err := shiftIn(ctx, b.s.conn)
	if err != nil {
		return nil, err
	}
	if s.z > 0 {
		seqs[s.z] = true
	}
	for seq := s.opened; seq > 0 && seq <= acked; seq++ {
		seqs[seq] = true
	}
	var all []row
	for _, seq := range slices.Sorted(maps.Keys(seqs)) {
		if seq > acked {
			continue
		}
		r, err := readRows(ctx, b.s.conn, `WHERE seq = ?`, seq)
		if err != nil {
			return nil, err
		}
		all = append(all, r...)
	}
	return all, nil
}

// shift is where the drawer's story goes on in a new epoch: at the last Z, for
// its number and what it had come to, and with the whole of a shift that is open.
type shift struct{ z, opened int64 } // numbers of entries, 0 for none

// see looks at an entry, the last one first, and reports whether that is enough.
func (s *shift) see(r row) (enough bool, err error) {
	e, err := r.Inner()
	switch {
	case err != nil:
		return false, err
	case e.Kind == journal.ShiftOpened:
		s.opened = r.Seq
	case e.Kind == journal.ShiftClosed:
		s.z = r.Seq
	}
	return s.z > 0, nil
}

// has reports whether the entry with a number belongs to it.
func (s shift) has(seq int64) bool { return seq == s.z || s.opened > 0 && seq >= s.opened }

// shiftOf looks for it in what is left of a journal.
func shiftOf(rows []row) (s shift) {
	for _, r := range slices.Backward(rows) {
		if enough, err := s.see(r); err == nil && enough {
			break
		}
	}
	return s
}

// shiftIn looks for it in a whole journal. A terminal that has no drawer has it
// read to its beginning, which a change of epoch may take.
func shiftIn(ctx context.Context, q querier) (s shift, err error) {
	for last := int64(math.MaxInt64); ; {
		rows, err := readRows(ctx, q, `WHERE seq < ? ORDER BY seq DESC LIMIT ?`, last, chunkSpan)
		if err != nil || len(rows) == 0 {
			return s, err
		}
		for _, r := range rows {
			if enough, err := s.see(r); err != nil || enough {
				return s, err
			}
			last = r.Seq
		}
	}
}

// carry adds an entry of an old epoch. What that had carried over itself
// keeps the position that it had first.
func (e *estate) carry(r row) error {
	at, body := r.Position(), r.body
	if r.Epoch == (journal.Epoch{}) { // of the first form, which has no place: it was the first journal
		at.Terminal, at.Epoch = e.agreed.Terminal, e.opening.Epoch
	}
	if r.Kind == journal.Carried {
		inner, err := r.Body()
		if err != nil {
			return err
		}
		at, body = r.Origin, inner
	}
	carried := journal.Carry(at, body)
	if err := carried.Check(); err != nil {
		return err
	}
	e.carried = append(e.carried, carried)
	return nil
}

// past is a journal that this one carries on, or one before that.
type past struct {
	agreed  journal.Head // the last that upstream had acknowledged when it ended
	path    string
	damaged bool // [Recover] has found it so
}

// damagedName returns where a journal is kept that [Recover] has replaced.
func damagedName(path string, epoch journal.Epoch) string {
	return oldName(path, epoch.String()+".damaged")
}

// pasts returns the journals that the one in q carries on, newest first, as far
// back as they can be read.
func (b *Book) pasts(ctx context.Context, q querier) (all []past, err error) {
	first, err := readRows(ctx, q, `WHERE seq = 1`)
	if err != nil || len(first) == 0 || first[0].Kind != journal.EpochOpened {
		return nil, err
	}
	return b.pastsBy(ctx, q, first[0].Entry)
}

// pastsBy is pasts by an opening, which is in q.
func (b *Book) pastsBy(ctx context.Context, q querier, opening journal.Entry) (all []past, err error) {
	var p past
	if p.agreed, err = opening.Before(); err != nil {
		return nil, err
	}
	p.path = oldName(b.path, p.agreed.Epoch.String())
	switch there, err := exists(b.o.FS, p.path); {
	case err != nil:
		return nil, err
	case !there:
		p.path, p.damaged = damagedName(b.path, p.agreed.Epoch), true
	}
	err = b.readPast(ctx, p, func(q querier) error {
		all, err = b.pasts(ctx, q)
		return err
	})
	if errors.Is(err, ErrGone) { // what was before it only its opening tells, if that was carried over
		var o journal.Entry
		var known bool
		if o, known, err = carriedOpening(ctx, q, p.agreed.Epoch); known {
			all, err = b.pastsBy(ctx, q, o)
		}
	}
	return append([]past{p}, all...), err
}

// carriedOpening returns the opening of another journal, if this one has carried it over.
// What is carried over stands before everything else.
func carriedOpening(ctx context.Context, q querier, of journal.Epoch) (o journal.Entry, known bool, err error) {
	for last := int64(1); ; {
		rows, err := readRows(ctx, q, `WHERE seq > ? ORDER BY seq LIMIT ?`, last, chunkSpan)
		if err != nil || len(rows) == 0 {
			return o, false, err
		}
		for _, r := range rows {
			in, err := r.Inner()
			switch {
			case err != nil || r.Kind != journal.Carried:
				return o, false, err
			case in.Kind == journal.EpochOpened && in.Epoch == of:
				return in, true, nil
			}
			last = r.Seq
		}
	}
}

// build makes the next journal at path, in one durable file. Until it is whole
// it has another name, since [settleEpoch] believes what is at path.
func (e *estate) build(ctx context.Context, path string, o Options) error {
	half := path + halfSuffix
	err := discardDB(o.FS, half)
	if err == nil {
		err = e.fill(ctx, half, o)
	}
	if err == nil {
		err = syncFile(o.FS, half)
	}
	if err == nil {
		err = o.FS.Rename(half, path)
	}
	if err != nil {
		return errors.Join(err, discardDB(o.FS, half)) // the journal needs the room
	}
	return o.FS.SyncDir(filepath.Dir(path))
}

// fill writes all entries into a new journal at path.
func (e *estate) fill(ctx context.Context, path string, o Options) (err error) {
	s, err := openStore(ctx, path, o)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := claim(ctx, s.conn, o.Terminal); err != nil {
		return err
	}
	w, err := newWriter(ctx, s, o)
	if err != nil {
		return err
	}
	w.at = e.at
	for part := range slices.Chunk(append([]journal.Entry{e.opening.Entry(e.agreed)}, e.carried...), groupMax) {
		err := s.conn.Raw(func(any) error {
			_, err := w.transact(func() error { return w.writeAll(part) }, nil)
			return err
		})
		if err != nil {
			return errors.Join(err, w.close())
		}
	}
	if err := w.close(); err != nil {
		return err
	}
	return s.detach(ctx)
}

// syncFile makes a file and its name durable, whoever has written it.
func syncFile(files FS, path string) error {
	f, err := files.Open(path, os.O_RDWR)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return files.SyncDir(filepath.Dir(path))
}
