package back

import (
	"context"
	"errors"
	"strings"
	"time"

	"quancun/app/printer"
	"quancun/beijing"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/staff"
	"quancun/ui/text"
	"quancun/upstream/client"
)

// reports prints what is about no entry of the journal: lists, tables, states.
type reports struct {
	texts    *text.Texts
	words    printer.Words
	place    func() client.Place // where it is printed; zero if nobody has said
	terminal string
	staff    *staff.Desk // nil: nobody signs in
	now      func() time.Time
	print    func(ctx context.Context, s printer.Slip) error
}

// troubles are a holder's words for what keeps their report from being printed, the
// most telling first.
var troubles = []struct {
	err  error
	word dialog.Word
}{
	{printer.ErrUnsure, "unprinted.unsure"},
	{printer.ErrPaper, "unprinted.out"},
	{printer.ErrCover, "unprinted.cover"},
	{printer.ErrOffline, "unprinted.offline"},
	{printer.ErrAway, "unprinted.away"},
}

// Site is the machine that a holder's paper says it comes from.
type Site struct {
	Terminal string              // its ID
	Place    func() client.Place // where it stands, as far as it knows now
}

// HoldersPaper is where what came of a holder's service comes out: at once, or not at
// all. When a printer that had no paper has some again, whoever stands there is
// somebody else. Its errors are a [dialog.Refusal] that says what the printer has.
func HoldersPaper(p *printer.Printer, from Site, now func() time.Time) (dialog.Paper, error) {
	texts, err := text.New()
	if err != nil {
		return nil, err
	}
	out := &reports{texts: texts, words: printer.Chinese, place: from.Place, terminal: from.Terminal, now: now}
	out.print = func(ctx context.Context, s printer.Slip) error {
		err := p.Print(ctx, s)
		for _, t := range troubles {
			if errors.Is(err, t.err) {
				return dialog.Refuse(t.word, err)
			}
		}
		return err
	}
	return out, nil
}

// Print prints a report.
func (p *reports) Print(ctx context.Context, r dialog.Report) error {
	return p.print(ctx, p.slip(r))
}

// slip is a report on paper. What a plot shows is in it as amounts.
func (p *reports) slip(r dialog.Report) printer.Slip {
	s := printer.Slip{ID: kiosk.NewRef(), Code: r.QR}
	add := func(left, right string, style printer.Style) {
		s.Rows = append(s.Rows, printer.Row{Left: left, Right: right, Style: style})
	}
	if place := p.place().In(p.texts.Language() == text.English); place != "" {
		add(place, "", printer.Centre)
	}
	add(strings.TrimSpace(p.word(r.Title)+" "+r.No), "", printer.Title)
	add(p.words.Time, text.Stamp(p.now().In(beijing.Zone)), printer.Plain)
	add(p.texts.T("terminal", "id", p.terminal), "", printer.Plain)
	if p.staff != nil {
		add(p.words.Operator, p.staff.Current().No, printer.Plain)
	}
	if len(r.Facts) > 0 {
		add("", "", printer.Rule)
	}
	for _, f := range r.Facts {
		style := printer.Plain
		if f.Strong {
			style = printer.Strong
		}
		if f.Kind == dialog.IsCode && f.Strong { // on a line of its own: it is read in the steam of a bath
			add(p.word(f.Name), "", printer.Centre)
			add(p.value(f), "", printer.Title)
			continue
		}
		add(p.word(f.Name), p.value(f), style)
	}
	p.table(r, add)
	if r.Next != "" {
		add("", "", printer.Rule)
		add(p.word(r.Next), "", printer.Centre)
	}
	return s
}

// table adds the rows of a table or, without one, the bars of a plot.
func (p *reports) table(r dialog.Report, add func(left, right string, style printer.Style)) {
	if len(r.Table.Rows) == 0 && len(r.Plot) == 0 {
		return
	}
	add("", "", printer.Rule)
	if len(r.Table.Rows) == 0 {
		for _, b := range r.Plot {
			add(b.Label, b.Value.String(), printer.Plain)
		}
		return
	}
	cells := make([]string, len(r.Table.Heads))
	for i, h := range r.Table.Heads {
		cells[i] = p.word(h)
	}
	line := func(style printer.Style) {
		if len(cells) > 0 {
			add(cells[0], strings.Join(cells[1:], "  "), style)
		}
	}
	line(printer.Strong)
	for _, row := range r.Table.Rows {
		cells = cells[:0]
		for _, f := range row {
			cells = append(cells, p.value(f))
		}
		line(printer.Plain)
	}
}

func (p *reports) word(w dialog.Word) string {
	if w == "" {
		return ""
	}
	return p.texts.T("dialog." + string(w))
}

// value is what stands for a value: printers have the wide sign of the yuan.
func (p *reports) value(f dialog.Fact) string {
	return strings.Replace(p.texts.OnPaper(f, beijing.Zone), "¥", "￥", 1)
}
