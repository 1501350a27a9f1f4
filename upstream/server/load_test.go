package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/client"
	"quancun/upstream/store"
)

const toLoad = opening - mirrorFrom // what the card is behind by

// loadState returns a load as the books have it.
func (w *world) loadState(id string) store.Load {
	w.t.Helper()
	l, err := w.books.Load(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

func (w *world) mirror() money.Fen {
	w.t.Helper()
	c, err := w.books.Card(w.t.Context(), cardNo)
	if err != nil {
		w.t.Fatal(err)
	}
	return c.Mirror
}

// mustAuthorize is an offer that the upstream answers.
func (w *world) mustAuthorize(id string, amount money.Fen) (client.LoadRequest, client.Authorization) {
	w.t.Helper()
	q, a, err := w.authorize(id, amount)
	if err != nil {
		w.t.Fatalf("AuthorizeLoad of %s: %v", amount, err)
	}
	return q, a
}

// mustCredit has the card carry out what it was last offered.
func (w *world) mustCredit(a client.Authorization) pboc.MAC {
	w.t.Helper()
	tac, ok := w.card.credit(a.At, a.MAC2)
	if !ok {
		w.t.Fatal("the card refused our MAC2")
	}
	return tac
}

func (w *world) report(r client.LoadReport) client.LoadStatus {
	w.t.Helper()
	st, err := w.client.ReportLoad(w.t.Context(), r)
	if err != nil {
		w.t.Fatalf("ReportLoad %+v: %v", r, err)
	}
	return st
}

// TestLoadBroken tears a load of 20 yuan at each point, and then brings the
// card back for another one. The card's counter settles what was open, and in
// the end the books' mirror is what the purse holds.
func TestLoadBroken(t *testing.T) {
	const amount = 20 * yuan
	for _, tt := range []struct {
		name    string
		written bool               // on the card
		report  *client.LoadReport // what the terminal says before the card is back
		said    client.LoadOutcome // the answer to that
		alarms  []store.AlarmKind
	}{
		{name: "TornBeforeWrite"},
		{name: "TornAfterWrite", written: true},
		{name: "DoubtBeforeWrite", report: &client.LoadReport{Outcome: client.LoadDoubt}, said: client.LoadDoubt},
		{name: "DoubtAfterWrite", written: true, report: &client.LoadReport{Outcome: client.LoadDoubt}, said: client.LoadDoubt},
		{name: "Refused", report: &client.LoadReport{Outcome: client.LoadNotWritten, Evidence: "status 9302"},
			said: client.LoadNotWritten},
		{name: "RefusedButWritten", written: true, // a terminal that is wrong: evidence wins
			report: &client.LoadReport{Outcome: client.LoadNotWritten, Evidence: "status 9302"},
			said:   client.LoadNotWritten, alarms: []store.AlarmKind{store.AlarmLoadCorrected}},
		{name: "ClaimedByCounter", written: true,
			report: &client.LoadReport{Outcome: client.LoadWritten, Evidence: "counter"}, said: client.LoadDoubt},
		{name: "ClaimedFalsely",
			report: &client.LoadReport{Outcome: client.LoadWritten, Evidence: "log"}, said: client.LoadDoubt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			_, a := w.mustAuthorize(id(1), amount)
			if tt.written {
				w.mustCredit(a)
			}
			if tt.report != nil {
				tt.report.LoadID = id(1)
				for range 2 { // the second time because the answer was lost
					if st := w.report(*tt.report); st.Outcome != tt.said {
						t.Errorf("report = %+v, want outcome %d", st, tt.said)
					}
				}
			}
			w.restart()
			first := money.Fen(0)
			if tt.written {
				first = amount
			}
			_, a = w.mustAuthorize(id(2), toLoad-first) // all that is missing, and not a fen more
			want := store.LoadNotWritten
			if tt.written {
				want = store.LoadWritten
			}
			if got := w.loadState(id(1)).State; got != want {
				t.Errorf("load in state %d, want %d", got, want)
			}
			tac := w.mustCredit(a)
			st := w.report(client.LoadReport{LoadID: id(2), Outcome: client.LoadWritten, TAC: tac, Evidence: "response"})
			if w.card.purse != opening || st.Purse != opening || w.mirror() != opening {
				t.Errorf("purse %s, answer %s, mirror %s; want all %s", w.card.purse, st.Purse, w.mirror(), money.Fen(opening))
			}
			if got := w.alarms(); !slices.Equal(got, tt.alarms) {
				t.Errorf("alarms %q, want %q", got, tt.alarms)
			}
			_, _, err := w.authorize(id(3), 1)
			wantReason(t, "one fen more", err, client.NothingToLoad)
			w.check(opening)
		})
	}
}

// TestLoadAgain carries on with the same load after a tear.
func TestLoadAgain(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	q, first := w.mustAuthorize(id(1), toLoad)
	again, err := w.client.AuthorizeLoad(ctx, q)
	if err != nil || again != first {
		t.Errorf("the same again = %+v, %v; want %+v, byte for byte", again, err, first)
	}
	w.restart()
	if again, err = w.client.AuthorizeLoad(ctx, q); err != nil || again != first {
		t.Errorf("the same after a restart = %+v, %v; want %+v", again, err, first)
	}
	_, second := w.mustAuthorize(id(1), toLoad) // the card was torn before it wrote
	if second == first || slices.Compare(second.At[:], first.At[:]) <= 0 {
		t.Errorf("stamps %x and %x, want them to grow", first.At, second.At)
	}
	if _, ok := w.card.credit(first.At, first.MAC2); ok {
		t.Error("the card took the MAC2 of an offer that it had voided")
	}
	if again, err = w.client.AuthorizeLoad(ctx, q); err != nil || again != first {
		t.Errorf("the first offer, arriving late = %+v, %v; want %+v", again, err, first)
	}
	tac := w.mustCredit(second)
	_, _, err = w.authorize(id(1), toLoad) // the answer was lost, the card is back
	wantReason(t, "the same load, written", err, client.LoadDone)
	if l := w.loadState(id(1)); l.State != store.LoadWritten || l.Evidence != "counter" {
		t.Errorf("load = %+v, want it written by the counter", l)
	}
	st := w.report(client.LoadReport{LoadID: id(1), Outcome: client.LoadWritten, TAC: tac, Evidence: "prove"})
	if st.Outcome != client.LoadWritten || st.Purse != opening {
		t.Errorf("report = %+v, want it written, once", st)
	}
	st = w.report(client.LoadReport{LoadID: id(1), Outcome: client.LoadNotWritten, Evidence: "mistake"})
	if st.Outcome != client.LoadWritten {
		t.Errorf("a late mistake = %+v, want it still written", st)
	}
	w.check(opening)
}

// TestLoadReopened offers a load again that the card had refused.
func TestLoadReopened(t *testing.T) {
	w := newWorld(t)
	w.mustAuthorize(id(1), toLoad)
	w.report(client.LoadReport{LoadID: id(1), Outcome: client.LoadNotWritten, Evidence: "status 9302"})
	_, a := w.mustAuthorize(id(1), toLoad)
	tac := w.mustCredit(a)
	st := w.report(client.LoadReport{LoadID: id(1), Outcome: client.LoadWritten, TAC: tac, Evidence: "response"})
	if st.Outcome != client.LoadWritten || w.mirror() != opening {
		t.Errorf("report = %+v, mirror %s", st, w.mirror())
	}
	w.check(opening)
}

// TestLoadProvedLate has a TAC arrive after the load was called not written:
// the TAC wins, with an alarm. It may come from any terminal.
func TestLoadProvedLate(t *testing.T) {
	w := newWorld(t)
	_, a := w.mustAuthorize(id(1), toLoad)
	tac := w.mustCredit(a)
	w.report(client.LoadReport{LoadID: id(1), Outcome: client.LoadNotWritten, Evidence: "status 6985"})
	other := w.newTerminal("K02")
	_, err := other.ReportLoad(t.Context(), client.LoadReport{LoadID: id(1), Outcome: client.LoadDoubt})
	wantReason(t, "a word of another terminal", err, client.LoadConflict)
	st, err := other.ReportLoad(t.Context(), client.LoadReport{
		LoadID: id(1), Outcome: client.LoadWritten, TAC: tac, Evidence: "prove",
	})
	if err != nil || st.Outcome != client.LoadWritten || st.Purse != opening {
		t.Errorf("ReportLoad = %+v, %v; want it written", st, err)
	}
	if got := w.alarms(); !slices.Equal(got, []store.AlarmKind{store.AlarmLoadCorrected}) {
		t.Errorf("alarms %q, want a correction", got)
	}
	w.check(opening)
}

func TestTACWrong(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.mustAuthorize(id(1), toLoad)
	wrong := client.LoadReport{LoadID: id(1), Outcome: client.LoadWritten, TAC: pboc.MAC{1, 2, 3, 4}, Evidence: "response"}
	_, err := w.client.ReportLoad(ctx, wrong)
	wantReason(t, "a wrong TAC", err, client.TACWrong)
	if l := w.loadState(id(1)); l.State != store.LoadOpen || w.mirror() != mirrorFrom {
		t.Errorf("load = %+v, mirror %s; want it open", l, w.mirror())
	}
	s := w.session()
	a, err := w.client.Account(ctx, s)
	if err != nil || len(a.Open) != 1 || a.Open[0].Kind != client.OpenLoadDoubt || a.Open[0].Amount != toLoad {
		t.Errorf("account = %+v, %v; want the load shown as open, and nothing twice", a, err)
	}
	wrong.LoadID = id(9)
	_, err = w.client.ReportLoad(ctx, wrong)
	wantReason(t, "a TAC of an unknown load", err, client.TACWrong)
	st := w.report(client.LoadReport{LoadID: id(9), Outcome: client.LoadNotWritten})
	if st.Outcome != client.LoadNotWritten {
		t.Errorf("an unknown load that was not written = %+v", st)
	}
	if st = w.report(client.LoadReport{LoadID: id(8), Outcome: client.LoadDoubt}); st.Outcome != client.LoadDoubt {
		t.Errorf("an unknown load in doubt = %+v", st)
	}
	got := w.alarms()
	slices.Sort(got)
	if !slices.Equal(got, []store.AlarmKind{store.AlarmTACWrong, store.AlarmLoadUnknown, store.AlarmLoadUnknown}) {
		t.Errorf("alarms %q", got)
	}
	w.check(opening)
}

// TestMAC1Wrong tries offers that no card of ours has made.
func TestMAC1Wrong(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	for _, tt := range []struct {
		name   string
		change func(*client.LoadRequest)
		want   client.Reason
	}{
		{"MAC1", func(q *client.LoadRequest) { q.Offer.MAC1[0] ^= 1 }, client.MAC1Wrong},
		{"ZeroMAC1", func(q *client.LoadRequest) { q.Offer.MAC1 = pboc.MAC{} }, client.MAC1Wrong},
		{"Balance", func(q *client.LoadRequest) { q.Offer.Balance-- }, client.MAC1Wrong},
		{"Counter", func(q *client.LoadRequest) { q.Offer.Counter++ }, client.MAC1Wrong},
		{"Random", func(q *client.LoadRequest) { q.Offer.Random[0]++ }, client.MAC1Wrong},
		{"Amount", func(q *client.LoadRequest) { q.Amount++ }, client.MAC1Wrong},
		{"Factor", func(q *client.LoadRequest) { q.Factor[0]++ }, client.MAC1Wrong},
		{"Card", func(q *client.LoadRequest) { q.CardNo = "00002026000100099999" }, client.CardIsUnknown},
		{"CardNo", func(q *client.LoadRequest) { q.CardNo = "123" }, client.Malformed},
		{"LoadID", func(q *client.LoadRequest) { q.LoadID = "1" }, client.Malformed},
		{"Zero", func(q *client.LoadRequest) { q.Amount = 0 }, client.Malformed},
		{"Negative", func(q *client.LoadRequest) { q.Amount = -1 }, client.Malformed},
		{"Huge", func(q *client.LoadRequest) { q.Amount = 1 << 32 }, client.Malformed},
		{"OrderNo", func(q *client.LoadRequest) { q.OrderNo = "a b" }, client.Malformed},
	} {
		q := w.request(id(1), toLoad)
		tt.change(&q)
		_, err := w.client.AuthorizeLoad(ctx, q)
		wantReason(t, tt.name, err, tt.want)
	}
	if _, err := w.books.Load(ctx, id(1)); err != store.ErrNone {
		t.Errorf("load: %v, want none written down", err)
	}
	// Another card of ours under this card's number: its MAC1 is right by its
	// own factor, and must not be by this card's account.
	own := *w.card
	w.card.factor[7]++
	w.card.keys = w.keys.CardKeys(w.card.factor)
	_, _, err := w.authorize(id(1), toLoad)
	wantReason(t, "another card's keys", err, client.MAC1Wrong)
	w.card = &own
	// The terminal's number is in MAC1: an offer made elsewhere is worth nothing.
	_, err = w.newTerminal("K02").AuthorizeLoad(ctx, w.request(id(1), toLoad))
	wantReason(t, "an offer of another terminal", err, client.MAC1Wrong)
	if got := w.alarms(); !slices.Equal(got, []store.AlarmKind{store.AlarmMAC1Wrong}) {
		t.Errorf("alarms %q, want one for the card", got)
	}
}

func TestLoadConflict(t *testing.T) {
	w := newWorld(t)
	w.mustAuthorize(id(1), 20*yuan)
	_, _, err := w.authorize(id(1), 21*yuan)
	wantReason(t, "another amount under the same ID", err, client.LoadConflict)
	if got := w.alarms(); !slices.Equal(got, []store.AlarmKind{store.AlarmLoadConflict}) {
		t.Errorf("alarms %q, want a conflict", got)
	}
	upper := w.request(strings.ToUpper(fmt.Sprintf("%032x", 0xabc)), 20*yuan)
	if _, err := w.client.AuthorizeLoad(t.Context(), upper); err != nil {
		t.Errorf("an ID in capitals: %v", err)
	}
	if l := w.loadState(fmt.Sprintf("%032x", 0xabc)); l.State != store.LoadOpen {
		t.Errorf("load = %+v, want it open", l)
	}
}

// TestCardBehind has a purse that was spent from offline: what it lacks must
// not be given to it again.
func TestCardBehind(t *testing.T) {
	w := newWorld(t)
	w.card.purse -= 12 * yuan
	plan, err := w.client.PlanLoad(t.Context(), w.session(), w.card.purse)
	if err != nil || plan.Amount != toLoad {
		t.Errorf("PlanLoad = %+v, %v; want %s as for a full purse", plan, err, money.Fen(toLoad))
	}
	_, _, err = w.authorize(id(1), toLoad+12*yuan)
	wantReason(t, "with what was spent", err, client.NothingToLoad)
	_, a := w.mustAuthorize(id(1), toLoad)
	w.mustCredit(a)
	_, _, err = w.authorize(id(2), 12*yuan)
	wantReason(t, "what was spent", err, client.NothingToLoad)
	if w.card.purse != opening-12*yuan || w.mirror() != opening {
		t.Errorf("purse %s, mirror %s", w.card.purse, w.mirror())
	}
	w.check(opening)
}

// TestCardAhead has cards that prove what cannot be: more in the purse than
// was ever loaded, or a counter that fits no load.
func TestCardAhead(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*fakeCard)
		alarm  store.AlarmKind
	}{
		{"Purse", func(c *fakeCard) { c.purse++ }, store.AlarmCardAhead},
		{"CounterAhead", func(c *fakeCard) { c.counter += 2 }, store.AlarmCounter},
		{"CounterBack", func(c *fakeCard) { c.counter-- }, store.AlarmCounter},
	} {
		w := newWorld(t)
		w.mustAuthorize(id(1), yuan)
		tt.change(w.card)
		_, _, err := w.authorize(id(2), yuan)
		wantReason(t, tt.name, err, client.CardAhead)
		if got := w.alarms(); !slices.Equal(got, []store.AlarmKind{tt.alarm}) {
			t.Errorf("%s: alarms %q, want %q", tt.name, got, tt.alarm)
		}
		w.check(opening)
	}
}

