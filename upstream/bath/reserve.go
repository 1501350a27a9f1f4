package bath

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"quancun/bathcode"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// Request asks for a place. The terminal has written down Ref before.
type Request struct {
	Ref      string
	Terminal string
	Account  store.Account
	Hall     uint16
	Stall    uint16 // 0 for whichever is free
	Day      bathcode.Day
	Slot     uint8
}

// Free is a slot of a day, and what of it can be had.
type Free struct {
	Slot     uint8
	From, To time.Time
	Places   int // of all
	Free     int // now; 0 if nothing can be reserved any more
	Stalls   []uint16
}

// Day returns the slots of a day in a hall that is not over.
func (d *Desk) Day(ctx context.Context, hall uint16, day bathcode.Day) (h Hall, all []Free, err error) {
	err = d.books.Read(ctx, func(tx *sqldb.Tx) error {
		all = nil
		if h, err = readHall(ctx, tx, hall); err != nil {
			return err
		}
		for _, s := range h.Slots {
			if s.Closed {
				continue
			}
			f := Free{Slot: s.No}
			f.From, f.To = s.On(day)
			if d.when(h, day, f.To) == nil {
				p, err := d.readPlaces(ctx, tx, h, bathcode.Slot{Day: day, No: s.No})
				if err != nil {
					return err
				}
				f.Places, f.Free, f.Stalls = p.all, p.free(), p.stalls()
			}
			all = append(all, f)
		}
		return nil
	})
	switch {
	case errors.Is(err, store.ErrNone):
		return Hall{}, nil, refuse(HallUnknown)
	case err != nil:
		return Hall{}, nil, fmt.Errorf("read day: %w", err)
	}
	slices.SortFunc(all, func(a, b Free) int { return a.From.Compare(b.From) })
	return h, all, nil
}

// when refuses a time at which nothing can be reserved.
func (d *Desk) when(h Hall, day bathcode.Day, to time.Time) error {
	now := d.books.Now()
	switch {
	case h.Closed:
		return refuse(HallClosed)
	case !now.Before(to):
		return refuse(SlotOver)
	case int(day) > int(bathcode.DayOf(now))+d.policy.DaysAhead:
		return refuse(TooFar)
	}
	return nil
}

// Reserve takes a place, and holds what a shower may cost. The same request again
// is the same reservation, as it stands by then. Otherwise it returns a
// [*Refusal], and nothing has changed, or an error after which nobody knows: ask
// again under the same reference.
func (d *Desk) Reserve(ctx context.Context, q Request) (made Reservation, err error) {
	err = d.books.Write(ctx, func(tx *sqldb.Tx) error {
		t := taking{ctx: ctx, tx: tx, desk: d, Request: q}
		made, err = t.reserve()
		return err
	})
	var no *Refusal
	if errors.As(err, &no) {
		return Reservation{}, no
	}
	if err != nil {
		return Reservation{}, fmt.Errorf("reserve: %w", err)
	}
	return made, nil
}

// taking is a request under way, in a transaction.
type taking struct {
	ctx  context.Context //nolint:containedctx // lives for one transaction
	tx   *sqldb.Tx
	desk *Desk
	Request

	hall     Hall
	from, to time.Time
}

func (t *taking) reserve() (_ Reservation, err error) {
	if err := lockRef(t.ctx, t.tx, t.Ref); err != nil {
		return Reservation{}, err
	}
	// Locked, so that places are given one after the other, and the same request
	// twice at a time is seen to be one.
	t.hall, err = lockHall(t.ctx, t.tx, t.Hall)
	if errors.Is(err, store.ErrNone) {
		return Reservation{}, refuse(HallUnknown)
	}
	if err != nil {
		return Reservation{}, err
	}
	old, err := readOne(t.ctx, t.tx, t.Ref)
	if err == nil {
		return old, t.same(old)
	}
	if !errors.Is(err, store.ErrNone) {
		return Reservation{}, err
	}
	if err := mayBegin(t.ctx, t.tx, t.Ref); err != nil {
		return Reservation{}, err
	}
	if err := t.findSlot(); err != nil {
		return Reservation{}, err
	}
	given, err := t.given()
	if err != nil {
		return Reservation{}, err
	}
	if err := t.mayHold(given); err != nil {
		return Reservation{}, err
	}
	place, n, err := t.findPlace()
	if err != nil {
		return Reservation{}, err
	}
	if err := t.pass(given); err != nil {
		return Reservation{}, err
	}
	return t.insert(Reservation{
		Slot: bathcode.Slot{Place: place, Day: t.Day, No: t.Slot}, N: n, Made: t.desk.books.Now(),
		State: Reserved, Hold: Held,
	})
}

