package own_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk/dialog"
	"quancun/kiosk/service"
	"quancun/kiosk/service/own"
	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/biller"
	"quancun/upstream/biller/vendor"
	"quancun/upstream/centre"
	"quancun/upstream/client"
	"quancun/upstream/place"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
	"quancun/upstream/wire"
)

// TestMoney tells of each piece of open money where it is, until when it is decided
// and what to do, and sends to people who was promised a time that is over.
func TestMoney(t *testing.T) {
	w := newWorld(t)
	w.exec(`UPDATE cards SET mirror_fen = 2000`) // level
	r, asked, err := w.visit(own.Money)
	if err != nil || len(asked) > 0 || fact(r, "own.fact.available").Amount != 20*yuan || r.Next != "own.nothing" {
		t.Errorf("nothing on its way: %+v, asked %+v, %v", r, asked, err)
	}
	if fact(r, "own.fact.kept").Amount != 5*yuan || fact(r, "own.fact.spendable").Amount != 15*yuan {
		t.Errorf("kept for the card: %+v", r)
	}
	w.exec(`INSERT INTO bills (order_no, terminal, account, biller, target, title, amount_fen, created_ms, deadline_ms)
		VALUES ('F1', 'kiosk1', ?, 'network', 'x', '网费', 1000, ?, ?)`, account, w.clock.UnixMilli(),
		w.clock.Add(2*time.Minute).UnixMilli())
	r, asked, err = w.visit(own.Money, 0)
	if err != nil || len(asked) != 1 || asked[0].Options[0].Word != "own.bill.held" || asked[0].Options[0].Text != "¥10.00" {
		t.Fatalf("a bill that is not sent: asked %+v, %v", asked, err)
	}
	if fact(r, "own.fact.amount").Amount != 10*yuan || fact(r, "own.fact.ref").Text != "F1" ||
		fact(r, "own.fact.held").Word != "own.held.here" || r.Next != "own.do.wait" ||
		fact(r, "own.fact.due").At.UnixMilli() != w.clock.Add(2*time.Minute).UnixMilli() {
		t.Errorf("a bill that is not sent: %+v", r)
	}
	w.clock = w.clock.Add(3 * time.Minute)
	if r, _, err = w.visit(own.Money, 0); err != nil || fact(r, "own.fact.due").Word != "own.due.over" ||
		r.Next != "own.do.centre" {
		t.Errorf("after its time: %+v, %v", r, err)
	}
	w.exec(`UPDATE bills SET state = 2, sent_ms = ?`, w.clock.UnixMilli())
	w.exec(`UPDATE bills SET state = 6`)
	if r, _, err = w.visit(own.Money, 0); err != nil || fact(r, "own.fact.due").Word != "own.due.people" ||
		r.Next != "own.do.people" {
		t.Errorf("that people look into: %+v, %v", r, err)
	}
}

// TestPlaces: what a terminal is called by people comes before its ID, in both
// languages, wherever a page names one; and a machine that a card alone knows of is
// looked up.
func TestPlaces(t *testing.T) {
	w := newWorld(t)
	w.exec(`UPDATE cards SET mirror_fen = 2000`)
	ctx, gate := t.Context(), place.Place{ZH: "龙山一食堂三号窗口", EN: "Longshan canteen 1, counter 3"}
	no, err := w.books.AddTerminal(ctx, store.Terminal{ID: "till7"})
	w.ok(err)
	w.chip = func(h *service.Holder) {
		h.Purse = 750
		h.Bought = []service.Purchase{{TerminalNo: no, Stamp: pboc.Stamp{0x20, 0x26}, Amount: 1250}}
	}
	for _, c := range []struct {
		name dialog.Word
		text string
		en   string
	}{
		{"own.fact.terminal", no.String(), ""},
		{"own.fact.place", gate.ZH + " (till7)", gate.EN + " (till7)"},
	} {
		r, _, err := w.visit(own.Money, 0)
		if f := fact(r, c.name); err != nil || f.Text != c.text || f.TextEN != c.en {
			t.Errorf("a purchase that only the card knows of: %+v, %v\nwant %+v", r, err, c)
		}
		w.ok(place.Set(ctx, w.books, "till7", gate))
	}
	w.ok(place.Set(ctx, w.books, "kiosk1", gate))
	_, err = w.books.CreateOrder(ctx, store.Order{
		No: "T1", Terminal: "kiosk1", CardNo: cardNo, Account: account, Created: w.clock, Amount: 10 * yuan,
		Expires: w.clock.Add(time.Minute),
	}, 1000*yuan)
	w.ok(err)
	w.chip = nil
	r, _, err := w.visit(own.Money, 0)
	if f := fact(r, "own.fact.place"); err != nil || f.Text != gate.ZH+" (kiosk1)" || f.TextEN != gate.EN+" (kiosk1)" {
		t.Errorf("a top-up that can be paid: %+v, %v", r, err)
	}
	w.buy(3 * yuan)
	r, _, err = w.visit(own.Records, 0, 3, 0)
	if f := fact(r, "own.fact.place"); err != nil || f.Text != "canteen1" || f.TextEN != "" {
		t.Errorf("a purchase that no terminal has told of: %+v, %v", r, err)
	}
}

