package holder_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"quancun/bathcode"
	"quancun/journal"
	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/bath"
	"quancun/upstream/centre"
	"quancun/upstream/holder"
	"quancun/upstream/phone"
	"quancun/upstream/place"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// TestPlaces: money on its way is where the terminal stood then, and a record stays
// where it was when the terminal is moved.
func TestPlaces(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.openAll()
		east, west := place.Place{ZH: "东区浴室旁", EN: "East bath"}, place.Place{ZH: "西门"}
		w.ok(place.Set(ctx, w.books, "kiosk1", east))
		s, err := w.desk.Open(ctx, account)
		w.ok(err)
		for _, o := range s.Open {
			terminals := !slices.Contains([]holder.Sort{
				holder.BillHeld, holder.BillChecking, holder.BathReserved, holder.BathUnsettled, holder.Inquiry,
			}, o.Sort)
			if (o.Where == east) != terminals {
				t.Errorf("sort %d is at %+v", o.Sort, o.Where)
			}
		}
		fee := func(at time.Time) {
			w.post(store.Entry{Kind: store.KindFee, Place: "kiosk1", Made: at, Debit: account, Credit: "fee/replacement",
				Amount: yuan})
		}
		fee(w.clock.Add(time.Hour)) // nobody has moved it yet
		w.clock = w.clock.Add(2 * time.Hour)
		w.ok(place.Set(ctx, w.books, "kiosk1", west))
		fee(w.clock.Add(time.Hour))
		all, _, err := w.desk.Records(ctx, account, holder.Filter{Size: 2})
		if err != nil || len(all) != 2 || all[0].Where != west || all[1].Where != east || all[1].Place != "kiosk1" {
			t.Errorf("records = %+v, %v; want one in each place", all, err)
		}
		one, c, err := w.desk.Record(ctx, account, all[1].ID)
		if err != nil || one.Where != east || c.Place != "kiosk1" {
			t.Errorf("the older one = %+v, of which a copy says %q, %v", one, c.Place, err)
		}
	})
}

// TestOpen has all sorts of money on its way at once. What is called held adds up to
// what the books hold, and nothing is anybody else's.
func TestOpen(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.openAll()
		s, err := w.desk.Open(t.Context(), account)
		w.ok(err)
		held := money.Fen(0)
		got := map[holder.Sort]holder.Open{}
		for _, o := range s.Open {
			if got[o.Sort] = o; o.Held {
				held += o.Amount
			}
		}
		if held != s.Held || held != 2*yuan+30*yuan+6*yuan || s.Balance != 50*yuan {
			t.Errorf("held %s of %s, and the books hold %s", held, s.Balance, s.Held)
		}
		if !slices.IsSortedFunc(s.Open, func(a, b holder.Open) int { return a.Since.Compare(b.Since) }) {
			t.Errorf("not the oldest first: %+v", s.Open)
		}
		due := w.clock.Add(11*time.Minute + 30*time.Second)
		for sort, want := range map[holder.Sort]holder.Open{
			holder.TopUpChecking: {Amount: 10 * yuan, Ref: "T1", Place: "kiosk1", Due: due},
			holder.TopUpWaiting:  {Amount: 20 * yuan, Ref: "T2", Place: "kiosk1", Due: due},
			holder.TopUpReturned: {Amount: 5 * yuan, Ref: "T3", Place: "kiosk1"},
			holder.Sale:          {Amount: 2 * yuan, Ref: "A1", Place: "canteen1", Card: cardNo, Held: true, Heard: w.clock},
			holder.BillHeld:      {Amount: 10 * yuan, Ref: "F1", Place: "网费", Held: true, Due: w.clock.Add(2 * time.Minute)},
			holder.BillChecking:  {Amount: 20 * yuan, Ref: "F2", Place: "照明", Held: true, People: true},
			holder.BathReserved: {Amount: 6 * yuan, Ref: "B1", Place: "东区浴室", Held: true,
				Due: time.Date(2026, 11, 27, 17, 30, 0, 0, zone)},
			holder.LoadDoubt:     {Amount: 3 * yuan, Ref: "T1", Place: "kiosk1", Card: cardNo},
			holder.PurchaseDoubt: {Amount: 4 * yuan, Ref: "S1", Place: "canteen1", Card: cardNo},
			holder.Inquiry:       {Amount: 7 * yuan, Ref: "X1", People: true},
		} {
			is := got[sort]
			is.Sort, is.Since = 0, time.Time{}
			same := is.Due.Equal(want.Due) && is.Heard.Equal(want.Heard)
			is.Due, is.Heard, want.Due, want.Heard = time.Time{}, time.Time{}, time.Time{}, time.Time{}
			if is != want || !same {
				t.Errorf("sort %d: %+v\nwant %+v", sort, got[sort], want)
			}
		}
		w.clock = time.Date(2026, 11, 26, 18, 0, 0, 0, zone)
		s, err = w.desk.Open(t.Context(), account)
		w.ok(err)
		if !slices.ContainsFunc(s.Open, func(o holder.Open) bool { return o.Sort == holder.BathUnsettled }) {
			t.Errorf("after the slot: %+v", s.Open)
		}
		if s, err := w.desk.Open(t.Context(), other); err != nil || len(s.Open) > 0 || s.Held != 0 {
			t.Errorf("somebody else's: %+v, %v", s, err)
		}
	})
}