// same refuses what came under the reference of another reservation.
func (t *taking) same(old Reservation) error {
	asked := bathcode.Slot{Place: bathcode.Place{Hall: t.Hall, Stall: old.Slot.Place.Stall}, Day: t.Day, No: t.Slot}
	if old.Terminal != t.Terminal || old.Account != t.Account || old.Slot != asked ||
		t.Stall != 0 && old.Slot.Place.Stall != 0 && old.Slot.Place.Stall != t.Stall {
		return refuse(Conflict)
	}
	return nil
}

// findSlot refuses a slot that cannot be had.
func (t *taking) findSlot() error {
	i := slices.IndexFunc(t.hall.Slots, func(s Slot) bool { return s.No == t.Slot && !s.Closed })
	if i < 0 {
		return refuse(SlotUnknown)
	}
	t.from, t.to = t.hall.Slots[i].On(t.Day)
	return t.desk.when(t.hall, t.Day, t.to)
}

// againMax is how many places a holder gets in one slot. Each takes a code, of which a
// slot has few, and none comes back: who reserved and gave up all the time would keep
// everybody else out, and it would cost nothing.
const againMax = 2

// given locks the reservations of the same slot that the holder has cancelled, and
// that still hold money. What they hold passes to the new one, with the next serial
// number: one holder cannot well have two showers at a time.
func (t *taking) given() (all []Reservation, err error) {
	own, err := lockWhere(t.ctx, t.tx, `r.account = ? AND r.hall = ? AND r.day = ? AND r.slot = ?`,
		t.Account, t.Hall, t.Day, t.Slot)
	if err != nil {
		return nil, err
	}
	for _, r := range own {
		if r.State == Reserved {
			return nil, refuse(AlreadyYours)
		}
		if r.Hold == Held {
			all = append(all, r)
		}
	}
	if len(own) >= againMax {
		return nil, refuse(GivenUp)
	}
	return all, nil
}

// mayHold refuses a holder who may not reserve, or has not enough. It locks the
// account: what is held of it only changes behind that lock.
func (t *taking) mayHold(given []Reservation) error {
	at, err := t.desk.books.LockAccounts(t.ctx, t.tx, []store.Account{t.Account})
	if err != nil {
		return err
	}
	now := t.desk.books.Now()
	var ended bool
	var open, missed, oldest int64
	err = t.tx.QueryRow(t.ctx, `
		SELECT h.closed_ms IS NOT NULL OR coalesce(h.until_ms <= ?2, false),
			(SELECT count(*) FROM bath_reservations r WHERE r.account = ?1 AND r.state = 1 AND r.to_ms > ?2)
		FROM holders h WHERE h.account = ?1`, t.Account, now.UnixMilli()).Scan(&ended, &open)
	if err != nil {
		return err
	}
	// A controller's word about a slot counts once a later one of it is here: it has told
	// of a code that was given only after the slot, so its log was taken after that, by
	// whatever its clock said, and knows of all who came.
	err = t.tx.QueryRow(t.ctx, `
		SELECT count(*), coalesce(min(r.to_ms), 0) FROM bath_reservations r
		WHERE r.account = ? AND r.state = 4 AND r.to_ms > ? AND EXISTS (
			SELECT 1 FROM bath_uses u JOIN bath_reservations later ON later.ref = u.ref
			WHERE u.hall = r.hall AND u.controller = r.stall AND u.day >= r.day AND later.made_ms >= r.to_ms + ?)`,
		t.Account, now.Add(-t.desk.policy.Span).UnixMilli(), t.desk.policy.Grace.Milliseconds()).
		Scan(&missed, &oldest)
	if err != nil {
		return err
	}
	held, err := store.Held(t.ctx, t.tx, t.Account)
	if err != nil {
		return err
	}
	available := at[t.Account].Balance - held
	for _, r := range given {
		available += r.Cap
	}
	kept := store.Kept(available, t.desk.reserve)
	switch {
	case ended:
		return refuse(AccountEnded)
	case int(missed) >= t.desk.policy.NoShows:
		return &Refusal{Reason: NoShows, Until: time.UnixMilli(oldest).Add(t.desk.policy.Span).UTC()}
	case int(open) >= t.desk.policy.OpenMax:
		return refuse(TooMany)
	case available < t.hall.Cap:
		return &Refusal{Reason: NotEnough, Limit: t.hall.Cap}
	case available-kept < t.hall.Cap:
		return &Refusal{Reason: NotEnough, Limit: t.hall.Cap, Kept: kept}
	}
	return nil
}

