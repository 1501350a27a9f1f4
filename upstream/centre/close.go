package centre

import (
	"context"
	"errors"
	"fmt"

	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// ErrClosed means that the terminal has given the act up: it is never done.
var ErrClosed = fmt.Errorf("%w: its terminal has closed it", ErrRefused)

// Close returns a terminal's act if it was done, and otherwise sees to it that it
// never is. It is for an act whose answer was lost, and may be repeated. The act
// of another terminal is [store.ErrConflict].
func (d *Desk) Close(ctx context.Context, terminal, ref string) (a Act, was bool, err error) {
	if ref == "" || len(ref) > refMax {
		return Act{}, false, refused("it has no name")
	}
	err = d.books.Write(ctx, func(tx *sqldb.Tx) error {
		if err := lockRef(ctx, tx, ref); err != nil {
			return err
		}
		a, err = readAct(ctx, tx, ref)
		if was = err == nil; was && a.Place != terminal {
			return store.ErrConflict
		}
		if was || !errors.Is(err, store.ErrNone) {
			return err
		}
		return d.close(ctx, tx, terminal, ref)
	})
	if err != nil {
		return Act{}, false, fmt.Errorf("close %q: %w", ref, err)
	}
	return a, was, nil
}

func (d *Desk) close(ctx context.Context, tx *sqldb.Tx, terminal, ref string) error {
	_, err := tx.Exec(ctx, `INSERT INTO centre_closed (ref, terminal, at_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
		ref, terminal, d.books.Now().UnixMilli())
	return err
}

// lockRef keeps whoever does, or closes, the act of the same name out until the
// transaction ends.
func lockRef(ctx context.Context, tx *sqldb.Tx, ref string) error { return tx.Lock(ctx, "centre "+ref) }

// mayBegin returns nil if nobody has closed the act of a name.
func mayBegin(ctx context.Context, tx *sqldb.Tx, ref string) error {
	var closed bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM centre_closed WHERE ref = ?)`, ref).Scan(&closed)
	if err == nil && closed {
		err = ErrClosed
	}
	return err
}
