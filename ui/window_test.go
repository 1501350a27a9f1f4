package ui

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/test"

	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/rules"
	"quancun/kiosk/till"
	"quancun/ui/look"
	"quancun/ui/specimen"
	"quancun/ui/text"
	"quancun/ui/widget"
)

// newWindow opens a window on the test driver. What a person does is appended
// to told.
func newWindow(t *testing.T, now func() time.Time, told *[]kiosk.Input) *Window {
	t.Helper()
	texts, err := NewTexts()
	if err != nil {
		t.Fatal(err)
	}
	return New(test.NewTempApp(t), Options{
		Panel: specimen.Panels["1080x1920"], Texts: texts, HideCursor: true, Phone: specimen.Phone,
		OnInput: func(in kiosk.Input) { *told = append(*told, in) }, Now: now,
	})
}

func still() time.Time { return specimen.Now }

func viewOf(name string) kiosk.View {
	all := specimen.Views()
	return all[slices.IndexFunc(all, func(v specimen.View) bool { return v.Name == name })].View
}

func read(w *Window) string {
	var b strings.Builder
	widget.Walk(w.screen.Top(), func(o fyne.CanvasObject, _ fyne.Position) {
		if line, ok := o.(*canvas.Text); ok {
			b.WriteString(line.Text + "\n")
		}
	})
	return b.String()
}

// TestShow keeps the page while only its end changes, and draws another when
// anything else does that it shows.
func TestShow(t *testing.T) {
	var told []kiosk.Input
	w := newWindow(t, still, &told)
	v := viewOf("06-account")
	w.Show(v)
	page := w.screen
	if got := w.window.Canvas().Size(); got.Width < 1080 {
		t.Errorf("window is %v", got)
	}

	v.Ends = v.Ends.Add(time.Minute)
	w.Show(v)
	v.Warning = true
	w.Show(v)
	if w.screen != page {
		t.Error("a new end drew a new page")
	}
	if got := read(w); !strings.Contains(got, "您还在吗") {
		t.Errorf("the warning is not there:\n%s", got)
	}
	v.Warning = false
	v.Balance.Account += 100
	w.Show(v)
	if w.screen == page {
		t.Error("a new balance drew no new page")
	}
}

// TestNews keeps the page under a finger while the machine has news that it does
// not show. The journal has some with every entry that goes up.
func TestNews(t *testing.T) {
	for _, tt := range []struct {
		what   string
		change func(*kiosk.Health)
		home   bool // whether it is to be seen there
	}{
		{"an entry waits", func(h *kiosk.Health) { h.Queue = kiosk.Queue{Count: 3, Amount: 500, Since: specimen.Now} }, false},
		{"entries do not get through", func(h *kiosk.Health) { h.Queue = kiosk.Queue{Count: 3, Failing: true} }, true},
		{"the hotlist ages", func(h *kiosk.Health) { h.HotlistAge += time.Hour }, false},
		{"the upstream goes away", func(h *kiosk.Health) { h.Upstream, h.Since = false, specimen.Now }, true},
		{"the reader goes away", func(h *kiosk.Health) { h.Reader = false }, true},
	} {
		for _, name := range []string{"01-home", "04-enter-pin", "12-pay"} {
			var told []kiosk.Input
			w := newWindow(t, still, &told)
			v := viewOf(name)
			w.Show(v)
			page := w.screen
			tt.change(&v.Health)
			w.Show(v)
			if drawn := w.screen != page; drawn != (tt.home && v.Step == kiosk.Home) {
				t.Errorf("%s, at %s: the page is drawn anew: %v", tt.what, name, drawn)
			}
		}
	}
}

