package feed

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"quancun/lab/disk"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func newFeeds(t testing.TB, path string) *Feeds {
	t.Helper()
	f, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "feeds.db") }

// card returns a number as issuers give them: they differ in the last digits.
func card(n int) (c Card) {
	copy(c[:], "\x00\x00\x20\x26\x00\x01")
	binary.BigEndian.PutUint32(c[6:], uint32(n))
	return c
}

// hotlist returns an update of the hotlist. from 0 is a snapshot.
func hotlist(from, version uint64, adds map[Card]Reason, removes ...Card) Update {
	u := Update{Name: Hotlist, From: from, Version: version, Issued: noon}
	for _, c := range slices.SortedFunc(maps.Keys(adds), Card.compare) {
		u.Adds = append(u.Adds, Hot{c, adds[c]})
	}
	u.Removes = slices.SortedFunc(slices.Values(removes), Card.compare)
	return u
}

func TestOnlyForward(t *testing.T) {
	f := newFeeds(t, newPath(t))
	ctx := t.Context()
	steps := []struct {
		name string
		u    Update
		want error
	}{
		{"delta before any list", hotlist(1, 2, map[Card]Reason{card(1): 2}), ErrGap},
		{"snapshot", hotlist(0, 5, map[Card]Reason{card(1): 2, card(2): 3}), nil},
		{"the same snapshot again", hotlist(0, 5, map[Card]Reason{card(1): 2, card(2): 3}), ErrOld},
		{"older snapshot", hotlist(0, 4, nil), ErrOld},
		{"delta from a later version", hotlist(6, 7, nil, card(1)), ErrGap},
		{"delta from an earlier version", hotlist(4, 6, nil, card(1)), ErrGap},
		{"delta", hotlist(5, 6, map[Card]Reason{card(3): 2}, card(1)), nil},
		{"the same delta again", hotlist(5, 6, map[Card]Reason{card(3): 2}, card(1)), ErrOld},
		{"delta of several steps", hotlist(6, 9, map[Card]Reason{card(2): 2}), nil},
		{"newer snapshot", hotlist(0, 12, map[Card]Reason{card(2): 2, card(3): 2}), nil},
	}
	for _, s := range steps {
		if err := f.Apply(ctx, s.u); !errors.Is(err, s.want) {
			t.Errorf("%s: %v, want %v", s.name, err, s.want)
		}
	}
	for n, want := range []Reason{1: 0, 2: 2, 3: 2} {
		if got, hot := f.Hot(card(n)); got != want || hot != (want != 0) {
			t.Errorf("card %d: reason %d, hot %v; want %d", n, got, hot, want)
		}
	}
	if s := f.Status(Hotlist); s.Version != 12 || !s.Issued.Equal(noon) {
		t.Errorf("status %+v", s)
	}
}

