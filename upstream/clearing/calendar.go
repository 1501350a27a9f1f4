package clearing

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"quancun/upstream/channel"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// AlarmClock tells of a clock that is further ahead than anybody else knows of.
const AlarmClock store.AlarmKind = "clock ahead" // the last day that is known to be over

// ErrClockAhead means that the machine's clock is not believed: it is more than
// a week past the last day of which anybody knows that it is over.
var ErrClockAhead = errors.New("clearing: the clock may be ahead")

// unseenMax is how many days at once the clock is believed alone: those of a
// holiday on which the machine is off.
const unseenMax = 7

// calendar says which business days are over.
type calendar struct {
	clock channel.Day // the last one that is, by the clock
	over  channel.Day // the last one that is, as far as it is believed
	doubt bool        // the clock is not believed
}

// calendar reads the clocks, and what the books know besides: which days were
// believed to be over before, and of which a channel has made a bill. No bill is
// made of a day that has not passed.
func (h *House) calendar(ctx context.Context) (c calendar, err error) {
	now := h.books.Now()
	if h.Database != nil {
		at, err := h.Database(ctx)
		if err != nil {
			return c, err
		}
		if at.Before(now) {
			now = at
		}
	}
	c.clock = channel.DayOf(now).Add(-1)
	err = h.books.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT coalesce(max(day), '') FROM (
				SELECT day FROM business_days WHERE day <= ?1
				UNION ALL SELECT day FROM statements
					WHERE source = ?2 AND lines > 0 AND superseded_ms IS NULL AND day <= ?1) AS days`,
			c.clock, store.ChannelAlipay).Scan(&c.over)
	})
	if err != nil {
		return c, fmt.Errorf("read the calendar: %w", err)
	}
	if c.doubt = c.over != "" && c.clock > c.over.Add(unseenMax); !c.doubt {
		c.over = c.clock
	}
	return c, nil
}

func (c calendar) error() error {
	return fmt.Errorf("%w: the last day that is known to be over is %s, and by the clock it is %s: "+
		"if that is right, campusd settle close --day %s --by NAME", ErrClockAhead, c.over, c.clock, c.clock)
}

// Over returns the last business day that is over, and [ErrClockAhead] with the last
// one of which that is known, if the clock is not believed.
func (h *House) Over(ctx context.Context) (channel.Day, error) {
	c, err := h.calendar(ctx)
	if err == nil && c.doubt {
		err = c.error()
	}
	return c.over, err
}

// now returns the time that goes with what is believed: the clock's, or the moment
// at which the last day that is over had ended.
func (c calendar) now(clock time.Time) time.Time {
	if !c.doubt {
		return clock
	}
	return c.over.Add(1).Start()
}

// believe notes that a day is over.
func (h *House) believe(ctx context.Context, day channel.Day, by string) error {
	err := h.books.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO business_days (day, seen_ms, said_by) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, day, h.ms(), by)
		return err
	})
	if err != nil {
		return fmt.Errorf("note that %s is over: %w", day, err)
	}
	return nil
}

// Confirm notes that a day is over, as a person says who has looked at another
// clock. It returns [ErrNotOver] if it is not even by the machine's.
func (h *House) Confirm(ctx context.Context, day channel.Day, by string) error {
	if by = strings.TrimSpace(by); by == "" {
		return fmt.Errorf("confirm %s: %w", day, ErrUnsigned)
	}
	c, err := h.calendar(ctx)
	if err != nil {
		return err
	}
	if day > c.clock {
		return fmt.Errorf("confirm %s: %w", day, ErrNotOver)
	}
	return h.believe(ctx, day, by)
}

// CloseDue closes merchants' days up to the last one that is over, and returns
// which that is. If the clock is not believed it does so up to the last one that is
// known to be over, raises an alarm, and returns [ErrClockAhead].
func (h *House) CloseDue(ctx context.Context) (closed int, through channel.Day, err error) {
	c, err := h.calendar(ctx)
	if err != nil {
		return 0, "", err
	}
	closed, err = h.closeDays(ctx, c.over)
	if err != nil || !c.doubt {
		return closed, c.over, err
	}
	_, err = h.books.Alarm(ctx, store.Alarm{
		Kind: AlarmClock, Ref: string(c.over), Detail: fmt.Sprintf("by the clock %s is over", c.clock),
	})
	return closed, c.over, errors.Join(c.error(), err)
}