// TestTillNews does the same at the till, whose journal has news with every sale,
// and with everything that is done in the office.
func TestTillNews(t *testing.T) {
	texts, err := NewTexts()
	if err != nil {
		t.Fatal(err)
	}
	w := NewTill(test.NewTempApp(t), Options{
		Panel: specimen.Panels["1080x1920"], Texts: texts, Now: still, OnTill: func(till.Input) {},
	})
	for _, tt := range []struct {
		what   string
		change func(*till.View)
		seen   func(till.Step) bool
	}{
		{"an entry waits", func(v *till.View) {
			v.Health.Queue, v.Dark.Left = kiosk.Queue{Count: 3, Amount: 500, Since: specimen.Now}, v.Dark.Left-500
		}, func(till.Step) bool { return false }},
		{"the hotlist ages", func(v *till.View) { v.Health.HotlistAge += time.Hour }, func(till.Step) bool { return false }},
		{"entries do not get through", func(v *till.View) {
			v.Health.Queue = kiosk.Queue{Count: 3, Failing: true, Since: specimen.Now}
		}, func(till.Step) bool { return true }},
		{"the upstream goes away", func(v *till.View) { v.Health.Upstream, v.Health.Since = false, specimen.Now },
			func(s till.Step) bool { return s != till.Office }},
	} {
		for _, step := range []till.Step{till.Ready, till.Present, till.StaffPIN, till.Office} {
			v := till.View{Step: step, Amount: 1200, Health: kiosk.Health{Terminal: "T01", Upstream: true, Reader: true}}
			v.Dark = rules.Budget{Sale: 100, Left: 1000, Max: 1000}
			if step == till.Office {
				v.Office = office.View{View: dialog.View{Page: dialog.Asking, No: 1, Question: dialog.Question{Kind: dialog.AskAmount, Max: 100}}}
			}
			w.show(v)
			page := w.screen
			tt.change(&v)
			w.show(v)
			if drawn := w.screen != page; drawn != tt.seen(step) {
				t.Errorf("%s, in step %d: the page is drawn anew: %v", tt.what, step, drawn)
			}
		}
	}
}

// TestLanguage lasts for a session: the next person begins in Chinese.
func TestLanguage(t *testing.T) {
	var told []kiosk.Input
	w := newWindow(t, still, &told)
	w.Show(viewOf("06-account"))
	w.screen.Tick(specimen.Now)
	w.o.Texts.SetLanguage(text.English)
	if got := read(w); !strings.Contains(got, "Account balance") {
		t.Errorf("in English the page says:\n%s", got)
	}
	w.Show(viewOf("23-done"))
	if got := read(w); !strings.Contains(got, "Topped up") {
		t.Errorf("the next page forgot the language:\n%s", got)
	}
	w.Show(viewOf("01-home"))
	if got := read(w); !strings.Contains(got, "校园卡自助服务") || strings.Contains(got, "Account") {
		t.Errorf("home says:\n%s", got)
	}
}

// TestKeypad types on the keys of a keypad beside the panel.
func TestKeypad(t *testing.T) {
	var told []kiosk.Input
	w := newWindow(t, still, &told)
	w.Show(viewOf("04-enter-pin"))
	c := w.window.Canvas()
	test.TypeOnCanvas(c, "12x34")
	w.o.Texts.SetLanguage(text.English) // drawn anew: no digit is lost
	c.OnTypedKey()(&fyne.KeyEvent{Name: fyne.KeyBackspace})
	test.TypeOnCanvas(c, "567")
	if len(told) != 1 || told[0].PIN == nil || string(told[0].PIN.Digits()[:]) != "123567" {
		t.Fatalf("typing sent %+v", told)
	}
	c.OnTypedKey()(&fyne.KeyEvent{Name: fyne.KeyEscape})
	if len(told) != 2 || told[1].Event != kiosk.Leave {
		t.Errorf("Escape sent %+v", told[1:])
	}
	w.Show(viewOf("10-other-sum"))
	test.TypeOnCanvas(c, "25")
	c.OnTypedKey()(&fyne.KeyEvent{Name: fyne.KeyReturn})
	if len(told) != 3 || told[2].Amount != 2500 {
		t.Errorf("25 and Enter sent %+v", told[2:])
	}
}

// TestNextStepForgets wipes what was typed for the step before.
func TestNextStepForgets(t *testing.T) {
	var told []kiosk.Input
	w := newWindow(t, still, &told)
	w.Show(viewOf("04-enter-pin"))
	test.TypeOnCanvas(w.window.Canvas(), "123")
	w.Show(viewOf("01-home"))
	if w.typed.PIN.Len() != 0 || *w.typed.PIN.Digits() != [kiosk.PINLength]byte{} {
		t.Error("three digits were kept")
	}
}

// TestEmptySpace does nothing, at Home and elsewhere.
func TestEmptySpace(t *testing.T) {
	var told []kiosk.Input
	w := newWindow(t, still, &told)
	for _, name := range []string{"01-home", "12-pay", "20-loading"} {
		w.Show(viewOf(name))
		for _, at := range []fyne.Position{{X: 540, Y: 200}, {X: 5, Y: 1000}, {X: 700, Y: 1900}} {
			test.TapCanvas(w.window.Canvas(), at)
		}
	}
	if len(told) != 0 {
		t.Errorf("empty space sent %+v", told)
	}
}

// TestRun counts down in virtual time and ends with its context.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []kiosk.Input
		w := newWindow(t, time.Now, &told)
		v := viewOf("14-unpaid")
		v.Ends = time.Now().Add(30 * time.Second)
		w.Show(v)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		time.Sleep(10*time.Second + 500*time.Millisecond)
		synctest.Wait()
		if got := read(w); !strings.Contains(got, "还剩 20 秒") {
			t.Errorf("after ten seconds the page says:\n%s", got)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v, want context.Canceled", err)
		}
	})
}

