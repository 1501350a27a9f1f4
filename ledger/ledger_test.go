package ledger

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"

	"quancun/journal"
	"quancun/money"
)

// lab is a Book on a real file, with clocks that the test owns.
type lab struct {
	*Book
	path string
	o    Options
	wall time.Time
	up   time.Duration
}

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// key signs for the terminal of every test.
var key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

// newLab makes a journal of terminal K01, which verifies itself after every
// commit.
func newLab(t testing.TB) *lab {
	t.Helper()
	l := labAt(filepath.Join(t.TempDir(), "journal.db"))
	l.open(t)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return l
}

// labAt is a lab on a journal that is still to be opened.
func labAt(path string) *lab {
	l := &lab{path: path, wall: noon, up: time.Hour}
	l.o = Options{
		Terminal: "K01", Key: key, Campus: public(campus.Key.(ed25519.PrivateKey)), Version: "1.0", Sentinel: true,
		Now:    func() time.Time { return l.wall },
		Uptime: func() time.Duration { return l.up },
	}
	return l
}

func (l *lab) open(t testing.TB) {
	t.Helper()
	b, err := Open(t.Context(), l.path, l.o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	l.Book = b
}

// restart closes the journal and opens it again, as a new run of the program.
func (l *lab) restart(t testing.TB) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	l.open(t)
}

// pass lets both clocks run for d.
func (l *lab) pass(d time.Duration) { l.wall, l.up = l.wall.Add(d), l.up+d }

// append appends e, which must go well.
func (l *lab) append(t testing.TB, e journal.Entry) journal.Entry {
	t.Helper()
	got, err := l.Append(t.Context(), e)
	if err != nil {
		t.Fatalf("Append(%s %s): %v", e.Kind, e.Ref, err)
	}
	return got
}

func topUp(ref string) journal.Entry {
	return journal.Entry{Kind: journal.TopUpIntent, Ref: ref, Card: "1001", Amount: 20 * money.Yuan}
}

func load(ref string) journal.Entry {
	return journal.Entry{Kind: journal.LoadIntent, Ref: ref, Card: "1001", Amount: 20 * money.Yuan,
		Details: json.RawMessage(`{"counter":7}`)}
}

func sale(ref string) journal.Entry {
	return journal.Entry{Kind: journal.SaleIntent, Ref: ref, Card: "1001", Merchant: "M1", Amount: 500,
		Purse: &journal.Purse{Balance: 5000, Counter: 3}}
}

func end(k journal.Kind, ref string, o journal.Outcome) journal.Entry {
	return journal.Entry{Kind: k, Ref: ref, Outcome: o}
}

func refs(entries []journal.Entry) string {
	var all []string
	for _, e := range entries {
		all = append(all, fmt.Sprintf("%d:%s", e.Seq, e.Ref))
	}
	return strings.Join(all, " ")
}

