package vpcd

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"quancun/reader"
)

// card is a virtual card in use.
type card struct {
	device *Device
	link   *link
	close  sync.Once
	dead   error // owned by the one who uses the card
}

func (c *card) ATR() []byte { return c.link.atr }

// control sends a control code, which is not answered.
func (c *card) control(code byte) error {
	if err := c.link.conn.SetWriteDeadline(time.Now().Add(c.device.timeout)); err != nil {
		return err
	}
	return c.link.conn.WriteFrame([]byte{code})
}

var errShort = errors.New("vpcd: a command has 4 bytes at least") // one would be a control code

// Transmit implements [reader.Card].
func (c *card) Transmit(command []byte) ([]byte, error) {
	if len(command) < 4 {
		return nil, errShort
	}
	if c.dead != nil {
		return nil, c.dead
	}
	response, err := c.exchange(command)
	if err != nil {
		// Whatever the card still says would answer the wrong command.
		c.link.conn.Close()
		c.dead = err
	}
	return response, err
}

func (c *card) exchange(command []byte) ([]byte, error) {
	l := c.link
	if err := l.conn.SetWriteDeadline(time.Now().Add(c.device.timeout)); err != nil {
		return nil, fmt.Errorf("%w: %w", reader.ErrGone, err)
	}
	l.asked.Store(true)
	if err := l.conn.WriteFrame(command); err != nil {
		return nil, fmt.Errorf("%w: %w", reader.ErrGone, err)
	}
	timer := time.NewTimer(c.device.timeout)
	defer timer.Stop()
	select {
	case response := <-l.answer:
		return response, nil
	case <-l.gone:
	case <-timer.C:
		return nil, fmt.Errorf("%w after %v", reader.ErrSilent, c.device.timeout)
	}
	select {
	case response := <-l.answer: // it answered, and then left
		return response, nil
	default:
		return nil, reader.ErrGone
	}
}

// Close implements [reader.Card].
func (c *card) Close() error {
	c.close.Do(func() {
		_ = c.control(ControlOff) // a card that has left is off already
		c.device.presence.Release()
	})
	return nil
}
