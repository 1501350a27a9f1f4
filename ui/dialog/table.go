package dialog

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"

	"quancun/kiosk/dialog"
	"quancun/ui/look"
	"quancun/ui/widget"
)

// lines are the facts of a report and then the rows of its table. What does not
// fit is on further parts, each under the table's heads.
func (p *page) lines(r dialog.Report, width, height float32) fyne.CanvasObject {
	const gap, pager, tight = 2.0, 22.0, 80
	pad := 6.0
	if height < p.k.MM(tight) {
		pad = 2
	}
	inner := width - p.k.MM(2*pad)
	var all []fyne.CanvasObject
	for _, f := range r.Facts {
		size := look.Body
		if f.Strong {
			size = look.Lead
		}
		all = append(all, p.fact(f, size, inner))
	}
	var heads fyne.CanvasObject
	if len(r.Table.Rows) > 0 {
		table := p.table(r.Table, inner)
		heads, all = table.heads, append(all, table.rows...)
	}
	parts := p.parts(all, heads, len(r.Facts), height-p.k.MM(2*pad))
	if len(parts) > 1 {
		parts = p.parts(all, heads, len(r.Facts), height-p.k.MM(2*pad+pager+4))
	}
	part := min(p.s.Typed.Part, len(parts)-1)
	column := p.k.Column(gap)
	for i, o := range parts[part] {
		if i > 0 {
			column.Add(p.k.Rule())
		}
		column.Add(o)
	}
	box := p.k.Box(look.Surface, look.Line, pad, p.k.Column(0, column, widget.Spring()))
	if len(parts) == 1 {
		return p.k.Column(0, box, widget.Spring())
	}
	return p.k.Column(4, widget.Grow(box), p.pager(part, len(parts)))
}

// parts puts lines on as many parts as they need. The first facts lines have no
// heads above them.
func (p *page) parts(all []fyne.CanvasObject, heads fyne.CanvasObject, facts int,
	height float32) [][]fyne.CanvasObject {
	step := p.k.MM(2*2) + p.k.Rule().MinSize().Height
	parts := [][]fyne.CanvasObject{nil}
	used := float32(0)
	add := func(o fyne.CanvasObject) {
		n := len(parts) - 1
		parts[n] = append(parts[n], o)
		used += o.MinSize().Height + step
	}
	for i, o := range all {
		first := i == facts && heads != nil // of the table
		need := o.MinSize().Height
		if first {
			need += heads.MinSize().Height + step
		}
		turned := used > 0 && used+need > height
		if turned {
			parts, used = append(parts, nil), 0
		}
		if first || turned && i > facts && heads != nil {
			add(heads)
		}
		add(o)
	}
	return parts
}

// table is a table laid out: its columns are as wide as what stands in them.
type table struct {
	heads fyne.CanvasObject
	rows  []fyne.CanvasObject
}

// table lays a table out. Texts are at the left of their columns, values at the
// right. The first column has what is left over.
func (p *page) table(t dialog.Table, width float32) table {
	const gap = 8.0
	cells := make([][]string, len(t.Rows))
	widths := make([]float32, len(t.Heads))
	measure := func(words string, bold bool) float32 {
		return p.k.Line(words, widget.Style{Type: look.Small, Bold: bold}).MinSize().Width
	}
	for i, h := range t.Heads {
		widths[i] = measure(p.word(h), true)
	}
	for i, row := range t.Rows {
		for j, f := range row[:min(len(row), len(widths))] {
			cells[i] = append(cells[i], p.t.Value(f, p.s.Now))
			widths[j] = max(widths[j], measure(cells[i][j], false))
		}
	}
	fitColumns(widths, width-p.k.MM(gap)*float32(len(widths)-1))
	line := func(words []string, style widget.Style, kinds []dialog.Fact) fyne.CanvasObject {
		row := container.New(&columns{widths: widths, gap: p.k.MM(gap)})
		for j, w := range words {
			style.Align = fyne.TextAlignTrailing
			if j == 0 || j < len(kinds) && (kinds[j].Kind == dialog.IsText || kinds[j].Kind == dialog.IsWord) {
				style.Align = fyne.TextAlignLeading
			}
			row.Add(p.k.Clipped(w, style, widths[j]))
		}
		return row
	}
	var heads []string
	for _, h := range t.Heads {
		heads = append(heads, p.word(h))
	}
	out := table{heads: line(heads, widget.Style{Type: look.Small, Bold: true, Colour: look.Soft}, t.Rows[0])}
	for i, row := range t.Rows {
		out.rows = append(out.rows, line(cells[i], widget.Style{Type: look.Small}, row))
	}
	return out
}

// fitColumns gives the first column what is left over, or takes from the widest
// what is too much.
func fitColumns(widths []float32, room float32) {
	sum := float32(0)
	for _, w := range widths {
		sum += w
	}
	if sum <= room {
		widths[0] += room - sum
		return
	}
	for sum > room {
		widest := 0
		for i, w := range widths {
			if w > widths[widest] {
				widest = i
			}
		}
		cut := min(sum-room, max(1, widths[widest]*0.1))
		widths[widest] -= cut
		sum -= cut
	}
}

// columns lays cells out beside each other.
type columns struct {
	widths []float32
	gap    float32
}

func (l *columns) MinSize(objects []fyne.CanvasObject) (s fyne.Size) {
	for i, o := range objects {
		s.Width += l.widths[i] + l.gap
		s.Height = max(s.Height, o.MinSize().Height)
	}
	s.Width -= l.gap
	return s
}

func (l *columns) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	at := float32(0)
	for i, o := range objects {
		o.Move(fyne.NewPos(at, 0))
		o.Resize(fyne.NewSize(l.widths[i], size.Height))
		at += l.widths[i] + l.gap
	}
}
