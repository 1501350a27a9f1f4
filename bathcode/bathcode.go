// Package bathcode is the eight digits that open a shower (浴室验证码): what a
// reservation is given, and what a water controller needs to believe them with no
// network. Upstream and controllers have to agree on every bit of it, so it is a
// leaf below both. Section numbers refer to the project's notes on services,
// chapter 5.3.
//
// # Keys
//
// The campus's master key makes one key for each hall and month, and that one for
// each stall. A controller that knows its stall beforehand holds its own stall's
// key, so a stolen one opens nothing else; where a stall is chosen on arrival
// each controller of the hall holds the hall's.
//
// # What it refuses to know
//
// Whether a code was used before and how often somebody has guessed: a controller
// keeps that where it survives a power cut. Money, and clocks: its caller says
// which slot it is.
package bathcode

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"quancun/beijing"
)

// Digits is the length of a code.
const Digits = 8

// How many codes a slot has. The serial number of a code is below it.
const (
	StallCodes = 4   // of a stall, for those who cancel and book again
	HallCodes  = 100 // of a hall
)

// Place is a stall of a hall. Stall 0 is the whole hall: the stall is chosen on
// arrival.
type Place struct{ Hall, Stall uint16 }

// Slot is a time in which a code opens, at its place.
type Slot struct {
	Place Place
	Day   Day
	No    uint8 // of the day
}

// Day is a calendar day in Beijing, counted from 1 January 2000, which is 0.
type Day uint16

// DayOf returns the day of a moment.
func DayOf(t time.Time) Day {
	y, m, d := t.In(beijing.Zone).Date()
	return Day(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Sub(firstDay) / (24 * time.Hour))
}

var firstDay = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)

// Start returns the midnight with which d begins.
func (d Day) Start() time.Time {
	return time.Date(2000, time.January, 1+int(d), 0, 0, 0, 0, beijing.Zone)
}

// month returns the year and month of d as a number, such as 202611.
func (d Day) month() uint32 {
	t := firstDay.AddDate(0, 0, int(d))
	return uint32(t.Year()*100 + int(t.Month()))
}

// Master is the campus's key. It never leaves the upstream.
type Master [32]byte

// Key makes and checks the codes of one place in one month. It is a secret: it
// prints as nothing.
type Key struct {
	place Place
	month uint32
	key   [32]byte
}

// Format keeps the key out of every log and message.
func (k Key) Format(s fmt.State, _ rune) {
	fmt.Fprintf(s, "key of hall %d, stall %d, %d", k.place.Hall, k.place.Stall, k.month)
}

// Format keeps the key out of every log and message.
func (Master) Format(s fmt.State, _ rune) { fmt.Fprint(s, "bath master key") }

// Key returns the key of a place for the month that a day is in.
func (m Master) Key(p Place, d Day) Key {
	info := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16([]byte("bath"), p.Hall), d.month())
	hall, err := hkdf.Key(sha256.New, m[:], nil, string(info), sha256.Size)
	if err != nil {
		panic("bathcode: internal error: " + err.Error()) // a length that cannot be
	}
	k := Key{place: p, month: d.month()}
	if p.Stall != 0 {
		hall = tag(hall, binary.BigEndian.AppendUint16(nil, p.Stall))
	}
	copy(k.key[:], hall)
	return k
}

// LoadKey returns the key that [Key.Bytes] has returned.
func LoadKey(p Place, d Day, b [32]byte) Key { return Key{p, d.month(), b} }

// Bytes returns the key itself, to be brought to a controller.
func (k Key) Bytes() [32]byte { return k.key }

// Sign returns the MAC by which whoever has the key knows that a message is from
// another who has it. No message can be taken for the context of a code.
func (k Key) Sign(message []byte) [32]byte {
	return [32]byte(tag(k.key[:], append([]byte("SIGN"), message...)))
}

// Covers reports whether k is the key of a slot.
func (k Key) Covers(s Slot) bool { return k.place == s.Place && k.month == s.Day.month() }

// Codes returns how many codes there are for a slot at p.
func (p Place) Codes() int {
	if p.Stall == 0 {
		return HallCodes
	}
	return StallCodes
}

