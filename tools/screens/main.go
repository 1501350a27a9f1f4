// Command screens draws every page of the kiosk and of the till, in every state, language and
// panel size, without a display: so that somebody looks at what people will
// see. It also makes one contact sheet for each size and language.
package main

import (
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"strings"

	"fyne.io/fyne/v2/test"

	"quancun/ui/look"
	"quancun/ui/specimen"
	"quancun/ui/text"
)

func main() {
	out := flag.String("out", "build/screens", "folder to draw into")
	only := flag.String("only", "", "draw the pages whose name contains this")
	size := flag.String("size", "", "draw this size only, such as 1080x1920")
	name := flag.String("face", "", "draw this face only: kiosk or till")
	needs := flag.String("needs", "", "draw the kiosk for these needs only, such as large or everybody")
	flag.Parse()
	if err := run(*out, selection{*name, *only, *size, *needs}); err != nil {
		fmt.Fprintln(os.Stderr, "screens:", err)
		os.Exit(1)
	}
}

// selection is what is drawn; "" is all of it.
type selection struct{ face, page, size, needs string }

func (s selection) has(f face, pixels string) bool {
	return (s.face == "" || s.face == f.name) && (s.size == "" || s.size == pixels) &&
		(s.needs == "" || s.needs == f.needs)
}

func run(out string, s selection) error {
	test.NewApp().Settings().SetTheme(look.Theme{})
	texts, err := text.New()
	if err != nil {
		return err
	}
	for _, f := range faces() {
		for pixels, panel := range f.panels {
			if !s.has(f, pixels) {
				continue
			}
			if err := f.drawAll(filepath.Join(out, f.folder(), pixels), s.page, panel, texts); err != nil {
				return err
			}
		}
	}
	return nil
}

// face is one of the terminal's faces, for the needs of some.
type face struct {
	name   string
	needs  string // of [specimen.Needs]; "everybody" where there is no choice
	panels map[string]look.Panel
	pages  []page
}

// page is a state of a page, and how it is drawn.
type page struct {
	name string
	draw func(look.Panel, *text.Texts) image.Image
}

// folder is where a face's pictures go, below the tool's.
func (f face) folder() string {
	if f.needs == everybody {
		return f.name
	}
	return f.name + "-" + f.needs
}

const everybody = "everybody"

func faces() []face {
	var list []face
	for _, n := range specimen.Needs() {
		kiosk := face{name: "kiosk", needs: n.Name, panels: specimen.Panels}
		for _, v := range specimen.Views() {
			if !n.Shows(v) {
				continue
			}
			kiosk.pages = append(kiosk.pages, page{v.Name, func(p look.Panel, t *text.Texts) image.Image {
				return specimen.DrawFor(v.View, p, t, n)
			}})
		}
		list = append(list, kiosk)
	}
	till := face{name: "till", needs: everybody, panels: specimen.TillPanels}
	for _, v := range specimen.TillViews() {
		till.pages = append(till.pages, page{v.Name, func(p look.Panel, t *text.Texts) image.Image {
			return specimen.DrawTill(v.View, p, t)
		}})
	}
	return append(list, till)
}

// drawAll draws the pages of one size in every language, and their sheets.
func (f face) drawAll(folder, only string, panel look.Panel, texts *text.Texts) error {
	for _, language := range text.Languages {
		texts.SetLanguage(language)
		folder := filepath.Join(folder, string(language))
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		sheet := newSheet(panel)
		for _, p := range f.pages {
			if !strings.Contains(p.name, only) {
				continue
			}
			picture := p.draw(panel, texts)
			if err := write(filepath.Join(folder, p.name+".png"), picture); err != nil {
				return err
			}
			sheet.add(picture)
		}
		if err := write(folder+".png", sheet.picture()); err != nil {
			return err
		}
	}
	return nil
}

// sheet is a contact sheet: all pages of a size, small, side by side.
type sheet struct {
	cell  image.Point
	cells []image.Image
}

// Measures of a sheet, in pixels.
const (
	sheetColumns = 8
	sheetCell    = 300 // longer side of a page
	sheetGap     = 10
)

func newSheet(p look.Panel) *sheet {
	long := max(p.WidthPx, p.HeightPx)
	return &sheet{cell: image.Pt(p.WidthPx*sheetCell/long, p.HeightPx*sheetCell/long)}
}

func (s *sheet) add(page image.Image) { s.cells = append(s.cells, specimen.Shrink(page, s.cell)) }

func (s *sheet) picture() image.Image {
	rows := (len(s.cells) + sheetColumns - 1) / sheetColumns
	step := s.cell.Add(image.Pt(sheetGap, sheetGap))
	img := image.NewRGBA(image.Rect(0, 0, sheetColumns*step.X+sheetGap, rows*step.Y+sheetGap))
	draw.Draw(img, img.Bounds(), image.NewUniform(color.Gray{Y: 0x55}), image.Point{}, draw.Src)
	for i, c := range s.cells {
		at := image.Pt(i%sheetColumns*step.X+sheetGap, i/sheetColumns*step.Y+sheetGap)
		draw.Draw(img, image.Rectangle{Min: at, Max: at.Add(s.cell)}, c, image.Point{}, draw.Src)
	}
	return img
}

func write(name string, img image.Image) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := encoder.Encode(f, img); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return f.Close()
}