// TestChip tells which purchases of a card are booked, or in doubt.
func TestChip(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.openAll() // with a claim, which the first entry has begun
		w.exec(`UPDATE cards SET mirror_fen = 1500`)
		var want []holder.Purchase
		for i, kind := range []journal.Kind{journal.SaleIntent, journal.SaleEnd} {
			p := holder.Purchase{
				TerminalNo: pboc.TerminalNo{5: byte(i + 1)}, Stamp: pboc.Stamp{0x20, 0x26, 6: byte(i)}, Amount: money.Fen(400 + i),
			}
			want = append(want, p)
			body := journal.Entry{
				Terminal: "kiosk1", Seq: int64(i + 1), At: w.clock, Kind: kind, Ref: "S1", Card: cardNo, Amount: p.Amount,
				Purse: &journal.Purse{TerminalNo: p.TerminalNo, Stamp: p.Stamp},
			}.Encode(journal.Hash{})
			w.exec(`INSERT INTO journal_entries (journal, seq, hash, body, received_ms) SELECT id, ?, ?, ?, 0 FROM journals`,
				i+1, make([]byte, 32), body)
		}
		w.bought()
		w.exec(`UPDATE cards SET mirror_fen = 1500`)
		c, err := w.desk.Chip(t.Context(), account, cardNo)
		w.ok(err)
		slices.SortFunc(c.Purchases, func(a, b holder.Purchase) int { return int(a.Amount - b.Amount) })
		if c.Purse != 1500 || !slices.Equal(c.Purchases, want) {
			t.Errorf("chip %+v, want %+v", c, want)
		}
		if _, err := w.desk.Chip(t.Context(), other, cardNo); !errors.Is(err, store.ErrNone) {
			t.Errorf("somebody else's card: %v", err)
		}
	})
}

// bought books a purchase of 4.01 under the second number of the first journal.
func (w *world) bought() {
	w.post(store.Entry{
		Kind: store.KindPurchase, Place: "canteen1", Debit: account, Credit: "merchant/canteen1", Amount: 401,
		Source: &store.Source{Journal: 1, Seq: 2},
	})
	w.exec(`INSERT INTO purse_moves (card_no, kind, amount_fen, balance_fen, place, at_ms, entry_id, counter, before_fen,
			proven)
		SELECT ?, 4, -401, 0, 'canteen1', 0, max(id), 1, 0, ? FROM entries`, cardNo, true)
}

// TestChipCarried: what a later journal has carried over is told as well.
func TestChipCarried(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.openAll() // with a claim under the first number
		var want []holder.Purchase
		for i, kind := range []journal.Kind{journal.SaleIntent, journal.SaleEnd} {
			p := holder.Purchase{TerminalNo: pboc.TerminalNo{5: byte(i + 1)}, Amount: money.Fen(400 + i)}
			want = append(want, p)
			e := journal.Entry{
				Terminal: "kiosk1", Seq: int64(i + 1), At: w.clock, Kind: kind, Ref: "S1", Card: cardNo, Amount: p.Amount,
				Purse: &journal.Purse{TerminalNo: p.TerminalNo},
			}
			carried := journal.Carry(e.Position(), e.Encode(journal.Hash{}))
			carried.Terminal, carried.Epoch, carried.Seq, carried.At = "kiosk1", journal.Epoch{1}, e.Seq, w.clock
			if i == 0 {
				w.exec(`INSERT INTO journals (terminal, epoch, opened_ms, head_hash) VALUES ('kiosk1', ?, 0, ?)`,
					carried.Epoch[:], make([]byte, 32))
			}
			w.exec(`INSERT INTO journal_entries (journal, seq, hash, body, received_ms) VALUES (2, ?, ?, ?, 0)`,
				carried.Seq, make([]byte, 32), carried.Encode(journal.Hash{}))
			w.exec(`INSERT INTO carried_entries (journal, seq, hash, by_journal, by_seq) VALUES (1, ?, ?, 2, ?)`,
				e.Seq, make([]byte, 32), carried.Seq)
		}
		w.bought()
		c, err := w.desk.Chip(t.Context(), account, cardNo)
		w.ok(err)
		slices.SortFunc(c.Purchases, func(a, b holder.Purchase) int { return int(a.Amount - b.Amount) })
		if !slices.Equal(c.Purchases, want) {
			t.Errorf("purchases %+v, want %+v", c.Purchases, want)
		}
	})
}

