package auditor

import (
	"bytes"
	"encoding/hex"
)

// Secret is something that must be in no file and in no log (M9).
type Secret struct {
	Name  string
	Value []byte
}

// Leaks returns the names of the secrets that content has, as they are or in
// hexadecimal digits.
func Leaks(content []byte, secrets []Secret) (names []string) {
	for _, s := range secrets {
		text := hex.AppendEncode(nil, s.Value)
		if has(content, s.Value) || has(content, text) || has(content, bytes.ToUpper(text)) {
			names = append(names, s.Name)
		}
	}
	return names
}

// has looks for a value that stands by itself: six digits in the middle of a
// random name are no PIN.
func has(content, value []byte) bool {
	for from := 0; ; {
		i := bytes.Index(content[from:], value)
		if i < 0 {
			return false
		}
		start := from + i
		end := start + len(value)
		if !isHex(value) || (start == 0 || !isHex(content[start-1:start])) &&
			(end == len(content) || !isHex(content[end:end+1])) {
			return true
		}
		from = start + 1
	}
}

func isHex(b []byte) bool {
	return len(bytes.Trim(b, "0123456789abcdefABCDEF")) == 0
}
