// Package dialog has one page for each sort of question that a script asks, one for
// what came of it, and one for the menu of the office. No script has a page of its
// own: see [dialog.Talk].
//
// Like every page these are built from values and give back callbacks. They fill
// the room between the header and the footer of either face, and everything on them
// can be done by a keyboard: digits, letters, Enter, Escape and arrows.
package dialog

import (
	"time"

	"fyne.io/fyne/v2"

	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/pin"
	"quancun/ui/look"
	"quancun/ui/text"
	"quancun/ui/widget"
)

// Stage is what a page is built on: everything but the view.
type Stage struct {
	Texts *text.Texts
	Kit   widget.Kit
	Room  fyne.Size  // between header and footer, in pixels
	Reach float32    // of the room's height, from below, that a person can reach who sits; 0: all of it
	Now   time.Time  // in whose zone times are shown
	Phone string     // where the staff can ask; "": nowhere
	Typed *Typed     // what was typed so far; the page goes on with it
	Fault kiosk.Code // why a script was refused, where its view has no words
	Pad   pin.Pad    // on which a holder's PIN is typed
	Touch bool       // there are fingers only: no keyboard and no scanner

	On     func(dialog.Input) // what the person did
	Redraw func()             // the page has to be built anew: another part of it was asked for
}

// Typed is what a person has typed and not sent, and which part of a page they
// look at. It outlives a page; its owner forgets it by [Typed.On].
type Typed struct {
	PIN    kiosk.PIN
	Text   string       // amount, number or text
	Counts []string     // of pieces
	Row    int          // of the pieces that are counted now
	Part   int          // of what is too long for one page, from 0
	Small  bool         // letters are small
	Spelt  bool         // a list is searched by letters
	Group  office.Group // of the menu; it is the same when the menu comes back

	no int // of the page that it belongs to
}

// On forgets what was typed on another page than that of v.
func (t *Typed) On(v dialog.View) {
	if t.no != v.No {
		t.PIN.Wipe()
		*t = Typed{no: v.No, Group: t.Group}
	}
}

// Page is a page between header and footer.
type Page struct {
	Object fyne.CanvasObject
	Foot   []fyne.CanvasObject // keys for the footer, after leaving
	Leave  string              // what leaving is called; "": nobody leaves now

	Type    func(rune) // nil: there is nothing to type
	Erase   func()
	Confirm func()
	Turn    func(by int) // by arrows: to another part of the page

	Dots func(digits int) // shows how many were typed on the holder's pad; nil: that is not asked
}

// page is a page while it is being built.
type page struct {
	v   dialog.View
	q   dialog.Question
	s   Stage
	k   widget.Kit
	t   *text.Texts
	out *Page

	labels look.Type // of a choice's keys
}

// Build makes the page of v.
func Build(v dialog.View, s Stage) *Page {
	p := newPage(v, s)
	p.out.Object = p.content()
	return p.out
}

func newPage(v dialog.View, s Stage) *page {
	s.Typed.On(v)
	return &page{v: v, q: v.Question, s: s, k: s.Kit, t: s.Texts, out: &Page{}, labels: look.Heading}
}

// content is the page's. Every page and every kind of question has one; one
// without is a mistake in this program.
func (p *page) content() fyne.CanvasObject {
	switch p.v.Page {
	case 0: // the conversation has only just begun
		return widget.Spring()
	case dialog.Ended:
		return p.ended()
	}
	if p.q.Kind != dialog.Working {
		p.out.Leave = "leave.cancel"
	}
	switch p.q.Kind {
	case dialog.AskAmount:
		return p.amount()
	case dialog.AskNumber:
		if p.q.Letters {
			return p.code()
		}
		return p.number()
	case dialog.AskText:
		return p.letters()
	case dialog.AskChoice:
		return p.choice()
	case dialog.AskPieces:
		return p.pieces()
	case dialog.AskCard, dialog.AskStaffCard:
		return p.card()
	case dialog.AskPIN, dialog.AskStaffPIN:
		return p.pin()
	case dialog.AskConfirm:
		return p.sure()
	case dialog.Working:
		return p.working()
	}
	panic("office: internal error: no page for this question")
}

// send sends what was done on this page.
func (p *page) send(in dialog.Input) {
	in.No = p.v.No
	p.s.On(in)
}

func (p *page) answer(a dialog.Answer) { p.send(dialog.Input{Event: dialog.Answered, Answer: a}) }

// word returns the words of w.
func (p *page) word(w dialog.Word, pairs ...any) string { return p.t.T("dialog."+string(w), pairs...) }

// hint returns what else there is to say of w; "" for nothing.
func (p *page) hint(w dialog.Word) string {
	if key := "dialog." + string(w) + ".hint"; p.t.Has(key) {
		return p.t.T(key)
	}
	return ""
}

// gutter is the room between the columns of a wide page, in drawn millimetres.
const gutter = 10.0

// columns is the room of the two halves of a page: beside each other on a wide
// panel, under each other on an upright one.
func (p *page) columns(share float32) (left, right float32) {
	if p.k.Panel.Portrait() {
		return p.s.Room.Width, p.s.Room.Width
	}
	room := p.s.Room.Width - p.k.MM(gutter)
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

func (p *page) centred(words string, size look.Type, bold bool, width float32) fyne.CanvasObject {
	s := widget.Style{Type: size, Bold: bold, Align: fyne.TextAlignCenter}
	if !bold {
		s.Colour = look.Soft
	}
	return p.k.Text(words, s, width)
}

// heading says which task it is, what is asked, and what was wrong with the answer
// before.
func (p *page) heading(width float32) *fyne.Container {
	column := p.k.Column(4)
	column.Add(p.centred(p.word(p.v.Task), look.Body, false, width))
	column.Add(p.centred(p.word(p.q.Name), look.Title, true, width))
	if hint := p.hint(p.q.Name); hint != "" {
		column.Add(p.centred(hint, look.Body, false, width))
	}
	if p.q.Wrong != "" {
		column.Add(widget.CentreX(p.k.Banner(look.Careful, "warning", p.wrong(), width)))
	}
	return column
}

func (p *page) wrong() string {
	if p.q.Wrong == dialog.WrongAmount {
		return p.word(p.q.Wrong, "least", text.Amount(p.q.Min), "most", text.Amount(p.q.Max))
	}
	return p.word(p.q.Wrong)
}
