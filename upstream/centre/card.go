package centre

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// CardLife is how long a card says that it is good. Who leaves before has it
// retired.
const CardLife = 10 // years

// ErrTaken means that the keys which a card asks for are another card's.
var ErrTaken = errors.New("centre: another card has these keys")

// Made is a card that is being made, under the name of the act that is to issue it.
type Made struct {
	Ref      string
	Terminal string
	Clerk    string
	Account  store.Account
	CardNo   string
	UID      string
	Factor   *[8]byte // of its keys; nil before the first was asked for
	At       time.Time
}

func (m Made) check() error {
	const digits = "0123456789ABCDEF"
	switch {
	case m.Ref == "" || len(m.Ref) > refMax || m.Clerk == "" || m.Terminal == "":
		return refused("it has no name, no clerk or no place")
	case len(m.UID) < 8 || len(m.UID) > 20 || strings.Trim(m.UID, digits) != "":
		return refused("that is no chip's number")
	}
	return nil
}

// Begin gives a number to a card that is to be made for a holder. Nothing is issued
// by it. The same name again has the same number; for another holder, or another
// chip, it is [store.ErrConflict].
func (d *Desk) Begin(ctx context.Context, m Made) (Made, error) {
	if err := m.check(); err != nil {
		return Made{}, err
	}
	err := d.books.Write(ctx, func(tx *sqldb.Tx) error {
		if err := lockRef(ctx, tx, m.Ref); err != nil {
			return err
		}
		was, err := readMade(ctx, tx, m.Ref)
		if err == nil {
			same := was.Terminal == m.Terminal && was.Account == m.Account && was.UID == m.UID
			if m = was; !same {
				return store.ErrConflict
			}
			return nil
		}
		if !errors.Is(err, store.ErrNone) {
			return err
		}
		if err := errors.Join(mayBegin(ctx, tx, m.Ref), d.mustBeOpen(ctx, tx, m.Account)); err != nil {
			return err
		}
		m.At = d.books.Now().Truncate(time.Millisecond).UTC()
		return d.begin(ctx, tx, &m)
	})
	if err != nil {
		return Made{}, fmt.Errorf("begin a card for %s: %w", m.Account, err)
	}
	return m, nil
}

// numbersTried is how many numbers are drawn before something is wrong with chance.
const numbersTried = 20

// begin draws a number that no card has had: 0000, the year, 9, and eleven digits.
func (d *Desk) begin(ctx context.Context, tx *sqldb.Tx, m *Made) error {
	for range numbersTried {
		n, err := rand.Int(rand.Reader, big.NewInt(100_000_000_000))
		if err != nil {
			return err
		}
		m.CardNo = fmt.Sprintf("0000%04d9%011d", m.At.Year(), n)
		var taken bool
		err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM cards WHERE card_no = ?)`, m.CardNo).Scan(&taken)
		if err != nil {
			return err
		}
		if taken {
			continue
		}
		made, err := affected(tx.Exec(ctx, `
			INSERT INTO centre_cards (ref, terminal, clerk, account, card_no, uid, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (card_no) DO NOTHING`,
			m.Ref, m.Terminal, m.Clerk, m.Account, m.CardNo, m.UID, m.At.UnixMilli()))
		if err != nil || made {
			return err
		}
	}
	return errors.New("centre: no number is free")
}

// Bind notes which keys a card that was begun gets, before any of them is made, and
// returns the card. [ErrTaken] if another card has them. A name that was never begun
// at the terminal is [store.ErrNone].
func (d *Desk) Bind(ctx context.Context, terminal, ref string, factor [8]byte) (m Made, err error) {
	err = d.books.Write(ctx, func(tx *sqldb.Tx) error {
		if err := tx.Lock(ctx, "centre factors"); err != nil {
			return err
		}
		m, err = readMade(ctx, tx, ref)
		switch {
		case err != nil:
			return err
		case m.Terminal != terminal:
			return store.ErrNone
		case m.Factor != nil && *m.Factor != factor:
			return store.ErrConflict
		case m.Factor != nil:
			return nil
		}
		m.Factor = &factor
		return errors.Join(mayBegin(ctx, tx, ref), bind(ctx, tx, ref, factor))
	})
	if err != nil {
		return Made{}, fmt.Errorf("keys of the card of %q: %w", ref, err)
	}
	return m, nil
}

func bind(ctx context.Context, tx *sqldb.Tx, ref string, factor [8]byte) error {
	var taken bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM cards WHERE factor = ?1)
		OR EXISTS (SELECT 1 FROM centre_cards WHERE factor = ?1)`, factor[:]).Scan(&taken)
	switch {
	case err != nil:
		return err
	case taken:
		return ErrTaken
	}
	_, err = tx.Exec(ctx, `UPDATE centre_cards SET factor = ? WHERE ref = ?`, factor[:], ref)
	return err
}

// ErrNotMade means that a card was not made here, so that nobody here has the key
// by which what it says of its holder can be changed.
var ErrNotMade = errors.New("centre: the card was not made here")

// Rewritable returns the card with a number, if it may be made to say something else
// of its holder: it was made here, may be used, and its account is open. The error
// is [store.ErrNone], [ErrNotMade], [ErrEnded] or [ErrRefused].
func (d *Desk) Rewritable(ctx context.Context, no string) (c store.Card, err error) {
	err = d.books.Read(ctx, func(tx *sqldb.Tx) error {
		var made bool
		var factor []byte
		err := tx.QueryRow(ctx, `
			SELECT card_no, account, status, factor, EXISTS (
				SELECT 1 FROM centre_cards m WHERE m.card_no = c.card_no AND m.factor = c.factor)
			FROM cards c WHERE card_no = ?`, no).Scan(&c.No, &c.Account, &c.Status, &factor, &made)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return store.ErrNone
		case err != nil:
			return err
		case c.Status != store.CardActive:
			return refused("card %s has status %d", no, c.Status)
		case !made:
			return ErrNotMade
		}
		copy(c.Factor[:], factor)
		if no, err := refusalOf(ctx, tx, no); err != nil || no != nil {
			return errors.Join(err, stubborn(no))
		}
		return d.mustBeOpen(ctx, tx, c.Account)
	})
	if err != nil {
		return store.Card{}, fmt.Errorf("rewrite a card: %w", err)
	}
	return c, nil
}

// Made returns the card that was begun under a name, or [store.ErrNone].
func (d *Desk) Made(ctx context.Context, ref string) (Made, error) {
	return readMade(ctx, d.books.Live(), ref)
}

func readMade(ctx context.Context, q sqldb.Querier, ref string) (m Made, err error) {
	var factor []byte
	var at int64
	err = q.QueryRow(ctx, `
		SELECT ref, terminal, clerk, account, card_no, uid, factor, at_ms FROM centre_cards WHERE ref = ?`, ref).
		Scan(&m.Ref, &m.Terminal, &m.Clerk, &m.Account, &m.CardNo, &m.UID, &factor, &at)
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNone
	}
	if err == nil && factor != nil {
		m.Factor = (*[8]byte)(factor)
	}
	m.At = time.UnixMilli(at).UTC()
	return m, err
}

func affected(res sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}
