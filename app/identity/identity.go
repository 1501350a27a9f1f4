// Package identity keeps a terminal's own two keys: one of its certificate
// (ECDSA, P-256), one that signs its journal (Ed25519). Both are made on the
// machine and never leave it. They are made once: renewals go on with them, and
// only retiring the terminal ends them.
//
// # In a file
//
// Both keys are in one file of mode 0600, PKCS #8 in PEM. Whoever copies the
// disk has the terminal, until it is shut out upstream.
//
// # In a TPM 2.0
//
// The file then holds what only this machine's TPM can use. The certificate's
// key never leaves the TPM. TPMs do not do Ed25519, so the journal's key is
// sealed to the TPM, and in this process's memory while it runs. A copy of the
// disk is worth nothing without the TPM, which can not be copied. Neither is
// bound to what the machine has booted: an update of its kernel would make a
// terminal full of unsent sales a stranger.
package identity

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"quancun/upstream/client"
)

// Config says where the keys are.
type Config struct {
	File string // of the keys; with a TPM, of what only it can use
	TPM  string // device of the TPM, such as /dev/tpmrm0; "" for none
}

// store is where keys can be kept.
type store interface {
	// generate makes keys and returns the text of their file.
	generate() ([]byte, error)
	// open returns the keys of a file.
	open(text []byte) (client.Keys, error)
}

func (c Config) store() store {
	if c.TPM != "" {
		return tpm{device: c.TPM}
	}
	return file{}
}

// Open opens keys that [Make] has made. [fs.ErrNotExist] if there are none yet.
func Open(c Config) (client.Keys, error) {
	text, err := readPrivate(c.File)
	if err != nil {
		return client.Keys{}, fmt.Errorf("open keys: %w", err)
	}
	defer clear(text)
	k, err := c.store().open(text)
	if err != nil {
		return client.Keys{}, fmt.Errorf("open keys in %s: %w", c.File, err)
	}
	return k, nil
}

// Make makes keys, and opens them. Keys that are there it opens as they are: a
// terminal that was interrupted while it was being enrolled goes on with them.
func Make(c Config) (client.Keys, error) {
	k, err := Open(c)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	text, err := c.store().generate()
	if err != nil {
		return client.Keys{}, fmt.Errorf("make keys: %w", err)
	}
	defer clear(text)
	if err := writeFile(c.File, text, os.Link); err != nil {
		return client.Keys{}, fmt.Errorf("make keys: %w", err)
	}
	return Open(c)
}

// Destroy ends the keys for good. It is the end of the terminal on this
// machine: what is in its journal and not upstream can no longer be proved.
func Destroy(c Config) error {
	if err := os.Remove(c.File); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("destroy keys: %w", err)
	}
	return syncDir(c.File)
}
