package ui

import (
	"fyne.io/fyne/v2"

	"quancun/kiosk"
	"quancun/kiosk/till"
	"quancun/ui/text"
)

// Faces is one window for both faces, of which one is shown at a time: that of
// whoever has shown a view last.
type Faces struct {
	*frame

	// Owned by the UI goroutine.
	kiosk  *Window
	till   *Till
	atTill bool
}

// NewFaces makes the window and shows the kiosk's Home in it; [Faces.Open] puts it
// on the panel. It is called before the app runs.
func NewFaces(app fyne.App, o Options) *Faces {
	f := newFrame(app, o)
	w := &Faces{
		frame: f,
		kiosk: &Window{frame: f, view: kiosk.View{Step: kiosk.Home}},
		till:  &Till{frame: f, view: till.View{Step: till.Locked}},
	}
	o.Texts.OnChange(w.rebuild)
	w.turn(false)
	return w
}

// ShowKiosk shows v of the kiosk. It may be called on any goroutine and does not
// wait.
func (w *Faces) ShowKiosk(v kiosk.View) {
	fyne.Do(func() {
		if w.atTill {
			w.turn(false)
		}
		w.kiosk.show(v)
	})
}

// ShowTill shows v of the till, in the same way.
func (w *Faces) ShowTill(v till.View) {
	fyne.Do(func() {
		if !w.atTill {
			w.turn(true)
		}
		w.till.show(v)
	})
}

// turn gives window and keyboard to the other face. Only at a till is there a
// scanner that types.
func (w *Faces) turn(atTill bool) {
	w.atTill = atTill
	if atTill {
		w.kiosk.hush()
		w.till.take()
		w.keys = w.o.Keys
	} else {
		w.kiosk.take()
		w.kiosk.ask(access{})
		w.keys = nil
		w.till.typed.Step(till.Locked)
		w.o.Texts.SetLanguage(text.Chinese) // the next holder has not chosen yet
	}
	w.rebuild()
}

// rebuild draws the page that is shown anew.
func (w *Faces) rebuild() {
	if w.atTill {
		w.till.rebuild()
	} else {
		w.kiosk.rebuild()
	}
}
