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

// ask asks the four questions. What is not answered says nothing, and a printer
// that answers none of them is away.
func ask(port port) (s Status) {
	printer, ok := question(port, askPrinter)
	if !ok {
		return s
	}
	s.Answers, s.Online = true, printer&printerOffline == 0
	if b, ok := question(port, askOffline); ok {
		s.Cover = b&coverOpen != 0
		if b&paperStops != 0 {
			s.Paper = PaperOut
		}
	}
	if b, ok := question(port, askError); ok {
		s.Fault = b&(cutterError|fatalError) != 0
	}
	if b, ok := question(port, askPaper); ok && s.Paper != PaperOut {
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

// question asks one of them. What else the printer has to say is passed over.
func question(port port, q []byte) (answer byte, ok bool) {
	if err := port.SetDeadline(time.Now().Add(answerMax)); err != nil {
		return 0, false
	}
	if _, err := port.Write(q); err != nil {
		return 0, false
	}
	for range 16 {
		b, err := readByte(port, answerMax)
		if err != nil {
			return 0, false
		}
		if isAnswer(b) {
			return b, true
		}
	}
	return 0, false
}
