package purse_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"quancun/pboc"
	"quancun/reader/apdu"
	"quancun/reader/profile"
	"quancun/reader/purse"
)

var (
	terminal = pboc.TerminalNo{1, 2, 3, 4, 5, 6}
	at       = pboc.Stamp{0x20, 0x26, 0x09, 0x15, 0x08, 0x30, 0x15}
)

func TestSelect(t *testing.T) {
	card := newScript(t, `
		> 00A40400 09 A00000000386980701
		< 6F2E 8409A00000000386980701 A521 9F0C1E 112233445566778803020000202600010001234520260901 20300831 5566 9000
	`)
	got, err := purse.Select{AID: profile.Default().AID}.Send(card)
	want := "{A00000000386980701 00 112233445566778803020000202600010001234520260901203008315566}"
	if s := fmt.Sprintf("{%X %02X %X}", got.Name, got.SFI, got.Application); err != nil || s != want {
		t.Errorf("Send() = %s, %v; want %s", s, err, want)
	}

	card = newScript(t, `
		> 00A40000 02 3F00
		< 6F15 840E315041592E5359532E4444463031 A503 880101 9000
	`)
	got, err = purse.Select{File: 0x3F00}.Send(card)
	if err != nil || string(got.Name) != "1PAY.SYS.DDF01" || got.SFI != 1 || got.Application != nil {
		t.Errorf("Send() = %+v, %v; want 1PAY.SYS.DDF01 and SFI 1", got, err)
	}

	// An FCI that makes no sense does not unselect the file.
	card = newScript(t, "> 00A40000023F01\n< 6F FF 01 9000")
	if got, err := (purse.Select{File: 0x3F01}).Send(card); err != nil || got.Name != nil {
		t.Errorf("Send() = %+v, %v; want an empty FCI", got, err)
	}
}

func TestReadBinary(t *testing.T) {
	card := newScript(t, "> 00B0 95 00 04\n< 11223344 9000")
	if got, err := (purse.ReadBinary{SFI: 0x15, Length: 4}).Send(card); err != nil || fmt.Sprintf("%X", got) != "11223344" {
		t.Errorf("Send() = %X, %v; want 11223344", got, err)
	}
}

func TestGetBalance(t *testing.T) {
	card := newScript(t, "> 805C0002 04\n< 80001388 9000") // noise in the top bit
	got, err := purse.GetBalance{}.Send(card)
	if err != nil || got != 0x80001388 || pboc.Fen(got) != 5000 {
		t.Errorf("Send() = %X (%s), %v; want 80001388 (50.00)", got, pboc.Fen(got), err)
	}
	card = newScript(t, "> 805C0001 04\n< 00001388 9000")
	if got, err := (purse.GetBalance{Kind: profile.KindED}).Send(card); err != nil || got != 5000 {
		t.Errorf("deposit: Send() = %d, %v; want 5000", got, err)
	}
}

func TestGetUID(t *testing.T) {
	card := newScript(t, "> FFCA0000 00\n< 04A1B2C3 9000")
	if got, err := (purse.GetUID{}).Send(card); err != nil || fmt.Sprintf("%X", got) != "04A1B2C3" {
		t.Errorf("Send() = %X, %v; want 04A1B2C3", got, err)
	}
}

func TestVerifyPIN(t *testing.T) {
	pin := purse.PIN{'1', '2', '3', '4', '5', '6'}
	for _, tt := range []struct {
		transcript string
		encoding   profile.PINEncoding
		left       int
		wrong      bool
		err        error
	}{
		{transcript: "> 00200000 03 123456\n< 9000"},
		{transcript: "> 00200000 06 313233343536\n< 9000", encoding: profile.PINASCII},
		{transcript: "> 00200000 03 123456\n< 63C2", left: 2, wrong: true, err: apdu.Status(0x63C2)},
		{transcript: "> 00200000 03 123456\n< 63C0", wrong: true, err: apdu.Status(0x63C0)},
		{transcript: "> 00200000 03 123456\n< 6983", wrong: true, err: apdu.AuthBlocked},
		{transcript: "> 00200000 03 123456\n< 6A82", err: apdu.NotFound},
		{transcript: "> 00200000 03 123456\n< pulled", err: errPulled},
	} {
		err := purse.VerifyPIN{PIN: &pin, Encoding: tt.encoding}.Send(newScript(t, tt.transcript))
		left, wrong := purse.PINTries(err)
		if !errors.Is(err, tt.err) || left != tt.left || wrong != tt.wrong {
			t.Errorf("%s: %v, %d left, wrong %v; want %v, %d, %v",
				tt.transcript, err, left, wrong, tt.err, tt.left, tt.wrong)
		}
	}
	if got := fmt.Sprintf("%v %s %x %+v", pin, pin, pin, struct{ P purse.PIN }{pin}); got != "PIN(…) PIN(…) PIN(…) {P:PIN(…)}" {
		t.Errorf("a PIN prints as %s", got)
	}
	pin.Wipe()
	if pin != (purse.PIN{}) {
		t.Error("Wipe left digits behind")
	}
	if err := (purse.VerifyPIN{PIN: &pin}).Send(newScript(t, "")); err == nil {
		t.Error("a PIN without digits was sent")
	}
}

