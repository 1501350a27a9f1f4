package barcode

import (
	"fmt"
	"strings"
	"testing"
)

// TestParse: codes as they are printed on goods, and what looks like one and is none.
func TestParse(t *testing.T) {
	for text, want := range map[string]Code{
		"6901028075831":      "6901028075831",
		"4006381333931":      "4006381333931",
		"96385074":           "96385074",
		"036000291452":       "0036000291452",
		"0036000291452":      "0036000291452", // the same, as other scanners send it
		"CANTEEN-1/NOODLES":  "CANTEEN-1/NOODLES",
		"B2345678":           "B2345678",
		"6901028075832":      "", // the last digit is wrong
		"96385075":           "",
		"036000291453":       "",
		"":                   "",
		"1234567":            "",
		"123456789":          "",
		"16901028075838":     "", // a carton's
		"B234567":            "", // a scanner that types it is a person
		"noodles-1":          "",
		"-./-./-./":          "",
		"QCK1-YES-ABCD":      "",
		"QCR1AAAAAA":         "",
		"面条面条面条":             "",
		"NOODLES 1":          "",
		"281234567890123456": "", // Alipay's
		"134567890123456789": "", // WeChat's
	} {
		got, err := Parse(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("Parse(%q) = %q, %v; want %q", text, got, err, want)
		}
	}
	if _, err := Parse(strings.Repeat("A", ownMax+1)); err == nil {
		t.Error("as long as a virtual card's code")
	}
}

// TestEveryDigit: no digit of a code can be read wrongly.
func TestEveryDigit(t *testing.T) {
	for _, good := range []string{"6901028075831", "96385074", "036000291452"} {
		for i := range good {
			for d := byte('0'); d <= '9'; d++ {
				text := good[:i] + string(d) + good[i+1:]
				if _, err := Parse(text); (err == nil) != (text == good) {
					t.Errorf("Parse(%q): %v", text, err)
				}
			}
		}
	}
}

// TestLike: what has a product's form is never as long as what a wallet shows.
func TestLike(t *testing.T) {
	for n := range 30 {
		if got, want := Like(strings.Repeat("1", n)), n == 8 || n == 12 || n == 13; got != want {
			t.Errorf("%d digits: %v", n, got)
		}
	}
	if Like("CANTEEN-1/NOO") || Like("69010280758３1") {
		t.Error("no code of trade")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("6901028075831")
	f.Add("CANTEEN-1")
	f.Fuzz(func(t *testing.T, text string) {
		code, err := Parse(text)
		if err != nil {
			return
		}
		if again, err := Parse(string(code)); again != code || err != nil {
			t.Error(fmt.Sprintf("%q is %q, and that is %q, %v", text, code, again, err))
		}
		if n := len(code); n > ownMax || n >= 16 && digits(string(code)) {
			t.Errorf("%q may be who pays", code)
		}
	})
}
