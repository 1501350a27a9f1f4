package bath

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"quancun/bathcode"
	"quancun/money"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
	"quancun/water"
)

// The kinds of lines of the inbox that this package opens. What they are about is
// the code: hall, controller, day, slot and serial number.
const (
	AboveHold     = "bath use above its hold"
	AbovePrice    = "bath use above its price"
	NoReservation = "bath use of no reservation"
	ToldTwice     = "bath use told twice"
	Outside       = "bath use outside of its slot"
	AfterRelease  = "bath use after its release"
	OtherStall    = "bath use at another stall"
	TooEarly      = "bath report before its time"
	OtherStub     = "bath use is not as its stub says"
	GivenTwice    = "bath place given twice"
)

// steps are what is to be done about a line of each kind.
var steps = map[string]string{
	AboveHold:  "look at the controller: its valve did not close at the cap; the rest is the campus's loss",
	AbovePrice: "give the controller a new setup: it has another price",
	NoReservation: "find the reservation in a line \"request missing\" or an older copy of the books, or whose " +
		"hand had the key",
	GivenTwice:   "these books were restored, and two have this place: give one of them another before it begins",
	ToldTwice:    "look at the controller: it has used one code twice, or its disk was restored",
	Outside:      "set the controller's clock, and look at who has showered",
	AfterRelease: "look at the account: it may owe the shower",
	OtherStall:   "look at which controller has which setup",
	OtherStub: "look at the controller: it has another price, its disk was restored, or its key is known; " +
		"give back what is too much",
	TooEarly: "set the controller's clock: the slot's holds stay until a day has passed",
}

// owner is whose the lines are.
const owner = "bath"

// Taken is what a report has come to.
type Taken struct {
	Report  water.Report
	Again   bool // it was here before, and has changed nothing
	Uses    int  // codes of which it has told for the first time
	Paid    money.Fen
	Freed   int // holds that were let go
	Listed  int // lines that were put into the inbox
	listing []store.Exception
}

// Take settles by a report of a controller, a line that water.Report.Seal has made.
// carrier is the terminal that has brought it, or "console". The same line again
// changes nothing. It returns a [*Refusal] for what no controller of ours has made;
// after another error nobody knows, and it is to be brought again.
func (d *Desk) Take(ctx context.Context, carrier string, line []byte) (t Taken, err error) {
	report, err := water.Open(line, d.master.Key)
	if err != nil {
		d.log.Warn("bath report refused", "carrier", carrier, "err", err)
		return Taken{}, refuse(ReportUnknown)
	}
	err = d.books.Write(ctx, func(tx *sqldb.Tx) error {
		s := settling{paying: paying{ctx, tx, d, d.books.Now()}, digest: sha256.Sum256(line)}
		s.Report = report
		if err := s.settle(carrier, line); err != nil {
			return err
		}
		t = s.Taken
		return nil
	})
	if err != nil {
		return Taken{}, fmt.Errorf("settle baths: %w", err)
	}
	return t, nil
}

// settling is a report under way, in a transaction.
type settling struct {
	paying
	digest [32]byte
	Taken

	hall     Hall
	from, to time.Time
	known    bool // the hall and the slot are
	all      []Reservation
	captures []capture
}

func (s *settling) settle(carrier string, line []byte) error {
	slot := s.Report.Slot
	// One report about a slot after the other, also where nobody has reserved.
	if err := s.tx.Lock(s.ctx, "bath "+about(slot, 0)); err != nil {
		return err
	}
	if err := s.findSlot(); err != nil {
		return err
	}
	early, err := s.wasEarly()
	if err != nil {
		return err
	}
	final := s.Report.Final && s.known && !s.now.Before(s.to) && !early
	fresh, err := s.keep(carrier, line, final)
	if err != nil || !fresh {
		s.Again = true
		return err
	}
	if s.Report.Final && !final && !early {
		s.list(TooEarly, slot, 0, 0)
	}
	s.all, err = lockWhere(s.ctx, s.tx, `r.hall = ? AND r.stall = ? AND r.day = ? AND r.slot = ?`,
		slot.Place.Hall, slot.Place.Stall, slot.Day, slot.No)
	if err != nil {
		return err
	}
	for _, u := range s.Report.Uses {
		if err := s.use(u); err != nil {
			return err
		}
	}
	if err := s.capture(); err != nil {
		return err
	}
	if final {
		if err := s.free(); err != nil {
			return err
		}
	}
	if err := s.excuse(); err != nil {
		return err
	}
	s.Listed = len(s.listing)
	return s.desk.books.Except(s.ctx, s.tx, s.listing)
}

// wasEarly reports whether the last word about the slot was here before it was over: the
// controller's clock is ahead, and no later word of it frees anything.
func (s *settling) wasEarly() (early bool, err error) {
	err = s.tx.QueryRow(s.ctx, `SELECT EXISTS (SELECT 1 FROM exceptions WHERE kind = ? AND ref = ?)`,
		TooEarly, about(s.Report.Slot, 0)).Scan(&early)
	return early, err
}

