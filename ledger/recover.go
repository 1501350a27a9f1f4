package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"quancun/journal"
	"quancun/money"
)

// Backup writes a copy of the journal to path, whole as of some commit, in one
// durable file in place of any that is there. Entries may be appended meanwhile.
func (b *Book) Backup(ctx context.Context, path string) error {
	b.files.RLock()
	defer b.files.RUnlock()
	if err := b.ready(ctx); err != nil {
		return err
	}
	db := openDB(dsn(b.o.FS, b.path, "mode=ro&_busy_timeout=5000"), checkVersion)
	err := notOnto(b.o.FS, b.path, path)
	if err == nil {
		err = backup(ctx, db, b.o.FS, path)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("back up journal: %w", named(err))
	}
	return nil
}

// BackupFile is [Book.Backup] for a journal that another process may have open.
func BackupFile(ctx context.Context, from, to string) error {
	if err := copyOf(ctx, system{}, from, to); err != nil {
		return fmt.Errorf("back up journal: %w", err)
	}
	return nil
}

// copyOf writes a copy of the journal at from, which this process has not open.
func copyOf(ctx context.Context, files FS, from, to string) error {
	if err := notOnto(files, from, to); err != nil {
		return err
	}
	return named(inspect(ctx, files, from, func(db *sql.DB) error { return backup(ctx, db, files, to) }))
}

// Restore puts a backup in the place of a journal that is not there any more. The
// backup stays as it is, and may be one of an older version: its copy is brought
// up to date, and then verified whole, with o's keys. It returns [ErrTampered]
// if that finds anything, and [ErrForeign] for a journal of another terminal
// than o's, if o names one.
//
// What was journalled after the backup was made is gone from this machine: when
// it next speaks to upstream, that shows, and a new epoch begins
// ([Book.NewEpoch]).
//
// After a power cut the backup is in the place of the journal, or nothing is,
// and Restore is called again. What SQLite has left beside the one that is gone
// is kept under another name: it would be played into the backup.
func Restore(ctx context.Context, from, path string, o Options) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("restore journal: %w", err)
		}
	}()
	o = o.filled()
	if path, err = resolve(o.FS, path); err != nil {
		return err
	}
	lock, err := o.FS.Lock(path + ".lock") // a terminal that starts now would make a new journal
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := settleEpoch(o.FS, path); err != nil { // it may be there under another name
		return err
	}
	if there, err := exists(o.FS, path); err != nil || there {
		return errors.Join(err, fmt.Errorf("%s: %w", path, fs.ErrExist))
	}
	fresh := path + ".restored"
	if err := notOnto(o.FS, from, fresh); err != nil { // a power cut has left it, and somebody takes it for a backup
		return err
	}
	err = renew(ctx, from, fresh, o, func(conn *sql.Conn) error { return o.accepts(ctx, conn) })
	if err != nil {
		return errors.Join(named(err), discardDB(o.FS, fresh))
	}
	if err := setAside(o.FS, path, path+".gone"); err != nil {
		return err
	}
	if err := o.FS.SyncDir(filepath.Dir(path)); err != nil {
		return err
	}
	if err := o.FS.Rename(fresh, path); err != nil {
		return err
	}
	return o.FS.SyncDir(filepath.Dir(path))
}

// accepts proves that a journal is whole, and this terminal's.
func (o Options) accepts(ctx context.Context, conn *sql.Conn) error {
	_, owner, err := metaOf(ctx, conn)
	if err == nil && o.Terminal != "" && owner != "" && owner != o.Terminal {
		err = fmt.Errorf("%w: it is that of %s, this is %s", ErrForeign, owner, o.Terminal)
	}
	if err != nil {
		return err
	}
	_, err = verify(ctx, conn, o.trust(), wholeSpan)
	return err
}

// Recovered is what [Recover] has put together.
type Recovered struct {
	Epoch   journal.Epoch // of the journal that was lost or damaged
	Journal int           // entries that could be read in it
	Mirror  int           // entries that only the mirror had
	Carried int           // entries that upstream may not have
	Gone    int64         // entries of the mirror that cannot be read, and are not in the journal
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
	old := damagedName(path, left.opening.Epoch)
	if err := setAside(o.FS, path, old); err != nil {
		return Recovered{}, fmt.Errorf("recover: %w", err)
	}
	if err := o.FS.Rename(path+damagedWAL, old+damagedWAL); err != nil && !isMissing(err) {
		return Recovered{}, fmt.Errorf("recover: %w", err)
	}
	if err := moveOn(o.FS, path, old); err != nil {
		return Recovered{}, fmt.Errorf("recover: %w", err)
	}
	return Recovered{left.opening.Epoch, len(found.rows), found.mirrored, len(left.carried), found.gone}, nil
}

