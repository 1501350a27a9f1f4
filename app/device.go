package app

import (
	"fmt"
	"time"

	"quancun/reader"
	"quancun/reader/pcsc"
	"quancun/reader/vpcd"
)

// openDevice opens the reader that the configuration names. The caller closes
// it. A PC/SC reader that is not there yet is no error: it may be plugged in.
func openDevice(c ReaderConfig) (reader.Device, error) {
	switch c.Kind {
	case "pcsc":
		return pcsc.New(pcsc.Options{Reader: c.Name, Timeout: answerMax}), nil
	case "vpcd":
		return vpcd.Listen(c.Listen, answerMax)
	}
	return nil, fmt.Errorf("reader.kind %q is not known", c.Kind)
}

// answerMax is how long a card may take to answer. The slowest command of a
// purse takes a tenth of it.
const answerMax = 3 * time.Second
