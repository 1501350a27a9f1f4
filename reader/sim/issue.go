package sim

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"quancun/money"
	"quancun/pboc"
	"quancun/reader/profile"
	"quancun/reader/purse"
)

// Holder is whom a card is issued to, and with what.
type Holder struct {
	CardNo        purse.CardNo
	UID           [4]byte
	Name, Number  string
	Start, Expiry purse.Date
	PIN           string // six digits; "" is 123456
	Balance       money.Fen
	Disabled      bool // issued, but not enabled yet
}

// pinTriesMax is how many wrong PINs in a row block the PIN, as on the cards of
// the project's traces.
const pinTriesMax = 3

// atrFM1208 is the ATR that PC/SC derives from a published ATS of an FM1208
// (chapter 7).
var atrFM1208 = Hex("\x3B\x8B\x80\x01\x20\x90\x00\x00\x00\x00\x00\x66\x79\x9D\x24\x1C")

// Issue returns a new campus card of the kind that p describes, with keys
// diversified from m. It fails if the holder's data does not fit the card.
func Issue(p *profile.Profile, m Masters, h Holder) (State, error) {
	if h.PIN == "" {
		h.PIN = "123456"
	}
	pin, err := encodePIN(h.PIN, p.PIN.Encoding)
	if err != nil {
		return State{}, err
	}
	if h.Balance < 0 || h.Balance > p.Purse.Ceiling {
		return State{}, fmt.Errorf("sim: balance %s is over the ceiling", h.Balance)
	}
	holder, err := purse.HolderFile(p.Holder, h.Name, h.Number)
	if err != nil {
		return State{}, err
	}
	application := purse.ApplicationFile(p.Application, purse.NewCard{
		CardNo: h.CardNo, Start: h.Start, Expiry: h.Expiry,
	}, !h.Disabled)
	s := State{
		Model: Campus, ATR: atrFM1208, UID: h.UID[:],
		AID: Hex(p.AID), DF: p.DF, LogSFI: p.Log.SFI,
		Files: map[byte]Hex{p.Application.SFI: application, p.Holder.SFI: holder},
		Purse: p.Purse.Kind, Balance: uint32(h.Balance), Ceiling: p.Purse.Ceiling,
		PIN: pin, PINTries: pinTriesMax, PINForLoad: p.PIN.ForLoad, PINForLog: p.PIN.ForLog,
		Keys:       m.For(factor(p.Factor, h)),
		KeyVersion: 1, LoadKey: p.Purse.LoadKey, PurchaseKey: p.Purse.PurchaseKey,
	}
	return s, nil
}

// NewBlank returns a card that nobody has issued yet, of the kind that p describes
// once it is: its chip's rules are p's. Its control key is the transport key, as
// the maker delivers it.
func NewBlank(p *profile.Profile, transport pboc.Key, uid [4]byte) State {
	return State{
		Model: Blank, ATR: atrFM1208, UID: uid[:], MFControl: Key(transport), MFTries: pinTriesMax,
		Purse: p.Purse.Kind, Ceiling: p.Purse.Ceiling, PINForLoad: p.PIN.ForLoad, PINForLog: p.PIN.ForLog,
	}
}

// Foreign returns a card that is no campus card.
func Foreign(m Model, uid [4]byte) State {
	s := State{Model: m, ATR: atrFM1208, UID: uid[:]}
	if m == M1 {
		// What PC/SC makes up for a MIFARE Classic 1K (PC/SC part 3).
		s.ATR = Hex("\x3B\x8F\x80\x01\x80\x4F\x0C\xA0\x00\x00\x03\x06\x03\x00\x01\x00\x00\x00\x00\x6A")
	}
	return s
}

// bcd packs digits two to a byte, and fills up with F.
func bcd(s string) ([]byte, error) {
	if _, err := strconv.ParseUint("0"+s, 10, 64); err != nil {
		return nil, fmt.Errorf("not all digits, or too many")
	}
	b := make([]byte, (len(s)+1)/2)
	for i := range b {
		b[i] = (s[2*i]-'0')<<4 | 0xF
		if 2*i+1 < len(s) {
			b[i] = b[i]&0xF0 | (s[2*i+1] - '0')
		}
	}
	return b, nil
}

func encodePIN(digits string, e profile.PINEncoding) (Secret, error) {
	packed, err := bcd(digits)
	if err != nil || len(digits) != 6 {
		return nil, fmt.Errorf("sim: a PIN has six digits")
	}
	if e == profile.PINASCII {
		return Secret(digits), nil
	}
	return packed, nil
}

// factor is the issuer's side of what a terminal does in [purse.Open].
func factor(rule profile.Factor, h Holder) (f [8]byte) {
	uid := binary.BigEndian.Uint32(h.UID[:])
	switch rule {
	case profile.FactorUID:
		binary.BigEndian.PutUint32(f[:], uid)
		f[4] = 0x80
	case profile.FactorUIDReversed:
		binary.LittleEndian.PutUint32(f[:], uid)
		f[4] = 0x80
	default:
		copy(f[:], h.CardNo[2:])
	}
	return f
}
