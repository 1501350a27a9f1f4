package till

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"quancun/beijing"
	"quancun/kiosk"
	"quancun/kiosk/tender"
	"quancun/money"
)

// paying sells for every code.
type paying struct{ sales []tender.Sale }

func (p *paying) Sell(_ context.Context, _ string, s tender.Sale) (tender.Sold, error) {
	p.sales = append(p.sales, s)
	return tender.Sold{Ref: s.Ref, Entry: int64(len(p.sales)), Online: true}, nil
}

// openScanned opens a till that sells for every code.
func openScanned(t *testing.T, plan Plan) (*window, *paying) {
	t.Helper()
	plan.Merchant, plan.Operator = "m", Operator{No: "7"}
	w, p := newWindow(t, nil, plan), &paying{}
	w.desk.Ways = []Way{{Kind: ByCode, Takes: func(string) bool { return true }, Seller: p}}
	return w, p
}

func (w *window) scan(code string) View {
	w.t.Helper()
	return w.do(Input{Event: Scanned, Code: code})
}

// TestScanTooEarly: who holds a phone out before the price is keyed is not charged
// what the customer before has paid.
func TestScanTooEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := openScanned(t, Plan{})
		w.do(Input{Event: Priced, Amount: 60 * money.Yuan})
		if v := w.scan("one"); v.Step != Sold {
			t.Fatalf("a code for a price leads to step %d", v.Step)
		}
		if v := w.scan("two"); v.Step != Sold || v.Taps != 1 || v.Notice != PriceFirst || len(p.sales) != 1 {
			t.Errorf("a code without a price: step %d, taps %d, notice %d, sales %+v", v.Step, v.Taps, v.Notice, p.sales)
		}
		w.do(Input{Event: Priced, Amount: 7 * money.Yuan})
		if v := w.scan("two"); v.Step != Sold || len(p.sales) != 2 || p.sales[1].Amount != 7*money.Yuan {
			t.Errorf("with its price: step %d, sales %+v", v.Step, p.sales)
		}
	})
}

// TestScanQueue: where everybody pays the same, a scanner alone serves the queue, also
// after a price that was keyed; and a phone that is still there has paid once.
func TestScanQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := openScanned(t, Plan{Meals: []Meal{{Name: "lunch", From: 0, To: 24 * 60, Price: 12 * money.Yuan}}})
		w.do(Input{Event: Leave})
		w.do(Input{Event: Priced, Amount: 3 * money.Yuan})
		w.scan("one")
		if v := w.scan("one"); v.Step != Sold || v.Taps != 1 || v.Notice != NoNotice || len(p.sales) != 1 {
			t.Errorf("the code that has paid: step %d, taps %d, notice %d, sales %+v", v.Step, v.Taps, v.Notice, p.sales)
		}
		for _, code := range []string{"two", "three"} {
			if v := w.scan(code); v.Step != Sold || v.Amount != 12*money.Yuan {
				t.Errorf("code %s: step %d, %s", code, v.Step, v.Amount)
			}
		}
		if v := w.scan(""); v.Step != Sold || v.Taps != 1 || v.Notice != HalfRead {
			t.Errorf("half a code: step %d, taps %d, notice %d", v.Step, v.Taps, v.Notice)
		}
		if len(p.sales) != 3 || p.sales[2].Amount != 12*money.Yuan || p.sales[2].Items[0].Name != "lunch" {
			t.Errorf("sales %+v", p.sales)
		}
	})
}

// TestScanPhoneThere: a phone that is still there when its code changes has paid once.
// When another customer has paid, it is the next in the queue again.
func TestScanPhoneThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := openScanned(t, Plan{Meals: []Meal{{Name: "lunch", From: 0, To: 24 * 60, Price: 12 * money.Yuan}}})
		w.desk.Ways[0].Same = func(one, other string) bool { return one[0] == other[0] }
		for i, tt := range []struct {
			code string
			paid int
		}{{"a1", 1}, {"a2", 1}, {"a3", 1}, {"b1", 2}, {"a4", 3}} {
			if v := w.scan(tt.code); v.Step != Sold || len(p.sales) != tt.paid {
				t.Errorf("code %d: step %d, %d sales", i, v.Step, len(p.sales))
			}
		}
	})
}

