package lost_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"quancun/money"
	"quancun/upstream/centre"
	"quancun/upstream/client"
	wire "quancun/upstream/client/lost"
	"quancun/upstream/lost"
	"quancun/upstream/place"
	"quancun/upstream/staff/stafftest"
	"quancun/upstream/store"
	"quancun/upstream/store/pgtest"
	"quancun/upstream/store/sqldb"
)

const (
	number  = "2026000101"
	account = store.Account("holder/1001")
	card    = "00002026000100010001"
	pin     = "271828"
)

// world is an upstream with a holder who has a card with 30 yuan on it, another who
// only has a phone, and two kiosks.
type world struct {
	*stafftest.World
	t         *testing.T
	clients   map[string]*client.Client
	here, far *wire.Desk
	refs      int
}

func onBoth(t *testing.T, test func(*testing.T, *world)) {
	t.Run("SQLite", func(t *testing.T) { test(t, newWorld(t, filepath.Join(t.TempDir(), "books.db"))) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, newWorld(t, pgtest.New(t).DSN)) })
}

func newWorld(t *testing.T, dsn string) *world {
	w := &world{World: stafftest.New(t, dsn), t: t, clients: map[string]*client.Client{}}
	for _, h := range []store.Holder{
		{Account: account, Name: "张三丰", Number: number},
		{Account: "holder/1002", Name: "李四", Number: "2026000102"},
	} {
		w.ok(w.Books.AddHolder(t.Context(), h, w.HolderPIN(h.Account, pin), 50*money.Yuan))
	}
	w.ok(w.Books.AddCard(t.Context(), store.Card{
		No: card, Account: account, Factor: [8]byte{9}, UID: "01020304", Status: store.CardActive, Mirror: 30 * money.Yuan,
	}))
	w.here, w.far = w.kiosk("kiosk1"), w.kiosk("kiosk2")
	return w
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// kiosk adds a terminal that has been heard of and has an empty hotlist.
func (w *world) kiosk(id string) *wire.Desk {
	w.t.Helper()
	w.clients[id] = w.Client(id)
	w.hears(id, 0)
	return wire.New(w.clients[id])
}

// hears has a terminal tell that it has a version of the hotlist.
func (w *world) hears(id string, version uint64) {
	w.t.Helper()
	h := store.Heard{Feeds: map[string]uint64{store.FeedHotlist: version}}
	w.ok(w.Books.Hear(w.t.Context(), id, h))
}

func (w *world) ref() string {
	w.refs++
	return fmt.Sprintf("L%d", w.refs)
}

func digits(s string) *[6]byte { return (*[6]byte)([]byte(s)) }

func (w *world) report(d *wire.Desk, number, pin string) (wire.Loss, error) {
	return d.Report(w.t.Context(), w.ref(), number, digits(pin))
}

func (w *world) refused(what string, err error, want wire.Reason) wire.Refusal {
	w.t.Helper()
	var no *wire.Refusal
	if !errors.As(err, &no) || no.Reason != want {
		w.t.Fatalf("%s: %v, want %s", what, err, want)
	}
	return *no
}

func (w *world) status() store.CardStatus {
	w.t.Helper()
	c, err := w.Books.Card(w.t.Context(), card)
	w.ok(err)
	return c.Status
}

// whole checks that the books are.
func (w *world) whole() {
	if w.t.Failed() {
		return
	}
	ctx := w.t.Context()
	lines, err1 := w.Books.Verify(ctx)
	more, err2 := lost.Verify(ctx, w.Books)
	if err := errors.Join(err1, err2); err != nil || len(lines)+len(more) > 0 {
		w.t.Errorf("Verify = %q, %q, %v", lines, more, err)
	}
}

// TestReport is a loss from the report until every terminal knows.
func TestReport(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		defer w.whole()
		l, err := w.report(w.here, number, pin)
		w.ok(err)
		if w.status() != store.CardHot || l.MaskedName != "张*丰" || l.MaskedNumber != "2026****01" || l.Again || l.Over ||
			l.Terminals != 2 || l.Told != 0 || l.AtRisk != 30*money.Yuan || l.Found != nil ||
			l.Free.Sub(l.Stopped) != stafftest.LossRisk || time.Since(l.Stopped) > time.Minute {
			t.Fatalf("report = %+v, card has status %d", l, w.status())
		}
		w.hears("kiosk1", 1)
		is, err := w.here.Get(t.Context(), l.Ref)
		if err != nil || is.Told != 1 || is.AtRisk != 30*money.Yuan {
			t.Errorf("one has synchronised: %+v, %v", is, err)
		}
		w.hears("kiosk2", 1)
		is, err = w.here.Get(t.Context(), l.Ref)
		if err != nil || is.Told != 2 || is.AtRisk != 0 {
			t.Errorf("both have synchronised: %+v, %v", is, err)
		}
		w.hears("kiosk2", 0) // it was restored from a copy
		w.Pass(stafftest.LossRisk)
		is, err = w.here.Get(t.Context(), l.Ref)
		if err != nil || is.Told != 1 || is.AtRisk != 0 {
			t.Errorf("the school bears it: %+v, %v", is, err)
		}
		w.ok(w.Books.SetCardStatus(t.Context(), card, store.CardActive))
		if is, err = w.here.Get(t.Context(), l.Ref); err != nil || !is.Over || is.AtRisk != 0 {
			t.Errorf("the centre has undone it: %+v, %v", is, err)
		}
		_, err = w.far.Get(t.Context(), l.Ref)
		w.refused("another terminal's", err, wire.RefUnknown)
	})
}

