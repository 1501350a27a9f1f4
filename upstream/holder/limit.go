package holder

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"quancun/money"
	"quancun/upstream/phone"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
	"quancun/upstream/wire"
)

// Limits are what a holder may spend.
type Limits struct {
	Terms
	Own        bool      // DailyLimit is the holder's own
	Spent      money.Fen // today, as far as it is known
	Phone      string    // the holder's, as it calls itself
	PhoneSince time.Time // zero: the holder has none
	Until      time.Time // when the account ends; zero: it does not
}

// Limits returns the limits of an account.
func (d *Desk) Limits(ctx context.Context, a store.Account) (l Limits, err error) {
	err = d.Books.Read(ctx, func(tx *sqldb.Tx) error {
		l = Limits{Terms: d.Terms}
		s, err := d.Books.Spending(ctx, tx, a)
		if err != nil {
			return err
		}
		l.Spent = s.Today
		if s.Limit != nil {
			l.DailyLimit, l.Own = *s.Limit, true
		}
		var until sql.NullInt64
		if err := tx.QueryRow(ctx, `SELECT until_ms FROM holders WHERE account = ?`, a).Scan(&until); err != nil {
			return err
		}
		l.Until = fromMS(until.Int64)
		return sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
			var since int64
			err := rows.Scan(&l.Phone, &since)
			l.PhoneSince = fromMS(since)
			return err
		}, `SELECT name, bound_ms FROM phones WHERE account = ? AND revoked_ms IS NULL`, a)
	})
	if err != nil {
		return Limits{}, fmt.Errorf("read limits: %w", err)
	}
	return l, nil
}

// inviteFor is how long a code that is shown on a screen can be used. A holder
// stands there with the phone in hand.
const inviteFor = 10 * time.Minute

// Invite returns a code by which a phone becomes the account's virtual card, and
// until when. Its error is [phone.ErrAccount] for an account that can have none.
func (d *Desk) Invite(ctx context.Context, a store.Account) (wire.Code, time.Time, error) {
	if !d.Terms.Phones {
		return wire.Code{}, time.Time{}, phone.ErrAccount
	}
	code, expires := wire.NewCode(), d.Books.Now().Add(inviteFor)
	if err := phone.Invite(ctx, d.Books, a.No(), code.Hash(), expires); err != nil {
		return wire.Code{}, time.Time{}, err
	}
	return code, expires, nil
}
