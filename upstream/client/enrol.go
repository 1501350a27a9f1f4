package client

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"quancun/journal"
	"quancun/pboc"
	"quancun/upstream/wire"
	v1 "quancun/upstream/wire/quancun/v1"
	"quancun/upstream/wire/quancun/v1/quancunv1connect"
)

// Keys are a terminal's own two keys. They never leave the machine.
type Keys struct {
	TLS     crypto.Signer // P-256, of the certificate
	Journal crypto.Signer // Ed25519, signs the journal
}

// Ticket is all that a machine has to be told to become a terminal.
type Ticket = wire.Ticket

// ParseTicket reads the line that "campusd terminal add" prints, as people type
// it. Its errors quote nothing.
func ParseTicket(s string) (Ticket, error) { return wire.ParseTicket(s) }

// EnrolReason says why an enrolment or a renewal was refused. Numbers as on the
// wire.
type EnrolReason int

// The reasons.
const (
	EnrolMalformed       EnrolReason = 1 // keys of another kind
	EnrolCodeUnknown     EnrolReason = 2
	EnrolCodeOver        EnrolReason = 3 // not used in time, or a newer one was made
	EnrolCodeSpent       EnrolReason = 4 // by other keys, or too long ago to ask again
	EnrolTerminalUnknown EnrolReason = 5 // no terminal, shut out, or an earlier certificate
	EnrolTooLate         EnrolReason = 6 // the certificate ended too long ago
	EnrolJournalKey      EnrolReason = 7 // another key than this terminal's
)

// EnrolRefusal is the error of an enrolment or a renewal that the upstream
// understood and refused: nothing was changed. Every other error is unknown, and
// the caller asks again with the same keys.
type EnrolRefusal struct{ Reason EnrolReason }

// Error names the reason.
func (r *EnrolRefusal) Error() string {
	return "upstream refused: " + v1.EnrolmentReason(r.Reason).String()
}

// ErrNotUpstream means that whoever answers at a ticket's address is not the
// upstream that the ticket is from. It was told nothing.
var ErrNotUpstream = errors.New("this is not the upstream that the code is from: was the end of the code mistyped?")

// Enrol makes this machine the terminal that t is for, and returns what it has
// to keep. The same ticket with the same keys gets the same answer again, for
// some minutes.
func Enrol(ctx context.Context, t Ticket, k Keys, o Options) (File, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Address == "" {
		o.Address = t.Address
	}
	var ca atomic.Pointer[x509.Certificate]
	c, done := atDoor(o.Address, &tls.Config{
		MinVersion: tls.VersionTLS13,
		ServerName: wire.EnrolName,
		// It is verified all the same, by the CA that the ticket names.
		InsecureSkipVerify: true,
		VerifyConnection: func(cs tls.ConnectionState) error {
			found, err := verifyByFingerprint(cs, t.CA, o.Now())
			ca.Store(found)
			return err
		},
	})
	defer done()
	a, err := apply(k)
	if err != nil {
		return File{}, fmt.Errorf("enrol: %w", err)
	}
	ctx, cancel := within(ctx, slow)
	defer cancel()
	r, err := c.Enrol(ctx, connect.NewRequest(&v1.EnrolRequest{Code: t.Code.Text(), Application: a}))
	if err != nil {
		return File{}, explainEnrol("enrol", err)
	}
	f, err := accept(r.Msg.Papers, k, ca.Load())
	if err == nil && f.Terminal != t.Terminal {
		err = fmt.Errorf("it is for terminal %q", f.Terminal)
	}
	if err != nil {
		return File{}, fmt.Errorf("enrol: answer: %w", err)
	}
	f.Address = t.Address
	return f, nil
}

// Renew asks for a new certificate for k, and returns what the terminal has to
// keep from now on. p's certificate may be over. It stays good until the new
// one has been used.
func (p *Provisioning) Renew(ctx context.Context, k Keys, o Options) (File, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Address == "" {
		o.Address = p.Address
	}
	config := tlsConfig(p, o.Now)
	config.ServerName = wire.EnrolName
	c, done := atDoor(o.Address, config)
	defer done()
	a, err := apply(k)
	if err != nil {
		return File{}, fmt.Errorf("renew: %w", err)
	}
	ctx, cancel := within(ctx, slow)
	defer cancel()
	r, err := c.Renew(ctx, connect.NewRequest(&v1.RenewRequest{Application: a}))
	if err != nil {
		return File{}, explainEnrol("renew", err)
	}
	f, err := accept(r.Msg.Papers, k, p.CA)
	if err == nil && f.Terminal != p.Terminal {
		err = fmt.Errorf("it is for terminal %q", f.Terminal)
	}
	if err != nil {
		return File{}, fmt.Errorf("renew: answer: %w", err)
	}
	f.Address = p.Address
	if !p.ServerMade {
		f.Previous = certPEM(p.Certificate.Leaf)
	}
	return f, nil
}

