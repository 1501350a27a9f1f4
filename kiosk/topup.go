package kiosk

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"quancun/beijing"
	"quancun/journal"
	"quancun/kiosk/dialog"
	"quancun/ledger"
	"quancun/money"
	"quancun/upstream/client"
)

// makeOrder writes the order's number down and then makes the order. Until
// somebody has seen a QR code, nobody can have paid.
func (d *Desk) makeOrder(ctx context.Context, amount money.Fen) outcome {
	if err := d.Book.Room(ctx); err != nil {
		return d.fail("room for an order", err)
	}
	intent := journal.Entry{
		Kind: journal.TopUpIntent, Ref: newOrderNo(d.Terms.Terminal(), d.Clock.Now()),
		Card: d.info.CardNo.Full(), Amount: amount,
	}
	d.InHand.Take(intent.Ref)
	if _, err := d.Book.Append(ctx, intent); err != nil {
		return d.fail("write order down", err)
	}
	d.order = client.TopUp{OrderNo: intent.Ref, Amount: amount, State: client.TopUpWaiting}
	order, err := d.Upstream.CreateTopUp(ctx, d.session, intent.Ref, amount)
	switch {
	case err != nil && refused(err):
		if err2 := d.endOrder(ctx, journal.Refused); err2 != nil {
			err = err2
		}
		return d.fail("make order", err)
	case err != nil:
		d.Log.Warn("order not answered", "order", intent.Ref, "err", err)
		return outcome{NotKnown, d.showOrder()}
	}
	d.order = order
	if o, done := d.judge(ctx); done {
		return o
	}
	if order.State != client.TopUpWaiting || order.QR == "" {
		return outcome{NotKnown, d.showOrder()} // there is nothing to scan
	}
	// From here on it may be paid, whatever the upstream remembers of it.
	_, err = d.Book.Append(ctx, journal.Entry{Kind: journal.TopUpShown, Ref: order.OrderNo})
	if err != nil {
		return d.fail("write down that the code is shown", err) // nobody has seen it
	}
	return outcome{Ordered, d.showOrder()}
}

// shown reports whether somebody may have seen an order's code: yes, unless the
// journal is sure that nobody has.
func shown(ctx context.Context, b interface {
	Get(ctx context.Context, ref string) (ledger.Item, error)
}, order string) bool {
	item, err := b.Get(ctx, order)
	return err != nil || item.Doubt.Kind == journal.TopUpShown
}

// awaitPayment waits until the order has come to something. It asks for as
// long as the step lasts: an upstream that is away for a while is not an
// answer.
func (d *Desk) awaitPayment(ctx context.Context, _ progress) outcome {
	pause := time.Duration(0)
	for ctx.Err() == nil {
		order, err := d.Upstream.GetTopUp(ctx, d.order.OrderNo, d.order.State, 10*time.Second)
		if err == nil {
			d.order, pause = keepQR(order, d.order), 0
			if o, done := d.judge(ctx); done {
				return o
			}
			continue
		}
		if o, done := d.unknownOrder(ctx, err); done {
			return o
		}
		pause = min(max(2*pause, 500*time.Millisecond), 5*time.Second)
		sleep(ctx, pause)
	}
	return outcome{}
}

// cancelOrder ends an order that nobody waits for any more, and finds out
// whether it was paid in the last moment. It gives up in time for the person
// to be told that nobody knows yet; the Keeper goes on.
func (d *Desk) cancelOrder(ctx context.Context, _ progress) outcome {
	ctx, cancel := context.WithTimeout(ctx, Cancelling.Rule().Timeout-2*time.Second)
	defer cancel()
	pause := 500 * time.Millisecond
	for ctx.Err() == nil {
		order, err := d.Upstream.CancelTopUp(ctx, d.order.OrderNo)
		if err == nil {
			d.order = order
			if o, done := d.judge(ctx); done {
				return o
			}
			return outcome{NotKnown, d.showOrder()}
		}
		if o, done := d.unknownOrder(ctx, err); done {
			return o
		}
		sleep(ctx, pause)
		pause = min(2*pause, 5*time.Second)
	}
	return outcome{NotKnown, d.showOrder()}
}

// unknownOrder ends an order that the upstream has never heard of: the request
// to make it was lost, and with it the order. If its code was on the screen, the
// upstream has known it and forgotten: then nobody knows what became of it.
func (d *Desk) unknownOrder(ctx context.Context, err error) (outcome, bool) {
	if no := (*client.Refusal)(nil); !errors.As(err, &no) || no.Reason != client.OrderUnknown {
		return outcome{}, false
	}
	if shown(ctx, d.Book, d.order.OrderNo) {
		d.Log.Error("upstream has forgotten an order", "order", d.order.OrderNo)
		return outcome{NotKnown, d.showOrder()}, true // somebody may have paid it
	}
	if err := d.endOrder(ctx, journal.Refused); err != nil {
		d.Log.Error("end of order not written", "order", d.order.OrderNo, "err", err)
	}
	return outcome{Closed, d.showOrder()}, true
}

