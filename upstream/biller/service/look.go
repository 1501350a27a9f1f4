package service

import (
	"context"
	"time"
)

// When Run asks a biller that nobody else has asked meanwhile.
const (
	lookEvery = 15 * time.Second // one that is away: terminals offer it again when it answers
	quietMax  = 5 * time.Minute  // one that answers: a terminal says since when it is away
)

// nobody has a network account. Whatever the box says to that name is an answer.
const nobody = "0"

// Run asks billers whether they answer, until ctx ends, and returns its error.
// Without it one that has failed once would stay away for ever: terminals do not
// send anybody to it.
func (s *Service) Run(ctx context.Context) error {
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	for {
		s.Look(ctx)
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Look asks each biller once that is away, or that nobody has asked for a while.
func (s *Service) Look(ctx context.Context) {
	for _, b := range s.Billers {
		h, _ := s.Desk.Health(b.Name)
		if h.DownSince.IsZero() && time.Since(h.Answered) < quietMax {
			continue
		}
		_, _ = lookUp(ctx, s, b, func(ctx context.Context) (any, error) { // notes what it says
			if b.Network != nil {
				return b.Network.Account(ctx, nobody)
			}
			return b.Rooms.Places(ctx, nil)
		})
	}
}
