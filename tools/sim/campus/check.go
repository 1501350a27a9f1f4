package campus

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"quancun/journal"
	"quancun/lab/disk"
	"quancun/money"
	"quancun/pboc"
	"quancun/tools/sim/auditor"
	"quancun/tools/sim/virtual"
	"quancun/tools/sim/works"
	"quancun/upstream/bath"
	"quancun/upstream/biller"
	"quancun/upstream/centre"
	"quancun/upstream/clearing"
	"quancun/upstream/lost"
	"quancun/upstream/payment"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// heal ends all faults. From here on everything works, and what is not right in
// the end will never be.
func (c *Campus) heal(ctx context.Context) {
	c.note("all faults are mended")
	c.healed = true
	if c.office.down() {
		c.office.start(ctx)
	}
	c.payments.Calm = true
	c.network.Mend()
	c.meters.Mend()
	c.baths.Mend()
	for _, m := range c.machines {
		m.line.flush() // or a loss would be reported after its card was found
	}
	for _, p := range c.cards {
		p.chip.Mend()
		p.hot = true // whatever the books say now
		c.setHot(ctx, p, false)
	}
	for _, m := range c.machines {
		m.watch.Off = 0
		m.disk.Resize(0)
		m.line.dead, m.line.weak = false, 0
		if m.stopIfFailed(ctx); !m.on() {
			m.restart(ctx)
		}
		if !m.on() {
			c.wrong("%s does not start", m.name)
			return
		}
	}
}

// settle lets everything come to its end, now that nothing fails any more: what
// is open at machines and at the upstream, and then every card at a kiosk.
func (c *Campus) settle(ctx context.Context) {
	c.rest(ctx)
	c.network.Finish()
	c.meters.Finish()
	c.office.attend(ctx)
	c.office.decide(ctx)
	c.bringLogs(ctx)
	for _, h := range c.holders {
		if h.card.used && c.broken == nil {
			c.acting = virtual.Pick(c.dice, c.machines)
			c.acting.see(ctx, h)
			c.inspect(ctx)
		}
	}
	for _, m := range c.machines {
		m.count(ctx)
		m.passHolds(ctx)
	}
	c.rest(ctx)
	c.reconcile(ctx)
	for _, m := range c.machines {
		c.acting = m
		c.inspect(ctx)
		if w, err := m.book.Waiting(ctx); err != nil || w.Count > 0 {
			c.wrong("%s has %d entries that do not go up: %v", m.name, w.Count, err)
		}
		c.judgeOpen(ctx, m)
	}
}

// judgeOpen checks that a machine has come to know of every request what it came to.
func (c *Campus) judgeOpen(ctx context.Context, m *machine) {
	open, err := m.book.OpenItems(ctx)
	if err != nil {
		c.wrong("%s cannot say what is open: %v", m.name, err)
	}
	for _, e := range open {
		switch e.Kind {
		case journal.RequestIntent, journal.PaymentIntent, journal.ReturnIntent:
			c.wrong("%s has not heard what %s %s came to", m.name, e.Kind, e.Ref)
		}
	}
}

// passHolds has business go on until the journal is past all numbers under which
// money is held. A disk that was put back may have left some ahead of it.
func (m *machine) passHolds(ctx context.Context) {
	for m.campus.broken == nil {
		epoch, next, err := m.book.Next(ctx)
		if err != nil || next > m.campus.office.auditor.Named(epoch) {
			return
		}
		m.count(ctx)
	}
}

// rest lets time pass in which nobody does anything, until nothing is left to do.
func (c *Campus) rest(ctx context.Context) {
	for n := range 6 {
		c.world.Pass(time.Hour)
		c.office.attend(ctx)
		busy := n == 0
		for _, m := range c.machines {
			c.acting = m
			if n == 0 || m.busy(ctx) {
				busy = true
				m.round(ctx)
			}
		}
		if !busy {
			return
		}
	}
}

// busy reports whether a machine has something to do by itself.
func (m *machine) busy(ctx context.Context) bool {
	w, err := m.book.Waiting(ctx)
	open, err2 := m.book.OpenItems(ctx)
	return err != nil || err2 != nil || w.Count > 0 || len(open) > 0
}

