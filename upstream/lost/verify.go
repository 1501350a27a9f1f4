package lost

import (
	"context"
	"fmt"

	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// checks are promises as queries for what breaks them.
var checks = []struct{ name, query string }{
	{"loss was reported, and no card of the holder was stopped", `
		SELECT r.ref FROM lost_reports r WHERE NOT EXISTS (
			SELECT 1 FROM hot_changes h JOIN cards c ON c.card_no = h.card_no
			WHERE h.version = r.version AND h.status = 2 AND h.at_ms = r.stopped_ms AND c.account = r.account)`},
	{"loss was reported, and given up", `
		SELECT r.ref FROM lost_reports r JOIN lost_ended e ON e.ref = r.ref`},
	{"card was found that was not lost", `
		SELECT f.card_no FROM found_cards f LEFT JOIN hot_changes h ON h.version = f.version
		WHERE h.card_no IS NULL OR h.card_no <> f.card_no OR h.status <> 2`},
}

// Verify checks what must always hold of losses. It returns one line for each break,
// and none when all is well.
func Verify(ctx context.Context, b *store.Books) (broken []string, err error) {
	err = b.Read(ctx, func(tx *sqldb.Tx) error { // all of one moment
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
		return nil, fmt.Errorf("verify losses: %w", err)
	}
	return broken, nil
}
