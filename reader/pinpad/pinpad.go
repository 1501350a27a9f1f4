// Package pinpad reads the small keypad on the customer's side of a till, on which a
// holder types a PIN: any keypad that the kernel knows as an input device. It is read
// past the screen's server and kept from it, so that no page, focus or scanner's wedge
// ever gets a digit of it.
//
// It keeps no digit, and refuses to know what is typed: whoever takes the keys knows
// whether a PIN is asked for, and forgets the rest. Keys are in no log.
package pinpad

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"quancun/reader/evdev"
)

// Kind is what has happened at the pad.
type Kind int

// The kinds.
const (
	There  Kind = 1 // it is plugged in, and nobody else's
	Away   Kind = 2 // it is not there any more
	Digit  Kind = 3
	Enter  Kind = 4
	Back   Kind = 5 // takes the last digit back
	Cancel Kind = 6
)

// Event is something that has happened at the pad.
type Event struct {
	Kind  Kind
	Digit byte // '0' to '9'
}

// Format keeps digits out of every log and message.
func (e Event) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "pad event %d", int(e.Kind)) }

// key is a press of a key, as linux/input-event-codes.h numbers them: those of a
// keypad, of a keyboard's row, and of a telephone's pad.
func key(code uint16) (Event, bool) {
	const row, phone = 1, 0x200 // KEY_1 is 2, KEY_NUMERIC_0 is 0x200
	switch code {
	case 2, 3, 4, 5, 6, 7, 8, 9, 10:
		return digit(code - row), true
	case 11, 82: // KEY_0, KEY_KP0
		return digit(0), true
	case 79, 80, 81: // KEY_KP1
		return digit(code - 79 + 1), true
	case 75, 76, 77: // KEY_KP4
		return digit(code - 75 + 4), true
	case 71, 72, 73: // KEY_KP7
		return digit(code - 71 + 7), true
	case 28, 96, 0x20B: // KEY_ENTER, KEY_KPENTER, KEY_NUMERIC_POUND
		return Event{Kind: Enter}, true
	case 14, 83, 111: // KEY_BACKSPACE; KEY_KPDOT, which is Del, and KEY_DELETE, where there is none
		return Event{Kind: Back}, true
	case 1, 12, 74, 223, 0x20A: // KEY_ESC, KEY_MINUS, KEY_KPMINUS, KEY_CANCEL, KEY_NUMERIC_STAR
		return Event{Kind: Cancel}, true
	}
	if code >= phone && code <= phone+9 {
		return digit(code - phone), true
	}
	return Event{}, false
}

func digit(n uint16) Event { return Event{Digit, '0' + byte(n)} }

// Pad is the keypad.
type Pad struct {
	Device string // its path, such as one below /dev/input/by-id, or part of its name
	Log    *slog.Logger
}

// lookAgain is how often a pad is looked for that is not there.
const lookAgain = time.Second

// errDropped means that keys are missing, so that what was typed is not what the
// holder has pressed.
var errDropped = errors.New("keys were lost")

// Run sends what happens at the pad to events until ctx ends, and returns ctx's
// error. A pad that is unplugged is waited for. Whoever takes the events is not to
// keep it waiting.
func (p Pad) Run(ctx context.Context, events chan<- Event) error {
	for told := ""; ; {
		err := p.follow(ctx, events)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if text := err.Error(); text != told { // not every second
			p.Log.Warn("PIN pad is away", "device", p.Device, "err", err)
			told = text
		}
		if err := send(ctx, events, Event{Kind: Away}); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookAgain):
		}
	}
}

// follow hands keys on until the pad is gone.
func (p Pad) follow(ctx context.Context, events chan<- Event) error {
	d, err := open(p.Device)
	if err != nil {
		return err
	}
	defer d.Close()
	defer context.AfterFunc(ctx, func() { d.Close() })()
	p.Log.Info("PIN pad is there", "device", p.Device)
	if err := send(ctx, events, Event{Kind: There}); err != nil {
		return err
	}
	for {
		e, err := d.Next()
		switch {
		case err != nil:
			return err
		case e.Kind == evdev.Syn && e.Code == evdev.Dropped:
			return errDropped
		case e.Kind != evdev.Key || e.Value != 1: // let go, or held: that is no second digit
			continue
		}
		if out, ok := key(e.Code); ok {
			if err := send(ctx, events, out); err != nil {
				return err
			}
		}
	}
}

// open opens the pad, and only if nobody else gets its keys.
func open(name string) (*evdev.Device, error) {
	d, err := evdev.Open(name)
	if err != nil {
		return nil, err
	}
	if err := d.Grab(); err != nil {
		return nil, errors.Join(fmt.Errorf("grab: %w", err), d.Close())
	}
	return d, nil
}

func send(ctx context.Context, events chan<- Event, e Event) error {
	select {
	case events <- e:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Try opens the pad and lets it go again. The error is EBUSY while a terminal that
// runs has it.
func Try(name string) error {
	d, err := open(name)
	if err != nil {
		return err
	}
	return d.Close()
}