// TestJournal follows one customer: a top-up that is paid, a load that tears,
// and the same load settled after a restart.
func TestJournal(t *testing.T) {
	l, ctx := newLab(t), t.Context()

	l.pass(time.Second)
	paying := l.append(t, topUp("T1"))
	if want := (journal.Entry{Terminal: "K01", Epoch: l.Epoch(), Seq: 2, At: noon.Add(time.Second),
		Uptime: time.Hour + time.Second, Clock: journal.ClockAlone, Kind: journal.TopUpIntent, Ref: "T1",
		Card: "1001", Amount: 20 * money.Yuan}); !reflect.DeepEqual(paying, want) {
		t.Errorf("Append = %+v, want %+v", paying, want)
	}
	l.append(t, end(journal.TopUpEnd, "T1", journal.Paid))
	l.append(t, load("L1"))
	if got, err := l.OpenItems(ctx); err != nil || refs(got) != "4:L1" {
		t.Errorf("OpenItems = %s, %v, want 4:L1", refs(got), err)
	}

	l.restart(t) // which puts L1 in doubt, in entry 6
	written := l.append(t, journal.Entry{Kind: journal.LoadEnd, Ref: "L1", Outcome: journal.Written,
		Details: json.RawMessage(`{"tac": "AB"}`)})
	if written.Seq != 7 || written.Card != "1001" || written.Amount != 20*money.Yuan {
		t.Errorf("end of L1 = %+v, want entry 7 with the card and the amount of its intent", written)
	}
	item, err := l.Get(ctx, "L1")
	if err != nil || item.Open() || item.First.Seq != 4 || item.Doubt.Seq != 6 || !reflect.DeepEqual(item.End, written) {
		t.Errorf("Get = %+v, %v, want entries 4, 6 and 7", item, err)
	}
	recent, err := l.Recent(ctx, 4)
	if got, want := refs(recent), "7:L1 6:L1 5: 4:L1"; err != nil || got != want {
		t.Errorf("Recent = %s, %v, want %s", got, err, want)
	}
	report, err := l.Verify(ctx)
	head, headErr := l.Head(ctx)
	if err != nil || headErr != nil || report.Entries != 7 || head.Seq != 7 || report.Head != head || report.Open != 0 {
		t.Errorf("Verify = %+v, %v; Head = %+v, %v; want 7 entries, none open", report, err, head, headErr)
	}
	l.restart(t) // it has ended, and is not put in doubt again
	if got, err := l.Recent(ctx, 1); err != nil || got[0].Kind != journal.Started || got[0].Seq != 8 {
		t.Errorf("Recent = %+v, %v, want the start as entry 8", got, err)
	}
}

// TestSale follows the money of sales that are made, torn, settled, given
// back, and of the drawer.
func TestSale(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	check := func(holder, merchant, suspense, till money.Fen) {
		t.Helper()
		for a, want := range map[journal.Account]money.Fen{
			journal.Holder: holder, journal.MerchantAccount("M1"): merchant,
			journal.SuspenseAccount("K01"): suspense, journal.TillAccount("K01"): till,
		} {
			if got, err := l.Balance(ctx, a); err != nil || got != want {
				t.Errorf("balance of %s = %s, %v, want %s", a, got, err, want)
			}
		}
	}
	l.append(t, sale("S1"))
	check(0, 0, 0, 0)
	l.append(t, end(journal.SaleEnd, "S1", journal.Written))
	check(-500, 500, 0, 0)
	l.append(t, sale("S2"))
	l.append(t, end(journal.SaleDoubt, "S2", 0))
	check(-1000, 500, 500, 0)
	if got, err := l.OpenFor(ctx, "1001"); err != nil || refs(got) != "4:S2" {
		t.Errorf("OpenFor = %s, %v, want 4:S2", refs(got), err)
	}
	l.append(t, end(journal.SaleEnd, "S2", journal.ElsewhereNot))
	check(-500, 500, 0, 0)
	l.append(t, sale("S3"))
	l.restart(t) // the start puts it in doubt
	check(-1000, 500, 500, 0)
	l.append(t, end(journal.SaleEnd, "S3", journal.Written))
	check(-1000, 1000, 0, 0)

	cash := func(k journal.Kind, ref string, amount money.Fen) journal.Entry {
		return journal.Entry{Kind: k, Ref: ref, Amount: amount, Card: "1001"}
	}
	if _, err := l.Append(ctx, cash(journal.CashOut, "C1", 1)); !errors.Is(err, ErrShort) {
		t.Errorf("CashOut of an empty drawer = %v, want ErrShort", err)
	}
	l.append(t, cash(journal.CashIn, "C1", 10_000))
	l.append(t, cash(journal.PayOut, "C2", 2_000))
	check(-3000, 1000, 0, -8000)
	if _, err := l.Append(ctx, cash(journal.CashOut, "C3", 8_001)); !errors.Is(err, ErrShort) {
		t.Errorf("CashOut of too much = %v, want ErrShort", err)
	}
	counted := l.append(t, cash(journal.Counted, "C4", 7_990)) // 10 fen are missing
	check(-3000, 1000, 0, -7990)
	if over, err := l.Balance(ctx, journal.OverShortAccount("K01")); err != nil || over != -10 {
		t.Errorf("over-short = %s, %v, want -0.10; entry %+v", over, err, counted)
	}
	l.append(t, cash(journal.CashOut, "C5", 7_990))
	l.append(t, cash(journal.Counted, "C6", 0))
	check(-3000, 1000, 0, 0)
}

