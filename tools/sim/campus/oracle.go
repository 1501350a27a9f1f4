package campus

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"quancun/journal"
	"quancun/ledger"
	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/store/sqldb"
)

// oracle is what really happened, and what programs were promised. It is kept
// by those who saw it: the chips, the hands that gave cash, and the callers to
// whom a journal said "it is on the disk".
type oracle struct {
	campus *Campus
	debits []*debit
	said   map[saying]*said
	order  []*said // as they were said
}

// debit is a purchase that a chip has carried out.
type debit struct {
	card    *plastic
	counter uint16 // before it
	amount  money.Fen
	tac     pboc.MAC
	at      *machine
	excused bool // the only journal that knew of it is gone
}

// saying names an entry wherever it comes to stand: in the journal of its
// epoch, or carried into another.
type saying struct {
	ref  string
	kind journal.Kind
}

// said is an entry that somebody was told to be on the disk.
type said struct {
	journal.Entry
	sure    bool // otherwise the journal failed, and nobody knows
	excused bool // every disk that had it is gone
}

func newOracle(c *Campus) *oracle { return &oracle{campus: c, said: map[saying]*said{}} }

func (o *oracle) debited(p *plastic, d debit) {
	d.card, d.at = p, o.campus.acting
	o.debits = append(o.debits, &d)
	p.holder.sold[d.at.station.ID] += d.amount
}

// append has a journal write e, and remembers what it promised.
func (m *machine) append(ctx context.Context, e journal.Entry) (journal.Entry, error) {
	written, err := m.book.Append(ctx, e)
	if errors.Is(err, ledger.ErrFull) {
		m.campus.cover(branchDiskFull)
	}
	switch {
	case err == nil:
		m.campus.oracle.promised(m, written)
		if m.card != nil && !m.campus.dice.OneIn(4) { // the second medium may be slow
			m.book.Reflect()
		}
	case errors.Is(err, ledger.ErrFailed):
		m.campus.oracle.unsure(m, e)
	}
	return written, err
}

func (o *oracle) promised(m *machine, e journal.Entry) {
	key := saying{e.Ref, e.Kind}
	s := o.said[key]
	if s == nil {
		s = &said{}
		o.said[key] = s
		o.order = append(o.order, s)
	}
	s.Entry, s.sure = e, true
	if !slices.Contains(m.knows, s) {
		m.knows = append(m.knows, s)
	}
}

func (o *oracle) unsure(m *machine, e journal.Entry) {
	key := saying{e.Ref, e.Kind}
	if o.said[key] == nil {
		e.Terminal = m.station.ID
		s := &said{Entry: e}
		o.said[key] = s
		o.order = append(o.order, s)
	}
	m.unsure = append(m.unsure, o.said[key])
}