// openAll has money on its way in every way that there is.
func (w *world) openAll() {
	w.t.Helper()
	now := w.clock.UnixMilli()
	for no, state := range map[string]int64{"T1": 3, "T2": 2, "T3": 6} {
		_, err := w.books.CreateOrder(w.t.Context(), store.Order{
			No: no, Terminal: "kiosk1", CardNo: cardNo, Account: account, Created: w.clock,
			Amount:  map[string]money.Fen{"T1": 10 * yuan, "T2": 20 * yuan, "T3": 5 * yuan}[no],
			Expires: w.clock.Add(90 * time.Second),
		}, 1000*yuan)
		w.ok(err)
		w.exec(`UPDATE orders SET state = ? WHERE order_no = ?`, state, no)
	}
	w.exec(`UPDATE terminals SET heard_ms = ?`, now)
	w.exec(`INSERT INTO holds (terminal, epoch, seq, attempt, account, card_no, merchant, amount_fen, virtual, placed_ms)
		VALUES ('kiosk1', ?, 7, 'A1', ?, ?, 'canteen1', 200, ?, ?)`, make([]byte, 8), account, cardNo, false, now)
	w.exec(`INSERT INTO holds (terminal, epoch, seq, attempt, account, card_no, merchant, amount_fen, virtual, room,
			placed_ms)
		VALUES ('kiosk1', ?, 8, 'A2', ?, '', '', 900, ?, ?, ?)`, make([]byte, 8), account, false, true, now) // for cash
	for _, b := range []struct {
		no, title string
		amount    money.Fen
		state     int64
	}{{"F1", "网费", 10 * yuan, 1}, {"F2", "照明", 20 * yuan, 6}} {
		w.exec(`INSERT INTO bills (order_no, terminal, account, biller, target, title, amount_fen, created_ms, deadline_ms)
			VALUES (?, 'kiosk1', ?, 'network', 'x', ?, ?, ?, ?)`, b.no, account, b.title, b.amount, now, now+120_000)
		if b.state != 1 {
			w.exec(`UPDATE bills SET state = 2, sent_ms = ? WHERE order_no = ?`, now, b.no)
			w.exec(`UPDATE bills SET state = ? WHERE order_no = ?`, b.state, b.no)
		}
	}
	_, err := w.baths.Reserve(w.t.Context(), bath.Request{
		Ref: "B1", Terminal: "kiosk1", Account: account, Hall: 1, Day: bathcode.DayOf(w.clock), Slot: 0,
	})
	w.ok(err)
	w.exec(`INSERT INTO loads (load_id, card_no, terminal, amount_fen, order_no, created_ms)
		VALUES ('0123456789abcdef0123456789abcdef', ?, 'kiosk1', 300, 'T1', ?)`, cardNo, now)
	w.exec(`INSERT INTO journals (terminal, epoch, opened_ms, head_hash) VALUES ('kiosk1', ?, ?, ?)`,
		make([]byte, 8), now, make([]byte, 32))
	w.exec(`INSERT INTO claims (journal, seq, terminal, kind, ref, card_no, account, merchant, amount_fen, balance,
			counter, key_version, algorithm, terminal_no, trace_no, stamp, opened_ms)
		SELECT id, 1, 'kiosk1', 40, 'S1', ?, ?, 'canteen1', 400, 0, 0, 0, 0, ?, 0, ?, ? FROM journals`,
		cardNo, account, make([]byte, 6), make([]byte, 7), now)
	w.exec(`INSERT INTO exceptions (kind, ref, account, amount_fen, detail, owner, next_step, opened_ms)
		VALUES ('some kind', 'X1', ?, 700, '', 'card centre', '', ?)`, account, now)
	w.exec(`INSERT INTO exceptions (kind, ref, account, amount_fen, detail, owner, next_step, opened_ms)
		VALUES ('overdrawn', ?, ?, 700, '', 'card centre', '', ?)`, account, account, now)
}

