package screen

import (
	"fyne.io/fyne/v2"

	"quancun/kiosk"
	"quancun/ui/look"
	"quancun/ui/text"
	"quancun/ui/widget"
)

// message is a page that says one thing: a picture, a title, and what it means.
type message struct {
	picture string
	tone    look.Tone
	title   string
	body    string
	more    func(width float32) []fyne.CanvasObject // under the text; nil: nothing
	take    func(width float32) fyne.CanvasObject   // what a person may take along; nil: nothing
	below   func(width float32) fyne.CanvasObject   // besides that, under both columns of a wide page; nil: nothing
}

// What of a wide page the picture takes, or a code alone.
const (
	pictureShare = 0.40
	codeShare    = 0.32
)

func (p *page) message(m message) fyne.CanvasObject {
	if p.k.Density == look.Airy && !p.k.Needs.Large && p.onOneLine(m) {
		room := fyne.NewSize(p.width(), p.bodyHeight())
		large := p.setMessage(m, messageSizes{look.Figure, look.Heading})
		if need := large.MinSize(); need.Width <= room.Width && need.Height <= room.Height {
			return large
		}
	}
	return p.setMessage(m, messageSizes{look.Title, look.Lead})
}

// messageSizes is how large a message is set.
type messageSizes struct{ title, body look.Type }

// onOneLine reports whether the title of a message is, in the largest type.
func (p *page) onOneLine(m message) bool {
	_, width := p.columns(pictureShare)
	return p.k.Line(m.title, widget.Style{Type: look.Figure, Bold: true}).MinSize().Width <= width
}

func (p *page) setMessage(m message, s messageSizes) fyne.CanvasObject {
	share := float32(pictureShare)
	switch {
	case p.k.Density > look.Airy && m.take == nil:
		share /= 2 // a picture says less than the words
	case m.below != nil:
		share = codeShare
	}
	_, width := p.columns(share)
	words := p.k.Column(8, p.notice(width)...)
	words.Add(p.k.Text(m.title, widget.Style{Type: s.title, Bold: true, Align: p.align()}, width))
	if m.body != "" {
		words.Add(p.k.Text(m.body, widget.Style{Type: s.body, Colour: look.Soft, Align: p.align()}, width))
	}
	if m.more != nil {
		for _, o := range m.more(width) {
			words.Add(o)
		}
	}
	if p.k.Panel.Portrait() {
		picture := widget.CentreX(p.k.Icon(m.picture, 168, 126, m.tone))
		if m.take != nil {
			picture = widget.CentreX(p.k.Icon(m.picture, 96, 72, m.tone))
		}
		page := p.k.Column(10, widget.Spring(), picture, p.k.Gap(2), words, widget.Spring())
		if m.take == nil {
			page.Add(widget.Spring()) // a page alone stands above the middle
		} else {
			page.Add(m.take(width))
		}
		return page
	}
	left, right := p.columns(share)
	size := min(112, float64(left/p.k.MM(1)))
	picture := p.k.Column(8, widget.CentreX(p.k.Icon(m.picture, size, size*3/4, m.tone)))
	switch {
	case m.below != nil: // there is no room for a picture
		picture = p.k.Column(8, m.take(left))
	case m.take != nil:
		picture = p.k.Column(8, widget.CentreX(p.k.Icon(m.picture, 64, 48, m.tone)), m.take(left))
	}
	page := p.k.Row(gutter, widget.Wide(left, widget.CentreY(picture)), widget.Wide(right, widget.CentreY(words)))
	if m.below == nil {
		return page
	}
	return p.k.Column(4, widget.Grow(page), widget.CentreX(m.below(p.width())))
}

// present asks for the card.
func (p *page) present() fyne.CanvasObject {
	return p.message(message{picture: "card-on-reader", title: p.t.T("present.title"), body: p.t.T("present.body")})
}

// working says what the terminal is doing while the person can only wait. It
// does not move: it is over in a moment.
func (p *page) working() fyne.CanvasObject {
	m := message{picture: "waiting"}
	key := ""
	switch p.v.Step {
	case kiosk.Reading:
		key, m.picture = "reading", "card-stays"
	case kiosk.SigningIn:
		key, m.picture = "signing", "lock"
	case kiosk.Ordering:
		key, m.picture = "ordering", "phone-scan"
	case kiosk.Cancelling:
		key, m.picture, m.tone = "cancelling", "checking", look.Open
	case kiosk.Rereading:
		key, m.picture = "rereading", "card-stays"
	case kiosk.Unlocking:
		key, m.picture = "unlocking", "lock"
	case kiosk.Settling:
		key, m.picture, m.tone = "settling", "checking", look.Open
	}
	m.title, m.body = p.t.T(key+".title"), p.t.T(key+".body")
	return p.message(m)
}

// card asks for the card back, or gives it.
func (p *page) card() fyne.CanvasObject {
	switch p.v.Step {
	case kiosk.Replace:
		body := p.t.T("replace.body.none")
		if sum := max(p.v.Load.Amount, p.v.TopUp.Amount); sum > 0 {
			body = p.t.T("replace.body", "amount", text.Amount(sum))
		}
		return p.message(message{picture: "card-on-reader", title: p.t.T("replace.title"), body: body})
	case kiosk.Doubt:
		return p.message(message{picture: "card-on-reader", tone: look.Open,
			title: p.t.T("doubt.title"), body: p.t.T("doubt.body")})
	default:
		return p.message(message{picture: "card-taken", tone: look.Well,
			title: p.t.T("takecard.title"), body: p.t.T("takecard.body")})
	}
}

// unpaidOrChecking is how an order ended that was not seen to be paid: it was
// not, or nobody knows yet.
func (p *page) unpaidOrChecking() fyne.CanvasObject {
	if p.v.Step == kiosk.Unpaid {
		m := message{picture: "nothing-charged", title: p.t.T("unpaid.title"), body: p.t.T("unpaid.body")}
		if p.v.Notice == kiosk.Returned {
			m.title, m.body = p.t.T("unpaid.returned.title"), p.t.T("unpaid.returned.body")
		}
		return p.message(m)
	}
	return p.message(message{picture: "checking", tone: look.Open,
		title: p.t.T("checking.title"), body: p.t.T("checking.body"),
		more: func(width float32) []fyne.CanvasObject {
			if p.v.TopUp.OrderNo == "" {
				return nil
			}
			words := p.t.T("checking.order", "amount", text.Amount(p.v.TopUp.Amount), "order", tail(p.v.TopUp.OrderNo))
			return []fyne.CanvasObject{p.across(p.k.Banner(look.Open, "unknown", words, width))}
		}})
}

// tail is the end of an order number, enough to find it in a phone's list.
func tail(orderNo string) string {
	const digits = 6
	return orderNo[max(0, len(orderNo)-digits):]
}
