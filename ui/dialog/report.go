package dialog

import (
	"image/color"
	"slices"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"

	"quancun/kiosk/dialog"
	"quancun/ui/look"
	"quancun/ui/text"
	"quancun/ui/widget"
)

// verdict is how a task ended, in colour.
type verdict struct {
	ground color.NRGBA
	icon   string
	title  string
	body   string
	code   string // to be read out on the telephone; "": none
}

func (p *page) verdict() verdict {
	r := p.v.Report
	title := p.word(p.v.Task)
	if r.Title != "" {
		title = p.word(r.Title)
	}
	if r.No != "" {
		title += "  " + r.No
	}
	switch p.v.Outcome {
	case dialog.Done:
		v := verdict{ground: look.Good, icon: "check", title: title}
		if r.Told { // a tick would say that something was done
			v.ground, v.icon = look.Blue, "info"
		}
		if r.Bare() && !r.Told || r.Ref != "" {
			v.body = p.t.T("dialog.ok")
		}
		if r.Next != "" {
			v.body = p.word(r.Next)
		}
		return v
	case dialog.Unknown:
		v := verdict{ground: look.Unknown, icon: "unknown"}
		p.why(&v)
		switch {
		case !p.s.Touch: // codes tell a cashier what to do
			v.title, v.body = p.t.T("dialog.unknown"), v.title+"\n"+v.body
		case p.v.Why == "": // a script's own words say what is being checked
			v.title, v.body = p.t.T("dialog.unknown"), p.t.T("dialog.unknown.body")
		}
		if r.Next != "" {
			v.body += "\n" + p.word(r.Next)
		}
		if p.v.Followed {
			v.body += "\n" + p.t.T("dialog.followed")
		}
		return v
	}
	v := verdict{ground: look.Bad, icon: "refused"}
	p.why(&v)
	untouched := p.t.T("dialog.refused")
	if r.Next != "" { // something is so all the same
		untouched = p.word(r.Next)
	}
	all := []string{v.body, untouched}
	if p.s.Touch { // first of all: is my money there?
		slices.Reverse(all)
	}
	v.body = strings.Join(all, "\n")
	return v
}

// why says why a task was not done, or is not known to be.
func (p *page) why(v *verdict) {
	switch {
	case p.v.Why != "":
		v.title, v.body = p.word(p.v.Why), p.word(p.v.Why+".advice")
	case p.s.Fault != 0:
		v.title, v.body = p.t.Fault(p.s.Fault)
	}
	if p.s.Fault != 0 {
		v.code = p.t.T("fault.code", "code", text.Code(p.s.Fault))
		if p.s.Phone != "" {
			v.code += "   " + p.t.T("phone", "phone", p.s.Phone)
		}
	}
}

// ended is what came of a task.
func (p *page) ended() fyne.CanvasObject {
	p.out.Leave = "dialog.back"
	p.actions()
	r := p.v.Report
	v := p.verdict()
	if p.s.Touch {
		r.QR = p.t.Carried(p.v, p.s.Now)
	}
	if p.v.Report.Bare() {
		column := p.k.Column(5, widget.Grow(p.large(v)))
		column.Objects = append(column.Objects, p.states(p.s.Room.Width)...)
		return column
	}
	strip := p.largerStrip(v, r)
	if strip == nil {
		strip = p.strip(v)
	}
	room := p.s.Room.Height - strip.MinSize().Height - p.k.MM(5)
	return p.k.Column(5, strip, widget.Grow(p.body(r, room)))
}

// actions are the keys of a report, and what Enter does.
func (p *page) actions() {
	p.out.Confirm = func() { p.send(dialog.Input{Event: dialog.Left}) }
	var keys []func()
	add := func(event dialog.Event, name, icon string) {
		send := func() { p.send(dialog.Input{Event: event}) }
		keys = append(keys, send)
		label := p.t.T("dialog."+name, "key", len(keys))
		if p.s.Touch {
			label = p.t.T("dialog.touch." + name)
		}
		p.out.Foot = append(p.out.Foot, p.k.Button(widget.Face{Name: name, Label: label, Icon: icon}, send))
	}
	if p.v.CanPrint {
		add(dialog.PrintIt, "print", "print")
	}
	if p.v.CanSave && !p.s.Touch { // whose file it would be nobody could say at a kiosk
		add(dialog.SaveIt, "save", "save")
	}
	if p.s.Touch { // its keys have no numbers
		return
	}
	p.out.Type = func(r rune) {
		if n := int(r - '1'); n >= 0 && n < len(keys) {
			keys[n]()
		}
	}
}