// TestRules appends one entry to a journal in which T1 and L1 are open, and T2
// and L2 have ended.
func TestRules(t *testing.T) {
	other := func(e journal.Entry, change func(*journal.Entry)) journal.Entry { change(&e); return e }
	for _, tt := range []struct {
		name  string
		entry journal.Entry
		want  error
		again int64 // the entry that said it before, if one did
	}{
		{name: "Intent", entry: topUp("T3")},
		{name: "IntentAgain", entry: topUp("T1"), again: 2},
		{name: "EndedIntentAgain", entry: load("L2"), again: 5},
		{name: "SpacesDoNotMatter", entry: other(load("L1"), func(e *journal.Entry) {
			e.Details = json.RawMessage(` { "counter" : 7 } `)
		}), again: 3},
		{name: "SeqAndAtDoNotMatter", entry: other(load("L1"), func(e *journal.Entry) { e.Seq, e.At = 99, noon }), again: 3},
		{name: "OtherAmount", entry: other(topUp("T1"), func(e *journal.Entry) { e.Amount++ }), want: ErrConflict},
		{name: "OtherCard", entry: other(load("L1"), func(e *journal.Entry) { e.Card = "1002" }), want: ErrConflict},
		{name: "OtherDetails", entry: other(load("L1"), func(e *journal.Entry) { e.Details = nil }), want: ErrConflict},
		{name: "OtherKind", entry: load("T1"), want: ErrConflict},
		{name: "End", entry: end(journal.TopUpEnd, "T1", journal.Refused)},
		{name: "EndInFull", entry: other(end(journal.LoadEnd, "L1", journal.NotWritten), func(e *journal.Entry) {
			e.Card, e.Amount = "1001", 20*money.Yuan
		})},
		{name: "EndAgain", entry: end(journal.TopUpEnd, "T2", journal.Closed), again: 6},
		{name: "EndDiffers", entry: end(journal.TopUpEnd, "T2", journal.Paid), want: ErrResolved},
		{name: "EndDetailsDiffer", entry: other(end(journal.LoadEnd, "L2", journal.Elsewhere), func(e *journal.Entry) {
			e.Details = json.RawMessage(`1`)
		}), want: ErrResolved},
		{name: "EndOfNothing", entry: end(journal.LoadEnd, "L9", journal.Written), want: ErrNoIntent},
		{name: "EndOfOtherKind", entry: end(journal.LoadEnd, "T1", journal.Written), want: ErrNoIntent},
		{name: "EndOfOtherCard", entry: other(end(journal.LoadEnd, "L1", journal.Written), func(e *journal.Entry) {
			e.Card = "1002"
		}), want: ErrConflict},
		{name: "EndOfOtherAmount", entry: other(end(journal.LoadEnd, "L1", journal.Written), func(e *journal.Entry) {
			e.Amount = 1
		}), want: ErrConflict},

		{name: "NoKind", entry: journal.Entry{Ref: "X"}, want: journal.ErrRule},
		{name: "BooksOwnKind", entry: journal.Entry{Kind: journal.Started}, want: journal.ErrRule},
		{name: "BooksOwnStep", entry: journal.Entry{Kind: journal.ClockStep}, want: journal.ErrRule},
		{name: "NoRef", entry: topUp(""), want: journal.ErrRule},
		{name: "LongRef", entry: topUp(strings.Repeat("x", 65)), want: journal.ErrRule},
		{name: "RefWithSpace", entry: topUp("a b"), want: journal.ErrRule},
		{name: "RefNotASCII", entry: topUp("充值"), want: journal.ErrRule},
		{name: "LoadWithoutCard", entry: other(load("L3"), func(e *journal.Entry) { e.Card = "" }), want: journal.ErrRule},
		{name: "NoAmount", entry: other(load("L3"), func(e *journal.Entry) { e.Amount = 0 }), want: journal.ErrRule},
		{name: "NegativeAmount", entry: other(load("L3"), func(e *journal.Entry) { e.Amount = -1 }), want: journal.ErrRule},
		{name: "HugeAmount", entry: other(load("L3"), func(e *journal.Entry) { e.Amount = journal.AmountMax + 1 }), want: journal.ErrRule},
		{name: "IntentWithOutcome", entry: other(load("L3"), func(e *journal.Entry) { e.Outcome = journal.Written }), want: journal.ErrRule},
		{name: "EndWithoutOutcome", entry: end(journal.LoadEnd, "L1", 0), want: journal.ErrRule},
		{name: "OutcomeOfOtherKind", entry: end(journal.LoadEnd, "L1", journal.Paid), want: journal.ErrRule},
		{name: "DetailsNotJSON", entry: other(load("L3"), func(e *journal.Entry) {
			e.Details = json.RawMessage(`{`)
		}), want: journal.ErrRule},
		{name: "DetailsTooLong", entry: other(load("L3"), func(e *journal.Entry) {
			e.Details = json.RawMessage(`"` + strings.Repeat("x", detailsMax) + `"`)
		}), want: journal.ErrRule},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, ctx := newLab(t), t.Context()
			l.append(t, topUp("T1"))
			l.append(t, load("L1"))
			l.append(t, topUp("T2"))
			l.append(t, load("L2"))
			l.append(t, end(journal.TopUpEnd, "T2", journal.Closed))
			l.append(t, end(journal.LoadEnd, "L2", journal.Elsewhere))

			got, err := l.Append(ctx, tt.entry)
			want, count := int64(8), int64(8)
			switch {
			case tt.want != nil:
				want, count = 0, 7
			case tt.again > 0:
				want, count = tt.again, 7
			}
			n, countErr := l.Head(ctx)
			if !errors.Is(err, tt.want) || got.Seq != want || n.Seq != count || countErr != nil {
				t.Errorf("Append = entry %d, %v, then %d entries, %v; want entry %d, %v, then %d",
					got.Seq, err, n.Seq, countErr, want, tt.want, count)
			}
			if _, err := l.Verify(ctx); err != nil {
				t.Errorf("Verify: %v", err)
			}
		})
	}
}

