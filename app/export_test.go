package app

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"fyne.io/fyne/v2"

	"quancun/kiosk"
	"quancun/ledger"
)

// Start puts a terminal together and takes it apart. It returns why the journal cannot
// be used.
func Start(c *Config) (fault kiosk.Code, err error) {
	t, err := newTerminal(c)
	if err != nil {
		return 0, err
	}
	return t.fault, t.close()
}

// Serve shows a terminal that takes a second to end what it is at, once it is told to
// stop. It says when it can be, and when it has.
func Serve() error {
	log := slog.New(slog.DiscardHandler)
	t := &terminal{
		config: &Config{Panel: PanelConfig{WidthPX: 640, HeightPX: 640, WidthMM: 200}}, log: log,
		clock: kiosk.NewClock(time.Now, ledger.Uptime), fault: kiosk.CodeFull,
		face: &kioskFace{line: newLine[kiosk.View, kiosk.Input](log)}, closers: []io.Closer{slow{}},
	}
	time.AfterFunc(time.Second, func() {
		for fyne.CurrentApp() == nil {
			time.Sleep(time.Second)
		}
		fyne.Do(func() { fmt.Println("ready") }) // it hears of signals, too, by now
	})
	return t.serve()
}

type slow struct{}

func (slow) Close() error {
	time.Sleep(time.Second)
	fmt.Println("finished")
	return nil
}
