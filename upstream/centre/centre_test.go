package centre_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/centre"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	"quancun/upstream/store/pgtest"
	"quancun/upstream/store/sqldb"
)

var somePIN = store.PIN{Hash: [32]byte{7}}

const (
	account = store.Account("holder/1001")
	card1   = "00002026000100010001"
	card2   = "00002026000100010002"
	theirs  = "00002026000100010009" // another holder's
	clerk   = "k7"
)

var noon = time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC)

// counter is a card centre with its books, in which two holders have a card.
type counter struct {
	t     *testing.T
	books *store.Books
	desk  *centre.Desk
	acts  int
}

func onBothEngines(t *testing.T, test func(t *testing.T, c *counter)) {
	t.Run("SQLite", func(t *testing.T) { test(t, newCounter(t, filepath.Join(t.TempDir(), "books.db"))) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, newCounter(t, pgtest.New(t).DSN)) })
}

func newCounter(t *testing.T, dsn string) *counter {
	t.Helper()
	books, err := booktest.Open(t.Context(), dsn, func() time.Time { return noon })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { books.Close() })
	c := &counter{t: t, books: books, desk: centre.New(books)}
	_, err = books.AddTerminal(t.Context(), store.Terminal{ID: "desk1"})
	c.ok(err)
	for i, no := range []string{card1, theirs} {
		a := store.HolderAccount(fmt.Sprint(1001 + i))
		c.ok(books.AddHolder(t.Context(), store.Holder{Account: a, Name: "张三", Number: a.No()}, store.PIN{}, 1000))
		c.ok(books.AddCard(t.Context(), store.Card{No: no, Account: a, UID: "01020304", Status: store.CardActive}))
	}
	return c
}

