package screen_test

import (
	"testing"

	"quancun/ui/inspect"
)

// TestRareNames looks for characters of names that smaller fonts lack.
func TestRareNames(t *testing.T) {
	for _, r := range "喆堃昇珺祎䶮𠮷" {
		if !inspect.Regular(r) {
			t.Errorf("the font has no %q", r)
		}
	}
	if inspect.Regular('\U0010FFFD') {
		t.Error("the font has everything: the test looks at nothing")
	}
}
