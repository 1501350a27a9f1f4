// Package printer prints receipts on an ESC/POS printer, and says what the
// printer really does: a receipt is printed when the printer has said so, and
// until then it is kept.
//
// Chapters are those of Epson's ESC/POS command reference, which every printer of
// this kind follows as far as this package goes. Nothing here knows what a
// receipt is about: a [Slip] is rows of text and a code.
//
// A printer answers two kinds of question. Real-time ones (DLE EOT) it answers at
// once, whatever it is doing, even when the paper is out. The others stand in line
// behind what is to be printed, so that an answer to GS r proves that all before
// it is on paper.
package printer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// What keeps a receipt from being printed.
var (
	ErrPaper   = errors.New("printer: paper is out")
	ErrCover   = errors.New("printer: cover is open")
	ErrOffline = errors.New("printer: is not ready")
	ErrAway    = errors.New("printer: does not answer")
	// ErrUnsure means that the printer fell silent in the middle: the receipt may
	// be on paper, whole or in part.
	ErrUnsure = errors.New("printer: nobody knows whether it was printed")
)

// Paper says how much there is.
type Paper int

// The states of the paper.
const (
	PaperUnknown Paper = 0
	PaperOK      Paper = 1
	PaperLow     Paper = 2 // near its end
	PaperOut     Paper = 3
)

// Status is what the printer says of itself.
type Status struct {
	Answers bool // it is there
	Online  bool // it would print
	Cover   bool // it is open
	Fault   bool // of the cutter, or one that only a person can end
	Paper   Paper
}

// Ready reports whether a receipt would be printed.
func (s Status) Ready() bool { return s.Err() == nil }

// Err says why no receipt would be printed, or nil.
func (s Status) Err() error {
	switch {
	case !s.Answers:
		return ErrAway
	case s.Cover:
		return ErrCover
	case s.Paper == PaperOut:
		return ErrPaper
	case s.Fault || !s.Online:
		return ErrOffline
	}
	return nil
}

// Width is how wide the paper is, in characters of the printer's font A.
type Width int

// The widths of paper.
const (
	Paper58 Width = 32 // 58 mm: 384 dots
	Paper80 Width = 48 // 80 mm: 576 dots
)

// Patience is how long a printer may take.
const (
	answerMax = time.Second      // for a real-time answer
	printMax  = 15 * time.Second // for a receipt, to its end
)

// Printer is a printer at an address; see [Open]. It is safe for concurrent use,
// and connects anew for each receipt: one that was unplugged is back when it is
// back.
type Printer struct {
	Address string
	Width   Width

	mu sync.Mutex // one receipt at a time
}

// Status asks the printer how it is. A printer that is not there is no error.
func (p *Printer) Status(ctx context.Context) (Status, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	port, err := open(ctx, p.Address)
	if err != nil {
		if errors.Is(err, errAddress) || ctx.Err() != nil {
			return Status{}, err
		}
		return Status{}, nil
	}
	defer port.Close() //nolint:errcheck // nothing was written that could be lost
	return ask(port), nil
}

// Print prints a slip. No error means that the printer has said that all of it is
// on paper. After [ErrUnsure] it may be; after every other error it is not.
func (p *Printer) Print(ctx context.Context, s Slip) (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	port, err := open(ctx, p.Address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	defer func() { _ = port.Close() }()
	if err := ask(port).Err(); err != nil {
		return err // nothing is on paper
	}
	if err := port.SetDeadline(time.Now().Add(printMax)); err != nil {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	// From here on some of it may be on paper.
	if _, err := port.Write(encode(s, p.Width)); err != nil {
		return fmt.Errorf("%w: %w", ErrUnsure, err)
	}
	if _, err := port.Write(transmitPaper); err != nil {
		return fmt.Errorf("%w: %w", ErrUnsure, err)
	}
	return p.confirm(port)
}

// Kick unlocks the cash drawer that is plugged into the printer. No error means
// that the printer has taken the command; it cannot say whether a drawer is there.
func (p *Printer) Kick(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	port, err := open(ctx, p.Address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	defer func() { _ = port.Close() }()
	if err := ask(port).Err(); err != nil {
		return err // it would wait, and unlock the drawer when nobody is there
	}
	if err := port.SetDeadline(time.Now().Add(answerMax)); err != nil {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	if _, err := port.Write(pulse); err != nil {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	if _, err := port.Write(transmitPaper); err != nil {
		return fmt.Errorf("%w: %w", ErrUnsure, err)
	}
	return p.confirm(port)
}

// confirm waits until the printer has come to the end of what it was sent, or
// says why it will not.
func (p *Printer) confirm(port port) error {
	for end := time.Now().Add(printMax); time.Now().Before(end); {
		b, err := readByte(port, answerMax)
		switch {
		case err == nil && isPaperAnswer(b):
			return nil
		case err == nil:
			continue // an answer to something else, such as one that came late
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("%w: %w", ErrUnsure, err)
		}
		if s := ask(port); s.Answers && !s.Ready() {
			return fmt.Errorf("%w: %w", ErrUnsure, s.Err()) // it has stopped, and will go on where it was
		}
	}
	return ErrUnsure
}

// readByte reads one byte, within a time.
func readByte(port port, limit time.Duration) (byte, error) {
	if err := port.SetDeadline(time.Now().Add(limit)); err != nil {
		return 0, err
	}
	var b [1]byte
	_, err := io.ReadFull(port, b[:])
	return b[0], err
}
