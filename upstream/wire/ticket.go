package wire

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"errors"
	"fmt"
	"net"
	"strings"
)

// Code is what an admin types at a machine that is to become a terminal. It is
// good once, for one terminal and a short time. Its 80 bits can not be guessed,
// so the upstream keeps nothing but its hash.
//
// It prints as "wire.Code(…)"; [Code.Text] is for whoever is to type it.
type Code [10]byte

// Format keeps the code out of every log and message.
func (Code) Format(s fmt.State, _ rune) { fmt.Fprint(s, "wire.Code(…)") }

// NewCode returns a code that nobody knows.
func NewCode() (c Code) {
	rand.Read(c[:]) //nolint:errcheck // it never fails
	return c
}

// Hash is what the upstream keeps of c.
func (c Code) Hash() [32]byte { return sha256.Sum256(c[:]) }

// Text returns c in groups of four characters.
func (c Code) Text() string { return groups(c[:]) }

// ParseCode reads what [Code.Text] returned, as people type it.
func ParseCode(s string) (c Code, err error) {
	return c, ungroup(c[:], s)
}

// Fingerprint tells one CA from every other: the first 120 bits of the SHA-256
// of its certificate. That is short enough to type, and still nobody can make
// another certificate that has it.
type Fingerprint [15]byte

// FingerprintOf returns the fingerprint of a certificate.
func FingerprintOf(c *x509.Certificate) Fingerprint {
	sum := sha256.Sum256(c.Raw)
	return Fingerprint(sum[:len(Fingerprint{})])
}

// String returns f in groups of four characters.
func (f Fingerprint) String() string { return groups(f[:]) }

// Ticket is all that a machine has to be told to become a terminal: where the
// upstream is, by what to know it, which terminal, and the code. With it the
// first contact is already one between parties that know each other.
type Ticket struct {
	Address  string // host:port
	Terminal string
	Code     Code
	CA       Fingerprint
}

const ticketScheme = "quancun://"

// Text returns t on one line, to be copied, typed, or made a QR code of.
func (t Ticket) Text() string {
	return ticketScheme + t.Address + "/" + t.Terminal + "/" + t.Code.Text() + "/" + t.CA.String()
}

// ParseTicket reads what [Ticket.Text] returned, as people type it. Its errors
// quote nothing.
func ParseTicket(s string) (t Ticket, err error) {
	parts := strings.Split(strings.TrimPrefix(strings.TrimSpace(s), ticketScheme), "/")
	if len(parts) != 4 {
		return Ticket{}, errors.New("enrolment code: want quancun://HOST:PORT/TERMINAL/CODE/FINGERPRINT on one line")
	}
	t.Address, t.Terminal = parts[0], parts[1]
	if host, port, err := net.SplitHostPort(t.Address); err != nil || host == "" || port == "" {
		return Ticket{}, errors.New("enrolment code: it does not begin with HOST:PORT")
	}
	if !TerminalID(t.Terminal) {
		return Ticket{}, errors.New("enrolment code: it does not name a terminal")
	}
	if t.Code, err = ParseCode(parts[2]); err != nil {
		return Ticket{}, fmt.Errorf("enrolment code: %w", err)
	}
	if err := ungroup(t.CA[:], parts[3]); err != nil {
		return Ticket{}, fmt.Errorf("enrolment code: fingerprint: %w", err)
	}
	return t, nil
}

// base32 without the letters that look like digits (Crockford's), and what is
// typed in their place all the same.
var (
	alphabet = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)
	mistyped = strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1")
)

// groups writes b, whose bits fill whole groups, in groups of four characters.
func groups(b []byte) string {
	text := alphabet.EncodeToString(b)
	var s strings.Builder
	for i := 0; i < len(text); i += 4 {
		if i > 0 {
			s.WriteByte('-')
		}
		s.WriteString(text[i : i+4])
	}
	return s.String()
}

func ungroup(dst []byte, s string) error {
	text := mistyped.Replace(strings.ToUpper(s))
	if want := alphabet.EncodedLen(len(dst)); len(text) != want {
		return fmt.Errorf("%d characters, want %d", len(text), want)
	}
	b, err := alphabet.DecodeString(text)
	if err != nil {
		return errors.New("a character that can not be in it")
	}
	copy(dst, b)
	return nil
}

// JournalProof is what a journal's key signs to prove that whoever makes the
// request csr (DER) has it.
func JournalProof(csr []byte) []byte {
	sum := sha256.Sum256(csr)
	return append([]byte("quancun enrolment v1\n"), sum[:]...)
}

// CheckJournalProof reports whether proof was made for csr with key.
func CheckJournalProof(key ed25519.PublicKey, csr, proof []byte) bool {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, JournalProof(csr), proof)
}
