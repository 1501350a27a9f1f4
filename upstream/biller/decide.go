package biller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"quancun/money"
	"quancun/upstream/biller/vendor"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// The lines that this package puts into the inbox. Stored: never renamed.
const (
	lineReferred = "bill to be found out"
	lineTooLate  = "bill booked after its release"
)

const owner = "card centre" // who can speak with the holder and with the biller

// refer leaves a bill to people, with a line in the inbox that says what to do, in place
// of one that it has. The biller is asked all the same at next, unless that is zero.
func (d *Desk) refer(ctx context.Context, b Bill, why string, next time.Time) (moved Bill, err error) {
	err = d.books.Write(ctx, func(tx *sqldb.Tx) error {
		var won bool
		moved, won, err = d.advanceIn(ctx, tx, b, step{to: Referred, tries: b.Tries, next: next})
		if err == nil && won && b.State == Referred { // its line promises that it is asked further
			err = d.closeLines(ctx, tx, moved, "the biller has answered since: "+why)
		}
		if err != nil || !won {
			return err
		}
		return d.books.Except(ctx, tx, []store.Exception{b.line(lineReferred, why,
			"ask "+b.Biller+" whether it has booked "+b.Amount.String()+" for "+b.Title+", and then: "+
				"campusd bills settle "+b.No+" --booked, or --not-booked")})
	})
	if err != nil {
		return Bill{}, fmt.Errorf("refer bill: %w", err)
	}
	d.log.Error("bill referred to people", "order", b.No, "biller", b.Biller, "why", why)
	d.tell(b, moved)
	return moved, nil
}

// tooLate leaves a bill released that the biller has booked, and tells people. It
// may have been released since b was read.
func (d *Desk) tooLate(ctx context.Context, b Bill, why string) (moved Bill, err error) {
	err = d.books.Write(ctx, func(tx *sqldb.Tx) error {
		if moved, err = lock(ctx, tx, b.No); err != nil || moved.State != Released {
			return err
		}
		if moved, _, err = d.advanceIn(ctx, tx, moved, step{to: Released}); err != nil {
			return err
		}
		return d.books.Except(ctx, tx, []store.Exception{b.line(lineTooLate, why,
			"have "+b.Biller+" cancel it, or speak with the holder, and then: campusd bills settle "+b.No+
				" --not-booked, or --booked")})
	})
	if err != nil {
		return Bill{}, fmt.Errorf("refer late bill: %w", err)
	}
	d.tell(b, moved)
	return moved, nil
}

func (b Bill) line(kind, why, next string) store.Exception {
	return store.Exception{
		Kind: kind, Ref: b.No, Terminal: b.Terminal, Account: b.Account, Amount: b.Amount,
		Detail: why, Owner: owner, NextStep: next,
	}
}

// Decision is what people have found out about a bill.
type Decision struct {
	OrderNo  string
	Booked   bool
	RecordNo string // the biller's, if it was booked
	Evidence string
	ByOne    string
	ByTwo    string // needed if it was not booked: the holder gets the money back
}

// ErrDecision means that a decision lacks something, or that there is nothing to
// decide.
var ErrDecision = errors.New("biller: nothing to decide, or no evidence, or not by enough people")

// Decide ends a bill that was referred to people, or has the account pay one that
// was booked after its release, unless its biller has taken that back, and closes its
// line in the inbox.
func (d *Desk) Decide(ctx context.Context, c Decision) (moved Bill, err error) {
	if c.Evidence == "" || c.ByOne == "" || !c.Booked && (c.ByTwo == "" || c.ByTwo == c.ByOne) {
		return Bill{}, ErrDecision
	}
	was, err := d.Bill(ctx, c.OrderNo)
	if err != nil {
		return Bill{}, err
	}
	err = d.books.Write(ctx, func(tx *sqldb.Tx) error {
		lines, err := openLines(ctx, tx, c.OrderNo)
		switch {
		case err != nil:
			return err
		case len(lines) == 0 || was.State != Referred && was.State != Released:
			return ErrDecision
		case c.Booked:
			moved, err = d.captureIn(ctx, tx, c.OrderNo, vendor.Receipt{RecordNo: c.RecordNo})
		default:
			// One that the biller is still asked about is watched from then on.
			moved, _, err = d.advanceIn(ctx, tx, was, step{to: Released, cause: CausePeople, next: was.Next})
		}
		if err != nil {
			return err
		}
		return d.closeLines(ctx, tx, moved,
			fmt.Sprintf("booked: %t; %s; by %s %s", c.Booked, c.Evidence, c.ByOne, c.ByTwo))
	})
	if err != nil {
		return Bill{}, fmt.Errorf("decide bill: %w", err)
	}
	d.tell(was, moved)
	return moved, nil
}

