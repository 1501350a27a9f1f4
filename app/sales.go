package app

import (
	"context"
	"encoding/csv"
	"flag"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"quancun/beijing"
	"quancun/journal"
	"quancun/kiosk/shift"
	"quancun/ledger"
)

var salesBy = map[string]shift.By{
	"day": shift.ByDay, "hour": shift.ByHour, "item": shift.ByItem, "meal": shift.ByMeal,
}

// sales are what sales are put together by, from flags.
type sales struct {
	by    shift.By
	meals []shift.Meal
	in    shift.Period
}

func (s *sales) flags(f *flag.FlagSet) {
	f.Func("by", "day, hour, item or meal", func(text string) error {
		by, ok := salesBy[text]
		if s.by = by; !ok {
			return fmt.Errorf("%q is none of these", text)
		}
		return nil
	})
	f.Func("meal", "NAME=HH:MM-HH:MM, for --by meal (repeated)", func(text string) error {
		m, err := parseMeal(text)
		s.meals = append(s.meals, m)
		return err
	})
	f.Func("from", "first day, 2006-01-02; all from the beginning if empty", func(text string) (err error) {
		s.in.From, err = time.ParseInLocation(time.DateOnly, text, beijing.Zone)
		return err
	})
	f.Func("until", "last day; all to the end if empty", func(text string) error {
		day, err := time.ParseInLocation(time.DateOnly, text, beijing.Zone)
		s.in.Until = day.AddDate(0, 0, 1) // the day is part of it
		return err
	})
}

func parseMeal(text string) (m shift.Meal, err error) {
	name, times, ok1 := strings.Cut(text, "=")
	from, to, ok2 := strings.Cut(times, "-")
	if !ok1 || !ok2 || name == "" {
		return m, fmt.Errorf("%q is not like lunch=10:30-13:30", text)
	}
	m.Name = name
	for _, t := range []struct {
		text string
		at   *time.Duration
	}{{from, &m.From}, {to, &m.To}} {
		clock, err := time.Parse("15:04", t.text)
		if err != nil {
			return m, err
		}
		*t.at = time.Duration(clock.Hour())*time.Hour + time.Duration(clock.Minute())*time.Minute
	}
	return m, nil
}

// salesOfLedger writes a table of what was sold, also beside a terminal at work.
func salesOfLedger(args []string, out io.Writer) error {
	f := newLedgerFlags("sales")
	s := sales{in: shift.Period{Until: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}}
	s.flags(f.FlagSet)
	if err := f.parse(args, 0, 1); err != nil {
		return err
	}
	path, _, _, err := f.source()
	if err != nil {
		return err
	}
	return ledger.ReadFile(context.Background(), path, func(j ledger.Snapshot) error {
		lines, err := shift.SalesIn(entriesOf(j), s.in, s.by, s.meals...)
		if err != nil {
			return err
		}
		return shift.WriteCSV(out, lines)
	})
}

func entriesOf(j ledger.Snapshot) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		for line, err := range j.Lines(j.Head.Seq) {
			if !yield(line.Entry, err) {
				return
			}
		}
	}
}

// shiftsOfLedger writes a table of all reports of shifts, X and Z.
func shiftsOfLedger(args []string, out io.Writer) error {
	f := newLedgerFlags("shifts")
	if err := f.parse(args, 0, 1); err != nil {
		return err
	}
	path, _, _, err := f.source()
	if err != nil {
		return err
	}
	return ledger.ReadFile(context.Background(), path, func(j ledger.Snapshot) error {
		w := csv.NewWriter(out)
		w.UseCRLF = true
		if err := w.Write(reportColumns); err != nil {
			return err
		}
		var copies journal.Copies
		for e, err := range entriesOf(j) {
			carried := e.Kind == journal.Carried
			if err == nil {
				e, err = e.Inner() // one that was carried over is a report all the same
			}
			if err == nil && e.Kind.Sums() && !(carried && copies.Again(e)) {
				err = writeReport(w, e)
			}
			if err != nil {
				return err
			}
		}
		w.Flush()
		return w.Error()
	})
}

var reportColumns = []string{
	"report", "at", "operator", "brought", "float", "in", "out", "top-ups", "pay-outs", "over", "short", "drawer",
	"card", "code", "channel", "refunds", "perpetual", "suspense", "unsynced", "part", "reason",
}

func writeReport(w *csv.Writer, e journal.Entry) error {
	r, err := e.Report()
	if err != nil {
		return err
	}
	name := fmt.Sprintf("Z%d", r.Z)
	if e.Kind == journal.ShiftReport {
		name = fmt.Sprintf("X%d", r.X)
	}
	return w.Write([]string{
		name, e.At.In(beijing.Zone).Format("2006-01-02 15:04:05"), e.Operator, r.Brought.String(), r.Float.String(),
		r.CashIn.Amount.String(), r.CashOut.Amount.String(), r.TopUps.Amount.String(), r.PayOuts.Amount.String(),
		r.Over.String(), r.Short.String(), r.Till.String(), r.Card.Amount.String(), r.Code.Amount.String(),
		r.Channel.Amount.String(), r.Refunds.Amount.String(), r.Perpetual.String(), r.Suspense.String(),
		strconv.FormatInt(r.Unsynced, 10), strconv.FormatBool(r.Part), r.Reason,
	})
}
