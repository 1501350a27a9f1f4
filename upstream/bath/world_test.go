package bath_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"quancun/bathcode"
	"quancun/money"
	"quancun/upstream/bath"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	"quancun/upstream/store/pgtest"
	"quancun/water"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const yuan = money.Yuan

// The halls of this test: stalls 1 and 2 of hall 1 have codes of their own, and
// hall 2 has three stalls with one sort of code.
const (
	byStall = uint16(1)
	whole   = uint16(2)
)

var (
	master = bathcode.Master{4, 2}
	zone   = time.FixedZone("CST", 8*60*60)
	today  = bathcode.DayOf(time.Date(2026, 11, 26, 0, 0, 0, 0, zone))
	tariff = water.Tariff{PerLitre: 4, PulsesPerLitre: 100}
)

// world is real books with two halls and three holders of 20 yuan each, at noon.
type world struct {
	t     *testing.T
	books *store.Books
	desk  *bath.Desk
	clock time.Time
	refs  int
	acts  atomic.Int64
}

func onBothEngines(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("SQLite", func(t *testing.T) { test(t, newWorld(t, filepath.Join(t.TempDir(), "books.db"))) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, newWorld(t, pgtest.New(t).DSN)) })
}

func newWorld(t *testing.T, dsn string) *world {
	t.Helper()
	w := &world{t: t, clock: time.Date(2026, 11, 26, 12, 0, 0, 0, zone)}
	var err error
	w.books, err = booktest.Open(t.Context(), dsn, func() time.Time { return w.clock })
	w.ok(err)
	t.Cleanup(func() { w.whole(); w.ok(w.books.Close()) })
	w.desk = bath.New(bath.Config{Books: w.books, Master: master})
	_, err = w.books.AddTerminal(t.Context(), store.Terminal{ID: "kiosk1"})
	w.ok(err)
	for i := range 3 {
		a := holder(i)
		w.ok(w.books.AddHolder(t.Context(), store.Holder{Account: a, Name: "张三", Number: a.No()}, store.PIN{}, 20*yuan))
	}
	for _, h := range []bath.Hall{
		{No: byStall, Name: "东区浴室", Merchant: "bath-east", Cap: 6 * yuan, Tariff: tariff, Cancel: 10},
		{No: whole, Name: "西区浴室", Merchant: "bath-west", Whole: true, Cap: 5 * yuan, Tariff: tariff, Cancel: 10},
	} {
		w.ok(w.desk.AddHall(t.Context(), h))
		for n := range 1 + h.No {
			w.ok(w.desk.SetStall(t.Context(), h.No, bath.Stall{No: n + 1}))
		}
		_, err := w.desk.AddSlots(t.Context(), h.No, water.Time{From: 17 * 60, To: 19 * 60}, 30)
		w.ok(err)
	}
	return w
}

func holder(i int) store.Account { return store.HolderAccount(fmt.Sprint(1001 + i)) }

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// whole checks that the books are.
func (w *world) whole() {
	w.t.Helper()
	if w.t.Failed() {
		return
	}
	lines, err1 := w.books.Verify(w.t.Context())
	more, err2 := bath.Verify(w.t.Context(), w.books)
	if err := errors.Join(err1, err2); err != nil && w.t.Context().Err() == nil || len(lines)+len(more) > 0 {
		w.t.Errorf("Verify = %q, %q, %v", lines, more, err)
	}
}

// at sets the clock to a time of today.
func (w *world) at(hour, minute int) { w.clock = time.Date(2026, 11, 26, hour, minute, 0, 0, zone) }

func (w *world) request(i int, hall uint16, slot uint8) bath.Request {
	w.refs++
	return bath.Request{
		Ref: fmt.Sprintf("B%d", w.refs), Terminal: "kiosk1", Account: holder(i), Hall: hall, Day: today, Slot: slot,
	}
}

