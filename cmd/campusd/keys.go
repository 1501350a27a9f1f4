package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"quancun/pboc"
	"quancun/upstream/keys"
	"quancun/upstream/keys/token"
	"quancun/upstream/store"
)

// keyStore is where the upstream's keys are: in files, or in a token.
type keyStore interface {
	keys.Store
	keys.Issuer
}

func (p place) keyFile() string { return filepath.Join(p.dir, "keys.json") }

func (p place) campusFile() string { return filepath.Join(p.dir, "campus.pem") }

func (p place) blanksFile() string { return filepath.Join(p.dir, "blanks.json") }

// keysOf opens the keys that go with books. Books with holders have keys
// somewhere: with new ones every PIN would be wrong and every card a stranger's,
// as on a second server whose data folder was not copied from the first. Where
// terminals have certificates for their journals, they know the campus by its own key,
// and would take no word from another.
func (p place) keysOf(ctx context.Context, c config, b *store.Books) (k keyStore, done func() error, err error) {
	for _, of := range []struct {
		file string
		know func(context.Context) (bool, error)
		what string
	}{
		{p.keyFile(), b.HasHolders, "the books have holders"},
		{p.campusFile(), b.HasJournalKeys, "terminals know the campus"},
	} {
		_, err := os.Lstat(of.file)
		if c.Keys.Module != "" || !errors.Is(err, os.ErrNotExist) {
			continue
		}
		known, err := of.know(ctx)
		if err != nil {
			return nil, nil, err
		}
		if known {
			return nil, nil, fmt.Errorf("%s, and %s is not there: bring their keys", of.what, of.file)
		}
	}
	return p.openKeys(c)
}

// openKeys opens the keys where the configuration says that they are, and makes
// those in files if there are none, in a data folder that is open. The caller
// calls done in the end.
func (p place) openKeys(c config) (k keyStore, done func() error, err error) {
	if c.Keys.Module == "" {
		k, err := keys.OpenSoftware(p.keyFile())
		return k, func() error { return nil }, err
	}
	s, err := token.Open(c.token())
	if err != nil {
		return nil, nil, err
	}
	return s, s.Close, nil
}

func (c config) token() token.Config {
	return token.Config{Module: c.Keys.Module, Slot: c.Keys.Slot, PINFile: c.Keys.PINFile}
}

// keysCommand shows where the keys are, fills a token, or makes a till's SAM.
func keysCommand(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	switch args[0] {
	case "sam":
		return makeSAM(ctx, args[1:], out)
	case "blank":
		return takeTransportKey(args[1:], os.Stdin, out)
	}
	f := flag.NewFlagSet("keys "+args[0], flag.ContinueOnError)
	var p place
	p.flags(f)
	if _, err := parse(f, args[1:], 0); err != nil {
		return err
	}
	if p.dir == "" {
		return fmt.Errorf("--data is missing\n%w", errUsage)
	}
	c, err := p.read()
	if err != nil {
		return err
	}
	switch args[0] {
	case "show":
		return p.showKeys(c, out)
	case "generate", "import":
		return p.fillToken(c, args[0], out)
	}
	return errUsage
}

// fillToken makes keys in the token that the configuration names, or puts those
// of the data folder there.
func (p place) fillToken(c config, how string, out io.Writer) error {
	if c.Keys.Module == "" {
		return errors.New("the configuration names no token: write module, slot and pin_file under [keys]")
	}
	_, err := os.Lstat(p.keyFile())
	switch have := err == nil; {
	case how == "generate" && have:
		return fmt.Errorf("%s holds keys with which cards may have been issued: import them", p.keyFile())
	case how == "generate":
		err = token.Generate(c.token())
	default:
		var s *keys.Secrets
		if s, err = keys.ReadSecrets(p.keyFile()); err == nil {
			err = token.Import(c.token(), s)
		}
	}
	if err != nil {
		return err
	}
	if err := p.showKeys(c, out); err != nil || how == "generate" {
		return err
	}
	files := p.keyFile() + " and campus.pem beside it"
	if _, err := os.Lstat(p.blanksFile()); err == nil {
		files = p.keyFile() + ", campus.pem and blanks.json beside it"
	}
	_, err = fmt.Fprintf(out, "Now put %s into a safe, and remove them here.\n", files)
	return err
}

