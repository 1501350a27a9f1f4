package sim

import (
	"encoding/binary"
	"slices"

	"quancun/pboc"
	"quancun/reader/apdu"
)

// What makes a blank a campus card (发卡), 2.4 and 3.2 of the notes, as far as a
// campus card needs it. Where the manuals are silent: what was created is empty
// and not unwritten; the control key of an application is written under the
// card's, and every other key under the application's own; of the rights only that
// to write a file is looked at, which takes the card's control key.

// authenticate is EXTERNAL AUTHENTICATE with the card's control key.
func (c *Card) authenticate(cmd command) ([]byte, apdu.Status) {
	switch {
	case c.state.MFControl == Key{} || cmd.p2 != 0:
		return nil, apdu.KeyNotFound
	case c.state.MFTries == 0:
		return nil, apdu.AuthBlocked
	case c.drawn == nil:
		return nil, apdu.Conditions
	case len(cmd.data) != 8:
		return nil, apdu.WrongLength
	}
	s := c.state.clone()
	right := pboc.Key(s.MFControl).Answer(*c.drawn) == [8]byte(cmd.data)
	if s.MFTries--; right {
		s.MFTries = pinTriesMax
	}
	if c.keep(s) != nil {
		return nil, apdu.WriteFailed
	}
	if c.mf = right; !right {
		return nil, 0x63C0 | apdu.Status(s.MFTries)
	}
	return nil, apdu.OK
}

// createFile is CREATE FILE: the application in the card, or a file in the
// application. A directory's first file is that of its keys.
func (c *Card) createFile(cmd command) ([]byte, apdu.Status) {
	id := binary.BigEndian.Uint16([]byte{cmd.p1, cmd.p2})
	switch {
	case !c.mf:
		return nil, apdu.NotAllowed
	case len(cmd.data) < 7:
		return nil, apdu.WrongLength
	}
	s := c.state.clone()
	status := s.createIn(c.inDF, id, cmd.data)
	if status == apdu.OK && c.keep(s.judged()) != nil {
		status = apdu.WriteFailed
	}
	return nil, status
}

// exists is the status word for a file that is there already.
const exists apdu.Status = 0x6A89

func (s *State) createIn(application bool, id uint16, data []byte) apdu.Status {
	kind, size := data[0]&0x3F, int(binary.BigEndian.Uint16(data[1:]))
	switch {
	case !application && kind == 0x38 && s.AID == nil && len(data) > 7+4:
		s.AID, s.DF = slices.Clone(data[8:]), id
	case !application:
		return exists
	case kind == 0x3F && !s.KeyFile:
		s.KeyFile = true
	case !s.KeyFile:
		return apdu.Conditions
	case kind == 0x28 && s.Files[byte(id)] == nil && size <= fileMax:
		if s.Files == nil {
			s.Files = map[byte]Hex{}
		}
		s.Files[byte(id)] = make(Hex, size)
	case kind == 0x2E && s.LogSFI == 0:
		s.LogSFI = byte(id)
	case kind == 0x2F && !s.PurseFile && id == uint16(s.Purse.P2()):
		s.PurseFile = true
	default:
		return exists
	}
	return apdu.OK
}

// eraseDF is ERASE DF: everything in the application, which stays.
func (c *Card) eraseDF(command) ([]byte, apdu.Status) {
	if !c.mf || !c.inDF {
		return nil, apdu.NotAllowed
	}
	was := c.state
	s := State{
		Model: Blank, ATR: was.ATR, UID: was.UID, AID: was.AID, DF: was.DF,
		MFControl: was.MFControl, MFTries: was.MFTries,
		Purse: was.Purse, Ceiling: was.Ceiling, PINForLoad: was.PINForLoad, PINForLog: was.PINForLog,
	}
	if c.keep(s) != nil {
		return nil, apdu.WriteFailed
	}
	return nil, apdu.OK
}

