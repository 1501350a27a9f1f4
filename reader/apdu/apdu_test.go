package apdu_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"quancun/reader/apdu"
)

// script answers one response after the other and remembers the commands.
type script struct {
	responses [][]byte
	commands  [][]byte
}

func (s *script) Transmit(command []byte) ([]byte, error) {
	s.commands = append(s.commands, slices.Clone(command)) // the caller wipes it
	if len(s.responses) == 0 {
		return nil, errors.New("card was pulled")
	}
	r := s.responses[0]
	s.responses = s.responses[1:]
	return r, nil
}

func TestBytes(t *testing.T) {
	for _, tt := range []struct {
		c    apdu.Command
		want string
	}{
		{apdu.Command{CLA: 0x80, INS: 0x5C, P2: 2, Le: 4}, "805C000204"},
		{apdu.Command{INS: 0xA4, P1: 4, Data: []byte{1, 2}}, "00A40400020102"},
		{apdu.Command{CLA: 0xFF, INS: 0xCA, Le: 256}, "FFCA000000"},
		{apdu.Command{INS: 0x84}, "00840000"},
	} {
		if got := fmt.Sprintf("%X", tt.c.Bytes()); got != tt.want {
			t.Errorf("Bytes(%+v) = %s, want %s", tt.c, got, tt.want)
		}
	}
}

func TestBytesTooLong(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("256 data bytes were encoded, want a panic")
		}
	}()
	apdu.Command{Data: make([]byte, 256)}.Bytes()
}

func TestTransmit(t *testing.T) {
	for _, tt := range []struct {
		name      string
		responses string // separated by spaces; "-" is an empty one
		want      string // data
		err       error
		answered  bool
		commands  string
	}{
		{name: "Done", responses: "000013889000", want: "00001388", commands: "805C000204"},
		{name: "Refused", responses: "6A82", err: apdu.NotFound, answered: true, commands: "805C000204"},
		{name: "Nothing", responses: "-", err: apdu.ErrNoAnswer, commands: "805C000204"},
		{name: "Half", responses: "90", err: apdu.ErrNoAnswer, commands: "805C000204"},
		{name: "Fetch", responses: "6104 010203049000", want: "01020304", commands: "805C000204 00C0000004"},
		{name: "FetchParts", responses: "01026102 03046100 059000", want: "0102030405",
			commands: "805C000204 00C0000002 00C0000000"},
		{name: "FetchParts2", responses: "6102 03046101 059000", want: "030405",
			commands: "805C000204 00C0000002 00C0000001"},
		{name: "Repeat", responses: "6C02 01029000", want: "0102", commands: "805C000204 805C000202"},
		{name: "RepeatThenFetch", responses: "6C02 6102 01029000", want: "0102",
			commands: "805C000204 805C000202 00C0000002"},
		{name: "RepeatRefused", responses: "6C02 6C02", err: apdu.Status(0x6C02), answered: true,
			commands: "805C000204 805C000202"},
		// The card accepted the command, so a refusal to repeat its answer must
		// not look like a refusal of the command.
		{name: "FetchRefused", responses: "6104 6F00", commands: "805C000204 00C0000004", err: errAny},
		{name: "FetchTorn", responses: "6104 -", err: apdu.ErrNoAnswer, commands: "805C000204 00C0000004"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			card := &script{}
			for r := range strings.FieldsSeq(tt.responses) {
				card.responses = append(card.responses, unhex(t, strings.Trim(r, "-")))
			}
			got, err := apdu.Transmit(card, apdu.Command{CLA: 0x80, INS: 0x5C, P2: 2, Le: 4})
			if tt.err == errAny && err != nil {
				err = errAny
			}
			if fmt.Sprintf("%X", got) != tt.want || !errors.Is(err, tt.err) || apdu.Answered(err) != tt.answered {
				t.Errorf("got %X, %v (answered %v); want %s, %v (%v)",
					got, err, apdu.Answered(err), tt.want, tt.err, tt.answered)
			}
			if sent := fmt.Sprintf("%X", card.commands); sent != "["+tt.commands+"]" {
				t.Errorf("sent %s, want [%s]", sent, tt.commands)
			}
		})
	}
}

