package identity

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"quancun/lab/powercut"
)

// TestPowerCut cuts the power everywhere while a key's file is made, under a name
// that nobody has, and while one is replaced.
func TestPowerCut(t *testing.T) {
	old, fresh := []byte("old key"), bytes.Repeat([]byte("new key "), 40)
	for _, tt := range []struct {
		name   string
		before map[string][]byte
		put    func(from, to string) error
	}{
		{"Made", nil, os.Link},
		{"Replaced", map[string][]byte{"key.pem": old}, os.Rename},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := powercut.Run(t, powercut.Work{
				Before: tt.before,
				Do:     func(dir string) error { return writeFile(filepath.Join(dir, "key.pem"), fresh, tt.put) },
				Check:  powercut.Whole("key.pem", tt.before["key.pem"], fresh),
			})
			if n < 6 {
				t.Errorf("%d states, want more", n)
			}
		})
	}
}