// TestInDark tells what a card has paid at terminals that have not told yet: what its
// log says of it, and at most what its purse lacks.
func TestInDark(t *testing.T) {
	w := newWorld(t)
	w.exec(`UPDATE cards SET mirror_fen = 2000`)
	lunch := service.Purchase{
		TerminalNo: pboc.TerminalNo{0, 0, 0, 2, 4, 0x16}, Stamp: pboc.Stamp{0x20, 0x26, 0x11, 0x26, 0x12, 0x01, 0x02},
		At: w.clock.Add(-time.Hour), Amount: 1250,
	}
	before := service.Purchase{Stamp: pboc.Stamp{0x20, 0x26, 0x11, 0x01}, Amount: 900} // the books were kept
	purse := 750 * money.Fen(1)
	w.chip = func(h *service.Holder) { h.Purse, h.Bought = purse, []service.Purchase{lunch, before} }
	r, asked, err := w.visit(own.Money, 0)
	if err != nil || len(asked) != 1 || len(asked[0].Options) != 1 || asked[0].Options[0].Word != "own.dark" ||
		asked[0].Options[0].Text != "¥12.50" {
		t.Fatalf("asked %+v, %v", asked, err)
	}
	if fact(r, "own.fact.amount").Amount != 1250 || fact(r, "own.fact.terminal").Text != "000000020416" ||
		!fact(r, "own.fact.since").At.Equal(lunch.At) || fact(r, "own.fact.held").Word != "own.held.paid" ||
		fact(r, "own.fact.due").Word != "own.due.till" {
		t.Errorf("a purchase that nobody has told of: %+v", r)
	}
	purse = 250 // and five yuan, of which the log says nothing any more
	r, asked, err = w.visit(own.Money, 1)
	if err != nil || len(asked[0].Options) != 2 || asked[0].Options[1].Word != "own.dark.before" ||
		fact(r, "own.fact.amount").Amount != 5*yuan {
		t.Errorf("longer ago: asked %+v, told %+v, %v", asked, r, err)
	}
	w.doubt(lunch)
	if _, asked, err = w.visit(own.Money, 0); err != nil || len(asked[0].Options) != 2 ||
		asked[0].Options[0].Word != "own.purchase.doubt" || asked[0].Options[1].Text != "¥5.00" {
		t.Errorf("of which the upstream knows: asked %+v, %v", asked, err)
	}
}

// doubt has the books know of a purchase of the card that is in doubt.
func (w *world) doubt(p service.Purchase) {
	w.t.Helper()
	now := w.clock.UnixMilli()
	body := journal.Entry{
		Terminal: "kiosk1", Seq: 1, At: w.clock, Kind: journal.SaleIntent, Ref: "S1", Card: cardNo, Merchant: "canteen1",
		Amount: p.Amount, Purse: &journal.Purse{TerminalNo: p.TerminalNo, Stamp: p.Stamp},
	}.Encode(journal.Hash{})
	w.exec(`INSERT INTO journals (terminal, epoch, opened_ms, head_hash) VALUES ('kiosk1', ?, ?, ?)`,
		make([]byte, 8), now, make([]byte, 32))
	w.exec(`INSERT INTO journal_entries (journal, seq, hash, body, received_ms) SELECT id, 1, ?, ?, ? FROM journals`,
		make([]byte, 32), body, now)
	w.exec(`INSERT INTO claims (journal, seq, terminal, kind, ref, card_no, account, merchant, amount_fen, balance,
			counter, key_version, algorithm, terminal_no, trace_no, stamp, opened_ms)
		SELECT id, 1, 'kiosk1', 40, 'S1', ?, ?, 'canteen1', ?, 0, 0, 0, 0, ?, 0, ?, ? FROM journals`,
		cardNo, account, p.Amount, p.TerminalNo[:], p.Stamp[:], now)
}

