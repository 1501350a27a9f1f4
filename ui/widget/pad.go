package widget

import (
	"cmp"
	"strconv"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"

	"quancun/kiosk"
	"quancun/ui/look"
)

// pad lays out the ten digits as a telephone does, 1-2-3 on top and never
// shuffled, with a key to the left and one to the right of the 0. The 5 has
// the dot that a finger knows from every other pad.
func (k Kit) pad(height float64, left, right *Button, digit func(byte)) fyne.CanvasObject {
	keys := make([]fyne.CanvasObject, 0, 12)
	for d := byte('1'); d <= '9'; d++ {
		keys = append(keys, k.digit(d, digit))
	}
	keys = append(keys, left, k.digit('0', digit), right)
	return k.Grid(3, 4, height, keys...)
}

func (k Kit) digit(d byte, typed func(byte)) *Button {
	f := Face{Name: "digit-" + string(d), Label: string(d)}
	content := Pile(Centre(k.Line(string(d), Style{Type: look.Title, Bold: true})))
	if d == '5' {
		dot := k.Sized(1.8, 1.8, k.Disc(look.Ink, look.Ink, 0))
		content.Add(k.Column(0, Spring(), CentreX(dot), k.Gap(2.4)))
	}
	return k.Key(f, content, func() { typed(d) })
}

// PINPad takes a PIN. What was typed is only ever in a [kiosk.PIN]; the page
// shows how many digits there are.
type PINPad struct {
	Dots, Keys fyne.CanvasObject

	pin    *kiosk.PIN
	onDone func(*kiosk.PIN)
	dots   *Dots
}

// Dots are as many as a PIN has digits, and those that were typed are filled.
type Dots struct {
	Object fyne.CanvasObject

	kit   Kit
	discs []*canvas.Circle
}

// Dots makes dots of which none is filled.
func (k Kit) Dots() *Dots {
	d := &Dots{kit: k}
	row := make([]fyne.CanvasObject, 0, kiosk.PINLength)
	for range kiosk.PINLength {
		c := k.Disc(look.Surface, look.Edge, 0.8)
		d.discs = append(d.discs, c)
		row = append(row, k.Sized(11, 11, c))
	}
	d.Object = k.Row(8, row...)
	return d
}

// Show fills that many.
func (d *Dots) Show(digits int) {
	for i, c := range d.discs {
		c.FillColor = d.kit.Paint(look.Surface)
		if i < digits {
			c.FillColor = d.kit.Paint(look.Blue)
		}
		c.Refresh()
	}
}

// PINPad makes a pad that types into pin, with keys of that height in
// millimetres. On the sixth digit it gives the digits away as a PIN of the
// taker's own, and forgets them.
func (k Kit) PINPad(pin *kiosk.PIN, height float64, words PadWords, onDone func(*kiosk.PIN)) *PINPad {
	p := &PINPad{pin: pin, onDone: onDone, dots: k.Dots()}
	p.Dots = p.dots.Object
	clear := k.Button(Face{Name: "clear", Label: words.Clear}, func() { p.pin.Wipe(); p.paint() })
	erase := k.Button(Face{Name: "erase", Label: words.Erase}, p.Erase)
	p.Keys = k.pad(height, clear, erase, p.Type)
	p.paint()
	return p
}

// PadWords are the labels of a pad's two keys that are not digits.
type PadWords struct{ Clear, Erase string }

// Type types a digit, from a key of the pad or of a keypad beside the panel.
func (p *PINPad) Type(digit byte) {
	p.pin.Add(digit)
	p.paint()
	if p.pin.Full() {
		given := *p.pin
		p.pin.Wipe()
		p.onDone(&given)
	}
}

// Erase takes the last digit back.
func (p *PINPad) Erase() {
	p.pin.Back()
	p.paint()
}

func (p *PINPad) paint() { p.dots.Show(p.pin.Len()) }

// sumDigits is how many digits an amount in whole yuan may have.
const sumDigits = 4

// SumPad takes an amount in whole yuan.
type SumPad struct {
	Keys fyne.CanvasObject

	sum     *string
	changed func()
}

