package shift

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quancun/journal"
	"quancun/lab/disk"
	"quancun/ledger"
)

// record has a whole shift on a disk, and marks each step that was done.
func record(t *testing.T) *disk.Recording {
	t.Helper()
	d := disk.New(disk.Options{Strict: true})
	t.Cleanup(d.Close)
	c := &till{t: t, path: "/journal.db", fs: files{d}, wall: noon, up: time.Hour}
	c.start()
	rec := d.Record()
	t.Cleanup(rec.Close)
	for i, s := range steps {
		c.pass(time.Minute)
		c.ok(s.do(t.Context(), c))
		d.Mark(i + 1)
	}
	rec.Stop()
	c.ok(c.Book.Close())
	return rec
}

// recovers starts the terminal on a disk on which so many steps were done, and
// one more perhaps. Whoever stands there does what they do not know to be done,
// and then, for good measure, all of it.
func recovers(d *disk.Disk, done int) (err error) {
	c := &till{path: "/journal.db", fs: files{d}, wall: noon.Add(time.Hour), up: time.Minute}
	if err := c.open(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Book.Close()) }()
	ctx := context.Background()
	if err := stands(ctx, c, done); err != nil {
		return err
	}
	for _, from := range []int{done, 0} {
		for _, s := range steps[from:] {
			if err := s.do(ctx, c); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	z, err := c.Z(ctx, act("r10"))
	if err != nil {
		return err
	}
	if z.Unsynced, z.ClockSteps = 0, 0; z != whole {
		return fmt.Errorf("Z is %+v, want %+v", z, whole)
	}
	s, err := c.State(ctx)
	if err != nil || s.Report.Till != 300*yuan || s.Report.Z != 1 || !s.Open {
		return fmt.Errorf("the next shift stands at %+v, %w", s, err)
	}
	_, err = c.Verify(ctx)
	return err
}

// stands checks that everything that was done is there, and no more than one
// thing besides.
func stands(ctx context.Context, c *till, done int) error {
	for i := range steps {
		_, err := c.Get(ctx, fmt.Sprintf("r%d", i+1))
		missing := errors.Is(err, ledger.ErrNotFound)
		switch {
		case err != nil && !missing:
			return err
		case missing && i < done:
			return fmt.Errorf("lost: %s", steps[i].name)
		case !missing && i > done:
			return fmt.Errorf("nobody has done: %s", steps[i].name)
		}
	}
	return nil
}

// TestPowerCutInShift cuts the power after every operation of the disk, at each
// step of a shift, and drops, keeps and tears what was not synchronised.
func TestPowerCutInShift(t *testing.T) {
	rec := record(t)
	var group sync.WaitGroup
	work := make(chan disk.State)
	var states, bad atomic.Int64
	for range 2 {
		group.Go(func() {
			for s := range work {
				states.Add(1)
				if err := recovers(s.Disk, s.Acked); err != nil && bad.Add(1) <= 3 {
					t.Errorf("%v: %v", s, err)
				}
				s.Disk.Close()
			}
		})
	}
	for s := range rec.States(disk.Choice{Seed: 1, Each: 2}) {
		work <- s
	}
	close(work)
	group.Wait()
	t.Logf("%d of %d states are bad", bad.Load(), states.Load())
	if states.Load() < 100 {
		t.Errorf("only %d states", states.Load())
	}
}

// breakingBook is a journal that fails at one call, with or without having
// written.
type breakingBook struct {
	Book
	at   int // counts down to the call that fails
	kept bool
}

var errBroken = errors.New("broken")

func (b *breakingBook) Append(ctx context.Context, e journal.Entry) (journal.Entry, error) {
	if b.at--; b.at != 0 {
		return b.Book.Append(ctx, e)
	}
	if b.kept {
		if _, err := b.Book.Append(ctx, e); err != nil {
			return journal.Entry{}, err
		}
	}
	return journal.Entry{}, errBroken
}

// TestShiftBroken loses the journal's answer at each step, before and after it
// has written: doing the step again is all it takes.
func TestShiftBroken(t *testing.T) {
	for at := 1; at <= len(steps); at++ {
		for _, kept := range []bool{false, true} {
			c := &till{t: t, path: filepath.Join(t.TempDir(), "journal.db"), wall: noon, up: time.Hour}
			c.start()
			c.Drawer = New(&breakingBook{c.Book, at, kept}, "K01", Rules{})
			failures := 0
			for _, s := range steps {
				err := s.do(t.Context(), c)
				if errors.Is(err, errBroken) {
					failures++
					err = s.do(t.Context(), c)
				}
				if err != nil {
					t.Errorf("call %d, kept %t: %s: %v", at, kept, s.name, err)
				}
			}
			z, err := c.Z(t.Context(), act("r10"))
			if z.Unsynced = 0; err != nil || z != whole || failures > 1 {
				t.Errorf("call %d, kept %t: %d failures; Z is %+v, %v, want %+v", at, kept, failures, z, err, whole)
			}
			c.sound()
			c.ok(c.Book.Close())
		}
	}
}
