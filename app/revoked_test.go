package app

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/staff"
	"quancun/kiosk/tender"
	"quancun/kiosk/till"
	"quancun/ledger"
	"quancun/ledger/feed"
	"quancun/pboc"
	"quancun/reader"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/reader/sim"
	roll "quancun/upstream/staff"
	"quancun/upstream/staff/stafftest"
)

const staffCard, staffPIN = "00002026000100012345", "271828"

// signedInTill is a till with a real journal, at a real upstream that has one
// cashier, c7, who has just signed in.
type signedInTill struct {
	t    *testing.T
	up   *stafftest.World
	book *ledger.Book
	desk *staff.Desk
	face *tillFace
	pays payer
}

// payer is a way of paying by code, by which somebody takes time to pay.
type payer chan tender.Sold

func (p payer) Sell(ctx context.Context, _ string, _ tender.Sale) (tender.Sold, error) {
	select {
	case sold := <-p:
		return sold, nil
	case <-ctx.Done():
		return tender.Sold{}, tender.ErrUnknown
	}
}

func newSignedInTill(t *testing.T) *signedInTill {
	t.Helper()
	dir := t.TempDir()
	s := &signedInTill{t: t, pays: make(payer), up: stafftest.New(t, filepath.Join(dir, "books.db"))}
	s.up.Add(roll.Member{No: "c7", Name: "李小明", Role: roll.Cashier, Card: staffCard}, staffPIN)
	var err error
	s.book, err = ledger.Open(t.Context(), filepath.Join(dir, "journal.db"), ledger.Options{Terminal: "K01"})
	s.ok(err)
	t.Cleanup(func() { s.ok(s.book.Close()) })
	secret, err := staff.Secret(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize)))
	s.ok(err)
	keep, err := staff.OpenKeep(filepath.Join(dir, "staff.keep"), secret)
	s.ok(err)
	s.desk = staff.NewDesk(staff.Config{
		Upstream: s.up.Client("K01"), Book: s.book, Keep: keep, Offline: time.Hour, Patience: 10 * time.Second,
		Log: slog.New(slog.DiscardHandler),
	})
	s.serve(dir)
	s.sees(till.StaffPIN)
	pin := new(kiosk.PIN)
	for _, digit := range []byte(staffPIN) {
		pin.Add(digit)
	}
	s.face.send(till.Input{Event: till.Typed, PIN: pin})
	s.sees(till.Ready)
	return s
}

func (s *signedInTill) ok(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// serve runs the till's flow, with the cashier's card on its reader.
func (s *signedInTill) serve(dir string) {
	s.t.Helper()
	feeds, err := feed.Open(s.t.Context(), filepath.Join(dir, "feeds.db"))
	s.ok(err)
	log, clock, slot := slog.New(slog.DiscardHandler), kiosk.NewClock(time.Now, ledger.Uptime), sim.NewSlot()
	no, err := purse.ParseCardNo(staffCard)
	s.ok(err)
	card, err := sim.Issue(profile.Default(), sim.Masters{}, sim.Holder{
		CardNo: no, UID: [4]byte{1, 2, 3, 4}, Name: "李小明", Start: 20200101, Expiry: 20991231,
	})
	s.ok(err)
	slot.Lay(sim.New(card))
	cards, health := make(chan reader.State), make(chan kiosk.Health)
	s.face = &tillFace{line: newLine[till.View, till.Input](log), news: make(chan till.News, 1)}
	s.face.session = &till.Session{
		Desk: &till.Desk{
			Device: slot, Cards: &kiosk.Seller{Settler: kiosk.Settler{Profile: profile.Default()}, Log: log},
			Book: s.book, Staff: s.desk, Plan: till.Plan{Merchant: "m1"},
			Ways:    []till.Way{{Kind: till.ByCode, Takes: func(string) bool { return true }, Seller: s.pays}},
			Profile: profile.Default(), Clock: clock, Log: log,
		},
		Terms: kiosk.NewTerms("K01", pboc.TerminalNo{1}), Feeds: feeds, Cards: cards, Health: health,
		Inputs: s.face.inputs, News: s.face.news, Show: s.face.show, Log: log,
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = reader.Watch(ctx, slot, cards, log) })
	running.Go(func() { _ = s.face.serve(ctx) })
	s.t.Cleanup(func() {
		stop()
		running.Wait()
		s.ok(feeds.Close())
	})
}

// sees waits until the till shows a step.
func (s *signedInTill) sees(step till.Step) till.View {
	s.t.Helper()
	end := time.After(20 * time.Second)
	for {
		select {
		case v := <-s.face.views:
			if v.Step == step {
				return v
			}
		case <-end:
			s.t.Fatalf("the till has not come to step %d", step)
		}
	}
}

// refresh has the till ask about its staff once, until done says that it has.
func (s *signedInTill) refresh(done func()) {
	s.t.Helper()
	ctx, stop := context.WithCancel(s.t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = (&terminal{log: slog.New(slog.DiscardHandler)}).refreshStaff(ctx, s.desk, s.face) })
	done()
	stop()
	running.Wait()
}

// TestRevoked revokes a cashier in the middle of a sale: it is brought to its
// end, and then the till is locked, and the journal says why.
func TestRevoked(t *testing.T) {
	s := newSignedInTill(t)
	s.face.send(till.Input{Event: till.Priced, Amount: 800})
	s.sees(till.Present) // and stays there: the cashier's own card, which still lies there, pays for nobody
	s.face.send(till.Input{Event: till.Scanned, Code: "code"})
	s.sees(till.Paying)
	s.ok(s.up.Roll.Revoke(t.Context(), "c7", "test"))
	s.refresh(func() {
		for end := time.Now().Add(20 * time.Second); s.desk.Current().No != "" && time.Now().Before(end); {
			time.Sleep(5 * time.Millisecond)
		}
	})
	s.pays <- tender.Sold{Entry: 7}
	if v := s.sees(till.Sold); v.Sale.Number != 7 || v.Operator.No != "c7" {
		t.Errorf("the sale ended as %+v, of %+v", v.Sale, v.Operator)
	}
	s.refresh(func() {
		if v := s.sees(till.Locked); v.Operator != (till.Operator{}) {
			t.Errorf("locked, and %+v may sell", v.Operator)
		}
	})
	all, err := s.book.Since(t.Context(), 1, 100)
	s.ok(err)
	last := all[len(all)-1]
	if last.Kind != journal.SignedOut || last.Operator != "c7" || string(last.Details) != `{"revoked":true}` {
		t.Errorf("the journal ends with %s of %s: %s", last.Kind, last.Operator, last.Details)
	}
}
