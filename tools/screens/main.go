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
	flag.Parse()
	if err := run(*out, *name, *only, *size); err != nil {
		fmt.Fprintln(os.Stderr, "screens:", err)
		os.Exit(1)
	}
}

func run(out, name, only, size string) error {
	test.NewApp().Settings().SetTheme(look.Theme{})
	texts, err := text.New()
	if err != nil {
		return err
	}
	for _, f := range faces() {
		if name != "" && name != f.name {
			continue
		}
		for pixels, panel := range f.panels {
			if size != "" && size != pixels {
				continue
			}
			if err := f.drawAll(filepath.Join(out, f.name, pixels), only, panel, texts); err != nil {
				return err
			}
		}
	}
	return nil
}

// face is one of the terminal's faces.
type face struct {
	name   string
	panels map[string]look.Panel
	pages  []page
}

// page is a state of a page, and how it is drawn.
type page struct {
	name string
	draw func(look.Panel, *text.Texts) image.Image
}

func faces() []face {
	kiosk := face{name: "kiosk", panels: specimen.Panels}
	for _, v := range specimen.Views() {
		kiosk.pages = append(kiosk.pages, page{v.Name, func(p look.Panel, t *text.Texts) image.Image {
			return specimen.Draw(v.View, p, t)
		}})
	}
	till := face{name: "till", panels: specimen.TillPanels}
	for _, v := range specimen.TillViews() {
		till.pages = append(till.pages, page{v.Name, func(p look.Panel, t *text.Texts) image.Image {
			return specimen.DrawTill(v.View, p, t)
		}})
	}
	return []face{kiosk, till}
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
