package purse

import (
	"bytes"
	"errors"
	"fmt"

	"quancun/money"
	"quancun/pboc"
	"quancun/reader/apdu"
	"quancun/reader/profile"
)

// What may be wrong with a card that was put on the reader. Errors of [Open] and
// [Info.Check] wrap these.
var (
	ErrForeign    = errors.New("not a card of this campus") // bank card, M1, blank
	ErrLocked     = errors.New("card or application is locked")
	ErrNotEnabled = errors.New("card is not enabled")
	ErrNotStarted = errors.New("card is not valid yet")
	ErrExpired    = errors.New("card has expired")
)

// Info is what a terminal knows about a card once it has read it.
type Info struct {
	CardNo CardNo
	UID    string  // of the chip, in hex digits, or "" if the reader tells none
	Factor [8]byte // diversifies the issuer's keys into the card's (chapter 3)

	Name     string // of the holder, or ""
	HolderNo string // student or staff number, or ""

	Enabled       bool
	Start, Expiry Date // first and last day of validity; 0 is no limit

	Balance    money.Fen
	BalanceRaw uint32 // as MACs cover it
}

// Same reports whether i and other are the same card: its serial number and,
// as far as both are known, its chip.
func (i Info) Same(other Info) bool {
	return i.CardNo == other.CardNo && (i.UID == other.UID || i.UID == "" || other.UID == "")
}

// Check reports whether the card may be used today: [ErrNotEnabled],
// [ErrNotStarted], [ErrExpired] or nil. Its last day of validity counts.
func (i Info) Check(today Date) error {
	switch {
	case !i.Enabled:
		return ErrNotEnabled
	case i.Start != 0 && today < i.Start:
		return fmt.Errorf("%w: from %s", ErrNotStarted, i.Start)
	case i.Expiry != 0 && today > i.Expiry:
		return fmt.Errorf("%w: on %s", ErrExpired, i.Expiry)
	}
	return nil
}

// Open selects the purse application on card and reads who the card is and what
// it holds. It writes nothing. A PIN verified before is forgotten by the card.
//
// The error is [ErrForeign] for anything that is no campus card and [ErrLocked]
// for one that the issuer has blocked. If it is neither, and not
// [apdu.Answered], the card fell silent: put it back and try again.
// Whether the card may be used today is for [Info.Check] to say.
func Open(card Card, p *profile.Profile) (Info, error) {
	if isStorageCard(card) {
		return Info{}, ErrForeign
	}
	uid, err := GetUID{}.Send(card)
	if err != nil && !apdu.Answered(err) && !errors.Is(err, apdu.ErrNoAnswer) {
		return Info{}, err
	}
	fci, err := Select{AID: p.AID, File: p.DF}.Send(card)
	if err != nil {
		return Info{}, foreign(err)
	}
	info := Info{UID: fmt.Sprintf("%X", uid)}
	if err := info.readApplication(card, p, fci); err != nil {
		return Info{}, foreign(err)
	}
	if info.Factor, err = factor(p.Factor, info.CardNo, uid); err != nil {
		return Info{}, err
	}
	if err := info.readHolder(card, p); err != nil {
		return Info{}, err
	}
	if info.BalanceRaw, err = (GetBalance{Kind: p.Purse.Kind}).Send(card); err != nil {
		return Info{}, foreign(err)
	}
	info.Balance = pboc.Fen(info.BalanceRaw)
	return info, nil
}

func (i *Info) readApplication(card Card, p *profile.Profile, fci FCI) error {
	file := fci.Application
	if len(file) < p.Application.Length {
		var err error
		file, err = ReadBinary{SFI: p.Application.SFI, Length: p.Application.Length}.Send(card)
		if err != nil {
			return err
		}
	}
	a, err := ParseApplication(p, file)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForeign, err)
	}
	i.CardNo, i.Enabled, i.Start, i.Expiry = a.CardNo, a.Enabled, a.Start, a.Expiry
	return nil
}

// readHolder leaves name and number empty if the card does not give them: a
// greeting without a name is no reason to turn its holder away.
func (i *Info) readHolder(card Card, p *profile.Profile) error {
	if p.Holder.Length == 0 {
		return nil
	}
	file, err := ReadBinary{SFI: p.Holder.SFI, Length: p.Holder.Length}.Send(card)
	defer clear(file) // it may hold the number of an identity document
	if err != nil {
		if apdu.Answered(err) {
			return nil
		}
		return err
	}
	h, err := ParseHolder(p, file)
	if err != nil {
		return nil //nolint:nilerr // a shorter file than the profile's has no such fields
	}
	i.Name, i.HolderNo = h.Name, h.Number
	return nil
}

// foreign turns the card's refusal of what every campus card does into
// [ErrForeign] or [ErrLocked]. What failed inside the card (64xx, 65xx, 6Fxx)
// says nothing about whose card it is, and silence neither.
func foreign(err error) error {
	var s apdu.Status
	if !errors.As(err, &s) {
		return err
	}
	switch {
	case s == apdu.Unsupported || s == apdu.Invalidated || s == apdu.LockedForever:
		return fmt.Errorf("%w: %w", ErrLocked, err)
	case s>>8 == 0x64 || s>>8 == 0x65 || s>>8 == 0x6F:
		return err
	}
	return fmt.Errorf("%w: %w", ErrForeign, err)
}

// storageRID is in the ATR that PC/SC makes up for a card without a chip
// operating system, such as M1: the PC/SC workgroup's identifier (PC/SC part 3,
// 3.1.3.2.3.2). Such a card may answer SELECT with silence.
var storageRID = []byte{0x4F, 0x0C, 0xA0, 0x00, 0x00, 0x03, 0x06}

func isStorageCard(card Card) bool {
	c, ok := card.(interface{ ATR() []byte })
	return ok && bytes.Contains(c.ATR(), storageRID)
}

// GetUID asks the reader, and not the card, for the chip's UID (chapter 7). A
// contact reader has none and refuses.
type GetUID struct{}

// Send returns 4, 7 or 10 bytes.
func (GetUID) Send(card Card) ([]byte, error) {
	return send(card, "get uid", apdu.Command{CLA: 0xFF, INS: 0xCA, Le: 256}, 0)
}

// factor returns the diversification factor (分散因子), chapter 3.
func factor(rule profile.Factor, n CardNo, uid []byte) (f [8]byte, err error) {
	if rule == profile.FactorASN {
		copy(f[:], n[2:])
		return f, nil
	}
	if len(uid) != 4 {
		return f, fmt.Errorf("purse: the keys want a UID of 4 bytes, and there are %d", len(uid))
	}
	for i, b := range uid {
		if rule == profile.FactorUIDReversed {
			i = 3 - i
		}
		f[i] = b
	}
	f[4] = 0x80
	return f, nil
}
