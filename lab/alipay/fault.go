package alipay

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"quancun/money"
)

// Kind is a way to be broken.
type Kind string

// The kinds. Those of the first group break the answer to a request, and
// [Fault.Booked] says whether the request has its effect all the same. From
// outside the two look alike.
const (
	Delay        Kind = "delay"         // answers late; with Booked the effect comes first
	Drop         Kind = "drop"          // closes the connection without an answer
	BadSignature Kind = "bad-signature" // signs with another key
	Unsigned     Kind = "unsigned"      // does not sign
	HTML         Kind = "html"          // answers with a page, as a proxy would
	HTTP500      Kind = "http-500"
	Error        Kind = "error"  // answers Code and SubCode
	Refuse       Kind = "refuse" // error 40004 ACQ.ACCESS_FORBIDDEN, without effect

	Amount    Kind = "amount"     // query, notify: says Amount in place of the truth
	RetryFlag Kind = "retry-flag" // cancel: asks to be repeated, without effect
	PayLate   Kind = "pay-late"   // cancel, pay: answers, and Delay later the payer has paid

	Wait    Kind = "wait"     // pay: the payer is asked first, and agrees or turns it down later
	Poor    Kind = "poor"     // pay: the payer has too little
	BadCode Kind = "bad-code" // pay: the code is not good, whatever it is

	Twice  Kind = "twice"  // notify: sends the notification twice
	Forged Kind = "forged" // notify: signed by somebody else

	NotReady  Kind = "not-ready" // bill: there is none yet
	Truncated Kind = "truncated" // bill.file: half of it
	Missing   Kind = "missing"   // bill.file: the line of Order is not in it
	Foreign   Kind = "foreign"   // bill.file: a payment of Amount for Order that nobody made here
	Doubled   Kind = "doubled"   // bill.file: the line of Order is in it twice
	BadTotals Kind = "totals"    // bill.file: its own sums are not those of its lines
)

// answers are the kinds that break the answer to any request.
var answers = []Kind{Delay, Drop, BadSignature, Unsigned, HTML, HTTP500, Error}

// kinds says which kinds each method knows. For notify, delay is a late
// notification and drop one whose first delivery is lost. bill.file is the
// download of a bill whose address was given; what breaks a line of it leaves
// its sums in order, as in a bill that is whole and of another opinion.
var kinds = map[string][]Kind{
	"precreate":            append(slices.Clone(answers), Refuse),
	"pay":                  append(slices.Clone(answers), Refuse, Wait, PayLate, Poor, BadCode),
	"query":                append(slices.Clone(answers), Amount),
	"cancel":               append(slices.Clone(answers), RetryFlag, PayLate),
	"close":                answers,
	"refund":               answers,
	"fastpay.refund.query": answers,
	"bill":                 append(slices.Clone(answers), NotReady),
	"*":                    answers, // any request
	"notify":               {Delay, Drop, Amount, Twice, Forged},
	"bill.file":            {Delay, Drop, HTML, HTTP500, Truncated, Missing, Amount, Foreign, Doubled, BadTotals},
}

// Kinds returns the kinds that each method knows, by the method's short name.
func Kinds() map[string][]Kind { return maps.Clone(kinds) }

// Fault is one way in which the stand-in breaks, once or until it is cleared.
type Fault struct {
	ID       int       `json:"id"`
	Method   string    `json:"method"` // short: "precreate", "fastpay.refund.query", "notify", "*"
	Kind     Kind      `json:"kind"`
	Booked   bool      `json:"booked"`
	Delay    Duration  `json:"delay"`
	Code     string    `json:"code"` // of Error; 20000 if empty
	SubCode  string    `json:"sub_code"`
	Amount   money.Fen `json:"amount_fen"`
	Order    string    `json:"order"`    // in a bill: whose line; the first one's if empty
	Standing bool      `json:"standing"` // goes on; otherwise it happens once
}

// Duration is a time.Duration that is written "1.5s".
type Duration time.Duration

// MarshalText writes d as "1.5s".
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads "1.5s".
func (d *Duration) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*d = 0
		return nil
	}
	v, err := time.ParseDuration(string(b))
	if err != nil || v < 0 || v > time.Hour {
		return fmt.Errorf("lab/alipay: %q is not a time such as 5s, up to an hour", b)
	}
	*d = Duration(v)
	return nil
}

// ParseFault reads a fault as it comes over the control interface. What it
// does not know is an error, so that a test with a misspelt fault fails.
func ParseFault(b []byte) (Fault, error) {
	var f Fault
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return Fault{}, fmt.Errorf("lab/alipay: not a fault: %w", err)
	}
	return f, f.check()
}

func (f Fault) check() error {
	known, ok := kinds[f.Method]
	switch {
	case !ok:
		return fmt.Errorf("lab/alipay: there is no method %q", f.Method)
	case !slices.Contains(known, f.Kind):
		return fmt.Errorf("lab/alipay: %s can not break by %q; it knows %v", f.Method, f.Kind, known)
	case (f.Kind == Amount || f.Kind == Foreign) && f.Amount <= 0:
		return fmt.Errorf("lab/alipay: %s needs amount_fen", f.Kind)
	case (f.Kind == Delay || f.Kind == PayLate) && f.Delay <= 0:
		return fmt.Errorf("lab/alipay: %s needs a delay", f.Kind)
	}
	return nil
}

// Arm makes f happen the next time, and returns it with its ID.
func (g *Gateway) Arm(f Fault) (Fault, error) {
	if err := f.check(); err != nil {
		return Fault{}, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.serial++
	f.ID = g.serial
	g.faults = append(g.faults, f)
	return f, nil
}

// Faults returns what is armed.
func (g *Gateway) Faults() []Fault {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.faults)
}

// Clear disarms everything.
func (g *Gateway) Clear() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults = nil
}

// take returns the first fault that is armed for a method, and disarms it if
// it is not standing. Its caller holds mu.
func (g *Gateway) take(method string) (Fault, bool) {
	for i, f := range g.faults {
		if f.Method == method || f.Method == "*" && method != "notify" && method != "bill.file" {
			if !f.Standing {
				g.faults = slices.Delete(g.faults, i, i+1)
			}
			return f, true
		}
	}
	return Fault{}, false
}
