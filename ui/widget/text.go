package widget

import (
	"image/color"
	"strings"
	"unicode"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"

	"quancun/ui/look"
)

// Style is how a text is set.
type Style struct {
	Type   look.Type
	Bold   bool
	Colour color.Color // nil: look.Ink
	Align  fyne.TextAlign
}

func (s Style) colour() color.Color {
	if s.Colour == nil {
		return look.Ink
	}
	return s.Colour
}

// Line is one line of text. Its width is its own.
func (k Kit) Line(words string, s Style) *canvas.Text {
	t := canvas.NewText(words, k.Paint(s.colour()))
	t.FontSource = look.Font(s.Bold)
	t.TextSize = k.size(s.Type)
	t.TextStyle.Bold = s.Bold
	t.Alignment = s.Align
	return t
}

// size is the font size in which t is set for the person's needs.
func (k Kit) size(t look.Type) float32 { return k.Panel.Text(k.Needs.Type(t, k.Density)) }

// Text is a paragraph of at most width pixels, broken where Chinese and
// English allow it: never inside a word, a number or an amount, and never so
// that a closing mark begins a line. Where it costs no line more, lines end
// where phrases do; else they are evened out, so that no single character is
// left over for the last one. "\n" ends a line.
func (k Kit) Text(words string, s Style, width float32) *fyne.Container {
	measure := func(part string) float32 {
		size, _ := fyne.CurrentApp().Driver().RenderedTextSize(
			part, k.size(s.Type), fyne.TextStyle{Bold: s.Bold}, look.Font(s.Bold))
		return size.Width
	}
	column := container.New(&line{down: true})
	for paragraph := range strings.SplitSeq(words, "\n") {
		for _, text := range breakEvenly(paragraph, width, measure) {
			column.Add(k.Line(text, s))
		}
	}
	return column
}

// breakEvenly breaks words into as few lines as width allows, and then makes
// those lines as narrow as they can be without needing another.
func breakEvenly(words string, width float32, measure func(string) float32) []string {
	pieces := split(words)
	lines := fill(pieces, width, measure)
	if len(lines) < 2 {
		return lines
	}
	phrases := fill(splitPhrases(words), width, measure)
	if len(phrases) == len(lines) && fits(phrases, width, measure) {
		return phrases
	}
	low, high := width/2, width
	for range 7 {
		middle := (low + high) / 2
		if even := fill(pieces, middle, measure); len(even) == len(lines) && fits(even, middle, measure) {
			high, lines = middle, even
		} else {
			low = middle
		}
	}
	return lines
}

func fits(lines []string, width float32, measure func(string) float32) bool {
	for _, l := range lines {
		if measure(l) > width {
			return false
		}
	}
	return true
}

func fill(pieces []string, width float32, measure func(string) float32) []string {
	var lines []string
	now := ""
	for _, p := range pieces {
		if now != "" && measure(strings.TrimRight(now+p, " ")) > width {
			lines = append(lines, strings.TrimRight(now, " "))
			now = ""
		}
		if now == "" {
			p = strings.TrimLeft(p, " ")
		}
		now += p
	}
	return append(lines, strings.TrimRight(now, " "))
}

// split cuts words into the pieces between which a line may end.
func split(words string) []string {
	var pieces []string
	runes := []rune(words)
	start := 0
	for i := 1; i < len(runes); i++ {
		if mayBreak(runes[i-1], runes[i]) {
			pieces = append(pieces, string(runes[start:i]))
			start = i
		}
	}
	return append(pieces, string(runes[start:]))
}

// splitPhrases cuts words after the marks that end a phrase.
func splitPhrases(words string) []string {
	var phrases []string
	for _, p := range split(words) {
		if n := len(phrases); n > 0 && !strings.ContainsAny(phrases[n-1], phraseEnds) {
			phrases[n-1] += p
		} else {
			phrases = append(phrases, p)
		}
	}
	return phrases
}

const phraseEnds = "，。；：！？.:;!?"

// Marks that may not begin a line, and marks that may not end one (GB/T 15834,
// section 5).
const (
	closing = "，。、；：？！）》」』】”’…,.;:?!)]%"
	opening = "（《「『【“‘([¥"
)

func mayBreak(before, after rune) bool {
	switch {
	case strings.ContainsRune(closing, after) || strings.ContainsRune(opening, before):
		return false
	case before == ' ':
		return true
	case after == ' ':
		return false // the space stays with the word before it
	default:
		return wide(before) || wide(after)
	}
}

// wide reports whether a line may end on either side of r.
func wide(r rune) bool {
	return unicode.Is(unicode.Han, r) || r >= 0x3000 && r <= 0x303F || r >= 0xFF00 && r <= 0xFFEF
}

// Fitting is one line of the first of words that is no wider than width, or else the
// last of them, clipped.
func (k Kit) Fitting(width float32, s Style, words ...string) *canvas.Text {
	for _, w := range words[:len(words)-1] {
		if t := k.Line(w, s); t.MinSize().Width <= width {
			return t
		}
	}
	return k.Clipped(words[len(words)-1], s, width)
}

// Clipped is one line that ends in "..." where it would be wider than width.
func (k Kit) Clipped(words string, s Style, width float32) *canvas.Text {
	t := k.Line(words, s)
	runes := []rune(words)
	for n := len(runes) - 1; n > 0 && t.MinSize().Width > width; n-- {
		t.Text = strings.TrimRight(string(runes[:n]), " ") + "..."
	}
	return t
}
