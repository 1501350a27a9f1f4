package main

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"quancun/kiosk"
	"quancun/ledger/feed"
	"quancun/upstream/client"
	"quancun/upstream/store/pgtest"
	"quancun/upstream/wire"
)

// audience is a terminal that reads what is published.
type audience struct {
	t      *testing.T
	papers *client.Provisioning
	client *client.Client
	feeds  *feed.Feeds
	puller *feed.Puller
}

func (s *site) listen(addr, id string) *audience {
	s.t.Helper()
	f, err := feed.Open(s.t.Context(), filepath.Join(s.t.TempDir(), "feeds.db"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { f.Close() })
	a := &audience{t: s.t, papers: s.enrol(id, addr).papers, feeds: f}
	a.dial(addr)
	return a
}

// dial has the terminal call the upstream at another address.
func (a *audience) dial(addr string) {
	a.client = client.Dial(a.papers, client.Options{Address: addr})
	a.t.Cleanup(a.client.Close)
	a.puller = feed.NewPuller(a.feeds, kiosk.FeedSource(a.client), slog.New(slog.DiscardHandler))
}

// has has the terminal greet, and take what is new.
func (a *audience) has(name string, version uint64, content string) {
	a.t.Helper()
	ctx := a.t.Context()
	hello := a.greet()
	a.puller.Heard(ctx, hello.Feeds, hello.Time)
	if err := a.puller.Level(ctx); err != nil {
		a.t.Fatal(err)
	}
	got, err := a.feeds.Content(ctx, name)
	if now := a.feeds.Status(name).Version; err != nil || now != version || string(got) != content {
		a.t.Errorf("terminal has version %d of %s: %q, %v; want %d: %q", now, name, got, err, version, content)
	}
}

// greet says what the terminal has, as [kiosk.Keeper] does.
func (a *audience) greet() client.Welcome {
	a.t.Helper()
	have := map[string]uint64{}
	for _, name := range feed.Names {
		have[name] = a.feeds.Status(name).Version
	}
	hello, err := a.client.Hello(a.t.Context(), client.Hello{Version: "1", Feeds: have})
	if err != nil {
		a.t.Fatal(err)
	}
	return hello
}

// TestFeeds publishes, and a terminal takes it; what no terminal would take is
// not published.
func TestFeeds(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { testFeeds(t, newSite(t)) })
	t.Run("PostgreSQL", func(t *testing.T) {
		s := newSite(t)
		s.keepIn(pgtest.New(t).DSN)
		testFeeds(t, s)
	})
}

func testFeeds(t *testing.T, s *site) {
	s.must("demo", "--cards", s.path("cards.json"))
	addr, stop := s.serve()
	a := s.listen(addr, "K01")
	publish := func(name, content string) (string, error) {
		t.Helper()
		s.write("feed", content)
		return s.campusd("feed", "publish", name, "--file", s.path("feed"))
	}
	says := func(want string) func(string, error) {
		return func(out string, err error) {
			t.Helper()
			if err != nil || !strings.Contains(out, want) {
				t.Errorf("%q, %v; want %q", out, err, want)
			}
		}
	}
	const first, second = "{\n\t\"offline_sale_max_fen\": 2000\n}\n", "{}\n"
	a.has(wire.FeedSettings, 0, "")
	says("version 1 is published, 34 bytes")(publish(wire.FeedSettings, first))
	a.has(wire.FeedSettings, 1, first)
	says("version 1 says this already")(publish(wire.FeedSettings, first))
	says("version 2 is published")(publish(wire.FeedSettings, second))
	says("version 3 is published")(publish(wire.FeedSettings, first)) // back is forward
	says("version 1 is published")(publish(wire.FeedBath, "whatever the halls understand"))
	a.has(wire.FeedSettings, 3, first)
	a.has(wire.FeedBath, 1, "whatever the halls understand")
	says(first)(s.campusd("feed", "show", wire.FeedSettings))

	for _, tt := range []struct{ name, content, want string }{
		{wire.FeedSettings, "{\n\"offline_sale_max\": 2000}", `line 2: settings: "offline_sale_max" is not a setting`},
		{wire.FeedSettings, "{\n\"offline_sale_max_fen\": 20.5}", "line 2: settings: json: cannot unmarshal"},
		{wire.FeedBath, "", "is empty"},
		{wire.FeedBath, strings.Repeat(" ", contentMax+1), "more than 1048576 bytes"},
		{wire.FeedHotlist, "{}", "follows the cards"},
		{wire.FeedKeys, "{}", "follow the phones"},
		{"lunch", "{}", `no feed "lunch"`},
	} {
		if out, err := publish(tt.name, tt.content); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("publish %s = %q, %v; want %q", tt.name, out, err, tt.want)
		}
	}
	if _, err := s.campusd("feed", "show", wire.FeedKeys); err == nil || !strings.Contains(err.Error(), "has been published") {
		t.Errorf("show of nothing: %v", err)
	}
	if _, err := s.campusd("feed", "forward", wire.FeedSettings); err == nil || !strings.Contains(err.Error(), "no terminal has said") {
		t.Errorf("forward, with nothing lost: %v", err)
	}
	list := s.must("feed", "list")
	for _, want := range []string{`bath +1 +20\S+ +29 bytes +-`, `keys +0 +- +0 bytes +-`, `settings +3 +20\S+ +34 bytes +-`, `hotlist +\d+ +\S+ +\d cards`} {
		if !regexp.MustCompile(want).MatchString(list) {
			t.Errorf("feed list: %s\nwant %s", list, want)
		}
	}
	a.has(wire.FeedSettings, 3, first)
	s.wantBehind(a)
	stop()
	s.must("verify")
}

