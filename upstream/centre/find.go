package centre

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/place"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// Person is a holder as a clerk has to know them, all of one moment.
type Person struct {
	store.Holder
	Until, Closed time.Time // zero for neither
	Balance, Held money.Fen
	Coming        money.Fen  // what may still come: see [store.Coming]
	Limit         *money.Fen // of their own; nil for the school's
	Cards         []store.Card
	Found         map[string]Where       // lost cards that were laid on a reader, by their number
	Refused       map[string]NameRefused // cards that have refused another name, by their number
	Open          []Open
	Acts          []Act // the newest
}

// Ended reports whether the account was closed, or is over, at a time.
func (p Person) Ended(now time.Time) bool {
	return !p.Closed.IsZero() || !p.Until.IsZero() && !now.Before(p.Until)
}

// Where is where a lost card was laid on a reader, since it was lost.
type Where struct {
	Terminal string
	At       time.Time
	Where    place.Place // the terminal stood then; zero: nobody has said
}

// OpenKind says what is open of an account.
type OpenKind int

// What can be open besides a balance.
const (
	OpenTopUp OpenKind = 1 // an order that has not ended
	OpenLoad  OpenKind = 2
	OpenSale  OpenKind = 3 // in doubt: its amount is in suspense
	OpenHold  OpenKind = 4
	// OpenLostSale is an OpenSale with a card that its holder does not have any more: it
	// may never be settled, and keeps no account open.
	OpenLostSale OpenKind = 5
	OpenBill     OpenKind = 6 // its biller has not said what became of it
	OpenBath     OpenKind = 7 // reserved, and nobody knows yet what was used
)

// Open is something that is under way, or in doubt.
type Open struct {
	Kind   OpenKind
	Amount money.Fen
	Since  time.Time
	Place  string // merchant, biller or terminal
}

// Key is by what a holder is looked for: one of them is set.
type Key struct {
	Account string // account number
	Card    string // 20 hexadecimal digits, upper case
	Number  string // student or staff number, as a person types it
}

// actsShown is how many acts a clerk is shown.
const actsShown = 10

// Find returns a holder, or [store.ErrNone].
func (d *Desk) Find(ctx context.Context, k Key) (p Person, err error) {
	err = d.books.Read(ctx, func(tx *sqldb.Tx) error {
		p = Person{}
		a, err := accountOf(ctx, tx, k)
		if err != nil {
			return err
		}
		return p.read(ctx, tx, a)
	})
	if err != nil && !errors.Is(err, store.ErrNone) {
		err = fmt.Errorf("find a holder: %w", err)
	}
	return p, err
}

func accountOf(ctx context.Context, tx *sqldb.Tx, k Key) (a store.Account, err error) {
	switch {
	case k.Card != "":
		err = tx.QueryRow(ctx, `SELECT account FROM cards WHERE card_no = ?`, k.Card).Scan(&a)
	case k.Number != "":
		h, err := store.Numbered(ctx, tx, k.Number)
		return h.Account, err
	default:
		return store.HolderAccount(k.Account), nil
	}
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNone
	}
	return a, err
}