func TestOpenFor(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	l.append(t, load("L1"))
	mine := load("L2")
	mine.Card = "1002"
	l.append(t, mine)
	l.append(t, topUp("T1"))
	for card, want := range map[string]string{"1001": "2:L1 4:T1", "1002": "3:L2", "1003": ""} {
		if got, err := l.OpenFor(ctx, card); err != nil || refs(got) != want {
			t.Errorf("OpenFor(%s) = %s, %v, want %s", card, refs(got), err, want)
		}
	}
	if _, err := l.Get(ctx, "L9"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get(L9) = %v, want ErrNotFound", err)
	}
}

// TestCancelled checks that a context that has ended stops a call before it
// begins, and does the Book no harm.
func TestCancelled(t *testing.T) {
	l := newLab(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 16 { // if it were left to chance, some would be written
		if _, err := l.Append(ctx, load("L1")); err != context.Canceled {
			t.Errorf("Append = %v, want %v", err, context.Canceled)
		}
	}
	if _, err := l.OpenItems(ctx); err != context.Canceled {
		t.Errorf("OpenItems = %v, want %v", err, context.Canceled)
	}
	if err := l.Room(ctx); err != context.Canceled {
		t.Errorf("Room = %v, want %v", err, context.Canceled)
	}
	if got := l.append(t, load("L1")); got.Seq != 2 {
		t.Errorf("Append = entry %d, want 2", got.Seq)
	}
}

// TestEndAgrees: an end that is about anything else than its intent, in one thing
// alone, is not written.
func TestEndAgrees(t *testing.T) {
	l := newLab(t)
	l.append(t, sale("S1"))
	l.append(t, load("L1"))
	other := &journal.Purse{Balance: 5000, Counter: 4}
	for name, change := range map[string]func(e *journal.Entry){
		"Card":     func(e *journal.Entry) { e.Card = "1002" },
		"Account":  func(e *journal.Entry) { e.Account = "2026" },
		"Merchant": func(e *journal.Entry) { e.Merchant = "M2" },
		"Amount":   func(e *journal.Entry) { e.Amount = 499 },
		"Purse":    func(e *journal.Entry) { e.Purse = other },
	} {
		for ref, k := range map[string]journal.Kind{"S1": journal.SaleEnd, "L1": journal.LoadEnd} {
			e := end(k, ref, journal.Written)
			change(&e)
			if _, err := l.Append(t.Context(), e); !errors.Is(err, ErrConflict) {
				t.Errorf("%s of %s: %v, want ErrConflict", name, ref, err)
			}
		}
	}
	l.append(t, end(journal.SaleEnd, "S1", journal.Written))
}

// TestWithdrawn: whose caller has gone while others write is not written, unless
// somebody has it in hand already, who says what became of it. Others are written,
// also those whom it was to lead.
func TestWithdrawn(t *testing.T) {
	for name, c := range map[string]struct {
		gone string // whose caller goes
		busy bool   // with the file, not with what comes next
	}{
		"Leads":   {gone: "L1"},
		"Follows": {gone: "L2"},
		"InHand":  {gone: "L2", busy: true},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			held := l.turn
			if c.busy {
				held = l.disk
			}
			held <- struct{}{}
			said, leave := map[string]chan error{}, func() {}
			for _, ref := range []string{"L1", "L2", "L3"} {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if ref == c.gone {
					leave = cancel
				}
				said[ref] = make(chan error, 1)
				waits := make(chan struct{})
				go func() {
					_, err := l.Append(&asked{Context: ctx, waits: waits}, load(ref))
					said[ref] <- err
				}()
				<-waits
			}
			for c.busy && l.queueLen() > 0 {
				time.Sleep(time.Millisecond)
			}
			leave()
			if !c.busy {
				if err := <-said[c.gone]; !errors.Is(err, context.Canceled) {
					t.Errorf("the caller who has gone is told %v", err)
				}
			}
			<-held
			for ref, told := range said {
				if ref != c.gone || c.busy {
					if err := <-told; err != nil {
						t.Errorf("%s: %v", ref, err)
					}
				}
				_, missing := l.Get(t.Context(), ref)
				if written := missing == nil; written != (ref != c.gone || c.busy) {
					t.Errorf("%s is written: %t", ref, written)
				}
			}
		})
	}
}

