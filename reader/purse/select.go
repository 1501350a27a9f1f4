package purse

import (
	"errors"

	"quancun/reader/apdu"
)

// Select is SELECT (选择文件), chapter 2. It drops the security state: a PIN
// verified before it is forgotten.
type Select struct {
	AID  []byte // select by name, if not empty
	File uint16 // otherwise select by file identifier
}

// FCI is what a card says about a selected file (文件控制信息).
type FCI struct {
	Name []byte // DF name, tag 84
	SFI  byte   // of the directory file, tag 88, or 0

	// Application is the whole of file 0x15, if the card sends it along
	// (tag 9F0C), which saves a READ BINARY.
	Application []byte
}

// Send selects the file. A card that answers 9000 with an FCI that makes no
// sense is selected all the same, and its FCI is empty.
func (c Select) Send(card Card) (FCI, error) {
	cmd := apdu.Command{INS: 0xA4, P1: 0x04, Data: c.AID}
	if len(c.AID) == 0 {
		cmd.P1, cmd.Data = 0x00, bigEndian.AppendUint16(nil, c.File)
	}
	data, err := send(card, "select", cmd, 0)
	if err != nil {
		return FCI{}, err
	}
	fci, err := ParseFCI(data)
	if err != nil {
		return FCI{}, nil //nolint:nilerr // the FCI is a courtesy; the files are read anyway
	}
	return fci, nil
}

var errTLV = errors.New("purse: malformed FCI")

// ParseFCI reads the answer to SELECT: 6F { 84 name, A5 { 88 sfi, 9F0C file } }.
// The result aliases data.
func ParseFCI(data []byte) (f FCI, err error) {
	template, err := find(data, 0x6F)
	if err != nil || template == nil {
		return FCI{}, errTLV
	}
	if f.Name, err = find(template, 0x84); err != nil {
		return FCI{}, err
	}
	inner, err := find(template, 0xA5)
	if err != nil {
		return FCI{}, err
	}
	sfi, err := find(inner, 0x88)
	if err != nil {
		return FCI{}, err
	}
	if len(sfi) == 1 {
		f.SFI = sfi[0]
	}
	if f.Application, err = find(inner, 0x9F0C); err != nil {
		return FCI{}, err
	}
	return f, nil
}

// find returns the value of the first object with the given tag in a BER-TLV
// list, or nil if there is none.
func find(list []byte, tag uint16) ([]byte, error) {
	for len(list) > 0 {
		got, value, rest, err := next(list)
		if err != nil {
			return nil, err
		}
		if got == tag {
			return value, nil
		}
		list = rest
	}
	return nil, nil
}

// next splits the first object off a BER-TLV list. Tags have one byte or two,
// lengths one or, above 127, two: an FCI is never longer than an answer.
func next(list []byte) (tag uint16, value, rest []byte, err error) {
	tag, list = uint16(list[0]), list[1:]
	if tag&0x1F == 0x1F {
		if len(list) == 0 || list[0]&0x80 != 0 {
			return 0, nil, nil, errTLV
		}
		tag, list = tag<<8|uint16(list[0]), list[1:]
	}
	if len(list) == 0 {
		return 0, nil, nil, errTLV
	}
	n := int(list[0])
	list = list[1:]
	if n == 0x81 && len(list) > 0 {
		n, list = int(list[0]), list[1:]
	} else if n >= 0x80 {
		return 0, nil, nil, errTLV
	}
	if n > len(list) {
		return 0, nil, nil, errTLV
	}
	return tag, list[:n:n], list[n:], nil
}
