package sheet

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"codeberg.org/go-pdf/fpdf"

	"quancun/kiosk/dialog"
	"quancun/money"
	"quancun/ui/text"
)

// report is one of a day with as many lines.
func report(lines int) dialog.Report {
	r := dialog.Report{
		Title: "sales.item", No: "2026-03-02",
		Facts: []dialog.Fact{dialog.Amount("fact.net", 123_456), dialog.Count("head.count", 7), dialog.Text("fact.from", "=1+1")},
		Table: dialog.Table{Heads: []dialog.Word{"head.item", "head.net"}},
	}
	for i := range lines {
		name, f := fmt.Sprintf("鱼香肉丝 %d", i), money.Fen(100*i)
		r.Table.Rows = append(r.Table.Rows, []dialog.Fact{dialog.Text("", name), dialog.Amount("", f-300)})
		r.Plot = append(r.Plot, dialog.Bar{Label: name, Value: f - 300})
	}
	return r
}

func newFolder(t *testing.T) *Folder {
	t.Helper()
	texts, err := text.New()
	if err != nil {
		t.Fatal(err)
	}
	return &Folder{Dir: filepath.Join(t.TempDir(), "reports"), Place: "一食堂 3 号窗口", Texts: texts, Now: func() time.Time {
		return time.Date(2026, 3, 2, 6, 5, 4, 0, time.UTC)
	}, Log: slog.New(slog.DiscardHandler)}
}

func TestSave(t *testing.T) {
	f := newFolder(t)
	place, err := f.Save(t.Context(), report(2))
	if err != nil || filepath.Base(place) != "20260302-140504-sales-item" {
		t.Fatalf("Save = %q, %v", place, err)
	}
	table, err := os.ReadFile(place + ".csv")
	if err != nil {
		t.Fatal(err)
	}
	head := f.word("sales.item") + ",2026-03-02\r\n"
	rows := "'=1+1\r\n\r\n" + f.word("head.item") + "," + f.word("head.net") + "\r\n鱼香肉丝 0,-3.00\r\n鱼香肉丝 1,-2.00\r\n"
	if s := string(table); !strings.HasPrefix(s, "\uFEFF"+head) || !strings.HasSuffix(s, rows) || !strings.Contains(s, ",1234.56\r\n") {
		t.Errorf("table is %q, want it to end in %q", s, rows)
	}
	page, err := os.ReadFile(place + ".pdf")
	if err != nil || !bytes.HasPrefix(page, []byte("%PDF-")) || len(page) > 200<<10 {
		t.Errorf("page of %d bytes, %v", len(page), err)
	}
}

// TestStick: where a stick is mounted, a report is there, too; what is no stick, or
// takes nothing, is left alone.
func TestStick(t *testing.T) {
	f := newFolder(t)
	f.Media = t.TempDir()
	save := func() string {
		t.Helper()
		place, err := f.Save(t.Context(), report(1))
		if err != nil {
			t.Fatal(err)
		}
		for _, ending := range []string{".csv", ".pdf"} {
			kept, err1 := os.ReadFile(filepath.Join(f.Dir, filepath.Base(place)) + ending)
			b, err2 := os.ReadFile(place + ending)
			if err1 != nil || err2 != nil || !bytes.Equal(b, kept) {
				t.Errorf("%s: %v, %v", place+ending, err1, err2)
			}
		}
		return filepath.Dir(place)
	}
	stick := filepath.Join(f.Media, "clerk", "STICK")
	if err := os.MkdirAll(stick, 0o700); err != nil {
		t.Fatal(err)
	}
	if dir := save(); dir != f.Dir { // the folder of one that was pulled
		t.Errorf("saved in %s, want it in %s", dir, f.Dir)
	}
	f.isMount = func(dir string) bool { return dir == stick }
	if dir := save(); dir != stick {
		t.Errorf("saved in %s, want it on %s", dir, stick)
	}
	gone := filepath.Join(f.Media, "clerk", "GONE") // it takes nothing
	if err := os.Symlink("/nowhere", gone); err != nil {
		t.Fatal(err)
	}
	f.isMount = func(dir string) bool { return dir == gone }
	if dir := save(); dir != f.Dir {
		t.Errorf("saved in %s, want it in %s", dir, f.Dir)
	}
	if !isMount("/proc") || isMount("/proc/self") || isMount(f.Dir) || isMount("/nowhere") {
		t.Error("what is mounted is not told from what is not")
	}
}

// TestPage looks for the words in what is drawn, and counts the pages.
func TestPage(t *testing.T) {
	fpdf.SetDefaultCompression(false)
	defer fpdf.SetDefaultCompression(true)
	f := newFolder(t)
	for lines, pages := range map[int]int{0: 1, 2: 1, 40: 3} {
		page, err := f.page(report(lines), f.Now())
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Count(page, []byte("/Type /Page\n")); got != pages {
			t.Errorf("%d lines are on %d pages, want %d", lines, got, pages)
		}
		for want, times := range map[string]int{"¥1234.56": 1, "食堂": 1, "鱼香肉丝 1": 2} {
			if got := bytes.Count(page, drawn(want)); got < times && (lines > 1 || !strings.Contains(want, "鱼")) {
				t.Errorf("%d lines: %q is drawn %d times", lines, want, got)
			}
		}
	}
}

// drawn is a text as it stands in a page.
func drawn(s string) (b []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		for _, c := range []byte{byte(u >> 8), byte(u)} {
			if c == '\\' || c == '(' || c == ')' {
				b = append(b, '\\')
			}
			b = append(b, c)
		}
	}
	return b
}

// TestForget keeps the newest.
func TestForget(t *testing.T) {
	f := newFolder(t)
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range keptMax {
		file := filepath.Join(f.Dir, fmt.Sprintf("2025%04d-000000-old.csv", i))
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	place, err := f.Save(t.Context(), report(1))
	files, _ := filepath.Glob(filepath.Join(f.Dir, "*"))
	if err != nil || len(files) != keptMax || filepath.Base(files[0]) != "20250002-000000-old.csv" ||
		files[len(files)-1] != place+".pdf" {
		t.Errorf("%d files are left, %v", len(files), err)
	}
}
