package kiosk_test

import (
	"os"
	"regexp"
	"strconv"
	"testing"

	"quancun/kiosk"
)

// TestManual: whoever is told a code on the telephone finds it in the manual.
func TestManual(t *testing.T) {
	text, err := os.ReadFile("../docs/OPERATING.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[kiosk.Code]bool{}
	number := func(digits []byte) kiosk.Code {
		n, _ := strconv.Atoi(string(digits)) // "" is 0, and no code
		return kiosk.Code(n)
	}
	for _, row := range regexp.MustCompile(`(?m)^\| E-\d.*? \|`).FindAll(text, -1) {
		for _, m := range regexp.MustCompile(`E-(\d+)(?: … E-(\d+))?`).FindAllSubmatch(row, -1) {
			for c := number(m[1]); c <= max(number(m[1]), number(m[2])); c++ {
				known[c] = true
			}
		}
	}
	for _, c := range kiosk.Codes {
		if !known[c] {
			t.Errorf("E-%d is not in the manual's table", c)
		}
		delete(known, c)
	}
	for c := range known {
		t.Errorf("the manual's table has E-%d, which is no code", c)
	}
}