// TestToldByLostBooks: a terminal that has a version which these books have not made yet,
// since they were restored from a copy, does not know what they have in it.
func TestToldByLostBooks(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		defer w.whole()
		l, err := w.report(w.here, number, pin)
		w.ok(err)
		w.hears("kiosk1", 3)
		is, err := w.here.Get(t.Context(), l.Ref)
		if err != nil || is.Told != 0 || is.AtRisk != 30*money.Yuan {
			t.Errorf("one has a version that was lost: %+v, %v", is, err)
		}
		w.hears("kiosk1", 1)
		if is, err = w.here.Get(t.Context(), l.Ref); err != nil || is.Told != 1 {
			t.Errorf("it has the newest: %+v, %v", is, err)
		}
	})
}

// TestSilent: nobody waits for a terminal that was forgotten or revoked.
func TestSilent(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.Pass(32 * 24 * time.Hour)
		w.hears("kiosk1", 0)
		w.kiosk("kiosk3")
		w.ok(w.Books.RevokeTerminal(t.Context(), "kiosk3"))
		w.Client("kiosk4") // enrolled, and never heard of
		l, err := w.report(w.here, number, pin)
		if err != nil || l.Terminals != 1 {
			t.Errorf("%d terminals are waited for, %v; want 1", l.Terminals, err)
		}
	})
}

// TestAgain: a card that was stopped before stays so since then.
func TestAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		defer w.whole()
		first, err := w.report(w.here, number, pin)
		w.ok(err)
		w.Pass(time.Hour)
		second, err := w.report(w.far, number, pin)
		if err != nil || !second.Again || !second.Stopped.Equal(first.Stopped) || !second.Free.Equal(first.Free) {
			t.Errorf("second report = %+v, %v; first %+v", second, err, first)
		}
		_, err = w.report(w.here, "2026000102", pin)
		w.refused("a holder without a card", err, wire.NoCard)
	})
}

