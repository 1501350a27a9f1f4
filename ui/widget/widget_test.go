package widget_test

import (
	"image"
	"slices"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"

	"quancun/kiosk"
	"quancun/ui/look"
	"quancun/ui/specimen"
	"quancun/ui/widget"
)

func newKit(t *testing.T) widget.Kit {
	t.Helper()
	test.NewTempApp(t).Settings().SetTheme(look.Theme{})
	return widget.Kit{Panel: specimen.Panels["1080x1920"]}
}

// TestText breaks lines where Chinese and English allow it.
func TestText(t *testing.T) {
	k := newKit(t)
	em := k.Panel.Text(look.Body)
	for _, tt := range []struct {
		words string
		ems   float32 // width
		want  []string
	}{
		{"请把卡放在读卡区", 20, []string{"请把卡放在读卡区"}},
		{"请把卡放在读卡区", 5, []string{"请把卡放", "在读卡区"}},                  // even, not 5 and 3
		{"正在核实，请勿再次付款。", 8, []string{"正在核实，", "请勿再次付款。"}},          // where the phrase ends
		{"一二三四五六，七八", 6.2, []string{"一二三四五", "六，七八"}},              // no mark begins a line
		{"金额¥1234.50已到账", 8, []string{"金额¥1234.50", "已到账"}},        // no amount is split
		{"Please do not pay", 5, []string{"Please do", "not pay"}}, // nor a word
		{"上\n下", 20, []string{"上", "下"}},
		{"", 20, []string{""}},
	} {
		var got []string
		column := k.Text(tt.words, widget.Style{Type: look.Body}, tt.ems*em)
		for _, o := range column.Objects {
			got = append(got, o.(*canvas.Text).Text)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%q in %v em = %q, want %q", tt.words, tt.ems, got, tt.want)
		}
	}
}

func TestClipped(t *testing.T) {
	k := newKit(t)
	s := widget.Style{Type: look.Body}
	if got := k.Clipped("第一食堂", s, k.MM(200)).Text; got != "第一食堂" {
		t.Errorf("got %q, want it whole", got)
	}
	width := k.Panel.Text(look.Body) * 4
	if got := k.Clipped("第一食堂二楼十四号窗口", s, width); !strings.HasSuffix(got.Text, "...") ||
		got.MinSize().Width > width {
		t.Errorf("got %q of %v, want at most %v", got.Text, got.MinSize().Width, width)
	}
}

// TestButton presses a key as a finger does, and as one that slides off.
func TestButton(t *testing.T) {
	k := newKit(t)
	clicks, taps := 0, 0
	k.Click = func() { clicks++ }
	b := k.Button(widget.Face{Name: "ok", Label: "好"}, func() { taps++ })
	b.Resize(b.MinSize())
	ground := func() *canvas.Rectangle {
		return test.WidgetRenderer(b).Objects()[0].(*fyne.Container).Objects[0].(*canvas.Rectangle)
	}

	rest := ground().FillColor
	b.MouseIn(&desktop.MouseEvent{})
	if ground().FillColor != rest {
		t.Error("a pointer that stays there changes the key")
	}
	b.MouseDown(&desktop.MouseEvent{})
	if ground().FillColor == rest || clicks != 1 {
		t.Errorf("pressed key looks the same, or %d clicks", clicks)
	}
	b.MouseOut()
	if ground().FillColor != rest {
		t.Error("a finger that slid off left the key pressed")
	}
	test.Tap(b)
	b.SetDisabled(true)
	test.Tap(b)
	b.MouseDown(&desktop.MouseEvent{})
	if taps != 1 || clicks != 1 {
		t.Errorf("%d taps and %d clicks, want 1 and 1", taps, clicks)
	}
	if b.MinSize().Width < k.MM(20) || b.MinSize().Height < k.MM(20) {
		t.Errorf("key is %v, want at least 20 mm", b.MinSize())
	}
}

