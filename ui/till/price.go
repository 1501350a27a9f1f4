package till

import (
	"strconv"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"

	"quancun/kiosk/till"
	"quancun/money"
	"quancun/ui/look"
	"quancun/ui/text"
	"quancun/ui/widget"
)

const priceShare = 0.52

// price takes the amount: by keys, or by a product's.
func (p *page) price() fyne.CanvasObject {
	says, _ := p.columns(priceShare)
	sum := &p.s.Typed.Sum
	figure := p.k.Line("", widget.Style{Type: look.Display, Bold: true, Align: fyne.TextAlignCenter})
	charge := p.charge(sum)
	show := func() {
		figure.Text = "¥" + widget.Price(*sum)
		charge.SetDisabled(typedPrice(*sum) == 0)
		figure.Refresh()
	}
	show()
	pad := p.k.PricePad(sum, p.padKey(1), widget.PadWords{Clear: p.t.T("pad.clear"), Erase: p.t.T("pad.erase")}, show)
	p.screen.typeRune, p.screen.erase = pad.Type, pad.Erase

	words := p.asksPrice(says, figure)
	return p.split(priceShare, words, p.k.Column(4, pad.Keys, p.k.Sized(0, p.confirmHeight(), charge)))
}

// rowsMax is how many rows of products there are at most.
const rowsMax = 3

// asksPrice is what there is to read and to pick beside the pad: as many rows of
// products as have room below what else has to be said.
func (p *page) asksPrice(width float32, figure fyne.CanvasObject) (words *fyne.Container) {
	for rows := rowsMax; rows > 0; rows-- {
		words = p.k.Column(5)
		if n := p.notice(width); n != nil {
			words.Add(n)
		}
		if n := p.news(width); n != nil {
			words.Add(n)
		} else {
			words.Add(p.text(p.t.T("till.price.title"), look.Lead, false, width))
		}
		words.Add(p.k.Box(look.Surface, look.Edge, 5, figure))
		products := p.products(rows)
		if products == nil {
			words.Add(p.text(p.t.T("till.price.hint"), look.Body, false, width))
			break
		}
		words.Add(products)
		if p.k.Panel.Portrait() || words.MinSize().Height <= p.height() {
			break
		}
	}
	return words
}

func typedPrice(sum string) money.Fen {
	f, err := money.Parse(widget.Price(sum))
	if err != nil {
		return 0 // nothing was typed
	}
	return f
}

// confirmHeight is that of the key that charges, in millimetres.
func (p *page) confirmHeight() float64 {
	if p.k.Panel.Portrait() {
		return 34
	}
	return 27
}

// padKey is the height of a pad's key in millimetres, so that pad and the key
// below it, if there is one, fill the page.
func (p *page) padKey(below int) float64 {
	const least, most, gaps = 20, 38, 3 * 4
	if p.k.Panel.Portrait() {
		return most
	}
	room := float64(p.height()/p.k.MM(1)) - float64(below)*(p.confirmHeight()+4)
	return min(most, max(least, (room-gaps)/4))
}

func (p *page) charge(sum *string) *widget.Button {
	send := func() {
		if f := typedPrice(*sum); f > 0 {
			p.s.On(till.Input{Event: till.Priced, Amount: f})
		} else if len(p.v.News) > 0 {
			p.s.On(till.Input{Event: till.Read})
		}
	}
	p.screen.confirm = send
	return p.k.Button(widget.Face{Name: "charge", Label: p.t.T("till.charge"), Type: look.Heading,
		Rank: widget.Primary}, send)
}

// products are the keys of what is sold here, the meal of now before them, or nil.
// The function keys do for all of them, whether or not each has room now: a hand that
// knows its keys does not look.
func (p *page) products(rows int) fyne.CanvasObject {
	all := p.v.Products
	if p.v.Meal.Price > 0 {
		all = append([]till.Product{{Name: p.v.Meal.Name, Price: p.v.Meal.Price}}, all...)
	}
	if len(all) == 0 {
		return nil
	}
	p.screen.function = func(n int) {
		if n <= len(all) {
			p.s.On(all[n-1].Input())
		}
	}
	room, _ := p.columns(priceShare)
	columns := 2
	if room >= p.k.MM(200) {
		columns = 3
	}
	cell := (room-p.k.MM(4)*float32(columns-1))/float32(columns) - p.k.MM(6)
	grid := p.k.Grid(columns, 4, 26)
	for i, product := range all[:min(len(all), rows*columns)] {
		grid.Add(p.product(i+1, product, cell))
	}
	return grid
}

// product is a key with a name, in the font that has every character, and a
// price.
func (p *page) product(n int, product till.Product, width float32) fyne.CanvasObject {
	f := widget.Face{Name: "product-" + strconv.Itoa(n), Label: product.Name}
	name := p.k.Clipped(product.Name,
		widget.Style{Type: look.Body, Colour: f.Ink(), Align: fyne.TextAlignCenter}, width)
	price := p.k.Line(text.Amount(product.Price),
		widget.Style{Type: look.Lead, Bold: true, Colour: f.Ink(), Align: fyne.TextAlignCenter})
	return p.k.Key(f, widget.Centre(p.k.Column(0, name, price)), func() {
		p.s.On(product.Input())
	})
}

