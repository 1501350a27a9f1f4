package till_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/test"

	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/pin"
	"quancun/kiosk/till"
	"quancun/money"
	"quancun/ui/inspect"
	"quancun/ui/look"
	"quancun/ui/specimen"
	"quancun/ui/text"
	face "quancun/ui/till"
	"quancun/ui/widget"
)

func newApp(t *testing.T) {
	t.Helper()
	test.NewTempApp(t).Settings().SetTheme(look.Theme{})
}

// newStage is a stage on that panel. What a person does is appended to told.
func newStage(t *testing.T, p look.Panel, l text.Language, told *[]till.Input) face.Stage {
	t.Helper()
	texts, err := text.New()
	if err != nil {
		t.Fatal(err)
	}
	texts.SetLanguage(l)
	return face.Stage{
		Texts: texts, Kit: widget.Kit{Panel: p}, Now: specimen.Now, Phone: specimen.Phone, Staff: true,
		Typed: &face.Typed{}, On: func(in till.Input) { *told = append(*told, in) }, OnLanguage: func() {}, Redraw: func() {},
	}
}

// buttons returns the keys that can be tapped on a page, by name.
func buttons(root fyne.CanvasObject) map[string]*widget.Button {
	found := make(map[string]*widget.Button)
	widget.Walk(root, func(o fyne.CanvasObject, _ fyne.Position) {
		if b, ok := o.(*widget.Button); ok {
			found[b.Name] = b
		}
	})
	return found
}

// limits are what a page is held to on a panel. On 15.6 inches at 16:9, the lowest that
// tills have, nothing more than a little less is to be had.
func limits(p look.Panel) inspect.Limits {
	if p.WidthPx == 1920 {
		return inspect.Limits{Panel: p, Capital: 3.4, Key: 14}
	}
	return inspect.Limits{Panel: p, Capital: 3.5, Key: 15}
}

// TestEveryPage builds every specimen in every language on every panel, and holds
// it to its panel, every key to a finger, and every line to its room. A cashier
// sits before it, at arm's length: capitals of 3.5 mm and keys of 15 mm.
func TestEveryPage(t *testing.T) {
	newApp(t)
	for name, p := range specimen.TillPanels {
		for _, l := range text.Languages {
			for _, v := range specimen.TillViews() {
				t.Run(fmt.Sprintf("%s/%s/%s", name, l, v.Name), func(t *testing.T) {
					var told []till.Input
					s := face.Build(v.View, newStage(t, p, l, &told))
					wrong := inspect.Room(s.Object, limits(p))
					wrong = append(wrong, inspect.Apart(s.Top())...)
					wrong = append(wrong, inspect.Contrast(s.Top(), look.Needs{})...)
					for _, w := range append(wrong, inspect.Glyphs(s.Object)...) {
						t.Error(w)
					}
				})
			}
		}
	}
}

// TestCountFits: the highest number of each note and coin has room on every panel,
// whichever is typed now.
func TestCountFits(t *testing.T) {
	newApp(t)
	looked := 0
	for name, p := range specimen.TillPanels {
		for _, v := range specimen.TillViews() {
			q := v.View.Office.Question
			if q.Kind != dialog.AskPieces {
				continue
			}
			for row := range q.Pieces {
				var told []till.Input
				stage := newStage(t, p, text.Chinese, &told)
				stage.Typed.Office.Counts, stage.Typed.Office.Row = slices.Repeat([]string{"9999"}, len(q.Pieces)), row
				s := face.Build(v.View, stage)
				looked++
				for _, w := range inspect.Room(s.Object, limits(p)) {
					t.Errorf("%s, %s, row %d: %s", name, v.Name, row, w)
				}
			}
		}
	}
	if looked == 0 {
		t.Error("no specimen is a count")
	}
}

// TestEveryStepHasAPage, even with nothing to say on it.
func TestEveryStepHasAPage(t *testing.T) {
	newApp(t)
	shown := map[till.Step]bool{}
	for _, v := range specimen.TillViews() {
		shown[v.View.Step] = true
	}
	for step := till.Locked; step <= till.Office; step++ {
		if !shown[step] {
			t.Errorf("step %d has no specimen", step)
		}
		var told []till.Input
		face.Build(till.View{Step: step}, newStage(t, specimen.TillPanels["1024x768"], text.Chinese, &told))
	}
}

