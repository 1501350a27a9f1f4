package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"quancun/journal"
	"quancun/money"
)

// rowsOf reads a whole journal.
func (l *lab) rowsOf(t testing.TB) []row {
	t.Helper()
	return must2(readRows(t.Context(), l.s.conn, `ORDER BY seq`))
}

// acknowledge has upstream take all, and returns its last entry.
func (l *lab) acknowledge(t testing.TB) journal.Head {
	t.Helper()
	if err := l.Acknowledge(t.Context(), takes(t, new(journal.Frontier), batchFrom(t, l, 1))); err != nil {
		t.Fatal(err)
	}
	return must2(l.Acked(t.Context()))
}

// threeEpochs is a journal that carries on two others, which upstream has: a start with C1 and
// C2, and an opening with C3.
func threeEpochs(t *testing.T) (l *lab, first, second []row) {
	t.Helper()
	l = newLab(t)
	l.append(t, code("C1"))
	l.append(t, code("C2"))
	l.acknowledge(t)
	first = l.rowsOf(t)
	if err := l.NewEpoch(t.Context(), journal.ReasonForked, journal.Head{}); err != nil {
		t.Fatal(err)
	}
	l.append(t, code("C3"))
	l.acknowledge(t)
	second = l.rowsOf(t)
	if err := l.NewEpoch(t.Context(), journal.ReasonForked, journal.Head{}); err != nil {
		t.Fatal(err)
	}
	return l, first, second
}

// headOf is upstream's, at an entry of a journal.
func headOf(rows []row, seq int64) journal.Head {
	h := journal.Head{Epoch: rows[0].Epoch, Seq: seq}
	if seq > 0 {
		h.Hash = rows[seq-1].hash
	}
	return h
}

// TestOlder: what upstream has lost of journals before this one is carried over, as far as it can
// be read, from where it is sure that both have the same.
func TestOlder(t *testing.T) {
	file := func(l *lab, rows []row) string { return oldName(l.path, rows[0].Epoch.String()) }
	for name, tt := range map[string]struct {
		theirs func(l *lab, first, second []row) journal.Head
		spoil  func(t *testing.T, l *lab, first, second []row)
		want   string // "1:2" is the second entry of the first journal
		gone   int64
	}{
		"nobody has asked": {theirs: func(*lab, []row, []row) journal.Head { return journal.Head{} }},
		"this one":         {theirs: func(l *lab, _, _ []row) journal.Head { return journal.Head{Epoch: l.Epoch()} }},
		"the first":        {theirs: func(_ *lab, first, _ []row) journal.Head { return headOf(first, 2) }, want: "1:3 2:1 2:2"},
		"nothing of it":    {theirs: func(_ *lab, first, _ []row) journal.Head { return headOf(first, 0) }, want: "1:1 1:2 1:3 2:1 2:2"},
		"the second":       {theirs: func(_ *lab, _, second []row) journal.Head { return headOf(second, 1) }, want: "2:2"},
		"nothing of that":  {theirs: func(_ *lab, _, second []row) journal.Head { return headOf(second, 0) }, want: "1:1 1:2 1:3 2:1 2:2"},
		"another entry": {theirs: func(_ *lab, _, second []row) journal.Head {
			return journal.Head{Epoch: second[0].Epoch, Seq: 1, Hash: journal.Hash{1}}
		}, want: "2:1 2:2"},
		"file gone": {
			theirs: func(_ *lab, _, second []row) journal.Head { return headOf(second, 0) },
			spoil:  func(t *testing.T, l *lab, first, _ []row) { remove(t, file(l, first)) },
			want:   "2:1 2:2", gone: 3,
		},
		"row damaged": {
			theirs: func(_ *lab, first, _ []row) journal.Head { return headOf(first, 1) },
			spoil: func(t *testing.T, l *lab, first, _ []row) {
				spoiled(t, file(l, first), `UPDATE journal SET body = substr(body, 1, length(body) - 1) WHERE ref = 'C1'`)
			},
			want: "1:3 2:1 2:2", gone: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, first, second := threeEpochs(t)
			if tt.spoil != nil {
				tt.spoil(t, l, first, second)
			}
			got, err := l.older(t.Context(), tt.theirs(l, first, second))
			var all string
			for _, r := range got.rows {
				which := 1 + slices.Index([]journal.Epoch{first[0].Epoch, second[0].Epoch}, r.Epoch)
				all += fmt.Sprintf(" %d:%d", which, r.Seq)
			}
			if err != nil || all != tt.want && all != " "+tt.want || got.gone != tt.gone {
				t.Errorf("older = %q, %d gone, %v, want %q and %d", all, got.gone, err, tt.want, tt.gone)
			}
		})
	}
}

