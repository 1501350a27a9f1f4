package bath

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"quancun/bathcode"
	"quancun/beijing"
	"quancun/journal"
	"quancun/money"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// The services of holders' requests that are brought back, as terminals' journals call
// them.
const (
	reservation  = "bath"
	cancellation = "bath_cancel"
)

// told is what the end of such a request says, as docs/JOURNAL.md has it.
type told struct {
	Hall  uint16    `json:"hall"`
	Day   string    `json:"day"`
	Slot  uint8     `json:"slot"`
	Stall uint16    `json:"stall"`
	N     *uint8    `json:"n"`
	Cap   money.Fen `json:"cap"`
	Litre money.Fen `json:"litre"`

	Reservation string `json:"reservation"` // that was given up
}

// bringing is a line of the inbox about a request that was done and that the books have
// lost, in a transaction that brings it back.
type bringing struct {
	ctx   context.Context //nolint:containedctx // lives for one transaction
	tx    *sqldb.Tx
	desk  *Desk
	line  store.Exception
	entry journal.Entry
	told
}

// BringBack reserves and cancels again what terminals' journals say was done and what
// books that were restored from a copy have lost, and closes its lines of the inbox. A
// reservation comes back with the code that its holder has. What would contradict the
// books stays in the inbox. It returns how many came back.
func (d *Desk) BringBack(ctx context.Context) (n int, err error) {
	lines, err := store.ReadExceptions(ctx, d.books.Live(), `WHERE kind = ? AND closed_ms IS NULL ORDER BY id`,
		store.RequestMissing)
	if err != nil {
		return 0, err
	}
	for _, x := range lines {
		b := bringing{ctx: ctx, desk: d, line: x}
		do, err := b.read()
		if err != nil {
			return n, err
		}
		if do == nil {
			continue
		}
		done := false
		err = d.books.Write(ctx, func(tx *sqldb.Tx) (err error) {
			b.tx = tx
			if done, err = do(&b); err != nil || !done {
				return err
			}
			return d.books.CloseException(ctx, tx, x.ID, 0, "the books have it again, out of the terminal's journal")
		})
		var no *Refusal
		switch {
		case errors.As(err, &no), errors.Is(err, store.ErrNone): // or somebody else has closed the line
		case err != nil:
			return n, fmt.Errorf("bring %s back: %w", x.Ref, err)
		case done:
			n++
		}
	}
	return n, nil
}

// read reads what the line is about, and returns what brings it back; nil for nothing.
func (b *bringing) read() (func(*bringing) (bool, error), error) {
	at := journal.Position{Terminal: b.line.Terminal, Seq: b.line.Seq}
	copy(at.Epoch[:], b.line.Epoch)
	all, err := store.EntriesAt(b.ctx, b.desk.books.Live(), at)
	for _, e := range all {
		r, bad := e.Request()
		if bad != nil || e.Kind != journal.RequestEnd || !isRef(e.Ref) || json.Unmarshal(r.What, &b.told) != nil {
			continue
		}
		b.entry = e
		switch {
		case r.Service == reservation && b.N != nil:
			return (*bringing).reserve, err
		case r.Service == cancellation:
			return (*bringing).cancel, err
		}
	}
	return nil, err
}

func (b *bringing) account() store.Account { return store.HolderAccount(b.entry.Account) }

// cancel gives a reservation up, of this terminal or another: it may have to come first.
func (b *bringing) cancel() (done bool, err error) {
	a := Act{Ref: b.entry.Ref, Terminal: b.line.Terminal, Account: b.account(), Reservation: b.Reservation}
	r, was, err := a.begin(b.ctx, b.tx, cancels)
	if err != nil || was {
		return was, err
	}
	switch r.State {
	case Reserved:
		_, err = b.tx.Exec(b.ctx, `UPDATE bath_reservations SET state = ?, moved_ms = ? WHERE ref = ?`,
			int64(Cancelled), b.desk.books.Now().UnixMilli(), r.Ref)
	case Cancelled, Used:
	case NotUsed, Unknown:
		return false, nil // its slot is over, and it makes no difference any more
	}
	return true, errors.Join(err, a.keep(b.ctx, b.tx, cancels, b.entry.At.UnixMilli(), nil))
}

