package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"quancun/beijing"
	"quancun/journal"
	"quancun/money"
	"quancun/upstream/store/sqldb"
)

// View is an account as its holder may see it, all of one moment.
type View struct {
	Holder    Holder
	Card      Card
	Balance   money.Fen
	Held      money.Fen // of the balance, by sales and bills under way
	Credited  time.Time // when the balance last grew; zero if never
	Checking  []Order   // cancelled, or never shown; the outcome is unknown
	Late      []Order   // paid after they were closed, and not seen yet
	OpenLoads []Load    // of this card
	Doubts    []Doubt   // of all cards of the account
	Bills     []OpenBill
	Unseen    bool // whether Late holds any that [Books.MarkSeen] would mark
}

// Doubt is a purchase of which nobody knows yet whether the card has paid. Its
// amount is in suspense, so that it is not in the balance.
type Doubt struct {
	Amount   money.Fen
	Made     time.Time // as the terminal says
	Place    string
	Terminal string
}

// OpenBill is a payment to a biller of which nobody knows yet what it came to.
// Its amount is held.
type OpenBill struct {
	OrderNo string
	Title   string
	Amount  money.Fen
	Created time.Time
}

// View returns what a holder who signed in at since is to see with a card. It
// returns ErrNone if there is no such card.
func (b *Books) View(ctx context.Context, cardNo string, since time.Time) (v View, err error) {
	err = b.db.Read(ctx, func(tx *sqldb.Tx) error {
		v, err = readView(ctx, tx, cardNo, since)
		return err
	})
	if err != nil && !errors.Is(err, ErrNone) {
		err = fmt.Errorf("read account: %w", err)
	}
	return v, err
}

func readView(ctx context.Context, tx *sqldb.Tx, cardNo string, since time.Time) (v View, err error) {
	if v.Card, err = readCard(ctx, tx, cardNo); err != nil {
		return View{}, err
	}
	a := v.Card.Account
	var credited sql.NullInt64
	err = tx.QueryRow(ctx, `
`+Lines(`l.amount_fen < 0`)+`
		SELECT h.account, h.name, h.number, h.pin_wrong >= ?2, a.balance_fen,
			(SELECT max(e.at_ms) FROM lines l JOIN entries e ON e.id = l.entry_id WHERE l.amount_fen > 0)
		FROM holders h JOIN accounts a ON a.account = h.account WHERE h.account = ?1`, a, PINTriesMax).
		Scan(&v.Holder.Account, &v.Holder.Name, &v.Holder.Number, &v.Holder.PINLocked, &v.Balance, &credited)
	if err != nil {
		return View{}, err
	}
	v.Credited = fromMS(credited)
	if v.Held, err = Held(ctx, tx, a); err != nil {
		return View{}, err
	}
	var err1, err2, err3, err4 error
	v.Checking, err1 = readOrders(ctx, tx, `WHERE o.account = ? AND o.state = 3 ORDER BY o.created_ms`, a)
	v.Late, err2 = readOrders(ctx, tx, `WHERE o.account = ? AND o.state = 4 AND o.late
		AND (o.seen_ms IS NULL OR o.seen_ms >= ?) ORDER BY o.created_ms`, a, since.UnixMilli())
	v.OpenLoads, err3 = readLoads(ctx, tx, `WHERE card_no = ? AND state = 1 ORDER BY created_ms`, cardNo)
	v.Doubts, err4 = readDoubts(ctx, tx, a)
	err5 := tx.QueryRow(ctx, `SELECT EXISTS (`+unseen+`)`, a, since.UnixMilli()).Scan(&v.Unseen)
	v.Bills, err = readOpenBills(ctx, tx, a)
	return v, errors.Join(err1, err2, err3, err4, err5, err)
}

func readOpenBills(ctx context.Context, tx *sqldb.Tx, a Account) (all []OpenBill, err error) {
	err = sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		var b OpenBill
		var created sql.NullInt64
		err := rows.Scan(&b.OrderNo, &b.Title, &b.Amount, &created)
		b.Created = fromMS(created)
		all = append(all, b)
		return err
	}, `SELECT order_no, title, amount_fen, created_ms FROM bills WHERE account = ? AND state IN (1, 2, 3, 6)
		ORDER BY created_ms, order_no`, a)
	return all, err
}

// readDoubts returns an account's open claims of purchases, oldest first. A
// claim's entry is the one that put its amount into suspense.
func readDoubts(ctx context.Context, tx *sqldb.Tx, a Account) (all []Doubt, err error) {
	err = sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		var d Doubt
		var made sql.NullInt64
		err := rows.Scan(&d.Amount, &d.Place, &d.Terminal, &made)
		d.Made = fromMS(made)
		all = append(all, d)
		return err
	}, `
		SELECT c.amount_fen, c.merchant, c.terminal, coalesce(
			(SELECT min(e.made_ms) FROM entries e WHERE e.claim_id = c.id AND e.kind = ?1), c.opened_ms)
		FROM claims c WHERE c.kind = ?2 AND c.state = 1 AND c.card_no IN (SELECT card_no FROM cards WHERE account = ?3)
		ORDER BY c.id`, KindDoubt, int64(journal.SaleIntent), a)
	return all, err
}

// Spending is what limits a holder.
type Spending struct {
	Today money.Fen  // spent so far, as far as we know
	Limit *money.Fen // of a day; nil: the school's
	Ended bool       // the account is closed, or its time is over: nobody buys from it
	Over  bool       // only its time is over: what is left may be paid out
}

// spendingMax is how many of an account's newest movements are looked at for
// what it has spent today: more than anybody makes in a day.
const spendingMax = 100

// aheadMax is how far another campusd's clock may be ahead.
const aheadMax = time.Hour

