package vpcd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"quancun/reader"
)

// DefaultTimeout is how long a card may take to answer. The slowest command of a
// purse takes a few hundred milliseconds.
const DefaultTimeout = 3 * time.Second

// greetTimeout is how long a card that has dialled in may take to tell its ATR.
const greetTimeout = time.Second

// Device is a reader into which virtual cards dial, one at a time. Make one with
// [Listen].
type Device struct {
	listener net.Listener
	timeout  time.Duration
	done     chan struct{} // closed when attend has returned

	presence reader.Presence

	mu   sync.Mutex // guards link, and that presence says the same
	link *link      // to the card on the reader, or nil
}

// link is the connection of one card.
type link struct {
	conn   Conn
	atr    []byte
	asked  atomic.Bool   // a command waits for its answer
	answer chan []byte   // to it
	gone   chan struct{} // closed when the card has left
}

// Listen makes a reader that listens on addr, such as "127.0.0.1:35963", the
// port of vpcd's first slot. The protocol authenticates nobody, so it refuses
// to listen anywhere but on the loopback interface.
func Listen(addr string, timeout time.Duration) (*Device, error) {
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("vpcd: %w", err)
	}
	if !tcp.IP.IsLoopback() {
		return nil, fmt.Errorf("vpcd: %s is not on the loopback interface", addr)
	}
	l, err := net.ListenTCP("tcp", tcp)
	if err != nil {
		return nil, fmt.Errorf("vpcd: %w", err)
	}
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	d := &Device{listener: l, timeout: timeout, done: make(chan struct{})}
	d.presence.Plug(true)
	go d.attend()
	return d, nil
}

// Addr is where cards dial in.
func (d *Device) Addr() string { return d.listener.Addr().String() }

// attend serves one card after the other until the listener is closed. Others
// wait in the listener's queue, as they do at vpcd.
func (d *Device) attend() {
	defer close(d.done)
	for {
		conn, err := d.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(100 * time.Millisecond) // out of file descriptors: they come back
			continue
		}
		d.serve(Conn{conn})
	}
}

// serve is the life of one card on the reader.
func (d *Device) serve(conn Conn) {
	defer conn.Close()
	l := &link{conn: conn, answer: make(chan []byte, 1), gone: make(chan struct{})}
	if !d.greet(l) {
		return
	}
	defer d.leave(l)
	for {
		frame, err := conn.ReadFrame()
		if err != nil || !l.asked.CompareAndSwap(true, false) {
			return // gone, or it speaks without being asked
		}
		l.answer <- frame // never blocks: one question, one answer
	}
}

// greet asks the card for its ATR and puts it on the reader.
func (d *Device) greet(l *link) bool {
	if err := l.conn.SetDeadline(time.Now().Add(greetTimeout)); err != nil {
		return false
	}
	if err := l.conn.WriteFrame([]byte{ControlATR}); err != nil {
		return false
	}
	var err error
	if l.atr, err = l.conn.ReadFrame(); err != nil {
		return false
	}
	if err := l.conn.SetDeadline(time.Time{}); err != nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.presence.Lay() {
		return false
	}
	d.link = l
	return true
}

func (d *Device) leave(l *link) {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(l.gone)
	d.link = nil
	d.presence.Take()
}

// Wait implements [reader.Device].
func (d *Device) Wait(ctx context.Context, last reader.State) (reader.State, error) {
	return d.presence.Wait(ctx, last)
}

// Connect implements [reader.Device].
func (d *Device) Connect() (reader.Card, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.presence.Claim(); err != nil {
		return nil, err
	}
	c := &card{device: d, link: d.link}
	if err := c.control(ControlOn); err != nil {
		d.presence.Release()
		return nil, fmt.Errorf("%w: %w", reader.ErrNoCard, err)
	}
	return c, nil
}

// Close implements [reader.Device]. It waits until the socket is free again.
func (d *Device) Close() error {
	if !d.shut() {
		return nil
	}
	err := d.listener.Close()
	<-d.done
	return err
}

// shut sends the card on the reader away, and lets no other in. It reports
// whether it was the first to do so.
func (d *Device) shut() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.link != nil {
		d.link.conn.Close()
	}
	return d.presence.Close()
}
