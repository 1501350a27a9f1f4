package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Create makes a card that lives in a new file at path. Every change is on disk
// before the card answers for it. The file holds the card's keys, so nobody but
// its owner may read it.
//
// It fails if the file exists: two cards in one file would be a forgery.
func Create(path string, s State) (*Card, error) {
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("sim: card file %s exists, or: %w", path, errors.Join(err, os.ErrExist))
	}
	if err := save(path, s); err != nil {
		return nil, err
	}
	return Load(path)
}

// Load returns the card that lives in the file at path.
func Load(path string) (*Card, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("sim: read card: %w", err)
	}
	var s State
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("sim: card file %s: %w", path, err)
	}
	if err := s.validate(); err != nil {
		return nil, fmt.Errorf("sim: card file %s: %w", path, err)
	}
	c := New(s)
	c.store = func(s State) error { return save(path, s) }
	return c, nil
}

// save replaces the file at path as a whole: after a power cut it is the old
// state or the new one.
func save(path string, s State) (err error) {
	text, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return fmt.Errorf("sim: write card: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".card-*") // mode 0600
	if err != nil {
		return fmt.Errorf("sim: write card: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("sim: write card: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// validate refuses a state with which the card could not even run.
func (s State) validate() error {
	switch s.Model {
	case Bank, M1, Blank:
		return nil
	case Campus:
	default:
		return fmt.Errorf("model %q is unknown", s.Model)
	}
	switch {
	case len(s.AID) == 0 && s.DF == 0:
		return errors.New("there is no application")
	case len(s.PIN) < 2 || len(s.PIN) > 6 || s.PINTries < 0 || s.PINTries > pinTriesMax:
		return errors.New("the PIN is malformed")
	case s.Last.Type != 0 && (len(s.Last.MAC) != 4 || len(s.Last.TAC) != 4):
		return errors.New("the last proof is malformed")
	}
	return nil
}
