package dialog

import (
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"

	"quancun/kiosk/dialog"
	"quancun/ui/look"
	"quancun/ui/widget"
)

// factScale is how large facts are set.
type factScale struct {
	size, strong look.Type
	gap, pad     float64
}

func (s factScale) sizeOf(f dialog.Fact) look.Type {
	if f.Strong {
		return s.strong
	}
	return s.size
}

// largestFacts are for fingers' pages only, which are read standing.
var largestFacts = factScale{look.Heading, look.Title, 5, 8}

var factScales = []factScale{
	{look.Lead, look.Title, 4, 7},
	{look.Body, look.Heading, 2.5, 6},
	{look.Small, look.Lead, 1, 4},
}

// factLayout is a way to set facts.
type factLayout struct {
	factScale
	columns int
}

// besideFrom is how wide a box has to be, in drawn millimetres, for facts to stand
// beside each other although they need not: in a wider one the eye loses its line
// between a name and its value.
const besideFrom = 350.0

// factLayouts are the ways to set n facts, best first. Large type comes before a
// single column where people stand, and after it at a counter.
func (p *page) factLayouts(n int, width float32) (all []factLayout) {
	if !p.s.Touch {
		for columns := 1; columns <= 2; columns++ {
			for _, s := range factScales {
				all = append(all, factLayout{s, columns})
			}
		}
		return all
	}
	first, second := 1, 2
	if n > 3 && width > p.k.MM(besideFrom) {
		first, second = second, first
	}
	for _, s := range append([]factScale{largestFacts}, factScales...) {
		all = append(all, factLayout{s, first}, factLayout{s, second})
	}
	return all
}

// facts lists what a page is about, as large as there is room, and side by side if
// there are too many for that; nil for nothing.
func (p *page) facts(all []dialog.Fact, width, height float32) fyne.CanvasObject {
	if len(all) == 0 {
		return nil
	}
	box, _ := p.setFacts(all, width, height)
	return box
}

// setFacts is facts, and how they are set. Where there is no room for them, it is the
// lowest box, and no layout: then the page is set once more, and closer.
func (p *page) setFacts(all []dialog.Fact, width, height float32) (box fyne.CanvasObject, how factLayout) {
	for _, l := range p.factLayouts(len(all), width) {
		if p.squeezed(all, l, width) {
			continue
		}
		tried := p.factBox(all, l, width)
		need := tried.MinSize()
		if need.Height <= height && (!p.s.Touch || need.Width <= width) {
			return tried, l
		}
		if box == nil || need.Height < box.MinSize().Height {
			box = tried
		}
	}
	return box, factLayout{}
}

// squeezed reports whether a value goes below its name for want of width where facts
// stand beside each other; words may. On a page that cannot be set closer there is no
// other way.
func (p *page) squeezed(all []dialog.Fact, l factLayout, width float32) bool {
	if !p.s.Touch || l.columns == 1 || l.size == look.Small && p.k.Density == look.Closest {
		return false
	}
	return slices.ContainsFunc(all, func(f dialog.Fact) bool {
		name, value := p.factLines(f, l.sizeOf(f))
		return f.Kind != dialog.IsWord && !p.besides(name, value, p.factCell(l, width))
	})
}

// factCell is the width of one fact.
func (p *page) factCell(l factLayout, width float32) float32 {
	return (width-p.k.MM(2*l.pad+gutter*float64(l.columns-1)))/float32(l.columns) - 1 // for rounding
}

func (p *page) factBox(all []dialog.Fact, l factLayout, width float32) fyne.CanvasObject {
	cell := p.factCell(l, width)
	row := p.k.Row(gutter)
	for part := range slices.Chunk(all, (len(all)+l.columns-1)/l.columns) {
		row.Add(widget.Wide(cell, p.factColumn(part, l.factScale, cell)))
	}
	return p.k.Box(look.Surface, look.Line, l.pad, row)
}

// allFacts is facts and, where there is no room for all of them at once, as with large
// type, a part of them at a time, once the page is set as closely as it can be.
func (p *page) allFacts(all []dialog.Fact, width, height float32) fyne.CanvasObject {
	box := p.facts(all, width, height)
	if box == nil || !p.s.Touch || p.k.Density < look.Closest {
		return box
	}
	if need := box.MinSize(); need.Height <= height && need.Width <= width {
		return box
	}
	return p.lines(dialog.Report{Facts: all}, width, height)
}

// read is what there is to read of a report, as large as there is room where people
// stand before it.
func (p *page) read(r dialog.Report, width, height float32) fyne.CanvasObject {
	if p.s.Touch && len(r.Facts) > 0 && len(r.Table.Rows)+len(r.Plot) == 0 {
		if facts, how := p.setFacts(r.Facts, width, height); how.size > 0 {
			return p.k.Column(0, facts, widget.Spring())
		}
	}
	return p.lines(r, width, height)
}

func (p *page) factColumn(all []dialog.Fact, s factScale, width float32) fyne.CanvasObject {
	column := p.k.Column(s.gap)
	for i, f := range all {
		if i > 0 {
			column.Add(p.k.Rule())
		}
		column.Add(p.fact(f, s.sizeOf(f), width))
	}
	return p.k.Column(0, column, widget.Spring())
}

// factGap is the least between a name and its value, in drawn millimetres.
const factGap = 5.0

// fact is a name at the left and its value at the right.
func (p *page) fact(f dialog.Fact, size look.Type, width float32) fyne.CanvasObject {
	name, value := p.factLines(f, size)
	if p.besides(name, value, width) {
		return p.k.Row(factGap, widget.CentreY(name), widget.Spring(), widget.CentreY(value))
	}
	above, style := factStyles(f, size)
	style.Align = fyne.TextAlignTrailing
	return p.k.Column(1, p.k.Text(name.Text, above, width), p.k.Text(value.Text, style, width))
}

// besides reports whether a name and its value have room on one line.
func (p *page) besides(name, value *canvas.Text, width float32) bool {
	return value.MinSize().Width <= width-name.MinSize().Width-p.k.MM(factGap)
}

func (p *page) factLines(f dialog.Fact, size look.Type) (name, value *canvas.Text) {
	above, style := factStyles(f, size)
	return p.k.Line(p.word(f.Name), above), p.k.Line(p.t.Value(f, p.s.Now), style)
}

// factStyles are how a name and its value are set. A name of a person is set in the
// regular font: the bold one lacks rare characters.
func factStyles(f dialog.Fact, size look.Type) (name, value widget.Style) {
	return widget.Style{Type: min(size, look.Lead), Colour: look.Soft},
		widget.Style{Type: size, Bold: f.Kind != dialog.IsText}
}
