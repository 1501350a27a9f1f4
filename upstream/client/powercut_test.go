package client_test

import (
	"path/filepath"
	"testing"

	"github.com/BurntSushi/toml"

	"quancun/lab/powercut"
	"quancun/upstream/client"
)

// TestPowerCut cuts the power everywhere while a terminal's certificate, and with
// it its key, is replaced.
func TestPowerCut(t *testing.T) {
	f, text := newFile(t)
	f.Address = "127.0.0.1:2"
	next, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	n := powercut.Run(t, powercut.Work{
		Before: map[string][]byte{"terminal.toml": []byte(text), "next.toml": next},
		Do: func(dir string) error {
			var f client.File // in another process, with another authority
			if _, err := toml.DecodeFile(filepath.Join(dir, "next.toml"), &f); err != nil {
				return err
			}
			return f.Save(filepath.Join(dir, "terminal.toml"))
		},
		Check: powercut.Whole("terminal.toml", []byte(text), next),
	})
	if n < 5 {
		t.Errorf("%d states, want more", n)
	}
}