// writeKey is WRITE KEY, protected: of the application a new key, of the card
// another control key.
func (c *Card) writeKey(cmd command) ([]byte, apdu.Status) {
	s := c.state.clone()
	under := s.MFControl
	if c.inDF && s.Control != (Key{}) {
		under = s.Control
	}
	switch {
	case under == Key{} || c.inDF && !s.KeyFile:
		return nil, apdu.KeyNotFound
	case c.drawn == nil:
		return nil, apdu.Conditions
	}
	head := pboc.Head{cmd.cla, cmd.ins, cmd.p1, cmd.p2}
	concealed, ok := pboc.Key(under).Unprotect(head, *c.drawn, cmd.data)
	if !ok {
		return nil, apdu.WrongSecureMAC
	}
	record, ok := pboc.Key(under).Reveal(concealed)
	if !ok {
		return nil, apdu.BadData
	}
	status := apdu.WrongP1P2
	switch {
	case !c.inDF && cmd.p1 == pboc.KeyControl && cmd.p2 == 0 && len(record) == len(Key{}):
		s.MFControl, status = Key(record), apdu.OK
	case c.inDF && cmd.p1 == 0x01:
		status = s.install(cmd.p2, record)
	}
	if status == apdu.OK && c.keep(s.judged()) != nil {
		status = apdu.WriteFailed
	}
	return nil, status
}

// headLen is what a key's record has before the key: its type, two rights, and
// two bytes that depend on the type.
const headLen = 5

// install puts a new key into the application.
func (s *State) install(index byte, record []byte) apdu.Status {
	if len(record) < headLen+2 {
		return apdu.WrongLength
	}
	head, key := record[:headLen], record[headLen:]
	if head[0] == pboc.KeyPIN {
		if len(key) > 6 || s.PIN != nil {
			return apdu.BadData
		}
		s.PIN, s.PINTries = slices.Clone(key), pinTriesMax
		return apdu.OK
	}
	place, ok := map[byte]*Key{
		pboc.KeyControl: &s.Control, pboc.KeyMaintenance: &s.Maintenance, pboc.KeyReload: &s.Keys.Reload,
		pboc.KeyTAC: &s.Keys.TAC, pboc.KeyPurchase: &s.Keys.Purchase, pboc.KeyLoad: &s.Keys.Load,
	}[head[0]]
	switch {
	case len(key) != len(Key{}):
		return apdu.WrongLength
	case !ok || *place != Key{}:
		return apdu.BadData
	}
	*place = Key(key)
	switch head[0] {
	case pboc.KeyPurchase:
		s.PurchaseKey = index
	case pboc.KeyLoad:
		s.LoadKey, s.KeyVersion, s.Algorithm = index, head[3], head[4]
	}
	return apdu.OK
}

// judged returns s, which is a campus card once it has all that one has.
func (s State) judged() State {
	k := s.Keys
	whole := s.PurseFile && s.PIN != nil && s.LogSFI != 0 && s.Files[0x15] != nil &&
		k.Load != Key{} && k.Purchase != Key{} && k.TAC != Key{} && k.Reload != Key{}
	if whole && s.Model == Blank {
		s.Model = Campus
	}
	return s
}

// updateBinary is UPDATE BINARY of a file by its SFI, with a MAC. Three wrong ones
// in a row lock the application for good (2.2).
func (c *Card) updateBinary(cmd command) ([]byte, apdu.Status) {
	s := c.state.clone()
	file := s.Files[cmd.p1&0x1F]
	switch {
	case !c.inDF || cmd.p1&0x80 == 0 || file == nil:
		return nil, apdu.NotFound
	case !c.mf:
		return nil, apdu.NotAllowed
	case s.Maintenance == Key{}:
		return nil, apdu.KeyNotFound
	case s.FileErrors == pinTriesMax:
		return nil, apdu.LockedForever
	case c.drawn == nil:
		return nil, apdu.Conditions
	}
	head := pboc.Head{cmd.cla, cmd.ins, cmd.p1, cmd.p2}
	data, ok := pboc.Key(s.Maintenance).Unprotect(head, *c.drawn, cmd.data)
	switch {
	case !ok:
		s.FileErrors++
	case int(cmd.p2)+len(data) > len(file):
		return nil, apdu.WrongOffset
	default:
		s.FileErrors = 0
		file = slices.Clone(file) // the map was copied, and not what is in it
		copy(file[cmd.p2:], data)
		s.Files[cmd.p1&0x1F] = file
	}
	if c.keep(s) != nil {
		return nil, apdu.WriteFailed
	}
	if !ok {
		return nil, apdu.WrongSecureMAC
	}
	return nil, apdu.OK
}
