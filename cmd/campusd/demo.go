package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"quancun/cmd/campusd/bath"
	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/keys"
	"quancun/upstream/server"
	"quancun/upstream/staff"
	"quancun/upstream/store"
	"quancun/upstream/wire"
)

// person is a made-up holder. The ID numbers are of region 000000, which does
// not exist, so they are nobody's; the PIN is made from them by the rule of
// the school, printed in the cards' file, and the numbers are kept nowhere.
type person struct {
	name, number, id string
	balance          money.Fen
	cards            []piece
}

// piece is a made-up card. The purse may hold less than the books' mirror:
// that was spent offline and has not arrived yet.
type piece struct {
	kind, note    string
	serial        uint32
	mirror, purse money.Fen
	status        store.CardStatus
	expiry        string
}

const (
	demoStart  = "20240901"
	demoExpiry = "20991231"
)

// people are the demonstration's holders. Their names are hard on fonts and on
// fields that were made too short.
var people = []person{
	{"王喆", "2026000101", "000000200501011231", 8650, []piece{
		{"level", "与账户一致", 101, 8650, 8650, store.CardActive, demoExpiry}}},
	{"李堃", "2026000102", "000000200502021239", 10000, []piece{
		{"to_load", "待圈存", 102, 3000, 3000, store.CardActive, demoExpiry}}},
	{"陈昇", "2026000103", "000000200503031236", 4500, []piece{
		{"spent_offline", "有脱机消费未上送", 103, 4500, 3820, store.CardActive, demoExpiry}}},
	{"赵珺祎", "2026000104", "00000020050404125X", 0, []piece{
		{"empty", "新卡，余额为零", 104, 0, 0, store.CardActive, demoExpiry}}},
	{"阿卜杜热合曼·买买提艾力", "2026000105", "000000200505051230", 25000, []piece{
		{"to_load", "待圈存", 105, 0, 0, store.CardActive, demoExpiry}}},
	{"Maria Fernández", "60123", "000000198506061238", 98000, []piece{
		{"near_cap", "接近余额上限", 106, 98000, 98000, store.CardActive, demoExpiry}}},
	{"刘洋", "2026000107", "000000200507071235", 5000, []piece{
		{"hot", "已挂失", 107, 5000, 5000, store.CardHot, demoExpiry}}},
	{"周敏", "2026000108", "000000200508081232", 6000, []piece{
		{"expired", "已过有效期", 108, 6000, 6000, store.CardActive, "20250831"},
		{"retired", "已换卡作废", 109, 2000, 2000, store.CardRetired, demoExpiry}}},
}

// crew are those of the demonstration's holders who work at terminals: their
// cards are also their staff cards, and their PINs the same.
var crew = []struct {
	person
	role staff.Role
}{
	{person{"孙桂英", "60201", "000000198509011236", 2000, []piece{
		{"cashier", "收银员", 201, 2000, 2000, store.CardActive, demoExpiry}}}, staff.Cashier},
	{person{"周建国", "60202", "000000197909021236", 2000, []piece{
		{"supervisor", "主管", 202, 2000, 2000, store.CardActive, demoExpiry}}}, staff.Supervisor},
	{person{"吴敏", "60203", "000000198809031239", 2000, []piece{
		{"clerk", "卡务员", 203, 2000, 2000, store.CardActive, demoExpiry}}}, staff.Clerk},
	{person{"郑强", "60204", "000000199009041230", 2000, []piece{
		{"admin", "管理员", 204, 2000, 2000, store.CardActive, demoExpiry}}}, staff.Admin},
}

// demoCard is what a card maker needs to make one of the cards. JSON.
type demoCard struct {
	CardNo         string    `json:"card_no"`
	Factor         string    `json:"factor"`
	UID            string    `json:"uid"`
	Name           string    `json:"name"`
	HolderNo       string    `json:"holder_no"`
	PIN            string    `json:"pin"`
	Kind           string    `json:"kind"`
	Note           string    `json:"note"` // for people: what is special about it
	Keys           demoKeys  `json:"keys"`
	PurseFen       money.Fen `json:"purse_fen"`
	OnlineCounter  uint16    `json:"online_counter"`
	OfflineCounter uint16    `json:"offline_counter"`
	Start          string    `json:"start"`
	Expiry         string    `json:"expiry"`
}

type demoKeys struct {
	DLK  string `json:"dlk"`
	DPK  string `json:"dpk"`
	DTK  string `json:"dtk"`
	DRPK string `json:"drpk"`
}

func keysText(k keys.CardKeys) demoKeys {
	return demoKeys{text(k.DLK[:]), text(k.DPK[:]), text(k.DTK[:]), text(k.DRPK[:])}
}

// demo opens the demonstration's accounts and writes its cards, with all their
// secrets, for the lab to make virtual cards of. It is not for a real school.
func demo(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("demo", flag.ContinueOnError)
	var p place
	p.flags(f)
	file := f.String("cards", "", "file of cards to write")
	if _, err := parse(f, args, 0); err != nil {
		return err
	}
	if *file == "" {
		return fmt.Errorf("--cards is missing\n%w", errUsage)
	}
	if _, err := os.Lstat(*file); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is there already", *file)
	}
	d, err := p.open(ctx)
	if err != nil {
		return err
	}
	cards, err := p.seed(ctx, d)
	if err == nil {
		err = p.seedBaths(ctx, d)
	}
	if err := errors.Join(err, d.books.Close()); err != nil {
		return err
	}
	text, err := json.MarshalIndent(cards, "", "\t")
	if err != nil {
		return err
	}
	if err := keys.WriteSecret(*file, append(text, '\n')); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%d holders, %d cards: %s\n", len(people)+len(crew), len(cards), *file)
	return err
}

