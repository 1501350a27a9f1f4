package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"quancun/beijing"
	"quancun/money"
	"quancun/upstream/biller"
	"quancun/upstream/channel"
	"quancun/upstream/clearing"
	stand "quancun/upstream/place"
	"quancun/upstream/reconcile"
	"quancun/upstream/store"
)

// steps are what a line of the inbox asks its owner to do. Names in braces are
// parameters. Lines that come from terminals' journals bring their text along.
var steps = map[reconcile.Step]string{
	reconcile.CreditPayment: "assign {amount} of order {order} to {account}, or return it to who paid. " +
		"The engine asks Alipay about the order again, and closes this if it can credit it",
	reconcile.AwaitSale: "{amount} was paid by code {order}, trade {trade}, to {account}: the till's journal has to " +
		"come and book it. Return it if the till is lost, or if the sale was closed and has not gone back by itself",
	reconcile.AwaitRefund: "{amount} of {order} was given back to a wallet under {refund}, trade {trade}: the till's " +
		"journal has to come and book it. Write it off if the till is lost",
	reconcile.AwaitReturn: "nothing: {amount} of order {order} was given back, and a bill of the next days shows it. " +
		"Ask Alipay about trade {trade} if it is not there after three days",
	reconcile.FindPayer: "look on Alipay's page who paid {amount} under {order}, trade {trade}: " +
		"assign it to a holder, or return it",
	reconcile.ReturnSecond: "order {order} was paid twice: ask the holder {account}, " +
		"and return or assign the second {amount}",
	reconcile.BookReturn: "{amount} of order {order} went back past our books: find out who did it and why. " +
		"Write it off, or take it from the holder {account} and explain it by that entry",
	reconcile.ClaimPayment: "we have credited {amount} for order {order} by entry {entry}, " +
		"and {source} has not had it: ask them. Write it off if it is lost",
	reconcile.RepeatReturn: "we have given back {amount} of order {order} by entry {entry}, and {source} has not: " +
		"have it done, under the same number",
	reconcile.CorrectAmount: "order {order} is {ours} with us and {theirs} with {source}: find out who is right. " +
		"Assign what was paid too much, or write the difference off",
	reconcile.QueryLine: "{source} has one movement of order {order} twice: ask them. " +
		"Their statement changes, or the {amount} is written off",
	reconcile.ReverseEntry: "order {order} is booked twice, by entry {entry}: write the second {amount} off, " +
		"and take it from the holder {account}",
	reconcile.RepeatOrReturn: "the holder has paid {amount} for order {order}, and {source} has not sold it: " +
		"order it again under the same number, or give the money back",
	reconcile.ChargeOrCancel: "{source} has sold {amount} under {order}, and nobody has paid it with us: " +
		"have it cancelled there, or write it off",
}

// exceptions lists the inbox, or closes a line of it.
func exceptions(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	name, args := args[0], args[1:]
	switch name {
	case "list":
		return listExceptions(ctx, args, out)
	case "assign", "bear", "count", "return", "write-off", "explain":
		return closeException(ctx, name, args, out)
	}
	return errUsage
}

func listExceptions(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("exceptions list", flag.ContinueOnError)
	all := f.Bool("all", false, "closed lines too")
	owner := f.String("owner", "", "only the lines of one owner, such as operator")
	return withFlags(ctx, f, args, 0, func(b *store.Books, _ []string) error {
		list, err := clearing.New(b).Exceptions(ctx, *all)
		if err != nil {
			return err
		}
		places, err := stand.All(ctx, b)
		if err != nil {
			return err
		}
		shown := 0
		for _, x := range list {
			if *owner != "" && x.Owner != *owner {
				continue
			}
			shown++
			if err := printException(out, x, b.Now(), places); err != nil {
				return err
			}
		}
		if shown == 0 {
			_, err = fmt.Fprintln(out, "the inbox is empty")
		}
		return err
	})
}