// states says what has become of printing and saving.
func (p *page) states(width float32) (all []fyne.CanvasObject) {
	if paper := OnPaper(p.v, p.s, width); paper != nil {
		all = append(all, widget.CentreX(paper))
	}
	switch {
	case p.v.NotSaved:
		all = append(all, widget.CentreX(p.k.Banner(look.Careful, "warning", p.t.T("dialog.notsaved"), width)))
	case p.v.Saved != "":
		all = append(all, widget.CentreX(p.saved(width)))
	}
	return all
}

// OnPaper says what has become of printing the report of v; nil: nothing yet.
func OnPaper(v dialog.View, s Stage, width float32) fyne.CanvasObject {
	tone, icon, words := look.Careful, "warning", ""
	switch v.Printed {
	case dialog.NotPrinted:
		return nil
	case dialog.Printing:
		tone, icon, words = look.Neutral, "info", s.Texts.T("dialog.printing")
	case dialog.Printed:
		tone, icon, words = look.Well, "ok", s.Texts.T("dialog.printed")
	case dialog.NotYet:
		words = s.Texts.T("dialog.notprinted")
		if s.Touch { // a holder's is not kept
			words = s.Texts.NotPrinted(v, s.Now)
		}
	}
	return s.Kit.Banner(tone, icon, words, width)
}

// saved says where a report was saved: the end of the path says the most.
func (p *page) saved(width float32) fyne.CanvasObject {
	style := widget.Style{Type: look.Small, Colour: look.Good}
	title := p.k.Line(p.t.T("dialog.saved"), widget.Style{Type: look.Body, Colour: look.Good})
	place := p.k.Line(p.v.Saved, style)
	for cut := []rune(p.v.Saved); len(cut) > 1 && place.MinSize().Width > p.k.Room(width); {
		cut = cut[1:]
		place.Text = "..." + string(cut)
	}
	return p.k.Notice(look.Well, "ok", p.k.Column(0, title, place))
}

// filled is the ground of a verdict, its sign, and the colour of its words. For
// [look.Needs.Contrast] only its edge has a colour: a light area would dazzle.
func (p *page) filled(v verdict, size float64) (*canvas.Rectangle, fyne.CanvasObject, color.NRGBA) {
	if !p.k.Needs.Contrast {
		return p.k.Fill(v.ground), p.k.Sign(v.icon, size, v.ground), look.Surface
	}
	ground := p.k.Fill(look.Surface)
	ground.StrokeColor, ground.StrokeWidth = p.k.Paint(v.ground), p.k.MM(1.5)
	return ground, p.k.Mark(v.icon, size, v.ground), v.ground
}

// large fills the page with a verdict that has nothing beside it.
func (p *page) large(v verdict) fyne.CanvasObject {
	width := p.s.Room.Width - p.k.MM(2*10)
	ground, sign, ink := p.filled(v, 36)
	ground.CornerRadius = p.k.MM(5)
	style := widget.Style{Colour: ink, Align: fyne.TextAlignCenter, Bold: true, Type: look.Figure}
	column := p.k.Column(6, widget.Spring(), widget.CentreX(sign), p.k.Text(v.title, style, width))
	style.Type, style.Bold = look.Lead, false
	for _, words := range []string{v.body, v.code} {
		if words != "" {
			column.Add(p.k.Text(words, style, width))
		}
	}
	column.Add(widget.Spring())
	return widget.Pile(ground, p.k.Inset(10, column))
}

// What a strip leaves for its words, where there are states beside it.
const (
	stripShare = 0.46
	stripClose = 0.66 // where it is set as closely as it can be
)

