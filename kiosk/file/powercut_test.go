package file

import (
	"bytes"
	"path/filepath"
	"testing"

	"quancun/lab/powercut"
)

// TestPowerCut cuts the power everywhere while a file is made, and while it is
// replaced.
func TestPowerCut(t *testing.T) {
	old, fresh := Sealed([]byte("old")), Sealed(bytes.Repeat([]byte("new "), 100))
	for name, before := range map[string][]byte{"Made": nil, "Replaced": old} {
		t.Run(name, func(t *testing.T) {
			w := powercut.Work{
				Do:    func(dir string) error { return Replace(filepath.Join(dir, "f"), fresh) },
				Check: powercut.Whole("f", before, fresh),
			}
			if before != nil { // and what an earlier cut has left of another
				w.Before = map[string][]byte{"f": before, "f.new": []byte("half of a third, which is longer than it")}
			}
			if n := powercut.Run(t, w); n < 6 {
				t.Errorf("%d states, want more", n)
			} else {
				t.Logf("%d states", n)
			}
		})
	}
}
