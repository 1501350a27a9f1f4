package app

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"quancun/app/identity"
	"quancun/journal"
	"quancun/ledger"
	"quancun/ledger/export"
	"quancun/upstream/client"
)

// errDamaged means that something is wrong with a journal or an archive. What
// it is has been printed.
var errDamaged = errors.New("it is not what was written")

// aLedger is what can be done with a journal.
func aLedger(args []string, out io.Writer) error {
	tools := []command{
		{"verify", "verify [FILE]: prove that a journal or an archive is what was written", verifyLedger},
		{"export", "export [FILE]: write a journal out, for others to read", exportLedger},
		{"sales", "sales [FILE] -by day|hour|item|meal: what was sold, as a table (CSV)", salesOfLedger},
		{"shifts", "shifts [FILE]: all X and Z reports, as a table (CSV)", shiftsOfLedger},
		{"backup", "backup TO: copy the journal, beside a terminal at work", backupLedger},
		{"restore", "restore FROM: put a backup in the place of a journal that is gone", restoreLedger},
		{"recover", "recover: make a journal of what is left of a damaged one, and of the mirror", recoverLedger},
	}
	if len(args) > 0 {
		for _, t := range tools {
			if t.name == args[0] {
				return t.run(args[1:], out)
			}
		}
	}
	fmt.Fprintln(out, "usage: quancun ledger command [flags]")
	for _, t := range tools {
		fmt.Fprintf(out, "  %s\n", t.what)
	}
	return errUsage
}

// ledgerFlags are those that all of them have.
type ledgerFlags struct {
	*flag.FlagSet
	config string
}

func newLedgerFlags(name string) *ledgerFlags {
	f := &ledgerFlags{FlagSet: flag.NewFlagSet("ledger "+name, flag.ContinueOnError)}
	f.StringVar(&f.config, "config", DefaultConfig, "terminal's configuration")
	return f
}

// parse reads flags, and up to max words.
func (f *ledgerFlags) parse(args []string, min, max int) error {
	if err := f.Parse(args); err != nil {
		return usageError(err)
	}
	if f.NArg() < min || f.NArg() > max {
		return fmt.Errorf("%w: %d words, want %d to %d", errUsage, f.NArg(), min, max)
	}
	return nil
}

// source returns the journal that is meant, the one of this terminal unless
// another is named, and this terminal's configuration and papers, as far as
// there are any.
func (f *ledgerFlags) source() (path string, c *Config, p *client.Provisioning, err error) {
	c, err = ReadConfig(f.config)
	if err == nil {
		p, err = client.ReadProvisioning(c.Terminal)
	}
	if path = f.Arg(0); path != "" {
		if own, err := client.ReadProvisioning(path + papersEnding); err == nil {
			p = own // of a terminal that was retired
		}
		return path, c, p, nil // a file needs neither
	}
	if err != nil {
		return "", nil, nil, err
	}
	return c.Journal, c, p, nil
}

// words are a flag that may be given several times.
type words []string

func (w *words) String() string     { return strings.Join(*w, " ") }
func (w *words) Set(s string) error { *w = append(*w, s); return nil }

