package campus

import (
	"context"
	"errors"
	"net/http"

	"quancun/money"
	"quancun/upstream/channel"
)

// errChannel is all that the upstream hears of a question to the payment
// service that got lost, or whose answer did.
var errChannel = errors.New("the payment service does not answer")

// till is the payment service, as a small model of it that keeps its books: what
// was ordered, paid and given back. It is what the payers' money is held
// against in the end.
type service struct {
	campus *Campus
	trades map[string]*channel.Trade
	order  []string // of trades, as they came
	given  map[string]money.Fen
	refund map[string]money.Fen // by refund number
}

func newService(c *Campus) *service {
	return &service{
		campus: c, trades: map[string]*channel.Trade{}, given: map[string]money.Fen{}, refund: map[string]money.Fen{},
	}
}

// ask is one question to the service, of which the network may lose the
// question or the answer.
func (s *service) ask(effect func() error) error {
	if s.campus.healed || !s.campus.dice.OneIn(12) {
		return effect()
	}
	if s.campus.dice.OneIn(2) {
		return errChannel
	}
	return errors.Join(errChannel, effect())
}

// Precreate implements [channel.Channel].
func (s *service) Precreate(_ context.Context, o channel.Order) (qr string, err error) {
	err = s.ask(func() error {
		t := s.trades[o.No]
		if t == nil {
			s.trades[o.No] = &channel.Trade{OrderNo: o.No, Status: channel.Absent, Amount: o.Amount}
			s.order = append(s.order, o.No)
		} else if t.Amount != o.Amount {
			return channel.ErrRefused
		}
		qr = "https://qr.example/" + o.No
		return nil
	})
	return qr, err
}

// Query implements [channel.Channel].
func (s *service) Query(_ context.Context, no string) (t channel.Trade, err error) {
	err = s.ask(func() error {
		t = channel.Trade{OrderNo: no, Status: channel.Absent}
		if known := s.trades[no]; known != nil {
			t = *known
		}
		return nil
	})
	return t, err
}

// Cancel implements [channel.Channel].
func (s *service) Cancel(_ context.Context, no string) (status channel.Status, err error) {
	err = s.ask(func() error {
		t := s.trades[no]
		if t == nil {
			t = &channel.Trade{OrderNo: no}
			s.trades[no] = t
			s.order = append(s.order, no)
		}
		if t.Status == channel.Paid || t.Status == channel.Returned {
			t.Status = channel.Returned
		} else {
			t.Status = channel.Closed
		}
		status = t.Status
		return nil
	})
	return status, err
}

// Refund implements [channel.Channel].
func (s *service) Refund(_ context.Context, no, refundNo string, amount money.Fen) error {
	return s.ask(func() error {
		if _, done := s.refund[refundNo]; !done {
			s.refund[refundNo] = amount
			s.given[no] += amount
		}
		return nil
	})
}

// Notice implements [channel.Channel]. This service sends none; questions find
// out.
func (s *service) Notice(*http.Request) (channel.Trade, error) {
	return channel.Trade{}, channel.ErrForged
}

// Acknowledge implements [channel.Channel].
func (s *service) Acknowledge(http.ResponseWriter) {}

// pay is a payer's phone. It pays whatever the code says, once, also when the
// order has just been closed: that is a payment that crosses its cancellation.
func (s *service) pay(no string) bool {
	t := s.trades[no]
	if t == nil || t.Status == channel.Paid || t.Status == channel.Returned {
		return false
	}
	if t.Status == channel.Closed {
		s.campus.cover(branchPaidLate)
	}
	t.Status, t.TradeNo, t.PaidAt = channel.Paid, "2026"+no, s.campus.world.Now
	return true
}

// paid returns what the service holds for an order.
func (s *service) paid(no string) money.Fen {
	if t := s.trades[no]; t != nil && t.Status == channel.Paid {
		return t.Amount - s.given[no]
	}
	return 0
}