// Spending returns what an account has spent today, which is a day in Beijing.
// Purchases count, and those in doubt too until they are given back. What people have
// corrected does not: it would be leave to spend more today. What a terminal dates later
// than it came was made when it came, and what lies ahead is not today's.
func (b *Books) Spending(ctx context.Context, tx *sqldb.Tx, a Account) (s Spending, err error) {
	now := b.Now()
	err = tx.QueryRow(ctx, Lines(`l.n < ?2`)+`
		SELECT h.daily_limit_fen, h.closed_ms IS NOT NULL OR coalesce(h.until_ms <= ?4, false), h.closed_ms IS NULL, (
			SELECT CAST(coalesce(-sum(l.amount_fen), 0) AS BIGINT) FROM lines l JOIN entries e ON e.id = l.entry_id
			WHERE (e.kind IN (4, 7, 8) OR e.kind = 14 AND e.claim_id IS NOT NULL)
				AND CASE WHEN e.made_ms < e.at_ms THEN e.made_ms ELSE e.at_ms END BETWEEN ?3 AND ?5)
		FROM holders h WHERE h.account = ?1`,
		a, spendingMax, beijing.Midnight(now).UnixMilli(), now.UnixMilli(),
		now.Add(aheadMax).UnixMilli()).
		Scan(&s.Limit, &s.Ended, &s.Over, &s.Today)
	if err != nil {
		return Spending{}, fmt.Errorf("read spending: %w", err)
	}
	s.Over = s.Over && s.Ended
	return s, nil
}

// unseen finds the late orders of an account that were credited before a
// sign-in, so that its answer told of them.
const unseen = `
	SELECT o.order_no FROM orders o JOIN entries e ON e.order_no = o.order_no AND e.kind = 1
	WHERE o.account = ?1 AND o.state = 4 AND o.late AND o.seen_ms IS NULL AND e.at_ms < ?2`

// MarkSeen notes that the holder has been shown the late orders that were
// credited before the sign-in at since. The caller knows that from a call in
// that session: whoever makes one has the sign-in's answer.
func (b *Books) MarkSeen(ctx context.Context, a Account, since time.Time) error {
	return b.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE orders SET seen_ms = ?3 WHERE order_no IN (`+unseen+`)`,
			a, since.UnixMilli(), b.ms())
		return err
	})
}

// Movement is one line of an account's history.
type Movement struct {
	At      time.Time // when it happened; they are in the order in which they were booked
	Kind    Kind
	Amount  money.Fen // what it did to the balance; for a load, to the purse
	Balance money.Fen // of the account, after it
	Place   string
	Ref     string // order number or load ID
}

// Lines begins a statement that reads the movements of the account ?1 as
// "lines", newest first: each names the one before it. It goes on from a line l
// to the one before for as long as a condition on l holds. n counts them.
func Lines(onward string) string {
	return `
	WITH RECURSIVE lines (n, entry_id, amount_fen, balance_fen, before_id) AS (
		SELECT 1, e.id, CASE WHEN e.debit = ?1 THEN -e.amount_fen ELSE e.amount_fen END,
			CASE WHEN e.debit = ?1 THEN e.debit_balance_fen ELSE e.credit_balance_fen END,
			CASE WHEN e.debit = ?1 THEN e.debit_before ELSE e.credit_before END
		FROM accounts a JOIN entries e ON e.id = a.last_entry WHERE a.account = ?1
		UNION ALL
		SELECT l.n + 1, e.id, CASE WHEN e.debit = ?1 THEN -e.amount_fen ELSE e.amount_fen END,
			CASE WHEN e.debit = ?1 THEN e.debit_balance_fen ELSE e.credit_balance_fen END,
			CASE WHEN e.debit = ?1 THEN e.debit_before ELSE e.credit_before END
		FROM lines l JOIN entries e ON e.id = l.before_id WHERE ` + onward + `)`
}

var movements = `(` + Lines(`true`) + `
	SELECT e.at_ms, e.made_ms, e.kind, l.amount_fen, l.balance_fen, e.place,
		coalesce(e.order_no, b.order_no, '') AS ref, 0 AS part, e.id
	FROM lines l JOIN entries e ON e.id = l.entry_id LEFT JOIN bills b ON b.entry_id = coalesce(e.undoes, e.id)
	UNION ALL
	SELECT m.at_ms, NULL, m.kind, m.amount_fen, m.balance_fen, m.place, m.load_id, 1, m.id
	FROM purse_moves m JOIN cards c ON c.card_no = m.card_no WHERE c.account = ?1 AND m.kind = 2) AS movements`

// History returns a page of an account's movements, newest first, and how many
// pages there are. Pages count from 0.
func (b *Books) History(ctx context.Context, a Account, page, size int) (all []Movement, pages int, err error) {
	var n int
	if err := b.db.QueryRow(ctx, `SELECT count(*) FROM `+movements, a).Scan(&n); err != nil {
		return nil, 0, fmt.Errorf("read history: %w", err)
	}
	err = sqldb.Each(ctx, b.db, func(rows *sql.Rows) error {
		var m Movement
		var at sql.NullInt64
		err := rows.Scan(&at, &m.Kind, &m.Amount, &m.Balance, &m.Place, &m.Ref)
		m.At = fromMS(at)
		all = append(all, m)
		return err
	}, `SELECT coalesce(made_ms, at_ms), kind, amount_fen, balance_fen, place, ref FROM `+movements+`
		ORDER BY at_ms DESC, part DESC, id DESC LIMIT ?2 OFFSET ?3`, a, size, page*size)
	if err != nil {
		return nil, 0, fmt.Errorf("read history: %w", err)
	}
	return all, (n + size - 1) / size, nil
}
