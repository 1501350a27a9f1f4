package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"quancun/money"
	"quancun/upstream/store/sqldb"
)

// OrderState says how far an order has come. Stored: never renumbered.
type OrderState int

// The states of an order.
const (
	OrderCreated  OrderState = 1 // written down; the channel may not know it
	OrderWaiting  OrderState = 2 // for the payer
	OrderChecking OrderState = 3 // nobody knows what it came to
	OrderPaid     OrderState = 4 // and credited
	OrderClosed   OrderState = 5 // unpaid, and not payable any more
	OrderReturned OrderState = 6 // was paid, and given back whole
)

// orderSteps is the ratchet: where an order can go from each state. A closed
// order is not the end, since a payment may cross its cancellation; it goes
// back to checking only when what was paid is not what was asked.
var orderSteps = map[OrderState][]OrderState{
	OrderCreated:  {OrderWaiting, OrderChecking, OrderPaid, OrderClosed, OrderReturned},
	OrderWaiting:  {OrderChecking, OrderPaid, OrderClosed, OrderReturned},
	OrderChecking: {OrderPaid, OrderClosed, OrderReturned},
	OrderPaid:     nil,
	OrderClosed:   {OrderChecking, OrderPaid, OrderReturned},
	OrderReturned: nil,
}

// CanBecome reports whether the ratchet lets s become to.
func (s OrderState) CanBecome(to OrderState) bool { return slices.Contains(orderSteps[s], to) }

// Order is a top-up.
type Order struct {
	No       string
	Terminal string
	CardNo   string
	Account  Account
	Amount   money.Fen
	Created  time.Time
	Expires  time.Time // of the code that the payer scans

	State    OrderState
	QR       string
	TradeNo  string // the channel's
	PaidAt   time.Time
	Balance  money.Fen // of the account after the credit, once paid
	Late     bool      // paid after it was closed
	Mismatch bool      // the channel has another amount: people have to look
	Tries    int       // times that the channel was asked in this state
	Next     time.Time // when to ask it again; zero is never
}

// CapError means that an order might lift an account above the cap.
type CapError struct {
	Room money.Fen // what may still be ordered; 0 or more
}

// Error says how much room is left.
func (e *CapError) Error() string { return "store: room for " + e.Room.String() + " only" }

// ErrEnded means that an account was closed, or that its time is over: nobody
// could spend what came onto it.
var ErrEnded = errors.New("store: the account was closed, or is over")

// CreateOrder writes o down and returns it. The same number with the same
// terminal, card, account and amount is the same order, and is returned as it
// stands. With other content it is ErrConflict and an alarm.
//
// limit is the most that the account may come to. All that is [Coming] counts as
// if it had come, so the error is a [*CapError] too when only all of it together
// would pass the limit. For an account that has ended it is ErrEnded.
func (b *Books) CreateOrder(ctx context.Context, o Order, limit money.Fen) (Order, error) {
	var made Order
	var refused error
	err := b.db.Write(ctx, func(tx *sqldb.Tx) (err error) {
		made, refused, err = b.createOrder(ctx, tx, o, limit)
		return err
	})
	if err := errors.Join(err, refused); err != nil {
		return Order{}, fmt.Errorf("create order: %w", err)
	}
	return made, nil
}

// createOrder returns what CreateOrder does. What it refuses may still have to
// be written: an alarm.
func (b *Books) createOrder(ctx context.Context, tx *sqldb.Tx, o Order, limit money.Fen) (_ Order, refused, err error) {
	var balance money.Fen // the account is locked: its orders are made one after the other
	err = tx.QueryRow(ctx, `SELECT balance_fen FROM accounts WHERE account = ? FOR NO KEY UPDATE`, o.Account).
		Scan(&balance)
	if err != nil {
		return o, nil, none(err)
	}
	old, err := readOrder(ctx, tx, o.No)
	if err == nil {
		refused, err = b.sameOrder(ctx, tx, old, o)
		return old, refused, err
	}
	if !errors.Is(err, ErrNone) {
		return o, nil, err
	}
	var ended bool
	err = tx.QueryRow(ctx, `
		SELECT closed_ms IS NOT NULL OR coalesce(until_ms <= ?, false) FROM holders WHERE account = ?`,
		b.ms(), o.Account).Scan(&ended)
	if err != nil {
		return o, nil, none(err)
	}
	if ended {
		return o, ErrEnded, nil
	}
	coming, err := Coming(ctx, tx, o.Account)
	if err != nil {
		return o, nil, err
	}
	if room := max(limit-balance-coming, 0); o.Amount > room {
		return o, &CapError{room}, nil
	}
	o.State = OrderCreated
	err = fresh(tx.Exec(ctx, `
		INSERT INTO orders (order_no, terminal, card_no, account, amount_fen, created_ms, expires_ms, next_ms)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (order_no) DO NOTHING`,
		o.No, o.Terminal, o.CardNo, o.Account, o.Amount, toMS(o.Created), toMS(o.Expires), toMS(o.Next)))
	if !errors.Is(err, ErrConflict) {
		return o, nil, err
	}
	// Another account's order took the number just now.
	if old, err = readOrder(ctx, tx, o.No); err != nil {
		return o, nil, err
	}
	refused, err = b.sameOrder(ctx, tx, old, o)
	return old, refused, err
}

