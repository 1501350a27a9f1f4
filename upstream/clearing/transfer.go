package clearing

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"quancun/money"
	"quancun/upstream/channel"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// ErrNoTransfer means that the bank's number of a transfer is missing.
var ErrNoTransfer = errors.New("clearing: the bank's number of the transfer is missing")

// ErrNew means that the books have never heard of a merchant.
var ErrNew = errors.New("clearing: no merchant of this name is in the books")

// Transfer is what somebody has had the bank pay for a merchant's days up to and including
// one.
type Transfer struct {
	No      string // the bank's, by which no transfer to a merchant is booked twice
	Through channel.Day
	Amount  money.Fen
	By      string

	// Carry books it although the unpaid days come to another amount, as when these books are
	// a copy that is older than the transfer: what it differs by is a line of the next day
	// that is closed.
	Carry bool

	// New carries it also to a merchant that these books have never heard of, as when they are
	// a copy that is older than its first sale.
	New bool
}

func (t Transfer) check() (Transfer, error) {
	t.No, t.By = strings.TrimSpace(t.No), strings.TrimSpace(t.By)
	switch {
	case t.By == "":
		return t, ErrUnsigned
	case t.No == "" && t.Amount != 0:
		return t, ErrNoTransfer
	case t.Amount < 0:
		return t, ErrOtherAmount
	}
	return t, nil
}

// PaidOut is what was paid to a merchant.
type PaidOut struct {
	Entry   int64     // by which days are paid; 0 if nothing was owed
	Amount  money.Fen // of these days
	Days    int       // that are settled with it; 0 if all of them were before
	Carried money.Fen // by how much more was transferred
	Known   bool      // it was booked before
}

// Pay books a transfer, and settles a merchant's closed days with it, from the school's
// bank account. What is settled is not settled again, and what is booked under its number
// stays as it is. The error is [ErrOtherAmount] if the days come to another amount than was
// transferred, or if its number is another transfer's, [ErrOwes] if they come to less
// than nothing, and [ErrNew] for a merchant that these books have never heard of.
func (h *House) Pay(ctx context.Context, merchant string, t Transfer) (p PaidOut, err error) {
	if t, err = t.check(); err != nil {
		return p, fmt.Errorf("pay %s: %w", merchant, err)
	}
	account := MerchantAccount(merchant)
	err = h.books.Write(ctx, func(tx *sqldb.Tx) (err error) {
		if err := tx.Lock(ctx, "days of "+string(account)); err != nil {
			return err
		}
		if p, err = t.booked(ctx, tx, account); err != nil || p.Known {
			return err
		}
		if p, err = t.plan(ctx, tx, account); err != nil {
			return err
		}
		return h.payOut(ctx, tx, account, t, &p)
	})
	if err != nil {
		return PaidOut{}, fmt.Errorf("pay %s: %w", merchant, err)
	}
	return p, nil
}

// booked finds a transfer by its number.
func (t Transfer) booked(ctx context.Context, tx *sqldb.Tx, account store.Account) (p PaidOut, err error) {
	var amount money.Fen
	err = tx.QueryRow(ctx, `SELECT amount_fen, coalesce(entry_id, 0) FROM transfers WHERE account = ? AND no = ?`,
		account, t.No).Scan(&amount, &p.Entry)
	if errors.Is(err, sql.ErrNoRows) {
		return PaidOut{}, nil
	}
	if p.Known = true; err == nil && amount != t.Amount {
		err = fmt.Errorf("%w: transfer %s is booked with %s, and not %s", ErrOtherAmount, t.No, amount, t.Amount)
	}
	return p, err
}

// plan says which days a transfer settles, and what is carried. Days that come to less than
// nothing are left to those that will make up for them.
func (t Transfer) plan(ctx context.Context, tx *sqldb.Tx, account store.Account) (p PaidOut, err error) {
	var known bool
	err = tx.QueryRow(ctx, `
		SELECT count(*), CAST(coalesce(sum(owed_fen), 0) AS BIGINT), EXISTS (SELECT 1 FROM accounts WHERE account = ?1)
		FROM settlements WHERE account = ?1 AND day <= ?2 AND settled_ms IS NULL`, account, t.Through).
		Scan(&p.Days, &p.Amount, &known)
	switch {
	case err == nil && t.Amount > 0 && !known && !(t.Carry && t.New):
		return p, ErrNew
	case err != nil || p.Amount == t.Amount:
		return p, err
	case t.Carry && p.Amount < 0:
		return PaidOut{Carried: t.Amount}, nil
	case p.Amount < 0:
		return p, ErrOwes
	case !t.Carry || t.Amount == 0: // nothing was transferred that could pay them
		return p, fmt.Errorf("%w: %s, and not %s", ErrOtherAmount, p.Amount, t.Amount)
	}
	p.Carried = t.Amount - p.Amount
	return p, nil
}

// payOut books what is planned.
func (h *House) payOut(ctx context.Context, tx *sqldb.Tx, account store.Account, t Transfer, p *PaidOut) error {
	if t.Amount == 0 && p.Days == 0 {
		return nil
	}
	at, err := h.books.LockAccounts(ctx, tx, []store.Account{account, Bank})
	if err != nil {
		return err
	}
	pay := func(f money.Fen) (id int64, err error) {
		e := store.Entry{Kind: store.KindPaidOut, Place: "clearing", Debit: account, Credit: Bank, Amount: f}
		if f < 0 {
			e.Debit, e.Credit, e.Amount = Bank, account, -f
		}
		if f == 0 {
			return 0, nil
		}
		all, err := h.books.PostAll(ctx, tx, at, []store.Entry{e})
		if err != nil {
			return 0, err
		}
		return all[0].ID, nil
	}
	if p.Entry, err = pay(p.Amount); err != nil {
		return err
	}
	carried, err := pay(p.Carried)
	if err != nil {
		return err
	}
	if p.Days > 0 {
		_, err = tx.Exec(ctx, `
			UPDATE settlements SET settled_ms = ?, settled_by = ?, entry_id = ?
			WHERE account = ? AND day <= ? AND settled_ms IS NULL`, h.ms(), t.By, orNull(p.Entry), account, t.Through)
	}
	if err != nil || t.Amount == 0 {
		return err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO transfers (account, no, amount_fen, entry_id, carried_id, said_by, at_ms)
		VALUES (?, ?, ?, ?, ?, ?, ?)`, account, t.No, t.Amount, orNull(p.Entry), orNull(carried), t.By, h.ms())
	return err
}

func orNull(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}
