package wire

import (
	"crypto/x509"
	"strings"
)

// ServerName is the name in the upstream's certificate. It is the same at
// every address, because the campus CA certifies one upstream and otherwise
// only terminals, so an upstream that moves needs no new certificate.
const ServerName = "upstream.quancun"

// EnrolName is the upstream's other name, under which a caller may be without a
// certificate, or with one that has ended: it gets one there, and nothing else.
const EnrolName = "enrol.quancun"

// TerminalURI is the name of a terminal in its certificate.
func TerminalURI(id string) string { return "spiffe://campus/terminal/" + id }

// TerminalOf returns the ID of the terminal that a certificate names, or "".
func TerminalOf(c *x509.Certificate) string {
	if len(c.URIs) != 1 {
		return ""
	}
	id, ok := strings.CutPrefix(c.URIs[0].String(), TerminalURI(""))
	if !ok || !TerminalID(id) {
		return ""
	}
	return id
}

// TerminalID reports whether id can name a terminal: 1 to 32 letters, digits,
// "-" and "_".
func TerminalID(id string) bool {
	for _, c := range id {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return 1 <= len(id) && len(id) <= 32
}
