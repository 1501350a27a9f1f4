// Package sam is the terminal's purchase SAM (PSAM, 消费安全存取模块): what makes
// MAC1, by which a terminal proves itself to a card, and checks MAC2, by which a
// card does. It is a card in a slot ([Slot]) or, for a site that has none, a file
// ([Open]). Both are told the same commands; section numbers refer to the
// project's notes on the card.
package sam

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"quancun/pboc"
	"quancun/reader/sim"
)

// block is how many transaction numbers are taken from the file at once. A
// restart skips what is left of them: a number is never used twice, and there
// are four thousand million.
const block = 1000

// Software is a SAM that is a file. It is safe for use by several goroutines.
type Software struct {
	path string
	sam  *sim.SAM

	mu   sync.Mutex
	file pboc.SAMFile // as it is on the disk; guarded by mu
	left int          // numbers that are taken and not used; guarded by mu
}

// What is wrong with a SAM.
var (
	// ErrExposed means that others than its owner can read the file.
	ErrExposed = errors.New("sam: file can be read by others than its owner")
	// ErrOther means that it is another terminal's: no card would take its MAC1.
	ErrOther = errors.New("sam: SAM is of another terminal")
)

// Open opens the software SAM in the file at path, for the terminal of that
// number. One program may have it open at a time, which is the one that has the
// terminal's journal.
func Open(path string, terminal pboc.TerminalNo) (*Software, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("sam: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s", ErrExposed, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("sam: %w", err)
	}
	defer clear(text)
	file, err := pboc.ParseSAMFile(text)
	if err != nil {
		return nil, fmt.Errorf("sam: %s: %w", path, err)
	}
	if file.Terminal != terminal {
		return nil, fmt.Errorf("%w: %s", ErrOther, path)
	}
	s := &Software{path: path, file: file, sam: sim.NewSAM(file.Terminal, file.Purchase, file.Next)}
	return s, s.take()
}

// take takes the next block of numbers from the file.
func (s *Software) take() error {
	next := s.file
	next.Next += block
	if err := save(s.path, next); err != nil {
		return fmt.Errorf("sam: %w", err)
	}
	s.file, s.left = next, block
	return nil
}

// save replaces the file in one step: a power cut leaves one of the two.
func save(path string, f pboc.SAMFile) error {
	text := f.Encode()
	defer clear(text)
	part, err := os.OpenFile(path+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = part.Write(text)
	if err = errors.Join(err, part.Sync(), part.Close()); err != nil {
		return errors.Join(err, os.Remove(path+".part"))
	}
	if err := os.Rename(path+".part", path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path)) // else the file before may come back, and its numbers with it
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// initPurchase is the instruction that uses a number up, 5.1.
const initPurchase = 0x70

// Transmit implements purse.Card. An error means that the file could not be
// written; nothing was begun.
func (s *Software) Transmit(command []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(command) > 1 && command[1] == initPurchase {
		if s.left == 0 {
			if err := s.take(); err != nil {
				return nil, err
			}
		}
		s.left--
	}
	return s.sam.Transmit(command)
}

// Close does nothing: the file is as it has to be.
func (s *Software) Close() error { return nil }
