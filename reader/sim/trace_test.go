package sim_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"quancun/pboc"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/reader/sim"
)

// trace is one conversation with a card, and with a SAM, as worked out apart
// from this program.
type trace struct {
	Name  string
	Start map[string]string
	End   map[string]string
	Steps []struct {
		To, C, R, Seen, Note string
	}
}

// randoms are what the traces' card draws, one after the other.
const randoms = "\x7A\x3C\x91\xE5\x0B\xD2\x44\x6F\xC8\x15\x0E\xA9"

// vectorState is the card of the traces, before its balance and counters.
func vectorState(t testing.TB) sim.State {
	t.Helper()
	s, err := sim.Issue(profile.Default(), sim.LabMasters, sim.Holder{
		CardNo: purse.CardNo{0, 0, 0x20, 0x26, 0, 1, 0, 1, 0x23, 0x45}, UID: [4]byte{4, 0xA1, 0xB2, 0xC3},
		Name: "张三", Number: "202600012345", Start: 20260901, Expiry: 20300831, Balance: 5000,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Files[0x15] = unhex(t, "112233445566778803020000202600010001234520260901203008315566")
	s.Online, s.Offline = 0x11, 0x203
	return s
}

// TestTraces runs every trace, byte for byte.
func TestTraces(t *testing.T) {
	text, err := os.ReadFile("../../pboc/testdata/card-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Generated struct{ Traces []trace } `json:"self_generated"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Generated.Traces) < 10 {
		t.Fatalf("there are %d traces", len(all.Generated.Traces))
	}
	for _, tr := range all.Generated.Traces {
		t.Run(tr.Name, func(t *testing.T) { tr.run(t) })
	}
}

func (tr trace) run(t *testing.T) {
	s := vectorState(t)
	s.Balance = uint32(number(t, tr.Start["balance"]))
	s.Online = uint16(number(t, tr.Start["online_ctr"]))
	s.Offline = uint16(number(t, tr.Start["offline_ctr"]))
	card := sim.New(s)
	card.SetRandom(strings.NewReader(randoms))
	sam := sim.NewSAM(pboc.TerminalNo{1, 2, 3, 4, 5, 6}, sim.LabMasters.Purchase, 0x42)

	for i, step := range tr.Steps {
		var got []byte
		var err error
		switch {
		case step.C == "": // removed, and put back
			card.PowerOff()
			card.PowerOn()
			continue
		case step.R == "":
			card.Break(sim.Break{How: sim.TearBefore})
			if _, err = card.Transmit(unhex(t, step.C)); err == nil {
				t.Fatalf("step %d: a torn card answered", i)
			}
			continue
		case step.Seen == "LOST": // the answer was made, so it must be right all the same
			got, err = card.Transmit(unhex(t, step.C))
		case step.To == "psam":
			got, err = sam.Transmit(unhex(t, step.C))
		default:
			got, err = card.Transmit(unhex(t, step.C))
		}
		if s := strings.ToUpper(hex.EncodeToString(got)); err != nil || s != step.R {
			t.Fatalf("step %d (%s):\n> %s\n< %s, %v\nwant %s", i, step.Note, step.C, s, err, step.R)
		}
	}
	end := card.State()
	got := fmt.Sprintf("balance %08X online %04X offline %04X tries %d",
		end.Balance, end.Online, end.Offline, end.PINTries)
	want := fmt.Sprintf("balance %s online %s offline %s tries %s",
		tr.End["balance"], tr.End["online_ctr"], tr.End["offline_ctr"], tr.End["pin_tries"])
	if got != want {
		t.Errorf("at last: %s, want %s", got, want)
	}
}

// TestRealCard repeats the load of a published capture of an FM1208: the
// virtual card answers as the real one did, bit for bit.
func TestRealCard(t *testing.T) {
	s := vectorState(t)
	s.Balance, s.Online = 0, 0
	key := sim.Key(unhex(t, "00112233445566778899AABBCCDDEEFF"))
	s.Keys.Load, s.Keys.TAC = key, key
	s.PINForLoad, s.KeyVersion = false, 1
	card := sim.New(s)
	card.SetRandom(bytes.NewReader(unhex(t, "C903814D")))
	for _, x := range [][2]string{
		{"00A4040009A00000000386980701", ""},
		{"805000020B010000200000112233445510", "0000000000000100C903814D03976C229000"},
		{"805200000B201612161058008AFA5718", "FA00066D9000"},
		{"805C000204", "000020009000"},
		{"00B201C417", "0001000000000020000200112233445520161216105800" + "9000"},
	} {
		got, err := card.Transmit(unhex(t, x[0]))
		if s := strings.ToUpper(hex.EncodeToString(got)); err != nil || x[1] != "" && s != x[1] {
			t.Errorf("> %s\n< %s, %v\nwant %s", x[0], s, err, x[1])
		}
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func number(t testing.TB, s string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
