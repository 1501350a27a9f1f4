//go:build e2e

package ui

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"

	"quancun/ui/widget"
)

// mapVariable names the file that the map is written to.
const mapVariable = "QUANCUN_E2E_MAP"

// Map is what a test that has only a pointer needs: where everything is that
// can be tapped. Targets are found by their label and by their name.
type Map struct {
	Step     int               `json:"step"`
	Part     string            `json:"part"` // of a step that has pages of its own: see [frame.part]
	Language string            `json:"language"`
	Targets  map[string]Target `json:"targets"`
	Texts    []string          `json:"texts"` // lines that are read, from top to bottom
	Said     []string          `json:"said"`  // what a person hears who does not see
}

// Target is a rectangle in pixels of the window.
type Target struct {
	Name    string `json:"name"`
	Label   string `json:"label"`
	X       int    `json:"x"`
	Y       int    `json:"y"`
	Width   int    `json:"w"`
	Height  int    `json:"h"`
	Enabled bool   `json:"enabled"`
}

// serveMap writes the map once, when it is ready, and then on each SIGUSR1,
// until ctx ends. A signal that came before would end the program.
func (f *frame) serveMap(ctx context.Context) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	defer signal.Stop(asked)
	asked <- syscall.SIGUSR1
	for {
		select {
		case <-ctx.Done():
			return
		case <-asked:
			fyne.Do(func() {
				if err := f.writeMap(os.Getenv(mapVariable)); err != nil {
					fmt.Fprintln(os.Stderr, "e2e map:", err)
				}
			})
		}
	}
}

// writeMap replaces the file in one step, so that a reader sees a whole one.
func (f *frame) writeMap(name string) error {
	b, err := json.MarshalIndent(f.targets(), "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(name+".new", b, 0o644); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

func (f *frame) targets() Map {
	m := Map{Step: f.step, Part: f.part, Language: string(f.o.Texts.Language()), Targets: make(map[string]Target)}
	for _, u := range f.heard {
		m.Said = append(m.Said, u.Text)
	}
	scale := f.window.Canvas().Scale()
	px := func(v float32) int { return int(v*scale + 0.5) }
	widget.Walk(f.page.Top(), func(o fyne.CanvasObject, at fyne.Position) {
		if line, ok := o.(*canvas.Text); ok {
			m.Texts = append(m.Texts, line.Text)
		}
		b, ok := o.(*widget.Button)
		if !ok {
			return
		}
		size := b.Size()
		t := Target{b.Name, b.Label, px(at.X), px(at.Y), px(size.Width), px(size.Height), !b.Disabled()}
		m.Targets[b.Name] = t
		if _, taken := m.Targets[b.Label]; b.Label != "" && !taken {
			m.Targets[b.Label] = t
		}
	})
	return m
}
