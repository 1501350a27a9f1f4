package ui

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/till"
	"quancun/money"
	"quancun/ui/look"
	"quancun/ui/specimen"
	"quancun/ui/speech"
	"quancun/ui/text"
	"quancun/ui/widget"
)

// ear is whoever listens.
type ear struct {
	scripts []speech.Script
	plugged bool
	jack    chan bool
}

func (e *ear) Say(s speech.Script) { e.scripts = append(e.scripts, s) }
func (e *ear) Plugged() bool       { return e.plugged }
func (e *ear) Jack() <-chan bool   { return e.jack }
func (e *ear) last() []speech.Utterance {
	if len(e.scripts) == 0 {
		return nil
	}
	return e.scripts[len(e.scripts)-1].Parts
}

// hears returns what was said last, in one line.
func (e *ear) hears() string {
	var all []string
	for _, u := range e.last() {
		all = append(all, u.Text)
	}
	return strings.Join(all, "|")
}

// newSpoken opens a window that is read aloud to somebody with headphones.
func newSpoken(t *testing.T, panel string, now func() time.Time, told *[]kiosk.Input) (*Window, *ear) {
	t.Helper()
	texts, err := NewTexts()
	if err != nil {
		t.Fatal(err)
	}
	e := &ear{plugged: true}
	w := New(test.NewTempApp(t), Options{
		Panel: specimen.Panels[panel], Texts: texts, HideCursor: true, Phone: specimen.Phone,
		OnInput: func(in kiosk.Input) { *told = append(*told, in) }, Now: now, Voice: e,
	})
	return w, e
}

// TestEveryPageSpeaks: every page says what it is, what it asks, and every key with
// the one of the keypad that presses it; in both languages, and nothing that is
// somebody's own to everybody.
func TestEveryPageSpeaks(t *testing.T) {
	var told []kiosk.Input
	for language, panel := range map[text.Language]string{text.Chinese: "1080x1920", text.English: "1920x1080"} {
		w, e := newSpoken(t, panel, still, &told)
		w.plug(true)
		w.o.Texts.SetLanguage(language)
		for _, v := range specimen.Views() {
			name := v.Name + " " + string(language)
			w.spoken, w.view = spoken{}, v.View
			w.typed.Wipe()
			w.rebuild()
			checkWords(t, name, w, e)
			if !v.View.Warning {
				checkKeys(t, name, w, e)
			}
			checkPrivate(t, name, v.View, language, e.last())
		}
	}
}

// checkWords looks whether the page's titles are said, and nothing that no voice can
// read.
func checkWords(t *testing.T, name string, w *Window, e *ear) {
	t.Helper()
	said := e.hears()
	for _, bad := range []string{"¥", "{", "}", "*", "dialog.", "speech.", "access.", "|"} {
		if strings.Contains(strings.ReplaceAll(said, "|", " "), bad) {
			t.Errorf("%s: it says %q: %s", name, bad, said)
		}
	}
	for _, title := range titles(w.view, w.o.Texts) {
		if !strings.Contains(said, speech.Read(title, w.o.Texts.Language())) {
			t.Errorf("%s: it does not say %q: %s", name, title, said)
		}
	}
	for _, u := range e.last() {
		if strings.TrimSpace(u.Text) == "" {
			t.Errorf("%s: it says nothing in an utterance: %s", name, said)
		}
	}
}

// titles are what a page has to say in any case.
func titles(v kiosk.View, texts *text.Texts) (all []string) {
	d := v.Dialog
	switch {
	case v.Warning:
		return []string{texts.T("warning.title")}
	case d.Page == dialog.Asking:
		all = []string{texts.T("dialog." + string(d.Task)), texts.T("dialog." + string(d.Question.Name))}
		for _, f := range d.Question.Facts {
			all = append(all, texts.T("dialog."+string(f.Name)))
		}
	case d.Page == dialog.Ended:
		switch d.Outcome {
		case dialog.Done:
			all = []string{texts.T("dialog." + string(d.Titled().Title))}
		case dialog.Unknown:
			all = []string{texts.T("dialog.unknown")}
			if d.Why != "" {
				all = []string{texts.T("dialog." + string(d.Why))}
			}
		default:
			all = []string{texts.T("dialog.refused")}
		}
		for _, f := range d.Report.Facts {
			all = append(all, texts.T("dialog."+string(f.Name)))
		}
		if d.Report.Next != "" && d.Outcome == dialog.Done {
			all = append(all, texts.T("dialog."+string(d.Report.Next)))
		}
	}
	if v.Fault != 0 && d.Why == "" && d.Outcome != dialog.Unknown {
		title, _ := texts.Fault(v.Fault)
		all = append(all, title)
	}
	switch d.Printed {
	case dialog.Printing:
		all = append(all, texts.T("dialog.printing"))
	case dialog.Printed:
		all = append(all, texts.T("dialog.printed"))
	case dialog.NotYet:
		all = append(all, texts.NotPrinted(d, specimen.Now))
	}
	for step, key := range map[kiosk.Step]string{
		kiosk.Home: "home.title", kiosk.Present: "present.title", kiosk.EnterPIN: "pin.title", kiosk.Amount: "amount.title",
		kiosk.Pay: "pay.title", kiosk.Checking: "checking.title", kiosk.Loading: "loading.title",
		kiosk.Account: "account.balance", kiosk.CardLog: "cardlog.title", kiosk.CardOnly: "cardonly.body",
		kiosk.Replace: "replace.title", kiosk.Doubt: "doubt.title", kiosk.OnAccount: "onaccount.title",
		kiosk.TakeCard: "takecard.title", kiosk.OutOfOrder: "outoforder.title", kiosk.Done: "done.purse",
	} {
		if v.Step == step && (step != kiosk.Account || v.Balance.Account >= 0) {
			all = append(all, texts.T(key))
		}
	}
	return all
}

