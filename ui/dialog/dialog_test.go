package dialog_test

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
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/service/tape"
	"quancun/money"
	face "quancun/ui/dialog"
	"quancun/ui/inspect"
	"quancun/ui/look"
	"quancun/ui/text"
	"quancun/ui/widget"
)

// keyboard is somebody who has no finger to spare.
type keyboard struct {
	t     *testing.T
	stage face.Stage
	view  office.View
	page  *face.Page
	told  []dialog.Input
}

func newKeyboard(t *testing.T) *keyboard {
	t.Helper()
	test.NewTempApp(t).Settings().SetTheme(look.Theme{})
	texts, err := text.New()
	if err != nil {
		t.Fatal(err)
	}
	k := &keyboard{t: t}
	k.stage = face.Stage{
		Texts: texts, Kit: widget.Kit{Panel: look.Panel{WidthPx: 1024, HeightPx: 768, WidthMM: 304.1}},
		Room: fyne.NewSize(960, 560), Now: time.Date(2026, 11, 23, 14, 5, 0, 0, beijing.Zone), Typed: &face.Typed{},
		On: func(in dialog.Input) { k.told = append(k.told, in) },
	}
	k.stage.Redraw = k.draw
	return k
}

func (k *keyboard) draw() {
	if k.view.Page == office.Menu {
		k.page = face.Menu(k.view, k.stage)
		return
	}
	k.page = face.Build(k.view.View, k.stage)
}

// show shows a page as the next one.
func (k *keyboard) show(v office.View) {
	v.No = k.view.No + 1
	k.view, k.told = v, nil
	k.stage.Redraw()
}

func (k *keyboard) ask(q dialog.Question) {
	k.show(office.View{View: dialog.View{Page: dialog.Asking, Question: q}})
}

// press types: '\n' is Enter, '<' and '>' are arrows, '~' is Backspace.
func (k *keyboard) press(keys string) {
	for _, r := range keys {
		switch {
		case r == '\n' && k.page.Confirm != nil:
			k.page.Confirm()
		case r == '<':
			k.page.Turn(-1)
		case r == '>':
			k.page.Turn(+1)
		case r == '~':
			k.page.Erase()
		case k.page.Type != nil:
			k.page.Type(r)
		}
	}
}

// gave expects that the page has sent this and nothing else.
func (k *keyboard) gave(what string, want ...dialog.Input) {
	k.t.Helper()
	for i := range want {
		want[i].No = k.view.No
	}
	if !reflect.DeepEqual(k.told, want) {
		k.t.Errorf("%s: sent %+v, want %+v", what, k.told, want)
	}
	k.told = nil
}

func answered(a dialog.Answer) dialog.Input { return dialog.Input{Event: dialog.Answered, Answer: a} }

// TestQuestionsByKeyboard answers each sort of question without a finger.
func TestQuestionsByKeyboard(t *testing.T) {
	k := newKeyboard(t)
	amount := dialog.Question{Kind: dialog.AskAmount, Name: "total", Min: 100, Max: 5000 * money.Yuan}
	k.ask(amount)
	k.press("\n0.99\n")
	k.gave("too little, and nothing")
	k.press("~~~~1234.567\n")
	k.gave("amount", answered(dialog.Answer{Amount: 123456}))
	k.ask(dialog.Question{Kind: dialog.AskNumber, Name: "total", Length: 5})
	k.press("\na20 4187\n")
	k.gave("number", answered(dialog.Answer{Text: "20418"}))
	k.ask(dialog.Question{Kind: dialog.AskNumber, Name: "total", Length: 6, Letters: true})
	k.press("\nsa-2~ 3 张Bc1\n")
	k.gave("number with letters", answered(dialog.Answer{Text: "SA3BC1"}))
	k.ask(dialog.Question{Kind: dialog.AskText, Name: "total", Length: 9})
	k.press(" \nZhang_ 张San-1\n")
	k.gave("text", answered(dialog.Answer{Text: "Zhang San"}))
	k.ask(dialog.Question{Kind: dialog.AskPieces, Name: "total", Pieces: []money.Fen{10000, 5000, 100}})
	k.press("12\n\n<3>4\n")
	k.gave("pieces", answered(dialog.Answer{Pieces: []int64{12, 3, 4}}))
	k.ask(dialog.Question{Kind: dialog.AskConfirm, Name: "total"})
	k.press("1 y\n")
	k.gave("last word", answered(dialog.Answer{}))
	k.ask(dialog.Question{Kind: dialog.AskPIN, Name: "total"})
	k.press("12345~56")
	if len(k.told) != 1 || k.told[0].Answer.PIN == nil || !k.told[0].Answer.PIN.Full() {
		t.Errorf("PIN: sent %+v", k.told)
	}
	k.ask(dialog.Question{Kind: dialog.Working, Name: office.ReadingCard})
	k.press("1\n")
	if k.gave("while it works"); k.page.Leave != "" {
		t.Error("what is being done can be left")
	}
}