func (c *counter) ok(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// act fills in what all acts of this test have, under a new reference.
func (c *counter) act(a centre.Act) centre.Act {
	c.acts++
	a.Ref, a.Place, a.Clerk = fmt.Sprintf("act%d", c.acts), "desk1", clerk
	if a.Kind == centre.Issued { // at a terminal a card has to be made first
		a.Place = centre.Console
	}
	if a.Account == "" {
		a.Account = account
	}
	if a.Document == 0 {
		a.Document = centre.StudentCard
	}
	return a
}

// whole checks that the books are.
func (c *counter) whole() {
	c.t.Helper()
	lines, err1 := c.books.Verify(c.t.Context())
	acts, err2 := c.desk.Verify(c.t.Context())
	if err := errors.Join(err1, err2); err != nil || len(lines)+len(acts) > 0 {
		c.t.Errorf("Verify = %q, %q, %v", lines, acts, err)
	}
}

func (c *counter) status(no string) store.CardStatus {
	c.t.Helper()
	card, err := c.books.Card(c.t.Context(), no)
	c.ok(err)
	return card.Status
}

// TestActs does each kind of act once, and looks at what has become of the
// books and at what was written down.
func TestActs(t *testing.T) {
	onBothEngines(t, func(t *testing.T, c *counter) {
		for _, tt := range []struct {
			act           centre.Act
			before, after string
			then          func() string
		}{
			{centre.Act{Kind: centre.Lost, Card: card1}, "status 1", "status 2",
				func() string { return fmt.Sprint(c.status(card1)) + "=2" }},
			{centre.Act{Kind: centre.Found, Card: card1, Document: centre.IDCard}, "status 2", "status 1",
				func() string { return fmt.Sprint(c.status(card1)) + "=1" }},
			{centre.Act{Kind: centre.Limited, Limit: 80 * money.Yuan}, "", "8000", nil},
			{centre.Act{Kind: centre.Limited, Limit: 0}, "8000", "0", nil},
			{centre.Act{Kind: centre.Named, Name: "张珊"}, "张三", "张珊", func() string {
				h, err := c.books.Holder(t.Context(), account)
				c.ok(err)
				return h.Name + "=张珊"
			}},
			{centre.Act{Kind: centre.PINReset, PIN: somePIN}, "", "", func() string {
				pin, left, err := c.books.ReservePINTry(t.Context(), account)
				c.ok(err)
				return fmt.Sprint(pin.Hash[0], left) + "=7 4"
			}},
			{centre.Act{Kind: centre.Unlocked}, "", "", func() string {
				_, left, err := c.books.ReservePINTry(t.Context(), account)
				c.ok(err)
				return fmt.Sprint(left) + "=4"
			}},
			{centre.Act{Kind: centre.Issued, Card: card2, UID: "05060708"}, card1, card2, func() string {
				return fmt.Sprint(c.status(card1), c.status(card2)) + "=4 1"
			}},
		} {
			a := c.act(tt.act)
			done, err := c.desk.Do(t.Context(), a)
			if err != nil || done.Before != tt.before || done.After != tt.after || done.At.IsZero() {
				t.Errorf("%s: %+v, %v; want from %q to %q", a.Kind, done, err, tt.before, tt.after)
			}
			if tt.then != nil {
				if got, want, _ := strings.Cut(tt.then(), "="); got != want {
					t.Errorf("after %s: %s, want %s", a.Kind, got, want)
				}
			}
			known, err := c.desk.Did(t.Context(), a.Ref)
			if err != nil || known.Before != tt.before || known.After != tt.after || known.Clerk != clerk ||
				known.Document != a.Document || known.Kind != a.Kind {
				t.Errorf("Did(%s) = %+v, %v", a.Kind, known, err)
			}
			c.whole()
		}
		all, err := c.desk.For(t.Context(), account)
		if err != nil || len(all) != 8 || all[0].Kind != centre.Issued {
			t.Errorf("For = %d acts, %v; want 8, the newest first", len(all), err)
		}
	})
}

// TestFindNumber finds people by their number, however a clerk writes its letters.
func TestFindNumber(t *testing.T) {
	onBothEngines(t, func(t *testing.T, c *counter) {
		for _, no := range []string{"b10", "c10", "C10"} {
			h := store.Holder{Account: store.HolderAccount("of-" + no), Name: "王五", Number: no}
			c.ok(c.books.AddHolder(t.Context(), h, store.PIN{}, 0))
		}
		for typed, want := range map[string]string{"B10": "b10", "b10": "b10", "C10": "C10", "c10": "c10", "B11": ""} {
			p, err := c.desk.Find(t.Context(), centre.Key{Number: typed})
			if want == "" && !errors.Is(err, store.ErrNone) || want != "" && err != nil || p.Number != want {
				t.Errorf("Find(%q) = %q, %v; want %q", typed, p.Number, err, want)
			}
		}
	})
}

// TestTwice does an act again, as a terminal does that has not heard the answer,
// and another one under its name.
func TestTwice(t *testing.T) {
	onBothEngines(t, func(t *testing.T, c *counter) {
		a := c.act(centre.Act{Kind: centre.Limited, Limit: 80 * money.Yuan})
		first, err := c.desk.Do(t.Context(), a)
		c.ok(err)
		_, err = c.desk.Do(t.Context(), c.act(centre.Act{Kind: centre.Limited, Limit: 90 * money.Yuan}))
		c.ok(err)
		again, err := c.desk.Do(t.Context(), a) // late: the limit of 90 stays
		if err != nil || again.At != first.At {
			t.Errorf("Do again = %+v, %v; want that of %s", again, err, first.At)
		}
		c.whole()
		a.Limit++
		if _, err := c.desk.Do(t.Context(), a); !errors.Is(err, store.ErrConflict) {
			t.Errorf("Do = %v, want a conflict", err)
		}
		a.Limit, a.Clerk = a.Limit-1, "k8"
		if _, err := c.desk.Do(t.Context(), a); !errors.Is(err, store.ErrConflict) {
			t.Errorf("Do = %v, want a conflict", err)
		}
	})
}

// TestRefused tries what may not be. Nothing changes, and nothing is written.
func TestRefused(t *testing.T) {
	onBothEngines(t, func(t *testing.T, c *counter) {
		for _, tt := range []struct {
			name string
			act  centre.Act
			want error
		}{
			{"another holder's card", centre.Act{Kind: centre.Lost, Card: theirs}, centre.ErrRefused},
			{"no card", centre.Act{Kind: centre.Found, Card: card2}, store.ErrNone},
			{"no holder", centre.Act{Kind: centre.Unlocked, Account: "holder/9"}, store.ErrNone},
			{"too high", centre.Act{Kind: centre.Limited, Limit: centre.LimitMax + 1}, centre.ErrRefused},
			{"below zero", centre.Act{Kind: centre.Limited, Limit: -1}, centre.ErrRefused},
			{"empty name", centre.Act{Kind: centre.Named}, centre.ErrRefused},
			{"name of spaces", centre.Act{Kind: centre.Named, Name: " 张三"}, centre.ErrRefused},
			{"name with a line break", centre.Act{Kind: centre.Named, Name: "张\n三"}, centre.ErrRefused},
			{"no PIN", centre.Act{Kind: centre.PINReset}, centre.ErrRefused},
			{"card of another", centre.Act{Kind: centre.Issued, Card: theirs}, centre.ErrRefused},
			{"card issued before", centre.Act{Kind: centre.Issued, Card: card1}, centre.ErrRefused},
			{"with money", centre.Act{Kind: centre.Retired}, centre.ErrRefused},
			{"opened twice", centre.Act{Kind: centre.Opened, Name: "王五", PIN: somePIN, Until: noon.Add(time.Hour)},
				centre.ErrRefused},
			{"opened for ever", centre.Act{Kind: centre.Opened, Account: "holder/T1", Name: "王五", PIN: somePIN},
				centre.ErrRefused},
			{"opened for years", centre.Act{Kind: centre.Opened, Account: "holder/T1", Name: "王五", PIN: somePIN,
				Until: noon.Add(centre.StayMax + time.Hour)}, centre.ErrRefused},
			{"over already", centre.Act{Kind: centre.Opened, Account: "holder/T1", Name: "王五", PIN: somePIN,
				Until: noon}, centre.ErrRefused},
			{"no kind", centre.Act{}, centre.ErrRefused},
			{"unknown kind", centre.Act{Kind: 99}, centre.ErrRefused},
			{"no document", centre.Act{Kind: centre.Unlocked, Document: 9}, centre.ErrRefused},
		} {
			a := c.act(tt.act)
			if _, err := c.desk.Do(t.Context(), a); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			}
			if _, err := c.desk.Did(t.Context(), a.Ref); !errors.Is(err, store.ErrNone) {
				t.Errorf("%s: Did = %v, want nothing", tt.name, err)
			}
		}
		nobody := c.act(centre.Act{Kind: centre.Unlocked})
		nobody.Clerk = ""
		if _, err := c.desk.Do(t.Context(), nobody); !errors.Is(err, centre.ErrRefused) {
			t.Errorf("without a clerk: %v", err)
		}
		if c.status(card1) != store.CardActive || c.status(theirs) != store.CardActive {
			t.Error("a refused act has changed a card")
		}
		c.whole()
	})
}

