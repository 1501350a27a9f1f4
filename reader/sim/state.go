// Package sim is a campus card in software: a working model of an FMCOS card
// with an e-purse, its file system, PIN, counters, log and MACs, and of the SAM
// that answers it in a terminal. It can be broken on command.
//
// It is a part of the product and not only of its tests: the lab lays its cards
// on a real PC/SC stack ([Serve]) or on a reader inside the process ([Slot]),
// and tests tear them at every point.
//
// The model agrees with the published captures and the project's own traces
// (testdata/card-vectors.json). Where manuals are silent, its choices are these:
// 6982 for a load without PIN; 6985 when a load would exceed the ceiling; 9402
// at INITIALIZE when a counter is FFFF; the log's counter is the one after the
// transaction; the state of INITIALIZE is lost with any CREDIT or DEBIT; the
// proof of a load starts with the host's MAC2.
//
// Section numbers refer to the project's notes on the card.
package sim

import (
	"encoding/hex"
	"fmt"

	"quancun/money"
	"quancun/pboc"
	"quancun/reader/profile"
)

// Model is the kind of thing that is laid on the reader.
type Model string

// The models.
const (
	Campus Model = "campus" // a campus card
	Bank   Model = "bank"   // some bank's card: another application
	M1     Model = "m1"     // a memory card: the reader answers, the card cannot
	Blank  Model = "blank"  // a CPU card that nobody has issued yet
)

// State is all that a card remembers without power. It holds the card's keys,
// so files of it are secret.
type State struct {
	Model  Model `json:"model"`
	ATR    Hex   `json:"atr"`
	UID    Hex   `json:"uid"`
	Locked bool  `json:"locked,omitempty"` // the issuer has blocked the application

	AID    Hex          `json:"aid,omitempty"`
	DF     uint16       `json:"df,omitempty"`
	Files  map[byte]Hex `json:"files,omitempty"`   // transparent files by SFI
	LogSFI byte         `json:"log_sfi,omitempty"` // cyclic

	Purse   profile.Kind `json:"purse"`
	Balance uint32       `json:"balance"`
	Online  uint16       `json:"online"`  // counter of loads
	Offline uint16       `json:"offline"` // counter of purchases
	Ceiling money.Fen    `json:"ceiling_fen"`
	Log     []Hex        `json:"log,omitempty"` // newest first
	Last    Proof        `json:"last"`

	PIN        Secret `json:"pin,omitempty"` // as VERIFY carries it
	PINTries   int    `json:"pin_tries"`     // left
	PINForLoad bool   `json:"pin_for_load"`
	PINForLog  bool   `json:"pin_for_log"`

	Keys        Keys `json:"keys"`
	KeyVersion  byte `json:"key_version"`
	Algorithm   byte `json:"algorithm"`
	LoadKey     byte `json:"load_key"`
	PurchaseKey byte `json:"purchase_key"`

	// What a blank is made a campus card with. Cards of [Issue] have none of it.
	MFControl   Key  `json:"mf_control,omitzero"`  // of the card; a blank's is the transport key
	MFTries     int  `json:"mf_tries,omitempty"`   // left
	Control     Key  `json:"control,omitzero"`     // of the application
	Maintenance Key  `json:"maintenance,omitzero"` // of its files
	FileErrors  int  `json:"file_errors,omitempty"`
	KeyFile     bool `json:"key_file,omitempty"`   // was created
	PurseFile   bool `json:"purse_file,omitempty"` // was created
}

// Proof is what GET TRANSACTION PROVE needs of the last transaction.
type Proof struct {
	Type    byte   `json:"type"` // 0 if there was none yet
	Counter uint16 `json:"counter"`
	MAC     Hex    `json:"mac,omitempty"`
	TAC     Hex    `json:"tac,omitempty"`
}

// Keys are one card's own keys, diversified already.
type Keys struct {
	Load     Key `json:"dlk"`
	Purchase Key `json:"dpk"`
	TAC      Key `json:"dtk"`
	Reload   Key `json:"drpk"` // of RELOAD PIN
}

// Masters are an issuer's master keys.
type Masters struct {
	Load, Purchase, TAC, Reload pboc.Key
}

// For returns the keys of the card with the given diversification factor.
func (m Masters) For(factor [8]byte) Keys {
	return Keys{
		Load:     Key(m.Load.Diversify(factor)),
		Purchase: Key(m.Purchase.Diversify(factor)),
		TAC:      Key(m.TAC.Diversify(factor)),
		Reload:   Key(m.Reload.Diversify(factor)),
	}
}

// LabTransport is the control key of the lab's blanks: that of a chip as it
// leaves its factory.
var LabTransport = labKey("FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF")

// LabMasters are the invented master keys of the project's traces, for the lab
// and for tests. Everybody knows them, so no real card may carry them.
var LabMasters = Masters{
	Load:     labKey("1032547698BADCFEEFCDAB8967452301"),
	Purchase: labKey("0123456789ABCDEFFEDCBA9876543210"),
	TAC:      labKey("A1B2C3D4E5F60718293A4B5C6D7E8F90"),
	Reload:   labKey("5A4B3C2D1E0F00112233445566778899"),
}

func labKey(s string) (k pboc.Key) {
	if n, err := hex.Decode(k[:], []byte(s)); err != nil || n != len(k) {
		panic("sim: internal error: malformed lab key")
	}
	return k
}

// Key is a [pboc.Key] that JSON holds in hex digits.
type Key pboc.Key

// Format keeps the key out of every log and message.
func (Key) Format(s fmt.State, _ rune) { fmt.Fprint(s, "sim.Key(…)") }

// MarshalText writes hex digits.
func (k Key) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%X", k[:]), nil }

// UnmarshalText reads 32 hex digits.
func (k *Key) UnmarshalText(text []byte) error {
	if len(text) != 2*len(k) {
		return fmt.Errorf("sim: a key has 32 hex digits, not %d", len(text))
	}
	if _, err := hex.Decode(k[:], text); err != nil {
		return fmt.Errorf("sim: a key has hex digits only") // without the digits
	}
	return nil
}

// Hex is bytes that JSON holds in hex digits.
type Hex []byte

// MarshalText writes hex digits.
func (h Hex) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%X", []byte(h)), nil }

// UnmarshalText reads hex digits.
func (h *Hex) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	*h = b
	return err
}

// Secret is bytes that JSON holds in hex digits and nothing else shows.
type Secret []byte

// Format keeps the bytes out of every log and message.
func (Secret) Format(s fmt.State, _ rune) { fmt.Fprint(s, "sim.Secret(…)") }

// MarshalText writes hex digits.
func (h Secret) MarshalText() ([]byte, error) { return Hex(h).MarshalText() }

// UnmarshalText reads hex digits.
func (h *Secret) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil {
		return fmt.Errorf("sim: a PIN has hex digits only") // without the digits
	}
	*h = b
	return nil
}
