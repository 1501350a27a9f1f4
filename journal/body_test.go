package journal

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 5e6, time.UTC)

// full is an entry that has everything.
func full() Entry {
	e := Entry{
		Terminal: "T1", Epoch: Epoch{1, 2, 3, 4, 5, 6, 7, 8}, Seq: 7, At: noon, Uptime: 90 * time.Second,
		Clock: ClockSynced, Kind: SaleEnd, Ref: "S1", Card: "00000000000000001001", Account: "2026000101",
		Merchant: "canteen-1", Operator: "c7", Amount: 2000, Outcome: Written,
		Origin: Position{"T2", Epoch{9}, 3},
		Purse: &Purse{
			Balance: 5000, Counter: 12, KeyVersion: 1, TerminalNo: [6]byte{0, 0, 0, 0, 0, 1}, TraceNo: 77,
			Stamp: [7]byte{0x20, 0x26, 3, 2, 0x20, 0, 0}, TAC: [4]byte{1, 2, 3, 4},
		},
		Details: json.RawMessage(`{"say":"<&>\u2028"}`),
	}
	return e.Post(true, 0)
}

// TestEncode pins the bytes that are on disks everywhere. If it fails, a new
// form is due, and not a new expectation.
func TestEncode(t *testing.T) {
	e, prev := full(), HashOf(nil)
	const want = "02" + "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d" + // form, prev
		"0000000000000007" + "0102030405060708" + "0000019cae6b6605" + "0000000000015f90" + // seq, epoch, at, uptime
		"01" + "0029" + "0b" + "00000000000007d0" + // clock, kind, outcome, amount
		"025431" + "025331" + "143030303030303030303030303030303031303031" + // terminal, ref, card
		"0a32303236303030313031" + "0963616e7465656e2d31" + "026337" + // account, merchant, operator
		"01" + "025432" + "0900000000000000" + "0000000000000003" + // origin
		"01" + "00001388" + "000c" + "01" + "00" + "000000000001" + "0000004d" + "20260302200000" + "01020304" + // purse
		"02" + "0b73757370656e73652f5431" + "fffffffffffff830" +
		"126d65726368616e742f63616e7465656e2d31" + "00000000000007d0" + // postings
		"00000013" + "7b22736179223a223c263e5c7532303238227d" // details
	got := e.Encode(prev)
	if hex.EncodeToString(got) != want {
		t.Errorf("Encode = %x\nwant     %s", got, want)
	}
	back, backPrev, err := Decode(got)
	if err != nil || !reflect.DeepEqual(back, e) || backPrev != prev {
		t.Errorf("Decode = %+v after %s, %v\nwant %+v after %s", back, backPrev, err, e, prev)
	}
	if !bytes.Equal(got[PrevAt:SeqAt], prev[:]) || got[SeqAt+7] != 7 {
		t.Error("PrevAt or SeqAt is not where it says")
	}
}

func TestDecodeFirstForm(t *testing.T) {
	prev := HashOf(nil)
	const text = `{"v":1,"seq":7,"prev":"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",` +
		`"at":"2026-03-02T12:00:00.005Z","kind":21,"ref":"L1","card":"1001","amount":2000,"outcome":11,` +
		`"details":{"tac":"<&>\u2028"}}`
	want := Entry{
		Seq: 7, At: noon, Kind: LoadEnd, Ref: "L1", Card: "1001",
		Amount: 2000, Outcome: Written, Details: json.RawMessage(`{"tac":"<&>\u2028"}`),
	}
	got, gotPrev, err := Decode([]byte(text))
	if err != nil || !reflect.DeepEqual(got, want) || gotPrev != prev {
		t.Errorf("Decode = %+v after %s, %v\nwant %+v after %s", got, gotPrev, err, want, prev)
	}
	if err := got.Check(); err != nil {
		t.Errorf("Check: %v", err)
	}
	for _, tt := range []struct{ name, old, new string }{
		{"Version", `"v":1`, `"v":2`},
		{"NoSeq", `"seq":7`, `"seq":0`},
		{"ShortPrev", `"prev":"6e`, `"prev":"`},
		{"LongPrev", `"prev":"`, `"prev":"00`},
		{"UpperPrev", `"prev":"6e`, `"prev":"6E`},
		{"LocalTime", `.005Z`, `.005+08:00`},
		{"NoSuchTime", `-03-02T`, `-02-30T`},
		{"Kind", `"kind":21`, `"kind":-21`},
		{"Amount", `"amount":2000`, `"amount":-1`},
		{"Float", `"amount":2000`, `"amount":2000.5`},
		{"UnknownMember", `"v":1`, `"v":1,"w":1`},
		{"Trailing", `"}}`, `"}}{}`},
		{"Cut", `"}}`, `"}`},
	} {
		bad := strings.Replace(text, tt.old, tt.new, 1)
		if bad == text {
			t.Fatalf("%s: changes nothing", tt.name)
		}
		if e, _, err := Decode([]byte(bad)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: Decode = %+v, %v, want ErrMalformed", tt.name, e, err)
		}
	}
}

// TestDecodeRefuses takes every byte away, adds one, and knows newer forms
// from nonsense.
func TestDecodeRefuses(t *testing.T) {
	good := full().Encode(Hash{})
	for n := range good {
		if _, _, err := Decode(good[:n]); !errors.Is(err, ErrMalformed) {
			t.Fatalf("Decode of %d bytes: %v, want ErrMalformed", n, err)
		}
	}
	if _, _, err := Decode(append(good, 0)); !errors.Is(err, ErrMalformed) {
		t.Errorf("Decode with a byte more: %v, want ErrMalformed", err)
	}
	for form, want := range map[byte]error{0: ErrMalformed, 1: ErrMalformed, 3: ErrNewer, 31: ErrNewer, 200: ErrMalformed} {
		good[0] = form
		if _, _, err := Decode(good); !errors.Is(err, want) {
			t.Errorf("Decode of form %d: %v, want %v", form, err, want)
		}
	}
}

// FuzzDecode checks that what can be read is written again as the same bytes,
// so that an entry has one form only, and that nothing makes Decode panic.
func FuzzDecode(f *testing.F) {
	f.Add(full().Encode(HashOf(nil)))
	for _, k := range Kinds() {
		f.Add(sound(k).Post(false, 0).Encode(Hash{}))
	}
	f.Add(Entry{Seq: 1, At: noon, Kind: Started, Details: json.RawMessage(`{}`)}.Encode(Hash{}))
	f.Add([]byte(`{"v":1,"seq":1,"prev":"` + strings.Repeat("0", 64) + `","at":"2026-03-02T12:00:00.005Z","kind":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, prev, err := Decode(data)
		if err != nil {
			return
		}
		_ = e.Check()
		again := e.Encode(prev)
		if data[0] == formBinary && !bytes.Equal(again, data) {
			t.Errorf("written again: %x\nwant %x", again, data)
		}
		if back, backPrev, err := Decode(again); err != nil || backPrev != prev || !reflect.DeepEqual(back, e) {
			t.Errorf("read again: %+v, %v\nwant %+v", back, err, e)
		}
	})
}
