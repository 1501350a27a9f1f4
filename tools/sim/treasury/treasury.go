// Package treasury is the school's finance office: who holds the books against the
// statements of the payment service and of the billers each morning, works through the
// inbox, and has the bank pay merchants.
//
// It knows of the upstream what its programs print, and of the world what others have
// told it: statements, the bank's list of transfers, and whoever comes to ask for money
// that is theirs.
package treasury

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"quancun/money"
	"quancun/tools/sim/outside"
	"quancun/tools/sim/virtual"
	"quancun/upstream/channel"
	"quancun/upstream/clearing"
	"quancun/upstream/reconcile"
	"quancun/upstream/store"
)

// Event is something that the office does. Its number dies with the process.
type Event int

// The events.
const (
	Assigned    Event = iota // money went to whoever has paid it
	GivenBack                // it was given back by the payment service
	WrittenOff               // a difference is the school's
	PaidOut                  // a merchant was paid
	EnteredLate              // a transfer, of which the books did not know
	Carried                  // one that was not what the days come to by the books
)

// Office is the finance office.
type Office struct {
	World *virtual.World
	Dice  virtual.Dice
	Log   *slog.Logger
	Met   func(Event)
	Note  func(format string, args ...any)
	Wrong func(format string, args ...any)

	Payments *outside.Payments
	Billers  map[reconcile.Source]*outside.Biller

	// Payer returns whose an order was.
	Payer func(orderNo string) (store.Account, bool)

	Calm bool // nobody is hasty any more

	numbers   int                            // of transfers
	transfers map[string][]clearing.Transfer // that the bank has made, by merchant
}

// Open has an office begin.
func (o *Office) Open() *Office {
	o.transfers = map[string][]clearing.Transfer{}
	return o
}

// Transferred returns what the bank has paid to merchants.
func (o *Office) Transferred() map[string]money.Fen {
	sums := map[string]money.Fen{}
	for merchant, all := range o.transfers {
		for _, t := range all {
			sums[merchant] += t.Amount
		}
	}
	return sums
}

// Work is what the office does on a morning. An error is of the upstream.
func (o *Office) Work(ctx context.Context, books *store.Books) error {
	house := clearing.New(books)
	daily := &clearing.Daily{
		House: house, Source: reconcile.Source(store.ChannelAlipay), Statements: o.Payments, Log: o.Log,
	}
	if _, err := daily.Once(ctx); err != nil {
		return err
	}
	for _, source := range slices.Sorted(maps.Keys(o.Billers)) {
		if err := o.records(ctx, house, source); err != nil {
			return err
		}
	}
	if err := o.inbox(ctx, house); err != nil {
		return err
	}
	return o.settle(ctx, house)
}

// records hands over a biller's records of every day that is over, and that the books
// have none of.
func (o *Office) records(ctx context.Context, h *clearing.House, source reconcile.Source) error {
	there := map[channel.Day]bool{}
	all, err := h.Statements(ctx, source)
	for _, s := range all {
		there[s.Day] = !s.Compared.IsZero()
	}
	if err != nil {
		return err
	}
	for day := channel.DayOf(virtual.Morning); day < channel.DayOf(o.World.Now); day = day.Add(1) {
		if there[day] {
			continue
		}
		s, err := o.Billers[source].Bill(ctx, day)
		if errors.Is(err, channel.ErrNoStatement) {
			err = h.NoStatement(ctx, source, day)
		} else {
			_, err = h.SaveStatement(ctx, source, s)
		}
		if err != nil {
			return err
		}
		if _, err := h.Compare(ctx, source, day); err != nil {
			return err
		}
	}
	_, err = h.Compare(ctx, source, "")
	return err
}

// signed are the two who stand for what the office does.
var signed = clearing.Signature{Reason: "looked at", One: "a", Two: "b"}

// inbox works through the lines about statements.
func (o *Office) inbox(ctx context.Context, h *clearing.House) error {
	all, err := h.Exceptions(ctx, false)
	if err != nil {
		return err
	}
	for _, x := range all {
		if x.Source == "" || !o.Calm && o.Dice.OneIn(2) {
			continue // of others, or there is no time today
		}
		err := o.end(ctx, h, x)
		o.Note("treasury: line %d, %s %s, %s: %v", x.ID, x.Kind, x.Ref, x.NextStep, err)
		if err != nil && !errors.Is(err, clearing.ErrNotThat) && !errors.Is(err, clearing.ErrReturned) {
			return err
		}
	}
	return nil
}

