package widget

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
)

// Column stacks objects, each as wide as the column, gap millimetres apart, or
// less on a page that is set closely.
// What is left over goes to the objects made by [Grow] and [Spring], in equal
// parts.
func (k Kit) Column(gap float64, objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(&line{gap: k.air(gap), down: true}, objects...)
}

// Row is a [Kit.Column] from left to right.
func (k Kit) Row(gap float64, objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(&line{gap: k.air(gap)}, objects...)
}

// Grow lets object take what is left over in a column or row.
func Grow(object fyne.CanvasObject) *fyne.Container {
	return container.New(&grow{}, object)
}

// Spring is empty and takes what is left over.
func Spring() *fyne.Container { return container.New(&grow{}) }

// IsSpring reports whether object was made by [Spring].
func IsSpring(object fyne.CanvasObject) bool {
	c, ok := object.(*fyne.Container)
	return ok && grows(c) && len(c.Objects) == 0
}

// Pile lays objects over each other, all of the same size.
func Pile(objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(&inset{}, objects...)
}

// Inset keeps pad millimetres free on all sides of content.
func (k Kit) Inset(pad float64, content fyne.CanvasObject) *fyne.Container {
	p := k.MM(pad)
	return container.New(&inset{x: p, y: p}, content)
}

// InsetXY keeps x millimetres free at the sides, y above and below.
func (k Kit) InsetXY(x, y float64, content fyne.CanvasObject) *fyne.Container {
	return container.New(&inset{x: k.MM(x), y: k.air(y)}, content)
}

// Sized gives content at least that many millimetres; 0 leaves its own.
func (k Kit) Sized(width, height float64, content fyne.CanvasObject) *fyne.Container {
	return container.New(&atLeast{k.MM(width), k.MM(height)}, content)
}

// Wide gives content at least that many pixels of width.
func Wide(width float32, content fyne.CanvasObject) *fyne.Container {
	return container.New(&atLeast{width: width}, content)
}

// Centre puts content in the middle at its own size.
func Centre(content fyne.CanvasObject) *fyne.Container {
	return container.New(&align{x: true, y: true}, content)
}

// CentreX puts content in the middle between the sides.
func CentreX(content fyne.CanvasObject) *fyne.Container {
	return container.New(&align{x: true}, content)
}

// CentreY puts content half-way down.
func CentreY(content fyne.CanvasObject) *fyne.Container {
	return container.New(&align{y: true}, content)
}

// Grid puts objects in equal cells, gap millimetres apart. With height 0 the
// rows share the room there is; else each is that many millimetres high.
func (k Kit) Grid(columns int, gap, height float64, objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(&grid{columns: columns, gap: k.MM(gap), height: k.MM(height)}, objects...)
}

type line struct {
	gap  float32
	down bool
}

func (l *line) along(s fyne.Size) (along, across float32) {
	if l.down {
		return s.Height, s.Width
	}
	return s.Width, s.Height
}

func (l *line) size(along, across float32) fyne.Size {
	if l.down {
		return fyne.NewSize(across, along)
	}
	return fyne.NewSize(along, across)
}

func (l *line) MinSize(objects []fyne.CanvasObject) fyne.Size {
	var length, breadth float32
	n := 0
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		along, across := l.along(o.MinSize())
		length += along
		breadth = max(breadth, across)
		n++
	}
	return l.size(length+l.gap*float32(max(0, n-1)), breadth)
}

func (l *line) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	length, breadth := l.along(size)
	need, _ := l.along(l.MinSize(objects))
	growing := 0
	for _, o := range objects {
		if o.Visible() && grows(o) {
			growing++
		}
	}
	var share, at float32
	if growing > 0 {
		share = max(0, length-need) / float32(growing)
	}
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		along, _ := l.along(o.MinSize())
		if grows(o) {
			along += share
		}
		p := l.size(at, 0)
		o.Move(fyne.NewPos(p.Width, p.Height))
		o.Resize(l.size(along, breadth))
		at += along + l.gap
	}
}

func grows(o fyne.CanvasObject) bool {
	c, ok := o.(*fyne.Container)
	if !ok {
		return false
	}
	_, ok = c.Layout.(*grow)
	return ok
}

// grow is a pile that [line] recognises.
type grow struct{ inset }

type inset struct{ x, y float32 }

func (l *inset) MinSize(objects []fyne.CanvasObject) fyne.Size {
	var s fyne.Size
	for _, o := range objects {
		if o.Visible() {
			s = s.Max(o.MinSize())
		}
	}
	return s.AddWidthHeight(2*l.x, 2*l.y)
}

func (l *inset) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	for _, o := range objects {
		o.Move(fyne.NewPos(l.x, l.y))
		o.Resize(size.SubtractWidthHeight(2*l.x, 2*l.y))
	}
}

type atLeast struct{ width, height float32 }

func (l *atLeast) MinSize(objects []fyne.CanvasObject) fyne.Size {
	return (&inset{}).MinSize(objects).Max(fyne.NewSize(l.width, l.height))
}

func (l *atLeast) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	(&inset{}).Layout(objects, size)
}

type align struct{ x, y bool }

func (l *align) MinSize(objects []fyne.CanvasObject) fyne.Size {
	return (&inset{}).MinSize(objects)
}

func (l *align) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	for _, o := range objects {
		s, at := size, fyne.Position{}
		own := o.MinSize()
		if l.x {
			s.Width, at.X = own.Width, (size.Width-own.Width)/2
		}
		if l.y {
			s.Height, at.Y = own.Height, (size.Height-own.Height)/2
		}
		o.Move(at)
		o.Resize(s)
	}
}

type grid struct {
	columns     int
	gap, height float32
}

func (l *grid) rows(n int) int { return (n + l.columns - 1) / l.columns }

func (l *grid) MinSize(objects []fyne.CanvasObject) fyne.Size {
	cell := (&inset{}).MinSize(objects)
	cell.Height = max(cell.Height, l.height)
	c, r := float32(l.columns), float32(l.rows(len(objects)))
	return fyne.NewSize(c*cell.Width+(c-1)*l.gap, r*cell.Height+(r-1)*l.gap)
}

func (l *grid) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	c, r := float32(l.columns), float32(l.rows(len(objects)))
	width, height := (size.Width-(c-1)*l.gap)/c, (size.Height-(r-1)*l.gap)/r
	if l.height > 0 {
		height = max(l.height, (&inset{}).MinSize(objects).Height)
	}
	for i, o := range objects {
		x, y := float32(i%l.columns), float32(i/l.columns)
		o.Move(fyne.NewPos(x*(width+l.gap), y*(height+l.gap)))
		o.Resize(fyne.NewSize(width, height))
	}
}

// Part gives object that part of the width there is, from the left.
func Part(share float32, object fyne.CanvasObject) *fyne.Container {
	return container.New(&part{share: share}, object)
}

type part struct{ share float32 }

func (l *part) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.Size{} }

func (l *part) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	for _, o := range objects {
		o.Move(fyne.Position{})
		o.Resize(fyne.NewSize(size.Width*l.share, size.Height))
	}
}
