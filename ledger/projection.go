package ledger

import (
	"database/sql"
	"errors"
	"maps"
	"slices"

	"quancun/journal"
	"quancun/money"
)

// This file rebuilds the tables that follow from the entries, apart from the
// code that has written them, and compares.

// itemRow is a row of the table item.
type itemRow struct {
	kind              journal.Kind
	card              string
	first, doubt, end int64 // 0 while there is none
}

// replay applies the rules of intents and ends to the rebuilt items, apart
// from the code that applied them when the entry was written.
func (v *verifier) replay(e journal.Entry) error {
	carried := e.Kind == journal.Carried
	switch {
	case e.Kind == journal.EpochOpened:
		return v.inherit(e)
	case carried:
		inner, err := e.Inner()
		if err != nil {
			v.found(e.Seq, "%v", err)
			return nil
		}
		inner.Seq = e.Seq
		e = inner
	}
	if e.Kind.LedgerOnly() || !e.Kind.Known() {
		return nil
	}
	item, begun, err := v.begun(e)
	if err != nil || carried && !item.takes(e.Kind) {
		return err
	}
	return v.replayItem(e, item, begun)
}

// takes reports whether there is a place in the item for an entry of kind k,
// which was carried over. What two copies of a journal said may be there twice.
func (i itemRow) takes(k journal.Kind) bool {
	switch {
	case k.IsIntent(), k.Intent() == 0:
		return i.first == 0
	case i.kind != k.Intent() || i.end > 0:
		return false
	}
	return k.IsEnd() || i.doubt == 0
}

// inherit begins the books with what an opening says.
func (v *verifier) inherit(e journal.Entry) error {
	o, err := e.Opening()
	if err != nil || e.Seq != 1 {
		v.found(e.Seq, "an epoch is opened here, %v", err)
		return nil
	}
	for name, balance := range o.Accounts {
		v.move(journal.Posting{Account: name, Amount: balance})
	}
	return nil
}

func (v *verifier) replayItem(e journal.Entry, item itemRow, begun bool) error {
	switch begins := e.Kind.IsIntent() || e.Kind.Intent() == 0; {
	case begins && begun:
		v.found(e.Seq, "%q was begun before, in entry %d", e.Ref, item.first)
	case begins:
		item = itemRow{kind: e.Kind, card: e.Card, first: e.Seq}
		if e.Kind.IsIntent() {
			v.items[e.Ref] = item
			return nil
		}
		item.end = e.Seq
		return v.compare(e.Ref, item)
	case !begun || item.kind != e.Kind.Intent():
		v.found(e.Seq, "%q goes on and was never begun", e.Ref)
	case item.end > 0:
		v.found(e.Seq, "%q had ended before, in entry %d", e.Ref, item.end)
	case e.Kind.IsEnd():
		item.end = e.Seq
		delete(v.items, e.Ref)
		return v.compare(e.Ref, item)
	case item.doubt > 0:
		v.found(e.Seq, "%q was in doubt before, in entry %d", e.Ref, item.doubt)
	default:
		item.doubt = e.Seq
		v.items[e.Ref] = item
	}
	return nil
}

// begun returns what the entries before e say under its Ref. What has ended is
// not kept in memory, so the table is asked for it: that is right if it says so
// of an entry before e.
func (v *verifier) begun(e journal.Entry) (item itemRow, begun bool, err error) {
	if item, begun = v.items[e.Ref]; begun {
		return item, true, nil
	}
	item, err = v.itemRow(e.Ref)
	if err != nil || item.first == 0 || item.first >= e.Seq {
		return itemRow{}, false, err
	}
	if item.first >= v.from { // begun in what was read, so it has ended there
		return item, true, nil
	}
	first, err := entryAt(v.ctx, v.q, item.first)
	if err != nil || first.Ref != e.Ref || first.Kind != item.kind {
		return itemRow{}, false, err
	}
	if item.doubt >= v.from {
		item.doubt = 0
	}
	if item.end >= v.from {
		item.end = 0
	}
	return item, true, nil
}

func (v *verifier) itemRow(ref string) (r itemRow, err error) {
	err = v.q.QueryRowContext(v.ctx, `SELECT kind, card, first_seq, coalesce(doubt_seq, 0), coalesce(end_seq, 0)
		FROM item WHERE ref = ?`, ref).Scan(&r.kind, &r.card, &r.first, &r.doubt, &r.end)
	if errors.Is(err, sql.ErrNoRows) {
		return itemRow{}, nil
	}
	return r, err
}

// compare holds an item that is rebuilt against its row.
func (v *verifier) compare(ref string, want itemRow) error {
	got, err := v.itemRow(ref)
	switch {
	case err != nil:
		return err
	case got.first == 0:
		v.found(want.first, "table item lacks %q", ref)
		return nil
	case got != want:
		v.found(want.first, "table item has %q as %+v, the journal %+v", ref, got, want)
	}
	v.itemRows++
	return nil
}

