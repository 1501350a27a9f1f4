package pcsctest_test

import (
	"os"
	"testing"

	"quancun/reader/pcsctest"
)

func TestService(t *testing.T) {
	pcsctest.Need(t)
	for range 2 { // a second service in the same process finds its place again
		s, err := pcsctest.Start()
		if err != nil {
			t.Fatal(err)
		}
		if other, err := pcsctest.Start(); err == nil {
			other.Stop()
			t.Error("a second service was started at the same time")
		}
		socket := os.Getenv("PCSCLITE_CSOCK_NAME")
		if fi, err := os.Stat(socket); err != nil || fi.Mode()&os.ModeSocket == 0 {
			t.Errorf("no socket: %v", err)
		}
		if err := s.Restart(); err != nil {
			t.Errorf("Restart: %v\n%s", err, s.Log())
		}
		if err := s.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
		if _, err := os.Stat(socket); !os.IsNotExist(err) {
			t.Errorf("the socket is left behind: %v", err)
		}
	}
}
