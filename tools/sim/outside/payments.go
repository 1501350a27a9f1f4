package outside

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"quancun/money"
	"quancun/tools/sim/virtual"
	"quancun/upstream/channel"
)

// errChannel is all that the upstream hears of a question to the payment
// service that got lost, or whose answer did.
var errChannel = errors.New("the payment service does not answer")

// Payments is the payment service, as a small model of it that keeps its books: what
// was ordered, paid and given back. It is what the payers' money is held against in
// the end.
type Payments struct {
	World *virtual.World
	Dice  virtual.Dice
	Late  func() // is told of each payment that crosses its cancellation

	Calm bool // nothing goes wrong any more

	register
	trades map[string]*channel.Trade
	given  map[string]money.Fen
	refund map[string]money.Fen // by order and refund number
}

// NewPayments returns a payment service with empty books.
func NewPayments(w *virtual.World, d virtual.Dice, late func()) *Payments {
	return &Payments{
		World: w, Dice: d, Late: late, trades: map[string]*channel.Trade{}, given: map[string]money.Fen{},
		refund: map[string]money.Fen{},
	}
}

// ask is one question to the service, of which the network may lose the
// question or the answer.
func (s *Payments) ask(effect func() error) error {
	if s.Calm || !s.Dice.OneIn(12) {
		return effect()
	}
	if s.Dice.OneIn(2) {
		return errChannel
	}
	return errors.Join(errChannel, effect())
}

// Precreate implements [channel.Channel].
func (s *Payments) Precreate(_ context.Context, o channel.Order) (qr string, err error) {
	err = s.ask(func() error {
		t := s.trades[o.No]
		if t == nil {
			s.trades[o.No] = &channel.Trade{OrderNo: o.No, Status: channel.Absent, Amount: o.Amount}
		} else if t.Amount != o.Amount {
			return channel.ErrRefused
		}
		qr = "https://qr.example/" + o.No
		return nil
	})
	return qr, err
}

// PayByCode implements [channel.Codes]. Some payers agree at once, some cannot pay, and
// some look for their glasses first: then [Payments.Pay] is when they have found them.
func (s *Payments) PayByCode(_ context.Context, o channel.Order, _ string) error {
	return s.ask(func() error {
		if s.trades[o.No] != nil {
			return channel.ErrRefused // nobody uses a code twice
		}
		t := &channel.Trade{OrderNo: o.No, Status: channel.Waiting, Amount: o.Amount}
		s.trades[o.No] = t
		switch s.Dice.IntN(6) {
		case 0:
			return fmt.Errorf("%w: %w", channel.ErrRefused, channel.ErrPayer)
		case 1, 2:
			return errChannel
		}
		s.Pay(o.No)
		return nil
	})
}

// Query implements [channel.Channel].
func (s *Payments) Query(_ context.Context, no string) (t channel.Trade, err error) {
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
func (s *Payments) Cancel(_ context.Context, no string) (status channel.Status, err error) {
	err = s.ask(func() error {
		t := s.trades[no]
		if t == nil {
			t = &channel.Trade{OrderNo: no}
			s.trades[no] = t
		}
		switch t.Status {
		case channel.Paid:
			s.giveBack(t, "", t.Amount-s.given[no])
		case channel.Returned:
		default:
			t.Status = channel.Closed
		}
		status = t.Status
		return nil
	})
	return status, err
}

// Refund implements [channel.Channel].
func (s *Payments) Refund(_ context.Context, no, refundNo string, amount money.Fen) error {
	return s.ask(func() error {
		name := no + " " + refundNo
		if _, done := s.refund[name]; done {
			return nil
		}
		if s.Paid(no) < amount {
			return channel.ErrRefused
		}
		s.refund[name] = amount
		s.giveBack(s.trades[no], refundNo, amount)
		return nil
	})
}

// giveBack gives part of what was paid back. A trade of which nothing is left is over.
func (s *Payments) giveBack(t *channel.Trade, refundNo string, amount money.Fen) {
	if s.given[t.OrderNo] += amount; s.given[t.OrderNo] == t.Amount {
		t.Status = channel.Returned
	}
	if amount > 0 {
		s.enter(channel.Line{
			OrderNo: t.OrderNo, RefundNo: refundNo, TradeNo: t.TradeNo, Kind: channel.Refund, Amount: amount,
			At: s.World.Now,
		})
	}
}

// Notice implements [channel.Channel]. This service sends none; questions find
// out.
func (s *Payments) Notice(*http.Request) (channel.Trade, error) {
	return channel.Trade{}, channel.ErrForged
}

// Acknowledge implements [channel.Channel].
func (s *Payments) Acknowledge(http.ResponseWriter) {}

// Pay is a payer's phone. It pays whatever the code says, once, also when the
// order has just been closed: that is a payment that crosses its cancellation.
func (s *Payments) Pay(no string) bool {
	t := s.trades[no]
	if t == nil || t.Amount == 0 || t.Status == channel.Paid || t.Status == channel.Returned {
		return false // nobody has asked for it, or it is over
	}
	if t.Status == channel.Closed {
		s.Late()
	}
	t.Status, t.TradeNo, t.PaidAt = channel.Paid, "2026"+no, s.World.Now
	s.enter(channel.Line{
		OrderNo: no, TradeNo: t.TradeNo, Kind: channel.Payment, Amount: t.Amount, At: s.World.Now,
	})
	return true
}

// Paid returns what the service holds for an order.
func (s *Payments) Paid(no string) money.Fen {
	if t := s.trades[no]; t != nil && t.Status == channel.Paid {
		return t.Amount - s.given[no]
	}
	return 0
}

// Holds returns what the service holds of all orders.
func (s *Payments) Holds() (sum money.Fen) {
	for no := range s.trades {
		sum += s.Paid(no)
	}
	return sum
}

// Closed reports whether an order can be paid no more.
func (s *Payments) Closed(no string) bool {
	t := s.trades[no]
	return t != nil && t.Status == channel.Closed
}
