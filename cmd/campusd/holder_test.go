package main

import (
	"bytes"
	"image/png"
	"os"
	"strings"
	"testing"
	"time"

	"quancun/lab/portrait"
	"quancun/upstream/client"
)

// typed has a person type lines.
func typed(t *testing.T, lines string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	was := os.Stdin
	os.Stdin = r
	t.Cleanup(func() { os.Stdin = was; r.Close() })
	if _, err := w.WriteString(lines); err != nil {
		t.Fatal(err)
	}
	w.Close()
}

// TestHolder is the card centre's counter at the upstream itself: what a clerk
// does takes effect at once, and is written down.
func TestHolder(t *testing.T) {
	s := newSite(t)
	s.must("demo", "--cards", s.path("cards.json"))
	addr, _ := s.serve()
	c := client.Dial(s.enrol("K01", addr).papers, client.Options{Address: addr})
	defer c.Close()
	if _, err := c.Hello(t.Context(), client.Hello{Version: "1"}); err != nil {
		t.Fatal(err)
	}
	demo := s.card("level")
	by := []string{"--clerk", "k7", "--document", "student-card"}
	does := func(want string, args ...string) {
		t.Helper()
		s.check(want, append(append([]string{"holder"}, args...), by...)...)
	}
	is := func(want client.CardStatus) {
		t.Helper()
		if got, err := c.LookUpCard(t.Context(), demo.CardNo); err != nil || got.Status != want {
			t.Errorf("card = %+v, %v; want status %d", got, err, want)
		}
	}
	does("report loss, by k7, from \"status 1\" to \"status 2\"", "lost", demo.HolderNo, strings.ToLower(demo.CardNo))
	is(client.CardHot)
	does("undo loss, by k7", "found", demo.HolderNo, demo.CardNo)
	is(client.CardActive)
	does("change limit, by k7, from \"\" to \"8050\"", "limit", demo.HolderNo, "80.50")
	does("correct name, by k7\n", "name", demo.HolderNo, "张珊")
	does("unlock PIN, by k7", "unlock", demo.HolderNo)

	typed(t, "314159\n314159\n")
	does("reset PIN, by k7", "pin", demo.HolderNo)
	look, err := c.LookUpCard(t.Context(), demo.CardNo)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.SignIn(t.Context(), demo.CardNo, look.Challenge, (*[6]byte)([]byte("314159"))); err != nil {
		t.Errorf("sign in with the new PIN: %v", err)
	}

	typed(t, "271828\n271828\n")
	does("open account, by k7\n", "open", "T0001", "王五", "--until", time.Now().AddDate(0, 1, 0).Format(time.DateOnly))
	does("retire account, by k7", "retire", "T0001")

	s.check(`(?s)^`+demo.HolderNo+`, PIN locked: false\n.*reset PIN.*k7.*console.*correct name.* - +-\n.*report loss`,
		"holder", "show", demo.HolderNo)
	if out := s.must("holder", "show", demo.HolderNo); strings.Contains(out, "张") {
		t.Errorf("a name is shown:\n%s", out)
	}
	s.write("people.csv", "S1,张三\nS2,李四\n")
	s.check("^2 people are in the register\n$", "holder", "register", s.path("people.csv"))
	var face bytes.Buffer
	if err := png.Encode(&face, portrait.Draw("somebody")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(s.path("photos"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.write("photos/"+demo.HolderNo+".png", face.String())
	s.write("photos/readme.txt", "of the photographer")
	s.check("^"+demo.HolderNo+" has a photo\n$", "holder", "photo", demo.HolderNo, s.path("photos/"+demo.HolderNo+".png"))
	s.check("^not taken: readme.txt: not a photo.*\n1 photos were taken\n$", "holder", "photos", s.path("photos"))
	s.check("^$", "holder", "photo", demo.HolderNo, "none")
	s.check(`REF\n$`, "holder", "untold") // all of it was done here
	s.check("the books are whole", "verify")
}

// TestHolderRefused: nothing is done without a clerk and a document, with a slip
// of the finger, or against the books.
func TestHolderRefused(t *testing.T) {
	s := newSite(t)
	s.must("demo", "--cards", s.path("cards.json"))
	demo := s.card("level")
	clerk := []string{"--clerk", "k7"}
	whole := append([]string{"--document", "passport"}, clerk...)
	for _, tt := range []struct {
		typed string
		args  []string
		more  []string
		want  string
	}{
		{"", []string{"unlock", demo.HolderNo}, clerk, "no document"},
		{"", []string{"unlock", demo.HolderNo}, []string{"--document", "id-card"}, "no clerk"},
		{"", []string{"unlock", demo.HolderNo}, append([]string{"--document", "diary"}, clerk...), "no document"},
		{"", []string{"limit", demo.HolderNo, "1000.01"}, whole, "a limit of"},
		{"", []string{"limit", demo.HolderNo, "a lot"}, whole, "a lot"},
		{"", []string{"lost", demo.HolderNo}, whole, "usage"},
		{"", []string{"lost", demo.HolderNo, s.card("hot").CardNo}, whole, "another holder's"},
		{"", []string{"retire", demo.HolderNo}, whole, "the account stands at"},
		{"31415\n31415\n", []string{"pin", demo.HolderNo}, whole, "six digits"},
		{"3141590\n3141590\n", []string{"pin", demo.HolderNo}, whole, "six digits"},
		{"314159\n314158\n", []string{"pin", demo.HolderNo}, whole, "not the same"},
		{"", []string{"pin", demo.HolderNo}, whole, "six digits"},
		{"", []string{"open", "T1", "王五", "--until", "tomorrow"}, whole, "tomorrow"},
		{"", []string{"nothing", demo.HolderNo}, whole, "usage"},
	} {
		typed(t, tt.typed)
		out, err := s.campusd(append(append([]string{"holder"}, tt.args...), tt.more...)...)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("holder %q: %q, %v; want %q", tt.args, out, err, tt.want)
		}
	}
	s.check(`TO\n$`, "holder", "show", demo.HolderNo) // nothing was written down
}