// TestManyPieces: the highest number of each note and coin has room.
func TestManyPieces(t *testing.T) {
	k := newKeyboard(t)
	k.ask(dialog.Question{Kind: dialog.AskPieces, Name: "total",
		Pieces: []money.Fen{10000, 5000, 2000, 1000, 500, 100, 50, 10, 5, 2, 1}})
	for range 11 {
		k.press("9999>")
	}
	k.stage.Redraw()
	k.page.Object.Resize(k.stage.Room)
	for _, w := range inspect.Room(k.page.Object, inspect.Limits{Panel: k.stage.Kit.Panel, Capital: 3.5, Key: 15}) {
		t.Error(w)
	}
}

// TestChoicesByKeyboard: a digit picks the key with that number, on further parts
// of a long page, too, and never one that cannot be picked.
func TestChoicesByKeyboard(t *testing.T) {
	k := newKeyboard(t)
	q := dialog.Question{Kind: dialog.AskChoice, Name: "total"}
	for i := range 12 {
		q.Options = append(q.Options, dialog.Option{Text: fmt.Sprint("option ", i)})
	}
	q.Options[1].Note = office.NeedsUpstream
	k.ask(q)
	k.press("2")
	k.gave("one that cannot be chosen")
	k.press("3")
	k.gave("third", answered(dialog.Answer{Choice: 2}))
	k.press(">>>")
	part := k.stage.Typed.Part
	k.press("1")
	if part < 1 || len(k.told) != 1 || k.told[0].Answer.Choice != len(q.Options)-4 && k.told[0].Answer.Choice < 6 {
		t.Errorf("on part %d the first key sends %+v", part, k.told)
	}
}

// TestMenuByKeyboard: arrows turn to another group, which is still there when the
// menu comes back; the menu begins where nobody else has to be called.
func TestMenuByKeyboard(t *testing.T) {
	k := newKeyboard(t)
	menu := office.View{View: dialog.View{Page: office.Menu}, Entries: []office.Entry{
		{Name: "may.drop", Group: office.Drawer, Release: true},
		{Name: "may.refund", Group: office.Sales},
		{Name: "may.query", Group: office.Sales},
		{Name: "may.diagnose", Group: office.Machine},
	}}
	k.show(menu)
	k.press("2")
	k.gave("second of the sales", dialog.Input{Event: dialog.Picked, Pick: 2})
	k.press(">1")
	k.gave("first of the next group", dialog.Input{Event: dialog.Picked, Pick: 3})
	k.show(menu)
	k.press("1>1")
	k.gave("the same group, and the one after the last", dialog.Input{Event: dialog.Picked, Pick: 3},
		dialog.Input{Event: dialog.Picked, Pick: 0})
}

