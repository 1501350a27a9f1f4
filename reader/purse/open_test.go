package purse_test

import (
	"errors"
	"fmt"
	"testing"

	"quancun/reader/apdu"
	"quancun/reader/profile"
	"quancun/reader/purse"
)

// readCard is the whole of what Open says to a campus card.
const readCard = `
	> FFCA0000 00
	< 04A1B2C3 9000
	> 00A40400 09 A00000000386980701
	< 6F2E 8409A00000000386980701 A521 9F0C1E 112233445566778803020000202600010001234520260901 20300831 5566 9000
	> 00B09600 27
	< 0100 D5C5C8FD00000000000000000000000000000000 32303236303030313233343500000000 00 9000
	> 805C0002 04
	< 00001388 9000
`

func TestOpen(t *testing.T) {
	got, err := purse.Open(newScript(t, readCard), profile.Default())
	want := purse.Info{
		CardNo: purse.CardNo{0, 0, 0x20, 0x26, 0, 1, 0, 1, 0x23, 0x45}, UID: "04A1B2C3",
		Factor: [8]byte{0x20, 0x26, 0, 1, 0, 1, 0x23, 0x45},
		Name:   "张三", HolderNo: "202600012345",
		Enabled: true, Start: 20260901, Expiry: 20300831,
		Balance: 5000, BalanceRaw: 5000,
	}
	if err != nil || got != want {
		t.Errorf("Open() = %+v, %v\nwant %+v", got, err, want)
	}
}

// TestOpenPlain opens a card that sends no FCI, on a reader that tells no UID,
// without cardholder data.
func TestOpenPlain(t *testing.T) {
	card := newScript(t, `
		> FFCA0000 00
		< 6A81
		> 00A40400 09 A00000000386980701
		< 9000
		> 00B09500 1E
		< 1122334455667788 03 02 00002026000100012345 20260901 FFFFFFFF 5566 9000
		> 00B09600 27
		< 6A82
		> 805C0002 04
		< 00001388 9000
	`)
	got, err := purse.Open(card, profile.Default())
	if err != nil || got.CardNo.String() != "…2345" || got.UID != "" || got.Name != "" || got.Expiry != 0 {
		t.Errorf("Open() = %+v, %v", got, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	const uid = "> FFCA0000 00\n< 04A1B2C3 9000\n"
	const sel = uid + "> 00A40400 09 A00000000386980701\n< "
	for _, tt := range []struct {
		name, transcript string
		err              error
		not              error // that it must not be
	}{
		{name: "BankCard", transcript: sel + "6A82", err: purse.ErrForeign},
		{name: "OtherClass", transcript: sel + "6E00", err: purse.ErrForeign},
		{name: "M1", transcript: sel + "6300", err: purse.ErrForeign},
		{name: "Locked", transcript: sel + "6A81", err: purse.ErrLocked},
		{name: "LockedForGood", transcript: sel + "9303", err: purse.ErrLocked},
		{name: "Blank", transcript: sel + "9000\n> 00B09500 1E\n< 6A82", err: purse.ErrForeign},
		{name: "Short", transcript: sel + "9000\n> 00B09500 1E\n< 1122 9000", err: purse.ErrForeign},
		{name: "Broken", transcript: sel + "6581", err: apdu.WriteFailed, not: purse.ErrForeign},
		{name: "Silent", transcript: sel, err: apdu.ErrNoAnswer, not: purse.ErrForeign},
		{name: "Pulled", transcript: sel + "pulled", err: errPulled, not: purse.ErrForeign},
		{name: "PulledAtOnce", transcript: "> FFCA0000 00\n< pulled", err: errPulled, not: purse.ErrForeign},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := purse.Open(newScript(t, tt.transcript), profile.Default())
			if !errors.Is(err, tt.err) || tt.not != nil && errors.Is(err, tt.not) {
				t.Errorf("err = %v, want %v and not %v", err, tt.err, tt.not)
			}
		})
	}
}

// storage is an M1 card on a PC/SC reader. It must not even be asked.
type storage struct{ *script }

func (storage) ATR() []byte {
	return []byte("\x3B\x8F\x80\x01\x80\x4F\x0C\xA0\x00\x00\x03\x06\x03\x00\x01\x00\x00\x00\x00\x6A")
}

func TestOpenStorageCard(t *testing.T) {
	if _, err := purse.Open(storage{newScript(t, "")}, profile.Default()); !errors.Is(err, purse.ErrForeign) {
		t.Errorf("err = %v, want %v", err, purse.ErrForeign)
	}
}

func TestOpenByUID(t *testing.T) {
	for factor, want := range map[string]string{
		"uid":          "04A1B2C380000000",
		"uid-reversed": "C3B2A10480000000",
	} {
		p, err := profile.Parse(fmt.Sprintf("factor = %q", factor))
		if err != nil {
			t.Fatal(err)
		}
		info, err := purse.Open(newScript(t, readCard), p)
		if got := fmt.Sprintf("%X", info.Factor); err != nil || got != want {
			t.Errorf("%s: factor %s, %v; want %s", factor, got, err, want)
		}
	}
}

func TestCheck(t *testing.T) {
	valid := purse.Info{Enabled: true, Start: 20260901, Expiry: 20300831}
	for _, tt := range []struct {
		info  purse.Info
		today purse.Date
		want  error
	}{
		{valid, 20260901, nil},
		{valid, 20300831, nil},
		{valid, 20260831, purse.ErrNotStarted},
		{valid, 20300901, purse.ErrExpired},
		{purse.Info{Enabled: true}, 20260901, nil}, // no limits
		{purse.Info{Start: 20260901}, 20260901, purse.ErrNotEnabled},
	} {
		if err := tt.info.Check(tt.today); !errors.Is(err, tt.want) {
			t.Errorf("Check(%s) = %v, want %v", tt.today, err, tt.want)
		}
	}
}

func TestSame(t *testing.T) {
	a := purse.Info{CardNo: purse.CardNo{1}, UID: "04A1B2C3"}
	for _, tt := range []struct {
		b    purse.Info
		want bool
	}{
		{a, true},
		{purse.Info{CardNo: purse.CardNo{1}}, true}, // a reader that tells no UID
		{purse.Info{CardNo: purse.CardNo{1}, UID: "04A1B2C4"}, false},
		{purse.Info{CardNo: purse.CardNo{2}, UID: "04A1B2C3"}, false},
	} {
		if got := a.Same(tt.b); got != tt.want {
			t.Errorf("Same(%+v) = %v, want %v", tt.b, got, tt.want)
		}
	}
}

// TestParseHolderKeepsNoID sees to it that the number of an identity document
// never leaves the card, whatever field an issuer has put it in.
func TestParseHolderKeepsNoID(t *testing.T) {
	p, err := profile.Parse(`holder = { number = { offset = 0, length = 20 }, name = { length = 0 } }`)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ number, want string }{
		{"202600012345", "202600012345"},
		{"2026000100012345", "2026000100012345"},
		{"11010519491231002X", ""},
		{"110105194912310021", ""},
		{"1101051949123100", ""}, // what is left of it in a field of 16
		{"110105491231002", ""},
	} {
		file := make([]byte, 39)
		copy(file, tt.number)
		if h, err := purse.ParseHolder(p, file); err != nil || h.Number != tt.want {
			t.Errorf("%s is read as %q, %v; want %q", tt.number, h.Number, err, tt.want)
		}
	}
}
