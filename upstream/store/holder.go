package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"quancun/money"
	"quancun/upstream/store/sqldb"
)

// Account is a line of the ledger's chart of accounts, such as
// "holder/2026000101". Credits are positive in all of them.
type Account string

// Accounts that are not a holder's.
const (
	ChannelAlipay Account = "channel/alipay"
	Opening       Account = "opening/balances" // what holders brought from before these books
)

const holderPrefix = "holder/"

// HolderAccount returns the account of the holder with an account number.
func HolderAccount(no string) Account { return Account(holderPrefix + no) }

// No returns the account number of a holder's account.
func (a Account) No() string {
	return strings.TrimPrefix(string(a), holderPrefix)
}

func (a Account) ofHolder() bool { return strings.HasPrefix(string(a), holderPrefix) }

// PINTriesMax is how many wrong PINs in a row lock it.
const PINTriesMax = 5

// PIN is how a PIN is kept: never as itself.
type PIN struct {
	Salt [16]byte
	Hash [32]byte
}

// Holder is a person with an account.
type Holder struct {
	Account   Account
	Name      string
	Number    string // student or staff number
	PINLocked bool
}

// CardStatus says whether a card may be used. Stored: never renumbered.
type CardStatus int

// The statuses of a card; one that is not in the books is unknown.
const (
	CardActive  CardStatus = 1
	CardHot     CardStatus = 2
	CardRetired CardStatus = 4
)

// Card is a card that was issued here.
type Card struct {
	No      string // 20 hexadecimal digits, upper case
	Account Account
	Factor  [8]byte // diversification factor of its keys
	UID     string
	Status  CardStatus
	Mirror  money.Fen // what its purse holds by all movements that we know
}