// Restored returns p with its previous certificate, for an upstream that does
// not know the present one, or nil if there is none.
func (p *Provisioning) Restored() *Provisioning {
	if p.Previous == nil {
		return nil
	}
	q := *p
	q.Certificate = tls.Certificate{
		Certificate: [][]byte{p.Previous.Raw}, Leaf: p.Previous, PrivateKey: p.Certificate.PrivateKey,
	}
	return &q
}

// Seal returns a writer of a file that only the campus can open; see
// [wire.Seal].
func (p *Provisioning) Seal(w io.Writer) (io.WriteCloser, error) {
	if len(p.SealKey) == 0 {
		return nil, errors.New("seal: this terminal has no key of the campus to seal to yet")
	}
	return wire.Seal(w, p.SealKey)
}

func atDoor(address string, config *tls.Config) (quancunv1connect.EnrolmentServiceClient, func()) {
	h, done := httpAtDoor(config)
	return quancunv1connect.NewEnrolmentServiceClient(h, "https://"+address, connect.WithReadMaxBytes(64<<10)), done
}

func httpAtDoor(config *tls.Config) (h *http.Client, done func()) {
	t := newTransport(config)
	return &http.Client{Transport: t, CheckRedirect: neverRedirect}, t.CloseIdleConnections
}

// verifyByFingerprint verifies a server's certificate by the CA that has the
// fingerprint, which the server has sent along, and returns that CA.
func verifyByFingerprint(cs tls.ConnectionState, f wire.Fingerprint, now time.Time) (*x509.Certificate, error) {
	for _, ca := range cs.PeerCertificates {
		if wire.FingerprintOf(ca) != f {
			continue
		}
		roots := x509.NewCertPool()
		roots.AddCert(ca)
		_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{
			Roots: roots, DNSName: wire.EnrolName, CurrentTime: clamp(now, ca),
		})
		if err != nil {
			return nil, fmt.Errorf("%w (%w)", ErrNotUpstream, err)
		}
		return ca, nil
	}
	return nil, ErrNotUpstream
}

// apply makes the application for a pair of keys.
func apply(k Keys) (*v1.Application, error) {
	public, ok := k.Journal.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("journal key is a %T, want Ed25519", k.Journal.Public())
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, k.TLS)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	proof, err := k.Journal.Sign(nil, wire.JournalProof(csr), crypto.Hash(0))
	if err != nil {
		return nil, fmt.Errorf("prove journal key: %w", err)
	}
	return &v1.Application{Csr: csr, JournalPublicKey: public, JournalProof: proof}, nil
}

// accept checks that papers are good for these keys, and returns them as they
// are kept. What can not be used is no answer.
func accept(m *v1.Papers, k Keys, ca *x509.Certificate) (File, error) {
	cert, err := acceptCertificate(m.GetCertificate(), k.TLS, ca)
	if err != nil {
		return File{}, err
	}
	jc, err := journal.ParseCertificate(m.JournalCertificate)
	if err == nil {
		err = jc.Verify(m.CampusPublicKey)
	}
	switch {
	case err != nil:
		return File{}, err
	case !jc.Key.Equal(k.Journal.Public()):
		return File{}, errors.New("the journal's certificate is for another key")
	case wire.TerminalOf(cert) != m.Terminal || jc.Terminal != m.Terminal:
		return File{}, errors.New("papers of several terminals")
	case len(m.TerminalNo) != len(pboc.TerminalNo{}) || len(m.SealPublicKey) != sealKeyLen:
		return File{}, errors.New("malformed papers")
	}
	return File{
		Terminal: m.Terminal, TerminalNo: pboc.TerminalNo(m.TerminalNo).String(),
		CA: certPEM(ca), Certificate: certPEM(cert), CampusKey: hex.EncodeToString(m.CampusPublicKey),
		SealKey: hex.EncodeToString(m.SealPublicKey), JournalCertificate: hex.EncodeToString(m.JournalCertificate),
	}, nil
}

func acceptCertificate(der []byte, key crypto.Signer, ca *x509.Certificate) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	_, err = cert.Verify(x509.VerifyOptions{
		Roots: roots, CurrentTime: cert.NotAfter, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, err
	}
	public, ok := key.Public().(*ecdsa.PublicKey)
	if !ok || !public.Equal(cert.PublicKey) {
		return nil, errors.New("the certificate is for another key")
	}
	return cert, nil
}

func certPEM(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

func explainEnrol(call string, err error) error {
	var ce *connect.Error
	if errors.As(err, &ce) && connect.IsWireError(err) {
		for _, d := range ce.Details() {
			m, err := d.Value()
			r, ok := m.(*v1.EnrolmentRefusal)
			if err == nil && ok && r.Reason != v1.EnrolmentReason_ENROLMENT_REASON_UNSPECIFIED {
				return &EnrolRefusal{EnrolReason(r.Reason)}
			}
		}
	}
	return fmt.Errorf("%s: %w", call, err)
}
