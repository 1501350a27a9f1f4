package sim_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"quancun/pboc"
	"quancun/reader"
	"quancun/reader/apdu"
	"quancun/reader/purse"
	"quancun/reader/sim"
)

// talk lets card follow a transcript: what it is told after ">", and what it
// must answer after "<". "off" takes its power for a moment.
func talk(t *testing.T, card purse.Card, transcript string) {
	t.Helper()
	var sent, got string
	for line := range strings.Lines(transcript) {
		line, _, _ = strings.Cut(line, "#")
		line = strings.Join(strings.Fields(line), "")
		switch {
		case line == "":
		case line == "off":
			card.(*sim.Card).PowerOff()
			card.(*sim.Card).PowerOn()
		case line[0] == '>':
			answer, err := card.Transmit(unhex(t, line[1:]))
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			sent, got = line, strings.ToUpper(hex.EncodeToString(answer))
		case got != line[1:]:
			t.Errorf("%s\n< %s, want %s", sent, got, line[1:])
		}
	}
}

const selectADF = `
	> 00A40400 09 A00000000386980701
	< 6F2E8409A00000000386980701A5219F0C1E112233445566778803020000202600010001234520260901203008315566 9000
`

func TestFiles(t *testing.T) {
	s := vectorState(t)
	s.DF = 0x3F01
	talk(t, sim.New(s), `
		> 00B09500 04                                # the MF has no file 15
		< 6A82
		> 00A40400 0E 315041592E5359532E4444463031
		< 6F15840E315041592E5359532E4444463031A503880101 9000
		> 00A40000 02 3F00
		< 6F15840E315041592E5359532E4444463031A503880101 9000
		> 00A40000
		< 6F15840E315041592E5359532E4444463031A503880101 9000
		> 00A40000 02 0015                           # not below the MF
		< 6A82
		> 00A40000 02 3F01
		< 6F2E8409A00000000386980701A5219F0C1E112233445566778803020000202600010001234520260901203008315566 9000
		> 00A40000 02 0015
		< 9000
		> 00B00008 02
		< 0302 9000
		> 00B0951E 01
		< 6B00
		> 00B09510 20
		< 6C0E
		> 00B0951C
		< 5566 9000
		> 00B0951C 00
		< 5566 9000
		> 00B09700 01
		< 6A82
		> 00A40400 05 A000000003
		< 6A82
		> 00A40800 02 3F00
		< 6A86
		> 00B201BC 17                                # another file than the log
		< 6A82
		> 00B201C2 17
		< 6A86
		> 00B200C4 17
		< 6A83
		> 00D69500 01 00                             # a terminal writes no files
		< 6D00
		> 40B09500 01
		< 6E00
		> 00B0
		< 6700
		> 00A40400 09 A000
		< 6700
		> FFCA0000 00
		< 04A1B2C3 9000
		> FFCA0100 00
		< 6A81
	`)
}

func TestLog(t *testing.T) {
	s := vectorState(t)
	s.Log = []sim.Hex{unhex(t, strings.Repeat("AA", 23)), unhex(t, strings.Repeat("BB", 23))}
	talk(t, sim.New(s), selectADF+`
		> 00B201C4 10
		< 6C17
		> 00B202C4 17
		< `+strings.Repeat("BB", 23)+` 9000
		> 00B203C4 17
		< 6A83
		> 00B201C5 00
		< `+strings.Repeat("AA", 23)+strings.Repeat("BB", 23)+` 9000
	`)
}

func TestChallenge(t *testing.T) {
	card := newCard(t)
	card.SetRandom(strings.NewReader(randoms))
	talk(t, card, `
		> 00840000 04
		< 7A3C91E5 9000
		> 00840000 08
		< 0BD2446FC8150EA9 9000
		> 00840000 05
		< 6700
	`)
}

