package holder

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"quancun/money"
	"quancun/upstream/place"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// Sort says why money is on its way. On the wire: never renumbered.
type Sort int

// The sorts of open money.
const (
	TopUpWaiting  Sort = 1
	TopUpChecking Sort = 2
	TopUpLate     Sort = 3
	TopUpReturned Sort = 4
	LoadDoubt     Sort = 5
	PurchaseDoubt Sort = 6
	Sale          Sort = 7
	BillHeld      Sort = 8
	BillChecking  Sort = 9
	BathReserved  Sort = 10
	BathUnsettled Sort = 11
	Owed          Sort = 12
	Inquiry       Sort = 13
)

// Open is money of a holder that is on its way.
type Open struct {
	Sort   Sort
	Amount money.Fen
	Since  time.Time
	Ref    string // by which people find it again
	Place  string
	Card   string      // in doubt; "" for none
	Held   bool        // it is part of the balance, and not available
	People bool        // people have to find out
	Due    time.Time   // it is decided by itself until then; zero: no time can be promised
	Heard  time.Time   // when the terminal that has to tell was last heard of; zero: it does not depend on one
	Where  place.Place // the terminal stood then; zero: nobody has said, or it is no terminal
}

// Standing is an account, with all that is open of it.
type Standing struct {
	Balance money.Fen
	Held    money.Fen // of it
	Open    []Open    // the oldest first
}

// What is promised. A promise is kept by what does the work elsewhere, and is a
// little later than that: who is told a time comes back at that time.
const (
	// topUpDue is from when an order's code ends. The channel closes it a minute
	// later, and is asked every five minutes at the least.
	topUpDue = 10 * time.Minute
	// billDue is from when a biller was told. "No such order" is believed after ten
	// minutes.
	billDue = 12 * time.Minute
	// recent is how long it is said that a top-up came late, or was given back.
	recent = 3 * 24 * time.Hour
)

// sources are where money can be on its way. Each has the columns of [Open], in
// their order and with the terminal last, for the account ?1. What is held is what [store.Held] adds up.
func (d *Desk) sources(now time.Time) []source {
	return []source{
		{`SELECT CASE WHEN state = 3 THEN 2 ELSE 1 END, amount_fen, created_ms, order_no, terminal, '', false,
				mismatch, expires_ms + ?2, NULL, terminal
			FROM orders WHERE account = ?1 AND state IN (1, 2, 3)`, []any{topUpDue.Milliseconds()}},
		{`SELECT CASE WHEN state = 4 THEN 3 ELSE 4 END, amount_fen, created_ms, order_no, terminal, '', false, false,
				NULL, NULL, terminal
			FROM orders WHERE account = ?1 AND (state = 4 AND late OR state = 6) AND created_ms >= ?2`,
			[]any{now.Add(-recent).UnixMilli()}},
		{`SELECT 5, l.amount_fen, l.created_ms, CASE WHEN l.order_no <> '' THEN l.order_no ELSE l.load_id END,
				l.terminal, l.card_no, false, false, NULL, NULL, l.terminal
			FROM loads l JOIN cards c ON c.card_no = l.card_no
			WHERE c.account = ?1 AND c.status <> 4 AND l.state = 1`, nil}, // one that was replaced never tells
		{`SELECT 6, c.amount_fen, coalesce(
				(SELECT min(e.made_ms) FROM entries e WHERE e.claim_id = c.id AND e.kind = 7), c.opened_ms),
				c.ref, c.merchant, c.card_no, false, false, NULL, NULL, c.terminal
			FROM claims c JOIN cards o ON o.card_no = c.card_no
			WHERE o.account = ?1 AND c.kind = 40 AND c.state = 1`, nil},
		{`SELECT 7, h.amount_fen, h.placed_ms, h.attempt,
				CASE WHEN h.merchant <> '' THEN h.merchant ELSE h.terminal END, h.card_no, true, false, NULL,
				t.heard_ms, h.terminal
			FROM holds h JOIN terminals t ON t.id = h.terminal WHERE h.account = ?1 AND h.state <= 2
			AND NOT h.room`, nil},
		{`SELECT CASE WHEN state = 1 THEN 8 ELSE 9 END, amount_fen, created_ms, order_no, title, '', true, state = 6,
				CASE state WHEN 1 THEN deadline_ms WHEN 6 THEN NULL ELSE sent_ms + ?2 END, NULL, ''
			FROM bills WHERE account = ?1 AND state IN (1, 2, 3, 6)`, []any{billDue.Milliseconds()}},
		{`SELECT CASE WHEN r.to_ms > ?2 THEN 10 ELSE 11 END, r.cap_fen, r.from_ms, r.ref, h.name, '', true, false,
				r.to_ms + ?3, NULL, ''
			FROM bath_reservations r JOIN bath_halls h ON h.hall = r.hall WHERE r.account = ?1 AND r.hold = 1`,
			[]any{now.UnixMilli(), d.BathDue.Milliseconds()}},
		{`SELECT 13, abs(x.amount_fen), x.opened_ms, x.ref, '', '', false, true, NULL, NULL, ''
			FROM exceptions x WHERE x.account = ?1 AND x.closed_ms IS NULL AND x.kind <> 'overdrawn'
			AND NOT EXISTS (SELECT 1 FROM bills b WHERE b.order_no = x.ref)`, nil},
	}
}

// source is where money can be on its way.
type source struct {
	query string
	args  []any // after the account
}

// Open returns how an account stands, and all that is open of it, of one moment.
func (d *Desk) Open(ctx context.Context, a store.Account) (s Standing, err error) {
	now := d.Books.Now()
	err = d.Books.Read(ctx, func(tx *sqldb.Tx) error {
		s = Standing{}
		err := tx.QueryRow(ctx, `SELECT balance_fen FROM accounts WHERE account = ?`, a).Scan(&s.Balance)
		if err != nil {
			return err
		}
		if s.Held, err = store.Held(ctx, tx, a); err != nil {
			return err
		}
		places, err := place.Read(ctx, tx)
		if err != nil {
			return err
		}
		take := func(rows *sql.Rows) error { return s.take(rows, places) }
		for _, from := range d.sources(now) {
			err := sqldb.Each(ctx, tx, take, from.query, append([]any{a}, from.args...)...)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Standing{}, fmt.Errorf("read what is open: %w", err)
	}
	if s.Balance < 0 {
		s.Open = append(s.Open, Open{Sort: Owed, Amount: -s.Balance})
	}
	slices.SortStableFunc(s.Open, func(x, y Open) int { return x.Since.Compare(y.Since) })
	return s, nil
}

// take adds what a row says.
func (s *Standing) take(rows *sql.Rows, places place.Map) error {
	var o Open
	var since, due, heard sql.NullInt64
	var terminal string
	err := rows.Scan(&o.Sort, &o.Amount, &since, &o.Ref, &o.Place, &o.Card, &o.Held, &o.People, &due, &heard,
		&terminal)
	o.Since, o.Due, o.Heard = fromMS(since.Int64), fromMS(due.Int64), fromMS(heard.Int64)
	o.Where = places.At(terminal, o.Since)
	if o.People {
		o.Due = time.Time{} // nobody can promise for them
	}
	s.Open = append(s.Open, o)
	return err
}
