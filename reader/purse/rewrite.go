package purse

import (
	"bytes"
	"errors"
	"fmt"

	"quancun/pboc"
	"quancun/reader/apdu"
	"quancun/reader/profile"
)

// ErrUnchanged means that a card which was to say something else was seen to say
// what it has said before.
var ErrUnchanged = errors.New("purse: the card says what it said before")

// ErrNoRoom means that a card cannot say it, because its files have no room for it.
var ErrNoRoom = errors.New("purse: no room for it on the card")

// errHalf means that the card has a part of it. Writing it again ends that.
var errHalf = errors.New("purse: the card was written in part")

// OnCard returns what a card of this kind has room for of its holder.
func OnCard(p *profile.Profile, h Holder) Holder {
	return Holder{fit(h.Name, p.Holder.Name), h.Number}
}

// Rewrite has a card that was made by [Personalise] say another name and number of
// its holder (改写持卡人信息). It reads first and writes no more than what differs, so
// the same again is no harm. A number that looks like an identity document's stays.
//
// nil means that the card was seen to say it, and [ErrUnchanged] that it was seen
// not to: what else the error is, says why. With every other error nobody knows,
// and the same card has to be laid down again. A card that has answered in a status
// word is not to be tried again: three wrong MACs in a row lock it for good (2.2).
func Rewrite(card Card, p *profile.Profile, h Holder, issuer Issuer) error {
	w := rewriting{personalising{card: card, profile: p, issuer: issuer}}
	was, err := w.read()
	if apdu.Answered(err) {
		return fmt.Errorf("%w: %w", ErrUnchanged, err)
	}
	if err != nil {
		return err
	}
	defer clear(was) // it may hold the number of an identity document
	want, err := w.with(was, h)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnchanged, err)
	}
	defer clear(want)
	if bytes.Equal(was, want) {
		return nil
	}
	failed := w.replace(was, want)
	now, err := w.read()
	if err != nil {
		// A word of the card's about reading says nothing about what was written.
		return errors.Join(errHalf, failed, fmt.Errorf("read again: %v", err)) //nolint:errorlint // see above
	}
	defer clear(now)
	switch {
	case bytes.Equal(now, want):
		return nil
	case bytes.Equal(now, was):
		return errors.Join(ErrUnchanged, failed)
	}
	return errors.Join(errHalf, failed)
}

// rewriting is a card under way to another name.
type rewriting struct{ personalising }

// read selects the application and returns the file of the holder.
func (w rewriting) read() ([]byte, error) {
	l := w.profile.Holder
	if _, err := (Select{AID: w.profile.AID, File: w.profile.DF}).Send(w.card); err != nil {
		return nil, err
	}
	file, err := ReadBinary{SFI: l.SFI, Length: l.Length}.Send(w.card)
	if err == nil && len(file) != l.Length {
		err = fmt.Errorf("purse: file %02X has %d bytes, not %d", l.SFI, len(file), l.Length)
	}
	return file, err
}

// with returns a file with other fields.
func (w rewriting) with(file []byte, h Holder) ([]byte, error) {
	l, file := w.profile.Holder, bytes.Clone(file)
	if err := putText(file, l.Name, fit(h.Name, l.Name)); err != nil {
		return nil, fmt.Errorf("%w: name: %w", ErrNoRoom, err)
	}
	if looksLikeID(text(field(file, l.Number), l.Number.Encoding)) {
		return file, nil
	}
	if err := putText(file, l.Number, h.Number); err != nil {
		return nil, fmt.Errorf("%w: number: %w", ErrNoRoom, err)
	}
	return file, nil
}

// replace writes the bytes in which want differs, with the card's control key proven
// before. The card keeps that while its application is selected.
func (w rewriting) replace(was, want []byte) error {
	if _, err := mf.Send(w.card); err != nil {
		return err
	}
	if err := w.part(pboc.Order{Part: pboc.PartProof}); err != nil {
		return err
	}
	if _, err := (Select{AID: w.profile.AID, File: w.profile.DF}).Send(w.card); err != nil {
		return err
	}
	from, to := 0, len(want)
	for was[from] == want[from] {
		from++
	}
	for was[to-1] == want[to-1] {
		to--
	}
	return w.writeAt(w.profile.Holder.SFI, from, want[from:to])
}
