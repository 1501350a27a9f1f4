package keys_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quancun/upstream/keys"
	"quancun/upstream/keys/keystest"
)

func open(t *testing.T) (*keys.Software, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.json")
	s, err := keys.OpenSoftware(path)
	if err != nil {
		t.Fatal(err)
	}
	return s, path
}

func TestKeyFile(t *testing.T) {
	s, path := open(t)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("key file = %v, %v; want mode 0600", info, err)
	}
	again, err := keys.OpenSoftware(path)
	if err != nil || !bytes.Equal(again.PINPublicKey(), s.PINPublicKey()) || again.CardKeys(keys.Factor{1}) != s.CardKeys(keys.Factor{1}) {
		t.Errorf("opened again = %v, %v; want the same keys", again, err)
	}
	if err := keys.WriteSecret(path, []byte("{}")); !errors.Is(err, os.ErrExist) {
		t.Errorf("WriteSecret over a key file = %v, want %v", err, os.ErrExist)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".new-*")); err != nil || left != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.OpenSoftware(path); err == nil || !strings.Contains(err.Error(), "mode") {
		t.Errorf("OpenSoftware of a file that the group may read = %v, want a complaint of its mode", err)
	}
}

func TestKeyFileBroken(t *testing.T) {
	_, path := open(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(whole), `"session": "`)
	session := after[:64]
	for name, text := range map[string]string{
		"Empty":   "",
		"Cut":     string(whole[:len(whole)/2]),
		"Version": strings.Replace(string(whole), `"version": 1`, `"version": 2`, 1),
		"Short":   strings.Replace(string(whole), session, session[:62], 1),
		"NotHex":  strings.Replace(string(whole), session, "x"+session[1:], 1),
	} {
		broken := filepath.Join(t.TempDir(), "keys.json")
		if err := os.WriteFile(broken, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := keys.OpenSoftware(broken)
		if err == nil || strings.Contains(err.Error(), session[2:40]) {
			t.Errorf("%s: OpenSoftware = %v, want an error without the key", name, err)
		}
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	s, path := open(t)
	secrets, err := keys.ReadSecrets(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{*s, secrets, *secrets} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			if got := fmt.Sprintf(verb, v); !strings.HasPrefix(got, "keys.") || !strings.HasSuffix(got, "(…)") {
				t.Errorf("%s of a %T prints %q", verb, v, got)
			}
		}
	}
}

func TestSoftware(t *testing.T) {
	_, path := open(t)
	keystest.Run(t, func(t *testing.T) keystest.Store {
		s, err := keys.OpenSoftware(path)
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// TestCampusKey: a site from before there was one gets it, and its key file
// stays as it is.
func TestCampusKey(t *testing.T) {
	_, path := open(t)
	campus := filepath.Join(filepath.Dir(path), "campus.pem")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(campus)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(campus); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.OpenSoftware(path); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the key file was changed: %v", err)
	}
	first := bytes.Index(whole[1:], []byte("-----BEGIN")) + 1
	for name, text := range map[string][]byte{
		"Empty": nil, "One": whole[:first], "Swapped": append(bytes.Clone(whole[first:]), whole[:first]...),
		"Cut": whole[:len(whole)-30], "More": append(bytes.Clone(whole), whole...),
	} {
		if err := os.WriteFile(campus, text, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := keys.OpenSoftware(path)
		if err == nil || len(text) > 0 && strings.Contains(err.Error(), string(whole[40:60])) {
			t.Errorf("%s: %v, want an error without the key", name, err)
		}
	}
	if err := os.Chmod(campus, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.OpenSoftware(path); err == nil || !strings.Contains(err.Error(), "mode") {
		t.Errorf("a campus key that the group may read = %v, want a complaint of its mode", err)
	}
}
