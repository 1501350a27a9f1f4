package dialog

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"

	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/money"
	"quancun/ui/look"
	"quancun/ui/text"
	"quancun/ui/widget"
)

const padShare = 0.52

// Heights of keys, in drawn millimetres.
const (
	doneKey  = 27.0
	upright  = 34.0 // of the same on an upright panel
	padLeast = 20.0
	padMost  = 38.0
	padGap   = 4.0
)

func (p *page) doneHeight() float64 {
	if p.k.Panel.Portrait() {
		return upright
	}
	return doneKey
}

// padKey is the height of a pad's key, so that pad and the keys below it fill the
// page.
func (p *page) padKey(below int) float64 {
	if p.k.Panel.Portrait() {
		return padMost
	}
	room := float64(p.s.Room.Height/p.k.MM(1)) - float64(below)*(p.doneHeight()+padGap)
	return min(padMost, max(padLeast, (room-3*padGap)/4))
}

func (p *page) padWords() widget.PadWords {
	return widget.PadWords{Clear: p.t.T("pad.clear"), Erase: p.t.T("pad.erase")}
}

// first makes the page's next action, which Enter does too.
func (p *page) first(label string, send func()) *widget.Button {
	p.out.Confirm = send
	return p.k.Button(widget.Face{Name: "done", Label: label, Type: look.Heading, Rank: widget.Primary}, send)
}

// says is the left half of a page: what is asked, what was typed, and what it is
// about. At the top there is the question, so that it does not move.
func (p *page) says(width float32, typed fyne.CanvasObject) fyne.CanvasObject {
	column := p.k.Column(6, p.heading(width))
	if typed != nil {
		column.Add(typed)
	}
	height := p.s.Room.Height
	if p.k.Panel.Portrait() { // the pad is below it
		height -= p.k.MM(4*padMost + 4*padGap + upright + 8)
	}
	if facts := p.allFacts(p.q.Facts, width, height-column.MinSize().Height-p.k.MM(6)); facts != nil {
		column.Add(facts)
	}
	return column
}

// amount takes an amount in yuan and fen.
func (p *page) amount() fyne.CanvasObject {
	says, _ := p.columns(padShare)
	sum := &p.s.Typed.Text
	figure := p.k.Line("", widget.Style{Type: look.Display, Bold: true, Align: fyne.TextAlignCenter})
	done := p.first(p.t.T("dialog.done"), func() {
		if f := typedAmount(*sum); f >= p.q.Min {
			p.answer(dialog.Answer{Amount: f})
		}
	})
	show := func() {
		figure.Text = "¥" + widget.Price(*sum)
		done.SetDisabled(*sum == "" || typedAmount(*sum) < p.q.Min)
		figure.Refresh()
	}
	pad := p.k.PricePad(sum, p.padKey(1), p.padWords(), show)
	pad.Yuan = len(text.Amount(p.q.Max)) - len("¥.00")
	show()
	p.out.Type, p.out.Erase = pad.Type, pad.Erase
	limits := p.centred(p.t.T("dialog.limits", "least", text.Amount(p.q.Min), "most", text.Amount(p.q.Max)),
		look.Small, false, says)
	typed := p.k.Column(2, p.k.Box(look.Surface, look.Edge, 5, figure), limits)
	return p.split(padShare, p.says(says, typed), p.k.Column(padGap, pad.Keys, p.k.Sized(0, p.doneHeight(), done)))
}

func typedAmount(sum string) money.Fen {
	f, err := money.Parse(widget.Price(sum))
	if err != nil {
		return 0 // nothing was typed
	}
	return f
}

// number takes digits, as a scanner or a person types them.
func (p *page) number() fyne.CanvasObject {
	says, _ := p.columns(padShare)
	typed, line, done := p.typed(says)
	show := func() { p.show(line, says); done.SetDisabled(p.s.Typed.Text == "") }
	pad := p.k.NumberPad(&p.s.Typed.Text, p.padKey(1), p.padWords(), show)
	pad.Length = p.q.Length
	p.out.Type = func(r rune) {
		if r >= '0' && r <= '9' {
			pad.Type(byte(r))
		}
	}
	p.out.Erase = pad.Erase
	box := p.k.Column(2, typed)
	if !p.s.Touch {
		box.Add(p.centred(p.t.T("dialog.scan"), look.Small, false, says))
	}
	return p.split(padShare, p.says(says, box),
		p.k.Column(padGap, pad.Keys, p.k.Sized(0, p.doneHeight(), done)))
}

// typed is the box for what is being typed, and the key that sends it.
func (p *page) typed(width float32) (box fyne.CanvasObject, line *canvas.Text, done *widget.Button) {
	line = p.k.Line("", widget.Style{Type: look.Figure, Align: fyne.TextAlignCenter})
	done = p.first(p.t.T("dialog.done"), func() {
		if answer := strings.TrimSpace(p.s.Typed.Text); answer != "" {
			p.answer(dialog.Answer{Text: answer})
		}
	})
	done.SetDisabled(p.s.Typed.Text == "")
	p.show(line, width)
	return p.k.Box(look.Surface, look.Edge, 5, p.k.Sized(0, float64(look.Figure)*1.9, line)), line, done
}

// show shows what was typed, the end of it if it is longer than the box, with the
// mark that says where the next one goes.
func (p *page) show(line *canvas.Text, width float32) {
	room := width - p.k.MM(2*5)
	typed := []rune(p.s.Typed.Text)
	for cut := 0; cut <= len(typed); cut++ {
		line.Text = string(typed[cut:]) + "_"
		if line.MinSize().Width <= room {
			break
		}
	}
	line.Refresh()
}

