package specimen

import (
	"quancun/kiosk"
	"quancun/ui/look"
)

// Need is what a page may be asked to be for one person.
type Need struct {
	Name     string
	Needs    look.Needs
	Choosing bool // Home asks what the person needs
}

// Needs returns what people ask for, alone and together. The first is everybody's.
func Needs() []Need {
	all := look.Needs{Large: true, Contrast: true, Low: true, Unhurried: true}
	simple := all
	simple.Simple = true
	return []Need{
		{Name: "everybody"},
		{Name: "large", Needs: look.Needs{Large: true}},
		{Name: "contrast", Needs: look.Needs{Contrast: true}},
		{Name: "low", Needs: look.Needs{Low: true}},
		{Name: "all", Needs: all},
		{Name: "simple", Needs: look.Needs{Simple: true}},
		{Name: "simple-all", Needs: simple},
		{Name: "choosing", Choosing: true},
		{Name: "choosing-all", Needs: simple, Choosing: true},
	}
}

// Shows reports whether a view is worth a look for n: only Home asks for needs, and
// only Home is simple. Faults differ in words only.
func (n Need) Shows(v View) bool {
	if v.View.Step == kiosk.Fault && n.Name != "everybody" && n.Name != "all" {
		return false
	}
	return v.View.Step == kiosk.Home || !n.Choosing && !n.Needs.Simple
}
