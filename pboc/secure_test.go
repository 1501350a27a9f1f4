package pboc_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"quancun/pboc"
)

// TestSecureVectors has the public examples of secure messaging, but for
// klks-mac-2, whose input is no command. Keys of 8 bytes are written twice, which
// is the same key.
func TestSecureVectors(t *testing.T) {
	key := pboc.Key(unhex(t, "00112233445566778899AABBCCDDEEFF")) // psam-loadkey-sm
	record := unhex(t, "22000000112233445566778899AABBCCDDEEFF")
	concealed := key.Conceal(record)
	if got, want := upper(concealed), "DCC0BB5793ABFCA2CA8C1624822F6E01A86A0B5CBED191DD"; got != want {
		t.Errorf("concealed %s, want %s", got, want)
	}
	if back, ok := key.Reveal(concealed); !ok || !bytes.Equal(back, record) {
		t.Errorf("revealed %X, %v", back, ok)
	}
	check(t, key, "84D40000", "5D72B3FD00000000", concealed, "8A9D4ADB")

	factory := pboc.Key(bytes.Repeat([]byte{0xFF}, 16))
	concealed = factory.Conceal(unhex(t, "F9F0F0AAFF1122334455667788")) // fmcos-f9-add
	if got, want := upper(concealed), "7C87BC23140021B3AFEA67E6359DDCFE"; got != want {
		t.Errorf("concealed %s, want %s", got, want)
	}
	check(t, factory, "84D40102", "4C45BAB900000000", concealed, "D7C943F6")
	check(t, factory, "04D60000", "44A47DEB00000000", unhex(t, "11223344556677889900AABBCCDDEEFF"), "F2F62231") // klks-mac-1

	answer := factory.Answer(pboc.Challenge(unhex(t, "53FD1F262EC4E6E2"))) // fm1208-transport-extauth
	if got, want := upper(answer[:]), "A0DBBFC1192FF24A"; got != want {
		t.Errorf("answer %s, want %s", got, want)
	}
	answer = pboc.Key(unhex(t, "01020304050607080102030405060708")).Answer(pboc.Challenge(unhex(t, "BB83BFF300000000")))
	if got, want := upper(answer[:]), "74B0047DD681D96C"; got != want { // fmcos-extauth-4
		t.Errorf("answer %s, want %s", got, want)
	}
}

func check(t *testing.T, k pboc.Key, head, challenge string, data []byte, mac string) {
	t.Helper()
	h, c := pboc.Head(unhex(t, head)), pboc.Challenge(unhex(t, challenge))
	field := k.Protect(h, c, data)
	if got := upper(field[len(data):]); got != mac {
		t.Errorf("%s: MAC %s, want %s", head, got, mac)
	}
	if back, ok := k.Unprotect(h, c, field); !ok || !bytes.Equal(back, data) {
		t.Errorf("%s: unprotected %X, %v", head, back, ok)
	}
	field[0] ^= 1
	if _, ok := k.Unprotect(h, c, field); ok {
		t.Errorf("%s: one bit more or less makes no difference", head)
	}
}

// TestReveal: what is no message is none, and never a panic.
func TestReveal(t *testing.T) {
	var key pboc.Key
	for _, b := range [][]byte{nil, {1}, bytes.Repeat([]byte{7}, 8), bytes.Repeat([]byte{9}, 24)} {
		if data, ok := key.Reveal(b); ok {
			t.Errorf("revealed %X in %X", data, b)
		}
	}
	if _, ok := key.Unprotect(pboc.Head{}, pboc.Challenge{}, []byte{1, 2, 3}); ok {
		t.Error("three bytes have a MAC")
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
