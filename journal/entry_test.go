package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"quancun/money"
)

// sound returns an entry of each kind that keeps every rule.
func sound(k Kind) Entry {
	e := Entry{Terminal: "T1", Seq: 1, At: noon, Kind: k, Ref: "R1"}
	if k >= TopUpIntent && k != ClockStep {
		e.Amount = 1234
	}
	if k.Intent() == LoadIntent || k.Intent() == SaleIntent || k == Sighting || k == Evidence || k >= Refund {
		e.Card = "00000000000000001001"
	}
	if e.needsMerchant() {
		e.Merchant = "m1"
	}
	if e.needsOrigin() {
		e.Origin = Position{"T2", Epoch{1}, 9}
	}
	if k.ofStaff() {
		e.Operator = "c7"
	}
	switch k {
	case TopUpEnd, PaymentEnd, ReturnEnd:
		e.Outcome = Paid
	case LoadEnd, SaleEnd, Evidence:
		e.Outcome = Written
	case RequestIntent, RequestEnd:
		e.Details = json.RawMessage(`{"service":"bill","what":{"biller":"network"}}`)
		if k == RequestEnd {
			e.Outcome, e.Details = Done, nil
		}
	case CentreIntent, CentreEnd:
		e.Amount, e.Merchant, e.Account = 0, "", "1001"
		e.Details = json.RawMessage(`{"act":3,"document":2,"evidence":"123X"}`)
		if k == CentreEnd {
			e.Outcome, e.Details = Done, nil
		}
	}
	return e
}

// TestPostings is the chart of what moves with each kind, as an auditor reads
// it. Credits are positive.
func TestPostings(t *testing.T) {
	chart := map[string]string{
		"sale doubt": "holder -12.34, suspense/T1 12.34",
		"sale end":   "holder -12.34, merchant/m1 12.34",
		"code sale":  "holder -12.34, merchant/m1 12.34", "channel sale": "channel/alipay -12.34, merchant/m1 12.34",
		"refund": "merchant/m1 -12.34, holder 12.34", "cash top-up": "till/T1 -12.34, holder 12.34",
		"pay-out": "holder -12.34, till/T1 12.34", "cash in": "till/T1 -12.34, safe 12.34",
		"cash out": "safe -12.34, till/T1 12.34", "fee": "holder -12.34, fee/replacement 12.34",
		"counted": "till/T1 -0.34, over-short/T1 0.34", "shift opened": "till/T1 -12.34, safe 12.34",
	}
	for _, k := range Kinds() {
		e := sound(k).Post(false, 1200)
		if got, want := said(e), chart[k.String()]; got != want {
			t.Errorf("%s: %s, want %s", k, got, want)
		}
		if err := e.Check(); err != nil {
			t.Errorf("%s: %v", k, err)
		}
	}
}

func said(e Entry) string {
	var lines []string
	for _, p := range e.Postings {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, ", ")
}

// TestEndOfSale: whichever way a sale comes out, with or without a doubt
// before it, everything of it adds up to all or nothing.
func TestEndOfSale(t *testing.T) {
	for _, tt := range []struct {
		outcome Outcome
		doubted bool
		want    string
	}{
		{Written, false, "holder -12.34, merchant/m1 12.34"},
		{NotWritten, false, ""},
		{Written, true, "suspense/T1 -12.34, merchant/m1 12.34"},
		{NotWritten, true, "suspense/T1 -12.34, holder 12.34"},
		{Elsewhere, true, "suspense/T1 -12.34, merchant/m1 12.34"},
		{ElsewhereNot, true, "suspense/T1 -12.34, holder 12.34"},
	} {
		e := sound(SaleEnd)
		e.Outcome = tt.outcome
		e = e.Post(tt.doubted, 0)
		if got := said(e); got != tt.want || e.Check() != nil || e.Doubted() != tt.doubted {
			t.Errorf("%s, doubted %t: %s, %v, Doubted %t; want %s", tt.outcome, tt.doubted, got, e.Check(), e.Doubted(), tt.want)
		}
	}
}

