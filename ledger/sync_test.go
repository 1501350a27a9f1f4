package ledger

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"quancun/journal"
	"quancun/money"
)

// campus is the upstream of every test, as one who signs.
var campus = journal.Campus{
	Name: campusName, Key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, ed25519.SeedSize)),
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

// takes is what an upstream does with a batch: it proves it, and cosigns.
func takes(t testing.TB, have *journal.Frontier, b journal.Batch) journal.Ack {
	t.Helper()
	if b.From != have.Size+1 {
		t.Fatalf("batch begins at %d, upstream has %d", b.From, have.Size)
	}
	var last journal.Hash
	for _, body := range b.Bodies {
		last = journal.HashOf(body)
		have.Append(last)
	}
	c, err := journal.OpenCheckpoint(b.Note, public(key))
	if err != nil || c.Size != have.Size || c.Root != have.Root() || c.Epoch != b.Epoch || c.Terminal != "K01" {
		t.Fatalf("checkpoint %+v, %v does not prove %d entries with root %s", c, err, have.Size, have.Root())
	}
	note, err := campus.Cosign(b.Note, public(key), noon)
	if err != nil {
		t.Fatal(err)
	}
	return journal.Ack{Head: journal.Head{Epoch: b.Epoch, Seq: have.Size, Hash: last}, Note: note}
}

// TestOtherCampus: the campus has another key than the one that has signed for what upstream
// has, of which the terminal's papers tell while it runs, or at a start. The journal is whole,
// and goes on.
func TestOtherCampus(t *testing.T) {
	for name, learns := range map[string]func(testing.TB, *lab){
		"Start": func(t testing.TB, l *lab) { l.restart(t) },
		"Runs":  func(testing.TB, *lab) {},
	} {
		t.Run(name, func(t *testing.T) {
			l, ctx := newLab(t), t.Context()
			var have journal.Frontier
			if err := l.Acknowledge(ctx, takes(t, &have, must2(l.Batch(ctx, 1, journal.BatchMax)))); err != nil {
				t.Fatal(err)
			}
			other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{10}, ed25519.SeedSize))
			l.o.Campus = public(other)
			learns(t, l)
			l.append(t, topUp("A1"))
			b := must2(l.Batch(ctx, have.Size+1, journal.BatchMax))
			a := takes(t, &have, b)
			a.Note = must2(journal.Campus{Name: campusName, Key: other}.Cosign(b.Note, public(key), noon))
			if err := l.Acknowledge(ctx, a); err != nil {
				t.Errorf("Acknowledge: %v", err)
			}
			if r, err := l.Verify(ctx); err != nil || r.Acked != have.Size {
				t.Errorf("Verify = %+v, %v", r, err)
			}
			l.restart(t)
		})
	}
}

// TestLastHour adds up what was moved in the last hour and upstream does not have,
// over a restart, too.
func TestLastHour(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	hour := func(want int) {
		t.Helper()
		w, err := l.Waiting(ctx)
		if err != nil || int(w.Hour) != want {
			t.Errorf("Waiting = %+v, %v, want %d fen in the last hour", w, err, want)
		}
	}
	sell := func(ref string, amount money.Fen) {
		l.append(t, journal.Entry{Kind: journal.CodeSale, Ref: ref, Account: "1", Merchant: "m", Amount: amount})
	}
	hour(0)
	sell("a", 700)
	l.pass(40 * time.Minute)
	sell("b", 50)
	hour(750)
	l.restart(t)
	hour(750)
	l.pass(30 * time.Minute)
	hour(50)
	sell("c", 3)
	hour(53)
	b, err := l.Batch(ctx, 1, journal.BatchMax)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Acknowledge(ctx, takes(t, new(journal.Frontier), b)); err != nil {
		t.Fatal(err)
	}
	hour(0)
}

// TestNewestBounded: of a long outage no more is kept in memory than the last hour can take.
func TestNewestBounded(t *testing.T) {
	l := newLab(t)
	sold := l.append(t, sale("S1"))
	s := waitingSum{newest: slices.Repeat([]moved{{seq: 1}}, newestMax), through: sold.Seq - 1}
	if err := s.readNewest(t.Context(), l.s.conn, 0, sold.Seq); err != nil {
		t.Fatal(err)
	}
	if n := len(s.newest); n != newestMax || s.newest[n-1].seq != sold.Seq {
		t.Errorf("%d are kept, the last is %d, want %d and %d", n, s.newest[n-1].seq, newestMax, sold.Seq)
	}
}

