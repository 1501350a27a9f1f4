// Package wallet is the student's phone of the lab as a virtual card: it keeps a
// key, is bound to an account of a real upstream over the real wire, and shows
// codes that change.
//
// A phone is one file. It holds the phone's private key, so it is readable by its
// owner only; it is worth what the lab's money is.
package wallet

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"quancun/paycode"
	"quancun/upstream/client"
)

// Phone is one. It is safe for use by several goroutines of one process.
type Phone struct {
	path string
	now  func() time.Time

	mu   sync.Mutex // guards what follows, and the file
	kept kept
	key  *paycode.PrivateKey
}

// kept is what a phone's file says. JSON.
type kept struct {
	Ticket    string            `json:"ticket"` // where the upstream is, and by what to know it; its code is spent
	Account   string            `json:"account"`
	Algorithm paycode.Algorithm `json:"algorithm"`
	Secret    string            `json:"secret"` // hexadecimal
	Granted   []byte            `json:"granted"`
	Counter   uint16            `json:"counter"`
}

// Bind makes a new phone in a folder the virtual card that a ticket is for. An
// account that has a phone there gets another, and the old one is one no longer.
func Bind(ctx context.Context, dir, ticket string, a paycode.Algorithm) (*Phone, error) {
	t, err := client.ParseTicket(ticket)
	if err != nil {
		return nil, err
	}
	key, err := paycode.GenerateKey(a)
	if err != nil {
		return nil, err
	}
	p := &Phone{path: File(dir, t.Terminal), now: time.Now, key: key}
	door := client.PhoneDoor{Address: t.Address, CA: t.CA}
	granted, err := door.Bind(ctx, t.Code, key, "campuslab")
	if err != nil {
		return nil, err
	}
	p.kept = kept{
		Ticket: t.Text(), Account: t.Terminal, Algorithm: a, Secret: hex.EncodeToString(key.Secret()), Granted: granted,
	}
	return p, p.save()
}

// Open opens a phone that was bound.
func Open(path string) (*Phone, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p := &Phone{path: path, now: time.Now}
	if err := json.Unmarshal(text, &p.kept); err != nil {
		return nil, fmt.Errorf("%s is not a phone", path) // the decoder's words may quote the key
	}
	secret, err := hex.DecodeString(p.kept.Secret)
	if err != nil {
		return nil, fmt.Errorf("%s is not a phone", path)
	}
	p.key, err = paycode.NewPrivateKey(p.kept.Algorithm, secret)
	return p, err
}

// Format keeps the key out of every log and message.
func (p *Phone) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "wallet.Phone(%s)", p.kept.Account) }

// Account returns the number of the account that the phone spends from.
func (p *Phone) Account() string { return p.kept.Account }

// save writes the phone's file, whole or not at all.
func (p *Phone) save() error {
	text, err := json.MarshalIndent(p.kept, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(p.path+".new", append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(p.path+".new", p.path)
}

// Rotate is how long one code is shown. It is good for a while longer, so that it
// can be scanned in its last second.
const Rotate = paycode.LifeMin

// Code returns a code that was never shown, and until when to show it.
func (p *Phone) Code() (c paycode.Code, until time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept.Counter++
	if err := p.save(); err != nil { // before it is shown: no number is used twice
		return c, until, err
	}
	now := p.now()
	c, err = paycode.Show(p.kept.Granted, now, p.kept.Counter, p.key)
	return c, now.Add(Rotate), err
}

// renewBefore is how long before its end an authorisation is renewed.
const renewBefore = 2 * 24 * time.Hour

// Renew has the upstream sign anew, if what it has signed ends soon. Without an
// answer the phone goes on with what it has, for as long as that is good.
func (p *Phone) Renew(ctx context.Context) error {
	p.mu.Lock()
	granted, key := p.kept.Granted, p.key
	p.mu.Unlock()
	g, _, err := paycode.ParseGrant(granted)
	if err != nil || g.Expires.Sub(p.now()) > renewBefore {
		return err
	}
	t, err := client.ParseTicket(p.kept.Ticket)
	if err != nil {
		return err
	}
	if granted, err = (client.PhoneDoor{Address: t.Address, CA: t.CA}).Renew(ctx, key); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept.Granted = granted
	return p.save()
}

// Show writes codes as text and as QR codes, a new one whenever the last one has
// ended, until ctx ends. With once it writes one.
func (p *Phone) Show(ctx context.Context, out io.Writer, once bool) error {
	for {
		if err := p.Renew(ctx); err != nil {
			fmt.Fprintf(out, "not renewed: %v\n", err)
		}
		c, until, err := p.Code()
		if err != nil {
			return err
		}
		qr, err := Draw(c.Text())
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s\naccount %s, code %d, until %s\n%s\n", qr, c.Account, c.Counter,
			until.Format(time.TimeOnly), c.Text())
		if once {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Until(until)):
		}
	}
}

// OpenAll opens the phones in a folder, by account. One that is not there has
// none.
func OpenAll(dir string) (all []*Phone, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.phone"))
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		p, err := Open(f)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// File returns the file of an account's phone in a folder.
func File(dir, account string) string { return filepath.Join(dir, account+".phone") }
