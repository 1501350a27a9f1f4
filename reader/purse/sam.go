package purse

import (
	"quancun/money"
	"quancun/pboc"
	"quancun/reader/apdu"
)

// ReadTerminalNo reads a SAM's terminal number (终端机编号), 5.1. It is part of
// every MAC, so a terminal with another number cannot sell with this SAM.
type ReadTerminalNo struct{}

// Send returns the number.
func (ReadTerminalNo) Send(sam Card) (no pboc.TerminalNo, err error) {
	data, err := send(sam, "read terminal number", apdu.Command{INS: 0xB0, P1: 0x96, Le: len(no)}, len(no))
	copy(no[:], data)
	return no, err
}

// InitSAM is INIT SAM FOR PURCHASE (MAC1 计算), 5.1: the SAM numbers the purchase
// and makes the MAC1 by which the terminal proves itself to the card.
type InitSAM struct {
	Offer  PurchaseOffer
	Amount money.Fen
	Type   byte // transaction type identifier
	At     pboc.Stamp
	Factor [8]byte // diversifies the purchase key into the card's
}

// SAMOffer is what [DebitPurchase] carries of it.
type SAMOffer struct {
	TraceNo uint32 // terminal transaction number; used up, whatever comes of it
	MAC1    pboc.MAC
}

// Send asks sam for the offer. It is good for this card and this offer of it
// only; the SAM then waits for [CheckMAC2].
func (c InitSAM) Send(sam Card) (o SAMOffer, err error) {
	if err := inRange(c.Amount, 0); err != nil {
		return o, err
	}
	b := append([]byte(nil), c.Offer.Random[:]...)
	b = bigEndian.AppendUint16(b, c.Offer.Counter)
	b = bigEndian.AppendUint32(b, uint32(c.Amount))
	b = append(append(b, c.Type), c.At[:]...)
	b = append(b, c.Offer.KeyVersion, c.Offer.Algorithm)
	data, err := send(sam, "init SAM for purchase", apdu.Command{
		CLA: 0x80, INS: 0x70, Data: append(b, c.Factor[:]...), Le: 8,
	}, 8)
	if err != nil {
		return o, err
	}
	o.TraceNo = bigEndian.Uint32(data)
	copy(o.MAC1[:], data[4:])
	return o, nil
}

// CheckMAC2 is CREDIT SAM FOR PURCHASE (校验 MAC2), 5.1: has the card that was
// debited proved itself? It can be asked once for each [InitSAM].
type CheckMAC2 struct {
	MAC2 pboc.MAC
}

// Send returns nil for a genuine card and [apdu.WrongMAC] for any other. A SAM
// that has begun another purchase meanwhile answers [apdu.WrongState].
func (c CheckMAC2) Send(sam Card) error {
	_, err := send(sam, "check MAC2", apdu.Command{CLA: 0x80, INS: 0x72, Data: c.MAC2[:]}, 0)
	return err
}