// TestLastHourCutShort: who asks goes away while the newest entries are read. Whoever asks
// next is told of each of them once.
func TestLastHourCutShort(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	for _, ref := range []string{"S1", "S2", "S3"} {
		l.append(t, journal.Entry{Kind: journal.CodeSale, Ref: ref, Account: "2026", Merchant: "M1", Amount: 100})
	}
	var s waitingSum
	if _, err := s.read(ctx, cutShort{l.s.conn}, l.wall); err == nil {
		t.Fatal("what was cut short was read")
	}
	if w := must2(s.read(ctx, l.s.conn, l.wall)); w.Hour != 300 || w.Amount != 300 {
		t.Errorf("Waiting = %+v, want 3.00 of the last hour", w)
	}
}

// cutShort is a journal in which the reading of the newest entries ends behind them.
type cutShort struct{ *sql.Conn }

func (c cutShort) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if strings.HasPrefix(query, "SELECT seq, amount, body") {
		query = "SELECT * FROM (" + query + ") UNION ALL SELECT 1, 1, x'00'"
	}
	return c.Conn.QueryContext(ctx, query, args...)
}

func TestSync(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	l.Book.o.Sentinel = false // not for six hundred entries
	waiting := func(count int64, amount int, since time.Time, acked int64) {
		t.Helper()
		w, err := l.Waiting(ctx)
		if err != nil || w.Count != count || int(w.Amount) != amount || !w.Since.Equal(since) || w.Acked.Seq != acked {
			t.Errorf("Waiting = %+v, %v, want %d entries with %d fen since %v after %d", w, err, count, amount, since, acked)
		}
		w.Hour = 0
		items, err1 := l.OpenItems(ctx)
		beside, open, err2 := WaitingFile(ctx, l.path)
		if count == 1 { // that it was started is nothing to wait for
			w = Waiting{Acked: w.Acked}
		}
		if err := errors.Join(err1, err2); err != nil || beside != w || open != len(items) {
			t.Errorf("WaitingFile = %+v, %d, %v, want %+v and %d", beside, open, err, w, len(items))
		}
	}
	select {
	case <-l.Appended():
	default:
		t.Error("the start is not there to be pushed")
	}
	l.pass(time.Second)
	for i := range 300 { // more than a tile
		l.append(t, sale(fmt.Sprintf("S%03d", i)))
		l.append(t, end(journal.SaleEnd, fmt.Sprintf("S%03d", i), journal.Written))
	}
	select {
	case <-l.Appended():
	default:
		t.Error("nobody is told of what is there to be pushed")
	}
	waiting(601, 300*500, noon, 0)

	var upstream journal.Frontier
	first, err := l.Batch(ctx, 1, journal.BatchMax)
	if err != nil || len(first.Bodies) != 601 || first.Epoch != l.Epoch() {
		t.Fatalf("Batch(1) = %d entries, %v, want 601", len(first.Bodies), err)
	}
	ack := takes(t, &upstream, first)
	for range 2 { // an answer that comes twice is no news
		if err := l.Acknowledge(ctx, ack); err != nil {
			t.Fatalf("Acknowledge: %v", err)
		}
	}
	waiting(0, 0, time.Time{}, 601)
	if none, err := l.Batch(ctx, 602, journal.BatchMax); err != nil || len(none.Bodies) > 0 {
		t.Errorf("Batch(602) = %+v, %v, want none", none, err)
	}
	l.append(t, sale("T"))
	more := l.append(t, end(journal.SaleDoubt, "T", 0))
	waiting(2, 500, noon.Add(time.Second+600*time.Millisecond), 601)
	ack = takes(t, &upstream, batchFrom(t, l, 602))

	// What upstream could only have said of another journal is refused.
	for name, no := range map[string]struct {
		change func(*journal.Ack)
		want   error
	}{
		"OtherHash":   {func(a *journal.Ack) { a.Head.Hash[0]++ }, journal.ErrFork},
		"OtherEpoch":  {func(a *journal.Ack) { a.Head.Epoch[0]++ }, ErrNotFound},
		"Future":      {func(a *journal.Ack) { a.Head.Seq++ }, ErrNotFound},
		"Unsigned":    {func(a *journal.Ack) { a.Note = nil }, journal.ErrUnsigned},
		"NotCosigned": {func(a *journal.Ack) { a.Note = batchFrom(t, l, 602).Note }, journal.ErrUnsigned},
		"SmallerNote": {func(a *journal.Ack) { a.Note = first.Note }, journal.ErrUnsigned},
		"OtherRoot":   {func(a *journal.Ack) { a.Note = cosigned(t, l, a.Head, journal.Hash{1}) }, journal.ErrUnsigned},
	} {
		wrong := ack
		no.change(&wrong)
		if err := l.Acknowledge(ctx, wrong); !errors.Is(err, no.want) || errors.Is(err, ErrFailed) {
			t.Errorf("%s: Acknowledge = %v, want %v", name, err, no.want)
		}
	}
	waiting(2, 500, noon.Add(time.Second+600*time.Millisecond), 601)
	if err := l.Acknowledge(ctx, ack); err != nil {
		t.Errorf("Acknowledge: %v", err)
	}
	if h, err := l.HashAt(ctx, 0); err != nil || h != (journal.Hash{}) {
		t.Errorf("HashAt 0 = %s, %v, want nothing", h, err)
	}
	if _, err := l.HashAt(ctx, 9999); !errors.Is(err, ErrNotFound) {
		t.Errorf("HashAt 9999 = %v, want ErrNotFound", err)
	}
	if b, err := l.Batch(ctx, must2(l.Head(ctx)).Seq+1, journal.BatchMax); err != nil || len(b.Bodies)+len(b.Note) > 0 {
		t.Errorf("a batch from behind the end has %d entries and %d bytes of a note, %v", len(b.Bodies), len(b.Note), err)
	}
	if h, err := l.HashAt(ctx, more.Seq); err != nil || h != ack.Head.Hash {
		t.Errorf("HashAt = %s, %v, want %s", h, err, ack.Head.Hash)
	}
	l.restart(t) // and the start verifies it all
	waiting(1, 0, noon.Add(time.Second+602*time.Millisecond), 603)
	if r, err := l.Verify(ctx); err != nil || r.Entries != 604 || r.Acked != 603 {
		t.Errorf("Verify = %+v, %v, want 604 entries, 603 acknowledged", r, err)
	}
}

