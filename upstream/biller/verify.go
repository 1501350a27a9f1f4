package biller

import (
	"context"
	"fmt"

	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// checks are promises as queries for what breaks them.
var checks = []struct{ name, query string }{
	{"M5: bill is not paid by one entry of its own", `
		SELECT b.order_no FROM bills b LEFT JOIN entries e ON e.id = b.entry_id
		WHERE (b.state = 4) <> (e.id IS NOT NULL) OR e.kind <> 16 OR e.amount_fen <> b.amount_fen
			OR e.debit <> b.account OR e.credit <> 'biller/' || b.biller`},
	{"M5: entry pays no bill", `
		SELECT e.id FROM entries e LEFT JOIN bills b ON b.entry_id = e.id WHERE e.kind = 16 AND b.order_no IS NULL`},
	{"M5: more is given back than a bill was paid", `
		SELECT b.order_no FROM bills b JOIN bill_refunds r ON r.order_no = b.order_no
		GROUP BY b.order_no, b.amount_fen, b.state
		HAVING sum(r.amount_fen) > CASE WHEN b.state = 4 THEN b.amount_fen ELSE 0 END`},
	{"M5: refund of a bill is not its entry", `
		SELECT r.order_no || ' ' || r.refund_no FROM bill_refunds r
		JOIN bills b ON b.order_no = r.order_no LEFT JOIN entries e ON e.id = r.entry_id
		WHERE e.id IS NULL OR e.undoes IS NULL OR e.undoes <> b.entry_id OR e.amount_fen <> r.amount_fen
			OR e.credit <> b.account OR e.debit <> 'biller/' || b.biller`},
	{"bill is open, and nobody will see to it", `
		SELECT order_no FROM bills WHERE state IN (1, 2, 3) AND next_ms IS NULL`},
	{"bill is referred to people, and is not in the inbox", `
		SELECT b.order_no FROM bills b WHERE b.state = 6 AND NOT EXISTS (SELECT 1 FROM exceptions x
			WHERE x.kind = '` + lineReferred + `' AND x.ref = b.order_no AND x.closed_ms IS NULL)`},
}

// Verify checks what must always hold of bills. It returns one line for each
// break, and none when all is well.
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
		return nil, fmt.Errorf("verify bills: %w", err)
	}
	return broken, nil
}
