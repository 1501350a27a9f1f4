package clearing

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/channel"
	"quancun/upstream/reconcile"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// movementsMax is how many entries are taken in one transaction, so that
// nobody who sells waits long for the first comparison of old books, and so many
// that these, which are read back from their end each time, are read a few times.
const movementsMax = 10_000

// catchUp brings the movements on a source's account up to the ledger. In one
// account entries have growing numbers, so what is missing is what comes after
// the last.
func (h *House) catchUp(ctx context.Context, source reconcile.Source) error {
	for n := movementsMax; n == movementsMax; {
		err := h.books.Write(ctx, func(tx *sqldb.Tx) (err error) {
			if err := tx.Lock(ctx, "movements of "+string(source)); err != nil {
				return err
			}
			n, err = takeMovements(ctx, tx, source)
			return err
		})
		if err != nil {
			return fmt.Errorf("catch up with the ledger: %w", err)
		}
	}
	return nil
}

// takeMovements takes the next entries, and returns how many.
func takeMovements(ctx context.Context, tx *sqldb.Tx, source reconcile.Source) (int, error) {
	all, err := nextEntries(ctx, tx, source)
	if err != nil {
		return 0, err
	}
	var account, about, refund []string
	var entry, at []int64
	var amount []money.Fen
	for _, e := range all {
		what, refundNo, err := e.about(ctx, tx)
		if err != nil {
			return 0, fmt.Errorf("entry %d: %w", e.id, err)
		}
		account, entry = append(account, string(source)), append(entry, e.id)
		about, refund = append(about, what), append(refund, refundNo)
		amount, at = append(amount, e.amount), append(at, e.moved())
	}
	err = tx.Insert(ctx, "movements (account, entry_id, about, refund_no, amount_fen, at_ms)", "",
		account, entry, about, refund, amount, at)
	return len(entry), err
}

func nextEntries(ctx context.Context, tx *sqldb.Tx, source reconcile.Source) (all []ledgerEntry, err error) {
	err = sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		var e ledgerEntry
		err := rows.Scan(&e.id, &e.amount, &e.at, &e.made, &e.paid, &e.order, &e.refund, &e.corrects, &e.terminals,
			&e.undoes, &e.body)
		all = append(all, e)
		return err
	}, store.Lines(`l.before_id > (SELECT coalesce(max(entry_id), 0) FROM movements WHERE account = ?1)`)+`
		SELECT e.id, p.amount_fen, e.at_ms, e.made_ms, o.paid_ms,
			coalesce(e.order_no, b.order_no, r.order_no, ''), coalesce(r.refund_no, ''),
			coalesce(d.about, ''), e.journal IS NOT NULL, coalesce(e.undoes, 0), j.body
		FROM (SELECT entry_id, amount_fen FROM lines
			WHERE entry_id > (SELECT coalesce(max(entry_id), 0) FROM movements WHERE account = ?1)
			ORDER BY entry_id LIMIT ?2) AS p
		JOIN entries e ON e.id = p.entry_id
		LEFT JOIN orders o ON o.order_no = e.order_no AND e.kind = 1
		LEFT JOIN bills b ON b.entry_id = e.id
		LEFT JOIN bill_refunds r ON r.entry_id = e.id
		LEFT JOIN corrections c ON c.entry_id = e.id AND c.kind <> 3
		LEFT JOIN differences d ON d.exception_id = c.exception_id
		LEFT JOIN journal_entries j ON j.journal = e.journal AND j.seq = e.seq
		ORDER BY p.entry_id`, source, movementsMax)
	return all, err
}

// ledgerEntry is an entry of the ledger on a source's account.
type ledgerEntry struct {
	id        int64
	amount    money.Fen     // as posted
	at        int64         // when it was booked
	made      sql.NullInt64 // by the clock of who has made it
	paid      sql.NullInt64 // a top-up, by the channel's clock
	order     string        // a top-up's or a bill's
	refund    string        // of a bill
	corrects  string        // what the difference is about that it corrects
	terminals bool          // it is a terminal's
	undoes    int64         // the entry that it gives back; 0 for none
	body      []byte        // what the terminal's journal has under its number, which may be another's
}

// moved returns when e moved, by the source's clock where we know. A terminal's clock is
// believed as far as for merchants' days.
func (e ledgerEntry) moved() int64 {
	switch {
	case e.paid.Valid:
		return e.paid.Int64
	case e.made.Valid && (!e.terminals || believed(fromMS(e.made), time.UnixMilli(e.at))):
		return e.made.Int64
	}
	return e.at
}

// about names what e is about, as a statement would: "" for what no statement
// has a line of, such as money that goes on to the bank.
func (e ledgerEntry) about(ctx context.Context, tx *sqldb.Tx) (about, refundNo string, err error) {
	switch {
	case e.order != "":
		return e.order, e.refund, nil
	case e.corrects != "":
		return e.corrects, "", nil
	case !e.terminals:
		return "", "", nil
	}
	own := journal.Innermost(e.body)
	if !store.Fits(own, e.made, e.amount) {
		own, err = store.PostedFor(ctx, tx, e.id)
	}
	switch {
	case err != nil:
		return "", "", err
	case own.Kind == 0: // nobody can read it: somebody has to look
		return "entry " + strconv.FormatInt(e.id, 10), "", nil
	case own.Kind != journal.Refund:
		return own.Ref, "", nil
	}
	// A refund to a wallet names its sale: another may have that one's number.
	var of struct{ Sale string }
	if json.Unmarshal(own.Details, &of) == nil && of.Sale != "" {
		return of.Sale, own.Ref, nil
	}
	sale, err := store.PostedFor(ctx, tx, e.undoes)
	return cmp.Or(sale.Ref, own.Ref), own.Ref, err
}

// entryOf returns a movement as reconcile compares it.
func entryOf(source reconcile.Source, id int64, amount money.Fen) reconcile.Entry {
	e := reconcile.Entry{ID: strconv.FormatInt(id, 10), Kind: channel.Payment, Amount: posted(source, amount)}
	if e.Amount < 0 {
		e.Kind, e.Amount = channel.Refund, -e.Amount
	}
	return e
}
