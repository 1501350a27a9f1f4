package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"quancun/beijing"
	"quancun/money"
	"quancun/upstream/alipay"
	"quancun/upstream/channel"
	"quancun/upstream/clearing"
	"quancun/upstream/reconcile"
	"quancun/upstream/store"
)

// alipaySource is Alipay's account in our ledger.
const alipaySource = reconcile.Source(store.ChannelAlipay)

// house returns the house of books, which asks their database for the time too.
func house(b *store.Books) *clearing.House {
	h := clearing.New(b)
	h.Database = b.Clock
	return h
}

// reconcileDays compares the books with Alipay's bills, or with a biller's
// records. What serve does by itself each morning, this does now.
func reconcileDays(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("reconcile", flag.ContinueOnError)
	day := f.String("day", "", "fetch this day's bill again, such as 2026-03-01; all days that are due if empty")
	biller := f.String("biller", "", "compare with a biller's records: network, electricity")
	file := f.String("file", "", "the biller's records, .json or .csv")
	return withFlags(ctx, f, args, 0, func(b *store.Books, _ []string) error {
		h := house(b)
		switch {
		case (*biller == "") != (*file == ""):
			return fmt.Errorf("--biller and --file belong together\n%w", errUsage)
		case *biller != "" && *day != "":
			return fmt.Errorf("the file says which day it is of\n%w", errUsage)
		case *biller != "":
			return reconcileBiller(ctx, h, *biller, *file, out)
		}
		ch, err := openAlipay(f.Lookup("config").Value.String())
		if err != nil {
			return err
		}
		if *day == "" {
			return reconcileDue(ctx, h, ch, out)
		}
		d, err := channel.ParseDay(*day)
		if err != nil {
			return err
		}
		s, err := ch.Bill(ctx, d)
		if errors.Is(err, channel.ErrNoStatement) {
			return fmt.Errorf("Alipay has no bill for %s: it is not made yet, or nothing moved", d)
		}
		if err != nil {
			return err
		}
		return reconcileStatement(ctx, h, alipaySource, s, out)
	})
}

// openAlipay returns the channel that a configuration names.
func openAlipay(config string) (*alipay.Client, error) {
	if config == "" {
		return nil, fmt.Errorf("--config is missing: it says how Alipay is reached\n%w", errUsage)
	}
	c, err := readConfig(config)
	if err != nil {
		return nil, err
	}
	return alipay.New(c.alipay())
}

// reconcileDue does what is due, and says of every day how it stands.
func reconcileDue(ctx context.Context, h *clearing.House, ch channel.Statements, out io.Writer) error {
	daily := &clearing.Daily{
		House: h, Source: alipaySource, Statements: ch, Log: slog.New(slog.NewTextHandler(out, nil)),
	}
	missing, err := daily.Once(ctx)
	if err != nil {
		return err
	}
	if missing > 0 {
		_, err = fmt.Fprintf(out, "%d days have no bill yet\n", missing)
	} else {
		_, err = fmt.Fprintln(out, "every day that is over is reconciled")
	}
	return err
}

// reconcileBiller compares a biller's records of a day.
func reconcileBiller(ctx context.Context, h *clearing.House, biller, file string, out io.Writer) error {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789-"
	if strings.Trim(biller, letters) != "" {
		return fmt.Errorf("%q can not name a biller", biller)
	}
	r, err := os.Open(file)
	if err != nil {
		return err
	}
	defer r.Close()
	read := reconcile.ReadCSV
	if filepath.Ext(file) == ".json" {
		read = reconcile.ReadJSON
	}
	s, err := read(r)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return reconcileStatement(ctx, h, reconcile.Source("biller/"+biller), s, out)
}

// reconcileStatement keeps a statement, compares it, and says what it came to.
func reconcileStatement(ctx context.Context, h *clearing.House, source reconcile.Source, s channel.Statement,
	out io.Writer,
) error {
	changed, err := h.SaveStatement(ctx, source, s)
	if err != nil {
		return err
	}
	o, err := h.Compare(ctx, source, s.Day)
	if err != nil {
		return err
	}
	known := "known"
	if changed {
		known = "new"
	}
	_, err = fmt.Fprintf(out, "%s %s: %d lines (%s), %d matched, %d even, %d waiting, %d open; ",
		source, s.Day, len(s.Lines), known, o.Matched, o.Even, o.Waiting, o.Open)
	if err == nil {
		_, err = fmt.Fprintf(out, "inbox: %d opened, %d closed\n", o.Opened, o.Closed)
	}
	return err
}

