// Package purse speaks to the e-purse on a campus card: one struct for each
// command of the PBOC purse as FMCOS 2.0 answers it, and on top of them what a
// terminal wants, [Open] to read a card and [SettleLoad] to find out what became
// of a load whose answer was lost.
//
// A command either brings back its whole, parsed answer or an error. Errors
// come in two kinds. If [apdu.Answered], the card refused, in a status word.
// Otherwise the outcome is unknown: the card may have done what it was asked.
// For the two commands that move money there is a third shade, see [Certain].
//
// The package keeps no state and moves no money by itself: who asks an issuer,
// and what is written down before a command is sent, is decided above it.
//
// Section numbers refer to the project's notes on the card.
package purse

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"quancun/money"
	"quancun/reader/apdu"
)

// Card exchanges APDUs with a card. See [apdu.Card].
type Card = apdu.Card

// CardNo is an application serial number (应用序列号): what identifies a card to
// its issuer. It prints masked, so that logs and screens do not give cards away.
type CardNo [10]byte

// String returns the last four digits: "…2345".
func (n CardNo) String() string { return fmt.Sprintf("…%X", n[8:]) }

// LogValue keeps the whole number out of structured logs.
func (n CardNo) LogValue() slog.Value { return slog.StringValue(n.String()) }

// Full returns all 20 hexadecimal digits. Every use of it can be searched for.
func (n CardNo) Full() string { return fmt.Sprintf("%X", n[:]) }

// ParseCardNo reads what [CardNo.Full] writes.
func ParseCardNo(s string) (n CardNo, err error) {
	if len(s) == 2*len(n) {
		var b []byte
		if _, err := fmt.Sscanf(s, "%20x", &b); err == nil && copy(n[:], b) == len(n) {
			return n, nil
		}
	}
	return CardNo{}, errors.New("purse: a card number has 20 hexadecimal digits")
}

// Date is a calendar day as the number YYYYMMDD, so that days compare with <.
// 0 is no date.
type Date uint32

// DateOf returns the day of t in t's own time zone.
func DateOf(t time.Time) Date {
	return Date(t.Year()*10000 + int(t.Month())*100 + t.Day())
}

// String returns d as "2026-09-01", or "" for no date.
func (d Date) String() string {
	if d == 0 {
		return ""
	}
	return fmt.Sprintf("%04d-%02d-%02d", d/10000, d/100%100, d%100)
}

// parseDate reads YYYYMMDD in BCD. Fillers and what is no date are 0: what a
// card does not say about its dates cannot be held against it.
func parseDate(b []byte) Date {
	var d Date
	for _, b := range b[:4] {
		if b>>4 > 9 || b&0xF > 9 {
			return 0
		}
		d = d*100 + Date(b>>4)*10 + Date(b&0xF)
	}
	return d
}

// amountMax is the largest amount of one transaction: 31 bits, as for balances.
const amountMax money.Fen = 1<<31 - 1

func inRange(amount, least money.Fen) error {
	if amount < least || amount > amountMax {
		return fmt.Errorf("purse: amount %s is out of range", amount)
	}
	return nil
}

// send transmits c and wraps an error with the name of the command. An answer
// that is not want bytes long is malformed, and no refusal; want 0 is any.
func send(card Card, name string, c apdu.Command, want int) ([]byte, error) {
	data, err := apdu.Transmit(card, c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if want > 0 && len(data) != want {
		return nil, fmt.Errorf("%s: answer has %d bytes, not %d", name, len(data), want)
	}
	return data, nil
}

var bigEndian = binary.BigEndian
