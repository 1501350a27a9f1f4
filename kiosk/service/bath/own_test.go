package bath_test

import (
	"strings"
	"testing"
	"time"

	"quancun/bathcode"
	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	upstream "quancun/upstream/bath"
)

// deed is something that is done about a reservation, after which so much is held.
type deed struct {
	name    dialog.Word
	service string
	begin   func(w *world) script // reserves, and says what is to be answered
	done    string                // what the account has then, and what of it is held
	not     string
}

var deeds = []deed{
	{"bath.cancel", "bath_cancel", func(w *world) script {
		w.t.Helper()
		_, _, err := w.visit(reserving("龙山浴室", "17:00"))
		w.ok(err)
		return owning("bath.cancel")
	}, "20.00 5.00", "20.00 5.00"},
	{"bath.settle", "bath_settle", func(w *world) script {
		w.t.Helper()
		s := owning("bath.settle")
		s["bath.stub"] = w.showered()
		return s
	}, "19.00 0.00", "20.00 5.00"},
}

// showered has the holder take a shower of one yuan with no network, and returns what
// the panel shows in the end.
func (w *world) showered() (stub string) {
	w.t.Helper()
	_, r, err := w.visit(reserving("菱湖浴室", "17:00"))
	w.ok(err)
	b := w.controller(0)
	w.clock = w.clock.Add(5*time.Hour + 5*time.Minute)
	b.open(fact(r.Facts, "bath.fact.code").Text)
	return b.shower(2500)
}

func (w *world) has(want string) {
	w.t.Helper()
	b, err := w.books.Balance(w.t.Context(), holder)
	w.ok(err)
	all, err := w.desk.Mine(w.t.Context(), holder)
	w.ok(err)
	held := 0 * yuan
	for _, r := range all {
		if r.Hold == upstream.Held {
			held += r.Cap
		}
	}
	if got := b.String() + " " + held.String(); got != want {
		w.t.Errorf("the holder has %s, want %s", got, want)
	}
}

// TestDeedWritten writes down what is done about a reservation, before it is asked for,
// and without the digits that were typed.
func TestDeedWritten(t *testing.T) {
	for _, d := range deeds {
		t.Run(string(d.name), func(t *testing.T) {
			w := newWorld(t)
			say := d.begin(w)
			mine, err := w.desk.Mine(t.Context(), holder)
			w.ok(err)
			ref, _, err := w.visit(say)
			w.ok(err)
			item, err := w.book.Get(t.Context(), ref)
			want := `{"service":"` + d.service + `","what":{"reservation":"` + mine[0].Ref + `"}}`
			if w.ok(err); string(item.First.Details) != want || item.First.Account != holder.No() ||
				item.End.Outcome != journal.Done {
				t.Errorf("the journal has %s of %s, and %s", item.First.Details, item.First.Account, item.End.Outcome)
			}
			w.has(d.done)
		})
	}
}

// TestDeedLost loses the request or its answer, and kills the kiosk when nobody knows:
// the journal comes to what is true, and it is done once or never.
func TestDeedLost(t *testing.T) {
	for _, d := range deeds {
		for name, tt := range map[string]struct {
			faults []fault
			done   bool
			known  bool // while the holder stands there
		}{
			"request, once":  {[]fault{lost}, true, true},
			"answer, once":   {[]fault{silent}, true, true},
			"request, twice": {[]fault{lost, lost}, false, false},
			"answer, twice":  {[]fault{silent, silent}, true, false},
			"late":           {[]fault{lost, silent}, true, false},
		} {
			t.Run(string(d.name)+", "+name, func(t *testing.T) {
				w := newWorld(t)
				say := d.begin(w)
				w.faults = tt.faults
				ref, r, err := w.visit(say)
				how, _, why := kiosk.HowEnded(err)
				if tt.known && (how != dialog.Done || w.end(ref) != journal.Done) ||
					!tt.known && (how != dialog.Unknown || why != "bath.unsure.own" || r.Follow == nil || w.end(ref) != 0) {
					t.Fatalf("ended as %d, %q, %+v", how, why, r)
				}
				w.ok(w.book.Close())
				w.open()
				w.keep()
				want, has := journal.NotDone, d.not
				if tt.done {
					want, has = journal.Done, d.done
				}
				if got := w.end(ref); got != want {
					t.Errorf("the journal says %s, want %s", got, want)
				}
				w.has(has)
			})
		}
	}
}

// TestDeedKilled kills the kiosk between the journal and the upstream. What was never
// sent never comes to be, even if it is still on its way; the holder does it again.
func TestDeedKilled(t *testing.T) {
	for _, d := range deeds {
		t.Run(string(d.name), func(t *testing.T) {
			w := newWorld(t)
			say := d.begin(w)
			mine, err := w.desk.Mine(t.Context(), holder)
			w.ok(err)
			ref := kiosk.NewRef()
			_, err = w.book.Append(t.Context(), journal.Entry{
				Kind: journal.RequestIntent, Ref: ref, Account: holder.No(),
				Details: []byte(`{"service":"` + d.service + `","what":{"reservation":"` + mine[0].Ref + `"}}`),
			})
			w.ok(err)
			w.ok(w.book.Close())
			w.open()
			w.keep()
			if got := w.end(ref); got != journal.NotDone {
				t.Errorf("the journal says %s", got)
			}
			late := upstream.Act{Ref: ref, Terminal: "K01", Account: holder, Reservation: mine[0].Ref}
			_, err = w.desk.Cancel(t.Context(), late)
			if err == nil || !strings.Contains(err.Error(), "reason 20") {
				t.Errorf("it came late: %v", err)
			}
			w.has(d.not)
			_, _, err = w.visit(say)
			w.ok(err)
			w.has(d.done)
		})
	}
}