func TestCounted(t *testing.T) {
	for expected, want := range map[money.Fen]string{
		1234: "", 1233: "till/T1 -0.01, over-short/T1 0.01", 1235: "over-short/T1 -0.01, till/T1 0.01",
	} {
		e := sound(Counted).Post(false, expected)
		if got := said(e); got != want || e.Check() != nil {
			t.Errorf("expected %s: %s, %v; want %s", expected, got, e.Check(), want)
		}
	}
}

// TestCheckRefuses is what a hostile terminal might say.
func TestCheckRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*Entry){
		"UnknownKind":       func(e *Entry) { e.Kind = 39 },
		"NoRef":             func(e *Entry) { e.Ref = "" },
		"LongRef":           func(e *Entry) { e.Ref = strings.Repeat("x", 65) },
		"RefWithSpace":      func(e *Entry) { e.Ref = "a b" },
		"NoCard":            func(e *Entry) { e.Card = "" },
		"NoMerchant":        func(e *Entry) { e.Merchant = "" },
		"LongTerminal":      func(e *Entry) { e.Terminal = strings.Repeat("T", 49) },
		"NoAmount":          func(e *Entry) { e.Amount = 0 },
		"NegativeAmount":    func(e *Entry) { e.Amount = -1 },
		"HugeAmount":        func(e *Entry) { e.Amount = AmountMax + 1 },
		"OutcomeOfOrder":    func(e *Entry) { e.Outcome = Paid },
		"NoOutcome":         func(e *Entry) { e.Outcome = 0 },
		"OriginWithoutSeq":  func(e *Entry) { e.Origin = Position{Terminal: "T2"} },
		"DetailsNotJSON":    func(e *Entry) { e.Details = json.RawMessage(`{`) },
		"NoPostings":        func(e *Entry) { e.Postings = nil },
		"Unbalanced":        func(e *Entry) { e.Postings[1].Amount++ },
		"ZeroPosting":       func(e *Entry) { e.Postings = append(e.Postings, Posting{"holder", 0}) },
		"SomebodyElses":     func(e *Entry) { e.Postings[1].Account = "merchant/m2" },
		"OtherTerminal":     func(e *Entry) { e.Postings[0].Account = "suspense/T2" },
		"Twice":             func(e *Entry) { e.Postings = append(e.Postings, e.Postings...) },
		"TheOtherWayRound":  func(e *Entry) { e.Postings[0], e.Postings[1] = e.Postings[1], e.Postings[0] },
		"OverflowingAmount": func(e *Entry) { e.Postings[0].Amount = -1 << 63 },
	} {
		e := sound(SaleEnd).Post(false, 0)
		spoil(&e)
		if err := e.Check(); !errors.Is(err, ErrRule) {
			t.Errorf("%s: %v, want ErrRule", name, err)
		}
	}
	move := sound(LoadEnd)
	move.Postings = []Posting{{Holder, 5}, {"merchant/m1", -5}}
	if err := move.Check(); !errors.Is(err, ErrRule) {
		t.Errorf("a load that moves money: %v, want ErrRule", err)
	}
}

func TestSays(t *testing.T) {
	a, b := full(), full()
	b.Seq, b.At, b.Postings = 9, noon.Add(1), nil
	b.Purse = new(Purse)
	*b.Purse = *a.Purse
	if !a.Says(b) {
		t.Error("an entry written again does not say the same")
	}
	b.Purse.Counter++
	if a.Says(b) {
		t.Error("another counter says the same")
	}
}

func TestNames(t *testing.T) {
	if got := fmt.Sprint(SaleDoubt, Kind(999), Elsewhere, Outcome(99)); got != "sale doubt kind 999 elsewhere outcome 99" {
		t.Errorf("names are %q", got)
	}
	if e, err := ParseEpoch("0102030405060708"); err != nil || e != (Epoch{1, 2, 3, 4, 5, 6, 7, 8}) {
		t.Errorf("ParseEpoch = %s, %v", e, err)
	}
	for _, s := range []string{"", "01", "010203040506070G", "01020304050607AA", "010203040506070809"} {
		if e, err := ParseEpoch(s); err == nil {
			t.Errorf("ParseEpoch(%q) = %s, want an error", s, e)
		}
	}
}

