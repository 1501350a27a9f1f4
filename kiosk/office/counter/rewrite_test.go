package counter_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"quancun/journal"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office/counter"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/reader/sim"
	"quancun/upstream/client"
	"quancun/upstream/client/centre"
)

// renamed returns a world in which a holder has a card that was made here, and
// another name since.
func renamed(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	n := purse.NewCard{CardNo: purse.CardNo{9: 1}, Name: w.holder.Name, Number: w.holder.Number}
	field := keys([8]byte(n.CardNo[2:])).Field
	if err := purse.Personalise(w.card, profile.Default(), n, field); err != nil {
		t.Fatal(err)
	}
	w.holder.Cards = []centre.Card{{No: n.CardNo.Full(), Status: client.CardActive}}
	w.holder.Name = "王小茗"
	return w
}

// says checks the name on the card, and how often it was told upstream.
func (w *world) says(name string, told int) {
	w.t.Helper()
	info, err := w.opens()
	if err != nil || info.Name != name || info.HolderNo != "2026000101" || !info.Enabled {
		w.t.Errorf("the card says %q, %q, %v, want %q", info.Name, info.HolderNo, err, name)
	}
	n := 0
	for _, a := range w.acts {
		if a.Kind == centre.Rewritten {
			n++
		}
	}
	if n != told {
		w.t.Errorf("told upstream %d times, want %d", n, told)
	}
}

func TestRewrite(t *testing.T) {
	w := renamed(t)
	v := w.done(counter.Rewrite)
	if v.Report.Next != "centre.rewrite.done" {
		t.Errorf("%+v", v.Report)
	}
	w.says("王小茗", 1)
	intents := w.entries(journal.CentreIntent)
	e := intents[len(intents)-1]
	a, err := e.Centre()
	if err != nil || centre.Kind(a.Act) != centre.Rewritten || a.Evidence != "123X" || e.Operator != clerk.No || e.Card == "" {
		t.Errorf("intent %+v, %+v, %v", e, a, err)
	}
	if v := w.done(counter.Rewrite); v.Report.Next != "centre.rewrite.same" {
		t.Errorf("again: %+v", v.Report)
	}
	w.ended(1)
}

// TestRewriteTorn tears the card at each command of it, in both kinds, and lays the
// same card down again.
func TestRewriteTorn(t *testing.T) {
	for _, how := range []sim.How{sim.TearBefore, sim.TearAfter} {
		torn := 0
		for skip := 0; ; skip++ {
			w := renamed(t)
			w.before = func(q dialog.Question) {
				if q.Name == "centre.sure" { // the last question before the card is written
					w.card.Break(sim.Break{How: how, Skip: skip})
				}
			}
			w.done(counter.Rewrite)
			w.card.Mend()
			w.says("王小茗", 1)
			w.ended(1)
			if !slices.Contains(w.asked, "centre.rewrite.twice") {
				break
			}
			torn++
		}
		if torn < 12 {
			t.Errorf("torn at %d commands only", torn)
		}
	}
}

// TestRewriteLeft: the holder has gone with a card that was torn. Nobody knows, until
// it is laid down again, or the clerk gives it up.
func TestRewriteLeft(t *testing.T) {
	for _, how := range []sim.How{sim.TearBefore, sim.TearAfter} {
		for _, giveUp := range []bool{false, true} {
			w := renamed(t)
			w.before = func(q dialog.Question) {
				switch q.Name {
				case "centre.sure":
					w.card.Break(sim.Break{How: how, INS: 0xD6})
				case "centre.rewrite.twice":
					w.leave = true
				}
			}
			if v := w.run(counter.Rewrite); v.Outcome != dialog.Unknown || v.Why != "centre.rewrite.open" {
				t.Fatalf("left: outcome %d, %s", v.Outcome, v.Why)
			}
			w.reboot()
			w.before = nil
			w.desk().Round(t.Context())
			if open, err := w.book.OpenItems(context.Background()); err != nil || len(open) != 1 {
				t.Fatalf("open: %v, %v", open, err)
			}
			if giveUp {
				w.choose("centre.open.how", 1)
				w.done(counter.Open)
				w.ended(0)
				w.done(counter.Rewrite) // whatever it says, this is how to go on
			} else {
				w.done(counter.Open)
				w.says("王小茗", 1)
				w.ended(1)
			}
			if v := w.done(counter.Rewrite); v.Report.Next != "centre.rewrite.same" {
				t.Errorf("afterwards: %+v", v.Report)
			}
		}
	}
}

