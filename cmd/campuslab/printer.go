package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"quancun/lab/printer"
)

// printerServe runs a receipt printer alone: what comes out is printed as text,
// and kept as a picture in the folder.
func printerServe(ctx context.Context, args []string, out io.Writer) error {
	o := options{printer: "127.0.0.1:9100", http: "127.0.0.1:7080"}
	f := flag.NewFlagSet("printer", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&o.dir, "dir", "", "`folder` for pictures of receipts; made if it is not there")
	f.StringVar(&o.printer, "listen", o.printer, "`address` at which the printer takes ESC/POS")
	f.StringVar(&o.http, "http", o.http, "`address` of the control interface")
	f.IntVar(&o.columns, "columns", 48, "characters in a line: 32 on paper of 58 mm, 48 of 80 mm")
	f.BoolVar(&o.anywhere, "anywhere", false, "let other machines in; anybody there can print")
	if err := f.Parse(args); err != nil {
		return err
	}
	if o.dir == "" || f.NArg() > 0 {
		return fmt.Errorf("printer needs --dir, a folder to keep its receipts in, and no words\n%w", errUsage)
	}
	return newLab(o, out).run(ctx)
}

// startPrinter starts the printer, and returns where it listens.
func (l *lab) startPrinter(ctx context.Context, work *errgroup.Group, mux *http.ServeMux) (string, error) {
	if host, _, err := net.SplitHostPort(l.printer); err != nil || !l.anywhere && !isLoopback(host) {
		return "", fmt.Errorf("%q is not an address of this machine alone, as 127.0.0.1:9100 is; see --anywhere",
			l.printer)
	}
	if l.columns < 16 || l.columns > 96 {
		return "", fmt.Errorf("%d columns are on no paper", l.columns)
	}
	dir := filepath.Join(l.dir, "receipts")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	ln, err := net.Listen("tcp", l.printer)
	if err != nil {
		return "", err
	}
	p := printer.New(l.columns, l.log)
	p.Cut = func(r printer.Receipt) {
		picture, err := r.Picture(l.columns)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, r.At.Format("20060102-150405.000000")+".png"), picture, 0o600)
		}
		if err != nil {
			l.log.Error("receipt not drawn", "err", err)
		}
		fmt.Fprintf(l.out, "%s", r.Text)
		for _, code := range r.Codes {
			fmt.Fprintf(l.out, "[QR] %s\n", code)
		}
		fmt.Fprintln(l.out, "- - - - 8< - - - -")
	}
	work.Go(func() error { return p.Serve(ctx, ln) })
	mux.Handle("/printer", p.Handler())
	mux.Handle("/printer/", p.Handler())
	return ln.Addr().String(), nil
}

// papers are what a hand does to a printer, by the word for it.
var papers = map[string]map[string]any{
	"ok":      {"paper": "ok", "lines": 0},
	"low":     {"paper": "low"},
	"out":     {"paper": "out"},
	"open":    {"cover": true},
	"close":   {"cover": false},
	"offline": {"offline": true},
	"online":  {"offline": false},
	"jam":     {"fault": true},
	"free":    {"fault": false},
}

// paper does something to the printer, and prints how it is then.
func (e *errand) paper(ctx context.Context) error {
	var s printer.State
	if len(e.words) == 0 {
		if err := e.call(ctx, "/printer", nil, &s); err != nil || e.json {
			return err
		}
		return e.printed(s)
	}
	word, err := e.word("ok, low, out, open, close, offline, online, jam or free")
	if err != nil {
		return err
	}
	body, ok := papers[word]
	if !ok {
		return errors.Join(fmt.Errorf("a printer cannot be %q", word), errUsage)
	}
	if err := e.call(ctx, "/printer", body, &s); err != nil || e.json {
		return err
	}
	return e.printed(s)
}

func (e *errand) printed(s printer.State) error {
	_, err := fmt.Fprintf(e.out, "paper %s, cover open %t, offline %t, fault %t\n",
		s.Paper, s.Cover, s.Offline, s.Fault)
	return err
}
