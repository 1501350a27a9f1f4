package till

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"

	"quancun/kiosk"
	"quancun/kiosk/till"
	"quancun/money"
	"quancun/ui/look"
	"quancun/ui/text"
	"quancun/ui/widget"
)

const resultShare = 0.60

// verdict is a result in colour, to be read from two metres away.
type verdict struct {
	ground color.NRGBA
	icon   string
	title  string
	amount money.Fen // 0: none
	body   string
}

// scale is how large a verdict is set.
type scale struct {
	sign, gap     float64 // in millimetres
	title, amount look.Type
}

// scales are tried until one fits: what has more to say says it smaller.
var scales = []scale{
	{34, 5, look.Figure, look.Display + 4},
	{26, 3, look.Figure, look.Display},
	{20, 2, look.Title, look.Figure},
	{16, 1, look.Heading, look.Title},
}

// verdict fills its half of the page with a colour. White on it reaches 7:1.
func (p *page) verdict(v verdict) (filled fyne.CanvasObject) {
	for _, s := range scales {
		if filled = p.scaled(v, s); filled.MinSize().Height <= p.height() {
			break
		}
	}
	return filled
}

func (p *page) scaled(v verdict, s scale) fyne.CanvasObject {
	width, _ := p.columns(resultShare)
	room := width - p.k.MM(2*8)
	ground := canvas.NewRectangle(v.ground)
	ground.CornerRadius = p.k.MM(5)
	white := widget.Style{Colour: look.Surface, Align: fyne.TextAlignCenter, Bold: true, Type: s.title}
	column := p.k.Column(s.gap, widget.Spring(),
		widget.CentreX(p.k.Sign(v.icon, s.sign, v.ground)), p.k.Text(v.title, white, room))
	if v.amount > 0 {
		white.Type = s.amount
		column.Add(p.k.Line(text.Amount(v.amount), white))
	}
	if v.body != "" {
		white.Type, white.Bold = look.Lead, false
		column.Add(p.k.Text(v.body, white, room))
	}
	column.Add(widget.Spring())
	return widget.Pile(ground, p.k.Inset(8, column))
}

// result puts a verdict beside whom it is about and what can be done.
func (p *page) result(v verdict, more ...fyne.CanvasObject) fyne.CanvasObject {
	_, does := p.columns(resultShare)
	column := p.k.Column(6)
	if n := p.notice(does); n != nil {
		column.Add(n)
	}
	if who := p.person(does); who != nil {
		column.Add(who)
	}
	for _, o := range more {
		column.Add(o)
	}
	return p.split(resultShare, p.verdict(v), widget.CentreY(column))
}

// person is whose card it is: a slot for the photo, the masked name and what is
// left; or nil. Names are set in the regular font: the bold one lacks rare
// characters.
func (p *page) person(width float32) fyne.CanvasObject {
	h := p.v.Holder
	if h.Name == "" && h.Card == "" {
		return nil
	}
	names := p.k.Column(1, p.k.Line(h.Name, widget.Style{Type: look.Heading}))
	small := widget.Style{Type: look.Body, Colour: look.Soft}
	if h.Number != "" {
		names.Add(p.k.Line(h.Number, small))
	}
	if h.Card != "" {
		names.Add(p.k.Line(p.t.T("holder.card", "card", h.Card), small))
	}
	column := p.k.Column(5, p.k.Row(6, p.k.Sized(33, 44, p.photo()), widget.Grow(widget.CentreY(names))))
	if p.v.Known {
		column.Add(p.k.Rule())
		column.Add(p.k.Row(4, widget.CentreY(p.k.Line(p.t.T("till.left"), small)), widget.Spring(),
			p.k.Line(text.Amount(p.v.Balance), widget.Style{Type: look.Title, Bold: true})))
	}
	return p.k.Box(look.Surface, look.Line, 7, column)
}

// photo is who has paid, or a picture of nobody.
func (p *page) photo() fyne.CanvasObject {
	if p.v.Photo == nil {
		return widget.Pile(canvas.NewRectangle(look.Off), p.k.Inset(4, p.k.Icon("person", 26, 26, look.Neutral)))
	}
	photo := canvas.NewImageFromImage(p.v.Photo)
	photo.FillMode = canvas.ImageFillContain
	return photo
}

// sold is a sale that was made.
func (p *page) sold() fyne.CanvasObject {
	p.next()
	_, does := p.columns(resultShare)
	lines := p.k.Column(2)
	small := widget.Style{Type: look.Body, Colour: look.Soft}
	if s := p.v.Sale; s.Number > 0 {
		lines.Add(p.k.Clipped(p.t.T("till.sold.number", "number", s.Number)+"   "+text.Clock(s.At), small, does))
	}
	how := "till.sold.dark"
	if p.v.Sale.Online {
		how = "till.sold.online"
	}
	lines.Add(p.k.Clipped(p.t.T(wayKey(p.v.Sale.With))+"   "+p.t.T(how), small, does))
	v := verdict{ground: look.Good, icon: "check", title: p.t.T("till.sold"), amount: p.v.Amount}
	if p.v.Sale.With == till.ByCard {
		v.body = p.t.T("till.sold.body")
	}
	return p.result(v, lines)
}

