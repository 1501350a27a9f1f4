package main

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"quancun/beijing"
	"quancun/money"
	"quancun/paycode"
	"quancun/upstream/keys"
	"quancun/upstream/phone"
	"quancun/upstream/store"
	"quancun/upstream/wire"
)

// codes is what the school decides about virtual cards. School 0 has none.
type codes struct {
	School  uint16    `toml:"school"`
	CodeMax money.Fen `toml:"code_max_fen"`
	DayMax  money.Fen `toml:"day_max_fen"`
	Days    int       `toml:"days"`
	SM2     bool      `toml:"sm2"` // for phones that sign so, besides Ed25519

	// Address is where phones find the upstream, for codes that kiosks show. "" is
	// where the kiosk finds it.
	Address string `toml:"address"`
}

func defaultCodes() codes { return codes{CodeMax: 50 * money.Yuan, DayMax: 50 * money.Yuan, Days: 3} }

func (c codes) policy() phone.Policy {
	return phone.Policy{School: c.School, CodeMax: c.CodeMax, DayMax: c.DayMax, Days: c.Days}
}

// phoneDoor answers phones, if the school has virtual cards.
type phoneDoor struct {
	server *phone.Server // nil for a school without
}

// phones opens what answers phones.
func (p place) phones(ctx context.Context, c config, b *store.Books, k keys.Store, log *slog.Logger,
) (*phoneDoor, error) {
	if c.Codes.School == 0 {
		return &phoneDoor{}, nil
	}
	campus, err := paycode.Hardware(k.Campus())
	if err != nil {
		return nil, err
	}
	signers := []paycode.Signer{campus}
	if c.Codes.SM2 {
		key, err := openSM2(filepath.Join(p.dir, "codes-sm2.key"))
		if err != nil {
			return nil, err
		}
		signers = append(signers, key)
	}
	r, err := phone.Open(ctx, b, c.Codes.policy(), signers...)
	if err != nil {
		return nil, err
	}
	return &phoneDoor{&phone.Server{Registry: r, Log: log}}, nil
}

// openSM2 reads the campus's SM2 key for codes, and makes one if there is none. To
// lose it costs phones no more than a renewal.
func openSM2(path string) (*paycode.PrivateKey, error) {
	text, err := keys.ReadSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		k, err := paycode.GenerateKey(paycode.SM2)
		if err != nil {
			return nil, err
		}
		secret := k.Secret()
		defer clear(secret)
		return k, keys.WriteSecret(path, hex.AppendEncode(nil, secret))
	}
	if err != nil {
		return nil, err
	}
	defer clear(text)
	secret, err := hex.DecodeString(strings.TrimSpace(string(text)))
	defer clear(secret)
	if err != nil {
		return nil, fmt.Errorf("%s is not a key", path) // the decoder's words may quote it
	}
	return paycode.NewPrivateKey(paycode.SM2, secret)
}

// Handler implements [enrol.Phones].
func (d *phoneDoor) Handler() (path string, h http.Handler) {
	if d.server == nil {
		path, _ = new(phone.Server).Handler()
		return path, http.NotFoundHandler()
	}
	return d.server.Handler()
}

// Run keeps what terminals know of phones new, until ctx ends.
func (d *phoneDoor) Run(ctx context.Context) error {
	if d.server == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	return d.server.Registry.Run(ctx, func(err error) { d.server.Log.Error("keys not published", "err", err) })
}

// phoneCommand shows whose phones there are, makes one a holder's, or ends one.
func phoneCommand(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	switch args[0] {
	case "list":
		return listPhones(ctx, args[1:], out)
	case "invite":
		return invitePhone(ctx, args[1:], out)
	case "revoke":
		return revokePhone(ctx, args[1:], out)
	}
	return errUsage
}

func listPhones(ctx context.Context, args []string, out io.Writer) error {
	words := 0
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		words = 1
	}
	return onBooks(ctx, "phone list", args, words, func(b *store.Books, account []string) error {
		all, err := phone.List(ctx, b, strings.Join(account, ""))
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "PHONE\tACCOUNT\tSIGNS\tSINCE\tGOOD UNTIL\tREVOKED\tNAME")
		for _, p := range all {
			revoked := "-"
			if !p.Revoked.IsZero() {
				revoked = p.Revoked.In(beijing.Zone).Format(time.DateTime) + ", " + p.Why
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%q\n", p.Device, p.Account, p.Key.Algorithm,
				or(p.Bound, "-"), or(p.Until, "-"), revoked, p.Name)
		}
		return w.Flush()
	})
}

// invitePhone makes a code by which a phone becomes a holder's virtual card. It
// can not be printed again.
func invitePhone(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("phone invite", flag.ContinueOnError)
	var p place
	var i invitation
	p.flags(f)
	i.flags(f)
	account, err := parse(f, args, 1)
	if err != nil {
		return err
	}
	if err := i.check(); err != nil {
		return err
	}
	d, err := p.openOld(ctx)
	if err != nil {
		return err
	}
	code := wire.NewCode()
	expires := time.Now().Add(i.valid)
	err = phone.Invite(ctx, d.books, account[0], code.Hash(), expires)
	if err := errors.Join(err, d.books.Close()); err != nil {
		return err
	}
	ticket := wire.Ticket{Address: i.address, Terminal: account[0], Code: code, CA: d.pki.Fingerprint()}
	_, err = fmt.Fprintf(out, "account %s\non the phone, before %s, once:\n\n  %s\n", account[0],
		expires.Format(time.RFC3339), ticket.Text())
	return err
}

func revokePhone(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("phone revoke", flag.ContinueOnError)
	why := f.String("why", "reported lost", "the reason")
	return withFlags(ctx, f, args, 1, func(b *store.Books, words []string) error {
		var d paycode.DeviceID
		if err := d.UnmarshalText([]byte(words[0])); err != nil {
			return fmt.Errorf("%q is not the name of a phone: see phone list", words[0])
		}
		if *why == "" {
			return errors.New("--why is empty")
		}
		if err := phone.Revoke(ctx, b, d, *why); err != nil {
			return err
		}
		_, err := fmt.Fprintf(out, "phone %s is revoked, and terminals are told\n", d)
		return err
	})
}