// present asks for a card or a code, and says which ways of paying there are, in
// the order in which they are asked for.
func (p *page) present() fyne.CanvasObject {
	says, does := p.columns(priceShare)
	words := p.k.Column(6)
	if n := p.notice(says); n != nil {
		words.Add(n)
	}
	if n := p.news(says); n != nil {
		words.Add(n)
	}
	if meal := p.v.Meal; meal.Price > 0 && meal.Price == p.v.Amount {
		words.Add(p.text(p.t.T("till.meal", "meal", meal.Name), look.Lead, false, says))
	}
	words.Add(p.k.Line(text.Amount(p.v.Amount),
		widget.Style{Type: look.Display + 5, Bold: true, Align: fyne.TextAlignCenter}))
	items := p.items(says)
	if items != nil {
		words.Add(items)
	}
	asks, icon := p.asksFor()
	if len(p.v.News) == 0 && (items == nil || p.v.Notice == till.NoNotice) { // which need the picture's room
		words.Add(widget.CentreX(p.k.Icon(icon, 92, 69, look.Neutral)))
	}
	words.Add(p.text(p.t.T(asks), look.Heading, true, says))
	list := p.k.Column(6)
	for _, w := range p.v.Ways {
		list.Add(p.way(w, does))
	}
	return p.split(priceShare, widget.CentreY(words), widget.CentreY(list))
}

// asksFor is what the page asks for, and its picture: of the ways of paying only those
// that are there.
func (p *page) asksFor() (key, icon string) {
	card, code, dear := len(p.v.Ways) == 0, len(p.v.Ways) == 0, false
	for _, w := range p.v.Ways {
		there := w.Why == till.NoReason
		dear = dear || w.Why == till.TooDear
		card = card || there && w.Kind == till.ByCard
		code = code || there && w.Kind != till.ByCard
	}
	switch {
	case card && code:
		return "till.present", "card-on-reader"
	case card:
		return "till.present.card", "card-on-reader"
	case code:
		return "till.present.code", "phone-scan"
	case dear:
		return "till.present.dear", "closed"
	}
	return "till.dark.nothing", "closed"
}

// items says which product was scanned last, and how many there are, or is nil where
// there are not several.
func (p *page) items(width float32) fyne.CanvasObject {
	count := int64(0)
	for _, x := range p.v.Items {
		count += x.Count
	}
	if count < 2 {
		return nil
	}
	words := p.t.T("till.items", "name", p.v.Items[len(p.v.Items)-1].Name, "count", count)
	return widget.CentreX(p.k.Clipped(words, widget.Style{Type: look.Lead}, width))
}

// way is a way of paying and whether it is there.
func (p *page) way(w till.Source, width float32) fyne.CanvasObject {
	tone, icon, ink := look.Well, "ok", look.Ink
	if w.Why != till.NoReason {
		tone, icon, ink = look.Careful, "warning", look.Soft
	}
	mark := p.k.Icon(icon, 15, 15, tone)
	if w.Why == till.NotBuilt {
		mark = p.k.Sized(15, 15, canvas.NewRectangle(look.Ground))
	}
	room := width - p.k.MM(2*6+15+6)
	words := p.k.Column(1,
		p.k.Line(p.t.T(wayKey(w.Kind)), widget.Style{Type: look.Lead, Bold: true, Colour: ink}),
		p.k.Text(p.t.T(reasonKey(w.Why)), widget.Style{Type: look.Body, Colour: look.Soft}, room))
	return p.k.Box(look.Surface, look.Line, 6, p.k.Row(6, widget.CentreY(mark), widget.Grow(words)))
}

// news is a key with the oldest news that nobody has read, or nil. Who has read it
// taps it, or presses Enter.
func (p *page) news(width float32) fyne.CanvasObject {
	if len(p.v.News) == 0 {
		return nil
	}
	n := p.v.News[0]
	word := "till.news.notpaid"
	switch {
	case n.Refund && n.Done:
		word = "till.news.back"
	case n.Refund:
		word = "till.news.notback"
	case n.Done:
		word = "till.news.paid"
	case n.Returned:
		word = "till.news.returned"
	}
	read := till.Input{Event: till.Read}
	if p.v.Step == till.Present {
		p.screen.confirm = func() { p.s.On(read) }
	}
	f := widget.Face{Name: "news", Label: word}
	words := p.k.Column(1,
		p.k.Text(p.t.T(word, "at", text.Clock(n.At), "amount", text.Amount(n.Amount), "way", p.t.T(wayKey(n.With))),
			widget.Style{Type: look.Body, Bold: true, Colour: f.Ink()}, p.k.Room(width)),
		p.k.Line(p.t.T("till.news.read"), widget.Style{Type: look.Body, Colour: f.Ink()}))
	return p.k.Key(f, p.k.Inset(3, words), func() { p.s.On(read) })
}

// notice is the banner of the view's notice, or nil.
func (p *page) notice(width float32) fyne.CanvasObject {
	if p.v.Notice == till.NoNotice {
		return nil
	}
	tone, icon := look.Careful, "warning"
	if p.v.Notice == till.LoadedFirst || p.v.Notice == till.EarlierSettled {
		tone, icon = look.Well, "ok"
	}
	return widget.CentreX(p.k.Banner(tone, icon, p.t.T(noticeKey(p.v.Notice)), width))
}

func noticeKey(n till.Notice) string { return "till.notice." + strconv.Itoa(int(n)) }