// cosigned is a checkpoint that both have signed, over a root that is not that of
// the journal.
func cosigned(t *testing.T, l *lab, h journal.Head, root journal.Hash) []byte {
	t.Helper()
	note, err := journal.Checkpoint{Terminal: "K01", Epoch: h.Epoch, Size: h.Seq, Root: root}.Sign(l.o.Key)
	if err != nil {
		t.Fatal(err)
	}
	if note, err = campus.Cosign(note, public(key), noon); err != nil {
		t.Fatal(err)
	}
	return note
}

// TestCheckpointsKept keeps one acknowledged checkpoint of each 256 entries.
func TestCheckpointsKept(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	l.Book.o.Sentinel = false
	var upstream journal.Frontier
	for _, to := range []int64{200, 250, 260, 270} {
		for seq := upstream.Size + 1; seq <= to; seq++ {
			if seq > 1 { // which was the start
				l.append(t, sale(fmt.Sprint("S", seq)))
			}
		}
		if err := l.Acknowledge(ctx, takes(t, &upstream, batchFrom(t, l, upstream.Size+1))); err != nil {
			t.Fatal(err)
		}
	}
	var kept string
	err := behind(t, l.path).QueryRowContext(ctx, `SELECT group_concat(size, ' ' ORDER BY size) FROM checkpoint
		WHERE cosigned IS NOT NULL`).Scan(&kept)
	if err != nil || kept != "250 270" {
		t.Errorf("checkpoints of %s entries are kept, %v, want 250 270", kept, err)
	}
}

