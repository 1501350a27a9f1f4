package cards

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"quancun/money"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/reader/sim"
)

// Personal is what a card is personalised with: one element of the file that
// `campusd demo` writes. It holds the card's own keys, so the file is as
// secret as the cards.
type Personal struct {
	CardNo   string    `json:"card_no"`
	Factor   string    `json:"factor"` // of key diversification, 16 hex digits
	UID      string    `json:"uid"`    // 8 hex digits
	Name     string    `json:"name"`
	HolderNo string    `json:"holder_no"`
	PIN      string    `json:"pin"`
	Kind     string    `json:"kind"` // "bank", "m1" and "blank" are no campus cards; all others are words for people
	Note     string    `json:"note"` // for people: what is special about it
	Keys     sim.Keys  `json:"keys"`
	Purse    money.Fen `json:"purse_fen"`
	Online   uint16    `json:"online_counter"`
	Offline  uint16    `json:"offline_counter"`
	Start    Day       `json:"start"`
	Expiry   Day       `json:"expiry"`
}

// Day is a calendar day, written "2026-09-01", "20260901" or 20260901.
type Day purse.Date

// UnmarshalJSON reads a day in any of its spellings. An empty one is no day.
func (d *Day) UnmarshalJSON(b []byte) error {
	s := strings.ReplaceAll(strings.Trim(string(b), `"`), "-", "")
	if s == "" || s == "null" || s == "0" {
		*d = 0
		return nil
	}
	at, err := time.Parse("20060102", s)
	if err != nil {
		return errors.New("lab/cards: a day is written 2026-09-01")
	}
	*d = Day(purse.DateOf(at))
	return nil
}

// Parse reads a file of cards. Its errors name the card by its place in the
// file, because everything else about it is nobody's business.
func Parse(b []byte) ([]Personal, error) {
	var all []Personal
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, errors.New("lab/cards: the file is not a list of cards")
	}
	seen := map[string]bool{}
	for i, p := range all {
		if _, err := p.state(); err != nil {
			return nil, fmt.Errorf("lab/cards: card %d: %w", i+1, err)
		}
		if seen[p.id()] {
			return nil, fmt.Errorf("lab/cards: card %d is there twice", i+1)
		}
		seen[p.id()] = true
	}
	return all, nil
}

// id is what a card is called in this package, and its file: its number, or
// its chip's where it has none.
func (p Personal) id() string {
	if p.foreign() != "" {
		return p.foreign() + "-" + strings.ToLower(p.UID)
	}
	return strings.ToUpper(p.CardNo)
}

// foreign is the model of a card that is no campus card, or "".
func (p Personal) foreign() string {
	switch m := sim.Model(p.Kind); m {
	case sim.Bank, sim.M1, sim.Blank:
		return p.Kind
	}
	return ""
}

// state returns the card as it leaves the issuer.
func (p Personal) state() (sim.State, error) {
	var uid [4]byte
	if b, err := hex.DecodeString(p.UID); err != nil || copy(uid[:], b) != len(b) || len(b) != len(uid) {
		return sim.State{}, errors.New("uid is not 8 hex digits")
	}
	switch {
	case p.Kind == string(sim.Blank):
		return sim.NewBlank(profile.Default(), sim.LabTransport, uid), nil
	case p.foreign() != "":
		return sim.Foreign(sim.Model(p.Kind), uid), nil
	}
	no, err := purse.ParseCardNo(p.CardNo)
	if err != nil {
		return sim.State{}, errors.New("card_no is not 20 digits")
	}
	pr := profile.Default()
	if want := no.Full()[4:]; pr.Factor == profile.FactorASN && p.Factor != "" && !strings.EqualFold(p.Factor, want) {
		return sim.State{}, errors.New("factor does not belong to card_no: no terminal would find the card's keys")
	}
	// The master keys are the lab's own and are not used: the keys of this
	// card, which its real issuer diversified, take their place.
	s, err := sim.Issue(pr, sim.LabMasters, sim.Holder{
		CardNo: no, UID: uid, Name: fit(p.Name, pr.Holder.Name.Length), Number: p.HolderNo,
		Start: purse.Date(p.Start), Expiry: purse.Date(p.Expiry), PIN: p.PIN, Balance: p.Purse,
	})
	if err != nil {
		return sim.State{}, err
	}
	s.Keys, s.Online, s.Offline = p.Keys, p.Online, p.Offline
	return s, nil
}

// fit returns name, cut so that it takes at most so many bytes on the card, as
// card makers do: between characters, and never inside of one.
func fit(name string, most int) string {
	for {
		b, err := simplifiedchinese.GB18030.NewEncoder().String(name)
		if err != nil || len(b) <= most {
			return name
		}
		_, last := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-last]
	}
}

// open returns the card, with whatever has happened to it since it was
// personalised. A card in dir with other keys is one of an earlier issue, and
// the new one takes its place; fresh reports that the card was made anew.
func (p Personal) open(dir string) (card *sim.Card, fresh bool, err error) {
	path := filepath.Join(dir, p.id()+".json")
	card, err = sim.Load(path)
	switch {
	case err == nil && (card.State().Keys == p.Keys || p.foreign() != ""):
		return card, false, nil
	case err == nil:
		if err := errors.Join(card.Close(), os.Remove(path)); err != nil {
			return nil, false, err
		}
	case !errors.Is(err, os.ErrNotExist):
		return nil, false, err
	}
	s, err := p.state()
	if err != nil {
		return nil, false, err
	}
	card, err = sim.Create(path, s)
	return card, true, err
}
