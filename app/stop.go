package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"quancun/app/identity"
	"quancun/journal"
	"quancun/ledger"
	"quancun/upstream/client"
)

// errUnsent means that a journal holds what the upstream does not.
var errUnsent = errors.New("not everything is upstream")

// errNone means that a terminal's journal is not where it should be: it was never begun,
// or its disk has died, or is not there just now.
var errNone = errors.New("nobody knows whether everything is upstream: no journal at")

// readyToStop says whether the terminal may be updated, removed or reset: all
// that it has written down is upstream, or in a sealed export. It may run
// beside a terminal at work.
func readyToStop(args []string, out io.Writer) error {
	c, err := configOf("ready-to-stop", args)
	if err != nil {
		return err
	}
	if err := unsent(context.Background(), c); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "everything is upstream")
	return err
}

// retire ends the terminal on this machine: its keys and its papers. The journal is
// put aside, with a copy of these: the next keys here have not signed it, and to them it would be a forgery.
// The terminal has to be stopped: one at work would go on selling with what it has in
// memory.
//
// The papers go last: until then a retirement that was cut short is run again.
func retire(args []string, out io.Writer) (err error) {
	c, err := configOf("retire", args)
	if err != nil {
		return err
	}
	held, err := ledger.Hold(c.Journal)
	switch {
	case err == nil:
		defer func() { err = errors.Join(err, held.Close()) }()
	case !errors.Is(err, fs.ErrNotExist): // a machine without that folder has no journal
		return err
	}
	switch err := unsent(context.Background(), c); {
	case errors.Is(err, errNone): // a disk that has died brings nothing back
		fmt.Fprintln(out, err)
	case err != nil:
		return err
	}
	kept, err := putAside(c)
	if err != nil {
		return err
	}
	// What has become of its sales is in its journal, and nothing to the next terminal's cashiers.
	if err := removeIfThere(c.unread()); err != nil {
		return err
	}
	if err := identity.Destroy(c.Keys.identity()); err != nil {
		return err
	}
	if err := removeIfThere(c.begun()); err != nil {
		return err
	}
	if err := removeIfThere(c.Terminal); err != nil {
		return err
	}
	if kept != "" {
		fmt.Fprintf(out, "its journal is now %s: keep it\n", kept)
	}
	_, err = fmt.Fprintln(out, "this machine is a terminal no more. At the upstream: campusd terminal revoke")
	return err
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// putAside puts the journal of the terminal aside. That of a machine that is none was
// proved by nobody, and stays.
func putAside(c *Config) (kept string, err error) {
	p, err := client.ReadProvisioning(c.Terminal)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return ledger.Retire(context.Background(), c.Journal, bookOptions(c, p, client.Keys{}), func(kept string) error {
		text, err := os.ReadFile(c.Terminal)
		if err != nil || p.ServerMade { // then there is a key in it, and no certificate for the journal
			return err
		}
		return writeWhole(kept+papersEnding, func(w io.Writer) error { _, err := w.Write(text); return err })
	})
}

// papersEnding is what the papers of a journal that was put aside have after its name. With
// them it can be exported under seal, for an upstream whose books are of before.
const papersEnding = ".papers"

// unread is the file of the news that no cashier has read yet.
func (c *Config) unread() string { return filepath.Join(filepath.Dir(c.Journal), "news.unread") }

func configOf(command string, args []string) (*Config, error) {
	f := flag.NewFlagSet(command, flag.ContinueOnError)
	config := f.String("config", DefaultConfig, "terminal's configuration")
	if err := f.Parse(args); err != nil {
		return nil, usageError(err)
	}
	return ReadConfig(*config)
}

// unsent returns errUnsent if the journal holds what nobody else does, and errNone if it
// is not there. A machine that has never been a terminal has had no money.
func unsent(ctx context.Context, c *Config) error {
	_, err := os.Stat(c.Terminal)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := inMirror(ctx, c); err != nil {
		return err
	}
	w, open, err := ledger.WaitingFile(ctx, c.Journal)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w %s. Is its disk there? A terminal that has never run has none", errNone, c.Journal)
	}
	if err != nil {
		return fmt.Errorf("nobody knows whether everything is upstream: %w", err)
	}
	if w.Count == 0 && open == 0 {
		return nil
	}
	head := journal.Head{Epoch: w.Acked.Epoch, Seq: w.Acked.Seq + w.Count}
	if sealed, err := identity.Exported(c.Journal, head); err != nil || sealed {
		return err
	}
	since := "now"
	if !w.Since.IsZero() {
		since = w.Since.Local().Format(time.RFC3339)
	}
	return fmt.Errorf("%w: %d entries that move %s yuan, since %s, and %d acts without an end.\n"+
		"Let the terminal connect until it has sent them, or take them along: quancun ledger export --sealed FILE",
		errUnsent, w.Count, w.Amount, since, open)
}

// inMirror returns errUnsent if the second medium has what the journal has lost.
func inMirror(ctx context.Context, c *Config) error {
	p, err := client.ReadProvisioning(c.Terminal)
	if err == nil {
		err = ledger.MirrorOnly(ctx, c.Journal, c.Mirror, p.Terminal)
	}
	switch {
	case errors.Is(err, ledger.ErrLost):
		return fmt.Errorf("%w: %s: %w", errUnsent, c.Mirror, err)
	case err != nil:
		return fmt.Errorf("nobody knows whether everything is upstream: %w", err)
	}
	return nil
}
