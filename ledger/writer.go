package ledger

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/mattn/go-sqlite3"

	"quancun/journal"
	"quancun/money"
)

// writer is a journal's one writing connection, with what it knows of the
// journal's end. It belongs to whoever has the Book's turn.
//
// It speaks to the driver itself and keeps its statements: of the 20 µs that
// an entry costs beside its share of the sync, database/sql would take half.
type writer struct {
	statements
	clock    *clock
	terminal string
	epoch    journal.Epoch

	tail
	tree     tiles
	accounts map[journal.Account]*account
	touched  []*account // by the transaction that is going on
}

// tail is what the next entry follows. Before the first entry it is zero.
type tail struct {
	seq  int64
	hash journal.Hash
	at   time.Time
}

// account is a row of the table account, as the transaction that is going on
// will leave it, and as it was before.
type account struct {
	id              int64 // 0 until it has a row
	name            journal.Account
	debits, credits money.Fen
	was             struct{ debits, credits money.Fen }
	touched         bool
}

// add adds an amount to the account, credits positive.
func (a *account) add(amount money.Fen) {
	if amount > 0 {
		a.credits += amount
	} else {
		a.debits -= amount
	}
}

// drawer reports whether the account may never have a credit balance: nobody
// can take more out of a drawer than is in it.
func (w *writer) drawer(a journal.Account) bool { return a == journal.TillAccount(w.terminal) }

func (w *writer) balance(a journal.Account) money.Fen {
	if known := w.accounts[a]; known != nil {
		return known.credits - known.debits
	}
	return 0
}

// statements are prepared once for a connection.
type statements struct {
	begin, commit, rollback                *sqlite3.SQLiteStmt
	last, body, item                       *sqlite3.SQLiteStmt
	putEntry, putPosting, putNode, putItem *sqlite3.SQLiteStmt
	endItem, doubtItem                     *sqlite3.SQLiteStmt
	putAccount, moveAccount                *sqlite3.SQLiteStmt

	all []*sqlite3.SQLiteStmt
}

func (s *statements) prepare(conn *sqlite3.SQLiteConn) error {
	for _, p := range []struct {
		stmt **sqlite3.SQLiteStmt
		text string
	}{
		{&s.begin, `BEGIN IMMEDIATE`},
		{&s.commit, `COMMIT`},
		{&s.rollback, `ROLLBACK`},
		{&s.last, `SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1`},
		{&s.body, `SELECT body, hash FROM journal WHERE seq = ?`},
		{&s.item, `SELECT first_seq, doubt_seq, end_seq FROM item WHERE ref = ?`},
		{&s.putEntry, `INSERT INTO journal (seq, body, hash) VALUES (?, ?, ?)`},
		{&s.putPosting, `INSERT INTO posting (seq, debit, credit, amount) VALUES (?, ?, ?, ?)`},
		{&s.putNode, insertNode},
		{&s.putItem, `INSERT INTO item (ref, kind, card, first_seq, end_seq) VALUES (?, ?, ?, ?, ?)`},
		{&s.endItem, `UPDATE item SET end_seq = ?2 WHERE ref = ?1`},
		{&s.doubtItem, `UPDATE item SET doubt_seq = ?2 WHERE ref = ?1`},
		{&s.putAccount, `INSERT INTO account (name, flags) VALUES (?, ?)`},
		{&s.moveAccount, `UPDATE account SET debits = ?4, credits = ?5 WHERE id = ?1 AND debits = ?2 AND credits = ?3`},
	} {
		stmt, err := conn.Prepare(p.text)
		if err != nil {
			return fmt.Errorf("prepare %q: %w", p.text, err)
		}
		*p.stmt = stmt.(*sqlite3.SQLiteStmt)
		s.all = append(s.all, *p.stmt)
	}
	return nil
}

// close closes the statements. A connection with one that is open stays, even
// after it was closed, and keeps its locks.
func (s *statements) close() error {
	var errs []error
	for _, stmt := range s.all {
		errs = append(errs, stmt.Close())
	}
	s.all = nil
	return errors.Join(errs...)
}