// expected is what the accounts must hold by what really happened, as far as
// anybody can know of it: a disk that was lost before anybody else had a copy
// takes its secrets with it.
func (c *Campus) expected(up *copied) map[string]money.Fen {
	want := map[string]money.Fen{}
	move := func(from, to string, f money.Fen) {
		want[from] -= f
		want[to] += f
	}
	for _, h := range c.holders {
		want["holder/"+h.account] += h.opening
	}
	for _, o := range c.orders {
		if up.orders[o.no] { // otherwise the books are older than it, and the channel's bill tells
			move("channel/alipay", "holder/"+o.holder.account, c.payments.Paid(o.no))
		}
	}
	for _, b := range up.bills {
		if b.state == biller.Paid {
			move(b.account, "biller/"+b.biller, b.amount)
		}
	}
	for _, r := range up.baths {
		move(r.Account, "merchant/"+works.BathMerchant, r.Captured) // see judgeBaths
	}
	for _, d := range c.oracle.debits {
		if s, known := d.intent(up); known {
			move("holder/"+d.card.holder.account, "merchant/"+s.Merchant, d.amount)
		}
	}
	for _, e := range up.entries {
		for _, p := range e.Postings {
			if e.Kind.Intent() == 0 && e.Kind != journal.Evidence {
				want[c.exploded(e, p.Account)] += p.Amount
			}
		}
	}
	return want
}

// exploded returns the upstream's account for one of a terminal's.
func (c *Campus) exploded(e journal.Entry, a journal.Account) string {
	if a != journal.Holder {
		return string(a)
	}
	if e.Account != "" {
		return "holder/" + e.Account
	}
	for _, p := range c.cards {
		if p.no == e.Card {
			return "holder/" + p.holder.account
		}
	}
	return "suspense/" + e.Terminal
}

// intent finds the announcement of a debit among what the upstream has: the
// card's counter names it, and no two debits of a card have the same.
func (d *debit) intent(up *copied) (journal.Entry, bool) {
	for _, e := range up.entries {
		if d.isOf(e) {
			return e, true
		}
	}
	return journal.Entry{}, false
}

// isOf reports whether e announces the debit.
func (d *debit) isOf(e journal.Entry) bool {
	return e.Kind == journal.SaleIntent && e.Card == d.card.no && e.Purse != nil && e.Purse.Counter == d.counter &&
		e.Amount == d.amount
}

// judge holds the books against the world, once everything is over.
func (c *Campus) judge(ctx context.Context) error {
	if err := c.verify(ctx); err != nil {
		return err
	}
	up, err := c.office.copied(ctx)
	if err != nil {
		return err
	}
	c.judgeWords(up)
	c.judgeBills(up)
	c.judgeBaths(up)
	c.judgeBack(up)
	c.judgeRequests(up)
	if c.searched {
		if err := errors.Join(c.judgeSecrets(), c.judgeArchives(ctx)); err != nil {
			return err
		}
	}
	c.countEntries(up)
	if err := errors.Join(c.countRows(ctx), c.judgeRows(ctx)); err != nil {
		return err
	}
	have, err := c.office.balances(ctx)
	if err != nil {
		return err
	}
	want := c.expected(up)
	err = c.decisions(ctx, func(from, to string, f money.Fen) {
		want[from] -= f
		want[to] += f
	})
	if err != nil {
		return err
	}
	for _, a := range slices.Sorted(maps.Keys(have)) {
		if a == "opening/balances" {
			continue
		}
		if have[a] != want[a] {
			c.wrong("%s holds %s, and should hold %s", a, have[a], want[a])
		}
		delete(want, a)
	}
	for _, a := range slices.Sorted(maps.Keys(want)) {
		if want[a] != 0 {
			c.wrong("%s should hold %s, and there is none", a, want[a])
		}
	}
	return nil
}

// verify has every program check its own files.
func (c *Campus) verify(ctx context.Context) error {
	broken, err := c.office.books.Verify(ctx)
	more, err2 := c.office.journal.Verify(ctx)
	acts, err3 := centre.New(c.office.books).Verify(ctx)
	bills, err4 := biller.Verify(ctx, c.office.books)
	codes, err8 := payment.Verify(ctx, c.office.books)
	days, err7 := clearing.New(c.office.books).Verify(ctx)
	baths, err5 := bath.Verify(ctx, c.office.books)
	losses, err6 := lost.Verify(ctx, c.office.books)
	for _, b := range slices.Concat(broken, more, acts, bills, baths, losses, days, codes) {
		c.wrong("books: %s", b)
	}
	for _, m := range c.machines {
		if _, wrong := m.book.Verify(ctx); wrong != nil {
			c.wrong("journal of %s: %v", m.name, wrong)
		}
	}
	return errors.Join(err, err2, err3, err4, err5, err6, err7, err8, c.judgeActs(ctx))
}