// remains is what could be read of a journal that was damaged or lost.
type remains struct {
	epoch    journal.Epoch // of the journal, or of the mirror where that is all
	acked    journal.Head
	agreed   journal.Head  // what upstream had acknowledged by the mirror's word too
	rows     []row         // of the journal, in order
	extra    []row         // that only the mirror has
	extraOf  journal.Epoch // the epoch of these
	mirrored int
	gone     int64 // entries that the mirror had, and nothing has now
}

func gather(ctx context.Context, path string, o Options) (*remains, error) {
	r := &remains{}
	there, err := exists(o.FS, path)
	if err != nil {
		return nil, err
	}
	if there {
		if err := r.salvage(ctx, path, o); err != nil {
			return nil, err
		}
	}
	m, err := readMirror(o.FS, o.Mirror)
	if err != nil {
		return nil, err
	}
	if m != nil && m.terminal == o.Terminal {
		r.reflect(m)
	}
	if len(r.rows)+len(r.extra) == 0 && r.epoch == (journal.Epoch{}) {
		return nil, fmt.Errorf("%w: nothing is left of it, and there is no mirror", ErrNotFound)
	}
	return r, nil
}

// salvage reads what can be read in the file. What cannot be read is what is
// being recovered from, so such errors end nothing.
func (r *remains) salvage(ctx context.Context, path string, o Options) error {
	read := false
	err := salvage(ctx, o.FS, path, func(db *sql.DB, whole map[int64]row) {
		read = true
		r.epoch, _, _ = metaOf(ctx, db)
		r.acked, _ = ackedOf(ctx, db)
		for _, seq := range slices.Sorted(maps.Keys(whole)) {
			r.rows = append(r.rows, whole[seq])
		}
	})
	if !read {
		return err
	}
	r.agreed = r.acked
	if len(r.rows) > 0 && r.epoch == (journal.Epoch{}) { // that page is damaged
		r.epoch = r.rows[0].Epoch
	}
	return nil
}

