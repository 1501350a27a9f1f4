package centre

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"quancun/pboc"
	"quancun/upstream/wire"
	v1 "quancun/upstream/wire/quancun/v1"
)

// Blank is a card that nobody has yet.
type Blank struct {
	Ref     string // of the act that is to issue it
	Account string
	UID     string // hexadecimal
}

// Plan is what a card is to say of itself and of its holder.
type Plan struct {
	CardNo        string // 20 hexadecimal digits
	Name, Number  string
	Start, Expiry time.Time
}

// Begin gives a number to the card that the act of b.Ref is to issue. The same ref
// has the same number. Nothing is issued by it. Refusals: HolderUnknown,
// AccountClosed, ActConflict, ActClosed.
func (d *Desk) Begin(ctx context.Context, clerk string, b Blank) (Plan, error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	session, err := d.session(clerk)
	if err != nil {
		return Plan{}, err
	}
	r, err := d.rpc.BeginCard(ctx, connect.NewRequest(&v1.BeginCardRequest{
		Session: session, Ref: b.Ref, Account: b.Account, Uid: b.UID,
	}))
	if err != nil {
		return Plan{}, explain("begin card", err)
	}
	m := r.Msg
	return Plan{m.CardNo, m.Name, m.Number, at(m.Start), at(m.Expiry)}, nil
}

// Command asks for what only a holder of keys can make for a card that was begun.
type Command struct {
	Ref    string
	Factor [8]byte // by the card's profile
	pboc.Order
}

// Command returns the data field of the command that brings a part to the card. It
// does not say that the card has taken it. It may be asked for again, and after the
// card was issued too. Refusals: NoBlanks, FactorTaken, ActUnknown if the card was
// not begun, ActClosed, Malformed.
func (d *Desk) Command(ctx context.Context, clerk string, c Command) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	session, err := d.session(clerk)
	if err != nil {
		return nil, err
	}
	r, err := d.rpc.CardCommand(ctx, connect.NewRequest(&v1.CardCommandRequest{
		Session: session, Ref: c.Ref, Factor: c.Factor[:], Part: int32(c.Part), Challenge: c.Challenge[:],
		Index: uint32(c.Index), Sfi: uint32(c.SFI), Offset: uint32(c.Offset), Data: c.Data,
	}))
	if err != nil {
		return nil, explain("card command", err)
	}
	return r.Msg.Field, nil
}

// Rewrite asks for what a finished card takes when it is to say something else of its
// holder.
type Rewrite struct {
	CardNo string
	pboc.Order
}

// HolderCommand returns the data field of the command that brings a part to the card.
// It does not say that the card has taken it. Refusals: NoBlanks, CardUnknown,
// NotMadeHere, CardRefuses, ActRefused for a card that may not be used, AccountClosed, Malformed.
func (d *Desk) HolderCommand(ctx context.Context, clerk string, r Rewrite) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	session, err := d.session(clerk)
	if err != nil {
		return nil, err
	}
	p, err := d.rpc.HolderCommand(ctx, connect.NewRequest(&v1.HolderCommandRequest{
		Session: session, CardNo: r.CardNo, Part: int32(r.Part), Challenge: r.Challenge[:],
		Sfi: uint32(r.SFI), Offset: uint32(r.Offset), Data: r.Data,
	}))
	if err != nil {
		return nil, explain("holder command", err)
	}
	return p.Msg.Field, nil
}

// NameRefused is that a card has refused another name of its holder.
type NameRefused struct {
	Ref    string // of the attempt
	CardNo string
	Status uint16 // the card's own word
	At     time.Time
}

// RefuseName tells it upstream, so that no terminal tries the card again. It may be
// said again. Refusal: CardUnknown.
func (d *Desk) RefuseName(ctx context.Context, clerk string, r NameRefused) error {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	session, err := d.session(clerk)
	if err != nil {
		return err
	}
	_, err = d.rpc.RefuseName(ctx, connect.NewRequest(&v1.RefuseNameRequest{
		Session: session, Ref: r.Ref, CardNo: r.CardNo, StatusWord: uint32(r.Status), At: timestamppb.New(r.At),
	}))
	return explain("refuse name", err)
}

// NewPIN is a PIN that a card is to take.
type NewPIN struct {
	Account string // the card's
	CardNo  string
	ASCII   bool // the card keeps it as characters, and not as BCD
}

// SignPIN returns the MAC by which the card takes pin (RELOAD PIN), if that is the
// PIN of the account upstream and the card may be used. The caller wipes pin. The
// MAC may be asked for again. Refusals: CardUnknown, PINWrong with the tries left,
// PINLocked.
func (d *Desk) SignPIN(ctx context.Context, clerk string, n NewPIN, pin *[wire.PINLen]byte) (mac pboc.MAC, err error) {
	ctx, cancel := context.WithTimeout(ctx, sealed)
	defer cancel()
	challenge, cipher, err := d.seal(ctx, clerk, n.Account, pin)
	if err != nil {
		return mac, err
	}
	session, err := d.session(clerk)
	if err != nil {
		return mac, err
	}
	r, err := d.rpc.SignPIN(ctx, connect.NewRequest(&v1.SignPINRequest{
		Session: session, CardNo: n.CardNo, Challenge: challenge, SealedPin: cipher, Ascii: n.ASCII,
	}))
	if err != nil {
		return mac, explain("sign PIN", err)
	}
	if len(r.Msg.Mac) != len(mac) {
		return mac, errors.New("sign PIN: malformed answer")
	}
	copy(mac[:], r.Msg.Mac)
	return mac, nil
}
