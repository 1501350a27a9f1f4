package till

import (
	"math"
	"strconv"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"

	desk "quancun/kiosk/office"
	"quancun/kiosk/till"
	"quancun/ui/dialog"
	"quancun/ui/look"
	"quancun/ui/text"
	"quancun/ui/widget"
)

// page is a page while it is being built.
type page struct {
	v till.View
	s Stage
	k widget.Kit
	t *text.Texts

	screen *Screen
	office *dialog.Page // of the office's step; nil: it is another
}

// Measures of every page, in drawn millimetres.
const (
	margin  = 10.0 // at the sides
	gutter  = 10.0 // between the columns of a wide page
	bodyPad = 5.0  // above and below the content
	footKey = 22.0 // height of the footer's keys
)

// width is the room between the margins, in pixels.
func (p *page) width() float32 { return p.k.Panel.Size().Width - p.k.MM(2*margin) }

// height is the room between header and footer, in pixels.
func (p *page) height() float32 {
	return p.k.Panel.Size().Height - p.top().MinSize().Height - p.foot().MinSize().Height - p.k.MM(2*bodyPad)
}

// columns is the room of the two halves of a page: beside each other on a wide
// panel, under each other on an upright one.
func (p *page) columns(share float32) (left, right float32) {
	if p.k.Panel.Portrait() {
		return p.width(), p.width()
	}
	room := p.width() - p.k.MM(gutter)
	return room * share, room * (1 - share)
}

// split puts what a page says and what it lets a person do where the panel has
// room.
func (p *page) split(share float32, says, does fyne.CanvasObject) fyne.CanvasObject {
	if p.k.Panel.Portrait() {
		return p.k.Column(8, widget.Grow(says), does)
	}
	left, right := p.columns(share)
	return p.k.Row(gutter, widget.Wide(left, says), widget.Wide(right, does))
}

// frame puts the header above and the footer below content.
func (p *page) frame(content fyne.CanvasObject) fyne.CanvasObject {
	ground := canvas.NewRectangle(look.Ground)
	return widget.Pile(ground, p.k.Column(0, p.top(), widget.Grow(p.k.InsetXY(margin, bodyPad, content)), p.foot()))
}

// top is the header, and under it what the upstream's absence means.
func (p *page) top() fyne.CanvasObject {
	column := p.k.Column(0, p.header())
	if p.dark() {
		column.Add(p.darkBanner())
	}
	return column
}

func (p *page) header() fyne.CanvasObject {
	small := widget.Style{Type: look.Small, Colour: look.Soft}
	const gap = 6
	clock := p.k.Line(text.Clock(p.s.Now), widget.Style{Type: look.Lead, Colour: look.Soft})
	p.tick(clock, func(now time.Time) string { return text.Clock(now) })
	language := p.k.Button(widget.Face{Name: "language", Label: p.t.T("language.other"), Icon: "language",
		Type: look.Body}, p.s.OnLanguage)
	room := p.width() - clock.MinSize().Width - language.MinSize().Width - p.k.MM(3*gap)
	printer := p.printer()
	if printer != nil {
		room -= printer.MinSize().Width + p.k.MM(gap)
	}
	place := p.v.Place
	if place == "" {
		place = p.school()
	}
	names := p.k.Column(0.5,
		p.k.Clipped(place, widget.Style{Type: look.Body}, room),
		p.k.Clipped(p.status(), small, room))
	bar := canvas.NewRectangle(look.Surface)
	row := p.k.Row(gap, widget.CentreY(names), widget.Spring())
	if printer != nil {
		row.Add(widget.CentreY(printer))
	}
	row.Add(widget.CentreY(clock))
	row.Add(language)
	return widget.Pile(bar, p.k.Column(0, p.k.InsetXY(margin, 3, row), p.k.Rule()))
}

// status is who sells, at which machine, and what it has not told the upstream.
func (p *page) status() string {
	line := p.t.T("terminal", "id", p.v.Health.Terminal)
	if who := p.v.Operator; who.No != "" {
		key := "till.operator"
		if p.v.OfficeOnly {
			key = "till.staff"
		}
		line = p.t.T(key, "name", who.Name, "no", who.No) + "   " + line
	}
	if q := p.v.Health.Queue; q.Failing && q.Count > 0 {
		line += "   " + p.t.T("queue", "count", strconv.FormatInt(q.Count, 10), "since", p.t.When(q.Since, p.s.Now))
	}
	return line
}

