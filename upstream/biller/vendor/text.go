package vendor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"quancun/money"
)

// Text is a value that vendors write as a text, a number or a truth value, as it
// comes. Null and a missing one are "".
type Text string

// UnmarshalJSON takes any value that is neither an object nor an array.
func (t *Text) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	switch {
	case len(b) == 0 || b[0] == '{' || b[0] == '[':
		return errors.New("biller: an object or a list where a text should be")
	case string(b) == "null":
		*t = ""
		return nil
	case b[0] == '"':
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*t = Text(strings.TrimSpace(s))
		return nil
	}
	*t = Text(b)
	return nil
}

// Yuan reads an amount in yuan that has to be whole fen, such as "10", "10.5",
// "-0.66" or "10.500".
func (t Text) Yuan() (money.Fen, error) {
	n, whole, err := Decimal(string(t), 2)
	if err != nil || !whole {
		return 0, fmt.Errorf("biller: %q is not an amount in yuan", shorten(string(t)))
	}
	return money.Fen(n), nil
}

// AboutYuan reads a balance in yuan, of which a vendor may show more digits than
// there are fen. What is less than a fen is left out: it is for people to read.
func (t Text) AboutYuan() (money.Fen, error) {
	n, _, err := Decimal(string(t), 2)
	if err != nil {
		return 0, fmt.Errorf("biller: %q is not an amount in yuan", shorten(string(t)))
	}
	return money.Fen(n), nil
}

// decimalMax is more digits than any meter or purse shows, and fewer than an
// int64 has.
const decimalMax = 12

// Decimal reads a decimal number in units of 10 to the minus places. What is
// smaller than that is cut off, and whole is false if there was any.
func Decimal(s string, places int) (n int64, whole bool, err error) {
	digits, negative := strings.CutPrefix(s, "-")
	before, after, dotted := strings.Cut(digits, ".")
	if before == "" || dotted && after == "" || !isDigits(before) || !isDigits(after) ||
		len(strings.TrimLeft(before, "0")) > decimalMax {
		return 0, false, fmt.Errorf("biller: %q is not a decimal number", shorten(s))
	}
	whole = true
	for i := places; i < len(after); i++ {
		whole = whole && after[i] == '0'
	}
	after = (after + strings.Repeat("0", places))[:places]
	for _, c := range before + after {
		n = n*10 + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return n, whole, nil
}

func isDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// shorten keeps a vendor's text from filling a log.
func shorten(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// OneOrMany reads a list that vendors write as an object when it has one item,
// and as null or "" when it has none.
func OneOrMany[T any](b json.RawMessage) ([]T, error) {
	b = bytes.TrimSpace(b)
	switch {
	case len(b) == 0, string(b) == "null", string(b) == `""`:
		return nil, nil
	case b[0] == '{':
		var one T
		if string(b) == "{}" {
			return nil, nil
		}
		err := json.Unmarshal(b, &one)
		return []T{one}, err
	}
	var many []T
	err := json.Unmarshal(b, &many)
	return many, err
}
