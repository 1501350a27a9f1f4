// Package keysheet is the sheet of codes that lies beside a till which is worked with
// a scanner alone: one code for each key that a cashier needs between two customers.
//
// Whoever stands before the scanner can hold a telephone under it, and a stranger's
// "yes" must be worth nothing. So each code ends in a proof that only this terminal's
// secret makes: a code from elsewhere, or from a sheet before the newest, is none.
// There is no code for a digit: a PIN is never scanned.
package keysheet

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"quancun/kiosk/file"
)

// Key is what a code presses. A page takes it where it has that key.
type Key string

// The keys, as their codes have them: never renamed.
const (
	Yes   Key = "YES"   // what the page's first key does
	No    Key = "NO"    // cancel, or back to the price
	Next  Key = "NEXT"  // the next customer
	Other Key = "OTHER" // the earlier sale was another one
	Lock  Key = "LOCK"
)

// Keys are all of them, in the order of the sheet.
var Keys = []Key{Yes, No, Next, Other, Lock}

// prefix begins every code. No payer's code and no product's does: a wallet's is of
// digits, and a virtual card's begins otherwise.
const prefix = "QCK1-"

// Is reports whether a text is a code of such a sheet, whosever it is.
func Is(text string) bool { return strings.HasPrefix(text, prefix) }

// Why a code presses nothing.
var (
	ErrForeign = errors.New("key sheet: code of another till, or of an older sheet")
	ErrNone    = errors.New("key sheet: this till has none")
)

// Sheet is the newest sheet of a terminal. The zero Sheet has none.
type Sheet struct {
	File     string // keeps its secret
	Terminal string // whose it is: a copied file is worth nothing elsewhere
}

// secretSize is that of a sheet's secret, and proofSize of a code's proof of it, in
// bytes: eighty bits that cannot be tried out under a scanner.
const (
	secretSize = 32
	proofSize  = 10
)

// Renew makes another sheet. The codes of the one before press nothing any more, at
// once, beside a terminal at work.
func (s Sheet) Renew() error {
	secret := make([]byte, secretSize)
	if _, err := rand.Read(secret); err != nil {
		return err
	}
	return file.Replace(s.File, secret)
}

// Exists reports whether the terminal has a sheet.
func (s Sheet) Exists() (bool, error) {
	_, err := s.secret()
	if errors.Is(err, ErrNone) {
		return false, nil
	}
	return err == nil, err
}

// Code is the text of a key's code.
func (s Sheet) Code(k Key) (string, error) {
	secret, err := s.secret()
	if err != nil {
		return "", err
	}
	return s.code(secret, k), nil
}

// Read returns the key that a code presses. It is [ErrForeign] for one that is not of
// the newest sheet.
func (s Sheet) Read(text string) (Key, error) {
	secret, err := s.secret()
	if err != nil {
		return "", err
	}
	for _, k := range Keys {
		if hmac.Equal([]byte(s.code(secret, k)), []byte(text)) {
			return k, nil
		}
	}
	return "", ErrForeign
}

func (s Sheet) code(secret []byte, k Key) string {
	m := hmac.New(sha256.New, secret)
	fmt.Fprintf(m, "key sheet 1\n%s\n%s", s.Terminal, k)
	return prefix + string(k) + "-" + base32.StdEncoding.EncodeToString(m.Sum(nil)[:proofSize])
}

// secret is read anew each time, so that a sheet that was lost ends at once.
func (s Sheet) secret() ([]byte, error) {
	if s.File == "" {
		return nil, ErrNone
	}
	secret, err := os.ReadFile(s.File)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, ErrNone
	case err != nil:
		return nil, fmt.Errorf("key sheet: %w", err)
	case len(secret) != secretSize:
		return nil, fmt.Errorf("key sheet: %s is damaged: make a new sheet", s.File)
	}
	return secret, nil
}
