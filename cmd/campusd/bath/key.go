package bath

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"quancun/upstream/bath"
	"quancun/upstream/keys"
)

// key writes what a controller is to be given, or what all of them are.
func (c command) key(args []string) error {
	file := c.flags.String("o", "", "file to write")
	all := c.flags.Bool("all", false, "of all halls: -o is a folder, whose setups are replaced")
	words := 0
	for words < min(len(args), 2) && !strings.HasPrefix(args[words], "-") {
		words++
	}
	return c.on(args, words, func(d *bath.Desk, words []string) error {
		n, err := numbers(words)
		switch {
		case err != nil:
			return err
		case *file == "":
			return fmt.Errorf("-o is missing\n%w", ErrUsage)
		case *all == (len(words) > 0):
			return fmt.Errorf("which hall?\n%w", ErrUsage)
		case *all:
			return c.allKeys(d, *file)
		}
		return c.writeSetup(d, controller{n[0], append(n, 0)[1]}, *file)
	})
}

// controller is that of a stall, or of a whole hall if the stall is 0.
type controller struct{ hall, stall uint16 }

func (c command) writeSetup(d *bath.Desk, of controller, file string) error {
	s, err := d.Setup(c.ctx, of.hall, of.stall)
	if err != nil {
		return err
	}
	if err := keys.WriteSecret(file, s.Encode()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "Setup of %s for this month and the next: %s\n"+
		"Bring it to the controller on a medium that you can destroy, and remove it here.\n", s.Name, file)
	return err
}

// allKeys writes the setups of all controllers into a folder, as HALL-STALL.json.
// A hall that cannot be used yet has none.
func (c command) allKeys(d *bath.Desk, folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	halls, err := d.Halls(c.ctx)
	if err != nil {
		return err
	}
	for _, h := range halls {
		if len(h.Slots) == 0 {
			continue
		}
		for _, of := range controllers(h) {
			file := filepath.Join(folder, fmt.Sprintf("%d-%d.json", of.hall, of.stall))
			if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			if err := c.writeSetup(d, of, file); err != nil {
				return err
			}
		}
	}
	return nil
}

func controllers(h bath.Hall) (all []controller) {
	for _, s := range h.Stalls {
		switch {
		case !h.Whole:
			all = append(all, controller{h.No, s.No})
		case len(all) == 0:
			all = append(all, controller{h.No, 0})
		}
	}
	return all
}
