package dialog

import (
	"fyne.io/fyne/v2"

	"quancun/kiosk/pin"
	"quancun/ui/look"
	"quancun/ui/text"
	"quancun/ui/widget"
)

// HolderPad is the part of a page on which nobody types: the holder does, on a keypad
// of their own.
type HolderPad struct {
	Objects []fyne.CanvasObject // from top to bottom
	Show    func(digits int)    // that were typed; nil: none can be
}

// NewHolderPad makes the part for a pad that is there, or that alone may take the PIN.
func NewHolderPad(k widget.Kit, t *text.Texts, p pin.Pad, width float32) HolderPad {
	var part HolderPad
	if notice := PadNotice(k, t, p, width); notice != nil {
		part.Objects = append(part.Objects, notice)
	}
	if !p.There {
		return part
	}
	dots := k.Dots()
	dots.Show(p.Dots)
	part.Show = dots.Show
	how := k.Text(t.T("pinpad.how"), widget.Style{
		Type: look.Body, Colour: look.Soft, Align: fyne.TextAlignCenter}, width)
	part.Objects = append(part.Objects, k.Gap(2), widget.CentreX(dots.Object), how)
	return part
}

// PadNotice says what is wrong with the pad, and what to do now; nil: nothing is.
func PadNotice(k widget.Kit, t *text.Texts, p pin.Pad, width float32) fyne.CanvasObject {
	if key := padTrouble(p); key != "" {
		return widget.CentreX(k.Banner(look.Careful, "warning", t.T(key), width))
	}
	return nil
}

// padTrouble names the words for what is wrong with the pad.
func padTrouble(p pin.Pad) string {
	switch {
	case !p.Set:
		return ""
	case p.There && p.Lost:
		return "pinpad.again"
	case p.There && p.Few:
		return "pinpad.few"
	case p.There:
		return ""
	case p.Panel && p.Lost:
		return "pinpad.panel.lost"
	case p.Panel:
		return "pinpad.panel"
	case p.Lost:
		return "pinpad.away.lost"
	}
	return "pinpad.away"
}
