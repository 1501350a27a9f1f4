package keys_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quancun/pboc"
	"quancun/upstream/keys"
	"quancun/upstream/wire"
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
	s, _ := open(t)
	card := s.CardKeys(keys.Factor{1})
	for _, v := range []any{s, *s, card, &card} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			if got := fmt.Sprintf(verb, v); !strings.HasPrefix(got, "keys.") || !strings.HasSuffix(got, "(…)") {
				t.Errorf("%s of a %T prints %q", verb, v, got)
			}
		}
	}
}

func TestMACs(t *testing.T) {
	ctx := t.Context()
	s, _ := open(t)
	l := keys.Load{Factor: keys.Factor{1, 2, 3}, Random: [4]byte{4, 5, 6, 7}, Load: pboc.Load{
		Balance: 1000, Counter: 7, Amount: 2000, Terminal: pboc.TerminalNo{9}, At: pboc.Stamp{0x20, 0x26},
	}}
	card := s.CardKeys(l.Factor)
	session := card.DLK.LoadSession(l.Random, l.Counter)
	if err := s.CheckMAC1(ctx, l, l.MAC1(session)); err != nil {
		t.Errorf("CheckMAC1 = %v, want it right", err)
	}
	if got, err := s.MAC2(ctx, l); err != nil || got != l.MAC2(session) {
		t.Errorf("MAC2 = %v, %v; want the card's own", got, err)
	}
	if err := s.CheckTAC(ctx, l, l.TAC(card.DTK)); err != nil {
		t.Errorf("CheckTAC = %v, want it right", err)
	}
	other := l
	other.Balance++
	for name, err := range map[string]error{
		"zero MAC1":     s.CheckMAC1(ctx, l, pboc.MAC{}),
		"MAC1 of other": s.CheckMAC1(ctx, l, other.MAC1(session)),
		"zero TAC":      s.CheckTAC(ctx, l, pboc.MAC{}),
		"TAC of other":  s.CheckTAC(ctx, l, other.TAC(card.DTK)),
	} {
		if !errors.Is(err, keys.ErrWrong) {
			t.Errorf("%s: %v, want %v", name, err, keys.ErrWrong)
		}
	}
}

func TestPIN(t *testing.T) {
	ctx := t.Context()
	s, _ := open(t)
	pin, challenge := [wire.PINLen]byte([]byte("123456")), bytes.Repeat([]byte{1}, wire.ChallengeLen)
	sealed, err := wire.SealPIN(s.PINPublicKey(), challenge, "card", &pin)
	if err != nil {
		t.Fatal(err)
	}
	var got [wire.PINLen]byte
	if err := s.OpenPIN(ctx, wire.SealedPIN{CardNo: "card", Challenge: challenge, Sealed: sealed}, &got); err != nil || got != pin {
		t.Errorf("OpenPIN = %s, %v", got, err)
	}
	if err := s.OpenPIN(ctx, wire.SealedPIN{CardNo: "drac", Challenge: challenge, Sealed: sealed}, &got); !errors.Is(err, keys.ErrWrong) {
		t.Errorf("OpenPIN for another card = %v, want %v", err, keys.ErrWrong)
	}
	a, _ := s.Pepper(ctx, "1", &pin)
	b, _ := s.Pepper(ctx, "2", &pin)
	if a == b || a == [32]byte{} {
		t.Error("two accounts have one peppered PIN")
	}
}
