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
	"quancun/upstream/ingest"
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
// that it has told of and that have not come. A sealed export brings them. A
// machine that is gone is parted with all the same, and what is missing becomes
// an alarm.
func (p place) part(ctx context.Context, d data, id string, o parting) error {
	s, err := d.standing(ctx, id)
	if err != nil {
		return err
	}
	if o.sealed != "" { // it may hold more than the terminal has told of
		if err := p.takeSealed(ctx, d, id, o.sealed); err != nil {
			return fmt.Errorf("%s: %w", o.sealed, err)
		}
		if s, err = d.standing(ctx, id); err != nil {
			return err
		}
	}
	switch {
	case whole(s):
		return nil
	case o.gone:
		_, err := d.books.Alarm(ctx, store.Alarm{Kind: store.AlarmJournalLost, Ref: id,
			Detail: fmt.Sprintf("entries %d to %d of epoch %s never came", s.Held+1, s.Said, s.Epoch)})
		return err
	}
	return fmt.Errorf("terminal %s has entries that are not here yet: it has %d, and we hold %d of them.\n"+
		"Let it connect until it has sent them, or carry them here: on the machine\n"+
		"  quancun ledger export --sealed FILE\nand here --sealed FILE. If the machine is lost or stolen: --gone",
		id, s.Said, s.Held)
}

// leave ends what a terminal has left open that is shut out.
func (p place) leave(ctx context.Context, d data, id string) error {
	return p.withIngest(ctx, d, func(in *ingest.Ingest, _ keys.Store) error {
		return in.Part(ctx, store.Terminal{ID: id})
	})
}

// withIngest calls f with what takes entries into the books, as the server does.
func (p place) withIngest(ctx context.Context, d data, f func(*ingest.Ingest, keys.Store) error) error {
	c, err := p.read()
	if err != nil {
		return err
	}
	k, done, err := p.keysOf(ctx, c, d.books)
	if err != nil {
		return err
	}
	return errors.Join(f(ingest.New(d.books, k, c.Policy.ingest()), k), done())
}

// whole reports whether we hold all that a terminal has told of.
func whole(s store.Standing) bool { return s.Unsent() == 0 && !s.Carrying }

func (d data) standing(ctx context.Context, id string) (store.Standing, error) {
	s, err := d.books.Standing(ctx, id)
	if errors.Is(err, store.ErrNone) {
		err = fmt.Errorf("no terminal %q", id)
	}
	return s, err
}

// takeSealed takes a terminal's sealed export as if the terminal had sent what
// is in it, and keeps the file.
func (p place) takeSealed(ctx context.Context, d data, id, file string) error {
	return p.withIngest(ctx, d, func(in *ingest.Ingest, k keys.Store) error {
		return p.takeSealedWith(ctx, d, sealedFile{id, file, in, k})
	})
}

type sealedFile struct {
	terminal, path string
	into           *ingest.Ingest
	keys           keys.Store
}

// takeSealedWith proves the whole export first, and then takes what is new in it.
func (p place) takeSealedWith(ctx context.Context, d data, f sealedFile) error {
	t, err := d.books.Terminal(ctx, f.terminal)
	if err != nil {
		return err
	}
	a, err := f.read(ctx, func(int64, []byte) error { return nil })
	if err != nil {
		return err
	}
	n := a.Checkpoint
	if n.Terminal != t.ID {
		return fmt.Errorf("it is of terminal %s, not %s", n.Terminal, t.ID)
	}
	if err := p.keep(f.path, fmt.Sprintf("%s-%s-%d.sealed", t.ID, n.Epoch, n.Size)); err != nil {
		return err
	}
	have, err := f.into.Head(ctx, t.ID, n.Epoch)
	if err != nil || n.Size == 0 {
		return err
	}
	// At least the last entry: if that is here, as it is, all before it are.
	fresh := journal.Batch{Epoch: n.Epoch, From: min(have.Seq+1, n.Size), Note: a.Note}
	_, err = f.read(ctx, func(seq int64, body []byte) error {
		if seq >= fresh.From {
			fresh.Bodies = append(fresh.Bodies, body)
		}
		return nil
	})
	if err != nil {
		return err
	}
	// The terminal may be another machine by now; the campus has signed that
	// this key was its own.
	t.JournalKey = a.Certificate.Key
	_, err = f.into.Carry(ctx, t, fresh)
	return err
}

// read opens the export and gives each entry to do. Once it returns without an
// error, all of them have been proved: by the terminal's signature, whose key
// the campus has signed.
func (f sealedFile) read(ctx context.Context, do func(seq int64, body []byte) error) (a journal.Archive, err error) {
	file, err := os.Open(f.path)
	if err != nil {
		return a, err
	}
	defer file.Close()
	public, ok := f.keys.Campus().Public().(ed25519.PublicKey)
	if !ok {
		return a, errors.New("the campus's key is not Ed25519")
	}
	return journal.ReadArchive(f.keys.OpenSealed(ctx, file), public, do)
}

// keep copies a file into the data folder, where it stays.
func (p place) keep(file, name string) error {
	dir := filepath.Join(p.dir, "sealed")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	if err := os.Rename(out.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
