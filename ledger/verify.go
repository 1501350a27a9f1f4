package ledger

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"quancun/journal"
)

// Report is what a verification found.
type Report struct {
	Entries  int64 // read, whether right or wrong
	Head     journal.Head
	Open     int // intents without an end
	Acked    int64
	Problems []Problem

	// Version is that of an older journal's file, of which a copy was brought up
	// to date and verified in its place; 0 otherwise.
	Version int
}

// Problem is one thing that is wrong with a journal.
type Problem struct {
	Seq  int64 // the entry it was found at, 0 if it concerns the file
	What string
}

// String returns the problem as a line of a report.
func (p Problem) String() string { return fmt.Sprintf("entry %d: %s", p.Seq, p.What) }

// problemsMax bounds a report: a file of noise has a problem in every row, and
// the first few already say that it must not be trusted.
const problemsMax = 100

// Trust is whose signatures are believed, and what is known about a journal
// from elsewhere. Without a key, signatures of its owner are not checked.
type Trust struct {
	Key    ed25519.PublicKey // the terminal's
	Campus ed25519.PublicKey

	Notes [][]byte       // cosigned checkpoints, as upstream has them
	Known []journal.Head // entries that others have seen: on receipts, in the mirror
}

// Spans of a verification, in entries.
const (
	wholeSpan = -1
	openSpan  = 1024 // what Open looks at, so that a terminal is ready at once
	chunkSpan = 256  // what is read at a time
)

// Verify reads the whole journal and proves that it is what was written:
// gapless, chained, each hash right, time strictly increasing, every rule of
// entries kept, each end after its intent, each table that follows from the
// entries as they say, every checkpoint of exactly these entries and signed, and
// every table, index and trigger as this program makes it.
//
// It returns [ErrTampered] with the report if anything is wrong, and another
// error if the journal cannot be read. Entries may be appended meanwhile.
func (b *Book) Verify(ctx context.Context) (r Report, err error) {
	var wrong error // which the caller decides about
	err = b.read(ctx, "verify", func(q querier) error {
		if r, err = verify(ctx, q, b.o.trust(), wholeSpan); errors.Is(err, ErrTampered) {
			wrong, err = err, nil
		}
		return err
	})
	if err == nil {
		err = wrong
	}
	return r, err
}

// Audit verifies the whole journal as [Book.Verify] does, and ends the Book if
// anything is wrong with it: what was changed long ago must not be built on.
func (b *Book) Audit(ctx context.Context) error {
	_, err := b.Verify(ctx)
	if errors.Is(err, ErrTampered) {
		return b.fail("audit", err)
	}
	return err
}

// VerifyFile is [Book.Verify] for a file that no Book has open: a copy, also on
// a medium that cannot be written to, or the journal of a running terminal. It
// changes nothing. A journal of an older version is verified in a copy that is
// brought up to date, for which the folder for temporary files needs room.
func VerifyFile(ctx context.Context, path string, t Trust) (r Report, err error) {
	old, err := oldVersion(ctx, path)
	switch {
	case err != nil:
		return r, err
	case old > 0:
		return verifyOld(ctx, path, old, t)
	}
	err = inspect(ctx, system{}, path, func(db *sql.DB) error {
		return transactRead(ctx, db, func(q querier) error {
			r, err = verify(ctx, q, t, wholeSpan)
			return err
		})
	})
	return r, err
}

// oldVersion returns the version of a journal's file, or 0 if that is no older
// one.
func oldVersion(ctx context.Context, path string) (version int, err error) {
	err = readOnly(ctx, system{}, path, func(db *sql.DB) error {
		version, err = versionOf(ctx, db)
		return named(err)
	})
	if newest, err2 := newestVersion(); err != nil || err2 != nil || version >= newest {
		version, err = 0, errors.Join(err, err2)
	}
	return version, err
}