// insert runs a statement that adds a row or fails. Asking for rows that there
// are none of has the driver bind and step in one call of C, which Exec does
// not.
func insert(s *sqlite3.SQLiteStmt, args ...driver.Value) error {
	rows, err := s.Query(args)
	if err != nil {
		return err
	}
	return rows.Close()
}

// alter runs a statement that must change exactly one row, and returns the ID
// of one that it has added. RETURNING would say so too, at the price of a
// temporary table.
func alter(s *sqlite3.SQLiteStmt, args ...driver.Value) (id int64, err error) {
	result, err := s.Exec(args)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	if err == nil && n != 1 {
		err = fmt.Errorf("%w: %d rows changed, want 1", ErrTampered, n)
	}
	id, _ = result.LastInsertId() // which never fails here
	return id, err
}

// first reads the first row that a query gives into dest, and reports whether
// there was one.
func first(s *sqlite3.SQLiteStmt, dest []driver.Value, args ...driver.Value) (ok bool, err error) {
	rows, err := s.Query(args)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if err := rows.Next(dest); errors.Is(err, io.EOF) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return true, nil
}

// newWriter reads where the journal ends. What it reads has been verified.
func newWriter(ctx context.Context, s *store, o Options) (*writer, error) {
	w := &writer{
		clock:    &clock{now: o.Now, uptime: o.Uptime, stepMax: o.StepMax},
		accounts: map[journal.Account]*account{},
	}
	var err error
	if w.epoch, w.terminal, err = metaOf(ctx, s.conn); err != nil {
		return nil, err
	}
	if w.tail, err = tailOf(ctx, s.conn); err != nil {
		return nil, err
	}
	if w.tree, err = (nodes{ctx, s.conn}).tiles(w.seq); err != nil {
		return nil, err
	}
	err = each(ctx, s.conn, `SELECT id, name, debits, credits FROM account`, func(rows *sql.Rows) error {
		var a account
		if err := rows.Scan(&a.id, &a.name, &a.debits, &a.credits); err != nil {
			return err
		}
		w.accounts[a.name] = &a
		return nil
	})
	if err != nil {
		return nil, err
	}
	return w, s.conn.Raw(func(c any) error { return w.prepare(c.(*sqlite3.SQLiteConn)) })
}

// transact runs f in one durable transaction, or leaves no trace of it in the
// file. After an error the writer is not what the file is any more and must
// not be used again, unless f had written nothing.
func (w *writer) transact(f func() error) error {
	if _, err := w.begin.Exec(nil); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	before := w.seq
	err := w.checkLast()
	if err == nil {
		err = f()
	}
	if err == nil && w.seq > before {
		if err = w.settle(); err == nil {
			_, err = w.commit.Exec(nil)
			return err
		}
	}
	if _, rollback := w.rollback.Exec(nil); rollback != nil {
		return errors.Join(err, fmt.Errorf("roll back: %w", rollback))
	}
	return err
}

// checkLast checks before anything is added that the journal still ends where
// this writer has left it.
func (w *writer) checkLast() error {
	row := make([]driver.Value, 2)
	ok, err := first(w.last, row)
	if err != nil {
		return fmt.Errorf("read last entry: %w", err)
	}
	if !ok && w.seq == 0 {
		return nil
	}
	if hash, _ := row[1].([]byte); !ok || row[0] != w.seq || string(hash) != string(w.hash[:]) {
		return fmt.Errorf("%w: somebody else has written to it, its last entry is not %d", ErrTampered, w.seq)
	}
	return nil
}

// write adds e to the journal, after a ClockStep if the clock has stepped.
func (w *writer) write(e journal.Entry) (journal.Entry, error) {
	r := w.clock.read()
	if step, ok := w.clock.step(r, w.at); ok {
		w.clock.stepped()
		if _, err := w.add(step, r); err != nil {
			return e, err
		}
	}
	w.clock.last = r // if the commit fails, nothing is written ever again
	return w.add(e, r)
}

