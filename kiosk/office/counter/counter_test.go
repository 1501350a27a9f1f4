package counter_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/office/counter"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/reader/sim"
	"quancun/upstream/client"
	"quancun/upstream/client/centre"
)

func (w *world) done(task dialog.Word) office.View {
	w.t.Helper()
	v := w.run(task)
	if v.Outcome != dialog.Done {
		w.t.Fatalf("%s: outcome %d, %s, fault %d", task, v.Outcome, v.Why, v.Fault)
	}
	return v
}

// ended checks that nothing is open, and how many acts were done.
func (w *world) ended(acts int) {
	w.t.Helper()
	open, err := w.book.OpenItems(context.Background())
	if err != nil || len(open) > 0 {
		w.t.Errorf("open: %v, %v", open, err)
	}
	n := 0
	for _, e := range w.entries(journal.CentreEnd) {
		if e.Outcome == journal.Done {
			n++
		}
	}
	if n != acts || n != len(w.acts) {
		w.t.Errorf("%d acts done in the journal and %d upstream, want %d", n, len(w.acts), acts)
	}
}

// TestReplace makes a card in place of a lost one, for a fee in cash.
func TestReplace(t *testing.T) {
	w := newWorld(t)
	w.openShift()
	v := w.done(counter.Replace)
	if v.Report.Next != "centre.card.next" || !v.Report.Print {
		t.Errorf("report: %+v", v.Report)
	}
	w.ended(2) // the card and its PIN
	w.made()
	if w.balance() != 30*yuan || len(w.entries(journal.CashTopUp)) != 1 || len(w.entries(journal.Fee)) != 1 {
		t.Errorf("balance %s", w.balance())
	}
	if e := w.entries(journal.CentreIntent)[0]; e.Operator != clerk.No || e.Account != "1001" || e.Card == "" {
		t.Errorf("intent: %+v", e)
	}
}

// made checks that the card in hand is the holder's, with their PIN, and the only
// one.
func (w *world) made() {
	w.t.Helper()
	info, err := w.opens()
	if err != nil || !info.Enabled || info.Name != "王小明" || info.HolderNo != "2026000101" {
		w.t.Fatalf("card: %+v, %v", info, err)
	}
	if err := (purse.VerifyPIN{PIN: &purse.PIN{'2', '4', '6', '8', '0', '2'}}).Send(w.card); err != nil {
		w.t.Errorf("PIN: %v", err)
	}
	for _, c := range w.holder.Cards {
		if want := c.No == info.CardNo.Full(); (c.Status == client.CardActive) != want {
			w.t.Errorf("card %s has status %d", c.No, c.Status)
		}
	}
}

// TestReplaceCut cuts the power at each step, and goes on.
func TestReplaceCut(t *testing.T) {
	for _, after := range []bool{false, true} {
		for step := 1; ; step++ {
			finished := false
			t.Run(fmt.Sprintf("%d after %v", step, after), func(t *testing.T) { finished = replaceCut(t, step, after) })
			if finished {
				if step < 20 {
					t.Errorf("only %d steps", step)
				}
				break
			}
		}
	}
}

func replaceCut(t *testing.T, step int, after bool) (finished bool) {
	w := newWorld(t)
	w.openShift()
	w.power.left, w.power.after = step, after
	v := w.run(counter.Replace)
	if v.Page == dialog.Ended && v.Outcome == dialog.Done {
		return true
	}
	w.reboot()
	for range 3 {
		w.done(counter.Open) // the first goes on, if there is anything
	}
	intents, cash := w.entries(journal.CentreIntent), w.entries(journal.CashTopUp)
	switch {
	case len(intents) == 0 && len(cash) == 0:
		if w.balance() != 30*yuan || w.holder.Cards[0].Status != client.CardHot {
			t.Errorf("nothing is written down, and something has happened")
		}
		w.done(counter.Replace) // as if nothing had been
	case w.entries(journal.CentreEnd)[0].Outcome != journal.Done:
		t.Errorf("it was given up")
	}
	if !w.hasPIN() {
		w.done(counter.PIN) // as the report has said
	}
	w.made()
	if fees := w.entries(journal.Fee); len(fees) != 1 || len(w.entries(journal.CashTopUp)) != 1 || w.balance() != 30*yuan {
		t.Errorf("%d fees, balance %s", len(fees), w.balance())
	}
	if open, err := w.book.OpenItems(context.Background()); err != nil || len(open) > 0 {
		t.Errorf("open: %v, %v", open, err)
	}
	return false
}