// TestRetiredStays: a card that was replaced cannot come back.
func TestRetiredStays(t *testing.T) {
	onBothEngines(t, func(t *testing.T, c *counter) {
		_, err := c.desk.Do(t.Context(), c.act(centre.Act{Kind: centre.Issued, Card: card2}))
		c.ok(err)
		for _, k := range []centre.Kind{centre.Lost, centre.Found} {
			if _, err := c.desk.Do(t.Context(), c.act(centre.Act{Kind: k, Card: card1})); !errors.Is(err, centre.ErrRefused) {
				t.Errorf("%s: %v, want that it is refused", k, err)
			}
		}
	})
}

// TestAtOnce has two clerks issue a card to one holder at once, under two names
// and under one. One of them wins, and the holder has one card.
func TestAtOnce(t *testing.T) {
	onBothEngines(t, func(t *testing.T, c *counter) {
		for round := range 5 {
			no := fmt.Sprintf("000020260001000200%02d", round)
			acts := []centre.Act{
				c.act(centre.Act{Kind: centre.Issued, Card: no}), c.act(centre.Act{Kind: centre.Issued, Card: no}),
			}
			acts = append(acts, acts[0])
			errs := make([]error, len(acts))
			var all sync.WaitGroup
			for i, a := range acts {
				all.Go(func() { _, errs[i] = c.desk.Do(t.Context(), a) })
			}
			all.Wait()
			if (errs[0] == nil) == (errs[1] == nil) || (errs[0] == nil) != (errs[2] == nil) {
				t.Errorf("round %d: %v", round, errs)
			}
			cards, err := c.books.CardsOf(t.Context(), account)
			c.ok(err)
			active := 0
			for _, card := range cards {
				if card.Status == store.CardActive {
					active++
				}
			}
			if active != 1 {
				t.Errorf("round %d: %d cards are active", round, active)
			}
			c.whole()
		}
	})
}