func TestMalformed(t *testing.T) {
	f := newFeeds(t, newPath(t))
	unordered := hotlist(0, 1, map[Card]Reason{card(1): 2, card(2): 2})
	slices.Reverse(unordered.Adds)
	repeated := hotlist(0, 1, map[Card]Reason{card(1): 2})
	repeated.Adds = append(repeated.Adds, repeated.Adds[0])
	for name, u := range map[string]Update{
		"no version":           hotlist(0, 0, nil),
		"version out of range": hotlist(0, 1<<63, nil),
		"backward delta":       hotlist(4, 3, nil),
		"delta that stays":     hotlist(3, 3, map[Card]Reason{card(1): 2}),
		"snapshot removes":     hotlist(0, 1, nil, card(1)),
		"not in order":         unordered,
		"a card twice":         repeated,
		"unknown feed":         {Name: "weather", Version: 1, Issued: noon},
		"content of hotlist":   {Name: Hotlist, Version: 1, Issued: noon, Content: []byte("x")},
		"cards of settings":    {Name: "settings", Version: 1, Issued: noon, Adds: []Hot{{card(1), 2}}},
		"no time":              {Name: "settings", Version: 1},
	} {
		if err := f.Apply(t.Context(), u); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
}

// TestSharedBytes: cards that have eight bytes in common, whichever, are told
// apart.
func TestSharedBytes(t *testing.T) {
	f := newFeeds(t, newPath(t))
	hot := card(7)
	if err := f.Apply(t.Context(), hotlist(0, 1, map[Card]Reason{hot: 2})); err != nil {
		t.Fatal(err)
	}
	for i := range len(hot) {
		for bit := range 8 {
			other := hot
			other[i] ^= 1 << bit
			if _, found := f.Hot(other); found {
				t.Errorf("card %X passes for %X", other, hot)
			}
			if keyOf(other) == keyOf(hot) {
				t.Errorf("one key for %X and %X", other, hot)
			}
		}
	}
	if r, found := f.Hot(hot); !found || r != 2 {
		t.Errorf("the card itself: %d, %v", r, found)
	}
}

func TestAge(t *testing.T) {
	path := newPath(t)
	f := newFeeds(t, path)
	ctx := t.Context()
	age := func(after time.Duration) time.Duration { return f.Status("settings").Age(noon.Add(after)) }
	check := func(what string, after, want time.Duration) {
		t.Helper()
		if got := age(after); got != want {
			t.Errorf("%s: age %v, want %v", what, got, want)
		}
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check("nothing here", time.Hour, Unknown)
	ok(f.Checked(ctx, "settings", 1, noon.Add(-time.Hour)))
	check("nothing here, and something there", time.Hour, Unknown)
	ok(f.Checked(ctx, "settings", 0, noon.Add(-time.Hour)))
	ok(f.Checked(ctx, Hotlist, 0, noon.Add(-time.Hour)))
	check("nothing here or there", time.Hour, 2*time.Hour)
	ok(f.Close())
	f = newFeeds(t, path)
	check("nothing here or there, after a restart", time.Hour, 2*time.Hour)
	ok(f.Apply(ctx, Update{Name: "settings", Version: 3, Issued: noon, Content: []byte("a = 1")}))
	check("taken", time.Hour, time.Hour)
	ok(f.Checked(ctx, "settings", 3, noon.Add(2*time.Hour)))
	check("still the newest", 2*time.Hour, 0)
	ok(f.Checked(ctx, "settings", 4, noon.Add(3*time.Hour)))
	check("a newer one is there", 3*time.Hour, time.Hour)
	ok(f.Checked(ctx, "settings", 2, noon.Add(3*time.Hour)))
	check("upstream was restored", 3*time.Hour, time.Hour)
	ok(f.Checked(ctx, "settings", 3, noon.Add(time.Hour)))
	check("late news", 3*time.Hour, time.Hour)
	ok(f.Apply(ctx, Update{Name: "settings", Version: 3, From: 3, Issued: noon.Add(2*time.Hour + time.Second)}))
	check("asked, and there was none newer", 3*time.Hour, time.Hour-time.Second)
	check("clock in the past", time.Hour, Unknown)
	check("clock a little behind", 2*time.Hour-time.Second, 0)

	// Newer news within a minute is not written down each time.
	ok(f.Checked(ctx, "settings", 3, noon.Add(2*time.Hour+30*time.Second)))
	check("younger in memory", 3*time.Hour, time.Hour-30*time.Second)
	seen, err := Look(ctx, path)
	ok(err)
	if len(seen) != len(Names) || seen[1].Version != 3 || seen[1].Age(noon.Add(3*time.Hour)) != time.Hour ||
		seen[0] != (Status{Name: Hotlist, Issued: seen[0].Issued, Checked: noon.Add(-time.Hour)}) || seen[2] != (Status{Name: "keys"}) {
		t.Errorf("seen from beside: %+v", seen)
	}
	ok(f.Close())
	f = newFeeds(t, path)
	check("after a restart", 3*time.Hour, time.Hour)
	if content, err := f.Content(ctx, "settings"); err != nil || string(content) != "a = 1" {
		t.Errorf("content %q, %v", content, err)
	}
	if content, err := f.Content(ctx, "bath"); err != nil || content != nil {
		t.Errorf("content of what is not here: %q, %v", content, err)
	}
}

// TestUpstreamAhead has the upstream's clock run three years ahead for a while. When it is
// right again the age of a feed is known again, with the first word of it.
func TestUpstreamAhead(t *testing.T) {
	path, ctx := newPath(t), t.Context()
	f := newFeeds(t, path)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	age := func(want time.Duration) {
		t.Helper()
		if got := f.Status("settings").Age(noon.Add(2 * time.Hour)); got != want {
			t.Errorf("age %v, want %v", got, want)
		}
	}
	years := noon.Add(3 * 365 * 24 * time.Hour)
	must(f.Apply(ctx, Update{Name: "settings", Version: 1, Issued: noon, Content: []byte("a = 1")}))
	must(f.Checked(ctx, "settings", 1, years))
	age(Unknown)
	must(f.Checked(ctx, "settings", 1, noon.Add(time.Hour)))
	age(time.Hour)
	must(f.Close())
	f = newFeeds(t, path)
	age(time.Hour)
	must(f.Apply(ctx, Update{Name: "settings", Version: 2, Issued: years, Content: []byte("a = 2")}))
	age(Unknown)
	must(f.Apply(ctx, Update{Name: "settings", Version: 3, Issued: noon.Add(2 * time.Hour), Content: []byte("a = 3")}))
	age(0)
}

// TestFirstForm goes on with a file of an earlier program, in which a feed could not get
// older.
func TestFirstForm(t *testing.T) {
	path, ctx := newPath(t), t.Context()
	f := newFeeds(t, path)
	err1 := f.Apply(ctx, hotlist(0, 5, map[Card]Reason{card(1): 2}))
	if err := errors.Join(err1, f.Close()); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(`
		DROP TRIGGER feeds_only_go_forward;
		CREATE TRIGGER feeds_only_go_forward BEFORE UPDATE ON feed
		WHEN new.version < old.version OR new.checked < old.checked
		BEGIN SELECT RAISE(ABORT, 'feed: feeds only go forward'); END;
		PRAGMA user_version = 1`)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		f = newFeeds(t, path)
		if _, hot := f.Hot(card(1)); !hot || f.Status(Hotlist).Version != 5 {
			t.Errorf("status %+v, card hot %t", f.Status(Hotlist), hot)
		}
		if err := f.Checked(ctx, Hotlist, 5, noon.Add(-2*time.Hour)); err != nil {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestModel compares the copy with a map through random updates, good and bad,
// and restarts.
func TestModel(t *testing.T) {
	dir := t.TempDir()
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		path := filepath.Join(dir, strconv.Itoa(runs))
		f := openFast(t, path)
		defer func() { f.Close() }()
		model, version := map[Card]Reason{}, uint64(0)
		drawn := rapid.Custom(func(t *rapid.T) Card { return card(rapid.IntRange(0, 40).Draw(t, "card")) })
		t.Repeat(map[string]func(*rapid.T){
			"apply": func(t *rapid.T) {
				from := rapid.SampledFrom([]uint64{0, version, version, version, version + 1}).Draw(t, "from")
				u := hotlist(from, rapid.Uint64Range(max(version, 1)-1, version+3).Draw(t, "version"),
					rapid.MapOf(drawn, rapid.Map(rapid.Byte(), func(b byte) Reason { return Reason(b) })).Draw(t, "adds"))
				if from != 0 {
					gone := rapid.SliceOfDistinct(drawn, rapid.ID).Draw(t, "removes")
					u.Removes = slices.SortedFunc(slices.Values(gone), Card.compare)
				}
				fits := u.Version > version && (from == 0 || from == version) && u.Version > from
				stays := version > 0 && u.Version == version && from == version && len(u.Adds)+len(u.Removes) == 0
				if err := f.Apply(context.Background(), u); (err == nil) != (fits || stays) {
					t.Fatalf("version %d, update %d to %d: %v", version, u.From, u.Version, err)
				}
				if fits {
					version = u.Version
					play(model, u)
				}
			},
			"restart": func(t *rapid.T) {
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
				f = openFast(t, path)
			},
			"": func(t *rapid.T) { compare(t, f, model, version) },
		})
	})
}

// openFast opens a copy that no power cut will hit, so that nothing is synced.
func openFast(t *rapid.T, path string) *Feeds {
	f, err := Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.db.Exec("PRAGMA synchronous = OFF"); err != nil {
		t.Fatal(err)
	}
	return f
}

// play does to a map what u does to a list.
func play(model map[Card]Reason, u Update) {
	if u.From == 0 {
		clear(model)
	}
	for _, c := range u.Removes {
		delete(model, c)
	}
	for _, h := range u.Adds {
		model[h.Card] = h.Reason
	}
}

func compare(t interface{ Fatalf(string, ...any) }, f *Feeds, model map[Card]Reason, version uint64) {
	if got := f.Status(Hotlist).Version; got != version || f.HotCount() != len(model) {
		t.Fatalf("version %d with %d cards, want %d with %d", got, f.HotCount(), version, len(model))
	}
	for n := range 42 {
		want, hot := model[card(n)]
		if got, found := f.Hot(card(n)); found != hot || got != want {
			t.Fatalf("card %d: %d, %v; want %d, %v", n, got, found, want, hot)
		}
	}
}

// files are a database as it lies on the disk.
type files map[string][]byte

func readFiles(t *testing.T, path string) files {
	t.Helper()
	all := files{}
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + suffix)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		all[suffix] = b
	}
	return all
}

