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

	"quancun/journal"
	"quancun/upstream/keys"
	"quancun/upstream/store"
)

// parting is what an admin shows before the upstream parts with a terminal's
// journal.
type parting struct {
	sealed string // file of "quancun ledger export --sealed"
	gone   bool
}

func (o *parting) flags(f *flag.FlagSet) {
	f.StringVar(&o.sealed, "sealed", "", "the terminal's sealed export, if it can not send its journal any more")
	f.BoolVar(&o.gone, "gone", false, "the machine is lost or stolen, and what it has not sent with it")
}

// part refuses to part with a terminal whose money is not all here: entries
// that it has told of and that have not come. A sealed export stands for them.
// A machine that is gone is parted with all the same, and what is missing
// becomes an alarm.
func (p place) part(ctx context.Context, d data, id string, o parting) error {
	s, err := d.books.Standing(ctx, id)
	if errors.Is(err, store.ErrNone) {
		return fmt.Errorf("no terminal %q", id)
	}
	if err != nil || s.Unsent() == 0 && !s.Carrying {
		return err
	}
	switch {
	case o.sealed != "":
		return p.takeSealed(ctx, d, id, s, o.sealed)
	case o.gone:
		_, err := d.books.Alarm(ctx, store.Alarm{Kind: store.AlarmJournalLost, Ref: id,
			Detail: fmt.Sprintf("entries %d to %d of epoch %s never came", s.Held+1, s.Said, s.Epoch)})
		return err
	}
	return fmt.Errorf("terminal %s has entries that are not here yet: %d, and we hold %d of them.\n"+
		"Let it connect until it has sent them, or carry them here: on the machine\n"+
		"  quancun ledger export --sealed FILE\nand here --sealed FILE. If the machine is lost or stolen: --gone",
		id, s.Said, s.Held)
}

// takeSealed proves that a sealed export is the terminal's whole journal, up to
// what it has told of, and keeps it.
func (p place) takeSealed(ctx context.Context, d data, id string, s store.Standing, file string) error {
	c, err := p.read()
	if err != nil {
		return err
	}
	k, done, err := p.openKeys(c)
	if err != nil {
		return err
	}
	a, err := readSealed(ctx, k, file)
	if err := errors.Join(err, done()); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	n := a.Checkpoint
	if n.Terminal != id || n.Epoch.String() != s.Epoch || n.Size < s.Said {
		return fmt.Errorf("%s has %d entries of %s/%s, want at least %d of %s/%s",
			file, n.Size, n.Terminal, n.Epoch, s.Said, id, s.Epoch)
	}
	kept, err := p.keep(file, fmt.Sprintf("%s-%s-%d.sealed", id, n.Epoch, n.Size))
	if err != nil {
		return err
	}
	_, err = d.books.Alarm(ctx, store.Alarm{Kind: store.AlarmJournalSealed, Ref: id,
		Detail: fmt.Sprintf("entries %d to %d of epoch %s are in %s", s.Held+1, n.Size, n.Epoch, kept)})
	return err
}

// readSealed opens an export and proves every entry in it: by the terminal's
// signature, whose key the campus has signed.
func readSealed(ctx context.Context, k keys.Store, file string) (a journal.Archive, err error) {
	f, err := os.Open(file)
	if err != nil {
		return a, err
	}
	defer f.Close()
	public, ok := k.Campus().Public().(ed25519.PublicKey)
	if !ok {
		return a, errors.New("the campus's key is not Ed25519")
	}
	return journal.ReadArchive(k.OpenSealed(ctx, f), public, func(int64, []byte) error { return nil })
}

// keep copies a file into the data folder, where it stays. It returns where.
func (p place) keep(file, name string) (string, error) {
	dir := filepath.Join(p.dir, "sealed")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	in, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer in.Close()
	path := filepath.Join(dir, name)
	out, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return "", err
	}
	defer os.Remove(out.Name())
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return "", err
	}
	if err := os.Rename(out.Name(), path); err != nil {
		return "", err
	}
	return path, syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
