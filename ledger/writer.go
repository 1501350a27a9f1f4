package ledger

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mattn/go-sqlite3"

	"quancun/journal"
	"quancun/money"
)

// writer is a journal's one writing connection, which belongs to whoever has the
// Book's disk, with what it knows of the journal's end, which belongs to whoever
// has the Book's turn.
//
// It speaks to the driver itself and keeps its statements: an entry costs
// 10 to 12 µs beside its share of the sync, to which database/sql would add ten.
type writer struct {
	statements
	clock    *clock
	terminal string
	till     journal.Account // its drawer
	epoch    journal.Epoch

	tail
	tree     tiles
	accounts map[journal.Account]*account

	refMax string // the last of all Refs of the batches that were sealed

	ahead bool   // the disk is another's: what needs it returns errAhead, and changes nothing
	after tail   // where the batch that is being prepared begins
	batch *batch // and that batch
	spare *batch // the one before, which is on the disk or on its way there

	syncing atomic.Int64 // how many nanoseconds the last COMMIT took
}

// errAhead is returned for what cannot be prepared without the disk.
var errAhead = errors.New("internal error: the disk is needed")

// batch is what one transaction adds. Once it is sealed, it is the disk's alone.
type batch struct {
	now     *reading // of the clocks, once it has been taken
	touched []*account
	refs    map[string]bool     // that something was said under
	rows    []driver.NamedValue // of the table journal: one for each column
	nodes   []node
	moves   []move
	end     tail
}

// move is what an account comes to, and what it was before.
type move struct {
	id       int64
	name     journal.Account
	was, now sums
}

// sums are what went out of an account and what came in.
type sums struct{ debits, credits money.Fen }

// tail is what the next entry follows. Before the first entry it is zero.
type tail struct {
	seq  int64
	hash journal.Hash
	at   time.Time
}

