package screen_test

import (
	"fmt"
	"strings"
	"testing"

	"fyne.io/fyne/v2/test"

	"quancun/kiosk"
	"quancun/ui/inspect"
	"quancun/ui/look"
	"quancun/ui/screen"
	"quancun/ui/specimen"
	"quancun/ui/text"
	"quancun/ui/widget"
)

// newStage is a stage on that panel. What a person does is appended to told.
func newStage(t *testing.T, p look.Panel, l text.Language, told *[]kiosk.Input) screen.Stage {
	t.Helper()
	texts, err := text.New()
	if err != nil {
		t.Fatal(err)
	}
	texts.SetLanguage(l)
	return screen.Stage{
		Texts: texts, Kit: widget.Kit{Panel: p}, Now: specimen.Now, Phone: specimen.Phone,
		Typed:      &screen.Typed{},
		On:         func(in kiosk.Input) { *told = append(*told, in) },
		OnLanguage: func() { texts.SetLanguage(texts.Other()) },
		OnNeeds:    func(look.Needs, bool) {},
	}
}

// TestEveryPage builds every specimen in every language on every panel for
// everybody's needs, and looks at each as its maker should have.
func TestEveryPage(t *testing.T) {
	newApp(t)
	for name, p := range specimen.Panels {
		for _, l := range text.Languages {
			for _, n := range specimen.Needs() {
				for _, v := range specimen.Views() {
					if !n.Shows(v) || v.Recorded && n.Name != "everybody" && n.Name != "all" {
						continue // the kinds of pages are there for each need
					}
					t.Run(fmt.Sprintf("%s/%s/%s/%s", name, l, n.Name, v.Name), func(t *testing.T) {
						var told []kiosk.Input
						stage := newStage(t, p, l, &told)
						stage.Kit.Needs, stage.Choosing = n.Needs, n.Choosing
						check(t, screen.Build(v.View, stage), stage.Kit)
					})
				}
			}
		}
	}
}

// uncut are the words of which a line may have the beginning only: names, of which the
// beginning is enough.
func uncut(words string) bool {
	return strings.HasPrefix(specimen.LongSchool[0], words) || strings.HasPrefix(specimen.LongSchool[1], words)
}

// check holds a page to EN 301 549, ADA 707 and WCAG 2.2.
func check(t *testing.T, s *screen.Screen, k widget.Kit) {
	t.Helper()
	limits := inspect.Limits{Panel: k.Panel, Capital: 4.8, Key: 20} // ADA 707.7.2
	if k.Needs.Large {
		limits.Capital = look.LargeCapital
	}
	wrong := inspect.Room(s.Object, limits)
	wrong = append(wrong, inspect.Apart(s.Top())...)
	wrong = append(wrong, inspect.Contrast(s.Top(), k.Needs)...)
	if k.Needs.Contrast {
		wrong = append(wrong, inspect.Unpainted(s.Object)...)
		wrong = append(wrong, inspect.Dazzling(s.Object, k.Panel)...)
	}
	wrong = append(wrong, inspect.Cut(s.Top(), uncut)...)
	if k.Needs.Low {
		wrong = append(wrong, inspect.Reach(s.Top(), k.Panel)...)
	}
	for _, w := range append(wrong, inspect.Glyphs(s.Object)...) {
		t.Error(w)
	}
}

// TestStaffKey: there is room on every Home for the key that leads to the till.
func TestStaffKey(t *testing.T) {
	newApp(t)
	for name, p := range specimen.Panels {
		for _, l := range text.Languages {
			var told []kiosk.Input
			stage := newStage(t, p, l, &told)
			asked := 0
			stage.OnStaff = func() { asked++ }
			s := screen.Build(kiosk.View{Step: kiosk.Home}, stage)
			for _, w := range inspect.Room(s.Object, inspect.Limits{Panel: p, Capital: 4.8, Key: 20}) {
				t.Errorf("%s in %s: %s", name, l, w)
			}
			test.Tap(buttons(s.Object)["staff"])
			if asked != 1 || len(told) != 0 {
				t.Errorf("%s: asked %d times, told %+v", name, asked, told)
			}
		}
	}
}