func (p place) seedBaths(ctx context.Context, d data) error {
	desk, err := bath.Open(ctx, bath.Data{Books: d.books, Dir: p.dir, Policy: bath.Usual()})
	if err != nil {
		return err
	}
	return bath.Demo(ctx, desk)
}

// seed opens the accounts, and returns the cards with their keys.
func (p place) seed(ctx context.Context, d data) ([]demoCard, error) {
	c, err := p.read()
	if err != nil {
		return nil, err
	}
	k, done, err := p.keysOf(ctx, c, d.books)
	if err != nil {
		return nil, err
	}
	cards, err := d.seed(ctx, k)
	if err == nil && c.Keys.Module == "" {
		err = keys.WriteBlanks(p.keyFile(), factoryKey)
	}
	return cards, errors.Join(err, done())
}

// factoryKey is the transport key of the lab's blanks, which is that of chips as
// they leave their factory.
var factoryKey = pboc.Key(bytes.Repeat([]byte{0xFF}, len(pboc.Key{})))

func (d data) seed(ctx context.Context, k keyStore) (cards []demoCard, err error) {
	for _, p := range people {
		own, err := d.seedPerson(ctx, k, p)
		if err != nil {
			return nil, err
		}
		cards = append(cards, own...)
	}
	for _, m := range crew {
		own, err := d.seedPerson(ctx, k, m.person)
		if err != nil {
			return nil, err
		}
		cards = append(cards, own...)
		member := staff.Member{No: m.number, Name: m.name, Role: m.role, Card: own[0].CardNo}
		kept, err := server.NewPIN(ctx, k, member.Owner(), (*[wire.PINLen]byte)([]byte(own[0].PIN)))
		if err != nil {
			return nil, err
		}
		if err := staff.NewRoll(d.books).Add(ctx, member, kept, "demo"); err != nil {
			return nil, err
		}
	}
	stranger := piece{"unknown", "外校的卡", 900, 0, 1234, 0, demoExpiry}
	cards = append(cards, stranger.demo(person{name: "外校生", number: "99001"}, "123456", strangeKeys()))
	for i, kind := range []string{"bank", "m1", "blank"} { // no campus cards at all
		cards = append(cards, demoCard{
			UID: fmt.Sprintf("08%06X", i), Name: "不是校园卡", Kind: kind, Note: "不是校园卡", Keys: keysText(keys.CardKeys{}),
			Start: demoStart, Expiry: demoExpiry,
		})
	}
	return cards, nil
}

// seedPerson opens a holder's account, and returns the holder's cards.
func (d data) seedPerson(ctx context.Context, k keyStore, p person) (cards []demoCard, err error) {
	pin, err := server.InitialPIN(p.id)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.number, err)
	}
	h := store.Holder{Account: store.HolderAccount(p.number), Name: p.name, Number: p.number}
	kept, err := server.NewPIN(ctx, k, h.Account, &pin)
	if err != nil {
		return nil, err
	}
	if err := d.books.AddHolder(ctx, h, kept, p.balance); err != nil {
		return nil, err
	}
	for _, c := range p.cards {
		asn, factor := c.numbers()
		err := d.books.AddCard(ctx, store.Card{
			No: asn, Account: h.Account, Factor: factor, UID: c.uid(), Status: c.status, Mirror: c.mirror,
		})
		if err != nil {
			return nil, err
		}
		own, err := k.IssueCard(ctx, factor)
		if err != nil {
			return nil, err
		}
		cards = append(cards, c.demo(p, string(pin[:]), own))
	}
	return cards, nil
}

// numbers returns the application serial number, of which the last 8 bytes
// are the diversification factor.
func (c piece) numbers() (asn string, factor keys.Factor) {
	asn = fmt.Sprintf("0000202600%010d", c.serial)
	raw, err := hex.DecodeString(asn)
	if err != nil {
		panic("campusd: internal error: " + err.Error()) // digits only
	}
	return asn, keys.Factor(raw[2:])
}

func (c piece) uid() string { return fmt.Sprintf("04%06X", 0xA10000+c.serial) }

func (c piece) demo(p person, pin string, k keys.CardKeys) demoCard {
	asn, factor := c.numbers()
	return demoCard{
		CardNo: asn, Factor: text(factor[:]), UID: c.uid(), Name: p.name, HolderNo: p.number, PIN: pin, Kind: c.kind,
		Note: c.note, Keys: keysText(k), PurseFen: c.purse,
		OnlineCounter: uint16(c.serial % 16), OfflineCounter: uint16(c.serial % 64),
		Start: demoStart, Expiry: c.expiry,
	}
}

// strangeKeys are those of a card of another school.
func strangeKeys() (k keys.CardKeys) {
	for _, key := range []*pboc.Key{&k.DLK, &k.DPK, &k.DTK, &k.DRPK} {
		rand.Read(key[:]) //nolint:errcheck // it never fails
	}
	return k
}

func text(b []byte) string { return fmt.Sprintf("%X", b) }
