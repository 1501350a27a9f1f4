package journal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// keyOf returns a key that is the same in every run.
func keyOf(name string) ed25519.PrivateKey {
	seed := HashOf([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func leafOf(n int64) Hash { return HashOf([]byte{byte(n >> 8), byte(n)}) }

// stored is a tree as a store keeps it: leaves, and a node for each TileSpan.
type stored struct {
	leaves []Hash
	nodes  [][]Hash // from level 1 on
}

func (s stored) Leaves(n int64, count int) ([]Hash, error) {
	return s.leaves[n:min(int(n)+count, len(s.leaves))], nil
}

func (s stored) Node(level int, n int64) (Hash, error) { return s.nodes[level-1][n], nil }

// TestTree grows a tree and compares it, at each size, with x/mod's own.
func TestTree(t *testing.T) {
	const size = 3*TileSpan + 5
	var f Frontier
	s := stored{nodes: make([][]Hash, 1)}
	var want []Hash // x/mod's stored hashes
	reader := tlog.HashReaderFunc(func(indexes []int64) (out []Hash, err error) {
		for _, i := range indexes {
			out = append(out, want[i])
		}
		return out, nil
	})
	for n := range int64(size) {
		hashes, err := tlog.StoredHashesForRecordHash(n, leafOf(n), reader)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, hashes...)
		f.Append(leafOf(n))
		s.leaves = append(s.leaves, leafOf(n))
		if len(s.leaves)%TileSpan == 0 {
			s.nodes[0] = append(s.nodes[0], Fold(s.leaves[len(s.leaves)-TileSpan:]))
		}
		root, err := tlog.TreeHash(n+1, reader)
		ours, err2 := tlog.TreeHash(n+1, HashReader(s))
		if err != nil || err2 != nil || f.Root() != root || ours != root || f.Size != n+1 {
			t.Fatalf("size %d: root %s and %s, want %s (%v, %v)", n+1, f.Root(), ours, root, err, err2)
		}
		again, err := ParseFrontier(f.Size, f.Bytes())
		if err != nil || again.Root() != root {
			t.Fatalf("size %d: read again: %s, %v", n+1, again.Root(), err)
		}
	}
	proof, err := tlog.ProveRecord(size, 300, HashReader(s))
	if err != nil || tlog.CheckRecord(proof, size, f.Root(), 300, leafOf(300)) != nil {
		t.Errorf("record 300 is not proved: %v", err)
	}
	if _, err := ParseFrontier(3, f.Bytes()); !errors.Is(err, ErrMalformed) {
		t.Errorf("a frontier of another size: %v, want ErrMalformed", err)
	}
	if empty := (Frontier{}).Root(); empty.String() != "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" {
		t.Errorf("root of the empty tree is %s", empty) // SHA-256 of nothing, RFC 6962
	}
}

func TestCheckpoint(t *testing.T) {
	key, campus := keyOf("T1"), keyOf("campus")
	c := Checkpoint{"T1", Epoch{1}, 300, leafOf(1)}
	signed, err := c.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenCheckpoint(signed, public(key)); err != nil || got != c {
		t.Errorf("OpenCheckpoint = %+v, %v, want %+v", got, err, c)
	}
	at := time.Unix(1_772_000_000, 0).UTC()
	both, err := Campus{"quancun/campus", campus}.Cosign(signed, public(key), at)
	if err != nil {
		t.Fatal(err)
	}
	got, when, err := OpenCosigned(both, "quancun/campus", public(campus))
	if err != nil || got != c || when != at {
		t.Errorf("OpenCosigned = %+v at %s, %v, want %+v at %s", got, when, err, c, at)
	}
	if _, err := OpenCheckpoint(both, public(key)); err != nil {
		t.Errorf("OpenCheckpoint of a cosigned one: %v", err)
	}
	for name, open := range map[string]func() error{
		"OtherKey":     func() error { _, err := OpenCheckpoint(signed, public(campus)); return err },
		"NotCosigned":  func() error { _, _, err := OpenCosigned(signed, "quancun/campus", public(campus)); return err },
		"OtherCampus":  func() error { _, _, err := OpenCosigned(both, "quancun/other", public(campus)); return err },
		"CosignForged": func() error { _, err := Campus{"c", campus}.Cosign(signed, public(campus), at); return err },
	} {
		if err := open(); !errors.Is(err, ErrUnsigned) {
			t.Errorf("%s: %v, want ErrUnsigned", name, err)
		}
	}
	for i := range both { // no byte of it may be another
		bad := slices.Clone(both)
		bad[i] ^= 1
		one, err1 := OpenCheckpoint(bad, public(key))
		two, at2, err2 := OpenCosigned(bad, "quancun/campus", public(campus))
		if err1 == nil && one != c || err2 == nil && (two != c || at2 != at) {
			t.Errorf("byte %d changed: %+v, %+v", i, one, two)
		}
	}
}

// TestStandardNotes: other programs that read C2SP's notes read ours, and know
// whose signature is which.
func TestStandardNotes(t *testing.T) {
	key, campus := keyOf("T1"), keyOf("campus")
	signed, err := Checkpoint{"T1", Epoch{1}, 300, leafOf(1)}.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	verifierKey, err := note.NewEd25519VerifierKey(KeyName("T1"), public(key))
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(verifierKey)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := note.Open(signed, note.VerifierList(v)); err != nil || len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 0 {
		t.Errorf("a note's own library reads %+v, %v; want one signature", n, err)
	}
	both, err := Campus{"quancun/campus", campus}.Cosign(signed, public(key), noon)
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(both, note.VerifierList(v))
	if err != nil || len(n.UnverifiedSigs) != 1 {
		t.Fatalf("the same with a cosignature: %+v, %v", n, err)
	}
	id := sha256.Sum256(append([]byte("quancun/campus\n\x04"), public(campus)...)) // tlog-cosignature
	if got := n.UnverifiedSigs[0]; got.Name != "quancun/campus" || got.Hash != binary.BigEndian.Uint32(id[:]) {
		t.Errorf("cosignature of %s with key ID %08x, want %x", got.Name, got.Hash, id[:4])
	}
}

func certificate(t testing.TB, terminal string) (Certificate, ed25519.PrivateKey) {
	t.Helper()
	key := keyOf(terminal)
	c, err := Certify(terminal, public(key), noon, keyOf("campus"))
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

// TestReceipt checks a receipt with the campus's public key alone, and that no
// character of it may be another.
func TestReceipt(t *testing.T) {
	c, key := certificate(t, "T1")
	e := full()
	r, err := NewReceipt(e, HashOf(e.Encode(Hash{})), c, key)
	if err != nil {
		t.Fatal(err)
	}
	campus := public(keyOf("campus"))
	text := r.Text()
	got, err := OpenReceipt("五十元\n"+text+"\n", campus)
	if err != nil || got.Text() != text || got.Amount != e.Amount || got.Position != e.Position() {
		t.Errorf("OpenReceipt = %+v, %v", got, err)
	}
	if strings.ToUpper(text) != text || len(text) > 600 {
		t.Errorf("%d characters that a QR code does not pack tightly: %s", len(text), text)
	}
	for i := range text {
		other := byte('A')
		if text[i] == other {
			other = 'B'
		}
		bad := text[:i] + string(other) + text[i+1:]
		if _, err := OpenReceipt(bad, campus); !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnsigned) {
			t.Fatalf("character %d changed: %v", i, err)
		}
	}
	if _, err := OpenReceipt(text, public(key)); !errors.Is(err, ErrUnsigned) {
		t.Errorf("another campus: %v, want ErrUnsigned", err)
	}
	if _, err := NewReceipt(e, Hash{}, c, keyOf("T2")); !errors.Is(err, ErrUnsigned) {
		t.Errorf("another key: %v, want ErrUnsigned", err)
	}
}

func FuzzOpenReceipt(f *testing.F) {
	f.Add(ReceiptPrefix + "AAAA")
	campus := public(keyOf("campus"))
	f.Fuzz(func(t *testing.T, text string) {
		if r, err := OpenReceipt(text, campus); err == nil {
			t.Errorf("a forged receipt: %+v", r)
		}
	})
}

// TestCopy checks a copy with the campus's public key alone, of a terminal's entry
// and of one that the campus has booked by itself.
func TestCopy(t *testing.T) {
	e, campus := full(), keyOf("campus")
	for name, c := range map[string]Copy{
		"journal": {No: "E7", Account: "***0101", At: noon, Made: noon.Add(time.Hour), What: "purchase", Amount: -1200,
			Place: "canteen1", Ref: "R1", Source: e.Position(), Hash: HashOf(e.Encode(Hash{}))},
		"books": {No: "E8", At: noon, Made: noon, What: "bill", Amount: -1000, Ref: "F1"},
	} {
		if err := c.Sign(campus); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		text := c.Text()
		got, err := OpenCopy("网费\n"+text, public(campus))
		if err != nil || got != c {
			t.Errorf("%s: OpenCopy = %+v, %v; want %+v", name, got, err, c)
		}
		if strings.ToUpper(text) != text || len(text) > 600 {
			t.Errorf("%s: %d characters that a QR code does not pack tightly: %s", name, len(text), text)
		}
		for i := range text {
			other := byte('A')
			if text[i] == other {
				other = 'B'
			}
			bad := text[:i] + string(other) + text[i+1:]
			if _, err := OpenCopy(bad, public(campus)); !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnsigned) {
				t.Fatalf("%s: character %d changed: %v", name, i, err)
			}
		}
		if _, err := OpenCopy(text, public(keyOf("T1"))); !errors.Is(err, ErrUnsigned) {
			t.Errorf("%s: another campus: %v, want ErrUnsigned", name, err)
		}
		if _, err := OpenReceipt(text, public(campus)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: passes for a receipt: %v", name, err)
		}
	}
	if err := (&Copy{Place: "食堂"}).Sign(campus); !errors.Is(err, ErrMalformed) {
		t.Errorf("a text that is not plain: %v, want ErrMalformed", err)
	}
}

func FuzzOpenCopy(f *testing.F) {
	f.Add(CopyPrefix + "AAAA")
	campus := public(keyOf("campus"))
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := OpenCopy(text, campus); err == nil {
			t.Errorf("a forged copy: %+v", c)
		}
	})
}