func TestPIN(t *testing.T) {
	card := newCard(t)
	talk(t, card, `
		> 00200000 03 123456                         # the MF has no PIN
		< 6A88
	`+selectADF+`
		> 00200000 07 12345612345612
		< 6700
		> 00200000 03 123456
		< 9000
		> 80500002 0B 01 00000001 010203040506 10
	`)
	talk(t, card, selectADF+`
		> 80500002 0B 01 00000001 010203040506 10    # SELECT has dropped the PIN
		< 6982
		> 00200000 03 123456
		< 9000
		off
	`+selectADF+`
		> 80500002 0B 01 00000001 010203040506 10    # and so has the power
		< 6982
		> 00200000 03 123456
		< 9000
		> 00200000 03 111111
		< 63C2
		> 80500002 0B 01 00000001 010203040506 10    # and so has a wrong one
		< 6982
		> 805E0100 07 111111 FF 222222
		< 63C1
		> 805E0100 07 123456 FF 222222
		< 9000
		> 00200000 03 222222
		< 9000
		> 805E0100 06 222222 333333
		< 6A80
		> 805E0000 07 123456 00000000
		< 9302
		> 805E0000 04 CBD70D22
		< 6700
		> 805E0200 07 123456 00000000
		< 6A86
	`)
}

func TestPurse(t *testing.T) {
	card := newCard(t)
	talk(t, card, `
		> 805C0002 04
		< 6A82
		> 805A0002 02 0001 08
		< 6A82
	`+selectADF+`
		> 805C0001 04                                # it has no deposit
		< 6A82
		> 80500502 0B 01 00000001 010203040506 10    # and no unload
		< 6A86
		> 80500102 0A 01 00000001 0102030405 0F
		< 6700
		> 80500102 0B 02 00000001 010203040506 0F
		< 9403
		> 80500102 0B 01 00001389 010203040506 0F
		< 9401
		> 80540100 0F 00000042 20260915083015 00000000 08
		< 6901
		> 80540300 0F 00000042 20260915083015 00000000 08
		< 6A86
		> 80520000 0B 20260915083015 00000000 04
		< 6901
		> 805A0006 02 0203 08
		< 9406
		> 805A0006 01 02 08
		< 6700
	`)
	// A purchase that was initialized cannot be ended as a load.
	card.SetRandom(strings.NewReader(randoms))
	talk(t, card, selectADF+`
		> 80500102 0B 01 000004E2 010203040506 0F
		< 00001388 0203 000000 01 00 7A3C91E5 9000
		> 80520000 0B 20260915083015 00000000 04
		< 6901
		> 80500102 0B 01 000004E2 010203040506 0F
		< 00001388 0203 000000 01 00 0BD2446F 9000
		> 80540100 0E 00000042 20260915083015 000000 08
		< 6700
		> 80500102 0B 01 000004E2 010203040506 0F
		< 00001388 0203 000000 01 00 C8150EA9 9000
		> 80540100 0F 00000042 20260915083015 DEADBEEF 08
		< 9302
	`)
	if s := card.State(); s.Balance != 5000 || s.Offline != 0x203 {
		t.Errorf("balance %d, counter %X; want 5000, 203", s.Balance, s.Offline)
	}
}

func TestPurseAtItsEnd(t *testing.T) {
	s := vectorState(t)
	s.Offline = 0xFFFF
	talk(t, sim.New(s), selectADF+`
		> 80500102 0B 01 00000001 010203040506 0F
		< 9402
	`)
}

func TestForeign(t *testing.T) {
	talk(t, sim.New(sim.Foreign(sim.Bank, [4]byte{1, 2, 3, 4})), `
		> 00A40400 0E 315041592E5359532E4444463031
		< 6F15840E315041592E5359532E4444463031A503880101 9000
		> 00A40400 09 A00000000386980701
		< 6A82
		> 00B09500 04
		< 6D00
		> 805C0002 04
		< 6E00
		> FFCA0000 00
		< 01020304 9000
	`)
	talk(t, sim.New(sim.Foreign(sim.Blank, [4]byte{1, 2, 3, 4})), `
		> 00A40000 02 3F00
		< 6F15840E315041592E5359532E4444463031A503880101 9000
		> 00A40000 02 3F01
		< 6A82
	`)
	talk(t, sim.New(sim.Foreign(sim.M1, [4]byte{1, 2, 3, 4})), `
		> 00A40000 02 3F00
		< 6300
		> FFCA0000 00
		< 01020304 9000
	`)
}

