package sim

import (
	"encoding/binary"
	"io"

	"quancun/money"
	"quancun/pboc"
	"quancun/reader/apdu"
	"quancun/reader/profile"
)

// pending is what INITIALIZE has prepared. The zero pending is nothing.
type pending struct {
	kind     byte // transaction type identifier
	amount   money.Fen
	terminal pboc.TerminalNo
	random   [4]byte
}

const (
	overdraft = "\x00\x00\x00" // the purse has none
	logMax    = 10
)

// hasPurse reports whether p2 names the purse that the card has.
func (c *Card) hasPurse(p2 byte) bool {
	return c.inDF && c.state.Model == Campus && p2 == c.state.Purse.P2()
}

func (c *Card) isDeposit() bool { return c.state.Purse == profile.KindED }

// getBalance is GET BALANCE, 4.3.
func (c *Card) getBalance(cmd command) ([]byte, apdu.Status) {
	switch {
	case !c.hasPurse(cmd.p2):
		return nil, apdu.NotFound
	case c.isDeposit() && !c.verified:
		return nil, apdu.NotAllowed
	}
	return binary.BigEndian.AppendUint32(nil, c.state.Balance), apdu.OK
}

// initialize is INITIALIZE FOR LOAD (P1 00) and FOR PURCHASE (P1 01), 4.1, 4.2.
func (c *Card) initialize(cmd command) ([]byte, apdu.Status) {
	c.pending = pending{}
	switch {
	case cmd.p1 > 0x01:
		return nil, apdu.WrongP1P2
	case !c.hasPurse(cmd.p2):
		return nil, apdu.NotFound
	case len(cmd.data) != 11:
		return nil, apdu.WrongLength
	}
	p := pending{
		kind:     c.state.Purse.LoadType(),
		amount:   money.Fen(binary.BigEndian.Uint32(cmd.data[1:])),
		terminal: pboc.TerminalNo(cmd.data[5:]),
	}
	refuse := c.refuseLoad
	if cmd.p1 == 0x01 {
		p.kind, refuse = c.state.Purse.PurchaseType(), c.refusePurchase
	}
	if s := refuse(cmd.data[0], p.amount); s != apdu.OK {
		return nil, s
	}
	if _, err := io.ReadFull(c.random, p.random[:]); err != nil {
		return nil, apdu.WriteFailed
	}
	c.pending = p
	if cmd.p1 == 0x01 {
		return c.purchaseOffer(p), apdu.OK
	}
	return c.loadOffer(p), apdu.OK
}

func (c *Card) refuseLoad(key byte, amount money.Fen) apdu.Status {
	switch {
	case c.state.PINForLoad && !c.verified:
		return apdu.NotAllowed
	case key != c.state.LoadKey:
		return apdu.NoKey
	case c.state.Online == 0xFFFF:
		return apdu.CounterMax
	case amount == 0 || money.Fen(c.state.Balance)+amount > c.state.Ceiling:
		return apdu.Conditions
	}
	return apdu.OK
}

func (c *Card) refusePurchase(key byte, amount money.Fen) apdu.Status {
	switch {
	case c.isDeposit() && !c.verified:
		return apdu.NotAllowed
	case key != c.state.PurchaseKey:
		return apdu.NoKey
	case c.state.Offline == 0xFFFF:
		return apdu.CounterMax
	case amount > money.Fen(c.state.Balance):
		return apdu.NoBalance
	}
	return apdu.OK
}

func (c *Card) loadOffer(p pending) []byte {
	l, session := c.load(p)
	mac1 := l.MAC1(session)
	b := binary.BigEndian.AppendUint32(nil, c.state.Balance)
	b = binary.BigEndian.AppendUint16(b, c.state.Online)
	b = append(b, c.state.KeyVersion, c.state.Algorithm)
	return append(append(b, p.random[:]...), mac1[:]...)
}

func (c *Card) purchaseOffer(p pending) []byte {
	b := binary.BigEndian.AppendUint32(nil, c.state.Balance)
	b = binary.BigEndian.AppendUint16(b, c.state.Offline)
	b = append(append(b, overdraft...), c.state.KeyVersion, c.state.Algorithm)
	return append(b, p.random[:]...)
}