func TestChangePIN(t *testing.T) {
	old, pin := purse.PIN{'2', '4', '6', '8', '1', '0'}, purse.PIN{'1', '2', '3', '4', '5', '6'}
	card := newScript(t, `
		> 805E0100 07 246810 FF 123456
		< 9000
		> 805E0000 07 246810 CBD70D22
		< 9000
	`)
	if err := (purse.ChangePIN{Old: &old, New: &pin}).Send(card); err != nil {
		t.Errorf("change: %v", err)
	}
	if err := (purse.ReloadPIN{New: &old, MAC: [4]byte{0xCB, 0xD7, 0x0D, 0x22}}).Send(card); err != nil {
		t.Errorf("reload: %v", err)
	}
}

func TestInitLoad(t *testing.T) {
	card := newScript(t, `
		> 80500002 0b 01 000003E8 010203040506 10      # key 1, 10.00 yuan
		< 80001388 0011 01 00 7A3C91E5 B2E40978 9000   # balance, counter, …, random, MAC1
	`)
	got, err := purse.InitLoad{KeyIndex: 1, Amount: 1000, Terminal: terminal}.Send(card)
	want := purse.LoadOffer{
		Balance: 0x80001388, // raw: MAC1 covers the noise too
		Counter: 0x11, KeyVersion: 1,
		Random: [4]byte{0x7A, 0x3C, 0x91, 0xE5},
		MAC1:   pboc.MAC{0xB2, 0xE4, 0x09, 0x78},
	}
	if err != nil || got != want {
		t.Errorf("Send() = %+v, %v\nwant %+v", got, err, want)
	}
}

func TestInitLoadRefuses(t *testing.T) {
	const command = "> 80500002 0b 01 000003E8 010203040506 10\n< "
	for _, tt := range []struct {
		answer string
		err    error
	}{
		{"6982", apdu.NotAllowed},
		{"6985", apdu.Conditions},
		{"9402", apdu.CounterMax},
		{"9403", apdu.NoKey},
		{"00001388 0011 01 03 7A3C91E5 00000000 9000", purse.ErrZeroMAC},
		{"", apdu.ErrNoAnswer},
	} {
		_, err := purse.InitLoad{KeyIndex: 1, Amount: 1000, Terminal: terminal}.Send(newScript(t, command+tt.answer))
		if !errors.Is(err, tt.err) {
			t.Errorf("%s: err = %v, want %v", tt.answer, err, tt.err)
		}
	}
	for _, c := range []purse.InitLoad{{Amount: 0}, {Amount: -1}, {Amount: 1 << 31}} {
		if _, err := c.Send(newScript(t, "")); err == nil {
			t.Errorf("a load of %s was sent", c.Amount)
		}
	}
}

