package sheet

import (
	"bytes"
	"strings"
	"time"

	"codeberg.org/go-pdf/fpdf"

	"quancun/assets"
	"quancun/beijing"
	"quancun/kiosk/dialog"
	"quancun/money"
)

// A page is A4, in millimetres.
const (
	pageWidth = 210.0
	margin    = 18.0
	inside    = pageWidth - 2*margin
	lineHigh  = 7.0
	barHigh   = 5.0
	textSize  = 10.5 // points
	titleSize = 18.0
	font      = "paper"
)

// page returns a report as a document.
func (f *Folder) page(r dialog.Report, at time.Time) ([]byte, error) {
	doc := fpdf.New("P", "mm", "A4", "")
	doc.SetMargins(margin, margin, margin)
	doc.SetAutoPageBreak(true, margin)
	doc.AddUTF8FontFromBytes(font, "", assets.Paper())
	doc.SetTitle(f.word(r.Title)+" "+r.No, true)
	doc.SetCreationDate(at)
	doc.SetModificationDate(at)
	doc.AddPage()
	doc.SetFont(font, "", titleSize)
	doc.CellFormat(inside, 2*lineHigh, strings.TrimSpace(f.word(r.Title)+"  "+r.No), "", 1, "L", false, 0, "")
	doc.SetFont(font, "", textSize)
	doc.CellFormat(inside, lineHigh, f.Place+"  "+at.Format("2006-01-02 15:04"), "B", 1, "L", false, 0, "")
	doc.Ln(lineHigh / 2)
	for _, x := range r.Facts {
		doc.CellFormat(inside/2, lineHigh, f.word(x.Name), "", 0, "L", false, 0, "")
		doc.CellFormat(inside/2, lineHigh, f.Texts.Value(x, at.In(beijing.Zone)), "", 1, "R", false, 0, "")
	}
	f.plot(doc, r.Plot)
	f.rows(doc, r.Table, at.In(beijing.Zone))
	var b bytes.Buffer
	err := doc.Output(&b)
	return b.Bytes(), err
}

// plot draws the bars one below the other, from the zero that they share.
func (f *Folder) plot(doc *fpdf.Fpdf, bars []dialog.Bar) {
	low, high := money.Fen(0), money.Fen(0)
	for _, b := range bars {
		low, high = min(low, b.Value), max(high, b.Value)
	}
	if low == high {
		return
	}
	doc.Ln(lineHigh / 2)
	const labels, values = 42.0, 32.0
	scale := (inside - labels - values) / float64(high-low)
	zero := margin + labels - float64(low)*scale
	doc.SetFillColor(70, 110, 160)
	for _, b := range bars {
		doc.CellFormat(labels, lineHigh, f.clip(doc, b.Label, labels), "", 0, "L", false, 0, "")
		long := float64(b.Value) * scale
		doc.Rect(min(zero, zero+long), doc.GetY()+(lineHigh-barHigh)/2, max(long, -long), barHigh, "F")
		doc.SetX(margin + inside - values)
		doc.CellFormat(values, lineHigh, b.Value.String(), "", 1, "R", false, 0, "")
	}
}

// rows writes the table of a report of that time, its heads once more on each page.
func (f *Folder) rows(doc *fpdf.Fpdf, t dialog.Table, at time.Time) {
	if len(t.Heads) == 0 {
		return
	}
	wide := inside / float64(len(t.Heads))
	line := func(cells []string, border string) {
		for i, c := range cells {
			align := "R"
			if i == 0 {
				align = "L"
			}
			doc.CellFormat(wide, lineHigh, f.clip(doc, c, wide), border, 0, align, false, 0, "")
		}
		doc.Ln(-1)
	}
	doc.Ln(lineHigh / 2)
	_, high := doc.GetPageSize()
	line(f.heads(t), "B")
	for _, row := range t.Rows {
		var cells []string
		for _, x := range row {
			cells = append(cells, f.Texts.Value(x, at))
		}
		if doc.GetY()+lineHigh > high-margin {
			doc.AddPage()
			line(f.heads(t), "B")
		}
		line(cells, "")
	}
}

// clip shortens a text to a width.
func (f *Folder) clip(doc *fpdf.Fpdf, s string, wide float64) string {
	all := []rune(s)
	for len(all) > 1 && doc.GetStringWidth(string(all)) > wide-2 {
		all = append(all[:len(all)-2], '…')
	}
	return string(all)
}
