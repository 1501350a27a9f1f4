package campus

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"quancun/journal"
	"quancun/ledger"
	"quancun/money"
	"quancun/pboc"
	"quancun/tools/referee/judge"
	"quancun/tools/sim/auditor"
	"quancun/tools/sim/outside"
	"quancun/upstream/biller"
	"quancun/upstream/biller/setup"
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
	return m.appendAt(ctx, e, journal.Position{})
}

func (m *machine) appendAt(ctx context.Context, e journal.Entry, at journal.Position) (journal.Entry, error) {
	written, err := m.book.AppendAt(ctx, e, at.Epoch, at.Seq)
	if errors.Is(err, ledger.ErrFull) {
		m.campus.cover(branchDiskFull)
	}
	switch {
	case err == nil:
		m.campus.oracle.promised(m, written)
		if e.Kind == journal.RequestEnd {
			m.ended(written)
		}
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
	bills   map[string]billed
	baths   []auditor.Reservation

	requests map[string]map[string]bool // that were done by the books, by service
	listed   map[string]bool            // positions of entries that people look at

	steps int // of clocks
	heads map[journal.Epoch]journal.Head
}

// copied reads what the upstream has. Bytes that are no entry are left out:
// they have moved nothing, which the balances then show.
func (o *office) copied(ctx context.Context) (*copied, error) {
	c := &copied{
		entries: map[saying]journal.Entry{}, orders: map[string]bool{}, heads: map[journal.Epoch]journal.Head{},
		bills: map[string]billed{}, requests: map[string]map[string]bool{}, listed: map[string]bool{},
	}
	err := o.books.Read(ctx, func(tx *sqldb.Tx) error {
		orders, err := sqldb.Texts(ctx, tx, `SELECT order_no FROM orders`)
		for _, no := range orders {
			c.orders[no] = true
		}
		if err := errors.Join(err, c.readBills(ctx, tx), c.readRequests(ctx, tx)); err != nil {
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

// done are the rows of what holders have asked for and was done, by service.
var done = map[string]string{
	"bath":        `SELECT ref FROM bath_reservations`,
	"bath_cancel": `SELECT ref FROM bath_acts WHERE kind = 1`,
	"bath_settle": `SELECT ref FROM bath_acts WHERE kind = 2 AND tries IS NULL`,
	journal.Loss:  `SELECT ref FROM lost_reports`,
}

func (c *copied) readRequests(ctx context.Context, tx *sqldb.Tx) (err error) {
	if c.baths, err = auditor.Reservations(ctx, tx); err != nil {
		return err
	}
	for service, query := range done {
		refs, err := sqldb.Texts(ctx, tx, query)
		if err != nil {
			return err
		}
		c.requests[service] = map[string]bool{}
		for _, ref := range refs {
			c.requests[service][ref] = true
		}
	}
	at, err := sqldb.Texts(ctx, tx, `SELECT ref FROM exceptions WHERE kind IN ('request missing', 'request differs')`)
	for _, ref := range at {
		c.listed[ref] = true
	}
	return err
}

// judgeArchives has the referee read every machine's journal, by the document alone.
func (c *Campus) judgeArchives(ctx context.Context) error {
	for _, m := range c.machines {
		archive, err := m.archive(ctx)
		if err != nil {
			return fmt.Errorf("archive of %s: %w", m.name, err)
		}
		v, err := judge.Judge(bufio.NewReader(bytes.NewReader(archive)), c.works.CampusKey())
		if err != nil {
			c.wrong("the referee takes the journal of %s for wrong: %v", m.name, err)
			continue
		}
		for account, has := range v.Totals {
			if here, err := m.book.Balance(ctx, journal.Account(account)); err != nil || int64(here) != has {
				c.wrong("%s has %s on %s, and the referee %d fen: %v", m.name, here, account, has, err)
			}
		}
	}
	return nil
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

// billed is a bill as it is in the books.
type billed struct {
	account, biller string
	amount          money.Fen
	state           biller.State
	listed          bool // people have it to decide
}

func (c *copied) readBills(ctx context.Context, tx *sqldb.Tx) error {
	return sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		var no string
		var b billed
		err := rows.Scan(&no, &b.account, &b.biller, &b.amount, &b.state, &b.listed)
		c.bills[no] = b
		return err
	}, `SELECT order_no, account, biller, amount_fen, state, EXISTS (
			SELECT 1 FROM exceptions x WHERE x.kind = ? AND x.ref = order_no AND x.closed_ms IS NULL) FROM bills`,
		billTooLate)
}

func (c *Campus) biller(name string) *outside.Biller {
	if name == setup.NetworkName {
		return c.network.Biller
	}
	return c.meters
}

// judgeBills holds bills against the books of the billers themselves (M5): what is
// booked there is paid once, or people know of it, and nothing else is paid.
func (c *Campus) judgeBills(up *copied) {
	for _, no := range slices.Sorted(maps.Keys(up.bills)) {
		b := up.bills[no]
		booked, told := c.biller(b.biller).Booked(no), c.biller(b.biller).Told(no)
		switch {
		case b.state.Open():
			c.wrong("bill %s is open in the end, in state %d", no, b.state)
		case b.state == biller.Paid && booked == 0:
			c.wrong("bill %s of %s is paid, and %s has not booked it", no, b.amount, b.biller)
		case c.restored: // what was told since the backup is in the biller's books only
		case b.state == biller.Released && booked > 0 && !b.listed:
			c.wrong("bill %s of %s is not paid, and %s has booked it", no, b.amount, b.biller)
		case told > 1 || booked > b.amount:
			c.wrong("bill %s of %s was told %d times, and %s is booked", no, b.amount, told, booked)
		}
	}
	for _, name := range []string{setup.NetworkName, setup.ElectricityName} {
		for _, no := range slices.Sorted(slices.Values(c.biller(name).Orders())) {
			if _, known := up.bills[no]; !known && !c.restored {
				c.wrong("%s has booked %s, and it is not in the books", name, no)
			}
		}
	}
	for key, e := range up.entries {
		b, known := up.bills[key.ref]
		done := key.kind == journal.RequestEnd && e.Outcome == journal.Done
		if done && known && !c.restored && b.state != biller.Paid {
			c.wrong("the holder was told that bill %s is paid, and it is in state %d", e.Ref, b.state)
		}
	}
}