// TestCloseAtOnce has an act that was on its way arrive while its terminal closes it:
// one of the two comes first, and both say the same.
func TestCloseAtOnce(t *testing.T) {
	onBothEngines(t, func(t *testing.T, c *counter) {
		done := 0
		for round := range 20 {
			a := c.act(centre.Act{Kind: centre.Limited, Limit: money.Fen(round)})
			var did, closed error
			var was bool
			var both sync.WaitGroup
			both.Go(func() { _, did = c.desk.Do(t.Context(), a) })
			both.Go(func() { _, was, closed = c.desk.Close(t.Context(), "desk1", a.Ref) })
			both.Wait()
			if closed != nil || was != (did == nil) || did != nil && !errors.Is(did, centre.ErrClosed) {
				t.Errorf("round %d: Do = %v, Close = %t, %v", round, did, was, closed)
			}
			if was {
				done++
			}
			_, again, err := c.desk.Close(t.Context(), "desk1", a.Ref)
			if err != nil || again != was {
				t.Errorf("round %d: Close again = %t, %v, want %t", round, again, err, was)
			}
			c.whole()
		}
		t.Logf("%d of 20 were done", done)
	})
}

// TestOpen opens an account for somebody who is there for a month.
func TestOpen(t *testing.T) {
	onBothEngines(t, func(t *testing.T, c *counter) {
		until := noon.AddDate(0, 1, 0)
		a := c.act(centre.Act{
			Kind: centre.Opened, Account: "holder/T1", Document: centre.IDCard, Name: "王五", PIN: somePIN, Until: until,
		})
		done, err := c.desk.Do(t.Context(), a)
		if err != nil || done.After != "王五 until 2026-04-01T04:00:00Z" {
			t.Errorf("Do = %+v, %v", done, err)
		}
		if again, err := c.desk.Do(t.Context(), a); err != nil || again.At != done.At {
			t.Errorf("Do again = %+v, %v", again, err)
		}
		a.Until = until.Add(time.Hour)
		if _, err := c.desk.Do(t.Context(), a); !errors.Is(err, store.ErrConflict) {
			t.Errorf("Do with another end = %v, want a conflict", err)
		}
		h, err := c.books.Holder(t.Context(), "holder/T1")
		if err != nil || h.Name != "王五" || h.Number != "T1" {
			t.Errorf("Holder = %+v, %v", h, err)
		}
		c.whole()
	})
}

// TestOpenTaken: a number under which somebody else is known is refused as that.
func TestOpenTaken(t *testing.T) {
	onBothEngines(t, func(t *testing.T, c *counter) {
		h := store.Holder{Account: "holder/1003", Name: "李四", Number: "T1"}
		c.ok(c.books.AddHolder(t.Context(), h, store.PIN{}, 0))
		a := c.act(centre.Act{
			Kind: centre.Opened, Account: "holder/T1", Name: "王五", PIN: somePIN, Until: noon.AddDate(0, 1, 0),
		})
		if _, err := c.desk.Do(t.Context(), a); !errors.Is(err, centre.ErrRefused) {
			t.Errorf("Do = %v, want a refusal", err)
		}
		c.whole()
	})
}

// TestRefusedByAClockAhead: a card that was rewritten while our clock was a year ahead, and
// refuses another name now, is not to be tried again.
func TestRefusedByAClockAhead(t *testing.T) {
	onBothEngines(t, func(t *testing.T, c *counter) {
		rewritten := func(ref string, at time.Time) {
			t.Helper()
			c.ok(c.books.Write(t.Context(), func(tx *sqldb.Tx) error {
				_, err := tx.Exec(t.Context(), `INSERT INTO centre_acts
					(ref, place, clerk, kind, account, card_no, document, before, after, at_ms)
					VALUES (?, 'desk1', ?, ?, ?, ?, 1, '', '张三', ?)`,
					ref, clerk, int64(centre.Rewritten), account, card1, at.UnixMilli())
				return err
			}))
		}
		refused := func(want bool) {
			t.Helper()
			p, err := c.desk.Find(t.Context(), centre.Key{Card: card1})
			c.ok(err)
			if _, is := p.Refused[card1]; is != want {
				t.Errorf("the card refuses: %v, want %v", is, want)
			}
		}
		rewritten("R1", noon.AddDate(1, 0, 0))
		r := centre.NameRefused{Ref: "R2", Card: card1, Terminal: "desk1", Clerk: clerk, Status: 0x6988, At: noon.Add(-time.Second)}
		c.ok(c.desk.TakeRefusal(t.Context(), r))
		refused(true)
		_, err := c.desk.Do(t.Context(), c.act(centre.Act{Kind: centre.Rewritten, Card: card1, Name: "张三"}))
		c.ok(err)
		refused(false)
	})
}

