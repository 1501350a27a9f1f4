package centre

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"quancun/upstream/place"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// ErrStubborn means that a card has refused another name before. It is not to be tried
// again: three wrong MACs in a row lock a card for good.
var ErrStubborn = errors.New("centre: the card has refused another name before")

// NameRefused is that a card was seen to refuse another name of its holder.
type NameRefused struct {
	Ref      string // of the attempt
	Card     string
	Terminal string
	Clerk    string
	Status   uint16    // the card's own word
	At       time.Time // never later than now, but for a clock that was ahead
	Where    place.Place
}

// TakeRefusal writes down that a card has refused. The same again changes nothing. It
// returns [store.ErrNone] for a card that is not ours.
func (d *Desk) TakeRefusal(ctx context.Context, r NameRefused) error {
	now := d.books.Now()
	if r.At.IsZero() || r.At.After(now) {
		r.At = now
	}
	err := d.books.Write(ctx, func(tx *sqldb.Tx) error {
		var a store.Account
		err := tx.QueryRow(ctx, `SELECT account FROM cards WHERE card_no = ?`, r.Card).Scan(&a)
		if errors.Is(err, sql.ErrNoRows) {
			return store.ErrNone
		}
		if err != nil {
			return err
		}
		// What is dated later than now was rewritten before, by a clock that was ahead.
		var ahead int64
		err = tx.QueryRow(ctx, `SELECT CAST(coalesce(max(at_ms) + 1, 0) AS BIGINT) FROM centre_acts
			WHERE account = ? AND card_no = ? AND kind = ? AND at_ms > ?`, a, r.Card, Rewritten, now.UnixMilli()).
			Scan(&ahead)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO card_refusals (ref, card_no, terminal, clerk, status, at_ms) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (ref) DO NOTHING`, r.Ref, r.Card, r.Terminal, r.Clerk, int64(r.Status),
			max(r.At.UnixMilli(), ahead))
		return err
	})
	if err != nil {
		return fmt.Errorf("refusal of a card: %w", err)
	}
	return nil
}

// inForce finds the newest refusal of each card that was not rewritten since.
const inForce = `
	SELECT f.ref, f.card_no, f.terminal, f.clerk, f.status, f.at_ms FROM card_refusals f
	JOIN cards c ON c.card_no = f.card_no
	WHERE c.status <> 4 AND NOT EXISTS (SELECT 1 FROM centre_acts a
		WHERE a.card_no = f.card_no AND a.kind = ?1 AND a.at_ms >= f.at_ms)
	AND f.at_ms = (SELECT max(at_ms) FROM card_refusals WHERE card_no = f.card_no) AND `

// refusalOf returns the refusal of a card that is in force, or nil.
func refusalOf(ctx context.Context, tx *sqldb.Tx, card string) (r *NameRefused, err error) {
	err = sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		one, err := scanRefusal(rows)
		r = &one
		return err
	}, inForce+`f.card_no = ?2`, int64(Rewritten), card)
	return r, err
}

func scanRefusal(rows *sql.Rows) (r NameRefused, err error) {
	var status, at int64
	err = rows.Scan(&r.Ref, &r.Card, &r.Terminal, &r.Clerk, &status, &at)
	r.Status, r.At = uint16(status), time.UnixMilli(at).UTC()
	return r, err
}

// stubborn is what a refusal says to who would try again.
func stubborn(r *NameRefused) error {
	if r == nil {
		return nil
	}
	return fmt.Errorf("%w: at %s on %s, status word %04X", ErrStubborn, r.Terminal, r.At.Format(time.RFC3339), r.Status)
}
