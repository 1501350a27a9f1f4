package clearing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"quancun/upstream/channel"
	"quancun/upstream/reconcile"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// AlarmNotReconciled tells of a day that has stayed without a statement.
const AlarmNotReconciled store.AlarmKind = "not reconciled" // source and day

// When things are done, and how patiently.
const (
	// billHour is when yesterday's bill is expected, in Beijing.
	billHour = 9 * time.Hour

	// absentAfter is after how long, from the end of a day of which we have
	// nothing, a source that has no statement is believed to have nothing
	// either. Bills are late at times, but not for a day.
	absentAfter = 24 * time.Hour

	// absentUntil is how long such a day is asked about again, once a day.
	absentUntil = 7 * 24 * time.Hour
	absentPause = 20 * time.Hour

	// lateAfter is after how long from its end a day that is not reconciled is
	// an alarm.
	lateAfter = 2 * 24 * time.Hour

	// doubtMax is how many days a source is asked about at once by a clock that is
	// not believed: the upstream may have been off for so long.
	doubtMax = 60

	// failMax is how long days are asked about after one has failed: its bill may be
	// the only one that cannot be read, and a channel that is away takes long to say so.
	failMax = time.Minute

	// retry is the pause while a day is missing, and every the one otherwise:
	// how long a line of the inbox may be open that has been explained.
	retry = 15 * time.Minute
	every = time.Hour
)

// Daily reconciles every day that is over with a channel, catches up on days
// that it has missed, and closes merchants' days. What it has done is in the
// books, and doing it again changes nothing: so it may be stopped at any point,
// and several may run on the same books.
type Daily struct {
	House      *House
	Source     reconcile.Source
	Statements channel.Statements
	Log        *slog.Logger
}

// Run reconciles until ctx ends, and returns ctx's error.
func (d *Daily) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		missing, err := d.Once(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		pause := every
		if err != nil || missing > 0 {
			pause = retry
		}
		if err != nil {
			d.Log.Error("not reconciled", "source", d.Source, "err", err, "retry_in", pause)
		}
		timer.Reset(pause*3/4 + rand.N(pause/2)) // not all of a country's schools at once
	}
}

// Once does what is due, and returns how many days still miss a statement.
func (d *Daily) Once(ctx context.Context) (missing int, err error) {
	c, err := d.House.calendar(ctx)
	if err != nil {
		return 0, err
	}
	now := d.House.books.Now()
	days, err := d.House.due(ctx, d.Source, now)
	if err != nil {
		return 0, err
	}
	if c.doubt { // a bill that is there is believed, and that there is none is not
		days, now = days[:min(len(days), doubtMax)], c.now(now)
	}
	var failed error
	began := time.Now()
	for _, day := range days {
		there := false
		if failed == nil || time.Since(began) < failMax {
			there, err = d.reconcile(ctx, day, now)
			failed = cmp.Or(failed, err)
		}
		if there {
			continue
		}
		missing++
		if err := d.without(ctx, day, now); err != nil {
			return missing, err
		}
	}
	// What is open may have been explained since, whether a bill came or not.
	o, err := d.House.Compare(ctx, d.Source, "")
	if err == nil {
		err = d.hasten(ctx, o)
	}
	_, _, err2 := d.House.CloseDue(ctx)
	return missing, errors.Join(failed, err, err2, d.House.listLate(ctx))
}

// reconcile fetches a day's statement and compares it. It reports whether the
// day is done with.
func (d *Daily) reconcile(ctx context.Context, day channel.Day, now time.Time) (bool, error) {
	s, err := d.Statements.Bill(ctx, day)
	switch {
	case errors.Is(err, channel.ErrNoStatement):
		return d.absent(ctx, day, now)
	case err != nil:
		return false, fmt.Errorf("reconcile %s: %w", day, err)
	}
	changed, err := d.House.SaveStatement(ctx, d.Source, s)
	if err != nil {
		return false, fmt.Errorf("reconcile %s: %w", day, err)
	}
	o, err := d.House.Compare(ctx, d.Source, day)
	if err != nil {
		return false, fmt.Errorf("reconcile %s: %w", day, err)
	}
	d.Log.Info("reconciled", "source", d.Source, "day", day, "lines", len(s.Lines), "changed", changed,
		"matched", o.Matched, "even", o.Even, "open", o.Open, "opened", o.Opened, "closed", o.Closed)
	return true, d.hasten(ctx, o)
}

