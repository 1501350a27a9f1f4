package phone

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"quancun/paycode"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
	"quancun/upstream/wire"
)

// Phone is a holder's phone.
type Phone struct {
	Device  paycode.DeviceID
	Account string
	Key     paycode.PublicKey
	Name    string
	Bound   time.Time
	Until   time.Time // what was signed for it is good until then; zero for nothing
	Revoked time.Time // zero if it is not
	Why     string
}

// List returns the phones of an account, or of all of them for "", the newest
// first.
func List(ctx context.Context, books *store.Books, account string) (all []Phone, err error) {
	err = books.Read(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
			p, err := scanPhone(rows)
			all = append(all, p)
			return err
		}, `
			SELECT device, account, algorithm, public_key, name, bound_ms, coalesce(revoked_ms, 0), revoked_why,
				coalesce((SELECT max(expires_ms) FROM phone_grants g WHERE g.device = p.device), 0)
			FROM phones p WHERE ?1 = '' OR account = ?2 ORDER BY bound_ms DESC, device`,
			account, store.HolderAccount(account))
	})
	if err != nil {
		return nil, fmt.Errorf("list phones: %w", err)
	}
	return all, nil
}

func scanPhone(rows *sql.Rows) (p Phone, err error) {
	var device string
	var account store.Account
	var bound, revoked, until int64
	err = rows.Scan(&device, &account, &p.Key.Algorithm, &p.Key.Bytes, &p.Name, &bound, &revoked, &p.Why, &until)
	if err != nil {
		return p, err
	}
	p.Account, p.Bound, p.Until, p.Revoked = account.No(), fromMS(bound), fromMS(until), fromMS(revoked)
	return p, p.Device.UnmarshalText([]byte(device))
}

