package dialog

import (
	"cmp"
	"strconv"

	"fyne.io/fyne/v2"

	"quancun/kiosk/dialog"
	"quancun/ui/look"
	"quancun/ui/widget"
)

// choice asks which of some things it is.
func (p *page) choice() fyne.CanvasObject {
	column := p.k.Column(6, p.heading(p.s.Room.Width))
	if len(p.q.Facts) > 0 {
		column.Add(p.facts(p.q.Facts, p.s.Room.Width, p.factRoom(column.MinSize().Height)))
	}
	above := column.MinSize().Height + p.k.MM(6)
	if p.s.Touch {
		p.enlarge(p.options(), cmp.Or(p.s.Reach, p.s.Room.Height-above))
		column.Add(p.low(p.options(), p.s.Room.Height-above))
		return column
	}
	column.Add(widget.Grow(p.choices(p.options(), p.s.Room.Width, float64(above/p.k.MM(1)))))
	return column
}

// enlarge sets what stands on keys larger, where all of them are on one page and none
// needs a line more or more room for it.
func (p *page) enlarge(all []choiceKey, height float32) {
	if len(all) == 0 || len(all) > searchFrom {
		return
	}
	small := p.shape(all, p.s.Room.Width, height)
	p.labels = look.Title
	large := p.shape(all, p.s.Room.Width, height)
	if large.columns != small.columns || len(all) > large.size() || large.height > small.height {
		p.labels = look.Heading
	}
}

// factRoom is how high facts above a choice may be: what its keys leave of the room
// below the heading, and a third above a list.
func (p *page) factRoom(heading float32) float32 {
	const share, least = 0.35, 0.2
	all, height := p.options(), p.s.Room.Height
	if !p.s.Touch || len(all) > searchFrom {
		return height * share
	}
	s := p.shape(all, p.s.Room.Width, min(height, cmp.Or(p.s.Reach, height)))
	if len(all) > s.size() && p.s.Reach > 0 { // of what there are pages, all that can be reached
		return height * share
	}
	rows := float64((len(all) + s.columns - 1) / s.columns)
	return max(height*least, height-heading-p.k.MM(2*6+rows*(s.least+touchGap)))
}

// low lays the keys of a choice out in that height, or in what of it a person who
// sits can reach.
func (p *page) low(all []choiceKey, height float32) fyne.CanvasObject {
	if p.s.Reach == 0 || p.s.Reach >= height {
		return widget.Grow(p.touched(all, height))
	}
	return widget.Grow(p.k.Column(0, widget.Spring(),
		p.k.Sized(0, float64(p.s.Reach/p.k.MM(1)), p.touched(all, p.s.Reach))))
}

func (p *page) options() (keys []choiceKey) {
	for i, o := range p.q.Options {
		key := choiceKey{name: "option-" + strconv.Itoa(i), label: p.t.Option(o, p.s.Now), plain: true,
			send: func() { p.answer(dialog.Answer{Choice: i}) }}
		if o.Word != "" {
			key.note, key.plain = p.hint(o.Word), false
		}
		if o.Note != "" {
			key.note, key.off = p.word(o.Note), true
		}
		keys = append(keys, key)
	}
	return keys
}

// Measures of keys for fingers, in drawn millimetres.
const (
	touchGap   = 5.0
	touchPad   = 6.0
	touchAir   = 3.0
	touchLeast = 25.0 // height of a key
	touchMost  = 44.0
	touchFew   = 60.0 // the same of one row or two
	touchPager = 22.0
)

// shape is how keys are laid out.
type shape struct {
	columns, rows int
	height, least float64 // of a key
}

func (s shape) size() int { return s.columns * s.rows }

