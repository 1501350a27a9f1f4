package bath

import (
	"context"
	"strings"
	"time"

	"quancun/money"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// paying books showers, in a transaction that holds their reservations.
type paying struct {
	ctx  context.Context //nolint:containedctx // lives for one transaction
	tx   *sqldb.Tx
	desk *Desk
	now  time.Time
}

// capture is a use that is to be paid.
type capture struct {
	r      Reservation
	amount money.Fen
	at     time.Time
}

// pay pays a merchant for what was used, lets go of what is held above it, and
// returns how much that was.
func (p paying) pay(merchant store.Account, all []capture) (paid money.Fen, err error) {
	if len(all) == 0 {
		return 0, nil
	}
	accounts := []store.Account{merchant}
	for _, c := range all {
		accounts = append(accounts, c.r.Account)
	}
	at, err := p.desk.books.LockAccounts(p.ctx, p.tx, accounts)
	if err != nil {
		return 0, err
	}
	for _, c := range all {
		amount, err := p.book(c, merchant, at)
		if err != nil {
			return 0, err
		}
		paid += amount
	}
	return paid, nil
}

// book pays one shower. What was let go before, its holder owes all the same: the
// water has run, as in a sale in the dark. Only an account that was closed since
// pays nothing any more; then the line in the inbox is all that is left.
func (p paying) book(c capture, merchant store.Account, at map[store.Account]store.Footing) (money.Fen, error) {
	if c.r.Hold == Released {
		var closed bool
		err := p.tx.QueryRow(p.ctx, `SELECT closed_ms IS NOT NULL FROM holders WHERE account = ?`, c.r.Account).
			Scan(&closed)
		if err != nil {
			return 0, err
		}
		if closed {
			c.amount = 0
		}
	}
	var entry any
	if c.amount > 0 {
		made := c.at
		if made.After(p.now) {
			made = p.now // by a clock that is ahead
		}
		posted, err := p.desk.books.PostAll(p.ctx, p.tx, at, []store.Entry{{
			Kind: store.KindBath, Place: strings.TrimPrefix(string(merchant), "merchant/"), Made: made,
			Debit: c.r.Account, Credit: merchant, Amount: c.amount,
		}})
		if err != nil {
			return 0, err
		}
		entry = posted[0].ID
	}
	_, err := p.tx.Exec(p.ctx, `
		UPDATE bath_reservations SET state = 3, moved_ms = ?, hold = CASE WHEN hold = 1 THEN 2 ELSE hold END,
			captured_fen = ?, entry_id = ? WHERE ref = ?`, p.now.UnixMilli(), c.amount, entry, c.r.Ref)
	return c.amount, err
}