// TestRetire closes an account of which nothing is left, and not before.
func TestRetire(t *testing.T) {
	onBothEngines(t, func(t *testing.T, c *counter) {
		const empty = store.Account("holder/1009")
		const no = "00002026000100010008"
		c.ok(c.books.AddHolder(t.Context(), store.Holder{Account: empty, Name: "李四", Number: "1009"}, store.PIN{}, 0))
		c.ok(c.books.AddCard(t.Context(), store.Card{No: no, Account: empty, UID: "1", Status: store.CardHot}))
		_, err := c.books.CreateOrder(t.Context(), store.Order{
			No: "o1", Terminal: "desk1", CardNo: no, Account: empty, Amount: 100, Created: noon, Expires: noon.Add(time.Minute),
		}, money.Yuan*1000)
		c.ok(err)
		a := c.act(centre.Act{Kind: centre.Retired, Account: empty})
		if _, err := c.desk.Do(t.Context(), a); !errors.Is(err, centre.ErrRefused) || !strings.Contains(err.Error(), "top-up") {
			t.Errorf("Do = %v, want that a top-up is under way", err)
		}
		if c.status(no) != store.CardHot {
			t.Error("a refused act has retired a card")
		}
		_, err = c.books.Advance(t.Context(), "o1", store.OrderStep{To: store.OrderClosed})
		c.ok(err)
		done, err := c.desk.Do(t.Context(), a)
		if err != nil || done.Before != no || c.status(no) != store.CardRetired {
			t.Errorf("Do = %+v, %v", done, err)
		}
		if _, err := c.desk.Do(t.Context(), c.act(centre.Act{Kind: centre.Retired, Account: empty})); err == nil {
			t.Error("an account was closed twice")
		}
		c.whole()
	})
}

// TestRetireLoadInDoubt: nobody knows whether a card was loaded. While its holder has
// that card it is asked; of a card that is lost nobody will ever know, and since a load
// moves no money, its holder may leave all the same.
func TestRetireLoadInDoubt(t *testing.T) {
	for name, lose := range map[string][]centre.Act{
		"lost":     {{Kind: centre.Lost, Card: card1}},
		"replaced": {{Kind: centre.Lost, Card: card1}, {Kind: centre.Issued, Card: card2}},
	} {
		t.Run(name, func(t *testing.T) {
			onBothEngines(t, func(t *testing.T, c *counter) {
				c.loadInDoubt(strings.Repeat("ab", 16))
				c.payOut(account, 1000)
				a := c.act(centre.Act{Kind: centre.Retired})
				if _, err := c.desk.Do(t.Context(), a); !errors.Is(err, centre.ErrLeft) || !strings.Contains(err.Error(), "load") {
					t.Errorf("Do = %v, want that a load is under way", err)
				}
				for _, one := range lose {
					_, err := c.desk.Do(t.Context(), c.act(one))
					c.ok(err)
				}
				p, err := c.desk.Find(t.Context(), centre.Key{Account: account.No()})
				if err != nil || len(p.Open) > 0 {
					t.Errorf("Find = %+v, %v; want nothing open", p.Open, err)
				}
				if _, err := c.desk.Do(t.Context(), a); err != nil {
					t.Errorf("Do = %v", err)
				}
				c.whole()
			})
		})
	}
}

