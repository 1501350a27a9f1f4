package pboc

import (
	"crypto/des" //nolint:gosec // what the cards speak
	"crypto/subtle"
)

// Head is the head of a command that is sent protected (线路保护): CLA, INS, P1
// and P2. The low nibble of CLA is 4.
type Head [4]byte

// Challenge is what a card has drawn for the next command: 8 bytes, or 4 and
// zeros.
type Challenge [8]byte

// Key types of WRITE KEY (2.4).
const (
	KeyTAC         byte = 0x34 // DTK
	KeyMaintenance byte = 0x36 // DAMK, of files
	KeyReload      byte = 0x38 // DRPK, of the PIN
	KeyControl     byte = 0x39 // (主控密钥) of a directory: external authentication
	KeyPIN         byte = 0x3A
	KeyPurchase    byte = 0x3E // DPK
	KeyLoad        byte = 0x3F // DLK
)

// Answer is what EXTERNAL AUTHENTICATE carries: the challenge, encrypted (3.2).
func (k Key) Answer(c Challenge) (answer [8]byte) {
	k.encrypt(answer[:], c[:])
	return answer
}

// Protect returns data with the MAC that a protected command ends in (3.2): over
// the head, the length with the MAC, and the data, from the challenge on.
func (k Key) Protect(h Head, c Challenge, data []byte) []byte {
	m := k.secureMAC(ProtectedText(h, data), c)
	return append(data[:len(data):len(data)], m[:]...)
}

// ProtectedText returns what the MAC of a protected command covers, for a key that is
// in hardware.
func ProtectedText(h Head, data []byte) []byte {
	return append(append(h[:], byte(len(data)+len(MAC{}))), data...)
}

// Unprotect returns the data of a protected command, and whether its MAC fits.
func (k Key) Unprotect(h Head, c Challenge, field []byte) (data []byte, ok bool) {
	n := len(field) - len(MAC{})
	if n < 0 {
		return nil, false
	}
	got := k.Protect(h, c, field[:n])
	return field[:n], subtle.ConstantTimeCompare(got[n:], field[n:]) == 1
}

// secureMAC is the MAC of secure messaging under a key of 16 bytes: ISO/IEC
// 9797-1, algorithm 3. It is no MAC of a transaction.
func (k Key) secureMAC(data []byte, c Challenge) (m MAC) {
	left, err1 := des.NewCipher(k[:8])
	right, err2 := des.NewCipher(k[8:])
	if err1 != nil || err2 != nil {
		panic("pboc: internal error: half a key is no key") // only the length can be wrong
	}
	block := c
	for padded := Padded(data); len(padded) > 0; padded = padded[8:] {
		subtle.XORBytes(block[:], block[:], padded[:8])
		left.Encrypt(block[:], block[:])
	}
	right.Decrypt(block[:], block[:])
	left.Encrypt(block[:], block[:])
	copy(m[:], block[:])
	return m
}

// Conceal encrypts data as a protected command carries it (3.2): its length
// before it, and padded only where that is no whole block.
func (k Key) Conceal(data []byte) []byte {
	b := Framed(data)
	for i := 0; i < len(b); i += 8 {
		k.encrypt(b[i:i+8], b[i:i+8])
	}
	return b
}

// Framed returns the blocks that are encrypted to conceal data, for a key that is in
// hardware.
func Framed(data []byte) []byte {
	b := append([]byte{byte(len(data))}, data...)
	if len(b)%8 != 0 {
		b = Padded(b)
	}
	return b
}

// Reveal returns what was concealed, and whether anything was.
func (k Key) Reveal(concealed []byte) (data []byte, ok bool) {
	if len(concealed) == 0 || len(concealed)%8 != 0 {
		return nil, false
	}
	b := make([]byte, len(concealed))
	for i := 0; i < len(b); i += 8 {
		k.decrypt(b[i:i+8], concealed[i:i+8])
	}
	n := int(b[0])
	if n+1 > len(b) || len(b)-n-1 > 7 {
		return nil, false
	}
	return b[1 : n+1], true
}
