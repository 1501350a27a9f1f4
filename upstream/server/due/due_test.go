package due_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"quancun/upstream/server/due"
)

// shelf is rows that are due at moments, until they are asked about.
type shelf struct {
	mu    sync.Mutex
	rows  map[string]time.Time            // guarded by mu
	asked map[string]int                  // guarded by mu
	ask   func(ctx context.Context) error // of rows called "odd...", before they are done
}

func newShelf() *shelf { return &shelf{rows: map[string]time.Time{}, asked: map[string]int{}} }

func (s *shelf) put(name string, in time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[name] = time.Now().Add(in)
}

func (s *shelf) count(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[name]
}

func (s *shelf) clerk() *due.Clerk[string] {
	return due.NewClerk(due.Work[string]{
		What: "rows", List: s.list, Name: func(name string) string { return name }, Now: time.Now,
		Take: s.take,
		Ask: func(ctx context.Context, name string) error {
			s.mu.Lock()
			s.asked[name]++
			s.mu.Unlock()
			if strings.HasPrefix(name, "odd") {
				if err := s.ask(ctx); err != nil {
					return err
				}
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.rows, name)
			return nil
		},
		Log: slog.New(slog.DiscardHandler),
	})
}

// take finds that another upstream has been faster with the row called "taken".
func (s *shelf) take(_ context.Context, name string) (bool, error) {
	if name != "taken" {
		return true, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rows, name)
	return false, nil
}

func (s *shelf) list(_ context.Context, now time.Time, n int) (all []string, next time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := slices.SortedFunc(maps.Keys(s.rows), func(a, b string) int {
		return cmp.Or(s.rows[a].Compare(s.rows[b]), strings.Compare(a, b))
	})
	for _, name := range names {
		switch at := s.rows[name]; {
		case !at.After(now) && len(all) < n:
			all = append(all, name)
		case at.After(now) && (next.IsZero() || at.Before(next)):
			next = at
		}
	}
	return all, next, nil
}

// run has a clerk work on s while check looks.
func (s *shelf) run(t *testing.T, check func(*due.Clerk[string])) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := s.clerk()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- c.Run(ctx) }()
		synctest.Wait()
		check(c)
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v, want context.Canceled", err)
		}
		select {
		case <-c.Over():
		default:
			t.Error("Run has ended, and it is not over")
		}
	})
}

// TestDue asks about each row once, at its moment, and leaves what another
// upstream has taken.
func TestDue(t *testing.T) {
	s := newShelf()
	s.run(t, func(c *due.Clerk[string]) {
		s.put("soon", 10*time.Second)
		s.put("now", 0)
		s.put("taken", 0)
		c.Hasten()
		synctest.Wait()
		if s.count("now") != 1 || s.count("soon") != 0 || s.count("taken") != 0 {
			t.Errorf("asked %v at once, want only what was due", s.asked)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if s.count("now") != 1 || s.count("soon") != 1 {
			t.Errorf("asked %v, want each once", s.asked)
		}
	})
}

// TestOdd has rows that hang, fail or panic: each holds up nobody else, and is not
// asked about again before a second has passed.
func TestOdd(t *testing.T) {
	for name, tt := range map[string]struct {
		ask  func(context.Context) error
		most int // times in ten seconds
	}{
		"hangs":  {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, 1},
		"fails":  {func(context.Context) error { return errors.New("disk full") }, 11},
		"panics": {func(context.Context) error { panic("unforeseen") }, 11},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf()
			s.ask = tt.ask
			s.run(t, func(c *due.Clerk[string]) {
				s.put("odd", 0)
				c.Hasten()
				synctest.Wait()
				for i := range 40 {
					s.put(fmt.Sprint(i), 0)
				}
				c.Hasten()
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if n := s.count("odd"); n < 1 || n > tt.most {
					t.Errorf("asked %d times in ten seconds, want 1 to %d", n, tt.most)
				}
				for i := range 40 {
					if n := s.count(fmt.Sprint(i)); n != 1 {
						t.Errorf("row %d was asked about %d times", i, n)
					}
				}
			})
		})
	}
}

// TestManyOdd: rows that always fail, and have been due for longest, keep nobody's turn,
// however many they are.
func TestManyOdd(t *testing.T) {
	for _, n := range []int{16, 64, 200} {
		s := newShelf()
		s.ask = func(context.Context) error { return errors.New("disk full") }
		s.run(t, func(c *due.Clerk[string]) {
			for i := range n {
				s.put(fmt.Sprint("odd", i), -time.Minute)
			}
			c.Hasten()
			time.Sleep(time.Minute)
			s.put("even", 0)
			c.Hasten()
			time.Sleep(3 * time.Second)
			synctest.Wait()
			if s.count("even") != 1 {
				t.Errorf("behind %d rows that fail the other was asked about %d times", n, s.count("even"))
			}
			time.Sleep(time.Minute)
			for i := range n {
				if got := s.count(fmt.Sprint("odd", i)); got < 2 {
					t.Errorf("of %d rows that fail, one was asked about %d times", n, got)
				}
			}
		})
	}
}

// TestAttend asks about everything once, whatever fails.
func TestAttend(t *testing.T) {
	s := newShelf()
	failing := errors.New("disk full")
	s.ask = func(context.Context) error { return failing }
	s.put("odd", 0)
	s.put("a", 0)
	s.put("later", time.Hour)
	if err := s.clerk().Attend(t.Context()); !errors.Is(err, failing) {
		t.Errorf("Attend = %v, want what failed", err)
	}
	if s.count("odd") != 1 || s.count("a") != 1 || s.count("later") != 0 {
		t.Errorf("asked %v", s.asked)
	}
}
