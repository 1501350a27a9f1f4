package widget

import (
	"cmp"
	"image/color"
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	fyneWidget "fyne.io/fyne/v2/widget"

	"quancun/ui/look"
)

// Rank is how much a key asks to be tapped.
type Rank int

// The ranks. A page has at most one Primary.
const (
	Plain Rank = iota
	Primary
)

// Button is a key for a finger. It acts when a finger comes down and goes up
// on it; it does not change when a pointer merely stays there, as it does on a
// touch panel after every tap. A disabled one is seen and says nothing.
type Button struct {
	fyneWidget.BaseWidget

	// Name identifies the key for tests and for the keyboard, in every
	// language: "leave", "digit-5", "amount-1000".
	Name string
	// Label is what a person reads on the key, and Said what is said of it.
	Label, Said string

	kit      Kit
	rank     Rank
	content  fyne.CanvasObject
	onTap    func()
	disabled bool
	pressed  bool
	marked   bool
	ground   *canvas.Rectangle
	mark     *canvas.Rectangle // inside the edge, when marked
	label    *canvas.Text      // of a key made by Kit.Button; else nil
}

var (
	_ fyne.Tappable      = (*Button)(nil)
	_ desktop.Mouseable  = (*Button)(nil)
	_ desktop.Hoverable  = (*Button)(nil)
	_ desktop.Cursorable = (*Button)(nil)
)

// Face is what stands on a key.
type Face struct {
	Name, Label string
	Said        string // where the label alone does not say all; "": it does
	Icon        string // before the label; "": none
	After       bool   // the icon stands after the label
	Type        look.Type
	Rank        Rank
	Disabled    bool
}

// Button makes a key with an icon and a label in the middle. It is at least
// 20 mm high and wide.
func (k Kit) Button(f Face, onTap func()) *Button {
	if f.Type == 0 {
		f.Type = look.Lead
	}
	ink := f.ink()
	label := k.Line(f.Label, Style{Type: f.Type, Bold: true, Colour: ink})
	parts := []fyne.CanvasObject{CentreY(label)}
	if f.Icon != "" {
		parts = slices.Insert(parts, 0, fyne.CanvasObject(CentreY(k.Glyph(f.Icon, float64(f.Type)*1.9, f))))
	}
	if f.Icon != "" {
		parts = append(parts, k.Gap(0.5)) // icons carry some air, words do not
	}
	if f.After {
		slices.Reverse(parts)
	}
	b := k.Key(f, Centre(k.InsetXY(4, 1, k.Row(3, parts...))), onTap)
	b.label = label
	return b
}

// Key makes a key with content of its own, in the colours of [Face.Ink].
func (k Kit) Key(f Face, content fyne.CanvasObject, onTap func()) *Button {
	b := &Button{
		Name: f.Name, Label: f.Label, Said: cmp.Or(f.Said, f.Label), kit: k, rank: f.Rank, disabled: f.Disabled,
		content: k.Sized(20, 20, content), onTap: onTap,
		ground: canvas.NewRectangle(color.Transparent), mark: canvas.NewRectangle(color.Transparent),
	}
	b.mark.CornerRadius, b.mark.StrokeWidth = k.MM(2.5), k.MM(1)
	b.ground.CornerRadius = k.MM(3.5)
	b.paint()
	b.ExtendBaseWidget(b)
	return b
}

// Ink is the colour of what stands on the key.
func (f Face) Ink() color.NRGBA { return f.ink() }

func (f Face) ink() color.NRGBA {
	switch {
	case f.Disabled:
		return look.OffInk
	case f.Rank == Primary:
		return look.Surface
	default:
		return look.Blue
	}
}

// Ground is the colour of the key itself.
func (f Face) Ground() color.NRGBA { return f.ground() }

func (f Face) ground() color.NRGBA {
	switch {
	case f.Disabled:
		return look.Off
	case f.Rank == Primary:
		return look.Blue
	default:
		return look.Surface
	}
}

// SetDisabled lets the key work or not. It is for a key without an icon made
// by [Kit.Button], whose label takes the colour that belongs to it.
func (b *Button) SetDisabled(disabled bool) {
	if b.disabled == disabled {
		return
	}
	b.disabled = disabled
	b.Refresh()
}