// end does about a line what it says is to be done.
func (o *Office) end(ctx context.Context, h *clearing.House, x clearing.Exception) error {
	switch reconcile.Step(x.NextStep) {
	case reconcile.CreditPayment, reconcile.FindPayer, reconcile.ReturnSecond:
		if to, known := o.Payer(x.About); known && o.Dice.OneIn(2) {
			_, err := h.Assign(ctx, x.ID, to, signed)
			return o.met(Assigned, err)
		}
		return o.giveBack(ctx, h, x)
	case reconcile.ChargeOrCancel, reconcile.BookReturn, reconcile.ReverseEntry, reconcile.AwaitRefund:
		_, err := h.WriteOff(ctx, x.ID, signed)
		return o.met(WrittenOff, err)
	case reconcile.AwaitReturn:
		return nil
	case reconcile.AwaitSale:
		if !o.Calm { // otherwise no journal has it any more
			return nil
		}
		return o.giveBack(ctx, h, x)
	}
	o.Wrong("treasury: line %d, %s %s: %s, %s", x.ID, x.Kind, x.Ref, x.NextStep, x.Detail)
	return nil
}

// giveBack has what was paid given back, or keeps it where part of it went back before.
func (o *Office) giveBack(ctx context.Context, h *clearing.House, x clearing.Exception) error {
	err := h.Return(ctx, x.ID, o.Payments, signed)
	if !errors.Is(err, channel.ErrRefused) {
		return o.met(GivenBack, err)
	}
	_, err = h.WriteOff(ctx, x.ID, signed)
	return o.met(WrittenOff, err)
}

func (o *Office) met(e Event, err error) error {
	if err == nil {
		o.Met(e)
	}
	return err
}

// account is what a merchant is owed by the books.
type account struct {
	owed money.Fen
	last channel.Day // that was closed
}

// settle has the bank pay what merchants are owed. What it has paid before is entered
// first: the booking may have been cut short, or the books may be a copy.
func (o *Office) settle(ctx context.Context, h *clearing.House) error {
	for _, merchant := range slices.Sorted(maps.Keys(o.transfers)) {
		for _, t := range o.transfers[merchant] {
			if err := o.enter(ctx, h, merchant, t); err != nil {
				return err
			}
		}
	}
	days, err := h.Settlements(ctx, "")
	if err != nil {
		return err
	}
	accounts := map[string]account{}
	for _, d := range days {
		a := accounts[d.Merchant]
		a.last = d.Day
		if d.Settled.IsZero() {
			a.owed += d.Owed
		}
		accounts[d.Merchant] = a
	}
	for _, merchant := range slices.Sorted(maps.Keys(accounts)) {
		if err := o.pay(ctx, h, merchant, accounts[merchant]); err != nil {
			return err
		}
	}
	return nil
}

// enter enters a transfer that the bank has made.
func (o *Office) enter(ctx context.Context, h *clearing.House, merchant string, t clearing.Transfer) error {
	p, err := h.Pay(ctx, merchant, t)
	t.New = errors.Is(err, clearing.ErrNew)
	if t.New || errors.Is(err, clearing.ErrOtherAmount) || errors.Is(err, clearing.ErrOwes) {
		t.Carry, t.Through = true, channel.DayOf(o.World.Now)
		p, err = h.Pay(ctx, merchant, t)
		o.Met(Carried)
	}
	if err != nil || p.Known {
		return err
	}
	o.Note("treasury: %s was paid %s by %s: %+v", merchant, t.Amount, t.No, p)
	o.Met(EnteredLate)
	return nil
}

// pay makes a transfer.
func (o *Office) pay(ctx context.Context, h *clearing.House, merchant string, a account) error {
	if a.owed <= 0 {
		return nil
	}
	o.numbers++
	t := clearing.Transfer{No: fmt.Sprint("T", o.numbers), Through: a.last, Amount: a.owed, By: "a"}
	o.transfers[merchant] = append(o.transfers[merchant], t)
	p, err := h.Pay(ctx, merchant, t)
	o.Note("treasury: %s is paid %s through %s by %s: %+v, %v", merchant, t.Amount, t.Through, t.No, p, err)
	return o.met(PaidOut, err)
}
