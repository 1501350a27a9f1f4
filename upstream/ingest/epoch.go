package ingest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"quancun/beijing"
	"quancun/journal"
	"quancun/money"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// askFor returns why a journal cannot be opened yet: we do not have what we had
// acknowledged of the one before it, because these books were restored from a
// copy. The terminal is asked for that first, so that whoever has an epoch also
// has all that was acknowledged before it. So it is when the journal is closed: a
// clone may still have what the machine that has closed it had lost. Of a journal that a
// person has carried here only the loss is noted.
func (k *taking) askFor(fresh []item) error {
	e, names := openingOf(fresh)
	if !names {
		return nil
	}
	agreed, err := e.Before()
	if err != nil || e.Origin.Terminal != e.Terminal || e.Origin.Epoch != agreed.Epoch || agreed.Epoch == e.Epoch {
		return nil // openEpoch says what is wrong with it
	}
	before, err := readJournal(k.ctx, k.tx, e.Terminal, agreed.Epoch)
	if err != nil && !errors.Is(err, store.ErrNone) {
		return err
	}
	reason := journal.ErrGap
	if before.head.Seq >= agreed.Seq {
		ours, err := k.hashesOf(before.id, agreed.Seq, agreed.Seq)
		if err != nil || agreed.Hash == (journal.Hash{}) || agreed.Hash == ours[0] {
			return err
		}
		reason = journal.ErrFork // somebody else has pushed there meanwhile
	}
	if err := k.noteLost(e.Origin, before.head.Seq); err != nil || !k.asking {
		return err
	}
	return &journal.PushError{Reason: reason, Head: before.head}
}

// openingOf returns the opening among the entries of a journal which names what was
// acknowledged before it. That is the first of them, or where nothing was of the
// journal that it carries on, the opening of that one, which it has carried over: a
// terminal may have gone on twice before it was heard, as if its disk failed in between.
// One that has gone on because it cannot bring what we have asked for is not asked again.
func openingOf(fresh []item) (e journal.Entry, names bool) {
	opens := func(it *item) bool {
		return it.fault == nil && it.entry.Seq == 1 && it.entry.Kind == journal.EpochOpened
	}
	first := &fresh[0]
	for range fresh { // which may name each other in a circle
		if !opens(first) || first.entry.Origin.Seq > 0 {
			break
		}
		o, err := first.entry.Opening()
		if o.Reason == journal.ReasonRestored {
			break
		}
		i := slices.IndexFunc(fresh, func(it item) bool {
			in := it.innermost()
			return err == nil && opens(in) && in.entry.Epoch == o.Epoch && in.entry.Terminal == first.entry.Terminal
		})
		if i < 0 {
			break
		}
		first = fresh[i].innermost()
	}
	return first.entry, opens(first) && first.entry.Origin.Seq > 0
}

// openEpoch takes a journal that carries on another, which is closed by that.
func (k *taking) openEpoch(f *fact) error {
	e, d := f.entry, k.desk
	o, err := e.Opening()
	if err != nil || e.Seq != 1 || o.Epoch == e.Epoch ||
		e.Origin != (journal.Position{}) && (e.Origin.Terminal != d.terminal || e.Origin.Epoch != o.Epoch) {
		d.except(RuleBroken, e.Position(), "a journal cannot go on from %s like this", o.Epoch)
		return nil
	}
	origin, err := k.journalOf(o.Epoch)
	if err != nil {
		return err
	}
	own := f.journal == k.journal.id // otherwise it was never here, and a later one has carried it over
	_, err = k.tx.Exec(k.ctx, `UPDATE journals SET origin = ?, carrying = ? WHERE id = ? AND origin IS NULL`,
		origin, own, f.journal)
	if err == nil {
		_, err = k.tx.Exec(k.ctx, `UPDATE journals SET superseded_by = ? WHERE id = ? AND superseded_by IS NULL`,
			f.journal, origin)
	}
	if err != nil {
		return fmt.Errorf("open epoch: %w", err)
	}
	if own {
		k.journal.origin, k.journal.carrying, k.opening = origin, true, &o
	}
	cash, open, err := k.drawers(f, origin)
	if err != nil {
		return err
	}
	line := exception(EpochOpened, e.Position(), fmt.Sprintf("%s: %s ended with %d, we had acknowledged %d%s",
		o.Reason, o.Epoch, o.Head, e.Origin.Seq, cash))
	if open {
		line.NextStep += "; of two, switch off the one without the cash before it counts: " +
			`docs/OPERATING.md, "A till that is there twice"`
	}
	d.exceptions = append(d.exceptions, line)
	if o.Gone > 0 {
		d.except(Gone, e.Position(), "%d entries that we had acknowledged, and have lost", o.Gone)
	}
	k.releases = append(k.releases, release{o.Epoch, o.Head}) // no number above it was ever given
	return nil
}

