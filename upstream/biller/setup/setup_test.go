package setup_test

import (
	"strings"
	"testing"

	"quancun/upstream/biller/setup"
)

// TestTitles: a biller is called as its configuration says, in both languages; where it
// says nothing, as usual, and in English never as another one is.
func TestTitles(t *testing.T) {
	for _, tt := range []struct{ said, want setup.Title }{
		{setup.Title{}, setup.Title{ZH: "电费", EN: "Electricity"}},
		{setup.Title{ZH: "龙山校区电费"}, setup.Title{ZH: "龙山校区电费"}},
		{setup.Title{ZH: "龙山校区电费", EN: "Longshan"}, setup.Title{ZH: "龙山校区电费", EN: "Longshan"}},
		{setup.Title{EN: "Power"}, setup.Title{ZH: "电费", EN: "Power"}},
	} {
		c := setup.Config{Electricity: setup.Electricity{
			Wire: "wanxiao", Address: "https://127.0.0.1:1", PayProject: "1", SchoolCode: "1", Title: tt.said,
		}}
		if err := c.Check(); err != nil {
			t.Errorf("%+v: %v", tt.said, err)
		}
		b, err := c.Open()
		if err != nil {
			t.Fatal(err)
		}
		if got := (setup.Title{ZH: b.Shown[0].TitleZH, EN: b.Shown[0].TitleEN}); got != tt.want {
			t.Errorf("%+v is called %+v, want %+v", tt.said, got, tt.want)
		}
	}
	for _, wrong := range []string{"two\nlines", strings.Repeat("电", 41)} {
		if err := (setup.Config{Network: setup.Network{Title: setup.Title{EN: wrong}}}).Check(); err == nil {
			t.Errorf("%q is a title", wrong)
		}
	}
}
