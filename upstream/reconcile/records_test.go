package reconcile_test

import (
	"slices"
	"strings"
	"testing"

	"quancun/upstream/channel"
	"quancun/upstream/reconcile"
)

const (
	sampleCSV = `order_no,record_no,kind,refund_no,amount_fen,fee_fen,at
N1,88,payment,,2000,0,2026-03-01T08:00:00+08:00
N1,89,refund,R1,500,,2026-03-01T09:00:00+08:00
,90,payment,,1,-1,2026-03-01T10:00:00+08:00
total,3,,,1501,,2026-03-01
`
	sampleJSON = `{"day": "2026-03-01", "records": [
	{"order_no": "N1", "record_no": "88", "kind": "payment", "amount_fen": 2000, "fee_fen": 0, "at": "2026-03-01T08:00:00+08:00"},
	{"order_no": "N1", "record_no": "89", "kind": "refund", "refund_no": "R1", "amount_fen": 500, "at": "2026-03-01T09:00:00+08:00"},
	{"order_no": "", "record_no": "90", "kind": "payment", "amount_fen": 1, "fee_fen": -1, "at": "2026-03-01T10:00:00+08:00"}]}
`
)

func TestRecords(t *testing.T) {
	want := []channel.Line{
		{OrderNo: "N1", TradeNo: "88", Kind: channel.Payment, Amount: 2000, At: at(t, "2026-03-01 08:00:00")},
		{OrderNo: "N1", RefundNo: "R1", TradeNo: "89", Kind: channel.Refund, Amount: 500, At: at(t, "2026-03-01 09:00:00")},
		{TradeNo: "90", Kind: channel.Payment, Amount: 1, Fee: -1, At: at(t, "2026-03-01 10:00:00")},
	}
	same := func(x, y channel.Line) bool {
		sameTime := x.At.Equal(y.At)
		x.At = y.At
		return sameTime && x == y
	}
	got, err := reconcile.ReadCSV(strings.NewReader(sampleCSV))
	if err != nil || got.Day != day || !slices.EqualFunc(got.Lines, want, same) {
		t.Errorf("ReadCSV = %+v, %v; want %+v", got, err, want)
	}
	got, err = reconcile.ReadJSON(strings.NewReader(sampleJSON))
	if err != nil || got.Day != day || !slices.EqualFunc(got.Lines, want, same) {
		t.Errorf("ReadJSON = %+v, %v; want %+v", got, err, want)
	}
}

// TestRecordsAreWholeOrNot cuts records anywhere and breaks whatever counts.
func TestRecordsAreWholeOrNot(t *testing.T) {
	for n := range len(sampleCSV) - 1 { // the last line feed may be missing
		if got, err := reconcile.ReadCSV(strings.NewReader(sampleCSV[:n])); err == nil {
			t.Errorf("the first %d bytes of CSV are records: %+v", n, got)
		}
	}
	for n := range len(sampleJSON) - 1 {
		if got, err := reconcile.ReadJSON(strings.NewReader(sampleJSON[:n])); err == nil {
			t.Errorf("the first %d bytes of JSON are records: %+v", n, got)
		}
	}
	for _, tt := range []struct{ old, new string }{
		{"2000,0", "2001,0"}, {"2000,0", "0,0"}, {"2000,0", "-2000,0"}, {"2000,0", "20.00,0"}, {"2000,0", "1e3,0"},
		{"payment", "sale"}, {"88", ""}, {"payment,,2000", "payment,R9,2000"}, {"refund_no", "refund"},
		{"2026-03-01T08:00:00+08:00", "2026-03-01 08:00:00"}, {"2026-03-01T08:00:00+08:00", "0001-01-01T00:00:00Z"},
		{"total,3", "total,2"}, {"1501", "2501"}, {",,2026-03-01\n", ",,2026-3-1\n"},
		{",,2026-03-01\n", ",,2026-03-01\nN2,91,payment,,1,0,2026-03-01T08:00:00+08:00\n"},
	} {
		text := strings.Replace(sampleCSV, tt.old, tt.new, 1)
		if text == sampleCSV {
			t.Fatalf("%q is not in the sample", tt.old)
		}
		if got, err := reconcile.ReadCSV(strings.NewReader(text)); err == nil {
			t.Errorf("with %q for %q: %+v", tt.new, tt.old, got)
		}
	}
	for _, tt := range []struct{ old, new string }{
		{`2000`, `20.5`}, {`2000`, `"2000"`}, {`2000`, `0`}, {`"payment"`, `"sale"`}, {`"88"`, `""`},
		{`fee_fen`, `fee`}, {`"2026-03-01"`, `"2026-03-32"`}, {"]}\n", "]} {}\n"},
		{`"at": "2026-03-01T08:00:00+08:00"`, `"at": ""`},
	} {
		text := strings.Replace(sampleJSON, tt.old, tt.new, 1)
		if text == sampleJSON {
			t.Fatalf("%q is not in the sample", tt.old)
		}
		if got, err := reconcile.ReadJSON(strings.NewReader(text)); err == nil {
			t.Errorf("with %q for %q: %+v", tt.new, tt.old, got)
		}
	}
}

// FuzzRecords reads anything: what is read can be compared.
func FuzzRecords(f *testing.F) {
	f.Add(sampleCSV)
	f.Add(sampleJSON)
	f.Fuzz(func(t *testing.T, text string) {
		for _, read := range []func(string) (channel.Statement, error){
			func(s string) (channel.Statement, error) { return reconcile.ReadCSV(strings.NewReader(s)) },
			func(s string) (channel.Statement, error) { return reconcile.ReadJSON(strings.NewReader(s)) },
		} {
			s, err := read(text)
			if err != nil {
				continue
			}
			b := reconcile.Books{Source: network, Stated: until(s.Day)}
			for i, l := range s.Lines {
				b.Lines = append(b.Lines, reconcile.Line{Line: l, Day: s.Day, No: i + 1})
			}
			check(t, b, reconcile.Match(b))
		}
	})
}