func (w *world) hasPIN() bool {
	w.t.Helper()
	if _, err := w.opens(); err != nil {
		w.t.Fatal(err)
	}
	return purse.VerifyPIN{PIN: &purse.PIN{'2', '4', '6', '8', '0', '2'}}.Send(w.card) == nil
}

// TestGiveUp: cash that was taken for a card that is never made stays the holder's.
func TestGiveUp(t *testing.T) {
	w := newWorld(t)
	w.openShift()
	w.power.left = 6
	w.run(counter.Replace)
	w.reboot()
	w.choose("centre.open.how", 1)
	w.done(counter.Open)
	w.ended(0)
	if w.balance() != 45*yuan || len(w.entries(journal.Fee)) != 0 || w.holder.Cards[0].Status != client.CardHot {
		t.Errorf("balance %s, cards %+v", w.balance(), w.holder.Cards)
	}
	w.choose("centre.fee", 1) // from the account, where it is now
	w.done(counter.Replace)
	if w.made(); w.balance() != 30*yuan {
		t.Errorf("balance %s", w.balance())
	}
}

// TestFeeOwed: somebody spends what the fee was to come from, while the card is made.
func TestFeeOwed(t *testing.T) {
	w := newWorld(t)
	w.choose("centre.fee", 1)
	w.before = func(q dialog.Question) {
		if q.Name == "centre.sure" {
			w.start = 10 * yuan
		}
	}
	if v := w.done(counter.Replace); v.Report.Next != "centre.fee.owed" {
		t.Errorf("report: %+v", v.Report)
	}
	if w.made(); w.balance() != -5*yuan || len(w.entries(journal.Fee)) != 1 {
		t.Errorf("balance %s", w.balance())
	}
	w.ended(2)
	v := w.done(counter.Look)
	owed := slices.ContainsFunc(v.Report.Facts, func(f dialog.Fact) bool {
		return f.Name == "centre.fact.owed" && f.Amount == 5*yuan
	})
	if !owed {
		t.Errorf("what is owed is not shown: %+v", v.Report.Facts)
	}
}

// TestTornBlank: a card that was torn while it was made is laid down again, and no
// other is taken in its place.
func TestTornBlank(t *testing.T) {
	w := newWorld(t)
	w.choose("centre.fee", 1)
	good := w.card
	good.Break(sim.Break{How: sim.TearAfter, INS: 0xD4, Skip: 3})
	again := 0
	w.before = func(q dialog.Question) {
		switch q.Name {
		case "centre.blank.again": // first another one is laid down
			if again++; again == 2 {
				w.card = good
			}
		case "centre.sure":
			w.card = sim.New(sim.NewBlank(profile.Default(), sim.LabTransport, [4]byte{8}))
		}
	}
	w.done(counter.Replace)
	if w.made(); again != 2 || w.balance() != 15*yuan {
		t.Errorf("asked again %d times, balance %s", again, w.balance())
	}
}

