package purse

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"quancun/money"
	"quancun/pboc"
	"quancun/reader/apdu"
	"quancun/reader/profile"
)

// ReadLog is READ RECORD (读记录) of the transaction log, 2.3.
type ReadLog struct {
	SFI    byte
	Record byte // 1 is the newest
}

// LogRecord is one transaction as the card wrote it down.
//
// Counter is not to be relied upon: manual and cards disagree whether it is the
// one before or after the transaction (2.3). Match the other fields.
type LogRecord struct {
	Counter   uint16
	Overdraft uint32 // 3 bytes, in fen
	Amount    money.Fen
	Type      byte // transaction type identifier
	Terminal  pboc.TerminalNo
	At        pboc.Stamp
}

const logRecordSize = 23

// Send reads the record. [apdu.NoRecord] says that there are no more.
func (c ReadLog) Send(card Card) (LogRecord, error) {
	data, err := send(card, "read log", apdu.Command{
		INS: 0xB2, P1: c.Record, P2: c.SFI<<3 | 0x04, Le: logRecordSize,
	}, logRecordSize)
	if err != nil {
		return LogRecord{}, err
	}
	return ParseLogRecord(data)
}

// ParseLogRecord reads one record of file 0x18.
func ParseLogRecord(data []byte) (r LogRecord, err error) {
	s := cryptobyte.String(data)
	var amount uint32
	if !s.ReadUint16(&r.Counter) ||
		!s.ReadUint24(&r.Overdraft) ||
		!s.ReadUint32(&amount) ||
		!s.ReadUint8(&r.Type) ||
		!s.CopyBytes(r.Terminal[:]) ||
		!s.CopyBytes(r.At[:]) ||
		!s.Empty() {
		return LogRecord{}, fmt.Errorf("purse: a log record has %d bytes, not %d", len(data), logRecordSize)
	}
	r.Amount = money.Fen(amount)
	return r, nil
}

// ReadHistory returns the whole log, newest first. A card that wants its PIN
// first answers [apdu.NotAllowed].
func ReadHistory(card Card, p *profile.Profile) ([]LogRecord, error) {
	var all []LogRecord
	for i := range p.Log.Records {
		r, err := ReadLog{SFI: p.Log.SFI, Record: byte(i + 1)}.Send(card)
		if errors.Is(err, apdu.NoRecord) {
			break
		}
		if err != nil {
			return nil, err
		}
		if r == (LogRecord{}) {
			break // a log written in advance with zeros
		}
		all = append(all, r)
	}
	return all, nil
}