// TestAhead: while a group is on its way to the disk, the next one is prepared, and
// its callers are told nothing before they are on the disk too, after the first; or
// that the journal has failed, if that fails.
func TestAhead(t *testing.T) {
	sold := journal.Entry{Kind: journal.CodeSale, Ref: "C1", Account: "1002", Merchant: "M1", Amount: 300}
	back := journal.Entry{Kind: journal.Refund, Ref: "T3", Account: "1002", Merchant: "M1", Amount: 300}
	for _, tt := range []struct {
		name    string
		refusal int
		needs   journal.Entry // the disk
	}{
		{"Commits", 0, end(journal.SaleEnd, "S1", journal.Written)}, // what it ends is in the file
		{"Fails", 1, end(journal.SaleEnd, "S1", journal.Written)},
		{"Commits and gives back", 0, back},
		{"Commits and opens an account", 0, journal.Entry{Kind: journal.CashIn, Ref: "T3", Amount: 300}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, refusal := newLab(t), tt.refusal
			l.append(t, sale("S1"))
			if of := l.append(t, sold); tt.needs.Kind == journal.Refund {
				tt.needs.Origin = of.Position()
			}
			held, goOn := make(chan struct{}), make(chan struct{})
			err := l.s.conn.Raw(func(c any) error {
				groups := 0
				c.(*sqlite3.SQLiteConn).RegisterCommitHook(func() (no int) {
					if groups++; groups <= 2 { // the first, and the one that was prepared meanwhile
						held <- struct{}{}
						<-goOn
					}
					if groups == 1 {
						return refusal
					}
					return 0
				})
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			said := make(chan error, 30)
			begin := func(e journal.Entry) {
				waits := make(chan struct{})
				go func() {
					_, err := l.Append(&asked{Context: t.Context(), waits: waits}, e)
					said <- err
				}()
				<-waits
			}
			begin(load("L0"))
			<-held
			for i := range 9 {
				begin(load(fmt.Sprintf("T1%d", i))) // later than all that are there
			}
			for l.queueLen() > 0 {
				time.Sleep(time.Millisecond)
			}
			begin(tt.needs)
			begin(load("T2"))
			if len(said) > 0 {
				t.Errorf("%d callers were told before anything was on the disk", len(said))
			}
			goOn <- struct{}{}
			left := 12
			if refusal == 0 {
				<-held
				if err := <-said; err != nil { // the first, which alone is on the disk
					t.Errorf("a caller is told %v", err)
				}
				runtime.Gosched() // who has been woken too early says so
				if len(said) > 0 {
					t.Errorf("%d callers more were told before they were on the disk", len(said))
				}
				left--
				goOn <- struct{}{}
			}
			for range left {
				if err := <-said; (err != nil) != (refusal > 0) || err != nil && !errors.Is(err, ErrFailed) {
					t.Errorf("a caller is told %v", err)
				}
			}
			open := 11 // loads
			if tt.needs.Ref != "S1" {
				open++ // the sale
			}
			if refusal > 0 {
				open = 1 // the sale
				l.restart(t)
			}
			for _, ref := range []string{"L0", "T10", "T18", "T2"} {
				_, missing := l.Get(t.Context(), ref)
				if written := missing == nil; written != (refusal == 0) {
					t.Errorf("%s is written: %t", ref, written)
				}
			}
			if r, err := l.Verify(t.Context()); err != nil || r.Open != open {
				t.Errorf("Verify: %d open, %v, want %d", r.Open, err, open)
			}
		})
	}
}

// asked is a context that says when somebody first waits for its end.
type asked struct {
	context.Context
	once  sync.Once
	waits chan struct{}
}

func (a *asked) Done() <-chan struct{} {
	a.once.Do(func() { close(a.waits) })
	return a.Context.Done()
}

func (l *lab) queueLen() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue)
}