// TestOlderFirstForm: entries of the first form say nothing of their place, which is told when they
// are carried over.
func TestOlderFirstForm(t *testing.T) {
	l := labAt(filepath.Join(t.TempDir(), "journal.db"))
	copyFile(t, v1File, l.path)
	l.pass(24 * time.Hour)
	l.open(t)
	defer func() { l.Close() }()
	old := l.Epoch()
	l.acknowledge(t)
	if err := l.NewEpoch(t.Context(), journal.ReasonForked, journal.Head{}); err != nil {
		t.Fatal(err)
	}
	got, err := l.older(t.Context(), journal.Head{Epoch: old})
	if err != nil || len(got.rows) < v1Entries {
		t.Fatalf("older = %d entries, %v, want %d at least", len(got.rows), err, v1Entries)
	}
	for i, r := range got.rows {
		if want := (journal.Position{Terminal: "K01", Epoch: old, Seq: int64(i + 1)}); r.Position() != want {
			t.Errorf("entry %d is %s, want %s", i, r.Position(), want)
		}
	}
}

// TestOld: an upstream that has lost what it had acknowledged of an older journal gets it again as it
// was, or is told that nobody has it.
func TestOld(t *testing.T) {
	l, first, second := threeEpochs(t)
	ctx := t.Context()
	for name, tt := range map[string]struct {
		theirs journal.Head
		most   int
		from   int64
		n      int
		want   error
	}{
		"all":             {headOf(first, 0), journal.BatchMax, 1, 3, nil},
		"the rest":        {headOf(first, 1), journal.BatchMax, 2, 2, nil},
		"one":             {headOf(second, 0), 1, 1, 1, nil},
		"nothing":         {headOf(first, 3), journal.BatchMax, 0, 0, ErrNotFound},
		"another journal": {journal.Head{Epoch: journal.Epoch{1}}, journal.BatchMax, 0, 0, ErrNotFound},
		"another entry": {journal.Head{Epoch: first[0].Epoch, Seq: 1, Hash: journal.Hash{1}}, journal.BatchMax,
			0, 0, ErrGone},
	} {
		b, err := l.Old(ctx, tt.theirs, tt.most)
		if !errors.Is(err, tt.want) || b.From != tt.from || len(b.Bodies) != tt.n {
			t.Errorf("%s: Old = %d from %d, %v, want %d from %d, %v", name, len(b.Bodies), b.From, err, tt.n, tt.from, tt.want)
		}
	}
	remove(t, oldName(l.path, first[0].Epoch.String()))
	if _, err := l.Old(ctx, headOf(first, 0), journal.BatchMax); !errors.Is(err, ErrGone) {
		t.Errorf("Old of a file that is gone = %v, want ErrGone", err)
	}
	copyFile(t, oldName(l.path, second[0].Epoch.String()), damagedName(l.path, second[0].Epoch))
	remove(t, oldName(l.path, second[0].Epoch.String()))
	if _, err := l.Old(ctx, headOf(second, 0), journal.BatchMax); !errors.Is(err, ErrGone) {
		t.Errorf("Old of a file that was damaged = %v, want ErrGone", err)
	}
}

// TestHasCarried: an entry is looked for among those with which a journal begins.
func TestHasCarried(t *testing.T) {
	l, first, _ := threeEpochs(t)
	open := l.append(t, sale("S1"))
	r := l.rowsOf(t)[open.Seq-1]
	if err := l.NewEpoch(t.Context(), journal.ReasonForked, journal.Head{}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		row  row
		want bool
	}{{r, true}, {first[0], false}, {row{}, false}} {
		if has, err := l.hasCarried(t.Context(), l.s.conn, tt.row); err != nil || has != tt.want {
			t.Errorf("hasCarried(%s) = %t, %v, want %t", tt.row.Position(), has, err, tt.want)
		}
	}
}

