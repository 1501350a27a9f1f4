package bath

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
	"quancun/water"
)

// readOne returns a reservation, or [store.ErrNone].
func readOne(ctx context.Context, q sqldb.Querier, ref string) (Reservation, error) {
	all, err := readWhere(ctx, q, `r.ref = ?`, ref)
	if err != nil {
		return Reservation{}, err
	}
	if len(all) == 0 {
		return Reservation{}, store.ErrNone
	}
	return all[0], nil
}

// lockWhere holds the reservations that a condition finds until the transaction
// ends, and returns them by their serial numbers.
func lockWhere(ctx context.Context, tx *sqldb.Tx, where string, args ...any) ([]Reservation, error) {
	refs, err := sqldb.Texts(ctx, tx,
		`SELECT r.ref FROM bath_reservations r WHERE `+where+` ORDER BY r.ref FOR NO KEY UPDATE`, args...)
	if err != nil {
		return nil, fmt.Errorf("lock reservations: %w", err)
	}
	if len(refs) == 0 {
		return nil, nil
	}
	return readWhere(ctx, tx, `r.ref = ANY (?)`, refs)
}

func readWhere(ctx context.Context, q sqldb.Querier, where string, args ...any) (all []Reservation, err error) {
	err = sqldb.Each(ctx, q, func(rows *sql.Rows) error {
		r, err := scan(rows)
		all = append(all, r)
		return err
	}, `
		SELECT r.ref, r.terminal, r.account, r.hall, r.stall, r.day, r.slot, r.n, r.cap_fen, r.litre_fen,
			r.litre_pulses, r.from_ms, r.to_ms, r.cancel_ms, r.made_ms, r.state, r.moved_ms, r.hold,
			r.captured_fen, r.stub_fen, r.stubs_wrong,
			h.name, u.n, u.stall, u.start_s, u.end_s, u.pulses, u.amount_fen, u.pauses, u.ending
		FROM bath_reservations r JOIN bath_halls h ON h.hall = r.hall
		LEFT JOIN bath_uses u ON u.ref = r.ref AND u.part = 0
		WHERE `+where+` ORDER BY r.hall, r.day, r.slot, r.stall, r.n`, args...)
	if err != nil {
		return nil, fmt.Errorf("read reservations: %w", err)
	}
	return all, nil
}

func scan(rows *sql.Rows) (r Reservation, err error) {
	var from, to, till, made, moved int64
	var stub, n, stall, start, end, pulses, amount, pauses, ending sql.NullInt64
	err = rows.Scan(&r.Ref, &r.Terminal, &r.Account, &r.Slot.Place.Hall, &r.Slot.Place.Stall, &r.Slot.Day,
		&r.Slot.No, &r.N, &r.Cap, &r.Tariff.PerLitre, &r.Tariff.PulsesPerLitre, &from, &to, &till, &made, &r.State,
		&moved, &r.Hold, &r.Captured, &stub, &r.wrong,
		&r.HallName, &n, &stall, &start, &end, &pulses, &amount, &pauses, &ending)
	if stub.Valid {
		r.Stub = new(fen(stub))
	}
	r.From, r.To, r.CancelTill, r.Made, r.Moved = at(from), at(to), at(till), at(made), at(moved)
	if n.Valid {
		r.Use = &water.Use{
			N: uint8(n.Int64), Stall: uint16(stall.Int64), Start: start.Int64, End: end.Int64, Pulses: pulses.Int64,
			Amount: fen(amount), Pauses: int(pauses.Int64), Ending: water.Ending(ending.Int64),
		}
	}
	return r, err
}

// release lets go of what a reservation holds.
func release(ctx context.Context, tx *sqldb.Tx, refs ...string) error {
	if len(refs) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `UPDATE bath_reservations SET hold = 3 WHERE hold = 1 AND ref = ANY (?)`, refs)
	if err != nil {
		return fmt.Errorf("release %s: %w", strings.Join(refs, ", "), err)
	}
	return nil
}

func at(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
