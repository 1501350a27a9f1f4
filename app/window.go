package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"fyne.io/fyne/v2/app"
	"golang.org/x/sync/errgroup"

	"quancun/app/audio"
	"quancun/beijing"
	"quancun/ui"
	"quancun/ui/tray"
)

// fyneID names the program to the desktop; it is FyneApp.toml's.
const fyneID = "cn.quancun.terminal"

// settleFyne fixes what Fyne would otherwise take from the machine: the scale,
// which panels lie about, and a session bus, of which it would start one at
// each start where there is none.
func settleFyne() error {
	var errs []error
	for name, value := range map[string]string{
		"FYNE_SCALE": "1", "FYNE_DISABLE_DPI_DETECTION": "true", "FYNE_PLATFORM": "x11",
	} {
		errs = append(errs, os.Setenv(name, value))
	}
	if os.Getenv("DBUS_SESSION_BUS_ADDRESS") == "" {
		errs = append(errs, os.Setenv("DBUS_SESSION_BUS_ADDRESS", "disabled:"))
	}
	return errors.Join(errs...)
}

// show shows the flow's views and takes the person's inputs. It has to be called
// on the main goroutine and returns when the window has gone.
func (t *terminal) show(ctx context.Context) error {
	if err := settleFyne(); err != nil {
		return err
	}
	texts, err := ui.NewTexts()
	if err != nil {
		return err
	}
	c := t.config
	a := app.NewWithID(fyneID)
	o := ui.Options{
		Panel: screenPanel(c.Panel), Texts: texts, FullScreen: c.Panel.FullScreen, HideCursor: c.Panel.HideCursor,
		Phone: c.Help.Phone, Title: "Quancun 圈存", Now: t.now, Sounds: c.Sound.Loudspeaker,
	}
	g, ctx := errgroup.WithContext(ctx)
	if c.Sound.Speech || c.Sound.Till {
		port := audio.New(c.Sound.port(), t.log)
		g.Go(func() error { return port.Run(ctx) })
		if c.Sound.Speech {
			o.Voice = port
		}
		if c.Sound.Till {
			o.TillVoice = port
		}
	}
	w := t.face.window(a, o)
	g.Go(func() error { return w.Run(ctx) })
	g.Go(func() error { return w.forward(ctx) })
	w.Open()
	a.Run()
	return nil
}

// screenPanel is the panel as the screens know it.
func screenPanel(c PanelConfig) ui.Panel {
	return ui.Panel{WidthPx: c.WidthPX, HeightPx: c.HeightPX, WidthMM: float64(c.WidthMM)}
}

func (t *terminal) now() time.Time { return t.clock.Now().In(beijing.Zone) }

// showTray shows the lab's cards.
func showTray(args []string, _ io.Writer) error {
	f := flag.NewFlagSet("tray", flag.ContinueOnError)
	lab := f.String("lab", os.Getenv("CAMPUSLAB"), "address of the lab, such as http://127.0.0.1:8090")
	if err := f.Parse(args); err != nil {
		return usageError(err)
	}
	if *lab == "" {
		return fmt.Errorf("%w: -lab is missing", errUsage)
	}
	if err := settleFyne(); err != nil {
		return err
	}
	return tray.Run(app.NewWithID(fyneID+".tray"), *lab)
}