func TestClosed(t *testing.T) {
	l := newLab(t)
	for range 2 {
		if err := l.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if _, err := l.Append(t.Context(), load("L1")); !errors.Is(err, ErrFailed) || !errors.Is(err, os.ErrClosed) {
		t.Errorf("Append = %v, want ErrFailed and os.ErrClosed", err)
	}
}

func TestRoom(t *testing.T) {
	l := newLab(t)
	if err := l.Room(t.Context()); err != nil {
		t.Errorf("Room: %v", err)
	}
	l.Book.o.RoomMin = 1 << 62 // no disk has it
	if err := l.Room(t.Context()); !errors.Is(err, ErrFull) {
		t.Errorf("Room = %v, want ErrFull", err)
	}
	l.append(t, load("L1")) // and it is only advice
}

// TestConcurrent has many goroutines say the same things at once. Each is
// written once, and everybody is told the same.
func TestConcurrent(t *testing.T) {
	const callers, loads = 8, 10
	l := newLab(t)
	got := make(chan []journal.Entry)
	for range callers {
		go func() {
			var mine []journal.Entry
			for i := range loads {
				e, err := l.Append(t.Context(), load(fmt.Sprintf("L%d", i)))
				if err != nil {
					t.Errorf("Append: %v", err)
				}
				mine = append(mine, e)
			}
			got <- mine
		}()
	}
	first := <-got
	for range callers - 1 {
		if next := <-got; !reflect.DeepEqual(next, first) {
			t.Errorf("one caller was told %s, another %s", refs(next), refs(first))
		}
	}
	if r, err := l.Verify(t.Context()); err != nil || r.Entries != loads+1 || r.Open != loads {
		t.Errorf("Verify = %+v, %v, want %d loads open", r, err, loads)
	}
}

// TestUnbalanced: were the rules for entries ever to let one pass that does not come to zero,
// that no number has room for or that the ledger itself may not write, the transaction that it
// is in is not committed.
func TestUnbalanced(t *testing.T) {
	moves := func(w *writer, name journal.Account, before, amount money.Fen) error {
		a, err := w.account(name)
		if err == nil {
			a.credits, a.was.credits = before, before
			a.add(amount)
		}
		return err
	}
	for name, tt := range map[string]struct {
		says func(*writer) error
		want string
	}{
		"from nowhere": {func(w *writer) error { return moves(w, journal.Safe, 0, 1) }, "0.01"},
		"too much": {func(w *writer) error {
			return errors.Join(moves(w, journal.Safe, math.MaxInt64, 1), moves(w, journal.Holder, 0, -1))
		}, "safe has overflowed"},
		"the ledger's own": {func(w *writer) error {
			_, err := w.add(journal.Entry{Kind: journal.ClockStep, Amount: -1}, w.moment())
			return err
		}, "internal error"},
	} {
		l, ctx := newLab(t), t.Context()
		if err := l.take(ctx); err != nil {
			t.Fatal(err)
		}
		_, err := l.w.transact(func() error {
			_, err := l.w.put(&request{entry: sale("S1")})
			return errors.Join(err, tt.says(l.w))
		}, nil)
		l.fail("append", err)
		l.give()
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: committed, %v, want %q", name, err, tt.want)
		}
		l.Close() // which says so once more
		l.open(t)
		if open := must2(l.OpenItems(ctx)); len(open) > 0 {
			t.Errorf("%s: it has written %+v, want nothing", name, open)
		}
	}
}