func TestSAM(t *testing.T) {
	sam := sim.NewSAM(pboc.TerminalNo{1, 2, 3, 4, 5, 6}, sim.LabMasters.Purchase, 0x42)
	talk(t, sam, `
		> 00A40000 02 3F00
		< 9000
		> 00B09600 06
		< 010203040506 9000
		> 00B09500 06
		< 6A82
		> 80720000 04 8FCB853B                       # before any purchase
		< 6901
		> 80700000 13 00000000000000000000000000000000000000
		< 6700
		> 80700000 1C 7A3C91E5 0203 000004E2 06 20260915083015 01 00 2026000100012345 08
		< 00000042 DBE9CF4A 9000
		> 80720000 03 8FCB85
		< 6700
		> 80720000 04 DEADBEEF                       # the card is not genuine
		< 9302
		> 80720000 04 8FCB853B                       # and has no second try
		< 6901
		> 80FF0000
		< 6D00
		> 80
		< 6700
	`)
	if got := sam.TraceNo(); got != 0x43 {
		t.Errorf("TraceNo = %X, want 43", got)
	}
}

func TestUpdateAndMend(t *testing.T) {
	card := newCard(t)
	card.Break(sim.Break{How: sim.TearBefore})
	card.Mend()
	if err := card.Update(func(s *sim.State) { s.Locked = true }); err != nil {
		t.Fatal(err)
	}
	talk(t, card, "> 00A40400 09 A00000000386980701\n< 6A81")
	if err := card.Close(); err != nil {
		t.Error(err)
	}
	if _, err := card.Transmit([]byte{0, 0xA4, 0, 0}); !errors.Is(err, reader.ErrGone) {
		t.Errorf("a card without power: %v, want %v", err, reader.ErrGone)
	}
}

// TestStateDoesNotPrint prints a card's whole state, in which nothing is secret.
func TestStateDoesNotPrint(t *testing.T) {
	s := vectorState(t)
	for _, format := range []string{"%v", "%+v", "%#v", "%x"} {
		text := strings.ToUpper(fmt.Sprintf(format, s))
		for _, secret := range []string{"123456", "12, 0X34, 0X56", "18 52 86", "5838ADE9", "88 56 173 233"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows %s", format, secret)
			}
		}
	}
}

// TestServeEnds ends Serve in each of its ways.
func TestServeEnds(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	serve := func(ctx context.Context, card *sim.Card) (net.Conn, <-chan error) {
		done := make(chan error, 1)
		go func() { done <- sim.Serve(ctx, l.Addr().String(), card) }()
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn, done
	}
	write := func(conn net.Conn, frames string) {
		if _, err := conn.Write([]byte(frames)); err != nil {
			t.Fatal(err)
		}
	}
	const on, command = "\x00\x01\x01", "\x00\x05\xFF\xCA\x00\x00\x00"

	t.Run("Taken", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		_, done := serve(ctx, newCard(t))
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Serve = %v, want %v", err, context.Canceled)
		}
	})
	t.Run("HungUp", func(t *testing.T) {
		conn, done := serve(t.Context(), newCard(t))
		conn.Close()
		if err := <-done; !errors.Is(err, reader.ErrGone) {
			t.Errorf("Serve = %v, want %v", err, reader.ErrGone)
		}
	})
	t.Run("Torn", func(t *testing.T) {
		card := newCard(t)
		card.Break(sim.Break{How: sim.TearAfter})
		conn, done := serve(t.Context(), card)
		write(conn, on+command)
		if err := <-done; !errors.Is(err, sim.ErrTorn) {
			t.Errorf("Serve = %v, want %v", err, sim.ErrTorn)
		}
	})
	t.Run("Silent", func(t *testing.T) {
		card := newCard(t)
		card.Break(sim.Break{How: sim.SilentBefore})
		conn, done := serve(t.Context(), card)
		write(conn, on+command+"\x00\x01\x04") // not even the ATR
		if err := conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Error("a silent card said something")
		}
		conn.Close()
		if err := <-done; !errors.Is(err, reader.ErrGone) {
			t.Errorf("Serve = %v, want %v", err, reader.ErrGone)
		}
	})
	t.Run("NoReader", func(t *testing.T) {
		l.Close()
		if err := sim.Serve(t.Context(), l.Addr().String(), newCard(t)); err == nil || apdu.Answered(err) {
			t.Errorf("Serve = %v, want an error", err)
		}
	})
}