// openLines locks the bill first: whoever refers it holds it too.
func openLines(ctx context.Context, tx *sqldb.Tx, no string) ([]store.Exception, error) {
	if _, err := lock(ctx, tx, no); err != nil {
		return nil, err
	}
	return readLines(ctx, tx, no)
}

// closeLines closes what of b, which has come to its end, is in the inbox. Its caller
// holds b.
func (d *Desk) closeLines(ctx context.Context, tx *sqldb.Tx, b Bill, found string) error {
	lines, err := readLines(ctx, tx, b.No)
	for _, l := range lines {
		err = errors.Join(err, d.books.CloseException(ctx, tx, l.ID, b.Entry, found))
	}
	return err
}

func readLines(ctx context.Context, tx *sqldb.Tx, no string) ([]store.Exception, error) {
	return store.ReadExceptions(ctx, tx, `WHERE kind IN (?, ?) AND ref = ? AND closed_ms IS NULL ORDER BY id`,
		lineReferred, lineTooLate, no)
}

// Refund is some or all of a bill given back to the account that has paid it,
// because the biller has taken it back. Two people answer for it.
type Refund struct {
	OrderNo string
	No      string // ours; once for each
	Amount  money.Fen
	Reason  string
	ByOne   string
	ByTwo   string
}

// TooMuchError means that a refund is of more than is left of a bill.
type TooMuchError struct{ Left money.Fen }

// Error tells what is left.
func (e *TooMuchError) Error() string {
	return "biller: only " + e.Left.String() + " is left of this bill"
}

// Refund gives money back, once for each number. The same number with another
// amount is [store.ErrConflict].
func (d *Desk) Refund(ctx context.Context, r Refund) error {
	if r.Reason == "" || r.ByOne == "" || r.ByTwo == "" || r.ByOne == r.ByTwo || r.Amount <= 0 {
		return ErrDecision
	}
	err := d.books.Write(ctx, func(tx *sqldb.Tx) error { return d.refundIn(ctx, tx, r) })
	if err != nil {
		return fmt.Errorf("refund bill: %w", err)
	}
	return nil
}

func (d *Desk) refundIn(ctx context.Context, tx *sqldb.Tx, r Refund) error {
	b, err := lock(ctx, tx, r.OrderNo)
	if err != nil {
		return err
	}
	var before money.Fen
	err = tx.QueryRow(ctx, `
		SELECT CAST(coalesce(sum(amount_fen), 0) AS BIGINT) FROM bill_refunds WHERE order_no = ? AND refund_no = ?`,
		r.OrderNo, r.No).Scan(&before)
	switch {
	case err != nil || before == r.Amount:
		return err
	case before != 0:
		return store.ErrConflict
	case b.State != Paid:
		return store.ErrNone
	case r.Amount > b.Amount-b.Refunded:
		return &TooMuchError{b.Amount - b.Refunded}
	}
	from := AccountOf(b.Biller)
	at, err := d.books.LockAccounts(ctx, tx, []store.Account{b.Account, from})
	if err != nil {
		return err
	}
	posted, err := d.books.PostAll(ctx, tx, at, []store.Entry{{
		Kind: store.KindRefund, Place: b.Terminal, Debit: from, Credit: b.Account, Amount: r.Amount, Undoes: b.Entry,
	}})
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO bill_refunds (order_no, refund_no, amount_fen, entry_id, reason, by_one, by_two, at_ms)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		r.OrderNo, r.No, r.Amount, posted[0].ID, r.Reason, r.ByOne, r.ByTwo, d.now().UnixMilli())
	return err
}