// TestKeysAreTheFlows taps every key of every page, and holds what it sends to
// what the flow takes there.
func TestKeysAreTheFlows(t *testing.T) {
	newApp(t)
	for _, v := range specimen.TillViews() {
		var told []till.Input
		s := face.Build(v.View, newStage(t, specimen.TillPanels["1024x768"], text.English, &told))
		s.Type('7')
		for _, name := range slices.Sorted(maps.Keys(buttons(s.Object))) {
			if b := buttons(s.Object)[name]; name != "clear" && name != "erase" && name != "point" &&
				!strings.HasPrefix(name, "digit-") {
				test.Tap(b)
			}
		}
		for _, in := range told {
			if v.View.Step == till.Office && in.Event == 0 {
				checkOffice(t, v.Name, v.View.Office, in.Office)
				continue
			}
			if _, ok := v.View.Step.Next(in.Event); !ok {
				t.Errorf("%s sends event %d, which the flow does not take", v.Name, in.Event)
			}
		}
	}
}

// checkOffice holds what a page of the office sends to what the office takes.
func checkOffice(t *testing.T, name string, v office.View, in dialog.Input) {
	t.Helper()
	ok := in.Event == dialog.Left && !v.Busy() ||
		in.Event == dialog.Picked && v.Page == office.Menu && v.Entries[in.Pick].Why == "" ||
		in.Event == dialog.Answered && v.Page == dialog.Asking && !v.Busy() ||
		(in.Event == dialog.PrintIt || in.Event == dialog.SaveIt) && v.Page == dialog.Ended
	if !ok || in.No != v.No {
		t.Errorf("%s sends %+v, which the office does not take", name, in)
	}
}

// TestKeyboardAlone sells and leaves with a keyboard alone, and begins the next
// price on the page of the sale before.
func TestKeyboardAlone(t *testing.T) {
	newApp(t)
	var told []till.Input
	stage := newStage(t, specimen.TillPanels["1024x768"], text.Chinese, &told)
	s := face.Build(till.View{Step: till.Sold}, stage)
	for _, r := range "12.505" { // more than two digits after the point are none
		s.Type(r)
	}
	if len(told) != 1 || told[0].Event != till.Leave {
		t.Fatalf("the first digit sends %+v", told)
	}
	stage.Typed.Step(till.Ready)
	s = face.Build(till.View{Step: till.Ready, Products: []till.Product{{Name: "面", Price: 900}}}, stage)
	s.Erase()
	s.Confirm()
	s.Function(1)
	s.Function(2)
	want := []money.Fen{1250, 900}
	for i, in := range told[1:] {
		if in.Event != till.Priced || in.Amount != want[i] {
			t.Errorf("key %d sends %+v, want %s", i, in, want[i])
		}
	}
	if len(told) != 3 {
		t.Errorf("sent %+v", told)
	}
	told = nil
	s = face.Build(till.View{Step: till.EnterPIN}, stage)
	for _, r := range "123456" {
		s.Type(r)
	}
	s.Leave()
	if len(told) != 2 || told[0].PIN == nil || !told[0].PIN.Full() || told[1].Event != till.Leave {
		t.Errorf("PIN page sends %+v", told)
	}
}

// TestNothingPersonal: a price page shows nobody's name.
func TestNothingPersonal(t *testing.T) {
	newApp(t)
	var told []till.Input
	s := face.Build(till.View{Step: till.Ready, Holder: kiosk.Holder{Name: "欧**明"}},
		newStage(t, specimen.TillPanels["1024x768"], text.Chinese, &told))
	widget.Walk(s.Object, func(o fyne.CanvasObject, _ fyne.Position) {
		if line, ok := o.(*canvas.Text); ok && strings.Contains(line.Text, "欧") {
			t.Errorf("the page says %q", line.Text)
		}
	})
}

