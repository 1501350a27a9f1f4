package shift

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"quancun/journal"
	"quancun/money"
)

func TestSales(t *testing.T) {
	c, ctx := newTill(t), t.Context()
	add := func(after time.Duration, e journal.Entry) journal.Entry {
		c.pass(after)
		e.Merchant = "m1"
		e, err := c.Append(ctx, e)
		c.ok(err)
		return e
	}
	items := []byte(`{"items":[{"name":"米饭","n":2,"fen":200},{"name":"鱼","n":1,"fen":900}]}`)
	code := add(0, journal.Entry{Kind: journal.CodeSale, Ref: "s1", Account: "2026", Amount: 1100, Details: items})
	add(30*time.Minute, journal.Entry{Kind: journal.ChannelSale, Ref: "s2", Amount: 500})
	add(0, journal.Entry{Kind: journal.SaleIntent, Ref: "s3", Card: "1001", Amount: 950, Details: items})
	add(31*time.Minute, journal.Entry{Kind: journal.SaleEnd, Ref: "s3", Outcome: journal.Written})
	add(0, journal.Entry{Kind: journal.SaleIntent, Ref: "s4", Card: "1001", Amount: 77})
	add(0, journal.Entry{Kind: journal.SaleEnd, Ref: "s4", Outcome: journal.NotWritten})
	add(6*time.Hour, journal.Entry{Kind: journal.Refund, Ref: "b1", Account: "2026", Amount: 200, Origin: code.Position()})
	add(24*time.Hour, journal.Entry{Kind: journal.CodeSale, Ref: "s5", Account: "2026", Amount: 1})

	sum := func(n, fen int) journal.Sum { return journal.Sum{Count: int64(n), Amount: money.Fen(fen)} }
	day := Period{noon.Add(-12 * time.Hour), noon.Add(12 * time.Hour)}
	meals := []Meal{{"lunch", 11 * time.Hour, 13 * time.Hour}, {"night", 18 * time.Hour, 2 * time.Hour}}
	for name, tt := range map[string]struct {
		by   By
		want []Line
	}{
		"Day": {ByDay, []Line{{"2026-03-02", sum(3, 2550), sum(1, 200)}}},
		"Hour": {ByHour, []Line{
			{"2026-03-02 12:00", sum(2, 1600), sum(0, 0)}, {"2026-03-02 13:00", sum(1, 950), sum(0, 0)},
			{"2026-03-02 19:00", sum(0, 0), sum(1, 200)},
		}},
		"Meal": {ByMeal, []Line{
			{"", sum(1, 950), sum(0, 0)}, {"lunch", sum(2, 1600), sum(0, 0)}, {"night", sum(0, 0), sum(1, 200)},
		}},
		"Item": {ByItem, []Line{
			{"", sum(2, 350), sum(1, 200)}, {"米饭", sum(4, 400), sum(0, 0)}, {"鱼", sum(2, 1800), sum(0, 0)},
		}},
	} {
		for range 2 { // and again in a new epoch, into which all was carried over
			got, err := Sales(ctx, c.Book, day, tt.by, meals...)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%s: %+v, %v, want %+v", name, got, err, tt.want)
			}
			c.ok(c.NewEpoch(ctx, journal.ReasonForked, journal.Head{}))
		}
	}
	var b strings.Builder
	c.ok(WriteCSV(&b, []Line{{"米饭, 大", sum(4, 400), sum(1, 50)}}))
	if want := "key,sales,sold,refunds,refunded,net\r\n\"米饭, 大\",4,4.00,1,0.50,3.50\r\n"; b.String() != want {
		t.Errorf("table is %q, want %q", b.String(), want)
	}
}
