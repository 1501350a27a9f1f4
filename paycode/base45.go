package paycode

import "fmt"

// alphabet is that of Base45, RFC 9285: what a QR code has a mode of its own for
// and no scanner changes on its way through a keyboard.
const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"

// values are the digits' values, and -1 for what is no digit.
var values = func() (v [256]int16) {
	for i := range v {
		v[i] = -1
	}
	for i := range len(alphabet) {
		v[alphabet[i]] = int16(i)
	}
	return v
}()

// appendBase45 appends two bytes as three digits, the least first, and a last
// single one as two.
func appendBase45(to []byte, b []byte) []byte {
	for ; len(b) >= 2; b = b[2:] {
		n := int(b[0])<<8 | int(b[1])
		to = append(to, alphabet[n%45], alphabet[n/45%45], alphabet[n/45/45])
	}
	if len(b) == 1 {
		to = append(to, alphabet[b[0]%45], alphabet[b[0]/45])
	}
	return to
}

// parseBase45 reads what appendBase45 wrote. A value that three digits or two can
// write and bytes cannot hold is refused, so that bytes have one text only.
func parseBase45(text string) ([]byte, error) {
	if len(text)%3 == 1 {
		return nil, fmt.Errorf("%w: length of the text", ErrMalformed)
	}
	b := make([]byte, 0, (len(text)+2)/3*2)
	for ; len(text) > 0; text = text[min(3, len(text)):] {
		digits := text[:min(3, len(text))]
		n := 0
		for i := len(digits) - 1; i >= 0; i-- {
			v := values[digits[i]]
			if v < 0 {
				return nil, fmt.Errorf("%w: %q is no digit", ErrMalformed, digits[i])
			}
			n = n*45 + int(v)
		}
		switch {
		case len(digits) == 3 && n <= 0xFFFF:
			b = append(b, byte(n>>8), byte(n))
		case len(digits) == 2 && n <= 0xFF:
			b = append(b, byte(n))
		default:
			return nil, fmt.Errorf("%w: digits %q", ErrMalformed, digits)
		}
	}
	return b, nil
}