// largerStrip is a verdict in larger type, where all there is to read fits below it and
// is large, too; nil where it does not.
func (p *page) largerStrip(v verdict, r dialog.Report) fyne.CanvasObject {
	if !p.s.Touch || len(r.Table.Rows)+len(r.Plot) > 0 || carries(r) || len(p.states(p.s.Room.Width)) > 0 {
		return nil
	}
	strip := p.coloured(v, largeStrip, p.s.Room.Width)
	title := p.k.Line(v.title, widget.Style{Type: largeStrip.title, Bold: true})
	if title.MinSize().Width > p.stripRoom(largeStrip, p.s.Room.Width) {
		return nil
	}
	room := p.s.Room.Height - strip.MinSize().Height - p.k.MM(5)
	if isProse(r) && p.prose(r.Facts, p.s.Room.Width, room).MinSize().Height <= room {
		return strip
	}
	if _, how := p.setFacts(r.Facts, p.s.Room.Width, room); how.size >= look.Lead {
		return strip
	}
	return nil
}

// strip is a verdict above what there is to read, and beside it what has become of
// printing and saving.
func (p *page) strip(v verdict) fyne.CanvasObject {
	room := p.s.Room.Width
	beside := p.states(room)
	if len(beside) == 0 {
		return p.coloured(v, smallStrip, room)
	}
	if p.k.Panel.Portrait() {
		return p.k.Column(4, append([]fyne.CanvasObject{p.coloured(v, smallStrip, room)}, beside...)...)
	}
	share := float32(stripShare)
	if p.s.Touch && p.k.Density == look.Closest {
		share = stripClose
	}
	left, right := p.columns(share)
	states := p.k.Column(3, p.states(right)...)
	return p.k.Row(gutter, widget.Wide(left, p.coloured(v, smallStrip, left)),
		widget.Wide(right, widget.CentreY(states)))
}

// stripSizes is how large a strip is set.
type stripSizes struct {
	title, body look.Type
	pad         float64
}

var (
	smallStrip = stripSizes{look.Heading, look.Body, 4}
	largeStrip = stripSizes{look.Title, look.Lead, 6}
)

const stripSign, stripGap = 16.0, 6.0

// stripRoom is how wide the words of a strip may be.
func (p *page) stripRoom(s stripSizes, width float32) float32 {
	return width - p.k.MM(2*s.pad+stripSign+stripGap)
}

// coloured is a verdict in a few lines.
func (p *page) coloured(v verdict, s stripSizes, width float32) fyne.CanvasObject {
	room := p.stripRoom(s, width)
	ground, sign, ink := p.filled(v, stripSign)
	ground.CornerRadius = p.k.MM(4)
	style := widget.Style{Colour: ink, Bold: true, Type: s.title}
	words := p.k.Column(1, p.k.Text(v.title, style, room))
	style.Type, style.Bold = s.body, false
	for _, more := range []string{v.body, v.code} {
		if more != "" {
			words.Add(p.k.Text(more, style, room))
		}
	}
	return widget.Pile(ground, p.k.Inset(s.pad, p.k.Row(stripGap,
		widget.CentreY(sign), widget.Grow(widget.CentreY(words)))))
}

// body is what a report says: its plot, and its lines beside or below it.
func (p *page) body(r dialog.Report, height float32) fyne.CanvasObject {
	lines := len(r.Facts) + len(r.Table.Rows)
	switch {
	case p.s.Touch && isProse(r):
		return p.prose(r.Facts, p.s.Room.Width, height)
	case carries(r):
		return p.carried(r, height)
	case len(r.Plot) == 0:
		return p.read(r, p.s.Room.Width, height)
	case lines == 0:
		return p.plot(r.Plot, p.s.Room.Width, height)
	case p.k.Panel.Portrait():
		const share = 0.42
		return p.k.Column(6, p.plot(r.Plot, p.s.Room.Width, height*share),
			widget.Grow(p.lines(r, p.s.Room.Width, height*(1-share)-p.k.MM(6))))
	}
	left, right := p.columns(0.5)
	return p.k.Row(gutter, widget.Wide(left, p.plot(r.Plot, left, height)),
		widget.Wide(right, p.lines(r, right, height)))
}
