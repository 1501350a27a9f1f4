package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"quancun/money"
)

// lab is a Book on a real file, with clocks that the test owns.
type lab struct {
	*Book
	path string
	wall time.Time
	up   time.Duration
}

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func newLab(t testing.TB) *lab {
	t.Helper()
	l := &lab{path: filepath.Join(t.TempDir(), "journal.db"), wall: noon, up: time.Hour}
	l.open(t)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return l
}

func (l *lab) open(t testing.TB) {
	t.Helper()
	b, err := Open(t.Context(), l.path, Options{
		Version: "1.0",
		Now:     func() time.Time { return l.wall },
		Uptime:  func() time.Duration { return l.up },
	})
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
func (l *lab) append(t testing.TB, e Entry) Entry {
	t.Helper()
	got, err := l.Append(t.Context(), e)
	if err != nil {
		t.Fatalf("Append(%s %s): %v", e.Kind, e.Ref, err)
	}
	return got
}

func topUp(ref string) Entry {
	return Entry{Kind: TopUpIntent, Ref: ref, Card: "1001", Amount: 20 * money.Yuan}
}

func load(ref string) Entry {
	return Entry{Kind: LoadIntent, Ref: ref, Card: "1001", Amount: 20 * money.Yuan,
		Details: json.RawMessage(`{"counter":7}`)}
}

func end(k Kind, ref string, o Outcome) Entry { return Entry{Kind: k, Ref: ref, Outcome: o} }

func refs(entries []Entry) string {
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
	if want := (Entry{Seq: 2, At: noon.Add(time.Second), Kind: TopUpIntent, Ref: "T1", Card: "1001",
		Amount: 20 * money.Yuan}); !reflect.DeepEqual(paying, want) {
		t.Errorf("Append = %+v, want %+v", paying, want)
	}
	l.append(t, end(TopUpEnd, "T1", Paid))
	l.append(t, load("L1"))

	open, err := l.OpenItems(ctx)
	if got, want := refs(open), "4:L1"; err != nil || got != want {
		t.Errorf("OpenItems = %s, %v, want %s", got, err, want)
	}
	due, err := l.Unreported(ctx, 10)
	if got, want := refs(due), "3:T1"; err != nil || got != want {
		t.Errorf("Unreported = %s, %v, want %s: a load that is running is in no doubt yet", got, err, want)
	}

	l.restart(t)
	due, err = l.Unreported(ctx, 10)
	if got, want := refs(due), "3:T1 4:L1"; err != nil || got != want {
		t.Errorf("Unreported after a restart = %s, %v, want %s", got, err, want)
	}
	written := l.append(t, Entry{Kind: LoadEnd, Ref: "L1", Outcome: Written, Details: json.RawMessage(`{"tac": "AB"}`)})
	if written.Seq != 6 || written.Card != "1001" || written.Amount != 20*money.Yuan {
		t.Errorf("end of L1 = %+v, want entry 6 with the card and the amount of its intent", written)
	}
	item, err := l.Get(ctx, "L1")
	if err != nil || item.Open() || item.Intent.Seq != 4 || !reflect.DeepEqual(item.End, written) {
		t.Errorf("Get = %+v, %v, want entries 4 and 6", item, err)
	}
	recent, err := l.Recent(ctx, 3)
	if got, want := refs(recent), "6:L1 5: 4:L1"; err != nil || got != want {
		t.Errorf("Recent = %s, %v, want %s", got, err, want)
	}
	report, err := l.Verify(ctx)
	seq, head, headErr := l.Head(ctx)
	if err != nil || headErr != nil || report.Entries != 6 || seq != 6 || report.Head != head || report.Open != 0 {
		t.Errorf("Verify = %+v, %v; Head = %d %s, %v; want 6 entries, none open", report, err, seq, head, headErr)
	}
	if n, err := l.Count(ctx); err != nil || n != 6 {
		t.Errorf("Count = %d, %v, want 6", n, err)
	}
}

// TestRules appends one entry to a journal in which T1 and L1 are open, and T2
// and L2 have ended.
func TestRules(t *testing.T) {
	other := func(e Entry, change func(*Entry)) Entry { change(&e); return e }
	for _, tt := range []struct {
		name  string
		entry Entry
		want  error
		again int64 // the entry that said it before, if one did
	}{
		{name: "Intent", entry: topUp("T3")},
		{name: "IntentAgain", entry: topUp("T1"), again: 2},
		{name: "EndedIntentAgain", entry: load("L2"), again: 5},
		{name: "SpacesDoNotMatter", entry: other(load("L1"), func(e *Entry) {
			e.Details = json.RawMessage(` { "counter" : 7 } `)
		}), again: 3},
		{name: "SeqAndAtDoNotMatter", entry: other(load("L1"), func(e *Entry) { e.Seq, e.At = 99, noon }), again: 3},
		{name: "OtherAmount", entry: other(topUp("T1"), func(e *Entry) { e.Amount++ }), want: ErrConflict},
		{name: "OtherCard", entry: other(load("L1"), func(e *Entry) { e.Card = "1002" }), want: ErrConflict},
		{name: "OtherDetails", entry: other(load("L1"), func(e *Entry) { e.Details = nil }), want: ErrConflict},
		{name: "OtherKind", entry: load("T1"), want: ErrConflict},
		{name: "End", entry: end(TopUpEnd, "T1", Refused)},
		{name: "EndInFull", entry: other(end(LoadEnd, "L1", NotWritten), func(e *Entry) {
			e.Card, e.Amount = "1001", 20*money.Yuan
		})},
		{name: "EndAgain", entry: end(TopUpEnd, "T2", Closed), again: 6},
		{name: "EndDiffers", entry: end(TopUpEnd, "T2", Paid), want: ErrResolved},
		{name: "EndDetailsDiffer", entry: other(end(LoadEnd, "L2", Elsewhere), func(e *Entry) {
			e.Details = json.RawMessage(`1`)
		}), want: ErrResolved},
		{name: "EndOfNothing", entry: end(LoadEnd, "L9", Written), want: ErrNoIntent},
		{name: "EndOfOtherKind", entry: end(LoadEnd, "T1", Written), want: ErrNoIntent},
		{name: "EndOfOtherCard", entry: other(end(LoadEnd, "L1", Written), func(e *Entry) {
			e.Card = "1002"
		}), want: ErrConflict},
		{name: "EndOfOtherAmount", entry: other(end(LoadEnd, "L1", Written), func(e *Entry) {
			e.Amount = 1
		}), want: ErrConflict},

		{name: "NoKind", entry: Entry{Ref: "X"}, want: ErrInvalid},
		{name: "BooksOwnKind", entry: Entry{Kind: Started}, want: ErrInvalid},
		{name: "BooksOwnStep", entry: Entry{Kind: ClockStep}, want: ErrInvalid},
		{name: "NoRef", entry: topUp(""), want: ErrInvalid},
		{name: "LongRef", entry: topUp(strings.Repeat("x", 65)), want: ErrInvalid},
		{name: "RefWithSpace", entry: topUp("a b"), want: ErrInvalid},
		{name: "RefNotASCII", entry: topUp("充值"), want: ErrInvalid},
		{name: "LoadWithoutCard", entry: other(load("L3"), func(e *Entry) { e.Card = "" }), want: ErrInvalid},
		{name: "NoAmount", entry: other(load("L3"), func(e *Entry) { e.Amount = 0 }), want: ErrInvalid},
		{name: "NegativeAmount", entry: other(load("L3"), func(e *Entry) { e.Amount = -1 }), want: ErrInvalid},
		{name: "HugeAmount", entry: other(load("L3"), func(e *Entry) { e.Amount = amountMax + 1 }), want: ErrInvalid},
		{name: "IntentWithOutcome", entry: other(load("L3"), func(e *Entry) { e.Outcome = Written }), want: ErrInvalid},
		{name: "EndWithoutOutcome", entry: end(LoadEnd, "L1", 0), want: ErrInvalid},
		{name: "OutcomeOfOtherKind", entry: end(LoadEnd, "L1", Paid), want: ErrInvalid},
		{name: "DetailsNotJSON", entry: other(load("L3"), func(e *Entry) {
			e.Details = json.RawMessage(`{`)
		}), want: ErrInvalid},
		{name: "DetailsTooLong", entry: other(load("L3"), func(e *Entry) {
			e.Details = json.RawMessage(`"` + strings.Repeat("x", detailsLenMax) + `"`)
		}), want: ErrInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, ctx := newLab(t), t.Context()
			l.append(t, topUp("T1"))
			l.append(t, load("L1"))
			l.append(t, topUp("T2"))
			l.append(t, load("L2"))
			l.append(t, end(TopUpEnd, "T2", Closed))
			l.append(t, end(LoadEnd, "L2", Elsewhere))

			got, err := l.Append(ctx, tt.entry)
			want, count := int64(8), int64(8)
			switch {
			case tt.want != nil:
				want, count = 0, 7
			case tt.again > 0:
				want, count = tt.again, 7
			}
			n, countErr := l.Count(ctx)
			if !errors.Is(err, tt.want) || got.Seq != want || n != count || countErr != nil {
				t.Errorf("Append = entry %d, %v, then %d entries, %v; want entry %d, %v, then %d",
					got.Seq, err, n, countErr, want, tt.want, count)
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

func TestOutbox(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	check := func(want string) {
		t.Helper()
		if got, err := l.Unreported(ctx, 10); err != nil || refs(got) != want {
			t.Errorf("Unreported = %s, %v, want %s", refs(got), err, want)
		}
	}
	l.append(t, load("L1"))
	l.append(t, topUp("T1"))
	check("")
	for range 2 { // saying it again is harmless
		if err := l.LeaveInDoubt(ctx, "L1"); err != nil {
			t.Fatalf("LeaveInDoubt: %v", err)
		}
	}
	l.append(t, end(TopUpEnd, "T1", Paid))
	check("2:L1 4:T1")
	if got, err := l.Unreported(ctx, 1); err != nil || refs(got) != "2:L1" {
		t.Errorf("Unreported(1) = %s, %v, want 2:L1", refs(got), err)
	}
	for range 2 {
		if err := l.MarkReported(ctx, 2); err != nil {
			t.Fatalf("MarkReported: %v", err)
		}
	}
	check("4:T1")
	l.restart(t) // a load is put up once, not at every start
	check("4:T1")
	l.append(t, end(LoadEnd, "L1", Written)) // its end is news of its own
	check("4:T1 6:L1")

	l.append(t, load("L2"))
	if err := l.LeaveInDoubt(ctx, "L2"); err != nil {
		t.Fatalf("LeaveInDoubt: %v", err)
	}
	l.append(t, end(LoadEnd, "L2", NotWritten)) // now the doubt itself is no news
	check("4:T1 6:L1 8:L2")

	if err := l.MarkReported(ctx, 1); !errors.Is(err, ErrNotFound) {
		t.Errorf("MarkReported(1) = %v, want ErrNotFound", err)
	}
	if err := l.LeaveInDoubt(ctx, "L2"); !errors.Is(err, ErrResolved) {
		t.Errorf("LeaveInDoubt(L2) = %v, want ErrResolved", err)
	}
	for _, ref := range []string{"T1", "L9"} {
		if err := l.LeaveInDoubt(ctx, ref); !errors.Is(err, ErrNotFound) {
			t.Errorf("LeaveInDoubt(%s) = %v, want ErrNotFound", ref, err)
		}
	}
	if _, err := l.Verify(ctx); err != nil {
		t.Errorf("Verify: %v", err)
	}
}

// TestCancelled checks that a context that has ended stops a call before it
// begins, and does the Book no harm.
func TestCancelled(t *testing.T) {
	l := newLab(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Append(ctx, load("L1")); err != context.Canceled {
		t.Errorf("Append = %v, want %v", err, context.Canceled)
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
	l.roomMin = 1 << 62 // no disk has it
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
	got := make(chan []Entry)
	for range callers {
		go func() {
			var mine []Entry
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

func BenchmarkAppend(b *testing.B) {
	l := newLab(b)
	for i := range b.N {
		l.pass(time.Millisecond)
		l.append(b, load(fmt.Sprintf("L%d", i)))
	}
}
