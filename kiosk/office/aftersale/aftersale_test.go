package aftersale_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"quancun/beijing"
	"quancun/journal"
	"quancun/kiosk/channel"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/office/aftersale"
	"quancun/kiosk/tender"
	"quancun/money"
	"quancun/upstream/client"
)

type script = map[dialog.Word]dialog.Answer

// back answers what a refund asks: the newest sale, part of it, a reason.
func back(amount money.Fen) script {
	return script{
		"sale.which": {Choice: 1}, "refund.howmuch": {Choice: 1}, "refund.amount": {Amount: amount},
		"refund.why": {Choice: 2}, "refund.sure": {}, office.SecondPIN: {},
	}
}

// with returns a script with another answer.
func with(s script, name dialog.Word, a dialog.Answer) script {
	s[name] = a
	return s
}

// TestRefund gives parts of a sale back until nothing is left of it, and shows
// each time what was given back before.
func TestRefund(t *testing.T) {
	w := newWorld(t)
	sale := w.sell(journal.SaleIntent, "S1", 20*yuan)
	v := w.do(aftersale.Refund, back(5*yuan))
	if v.Outcome != dialog.Done || !v.Report.Print || v.Report.Ref == "" {
		t.Fatalf("refund ended as %+v", v)
	}
	if f := fact(v.Report.Facts, "fact.left"); f.Amount != 15*yuan {
		t.Errorf("left is %v", f)
	}
	item, err := w.book.Get(t.Context(), v.Report.Ref)
	w.ok(err)
	e := item.End
	if e.Kind != journal.Refund || e.Amount != 5*yuan || e.Operator != "c7" || e.Origin != sale.Position() {
		t.Errorf("the journal has %+v", e)
	}
	var note channel.Note
	if err := json.Unmarshal(e.Details, &note); err != nil || note.Reason != "goods" || note.Released != "" {
		t.Errorf("note %s, %v", e.Details, err)
	}
	if v := w.do(aftersale.Refund, with(back(0), "refund.howmuch", dialog.Answer{})); v.Outcome != dialog.Done {
		t.Fatalf("the rest ended as %+v, asked %s", v, w.names())
	}
	if f := fact(w.asked[1].Facts, "fact.given"); f.Amount != 5*yuan {
		t.Errorf("shown before the rest: %+v", w.asked[1].Facts)
	}
	v = w.do(aftersale.Refund, back(yuan))
	if v.Outcome != dialog.Refused || v.Why != "refund.nothing" || len(w.asked) != 1 {
		t.Errorf("a third one ended as %+v, asked %s", v, w.names())
	}
}

// TestRefundLeft leaves a refund at each of its questions: nothing is given back.
func TestRefundLeft(t *testing.T) {
	w := newWorld(t)
	w.sell(journal.CodeSale, "S1", 20*yuan)
	for _, at := range []dialog.Word{"sale.which", "refund.howmuch", "refund.amount", "refund.why", "refund.sure"} {
		s := back(yuan)
		delete(s, at)
		if v := w.do(aftersale.Refund, s); v.Page != office.Menu {
			t.Errorf("left at %s: %+v", at, v)
		}
	}
	s, err := w.config.Refunds.Look(t.Context(), "S1")
	if err != nil || s.Given != 0 {
		t.Errorf("given back %s, %v", s.Given, err)
	}
}

// TestRefundAboveLimit needs a second person, who is in the journal.
func TestRefundAboveLimit(t *testing.T) {
	w := newWorld(t)
	w.sell(journal.SaleIntent, "S1", 80*yuan)
	if v := w.do(aftersale.Refund, back(51*yuan)); v.Outcome != dialog.Refused || v.Why != office.NoSecond {
		t.Fatalf("where nobody signs in: %+v", v)
	}
	supervisor := w.staff()
	if v := w.do(aftersale.Refund, back(51*yuan)); v.Page != office.Menu {
		t.Fatalf("without a second person: %+v", v)
	}
	v := w.do(aftersale.Refund, back(51*yuan), supervisor)
	if v.Outcome != dialog.Done {
		t.Fatalf("released: %+v, asked %s", v, w.names())
	}
	item, err := w.book.Get(t.Context(), v.Report.Ref)
	w.ok(err)
	if want := `"released":"s1"`; !strings.Contains(string(item.End.Details), want) {
		t.Errorf("details %s lack %s", item.End.Details, want)
	}
	if v := w.do(aftersale.Refund, back(10*yuan)); v.Outcome != dialog.Done {
		t.Errorf("below the limit: %+v", v)
	}
}

