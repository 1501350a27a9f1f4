// Package assets carries what the terminal shows and plays: fonts, words,
// icons and sounds, all inside the program, so that no file can be missing on
// a terminal. It knows nothing of how they are used.
package assets

import (
	"embed"
	"io/fs"
)

//go:embed lang/*.json icons/*.svg sounds/*.wav
var files embed.FS

// The fonts are no part of files, which would copy their eleven megabytes.
var (
	//go:embed fonts/Quancun-Regular.otf
	regular []byte
	//go:embed fonts/Quancun-Bold.otf
	bold []byte
	//go:embed fonts/Quancun-Paper.ttf
	paper []byte
)

// Regular is the text font: Noto Sans CJK SC with every Han character of the
// family, tabular figures, no features. See fonts/subset.sh and fonts/OFL.txt.
// Nobody may change it.
func Regular() []byte { return regular }

// Bold is the font of headings and amounts. It carries GB 2312 only: the names
// of people and places are set in [Regular]. Nobody may change it.
func Bold() []byte { return bold }

// Paper is [Regular] for documents, with the characters of [Bold], and with
// curves that writers of PDF take. Nobody may change it.
func Paper() []byte { return paper }

// Words is the table of a language, "zh" or "en", as JSON: flat keys to
// texts. It panics for any other language, which only a bug can ask for.
func Words(lang string) []byte { return must("lang/" + lang + ".json") }

// Icon is the SVG of the given name, drawn in the colours [IconInk],
// [IconAccent] and [IconPaper], which the caller replaces by its own.
func Icon(name string) []byte { return must("icons/" + name + ".svg") }

// The colours in which icons are drawn.
const (
	IconInk    = "#111111"
	IconAccent = "#eeeeee"
	IconPaper  = "#ffffff"
)

// Icons lists the names of all icons, sorted.
func Icons() []string { return names("icons", ".svg") }

// Sound is the WAV of the given name: mono, 16 bit, 22050 Hz.
func Sound(name string) []byte { return must("sounds/" + name + ".wav") }

// Sounds lists the names of all sounds, sorted.
func Sounds() []string { return names("sounds", ".wav") }

func names(dir, suffix string) []string {
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		panic("assets: internal error: " + err.Error())
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name()[:len(e.Name())-len(suffix)])
	}
	return list
}

func must(name string) []byte {
	b, err := files.ReadFile(name)
	if err != nil {
		panic("assets: internal error: " + err.Error())
	}
	return b
}
