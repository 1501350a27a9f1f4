package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quancun/journal"
)

// bg is for children, which have no test to ask for a context.
var bg = context.Background()

// TestLocked opens a journal that another process has, and one that this
// process has already. The lock goes with the process, even when it is killed.
func TestLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	cmd := child(t, "hold", path, 0)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 64)
	if n, err := stdout.Read(line); err != nil || string(line[:n]) != "open\n" {
		t.Fatalf("child says %q, %v, want open", line[:n], err)
	}

	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, link} {
		_, err = Open(t.Context(), name, plain)
		if holder := fmt.Sprintf("process %d", cmd.Process.Pid); !errors.Is(err, ErrLocked) ||
			!strings.Contains(err.Error(), holder) {
			t.Errorf("Open(%s) = %v, want ErrLocked by %s", name, err, holder)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // it was killed

	b, err := Open(t.Context(), path, plain)
	if err != nil {
		t.Fatalf("Open after the kill: %v", err)
	}
	defer b.Close()
	if _, err = Open(t.Context(), path, plain); !errors.Is(err, ErrLocked) {
		t.Errorf("second Open = %v, want ErrLocked", err)
	}
	if r, err := b.Verify(t.Context()); err != nil || r.Entries != 2 {
		t.Errorf("Verify = %+v, %v, want the two starts", r, err)
	}
}

// TestKilled kills a process at each point of its work. What it had said to be
// done is done; the one thing that it was doing is done whole or not at all;
// and all of it can be said again, to the same end.
//
// A kill leaves the page cache alone, so this proves that the transactions are
// whole, and not that they are on the disk. For that, see TestPowerCut.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a process for every point")
	}
	for n, killed := 1, true; killed; n++ {
		path := filepath.Join(t.TempDir(), fmt.Sprintf("journal%d.db", n))
		out, err := child(t, "work", path, n).Output()
		said := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
		if len(out) == 0 {
			said = nil
		}
		if killed = err != nil; killed && !strings.Contains(err.Error(), "killed") {
			t.Fatalf("point %d: %v: %s", n, err, out)
		}
		if !killed && (len(said) != len(work) || n < 40) {
			t.Fatalf("survived point %d and said %q, want every one of %d, and 40 points at least", n, said, len(work))
		}
		if err := recovers(path, said); err != nil {
			t.Errorf("point %d, after %q: %v", n, said, err)
		}
	}
}

// recovers opens what is left after a crash and does all of the work again. It
// returns an error if the journal is not whole, or lacks what was said.
func recovers(path string, said []string) error {
	b, err := Open(bg, path, plain) // verifies
	if err != nil {
		return err
	}
	defer b.Close()
	before, err := b.Head(bg)
	if err != nil {
		return err
	}
	for i, w := range work {
		if err := w.do(b); err != nil {
			return fmt.Errorf("%s again: %w", w.name, err)
		}
		if after, err := b.Head(bg); err != nil || i < len(said) && after != before {
			return fmt.Errorf("%s was acknowledged and is lost (%v)", w.name, err)
		}
	}
	r, err := b.Verify(bg)
	open, openErr := b.OpenItems(bg)
	till, tillErr := b.Balance(bg, journal.TillAccount("K01"))
	if err := errors.Join(err, openErr, tillErr); err != nil || r.Open != 0 || len(open) != 0 || till != -300 {
		return fmt.Errorf("at last %+v, open %v, drawer %s (%w); want none open, 3.00 in the drawer", r, open, -till, err)
	}
	return nil
}

// TestKilledInMigration kills a process before each migration of a new journal
// and of one of version 1.
func TestKilledInMigration(t *testing.T) {
	for _, tt := range []struct {
		name    string
		from    string // the journal to begin with
		n       int
		entries int64 // in the end, with the start
	}{
		{"NewBeforeFirst", "", 1, 1},
		{"NewBeforeThird", "", 3, 1},
		{"OldBeforeSecond", v1File, 2, v1Entries + 2}, // with a doubt
		{"OldBeforeThird", v1File, 3, v1Entries + 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal.db")
			if tt.from != "" {
				copyFile(t, tt.from, path)
			}
			for range 2 { // the second time it finds what the first has left
				out, err := child(t, "migrate", path, tt.n).Output()
				if err == nil || !strings.Contains(err.Error(), "killed") {
					t.Fatalf("child: %v: %s", err, out)
				}
			}
			b, err := Open(t.Context(), path, plain)
			if err != nil {
				t.Fatalf("Open: %v", err)
			}
			defer b.Close()
			if r, err := b.Verify(t.Context()); err != nil || r.Entries != tt.entries {
				t.Errorf("Verify = %+v, %v, want %d entries", r, err, tt.entries)
			}
		})
	}
}

// TestStarved lets a write fail in earnest, at several places of a frame. The
// Book is finished then, and the journal is not.
func TestStarved(t *testing.T) {
	for _, n := range []int{0, 1, 24, 4096, 4120, 10_000, 50_000} {
		path := filepath.Join(t.TempDir(), "journal.db")
		out, err := child(t, "starve", path, n).Output()
		said := strings.Fields(string(out))
		if err != nil || len(said) == 0 || said[len(said)-1] != "failed" {
			t.Fatalf("%d bytes: child: %v: %s", n, err, out)
		}
		said = said[:len(said)-1]
		b, err := Open(t.Context(), path, plain)
		if err != nil {
			t.Fatalf("%d bytes: Open: %v", n, err)
		}
		defer b.Close()
		open, err := b.OpenItems(t.Context())
		if err != nil || len(open) < len(said) || len(open) > len(said)+1 {
			t.Errorf("%d bytes: %d loads open, %v; want the %d acknowledged and one more at most",
				n, len(open), err, len(said))
		}
	}
}

// TestFull fills the file up to a limit that SQLite itself keeps.
func TestFull(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	l.Book.o.Sentinel = false // it would fail first
	var pages int
	if err := l.s.conn.QueryRowContext(ctx, `PRAGMA page_count`).Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if _, err := l.s.conn.ExecContext(ctx, fmt.Sprintf(`PRAGMA max_page_count = %d`, pages+2)); err != nil {
		t.Fatal(err)
	}
	var first error
	n := 0
	for ; first == nil; n++ {
		e := topUp(fmt.Sprintf("L%d", n))
		e.Details = bytes.Repeat([]byte("1"), 500)
		_, first = l.Append(ctx, e)
	}
	if !errors.Is(first, ErrFull) || !errors.Is(first, ErrFailed) {
		t.Errorf("Append = %v, want ErrFull and ErrFailed", first)
	}
	if _, err := l.OpenItems(ctx); err != first {
		t.Errorf("OpenItems = %v, want the first error", err)
	}
	l.restart(t) // somebody has made room
	open, err := l.OpenItems(ctx)
	if err != nil || len(open) != n-1 {
		t.Errorf("OpenItems after a restart: %d, %v, want %d", len(open), err, n-1)
	}
	if got := l.append(t, topUp("T9999")); got.Seq != int64(n+2) {
		t.Errorf("Append = entry %d, want %d", got.Seq, n+2)
	}
}
