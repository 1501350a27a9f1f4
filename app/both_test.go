package app

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/staff"
	"quancun/kiosk/till"
	"quancun/ledger"
	"quancun/ledger/feed"
	"quancun/pboc"
	"quancun/reader"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/reader/scanner"
	"quancun/reader/sim"
)

// empty is a journal and a feed with nothing in them.
type empty struct{}

func (empty) Get(context.Context, string) (ledger.Item, error) {
	return ledger.Item{}, ledger.ErrNotFound
}
func (empty) Head(context.Context) (journal.Head, error)                 { return journal.Head{}, nil }
func (empty) Since(context.Context, int64, int) ([]journal.Entry, error) { return nil, nil }
func (empty) Hot(feed.Card) (reason feed.Reason, hot bool)               { return }
func (empty) Status(string) feed.Status                                  { return feed.Status{} }
func (empty) Content(context.Context, string) ([]byte, error)            { return nil, nil }
func (empty) SignOut(context.Context) error                              { return nil }
func (empty) SignIn(context.Context, purse.Info, *kiosk.PIN) (staff.Member, error) {
	return staff.Member{No: "7", Role: staff.Cashier}, nil
}

// TestBothFaces: a kiosk is a till when the staff ask for it, for who signs in
// within a minute, and a kiosk again when they are not signed in any more.
func TestBothFaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, clock := slog.New(slog.DiscardHandler), kiosk.NewClock(time.Now)
		state, err := sim.Issue(profile.Default(), sim.Masters{}, sim.Holder{
			CardNo: purse.CardNo{0, 0, 0x20, 0x26, 0, 1, 0, 1, 0x23, 7}, Name: "王芳", Start: 19990101, Expiry: 20991231,
		})
		if err != nil {
			t.Fatal(err)
		}
		slot := sim.NewSlot()
		slot.Lay(sim.New(state))
		holders := &kioskFace{line: newLine[kiosk.View, kiosk.Input](log)}
		holders.session = &kiosk.Session{
			Desk: &kiosk.Desk{Device: slot, Clock: clock, InHand: new(kiosk.InHand), Log: log}, Clock: clock,
			Inputs: holders.inputs, Log: log,
		}
		cashiers := &tillFace{line: newLine[till.View, till.Input](log), scans: make(chan scanner.Scan)}
		cashiers.session = &till.Session{
			Desk: &till.Desk{Device: slot, Cards: &kiosk.Seller{}, Book: empty{}, Staff: empty{},
				Plan: till.Plan{Merchant: "m"}, Profile: profile.Default(), Clock: clock, Log: log},
			Terms: kiosk.NewTerms("T1", pboc.TerminalNo{1}), Feeds: empty{}, Inputs: cashiers.inputs, Log: log,
		}
		cards, health := make(chan reader.State), make(chan kiosk.Health)
		f := newBothFaces(holders, cashiers, cards, health)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- f.serve(ctx) }()
		cards <- reader.State{Connected: true}
		health <- kiosk.Health{Terminal: "T1", Upstream: true}

		shown := func() (home kiosk.View, at till.View) {
			synctest.Wait()
			for len(holders.views) > 0 {
				home = <-holders.views
			}
			for len(cashiers.views) > 0 {
				at = <-cashiers.views
			}
			return home, at
		}
		if home, at := shown(); home.Step != kiosk.Home || !home.Health.Reader || at.Step != 0 {
			t.Fatalf("begins with %+v and %+v", home, at)
		}
		put(f.asked)
		if home, at := shown(); home.Step != 0 || at.Step != till.Locked || !at.Health.Reader || !at.Health.Upstream {
			t.Fatalf("the staff have asked: %+v and %+v", home, at)
		}
		time.Sleep(signInMax + time.Second)
		if home, _ := shown(); home.Step != kiosk.Home || !home.Health.Upstream {
			t.Fatalf("nobody has signed in: %+v", home)
		}

		put(f.asked)
		shown()
		cards <- reader.State{Connected: true, Card: true, Insertions: 1}
		if _, at := shown(); at.Step != till.StaffPIN {
			t.Fatalf("a card was laid down: %+v", at)
		}
		var pin kiosk.PIN
		for range kiosk.PINLength {
			pin.Add('1')
		}
		cashiers.send(till.Input{Event: till.Typed, PIN: &pin})
		if _, at := shown(); at.Step != till.Ready {
			t.Fatalf("somebody has signed in: %+v", at)
		}
		cards <- reader.State{Connected: true, Insertions: 1}
		time.Sleep(5 * signInMax)
		if home, _ := shown(); home.Step != 0 {
			t.Fatalf("a till that is open has become a kiosk: %+v", home)
		}
		cashiers.send(till.Input{Event: till.Lock})
		if home, _ := shown(); home.Step != kiosk.Home {
			t.Fatalf("locked: %+v", home)
		}
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
}
