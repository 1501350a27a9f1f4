// Command targets fills the screen with targets and tells on standard output
// where each of them is and which was tapped. The tap test runs it.
package main

import (
	"fmt"
	"image/color"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/app"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"
)

// count is how many targets there are. The tap test knows it too.
const count = 7

// target is a rectangle that reports each tap.
type target struct {
	widget.BaseWidget
	number int
}

// CreateRenderer implements fyne.Widget.
func (t *target) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(canvas.NewRectangle(color.NRGBA{R: 0xff, G: 0xc0, A: 0xff}))
}

// Tapped implements fyne.Tappable.
func (t *target) Tapped(*fyne.PointEvent) { fmt.Println("tap", t.number) }

func main() {
	a := app.NewWithID("cn.quancun.taptest")
	w := a.NewWindow("taptest")
	var targets []*target
	grid := container.NewGridWithColumns(4)
	for i := range count {
		t := &target{number: i}
		t.ExtendBaseWidget(t)
		targets = append(targets, t)
		grid.Add(t)
	}
	w.SetContent(grid)
	w.SetPadded(false)
	w.SetFullScreen(true)
	a.Lifecycle().SetOnStarted(func() { go reportPlaces(a, targets) })
	w.ShowAndRun()
}

// reportPlaces says where the middle of each target is, in pixels, as soon as
// and whenever that changes. Full screen comes a moment after the first frame.
func reportPlaces(a fyne.App, targets []*target) {
	var last string
	for {
		var now string
		fyne.DoAndWait(func() {
			for _, t := range targets {
				at := a.Driver().AbsolutePositionForObject(t)
				scale := a.Driver().CanvasForObject(t).Scale()
				x, y := at.X+t.Size().Width/2, at.Y+t.Size().Height/2
				now += fmt.Sprintf("place %d %d %d\n", t.number, int(x*scale), int(y*scale))
			}
		})
		if now != last {
			fmt.Print(now)
			last = now
		}
		time.Sleep(200 * time.Millisecond)
	}
}
