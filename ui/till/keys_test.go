package till_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"fyne.io/fyne/v2/test"

	"quancun/kiosk/dialog"
	"quancun/kiosk/till"
	"quancun/money"
	"quancun/ui/look"
	"quancun/ui/specimen"
	"quancun/ui/text"
	face "quancun/ui/till"
)

// keyboard is all that a person can press beside the panel, but for letters.
const keyboard = "0123456789.*-/+"

// TestKeyboardReachesAll taps every key of every page, and has a keyboard alone do
// the same: a till needs no finger.
func TestKeyboardReachesAll(t *testing.T) {
	newApp(t)
	panel := specimen.TillPanels["1024x768"]
	declined := false
	for _, v := range specimen.TillViews() {
		if plain := v.View.Step == till.Declined && !v.View.Short; plain && declined {
			continue // it has the keys of the first
		} else if plain {
			declined = true
		}
		var tapped, pressed []string
		tapAll(record(t, panel, &tapped), v)
		pressAll(record(t, panel, &pressed), v)
		for _, want := range tapped {
			spelling := v.View.Office.Question.Kind == dialog.AskText // has the key for its text
			if !slices.Contains(pressed, want) && !(spelling && want == language) {
				t.Errorf("%s: no key does %s", v.Name, want)
			}
		}
	}
}

// tapAll taps each key of a page, after a digit.
func tapAll(stage face.Stage, v specimen.TillView) {
	s := face.Build(v.View, stage)
	s.Type('7')
	all := buttons(s.Object)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if typing := strings.HasPrefix(name, "digit-") || name == "clear" || name == "erase" || name == "point"; !typing {
			test.Tap(all[name])
		}
	}
}

// partsMax is more than the pages that any list of a specimen is turned in, and
// rowsMax than the rows of any.
const (
	partsMax = 8
	rowsMax  = 15
)

// pressAll presses each key of a keyboard, on each part of a page: Enter before
// anything is typed, and after it.
func pressAll(stage face.Stage, v specimen.TillView) {
	face.Build(v.View, stage).Confirm()
	for part := 0; part < partsMax && (part == 0 || v.View.Step == till.Office); part++ {
		s := face.Build(v.View, stage)
		s.Type('7')
		for range rowsMax { // of a count, which goes on to the next
			s.Confirm()
			if v.View.Office.Question.Kind == dialog.AskPieces {
				s = face.Build(v.View, stage)
			}
		}
		for n := range 12 {
			s.Function(n + 1)
		}
		for _, r := range keyboard {
			s.Type(r)
		}
		s.Confirm()
		s.Leave()
		s.Turn(1)
	}
}

// language is what is written down for its key.
const language = "language"

// record is a stage that writes down what was done on it.
func record(t *testing.T, p look.Panel, did *[]string) face.Stage {
	t.Helper()
	s := newStage(t, p, text.Chinese, nil)
	s.On = func(in till.Input) {
		in.PIN, in.Office.Answer.PIN, in.Office.Answer.Pieces = nil, nil, nil // whatever was typed
		*did = append(*did, fmt.Sprintf("%+v", in))
	}
	s.OnLanguage = func() { *did = append(*did, language) }
	return s
}

// TestHiddenProduct: a product that has no room on the page is still sold by its function
// key.
func TestHiddenProduct(t *testing.T) {
	newApp(t)
	var told []till.Input
	v := till.View{Step: till.Ready}
	for i := range 12 {
		v.Products = append(v.Products, till.Product{Name: fmt.Sprint(i), Price: money.Fen(100 + i)})
	}
	s := face.Build(v, newStage(t, specimen.TillPanels["1024x768"], text.Chinese, &told))
	if all := buttons(s.Object); all["product-1"] == nil || all["product-12"] != nil {
		t.Error("the first product has no key, or the twelfth has one")
	}
	s.Function(12)
	s.Function(13)
	if len(told) != 1 || told[0].Amount != v.Products[11].Price {
		t.Errorf("F12 and the next have told %+v", told)
	}
}