// reflect adds what only the mirror has.
func (r *remains) reflect(m *reflection) {
	if len(r.rows) == 0 || r.epoch == (journal.Epoch{}) {
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
	r.mirrored, r.gone = len(r.extra), m.gone
	for _, known := range r.rows {
		if m.epoch == r.epoch && m.lacks(known.Seq) {
			r.gone--
		}
	}
	if m.epoch == r.epoch && m.acked.Seq > r.agreed.Seq {
		r.agreed = m.acked
	}
}

// hasCarried reports whether the journal begins with carrying over an entry.
func (b *Book) hasCarried(ctx context.Context, q querier, r row) (bool, error) {
	var e estate
	e.agreed.Terminal, e.opening.Epoch = b.o.Terminal, r.Epoch
	if err := e.carry(r); err != nil {
		return false, nil // nobody could have
	}
	for from := int64(2); ; from += mirrorChunk {
		rows, err := readRows(ctx, q, `WHERE seq >= ? ORDER BY seq LIMIT ?`, from, mirrorChunk)
		if err != nil {
			return false, err
		}
		for _, old := range rows {
			if old.Kind != journal.Carried {
				return false, nil
			}
			if old.Origin == e.carried[0].Origin && bytes.Equal(old.Details, e.carried[0].Details) {
				return true, nil
			}
		}
		if len(rows) < mirrorChunk {
			return false, nil
		}
	}
}

// estate decides what of it is carried over: what upstream has not acknowledged,
// and all entries of what is open or goes on in these.
func (r *remains) estate(o Options) (*estate, error) {
	var last row
	last.Seq, last.hash = r.agreed.Seq, r.agreed.Hash // where nothing is left but what upstream has
	if n := len(r.rows); n > 0 && r.rows[n-1].Seq >= last.Seq {
		last = r.rows[n-1]
	} else if n > 0 {
		last.At = r.rows[n-1].At
	}
	if n := len(r.extra); n > 0 && r.extraOf == r.epoch && r.extra[n-1].Seq > last.Seq {
		last = r.extra[n-1]
	}
	left := newEstate(o, journal.Head{Epoch: r.epoch, Seq: last.Seq, Hash: last.hash}, r.agreed, last.At)
	left.opening.Reason, left.opening.Accounts = journal.ReasonRecovered, r.balances(o)
	needed, drawer := r.needed(), shiftOf(r.rows)
	for _, e := range r.rows {
		inner, err := e.Inner()
		if e.Seq > r.acked.Seq || drawer.has(e.Seq) || err == nil && needed[inner.Ref] {
			if err := left.carry(e); err != nil {
				return nil, err
			}
		}
	}
	for _, e := range r.extra {
		if err := left.carry(e); err != nil {
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
	opened := false
	for _, e := range slices.Concat(r.rows, r.extra) {
		if opening, err := e.Opening(); err == nil && !opened {
			opened = true // what only the mirror has comes last, and may be the first entry of all
			for name, balance := range opening.Accounts {
				sums[name] += balance
			}
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

// Old returns entries of a journal that this one carries on, for an upstream
// that has lost what it had acknowledged of it: those after theirs, as many as
// may be pushed at once and no more than most, under a checkpoint signed over
// exactly the last.
//
// It returns [ErrNotFound] if there is no such journal, or nothing after theirs
// that was acknowledged, and [ErrGone] if the entries cannot be pushed as they
// were: their file is missing or damaged, or theirs is not of it. Any other
// error may be over in a moment.
func (b *Book) Old(ctx context.Context, theirs journal.Head, most int) (batch journal.Batch, err error) {
	if b.o.Key == nil {
		return batch, ErrNoKey
	}
	b.files.RLock()
	defer b.files.RUnlock()
	if err := b.ready(ctx); err != nil {
		return batch, err
	}
	all, err := b.journalsBefore(ctx)
	if err != nil {
		return batch, err
	}
	i := indexOf(all, theirs.Epoch)
	if i < 0 || theirs.Seq >= all[i].agreed.Seq {
		return batch, fmt.Errorf("%w: nothing after entry %d of epoch %s", ErrNotFound, theirs.Seq, theirs.Epoch)
	}
	if all[i].damaged {
		return batch, fmt.Errorf("%w: epoch %s was damaged", ErrGone, theirs.Epoch)
	}
	err = b.readPast(ctx, all[i], func(q querier) error {
		ours, err := nodes{ctx, q}.hashes(`SELECT hash FROM journal WHERE seq = ?`, theirs.Seq)
		if err != nil {
			return err
		}
		if theirs.Seq > 0 && (len(ours) != 1 || ours[0] != theirs.Hash) {
			return fmt.Errorf("%w: entry %d of epoch %s is not upstream's", ErrGone, theirs.Seq, theirs.Epoch)
		}
		to := min(all[i].agreed.Seq, theirs.Seq+int64(most))
		batch, err = b.o.batch(ctx, q, journal.Head{Epoch: theirs.Epoch, Seq: theirs.Seq + 1}, to)
		return err
	})
	return batch, err
}

// journalsBefore is pasts of the journal. Its caller has the files.
func (b *Book) journalsBefore(ctx context.Context) (all []past, err error) {
	err = transactRead(ctx, b.s.readers, func(q querier) error {
		all, err = b.pasts(ctx, q)
		return err
	})
	if err != nil {
		err = fmt.Errorf("read old epochs: %w", err)
	}
	return all, err
}

func indexOf(all []past, epoch journal.Epoch) int {
	return slices.IndexFunc(all, func(p past) bool { return p.agreed.Epoch == epoch })
}

// older is what upstream has lost of journals before this one.
type older struct {
	rows []row
	gone int64 // entries that cannot be read
}

// older reads what upstream lacks of journals before this one, if theirs is of
// one of them. Its caller has the turn.
func (b *Book) older(ctx context.Context, theirs journal.Head) (o older, err error) {
	if theirs.Epoch == b.w.epoch || theirs.Epoch == (journal.Epoch{}) {
		return o, nil
	}
	all, err := b.pasts(ctx, b.s.conn)
	if err != nil {
		return o, err
	}
	i := indexOf(all, theirs.Epoch)
	if i < 0 {
		return o, fmt.Errorf("%w: epoch %s was not before this one", ErrNotFound, theirs.Epoch)
	}
	if theirs.Seq > 0 {
		all = all[:i+1] // what was before that it has: it takes no journal without
	}
	for _, p := range slices.Backward(all) {
		if err := o.read(ctx, p, theirs, b.o); err != nil {
			return o, err
		}
	}
	return o, nil
}

// read adds what upstream had acknowledged of a journal, and may lack.
func (o *older) read(ctx context.Context, p past, theirs journal.Head, to Options) error {
	there, err := exists(to.FS, p.path)
	if err != nil {
		return err
	}
	var whole map[int64]row
	if there {
		err := salvage(ctx, to.FS, p.path, func(_ *sql.DB, rows map[int64]row) { whole = rows })
		if err != nil && !errors.Is(err, ErrTampered) {
			return fmt.Errorf("read %s: %w", p.path, err) // it may be over in a moment
		}
	}
	from := int64(1)
	if r, ok := whole[theirs.Seq]; ok && p.agreed.Epoch == theirs.Epoch && r.hash == theirs.Hash {
		from = theirs.Seq + 1 // otherwise others have pushed there, and nobody knows from where on
	}
	for seq := from; seq <= p.agreed.Seq; seq++ {
		r, ok := whole[seq]
		if !ok {
			o.gone++
			continue
		}
		if r.Epoch == (journal.Epoch{}) { // of the first form, which has no place
			r.Terminal, r.Epoch = to.Terminal, p.agreed.Epoch
		}
		o.rows = append(o.rows, r)
	}
	return nil
}
