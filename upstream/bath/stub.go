package bath

import (
	"context"
	"errors"
	"fmt"

	"quancun/bathcode"
	"quancun/money"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// stubsMax is how many wrong stubs of a reservation there may be. With a cap of five
// yuan, who guesses is right once in 40 000 times.
const stubsMax = 5

// Closing is what its holder says about a shower.
type Closing struct {
	Act
	Stub string // as it was typed
}

// Close has a holder pay for a shower by its stub (结算码), which the controller has
// shown at its end, and lets go of the rest of what was held: the controller's log may
// come days later, and has to say the same. What is paid already is returned as it
// stands. A stub that is wrong is counted once, however often its act is repeated.
func (d *Desk) Close(ctx context.Context, c Closing) (r Reservation, err error) {
	stub, err := bathcode.Parse(c.Stub)
	if err != nil {
		return Reservation{}, refuse(Malformed)
	}
	var wrong *Refusal // which is counted, so that the transaction has to be kept
	err = d.books.Write(ctx, func(tx *sqldb.Tx) (err error) {
		wrong = nil
		was := false
		r, was, err = c.begin(ctx, tx, closes)
		switch {
		case err != nil || was:
			return err
		case r.State == Used:
		case r.Hold != Held:
			return refuse(Over)
		case r.wrong >= stubsMax:
			return refuse(StubLocked)
		default:
			if r, wrong, err = d.closeBy(ctx, tx, r, stub, c.Terminal); err != nil {
				return err
			}
		}
		return c.keep(ctx, tx, closes, d.books.Now().UnixMilli(), wrong)
	})
	var no *Refusal
	switch {
	case errors.As(err, &no):
		return Reservation{}, no
	case err != nil:
		return Reservation{}, fmt.Errorf("close by stub: %w", err)
	case wrong != nil:
		return Reservation{}, wrong
	}
	return r, nil
}

// closeBy pays what a stub says, or counts that it is wrong.
func (d *Desk) closeBy(ctx context.Context, tx *sqldb.Tx, r Reservation, stub bathcode.Code, terminal string,
) (Reservation, *Refusal, error) {
	var merchant store.Account
	var now money.Fen // the hall's cap, which its controller may have by now
	err := tx.QueryRow(ctx, `SELECT 'merchant/' || merchant, cap_fen FROM bath_halls WHERE hall = ?`,
		r.Slot.Place.Hall).Scan(&merchant, &now)
	if err != nil {
		return Reservation{}, nil, err
	}
	cost, ok := d.master.Key(r.Slot.Place, r.Slot.Day).Cost(stub, r.Slot, r.N, max(r.Cap, now))
	if !ok {
		_, err := tx.Exec(ctx, `UPDATE bath_reservations SET stubs_wrong = stubs_wrong + 1 WHERE ref = ?`, r.Ref)
		return Reservation{}, &Refusal{Reason: StubWrong, Tries: stubsMax - r.wrong - 1}, err
	}
	cost = min(cost, r.Cap) // the rest is the campus's loss
	_, err = tx.Exec(ctx, `UPDATE bath_reservations SET stub_fen = ?, stub_terminal = ? WHERE ref = ?`,
		cost, terminal, r.Ref)
	if err != nil {
		return Reservation{}, nil, err
	}
	p := paying{ctx, tx, d, d.books.Now()}
	if _, err := p.pay(merchant, []capture{{r, cost, p.now}}); err != nil {
		return Reservation{}, nil, err
	}
	r, err = readOne(ctx, tx, r.Ref)
	return r, nil, err
}
