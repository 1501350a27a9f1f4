package auditor

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"quancun/bathcode"
	"quancun/money"
	"quancun/upstream/store/sqldb"
)

// States of a reservation, and of what it holds.
const (
	reserved  = 1
	cancelled = 2
	used      = 3

	holds    = 1
	released = 3
)

// Reservation is a place in a bath, as it stands in the books.
type Reservation struct {
	Ref, Account string
	Slot         bathcode.Slot
	N            uint8
	To           time.Time
	State, Hold  int
	Cap          money.Fen
	Captured     money.Fen
	Stub         *money.Fen

	entry *paid // nil for none
}

// paid is the entry that a shower is paid by.
type paid struct {
	id            int64
	debit, credit string
	amount        money.Fen
}

// baths is what an auditor keeps of them.
type baths struct {
	known  map[string]Reservation
	held   map[string]money.Fen // by account
	fresh  map[string]int       // new holds, by account
	late   map[string]money.Fen // paid after its hold was let go, by account
	sealed map[bathcode.Slot]bool
	lapsed time.Time // what has ended a day before this holds nothing

	entry int64 // the last that was seen
	sum   money.Fen
	count int
}

// Late returns what an account has paid for showers after their holds were let go: so
// much it may be short of without anybody's fault.
func (o *Office) Late(account string) money.Fen { return o.baths.late[account] }

// Sealed notes that the upstream has taken a controller's last word about a slot that
// was over: nothing is held for it any more.
func (o *Office) Sealed(s bathcode.Slot) { o.baths.sealed[s] = true }

// Lapsed notes that the upstream has let go of all that ended so long ago.
func (o *Office) Lapsed(before time.Time) { o.baths.lapsed = before }

// crowded checks that a place is no more than one holder's, but for those who had it in
// books that were lost and got it back; and that people know of each who is too many.
func (o *Office) crowded(ctx context.Context, tx *sqldb.Tx, slot bathcode.Slot, n, back int) error {
	if n > 1+back { // no hall of a story has more stalls for one sort of code
		o.wrong("%d have the same place %+v, of whom %d had it before", n, slot, back)
	}
	var told int
	err := tx.QueryRow(ctx, `SELECT count(*) FROM exceptions WHERE kind = 'bath place given twice' AND ref LIKE ?`,
		fmt.Sprintf("%d/%d/%d/%d/%%", slot.Place.Hall, slot.Place.Stall, slot.Day, slot.No)).Scan(&told)
	if err == nil && n > 1+told {
		o.wrong("%d have the same place %+v, and people know of %d", n, slot, told)
	}
	return err
}

// lookAtBaths checks that what a reservation is paid by is one entry, that it never
// changes afterwards, and that nothing is held longer than it may be.
func (o *Office) lookAtBaths(ctx context.Context, tx *sqldb.Tx) error {
	b := &o.baths
	if err := b.count17(ctx, tx); err != nil {
		return err
	}
	all, err := Reservations(ctx, tx)
	if err != nil {
		return err
	}
	b.held, b.late = map[string]money.Fen{}, map[string]money.Fen{}
	b.fresh = map[string]int{}
	var sum money.Fen
	count, places, back := 0, map[bathcode.Slot]int{}, map[bathcode.Slot]int{}
	for _, r := range all {
		o.lookAtBath(r)
		if r.entry != nil {
			sum += r.entry.amount
			count++
		}
		if r.State == reserved {
			places[r.Slot]++
		}
		if r.State == reserved && o.Lost[r.Ref] {
			back[r.Slot]++
		}
		b.known[r.Ref] = r
	}
	if sum != b.sum || count != b.count {
		o.wrong("%d showers were paid with %s, and reservations have paid %d with %s", b.count, b.sum, count, sum)
	}
	for slot, n := range places {
		if n > 1 {
			err = errors.Join(err, o.crowded(ctx, tx, slot, n, back[slot]))
		}
	}
	return err
}