// TestCarriedOpening: an opening that was carried over is looked for among all that was, however much
// that is.
func TestCarriedOpening(t *testing.T) {
	l := newLab(t)
	l.Book.o.Sentinel = false
	for i := range chunkSpan + 10 {
		l.append(t, sale(fmt.Sprintf("S%03d", i)))
	}
	before := l.Epoch()
	if err := l.NewEpoch(t.Context(), journal.ReasonForked, journal.Head{}); err != nil {
		t.Fatal(err)
	}
	if _, known, err := carriedOpening(t.Context(), l.s.conn, before); err != nil || known {
		t.Errorf("carriedOpening = %t, %v, want none: the first journal has no opening", known, err)
	}
	between := l.Epoch()
	if err := l.NewEpoch(t.Context(), journal.ReasonForked, journal.Head{}); err != nil {
		t.Fatal(err)
	}
	if o, known, err := carriedOpening(t.Context(), l.s.conn, between); err != nil || !known || o.Epoch != between {
		t.Errorf("carriedOpening = %s, %t, %v, want that of %s", o.Position(), known, err, between)
	}
}

// TestRemains: what is made of what is left of a journal, of which upstream has the first six:
// a start, S1 that is open, S2 that has ended, S3 that has ended since, and C1.
func TestRemains(t *testing.T) {
	l := newLab(t)
	l.append(t, sale("S1"))
	l.append(t, sale("S2"))
	l.append(t, end(journal.SaleEnd, "S2", journal.Written))
	l.append(t, sale("S3"))
	l.append(t, journal.Entry{Kind: journal.CashIn, Ref: "C1", Amount: 300})
	acked := must2(l.Head(t.Context()))
	l.append(t, end(journal.SaleEnd, "S3", journal.Written))
	last := l.append(t, journal.Entry{Kind: journal.CashOut, Ref: "C2", Amount: 200})
	rows := l.rowsOf(t)
	whole := remains{epoch: acked.Epoch, acked: acked, agreed: acked, rows: rows}
	carried := func(e *estate) (all []int64) {
		for _, c := range e.carried {
			all = append(all, c.Origin.Seq)
		}
		return all
	}

	left := must2(whole.estate(l.Book.o))
	if o := left.opening; o.Head != last.Seq || o.Hash != journal.Hex(rows[7].hash) || o.Agreed != journal.Hex(acked.Hash) ||
		o.Reason != journal.ReasonRecovered || !left.at.Equal(last.At) || left.agreed.Seq != acked.Seq {
		t.Errorf("opening %+v at %s after %s", o, left.at, left.agreed)
	}
	if got := carried(left); !slices.Equal(got, []int64{2, 5, 7, 8}) {
		t.Errorf("carried over %v, want what upstream lacks, and the beginnings of S1 and S3", got)
	}
	want := balancesOf(t, l)
	maps.DeleteFunc(want, func(_ journal.Account, f money.Fen) bool { return f == 0 })
	if !maps.Equal(left.opening.Accounts, want) {
		t.Errorf("accounts %v, want %v", left.opening.Accounts, want)
	}

	whole.rows = slices.Delete(slices.Clone(rows), 5, 6) // what was put into the drawer cannot be read
	sums := must2(whole.estate(l.Book.o)).opening.Accounts
	delete(want, l.w.till) // it lacks 2.00, which went into the safe and are taken from there
	delete(want, journal.Safe)
	if !maps.Equal(sums, want) {
		t.Errorf("accounts %v, want %v", sums, want)
	}

	whole.rows, whole.extra, whole.extraOf = rows[:3], rows[7:], acked.Epoch // the last only the mirror has
	if left = must2(whole.estate(l.Book.o)); left.opening.Head != last.Seq || !left.at.Equal(last.At) ||
		!slices.Equal(carried(left), []int64{2, 3, 8}) {
		t.Errorf("opening %+v at %s with %v", left.opening, left.at, carried(left))
	}
	whole.extra = nil // upstream has more than can be read
	if left = must2(whole.estate(l.Book.o)); left.opening.Head != acked.Seq || left.opening.Hash != journal.Hex(acked.Hash) ||
		!left.at.Equal(rows[2].At) {
		t.Errorf("opening %+v at %s, want it after %+v", left.opening, left.at, acked)
	}
	whole.rows = nil
	if left = must2(whole.estate(l.Book.o)); left.opening.Head != acked.Seq || left.opening.Hash != journal.Hex(acked.Hash) {
		t.Errorf("opening %+v, want it after %+v", left.opening, acked)
	}
}