func (p *Person) read(ctx context.Context, tx *sqldb.Tx, a store.Account) (err error) {
	var until, closed sql.NullInt64
	err = tx.QueryRow(ctx, `
		SELECT h.account, h.name, h.number, h.pin_wrong >= ?, h.until_ms, h.closed_ms, h.daily_limit_fen, a.balance_fen
		FROM holders h JOIN accounts a ON a.account = h.account WHERE h.account = ?`, store.PINTriesMax, a).
		Scan(&p.Account, &p.Name, &p.Number, &p.PINLocked, &until, &closed, &p.Limit, &p.Balance)
	if errors.Is(err, sql.ErrNoRows) {
		return store.ErrNone
	}
	if err != nil {
		return err
	}
	p.Until, p.Closed = moment(until), moment(closed)
	p.Held, err = store.Held(ctx, tx, a)
	if err == nil {
		p.Coming, err = store.Coming(ctx, tx, a)
	}
	if err != nil {
		return err
	}
	places, err := place.Read(ctx, tx)
	if err != nil {
		return err
	}
	err1 := sqldb.Each(ctx, tx, p.addCard, `
		SELECT card_no, account, uid, status, mirror_fen FROM cards WHERE account = ? ORDER BY status, card_no`, a)
	err2 := sqldb.Each(ctx, tx, p.addOpen, openOf, a, int64(journal.SaleIntent))
	err3 := sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		act, err := scanAct(rows)
		p.Acts = append(p.Acts, act)
		return err
	}, selectAct+`WHERE account = ? ORDER BY at_ms DESC, ref LIMIT ?`, a, actsShown)
	err4 := sqldb.Each(ctx, tx, func(rows *sql.Rows) error { return p.addFound(rows, places) }, `
		SELECT f.card_no, f.terminal, f.at_ms FROM cards c JOIN found_cards f ON f.version = (
			SELECT max(version) FROM hot_changes WHERE card_no = c.card_no)
		WHERE c.account = ? AND c.status = 2 ORDER BY f.told_ms, f.terminal`, a)
	err5 := sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		r, err := scanRefusal(rows)
		r.Where = places.At(r.Terminal, r.At)
		if p.Refused == nil {
			p.Refused = map[string]NameRefused{}
		}
		p.Refused[r.Card] = r
		return err
	}, inForce+`c.account = ?2`, int64(Rewritten), a)
	return errors.Join(err1, err2, err3, err4, err5)
}

// addFound keeps the last place of each card.
func (p *Person) addFound(rows *sql.Rows, places place.Map) error {
	var no, terminal string
	var at int64
	err := rows.Scan(&no, &terminal, &at)
	if p.Found == nil {
		p.Found = map[string]Where{}
	}
	w := Where{Terminal: terminal, At: time.UnixMilli(at).UTC()}
	w.Where = places.At(terminal, w.At)
	p.Found[no] = w
	return err
}

func (p *Person) addCard(rows *sql.Rows) error {
	var c store.Card
	err := rows.Scan(&c.No, &c.Account, &c.UID, &c.Status, &c.Mirror)
	p.Cards = append(p.Cards, c)
	return err
}

// openOf is what keeps an account from being closed, besides its balance, as store's
// LeftOf has it, for the card that is not lost; and sales in doubt of those that are.
const openOf = `
	SELECT 1, amount_fen, created_ms, terminal FROM orders WHERE account = ?1 AND state < 4
	UNION ALL
	SELECT 2, l.amount_fen, l.created_ms, l.terminal FROM loads l JOIN cards c ON c.card_no = l.card_no
		WHERE c.account = ?1 AND c.status = 1 AND l.state = 1
	UNION ALL
	SELECT CASE WHEN c.status = 1 THEN 3 ELSE 5 END, l.amount_fen, l.opened_ms, l.merchant
		FROM claims l JOIN cards c ON c.card_no = l.card_no
		WHERE l.account = ?1 AND l.kind = ?2 AND l.state = 1
	UNION ALL
	SELECT 4, amount_fen, placed_ms, merchant FROM holds WHERE account = ?1 AND state <= 2
	UNION ALL
	SELECT 6, amount_fen, created_ms, biller FROM bills WHERE account = ?1 AND state IN (1, 2, 3, 6)
	UNION ALL
	SELECT 7, r.cap_fen, r.made_ms, h.merchant FROM bath_reservations r JOIN bath_halls h ON h.hall = r.hall
		WHERE r.account = ?1 AND r.hold = 1`

func (p *Person) addOpen(rows *sql.Rows) error {
	var o Open
	var since int64
	err := rows.Scan(&o.Kind, &o.Amount, &since, &o.Place)
	o.Since = time.UnixMilli(since).UTC()
	p.Open = append(p.Open, o)
	return err
}

func moment(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}
