// Package ui is the terminal's two faces: the kiosk's [Window] and the cashier's
// [Till]. Each shows what a View says and reports what a person does as an Input.
// They know the flows' steps and words, and neither cards nor databases nor
// networks.
//
// Pages are in ui/screen and ui/till, their parts in ui/widget, their look in
// ui/look.
package ui

import (
	"reflect"
	"time"

	"fyne.io/fyne/v2"

	"quancun/kiosk"
	"quancun/kiosk/till"
	"quancun/ui/look"
	"quancun/ui/screen"
	"quancun/ui/sound"
	"quancun/ui/speech"
	"quancun/ui/text"
)

// Panel is the screen of the terminal; see [look.Panel].
type Panel = look.Panel

// Texts is the words of the terminal; see [text.Texts].
type Texts = text.Texts

// NewTexts reads the words of every language.
func NewTexts() (*Texts, error) { return text.New() }

// Options is what a window is opened with.
type Options struct {
	Panel      Panel
	Texts      *Texts
	FullScreen bool   // cover the panel; needs no window manager
	HideCursor bool   // for a panel that is touched
	Phone      string // of the card centre, shown beside fault codes; "": none
	Title      string

	// OnInput takes what a person did. It is called on the UI goroutine and
	// must not wait. A PIN in it is the taker's to wipe.
	OnInput func(kiosk.Input)
	// OnTill takes what a person did at a till, in the same way, and Staff says
	// that cashiers sign in there.
	OnTill func(till.Input)
	Staff  bool
	// OnStaff says, at a kiosk, that the staff ask for the till; nil: there is none.
	OnStaff func()
	// Voice reads pages aloud to holders who ask for it, and TillVoice says how a
	// sale ended; nil: nobody does.
	Voice, TillVoice Voice
	// Sounds is ALSA's name of the device for short sounds; "": the default.
	Sounds string
	// Keys, if not nil, is given each key that makes a character, and Enter as
	// '\n', before a page is: a scanner may have typed it. It is called on the UI
	// goroutine; what it passes on, from any goroutine, a person has pressed.
	Keys func(key rune, pass func(key rune))
	// Now is the time of day, in the zone in which times are shown; nil:
	// time.Now.
	Now func() time.Time
}

// Window is the kiosk's window.
type Window struct {
	*frame

	// Owned by the UI goroutine.
	view   kiosk.View
	screen *screen.Screen
	typed  screen.Typed
	access access
	spoken spoken // of the page, to a person who hears it
	greets bool   // pages are read aloud from this one on
}

// access is what the person who stands there has asked for on Home.
type access struct {
	needs    look.Needs
	choosing bool
	at       time.Time // of the last word about it
}

// forgetAfter is how long Home keeps what nobody goes on with: whoever chose it
// has left, and the next person did not.
const forgetAfter = time.Minute

// New makes the window and shows Home in it; [Window.Open] puts it on the
// panel. It sets the app's theme. It is called before the app runs.
func New(app fyne.App, o Options) *Window {
	w := &Window{frame: newFrame(app, o)}
	w.take()
	o.Texts.OnChange(w.rebuild)
	w.view = kiosk.View{Step: kiosk.Home}
	w.rebuild()
	return w
}

// take gives the keyboard to the kiosk.
func (w *Window) take() {
	w.onRune, w.onFunction, w.onTurn, w.onTick = w.rune, nil, w.turn, w.forget
	w.onErase, w.onJack = w.erase, w.plug
}

// Show shows v. It may be called on any goroutine and does not wait.
func (w *Window) Show(v kiosk.View) {
	fyne.Do(func() { w.show(v) })
}

func (w *Window) show(v kiosk.View) {
	before := w.view
	w.view = v
	w.announce(before, v)
	if v.Step != before.Step || v.Dialog.No != before.Dialog.No {
		w.typed.Wipe()
	}
	if v.Step == kiosk.Home && before.Step != kiosk.Home {
		w.backHome()
	}
	if same(before, v) {
		w.screen.Warn(v.Ends, v.Warning, w.o.Now())
		if v.Warning != before.Warning {
			w.narrate()
		}
		return
	}
	language := w.o.Texts.Language()
	if v.Step == kiosk.Home {
		language = text.Chinese // the next person has not chosen yet
	}
	if language != w.o.Texts.Language() {
		w.o.Texts.SetLanguage(language) // draws the page
		return
	}
	w.rebuild()
}

// same reports whether a and b look the same but for when the step ends, so that
// the page on the panel can stay. It should: a page that is drawn anew while a
// finger is on it loses the tap.
func same(a, b kiosk.View) bool { return reflect.DeepEqual(visible(a), visible(b)) }