// fromMS returns a time, and the zero one for 0.
func fromMS(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// Revoke ends a phone, for a reason, and tells terminals. One that is revoked
// already stays as it is. [ErrUnknown] if there is none.
func Revoke(ctx context.Context, books *store.Books, d paycode.DeviceID, why string) error {
	err := books.Write(ctx, func(tx *sqldb.Tx) error {
		var revoked sql.NullInt64
		err := tx.QueryRow(ctx, `SELECT revoked_ms FROM phones WHERE device = ? FOR UPDATE`, d.String()).Scan(&revoked)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return ErrUnknown
		case err != nil || revoked.Valid:
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE phones SET revoked_ms = ?, revoked_why = ? WHERE device = ?`,
			books.Now().UnixMilli(), why, d.String())
		return err
	})
	if err != nil {
		return fmt.Errorf("revoke phone: %w", err)
	}
	return publish(ctx, books)
}

// Keys returns what terminals have to know at a moment. A phone is among the
// revoked for as long as anything that was signed for it is good; one whose account
// has ended, too.
func Keys(ctx context.Context, q sqldb.Querier, now time.Time) (paycode.Keys, error) {
	k, err := Issuers(ctx, q)
	if err != nil {
		return k, err
	}
	err = sqldb.Each(ctx, q, func(rows *sql.Rows) error {
		var text string
		var d paycode.DeviceID
		if err := rows.Scan(&text); err != nil {
			return err
		}
		err := d.UnmarshalText([]byte(text))
		k.Revoked = append(k.Revoked, d)
		return err
	}, `SELECT p.device FROM phones p JOIN holders h ON h.account = p.account
		WHERE `+ended+` AND ? <= (SELECT coalesce(max(expires_ms), 0) FROM phone_grants g WHERE g.device = p.device)
		ORDER BY p.device COLLATE "C"`, now.UnixMilli(), now.Add(-paycode.LifeMax-paycode.Tolerance).UnixMilli())
	if err != nil {
		return k, fmt.Errorf("read revoked phones: %w", err)
	}
	return k, nil
}

// ended is of a phone that is revoked, or whose account has ended; its parameter is
// the moment.
const ended = `(p.revoked_ms IS NOT NULL OR h.closed_ms IS NOT NULL OR coalesce(h.until_ms <= ?, false))`

// Issuers returns what is needed to verify a code: [Keys] without the phones that
// are revoked, which takes a look at every phone of the campus.
func Issuers(ctx context.Context, q sqldb.Querier) (k paycode.Keys, err error) {
	err = sqldb.Each(ctx, q, func(rows *sql.Rows) error {
		var i paycode.Issuer
		err := rows.Scan(&i.Index, &k.School, &i.Algorithm, &i.Bytes)
		k.Issuers = append(k.Issuers, i)
		return err
	}, `SELECT issuer, school, algorithm, public_key FROM code_issuers ORDER BY issuer`)
	if err != nil {
		return k, fmt.Errorf("read issuers: %w", err)
	}
	return k, nil
}

// IsRevoked reports whether one phone is revoked at a moment, or its account has
// ended. A phone that nobody knows is not.
func IsRevoked(ctx context.Context, q sqldb.Querier, d paycode.DeviceID, now time.Time) (is bool, err error) {
	err = q.QueryRow(ctx, `SELECT count(*) > 0 FROM phones p JOIN holders h ON h.account = p.account
		WHERE `+ended+` AND p.device = ?`, now.UnixMilli(), d.String()).Scan(&is)
	if err != nil {
		return false, fmt.Errorf("read phone: %w", err)
	}
	return is, nil
}

// Publish gives terminals the feed "keys" anew if it does not say what is so any
// more. Who serves calls it now and then: phones leave the list by time.
func (r *Registry) Publish(ctx context.Context) error { return publish(ctx, r.books) }

func publish(ctx context.Context, books *store.Books) error {
	var fresh []byte
	err := books.Read(ctx, func(tx *sqldb.Tx) (err error) {
		fresh, err = unpublished(ctx, tx, books.Now())
		return err
	})
	if err == nil && fresh != nil {
		err = books.Write(ctx, func(tx *sqldb.Tx) error { return publishIn(ctx, tx, books) })
	}
	if err != nil {
		return fmt.Errorf("publish keys: %w", err)
	}
	return nil
}

// publishIn publishes what is so now. Whoever publishes next looks after that: otherwise
// another upstream could tell last what it has read before a phone was revoked.
func publishIn(ctx context.Context, tx *sqldb.Tx, books *store.Books) error {
	if err := tx.Lock(ctx, "feed "+wire.FeedKeys); err != nil {
		return err
	}
	fresh, err := unpublished(ctx, tx, books.Now())
	if err == nil && fresh != nil {
		_, err = books.PublishIn(ctx, tx, wire.FeedKeys, fresh)
	}
	return err
}

// unpublished returns what terminals have to know, or nil if it is what they were told
// last.
func unpublished(ctx context.Context, tx *sqldb.Tx, now time.Time) ([]byte, error) {
	k, err := Keys(ctx, tx, now)
	if err != nil {
		return nil, err
	}
	content, err := k.Bytes()
	if err != nil {
		return nil, err
	}
	version, told, err := store.ContentIn(ctx, tx, wire.FeedKeys)
	if err != nil || version > 0 && bytes.Equal(told, content) || version == 0 && len(k.Issuers) == 0 {
		return nil, err
	}
	return content, nil
}

// publishEvery is how often it is looked at who has left the list.
const publishEvery = time.Minute

// Run publishes what has changed, whoever has changed it, until ctx ends. An error
// is passed to failed and tried again.
func (r *Registry) Run(ctx context.Context, failed func(error)) error {
	t := time.NewTicker(publishEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
		if err := r.Publish(ctx); err != nil && ctx.Err() == nil {
			failed(err)
		}
	}
}

// checks are promises as queries for what breaks them: each returns one text for
// each break.
var checks = []struct{ name, query string }{
	{"use of a code is no sale, or of another amount", `
		SELECT u.journal || ' ' || u.seq FROM code_uses u
		LEFT JOIN entries e ON e.journal = u.journal AND e.seq = u.seq AND e.part = u.part
		WHERE e.id IS NULL OR e.amount_fen <> u.amount_fen OR e.kind <> 4`},
	{"code was taken twice, and is not in the inbox", `
		SELECT device || ' ' || made_s || ' ' || counter FROM code_uses u GROUP BY device, made_s, counter
		HAVING count(*) > 1 AND NOT EXISTS (SELECT 1 FROM exceptions x WHERE x.kind = 'code used twice'
			AND x.seq IN (SELECT seq FROM code_uses v WHERE v.device = u.device AND v.made_s = u.made_s
				AND v.counter = u.counter))`},
	{"phone has an authorisation for more than a week", `
		SELECT device FROM phone_grants WHERE expires_ms - issued_ms > 7 * 86400000`},
	{"phone was authorised after it was revoked", `
		SELECT g.device FROM phone_grants g JOIN phones p ON p.device = g.device WHERE g.issued_ms > p.revoked_ms`},
}

// Verify checks what must always hold of phones and codes. It returns one line
// for each break, and none when all is well.
func Verify(ctx context.Context, books *store.Books) (broken []string, err error) {
	err = books.Read(ctx, func(tx *sqldb.Tx) error {
		broken = nil
		for _, c := range checks {
			lines, err := sqldb.Texts(ctx, tx, c.query)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			for _, which := range lines {
				broken = append(broken, c.name+": "+which)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("verify phones: %w", err)
	}
	return broken, nil
}
