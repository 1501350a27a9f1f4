package sim

import (
	"encoding/binary"
	"sync"

	"quancun/money"
	"quancun/pboc"
	"quancun/reader/apdu"
)

// SAM is a virtual purchase SAM (PSAM, 消费安全存取模块), 5.1: it keeps the purchase
// master key, numbers the terminal's transactions and makes MAC1.
type SAM struct {
	mu       sync.Mutex
	terminal pboc.TerminalNo
	master   pboc.Key
	traceNo  uint32 // of the next transaction

	open    bool // after 8070, until 8072
	expects pboc.MAC
}

// NewSAM returns a SAM with the given terminal number and purchase master key,
// whose first transaction gets the number traceNo.
func NewSAM(terminal pboc.TerminalNo, master pboc.Key, traceNo uint32) *SAM {
	return &SAM{terminal: terminal, master: master, traceNo: traceNo}
}

// TraceNo returns the terminal transaction number of the next transaction.
func (m *SAM) TraceNo() uint32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.traceNo
}

// Transmit executes one command.
func (m *SAM) Transmit(wire []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	cmd, s := parse(wire)
	var data []byte
	if s == apdu.OK {
		data, s = m.execute(cmd)
	}
	return append(append([]byte(nil), data...), byte(s>>8), byte(s)), nil
}

func (m *SAM) execute(cmd command) ([]byte, apdu.Status) {
	switch [2]byte{cmd.cla, cmd.ins} {
	case [2]byte{0x00, 0xA4}:
		return nil, apdu.OK // the MF and the purchase application are one here
	case [2]byte{0x00, 0xB0}:
		if cmd.p1 != 0x96 || cmd.p2 != 0 {
			return nil, apdu.NotFound
		}
		return m.terminal[:], apdu.OK
	case [2]byte{0x80, 0x70}:
		return m.initPurchase(cmd.data)
	case [2]byte{0x80, 0x72}:
		return m.checkMAC2(cmd.data)
	}
	return nil, apdu.UnknownINS
}

// initPurchase is INIT SAM FOR PURCHASE (MAC1 计算), 5.1: random4, counter2,
// amount4, type1, date4 and time3, key version1, algorithm1, then the
// diversification factors, 8 bytes for each level.
func (m *SAM) initPurchase(data []byte) ([]byte, apdu.Status) {
	const fixed = 4 + 2 + 4 + 1 + 7 + 1 + 1
	if n := len(data) - fixed; n < 0 || n%8 != 0 || n > 3*8 {
		return nil, apdu.WrongLength
	}
	key := m.master
	for factors := data[fixed:]; len(factors) > 0; factors = factors[8:] {
		key = key.Diversify([8]byte(factors))
	}
	p := pboc.Purchase{
		Amount: money.Fen(binary.BigEndian.Uint32(data[6:])), Type: data[10],
		At: pboc.Stamp(data[11:]), Terminal: m.terminal, TraceNo: m.traceNo,
	}
	session := key.PurchaseSession([4]byte(data), binary.BigEndian.Uint16(data[4:]), p.TraceNo)
	m.traceNo++
	m.open, m.expects = true, p.MAC2(session)
	mac1 := p.MAC1(session)
	return append(binary.BigEndian.AppendUint32(nil, p.TraceNo), mac1[:]...), apdu.OK
}

// checkMAC2 is CREDIT SAM FOR PURCHASE (校验 MAC2), 5.1.
func (m *SAM) checkMAC2(data []byte) ([]byte, apdu.Status) {
	switch {
	case len(data) != 4:
		return nil, apdu.WrongLength
	case !m.open:
		return nil, apdu.WrongState
	}
	m.open = false
	if !m.expects.Equal(pboc.MAC(data)) {
		return nil, apdu.WrongMAC
	}
	return nil, apdu.OK
}
