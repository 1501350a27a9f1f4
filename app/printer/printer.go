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
	answerMax = 3 * time.Second        // for a real-time answer: as long as for a call
	lookEvery = time.Second            // until one that prints and says nothing is asked why
	printMax  = 15 * time.Second       // for a receipt, to its end
	quiet     = 300 * time.Millisecond // after which no further answer is on its way
)

// Printer is a printer at an address; see [Open]. It is safe for concurrent use,
// and connects anew for each receipt: one that was unplugged is back when it is
// back.
type Printer struct {
	Address string
	Width   Width

	mu sync.Mutex // one receipt at a time
	// inStep is that no answer to an earlier receipt may still come: it would be
	// taken for the next one's. Guarded by mu.
	inStep bool
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
	w := wire{port: port}
	return w.ask(), nil
}

// Print prints a slip. No error means that the printer has said that all of it is
// on paper. After [ErrUnsure] it may be; after every other error it is not.
func (p *Printer) Print(ctx context.Context, s Slip) error {
	return p.send(ctx, encode(s, p.Width))
}

// Kick unlocks the cash drawer that is plugged into the printer. No error means
// that the printer has taken the command; it cannot say whether a drawer is there.
// It is not sent to a printer that would keep it for when nobody is there.
func (p *Printer) Kick(ctx context.Context) error { return p.send(ctx, pulse) }

// send has the printer do what b says, and waits until it is done.
func (p *Printer) send(ctx context.Context, b []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	port, err := open(ctx, p.Address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	defer func() { _ = port.Close() }()
	w := wire{port: port}
	if err := w.ask().Err(); err != nil {
		return err
	}
	if err := p.catchUp(&w); err != nil {
		return err
	}
	if err := w.SetDeadline(time.Now().Add(printMax)); err != nil {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	p.inStep = false // from here on some of it may be done
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("%w: %w", ErrUnsure, err)
	}
	if err := w.reachEnd(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnsure, err)
	}
	p.inStep = true
	return nil
}

// catchUp waits until nothing of an earlier receipt stands in line. A printer that
// stopped in the middle of one goes on with it when it has paper again, and says
// then that it is at its end, to whoever is there. How many such answers are owed
// nobody knows (it may have been switched off, which loses them): so the line is
// empty once the printer has answered a question with nothing before it, and then
// says no more.
func (p *Printer) catchUp(w *wire) error {
	if p.inStep {
		return nil
	}
	if err := w.reachEnd(); err != nil {
		return err
	}
	for {
		switch _, err := readByte(w, quiet); {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			return w.ask().Err() // it may have stopped again meanwhile
		default:
			return fmt.Errorf("%w: %w", ErrAway, err)
		}
	}
}

// reachEnd waits until the printer has come to the end of what it was sent, or
// says why it will not.
func (w *wire) reachEnd() error {
	if err := w.SetDeadline(time.Now().Add(answerMax)); err != nil {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	if _, err := w.Write(transmitPaper); err != nil {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	w.ends = 0
	for end := time.Now().Add(printMax); w.ends == 0; {
		if time.Now().After(end) {
			return ErrAway
		}
		err := w.hear(lookEvery)
		if err == nil {
			continue // the answer, or one to something else that came late
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("%w: %w", ErrAway, err)
		}
		if s := w.ask(); s.Answers && !s.Ready() && w.ends == 0 {
			return s.Err() // it has stopped, and will go on where it was
		}
	}
	return nil
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
