package counter_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quancun/money"
	"quancun/pboc"
	books "quancun/upstream/centre"
	"quancun/upstream/client"
	"quancun/upstream/client/centre"
	"quancun/upstream/staff"
	"quancun/upstream/staff/stafftest"
	"quancun/upstream/store"
	"quancun/upstream/store/pgtest"
	"quancun/upstream/wire"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	holder    = "1001"
	card      = "00002026000100010001"
	clerkCard = "00002026000100090001"
	pin       = "271828"
)

// world is a card centre with one clerk, one cashier, and a holder with a card.
type world struct {
	*stafftest.World
	t      *testing.T
	client *client.Client
	desk   *centre.Desk
}

func onBoth(t *testing.T, test func(*testing.T, *world)) {
	t.Run("SQLite", func(t *testing.T) { test(t, newWorld(t, filepath.Join(t.TempDir(), "books.db"))) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, newWorld(t, pgtest.New(t).DSN)) })
}

func newWorld(t *testing.T, dsn string) *world {
	w := &world{World: stafftest.New(t, dsn), t: t}
	w.Add(staff.Member{No: "k7", Name: "王小红", Role: staff.Clerk, Card: clerkCard}, pin)
	w.Add(staff.Member{No: "c7", Name: "李小明", Role: staff.Cashier, Card: "00002026000100090002"}, pin)
	a := store.HolderAccount(holder)
	w.ok(w.Books.AddHolder(t.Context(), store.Holder{Account: a, Name: "张三丰", Number: "S1001"},
		w.HolderPIN(a, "111111"), 20*money.Yuan))
	w.ok(w.Books.AddCard(t.Context(), store.Card{
		No: card, Account: a, Factor: [8]byte{9}, UID: "01020304", Status: store.CardActive,
	}))
	w.client = w.Client("desk1")
	w.desk = centre.New(w.client)
	w.signIn(clerkCard)
	return w
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) signIn(no string) {
	w.t.Helper()
	_, err := w.client.SignInStaff(w.t.Context(), no, digits(pin))
	w.ok(err)
}

func digits(s string) *[wire.PINLen]byte { return (*[wire.PINLen]byte)([]byte(s)) }

// refused checks that err is a refusal for a reason.
func (w *world) refused(what string, err error, want centre.Reason) {
	w.t.Helper()
	var no *centre.Refusal
	if !errors.As(err, &no) || no.Reason != want {
		w.t.Errorf("%s: %v, want %s", what, err, want)
	}
}

// unknown checks that err says nothing about what has happened.
func (w *world) unknown(what string, err error) {
	w.t.Helper()
	var no *centre.Refusal
	if err == nil || errors.As(err, &no) {
		w.t.Errorf("%s: %v, want that nobody knows", what, err)
	}
}

// whole checks that the books are.
func (w *world) whole() {
	w.t.Helper()
	lines, err1 := w.Books.Verify(w.t.Context())
	acts, err2 := books.New(w.Books).Verify(w.t.Context())
	if err := errors.Join(err1, err2); err != nil || len(lines)+len(acts) > 0 {
		w.t.Errorf("Verify = %q, %q, %v", lines, acts, err)
	}
}

