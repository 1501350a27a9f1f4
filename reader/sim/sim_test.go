package sim_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"quancun/pboc"
	"quancun/reader"
	"quancun/reader/apdu"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/reader/sim"
)

var (
	terminal = pboc.TerminalNo{1, 2, 3, 4, 5, 6}
	at       = pboc.Stamp{0x20, 0x26, 0x09, 0x15, 0x08, 0x30, 0x15}
	today    = purse.Date(20260915)
)

func newCard(t testing.TB) *sim.Card { return sim.New(vectorState(t)) }

// open reads card, which must be one of ours, and verifies its PIN.
func open(t testing.TB, card purse.Card) purse.Info {
	t.Helper()
	info, err := purse.Open(card, profile.Default())
	if err != nil {
		t.Fatal(err)
	}
	pin := purse.PIN{'1', '2', '3', '4', '5', '6'}
	if err := (purse.VerifyPIN{PIN: &pin}).Send(card); err != nil {
		t.Fatal(err)
	}
	return info
}

// authorize is what an issuer answers to an offer.
func authorize(o purse.LoadOffer, c purse.InitLoad, factor [8]byte) purse.CreditLoad {
	l := pboc.Load{Balance: o.Balance, Counter: o.Counter, Amount: c.Amount, Terminal: c.Terminal, At: at}
	session := sim.LabMasters.Load.Diversify(factor).LoadSession(o.Random, o.Counter)
	return purse.CreditLoad{At: at, MAC2: l.MAC2(session)}
}

// TestOpen reads every kind of thing that is laid on a reader.
func TestOpen(t *testing.T) {
	locked := vectorState(t)
	locked.Locked = true
	for _, tt := range []struct {
		name  string
		state sim.State
		err   error
	}{
		{"Campus", vectorState(t), nil},
		{"Bank", sim.Foreign(sim.Bank, [4]byte{1}), purse.ErrForeign},
		{"M1", sim.Foreign(sim.M1, [4]byte{1}), purse.ErrForeign},
		{"Blank", sim.Foreign(sim.Blank, [4]byte{1}), purse.ErrForeign},
		{"Locked", locked, purse.ErrLocked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := purse.Open(sim.New(tt.state), profile.Default()); !errors.Is(err, tt.err) {
				t.Errorf("err = %v, want %v", err, tt.err)
			}
		})
	}
}

// TestIssue issues cards that may not be used, and reads back what was issued.
func TestIssue(t *testing.T) {
	holder := sim.Holder{
		CardNo: purse.CardNo{0, 0, 0x20, 0x26, 0, 1, 0, 1, 0x23, 0x46}, UID: [4]byte{1, 2, 3, 4},
		Name: "欧阳娜娜", Number: "T2026001", Start: 20260901, Expiry: 20300831, Balance: 1234,
	}
	expired, early, disabled := holder, holder, holder
	expired.Start, expired.Expiry = 20200901, 20240831
	early.Start = 20270901
	disabled.Disabled = true
	for _, tt := range []struct {
		name   string
		holder sim.Holder
		err    error
	}{
		{"Valid", holder, nil},
		{"Expired", expired, purse.ErrExpired},
		{"NotStarted", early, purse.ErrNotStarted},
		{"NotEnabled", disabled, purse.ErrNotEnabled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := sim.Issue(profile.Default(), sim.LabMasters, tt.holder)
			if err != nil {
				t.Fatal(err)
			}
			info, err := purse.Open(sim.New(s), profile.Default())
			if err != nil || info.Name != "欧阳娜娜" || info.HolderNo != "T2026001" || info.Balance != 1234 ||
				info.CardNo != tt.holder.CardNo || info.UID != "01020304" {
				t.Errorf("got %+v, %v", info, err)
			}
			if err := info.Check(today); !errors.Is(err, tt.err) {
				t.Errorf("Check = %v, want %v", err, tt.err)
			}
		})
	}
	holder.Name = "一个长得放不进二十个字节的名字"
	if _, err := sim.Issue(profile.Default(), sim.LabMasters, holder); err == nil {
		t.Error("a name that does not fit was issued")
	}
}

