package vpcd_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"quancun/reader"
	"quancun/reader/readertest"
	"quancun/reader/vpcd"
)

func listen(t *testing.T) *vpcd.Device {
	t.Helper()
	d, err := vpcd.Listen("127.0.0.1:0", 200*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestDevice(t *testing.T) {
	readertest.Run(t, func(t *testing.T) readertest.Bench {
		d := listen(t)
		return readertest.Bench{Device: d, Lay: readertest.Dial(d.Addr()), Timeout: 200 * time.Millisecond}
	})
}

// TestExchangeIsQuick counts a thousand exchanges. With delayed
// acknowledgements they would take over half a minute.
func TestExchangeIsQuick(t *testing.T) {
	d := listen(t)
	readertest.Dial(d.Addr())(t, readertest.NewCard(t))
	if _, err := d.Wait(t.Context(), reader.State{Connected: true}); err != nil {
		t.Fatal(err)
	}
	card, err := d.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer card.Close()
	start := time.Now()
	for range 1000 {
		if _, err := card.Transmit([]byte{0xFF, 0xCA, 0, 0, 0}); err != nil {
			t.Fatal(err)
		}
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("1000 exchanges took %v", d)
	}
}

func TestListenRefuses(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "nonsense"} {
		if d, err := vpcd.Listen(addr, 0); err == nil {
			d.Close()
			t.Errorf("Listen(%q) listens", addr)
		}
	}
}

// TestNeverACommandOfOneByte: it would be a control code.
func TestNeverACommandOfOneByte(t *testing.T) {
	d := listen(t)
	readertest.Dial(d.Addr())(t, readertest.NewCard(t))
	if _, err := d.Wait(t.Context(), reader.State{Connected: true}); err != nil {
		t.Fatal(err)
	}
	card, err := d.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer card.Close()
	for _, command := range [][]byte{nil, {0}, {0, 0xA4, 0}} {
		if _, err := card.Transmit(command); err == nil {
			t.Errorf("%X was sent", command)
		}
	}
	if _, err := card.Transmit([]byte{0xFF, 0xCA, 0, 0, 0}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestUnruly has clients that keep to no protocol. None may be a card for
// longer than a moment, and the device stays in service.
func TestUnruly(t *testing.T) {
	for name, say := range map[string]string{
		"Nothing":       "",
		"HalfAnATR":     "\x00\x05\x3B\x80",
		"Babble":        "\x00\x02\x3B\x80" + "\x00\x02\x90\x00",
		"EndlessLength": "\xFF\xFF",
	} {
		t.Run(name, func(t *testing.T) {
			d := listen(t)
			conn, err := net.Dial("tcp", d.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, say); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, conn); err != nil && !errors.As(err, new(*net.OpError)) { // until it hangs up
				t.Error(err)
			}
			readertest.Dial(d.Addr())(t, readertest.NewCard(t))
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			for last := (reader.State{}); !last.Card; {
				if last, err = d.Wait(ctx, last); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestConn(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	go func() { _ = vpcd.Conn{Conn: a}.WriteFrame([]byte{1, 2, 3}) }()
	if got, err := (vpcd.Conn{Conn: b}).ReadFrame(); err != nil || string(got) != "\x01\x02\x03" {
		t.Errorf("ReadFrame = %X, %v", got, err)
	}
	for _, frame := range [][]byte{nil, make([]byte, 0x10000)} {
		if err := (vpcd.Conn{Conn: a}).WriteFrame(frame); err == nil {
			t.Errorf("a frame of %d bytes was written", len(frame))
		}
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte{0, 1, 4})
	f.Fuzz(func(t *testing.T, stream []byte) {
		a, b := net.Pipe()
		go func() {
			_, _ = a.Write(stream)
			a.Close()
		}()
		defer b.Close()
		frame, err := vpcd.Conn{Conn: b}.ReadFrame()
		if err == nil && (len(stream) < 2 || len(frame) != int(stream[0])<<8|int(stream[1])) {
			t.Errorf("%X was read as %X", stream, frame)
		}
	})
}