func TestFind(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for _, f := range []centre.Find{{Account: holder}, {Card: card}, {Number: "S1001"}} {
			h, err := w.desk.Find(t.Context(), "k7", f)
			if err != nil || h.Account != holder || h.MaskedName != "张*丰" || h.Name != "张三丰" || h.Balance != 20*money.Yuan ||
				h.Available != h.Balance || h.DailyLimit != 50*money.Yuan || h.OwnLimit || h.TopUpMax != 500*money.Yuan ||
				h.ReplacementFee != 15*money.Yuan || len(h.Cards) != 1 || h.Cards[0].No != card ||
				h.Cards[0].Status != client.CardActive || h.Closed || !h.Until.IsZero() || len(h.Open) > 0 {
				t.Errorf("Find(%+v) = %+v, %v", f, h, err)
			}
		}
		for _, f := range []centre.Find{{}, {Account: "9"}, {Card: "00"}, {Number: holder}} {
			_, err := w.desk.Find(t.Context(), "k7", f)
			w.refused("Find nobody", err, centre.HolderUnknown)
		}
		for _, answer := range []bool{false, true} { // nothing depends on it, so it is asked again
			w.Lose("FindHolder", answer)
			_, err := w.desk.Find(t.Context(), "k7", centre.Find{Account: holder})
			w.unknown("Find", err)
			w.Lose("AllowCash", answer)
			w.unknown("AllowCash", w.desk.AllowCash(t.Context(), "k7", centre.Cash{Account: holder, Amount: 100}))
			w.Lose("GetAct", answer)
			_, err = w.desk.Did(t.Context(), "a1")
			w.unknown("Did", err)
		}
		_, err := w.Books.CreateOrder(t.Context(), store.Order{
			No: "o1", Terminal: "desk1", CardNo: card, Account: "holder/" + holder, Amount: money.Yuan,
			Created: time.Now(), Expires: time.Now(),
		}, 100*money.Yuan)
		w.ok(err)
		h, err := w.desk.Find(t.Context(), "k7", centre.Find{Account: holder})
		if err != nil || len(h.Open) != 1 || h.Open[0].Kind != client.OpenTopUpChecking || h.Open[0].Amount != money.Yuan {
			t.Errorf("open: %+v, %v, want the order", h.Open, err)
		}
	})
}

// TestWho: nobody but a clerk who has signed in at this terminal is served.
func TestWho(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx, find := t.Context(), centre.Find{Account: holder}
		everything := map[string]func(clerk string) error{
			"Find": func(c string) error { _, err := w.desk.Find(ctx, c, find); return err },
			"Do": func(c string) error {
				_, err := w.desk.Do(ctx, c, centre.Act{Ref: "a1", Kind: centre.Unlocked, Account: holder, Document: 1}, nil)
				return err
			},
			"Do with a PIN": func(c string) error {
				_, err := w.desk.Do(ctx, c, centre.Act{Ref: "a1", Kind: centre.PINReset, Account: holder, Document: 1}, digits(pin))
				return err
			},
			"Begin": func(c string) error {
				_, err := w.desk.Begin(ctx, c, centre.Blank{Ref: "a1", Account: holder, UID: "0A0B0C0D"})
				return err
			},
			"Command": func(c string) error { _, err := w.desk.Command(ctx, c, centre.Command{Ref: "a1"}); return err },
			"SignPIN": func(c string) error {
				_, err := w.desk.SignPIN(ctx, c, centre.NewPIN{Account: holder, CardNo: card}, digits("111111"))
				return err
			},
			"Registered": func(c string) error { _, err := w.desk.Registered(ctx, c, "S1001"); return err },
			"AllowCash":  func(c string) error { return w.desk.AllowCash(ctx, c, centre.Cash{Account: holder, Amount: 100}) },
		}
		all := func(what, clerk string, want centre.Reason) {
			t.Helper()
			for name, call := range everything {
				w.refused(what+": "+name, call(clerk), want)
			}
		}
		all("never signed in", "k9", centre.SessionOver)
		w.signIn("00002026000100090002")
		all("a cashier", "c7", centre.Forbidden)
		good := w.client.StaffSession("k7")
		for i := range good {
			bad := append([]byte(nil), good...)
			bad[i] ^= 1
			w.client.KeepStaffSession("k7", bad)
			_, err := w.desk.Find(ctx, "k7", find)
			w.refused("a bit of the session is another", err, centre.SessionOver)
		}
		w.client.KeepStaffSession("k7", good)
		other := w.Client("desk2")
		other.KeepStaffSession("k7", good)
		_, err := centre.New(other).Find(ctx, "k7", find)
		w.refused("at another terminal", err, centre.SessionOver)
		w.ok(w.Roll.SetPIN(ctx, "k7", w.PIN("k7", "999999"), "test"))
		all("with another PIN", "k7", centre.SessionOver)
		w.ok(w.Roll.SetPIN(ctx, "k7", w.PIN("k7", pin), "test"))
		w.signIn(clerkCard)
		w.ok(w.Roll.SetCard(ctx, "k7", "00002026000100090009", "test")) // whoever has the old one may know its PIN
		all("with another card", "k7", centre.SessionOver)
		w.ok(w.Roll.SetCard(ctx, "k7", clerkCard, "test"))
		w.signIn(clerkCard)
		w.ok(w.Roll.SetRole(ctx, "k7", staff.Cashier, "test"))
		all("a clerk no more", "k7", centre.Forbidden)
		w.ok(w.Roll.SetRole(ctx, "k7", staff.Clerk, "test"))
		if _, err := w.desk.Find(ctx, "k7", find); err != nil {
			t.Error(err)
		}
		w.ok(w.Roll.Revoke(ctx, "k7", "test"))
		all("revoked", "k7", centre.SessionOver)
		w.whole()
	})
}