// makeSAM writes the software SAM of a terminal, for a till that has no SAM in a
// slot. Making it anew is harmless: a card's MACs do not ask for numbers in a
// row.
func makeSAM(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("keys sam", flag.ContinueOnError)
	var p place
	p.flags(f)
	file := f.String("o", "", "file to write")
	words, err := parse(f, args, 1)
	if err != nil {
		return err
	}
	if *file == "" {
		return fmt.Errorf("-o is missing\n%w", errUsage)
	}
	c, err := p.read()
	if err != nil {
		return err
	}
	if c.Keys.Module != "" {
		return errors.New("the keys are in a token, which gives none away: put a SAM into the till")
	}
	d, err := p.open(ctx)
	if err != nil {
		return err
	}
	t, err := d.books.Terminal(ctx, words[0])
	if err := errors.Join(err, d.books.Close()); err != nil {
		return err
	}
	s, err := keys.ReadSecrets(p.keyFile())
	if err != nil {
		return err
	}
	text := pboc.SAMFile{Terminal: t.No, Purchase: s.Purchase, Next: 1}.Encode()
	if err := keys.WriteSecret(*file, text); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "SAM of terminal %s: %s\n"+
		"Bring it there on a medium that you can destroy, and remove it here.\n", words[0], *file)
	return err
}

// takeTransportKey reads the key with which blanks come from their maker, so that
// cards can be personalised at a counter: 32 hexadecimal digits.
func takeTransportKey(args []string, in io.Reader, out io.Writer) error {
	f := flag.NewFlagSet("keys blank", flag.ContinueOnError)
	var p place
	p.flags(f)
	if _, err := parse(f, args, 0); err != nil {
		return err
	}
	c, err := p.read()
	if err != nil {
		return err
	}
	inToken := c.Keys.Module != ""
	if _, err := os.Lstat(p.keyFile()); err != nil && !inToken {
		return err // to look makes none
	}
	var text []byte
	defer func() { clear(text) }()
	var key pboc.Key
	if _, err := fmt.Fscanf(in, "%32x", &text); err != nil || copy(key[:], text) != len(key) {
		return errors.New("that is no key: 32 hexadecimal digits, on the standard input")
	}
	defer clear(key[:])
	if inToken {
		if err := token.ImportBlanks(c.token(), key); err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, "Blanks of this maker can be personalised. The key is in the token.")
		return err
	}
	if err := keys.WriteBlanks(p.keyFile(), key); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "Blanks of this maker can be personalised. Put a copy of %s into the safe.\n",
		p.blanksFile())
	return err
}

// showKeys says where the keys are, and what of them is public.
func (p place) showKeys(c config, out io.Writer) error {
	where := "files: " + p.keyFile()
	if c.Keys.Module != "" {
		where = fmt.Sprintf("token in slot %d of %s", c.Keys.Slot, c.Keys.Module)
	} else {
		_, err1 := os.Lstat(p.keyFile())
		_, err2 := os.Lstat(p.campusFile())
		if err := errors.Join(err1, err2); err != nil {
			return err // to look makes none
		}
	}
	k, done, err := p.openKeys(c)
	if err != nil {
		return err
	}
	public, ok := k.Campus().Public().(ed25519.PublicKey)
	if !ok {
		return errors.Join(errors.New("the campus's key is not Ed25519"), done())
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "where\t%s\n", where)
	fmt.Fprintf(w, "campus public key\t%x\n", []byte(public))
	fmt.Fprintf(w, "PIN public key\t%x\n", k.PINPublicKey())
	fmt.Fprintf(w, "seal public key\t%x\n", k.SealPublicKey())
	return errors.Join(w.Flush(), done())
}