// act is something that a reservation's holder asks for, at the kiosk.
func (w *world) act(r bath.Reservation) bath.Act {
	return bath.Act{
		Ref: fmt.Sprintf("A%d", w.acts.Add(1)), Terminal: "kiosk1", Account: r.Account, Reservation: r.Ref,
	}
}

func (w *world) reserve(i int, hall uint16, slot uint8) bath.Reservation {
	w.t.Helper()
	r, err := w.desk.Reserve(w.t.Context(), w.request(i, hall, slot))
	w.ok(err)
	return r
}

// refused checks that an error is a refusal for a reason.
func (w *world) refused(err error, why bath.Reason) *bath.Refusal {
	w.t.Helper()
	var no *bath.Refusal
	if !errors.As(err, &no) || no.Reason != why {
		w.t.Fatalf("err = %v, want a refusal for %d", err, why)
	}
	return no
}

// now returns a reservation as the books have it.
func (w *world) now(r bath.Reservation) bath.Reservation {
	w.t.Helper()
	all, err := w.desk.Mine(w.t.Context(), r.Account)
	w.ok(err)
	i := slices.IndexFunc(all, func(o bath.Reservation) bool { return o.Ref == r.Ref })
	if i < 0 {
		w.t.Fatalf("%s is not among %+v", r.Ref, all)
	}
	return all[i]
}

// stands checks a reservation and its hold.
func (w *world) stands(r bath.Reservation, s bath.State, h bath.Hold, paid money.Fen) {
	w.t.Helper()
	if is := w.now(r); is.State != s || is.Hold != h || is.Captured != paid {
		w.t.Errorf("%s: state %d, hold %d, paid %s; want %d, %d, %s", r.Ref, is.State, is.Hold, is.Captured, s, h, paid)
	}
}

// money checks what a holder has, and how much of it is held.
func (w *world) money(i int, balance, held money.Fen) {
	w.t.Helper()
	b, err1 := w.books.Balance(w.t.Context(), holder(i))
	h, err2 := store.Held(w.t.Context(), w.books.Live(), holder(i))
	if err := errors.Join(err1, err2); err != nil || b != balance || h != held {
		w.t.Errorf("holder %d has %s, %s of it held, %v; want %s, %s", i, b, h, err, balance, held)
	}
}

// use is what a controller says of a reservation's code, so many litres from its
// slot's start on.
func use(r bath.Reservation, litres int64) water.Use {
	stall := max(r.Slot.Place.Stall, 3) // of a whole hall: the third
	if r.Slot.Place.Stall != 0 {
		stall = r.Slot.Place.Stall
	}
	return water.Use{
		N: r.N, Stall: stall, Start: r.From.Unix() + 60, End: r.From.Unix() + 600, Pulses: 100 * litres,
		Amount: tariff.Price(100 * litres), Pauses: 1, Ending: water.ByKey,
	}
}

// report seals what the controller of a reservation's place says of its slot.
func report(s bathcode.Slot, final bool, uses ...water.Use) []byte {
	return water.Report{Slot: s, Final: final, Uses: uses}.Seal(master.Key(s.Place, s.Day))
}

func (w *world) take(line []byte) bath.Taken {
	w.t.Helper()
	t, err := w.desk.Take(w.t.Context(), "kiosk1", line)
	w.ok(err)
	w.whole()
	return t
}

// inbox returns the kinds of its open lines.
func (w *world) inbox() (kinds []string) {
	w.t.Helper()
	all, err := w.books.Exceptions(w.t.Context())
	w.ok(err)
	for _, x := range all {
		if x.Owner == "" || x.NextStep == "" {
			w.t.Errorf("%s is nobody's: %+v", x.Kind, x)
		}
		kinds = append(kinds, x.Kind)
	}
	slices.Sort(kinds)
	return kinds
}

func (w *world) listed(want ...string) {
	w.t.Helper()
	slices.Sort(want)
	if got := w.inbox(); !slices.Equal(got, want) {
		w.t.Errorf("inbox has %q, want %q", got, want)
	}
}
