package bath_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"quancun/bathcode"
	"quancun/beijing"
	"quancun/kiosk/dialog"
	"quancun/kiosk/service"
	"quancun/kiosk/service/bath"
	"quancun/kiosk/service/tape"
	"quancun/kiosk/service/tape/tapetest"
	lab "quancun/lab/bath"
	upstream "quancun/upstream/bath"
	"quancun/upstream/client"
	way "quancun/upstream/client/bath"
	"quancun/upstream/store"
	"quancun/water"
)

// TestTape records what a holder sees of the baths.
func TestTape(t *testing.T) {
	w := newWorld(t)
	w.clock = tape.Now
	f := film{w, tapetest.New(t, "bath")}
	f.reserve()
	f.refuse()
	f.own()
	f.settle()
	f.halls()
	f.lose()
	f.end()
}

// film is a recorder in a world.
type film struct {
	w *world
	r *tapetest.Recorder
}

func (f film) visit(name string, say script) dialog.End { return f.at(name, f.w.service(), say) }

// at records a visit to a desk, and what becomes of what is being checked.
func (f film) at(name string, d *bath.Desk, say script) dialog.End {
	w := f.w
	w.t.Helper()
	balance, err := w.books.Balance(w.t.Context(), holder)
	w.ok(err)
	held, err := store.Held(w.t.Context(), w.books.Live(), holder)
	w.ok(err)
	v := tapetest.Visit{
		Name: name, Service: d.Service(), Answer: func(q dialog.Question) dialog.Answer { return w.answer(q, say) },
		Holder: service.Holder{Session: session, CardNo: "00002026000100012345", Account: client.Account{
			No: holder.No(), Balance: balance, Available: balance - held,
		}},
	}
	e := f.r.Record(v)
	if e.Err != nil && e.Report.Follow != nil {
		if w.meanwhile != nil {
			w.meanwhile()
		}
		f.r.Follow(v, e)
	}
	return e
}

// reserve sees a place go while it is chosen, reserves the last one, and then there is
// none.
func (f film) reserve() {
	w := f.w
	w.hear = func(q dialog.Question) {
		if q.Name == "bath.sure" {
			_, err := w.desk.Reserve(w.t.Context(), upstream.Request{
				Ref: "R1", Terminal: "K01", Account: rival, Hall: 1, Day: bathcode.DayOf(w.clock), Slot: 1,
			})
			w.ok(err)
			w.next = script{}
		}
	}
	f.visit("taken", reserving("龙山浴室", "17:30"))
	w.hear = nil
	f.visit("reserved", reserving("龙山浴室 17:00-18:00", "17:00-17:30  1/1"))
	f.visit("show", owning("bath.show"))
	full := reserving("龙山浴室", "")
	delete(full, "bath.slot")
	f.visit("full", full)
	w.faults = []fault{silent, silent}
	f.visit("unsure", reserving("菱湖浴室", "17:30"))
}

// saying is an upstream that refuses.
type saying struct {
	bath.Upstream
	look, no error
}

func (s saying) Halls(ctx context.Context) (way.Halls, error) {
	if s.look != nil {
		return way.Halls{}, s.look
	}
	return s.Upstream.Halls(ctx)
}

func (s saying) Cancel(context.Context, client.Session, way.Act) (way.Reservation, error) {
	return way.Reservation{}, s.no
}

func (s saying) Close(context.Context, client.Session, way.Act, string) (way.Reservation, error) {
	return way.Reservation{}, s.no
}

func (s saying) Reserve(context.Context, client.Session, way.Request) (way.Reservation, error) {
	return way.Reservation{}, s.no
}

// refuse records each "no" that a reservation can get.
func (f film) refuse() {
	for _, c := range []struct {
		name string
		no   way.Refusal
	}{
		{"gone", way.Refusal{Reason: way.SlotOver}}, {"yours", way.Refusal{Reason: way.AlreadyYours}},
		{"too-many", way.Refusal{Reason: way.TooMany}},
		{"no-shows", way.Refusal{Reason: way.NoShows, Until: tape.Now.Add(72 * time.Hour)}},
		{"not-enough", way.Refusal{Reason: way.NotEnough, Limit: 5 * yuan}},
		{"for-card", way.Refusal{Reason: way.NotEnough, Limit: 5 * yuan, Kept: 12 * yuan}},
		{"given-up", way.Refusal{Reason: way.GivenUp}},
		{"never", way.Refusal{Reason: way.Ended}},
	} {
		d := f.w.service()
		d.Upstream = saying{d.Upstream, nil, &c.no}
		f.at(c.name, d, reserving("菱湖浴室", "17:00"))
	}
	d := f.w.service()
	d.Upstream = saying{d.Upstream, errLost, nil}
	f.at("away", d, script{})
	f.w.clock = f.w.clock.Add(5 * time.Hour)
	f.visit("no-slots", reserving("菱湖浴室", ""))
	f.w.clock = tape.Now
}

