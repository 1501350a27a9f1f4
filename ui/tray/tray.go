// Package tray is a window with demo cards: what a hand does at the reader, for
// a terminal that runs without one. It is plainly no part of the terminal, it
// shares nothing with it but the fonts, and it only speaks to the lab, which
// lays down, takes away and tears off the cards.
package tray

import (
	"context"
	"fmt"
	"image/color"
	"net/url"
	"slices"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/widget"

	"quancun/ui/look"
	"quancun/ui/text"
)

// lookEvery is how often the tray asks where the cards are.
const lookEvery = time.Second

// Run opens the tray of the lab at address and returns when it is closed. It
// runs the app. An error means that address is no URL.
func Run(app fyne.App, address string) error {
	if u, err := url.Parse(address); err != nil || u.Host == "" {
		return fmt.Errorf("tray: %q is not the address of a lab", address)
	}
	app.Settings().SetTheme(look.Theme{})
	ctx, cancel := context.WithCancel(context.Background())
	t := New(app, NewLab(address))
	t.window.SetOnClosed(cancel)
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.watch(ctx)
	}()
	t.window.ShowAndRun()
	cancel()
	<-done
	return nil
}

// Tray is the window.
type Tray struct {
	lab    *Lab
	window fyne.Window

	// Owned by the UI goroutine.
	cards  []Card
	away   bool // the lab did not answer
	rows   *fyne.Container
	status *widget.Label
}

// New makes the window without showing it.
func New(app fyne.App, lab *Lab) *Tray {
	t := &Tray{lab: lab, window: app.NewWindow("演示卡片 Demo cards"),
		rows: container.NewVBox(), status: widget.NewLabel("")}
	t.status.Wrapping = fyne.TextWrapWord
	t.window.SetContent(t.content())
	t.window.Resize(fyne.NewSize(440, 620))
	return t
}

var (
	bench = color.NRGBA{R: 0x3A, G: 0x3A, B: 0x3A, A: 0xFF}
	tape  = color.NRGBA{R: 0xF2, G: 0xC9, B: 0x3D, A: 0xFF}
)

func (t *Tray) content() fyne.CanvasObject {
	title := canvas.NewText("演示卡片 Demo cards", tape)
	title.TextSize, title.TextStyle.Bold = 20, true
	aside := canvas.NewText("不是终端的一部分  not part of the machine", color.White)
	head := container.NewStack(canvas.NewRectangle(bench), container.NewPadded(container.NewVBox(title, aside)))

	take := widget.NewButton("拿走卡片  Take the card away", func() { t.act("", t.lab.Take) })
	tear := func(when When, done string) func() {
		return func() { t.act(done, func(ctx context.Context) error { return t.lab.Tear(ctx, when) }) }
	}
	foot := container.NewVBox(
		take,
		widget.NewLabel("下次写卡时拔卡  Tear it off at the next write"),
		container.NewGridWithColumns(2,
			widget.NewButton("写入前  before", tear(Before, "下次写卡：写入前拔卡  armed: before")),
			widget.NewButton("写入后  after", tear(After, "下次写卡：写入后拔卡  armed: after"))),
		t.status)
	return container.NewBorder(head, container.NewPadded(foot), nil, nil,
		container.NewVScroll(container.NewPadded(t.rows)))
}

// act does something at the lab, says that it is done, and looks at once what
// became of it. It is called on the UI goroutine, which waits no longer than
// the lab may take.
func (t *Tray) act(done string, do func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), answerMax)
	defer cancel()
	if err := do(ctx); err != nil {
		t.status.SetText(err.Error())
		return
	}
	t.status.SetText(done)
	if cards, err := t.lab.Cards(ctx); err == nil {
		t.show(cards)
	}
}

// watch looks where the cards are until ctx ends.
func (t *Tray) watch(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		cards, err := t.lab.Cards(ctx)
		if ctx.Err() != nil {
			return
		}
		fyne.Do(func() {
			if err != nil {
				t.away = true
				t.status.SetText("实验室没有应答  The lab does not answer: " + err.Error())
				return
			}
			if t.away {
				t.away = false
				t.status.SetText("")
			}
			t.show(cards)
		})
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// show lists the cards, if anything about them changed.
func (t *Tray) show(cards []Card) {
	if slices.Equal(cards, t.cards) {
		return
	}
	t.cards = slices.Clone(cards)
	t.rows.RemoveAll()
	for _, c := range cards {
		t.rows.Add(t.row(c))
		t.rows.Add(widget.NewSeparator())
	}
}

func (t *Tray) row(c Card) fyne.CanvasObject {
	words := c.Name
	if words == "" {
		words = c.Card
	}
	name := canvas.NewText(words, look.Ink)
	name.TextSize = 17
	small := []string{c.Masked, text.Amount(c.Purse), c.Note}
	small = slices.DeleteFunc(small, func(s string) bool { return s == "" })
	note := canvas.NewText(strings.Join(small, "   "), look.Soft)
	names := container.NewVBox(name, note)
	key := widget.NewButton("放下  Lay down", func() {
		t.act("", func(ctx context.Context) error { return t.lab.Lay(ctx, c.Card) })
	})
	if c.Laid {
		key = widget.NewButton("拿走  Take", func() { t.act("", t.lab.Take) })
		key.Importance = widget.HighImportance
	}
	return container.NewBorder(nil, nil, nil, container.New(layout.NewCenterLayout(), key), names)
}
