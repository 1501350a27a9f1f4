package file

import (
	"bytes"
	"testing"
)

// TestSealed flips every bit of a file: nothing that was not written is read.
func TestSealed(t *testing.T) {
	line := []byte(`{"sums":[12300,45600]}`)
	whole := Sealed(line)
	if got, err := Unsealed(whole); err != nil || !bytes.Equal(got, line) {
		t.Fatalf("Unsealed = %q, %v", got, err)
	}
	if got, err := Unsealed(line); err != nil || !bytes.Equal(got, line) {
		t.Errorf("of before there were seals: %q, %v", got, err)
	}
	for at := range whole {
		for bit := range 8 {
			damaged := bytes.Clone(whole)
			damaged[at] ^= 1 << bit
			// One line that is too long is no JSON; whoever reads it finds that.
			if got, err := Unsealed(damaged); err == nil && !bytes.Equal(got, line) && len(got) <= len(line) {
				t.Errorf("byte %d, bit %d: %q", at, bit, got)
			}
		}
		if got, err := Unsealed(whole[:at]); err == nil && !bytes.HasPrefix(line, got) {
			t.Errorf("cut at %d: %q", at, got)
		}
	}
}
