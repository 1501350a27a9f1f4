package profile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quancun/reader/profile"
)

func TestDefault(t *testing.T) {
	p := profile.Default()
	want := profile.Profile{
		AID:   profile.AID{0xA0, 0, 0, 0, 3, 0x86, 0x98, 7, 1},
		Purse: profile.Purse{Kind: profile.KindEP, Ceiling: 100000, LoadKey: 1, PurchaseKey: 1},
		PIN:   profile.PIN{ForLoad: true},
		Application: profile.Application{
			SFI: 0x15, Length: 30, CardNo: profile.Field{Offset: 10, Length: 10},
			Enabled: 8, NotEnabled: []byte{0}, Start: 20, Expiry: 24,
		},
		Holder: profile.Holder{
			SFI: 0x16, Length: 39,
			Name:   profile.Field{Offset: 2, Length: 20, Encoding: profile.EncodingGBK},
			Number: profile.Field{Offset: 22, Length: 16},
			Update: true,
		},
		Log: profile.Log{SFI: 0x18, Records: 10},
	}
	if got, want := fmt.Sprintf("%+v", *p), fmt.Sprintf("%+v", want); got != want {
		t.Errorf("Default() = %s\nwant %s", got, want)
	}
}

// TestParse reads the layout of one campus system in the field, whose files
// are longer and whose card number is shorter (2.1).
func TestParse(t *testing.T) {
	p, err := profile.Parse(`
		aid = "D156000001BDF0CACBB4EFD6A7B8B6"
		factor = "uid-reversed"
		prove = "before"
		pin = { encoding = "ascii", for_log = true }
		[purse]
		kind = "ed"
		[application]
		length = 56
		card_no = { offset = 6, length = 4 }
		enabled = 20
		start = 36
		expiry = 40
		[holder]
		length = 112
		name = { offset = 0, length = 32 }
		number = { offset = 66, length = 20, encoding = "bcd" }
	`)
	if err != nil {
		t.Fatal(err)
	}
	if p.Factor != profile.FactorUIDReversed || p.Prove.Counter(7) != 7 || p.Purse.Kind.P2() != 1 ||
		p.PIN.Encoding != profile.PINASCII || !p.PIN.ForLog || !p.PIN.ForLoad || p.Holder.Number.Length != 20 {
		t.Errorf("got %+v", *p)
	}
	if p.Holder.Name.Encoding != profile.EncodingGBK {
		t.Errorf("name encoding %v was not kept from the default", p.Holder.Name.Encoding)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{`cealing_fen = 5`, "unknown keys"},
		{`[purse]` + "\n" + `cealing_fen = 5`, "unknown keys"},
		{`aid = "A0"`, "5 to 16 bytes"},
		{`aid = "xyz"`, "hex"},
		{`aid = ""`, "exactly one"},
		{`df = 0x3F01`, "exactly one"},
		{`factor = "pan"`, "unknown"},
		{`prove = "later"`, "unknown"},
		{`pin = { encoding = "ebcdic" }`, "unknown"},
		{`purse = { kind = "xx" }`, "unknown"},
		{`purse = { ceiling_fen = 0 }`, "ceiling_fen"},
		{`purse = { ceiling_fen = 2147483648 }`, "ceiling_fen"},
		{`purse = { load_key = 256 }`, "256"},
		{`application = { length = 240 }`, "application.length"},
		{`application = { expiry = 27 }`, "application.expiry"},
		{`application = { card_no = { offset = 0, length = 11 } }`, "card_no"},
		{`holder = { name = { offset = 20, length = 20 } }`, "holder.name"},
		{`holder = { number = { offset = -1, length = 4 } }`, "holder.number"},
		{`log = { sfi = 31 }`, "log.sfi"},
		{`log = { records = 0 }`, "log.records"},
		{`]`, "card profile"},
	} {
		if _, err := profile.Parse(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Parse(%s) = %v, want an error about %q", tt.text, err, tt.want)
		}
	}
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "card.toml")
	if err := os.WriteFile(path, []byte("aid = \"\"\ndf = 0x3F01\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := profile.Read(path); err != nil || p.DF != 0x3F01 || len(p.AID) != 0 {
		t.Errorf("Read() = %+v, %v; want DF 3F01", p, err)
	}
	if p, err := profile.Read(""); err != nil || len(p.AID) != 9 {
		t.Errorf(`Read("") = %+v, %v; want the default`, p, err)
	}
	if _, err := profile.Read(path + ".missing"); err == nil {
		t.Error("a missing file was read")
	}
}

func TestKind(t *testing.T) {
	for _, tt := range []struct {
		kind               profile.Kind
		p2, load, purchase byte
	}{
		{0, 2, 2, 6},
		{profile.KindEP, 2, 2, 6},
		{profile.KindED, 1, 1, 5},
	} {
		k := tt.kind
		if k.P2() != tt.p2 || k.LoadType() != tt.load || k.PurchaseType() != tt.purchase {
			t.Errorf("kind %d: %d, %d, %d; want %+v", k, k.P2(), k.LoadType(), k.PurchaseType(), tt)
		}
	}
	if got := profile.ProveAfter.Counter(0x0011); got != 0x0012 {
		t.Errorf("Counter(0011) = %04X, want 0012", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("aid = \"A00000000386980701\"")
	f.Add("[purse]\nkind = \"ed\"")
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := profile.Parse(text); (p == nil) == (err == nil) {
			t.Errorf("Parse(%q) = %v, %v", text, p, err)
		}
	})
}
