package disk

// #include <stdlib.h>
// #include "disk.h"
import "C"

import (
	"errors"
	"io"
	"os"
	"path"
	"unsafe"
)

// File is an open file that SQLite knows nothing of, such as a backup or a
// mirror. Like the disk's other files it is volatile until it is synced, and
// its name is until its directory is.
//
// One goroutine uses it at a time.
type File struct {
	d    *Disk
	path string
	node C.int
	off  int64 // of the next Write or Read
}

// Open opens the file at path for reading and writing, with those of
// [os.O_CREATE], [os.O_EXCL], [os.O_TRUNC] and [os.O_APPEND] that are in flag.
func (d *Disk) Open(name string, flag int) (*File, error) {
	create := C.int(0)
	switch {
	case flag&os.O_CREATE != 0 && flag&os.O_EXCL != 0:
		create = 2
	case flag&os.O_CREATE != 0:
		create = 1
	}
	f := &File{d: d, path: path.Clean(name)}
	c := C.CString(f.path)
	defer C.free(unsafe.Pointer(c))
	if err := failed("open", f.path, C.file_open(d.c, c, create, &f.node)); err != nil {
		return nil, err
	}
	var err error
	switch {
	case flag&os.O_TRUNC != 0:
		err = f.Truncate(0)
	case flag&os.O_APPEND != 0:
		f.off, err = f.Size()
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Close ends the use of f. It makes nothing durable.
func (f *File) Close() error {
	C.file_close(f.d.c, f.node)
	return nil
}

// Size returns the file's length in bytes.
func (f *File) Size() (int64, error) {
	size := int64(C.file_size(f.d.c, f.node))
	if size < 0 {
		return 0, failed("stat", f.path, C.int(-1))
	}
	return size, nil
}

// ReadAt reads at off. It implements [io.ReaderAt].
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n := C.int64_t(len(p))
	code := C.file_read(f.d.c, f.node, C.int64_t(off), unsafe.Pointer(&p[0]), &n)
	if err := failed("read", f.path, code); err != nil {
		return 0, err
	}
	if int(n) < len(p) {
		return int(n), io.EOF
	}
	return int(n), nil
}

// Read reads on. It implements [io.Reader].
func (f *File) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.off)
	f.off += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

// WriteAt writes at off. It implements [io.WriterAt]. When it fails, some of p
// may have been written.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	code := C.file_write(f.d.c, f.node, C.int64_t(off), unsafe.Pointer(&p[0]), C.int64_t(len(p)))
	if err := failed("write", f.path, code); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Write writes on. It implements [io.Writer].
func (f *File) Write(p []byte) (int, error) {
	n, err := f.WriteAt(p, f.off)
	f.off += int64(n)
	return n, err
}

// Truncate makes the file size bytes long.
func (f *File) Truncate(size int64) error {
	return failed("truncate", f.path, C.file_truncate(f.d.c, f.node, C.int64_t(size)))
}

// Sync makes the file's content durable.
func (f *File) Sync() error { return failed("sync", f.path, C.file_sync(f.d.c, f.node)) }

// Size returns how many bytes the file at path has.
func (d *Disk) Size(path string) (int64, error) {
	f, err := d.Open(path, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.Size()
}

// ReadFile returns what is in the file at path.
func (d *Disk) ReadFile(path string) ([]byte, error) {
	f, err := d.Open(path, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	content := make([]byte, size)
	n, err := f.ReadAt(content, 0)
	if errors.Is(err, io.EOF) { // it has become shorter meanwhile
		err = nil
	}
	return content[:n], err
}

// WriteFile makes a file at path, or replaces what is in it, durably.
func (d *Disk) WriteFile(name string, content []byte) error {
	f, err := d.Open(name, os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(content); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return d.SyncDir(path.Dir(f.path))
}
