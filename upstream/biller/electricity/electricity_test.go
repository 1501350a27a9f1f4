package electricity_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"quancun/lab/breaker"
	"quancun/lab/breaker/breakertest"
	lab "quancun/lab/electricity"
	"quancun/money"
	"quancun/upstream/biller/electricity"
	"quancun/upstream/biller/vendor"
)

const yuan = money.Yuan

// world is a campus of meters behind TLS, and the three wires to it.
type world struct {
	*testing.T
	campus   *lab.Campus
	rest     *electricity.Rest
	synjones *electricity.Synjones
	wanxiao  *electricity.Wanxiao
}

func (w world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func newWorld(t *testing.T) world {
	t.Helper()
	w, dir := world{T: t}, t.TempDir()
	var err error
	w.campus, err = lab.New(lab.Config{Dir: dir, Key: "secret"})
	w.must(err)
	s := breakertest.Serve(t, dir, w.campus)
	key, pin := filepath.Join(dir, "key"), filepath.Join(dir, breaker.CertificateFile)
	w.must(os.WriteFile(key, []byte("secret\n"), 0o600))
	var err1, err2, err3 error
	w.rest, err1 = electricity.NewRest(electricity.RestConfig{
		Address: s.URL, CertificateFile: pin, KeyFile: key, JobNo: "k",
	})
	w.synjones, err2 = electricity.NewSynjones(electricity.SynjonesConfig{
		Address: s.URL, CertificateFile: pin, App: lab.App, Account: "1",
	})
	w.wanxiao, err3 = electricity.NewWanxiao(electricity.WanxiaoConfig{
		Address: s.URL, CertificateFile: pin, PayProject: "726", School: "43",
	})
	w.must(errors.Join(err1, err2, err3))
	east, north := lab.Place{ID: "1", Name: "东区"}, lab.Place{ID: "6", Name: "6号楼"}
	for _, r := range []lab.Room{
		{Area: east, Building: lab.Place{ID: "3", Name: "3号楼"}, Floor: lab.Place{ID: "31", Name: "1层"},
			Room: lab.Place{ID: "301", Name: "301"}, Energy: 1440, Money: 806, ReadAt: 1772323200},
		{Area: east, Building: north, Room: lab.Place{ID: "6415", Name: "415"}, Energy: -118, Money: -66, Meter: "照明"},
		{Area: east, Building: north, Room: lab.Place{ID: "6416", Name: "416"}, Offline: true},
	} {
		w.must(w.campus.Add(r))
	}
	return w
}

var (
	east   = electricity.Place{Kind: electricity.Area, ID: "1", Name: "东区"}
	three  = electricity.Place{Kind: electricity.Building, ID: "3", Name: "3号楼"}
	six    = electricity.Place{Kind: electricity.Building, ID: "6", Name: "6号楼"}
	first  = electricity.Place{Kind: electricity.Floor, ID: "31", Name: "1层"}
	r301   = electricity.Place{Kind: electricity.Room, ID: "301", Name: "301"}
	r415   = electricity.Place{Kind: electricity.Room, ID: "6415", Name: "415"}
	r416   = electricity.Place{Kind: electricity.Room, ID: "6416", Name: "416"}
	torn   = electricity.Place{Kind: electricity.Room, ID: "999", Name: "999"}
	path   = electricity.Path{east, three, first, r301}
	owing  = electricity.Path{east, six, r415}
	dark   = electricity.Path{east, six, r416}
	absent = electricity.Path{east, six, torn}
)

// TestPlaces walks down from the areas to a room on each wire, with floors and
// without.
func TestPlaces(t *testing.T) {
	w := newWorld(t)
	verify := electricity.Place{Kind: electricity.Room, ID: "1-6--6415-照明", Name: "415照明"}
	for name, c := range map[string]struct {
		v    electricity.Vendor
		path electricity.Path
	}{
		"Rest":            {w.rest, path},
		"RestNoFloor":     {w.rest, owing},
		"Synjones":        {w.synjones, path},
		"SynjonesNoFloor": {w.synjones, owing},
		"Wanxiao":         {w.wanxiao, electricity.Path{east, six, verify}},
	} {
		for n := range c.path {
			places, err := c.v.Places(t.Context(), c.path[:n])
			found := false
			for _, p := range places {
				found = found || p == c.path[n]
			}
			if err != nil || !found {
				t.Errorf("%s: below %v are %v, %v; want %v", name, c.path[:n], places, err, c.path[n])
			}
		}
		if _, err := c.v.Places(t.Context(), electricity.Path{{Kind: electricity.Area, ID: "x"}}); err == nil {
			t.Errorf("%s: something is below nowhere", name)
		}
	}
}

func TestMeters(t *testing.T) {
	w := newWorld(t)
	m := func(v electricity.Vendor, p electricity.Path) electricity.Meter {
		t.Helper()
		all, err := v.Meters(t.Context(), p)
		if err != nil || len(all) != 1 {
			t.Fatalf("Meters(%s) = %v, %v", p.Title(), all, err)
		}
		return all[0]
	}
	x := m(w.rest, path)
	if *x.Energy != 1440 || *x.Money != 806 || !x.Payable || x.ReadAt.Unix() != 1772323200 {
		t.Errorf("rest: %s kWh, %s yuan, read %s", x.Energy, x.Money, x.ReadAt)
	}
	if x = m(w.rest, owing); *x.Energy != -118 || *x.Money != -66 {
		t.Errorf("rest, owing: %s kWh, %s yuan", x.Energy, x.Money)
	}
	if x = m(w.synjones, owing); x.Energy != nil || *x.Money != -66 {
		t.Errorf("synjones: %v, %s yuan", x.Energy, x.Money)
	}
	verify := electricity.Place{Kind: electricity.Room, ID: "1-6--6415-照明"}
	if x = m(w.wanxiao, electricity.Path{east, six, verify}); *x.Energy != -118 || x.Money != nil || x.Payable {
		t.Errorf("wanxiao: %s kWh, %v, payable %t", x.Energy, x.Money, x.Payable)
	}
	for name, v := range map[string]electricity.Vendor{"Rest": w.rest, "Synjones": w.synjones, "Wanxiao": w.wanxiao} {
		if _, err := v.Meters(t.Context(), absent); !errors.Is(err, vendor.ErrNoTarget) {
			t.Errorf("%s: a room that was torn down: %v", name, err)
		}
		at := dark
		if name == "Wanxiao" {
			at = electricity.Path{east, six, {Kind: electricity.Room, ID: "1-6--6416"}}
		}
		if all, err := v.Meters(t.Context(), at); err != nil || len(all) != 1 || all[0] != (electricity.Meter{}) {
			t.Errorf("%s: a meter that is offline shows %+v, %v", name, all, err)
		}
	}
	t.Run("NotJSON", func(t *testing.T) {
		for _, k := range []breaker.Kind{breaker.HTML, breaker.HTTP500, breaker.Half, breaker.Drop, breaker.Empty} {
			w.must(w.campus.Arm(breaker.Fault{Method: "room", Kind: k}))
			if all, err := w.rest.Meters(t.Context(), path); err == nil || errors.Is(err, vendor.ErrNoTarget) {
				t.Errorf("%s: Meters = %v, %v", k, all, err)
			}
		}
	})
}

var errUnknown = errors.New("unknown")

// TestBusy: a vendor that says no without saying to what has answered, and has not said that
// the room is gone, or its meter offline.
func TestBusy(t *testing.T) {
	w := newWorld(t)
	for _, meter := range []string{"照明", "空调"} {
		w.must(w.campus.Add(lab.Room{
			Area: lab.Place{ID: "1", Name: "东区"}, Building: lab.Place{ID: "6", Name: "6号楼"},
			Room: lab.Place{ID: "6500", Name: "500"}, Meter: meter,
		}))
	}
	places, err := w.rest.Places(t.Context(), electricity.Path{east, six})
	w.must(err)
	two := slices.IndexFunc(places, func(p electricity.Place) bool { return p.Name == "500" })
	w.must(w.campus.Arm(breaker.Fault{Method: "room", Kind: breaker.Refuse, Standing: true}))
	for _, room := range []electricity.Path{path, {east, six, places[two]}} {
		all, err := w.rest.Meters(t.Context(), room)
		if errors.Is(err, vendor.ErrNoTarget) || !errors.As(err, new(*vendor.Unclear)) {
			t.Errorf("Meters(%s) = %v, %v; want an answer that does not say", room.Title(), all, err)
		}
	}
}

// TestTwoMeters: a room that a vendor has once for each meter is one room, and each
// meter is read, and paid, for itself.
func TestTwoMeters(t *testing.T) {
	w := newWorld(t)
	north := lab.Place{ID: "6", Name: "6号楼"}
	for _, r := range []lab.Room{
		{Meter: "照明", Energy: 500, Money: 280}, {Meter: "空调", Offline: true},
	} {
		r.Area, r.Building, r.Room = lab.Place{ID: "1", Name: "东区"}, north, lab.Place{ID: "6500", Name: "500"}
		w.must(w.campus.Add(r))
	}
	for _, v := range []electricity.Vendor{w.wanxiao, w.rest} {
		name := fmt.Sprintf("%T", v)
		places, err := v.Places(t.Context(), electricity.Path{east, six})
		i := slices.IndexFunc(places, func(p electricity.Place) bool { return p.Name == "500" })
		if err != nil || i < 0 || len(places) != 3 {
			t.Fatalf("%s: rooms %v, %v", name, places, err)
		}
		room := electricity.Path{east, six, places[i]}
		all, err := v.Meters(t.Context(), room)
		if err != nil || len(all) != 2 || all[0].Name != "照明" || *all[0].Energy != 500 || all[1].Name != "空调" ||
			all[1].Energy != nil || all[1].Payable || all[0].ID == all[1].ID {
			t.Errorf("%s: meters %+v, %v", name, all, err)
		}
		if v != electricity.Vendor(w.rest) {
			continue // it cannot be paid
		}
		for meter, want := range map[string]error{"": vendor.ErrRefused, "x": vendor.ErrRefused, all[0].ID: nil} {
			target, err := electricity.Target(room, meter)
			w.must(err)
			_, err = w.rest.Pay(t.Context(), vendor.Charge{OrderNo: "N1", Target: target, Amount: yuan})
			if !errors.Is(err, want) {
				t.Errorf("pay for meter %q: %v, want %v", meter, err, want)
			}
		}
		if all, err = v.Meters(t.Context(), room); err != nil || *all[0].Money != 380 {
			t.Errorf("after it was paid: %+v, %v", all, err)
		}
	}
}

// TestPay holds each way in which a payment can go, on both wires that pay,
// against what the adapter makes of it and what was booked.
func TestPay(t *testing.T) {
	for name, c := range map[string]struct {
		fault  breaker.Fault
		want   error
		booked int
	}{
		"Done":       {breaker.Fault{}, nil, 1},
		"Refused":    {breaker.Fault{Kind: breaker.Refuse}, vendor.ErrRefused, 0},
		"Drop":       {breaker.Fault{Kind: breaker.Drop}, errUnknown, 0},
		"DropBooked": {breaker.Fault{Kind: breaker.Drop, Booked: true}, errUnknown, 1},
		"HTMLBooked": {breaker.Fault{Kind: breaker.HTML, Booked: true}, errUnknown, 1},
		"Half":       {breaker.Fault{Kind: breaker.Half}, errUnknown, 1},
		"NoNumber":   {breaker.Fault{Kind: breaker.Empty}, errUnknown, 1},
		"SlowBooked": {breaker.Fault{
			Kind: breaker.Delay, Delay: breaker.Duration(time.Minute), Booked: true,
		}, errUnknown, 1},
	} {
		for wire, method := range map[string]string{"Rest": "recharge", "Synjones": "pay"} {
			t.Run(name+wire, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				var b vendor.Biller = w.rest
				want := c.want
				if wire == "Synjones" {
					b = w.synjones
					if want != nil { // nobody knows what its codes mean
						want = errUnknown
					}
				}
				fault := c.fault // both wires run at once, each with its own
				if fault.Method = method; fault.Kind != "" {
					w.must(w.campus.Arm(fault))
				}
				ctx := t.Context()
				if fault.Kind == breaker.Delay {
					ctx = untilBooked(t, w)
				}
				_, err := b.Pay(ctx, charge(t, "N1", 10*yuan))
				check(t, err, want)
				if n := len(w.campus.Recharges()); n != c.booked {
					t.Errorf("%d are booked, want %d", n, c.booked)
				}
				if wire == "Rest" {
					askFor(w, c.booked)
				}
			})
		}
	}
}

