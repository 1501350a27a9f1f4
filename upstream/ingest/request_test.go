package ingest_test

import (
	"context"
	"errors"
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
