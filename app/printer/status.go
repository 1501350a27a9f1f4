package printer

import "time"

// The real-time questions, DLE EOT n (10 04 n), and GS r 1 (1D 72 01), which
// stands in line.
var (
	askPrinter = []byte{0x10, 0x04, 1}
	askOffline = []byte{0x10, 0x04, 2}
	askError   = []byte{0x10, 0x04, 3}
	askPaper   = []byte{0x10, 0x04, 4}

	transmitPaper = []byte{0x1D, 0x72, 1}
)

// Bits of the answers. In each, bits 1 and 4 are set and bits 0 and 7 are not,
// by which they are told from anything else; the answer to GS r has bits 4 and 7
// clear.
const (
	fixedMask, fixedBits = 0x93, 0x12

	printerOffline = 0x08 // of DLE EOT 1
	coverOpen      = 0x04 // of DLE EOT 2
	paperStops     = 0x20
	cutterError    = 0x08 // of DLE EOT 3
	fatalError     = 0x20
	paperNearEnd   = 0x0C // of DLE EOT 4
	paperEnd       = 0x60
)

// isAnswer reports whether b answers a real-time question.
func isAnswer(b byte) bool { return b&fixedMask == fixedBits }

// isPaperAnswer reports whether b answers GS r.
func isPaperAnswer(b byte) bool { return b&0x90 == 0 }

// wire is a talk with a printer.
type wire struct {
	port
	last byte // that it has said
	ends int  // answers to GS r so far
}

// hear reads what the printer says next within a time, a byte.
func (w *wire) hear(limit time.Duration) (err error) {
	if w.last, err = readByte(w, limit); err == nil && isPaperAnswer(w.last) {
		w.ends++
	}
	return err
}

// ask asks the four questions. What is not answered says nothing, and a printer
// that answers none of them is away.
func (w *wire) ask() (s Status) {
	printer, ok := w.question(askPrinter)
	if !ok {
		return s
	}
	s.Answers, s.Online = true, printer&printerOffline == 0
	if b, ok := w.question(askOffline); ok {
		s.Cover = b&coverOpen != 0
		if b&paperStops != 0 {
			s.Paper = PaperOut
		}
	}
	if b, ok := w.question(askError); ok {
		s.Fault = b&(cutterError|fatalError) != 0
	}
	if b, ok := w.question(askPaper); ok && s.Paper != PaperOut {
		switch {
		case b&paperEnd != 0:
			s.Paper = PaperOut
		case b&paperNearEnd != 0:
			s.Paper = PaperLow
		default:
			s.Paper = PaperOK
		}
	}
	return s
}

// question asks one of them. What else the printer has to say is counted, or passed
// over.
func (w *wire) question(q []byte) (answer byte, ok bool) {
	if err := w.SetDeadline(time.Now().Add(answerMax)); err != nil {
		return 0, false
	}
	if _, err := w.Write(q); err != nil {
		return 0, false
	}
	for range 16 {
		if err := w.hear(answerMax); err != nil {
			return 0, false
		}
		if isAnswer(w.last) {
			return w.last, true
		}
	}
	return 0, false
}