// TestIssueOther issues and uses a card as different from the default as can be:
// a deposit, found by its DF, with keys from the UID and a PIN in ASCII.
func TestIssueOther(t *testing.T) {
	p, err := profile.Parse(`
		aid = ""
		df = 0x3F01
		factor = "uid-reversed"
		pin = { encoding = "ascii" }
		purse = { kind = "ed", load_key = 3 }
		holder = { number = { encoding = "bcd" } }
	`)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sim.Issue(p, sim.LabMasters, sim.Holder{UID: [4]byte{1, 2, 3, 4}, Number: "20261", PIN: "654321"})
	if err != nil {
		t.Fatal(err)
	}
	card := sim.New(s)
	pin := purse.PIN{'6', '5', '4', '3', '2', '1'}
	sel := func() {
		if _, err := (purse.Select{File: p.DF}).Send(card); err != nil {
			t.Fatal(err)
		}
		if err := (purse.VerifyPIN{PIN: &pin, Encoding: p.PIN.Encoding}).Send(card); err != nil {
			t.Fatal(err)
		}
	}
	sel()
	load := purse.InitLoad{Kind: p.Purse.Kind, KeyIndex: 3, Amount: 500, Terminal: terminal}
	o, err := load.Send(card)
	if err != nil {
		t.Fatal(err)
	}
	l := pboc.Load{
		Counter: o.Counter, Amount: 500, Terminal: terminal, At: at, Type: pboc.TypeDepositLoad,
	}
	key := sim.LabMasters.Load.Diversify([8]byte{4, 3, 2, 1, 0x80})
	session := key.LoadSession(o.Random, o.Counter)
	if l.MAC1(session) != o.MAC1 {
		t.Error("MAC1 is wrong")
	}
	if _, err := (purse.CreditLoad{At: at, MAC2: l.MAC2(session)}).Send(card); err != nil {
		t.Fatal(err)
	}
	if b, err := (purse.GetBalance{Kind: p.Purse.Kind}).Send(card); err != nil || b != 500 {
		t.Errorf("balance %d, %v; want 500", b, err)
	}
	card.PowerOn() // and the PIN is forgotten
	if _, err := (purse.Select{File: p.DF}).Send(card); err != nil {
		t.Fatal(err)
	}
	if _, err := (purse.GetBalance{Kind: p.Purse.Kind}).Send(card); !errors.Is(err, apdu.NotAllowed) {
		t.Errorf("err = %v, want %v", err, apdu.NotAllowed)
	}
}

func TestLimits(t *testing.T) {
	s := vectorState(t)
	s.PINForLog = true
	card := sim.New(s)
	open(t, card)
	if _, err := (purse.InitLoad{KeyIndex: 1, Amount: 100000 - 5000, Terminal: terminal}).Send(card); err != nil {
		t.Errorf("a load up to the ceiling: %v", err)
	}
	for _, tt := range []struct {
		command purse.InitLoad
		want    error
	}{
		{purse.InitLoad{KeyIndex: 1, Amount: 100000 - 4999, Terminal: terminal}, apdu.Conditions},
		{purse.InitLoad{KeyIndex: 2, Amount: 1, Terminal: terminal}, apdu.NoKey},
		{purse.InitLoad{Kind: profile.KindED, KeyIndex: 1, Amount: 1}, apdu.NotFound},
	} {
		if _, err := tt.command.Send(card); !errors.Is(err, tt.want) {
			t.Errorf("%+v: %v, want %v", tt.command, err, tt.want)
		}
	}
	if _, err := purse.ReadHistory(card, profile.Default()); err != nil {
		t.Errorf("log with PIN: %v", err)
	}
	card.PowerOn()
	if _, err := purse.Open(card, profile.Default()); err != nil {
		t.Fatal(err)
	}
	if _, err := purse.ReadHistory(card, profile.Default()); !errors.Is(err, apdu.NotAllowed) {
		t.Errorf("log without PIN: %v, want %v", err, apdu.NotAllowed)
	}
}