// TestNeeds: what is asked for on Home holds until Home comes back, or for as long
// as somebody may still be standing there.
func TestNeeds(t *testing.T) {
	var told []kiosk.Input
	now := specimen.Now
	w := newWindow(t, func() time.Time { return now }, &told)
	tap := func(name string) {
		t.Helper()
		found := false
		widget.Walk(w.screen.Top(), func(o fyne.CanvasObject, _ fyne.Position) {
			if b, ok := o.(*widget.Button); ok && b.Name == name && !found {
				found = true
				b.Tapped(nil)
			}
		})
		if !found {
			t.Fatalf("there is no key %q:\n%s", name, read(w))
		}
	}
	choose := func() {
		t.Helper()
		tap("access")
		tap("need-large")
		tap("need-contrast")
		tap("need-large")
		tap("need-simple")
		tap("done")
	}
	want := look.Needs{Contrast: true, Simple: true}

	choose()
	if w.access.needs != want || w.access.choosing || !strings.Contains(read(w), "全部服务") {
		t.Errorf("needs are %+v, the page is:\n%s", w.access, read(w))
	}
	w.Show(viewOf("04-enter-pin"))
	if w.access.needs != want {
		t.Errorf("in the visit needs are %+v, want %+v", w.access.needs, want)
	}
	w.Show(viewOf("01-home"))
	if w.access != (access{}) || strings.Contains(read(w), "全部服务") {
		t.Errorf("after the visit they are %+v", w.access)
	}

	choose()
	now = now.Add(forgetAfter - time.Second)
	if w.tick(now); w.access.needs != want {
		t.Errorf("while somebody may stand there they are %+v", w.access)
	}
	now = now.Add(time.Second)
	if w.tick(now); w.access != (access{}) {
		t.Errorf("when nobody does any more they are %+v", w.access)
	}

	choose()
	tap("more")
	if w.access.needs != (look.Needs{Contrast: true}) {
		t.Errorf("the way to all services leads to %+v", w.access.needs)
	}
	if len(told) != 0 {
		t.Errorf("the flow was told %+v", told)
	}

	tap("access")
	tap("need-unhurried")
	now = now.Add(forgetAfter)
	w.tick(now)
	if len(told) != 2 || told[0].Event != kiosk.Pace || !told[0].Unhurried || told[1].Event != kiosk.Pace ||
		told[1].Unhurried {
		t.Errorf("of longer times the flow was told %+v", told)
	}
}

// TestMark goes by a keypad from key to key and presses one. Digits have keys of
// their own there, and a page that is drawn anew keeps the mark.
func TestMark(t *testing.T) {
	var told []kiosk.Input
	w := newWindow(t, still, &told)
	c := w.window.Canvas()
	press := func(names ...fyne.KeyName) {
		for _, name := range names {
			c.OnTypedKey()(&fyne.KeyEvent{Name: name})
		}
	}
	marked := func() string { return w.typed.Marked }

	w.Show(viewOf("06-account"))
	if press(fyne.KeyDown); marked() != "topup" {
		t.Errorf("the first key is %q, want the next action", marked())
	}
	press(fyne.KeyDown)
	w.o.Texts.SetLanguage(text.English)
	if marked() != "cardlog" {
		t.Errorf("the second key is %q", marked())
	}
	if press(fyne.KeyReturn); len(told) != 1 || told[0].Event != kiosk.ChoseCardLog {
		t.Errorf("Enter on it told %+v", told)
	}
	w.Show(viewOf("04-enter-pin"))
	if marked() != "" {
		t.Errorf("the next page begins with %q", marked())
	}
	seen := make(map[string]bool)
	for range 20 {
		press(fyne.KeyUp)
		seen[marked()] = true
	}
	if seen["digit-5"] || !seen["clear"] || !seen["leave"] || !seen["language"] {
		t.Errorf("a PIN's page has the keys %v", seen)
	}
}

// TestPadTakes: only a page with a pad takes digits, so that a click means that one
// was taken.
func TestPadTakes(t *testing.T) {
	var told []kiosk.Input
	w := newWindow(t, still, &told)
	for name, want := range map[string]bool{"01-home": false, "04-enter-pin": true, "06-account": false,
		"10-other-sum": true, "12-pay": false} {
		w.Show(viewOf(name))
		if got := w.screen.TypeDigit('1'); got != want {
			t.Errorf("%s takes a digit: %v", name, got)
		}
	}
}
