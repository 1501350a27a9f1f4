package lost

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// How often somebody may be wrong. At a terminal there may be a queue of people who
// have all lost something and remember badly, but not thirty in an hour.
const (
	numberTries   = 5
	numberSpan    = 24 * time.Hour
	terminalTries = 30
	terminalSpan  = time.Hour
)

// who is whom a number is tried for: a keyed hash of it, since people type anything.
type who [32]byte

// try counts a try as wrong before anybody knows. Refusal: TooOften.
func (d *Desk) try(ctx context.Context, w who, terminal string) error {
	err := d.books.Write(ctx, func(tx *sqldb.Tx) error {
		err1 := tx.Lock(ctx, "lost tries at "+terminal)
		err2 := tx.Lock(ctx, "lost tries for "+hex.EncodeToString(w[:]))
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		now := d.books.Now()
		// What is later than any try can be was counted by a clock that has been set back.
		_, err := tx.Exec(ctx, `DELETE FROM lost_tries WHERE at_ms <= ? OR at_ms > ?`,
			now.Add(-numberSpan).UnixMilli(), now.Add(numberSpan).UnixMilli())
		if err == nil {
			err = mayTry(ctx, tx, `who = ?`, w[:], limit{now, numberSpan, numberTries})
		}
		if err == nil {
			err = mayTry(ctx, tx, `terminal = ?`, terminal, limit{now, terminalSpan, terminalTries})
		}
		if err == nil {
			_, err = tx.Exec(ctx, `INSERT INTO lost_tries (who, terminal, at_ms) VALUES (?, ?, ?)`,
				w[:], terminal, now.UnixMilli())
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("count a try: %w", err)
	}
	return nil
}

// limit is how many tries there may be in a span before now.
type limit struct {
	now  time.Time
	span time.Duration
	most int
}

// mayTry refuses when there were as many tries as there may be, of those for which a
// condition holds.
func mayTry(ctx context.Context, tx *sqldb.Tx, condition string, of any, l limit) error {
	var last int64
	err := tx.QueryRow(ctx, `
		SELECT at_ms FROM lost_tries WHERE `+condition+` AND at_ms > ? ORDER BY at_ms DESC LIMIT 1 OFFSET ?`,
		of, l.now.Add(-l.span).UnixMilli(), l.most-1).Scan(&last)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	return &Refusal{Reason: TooOften, Until: time.UnixMilli(last).Add(l.span).UTC()}
}

// forget forgets the wrong tries for somebody, after a right one.
func (d *Desk) forget(ctx context.Context, w who) error {
	return d.books.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM lost_tries WHERE who = ?`, w[:])
		return err
	})
}

// person is whom a number means, and how their PIN is kept. Nobody has no account,
// and a PIN that none is right for, so that it takes as long to be told so.
type person struct {
	account store.Account
	number  string // as it is in the books; in lower case for nobody
	pin     store.PIN
}

// holder returns whom a number means that somebody has typed.
func (d *Desk) holder(ctx context.Context, typed string) (person, error) {
	p := person{number: store.FoldNumber(typed)}
	h, err := store.Numbered(ctx, d.books.Live(), typed)
	switch {
	case err == nil:
		p.account, p.number = h.Account, h.Number
	case !errors.Is(err, store.ErrNone):
		return person{}, fmt.Errorf("whose number: %w", err)
	}
	var salt, hash []byte
	err = d.books.Live().QueryRow(ctx, `SELECT pin_salt, pin_hash FROM holders WHERE account = ?`, p.account).
		Scan(&salt, &hash)
	switch {
	case err == nil:
		p.pin = store.PIN{Salt: [16]byte(salt), Hash: [32]byte(hash)}
	case !errors.Is(err, sql.ErrNoRows):
		return person{}, fmt.Errorf("whose number: %w", err)
	}
	return p, nil
}