// findPlace returns the place and a serial number of its codes in the slot.
func (t *taking) findPlace() (bathcode.Place, uint8, error) {
	p, err := t.desk.readPlaces(t.ctx, t.tx, t.hall, bathcode.Slot{Day: t.Day, No: t.Slot})
	if err != nil {
		return bathcode.Place{}, 0, err
	}
	place := bathcode.Place{Hall: t.Hall}
	if t.hall.Whole {
		if p.free() == 0 {
			return place, 0, refuse(SlotFull)
		}
		return place, p.next(0, t.Ref), nil
	}
	stalls := p.stalls()
	if t.Stall != 0 && slices.Contains(stalls, t.Stall) {
		stalls = []uint16{t.Stall}
	} else if t.Stall != 0 || len(stalls) == 0 {
		return place, 0, refuse(SlotFull)
	}
	// One whose code nobody was given, if there is one: nobody else turns up there. They are
	// given from the first on, and in doubt from the last, where nobody may have been sent.
	if p.doubt {
		slices.Reverse(stalls)
	}
	place.Stall = slices.MinFunc(stalls, func(a, b uint16) int { return len(p.issued[a]) - len(p.issued[b]) })
	return place, p.next(place.Stall, t.Ref), nil
}

// pass lets go of what the holder's cancelled reservations of the slot hold: the
// new one holds it.
func (t *taking) pass(given []Reservation) error {
	for _, r := range given {
		if err := release(t.ctx, t.tx, r.Ref); err != nil {
			return err
		}
	}
	return nil
}

// insert writes a reservation of the hall and the time that were found.
func (t *taking) insert(r Reservation) (Reservation, error) {
	till := t.from.Add(-time.Duration(t.hall.Cancel) * time.Minute)
	result, err := t.tx.Exec(t.ctx, `
		INSERT INTO bath_reservations (ref, terminal, account, hall, stall, day, slot, n, cap_fen, litre_fen,
			litre_pulses, from_ms, to_ms, cancel_ms, made_ms, moved_ms, state, hold)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (ref) DO NOTHING`,
		t.Ref, t.Terminal, t.Account, t.Hall, r.Slot.Place.Stall, t.Day, t.Slot, r.N, t.hall.Cap,
		t.hall.Tariff.PerLitre, t.hall.Tariff.PulsesPerLitre, t.from.UnixMilli(), t.to.UnixMilli(), till.UnixMilli(),
		r.Made.UnixMilli(), t.desk.books.Now().UnixMilli(), int64(r.State), int64(r.Hold))
	if err != nil {
		return Reservation{}, err
	}
	if rows, err := result.RowsAffected(); err != nil || rows == 0 {
		return Reservation{}, errors.Join(refuse(Conflict), err) // another hall has the reference just now
	}
	return readOne(t.ctx, t.tx, t.Ref)
}

// places are the places of a slot.
type places struct {
	whole  bool
	all    int                // stalls that are open
	taken  map[uint16]int     // places that somebody has, by stall; under 0 of a whole hall
	issued map[uint16][]uint8 // codes that were given out, likewise
	open   []uint16
	doubt  bool // others may have been given out of which the books do not know
}