// TestWrong: who has no PIN learns nothing, costs the holder none of theirs, and is
// soon told to come back tomorrow.
func TestWrong(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for _, no := range []string{number, "9999999999"} {
			for range 5 {
				_, err := w.report(w.here, no, "000000")
				w.refused(no, err, wire.Wrong)
			}
			for _, d := range []*wire.Desk{w.here, w.far} {
				_, err := w.report(d, no, pin)
				no := w.refused(no, err, wire.TooOften)
				if left := time.Until(no.Until); left < 23*time.Hour || left > 24*time.Hour {
					t.Errorf("until in %v, want a day", left)
				}
			}
		}
		h, err := w.Books.Holder(t.Context(), account)
		if err != nil || h.PINLocked || w.status() != store.CardActive {
			t.Errorf("holder %+v, %v, card has status %d", h, err, w.status())
		}
		w.Pass(25 * time.Hour)
		_, err = w.report(w.here, number, "000000")
		w.refused("the next day", err, wire.Wrong)
		if _, err = w.report(w.here, number, pin); err != nil || w.status() != store.CardHot {
			t.Errorf("%v, card has status %d", err, w.status())
		}
		tries, err := sqldb.Texts(t.Context(), w.Books.Live(), `SELECT CAST(id AS TEXT) FROM lost_tries`)
		if err != nil || len(tries) != 0 {
			t.Errorf("tries %q are left after a right one, %v", tries, err)
		}
	})
}

// TestWrongByAClockAhead: who was wrong too often while the upstream's clock was ahead can
// have a card stopped when it is right again, and not in years.
func TestWrongByAClockAhead(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		const years = 3 * 365 * 24 * time.Hour
		w.Pass(years)
		for range 5 {
			_, err := w.report(w.here, number, "000000")
			w.refused(number, err, wire.Wrong)
		}
		w.Pass(-years)
		if _, err := w.report(w.here, number, pin); err != nil || w.status() != store.CardHot {
			t.Errorf("%v, card has status %d", err, w.status())
		}
	})
}

// TestStoppedByAClockAhead: who has reported a loss while our clock was years ahead does not
// bear it for years.
func TestStoppedByAClockAhead(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		defer w.whole()
		const years = 3 * 365 * 24 * time.Hour
		w.Pass(years)
		l, err := w.report(w.here, number, pin)
		w.ok(err)
		w.Pass(-years)
		w.hears("kiosk1", 0)
		again, err := w.report(w.here, number, pin)
		w.ok(err)
		was, err := w.here.Get(t.Context(), l.Ref)
		w.ok(err)
		for _, l := range []wire.Loss{again, was} {
			if now := time.Now().Add(time.Minute); l.Terminals == 0 || l.AtRisk != 0 || l.Stopped.After(now) || l.Free.After(now) {
				t.Errorf("%d terminals, %s at risk, stopped %s, free from %s", l.Terminals, l.AtRisk, l.Stopped, l.Free)
			}
		}
	})
}

// TestLetters: a kiosk types capitals, whatever a number is in the books; and whoever
// writes one in all ways has no more tries for it, be it somebody's or not.
func TestLetters(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		defer w.whole()
		for i, no := range []string{"b10ab", "c10", "C10"} {
			a := store.HolderAccount(fmt.Sprint(2001 + i))
			w.ok(w.Books.AddHolder(t.Context(), store.Holder{Account: a, Name: "王五", Number: no}, w.HolderPIN(a, pin), 0))
			w.ok(w.Books.AddCard(t.Context(), store.Card{
				No: fmt.Sprintf("0000202600010001200%d", i), Account: a, UID: "01", Status: store.CardActive,
			}))
		}
		ref := w.ref()
		for _, no := range []string{"B10AB", "b10ab"} {
			l, err := w.here.Report(t.Context(), ref, no, digits(pin))
			if err != nil || l.Again || l.MaskedName != "王*" {
				t.Errorf("%s: %+v, %v", no, l, err)
			}
		}
		_, err := w.here.Report(t.Context(), ref, "C10", digits(pin))
		w.refused("another number", err, wire.Conflict)
		for i, no := range []string{"C10", "c10"} {
			_, err := w.report(w.here, no, pin)
			w.ok(err)
			hot := 0
			for card := 1; card <= 2; card++ {
				c, err := w.Books.Card(t.Context(), fmt.Sprintf("0000202600010001200%d", card))
				w.ok(err)
				if c.Status == store.CardHot {
					hot++
				}
			}
			if hot != i+1 {
				t.Errorf("%s has stopped %d cards", no, hot-i)
			}
		}
		for _, ways := range [][]string{{"B10AB", "b10ab", "B10ab", "b10aB", "B10Ab"}, {"NO1", "no1", "No1", "nO1", "NO1"}} {
			for _, no := range ways {
				_, err := w.report(w.here, no, "000000")
				w.refused(no, err, wire.Wrong)
			}
			_, err := w.report(w.far, ways[0], pin)
			w.refused(ways[0], err, wire.TooOften)
		}
	})
}