// TestFind finds a sale by all that a customer may have in hand.
func TestFind(t *testing.T) {
	w := newWorld(t)
	sale := w.sell(journal.SaleIntent, "a1", 20*yuan)
	for range 8 {
		w.sell(journal.CodeSale, fmt.Sprint("later", time.Now().UnixNano()), yuan)
	}
	signed, err := w.book.Receipt(t.Context(), "a1", w.word)
	w.ok(err)
	forged := []byte(signed.Text())
	if c := &forged[len(forged)-20]; *c == 'A' { // it stays a letter of the code's alphabet
		*c = 'B'
	} else {
		*c = 'A'
	}
	for text, want := range map[string]dialog.Word{
		fmt.Sprint(sale.Seq): "", fmt.Sprintf("t01-%d", sale.Seq): "", signed.Text(): "", "小票 " + signed.Text(): "", "A1": "",
		"T02-1": "sale.elsewhere", "999999": "sale.none", "1": "sale.none", "nothing": "sale.none",
		journal.ReceiptPrefix + "ABC": "sale.nocode", string(forged): "sale.forged",
	} {
		s := with(back(1), "sale.which", dialog.Answer{Choice: 0})
		v := w.do(aftersale.Refund, with(s, "sale.number", dialog.Answer{Text: text}))
		if v.Why != want || want == "" && v.Outcome != dialog.Done {
			t.Errorf("%.20q ended as %d for %q, want %q", text, v.Outcome, v.Why, want)
		}
	}
	if s, err := w.config.Refunds.Look(t.Context(), "a1"); err != nil || s.Given != 5 {
		t.Errorf("given back %d fen, %v", s.Given, err)
	}
}

// TestFindAfterRestore finds sales by their numbers in a till that was restored:
// its numbers have begun anew, and a receipt does not say whether it is older.
func TestFindAfterRestore(t *testing.T) {
	w := newWorld(t)
	w.sell(journal.CodeSale, "a1", 9*yuan)
	old := w.sell(journal.CodeSale, "a2", 20*yuan)
	w.ok(w.book.NewEpoch(t.Context(), "restored", journal.Head{}))
	var other journal.Entry
	for n := 0; other.Seq < old.Seq+4; n++ {
		other = w.sell(journal.CodeSale, fmt.Sprint("b", n), yuan)
	}
	ask := func(seq int64, choice int) office.View {
		return w.do(aftersale.Query, map[dialog.Word]dialog.Answer{
			"query.which": {Choice: 0}, "sale.number": {Text: fmt.Sprint("T01-", seq)}, "sale.restored": {Choice: choice},
		})
	}
	if v := ask(old.Seq, 0); fact(v.Report.Facts, "fact.amount").Amount != 20*yuan {
		t.Errorf("the older sale %d: %+v", old.Seq, v)
	}
	if v := ask(other.Seq, 0); fact(v.Report.Facts, "fact.amount").Amount != yuan {
		t.Errorf("the sale %d: %+v", other.Seq, v)
	}
	// A receipt of that number may be older still, and then it is not in this journal.
	if v := ask(other.Seq, 1); v.Why != "sale.before" {
		t.Errorf("none of the sales %d: %+v", other.Seq, v)
	}
}

// TestVoid takes the last sale back, whole, while the customer is there.
func TestVoid(t *testing.T) {
	w := newWorld(t)
	sure := script{"void.why": {}, "void.sure": {}}
	if v := w.do(aftersale.Void, sure); v.Why != "void.none" {
		t.Errorf("without a sale: %+v", v)
	}
	w.sell(journal.CodeSale, "S1", 20*yuan)
	w.sell(journal.SaleIntent, "S2", 8*yuan)
	w.now = w.now.Add(time.Hour)
	if v := w.do(aftersale.Void, sure); v.Outcome != dialog.Refused || v.Why != "void.late" {
		t.Errorf("an hour later: %+v", v)
	}
	w.now = time.Now()
	v := w.do(aftersale.Void, sure)
	if v.Outcome != dialog.Done {
		t.Fatalf("void ended as %+v", v)
	}
	item, err := w.book.Get(t.Context(), v.Report.Ref)
	w.ok(err)
	if e := item.End; e.Amount != 8*yuan || !strings.Contains(string(e.Details), `"void":true`) {
		t.Errorf("the journal has %+v %s", e, e.Details)
	}
	if v := w.do(aftersale.Void, sure); v.Outcome != dialog.Refused || v.Why != "void.part" {
		t.Errorf("a second time: %+v", v)
	}
}

// TestVoidNotSettled: a sale of before that is settled after the last one was made is not
// the last one: its customer is long gone.
func TestVoidNotSettled(t *testing.T) {
	w := newWorld(t)
	w.append(journal.Entry{
		Kind: journal.SaleIntent, Ref: "S1", Merchant: "canteen", Operator: "c7", Amount: 20 * yuan,
		Card: "00002026000100019999", Purse: new(journal.Purse),
	})
	w.sell(journal.SaleIntent, "S2", 8*yuan)
	w.append(journal.Entry{Kind: journal.SaleEnd, Ref: "S1", Outcome: journal.Elsewhere})
	v := w.do(aftersale.Void, script{"void.why": {}, "void.sure": {}})
	if v.Outcome != dialog.Done {
		t.Fatalf("ended as %+v", v)
	}
	item, err := w.book.Get(t.Context(), v.Report.Ref)
	w.ok(err)
	if item.End.Amount != 8*yuan {
		t.Errorf("%s were given back to %s", item.End.Amount, item.End.Card)
	}
}