// own gives up one reservation in time, and is too late for it.
func (f film) own() {
	which := func(deed dialog.Word) script {
		s := owning(deed)
		s["bath.which"] = "2026-11-23 17:00"
		return s
	}
	f.w.clock = time.Date(2026, 11, 23, 16, 55, 0, 0, beijing.Zone)
	f.visit("late", which(""))
	f.w.clock = tape.Now
	f.visit("cancelled", which("bath.cancel"))
	f.w.faults = []fault{silent, silent}
	s := owning("bath.cancel")
	s["bath.which"] = "2026-11-23 17:30"
	f.visit("unsure-own", s)
}

// settle showers, and settles by what the panel shows.
func (f film) settle() {
	w := f.w
	e := f.visit("tonight", reserving("菱湖浴室", "17:00"))
	b := w.controller(0)
	w.clock = time.Date(2026, 11, 23, 17, 5, 0, 0, beijing.Zone)
	if step := b.open(fact(e.Report.Facts, "bath.fact.code").Text); step != lab.Running {
		w.t.Fatalf("the panel shows %s", step)
	}
	stub := b.shower(2500)
	say := owning("bath.settle")
	say["bath.which"], say["bath.stub"] = "2026-11-23 17:00-17:30 菱湖", "12345678"
	tries := 0
	w.hear = func(q dialog.Question) {
		if q.Name == "bath.stub" {
			if tries++; tries == 2 {
				say["bath.stub"] = stub
			}
		}
	}
	f.visit("settled", say)
	w.hear = nil
	again := owning("")
	again["bath.which"] = "2026-11-23 17:00-17:30 菱湖"
	f.visit("used", again)
	for line := range bytes.Lines(b.Log()) {
		_, err := w.desk.Take(w.t.Context(), "console", bytes.TrimSpace(line))
		w.ok(err)
	}
	again = owning("")
	again["bath.which"] = "2026-11-23 17:00-17:30 菱湖"
	f.visit("log", again)
}

// tomorrow reserves for the day after.
func tomorrow(hall, slot string) script {
	s := reserving(hall, slot)
	s["bath.day"] = "bath.tomorrow"
	return s
}

// halls sees halls of other sorts, and none.
func (f film) halls() {
	w := f.w
	for n := range uint16(3) {
		w.ok(w.desk.SetStall(w.t.Context(), 1, upstream.Stall{No: n + 1}))
	}
	w.ok(w.desk.AddHall(w.t.Context(), upstream.Hall{
		No: 3, Name: "研究生浴室", Merchant: "bath-3", Cap: 5 * yuan, Tariff: water.Tariff{PerLitre: 4, PulsesPerLitre: 100},
	}))
	say := tomorrow("龙山浴室", "17:00")
	say["bath.stall"] = "3"
	delete(say, "bath.sure")
	f.visit("stalls", say)
	d := w.service()
	d.Upstream = having{Upstream: d.Upstream}
	f.at("no-halls", d, script{})
}

// having is an upstream with these reservations and no hall.
type having struct {
	bath.Upstream
	all []way.Reservation
}

func (h having) Halls(context.Context) (way.Halls, error) { return way.Halls{}, nil }

func (h having) Mine(context.Context, client.Session) ([]way.Reservation, error) { return h.all, nil }

// lose asks for a place, hears nothing, and is too late by then.
func (f film) lose() {
	w := f.w
	w.faults = []fault{lost, lost}
	w.meanwhile = func() {
		_, err := w.desk.Reserve(w.t.Context(), upstream.Request{
			Ref: "R2", Terminal: "K01", Account: rival, Hall: 2, Day: bathcode.DayOf(w.clock) + 1, Slot: 1,
		})
		w.ok(err)
	}
	f.visit("lost", tomorrow("菱湖浴室", "17:30"))
	w.meanwhile = nil
}

// end records how reservations end that nobody gives up or showers by, and each "no" on
// the way there.
func (f film) end() {
	w := f.w
	f.visit("next", tomorrow("菱湖浴室", "17:00"))
	which := func(deed dialog.Word) script {
		s := owning(deed)
		s["bath.which"], s["bath.stub"] = "2026-11-24", "12345678"
		return s
	}
	w.clock = w.clock.Add(time.Hour)
	refused := func(name string, deed dialog.Word, why way.Reason) {
		d := w.service()
		d.Upstream = saying{d.Upstream, nil, &way.Refusal{Reason: why}}
		f.at(name, d, which(deed))
	}
	refused("too-late", "bath.cancel", way.TooLate)
	refused("over", "bath.cancel", way.Over)
	refused("never-own", "bath.cancel", way.Ended)
	w.clock = time.Date(2026, 11, 24, 17, 5, 0, 0, beijing.Zone)
	refused("locked", "bath.settle", way.StubLocked)
	w.clock = w.clock.Add(72 * time.Hour)
	_, err := w.desk.Lapse(w.t.Context())
	w.ok(err)
	f.visit("no-word", which(""))
	all, err := w.client.Mine(w.t.Context(), session)
	w.ok(err)
	for i := range all {
		all[i].State = way.NotUsed
	}
	d := w.service()
	d.Upstream = having{d.Upstream, all}
	f.at("not-used", d, which(""))
}
