package till

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/staff"
	"quancun/ledger"
	"quancun/ledger/feed"
	"quancun/money"
	"quancun/pboc"
	"quancun/reader"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/reader/sim"
)

// nothing is a journal and a feed with nothing in them.
type nothing struct{}

func (nothing) Get(context.Context, string) (ledger.Item, error) {
	return ledger.Item{}, ledger.ErrNotFound
}
func (nothing) Head(context.Context) (journal.Head, error)                 { return journal.Head{}, nil }
func (nothing) Since(context.Context, int64, int) ([]journal.Entry, error) { return nil, nil }
func (nothing) Hot(feed.Card) (feed.Reason, bool)                          { return 0, false }
func (nothing) Status(string) feed.Status                                  { return feed.Status{} }
func (nothing) Content(context.Context, string) ([]byte, error)            { return nil, nil }

// crew lets everybody in, in one role.
type crew struct {
	role staff.Role
	out  int
}

func (c *crew) SignIn(context.Context, purse.Info, *kiosk.PIN) (staff.Member, error) {
	return staff.Member{No: "7", Name: "王*", Role: c.role}, nil
}

func (c *crew) SignOut(context.Context) error { c.out++; return nil }

// idle is a seller to whom no card is laid down.
func idle() *kiosk.Seller { return &kiosk.Seller{Settler: kiosk.Settler{Profile: profile.Default()}} }

// window is a till at which somebody stands.
type window struct {
	t      *testing.T
	crew   *crew
	desk   *Desk
	inputs chan Input
	cards  chan reader.State
	views  chan View
	view   View
	asked  string // what the task was told
	s      *Session
}

// newWindow opens a till with an office that has one task, which asks for a number
// and then works for a minute.
func newWindow(t *testing.T, c *crew, plan Plan) *window {
	t.Helper()
	return newWindowOf(t, c, plan, func(*Session) {})
}

// newWindowOf opens one that has something else, too.
func newWindowOf(t *testing.T, c *crew, plan Plan, with func(*Session)) *window {
	t.Helper()
	w := &window{t: t, crew: c, inputs: make(chan Input), cards: make(chan reader.State), views: make(chan View, 64)}
	log := slog.New(slog.DiscardHandler)
	task := office.Task{Name: "test.ask", Group: office.Sales, Needs: staff.Query,
		Run: func(ctx context.Context, talk *office.Talk) (r dialog.Report, err error) {
			if w.asked, err = talk.Number(ctx, "test.number", 8); err != nil {
				return r, err
			}
			if err := talk.Work(ctx, "test.work"); err != nil {
				return r, err
			}
			time.Sleep(time.Minute)
			return r, nil
		}}
	state, err := sim.Issue(profile.Default(), sim.Masters{Load: pboc.Key{1}, TAC: pboc.Key{2}}, sim.Holder{
		CardNo: purse.CardNo{0, 0, 0x20, 0x26, 0, 1, 0, 1, 0x23, 7}, UID: [4]byte{1, 2, 3, 7}, Name: "王芳",
		Start: 19990101, Expiry: 20991231,
	})
	if err != nil {
		t.Fatal(err)
	}
	slot := sim.NewSlot()
	slot.Lay(sim.New(state))
	w.desk = &Desk{
		Device: slot, Profile: profile.Default(), Cards: idle(), Book: nothing{}, Plan: plan,
		Clock: kiosk.NewClock(time.Now, ledger.Uptime), Log: log,
		Office: office.New(&office.Desk{Tasks: []office.Task{task}, Now: time.Now, Log: log}, nil),
	}
	if c != nil {
		w.desk.Staff = c
	}
	w.s = &Session{
		Desk: w.desk, Terms: kiosk.NewTerms("T1", pboc.TerminalNo{1}), Feeds: nothing{}, Cards: w.cards,
		Inputs: w.inputs, Health: make(chan kiosk.Health), Show: func(v View) { w.views <- v }, Log: log,
	}
	with(w.s)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.s.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	w.look()
	return w
}

