package screen_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/test"

	"quancun/beijing"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/money"
	"quancun/ui/look"
	"quancun/ui/screen"
	"quancun/ui/specimen"
	"quancun/ui/text"
	"quancun/ui/widget"
)

var upright = specimen.Panels["1080x1920"]

// allSteps lists the steps of the flow, Home to Served. Of the numbers, 7 was one
// once.
func allSteps() []kiosk.Step {
	var steps []kiosk.Step
	for s := kiosk.Home; s <= kiosk.Served; s++ {
		if s != 7 {
			steps = append(steps, s)
		}
	}
	return steps
}

func newApp(t *testing.T) {
	t.Helper()
	test.NewTempApp(t).Settings().SetTheme(look.Theme{})
}

// specimenOf returns the first specimen of a step in which everything can be
// done.
func specimenOf(t *testing.T, s kiosk.Step) kiosk.View {
	t.Helper()
	for _, v := range specimen.Views() {
		if v.View.Step == s && (s != kiosk.Account || v.View.Balance.ToLoad > 0) {
			return v.View
		}
	}
	t.Fatalf("no specimen of step %d", s)
	return kiosk.View{}
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

// tap taps the key that says label.
func tap(t *testing.T, root fyne.CanvasObject, label string) {
	t.Helper()
	for _, b := range buttons(root) {
		if b.Label == label {
			test.Tap(b)
			return
		}
	}
	t.Fatalf("no key says %q", label)
}

// lines returns what can be read on a page.
func lines(root fyne.CanvasObject) string {
	var b strings.Builder
	widget.Walk(root, func(o fyne.CanvasObject, _ fyne.Position) {
		if line, ok := o.(*canvas.Text); ok {
			fmt.Fprintln(&b, line.Text)
		}
	})
	return b.String()
}

// TestEveryStepHasAPage, and every state that is drawn is one of a step.
func TestEveryStepHasAPage(t *testing.T) {
	newApp(t)
	for _, step := range allSteps() {
		specimenOf(t, step)
		for _, p := range specimen.Panels {
			for _, l := range text.Languages {
				var told []kiosk.Input
				s := screen.Build(kiosk.View{Step: step}, newStage(t, p, l, &told)) // with nothing to say
				if lines(s.Object) == "" {
					t.Errorf("page of step %d in %s is empty", step, l)
				}
			}
		}
	}
}

// TestKeysAreTheFlows taps every key of every page, and holds what it sends to
// what the flow takes there: no more, no less.
func TestKeysAreTheFlows(t *testing.T) {
	newApp(t)
	for _, step := range allSteps() {
		var told []kiosk.Input
		s := screen.Build(specimenOf(t, step), newStage(t, upright, text.Chinese, &told))
		digits := map[kiosk.Step]int{kiosk.EnterPIN: kiosk.PINLength, kiosk.ReenterPIN: kiosk.PINLength, kiosk.OtherSum: 1}
		for range digits[step] {
			test.Tap(buttons(s.Object)["digit-1"])
		}
		for name, b := range buttons(s.Object) {
			if !strings.HasPrefix(name, "digit-") && name != "clear" && name != "erase" && name != "language" {
				test.Tap(b)
			}
		}
		sent := make(map[kiosk.Event]bool)
		for _, in := range told {
			sent[in.Event] = true
		}
		for e := kiosk.ChoseTopUp; e <= kiosk.Leave; e++ {
			_, takes := step.Next(e)
			if sent[e] != takes {
				t.Errorf("step %d: page sends event %d: %v, flow takes it: %v", step, e, sent[e], takes)
			}
		}
	}
}

// TestTapByText does what a person does who can read.
func TestTapByText(t *testing.T) {
	newApp(t)
	for _, tt := range []struct {
		step   kiosk.Step
		zh, en string
		want   kiosk.Input
	}{
		{kiosk.Home, "充值", "Top up", kiosk.Input{Event: kiosk.ChoseTopUp}},
		{kiosk.Home, "查询", "My account", kiosk.Input{Event: kiosk.ChoseAccount}},
		{kiosk.Present, "取消", "Cancel", kiosk.Input{Event: kiosk.Leave}},
		{kiosk.Account, "写入卡片 ¥50.00", "Put ¥50.00 on card", kiosk.Input{Event: kiosk.ChoseLevel}},
		{kiosk.Account, "充值", "Top up", kiosk.Input{Event: kiosk.ChoseTopUp}},
		{kiosk.Account, "卡内记录", "Card log", kiosk.Input{Event: kiosk.ChoseCardLog}},
		{kiosk.Account, "结束", "Finish", kiosk.Input{Event: kiosk.Leave}},
		{kiosk.CardLog, "返回", "Back", kiosk.Input{Event: kiosk.Back}},
		{kiosk.Amount, "¥20.00", "¥20.00", kiosk.Input{Event: kiosk.TypedAmount, Amount: 20 * money.Yuan}},
		{kiosk.Amount, "其他金额", "Other amount", kiosk.Input{Event: kiosk.ChoseOther}},
		{kiosk.Pay, "取消", "Cancel", kiosk.Input{Event: kiosk.Leave}},
		{kiosk.Replace, "以后再写卡", "Write card later", kiosk.Input{Event: kiosk.Leave}},
		{kiosk.Doubt, "以后再写卡", "Write card later", kiosk.Input{Event: kiosk.Leave}},
		{kiosk.Done, "查看账户", "My account", kiosk.Input{Event: kiosk.ChoseAccount}},
		{kiosk.Done, "打印凭条", "Print", kiosk.Input{Dialog: dialog.Input{Event: dialog.PrintIt}}},
		{kiosk.OnAccount, "打印凭条", "Print", kiosk.Input{Dialog: dialog.Input{Event: dialog.PrintIt}}},
	} {
		for l, label := range map[text.Language]string{text.Chinese: tt.zh, text.English: tt.en} {
			var told []kiosk.Input
			s := screen.Build(specimenOf(t, tt.step), newStage(t, upright, l, &told))
			tap(t, s.Object, label)
			if len(told) != 1 || !reflect.DeepEqual(told[0], tt.want) {
				t.Errorf("step %d, %q sent %+v, want %+v", tt.step, label, told, tt.want)
			}
		}
	}
}

// TestNoWayOutWhileWriting: from the debit on, nothing can be tapped but the
// language.
func TestNoWayOutWhileWriting(t *testing.T) {
	newApp(t)
	for _, step := range []kiosk.Step{kiosk.Ordering, kiosk.Cancelling, kiosk.Loading, kiosk.Settling, kiosk.AtWork} {
		var told []kiosk.Input
		s := screen.Build(specimenOf(t, step), newStage(t, upright, text.Chinese, &told))
		if keys := buttons(s.Object); len(keys) != 1 || keys["language"] == nil {
			t.Errorf("step %d has keys %v, want the language only", step, keys)
		}
		s.Leave()
		s.Confirm()
		if len(told) != 0 {
			t.Errorf("step %d: Escape and Enter sent %+v", step, told)
		}
	}
}

// TestDisabledSaysWhy: what cannot be done now is there, says why, and does
// nothing.
func TestDisabledSaysWhy(t *testing.T) {
	newApp(t)
	for _, tt := range []struct{ specimen, key, why string }{
		{"01-home-offline", "topup", "网络中断"},
		{"01-home-offline", "topup", "13:27"},
		{"01-home-no-reader", "account", "读卡器故障"},
		{"09-amount-capped", "amount-100.00", "超过余额上限"},
	} {
		var told []kiosk.Input
		v := specimen.Views()[slices.IndexFunc(specimen.Views(), func(v specimen.View) bool { return v.Name == tt.specimen })]
		s := screen.Build(v.View, newStage(t, upright, text.Chinese, &told))
		b := buttons(s.Object)[tt.key]
		if !b.Disabled() {
			t.Errorf("%s: %s can be tapped", tt.specimen, tt.key)
		}
		test.Tap(b)
		if len(told) != 0 {
			t.Errorf("%s: %s sent %+v", tt.specimen, tt.key, told)
		}
		if got := lines(s.Object); !strings.Contains(got, tt.why) {
			t.Errorf("%s does not say %q:\n%s", tt.specimen, tt.why, got)
		}
	}
}

// TestQueue: whoever looks after the machine sees that something is not sent.
func TestQueue(t *testing.T) {
	newApp(t)
	v := specimenOf(t, kiosk.Home)
	v.Health.Queue = kiosk.Queue{Count: 12, Since: time.Date(2026, 3, 2, 9, 14, 0, 0, beijing.Zone)}
	for _, failing := range []bool{false, true} {
		v.Health.Queue.Failing = failing
		var told []kiosk.Input
		got := lines(screen.Build(v, newStage(t, upright, text.English, &told)).Object)
		if strings.Contains(got, "12 unsent since") != failing {
			t.Errorf("failing %v:\n%s", failing, got)
		}
	}
}

// TestPIN types a PIN. It leaves once, whole, and was never to be read on the
// page.
func TestPIN(t *testing.T) {
	newApp(t)
	for _, step := range []kiosk.Step{kiosk.EnterPIN, kiosk.ReenterPIN} {
		var told []kiosk.Input
		stage := newStage(t, upright, text.Chinese, &told)
		v := specimenOf(t, step)
		s := screen.Build(v, stage)
		before := lines(s.Object)
		for _, d := range "90817" {
			test.Tap(buttons(s.Object)["digit-"+string(d)])
		}
		if got := lines(s.Object); got != before {
			t.Errorf("step %d: typing changed what can be read:\n%s\n%s", step, before, got)
		}
		if got := stage.Typed.PIN.Len(); got != 5 || len(told) != 0 {
			t.Fatalf("step %d: %d digits typed, sent %+v", step, got, told)
		}
		s = screen.Build(v, stage) // drawn anew: the digits are still there
		s.Erase()
		s.TypeDigit('7')
		test.Tap(buttons(s.Object)["digit-2"])
		if len(told) != 1 || told[0].Event != kiosk.Typed || string(told[0].PIN.Digits()[:]) != "908172" {
			t.Errorf("step %d: sent %+v", step, told)
		}
		if stage.Typed.PIN.Len() != 0 || *stage.Typed.PIN.Digits() != [kiosk.PINLength]byte{} {
			t.Errorf("step %d: the pad keeps the digits", step)
		}
		if said := fmt.Sprintf("%v %+v %#v", stage.Typed.PIN, told, told); strings.Contains(said, "908172") {
			t.Errorf("step %d: the PIN can be printed: %s", step, said)
		}
	}
}

// TestOtherSum types amounts below, in and above the range.
func TestOtherSum(t *testing.T) {
	newApp(t)
	for _, tt := range []struct {
		typed string
		sent  money.Fen // 0: nothing
		says  string
	}{
		{"", 0, "¥0.00"},
		{"0", 0, "¥0.00"},
		{"5", 0, "最少 ¥10.00"},
		{"10", 10 * money.Yuan, "¥10.00"},
		{"0500", 500 * money.Yuan, "¥500.00"},
		{"501", 0, "最多 ¥500.00"},
		{"99999", 0, "¥9999.00"},
	} {
		var told []kiosk.Input
		v := specimenOf(t, kiosk.OtherSum)
		v.Range = kiosk.Range{Min: 10 * money.Yuan, Max: 500 * money.Yuan}
		s := screen.Build(v, newStage(t, upright, text.Chinese, &told))
		for _, d := range []byte(tt.typed) {
			s.TypeDigit(d)
		}
		confirm := buttons(s.Object)["confirm"]
		if confirm.Disabled() != (tt.sent == 0) {
			t.Errorf("%q: confirm is disabled: %v", tt.typed, confirm.Disabled())
		}
		test.Tap(confirm)
		s.Confirm()
		want := 0
		if tt.sent != 0 {
			want = 2
		}
		if len(told) != want || want > 0 && (told[0].Amount != tt.sent || told[0].Event != kiosk.TypedAmount) {
			t.Errorf("%q sent %+v, want %s", tt.typed, told, tt.sent)
		}
		if got := lines(s.Object); !strings.Contains(got, tt.says) {
			t.Errorf("%q does not say %q:\n%s", tt.typed, tt.says, got)
		}
	}
}

// TestWarning asks, counts, and covers the page; any key says yes.
func TestWarning(t *testing.T) {
	newApp(t)
	var told []kiosk.Input
	v := specimenOf(t, kiosk.Account)
	s := screen.Build(v, newStage(t, upright, text.English, &told))
	if s.Top() != s.Object {
		t.Error("a page without a warning is covered")
	}
	s.Warn(specimen.Now.Add(20*time.Second), true, specimen.Now)
	s.Tick(specimen.Now.Add(7500 * time.Millisecond))
	if got := lines(s.Top()); !strings.Contains(got, "in 13 s") {
		t.Errorf("warning says %q, want 13 seconds", got)
	}
	tap(t, s.Top(), "Yes, more time")
	s.TypeDigit('1')
	s.Confirm()
	tap(t, s.Top(), "Finish")
	want := []kiosk.Event{kiosk.MoreTime, kiosk.MoreTime, kiosk.MoreTime, kiosk.Leave}
	var got []kiosk.Event
	for _, in := range told {
		got = append(got, in.Event)
	}
	if !slices.Equal(got, want) {
		t.Errorf("sent %v, want %v", got, want)
	}
	s.Warn(specimen.Now.Add(time.Minute), false, specimen.Now)
	if s.Top() != s.Object {
		t.Error("the warning did not go away")
	}
}

// TestCountdown redraws a line only when its words change.
func TestCountdown(t *testing.T) {
	newApp(t)
	var told []kiosk.Input
	s := screen.Build(specimenOf(t, kiosk.Pay), newStage(t, upright, text.English, &told))
	s.Tick(specimen.Now.Add(60 * time.Second))
	if got := lines(s.Object); !strings.Contains(got, "Valid for 58 s") {
		t.Errorf("after a minute the page says:\n%s", got)
	}
	s.Tick(specimen.Now.Add(time.Hour))
	if got := lines(s.Object); !strings.Contains(got, "Valid for 0 s") {
		t.Errorf("after an hour the page says:\n%s", got)
	}
}

// TestUnknownIsNotFailure: what is being checked never wears the colour of a
// refusal.
func TestUnknownIsNotFailure(t *testing.T) {
	newApp(t)
	for _, step := range []kiosk.Step{kiosk.Cancelling, kiosk.Checking, kiosk.Doubt, kiosk.Settling} {
		var told []kiosk.Input
		s := screen.Build(specimenOf(t, step), newStage(t, upright, text.Chinese, &told))
		widget.Walk(s.Object, func(o fyne.CanvasObject, _ fyne.Position) {
			if r, ok := o.(*canvas.Rectangle); ok && (r.FillColor == look.BadTint || r.StrokeColor == look.Bad) {
				t.Errorf("step %d shows red", step)
			}
			if i, ok := o.(*canvas.Image); ok && i.Resource != nil && strings.Contains(i.Resource.Name(), "#8e1b1b") {
				t.Errorf("step %d shows %s", step, i.Resource.Name())
			}
		})
	}
}
