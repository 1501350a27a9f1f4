package today

import (
	"context"
	"time"

	"quancun/beijing"
	"quancun/journal"
)

// Book is the journal of the terminal that sells.
type Book interface {
	Next(ctx context.Context) (journal.Epoch, int64, error)
	Since(ctx context.Context, from int64, most int) ([]journal.Entry, error)

	// Before returns what older epochs have since then.
	Before(ctx context.Context, since time.Time) ([]journal.Entry, error)
}

// Day is a business day, as the clock of a machine sees it.
type Day struct {
	midnight time.Time
	ahead    time.Duration
}

// DayOf returns the day of now. The machine's clock, which dates the journal, is ahead
// of that.
func DayOf(now time.Time, ahead time.Duration) Day { return Day{beijing.Midnight(now), ahead} }

// Begins returns when the day began, by the machine's clock.
func (d Day) Begins() time.Time { return d.midnight.Add(d.ahead) }

// Counter keeps what counts of a day.
type Counter interface {
	// Begin lets go of everything. gap is why an older epoch, which has a part of the
	// day, cannot be read; nil if nothing is missing.
	Begin(gap error)

	// Add counts an entry. What a new epoch has carried over comes as it was first
	// written, and may come once more from there.
	Add(e journal.Entry, at Mark)

	// Forget lets go of what was before since.
	Forget(since time.Time)
}

// margin is how long before midnight entries still count: longer than a code can be
// shown again, and than two clocks are apart.
const margin = 10 * time.Minute

// page is how many entries are read at once.
const page = 500

// Reader reads a day out of the journal alone, and again after each start. It is empty
// at first.
type Reader struct {
	line     Timeline
	midnight time.Time // of the day that was read; zero before anything was
	next     int64     // entry to go on from
	epoch    journal.Epoch
	gap      bool
}

// When returns when an entry was written, see [Timeline.When].
func (r *Reader) When(m Mark) time.Time { return r.line.When(m) }

// Read brings what counts up to the journal's head. A clock that has been set is in
// the journal before anything is sold by it.
func (r *Reader) Read(ctx context.Context, b Book, d Day, c Counter) error {
	epoch, next, err := b.Next(ctx)
	if err != nil {
		return err
	}
	another := !r.midnight.Equal(d.midnight)
	if r.midnight.IsZero() || r.epoch != epoch || another && r.gap {
		*r = Reader{epoch: epoch} // and so until it is whole
		if r.next, err = first(ctx, b, d, next-1); err == nil {
			err = r.begin(ctx, b, d, c)
		}
		if err != nil {
			return err
		}
	}
	for r.next < next {
		entries, err := b.Since(ctx, r.next, page)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			break
		}
		r.add(c, entries)
		r.next = entries[len(entries)-1].Seq + 1
	}
	if another {
		c.Forget(d.Begins().Add(-24 * time.Hour)) // a day more is kept, since a clock may be set
		r.midnight = d.midnight
	}
	return nil
}

// first returns the entry from which a day is read. The machine's own clock has dated
// them, which may be off and may have been set: a page more is read.
func first(ctx context.Context, b Book, d Day, head int64) (int64, error) {
	since := d.Begins().Add(-margin)
	for at := head - page; at > 0; at -= page {
		entries, err := b.Since(ctx, at, 1)
		if err != nil {
			return 0, err
		}
		if len(entries) > 0 && entries[0].At.Before(since) && entries[0].Clock != journal.ClockUnsure {
			return max(at-page, 1), nil
		}
	}
	return 1, nil
}

// begin reads what an older epoch has of the day, if the journal is younger. Where that
// cannot be read there is a gap, and no new budget.
func (r *Reader) begin(ctx context.Context, b Book, d Day, c Counter) error {
	var older []journal.Entry
	var err error
	if r.next == 1 {
		older, err = b.Before(ctx, d.Begins().Add(-margin))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.gap = err != nil
	c.Begin(err)
	r.add(c, older)
	r.midnight = d.midnight
	return nil
}

func (r *Reader) add(c Counter, entries []journal.Entry) {
	for _, e := range entries {
		at := r.line.Add(e)
		if inner, err := e.Inner(); err == nil {
			c.Add(inner, at)
		}
	}
}