// foot has leaving at its left end; then what else can be done, the last sale,
// and how long the page will wait.
func (p *page) foot() fyne.CanvasObject {
	row := p.k.Row(6)
	if p.screen.leaves {
		row.Add(p.key(p.screen.leaving(), widget.Face{
			Name: "leave", Label: p.t.T(p.leaving()), Icon: "back"}))
	}
	if p.office != nil {
		row.Objects = append(row.Objects, p.office.Foot...)
	}
	if p.v.HasOffice && p.accepts(till.OpenOffice) {
		row.Add(p.key(till.Input{Event: till.OpenOffice}, widget.Face{
			Name: "office", Label: p.t.T("till.office"), Icon: "menu"}))
	}
	if p.locks() {
		row.Add(p.key(till.Input{Event: till.Lock}, widget.Face{Name: "lock", Label: p.t.T("till.lock"), Icon: "lock"}))
	}
	if p.v.Step == till.Ready && p.v.Last.Amount > 0 {
		row.Add(widget.CentreY(p.k.Line(p.t.T("till.last", "amount", text.Amount(p.v.Last.Amount),
			"at", text.Clock(p.v.Last.At)), widget.Style{Type: look.Body, Colour: look.Soft})))
	}
	row.Add(widget.Spring())
	if p.office != nil || p.accepts(till.Timeout) && p.v.Step != till.Ready {
		row.Add(widget.CentreY(p.countdown()))
	}
	return p.k.InsetXY(margin, 5, p.k.Sized(0, footKey, row))
}

// locks reports whether the till can be locked from this page.
func (p *page) locks() bool {
	if p.office != nil { // from its menu; who is amid something leaves that first
		return p.s.Staff && p.v.Office.Page == desk.Menu && !p.v.OfficeOnly // who only leaves by locking it
	}
	return p.s.Staff && p.accepts(till.Lock)
}

// leaving is the word for leaving a step.
func (p *page) leaving() string {
	switch p.v.Step {
	case till.Office:
		if p.v.OfficeOnly && p.v.Office.Page == desk.Menu {
			return "dialog.signout"
		}
		return p.office.Leave
	case till.Present:
		return "till.leave.price"
	case till.Sold, till.Declined, till.Glance:
		return "till.leave.next"
	case till.Doubt:
		return "till.leave.gone"
	case till.Unknown:
		return "till.leave.known"
	default:
		return "leave.cancel"
	}
}

// countdown says how long the step waits; it is empty for one that waits for
// ever.
func (p *page) countdown() fyne.CanvasObject {
	words := func(now time.Time) string {
		ends := p.screen.view.Ends
		if p.office != nil {
			ends = p.v.Office.Ends
		}
		if ends.IsZero() {
			return ""
		}
		left := max(0, int(math.Ceil(ends.Sub(now).Seconds())))
		return p.t.T("seconds", "seconds", left)
	}
	line := p.k.Line(words(p.s.Now), widget.Style{Type: look.Small, Colour: look.Soft})
	p.tick(line, words)
	return line
}

// tick keeps a line up to date.
func (p *page) tick(line *canvas.Text, words func(now time.Time) string) {
	p.screen.ticks = append(p.screen.ticks, func(now time.Time) {
		if w := words(now); w != line.Text {
			line.Text = w
			line.Refresh()
		}
	})
}

// accepts reports whether the step takes e.
func (p *page) accepts(e till.Event) bool {
	_, ok := p.v.Step.Next(e)
	return ok
}

// key makes a key that sends in.
func (p *page) key(in till.Input, f widget.Face) *widget.Button {
	return p.k.Button(f, func() { p.s.On(in) })
}

// first makes the page's next action, which Enter does too.
func (p *page) first(in till.Input, f widget.Face) *widget.Button {
	f.Rank = widget.Primary
	p.screen.confirm = func() { p.s.On(in) }
	return p.key(in, f)
}

// next has a digit begin the next price, from the page of the sale before.
func (p *page) next() {
	p.screen.typeRune = func(r rune) {
		if p.s.Typed.Sum == "" {
			p.s.On(till.Input{Event: till.Leave})
		}
		widget.TypePrice(&p.s.Typed.Sum, r)
	}
}

// school is the name of the school in the language of now.
func (p *page) school() string {
	school := p.v.Health.SchoolZH
	if p.t.Language() == text.English {
		school = p.v.Health.SchoolEN
	}
	if school == "" {
		school = p.t.T("school.none")
	}
	return school
}

func (p *page) text(words string, size look.Type, bold bool, width float32) fyne.CanvasObject {
	s := widget.Style{Type: size, Bold: bold, Align: fyne.TextAlignCenter}
	if !bold {
		s.Colour = look.Soft
	}
	return p.k.Text(words, s, width)
}
