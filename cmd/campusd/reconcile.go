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

	"quancun/upstream/alipay"
	"quancun/upstream/channel"
	"quancun/upstream/clearing"
	"quancun/upstream/reconcile"
	"quancun/upstream/store"
)

// alipaySource is Alipay's account in our ledger.
const alipaySource = reconcile.Source(store.ChannelAlipay)

// reconcileDays compares the books with Alipay's bills, or with a biller's
// records. What serve does by itself each morning, this does now.
func reconcileDays(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("reconcile", flag.ContinueOnError)
	day := f.String("day", "", "fetch this day's bill again, such as 2026-03-01; all days that are due if empty")
	biller := f.String("biller", "", "compare with a biller's records: network, electricity")
	file := f.String("file", "", "the biller's records, .json or .csv")
	return withFlags(ctx, f, args, 0, func(b *store.Books, _ []string) error {
		h := clearing.New(b)
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