func printException(out io.Writer, x clearing.Exception, now time.Time, places stand.Map) error {
	state, last := "open for", "next: "+stepText(x)
	if !x.Closed.IsZero() {
		state, last = "closed after", "by: "+x.Evidence
		if x.ClosingEntry != 0 {
			last = fmt.Sprintf("by entry %d: %s", x.ClosingEntry, x.Evidence)
		}
	}
	detail := x.Detail
	if p := places.At(x.Terminal, x.Opened); p.ZH != "" {
		detail += "; " + stood(p, x.Terminal)
	}
	_, err := fmt.Fprintf(out, "#%d  %s  %s  %s  %s %s  (%s)\n\t%s\n\t%s\n", x.ID, x.Kind, x.Amount,
		cmp.Or(x.About, x.Ref), state, x.Age(now).Truncate(time.Minute), x.Owner, detail, last)
	return err
}

// stepText returns what to do about a line, in words.
func stepText(x clearing.Exception) string {
	text, ok := steps[reconcile.Step(x.NextStep)]
	if !ok {
		return x.NextStep
	}
	for name, value := range x.Params {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	return strings.ReplaceAll(text, "{account}", "(nobody that we know)")
}

// closeException closes a line in one of the ways.
func closeException(ctx context.Context, how string, args []string, out io.Writer) error {
	f := flag.NewFlagSet("exceptions "+how, flag.ContinueOnError)
	var s clearing.Signature
	f.StringVar(&s.Reason, "reason", "", "why")
	f.StringVar(&s.One, "by", "", "who does it")
	f.StringVar(&s.Two, "and", "", "who else stands for it; needed for write-off, bear and count")
	to := f.String("to", "", "assign: account number of the holder")
	goodwill := f.Bool("goodwill", false, "bear: although the rule leaves it to the holder")
	found := f.String("amount", "", "count: cash that was found and has gone into the safe, in yuan")
	entry := f.Int64("entry", 0, "explain: entry of the ledger that explains it")
	return withFlags(ctx, f, args, 1, func(b *store.Books, words []string) error {
		id, err := strconv.ParseInt(words[0], 10, 64)
		if err != nil {
			return fmt.Errorf("%q is not the number of a line\n%w", words[0], errUsage)
		}
		h := clearing.New(b)
		done := "closed"
		switch how {
		case "assign":
			if _, err := b.Holder(ctx, store.HolderAccount(*to)); err != nil {
				return fmt.Errorf("no account %q", *to)
			}
			*entry, err = h.Assign(ctx, id, store.HolderAccount(*to), s)
		case "bear":
			*entry, err = h.Bear(ctx, id, clearing.Bearing{Signature: s, Goodwill: *goodwill})
		case "count":
			*entry, err = countDrawer(ctx, h, id, *found, s)
		case "write-off":
			*entry, err = h.WriteOff(ctx, id, s)
		case "explain":
			err = h.Explain(ctx, id, *entry, s)
		case "return":
			err = giveBack(ctx, h, id, f.Lookup("config").Value.String(), s)
			done = "given back; it closes when a statement shows it"
		}
		if err != nil {
			return explainRefusal(err)
		}
		if *entry != 0 {
			done = fmt.Sprintf("closed by entry %d", *entry)
		}
		_, err = fmt.Fprintf(out, "#%d is %s\n", id, done)
		return err
	})
}

func countDrawer(ctx context.Context, h *clearing.House, id int64, found string, s clearing.Signature) (int64, error) {
	amount, err := money.Parse(found)
	if err != nil {
		return 0, fmt.Errorf("--amount: %w", err)
	}
	return h.Count(ctx, id, amount, s)
}

func giveBack(ctx context.Context, h *clearing.House, id int64, config string, s clearing.Signature) error {
	ch, err := openAlipay(config)
	if err != nil {
		return err
	}
	err = h.Return(ctx, id, ch, s)
	if err == nil || errors.Is(err, channel.ErrRefused) || errors.Is(err, clearing.ErrClosed) ||
		errors.Is(err, clearing.ErrNotThat) || errors.Is(err, clearing.ErrUnsigned) || errors.Is(err, store.ErrNone) {
		return err
	}
	return fmt.Errorf("nobody knows whether it was given back: give the same command again: %w", err)
}

// explainRefusal says in words why a line was not closed.
func explainRefusal(err error) error {
	for _, why := range []struct {
		err  error
		text string
	}{
		{store.ErrNone, "there is no such line or entry"},
		{clearing.ErrUnsigned, "--reason and --by are needed, and --and with another name for write-off, bear and " +
			"count"},
		{clearing.ErrHolders, "it was spent before the time from which on the school bears it, and the till is not " +
			"known to have had the card on its list: explain it, or bear it with --goodwill"},
		{clearing.ErrOlder, "count the newer line, and explain this one by the entry that it was closed with"},
		{channel.ErrRefused, "Alipay refuses to give it back: assign it, or write it off"},
	} {
		if errors.Is(err, why.err) {
			return fmt.Errorf("%s: %w", why.text, err)
		}
	}
	return err
}

// bills lists what holders have ordered from billers and is not paid yet, or ends
// what people have found out about, or gives a paid bill back.
func bills(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	switch args[0] {
	case "list":
		f := flag.NewFlagSet("bills list", flag.ContinueOnError)
		return withFlags(ctx, f, args[1:], 0, func(b *store.Books, _ []string) error { return listBills(ctx, b, out) })
	case "settle":
		return settleBill(ctx, args[1:], out)
	case "refund":
		return refundBill(ctx, args[1:], out)
	}
	return errUsage
}

// billStates are the states of a bill that is open, for people.
var billStates = map[biller.State]string{
	biller.Held: "not sent yet", biller.Sent: "being sent", biller.Checking: "being asked about",
	biller.Referred: "to be found out by people",
}

func listBills(ctx context.Context, b *store.Books, out io.Writer) error {
	open, err := biller.New(biller.Config{Books: b}).Unpaid(ctx)
	if err != nil {
		return err
	}
	for _, x := range open {
		_, err := fmt.Fprintf(out, "%s  %s  %s  %s  %s  since %s: %s\n", x.No, x.Biller, x.Amount, x.Account.No(),
			x.Title, x.Created.In(beijing.Zone).Format(time.DateTime), billStates[x.State])
		if err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(out, "%d bills are open\n", len(open))
	return err
}

func settleBill(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("bills settle", flag.ContinueOnError)
	booked := f.Bool("booked", false, "the biller has booked it")
	not := f.Bool("not-booked", false, "the biller has not booked it, and never will")
	var d biller.Decision
	f.StringVar(&d.RecordNo, "record", "", "the biller's number, if it was booked")
	f.StringVar(&d.Evidence, "evidence", "", "how you know")
	f.StringVar(&d.ByOne, "by", "", "who decides")
	f.StringVar(&d.ByTwo, "and", "", "who else, for --not-booked")
	return withFlags(ctx, f, args, 1, func(b *store.Books, words []string) error {
		if *booked == *not {
			return fmt.Errorf("--booked or --not-booked is needed\n%w", errUsage)
		}
		d.OrderNo, d.Booked = words[0], *booked
		x, err := biller.New(biller.Config{Books: b}).Decide(ctx, d)
		if err != nil {
			return err
		}
		done := "released: the holder has the money again"
		if x.State == biller.Paid {
			done = fmt.Sprintf("paid by entry %d", x.Entry)
		}
		_, err = fmt.Fprintf(out, "%s is %s\n", x.No, done)
		return err
	})
}

func refundBill(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("bills refund", flag.ContinueOnError)
	amount := f.String("amount", "", "in yuan, such as 10.00")
	var r biller.Refund
	f.StringVar(&r.No, "no", "", "number of this refund; the same number again does nothing")
	f.StringVar(&r.Reason, "reason", "", "why the biller has taken it back")
	f.StringVar(&r.ByOne, "by", "", "who decides")
	f.StringVar(&r.ByTwo, "and", "", "who else")
	return withFlags(ctx, f, args, 1, func(b *store.Books, words []string) (err error) {
		r.OrderNo = words[0]
		if r.Amount, err = money.Parse(*amount); err != nil {
			return err
		}
		if err := biller.New(biller.Config{Books: b}).Refund(ctx, r); err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s of %s is on the holder's account again\n", r.Amount, r.OrderNo)
		return err
	})
}