// declined is a sale that was certainly not made, and why.
func (p *page) declined() fyne.CanvasObject {
	p.next()
	title, advice := p.t.Fault(p.v.Fault)
	if p.v.Kept > 0 {
		title, advice = p.t.T("till.kept"), p.t.T("till.kept.body", "amount", text.Amount(p.v.Kept))
	}
	ground := look.Bad
	if p.v.Fault == kiosk.CodeCardSilent {
		ground = look.Caution // a mishap that another try mends
	}
	_, does := p.columns(resultShare)
	more := []fyne.CanvasObject{p.code(does)}
	if p.v.Short {
		more = append(more, p.k.Sized(0, 30, p.first(till.Input{Event: till.LoadFirst}, widget.Face{
			Name: "load-first", Label: p.t.T("till.loadfirst"), Type: look.Lead})))
	}
	v := verdict{ground: ground, icon: "refused", title: title, body: advice}
	if p.v.Amount > 0 {
		became := "till.declined"
		if p.v.Fault == kiosk.CodePayReturned {
			became = "till.returned"
		}
		v.body = p.t.T(became, "amount", text.Amount(p.v.Amount)) + "\n" + advice
	}
	return p.result(v, more...)
}

// code is what a cashier reads out on the telephone.
func (p *page) code(width float32) fyne.CanvasObject {
	words := p.t.T("fault.code", "code", text.Code(p.v.Fault))
	if p.s.Phone != "" {
		words += "   " + p.t.T("phone", "phone", p.s.Phone)
	}
	return p.k.Text(words, widget.Style{Type: look.Body, Colour: look.Soft}, width)
}

// doubt asks for the same card; or says that nobody knows, and what not to do.
func (p *page) doubt() fyne.CanvasObject {
	_, does := p.columns(resultShare)
	amount := p.v.Sale.Amount
	if amount == 0 {
		amount = p.v.Amount
	}
	if p.v.Step == till.Doubt {
		return p.result(verdict{ground: look.Unknown, icon: "card", title: p.t.T("till.doubt"), amount: amount,
			body: p.t.T("till.doubt.body")})
	}
	title, advice := p.t.Fault(p.v.Fault)
	more := []fyne.CanvasObject{p.code(does)}
	if p.v.Sale.With != till.ByCard {
		more = append(more, p.k.Sized(0, 30, p.first(till.Input{Event: till.AskAgain}, widget.Face{
			Name: "ask-again", Label: p.t.T("till.askagain"), Type: look.Lead})))
	}
	return p.result(verdict{ground: look.Unknown, icon: "unknown", title: title, amount: amount, body: advice}, more...)
}

// question asks what only a person can say: once more? or is it this one?
func (p *page) question() fyne.CanvasObject {
	at := text.Clock(p.v.Sale.At)
	amount := text.Amount(p.v.Sale.Amount)
	key := func(e till.Event, name, label string, primary bool) fyne.CanvasObject {
		f := widget.Face{Name: name, Label: p.t.T(label), Type: look.Lead}
		if primary {
			return p.k.Sized(0, 32, p.first(till.Input{Event: e}, f))
		}
		return p.k.Sized(0, 32, p.key(till.Input{Event: e}, f))
	}
	if p.v.Step == till.Ask {
		v := verdict{ground: look.Caution, icon: "unknown", title: p.t.T("till.ask"), amount: p.v.Sale.Amount,
			body: p.t.T("till.ask.body", "at", at)}
		return p.result(v, key(till.Confirmed, "confirm", "till.ask.yes", true))
	}
	v := verdict{ground: look.Caution, icon: "unknown", title: p.t.T("till.before"), amount: p.v.Sale.Amount,
		body: p.t.T("till.before.body", "at", at)}
	return p.result(v, key(till.WasThis, "was-this", "till.before.this", true),
		key(till.Confirmed, "confirm", "till.before.other", false),
		p.text(p.t.T("till.before.now", "amount", text.Amount(p.v.Amount), "earlier", amount), look.Body, false,
			p.resultRoom()))
}

func (p *page) resultRoom() float32 {
	_, does := p.columns(resultShare)
	return does
}

// glance answers a card that was laid down without a price.
func (p *page) glance() fyne.CanvasObject {
	p.next()
	v := verdict{ground: look.Blue, icon: "card", title: p.t.T("till.glance"), amount: p.v.Balance,
		body: p.t.T("till.glance.body")}
	if p.v.Sale.Amount > 0 {
		v.body = p.t.T("till.glance.paid", "amount", text.Amount(p.v.Sale.Amount), "at", text.Clock(p.v.Sale.At))
	}
	return p.result(v)
}