// TestOtherMaker: a blank that does not know the key ends what was begun. Another one
// is begun anew, and what was taken in cash is there for it.
func TestOtherMaker(t *testing.T) {
	w := newWorld(t)
	w.openShift()
	good := w.card
	w.card = sim.New(sim.NewBlank(profile.Default(), [16]byte{7}, [4]byte{9}))
	if v := w.run(counter.Replace); v.Outcome != dialog.Refused || v.Why != "centre.not.blank" ||
		v.Report.Next != "centre.cash.kept" {
		t.Fatalf("%+v", v)
	}
	if w.ended(0); w.balance() != 45*yuan {
		t.Errorf("balance %s", w.balance())
	}
	w.card = good
	w.choose("centre.fee", 1)
	w.done(counter.Replace)
	if w.made(); w.balance() != 30*yuan {
		t.Errorf("balance %s", w.balance())
	}
}

// TestOtherBlank: what was begun before a power cut goes on with its own card only.
func TestOtherBlank(t *testing.T) {
	w := newWorld(t)
	w.openShift()
	good := w.card
	w.power.left = 8
	w.run(counter.Replace)
	w.reboot()
	w.card = sim.New(sim.NewBlank(profile.Default(), sim.LabTransport, [4]byte{8}))
	if v := w.run(counter.Open); v.Outcome != dialog.Refused || v.Why != "centre.open.other" {
		t.Errorf("with another blank: %+v", v)
	}
	w.card = good
	w.done(counter.Open)
	w.made()
}

// TestLostAnswers: what the upstream has done although nobody heard it is done.
func TestLostAnswers(t *testing.T) {
	w := newWorld(t)
	w.loseDo = true
	w.done(counter.Limit)
	if w.ended(1); w.holder.DailyLimit != 20*yuan {
		t.Errorf("limit %s", w.holder.DailyLimit)
	}
	w.loseClose = true
	if v := w.run(counter.Found); v.Outcome != dialog.Unknown || v.Why != "centre.unsure" {
		t.Errorf("nobody knows, and the page says %d, %s", v.Outcome, v.Why)
	}
	w.choose("centre.fee", 1)
	if v := w.run(counter.Replace); v.Outcome != dialog.Unknown || v.Why != "centre.blank.open" {
		t.Errorf("nobody knows of the card, and the page says %d, %s", v.Outcome, v.Why)
	}
	w.loseDo, w.loseClose = false, false
	w.done(counter.Look) // which asks after it
	w.done(counter.Open) // and goes on with the card
	if w.ended(4); w.balance() != 15*yuan {
		t.Errorf("balance %s", w.balance())
	}
	w.made()
}

// TestNoClerkAnyMore: the answer to the issue of a card is lost, and the clerk is none
// any more. That is no word about the card, with which another one goes on.
func TestNoClerkAnyMore(t *testing.T) {
	w := newWorld(t)
	w.choose("centre.fee", 1)
	w.loseDo, w.barred = true, true
	if v := w.run(counter.Replace); v.Outcome != dialog.Unknown || v.Why != "centre.blank.open" {
		t.Errorf("nobody knows of the card, and the page says %d, %s", v.Outcome, v.Why)
	}
	if ends := w.entries(journal.CentreEnd); len(ends) > 0 {
		t.Errorf("the journal says that it came to %v", ends[0].Outcome)
	}
	w.loseDo, w.barred = false, false
	w.done(counter.Open)
	if w.made(); w.balance() != 15*yuan {
		t.Errorf("balance %s", w.balance())
	}
}

// TestActCut cuts the power at each step of an act. Afterwards it was done or will
// never be, and nobody has to stand there for that.
func TestActCut(t *testing.T) {
	for _, after := range []bool{false, true} {
		for step := 1; ; step++ {
			w := newWorld(t)
			w.power.left, w.power.after = step, after
			if v := w.run(counter.Limit); v.Page == dialog.Ended && v.Outcome == dialog.Done {
				break
			}
			w.reboot()
			w.desk().Round(t.Context())
			if w.ended(len(w.acts)); len(w.acts) == 1 != (w.holder.DailyLimit == 20*yuan) {
				t.Errorf("step %d, after %v: %d acts, limit %s", step, after, len(w.acts), w.holder.DailyLimit)
			}
		}
	}
}

