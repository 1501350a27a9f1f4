package till

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"

	"quancun/kiosk/till"
	"quancun/ui/look"
	"quancun/ui/text"
	"quancun/ui/widget"
)

// dark reports whether the page has to say that the upstream is away. Before the
// first answer nobody knows.
func (p *page) dark() bool {
	return !p.v.Health.Upstream && !p.v.Health.Since.IsZero() && p.v.Step != till.OutOfOrder && p.v.Step != till.Office
}

// darkBanner says since when the upstream is away, what works, what brings it
// back, and how much may still be sold.
func (p *page) darkBanner() fyne.CanvasObject {
	title, works := "till.dark.title", p.t.T("till.dark.works", "ways", p.waysThat(true))
	if p.waysThat(true) == "" {
		title, works = "till.dark.title.nothing", p.t.T("till.dark.nothing")
	}
	if not := p.waysThat(false); not != "" {
		works += p.t.T("till.dark.not", "ways", not)
	}
	ink, tint := look.Careful.Colours()
	since := p.t.When(p.v.Health.Since, p.s.Now)
	barWidth := p.k.MM(92)
	if p.k.Panel.Portrait() {
		barWidth = p.k.MM(84)
	}
	room := p.width() - barWidth - p.k.MM(13+2*6)
	words := p.k.Column(1,
		p.k.Text(p.t.T(title, "since", since),
			widget.Style{Type: look.Body, Bold: true, Colour: ink}, room),
		p.k.Text(works+p.t.T("till.dark.back"), widget.Style{Type: look.Small, Colour: ink}, room))
	ground := canvas.NewRectangle(tint)
	return widget.Pile(ground, p.k.Column(0, p.k.InsetXY(margin, 3, p.k.Row(6,
		widget.CentreY(p.k.Icon("warning", 13, 13, look.Careful)),
		widget.Grow(widget.CentreY(words)),
		widget.CentreY(p.riskBar(barWidth)))), p.k.Rule()))
}

// riskBar is how much may still be sold before the upstream has to be told.
func (p *page) riskBar(width float32) fyne.CanvasObject {
	ink, _ := look.Careful.Colours()
	share := float32(0)
	if p.v.Dark.Max > 0 {
		share = float32(p.v.Dark.Left) / float32(p.v.Dark.Max)
	}
	back := canvas.NewRectangle(look.Surface)
	back.StrokeColor, back.StrokeWidth, back.CornerRadius = ink, p.k.MM(0.5), p.k.MM(2)
	full := canvas.NewRectangle(ink)
	full.CornerRadius = p.k.MM(2)
	bar := p.k.Sized(0, 7, widget.Pile(back, widget.Part(share, full)))
	style := widget.Style{Type: look.Small, Colour: ink}
	return widget.Wide(width, p.k.Column(1,
		p.k.Clipped(p.t.T("till.dark.left", "amount", text.Amount(p.v.Dark.Left)), style, width),
		bar,
		p.k.Clipped(p.t.T("till.dark.one", "amount", text.Amount(p.v.Dark.Sale)), style, width)))
}

// waysThat lists the ways of paying that work, if not at any price, or those that
// only the upstream's absence keeps away.
func (p *page) waysThat(work bool) (list string) {
	for _, w := range p.v.Ways {
		works := w.Why == till.NoReason || w.Why == till.TooDear
		away := w.Why == till.NoUpstream || w.Why == till.NoDark || w.Why == till.OldList || w.Why == till.PastGone
		if work && works || !work && away {
			if list != "" {
				list += p.t.T("till.and")
			}
			list += p.t.T(wayKey(w.Kind))
		}
	}
	return list
}

func wayKey(k till.Kind) string {
	switch k {
	case till.ByCode:
		return "till.way.code"
	case till.ByAlipay:
		return "till.way.alipay"
	default:
		return "till.way.card"
	}
}

func reasonKey(r till.Reason) string {
	switch r {
	case till.NoReader:
		return "till.why.reader"
	case till.NoUpstream:
		return "till.why.upstream"
	case till.NotBuilt:
		return "till.why.none"
	case till.NoDark:
		return "till.why.dark"
	case till.OldList:
		return "till.why.old"
	case till.NoSAM:
		return "till.why.sam"
	case till.PastGone:
		return "till.why.past"
	case till.Closed:
		return "till.why.closed"
	case till.TooDear:
		return "till.why.dear"
	default:
		return "till.why.ok"
	}
}
