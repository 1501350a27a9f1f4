package dialog

import (
	"slices"
	"strconv"

	"fyne.io/fyne/v2"

	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/ui/look"
	"quancun/ui/widget"
)

// partMax is how many keys there are on a page at most: each has a digit of the
// keyboard.
const partMax = 8

// menu is a page of the office's menu while it is being built.
type menu struct {
	*page
	entries []office.Entry
}

// Menu makes the page of the office's menu.
func Menu(v office.View, s Stage) *Page {
	m := &menu{newPage(v.View, s), v.Entries}
	m.out.Object = m.groups()
	return m.out
}

// groupsOf are the parts of the menu that have something in them.
func groupsOf(all []office.Entry) (found []office.Group) {
	for _, e := range all {
		if !slices.Contains(found, e.Group) {
			found = append(found, e.Group)
		}
	}
	slices.Sort(found)
	return found
}

// group is the part of the menu to begin with: the last one, or the first in which
// there is something that nobody else has to release.
func (m *menu) group(found []office.Group) office.Group {
	if slices.Contains(found, m.s.Typed.Group) {
		return m.s.Typed.Group
	}
	for _, g := range found {
		mine := func(e office.Entry) bool { return e.Group == g && !e.Release }
		if slices.ContainsFunc(m.entries, mine) {
			return g
		}
	}
	return found[0]
}

// groups is what there is to do, a group at a time.
func (m *menu) groups() fyne.CanvasObject {
	m.out.Leave = "dialog.leave"
	found := groupsOf(m.entries)
	if len(found) == 0 {
		return widget.Centre(m.centred(m.t.T("dialog.nothing"), look.Title, true, m.s.Room.Width))
	}
	now := m.group(found)
	m.s.Typed.Group = now
	choose := func(g office.Group) {
		m.s.Typed.Group, m.s.Typed.Part = g, 0
		m.s.Redraw()
	}
	m.out.Turn = func(by int) {
		at := slices.Index(found, now) + by
		choose(found[(at+len(found))%len(found)])
	}
	tabs := make([]fyne.CanvasObject, 0, len(found))
	for _, g := range found {
		f := widget.Face{Name: "group-" + strconv.Itoa(int(g)), Label: m.t.T("dialog.group." + strconv.Itoa(int(g))),
			Type: look.Body}
		if g == now {
			f.Rank = widget.Primary
		}
		tabs = append(tabs, m.k.Button(f, func() { choose(g) }))
	}
	if m.k.Panel.Portrait() {
		return m.k.Column(8, m.k.Grid(len(tabs), 4, 26, tabs...), widget.Grow(m.keys(now, m.s.Room.Width, 26+8)))
	}
	const wide = 62
	left := m.k.Sized(wide, 0, m.k.Grid(1, 4, 32, tabs...))
	return m.k.Row(gutter, left, widget.Wide(m.s.Room.Width-m.k.MM(wide+gutter),
		m.keys(now, m.s.Room.Width-m.k.MM(wide+gutter), 0)))
}

// keys are the keys of a group. above is what the page has above them, in
// millimetres.
func (m *menu) keys(g office.Group, width float32, above float64) fyne.CanvasObject {
	var keys []choiceKey
	for i, e := range m.entries {
		if e.Group != g {
			continue
		}
		key := choiceKey{name: "pick-" + string(e.Name), label: m.word(e.Name), note: m.hint(e.Name),
			send: func() { m.send(dialog.Input{Event: dialog.Picked, Pick: i}) }}
		if e.Release {
			key.mark = m.t.T("dialog.release")
		}
		if e.Why != "" {
			key.note, key.off = m.word(e.Why), true
		}
		keys = append(keys, key)
	}
	return m.choices(keys, width, above)
}

// choiceKey is a key with a number, a label and what there is to say of it.
type choiceKey struct {
	name, label, note, mark string

	plain bool // the label is set in the font that has every character
	off   bool
	send  func()
}

// choices lays keys out, so many as there is room for, and turns pages for the
// rest. A digit taps the key with that number.
func (p *page) choices(all []choiceKey, width float32, above float64) fyne.CanvasObject {
	columns := 2
	if p.k.Panel.Portrait() {
		columns = 1
	}
	const gap, least, most, pager = 4.0, 30.0, 44.0, 22.0
	room := float64(p.s.Room.Height/p.k.MM(1)) - above
	fit := func(room float64) int { return min(partMax, columns*max(1, int((room+gap)/(least+gap)))) }
	size, turns := fit(room), len(all) > fit(room)
	if turns {
		room -= pager + 2*gap
		size = fit(room)
	}
	parts := (len(all) + size - 1) / size
	part := min(p.s.Typed.Part, max(0, parts-1))
	shown := all[part*size : min(len(all), (part+1)*size)]
	rows := (size + columns - 1) / columns
	height := min(most, max(least, (room-float64(rows-1)*gap)/float64(rows)))
	cell := (width - p.k.MM(gap)*float32(columns-1)) / float32(columns)
	grid := p.k.Grid(columns, gap, height)
	for i, c := range shown {
		grid.Add(p.key(i+1, c, cell))
	}
	for i := len(shown); i < columns; i++ {
		grid.Add(p.k.Gap(1)) // a single key is not wider than others
	}
	p.out.Type = func(r rune) {
		if n := int(r - '1'); n >= 0 && n < len(shown) && !shown[n].off {
			shown[n].send()
		}
	}
	if !turns {
		return p.k.Column(0, grid, widget.Spring())
	}
	return p.k.Column(gap, grid, widget.Spring(), p.pager(part, parts))
}

// pager turns the parts of a page.
func (p *page) pager(part, parts int) fyne.CanvasObject {
	turn := func(to int) {
		if to >= 0 && to < parts {
			p.s.Typed.Part = to
			p.s.Redraw()
		}
	}
	if p.out.Turn == nil {
		p.out.Turn = func(by int) { turn(part + by) }
	}
	return p.k.Sized(0, 22, widget.CentreX(p.k.Pager(widget.Pager{Number: part, Count: parts,
		Previous: p.t.T("page.previous"), Next: p.t.T("page.next"),
		Words: p.t.T("page.of", "number", part+1, "count", parts), OnTurn: turn})))
}

// key is one of the keys: its number, its label, and a line or two.
func (p *page) key(n int, c choiceKey, width float32) fyne.CanvasObject {
	f := widget.Face{Name: c.name, Label: c.label, Disabled: c.off}
	const number, pad = 13.0, 4.0
	fill := look.BlueTint
	if c.off {
		fill = look.Surface
	}
	circle := p.k.Disc(fill, fill, 0)
	mark := widget.Pile(circle, widget.Centre(p.k.Line(strconv.Itoa(n),
		widget.Style{Type: look.Body, Bold: true, Colour: f.Ink()})))
	room := width - p.k.MM(2*pad+number+pad)
	label := widget.Style{Type: look.Lead, Bold: !c.plain, Colour: f.Ink()}
	small := widget.Style{Type: look.Small, Colour: look.Soft}
	if c.off {
		small.Colour = look.OffInk
	}
	words := p.k.Column(1, p.k.Text(c.label, label, room))
	if c.note != "" {
		words.Add(p.k.Text(c.note, small, room))
	}
	if c.mark != "" && !c.off {
		words.Add(p.k.Line(c.mark, widget.Style{Type: look.Small, Colour: look.Caution}))
	}
	return p.k.Key(f, p.k.InsetXY(pad, 1, p.k.Row(pad, widget.CentreY(p.k.Sized(number, number, mark)),
		widget.Grow(widget.CentreY(words)))), c.send)
}