// TestManyPages: whoever turns pages, however many, leaves nothing in memory.
func TestManyPages(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		turn := func(from, to int) (used uint64) {
			for page := from; page < to; page++ {
				_, _, err := w.desk.Records(t.Context(), account, holder.Filter{Size: 5, Page: page})
				w.ok(err)
			}
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		before := turn(0, 100)
		if after := turn(100, 600); after > before+500_000 {
			t.Errorf("500 pages have left %d bytes", after-before)
		}
	})
}

// TestRecords looks for records by sort and time. Without a filter they are the
// history that everybody sees.
func TestRecords(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		for i := range 5 {
			w.clock = w.clock.Add(time.Hour)
			w.post(store.Entry{
				Kind: store.KindPurchase, Place: "canteen1", Debit: account, Credit: "merchant/canteen1",
				Amount: money.Fen(100 + i), Made: w.clock,
			})
		}
		all, pages, err := w.desk.Records(t.Context(), account, holder.Filter{Size: 50})
		w.ok(err)
		history, _, err := w.books.History(t.Context(), account, 0, 50)
		w.ok(err)
		if len(all) != 6 || len(history) != 6 || pages != 1 {
			t.Fatalf("%d records on %d pages, %d in the history", len(all), pages, len(history))
		}
		for i, r := range all {
			if h := history[i]; r.At != h.At || r.Kind != h.Kind || r.Amount != h.Amount || r.Balance != h.Balance {
				t.Errorf("record %+v, history %+v", r, h)
			}
		}
		some, pages, err := w.desk.Records(t.Context(), account, holder.Filter{
			Kinds: []store.Kind{store.KindPurchase, store.KindBill}, From: all[3].At, To: all[0].At, Size: 2, Page: 1,
		})
		if err != nil || pages != 2 || len(some) != 1 || some[0] != all[3] {
			t.Errorf("filtered: %+v, %d pages, %v", some, pages, err)
		}
		r, c, err := w.desk.Record(t.Context(), account, all[0].ID)
		w.ok(err)
		read, err := journal.OpenCopy("一元\n"+c.Text(), w.campus())
		if err != nil || r != all[0] || read.No != r.ID || read.Amount != -104 || read.What != "purchase" ||
			!read.At.Equal(r.At) || read.Place != "canteen1" || read.Account != "***0101" {
			t.Errorf("copy %+v of %+v, %v", read, r, err)
		}
		for _, id := range []string{"", "E999", "E1x", "L1"} {
			if _, _, err := w.desk.Record(t.Context(), account, id); !errors.Is(err, store.ErrNone) {
				t.Errorf("record %q: %v", id, err)
			}
		}
		if _, _, err := w.desk.Record(t.Context(), other, all[0].ID); !errors.Is(err, store.ErrNone) {
			t.Errorf("somebody else's record: %v", err)
		}
	})
}

// TestSourceByNumber: no other entry is looked at for a record's copy than its own.
func TestSourceByNumber(t *testing.T) {
	w := newWorld(t, filepath.Join(t.TempDir(), "books.db"))
	var plan []string
	w.ok(w.books.Read(t.Context(), func(tx *sqldb.Tx) error {
		return sqldb.Each(t.Context(), tx, func(rows *sql.Rows) error {
			var how string
			err := rows.Scan(new(int), new(int), new(int), &how)
			plan = append(plan, how)
			return err
		}, `EXPLAIN QUERY PLAN `+holder.SourceOf, 1)
	}))
	if text := strings.Join(plan, "; "); !strings.HasPrefix(text, "SEARCH e USING INTEGER PRIMARY KEY") {
		t.Errorf("it is looked for by %s", text)
	}
}

