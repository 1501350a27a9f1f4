// Package money is the one word that every layer shares: an amount of
// renminbi, exact, with its unit in its type.
//
// It knows nothing of accounts, cards or screens. Nothing about money is a
// float, here or anywhere else in this module; a test sees to it.
package money

import (
	"fmt"
	"strconv"
	"strings"
)

// Fen is an amount of renminbi in fen (分), a hundredth of a yuan.
//
// It is signed, because the difference between a counted drawer and its books
// can be negative. Prices, balances and loads never are.
type Fen int64

// Yuan is one yuan (元), so that 20*Yuan reads as it is said.
const Yuan Fen = 100

// String returns f in yuan with two decimals and no currency sign: "-12.30".
func (f Fen) String() string {
	sign, n := "", uint64(f)
	if f < 0 {
		sign, n = "-", -n // exact for the smallest int64 too, where -f is not
	}
	return fmt.Sprintf("%s%d.%02d", sign, n/100, n%100)
}

// Parse reads an unsigned amount in yuan, such as "12", "12.3" or "12.30".
//
// It reads digits and never a float: 0.29*100 is 28.999… in binary, and a
// purse that is one fen short is a purse that does not reconcile.
func Parse(s string) (Fen, error) {
	yuan, frac, dotted := strings.Cut(s, ".")
	if yuan == "" || dotted && frac == "" || len(frac) > 2 {
		return 0, fmt.Errorf("money: %q is not an amount in yuan", s)
	}
	frac += "00"[len(frac):]
	n, err := strconv.ParseUint(yuan+frac, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("money: %q is not an amount in yuan", s)
	}
	return Fen(n), nil
}
