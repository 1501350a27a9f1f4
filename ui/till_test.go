package ui

import (
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/test"

	"quancun/kiosk/pin"
	"quancun/kiosk/till"
	"quancun/ui/specimen"
	"quancun/ui/speech"
	"quancun/ui/widget"
)

// aloud is a voice that keeps what it was given.
type aloud struct{ said []string }

func (a *aloud) Say(s speech.Script) {
	for _, u := range s.Parts {
		a.said = append(a.said, u.Text)
	}
}
func (*aloud) Plugged() bool     { return false }
func (*aloud) Jack() <-chan bool { return nil }

// TestPINPad: digits on the holder's own pad leave the page under the cashier's finger
// as it is; when the pad comes or goes what was begun on the panel is wiped; and the
// holder is asked aloud, once.
func TestPINPad(t *testing.T) {
	texts, err := NewTexts()
	if err != nil {
		t.Fatal(err)
	}
	voice := &aloud{}
	w := NewTill(test.NewTempApp(t), Options{
		Panel: specimen.TillPanels["1024x768"], Texts: texts, Now: still, OnTill: func(till.Input) {}, TillVoice: voice,
	})
	says := func(what, want string) {
		t.Helper()
		if got := strings.Join(voice.said, "|"); got != want {
			t.Errorf("%s: it says %q, want %q", what, got, want)
		}
		voice.said = nil
	}
	at := func(pad pin.Pad) till.View { return till.View{Step: till.EnterPIN, Amount: 6000, Pad: pad} }
	there := pin.Pad{Set: true, There: true}
	w.show(at(there))
	says("asked", "请在小键盘上输入密码，再按确认键")
	page := w.screen
	for there.Dots = range 7 {
		w.show(at(there))
	}
	if w.screen != page {
		t.Error("a digit draws the page anew")
	}
	says("while digits come", "")
	w.show(at(pin.Pad{Set: true, Panel: true, Lost: true}))
	says("unplugged", "小键盘没有连接，请看屏幕")
	for _, r := range "123" {
		w.rune(r)
	}
	if w.typed.PIN.Len() != 3 {
		t.Errorf("%d digits on the panel, want 3", w.typed.PIN.Len())
	}
	w.show(at(pin.Pad{Set: true, There: true}))
	if w.typed.PIN != (pin.PIN{}) {
		t.Error("what was begun on the panel is kept")
	}
	says("plugged in", "请在小键盘上输入密码，再按确认键")
	wrong := at(pin.Pad{Set: true, There: true})
	wrong.PIN = till.PINHint{Wrong: true, TriesLeft: 1}
	w.show(till.View{Step: till.CheckingPIN, Amount: 6000})
	w.show(wrong)
	says("wrong", "密码不对|请在小键盘上输入密码，再按确认键")
	w.show(at(pin.Pad{}))
	w.show(till.View{Step: till.Ready})
	says("without a pad", "")
}

// TestReceiptsWait: how many receipts wait is counted on the page that is under the
// cashier's finger; what the printer lacks draws it anew, as when it is mended.
func TestReceiptsWait(t *testing.T) {
	texts, err := NewTexts()
	if err != nil {
		t.Fatal(err)
	}
	w := NewTill(test.NewTempApp(t), Options{
		Panel: specimen.TillPanels["1024x768"], Texts: texts, Now: still, OnTill: func(till.Input) {},
	})
	v := till.View{Step: till.Sold, Amount: 1200}
	w.show(v)
	if words := said(w.screen.Object); strings.Contains(words, "打印机") {
		t.Errorf("a printer that lacks nothing: %q", words)
	}
	v.Printer = till.Printer{Lacks: "printer.out"}
	w.show(v)
	page := w.screen
	for _, tt := range []struct {
		waiting int
		want    string
	}{{0, "不影响收款"}, {9, "9 张小票待打印"}, {10, "10 张小票待打印"}} {
		v.Printer.Waiting = tt.waiting
		w.show(v)
		if words := said(w.screen.Object); !strings.Contains(words, "打印机缺纸") || !strings.Contains(words, tt.want) {
			t.Errorf("%d wait: %q", tt.waiting, words)
		}
		if w.screen != page {
			t.Errorf("%d wait: the page is drawn anew", tt.waiting)
		}
	}
	v.Printer = till.Printer{}
	w.show(v)
	if words := said(w.screen.Object); strings.Contains(words, "打印机") {
		t.Errorf("with paper in: %q", words)
	}
}

// said is every line of a page.
func said(root fyne.CanvasObject) string {
	var all []string
	widget.Walk(root, func(o fyne.CanvasObject, _ fyne.Position) {
		if line, ok := o.(*canvas.Text); ok {
			all = append(all, line.Text)
		}
	})
	return strings.Join(all, "|")
}