// settle shows what merchants' days came to, closes days, or pays a merchant.
func settle(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	name, args := args[0], args[1:]
	switch name {
	case "list":
		return listSettlements(ctx, args, out)
	case "close":
		return closeDays(ctx, args, out)
	case "pay":
		return payMerchant(ctx, args, out)
	}
	return errUsage
}

// shownDays is how many days back settle list goes by itself.
const shownDays = 31

func listSettlements(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("settle list", flag.ContinueOnError)
	from := f.String("from", "", "first day; a month ago if empty")
	return withFlags(ctx, f, args, 0, func(b *store.Books, _ []string) error {
		first, err := dayOr(*from, channel.DayOf(b.Now()).Add(-shownDays))
		if err != nil {
			return err
		}
		all, err := house(b).Settlements(ctx, first)
		if err != nil {
			return err
		}
		if err := tellRestored(ctx, b, first.Start(), out); err != nil {
			return err
		}
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "DAY\tMERCHANT\tSALES\tREFUNDS\tOWED\tLINES\tLATE\tPAID")
		for _, s := range all {
			paid := "no"
			if !s.Settled.IsZero() {
				paid = s.Settled.In(beijing.Zone).Format(time.DateOnly) + " by " + s.By
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\n",
				s.Day, s.Merchant, s.Sales, s.Refunds, s.Owed, s.Lines, s.Late, paid)
		}
		return w.Flush()
	})
}

// tellRestored says so if terminals have told since a time of more than the books had: then
// these may lack transfers as well, and who pays by the list pays twice.
func tellRestored(ctx context.Context, b *store.Books, since time.Time, out io.Writer) error {
	all, err := b.Alarms(ctx)
	for _, a := range all {
		if a.Kind == store.AlarmRestored && a.Last.After(since) {
			_, err := fmt.Fprintf(out, "By %s these books were restored from a copy. Before anybody is paid, "+
				"enter what the bank has paid since the copy: "+
				"settle pay MERCHANT --transfer NO --amount A --by NAME\n\n",
				a.Last.In(beijing.Zone).Format(time.DateTime))
			return err
		}
	}
	return err
}

func dayOr(s string, otherwise channel.Day) (channel.Day, error) {
	if s == "" {
		return otherwise, nil
	}
	return channel.ParseDay(s)
}

// closeDays fixes what is owed for all days up to one, as serve does each
// morning. A person's name says that this day is over, where the clock alone is not
// believed.
func closeDays(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("settle close", flag.ContinueOnError)
	day := f.String("day", "", "last day to close; yesterday if empty")
	by := f.String("by", "", "who says that this day is over, if the clock is not believed")
	return withFlags(ctx, f, args, 0, func(b *store.Books, _ []string) error {
		if *by != "" && *day == "" {
			return fmt.Errorf("--day is missing: it is what --by confirms\n%w", errUsage)
		}
		through, err := dayOr(*day, channel.DayOf(b.Now()).Add(-1))
		if err != nil {
			return err
		}
		h := house(b)
		if *by != "" {
			if err := h.Confirm(ctx, through, *by); err != nil {
				return err
			}
		}
		n, err := h.CloseDays(ctx, through)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%d days of merchants are closed, through %s\n", n, through)
		return err
	})
}