// drawers says in which journals a shift is open and its cash expected, once one carries
// on another: the cash is in one drawer, and each of them may count it. It is as far as
// we have them, and "" where none has any.
func (k *taking) drawers(f *fact, origin int64) (text string, open bool, err error) {
	d := k.desk
	this := drawer{name: "this one", Tally: journal.NewTally(d.terminal)}
	begins := []item{*f.item}
	if f.journal == k.journal.id {
		begins = k.push.items
	}
	for i := range begins {
		if i > 0 && begins[i].inner == nil {
			break // it goes on with entries of its own
		}
		this.add(&begins[i])
	}
	var all []drawer
	var till bool
	err = k.tx.QueryRow(k.ctx, `SELECT EXISTS (SELECT 1 FROM accounts WHERE account = ?)`,
		store.Account(journal.TillAccount(d.terminal))).Scan(&till)
	if err == nil && till { // otherwise the journals are long, and have had no cash
		all, err = k.drawersBeside(f, origin)
	}
	if err != nil {
		return "", false, fmt.Errorf("read drawers: %w", err)
	}
	some := false
	for _, in := range append(all, this) {
		_, is := in.Opened()
		open, some = open || is, some || is || in.lacks != "" || in.till() != 0
		text += "; " + in.String()
	}
	if !some {
		return "", false, nil
	}
	return text, open, nil
}

// drawersBeside returns what the journal that one carries on has in its drawer, and what
// others have that carry it on too: clones of the machine, or one that was restored twice.
func (k *taking) drawersBeside(f *fact, origin int64) (all []drawer, err error) {
	var heads []fact // the next entry of each journal
	err = sqldb.Each(k.ctx, k.tx, func(rows *sql.Rows) error {
		var epoch []byte
		next := fact{item: &item{Position: journal.Position{Terminal: k.desk.terminal}}}
		err := rows.Scan(&next.journal, &epoch, &next.Seq)
		copy(next.Epoch[:], epoch)
		heads = append(heads, next)
		return err
	}, `SELECT id, epoch, head_seq + 1 FROM journals WHERE (id = ?1 OR origin = ?1) AND id <> ?2 ORDER BY id`,
		origin, f.journal)
	for i := 0; i < len(heads) && err == nil; i++ {
		next := &heads[i]
		in := drawer{name: fmt.Sprintf("%s to number %d", next.Epoch, next.Seq-1)}
		if next.journal != origin {
			in.name += ", which carries on the same"
		}
		from, whole, err := k.desk.lastZ(next)
		if err != nil {
			return nil, err
		}
		switch {
		case next.Seq == 1:
			in.lacks = "nothing of it is here"
		case !whole:
			in.lacks = "entries are missing"
		}
		if in.Tally, in.unread, err = k.desk.tally(next, from); err != nil {
			return nil, err
		}
		all = append(all, in)
	}
	return all, err
}

// drawer is what a journal says of a shift and its cash.
type drawer struct {
	*journal.Tally
	name   string
	unread int    // entries that say nothing to us
	lacks  string // why nobody can tell; "" where one can
}

func (d *drawer) add(it *item) {
	if it.fault != nil {
		d.unread++
	}
	it.addTo(d.Tally)
}

func (d *drawer) till() money.Fen { return d.Report(journal.ShiftReport).Till }

