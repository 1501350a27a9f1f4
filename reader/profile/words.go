package profile

import "fmt"

// Kind is the kind of purse. Its value is P2 of the purse's commands (4.1). The
// zero Kind counts as [KindEP], the kind that nearly every card carries.
type Kind byte

// The two kinds.
const (
	KindED Kind = 0x01 // 电子存折, deposit
	KindEP Kind = 0x02 // 电子钱包, purse
)

// P2 returns the parameter that selects the purse in its commands.
func (k Kind) P2() byte {
	if k == KindED {
		return 0x01
	}
	return 0x02
}

// LoadType returns the transaction type identifier of a load (1.1).
func (k Kind) LoadType() byte {
	if k == KindED {
		return 0x01
	}
	return 0x02
}

// PurchaseType returns the transaction type identifier of a purchase (1.1).
func (k Kind) PurchaseType() byte {
	if k == KindED {
		return 0x05
	}
	return 0x06
}

// MarshalText writes "ep" or "ed".
func (k Kind) MarshalText() ([]byte, error) {
	if k == KindED {
		return []byte("ed"), nil
	}
	return []byte("ep"), nil
}

// UnmarshalText reads "ep" or "ed".
func (k *Kind) UnmarshalText(text []byte) (err error) {
	*k, err = word("purse kind", text, map[string]Kind{"ep": KindEP, "ed": KindED})
	return err
}

// Factor says what diversifies the issuer's master keys (chapter 3).
type Factor byte

// The rules seen in the field.
const (
	FactorASN         Factor = iota // bytes 3 to 10 of the application serial number
	FactorUID                       // UID, 80000000
	FactorUIDReversed               // UID with its last byte first, 80000000
)

// UnmarshalText reads "asn", "uid" or "uid-reversed".
func (f *Factor) UnmarshalText(text []byte) (err error) {
	*f, err = word("factor", text, map[string]Factor{
		"asn": FactorASN, "uid": FactorUID, "uid-reversed": FactorUIDReversed,
	})
	return err
}

// Prove says which counter GET TRANSACTION PROVE wants (6.1).
type Prove byte

// The two rules.
const (
	ProveAfter  Prove = iota // the counter after the transaction, N+1
	ProveBefore              // the counter that INITIALIZE answered, N
)

// Counter returns the counter to ask for after a transaction whose INITIALIZE
// answered n.
func (r Prove) Counter(n uint16) uint16 {
	if r == ProveBefore {
		return n
	}
	return n + 1
}

// UnmarshalText reads "after" or "before".
func (r *Prove) UnmarshalText(text []byte) (err error) {
	*r, err = word("prove", text, map[string]Prove{"after": ProveAfter, "before": ProveBefore})
	return err
}

// PINEncoding says how six digits become bytes.
type PINEncoding byte

// The two encodings.
const (
	PINBCD   PINEncoding = iota // 12 34 56
	PINASCII                    // 31 32 33 34 35 36
)

// UnmarshalText reads "bcd" or "ascii".
func (e *PINEncoding) UnmarshalText(text []byte) (err error) {
	*e, err = word("PIN encoding", text, map[string]PINEncoding{"bcd": PINBCD, "ascii": PINASCII})
	return err
}

// Encoding says how a field's bytes become text.
type Encoding byte

// The encodings seen in the field. Fillers 00 and FF after the text, and
// spaces around it, are not part of it.
const (
	EncodingASCII Encoding = iota
	EncodingGBK            // read as its superset GB18030
	EncodingBCD
)

// UnmarshalText reads "ascii", "gbk" or "bcd".
func (e *Encoding) UnmarshalText(text []byte) (err error) {
	*e, err = word("encoding", text, map[string]Encoding{
		"ascii": EncodingASCII, "gbk": EncodingGBK, "bcd": EncodingBCD,
	})
	return err
}

func word[T any](what string, text []byte, words map[string]T) (T, error) {
	v, ok := words[string(text)]
	if !ok {
		return v, fmt.Errorf("%s %q is unknown", what, text)
	}
	return v, nil
}
