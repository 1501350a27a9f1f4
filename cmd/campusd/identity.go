package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"quancun/money"
	"quancun/upstream/clearing"
	"quancun/upstream/store"
)

// report prints where the money is: the identity, what is not reconciled, the
// inbox, and what merchants are owed.
func report(ctx context.Context, args []string, out io.Writer) error {
	return onBooks(ctx, "report", args, 0, func(b *store.Books, _ []string) error {
		h := clearing.New(b)
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
