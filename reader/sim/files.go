package sim

import (
	"bytes"
	"encoding/binary"
	"io"

	"quancun/pboc"
	"quancun/reader/apdu"
)

// command is a command APDU, taken apart.
type command struct {
	cla, ins, p1, p2 byte
	data             []byte
	le               int // 1 to 256, or 0 if there is no Le field
}

// parse takes a command APDU apart (ISO/IEC 7816-4, 5.1), short lengths only.
func parse(b []byte) (c command, s apdu.Status) {
	if len(b) < 4 {
		return c, apdu.WrongLength
	}
	c.cla, c.ins, c.p1, c.p2, b = b[0], b[1], b[2], b[3], b[4:]
	if len(b) > 1 {
		n := int(b[0])
		if n == 0 || len(b) < 1+n || len(b) > 1+n+1 {
			return c, apdu.WrongLength
		}
		c.data, b = b[1:1+n], b[1+n:]
	}
	if len(b) == 1 {
		if c.le = int(b[0]); c.le == 0 {
			c.le = 256
		}
	}
	return c, apdu.OK
}

const mfName = "1PAY.SYS.DDF01"

// selectFile is SELECT, chapter 2. Selecting a DF drops the security state.
func (c *Card) selectFile(cmd command) ([]byte, apdu.Status) {
	switch {
	case cmd.p1 == 0x04 && len(cmd.data) > 0 && bytes.Equal(cmd.data, c.state.AID):
		return c.selectDF(true)
	case cmd.p1 == 0x04 && string(cmd.data) == mfName:
		return c.selectDF(false)
	case cmd.p1 == 0x00 && len(cmd.data) == 0:
		return c.selectDF(false)
	case cmd.p1 == 0x00 && len(cmd.data) == 2:
		return c.selectID(binary.BigEndian.Uint16(cmd.data))
	case cmd.p1 != 0x00 && cmd.p1 != 0x04:
		return nil, apdu.WrongP1P2
	}
	return nil, apdu.NotFound
}

func (c *Card) selectID(id uint16) ([]byte, apdu.Status) {
	switch {
	case id == 0x3F00:
		return c.selectDF(false)
	case id != 0 && id == c.state.DF:
		return c.selectDF(true)
	case c.inDF && id < 0x20 && c.state.Files[byte(id)] != nil:
		c.file = byte(id)
		return nil, apdu.OK
	}
	return nil, apdu.NotFound
}

func (c *Card) selectDF(application bool) ([]byte, apdu.Status) {
	if application && c.state.Locked {
		return nil, apdu.Unsupported
	}
	c.volatile = volatile{powered: true, inDF: application, mf: c.mf}
	name, inner := []byte(mfName), []byte{0x88, 0x01, 0x01}
	if application {
		name = c.state.AID
		inner = append([]byte{0x9F, 0x0C}, tlv(c.state.Files[0x15])...)
	}
	fci := append([]byte{0x84}, tlv(name)...)
	fci = append(append(fci, 0xA5), tlv(inner)...)
	return append([]byte{0x6F}, tlv(fci)...), apdu.OK
}

// tlv returns the length and the value of a BER-TLV object.
func tlv(value []byte) []byte {
	if len(value) > 127 {
		return append([]byte{0x81, byte(len(value))}, value...)
	}
	return append([]byte{byte(len(value))}, value...)
}

// selectForeign is all that a card of somebody else has to say to us.
func (c *Card) selectForeign(cmd command) ([]byte, apdu.Status) {
	switch {
	case cmd.cla != 0x00:
		return nil, apdu.UnknownCLA
	case cmd.ins != 0xA4:
		return nil, apdu.UnknownINS
	case cmd.p1 == 0x04 && string(cmd.data) == mfName:
		return c.selectDF(false)
	}
	return nil, apdu.NotFound
}

// fileMax is the longest answer to a read: FMCOS limits Le to 239 (chapter 1).
const fileMax = 239

// readBinary is READ BINARY, chapter 2: by SFI, or of the selected file.
func (c *Card) readBinary(cmd command) ([]byte, apdu.Status) {
	sfi, offset := c.file, int(cmd.p1)<<8|int(cmd.p2)
	if cmd.p1&0x80 != 0 {
		sfi, offset = cmd.p1&0x1F, int(cmd.p2)
	}
	file, ok := c.state.Files[sfi]
	if !c.inDF || !ok {
		return nil, apdu.NotFound
	}
	if offset >= len(file) {
		return nil, apdu.WrongOffset
	}
	rest := file[offset:min(len(file), offset+fileMax)]
	switch {
	case cmd.le == 0 || cmd.le == 256:
		return rest, apdu.OK
	case cmd.le > len(rest):
		return nil, 0x6C00 | apdu.Status(len(rest))
	}
	return rest[:cmd.le], apdu.OK
}

// readRecord is READ RECORD of the log, chapter 2: one record, or with P2 ending
// in 5 all from one on.
func (c *Card) readRecord(cmd command) ([]byte, apdu.Status) {
	all := cmd.p2&0x07 == 0x05
	switch {
	case !c.inDF || cmd.p2>>3 != c.state.LogSFI:
		return nil, apdu.NotFound
	case !all && cmd.p2&0x07 != 0x04:
		return nil, apdu.WrongP1P2
	case c.state.PINForLog && !c.verified:
		return nil, apdu.NotAllowed
	case cmd.p1 == 0 || int(cmd.p1) > len(c.state.Log):
		return nil, apdu.NoRecord
	}
	records := c.state.Log[cmd.p1-1:]
	if !all {
		records = records[:1]
	}
	var data []byte
	for _, r := range records {
		data = append(data, r...)
	}
	if cmd.le != 0 && cmd.le != 256 && cmd.le != len(data) {
		return nil, 0x6C00 | apdu.Status(len(data))
	}
	return data, apdu.OK
}

// getChallenge is GET CHALLENGE, 4.3.
func (c *Card) getChallenge(cmd command) ([]byte, apdu.Status) {
	if cmd.le != 4 && cmd.le != 8 {
		return nil, apdu.WrongLength
	}
	b := make([]byte, cmd.le)
	if _, err := io.ReadFull(c.random, b); err != nil {
		return nil, apdu.WriteFailed
	}
	c.challenge = new(pboc.Challenge)
	copy(c.challenge[:], b)
	return b, apdu.OK
}
