package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"time"

	"quancun/cmd/campusd/risk"
	"quancun/money"
	"quancun/upstream/bath"
	"quancun/upstream/biller"
	"quancun/upstream/centre"
	"quancun/upstream/clearing"
	"quancun/upstream/holder"
	"quancun/upstream/ingest"
	"quancun/upstream/keys"
	"quancun/upstream/lost"
	"quancun/upstream/payment"
	"quancun/upstream/phone"
	"quancun/upstream/store"
)

// verify checks the books, and says what is broken, a line each. Of whole books
// it prints the hash of their state, by which two copies are compared.
func verify(ctx context.Context, args []string, out io.Writer) error {
	var p place
	f := flag.NewFlagSet("verify", flag.ContinueOnError)
	p.flags(f)
	if _, err := parse(f, args, 0); err != nil {
		return err
	}
	c, err := p.read()
	if err != nil {
		return err
	}
	d, err := p.openOld(ctx)
	if err != nil {
		return err
	}
	k, done, err := p.keysOf(ctx, c, d.books)
	if err != nil {
		return errors.Join(err, d.books.Close())
	}
	return errors.Join(verifyAll(ctx, d.books, k, out), done(), d.books.Close())
}

func verifyAll(ctx context.Context, b *store.Books, k keys.Store, out io.Writer) error {
	var broken []string
	for _, check := range []func(context.Context) ([]string, error){
		b.Verify, ingest.New(b, k, ingest.Policy{}).Verify, clearing.New(b).Verify,
		func(ctx context.Context) ([]string, error) { return payment.Verify(ctx, b) },
		func(ctx context.Context) ([]string, error) { return biller.Verify(ctx, b) },
		centre.New(b).Verify,
		func(ctx context.Context) ([]string, error) { return phone.Verify(ctx, b) },
		func(ctx context.Context) ([]string, error) { return bath.Verify(ctx, b) },
		func(ctx context.Context) ([]string, error) { return lost.Verify(ctx, b) },
		func(ctx context.Context) ([]string, error) { return holder.Verify(ctx, b) },
	} {
		more, err := check(ctx)
		if err != nil {
			return err
		}
		broken = append(broken, more...)
	}
	for _, line := range broken {
		fmt.Fprintln(out, line)
	}
	if len(broken) > 0 {
		return fmt.Errorf("%d promises are broken", len(broken))
	}
	sum, err := b.StateHash(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "the books are whole\nstate %x\n", sum)
	return err
}

// paymentReport is a payment by code, as it is printed.
type paymentReport struct {
	Order    string    `json:"order"`
	Terminal string    `json:"terminal"`
	Merchant string    `json:"merchant"`
	Amount   money.Fen `json:"amount_fen"`
	Created  time.Time `json:"created"`
	State    string    `json:"state"`
	TradeNo  string    `json:"trade_no,omitempty"`
	PaidAt   time.Time `json:"paid_at,omitzero"`
	Mismatch bool      `json:"mismatch,omitempty"`
	Tries    int       `json:"tries"`
	Next     time.Time `json:"next,omitzero"` // when Alipay is asked again

	Refunds []refundReport `json:"refunds,omitempty"`
}

type refundReport struct {
	No     string    `json:"no"`
	Amount money.Fen `json:"amount_fen"`
	State  string    `json:"state"`
}

var (
	paymentStates = map[payment.State]string{
		payment.Created: "created", payment.Waiting: "waiting", payment.Checking: "checking", payment.Paid: "paid",
		payment.Closed: "closed", payment.Returned: "returned",
	}
	refundStates = map[payment.RefundState]string{
		payment.RefundAsked: "asked", payment.RefundDone: "done", payment.RefundRefused: "refused",
	}
)

// paymentCommand prints what is known of a payment by code.
func paymentCommand(ctx context.Context, args []string, out io.Writer) error {
	return onBooks(ctx, "payment", args, 1, func(b *store.Books, no []string) error {
		d := payment.New(payment.Config{Books: b})
		p, err := d.Payment(ctx, no[0])
		if errors.Is(err, store.ErrNone) {
			return fmt.Errorf("no payment %q", no[0])
		}
		if err != nil {
			return err
		}
		r := paymentReport{
			Order: p.No, Terminal: p.Terminal, Merchant: p.Merchant, Amount: p.Amount, Created: p.Created,
			State: paymentStates[p.State], TradeNo: p.TradeNo, PaidAt: p.PaidAt, Mismatch: p.Mismatch,
			Tries: p.Tries, Next: p.Next,
		}
		all, err := d.Refunds(ctx, p.No)
		if err != nil {
			return err
		}
		for _, x := range all {
			r.Refunds = append(r.Refunds, refundReport{x.No, x.Amount, refundStates[x.State]})
		}
		e := json.NewEncoder(out)
		e.SetIndent("", "\t")
		return e.Encode(r)
	})
}

// grant gives a role of PostgreSQL what campusd needs, so that campusd does not
// have to run as the owner of its tables.
func grant(ctx context.Context, args []string, out io.Writer) error {
	return onBooks(ctx, "grant", args, 1, func(b *store.Books, role []string) error {
		if err := b.Grant(ctx, role[0]); err != nil {
			return err
		}
		_, err := fmt.Fprintf(out, "role %s may keep the books\n", role[0])
		return err
	})
}

