package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/mattn/go-sqlite3"
	"golang.org/x/sys/unix"

	"quancun/journal"
	"quancun/ledger/wal"
)

// FS is the file system that a journal, its mirror and its copies are on. The
// machine's own is the default; a test may put another in its place, whose
// power it can cut.
//
// What is written is durable after [File.Sync]; a name that was made, changed
// or removed is so after SyncDir.
type FS interface {
	// DSN names the database file at path to the SQLite driver: a "file:" URI,
	// with parameters or without.
	DSN(path string) string

	// Lock takes the lock that is named by path, for as long as the process
	// lives or until it is closed. It returns [ErrLocked] if somebody has it.
	Lock(path string) (io.Closer, error)

	// Open opens the file at path with the flags of [os.OpenFile]. Its owner
	// alone may read a file that it makes.
	Open(path string, flag int) (File, error)

	// Size returns how many bytes the file at path has. It touches no lock that
	// this process holds on it.
	Size(path string) (int64, error)

	// Rename gives the file the name to, in place of any that has it.
	Rename(from, to string) error
	Remove(path string) error
	SyncDir(dir string) error

	// Room returns how many bytes are free where path is.
	Room(path string) (uint64, error)
}

// File is an open file of an [FS]. Errors of a file that is not there are
// [fs.ErrNotExist].
type File interface {
	io.ReadWriteCloser
	io.ReaderAt
	Sync() error
}

// system is the machine's own file system.
type system struct{}

func (system) DSN(path string) string { return "file:" + (&url.URL{Path: path}).EscapedPath() }

func (system) Open(path string, flag int) (File, error) {
	f, err := os.OpenFile(path, flag, 0o600)
	if err != nil {
		return nil, err
	}
	if flag&os.O_CREATE == 0 {
		return f, nil
	}
	if err := f.Chmod(0o600); err != nil { // whoever has made it
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (system) Size(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (system) Rename(from, to string) error { return os.Rename(from, to) }
func (system) Remove(path string) error     { return os.Remove(path) }

func (system) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (system) Room(path string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, os.NewSyscallError("statfs", err)
	}
	return uint64(s.Bavail) * uint64(s.Bsize), nil // their types differ between machines
}

// Lock takes an OS lock on a side file, so that no SQLite lock is ever touched,
// and writes this process's ID into it. The kernel gives the lock back when
// the process ends, however it ends; the file itself stays, because removing it
// would let two processes lock two files of one name.
func (system) Lock(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock journal: %w", err)
	}
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		holder := holderOf(f)
		return nil, errors.Join(fmt.Errorf("%w: held by %s (%s)", ErrLocked, holder, path), f.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("lock journal: %w", err), f.Close())
	}
	if err := writeHolder(f); err != nil {
		return nil, errors.Join(fmt.Errorf("lock journal: %w", named(err)), f.Close())
	}
	return f, nil
}

