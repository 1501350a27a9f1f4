package payment

import (
	"context"
	"fmt"

	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// checks are promises as queries for what breaks them.
var checks = []struct{ name, query string }{
	{"M5: more is given back than was paid by code", `
		SELECT p.order_no FROM payments p JOIN payment_refunds r ON r.order_no = p.order_no AND r.state <> 3
		GROUP BY p.order_no, p.amount_fen, p.state
		HAVING sum(r.amount_fen) > CASE WHEN p.state = 4 THEN p.amount_fen ELSE 0 END`},
	{"payment by code is open, and nobody will ask about it", `
		SELECT order_no FROM payments WHERE state IN (1, 2, 3) AND next_ms IS NULL`},
	{"refund of a payment is open, and nobody will ask about it", `
		SELECT order_no || ' ' || refund_no FROM payment_refunds WHERE state = 1 AND next_ms IS NULL`},
}

// Verify checks what must always hold of payments by code. It returns one line
// for each break, and none when all is well. That a till's entries are what the
// channel has said is upstream/ingest's to check.
func Verify(ctx context.Context, books *store.Books) (broken []string, err error) {
	err = books.Read(ctx, func(tx *sqldb.Tx) error {
		broken = nil
		for _, c := range checks {
			lines, err := sqldb.Texts(ctx, tx, c.query)
			for _, which := range lines {
				broken = append(broken, c.name+": "+which)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("verify payments: %w", err)
	}
	return broken, nil
}