// TestRemainsOfTwoOpenings: the books begin once, with what the first opening says, wherever it was found.
func TestRemainsOfTwoOpenings(t *testing.T) {
	l, _, second := threeEpochs(t)
	r := remains{rows: second[:1], extra: l.rowsOf(t)[:1]}
	want, err := second[0].Opening()
	if sums := r.balances(l.Book.o); err != nil || len(sums) == 0 || !maps.Equal(sums, want.Accounts) {
		t.Errorf("accounts %v, %v, want %v", sums, err, want.Accounts)
	}
}

// TestReflect: what the mirror says of upstream counts if it is of this journal, and what it has
// more than that is added.
func TestReflect(t *testing.T) {
	l, _ := mirroredLab(t)
	rows, acked := l.rowsOf(t), must2(l.Acked(t.Context()))
	m := must2(readMirror(system{}, l.o.Mirror))
	m.acked = acked
	r := remains{epoch: l.Epoch(), rows: rows[:2]}
	if r.reflect(m); r.agreed != acked || r.mirrored != 1 || r.extra[0].hash != rows[2].hash || r.gone != 0 {
		t.Errorf("agreed %+v, %d more, %d gone, want %+v and the last", r.agreed, r.mirrored, r.gone, acked)
	}
	other := remains{epoch: journal.Epoch{1}, rows: rows[:1]}
	if other.reflect(m); other.agreed != (journal.Head{}) || other.extraOf != m.epoch || other.epoch != (journal.Epoch{1}) {
		t.Errorf("of another epoch agreed %+v, extra of %s", other.agreed, other.extraOf)
	}
	none := remains{}
	if none.reflect(m); none.epoch != m.epoch {
		t.Errorf("what is left is of %s, want %s", none.epoch, m.epoch)
	}
}

// TestRecoverWithout: a damaged page was that which says whose journal it is, or what upstream has, or
// that of all entries. What the others say is enough.
func TestRecoverWithout(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil          string
		journal, carry int
	}{
		"epoch":   {`UPDATE meta SET value = x'00' WHERE key = 'epoch'`, 4, 2},
		"entry":   {`UPDATE journal SET body = substr(body, 1, length(body) - 1) WHERE ref = 'C2'`, 3, 1},
		"entries": {`UPDATE journal SET body = substr(body, 1, length(body) - 1)`, 0, 0},
	} {
		l := labAt(filepath.Join(t.TempDir(), "journal.db"))
		l.open(t)
		l.append(t, code("C1"))
		acked := l.acknowledge(t)
		l.append(t, code("C2"))
		l.append(t, code("C3"))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		spoiled(t, l.path, tt.spoil)
		r, err := Recover(t.Context(), l.path, l.o)
		if err != nil || r.Epoch != acked.Epoch || r.Journal != tt.journal || r.Carried != tt.carry {
			t.Errorf("%s: Recover = %+v, %v, want %d of epoch %s, %d carried", name, r, err, tt.journal, acked.Epoch, tt.carry)
		}
		l.open(t)
		first := l.rowsOf(t)[0]
		before, err := first.Before()
		if o, err2 := first.Opening(); err != nil || err2 != nil || before != acked || !bytes.Equal(o.Epoch[:], acked.Epoch[:]) {
			t.Errorf("%s: opened after %+v, %v, of epoch %s, want %+v", name, before, err, o.Epoch, acked)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestRecoverBeside: the journal's file is gone, and what SQLite had beside it is not. It must never
// lie beside the new one, and is kept.
func TestRecoverBeside(t *testing.T) {
	l, _ := mirroredLab(t)
	epoch, wal := l.Epoch(), must2(os.ReadFile(l.path+"-wal"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	remove(t, l.path)
	if err := os.WriteFile(l.path+"-wal", wal, 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := Recover(t.Context(), l.path, l.o); err != nil || r.Mirror != 3 {
		t.Fatalf("Recover = %+v, %v, want the 3 entries of the mirror", r, err)
	}
	if kept, err := os.ReadFile(damagedName(l.path, epoch) + "-wal"); err != nil || len(wal) == 0 || !bytes.Equal(kept, wal) {
		t.Errorf("%d bytes of %d are kept, %v", len(kept), len(wal), err)
	}
	l.open(t)
	if open := must2(l.OpenItems(t.Context())); len(open) != 2 {
		t.Errorf("open %+v, want S1 and S2", open)
	}
}