// reserve takes the place again, and holds what it held.
func (b *bringing) reserve() (done bool, err error) {
	if err := lockRef(b.ctx, b.tx, b.entry.Ref); err != nil {
		return false, err
	}
	t := taking{ctx: b.ctx, tx: b.tx, desk: b.desk, Request: Request{
		Ref: b.entry.Ref, Terminal: b.line.Terminal, Account: b.account(), Hall: b.Hall, Stall: b.Stall, Slot: b.Slot,
	}}
	if t.hall, err = lockHall(b.ctx, b.tx, b.Hall); err != nil {
		return false, err
	}
	if err := mayBegin(b.ctx, b.tx, t.Ref); err != nil {
		return false, err
	}
	i := slices.IndexFunc(t.hall.Slots, func(s Slot) bool { return s.No == b.Slot })
	day, bad := time.ParseInLocation(time.DateOnly, b.told.Day, beijing.Zone)
	place := bathcode.Place{Hall: b.Hall, Stall: b.Stall}
	if i < 0 || bad != nil || t.hall.Whole != (b.Stall == 0) || int(*b.N) >= place.Codes() {
		return false, nil
	}
	t.Day = bathcode.DayOf(day)
	t.from, t.to = t.hall.Slots[i].On(t.Day)
	t.hall.Cap, t.hall.Tariff.PerLitre = b.Cap, b.Litre // as they were shown
	if t.hall.check() != nil {
		return false, nil
	}
	r := Reservation{Slot: bathcode.Slot{Place: place, Day: t.Day, No: b.Slot}, N: *b.N, Made: b.entry.At}
	crowd, err := b.crowd(&t, &r)
	if err != nil || r.State == 0 {
		return false, err
	}
	if _, err = t.insert(r); err != nil || !crowd {
		return err == nil, err
	}
	return true, b.desk.books.Except(b.ctx, b.tx, []store.Exception{{
		Kind: GivenTwice, Ref: about(r.Slot, r.N), Owner: owner, NextStep: steps[GivenTwice],
		Detail: fmt.Sprintf("bath %q, %s: %s has it since before the books were restored",
			t.hall.Name, t.from.In(beijing.Zone).Format(time.DateTime), t.Account.No()),
	}})
}

// crowd decides how a reservation comes back, and reports whether others have its place.
// Its State stays 0 if it cannot: its number is another's, or was used before it came.
func (b *bringing) crowd(t *taking, r *Reservation) (crowd bool, err error) {
	var closed, used bool
	err = b.tx.QueryRow(b.ctx, `
		SELECT closed_ms IS NOT NULL, EXISTS (SELECT 1 FROM bath_uses
			WHERE hall = ?2 AND controller = ?3 AND day = ?4 AND slot = ?5 AND n = ?6)
		FROM holders WHERE account = ?1`, t.Account, b.Hall, b.Stall, t.Day, b.Slot, r.N).Scan(&closed, &used)
	if errors.Is(err, sql.ErrNoRows) || used {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if _, err := b.desk.books.LockAccounts(b.ctx, b.tx, []store.Account{t.Account}); err != nil {
		return false, err
	}
	all, err := readWhere(b.ctx, b.tx, `r.hall = ? AND r.stall = ? AND r.day = ? AND r.slot = ?`,
		b.Hall, b.Stall, t.Day, b.Slot)
	places, taken := 1, 0
	if t.hall.Whole {
		places = len(t.hall.Stalls)
	}
	for _, o := range all {
		if o.N == r.N {
			return false, nil
		}
		if o.Account != t.Account && (o.State == Reserved || o.State == Used) {
			taken++
		}
	}
	if err != nil {
		return false, err
	}
	var again bool // its holder has the slot anew: this is the one that was given up
	err = b.tx.QueryRow(b.ctx, `SELECT EXISTS (SELECT 1 FROM bath_reservations
		WHERE account = ? AND hall = ? AND day = ? AND slot = ? AND state = 1)`,
		t.Account, b.Hall, t.Day, b.Slot).Scan(&again)
	over := closed || !b.desk.books.Now().Before(t.to)
	crowd = taken >= places && !over && !again
	switch {
	case again:
		r.State, r.Hold = Cancelled, Released
	case over || crowd && !t.hall.Whole: // what is used is paid all the same
		r.State, r.Hold = Unknown, Released
	default:
		r.State, r.Hold = Reserved, Held
	}
	return crowd, err
}
