package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"quancun/lab/alipay"
	"quancun/lab/cards"
	"quancun/lab/phone"
	"quancun/money"
)

// errand is one command line for a lab that runs elsewhere.
type errand struct {
	at, card, vpcd, late, delay, code, sub, order string
	fen                                           int64
	last, json, booked, standing                  bool

	words []string // what is left of the command line without its flags
	out   io.Writer
}

// hand runs one command by calling a lab.
func hand(ctx context.Context, verb string, args []string, out io.Writer) error {
	do, ok := map[string]func(*errand, context.Context) error{
		"trades": (*errand).trades,
		"pay":    func(e *errand, ctx context.Context) error { return e.trade(ctx, "pay") },
		"scan":   func(e *errand, ctx context.Context) error { return e.trade(ctx, "scan") },
		"close":  func(e *errand, ctx context.Context) error { return e.trade(ctx, "close") },
		"forge":  func(e *errand, ctx context.Context) error { return e.trade(ctx, "forge") },
		"code":   (*errand).payCode,
		"paper":  (*errand).paper,
		"bath":   (*errand).bath,
		"fault":  (*errand).fault,
		"biller": (*errand).biller,
		"cards":  func(e *errand, ctx context.Context) error { return e.cards(ctx, "", nil) },
		"lay":    (*errand).lay,
		"take":   func(e *errand, ctx context.Context) error { return e.cards(ctx, "/take", map[string]any{}) },
		"tear":   func(e *errand, ctx context.Context) error { return e.broken(ctx, "/tear") },
		"silent": func(e *errand, ctx context.Context) error { return e.broken(ctx, "/silent") },
		"slow":   (*errand).slow,
		"mend":   func(e *errand, ctx context.Context) error { return e.cards(ctx, "/mend", map[string]any{}) },
	}[verb]
	if !ok {
		return fmt.Errorf("there is no command %q\n%w", verb, errUsage)
	}
	e := &errand{out: out}
	f := flag.NewFlagSet(verb, flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&e.at, "at", cmp.Or(os.Getenv("CAMPUSLAB"), "http://127.0.0.1:7080"), "`URL` of the lab")
	f.BoolVar(&e.json, "json", false, "print what the lab answered")
	f.BoolVar(&e.last, "last", false, "the newest order (pay, scan, close, forge)")
	f.StringVar(&e.late, "late", "", "pay this much later, such as `5s`")
	f.StringVar(&e.card, "card", "", "another `card` than the one on the reader (tear, silent)")
	f.StringVar(&e.vpcd, "vpcd", "", "`address` of another reader than the lab's own (lay)")
	f.StringVar(&e.delay, "delay", "", "how long a fault takes, such as `5s`")
	f.StringVar(&e.code, "code", "", "`code` of an error, such as 40004")
	f.StringVar(&e.sub, "sub", "", "sub `code` of an error, such as ACQ.SYSTEM_ERROR")
	f.Int64Var(&e.fen, "fen", 0, "altered amount in `fen`")
	f.StringVar(&e.order, "order", "", "`order` whose line of a bill is broken; the first if empty")
	f.BoolVar(&e.booked, "booked", false, "the call has its effect, only its answer is broken")
	f.BoolVar(&e.standing, "standing", false, "until cleared, and not just once")
	for { // flags and words in any order
		if err := f.Parse(args); err != nil {
			return err
		}
		if f.NArg() == 0 {
			break
		}
		e.words, args = append(e.words, f.Arg(0)), f.Args()[1:]
	}
	return do(e, ctx)
}

// word returns the only word of the command line, or an error that says what
// it should have been.
func (e *errand) word(what string) (string, error) {
	if len(e.words) != 1 {
		return "", fmt.Errorf("this needs %s\n%w", what, errUsage)
	}
	return e.words[0], nil
}

// payCode has the payer's phone show a payment code, for a scanner to read.
func (e *errand) payCode(ctx context.Context) error {
	var c phone.Code
	if err := e.call(ctx, "/control/code", map[string]any{}, &c); err != nil || e.json {
		return err
	}
	_, err := fmt.Fprintln(e.out, c.Code)
	return err
}

// callMax is how long a lab may take to answer.
const callMax = 10 * time.Second

// call asks the lab; without a body it is a GET. With --json it prints the
// answer, and otherwise reads it into v.
func (e *errand) call(ctx context.Context, path string, body, v any) error {
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	return e.send(ctx, method, path, body, v)
}

// send is call by another method.
func (e *errand) send(ctx context.Context, method, path string, body, v any) error {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(e.at, "/")+path, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("%q is not the URL of a lab", e.at)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("no lab answers at %s; is campuslab serve running? (%w)", e.at, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		var said struct{ Error string }
		if json.Unmarshal(b, &said) != nil || said.Error == "" {
			said.Error = resp.Status + "; was the lab started without this part?"
		}
		return fmt.Errorf("the lab says: %s", said.Error)
	}
	if e.json {
		_, err := e.out.Write(b)
		return err
	}
	return json.Unmarshal(b, v)
}

func (e *errand) trades(ctx context.Context) error {
	var list []phone.Trade
	if err := e.call(ctx, "/control/trades", nil, &list); err != nil || e.json {
		return err
	}
	return e.table("ORDER\tYUAN\tSTATUS\tNOTICES\tCODE", len(list), func(i int) string { return line(list[i]) })
}

