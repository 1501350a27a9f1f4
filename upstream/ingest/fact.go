package ingest

import (
	"bytes"
	"cmp"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"quancun/journal"
	"quancun/upstream/centre"
	"quancun/upstream/request"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// fact is an entry that is to be worked on for the first time, under its own
// position, whoever has brought it.
type fact struct {
	*item
	journal int64        // number of the journal of its position
	source  store.Source // under which it is posted
}

// booking returns a movement of money that the entry says has happened.
func (f *fact) booking(k store.Kind, m move) booking {
	source := f.source
	return booking{at: f.entry.Position(), Entry: m.entry(store.Entry{
		Kind: k, Place: cmp.Or(f.entry.Merchant, f.entry.Terminal), Made: f.entry.At, Source: &source,
	})}
}

// post works out what fresh entries say, and writes it.
func (k *taking) post(fresh []item) error {
	facts, err := k.facts(fresh)
	if err != nil {
		return err
	}
	d := k.desk
	d.cards, d.holders = k.push.cards, k.push.holders
	if err := d.prepare(facts); err != nil {
		return err
	}
	if err := k.explain(&fresh[0]); err != nil {
		return err
	}
	for i := range facts {
		if err := k.work(&facts[i]); err != nil {
			return fmt.Errorf("work on %s: %w", facts[i].Position, err)
		}
	}
	if err := k.passHolds(facts); err != nil {
		return err
	}
	return d.write()
}

// facts returns what there is to work on: fresh entries, and the entries that
// they carry over, but for those that somebody has brought before.
func (k *taking) facts(fresh []item) (facts []fact, err error) {
	k.desk = newDesk(k.ctx, k.g, k.tx, k.push.terminal.ID)
	before := k.journal.head.Hash
	for i := range fresh {
		it := &fresh[i]
		if it.fault == nil && !it.chained(before) {
			it.fault = &fault{ChainBroken, "it names another entry before it"}
		}
		before = it.hash
		if it.fault == nil && it.inner != nil {
			f, err := k.carry(it)
			if err != nil {
				return nil, err
			}
			if f != nil {
				facts = append(facts, *f)
			}
			continue
		}
		others := k.brought[it.Seq]
		if has(others, it.hash) {
			continue // a later epoch has brought it already
		}
		if len(others) > 0 {
			k.desk.except(Fork, it.Position, "another entry was carried over under this number")
		}
		facts = append(facts, fact{it, k.journal.id, store.Source{
			Journal: k.journal.id, Seq: it.Seq, Part: int64(len(others)),
		}})
	}
	return facts, nil
}

func has(hashes []journal.Hash, h journal.Hash) bool {
	for _, other := range hashes {
		if bytes.Equal(other[:], h[:]) {
			return true
		}
	}
	return false
}

// brought are the hashes of entries that later epochs have brought, by number.
type brought map[int64][]journal.Hash

func (b brought) scan(row sqldb.Row) error {
	var seq int64
	var hash []byte
	if err := row.Scan(&seq, &hash); err != nil {
		return err
	}
	if h := journal.Hash(hash); !has(b[seq], h) { // several may have brought it
		b[seq] = append(b[seq], h)
	}
	return nil
}

// findBrought finds what later epochs have brought of the entries that are pushed.
func (k *taking) findBrought() sqldb.Step {
	b := k.push.batch
	k.brought = brought{}
	return sqldb.Step{
		Statement: `SELECT seq, hash FROM carried_entries
			WHERE journal = (SELECT id FROM journals WHERE terminal = ? AND epoch = ?) AND seq BETWEEN ? AND ?`,
		Args: []any{k.push.terminal.ID, b.Epoch[:], b.From, b.From + int64(len(b.Bodies)) - 1},
		Row:  k.brought.scan,
	}
}

// broughtAt returns what later epochs have brought under one number.
func (k *taking) broughtAt(journalID, seq int64) ([]journal.Hash, error) {
	all := brought{}
	err := sqldb.Each(k.ctx, k.tx, func(rows *sql.Rows) error { return all.scan(rows) },
		`SELECT seq, hash FROM carried_entries WHERE journal = ? AND seq = ?`, journalID, seq)
	if err != nil {
		return nil, fmt.Errorf("read carried entries: %w", err)
	}
	return all[seq], nil
}

// carry returns the entry that another carries over, or nil if somebody has
// brought it before. When its number is that of another entry both have
// happened: both are posted.
func (k *taking) carry(it *item) (*fact, error) {
	in := it.innermost()
	id, err := k.journalOf(in.Epoch)
	if err != nil {
		return nil, err
	}
	hashes, err := k.broughtAt(id, in.Seq)
	if err != nil {
		return nil, err
	}
	var own []byte
	err = k.tx.QueryRow(k.ctx, `SELECT hash FROM journal_entries WHERE journal = ? AND seq = ?`, id, in.Seq).Scan(&own)
	switch {
	case err == nil && !has(hashes, journal.Hash(own)):
		hashes = append(hashes, journal.Hash(own))
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return nil, fmt.Errorf("read journal entry: %w", err)
	}
	_, err = k.tx.Exec(k.ctx, `
		INSERT INTO carried_entries (journal, seq, hash, by_journal, by_seq) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO NOTHING`,
		id, in.Seq, in.hash[:], k.journal.id, it.Seq)
	if err != nil {
		return nil, fmt.Errorf("write carried entry: %w", err)
	}
	if has(hashes, in.hash) {
		return nil, nil
	}
	part := int64(len(hashes))
	if part > 0 {
		k.desk.except(Fork, in.Position, "%s carries another entry over under this number", it.Position)
	}
	return &fact{in, id, store.Source{Journal: id, Seq: in.Seq, Part: part}}, nil
}

// journalOf returns the number of the terminal's journal of an epoch.
func (k *taking) journalOf(epoch journal.Epoch) (int64, error) {
	j, err := readJournal(k.ctx, k.tx, k.push.terminal.ID, epoch)
	if errors.Is(err, store.ErrNone) {
		return k.makeJournal(epoch)
	}
	return j.id, err
}

// prepare locks and reads what the facts are about.
func (d *desk) prepare(facts []fact) error {
	cards, refs, orders := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for i := range facts {
		if e := facts[i].entry; facts[i].fault == nil {
			if _, known := d.cards[e.Card]; known {
				cards[e.Card] = true
			}
			switch e.Kind.Intent() {
			case journal.TopUpIntent:
				orders[e.Ref] = true
			case journal.LoadIntent, journal.SaleIntent:
				refs[e.Ref] = true
			}
		}
	}
	steps := d.findCards(names(cards))
	if strangers := d.strangers(facts); len(strangers) > 0 {
		if err := d.lockStrangers(steps, strangers); err != nil {
			return err
		}
		steps = nil
	}
	steps = slices.Concat(steps, d.findIntents(names(refs)), d.findOpenClaims(facts), d.findProved(facts),
		d.findOrders(names(orders)))
	if err := d.tx.Run(d.ctx, steps...); err != nil {
		return fmt.Errorf("lock and read what entries are about: %w", err)
	}
	return nil
}

// handlers is what each kind of entry leads to. A kind that is missing moves
// nothing.
var handlers = map[journal.Kind]func(*desk, *fact) error{
	journal.TopUpShown:  (*desk).topUp,
	journal.TopUpEnd:    (*desk).topUp,
	journal.LoadIntent:  (*desk).announce,
	journal.LoadDoubt:   (*desk).doubtLoad,
	journal.LoadEnd:     (*desk).endLoad,
	journal.SaleIntent:  (*desk).announce,
	journal.SaleDoubt:   (*desk).doubtSale,
	journal.SaleEnd:     (*desk).endSale,
	journal.CodeSale:    (*desk).stand,
	journal.ChannelSale: (*desk).stand,
	journal.CashTopUp:   (*desk).stand,
	journal.PayOut:      (*desk).stand,
	journal.CashIn:      (*desk).stand,
	journal.CashOut:     (*desk).stand,
	journal.Counted:     (*desk).stand,
	journal.ShiftOpened: (*desk).stand,
	journal.ShiftClosed: (*desk).report,
	journal.Fee:         (*desk).stand,
	journal.Refund:      (*desk).refund,
	journal.Sighting:    (*desk).sight,
	journal.Evidence:    (*desk).prove,

	journal.CentreIntent: (*desk).tell,
	journal.CentreEnd:    (*desk).tell,
	journal.RequestEnd:   (*desk).ask,
}

// tell takes what a clerk has written down of an act, which has moved nothing.
func (d *desk) tell(f *fact) error {
	d.told = append(d.told, centre.Told{Terminal: d.terminal, Entry: f.entry})
	return nil
}

// misfits are the kinds of exception that acts lead to.
var misfits = map[centre.Misfit]ExceptionKind{
	centre.Twice: IntentTwice, centre.Unknown: NoIntent, centre.Missing: ActMissing, centre.Differs: ActDiffers,
	centre.DoneHere: ActDiffers,
}

// writeTold writes down what was told of acts, and puts into the inbox what the
// books do not say.
func (d *desk) writeTold() error {
	found, err := centre.Note(d.ctx, d.tx, d.told)
	for _, m := range found {
		d.except(misfits[m.Misfit], d.told[m.Told].Entry.Position(), "%s", m.Detail)
	}
	return err
}

// ask takes the end of a holder's request, which has moved nothing.
func (d *desk) ask(f *fact) error {
	d.asked = append(d.asked, request.Told{Terminal: d.terminal, Entry: f.entry})
	return nil
}

// matchAsked puts into the inbox what the books say otherwise of holders' requests.
func (d *desk) matchAsked() error {
	found, err := request.Note(d.ctx, d.tx, d.asked)
	for _, m := range found {
		kind := RequestDiffers
		if m.Misfit == request.Missing {
			kind = RequestMissing
		}
		d.except(kind, d.asked[m.Told].Entry.Position(), "%s", m.Detail)
	}
	return err
}

// work does what one entry leads to. What is wrong with it ends here.
func (k *taking) work(f *fact) error {
	if f.fault != nil {
		k.desk.exceptAmount(f.fault.kind, f.Position, f.entry.Amount, f.fault.detail)
		return nil
	}
	if f.entry.Kind == journal.EpochOpened {
		return k.openEpoch(f)
	}
	if err := k.endCarrying(f); err != nil {
		return err
	}
	if f.journal == k.journal.id && !k.journal.carrying {
		k.alone = true
	}
	if handle := handlers[f.entry.Kind]; handle != nil {
		return handle(k.desk, f)
	}
	return nil
}

// details reads an entry's details into v, as far as they fit.
func details(e journal.Entry, v any) {
	_ = json.Unmarshal(e.Details, v) // what is not there stays as it was
}
