package tray

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"quancun/ui/look"
)

// lab is a lab of two cards that remembers what it was told.
type lab struct {
	cards []Card
	told  []string
}

func (l *lab) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in map[string]string
	_ = json.NewDecoder(r.Body).Decode(&in)
	switch r.Method + " " + r.URL.Path {
	case "GET /cards":
		_ = json.NewEncoder(w).Encode(l.cards)
		return
	case "POST /cards/lay":
		for i := range l.cards {
			l.cards[i].Laid = l.cards[i].Card == in["card"]
		}
		l.told = append(l.told, "lay "+in["card"])
	case "POST /cards/take":
		l.cards[0].Laid, l.cards[1].Laid = false, false
		l.told = append(l.told, "take")
	case "POST /cards/tear":
		l.told = append(l.told, "tear "+in["when"]+" "+in["command"])
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// TestTray does with the buttons what a hand does with cards.
func TestTray(t *testing.T) {
	app := test.NewTempApp(t)
	app.Settings().SetTheme(look.Theme{})
	l := &lab{cards: []Card{{Card: "a", Name: "喆*珺"}, {Card: "b", Name: "张*三", Note: "已挂失 lost"}}}
	server := httptest.NewServer(l)
	defer server.Close()
	tray := New(app, NewLab(server.URL+"/"))
	tray.show(l.cards)

	for _, words := range []string{"Lay down", "before", "after", "Take the card away"} {
		test.Tap(find(t, tray.window.Content(), words))
	}
	want := []string{"lay a", "tear before credit", "tear after credit", "take"}
	if !slices.Equal(l.told, want) {
		t.Errorf("lab was told %q, want %q", l.told, want)
	}
	test.Tap(find(t, tray.window.Content(), "Lay down"))
	test.Tap(find(t, tray.window.Content(), "拿走  Take"))
	if l.cards[0].Laid {
		t.Error("the card still lies there")
	}
}

// TestTrayWithoutLab says so and keeps what it knew.
func TestTrayWithoutLab(t *testing.T) {
	app := test.NewTempApp(t)
	app.Settings().SetTheme(look.Theme{})
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	tray := New(app, NewLab(server.URL))
	tray.show([]Card{{Card: "a"}})
	test.Tap(find(t, tray.window.Content(), "Lay down"))
	if got := tray.status.Text; !strings.Contains(got, "404") {
		t.Errorf("status = %q, want the refusal", got)
	}
	if len(tray.rows.Objects) == 0 {
		t.Error("the cards are gone")
	}
}

func find(t *testing.T, o fyne.CanvasObject, words string) *widget.Button {
	t.Helper()
	for _, o := range test.LaidOutObjects(o) {
		if b, ok := o.(*widget.Button); ok && strings.Contains(b.Text, words) {
			return b
		}
	}
	t.Fatalf("no button says %q", words)
	return nil
}