// TestReportByKeyboard: what came of a task is printed, saved, turned and left.
func TestReportByKeyboard(t *testing.T) {
	k := newKeyboard(t)
	r := dialog.Report{Facts: []dialog.Fact{dialog.Amount("total", 5)}}
	r.Table.Heads = []dialog.Word{"total"}
	for range 60 {
		r.Table.Rows = append(r.Table.Rows, []dialog.Fact{{Text: "row"}})
	}
	k.show(office.View{View: dialog.View{Page: dialog.Ended, Outcome: dialog.Done, Report: r, CanPrint: true, CanSave: true}})
	k.press("12>3\n")
	k.gave("report", dialog.Input{Event: dialog.PrintIt}, dialog.Input{Event: dialog.SaveIt},
		dialog.Input{Event: dialog.Left})
	if k.stage.Typed.Part != 1 {
		t.Errorf("part %d is shown, want the second", k.stage.Typed.Part)
	}
	k.show(office.View{View: dialog.View{Page: dialog.Ended, Outcome: dialog.Refused, Why: office.NoSecond}})
	k.press("12")
	k.gave("nothing to print")
	if k.stage.Typed.Part != 0 {
		t.Error("the next page begins in the middle")
	}
}

// newFinger is somebody at an upright panel who has no keyboard.
func newFinger(t *testing.T) *keyboard {
	t.Helper()
	k := newKeyboard(t)
	k.stage.Touch = true
	k.stage.Kit.Panel = look.Panel{WidthPx: 1080, HeightPx: 1920, WidthMM: 267.8}
	k.stage.Room = fyne.NewSize(960, 1600)
	return k
}

// labels are what can be tapped on the page, in the order in which it is there.
func (k *keyboard) labels(prefix string) (all []string) {
	k.page.Object.Resize(k.stage.Room)
	widget.Walk(k.page.Object, func(o fyne.CanvasObject, _ fyne.Position) {
		if b, ok := o.(*widget.Button); ok && strings.HasPrefix(b.Name, prefix) {
			all = append(all, b.Label)
		}
	})
	return all
}

// words are what stands on the page, line by line.
func (k *keyboard) words() string {
	var all []string
	widget.Walk(k.page.Object, func(o fyne.CanvasObject, _ fyne.Position) {
		if line, ok := o.(*canvas.Text); ok {
			all = append(all, line.Text)
		}
	})
	return strings.Join(all, "")
}

// tap taps the key of that name.
func (k *keyboard) tap(name string) {
	k.t.Helper()
	var found *widget.Button
	widget.Walk(k.page.Object, func(o fyne.CanvasObject, _ fyne.Position) {
		if b, ok := o.(*widget.Button); ok && b.Name == name {
			found = b
		}
	})
	if found == nil {
		k.t.Fatalf("there is no key %q", name)
	}
	test.Tap(found)
}

// TestSearch finds a room among many by its number, and says when there is none.
func TestSearch(t *testing.T) {
	k := newFinger(t)
	q := dialog.Question{Kind: dialog.AskChoice, Name: "total"}
	for floor := range 18 {
		for room := range 9 {
			q.Options = append(q.Options, dialog.Option{Text: fmt.Sprint(100*(floor+1) + room + 1)})
		}
	}
	k.ask(q)
	k.tap("digit-1")
	k.tap("digit-2")
	if got := k.labels("option-"); len(got) != 9 || got[0] != "1201" {
		t.Errorf("rooms with 12: %v", got)
	}
	k.tap("digit-0")
	k.tap("digit-7")
	if got := k.labels("option-"); !slices.Equal(got, []string{"1207"}) {
		t.Errorf("rooms with 1207: %v", got)
	}
	k.tap("option-105")
	k.gave("room 1207", answered(dialog.Answer{Choice: 105}))
	k.tap("digit-9")
	if got := k.labels("option-"); got != nil {
		t.Errorf("rooms with 12079: %v", got)
	}
	k.tap("erase")
	if got := k.labels("option-"); !slices.Equal(got, []string{"1207"}) {
		t.Errorf("after one is taken back: %v", got)
	}
	k.ask(dialog.Question{Kind: dialog.AskChoice, Name: "total", Options: q.Options[:6]})
	if got := k.labels("digit-"); got != nil {
		t.Errorf("six rooms, and a pad to search them: %v", got)
	}
}