func line(t phone.Trade) string {
	status := string(t.Status)
	switch {
	case t.Late:
		status += " (payment on its way)"
	case status == "" && t.Open:
		status = "not scanned"
	case status == "":
		status = "dead code"
	}
	if t.Refunded > 0 {
		status += " refunded " + t.Refunded.String()
	}
	return fmt.Sprintf("%s\t%s\t%s\t%d sent, %d waiting\t%s", t.OutTradeNo, t.Yuan, status, t.Sent, t.Waiting, t.QR)
}

// trade does one thing to one trade.
func (e *errand) trade(ctx context.Context, what string) error {
	ref := "last"
	if !e.last {
		var err error
		if ref, err = e.word("a code, an order number, or --last"); err != nil {
			return err
		}
	}
	var t phone.Trade
	body := map[string]string{"ref": ref}
	if e.late != "" {
		body["late"] = e.late
	}
	if err := e.call(ctx, "/control/"+what, body, &t); err != nil || e.json {
		return err
	}
	return e.table("ORDER\tYUAN\tSTATUS\tNOTICES\tCODE", 1, func(int) string { return line(t) })
}

// fault arms, lists and clears faults.
func (e *errand) fault(ctx context.Context) error {
	var armed []alipay.Fault
	switch {
	case slices.Equal(e.words, []string{"kinds"}):
		return e.kinds(ctx)
	case slices.Equal(e.words, []string{"clear"}):
		if err := e.call(ctx, "/control/faults/clear", struct{}{}, &armed); err != nil || e.json {
			return err
		}
	case slices.Equal(e.words, []string{"list"}):
		if err := e.call(ctx, "/control/faults", nil, &armed); err != nil || e.json {
			return err
		}
	case len(e.words) == 2:
		f := alipay.Fault{
			Method: e.words[0], Kind: alipay.Kind(e.words[1]), Booked: e.booked, Standing: e.standing,
			Code: e.code, SubCode: e.sub, Amount: money.Fen(e.fen), Order: e.order,
		}
		if err := f.Delay.UnmarshalText([]byte(e.delay)); err != nil {
			return err
		}
		if err := e.call(ctx, "/control/faults", f, &armed); err != nil || e.json {
			return err
		}
	default:
		return fmt.Errorf("this needs a METHOD and a KIND, or kinds, list or clear\n%w", errUsage)
	}
	return e.table("ID\tMETHOD\tKIND\tBOOKED\tDELAY\tSTANDING", len(armed), func(i int) string {
		f := armed[i]
		return fmt.Sprintf("%d\t%s\t%s\t%t\t%v\t%t",
			f.ID, f.Method, f.Kind, f.Booked, time.Duration(f.Delay), f.Standing)
	})
}

func (e *errand) kinds(ctx context.Context) error {
	var all map[string][]alipay.Kind
	if err := e.call(ctx, "/control/kinds", nil, &all); err != nil || e.json {
		return err
	}
	var lines []string
	for method, kinds := range all {
		lines = append(lines, method+"\t"+strings.Trim(fmt.Sprint(kinds), "[]"))
	}
	slices.Sort(lines)
	return e.table("METHOD\tKINDS", len(lines), func(i int) string { return lines[i] })
}

func (e *errand) lay(ctx context.Context) error {
	card, err := e.word("a card's number or name; see campuslab cards")
	if err != nil {
		return err
	}
	return e.cards(ctx, "/lay", map[string]any{"card": card, "reader": e.vpcd})
}

func (e *errand) slow(ctx context.Context) error {
	word, err := e.word("a time in milliseconds, such as 15")
	if err != nil {
		return err
	}
	ms, err := strconv.Atoi(word)
	if err != nil {
		return fmt.Errorf("%q is not a time in milliseconds\n%w", word, errUsage)
	}
	return e.cards(ctx, "/slow", map[string]any{"ms": ms})
}

// broken has a card torn off, or fall silent.
func (e *errand) broken(ctx context.Context, path string) error {
	if len(e.words) < 1 || len(e.words) > 2 {
		return fmt.Errorf("this needs before or after, and perhaps a command\n%w", errUsage)
	}
	command := "credit"
	if len(e.words) == 2 {
		command = e.words[1]
	}
	return e.cards(ctx, path, map[string]any{"when": e.words[0], "command": command, "card": e.card})
}

// cards calls the cards' interface, which always answers with all cards.
func (e *errand) cards(ctx context.Context, path string, body map[string]any) error {
	var list []cards.Info
	var b any
	if body != nil {
		b = body
	}
	if err := e.call(ctx, "/cards"+path, b, &list); err != nil || e.json {
		return err
	}
	// The name comes last, because columns of Chinese are wider than they count.
	return e.table("CARD\tNUMBER\tKIND\tPURSE\tWHERE\tNAME", len(list), func(i int) string {
		c := list[i]
		where := cmp.Or(c.Where, c.Ending, "-")
		return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s", c.Card, c.Masked, cmp.Or(c.Kind, "-"), c.Purse, where, c.Name)
	})
}

// table prints n lines under a title, in columns.
func (e *errand) table(title string, n int, line func(int) string) error {
	if n == 0 {
		_, err := fmt.Fprintln(e.out, "none")
		return err
	}
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, title)
	for i := range n {
		fmt.Fprintln(w, line(i))
	}
	return w.Flush()
}