var errAny = errors.New("any error that is not a status")

// TestTransmitEnds sees to it that a card that always has more is given up.
func TestTransmitEnds(t *testing.T) {
	card := &script{}
	for range 100 {
		card.responses = append(card.responses, []byte{1, 0x61, 1})
	}
	if _, err := apdu.Transmit(card, apdu.Command{}); err == nil || apdu.Answered(err) {
		t.Errorf("err = %v, want one that is not an answer", err)
	}
	if len(card.commands) > 16 {
		t.Errorf("asked %d times, want a few", len(card.commands))
	}
}

// keeper keeps the very buffer it was given.
type keeper struct{ command []byte }

func (k *keeper) Transmit(command []byte) ([]byte, error) {
	k.command = command
	return []byte{0x90, 0}, nil
}

func TestTransmitWipes(t *testing.T) {
	card := &keeper{}
	if _, err := apdu.Transmit(card, apdu.Command{INS: 0x20, Data: []byte{0x12, 0x34, 0x56}}); err != nil {
		t.Fatal(err)
	}
	if want := make([]byte, 8); !bytes.Equal(card.command, want) {
		t.Errorf("the PIN is still in memory: %X", card.command)
	}
}

func TestStatusText(t *testing.T) {
	for _, tt := range []struct {
		s    apdu.Status
		want string
	}{
		{apdu.WrongMAC, "card: 9302 MAC is invalid"},
		{0x63C2, "card: 63C2 wrong PIN, 2 tries left"},
		{0x63C0, "card: 63C0 wrong PIN, now blocked"},
		{0x6100, "card: 6100 256 bytes to fetch"},
		{0x6C10, "card: 6C10 wrong Le, 16 bytes are there"},
		{0x6F00, "card: 6F00 unknown status"},
	} {
		if got := tt.s.Error(); got != tt.want {
			t.Errorf("Error() = %q, want %q", got, tt.want)
		}
	}
	// Every status word of section 4.4 has a text.
	for _, s := range []apdu.Status{
		0x9000, 0x6281, 0x6283, 0x63C0, 0x63CF, 0x6581, 0x6700, 0x6900, 0x6901, 0x6982, 0x6983, 0x6985, 0x6987, 0x6988,
		0x6A80, 0x6A81, 0x6A82, 0x6A83, 0x6A84, 0x6A86, 0x6A88, 0x6B00, 0x6D00, 0x6E00,
		0x9302, 0x9303, 0x9401, 0x9402, 0x9403, 0x9406,
	} {
		if strings.Contains(s.Error(), "unknown status") {
			t.Errorf("%04X has no text", uint16(s))
		}
	}
}

func TestAnswered(t *testing.T) {
	if err := fmt.Errorf("credit for load: %w", apdu.WrongMAC); !apdu.Answered(err) {
		t.Errorf("%v is not an answer", err)
	}
	for _, err := range []error{nil, apdu.ErrNoAnswer, errAny} {
		if apdu.Answered(err) {
			t.Errorf("%v is an answer", err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0x90, 0x00})
	f.Fuzz(func(t *testing.T, response []byte) {
		data, s, err := apdu.Parse(response)
		if err != nil && len(response) >= 2 {
			t.Fatalf("%X: %v", response, err)
		}
		if err == nil {
			if again := append(slices.Clone(data), byte(s>>8), byte(s)); !bytes.Equal(again, response) {
				t.Errorf("%X was split into %X and %v", response, data, s)
			}
		}
	})
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	var b []byte
	if _, err := fmt.Sscanf(s, "%x", &b); err != nil && s != "" {
		t.Fatal(err)
	}
	return b
}