// judgeActs checks that what clerks have written down is what was done, and all
// of it.
func (c *Campus) judgeActs(ctx context.Context) error {
	untold, err := centre.New(c.office.books).Untold(ctx)
	for _, u := range untold {
		s := c.oracle.said[saying{u.Ref, journal.CentreIntent}]
		if s != nil && s.sure && !s.excused {
			c.wrong("act %s of %s was not told to its end", u.Ref, u.Terminal)
		}
	}
	if c.restored { // acts are lost with the books
		return err
	}
	return errors.Join(err, c.office.books.Read(ctx, func(tx *sqldb.Tx) error {
		lines, err := sqldb.Texts(ctx, tx,
			`SELECT ref || ' ' || detail FROM exceptions WHERE kind IN ('act missing', 'act differs')`)
		for _, l := range lines {
			c.wrong("an act is not as it was written down: %s", l)
		}
		return err
	}))
}

// judgeSecrets looks for what must be on no disk and in no log (M9).
func (c *Campus) judgeSecrets() error {
	secrets := []auditor.Secret{
		{Name: "a PIN", Value: []byte(works.PIN)}, {Name: "the master key of purchases", Value: c.works.Purchase[:]},
		{Name: "the master key of baths", Value: c.works.Baths[:]},
	}
	own := c.works.Keys.CardKeys(c.cards[0].factor)
	for _, k := range []pboc.Key{own.DLK, own.DPK, own.DTK, own.DRPK} {
		secrets = append(secrets, auditor.Secret{Name: "a card's key", Value: k[:]})
	}
	disks := map[string]*disk.Disk{"the upstream": c.office.disk}
	for _, m := range c.machines {
		secrets = append(secrets, auditor.Secret{Name: "the key of " + m.name, Value: m.station.Key.Seed()})
		disks[m.name] = m.disk
	}
	for name, d := range disks {
		for _, path := range d.Files() {
			content, err := d.ReadFile(path)
			if err != nil {
				return err
			}
			for _, s := range auditor.Leaks(content, secrets) {
				c.wrong("%s is in %s of %s", s, path, name)
			}
		}
	}
	for _, s := range auditor.Leaks(c.logged.Bytes(), secrets) {
		c.wrong("%s is in a log", s)
	}
	return nil
}

// judgeWords checks that what was promised to be on a disk has arrived, and that
// nothing has that nobody said.
func (c *Campus) judgeWords(up *copied) {
	for _, s := range c.oracle.order {
		key := saying{s.Ref, s.Kind}
		if _, arrived := up.entries[key]; !arrived && s.sure && !s.excused {
			c.wrong("%s %q of %s, entry %d, was on the disk, and is gone", s.Kind, s.Ref, s.Terminal, s.Seq)
		}
	}
	for key, e := range up.entries {
		if s := c.oracle.said[key]; s == nil && !e.Kind.LedgerOnly() && !e.Kind.IsDoubt() && !forged(e) {
			c.wrong("%s %q is upstream, and nobody said it", e.Kind, e.Ref)
		}
	}
	for _, o := range c.orders {
		if !up.orders[o.no] && !c.restored {
			c.wrong("order %s was shown, and is not in the books", o.no)
		}
	}
	for _, d := range c.oracle.debits {
		if _, known := d.intent(up); !known && !d.excused {
			c.wrong("chip %s paid %s at counter %d, and no journal says so", d.card.name(), d.amount, d.counter)
		}
	}
}

