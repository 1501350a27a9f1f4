package sim_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"quancun/pboc"
	"quancun/reader/apdu"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/reader/sim"
)

var newCardNo = purse.CardNo{0, 0, 0x20, 0x26, 0, 2, 0, 0, 0x00, 0x07}

// issuer is one that has the lab's keys.
func issuer(t testing.TB, n purse.NewCard, p *profile.Profile, uid []byte) purse.Issuer {
	t.Helper()
	f, err := n.Factor(p, uid)
	if err != nil {
		t.Fatal(err)
	}
	card := sim.LabMasters.For(f)
	keys := pboc.NewKeys{
		Transport: sim.LabTransport, Issuer: pboc.Key{1, 2, 3}, Control: pboc.Key{4, 5, 6}, Maintenance: pboc.Key{7, 8, 9},
		TAC: pboc.Key(card.TAC), Reload: pboc.Key(card.Reload), Purchase: pboc.Key(card.Purchase), Load: pboc.Key(card.Load),
		PIN: [3]byte{0x98, 0x76, 0x54},
	}
	return func(o pboc.Order) ([]byte, error) {
		field, err := keys.Field(o)
		for _, secret := range []pboc.Key{keys.Control, keys.Maintenance, keys.TAC, keys.Reload, keys.Purchase, keys.Load} {
			if bytes.Contains(field, secret[:]) {
				t.Error("a key goes to the terminal as it is")
			}
		}
		return field, err
	}
}

func blank() *sim.Card {
	return sim.New(sim.NewBlank(profile.Default(), sim.LabTransport, [4]byte{4, 3, 2, 1}))
}

var fresh = purse.NewCard{CardNo: newCardNo, Name: "一个长得放不进二十个字节的名字", Number: "2026000777", Start: 20260901, Expiry: 20300831}

func personalise(t *testing.T, card *sim.Card) error {
	t.Helper()
	return purse.Personalise(card, profile.Default(), fresh, issuer(t, fresh, profile.Default(), nil))
}

// TestPersonalise makes a blank a card, and uses it: PIN, load, purchase.
func TestPersonalise(t *testing.T) {
	p, card := profile.Default(), blank()
	if _, err := purse.Open(card, p); !errors.Is(err, purse.ErrForeign) {
		t.Fatalf("a blank is open for business: %v", err)
	}
	if err := personalise(t, card); err != nil {
		t.Fatal(err)
	}
	use(t, card)
	before := card.State().MFTries
	if err := personalise(t, card); err != nil || card.State().MFTries != before {
		t.Errorf("again: %v, %d tries, want %d", err, card.State().MFTries, before)
	}
	other := fresh
	other.CardNo[9]++
	if err := purse.Personalise(card, p, other, issuer(t, other, p, nil)); !errors.Is(err, purse.ErrIssued) {
		t.Errorf("as another card: %v", err)
	}
}

// use reads the fresh card, gives it a PIN, loads it and pays with it.
func use(t *testing.T, card *sim.Card) {
	t.Helper()
	info, err := purse.Open(card, profile.Default())
	if err != nil || info.CardNo != newCardNo || info.Name != "一个长得放不进二十个" || info.HolderNo != "2026000777" ||
		info.Expiry != 20300831 || info.Balance != 0 || info.Check(today) != nil {
		t.Fatalf("%+v, %v", info, err)
	}
	keys := sim.LabMasters.For(info.Factor)
	mac := pboc.Key(keys.Reload).Folded().MAC([]byte{0x12, 0x34, 0x56})
	if err := (purse.ReloadPIN{New: &purse.PIN{'1', '2', '3', '4', '5', '6'}, MAC: mac}).Send(card); err != nil {
		t.Fatal(err)
	}
	open(t, card)
	load := purse.InitLoad{KeyIndex: 1, Amount: 500, Terminal: terminal}
	offer, err := load.Send(card)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := authorize(offer, load, info.Factor).Send(card); err != nil {
		t.Fatal(err)
	}
	buy := purse.InitPurchase{KeyIndex: 1, Amount: 300, Terminal: terminal}
	if offer, err := buy.Send(card); err != nil || offer.Balance != 500 {
		t.Errorf("purchase: %+v, %v", offer, err)
	}
}

// TestPersonaliseTorn tears the card at each command, before and after it was done,
// and goes on.
func TestPersonaliseTorn(t *testing.T) {
	for _, how := range []sim.How{sim.TearBefore, sim.TearAfter} {
		for skip := 0; ; skip++ {
			card := blank()
			card.Break(sim.Break{How: how, Skip: skip})
			err := personalise(t, card)
			if err == nil {
				if skip < 30 {
					t.Errorf("only %d commands", skip)
				}
				break
			}
			if apdu.Answered(err) {
				t.Fatalf("torn at %d: %v", skip, err)
			}
			card.PowerOn()
			if err := personalise(t, card); err != nil {
				t.Fatalf("after a tear of kind %d at %d: %v", how, skip, err)
			}
			if s := card.State(); s.MFControl != (sim.Key{1, 2, 3}) {
				t.Errorf("torn at %d: the maker's key is still good", skip)
			}
			use(t, card)
		}
	}
}

