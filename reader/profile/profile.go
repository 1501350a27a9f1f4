// Package profile says how one issuer's cards differ from another's: which
// application and purse they carry, where the fields are in their files, how
// their keys are diversified and when they want a PIN.
//
// A profile is a TOML file. default.toml, which is embedded, documents every
// key and is what a key left out falls back to.
//
// Section numbers refer to the project's notes on the card.
package profile

import (
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"

	"github.com/BurntSushi/toml"

	"quancun/money"
)

// Profile is one kind of card. Make one with [Default], [Parse] or [Read]; it
// is then valid, and nobody changes it any more.
type Profile struct {
	AID    AID    `toml:"aid"` // the purse application, or empty if DF is set
	DF     uint16 `toml:"df"`  // its file identifier, or 0 if AID is set
	Factor Factor `toml:"factor"`
	Prove  Prove  `toml:"prove"`

	Purse       Purse       `toml:"purse"`
	PIN         PIN         `toml:"pin"`
	Application Application `toml:"application"`
	Holder      Holder      `toml:"holder"`
	Log         Log         `toml:"log"`
}

// Purse is the money on the card.
type Purse struct {
	Kind        Kind      `toml:"kind"`
	Ceiling     money.Fen `toml:"ceiling_fen"`
	LoadKey     byte      `toml:"load_key"`
	PurchaseKey byte      `toml:"purchase_key"`
}

// PIN says how the card's PIN is sent and what wants it.
type PIN struct {
	Encoding PINEncoding `toml:"encoding"`
	Key      byte        `toml:"key"`
	ForLoad  bool        `toml:"for_load"`
	ForLog   bool        `toml:"for_log"`
}

// Application is the layout of file 0x15, public application data (2.1).
type Application struct {
	SFI        byte   `toml:"sfi"`
	Length     int    `toml:"length"`
	CardNo     Field  `toml:"card_no"` // 1 to 10 bytes; shorter ones are padded on the left
	Enabled    int    `toml:"enabled"`
	NotEnabled []byte `toml:"not_enabled"`
	Start      int    `toml:"start"`
	Expiry     int    `toml:"expiry"`
}

// Holder is the layout of file 0x16, cardholder data (2.2).
type Holder struct {
	SFI    byte  `toml:"sfi"`
	Length int   `toml:"length"`
	Name   Field `toml:"name"`
	Number Field `toml:"number"` // student or staff number
	// Update says that the issuer may write the file of a card that it has made, with
	// its control key proven and a MAC of the maintenance key.
	Update bool `toml:"update"`
}

// Log is the transaction log, file 0x18 (2.3).
type Log struct {
	SFI     byte `toml:"sfi"`
	Records int  `toml:"records"`
}

// Field is a part of a file. Length 0 means that there is none.
type Field struct {
	Offset   int      `toml:"offset"`
	Length   int      `toml:"length"`
	Encoding Encoding `toml:"encoding"`
}

//go:embed default.toml
var defaults string

// Default returns the common PBOC purse on FMCOS 2.0.
func Default() *Profile {
	p := new(Profile)
	if err := decode(defaults, p); err != nil {
		panic("profile: internal error: default.toml: " + err.Error())
	}
	return p
}

// Parse returns the profile that text describes, in TOML. Keys left out are as
// in [Default]; unknown ones are an error.
func Parse(text string) (*Profile, error) {
	p := Default()
	if err := decode(text, p); err != nil {
		return nil, fmt.Errorf("card profile: %w", err)
	}
	return p, nil
}

// Read returns the profile in the file at path, or [Default] if path is empty.
func Read(path string) (*Profile, error) {
	if path == "" {
		return Default(), nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("card profile: %w", err)
	}
	return Parse(string(text))
}

func decode(text string, p *Profile) error {
	meta, err := toml.Decode(text, p)
	if err != nil {
		return err
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return fmt.Errorf("unknown keys %v", unknown)
	}
	return p.validate()
}

// fileMax is the longest READ BINARY: FMCOS limits Le to 239 (chapter 1).
const fileMax = 239

// fenMax is the largest balance: readers in the field mask the top bit of the
// four bytes (chapter 1).
const fenMax money.Fen = 1<<31 - 1

func (p *Profile) validate() error {
	a, h := p.Application, p.Holder
	var errs []error
	check := func(ok bool, text string) {
		if !ok {
			errs = append(errs, errors.New(text))
		}
	}
	check((len(p.AID) == 0) != (p.DF == 0), "exactly one of aid and df must be set")
	check(len(p.AID) == 0 || len(p.AID) >= 5 && len(p.AID) <= 16, "aid must have 5 to 16 bytes")
	check(p.Purse.Ceiling > 0 && p.Purse.Ceiling <= fenMax, "purse.ceiling_fen is out of range")
	check(isSFI(a.SFI), "application.sfi must be from 1 to 30")
	check(isSFI(h.SFI), "holder.sfi must be from 1 to 30")
	check(isSFI(p.Log.SFI), "log.sfi must be from 1 to 30")
	check(a.Length > 0 && a.Length <= fileMax, "application.length must be from 1 to 239")
	check(h.Length >= 0 && h.Length <= fileMax, "holder.length must be from 0 to 239")
	check(a.CardNo.Length >= 1 && a.CardNo.Length <= 10, "application.card_no must have 1 to 10 bytes")
	check(a.CardNo.within(a.Length), "application.card_no is outside the file")
	check(Field{Offset: a.Enabled, Length: 1}.within(a.Length), "application.enabled is outside the file")
	check(Field{Offset: a.Start, Length: 4}.within(a.Length), "application.start is outside the file")
	check(Field{Offset: a.Expiry, Length: 4}.within(a.Length), "application.expiry is outside the file")
	check(h.Name.within(h.Length), "holder.name is outside the file")
	check(h.Number.within(h.Length), "holder.number is outside the file")
	check(p.Log.Records >= 1 && p.Log.Records <= 255, "log.records must be from 1 to 255")
	return errors.Join(errs...)
}

func isSFI(sfi byte) bool { return sfi >= 1 && sfi <= 30 }

func (f Field) within(length int) bool {
	return f.Length == 0 || f.Length > 0 && f.Offset >= 0 && f.Offset <= length-f.Length
}

// AID is an application identifier, 5 to 16 bytes, written in hex digits.
type AID []byte

// UnmarshalText reads hex digits.
func (a *AID) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil {
		return fmt.Errorf("aid %q is not in hex digits", text)
	}
	*a = b
	return nil
}
