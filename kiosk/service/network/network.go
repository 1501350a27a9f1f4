// Package network is the network fee (网费) at the kiosk: how the holder's network
// account stands, which of its balances a payment feeds, and the payment.
package network

import (
	"context"
	"errors"
	"time"

	"quancun/beijing"
	"quancun/kiosk/dialog"
	"quancun/kiosk/service"
	"quancun/kiosk/service/pay"
	"quancun/upstream/client"
	"quancun/upstream/client/bill"
)

// Name is the service's.
const Name dialog.Word = "network"

// What is asked for, said and told.
const (
	looking   dialog.Word = "network.looking"
	noAccount dialog.Word = "network.no.account"
	notSaid   dialog.Word = "network.not.said" // the network has answered, and nobody knows what it means
	onlyShown dialog.Word = "network.only.shown"

	factUser     dialog.Word = "network.fact.user"
	factName     dialog.Word = "network.fact.name"
	factStatus   dialog.Word = "network.fact.status"
	factProduct  dialog.Word = "network.fact.product"
	factBalance  dialog.Word = "network.fact.balance" // of the product
	factOwed     dialog.Word = "network.fact.owed"
	factCheckout dialog.Word = "network.fact.checkout"
	factExpires  dialog.Word = "network.fact.expires"
	factWallet   dialog.Word = "network.fact.wallet"
	factFeeds    dialog.Word = "network.fact.feeds"
	factSaid     dialog.Word = "network.fact.said" // its code

	feedsProduct dialog.Word = "network.feeds.product"
	feedsWallet  dialog.Word = "network.feeds.wallet"
)

// Statuses of a network account.
const (
	normal   dialog.Word = "network.normal"
	disabled dialog.Word = "network.disabled"
	stopped  dialog.Word = "network.stopped"
	paused   dialog.Word = "network.paused"
	unopened dialog.Word = "network.unopened"
	other    dialog.Word = "network.other"
)

var statuses = map[bill.NetworkStatus]dialog.Word{
	bill.NetworkNormal: normal, bill.NetworkDisabled: disabled, bill.NetworkStopped: stopped,
	bill.NetworkPaused: paused, bill.NetworkUnopened: unopened,
}

// Upstream says how a holder's network account stands. [bill.Desk] does.
type Upstream interface {
	Network(ctx context.Context, session []byte, biller string) (bill.NetworkAccount, error)
}

// Service returns the service. What is looked up comes from u, and is paid at d.
func Service(u Upstream, d *pay.Desk) service.Service {
	return service.Service{Name: Name, SignIn: true, Run: func(ctx context.Context, v *service.Visit) (
		dialog.Report, error) {
		return run(ctx, v, u, d)
	}}
}

func run(ctx context.Context, v *service.Visit, u Upstream, d *pay.Desk) (dialog.Report, error) {
	if err := v.Work(ctx, looking); err != nil {
		return dialog.Report{}, err
	}
	billers, err := d.Billers(ctx, bill.Network)
	if err != nil {
		return dialog.Report{}, err
	}
	b := billers[0] // a campus has one network
	account, err := u.Network(ctx, v.Session, b.Name)
	if err != nil {
		return without(err)
	}
	if !b.Pays {
		return dialog.Report{Facts: facts(account), Next: onlyShown, Told: true}, nil
	}
	amount, err := pay.Amount(ctx, v, b, facts(account))
	if err != nil {
		return pay.Without(v, facts(account), err)
	}
	return d.Pay(ctx, v, pay.Order{Biller: b, Amount: amount, For: who(account)})
}

// without ends a visit in which the account was not told. Only who certainly has none is
// told so.
func without(err error) (r dialog.Report, _ error) {
	no := (*client.Refusal)(nil)
	switch {
	case errors.As(err, &no) && no.Reason == client.AccountUnknown:
		return r, dialog.Refuse(noAccount, err)
	case errors.As(err, &no) && no.Reason == client.NotSaid:
		if no.Said != "" {
			r.Facts = []dialog.Fact{dialog.Text(factSaid, no.Said)}
		}
		return r, dialog.Refuse(notSaid, err)
	}
	return r, pay.Nothing(err)
}

// who is whose account it is, and where the money goes.
func who(a bill.NetworkAccount) []dialog.Fact {
	to := feedsWallet
	if a.FeedsProduct {
		to = feedsProduct
	}
	return []dialog.Fact{
		dialog.Text(factUser, a.MaskedUser), dialog.Text(factName, a.MaskedName), dialog.Said(factFeeds, to),
	}
}

// facts is how an account stands. Its two sorts of balance are never added up.
func facts(a bill.NetworkAccount) []dialog.Fact {
	status, ok := statuses[a.Status]
	if !ok {
		status = other
	}
	all := append(who(a), dialog.Said(factStatus, status))
	for _, p := range a.Products {
		all = append(all, dialog.Text(factProduct, p.Name))
		if p.Balance < 0 {
			all = append(all, dialog.Amount(factOwed, -p.Balance))
		} else {
			all = append(all, dialog.Amount(factBalance, p.Balance))
		}
		if p.Checkout != "" {
			all = append(all, checkout(p.Checkout))
		}
	}
	all = append(all, dialog.Amount(factWallet, a.Wallet))
	if !a.Expires.IsZero() {
		all = append(all, dialog.Moment(factExpires, a.Expires))
	}
	return all
}

// checkout is the day on which a product is charged again. What its vendor writes
// otherwise stays as it is.
func checkout(s string) dialog.Fact {
	at, err := time.ParseInLocation(time.DateOnly, s, beijing.Zone)
	if err != nil {
		return dialog.Text(factCheckout, s)
	}
	return dialog.Day(factCheckout, at)
}