// String says it for the inbox.
func (d *drawer) String() string {
	if d.lacks != "" {
		return d.name + ": " + d.lacks + ", what is in the drawer is not known"
	}
	text := d.name + ": no shift is open"
	if e, open := d.Opened(); open {
		since := e.At.In(beijing.Zone).Format(time.DateTime)
		text = fmt.Sprintf("%s: a shift is open since %s (%s)", d.name, since, e.Operator)
	}
	text += fmt.Sprintf(", %s in the drawer", d.till())
	if d.unread > 0 {
		text += fmt.Sprintf(" without %d entries that cannot be read", d.unread)
	}
	return text
}

// endCarrying notes that a new epoch has brought over all that it will. What the
// terminal has announced and does not know any more is in doubt: nobody will end
// it.
func (k *taking) endCarrying(f *fact) error {
	if !k.journal.carrying || f.journal != k.journal.id {
		return nil
	}
	k.journal.carrying = false
	_, err := k.tx.Exec(k.ctx, `UPDATE journals SET carrying = false WHERE id = ?`, k.journal.id)
	if err != nil {
		return fmt.Errorf("end carrying: %w", err)
	}
	if err := k.compareDrawer(f); err != nil {
		return err
	}
	return k.claimLost()
}

// compareDrawer holds what a new journal has in its drawer against the books, once all
// that it carries over is taken. A machine that was put back to an image of before does
// not know of cash that it has taken since: its next count would make a surplus of it.
func (k *taking) compareDrawer(f *fact) error {
	if k.opening == nil {
		var body []byte
		err := k.tx.QueryRow(k.ctx, `SELECT body FROM journal_entries WHERE journal = ? AND seq = 1`, k.journal.id).
			Scan(&body)
		if err != nil {
			return fmt.Errorf("read opening: %w", err)
		}
		e, _, err := journal.Decode(body)
		if err != nil {
			return fmt.Errorf("read opening: %w", err)
		}
		o, err := e.Opening()
		if err != nil {
			return nil // openEpoch has said what is wrong with it
		}
		k.opening = &o
	}
	return k.noteDrawer(f.Position, k.opening.Accounts[journal.TillAccount(k.desk.terminal)])
}

// noteDrawer puts into the inbox how much more or less the books have in a terminal's
// drawer than the terminal knows of. What is being booked counts.
func (k *taking) noteDrawer(at journal.Position, known money.Fen) error {
	till := store.Account(journal.TillAccount(k.desk.terminal))
	var has money.Fen
	err := k.tx.QueryRow(k.ctx, `SELECT coalesce((SELECT balance_fen FROM accounts WHERE account = ?), 0)`, till).
		Scan(&has)
	if err != nil {
		return fmt.Errorf("read drawer: %w", err)
	}
	for _, b := range k.desk.bookings {
		has += got(b, till)
	}
	// What a till has is below zero in the books, as all that the school owns.
	detail := fmt.Sprintf("the books have %s in the drawer, and the terminal %s", -has, -known)
	line := standing(exception(DrawerDiffers, at, detail), till, has-known)
	open, err := store.ReadExceptions(k.ctx, k.tx, `WHERE kind = ? AND ref = ? AND closed_ms IS NULL`,
		line.Kind, line.Ref)
	for _, old := range open { // the one at most, of when the terminal was parted with before
		if old.Amount == line.Amount {
			return err
		}
		err = k.g.books.CloseException(k.ctx, k.tx, old.ID, 0, "the books have other cash in the drawer by now")
	}
	if has != known {
		k.desk.exceptions = append(k.desk.exceptions, line)
	}
	return err
}