// TestFeedForward has the books lose versions that a terminal has: it keeps
// them until an operator moves the feed past them.
func TestFeedForward(t *testing.T) {
	s := newSite(t)
	s.must("demo", "--cards", s.path("cards.json"))
	publish := func(content string) {
		t.Helper()
		s.write("feed", content)
		s.must("feed", "publish", wire.FeedBath, "--file", s.path("feed"))
	}
	publish("of yesterday")
	addr, stop := s.serve()
	a := s.listen(addr, "K01")
	a.has(wire.FeedBath, 1, "of yesterday")
	stop()
	books := filepath.Join(s.data, "books.db")
	yesterday, err := os.ReadFile(books)
	if err != nil {
		t.Fatal(err)
	}
	publish("of this morning")
	publish("of today")
	addr, stop = s.serve()
	a.dial(addr)
	a.has(wire.FeedBath, 3, "of today")
	stop()
	if err := os.WriteFile(books, yesterday, 0o600); err != nil {
		t.Fatal(err)
	}
	addr, _ = s.serve()
	a.dial(addr)
	a.has(wire.FeedBath, 3, "of today")
	if list := s.must("feed", "list"); !regexp.MustCompile(`bath +1 .* up to version 3\n`).MatchString(list) {
		t.Errorf("feed list: %s", list)
	}
	if out := s.must("feed", "forward", wire.FeedBath); !strings.Contains(out, "version 4 is as version 1 was") {
		t.Errorf("feed forward: %s", out)
	}
	a.has(wire.FeedBath, 4, "of yesterday")
	publish("of tomorrow")
	a.has(wire.FeedBath, 5, "of tomorrow")
}

// wantBehind has the terminal say what it has, before and after something new
// is published.
func (s *site) wantBehind(a *audience) {
	s.t.Helper()
	terminal := func(want string) {
		s.t.Helper()
		if got := s.must("terminal", "list"); !regexp.MustCompile(`(?m)^K01 .* ` + want + ` +- +0$`).MatchString(got) {
			s.t.Errorf("terminal list: %s\nwant it behind by %s", got, want)
		}
	}
	a.greet()
	terminal("none")
	s.write("feed", "new times")
	s.must("feed", "publish", wire.FeedBath, "--file", s.path("feed"))
	a.greet() // before it has pulled
	terminal("bath:1")
	var report terminalReport
	if err := json.Unmarshal([]byte(s.must("terminal", "show", "K01")), &report); err != nil {
		s.t.Fatal(err)
	}
	if got := report.Feeds[wire.FeedBath]; got != (feedReport{1, 2}) || len(report.Feeds) != len(feed.Names) {
		s.t.Errorf("terminal show: %+v", report.Feeds)
	}
	a.has(wire.FeedBath, 2, "new times")
	a.greet()
	terminal("none")
}
