// Package electricity is dormitory electricity (电费) at the kiosk: which room it is,
// what its meters show, and a payment for one of them.
//
// A meter shows energy, or money, or both. They have lines of their own, and what is
// below zero is owed. What a meter has shown long ago says how old it is.
package electricity

import (
	"context"
	"errors"
	"strings"
	"time"

	"quancun/kiosk/dialog"
	"quancun/kiosk/service"
	"quancun/kiosk/service/pay"
	"quancun/upstream/client"
	"quancun/upstream/client/bill"
)

// Upstream finds rooms and reads their meters. [bill.Desk] does.
type Upstream interface {
	Rooms(ctx context.Context, session []byte, biller string) ([][]bill.Place, error)
	Places(ctx context.Context, session []byte, biller string, above []bill.Place) ([]bill.Place, error)
	Room(ctx context.Context, session []byte, biller string, room []bill.Place) (string, []bill.Meter, error)
}

// Service returns the service. What is looked up comes from u, and is paid at d.
func Service(u Upstream, d *pay.Desk, now func() time.Time) service.Service {
	return service.Service{Name: Name, SignIn: true, Run: func(ctx context.Context, v *service.Visit) (
		dialog.Report, error) {
		s := &search{Visit: v, up: u, desk: d, now: now}
		return s.run(ctx)
	}}
}

// search is a visit that looks for a room.
type search struct {
	*service.Visit
	up   Upstream
	desk *pay.Desk
	now  func() time.Time

	biller bill.Biller
}

func (s *search) run(ctx context.Context) (dialog.Report, error) {
	if err := s.chooseBiller(ctx); err != nil {
		return dialog.Report{}, err
	}
	room, err := s.room(ctx)
	if err != nil {
		return dialog.Report{}, err
	}
	return s.atRoom(ctx, room)
}

// chooseBiller asks whose meters they are, where there are several.
func (s *search) chooseBiller(ctx context.Context) error {
	if err := s.Work(ctx, looking); err != nil {
		return err
	}
	billers, err := s.desk.Billers(ctx, bill.Electricity)
	if err != nil {
		return err
	}
	s.biller = billers[0]
	if len(billers) == 1 {
		return nil
	}
	var options []dialog.Option
	for _, b := range billers {
		options = append(options, dialog.Option{Text: b.TitleZH, TextEN: b.TitleEN})
	}
	n, err := s.Choose(ctx, askBiller, options)
	s.biller = billers[max(n, 0)]
	return err
}

// room asks which room it is: one that the holder has paid for, or any other.
func (s *search) room(ctx context.Context) ([]bill.Place, error) {
	mine, err := s.up.Rooms(ctx, s.Session, s.biller.Name)
	if err != nil {
		return nil, pay.Nothing(err)
	}
	if len(mine) == 0 {
		return s.descend(ctx)
	}
	var options []dialog.Option
	for _, room := range mine {
		options = append(options, dialog.Option{Text: title(room)})
	}
	n, err := s.Choose(ctx, askMine, append(options, dialog.Option{Word: otherRoom}))
	if err != nil {
		return nil, err
	}
	if n < len(mine) {
		return mine[n], nil
	}
	return s.descend(ctx)
}

// levelsMax is more than any campus has between an area and a room.
const levelsMax = 6

// descend goes down from the areas to a room, from list to list.
func (s *search) descend(ctx context.Context) (path []bill.Place, err error) {
	for range levelsMax {
		if err := s.Work(ctx, looking); err != nil {
			return nil, err
		}
		places, err := s.up.Places(ctx, s.Session, s.biller.Name, path)
		if unknown(err) || err == nil && len(places) == 0 {
			return nil, dialog.Refuse(noRooms, err)
		}
		if err != nil {
			return nil, pay.Nothing(err)
		}
		place, err := s.choosePlace(ctx, path, places)
		if err != nil {
			return nil, err
		}
		if path = append(path, place); place.Kind == bill.Room {
			return path, nil
		}
	}
	return nil, dialog.Refuse(noRooms, errors.New("electricity: no room after many levels"))
}

func (s *search) choosePlace(ctx context.Context, path, places []bill.Place) (bill.Place, error) {
	var options []dialog.Option
	for _, p := range places {
		options = append(options, dialog.Option{Text: p.Name})
	}
	var facts []dialog.Fact
	if len(path) > 0 {
		facts = append(facts, dialog.Text(factChosen, title(path)))
	}
	ask, ok := asks[places[0].Kind]
	if !ok {
		ask = askPlace
	}
	n, err := s.Choose(ctx, ask, options, facts...)
	return places[max(n, 0)], err
}

// atRoom shows what a room's meters say, and pays for one of them.
func (s *search) atRoom(ctx context.Context, room []bill.Place) (dialog.Report, error) {
	if err := s.Work(ctx, reading); err != nil {
		return dialog.Report{}, err
	}
	name, meters, err := s.up.Room(ctx, s.Session, s.biller.Name, room)
	if unknown(err) {
		return dialog.Report{Facts: []dialog.Fact{dialog.Text(factRoom, title(room))}}, dialog.Refuse(roomGone, err)
	}
	if err != nil {
		return dialog.Report{}, pay.Nothing(err)
	}
	facts := []dialog.Fact{dialog.Text(factRoom, name)}
	read := false
	for _, m := range meters {
		facts = append(facts, s.facts(m)...)
		read = read || m.Energy != nil || m.Money != nil
	}
	if !read {
		return dialog.Report{Facts: facts[:1]}, dialog.Refuse(unread, service.ErrUnread)
	}
	m, err := s.chooseMeter(ctx, meters, facts)
	if err != nil || m == nil {
		return dialog.Report{Facts: facts, Next: onlyShown, Told: true}, err
	}
	facts = append(facts[:1:1], s.facts(*m)...) // of the others nobody pays now
	amount, err := pay.Amount(ctx, s.Visit, s.biller, facts)
	if err != nil {
		return pay.Without(s.Visit, facts, err)
	}
	of := []dialog.Fact{dialog.Text(factRoom, name)}
	if m.Name != "" {
		of = append(of, dialog.Text(factMeter, m.Name))
	}
	return s.desk.Pay(ctx, s.Visit, pay.Order{
		Biller: s.biller, Amount: amount, Room: room, Meter: m.ID, MeterName: m.Name, For: of,
	})
}

// chooseMeter asks which meter is paid for, where there are several. It returns nil
// if none can be.
func (s *search) chooseMeter(ctx context.Context, meters []bill.Meter, facts []dialog.Fact) (*bill.Meter, error) {
	var payable []bill.Meter
	var options []dialog.Option
	for _, m := range meters {
		o := dialog.Option{Text: m.Name}
		if !m.Payable {
			o.Note = notPayable
		} else {
			payable = append(payable, m)
		}
		options = append(options, o)
	}
	switch {
	case len(payable) == 0:
		return nil, nil
	case len(meters) == 1:
		return &meters[0], nil
	}
	n, err := s.Choose(ctx, askMeter, options, facts...)
	return &meters[max(n, 0)], err
}

// unknown reports whether the upstream says that there is no such place.
func unknown(err error) bool {
	no := (*client.Refusal)(nil)
	return errors.As(err, &no) && no.Reason == client.AccountUnknown
}

func title(path []bill.Place) string {
	var names []string
	for _, p := range path {
		names = append(names, p.Name)
	}
	return strings.Join(names, " ")
}