func (w *window) look() View {
	synctest.Wait()
	for {
		select {
		case w.view = <-w.views:
		default:
			return w.view
		}
	}
}

func (w *window) do(in Input) View {
	w.inputs <- in
	return w.look()
}

// pick picks the task, and expects its question.
func (w *window) pick() {
	w.t.Helper()
	v := w.do(Input{Office: dialog.Input{No: w.view.Office.No, Event: dialog.Picked}})
	if v.Step != Office || v.Office.Question.Kind != dialog.AskNumber {
		w.t.Fatalf("the task was picked: %+v", v)
	}
}

// TestOffice: a key leads from the price to the office, and leaving it back; what
// the scanner reads answers a question there; and nobody locks what is being done.
func TestOffice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(t, nil, Plan{Merchant: "m", Operator: Operator{No: "7"}})
		if v := w.view; v.Step != Ready || !v.HasOffice {
			t.Fatalf("begins with %+v", v)
		}
		if v := w.do(Input{Event: OpenOffice}); v.Step != Office || v.Office.Page != office.Menu {
			t.Fatalf("asked for the office: %+v", v)
		}
		w.pick()
		if v := w.do(Input{Event: Scanned, Code: ""}); v.Taps != 1 {
			t.Errorf("half a code is answered %d times", v.Taps)
		}
		if v := w.do(Input{Event: Scanned, Code: "20418"}); !v.Office.Busy() || w.asked != "20418" {
			t.Errorf("scanned, and the task was told %q: %+v", w.asked, v.Office)
		}
		if v := w.do(Input{Event: Leave}); v.Step != Office {
			t.Errorf("left what is being done: %+v", v)
		}
		time.Sleep(61 * time.Second)
		if v := w.look(); v.Office.Outcome != dialog.Done {
			t.Errorf("at its end: %+v", v.Office)
		}
		w.do(Input{Event: Leave})
		if v := w.do(Input{Event: Leave}); v.Step != Ready || v.Office.Page != 0 {
			t.Errorf("left the office: %+v", v)
		}
	})
}

// TestOfficeOfClerk: who may not sell is led to the office at once, and leaves
// the till with it.
func TestOfficeOfClerk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(t, &crew{role: staff.Clerk}, Plan{Merchant: "m"})
		w.signIn()
		if v := w.view; v.Step != Office || v.Office.Page != office.Menu || !v.OfficeOnly || v.Operator.No != "7" {
			t.Fatalf("a clerk has signed in: %+v", v)
		}
		if v := w.do(Input{Event: Leave}); v.Step != Locked || w.crew.out == 0 || v.OfficeOnly {
			t.Errorf("the clerk has left: %+v", v)
		}
	})
}

// TestOwed: a cashier who signs in is asked first for what is owed, and sells when
// that is done or left. It is not asked for again while they are there.
func TestOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(t, &crew{role: staff.Cashier}, Plan{Merchant: "m"})
		owed := w.s.Desk.Office.Desk.Tasks[0].Name
		w.s.Desk.Owed = func(context.Context) dialog.Word { return owed }
		w.signIn()
		if v := w.view; v.Step != Office || v.Office.Page != dialog.Asking || v.OfficeOnly {
			t.Fatalf("a cashier has signed in: %+v", v)
		}
		if v := w.do(Input{Event: Leave}); v.Step != Ready {
			t.Errorf("left what is owed: %+v", v)
		}
		if v := w.do(Input{Event: OpenOffice}); v.Office.Page != office.Menu {
			t.Errorf("the office, later: %+v", v)
		}
		owed = ""
		w.do(Input{Event: Leave})
		w.do(Input{Event: Lock})
		w.cards <- reader.State{Connected: true}
		w.signIn()
		if v := w.view; v.Step != Ready {
			t.Errorf("nothing is owed: %+v", v)
		}
	})
}