// TestSessionEnds: a session ends by itself, sooner if nobody works with it.
func TestSessionEnds(t *testing.T) {
	w := newWorld(t, filepath.Join(t.TempDir(), "books.db"))
	now := time.Now()
	s := *w.Sessions
	s.Now = func() time.Time { return now }
	m, err := w.Roll.Get(t.Context(), "k7")
	w.ok(err)
	n := staff.Session{Member: m, Terminal: "desk1", Signed: now}
	token, err := s.Token(t.Context(), n)
	w.ok(err)
	at := func(d time.Duration, token []byte) error {
		now = n.Signed.Add(d)
		_, err := s.Open(t.Context(), "desk1", token, staff.Clerk)
		return err
	}
	if err := at(29*time.Minute, token); err != nil {
		t.Error(err)
	}
	if err := at(31*time.Minute, token); !errors.Is(err, staff.ErrOver) {
		t.Errorf("after half an hour: %v, want %v", err, staff.ErrOver)
	}
	for now = n.Signed; now.Sub(n.Signed) < 12*time.Hour; now = now.Add(20 * time.Minute) {
		token, err = s.Token(t.Context(), n)
		w.ok(err)
	}
	if err := at(12*time.Hour+time.Minute, token); !errors.Is(err, staff.ErrOver) {
		t.Errorf("after half a day: %v, want %v", err, staff.ErrOver)
	}
	if err := at(-2*time.Minute, token); !errors.Is(err, staff.ErrOver) {
		t.Errorf("from tomorrow: %v, want %v", err, staff.ErrOver)
	}
}

// acts are one of each kind that needs no card to be made.
var acts = []centre.Act{
	{Kind: centre.Lost, Card: card}, {Kind: centre.Found, Card: card}, {Kind: centre.Limited, Limit: 80 * money.Yuan},
	{Kind: centre.Named, Name: "张三峰"}, {Kind: centre.Unlocked}, {Kind: centre.PINReset},
	{Kind: centre.Opened, Account: "T77", Name: "赵六", Until: time.Now().Add(48 * time.Hour)},
}

// pinOf is the PIN that goes with an act.
func pinOf(a centre.Act) *[wire.PINLen]byte {
	if a.Kind == centre.PINReset || a.Kind == centre.Opened {
		return digits("222222")
	}
	return nil
}

