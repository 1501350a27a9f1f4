package bath

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// Act is what a holder asks for about a reservation. The terminal has written down Ref
// before: asked again, the act is answered as it was, and does nothing.
type Act struct {
	Ref         string
	Terminal    string
	Account     store.Account
	Reservation string
}

// kind is what an act does. Stored: never renumbered.
type kind int

const (
	cancels kind = 1
	closes  kind = 2 // by a stub
)

// begin locks an act's name and its reservation. was says that the act was done before:
// the reservation is as it stands by now. It refuses what was refused before and has
// counted, what the terminal has given up, and what is not the holder's.
func (a Act) begin(ctx context.Context, tx *sqldb.Tx, k kind) (r Reservation, was bool, err error) {
	if err := lockRef(ctx, tx, a.Ref); err != nil {
		return r, false, err
	}
	all, err := lockWhere(ctx, tx, `r.ref = ?`, a.Reservation)
	if err != nil {
		return r, false, err
	}
	if len(all) == 0 || all[0].Account != a.Account {
		return r, false, refuse(RefUnknown)
	}
	was, err = a.before(ctx, tx, k)
	if err == nil && !was {
		err = mayBegin(ctx, tx, a.Ref)
	}
	return all[0], was, err
}

// before returns what the same act came to before, if it was here.
func (a Act) before(ctx context.Context, tx *sqldb.Tx, k kind) (was bool, err error) {
	var same bool
	var tries sql.NullInt64
	err = tx.QueryRow(ctx, `
		SELECT terminal = ?2 AND kind = ?3 AND reservation = ?4, tries FROM bath_acts WHERE ref = ?1`,
		a.Ref, a.Terminal, int64(k), a.Reservation).Scan(&same, &tries)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read act: %w", err)
	case !same:
		return false, refuse(Conflict)
	case tries.Valid:
		return false, &Refusal{Reason: StubWrong, Tries: int(tries.Int64)}
	}
	return true, nil
}

// keep writes down that an act was done, or that its stub was wrong.
func (a Act) keep(ctx context.Context, tx *sqldb.Tx, k kind, at int64, wrong *Refusal) error {
	var tries any
	if wrong != nil {
		tries = wrong.Tries
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO bath_acts (ref, terminal, kind, reservation, tries, at_ms) VALUES (?, ?, ?, ?, ?, ?)`,
		a.Ref, a.Terminal, int64(k), a.Reservation, tries, at)
	if err != nil {
		return fmt.Errorf("keep act: %w", err)
	}
	return nil
}

// Cancel gives a reservation up. What it holds is let go later: see the package.
// One that is cancelled already is returned as it stands.
func (d *Desk) Cancel(ctx context.Context, a Act) (r Reservation, err error) {
	err = d.books.Write(ctx, func(tx *sqldb.Tx) (err error) {
		r, err = d.cancel(ctx, tx, a)
		return err
	})
	var no *Refusal
	if errors.As(err, &no) {
		return Reservation{}, no
	}
	if err != nil {
		return Reservation{}, fmt.Errorf("cancel: %w", err)
	}
	return r, nil
}

func (d *Desk) cancel(ctx context.Context, tx *sqldb.Tx, a Act) (Reservation, error) {
	r, was, err := a.begin(ctx, tx, cancels)
	if err != nil || was {
		return r, err
	}
	now := d.books.Now()
	switch {
	case r.State == Cancelled:
		return r, a.keep(ctx, tx, cancels, now.UnixMilli(), nil)
	case r.State != Reserved:
		return r, refuse(Over)
	case now.After(r.CancelTill):
		return r, refuse(TooLate)
	}
	_, err = tx.Exec(ctx, `UPDATE bath_reservations SET state = ?, moved_ms = ? WHERE ref = ?`,
		int64(Cancelled), now.UnixMilli(), r.Ref)
	if err != nil {
		return r, err
	}
	if err := a.keep(ctx, tx, cancels, now.UnixMilli(), nil); err != nil {
		return r, err
	}
	return readOne(ctx, tx, r.Ref)
}