// Mark shows or hides that the key is the one which a keypad beside the panel
// presses.
func (b *Button) Mark(on bool) {
	if b.marked != on {
		b.marked = on
		b.Refresh()
	}
}

// Marked reports whether it is.
func (b *Button) Marked() bool { return b.marked }

// Primary reports whether the key is the page's next action.
func (b *Button) Primary() bool { return b.rank == Primary }

// Disabled reports whether the key cannot be tapped.
func (b *Button) Disabled() bool { return b.disabled }

// Tapped does what the key is for.
func (b *Button) Tapped(*fyne.PointEvent) {
	if !b.disabled && b.onTap != nil {
		b.onTap()
	}
}

// MouseDown shows that the finger has arrived.
func (b *Button) MouseDown(*desktop.MouseEvent) {
	if b.disabled {
		return
	}
	if b.kit.Click != nil {
		b.kit.Click()
	}
	b.press(true)
}

// MouseUp ends what MouseDown showed.
func (b *Button) MouseUp(*desktop.MouseEvent) { b.press(false) }

// MouseIn does nothing: see [Button].
func (b *Button) MouseIn(*desktop.MouseEvent) {}

// MouseMoved does nothing.
func (b *Button) MouseMoved(*desktop.MouseEvent) {}

// MouseOut ends what MouseDown showed, for a finger that slid off the key.
func (b *Button) MouseOut() { b.press(false) }

// Cursor is hidden on a touch panel.
func (b *Button) Cursor() desktop.Cursor { return b.kit.cursor() }

func (k Kit) cursor() desktop.Cursor {
	if k.HideCursor {
		return desktop.HiddenCursor
	}
	return desktop.DefaultCursor
}

func (b *Button) press(down bool) {
	if b.pressed != down {
		b.pressed = down
		b.Refresh()
	}
}

// CreateRenderer is part of fyne.Widget.
func (b *Button) CreateRenderer() fyne.WidgetRenderer {
	layers := Pile(b.ground, b.kit.Inset(1.6, b.mark), b.content)
	return &buttonRenderer{WidgetRenderer: fyneWidget.NewSimpleRenderer(layers), b: b}
}

func (b *Button) paint() {
	f := Face{Rank: b.rank, Disabled: b.disabled}
	fill, edge := f.ground(), look.Edge
	switch {
	case b.disabled:
		edge = look.Line
	case b.pressed && b.rank == Primary:
		fill = look.BluePress
	case b.pressed:
		fill, edge = look.Press, look.Blue
	case b.rank == Primary:
		edge = look.Blue
	}
	b.ground.FillColor, b.ground.StrokeColor = b.kit.Paint(fill), b.kit.Paint(edge)
	b.ground.StrokeWidth = b.kit.MM(0.7)
	b.mark.StrokeColor = color.Transparent
	if b.marked { // in the colour of the words, which is seen on the ground
		b.mark.StrokeColor = b.kit.Paint(f.ink())
	}
	if b.label != nil {
		b.label.Color = b.kit.Paint(f.ink())
	}
}

type buttonRenderer struct {
	fyne.WidgetRenderer
	b *Button
}

func (r *buttonRenderer) Refresh() {
	r.b.paint()
	r.WidgetRenderer.Refresh()
}

// Cursorless hides the mouse cursor over everything that lies on it and has no
// cursor of its own.
type Cursorless struct {
	fyneWidget.BaseWidget
}

var _ desktop.Cursorable = (*Cursorless)(nil)

// NewCursorless returns the lowest layer of a window.
func NewCursorless() *Cursorless {
	c := &Cursorless{}
	c.ExtendBaseWidget(c)
	return c
}

// Cursor is hidden.
func (c *Cursorless) Cursor() desktop.Cursor { return desktop.HiddenCursor }

// CreateRenderer is part of fyne.Widget.
func (c *Cursorless) CreateRenderer() fyne.WidgetRenderer {
	return fyneWidget.NewSimpleRenderer(canvas.NewRectangle(color.Transparent))
}
