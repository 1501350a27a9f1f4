package purse

import (
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/text/encoding/simplifiedchinese"

	"quancun/reader/apdu"
	"quancun/reader/profile"
)

// ReadBinary is READ BINARY (读二进制文件) of a short file identifier, chapter 2.
type ReadBinary struct {
	SFI    byte
	Offset byte
	Length int // 1 to 239
}

// Send reads the bytes. It returns as many as the card sends, which may be
// fewer than Length: some cards answer a short file whole.
func (c ReadBinary) Send(card Card) ([]byte, error) {
	return send(card, fmt.Sprintf("read file %02X", c.SFI), apdu.Command{
		INS: 0xB0, P1: 0x80 | c.SFI, P2: c.Offset, Le: c.Length,
	}, 0)
}

// Application is file 0x15, public application data (公共应用基本数据), 2.1.
type Application struct {
	CardNo        CardNo
	Enabled       bool
	Start, Expiry Date // first and last day of validity; 0 is no limit
}

// ParseApplication reads file 0x15 as p lays it out.
func ParseApplication(p *profile.Profile, file []byte) (a Application, err error) {
	l := p.Application
	if len(file) < l.Length {
		return Application{}, fmt.Errorf("purse: file %02X has %d bytes, not %d", l.SFI, len(file), l.Length)
	}
	copy(a.CardNo[len(a.CardNo)-l.CardNo.Length:], field(file, l.CardNo))
	a.Enabled = bytes.IndexByte(l.NotEnabled, file[l.Enabled]) < 0
	a.Start = parseDate(file[l.Start:])
	a.Expiry = parseDate(file[l.Expiry:])
	return a, nil
}

// Holder is file 0x16, cardholder data (持卡人基本数据), 2.2. The number of the
// holder's identity document, where the card has one, is not read.
type Holder struct {
	Name   string
	Number string // student or staff number (学工号)
}

// ParseHolder reads file 0x16 as p lays it out. Bytes that are no text in the
// field's encoding leave the field empty.
func ParseHolder(p *profile.Profile, file []byte) (Holder, error) {
	l := p.Holder
	if len(file) < l.Length {
		return Holder{}, fmt.Errorf("purse: file %02X has %d bytes, not %d", l.SFI, len(file), l.Length)
	}
	h := Holder{
		Name:   text(field(file, l.Name), l.Name.Encoding),
		Number: text(field(file, l.Number), l.Number.Encoding),
	}
	if looksLikeID(h.Number) {
		h.Number = ""
	}
	return h, nil
}

func field(file []byte, f profile.Field) []byte { return file[f.Offset : f.Offset+f.Length] }

func text(b []byte, e profile.Encoding) string {
	if e == profile.EncodingBCD {
		return digits(b)
	}
	b, _, _ = bytes.Cut(b, []byte{0x00})
	b, _, _ = bytes.Cut(b, []byte{0xFF}) // in no encoding part of a character
	s := string(b)
	if e == profile.EncodingGBK {
		decoded, err := simplifiedchinese.GB18030.NewDecoder().String(s)
		if err != nil {
			return ""
		}
		s = decoded
	}
	s = strings.TrimSpace(s)
	if strings.ContainsFunc(s, unprintable) {
		return ""
	}
	return s
}

// unprintable reports what must not reach a screen or a printer.
func unprintable(r rune) bool { return r < ' ' || r >= 0x7F && r < 0xA0 || r == '\uFFFD' }

// digits reads BCD up to the first filler.
func digits(b []byte) string {
	var s strings.Builder
	for _, b := range b {
		for _, d := range [2]byte{b >> 4, b & 0xF} {
			if d > 9 {
				return s.String()
			}
			s.WriteByte('0' + d)
		}
	}
	return s.String()
}

// looksLikeID reports whether s has the form of a resident's identity number
// (身份证号), 18 characters or the 15 of old: some issuers write it where others
// write the student number, and this program has no business with it. 16 are
// what is left of 18 in the manual's field.
func looksLikeID(s string) bool {
	body := strings.TrimSuffix(strings.TrimSuffix(s, "X"), "x")
	switch len(s) {
	case 15:
		return isDate("19" + s[6:12])
	case 16, 18:
		return len(body) >= 16 && isDate(s[6:14])
	}
	return false
}

// isDate reports whether s is YYYYMMDD of somebody alive.
func isDate(s string) bool {
	var year, month, day int
	if n, err := fmt.Sscanf(s, "%4d%2d%2d", &year, &month, &day); n != 3 || err != nil {
		return false
	}
	return year >= 1900 && year < 2100 && month >= 1 && month <= 12 && day >= 1 && day <= 31
}
