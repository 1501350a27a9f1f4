package dialog

import (
	"regexp"
	"strings"
	"unicode"

	"fyne.io/fyne/v2"
	"github.com/mozillazg/go-pinyin"

	"quancun/ui/look"
	"quancun/ui/widget"
)

// Measures of the pad by which a list is searched, in drawn millimetres.
const (
	searchFrom  = 12   // keys: fewer are leafed through
	searchWide  = 96.0 // of a pad of digits beside a list
	searchSpelt = 117.0
	searchKey   = 20.0 // height of the pad's keys
	searchTall  = 22.0 // and on an upright panel
	searchMost  = 8    // characters
)

// touched lays keys out for fingers. Of a list that is too long for one page, those
// can be found that have what is typed in their labels, digits or the first letters of
// their words: nobody turns twenty pages to a room.
func (p *page) touched(all []choiceKey, height float32) fyne.CanvasObject {
	width := p.s.Room.Width
	by := searchedBy(all)
	if s := p.shape(all, width, height); len(all) <= max(s.size(), searchFrom) || by == (alphabet{}) {
		return p.leafed(all, width, height)
	}
	found := find(all, p.s.Typed.Text)
	pad := p.search(by)
	if p.k.Panel.Portrait() {
		room := height - pad.MinSize().Height - p.k.MM(touchGap)
		return p.k.Column(touchGap, widget.Grow(p.leafed(found, width, room)), pad)
	}
	beside := max(p.k.MM(p.searchWidth(by)), pad.MinSize().Width)
	room := width - p.k.MM(gutter) - beside
	return p.k.Row(gutter, widget.Wide(room, p.leafed(found, room, height)), widget.Wide(beside, pad))
}

// alphabet is what a list is searched by.
type alphabet struct{ digits, letters bool }

var number = regexp.MustCompile(`[0-9]+`)

// searchedBy returns what tells labels apart: digits, if most have some, and letters,
// if they differ in other things than their digits. Only names are searched: what is in
// our words is read.
func searchedBy(all []choiceKey) alphabet {
	digits, words := 0, map[string]bool{}
	for _, c := range all {
		if !c.plain {
			return alphabet{}
		}
		without := number.ReplaceAllString(c.label, "")
		if without != c.label {
			digits++
		}
		words[without] = true
	}
	return alphabet{digits: digits > len(all)/2, letters: len(words) > 2}
}

// find returns the keys whose labels have what was typed. A label that begins with it
// comes first: who types 12 means 12 and not 312.
func find(all []choiceKey, typed string) []choiceKey {
	var first, more []choiceKey
	for _, c := range all {
		switch at := place(spell(c.label), typed); {
		case at == 0:
			first = append(first, c)
		case at > 0:
			more = append(more, c)
		}
	}
	return append(first, more...)
}

// spelling is what each character of a label may be typed as.
type spelling []string

var initials = func() pinyin.Args {
	a := pinyin.NewArgs()
	a.Style, a.Heteronym = pinyin.FirstLetter, true // 厦 is found by X and by S
	return a
}()

// spell spells a label: a digit and a letter is typed as itself, a Han character by the
// first letter of its pinyin, and what is between them not at all.
func spell(label string) (s spelling) {
	for _, r := range strings.ToUpper(label) {
		switch {
		case unicode.Is(unicode.Han, r):
			s = append(s, strings.ToUpper(strings.Join(pinyin.SinglePinyin(r, initials), "")))
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			s = append(s, string(r))
		}
	}
	return s
}

// place returns where in a spelling something begins that was typed, or -1.
func place(s spelling, typed string) int {
	for at := 0; at+len(typed) <= len(s); at++ {
		n := 0
		for n < len(typed) && strings.IndexByte(s[at+n], typed[n]) >= 0 {
			n++
		}
		if n == len(typed) {
			return at
		}
	}
	return -1
}

// search is the pad by which a list is searched, and what was typed.
func (p *page) search(by alphabet) fyne.CanvasObject {
	width, box := p.k.MM(p.searchWidth(by)), 15.0
	if p.k.Panel.Portrait() {
		width, box = p.s.Room.Width, 19
	}
	words, style := p.s.Typed.Text, widget.Style{Type: look.Title, Bold: true, Align: fyne.TextAlignCenter}
	if words == "" {
		words = p.t.T("dialog.search")
		if by.letters {
			words = p.t.T("dialog.search.letters")
		}
		style = widget.Style{Type: look.Small, Colour: look.Soft, Align: fyne.TextAlignCenter}
	}
	says := widget.CentreY(p.k.Text(words, style, width-p.k.MM(2*2)))
	return p.k.Column(touchGap-1, p.k.Box(look.Surface, look.Edge, 2, p.k.Sized(0, box, says)), p.searchKeys(by))
}

// spelt reports whether the pad of a search has letters. Where there is no room for
// both, digits come first.
func (p *page) spelt(by alphabet) bool {
	return by.letters && (p.k.Panel.Portrait() || !by.digits || p.s.Typed.Spelt)
}

func (p *page) searchWidth(by alphabet) float64 {
	if p.spelt(by) {
		return searchSpelt
	}
	return searchWide
}

// searchKeys are the keys of the pad.
func (p *page) searchKeys(by alphabet) fyne.CanvasObject {
	typed := &p.s.Typed.Text
	changed := func() { p.s.Typed.Part = 0; p.s.Redraw() }
	add := func(r rune) {
		if len(*typed) < searchMost && isCode(r) {
			*typed += string(unicode.ToUpper(r))
			changed()
		}
	}
	p.out.Type = add
	if !p.spelt(by) {
		key := searchKey
		if p.k.Panel.Portrait() {
			key = searchTall
		}
		pad := p.k.NumberPad(typed, key, p.padWords(), changed)
		pad.Length, p.out.Erase = searchMost, pad.Erase
		if by.letters {
			return p.k.Column(touchGap-1, pad.Keys, p.k.Sized(0, key, p.spellKey("dialog.letters")))
		}
		return pad.Keys
	}
	p.out.Erase = eraser(typed, changed)
	clear := p.k.Button(widget.Face{Name: "clear", Label: p.t.T("pad.clear")}, func() { *typed = ""; changed() })
	erase := p.k.Button(widget.Face{Name: "erase", Label: p.t.T("pad.erase")}, p.out.Erase)
	if p.k.Panel.Portrait() {
		keys := p.letterRows(codeRows, searchTall, add)
		keys.Add(p.k.Grid(2, letterGap, searchTall, clear, erase))
		return keys
	}
	keys := p.k.Grid(5, letterGap, searchKey)
	for r := 'A'; r <= 'Z'; r++ {
		keys.Add(p.letter(r, add))
	}
	below := p.k.Grid(2, letterGap, searchKey, clear, erase)
	if by.digits {
		below = p.k.Grid(3, letterGap, searchKey, clear, p.spellKey("dialog.digits"), erase)
	}
	return p.k.Column(letterGap, keys, below)
}

// spellKey turns from digits to letters and back.
func (p *page) spellKey(word string) fyne.CanvasObject {
	return p.k.Button(widget.Face{Name: "spell", Label: p.t.T(word)}, func() {
		p.s.Typed.Spelt = !p.s.Typed.Spelt
		p.s.Redraw()
	})
}
