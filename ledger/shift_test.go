package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"quancun/journal"
)

// tally adds up what l's journal has now.
func tally(t testing.TB, l *lab) *journal.Tally {
	t.Helper()
	sum := journal.NewTally("K01")
	for _, e := range must2(l.Since(t.Context(), 1, 1000)) {
		if err := sum.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	return sum
}

// report returns a report of a shift, as of now.
func report(t testing.TB, l *lab, k journal.Kind, ref string) journal.Entry {
	t.Helper()
	sum := tally(t, l)
	r := sum.Report(k)
	details, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return journal.Entry{Kind: k, Ref: ref, Operator: "c7", Amount: r.Till, Origin: sum.Last(), Details: details}
}

func opened(ref string) journal.Entry {
	return journal.Entry{Kind: journal.ShiftOpened, Ref: ref, Operator: "c7", Amount: 20_000}
}

// TestReport: a report is of everything before it or is not written, and the
// verification adds it up again.
func TestReport(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	l.append(t, opened("O1"))
	early := report(t, l, journal.ShiftClosed, "Z1")
	l.append(t, journal.Entry{Kind: journal.CashTopUp, Ref: "C1", Account: "2026", Amount: 500})
	if _, err := l.Append(ctx, early); !errors.Is(err, ErrBehind) {
		t.Errorf("a Z that lacks an entry: %v, want ErrBehind", err)
	}
	z := l.append(t, report(t, l, journal.ShiftClosed, "Z1"))
	if again := l.append(t, z); again.Seq != z.Seq {
		t.Errorf("the same Z is entries %d and %d", z.Seq, again.Seq)
	}
	l.wall = l.wall.Add(-1e12) // the clock is set: a step comes before the X, which does not mind
	l.append(t, report(t, l, journal.ShiftReport, "X1"))
	if _, err := l.Verify(ctx); err != nil {
		t.Error(err)
	}
}

// TestReportWrong: nobody can have written another sum than there is.
func TestReportWrong(t *testing.T) {
	l := newLab(t)
	l.o.Sentinel = false
	l.restart(t)
	l.append(t, opened("O1"))
	wrong := report(t, l, journal.ShiftClosed, "Z1")
	r, err := wrong.Report()
	if err != nil {
		t.Fatal(err)
	}
	r.Perpetual = 1
	wrong.Details, _ = json.Marshal(r)
	l.append(t, wrong)
	_, err = l.Verify(t.Context())
	if !errors.Is(err, ErrTampered) || !strings.Contains(err.Error(), "entries come to") {
		t.Errorf("Verify = %v", err)
	}
}

// TestEpochInShift: a shift goes on in a new epoch with all that was in it, also
// with what upstream has, and so do the numbers of reports. A drawer that nobody
// has opened carries its last Z alone.
func TestEpochInShift(t *testing.T) {
	for name, inShift := range map[string]bool{"Open": true, "Closed": false} {
		t.Run(name, func(t *testing.T) {
			l, ctx := newLab(t), t.Context()
			var upstream journal.Frontier
			l.append(t, opened("O1"))
			l.append(t, journal.Entry{Kind: journal.CodeSale, Ref: "S1", Account: "2026", Merchant: "M1", Amount: 700})
			l.append(t, report(t, l, journal.ShiftClosed, "Z1"))
			if inShift {
				l.append(t, opened("O2"))
			}
			l.append(t, journal.Entry{Kind: journal.CodeSale, Ref: "S2", Account: "2026", Merchant: "M1", Amount: 300})
			if err := l.Acknowledge(ctx, takes(t, &upstream, batchFrom(t, l, 1))); err != nil {
				t.Fatal(err)
			}
			want := tally(t, l).Report(journal.ShiftClosed)
			if err := l.NewEpoch(ctx, journal.ReasonRewound, journal.Head{}); err != nil {
				t.Fatal(err)
			}
			var carried []int64
			for _, e := range must2(l.Since(ctx, 2, 100)) {
				carried = append(carried, e.Origin.Seq)
			}
			all := []int64{4, 5, 6} // the Z, and what follows in the shift
			want.From, want.Part = 3, true
			if !inShift {
				all = all[:1]
				want.Code, want.Perpetual = journal.Sum{}, 700
			}
			if !slices.Equal(carried, all) {
				t.Errorf("carried over %v, want %v", carried, all)
			}
			if got := tally(t, l).Report(journal.ShiftClosed); got != want {
				t.Errorf("Z is\n%+v, want\n%+v", got, want)
			}
			l.append(t, report(t, l, journal.ShiftClosed, "Z2"))
			if _, err := l.Verify(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestShiftCarriedTwice: a shift that was carried into a new epoch is carried over once
// more out of the journal that it was in, of which the upstream has lost a part: what it
// came to is counted once.
func TestShiftCarriedTwice(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	var upstream journal.Frontier
	l.append(t, opened("O1"))
	l.append(t, journal.Entry{Kind: journal.CodeSale, Ref: "S1", Account: "2026", Merchant: "M1", Amount: 700})
	l.append(t, journal.Entry{Kind: journal.CashTopUp, Ref: "C1", Account: "2026", Amount: 500})
	if err := l.Acknowledge(ctx, takes(t, &upstream, batchFrom(t, l, 1))); err != nil {
		t.Fatal(err)
	}
	want, first := tally(t, l).Report(journal.ShiftClosed), l.Epoch()
	for _, theirs := range []journal.Head{{}, {Epoch: first}} {
		if err := l.NewEpoch(ctx, journal.ReasonRestored, theirs); err != nil {
			t.Fatal(err)
		}
	}
	got := tally(t, l).Report(journal.ShiftClosed)
	if want.From, want.Part = got.From, true; got != want {
		t.Errorf("Z is\n%+v, want\n%+v", got, want)
	}
	l.append(t, report(t, l, journal.ShiftClosed, "Z1"))
	if _, err := l.Verify(ctx); err != nil {
		t.Error(err)
	}
}

// TestRecoverInShift: a journal is damaged in the middle of a shift, all of which
// upstream has. What can be read of the shift is in its Z, and the numbers go on.
func TestRecoverInShift(t *testing.T) {
	l, ctx := labAt(filepath.Join(t.TempDir(), "journal.db")), t.Context()
	l.o.Sentinel = false
	l.open(t)
	var upstream journal.Frontier
	l.append(t, opened("O1"))
	l.append(t, report(t, l, journal.ShiftClosed, "Z1"))
	l.append(t, opened("O2"))
	for i := range 200 {
		l.append(t, journal.Entry{
			Kind: journal.CodeSale, Ref: fmt.Sprintf("S%03d", i), Account: "2026", Merchant: "M1", Amount: 100,
		})
	}
	if err := l.Acknowledge(ctx, takes(t, &upstream, batchFrom(t, l, 1))); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	content := must2(os.ReadFile(l.path))
	clear(content[len(content)/2/4096*4096:][:4096])
	if err := os.WriteFile(l.path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Recover(ctx, l.path, l.o); err != nil {
		t.Fatal(err)
	}
	l.open(t)
	defer l.Close()
	r := tally(t, l).Report(journal.ShiftClosed)
	if r.Z != 2 || r.Shift != "O2" || !r.Part || r.Float != 20_000 || r.Code.Count < 100 || r.Perpetual != r.Code.Amount {
		t.Errorf("the next Z is %+v", r)
	}
	l.append(t, report(t, l, journal.ShiftClosed, "Z2"))
	if _, err := l.Verify(ctx); err != nil {
		t.Error(err)
	}
}