// verifyOld verifies a copy of a journal of an older version, once that has the
// tables and triggers that it had to have.
func verifyOld(ctx context.Context, path string, version int, t Trust) (r Report, err error) {
	before := &verifier{ctx: ctx, from: 1}
	err = readOnly(ctx, system{}, path, func(db *sql.DB) error {
		before.q = db
		return before.schema(version)
	})
	switch {
	case err != nil:
	case len(before.Problems) > 0:
		r, err = before.Report, before.verdict()
	default:
		err = renewed(ctx, path, func(q querier) error {
			r, err = verify(ctx, q, t, wholeSpan)
			return err
		})
	}
	r.Version = version
	return r, err
}

// renewed runs f on a copy of a journal of an older version, which is brought up
// to date and not kept. The journal stays as it is.
func renewed(ctx context.Context, path string, f func(querier) error) error {
	dir, err := os.MkdirTemp("", "quancun-journal-")
	if err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	err = renew(ctx, path, filepath.Join(dir, "journal.db"), Options{}.filled(), func(conn *sql.Conn) error {
		return f(conn)
	})
	return errors.Join(named(err), os.RemoveAll(dir))
}

// inspect runs f on a journal's file, which changes nothing in it. The journal
// has to be one of this version.
func inspect(ctx context.Context, files FS, path string, f func(*sql.DB) error) error {
	return readOnly(ctx, files, path, func(db *sql.DB) error {
		version, err := versionOf(ctx, db)
		if err != nil {
			return fmt.Errorf("read journal: %w", named(err))
		}
		if newest, err := newestVersion(); err != nil || version != newest {
			return errors.Join(err, fmt.Errorf("read journal: it is version %d, not %d", version, newest))
		}
		return f(db)
	})
}

// readOnly runs f on the database file at path, whatever it is.
func readOnly(ctx context.Context, files FS, path string, f func(*sql.DB) error) (err error) {
	if path, err = resolve(files, path); err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	if _, err := files.Size(path); err != nil {
		return fmt.Errorf("read journal: %w", err) // SQLite would only say that it cannot open it
	}
	if err := checkWAL(files, path); err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	params := "mode=ro&_busy_timeout=5000"
	if size, err := files.Size(path + "-wal"); err != nil || size == 0 {
		params += "&immutable=1" // nobody has it open, and SQLite need not make files beside it
	}
	db := openDB(dsn(files, path, params), checkVersion)
	defer func() { err = errors.Join(err, db.Close()) }()
	return f(db)
}

// verifier collects what is wrong, and what the tables should hold.
type verifier struct {
	Report
	ctx   context.Context
	q     querier
	trust Trust

	from     int64 // the first entry that is looked at
	epoch    journal.Epoch
	terminal string
	last     tail
	tree     tiles
	open     map[string]itemState // begun, and not ended so far, by Ref
	nodeRows int64
	names    map[int64]journal.Account // by the account's ID
	accounts map[journal.Account]*account
	tally    *journal.Tally // what reports have to say
	signed   []signed
}

// signed is a row of the table checkpoint.
type signed struct {
	size           int64
	note, cosigned []byte
}

// verify looks at the last span entries, or at all of them.
func verify(ctx context.Context, q querier, t Trust, span int64) (Report, error) {
	v := &verifier{
		ctx: ctx, q: q, trust: t, from: 1, open: map[string]itemState{},
		names: map[int64]journal.Account{}, accounts: map[journal.Account]*account{},
	}
	for _, check := range []func() error{
		func() error { return v.begin(span) }, v.file, v.entries, v.said, v.openTable,
		v.accountTable, v.nodeTable, v.ends, v.newestSchema,
	} {
		if err := check(); err != nil {
			return v.Report, fmt.Errorf("verify: %w", named(err))
		}
	}
	return v.Report, v.verdict()
}

// verdict returns what a verification comes to.
func (r Report) verdict() error {
	if n := len(r.Problems); n > 0 {
		return fmt.Errorf("%w: %s (%d problems in all)", ErrTampered, r.Problems[0], n)
	}
	return nil
}

func (v *verifier) whole() bool { return v.from == 1 }

func (v *verifier) found(seq int64, format string, args ...any) {
	if len(v.Problems) < problemsMax {
		v.Problems = append(v.Problems, Problem{seq, fmt.Sprintf(format, args...)})
	}
}