// AddHolder adds a holder with an opening balance. For a Number that is there
// already it returns ErrConflict.
func (b *Books) AddHolder(ctx context.Context, h Holder, pin PIN, opening money.Fen) error {
	err := b.db.Write(ctx, func(tx *sqldb.Tx) error {
		made, err := b.OpenHolder(ctx, tx, h, pin)
		if err == nil && !made {
			err = ErrConflict
		}
		if err != nil || opening == 0 {
			return err
		}
		_, err = b.post(ctx, tx, Entry{
			Kind: KindOpening, Place: "opening", Debit: Opening, Credit: h.Account, Amount: opening,
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("add holder: %w", err)
	}
	return nil
}

// OpenHolder adds a holder with nothing on the account, in a transaction, and
// reports whether there was none yet.
func (b *Books) OpenHolder(ctx context.Context, tx *sqldb.Tx, h Holder, pin PIN) (made bool, err error) {
	err = fresh(tx.Exec(ctx, `INSERT INTO accounts (account) VALUES (?) ON CONFLICT DO NOTHING`, h.Account))
	if err == nil {
		err = fresh(tx.Exec(ctx, `
			INSERT INTO holders (account, name, number, pin_salt, pin_hash) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO NOTHING`,
			h.Account, h.Name, h.Number, pin.Salt[:], pin.Hash[:]))
	}
	if errors.Is(err, ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// SetUntil gives a holder's account a moment from which on nothing is approved
// for it.
func (b *Books) SetUntil(ctx context.Context, tx *sqldb.Tx, a Account, t time.Time) error {
	return changed(tx.Exec(ctx, `UPDATE holders SET until_ms = ? WHERE account = ?`, t.UnixMilli(), a))
}

// CloseHolder closes a holder's account for good.
func (b *Books) CloseHolder(ctx context.Context, tx *sqldb.Tx, a Account, at time.Time) error {
	if _, err := tx.Exec(ctx, `DELETE FROM holder_photos WHERE account = ?`, a); err != nil {
		return err
	}
	return changed(tx.Exec(ctx, `UPDATE holders SET closed_ms = ? WHERE account = ? AND closed_ms IS NULL`,
		at.UnixMilli(), a))
}

// LeftOf says what is left of a holder's account or under way for it, in words;
// "" is nothing. cards are those in the holder's hand: a sale or a load of another one may
// be in doubt for ever. A load moves no money, and that of the sale is in suspense; if it
// comes back, it is listed as what came onto a closed account. It locks the account until
// the transaction ends.
func (b *Books) LeftOf(ctx context.Context, tx *sqldb.Tx, a Account, cards []string) (what string, err error) {
	at, err := b.lockAccounts(ctx, tx, []Account{a}, nil)
	if err != nil {
		return "", err
	}
	if f := at[a].Balance; f != 0 {
		return "the account stands at " + f.String(), nil
	}
	for _, u := range []struct {
		name, query string
		of          any
	}{
		{"money is held for a sale, or cash is being taken", `SELECT 1 FROM holds WHERE account = ? AND state <= 2`, a},
		{"money is held for a bath", `SELECT 1 FROM bath_reservations WHERE account = ? AND hold = 1`, a},
		{"a sale is in doubt", `SELECT 1 FROM claims WHERE card_no = ANY (?) AND state = 1 AND kind = 40`, cards},
		{"a top-up is under way", `SELECT 1 FROM orders WHERE account = ? AND state < 4`, a},
		{"a bill is being paid", `SELECT 1 FROM bills WHERE account = ? AND state IN (1, 2, 3, 6)`, a},
		{"a load is under way", `SELECT 1 FROM loads WHERE card_no = ANY (?) AND state = 1`, cards},
	} {
		var some bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (`+u.query+`)`, u.of).Scan(&some); err != nil || some {
			return u.name, err
		}
	}
	return "", nil
}

// Holder returns the holder of an account, or ErrNone.
func (b *Books) Holder(ctx context.Context, a Account) (h Holder, err error) {
	err = b.db.QueryRow(ctx,
		`SELECT account, name, number, pin_wrong >= ? FROM holders WHERE account = ?`, PINTriesMax, a).
		Scan(&h.Account, &h.Name, &h.Number, &h.PINLocked)
	return h, none(err)
}

// Numbered returns the holder whose student or staff number a person has typed, or
// ErrNone. How its ASCII letters are written does not matter, unless two differ in
// nothing else: then only one that is written so is meant.
func Numbered(ctx context.Context, q sqldb.Querier, typed string) (h Holder, err error) {
	var found []Holder
	err = sqldb.Each(ctx, q, func(rows *sql.Rows) error {
		var h Holder
		err := rows.Scan(&h.Account, &h.Name, &h.Number, &h.PINLocked)
		found = append(found, h)
		return err
	}, byNumber, PINTriesMax, FoldNumber(typed))
	if err != nil {
		return Holder{}, err
	}
	for _, h := range found {
		if h.Number == typed || len(found) == 1 {
			return h, nil
		}
	}
	return Holder{}, ErrNone
}

// byNumber is what an index is of: without it everybody would be looked at.
const byNumber = `SELECT account, name, number, pin_wrong >= ? FROM holders WHERE lower(number COLLATE "C") = ?`

// FoldNumber returns a number with its ASCII letters in lower case, and no other
// changed: both engines do that too.
func FoldNumber(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r - 'A' + 'a'
		}
		return r
	}, s)
}

// LockHolder holds a holder's row until the transaction ends, and returns it, or
// ErrNone.
func (b *Books) LockHolder(ctx context.Context, tx *sqldb.Tx, a Account) (h Holder, err error) {
	err = tx.QueryRow(ctx, `
		SELECT account, name, number, pin_wrong >= ? FROM holders WHERE account = ? FOR NO KEY UPDATE`, PINTriesMax, a).
		Scan(&h.Account, &h.Name, &h.Number, &h.PINLocked)
	return h, none(err)
}

// HasHolders reports whether anybody has an account.
func (b *Books) HasHolders(ctx context.Context) (has bool, err error) {
	err = b.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM holders)`).Scan(&has)
	return has, err
}

// AddCard adds a card whose purse holds c.Mirror already.
func (b *Books) AddCard(ctx context.Context, c Card) error {
	err := b.db.Write(ctx, func(tx *sqldb.Tx) error {
		if err := b.IssueCard(ctx, tx, c); err != nil || c.Mirror == 0 {
			return err
		}
		return b.movePurse(ctx, tx, purseMove{card: c.No, kind: KindOpening, amount: c.Mirror, place: "opening"})
	})
	if err != nil {
		return fmt.Errorf("add card: %w", err)
	}
	return nil
}

// IssueCard adds a card whose purse is empty, in a transaction.
func (b *Books) IssueCard(ctx context.Context, tx *sqldb.Tx, c Card) error {
	_, err := tx.Exec(ctx,
		`INSERT INTO cards (card_no, account, factor, uid, status) VALUES (?, ?, ?, ?, ?)`,
		c.No, c.Account, c.Factor[:], c.UID, c.Status)
	if err == nil && c.Status != CardActive {
		err = b.hotChange(ctx, tx, c.No, c.Status)
	}
	return err
}

// SetCardStatus reports a card lost, retires it, or takes it back, and puts
// that on the hotlist in the same moment.
func (b *Books) SetCardStatus(ctx context.Context, no string, s CardStatus) error {
	return b.db.Write(ctx, func(tx *sqldb.Tx) error {
		if err := lockRow(ctx, tx, `SELECT 1 FROM cards WHERE card_no = ? FOR NO KEY UPDATE`, no); err != nil {
			return err
		}
		return b.ChangeCard(ctx, tx, no, s)
	})
}

// ChangeCard is [Books.SetCardStatus] in a transaction that holds the card.
func (b *Books) ChangeCard(ctx context.Context, tx *sqldb.Tx, no string, s CardStatus) error {
	err := changed(tx.Exec(ctx, `UPDATE cards SET status = ?1 WHERE card_no = ?2 AND status <> ?1`, s, no))
	if errors.Is(err, ErrNone) {
		return nil // it has it already
	}
	return errors.Join(err, b.hotChange(ctx, tx, no, s))
}

// Card returns a card, or ErrNone if it was not issued here.
func (b *Books) Card(ctx context.Context, no string) (Card, error) { return readCard(ctx, b.db, no) }

func readCard(ctx context.Context, q sqldb.Querier, no string) (c Card, err error) {
	var factor []byte
	err = q.QueryRow(ctx,
		`SELECT card_no, account, factor, uid, status, mirror_fen FROM cards WHERE card_no = ?`, no).
		Scan(&c.No, &c.Account, &factor, &c.UID, &c.Status, &c.Mirror)
	if err != nil {
		return Card{}, none(err)
	}
	c.Factor = [8]byte(factor)
	return c, nil
}

// CardsOf returns the cards of an account.
func (b *Books) CardsOf(ctx context.Context, a Account) (all []Card, err error) {
	return b.CardsIn(ctx, b.db, a)
}

// CardsIn is [Books.CardsOf] as q sees them.
func (b *Books) CardsIn(ctx context.Context, q sqldb.Querier, a Account) (all []Card, err error) {
	var nos []string
	err = sqldb.Each(ctx, q, func(rows *sql.Rows) error {
		var no string
		err := rows.Scan(&no)
		nos = append(nos, no)
		return err
	}, `SELECT card_no FROM cards WHERE account = ? ORDER BY card_no`, a)
	for _, no := range nos {
		c, err := readCard(ctx, q, no)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, err
}

// ReservePINTry counts a try as wrong before anybody knows, and returns what
// the PIN is to be checked against and how many tries would then be left. So
// neither a crash nor guesses in parallel give a try more than there is. Its
// error is ErrPINLocked when there is none left.
func (b *Books) ReservePINTry(ctx context.Context, a Account) (pin PIN, left int, err error) {
	var salt, hash []byte
	var wrong int
	err = b.db.Write(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `
			UPDATE holders SET pin_wrong = pin_wrong + 1 WHERE account = ? AND pin_wrong < ?
			RETURNING pin_salt, pin_hash, pin_wrong`, a, PINTriesMax).Scan(&salt, &hash, &wrong)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return PIN{}, 0, ErrPINLocked
	}
	if err != nil {
		return PIN{}, 0, fmt.Errorf("count PIN try: %w", err)
	}
	return PIN{[16]byte(salt), [32]byte(hash)}, PINTriesMax - wrong, nil
}

// ResetPINTries forgets the wrong tries, after a right one or by a clerk.
func (b *Books) ResetPINTries(ctx context.Context, a Account) error {
	return b.db.Write(ctx, func(tx *sqldb.Tx) error { return b.ForgetPINTries(ctx, tx, a) })
}

// ForgetPINTries is [Books.ResetPINTries] in a transaction.
func (b *Books) ForgetPINTries(ctx context.Context, tx *sqldb.Tx, a Account) error {
	return changed(tx.Exec(ctx, `UPDATE holders SET pin_wrong = 0 WHERE account = ?`, a))
}

// SetPIN gives an account another PIN, with all its tries.
func (b *Books) SetPIN(ctx context.Context, tx *sqldb.Tx, a Account, pin PIN) error {
	return changed(tx.Exec(ctx, `UPDATE holders SET pin_salt = ?, pin_hash = ?, pin_wrong = 0 WHERE account = ?`,
		pin.Salt[:], pin.Hash[:], a))
}

// SetName corrects a holder's name.
func (b *Books) SetName(ctx context.Context, tx *sqldb.Tx, a Account, name string) error {
	return changed(tx.Exec(ctx, `UPDATE holders SET name = ? WHERE account = ?`, name, a))
}

// SetDailyLimit sets what a holder may spend in a day before the PIN is asked,
// and returns what was set before: nil where it was the school's.
func (b *Books) SetDailyLimit(ctx context.Context, tx *sqldb.Tx, a Account, limit money.Fen,
) (was *money.Fen, err error) {
	err = tx.QueryRow(ctx, `SELECT daily_limit_fen FROM holders WHERE account = ?`, a).Scan(&was)
	if err != nil {
		return nil, none(err)
	}
	return was, changed(tx.Exec(ctx, `UPDATE holders SET daily_limit_fen = ? WHERE account = ?`, limit, a))
}