// untilBooked is a patience that ends once the vendor has booked something.
func untilBooked(t *testing.T, w world) context.Context {
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		defer stop()
		for len(w.campus.Recharges()) == 0 && ctx.Err() == nil {
			time.Sleep(5 * time.Millisecond)
		}
	}()
	return ctx
}

func askFor(w world, booked int) {
	w.Helper()
	r, err := w.rest.Ask(w.Context(), charge(w.T, "N1", 10*yuan))
	if booked == 1 && (err != nil || r.RecordNo != "E00000001" || r.At.IsZero()) {
		w.Errorf("Ask = %+v, %v", r, err)
	}
	if booked == 0 && !errors.Is(err, vendor.ErrAbsent) {
		w.Errorf("Ask = %v; want that there is none", err)
	}
}

func charge(t *testing.T, no string, f money.Fen) vendor.Charge {
	t.Helper()
	target, err := electricity.Target(path, "")
	if err != nil {
		t.Fatal(err)
	}
	return vendor.Charge{OrderNo: no, Target: target, Amount: f}
}

func check(t *testing.T, err, want error) {
	t.Helper()
	if want == errUnknown {
		if err == nil || errors.Is(err, vendor.ErrRefused) || errors.Is(err, vendor.ErrNotSent) {
			t.Errorf("Pay = %v; want an error that says nothing", err)
		}
		return
	}
	if !errors.Is(err, want) {
		t.Errorf("Pay = %v; want %v", err, want)
	}
}

