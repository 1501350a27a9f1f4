package sim

import (
	"context"
	"errors"
	"fmt"
	"net"

	"quancun/reader"
	"quancun/reader/vpcd"
)

// Serve dials a reader that speaks vpcd's protocol at addr (the notes' chapter
// 9) and lays card on it, until ctx ends and the card is taken away. Then it
// returns ctx's error. A reader that serves another card lets it wait.
//
// A card that tears itself ends Serve with [ErrTorn], and a reader that hangs up
// with [reader.ErrGone]: lay the card down again with another Serve. A silent
// card stays, and says nothing, until either end is tired of it.
//
// A card lies in one place at a time: Serve first waits until an earlier one has
// let the card go, or else that one would take the power from under this one.
func Serve(ctx context.Context, addr string, card *Card) error {
	select {
	case card.served <- struct{}{}:
		defer func() { <-card.served }()
	case <-ctx.Done():
		return ctx.Err()
	}
	var dialer net.Dialer
	tcp, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("lay card: %w", err)
	}
	card.PowerOff()
	defer card.PowerOff()

	field, leave := context.WithCancelCause(ctx)
	frames, done := make(chan []byte), make(chan struct{})
	conn := vpcd.Conn{Conn: tcp}
	go func() {
		defer close(done)
		leave(listen(field, conn, frames))
	}()
	stop := context.AfterFunc(ctx, func() { tcp.Close() })
	err = serve(field, conn, card, frames)
	stop()
	leave(err)
	tcp.Close()
	<-done
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, ErrTorn):
		return err
	}
	return fmt.Errorf("%w: %w", reader.ErrGone, err)
}

// listen passes on what the reader says until it hangs up, and returns why.
// Listening goes on while the card computes: that is how it notices that it has
// been taken away.
func listen(field context.Context, conn vpcd.Conn, frames chan<- []byte) error {
	for {
		frame, err := conn.ReadFrame()
		if err != nil {
			return err
		}
		select {
		case frames <- frame:
		case <-field.Done():
			return field.Err()
		}
	}
}

// serve answers until the card has left the field.
func serve(field context.Context, conn vpcd.Conn, card *Card, frames <-chan []byte) error {
	silent := false
	for {
		var err error
		select {
		case frame := <-frames:
			switch {
			case silent: // not another word
			case len(frame) == 1:
				err = control(conn, card, frame[0])
			default:
				silent, err = answer(field, conn, card, frame)
			}
		case <-field.Done():
			err = context.Cause(field)
		}
		if err != nil {
			return err
		}
	}
}

func control(conn vpcd.Conn, card *Card, code byte) error {
	switch code {
	case vpcd.ControlOff:
		card.PowerOff()
	case vpcd.ControlOn, vpcd.ControlReset:
		card.PowerOn()
	case vpcd.ControlATR:
		return conn.WriteFrame(card.ATR())
	}
	return nil
}

// answer answers one command, unless the card falls silent over it.
func answer(field context.Context, conn vpcd.Conn, card *Card, command []byte) (silent bool, err error) {
	defer clear(command) // it may hold a PIN
	response, err := card.exchange(field, command)
	switch {
	case errors.Is(err, reader.ErrSilent):
		return true, nil
	case field.Err() != nil:
		return false, context.Cause(field) // hung up on, and not torn by itself
	case err != nil:
		return false, err
	}
	return false, conn.WriteFrame(response)
}
