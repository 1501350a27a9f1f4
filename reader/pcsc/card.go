package pcsc

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ebfe/scard"

	"quancun/reader"
)

// sharingPatience is how long Connect tries again while another program holds
// the reader. Desktop services look at every new card for a moment.
const (
	sharingPatience = time.Second
	sharingPause    = 50 * time.Millisecond
)

// Connect implements [reader.Device]. Every connection has a service context of
// its own, so that it works while Wait waits, and so that a context with a card
// that fell silent is never used again.
func (d *Device) Connect() (reader.Card, error) {
	if d.isClosed() {
		return nil, reader.ErrClosed
	}
	name := d.reader()
	if name == "" {
		return nil, reader.ErrNoCard
	}
	c := &card{timeout: d.options.Timeout, died: d.suspect, worked: d.believe, used: d.soil}
	reset := d.takeUnclean()
	err := within(sharingPatience+c.timeout, func() error { return c.open(name, reset) }, c.leave)
	if err == nil {
		return c, nil
	}
	if isAny(err, scard.ErrUnknownReader, scard.ErrReaderUnavailable, scard.ErrNoReadersAvailable) {
		d.forget(name)
	}
	err = fmt.Errorf("connect: %w", explain(err))
	for _, passing := range []error{reader.ErrNoCard, reader.ErrGone, reader.ErrBusy, reader.ErrSilent} {
		if errors.Is(err, passing) {
			d.suspect()
		}
	}
	return nil, err // otherwise a card that cannot be powered up, which will not change
}

// card is a card that is connected.
type card struct {
	timeout time.Duration
	died    func() // tells the device that dead has been set
	worked  func() // tells the device that the card itself has answered
	used    func() // tells the device that the card may hold a verified PIN
	atr     []byte

	service *scard.Context
	handle  *scard.Card

	dead   error // after it the card is of no use
	left   bool  // a call that has not returned will release the card
	closed bool
}

// open runs to its end, however long that takes. With reset, the card starts
// afresh even if nobody powered it down.
func (c *card) open(name string, reset bool) (err error) {
	if c.service, err = scard.EstablishContext(); err != nil {
		return err
	}
	deadline := time.Now().Add(sharingPatience)
	for {
		c.handle, err = c.service.Connect(name, scard.ShareExclusive, scard.ProtocolAny)
		if !isAny(err, scard.ErrSharingViolation) || time.Now().After(deadline) {
			break
		}
		time.Sleep(sharingPause)
	}
	if err == nil && reset {
		err = c.handle.Reconnect(scard.ShareExclusive, scard.ProtocolAny, scard.ResetCard)
	}
	if err != nil {
		c.leave()
		return err
	}
	status, err := c.handle.Status()
	if err != nil {
		c.leave()
		return err
	}
	c.atr = slices.Clone(status.Atr)
	return nil
}

// leave gives everything back, and leaves the card as it is. There is nobody to
// whom its failures matter.
//
// It does not reset the card, although a PIN may be verified on it. Resetting a
// card that has just left confuses pcscd: it takes the reader for empty at once,
// its poll half a second later knows nothing of that, and a card laid down in
// between is never seen. A card that nobody uses is powered down by that poll,
// and the next Connect resets it if it comes first.
func (c *card) leave() {
	if c.handle != nil {
		_ = c.handle.Disconnect(scard.LeaveCard)
		c.handle = nil
	}
	if c.service != nil {
		_ = c.service.Release()
		c.service = nil
	}
}

// ATR implements [reader.Card].
func (c *card) ATR() []byte { return c.atr }

var (
	errShort = errors.New("pc/sc: a command has 4 bytes at least") // vpcd hangs on none (chapter 9)
	errDone  = errors.New("pc/sc: card was closed")
)

// Transmit implements [reader.Card].
func (c *card) Transmit(command []byte) ([]byte, error) {
	switch {
	case len(command) < 4:
		return nil, errShort
	case c.closed:
		return nil, errDone
	case c.dead != nil:
		return nil, c.dead
	}
	var response []byte
	wire := slices.Clone(command) // a call that is left behind outlives the caller's buffer
	err := within(c.timeout, func() (err error) {
		defer clear(wire)
		response, err = c.handle.Transmit(wire)
		return err
	}, c.leave)
	if err != nil {
		c.die(explain(err))
		c.left = errors.Is(err, reader.ErrSilent)
		return nil, c.dead // response may still be written to
	}
	switch {
	case len(response) < 2:
		c.die(reader.ErrGone) // what a tear looks like on vpcd (chapter 9)
	case command[0] != 0xFF: // which would be for the reader
		c.worked()
	}
	return response, nil
}

func (c *card) die(err error) {
	c.dead = err
	c.died()
}

// Close implements [reader.Card].
func (c *card) Close() error {
	if c.closed || c.left {
		c.closed = true
		return nil
	}
	c.closed = true
	c.used()
	err := within(c.timeout, func() error { c.leave(); return nil }, func() {})
	if err != nil {
		return fmt.Errorf("disconnect: %w", err)
	}
	return nil
}

// within runs call and returns its error, or, if it takes longer than limit,
// [reader.ErrSilent]. A call that has been given up runs on by itself, and
// then late after it.
func within(limit time.Duration, call func() error, late func()) error {
	done := make(chan error, 1)
	go func() { done <- call() }()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
	}
	go func() {
		<-done
		late()
	}()
	return fmt.Errorf("%w after %v", reader.ErrSilent, limit)
}

// explain puts the words of package reader to an error of PC/SC, which stays in
// it.
func explain(err error) error {
	switch {
	case isAny(err, scard.ErrNoSmartcard, scard.ErrUnknownReader, scard.ErrReaderUnavailable,
		scard.ErrNoReadersAvailable):
		return fmt.Errorf("%w: %w", reader.ErrNoCard, err)
	case isAny(err, scard.ErrRemovedCard, scard.ErrResetCard, scard.ErrNotTransacted, scard.ErrUnpoweredCard):
		return fmt.Errorf("%w: %w", reader.ErrGone, err)
	case isAny(err, scard.ErrSharingViolation):
		return fmt.Errorf("%w: %w", reader.ErrBusy, err)
	}
	return err
}
