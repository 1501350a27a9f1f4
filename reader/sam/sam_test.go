package sam

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quancun/pboc"
	"quancun/reader"
	"quancun/reader/apdu"
	"quancun/reader/purse"
	"quancun/reader/sim"
)

var (
	terminal = pboc.TerminalNo{0, 0, 0, 0, 4, 0x17}
	master   = pboc.Key{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
)

// write writes a SAM's file as campusd does.
func write(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sam.json")
	text := pboc.SAMFile{Terminal: terminal, Purchase: master, Next: 1}.Encode()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// begin begins a purchase and returns what the SAM offers.
func begin(t *testing.T, card purse.Card) purse.SAMOffer {
	t.Helper()
	o, err := purse.InitSAM{Amount: 1200, Type: 6}.Send(card)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestSoftware: a SAM that is a file proves the till as a SAM does, and never
// numbers two purchases alike, whenever the power fails.
func TestSoftware(t *testing.T) {
	path := write(t)
	seen := map[uint32]bool{}
	for range 3 {
		s, err := Open(path, terminal)
		if err != nil {
			t.Fatal(err)
		}
		for range block + 5 {
			o := begin(t, s)
			if seen[o.TraceNo] {
				t.Fatalf("number %d was used twice", o.TraceNo)
			}
			seen[o.TraceNo] = true
			if want := begin(t, sim.NewSAM(terminal, master, o.TraceNo)); o != want {
				t.Fatalf("offer %+v, want %+v", o, want)
			}
		}
		if no, err := (purse.ReadTerminalNo{}).Send(s); err != nil || no != terminal {
			t.Errorf("terminal %s, %v", no, err)
		}
	}
}

// TestOpen refuses what is no SAM of this terminal, or nobody's secret, and says
// so without the key.
func TestOpen(t *testing.T) {
	path := write(t)
	if _, err := Open(path, pboc.TerminalNo{9}); !errors.Is(err, ErrOther) {
		t.Errorf("another terminal's: %v", err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, terminal); !errors.Is(err, ErrExposed) {
		t.Errorf("a file that others can read: %v", err)
	}
	if err := errors.Join(os.WriteFile(path, []byte(`{"purchase_master":"0102"}`), 0), os.Chmod(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	_, err := Open(path, terminal)
	if !errors.Is(err, pboc.ErrNoSAMFile) || strings.Contains(err.Error(), "0102") {
		t.Errorf("half a key: %v", err)
	}
	whole := pboc.SAMFile{Terminal: terminal, Purchase: master, Next: 4001}
	for at := range whole.Encode() { // a number that has become less would be used twice
		damaged := whole.Encode()
		damaged[at] ^= 1
		if f, err := pboc.ParseSAMFile(damaged); err == nil && f != whole {
			t.Errorf("byte %d is another, and it is read as of terminal %s with number %d", at, f.Terminal, f.Next)
		}
	}
	said := fmt.Sprintf("%v %+v %s", pboc.SAMFile{Purchase: master}, pboc.SAMFile{Purchase: master}, pboc.SAMFile{})
	if strings.Contains(said, "0102") || strings.Contains(said, "[1 2 3") {
		t.Errorf("a log would say %s", said)
	}
}

// slot is a reader's slot with a SAM in it, which can be pulled.
type slot struct {
	reader.Device
	sam    *sim.SAM
	pulled bool
	times  int // that it was pulled
}

func (s *slot) Connect() (reader.Card, error) {
	if s.pulled {
		return nil, reader.ErrNoCard
	}
	return &module{s, s.times}, nil
}

func (s *slot) Wait(context.Context, reader.State) (reader.State, error) {
	return reader.State{Connected: true, Card: !s.pulled}, nil
}
func (s *slot) Close() error { return nil }

// module is a SAM that was powered before it was pulled so many times more.
type module struct {
	*slot
	powered int
}

func (m *module) Transmit(b []byte) ([]byte, error) {
	if m.pulled || m.times != m.powered {
		return nil, reader.ErrGone
	}
	return m.sam.Transmit(b)
}
func (m *module) ATR() []byte { return nil }

// TestSlot: a SAM that is pulled and put back goes on; another terminal's never
// begins.
func TestSlot(t *testing.T) {
	d := &slot{sam: sim.NewSAM(terminal, master, 7)}
	s := &Slot{Device: d, Terminal: terminal}
	begin(t, s)
	d.pulled = true
	for range 2 {
		if _, err := (purse.InitSAM{Amount: 1}).Send(s); apdu.Answered(err) || err == nil {
			t.Errorf("without a SAM: %v", err)
		}
	}
	d.pulled = false
	if o := begin(t, s); o.TraceNo != 8 {
		t.Errorf("number %d, want 8", o.TraceNo)
	}
	d.times++ // between two customers, and put back
	if o := begin(t, s); o.TraceNo != 9 {
		t.Errorf("number %d, want 9", o.TraceNo)
	}
	d.times++ // amid a sale, whose MAC2 the SAM knows nothing of any more
	if err := (purse.CheckMAC2{MAC2: pboc.MAC{1}}).Send(s); apdu.Answered(err) || err == nil {
		t.Errorf("pulled amid a sale: %v", err)
	}
	if o := begin(t, s); o.TraceNo != 10 {
		t.Errorf("number %d, want 10", o.TraceNo)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	s.Terminal = pboc.TerminalNo{1}
	if _, err := (purse.InitSAM{Amount: 1}).Send(s); !errors.Is(err, ErrOther) {
		t.Errorf("another terminal's SAM: %v", err)
	}
}