// Words for states, as account prints them.
var (
	orderStates = map[store.OrderState]string{
		store.OrderCreated: "created", store.OrderWaiting: "waiting", store.OrderChecking: "checking",
		store.OrderPaid: "paid", store.OrderClosed: "closed", store.OrderReturned: "returned",
	}
	loadStates = map[store.LoadState]string{
		store.LoadOpen: "open", store.LoadWritten: "written", store.LoadNotWritten: "not written",
	}
	cardStates = map[store.CardStatus]string{
		store.CardActive: "active", store.CardHot: "hot", store.CardRetired: "retired",
	}
)

type accountReport struct {
	AccountNo  string        `json:"account_no"`
	PINLocked  bool          `json:"pin_locked"`
	BalanceFen money.Fen     `json:"balance_fen"`
	Cards      []cardReport  `json:"cards"`
	Orders     []orderReport `json:"orders"`
	Alarms     []alarmReport `json:"alarms"` // about this account's cards, orders and loads
}

type cardReport struct {
	CardNo    string       `json:"card_no"`
	Status    string       `json:"status"`
	MirrorFen money.Fen    `json:"mirror_fen"`
	Loads     []loadReport `json:"loads"`
}

type loadReport struct {
	LoadID    string    `json:"load_id"`
	State     string    `json:"state"`
	AmountFen money.Fen `json:"amount_fen"`
	Terminal  string    `json:"terminal"`
	OrderNo   string    `json:"order_no,omitempty"`
	Claim     string    `json:"claim,omitempty"`
	Evidence  string    `json:"evidence,omitempty"`
}

type orderReport struct {
	OrderNo   string    `json:"order_no"`
	State     string    `json:"state"`
	AmountFen money.Fen `json:"amount_fen"`
	Terminal  string    `json:"terminal"`
	Late      bool      `json:"late,omitempty"`
	Mismatch  bool      `json:"mismatch,omitempty"`
	TradeNo   string    `json:"trade_no,omitempty"`
}

type alarmReport struct {
	Kind   string    `json:"kind"`
	Ref    string    `json:"ref"`
	Detail string    `json:"detail"`
	Times  int       `json:"times"`
	Last   time.Time `json:"last"`
}

// account prints the state of an account, newest things first.
func account(ctx context.Context, args []string, out io.Writer) error {
	return onBooks(ctx, "account", args, 1, func(b *store.Books, no []string) error {
		r, err := reportAccount(ctx, b, store.HolderAccount(no[0]))
		if errors.Is(err, store.ErrNone) {
			return fmt.Errorf("no account %q", no[0])
		}
		if err != nil {
			return err
		}
		e := json.NewEncoder(out)
		e.SetIndent("", "\t")
		return e.Encode(r)
	})
}

func reportAccount(ctx context.Context, b *store.Books, a store.Account) (r accountReport, err error) {
	h, err := b.Holder(ctx, a)
	if err != nil {
		return r, err
	}
	r = accountReport{AccountNo: a.No(), PINLocked: h.PINLocked, Cards: []cardReport{},
		Orders: []orderReport{}, Alarms: []alarmReport{}}
	if r.BalanceFen, err = b.Balance(ctx, a); err != nil {
		return r, err
	}
	cards, err := b.CardsOf(ctx, a)
	if err != nil {
		return r, err
	}
	var refs []string
	for _, c := range cards {
		loads, err := b.LoadsOf(ctx, c.No)
		if err != nil {
			return r, err
		}
		cr := cardReport{c.No, cardStates[c.Status], c.Mirror, []loadReport{}}
		refs = append(refs, c.No)
		for _, l := range loads {
			refs = append(refs, l.ID)
			cr.Loads = append(cr.Loads, loadReport{
				l.ID, loadStates[l.State], l.Amount, l.Terminal, l.OrderNo, l.Claim, l.Evidence})
		}
		r.Cards = append(r.Cards, cr)
	}
	orders, err := b.OrdersOf(ctx, a)
	if err != nil {
		return r, err
	}
	for _, o := range orders {
		refs = append(refs, o.No)
		r.Orders = append(r.Orders, orderReport{
			o.No, orderStates[o.State], o.Amount, o.Terminal, o.Late, o.Mismatch, o.TradeNo})
	}
	alarms, err := b.Alarms(ctx)
	for _, a := range alarms {
		if slices.Contains(refs, a.Ref) {
			r.Alarms = append(r.Alarms, alarmReport{string(a.Kind), a.Ref, a.Detail, a.Times, a.Last})
		}
	}
	return r, err
}

// riskCommand prints how much terminals may have sold for of which nothing is known
// here yet.
func riskCommand(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("risk", flag.ContinueOnError)
	asJSON := f.Bool("json", false, "for programs")
	return withFlags(ctx, f, args, 0, func(b *store.Books, _ []string) error {
		r, err := risk.Read(ctx, b)
		if err != nil {
			return err
		}
		if *asJSON {
			return r.JSON(out)
		}
		return r.Table(out)
	})
}
