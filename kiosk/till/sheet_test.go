package till

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"quancun/kiosk"
	"quancun/kiosk/keysheet"
	"quancun/kiosk/staff"
	"quancun/kiosk/tender"
	"quancun/ledger"
	"quancun/money"
)

const (
	cola   = "6901028075831"
	bread  = "B-BREAD-1"
	nobody = "4006381333931" // right, and of no product here
)

// shop sells two products by their codes, and has a sheet of keys.
type shop struct {
	*window
	*paying
	sheet keysheet.Sheet
}

func openShop(t *testing.T, c *crew, meals ...Meal) *shop {
	t.Helper()
	s := &shop{paying: &paying{}, sheet: keysheet.Sheet{File: filepath.Join(t.TempDir(), "codes"), Terminal: "T1"}}
	if err := s.sheet.Renew(); err != nil {
		t.Fatal(err)
	}
	plan := Plan{Merchant: "m", Operator: Operator{No: "7"}, Meals: meals, Products: []Product{
		{Name: "cola", Price: 3 * money.Yuan, Barcode: cola}, {Name: "bread", Price: 5 * money.Yuan, Barcode: bread},
		{Name: "noodles", Price: 12 * money.Yuan},
	}}
	if err := plan.Check(); err != nil {
		t.Fatal(err)
	}
	s.window = newWindowOf(t, c, plan, func(session *Session) {
		session.Sheet = s.sheet
		session.Desk.Ways = []Way{{Kind: ByCode, Seller: s.paying,
			Takes: func(code string) bool { return strings.HasPrefix(code, "phone") }}}
	})
	return s
}

// press scans a key of the sheet, some time after the last one.
func (s *shop) press(k keysheet.Key) View {
	s.t.Helper()
	time.Sleep(strokeMax)
	text, err := s.sheet.Code(k)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.scan(text)
}

// TestScanProducts: products are priced by their codes, one after the other; what a
// phone pays is the sum, and its items are written down.
func TestScanProducts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openShop(t, nil)
		if v := s.scan(cola); v.Step != Present || v.Amount != 3*money.Yuan {
			t.Fatalf("cola: step %d, %s", v.Step, v.Amount)
		}
		s.scan(bread)
		if v := s.scan(cola); v.Step != Present || v.Amount != 11*money.Yuan {
			t.Fatalf("cola, bread, cola: step %d, %s", v.Step, v.Amount)
		}
		if v := s.scan("phone 1"); v.Step != Sold || v.Amount != 11*money.Yuan {
			t.Fatalf("paid: step %d, %s", v.Step, v.Amount)
		}
		want := []tender.Item{{Name: "bread", Count: 1, Price: 5 * money.Yuan}, {Name: "cola", Count: 2, Price: 6 * money.Yuan}}
		if got := s.sales[0]; got.Amount != 11*money.Yuan || !slices.Equal(got.Items, want) {
			t.Errorf("sold %+v", got)
		}
		if v := s.scan(bread); v.Step != Present || v.Amount != 5*money.Yuan {
			t.Errorf("on the page of a sale another one begins: step %d, %s", v.Step, v.Amount)
		}
	})
}

// TestScanWrongKind: a product that nobody knows prices and charges nothing, wherever
// it is scanned, and a payer's code is no product.
func TestScanWrongKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openShop(t, nil)
		misread := cola[:12] + "2"
		for _, code := range []string{nobody, misread, "036000291452"} {
			if v := s.scan(code); v.Step != Ready || v.Notice != NoProduct || v.Amount != 0 || v.Taps == 0 {
				t.Errorf("%s at Ready: step %d, notice %d, %s", code, v.Step, v.Notice, v.Amount)
			}
		}
		s.scan(cola)
		for _, code := range []string{nobody, misread} {
			if v := s.scan(code); v.Step != Present || v.Notice != NoProduct || v.Amount != 3*money.Yuan {
				t.Errorf("%s for a price: step %d, notice %d, %s", code, v.Step, v.Notice, v.Amount)
			}
		}
		if v := s.scan("281234567890123456"); v.Step != Declined || v.Fault != kiosk.Explain(tender.ErrForeign) {
			t.Errorf("a wallet that this till does not take: step %d, fault %d", v.Step, v.Fault)
		}
		if v := s.scan(nobody); v.Step != Declined || v.Notice != NoProduct {
			t.Errorf("at Declined: step %d, notice %d", v.Step, v.Notice)
		}
		if len(s.sales) != 0 {
			t.Errorf("sold %+v", s.sales)
		}
	})
}

