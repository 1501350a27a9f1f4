package clearing

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"quancun/money"
	"quancun/upstream/channel"
	"quancun/upstream/reconcile"
	"quancun/upstream/store/sqldb"
)

// Outcome is what a comparison came to.
type Outcome struct {
	Matched int // movements that both sides have
	Even    int // orders' movements that come to the same as a whole
	Waiting int // ours whose statement is not there yet
	Open    int // differences

	Opened int // lines of the inbox that are new
	Closed int // lines that an entry or a statement has explained

	// Orders are ours that were paid without our knowing.
	Orders []string
}

// Compare compares a day's statement with our books, together with everything
// that is open from other days, and brings the inbox in line: what is new is
// listed, what has been explained is closed with what explains it, and the rest
// stays. So comparing again changes nothing. With no day it looks at what is
// open alone.
func (h *House) Compare(ctx context.Context, source reconcile.Source, day channel.Day) (Outcome, error) {
	if err := h.catchUp(ctx, source); err != nil {
		return Outcome{}, fmt.Errorf("compare: %w", err)
	}
	var scope []string
	var sides reconcile.Books
	err := h.books.Read(ctx, func(tx *sqldb.Tx) (err error) {
		if scope, err = readScope(ctx, tx, source, day); err != nil {
			return err
		}
		sides, err = readSides(ctx, tx, source, scope)
		return err
	})
	if err != nil {
		return Outcome{}, fmt.Errorf("compare: %w", err)
	}
	r := reconcile.Match(sides)
	o := Outcome{
		Matched: len(r.Matched), Even: len(r.Even.Entries) + len(r.Even.Lines),
		Waiting: len(r.Waiting), Open: len(r.Findings), Orders: unheard(r.Findings),
	}
	entries := make([]string, len(sides.Entries))
	for i, e := range sides.Entries {
		entries[i] = e.ID
	}
	err = h.books.Write(ctx, func(tx *sqldb.Tx) (err error) {
		o.Opened, o.Closed, err = h.apply(ctx, tx, compared{source, day, scope, entries, r})
		return err
	})
	if err != nil {
		return Outcome{}, fmt.Errorf("compare: %w", err)
	}
	return o, nil
}

// unheard returns our orders of which a source was paid, as it says, and of
// which nothing is booked.
func unheard(findings []reconcile.Finding) (orders []string) {
	for _, f := range findings {
		if f.Step == reconcile.CreditPayment {
			orders = append(orders, f.About())
		}
	}
	return orders
}

// readScope returns what is to be compared: all that the statements of the day
// are about or have been, all that we have of that day or have booked on it, and all
// that is open. What was booked late has missed the comparison of its own day.
func readScope(ctx context.Context, tx *sqldb.Tx, source reconcile.Source, day channel.Day) ([]string, error) {
	scope, err := sqldb.Texts(ctx, tx, `
		SELECT DISTINCT d.about FROM differences d JOIN exceptions x ON x.id = d.exception_id
		WHERE d.source = ? AND x.closed_ms IS NULL`, source)
	if err != nil || day == "" {
		return scope, err
	}
	theirs, err := sqldb.Texts(ctx, tx, `
		SELECT DISTINCT l.about FROM statement_lines l JOIN statements s ON s.id = l.statement
		WHERE s.source = ? AND s.day = ?`, source, day)
	if err != nil {
		return nil, err
	}
	first, last := day.Start().Add(-reconcile.Slack), day.Add(1).Start().Add(reconcile.Slack)
	ours, err := sqldb.Texts(ctx, tx, `
		SELECT about FROM movements WHERE account = ?1 AND at_ms >= ?2 AND at_ms < ?3 AND about <> ''
		UNION SELECT m.about FROM movements m JOIN entries e ON e.id = m.entry_id
			WHERE m.account = ?1 AND m.about <> '' AND e.at_ms >= ?2 AND e.at_ms < ?3 AND m.entry_id > coalesce((
				SELECT n.entry_id FROM movements n JOIN entries b ON b.id = n.entry_id
				WHERE n.account = ?1 AND b.at_ms < ?2 ORDER BY n.entry_id DESC LIMIT 1), 0)`,
		source, first.UnixMilli(), last.UnixMilli())
	all := slices.Concat(scope, theirs, ours)
	slices.Sort(all)
	return slices.Compact(all), err
}

// readSides returns all that both sides have of what is in scope.
func readSides(ctx context.Context, tx *sqldb.Tx, source reconcile.Source, scope []string,
) (b reconcile.Books, err error) {
	b = reconcile.Books{Source: source, Orders: map[string]reconcile.Order{}}
	if b.Stated, err = readStated(ctx, tx, source); err != nil {
		return b, err
	}
	if b.Lines, err = readLines(ctx, tx, source, scope); err != nil {
		return b, err
	}
	err = sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		var id int64
		var amount money.Fen
		var at sql.NullInt64
		var about, refundNo string
		err := rows.Scan(&id, &amount, &at, &about, &refundNo)
		e := entryOf(source, id, amount)
		e.OrderNo, e.RefundNo, e.At = about, refundNo, fromMS(at)
		b.Entries = append(b.Entries, e)
		return err
	}, `
		SELECT entry_id, amount_fen, at_ms, about, refund_no FROM movements
		WHERE account = ? AND about = ANY (?)`, source, scope)
	if err != nil {
		return b, err
	}
	return b, sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		var no string
		var o reconcile.Order
		err := rows.Scan(&no, &o.Account, &o.Returned, &o.Sale)
		b.Orders[no] = o
		return err
	}, `
		SELECT order_no, account, state = 6, false FROM orders WHERE order_no = ANY (?1)
		UNION ALL SELECT order_no, 'merchant/' || merchant, state = 6, true FROM payments WHERE order_no = ANY (?1)`,
		scope)
}

// readStated returns which days a source has said something of.
func readStated(ctx context.Context, tx *sqldb.Tx, source reconcile.Source) (func(channel.Day) bool, error) {
	days, err := sqldb.Texts(ctx, tx, `SELECT day FROM statements WHERE source = ? AND superseded_ms IS NULL`, source)
	stated := make(map[channel.Day]bool, len(days))
	for _, d := range days {
		stated[channel.Day(d)] = true
	}
	return func(d channel.Day) bool { return stated[d] }, err
}

func readLines(ctx context.Context, tx *sqldb.Tx, source reconcile.Source, scope []string,
) (all []reconcile.Line, err error) {
	err = sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		var l reconcile.Line
		var at sql.NullInt64
		err := rows.Scan(&l.Day, &l.No, &l.Kind, &l.OrderNo, &l.RefundNo, &l.TradeNo, &l.Amount, &l.Fee, &at)
		l.At = fromMS(at)
		all = append(all, l)
		return err
	}, `
		SELECT s.day, l.line, l.kind, l.order_no, l.refund_no, l.trade_no, l.amount_fen, l.fee_fen, l.at_ms
		FROM statement_lines l JOIN statements s ON s.id = l.statement
		WHERE s.source = ? AND s.superseded_ms IS NULL AND l.about = ANY (?)`, source, scope)
	return all, err
}
