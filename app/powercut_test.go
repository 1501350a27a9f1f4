package app

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"testing"

	"quancun/lab/powercut"
)

// TestPowerCutInExport cuts the power everywhere while an export is written. Once
// that has returned the journal may be wiped, and the export has to be there.
func TestPowerCutInExport(t *testing.T) {
	old, fresh := []byte("of yesterday"), bytes.Repeat([]byte("entry "), 100)
	n := powercut.Run(t, powercut.Work{
		Before: map[string][]byte{"export": old, "export.part": bytes.Repeat([]byte("half"), 300)},
		Do: func(dir string) error {
			return writeWhole(filepath.Join(dir, "export"), func(w io.Writer) error {
				_, first := w.Write(fresh[:200])
				_, second := w.Write(fresh[200:])
				return errors.Join(first, second)
			})
		},
		Check: powercut.Whole("export", old, fresh),
	})
	if n < 6 {
		t.Errorf("%d states, want more", n)
	}
}
