// Package codes draws the sheet that lies beside a till which is worked with a scanner
// alone: on A4, a QR code for each key, and one for each product that has a code. It is
// cut apart or laid down whole, and is to be kept from customers' eyes.
package codes

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"codeberg.org/go-pdf/fpdf"
	"github.com/skip2/go-qrcode"

	"quancun/assets"
	"quancun/beijing"
	"quancun/kiosk/keysheet"
	"quancun/kiosk/till"
	"quancun/ui/text"
)

// Sheet is what stands on it.
type Sheet struct {
	Keys     keysheet.Sheet
	Products []till.Product
	Place    string // as the till is called
	At       time.Time
}

// A page is A4, in millimetres. A code is large enough to be hit by a hand that does
// not look, and far enough from the next not to be read for it.
const (
	margin   = 15.0
	inside   = 210 - 2*margin
	columns  = 2
	cellWide = inside / columns
	cellHigh = 46.0
	code     = 38.0
	gap      = 5.0

	titleSize = 18.0 // points
	nameSize  = 17.0
	textSize  = 10.0
	font      = "paper"
)

// cell is one code and what it does, in both languages.
type cell struct {
	text  string // that the code says
	lines []string
}

// PDF draws the sheet.
func (s Sheet) PDF() ([]byte, error) {
	texts, err := text.New()
	if err != nil {
		return nil, err
	}
	keys, err := s.keys(texts)
	if err != nil {
		return nil, err
	}
	doc := fpdf.New("P", "mm", "A4", "")
	doc.SetMargins(margin, margin, margin)
	doc.SetAutoPageBreak(false, margin)
	doc.AddUTF8FontFromBytes(font, "", assets.Paper())
	doc.SetCreationDate(s.At)
	doc.SetModificationDate(s.At)
	s.head(doc, texts, "keysheet.title", "keysheet.care")
	if err := cells(doc, keys); err != nil {
		return nil, err
	}
	if products := s.products(); len(products) > 0 {
		s.head(doc, texts, "keysheet.products", "keysheet.products.how")
		if err := cells(doc, products); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	err = doc.Output(&b)
	return b.Bytes(), err
}

// head begins a page.
func (s Sheet) head(doc *fpdf.Fpdf, texts *text.Texts, title, how string) {
	doc.AddPage()
	doc.SetFont(font, "", titleSize)
	doc.CellFormat(inside, 11, both(texts, title, "  "), "", 1, "L", false, 0, "")
	doc.SetFont(font, "", textSize)
	line := strings.Join([]string{s.Place, s.Keys.Terminal, s.At.In(beijing.Zone).Format(time.DateOnly)}, "   ")
	doc.CellFormat(inside, 6, line, "B", 1, "L", false, 0, "")
	doc.Ln(2)
	doc.MultiCell(inside, 5, both(texts, how, "\n"), "", "L", false)
	doc.Ln(4)
}

func (s Sheet) keys(texts *text.Texts) (all []cell, err error) {
	for _, k := range keysheet.Keys {
		code, err := s.Keys.Code(k)
		if err != nil {
			return nil, err
		}
		c := cell{text: code}
		word := "keysheet." + strings.ToLower(string(k))
		for _, key := range []string{word, word + ".hint"} {
			for _, l := range text.Languages {
				texts.SetLanguage(l)
				c.lines = append(c.lines, texts.T(key))
			}
		}
		all = append(all, c)
	}
	return all, nil
}

func (s Sheet) products() (all []cell) {
	for _, p := range s.Products {
		if p.Barcode != "" {
			all = append(all, cell{string(p.Barcode), []string{p.Name, text.Amount(p.Price), string(p.Barcode)}})
		}
	}
	return all
}

// both is a text in both languages.
func both(texts *text.Texts, key, between string) string {
	var all []string
	for _, l := range text.Languages {
		texts.SetLanguage(l)
		all = append(all, texts.T(key))
	}
	return strings.Join(all, between)
}

// cells draws codes side by side, and goes on on the next page where there are many.
func cells(doc *fpdf.Fpdf, all []cell) error {
	_, high := doc.GetPageSize()
	top := doc.GetY()
	for i, c := range all {
		if i%columns == 0 && i > 0 {
			top += cellHigh
		}
		if top+cellHigh > high-margin {
			doc.AddPage()
			top = margin
		}
		left := margin + float64(i%columns)*cellWide
		if err := draw(doc, c.text, left, top); err != nil {
			return err
		}
		doc.SetLeftMargin(left + code + gap)
		doc.SetXY(left+code+gap, top+3)
		room := cellWide - code - 2*gap
		for n, line := range c.lines {
			size := textSize
			if n == 0 {
				size = nameSize
			}
			doc.SetFont(font, "", size)
			doc.MultiCell(room, size/2, line, "", "L", false)
		}
		doc.SetLeftMargin(margin)
	}
	return nil
}

// draw draws a QR code with its quiet zone.
func draw(doc *fpdf.Fpdf, content string, left, top float64) error {
	q, err := qrcode.New(content, qrcode.Medium)
	if err != nil {
		return fmt.Errorf("QR code: %w", err)
	}
	bits := q.Bitmap()
	module := code / float64(len(bits))
	doc.SetFillColor(0, 0, 0)
	for y, row := range bits {
		for _, r := range runs(row) {
			doc.Rect(left+float64(r.from)*module, top+float64(y)*module, float64(r.to-r.from)*module, module, "F")
		}
	}
	return nil
}

// run is dark modules side by side. They are drawn as one, so that no printer leaves a
// hair between them.
type run struct{ from, to int }

func runs(row []bool) (all []run) {
	for x := 0; x < len(row); x++ {
		if !row[x] {
			continue
		}
		r := run{x, x}
		for r.to < len(row) && row[r.to] {
			r.to++
		}
		all = append(all, r)
		x = r.to
	}
	return all
}