// payMerchant books what the bank has transferred to a merchant for its closed days.
func payMerchant(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("settle pay", flag.ContinueOnError)
	day := f.String("day", "", "last day to pay for; yesterday if empty")
	amount := f.String("amount", "", "what the bank was told to pay")
	no := f.String("transfer", "", "the bank's number of it")
	carry := f.Bool("carry", false, "book it although the unpaid days come to another amount, as in restored books; "+
		"the next day makes up for it")
	unheard := f.Bool("new", false, "with --carry: also to a merchant that restored books have never heard of")
	by := f.String("by", "", "who pays")
	return withFlags(ctx, f, args, 1, func(b *store.Books, merchant []string) error {
		through, err := dayOr(*day, channel.DayOf(b.Now()).Add(-1))
		if err != nil {
			return err
		}
		fen, err := money.Parse(*amount)
		if err != nil {
			return fmt.Errorf("--amount is what was transferred, such as 12.50: %w\n%w", err, errUsage)
		}
		p, err := house(b).Pay(ctx, merchant[0], clearing.Transfer{
			No: *no, Through: through, Amount: fen, By: *by, Carry: *carry, New: *unheard,
		})
		switch {
		case errors.Is(err, clearing.ErrUnsigned):
			return fmt.Errorf("--by is missing\n%w", errUsage)
		case errors.Is(err, clearing.ErrNoTransfer):
			return fmt.Errorf("--transfer is the bank's number of it, by which it is booked once\n%w", errUsage)
		case errors.Is(err, clearing.ErrNew):
			return fmt.Errorf("%w: look how %q is written; in restored books add --carry --new", err, merchant[0])
		case err != nil:
			return err
		case p.Known:
			fmt.Fprintf(out, "transfer %s to %s is booked already\n", *no, merchant[0])
			return nil
		case p.Days == 0 && p.Carried == 0:
			fmt.Fprintf(out, "nothing to pay to %s: no closed day is unpaid\n", merchant[0])
			return nil
		}
		fmt.Fprintf(out, "%s is paid %s for %d days through %s, by entry %d\n",
			merchant[0], p.Amount, p.Days, through, p.Entry)
		if p.Carried != 0 {
			fmt.Fprintf(out, "%s was transferred: the next day that is closed makes up for the %s between\n",
				fen, p.Carried)
		}
		return nil
	})
}

// report prints where the money is: the identity, what is not reconciled, the
// inbox, and what merchants are owed.
func report(ctx context.Context, args []string, out io.Writer) error {
	return onBooks(ctx, "report", args, 0, func(b *store.Books, _ []string) error {
		h := house(b)
		i, err := h.Identity(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "deposits %s - spends %s - payouts %s = float %s\n\n",
			i.Deposits, i.Spends, i.Payouts, i.Float)
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "KIND\tACCOUNTS\tBALANCE\t")
		for _, k := range i.Kinds {
			fmt.Fprintf(w, "%s\t%d\t%s\t\n", k.Name, k.Accounts, k.Balance)
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if err := reportWork(ctx, h, b.Now(), out); err != nil {
			return err
		}
		switch over, err := h.Over(ctx); {
		case errors.Is(err, clearing.ErrClockAhead):
			fmt.Fprintln(out, "LOOK AT THE CLOCK:", err)
		case err != nil:
			return err
		default:
			fmt.Fprintln(out, "the last day that is over:", over)
		}
		if i.Gap() != 0 || i.Odd != nil {
			return fmt.Errorf("the identity misses %s, accounts of no kind: %q", i.Gap(), i.Odd)
		}
		return nil
	})
}

// reportWork prints what people have still to do.
func reportWork(ctx context.Context, h *clearing.House, now time.Time, out io.Writer) error {
	days, err := h.Statements(ctx, alipaySource)
	if err != nil {
		return err
	}
	last := "never"
	for _, s := range days {
		if !s.Compared.IsZero() {
			last = string(s.Day)
		}
	}
	open, err := h.Exceptions(ctx, false)
	if err != nil {
		return err
	}
	var amount money.Fen
	var oldest time.Duration
	for _, x := range open {
		amount += max(x.Amount, -x.Amount)
		oldest = max(oldest, x.Age(now))
	}
	unpaid, err := h.Settlements(ctx, "")
	if err != nil {
		return err
	}
	var owed money.Fen
	for _, s := range unpaid {
		if s.Settled.IsZero() {
			owed += s.Owed
		}
	}
	_, err = fmt.Fprintf(out, "\nreconciled with Alipay: %s\ninbox: %d open, %s, oldest %s\n"+
		"merchants' closed days unpaid: %s\n", last, len(open), amount, oldest.Truncate(time.Minute), owed)
	return err
}
