package stack

import (
	"context"
	"path/filepath"
)

// giveSetups gives the lab's water controllers what they need for this month and
// the next, as somebody does every month. A lab that runs has its own until it is
// started again.
func (s *Stack) giveSetups(ctx context.Context) (err error) {
	s.Tell("giving the showers their keys")
	if _, err := s.Campusd(ctx, "bath", "key", "--all", "-o", s.File("baths")); err != nil {
		return err
	}
	if s.setups, err = filepath.Glob(s.File("baths/*.json")); err == nil {
		s.Lab.Args = s.labArgs()
	}
	return err
}
