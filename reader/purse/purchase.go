package purse

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"quancun/money"
	"quancun/pboc"
	"quancun/reader/apdu"
	"quancun/reader/profile"
)

// InitPurchase is INITIALIZE FOR PURCHASE (初始化消费), 4.2. An amount of zero is
// a way to read balance and counter without a PIN.
type InitPurchase struct {
	Kind     profile.Kind
	KeyIndex byte
	Amount   money.Fen // 0 to 2³¹-1 fen
	Terminal pboc.TerminalNo
}

// PurchaseOffer is the card's answer to [InitPurchase]. It moves no money yet:
// the terminal's SAM makes MAC1 from it, which [DebitPurchase] carries.
type PurchaseOffer struct {
	Balance    uint32 // raw, before the purchase; see [Fen]
	Counter    uint16 // offline transaction counter (脱机交易序号)
	Overdraft  uint32 // 3 bytes, in fen
	KeyVersion byte
	Algorithm  byte
	Random     [4]byte
}

// Send asks card for an offer. [apdu.NoBalance] says that it cannot pay. No
// error of it leaves a doubt: nothing has moved.
func (c InitPurchase) Send(card Card) (PurchaseOffer, error) {
	data, err := forPurchase.send(card, request(c))
	if err != nil {
		return PurchaseOffer{}, err
	}
	return ParsePurchaseOffer(data)
}

// ParsePurchaseOffer reads the answer to INITIALIZE FOR PURCHASE.
func ParsePurchaseOffer(data []byte) (o PurchaseOffer, err error) {
	s := cryptobyte.String(data)
	if !s.ReadUint32(&o.Balance) ||
		!s.ReadUint16(&o.Counter) ||
		!s.ReadUint24(&o.Overdraft) ||
		!s.ReadUint8(&o.KeyVersion) ||
		!s.ReadUint8(&o.Algorithm) ||
		!s.CopyBytes(o.Random[:]) ||
		!s.Empty() {
		return PurchaseOffer{}, fmt.Errorf("initialize for purchase: answer has %d bytes, not 15", len(data))
	}
	return o, nil
}

// DebitPurchase is DEBIT FOR PURCHASE (消费), 4.2: the command that takes money
// from the purse.
type DebitPurchase struct {
	TraceNo uint32 // terminal transaction number (终端交易序号), the SAM's
	At      pboc.Stamp
	MAC1    pboc.MAC
}

// Debit is the card's answer to [DebitPurchase].
type Debit struct {
	TAC  pboc.MAC // for the issuer
	MAC2 pboc.MAC // for the SAM: proof that the card is genuine
}

// Send debits the purse.
//
// If it fails and the error is not [Certain], nobody knows whether the card
// has paid: see [SettlePurchase].
func (c DebitPurchase) Send(card Card) (d Debit, err error) {
	b := bigEndian.AppendUint32(nil, c.TraceNo)
	b = append(append(b, c.At[:]...), c.MAC1[:]...)
	data, err := send(card, "debit for purchase", apdu.Command{
		CLA: 0x80, INS: 0x54, P1: 0x01, Data: b, Le: 8,
	}, 8)
	if err != nil {
		return Debit{}, err
	}
	copy(d.TAC[:], data[:4])
	copy(d.MAC2[:], data[4:])
	return d, nil
}

// Prove is GET TRANSACTION PROVE (取交易认证), 4.3. Cards can prove their last
// transaction only, and answer [apdu.NoProof] for any other.
type Prove struct {
	Type    byte   // transaction type identifier, such as [pboc.TypeLoad]
	Counter uint16 // see [profile.Prove]
}

// Proof is the card's answer to [Prove].
type Proof struct {
	MAC pboc.MAC // MAC2 of a purchase; of a load unspecified
	TAC pboc.MAC
}

// Send asks card for the proof. That a proof exists does not say that it is of
// the transaction one has in mind: the TAC does, to whoever can check it.
func (c Prove) Send(card Card) (p Proof, err error) {
	data, err := send(card, "get transaction prove", apdu.Command{
		CLA: 0x80, INS: 0x5A, P2: c.Type, Data: bigEndian.AppendUint16(nil, c.Counter), Le: 8,
	}, 8)
	if err != nil {
		return Proof{}, err
	}
	copy(p.MAC[:], data[:4]) // the reverse of DEBIT FOR PURCHASE
	copy(p.TAC[:], data[4:])
	return p, nil
}