// pin takes a PIN: a holder's, or that of a second person.
func (p *page) pin() fyne.CanvasObject {
	holders := p.q.Kind == dialog.AskPIN
	if holders && !p.s.Pad.OnPanel() {
		return p.holderPIN()
	}
	says, _ := p.columns(padShare)
	pad := p.k.PINPad(&p.s.Typed.PIN, p.padKey(0), p.padWords(),
		func(pin *kiosk.PIN) { p.answer(dialog.Answer{PIN: pin}) })
	p.out.Type = func(r rune) {
		if r >= '0' && r <= '9' {
			pad.Type(byte(r))
		}
	}
	p.out.Erase = pad.Erase
	column := p.k.Column(7, p.heading(says))
	if p.q.Of != "" {
		column.Add(widget.CentreX(p.release(says)))
	}
	if notice := PadNotice(p.k, p.t, p.s.Pad, says); holders && notice != nil {
		column.Add(notice)
	}
	column.Add(p.k.Gap(2))
	column.Add(widget.CentreX(pad.Dots))
	column.Add(p.centred(p.t.T("pin.auto"), look.Small, false, says))
	if facts := p.facts(p.q.Facts, says, p.s.Room.Height-column.MinSize().Height-p.k.MM(7)); facts != nil {
		column.Add(facts)
	}
	return p.split(padShare, widget.CentreY(column), widget.CentreY(pad.Keys))
}

// holderPIN takes a holder's PIN from the pad on their side of the counter.
func (p *page) holderPIN() fyne.CanvasObject {
	width := p.s.Room.Width
	column := p.k.Column(7, p.heading(width))
	if p.s.Pad.There {
		column.Add(p.centred(p.t.T("pinpad.title"), look.Lead, true, width))
	}
	part := NewHolderPad(p.k, p.t, p.s.Pad, width)
	p.out.Dots = part.Show
	column.Objects = append(column.Objects, part.Objects...)
	if facts := p.facts(p.q.Facts, width, p.s.Room.Height-column.MinSize().Height-p.k.MM(7)); facts != nil {
		column.Add(facts)
	}
	return widget.CentreY(column)
}

// release says what a second person is asked to say yes to.
func (p *page) release(width float32) fyne.CanvasObject {
	return p.k.Banner(look.Neutral, "lock", p.word("release.what", "what", p.word(p.q.Of)), width)
}

// card asks for a card on the reader: a holder's, or that of a second person.
func (p *page) card() fyne.CanvasObject {
	width := p.s.Room.Width
	column := p.k.Column(6, p.heading(width))
	if p.q.Of != "" {
		column.Add(widget.CentreX(p.release(width)))
	}
	picture := widget.CentreX(p.k.Icon("card-on-reader", 110, 82, look.Neutral))
	if len(p.q.Facts) == 0 {
		column.Add(picture)
		return widget.CentreY(column)
	}
	left, right := p.columns(0.45)
	room := p.s.Room.Height - column.MinSize().Height - p.k.MM(6)
	if p.k.Panel.Portrait() {
		room *= 0.6
	}
	column.Add(widget.Grow(p.split(0.45, widget.Wide(left, widget.CentreY(picture)),
		widget.CentreY(p.facts(p.q.Facts, right, room)))))
	return column
}

// sure says what is about to happen, and asks for the last word.
func (p *page) sure() fyne.CanvasObject {
	done := p.k.Sized(0, p.doneHeight(), p.first(p.t.T("dialog.yes"), func() { p.answer(dialog.Answer{}) }))
	left := func(width float32) float32 {
		return p.s.Room.Height - p.heading(width).MinSize().Height - done.MinSize().Height - p.k.MM(2*7)
	}
	width := p.s.Room.Width
	if narrow := p.k.MM(250); !p.k.Panel.Portrait() && !p.largerAcross(narrow, left) {
		width = narrow
	}
	column := p.k.Column(7, p.heading(width))
	if facts := p.allFacts(p.q.Facts, width, left(width)); facts != nil {
		column.Add(facts)
	}
	column.Add(done)
	return widget.Centre(widget.Wide(width, column))
}

// largerAcross reports whether the facts of a question are set larger across the whole
// page than in a narrow column, or would be squeezed there. left is what height they have in a width.
func (p *page) largerAcross(narrow float32, left func(width float32) float32) bool {
	if !p.s.Touch || len(p.q.Facts) == 0 {
		return false
	}
	_, column := p.setFacts(p.q.Facts, narrow, left(narrow))
	_, across := p.setFacts(p.q.Facts, p.s.Room.Width, left(p.s.Room.Width))
	return across.size > column.size || across.size == column.size && column.columns > 1
}

// working says what is being done while everybody can only wait.
func (p *page) working() fyne.CanvasObject {
	picture := "waiting"
	switch p.q.Name {
	case office.ReadingCard:
		picture = "card-stays"
	case office.CheckingPIN:
		picture = "lock"
	}
	width := p.s.Room.Width
	hint := p.hint(p.q.Name)
	if hint == "" {
		hint = p.t.T("dialog.wait")
	}
	task, name, more := look.Body, look.Title, look.Lead
	if p.s.Touch && p.k.Density == look.Airy {
		task, name, more = look.Lead, look.Figure, look.Heading
	}
	return widget.CentreY(p.k.Column(7,
		widget.CentreX(p.k.Icon(picture, 100, 75, look.Neutral)),
		p.centred(p.word(p.v.Task), task, false, width),
		p.centred(p.word(p.q.Name), name, true, width),
		p.centred(hint, more, false, width)))
}
