package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
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
func Serve(ctx context.Context, addr string, card *Card) error {
	var dialer net.Dialer
	tcp, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("lay card: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { tcp.Close() })
	defer stop()
	defer tcp.Close()
	card.PowerOff()
	defer card.PowerOff()

	err = serve(ctx, vpcd.Conn{Conn: tcp}, card)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, ErrTorn):
		return err
	}
	return fmt.Errorf("%w: %w", reader.ErrGone, err)
}

func serve(ctx context.Context, conn vpcd.Conn, card *Card) error {
	for {
		frame, err := conn.ReadFrame()
		if err != nil {
			return err
		}
		if len(frame) == 1 {
			err = control(conn, card, frame[0])
		} else {
			err = answer(ctx, conn, card, frame)
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

func answer(ctx context.Context, conn vpcd.Conn, card *Card, command []byte) error {
	defer clear(command) // it may hold a PIN
	response, err := card.exchange(ctx, command)
	switch {
	case errors.Is(err, reader.ErrSilent):
		_, err = io.Copy(io.Discard, conn)
		return errors.Join(reader.ErrSilent, err)
	case err != nil:
		return err
	}
	return conn.WriteFrame(response)
}