// TestVoidWallet: what a wallet pays was begun when its code was read; without that entry,
// as in a journal that was damaged, it is the sale itself that says when.
func TestVoidWallet(t *testing.T) {
	for _, known := range []bool{true, false} {
		w := newWorld(t)
		if known {
			w.append(journal.Entry{Kind: journal.PaymentIntent, Ref: "pay_S1", Merchant: "canteen", Amount: 20 * yuan})
		}
		w.sell(journal.SaleIntent, "S2", 8*yuan)
		w.sell(journal.ChannelSale, "S1", 20*yuan)
		v := w.do(aftersale.Void, script{"void.why": {}, "void.sure": {}})
		back := 20 * yuan // by whom it was begun last
		if known {
			back = 8 * yuan
		}
		if !slices.ContainsFunc(v.Report.Facts, func(f dialog.Fact) bool { return f.Amount == back }) {
			t.Errorf("begun in the journal: %t; void ended as %+v", known, v)
		}
	}
}

// TestWallet gives back by a wallet: made, refused, or being checked.
func TestWallet(t *testing.T) {
	for name, tt := range map[string]struct {
		state   client.RefundState
		err     error
		offline bool
		outcome dialog.Outcome
		why     dialog.Word
	}{
		"made":    {state: client.RefundDone, outcome: dialog.Done},
		"pending": {state: client.RefundChecking, outcome: dialog.Unknown, why: "refund.open"},
		"silent":  {err: errors.New("connection cut"), outcome: dialog.Unknown, why: "refund.open"},
		"no":      {state: client.RefundRefused, outcome: dialog.Refused, why: "refund.walletno"},
		"dark":    {offline: true, outcome: dialog.Refused, why: "refund.nowallet"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.sell(journal.ChannelSale, "S1", 20*yuan)
			w.wallet.state, w.wallet.err, w.online = tt.state, tt.err, !tt.offline
			v := w.do(aftersale.Refund, back(5*yuan))
			if v.Outcome != tt.outcome || v.Why != tt.why || (w.wallet.calls == 1) == tt.offline {
				t.Errorf("ended as %d for %q (fault %d) after %d calls", v.Outcome, v.Why, v.Fault, w.wallet.calls)
			}
			open, err := w.book.OpenItems(t.Context())
			w.ok(err)
			if (len(open) == 1) != (tt.outcome == dialog.Unknown) {
				t.Errorf("%d are open", len(open))
			}
		})
	}
}

// TestFindByIntent: a payment that was open when it was looked up has the number that the
// page said of it for good. It is given back by that number, and is not to be handed over
// once it was.
func TestFindByIntent(t *testing.T) {
	w := newWorld(t)
	intent := w.append(journal.Entry{Kind: journal.PaymentIntent, Ref: "pay_wallet", Merchant: "canteen", Amount: yuan})
	w.sell(journal.ChannelSale, "wallet", yuan)
	w.append(journal.Entry{Kind: journal.PaymentEnd, Ref: "pay_wallet", Outcome: journal.Paid})
	number := dialog.Answer{Text: fmt.Sprint(intent.Seq)}
	s := with(with(back(0), "sale.which", dialog.Answer{}), "refund.howmuch", dialog.Answer{})
	if v := w.do(aftersale.Refund, with(s, "sale.number", number)); v.Outcome != dialog.Done {
		t.Fatalf("refund ended as %d for %q", v.Outcome, v.Why)
	}
	v := w.do(aftersale.Query, script{"query.which": {}, "sale.number": number})
	if f := fact(v.Report.Facts, "fact.state"); f.Word != "state.allback" || v.Report.Next != "" {
		t.Errorf("given back: %q, and then %q", f.Word, v.Report.Next)
	}
}

