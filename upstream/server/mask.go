package server

import "strings"

// MaskName hides a name from whoever looks over the holder's shoulder: the
// first and the last character of a Chinese name stay (张*三), the first of
// two (李*), and the initials of a name in another script (M**** F*******).
// Names of minorities with a middle dot count as Chinese, with one star, since
// their length alone would give them away.
func MaskName(name string) string {
	r := []rune(name)
	switch {
	case strings.ContainsRune(name, '·'):
		return string(r[0]) + "*" + string(r[len(r)-1])
	case len(r) > 0 && r[0] < 0x2E80: // below the first ideographic block
		return maskWords(name)
	case len(r) < 2:
		return name
	case len(r) == 2:
		return string(r[0]) + "*"
	}
	return string(r[0]) + strings.Repeat("*", len(r)-2) + string(r[len(r)-1])
}

func maskWords(name string) string {
	words := strings.Fields(name)
	for i, w := range words {
		r := []rune(w)
		words[i] = string(r[0]) + strings.Repeat("*", len(r)-1)
	}
	return strings.Join(words, " ")
}

// MaskNumber shows the first four characters and the last two, or less of a
// short number.
func MaskNumber(no string) string {
	head, tail := 4, 2
	if len(no) < 9 {
		head, tail = 1, 1
	}
	if len(no) <= head+tail {
		return strings.Repeat("*", len(no))
	}
	return no[:head] + strings.Repeat("*", len(no)-head-tail) + no[len(no)-tail:]
}
