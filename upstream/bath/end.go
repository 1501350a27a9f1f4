package bath

import (
	"context"
	"errors"
	"fmt"

	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// End says whether a terminal's reservation was made whose answer it has not heard.
// One that is not here is ended: it is refused as [Ended] if it still comes. Of another
// terminal's it knows nothing ([RefUnknown]).
func (d *Desk) End(ctx context.Context, terminal, ref string) (reserved bool, err error) {
	err = d.books.Write(ctx, func(tx *sqldb.Tx) error {
		if err := lockRef(ctx, tx, ref); err != nil {
			return err
		}
		r, err := readOne(ctx, tx, ref)
		switch reserved = err == nil; {
		case reserved && r.Terminal != terminal:
			return refuse(RefUnknown)
		case reserved || !errors.Is(err, store.ErrNone):
			return err
		}
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
		return false, fmt.Errorf("end reservation: %w", err)
	}
	return reserved, nil
}

// lockRef has one decide after the other what becomes of a reference. It comes before
// all other locks.
func lockRef(ctx context.Context, tx *sqldb.Tx, ref string) error {
	return tx.Lock(ctx, "bath reservation "+ref)
}

// findEnded refuses what the terminal has given up.
func (t *taking) findEnded() error {
	refs, err := sqldb.Texts(t.ctx, t.tx, `SELECT ref FROM bath_ended WHERE ref = ?`, t.Ref)
	if err == nil && len(refs) > 0 {
		err = refuse(Ended)
	}
	return err
}