func (d *Desk) readPlaces(ctx context.Context, q sqldb.Querier, h Hall, s bathcode.Slot) (p places, err error) {
	p = places{whole: h.Whole, taken: map[uint16]int{}, issued: map[uint16][]uint8{}}
	if p.doubt, err = d.doubted(ctx, q, s.Day); err != nil {
		return p, err
	}
	for _, stall := range h.Stalls {
		if !stall.Closed {
			p.open = append(p.open, stall.No)
		}
	}
	p.all = len(p.open)
	all, err := readWhere(ctx, q, `r.hall = ? AND r.day = ? AND r.slot = ?`, h.No, s.Day, s.No)
	if err != nil {
		return p, fmt.Errorf("read places: %w", err)
	}
	for _, r := range all {
		p.issued[r.Slot.Place.Stall] = append(p.issued[r.Slot.Place.Stall], r.N)
		if r.State == Reserved || r.State == Used {
			p.taken[r.Slot.Place.Stall]++
		}
	}
	return p, nil
}

// doubted reports whether codes of a day may have been given of which the books do not
// know: they were restored from a copy, as terminals say, or have had no time to say. What
// they are older by was given before that, for as many days ahead as can be reserved.
func (d *Desk) doubted(ctx context.Context, q sqldb.Querier, day bathcode.Day) (bool, error) {
	if d.books.Now().Before(d.heard) {
		return true, nil
	}
	last, err := store.Restored(ctx, q)
	return !last.IsZero() && int(day) <= int(bathcode.DayOf(last))+d.policy.DaysAhead, err
}

// left returns the serial numbers that no code of a stall has, or of a whole hall under 0.
// Numbers are given from the lowest on. Where books of which these are a copy may have
// done so too, those of the upper half are left: two holders never have one code.
func (p places) left(stall uint16) (all []uint8) {
	codes := bathcode.Place{Stall: stall}.Codes()
	first := 0
	if p.doubt {
		first = codes / 2
	}
	for n := first; n < codes; n++ {
		if !slices.Contains(p.issued[stall], uint8(n)) {
			all = append(all, uint8(n))
		}
	}
	return all
}

// next returns one that is left, for a request. In doubt it may be any of them: books that
// are restored again from the same copy hardly give the same to others.
func (p places) next(stall uint16, ref string) uint8 {
	left := p.left(stall)
	if !p.doubt {
		return left[0]
	}
	any := sha256.Sum256([]byte(ref))
	return left[int(any[0])%len(left)]
}

// free returns how many places can be had.
func (p places) free() int {
	if p.whole {
		return max(min(p.all-p.taken[0], len(p.left(0))), 0)
	}
	return len(p.stalls())
}

// stalls returns those that can be had; none of a whole hall, where nobody chooses.
func (p places) stalls() (free []uint16) {
	for _, s := range p.open {
		if !p.whole && p.taken[s] == 0 && len(p.left(s)) > 0 {
			free = append(free, s)
		}
	}
	return free
}

// mineMax is how many reservations [Desk.Mine] returns, and mineSpan how old their
// slots are at most, unless money is held for them.
const (
	mineMax  = 20
	mineSpan = 14 * 24 * time.Hour
)

// Mine returns the newest reservations of a holder, and all that hold money.
func (d *Desk) Mine(ctx context.Context, a store.Account) (all []Reservation, err error) {
	err = d.books.Read(ctx, func(tx *sqldb.Tx) error {
		all, err = readWhere(ctx, tx, `r.account = ? AND (r.hold = 1 OR r.to_ms > ?)`,
			a, d.books.Now().Add(-mineSpan).UnixMilli())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read reservations: %w", err)
	}
	slices.SortFunc(all, func(a, b Reservation) int { return b.From.Compare(a.From) })
	n := 0
	return slices.DeleteFunc(all, func(r Reservation) bool {
		n++
		return n > mineMax && r.Hold != Held
	}), nil
}
