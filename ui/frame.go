package ui

import (
	"context"
	"sync"
	"time"

	"fyne.io/fyne/v2"

	"quancun/ui/look"
	"quancun/ui/sound"
	"quancun/ui/speech"
	"quancun/ui/widget"
)

// page is what a window shows. Both faces' pages are one.
type page interface {
	Tick(now time.Time)
	Top() fyne.CanvasObject // what can be tapped now
	Erase()
	Confirm()
	Leave()
}

// frame is what the windows of both faces have in common: the panel, its sounds
// and the keyboard beside it.
type frame struct {
	window fyne.Window
	player *sound.Player
	o      Options

	// Owned by the UI goroutine.
	page       page
	step       int                                 // of the flow that the page is of
	part       string                              // of a step that has pages of its own, for tests; "": it has none
	heard      []speech.Utterance                  // what was said last, for tests
	onRune     func(r rune)                        // a character of a keyboard
	onFunction func(n int)                         // a function key, from 1; nil: the face has none
	onTurn     func(by int)                        // an arrow; nil: nothing turns
	onTick     func(now time.Time)                 // before the page's; nil: none
	onErase    func()                              // the key that takes back; nil: the page's
	onJack     func(in bool)                       // headphones were plugged in or pulled out; nil: nobody cares
	keys       func(key rune, pass func(key rune)) // before onRune; see [Options.Keys]
}

// newFrame makes the window of a face. It sets the app's theme. It is called
// before the app runs.
func newFrame(app fyne.App, o Options) *frame {
	app.Settings().SetTheme(look.Theme{})
	if o.Now == nil {
		o.Now = time.Now
	}
	f := &frame{window: app.NewWindow(o.Title), player: sound.NewPlayer(o.Sounds), o: o, keys: o.Keys}
	f.window.SetPadded(false)
	f.window.SetMaster()
	f.window.SetCloseIntercept(func() {}) // nobody closes a terminal from the front
	if o.FullScreen {
		f.window.SetFullScreen(true)
	} else {
		f.window.Resize(o.Panel.Size())
		f.window.SetFixedSize(true)
	}
	f.window.Canvas().SetOnTypedRune(func(r rune) { f.typed(r) })
	f.window.Canvas().SetOnTypedKey(f.key)
	return f
}

// Open puts the window on the panel.
func (f *frame) Open() { f.window.Show() }

// Close takes the window away, which ends the app.
func (f *frame) Close() { fyne.Do(f.window.Close) }

// Run keeps countdowns and the clock going and plays sounds until ctx ends,
// and returns ctx's error.
func (f *frame) Run(ctx context.Context) error {
	var done sync.WaitGroup
	defer done.Wait()
	done.Go(func() { _ = f.player.Run(ctx) })
	done.Go(func() { f.serveMap(ctx) })
	second := time.NewTicker(time.Second)
	defer second.Stop()
	var jack <-chan bool
	if f.o.Voice != nil {
		jack = f.o.Voice.Jack()
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-second.C:
			fyne.Do(func() { f.tick(f.o.Now()) })
		case in := <-jack:
			fyne.Do(func() {
				if f.onJack != nil {
					f.onJack(in)
				}
			})
		}
	}
}

// tick tells the page the time.
func (f *frame) tick(now time.Time) {
	if f.onTick != nil {
		f.onTick(now)
	}
	f.page.Tick(now)
}

// kit is what pages are made with.
func (f *frame) kit() widget.Kit {
	return widget.Kit{Panel: f.o.Panel, HideCursor: f.o.HideCursor, Click: func() { f.player.Play(sound.Key) }}
}

// put shows a page.
func (f *frame) put(p page, object fyne.CanvasObject, step int) {
	f.page, f.step = p, step
	content := widget.Pile()
	if f.o.HideCursor {
		content.Add(widget.NewCursorless())
	}
	content.Add(object)
	f.window.SetContent(content)
}

// typed takes a key that makes a character, or Enter as a line's end. What a
// scanner types is not the page's.
func (f *frame) typed(r rune) {
	if f.keys == nil {
		f.press(r)
		return
	}
	f.keys(r, func(r rune) { fyne.Do(func() { f.press(r) }) })
}

// press does what a person asks for who presses a key.
func (f *frame) press(r rune) {
	if r == '\n' {
		f.page.Confirm()
		return
	}
	f.onRune(r)
}

// key takes the keys of a keyboard that are no characters.
func (f *frame) key(e *fyne.KeyEvent) {
	switch e.Name {
	case fyne.KeyEscape:
		f.page.Leave()
	case fyne.KeyReturn, fyne.KeyEnter:
		f.typed('\n')
	case fyne.KeyBackspace, fyne.KeyDelete:
		f.player.Play(sound.Erase)
		if f.onErase != nil {
			f.onErase()
		} else {
			f.page.Erase()
		}
	default:
		if by := arrows[e.Name]; by != 0 && f.onTurn != nil {
			f.onTurn(by)
			return
		}
		for n, name := range functionKeys {
			if e.Name == name && f.onFunction != nil {
				f.onFunction(n + 1)
			}
		}
	}
}

// arrows are the keys that turn the parts of a page.
var arrows = map[fyne.KeyName]int{
	fyne.KeyUp: -1, fyne.KeyLeft: -1, fyne.KeyPageUp: -1, fyne.KeyDown: 1, fyne.KeyRight: 1, fyne.KeyPageDown: 1,
}

var functionKeys = []fyne.KeyName{
	fyne.KeyF1, fyne.KeyF2, fyne.KeyF3, fyne.KeyF4, fyne.KeyF5, fyne.KeyF6,
	fyne.KeyF7, fyne.KeyF8, fyne.KeyF9, fyne.KeyF10, fyne.KeyF11, fyne.KeyF12,
}