// TestCounterAfterWritten rolls a card back after its load was proved.
func TestCounterAfterWritten(t *testing.T) {
	w := newWorld(t)
	old := *w.card
	_, a := w.mustAuthorize(id(1), yuan)
	tac := w.mustCredit(a)
	w.report(client.LoadReport{LoadID: id(1), Outcome: client.LoadWritten, TAC: tac, Evidence: "response"})
	old.offers = 100
	w.card = &old
	_, _, err := w.authorize(id(2), yuan)
	wantReason(t, "a card that was rolled back", err, client.CardAhead)
	w.check(opening)
}

// TestPurseCeiling never loads above what a purse may hold.
func TestPurseCeiling(t *testing.T) {
	w := newWorld(t)
	s := w.session()
	for i := range 2 {
		no := fmt.Sprintf("Z%d", i)
		if _, err := w.client.CreateTopUp(t.Context(), s, no, 400*yuan); err != nil {
			t.Fatal(err)
		}
		w.ch.pay(no)
		w.await(no, client.TopUpPaid)
	}
	plan, err := w.client.PlanLoad(t.Context(), s, mirrorFrom)
	if err != nil || plan.Amount != 800*yuan-mirrorFrom || plan.Account.Balance != 900*yuan {
		t.Errorf("PlanLoad = %+v, %v; want it up to 800 yuan", plan, err)
	}
	_, _, err = w.authorize(id(1), plan.Amount+1)
	wantReason(t, "a fen above the ceiling", err, client.NothingToLoad)
	w.mustAuthorize(id(1), plan.Amount)
}

