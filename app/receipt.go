package app

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"strings"

	"quancun/journal"
	"quancun/ledger"
)

// aReceipt is what can be done with receipts.
func aReceipt(args []string, out io.Writer) error {
	switch {
	case len(args) > 0 && args[0] == "verify":
		return verifyReceipt(args[1:], out)
	case len(args) > 0 && args[0] == "show":
		return showReceipt(args[1:], out)
	}
	fmt.Fprintln(out, `usage: quancun receipt command [flags]
  verify CODE: check a receipt's code, with no network
  show [REF]: the code of a receipt for what came of a reference, or of the entry --entry`)
	return errUsage
}

// showReceipt prints the code of a receipt for an entry of this terminal's
// journal, beside a terminal at work.
func showReceipt(args []string, out io.Writer) error {
	f := newLedgerFlags("receipt show")
	number := f.Int64("entry", 0, "the entry's number, as the screen has shown it")
	if err := f.parse(args, 0, 1); err != nil {
		return err
	}
	if (f.Arg(0) == "") == (*number == 0) {
		return fmt.Errorf("%w: a reference, or the number of an entry", errUsage)
	}
	c, err := ReadConfig(f.config)
	if err != nil {
		return err
	}
	p, keys, err := readIdentity(c)
	if err == nil && keys.Journal == nil {
		err = errors.New("this terminal has no key of its own to sign with")
	}
	if err != nil {
		return err
	}
	return ledger.ReadFile(context.Background(), c.Journal, func(s ledger.Snapshot) error {
		line, err := s.Outcome(f.Arg(0), *number)
		if err != nil {
			return err
		}
		r, err := journal.NewReceipt(line.Entry, line.Hash, p.JournalCertificate, keys.Journal)
		if err == nil {
			_, err = fmt.Fprintln(out, r.Text())
		}
		return err
	})
}

// verifyReceipt checks a receipt's code, with no network.
func verifyReceipt(args []string, out io.Writer) error {
	f := newLedgerFlags("receipt verify")
	campus := f.String("campus", "", "file with the campus's public key; this terminal's own papers if empty")
	code := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") { // flags may follow it
		code, args = args[0], args[1:]
	}
	if err := f.parse(args, 0, 1); err != nil {
		return err
	}
	if code == "" {
		code = f.Arg(0)
	}
	if code == "" {
		return fmt.Errorf("%w: quancun receipt verify CODE --campus KEYFILE", errUsage)
	}
	file := *campus
	if file == "" {
		c, err := ReadConfig(f.config)
		if err != nil {
			return err
		}
		file = c.Terminal
	}
	key, err := readCampusKey(file)
	if err != nil {
		return err
	}
	if strings.Contains(code, journal.CopyPrefix) {
		return showCopy(code, key, out)
	}
	r, err := journal.OpenReceipt(code, key)
	if err != nil {
		return err
	}
	outcome := ""
	if r.Outcome != 0 {
		outcome = ", " + r.Outcome.String()
	}
	_, err = fmt.Fprintf(out, "genuine: %s yuan, %s%s, %s\nterminal %s, epoch %s, entry %d, reference %s\n",
		r.Amount, r.Kind, outcome, r.At.Local().Format("2006-01-02 15:04:05"), r.Terminal, r.Epoch, r.Seq, r.Ref)
	return err
}

// showCopy checks the code of a copy, which the campus itself has signed.
func showCopy(code string, campus ed25519.PublicKey, out io.Writer) error {
	c, err := journal.OpenCopy(code, campus)
	if err != nil {
		return err
	}
	const form = "2006-01-02 15:04:05"
	_, err = fmt.Fprintf(out, "genuine copy, made %s: %s yuan, %s, %s\naccount %s, place %s, reference %s, entry %s\n",
		c.Made.Local().Format(form), c.Amount, c.What, c.At.Local().Format(form), c.Account, c.Place, c.Ref, c.No)
	if err == nil && c.Source.Terminal != "" {
		_, err = fmt.Fprintf(out, "terminal %s, epoch %s, entry %d\n", c.Source.Terminal, c.Source.Epoch, c.Source.Seq)
	}
	return err
}
