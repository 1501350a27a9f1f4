package look

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"quancun/assets"
)

var (
	regular = fyne.NewStaticResource("Quancun-Regular.otf", assets.Regular())
	bold    = fyne.NewStaticResource("Quancun-Bold.otf", assets.Bold())
)

// Font returns the bold font or the regular one. A text that names its font
// itself has Fyne load that one alone; otherwise it loads four more, and the
// machine's own, in case one has what ours lack, which is half of its memory.
func Font(heavy bool) fyne.Resource {
	if heavy {
		return bold
	}
	return regular
}

// Theme is the terminal's theme. It has one variant: a desktop's dark setting
// cannot reach it.
type Theme struct{}

var _ fyne.Theme = Theme{}

// Color returns the colour of that name, whatever the variant.
func (Theme) Color(name fyne.ThemeColorName, _ fyne.ThemeVariant) color.Color {
	switch name {
	case theme.ColorNameBackground:
		return Ground
	case theme.ColorNameForeground:
		return Ink
	case theme.ColorNamePrimary:
		return Blue
	case theme.ColorNameButton:
		return Press
	case theme.ColorNameOverlayBackground, theme.ColorNameInputBackground:
		return Surface
	default:
		return theme.DefaultTheme().Color(name, theme.VariantLight)
	}
}

// Font returns the bold font for bold text and the regular one for all other
// styles. It is never nil: Fyne's font lookup does not check.
func (Theme) Font(style fyne.TextStyle) fyne.Resource {
	return Font(style.Bold)
}

// Icon returns Fyne's own icons, none of which the kiosk shows.
func (Theme) Icon(name fyne.ThemeIconName) fyne.Resource {
	return theme.DefaultTheme().Icon(name)
}

// Size returns Fyne's sizes: the kiosk measures in millimetres instead.
func (Theme) Size(name fyne.ThemeSizeName) float32 {
	return theme.DefaultTheme().Size(name)
}
