package ledger

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestBody pins the bytes that are on disks everywhere. If it fails, a new
// bodyVersion is due, and not a new expectation.
func TestBody(t *testing.T) {
	e := Entry{
		Seq: 7, At: time.Date(2026, 3, 2, 12, 0, 0, 5e6, time.UTC), Kind: LoadEnd, Ref: "L1", Card: "1001",
		Amount: 2000, Outcome: Written, Details: json.RawMessage(`{"tac":"<&>\u2028"}`),
	}
	const want = `{"v":1,"seq":7,"prev":"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",` +
		`"at":"2026-03-02T12:00:00.005Z","kind":21,"ref":"L1","card":"1001","amount":2000,"outcome":11,` +
		`"details":{"tac":"<&>\u2028"}}`
	prev := hashOf(nil) // SHA-256 of one zero byte
	got, err := encode(e, prev)
	if err != nil || string(got) != want {
		t.Errorf("encode = %s, %v\nwant %s", got, err, want)
	}
	back, backPrev, err := decode(got)
	if err != nil || !reflect.DeepEqual(back, e) || backPrev != prev {
		t.Errorf("decode = %+v after %s, %v\nwant %+v after %s", back, backPrev, err, e, prev)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good, err := encode(Entry{Seq: 1, At: noon, Kind: TopUpIntent, Ref: "T1", Amount: 1}, Hash{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, old, new string }{
		{"Version", `"v":1`, `"v":2`},
		{"NoSeq", `"seq":1`, `"seq":0`},
		{"ShortPrev", `"prev":"00`, `"prev":"`},
		{"LongPrev", `"prev":"`, `"prev":"00`},
		{"UpperPrev", `"prev":"00`, `"prev":"AA`},
		{"LocalTime", `.000Z`, `.000+08:00`},
		{"NoSuchTime", `-03-02T`, `-02-30T`},
		{"Kind", `"kind":10`, `"kind":-10`},
		{"Amount", `"amount":1`, `"amount":-1`},
		{"Float", `"amount":1`, `"amount":1.5`},
		{"UnknownMember", `"v":1`, `"v":1,"w":1`},
		{"Trailing", `"amount":1}`, `"amount":1}{}`},
		{"Cut", `"amount":1}`, `"amount":1`},
	} {
		data := strings.Replace(string(good), tt.old, tt.new, 1)
		if data == string(good) {
			t.Fatalf("%s: changes nothing", tt.name)
		}
		if e, _, err := decode([]byte(data)); err == nil {
			t.Errorf("%s: decode(%s) = %+v, want an error", tt.name, data, e)
		}
	}
}

// FuzzDecode checks that whatever can be read can be written and read again as
// the same entry, and that nothing makes the decoder panic.
func FuzzDecode(f *testing.F) {
	for _, e := range []Entry{
		{Seq: 1, At: noon, Kind: Started, Details: json.RawMessage(`{"epoch":"00"}`)},
		{Seq: 2, At: noon, Kind: TopUpIntent, Ref: "T1", Card: "1001", Amount: 2000},
		{Seq: 3, At: noon, Kind: LoadEnd, Ref: "L1", Card: "1", Amount: 1, Outcome: Elsewhere},
	} {
		data, err := encode(e, hashOf([]byte("x")))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, prev, err := decode(data)
		if err != nil {
			return
		}
		first, err := encode(e, prev)
		if err != nil {
			t.Fatalf("encode(%+v): %v", e, err)
		}
		again, againPrev, err := decode(first)
		if err != nil || againPrev != prev {
			t.Fatalf("decode(%s) = %v, after %s, want after %s", first, err, againPrev, prev)
		}
		second, err := encode(again, prev)
		if err != nil || !bytes.Equal(first, second) {
			t.Errorf("written again: %s, %v\nwant %s", second, err, first)
		}
	})
}