// load returns the arithmetic of a load that was initialized.
func (c *Card) load(p pending) (pboc.Load, pboc.SessionKey) {
	l := pboc.Load{
		Balance: c.state.Balance, Counter: c.state.Online,
		Amount: p.amount, Terminal: p.terminal, Type: p.kind,
	}
	return l, pboc.Key(c.state.Keys.Load).LoadSession(p.random, l.Counter)
}

// creditLoad is CREDIT FOR LOAD, 4.1. Balance, counter, log and proof change
// together or not at all.
func (c *Card) creditLoad(cmd command) ([]byte, apdu.Status) {
	p := c.pending
	c.pending = pending{}
	switch {
	case p.kind == 0 || p.kind != c.state.Purse.LoadType():
		return nil, apdu.WrongState
	case len(cmd.data) != 11:
		return nil, apdu.WrongLength
	}
	l, session := c.load(p)
	l.At = pboc.Stamp(cmd.data)
	mac2 := pboc.MAC(cmd.data[7:])
	if !l.MAC2(session).Equal(mac2) {
		return nil, apdu.WrongMAC
	}
	tac := l.TAC(pboc.Key(c.state.Keys.TAC))

	s := c.state.clone()
	s.Balance += uint32(p.amount)
	s.Online++
	s.Last = Proof{Type: p.kind, Counter: s.Online, MAC: mac2[:], TAC: tac[:]}
	s.record(s.Online, p, l.At)
	if err := c.keep(s); err != nil {
		return nil, apdu.WriteFailed
	}
	return tac[:], apdu.OK
}

// debitPurchase is DEBIT FOR PURCHASE, 4.2.
func (c *Card) debitPurchase(cmd command) ([]byte, apdu.Status) {
	p := c.pending
	c.pending = pending{}
	switch {
	case cmd.p1 != 0x01:
		return nil, apdu.WrongP1P2
	case p.kind == 0 || p.kind != c.state.Purse.PurchaseType():
		return nil, apdu.WrongState
	case len(cmd.data) != 15:
		return nil, apdu.WrongLength
	}
	purchase := pboc.Purchase{
		Amount: p.amount, Terminal: p.terminal, Type: p.kind,
		TraceNo: binary.BigEndian.Uint32(cmd.data), At: pboc.Stamp(cmd.data[4:]),
	}
	session := pboc.Key(c.state.Keys.Purchase).PurchaseSession(p.random, c.state.Offline, purchase.TraceNo)
	if !purchase.MAC1(session).Equal(pboc.MAC(cmd.data[11:])) {
		return nil, apdu.WrongMAC
	}
	mac2, tac := purchase.MAC2(session), purchase.TAC(pboc.Key(c.state.Keys.TAC))

	s := c.state.clone()
	s.Balance -= uint32(p.amount)
	s.Offline++
	s.Last = Proof{Type: p.kind, Counter: s.Offline, MAC: mac2[:], TAC: tac[:]}
	s.record(s.Offline, p, purchase.At)
	if err := c.keep(s); err != nil {
		return nil, apdu.WriteFailed
	}
	return append(tac[:], mac2[:]...), apdu.OK
}

// record writes a transaction into the log, 2.3.
func (s *State) record(counter uint16, p pending, at pboc.Stamp) {
	r := binary.BigEndian.AppendUint16(nil, counter)
	r = append(r, overdraft...)
	r = binary.BigEndian.AppendUint32(r, uint32(p.amount))
	r = append(append(r, p.kind), p.terminal[:]...)
	r = append(r, at[:]...)
	s.Log = append([]Hex{r}, s.Log...)
	s.Log = s.Log[:min(len(s.Log), logMax)]
}

// prove is GET TRANSACTION PROVE, 4.3, of the last transaction only.
func (c *Card) prove(cmd command) ([]byte, apdu.Status) {
	last := c.state.Last
	switch {
	case !c.inDF:
		return nil, apdu.NotFound
	case len(cmd.data) != 2:
		return nil, apdu.WrongLength
	case last.Type == 0 || cmd.p2 != last.Type || binary.BigEndian.Uint16(cmd.data) != last.Counter:
		return nil, apdu.NoProof
	}
	return append(append([]byte(nil), last.MAC...), last.TAC...), apdu.OK
}
