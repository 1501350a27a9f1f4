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
			{"", sum(2, 350), sum(0, 0)}, {"米饭", sum(4, 400), sum(2, 200)}, {"鱼", sum(2, 1800), sum(0, 0)},
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

// TestItemsGivenBack: a refund of a whole sale, of the day before, gives back its
// items and what had no name. One of a part is of the item that has cost as much, if
// it is only one.
func TestItemsGivenBack(t *testing.T) {
	c, ctx := newTill(t), t.Context()
	add := func(e journal.Entry) journal.Entry {
		c.pass(time.Minute)
		e.Merchant = "m1"
		e, err := c.Append(ctx, e)
		c.ok(err)
		return e
	}
	items := []byte(`{"items":[{"name":"米饭","n":2,"fen":200},{"name":"鱼","n":1,"fen":900},{"name":"汤","n":1,"fen":200}]}`)
	add(journal.Entry{Kind: journal.SaleIntent, Ref: "s1", Card: "1001", Amount: 1350, Details: items})
	card := add(journal.Entry{Kind: journal.SaleEnd, Ref: "s1", Outcome: journal.Written})
	code := add(journal.Entry{Kind: journal.CodeSale, Ref: "s2", Account: "2026", Amount: 1300, Details: items})
	plain := add(journal.Entry{Kind: journal.CodeSale, Ref: "s3", Account: "2026", Amount: 70})
	c.pass(24 * time.Hour)
	back := func(ref string, amount money.Fen, of journal.Entry) {
		add(journal.Entry{Kind: journal.Refund, Ref: ref, Account: of.Account, Card: of.Card, Amount: amount, Origin: of.Position()})
	}
	back("b1", 1350, card)
	back("b2", 900, code) // the fish
	back("b3", 200, code) // the rice or the soup
	back("b4", 70, plain)
	sum := func(n, fen int) journal.Sum { return journal.Sum{Count: int64(n), Amount: money.Fen(fen)} }
	want := []Line{
		{"", sum(0, 0), sum(3, 50+200+70)}, {"汤", sum(0, 0), sum(1, 200)},
		{"米饭", sum(0, 0), sum(2, 200)}, {"鱼", sum(0, 0), sum(2, 1800)},
	}
	got, err := Sales(ctx, c.Book, Period{noon.Add(12 * time.Hour), noon.Add(36 * time.Hour)}, ByItem)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

// TestItemsBegunBefore: a sale that was begun before a period and paid in it, as one in doubt
// of which its card tells the day after, has its items there.
func TestItemsBegunBefore(t *testing.T) {
	c, ctx := newTill(t), t.Context()
	items := []byte(`{"items":[{"name":"鱼","n":1,"fen":900}]}`)
	_, err := c.Append(ctx, journal.Entry{
		Kind: journal.SaleIntent, Ref: "s1", Card: "1001", Merchant: "m1", Amount: 950, Details: items,
	})
	c.ok(err)
	c.pass(24 * time.Hour)
	_, err = c.Append(ctx, journal.Entry{Kind: journal.SaleEnd, Ref: "s1", Outcome: journal.Written})
	c.ok(err)
	want := []Line{{"", journal.Sum{Count: 1, Amount: 50}, journal.Sum{}}, {"鱼", journal.Sum{Count: 1, Amount: 900}, journal.Sum{}}}
	got, err := Sales(ctx, c.Book, Period{noon.Add(12 * time.Hour), noon.Add(36 * time.Hour)}, ByItem)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

// TestSalesCarriedTwice: what was put together from two copies of a journal was sold once.
func TestSalesCarriedTwice(t *testing.T) {
	c, ctx := newTill(t), t.Context()
	c.ok(c.Drawer.Open(ctx, act("o1"), 100*yuan))
	c.sell("s1", 7*yuan)
	head, err := c.Head(ctx)
	c.ok(err)
	c.ok(c.Acknowledge(ctx, journal.Ack{Head: head}))
	want := c.state().Report
	for _, theirs := range []journal.Head{{}, {Epoch: head.Epoch}} { // of which the upstream has lost all
		c.ok(c.NewEpoch(ctx, journal.ReasonRestored, theirs))
	}
	got := c.state().Report
	if want.From, want.Part = got.From, got.Part; got != want {
		t.Errorf("the shift is %+v, want %+v", got, want)
	}
	lines, err := Sales(ctx, c.Book, Period{noon.Add(-time.Hour), noon.Add(time.Hour)}, ByDay)
	if err != nil || len(lines) != 1 || lines[0].Sales != (journal.Sum{Count: 1, Amount: 7 * yuan}) {
		t.Errorf("sold %+v, %v", lines, err)
	}
	c.close(act("z1"))
	c.sound()
}
