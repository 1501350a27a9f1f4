// Package reader is where cards are laid down: the state of a card reader, a
// card that is on it, and [Watch], which tells of every change.
//
// The devices are in packages of their own and all keep to [Device]: pcsc is a
// reader on the machine's PC/SC service, vpcd a socket that virtual cards dial
// into, and [quancun/reader/sim.Slot] a reader inside this process.
package reader

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// State is what a reader sees.
type State struct {
	Connected bool // the reader is there
	Card      bool // a card is on it

	// Insertions counts the cards laid down so far, so that two states differ
	// if one card was swapped for another in between. It grows for as long as
	// the device is in use, and is 0 in a State that is not Connected.
	Insertions uint32
}

// Card is a card that is powered up and ours alone, until Close.
type Card interface {
	// Transmit exchanges one APDU. An error, or a response of less than two
	// bytes, means that no answer came back: what the card did is unknown.
	// The command is the caller's, and may be wiped after Transmit returns.
	//
	// Transmit returns within the device's time limit, even if the card never
	// answers. After that, and after any error, the card is of no use: close
	// it, and connect again once the reader has seen it anew.
	Transmit(command []byte) (response []byte, err error)

	// ATR is the answer to reset. The caller must not change it.
	ATR() []byte

	// Close gives the card up. A PIN verified on it is forgotten before this
	// device connects to it again. A second Close does nothing.
	Close() error
}

// Device is one reader.
type Device interface {
	// Wait blocks until the state differs from last, and returns the new one.
	// It returns early, with ctx's error, if ctx ends. Any other error means
	// that the reader, or the service behind it, failed for now.
	Wait(ctx context.Context, last State) (State, error)

	// Connect powers up the card on the reader, for the caller alone. The
	// error is [ErrNoCard] if there is none and [ErrBusy] if somebody else, or
	// a card that never answered, still holds the reader. The caller closes
	// the card.
	Connect() (Card, error)

	// Close gives the reader up. Wait and Connect fail with [ErrClosed] then.
	Close() error
}

// What a device may answer.
var (
	ErrNoCard = errors.New("no card on the reader")
	ErrBusy   = errors.New("reader is in use")
	ErrClosed = errors.New("reader was closed")

	// ErrSilent is in the error of a Transmit that reached its time limit.
	ErrSilent = errors.New("card did not answer in time")

	// ErrGone is in the error of a Transmit whose card has left the reader.
	ErrGone = errors.New("card has left the reader")
)

// retryMax is the longest pause after a reader failed. An attendant who has
// plugged a cable back in should not wait longer than this.
const retryMax = 5 * time.Second

// Watch sends every change of d's state to changes until ctx ends, and then
// closes changes. It owns the channel and starts no other goroutine, so when
// it has returned, nothing of it is left behind.
//
// A failing reader is not the end: Watch reports it as not connected and asks
// again, a little later each time.
func Watch(ctx context.Context, d Device, changes chan<- State, log *slog.Logger) error {
	defer close(changes)
	var last State
	var pause time.Duration
	for {
		now, err := d.Wait(ctx, last)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			pause = min(max(2*pause, 100*time.Millisecond), retryMax)
			log.Warn("reader failed", "err", err, "retry_in", pause)
			now = State{}
		default:
			pause = 0
		}
		if now != last {
			select {
			case changes <- now:
				last = now
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
