package lost

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

// TakeFound takes it that a lost card lies on a terminal's reader. Said again of the
// same loss by the same terminal, it changes nothing. Refusal: NotLost.
func (d *Desk) TakeFound(ctx context.Context, f Found) error {
	err := d.books.Write(ctx, func(tx *sqldb.Tx) error {
		var version int64
		err := tx.QueryRow(ctx, `
			SELECT `+lastChange+` FROM cards c WHERE c.card_no = ? AND c.status = 2`, f.CardNo).Scan(&version)
		if errors.Is(err, sql.ErrNoRows) {
			return refuse(NotLost)
		}
		if err != nil {
			return err
		}
		now := d.books.Now().UnixMilli()
		_, err = tx.Exec(ctx, `
			INSERT INTO found_cards (version, terminal, card_no, at_ms, told_ms) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO NOTHING`, version, f.Terminal, f.CardNo, f.At.UnixMilli(), now)
		return err
	})
	if err != nil {
		return fmt.Errorf("found card at %s: %w", f.Terminal, err)
	}
	return nil
}

// foundOf returns where a lost card of an account was laid down last since it was
// lost, or nil.
func foundOf(ctx context.Context, q sqldb.Querier, a store.Account) (*Found, error) {
	var f Found
	var at int64
	err := q.QueryRow(ctx, `
		SELECT f.card_no, f.terminal, f.at_ms FROM cards c JOIN found_cards f ON f.version = `+lastChange+`
		WHERE c.account = ? AND c.status = 2 ORDER BY f.told_ms DESC, f.terminal LIMIT 1`, a).
		Scan(&f.CardNo, &f.Terminal, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f.At = time.UnixMilli(at).UTC()
	places, err := place.Read(ctx, q)
	f.Where = places.At(f.Terminal, f.At)
	return &f, err
}
