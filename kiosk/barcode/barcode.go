// Package barcode knows the codes of products: those of trade, EAN-13, EAN-8 and
// UPC-A (GB 12904), whose last digit proves the others, and a site's own. No wallet's
// code has so few digits, and no site's own code is of digits alone, so that what is
// sold is never taken for who pays, or the other way round.
package barcode

import (
	"fmt"
	"strings"
)

// Code is the code of a product, in the one form in which codes are compared: a
// UPC-A has the zero before it with which some scanners send it.
type Code string

// Lengths of a site's own code. A shorter one would be a person's at a scanner that
// types, and a longer one could be a virtual card's.
const (
	ownMin = 8
	ownMax = 32
)

// reserved begins the codes of this system's own: of receipts, and of the sheet of
// keys.
const reserved = "QC"

// Parse reads the code of a product: eight, twelve or thirteen digits of which the
// last proves the others, or a site's own, of eight to thirty-two capitals, digits, and
// - . /, at least one of which is a capital.
func Parse(text string) (Code, error) {
	if isTrade(text) {
		if !proven(text) {
			return "", fmt.Errorf("barcode %q: its last digit does not prove the others", text)
		}
		if len(text) == 12 {
			text = "0" + text
		}
		return Code(text), nil
	}
	switch {
	case digits(text):
		return "", fmt.Errorf("barcode %q: digits alone are 8, 12 or 13", text)
	case len(text) < ownMin || len(text) > ownMax:
		return "", fmt.Errorf("barcode %q: between %d and %d characters", text, ownMin, ownMax)
	case strings.Trim(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-./") != "":
		return "", fmt.Errorf("barcode %q: only capitals, digits, and - . /", text)
	case !strings.ContainsAny(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
		return "", fmt.Errorf("barcode %q: without a capital", text)
	case strings.HasPrefix(text, reserved):
		return "", fmt.Errorf("barcode %q: what begins with %s is this system's own", text, reserved)
	}
	return Code(text), nil
}

// Like reports whether a text has the form of a code of trade, whether or not its
// last digit is right: it is of a product, and not of who pays.
func Like(text string) bool { return isTrade(text) }

func isTrade(text string) bool {
	return digits(text) && (len(text) == 8 || len(text) == 12 || len(text) == 13)
}

func digits(text string) bool { return strings.Trim(text, "0123456789") == "" }

// proven reports whether the digits, weighed three and one in turn from the last but
// one leftwards, make a multiple of ten with the last (GB 12904, annex B).
func proven(text string) bool {
	sum := 0
	for i := range len(text) {
		weight := 1
		if (len(text)-i)%2 == 0 {
			weight = 3
		}
		sum += weight * int(text[i]-'0')
	}
	return sum%10 == 0
}