// TestLogIsCyclic buys twelve times and finds the last ten.
func TestLogIsCyclic(t *testing.T) {
	card := newCard(t)
	info := open(t, card)
	sam := sim.NewSAM(terminal, sim.LabMasters.Purchase, 1)
	for i := range 12 {
		if _, err := buy(card, sam, info, pboc.Stamp{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := purse.ReadHistory(card, profile.Default())
	if err != nil || len(all) != 10 || all[0].At != (pboc.Stamp{11}) || all[9].At != (pboc.Stamp{2}) {
		t.Errorf("log = %+v, %v; want the last ten", all, err)
	}
}

// buy buys for 1 yuan, and lets the SAM check the card's MAC2.
func buy(card purse.Card, sam *sim.SAM, info purse.Info, at pboc.Stamp) (purse.Debit, error) {
	o, err := purse.InitPurchase{KeyIndex: 1, Amount: 100, Terminal: terminal}.Send(card)
	if err != nil {
		return purse.Debit{}, err
	}
	m, err := purse.InitSAM{Offer: o, Amount: 100, Type: pboc.TypePurchase, At: at, Factor: info.Factor}.Send(sam)
	if err != nil {
		return purse.Debit{}, err
	}
	d, err := purse.DebitPurchase{TraceNo: m.TraceNo, At: at, MAC1: m.MAC1}.Send(card)
	if err != nil {
		return purse.Debit{}, err
	}
	return d, purse.CheckMAC2{MAC2: d.MAC2}.Send(sam)
}

func TestBreaks(t *testing.T) {
	for _, tt := range []struct {
		how  sim.How
		err  error
		done bool
	}{
		{sim.TearBefore, reader.ErrGone, false},
		{sim.TearAfter, reader.ErrGone, true},
		{sim.SilentBefore, reader.ErrSilent, false},
		{sim.SilentAfter, reader.ErrSilent, true},
		{sim.Slow, nil, true},
		{sim.WrongMAC, nil, true},
		{sim.ZeroMAC, nil, true},
	} {
		card := newCard(t)
		info := open(t, card)
		init := purse.InitLoad{KeyIndex: 1, Amount: 100, Terminal: terminal}
		o, err := init.Send(card)
		if err != nil {
			t.Fatal(err)
		}
		card.Break(sim.Break{How: tt.how, INS: 0x52, Delay: time.Millisecond})
		tac, err := authorize(o, init, info.Factor).Send(card)
		if !errors.Is(err, tt.err) || apdu.Answered(err) {
			t.Errorf("%d: err = %v, want %v", tt.how, err, tt.err)
		}
		if done := card.State().Balance == 5100; done != tt.done {
			t.Errorf("%d: executed %v, want %v", tt.how, done, tt.done)
		}
		if tt.how == sim.ZeroMAC && tac.Valid() || tt.how == sim.Slow && !tac.Valid() {
			t.Errorf("%d: TAC %X", tt.how, tac)
		}
		// A torn card stays dead until it is laid down again.
		if _, err := card.Transmit([]byte{0, 0xA4, 0, 0}); (err != nil) != errors.Is(tt.err, reader.ErrGone) {
			t.Errorf("%d: afterwards %v", tt.how, err)
		}
	}
}

func TestBreakSkips(t *testing.T) {
	card := newCard(t)
	card.Break(sim.Break{How: sim.TearBefore, INS: 0xB0, Skip: 1})
	read := []byte{0, 0xB0, 0x95, 0, 4}
	for i, want := range []bool{false, false, true} { // SELECT does not count
		command := read
		if i == 0 {
			command = []byte{0, 0xA4, 0, 0}
		}
		if _, err := card.Transmit(command); (err != nil) != want {
			t.Errorf("command %d: %v, want broken %v", i, err, want)
		}
	}
}

func TestStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "card.json")
	card, err := sim.Create(path, vectorState(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sim.Create(path, vectorState(t)); !errors.Is(err, os.ErrExist) {
		t.Errorf("a second Create = %v, want %v", err, os.ErrExist)
	}
	info := open(t, card)
	init := purse.InitLoad{KeyIndex: 1, Amount: 100, Terminal: terminal}
	o, err := init.Send(card)
	if err != nil {
		t.Fatal(err)
	}
	card.Break(sim.Break{How: sim.TearAfter, INS: 0x52})
	if _, err := authorize(o, init, info.Factor).Send(card); err == nil {
		t.Fatal("a torn card answered")
	}

	again, err := sim.Load(path) // the lab was restarted
	if err != nil {
		t.Fatal(err)
	}
	if s := again.State(); s.Balance != 5100 || s.Online != 0x12 || len(s.Log) != 1 {
		t.Errorf("balance %d, counter %X, %d log records; want 5100, 12, 1", s.Balance, s.Online, len(s.Log))
	}
	open(t, again)
	if _, err := (purse.Prove{Type: pboc.TypeLoad, Counter: 0x12}).Send(again); err != nil {
		t.Errorf("proof: %v", err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", fi.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".card-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestStoreFails takes the disk away: what cannot be kept is not answered for.
func TestStoreFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cards")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	card, err := sim.Create(filepath.Join(dir, "card.json"), vectorState(t))
	if err != nil {
		t.Fatal(err)
	}
	info := open(t, card)
	init := purse.InitLoad{KeyIndex: 1, Amount: 100, Terminal: terminal}
	o, err := init.Send(card)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := authorize(o, init, info.Factor).Send(card); !errors.Is(err, apdu.WriteFailed) || purse.Certain(err) {
		t.Errorf("err = %v, want %v, which is not certain", err, apdu.WriteFailed)
	}
	if s := card.State(); s.Balance != 5000 {
		t.Errorf("balance %d, want 5000", s.Balance)
	}
}

func TestLoadRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "card.json")
	for _, text := range []string{
		"", "{}", `{"model":"campus"}`, `{"model":"campus","aid":"A0","pin":"12"}`,
		`{"model":"campus","aid":"A000000003","pin":"123456","keys":{"dlk":"00"}}`,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := sim.Load(path); err == nil {
			t.Errorf("Load(%s) = nil error", text)
		}
	}
}

func FuzzTransmit(f *testing.F) {
	f.Add([]byte{0, 0xA4, 4, 0}, []byte{0x80, 0x50, 0, 2, 0x0B})
	f.Add([]byte{0, 0xB0, 0x95, 0}, []byte{0, 0xB2, 1, 0xC5, 0})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		card := newCard(t)
		if _, err := (purse.Select{AID: profile.Default().AID}).Send(card); err != nil {
			t.Fatal(err)
		}
		for _, command := range [][]byte{a, b} {
			if r, err := card.Transmit(command); err != nil || len(r) < 2 || len(r) > 258 {
				t.Fatalf("> %X\n< %X, %v", command, r, err)
			}
		}
		if s := card.State(); s.Balance != 5000 {
			t.Errorf("> %X, > %X: the balance is %d", a, b, s.Balance)
		}
	})
}