// writeAll adds what a new journal begins with, all at one moment. That the
// clock has been set meanwhile is for the first entry after it to tell: nothing
// comes before the opening.
func (w *writer) writeAll(entries []journal.Entry) error {
	w.clock.last = w.clock.read()
	for _, e := range entries {
		if _, err := w.add(e, w.clock.last); err != nil {
			return err
		}
	}
	return nil
}

// add adds e as the next entry, with all that follows from it.
func (w *writer) add(e journal.Entry, r reading) (journal.Entry, error) {
	e.Terminal, e.Epoch, e.Seq = w.terminal, w.epoch, w.seq+1
	e.At, e.Uptime, e.Clock = w.stamp(r.wall), r.up.Truncate(time.Millisecond), w.clock.state(r, w.at)
	if err := e.Check(); err != nil {
		return e, fmt.Errorf("internal error: %v", err) // whoever calls has checked it
	}
	body := e.Encode(w.hash)
	hash := journal.HashOf(body)
	if err := insert(w.putEntry, e.Seq, body, hash[:]); err != nil {
		return e, fmt.Errorf("write entry %d: %w", e.Seq, err)
	}
	for _, n := range w.tree.add(hash) {
		if err := insert(w.putNode, int64(n.level), n.n, n.hash[:]); err != nil {
			return e, fmt.Errorf("write node over entry %d: %w", e.Seq, err)
		}
	}
	if err := w.post(e); err != nil {
		return e, fmt.Errorf("post entry %d: %w", e.Seq, err)
	}
	if err := w.project(e); err != nil {
		return e, fmt.Errorf("project entry %d: %w", e.Seq, err)
	}
	w.tail = tail{e.Seq, hash, e.At}
	return e, nil
}

// timeMax keeps a clock that has gone mad from using up the years that an
// entry can be dated with.
var timeMax = time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)

// stamp returns the time of the next entry: the wall clock's, unless that
// would not be later than the last entry's.
func (w *writer) stamp(wall time.Time) time.Time {
	at, earliest := wall.Truncate(time.Millisecond), time.Unix(0, 0).UTC()
	if !w.at.IsZero() {
		earliest = w.at.Add(time.Millisecond)
	}
	if at.Before(earliest) || at.After(timeMax) {
		return earliest
	}
	return at
}

// post writes what an entry moves, and adds it to what the accounts of this
// transaction come to.
func (w *writer) post(e journal.Entry) error {
	if len(e.Postings) == 0 {
		return nil
	}
	m, ok := movementOf(e.Postings)
	if !ok {
		return fmt.Errorf("internal error: postings %v are not one movement", e.Postings)
	}
	from, err := w.account(m.from)
	if err != nil {
		return err
	}
	to, err := w.account(m.to)
	if err != nil {
		return err
	}
	from.debits += m.amount
	to.credits += m.amount
	return insert(w.putPosting, e.Seq, from.id, to.id, int64(m.amount))
}

// account returns the account of that name, which is made if need be, as one
// that this transaction moves.
func (w *writer) account(name journal.Account) (*account, error) {
	a := w.accounts[name]
	if a == nil {
		a = &account{name: name}
		w.accounts[name] = a
	}
	if a.id == 0 {
		flags := int64(0)
		if w.drawer(name) {
			flags = 1
		}
		id, err := alter(w.putAccount, string(name), flags)
		if err != nil {
			return nil, fmt.Errorf("open account %s: %w", name, err)
		}
		a.id = id
	}
	if !a.touched {
		a.touched = true
		a.was.debits, a.was.credits = a.debits, a.credits
		w.touched = append(w.touched, a)
	}
	return a, nil
}

