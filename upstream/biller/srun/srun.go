// Package srun pays network fees to Srun's northbound interface (深澜, 1.1), and
// says how somebody's network account stands.
//
// There are two purses there, and they are never mixed: the wallet of the user,
// and what each product of the user holds. A setting says which of them a
// payment feeds, and [Account] says it too, so that a screen can.
//
// It judges by the code in the answer's body, which every public client does;
// the HTTP status says nothing. Code 0 is done. An order number that was used
// before is answered with a code of its own: that is a reason to ask. Every
// other code is a refusal of a payment, which the caller holds against the
// records; of a question it says nothing, unless the site has named it as "no
// such user", for which no document has a code.
package srun

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"sync"
	"time"

	"quancun/money"
	"quancun/upstream/biller/vendor"
)

// Codes of the envelope.
const (
	codeDone  = "0"
	codeToken = "401" // the token is old, or this address may not ask

	// duplicateDefault is what an order number that was used before is most
	// probably answered with; a setting, because no document says so.
	duplicateDefault = "10702"
)

// tokenLife is shorter than the two hours for which clients keep a token.
const tokenLife = 90 * time.Minute

// Config says where the interface is and how a payment is booked there.
type Config struct {
	Address         string // https://HOST:8001
	CertificateFile string // of the one certificate that it may show
	PayType         int    // the id of our way to pay, in its console; 1 if zero
	Product         bool   // payments feed the user's product, and not the wallet
	DuplicateCode   int    // of an order number that was used; 10702 if zero
	NoAccountCodes  []int  // with which user/view says that there is no such user; no document names one
	Now             func() time.Time
}

// Client speaks with one interface. It is safe for concurrent use.
type Client struct {
	line      *vendor.Line
	payType   string
	product   bool
	duplicate string
	noAccount []string
	now       func() time.Time

	mu    sync.Mutex
	token string    // guarded by mu
	until time.Time // when another token is asked for; guarded by mu
}

var _ vendor.Asker = (*Client)(nil)

// New returns a client. It makes no call.
func New(c Config) (*Client, error) {
	line, err := vendor.Dial(c.Address, c.CertificateFile)
	if err != nil {
		return nil, err
	}
	n := &Client{
		line: line, payType: strconv.Itoa(cmp.Or(c.PayType, 1)), product: c.Product,
		duplicate: duplicateDefault, now: c.Now,
	}
	if c.DuplicateCode != 0 {
		n.duplicate = strconv.Itoa(c.DuplicateCode)
	}
	for _, code := range c.NoAccountCodes {
		n.noAccount = append(n.noAccount, strconv.Itoa(code))
	}
	if n.now == nil {
		n.now = time.Now
	}
	return n, nil
}

// codeError is an answer that says no.
type codeError struct{ code, message string }

// Error tells what the vendor said. It never has the request in it, nor the user's
// number, which is often in the message.
func (e *codeError) Error() string {
	return fmt.Sprintf("srun: code %s: %.80s", e.code, numbers.ReplaceAllString(e.message, "***"))
}

// numbers are what may be somebody's.
var numbers = regexp.MustCompile(`[0-9]{6,}`)

// envelope is around every answer.
type envelope struct {
	Code    *vendor.Text    `json:"code"`
	Message vendor.Text     `json:"message"`
	Data    json.RawMessage `json:"data"`
	Meta    *struct {
		Total vendor.Text `json:"totalCount"`
	} `json:"_meta"`
}

// parse reads an answer. A [*codeError] is one that says no; every other error
// is no answer at all.
func parse(body []byte) (e envelope, err error) {
	if err := json.Unmarshal(body, &e); err != nil {
		var again string // one old version encodes its JSON twice
		if json.Unmarshal(body, &again) != nil || json.Unmarshal([]byte(again), &e) != nil {
			return envelope{}, errors.New("srun: the answer is not JSON")
		}
	}
	switch {
	case e.Code == nil || *e.Code == "":
		return envelope{}, errors.New("srun: the answer has no code")
	case *e.Code != codeDone:
		return e, &codeError{string(*e.Code), string(e.Message)}
	}
	return e, nil
}

// hasCode reports whether err is an answer with a code.
func hasCode(err error, code string) bool {
	var e *codeError
	return errors.As(err, &e) && e.code == code
}

// open returns a token, a new one if the last is old.
func (c *Client) open(ctx context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token != "" && c.now().Before(c.until) {
		return c.token, nil
	}
	_, body, err := c.line.Get(ctx, "api/v1/auth/get-access-token", nil)
	if err != nil {
		return "", err
	}
	e, err := parse(body)
	if err != nil {
		return "", err
	}
	var d struct {
		Token vendor.Text `json:"access_token"`
	}
	if json.Unmarshal(e.Data, &d) != nil || d.Token == "" {
		return "", errors.New("srun: the answer has no token")
	}
	c.token, c.until = string(d.Token), c.now().Add(tokenLife)
	return c.token, nil
}

// forget has the next call ask for another token.
func (c *Client) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token = ""
}

// get asks something, with another token if the one that we had is refused.
func (c *Client) get(ctx context.Context, path string, query url.Values) (e envelope, err error) {
	for range 2 {
		token, err := c.open(ctx)
		if err != nil {
			return envelope{}, err
		}
		query.Set("access_token", token)
		_, body, err := c.line.Get(ctx, path, query)
		if err != nil {
			return envelope{}, err
		}
		if e, err = parse(body); !hasCode(err, codeToken) {
			return e, err
		}
		c.forget()
	}
	return envelope{}, errors.New("srun: no token is good")
}

// Pay implements [vendor.Biller]. The order number goes with it, so that the
// records can be asked for it.
func (c *Client) Pay(ctx context.Context, h vendor.Charge) (vendor.Receipt, error) {
	token, err := c.open(ctx)
	if err != nil {
		return vendor.Receipt{}, fmt.Errorf("%w: %w", vendor.ErrNotSent, err)
	}
	form := url.Values{
		"access_token": {token}, "user_name": {h.Target}, "pay_type_id": {c.payType},
		"pay_num": {yuan(h.Amount)}, "order_no": {h.OrderNo},
	}
	path := "api/v1/financial/recharge-wallet"
	if c.product {
		path = "api/v1/product/recharge"
	}
	_, body, err := c.line.Post(ctx, path, form)
	if err != nil {
		return vendor.Receipt{}, err
	}
	_, err = parse(body)
	var no *codeError
	switch {
	case hasCode(err, codeToken): // turned away at the door
		c.forget()
		return vendor.Receipt{}, fmt.Errorf("%w: %w", vendor.ErrNotSent, err)
	case hasCode(err, c.duplicate):
		return vendor.Receipt{}, err
	case errors.As(err, &no):
		return vendor.Receipt{}, fmt.Errorf("%w: %w", vendor.ErrRefused, err)
	}
	return vendor.Receipt{}, err
}

// yuan writes an amount as the wire has it: "10.00".
func yuan(f money.Fen) string { return fmt.Sprintf("%d.%02d", f/money.Yuan, f%money.Yuan) }