// begin decides where to begin, and takes what is before that as it is.
func (v *verifier) begin(span int64) (err error) {
	if v.epoch, v.terminal, err = metaOf(v.ctx, v.q); err != nil {
		return err
	}
	v.tally = journal.NewTally(v.terminal)
	var last int64
	if err := v.q.QueryRowContext(v.ctx, `SELECT coalesce(max(seq), 0) FROM journal`).Scan(&last); err != nil {
		return err
	}
	if skip := (last - span) / journal.TileSpan * journal.TileSpan; span != wholeSpan && skip > 0 {
		v.from = skip + 1
		if err := v.skip(skip); err != nil {
			return err
		}
	}
	err = each(v.ctx, v.q, `SELECT id, name FROM account`, func(rows *sql.Rows) error {
		var id int64
		var name journal.Account
		err := rows.Scan(&id, &name)
		v.names[id] = name
		return err
	})
	if err != nil {
		return err
	}
	err = each(v.ctx, v.q, `SELECT size, note, cosigned FROM checkpoint WHERE size >= ? ORDER BY size`,
		func(rows *sql.Rows) error {
			var s signed
			err := rows.Scan(&s.size, &s.note, &s.cosigned)
			v.signed = append(v.signed, s)
			return err
		}, v.from)
	v.recall()
	return err
}

// recall adds the checkpoints of this journal that others have.
func (v *verifier) recall() {
	for _, n := range v.trust.Notes {
		c, err := journal.PeekCheckpoint(n)
		switch {
		case err != nil:
			v.found(0, "a checkpoint from elsewhere: %v", err)
		case c.Terminal == v.terminal && c.Epoch == v.epoch && c.Size >= v.from:
			v.signed = append(v.signed, signed{c.Size, n, n})
		}
	}
	slices.SortStableFunc(v.signed, func(a, b signed) int { return cmp.Compare(a.size, b.size) })
}

// skip takes over what follows from the first n entries.
func (v *verifier) skip(n int64) (err error) {
	if v.tree, err = (nodes{v.ctx, v.q}).tiles(n); err != nil {
		return err
	}
	rows, err := readRows(v.ctx, v.q, `WHERE seq = ?`, n)
	if err != nil || len(rows) != 1 {
		return missing(err, "entry %d", n)
	}
	v.last = tail{n, rows[0].hash, rows[0].At}
	return nil
}

// file asks SQLite whether its pages, constraints and indexes are whole, which
// takes as long as reading all of it.
func (v *verifier) file() error {
	if !v.whole() {
		return nil
	}
	return each(v.ctx, v.q, `PRAGMA integrity_check(10)`, func(rows *sql.Rows) error {
		var what string
		err := rows.Scan(&what)
		if err == nil && what != "ok" {
			v.found(0, "file: %s", what)
		}
		return err
	})
}

func (v *verifier) newestSchema() error {
	newest, err := newestVersion()
	if err != nil || !v.whole() {
		return err
	}
	return v.schema(newest)
}

