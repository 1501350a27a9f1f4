package wire_test

import (
	"bytes"
	"crypto/hpke"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"quancun/upstream/wire"
)

const piece = 64 << 10

func newSealKey(t testing.TB) hpke.PrivateKey {
	t.Helper()
	key, err := wire.KEM().GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func seal(t testing.TB, key hpke.PrivateKey, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := wire.Seal(&b, key.PublicKey().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for len(plain) > 0 { // in writes of all lengths
		n := min(len(plain), 1+rand.IntN(2*piece))
		if k, err := w.Write(plain[:n]); err != nil || k != n {
			t.Fatalf("Write = %d, %v", k, err)
		}
		plain = plain[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSeal(t *testing.T) {
	key := newSealKey(t)
	for _, n := range []int{0, 1, piece - 1, piece, piece + 1, 3*piece + 7} {
		plain := make([]byte, n)
		for i := range plain {
			plain[i] = byte(rand.Uint32())
		}
		sealed := seal(t, key, plain)
		if n > 16 && bytes.Contains(sealed, plain[:16]) {
			t.Errorf("%d bytes: the sealed file shows them", n)
		}
		for name, r := range map[string]io.Reader{
			"Whole": bytes.NewReader(sealed), "ByteByByte": iotest.OneByteReader(bytes.NewReader(sealed)),
		} {
			if got, err := io.ReadAll(wire.Unseal(key, r)); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%s: %d of %d bytes, %v", name, len(got), n, err)
			}
		}
	}
}

// TestSealBroken: what is not whole does not end well, and nothing is given
// out that was not written.
func TestSealBroken(t *testing.T) {
	key := newSealKey(t)
	plain := bytes.Repeat([]byte("ledger "), 3*piece/7)
	sealed := seal(t, key, plain)
	const head, full = 17 + 32, 4 + piece + 16
	first, second := sealed[head:head+full], sealed[head+full:head+2*full]
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	broken := map[string][]byte{
		"Empty":    nil,
		"HeadOnly": sealed[:head],
		"NoLast":   sealed[:head+2*full],
		"Cut":      sealed[:len(sealed)-1],
		"More":     join(sealed, []byte{0}),
		"Swapped":  join(sealed[:head], second, first, sealed[head+2*full:]),
		"Doubled":  join(sealed[:head], first, first, sealed[head+full:]),
		"LeftOut":  join(sealed[:head], second, sealed[head+2*full:]),
		"Other":    seal(t, newSealKey(t), plain),
		"Huge":     join(sealed[:head], []byte{0xff, 0xff, 0xff, 0xff}, sealed[head+4:]),
	}
	for i := range 200 {
		at := i
		if i >= 100 {
			at = rand.IntN(len(sealed))
		}
		flipped := bytes.Clone(sealed)
		flipped[at] ^= 1 << rand.IntN(8)
		got, err := io.ReadAll(wire.Unseal(key, bytes.NewReader(flipped)))
		if !errors.Is(err, wire.ErrSealed) || !bytes.HasPrefix(plain, got) {
			t.Fatalf("byte %d flipped: %d bytes, %v; want %v", at, len(got), err, wire.ErrSealed)
		}
	}
	for name, b := range broken {
		got, err := io.ReadAll(wire.Unseal(key, bytes.NewReader(b)))
		if !errors.Is(err, wire.ErrSealed) || !bytes.HasPrefix(plain, got) {
			t.Errorf("%s: %d bytes, %v; want %v", name, len(got), err, wire.ErrSealed)
		}
	}
	sick := io.MultiReader(bytes.NewReader(sealed[:100]), iotest.ErrReader(errors.New("stick pulled")))
	if _, err := io.ReadAll(wire.Unseal(key, sick)); err == nil || errors.Is(err, wire.ErrSealed) {
		t.Errorf("a reader that fails: %v, want its own error", err)
	}
}

func FuzzUnseal(f *testing.F) {
	key := newSealKey(f)
	f.Add(seal(f, key, []byte("journal")))
	f.Add([]byte("quancun sealed 1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := io.ReadAll(wire.Unseal(key, bytes.NewReader(b)))
		if err != nil && !errors.Is(err, wire.ErrSealed) {
			t.Errorf("%v, want nil or %v", err, wire.ErrSealed)
		}
	})
}
