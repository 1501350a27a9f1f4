package pay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/tender"
	"quancun/lab/breaker"
	"quancun/money"
	"quancun/upstream/client/bill"
)

// tenYuan pays the network fee that is offered first.
func tenYuan() script {
	return answers(map[dialog.Word]dialog.Answer{"pay.amount": {}, "pay.sure": {}})
}

// room101 pays 20 yuan for a room of the lab, from the areas down.
func room101() script {
	return answers(map[dialog.Word]dialog.Answer{
		"electricity.area": {Text: "东区"}, "electricity.building": {Text: "1号楼"}, "electricity.floor": {Text: "1层"},
		"electricity.room": {Text: "101"}, "electricity.mine": {Text: "东区 1号楼 1层 101"},
		"pay.amount": {Text: "¥20.00"}, "pay.sure": {},
	})
}

func (w *world) arm(f breaker.Fault, which string) {
	w.t.Helper()
	if which == "network" {
		w.ok(w.network.Arm(f))
		return
	}
	w.ok(w.campus.Arm(f))
}

// TestNetwork shows how the account stands, and pays ten yuan.
func TestNetwork(t *testing.T) {
	w := newWorld(t)
	ref, r, err := w.visit(w.networkService(), tenYuan())
	if err != nil || r.Ref != ref || !r.Print || r.Follow != nil || r.QR != proofOf(ref) ||
		fact(r, "pay.fact.paid").Amount != 10*yuan {
		t.Fatalf("ended as %+v, %v", r, err)
	}
	for _, q := range w.asked {
		if q.Name == "pay.amount" && (factIn(q.Facts, "network.fact.user").Text != "2026****01" ||
			factIn(q.Facts, "network.fact.wallet").Amount != 5 || factIn(q.Facts, "network.fact.feeds").Word == "" ||
			factIn(q.Facts, "network.fact.name").Text != "张*丰") {
			t.Errorf("shown before: %+v", q.Facts)
		}
		if q.Name == "pay.sure" && factIn(q.Facts, "pay.fact.after").Amount != 190*yuan {
			t.Errorf("asked for the last word with %+v", q.Facts)
		}
	}
	item, err := w.book.Get(t.Context(), ref)
	if err != nil || item.End.Outcome != journal.Done || item.First.Account != "2026000101" ||
		item.First.Amount != 10*yuan {
		t.Errorf("the journal has %+v, %v", item, err)
	}
	w.want(moneys{190 * yuan, 0, 10 * yuan})
}

// TestElectricity goes down to a room and pays for it; the next time the room is
// offered at once.
func TestElectricity(t *testing.T) {
	w := newWorld(t)
	for n := range 2 {
		_, r, err := w.visit(w.electricityService(), room101())
		if err != nil || fact(r, "pay.fact.paid").Amount != 20*yuan || fact(r, "pay.fact.record").Text == "" {
			t.Fatalf("ended as %+v, %v", r, err)
		}
		var lists int
		for _, q := range w.asked {
			if q.Kind == dialog.AskChoice {
				lists++
			}
		}
		if want := []int{5, 2}[n]; lists != want {
			t.Errorf("visit %d: %d lists, want %d: %+v", n, lists, want, w.asked)
		}
	}
	w.want(moneys{160 * yuan, 0, 40 * yuan})
}

// TestMeters tells energy from money, what is owed, and what was read long ago.
func TestMeters(t *testing.T) {
	w := newWorld(t)
	at := func(room string) (dialog.Report, error) {
		s := room101()
		s["electricity.room"][0].Text = room
		delete(s, "pay.amount")
		_, r, err := w.visit(w.electricityService(), s)
		if len(w.asked) > 0 && err != nil {
			r.Facts = append(r.Facts, w.asked[len(w.asked)-1].Facts...)
		}
		return r, err
	}
	r, err := at("101")
	if !errors.Is(err, dialog.ErrLeft) || fact(r, "electricity.fact.energy").Text != "11.73" ||
		fact(r, "electricity.fact.money").Amount == 0 || fact(r, "electricity.fact.days").Count != 0 {
		t.Errorf("101: %+v, %v", r.Facts, err)
	}
	r, _ = at("102")
	if fact(r, "electricity.fact.owed.energy").Text != "1.18" || fact(r, "electricity.fact.owed").Amount != 66 {
		t.Errorf("102, which owes: %+v", r.Facts)
	}
	r, err = at("103")
	if how, code, why := kiosk.HowEnded(err); how != dialog.Refused || why != "electricity.unread" ||
		code != kiosk.CodeUnread ||
		fact(r, "electricity.fact.room").Text == "" {
		t.Errorf("103, whose meter is offline: %+v, %v", r.Facts, err)
	}
	if r, _ = at("104"); fact(r, "electricity.fact.days").Count != 5 {
		t.Errorf("104, read five days ago: %+v", r.Facts)
	}
	w.want(moneys{200 * yuan, 0, 0})
}

