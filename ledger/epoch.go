package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
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
// from a copy, or has a clone. theirs is upstream's head of the old epoch.
//
// The new journal begins with what the old one came to, and carries over every
// entry that upstream has not acknowledged and every entry of what is still
// open, so that nothing is lost and no number is given twice. The old file is
// kept beside it, named after its epoch.
//
// After a power cut the journal is the old one or the new one. If another
// process is reading it, NewEpoch returns an error and nothing has changed.
func (b *Book) NewEpoch(ctx context.Context, reason string, theirs journal.Head) error {
	if err := b.take(ctx); err != nil {
		return err
	}
	defer b.give()
	b.files.Lock() // nobody may read a file that is about to be moved
	defer b.files.Unlock()
	ctx = context.WithoutCancel(ctx)
	left, err := b.estate(ctx)
	if err != nil {
		return b.fail("open new epoch", err)
	}
	left.opening.Reason, left.opening.Theirs = reason, theirs.Seq
	if err := left.build(ctx, b.path+nextSuffix, b.o); err != nil {
		return fmt.Errorf("open new epoch: %w", named(err)) // the journal is as it was
	}
	clock := b.w.clock
	if err := b.replace(ctx); err != nil {
		return err
	}
	b.w.clock = clock // it has been running all the time
	b.announce()
	return nil
}

// nextSuffix is the ending of a journal that is being made.
const nextSuffix = ".next"

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
		return discardDB(files, next) // it may be half done, and the old one is whole
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

// estate reads what the journal leaves. Its caller has the turn.
func (b *Book) estate(ctx context.Context) (*estate, error) {
	acked, err := ackedOf(ctx, b.s.conn)
	if err != nil {
		return nil, err
	}
	rows, err := readRows(ctx, b.s.conn, `WHERE seq > ? ORDER BY seq`, acked.Seq)
	if err != nil {
		return nil, err
	}
	left := newEstate(b.o, b.head, acked, b.w.at)
	left.opening.Accounts = map[journal.Account]money.Fen{}
	for name := range b.w.accounts {
		if balance := b.w.balance(name); balance != 0 {
			left.opening.Accounts[name] = balance
		}
	}
	begun, err := b.begun(ctx, rows, acked.Seq)
	if err != nil {
		return nil, err
	}
	for _, r := range append(begun, rows...) {
		if err := left.carry(left.opening.Epoch, r); err != nil {
			return nil, err
		}
	}
	return left, nil
}

func newEstate(o Options, head, acked journal.Head, at time.Time) *estate {
	return &estate{
		opening: journal.Opening{
			Epoch: head.Epoch, Head: head.Seq, Hash: journal.Hex(head.Hash), Version: o.Version,
		},
		agreed: journal.Position{Terminal: o.Terminal, Epoch: head.Epoch, Seq: acked.Seq},
		at:     at,
	}
}