// TestNotSent shows what this terminal has written down and not told yet, and nothing
// of anybody else.
func TestNotSent(t *testing.T) {
	w := newWorld(t)
	w.exec(`UPDATE cards SET mirror_fen = 2000`) // level
	w.desk.Unsent = func(context.Context) ([]journal.Entry, error) {
		sale := journal.Entry{Kind: journal.CodeSale, Ref: "C1", Account: account.No(), Merchant: "shop", Amount: 320, At: w.clock}
		other := sale
		other.Account = "2026000102"
		return []journal.Entry{
			{Kind: journal.SaleIntent, Ref: "S1", Card: cardNo, Amount: 500}, sale.Post(false, 0), other.Post(false, 0),
		}, nil
	}
	r, asked, err := w.visit(own.Money, 0)
	if err != nil || len(asked) != 1 || len(asked[0].Options) != 1 || r.Title != "own.not.sent" ||
		fact(r, "own.fact.amount").Amount != 320 || fact(r, "own.fact.ref").Text != "C1" {
		t.Errorf("asked %+v, told %+v, %v", asked, r, err)
	}
}

// buy books a purchase of the holder.
func (w *world) buy(f money.Fen) {
	w.t.Helper()
	ctx := w.t.Context()
	e := store.Entry{
		Kind: store.KindPurchase, Place: "canteen1", Debit: account, Credit: "merchant/canteen1", Amount: f, Made: w.clock,
	}
	w.ok(w.books.Write(ctx, func(tx *sqldb.Tx) error {
		at, err := w.books.LockAccounts(ctx, tx, []store.Account{e.Debit, e.Credit})
		if err == nil {
			_, err = w.books.PostAll(ctx, tx, at, []store.Entry{e})
		}
		return err
	}))
}

// TestRecords looks through more records than a page has, and takes a receipt along
// that proves itself.
func TestRecords(t *testing.T) {
	w := newWorld(t)
	for i := range 8 {
		w.buy(yuan + money.Fen(i))
	}
	// Purchases, today; then the older page, and its last one.
	r, asked, err := w.visit(own.Records, 1, 0, 6, 1)
	if err != nil || len(asked) != 4 || len(asked[2].Options) != 7 || len(asked[3].Options) != 3 {
		t.Fatalf("asked %+v, %v", asked, err)
	}
	if last := asked[3].Options[1]; last.Word != "own.kind.purchase" || last.Text != "-¥1.00" ||
		last.When.Kind != dialog.IsMoment || last.When.At.IsZero() {
		t.Errorf("the oldest is %+v", last)
	}
	c, err := journal.OpenCopy(r.QR, w.keys.Campus().Public().(ed25519.PublicKey))
	if err != nil || c.Amount != -yuan || fact(r, "own.fact.place").Text != "canteen1" {
		t.Errorf("receipt %+v, copy %+v, %v", r, c, err)
	}
	if r, _, err := w.visit(own.Records, 3, 3); err != nil || r.Title != "own.no.record" || r.QR != "" {
		t.Errorf("bills: %+v, %v", r, err)
	}
	if _, _, err := w.visit(own.Records, 0); !errors.Is(err, dialog.ErrLeft) {
		t.Errorf("left: %v", err)
	}
}