// visible returns of v what its page is drawn from. News of the machine come all
// the time, and only Home has something to say about them: elsewhere they wait
// for the next page.
func visible(v kiosk.View) kiosk.View {
	v.Ends, v.Warning = time.Time{}, false
	all := v.Health
	v.Health = kiosk.Health{Terminal: all.Terminal, SchoolZH: all.SchoolZH, SchoolEN: all.SchoolEN}
	if v.Step == kiosk.Home {
		v.Health.Reader, v.Health.Upstream, v.Health.Since = all.Reader, all.Upstream, all.Since
		v.Health.Others = all.Others
		if all.Queue.Failing {
			v.Health.Queue = kiosk.Queue{Count: all.Queue.Count, Since: all.Queue.Since, Failing: true}
		}
	}
	return v
}

// rebuild draws the page of the view anew.
func (w *Window) rebuild() {
	kit := w.kit()
	kit.Needs = w.access.needs
	w.screen = screen.Build(w.view, screen.Stage{
		Texts: w.o.Texts, Kit: kit, Now: w.o.Now(), Phone: w.o.Phone, Typed: &w.typed,
		On:         w.o.OnInput,
		OnStaff:    w.o.OnStaff,
		Redraw:     w.rebuild,
		OnLanguage: func() { w.o.Texts.SetLanguage(w.o.Texts.Other()) },
		Choosing:   w.access.choosing,
		OnNeeds:    w.need,
		Speaks:     w.o.Voice != nil,
	})
	w.part = part(w.view.Dialog)
	w.put(w.screen, w.screen.Object, int(w.view.Step))
	w.narrate()
}

// need takes what a person asks for.
func (w *Window) need(n look.Needs, choosing bool) {
	spoke := w.speaks()
	w.ask(access{n, choosing, w.o.Now()})
	if spoke && !w.speaks() {
		w.say(speech.Words(w.o.Texts, "speech.off.now"))
	}
}

// ask has the page and the flow be what a needs.
func (w *Window) ask(a access) {
	if a.needs.Unhurried != w.access.needs.Unhurried {
		w.o.OnInput(kiosk.Input{Event: kiosk.Pace, Unhurried: a.needs.Unhurried})
	}
	w.greets = a.needs.Spoken && !w.access.needs.Spoken
	w.access = a
	w.rebuild()
}

// forget takes back what a person has asked for who went away without a visit.
func (w *Window) forget(now time.Time) {
	if w.view.Step == kiosk.Home && w.access != (access{}) && now.Sub(w.access.at) >= forgetAfter {
		w.ask(w.lasting())
	}
}

// announce plays what belongs to a change.
func (w *Window) announce(before, now kiosk.View) {
	if now.Warning && !before.Warning {
		w.player.Play(sound.Attention)
	}
	if now.Step == before.Step {
		return
	}
	switch now.Step {
	case kiosk.Done:
		w.player.Play(sound.OK)
	case kiosk.Fault, kiosk.OutOfOrder:
		w.player.Play(sound.Refuse)
	case kiosk.EnterPIN, kiosk.ReenterPIN:
		if now.PIN.Wrong {
			w.player.Play(sound.Refuse)
		} else {
			w.player.Play(sound.Attention)
		}
	case kiosk.Account, kiosk.Amount, kiosk.Loading, kiosk.AtWork:
		if before.Step == kiosk.SigningIn || before.Step == kiosk.Unlocking {
			w.player.Play(sound.Accepted)
		}
	case kiosk.Replace, kiosk.Doubt, kiosk.OnAccount, kiosk.Checking, kiosk.TakeCard:
		w.player.Play(sound.Attention)
	}
}

// rune takes a digit from a keypad beside the panel. It clicks if it was taken, and
// all digits click alike.
func (w *Window) rune(r rune) {
	before := w.view
	switch {
	case r == '*':
		w.star()
	case r < '0' || r > '9':
	case w.screen.TypeDigit(byte(r)):
		w.player.Play(sound.Key)
		w.echo(before, true)
	case w.speaks():
		w.choose(int(r - '0'))
	}
}

// erase takes the last digit back.
func (w *Window) erase() {
	before := w.view
	w.screen.Erase()
	w.echo(before, false)
}

// turn marks another key of the page.
func (w *Window) turn(by int) {
	w.player.Play(sound.Key)
	w.screen.Turn(by)
	if label := w.screen.Marked(); label != "" && w.speaks() {
		w.say(speech.Label(w.o.Texts, label))
	}
}
