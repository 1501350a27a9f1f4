package figures_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/office/figures"
	"quancun/kiosk/staff"
	"quancun/kiosk/till"
	"quancun/ledger"
	"quancun/money"
	"quancun/reader"
)

const yuan = money.Yuan

// noon, in Beijing, of the day before the one on which the till stands.
var noon = time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC)

// world is a till that has sold, on clocks that the test owns.
type world struct {
	t    *testing.T
	now  time.Time
	up   time.Duration
	book *ledger.Book
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: noon, up: time.Hour}
	var err error
	w.book, err = ledger.Open(t.Context(), filepath.Join(t.TempDir(), "journal.db"), ledger.Options{
		Terminal: "T01", Now: func() time.Time { return w.now }, Uptime: func() time.Duration { return w.up },
	})
	w.ok(err)
	t.Cleanup(func() { w.ok(w.book.Close()) })
	return w
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// sell sells something for a code, some time later.
func (w *world) sell(after time.Duration, item string, amount money.Fen) journal.Entry {
	w.t.Helper()
	w.now, w.up = w.now.Add(after), w.up+after
	e := journal.Entry{
		Kind: journal.CodeSale, Ref: fmt.Sprint("s", w.now.Unix()), Account: "1001", Merchant: "m1", Amount: amount,
	}
	if item != "" {
		e.Details = fmt.Appendf(nil, `{"code":"x","items":[{"name":%q,"n":1,"fen":%d}]}`, item, amount)
	}
	e, err := w.book.Append(w.t.Context(), e)
	w.ok(err)
	return e
}

// do runs a task, gives its questions the answers one after the other, and
// returns how it ended.
func (w *world) do(task dialog.Word, answers ...dialog.Answer) office.View {
	w.t.Helper()
	views := make(chan office.View, 64)
	s := office.New(&office.Desk{
		Tasks: figures.Tasks(figures.Config{
			Book: w.book, Now: func() time.Time { return w.now },
			Meals: []till.Meal{{Name: "午餐", From: 11 * 60, To: 13 * 60, Price: 12 * yuan}},
		}),
		Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}, func(v office.View) { views <- v })
	ctx, stop := context.WithCancel(w.t.Context())
	over := make(chan error, 1)
	go func() { over <- s.Serve(ctx, staff.Member{No: "c7", Role: staff.Cashier}, reader.State{}) }()
	defer func() { stop(); <-over }()
	menu := <-views
	s.Send(dialog.Input{Event: dialog.Picked, Pick: slices.IndexFunc(menu.Entries,
		func(e office.Entry) bool { return e.Name == task })})
	for v := range views {
		switch {
		case v.Page != dialog.Asking:
			return v
		case v.Question.Kind == dialog.Working:
			continue
		}
		in := dialog.Input{Event: dialog.Left}
		if len(answers) > 0 {
			in.Event, in.Answer, answers = dialog.Answered, answers[0], answers[1:]
		}
		s.Send(in)
	}
	return office.View{}
}

// rows are the first and the last cell of each row.
func rows(r dialog.Report) (all []string) {
	for _, row := range r.Table.Rows {
		all = append(all, fmt.Sprintf("%s%s %s", row[0].Text, row[0].Word, row[len(row)-1].Amount))
	}
	return all
}

func TestFigures(t *testing.T) {
	w := newWorld(t)
	w.sell(0, "鱼", 9*yuan)
	fish := w.sell(24*time.Hour, "鱼", 9*yuan)
	w.sell(10*time.Minute, "米饭", yuan)
	w.sell(2*time.Hour, "", 5*yuan)
	_, err := w.book.Append(t.Context(), journal.Entry{
		Kind: journal.Refund, Ref: "b1", Account: "1001", Merchant: "m1", Amount: 2 * yuan, Origin: fish.Position(),
	})
	w.ok(err)
	pick := func(n int) dialog.Answer { return dialog.Answer{Choice: n} }
	for name, tt := range map[string]struct {
		task    dialog.Word
		answers []dialog.Answer
		no      string
		want    []string
	}{
		"hours of today": {figures.Hour, []dialog.Answer{pick(0)}, "2026-03-02", []string{"12:00 10.00", "14:00 3.00"}},
		"items of today": {figures.Item, []dialog.Answer{pick(0)}, "2026-03-02",
			[]string{"sales.nameless 3.00", "米饭 1.00", "鱼 9.00"}},
		"meals of today": {figures.Meal, []dialog.Answer{pick(0)}, "2026-03-02", []string{"sales.nameless 3.00", "午餐 10.00"}},
		"yesterday":      {figures.Day, []dialog.Answer{pick(1)}, "2026-03-01", []string{"2026-03-01 9.00"}},
		"this month": {figures.Day, []dialog.Answer{pick(3)}, "2026-03-01 – 2026-03-31",
			[]string{"2026-03-01 9.00", "2026-03-02 13.00"}},
		"last month": {figures.Day, []dialog.Answer{pick(4)}, "2026-02-01 – 2026-02-28", nil},
		"two days, the later first": {figures.Day, []dialog.Answer{pick(5), {Text: "20260302"}, {Text: "20260301"}},
			"2026-03-01 – 2026-03-02", []string{"2026-03-01 9.00", "2026-03-02 13.00"}},
	} {
		v := w.do(tt.task, tt.answers...)
		if got := rows(v.Report); v.Outcome != dialog.Done || v.Report.No != tt.no || !slices.Equal(got, tt.want) ||
			len(v.Report.Plot) != len(got) {
			t.Errorf("%s: %q of %s, outcome %d; want %q of %s", name, got, v.Report.No, v.Outcome, tt.want, tt.no)
		}
	}
	if v := w.do(figures.Day, pick(5), dialog.Answer{Text: "20260231"}); v.Why != "sales.noday" {
		t.Errorf("on 31 February: %+v", v)
	}
	if v := w.do(figures.Day); v.Page != office.Menu {
		t.Errorf("left: %+v", v)
	}
}
