package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"quancun/journal"
)

// everything is what can be asked of a Book that was opened.
func (l *lab) everything(t *testing.T) map[string]func(context.Context) error {
	head := must2(l.Head(t.Context()))
	return map[string]func(context.Context) error{
		"Append": func(ctx context.Context) error { _, err := l.Append(ctx, sale("S9")); return err },
		"AppendAt": func(ctx context.Context) error {
			_, err := l.AppendAt(ctx, sale("S9"), l.Epoch(), head.Seq+1)
			return err
		},
		"NewEpoch":    func(ctx context.Context) error { return l.NewEpoch(ctx, journal.ReasonForked, journal.Head{}) },
		"Room":        l.Room,
		"OpenItems":   func(ctx context.Context) error { _, err := l.OpenItems(ctx); return err },
		"OpenFor":     func(ctx context.Context) error { _, err := l.OpenFor(ctx, "1001"); return err },
		"Get":         func(ctx context.Context) error { _, err := l.Get(ctx, "S1"); return err },
		"Recent":      func(ctx context.Context) error { _, err := l.Recent(ctx, 1); return err },
		"Since":       func(ctx context.Context) error { _, err := l.Since(ctx, 1, 1); return err },
		"Balance":     func(ctx context.Context) error { _, err := l.Balance(ctx, journal.Safe); return err },
		"Backup":      func(ctx context.Context) error { return l.Backup(ctx, filepath.Join(t.TempDir(), "backup.db")) },
		"Old":         func(ctx context.Context) error { _, err := l.Old(ctx, journal.Head{}, 1); return err },
		"Before":      func(ctx context.Context) error { _, err := l.Before(ctx, noon); return err },
		"Head":        func(ctx context.Context) error { _, err := l.Head(ctx); return err },
		"Next":        func(ctx context.Context) error { _, _, err := l.Next(ctx); return err },
		"HashAt none": func(ctx context.Context) error { _, err := l.HashAt(ctx, 0); return err },
		"HashAt":      func(ctx context.Context) error { _, err := l.HashAt(ctx, 1); return err },
		"Batch":       func(ctx context.Context) error { _, err := l.Batch(ctx, 1, 1); return err },
		"Acknowledge": func(ctx context.Context) error { return l.Acknowledge(ctx, journal.Ack{Head: head}) },
		"Acked":       func(ctx context.Context) error { _, err := l.Acked(ctx); return err },
		"Waiting":     func(ctx context.Context) error { _, err := l.Waiting(ctx); return err },
		"Receipt":     func(ctx context.Context) error { _, err := l.Receipt(ctx, "S1", journal.Certificate{}); return err },
		"Verify":      func(ctx context.Context) error { _, err := l.Verify(ctx); return err },
		"Audit":       l.Audit,
	}
}

// TestEnded: who goes away before it is begun gets nothing done, and of a Book whose disk has
// failed nobody gets anything, whatever is asked.
func TestEnded(t *testing.T) {
	l := newLab(t)
	l.append(t, sale("S1"))
	head, all := must2(l.Head(t.Context())), l.everything(t)
	gone, leave := context.WithCancel(t.Context())
	leave()
	for name, ask := range all {
		for range 20 { // one that looks whether the turn is free as well would have it half the times
			if err := ask(gone); !errors.Is(err, context.Canceled) {
				t.Fatalf("%s of who is gone = %v, want context.Canceled", name, err)
			}
		}
	}
	if now := must2(l.Head(t.Context())); now != head {
		t.Errorf("the journal ends with %+v, want %+v", now, head)
	}
	l.fail("test", syscall.EIO)
	for name, ask := range all {
		if err := ask(t.Context()); !errors.Is(err, ErrFailed) {
			t.Errorf("%s of a Book that has failed = %v, want ErrFailed", name, err)
		}
	}
}

