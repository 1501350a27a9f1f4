package scanner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.bug.st/serial"
)

// silence is how long a scanner on a line may pause within a code.
const silence = 200 * time.Millisecond

// line puts bytes together to codes, each of which ends with CR, LF or both.
type line struct {
	buf  []byte
	last time.Time // when bytes last came
	torn time.Time // when half a code was thrown away; zero for none since
}

// feed takes bytes as they come, and returns what they complete.
func (l *line) feed(b []byte, at time.Time) (scans []Scan) {
	if half, ok := l.idle(at); ok {
		scans = append(scans, half)
	}
	if len(b) > 0 {
		l.last = at
	}
	for {
		i := bytes.IndexAny(b, "\r\n")
		if i < 0 {
			break
		}
		l.buf = append(l.buf, b[:i]...)
		if len(l.buf) > 0 {
			scans = append(scans, l.take(at))
		}
		b = b[i+1:]
	}
	l.buf = append(l.buf, b...)
	if len(l.buf) > 2*codeMax {
		l.buf = l.buf[:2*codeMax] // noise; it is thrown away at its end
	}
	return scans
}

// take returns what was put together, unless it is the other half of what was
// thrown away. A control character in it is noise, so that it is none.
func (l *line) take(at time.Time) Scan {
	text := string(l.buf)
	l.buf = l.buf[:0]
	if !l.torn.IsZero() && at.Sub(l.torn) < restMax {
		l.torn = time.Time{}
		return Scan{Half: true}
	}
	for _, c := range []byte(text) {
		if c < ' ' && c != '\t' || c == 0x7F {
			return Scan{Half: true}
		}
	}
	if len(text) < codeMin || len(text) > codeMax {
		return Scan{Half: true}
	}
	return whole(text)
}

// idle throws half a code away that nothing has followed in time.
func (l *line) idle(at time.Time) (Scan, bool) {
	if len(l.buf) == 0 || at.Sub(l.last) <= silence {
		return Scan{}, false
	}
	l.buf, l.torn = l.buf[:0], l.last
	return Scan{Half: true}, true
}

// Serial is a scanner on a serial line, which a USB cable may pretend to be.
type Serial struct {
	Port string // such as /dev/ttyACM0 or COM3
	Baud int    // 0: 9600
	Log  *slog.Logger
}

// retry is the pause before a line that is not there is opened again.
const retry = 2 * time.Second

// Run sends what is scanned to scans until ctx ends, and returns ctx's error. A
// scanner that is unplugged is waited for.
func (s Serial) Run(ctx context.Context, scans chan<- Scan) error {
	told := ""
	for {
		err := s.read(ctx, scans)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if text := err.Error(); text != told { // not every two seconds
			s.Log.Warn("scanner is away", "port", s.Port, "err", err)
			told = text
		}
		timer := time.NewTimer(retry)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// read reads from the line until something fails, which an error always says.
func (s Serial) read(ctx context.Context, scans chan<- Scan) (err error) {
	mode := &serial.Mode{BaudRate: s.Baud, DataBits: 8, Parity: serial.NoParity, StopBits: serial.OneStopBit}
	if mode.BaudRate == 0 {
		mode.BaudRate = 9600
	}
	port, err := serial.Open(s.Port, mode)
	if err != nil {
		return fmt.Errorf("open scanner: %w", err)
	}
	defer func() { err = errors.Join(err, port.Close()) }()
	if err := port.SetReadTimeout(silence / 2); err != nil {
		return fmt.Errorf("open scanner: %w", err)
	}
	if err := port.ResetInputBuffer(); err != nil { // what was scanned while nobody listened is nobody's
		return fmt.Errorf("open scanner: %w", err)
	}
	s.Log.Info("scanner is there", "port", s.Port)
	var l line
	for b := make([]byte, 512); ; {
		n, err := port.Read(b) // 0 bytes when the time is over; an error when it is unplugged
		if err != nil {
			return fmt.Errorf("read scanner: %w", err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for _, scan := range l.feed(b[:n], time.Now()) {
			select {
			case scans <- scan:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}
