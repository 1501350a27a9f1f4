package printer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"quancun/kiosk/file"
)

// ErrNoSlip means that no such receipt is kept.
var ErrNoSlip = errors.New("printer: no such receipt is kept")

// printedMax is how many receipts are kept after they were printed, for copies:
// about a week of a busy till.
const printedMax = 5000

// Kept is a receipt in the tray. It is stored as it is.
type Kept struct {
	Slip    Slip      `json:"slip"`
	At      time.Time `json:"at"`      // when it was put there
	Printed bool      `json:"printed"` // the printer has said so
	Unsure  bool      `json:"unsure"`  // it may be on paper already, in part or whole
	Copies  int       `json:"copies"`  // printed besides
}

// Tray keeps receipts in a folder, a file each: until they are printed, and for
// some time after that. It holds no money; what is lost with it can be made again
// from the journal. It is safe for concurrent use by one process.
type Tray struct {
	dir string
	now func() time.Time

	mu   sync.Mutex
	kept map[string]Kept // by ID; guarded by mu
}

// OpenTray opens the tray in a folder, which is made if it is not there. A file
// that cannot be read is left where it is and out of the tray; the error then
// names it, and the tray is good all the same.
func OpenTray(dir string, now func() time.Time) (*Tray, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open tray: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("open tray: %w", err)
	}
	t := &Tray{dir: dir, now: now, kept: map[string]Kept{}}
	var bad []error
	for _, path := range files {
		var k Kept
		b, err := os.ReadFile(path)
		if err == nil {
			b, err = file.Unsealed(b)
		}
		if err == nil {
			err = json.Unmarshal(b, &k)
		}
		if err == nil && t.file(k.Slip.ID) != path {
			err = errors.New("it is called otherwise")
		}
		if err != nil {
			bad = append(bad, fmt.Errorf("open tray: %s: %w", filepath.Base(path), err))
			continue
		}
		t.kept[k.Slip.ID] = k
	}
	return t, errors.Join(bad...)
}

// isID reports whether a name can be that of a file.
func isID(id string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
	return id != "" && len(id) <= 64 && strings.Trim(id, letters) == ""
}

func (t *Tray) file(id string) string { return filepath.Join(t.dir, id+".json") }

// Keep puts a receipt into the tray. One that is there already stays as it is.
func (t *Tray) Keep(s Slip) error { return t.keep(Kept{Slip: s}) }

// KeepUnsure does the same with one that may have been printed before.
func (t *Tray) KeepUnsure(s Slip) error { return t.keep(Kept{Slip: s, Unsure: true}) }