// sameOrder compares an order that came under a number that is in use.
func (b *Books) sameOrder(ctx context.Context, tx *sqldb.Tx, old, o Order) (refused, err error) {
	if old.Terminal == o.Terminal && old.CardNo == o.CardNo && old.Account == o.Account && old.Amount == o.Amount {
		return nil, nil
	}
	_, err = b.alarm(ctx, tx, Alarm{Kind: AlarmOrderConflict, Ref: o.No, Detail: fmt.Sprintf(
		"%s on %s of %s, then %s on %s of %s", old.Amount, old.Terminal, old.Account, o.Amount, o.Terminal, o.Account)})
	return ErrConflict, err
}

// OrderStep is what has become of an order.
type OrderStep struct {
	To       OrderState
	QR       string    // kept if ""
	TradeNo  string    // kept if ""
	PaidAt   time.Time // with OrderPaid
	Mismatch bool
	Next     time.Time // when to ask again
	Tries    int

	// Asked is the order as it was before the channel was asked, whose answer this is;
	// nil if there was no question. If somebody else has moved the order since, or has put
	// the next question off, the step is not taken: a cancellation may be under way, which
	// gives back what the channel has called paid.
	Asked *Order
}

// Advance moves an order, and credits its account in the same moment in which
// it becomes paid. An order that is there already is left there, its schedule
// renewed. What the ratchet does not allow is ErrBackward.
func (b *Books) Advance(ctx context.Context, no string, s OrderStep) (o Order, err error) {
	err = b.db.Write(ctx, func(tx *sqldb.Tx) error {
		o, err = b.AdvanceIn(ctx, tx, no, s)
		return err
	})
	if err != nil {
		return Order{}, fmt.Errorf("advance order: %w", err)
	}
	return o, nil
}

// AdvanceIn is [Books.Advance] within a transaction that does more.
func (b *Books) AdvanceIn(ctx context.Context, tx *sqldb.Tx, no string, s OrderStep) (o Order, err error) {
	if err := lockRow(ctx, tx, `SELECT 1 FROM orders WHERE order_no = ? FOR NO KEY UPDATE`, no); err != nil {
		return o, err
	}
	if o, err = readOrder(ctx, tx, no); err != nil || o.State == s.To && s.To == OrderPaid || s.isOld(o) {
		return o, err
	}
	if o.State != s.To && !o.State.CanBecome(s.To) {
		return o, fmt.Errorf("order %s from %d to %d: %w", no, o.State, s.To, ErrBackward)
	}
	late := o.State == OrderClosed && s.To == OrderPaid
	_, err = tx.Exec(ctx, `
		UPDATE orders SET state = ?, qr = coalesce(nullif(CAST(? AS TEXT), ''), qr),
			trade_no = coalesce(nullif(CAST(? AS TEXT), ''), trade_no),
			paid_ms = ?, late = late OR ?, mismatch = mismatch OR ?, next_ms = ?, tries = ?
		WHERE order_no = ?`,
		s.To, s.QR, s.TradeNo, toMS(s.PaidAt), late, s.Mismatch, toMS(s.Next), s.Tries, no)
	if err != nil {
		return o, err
	}
	if s.To == OrderPaid {
		_, err := b.post(ctx, tx, Entry{
			Kind: KindTopUp, Debit: ChannelAlipay, Credit: o.Account, Amount: o.Amount,
			OrderNo: no, Place: o.Terminal,
		})
		if err != nil {
			return o, err
		}
	}
	return readOrder(ctx, tx, no)
}

// isOld reports whether a step is about an order that has been touched since.
func (s OrderStep) isOld(o Order) bool {
	return s.Asked != nil && (o.State != s.Asked.State || o.Next.After(s.Asked.Next))
}

// Order returns an order, or ErrNone.
func (b *Books) Order(ctx context.Context, no string) (Order, error) { return readOrder(ctx, b.db, no) }

