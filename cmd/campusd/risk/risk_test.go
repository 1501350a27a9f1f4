package risk_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quancun/cmd/campusd/risk"
	"quancun/money"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	"quancun/upstream/store/sqldb"
)

const yuan = money.Yuan

// world is books of which the time can be set.
type world struct {
	t     *testing.T
	books *store.Books
	now   time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC)}
	var err error
	w.books, err = booktest.Open(t.Context(), filepath.Join(t.TempDir(), "books.db"), func() time.Time { return w.now })
	w.ok(err)
	t.Cleanup(func() { w.ok(w.books.Close()) })
	return w
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// hear adds a terminal, which says that its journal has as many entries.
func (w *world) hear(id string, entries int64, feeds map[string]uint64) {
	w.t.Helper()
	_, err := w.books.AddTerminal(w.t.Context(), store.Terminal{ID: id})
	w.ok(err)
	w.ok(w.books.Hear(w.t.Context(), id, store.Heard{Epoch: "0102030405060708", JournalHead: entries, Feeds: feeds}))
}

// sold has a terminal's journal here, with a sale as its only entry.
func (w *world) sold(id string) {
	w.t.Helper()
	ctx := w.t.Context()
	w.ok(w.books.Write(ctx, func(tx *sqldb.Tx) error {
		var journal int64
		err := tx.QueryRow(ctx, `
			INSERT INTO journals (terminal, epoch, opened_ms, head_seq, head_hash, note, pushed_ms)
			VALUES (?, ?, 0, 1, ?, ?, 1) RETURNING id`,
			id, []byte{1, 2, 3, 4, 5, 6, 7, 8}, make([]byte, 32), []byte("x")).Scan(&journal)
		if err != nil {
			return err
		}
		held, err := w.books.LockAccounts(ctx, tx, []store.Account{"holder/1", "merchant/" + store.Account(id)})
		if err != nil {
			return err
		}
		_, err = w.books.PostAll(ctx, tx, held, []store.Entry{{
			Kind: store.KindPurchase, Place: id, Source: &store.Source{Journal: journal, Seq: 1, Part: 1},
			Debit: "holder/1", Credit: "merchant/" + store.Account(id), Amount: yuan,
		}})
		return err
	}))
}

func (w *world) read() risk.Report {
	w.t.Helper()
	r, err := risk.Read(w.t.Context(), w.books)
	w.ok(err)
	return r
}

// order is the terminals of a report, as it has them.
func order(r risk.Report) string {
	var all []string
	for _, t := range r.Terminals {
		all = append(all, t.ID)
	}
	return strings.Join(all, " ")
}

// TestRead keeps apart what terminals have told of and what they may have sold since.
func TestRead(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	_, err := w.books.AddTerminal(ctx, store.Terminal{ID: "waiting"})
	w.ok(err)
	w.ok(w.books.AddHolder(ctx, store.Holder{Account: "holder/1", Name: "张三", Number: "1"}, store.PIN{}, 100*yuan))
	w.ok(w.books.AddCard(ctx, store.Card{No: "00002026000000000001", Account: "holder/1", Status: store.CardActive}))
	_, err = w.books.Publish(ctx, "settings", []byte(`{"offline_hour_max_fen":100000,"offline_sale_max_fen":5000}`))
	w.ok(err)
	have, err := w.books.Feeds(ctx)
	w.ok(err)
	w.hear("dark", 3, have)
	w.hear("old", 1, nil) // has the rules that were there before any
	w.hear("kiosk", 0, have)
	w.hear("gone", 1, have)
	w.ok(w.books.RevokeTerminal(ctx, "gone"))
	for _, id := range []string{"dark", "old", "gone"} {
		w.sold(id)
	}
	w.now = w.now.Add(90 * time.Minute)
	_, err = w.books.Publish(ctx, "settings", []byte(`{"offline_hour_max_fen":200000,"offline_sale_max_fen":5000}`))
	w.ok(err)
	w.hear("here", 2, have)
	w.sold("here")

	r := w.read()
	if got := order(r); got != "old dark gone kiosk here" {
		t.Errorf("the worst first: %s", got)
	}
	// Two hours of the newest rules, 2000 yuan each; and two entries of 50 that were
	// told of. Who has never said what it has may sell by the default of 20000.
	want := map[string]money.Fen{
		"dark": 4100 * yuan, "old": 40_000 * yuan, "kiosk": 4000 * yuan, "gone": 4000 * yuan, "here": 50 * yuan,
	}
	for _, x := range r.Terminals {
		if x.AtMost != want[x.ID] || x.Dark == (x.ID == "here") {
			t.Errorf("%s: at most %s, dark %t, want %s", x.ID, x.AtMost, x.Dark, want[x.ID])
		}
		if until := x.Heard.Add(7 * 24 * time.Hour); x.Dark && !x.Stops.Equal(until) {
			t.Errorf("%s sells until %v, want %v", x.ID, x.Stops, until)
		}
	}
	if r.Unsent != 3 || r.AtMost != 44_150*yuan || r.Unsold != 4000*yuan || r.Revoked != 4000*yuan || r.Held != 0 {
		t.Errorf("sums: %+v", r)
	}
}

// TestListAge: a list is as old as the first change that is not in it.
func TestListAge(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.ok(w.books.AddHolder(ctx, store.Holder{Account: "holder/1", Name: "张三", Number: "1"}, store.PIN{}, 0))
	w.ok(w.books.AddCard(ctx, store.Card{No: "00002026000000000001", Account: "holder/1", Status: store.CardActive}))
	have, err := w.books.Feeds(ctx)
	w.ok(err)
	w.now = w.now.Add(time.Hour)
	w.ok(w.books.SetCardStatus(ctx, "00002026000000000001", store.CardHot))
	w.now = w.now.Add(time.Hour)
	w.hear("behind", 0, have)
	newest, err := w.books.Feeds(ctx)
	w.ok(err)
	w.hear("newest", 0, newest)
	w.hear("silent", 0, nil)
	w.now = w.now.Add(time.Hour)
	for _, x := range w.read().Terminals {
		want := map[string][2]int64{"behind": {7200, 1}, "newest": {3600, 0}, "silent": {3600, -1}}[x.ID]
		if x.ListAge != want[0] || x.Behind != want[1] {
			t.Errorf("%s: %d seconds, %d behind, want %v", x.ID, x.ListAge, x.Behind, want)
		}
	}
}

// TestPrint prints both forms.
func TestPrint(t *testing.T) {
	w := newWorld(t)
	w.hear("T1", 0, nil)
	w.now = w.now.Add(time.Hour)
	r := w.read()
	var table, text bytes.Buffer
	w.ok(r.Table(&table))
	for _, want := range []string{"T1", "2026-03-01T04:00:00Z", "40000.00", "never sold", "may have sold nothing"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("%q is not in %s", want, &table)
		}
	}
	w.ok(r.JSON(&text))
	var again risk.Report
	if err := json.Unmarshal(text.Bytes(), &again); err != nil || again.Unsold != 40_000*yuan || len(again.Terminals) != 1 {
		t.Errorf("%v: %s", err, &text)
	}
}