// TestSpell finds a building by the first letters of its name, whichever way they are
// read, and by its number; digits of a keypad beside the panel do, too.
func TestSpell(t *testing.T) {
	for _, portrait := range []bool{true, false} {
		k := newFinger(t)
		if !portrait {
			k.stage.Kit.Panel = look.Panel{WidthPx: 1280, HeightPx: 1024, WidthMM: 337.9}
			k.stage.Room = fyne.NewSize(1200, 760)
		}
		q := dialog.Question{Kind: dialog.AskChoice, Name: "total"}
		for _, name := range []string{"馨园", "菱湖", "厦门路", "龙山", "Block "} {
			for n := range 20 {
				q.Options = append(q.Options, dialog.Option{Text: fmt.Sprintf("%s%d号楼", name, n+1)})
			}
		}
		k.ask(q)
		k.page.Type('1')
		k.page.Type('7')
		if got := k.labels("option-"); len(got) != 5 || got[1] != "菱湖17号楼" {
			t.Errorf("17: %v", got)
		}
		if !portrait { // there is no room for both
			k.tap("spell")
		}
		k.page.Object.Resize(k.stage.Room)
		for _, w := range inspect.Room(k.page.Object, inspect.Limits{Panel: k.stage.Kit.Panel, Capital: 4.8, Key: 20}) {
			t.Error(w)
		}
		for typed, first := range map[string]string{
			"XY": "馨园7号楼", "LH": "菱湖7号楼", "SML": "厦门路7号楼", "XML": "厦门路7号楼", "BLOCK": "Block 7号楼",
		} {
			k.tap("clear")
			for _, r := range typed {
				k.tap("letter-" + string(r))
			}
			k.page.Type('7') // of a keypad beside the panel
			if got := k.labels("option-"); !slices.Equal(got, []string{first}) {
				t.Errorf("%s7: %v", typed, got)
			}
		}
	}
}

// TestSearchedBy: what all labels have in common is not typed.
func TestSearchedBy(t *testing.T) {
	for _, c := range []struct {
		label   string
		letters bool
	}{{"龙山校区东区学生公寓 %d 号楼", false}, {"%d", false}, {"%[2]c座", true}} {
		k := newFinger(t)
		q := dialog.Question{Kind: dialog.AskChoice, Name: "total"}
		for i := range 80 {
			q.Options = append(q.Options, dialog.Option{Text: fmt.Sprintf(c.label, i, 'A'+i%26)})
		}
		k.ask(q)
		if got := len(k.labels("letter-")) > 0; got != c.letters {
			t.Errorf("%s: letters %t", c.label, got)
		}
	}
}

// TestTouchFits: keys for fingers are wide enough for what they say, in every
// number.
func TestTouchFits(t *testing.T) {
	k := newFinger(t)
	for n := 1; n < 60; n += 7 {
		for _, label := range []string{"3", "1207", "龙山校区东区学生公寓 12 号楼", strings.Repeat("很长的名字", 12)} {
			q := dialog.Question{Kind: dialog.AskChoice, Name: "total"}
			for i := range n {
				q.Options = append(q.Options, dialog.Option{Text: fmt.Sprint(label, i)})
			}
			q.Options[0].Note = office.NeedsUpstream
			k.ask(q)
			k.page.Object.Resize(k.stage.Room)
			for _, w := range inspect.Room(k.page.Object, inspect.Limits{Panel: k.stage.Kit.Panel, Capital: 4.8, Key: 20}) {
				t.Errorf("%d of %q: %s", n, label, w)
			}
		}
	}
}