// TestRewriteCut cuts the power at each step. What was begun goes on with the card.
func TestRewriteCut(t *testing.T) {
	for _, after := range []bool{false, true} {
		step := 1
		for ; ; step++ {
			w := renamed(t)
			w.power.left, w.power.after = step, after
			if v := w.run(counter.Rewrite); v.Page == dialog.Ended && v.Outcome == dialog.Done {
				break
			}
			w.reboot()
			w.done(counter.Open)
			if w.done(counter.Rewrite); t.Failed() {
				t.Fatalf("step %d, after %v", step, after)
			}
			w.says("王小茗", 1)
			w.ended(1)
		}
		if step < 5 {
			t.Errorf("only %d steps", step)
		}
	}
}

// TestRewriteLost: the upstream has heard, or not, and its answer is lost.
func TestRewriteLost(t *testing.T) {
	w := renamed(t)
	w.loseDo = true
	if v := w.run(counter.Rewrite); v.Outcome != dialog.Unknown || v.Why != "centre.rewrite.open" {
		t.Fatalf("outcome %d, %s", v.Outcome, v.Why)
	}
	w.loseDo = false
	w.desk().Round(t.Context()) // which hears of it
	w.says("王小茗", 1)
	w.ended(1)
}

// TestRewriteStays: what was seen not to happen is refused. Where the card will never
// say it, another one is offered.
func TestRewriteStays(t *testing.T) {
	for name, spoil := range map[string]func(w *world){
		"not made here": func(w *world) { w.noKey = no(centre.NotMadeHere) },
		"wrong key":     func(w *world) { w.wrongKey = true },
	} {
		t.Run(name, func(t *testing.T) {
			w := renamed(t)
			spoil(w)
			w.choose("centre.rewrite.stays", 1)
			for range 4 { // of which the card hears at most once
				if v := w.run(counter.Rewrite); v.Outcome != dialog.Refused || v.Why != "centre.name.card" {
					t.Fatalf("outcome %d, %s", v.Outcome, v.Why)
				}
			}
			w.says("王小明", 0)
			w.ended(0)
			w.choose("centre.fee", 1)
			delete(w.answers, "centre.rewrite.stays")
			w.before = func(q dialog.Question) {
				if q.Name == "centre.blank" {
					w.card = sim.New(w.blank(7))
				}
			}
			w.done(counter.Rewrite)
			w.says("王小茗", 0)
			w.ended(2) // the card and its PIN
		})
	}
	for want, err := range map[dialog.Word]error{"centre.session": no(centre.SessionOver), "centre.away": errLost} {
		t.Run(fmt.Sprint(want), func(t *testing.T) {
			w := renamed(t)
			w.noKey = err
			if v := w.run(counter.Rewrite); v.Outcome != dialog.Refused || v.Why != want {
				t.Fatalf("outcome %d, %s", v.Outcome, v.Why)
			}
			w.noKey = nil
			w.done(counter.Rewrite)
			w.says("王小茗", 1)
			w.ended(1)
		})
	}
}

// TestRewriteRefusedElsewhere: a card that has refused once is not tried again by any
// desk, not by this one after a restart either, and the desk says why. What the upstream
// did not hear it hears when the next card is to be written.
func TestRewriteRefusedElsewhere(t *testing.T) {
	w := renamed(t)
	w.wrongKey, w.deaf = true, true
	w.choose("centre.rewrite.stays", 1)
	refused := func(d *counter.Desk) {
		t.Helper()
		if v := w.runOn(d, counter.Rewrite); v.Outcome != dialog.Refused || v.Why != "centre.name.card" {
			t.Fatalf("outcome %d, %s", v.Outcome, v.Why)
		}
	}
	first := w.desk()
	refused(first)
	if len(w.refusals) != 0 {
		t.Fatalf("told %+v to who is deaf", w.refusals)
	}
	w.deaf = false
	refused(first)
	if len(w.refusals) != 1 || w.refusals[0].Status == 0 || w.refusals[0].CardNo != w.holder.Cards[0].No ||
		w.refusals[0].Ref == "" {
		t.Fatalf("told upstream %+v, want one refusal", w.refusals)
	}
	w.wrongKey = false // whatever a card would say now, nobody asks it
	for range 2 {
		refused(w.desk()) // after a restart, and at another desk
	}
	w.says("王小明", 0)
	if len(w.refusals) != 1 {
		t.Errorf("told upstream %+v, want one refusal", w.refusals)
	}
	word := fmt.Sprintf("%04X", w.refusals[0].Status)
	v := w.runOn(w.desk(), counter.Look)
	if !slices.ContainsFunc(v.Report.Facts, func(f dialog.Fact) bool { return f.Text == word }) {
		t.Errorf("the holder's page says %+v, want %s in it", v.Report.Facts, word)
	}
}
