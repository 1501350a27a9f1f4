package feed

import (
	"context"
	"database/sql"
	"errors"
	"slices"
)

// content returns what a feed says.
func (s *store) content(ctx context.Context, name string) (content []byte, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT content FROM feed WHERE name = ?`, name).Scan(&content)
	return content, err
}

// apply writes an update down, all of it or nothing.
func (s *store) apply(ctx context.Context, u Update, next Status) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		r := row{next, sumOf(u.Content)}
		if u.Name == Hotlist {
			var err error
			if r.body, err = applyCards(ctx, tx, u); err != nil {
				return err
			}
		}
		return writeRow(ctx, tx, r, u.Content)
	})
}

func writeRow(ctx context.Context, tx *sql.Tx, r row, content []byte) error {
	if content == nil {
		content = []byte{} // SQLite's NULL is another thing
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO feed (name, version, issued, checked, content, body, digest)
		VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET version = excluded.version,
		issued = excluded.issued, checked = excluded.checked, content = excluded.content,
		body = excluded.body, digest = excluded.digest`,
		r.Name, int64(r.Version), r.Issued.UnixMilli(), r.Checked.UnixMilli(), content, r.body.bytes(), r.digest())
	return err
}

// applyCards changes the table hot and returns the sum over it.
func applyCards(ctx context.Context, tx *sql.Tx, u Update) (body sum, err error) {
	if u.From == 0 {
		_, err = tx.ExecContext(ctx, `DELETE FROM hot`)
	} else {
		body, err = bodyOf(ctx, tx, Hotlist)
	}
	if err != nil {
		return body, err
	}
	remove, err := tx.PrepareContext(ctx, `DELETE FROM hot WHERE card = ? RETURNING reason`)
	if err != nil {
		return body, err
	}
	defer remove.Close()
	add, err := tx.PrepareContext(ctx, `INSERT INTO hot (card, reason) VALUES (?, ?)`)
	if err != nil {
		return body, err
	}
	defer add.Close()
	for _, c := range u.leaving() {
		h := Hot{Card: c}
		switch err := remove.QueryRowContext(ctx, c[:]).Scan(&h.Reason); {
		case err == nil:
			body.add(h, taken)
		case !errors.Is(err, sql.ErrNoRows):
			return body, err
		}
	}
	for _, h := range u.Adds {
		if _, err := add.ExecContext(ctx, h.Card[:], h.Reason); err != nil {
			return body, err
		}
		body.add(h, 1)
	}
	return body, nil
}

// leaving returns the cards whose old row has to go before the new ones come.
func (u Update) leaving() []Card {
	if u.From == 0 {
		return nil // all have gone
	}
	all := slices.Clone(u.Removes)
	for _, h := range u.Adds {
		all = append(all, h.Card)
	}
	return all
}

func bodyOf(ctx context.Context, tx *sql.Tx, name string) (sum, error) {
	var body []byte
	if err := tx.QueryRowContext(ctx, `SELECT body FROM feed WHERE name = ?`, name).Scan(&body); err != nil {
		return sum{}, err
	}
	return parseSum(body), nil
}

// checked notes when a feed was last known to be the newest, also when that is
// none at all.
func (s *store) checked(ctx context.Context, next Status) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		body, err := bodyOf(ctx, tx, next.Name)
		if errors.Is(err, sql.ErrNoRows) {
			r := row{next, sum{}} // of no cards
			if next.Name != Hotlist {
				r.body = sumOf(nil)
			}
			return writeRow(ctx, tx, r, nil)
		}
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE feed SET checked = ?, digest = ? WHERE name = ?`,
			next.Checked.UnixMilli(), row{next, body}.digest(), next.Name)
		return err
	})
}
