// Package apdu is the language of smart cards: commands, responses and the
// status words in which a card agrees or refuses.
//
// It knows no command of any application, only how one is written, sent and
// answered. [Transmit] is the one place where 61xx and 6Cxx are dealt with, and
// the one place that decides what counts as an answer.
//
// Section numbers refer to ISO/IEC 7816-4; "notes" are the project's notes on
// the card.
package apdu

import (
	"errors"
	"fmt"
)

// Card exchanges one APDU with a card.
//
// Transmit takes no context: neither PC/SC nor the card can be interrupted
// half way through a command. Any error means that no whole response came
// back, not that the command had no effect. The caller keeps ownership of
// command, and wipes it once Transmit has returned.
type Card interface {
	Transmit(command []byte) (response []byte, err error)
}

// ErrNoAnswer means that the exchange succeeded and yet brought back less than
// a status word. pcscd reports a card that left in mid-command this way (notes,
// section 9), so it is silence and no refusal.
var ErrNoAnswer = errors.New("card gave no answer")

// Command is a command APDU (5.1).
type Command struct {
	CLA, INS, P1, P2 byte

	// Data is the command data field, at most 255 bytes. Lc follows from it.
	Data []byte

	// Le is the number of response bytes expected, from 1 to 256, or 0 to
	// send no Le field at all.
	Le int
}

// Bytes returns c as it goes over the wire.
//
// A command too long to encode is a mistake in this program and not in its
// input, so Bytes panics rather than truncate.
func (c Command) Bytes() []byte {
	if len(c.Data) > 255 || c.Le < 0 || c.Le > 256 {
		panic(fmt.Sprintf("apdu: internal error: %d data bytes, Le %d", len(c.Data), c.Le))
	}
	// The capacity is exact, so that append leaves no second copy of a PIN.
	b := make([]byte, 0, 4+1+len(c.Data)+1)
	b = append(b, c.CLA, c.INS, c.P1, c.P2)
	if len(c.Data) > 0 {
		b = append(b, byte(len(c.Data)))
		b = append(b, c.Data...)
	}
	if c.Le > 0 {
		b = append(b, byte(c.Le)) // 256 is written as 00 (5.1, table 1)
	}
	return b
}

// Parse splits a response into its data and status word. It returns
// [ErrNoAnswer] if there is no whole status word.
func Parse(response []byte) (data []byte, s Status, err error) {
	n := len(response) - 2
	if n < 0 {
		return nil, 0, ErrNoAnswer
	}
	return response[:n], Status(response[n])<<8 | Status(response[n+1]), nil
}

// partsMax bounds the GET RESPONSEs after one command. Two are enough for 512
// bytes, more than any command of the purse answers.
const partsMax = 8

// Transmit sends c to card and returns the data of its answer. It collects
// 61xx with GET RESPONSE and repeats 6Cxx with the right Le (5.3.4).
//
// A refusal is an error that is [Answered]: the card said so in a [Status].
// With any other error nobody knows what the card did. That includes a card
// that accepted c with 61xx and then failed to hand over its answer: by then it
// may have done what c asked.
func Transmit(card Card, c Command) ([]byte, error) {
	data, s, err := exchange(card, c)
	if err == nil && s>>8 == 0x6C {
		c.Le = length(s) // the card has not executed c
		data, s, err = exchange(card, c)
	}
	switch {
	case err != nil:
		return nil, err
	case s>>8 == 0x61:
		return collect(card, data, s)
	case s != OK:
		return nil, s
	}
	return data, nil
}

// collect reads the rest of an answer. Its errors are never Answered.
func collect(card Card, data []byte, s Status) ([]byte, error) {
	all := append([]byte(nil), data...)
	for range partsMax {
		part, next, err := exchange(card, Command{INS: 0xC0, Le: length(s)}) // GET RESPONSE, 7.6.1
		if err != nil {
			return nil, fmt.Errorf("get response: %w", err)
		}
		all = append(all, part...)
		if next == OK {
			return all, nil
		}
		if next>>8 != 0x61 {
			return nil, fmt.Errorf("get response: %v", next) // not %w: the command itself was accepted
		}
		s = next
	}
	return nil, errors.New("get response: the answer has no end")
}

func exchange(card Card, c Command) ([]byte, Status, error) {
	wire := c.Bytes()
	defer clear(wire) // it may hold a PIN
	response, err := card.Transmit(wire)
	if err != nil {
		return nil, 0, err
	}
	return Parse(response)
}

// length returns the length in the low byte of 61xx and 6Cxx, where 00 is 256.
func length(s Status) int {
	if n := int(s & 0xFF); n > 0 {
		return n
	}
	return 256
}