// OrderIn returns an order as a transaction sees it, or ErrNone.
func (b *Books) OrderIn(ctx context.Context, tx *sqldb.Tx, no string) (Order, error) {
	return readOrder(ctx, tx, no)
}

// OrdersOf returns the orders of an account, newest first.
func (b *Books) OrdersOf(ctx context.Context, a Account) ([]Order, error) {
	return readOrders(ctx, b.db, `WHERE o.account = ? ORDER BY o.created_ms DESC, o.order_no DESC`, a)
}

// dueMax is longer than any pause between two questions. A row that is due
// later than that was dated by a clock that has since been set back.
const dueMax = 6 * time.Hour

// DueOrders returns the orders that the channel is to be asked about at now,
// at most limit of them, and when the next one is due; zero is never.
func (b *Books) DueOrders(ctx context.Context, now time.Time, limit int) (due []Order, next time.Time, err error) {
	due, err = readOrders(ctx, b.db, `
		WHERE o.next_ms <= ?1 OR o.next_ms > ?2 ORDER BY o.next_ms LIMIT ?3`,
		now.UnixMilli(), now.Add(dueMax).UnixMilli(), limit)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read due orders: %w", err)
	}
	var ms sql.NullInt64
	err = b.db.QueryRow(ctx, `SELECT min(next_ms) FROM orders WHERE next_ms > ?`, now.UnixMilli()).Scan(&ms)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read due orders: %w", err)
	}
	return due, fromMS(ms), nil
}

// TakeDue keeps an order that is due from every other upstream on the same
// books until then, and reports whether nobody else was faster. Whoever takes
// it and dies leaves it due again at until. Books in a file have one upstream
// only, which then always gets it.
func (b *Books) TakeDue(ctx context.Context, o Order, until time.Time) (taken bool, err error) {
	if b.db.Engine() == sqldb.SQLite {
		return true, nil
	}
	err = b.db.Write(ctx, func(tx *sqldb.Tx) error {
		err := changed(tx.Exec(ctx, `UPDATE orders SET next_ms = ? WHERE order_no = ? AND state = ? AND next_ms = ?`,
			toMS(until), o.No, o.State, toMS(o.Next)))
		taken = err == nil
		if errors.Is(err, ErrNone) {
			return nil
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("take due order: %w", err)
	}
	return taken, nil
}

// soon is longer than a cancellation takes.
const soon = 15 * time.Second

// Hasten makes an order due now, whatever its pause. For an order that the
// channel need not be asked about any more it does nothing, and for one that
// is not in the books it is ErrNone. One that is checked is left alone if it is
// due soon anyway: it may be being cancelled.
func (b *Books) Hasten(ctx context.Context, no string) error {
	return b.db.Write(ctx, func(tx *sqldb.Tx) error {
		now := b.now()
		return changed(tx.Exec(ctx, `
			UPDATE orders SET next_ms = CASE WHEN state IN (4, 6) OR state = 3 AND next_ms BETWEEN ?1 AND ?2
				THEN next_ms ELSE ?1 END WHERE order_no = ?3`, now.UnixMilli(), now.Add(soon).UnixMilli(), no))
	})
}

func readOrder(ctx context.Context, q sqldb.Querier, no string) (Order, error) {
	all, err := readOrders(ctx, q, `WHERE o.order_no = ?`, no)
	if err != nil {
		return Order{}, fmt.Errorf("read order: %w", err)
	}
	if len(all) == 0 {
		return Order{}, ErrNone
	}
	return all[0], nil
}

func readOrders(ctx context.Context, q sqldb.Querier, where string, args ...any) (all []Order, err error) {
	err = sqldb.Each(ctx, q, func(rows *sql.Rows) error {
		var o Order
		var created, expires, paid, next sql.NullInt64
		err := rows.Scan(&o.No, &o.Terminal, &o.CardNo, &o.Account, &o.Amount, &created, &expires, &o.State,
			&o.QR, &o.TradeNo, &paid, &o.Late, &o.Mismatch, &o.Tries, &next, &o.Balance)
		o.Created, o.Expires, o.PaidAt, o.Next = fromMS(created), fromMS(expires), fromMS(paid), fromMS(next)
		all = append(all, o)
		return err
	}, `
		SELECT o.order_no, o.terminal, o.card_no, o.account, o.amount_fen, o.created_ms, o.expires_ms, o.state,
			o.qr, o.trade_no, o.paid_ms, o.late, o.mismatch, o.tries, o.next_ms, coalesce(e.credit_balance_fen, 0)
		FROM orders o
		LEFT JOIN entries e ON e.order_no = o.order_no AND e.kind = 1
		`+where, args...)
	return all, err
}