// TestUnreadable: what cannot be read while an entry is prepared refuses nothing, and ends
// the Book as any failure of the disk does.
func TestUnreadable(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	l.append(t, sale("S1"))
	for _, q := range []string{`DROP TRIGGER journal_is_never_changed`, `UPDATE journal SET body = x'00' WHERE ref = 'S1'`} {
		if _, err := l.s.conn.ExecContext(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Append(ctx, end(journal.SaleEnd, "S1", journal.Written)); !errors.Is(err, ErrFailed) {
		t.Errorf("Append = %v, want ErrFailed", err)
	}
}

// TestRefund gives sales back, in parts and at once, and never more than was
// paid, across a restart too.
func TestRefund(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	l.append(t, sale("S1"))
	paid := l.append(t, end(journal.SaleEnd, "S1", journal.Written)) // 5 yuan
	code := l.append(t, journal.Entry{Kind: journal.CodeSale, Ref: "S2", Account: "1002", Merchant: "M1", Amount: 300})
	torn := l.append(t, sale("S3"))
	refund := func(ref string, of journal.Entry, amount money.Fen) journal.Entry {
		return journal.Entry{
			Kind: journal.Refund, Ref: ref, Card: of.Card, Account: of.Account, Merchant: "M1",
			Amount: amount, Origin: of.Position(),
		}
	}
	for i, tt := range []struct {
		entry journal.Entry
		want  error
	}{
		{refund("R1", paid, 501), ErrRefund},
		{refund("R1", paid, 200), nil},
		{refund("R1", paid, 200), nil}, // which says it again
		{refund("R2", paid, 301), ErrRefund},
		{refund("R2", code, 300), nil},
		{refund("R3", code, 1), ErrRefund},
		{refund("R4", torn, 1), ErrRefund}, // nobody has paid yet
		{refund("R5", l.append(t, refund("R5a", paid, 1)), 1), ErrRefund},
		{func() journal.Entry { e := refund("R6", paid, 1); e.Merchant = "M2"; return e }(), ErrRefund},
		{func() journal.Entry { e := refund("R7", paid, 1); e.Origin.Seq = 999; return e }(), ErrRefund},
		{func() journal.Entry { e := refund("R8", paid, 900); e.Origin.Terminal = "K02"; return e }(), nil},
	} {
		if _, err := l.Append(ctx, tt.entry); !errors.Is(err, tt.want) {
			t.Errorf("%d: Append(%s of %s) = %v, want %v", i, tt.entry.Amount, tt.entry.Origin, err, tt.want)
		}
	}
	l.restart(t)
	var given atomic.Int64
	var all sync.WaitGroup
	for i := range 40 { // of 10 fen, where 299 are left
		all.Go(func() {
			_, err := l.Append(ctx, refund(fmt.Sprintf("P%02d", i), paid, 10))
			if err == nil {
				given.Add(10)
			} else if !errors.Is(err, ErrRefund) {
				t.Errorf("refund %d: %v", i, err)
			}
		})
	}
	all.Wait()
	if given.Load() != 290 {
		t.Errorf("%d fen were given back, want 290", given.Load())
	}
	if got, err := l.Balance(ctx, journal.MerchantAccount("M1")); err != nil || got != 9-900 {
		t.Errorf("merchant has %s, %v, want 0.09 less what was sold at another terminal", got, err)
	}
}

// TestAppendAt: many write at once, some under the number that they were told. Each has
// that number or is refused, and then nothing of it is written; also where the clock was
// set meanwhile.
func TestAppendAt(t *testing.T) {
	const callers, loads = 8, 20
	l := newLab(t)
	epoch, seq, err := l.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.wall = l.wall.Add(-time.Hour)
	if _, err := l.AppendAt(t.Context(), load("step"), epoch, seq); !errors.Is(err, ErrBehind) {
		t.Errorf("the number of the clock's step: %v, want ErrBehind", err)
	}
	written := make(chan int)
	for c := range callers {
		go func() {
			n := 0
			for i := range loads {
				ref := fmt.Sprintf("C%dL%d", c, i)
				epoch, seq, err := l.Next(t.Context())
				if err != nil {
					t.Errorf("Next: %v", err)
				}
				e, err := l.AppendAt(t.Context(), load(ref), epoch, seq)
				if err == nil {
					again, err2 := l.AppendAt(t.Context(), load(ref), epoch, 1)
					if n++; e.Seq != seq || err2 != nil || !reflect.DeepEqual(again, e) {
						t.Errorf("asked for %d, got %d; again %+v, %v", seq, e.Seq, again, err2)
					}
				} else if _, there := l.Get(t.Context(), ref); !errors.Is(err, ErrBehind) || !errors.Is(there, ErrNotFound) {
					t.Errorf("AppendAt = %v, and it is there: %v", err, there)
				}
			}
			written <- n
		}()
	}
	sum := 0
	for range callers {
		sum += <-written
	}
	r, err := l.Verify(t.Context())
	if err != nil || r.Open != sum || sum == 0 {
		t.Errorf("Verify = %+v, %v, want %d loads open", r, err, sum)
	}
}
