// Package vpcd is our own end of the protocol by which virtual cards of
// vsmartcard dial into a reader: a TCP socket on the loopback interface that is
// a [reader.Device]. Cards cannot tell it from vpcd behind pcscd, so the whole
// terminal runs on a machine without a PC/SC service.
//
// Section numbers refer to the project's notes on the card, chapter 9.
package vpcd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// Control codes: frames of one byte, of which only [ControlATR] is answered.
const (
	ControlOff   byte = 0x00
	ControlOn    byte = 0x01
	ControlReset byte = 0x02
	ControlATR   byte = 0x04
)

// Conn is a connection that carries frames, each a length in two bytes and that
// many bytes.
type Conn struct{ net.Conn }

// ReadFrame reads one frame.
func (c Conn) ReadFrame() ([]byte, error) {
	// vpcd writes length and payload apart, and TCP would delay the
	// acknowledgement of the first by 40 ms. The kernel forgets the wish.
	quickAck(c.Conn)
	var length [2]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return nil, err
	}
	quickAck(c.Conn)
	frame := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(c, frame); err != nil {
		return nil, fmt.Errorf("frame of %d bytes: %w", len(frame), err)
	}
	return frame, nil
}

var errFrame = errors.New("a frame has 1 to 65535 bytes")

// WriteFrame writes one frame, and wipes its own copy of it. It refuses to
// write an empty one: pcscd waits for the rest of it for good.
func (c Conn) WriteFrame(frame []byte) error {
	if len(frame) == 0 || len(frame) > 0xFFFF {
		return errFrame
	}
	b := make([]byte, 2, 2+len(frame))
	binary.BigEndian.PutUint16(b, uint16(len(frame)))
	b = append(b, frame...)
	defer clear(b) // it may hold a PIN
	_, err := c.Write(b)
	return err
}
