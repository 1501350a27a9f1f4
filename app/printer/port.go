package printer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"time"

	"go.bug.st/serial"
)

// port is the way to a printer.
type port interface {
	io.ReadWriteCloser
	SetDeadline(t time.Time) error
}

// errAddress means that an address is none.
var errAddress = errors.New(
	"printer: an address is usb:/dev/usb/lp0, serial:/dev/ttyS0?baud=19200 or tcp:192.168.1.20:9100")

// dialMax is how long a printer on the network may take to take a call.
const dialMax = 3 * time.Second

// CheckAddress says why an address is none.
func CheckAddress(address string) error {
	_, _, err := parseAddress(address)
	return err
}

func parseAddress(address string) (kind string, u *url.URL, err error) {
	u, err = url.Parse(address)
	if err != nil || u.Opaque == "" && u.Path == "" {
		return "", nil, errAddress
	}
	switch u.Scheme {
	case "usb", "serial":
		if u.Path == "" {
			u.Path = u.Opaque
		}
	case "tcp":
		if _, _, err := net.SplitHostPort(u.Opaque); err != nil {
			return "", nil, errAddress
		}
	default:
		return "", nil, errAddress
	}
	return u.Scheme, u, nil
}

// open opens the way to the printer at an address: the file of a USB printer (the
// kernel's usblp), a serial line, or TCP.
func open(ctx context.Context, address string) (port, error) {
	kind, u, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "usb":
		// Without O_NONBLOCK a read of a printer that says nothing would never end.
		f, err := os.OpenFile(u.Path, os.O_RDWR|syscall.O_NONBLOCK, 0)
		if err != nil {
			return nil, fmt.Errorf("open printer: %w", err)
		}
		return f, nil
	case "serial":
		return openSerial(u)
	}
	d := net.Dialer{Timeout: dialMax}
	conn, err := d.DialContext(ctx, "tcp", u.Opaque)
	if err != nil {
		return nil, fmt.Errorf("open printer: %w", err)
	}
	return conn, nil
}

func openSerial(u *url.URL) (port, error) {
	mode := &serial.Mode{BaudRate: 9600, DataBits: 8, Parity: serial.NoParity, StopBits: serial.OneStopBit}
	if baud := u.Query().Get("baud"); baud != "" {
		n, err := strconv.Atoi(baud)
		if err != nil || n <= 0 {
			return nil, errAddress
		}
		mode.BaudRate = n
	}
	p, err := serial.Open(u.Path, mode)
	if err != nil {
		return nil, fmt.Errorf("open printer: %w", err)
	}
	return &line{Port: p}, nil
}

// line is a serial line with deadlines for what is read from it.
type line struct {
	serial.Port
	deadline time.Time
}

// SetDeadline is for Read alone: what is written to a line goes out at its pace.
func (l *line) SetDeadline(t time.Time) error {
	l.deadline = t
	return nil
}

// Read reads until the deadline.
func (l *line) Read(b []byte) (int, error) {
	left := time.Until(l.deadline)
	if left <= 0 {
		return 0, os.ErrDeadlineExceeded
	}
	if err := l.SetReadTimeout(left); err != nil {
		return 0, err
	}
	n, err := l.Port.Read(b)
	if n == 0 && err == nil {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}
