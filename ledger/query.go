package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"

	"quancun/journal"
	"quancun/money"
)

// Item is what the journal says under one Ref. The entries of a journal that
// was carried over from an older one keep the positions that they had there.
type Item struct {
	First journal.Entry // the intent, or the only entry
	Doubt journal.Entry // zero without one; for an order, that its code was shown
	End   journal.Entry // zero while an intent is open; the same as First without one
}

// Open reports whether the outcome is still unknown.
func (i Item) Open() bool { return i.End.Seq == 0 }

// role is what an entry is to its Ref. The numbers are those of the schema.
type role int64

const (
	roleIntent role = 1
	roleDoubt  role = 2 // of an order: that its code was shown
	roleEnd    role = 4
	roleAlone  role = 8 // begins and ends
)

func roleOf(k journal.Kind) role {
	switch {
	case k.IsIntent():
		return roleIntent
	case k.Intent() == 0:
		return roleAlone
	case k.IsEnd():
		return roleEnd
	}
	return roleDoubt
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

// add puts the entry of a row in its place in the item.
func (i *Item) add(r row, as role) error {
	e, err := r.Inner()
	switch as {
	case roleIntent:
		i.First = e
	case roleDoubt:
		i.Doubt = e
	case roleEnd:
		i.End = e
	case roleAlone:
		i.First, i.End = e, e
	default:
		return fmt.Errorf("%w: entry %d has role %d", ErrTampered, r.Seq, as)
	}
	return err
}

// OpenItems returns the intents that have no end, oldest first. After a
// restart these are what has to be asked about before anything else is begun.
func (b *Book) OpenItems(ctx context.Context) ([]journal.Entry, error) {
	return b.intents(ctx, "read open items", func(journal.Entry) bool { return true })
}

// OpenFor returns the intents that have no end and concern card, oldest first.
func (b *Book) OpenFor(ctx context.Context, card string) ([]journal.Entry, error) {
	return b.intents(ctx, "read open items of a card", func(e journal.Entry) bool { return e.Card == card })
}

func (b *Book) intents(ctx context.Context, op string, ok func(journal.Entry) bool) (all []journal.Entry, err error) {
	err = b.read(ctx, op, func(q querier) error {
		items, err := openItems(ctx, q)
		for _, i := range items {
			if ok(i.First) {
				all = append(all, b.placed(i.First))
			}
		}
		return err
	})
	return all, err
}

// Get returns what is known under ref, and [ErrNotFound] if nothing is.
func (b *Book) Get(ctx context.Context, ref string) (item Item, err error) {
	err = b.read(ctx, "read item", func(q querier) error {
		items, err := readItems(ctx, q, `FROM journal j WHERE j.ref = ? ORDER BY j.seq`, ref)
		if err == nil && len(items) == 0 {
			err = fmt.Errorf("%w: %q", ErrNotFound, ref)
		}
		if err == nil {
			item = Item{b.placed(items[0].First), b.placed(items[0].Doubt), b.placed(items[0].End)}
		}
		return err
	})
	return item, err
}

// Recent returns the last n entries, newest first.
func (b *Book) Recent(ctx context.Context, n int) ([]journal.Entry, error) {
	return b.entries(ctx, "read recent entries", `ORDER BY seq DESC LIMIT ?`, max(n, 0))
}

// Since returns up to n entries from number from on, in order.
func (b *Book) Since(ctx context.Context, from int64, n int) ([]journal.Entry, error) {
	return b.entries(ctx, "read entries", `WHERE seq >= ? ORDER BY seq LIMIT ?`, from, max(n, 0))
}

func (b *Book) entries(ctx context.Context, op, where string, args ...any) (all []journal.Entry, err error) {
	err = b.read(ctx, op, func(q querier) error {
		rows, err := readRows(ctx, q, where, args...)
		for _, r := range rows {
			all = append(all, b.placed(r.Entry))
		}
		return err
	})
	return all, err
}

// placed adds the position to an entry of the first form, which has none.
func (b *Book) placed(e journal.Entry) journal.Entry {
	if e.Seq > 0 && e.Epoch == (journal.Epoch{}) {
		e.Terminal, e.Epoch = b.o.Terminal, b.Epoch()
	}
	return e
}

// Balance returns an account's balance in this terminal's books, credits
// positive; zero for one that nothing was ever posted to.
func (b *Book) Balance(ctx context.Context, a journal.Account) (balance money.Fen, err error) {
	err = b.read(ctx, "read balance", func(q querier) error {
		err := q.QueryRowContext(ctx, `SELECT credits - debits FROM account WHERE name = ?`, string(a)).Scan(&balance)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return balance, err
}

// read runs f on the journal as it was after some commit, beside whoever
// writes.
func (b *Book) read(ctx context.Context, op string, f func(querier) error) error {
	b.files.RLock()
	defer b.files.RUnlock()
	if err := b.ready(ctx); err != nil {
		return err
	}
	err := transactRead(ctx, b.s.readers, f)
	switch {
	case err == nil, refused(err):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return b.fail(op, err)
}

// transactRead runs f on one state of the database.
func transactRead(ctx context.Context, db *sql.DB, f func(querier) error) error {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	return errors.Join(f(tx), tx.Rollback())
}

// openRows are all rows of what is open, item by item, the oldest first.
const openRows = `FROM open_item o CROSS JOIN journal f ON f.seq = o.seq CROSS JOIN journal j ON j.ref = f.ref
	ORDER BY o.seq, j.seq`

func openItems(ctx context.Context, q querier) ([]Item, error) { return readItems(ctx, q, openRows) }

// readItems reads the items whose rows a clause gives as j, one after the
// other.
func readItems(ctx context.Context, q querier, from string, args ...any) ([]Item, error) {
	var items []Item
	var last string
	err := each(ctx, q, `SELECT j.seq, j.body, j.hash, j.ref, j.role `+from, func(rows *sql.Rows) error {
		var seq int64
		var body, hash []byte
		var ref string
		var as role
		if err := rows.Scan(&seq, &body, &hash, &ref, &as); err != nil {
			return err
		}
		r, problem := parseRow(seq, body, hash)
		if problem != "" {
			return fmt.Errorf("%w: entry %d: %s", ErrTampered, seq, problem)
		}
		if len(items) == 0 || ref != last {
			items, last = append(items, Item{}), ref
		}
		return items[len(items)-1].add(r, as)
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read items: %w", err)
	}
	return items, nil
}

// entryAt reads an entry; of one that was carried over, the entry that it was.
func entryAt(ctx context.Context, q querier, seq int64) (journal.Entry, error) {
	rows, err := readRows(ctx, q, `WHERE seq = ?`, seq)
	if err != nil {
		return journal.Entry{}, err
	}
	if len(rows) != 1 {
		return journal.Entry{}, fmt.Errorf("%w: entry %d is missing", ErrTampered, seq)
	}
	return rows[0].Inner()
}

// tailOf reads the last entry, and so checks it before anything is added.
func tailOf(ctx context.Context, q querier) (tail, error) {
	rows, err := readRows(ctx, q, `ORDER BY seq DESC LIMIT 1`)
	if err != nil || len(rows) == 0 {
		return tail{}, err
	}
	return tail{rows[0].Seq, rows[0].hash, rows[0].At}, nil
}

// row is an entry with its bytes and its place in the chain.
type row struct {
	journal.Entry
	body       []byte
	prev, hash journal.Hash
}

// readRows reads part of the journal, each row checked by itself.
func readRows(ctx context.Context, q querier, where string, args ...any) ([]row, error) {
	var all []row
	err := each(ctx, q, `SELECT seq, body, hash FROM journal `+where, func(rows *sql.Rows) error {
		var seq int64
		var body, hash []byte
		if err := rows.Scan(&seq, &body, &hash); err != nil {
			return err
		}
		r, problem := parseRow(seq, body, hash)
		if problem != "" {
			return fmt.Errorf("%w: entry %d: %s", ErrTampered, seq, problem)
		}
		all = append(all, r)
		return nil
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return all, nil
}

// parseRow reads one row, and says in words what is wrong with it.
func parseRow(seq int64, body, hash []byte) (r row, problem string) {
	r.body, r.hash = body, journal.HashOf(body)
	if string(r.hash[:]) != string(hash) {
		return r, "body and hash do not match"
	}
	var err error
	if r.Entry, r.prev, err = journal.Decode(body); err != nil {
		return r, err.Error()
	}
	if r.Seq != seq {
		return r, fmt.Sprintf("its body is that of entry %d", r.Seq)
	}
	return r, ""
}

// each calls f for every row of a query.
func each(ctx context.Context, q querier, query string, f func(*sql.Rows) error, args ...any) (err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Snapshot is a journal's file as it is at one moment. It is valid while the
// function is running that it was given to.
type Snapshot struct {
	Terminal string
	Head     journal.Head
	Acked    journal.Head

	ctx context.Context
	q   querier
}

// Line is an entry with its exact bytes.
type Line struct {
	Seq   int64 // the number of the row, which is the entry's own
	Body  []byte
	Hash  journal.Hash
	Entry journal.Entry
}

// ReadFile gives f a journal's file to read: one that no Book has open, also on
// a medium that cannot be written to, or that of a running terminal, which goes
// on meanwhile. It changes nothing. Of a journal of an older version f reads a
// copy that is brought up to date, for which the folder for temporary files needs
// room.
func ReadFile(ctx context.Context, path string, f func(Snapshot) error) error {
	read := func(q querier) error {
		s, err := snapshot(ctx, q)
		if err != nil {
			return fmt.Errorf("read journal: %w", named(err))
		}
		return f(s)
	}
	switch old, err := oldVersion(ctx, path); {
	case err != nil:
		return err
	case old > 0:
		return renewed(ctx, path, read)
	}
	return inspect(ctx, system{}, path, func(db *sql.DB) error { return transactRead(ctx, db, read) })
}

// snapshot returns what a journal says of itself.
func snapshot(ctx context.Context, q querier) (Snapshot, error) {
	s := Snapshot{ctx: ctx, q: q}
	last, err := tailOf(ctx, q)
	if err == nil {
		s.Head.Seq, s.Head.Hash = last.seq, last.hash
		s.Acked, err = ackedOf(ctx, q)
	}
	if err == nil {
		s.Head.Epoch, s.Terminal, err = metaOf(ctx, q)
	}
	return s, err
}

// Outcome returns what came of a reference, or of the one that the entry with a
// number is about: the entry that ends it, or that stands alone. It returns
// [ErrNotFound] for what is not there or has no end yet.
func (s Snapshot) Outcome(ref string, number int64) (Line, error) {
	where, what := `FROM journal j WHERE j.ref = ? ORDER BY j.seq`, any(ref)
	if ref == "" {
		where = `FROM journal j WHERE j.ref = (SELECT ref FROM journal WHERE seq = ?) ORDER BY j.seq`
		what = number
	}
	items, err := readItems(s.ctx, s.q, where, what)
	switch {
	case err != nil:
		return Line{}, err
	case len(items) == 0:
		return Line{}, fmt.Errorf("%w: %v", ErrNotFound, what)
	case items[0].Open():
		return Line{}, fmt.Errorf("%w: %v has no end", ErrNotFound, what)
	}
	rows, err := readRows(s.ctx, s.q, `WHERE seq = ?`, items[0].End.Seq)
	if err != nil {
		return Line{}, err
	}
	return s.line(rows[0]), nil
}

// lineChunk is how many entries are in memory at a time.
const lineChunk = 256

// Lines returns the entries up to number n, in order. It ends with an error at one
// whose bytes and hash do not match, or that is no entry.
func (s Snapshot) Lines(n int64) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		for last := int64(0); ; {
			rows, err := readRows(s.ctx, s.q, `WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?`, last, n, lineChunk)
			if err != nil {
				yield(Line{}, err)
				return
			}
			if len(rows) == 0 {
				return
			}
			last = rows[len(rows)-1].Seq
			for _, r := range rows {
				if !yield(s.line(r), nil) {
					return
				}
			}
		}
	}
}

func (s Snapshot) line(r row) Line {
	if r.Epoch == (journal.Epoch{}) { // of the first form
		r.Terminal, r.Epoch = s.Terminal, s.Head.Epoch
	}
	return Line{r.Seq, r.body, r.hash, r.Entry}
}

// Checkpoint returns what has to be signed for the whole journal.
func (s Snapshot) Checkpoint() (journal.Checkpoint, error) {
	root, err := nodes{s.ctx, s.q}.root(s.Head.Seq)
	return journal.Checkpoint{Terminal: s.Terminal, Epoch: s.Head.Epoch, Size: s.Head.Seq, Root: root}, err
}

// Signed returns the newest checkpoint that is stored, cosigned if it is, and
// [ErrNotFound] if there is none.
func (s Snapshot) Signed() (size int64, note []byte, err error) {
	err = s.q.QueryRowContext(s.ctx,
		`SELECT size, coalesce(cosigned, note) FROM checkpoint ORDER BY size DESC LIMIT 1`).Scan(&size, &note)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("%w: nobody has signed for this journal yet", ErrNotFound)
	}
	return size, note, err
}

// given is what the entries up to a number have given back of a sale.
type given struct {
	through int64
	sum     money.Fen
}

// add adds what an entry gives back, if it is a refund of that sale.
func (g *given) add(body []byte, sale journal.Position) error {
	e, _, err := journal.Decode(body)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrTampered, err)
	}
	if e.Kind == journal.Refund && e.Origin == sale {
		g.sum += e.Amount
	}
	return nil
}

// Refunds are few, so they have no index that every sale would have to pay for.
// They are looked for among what came after the sale: by a reader, before the
// refund has its turn, and by the writer in what has come since.
const (
	selectRefunds = `SELECT body FROM journal WHERE seq > ?1 AND role = 8
		AND debit = (SELECT id FROM account WHERE name = ?2)`
	selectBody = `SELECT body FROM journal WHERE seq = ?`
)

// GivenBack returns how much was given back so far of a sale of this journal,
// which an entry of it says was paid.
func (b *Book) GivenBack(ctx context.Context, sale journal.Entry) (money.Fen, error) {
	g, err := b.givenBack(ctx, journal.Entry{Merchant: sale.Merchant, Origin: sale.Position()})
	return g.sum, err
}

// givenBack returns what has been given back so far of the sale that e names.
func (b *Book) givenBack(ctx context.Context, e journal.Entry) (g given, err error) {
	err = b.read(ctx, "read refunds", func(q querier) error {
		head, err := tailOf(ctx, q)
		if g = (given{through: head.seq}); err != nil {
			return err
		}
		return each(ctx, q, selectRefunds, func(rows *sql.Rows) error {
			var body []byte
			if err := rows.Scan(&body); err != nil {
				return err
			}
			return g.add(body, e.Origin)
		}, e.Origin.Seq, string(journal.MerchantAccount(e.Merchant)))
	})
	return g, err
}
