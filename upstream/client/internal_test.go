package client

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"quancun/journal"
	"quancun/upstream/server/pki"
	v1 "quancun/upstream/wire/quancun/v1"
)

// office is who makes papers, and the machine that they are for.
type office struct {
	keys   Keys
	ca     *x509.Certificate
	pki    *pki.Authority
	campus ed25519.PrivateKey
}

func newOffice(t testing.TB) office {
	t.Helper()
	a, err := pki.Open(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(a.CA())
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, signs, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, campus, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return office{Keys{TLS: key, Journal: signs}, ca, a, campus}
}

func (o office) papers(t testing.TB, id string) *v1.Papers {
	t.Helper()
	cert, err := o.pki.Certify(id, o.keys.TLS.Public().(*ecdsa.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	jc, err := journal.Certify(id, o.keys.Journal.Public().(ed25519.PublicKey), time.Now(), o.campus)
	if err != nil {
		t.Fatal(err)
	}
	return &v1.Papers{
		Terminal: id, TerminalNo: make([]byte, 6), Certificate: cert.Raw, JournalCertificate: jc.Bytes(),
		CampusPublicKey: o.campus.Public().(ed25519.PublicKey), SealPublicKey: make([]byte, 32),
	}
}

// TestPapers: what a terminal could not use, or is another's, is no answer.
func TestPapers(t *testing.T) {
	o, other := newOffice(t), newOffice(t)
	if _, err := accept(o.papers(t, "K01"), o.keys, o.ca); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(p, q *v1.Papers){
		"Nothing":        func(p, _ *v1.Papers) { proto.Reset(p) },
		"OtherCA":        func(p, q *v1.Papers) { p.Certificate = q.Certificate },
		"OtherTerminal":  func(p, _ *v1.Papers) { p.Certificate = o.papers(t, "K02").Certificate },
		"OtherName":      func(p, _ *v1.Papers) { p.Terminal = "K02" },
		"OtherJournal":   func(p, _ *v1.Papers) { p.JournalCertificate = o.papers(t, "K02").JournalCertificate },
		"OtherCampus":    func(p, q *v1.Papers) { p.CampusPublicKey = q.CampusPublicKey },
		"NoCampus":       func(p, _ *v1.Papers) { p.CampusPublicKey = nil },
		"NoSealKey":      func(p, _ *v1.Papers) { p.SealPublicKey = nil },
		"ShortNumber":    func(p, _ *v1.Papers) { p.TerminalNo = p.TerminalNo[1:] },
		"CutCertificate": func(p, _ *v1.Papers) { p.Certificate = p.Certificate[1:] },
		"WholeOther":     func(p, q *v1.Papers) { proto.Reset(p); proto.Merge(p, q) },
	} {
		p := o.papers(t, "K01")
		spoil(p, other.papers(t, "K01"))
		if f, err := accept(p, o.keys, o.ca); err == nil {
			t.Errorf("%s: accepted as %v", name, f)
		}
	}
	if _, err := accept(o.papers(t, "K01"), Keys{TLS: other.keys.TLS, Journal: o.keys.Journal}, o.ca); err == nil {
		t.Error("a certificate for another machine's key was accepted")
	}
	if _, err := accept(o.papers(t, "K01"), Keys{TLS: o.keys.TLS, Journal: other.keys.Journal}, o.ca); err == nil {
		t.Error("a certificate for another journal's key was accepted")
	}
}

// FuzzPapers: an answer is refused, or can be used.
func FuzzPapers(f *testing.F) {
	o := newOffice(f)
	good, err := proto.Marshal(o.papers(f, "K01"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var p v1.Papers
		if proto.Unmarshal(b, &p) != nil {
			return
		}
		file, err := accept(&p, o.keys, o.ca)
		if err != nil {
			return
		}
		file.Address = "a:1"
		if _, err := file.Encode(); err != nil {
			t.Errorf("accepted papers can not be kept: %v", err)
		}
	})
}
