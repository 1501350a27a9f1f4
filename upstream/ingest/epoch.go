package ingest

import (
	"database/sql"
	"fmt"

	"quancun/journal"
	"quancun/upstream/store/sqldb"
)

// openEpoch takes a journal that carries on another, which is closed by that.
func (k *taking) openEpoch(f *fact) error {
	e, d := f.entry, k.desk
	o, err := e.Opening()
	if err != nil || f.journal != k.journal.id || e.Seq != 1 || o.Epoch == e.Epoch ||
		e.Origin != (journal.Position{}) && (e.Origin.Terminal != d.terminal || e.Origin.Epoch != o.Epoch) {
		d.except(RuleBroken, e.Position(), "a journal cannot go on from %s like this", o.Epoch)
		return nil
	}
	origin, err := k.journalOf(o.Epoch)
	if err != nil {
		return err
	}
	_, err = k.tx.Exec(k.ctx, `UPDATE journals SET origin = ?, carrying = true WHERE id = ?`, origin, k.journal.id)
	if err == nil {
		_, err = k.tx.Exec(k.ctx, `UPDATE journals SET superseded_by = ? WHERE id = ? AND superseded_by IS NULL`,
			k.journal.id, origin)
	}
	if err != nil {
		return fmt.Errorf("open epoch: %w", err)
	}
	k.journal.origin, k.journal.carrying = origin, true
	d.except(EpochOpened, e.Position(), "%s: %s ended with %d, we had acknowledged %d", o.Reason, o.Epoch, o.Head,
		e.Origin.Seq)
	k.releases = append(k.releases, release{o.Epoch, o.Head}) // no number above it was ever given
	return nil
}

// endCarrying notes that a new epoch has brought over all that it will. What is
// held under numbers of the old one that nobody has brought is free, and what
// the terminal has announced and does not know any more is in doubt: nobody
// will end it.
func (k *taking) endCarrying(f *fact) error {
	if !k.journal.carrying || f.journal != k.journal.id {
		return nil
	}
	k.journal.carrying = false
	_, err := k.tx.Exec(k.ctx, `UPDATE journals SET carrying = false WHERE id = ?`, k.journal.id)
	var epoch []byte
	if err == nil {
		err = k.tx.QueryRow(k.ctx, `SELECT epoch FROM journals WHERE id = ?`, k.journal.origin).Scan(&epoch)
	}
	if err != nil {
		return fmt.Errorf("end carrying: %w", err)
	}
	k.releases = append(k.releases, release{journal.Epoch(epoch), 0})
	return k.claimLost()
}

// claimLost opens claims of intents of other epochs that this one has not
// brought over. A terminal brings all that it knows to be open.
func (k *taking) claimLost() error {
	d := k.desk
	refs, err := sqldb.Texts(k.ctx, k.tx, `
		SELECT ref FROM intents i WHERE terminal = ?1 AND journal <> ?2 AND NOT claimed AND NOT EXISTS (
			SELECT 1 FROM carried_entries c WHERE c.journal = i.journal AND c.seq = i.seq AND c.by_journal = ?2)
		ORDER BY journal, seq`, d.terminal, k.journal.id)
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
		if in.claimed || in.ended {
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

// meet reads and locks the cards of intents that no entry of this push names.
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
	return err
}

// explain notes a new journal that does not say what it carries on, although
// the terminal has another.
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
	if other.Valid {
		k.desk.except(EpochUnexplained, first.Position, "the terminal %s", other.String)
	}
	return nil
}