// itemTable compares what is still open, and looks for rows that no entry made.
func (v *verifier) itemTable() error {
	if err := v.q.QueryRowContext(v.ctx, `SELECT count(*) FROM item `+openItems).Scan(&v.Open); err != nil {
		return err
	}
	for ref, item := range v.items {
		if err := v.compare(ref, item); err != nil {
			return err
		}
	}
	if !v.whole() { // to count them takes the longer the older a journal is
		return nil
	}
	var rows int64
	err := v.q.QueryRowContext(v.ctx, `SELECT count(*) FROM item`).Scan(&rows)
	if err != nil || rows == v.itemRows {
		return err
	}
	n := len(v.Problems)
	err = each(v.ctx, v.q, `SELECT i.ref, i.first_seq, j.body FROM item i LEFT JOIN journal j ON j.seq = i.first_seq`,
		func(r *sql.Rows) error {
			var ref string
			var seq int64
			var body []byte
			if err := r.Scan(&ref, &seq, &body); err != nil {
				return err
			}
			e, _, err := journal.Decode(body)
			if err == nil {
				e, err = e.Inner()
			}
			if err != nil || e.Ref != ref {
				v.found(seq, "table item has %q, which this entry does not say", ref)
			}
			return nil
		})
	if err == nil && len(v.Problems) == n {
		v.found(0, "table item has %d rows, the journal speaks of %d", rows, v.itemRows)
	}
	return err
}

// movement is what an entry takes from one account and gives to another, a row
// of the table posting.
type movement struct {
	from, to journal.Account
	amount   money.Fen
}

// movementOf returns the movement that postings are, and false if they are
// something else. The form of every kind of entry is a movement, or nothing.
func movementOf(p []journal.Posting) (m movement, ok bool) {
	if len(p) != 2 || p[0].Amount >= 0 || p[0].Amount != -p[1].Amount {
		return movement{}, false
	}
	return movement{p[0].Account, p[1].Account, p[1].Amount}, true
}

// postings compares the rows of posting from number from on, and before next,
// with what the entries say.
func (v *verifier) postings(entries []row, from, next int64) error {
	stored := map[int64]movement{}
	err := each(v.ctx, v.q, `SELECT p.seq, coalesce(d.name, ''), coalesce(c.name, ''), p.amount FROM posting p
		LEFT JOIN account d ON d.id = p.debit LEFT JOIN account c ON c.id = p.credit
		WHERE p.seq >= ? AND p.seq < ?`,
		func(rows *sql.Rows) error {
			var seq int64
			var m movement
			err := rows.Scan(&seq, &m.from, &m.to, &m.amount)
			stored[seq] = m
			return err
		}, from, next)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Seq == 0 {
			continue // unreadable
		}
		want, _ := movementOf(e.Postings)
		if got := stored[e.Seq]; got != want {
			v.found(e.Seq, "table posting has %v, the entry %v", got, want)
		}
		delete(stored, e.Seq)
		for _, p := range e.Postings {
			v.move(p)
		}
	}
	for _, seq := range slices.Sorted(maps.Keys(stored)) {
		v.found(seq, "table posting has %v, and there is no such entry", stored[seq])
	}
	return nil
}

func (v *verifier) move(p journal.Posting) {
	a := v.accounts[p.Account]
	if a == nil {
		a = &account{name: p.Account}
		v.accounts[p.Account] = a
	}
	a.add(p.Amount)
}

// accountTable compares each account with the sum of its postings, and all of
// them with each other.
func (v *verifier) accountTable() error {
	var sum money.Fen
	err := each(v.ctx, v.q, `SELECT name, debits, credits FROM account ORDER BY id`, func(rows *sql.Rows) error {
		var got account
		if err := rows.Scan(&got.name, &got.debits, &got.credits); err != nil {
			return err
		}
		sum += got.credits - got.debits
		want := v.accounts[got.name]
		if want == nil {
			want = &account{}
		}
		delete(v.accounts, got.name)
		if v.whole() && (got.debits != want.debits || got.credits != want.credits) {
			v.found(0, "table account has %s with debits %s and credits %s, its postings come to %s and %s",
				got.name, got.debits, got.credits, want.debits, want.credits)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for name := range v.accounts {
		v.found(0, "table account lacks %s", name)
	}
	if sum != 0 {
		v.found(0, "accounts come to %s and not to zero", sum)
	}
	return nil
}

func (v *verifier) nodeTable() error {
	if !v.whole() {
		return nil
	}
	var rows int64
	err := v.q.QueryRowContext(v.ctx, `SELECT count(*) FROM node`).Scan(&rows)
	if err == nil && rows != v.nodeRows {
		v.found(0, "table node has %d rows, the tree %d", rows, v.nodeRows)
	}
	return err
}