// recall looks up, after a restart, what became of what nobody was sure of.
func (o *oracle) recall(ctx context.Context, m *machine) error {
	unsure := m.unsure
	m.unsure = nil
	for _, s := range unsure {
		item, err := m.book.Get(ctx, s.Ref)
		if errors.Is(err, ledger.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		for _, e := range []journal.Entry{item.First, item.Doubt, item.End} {
			if e.Seq > 0 && e.Kind == s.Kind {
				o.promised(m, e)
			}
		}
	}
	return nil
}

// forgets notes that a machine's disk has lost all but what it knew when the
// copy was made that is in it now. What the upstream does not have either, nobody
// has any more.
func (o *oracle) forgets(ctx context.Context, m *machine, then []*said) {
	before := m.knows
	m.knows = slices.Clone(then)
	o.excuse(ctx, before)
}

// excuse excuses those that nobody has any more.
func (o *oracle) excuse(ctx context.Context, all []*said) {
	up, err := o.campus.office.copied(ctx)
	if err != nil {
		o.campus.wrong("%v", err)
		return
	}
	for _, s := range all {
		if _, has := up.entries[saying{s.Ref, s.Kind}]; !has && !o.onDisk(s) {
			s.excused = true
		}
	}
	for _, d := range o.debits {
		if _, known := d.intent(up); !known && !o.announced(d) {
			d.excused = true
		}
	}
}

// announced reports whether a machine still knows that it was about to take a
// debit.
func (o *oracle) announced(d *debit) bool {
	return slices.ContainsFunc(o.campus.machines, func(m *machine) bool {
		return slices.ContainsFunc(m.knows, func(s *said) bool { return d.isOf(s.Entry) })
	})
}

// onDisk reports whether a machine has s on its disk.
func (o *oracle) onDisk(s *said) bool {
	return slices.ContainsFunc(o.campus.machines, func(m *machine) bool { return slices.Contains(m.knows, s) })
}

// copied is all that the upstream has of the terminals' journals, read off its
// rows and understood without its help.
type copied struct {
	entries map[saying]journal.Entry
	orders  map[string]bool // top-ups that are in the books
	steps   int             // of clocks
	heads   map[journal.Epoch]journal.Head
}

// copied reads what the upstream has. Bytes that are no entry are left out:
// they have moved nothing, which the balances then show.
func (o *office) copied(ctx context.Context) (*copied, error) {
	c := &copied{
		entries: map[saying]journal.Entry{}, orders: map[string]bool{}, heads: map[journal.Epoch]journal.Head{},
	}
	err := o.books.Read(ctx, func(tx *sqldb.Tx) error {
		orders, err := sqldb.Texts(ctx, tx, `SELECT order_no FROM orders`)
		for _, no := range orders {
			c.orders[no] = true
		}
		if err != nil {
			return err
		}
		return sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
			var epoch, hash, body []byte
			var terminal string
			var seq int64
			if err := rows.Scan(&terminal, &epoch, &seq, &hash, &body); err != nil {
				return err
			}
			p := journal.Position{Terminal: terminal, Epoch: journal.Epoch(epoch), Seq: seq}
			before := c.heads[p.Epoch].Hash
			c.heads[p.Epoch] = journal.Head{Epoch: p.Epoch, Seq: seq, Hash: journal.Hash(hash)}
			c.add(p, body, &before)
			return nil
		}, `SELECT j.terminal, j.epoch, e.seq, e.hash, e.body
			FROM journal_entries e JOIN journals j ON j.id = e.journal ORDER BY j.id, e.seq`)
	})
	if err != nil {
		return nil, fmt.Errorf("read what the upstream has: %w", err)
	}
	return c, nil
}

// add takes an entry's bytes as they came under p, after the entry with the
// hash before; nil where nobody knows that.
func (c *copied) add(p journal.Position, body []byte, before *journal.Hash) {
	e, prev, err := journal.Decode(body)
	if err != nil || e.Position() != p || e.Check() != nil || before != nil && prev != *before {
		return
	}
	if e.Kind == journal.Carried {
		var inner struct {
			Body []byte `json:"body"`
		}
		if json.Unmarshal(e.Details, &inner) == nil {
			c.add(e.Origin, inner.Body, nil)
		}
		return
	}
	if e.Kind == journal.ClockStep {
		c.steps++
	}
	key := saying{e.Ref, e.Kind}
	if _, known := c.entries[key]; !known {
		c.entries[key] = e
	}
}

// balances returns what every account of the upstream holds, credits positive.
func (o *office) balances(ctx context.Context) (map[string]money.Fen, error) {
	all := map[string]money.Fen{}
	err := o.books.Read(ctx, func(tx *sqldb.Tx) error {
		return sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
			var account string
			var balance money.Fen
			err := rows.Scan(&account, &balance)
			all[account] = balance
			return err
		}, `SELECT account, balance_fen FROM accounts`)
	})
	if err != nil {
		return nil, fmt.Errorf("read balances: %w", err)
	}
	return all, nil
}
