package cards

import (
	"context"
	"errors"
	"net"
	"time"

	"quancun/reader/sim"
	"quancun/reader/vpcd"
)

// relay stands between a card and the reader, where it can hold commands back.
// To each side it is what the other side would be.
type relay struct {
	server   *Server
	reader   vpcd.Conn
	listener net.Listener // where the card dials in
}

// dialMax is how long a reader may take to accept: it is on this machine.
const dialMax = 2 * time.Second

// join connects to the reader at addr, as a card does.
func (s *Server) join(ctx context.Context, addr string) (*relay, error) {
	d := net.Dialer{Timeout: dialMax}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &relay{server: s, reader: vpcd.Conn{Conn: conn}, listener: l}, nil
}

// serve lays card onto the reader until ctx ends, the card is torn, or the
// reader hangs up. It returns sim.Serve's error.
func (r *relay) serve(ctx context.Context, card *sim.Card) error {
	stop := context.AfterFunc(ctx, r.close)
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.run(ctx)
	}()
	err := sim.Serve(ctx, r.listener.Addr().String(), card)
	r.close()
	<-done
	return err
}

func (r *relay) close() {
	_ = r.listener.Close()
	_ = r.reader.Close()
}

// run carries frames both ways until either end hangs up, and then hangs up
// on the other: a tear has to reach the reader as a closed socket.
func (r *relay) run(ctx context.Context) {
	conn, err := r.listener.Accept()
	if err != nil {
		return
	}
	card := vpcd.Conn{Conn: conn}
	back := make(chan struct{})
	go func() {
		defer close(back)
		_ = carry(r.reader, card, nil)
		_ = r.reader.Close()
	}()
	_ = carry(card, r.reader, func(frame []byte) error {
		wait := time.Duration(r.server.wait.Load())
		if len(frame) == 1 || wait == 0 { // control bytes are no commands
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
			return nil
		}
	})
	_ = card.Close()
	<-back
}

// carry copies frames from one side to the other; before is called with each
// of them first, if it is there.
func carry(to, from vpcd.Conn, before func([]byte) error) error {
	for {
		frame, err := from.ReadFrame()
		if err == nil && before != nil {
			err = before(frame)
		}
		if err == nil {
			err = to.WriteFrame(frame)
		}
		clear(frame) // it may hold a PIN
		if err != nil {
			return err
		}
	}
}
