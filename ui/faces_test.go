package ui

import (
	"testing"

	"fyne.io/fyne/v2/test"

	"quancun/kiosk"
	"quancun/kiosk/till"
	"quancun/ui/specimen"
	"quancun/ui/text"
)

// TestFaces: the window is the face's that has shown something last, and so is the
// keyboard; a new language does not bring the other one back.
func TestFaces(t *testing.T) {
	texts, err := NewTexts()
	if err != nil {
		t.Fatal(err)
	}
	var home []kiosk.Input
	var sold []till.Input
	w := NewFaces(test.NewTempApp(t), Options{
		Panel: specimen.Panels["1080x1920"], Texts: texts, Now: still, Staff: true, OnStaff: func() {},
		OnInput: func(in kiosk.Input) { home = append(home, in) },
		OnTill:  func(in till.Input) { sold = append(sold, in) },
	})
	at := func(what string, want page) {
		t.Helper()
		if w.page != want {
			t.Errorf("%s: the window shows another face", what)
		}
	}
	at("at first", w.kiosk.screen)
	w.ShowTill(till.View{Step: till.Ready})
	at("till", w.till.screen)
	texts.SetLanguage(text.English)
	at("till in English", w.till.screen)
	w.typed('5')
	w.typed('\n')
	if len(sold) != 1 || sold[0].Amount != 500 || len(home) != 0 {
		t.Errorf("the till was told %+v, the kiosk %+v", sold, home)
	}
	w.ShowKiosk(kiosk.View{Step: kiosk.Home})
	at("kiosk again", w.kiosk.screen)
	w.typed('5')
	w.typed('\n')
	if len(sold) != 1 {
		t.Errorf("the till was told %+v at the kiosk", sold)
	}
	if texts.Language() != text.Chinese {
		t.Error("the next holder reads English")
	}
}