// TestTerminal: nobody tries one PIN for many numbers.
func TestTerminal(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		var wrong sync.WaitGroup
		for i := range 30 {
			wrong.Go(func() {
				ref, no := fmt.Sprintf("W%d", i), fmt.Sprint(2026000200+i)
				if _, err := w.here.Report(t.Context(), ref, no, digits(pin)); err == nil {
					t.Errorf("%s has reported a loss", no)
				}
			})
		}
		wrong.Wait()
		_, err := w.report(w.here, number, pin)
		no := w.refused("the thirty-first", err, wire.TooOften)
		if left := time.Until(no.Until); left < 59*time.Minute || left > time.Hour {
			t.Errorf("until in %v, want an hour", left)
		}
		_, err = w.report(w.far, number, pin)
		w.ok(err)
	})
}

// TestLocked: who has the card and has locked the PIN does not keep its owner from
// having it stopped.
func TestLocked(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for range store.PINTriesMax {
			_, _, err := w.Books.ReservePINTry(t.Context(), account)
			w.ok(err)
		}
		_, err := w.report(w.here, number, pin)
		w.ok(err)
	})
}

// TestLost loses each call, or its answer, and does it again.
func TestLost(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		defer w.whole()
		for _, call := range []string{"PrepareLoss", "ReportLoss"} {
			for _, after := range []bool{false, true} {
				w.ok(w.Books.SetCardStatus(t.Context(), card, store.CardActive))
				w.Lose(call, after)
				ref := w.ref()
				_, err := w.here.Report(t.Context(), ref, number, digits(pin))
				if no := (*wire.Refusal)(nil); err == nil || errors.As(err, &no) {
					t.Fatalf("%s is lost: %v, want that nobody knows", call, err)
				}
				if sent := call == "ReportLoss"; sent == errors.Is(err, wire.ErrNotSent) {
					t.Errorf("%s is lost: %v, was it sent?", call, err)
				}
				if done := call == "ReportLoss" && after; done != (w.status() == store.CardHot) {
					t.Errorf("%s: card has status %d", call, w.status())
				}
				l, err := w.here.Report(t.Context(), ref, number, digits(pin))
				if err != nil || l.Again || w.status() != store.CardHot {
					t.Errorf("%s, again: %+v, %v", call, l, err)
				}
				_, err = w.here.Report(t.Context(), ref, "2026000102", digits(pin))
				w.refused("another number", err, wire.Conflict)
				_, err = w.far.Report(t.Context(), ref, number, digits(pin))
				w.refused("another terminal", err, wire.Conflict)
			}
		}
	})
}

// TestEnd: what was given up is never done, and what was done stays.
func TestEnd(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		defer w.whole()
		ref := w.ref()
		for _, lose := range []bool{true, false, false} {
			if lose {
				w.Lose("EndLoss", true)
			}
			_, made, err := w.here.End(t.Context(), ref)
			if made || lose != (err != nil) {
				t.Errorf("End = %t, %v", made, err)
			}
		}
		_, err := w.here.Report(t.Context(), ref, number, digits(pin))
		w.refused("a request that was on its way", err, wire.Ended)
		if w.status() != store.CardActive {
			t.Errorf("card has status %d", w.status())
		}
		l, err := w.report(w.here, number, pin)
		w.ok(err)
		is, made, err := w.here.End(t.Context(), l.Ref)
		if err != nil || !made || is.Ref != l.Ref {
			t.Errorf("End = %+v, %t, %v", is, made, err)
		}
		_, _, err = w.far.End(t.Context(), l.Ref)
		w.refused("another terminal's", err, wire.Conflict)
	})
}

