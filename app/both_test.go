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
	"quancun/upstream/client"
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

// faces are both in one test, with a card that can be laid down.
type faces struct {
	*bothFaces
	t     *testing.T
	in    chan reader.State
	state chan kiosk.Health
	ended chan error
	stop  context.CancelFunc
}

// newFaces returns a terminal with both faces; begin starts it.
func newFaces(t *testing.T) *faces {
	log, clock := slog.New(slog.DiscardHandler), kiosk.NewClock(time.Now, ledger.Uptime)
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
		Desk: &kiosk.Desk{
			Device: slot, Clock: clock, InHand: new(kiosk.InHand), Log: log, Profile: profile.Default(), Upstream: away{},
			Terms: kiosk.NewTerms("T1", pboc.TerminalNo{1}),
		}, Clock: clock, Inputs: holders.inputs, Log: log,
	}
	cashiers := &tillFace{line: newLine[till.View, till.Input](log), scans: make(chan scanner.Scan)}
	cashiers.session = &till.Session{
		Desk: &till.Desk{Device: slot, Cards: &kiosk.Seller{Settler: kiosk.Settler{Profile: profile.Default()}},
			Book: empty{}, Staff: empty{}, Plan: till.Plan{Merchant: "m"}, Profile: profile.Default(), Clock: clock, Log: log},
		Terms: kiosk.NewTerms("T1", pboc.TerminalNo{1}), Feeds: empty{}, Inputs: cashiers.inputs, Log: log,
	}
	f := &faces{t: t, in: make(chan reader.State), state: make(chan kiosk.Health), ended: make(chan error)}
	f.bothFaces = newBothFaces(holders, cashiers, f.in, f.state)
	return f
}

// begin runs them, with nobody there.
func (f *faces) begin() {
	ctx, stop := context.WithCancel(f.t.Context())
	f.stop = stop
	go func() { f.ended <- f.serve(ctx) }()
	f.in <- reader.State{Connected: true}
	f.state <- kiosk.Health{Terminal: "T1", Upstream: true}
}

// end stops them.
func (f *faces) end() {
	f.t.Helper()
	f.stop()
	if err := <-f.ended; !errors.Is(err, context.Canceled) {
		f.t.Errorf("ended with %v", err)
	}
}

// shown returns the newest view of each face that has shown one since.
func (f *faces) shown() (home kiosk.View, at till.View) {
	synctest.Wait()
	for len(f.kiosk.views) > 0 {
		home = <-f.kiosk.views
	}
	for len(f.till.views) > 0 {
		at = <-f.till.views
	}
	return home, at
}

// lay lays the card down for the n-th time, or takes it away.
func (f *faces) lay(n uint32) { f.in <- reader.State{Connected: true, Card: true, Insertions: n} }
func (f *faces) take(n uint32) {
	f.in <- reader.State{Connected: true, Insertions: n}
}

func (f *faces) signIn() {
	var pin kiosk.PIN
	for range kiosk.PINLength {
		pin.Add('1')
	}
	f.till.send(till.Input{Event: till.Typed, PIN: &pin})
}

// away is an upstream that does not answer.
type away struct{ kiosk.Upstream }

func (away) LookUpCard(context.Context, string) (client.Card, error) {
	return client.Card{}, errors.New("no answer")
}

// TestBothFaces: a kiosk is a till when the staff ask for it, for who signs in
// within a minute, and a kiosk again when they are not signed in any more.
func TestBothFaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFaces(t)
		f.begin()
		if home, at := f.shown(); home.Step != kiosk.Home || !home.Health.Reader || at.Step != 0 {
			t.Fatalf("begins with %+v and %+v", home, at)
		}
		put(f.asked)
		if home, at := f.shown(); home.Step != 0 || at.Step != till.Locked || !at.Health.Reader || !at.Health.Upstream {
			t.Fatalf("the staff have asked: %+v and %+v", home, at)
		}
		time.Sleep(signInMax + time.Second)
		if home, _ := f.shown(); home.Step != kiosk.Home || !home.Health.Upstream {
			t.Fatalf("nobody has signed in: %+v", home)
		}

		put(f.asked)
		f.shown()
		f.lay(1)
		if _, at := f.shown(); at.Step != till.StaffPIN {
			t.Fatalf("a card was laid down: %+v", at)
		}
		f.signIn()
		if _, at := f.shown(); at.Step != till.Ready {
			t.Fatalf("somebody has signed in: %+v", at)
		}
		f.take(1)
		time.Sleep(5 * signInMax)
		if home, _ := f.shown(); home.Step != 0 {
			t.Fatalf("a till that is open has become a kiosk: %+v", home)
		}
		f.till.send(till.Input{Event: till.Lock})
		if home, _ := f.shown(); home.Step != kiosk.Home {
			t.Fatalf("locked: %+v", home)
		}
		f.end()
	})
}

// TestStaffCard: a card of the staff leads to the till, from Home only and once each
// time that it is laid down. Whoever has chosen something is a holder.
func TestStaffCard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFaces(t)
		f.byCards(func(no string) bool { return no == "00002026000100012307" })
		f.begin()
		f.shown()
		f.lay(1)
		if home, at := f.shown(); home.Step == kiosk.CardOnly || at.Step != till.StaffPIN {
			t.Fatalf("a staff card: kiosk at %d, till at %d", home.Step, at.Step)
		}
		f.till.send(till.Input{Event: till.Leave})
		if home, _ := f.shown(); home.Step != kiosk.Home {
			t.Fatalf("left without a PIN: kiosk at %d", home.Step)
		}
		f.kiosk.send(kiosk.Input{Event: kiosk.ChoseTopUp})
		if home, at := f.shown(); home.Step != kiosk.CardOnly || at.Step != 0 { // as the upstream is away
			t.Fatalf("and chosen something: kiosk at %d, till at %d", home.Step, at.Step)
		}
		f.take(1)
		f.lay(2)
		if _, at := f.shown(); at.Step != till.StaffPIN {
			t.Fatalf("laid down again: till at %d", at.Step)
		}
		f.signIn()
		if _, at := f.shown(); at.Step != till.Ready {
			t.Fatalf("signed in: till at %d", at.Step)
		}
		f.take(2)
		f.lay(3) // which is a look at the purse
		f.shown()
		f.till.send(till.Input{Event: till.Lock})
		if home, at := f.shown(); home.Step == 0 || at.Step == till.StaffPIN {
			t.Fatalf("locked over the card: kiosk at %d, till at %d", home.Step, at.Step)
		}
		f.take(3)
		if home, _ := f.shown(); home.Step != kiosk.Home {
			t.Fatalf("taken away: %d", home.Step)
		}
		f.kiosk.send(kiosk.Input{Event: kiosk.ChoseTopUp})
		f.shown()
		f.lay(4)
		if home, at := f.shown(); home.Step != kiosk.CardOnly || at.Step != 0 {
			t.Fatalf("in a visit: kiosk at %d, till at %d", home.Step, at.Step)
		}
		f.end()
	})
}
