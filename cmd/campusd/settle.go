package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"quancun/upstream/channel"
	"quancun/upstream/clearing"
	"quancun/upstream/store"
)

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
		all, err := clearing.New(b).Settlements(ctx, first)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "DAY\tMERCHANT\tSALES\tREFUNDS\tOWED\tLINES\tLATE\tPAID")
		for _, s := range all {
			paid := "no"
			if !s.Settled.IsZero() {
				paid = s.Settled.In(channel.Beijing).Format(time.DateOnly) + " by " + s.By
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\n",
				s.Day, s.Merchant, s.Sales, s.Refunds, s.Owed, s.Lines, s.Late, paid)
		}
		return w.Flush()
	})
}

func dayOr(s string, otherwise channel.Day) (channel.Day, error) {
	if s == "" {
		return otherwise, nil
	}
	return channel.ParseDay(s)
}

// closeDays fixes what is owed for all days up to one, as serve does each
// morning.
func closeDays(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("settle close", flag.ContinueOnError)
	day := f.String("day", "", "last day to close; yesterday if empty")
	return withFlags(ctx, f, args, 0, func(b *store.Books, _ []string) error {
		through, err := dayOr(*day, channel.DayOf(b.Now()).Add(-1))
		if err != nil {
			return err
		}
		n, err := clearing.New(b).CloseDays(ctx, through)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%d days of merchants are closed, through %s\n", n, through)
		return err
	})
}

// payMerchant notes that a merchant was paid from the bank for its closed days.
func payMerchant(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("settle pay", flag.ContinueOnError)
	day := f.String("day", "", "last day to pay for; yesterday if empty")
	by := f.String("by", "", "who pays")
	return withFlags(ctx, f, args, 1, func(b *store.Books, merchant []string) error {
		through, err := dayOr(*day, channel.DayOf(b.Now()).Add(-1))
		if err != nil {
			return err
		}
		p, err := clearing.New(b).Pay(ctx, merchant[0], through, *by)
		switch {
		case errors.Is(err, clearing.ErrUnsigned):
			return fmt.Errorf("--by is missing\n%w", errUsage)
		case err != nil:
			return err
		case p.Days == 0:
			_, err = fmt.Fprintf(out, "nothing to pay to %s: no closed day is unpaid\n", merchant[0])
			return err
		}
		_, err = fmt.Fprintf(out, "%s is paid %s for %d days through %s, by entry %d\n",
			merchant[0], p.Amount, p.Days, through, p.Entry)
		return err
	})
}