// TestFewKeysOnOnePage: keys of which some say why not take more columns rather than
// more pages, on which nobody would look for the last one.
func TestFewKeysOnOnePage(t *testing.T) {
	k := newFinger(t)
	q := dialog.Question{Kind: dialog.AskChoice, Name: "pay.amount"}
	for i := range 6 {
		q.Options = append(q.Options, dialog.Option{Text: fmt.Sprintf("¥%d0.00", i)})
	}
	q.Options[5].Note = office.NeedsUpstream
	k.stage.Room.Height = k.stage.Kit.MM(110)
	k.ask(q)
	if got := len(k.labels("option-")); got != 6 {
		t.Errorf("%d of 6 keys are on the first page", got)
	}
}

// TestUnknownSaysWhatNow: what is being checked says what to do meanwhile.
func TestUnknownSaysWhatNow(t *testing.T) {
	k := newFinger(t)
	k.show(office.View{View: dialog.View{Page: dialog.Ended, Outcome: dialog.Unknown, Why: "bath.unsure", Followed: true,
		Report: dialog.Report{Next: "lost.next.unknown", Facts: []dialog.Fact{dialog.Count("total", 1)}}}})
	want := k.stage.Texts.T("dialog.lost.next.unknown")
	if words := k.words(); !strings.Contains(words, strings.Split(want, "。")[0]) {
		t.Errorf("%q is not in %q", want, words)
	}
}

// TestRefusalSaysWhatMoved: where cash was taken before it was refused, no page says that
// no money has moved.
func TestRefusalSaysWhatMoved(t *testing.T) {
	k := newFinger(t)
	k.show(office.View{View: dialog.View{Page: dialog.Ended, Outcome: dialog.Refused, Why: "centre.not.blank",
		Report: dialog.Report{Next: "centre.cash.kept", Facts: []dialog.Fact{dialog.Count("total", 1)}}}})
	kept, untouched := k.stage.Texts.T("dialog.centre.cash.kept"), k.stage.Texts.T("dialog.refused")
	if words := k.words(); !strings.Contains(words, kept) || strings.Contains(words, untouched) {
		t.Errorf("%q is not in %q, or %q is", kept, words, untouched)
	}
}

// TestRefusalSaysOnce: a page of a service that was refused says once what came of the
// money, and then what to do now; so does one that is being checked of what it is.
func TestRefusalSaysOnce(t *testing.T) {
	k := newFinger(t)
	for _, l := range text.Languages {
		k.stage.Texts.SetLanguage(l)
		untouched := k.stage.Texts.T("dialog.refused")
		for _, shot := range tape.Shots() {
			if v := shot.View; v.Page != dialog.Ended || v.Outcome == dialog.Done {
				continue
			}
			k.stage.Fault = shot.Code
			k.show(office.View{View: shot.View})
			without := strings.NewReplacer(" ", "") // lines are broken at them
			words := without.Replace(k.words())
			money := strings.Count(words, without.Replace(untouched))
			if refused := shot.View.Outcome == dialog.Refused; refused != (money == 1) {
				t.Errorf("%s in %s says %d times that nothing has moved: %s", shot.Name, l, money, words)
			}
			for _, again := range []string{
				"没有扣款", "钱已解冻", "什么都没有", "Nothingwastaken", "Nothingwasdone.", "正在核实付款正在核实",
			} {
				if strings.Contains(words, again) {
					t.Errorf("%s in %s says %q besides: %s", shot.Name, l, again, words)
				}
			}
			if code := text.Code(shot.Code); shot.Code != 0 && !strings.Contains(words, code) {
				t.Errorf("%s in %s does not say %s: %s", shot.Name, l, code, words)
			}
			if shot.View.Why == "" || shot.View.Outcome == dialog.Unknown {
				continue
			}
			advice := without.Replace(k.stage.Texts.T("dialog." + string(shot.View.Why) + ".advice"))
			if strings.Index(words, advice) < strings.Index(words, without.Replace(untouched)) {
				t.Errorf("%s in %s says what to do now before what came of the money: %s", shot.Name, l, words)
			}
		}
	}
}
