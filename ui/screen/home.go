package screen

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"fyne.io/fyne/v2"

	"quancun/assets"
	"quancun/kiosk"
	"quancun/ui/look"
	"quancun/ui/text"
	"quancun/ui/widget"
)

// home is the page that waits for a person.
func (p *page) home() fyne.CanvasObject {
	m := p.homeMeasures()
	info, action := p.columns(m.share)
	words := p.k.Column(6,
		widget.CentreX(p.k.Icon("card-on-reader", m.picture, m.picture*3/4, look.Neutral)), p.k.Gap(1),
		p.homeTitle(info))
	if why := p.outage(); why != "" {
		words.Add(p.outageBox(why, info))
	} else {
		words.Add(p.centred(p.t.T("home.hint"), look.Lead, false, info))
	}
	return p.split(m.share, words, p.homeTiles(m, action))
}

// measures are those of Home on a panel, in drawn millimetres.
type measures struct {
	share      float32 // of a wide panel for picture and words
	picture    float64 // its width
	across     bool    // the two large tiles stand beside each other
	columns    int     // of the small ones
	large, row float64 // heights of tiles
	gap        float64
}

func (p *page) homeMeasures() measures {
	size := p.k.Panel.Size()
	switch {
	case p.k.Panel.Portrait():
		return measures{picture: 88, columns: 2, large: 48, row: 43, gap: 5}
	case size.Width > 1.5*size.Height:
		return measures{share: 0.25, picture: 96, across: true, columns: 3, large: 54, row: 52, gap: 7}
	}
	return measures{share: 0.25, picture: 66, across: true, columns: 2, large: 46, row: 39, gap: 4}
}

// homeTiles are the two services that everybody comes for, and below them the
// others in the order in which the terminal has them.
func (p *page) homeTiles(m measures, width float32) fyne.CanvasObject {
	large := []tile{p.topUpTile(), p.accountTile()}
	var small []tile
	for _, o := range p.v.Offered() {
		small = append(small, p.serviceTile(o))
	}
	columns := 1
	if m.across {
		columns = 2
	}
	column := p.k.Column(m.gap, p.tiles(large, tileSize{columns, width, m.large, m.gap}))
	if len(small) > 0 {
		column.Add(p.tiles(small, tileSize{m.columns, width, m.row, m.gap}))
	}
	return column
}

// tileSize says how tiles share a width.
type tileSize struct {
	columns     int
	width       float32
	height, gap float64
}

// tiles lays some out that belong together. Their names are in one type.
func (p *page) tiles(all []tile, s tileSize) fyne.CanvasObject {
	side, pad := s.inside()
	room, size := p.tileRoom(s), p.tileType(all, s)
	grid := p.k.Grid(s.columns, s.gap, s.height)
	for _, t := range all {
		f := t.face
		f.Type, f.Disabled = size, t.why != ""
		if f.Disabled {
			f.Said = f.Label + "，" + t.why
		}
		words := p.tileWords(t, f, room)
		icon := p.k.Glyph(f.Icon, side, f)
		content := p.k.InsetXY(pad, pad/2, p.k.Row(pad, widget.CentreY(icon), widget.Grow(widget.CentreY(words))))
		grid.Add(p.k.Key(f, content, func() { p.s.On(t.input) }))
	}
	return grid
}

// inside is the side of a tile's picture, and what is left free around it, in millimetres.
func (s tileSize) inside() (side, pad float64) { return min(s.height*0.52, 24), min(s.height*0.13, 6) }

// tileRoom is how wide a tile's words may be.
func (p *page) tileRoom(s tileSize) float32 {
	side, pad := s.inside()
	cell := (s.width - p.k.MM(s.gap*float64(s.columns-1))) / float32(s.columns)
	return cell - p.k.MM(side+3*pad)
}

// tileType is the type of the tiles' names.
func (p *page) tileType(all []tile, s tileSize) look.Type {
	_, pad := s.inside()
	return p.nameType(all, p.tileRoom(s), s.height-pad)
}

// nameType is the largest type in which every name has room with what is said below
// it. height is in millimetres.
func (p *page) nameType(all []tile, room float32, height float64) look.Type {
	for _, size := range []look.Type{look.Figure, look.Title, look.Heading, look.Lead, look.Body} {
		fits := true
		for _, t := range all {
			f := t.face
			f.Type, f.Disabled = size, t.why != ""
			name := p.k.Line(f.Label, widget.Style{Type: size, Bold: true}).MinSize()
			fits = fits && name.Width <= room && p.tileWords(t, f, room).MinSize().Height <= p.k.MM(height)
		}
		if fits {
			return size
		}
	}
	return look.Small
}

// tileWords are a name, and its hint or why it cannot work now.
func (p *page) tileWords(t tile, f widget.Face, room float32) fyne.CanvasObject {
	hint := widget.Style{Type: look.Small, Colour: look.Soft}
	if f.Type >= look.Title {
		hint.Type = look.Body
	}
	words := t.hint
	if p.k.Density == look.Closest {
		words = "" // the name has to do
	}
	switch {
	case f.Disabled:
		words, hint.Colour = t.why, look.OffInk
		if p.k.Density > look.Airy {
			words, _, _ = strings.Cut(words, "\n") // since when, in short
		}
		if p.k.Density > look.Airy && p.v.Step == kiosk.Home && p.outage() != "" {
			words = "" // the page says it above its tiles
		}
	case f.Rank == widget.Primary:
		hint.Colour = look.Surface
	}
	column := p.k.Column(1.5, p.k.Text(f.Label, widget.Style{Type: f.Type, Bold: true, Colour: f.Ink()}, room))
	if words != "" {
		column.Add(p.k.Text(words, hint, room))
	}
	return column
}