// schema compares tables, indexes and triggers with those of a version: whoever
// has dropped a trigger may have changed what it guarded, and one that is not ours
// may change what is written next.
func (v *verifier) schema(version int) error {
	want, err := madeBy(v.ctx, version)
	if err != nil {
		return fmt.Errorf("make tables: %w", err)
	}
	got, err := objectsOf(v.ctx, v.q)
	if err != nil {
		return fmt.Errorf("read schema: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if text, there := got[name]; !there {
			v.found(0, "schema: %s is missing", name)
		} else if text != want[name] {
			v.found(0, "schema: %s is not as it was made", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ours := want[name]; !ours {
			v.found(0, "schema: %s is not ours", name)
		}
	}
	return nil
}

// entries reads the journal, and compares each row with what it should be after
// those before it.
func (v *verifier) entries() error {
	return scan(v.ctx, v.q, v.from, func(l *line) error {
		if l.problem != "" {
			v.found(l.seq, "%s", l.problem)
		}
		v.follow(l)
		if err := v.grow(l.seq, l.hash); err != nil || l.Seq != l.seq {
			return err
		}
		v.own(l)
		v.moved(l)
		v.summed(l)
		return v.replay(l)
	})
}

// follow checks a row against the row before it.
func (v *verifier) follow(l *line) {
	v.Entries++
	if gap := l.seq - v.last.seq - 1; gap != 0 {
		v.found(l.seq, "%d entries are missing before it", gap)
	} else if l.Seq > 0 && l.prev != v.last.hash {
		v.found(l.seq, "it does not follow entry %d, which is not what it was", v.last.seq)
	}
	at := l.At
	if l.Seq > 0 && !at.After(v.last.at) {
		v.found(l.seq, "it is not later than the entry before")
	}
	if l.Seq == 0 {
		at = v.last.at // unreadable
	}
	v.last = tail{l.seq, l.hash, at}
}

// own checks what concerns an entry alone.
func (v *verifier) own(l *line) {
	e := l.Entry
	old := e.Epoch == journal.Epoch{} // of the first form, which says nothing about its place
	if !old && (e.Epoch != v.epoch || e.Terminal != v.terminal) {
		v.found(e.Seq, "it is an entry of %s/%s, this journal is %s/%s", e.Terminal, e.Epoch, v.terminal, v.epoch)
	}
	if l.broken != nil {
		v.found(e.Seq, "%v", l.broken)
	}
	if e.Seq != 1 {
		return
	}
	var s struct{ Epoch string } // what an entry of the first form says of its place
	if old {
		if err := json.Unmarshal(e.Details, &s); err != nil || s.Epoch != v.epoch.String() {
			v.found(e.Seq, "journal of epoch %s does not begin here", v.epoch)
		}
	}
	if e.Kind != journal.Started && e.Kind != journal.EpochOpened {
		v.found(e.Seq, "a journal does not begin with %s", e.Kind)
	}
}

// checkpoint checks a checkpoint over the entries so far.
func (v *verifier) checkpoint(s signed) {
	want := journal.Checkpoint{Terminal: v.terminal, Epoch: v.epoch, Size: v.tree.size, Root: v.tree.root()}
	for _, note := range [][]byte{s.note, s.cosigned} {
		if note == nil || v.trust.Key == nil {
			continue
		}
		c, err := journal.OpenCheckpoint(note, v.trust.Key)
		switch {
		case err != nil:
			v.found(s.size, "checkpoint: %v", err)
		case c != want:
			v.found(s.size, "a checkpoint with root %s was signed; these entries have %s", c.Root, want.Root)
		}
	}
	if s.cosigned == nil {
		return
	}
	if err := v.trust.cosigned(s.cosigned); err != nil {
		v.found(s.size, "checkpoint: %v", err)
	}
}

// ends checks what is said about the journal's end.
func (v *verifier) ends() error {
	v.Head = journal.Head{Epoch: v.epoch, Seq: v.last.seq, Hash: v.last.hash}
	for _, s := range v.signed {
		v.found(v.last.seq, "the journal ends here, and a checkpoint over %d entries was signed", s.size)
	}
	for _, k := range v.trust.Known {
		if err := v.known(k); err != nil {
			return err
		}
	}
	acked, err := ackedOf(v.ctx, v.q)
	if err != nil || acked.Seq == 0 {
		return err
	}
	v.Acked = acked.Seq
	h, err := nodes{v.ctx, v.q}.hashes(`SELECT hash FROM journal WHERE seq = ?`, acked.Seq)
	if err == nil && (len(h) != 1 || h[0] != acked.Hash) {
		v.found(acked.Seq, "upstream has acknowledged another entry under this number")
	}
	return err
}

// known checks that an entry which others have seen is in the journal.
func (v *verifier) known(k journal.Head) error {
	if k.Epoch != v.epoch || k.Seq <= 0 {
		return nil // of another journal
	}
	h, err := nodes{v.ctx, v.q}.hashes(`SELECT hash FROM journal WHERE seq = ?`, k.Seq)
	switch {
	case err != nil:
		return err
	case k.Seq > v.last.seq:
		v.found(v.last.seq, "the journal ends here, and an entry %d is known elsewhere", k.Seq)
	case len(h) != 1 || h[0] != k.Hash:
		v.found(k.Seq, "another entry with this number is known elsewhere")
	}
	return nil
}