// TestLost does each kind of act over a wire that loses the call, or the answer. In
// both cases the terminal does not know; the same act again is done once, and
// closing it says whether it was done.
func TestLost(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		for i, a := range acts {
			a.Document = centre.IDCard
			if a.Account == "" {
				a.Account = holder
			}
			name := func(s string) string { return s + string(rune('a'+i)) }
			closed := a
			closed.Ref = name("gone")
			w.Lose("DoAct", false)
			_, err := w.desk.Do(ctx, "k7", closed, pinOf(a))
			w.unknown("lost call", err)
			if _, was, err := w.desk.Close(ctx, closed.Ref); was || err != nil {
				t.Errorf("kind %d: Close = %t, %v; want that it never will be", a.Kind, was, err)
			}
			_, err = w.desk.Do(ctx, "k7", closed, pinOf(a)) // it was on its way all the time
			w.refused("a call that comes late", err, centre.ActClosed)
			_, err = w.desk.Did(ctx, closed.Ref)
			w.refused("Did", err, centre.ActUnknown)

			a.Ref = name("done")
			w.Lose("DoAct", true)
			_, err = w.desk.Do(ctx, "k7", a, pinOf(a))
			w.unknown("lost answer", err)
			first, err := w.desk.Did(ctx, a.Ref)
			if err != nil || first.Kind != a.Kind || first.Clerk != "k7" || first.Place != "desk1" {
				t.Errorf("kind %d: Did = %+v, %v", a.Kind, first, err)
			}
			again, err := w.desk.Do(ctx, "k7", a, pinOf(a))
			if err != nil || again != first {
				t.Errorf("kind %d again: %+v, %v, want %+v", a.Kind, again, err, first)
			}
			w.Lose("CloseAct", i%2 == 0)
			_, _, err = w.desk.Close(ctx, a.Ref)
			w.unknown("lost close", err)
			if done, was, err := w.desk.Close(ctx, a.Ref); !was || err != nil || done != first {
				t.Errorf("kind %d: Close = %+v, %t, %v; want what was done", a.Kind, done, was, err)
			}
			a.Document = centre.Passport
			_, err = w.desk.Do(ctx, "k7", a, pinOf(a))
			w.refused("another act of the same name", err, centre.ActConflict)
			w.whole()
		}
		_, _, err := centre.New(w.Client("desk2")).Close(ctx, "donea")
		w.refused("another terminal closes it", err, centre.ActConflict)
		_, err = centre.New(w.Client("desk3")).Did(ctx, "donea")
		w.refused("another terminal asks", err, centre.ActUnknown)
	})
}

// TestRegister loads the school's register, and takes names from it.
func TestRegister(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx, desk := t.Context(), books.New(w.Books)
		_, err := w.desk.Registered(ctx, "k7", "S1001")
		w.refused("no register", err, centre.HolderUnknown)
		for _, text := range []string{"S1001,张三丰\nS1002,\"李,四\"\n", "S1001,章三丰\n"} {
			r, err := books.ReadRegister(strings.NewReader(text))
			w.ok(err)
			w.ok(desk.SetRegister(ctx, r))
		}
		if name, err := w.desk.Registered(ctx, "k7", "S1001"); err != nil || name != "章三丰" {
			t.Errorf("Registered = %q, %v", name, err)
		}
		_, err = w.desk.Registered(ctx, "k7", "S1002")
		w.refused("who is in the register no more", err, centre.HolderUnknown)
		for _, bad := range []string{"S1001", "S1001,", ",张", "S 1,张三", "S1001,张\n\"", "S1,张三\nS1,李四", "S1, 张三"} {
			_, err := books.ReadRegister(strings.NewReader(bad))
			if err == nil || strings.Contains(err.Error(), "张") {
				t.Errorf("ReadRegister(%q) = %v, want an error without the name", bad, err)
			}
		}
		w.whole()
	})
}

