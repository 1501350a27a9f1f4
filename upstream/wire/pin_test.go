package wire_test

import (
	"bytes"
	"crypto/hpke"
	"errors"
	"testing"

	"quancun/upstream/wire"
)

const cardNo = "00002026000100012345"

var challenge = bytes.Repeat([]byte{7}, wire.ChallengeLen)

func newKey(t testing.TB) hpke.PrivateKey {
	t.Helper()
	key, err := wire.KEM().GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestSealPIN(t *testing.T) {
	key, other := newKey(t), newKey(t)
	pin := [wire.PINLen]byte([]byte("012345"))
	sealed, err := wire.SealPIN(key.PublicKey().Bytes(), challenge, cardNo, &pin)
	if err != nil || bytes.Contains(sealed, pin[:]) {
		t.Fatalf("SealPIN = %x, %v; want it sealed", sealed, err)
	}
	for _, tt := range []struct {
		name      string
		key       hpke.PrivateKey
		challenge []byte
		card      string
		sealed    []byte
		err       error
	}{
		{"Whole", key, challenge, cardNo, sealed, nil},
		{"OtherKey", other, challenge, cardNo, sealed, wire.ErrSealedPIN},
		{"OtherChallenge", key, bytes.Repeat([]byte{8}, 32), cardNo, sealed, wire.ErrSealedPIN},
		{"OtherCard", key, challenge, "00002026000100012346", sealed, wire.ErrSealedPIN},
		{"Short", key, challenge, cardNo, sealed[:53], wire.ErrSealedPIN},
		{"NoChallenge", key, nil, cardNo, sealed, wire.ErrSealedPIN},
	} {
		var got [wire.PINLen]byte
		err := wire.OpenPIN(tt.key, wire.SealedPIN{CardNo: tt.card, Challenge: tt.challenge, Sealed: tt.sealed}, &got)
		if !errors.Is(err, tt.err) || (err == nil) != (got == pin) || err != nil && got != [wire.PINLen]byte{} {
			t.Errorf("%s: OpenPIN = %v, %v; want %v", tt.name, got, err, tt.err)
		}
	}
	letters := [wire.PINLen]byte([]byte("12345x"))
	if _, err := wire.SealPIN(key.PublicKey().Bytes(), challenge, cardNo, &letters); err == nil {
		t.Error("SealPIN sealed a letter")
	}
}

func FuzzOpenPIN(f *testing.F) {
	key := newKey(f)
	pin := [wire.PINLen]byte([]byte("000000"))
	sealed, err := wire.SealPIN(key.PublicKey().Bytes(), challenge, cardNo, &pin)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var got [wire.PINLen]byte
		err := wire.OpenPIN(key, wire.SealedPIN{CardNo: cardNo, Challenge: challenge, Sealed: b}, &got)
		if err == nil && !bytes.Equal(b, sealed) {
			t.Errorf("OpenPIN opened %x, which nobody sealed", b)
		}
	})
}
