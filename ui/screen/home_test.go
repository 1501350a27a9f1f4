package screen_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2/test"

	"quancun/kiosk"
	"quancun/ui/screen"
	"quancun/ui/specimen"
	"quancun/ui/text"
)

// atHome is Home with services of every sort.
func atHome(h kiosk.Health) kiosk.View {
	return kiosk.View{Step: kiosk.Home, Health: h, Services: []kiosk.Offer{
		{Name: "network", SignIn: true, Online: true}, {Name: "may.query", Online: true}, {Name: "may.drop"},
		{Name: "may.refund", SignIn: true, Online: true, Inside: true}}}
}

// TestTiles: each service sends what it is, and one that cannot work now sends
// nothing.
func TestTiles(t *testing.T) {
	newApp(t)
	works := kiosk.Health{Reader: true, Upstream: true, Others: []kiosk.Standing{{Service: "network"}}}
	down, dark, noReader, unheard := works, works, works, works
	down.Others = []kiosk.Standing{{Service: "network", Since: specimen.Now}}
	dark.Upstream, noReader.Reader = false, false
	unheard.Others = nil
	for name, c := range map[string]struct {
		h    kiosk.Health
		want []kiosk.Event // of network, may.query and may.drop
	}{
		"Works":    {works, []kiosk.Event{kiosk.ChoseService, kiosk.ChoseOpenService, kiosk.ChoseOpenService}},
		"Down":     {down, []kiosk.Event{0, kiosk.ChoseOpenService, kiosk.ChoseOpenService}},
		"Dark":     {dark, []kiosk.Event{0, 0, kiosk.ChoseOpenService}},
		"NoReader": {noReader, []kiosk.Event{0, kiosk.ChoseOpenService, kiosk.ChoseOpenService}},
		"Unheard":  {unheard, []kiosk.Event{-1, kiosk.ChoseOpenService, kiosk.ChoseOpenService}},
	} {
		t.Run(name, func(t *testing.T) {
			var told []kiosk.Input
			s := screen.Build(atHome(c.h), newStage(t, upright, text.Chinese, &told))
			keys := buttons(s.Object)
			if keys["may.refund"] != nil {
				t.Error("what is on the account page only is on Home")
			}
			for i, service := range []string{"network", "may.query", "may.drop"} {
				told = nil
				key := keys[service]
				if (key == nil) != (c.want[i] == -1) {
					t.Errorf("%s is there: %t", service, key != nil)
				}
				if key == nil {
					continue
				}
				test.Tap(key)
				var got kiosk.Event
				if len(told) == 1 && string(told[0].Service) == service {
					got = told[0].Event
				}
				if got != c.want[i] {
					t.Errorf("%s sends %+v, want event %d", service, told, c.want[i])
				}
			}
		})
	}
}

// TestTileSaysWhy: since when, and when it last worked; the day too if it was not
// today.
func TestTileSaysWhy(t *testing.T) {
	newApp(t)
	ago := func(d time.Duration) time.Time { return specimen.Now.Add(-d).UTC() }
	for _, c := range []struct {
		s    kiosk.Standing
		want []string
	}{
		{kiosk.Standing{Since: ago(time.Hour), Worked: ago(2 * time.Hour)}, []string{"13:05 起暂停", "上次正常 12:05"}},
		{kiosk.Standing{Since: ago(15 * time.Hour)}, []string{"11月22日 起暂停"}},
		{kiosk.Standing{Closed: true}, []string{"暂停开放"}},
	} {
		c.s.Service = "network"
		var told []kiosk.Input
		s := screen.Build(atHome(kiosk.Health{Reader: true, Upstream: true, Others: []kiosk.Standing{c.s}}),
			newStage(t, upright, text.Chinese, &told))
		for _, words := range c.want {
			if got := lines(s.Object); !strings.Contains(got, words) {
				t.Errorf("%+v: the page does not say %q:\n%s", c.s, words, got)
			}
		}
	}
}

// TestOfferedInside: the account page has what is about a signed-in holder.
func TestOfferedInside(t *testing.T) {
	v := atHome(kiosk.Health{Upstream: true})
	v.Step = kiosk.Account
	var got []string
	for _, o := range v.Offered() {
		got = append(got, string(o.Name))
	}
	if want := []string{"may.refund"}; !reflect.DeepEqual(got, want) {
		t.Errorf("offered %v, want %v", got, want)
	}
}

// TestSimpleHomeAsksForNoCard where none can be read, on every panel.
func TestSimpleHomeAsksForNoCard(t *testing.T) {
	newApp(t)
	for _, p := range specimen.Panels {
		for _, works := range []bool{true, false} {
			var told []kiosk.Input
			stage := newStage(t, p, text.Chinese, &told)
			stage.Kit.Needs.Simple = true
			page := lines(screen.Build(atHome(kiosk.Health{Reader: works, Upstream: true}), stage).Object)
			if asks := strings.Contains(page, "把卡放在读卡区"); asks != works {
				t.Errorf("reader works: %t, page asks for a card: %t: %s", works, asks, page)
			}
		}
	}
}