// TestPIN resets a PIN and has it signed for the card.
func TestPIN(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx, on := t.Context(), centre.NewPIN{Account: holder, CardNo: card}
		for ascii, kept := range map[bool][]byte{false: {0x33, 0x33, 0x33}, true: []byte("333333")} {
			a := centre.Act{Ref: "pin" + string(kept[:1]), Kind: centre.PINReset, Account: holder, Document: centre.IDCard}
			_, err := w.desk.Do(ctx, "k7", a, digits("333333"))
			w.ok(err)
			on.ASCII = ascii
			w.Lose("SignPIN", ascii)
			_, err = w.desk.SignPIN(ctx, "k7", on, digits("333333"))
			w.unknown("lost", err)
			mac, err := w.desk.SignPIN(ctx, "k7", on, digits("333333"))
			if want := w.ReloadMAC([8]byte{9}, kept); err != nil || mac != want {
				t.Errorf("SignPIN = %x, %v, want %x", mac, err, want)
			}
		}
		for left := 4; left > 0; left-- {
			var no *centre.Refusal
			_, err := w.desk.SignPIN(ctx, "k7", on, digits("444444"))
			if !errors.As(err, &no) || no.Reason != centre.PINWrong || no.TriesLeft != left {
				t.Fatalf("SignPIN = %v, want %d tries left", err, left)
			}
		}
		_, err := w.desk.SignPIN(ctx, "k7", on, digits("444444"))
		w.refused("the fifth wrong PIN", err, centre.PINLocked)
		_, err = w.desk.SignPIN(ctx, "k7", on, digits("333333"))
		w.refused("the right one after it", err, centre.PINLocked)
		on.CardNo = clerkCard
		_, err = w.desk.SignPIN(ctx, "k7", on, digits("333333"))
		w.refused("no holder's card", err, centre.CardUnknown)
	})
}

// card1 is what a terminal makes of a blank, as far as the upstream hears.
func (w *world) make(ref string, factor [8]byte) (centre.Plan, error) {
	ctx := w.t.Context()
	p, err := w.desk.Begin(ctx, "k7", centre.Blank{Ref: ref, Account: holder, UID: "0a0b0c0d"})
	if err != nil {
		return p, err
	}
	_, err = w.desk.Command(ctx, "k7", centre.Command{
		Ref: ref, Factor: factor, Order: pboc.Order{Part: pboc.PartAnswer, Challenge: pboc.Challenge{1, 2, 3, 4}},
	})
	return p, err
}

// TestIssue makes a card in place of the holder's, over a wire that loses each call
// and each answer.
func TestIssue(t *testing.T) {
	for _, answer := range []bool{false, true} {
		onBoth(t, func(t *testing.T, w *world) {
			ctx, factor := t.Context(), [8]byte{1, 2}
			w.Lose("BeginCard", answer)
			_, err := w.make("i1", factor)
			w.unknown("Begin", err)
			w.Lose("CardCommand", answer)
			p, err := w.make("i1", factor)
			w.unknown("Command", err)
			again, err := w.make("i1", factor)
			if err != nil || again != p || len(p.CardNo) != 20 || p.Name != "张三丰" || p.Number != "S1001" {
				t.Fatalf("Begin again = %+v, %v, want %+v", again, err, p)
			}
			if _, err := w.Books.Card(ctx, p.CardNo); !errors.Is(err, store.ErrNone) {
				t.Errorf("a card that was only begun: %v", err)
			}
			issue := centre.Act{Ref: "i1", Kind: centre.Issued, Account: holder, Document: centre.IDCard, Card: p.CardNo}
			w.Lose("DoAct", answer)
			_, err = w.desk.Do(ctx, "k7", issue, nil)
			w.unknown("Do", err)
			done, err := w.desk.Do(ctx, "k7", issue, nil)
			if err != nil || done.Before != card || done.After != p.CardNo {
				t.Errorf("Do = %+v, %v", done, err)
			}
			made, err := w.Books.Card(ctx, p.CardNo)
			if err != nil || made.Factor != factor || made.UID != "0A0B0C0D" || made.Status != store.CardActive {
				t.Errorf("the new card: %+v, %v", made, err)
			}
			if old, err := w.Books.Card(ctx, card); err != nil || old.Status != store.CardRetired {
				t.Errorf("the old card: %+v, %v", old, err)
			}
			if _, err := w.make("i1", factor); err != nil {
				t.Errorf("a command after the card was issued: %v", err)
			}
			w.whole()
		})
	}
}