// TestHolderTypesAlone: where a holder has a PIN pad of their own, neither a finger nor
// the cashier's keyboard types a digit, and what was typed there is shown in place;
// while it is away the panel takes the PIN only where it may.
func TestHolderTypesAlone(t *testing.T) {
	newApp(t)
	desk := till.View{Step: till.Office, Office: office.View{View: dialog.View{
		Page: dialog.Asking, No: 3, Question: dialog.Question{Kind: dialog.AskPIN, Name: "total"}}}}
	for name, v := range map[string]till.View{"sale": {Step: till.EnterPIN}, "desk": desk} {
		for _, tt := range []struct {
			pad   pin.Pad
			types bool
		}{
			{pin.Pad{}, true}, {pin.Pad{Set: true, Panel: true, Lost: true}, true},
			{pin.Pad{Set: true, There: true}, false}, {pin.Pad{Set: true}, false}, {pin.Pad{Set: true, Lost: true}, false},
		} {
			var told []till.Input
			v.Pad = tt.pad
			stage := newStage(t, specimen.TillPanels["1024x768"], text.Chinese, &told)
			s := face.Build(v, stage)
			if _, has := buttons(s.Object)["digit-1"]; has != tt.types {
				t.Errorf("%s, pad %+v: digit keys: %v", name, tt.pad, has)
			}
			for _, r := range "271828" {
				s.Type(r)
			}
			s.Erase()
			s.Confirm()
			if (len(told) > 0) != tt.types || stage.Typed.PIN.Len() > 0 || stage.Typed.Office.PIN.Len() > 0 {
				t.Errorf("%s, pad %+v: the keyboard sends %+v", name, tt.pad, told)
			}
			if s.Dots(4); filled(s.Object) != 4 && tt.pad.There {
				t.Errorf("%s, pad %+v: %d dots of four", name, tt.pad, filled(s.Object))
			}
			told = nil
			if s.Leave(); len(told) != 1 {
				t.Errorf("%s, pad %+v: the cashier cannot cancel", name, tt.pad)
			}
		}
	}
}

// filled is how many dots are.
func filled(root fyne.CanvasObject) (n int) {
	widget.Walk(root, func(o fyne.CanvasObject, _ fyne.Position) {
		if c, ok := o.(*canvas.Circle); ok && c.FillColor == look.Blue {
			n++
		}
	})
	return n
}

// TestReasons: why a way of paying is not there is said in words of its own, in each language.
func TestReasons(t *testing.T) {
	newApp(t)
	for _, l := range text.Languages {
		s := newStage(t, specimen.TillPanels["1024x768"], l, new([]till.Input))
		said := make(map[string]till.Reason)
		for why := till.NoReason; why <= till.TooDear; why++ {
			v := till.View{Step: till.Present, Amount: 1200, // which asks for a card or a code, whatever the reason
				Ways: []till.Source{{Kind: till.ByCard}, {Kind: till.ByCode}, {Kind: till.ByAlipay, Why: why}}}
			page := ""
			widget.Walk(face.Build(v, s).Object, func(o fyne.CanvasObject, _ fyne.Position) {
				if line, ok := o.(*canvas.Text); ok {
					page += line.Text + "\n"
				}
			})
			if other, is := said[page]; is {
				t.Errorf("%s: reasons %d and %d are said alike", l, why, other)
			}
			said[page] = why
		}
	}
}

// TestAsksForWhatPays: the page asks for no card where only a code pays, nor for a code
// where only a card does, and for nothing where nothing does.
func TestAsksForWhatPays(t *testing.T) {
	newApp(t)
	for _, tt := range []struct {
		card, code till.Reason
		want       string
	}{
		{till.NoReason, till.NoReason, "请刷卡或扫码"},
		{till.NoReason, till.NotBuilt, "请刷卡"},
		{till.NoSAM, till.NoReason, "请扫码"},
		{till.OldList, till.NoDark, "现在什么都不能收"},
		{till.PastGone, till.PastGone, "现在什么都不能收"},
		{till.NoReader, till.TooDear, "超过脱机限额，不能收"},
		{till.NoReason, till.TooDear, "请刷卡"},
	} {
		v := till.View{Step: till.Present, Amount: 1200,
			Ways: []till.Source{{Kind: till.ByCard, Why: tt.card}, {Kind: till.ByCode, Why: tt.code}}}
		s := face.Build(v, newStage(t, specimen.TillPanels["1024x768"], text.Chinese, new([]till.Input)))
		said := false
		widget.Walk(s.Object, func(o fyne.CanvasObject, _ fyne.Position) {
			line, ok := o.(*canvas.Text)
			said = said || ok && line.Text == tt.want
		})
		if !said {
			t.Errorf("card %d, code %d: the page does not ask for %q", tt.card, tt.code, tt.want)
		}
	}
}
