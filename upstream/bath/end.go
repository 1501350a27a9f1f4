package bath

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"quancun/upstream/store/sqldb"
)

// End says whether a terminal's request was done whose answer it has not heard: a
// reservation, or an act about one. One that is not here is ended: it is refused as
// [Ended] if it still comes. Of another terminal's it knows nothing ([RefUnknown]).
func (d *Desk) End(ctx context.Context, terminal, ref string) (done bool, err error) {
	err = d.books.Write(ctx, func(tx *sqldb.Tx) error {
		if err := lockRef(ctx, tx, ref); err != nil {
			return err
		}
		var asked string
		err := tx.QueryRow(ctx, `
			SELECT terminal, true FROM bath_reservations WHERE ref = ?1
			UNION ALL SELECT terminal, tries IS NULL FROM bath_acts WHERE ref = ?1`, ref).Scan(&asked, &done)
		switch {
		case err == nil && asked != terminal:
			return refuse(RefUnknown)
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		done = false
		_, err = tx.Exec(ctx, `
			INSERT INTO bath_ended (ref, terminal, ended_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
			ref, terminal, d.books.Now().UnixMilli())
		return err
	})
	var no *Refusal
	if errors.As(err, &no) {
		return false, no
	}
	if err != nil {
		return false, fmt.Errorf("end request: %w", err)
	}
	return done, nil
}

// lockRef has one decide after the other what becomes of a reference. It comes before
// all other locks.
func lockRef(ctx context.Context, tx *sqldb.Tx, ref string) error {
	return tx.Lock(ctx, "bath reservation "+ref)
}

// mayBegin refuses what the terminal has given up, and what comes under the reference
// of something else.
func mayBegin(ctx context.Context, tx *sqldb.Tx, ref string) error {
	var ended, used bool
	err := tx.QueryRow(ctx, `
		SELECT EXISTS (SELECT 1 FROM bath_ended WHERE ref = ?1),
			EXISTS (SELECT 1 FROM bath_reservations WHERE ref = ?1) OR EXISTS (SELECT 1 FROM bath_acts WHERE ref = ?1)`,
		ref).Scan(&ended, &used)
	switch {
	case err != nil:
		return fmt.Errorf("read reference: %w", err)
	case ended:
		return refuse(Ended)
	case used:
		return refuse(Conflict)
	}
	return nil
}