// checkKeys presses 0 until all keys have been said, and compares them with those of
// the page.
func checkKeys(t *testing.T, name string, w *Window, e *ear) {
	t.Helper()
	l := w.o.Texts.Language()
	said := e.hears()
	for range w.screen.Keys() {
		if w.screen.TakesDigits() {
			break
		}
		w.spoken.since = time.Time{}
		if w.rune('0'); w.spoken.first == 0 {
			break
		}
		said += "|" + e.hears()
	}
	number := 0
	for _, b := range w.screen.Keys() {
		want := speech.Read(b.Said, l)
		if !b.Disabled() && !w.screen.TakesDigits() {
			want = speech.Read(w.o.Texts.T("speech.key", "key", number%9+1, "what", b.Said), l)
			number++
		}
		if b.Disabled() && w.screen.TakesDigits() && !b.Primary() {
			continue // nobody can come to it
		}
		if !strings.Contains(said, want) {
			t.Errorf("%s: key %q is not said as %q: %s", name, b.Name, want, said)
		}
	}
	leave := ""
	widget.Walk(w.screen.Top(), func(o fyne.CanvasObject, _ fyne.Position) {
		if b, ok := o.(*widget.Button); ok && b.Name == "leave" {
			leave = speech.Read(w.o.Texts.T("speech.leave", "what", b.Label), l)
		}
	})
	if !strings.Contains(said, leave) {
		t.Errorf("%s: leaving is not said as %q: %s", name, leave, said)
	}
}

// checkPrivate looks for everything in v that is its holder's in what everybody hears.
func checkPrivate(t *testing.T, name string, v kiosk.View, l text.Language, said []speech.Utterance) {
	t.Helper()
	own := owned(v, l)
	for _, u := range said {
		for _, secret := range own {
			if !u.Private && strings.Contains(u.Text, secret) {
				t.Errorf("%s: everybody hears %q: %s", name, secret, u.Text)
			}
		}
	}
}

// owned is all that is its holder's in v, as it is said.
func owned(v kiosk.View, l text.Language) (all []string) {
	add := func(words ...string) {
		for _, s := range words {
			if s != "" {
				all = append(all, speech.Read(s, l))
			}
		}
	}
	add(v.Holder.Name)
	for _, digits := range []string{v.Holder.Number, v.Holder.Card} {
		if digits != "" {
			add(speech.Digits(digits, l))
		}
	}
	if n := v.TopUp.OrderNo; n != "" {
		add(n, n[len(n)-6:])
	}
	var walk func(reflect.Value)
	walk = func(r reflect.Value) {
		switch {
		case r.Type() == reflect.TypeFor[money.Fen]() && r.Int() > 0:
			all = append(all, speech.Amount(money.Fen(r.Int()), l))
		case r.Type() == reflect.TypeFor[dialog.Fact]():
			if f := r.Interface().(dialog.Fact); f.Kind == dialog.IsText || f.Kind == dialog.IsCode {
				add(f.Text)
			}
			walk(r.FieldByName("Amount"))
		case r.Type() == reflect.TypeFor[kiosk.Movement]():
			add(r.Interface().(kiosk.Movement).Place)
			walk(r.FieldByName("Amount"))
		case r.Kind() == reflect.Struct && r.Type() != reflect.TypeFor[time.Time]():
			for i := range r.NumField() {
				walk(r.Field(i))
			}
		case r.Kind() == reflect.Slice:
			for i := range r.Len() {
				walk(r.Index(i))
			}
		}
	}
	walk(reflect.ValueOf(v))
	return all
}