// TestScanAtMealChange: the price of everybody changes while the page of a sale is
// shown. What pays nothing, the code that has paid and half of one, leaves on it what
// was paid; the next in the queue pays the new price, and sees it where a code is
// refused, too.
func TestScanAtMealChange(t *testing.T) {
	const breakfast, lunch = 5 * money.Yuan, 12 * money.Yuan
	synctest.Test(t, func(t *testing.T) {
		at := time.Now().In(beijing.Zone)
		change := Minute(at.Hour()*60 + at.Minute() + 1)
		w, p := openScanned(t, Plan{Meals: []Meal{
			{Name: "breakfast", From: change - 60, To: change, Price: breakfast},
			{Name: "lunch", From: change, To: change + 60, Price: lunch},
		}})
		time.Sleep(55 * time.Second)
		if v := w.scan("one"); v.Step != Sold || v.Amount != breakfast {
			t.Fatalf("before the change: step %d, %s", v.Step, v.Amount)
		}
		time.Sleep(10 * time.Second) // and the page is still there
		for i, code := range []string{"one", ""} {
			v, notice := w.scan(code), []Notice{NoNotice, HalfRead}[i]
			if v.Step != Sold || v.Amount != breakfast || v.Sale.Amount != breakfast || v.Taps != i+1 || v.Notice != notice {
				t.Errorf("code %q: step %d, %s, of a sale of %s, taps %d, notice %d", code, v.Step, v.Amount, v.Sale.Amount,
					v.Taps, v.Notice)
			}
		}
		w.desk.Ways[0].Takes = func(code string) bool { return code != "foreign" }
		if v := w.scan("foreign"); v.Step != Declined || v.Amount != lunch {
			t.Errorf("a refused code: step %d, %s", v.Step, v.Amount)
		}
		if v := w.scan("two"); v.Step != Sold || v.Amount != lunch || len(p.sales) != 2 || p.sales[1].Amount != lunch {
			t.Errorf("the next: step %d, %s, sales %+v", v.Step, v.Amount, p.sales)
		}
	})
}

// ending sells for the first code, to somebody by name, and for no other.
type ending struct {
	sold bool
	err  error
}

func (e *ending) Sell(_ context.Context, _ string, s tender.Sale) (tender.Sold, error) {
	if e.sold {
		return tender.Sold{}, e.err
	}
	e.sold = true
	return tender.Sold{Ref: s.Ref, Entry: 7, Holder: "张*三", Balance: 38 * money.Yuan, Known: true}, nil
}

func (*ending) CheckPIN(context.Context, string, *[kiosk.PINLength]byte) error { return nil }

// TestScanQueueNobody: what becomes of the next in the queue, who is not known, is not shown
// as the customer's before, with what that one has left.
func TestScanQueueNobody(t *testing.T) {
	for step, err := range map[Step]error{
		Declined: tender.ErrSpent, Unknown: tender.ErrUnknown, EnterPIN: tender.ErrPIN,
	} {
		synctest.Test(t, func(t *testing.T) {
			w, _ := openScanned(t, Plan{Meals: []Meal{{Name: "lunch", From: 0, To: 24 * 60, Price: 12 * money.Yuan}}})
			w.desk.Ways[0].Seller = &ending{err: err}
			if v := w.scan("one"); v.Step != Sold || v.Holder.Name == "" || !v.Known {
				t.Fatalf("the first: %+v", v)
			}
			if v := w.scan("two"); v.Step != step || v.Holder != (kiosk.Holder{}) || v.Known {
				t.Errorf("%v: step %d, of %+v, who has %s", err, v.Step, v.Holder, v.Balance)
			}
		})
	}
}
