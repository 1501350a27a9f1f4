package outside

import (
	"context"

	"quancun/upstream/channel"
)

// register is all that a service has moved, as it tells in its statements. What is
// in it stays there.
type register struct{ lines []channel.Line }

func (r *register) enter(l channel.Line) { r.lines = append(r.lines, l) }

// Bill implements [channel.Statements].
func (r *register) Bill(_ context.Context, day channel.Day) (channel.Statement, error) {
	s := channel.Statement{Day: day}
	for _, l := range r.lines {
		if channel.DayOf(l.At) == day {
			s.Lines = append(s.Lines, l)
		}
	}
	if len(s.Lines) == 0 {
		return s, channel.ErrNoStatement
	}
	return s, nil
}

var _ channel.Statements = (*register)(nil)