// TestQuery says of each payment how it stands.
func TestQuery(t *testing.T) {
	w := newWorld(t)
	intent := journal.Entry{
		Kind: journal.SaleIntent, Card: "00002026000100012345", Purse: new(journal.Purse), Merchant: "canteen", Amount: yuan,
	}
	intent.Ref = "torn"
	w.append(intent)
	intent.Ref = "not"
	w.append(intent)
	w.append(journal.Entry{Kind: journal.SaleEnd, Ref: "not", Outcome: journal.NotWritten})
	w.append(journal.Entry{Kind: journal.PaymentIntent, Ref: "pay_wallet", Merchant: "canteen", Amount: yuan})
	w.sell(journal.SaleIntent, "paid", 20*yuan)
	ask := func(ref string) office.View {
		return w.do(aftersale.Query, script{"query.which": {Choice: 0}, "sale.number": {Text: ref}})
	}
	w.wallet.ask = tender.ErrUnknown
	for ref, want := range map[string]dialog.Word{
		"torn": "state.card", "not": "state.notpaid", "paid": "state.paid", "wallet": "state.open",
	} {
		v := ask(ref)
		if f := fact(v.Report.Facts, "fact.state"); f.Word != want || (v.Outcome == dialog.Unknown) != (ref == "wallet") {
			t.Errorf("%s is %q, outcome %d, %q; want %q", ref, f.Word, v.Outcome, v.Why, want)
		}
	}
	w.wallet.ask = channel.ErrLate
	if v := ask("wallet"); fact(v.Report.Facts, "fact.state").Word != "state.notpaid" || v.Report.Next != "next.again" {
		t.Errorf("not paid: %+v", v)
	}
	w.wallet.ask = nil
	w.sell(journal.ChannelSale, "wallet", yuan)
	if v := w.do(aftersale.Query, script{"query.which": {Choice: 3}}); fact(v.Report.Facts, "fact.state").Word != "state.paid" {
		t.Errorf("the open one, paid: %+v, asked %+v", v, w.asked)
	}
	if v := ask("nothing"); v.Why != "sale.none" {
		t.Errorf("nothing: %+v", v)
	}
}

// TestCopy prints receipts once more, and says what nobody knows.
func TestCopy(t *testing.T) {
	w := newWorld(t)
	w.sell(journal.CodeSale, "S1", yuan)
	s := script{"copy.which": {Choice: 1}}
	for n := int64(1); n <= 2; n++ {
		if v := w.do(aftersale.Copy, s); v.Outcome != dialog.Done || fact(v.Report.Facts, "fact.copy").Count != n {
			t.Errorf("copy %d: %+v", n, v)
		}
	}
	w.paper.err = dialog.Refuse(aftersale.PrinterUnsure, nil)
	v := w.do(aftersale.Copy, s)
	if v.Outcome != dialog.Done || fact(v.Report.Facts, "fact.printer").Word != aftersale.PrinterUnsure || w.paper.copies["S1"] != 3 {
		t.Errorf("unsure: %+v", v)
	}
	w.paper.err = dialog.Refuse(aftersale.PrinterOut, nil)
	if v := w.do(aftersale.Copy, s); v.Outcome != dialog.Refused || v.Why != aftersale.PrinterOut {
		t.Errorf("no paper: %+v", v)
	}
}

func TestPrinter(t *testing.T) {
	w := newWorld(t)
	w.paper.state = aftersale.PrinterLow
	if v := w.do(aftersale.Printer, nil); fact(v.Report.Facts, "fact.printer").Word != aftersale.PrinterLow || len(w.asked) > 0 {
		t.Errorf("nothing waits: %+v, asked %s", v, w.names())
	}
	w.paper.waiting = 3
	if v := w.do(aftersale.Printer, script{"printer.what": {Choice: 1}}); w.paper.waiting != 3 || v.Outcome != dialog.Done {
		t.Errorf("only looked at: %+v", v)
	}
	v := w.do(aftersale.Printer, script{"printer.what": {}})
	if fact(v.Report.Facts, "fact.printed").Count != 3 || w.paper.waiting != 0 {
		t.Errorf("printed: %+v", v)
	}
}

// TestListedAsBegun: a payment that was being checked, and is settled when another payer has
// paid the same, is listed and shown with the time at which its payer paid.
func TestListedAsBegun(t *testing.T) {
	w := newWorld(t)
	intent := journal.Entry{
		Kind: journal.PaymentIntent, Ref: channel.IntentPrefix + "W1", Merchant: "canteen", Operator: "c7", Amount: 8 * yuan,
	}
	begun := w.append(intent)
	time.Sleep(1100 * time.Millisecond) // a line has seconds
	w.sell(journal.ChannelSale, "W2", 8*yuan)
	w.sell(journal.ChannelSale, "W1", 8*yuan)
	w.append(journal.Entry{Kind: journal.PaymentEnd, Ref: intent.Ref, Outcome: journal.Paid})
	w.do(aftersale.Refund, script{"sale.which": {Choice: 1}})
	at := begun.At.In(beijing.Zone)
	if len(w.asked) != 2 || !strings.HasPrefix(w.asked[0].Options[1].Text, at.Format("15:04:05")) {
		t.Fatalf("asked %+v", w.asked)
	}
	if got := fact(w.asked[1].Facts, "fact.time").At; !got.Equal(begun.At) {
		t.Errorf("paid at %v, want %v", got, begun.At)
	}
}