// TestTwoMeters has a room with two meters choose which one is paid for.
func TestTwoMeters(t *testing.T) {
	w := newWorld(t)
	s := room101()
	s["electricity.room"][0].Text, s["electricity.meter"] = "105", []dialog.Answer{{Text: "空调"}}
	_, r, err := w.visit(w.electricityService(), s)
	if err != nil || fact(r, "electricity.fact.meter").Text != "空调" {
		t.Errorf("ended as %+v, %v", r, err)
	}
	for _, room := range w.campus.Rooms() {
		if room.Meter == "空调" && room.Money != 2000 {
			t.Errorf("the meter got %d fen", room.Money)
		}
	}
	w.want(moneys{180 * yuan, 0, 20 * yuan})
}

// TestLeft leaves each question: nothing has happened, and nothing is written down.
func TestLeft(t *testing.T) {
	w := newWorld(t)
	for _, at := range []dialog.Word{
		"electricity.area", "electricity.building", "electricity.floor", "electricity.room", "pay.amount", "pay.sure",
	} {
		s := room101()
		delete(s, at)
		ref, _, err := w.visit(w.electricityService(), s)
		if !errors.Is(err, dialog.ErrLeft) || w.end(ref) != -1 {
			t.Errorf("left at %s: %v, journal %d", at, err, w.end(ref))
		}
	}
	w.want(moneys{200 * yuan, 0, 0})
}

// TestRefused ends in words, and nothing has happened. A biller that is silent has a
// code beside its words, and one that says no has none.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		fault breaker.Fault
		say   script
		why   dialog.Word
		end   int
	}{
		"SaysNo": {breaker.Fault{Method: "recharge", Kind: breaker.Refuse}, room101(), "pay.no", int(journal.NotDone)},
		"Away":   {breaker.Fault{Method: "*", Kind: breaker.HTML, Standing: true}, room101(), "pay.away", -1},
		"Gone": {say: func() script {
			s := room101()
			s["electricity.floor"] = nil
			return s
		}(), end: -1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if c.fault.Kind != "" {
				w.arm(c.fault, "electricity")
			}
			ref, r, err := w.visit(w.electricityService(), c.say)
			how, code, why := kiosk.HowEnded(err)
			if how != dialog.Refused || why != c.why || r.Print || w.end(ref) != c.end {
				t.Errorf("ended %d for %q, %+v, %v; journal %d", how, why, r, err, w.end(ref))
			}
			if why != "" && (code == kiosk.CodeSilent) != (why == "pay.away") {
				t.Errorf("%q has the code %d", why, code)
			}
			w.want(moneys{200 * yuan, 0, 0})
		})
	}
}

// TestNotEnough offers nothing that the account does not have.
func TestNotEnough(t *testing.T) {
	w := newWorld(t)
	s := tenYuan()
	s["pay.amount"] = []dialog.Answer{{Text: "¥100.00"}}
	for range 2 {
		if _, _, err := w.visit(w.networkService(), s); err != nil {
			t.Fatal(err)
		}
	}
	ref, _, err := w.visit(w.networkService(), tenYuan())
	if how, _, why := kiosk.HowEnded(err); how != dialog.Refused || why != "pay.not.enough" || w.end(ref) != -1 {
		t.Errorf("with nothing left: %v", err)
	}
	w.want(moneys{0, 0, 200 * yuan})
}

// TestKeptForCard says what only the card may spend, and how much that is.
func TestKeptForCard(t *testing.T) {
	w := newWorld(t)
	w.reserve = 185 * yuan
	_, _, err := w.visit(w.networkService(), tenYuan())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(w.asked, func(q dialog.Question) bool { return q.Name == "pay.amount" })
	if q := w.asked[i]; q.Options[1].Note != "pay.for.card" || q.Options[0].Note != "" {
		t.Errorf("fifteen yuan may be spent: %+v", q)
	}
	w.reserve = 200 * yuan
	_, r, err := w.visit(w.networkService(), tenYuan())
	if how, _, why := kiosk.HowEnded(err); how != dialog.Refused || why != "pay.for.card" {
		t.Errorf("all is kept: %v", err)
	}
	if last := r.Facts[len(r.Facts)-1]; last.Name != "pay.fact.kept" || last.Amount != 190*yuan {
		t.Errorf("told %+v", r)
	}
	w.want(moneys{190 * yuan, 0, 10 * yuan})
}