// TestNoTwin: no card gets the keys, the number or the place of another.
func TestNoTwin(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		_, err := w.make("i1", [8]byte{9})
		w.refused("keys of a card that was issued", err, centre.FactorTaken)
		p, err := w.make("i1", [8]byte{1})
		w.ok(err)
		_, err = w.make("i2", [8]byte{1})
		w.refused("keys of a card that is being made", err, centre.FactorTaken)
		_, err = w.make("i1", [8]byte{2})
		w.refused("other keys", err, centre.ActConflict)
		_, err = w.desk.Command(ctx, "k7", centre.Command{Ref: "i3", Factor: [8]byte{3}})
		w.refused("never begun", err, centre.ActUnknown)
		_, err = w.desk.Begin(ctx, "k7", centre.Blank{Ref: "i1", Account: holder, UID: "FFFFFFFF"})
		w.refused("another chip", err, centre.ActConflict)
		issue := centre.Act{Kind: centre.Issued, Account: holder, Document: centre.IDCard}
		for _, tt := range []struct {
			ref, card string
			want      centre.Reason
		}{
			{"i1", card, centre.ActConflict}, {"i3", p.CardNo, centre.ActUnknown}, {"i2", p.CardNo, centre.ActConflict},
		} {
			issue.Ref, issue.Card = tt.ref, tt.card
			_, err := w.desk.Do(ctx, "k7", issue, nil)
			w.refused("issue "+tt.card+" as "+tt.ref, err, tt.want)
		}
		if _, was, err := w.desk.Close(ctx, "i1"); was || err != nil {
			t.Fatal(was, err)
		}
		issue.Ref, issue.Card = "i1", p.CardNo
		_, err = w.desk.Do(ctx, "k7", issue, nil)
		w.refused("issue after it was closed", err, centre.ActClosed)
		w.whole()
	})
}

// TestRetire closes an account, and finds that nothing can be done with it.
func TestRetire(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		retire := centre.Act{Ref: "r1", Kind: centre.Retired, Account: holder, Document: centre.IDCard}
		_, err := w.desk.Do(ctx, "k7", retire, nil)
		w.refused("with money", err, centre.LeftOver)
		poor := store.HolderAccount("1003")
		w.ok(w.Books.AddHolder(ctx, store.Holder{Account: poor, Name: "孙八", Number: "S1003"}, store.PIN{}, 0))
		retire.Account = "1003"
		_, err = w.desk.Do(ctx, "k7", retire, nil)
		w.ok(err)
		h, err := w.desk.Find(ctx, "k7", centre.Find{Account: "1003"})
		if err != nil || !h.Closed || len(h.Acts) != 1 || h.Acts[0].Kind != centre.Retired {
			t.Errorf("Find = %+v, %v, want it closed", h, err)
		}
		w.refused("cash", w.desk.AllowCash(ctx, "k7", centre.Cash{Account: "1003", Amount: 100}), centre.AccountClosed)
		_, err = w.desk.Begin(ctx, "k7", centre.Blank{Ref: "i9", Account: "1003", UID: "0A0B0C0D"})
		w.refused("a card", err, centre.AccountClosed)
		for _, a := range acts {
			if a.Kind == centre.Opened || a.Kind == centre.Lost || a.Kind == centre.Found {
				continue
			}
			a.Ref, a.Account, a.Document = "late"+string(rune('a'+a.Kind)), "1003", centre.IDCard
			_, err := w.desk.Do(ctx, "k7", a, pinOf(a))
			w.refused("an act", err, centre.AccountClosed)
		}
		w.whole()
	})
}