// TestLockRefused: a card that does not take the issuer's control key still has the
// maker's. It is not finished, however often it is tried, and is when it takes it.
func TestLockRefused(t *testing.T) {
	p, card, good := profile.Default(), blank(), issuer(t, fresh, profile.Default(), nil)
	bad := func(o pboc.Order) ([]byte, error) {
		field, err := good(o)
		if o.Part == pboc.PartLock {
			field[len(field)-1] ^= 1
		}
		return field, err
	}
	for range 2 {
		if err := purse.Personalise(card, p, fresh, bad); !errors.Is(err, apdu.WrongSecureMAC) {
			t.Errorf("a lock with a wrong MAC = %v, want that it is refused", err)
		}
	}
	if err := purse.Personalise(card, p, fresh, good); err != nil || card.State().MFControl != (sim.Key{1, 2, 3}) {
		t.Errorf("after that: %v, %t locked", err, card.State().MFControl == sim.Key{1, 2, 3})
	}
}

// TestNotBlank: a card that is none of ours is left alone, with tries left.
func TestNotBlank(t *testing.T) {
	foreign := sim.NewBlank(profile.Default(), pboc.Key{1}, [4]byte{4, 3, 2, 1})
	issued := newCard(t).State()
	for name, s := range map[string]sim.State{
		"other key": foreign, "no key": sim.Foreign(sim.Blank, [4]byte{1}), "bank": sim.Foreign(sim.Bank, [4]byte{1}),
		"memory": sim.Foreign(sim.M1, [4]byte{1}), "issued": issued,
	} {
		card := sim.New(s)
		before := fmt.Sprintf("%+v", s.Files)
		err := personalise(t, card)
		if !errors.Is(err, purse.ErrNotBlank) && !errors.Is(err, purse.ErrForeign) && !errors.Is(err, purse.ErrIssued) {
			t.Errorf("%s: %v", name, err)
		}
		if after := card.State(); fmt.Sprintf("%+v", after.Files) != before || after.MFTries < s.MFTries-1 {
			t.Errorf("%s: was changed", name)
		}
	}
}

// TestOtherBlank personalises a card as different from the default as can be.
func TestOtherBlank(t *testing.T) {
	p, err := profile.Parse("aid = \"\"\ndf = 0x3F05\nfactor = \"uid\"\npurse = { kind = \"ed\", load_key = 3 }\n" +
		"holder = { length = 0, name = { length = 0 }, number = { length = 0 } }")
	if err != nil {
		t.Fatal(err)
	}
	uid := [4]byte{9, 8, 7, 6}
	card := sim.New(sim.NewBlank(p, sim.LabTransport, uid))
	n := purse.NewCard{CardNo: newCardNo, Expiry: 20300831}
	if err := purse.Personalise(card, p, n, issuer(t, n, p, uid[:])); err != nil {
		t.Fatal(err)
	}
	if s := card.State(); s.Model != sim.Campus || s.LoadKey != 3 || s.DF != 0x3F05 || s.Keys != sim.LabMasters.For([8]byte{9, 8, 7, 6, 0x80}) {
		t.Errorf("%+v", s)
	}
}

// TestRewrite has a card say another name, in one command, and nothing else. What may
// be the number of an identity document stays.
func TestRewrite(t *testing.T) {
	const document = "1101011990010112"
	p, wants := profile.Default(), purse.Holder{Name: "另一个长得放不进二十个字节的名字", Number: "2026000888"}
	for _, number := range []string{"2026000777", document} {
		card, was := blank(), fresh
		was.Number = number
		field := issuer(t, was, p, nil)
		if err := purse.Personalise(card, p, was, field); err != nil {
			t.Fatal(err)
		}
		before, orders := card.State(), 0
		for range 2 { // the second time nothing is left to write
			err := purse.Rewrite(card, p, wants, func(o pboc.Order) ([]byte, error) { orders++; return field(o) })
			if err != nil || orders != 2 {
				t.Fatalf("%d orders, %v", orders, err)
			}
		}
		info, err := purse.Open(card, p)
		if err != nil || info.Name != "另一个长得放不进二十" {
			t.Errorf("%+v, %v", info, err)
		}
		after := card.State()
		if kept := bytes.Contains(after.Files[0x16], []byte(number)); kept != (number == document) {
			t.Errorf("number %q is there: %t", number, kept)
		}
		if !bytes.Equal(after.Files[0x15], before.Files[0x15]) || after.Files[0x16][0] != before.Files[0x16][0] {
			t.Error("more than name and number was written")
		}
	}
}

// TestWrites: nobody else writes on a card, and who tries three times ends it.
func TestWrites(t *testing.T) {
	card := blank()
	if err := personalise(t, card); err != nil {
		t.Fatal(err)
	}
	talk(t, card, "off\n"+selectedNew+`
		> 04D69508 05 01 00000000                    # no authentication
		< 6982
		> 80E00017 07 A8000AF0FAFFFF                 # no authentication
		< 6982
		> 800E0000
		< 6982
		> 00D69508 01 00
		< 6D00
	`)
	challenge, err := card.Transmit([]byte{0, 0x84, 0, 0, 8})
	if err != nil {
		t.Fatal(err)
	}
	answer := pboc.Key{1, 2, 3}.Answer(pboc.Challenge(challenge[:8]))
	talk(t, card, fmt.Sprintf(`
		> 00820000 08 %X
		< 9000
		> 04D69508 05 01 00000000                    # no challenge
		< 6985
	`, answer))
	for range 3 {
		if _, err := card.Transmit([]byte{0, 0x84, 0, 0, 4}); err != nil {
			t.Fatal(err)
		}
		talk(t, card, "> 04D69508 05 01 00000000\n< 6988")
	}
	talk(t, card, "> 04D69508 05 01 00000000\n< 9303")
}

const selectedNew = `
	> 00A40400 09 A00000000386980701
	< 6F2E8409A00000000386980701A5219F0C1E000000000000000003000000202600020000000720260901203008310000 9000
`