// SumPad makes a pad that types into sum and calls changed after each key.
func (k Kit) SumPad(sum *string, height float64, words PadWords, changed func()) *SumPad {
	p := &SumPad{sum: sum, changed: changed}
	clear := k.Button(Face{Name: "clear", Label: words.Clear}, func() { *p.sum = ""; p.changed() })
	erase := k.Button(Face{Name: "erase", Label: words.Erase}, p.Erase)
	p.Keys = k.pad(height, clear, erase, p.Type)
	return p
}

// Type types a digit. An amount does not begin with 0.
func (p *SumPad) Type(digit byte) {
	if len(*p.sum) < sumDigits && (*p.sum != "" || digit != '0') {
		*p.sum += string(digit)
		p.changed()
	}
}

// Erase takes the last digit back.
func (p *SumPad) Erase() {
	if n := len(*p.sum); n > 0 {
		*p.sum = (*p.sum)[:n-1]
		p.changed()
	}
}

// Yuan returns the whole yuan that sum stands for.
func Yuan(sum string) int64 {
	n, err := strconv.ParseInt("0"+sum, 10, 64)
	if err != nil {
		panic("widget: internal error: the pad typed " + sum)
	}
	return n
}

// NumberPad takes a number of which every digit counts, such as that of a card.
type NumberPad struct {
	Keys   fyne.CanvasObject
	Length int // digits at most

	number  *string
	changed func()
}

// NumberPad makes a pad that types into number and calls changed after each key.
// Its owner says how long a number may be.
func (k Kit) NumberPad(number *string, height float64, words PadWords, changed func()) *NumberPad {
	p := &NumberPad{number: number, changed: changed}
	clear := k.Button(Face{Name: "clear", Label: words.Clear}, func() { *p.number = ""; p.changed() })
	erase := k.Button(Face{Name: "erase", Label: words.Erase}, p.Erase)
	p.Keys = k.pad(height, clear, erase, p.Type)
	return p
}

// Type types a digit.
func (p *NumberPad) Type(digit byte) {
	if len(*p.number) < p.Length {
		*p.number += string(digit)
		p.changed()
	}
}

// Erase takes the last digit back.
func (p *NumberPad) Erase() {
	if n := len(*p.number); n > 0 {
		*p.number = (*p.number)[:n-1]
		p.changed()
	}
}

// PricePad takes an amount in yuan and fen, with a point as on a price tag.
type PricePad struct {
	Keys fyne.CanvasObject
	Yuan int // digits before the point at most; those of a price if nobody says so

	sum     *string
	changed func()
}

// PricePad makes a pad that types into sum and calls changed after each key.
func (k Kit) PricePad(sum *string, height float64, words PadWords, changed func()) *PricePad {
	p := &PricePad{Yuan: priceYuan, sum: sum, changed: changed}
	f := Face{Name: "point", Label: "."}
	point := k.Key(f, Centre(k.Line(".", Style{Type: look.Figure, Bold: true})), func() { p.Type('.') })
	erase := k.Button(Face{Name: "erase", Label: words.Erase}, p.Erase)
	p.Keys = k.pad(height, point, erase, func(d byte) { p.Type(rune(d)) })
	return p
}

// Type types a digit or the point.
func (p *PricePad) Type(r rune) {
	typeAmount(p.sum, r, p.Yuan)
	p.changed()
}

// Erase takes the last one back.
func (p *PricePad) Erase() {
	if n := len(*p.sum); n > 0 {
		*p.sum = (*p.sum)[:n-1]
		p.changed()
	}
}

// A price has at most that many digits before its point, and after it.
const (
	priceYuan = 3
	priceFen  = 2
)

// TypePrice types a digit or the point into sum, unless it would no longer be a
// price then.
func TypePrice(sum *string, r rune) { typeAmount(sum, r, priceYuan) }

// typeAmount is TypePrice for so many digits before the point.
func typeAmount(sum *string, r rune, digits int) {
	yuan, fen, dotted := strings.Cut(*sum, ".")
	switch {
	case r == '.' && !dotted:
		*sum = cmp.Or(yuan, "0") + "."
	case r < '0' || r > '9':
	case dotted && len(fen) < priceFen:
		*sum += string(r)
	case !dotted && yuan == "0":
		*sum = string(r)
	case !dotted && len(yuan) < digits:
		*sum += string(r)
	}
}

// Price returns sum as it is read, with two digits after the point.
func Price(sum string) string {
	yuan, fen, _ := strings.Cut(sum, ".")
	return cmp.Or(yuan, "0") + "." + fen + "00"[len(fen):]
}
