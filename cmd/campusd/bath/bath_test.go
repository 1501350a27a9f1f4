package bath_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quancun/bathcode"
	"quancun/cmd/campusd/bath"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	"quancun/water"
)

// folder is where the books of a test are.
type folder string

func (f folder) Flags(*flag.FlagSet) {}

func (f folder) Data(ctx context.Context) (bath.Data, error) {
	b, err := booktest.Open(ctx, filepath.Join(string(f), "books.db"), nil)
	return bath.Data{Books: b, Dir: string(f), Policy: bath.Usual()}, err
}

// do does a command line, and returns what it prints.
func (f folder) do(t *testing.T, line string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := bath.Run(t.Context(), strings.Fields(line), f, &out)
	return out.String(), err
}

func (f folder) must(t *testing.T, line string) string {
	t.Helper()
	out, err := f.do(t, line)
	if err != nil {
		t.Fatalf("bath %s: %v", line, err)
	}
	return out
}

// TestCommands makes a bath, gives its controller a setup, and takes its log.
func TestCommands(t *testing.T) {
	f := folder(t.TempDir())
	f.must(t, "hall add 1 --name East --merchant bath-east --cap 600 --litre 4")
	f.must(t, "hall add 2 --name West --merchant bath-west --litre 4 --whole")
	f.must(t, "stall add 1 7")
	f.must(t, "stall add 2 1")
	f.must(t, "stall close 2 1")
	f.must(t, "slot add 1 --from 17:00 --to 18:30 --minutes 45")
	f.must(t, "slot close 1 1")
	f.must(t, "hall set 2 --cap 900 --closed")
	list := f.must(t, "hall list")
	for _, want := range []string{
		"East", "of a stall", "6.00", "0: 17:00-17:45, 1: 17:45-18:30 (closed)",
		"West (closed)", "of the hall", "9.00", "1 (closed)",
	} {
		if !strings.Contains(list, want) {
			t.Errorf("%q is not in\n%s", want, list)
		}
	}
	file := filepath.Join(string(f), "stall7.json")
	f.must(t, "key 1 7 -o "+file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := water.ParseSetup(text)
	if err != nil || s.Stall != 7 || s.Cap != 600 {
		t.Fatalf("setup %+v, %v", s, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	day := s.Keys[0].Day
	k, _ := s.Key(day)
	log := append(water.Report{Slot: bathcode.Slot{Place: s.Place(), Day: day}}.Seal(k), "\n\n00 {}\n"...)
	path := filepath.Join(string(f), "log")
	if err := os.WriteFile(path, log, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := f.do(t, "take "+path)
	if err == nil || !strings.Contains(out, "2 reports, 0 of them taken before") ||
		!strings.Contains(err.Error(), "1 reports are of no controller") {
		t.Errorf("take: %q, %v", out, err)
	}
	if out, _ := f.do(t, "take "+path); !strings.Contains(out, "1 of them taken before") {
		t.Errorf("take again: %q", out)
	}
}

// TestDemo makes the demonstration's baths, and what their controllers need.
func TestDemo(t *testing.T) {
	f := folder(t.TempDir())
	data, err := f.Data(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d, err := bath.Open(t.Context(), data)
	if err := errors.Join(err, bath.Demo(t.Context(), d), data.Books.Close()); err != nil {
		t.Fatal(err)
	}
	f.must(t, "key 1 6 -o "+filepath.Join(data.Dir, "stall"))
	f.must(t, "key 2 -o "+filepath.Join(data.Dir, "hall"))
	setups := filepath.Join(data.Dir, "setups")
	for range 2 { // every month
		f.must(t, "key --all -o "+setups)
	}
	made, err := os.ReadDir(setups)
	if err != nil || len(made) != 7 || made[0].Name() != "1-1.json" || made[6].Name() != "2-0.json" {
		t.Errorf("setups %v, %v; want six of stalls and one of a hall", made, err)
	}
	for _, line := range []string{"key -o x", "key 1 --all -o x", "key --all"} {
		if _, err := f.do(t, line); !errors.Is(err, bath.ErrUsage) {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// TestSettings takes what a school may decide, and gives its controllers the same.
func TestSettings(t *testing.T) {
	for name, change := range map[string]func(*bath.Settings){
		"months ahead":        func(s *bath.Settings) { s.DaysAhead = 31 },
		"no reservation":      func(s *bath.Settings) { s.OpenMax = 0 },
		"nobody ever":         func(s *bath.Settings) { s.NoShows = 0 },
		"for ever":            func(s *bath.Settings) { s.NoShowDays = 367 },
		"before it was":       func(s *bath.Settings) { s.GraceMinutes = -1 },
		"held for two weeks":  func(s *bath.Settings) { s.ReleaseHours = 14 * 24 },
		"not held after that": func(s *bath.Settings) { s.ReleaseHours = 0 },
	} {
		s := bath.Usual()
		if change(&s); s.Check() == nil {
			t.Errorf("%s: taken", name)
		}
	}
	s := bath.Usual()
	s.DaysAhead, s.GraceMinutes = 0, 5 // only today
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	data, err := folder(t.TempDir()).Data(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer data.Books.Close()
	data.Policy = s
	d, err := bath.Open(t.Context(), data)
	if err := errors.Join(err, bath.Demo(t.Context(), d)); err != nil {
		t.Fatal(err)
	}
	if setup, err := d.Setup(t.Context(), 2, 0); err != nil || setup.Grace != 5*60 {
		t.Errorf("a grace of %d s, %v", setup.Grace, err)
	}
}

// TestKey makes the key once, and no other in place of one that is lost.
func TestKey(t *testing.T) {
	f := folder(t.TempDir())
	f.must(t, "hall list")
	key := filepath.Join(string(f), "bath.key")
	first, err := os.ReadFile(key)
	if err != nil || len(first) != 64 {
		t.Fatalf("key of %d digits, %v", len(first), err)
	}
	f.must(t, "hall add 1 --name East --merchant bath-east --litre 4")
	if again, err := os.ReadFile(key); err != nil || !bytes.Equal(again, first) {
		t.Errorf("the key has changed, %v", err)
	}
	for name, spoil := range map[string]func() error{
		"open to all": func() error { return os.Chmod(key, 0o644) },
		"too short":   func() error { return errors.Join(os.Chmod(key, 0o600), os.Truncate(key, 62)) },
		"lost":        func() error { return os.Remove(key) },
	} {
		if err := os.WriteFile(key, first, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Chmod(key, 0o600), spoil()); err != nil {
			t.Fatal(err)
		}
		out, err := f.do(t, "hall list")
		if err == nil || strings.Contains(out+err.Error(), string(first[:8])) {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
}

// TestUsage refuses what it does not understand, and changes nothing.
func TestUsage(t *testing.T) {
	f := folder(t.TempDir())
	for _, line := range []string{
		"", "hall", "hall burn 1", "hall add", "hall add x --name East", "hall list more", "stall add 1", "slot add 1",
		"slot add 1 --from 5pm --to 18:00", "slot close 1 300", "key", "key 1", "hall add 70000", "take",
	} {
		if _, err := f.do(t, line); !errors.Is(err, bath.ErrUsage) {
			t.Errorf("%q: %v", line, err)
		}
	}
	if _, err := f.do(t, "hall add 1 --name East --merchant bath-east"); err == nil {
		t.Error("free water")
	}
	if _, err := f.do(t, "stall add 1 1"); !errors.Is(err, store.ErrNone) {
		t.Errorf("stall of no hall: %v", err)
	}
}