// open opens a copy of the files, as a start after a power cut would.
func (all files) open(t *testing.T, path string) *Feeds {
	t.Helper()
	for suffix, b := range all {
		if err := os.WriteFile(path+suffix, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (all files) remove(t *testing.T, path string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

// TestCrash cuts an update off at every tenth of a page of what it writes, with
// zeros behind and without: the feed is as before or as after, whole.
func TestCrash(t *testing.T) {
	path := newPath(t)
	f := newFeeds(t, path)
	before, after := map[Card]Reason{}, map[Card]Reason{}
	for n := range 30 {
		before[card(n)] = 2
	}
	first := hotlist(0, 1, before)
	second := hotlist(1, 2, map[Card]Reason{card(31): 3, card(4): 5}, card(3), card(29))
	play(after, first)
	play(after, second)
	if err := f.Apply(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	old := readFiles(t, path)
	if err := f.Apply(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	all := readFiles(t, path)
	if !bytes.Equal(old[""], all[""]) || len(all["-wal"]) <= len(old["-wal"]) {
		t.Fatal("the update was not appended to the log; this test would prove nothing")
	}
	seen := map[uint64]int{}
	wal := all["-wal"]
	for cut := len(old["-wal"]); cut <= len(wal); cut += 412 {
		for _, rest := range [][]byte{nil, make([]byte, len(wal)-cut)} {
			at := path + "-cut"
			now := files{"": all[""], "-wal": slices.Concat(wal[:cut], rest)}
			f := now.open(t, at)
			version := f.Status(Hotlist).Version
			seen[version]++
			compare(t, f, map[uint64]map[Card]Reason{1: before, 2: after}[version], version)
			f.Close()
			now.remove(t, at)
		}
	}
	if seen[1] == 0 || seen[2] == 0 {
		t.Errorf("versions seen after a cut: %v", seen)
	}
}

// TestDamage flips bits all over the file. What is found to be damaged is
// thrown away, and its age is unknown; nothing wrong is ever taken for right.
func TestDamage(t *testing.T) {
	path := newPath(t)
	f := newFeeds(t, path)
	model := map[Card]Reason{}
	for n := range 40 {
		model[card(n)] = Reason(n)
	}
	content := bytes.Repeat([]byte("timetable "), 20)
	for _, u := range []Update{
		hotlist(0, 9, model), {Name: "bath", Version: 3, Issued: noon, Content: content},
	} {
		if err := f.Apply(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	whole := readFiles(t, path)
	lost, kept := 0, 0
	for at := 0; at < len(whole[""]); at += 41 {
		damaged := files{"": slices.Clone(whole[""])}
		damaged[""][at] ^= 1 << (at % 8)
		copied := path + "-damaged"
		f := damaged.open(t, copied)
		switch f.Status(Hotlist).Version {
		case 9:
			kept++
			compare(t, f, model, 9)
			got, err := f.Content(t.Context(), "bath")
			if err != nil || !bytes.Equal(got, content) || f.Status("bath").Version != 3 {
				t.Errorf("byte %d: content %q, %v", at, got, err)
			}
		case 0:
			lost++
			if age := f.Status(Hotlist).Age(noon); age != Unknown || f.HotCount() != 0 {
				t.Errorf("byte %d: lost, and its age is %v", at, age)
			}
			if err := f.Apply(t.Context(), hotlist(0, 9, model)); err != nil {
				t.Errorf("byte %d: fetched again: %v", at, err)
			}
			compare(t, f, model, 9)
		default:
			t.Errorf("byte %d: status %+v", at, f.Status(Hotlist))
		}
		f.Close()
		damaged.remove(t, copied)
	}
	if lost == 0 || kept == 0 {
		t.Errorf("%d found damaged, %d whole", lost, kept)
	}
}

// TestNotOurs: a file of somebody else, or no database at all, gives way.
func TestNotOurs(t *testing.T) {
	for name, text := range map[string]string{
		"text": "this is not a database, and longer than a header of one has to be, by some more words than that: " +
			"one hundred bytes are the header of a database",
		"empty": "",
	} {
		path := newPath(t)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f := newFeeds(t, path)
		if err := f.Apply(t.Context(), hotlist(0, 1, map[Card]Reason{card(1): 2})); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(t.Context(), filepath.Join(t.TempDir(), "no", "folder")); err == nil {
		t.Error("opened in a folder that is not there")
	}
}

// TestGuardTaken: a file in which a trigger is missing, or one is more, is not
// believed: the list could have gone backward. It is fetched again.
func TestGuardTaken(t *testing.T) {
	for attack, want := range map[string]bool{
		`ANALYZE`:                            true,
		`DROP TRIGGER feeds_only_go_forward`: false,
		`CREATE TRIGGER forgets AFTER INSERT ON hot BEGIN DELETE FROM hot; END`: false,
		`DROP TRIGGER feeds_only_go_forward;
			CREATE TRIGGER feeds_only_go_forward BEFORE UPDATE ON feed BEGIN SELECT 1; END`: false,
		`ALTER TABLE hot ADD COLUMN more TEXT`: false,
	} {
		path := newPath(t)
		f := newFeeds(t, path)
		if err := f.Apply(t.Context(), hotlist(0, 1, map[Card]Reason{card(1): 2})); err != nil {
			t.Fatal(err)
		}
		if _, err := f.store.db.Exec(attack); err != nil {
			t.Fatalf("%s: %v", attack, err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if _, kept := newFeeds(t, path).Hot(card(1)); kept != want {
			t.Errorf("%s: the list is kept: %v, want %v", attack, kept, want)
		}
	}
}

// TestFailedWrite: after a write that fails the old list stays in force, and
// the next one is taken.
func TestFailedWrite(t *testing.T) {
	f := newFeeds(t, newPath(t))
	if err := f.Apply(t.Context(), hotlist(0, 1, map[Card]Reason{card(1): 2})); err != nil {
		t.Fatal(err)
	}
	f.store.db.Close()
	if err := f.Apply(t.Context(), hotlist(1, 2, map[Card]Reason{card(2): 2})); err == nil {
		t.Fatal("taken without a disk")
	}
	if _, hot := f.Hot(card(1)); !hot || f.Status(Hotlist).Version != 1 {
		t.Errorf("status %+v", f.Status(Hotlist))
	}
	if err := f.Apply(t.Context(), hotlist(1, 2, map[Card]Reason{card(2): 2})); err != nil {
		t.Error(err)
	}
	compare(t, f, map[Card]Reason{card(1): 2, card(2): 2}, 2)
}

// many returns a list of n cards that are spread like issuers' numbers.
func many(n int) Update {
	adds := make(map[Card]Reason, n)
	r := rand.New(rand.NewPCG(1, 2))
	for len(adds) < n {
		adds[card(int(r.Uint32N(4_000_000)))] = 2
	}
	return hotlist(0, 1, adds)
}

// TestSpread: numbers as issuers give them do not crowd in one place, and of
// each it is known whether it is on the list.
func TestSpread(t *testing.T) {
	u := many(200_000)
	l := new(list).apply(u)
	most := uint32(0)
	for i := range places {
		most = max(most, l.start[i+1]-l.start[i])
	}
	if most > 40 { // three on average
		t.Errorf("%d cards in one place", most)
	}
	want := map[Card]Reason{}
	for _, h := range u.Adds {
		want[h.Card] = h.Reason
	}
	for i := 0; i < 4_000_000; i += 10 {
		c := card(i)
		reason, hot := l.find(c)
		if known, is := want[c]; is != hot || known != reason {
			t.Fatalf("card %X: reason %d, hot %v; want %d, %v", c, reason, hot, known, is)
		}
	}
}

// TestDisk keeps the feeds on a disk that only SQLite knows, and cuts its power.
func TestDisk(t *testing.T) {
	d := disk.New(disk.Options{})
	f, err := Open(t.Context(), d.DSN("/feeds.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Apply(t.Context(), hotlist(0, 5, map[Card]Reason{card(1): 2})); err != nil {
		t.Fatal(err)
	}
	after := d.Cut(rand.New(rand.NewPCG(1, 2)))
	f.Close() // its disk has no power
	d.Close()
	defer after.Close()
	f = newFeeds(t, after.DSN("/feeds.db"))
	if r, hot := f.Hot(card(1)); !hot || r != 2 || f.Status(Hotlist).Version != 5 {
		t.Errorf("after the cut: %d, %t, version %d; want what was applied", r, hot, f.Status(Hotlist).Version)
	}
}

// TestCrowded changes a list in which places have several cards each: what a step
// does not name stays, whether it comes before or behind what it does.
func TestCrowded(t *testing.T) {
	u := many(80_000)
	l, want := nothing.apply(u), map[Card]Reason{}
	play(want, u)
	step := hotlist(1, 2, map[Card]Reason{})
	for i, h := range u.Adds {
		switch i % 7 {
		case 0:
			step.Removes = append(step.Removes, h.Card)
		case 3:
			step.Adds = append(step.Adds, Hot{h.Card, 3})
		}
	}
	l = l.apply(step)
	play(want, step)
	if l.len() != len(want) {
		t.Errorf("%d cards, want %d", l.len(), len(want))
	}
	for _, h := range u.Adds {
		reason, hot := l.find(h.Card)
		if known, is := want[h.Card]; is != hot || known != reason {
			t.Fatalf("card %X: reason %d, hot %v; want %d, %v", h.Card, reason, hot, known, is)
		}
	}
}

// TestFullDisk: a disk without any room is no damage. The list that is there is not
// thrown away, and is good again when there is room.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skip("a small disk of our own:", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH) //nolint:errcheck // it goes with the test
	path := filepath.Join(dir, "feeds.db")
	f := newFeeds(t, path)
	if err := errors.Join(f.Apply(t.Context(), many(10)), f.Close()); err != nil {
		t.Fatal(err)
	}
	rest := filepath.Join(dir, "rest")
	for b := make([]byte, 4096); ; b = append(b, b...) {
		if err := os.WriteFile(rest, b, 0o600); errors.Is(err, unix.ENOSPC) {
			break
		}
	}
	if f, err := Open(t.Context(), path); err == nil {
		t.Errorf("it is opened on a full disk: %v", f.Close())
	}
	if err := os.Remove(rest); err != nil {
		t.Fatal(err)
	}
	if f := newFeeds(t, path); f.HotCount() != 10 {
		t.Errorf("%d cards are on the list, want 10", f.HotCount())
	}
}

// TestClosed: a copy that is closed, also after its disk has failed, is not opened
// again by itself. What is in memory goes on.
func TestClosed(t *testing.T) {
	f := newFeeds(t, newPath(t))
	ctx := t.Context()
	if err := f.Apply(ctx, hotlist(0, 1, map[Card]Reason{card(1): 2})); err != nil {
		t.Fatal(err)
	}
	f.store.db.Close()
	if err := f.Apply(ctx, hotlist(1, 2, nil, card(1))); err == nil {
		t.Fatal("taken without a disk")
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	}
	_, err := f.Content(ctx, "bath")
	for call, err := range map[string]error{
		"Content": err,
		"Apply":   f.Apply(ctx, hotlist(1, 2, nil, card(1))),
		"Checked": f.Checked(ctx, Hotlist, 1, noon.Add(time.Hour)),
	} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s = %v, want os.ErrClosed", call, err)
		}
	}
	if _, hot := f.Hot(card(1)); !hot {
		t.Error("the list in memory is gone")
	}
	if s := f.Status("nonesuch"); s != (Status{Name: "nonesuch"}) {
		t.Errorf("status of what there is not: %+v", s)
	}
}

// TestAfterFailure: whatever is called next opens the file again.
func TestAfterFailure(t *testing.T) {
	for name, call := range map[string]func(f *Feeds) error{
		"Content": func(f *Feeds) error { _, err := f.Content(t.Context(), "bath"); return err },
		"Checked": func(f *Feeds) error { return f.Checked(t.Context(), Hotlist, 1, noon.Add(time.Hour)) },
	} {
		f := newFeeds(t, newPath(t))
		if err := f.Apply(t.Context(), hotlist(0, 1, map[Card]Reason{card(1): 2})); err != nil {
			t.Fatal(err)
		}
		f.store.db.Close()
		if err := f.Apply(t.Context(), hotlist(1, 2, nil)); err == nil {
			t.Fatal("taken without a disk")
		}
		if err := call(f); err != nil {
			t.Errorf("%s = %v", name, err)
		}
	}
}

// TestOnDisk: what has just been taken is not written down again for news of the
// same minute, and nobody but its owner reads the file.
func TestOnDisk(t *testing.T) {
	path := newPath(t)
	f := newFeeds(t, path)
	if err := f.Apply(t.Context(), Update{Name: "bath", Version: 1, Issued: noon, Content: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if err := f.Checked(t.Context(), "bath", 1, noon.Add(noteEvery/2)); err != nil {
		t.Fatal(err)
	}
	seen, err := Look(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range seen {
		if s.Name == "bath" && !s.Checked.Equal(noon) {
			t.Errorf("written down again at %v", s.Checked)
		}
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if info, err := os.Stat(path + suffix); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%q: %v, %v", suffix, info.Mode(), err)
		}
	}
}

// TestCannotGrow: a file whose rows are right, but whose list of free pages is not,
// would refuse every later update. It is thrown away too.
func TestCannotGrow(t *testing.T) {
	path := newPath(t)
	f := newFeeds(t, path)
	if err := f.Apply(t.Context(), hotlist(0, 1, map[Card]Reason{card(1): 2})); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[36+3] = 5 // free pages, of which there is none
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f = newFeeds(t, path)
	if v := f.Status(Hotlist).Version; v != 0 {
		t.Errorf("version %d is believed", v)
	}
	if err := f.Apply(t.Context(), many(2000)); err != nil {
		t.Error(err)
	}
}
