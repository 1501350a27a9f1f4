package ledger

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"testing"
	"time"

	"quancun/journal"
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

func TestSync(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	l.Book.o.Sentinel = false // not for six hundred entries
	waiting := func(count int64, amount int, since time.Time, acked int64) {
		t.Helper()
		w, err := l.Waiting(ctx)
		if err != nil || w.Count != count || int(w.Amount) != amount || !w.Since.Equal(since) || w.Acked.Seq != acked {
			t.Errorf("Waiting = %+v, %v, want %d entries with %d fen since %v after %d", w, err, count, amount, since, acked)
		}
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
	first, err := l.Batch(ctx, 1)
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
	if none, err := l.Batch(ctx, 602); err != nil || len(none.Bodies) > 0 {
		t.Errorf("Batch(602) = %+v, %v, want none", none, err)
	}
	l.append(t, sale("T"))
	more := l.append(t, end(journal.SaleDoubt, "T", 0))
	waiting(2, 500, noon.Add(time.Second+600*time.Millisecond), 601)
	ack = takes(t, &upstream, must(t, l.Batch)(ctx, 602))

	// What upstream could only have said of another journal is refused.
	for name, change := range map[string]func(*journal.Ack){
		"OtherHash":   func(a *journal.Ack) { a.Head.Hash[0]++ },
		"OtherEpoch":  func(a *journal.Ack) { a.Head.Epoch[0]++ },
		"Future":      func(a *journal.Ack) { a.Head.Seq++ },
		"Unsigned":    func(a *journal.Ack) { a.Note = nil },
		"NotCosigned": func(a *journal.Ack) { a.Note = must(t, l.Batch)(ctx, 602).Note },
		"SmallerNote": func(a *journal.Ack) { a.Note = first.Note },
	} {
		wrong := ack
		change(&wrong)
		if err := l.Acknowledge(ctx, wrong); err == nil || errors.Is(err, ErrFailed) {
			t.Errorf("%s: Acknowledge = %v, want a refusal", name, err)
		}
	}
	waiting(2, 500, noon.Add(time.Second+600*time.Millisecond), 601)
	if err := l.Acknowledge(ctx, ack); err != nil {
		t.Errorf("Acknowledge: %v", err)
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

// must returns f, which must go well.
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
