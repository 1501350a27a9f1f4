package screen_test

import (
	"errors"
	"flag"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"quancun/kiosk"
	"quancun/ui/specimen"
	"quancun/ui/text"
)

var update = flag.Bool("update", false, "replace the golden pictures by what is drawn now")

// goldens are pictures of every page on every panel in every language, a quarter
// as wide and high. Their words are tested elsewhere; this is for what only an
// eye would see.
var goldens = []struct {
	panel    string
	language text.Language
}{
	{"1080x1920", text.Chinese}, {"1080x1920", text.English},
	{"1920x1080", text.Chinese}, {"1920x1080", text.English},
	{"1280x1024", text.Chinese}, {"1280x1024", text.English},
}

// services are the recorded pages that are pictures, of one panel in each language:
// their kinds are there on every panel, as 29 to 31.
var services = []struct{ of, name string }{
	{"1080x1920-zh", "32-bath-deed"}, {"1080x1920-zh", "32-bath-end-reserved"}, {"1080x1920-zh", "32-own-end-bath"},
	{"1080x1920-zh", "32-own-ask-money"}, {"1080x1920-zh", "32-electricity-room"}, {"1080x1920-zh", "32-lost-end-partly"},
	{"1920x1080-en", "32-bath-sure"}, {"1920x1080-en", "32-network-pay-amount"}, {"1920x1080-en", "32-own-end-order"},
	{"1920x1080-en", "32-electricity-pay-amount-two-meters"}, {"1920x1080-en", "32-own-end-record"},
}

// TestGolden draws every page and compares it with how it looked when somebody
// last looked at it: go test ./ui/screen -run Golden/.*/01 -update, and look at the
// difference.
func TestGolden(t *testing.T) {
	if testing.Short() {
		t.Skip("drawing every page takes a while")
	}
	newApp(t)
	texts, err := text.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range goldens {
		texts.SetLanguage(g.language)
		p := specimen.Panels[g.panel]
		for _, v := range specimen.Views() {
			of := g.panel + "-" + string(g.language)
			if v.Recorded && !slices.Contains(services, struct{ of, name string }{of, v.Name}) {
				continue
			}
			if strings.HasPrefix(v.Name, "25-fault") && v.View.Fault != kiosk.CodeHot && v.View.Fault != kiosk.CodeOffline {
				continue // they differ in words only
			}
			t.Run(of+"/"+v.Name, func(t *testing.T) {
				golden(t, specimen.Shrink(specimen.Draw(v.View, p, texts), image.Pt(p.WidthPx/4, p.HeightPx/4)))
			})
		}
	}
}

// golden compares a picture with the one of the test's name, or replaces that.
func golden(t *testing.T, picture *image.RGBA) {
	t.Helper()
	_, of, _ := strings.Cut(t.Name(), "/")
	name := filepath.Join("testdata", filepath.FromSlash(of)+".png")
	if *update {
		writePNG(t, name, picture)
		return
	}
	if off := difference(t, name, picture); off > 0 {
		failed := filepath.Join("testdata", "failed", strings.ReplaceAll(of, "/", "-")+".png")
		writePNG(t, failed, picture)
		t.Errorf("%s: %d pixels differ; drawn now: %s", name, off, failed)
	}
}

// difference counts the pixels that differ by more than rounding can explain.
func difference(t *testing.T, name string, got *image.RGBA) int {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if want.Bounds() != got.Bounds() {
		return got.Bounds().Dx() * got.Bounds().Dy()
	}
	const tolerance = 3 << 8 // of a channel: rasterisers round differently
	off := 0
	for y := range got.Bounds().Dy() {
		for x := range got.Bounds().Dx() {
			r1, g1, b1, _ := got.At(x, y).RGBA()
			r2, g2, b2, _ := want.At(x, y).RGBA()
			if max(apart(r1, r2), apart(g1, g2), apart(b1, b2)) > tolerance {
				off++
			}
		}
	}
	return off
}

func apart(a, b uint32) uint32 { return max(a, b) - min(a, b) }

func writePNG(t *testing.T, name string, img image.Image) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := errors.Join(encoder.Encode(f, img), f.Close()); err != nil {
		t.Fatal(err)
	}
}
