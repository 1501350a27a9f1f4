package journal

import (
	"errors"
	"reflect"
	"testing"

	"quancun/money"
)

func TestOpening(t *testing.T) {
	old := Epoch{1, 2}
	o := Opening{
		Reason: ReasonForked, Epoch: old, Head: 7, Hash: "ab", Theirs: 9, Version: "1.0",
		Accounts: map[Account]money.Fen{Holder: -500, MerchantAccount("M1"): 500},
	}
	e := o.Entry(Position{"K01", old, 5})
	const want = `{"reason":"forked","epoch":"0102000000000000","head":7,"hash":"ab","theirs":9,` +
		`"accounts":{"holder":-500,"merchant/M1":500},"version":"1.0"}`
	if string(e.Details) != want || e.Origin.Seq != 5 {
		t.Errorf("details %s, want %s", e.Details, want)
	}
	if got, err := e.Opening(); err != nil || !reflect.DeepEqual(got, o) {
		t.Errorf("Opening = %+v, %v, want %+v", got, err, o)
	}
	if e := o.Entry(Position{"K01", old, 0}); e.Origin != (Position{}) || e.Check() != nil {
		t.Errorf("nothing agreed: origin %s, %v", e.Origin, e.Check())
	}
	if _, err := (Entry{Kind: Started}).Opening(); !errors.Is(err, ErrMalformed) {
		t.Errorf("Opening of a start = %v, want ErrMalformed", err)
	}
}

func TestCarry(t *testing.T) {
	sold := Entry{
		Terminal: "K01", Epoch: Epoch{1}, Seq: 4, At: noon, Kind: CodeSale, Ref: "S1", Account: "A1", Merchant: "M1",
		Amount: 500,
	}
	sold = sold.Post(false, 0)
	e := Carry(sold.Position(), sold.Encode(Hash{}))
	if err := e.Check(); err != nil {
		t.Errorf("Check: %v", err)
	}
	if inner, err := e.Inner(); err != nil || !reflect.DeepEqual(inner, sold) {
		t.Errorf("Inner = %+v, %v, want %+v", inner, err, sold)
	}
	if inner, err := sold.Inner(); err != nil || !reflect.DeepEqual(inner, sold) {
		t.Errorf("Inner of the entry itself = %+v, %v", inner, err)
	}
	first := []byte(`{"v":1,"seq":4,"prev":"` + Hex(Hash{}) + `","at":"2026-03-02T12:00:00.000Z","kind":1}`)
	inner, err := Carry(sold.Position(), first).Inner()
	if err != nil || inner.Position() != sold.Position() {
		t.Errorf("Inner of the first form = %+v, %v, want it at %s", inner, err, sold.Position())
	}
	elsewhere := sold.Position()
	elsewhere.Seq++
	for name, bad := range map[string]Entry{
		"OtherPlace": Carry(elsewhere, sold.Encode(Hash{})),
		"NoBody":     Carry(sold.Position(), nil),
		"Noise":      Carry(sold.Position(), []byte("noise")),
		"NoDetails":  {Kind: Carried},
	} {
		if _, err := bad.Inner(); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: Inner = %v, want ErrMalformed", name, err)
		}
	}
}
