package powercut

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestControl: what is written with less care is found out, or the tests that use
// this would prove nothing.
func TestControl(t *testing.T) {
	old, fresh := []byte("old"), bytes.Repeat([]byte("new "), 100)
	for _, tt := range []struct {
		name string
		do   func(path string) error
	}{
		{"Overwritten", func(path string) error { return os.WriteFile(path, fresh, 0o600) }},
		{"NotSynced", func(path string) error {
			return errors.Join(os.WriteFile(path+".new", fresh, 0o600), os.Rename(path+".new", path))
		}},
		{"NameNotSynced", func(path string) error {
			f, err := os.Create(path + ".new")
			if err != nil {
				return err
			}
			_, err = f.Write(fresh)
			return errors.Join(err, f.Sync(), f.Close(), os.Rename(path+".new", path))
		}},
		{"RemovedFirst", func(path string) error {
			return errors.Join(os.Remove(path), os.WriteFile(path, fresh, 0o600))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad, check := 0, Whole("f", old, fresh)
			states := Run(t, Work{
				Before: map[string][]byte{"f": old},
				Do:     func(dir string) error { return tt.do(filepath.Join(dir, "f")) },
				Check: func(dir string, done bool) error {
					if check(dir, done) != nil {
						bad++
					}
					return nil
				},
			})
			if bad == 0 {
				t.Errorf("%d states, and none of them bad", states)
			}
		})
	}
}
