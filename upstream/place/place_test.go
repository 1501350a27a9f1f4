package place_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quancun/upstream/place"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	"quancun/upstream/store/pgtest"
	"quancun/upstream/store/sqldb"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// TestPlace: a terminal that is moved keeps the places that it had, and the first
// counts for what it did before somebody said so.
func TestPlace(t *testing.T) {
	for engine, dsn := range map[string]func() string{
		"SQLite":     func() string { return filepath.Join(t.TempDir(), "books.db") },
		"PostgreSQL": func() string { return pgtest.New(t).DSN },
	} {
		t.Run(engine, func(t *testing.T) { testPlace(t, dsn()) })
	}
}

func testPlace(t *testing.T, dsn string) {
	ctx, noon := t.Context(), time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	clock := noon
	b, err := booktest.Open(ctx, dsn, func() time.Time { return clock })
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	no, err := b.AddTerminal(ctx, store.Terminal{ID: "K01"})
	if err != nil {
		t.Fatal(err)
	}
	set := func(at time.Time, p place.Place) {
		t.Helper()
		clock = at
		for range 2 { // the same again changes nothing
			if err := place.Set(ctx, b, "K01", p); err != nil {
				t.Fatal(err)
			}
		}
	}
	east, west := place.Place{ZH: "东门", EN: "East gate"}, place.Place{ZH: "西门"}
	if m, err := place.All(ctx, b); err != nil || m.At("K01", noon) != (place.Place{}) || m.Now("K01") != (place.Place{}) {
		t.Errorf("before anybody has said: %+v, %v", m, err)
	}
	if p, err := place.Of(ctx, b, "K01"); err != nil || p != (place.Place{}) {
		t.Errorf("before anybody has said: %+v, %v", p, err)
	}
	set(noon, east)
	set(noon.Add(time.Hour), west)
	set(noon.Add(-time.Hour), east) // the clock was put back, and the newest word counts all the same
	m, err := place.All(ctx, b)
	if err != nil || m.Now("K01") != east || m.Now("K02") != (place.Place{}) {
		t.Errorf("now at %+v, %v", m.Now("K01"), err)
	}
	if p, err := place.Of(ctx, b, "K01"); err != nil || p != east {
		t.Errorf("Of = %+v, %v", p, err)
	}
	for at, want := range map[time.Duration]place.Place{
		-24 * time.Hour: east, 0: east, time.Hour - time.Millisecond: east, time.Hour: west, time.Hour + time.Millisecond: east,
	} {
		if got := m.At("K01", noon.Add(at)); got != want {
			t.Errorf("%v after noon it stood at %+v, want %+v", at, got, want)
		}
	}
	named, err := place.Numbered(ctx, b, [][]byte{{9, 9, 9, 9, 9, 9}, no[:], nil})
	if err != nil || len(named) != 1 || named[0] != (place.Terminal{No: no, ID: "K01", Place: east}) {
		t.Errorf("Numbered = %+v, %v", named, err)
	}
	if err := place.Set(ctx, b, "K02", east); !errors.Is(err, store.ErrNone) {
		t.Errorf("a terminal that is none: %v", err)
	}
	for _, wrong := range []string{"", " 东门", "东\n门", "\xff", strings.Repeat("东", place.Max+1)} {
		if err := place.Set(ctx, b, "K01", place.Place{ZH: wrong}); !errors.Is(err, place.ErrPlace) {
			t.Errorf("place %q: %v", wrong, err)
		}
	}
	for _, attack := range []string{`UPDATE terminal_places SET zh = 'x'`, `DELETE FROM terminal_places`} {
		err := b.Write(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, attack)
			return err
		})
		if err == nil {
			t.Errorf("%s is let through", attack)
		}
	}
}