// TestProof: what was just paid under a reference has a copy of its receipt at once, and
// only for its holder.
func TestProof(t *testing.T) {
	w := newWorld(t)
	desk := biller.New(biller.Config{
		Books: w.books, Billers: map[string]vendor.Biller{"network": booked{}}, Now: func() time.Time { return w.clock },
	})
	for _, no := range []string{"N1", "N2"} {
		_, err := desk.Order(t.Context(), biller.Bill{
			No: no, Terminal: "kiosk1", Account: account, Biller: "network", Target: "x", Title: "网费", Amount: 5 * yuan,
		})
		w.ok(err)
	}
	proof := w.desk.Proof(client.MovementBill)
	s, _ := w.session()
	c, err := journal.OpenCopy(proof(t.Context(), s, "N1"), w.keys.Campus().Public().(ed25519.PublicKey))
	if err != nil || c.Amount != -5*yuan || c.Ref != "N1" {
		t.Errorf("copy %+v, %v", c, err)
	}
	if p := proof(t.Context(), s, "N3"); p != "" {
		t.Errorf("of what was not paid: %q", p)
	}
	if p := proof(t.Context(), client.Session("x"), "N1"); p != "" {
		t.Errorf("for nobody: %q", p)
	}
}

// booked is a biller that books everything.
type booked struct{}

func (booked) Pay(_ context.Context, c vendor.Charge) (vendor.Receipt, error) {
	return vendor.Receipt{RecordNo: "R" + c.OrderNo}, nil
}

// TestAbout shows limits and a code for a phone.
func TestAbout(t *testing.T) {
	w := newWorld(t)
	w.buy(700)
	r, _, err := w.visit(own.About, 0)
	if err != nil || fact(r, "own.fact.daily").Amount != 50*yuan || fact(r, "own.fact.left").Amount != 43*yuan ||
		fact(r, "own.fact.own").Word != "own.of.school" {
		t.Errorf("limits %+v, %v", r, err)
	}
	r, asked, err := w.visit(own.About, 1, 0)
	if err != nil || len(asked) != 2 || asked[1].Kind != dialog.AskConfirm {
		t.Fatalf("phone: asked %+v, %v", asked, err)
	}
	if ticket, err := wire.ParseTicket(r.QR); err != nil || ticket.Terminal != account.No() {
		t.Errorf("code %q, %v", r.QR, err)
	}
}

// TestCheck leads who has a new card to compare it, once.
func TestCheck(t *testing.T) {
	w := newWorld(t)
	first := func() dialog.Word {
		s, _ := w.session()
		return w.desk.First(t.Context(), s)
	}
	if name := first(); name != "" {
		t.Errorf("a card that was in use: %q", name)
	}
	w.exec(`INSERT INTO centre_acts (ref, place, clerk, kind, account, card_no, document, before, after, at_ms)
		VALUES ('C1', 'console', '60203', ?, ?, ?, 1, '', '', ?)`, int64(centre.Issued), account, cardNo,
		w.clock.UnixMilli())
	if name := first(); name != own.Check {
		t.Fatalf("a new card: %q", name)
	}
	r, asked, err := w.visit(own.Check, 0)
	if err != nil || len(asked) != 1 || asked[0].Facts[0].Text != "张三" || r.Next != "own.change.pin" {
		t.Errorf("asked %+v, told %+v, %v", asked, r, err)
	}
	if name := first(); name != "" {
		t.Errorf("after it was compared: %q", name)
	}
	if r, _, err = w.visit(own.Check, 1); err != nil || r.Next != "own.to.centre" {
		t.Errorf("what differs: %+v, %v", r, err)
	}
	inbox, err := w.books.Exceptions(t.Context())
	if err != nil || len(inbox) != 1 {
		t.Errorf("inbox %+v, %v", inbox, err)
	}
}

// TestHelp shows every topic, and asks nobody.
func TestHelp(t *testing.T) {
	w := newWorld(t)
	w.desk.Upstream = nil
	_, asked, err := w.visit(own.Help)
	if !errors.Is(err, dialog.ErrLeft) || len(asked) != 1 {
		t.Fatalf("asked %+v, %v", asked, err)
	}
	for i, o := range asked[0].Options {
		if r, _, err := w.visit(own.Help, i); err != nil || r.Title != o.Word || len(r.Facts) < 3 {
			t.Errorf("%s: %+v, %v", o.Word, r, err)
		}
	}
}