// Code is eight digits.
type Code string

// ErrCode means that a text is not eight digits.
var ErrCode = errors.New("bathcode: not eight digits")

// Parse reads a code as people write it: with spaces or hyphens, or with the wide
// digits of a Chinese keyboard.
func Parse(text string) (Code, error) {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r >= '０' && r <= '９':
			r -= '０' - '0'
		case r == ' ' || r == '-' || r == '　':
			continue
		}
		if r < '0' || r > '9' {
			return "", ErrCode
		}
		b.WriteRune(r)
	}
	if b.Len() != Digits {
		return "", ErrCode
	}
	return Code(b.String()), nil
}

// Grouped returns c as it is read aloud: four and four.
func (c Code) Grouped() string { return string(c[:4]) + " " + string(c[4:]) }

// Code returns the code with serial number n of a slot. It panics unless k covers
// the slot and n is below [Place.Codes]: both are the caller's own.
func (k Key) Code(s Slot, n uint8) Code {
	if !k.Covers(s) || int(n) >= s.Place.Codes() {
		panic(fmt.Sprintf("bathcode: internal error: code %d of %+v with %v", n, s, k))
	}
	if s.Place.Stall != 0 {
		return digits(k.number(s, n))
	}
	a, b := k.shuffle(s)
	return Code(fmt.Sprintf("%02d%06d", (a*int(n)+b)%HallCodes, k.number(s, n)%1e6))
}

// Check returns the serial number of the code that c is in a slot, if it is one.
// How long it takes says nothing about how much of c is right.
func (k Key) Check(c Code, s Slot) (n uint8, ok bool) {
	if _, err := Parse(string(c)); err != nil || len(c) != Digits || !k.Covers(s) {
		return 0, false
	}
	found, first, last := 0, 0, StallCodes-1
	if s.Place.Stall == 0 {
		first = k.serial(s, int(c[0]-'0')*10+int(c[1]-'0'))
		last = first
	}
	for i := first; i <= last; i++ {
		same := subtle.ConstantTimeCompare([]byte(k.Code(s, uint8(i))), []byte(c)) &^ found
		n = uint8(subtle.ConstantTimeSelect(same, i, int(n)))
		found |= same
	}
	return n, found == 1
}

// serial returns which of a hall's codes begins with these two digits: there is
// one for each.
func (k Key) serial(s Slot, digits int) int {
	a, b := k.shuffle(s)
	for n := range HallCodes {
		if (a*n+b)%HallCodes == digits {
			return n
		}
	}
	panic("bathcode: internal error: a and 100 have a divisor")
}

// context is what a code is about, as it goes under the key.
func context(s Slot, last ...byte) []byte {
	mode := byte('S')
	if s.Place.Stall == 0 {
		mode = 'H'
	}
	b := append([]byte("BATH"), 1, mode)
	b = binary.BigEndian.AppendUint16(b, s.Place.Hall)
	b = binary.BigEndian.AppendUint16(b, s.Place.Stall)
	b = binary.BigEndian.AppendUint16(b, uint16(s.Day))
	return append(append(b, s.No), last...)
}

func (k Key) number(s Slot, n uint8) uint32 { return truncate(tag(k.key[:], context(s, n))) }

// truncate is the dynamic truncation of RFC 4226, on the longer tag of SHA-256.
func truncate(tag []byte) uint32 {
	return binary.BigEndian.Uint32(tag[tag[len(tag)-1]&0xf:]) & 0x7fffffff
}

func digits(n uint32) Code { return Code(fmt.Sprintf("%08d", n%1e8)) }

// shuffle returns a and b of the secret order a*n+b (mod 100), in which a slot's
// codes show their serial numbers. a has no common divisor with 100.
func (k Key) shuffle(s Slot) (a, b int) {
	t := tag(k.key[:], context(s, []byte("order")...))
	a = 2*int(binary.BigEndian.Uint16(t)%50) + 1
	if a%5 == 0 {
		a += 2
	}
	return a, int(binary.BigEndian.Uint16(t[2:]) % HallCodes)
}

func tag(key, message []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(message)
	return h.Sum(nil)
}