// about names a code for the inbox: hall, controller, day, slot and serial number.
func about(s bathcode.Slot, n uint8) string {
	return fmt.Sprintf("%d/%d/%d/%d/%d", s.Place.Hall, s.Place.Stall, s.Day, s.No, n)
}

func (s *settling) list(kind string, slot bathcode.Slot, n uint8, amount money.Fen) {
	s.listing = append(s.listing, store.Exception{
		Kind: kind, Ref: about(slot, n), Amount: amount, Owner: owner, NextStep: steps[kind],
		Detail: fmt.Sprintf("bath %q, %s, report %x",
			s.hall.Name, slot.Day.Start().Format(time.DateOnly), s.digest[:8]),
	})
}

// findSlot finds when the slot is, and keeps everybody from reserving in it. A
// controller may know one that these books, which were restored from a copy, do not.
func (s *settling) findSlot() (err error) {
	slot := s.Report.Slot
	s.hall, err = lockHall(s.ctx, s.tx, slot.Place.Hall)
	if errors.Is(err, store.ErrNone) {
		return nil
	}
	i := slices.IndexFunc(s.hall.Slots, func(t Slot) bool { return t.No == slot.No })
	if err == nil && i >= 0 {
		s.known = true
		s.from, s.to = s.hall.Slots[i].On(slot.Day)
	}
	return err
}

// keep writes the report itself down, and reports whether it is new.
func (s *settling) keep(carrier string, line []byte, final bool) (fresh bool, err error) {
	slot := s.Report.Slot
	result, err := s.tx.Exec(s.ctx, `
		INSERT INTO bath_reports (digest, hall, controller, day, slot, final, line, carrier, received_ms)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		s.digest[:], slot.Place.Hall, slot.Place.Stall, slot.Day, slot.No, final, string(line), carrier,
		s.now.UnixMilli())
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// use writes down what a code was used for, unless that is known already, and has
// it paid if it is the first that is said of this code.
func (s *settling) use(u water.Use) error {
	before, err := s.told(u.N)
	if err != nil || slices.Contains(before, u) {
		return err
	}
	slot := s.Report.Slot
	i := slices.IndexFunc(s.all, func(r Reservation) bool { return r.N == u.N })
	var ref any
	if i >= 0 {
		ref = s.all[i].Ref
	}
	inside := s.known && u.Within(s.from, s.to, s.desk.policy.Grace)
	_, err = s.tx.Exec(s.ctx, `
		INSERT INTO bath_uses (hall, controller, day, slot, n, part, stall, start_s, end_s, pulses, amount_fen,
			pauses, ending, inside, ref, report)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		slot.Place.Hall, slot.Place.Stall, slot.Day, slot.No, u.N, len(before), u.Stall, u.Start, u.End, u.Pulses,
		u.Amount, u.Pauses, int64(u.Ending), inside, ref, s.digest[:])
	if err != nil {
		return fmt.Errorf("write use: %w", err)
	}
	if !inside {
		s.list(Outside, slot, u.N, u.Amount)
	}
	if slot.Place.Stall != 0 && slot.Place.Stall != u.Stall {
		s.list(OtherStall, slot, u.N, u.Amount)
	}
	switch {
	case len(before) > 0:
		s.list(ToldTwice, slot, u.N, u.Amount)
		return nil // the first word has moved the money, and stays
	case i < 0:
		s.list(NoReservation, slot, u.N, u.Amount)
		return nil
	}
	s.Uses++
	if stub := s.all[i].Stub; stub != nil { // its holder has paid
		due := min(u.Amount, s.all[i].Tariff.Price(u.Pulses)) // a stub does not say by which price it was made
		if *stub != u.Amount || *stub != due {
			s.list(OtherStub, slot, u.N, due-*stub)
		}
		return nil
	}
	s.price(&s.all[i], u)
	return nil
}

// told returns what was said of a code before, the first word first.
func (s *settling) told(n uint8) (all []water.Use, err error) {
	slot := s.Report.Slot
	err = sqldb.Each(s.ctx, s.tx, func(rows *sql.Rows) error {
		u := water.Use{N: n}
		err := rows.Scan(&u.Stall, &u.Start, &u.End, &u.Pulses, &u.Amount, &u.Pauses, &u.Ending)
		all = append(all, u)
		return err
	}, `SELECT stall, start_s, end_s, pulses, amount_fen, pauses, ending FROM bath_uses
		WHERE hall = ? AND controller = ? AND day = ? AND slot = ? AND n = ? ORDER BY part`,
		slot.Place.Hall, slot.Place.Stall, slot.Day, slot.No, n)
	if err != nil {
		return nil, fmt.Errorf("read uses: %w", err)
	}
	return all, nil
}

