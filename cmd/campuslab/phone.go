package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"quancun/lab/wallet"
	"quancun/paycode"
)

const phoneUsage = `The student's phone as a virtual card. Its codes change every half minute:
  campuslab phone bind TICKET [--dir DIR] [--sm2]
                                  TICKET is what "campusd phone invite" prints
  campuslab phone show ACCOUNT [--dir DIR] [--once]
                                  as a QR code and as text; stop with Ctrl-C
  campuslab phone list [--dir DIR]
A lab that was started with --phones DIR shows them at /wallet/, too.
`

// phoneCommand executes a command line that begins with the word phone.
func phoneCommand(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 || args[0] == "help" {
		fmt.Fprint(out, phoneUsage)
		return nil
	}
	verb, args := args[0], args[1:]
	word := ""
	if verb != "list" {
		if len(args) == 0 {
			return errUsage
		}
		word, args = args[0], args[1:]
	}
	f := flag.NewFlagSet("phone "+verb, flag.ContinueOnError)
	f.SetOutput(out)
	dir := f.String("dir", "phones", "`folder` of the phones")
	sm2 := f.Bool("sm2", false, "sign with SM2 (bind)")
	once := f.Bool("once", false, "show one code (show)")
	if err := f.Parse(args); err != nil {
		return err
	}
	switch {
	case f.NArg() > 0:
		return errUsage
	case verb == "bind":
		return bindPhone(ctx, word, *dir, *sm2, out)
	case verb == "show":
		p, err := wallet.Open(wallet.File(*dir, filepath.Base(word)))
		if err != nil {
			return err
		}
		if err := p.Show(ctx, out, *once); !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	case verb == "list":
		all, err := wallet.OpenAll(*dir)
		for _, p := range all {
			fmt.Fprintln(out, p.Account())
		}
		return err
	}
	return fmt.Errorf("there is no command %q\n%w", "phone "+verb, errUsage)
}

func bindPhone(ctx context.Context, ticket, dir string, sm2 bool, out io.Writer) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	a := paycode.Ed25519
	if sm2 {
		a = paycode.SM2
	}
	p, err := wallet.Bind(ctx, dir, ticket, a)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "the phone of account %s is its virtual card\n", p.Account())
	return err
}
