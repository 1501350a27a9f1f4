package sam

import (
	"fmt"
	"path/filepath"
	"testing"

	"quancun/lab/powercut"
	"quancun/pboc"
)

// TestPowerCut cuts the power everywhere while a block of numbers is taken. The
// file is then whole, and no number that was given out is given out again.
func TestPowerCut(t *testing.T) {
	text := pboc.SAMFile{Terminal: terminal, Purchase: master, Next: 7}.Encode()
	n := powercut.Run(t, powercut.Work{
		Before: map[string][]byte{"sam.json": text},
		Do: func(dir string) error {
			_, err := Open(filepath.Join(dir, "sam.json"), terminal)
			return err
		},
		Check: func(dir string, done bool) error {
			s, err := Open(filepath.Join(dir, "sam.json"), terminal)
			if err == nil && done && s.file.Next < 7+2*block {
				err = fmt.Errorf("number %d comes next, and those before %d were given out", s.file.Next-block, 7+block)
			}
			return err
		},
	})
	if n < 5 {
		t.Errorf("%d states, want more", n)
	}
}
