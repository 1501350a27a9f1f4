// Package electricity finds rooms and their meters at the vendors of dormitory
// electricity, and pays for them where the vendor takes payments (2).
//
// There are three wires. [Rest] is the integrators' plain one, which knows our
// order numbers and so can be asked: the default. [Synjones] is TSM of Synjones
// (新中新), which can be paid and cannot be asked: what it does not answer, people
// have to find out. [Wanxiao] is 完美校园, of which only the query is known.
//
// A meter may show kWh, or money, or both. The two are types of their own, and are
// never added up. What is negative is owed.
package electricity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"quancun/beijing"
	"quancun/money"
	"quancun/upstream/biller/vendor"
)

// Energy is an amount of energy in hundredths of a kWh (度).
type Energy int64

// String returns e in kWh, such as "14.40".
func (e Energy) String() string {
	sign := ""
	if e < 0 {
		sign, e = "-", -e
	}
	return fmt.Sprintf("%s%d.%02d", sign, e/100, e%100)
}

// Kind is the sort of a place. On the wire: never renumbered.
type Kind int

// The sorts, from the top.
const (
	Area     Kind = 1
	Building Kind = 2
	Floor    Kind = 3
	Room     Kind = 4
)

// Place is an area, a building, a floor or a room.
type Place struct {
	Kind Kind   `json:"k"`
	ID   string `json:"i"` // the vendor's own
	Name string `json:"n"`
}

// Path is a way from an area down.
type Path []Place

// idLenMax bounds an ID of a vendor's.
const idLenMax = 100

// check returns an error unless p goes down, and ends at a room if it has to.
func (p Path) check(room bool) error {
	last := Kind(0)
	for _, x := range p {
		if x.Kind <= last || x.Kind > Room || x.ID == "" || len(x.ID) > idLenMax || len(x.Name) > 200 {
			return fmt.Errorf("%w: these places are not below each other", vendor.ErrNoTarget)
		}
		last = x.Kind
	}
	if room && last != Room {
		return fmt.Errorf("%w: this is no room", vendor.ErrNoTarget)
	}
	return nil
}

// at returns the place of a kind, or a zero one.
func (p Path) at(k Kind) Place {
	for _, x := range p {
		if x.Kind == k {
			return x
		}
	}
	return Place{}
}

// Same compares by what the vendor goes by, and not by names.
func (p Path) Same(o Path) bool {
	return slices.EqualFunc(p, o, func(a, b Place) bool { return a.Kind == b.Kind && a.ID == b.ID })
}

// Title returns p for people, such as "东区 3号楼 301".
func (p Path) Title() (s string) {
	for _, x := range p {
		if s != "" {
			s += " "
		}
		s += x.Name
	}
	return s
}

// Meter is one of a room's meters.
type Meter struct {
	ID      string // the vendor's own; "" if a room has one only
	Name    string // such as 照明 or 空调
	Energy  *Energy
	Money   *money.Fen
	Price   money.Fen // of a kWh; 0 if not said
	ReadAt  time.Time // zero if not said
	Payable bool
}

// Vendor is a way to rooms. One that is a [vendor.Biller] too can be paid.
type Vendor interface {
	// Places returns what is below a path, all of one kind; the areas are below
	// none.
	Places(ctx context.Context, above Path) ([]Place, error)
	// Meters returns a room's meters, at least one; without a number and not payable
	// one that is offline. A room that is not there any more is [vendor.ErrNoTarget].
	Meters(ctx context.Context, room Path) ([]Meter, error)
}

// target is what an order keeps of whom it is for.
type target struct {
	Room  Path   `json:"room"`
	Meter string `json:"meter,omitempty"`
}

// Target returns a room's meter as the target of a charge. The same meter is
// always the same text.
func Target(room Path, meter string) (string, error) {
	if err := room.check(true); err != nil {
		return "", err
	}
	b, err := json.Marshal(target{room, meter})
	return string(b), err
}

// RoomOf returns the room that Target was given.
func RoomOf(t string) (Path, error) {
	read, err := readTarget(t)
	return read.Room, err
}

// readTarget reads what Target has written.
func readTarget(s string) (t target, err error) {
	if err := json.Unmarshal([]byte(s), &t); err != nil {
		return target{}, fmt.Errorf("%w: %w", vendor.ErrNoTarget, err)
	}
	return t, t.Room.check(true)
}

// errForm is an answer that has another form than its wire gives it.
var errForm = errors.New("electricity: the answer has another form")

// energy reads a number of kWh.
func energy(t vendor.Text) (Energy, error) {
	n, _, err := vendor.Decimal(string(t), 2)
	return Energy(n), err
}

// readTime reads a time such as "2026-03-01 08:00:00", or none.
func readTime(t vendor.Text) time.Time {
	at, err := time.ParseInLocation(time.DateTime, string(t), beijing.Zone)
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// yuan writes an amount: "10.00".
func yuan(f money.Fen) string { return fmt.Sprintf("%d.%02d", f/money.Yuan, f%money.Yuan) }