// TestRetireSaleInDoubt: nobody knows whether a card has paid. While its holder has the
// card it is asked; one that is gone may never be, and keeps no account open. The money
// stays in suspense; if it turns out to be the holder's, it is listed as what came onto a
// closed account.
func TestRetireSaleInDoubt(t *testing.T) {
	for name, lose := range map[string][]centre.Act{
		"lost":     {{Kind: centre.Lost, Card: card1}},
		"replaced": {{Kind: centre.Lost, Card: card1}, {Kind: centre.Issued, Card: card2}},
	} {
		t.Run(name, func(t *testing.T) {
			onBothEngines(t, func(t *testing.T, c *counter) {
				c.saleInDoubt("s1", 300)
				c.payOut(account, 700)
				open := func(want centre.OpenKind) {
					t.Helper()
					p, err := c.desk.Find(t.Context(), centre.Key{Account: account.No()})
					if err != nil || len(p.Open) != 1 || p.Open[0].Kind != want || p.Open[0].Amount != 300 {
						t.Errorf("Find = %+v, %v; want %d open", p.Open, err, want)
					}
				}
				open(centre.OpenSale)
				a := c.act(centre.Act{Kind: centre.Retired})
				if _, err := c.desk.Do(t.Context(), a); !errors.Is(err, centre.ErrLeft) || !strings.Contains(err.Error(), "in doubt") {
					t.Errorf("Do = %v, want that a sale is in doubt", err)
				}
				for _, one := range lose {
					_, err := c.desk.Do(t.Context(), c.act(one))
					c.ok(err)
				}
				open(centre.OpenLostSale)
				if _, err := c.desk.Do(t.Context(), a); err != nil {
					t.Errorf("Do = %v", err)
				}
				c.whole()
			})
		})
	}
}

// TestRetireHeld: a bill whose biller has not answered and a bath that was reserved keep an
// account open, and the clerk reads which, and for how much.
func TestRetireHeld(t *testing.T) {
	onBothEngines(t, func(t *testing.T, c *counter) {
		c.ok(c.books.Write(t.Context(), func(tx *sqldb.Tx) error {
			do := func(query string, args ...any) {
				_, err := tx.Exec(t.Context(), query, args...)
				c.ok(err)
			}
			do(`INSERT INTO bills (order_no, terminal, account, biller, target, title, amount_fen, created_ms, deadline_ms)
				VALUES ('b1', 'desk1', ?, 'electricity', 'room', 'room', 300, 1, 2)`, account)
			do(`INSERT INTO bath_halls (hall, name, merchant, whole, cap_fen, litre_fen, litre_pulses, cancel_min)
				VALUES (1, '北浴室', 'bath', ?, 500, 1, 1, 0)`, true)
			do(`INSERT INTO bath_slots (hall, slot, from_min, to_min) VALUES (1, 1, 60, 120)`)
			do(`INSERT INTO bath_reservations (ref, terminal, account, hall, stall, day, slot, n, cap_fen, litre_fen,
					litre_pulses, from_ms, to_ms, cancel_ms, made_ms, moved_ms)
				VALUES ('r1', 'desk1', ?, 1, 0, 1, 1, 0, 500, 1, 1, 3, 4, 3, 2, 2)`, account)
			return nil
		}))
		p, err := c.desk.Find(t.Context(), centre.Key{Account: account.No()})
		want := []centre.Open{
			{Kind: centre.OpenBill, Amount: 300, Since: time.UnixMilli(1).UTC(), Place: "electricity"},
			{Kind: centre.OpenBath, Amount: 500, Since: time.UnixMilli(2).UTC(), Place: "bath"},
		}
		if err != nil || p.Held != 800 || !slices.Equal(p.Open, want) {
			t.Errorf("Find = %+v, %v; want %+v open", p, err, want)
		}
	})
}

// saleInDoubt has a terminal sell to a card and not know whether it has paid.
func (c *counter) saleInDoubt(ref string, amount money.Fen) {
	c.t.Helper()
	ctx := c.t.Context()
	c.ok(c.books.Write(ctx, func(tx *sqldb.Tx) error {
		var claim int64
		_, err := tx.Exec(ctx, `INSERT INTO journals (terminal, epoch, opened_ms, head_hash) VALUES ('desk1', ?, 1, ?)`,
			make([]byte, 8), make([]byte, 32))
		err2 := tx.QueryRow(ctx, `
			INSERT INTO claims (journal, seq, terminal, kind, ref, card_no, account, merchant, amount_fen, balance,
				counter, key_version, algorithm, terminal_no, trace_no, stamp, opened_ms)
			SELECT id, 1, 'desk1', ?, ?, ?, ?, 'canteen', ?, 0, 0, 0, 0, ?, 0, ?, 1 FROM journals RETURNING id`,
			int64(journal.SaleIntent), ref, card1, account, amount, make([]byte, 6), make([]byte, 7)).Scan(&claim)
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		at, err := c.books.LockAccounts(ctx, tx, []store.Account{account, "suspense/desk1"})
		if err != nil {
			return err
		}
		_, err = c.books.PostAll(ctx, tx, at, []store.Entry{{
			Kind: store.KindDoubt, Place: "canteen", Debit: account, Credit: "suspense/desk1", Amount: amount, Claim: claim,
		}})
		return err
	}))
}

