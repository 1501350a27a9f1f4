package bath

import (
	"context"
	"fmt"

	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// inInbox is a condition on a use u: the inbox has, or had, a line of some kind
// about it.
const inInbox = `EXISTS (SELECT 1 FROM exceptions x WHERE x.kind = '%s' AND x.ref = ` + code + `)`

// checks are promises as queries for what breaks them. M8 is that of the design,
// section 5: a bath code opens one stall, once, in its slot.
var checks = []struct{ name, query string }{
	{"M8: bath code was used twice, and is not in the inbox", `
		SELECT ` + code + ` FROM bath_uses u WHERE u.part > 0 AND NOT ` + fmt.Sprintf(inInbox, ToldTwice)},
	{"M8: bath code was used outside of its slot, and is not in the inbox", `
		SELECT ` + code + ` FROM bath_uses u WHERE NOT u.inside AND NOT ` + fmt.Sprintf(inInbox, Outside)},
	{"M8: bath code has opened another stall, and is not in the inbox", `
		SELECT ` + code + ` FROM bath_uses u WHERE u.controller <> 0 AND u.controller <> u.stall
		AND NOT ` + fmt.Sprintf(inInbox, OtherStall)},
	{"M8: bath code that was used is of no reservation, and is not in the inbox", `
		SELECT ` + code + ` FROM bath_uses u WHERE u.part = 0 AND u.ref IS NULL
		AND NOT ` + fmt.Sprintf(inInbox, NoReservation)},
	{"M8: use is of another reservation's code", `
		SELECT ` + code + ` FROM bath_uses u JOIN bath_reservations r ON r.ref = u.ref
		WHERE r.hall <> u.hall OR r.stall <> u.controller OR r.day <> u.day OR r.slot <> u.slot OR r.n <> u.n`},
	{"bath use is not as its report says it is of", `
		SELECT ` + code + ` FROM bath_uses u JOIN bath_reports b ON b.digest = u.report
		WHERE b.hall <> u.hall OR b.controller <> u.controller OR b.day <> u.day OR b.slot <> u.slot`},
	{"bath reservation is called used, and nobody has said so", `
		SELECT r.ref FROM bath_reservations r LEFT JOIN bath_uses u ON u.ref = r.ref AND u.part = 0
		WHERE (r.state = 3) <> (u.ref IS NOT NULL OR r.stub_fen IS NOT NULL)`},
	{"bath reservation was made, and its terminal was told that it never will be", `
		SELECT ref FROM bath_reservations WHERE ref IN (SELECT ref FROM bath_ended)`},
	{"bath request was done, and its terminal was told that it never will be", `
		SELECT ref FROM bath_acts WHERE tries IS NULL AND ref IN (SELECT ref FROM bath_ended)`},
	{"bath request has the name of a reservation", `
		SELECT ref FROM bath_acts WHERE ref IN (SELECT ref FROM bath_reservations)`},
	{"bath reservation is not as was done about it", `
		SELECT a.ref FROM bath_acts a JOIN bath_reservations r ON r.ref = a.reservation
		WHERE a.tries IS NULL AND r.state <> 3 AND (a.kind = 2 OR r.state <> 2)`},
	{"bath reservation has counted fewer wrong stubs than were refused", `
		SELECT r.ref FROM bath_reservations r WHERE r.stubs_wrong <
			(SELECT count(*) FROM bath_acts a WHERE a.reservation = r.ref AND a.tries IS NOT NULL)`},
	{"bath reservation has not paid what its stub says", `
		SELECT ref FROM bath_reservations WHERE captured_fen <> stub_fen`},
	{"bath use is not as its stub says, and is not in the inbox", `
		SELECT r.ref FROM bath_reservations r JOIN bath_uses u ON u.ref = r.ref AND u.part = 0
		WHERE u.amount_fen <> r.stub_fen AND NOT ` + fmt.Sprintf(inInbox, OtherStub)},
	{"bath reservation has paid more than was used, or than was held", `
		SELECT r.ref FROM bath_reservations r JOIN bath_uses u ON u.ref = r.ref AND u.part = 0
		WHERE r.stub_fen IS NULL AND r.captured_fen > u.amount_fen OR r.captured_fen > r.cap_fen`},
	{"bath reservation has paid less than was used, and is not in the inbox", `
		SELECT r.ref FROM bath_reservations r JOIN bath_uses u ON u.ref = r.ref AND u.part = 0
		WHERE r.stub_fen IS NULL AND r.captured_fen < u.amount_fen AND NOT ` + fmt.Sprintf(inInbox, AboveHold) + `
		AND NOT ` + fmt.Sprintf(inInbox, AbovePrice) + ` AND NOT ` + fmt.Sprintf(inInbox, AfterRelease)},
	{"M2: bath reservation's entry is not what it has paid", `
		SELECT r.ref FROM bath_reservations r JOIN bath_halls h ON h.hall = r.hall JOIN entries e ON e.id = r.entry_id
		WHERE e.kind <> 17 OR e.debit <> r.account OR e.credit <> 'merchant/' || h.merchant
			OR e.amount_fen <> r.captured_fen`},
	{"M2: entry of a bath is of no reservation", `
		SELECT CAST(e.id AS TEXT) FROM entries e WHERE e.kind = 17
		AND NOT EXISTS (SELECT 1 FROM bath_reservations r WHERE r.entry_id = e.id)`},
	{"bath reservation holds money although the controller has said that it was not used", `
		SELECT r.ref FROM bath_reservations r WHERE r.hold = 1 AND EXISTS (SELECT 1 FROM bath_reports b
			WHERE b.final AND b.hall = r.hall AND b.controller = r.stall AND b.day = r.day AND b.slot = r.slot)`},
}

// code names the code that a use u is of.
const code = `u.hall || '/' || u.controller || '/' || u.day || '/' || u.slot || '/' || u.n`

// Verify checks what must always hold of baths. It returns one line for each break,
// and none when all is well.
func Verify(ctx context.Context, books *store.Books) (broken []string, err error) {
	err = books.Read(ctx, func(tx *sqldb.Tx) error {
		broken, err = findBroken(ctx, tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("verify baths: %w", err)
	}
	return broken, nil
}

// findBroken is [Verify] on what a transaction sees.
func findBroken(ctx context.Context, tx *sqldb.Tx) (broken []string, err error) {
	for _, c := range checks {
		lines, err := sqldb.Texts(ctx, tx, c.query)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		for _, which := range lines {
			broken = append(broken, c.name+": "+which)
		}
	}
	return broken, nil
}
