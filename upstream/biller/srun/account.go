package srun

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"quancun/money"
	"quancun/upstream/biller/vendor"
)

// Status says whether somebody may use the network. Numbers as on the wire.
type Status int

// The statuses.
const (
	Normal   Status = 0
	Disabled Status = 1
	Stopped  Status = 2 // 停机保号
	Paused   Status = 3
	Unopened Status = 4
)

// Account is a network account as its owner may see it.
type Account struct {
	User     string
	RealName string
	Status   Status
	Expires  time.Time // zero for never
	Wallet   money.Fen // of the user
	Products []Product // subscribed

	// FeedsProduct says that a payment goes to the product, and not to the
	// wallet.
	FeedsProduct bool
}

// Product is what a user has subscribed.
type Product struct {
	ID, Name, Billing string
	Balance           money.Fen // in the product; below zero is owed
	Checkout          string    // the day on which it is charged again, such as "2026-03-01"
}

// Account returns how a user's account stands, or [vendor.ErrNoTarget]. An answer of which
// nobody knows that it means this is [vendor.Unclear]: a box that is busy has codes too.
func (c *Client) Account(ctx context.Context, user string) (Account, error) {
	e, err := c.get(ctx, "api/v1/user/view", url.Values{"user_name": {user}})
	if err != nil {
		return Account{}, c.unclear(err)
	}
	a, err := parseUser(e.Data)
	if errors.Is(err, errNobody) {
		err = c.unclear(&codeError{codeDone, "nobody"})
	}
	if err != nil {
		return Account{}, err
	}
	if a.User != user {
		return Account{}, &vendor.Unclear{Err: errors.New("srun: the answer is about somebody else")}
	}
	if e, err = c.get(ctx, "api/v1/package/users-packages", url.Values{"user_name": {user}}); err != nil {
		return Account{}, c.unclear(err)
	}
	a.Products, err = parseProducts(e.Data)
	a.FeedsProduct = c.product
	return a, err
}

// errNobody is done, and with nobody in it.
var errNobody = errors.New("srun: the answer has no user")

// unclear says what an answer means that is a code: there is no such user if the site has
// named it, and nothing otherwise. Every other error stays as it is.
func (c *Client) unclear(err error) error {
	var no *codeError
	switch {
	case !errors.As(err, &no):
		return err
	case slices.Contains(c.noAccount, no.code):
		return errors.Join(vendor.ErrNoTarget, err)
	case !shown.MatchString(no.code):
		return &vendor.Unclear{Err: err}
	}
	return &vendor.Unclear{Code: no.code, Err: err}
}

// shown is a code that may be shown: it is short, so that it is nobody's number.
var shown = regexp.MustCompile(`^[0-9A-Za-z._-]{1,8}$`)

func parseUser(data json.RawMessage) (Account, error) {
	all, err := vendor.OneOrMany[struct {
		User      vendor.Text `json:"user_name"`
		RealName  vendor.Text `json:"user_real_name"`
		Available vendor.Text `json:"user_available"`
		Expires   vendor.Text `json:"user_expire_time"`
		Balance   vendor.Text `json:"balance"`
	}](data)
	switch {
	case err != nil || len(all) > 1:
		return Account{}, errors.New("srun: the user has another form")
	case len(all) == 0 || all[0].User == "":
		return Account{}, errNobody
	}
	w := all[0]
	a := Account{User: string(w.User), RealName: string(w.RealName)}
	if a.Wallet, err = w.Balance.AboutYuan(); err != nil {
		return Account{}, err
	}
	if w.Available != "" { // null is normal
		n, err := strconv.Atoi(string(w.Available))
		if err != nil || n < 0 || n > int(Unopened) {
			return Account{}, errors.New("srun: the user has a status that is not known")
		}
		a.Status = Status(n)
	}
	if w.Expires != "" && w.Expires != "0" {
		s, err := strconv.ParseInt(string(w.Expires), 10, 64)
		if err != nil {
			return Account{}, errors.New("srun: the user has another form")
		}
		a.Expires = time.Unix(s, 0).UTC()
	}
	return a, nil
}

func parseProducts(data json.RawMessage) ([]Product, error) {
	list, err := vendor.OneOrMany[struct {
		ID       vendor.Text `json:"products_id"`
		Name     vendor.Text `json:"products_name"`
		Billing  vendor.Text `json:"billing_name"`
		Balance  vendor.Text `json:"user_balance"`
		Checkout vendor.Text `json:"checkout_date"`
	}](data)
	if err != nil {
		return nil, errors.New("srun: the products have another form")
	}
	var all []Product
	for _, w := range list {
		balance, err := w.Balance.AboutYuan()
		if err != nil {
			return nil, err
		}
		all = append(all, Product{string(w.ID), string(w.Name), string(w.Billing), balance, string(w.Checkout)})
	}
	return all, nil
}
