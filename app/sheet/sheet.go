// Package sheet saves what the staff have looked at as files: a table for a
// spreadsheet (CSV, RFC 4180), and a page to read and to print (PDF). It knows
// nothing of what a report is about.
package sheet

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"quancun/beijing"
	"quancun/kiosk/dialog"
	"quancun/kiosk/file"
	"quancun/ui/text"
)

// keptMax is how many files stay, the newest: two for each report, five a day for
// half a year.
const keptMax = 2000

// Folder is where reports are saved. It may be used from one goroutine at a time.
type Folder struct {
	Dir   string
	Media string // folder below which removable media are mounted; "" for none
	Place string // as the till is called
	Texts *text.Texts
	Now   func() time.Time
	Log   *slog.Logger

	isMount func(dir string) bool // nil: by its device
}

// Save writes a report as a table and as a page, and returns where they are, but
// for their endings: on the removable medium that is mounted, and where there is
// none, or it takes nothing, in the folder, which has them in any case. What is
// there after a power cut is whole.
func (f *Folder) Save(_ context.Context, r dialog.Report) (place string, err error) {
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return "", fmt.Errorf("save report: %w", err)
	}
	at := f.Now().In(beijing.Zone)
	table, err := f.table(r)
	if err != nil {
		return "", fmt.Errorf("save report: %w", err)
	}
	page, err := f.page(r, at)
	if err != nil {
		return "", fmt.Errorf("save report: %w", err)
	}
	files := map[string][]byte{".csv": table, ".pdf": page}
	base := at.Format("20060102-150405") + "-" + name(r.Title)
	place = filepath.Join(f.Dir, base)
	if err := errors.Join(write(place, files), f.forget()); err != nil {
		return "", fmt.Errorf("save report: %w", err)
	}
	for _, dir := range f.media() {
		there := filepath.Join(dir, base)
		if err := write(there, files); err != nil { // full, worn out, or to be read only
			f.Log.Warn("report not saved on the medium", "dir", dir, "err", err)
			continue
		}
		return there, nil
	}
	return place, nil
}

// media returns where removable media are mounted: directly below the folder, or
// one further down, where a desktop has a folder for each user.
func (f *Folder) media() (dirs []string) {
	if f.Media == "" {
		return nil
	}
	is := f.isMount
	if is == nil {
		is = isMount
	}
	for _, pattern := range []string{"*", "*/*"} {
		all, _ := filepath.Glob(filepath.Join(f.Media, pattern)) // only of a bad pattern there is an error
		dirs = append(dirs, slices.DeleteFunc(all, func(dir string) bool { return !is(dir) })...)
	}
	return dirs
}

// isMount reports whether another file system begins at a folder. A folder that was
// left when a stick was pulled is none: what is written there nobody takes along.
func isMount(dir string) bool {
	here, err1 := os.Stat(dir)
	above, err2 := os.Stat(filepath.Dir(dir))
	if err1 != nil || err2 != nil || !here.IsDir() {
		return false
	}
	a, ok1 := here.Sys().(*syscall.Stat_t)
	b, ok2 := above.Sys().(*syscall.Stat_t)
	return ok1 && ok2 && a.Dev != b.Dev
}

// write writes files that differ in their endings, and has them on the medium when
// it returns.
func write(place string, files map[string][]byte) error {
	for ending, b := range files {
		if err := file.Replace(place+ending, b); err != nil {
			return err
		}
	}
	return nil
}

// name is a word as part of a file's name.
func name(w dialog.Word) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, string(w))
}

// table returns a report as a table: its facts, an empty line, and its rows. It
// begins with the mark by which spreadsheets know UTF-8.
func (f *Folder) table(r dialog.Report) ([]byte, error) {
	b := bytes.NewBufferString("\uFEFF")
	out := csv.NewWriter(b)
	out.UseCRLF = true
	rows := [][]string{{f.word(r.Title), r.No}}
	for _, x := range r.Facts {
		rows = append(rows, []string{f.word(x.Name), f.cell(x)})
	}
	if len(r.Table.Heads) > 0 {
		rows = append(rows, []string{""}, f.heads(r.Table))
	}
	for _, row := range r.Table.Rows {
		var cells []string
		for _, x := range row {
			cells = append(cells, f.cell(x))
		}
		rows = append(rows, cells)
	}
	if err := out.WriteAll(rows); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (f *Folder) heads(t dialog.Table) (all []string) {
	for _, h := range t.Heads {
		all = append(all, f.word(h))
	}
	return all
}

func (f *Folder) word(w dialog.Word) string {
	if w == "" {
		return ""
	}
	return f.Texts.T("dialog." + string(w))
}

// cell is a value as a spreadsheet reads it. A text is never taken for a formula.
func (f *Folder) cell(x dialog.Fact) string {
	switch x.Kind {
	case dialog.IsAmount:
		return x.Amount.String()
	case dialog.IsCount:
		return strconv.FormatInt(x.Count, 10)
	case dialog.IsMoment:
		return x.At.In(beijing.Zone).Format(time.DateTime)
	}
	s := f.Texts.Value(x, time.Time{})
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// forget deletes the oldest of too many files. Their names begin with when they
// were made.
func (f *Folder) forget() error {
	files, err := filepath.Glob(filepath.Join(f.Dir, "[0-9]*-*.*"))
	if err != nil || len(files) <= keptMax {
		return err
	}
	slices.Sort(files)
	var errs []error
	for _, file := range files[:len(files)-keptMax] {
		if err := os.Remove(file); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