// begun returns the acknowledged entries without which others could not be
// understood: those of what is open, and those that rows go on with.
func (b *Book) begun(ctx context.Context, rows []row, acked int64) ([]row, error) {
	seqs := map[int64]bool{}
	add := func(where string, args ...any) error {
		selected := `SELECT first_seq, coalesce(doubt_seq, 0) FROM item ` + where
		return each(ctx, b.s.conn, selected, func(r *sql.Rows) error {
			var first, doubt int64
			err := r.Scan(&first, &doubt)
			seqs[first], seqs[doubt] = true, true
			return err
		}, args...)
	}
	if err := add(openItems); err != nil {
		return nil, err
	}
	for _, r := range rows {
		inner, err := r.Inner()
		if err != nil {
			return nil, err
		}
		if i := inner.Kind.Intent(); i != 0 && i != inner.Kind {
			if err := add(`WHERE ref = ?`, inner.Ref); err != nil {
				return nil, err
			}
		}
	}
	var all []row
	for _, seq := range slices.Sorted(maps.Keys(seqs)) {
		if seq == 0 || seq > acked {
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

// carry adds an entry of an old epoch. What that had carried over itself
// keeps the position that it had first.
func (e *estate) carry(old journal.Epoch, r row) error {
	at, body := journal.Position{Terminal: e.agreed.Terminal, Epoch: old, Seq: r.Seq}, r.body
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

// build makes the next journal at path, in one durable file.
func (e *estate) build(ctx context.Context, path string, o Options) (err error) {
	if err := discardDB(o.FS, path); err != nil {
		return err
	}
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
		err := s.conn.Raw(func(any) error { return w.transact(func() error { return w.writeAll(part) }) })
		if err != nil {
			return errors.Join(err, w.close())
		}
	}
	if err := w.close(); err != nil {
		return err
	}
	if err := s.detach(ctx); err != nil {
		return err
	}
	return syncFile(o.FS, path)
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

// Recovered is what [Recover] has put together.
type Recovered struct {
	Epoch   journal.Epoch // of the journal that was lost or damaged
	Journal int           // entries that could be read in it
	Mirror  int           // entries that only the mirror had
	Carried int           // entries that upstream may not have
}

// Recover makes a journal out of what is left of one that was damaged or lost,
// and of the mirror. It begins a new epoch, into which all is carried over that
// upstream has not acknowledged as far as can be known; what upstream has all
// the same it takes once. The damaged file is kept beside it.
//
// The sums of the accounts, the drawer's among them, are those of the entries
// that are left: the drawer has to be counted. It returns [ErrNotFound] if
// there is nothing to recover, or nothing to recover from.
func Recover(ctx context.Context, path string, o Options) (_ Recovered, err error) {
	o = o.filled()
	if path, err = resolve(o.FS, path); err != nil {
		return Recovered{}, fmt.Errorf("recover: %w", err)
	}
	if b, err := Open(ctx, path, o); err == nil {
		return Recovered{}, errors.Join(fmt.Errorf("%w: the journal is whole", ErrNotFound), b.Close())
	} else if !errors.Is(err, ErrTampered) && !errors.Is(err, ErrLost) {
		return Recovered{}, err
	}
	lock, err := o.FS.Lock(path + ".lock")
	if err != nil {
		return Recovered{}, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	found, err := gather(ctx, path, o)
	if err != nil {
		return Recovered{}, fmt.Errorf("recover: %w", err)
	}
	left, err := found.estate(o)
	if err != nil {
		return Recovered{}, fmt.Errorf("recover: %w", err)
	}
	if err := left.build(ctx, path+nextSuffix, o); err != nil {
		return Recovered{}, fmt.Errorf("recover: %w", named(err))
	}
	// The "-wal" goes first: it must never lie beside the new file.
	old := oldName(path, left.opening.Epoch.String()+".damaged")
	for _, ending := range besides {
		if err := o.FS.Rename(path+ending, old+ending); err != nil && !isMissing(err) {
			return Recovered{}, fmt.Errorf("recover: %w", err)
		}
	}
	if err := moveOn(o.FS, path, old); err != nil {
		return Recovered{}, fmt.Errorf("recover: %w", err)
	}
	return Recovered{left.opening.Epoch, len(found.rows), found.mirrored, len(left.carried)}, nil
}

// remains is what could be read of a journal that was damaged or lost.
type remains struct {
	epoch    journal.Epoch // of the journal, or of the mirror where that is all
	acked    journal.Head
	rows     []row         // of the journal, in order
	extra    []row         // that only the mirror has
	extraOf  journal.Epoch // the epoch of these
	mirrored int
}

func gather(ctx context.Context, path string, o Options) (*remains, error) {
	r := &remains{}
	there, err := exists(o.FS, path)
	if err != nil {
		return nil, err
	}
	if there {
		r.salvage(ctx, path, o)
	}
	m, err := readMirror(o.FS, o.Mirror)
	if err != nil {
		return nil, err
	}
	if m != nil && m.terminal == o.Terminal {
		r.reflect(m)
	}
	if len(r.rows)+len(r.extra) == 0 {
		return nil, fmt.Errorf("%w: nothing is left of it, and there is no mirror", ErrNotFound)
	}
	return r, nil
}

// salvage reads what can be read in the file: forwards until it cannot go on,
// and backwards the same. What cannot be read is what is being recovered from,
// so errors end nothing.
func (r *remains) salvage(ctx context.Context, path string, o Options) {
	db := openDB(dsn(o.FS, path, "mode=rw&_busy_timeout=5000"), checkVersion)
	defer db.Close()
	_, _ = db.ExecContext(ctx, `PRAGMA journal_mode = DELETE`) // moves what is in the "-wal" into the file
	r.epoch, _, _ = metaOf(ctx, db)
	r.acked, _ = ackedOf(ctx, db)
	whole := map[int64]row{}
	for _, order := range []string{"", " DESC"} {
		_ = each(ctx, db, `SELECT seq, body, hash FROM journal ORDER BY seq`+order, func(rows *sql.Rows) error {
			var seq int64
			var body, hash []byte
			if err := rows.Scan(&seq, &body, &hash); err != nil {
				return err
			}
			if parsed, problem := parseRow(seq, body, hash); problem == "" {
				whole[seq] = parsed
			}
			return nil
		})
	}
	for _, seq := range slices.Sorted(maps.Keys(whole)) {
		r.rows = append(r.rows, whole[seq])
	}
}

// reflect adds what only the mirror has.
func (r *remains) reflect(m *reflection) {
	if len(r.rows) == 0 {
		r.epoch = m.epoch
	}
	have := map[journal.Hash]bool{}
	for _, known := range r.rows {
		have[known.hash] = true
	}
	r.extraOf = m.epoch
	for _, mirrored := range m.rows {
		if !have[mirrored.hash] {
			r.extra = append(r.extra, mirrored)
		}
	}
	r.mirrored = len(r.extra)
}

// estate decides what of it is carried over: what upstream has not acknowledged,
// and all entries of what is open or goes on in these.
func (r *remains) estate(o Options) (*estate, error) {
	var last row
	if len(r.rows) > 0 {
		last = r.rows[len(r.rows)-1]
	}
	if n := len(r.extra); n > 0 && r.extraOf == r.epoch && r.extra[n-1].Seq > last.Seq {
		last = r.extra[n-1]
	}
	left := newEstate(o, journal.Head{Epoch: r.epoch, Seq: last.Seq, Hash: last.hash}, r.acked, last.At)
	left.opening.Reason, left.opening.Accounts = journal.ReasonRecovered, r.balances(o)
	needed := r.needed()
	for _, e := range r.rows {
		inner, err := e.Inner()
		if e.Seq > r.acked.Seq || err == nil && needed[inner.Ref] {
			if err := left.carry(r.epoch, e); err != nil {
				return nil, err
			}
		}
	}
	for _, e := range r.extra {
		if err := left.carry(r.extraOf, e); err != nil {
			return nil, err
		}
	}
	return left, nil
}

// needed returns the Refs of which all entries are carried over: begun, and not
// known to upstream to have ended.
func (r *remains) needed() map[string]bool {
	needed := map[string]bool{}
	for _, e := range r.rows {
		inner, err := e.Inner()
		if err == nil && inner.Kind.IsIntent() {
			needed[inner.Ref] = true
		}
		if err == nil && inner.Kind.IsEnd() && e.Seq <= r.acked.Seq {
			delete(needed, inner.Ref)
		}
	}
	return needed
}

// balances adds up what the entries that are left have moved.
func (r *remains) balances(o Options) map[journal.Account]money.Fen {
	sums := map[journal.Account]money.Fen{}
	for _, e := range slices.Concat(r.rows, r.extra) {
		if opening, err := e.Opening(); err == nil {
			maps.Copy(sums, opening.Accounts)
		}
		for _, p := range e.Postings {
			sums[p.Account] += p.Amount
		}
	}
	// Entries that are lost may have put into the drawer what later ones took.
	if till := journal.TillAccount(o.Terminal); sums[till] > 0 {
		sums[journal.Safe] += sums[till]
		sums[till] = 0
	}
	maps.DeleteFunc(sums, func(_ journal.Account, f money.Fen) bool { return f == 0 })
	return sums
}