// TestAccounts does what needs no card.
func TestAccounts(t *testing.T) {
	w := newWorld(t)
	w.over = true // and nobody signs in here
	if v := w.run(counter.Look); v.Outcome != dialog.Refused || v.Why != office.NoSecond {
		t.Errorf("without a session: %+v", v)
	}
	if v := w.done(counter.Look); v.Report.Facts[2].Amount != 30*yuan || len(v.Report.Table.Rows) != 1 {
		t.Errorf("look: %+v", v.Report)
	}
	w.done(counter.Found)
	if v := w.run(counter.Found); v.Outcome != dialog.Refused || v.Why != "centre.no.hot" {
		t.Errorf("found twice: %+v", v)
	}
	w.done(counter.Lost)
	w.answers["centre.name.new"] = func() dialog.Answer { return dialog.Answer{Text: "Wang Ming "} }
	if v := w.done(counter.Name); v.Report.Next != "centre.name.card.next" {
		t.Errorf("after the correction: %+v", v.Report)
	}
	if w.holder.Name != "Wang Ming" {
		t.Errorf("name %q", w.holder.Name)
	}
	w.register = map[string]string{w.holder.Number: "王小茗"}
	w.done(counter.Name)
	if w.holder.Name != "王小茗" {
		t.Errorf("name %q, and not the register's", w.holder.Name)
	}
	w.answers["centre.sure"] = func() dialog.Answer { return dialog.Answer{Left: true} }
	if v := w.run(counter.Limit); v.Page != office.Menu || w.holder.DailyLimit != 50*yuan {
		t.Errorf("left, and: %+v", v)
	}
	w.ended(4)
}

// TestLetters finds somebody whose number has letters in it.
func TestLetters(t *testing.T) {
	w := newWorld(t)
	w.holder.Number = "B2026A1"
	asked := dialog.Question{}
	w.before = func(q dialog.Question) {
		if q.Name == "centre.number" && asked.Name == "" {
			if asked = q; !q.Letters {
				w.holder.Number = "2026000101" // what could be typed; it is not theirs
			}
		}
	}
	if v := w.done(counter.Look); !asked.Letters || v.Outcome != dialog.Done {
		t.Errorf("asked %+v, and then: %+v", asked, v)
	}
}

func TestTemporary(t *testing.T) {
	w := newWorld(t)
	if v := w.run(counter.Temporary); v.Why != "" || v.Outcome != dialog.Done {
		// The number is the holder's, and not the account's: it is free.
		t.Fatalf("%+v", v)
	}
	if h := w.holder; h.Account != "2026000101" || h.Until.IsZero() || w.pinOf != [6]byte([]byte("246802")) {
		t.Errorf("%+v", h)
	}
	if v := w.run(counter.Temporary); v.Outcome != dialog.Refused || v.Why != "centre.is.there" {
		t.Errorf("the same number again: %+v", v)
	}
	if v := w.run(counter.Issue); v.Outcome != dialog.Refused {
		t.Errorf("a card for who is there for a time: %+v", v)
	}
	w.ended(1)
}

// TestCash takes cash, and gives it back with the account.
func TestCash(t *testing.T) {
	w := newWorld(t)
	if v := w.run(counter.TopUp); v.Outcome != dialog.Refused || v.Why != "centre.no.shift" {
		t.Errorf("without a shift: %+v", v)
	}
	w.openShift()
	if v := w.done(counter.TopUp); !v.Report.Print || w.balance() != 50*yuan {
		t.Errorf("top-up: %+v, balance %s", v.Report, w.balance())
	}
	w.holder.TopUpMax = 0
	if v := w.run(counter.TopUp); v.Outcome != dialog.Refused || v.Why != "centre.no.room" {
		t.Errorf("over the cap: %+v", v)
	}
	w.done(counter.Retire)
	if w.ended(1); !w.holder.Closed || w.balance() != 0 || len(w.entries(journal.PayOut)) != 1 {
		t.Errorf("retired: %+v, balance %s", w.holder, w.balance())
	}
	if v := w.run(counter.TopUp); v.Outcome != dialog.Refused || v.Why != "centre.closed" {
		t.Errorf("cash for a closed account: %+v", v)
	}
}