// TestDeedFollowed waits at the page until it is known, and finds that the keeper has
// been faster: what had not come never will.
func TestDeedFollowed(t *testing.T) {
	for _, d := range deeds {
		t.Run(string(d.name), func(t *testing.T) {
			w := newWorld(t)
			say := d.begin(w)
			w.faults = []fault{silent, lost, lost, silent}
			ref, r, err := w.visit(say)
			if err == nil {
				t.Fatal("it is known")
			}
			r, err = r.Follow(t.Context())
			if err != nil || r.Next == "bath.next.later" || w.end(ref) != journal.Done {
				t.Errorf("ended as %+v, %v", r, err)
			}
			w.has(d.done)
		})
		t.Run(string(d.name)+", never", func(t *testing.T) {
			w := newWorld(t)
			say := d.begin(w)
			w.faults = []fault{lost, lost}
			ref, r, _ := w.visit(say)
			w.keep()
			_, err := r.Follow(t.Context())
			if how, _, why := kiosk.HowEnded(err); how != dialog.Refused || why != "bath.never.own" ||
				w.end(ref) != journal.NotDone {
				t.Errorf("ended as %d, %q; the journal says %s", how, why, w.end(ref))
			}
			w.has(d.not)
		})
	}
}

// TestDeedRefused ends in the journal as what it is: each stub that was typed is a
// request of its own, and costs one try, although the answer is lost.
func TestDeedRefused(t *testing.T) {
	w := newWorld(t)
	say := owning("bath.settle")
	say["bath.stub"] = "12345678"
	stub, tries := w.showered(), 0
	w.hear = func(q dialog.Question) {
		if q.Name == "bath.stub" {
			if tries++; tries == 2 {
				say["bath.stub"] = stub
			}
		}
	}
	w.faults = []fault{silent}
	ref, _, err := w.visit(say)
	if w.ok(err); w.end(ref) != journal.NotDone {
		t.Errorf("a wrong stub is %s", w.end(ref))
	}
	if q := w.last("bath.stub"); fact(q.Facts, "bath.fact.tries").Count != 4 {
		t.Errorf("asked again with %+v", q.Facts)
	}
	w.has("19.00 0.00")
	all, err := w.book.Since(t.Context(), 1, 100)
	w.ok(err)
	said := ""
	for _, e := range all {
		if r, err := e.Request(); err == nil && e.Kind == journal.RequestIntent {
			said += r.Service + " "
		}
		if body, err := e.Body(); err == nil && strings.Contains(string(body), stub) {
			t.Errorf("entry %d has the stub", e.Seq)
		}
	}
	if said != "bath bath_settle bath_settle " {
		t.Errorf("the journal has %q", said)
	}
}

// TestStall lets the holder choose where a code opens one stall only, and says which it
// is on the page with the code.
func TestStall(t *testing.T) {
	for name, tt := range map[string]struct{ choose, want string }{
		"one": {"3", "3"}, "any": {"bath.assigned", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for n := range uint16(3) {
				w.ok(w.desk.SetStall(t.Context(), 1, upstream.Stall{No: n + 1}))
			}
			say := reserving("龙山浴室", "17:00")
			say["bath.stall"] = tt.choose
			ref, r, err := w.visit(say)
			stall := fact(r.Facts, "bath.fact.stall")
			if err != nil || string(rune('0'+stall.Count)) != tt.want || !r.Print {
				t.Fatalf("ended as %+v, %v", r, err)
			}
			terms := fact(w.last("bath.sure").Facts, "bath.fact.stall")
			item, err := w.book.Get(t.Context(), ref)
			w.ok(err)
			chosen := strings.Contains(string(item.First.Details), `"stall":3`)
			if name == "one" && (terms.Count != 3 || !chosen) || name == "any" && (terms.Word != "bath.assigned" || chosen) {
				t.Errorf("agreed to %+v, the journal has %s", terms, item.First.Details)
			}
			mine, err := w.desk.Mine(t.Context(), holder)
			w.ok(err)
			if code := string(w.desk.Code(mine[0])); int64(mine[0].Slot.Place.Stall) != stall.Count ||
				code != fact(r.Facts, "bath.fact.code").Text {
				t.Errorf("reserved is %+v", mine[0].Slot)
			}
		})
	}
}

// TestStallTaken chooses a stall that somebody takes in that moment, and then another.
func TestStallTaken(t *testing.T) {
	w := newWorld(t)
	for n := range uint16(3) {
		w.ok(w.desk.SetStall(t.Context(), 1, upstream.Stall{No: n + 1}))
	}
	again := false
	w.hear = func(q dialog.Question) {
		if q.Name == "bath.sure" && !again {
			again = true
			_, err := w.desk.Reserve(t.Context(), upstream.Request{
				Ref: "R1", Terminal: "K01", Account: rival, Hall: 1, Day: bathcode.DayOf(w.clock), Slot: 0, Stall: 2,
			})
			w.ok(err)
			w.next = script{"bath.slot": "17:00", "bath.stall": "3", "bath.sure": ""}
		}
	}
	say := reserving("龙山浴室", "17:00")
	say["bath.stall"] = "2"
	_, r, err := w.visit(say)
	if err != nil || fact(r.Facts, "bath.fact.stall").Count != 3 {
		t.Fatalf("ended as %+v, %v", r, err)
	}
	if q := w.last("bath.stall"); len(q.Options) != 3 {
		t.Errorf("offered %+v", q.Options)
	}
	w.money(20*yuan, 5*yuan)
}