func TestAskAboutAnotherAmount(t *testing.T) {
	w := newWorld(t)
	_, err := w.rest.Pay(t.Context(), charge(t, "N1", 10*yuan))
	w.must(err)
	if _, err := w.rest.Ask(t.Context(), charge(t, "N1", 11*yuan)); !errors.Is(err, vendor.ErrMismatch) {
		t.Errorf("Ask = %v", err)
	}
	w.must(w.campus.Arm(breaker.Fault{Method: "order", Kind: breaker.Refuse}))
	if _, err := w.rest.Ask(t.Context(), charge(t, "N1", 10*yuan)); err == nil || errors.Is(err, vendor.ErrAbsent) {
		t.Errorf("Ask while they are busy = %v; that is no word about the order", err)
	}
}

// TestAskAboutWhereIsNoMore: a building is torn down, and with it goes what the vendor
// knows of its orders. That is no word about them.
func TestAskAboutWhereIsNoMore(t *testing.T) {
	w := newWorld(t)
	_, err := w.rest.Pay(t.Context(), charge(t, "N1", 10*yuan))
	w.must(err)
	for _, r := range w.campus.Rooms() {
		w.must(w.campus.Remove(r.Room.ID))
	}
	if _, err := w.rest.Ask(t.Context(), charge(t, "N1", 10*yuan)); err == nil || errors.Is(err, vendor.ErrAbsent) {
		t.Errorf("Ask = %v; the order was booked", err)
	}
}

func TestTarget(t *testing.T) {
	for _, bad := range []electricity.Path{nil, {east}, {r301, east}, {east, {Kind: electricity.Room}}} {
		if s, err := electricity.Target(bad, ""); err == nil {
			t.Errorf("Target(%v) = %q", bad, s)
		}
	}
}