func verifyLedger(args []string, out io.Writer) error {
	f := newLedgerFlags("verify")
	var receipts, notes words
	campus := f.String("campus", "", "file with the campus's public key; this terminal's own papers if empty")
	f.Var(&receipts, "receipt", "a receipt's code: its entry must be there (may be repeated)")
	f.Var(&notes, "checkpoint", "file with a checkpoint that upstream has signed (may be repeated)")
	if err := f.parse(args, 0, 1); err != nil {
		return err
	}
	path, c, p, err := f.source()
	if err != nil {
		return err
	}
	var t ledger.Trust
	if p != nil {
		t.Key, t.Campus = p.JournalCertificate.Key, p.CampusKey
	}
	if *campus != "" {
		if t.Campus, err = readCampusKey(*campus); err != nil {
			return err
		}
	}
	if archive, err := isArchive(path); err != nil || archive {
		return errors.Join(err, verifyArchive(path, t.Campus, out))
	}
	if f.Arg(0) != "" {
		t.Key = nil // it may be another terminal's
	} else if t.Known, err = ledger.MirrorHead(c.Mirror); err != nil {
		return err
	}
	if err := learn(&t, receipts, notes); err != nil {
		return err
	}
	r, err := ledger.VerifyFile(context.Background(), path, t)
	if err != nil && !errors.Is(err, ledger.ErrTampered) {
		return err
	}
	if r.Version > 0 {
		fmt.Fprintf(out, "%s is of version %d, and is verified in a copy that is brought up to date\n", path, r.Version)
	}
	for _, problem := range r.Problems {
		fmt.Fprintln(out, problem)
	}
	fmt.Fprintf(out, "%s: %d entries of epoch %s, %d open, %d acknowledged\n",
		path, r.Entries, r.Head.Epoch, r.Open, r.Acked)
	if err != nil {
		return errDamaged
	}
	fmt.Fprintf(out, "whole: head %s\n", journal.Hex(r.Head.Hash))
	return nil
}

// learn adds what others know of the journal.
func learn(t *ledger.Trust, receipts, notes []string) error {
	for _, code := range receipts {
		r, err := journal.OpenReceipt(code, t.Campus)
		if err != nil {
			return err
		}
		t.Known = append(t.Known, journal.Head{Epoch: r.Epoch, Seq: r.Seq, Hash: r.Hash})
	}
	for _, file := range notes {
		note, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		t.Notes = append(t.Notes, note)
	}
	return nil
}

func isArchive(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	magic := make([]byte, len(journal.ArchiveMagic))
	_, err = io.ReadFull(f, magic)
	return err == nil && bytes.Equal(magic, []byte(journal.ArchiveMagic)), nil
}

func verifyArchive(path string, campus ed25519.PublicKey, out io.Writer) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	a, err := journal.ReadArchive(f, campus, func(int64, []byte) error { return nil })
	if err != nil {
		fmt.Fprintln(out, err)
		return errDamaged
	}
	who := "whose key nobody has vouched for (no --campus)"
	if campus != nil {
		who = "whose key the campus has signed"
	}
	_, err = fmt.Fprintf(out, "archive of %d entries of terminal %s, epoch %s, %s\nwhole: root %s\n",
		a.Checkpoint.Size, a.Certificate.Terminal, a.Checkpoint.Epoch, who, a.Checkpoint.Root)
	return err
}

func exportLedger(args []string, out io.Writer) error {
	f := newLedgerFlags("export")
	format := f.String("format", "archive", "archive (which proves itself), csv or hledger")
	to := f.String("o", "", "file to write; to the screen if empty")
	sealed := f.String("sealed", "", "file to write an archive to that only the campus can open")
	if err := f.parse(args, 0, 1); err != nil {
		return err
	}
	path, c, p, err := f.source()
	if err != nil {
		return err
	}
	e := exporter{path: path, format: *format, papers: p}
	if f.Arg(0) == "" {
		if _, k, err := readIdentity(c); err == nil {
			e.key = k.Journal
		}
	}
	switch {
	case *sealed != "" && p == nil:
		return fmt.Errorf("nobody to seal it to: %s has no terminal's papers", f.config)
	case *sealed != "":
		e.format = "archive"
		return identity.Export(p, *sealed, path, e.write)
	case *to == "":
		_, err = e.write(out)
		return err
	}
	from, err1 := os.Stat(path)
	if over, err2 := os.Stat(*to); err1 == nil && err2 == nil && os.SameFile(from, over) {
		return fmt.Errorf("%s is the journal itself: %w", *to, fs.ErrExist)
	}
	return writeWhole(*to, func(w io.Writer) error { _, err := e.write(w); return err })
}

// exporter writes a journal out.
type exporter struct {
	path, format string
	papers       *client.Provisioning // nil: an archive can not be made
	key          crypto.Signer        // nil: an archive ends with what was signed for
}

