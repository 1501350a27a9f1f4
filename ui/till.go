package ui

import (
	"reflect"
	"time"

	"fyne.io/fyne/v2"

	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/rules"
	"quancun/kiosk/till"
	"quancun/ui/sound"
	"quancun/ui/speech"
	face "quancun/ui/till"
)

// Till is the cashier's window.
type Till struct {
	*frame

	// Owned by the UI goroutine.
	view   till.View
	screen *face.Screen
	typed  face.Typed
	turned time.Time // when the office has shown its page
}

// NewTill makes the window and shows a locked till in it; [Till.Open] puts it on
// the panel. It sets the app's theme. It is called before the app runs.
func NewTill(app fyne.App, o Options) *Till {
	w := &Till{frame: newFrame(app, o), view: till.View{Step: till.Locked}}
	w.take()
	o.Texts.OnChange(w.rebuild)
	w.rebuild()
	return w
}

// take gives the keyboard to the till.
func (w *Till) take() {
	w.onRune, w.onTick, w.onErase, w.onJack = w.rune, nil, nil, nil
	w.onFunction = func(n int) { w.screen.Function(n) }
	w.onTurn = func(by int) { w.screen.Turn(by) }
}

// Show shows v. It may be called on any goroutine and does not wait.
func (w *Till) Show(v till.View) {
	fyne.Do(func() { w.show(v) })
}

func (w *Till) show(v till.View) {
	before := w.view
	w.view = v
	w.announce(before, v)
	if v.Step != before.Step {
		w.typed.Step(v.Step)
	}
	if v.Pad.There != before.Pad.There { // what was begun on one is not ended on the other
		w.typed.PIN.Wipe()
		w.typed.Office.PIN.Wipe()
	}
	if reflect.DeepEqual(seen(before), seen(v)) { // a page drawn anew under a finger loses the tap
		w.screen.Ends(v.Ends, w.o.Now())
		w.screen.Dots(v.Pad.Dots)
		w.screen.Waiting(v.Printer.Waiting)
		return
	}
	w.rebuild()
}

// seen returns of v what its page is drawn from. News of the machine come with
// every entry of the journal: what the upstream has not been told is shown when it
// does not get through, and what may be sold alone while it is away.
func seen(v till.View) till.View {
	v.Ends, v.Taps, v.Office.Ends, v.Pad.Dots = time.Time{}, 0, time.Time{}, 0
	v.Printer.Waiting = 0
	all := v.Health
	v.Health = kiosk.Health{Terminal: all.Terminal, SchoolZH: all.SchoolZH, SchoolEN: all.SchoolEN}
	if all.Queue.Failing {
		v.Health.Queue = kiosk.Queue{Count: all.Queue.Count, Since: all.Queue.Since, Failing: true}
	}
	if v.Step == till.Office { // whose own view says what it needs
		v.Dark, v.Meal, v.Ways, v.Last, v.News = rules.Budget{}, till.Meal{}, nil, till.Result{}, nil
		v.Printer = till.Printer{}
		return v
	}
	v.Health.Upstream, v.Health.Since = all.Upstream, all.Since
	if all.Upstream {
		v.Dark = rules.Budget{}
	}
	return v
}

// rebuild draws the page of the view anew.
func (w *Till) rebuild() {
	w.screen = face.Build(w.view, face.Stage{
		Texts: w.o.Texts, Kit: w.kit(), Now: w.o.Now(), Phone: w.o.Phone, Staff: w.o.Staff, Typed: &w.typed,
		On:         w.on,
		OnLanguage: func() { w.o.Texts.SetLanguage(w.o.Texts.Other()) },
		Redraw:     w.rebuild,
	})
	w.part = officePart(w.view.Office)
	w.put(w.screen, w.screen.Object, int(w.view.Step))
}

// officePart names a page of the office.
func officePart(v office.View) string {
	if v.Page == office.Menu {
		return "menu"
	}
	return part(v.View)
}

// part names a page of a conversation: its question, or how a script ended.
func part(v dialog.View) string {
	switch v.Page {
	case dialog.Asking:
		return string(v.Question.Name)
	case dialog.Ended:
		return string(v.Task) + map[dialog.Outcome]string{
			dialog.Done: " done", dialog.Refused: " refused", dialog.Unknown: " unknown",
		}[v.Outcome]
	}
	return ""
}

// sureAfter is how long the last word before something happens is not taken: a
// finger or an Enter that bounces was meant for the page before.
const sureAfter = 300 * time.Millisecond

// on hands on what a person did.
func (w *Till) on(in till.Input) {
	v := w.view.Office
	sure := in.Office.Event == dialog.Answered && v.Question.Kind == dialog.AskConfirm
	if sure && w.o.Now().Sub(w.turned) < sureAfter {
		w.player.Play(sound.Attention)
		return
	}
	w.o.OnTill(in)
}

// announcePad plays what belongs to the holder's own pad, and asks aloud for what is
// to be typed there.
func (w *Till) announcePad(before, now till.View) {
	a, b := before.Pad, now.Pad
	asked := before.Step == now.Step && before.Office.No == now.Office.No && a.Set && b.Set
	switch {
	case !asked:
	case b.Lost && !a.Lost, b.There != a.There:
		w.player.Play(sound.Attention)
	case b.Few && !a.Few:
		w.player.Play(sound.Refuse)
	case b.Dots > a.Dots:
		w.player.Play(sound.Key)
	case b.Dots < a.Dots:
		w.player.Play(sound.Erase)
	}
	if parts := speech.Pad(now, w.o.Texts); parts != nil && w.o.TillVoice != nil && (!asked || a.There != b.There) {
		w.o.TillVoice.Say(speech.Script{Parts: parts, Aloud: true})
	}
}

// announceOffice plays what belongs to a new page of the office.
func (w *Till) announceOffice(v office.View) {
	switch {
	case v.Page == dialog.Ended && v.Outcome == dialog.Done:
		w.player.Play(sound.OK)
	case v.Page == dialog.Ended && v.Outcome == dialog.Refused, v.Question.Wrong != "":
		w.player.Play(sound.Refuse)
	case v.Page == dialog.Ended, v.WantsCard():
		w.player.Play(sound.Attention)
	}
}

// announce plays what belongs to a change: a cashier looks at the plate.
func (w *Till) announce(before, now till.View) {
	if now.Taps > before.Taps {
		w.player.Play(sound.Attention)
	}
	if now.Office.No != before.Office.No {
		w.turned = w.o.Now()
		w.announceOffice(now.Office)
	}
	w.announcePad(before, now)
	if now.Step == before.Step {
		return
	}
	if parts := speech.Sale(now, w.o.Texts); parts != nil && w.o.TillVoice != nil {
		w.o.TillVoice.Say(speech.Script{Parts: parts, Aloud: true})
	}
	switch now.Step {
	case till.Sold:
		w.player.Play(sound.OK)
	case till.Declined, till.OutOfOrder:
		w.player.Play(sound.Refuse)
	case till.StaffPIN, till.EnterPIN:
		if now.PIN.Wrong {
			w.player.Play(sound.Refuse)
		} else {
			w.player.Play(sound.Attention)
		}
	case till.Locked:
		if now.Fault != 0 {
			w.player.Play(sound.Refuse)
		}
	case till.Doubt, till.Unknown, till.Ask, till.PaidBefore:
		w.player.Play(sound.Attention)
	case till.Present:
		if now.Notice != till.NoNotice {
			w.player.Play(sound.Attention)
		}
	}
}

// rune takes a character of a keyboard.
func (w *Till) rune(r rune) {
	if w.screen.Type(r) {
		w.player.Play(sound.Key)
	}
}
