// Package pay has a holder's bill paid from the account: what the network fee and
// electricity have in common.
//
// An order is in the journal before the upstream hears of it. The upstream holds the
// amount, tells the biller once, and knows what came of it or goes on asking; this
// package only ever asks the upstream. An answer that is lost is asked after, under
// the same number, and what is still not known is "being checked": nothing is ever
// ordered again for it.
package pay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"quancun/journal"
	"quancun/kiosk/dialog"
	"quancun/kiosk/request"
	"quancun/kiosk/service"
	"quancun/kiosk/tender"
	"quancun/money"
	"quancun/upstream/client"
	"quancun/upstream/client/bill"
)

// Service is what the journal calls these requests.
const Service = "bill"

// Upstream is what the upstream does for a bill. A *[client.Refusal] is "refused";
// any other error is "unknown". [bill.Desk] is one.
type Upstream interface {
	Billers(ctx context.Context) ([]bill.Biller, error)
	Pay(ctx context.Context, session []byte, o bill.Order) (bill.Bill, error)
	Get(ctx context.Context, orderNo string, known bill.State, wait time.Duration) (bill.Bill, error)
	End(ctx context.Context, session []byte, o bill.Order) (bill.Bill, error)
	EndLost(ctx context.Context, account string, o bill.Order) (bill.Bill, error)
}

// Desk pays bills. It is safe for concurrent use.
type Desk struct {
	Upstream Upstream
	Requests *request.Desk
	Pause    time.Duration // before a lost answer is asked after
	Log      *slog.Logger

	// Proof returns the code of a signed receipt for what was paid under a reference,
	// to be taken along where there is no paper; "" if there is none now. It may be nil.
	Proof func(ctx context.Context, s client.Session, ref string) string
}

// Order is what is to be paid.
type Order struct {
	Biller    bill.Biller
	Amount    money.Fen
	Room      []bill.Place // of electricity, with the meter
	Meter     string
	MeterName string
	For       []dialog.Fact // what it is for, as the holder is asked and told
}

func (o Order) bill(no string) bill.Order {
	return bill.Order{
		OrderNo: no, Biller: o.Biller.Name, Amount: o.Amount, Room: o.Room, Meter: o.Meter, MeterName: o.MeterName,
	}
}

// note is what the journal keeps of an order; see docs/JOURNAL.md.
type note struct {
	Biller    string  `json:"biller"`
	Room      []place `json:"room,omitempty"`
	Meter     string  `json:"meter,omitempty"`
	MeterName string  `json:"meter_name,omitempty"`
}

type place struct {
	Kind bill.PlaceKind `json:"kind"`
	ID   string         `json:"id"`
	Name string         `json:"name"`
}

func noteOf(o bill.Order) note {
	n := note{Biller: o.Biller, Meter: o.Meter, MeterName: o.MeterName}
	for _, p := range o.Room {
		n.Room = append(n.Room, place(p))
	}
	return n
}

// orderOf reads an order out of its intent.
func orderOf(intent journal.Entry) (o bill.Order, err error) {
	r, err := intent.Request()
	if err != nil {
		return o, err
	}
	var n note
	if err := json.Unmarshal(r.What, &n); err != nil {
		return o, fmt.Errorf("read order: %w", err)
	}
	o = bill.Order{
		OrderNo: intent.Ref, Biller: n.Biller, Amount: intent.Amount, Meter: n.Meter, MeterName: n.MeterName,
	}
	for _, p := range n.Room {
		o.Room = append(o.Room, bill.Place(p))
	}
	return o, nil
}

// Pay asks for the last word on o, and pays it.
func (d *Desk) Pay(ctx context.Context, v *service.Visit, o Order) (dialog.Report, error) {
	after := v.Account.Spendable() - o.Amount
	facts := append(o.For[:len(o.For):len(o.For)], strong(dialog.Amount(factAmount, o.Amount)),
		dialog.Amount(factAfter, after))
	if err := v.Confirm(ctx, askSure, facts...); err != nil {
		return dialog.Report{}, err
	}
	if err := v.Work(ctx, paying); err != nil {
		return dialog.Report{}, err
	}
	p := &payment{desk: d, order: o.bill(v.Ref()), kind: o.Biller.Kind, about: o.For, session: v.Session}
	outcome, err := d.Requests.Do(ctx, request.Request{
		Ref: v.Ref(), Service: Service, Account: v.Account.No, Amount: o.Amount, What: noteOf(p.order),
	}, p.ask)
	if outcome == journal.NotDone && p.bill.State == 0 {
		return Without(v, o.For, err) // it was never taken
	}
	return p.report(ctx), err
}

// payment is an order that was written down.
type payment struct {
	desk  *Desk
	order bill.Order
	kind  bill.BillerKind
	about []dialog.Fact
	bill  bill.Bill // as the upstream has said last; zero if it has not

	session client.Session
}

// ask has the upstream pay, and returns what came of it. Where the answer is lost,
// it is asked after at once, so that few people have to be told "being checked".
func (p *payment) ask(ctx context.Context) (journal.Outcome, error) {
	b, err := p.desk.Upstream.Pay(ctx, p.session, p.order)
	no := (*client.Refusal)(nil)
	if errors.As(err, &no) {
		return journal.NotDone, refusal(no)
	}
	if err != nil {
		p.desk.Log.Warn("answer to a bill was lost", "order", p.order.OrderNo, "err", err)
		if b, err = p.askAgain(ctx); err != nil {
			return 0, fmt.Errorf("%w: %w", dialog.Refuse(unsure, nil), err)
		}
	}
	p.bill = b
	return ended(b)
}