// TestUnknown loses the vendor's answer after it has booked: the holder is told that it
// is being checked, and then that it is paid. It is billed once.
func TestUnknown(t *testing.T) {
	for _, which := range []string{"network", "electricity"} {
		for _, kind := range []breaker.Kind{breaker.Drop, breaker.HTML, breaker.Half} {
			t.Run(which+" "+string(kind), func(t *testing.T) {
				w := newWorld(t)
				service, say, amount := w.networkService(), tenYuan(), 10*yuan
				if which == "electricity" {
					service, say, amount = w.electricityService(), room101(), 20*yuan
				}
				w.arm(breaker.Fault{Method: "recharge", Kind: kind, Booked: true}, which)
				w.arm(breaker.Fault{Method: asks[which], Kind: breaker.HTML, Standing: true}, which)
				ref, r, err := w.visit(service, say)
				how, _, why := kiosk.HowEnded(err)
				if how != dialog.Unknown || why != "pay.unsure" || r.Follow == nil || r.Print || r.QR != "" || w.end(ref) != 0 ||
					fact(r, "pay.fact.held").Amount != amount {
					t.Fatalf("ended %d for %q, %+v, %v", how, why, r, err)
				}
				w.want(moneys{200 * yuan, amount, amount})
				w.network.Clear()
				w.campus.Clear()
				r, err = r.Follow(t.Context())
				if err != nil || fact(r, "pay.fact.paid").Amount != amount || !r.Print || r.QR != proofOf(ref) ||
					w.end(ref) != int(journal.Done) {
					t.Errorf("then %+v, %v; journal %d", r, err, w.end(ref))
				}
				w.want(moneys{200*yuan - amount, 0, amount})
			})
		}
	}
}

// asks is what each vendor is asked about an order by.
var asks = map[string]string{"network": "records", "electricity": "order"}

// TestReleased: what the vendor has never booked is told, and the money is free.
func TestReleased(t *testing.T) {
	w := newWorld(t)
	w.arm(breaker.Fault{Method: "recharge", Kind: breaker.Drop}, "electricity")
	ref, r, err := w.visit(w.electricityService(), room101())
	if how, _, _ := kiosk.HowEnded(err); how != dialog.Unknown || r.Follow == nil {
		t.Fatalf("ended %+v, %v", r, err)
	}
	r, err = r.Follow(t.Context())
	how, _, why := kiosk.HowEnded(err)
	if how != dialog.Refused || why != "pay.absent" || fact(r, "pay.fact.free").Amount != 20*yuan ||
		w.end(ref) != int(journal.NotDone) {
		t.Errorf("then %d for %q, %+v; journal %d", how, why, r, w.end(ref))
	}
	w.want(moneys{200 * yuan, 0, 0})
}

// TestFollowLeft leaves a report that is being checked: the keeper goes on.
func TestFollowLeft(t *testing.T) {
	w := newWorld(t)
	w.arm(breaker.Fault{Method: "recharge", Kind: breaker.Drop, Booked: true}, "electricity")
	w.arm(breaker.Fault{Method: "order", Kind: breaker.HTML, Standing: true}, "electricity")
	ref, r, _ := w.visit(w.electricityService(), room101())
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if _, err := r.Follow(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("left: %v", err)
	}
	w.campus.Clear()
	w.keep()
	if w.end(ref) != int(journal.Done) {
		t.Errorf("journal %d", w.end(ref))
	}
	w.want(moneys{180 * yuan, 0, 20 * yuan})
}

// TestKilled kills the kiosk at each step of a payment, before the step has its effect
// and after. The journal, the account and the vendor agree in the end, and nobody pays
// without being booked, or is booked without paying.
func TestKilled(t *testing.T) {
	w := newWorld(t)
	ref, _, err := w.visit(w.electricityService(), room101())
	if err != nil || w.power.n != 3 || w.end(ref) != int(journal.Done) { // intent, order, end
		t.Fatalf("%d steps, %v", w.power.n, err)
	}
	paid := money.Fen(20 * yuan)
	for at := 1; at <= 3; at++ {
		for _, after := range []bool{false, true} {
			*w.power = power{at: at, after: after}
			ref, _, _ := w.visit(w.electricityService(), room101())
			w.restart()
			w.keep()
			want := int(journal.Done)
			switch {
			case at == 1 && !after:
				want = -1
			case at == 1 || at == 2 && !after:
				want = int(journal.NotDone)
			default:
				paid += 20 * yuan
			}
			if got := w.end(ref); got != want {
				t.Errorf("killed at step %d, after %t: journal %d, want %d", at, after, got, want)
			}
			w.want(moneys{200*yuan - paid, 0, paid})
			w.late(ref)
		}
	}
}