func writeHolder(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// holderOf reads who wrote the lock file last. The holder may be between
// locking and writing, so the answer is only for people to read.
func holderOf(f *os.File) string {
	b, err := io.ReadAll(io.LimitReader(f, 20))
	pid, convErr := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || convErr != nil {
		return "an unknown process"
	}
	return fmt.Sprintf("process %d", pid)
}

// resolve returns the one path under which everybody locks the journal,
// whichever links lead to it.
func resolve(files FS, path string) (string, error) {
	if _, ours := files.(system); !ours {
		return path, nil
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(path); !errors.Is(err, fs.ErrNotExist) {
		return real, err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	return filepath.Join(dir, filepath.Base(path)), err
}

// exists reports whether there is a file at path.
func exists(files FS, path string) (bool, error) {
	_, err := files.Size(path)
	if isMissing(err) {
		return false, nil
	}
	return err == nil, err
}

// readFile returns the content of the file at path, or nil if there is none.
func readFile(files FS, path string) ([]byte, error) {
	f, err := files.Open(path, os.O_RDONLY)
	if isMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(f)
	return content, errors.Join(err, f.Close())
}

// writeFile makes a file, or puts another in its place, whole or not at all.
func writeFile(files FS, path string, content []byte) error {
	part := path + ".part"
	f, err := files.Open(part, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := files.Rename(part, path); err != nil {
		return err
	}
	return files.SyncDir(filepath.Dir(path))
}

// mayReplace returns an error if the mirror at path has what nothing else has: it is
// another terminal's, or comes from a medium that was not there when this journal
// was opened, in place of one that was lost.
func (b *Book) mayReplace(path string) error {
	old, err := readMirror(b.o.FS, path)
	switch {
	case err != nil:
		return err
	case old == nil:
		return nil
	case old.terminal != b.o.Terminal:
		return errForeignMirror
	}
	ctx, answer := context.Background(), error(nil)
	err = b.read(ctx, "compare with mirror", func(q querier) error {
		answer = b.compareMirror(ctx, q, old) // which is no failure of the journal
		return nil
	})
	return errors.Join(err, answer)
}

// checkMirror compares what an older run has left in the mirror with the
// journal. It returns [ErrLost] if the mirror holds entries that the journal has
// not: no power cut does that, but a disk that has died or was swapped, or an
// image that was restored.
func (b *Book) checkMirror(ctx context.Context) error {
	m, err := readMirror(b.o.FS, b.o.Mirror)
	if err != nil || m == nil || m.terminal != b.o.Terminal {
		return nil // there is nothing to learn; that it cannot be written is told later
	}
	return b.compareMirror(ctx, b.s.conn, m)
}

func (b *Book) compareMirror(ctx context.Context, q querier, m *reflection) error {
	if len(m.rows) == 0 {
		return nil
	}
	last, epoch := m.rows[len(m.rows)-1], b.Epoch()
	if m.epoch == epoch {
		h, err := nodes{ctx, q}.hashes(`SELECT hash FROM journal WHERE seq = ?`, last.Seq)
		if err != nil || len(h) == 1 && h[0] == last.hash {
			return err
		}
		return lost(m, "this one has not the last of them")
	}
	first, err := readRows(ctx, q, `WHERE seq = 1`)
	if err != nil {
		return err
	}
	if len(first) == 1 && first[0].Kind == journal.EpochOpened {
		if o, err := first[0].Opening(); err == nil && o.Epoch == m.epoch && last.Seq > o.Head {
			return lost(m, "this one goes on after entry %d of that", o.Head)
		} else if err == nil && o.Epoch == m.epoch && !b.differs(ctx, m.epoch, last) {
			return nil // carried over, and the mirror was not written again
		}
	}
	over, err := exists(b.o.FS, oldName(b.path, m.epoch.String()))
	if err != nil || over && !b.differs(ctx, m.epoch, last) {
		return err
	}
	if carried, err := b.hasCarried(ctx, q, last); err != nil || carried {
		return err // put together with a journal of another epoch, and the mirror was not written again
	}
	return lost(m, "this one is of epoch %s", epoch)
}

// differs reports whether the journal of an epoch that is over has another entry under
// the number of one. It does not where the journal is not there any more, or damaged.
func (b *Book) differs(ctx context.Context, over journal.Epoch, from row) (other bool) {
	_ = readOnly(ctx, b.o.FS, oldName(b.path, over.String()), func(db *sql.DB) error { // else nobody can tell
		h, err := nodes{ctx, db}.hashes(`SELECT hash FROM journal WHERE seq = ?`, from.Seq)
		other = err == nil && (len(h) != 1 || h[0] != from.hash)
		return err
	})
	return other
}

// checkLost returns [ErrLost] if there is no journal, and a mirror of one, and
// [ErrAway] if there was one.
func (b *Book) checkLost() error {
	there, err := exists(b.o.FS, b.path)
	if err != nil || there {
		return err
	}
	m, err := readMirror(b.o.FS, b.o.Mirror)
	switch {
	case err == nil && m != nil && m.terminal == b.o.Terminal:
		return lost(m, "there is no journal at %s", b.path)
	case b.o.Begun:
		return fmt.Errorf("%w: %s", ErrAway, b.path)
	}
	return nil
}

func lost(m *reflection, format string, args ...any) error {
	return fmt.Errorf("%w: it has %d entries after %d of epoch %s, and %s; quancun ledger recover puts them together",
		ErrLost, len(m.rows), m.acked.Seq, m.epoch, fmt.Sprintf(format, args...))
}

// damagedWAL is the ending under which a "-wal" that was damaged is kept.
const damagedWAL = "-wal.damaged"

// checkWAL returns [ErrTampered] if the "-wal" of a journal is damaged, so that
// SQLite would drop transactions that it holds and say nothing, or was, and what
// it held is not recovered yet. Another process may write it meanwhile, which is
// no damage.
func checkWAL(files FS, path string) error {
	if was, err := exists(files, path+damagedWAL); err != nil || was {
		return errors.Join(err, fmt.Errorf("%w: %s%s is not recovered", ErrTampered, path, damagedWAL))
	}
	content, err := readFile(files, path+"-wal")
	if err != nil {
		return err
	}
	if lost, err := lacks(files, path, content); err != nil || !lost {
		return err
	}
	again, err := readFile(files, path+"-wal")
	if err != nil || !bytes.Equal(content, again) {
		return err
	}
	return fmt.Errorf("%w: %s-wal is damaged before its end", ErrTampered, path)
}

// lacks reports whether SQLite, of a journal whose "-wal" has that content, would show
// less than was committed.
func lacks(files FS, path string, content []byte) (bool, error) {
	if !wal.Damaged(content) {
		return false, nil
	}
	f, err := files.Open(path, os.O_RDONLY)
	if err != nil {
		return false, err
	}
	lost, err := wal.Lost(content, f)
	return lost, errors.Join(err, f.Close())
}

// keepWAL returns the "-wal" of a journal if it is damaged, and keeps it first: from
// then on the journal is damaged until that file has another name.
func keepWAL(files FS, path string) ([]byte, error) {
	kept, err := readFile(files, path+damagedWAL)
	if err != nil || kept != nil {
		return kept, err
	}
	content, err := readFile(files, path+"-wal")
	if err != nil {
		return nil, err
	}
	if lost, err := lacks(files, path, content); err != nil || !lost {
		return nil, err
	}
	return content, writeFile(files, path+damagedWAL, content)
}

// salvage gives f what can be read in a journal's file, and returns why not all
// could be read. Of a damaged "-wal" first what SQLite takes is read, then what it
// takes once it is mended: either may have what the other lacks. If that cannot be
// written, or stays in the "-wal" because somebody reads, f is not called.
func salvage(ctx context.Context, files FS, path string, f func(*sql.DB, map[int64]row)) error {
	whole := map[int64]row{}
	damaged, err := keepWAL(files, path)
	if err != nil {
		return err
	}
	var errs []error
	if damaged != nil {
		db := openDB(dsn(files, path, salvageParams), checkVersion)
		errs = append(errs, readWhole(ctx, db, whole), db.Close())
		if err := writeFile(files, path+"-wal", wal.Mend(damaged)); err != nil {
			return err
		}
	}
	db := openDB(dsn(files, path, salvageParams), checkVersion)
	_, err = db.ExecContext(ctx, `PRAGMA journal_mode = DELETE`) // moves what is in the "-wal" into the file
	var s sqlite3.Error
	if errors.As(err, &s) && (s.Code == sqlite3.ErrBusy || s.Code == sqlite3.ErrLocked) {
		return errors.Join(fmt.Errorf("somebody reads %s: %w", path, err), db.Close())
	}
	errs = append(errs, err, readWhole(ctx, db, whole))
	f(db, whole)
	return named(errors.Join(append(errs, db.Close())...))
}

const salvageParams = "mode=rw&_busy_timeout=5000"

// discard removes the file at path, if there is one.
func discard(files FS, path string) error {
	if err := files.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// setAside gives what SQLite keeps beside a database another name.
func setAside(files FS, path, to string) error {
	for _, ending := range besides {
		if err := files.Rename(path+ending, to+ending); err != nil && !isMissing(err) {
			return err
		}
	}
	return nil
}

// Retire puts the journal at path aside, and its mirror, which the keys of the next
// terminal here have not signed. It returns where the journal is then, or "" if there is
// none; before it is there, beside is called to put there what belongs to it. The caller
// holds its lock ([Hold]). After a power cut each of the two is in its place or aside; the
// mirror goes first, since one without its journal means a loss.
func Retire(ctx context.Context, path string, o Options, beside func(kept string) error) (kept string, err error) {
	o = o.filled()
	if path, err = resolve(o.FS, path); isMissing(err) {
		return "", retireMirror(o) // without the journal's folder
	}
	if err == nil {
		err = retireMirror(o)
	}
	if err == nil {
		kept, err = retireFile(ctx, o.FS, path, beside)
	}
	if err != nil {
		return "", fmt.Errorf("put journal aside: %w", named(err))
	}
	return kept, nil
}

func retireMirror(o Options) error {
	m, err := readMirror(o.FS, o.Mirror)
	if err != nil || m == nil || m.terminal != o.Terminal {
		return err
	}
	if err := o.FS.Rename(o.Mirror, oldName(o.Mirror, m.epoch.String())); err != nil {
		return err
	}
	return o.FS.SyncDir(filepath.Dir(o.Mirror))
}

func retireFile(ctx context.Context, files FS, path string, beside func(string) error) (kept string, err error) {
	if there, err := exists(files, path); err != nil || !there {
		return "", err
	}
	if err := checkWAL(files, path); err != nil {
		return "", err
	}
	db := openDB(dsn(files, path, salvageParams), checkVersion)
	epoch, _, err := metaOf(ctx, db)
	if err == nil { // what the "-wal" has goes into the file, which then moves as one
		var mode string
		err = db.QueryRowContext(ctx, `PRAGMA journal_mode = DELETE`).Scan(&mode)
		if err == nil && mode != "delete" {
			err = fmt.Errorf("somebody reads it: its mode is %q", mode)
		}
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return "", err
	}
	kept = oldName(path, epoch.String())
	if there, err := exists(files, kept); err != nil || there {
		return "", errors.Join(err, fmt.Errorf("%s: %w", kept, fs.ErrExist))
	}
	if err := beside(kept); err != nil {
		return "", err
	}
	if err := files.SyncDir(filepath.Dir(path)); err != nil { // a "-wal" that came back would be the next one's
		return "", err
	}
	if err := files.Rename(path, kept); err != nil {
		return "", err
	}
	return kept, files.SyncDir(filepath.Dir(path))
}

// dsn adds the driver's parameters to the name of a database file.
func dsn(files FS, path, params string) string {
	name := files.DSN(path)
	if strings.Contains(name, "?") {
		return name + "&" + params
	}
	return name + "?" + params
}
