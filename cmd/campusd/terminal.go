package main

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"quancun/pboc"
	"quancun/upstream/client"
	"quancun/upstream/keys"
	"quancun/upstream/store"
)

func terminal(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	switch args[0] {
	case "add":
		return addTerminal(ctx, args[1:], out)
	case "list":
		return listTerminals(ctx, args[1:], out)
	case "revoke":
		return revokeTerminal(ctx, args[1:], out)
	}
	return errUsage
}

// addTerminal writes the file that makes a machine a terminal. For a terminal
// that is known it is a new one, and the old one is no longer good.
func addTerminal(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("terminal add", flag.ContinueOnError)
	var p place
	p.flags(f)
	address := f.String("address", "127.0.0.1:8443", "host:port at which the terminal finds the upstream")
	file := f.String("out", "", "provisioning file to write")
	number := f.String("terminal-no", "", "12 hexadecimal digits, such as the SAM's; the next free one if empty")
	id, err := parse(f, args, 1)
	if err != nil {
		return err
	}
	if *file == "" {
		return fmt.Errorf("--out is missing\n%w", errUsage)
	}
	if _, err := os.Lstat(*file); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is there already", *file) // before the terminal's old file is made worthless
	}
	t := store.Terminal{ID: id[0]}
	if raw, err := hex.DecodeString(*number); err != nil || *number != "" && len(raw) != len(t.No) {
		return fmt.Errorf("--terminal-no %q is not 12 hexadecimal digits", *number)
	} else if *number != "" {
		t.No = pboc.TerminalNo(raw)
	}
	d, err := p.open(ctx)
	if err != nil {
		return err
	}
	no, err := d.provision(ctx, t, *address, *file)
	if err := errors.Join(err, d.books.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "terminal %s, number %s: %s\n", t.ID, no, *file)
	return err
}

func (d data) provision(ctx context.Context, t store.Terminal, address, file string) (no pboc.TerminalNo, err error) {
	cert, key, fingerprint, err := d.pki.Terminal(t.ID)
	if err != nil {
		return no, err
	}
	t.Fingerprint = fingerprint
	if no, err = d.books.AddTerminal(ctx, t); err != nil {
		return no, err
	}
	text, err := client.File{
		Terminal: t.ID, TerminalNo: no.String(), Address: address,
		CA: string(d.pki.CA()), Certificate: string(cert), Key: string(key),
	}.Encode()
	if err != nil {
		return no, err
	}
	return no, keys.WriteSecret(file, text)
}

func listTerminals(ctx context.Context, args []string, out io.Writer) error {
	return onBooks(ctx, "terminal list", args, 0, func(b *store.Books, _ []string) error {
		all, err := b.Terminals(ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tNUMBER\tSTATE\tVERSION\tHEARD\tCLOCK AHEAD")
		for _, t := range all {
			state, heard := "good", "never"
			if t.Revoked {
				state = "revoked"
			}
			if !t.Heard.IsZero() {
				heard = t.Heard.Format(time.RFC3339)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, t.No, state, t.Version, heard, t.Drift)
		}
		return w.Flush()
	})
}

func revokeTerminal(ctx context.Context, args []string, out io.Writer) error {
	return onBooks(ctx, "terminal revoke", args, 1, func(b *store.Books, id []string) error {
		err := b.RevokeTerminal(ctx, id[0])
		if errors.Is(err, store.ErrNone) {
			return fmt.Errorf("no terminal %q", id[0])
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "terminal %s is shut out\n", id[0])
		return err
	})
}
