package app

import "quancun/kiosk"

// Start puts a terminal together and takes it apart. It returns why the journal cannot
// be used.
func Start(c *Config) (fault kiosk.Code, err error) {
	t, err := newTerminal(c)
	if err != nil {
		return 0, err
	}
	return t.fault, t.close()
}