// keys presses keys of the keypad: digits, * and names.
func keys(w *Window, presses ...string) {
	c := w.window.Canvas()
	for _, p := range presses {
		switch name, ok := map[string]fyne.KeyName{"enter": fyne.KeyReturn, "escape": fyne.KeyEscape,
			"back": fyne.KeyBackspace, "down": fyne.KeyDown, "up": fyne.KeyUp}[p]; {
		case ok:
			c.OnTypedKey()(&fyne.KeyEvent{Name: name})
		default:
			test.TypeOnCanvas(c, p)
		}
	}
}

// TestSpokenVisit tops up without looking: every step is a key and what is heard.
func TestSpokenVisit(t *testing.T) {
	var told []kiosk.Input
	now := specimen.Now
	w, e := newSpoken(t, "1080x1920", func() time.Time { return now }, &told)
	later := func() { now = now.Add(time.Second) }
	hears := func(want ...string) {
		t.Helper()
		for _, s := range want {
			if !strings.Contains(e.hears(), s) {
				t.Errorf("it does not say %q: %s", s, e.hears())
			}
		}
	}
	sent := func(e kiosk.Event) kiosk.Input {
		t.Helper()
		if len(told) == 0 || told[len(told)-1].Event != e {
			t.Fatalf("the flow was told %+v, want event %d last", told, e)
		}
		return told[len(told)-1]
	}

	w.Show(viewOf("01-home"))
	w.plug(true)
	hears("语音已打开", "校园卡自助服务", "按 1，充值", "按 2，查询", "按 3，", "按 0，听其余的选项")
	sent(kiosk.Pace)
	keys(w, "1")
	if len(told) != 1 {
		t.Fatalf("a key that bounces told %+v", told[1:])
	}
	later()
	keys(w, "1")
	sent(kiosk.ChoseTopUp)

	w.Show(viewOf("02-present"))
	hears("请把卡放在读卡区", "按取消键，取消")
	w.Show(viewOf("04-enter-pin"))
	hears("请输入密码", "密码不会读出", "喆某珺")
	for n, digit := range []string{"1", "2", "3"} {
		keys(w, digit)
		if want := fmt.Sprintf("%d 位", n+1); e.hears() != want {
			t.Errorf("of a digit of the PIN it says %q, want %q", e.hears(), want)
		}
	}
	keys(w, "back")
	hears("2 位")
	keys(w, "3", "4", "5", "6")
	hears("6 位")
	if p := sent(kiosk.Typed).PIN; string(p.Digits()[:]) != "123456" {
		t.Error("that is another PIN")
	}

	w.Show(viewOf("09-amount"))
	keys(w, "1")
	if last := told[len(told)-1]; last.Event != kiosk.Typed {
		t.Errorf("one digit too many chose %+v", last)
	}
	hears("充多少钱", "账户余额 一百二十三元五角", "按 1，十元", "按 7，其他金额", "按取消键")
	later()
	keys(w, "7")
	sent(kiosk.ChoseOther)
	w.Show(viewOf("10-other-sum"))
	hears("输入充值金额", "一元 到 五百元", "按确认键，确认充值")
	keys(w, "2")
	hears("二元")
	keys(w, "5")
	hears("二十五元")
	if e.last()[0].Private == false {
		t.Error("everybody hears the amount that is typed")
	}
	keys(w, "enter")
	if sent(kiosk.TypedAmount).Amount != 2500 {
		t.Error("that is another amount")
	}

	w.Show(viewOf("12-pay"))
	hears("用支付宝扫码付款", "五十元", "二维码在屏幕中间", "秒内有效")
	w.Show(viewOf("20-loading"))
	hears("请不要拿走卡片")
	before := len(e.scripts)
	v := viewOf("20-loading")
	v.Load.Stage = kiosk.LoadFinished
	w.Show(v)
	if len(e.scripts) != before {
		t.Errorf("a stage of writing says %q", e.hears())
	}
	w.Show(viewOf("23-done"))
	hears("充值成功", "卡内余额 一百七十三元五角", "可以拿走卡片了")
	keys(w, "*")
	hears("充值成功", "卡内余额 一百七十三元五角")
	keys(w, "down")
	hears("查看账户")

	w.Show(viewOf("01-home"))
	hears("校园卡自助服务")
	if !w.speaks() || sent(kiosk.Pace).Unhurried != true {
		t.Error("whoever has headphones plugged in is forgotten")
	}
	e.plugged = false
	w.plug(false)
	if w.speaks() || len(e.last()) != 0 {
		t.Errorf("who has gone still hears %q", e.hears())
	}
}