// TestRetireDoubt: a clerk reads what keeps an account open. A sale in doubt with a card
// that is gone does not, and whose account is closed is told of it.
func TestRetireDoubt(t *testing.T) {
	w := newWorld(t)
	w.openShift()
	doubt := centre.Open{Kind: client.OpenPurchaseDoubt, Amount: 12 * yuan, Since: time.Now(), Place: "canteen"}
	said := func(v office.View, name dialog.Word) bool {
		return slices.ContainsFunc(v.Report.Facts, func(f dialog.Fact) bool { return f.Name == name && f.Amount == 12*yuan })
	}
	w.holder.Open = []centre.Open{doubt}
	v := w.run(counter.Retire)
	if v.Outcome != dialog.Refused || v.Why != "centre.left.over" || !said(v, "centre.left.sale") || w.holder.Closed {
		t.Errorf("a sale in doubt: %+v", v)
	}
	for kind, word := range map[client.OpenKind]dialog.Word{
		client.OpenBill: "centre.left.bill", client.OpenBath: "centre.left.bath",
	} {
		w.holder.Open = []centre.Open{{Kind: kind, Amount: 12 * yuan, Since: time.Now()}}
		if v := w.run(counter.Retire); v.Why != "centre.left.over" || !said(v, word) || w.holder.Closed {
			t.Errorf("%s: %+v", word, v)
		}
	}
	doubt.Kind = client.OpenPurchaseLost
	w.holder.Open = []centre.Open{doubt}
	v = w.run(counter.Retire)
	if v.Outcome != dialog.Done || !said(v, "centre.left.lost") || v.Report.Next != "centre.retire.doubt" || !w.holder.Closed {
		t.Errorf("with a card that is gone: %+v", v)
	}
}

// TestDrawerLow: an account is not retired for which there is no cash.
func TestDrawerLow(t *testing.T) {
	w := newWorld(t)
	w.put(journal.Entry{Kind: journal.ShiftOpened, Ref: "s1", Operator: clerk.No, Amount: 10 * yuan})
	if v := w.run(counter.Retire); v.Outcome != dialog.Refused || v.Why != "centre.drawer.low" {
		t.Errorf("%+v", v)
	}
	if w.ended(0); w.balance() != 30*yuan || w.holder.Closed {
		t.Errorf("balance %s", w.balance())
	}
}

// TestJournalFails: cash of which nobody knows whether the journal has it is being
// checked, whichever it was, and what was begun goes on after the restart.
func TestJournalFails(t *testing.T) {
	for _, keeps := range []bool{false, true} {
		for task, kind := range map[dialog.Word]journal.Kind{
			counter.TopUp: journal.CashTopUp, counter.Replace: journal.CashTopUp, counter.Retire: journal.PayOut,
		} {
			w := newWorld(t)
			w.openShift()
			w.fails, w.keeps = kind, keeps
			if v := w.run(task); v.Outcome != dialog.Unknown || v.Why != "centre.cash.unsure" {
				t.Errorf("%s, kept %v: outcome %d, %s", task, keeps, v.Outcome, v.Why)
			}
			w.fails = 0
			w.reboot()
			want := 0
			if keeps {
				want = 1
			}
			if got := w.entries(kind); len(got) != want {
				t.Errorf("%s, kept %v: %d entries", task, keeps, len(got))
			}
			if len(w.acts) > 0 {
				t.Errorf("%s, kept %v: done upstream: %v", task, keeps, w.acts)
			}
		}
	}
}