// TestScanTooMuch: more than a sale may be is not added, and the page says so.
func TestScanTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openShop(t, nil)
		s.do(Input{Event: Priced, Amount: saleMax - 2*money.Yuan})
		if v := s.scan(cola); v.Step != Present || v.Amount != saleMax-2*money.Yuan || v.Notice != TooMuch {
			t.Errorf("step %d, %s, notice %d", v.Step, v.Amount, v.Notice)
		}
	})
}

// TestScanAtMeal: a product is added to what everybody pays, for one customer: when
// that one has gone away, everybody pays the meal's price again.
func TestScanAtMeal(t *testing.T) {
	for name, gone := range map[string]func(s *shop) View{
		"left":  func(s *shop) View { return s.press(keysheet.No) },
		"later": func(s *shop) View { time.Sleep(Present.Rule().Timeout); return s.look() },
		"paid":  func(s *shop) View { s.scan("phone 1"); return s.press(keysheet.Next) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := openShop(t, nil, Meal{Name: "lunch", From: 0, To: 24 * 60, Price: 12 * money.Yuan})
				if v := s.scan(cola); v.Step != Present || v.Amount != 15*money.Yuan {
					t.Fatalf("lunch and cola: step %d, %s", v.Step, v.Amount)
				}
				if v := gone(s); v.Step != Present || v.Amount != 12*money.Yuan || len(v.Items) != 1 {
					t.Errorf("the next one: step %d, %s, %+v", v.Step, v.Amount, v.Items)
				}
			})
		})
	}
}

// TestSheet: the keys of the sheet do what the page's do, and where the page does not
// have one it says so.
func TestSheet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openShop(t, &crew{role: staff.Cashier}, Meal{Name: "lunch", From: 0, To: 24 * 60, Price: 12 * money.Yuan})
		s.signIn()
		if v := s.press(keysheet.No); v.Step != Ready {
			t.Fatalf("another price: step %d", v.Step)
		}
		if v := s.press(keysheet.Other); v.Step != Ready || v.Notice != NoSuchKey {
			t.Errorf("another sale, with none: step %d, notice %d", v.Step, v.Notice)
		}
		if v := s.press(keysheet.Yes); v.Step != Present || v.Amount != 12*money.Yuan {
			t.Errorf("the meal after all: step %d, %s", v.Step, v.Amount)
		}
		if v := s.press(keysheet.Yes); v.Step != Present || v.Notice != NoSuchKey {
			t.Errorf("yes, to nothing: step %d, notice %d", v.Step, v.Notice)
		}
		s.scan("phone 1")
		if v := s.press(keysheet.Next); v.Step != Present || v.Amount != 12*money.Yuan {
			t.Errorf("next: step %d, %s", v.Step, v.Amount)
		}
		if v := s.press(keysheet.Lock); v.Step != Locked || s.crew.out == 0 {
			t.Errorf("lock: step %d", v.Step)
		}
		if v := s.press(keysheet.Yes); v.Step != Locked {
			t.Errorf("yes at a locked till: step %d", v.Step)
		}
	})
}