// settle writes what the accounts have come to, each from exactly what it was.
func (w *writer) settle() error {
	var sum money.Fen
	for _, a := range w.touched {
		sum += a.credits - a.was.credits - (a.debits - a.was.debits)
		if a.debits < a.was.debits || a.credits < a.was.credits {
			return fmt.Errorf("%w: account %s has overflowed", ErrTampered, a.name)
		}
		_, err := alter(w.moveAccount, a.id,
			int64(a.was.debits), int64(a.was.credits), int64(a.debits), int64(a.credits))
		if err != nil {
			return fmt.Errorf("move account %s: %w", a.name, err)
		}
		a.touched = false
	}
	if sum != 0 {
		return fmt.Errorf("%w: postings of one commit come to %s", ErrTampered, sum)
	}
	w.touched = w.touched[:0]
	return nil
}

// project brings the tables item and account up to what e says, apart from its
// postings.
func (w *writer) project(e journal.Entry) error {
	switch e.Kind {
	case journal.Started, journal.ClockStep:
		return nil
	case journal.EpochOpened:
		return w.inheritBalances(e)
	case journal.Carried:
		inner, err := e.Inner()
		if err != nil || inner.Kind.LedgerOnly() {
			return err
		}
		i, err := w.itemOf(inner.Ref)
		if err != nil || !i.takes(inner.Kind) {
			return err
		}
		inner.Seq = e.Seq
		return w.projectItem(inner)
	}
	return w.projectItem(e)
}

// projectItem notes what is said under e's Ref.
func (w *writer) projectItem(e journal.Entry) (err error) {
	switch {
	case e.Kind.IsIntent():
		return insert(w.putItem, e.Ref, int64(e.Kind), e.Card, e.Seq, nil)
	case e.Kind.Intent() == 0:
		return insert(w.putItem, e.Ref, int64(e.Kind), e.Card, e.Seq, e.Seq)
	case e.Kind.IsEnd():
		_, err = alter(w.endItem, e.Ref, e.Seq)
	default:
		_, err = alter(w.doubtItem, e.Ref, e.Seq)
	}
	return err
}

// begins reports whether k is the first that is said under its Ref.
func begins(k journal.Kind) bool { return k.IsIntent() || k.Intent() == 0 }

// takes reports whether there is a place in the item for an entry of kind k. Of
// what is put together from two copies of a journal, some may be there twice.
func (i Item) takes(k journal.Kind) bool {
	switch {
	case begins(k):
		return i.First.Seq == 0
	case i.First.Kind != k.Intent() || !i.Open():
		return false
	}
	return k.IsEnd() || i.Doubt.Seq == 0
}

// inheritBalances begins the books of an epoch with what the last one came to.
func (w *writer) inheritBalances(e journal.Entry) error {
	o, err := e.Opening()
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(o.Accounts)) {
		a, err := w.account(name)
		if err != nil {
			return err
		}
		a.add(o.Accounts[name])
	}
	return nil
}

// itemOf reads what the journal says under a Ref, as the transaction that is
// going on has left it.
func (w *writer) itemOf(ref string) (i Item, err error) {
	row := make([]driver.Value, 3)
	if ok, err := first(w.item, row, ref); err != nil || !ok {
		return i, err
	}
	for n, e := range []*journal.Entry{&i.First, &i.Doubt, &i.End} {
		seq, ok := row[n].(int64)
		if !ok {
			continue
		}
		if *e, err = w.entry(seq); err != nil {
			return i, err
		}
	}
	return i, nil
}

func (w *writer) entry(seq int64) (journal.Entry, error) {
	columns := make([]driver.Value, 2)
	ok, err := first(w.body, columns, seq)
	if err != nil {
		return journal.Entry{}, fmt.Errorf("read entry %d: %w", seq, err)
	}
	body, _ := columns[0].([]byte)
	hash, _ := columns[1].([]byte)
	if !ok {
		return journal.Entry{}, fmt.Errorf("%w: entry %d is missing", ErrTampered, seq)
	}
	r, problem := parseRow(seq, body, hash)
	if problem != "" {
		return journal.Entry{}, fmt.Errorf("%w: entry %d: %s", ErrTampered, seq, problem)
	}
	return r.Inner()
}