// chainOf returns the bytes of n entries that follow each other.
func chainOf(n int) (bodies [][]byte, tree Frontier) {
	var prev Hash
	for i := range n {
		e := sound(TopUpIntent)
		e.Seq, e.At = int64(i+1), noon.Add(time.Duration(i)*time.Second)
		body := e.Encode(prev)
		prev = HashOf(body)
		tree.Append(prev)
		bodies = append(bodies, body)
	}
	return bodies, tree
}

func sequence(bodies [][]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, b := range bodies {
			if !yield(b, nil) {
				return
			}
		}
	}
}

func TestArchive(t *testing.T) {
	c, key := certificate(t, "T1")
	bodies, tree := chainOf(20)
	var file bytes.Buffer
	err := WriteArchive(&file, c, sequence(bodies), func() ([]byte, error) {
		return Checkpoint{"T1", Epoch{}, tree.Size, tree.Root()}.Sign(key)
	})
	if err != nil {
		t.Fatal(err)
	}
	campus := public(keyOf("campus"))
	read := func(b []byte) (got [][]byte, err error) {
		_, err = ReadArchive(bytes.NewReader(b), campus, func(_ int64, body []byte) error {
			got = append(got, body)
			return nil
		})
		return got, err
	}
	if got, err := read(file.Bytes()); err != nil || !slices.EqualFunc(got, bodies, bytes.Equal) {
		t.Errorf("ReadArchive: %d entries, %v", len(got), err)
	}
	for i := range file.Bytes() {
		bad := slices.Clone(file.Bytes())
		bad[i] ^= 1
		if _, err := read(bad); err == nil {
			t.Errorf("byte %d changed: no error", i)
		}
		if _, err := read(bad[:i]); err == nil {
			t.Errorf("cut at byte %d: no error", i)
		}
	}
}

func FuzzReadArchive(f *testing.F) {
	f.Add([]byte(ArchiveMagic + "\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ReadArchive(bytes.NewReader(b), public(keyOf("campus")), func(int64, []byte) error { return nil })
		if err == nil {
			t.Errorf("a forged archive: %+v", a)
		}
	})
}

func TestCompare(t *testing.T) {
	at := leafOf(5)
	for _, tt := range []struct {
		ours, theirs int64
		hash         Hash // theirs
		want         Standing
	}{
		{7, 7, at, Level}, {7, 5, at, Ahead}, {7, 0, Hash{}, Ahead}, {5, 7, at, Rewound},
		{7, 7, leafOf(6), Forked}, {7, 5, leafOf(6), Forked}, {0, 0, Hash{}, Level},
	} {
		if got := Compare(Head{Seq: tt.ours}, Head{Seq: tt.theirs, Hash: tt.hash}, at); got != tt.want {
			t.Errorf("%d to %d: standing %d, want %d", tt.ours, tt.theirs, got, tt.want)
		}
	}
}