// absent decides what it means that a source has no statement for a day.
func (d *Daily) absent(ctx context.Context, day channel.Day, now time.Time) (bool, error) {
	moved, err := d.House.moved(ctx, d.Source, day)
	if err != nil || moved || now.Before(day.Add(1).Start().Add(absentAfter)) {
		return false, err
	}
	if err := d.House.NoStatement(ctx, d.Source, day); err != nil {
		return false, err
	}
	_, err = d.House.Compare(ctx, d.Source, day)
	return err == nil, err
}

// hasten lets the engine ask about orders that were paid, as a statement says.
// If it finds them paid it credits them, which closes their lines next time.
func (d *Daily) hasten(ctx context.Context, o Outcome) error {
	for _, no := range o.Orders {
		if err := d.House.books.Hasten(ctx, no); err != nil && !errors.Is(err, store.ErrNone) {
			return fmt.Errorf("hasten order %s: %w", no, err)
		}
	}
	return nil
}

// without compares what was booked on a day that has no statement, which may be of days
// that have one, and raises an alarm if it is late.
func (d *Daily) without(ctx context.Context, day channel.Day, now time.Time) error {
	o, err := d.House.Compare(ctx, d.Source, day)
	if err = errors.Join(err, d.hasten(ctx, o)); err != nil {
		return err
	}
	if now.Before(day.Add(1).Start().Add(lateAfter)) {
		return nil
	}
	d.Log.Error("day is not reconciled", "source", d.Source, "day", day)
	_, err = d.House.books.Alarm(ctx, store.Alarm{
		Kind: AlarmNotReconciled, Ref: string(d.Source) + " " + string(day),
		Detail: "no statement that can be read, two days after the day's end",
	})
	return err
}

// due returns the days that are to be asked about, the oldest first: those
// without a statement, those with one that was not compared, and for a week
// those that had none.
func (h *House) due(ctx context.Context, source reconcile.Source, now time.Time) (days []channel.Day, err error) {
	first, err := h.firstDay(ctx, source)
	if err != nil || first == "" {
		return nil, err
	}
	known := map[channel.Day]Statement{}
	all, err := h.Statements(ctx, source)
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		known[s.Day] = s
	}
	last := channel.DayOf(now.Add(-billHour)).Add(-1)
	for day := first; day <= last; day = day.Add(1) {
		s, there := known[day]
		again := s.Absent && now.Before(day.Add(1).Start().Add(absentUntil)) && now.Sub(s.Compared) > absentPause
		ahead := s.Compared.Sub(now) > aheadMax // by a clock that was: the day may not have been over
		if !there || s.Compared.IsZero() || again || ahead {
			days = append(days, day)
		}
	}
	return days, nil
}

// firstDay returns the day of the first movement that a statement may have, or on which
// a channel may have been paid, or "" if there is none: for what was ordered since the
// books were copied, they need know no order, and only the terminal.
func (h *House) firstDay(ctx context.Context, source reconcile.Source) (day channel.Day, err error) {
	if err := h.catchUp(ctx, source); err != nil {
		return "", err
	}
	err = h.books.Read(ctx, func(tx *sqldb.Tx) error {
		var at int64
		err := tx.QueryRow(ctx, `
			SELECT coalesce(min(at_ms), 0) FROM (
				SELECT at_ms FROM movements WHERE account = ?1 AND about <> ''
				UNION ALL SELECT created_ms FROM orders WHERE CAST(?1 AS TEXT) = ?2
				UNION ALL SELECT created_ms FROM payments WHERE CAST(?1 AS TEXT) = ?2
				UNION ALL SELECT added_ms FROM terminals WHERE CAST(?1 AS TEXT) = ?2) AS moments`,
			source, store.ChannelAlipay).Scan(&at)
		if at > 0 {
			day = channel.DayOf(time.UnixMilli(at))
		}
		return err
	})
	return day, err
}

// moved reports whether our books have anything of a day that a source may have, too.
// A correction is ours alone.
func (h *House) moved(ctx context.Context, source reconcile.Source, day channel.Day) (any bool, err error) {
	err = h.books.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT EXISTS (SELECT 1 FROM movements m JOIN entries e ON e.id = m.entry_id
				WHERE m.account = ? AND m.at_ms >= ? AND m.at_ms < ? AND m.about <> '' AND e.kind <> ?
				AND NOT EXISTS (SELECT 1 FROM statement_lines l JOIN statements s ON s.id = l.statement
					WHERE s.source = m.account AND s.superseded_ms IS NULL AND l.about = m.about
						AND l.refund_no = m.refund_no AND l.amount_fen = abs(m.amount_fen)))`,
			source, day.Start().UnixMilli(), day.Add(1).Start().UnixMilli(), store.KindCorrection).Scan(&any)
	})
	return any, err
}
