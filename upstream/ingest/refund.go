package ingest

import (
	"database/sql"
	"errors"
	"fmt"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/store"
)

// refund takes what was given back. It is posted in any case, since the holder
// has seen it; all that is given back of one sale should not be more than it.
func (d *desk) refund(f *fact) error {
	e := f.entry
	b := f.booking(store.KindRefund, d.explode(e))
	paid, err := d.sold(&b, e)
	if err != nil {
		return err
	}
	if b.Undoes == 0 && b.UndoesAt == 0 {
		d.exceptAmount(RefundUnmatched, e.Position(), e.Amount, "of "+e.Origin.String())
		d.book(b)
		return nil
	}
	given, err := d.refunded(b)
	if err != nil {
		return err
	}
	if given+e.Amount > paid {
		d.exceptAmount(RefundTooHigh, e.Position(), e.Amount,
			fmt.Sprintf("%s was paid, %s was given back before", paid, given))
	}
	d.book(b)
	return nil
}

// sold finds the sale that a refund names, in this push or in the books, and
// returns what the merchant got by it.
func (d *desk) sold(b *booking, e journal.Entry) (paid money.Fen, err error) {
	a := store.Account(journal.MerchantAccount(e.Merchant))
	for i, sale := range d.bookings {
		if sale.at == e.Origin && sale.Source != nil && sale.Source.Part == 0 {
			b.UndoesAt = i + 1
			return got(sale.Postings, a), nil
		}
	}
	err = d.tx.QueryRow(d.ctx, `
		SELECT e.id, p.amount_fen FROM entries e JOIN journals j ON j.id = e.journal
		JOIN postings p ON p.entry_id = e.id AND p.account = ?
		WHERE j.terminal = ? AND j.epoch = ? AND e.seq = ? AND e.part = 0`,
		a, e.Origin.Terminal, e.Origin.Epoch[:], e.Origin.Seq).Scan(&b.Undoes, &paid)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("read sale: %w", err)
	}
	return paid, nil
}

// refunded returns what was given back before of the sale that b gives back.
func (d *desk) refunded(b booking) (given money.Fen, err error) {
	a := store.Account(journal.MerchantAccount(b.Place))
	if b.Undoes != 0 {
		err = d.tx.QueryRow(d.ctx, `
			SELECT CAST(coalesce(-sum(p.amount_fen), 0) AS BIGINT) FROM entries e
			JOIN postings p ON p.entry_id = e.id AND p.account = ? WHERE e.undoes = ?`, a, b.Undoes).Scan(&given)
	}
	if err != nil {
		return 0, fmt.Errorf("read refunds: %w", err)
	}
	for _, other := range d.bookings {
		if other.Kind == store.KindRefund && other.Undoes == b.Undoes && other.UndoesAt == b.UndoesAt {
			given -= got(other.Postings, a)
		}
	}
	return given, nil
}

// got returns what an entry's postings bring an account.
func got(all []store.Posting, a store.Account) (sum money.Fen) {
	for _, p := range all {
		if p.Account == a {
			sum += p.Amount
		}
	}
	return sum
}
