package screen

import (
	"math"
	"slices"
	"strconv"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"

	"quancun/kiosk"
	"quancun/ui/look"
	"quancun/ui/text"
	"quancun/ui/widget"
)

// page is a page while it is being built.
type page struct {
	v kiosk.View
	s Stage
	k widget.Kit
	t *text.Texts

	screen *Screen
	footer []fyne.CanvasObject // keys of the footer beside leaving
}

// Measures of every page, in drawn millimetres.
const (
	margin = 14.0 // at the sides
	gutter = 16.0 // between the columns of a landscape page

	bodyPad = 5.0 // above and below the content
)

// width is the room between the margins, in pixels.
func (p *page) width() float32 { return p.k.Panel.Size().Width - p.k.MM(2*margin) }

// columns is the room of the two halves of a page: beside each other on a
// landscape panel, under each other on an upright one.
func (p *page) columns(share float32) (info, action float32) {
	if p.k.Panel.Portrait() {
		return p.width(), p.width()
	}
	room := p.width() - p.k.MM(gutter)
	return room * share, room * (1 - share)
}

// split puts what a page says and what it lets a person do where the panel
// has room: the keys low on an upright panel, to the right on a wide one.
func (p *page) split(share float32, info, action fyne.CanvasObject) fyne.CanvasObject {
	if p.k.Panel.Portrait() {
		return p.k.Column(8, widget.Grow(widget.CentreY(info)), action)
	}
	left, right := p.columns(share)
	return p.k.Row(gutter, widget.Wide(left, widget.CentreY(info)), widget.Wide(right, widget.CentreY(action)))
}

// bodyHeight is the room between header and footer, in pixels.
func (p *page) bodyHeight() float32 {
	return p.k.Panel.Size().Height - p.header().MinSize().Height - p.foot().MinSize().Height - p.k.MM(2*bodyPad)
}

// align is how running text is set: in the middle of an upright page, from the
// left in the column of a wide one.
func (p *page) align() fyne.TextAlign {
	if p.k.Panel.Portrait() {
		return fyne.TextAlignCenter
	}
	return fyne.TextAlignLeading
}

func (p *page) title(words string, width float32) fyne.CanvasObject {
	return p.k.Text(words, widget.Style{Type: look.Title, Bold: true, Align: p.align()}, width)
}

func (p *page) lead(words string, width float32) fyne.CanvasObject {
	return p.k.Text(words, widget.Style{Type: look.Lead, Colour: look.Soft, Align: p.align()}, width)
}

// across puts a part of a page where its running text is.
func (p *page) across(part fyne.CanvasObject) fyne.CanvasObject {
	if p.k.Panel.Portrait() {
		return widget.CentreX(part)
	}
	return part
}

// frame puts the header above and the footer below content.
func (p *page) frame(content fyne.CanvasObject) fyne.CanvasObject {
	ground := p.k.Fill(look.Ground)
	return widget.Pile(ground, p.k.Column(0,
		p.header(),
		widget.Grow(p.k.InsetXY(margin, bodyPad, content)),
		p.foot(),
	))
}

// status is the line for whoever looks after the machine: which one it is, and
// what it has not told the upstream, in full and, where there is no room, in short.
func (p *page) status() (lines []string) {
	line, q := p.t.T("terminal", "id", p.v.Health.Terminal), p.v.Health.Queue
	if !q.Failing || q.Count == 0 {
		return []string{line}
	}
	count := strconv.FormatInt(q.Count, 10)
	return []string{
		line + "  " + p.t.T("queue", "count", count, "since", p.t.When(q.Since, p.s.Now)),
		line + "  " + p.t.T("queue.short", "count", count),
		p.t.T("queue.short", "count", count),
	}
}

func (p *page) header() fyne.CanvasObject {
	small := widget.Style{Type: look.Small, Colour: look.Soft}
	const gap = 8 // between names, spring, clock and language, in millimetres
	clock := p.k.Line(text.Clock(p.s.Now), widget.Style{Type: look.Lead, Colour: look.Soft})
	p.tick(clock, func(now time.Time) string { return text.Clock(now) })
	row := p.k.Row(gap, widget.Spring(), widget.CentreY(clock))
	if !p.k.Low() {
		row.Add(p.language())
	}
	room := p.width() - row.MinSize().Width - p.k.MM(gap)
	names := p.k.Column(0.5,
		p.k.Clipped(p.school(), widget.Style{Type: look.Small}, room),
		p.k.Fitting(room, small, p.status()...))
	row.Objects = slices.Insert(row.Objects, 0, fyne.CanvasObject(widget.CentreY(names)))
	bar := p.k.Fill(look.Surface)
	return widget.Pile(bar, p.k.Column(0,
		p.k.InsetXY(margin, 4, p.k.Sized(0, 20, row)),
		p.k.Rule()))
}

// language is the key to the other language.
func (p *page) language() fyne.CanvasObject {
	return p.k.Button(widget.Face{Name: "language", Label: p.t.T("language.other"), Icon: "language",
		Type: look.Body}, p.s.OnLanguage)
}