// claimLost opens claims of intents of other epochs that this one has not
// brought over. A terminal brings all that it knows to be open.
func (k *taking) claimLost() error {
	d := k.desk
	refs, err := sqldb.Texts(k.ctx, k.tx, `
		SELECT ref FROM intents WHERE terminal = ? AND journal <> ? AND NOT claimed ORDER BY journal, seq`,
		d.terminal, k.journal.id)
	if err != nil {
		return fmt.Errorf("read lost intents: %w", err)
	}
	if err := d.readIntents(refs); err != nil {
		return err
	}
	if err := d.meet(refs); err != nil {
		return err
	}
	for _, ref := range refs {
		in := d.intents[ref]
		known, err := k.knows(in)
		if err != nil {
			return err
		}
		if known || in.claimed || in.ended {
			continue
		}
		claim := k.desk.claimLoad
		if in.Kind == journal.SaleIntent {
			claim = func(in *intent) error { return d.claimSale(in, nil) }
		}
		if err := claim(in); err != nil {
			return err
		}
	}
	return nil
}

// Part ends what a terminal leaves that has been shut out and sends nothing any
// more: no journal will pass the numbers under which money is held, and nobody
// ends what it has announced, which is in doubt. It may be called again. As long
// as it has not ended, Verify tells of what is held.
func (g *Ingest) Part(ctx context.Context, t store.Terminal) error {
	err := g.books.Write(ctx, func(tx *sqldb.Tx) error {
		k := &taking{
			ctx: context.WithoutCancel(ctx), g: g, tx: tx, push: &push{terminal: t}, alone: true, now: g.books.Now(),
		}
		k.desk = newDesk(k.ctx, g, tx, t.ID)
		k.desk.cards = map[string]card{}
		if err := lockTerminal(k.ctx, tx, t.ID, k.findHolds()); err != nil {
			return err
		}
		if err := k.claimLost(); err != nil {
			return err
		}
		if err := k.noteDrawer(journal.Position{Terminal: t.ID}, 0); err != nil {
			return err
		}
		if err := k.passHolds(nil); err != nil {
			return err
		}
		return k.desk.write()
	})
	if err != nil {
		return fmt.Errorf("part with %s: %w", t.ID, err)
	}
	return nil
}

// knows reports whether this journal has brought an intent over: that very one,
// and not what a clone has written under its number.
func (k *taking) knows(in *intent) (known bool, err error) {
	hash := journal.HashOf(in.body)
	err = k.tx.QueryRow(k.ctx, `
		SELECT count(*) > 0 FROM carried_entries WHERE journal = ? AND seq = ? AND hash = ? AND by_journal = ?`,
		in.journal, in.Seq, hash[:], k.journal.id).Scan(&known)
	if err != nil {
		return false, fmt.Errorf("read carried entry: %w", err)
	}
	return known, nil
}

// meet reads and locks the cards of intents that no entry of this push names, and
// keeps others away from claims on those that have no row.
func (d *desk) meet(refs []string) error {
	nos := map[string]bool{}
	for _, ref := range refs {
		no := d.intents[ref].Card
		if _, known := d.cards[no]; !known {
			nos[no] = true
		}
	}
	more, err := readCards(d.ctx, d.tx, names(nos))
	if err != nil {
		return err
	}
	hot := d.hot
	var known []string
	for no, c := range more {
		d.cards[no] = c
		known = append(known, no)
	}
	err = d.lockCards(known)
	for no, s := range hot {
		d.hot[no] = s
	}
	maps.DeleteFunc(nos, func(no string, _ bool) bool { _, known := d.cards[no]; return known })
	return errors.Join(err, d.lockStrangers(nil, names(nos)))
}

// explain notes a new journal that does not say what it carries on, although
// the terminal has another. What that has announced is in doubt.
func (k *taking) explain(first *item) error {
	if k.journal.head.Seq > 0 || first.entry.Kind == journal.EpochOpened {
		return nil
	}
	var other sql.NullString
	err := k.tx.QueryRow(k.ctx, `
		SELECT max('has ' || head_seq || ' entries in another') FROM journals
		WHERE terminal = ? AND id <> ? AND head_seq > 0 AND superseded_by IS NULL`,
		k.push.terminal.ID, k.journal.id).Scan(&other)
	if err != nil {
		return fmt.Errorf("read journals: %w", err)
	}
	if !other.Valid {
		return nil
	}
	k.desk.except(EpochUnexplained, first.Position, "the terminal %s", other.String)
	if err := k.noteDrawer(first.Position, 0); err != nil {
		return err
	}
	return k.claimLost()
}
