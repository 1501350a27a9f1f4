package text

import (
	"strings"
	"time"

	"quancun/kiosk/dialog"
)

// This file is the one place where people's times are put into words. A page, what is
// spoken of it and the paper that comes out of it have the same times: the former two
// as they are said, and paper, which is kept for years, in full.

// Clock returns the time of day: "14:05".
func Clock(at time.Time) string { return at.Format("15:04") }

// Day returns a day as it is read at now: in its zone, and with the year if that is
// another one.
func (t *Texts) Day(at, now time.Time) string {
	at = at.In(now.Location())
	form := "2 Jan"
	if t.language == Chinese {
		form = "1月2日"
	}
	if at.Year() == now.Year() {
		return at.Format(form)
	}
	if t.language == Chinese {
		return at.Format("2006年" + form)
	}
	return at.Format(form + " 2006")
}

// When returns a day, likewise, and the time of it.
func (t *Texts) When(at, now time.Time) string {
	return t.Day(at, now) + " " + Clock(at.In(now.Location()))
}

// Span returns a part of a day, likewise: "11月23日 17:00-17:30".
func (t *Texts) Span(from, till, now time.Time) string {
	return t.When(from, now) + "-" + Clock(till.In(now.Location()))
}

// Option returns what is to be chosen, as it is read at now.
func (t *Texts) Option(o dialog.Option, now time.Time) string {
	var parts []string
	word := ""
	if o.Word != "" {
		word = t.T("dialog." + string(o.Word))
	}
	value := dialog.Fact{Text: o.Text, TextEN: o.TextEN}
	for _, part := range []string{word, t.Value(value, now), t.Value(o.When, now)} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "  ")
}

// Stamp returns a moment in full, as receipts have it: "2026-11-23 17:00:05".
func Stamp(at time.Time) string { return at.Format(time.DateTime) }

// OnPaper returns what stands for the value of a fact on paper, in a zone: a time is
// written in full.
func (t *Texts) OnPaper(f dialog.Fact, zone *time.Location) string {
	at := f.At.In(zone)
	switch {
	case f.At.IsZero():
	case f.Kind == dialog.IsMoment:
		return at.Format("2006-01-02 15:04")
	case f.Kind == dialog.IsDay:
		return at.Format(time.DateOnly)
	case f.Kind == dialog.IsSpan:
		return at.Format("2006-01-02 15:04") + "-" + Clock(f.Till.In(zone))
	}
	return t.Value(f, at)
}
