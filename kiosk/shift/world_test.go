package shift

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk/staff"
	"quancun/lab/disk"
	"quancun/ledger"
	"quancun/money"
)

const yuan = money.Yuan

var (
	noon    = time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC) // in Beijing
	cashier = staff.Member{No: "c7", Name: "张*三", Role: staff.Cashier}
	other   = staff.Member{No: "c8", Role: staff.Cashier}
	boss    = staff.Member{No: "s1", Role: staff.Supervisor}
)

// till is a terminal with a drawer, on clocks that the test owns.
type till struct {
	t    *testing.T
	path string
	fs   ledger.FS // nil for the machine's own
	wall time.Time
	up   time.Duration
	*ledger.Book
	*Drawer
	rules Rules
}

func newTill(t *testing.T) *till {
	t.Helper()
	dir := t.TempDir()
	c := &till{t: t, path: filepath.Join(dir, "journal.db"), wall: noon, up: time.Hour}
	c.rules.Left = filepath.Join(dir, "counts.left")
	c.start()
	t.Cleanup(func() { c.ok(c.Book.Close()) })
	return c
}

func (c *till) ok(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// start starts the terminal's program.
func (c *till) start() { c.ok(c.open()) }

func (c *till) open() error {
	b, err := ledger.Open(context.Background(), c.path, ledger.Options{
		Terminal: "K01", FS: c.fs, Now: func() time.Time { return c.wall }, Uptime: func() time.Duration { return c.up },
	})
	c.Book, c.Drawer = b, New(b, "K01", c.rules)
	return err
}

// restart ends the program and starts it again.
func (c *till) restart() {
	c.t.Helper()
	c.ok(c.Book.Close())
	c.start()
}

// pass lets both clocks run.
func (c *till) pass(d time.Duration) { c.wall, c.up = c.wall.Add(d), c.up+d }

// topUp takes cash for an account.
func (c *till) topUp(ref string, amount money.Fen) {
	c.t.Helper()
	_, err := c.Append(c.t.Context(), cash(ref, amount))
	c.ok(err)
}

func cash(ref string, amount money.Fen) journal.Entry {
	return journal.Entry{Kind: journal.CashTopUp, Ref: ref, Account: "2026", Amount: amount, Operator: "c7"}
}

// state is where the shift stands.
func (c *till) state() State {
	c.t.Helper()
	s, err := c.State(c.t.Context())
	c.ok(err)
	return s
}

// sound checks the journal, which adds up every report again.
func (c *till) sound() {
	c.t.Helper()
	if _, err := c.Verify(c.t.Context()); err != nil {
		c.t.Error(err)
	}
}

func act(ref string) Act { return Act{Ref: ref, By: cashier} }

// because is an act with a reason.
func because(ref string) Act { return Act{Ref: ref, By: cashier, Reason: "换零钱"} }

// release is a supervisor's word.
func release(a Act, p staff.Privilege) Act {
	a.Release = &staff.Release{What: p, For: a.Ref, Of: a.By, By: boss}
	return a
}

// notes are pieces that come to an amount of whole fen.
func notes(sum money.Fen) Count {
	c := Count{Pieces: map[money.Fen]int64{}}
	for _, worth := range []money.Fen{100 * yuan, 10 * yuan, yuan, 10, 1} {
		c.Pieces[worth] = int64(sum / worth)
		sum %= worth
	}
	return c
}

// step is one thing that is done in a shift.
type step struct {
	name string
	do   func(context.Context, *till) error
}

// steps are a whole shift, of 200 yuan, in which one fen gets lost, and the
// beginning of the next. Each may be done again.
var steps = []step{
	{"open", func(ctx context.Context, c *till) error { return c.Drawer.Open(ctx, act("r1"), 200*yuan) }},
	{"top-up", func(ctx context.Context, c *till) error {
		_, err := c.Append(ctx, cash("r2", 50*yuan))
		return err
	}},
	{"cash in", func(ctx context.Context, c *till) error {
		return c.CashIn(ctx, release(because("r3"), staff.CashMove), 10*yuan)
	}},
	{"no sale", func(ctx context.Context, c *till) error { return c.NoSale(ctx, release(because("r4"), staff.NoSale)) }},
	{"drop", func(ctx context.Context, c *till) error { return c.Drop(ctx, act("r5"), 100*yuan) }},
	{"cash out", func(ctx context.Context, c *till) error {
		return c.CashOut(ctx, release(because("r6"), staff.CashMove), 5*yuan)
	}},
	{"X", func(ctx context.Context, c *till) error {
		_, err := c.X(ctx, act("r7"))
		return err
	}},
	{"count", func(ctx context.Context, c *till) error {
		_, err := c.Drawer.Count(ctx, because("r8"), notes(155*yuan-1))
		return err
	}},
	{"empty", func(ctx context.Context, c *till) error { return c.Drop(ctx, act("r9"), 155*yuan-1) }},
	{"Z", func(ctx context.Context, c *till) error {
		_, err := c.Z(ctx, act("r10"))
		return err
	}},
	{"open again", func(ctx context.Context, c *till) error { return c.Drawer.Open(ctx, act("r11"), 300*yuan) }},
}

// whole is the Z of that shift.
var whole = journal.Report{
	Z: 1, X: 1, From: 1, Shift: "r1", Float: 200 * yuan, CashIn: journal.Sum{Count: 1, Amount: 10 * yuan},
	CashOut: journal.Sum{Count: 3, Amount: 260*yuan - 1}, TopUps: journal.Sum{Count: 1, Amount: 50 * yuan}, Short: 1,
	Counted: true, NoSales: 1,
}

// files is a disk of the lab as the ledger wants it.
type files struct{ *disk.Disk }

func (f files) Open(path string, flag int) (ledger.File, error) { return f.Disk.Open(path, flag) }

func (f files) Lock(path string) (io.Closer, error) {
	l, err := f.Disk.Lock(path)
	if errors.Is(err, disk.ErrLocked) {
		err = fmt.Errorf("%w: %w", ledger.ErrLocked, err)
	}
	return l, err
}