// judge turns the state of the order into an event, after writing it down.
func (d *Desk) judge(ctx context.Context) (outcome, bool) {
	end, event, notice := orderEnd(d.order.State)
	if end == 0 {
		return outcome{}, false
	}
	if err := d.endOrder(ctx, end); err != nil {
		// Upstream has the truth and the intent stays open, so the next start
		// finds it again.
		d.Log.Error("end of order not written", "order", d.order.OrderNo, "err", err)
	}
	show := d.showOrder()
	if event == Paid {
		show = d.credited(ctx)
	}
	return outcome{event, func(v *View) { show(v); v.Notice = notice }}, true
}

// credited shows that the order is on the account, which needs no further answer
// of the upstream.
func (d *Desk) credited(ctx context.Context) func(*View) {
	gain := d.order.Balance - d.account.Balance
	d.account.Balance += gain
	d.account.Available += gain
	d.account.ToLoad += d.order.Amount
	order, account := d.showOrder(), d.shown(NoNotice)
	receipt := Receipt{
		OrderNo: d.order.OrderNo, At: d.order.PaidAt.In(beijing.Zone), Proof: d.proof(ctx, d.order.OrderNo),
	}
	return func(v *View) { order(v); account(v); v.Receipt = receipt }
}

// Words of a receipt on paper.
const (
	topUpReceipt dialog.Word = "topup.receipt"
	loadReceipt  dialog.Word = "topup.receipt.load" // without a top-up
	factNumber   dialog.Word = "topup.fact.number"
	factOrder    dialog.Word = "topup.fact.order"
	factPaidAt   dialog.Word = "topup.fact.at"
	factToppedUp dialog.Word = "topup.fact.amount"
	factLoaded   dialog.Word = "topup.fact.load"
	factAccount  dialog.Word = "topup.fact.account"
	factPurse    dialog.Word = "topup.fact.purse"
	notOnCard    dialog.Word = "topup.not.on.card"
	onCardOrNot  dialog.Word = "topup.on.card.or.not" // nobody knows yet
)

// receipt is the receipt of the view as it is printed: what its QR code says in words,
// and the code that proves it.
func (v View) receipt() dialog.Report {
	r := dialog.Report{Title: loadReceipt, QR: v.Receipt.Proof}
	if v.TopUp.Amount > 0 {
		r.Title = topUpReceipt
		r.Facts = append(r.Facts, dialog.Fact{
			Name: factToppedUp, Kind: dialog.IsAmount, Amount: v.TopUp.Amount, Strong: true})
	}
	if loaded := v.Loaded(); loaded > 0 {
		r.Facts = append(r.Facts, dialog.Fact{
			Name: factLoaded, Kind: dialog.IsAmount, Amount: loaded, Strong: v.TopUp.Amount == 0})
	}
	r.Facts = append(r.Facts, dialog.Amount(factAccount, v.Balance.Account))
	if !v.InDoubt() {
		r.Facts = append(r.Facts, dialog.Amount(factPurse, v.Balance.Purse))
	}
	if v.TopUp.Amount > 0 {
		r.Facts = append(r.Facts, dialog.Moment(factPaidAt, v.Receipt.At))
	}
	if v.Receipt.Number > 0 {
		r.Facts = append(r.Facts, dialog.Count(factNumber, v.Receipt.Number))
	}
	if v.Receipt.OrderNo != "" {
		r.Facts = append(r.Facts, dialog.Text(factOrder, v.Receipt.OrderNo))
	}
	switch {
	case v.InDoubt():
		r.Next = onCardOrNot
	case v.Step == OnAccount:
		r.Next = notOnCard
	}
	return r
}

// orderEnd says what a state means to the journal, the flow and the screen;
// zero while nobody knows.
func orderEnd(s client.TopUpState) (journal.Outcome, Event, Notice) {
	switch s {
	case client.TopUpPaid:
		return journal.Paid, Paid, NoNotice
	case client.TopUpClosed:
		return journal.Closed, Closed, NoNotice
	case client.TopUpReturned:
		return journal.Closed, Closed, Returned
	}
	return 0, 0, NoNotice
}

// endOrder writes the end down even if the person has just walked away.
func (d *Desk) endOrder(ctx context.Context, o journal.Outcome) error {
	_, err := d.Book.Append(context.WithoutCancel(ctx), journal.Entry{
		Kind: journal.TopUpEnd, Ref: d.order.OrderNo, Outcome: o,
	})
	if err == nil {
		d.InHand.Drop(d.order.OrderNo)
	}
	return err
}

func (d *Desk) showOrder() func(*View) {
	o := d.order
	return func(v *View) {
		v.TopUp = TopUp{OrderNo: o.OrderNo, Amount: o.Amount, QR: o.QR, Expires: o.Expires.In(beijing.Zone)}
	}
}

// keepQR keeps what only the first answer tells.
func keepQR(now, before client.TopUp) client.TopUp {
	if now.QR == "" && now.State == client.TopUpWaiting {
		now.QR, now.Expires = before.QR, before.Expires
	}
	return now
}

// newOrderNo makes an order number: terminal, time, and enough chance that a
// journal restored from a backup does not give one number to two orders.
func newOrderNo(terminal string, now time.Time) string {
	letters := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, terminal)
	if len(letters) > 20 {
		letters = letters[:20]
	}
	return fmt.Sprintf("%s_%s_%s", letters, now.In(beijing.Zone).Format("20060102150405"), rand.Text()[:8])
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