func (e exporter) write(w io.Writer) (head journal.Head, err error) {
	err = ledger.ReadFile(context.Background(), e.path, func(s ledger.Snapshot) error {
		head = s.Head
		switch e.format {
		case "csv":
			return export.CSV(s, w)
		case "hledger":
			return export.Hledger(s, w)
		case "archive":
		default:
			return fmt.Errorf("%w: format %q", errUsage, e.format)
		}
		if e.papers == nil || e.papers.JournalCertificate.Terminal != s.Terminal {
			return fmt.Errorf("an archive needs the papers of terminal %s (--config)", s.Terminal)
		}
		head, err = export.Archive(s, e.papers.JournalCertificate, e.key, w)
		return err
	})
	return head, err
}

// writeWhole writes a file that is there in whole, or not at all, and on the disk
// when it returns: what it was written of may be wiped next.
func writeWhole(path string, write func(io.Writer) error) (err error) {
	f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err = errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path+".part"))
	}
	if err := os.Rename(path+".part", path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func backupLedger(args []string, out io.Writer) error {
	f := newLedgerFlags("backup")
	if err := f.parse(args, 1, 1); err != nil {
		return err
	}
	c, err := ReadConfig(f.config)
	if err != nil {
		return err
	}
	if err := ledger.BackupFile(context.Background(), c.Journal, f.Arg(0)); err != nil {
		return err
	}
	r, err := ledger.VerifyFile(context.Background(), f.Arg(0), ledger.Trust{})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s: %d entries of epoch %s, whole\n", f.Arg(0), r.Entries, r.Head.Epoch)
	return err
}

func restoreLedger(args []string, out io.Writer) error {
	f := newLedgerFlags("restore")
	if err := f.parse(args, 1, 1); err != nil {
		return err
	}
	c, err := ReadConfig(f.config)
	if err != nil {
		return err
	}
	var o ledger.Options // of nobody, on a machine that is yet to be enrolled
	if _, err := os.Stat(c.Terminal); !errors.Is(err, fs.ErrNotExist) {
		p, keys, err := readIdentity(c)
		if err != nil {
			return err
		}
		o = bookOptions(c, p, keys)
	}
	if err := ledger.Restore(context.Background(), f.Arg(0), c.Journal, o); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s is there again. What was done since is upstream, and in the mirror: "+
		"quancun ledger recover\n", c.Journal)
	return err
}

func recoverLedger(args []string, out io.Writer) error {
	f := newLedgerFlags("recover")
	if err := f.parse(args, 0, 0); err != nil {
		return err
	}
	c, err := ReadConfig(f.config)
	if err != nil {
		return err
	}
	p, keys, err := readIdentity(c)
	if err != nil {
		return err
	}
	r, err := ledger.Recover(context.Background(), c.Journal, bookOptions(c, p, keys))
	if errors.Is(err, ledger.ErrNotFound) {
		fmt.Fprintln(out, err)
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "journal of epoch %s: %d entries read in it, %d only in the mirror, %d carried over.\n",
		r.Epoch, r.Journal, r.Mirror, r.Carried)
	if r.Gone > 0 {
		fmt.Fprintf(out, "The mirror is damaged: %d entries are in neither. Keep both files.\n", r.Gone)
	}
	_, err = fmt.Fprintln(out, "Count the drawer.")
	return err
}

// readCampusKey reads the campus's public key: 64 hexadecimal digits, as
// campusd prints them, or a terminal's papers that have it.
func readCampusKey(path string) (ed25519.PublicKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if key, err := hex.DecodeString(strings.TrimSpace(string(text))); err == nil && len(key) == ed25519.PublicKeySize {
		return key, nil
	}
	p, err := client.ParseProvisioning(text)
	if err != nil || p.CampusKey == nil {
		return nil, fmt.Errorf("%s: no campus key: want 64 hexadecimal digits, or a terminal's papers", path)
	}
	return p.CampusKey, nil
}