// price decides what a use costs its holder: what the controller says, but not more
// than was held, nor than the water costs at the price that was shown.
func (s *settling) price(r *Reservation, u water.Use) {
	amount := u.Amount
	if r.Cap < u.Amount {
		s.list(AboveHold, r.Slot, u.N, u.Amount-r.Cap)
		amount = r.Cap
	}
	if cost := r.Tariff.Price(u.Pulses); cost < amount {
		s.list(AbovePrice, r.Slot, u.N, amount-cost)
		amount = cost
	}
	if r.Hold == Released {
		s.list(AfterRelease, r.Slot, u.N, amount)
	}
	r.State = Used // not to be freed as unused
	s.captures = append(s.captures, capture{*r, amount, time.Unix(u.End, 0)})
}

// capture pays for what was used, and lets go of what is held above it.
func (s *settling) capture() error {
	paid, err := s.pay("merchant/"+store.Account(s.hall.Merchant), s.captures)
	s.Paid += paid
	return err
}

// free lets go of what is held for codes that were not used: the controller has
// said so of the whole slot. Of whom it cannot say that they did not come, nobody says so.
func (s *settling) free() error {
	var absent, unknown []string
	for _, r := range s.all {
		switch {
		case r.State == Used || r.Hold != Held:
		case s.excused(r):
			unknown = append(unknown, r.Ref)
		default:
			absent = append(absent, r.Ref)
		}
	}
	if s.Freed = len(absent) + len(unknown); s.Freed == 0 {
		return nil
	}
	if err := s.unused(Unknown, unknown, Reserved); err != nil {
		return err
	}
	if err := s.unused(NotUsed, absent, Reserved); err != nil {
		return err
	}
	return release(s.ctx, s.tx, append(absent, unknown...)...)
}

// excused reports whether a holder has not failed to come: they typed the code when it
// was not its time by the controller's clock, which may be wrong; or the controller was
// away for a while.
func (s *settling) excused(r Reservation) bool {
	return s.Report.Away || slices.Contains(s.Report.Tried, int(r.N))
}

// excuse takes back that holders did not come who are excused by a later word.
func (s *settling) excuse() error {
	var refs []string
	for _, r := range s.all {
		if r.State == NotUsed && s.excused(r) {
			refs = append(refs, r.Ref)
		}
	}
	return s.unused(Unknown, refs, NotUsed)
}

// unused moves reservations from one state to another; what is not in that stays.
func (s *settling) unused(to State, refs []string, from State) error {
	if len(refs) == 0 {
		return nil
	}
	hold := "hold"
	if from == Reserved {
		hold = "3"
	}
	_, err := s.tx.Exec(s.ctx, `
		UPDATE bath_reservations SET state = ?, moved_ms = ?, hold = `+hold+` WHERE state = ? AND ref = ANY (?)`,
		int64(to), s.now.UnixMilli(), int64(from), refs)
	return err
}

// lapseEvery is how often it is looked whether a day has passed.
const lapseEvery = time.Minute

// Run lets go of what no controller says anything about, and brings back what restored
// books have lost, until ctx ends.
func (d *Desk) Run(ctx context.Context) error {
	t := time.NewTicker(lapseEvery)
	defer t.Stop()
	for {
		if _, err := d.Lapse(ctx); err != nil && ctx.Err() == nil {
			d.log.Error("holds of baths not released", "err", err)
		}
		n, err := d.BringBack(ctx)
		if err != nil && ctx.Err() == nil {
			d.log.Error("lost baths not brought back", "err", err)
		}
		if n > 0 {
			d.log.Info("lost baths are back", "requests", n)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}

// lapseMax is how many holds are let go in one transaction.
const lapseMax = 500

// Lapse lets go of what is held for slots that ended a day ago, if no controller has
// said anything about them, and returns how many that were (section 5.3). Nobody
// says that their holders did not come: nobody knows. If a report comes after all,
// what it says was used is paid.
func (d *Desk) Lapse(ctx context.Context) (n int, err error) {
	err = d.books.Write(ctx, func(tx *sqldb.Tx) error {
		now := d.books.Now()
		refs, err := sqldb.Texts(ctx, tx, `
			SELECT ref FROM bath_reservations WHERE hold = 1 AND ref IN (
				SELECT ref FROM bath_reservations WHERE hold = 1 AND to_ms <= ? ORDER BY to_ms LIMIT ?)
			ORDER BY ref FOR NO KEY UPDATE`, // they are found by time, and locked by name
			now.Add(-d.policy.ReleasedIn).UnixMilli(), lapseMax)
		if n = len(refs); err != nil || n == 0 {
			return err
		}
		_, err = tx.Exec(ctx, `
			UPDATE bath_reservations SET state = 5, moved_ms = ?, hold = 3 WHERE state = 1 AND ref = ANY (?)`,
			now.UnixMilli(), refs)
		if err != nil {
			return err
		}
		return release(ctx, tx, refs...)
	})
	if err != nil {
		return 0, fmt.Errorf("release holds of baths: %w", err)
	}
	return n, nil
}

func fen(n sql.NullInt64) money.Fen { return money.Fen(n.Int64) }