// TestRetireHalf: the cash is paid out, and then the journal fails. Whoever has counted it
// out is not told that no money has moved.
func TestRetireHalf(t *testing.T) {
	for _, keeps := range []bool{false, true} {
		w := newWorld(t)
		w.openShift()
		w.fails, w.keeps = journal.CentreIntent, keeps
		v := w.run(counter.Retire)
		if v.Outcome != dialog.Done || v.Report.Next != "centre.retire.later" || !v.Report.Print || w.balance() != 0 {
			t.Errorf("kept %v: outcome %d, fault %d, %+v", keeps, v.Outcome, v.Fault, v.Report)
		}
		w.fails = 0
		w.reboot()
		w.done(counter.Look)
		w.done(counter.Retire)
		if outs := w.entries(journal.PayOut); len(outs) != 1 || !w.holder.Closed {
			t.Errorf("kept %v: %d pay-outs, closed %v", keeps, len(outs), w.holder.Closed)
		}
	}
}

// TestRetireCut cuts the power at each step: the cash is out at most once, and the
// account is closed in the end.
func TestRetireCut(t *testing.T) {
	for _, after := range []bool{false, true} {
		for step := 1; ; step++ {
			w := newWorld(t)
			w.openShift()
			w.power.left, w.power.after = step, after
			if v := w.run(counter.Retire); v.Page == dialog.Ended && v.Outcome == dialog.Done {
				break
			}
			w.reboot()
			w.done(counter.Look)
			if !w.holder.Closed {
				w.done(counter.Retire)
			}
			if outs := w.entries(journal.PayOut); len(outs) != 1 || w.balance() != 0 || !w.holder.Closed {
				t.Errorf("step %d, after %v: %d pay-outs, balance %s", step, after, len(outs), w.balance())
			}
		}
	}
}

// TestUnknownIsNotDone: a page that says that nobody knows does not say beside it what is
// so once it is done, such as that machines refuse the card.
func TestUnknownIsNotDone(t *testing.T) {
	for _, task := range []dialog.Word{counter.Lost, counter.Name, counter.PIN} {
		w := newWorld(t)
		w.choose("centre.fee", 1)
		w.done(counter.Replace) // a card that can be used
		w.loseDo, w.loseClose = true, true
		if v := w.run(task); v.Outcome != dialog.Unknown || v.Report.Next != "" {
			t.Errorf("%s: outcome %d, and then %q", task, v.Outcome, v.Report.Next)
		}
	}
}

// TestPIN gives a card another PIN, also when it is torn.
func TestPIN(t *testing.T) {
	w := newWorld(t)
	w.choose("centre.fee", 1)
	w.done(counter.Replace)
	w.asked = nil
	w.card.Break(sim.Break{How: sim.TearBefore, INS: 0x5E})
	w.answers["centre.pin.new"] = func() dialog.Answer { return dialog.Answer{PIN: digits("135791")} }
	w.answers["centre.pin.again"] = w.answers["centre.pin.new"]
	if v := w.done(counter.PIN); v.Report.Next != "centre.pin.both" || !slices.Contains(w.asked, "centre.pin.twice") {
		t.Errorf("%+v, asked %v", v.Report, w.asked)
	}
	if _, err := w.opens(); err != nil {
		t.Fatal(err)
	}
	if err := (purse.VerifyPIN{PIN: &purse.PIN{'1', '3', '5', '7', '9', '1'}}).Send(w.card); err != nil {
		t.Errorf("PIN: %v", err)
	}
}

// TestCashBetween has somebody write between the upstream's word and the entry, which
// lets go of the room that it holds. The cash is asked for again, under its number.
func TestCashBetween(t *testing.T) {
	w := newWorld(t)
	w.openShift()
	w.between = func() { w.put(journal.Entry{Kind: journal.DrawerOpened, Ref: "drawer", Operator: clerk.No}) }
	w.done(counter.TopUp)
	if all := w.entries(journal.CashTopUp); len(all) != 1 || len(w.allowed) != 2 || all[0].Seq != w.allowed[1] {
		t.Errorf("cash %+v; allowed under the numbers %d", all, w.allowed)
	}
}
