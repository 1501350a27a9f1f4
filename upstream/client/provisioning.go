package client

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"

	"github.com/BurntSushi/toml"

	"quancun/pboc"
	"quancun/upstream/wire"
)

// Provisioning is what makes a machine a terminal: who it is, whom it trusts
// and where to call. It holds the terminal's private key, so it prints only
// the terminal's name.
type Provisioning struct {
	Terminal   string          // ID, as in the certificate
	TerminalNo pboc.TerminalNo // part of every MAC
	Address    string          // host:port of the upstream

	CA          *x509.Certificate
	Certificate tls.Certificate

	// CampusKey is what feeds, cosignatures and certificates of journals'
	// keys are checked with. It is empty in files of before there was one.
	CampusKey ed25519.PublicKey
}

// Format keeps the key out of every log and message.
func (p Provisioning) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "terminal %s", p.Terminal) }

// File is a provisioning file: TOML, with PEM inside. It holds the terminal's
// private key, so it prints only the terminal's name.
type File struct {
	Terminal    string `toml:"terminal"`
	TerminalNo  string `toml:"terminal_no"` // 12 hexadecimal digits
	Address     string `toml:"address"`     // host:port of the upstream
	CA          string `toml:"ca"`
	CampusKey   string `toml:"campus_key,omitempty"` // Ed25519, 64 hexadecimal digits
	Certificate string `toml:"certificate"`
	Key         string `toml:"key"` // PKCS #8
}

// Format keeps the key out of every log and message.
func (f File) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "terminal %s", f.Terminal) }

// Encode returns f's text, if a terminal could use it.
func (f File) Encode() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("# Makes a machine a terminal. Holds its private key: mode 0600, one machine only.\n")
	if err := toml.NewEncoder(&b).Encode(f); err != nil {
		return nil, fmt.Errorf("encode provisioning: %w", err)
	}
	_, err := ParseProvisioning(b.Bytes())
	return b.Bytes(), err
}

// ReadProvisioning reads the file that "campusd terminal add" wrote. It
// refuses a file that others can read, since the key in it is the terminal.
func ReadProvisioning(path string) (*Provisioning, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read provisioning: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("read provisioning: %s has mode %#o, want 0600", path, info.Mode().Perm())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read provisioning: %w", err)
	}
	return ParseProvisioning(b)
}

// ParseProvisioning reads the text of a provisioning file.
func ParseProvisioning(text []byte) (*Provisioning, error) {
	var f File
	if _, err := toml.Decode(string(text), &f); err != nil {
		return nil, errors.New("read provisioning: not TOML") // the decoder's words may quote the key
	}
	p := &Provisioning{Terminal: f.Terminal, Address: f.Address}
	no, err := hex.DecodeString(f.TerminalNo)
	if err != nil || len(no) != len(p.TerminalNo) {
		return nil, errors.New("read provisioning: terminal_no is not 12 hexadecimal digits")
	}
	copy(p.TerminalNo[:], no)
	if _, _, err := net.SplitHostPort(f.Address); err != nil {
		return nil, fmt.Errorf("read provisioning: address: %w", err)
	}
	if p.CampusKey, err = hex.DecodeString(f.CampusKey); err != nil ||
		len(p.CampusKey) != 0 && len(p.CampusKey) != ed25519.PublicKeySize {
		return nil, errors.New("read provisioning: campus_key is not 64 hexadecimal digits")
	}
	block, _ := pem.Decode([]byte(f.CA))
	if block == nil {
		return nil, errors.New("read provisioning: no CA certificate")
	}
	if p.CA, err = x509.ParseCertificate(block.Bytes); err != nil {
		return nil, fmt.Errorf("read provisioning: CA: %w", err)
	}
	if p.Certificate, err = tls.X509KeyPair([]byte(f.Certificate), []byte(f.Key)); err != nil {
		return nil, fmt.Errorf("read provisioning: %w", err)
	}
	if id := wire.TerminalOf(p.Certificate.Leaf); id == "" || id != f.Terminal {
		return nil, fmt.Errorf("read provisioning: certificate is for terminal %q, not %q", id, f.Terminal)
	}
	if _, ok := p.Certificate.PrivateKey.(crypto.Signer); !ok {
		return nil, errors.New("read provisioning: key can not sign")
	}
	return p, nil
}
