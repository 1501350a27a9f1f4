package electricity

import (
	"fmt"
	"time"

	"quancun/kiosk/dialog"
	"quancun/upstream/client/bill"
)

// Name is the service's.
const Name dialog.Word = "electricity"

// What is asked and being done.
const (
	looking     dialog.Word = "electricity.looking"
	reading     dialog.Word = "electricity.reading"
	askBiller   dialog.Word = "electricity.biller"
	askMine     dialog.Word = "electricity.mine"
	otherRoom   dialog.Word = "electricity.other.room"
	askArea     dialog.Word = "electricity.area"
	askBuilding dialog.Word = "electricity.building"
	askFloor    dialog.Word = "electricity.floor"
	askRoom     dialog.Word = "electricity.room"
	askPlace    dialog.Word = "electricity.place"
	askMeter    dialog.Word = "electricity.meter"
)

var asks = map[bill.PlaceKind]dialog.Word{
	bill.Area: askArea, bill.Building: askBuilding, bill.Floor: askFloor, bill.Room: askRoom,
}

// What is told.
const (
	factChosen dialog.Word = "electricity.fact.chosen"
	factRoom   dialog.Word = "electricity.fact.room"
	factMeter  dialog.Word = "electricity.fact.meter"
	factEnergy dialog.Word = "electricity.fact.energy"
	factMoney  dialog.Word = "electricity.fact.money"
	factPrice  dialog.Word = "electricity.fact.price"
	owedEnergy dialog.Word = "electricity.fact.owed.energy"
	owedMoney  dialog.Word = "electricity.fact.owed"
	factRead   dialog.Word = "electricity.fact.read"
	factDays   dialog.Word = "electricity.fact.days"
	factHours  dialog.Word = "electricity.fact.hours"
	notRead    dialog.Word = "electricity.not.read"
	onlyShown  dialog.Word = "electricity.only.shown"
	notPayable dialog.Word = "electricity.not.payable"
	noRooms    dialog.Word = "electricity.no.rooms"
	roomGone   dialog.Word = "electricity.room.gone"
	unread     dialog.Word = "electricity.unread" // none of the room's meters
)

// staleAfter is how old a reading may be before its age is said: the vendors read
// meters once a day at least.
const staleAfter = 25 * time.Hour

// facts is what a meter shows. Each of its numbers has its unit in its name.
func (s *search) facts(m bill.Meter) (all []dialog.Fact) {
	if m.Name != "" {
		all = append(all, dialog.Text(factMeter, m.Name))
	}
	if m.Energy == nil && m.Money == nil {
		return append(all, dialog.Said(factRead, notRead))
	}
	switch e := m.Energy; {
	case e == nil:
	case *e < 0:
		all = append(all, strong(dialog.Text(owedEnergy, kWh(-*e))))
	default:
		all = append(all, strong(dialog.Text(factEnergy, kWh(*e))))
	}
	switch f := m.Money; {
	case f == nil:
	case *f < 0:
		all = append(all, strong(dialog.Amount(owedMoney, -*f)))
	default:
		all = append(all, strong(dialog.Amount(factMoney, *f)))
	}
	if m.Price > 0 {
		all = append(all, dialog.Amount(factPrice, m.Price))
	}
	return append(all, s.age(m.ReadAt)...)
}

// age says when a meter was read, and how long ago if that is long.
func (s *search) age(read time.Time) []dialog.Fact {
	if read.IsZero() {
		return nil
	}
	all := []dialog.Fact{dialog.Moment(factRead, read)}
	switch old := s.now().Sub(read); {
	case old < staleAfter:
		return all
	case old < 48*time.Hour:
		return append(all, strong(dialog.Count(factHours, int64(old/time.Hour))))
	default:
		return append(all, strong(dialog.Count(factDays, int64(old/(24*time.Hour)))))
	}
}

// kWh writes hundredths of a kWh: "14.40".
func kWh(n int64) string { return fmt.Sprintf("%d.%02d", n/100, n%100) }

func strong(f dialog.Fact) dialog.Fact {
	f.Strong = true
	return f
}
