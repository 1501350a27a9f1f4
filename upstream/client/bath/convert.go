package bath

import (
	"math"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"quancun/money"
	v1 "quancun/upstream/wire/quancun/v1"
)

func at(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

func hall(m *v1.BathHall) Hall {
	h := Hall{
		No: uint16(m.GetHall()), Name: m.GetName(), Whole: m.GetWhole(), Cap: money.Fen(m.GetCapFen()),
		Litre: money.Fen(m.GetLitreFen()), CancelFor: time.Duration(m.GetCancelMinutes()) * time.Minute,
		Closed: m.GetClosed(), Stalls: int(m.GetStalls()),
	}
	for _, t := range m.GetOpen() {
		h.Open = append(h.Open, Time{
			time.Duration(t.FromMinute) * time.Minute, time.Duration(t.ToMinute) * time.Minute,
		})
	}
	return h
}

func reservation(m *v1.BathReservation) Reservation {
	r := Reservation{
		Ref: m.GetRef(), Hall: uint16(m.GetHall()), HallName: m.GetHallName(), Stall: uint16(m.GetStall()),
		Slot: uint8(m.GetSlot()), From: at(m.GetFrom()), To: at(m.GetTo()), CancelTill: at(m.GetCancelTill()),
		Made: at(m.GetMade()), Cap: money.Fen(m.GetCapFen()), Litre: money.Fen(m.GetLitreFen()),
		State: State(m.GetState()), Moved: at(m.GetMoved()), Hold: Hold(m.GetHold()),
		Captured: money.Fen(m.GetCapturedFen()), Code: m.GetCode(), Opens: at(m.GetOpens()),
		OpensTill: at(m.GetOpensTill()), ReleasedBy: at(m.GetReleasedBy()), Closed: m.GetClosed(),
	}
	if m != nil && m.Number != nil && *m.Number <= math.MaxUint8 {
		r.Number = new(uint8(*m.Number))
	}
	if u := m.GetUse(); u != nil {
		r.Use = &Use{
			Stall: uint16(u.Stall), Start: at(u.Start), End: at(u.End), Millilitres: u.Millilitres,
			Amount: money.Fen(u.AmountFen), Pauses: int(u.Pauses), Ending: Ending(u.Ending),
		}
	}
	return r
}
