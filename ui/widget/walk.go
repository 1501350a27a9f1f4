package widget

import "fyne.io/fyne/v2"

// Walk calls visit for every visible object under root that was made by this
// package's parts, with its place on the canvas, in the order in which they are
// painted. A [Button] is visited before what stands on it.
func Walk(root fyne.CanvasObject, visit func(o fyne.CanvasObject, at fyne.Position)) {
	walk(root, root.Position(), visit)
}

func walk(o fyne.CanvasObject, at fyne.Position, visit func(fyne.CanvasObject, fyne.Position)) {
	if !o.Visible() {
		return
	}
	visit(o, at)
	switch o := o.(type) {
	case *fyne.Container:
		for _, child := range o.Objects {
			walk(child, at.Add(child.Position()), visit)
		}
	case *Button:
		visit(o.ground, at)
		walk(o.content, at.Add(o.content.Position()), visit)
	}
}
