package identity

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"quancun/journal"
	"quancun/upstream/client"
)

// Export makes a file at path that only the campus can open, for a person to
// carry to the upstream: what write writes, which is a journal's archive
// ([journal.WriteArchive]), and how far that goes. When the file is whole and on
// its disk, the journal's own folder notes it: see [Exported].
func Export(p *client.Provisioning, path, book string, write func(io.Writer) (journal.Head, error)) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // a stick cannot always link
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	head, err := sealInto(f, p, write)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("export: %w", errors.Join(err, os.Remove(path)))
	}
	if err := syncDir(path); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	note := fmt.Appendf(nil, "%s %d\n", head.Epoch, head.Seq)
	if err := writeFile(noteOf(book), note, os.Rename); err != nil {
		return fmt.Errorf("note export: %w", err)
	}
	return nil
}

func sealInto(f io.Writer, p *client.Provisioning, write func(io.Writer) (journal.Head, error)) (journal.Head, error) {
	w, err := p.Seal(f)
	if err != nil {
		return journal.Head{}, err
	}
	head, err := write(w)
	if err != nil {
		return journal.Head{}, err
	}
	return head, w.Close()
}

// Exported reports whether a journal is in a sealed export, up to head.
func Exported(book string, head journal.Head) (bool, error) {
	text, err := os.ReadFile(noteOf(book))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var epoch string
	var seq int64
	if _, err := fmt.Sscanf(string(text), "%s %d\n", &epoch, &seq); err != nil {
		return false, fmt.Errorf("read note of export: %w", err)
	}
	return epoch == head.Epoch.String() && seq >= head.Seq, nil
}

func noteOf(book string) string { return book + ".sealed" }