// TestFailsMeanwhile: the disk fails under one caller while others wait for their turn. They
// write nothing any more, and the turn is free for the end.
func TestFailsMeanwhile(t *testing.T) {
	l := newLab(t)
	l.append(t, sale("S1"))
	head, acked := must2(l.Head(t.Context())), must2(l.Acked(t.Context()))
	for name, ask := range map[string]func(context.Context) error{
		"Append":      func(ctx context.Context) error { _, err := l.Append(ctx, sale("S2")); return err },
		"Acknowledge": func(ctx context.Context) error { return l.Acknowledge(ctx, journal.Ack{Head: head}) },
	} {
		if err := l.take(t.Context()); err != nil {
			t.Fatal(err)
		}
		said, waits := make(chan error), make(chan struct{})
		go func() { said <- ask(&asked{Context: t.Context(), waits: waits}) }()
		<-waits
		l.fail("test", syscall.EIO)
		l.give()
		if err := <-said; !errors.Is(err, ErrFailed) {
			t.Errorf("%s = %v, want ErrFailed", name, err)
		}
		if len(l.turn) > 0 || len(l.disk) > 0 {
			t.Fatalf("after %s somebody still has the turn, or the disk", name)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		l.open(t)
		if _, err := l.Get(t.Context(), "S2"); !errors.Is(err, ErrNotFound) || must2(l.Acked(t.Context())) != acked {
			t.Errorf("%s has written: %v, %+v", name, err, must2(l.Acked(t.Context())))
		}
		head = must2(l.Head(t.Context()))
	}
}

// leaving is somebody who goes away once what was asked for has begun.
type leaving struct {
	context.Context
	asked atomic.Bool
}

func (l *leaving) Err() error {
	if l.asked.Swap(true) {
		return context.Canceled
	}
	return nil
}

func (l *leaving) Done() <-chan struct{} {
	if l.asked.Load() {
		return nil // it has been looked at, and looks as if it went on
	}
	return l.Context.Done()
}

// TestBegunIsFinished: what has begun to change the journal's files is done, although nobody waits
// for it any more.
func TestBegunIsFinished(t *testing.T) {
	l := newLab(t)
	old := l.append(t, sale("S1")).Epoch
	err := l.NewEpoch(&leaving{Context: t.Context()}, journal.ReasonForked, journal.Head{})
	if err != nil || l.Epoch() == old {
		t.Errorf("NewEpoch = %v, epoch %s after %s", err, l.Epoch(), old)
	}
}

// TestNothingLeft: of a file in which nothing can be read, without a mirror, no journal is made.
func TestNothingLeft(t *testing.T) {
	l := labAt(filepath.Join(t.TempDir(), "journal.db"))
	content := bytes.Repeat([]byte("no journal at all"), 1000)
	if err := os.WriteFile(l.path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := Recover(t.Context(), l.path, l.o); !errors.Is(err, ErrNotFound) {
		t.Errorf("Recover = %+v, %v, want ErrNotFound", r, err)
	}
	if got := must2(os.ReadFile(l.path)); !bytes.Equal(got, content) {
		t.Error("the file was changed")
	}
	var e estate
	if err := e.carry(row{}); err == nil || len(e.carried) > 0 {
		t.Errorf("carry of nothing = %v, %d entries", err, len(e.carried))
	}
}

// TestNewEpochFails: a new epoch that finds no room leaves the journal as it was, and no file open.
func TestNewEpochFails(t *testing.T) {
	l := labAt(filepath.Join(t.TempDir(), "journal.db"))
	l.o.FS = noRoomFor{system{}, nextSuffix + halfSuffix}
	l.open(t)
	defer func() { l.Close() }()
	l.append(t, sale("S1"))
	head := must2(l.Head(t.Context()))
	if err := l.NewEpoch(t.Context(), journal.ReasonForked, journal.Head{}); !errors.Is(err, ErrFull) || errors.Is(err, ErrFailed) {
		t.Errorf("NewEpoch = %v, want ErrFull", err)
	}
	if open := openUnder(t, l.path+nextSuffix); len(open) > 0 || must2(l.Head(t.Context())) != head {
		t.Errorf("%q are open, the journal ends with %+v, want %+v", open, must2(l.Head(t.Context())), head)
	}
	l.append(t, end(journal.SaleEnd, "S1", journal.Written))

	path := filepath.Join(t.TempDir(), "next.db")
	wrong := &estate{carried: []journal.Entry{{Kind: journal.ClockStep, Amount: -1}}, at: noon}
	if err := wrong.fill(t.Context(), path, l.Book.o); err == nil {
		t.Error("a new journal has an entry that may not be written")
	}
	if open := openUnder(t, path); len(open) > 0 {
		t.Errorf("%q are still open", open)
	}
}

// TestLater: a commit that came to nothing has no time that a later one could have.
func TestLater(t *testing.T) {
	l := newLab(t)
	l.append(t, sale("S1"))
	if _, err := l.AppendAt(t.Context(), sale("S2"), l.Epoch(), 99); !errors.Is(err, ErrBehind) {
		t.Fatalf("AppendAt = %v, want ErrBehind", err)
	}
	l.pass(time.Minute)
	if e := l.append(t, sale("S2")); !e.At.Equal(l.wall) || e.Uptime != l.up {
		t.Errorf("written at %s, %s after the start, want %s and %s", e.At, e.Uptime, l.wall, l.up)
	}
}

// TestAcknowledgeFails: what upstream has cannot be noted. Nobody knows what the disk has now, so
// that the Book has ended.
func TestAcknowledgeFails(t *testing.T) {
	l := newLab(t)
	ack := takes(t, new(journal.Frontier), batchFrom(t, l, 1))
	if _, err := behind(t, l.path).ExecContext(t.Context(), `DROP TABLE acked`); err != nil {
		t.Fatal(err)
	}
	if err := l.Acknowledge(t.Context(), ack); !errors.Is(err, ErrFailed) {
		t.Errorf("Acknowledge = %v, want ErrFailed", err)
	}
	if _, err := l.Append(t.Context(), sale("S1")); !errors.Is(err, ErrFailed) {
		t.Errorf("Append after that = %v, want ErrFailed", err)
	}
}

// TestAccountChanged: another program has changed an account. The next entry that moves it is
// not written.
func TestAccountChanged(t *testing.T) {
	l := newLab(t)
	l.Book.o.Sentinel = false
	l.append(t, sale("S1"))
	l.append(t, end(journal.SaleEnd, "S1", journal.Written))
	const more = `UPDATE account SET debits = debits + 1, credits = credits + 1 WHERE name = 'merchant/M1'`
	if r, err := behind(t, l.path).ExecContext(t.Context(), more); err != nil || must2(r.RowsAffected()) != 1 {
		t.Fatal(r, err)
	}
	l.append(t, sale("S2"))
	_, err := l.Append(t.Context(), end(journal.SaleEnd, "S2", journal.Written))
	if !errors.Is(err, ErrFailed) || !errors.Is(err, ErrTampered) {
		t.Errorf("Append = %v, want ErrTampered", err)
	}
}

// TestNothingKept: what a commit needed is let go of, so that months of them take no more
// memory than one. The accounts have their flags, and are all that stays.
func TestNothingKept(t *testing.T) {
	l := newLab(t)
	for i := range 20 {
		l.append(t, journal.Entry{Kind: journal.CashIn, Ref: fmt.Sprint("C", i), Amount: 300})
	}
	for _, b := range []*batch{l.w.batch, l.w.spare} {
		rows := slices.IndexFunc(b.rows[:cap(b.rows)], func(v driver.NamedValue) bool { return v.Value != nil })
		if len(b.refs)+len(b.touched)+len(b.nodes)+len(b.moves) > 0 || rows >= 0 {
			t.Errorf("a batch keeps %+v", b)
		}
	}
	drawers := map[journal.Account]bool{}
	err := each(t.Context(), l.s.conn, `SELECT name, flags FROM account`, func(rows *sql.Rows) error {
		var name journal.Account
		var flags int
		err := rows.Scan(&name, &flags)
		drawers[name] = flags == 1
		return err
	})
	if err != nil || len(drawers) != 2 || !drawers[l.w.till] || drawers[journal.Safe] {
		t.Errorf("drawers: %v, %v, want %s alone", drawers, err, l.w.till)
	}
}

// TestNoMirror: a Book without a mirror has none, and says that it is well.
func TestNoMirror(t *testing.T) {
	l := newLab(t)
	l.append(t, sale("S1"))
	if h := l.MirrorHealth(); h != (MirrorHealth{}) || l.mirror != nil {
		t.Errorf("MirrorHealth = %+v, want none", h)
	}
	l.Reflect()
}

// TestReadersBeside: one reads while another does, and a store is closed once.
func TestReadersBeside(t *testing.T) {
	l := newLab(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := l.read(ctx, "read", func(querier) error {
		_, err := l.Recent(ctx, 1)
		return err
	})
	if err != nil {
		t.Errorf("to read beside a reader: %v", err)
	}
	s, err := openStore(t.Context(), filepath.Join(t.TempDir(), "other.db"), l.Book.o)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.close(), s.close()); err != nil {
		t.Errorf("close, twice: %v", err)
	}
}