// homeTitle is on one line, if it can be, and else on two, each of whole words.
func (p *page) homeTitle(width float32) fyne.CanvasObject {
	words := p.t.T("home.title")
	for _, size := range []look.Type{look.Title, look.Heading} {
		if p.k.Line(words, widget.Style{Type: size, Bold: true}).MinSize().Width <= width {
			return p.centred(words, size, true, width)
		}
	}
	return p.centred(p.t.T("home.title.lines"), look.Heading, true, width)
}

func (p *page) centred(words string, size look.Type, bold bool, width float32) fyne.CanvasObject {
	s := widget.Style{Type: size, Bold: bold, Align: fyne.TextAlignCenter}
	if !bold {
		s.Colour = look.Soft
	}
	return p.k.Text(words, s, width)
}

// outage says what is wrong with the machine as a whole; "" for nothing. What is
// wrong with one service its tile says.
func (p *page) outage() string {
	h := p.v.Health
	switch {
	case !h.Reader && !h.Upstream:
		return p.t.T("home.nothing")
	case !h.Reader:
		return p.t.T("home.noreader.all")
	case !h.Upstream && h.Since.IsZero():
		return p.t.T("home.offline.all")
	case !h.Upstream:
		return p.t.T("home.offline.since", "time", p.since(h.Since))
	}
	return ""
}

// outageBox says it under the title, and under its sign where there is little room
// beside it.
func (p *page) outageBox(why string, width float32) fyne.CanvasObject {
	const narrow, pad, sign = 110, 5, 13
	if width > p.k.MM(narrow) {
		return widget.CentreX(p.k.Banner(look.Careful, "warning", why, width))
	}
	ink, tint := look.Careful.Colours()
	style := widget.Style{Type: look.Small, Colour: ink, Align: fyne.TextAlignCenter}
	return p.k.Box(tint, ink, pad, p.k.Column(3, widget.CentreX(p.k.Icon("warning", sign, sign, look.Careful)),
		p.k.Text(why, style, width-p.k.MM(2*pad))))
}

// since tells a moment of today by the clock, and any other by its day alone.
func (p *page) since(at time.Time) string {
	at = at.In(p.s.Now.Location())
	if y, m, d := at.Date(); p.s.Now.Year() == y && p.s.Now.Month() == m && p.s.Now.Day() == d {
		return text.Clock(at)
	}
	return p.t.Day(at, p.s.Now)
}

// tile is a service on the home page.
type tile struct {
	input kiosk.Input
	face  widget.Face
	hint  string
	why   string // it cannot work now; "": it can
}

// topUpTile and the others are as they stand now. One that cannot work is there all
// the same and says why.
func (p *page) topUpTile() tile {
	return tile{kiosk.Input{Event: kiosk.ChoseTopUp}, widget.Face{Name: "topup", Label: p.t.T("home.topup"),
		Icon: "topup", Rank: widget.Primary}, p.t.T("home.topup.hint"), p.lacks(true, true)}
}

func (p *page) accountTile() tile {
	t := tile{kiosk.Input{Event: kiosk.ChoseAccount}, widget.Face{Name: "account", Label: p.t.T("home.account"),
		Icon: "account"}, p.t.T("home.account.hint"), p.lacks(true, false)}
	if !p.v.Health.Upstream {
		t.hint = p.t.T("home.account.offline")
	}
	return t
}

// serviceTile is a service's of which others may be the ones that give it.
func (p *page) serviceTile(o kiosk.Offer) tile {
	name := string(o.Name)
	in := kiosk.Input{Event: kiosk.ChoseOpenService, Service: o.Name}
	if o.SignIn {
		in.Event = kiosk.ChoseService
	}
	t := tile{in, widget.Face{Name: name, Label: p.t.T("dialog." + name), Icon: serviceIcon(name)},
		"", p.lacks(o.SignIn, o.Online)}
	if hint := "dialog." + name + ".hint"; p.t.Has(hint) {
		t.hint = p.t.T(hint)
	}
	s, _ := p.v.Health.Other(name)
	switch {
	case t.why != "" || s.Works():
	case s.Closed:
		t.why = p.t.T("home.closed")
	default:
		t.why = p.t.T("home.down", "time", p.since(s.Since))
		if !s.Worked.IsZero() {
			t.why += "\n" + p.t.T("home.worked", "time", p.since(s.Worked))
		}
	}
	return t
}

// serviceIcons are the pictures of services that are not called as their picture is.
var serviceIcons = map[string]string{
	"own.money": "money", "own.records": "history", "own.about": "phone", "own.help": "help",
}

// serviceIcon is the picture of a service, or of any.
func serviceIcon(name string) string {
	name = cmp.Or(serviceIcons[name], name)
	if slices.Contains(assets.Icons(), name) {
		return name
	}
	return "menu"
}

// lacks says what the machine has not that a service needs; "" if it has it.
func (p *page) lacks(card, online bool) string {
	switch h := p.v.Health; {
	case card && !h.Reader:
		return p.t.T("home.noreader")
	case online && !h.Upstream:
		return p.t.T("home.offline")
	}
	return ""
}