// kindBath is the kind of entry by which showers are paid.
const kindBath = 17

// count17 adds up what is new of those.
func (b *baths) count17(ctx context.Context, tx *sqldb.Tx) error {
	var last sql.NullInt64
	var n int
	var sum money.Fen
	err := tx.QueryRow(ctx, `
		SELECT max(id), count(*), CAST(coalesce(sum(amount_fen), 0) AS BIGINT) FROM entries WHERE kind = ? AND id > ?`,
		kindBath, b.entry).Scan(&last, &n, &sum)
	if err == nil && last.Valid {
		b.entry, b.count, b.sum = last.Int64, b.count+n, b.sum+sum
	}
	return err
}

func (o *Office) lookAtBath(r Reservation) {
	b := &o.baths
	was, seen := b.known[r.Ref]
	switch {
	case seen && was.State == used && (r.State != used || r.Captured != was.Captured || *r.word() != *was.word()):
		o.wrong("shower %s was settled with %s, and is with %s", r.Ref, was.Captured, r.Captured)
	case seen && was.Hold != holds && r.Hold != was.Hold:
		o.wrong("shower %s holds something anew", r.Ref)
	case r.Captured > r.Cap || (r.Captured > 0) != (r.entry != nil):
		o.wrong("shower %s has paid %s of %s, by %+v", r.Ref, r.Captured, r.Cap, r.entry)
	case r.entry != nil && (r.entry.amount != r.Captured || r.entry.debit != r.Account):
		o.wrong("shower %s of %s has paid %s, by %+v", r.Ref, r.Account, r.Captured, *r.entry)
	case r.Stub != nil && *r.Stub != r.Captured:
		o.wrong("shower %s has cost %s by its stub, and has paid %s", r.Ref, *r.Stub, r.Captured)
	case r.Hold == holds && r.State != reserved && r.State != cancelled:
		o.wrong("shower %s holds money in state %d", r.Ref, r.State)
	case r.Hold == holds && (b.sealed[r.Slot] || r.To.Before(b.lapsed)):
		o.wrong("shower %s still holds %s", r.Ref, r.Cap)
	}
	if r.Hold == released { // which stays so when it is paid after all
		b.late[r.Account] += r.Captured
	}
	if r.Hold == holds {
		b.held[r.Account] += r.Cap
		if !seen && !o.Lost[r.Ref] { // which was promised, however little is left
			b.fresh[r.Account]++
		}
	}
}

// word is the entry that r was paid by, or an empty one.
func (r Reservation) word() *paid {
	if r.entry == nil {
		return &paid{}
	}
	return r.entry
}

// Reservations returns all that are in the books.
func Reservations(ctx context.Context, tx *sqldb.Tx) (all []Reservation, err error) {
	err = sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		var r Reservation
		var to int64
		var id, amount, stub sql.NullInt64
		var debit, credit sql.NullString
		err := rows.Scan(&r.Ref, &r.Account, &r.Slot.Place.Hall, &r.Slot.Place.Stall, &r.Slot.Day, &r.Slot.No, &r.N,
			&to, &r.State, &r.Hold, &r.Cap, &r.Captured, &stub, &id, &debit, &credit, &amount)
		r.To = time.UnixMilli(to)
		if stub.Valid {
			r.Stub = new(money.Fen(stub.Int64))
		}
		if id.Valid {
			r.entry = &paid{id.Int64, debit.String, credit.String, money.Fen(amount.Int64)}
		}
		all = append(all, r)
		return err
	}, `SELECT r.ref, r.account, r.hall, r.stall, r.day, r.slot, r.n, r.to_ms, r.state, r.hold, r.cap_fen,
			r.captured_fen, r.stub_fen, e.id, e.debit, e.credit, e.amount_fen
		FROM bath_reservations r LEFT JOIN entries e ON e.id = r.entry_id ORDER BY r.ref`)
	if err != nil {
		return nil, fmt.Errorf("read reservations: %w", err)
	}
	return all, nil
}