// TestSpokenWithout: without headphones, and without a voice.
func TestSpokenWithout(t *testing.T) {
	var told []kiosk.Input
	w, e := newSpoken(t, "1080x1920", still, &told)
	e.plugged = false
	keys(w, "1", "*")
	if !w.speaks() || !strings.Contains(e.hears(), "语音已打开") {
		t.Errorf("the star begins with %q", e.hears())
	}
	w.Show(viewOf("06-account"))
	if s := e.scripts[len(e.scripts)-1]; s.Withheld.Text == "" || s.Aloud {
		t.Errorf("nobody hears what is withheld: %+v", s)
	}
	w.plug(false)
	w.Show(viewOf("01-home"))
	if w.speaks() || len(e.last()) != 0 {
		t.Errorf("the next person hears %q", e.hears())
	}

	silent := newWindow(t, still, &told)
	silent.plug(true)
	keys(silent, "*", "1", "0")
	if silent.speaks() || len(told) != 1 { // that was the star
		t.Errorf("without a voice: %v, told %+v", silent.access, told)
	}
}

// TestSpokenWarning: a warning is said, any key answers it, and then the page once more.
func TestSpokenWarning(t *testing.T) {
	var told []kiosk.Input
	w, e := newSpoken(t, "1080x1920", still, &told)
	w.plug(true)
	v := viewOf("04-enter-pin-warning")
	v.Warning = false
	w.Show(v)
	v.Warning = true
	w.Show(v)
	if got := e.hears(); !strings.Contains(got, "您还在吗？|18 秒后") || strings.Contains(got, "请输入密码") {
		t.Errorf("the warning says %q", got)
	}
	keys(w, "5")
	if last := told[len(told)-1]; last.Event != kiosk.MoreTime {
		t.Errorf("a key told %+v", last)
	}
}

// TestSpokenSearch finds a room by its number.
func TestSpokenSearch(t *testing.T) {
	var told []kiosk.Input
	w, e := newSpoken(t, "1080x1920", still, &told)
	w.plug(true)
	w.Show(viewOf("29-choice"))
	if !strings.Contains(e.hears(), "键入号码查找") {
		t.Errorf("a list says %q", e.hears())
	}
	keys(w, "3", "1", "2")
	want := []string{"二", "312"}
	for i, u := range e.last()[:2] {
		if u.Text != want[i] || !u.Private {
			t.Errorf("a search says %+v, want %q", u, want[i])
		}
	}
	keys(w, "down", "enter")
	in := told[len(told)-1].Dialog
	if q := w.view.Dialog.Question; in.Event != dialog.Answered || q.Options[in.Answer.Choice].Text != "312" {
		t.Errorf("the flow was told %+v", in)
	}
}

// TestSpokenNeeds turns speech on and off where people say what they need.
func TestSpokenNeeds(t *testing.T) {
	var told []kiosk.Input
	w, e := newSpoken(t, "1920x1080", still, &told)
	w.need(look.Needs{Spoken: true}, true)
	if got := e.hears(); !strings.Contains(got, "语音已打开") || !strings.Contains(got, "语音，已开") {
		t.Errorf("turned on, it says %q", got)
	}
	w.need(look.Needs{Spoken: true, Large: true}, true)
	if got := e.hears(); got != "按 1，大字，已开" {
		t.Errorf("of large type it says %q", got)
	}
	w.need(look.Needs{}, true)
	if got := e.hears(); got != "语音已关闭" {
		t.Errorf("turned off, it says %q", got)
	}
}

// TestTillSpeaks: a till says how each sale ended, aloud.
func TestTillSpeaks(t *testing.T) {
	texts, err := NewTexts()
	if err != nil {
		t.Fatal(err)
	}
	e := &ear{}
	w := NewTill(test.NewTempApp(t), Options{
		Panel: specimen.Panels["1920x1080"], Texts: texts, Now: still, OnTill: func(till.Input) {}, TillVoice: e,
	})
	for _, tt := range []struct {
		view till.View
		want string
	}{
		{till.View{Step: till.Sold, Amount: 1200}, "收款 十二元"},
		{till.View{Step: till.Ready}, ""},
		{till.View{Step: till.Declined, Amount: 1200, Fault: kiosk.CodeHot}, "没有收款|"},
		{till.View{Step: till.Ready}, ""},
		{till.View{Step: till.Declined, Amount: 1200, Fault: kiosk.CodeNotEnough, Kept: 2000}, "没有收款|虚拟卡码可用余额不足"},
		{till.View{Step: till.Unknown, Amount: 1200, Fault: kiosk.CodeSaleDoubt}, "正在核实，请不要再收"},
	} {
		before := len(e.scripts)
		w.show(tt.view)
		if tt.want == "" {
			if len(e.scripts) != before {
				t.Errorf("step %d says %q", tt.view.Step, e.hears())
			}
			continue
		}
		s := e.scripts[len(e.scripts)-1]
		private := slices.ContainsFunc(s.Parts, func(u speech.Utterance) bool { return u.Private })
		if !strings.HasPrefix(e.hears(), tt.want) || !s.Aloud || private {
			t.Errorf("step %d says %+v, want %q", tt.view.Step, s, tt.want)
		}
	}
}
