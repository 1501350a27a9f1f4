package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"quancun/cmd/internal/lockfile"
	"quancun/upstream/store"
)

// booksCommand copies the books of a data folder into the empty PostgreSQL that
// the configuration names. The file stays as it is.
func booksCommand(ctx context.Context, args []string, out io.Writer) (err error) {
	if len(args) == 0 || args[0] != "copy" {
		return errUsage
	}
	var p place
	f := flag.NewFlagSet("books copy", flag.ContinueOnError)
	p.flags(f)
	if _, err := parse(f, args[1:], 0); err != nil {
		return err
	}
	c, err := p.read()
	if err != nil {
		return err
	}
	if p.dir == "" || !store.IsShared(c.Database) {
		return fmt.Errorf("books are copied from --data to the PostgreSQL that --config names\n%w", errUsage)
	}
	file := filepath.Join(p.dir, "books.db")
	if _, err := os.Stat(file); err != nil {
		return err
	}
	unlock, err := lockfile.Take(filepath.Join(p.dir, "serve.lock"))
	if err != nil {
		return fmt.Errorf("a campusd serves %s: stop it first: %w", p.dir, err)
	}
	defer unlock()
	from, err := store.Open(ctx, file, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	d, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.books.Close()) }()
	return p.copyBooks(ctx, c, from, d.books, out)
}

func (p place) copyBooks(ctx context.Context, c config, from, to *store.Books, out io.Writer) error {
	rows, err := from.CopyTo(ctx, to)
	if errors.Is(err, store.ErrNotEmpty) {
		return fmt.Errorf("%w: books are copied into an empty database only", err)
	}
	if err != nil {
		return fmt.Errorf("%w\nthe books in %s are as they were", err, p.dir)
	}
	if _, err := fmt.Fprintf(out, "%d rows are copied\n", rows); err != nil {
		return err
	}
	k, done, err := p.keysOf(ctx, c, to)
	if err != nil {
		return err
	}
	return errors.Join(verifyAll(ctx, to, k, out), done())
}