// foot has leaving at its left end, and how long the page will wait at its
// right end.
func (p *page) foot() fyne.CanvasObject {
	row := p.k.Row(6)
	if p.accepts(kiosk.Leave) {
		row.Add(p.key(kiosk.Input{Event: kiosk.Leave}, widget.Face{
			Name: "leave", Label: p.t.T(leaving(p.v)), Icon: "leave"}))
	}
	if p.v.Step == kiosk.Serving && p.v.SignedIn() {
		row.Add(p.backFromService())
	}
	if p.accepts(kiosk.Back) && (p.v.Step != kiosk.Served || p.v.SignedIn()) {
		row.Add(p.key(kiosk.Input{Event: kiosk.Back}, widget.Face{
			Name: "back", Label: p.t.T("back"), Icon: "back"}))
	}
	row.Add(widget.Spring())
	if p.v.Step == kiosk.Home {
		p.footHome(row)
	}
	if p.v.Step != kiosk.Pay && (p.accepts(kiosk.Leave) || p.v.Step == kiosk.TakeCard) {
		row.Add(widget.CentreY(p.countdown()))
	}
	for _, o := range p.footer {
		row.Add(o)
	}
	foot := p.k.Column(4)
	if p.v.Step == kiosk.Home && p.s.Phone != "" {
		line := p.k.Line(p.t.T("phone", "phone", p.s.Phone), widget.Style{Type: look.Small, Colour: look.Soft})
		p.addToFoot(foot, row, widget.CentreY(line))
	}
	if p.k.Low() {
		p.addToFoot(foot, row, p.language())
	}
	foot.Add(p.k.Sized(0, 22, row))
	return p.k.InsetXY(margin, 8, foot)
}

// footHome adds what Home alone has in its footer.
func (p *page) footHome(row *fyne.Container) {
	if p.s.OnNeeds != nil && !p.s.Choosing {
		row.Objects = slices.Insert(row.Objects, 0, fyne.CanvasObject(p.needsKey()))
	}
	if p.s.OnStaff != nil && !p.s.Choosing {
		row.Add(p.k.Button(widget.Face{Name: "staff", Label: p.t.T("home.staff"), Icon: "lock", Type: look.Body},
			p.s.OnStaff))
	}
}

// addToFoot puts something between the keys at the left end of the footer and what
// is at its right end, or above them all if there is no room.
func (p *page) addToFoot(foot, row *fyne.Container, part fyne.CanvasObject) {
	if row.MinSize().Width+part.MinSize().Width+p.k.MM(6) > p.width() {
		foot.Add(p.k.Row(0, widget.Spring(), part))
		return
	}
	spring := slices.IndexFunc(row.Objects, widget.IsSpring)
	row.Objects = slices.Insert(row.Objects, spring, part)
}

// leaving is the word for leaving a step.
func leaving(v kiosk.View) string {
	switch v.Step {
	case kiosk.Serving:
		if v.SignedIn() { // and back to the account is another key
			return "leave.finish"
		}
		return "leave.cancel"
	case kiosk.Replace, kiosk.ReenterPIN, kiosk.Doubt:
		return "leave.later"
	case kiosk.Account, kiosk.CardLog, kiosk.CardOnly, kiosk.Unpaid, kiosk.Checking,
		kiosk.Done, kiosk.OnAccount, kiosk.Fault, kiosk.Served:
		return "leave.finish"
	default:
		return "leave.cancel"
	}
}

// countdown says how long the step waits; it is empty for one that waits for
// ever.
func (p *page) countdown() fyne.CanvasObject {
	words := func(now time.Time) string {
		if p.screen.view.Ends.IsZero() {
			return ""
		}
		return p.t.T("seconds", "seconds", secondsLeft(p.screen.view.Ends, now))
	}
	line := p.k.Line(words(p.s.Now), widget.Style{Type: look.Small, Colour: look.Soft})
	p.tick(line, words)
	return line
}

// tick keeps a line up to date.
func (p *page) tick(line *canvas.Text, words func(now time.Time) string) {
	p.screen.ticks = append(p.screen.ticks, tick(line, words))
}

func tick(line *canvas.Text, words func(now time.Time) string) func(time.Time) {
	return func(now time.Time) {
		if w := words(now); w != line.Text {
			line.Text = w
			line.Refresh()
		}
	}
}

// secondsLeft counts down to 0, and says 1 while any of the last second is
// left.
func secondsLeft(end, now time.Time) int {
	return max(0, int(math.Ceil(end.Sub(now).Seconds())))
}

// accepts reports whether the step takes e from a person.
func (p *page) accepts(e kiosk.Event) bool {
	_, ok := p.v.Step.Next(e)
	return ok
}

// key makes a key that sends in.
func (p *page) key(in kiosk.Input, f widget.Face) *widget.Button {
	return p.k.Button(f, func() { p.s.On(in) })
}

// first makes the page's next action, which Enter does too.
func (p *page) first(in kiosk.Input, f widget.Face) *widget.Button {
	f.Rank = widget.Primary
	if !f.Disabled {
		p.screen.confirm = func() { p.s.On(in) }
	}
	return p.key(in, f)
}

// when tells a moment of the past in the zone of the page.
func (p *page) when(at time.Time) string {
	if at.IsZero() {
		return "--"
	}
	return p.t.When(at, p.s.Now)
}

// notice is the banner of the view's notice, or nothing. [kiosk.Returned] has a
// page of its own.
func (p *page) notice(width float32) []fyne.CanvasObject {
	var tone look.Tone
	icon := "info"
	switch p.v.Notice {
	case kiosk.OtherCardThere, kiosk.CardUnreadable:
		tone, icon = look.Careful, "warning"
	case kiosk.DoubtSettled:
		tone, icon = look.Well, "ok"
	case kiosk.DoubtUndone, kiosk.CardLeftPay:
	default:
		return nil
	}
	return []fyne.CanvasObject{p.across(p.k.Banner(tone, icon, p.t.T(text.Notice(p.v.Notice)), width))}
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