// TestFound: a lost card on a reader is told of to its owner, until the loss is over.
func TestFound(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		defer w.whole()
		at := time.Now().Add(-time.Minute).UTC().Truncate(time.Millisecond)
		gate := place.Place{ZH: "二食堂门口", EN: "Canteen 2, entrance"}
		w.ok(place.Set(t.Context(), w.Books, "kiosk2", gate))
		w.refused("a card that is not lost", w.far.ReportFound(t.Context(), card, at), wire.NotLost)
		l, err := w.report(w.here, number, pin)
		w.ok(err)
		for range 2 { // said twice, the first time counts
			w.ok(w.far.ReportFound(t.Context(), strings.ToLower(card), at))
			at = at.Add(time.Second)
		}
		is, err := w.here.Get(t.Context(), l.Ref)
		if err != nil || is.Found == nil || is.Found.Place != "kiosk2" || !is.Found.At.Equal(at.Add(-2*time.Second)) {
			t.Errorf("found = %+v, %v", is.Found, err)
		}
		if is.Found != nil && (is.Found.Where.ZH != gate.ZH || is.Found.Where.EN != gate.EN) {
			t.Errorf("found at %+v, want %+v", is.Found.Where, gate)
		}
		who, err := centre.New(w.Books).Find(t.Context(), centre.Key{Card: card})
		if err != nil || who.Found[card].Terminal != "kiosk2" || who.Found[card].Where != gate {
			t.Errorf("the card centre is told %+v, %v", who.Found, err)
		}
		w.ok(w.Books.SetCardStatus(t.Context(), card, store.CardActive))
		w.ok(w.Books.SetCardStatus(t.Context(), card, store.CardHot)) // lost again
		l, err = w.report(w.here, number, pin)
		if err != nil || l.Found != nil {
			t.Errorf("lost again: %+v, %v; nobody has found it since", l, err)
		}
	})
}

// TestTogether: many reports of one loss at once are one loss.
func TestTogether(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		defer w.whole()
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				_, err := w.here.Report(t.Context(), fmt.Sprintf("T%d", i%4), number, digits(pin))
				if no := (*wire.Refusal)(nil); err != nil && !(errors.As(err, &no) && no.Reason == wire.TooOften) {
					t.Errorf("report %d: %v", i, err)
				}
			})
		}
		all.Wait()
		changes, err := sqldb.Texts(t.Context(), w.Books.Live(), `SELECT card_no FROM hot_changes`)
		if err != nil || len(changes) != 1 {
			t.Errorf("the hotlist has changed for %q, %v", changes, err)
		}
	})
}

// TestVerify tampers with the books as somebody would who has their file.
func TestVerify(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		_, err := w.report(w.here, number, pin)
		w.ok(err)
		for _, statement := range []string{
			`INSERT INTO lost_reports (ref, terminal, account, version, again, stopped_ms, free_ms, at_ms)
				SELECT 'X1', terminal, 'holder/1002', version, again, stopped_ms, free_ms, at_ms FROM lost_reports`,
			`INSERT INTO lost_ended (ref, terminal, at_ms) SELECT ref, terminal, 0 FROM lost_reports WHERE ref = 'L1'`,
			`INSERT INTO found_cards (version, terminal, card_no, at_ms, told_ms) VALUES (7, 'kiosk1', '` + card + `', 0, 0)`,
		} {
			before, err := lost.Verify(t.Context(), w.Books)
			w.ok(err)
			w.ok(w.Books.Write(t.Context(), func(tx *sqldb.Tx) error {
				_, err := tx.Exec(t.Context(), statement)
				return err
			}))
			after, err := lost.Verify(t.Context(), w.Books)
			if err != nil || len(after) != len(before)+1 {
				t.Errorf("Verify = %q, %v after %s", after, err, statement)
			}
		}
	})
}