// shape finds a layout for a room: as many columns as the longest label allows. Where
// there is something to read below the labels there are fewer, unless only more of them
// bring all keys onto one page.
func (p *page) shape(all []choiceKey, width, height float32) shape {
	widest, most := float32(0), 4
	wanted := most
	for _, c := range all {
		widest = max(widest, p.k.Line(c.label, p.labelStyle(c)).MinSize().Width)
		if c.note != "" {
			wanted = 2
			if p.k.Panel.Portrait() {
				wanted = 1
			}
		}
	}
	fit := int((width + p.k.MM(touchGap)) / (widest + p.k.MM(2*touchPad+touchGap)))
	most = min(most, fit, max(2, len(all))) // a few fill the page, and one does not
	s := p.shaped(all, max(1, min(wanted, most)), width, height)
	for n := s.columns + 1; n <= most && len(all) > s.size(); n++ {
		if more := p.shaped(all, n, width, height); len(all) <= more.size() {
			return more
		}
	}
	return s
}

// shaped is the layout in so many columns.
func (p *page) shaped(all []choiceKey, columns int, width, height float32) shape {
	s := shape{columns: columns, least: touchLeast}
	cell := (width - p.k.MM(touchGap*float64(s.columns-1))) / float32(s.columns)
	for _, c := range all {
		s.least = max(s.least, float64(p.touchWords(c, cell).MinSize().Height/p.k.MM(1))+2*touchAir)
	}
	room := float64(height / p.k.MM(1))
	s.rows = max(1, int((room+touchGap)/(s.least+touchGap)))
	if len(all) > s.size() {
		room -= touchPager + touchGap
		s.rows = max(1, int((room+touchGap)/(s.least+touchGap)))
	}
	rows := float64(min(s.rows, max(1, (len(all)+s.columns-1)/s.columns)))
	most := touchMost
	if rows <= 2 {
		most = touchFew
	}
	s.height = max(s.least, min(most, (room-(rows-1)*touchGap)/rows))
	return s
}

// labelStyle is how a label is set: a name in the font that has every character.
func (p *page) labelStyle(c choiceKey) widget.Style {
	f := widget.Face{Disabled: c.off}
	return widget.Style{Type: p.labels, Bold: !c.plain, Colour: f.Ink()}
}

// leafed lays as many keys out as there is room for, and turns pages for the rest.
func (p *page) leafed(all []choiceKey, width, height float32) fyne.CanvasObject {
	if len(all) == 0 {
		return widget.CentreY(p.centred(p.t.T("dialog.notfound", "typed", p.s.Typed.Text), look.Lead, false, width))
	}
	s := p.shape(all, width, height)
	parts := (len(all) + s.size() - 1) / s.size()
	part := min(p.s.Typed.Part, parts-1)
	shown := all[part*s.size() : min(len(all), (part+1)*s.size())]
	cell := (width - p.k.MM(touchGap*float64(s.columns-1))) / float32(s.columns)
	grid := p.k.Grid(s.columns, touchGap, s.height)
	for _, c := range shown {
		grid.Add(p.touchKey(c, cell))
	}
	for i := len(shown); i < s.columns; i++ {
		grid.Add(p.k.Gap(1)) // a single key is not wider than others
	}
	if parts == 1 {
		return p.k.Column(0, grid, widget.Spring())
	}
	return p.k.Column(touchGap, widget.Grow(p.k.Column(0, grid, widget.Spring())), p.pager(part, parts))
}

// touchKey is one of the keys: its label, and a line or two.
func (p *page) touchKey(c choiceKey, width float32) fyne.CanvasObject {
	f := widget.Face{Name: c.name, Label: c.label, Disabled: c.off}
	return p.k.Key(f, p.k.InsetXY(touchPad, touchAir, widget.CentreY(p.touchWords(c, width))), c.send)
}

// touchWords is what stands on a key of that width.
func (p *page) touchWords(c choiceKey, width float32) fyne.CanvasObject {
	style, room := p.labelStyle(c), width-p.k.MM(2*touchPad)
	if c.note == "" {
		style.Align = fyne.TextAlignCenter
	}
	words := p.k.Column(1, p.k.Text(c.label, style, room))
	if c.note != "" {
		small := widget.Style{Type: look.Small, Colour: look.Soft}
		if p.labels > look.Heading {
			small.Type = look.Body
		}
		if c.off {
			small.Colour = look.OffInk
		}
		words.Add(p.k.Text(c.note, small, room))
	}
	return words
}
