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
	"path/filepath"
	"runtime"
	"time"

	"github.com/BurntSushi/toml"

	"quancun/journal"
	"quancun/pboc"
	"quancun/upstream/wire"
)

// Provisioning is what makes a machine a terminal: who it is, whom it trusts
// and where to call. It may hold the terminal's private key, so it prints only
// the terminal's name.
type Provisioning struct {
	Terminal   string          // ID, as in the certificate
	TerminalNo pboc.TerminalNo // part of every MAC
	Address    string          // host:port of the upstream

	CA          *x509.Certificate
	Certificate tls.Certificate // without its key until [Provisioning.Use]

	// Previous is the certificate before, for an upstream that was restored
	// from a copy and has not heard of the present one. It is nil at first.
	Previous *x509.Certificate

	// ServerMade says that the file is of the old form: the upstream has made
	// the key, and it is in the file. The next renewal is due at once and puts
	// this machine's own key in its place.
	ServerMade bool

	// Of the old form, these are empty.
	CampusKey          ed25519.PublicKey // feeds, cosignatures and journals' certificates are checked with it
	SealKey            []byte            // X25519; exports of the journal are sealed to it
	JournalCertificate journal.Certificate
}

// Format keeps the key out of every log and message.
func (p Provisioning) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "terminal %s", p.Terminal) }

// Use gives p the key of its certificate, which is this machine's own.
func (p *Provisioning) Use(key crypto.Signer) error {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(p.Certificate.Leaf.PublicKey) {
		return fmt.Errorf("the certificate of terminal %s is not for this machine's key", p.Terminal)
	}
	p.Certificate.PrivateKey = key
	return nil
}

// Expires returns when p's certificate ends.
func (p *Provisioning) Expires() time.Time { return p.Certificate.Leaf.NotAfter }

// RenewalDue reports whether two thirds of the certificate's life are over at
// now, or the key is not this machine's own.
func (p *Provisioning) RenewalDue(now time.Time) bool {
	c := p.Certificate.Leaf
	return p.ServerMade || now.After(c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore)/3*2))
}

// File is a provisioning file: TOML, with PEM inside. One of the old form holds
// the terminal's private key, so it prints only the terminal's name.
type File struct {
	Terminal    string `toml:"terminal"`
	TerminalNo  string `toml:"terminal_no"` // 12 hexadecimal digits
	Address     string `toml:"address"`     // host:port of the upstream
	CA          string `toml:"ca"`
	Certificate string `toml:"certificate"`
	Previous    string `toml:"previous_certificate,omitempty"`

	// All hexadecimal.
	CampusKey          string `toml:"campus_key,omitempty"` // Ed25519
	SealKey            string `toml:"seal_key,omitempty"`   // X25519
	JournalCertificate string `toml:"journal_certificate,omitempty"`

	Key string `toml:"key,omitempty"` // PKCS #8; of the old form only
}

// Format keeps the key out of every log and message.
func (f File) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "terminal %s", f.Terminal) }

// Encode returns f's text, if a terminal could use it.
func (f File) Encode() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("# Makes a machine a terminal, with its keys. Mode 0600, one machine only.\n")
	if err := toml.NewEncoder(&b).Encode(f); err != nil {
		return nil, fmt.Errorf("encode provisioning: %w", err)
	}
	_, err := ParseProvisioning(b.Bytes())
	return b.Bytes(), err
}

// Save puts f in the place of the file at path, whole or not at all, and does
// not return before it is on the disk.
func (f File) Save(path string) error {
	text, err := f.Encode()
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	n, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("save provisioning: %w", err)
	}
	defer os.Remove(n.Name())
	_, err = n.Write(text)
	if err := errors.Join(err, n.Sync(), n.Close()); err != nil {
		return fmt.Errorf("save provisioning: %w", err)
	}
	if err := os.Rename(n.Name(), path); err != nil {
		return fmt.Errorf("save provisioning: %w", err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("save provisioning: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("save provisioning: %w", err)
	}
	return nil
}

// ReadProvisioning reads the file at path. It refuses one that others can read,
// since a key in it would be the terminal.
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
	p, err := f.open()
	if err != nil {
		return nil, fmt.Errorf("read provisioning: %w", err)
	}
	return p, nil
}

func (f File) open() (*Provisioning, error) {
	p := &Provisioning{Terminal: f.Terminal, Address: f.Address, ServerMade: f.Key != ""}
	no, err := hex.DecodeString(f.TerminalNo)
	if err != nil || len(no) != len(p.TerminalNo) {
		return nil, errors.New("terminal_no is not 12 hexadecimal digits")
	}
	copy(p.TerminalNo[:], no)
	if _, _, err := net.SplitHostPort(f.Address); err != nil {
		return nil, fmt.Errorf("address: %w", err)
	}
	if p.CA, err = parseCertificate(f.CA); err != nil {
		return nil, fmt.Errorf("CA: %w", err)
	}
	if err := f.openCertificate(p); err != nil {
		return nil, err
	}
	if id := wire.TerminalOf(p.Certificate.Leaf); id == "" || id != f.Terminal {
		return nil, fmt.Errorf("certificate is for terminal %q, not %q", id, f.Terminal)
	}
	return p, f.openCampus(p)
}

func (f File) openCertificate(p *Provisioning) (err error) {
	if f.Previous != "" {
		if p.Previous, err = parseCertificate(f.Previous); err != nil {
			return fmt.Errorf("previous certificate: %w", err)
		}
	}
	if p.ServerMade {
		p.Certificate, err = tls.X509KeyPair([]byte(f.Certificate), []byte(f.Key))
		if _, ok := p.Certificate.PrivateKey.(crypto.Signer); err == nil && !ok {
			err = errors.New("key can not sign")
		}
		return err
	}
	leaf, err := parseCertificate(f.Certificate)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	p.Certificate = tls.Certificate{Certificate: [][]byte{leaf.Raw}, Leaf: leaf}
	return nil
}

func (f File) openCampus(p *Provisioning) (err error) {
	if f.CampusKey != "" {
		p.CampusKey, err = hex.DecodeString(f.CampusKey)
		if err != nil || len(p.CampusKey) != ed25519.PublicKeySize {
			return errors.New("campus_key is not 64 hexadecimal digits")
		}
	}
	if f.SealKey != "" {
		if p.SealKey, err = hex.DecodeString(f.SealKey); err != nil || len(p.SealKey) != sealKeyLen {
			return errors.New("seal_key is not 64 hexadecimal digits")
		}
	}
	if f.JournalCertificate == "" {
		return nil
	}
	raw, err := hex.DecodeString(f.JournalCertificate)
	if err == nil {
		p.JournalCertificate, err = journal.ParseCertificate(raw)
	}
	if err == nil && p.JournalCertificate.Terminal != f.Terminal {
		err = errors.New("of another terminal")
	}
	if err != nil {
		return fmt.Errorf("journal_certificate: %w", err)
	}
	return nil
}

// sealKeyLen is the length of an X25519 key.
const sealKeyLen = 32

func parseCertificate(text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("no certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}