func TestCreditLoad(t *testing.T) {
	const command = "> 80520000 0B 20260915083015 88FA226D 04\n< "
	for _, tt := range []struct {
		answer  string
		tac     pboc.MAC
		err     error
		certain bool // that the card did nothing
	}{
		{answer: "9BC16CA2 9000", tac: pboc.MAC{0x9B, 0xC1, 0x6C, 0xA2}},
		{answer: "9302", err: apdu.WrongMAC, certain: true},
		{answer: "6901", err: apdu.WrongState, certain: true},
		{answer: "6985", err: apdu.Conditions, certain: true},
		{answer: "9403", err: apdu.NoKey, certain: true},
		{answer: "6D00", err: apdu.UnknownINS, certain: true},
		{answer: "6581", err: apdu.WriteFailed}, // it answered, but not whether it wrote
		{answer: "6300", err: apdu.Status(0x6300)},
		{answer: "63C1", err: apdu.Status(0x63C1)},
		{answer: "6F00", err: apdu.Status(0x6F00)},
		{answer: "", err: apdu.ErrNoAnswer},
		{answer: "90", err: apdu.ErrNoAnswer},
		{answer: "pulled", err: errPulled},
	} {
		tac, err := purse.CreditLoad{At: at, MAC2: pboc.MAC{0x88, 0xFA, 0x22, 0x6D}}.Send(newScript(t, command+tt.answer))
		if tac != tt.tac || !errors.Is(err, tt.err) || purse.Certain(err) != tt.certain {
			t.Errorf("%s: %X, %v, certain %v; want %X, %v, %v",
				tt.answer, tac, err, purse.Certain(err), tt.tac, tt.err, tt.certain)
		}
	}
	// 9000 without a TAC: the card did it, and there is no evidence yet.
	_, err := purse.CreditLoad{At: at, MAC2: pboc.MAC{0x88, 0xFA, 0x22, 0x6D}}.Send(newScript(t, command+"9000"))
	if err == nil || purse.Certain(err) || apdu.Answered(err) {
		t.Errorf("an answer without a TAC: err = %v, want one that is unknown", err)
	}
}

func TestInitPurchase(t *testing.T) {
	card := newScript(t, `
		> 80500102 0B 01 000004E2 010203040506 0F
		< 00001388 0203 000102 01 00 7A3C91E5 9000
	`)
	got, err := purse.InitPurchase{KeyIndex: 1, Amount: 1250, Terminal: terminal}.Send(card)
	want := purse.PurchaseOffer{
		Balance: 5000, Counter: 0x203, Overdraft: 0x102, KeyVersion: 1, Random: [4]byte{0x7A, 0x3C, 0x91, 0xE5},
	}
	if err != nil || got != want {
		t.Errorf("Send() = %+v, %v\nwant %+v", got, err, want)
	}
	card = newScript(t, "> 80500102 0B 01 00100000 010203040506 0F\n< 9401")
	if _, err := (purse.InitPurchase{KeyIndex: 1, Amount: 0x100000, Terminal: terminal}).Send(card); !errors.Is(err, apdu.NoBalance) {
		t.Errorf("err = %v, want %v", err, apdu.NoBalance)
	}
}

func TestDebitPurchase(t *testing.T) {
	const command = "> 80540100 0F 00000042 20260915083015 DBE9CF4A 08\n< "
	send := func(answer string) (purse.Debit, error) {
		return purse.DebitPurchase{
			TraceNo: 0x42, At: at, MAC1: pboc.MAC{0xDB, 0xE9, 0xCF, 0x4A},
		}.Send(newScript(t, command+answer))
	}
	got, err := send("273D2E72 8FCB853B 9000")
	want := purse.Debit{TAC: pboc.MAC{0x27, 0x3D, 0x2E, 0x72}, MAC2: pboc.MAC{0x8F, 0xCB, 0x85, 0x3B}}
	if err != nil || got != want {
		t.Errorf("Send() = %X, %v; want %X", got, err, want)
	}
	if _, err := send("9302"); !purse.Certain(err) {
		t.Errorf("err = %v, want a certain one", err)
	}
	if _, err := send("pulled"); err == nil || purse.Certain(err) {
		t.Errorf("err = %v, want an unknown one", err)
	}
}

func TestProve(t *testing.T) {
	card := newScript(t, `
		> 805A0006 02 0204 08
		< 8FCB853B 273D2E72 9000   # the MAC first: not as DEBIT FOR PURCHASE
		> 805A0006 02 0204 08
		< 9406
	`)
	c := purse.Prove{Type: pboc.TypePurchase, Counter: 0x0204}
	got, err := c.Send(card)
	want := purse.Proof{MAC: pboc.MAC{0x8F, 0xCB, 0x85, 0x3B}, TAC: pboc.MAC{0x27, 0x3D, 0x2E, 0x72}}
	if err != nil || got != want {
		t.Errorf("Send() = %X, %v; want %X", got, err, want)
	}
	if _, err := c.Send(card); !errors.Is(err, apdu.NoProof) {
		t.Errorf("err = %v, want %v", err, apdu.NoProof)
	}
}