// loadInDoubt has a terminal load a card and not know what came of it.
func (c *counter) loadInDoubt(id string) {
	c.t.Helper()
	ctx := c.t.Context()
	c.ok(c.books.Write(ctx, func(tx *sqldb.Tx) error {
		card, err := c.books.CardTx(ctx, tx, card1)
		if err != nil {
			return err
		}
		err = card.AddLoad(store.Load{ID: id, CardNo: card1, Terminal: "desk1", Amount: 500})
		_, err2 := tx.Exec(ctx, `INSERT INTO journals (terminal, epoch, opened_ms, head_hash) VALUES ('desk1', ?, 1, ?)`,
			make([]byte, 8), make([]byte, 32))
		_, err3 := tx.Exec(ctx, `
			INSERT INTO claims (journal, seq, terminal, kind, ref, card_no, account, merchant, amount_fen, balance,
				counter, key_version, algorithm, terminal_no, trace_no, stamp, opened_ms)
			SELECT id, 1, 'desk1', ?, ?, ?, ?, '', 500, 0, 0, 0, 0, ?, 0, ?, 1 FROM journals`,
			int64(journal.LoadIntent), id, card1, account, make([]byte, 6), make([]byte, 7))
		return errors.Join(err, err2, err3)
	}))
}

// payOut takes all of an account's money off it.
func (c *counter) payOut(a store.Account, amount money.Fen) {
	c.t.Helper()
	ctx := c.t.Context()
	c.ok(c.books.Write(ctx, func(tx *sqldb.Tx) error {
		at, err := c.books.LockAccounts(ctx, tx, []store.Account{a, "till/desk1"})
		if err != nil {
			return err
		}
		_, err = c.books.PostAll(ctx, tx, at, []store.Entry{{
			Kind: store.KindPayOut, Place: "desk1", Debit: a, Credit: "till/desk1", Amount: amount,
		}})
		return err
	}))
}

// TestVerify changes the books behind the centre's back.
func TestVerify(t *testing.T) {
	c := newCounter(t, filepath.Join(t.TempDir(), "books.db"))
	for _, a := range []centre.Act{
		{Kind: centre.Limited, Limit: 80 * money.Yuan}, {Kind: centre.Named, Name: "张珊"}, {Kind: centre.Issued, Card: card2},
	} {
		_, err := c.desk.Do(t.Context(), c.act(a))
		c.ok(err)
	}
	for want, sql := range map[string]string{
		"limit":  `UPDATE holders SET daily_limit_fen = NULL WHERE account = 'holder/1001'`,
		"name":   `UPDATE holders SET name = '李四' WHERE account = 'holder/1001'`,
		"issued": `UPDATE cards SET account = 'holder/1002' WHERE card_no = '` + card2 + `'`,
		"closed": `INSERT INTO centre_closed SELECT ref, 'desk1', at_ms FROM centre_acts WHERE kind = 3`,
		"keys": `INSERT INTO centre_cards SELECT 'i9', 'desk1', 'k7', account, '00002026900000000001', uid, factor, 1
			FROM cards WHERE card_no = '` + card1 + `'`,
		"another holder": `INSERT INTO centre_acts SELECT 'a8', 'desk1', 'k7', 10, 'holder/1002', card_no, 1, '', '', 9
			FROM cards WHERE card_no = '` + card1 + `'`,
		"not made": `INSERT INTO centre_acts SELECT 'a9', 'desk1', 'k7', 7, account, card_no, 1, '', '', 9
			FROM cards WHERE card_no = '` + card1 + `'`,
	} {
		c.ok(tamper(t, c.books, sql))
		lines, err := c.desk.Verify(t.Context())
		if err != nil || !strings.Contains(strings.Join(lines, "\n"), want) {
			t.Errorf("Verify = %q, %v; want it to tell of the %s", lines, err, want)
		}
	}
}
