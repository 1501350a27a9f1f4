package pboc_test

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"quancun/money"
	"quancun/pboc"
)

// vector is one public worked example: captures of real cards and published
// arithmetic. Every one is reproduced, or skipped by name below.
type vector struct {
	ID     string
	Inputs map[string]string
	Checks []struct{ Name, Expected string }
}

// elsewhere are the vectors of secure messaging, which [TestSecureVectors] has.
var elsewhere = map[string]bool{
	"psam-loadkey-sm": true, "klks-mac-1": true, "klks-mac-2": true, "fmcos-f9-add": true,
	"fmcos-extauth-4": true, "fm1208-transport-extauth": true,
}

func TestPublicVectors(t *testing.T) {
	text, err := os.ReadFile("testdata/card-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Public []vector `json:"public_vectors"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Public) == 0 {
		t.Fatal("there are no vectors")
	}
	for _, v := range all.Public {
		if elsewhere[v.ID] {
			continue
		}
		t.Run(v.ID, func(t *testing.T) {
			got := v.compute(t)
			for _, c := range v.Checks {
				if got[c.Name] != c.Expected {
					t.Errorf("%s = %s, want %s", c.Name, got[c.Name], c.Expected)
				}
			}
		})
	}
}

func (v vector) compute(t *testing.T) map[string]string {
	t.Helper()
	switch {
	case v.Inputs["dlk"] != "":
		l := pboc.Load{
			Balance: v.uint32(t, "old_balance"), Counter: uint16(v.uint32(t, "ctr")),
			Amount:   money.Fen(v.uint32(t, "amount")),
			Terminal: pboc.TerminalNo(v.bytes(t, "terminal", 6)), At: pboc.Stamp(v.bytes(t, "datetime", 7)),
		}
		s := pboc.Key(v.bytes(t, "dlk", 16)).LoadSession([4]byte(v.bytes(t, "rnd", 4)), l.Counter)
		return map[string]string{
			"session_key": upper(s[:]), "mac1": upper(mac(l.MAC1(s))), "mac2": upper(mac(l.MAC2(s))),
			"tac": upper(mac(l.TAC(pboc.Key(v.bytes(t, "dtk", 16))))),
		}
	case v.Inputs["dpk"] != "":
		p := pboc.Purchase{
			Amount: money.Fen(v.uint32(t, "amount")), TraceNo: v.uint32(t, "terminal_txn"),
			Terminal: pboc.TerminalNo(v.bytes(t, "terminal", 6)), At: pboc.Stamp(v.bytes(t, "datetime", 7)),
		}
		k := pboc.Key(v.bytes(t, "dpk", 16))
		s := k.PurchaseSession([4]byte(v.bytes(t, "rnd", 4)), uint16(v.uint32(t, "ctr")), p.TraceNo)
		return map[string]string{
			"session_key": upper(s[:]), "mac1": upper(mac(p.MAC1(s))), "mac2": upper(mac(p.MAC2(s))),
		}
	case v.Inputs["master"] != "":
		d := pboc.Key(v.bytes(t, "master", 16)).Diversify([8]byte(v.bytes(t, "factor", 8)))
		return map[string]string{"derived": upper(d[:])}
	}
	t.Fatalf("no rule for %v", v.Inputs)
	return nil
}

func (v vector) bytes(t *testing.T, name string, n int) []byte {
	t.Helper()
	b, err := hex.DecodeString(v.Inputs[name])
	if err != nil || len(b) != n {
		t.Fatalf("%s = %q, want %d bytes in hex", name, v.Inputs[name], n)
	}
	return b
}

func (v vector) uint32(t *testing.T, name string) uint32 {
	t.Helper()
	b := v.bytes(t, name, len(v.Inputs[name])/2)
	return binary.BigEndian.Uint32(append(make([]byte, 4-len(b), 4), b...))
}

func mac(m pboc.MAC) []byte { return m[:] }

func upper(b []byte) string { return strings.ToUpper(hex.EncodeToString(b)) }

// TestDiversifyTwice derives a key at two levels, as cards of two-level issuers
// have them. The keys are invented; the arithmetic was done elsewhere.
func TestDiversifyTwice(t *testing.T) {
	mpk := pboc.Key{0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, 0xFE, 0xDC, 0xBA, 0x98, 0x76, 0x54, 0x32, 0x10}
	d := mpk.Diversify([8]byte{0x20, 0x26, 0, 1, 0, 1, 0x23, 0x45})
	if got, want := upper(d[:]), "AE2A8C223BD1BC6A4D80BD35F5091EC6"; got != want {
		t.Errorf("one level = %s, want %s", got, want)
	}
	d = d.Diversify([8]byte{0xB1, 0xB1, 0xBE, 0xA9, 0xB1, 0xB1, 0xBE, 0xA9})
	if got, want := upper(d[:]), "E6707B8FC9034B192888317F69E818E3"; got != want {
		t.Errorf("two levels = %s, want %s", got, want)
	}
}

// TestFoldedEqualHalves uses the weak key that real test cards have.
func TestFoldedEqualHalves(t *testing.T) {
	var k pboc.Key
	for i := range k {
		k[i] = 0xFF
	}
	if got := k.Folded(); got != (pboc.SessionKey{}) {
		t.Errorf("Folded() = %x, want zeros", got[:])
	}
	if m := k.TAC([]byte{1}); !m.Valid() {
		t.Error("a weak key made no TAC")
	}
}

func TestMACEqual(t *testing.T) {
	a, b := pboc.MAC{1, 2, 3, 4}, pboc.MAC{1, 2, 3, 5}
	if !a.Equal(a) || a.Equal(b) {
		t.Error("Equal compares wrongly")
	}
	if zero := (pboc.MAC{}); zero.Valid() || zero.Equal(zero) {
		t.Error("a MAC of zeros proves something")
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	k := pboc.Key{0xAB, 0xCD}
	s := k.LoadSession([4]byte{}, 0)
	for _, format := range []string{"%v", "%+v", "%x", "%X", "%s", "%d", "%q", "%#v"} {
		if got := fmt.Sprintf(format, k); got != "pboc.Key(…)" {
			t.Errorf("%s prints a key as %s", format, got)
		}
		if got := fmt.Sprintf(format, struct{ S pboc.SessionKey }{s}); strings.ContainsAny(got, "0123456789") {
			t.Errorf("%s prints a session key as %s", format, got)
		}
	}
}
