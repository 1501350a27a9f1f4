// Command campusd is the upstream: accounts, cards, PINs, keys, orders and the
// way to be paid, for every terminal of a campus.
//
//	campusd serve --data DIR --listen ADDR --notify-listen ADDR --config FILE
//	campusd terminal add ID --data DIR --address HOST:PORT --out FILE
//	campusd terminal list --data DIR
//	campusd terminal revoke ID --data DIR
//	campusd account NO --data DIR
//	campusd verify --data DIR
//	campusd demo --data DIR --cards FILE
//
// The data folder holds everything: books.db (the accounts), keys.json (the
// secrets of cards and PINs; its loss is the loss of every card, so its copy
// belongs in a safe), ca.pem and server.pem (made anew, if they are lost, at
// the price of provisioning every terminal again).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"quancun/upstream/keys"
	"quancun/upstream/server/pki"
	"quancun/upstream/store"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil:
	case errors.Is(err, errUsage), errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "campusd:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New(
	"usage: campusd serve | terminal add|list|revoke | account NO | verify | demo  (each with --data DIR)")

// run is main without the process: tests start it.
func run(ctx context.Context, args []string, out, log io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	name, args := args[0], args[1:]
	switch name {
	case "serve":
		return serve(ctx, args, log)
	case "terminal":
		return terminal(ctx, args, out)
	case "account":
		return account(ctx, args, out)
	case "verify":
		return verify(ctx, args, out)
	case "demo":
		return demo(ctx, args, out)
	}
	return errUsage
}

// parse reads flags that may follow the positional arguments, of which there
// are n.
func parse(f *flag.FlagSet, args []string, n int) (positional []string, err error) {
	f.SetOutput(io.Discard)
	if len(args) < n {
		return nil, errUsage
	}
	if err := f.Parse(args[n:]); err != nil {
		return nil, fmt.Errorf("%w\n%w", err, errUsage)
	}
	if f.NArg() > 0 {
		return nil, errUsage
	}
	return args[:n], nil
}

// onBooks does what a command does on books that are there, with the n words
// of its command line. The only flag is the data folder.
func onBooks(ctx context.Context, name string, args []string, n int, do func(*store.Books, []string) error) error {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	dir := f.String("data", "", "data folder")
	words, err := parse(f, args, n)
	if err != nil {
		return err
	}
	d, err := openOld(ctx, *dir)
	if err != nil {
		return err
	}
	return errors.Join(do(d.books, words), d.books.Close())
}

// data is an opened data folder.
type data struct {
	books *store.Books
	keys  *keys.Software
	pki   *pki.Authority
}

// openOld opens a data folder that is there. A folder that is misspelt must
// not look like an empty school.
func openOld(ctx context.Context, dir string) (data, error) {
	if _, err := os.Stat(filepath.Join(dir, "books.db")); dir != "" && err != nil {
		return data{}, err
	}
	return open(ctx, dir)
}

// open opens a data folder, and makes what is missing in it.
func open(ctx context.Context, dir string) (d data, err error) {
	if dir == "" {
		return d, fmt.Errorf("--data is missing\n%w", errUsage)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return d, err
	}
	if d.keys, err = keys.OpenSoftware(filepath.Join(dir, "keys.json")); err != nil {
		return d, err
	}
	if d.pki, err = pki.Open(dir, time.Now()); err != nil {
		return d, err
	}
	d.books, err = store.Open(ctx, filepath.Join(dir, "books.db"), nil)
	return d, err
}
