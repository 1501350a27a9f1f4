package bath

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"quancun/upstream/bath"
)

// take settles by a controller's log. Each line stands for itself: one that no
// controller of ours has made keeps no other from being taken.
func (c command) take(args []string) error {
	return c.on(args, 1, func(d *bath.Desk, words []string) error {
		log, err := os.ReadFile(words[0])
		if err != nil {
			return err
		}
		var sum bath.Taken
		lines, again, bad := 0, 0, 0
		for line := range bytes.Lines(log) {
			if line = bytes.TrimSpace(line); len(line) == 0 {
				continue
			}
			lines++
			t, err := d.Take(c.ctx, "console", line)
			var no *bath.Refusal
			switch {
			case errors.As(err, &no):
				bad++
				continue
			case err != nil:
				return fmt.Errorf("line %d: %w", lines, err)
			case t.Again:
				again++
			}
			sum.Uses, sum.Paid, sum.Freed = sum.Uses+t.Uses, sum.Paid+t.Paid, sum.Freed+t.Freed
			sum.Listed += t.Listed
		}
		fmt.Fprintf(c.out, "%d reports, %d of them taken before: %d showers paid %s, %d holds let go, "+
			"%d lines in the inbox\n", lines, again, sum.Uses, sum.Paid, sum.Freed, sum.Listed)
		if bad > 0 {
			return fmt.Errorf("%d reports are of no controller of these baths", bad)
		}
		return nil
	})
}