// TestLimits counts what was spent today, and tells of the phone that is bound.
func TestLimits(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.post(store.Entry{Kind: store.KindPurchase, Place: "c", Debit: account, Credit: "merchant/c", Amount: 700,
			Made: w.clock})
		l, err := w.desk.Limits(t.Context(), account)
		if err != nil || l.DailyLimit != 50*yuan || l.Own || l.Spent != 700 || !l.PhoneSince.IsZero() {
			t.Errorf("limits %+v, %v", l, err)
		}
		w.exec(`UPDATE holders SET daily_limit_fen = 2000 WHERE account = ?`, account)
		w.clock = w.clock.Add(24 * time.Hour)
		if l, err = w.desk.Limits(t.Context(), account); err != nil || l.DailyLimit != 20*yuan || !l.Own || l.Spent != 0 {
			t.Errorf("limits a day later %+v, %v", l, err)
		}
		if _, expires, err := w.desk.Invite(t.Context(), account); err != nil || !expires.After(w.clock) {
			t.Errorf("invitation until %s, %v", expires, err)
		}
		if _, _, err := w.desk.Invite(t.Context(), store.HolderAccount("nobody")); !errors.Is(err, phone.ErrAccount) {
			t.Errorf("invitation for nobody: %v", err)
		}
		w.desk.Terms.Phones = false
		if _, _, err := w.desk.Invite(t.Context(), account); !errors.Is(err, phone.ErrAccount) {
			t.Errorf("invitation where there are no phones: %v", err)
		}
	})
}

// TestCheck asks once about each card, and once more after the name was corrected.
func TestCheck(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		wanted := func(want bool) {
			t.Helper()
			c, err := w.desk.Check(t.Context(), account, cardNo)
			if err != nil || c.Wanted != want || c.Number != account.No() || !c.InitialPIN {
				t.Fatalf("check %+v, %v; wanted %t", c, err, want)
			}
		}
		say := func(agrees bool) {
			t.Helper()
			w.clock = w.clock.Add(time.Minute)
			w.ok(w.desk.Checked(t.Context(), holder.Checked{Card: cardNo, Terminal: "kiosk1", Agrees: agrees}))
		}
		wanted(false) // it was in use before
		w.exec(`INSERT INTO centre_acts (ref, place, clerk, kind, account, card_no, document, before, after, at_ms)
			VALUES ('C0', 'console', '60203', ?, ?, ?, 1, '', '', ?)`,
			int64(centre.Issued), account, cardNo, w.clock.UnixMilli())
		wanted(true)
		say(false)
		say(false) // the answer was lost
		wanted(false)
		inbox, err := w.books.Exceptions(t.Context())
		if err != nil || len(inbox) != 1 || inbox[0].Kind != holder.DetailsWrong || inbox[0].Ref != cardNo {
			t.Fatalf("inbox %+v, %v", inbox, err)
		}
		w.clock = w.clock.Add(time.Minute)
		_, err = centre.New(w.books).Do(t.Context(), centre.Act{
			Ref: "C1", Place: centre.Console, Clerk: "60203", Document: centre.IDCard, Kind: centre.Named,
			Account: account, Name: "章三",
		})
		w.ok(err)
		wanted(true)
		say(true)
		say(true)
		wanted(false)
		w.exec(`INSERT INTO centre_acts (ref, place, clerk, kind, account, card_no, document, before, after, at_ms)
			VALUES ('C2', 'console', '60203', ?, ?, '', 1, '', '', ?)`, int64(centre.PINReset), account, w.clock.UnixMilli())
		if c, err := w.desk.Check(t.Context(), account, cardNo); err != nil || c.InitialPIN {
			t.Errorf("after another PIN: %+v, %v", c, err)
		}
	})
}

// TestOwnPIN: who has chosen a PIN when the account was opened has no initial one.
func TestOwnPIN(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		a := store.HolderAccount("2026000103")
		for _, act := range []centre.Act{
			{Ref: "C1", Kind: centre.Opened, Name: "王五", Until: w.clock.AddDate(0, 1, 0), PIN: store.PIN{Hash: [32]byte{7}}},
			{Ref: "C2", Kind: centre.Issued, Card: "00002026000100012347", UID: "05060708"},
		} {
			act.Place, act.Clerk, act.Document, act.Account = centre.Console, "60203", centre.IDCard, a
			_, err := centre.New(w.books).Do(t.Context(), act)
			w.ok(err)
		}
		c, err := w.desk.Check(t.Context(), a, "00002026000100012347")
		if err != nil || !c.Wanted || c.InitialPIN {
			t.Errorf("check %+v, %v", c, err)
		}
	})
}