// account is a row of the table account, as the batch that is being prepared
// will leave it, and as it was before.
type account struct {
	id   int64 // 0 until it has a row
	name journal.Account
	sums
	was     sums
	touched bool
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
func (w *writer) drawer(a journal.Account) bool { return a == w.till }

func (w *writer) balance(a journal.Account) money.Fen {
	if known := w.accounts[a]; known != nil {
		return known.credits - known.debits
	}
	return 0
}

// drawn is what e puts into the drawer; less than zero if it takes from it.
func drawn(e journal.Entry, till journal.Account) (sum money.Fen) {
	for _, p := range e.Postings {
		if p.Account == till {
			sum -= p.Amount
		}
	}
	return sum
}

// selectRefMax takes the last entry of the index.
const selectRefMax = `SELECT coalesce(
	(SELECT ref FROM journal WHERE ref IS NOT NULL ORDER BY ref DESC LIMIT 1), '')`

// newWriter reads where the journal ends. What it reads has been verified.
func newWriter(ctx context.Context, s *store, o Options) (*writer, error) {
	w := &writer{
		clock:    &clock{now: o.Now, uptime: o.Uptime, stepMax: o.StepMax},
		accounts: map[journal.Account]*account{},
		batch:    &batch{refs: map[string]bool{}},
		spare:    &batch{refs: map[string]bool{}},
	}
	var err error
	if w.epoch, w.terminal, err = metaOf(ctx, s.conn); err != nil {
		return nil, err
	}
	w.till = journal.TillAccount(w.terminal)
	if w.tail, err = tailOf(ctx, s.conn); err != nil {
		return nil, err
	}
	w.after = w.tail
	if w.tree, err = (nodes{ctx, s.conn}).tiles(w.seq); err != nil {
		return nil, err
	}
	if err := s.conn.QueryRowContext(ctx, selectRefMax).Scan(&w.refMax); err != nil {
		return nil, fmt.Errorf("read last reference: %w", err)
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
	return w, s.conn.Raw(func(c any) error {
		w.on(c.(*sqlite3.SQLiteConn))
		return nil
	})
}

// transact runs f in one durable transaction, with what was prepared before, or
// leaves no trace of it in the file. It returns the last entry that it has added,
// zero if it has added nothing. Once the turn is not needed any more, it calls
// ready, if that is not nil. After an error the writer is not what the file is any
// more and must not be used again, unless nothing was to be written.
func (w *writer) transact(f func() error, ready func()) (end tail, err error) {
	if _, err := w.begin.exec(nil); err != nil {
		return end, fmt.Errorf("begin: %w", err)
	}
	if err = w.checkLast(); err == nil {
		err = f()
	}
	if err == nil && w.seq > w.after.seq {
		var sealed *batch
		if sealed, err = w.seal(); err == nil {
			if ready != nil {
				ready()
			}
			if err = w.store(sealed); err == nil {
				return sealed.end, nil
			}
		}
	} else {
		w.batch.now = nil // the next transaction has a moment of its own
	}
	if _, rollback := w.rollback.exec(nil); rollback != nil {
		return end, errors.Join(err, fmt.Errorf("roll back: %w", rollback))
	}
	return end, err
}

// checkLast checks before anything is added that the journal still ends where
// the batch begins.
func (w *writer) checkLast() error {
	row, ok := make([]driver.Value, 2), w.after.seq == 0
	err := fetch(&w.last, row, func() error {
		hash, _ := row[1].([]byte)
		ok = row[0] == w.after.seq && string(hash) == string(w.after.hash[:])
		return nil
	})
	if err != nil {
		return fmt.Errorf("read last entry: %w", err)
	}
	if !ok {
		return fmt.Errorf("%w: somebody else has written to it, its last entry is not %d", ErrTampered, w.after.seq)
	}
	return nil
}

// seal ends the batch and begins the next.
func (w *writer) seal() (*batch, error) {
	b := w.batch
	b.end = w.tail
	var sum money.Fen
	for _, a := range b.touched {
		sum += a.credits - a.was.credits - (a.debits - a.was.debits)
		if a.debits < a.was.debits || a.credits < a.was.credits {
			return nil, fmt.Errorf("%w: account %s has overflowed", ErrTampered, a.name)
		}
		b.moves = append(b.moves, move{a.id, a.name, a.was, a.sums})
		a.touched = false
	}
	if sum != 0 {
		return nil, fmt.Errorf("%w: postings of one commit come to %s", ErrTampered, sum)
	}
	for ref := range b.refs {
		w.refMax = max(w.refMax, ref)
	}
	w.batch, w.spare, w.after = w.spare, b, w.tail
	return b, nil
}

// store writes what is left of a batch, and commits.
func (w *writer) store(b *batch) error {
	if err := w.flush(b); err != nil {
		return err
	}
	for _, n := range b.nodes {
		if err := insert(&w.putNode, int64(n.level), n.n, n.hash[:]); err != nil {
			return fmt.Errorf("write node %d of level %d: %w", n.n, n.level, err)
		}
	}
	for _, m := range b.moves { // each from exactly what it was
		_, err := alter(&w.moveAccount, m.id,
			int64(m.was.debits), int64(m.was.credits), int64(m.now.debits), int64(m.now.credits))
		if err != nil {
			return fmt.Errorf("move account %s: %w", m.name, err)
		}
	}
	start := time.Now()
	if _, err := w.commit.exec(nil); err != nil {
		return err
	}
	w.syncing.Store(int64(time.Since(start)))
	clear(b.refs)
	b.now, b.touched, b.nodes, b.moves = nil, b.touched[:0], b.nodes[:0], b.moves[:0]
	return nil
}

// write adds e to the journal, after a ClockStep if the clock has stepped.
func (w *writer) write(e journal.Entry) (journal.Entry, error) {
	r := w.moment()
	if step, ok := w.clock.step(r, w.at); ok {
		w.clock.stepped()
		if _, err := w.add(step, r); err != nil {
			return e, err
		}
	}
	w.clock.last = r // if the commit fails, nothing is written ever again
	return w.add(e, r)
}

// moment reads the clocks once for a transaction: what is written together is
// written at one moment.
func (w *writer) moment() reading {
	if w.batch.now == nil {
		r := w.clock.read()
		w.batch.now = &r
	}
	return *w.batch.now
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

// add adds e as the next entry, with all that follows from it. Whatever others
// may say was checked before.
func (w *writer) add(e journal.Entry, r reading) (journal.Entry, error) {
	e.Terminal, e.Epoch, e.Seq = w.terminal, w.epoch, w.seq+1
	e.At, e.Uptime, e.Clock = w.stamp(r.wall), r.up.Truncate(time.Millisecond), w.clock.state(r, w.at)
	if e.Kind.LedgerOnly() {
		if err := e.Check(); err != nil {
			return e, fmt.Errorf("internal error: %v", err)
		}
	}
	body := e.Encode(w.hash)
	hash := journal.HashOf(body)
	w.batch.nodes = append(w.batch.nodes, w.tree.add(hash)...)
	row := [rowColumns]driver.Value{e.Seq, body, hash[:]}
	if err := w.post(e, row[3:6]); err != nil {
		return e, fmt.Errorf("post entry %d: %w", e.Seq, err)
	}
	if err := w.project(e, row[6:]); err != nil {
		return e, fmt.Errorf("project entry %d: %w", e.Seq, err)
	}
	for _, v := range row {
		w.batch.rows = append(w.batch.rows, driver.NamedValue{Value: v})
	}
	w.tail = tail{e.Seq, hash, e.At}
	return e, nil
}

// flush writes the rows of a batch that are waiting, as many at once as there are.
func (w *writer) flush(b *batch) error {
	rows := b.rows
	for i, n := range rowsAtOnce {
		for ; len(rows) >= n*rowColumns; rows = rows[n*rowColumns:] {
			if err := insertAll(&w.putRows[i], rows[:n*rowColumns]); err != nil {
				return fmt.Errorf("write %d entries from %v on: %w", n, rows[0].Value, err)
			}
		}
	}
	clear(b.rows) // which lets go of the bodies
	b.rows = b.rows[:0]
	return nil
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

// post sets the columns that say what an entry moves, and adds that to what the
// accounts of this transaction come to.
func (w *writer) post(e journal.Entry, moves []driver.Value) error {
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
	moves[0], moves[1], moves[2] = from.id, to.id, int64(m.amount)
	return nil
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
		id, err := alter(&w.putAccount, string(name), flags)
		if err != nil {
			return nil, fmt.Errorf("open account %s: %w", name, err)
		}
		a.id = id
	}
	if !a.touched {
		a.touched = true
		a.was = a.sums
		w.batch.touched = append(w.batch.touched, a)
	}
	return a, nil
}

// knows reports whether the accounts that postings move have rows.
func (w *writer) knows(postings []journal.Posting) bool {
	for _, p := range postings {
		if a := w.accounts[p.Account]; a == nil || a.id == 0 {
			return false
		}
	}
	return true
}

// project sets the columns that say what is said under which Ref, and begins the
// books of an epoch.
func (w *writer) project(e journal.Entry, says []driver.Value) error {
	said, err := e.Inner()
	if err != nil {
		return err
	}
	takes := !said.Kind.LedgerOnly()
	switch {
	case e.Kind == journal.EpochOpened:
		err = w.inheritBalances(e)
	case e.Kind == journal.Carried && takes:
		var i Item
		i, err = w.itemOf(said.Ref)
		takes = i.takes(said.Kind)
	}
	if err == nil && takes {
		w.batch.refs[said.Ref] = true
		says[0], says[1] = said.Ref, int64(roleOf(said.Kind))
	}
	return err
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

// itemOf reads what the journal says under a Ref, as the batch that is being
// prepared has left it. Refs begin with the time, so that most need not be looked
// for: they come after all that are there.
func (w *writer) itemOf(ref string) (i Item, err error) {
	said := w.batch.refs[ref]
	if !said && ref > w.refMax {
		return i, nil
	}
	if w.ahead {
		return i, errAhead
	}
	if said {
		if err := w.flush(w.batch); err != nil {
			return i, err
		}
	}
	row := make([]driver.Value, 4)
	err = fetch(&w.item, row, func() error {
		seq, _ := row[0].(int64)
		body, _ := row[1].([]byte)
		hash, _ := row[2].([]byte)
		r, problem := parseRow(seq, body, hash)
		if problem != "" {
			return fmt.Errorf("%w: entry %d: %s", ErrTampered, seq, problem)
		}
		as, _ := row[3].(int64)
		return i.add(r, role(as))
	}, ref)
	return i, err
}