// TestSAM is a purchase's half of the conversation: the terminal's number, MAC1
// under the number of the purchase, and the card's MAC2.
func TestSAM(t *testing.T) {
	sam := newScript(t, `
		> 00B09600 06
		< 010203040506 9000
		> 80700000 1C A1A2A3A4 0203 000004D2 06 20260902123456 01 00 0001000123450000 08
		< 00000042 8FCB853B 9000
		> 80720000 04 273D2E72
		< 9000
		> 80720000 04 273D2E72
		< 9302
	`)
	no, err := purse.ReadTerminalNo{}.Send(sam)
	if want := (pboc.TerminalNo{1, 2, 3, 4, 5, 6}); err != nil || no != want {
		t.Errorf("terminal number %s, %v; want %s", no, err, want)
	}
	got, err := purse.InitSAM{
		Offer:  purse.PurchaseOffer{Counter: 0x0203, KeyVersion: 1, Random: [4]byte{0xA1, 0xA2, 0xA3, 0xA4}},
		Amount: 1234, Type: pboc.TypePurchase, At: pboc.Stamp{0x20, 0x26, 0x09, 0x02, 0x12, 0x34, 0x56},
		Factor: [8]byte{0, 1, 0, 1, 0x23, 0x45},
	}.Send(sam)
	want := purse.SAMOffer{TraceNo: 0x42, MAC1: pboc.MAC{0x8F, 0xCB, 0x85, 0x3B}}
	if err != nil || got != want {
		t.Errorf("offer %X, %v; want %X", got, err, want)
	}
	c := purse.CheckMAC2{MAC2: pboc.MAC{0x27, 0x3D, 0x2E, 0x72}}
	if err := c.Send(sam); err != nil {
		t.Error(err)
	}
	if err := c.Send(sam); !errors.Is(err, apdu.WrongMAC) {
		t.Errorf("err = %v, want %v", err, apdu.WrongMAC)
	}
	if _, err := (purse.InitSAM{Amount: -1}).Send(sam); err == nil {
		t.Error("a purchase of less than nothing")
	}
}

func TestReadHistory(t *testing.T) {
	card := newScript(t, `
		> 00B201C4 17
		< 0012 000000 000003E8 02 010203040506 20260915 083015 9000
		> 00B202C4 17
		< 6A83
	`)
	got, err := purse.ReadHistory(card, profile.Default())
	want := purse.LogRecord{Counter: 0x12, Amount: 1000, Type: pboc.TypeLoad, Terminal: terminal, At: at}
	if err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("ReadHistory() = %+v, %v\nwant %+v", got, err, want)
	}
	card = newScript(t, "> 00B201C417\n< 6982")
	if _, err := purse.ReadHistory(card, profile.Default()); !errors.Is(err, apdu.NotAllowed) {
		t.Errorf("err = %v, want %v", err, apdu.NotAllowed)
	}
}

func TestCardNo(t *testing.T) {
	n, err := purse.ParseCardNo("00002026000100012345")
	if err != nil || n.Full() != "00002026000100012345" || n.String() != "…2345" {
		t.Errorf("got %s (%s), %v", n.Full(), n, err)
	}
	if got := fmt.Sprintf("%v %+v %s", n, struct{ N purse.CardNo }{n}, n); got != "…2345 {N:…2345} …2345" {
		t.Errorf("a card number prints as %s", got)
	}
	if got := n.LogValue().String(); got != "…2345" {
		t.Errorf("a card number is logged as %s", got)
	}
	for _, bad := range []string{"", "2345", "0000202600010001234", "0000202600010001234G", "000020260001000123456"} {
		if n, err := purse.ParseCardNo(bad); err == nil {
			t.Errorf("ParseCardNo(%q) = %s", bad, n.Full())
		}
	}
}

func TestDate(t *testing.T) {
	d := purse.DateOf(time.Date(2026, 9, 1, 23, 59, 0, 0, time.UTC))
	if d != 20260901 || d.String() != "2026-09-01" || purse.Date(0).String() != "" {
		t.Errorf("got %d, %s", d, d)
	}
	if b, _ := json.Marshal(d); string(b) != "20260901" {
		t.Errorf("a date is written as %s", b)
	}
}
