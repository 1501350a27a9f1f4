package text

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/money"
)

func newTexts(t *testing.T) *Texts {
	t.Helper()
	texts, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

var placeholder = regexp.MustCompile(`\{[a-z]+\}`)

// TestTables holds both languages to the same keys, and each text to the same
// placeholders.
func TestTables(t *testing.T) {
	texts := newTexts(t)
	zh, en := texts.Keys(Chinese), texts.Keys(English)
	if !slices.Equal(zh, en) {
		t.Fatalf("keys differ:\nzh %q\nen %q", zh, en)
	}
	for _, key := range zh {
		a, b := texts.tables[Chinese][key], texts.tables[English][key]
		if a == "" || b == "" {
			t.Errorf("%s is empty: %q, %q", key, a, b)
		}
		inA, inB := placeholder.FindAllString(a, -1), placeholder.FindAllString(b, -1)
		slices.Sort(inA)
		slices.Sort(inB)
		if !slices.Equal(inA, inB) {
			t.Errorf("%s: placeholders %q and %q", key, inA, inB)
		}
	}
}

// TestEveryCode looks for what each code means and what to do about it.
func TestEveryCode(t *testing.T) {
	texts := newTexts(t)
	for _, c := range kiosk.Codes {
		for _, part := range []string{"title", "advice"} {
			if key := fmt.Sprintf("fault.%d.%s", c, part); !texts.Has(key) {
				t.Errorf("%s has no text in every language", key)
			}
		}
		for _, l := range Languages {
			texts.SetLanguage(l)
			if title, advice := texts.Fault(c); strings.Contains(title+advice, "fault.") {
				t.Errorf("%s in %s = %q, %q", Code(c), l, title, advice)
			}
		}
	}
}

var used = regexp.MustCompile(`\.T\("([a-z.0-9]+)"`)

// TestEveryKeyIsThere reads the pages' source for keys, and finds each in the
// tables.
func TestEveryKeyIsThere(t *testing.T) {
	texts := newTexts(t)
	files, err := filepath.Glob("../screen/*.go")
	tills, _ := filepath.Glob("../till/*.go")
	desks, _ := filepath.Glob("../office/*.go")
	files = append(append(files, tills...), desks...)
	if err != nil || len(files) == 0 {
		t.Fatalf("no pages found: %v", err)
	}
	n := 0
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range used.FindAllStringSubmatch(string(source), -1) {
			n++
			if composed := strings.HasSuffix(m[1], "."); !composed && !texts.Has(m[1]) {
				t.Errorf("%s uses %q, which has no text in every language", name, m[1])
			}
		}
	}
	if n < 50 {
		t.Errorf("found %d keys in the pages, want many: is the pattern still right?", n)
	}
}

func TestT(t *testing.T) {
	texts := newTexts(t)
	switches := 0
	texts.OnChange(func() { switches++ })
	if got, want := texts.T("seconds", "seconds", 30), "还剩 30 秒"; got != want {
		t.Errorf("T = %q, want %q", got, want)
	}
	texts.SetLanguage(texts.Other())
	texts.SetLanguage(English)
	if got, want := texts.T("seconds", "seconds", 30), "30 s left"; got != want {
		t.Errorf("T = %q, want %q", got, want)
	}
	if switches != 1 {
		t.Errorf("told of %d switches, want 1", switches)
	}
	if got := texts.T("no.such.key"); got != "no.such.key" {
		t.Errorf("missing key = %q, want the key", got)
	}
}

// TestNotPrinted: what could not be printed is taken along by phone, if a code has room
// for it, and the page says why it is not on paper.
func TestNotPrinted(t *testing.T) {
	x := newTexts(t)
	v := dialog.View{Page: dialog.Ended, Task: "network", Printed: dialog.NotYet, NoPaper: "unprinted.out",
		Report: dialog.Report{No: "A1", Facts: []dialog.Fact{dialog.Amount("pay.fact.paid", 1000)}}}
	code, words := x.Carried(v, time.Now()), x.NotPrinted(v, time.Now())
	if !strings.Contains(code, "10.00") || !strings.Contains(code, "A1") || !strings.Contains(words, "没有纸") ||
		!strings.Contains(words, "二维码") {
		t.Errorf("code %q, words %q", code, words)
	}
	v.Report.QR = "proof"
	if got := x.Carried(v, time.Now()); got != "proof" {
		t.Errorf("its own code is %q", got)
	}
	v.NoPaper, v.Report.QR, v.Report.Table.Rows = "", "", [][]dialog.Fact{v.Report.Facts}
	if code, words := x.Carried(v, time.Now()), x.NotPrinted(v, time.Now()); code != "" || strings.Contains(words, "二维码") ||
		!strings.Contains(words, "没有准备好") {
		t.Errorf("too long for a code: code %q, words %q", code, words)
	}
	v.Printed, v.Report.Table.Rows = dialog.Printed, nil
	if got := x.Carried(v, time.Now()); got != "" {
		t.Errorf("on paper, and in a code: %q", got)
	}
}