func (t *Tray) keep(k Kept) error {
	if !isID(k.Slip.ID) {
		return fmt.Errorf("keep receipt: %q is no name of one", k.Slip.ID)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, there := t.kept[k.Slip.ID]; there {
		return nil
	}
	k.At = t.now()
	return t.put(k)
}

// Begins returns when the oldest receipt was put there; the zero time if there is
// none.
func (t *Tray) Begins() (oldest time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.kept {
		if oldest.IsZero() || k.At.Before(oldest) {
			oldest = k.At
		}
	}
	return oldest
}

// put writes a receipt down. mu is held.
func (t *Tray) put(k Kept) error {
	b, err := json.Marshal(k)
	if err == nil {
		err = replace(t.file(k.Slip.ID), file.Sealed(b))
	}
	if err != nil {
		return fmt.Errorf("keep receipt: %w", err)
	}
	t.kept[k.Slip.ID] = k
	return nil
}

// replace writes a file so that after a power cut it is the old one or the new
// one.
func replace(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "tray-*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // after the renaming it is not there
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// change changes a receipt that is kept.
func (t *Tray) change(id string, f func(*Kept)) (Kept, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k, there := t.kept[id]
	if !there {
		return Kept{}, ErrNoSlip
	}
	f(&k)
	if err := t.put(k); err != nil {
		return Kept{}, err
	}
	t.forget()
	return k, nil
}

// forget takes the oldest of too many receipts away that were printed. mu is
// held. What cannot be deleted is tried again another time.
func (t *Tray) forget() {
	var printed []Kept
	for _, k := range t.kept {
		if k.Printed {
			printed = append(printed, k)
		}
	}
	if len(printed) <= printedMax {
		return
	}
	slices.SortFunc(printed, func(a, b Kept) int { return a.At.Compare(b.At) })
	for _, k := range printed[:len(printed)-printedMax] {
		if err := os.Remove(t.file(k.Slip.ID)); err == nil || errors.Is(err, os.ErrNotExist) {
			delete(t.kept, k.Slip.ID)
		}
	}
}

// Unprinted returns what waits for the printer, the oldest first.
func (t *Tray) Unprinted() []Kept {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []Kept
	for _, k := range t.kept {
		if !k.Printed {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b Kept) int { return a.At.Compare(b.At) })
	return all
}

// Get returns a receipt that is kept, or [ErrNoSlip].
func (t *Tray) Get(id string) (Kept, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k, there := t.kept[id]
	if !there {
		return Kept{}, ErrNoSlip
	}
	return k, nil
}

// Marks are what is printed first on what is no original.
type Marks struct {
	Copy   string // with %d for the how-manieth copy it is, such as "副本 %d"
	Unsure string // on one that may have been printed before, such as "补打"
}

// Desk prints receipts, and keeps what could not be printed. It is safe for
// concurrent use.
type Desk struct {
	Printer *Printer
	Tray    *Tray
	Marks   Marks

	mu sync.Mutex // held while one is printed: nobody prints the same beside it
}

// Print keeps a receipt and prints it. After an error it stays in the tray, and
// [Desk.PrintKept] prints it when the printer is ready again. The same receipt
// again, once it was printed, is not printed again: that is a copy.
func (d *Desk) Print(ctx context.Context, s Slip) error {
	if err := d.Tray.Keep(s); err != nil {
		return err
	}
	return d.print(ctx, s.ID)
}

// print prints what is kept, once. That it may be on paper is written down before, and
// whether it is before the next one.
func (d *Desk) print(ctx context.Context, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	k, err := d.Tray.Get(id)
	if err != nil || k.Printed {
		return err
	}
	s := k.Slip
	if k.Unsure {
		s.Mark = d.Marks.Unsure
	}
	if _, err := d.Tray.change(id, func(k *Kept) { k.Unsure = true }); err != nil {
		return err
	}
	err = d.Printer.Print(ctx, s) // if the power fails in it, nobody knows either
	was := k.Unsure
	_, err2 := d.Tray.change(id, func(k *Kept) {
		k.Printed, k.Unsure = err == nil, errors.Is(err, ErrUnsure) || err != nil && was
	})
	return errors.Join(err, err2)
}

// PrintKept prints what waits, the oldest first, until the printer says no. It
// returns how many it has printed.
func (d *Desk) PrintKept(ctx context.Context) (n int, err error) {
	for _, k := range d.Tray.Unprinted() {
		if err := d.print(ctx, k.Slip.ID); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// Copy prints a receipt once more, marked as the how-manieth copy it is, which it
// returns. It is counted before it is printed, so that none is printed
// uncounted. A receipt that was never printed is printed as such.
func (d *Desk) Copy(ctx context.Context, id string) (n int, err error) {
	k, err := d.Tray.Get(id)
	if err != nil {
		return 0, err
	}
	if !k.Printed {
		return 0, d.print(ctx, id)
	}
	if k, err = d.Tray.change(id, func(k *Kept) { k.Copies++ }); err != nil {
		return 0, err
	}
	s := k.Slip
	s.Mark = fmt.Sprintf(d.Marks.Copy, k.Copies)
	return k.Copies, d.Printer.Print(ctx, s)
}