// TestCentre is what an entry of the card centre may not say.
func TestCentre(t *testing.T) {
	for name, spoil := range map[string]func(*Entry){
		"NoClerk":     func(e *Entry) { e.Operator = "" },
		"NoAccount":   func(e *Entry) { e.Account = "" },
		"Money":       func(e *Entry) { e.Amount = 1 },
		"Seller":      func(e *Entry) { e.Merchant = "m1" },
		"NoDetails":   func(e *Entry) { e.Details = nil },
		"NoAct":       func(e *Entry) { e.Details = json.RawMessage(`{"document":1}`) },
		"NoDocument":  func(e *Entry) { e.Details = json.RawMessage(`{"act":1}`) },
		"WholeNumber": func(e *Entry) { e.Details = json.RawMessage(`{"act":1,"document":1,"evidence":"12345"}`) },
		"Outcome":     func(e *Entry) { e.Outcome = Done },
	} {
		e := sound(CentreIntent)
		spoil(&e)
		if err := e.Check(); !errors.Is(err, ErrRule) {
			t.Errorf("%s: %v, want %v", name, err, ErrRule)
		}
	}
	for _, o := range []Outcome{0, Paid, Written, 23} {
		e := sound(CentreEnd)
		e.Outcome = o
		if err := e.Check(); !errors.Is(err, ErrRule) {
			t.Errorf("end with %s: %v, want %v", o, err, ErrRule)
		}
	}
	a, err := sound(CentreIntent).Centre()
	if want := (CentreAct{Act: 3, Document: 2, Evidence: "123X"}); err != nil || a != want {
		t.Errorf("Centre = %+v, %v, want %+v", a, err, want)
	}
}

// TestRequest is what a holder's request may not say, and what it may leave out.
func TestRequest(t *testing.T) {
	for name, spoil := range map[string]func(*Entry){
		"Nobody":       func(e *Entry) { e.Account, e.Card = "", "" },
		"Seller":       func(e *Entry) { e.Merchant = "m1" },
		"Undoes":       func(e *Entry) { e.Origin = Position{"T2", Epoch{1}, 9} },
		"Negative":     func(e *Entry) { e.Amount = -1 },
		"Outcome":      func(e *Entry) { e.Outcome = Done },
		"NoDetails":    func(e *Entry) { e.Details = nil },
		"NoService":    func(e *Entry) { e.Details = json.RawMessage(`{"what":{}}`) },
		"ServiceSpace": func(e *Entry) { e.Details = json.RawMessage(`{"service":"a b"}`) },
		"ServiceLong":  func(e *Entry) { e.Details = json.RawMessage(`{"service":"seventeen-letters"}`) },
		"Moves":        func(e *Entry) { e.Postings = []Posting{{Holder, -5}, {"merchant/m1", 5}} },
	} {
		e := sound(RequestIntent)
		spoil(&e)
		if err := e.Check(); !errors.Is(err, ErrRule) {
			t.Errorf("%s: %v, want %v", name, err, ErrRule)
		}
	}
	for _, o := range []Outcome{0, Paid, Written, 23} {
		e := sound(RequestEnd)
		e.Outcome = o
		if err := e.Check(); !errors.Is(err, ErrRule) {
			t.Errorf("end with %s: %v, want %v", o, err, ErrRule)
		}
	}
	found := sound(RequestIntent)
	found.Amount, found.Account, found.Details = 0, "", json.RawMessage(`{"service":"found"}`)
	if err := found.Check(); err != nil {
		t.Errorf("a found card, whose owner nobody knows: %v", err)
	}
	loss := found
	loss.Card, loss.Details = "", json.RawMessage(`{"service":"lost"}`)
	if err := loss.Check(); err != nil {
		t.Errorf("a loss, whose owner only upstream knows: %v", err)
	}
	r, err := sound(RequestIntent).Request()
	if err != nil || r.Service != "bill" || string(r.What) != `{"biller":"network"}` {
		t.Errorf("Request = %+v, %v", r, err)
	}
}
