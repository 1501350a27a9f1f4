package purse

import (
	"errors"
	"fmt"

	"golang.org/x/text/encoding/simplifiedchinese"

	"quancun/pboc"
	"quancun/reader/apdu"
	"quancun/reader/profile"
)

// What may be wrong with a card that is to be personalised. Nothing was written on
// it.
var (
	// ErrIssued means that it is a campus card already, and another one.
	ErrIssued = errors.New("purse: the card was issued before")
	// ErrNotBlank means that it is no blank of ours: it does not know the key.
	ErrNotBlank = errors.New("purse: not a blank of this campus")
)

// NewCard is what a blank becomes.
type NewCard struct {
	CardNo        CardNo
	Name, Number  string // of the holder; cut if the card has less room
	Start, Expiry Date
}

// Factor returns what will diversify the keys of the card on a chip with this UID,
// which only some kinds of cards need.
func (n NewCard) Factor(p *profile.Profile, uid []byte) ([8]byte, error) {
	return factor(p.Factor, n.CardNo, uid)
}

// Issuer makes what takes the issuer's keys: the data field of a command, in which
// no key can be read. It is asked while the card waits.
type Issuer func(pboc.Order) ([]byte, error)

// Personalise makes a blank the card n (个人化). The same again, on the same card,
// goes on after every error and power cut; on a card that is n already nothing
// happens. Afterwards the card has a PIN that nobody knows: see [ReloadPIN].
//
// The card becomes one that can be used with the last file that is written.
func Personalise(card Card, p *profile.Profile, n NewCard, issuer Issuer) error {
	w := personalising{card: card, profile: p, NewCard: n, issuer: issuer}
	switch info, err := Open(card, p); {
	case err == nil && info.Enabled && info.CardNo == n.CardNo:
		return w.lockAgain()
	case err == nil && info.Enabled:
		return ErrIssued
	case err != nil && !errors.Is(err, ErrForeign):
		return err
	}
	for _, step := range []func() error{w.authenticate, w.application, w.keys, w.files, w.lock} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

type personalising struct {
	NewCard
	card    Card
	profile *profile.Profile
	issuer  Issuer
}

var mf = Select{File: 0x3F00}

// authenticate proves to the card that its issuer is there. It is tried once: three
// wrong answers in a row, and a card is lost.
func (w personalising) authenticate() error {
	if _, err := mf.Send(w.card); err != nil {
		return foreign(err)
	}
	err := w.part(pboc.Order{Part: pboc.PartAnswer})
	if apdu.Answered(err) {
		return fmt.Errorf("%w: %w", ErrNotBlank, err)
	}
	return err
}

// challenge has the card draw n bytes for the next command.
func (w personalising) challenge(n int) (c pboc.Challenge, err error) {
	b, err := send(w.card, "get challenge", apdu.Command{INS: 0x84, Le: n}, n)
	copy(c[:], b)
	return c, err
}

// part brings a part to the card.
func (w personalising) part(o pboc.Order) (err error) {
	n := 4
	if o.Part == pboc.PartAnswer || o.Part == pboc.PartProof {
		n = 8
	}
	if o.Challenge, err = w.challenge(n); err != nil {
		return err
	}
	data, err := w.issuer(o)
	if err != nil {
		return fmt.Errorf("ask issuer for part %d: %w", o.Part, err)
	}
	h := o.Head()
	_, err = send(w.card, fmt.Sprintf("part %d", o.Part),
		apdu.Command{CLA: h[0], INS: h[1], P1: h[2], P2: h[3], Data: data}, 0)
	return err
}

// application makes the application, or empties what an earlier try has left of it.
func (w personalising) application() error {
	p := w.profile
	selected := Select{AID: p.AID, File: p.DF}
	_, err := selected.Send(w.card)
	var s apdu.Status
	switch {
	case err == nil:
		_, err := send(w.card, "erase application", apdu.Command{CLA: 0x80, INS: 0x0E}, 0)
		return err
	case !errors.As(err, &s) || s != apdu.NotFound:
		return err
	}
	id, name := p.DF, []byte(p.AID)
	if id == 0 {
		id = 0x3F01
	}
	if len(name) == 0 {
		name = []byte("PURSE")
	}
	// All its rights are the card's control key's: state A and above of the MF.
	err = w.create(id, append([]byte{0x38, 0x0F, 0xFF, 0xFA, 0xFA, 0x95, 0xFF, 0xFF}, name...))
	if err == nil {
		_, err = selected.Send(w.card)
	}
	return err
}

// create is CREATE FILE (建立文件), 2.4.
func (w personalising) create(id uint16, data []byte) error {
	_, err := send(w.card, fmt.Sprintf("create file %04X", id),
		apdu.Command{CLA: 0x80, INS: 0xE0, P1: byte(id >> 8), P2: byte(id), Data: data}, 0)
	return err
}

// keys makes the file of keys, to which keys come concealed and with a MAC, and
// fills it.
func (w personalising) keys() error {
	if err := w.create(0x0000, []byte{0xFF, 0x02, 0x00, 0x95, 0xFA, 0xFF, 0xFF}); err != nil {
		return err
	}
	pr := w.profile
	for _, o := range []pboc.Order{
		{Part: pboc.PartControl}, {Part: pboc.PartMaintenance}, {Part: pboc.PartTAC}, {Part: pboc.PartReload},
		{Part: pboc.PartPurchase, Index: pr.Purse.PurchaseKey}, {Part: pboc.PartLoad, Index: pr.Purse.LoadKey},
		{Part: pboc.PartPIN, Index: pr.PIN.Key},
	} {
		if err := w.part(o); err != nil {
			return err
		}
	}
	return nil
}

// files makes the purse and the files and fills them; last comes the one that says
// that the card may be used.
func (w personalising) files() error {
	p := w.profile
	holder, err := HolderFile(p.Holder, fit(w.Name, p.Holder.Name), w.Number)
	if err != nil {
		return err
	}
	application := ApplicationFile(p.Application, w.NewCard, true)
	steps := []func() error{
		func() error { return w.createData(p.Application.SFI, len(application)) },
		func() error { return w.createData(p.Holder.SFI, len(holder)) },
		func() error {
			return w.create(uint16(p.Log.SFI), []byte{0x2E, byte(p.Log.Records), logRecordSize, 0xF0, 0xEF, 0xFF, 0xFF})
		},
		func() error {
			return w.create(uint16(p.Purse.Kind.P2()), []byte{0x2F, 0x02, 0x08, 0xF0, 0x00, 0xFF, p.Log.SFI})
		},
		func() error { return w.write(p.Holder.SFI, holder) },
		func() error { return w.write(p.Application.SFI, application) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// createData makes a transparent file that everybody reads and only the issuer
// writes.
func (w personalising) createData(sfi byte, length int) error {
	if length == 0 {
		return nil
	}
	return w.create(uint16(sfi), []byte{0xA8, byte(length >> 8), byte(length), 0xF0, 0xFA, 0xFF, 0xFF})
}

// writeMax is how much is written at a time.
const writeMax = 200

func (w personalising) write(sfi byte, data []byte) error { return w.writeAt(sfi, 0, data) }

func (w personalising) writeAt(sfi byte, offset int, data []byte) error {
	for at := 0; at < len(data); at += writeMax {
		part := data[at:min(at+writeMax, len(data))]
		if err := w.part(pboc.Order{Part: pboc.PartFile, SFI: sfi, Offset: byte(offset + at), Data: part}); err != nil {
			return err
		}
	}
	return nil
}

// lock puts the issuer's control key in the place of the maker's.
func (w personalising) lock() error {
	if _, err := mf.Send(w.card); err != nil {
		return err
	}
	return w.part(pboc.Order{Part: pboc.PartLock})
}

// lockAgain locks a card of which nobody knows whether it was. One that was believes
// the issuer's key; one that was not loses a try of the maker's, which it has done
// with.
func (w personalising) lockAgain() error {
	if _, err := mf.Send(w.card); err != nil {
		return err
	}
	err := w.part(pboc.Order{Part: pboc.PartProof})
	if !apdu.Answered(err) {
		return err
	}
	return w.lock()
}

// ApplicationFile returns the content of file 0x15, 2.1.
func ApplicationFile(l profile.Application, n NewCard, enabled bool) []byte {
	b := make([]byte, l.Length)
	copy(b[l.CardNo.Offset:l.CardNo.Offset+l.CardNo.Length], n.CardNo[len(n.CardNo)-l.CardNo.Length:])
	b[l.Enabled] = 0x03 // as the manual's own sample
	if !enabled && len(l.NotEnabled) > 0 {
		b[l.Enabled] = l.NotEnabled[0]
	}
	putDate(b[l.Start:], n.Start)
	putDate(b[l.Expiry:], n.Expiry)
	return b
}

func putDate(b []byte, d Date) {
	for i := 3; i >= 0; i, d = i-1, d/100 {
		b[i] = byte(d/10%10<<4 | d%10)
	}
}

// HolderFile returns the content of file 0x16, 2.2. What is too long for its field is
// an error.
func HolderFile(l profile.Holder, name, number string) ([]byte, error) {
	b := make([]byte, l.Length)
	if l.Length > 0 {
		b[0] = 0x01 // card type identifier; overwritten where a field begins at 0
	}
	if err := putText(b, l.Name, name); err != nil {
		return nil, fmt.Errorf("purse: name: %w", err)
	}
	if err := putText(b, l.Number, number); err != nil {
		return nil, fmt.Errorf("purse: number: %w", err)
	}
	return b, nil
}

// fit returns name, cut between two characters so that its field has room for it.
func fit(name string, f profile.Field) string {
	for characters := []rune(name); ; characters = characters[:len(characters)-1] {
		name = string(characters)
		if b, err := encode(name, f.Encoding); len(characters) == 0 || err != nil || len(b) <= f.Length {
			return name
		}
	}
}

func putText(b []byte, f profile.Field, s string) error {
	if f.Length == 0 {
		return nil // these cards have no such field
	}
	text, err := encode(s, f.Encoding)
	if err != nil {
		return err
	}
	if len(text) > f.Length {
		return fmt.Errorf("%d bytes do not fit into %d", len(text), f.Length)
	}
	clear(b[f.Offset : f.Offset+f.Length])
	copy(b[f.Offset:], text)
	return nil
}

func encode(s string, e profile.Encoding) ([]byte, error) {
	switch e {
	case profile.EncodingGBK:
		return simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(s))
	case profile.EncodingBCD:
		return bcd(s)
	}
	return []byte(s), nil
}

// bcd packs digits two to a byte, and fills up with F.
func bcd(s string) ([]byte, error) {
	b := make([]byte, (len(s)+1)/2)
	for i := range s {
		d := s[i] - '0'
		switch {
		case d > 9:
			return nil, errors.New("not all of it are digits")
		case i%2 == 0:
			b[i/2] = d<<4 | 0xF
		default:
			b[i/2] = b[i/2]&0xF0 | d
		}
	}
	return b, nil
}
