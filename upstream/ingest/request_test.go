package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"quancun/bathcode"
	"quancun/journal"
	"quancun/money"
	"quancun/upstream/bath"
	"quancun/upstream/biller"
	"quancun/upstream/biller/vendor"
	"quancun/upstream/ingest"
	"quancun/upstream/store"
	"quancun/water"
)

// counter is a biller that books what it is told, or says nothing.
type counter struct{ mute bool }

func (c counter) Pay(context.Context, vendor.Charge) (vendor.Receipt, error) {
	if c.mute {
		return vendor.Receipt{}, errors.New("silent")
	}
	return vendor.Receipt{RecordNo: "1"}, nil
}

// asked writes the intent and the end of what moves no money by itself.
func (c *till) asked(service, ref string, o journal.Outcome) {
	e := journal.Entry{
		Kind: journal.RequestIntent, Ref: ref, Account: "1001", Details: []byte(`{"service":"` + service + `"}`),
	}
	c.write(e)
	e.Kind, e.Outcome = journal.RequestEnd, o
	c.write(e)
}

// TestRequestBath holds what journals say of showers against the reservations.
func TestRequestBath(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		holder := w.holder("1001", 100*yuan)
		c := w.till("C01")
		d := bath.New(bath.Config{Books: w.books, Master: bathcode.Master{7}})
		err := d.AddHall(t.Context(), bath.Hall{
			No: 1, Name: "龙山浴室", Merchant: "bath-1", Cap: 5 * yuan, Tariff: water.Tariff{PerLitre: 4, PulsesPerLitre: 100},
		})
		if err == nil {
			err = d.SetStall(t.Context(), 1, bath.Stall{No: 1})
		}
		if err == nil {
			_, err = d.AddSlots(t.Context(), 1, water.Time{From: 0, To: 24 * 60}, 12*60)
		}
		if err != nil {
			t.Fatal(err)
		}
		tomorrow := bathcode.DayOf(w.books.Now().Add(24 * time.Hour))
		for slot, ref := range []string{"S1", "S2"} {
			_, err := d.Reserve(t.Context(), bath.Request{
				Ref: ref, Terminal: "C01", Account: holder, Hall: 1, Day: tomorrow, Slot: uint8(slot),
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		c.asked("bath", "S1", journal.Done)
		c.asked("bath", "S3", journal.NotDone)
		c.push()
		w.inbox()
		c.asked("bath", "S2", journal.NotDone) // it was made
		c.asked("bath", "S4", journal.Done)    // the books know nothing of it
		c.push()
		w.inbox(ingest.RequestDiffers, ingest.RequestMissing)
		for _, ref := range []string{"A1", "A2"} { // of S1 and S2
			_, err := d.Cancel(t.Context(), bath.Act{
				Ref: ref, Terminal: "C01", Account: holder, Reservation: "S" + ref[1:],
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		c.asked("bath_cancel", "A1", journal.Done)
		c.asked("bath_cancel", "A3", journal.NotDone)
		c.asked("bath_settle", "A4", journal.NotDone)
		c.push()
		w.inbox(ingest.RequestDiffers, ingest.RequestMissing)
		c.asked("bath_cancel", "A2", journal.NotDone)
		c.asked("bath_settle", "A5", journal.Done)
		c.push()
		w.inbox(ingest.RequestDiffers, ingest.RequestMissing, ingest.RequestDiffers, ingest.RequestMissing)
		w.sound()
	})
}

// TestBathBack has reservations and a cancellation come back that the books have lost: a
// terminal's journal says that they were made, and with which code. Nobody has two
// places, nor another's code, and each pays for their own shower.
func TestBathBack(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		one, two, three := w.holder("1001", 100*yuan), w.holder("1002", 100*yuan), w.holder("1003", 100*yuan)
		c := w.till("C01")
		d := bath.New(bath.Config{Books: w.books, Master: bathcode.Master{7}})
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(d.AddHall(t.Context(), bath.Hall{
			No: 1, Name: "龙山浴室", Merchant: "bath-1", Cap: 6 * yuan, Tariff: water.Tariff{PerLitre: 5, PulsesPerLitre: 100},
		}))
		for n := range 2 {
			must(d.SetStall(t.Context(), 1, bath.Stall{No: uint16(n + 1)}))
		}
		_, err := d.AddSlots(t.Context(), 1, water.Time{From: 0, To: 24 * 60}, 12*60)
		must(err)
		tomorrow := bathcode.DayOf(w.books.Now().Add(24 * time.Hour))
		made, err := d.Reserve(t.Context(), bath.Request{
			Ref: "R1", Terminal: "C01", Account: three, Hall: 1, Stall: 1, Day: tomorrow, Slot: 1,
		})
		must(err)
		told := func(service, ref, account, what string) {
			e := journal.Entry{Kind: journal.RequestIntent, Ref: ref, Account: account,
				Details: []byte(`{"service":"` + service + `"}`)}
			c.write(e)
			e.Kind, e.Outcome = journal.RequestEnd, journal.Done
			e.Details = []byte(`{"service":"` + service + `","what":{` + what + `}}`)
			c.write(e)
		}
		lost := func(ref, account string, hall, stall, slot, n int) {
			told("bath", ref, account, fmt.Sprintf(`"hall":%d,"day":"%s","slot":%d,"stall":%d,"n":%d,"cap":500,"litre":4`,
				hall, tomorrow.Start().Format(time.DateOnly), slot, stall, n))
		}
		told("bath_cancel", "A2", "1002", `"reservation":"S2"`) // at another terminal, say
		lost("S-0", "1001", 1, 1, 0, 3)                         // no reservation has such a name: it keeps no other from coming back
		told("bath_cancel", "A-0", "1002", `"reservation":"S2"`)
		lost("S1", "1001", 1, 1, 0, 0)
		lost("S2", "1002", 1, 2, 0, 1)
		lost("S3", "1002", 1, 1, 1, 2)                          // the place is another's by now
		lost("S4", "1001", 1, 1, 1, int(made.N))                // and so is the code
		lost("S5", "1001", 2, 1, 0, 0)                          // of a hall that is not known either
		lost("S6", "1001", 1, 2, 0, 2)                          // the first of two that one holder has
		told("bath", "S7", "1001", `"hall":1`)                  // by a terminal that says no more
		told("bath_cancel", "A9", "1001", `"reservation":"S2"`) // of another holder
		c.push()
		for range 2 {
			_, err := d.BringBack(t.Context())
			must(err)
		}
		w.inbox(ingest.RequestMissing, ingest.RequestMissing, ingest.RequestMissing, ingest.RequestMissing,
			ingest.RequestMissing, ingest.RequestMissing, bath.GivenTwice)
		all := map[string]bath.Reservation{}
		for _, a := range []store.Account{one, two, three} {
			mine, err := d.Mine(t.Context(), a)
			must(err)
			for _, r := range mine {
				all[r.Ref] = r
			}
		}
		for ref, want := range map[string][2]int{
			"R1": {int(bath.Reserved), int(bath.Held)}, "S1": {int(bath.Reserved), int(bath.Held)},
			"S2": {int(bath.Cancelled), int(bath.Held)}, "S3": {int(bath.Unknown), int(bath.Released)},
			"S6": {int(bath.Cancelled), int(bath.Released)},
		} {
			if r := all[ref]; int(r.State) != want[0] || int(r.Hold) != want[1] {
				t.Errorf("%s: state %d, hold %d, want %d", ref, r.State, r.Hold, want)
			}
		}
		if len(all) != 5 {
			t.Errorf("there are %d reservations", len(all))
		}
		if r := all["S1"]; r.N != 0 || r.Cap != 5*yuan || r.Tariff.PerLitre != 4 {
			t.Errorf("it was not made like this: %+v", r)
		}
		for _, ref := range []string{"S1", "S3", "R1"} { // each is used, also the place that two have
			r := all[ref]
			line := water.Report{Slot: r.Slot, Uses: []water.Use{{
				N: r.N, Stall: 1, Start: r.From.Unix(), End: r.From.Unix() + 60, Pulses: 1000, Amount: 40, Ending: water.ByKey,
			}}}.Seal(bathcode.Master{7}.Key(r.Slot.Place, r.Slot.Day))
			_, err := d.Take(t.Context(), "C01", line)
			must(err)
		}
		w.wants(map[store.Account]money.Fen{one: 100*yuan - 40, two: 100*yuan - 40, three: 100*yuan - 40})
		broken, err := bath.Verify(t.Context(), w.books)
		if err != nil || len(broken) > 0 {
			t.Errorf("Verify = %q, %v", broken, err)
		}
		w.sound()
	})
}

// bill writes a bill's intent and its end.
func (c *till) bill(ref string, amount money.Fen, o journal.Outcome) {
	e := journal.Entry{
		Kind: journal.RequestIntent, Ref: ref, Account: "1001", Amount: amount,
		Details: []byte(`{"service":"bill","what":{"biller":"network"}}`),
	}
	c.write(e)
	e.Kind, e.Outcome, e.Details = journal.RequestEnd, o, []byte(`{"service":"bill"}`)
	c.write(e)
}

// TestRequest holds what journals say of bills against the books: what fits says
// nothing, and what does not is for people. It moves nothing.
func TestRequest(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		holder := w.holder("1001", 100*yuan)
		c := w.till("C01")
		pay := func(ref, place string, mute bool) {
			t.Helper()
			d := biller.New(biller.Config{
				Books: w.books, Billers: map[string]vendor.Biller{"network": counter{mute}}, Now: w.books.Now,
			})
			_, err := d.Order(t.Context(), biller.Bill{
				No: ref, Terminal: place, Account: holder, Biller: "network", Target: "1001", Title: "网费", Amount: 10 * yuan,
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		pay("B1", "C01", false)
		c.bill("B1", 10*yuan, journal.Done)
		c.bill("B2", 10*yuan, journal.NotDone) // it never arrived
		c.write(journal.Entry{Kind: journal.RequestIntent, Ref: "L1", Details: []byte(`{"service":"lost"}`)})
		c.write(journal.Entry{Kind: journal.RequestEnd, Ref: "L1", Outcome: journal.Done})
		c.push()
		w.inbox()

		c.bill("B3", 10*yuan, journal.Done) // the books know nothing of it
		c.write(journal.Entry{Kind: journal.RequestIntent, Ref: "L2", Details: []byte(`{"service":"lost"}`)})
		c.write(journal.Entry{Kind: journal.RequestEnd, Ref: "L2", Outcome: journal.Done,
			Details: []byte(`{"service":"lost"}`)})
		c.push()
		w.inbox(ingest.RequestMissing, ingest.RequestMissing)
		pay("B4", "C01", false)
		c.bill("B4", 10*yuan, journal.NotDone) // it was paid
		pay("B5", "C01", false)
		c.bill("B5", 11*yuan, journal.Done) // of another amount
		w.till("C02")
		pay("B6", "C02", false)
		c.bill("B6", 10*yuan, journal.Done) // elsewhere
		pay("B7", "C01", true)
		c.bill("B7", 10*yuan, journal.Done) // nobody knows
		c.push()
		w.inbox(ingest.RequestMissing, ingest.RequestMissing, ingest.RequestDiffers, ingest.RequestDiffers,
			ingest.RequestDiffers,
			"bill to be found out", ingest.RequestDiffers)
		w.wants(map[store.Account]money.Fen{holder: 60 * yuan, "biller/network": 40 * yuan})
		w.sound()
	})
}
