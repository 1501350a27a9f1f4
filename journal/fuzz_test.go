package journal

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// fuzzKey signs what fuzzers read.
var fuzzKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, ed25519.SeedSize))

// FuzzOpenCheckpoint reads notes that somebody has put together, signed by
// anybody or by the terminal itself: what is opened says what was signed, and
// nothing is opened that was not.
func FuzzOpenCheckpoint(f *testing.F) {
	c := Checkpoint{Terminal: "K01", Epoch: Epoch{1, 2, 3}, Size: 42, Root: Hash{4, 5, 6}}
	signed, err := c.Sign(fuzzKey)
	if err != nil {
		f.Fatal(err)
	}
	text, _, _ := strings.Cut(string(signed), "\n\n")
	cosigned, err := Campus{Name: "quancun/campus", Key: fuzzKey}.Cosign(signed, public(fuzzKey), noon)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed)
	f.Add(cosigned)
	f.Add([]byte(text + "\n"))
	f.Add([]byte(strings.Replace(text, "42", "042", 1) + "\n"))
	f.Add([]byte(strings.Replace(text, "42", "-1", 1) + "\n"))
	f.Add([]byte(strings.Replace(text, "K01", "K02", 1) + "\n"))
	f.Fuzz(func(t *testing.T, note []byte) {
		if got, err := OpenCheckpoint(note, public(fuzzKey)); err == nil && got != c {
			t.Errorf("opened %+v, which nobody has signed", got)
		}
		if got, _, err := OpenCosigned(note, "quancun/campus", public(fuzzKey)); err == nil && got != c {
			t.Errorf("opened %+v, which the campus has not signed", got)
		}
		got, err := parseCheckpoint(string(note)) // and behind the signature
		if err != nil {
			return
		}
		if again := got.text(); again != string(note) || got.Size < 0 || !IsName(got.Terminal) {
			t.Errorf("%+v is read from %q, and says %q", got, note, again)
		}
	})
}

// FuzzParseCertificate: what is read is written again as the same bytes, and
// holds only what a campus has signed.
func FuzzParseCertificate(f *testing.F) {
	c, err := Certify("K01", public(fuzzKey), noon, fuzzKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(c.Bytes())
	f.Add(c.Bytes()[:40])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := ParseCertificate(b)
		if err != nil {
			return
		}
		if !bytes.Equal(got.Bytes(), b) {
			t.Errorf("%x is read, and written again as %x", b, got.Bytes())
		}
		if got.Verify(public(fuzzKey)) == nil && !bytes.Equal(b, c.Bytes()) {
			t.Errorf("%+v is good, and nobody has signed it", got)
		}
	})
}

// FuzzParseFrontier: a frontier that is read is of that many entries, goes on
// growing, and is written again as it was.
func FuzzParseFrontier(f *testing.F) {
	var tree Frontier
	for n := range int64(9) {
		f.Add(n, tree.Bytes())
		tree.Append(HashOf([]byte{byte(n)}))
	}
	f.Add(int64(-1), []byte{})
	f.Add(int64(1)<<62, tree.Bytes())
	f.Fuzz(func(t *testing.T, size int64, b []byte) {
		got, err := ParseFrontier(size, b)
		if err != nil || size == math.MaxInt64 {
			return
		}
		if got.Size != size || !bytes.Equal(got.Bytes(), b) {
			t.Errorf("%d, %x is read as %d, %x", size, b, got.Size, got.Bytes())
		}
		_ = got.Root()
		got.Append(Hash{1})
		if got.Size != size+1 {
			t.Errorf("size %d after one more than %d", got.Size, size)
		}
	})
}

// FuzzReport adds up a journal in which reports say anything: a report that is
// let pass is what a tally of the entries would have written.
func FuzzReport(f *testing.F) {
	d := Tally{}
	good, err := json.Marshal(d.Report(ShiftClosed))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, true)
	f.Add([]byte(`{"z":1,"from":-1,"till":9223372036854775807}`), false)
	f.Add([]byte(`[]`), true)
	f.Fuzz(func(t *testing.T, details []byte, z bool) {
		sum := NewTally("T1")
		e := Entry{Terminal: "T1", Epoch: Epoch{1}, Seq: 2, Kind: ShiftReport, Details: details}
		if z {
			e.Kind = ShiftClosed
		}
		first := Entry{Terminal: "T1", Epoch: Epoch{1}, Seq: 1, Kind: Started}
		if err := sum.Add(first); err != nil {
			t.Fatal(err)
		}
		e.Origin = first.Position()
		want := sum.Report(e.Kind)
		if sum.Check(e) == nil {
			if got, err := e.Report(); err != nil || got.seen() != want.seen() {
				t.Errorf("%s is let pass as %+v, %v, want %+v", details, got, err, want)
			}
		}
		_ = sum.Add(e) // it may not be readable, and must not end the program
		sum.Report(ShiftClosed)
	})
}