// TestCursor hides the cursor where it is asked to.
func TestCursor(t *testing.T) {
	k := newKit(t)
	if got := k.Button(widget.Face{}, nil).Cursor(); got != desktop.DefaultCursor {
		t.Errorf("cursor = %v, want the default", got)
	}
	k.HideCursor = true
	if got := k.Button(widget.Face{}, nil).Cursor(); got != desktop.HiddenCursor {
		t.Errorf("cursor = %v, want none", got)
	}
}

// TestPINPad never shuffles, and gives the digits away once.
func TestPINPad(t *testing.T) {
	k := newKit(t)
	var pin kiosk.PIN
	var given []*kiosk.PIN
	pad := k.PINPad(&pin, 40, widget.PadWords{Clear: "C", Erase: "E"}, func(p *kiosk.PIN) { given = append(given, p) })
	var labels []string
	keys := make(map[string]*widget.Button)
	widget.Walk(pad.Keys, func(o fyne.CanvasObject, _ fyne.Position) {
		if b, ok := o.(*widget.Button); ok {
			labels = append(labels, b.Label)
			keys[b.Label] = b
		}
	})
	if got, want := strings.Join(labels, ""), "123456789C0E"; got != want {
		t.Errorf("pad reads %q, want %q", got, want)
	}
	for _, label := range strings.Split("99C1234E456", "") {
		test.Tap(keys[label])
	}
	if len(given) != 1 || string(given[0].Digits()[:]) != "123456" || pin.Len() != 0 {
		t.Errorf("gave %d PINs and kept %d digits", len(given), pin.Len())
	}
}

// TestQR keeps modules at a millimetre and four of them free around the code.
func TestQR(t *testing.T) {
	k := newKit(t)
	for _, content := range []string{"https://qr.alipay.com/bax08431imkqnhvgqfek0055", strings.Repeat("凭证", 100)} {
		o, err := k.QR(content, 60)
		if err != nil {
			t.Fatal(err)
		}
		img := picture(t, o)
		module := moduleOf(img)
		if mm := float64(module) / k.Panel.True(); mm < look.Tolerance {
			t.Errorf("module is %.2f mm, want 1", mm)
		}
		for i := range 4 * module {
			if dark(img, img.Bounds().Dx()/2, i) || dark(img, i, img.Bounds().Dy()/2) {
				t.Fatalf("quiet zone is not quiet at %d", i)
			}
		}
	}
	if _, err := k.QR(strings.Repeat("x", 5000), 60); err == nil {
		t.Error("5000 bytes went into a QR code")
	}
}

func picture(t *testing.T, root fyne.CanvasObject) image.Image {
	t.Helper()
	var img image.Image
	widget.Walk(root, func(o fyne.CanvasObject, _ fyne.Position) {
		if i, ok := o.(*canvas.Image); ok {
			img = i.Image
		}
	})
	if img == nil {
		t.Fatal("no picture")
	}
	return img
}

// moduleOf measures a module: the finder pattern is seven of them wide.
func moduleOf(img image.Image) int {
	b := img.Bounds()
	for i := range b.Dx() {
		if !dark(img, i, i) {
			continue
		}
		n := 0
		for dark(img, i+n, i) {
			n++
		}
		return n / 7
	}
	return 0
}

func dark(img image.Image, x, y int) bool {
	r, _, _, _ := img.At(x, y).RGBA()
	return r < 0x8000
}

// TestGrow gives what is left over to what asks for it.
func TestGrow(t *testing.T) {
	k := newKit(t)
	a, b := k.Gap(10), k.Gap(10)
	row := k.Row(5, a, widget.Grow(b))
	row.Resize(fyne.NewSize(k.MM(100), k.MM(20)))
	if got, want := b.Size().Width, k.MM(85); got < want-1 || got > want+1 {
		t.Errorf("growing object is %v wide, want %v", got, want)
	}
}