// TestSheetAnswers: each question of the flow is answered by its key of the sheet, and
// by no other.
func TestSheetAnswers(t *testing.T) {
	short, wallet := View{Step: Declined, Short: true}, View{Step: Unknown, Sale: Result{With: ByAlipay}}
	for _, tt := range []struct {
		view View
		want map[keysheet.Key]Event
	}{
		{View{Step: Ask}, map[keysheet.Key]Event{keysheet.Yes: Confirmed, keysheet.No: Leave}},
		{View{Step: PaidBefore}, map[keysheet.Key]Event{keysheet.Yes: WasThis, keysheet.Other: Confirmed, keysheet.No: Leave}},
		{short, map[keysheet.Key]Event{keysheet.Yes: LoadFirst, keysheet.No: Leave, keysheet.Next: Leave}},
		{View{Step: Declined}, map[keysheet.Key]Event{keysheet.No: Leave, keysheet.Next: Leave}},
		{wallet, map[keysheet.Key]Event{keysheet.Yes: AskAgain, keysheet.No: Leave, keysheet.Next: Leave}},
		{View{Step: Unknown, Sale: Result{With: ByCard}}, map[keysheet.Key]Event{keysheet.No: Leave, keysheet.Next: Leave}},
		{View{Step: EnterPIN}, map[keysheet.Key]Event{keysheet.No: Leave}},
		{View{Step: Doubt}, map[keysheet.Key]Event{keysheet.No: Leave}},
		{View{Step: Selling}, nil},
		{View{Step: Levelling}, nil},
		{View{Step: Settling}, nil},
		{View{Step: Paying}, nil},
	} {
		s := &Session{Desk: &Desk{Clock: kiosk.NewClock(time.Now, ledger.Uptime)}, view: tt.view}
		for _, k := range keysheet.Keys {
			in, has := s.means(k)
			if has = has && s.allowed(in) && s.accepts(in.Event); !has {
				in.Event = 0
			}
			if in.Event != tt.want[k] {
				t.Errorf("step %d: %s is event %d, want %d", tt.view.Step, k, in.Event, tt.want[k])
			}
		}
	}
}

// TestSheetOfAStranger: what a customer's phone shows presses nothing, and neither does
// a sheet that was lost; a sheet under a scanner that rests on it presses once.
func TestSheetOfAStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openShop(t, nil)
		s.scan(cola)
		other := keysheet.Sheet{File: filepath.Join(t.TempDir(), "codes"), Terminal: "T1"}
		if err := other.Renew(); err != nil {
			t.Fatal(err)
		}
		text, err := other.Code(keysheet.No)
		if err != nil {
			t.Fatal(err)
		}
		if v := s.scan(text); v.Step != Present || v.Notice != NotThisSheet || v.Amount != 3*money.Yuan {
			t.Errorf("a sheet from elsewhere: step %d, notice %d, %s", v.Step, v.Notice, v.Amount)
		}
		lost, err := s.sheet.Code(keysheet.No)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.sheet.Renew(); err != nil {
			t.Fatal(err)
		}
		if v := s.scan(lost); v.Step != Present || v.Notice != NotThisSheet {
			t.Errorf("the lost sheet: step %d, notice %d", v.Step, v.Notice)
		}
		s.s.view.Step = PaidBefore // nobody else looks at it now
		text, err = s.sheet.Code(keysheet.Yes)
		if err != nil {
			t.Fatal(err)
		}
		s.s.pressed = stroke{keysheet.Yes, time.Now()}
		if v := s.scan(text); v.Step != PaidBefore || v.Taps == 0 {
			t.Errorf("the second yes of one look: step %d", v.Step)
		}
	})
}

// TestSheetAtOffice: no key answers a question there, but it leaves a page.
func TestSheetAtOffice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openShop(t, &crew{role: staff.Cashier})
		s.signIn()
		s.do(Input{Event: OpenOffice})
		s.pick()
		if v := s.press(keysheet.Yes); v.Step != Office || s.asked != "" {
			t.Errorf("yes: step %d, asked %q", v.Step, s.asked)
		}
		s.press(keysheet.No)
		if v := s.look(); v.Step != Office || v.Office.WantsCode() || s.asked != "" {
			t.Errorf("no: step %d, page %d, asked %q", v.Step, v.Office.Page, s.asked)
		}
		if v := s.press(keysheet.Lock); v.Step != Locked {
			t.Errorf("lock: step %d", v.Step)
		}
	})
}

// TestOtherPrice: what was held, asked or shown for one price is nothing to another; who
// takes the card away from a PIN keeps what it was shown for.
func TestOtherPrice(t *testing.T) {
	for e, want := range map[Event]bool{Priced: false, CardOut: true} {
		d := &Desk{Cards: &kiosk.Seller{}, sale: sale{ref: "r", pinned: true, confirmed: true}}
		d.present(t.Context(), e)
		if got := d.sale; (got.ref != "") != want || got.pinned != want || got.confirmed != want {
			t.Errorf("event %d: %+v", e, got)
		}
	}
}