func TestFormats(t *testing.T) {
	at, beijing := time.Date(2026, 11, 23, 14, 5, 0, 0, time.UTC), time.FixedZone("CST", 8*60*60)
	slot := dialog.Span("", at, at.Add(30*time.Minute))
	texts := newTexts(t)
	for _, tt := range []struct{ got, want string }{
		{Amount(1230), "¥12.30"},
		{Amount(-5), "-¥0.05"},
		{Amount(0), "¥0.00"},
		{Change(50 * money.Yuan), "+¥50.00"},
		{Change(-320), "-¥3.20"},
		{Code(kiosk.CodeInternal), "E-1000"},
		{Clock(at), "14:05"},
		{texts.When(at, at), "11月23日 14:05"},
		{texts.When(at, at.In(beijing)), "11月23日 22:05"},
		{texts.Day(at.Add(11*time.Hour), at.In(beijing)), "11月24日"},
		{texts.Value(dialog.Day("", at.AddDate(1, 0, 0)), at), "2027年11月23日"},
		{texts.Value(slot, at), "11月23日 14:05-14:35"},
		{texts.OnPaper(slot, beijing), "2026-11-23 22:05-22:35"},
		{texts.OnPaper(dialog.Moment("", at), beijing), "2026-11-23 22:05"},
		{texts.OnPaper(dialog.Day("", at.Add(11*time.Hour)), beijing), "2026-11-24"},
		{texts.OnPaper(dialog.Moment("", time.Time{}), beijing), ""},
		{texts.OnPaper(dialog.Amount("", 5), beijing), "¥0.05"},
		{Stamp(at), "2026-11-23 14:05:00"},
		{texts.Option(dialog.Option{Word: "bath.today"}, at), "今天"},
		{texts.Option(dialog.Option{Text: "龙山浴室", When: slot}, at), "龙山浴室  11月23日 14:05-14:35"},
		{texts.Option(dialog.Option{When: dialog.Day("", at)}, at), "11月23日"},
		{texts.Value(dialog.Named("", "东门 (K01)", "East gate (K01)"), at), "东门 (K01)"},
		{texts.Place(kiosk.Open{Place: "东门 (K01)", PlaceEN: "East gate (K01)"}), "东门 (K01)"},
		{texts.Value(dialog.Moment("", at), at), "11月23日 14:05"},
		{texts.Value(dialog.Moment("", at.AddDate(0, 7, 0)), at), "2027年6月23日 14:05"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
	texts.SetLanguage(English)
	for got, want := range map[string]string{
		texts.Value(dialog.Named("", "东门 (K01)", "East gate (K01)"), at):       "East gate (K01)",
		texts.Value(dialog.Named("", "西门 (K02)", ""), at):                      "西门 (K02)",
		texts.Place(kiosk.Open{Place: "东门 (K03)", PlaceEN: "East gate (K03)"}): "East gate (K03)",
		texts.Place(kiosk.Open{Place: "canteen1"}):                             "canteen1",
		texts.When(at, at): "23 Nov 14:05",
		texts.Value(dialog.Moment("", at.AddDate(-1, 0, 0)), at):            "23 Nov 2025 14:05",
		texts.Option(dialog.Option{Text: "龙山校区电费", TextEN: "Longshan"}, at): "Longshan",
		texts.Option(dialog.Option{Text: "菱湖校区电费"}, at):                     "菱湖校区电费",
		texts.Value(dialog.Day("", at), at):                                 "23 Nov",
		texts.Value(slot, at):                                               "23 Nov 14:05-14:35",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestWhereInDoubt: of no code that leaves open whether money has moved, or that is told
// after some has, it is said that none has.
func TestWhereInDoubt(t *testing.T) {
	moved := []kiosk.Code{kiosk.CodeLoadRefused, kiosk.CodeLoadDoubt, kiosk.CodeLoadNoAnswer, kiosk.CodePaidBefore}
	for _, c := range kiosk.Codes {
		if got := Where(c); (c.Doubt() || slices.Contains(moved, c)) && got == Where(kiosk.CodeOffline) {
			t.Errorf("%s: %q", Code(c), got)
		}
	}
}