// signIn lays a staff card down and types a PIN.
func (w *window) signIn() {
	w.t.Helper()
	w.cards <- reader.State{Connected: true, Card: true, Insertions: 1}
	if v := w.look(); v.Step != StaffPIN {
		w.t.Fatalf("a staff card was laid down: %+v", v)
	}
	var pin kiosk.PIN
	for range kiosk.PINLength {
		pin.Add('1')
	}
	w.do(Input{Event: Typed, PIN: &pin})
}

// TestOfficeIsLocked: a lock leaves a question, but waits for what is being done;
// and an office at which nobody stands goes back by itself.
func TestOfficeIsLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crew{role: staff.Cashier}
		w := newWindow(t, c, Plan{Merchant: "m"})
		w.signIn()
		w.do(Input{Event: OpenOffice})
		w.pick()
		if v := w.do(Input{Event: Lock}); v.Step != Locked || c.out == 0 || w.asked != "" {
			t.Errorf("locked at a question: %+v", v)
		}
		w.cards <- reader.State{Connected: true}
		w.signIn()
		w.do(Input{Event: OpenOffice})
		w.pick()
		w.do(Input{Event: Scanned, Code: "1"})
		if v := w.do(Input{Event: Lock}); v.Step != Office || !v.Office.Busy() {
			t.Errorf("locked what is being done: %+v", v)
		}
		time.Sleep(61 * time.Second)
		if v := w.look(); v.Office.Outcome != dialog.Done {
			t.Errorf("at its end: %+v", v.Office)
		}
		time.Sleep(20 * time.Minute)
		if v := w.look(); v.Step != Locked || v.Operator != (Operator{}) {
			t.Errorf("after twenty minutes alone: %+v", v)
		}
	})
}

// TestOfficeCardPaysForNothing: where everybody pays the same, a card that lies
// there from the office is not the next customer's.
func TestOfficeCardPaysForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(t, &crew{role: staff.Cashier}, Plan{Merchant: "m",
			Meals: []Meal{{Name: "lunch", From: 0, To: 24 * 60, Price: 12 * money.Yuan}}})
		w.signIn()
		w.cards <- reader.State{Connected: true, Insertions: 1}
		w.do(Input{Event: Leave}) // another price than the meal's
		if v := w.do(Input{Event: OpenOffice}); v.Step != Office {
			t.Fatalf("asked for the office: %+v", v)
		}
		w.cards <- reader.State{Connected: true, Card: true, Insertions: 2}
		if v := w.look(); v.Step != Office || v.Taps != 1 {
			t.Errorf("a card that nobody asked for: %+v", v)
		}
		w.do(Input{Event: Leave})
		if v := w.view; v.Step != Ready {
			t.Errorf("back at the price: %+v", v)
		}
		if w.s.tried != 2 {
			t.Errorf("the card of insertion %d is known, want that of the office", w.s.tried)
		}
	})
}

// TestCodePINStays: who is asked for the PIN of a code has no card to leave there, and
// one that somebody lays down, or takes away, changes nothing.
func TestCodePINStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(t, nil, Plan{Merchant: "m", Operator: Operator{No: "7"}})
		w.desk.Ways = []Way{{Kind: ByCode, Takes: func(string) bool { return true }, Seller: &pinned{pin: "271828"}}}
		w.do(Input{Event: Priced, Amount: 60 * money.Yuan})
		if v := w.do(Input{Event: Scanned, Code: "code"}); v.Step != EnterPIN {
			t.Fatalf("above the limit: step %d", v.Step)
		}
		w.cards <- reader.State{Connected: true, Card: true, Insertions: 1}
		w.cards <- reader.State{Connected: true, Insertions: 1}
		if v := w.look(); v.Step != EnterPIN {
			t.Fatalf("a card came and went: step %d", v.Step)
		}
		if v := w.do(Input{Event: Typed, PIN: pinOf("000000")}); v.Step != EnterPIN || !v.PIN.Wrong {
			t.Fatalf("another PIN: step %d, %+v", v.Step, v.PIN)
		}
		if v := w.do(Input{Event: Typed, PIN: pinOf("271828")}); v.Step != Sold {
			t.Fatalf("with the PIN: step %d, fault %d", v.Step, v.Fault)
		}
	})
}
