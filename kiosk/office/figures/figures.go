// Package figures is what the staff can see of a till's sales: by day, hour, item
// and meal, over a period, as a table and a plot. It reads the journal alone, so
// that what it shows is what was written down, whether the upstream has it or not.
package figures

import (
	"context"
	"errors"
	"strings"
	"time"

	"quancun/beijing"
	"quancun/journal"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/shift"
	"quancun/kiosk/staff"
	"quancun/kiosk/till"
	"quancun/money"
)

// Config is what the tasks work with.
type Config struct {
	Book  shift.Book
	Meals []till.Meal // of the till's plan
	Now   func() time.Time
}

// Tasks returns the tasks, in the order of the menu.
func Tasks(c Config) []office.Task {
	all := []office.Task{
		c.task(Day, shift.ByDay, headDay),
		c.task(Hour, shift.ByHour, headHour),
		c.task(Item, shift.ByItem, headItem),
	}
	if len(c.Meals) > 0 {
		all = append(all, c.task(Meal, shift.ByMeal, headMeal))
	}
	return all
}

func (c Config) task(name dialog.Word, by shift.By, head dialog.Word) office.Task {
	return office.Task{
		Name: name, Group: office.Reports, Needs: staff.XReport,
		Run: func(ctx context.Context, t *office.Talk) (dialog.Report, error) { return c.show(ctx, t, by, head) },
	}
}

// period is a period to choose.
type period struct {
	word dialog.Word
	of   func(midnight time.Time) shift.Period // midnight is that of today
}

func days(from, until int) func(time.Time) shift.Period {
	return func(m time.Time) shift.Period {
		return shift.Period{From: m.AddDate(0, 0, from), Until: m.AddDate(0, 0, until)}
	}
}

func months(from, until int) func(time.Time) shift.Period {
	return func(m time.Time) shift.Period {
		first := m.AddDate(0, 0, 1-m.Day())
		return shift.Period{From: first.AddDate(0, from, 0), Until: first.AddDate(0, until, 0)}
	}
}

var periods = []period{
	{today, days(0, 1)}, {yesterday, days(-1, 0)}, {week, days(-6, 1)},
	{thisMonth, months(0, 1)}, {lastMonth, months(-1, 0)},
}

// show asks for a period, and shows what was sold in it.
func (c Config) show(ctx context.Context, t *office.Talk, by shift.By, head dialog.Word) (dialog.Report, error) {
	p, err := c.choose(ctx, t)
	if err != nil {
		return dialog.Report{}, err
	}
	if err := t.Work(ctx, adding); err != nil {
		return dialog.Report{}, err
	}
	var meals []shift.Meal
	for _, m := range c.Meals {
		meals = append(meals, shift.Meal{
			Name: m.Name, From: time.Duration(m.From) * time.Minute, To: time.Duration(m.To) * time.Minute,
		})
	}
	lines, err := shift.Sales(ctx, c.Book, p, by, meals...)
	if err != nil {
		return dialog.Report{}, err
	}
	return report(lines, p, by, head), nil
}

// choose asks for a period: one of the usual, or the two days that it goes from
// and to.
func (c Config) choose(ctx context.Context, t *office.Talk) (shift.Period, error) {
	midnight := beijing.Midnight(c.Now())
	var options []dialog.Option
	for _, p := range periods {
		options = append(options, dialog.Option{Word: p.word})
	}
	i, err := t.Choose(ctx, whichDays, append(options, dialog.Option{Word: otherDays}))
	switch {
	case err != nil:
		return shift.Period{}, err
	case i < len(periods):
		return periods[i].of(midnight), nil
	}
	from, err := day(ctx, t, fromDay)
	if err != nil {
		return shift.Period{}, err
	}
	to, err := day(ctx, t, toDay, dialog.Text(factFrom, from.Format(time.DateOnly)))
	if err != nil {
		return shift.Period{}, err
	}
	if to.Before(from) {
		from, to = to, from
	}
	return shift.Period{From: from, Until: to.AddDate(0, 0, 1)}, nil
}

// errDay means that what was typed is no day.
var errDay = errors.New("figures: not a day as 20260302")

// day asks for a day, as 20260302.
func day(ctx context.Context, t *office.Talk, name dialog.Word, facts ...dialog.Fact) (time.Time, error) {
	text, err := t.Number(ctx, name, len("20060102"), facts...)
	if err != nil {
		return time.Time{}, err
	}
	at, err := time.ParseInLocation("20060102", text, beijing.Zone)
	if err != nil {
		return at, dialog.Refuse(noDay, errDay)
	}
	return at, nil
}

// report lays out what was sold.
func report(lines []shift.Line, p shift.Period, by shift.By, head dialog.Word) dialog.Report {
	r := dialog.Report{
		No:    p.From.Format(time.DateOnly),
		Table: dialog.Table{Heads: []dialog.Word{head, headSold, headCount, headBack, headNet}},
	}
	if last := p.Until.AddDate(0, 0, -1).Format(time.DateOnly); last != r.No {
		r.No += " – " + last
	}
	var sold, back journal.Sum
	var net money.Fen
	for _, l := range lines {
		label, bar := dialog.Text("", short(l.Key, by, p)), short(l.Key, by, p)
		if l.Key == "" {
			label, bar = dialog.Said("", nameless), "–" // bars have no words
		}
		r.Table.Rows = append(r.Table.Rows, []dialog.Fact{
			label, dialog.Amount("", l.Sales.Amount), dialog.Count("", l.Sales.Count),
			dialog.Amount("", l.Refunds.Amount), dialog.Amount("", l.Net()),
		})
		r.Plot = append(r.Plot, dialog.Bar{Label: bar, Value: l.Net()})
		sold.Amount += l.Sales.Amount
		sold.Count += l.Sales.Count
		back.Amount += l.Refunds.Amount
		back.Count += l.Refunds.Count
		net += l.Net()
	}
	total := dialog.Amount(factNet, net)
	total.Strong = true
	r.Facts = []dialog.Fact{total, dialog.Amount(headSold, sold.Amount), dialog.Amount(headBack, back.Amount)}
	if by != shift.ByItem { // of items there are more than of sales
		r.Facts = append(r.Facts, dialog.Count(headCount, sold.Count))
	}
	return r
}

// short is a key without what all of them have: an hour of the one day that is
// shown needs no date.
func short(key string, by shift.By, p shift.Period) string {
	if oneDay := p.Until.Equal(p.From.AddDate(0, 0, 1)); oneDay && by == shift.ByHour {
		return strings.TrimPrefix(key, p.From.Format(time.DateOnly)+" ")
	}
	return key
}