// askAgain asks what became of an order whose answer was lost. One of which the
// upstream has not heard is ended, so that it comes too late if it is still on its
// way.
func (p *payment) askAgain(ctx context.Context) (bill.Bill, error) {
	if err := sleep(ctx, p.desk.Pause); err != nil {
		return bill.Bill{}, err
	}
	b, err := p.desk.Upstream.Get(ctx, p.order.OrderNo, 0, 0)
	if no := (*client.Refusal)(nil); errors.As(err, &no) && no.Reason == client.OrderUnknown {
		return p.desk.Upstream.End(ctx, p.session, p.order)
	}
	return b, err
}

// follow waits until the end of the bill is known. The upstream holds each question
// until the bill moves.
func (p *payment) follow(ctx context.Context) (dialog.Report, error) {
	for {
		b, err := p.desk.Upstream.Get(ctx, p.order.OrderNo, p.bill.State, bill.WaitMax)
		if ctx.Err() != nil {
			return p.report(ctx), ctx.Err()
		}
		if err != nil {
			p.desk.Log.Warn("bill not heard of", "order", p.order.OrderNo, "err", err)
			if err := sleep(ctx, p.desk.Pause); err != nil {
				return p.report(ctx), err
			}
			continue
		}
		p.bill = b
		outcome, err := ended(b)
		switch {
		case outcome != 0:
			p.desk.Requests.End(ctx, request.Request{Service: Service, Ref: p.order.OrderNo}, outcome)
			return p.report(ctx), err
		case b.State == bill.Referred: // people take days
			return p.report(ctx), errors.Join(tender.ErrUnknown, err)
		}
	}
}

// ended returns what a bill has come to, 0 if nobody knows, and why it was not paid,
// or what is known.
func ended(b bill.Bill) (journal.Outcome, error) {
	switch b.State {
	case bill.Paid:
		return journal.Done, nil
	case bill.Released:
		why, ok := causes[b.Cause]
		if !ok {
			why = notPaid
		}
		return journal.NotDone, dialog.Refuse(why, nil)
	case bill.Held:
		return 0, dialog.Refuse(waiting, nil)
	case bill.Referred:
		return 0, dialog.Refuse(referred, nil)
	case bill.Sent, bill.Checking:
	}
	return 0, dialog.Refuse(unsure, nil)
}

// proofMax is how long somebody waits for a receipt's code.
const proofMax = 3 * time.Second

// proof returns the code of a signed receipt for a bill that is paid, if there is one.
func (p *payment) proof(ctx context.Context) string {
	if p.desk.Proof == nil {
		return ""
	}
	ctx, stop := context.WithTimeout(ctx, proofMax)
	defer stop()
	return p.desk.Proof(ctx, p.session, p.order.OrderNo)
}

// report tells how the payment stands.
func (p *payment) report(ctx context.Context) dialog.Report {
	b := p.bill
	r := dialog.Report{No: short(p.order.OrderNo), Facts: p.about[:len(p.about):len(p.about)]}
	switch b.State {
	case bill.Paid:
		r.Facts = append(r.Facts, strong(dialog.Amount(factPaid, b.Amount)))
		if b.RecordNo != "" {
			r.Facts = append(r.Facts, dialog.Text(factRecord, b.RecordNo))
		}
		r.Title, r.Next = paidTitles[p.kind], taken
		r.Ref, r.Print, r.QR = p.order.OrderNo, true, p.proof(ctx)
		return r
	case bill.Released:
		r.Facts = append(r.Facts, dialog.Amount(factFree, b.Amount))
		return r
	case bill.Held:
		r.Facts = append(r.Facts, dialog.Moment(factUntil, b.Deadline))
	}
	r.Facts = append(r.Facts, strong(dialog.Amount(factHeld, p.order.Amount)))
	r.Next = lookLater
	if b.State != bill.Referred {
		r.Follow = p.follow
	}
	return r
}

// Ask returns what the keeper of requests asks about a bill that nobody waits for any
// more. One that the upstream has, it finishes by itself; one of which it has never
// heard is ended, so that it comes too late.
func Ask(u Upstream) request.Ask {
	return func(ctx context.Context, intent journal.Entry) (journal.Outcome, error) {
		b, err := u.Get(ctx, intent.Ref, 0, 0)
		if reason(err) == client.OrderUnknown {
			b, err = endLost(ctx, u, intent)
		}
		if err != nil {
			return 0, err
		}
		outcome, _ := ended(b)
		return outcome, nil
	}
}

// endLost ends an order that has never arrived. One that the upstream would never
// have taken is ended too.
func endLost(ctx context.Context, u Upstream, intent journal.Entry) (bill.Bill, error) {
	o, err := orderOf(intent)
	if err != nil {
		return bill.Bill{}, err
	}
	b, err := u.EndLost(ctx, intent.Account, o)
	switch reason(err) {
	case client.AccountUnknown, client.AmountOutOfRange, client.Malformed:
		return bill.Bill{State: bill.Released, Cause: bill.CauseEnded}, nil
	}
	return b, err
}

func reason(err error) client.Reason {
	if no := (*client.Refusal)(nil); errors.As(err, &no) {
		return no.Reason
	}
	return 0
}

func strong(f dialog.Fact) dialog.Fact {
	f.Strong = true
	return f
}

// short is what people call a reference: its end.
func short(ref string) string { return strings.ToUpper(ref[max(len(ref)-8, 0):]) }

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