// rows are what only the upstream's own rows tell at the end of a story: which
// of its rare branches it has taken.
var rows = []struct {
	branch Branch
	count  string
}{
	{branchHoldCaptured, `SELECT count(*) FROM holds WHERE state = 3`},
	{branchHoldReleased, `SELECT count(*) FROM holds WHERE state = 4`},
	{branchByCounter, `SELECT count(*) FROM claims WHERE evidence LIKE 'counter%'`},
	{branchByRival, `SELECT count(*) FROM claims WHERE state = 3 AND evidence NOT LIKE 'terminal%'`},
	{branchOverdrawn, `SELECT count(*) FROM exceptions WHERE kind = 'overdrawn'`},
	{branchRewound, `SELECT count(*) FROM exceptions WHERE kind = 'epoch opened' AND detail LIKE 'rewound%'`},
	{branchForked, `SELECT count(*) FROM exceptions WHERE kind = 'epoch opened' AND detail LIKE 'forked%'`},
	{branchReopened, `SELECT count(*) FROM exceptions WHERE kind = 'epoch opened' AND detail LIKE 'recovered%'`},
	{branchBillPaid, `SELECT count(*) FROM bills WHERE state = 4`},
	{branchBillDown, `SELECT count(*) FROM bills WHERE cause = 2`},
	{branchBillEnded, `SELECT count(*) FROM bills WHERE cause = 3`},
	{branchBillAbsent, `SELECT count(*) FROM bills WHERE cause = 4`},
	{branchBillLate, `SELECT count(*) FROM bills WHERE late`},
	{branchBathReserved, `SELECT count(*) FROM bath_reservations`},
	{branchBathGivenUp, `SELECT count(*) FROM bath_acts WHERE kind = 1`},
	{branchBathNoShow, `SELECT count(*) FROM bath_reservations WHERE state = 4`},
	{branchBathStub, `SELECT count(*) FROM bath_reservations WHERE stub_fen IS NOT NULL`},
	{branchBathElsewhere, `SELECT count(*) FROM bath_reservations WHERE stub_terminal <> terminal`},
	{branchBathTooSoon, `SELECT count(*) FROM exceptions WHERE kind = 'bath report before its time'`},
	{branchBathLog, `SELECT count(*) FROM bath_reservations WHERE state = 3 AND stub_fen IS NULL`},
	{branchBathStubLate, `SELECT count(*) FROM bath_acts a JOIN bath_reservations r ON r.ref = a.reservation
		WHERE a.kind = 2 AND a.tries IS NULL AND r.stub_fen IS NULL`},
	{branchBathBackTwice, `SELECT count(*) FROM exceptions WHERE kind = 'bath place given twice'`},
	{branchBathLate, `SELECT count(*) FROM exceptions WHERE kind = 'bath use after its release'`},
	{branchCarried, `SELECT count(*) FROM carried_entries`},
}

// countRows adds up what the rows tell.
func (c *Campus) countRows(ctx context.Context) error {
	return c.office.books.Read(ctx, func(tx *sqldb.Tx) error {
		for _, r := range rows {
			var n int
			if err := tx.QueryRow(ctx, r.count).Scan(&n); err != nil {
				return fmt.Errorf("count %s: %w", r.branch, err)
			}
			c.covered[r.branch] += n
		}
		return nil
	})
}

// countEntries adds up what the journals tell of their clocks.
func (c *Campus) countEntries(up *copied) {
	c.covered[branchClockStep] += up.steps
	for _, e := range up.entries {
		if e.Clock == journal.ClockUnsure {
			c.cover(branchClockUnsure)
		}
	}
}

// judgeRows checks what has to be at rest in the upstream's rows: a card's mirror
// is what its chip holds, and no hold is left on any account.
func (c *Campus) judgeRows(ctx context.Context) error {
	return c.office.books.Read(ctx, func(tx *sqldb.Tx) error {
		mirrors := map[string]money.Fen{}
		err := sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
			var no string
			var mirror money.Fen
			err := rows.Scan(&no, &mirror)
			mirrors[no] = mirror
			return err
		}, `SELECT card_no, mirror_fen FROM cards`)
		if err != nil {
			return err
		}
		for _, p := range c.cards {
			if mirrors[p.no] != p.balance && !c.restored && !c.lost(p) {
				c.wrong("chip %s holds %s, its mirror %s", p.name(), p.balance, mirrors[p.no])
			}
		}
		held, err := sqldb.Texts(ctx, tx, `SELECT terminal || '/' || seq FROM holds WHERE state <= 2`)
		if err != nil {
			return err
		}
		if len(held) > 0 {
			c.wrong("holds are left: %q", held)
		}
		var open int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM claims WHERE state = 1`).Scan(&open); err != nil {
			return err
		}
		if open > 0 {
			c.wrong("%d claims are open, and every card was seen", open)
		}
		return nil
	})
}

// judgeSpending holds what a holder has spent too much against the bound of the
// design, section 2: what the purse held when it was last level with the account,
// and what the virtual card may spend in the dark, less the card reserve. What clerks
// take without asking comes on top, and what machines have sold whose journal is in
// two places. What is in suspense is not spent yet.
func (c *Campus) judgeSpending(h *holder) {
	a := store.HolderAccount(h.account)
	p := h.card
	p.level = max(p.level, c.office.auditor.Mirror(p.no))
	left := c.office.auditor.Balance(a) + c.office.auditor.Doubt(a)
	if left >= 0 || c.restored {
		return
	}
	bound := max(0, p.level+h.dark-c.reserve) + h.clerks + c.office.auditor.Late(string(a))
	for station := range c.troubled {
		bound += h.sold[station]
	}
	c.cover(branchOverspent)
	if -left > bound {
		c.wrong("%s is overspent by %s, and may be by %s", a, -left, bound)
	}
}

// lost reports whether a debit of a card was only in a journal that is gone.
func (c *Campus) lost(p *plastic) bool {
	for _, d := range c.oracle.debits {
		if d.card == p && d.excused {
			return true
		}
	}
	return false
}