// late has the request of a kiosk that was killed arrive after all. It changes
// nothing.
func (w *world) late(ref string) {
	w.t.Helper()
	before, err := w.books.Balance(w.t.Context(), holder)
	w.ok(err)
	item, err := w.book.Get(w.t.Context(), ref)
	if err != nil {
		return // it was never written down, so it was never sent
	}
	room := []bill.Place{{Kind: bill.Area, ID: "1", Name: "东区"}, {Kind: bill.Building, ID: "101", Name: "1号楼"},
		{Kind: bill.Floor, ID: "1011", Name: "1层"}, {Kind: bill.Room, ID: "101101", Name: "101"}}
	_, err = w.client.Pay(w.t.Context(), session, bill.Order{
		OrderNo: ref, Biller: "electricity", Amount: item.First.Amount, Room: room,
	})
	w.ok(err)
	after, err := w.books.Balance(w.t.Context(), holder)
	if err != nil || after != before {
		w.t.Errorf("late: balance %s, and before %s; %v", after, before, err)
	}
}

// TestAnswerLost loses one answer on the way to the kiosk: it asks after it, and the
// holder is told what is true.
func TestAnswerLost(t *testing.T) {
	w := newWorld(t)
	*w.power = power{at: 2, after: true, once: true}
	ref, r, err := w.visit(w.networkService(), tenYuan())
	if err != nil || fact(r, "pay.fact.paid").Amount != 10*yuan || w.end(ref) != int(journal.Done) {
		t.Errorf("an answer that was lost: %+v, %v", r, err)
	}
	*w.power = power{at: 2, once: true}
	ref, _, err = w.visit(w.networkService(), tenYuan())
	if how, _, why := kiosk.HowEnded(err); how != dialog.Refused || why != "pay.never" || w.end(ref) != int(journal.NotDone) {
		t.Errorf("a request that was lost: %v; journal %d", err, w.end(ref))
	}
	*w.power = power{at: 3, once: true} // the journal does not take the end
	ref, r, err = w.visit(w.networkService(), tenYuan())
	if err != nil || fact(r, "pay.fact.paid").Amount != 10*yuan || w.end(ref) != 0 {
		t.Errorf("an end that was not written: %+v, %v", r, err)
	}
	w.keep()
	if w.end(ref) != int(journal.Done) {
		t.Errorf("journal %d", w.end(ref))
	}
	w.want(moneys{180 * yuan, 0, 20 * yuan})
}

// TestJournalFull asks nobody for what cannot be written down.
func TestJournalFull(t *testing.T) {
	w := newWorld(t)
	*w.power = power{at: 1, once: true}
	ref, r, err := w.visit(w.networkService(), tenYuan())
	if how, _, _ := kiosk.HowEnded(err); how != dialog.Refused || !errors.Is(err, errOff) || w.end(ref) != -1 ||
		fact(r, "pay.fact.held").Amount != 0 || errors.Is(err, tender.ErrUnknown) {
		t.Errorf("ended %+v, %v", r, err)
	}
	w.want(moneys{200 * yuan, 0, 0})
}

// TestTwoAtOneRoom has two people pay for the same room at the same time: each pays
// once, and the meter gets both.
func TestTwoAtOneRoom(t *testing.T) {
	w := newWorld(t)
	room := []bill.Place{{Kind: bill.Area, ID: "1"}, {Kind: bill.Building, ID: "101"}, {Kind: bill.Floor, ID: "1011"},
		{Kind: bill.Room, ID: "101101"}}
	var both sync.WaitGroup
	for n := range 2 {
		both.Go(func() {
			b, err := w.client.Pay(t.Context(), session, bill.Order{
				OrderNo: fmt.Sprint("E", n), Biller: "electricity", Amount: 20 * yuan, Room: room,
			})
			if err != nil || b.State != bill.Paid {
				t.Errorf("%+v, %v", b, err)
			}
		})
	}
	both.Wait()
	w.want(moneys{160 * yuan, 0, 40 * yuan})
}