// must returns f, which must go well.
// batchFrom returns what goes up at once from entry n on.
func batchFrom(t testing.TB, l *lab, n int64) journal.Batch {
	t.Helper()
	b, err := l.Batch(t.Context(), n, journal.BatchMax)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func must[A, B, R any](t testing.TB, f func(A, B) (R, error)) func(A, B) R {
	return func(a A, b B) R {
		t.Helper()
		r, err := f(a, b)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
}

// TestNext asks for the number of the next entry, also when the clock is set
// between the question and the entry.
func TestNext(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	for _, step := range []time.Duration{0, -time.Hour} {
		l.wall = l.wall.Add(step)
		epoch, seq, err := l.Next(ctx)
		if got := l.append(t, sale(fmt.Sprint("S", step))); err != nil || got.Seq != seq || got.Epoch != epoch {
			t.Errorf("Next = %s/%d, %v, and the entry is %s", epoch, seq, err, got.Position())
		}
	}
}

// TestNextForgets sets a clock that was compared with upstream's: it was right
// then, and nobody knows now.
func TestNextForgets(t *testing.T) {
	l := newLab(t)
	l.Synced(l.wall)
	if got := l.append(t, sale("S1")); got.Clock != journal.ClockSynced {
		t.Errorf("after the comparison the clock is %v", got.Clock)
	}
	l.wall = l.wall.Add(2 * time.Hour)
	if _, _, err := l.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := l.append(t, sale("S2")); got.Clock != journal.ClockAlone {
		t.Errorf("after it was set the clock is %v", got.Clock)
	}
	l.Synced(l.wall)
	l.wall = l.wall.Add(2 * time.Hour)
	if got := l.append(t, sale("S3")); got.Clock != journal.ClockAlone {
		t.Errorf("after it was set again the clock is %v", got.Clock)
	}
}

// TestBatchLimit pushes more than fits into one batch.
func TestBatchLimit(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	l.Book.o.Sentinel = false
	for i := range 30 {
		e := sale(fmt.Sprintf("S%02d", i))
		e.Details = []byte(`{"long":"` + strings.Repeat("x", 40<<10) + `"}`)
		l.append(t, e)
	}
	if b, err := l.Batch(ctx, 3, 2); err != nil || len(b.Bodies) != 2 {
		t.Errorf("a batch of two from 3 has %d entries, %v", len(b.Bodies), err)
	}
	var upstream journal.Frontier
	for from := int64(1); from <= 31; from = upstream.Size + 1 {
		b := batchFrom(t, l, from)
		size := 0
		for _, body := range b.Bodies {
			size += len(body)
		}
		if size > journal.BatchBytesMax || size < journal.BatchBytesMax-50<<10 && upstream.Size+int64(len(b.Bodies)) < 31 {
			t.Errorf("batch from %d has %d bytes", from, size)
		}
		takes(t, &upstream, b)
	}
}

// TestBatchGap deletes an entry from behind. What comes after it is pushed under
// no number but its own.
func TestBatchGap(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	for _, ref := range []string{"S1", "S2", "S3"} {
		l.append(t, sale(ref))
	}
	db := behind(t, l.path)
	for _, q := range []string{`DROP TRIGGER journal_is_never_deleted`, `DELETE FROM journal WHERE seq = 3`} {
		if _, err := db.ExecContext(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := l.Batch(ctx, 2, journal.BatchMax); !errors.Is(err, ErrTampered) {
		t.Errorf("batch over a gap = %d entries, %v, want ErrTampered", len(b.Bodies), err)
	}
	if b, err := l.Batch(ctx, 3, journal.BatchMax); !errors.Is(err, ErrTampered) {
		t.Errorf("batch from a gap = %d entries, %v, want ErrTampered", len(b.Bodies), err)
	}
}

func TestReceipt(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	cert, err := journal.Certify("K01", public(key), noon, campus.Key)
	if err != nil {
		t.Fatal(err)
	}
	l.append(t, sale("S1"))
	if _, err := l.Receipt(ctx, "S1", cert); !errors.Is(err, ErrNotFound) {
		t.Errorf("Receipt of an open sale = %v, want ErrNotFound", err)
	}
	sold := l.append(t, end(journal.SaleEnd, "S1", journal.Written))
	r, err := l.Receipt(ctx, "S1", cert)
	if err != nil {
		t.Fatal(err)
	}
	got, err := journal.OpenReceipt(r.Text(), public(campus.Key.(ed25519.PrivateKey)))
	if err != nil || got.Position != sold.Position() || got.Amount != sold.Amount {
		t.Errorf("OpenReceipt = %+v, %v, want that of %s", got, err, sold.Position())
	}
}

// TestNoKey: a Book without a key can sign nothing, and says so.
func TestNoKey(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	l.append(t, sale("S1"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l.o.Key = nil
	l.open(t)
	if b, err := l.Batch(ctx, 1, journal.BatchMax); !errors.Is(err, ErrNoKey) {
		t.Errorf("Batch = %d entries, %v, want ErrNoKey", len(b.Bodies), err)
	}
	if _, err := l.Old(ctx, journal.Head{}, journal.BatchMax); !errors.Is(err, ErrNoKey) {
		t.Errorf("Old = %v, want ErrNoKey", err)
	}
	if _, err := l.Receipt(ctx, "S1", journal.Certificate{}); !errors.Is(err, ErrNoKey) {
		t.Errorf("Receipt = %v, want ErrNoKey", err)
	}
	head := must2(l.Head(ctx))
	if err := l.Acknowledge(ctx, journal.Ack{Head: head}); err != nil || must2(l.Acked(ctx)) != head {
		t.Errorf("Acknowledge without a note = %v, acknowledged %+v, want %+v", err, must2(l.Acked(ctx)), head)
	}
}
