package wire_test

import (
	"fmt"
	"strings"
	"testing"

	"quancun/upstream/wire"
)

func TestTicket(t *testing.T) {
	want := wire.Ticket{Address: "upstream.example.edu.cn:8443", Terminal: "K01", Code: wire.NewCode(), CA: wire.Fingerprint{1, 2, 255}}
	text := want.Text()
	if len(want.Code.Text()) != 19 || len(want.CA.String()) != 29 {
		t.Errorf("a ticket is %s", text)
	}
	for name, s := range map[string]string{
		"AsPrinted": text,
		"Lower":     strings.Replace(strings.ToLower(text), "k01", "K01", 1),
		"NoScheme":  strings.TrimPrefix(text, "quancun://"),
		"NoDashes":  strings.ReplaceAll(text, "-", ""),
		"Letters":   want.Address + "/K01" + strings.NewReplacer("0", "o", "1", "l").Replace(text[len("quancun://"+want.Address+"/K01"):]),
		"NewLine":   text + "\n",
	} {
		if got, err := wire.ParseTicket(s); err != nil || got != want {
			t.Errorf("%s: ParseTicket(%q) = %v, %v", name, s, got, err)
		}
	}
	v6 := wire.Ticket{Address: "[2001:db8::1]:8443", Terminal: "K01", Code: want.Code}
	if got, err := wire.ParseTicket(v6.Text()); err != nil || got != v6 {
		t.Errorf("IPv6: %v, %v", got, err)
	}
	for _, s := range []string{
		"", "quancun://", "a:1/", "a:1/K01/" + want.Code.Text(), text + "/", strings.Replace(text, "K01", "", 1), text[:len(text)-1], text[:len(text)-1] + "U",
		strings.Replace(text, ":8443", "", 1), strings.Replace(text, "upstream.example.edu.cn", "", 1),
	} {
		_, err := wire.ParseTicket(s)
		if err == nil || strings.Contains(err.Error(), want.Code.Text()[:4]) {
			t.Errorf("ParseTicket(%q) = %v, want an error that quotes nothing", s, err)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%x", "%s", "%d"} {
		if got := fmt.Sprintf(verb, want.Code); got != "wire.Code(…)" {
			t.Errorf("%s of a code prints %q", verb, got)
		}
	}
	if a, b := wire.NewCode(), wire.NewCode(); a == b {
		t.Error("two codes are the same")
	}
}

func FuzzTicket(f *testing.F) {
	f.Add(wire.Ticket{Address: "a:1", Terminal: "K01"}.Text())
	f.Add("quancun://[::1]:1/K01/0000-0000-0000-0000/oil")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := wire.ParseTicket(s)
		if err != nil {
			return
		}
		if b, err := wire.ParseTicket(a.Text()); err != nil || a != b {
			t.Errorf("ParseTicket(%q) = %v, and its own text is %v, %v", s, a, b, err)
		}
	})
}