// TestPurseNoise: noise in the top bit of what a card holds is none of its money.
func TestPurseNoise(t *testing.T) {
	w := newWorld(t)
	w.card.purse |= 1 << 31
	_, a := w.mustAuthorize(id(1), yuan)
	w.mustCredit(a)
	if got := w.alarms(); len(got) != 0 {
		t.Errorf("alarms %q, want none", got)
	}
	w.check(opening)
}

// TestStamps asks for many MAC2 in one second, and then sets the clock back:
// the stamps of a card only grow. They are Beijing's.
func TestStamps(t *testing.T) {
	w := newWorld(t)
	var last pboc.Stamp
	for i := range 5 {
		if i == 3 {
			w.pass(-time.Hour)
		}
		_, a := w.mustAuthorize(id(1), yuan)
		if slices.Compare(a.At[:], last[:]) <= 0 {
			t.Errorf("stamp %x after %x", a.At, last)
		}
		if i == 0 {
			at, err := time.ParseInLocation("20060102150405", fmt.Sprintf("%x", a.At), time.FixedZone("", 8*3600))
			if err != nil || time.Since(at).Abs() > 10*time.Second {
				t.Errorf("stamp %x is %v, %v; want now, in Beijing", a.At, at, err)
			}
		}
		last = a.At
	}
}
