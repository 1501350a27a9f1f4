package server_test

import (
	"testing"
	"time"

	"quancun/journal"
	"quancun/upstream/client"
	"quancun/upstream/place"
	v1 "quancun/upstream/wire/quancun/v1"
)

// TestWhole is one customer from the first call to a level purse.
func TestWhole(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	hello, err := w.client.Hello(ctx, client.Hello{Version: "test", Journal: journal.Head{Seq: 5}})
	if err != nil || hello.TerminalNo != w.card.terminal || hello.Policy.BalanceCap != 1000*yuan ||
		hello.SchoolZH != "示范大学" || hello.Drift.Abs() > time.Second {
		t.Fatalf("Hello = %+v, %v", hello, err)
	}
	if hello.Place != (client.Place{}) {
		t.Errorf("it stands at %+v, and nobody has said so", hello.Place)
	}
	stands := place.Place{ZH: "图书馆一层", EN: "Library, ground floor"}
	if err := place.Set(ctx, w.books, "K01", stands); err != nil {
		t.Fatal(err)
	}
	if hello, err = w.client.Ping(ctx); err != nil || hello.Place != client.Place(stands) {
		t.Errorf("it stands at %+v, %v", hello.Place, err)
	}
	s, a, err := w.signIn(rightPIN)
	if err != nil || a.Balance != opening || a.Purse != mirrorFrom || a.ToLoad != opening-mirrorFrom ||
		a.No != account || a.MaskedName != "张*三" || a.MaskedNumber != "2026****01" {
		t.Fatalf("SignIn = %+v, %v", a, err)
	}
	o, err := w.client.CreateTopUp(ctx, s, "T1", 50*yuan)
	if err != nil || o.State != client.TopUpWaiting || o.QR == "" || o.Amount != 50*yuan {
		t.Fatalf("CreateTopUp = %+v, %v", o, err)
	}
	w.ch.pay("T1")
	if o = w.await("T1", client.TopUpPaid); o.Balance != opening+50*yuan || o.Late || o.PaidAt.IsZero() || o.QR != "" {
		t.Errorf("paid: %+v", o)
	}
	plan, err := w.client.PlanLoad(ctx, s, mirrorFrom)
	if err != nil || plan.Amount != opening+50*yuan-mirrorFrom {
		t.Fatalf("PlanLoad = %+v, %v", plan, err)
	}
	_, mac, err := w.authorize(id(1), plan.Amount)
	if err != nil {
		t.Fatal(err)
	}
	tac, ok := w.card.credit(mac.At, mac.MAC2)
	if !ok {
		t.Fatal("the card refused our MAC2")
	}
	for range 2 { // the second time because the answer was lost
		st, err := w.client.ReportLoad(ctx, client.LoadReport{
			LoadID: id(1), Outcome: client.LoadWritten, TAC: tac, Evidence: "response",
		})
		if err != nil || st.Outcome != client.LoadWritten || st.Purse != w.card.purse {
			t.Errorf("ReportLoad = %+v, %v; want purse %s", st, err, w.card.purse)
		}
	}
	a, err = w.client.Account(ctx, s)
	if err != nil || a.ToLoad != 0 || a.Purse != a.Balance || len(a.Open) != 0 {
		t.Errorf("Account = %+v, %v; want it level", a, err)
	}
	h, err := w.history(s, 2)
	if err != nil || h.Pages != 2 || len(h.Movements) != 2 ||
		h.Movements[0].Kind != v1.MovementKind_MOVEMENT_KIND_LOAD || h.Movements[0].AmountFen != int64(plan.Amount) ||
		h.Movements[1].Kind != v1.MovementKind_MOVEMENT_KIND_TOP_UP || h.Movements[1].Ref != "T1" ||
		h.Movements[1].BalanceFen != int64(opening+50*yuan) {
		t.Errorf("ListHistory = %+v, %v", h, err)
	}
	w.check(opening + 50*yuan)
	if got := w.alarms(); got != nil {
		t.Errorf("alarms %q, want none", got)
	}
}
