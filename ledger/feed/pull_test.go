package feed

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// shop gives out feeds, and counts how often it is asked.
type shop struct {
	mu     sync.Mutex
	newest map[string]uint64
	away   error
	stale  bool // gives a step from the version before the one that is asked about
	asked  int
}

func (s *shop) Pull(_ context.Context, name string, have uint64, _ time.Time) (Update, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.away != nil {
		return Update{}, s.away
	}
	u := Update{Name: name, From: have, Version: s.newest[name], Issued: noon}
	if s.stale && have > 0 {
		u.From--
	}
	if name == Hotlist {
		u.Adds = []Hot{{card(int(u.Version)), 2}}
	} else {
		u.Content = []byte("content")
	}
	return u, nil
}

func TestPuller(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFeeds(t, path)
		s := &shop{newest: map[string]uint64{Hotlist: 3, "settings": 1}}
		p := NewPuller(f, s, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		greet := func(d time.Duration) {
			p.Heard(ctx, s.newest, noon.Add(time.Hour))
			time.Sleep(d)
			synctest.Wait()
		}
		version := func(name string, want uint64) {
			t.Helper()
			if got := f.Status(name).Version; got != want {
				t.Errorf("%s has version %d, want %d", name, got, want)
			}
		}
		greet(time.Second)
		version(Hotlist, 3)
		version("settings", 1)
		version("keys", 0)
		greet(time.Second)
		if s.asked != 2 {
			t.Errorf("asked %d times for two feeds", s.asked)
		}
		if age := f.Status(Hotlist).Age(noon.Add(time.Hour)); age != 0 {
			t.Errorf("age %v after upstream said that there was none newer", age)
		}

		s.stale, s.newest = true, map[string]uint64{Hotlist: 5, "settings": 1}
		greet(time.Second)
		version(Hotlist, 5)

		s.away, s.asked, s.newest = errors.New("away"), 0, map[string]uint64{Hotlist: 6, "settings": 2}
		for range 720 { // an hour of greetings that are answered, by an upstream that gives no feeds
			greet(5 * time.Second)
		}
		if s.asked > 2*140 {
			t.Errorf("asked %d times in an hour", s.asked)
		}
		s.away = nil
		greet(time.Minute)
		version(Hotlist, 6)
		version("settings", 2)

		s.newest = map[string]uint64{Hotlist: 4} // restored from yesterday
		greet(time.Minute)
		version(Hotlist, 6)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v", err)
		}
	})
}
