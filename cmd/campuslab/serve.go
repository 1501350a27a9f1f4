package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"quancun/lab/alipay"
	"quancun/lab/breaker"
	"quancun/lab/cards"
	"quancun/lab/phone"
	"quancun/lab/wallet"
)

// options are the flags of serve.
type options struct {
	dir, alipay, http, cards, vpcd, printer, phones, baths, network, electricity string

	scale, slow, columns int
	anywhere             bool
}

func serve(ctx context.Context, args []string, out io.Writer) error {
	var o options
	f := flag.NewFlagSet("serve", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&o.dir, "dir", "", "`folder` for keys, trades and cards; made if it is not there")
	f.StringVar(&o.alipay, "alipay", "127.0.0.1:7081", "`address` of the Alipay gateway; empty for none")
	f.StringVar(&o.http, "http", "127.0.0.1:7080", "`address` of the phone's page and the control interface")
	f.StringVar(&o.cards, "cards", "", "`file` of personalised cards, as campusd demo writes it; empty for no cards")
	f.StringVar(&o.printer, "printer", "", "`address` of a receipt printer, such as 127.0.0.1:9100; empty for none")
	f.IntVar(&o.columns, "columns", 48, "characters in a line of the printer's")
	f.StringVar(&o.network, "network", "", "`address` of the network's Srun, such as 127.0.0.1:7082; empty for none")
	f.StringVar(&o.electricity, "electricity", "", "`address` of the vendor of meters; empty for none")
	f.StringVar(&o.phones, "phones", "", "`folder` of phones, as campuslab phone bind makes them; empty for none")
	f.StringVar(&o.baths, "baths", "", "`files` of water controllers' setups, with commas; empty for none")
	readerFlags(f, &o.vpcd, &o.slow)
	f.IntVar(&o.scale, "notify-scale", 60, "send notifications again this many `times` faster than Alipay does")
	f.BoolVar(&o.anywhere, "anywhere", false, "let other machines in; anybody there can pay and tear")
	if err := f.Parse(args); err != nil {
		return err
	}
	switch {
	case o.dir == "":
		return fmt.Errorf("serve needs --dir, a folder to keep its things in\n%w", errUsage)
	case f.NArg() > 0:
		return fmt.Errorf("serve does not know %q\n%w", f.Arg(0), errUsage)
	}
	return newLab(o, out).run(ctx)
}

func newLab(o options, out io.Writer) *lab {
	return &lab{options: o, out: out, log: slog.New(slog.NewTextHandler(out, nil))}
}

// lab is everything in one process.
type lab struct {
	options
	out io.Writer
	log *slog.Logger
}

// Paper is what a script reads to find a lab: the file lab.json in its folder.
type Paper struct {
	Control   string `json:"control"`
	Gateway   string `json:"gateway,omitempty"`
	AppID     string `json:"app_id,omitempty"`
	AppKey    string `json:"app_private_key_file,omitempty"`
	AlipayKey string `json:"alipay_public_key_file,omitempty"`
	VPCD      string `json:"vpcd,omitempty"`
	Printer   string `json:"printer,omitempty"`

	Network     string `json:"network,omitempty"`     // its certificate is in network/
	Electricity string `json:"electricity,omitempty"` // and electricity/
}

// run starts what the options ask for, and returns when all of it has ended.
func (l *lab) run(ctx context.Context) (err error) {
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	unlock, err := alone(filepath.Join(l.dir, "lock"))
	if err != nil {
		return fmt.Errorf("another lab works in %s: %w", l.dir, err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	// The paper is there while the lab runs, and only then.
	if err := os.Remove(l.paper()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	work, ctx := errgroup.WithContext(ctx)
	mux := http.NewServeMux()
	var paper Paper
	if l.alipay != "" {
		if err := l.startAlipay(ctx, work, mux, &paper); err != nil {
			return errors.Join(err, stop(work))
		}
	}
	if l.printer != "" {
		if paper.Printer, err = l.startPrinter(ctx, work, mux); err != nil {
			return errors.Join(err, stop(work))
		}
	}
	if err := l.startBillers(ctx, work, mux, &paper); err != nil {
		return errors.Join(err, stop(work))
	}
	if l.cards != "" {
		s, err := openCards(cards.Config{
			File: l.cards, Dir: filepath.Join(l.dir, "cards"), VPCD: l.vpcd, Log: l.log,
		})
		if err != nil {
			return errors.Join(err, stop(work))
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		s.Slow(time.Duration(max(l.slow, 0)) * time.Millisecond)
		mux.Handle("/cards", s.Handler())
		mux.Handle("/cards/", s.Handler())
		paper.VPCD = l.vpcd
	}
	if l.baths != "" {
		closeBaths, err := l.startBaths(ctx, work, mux)
		if err != nil {
			return errors.Join(err, stop(work))
		}
		defer closeBaths()
	}
	if l.phones != "" {
		mux.Handle("/wallet/", wallet.Handler(l.phones))
	}
	addr, err := l.listen(ctx, work, l.http, l.guard(mux))
	if err != nil {
		return errors.Join(err, stop(work))
	}
	paper.Control = "http://" + addr
	if err := l.publish(paper); err != nil {
		return errors.Join(err, stop(work))
	}
	defer os.Remove(l.paper())
	if err := work.Wait(); !errors.Is(err, context.Canceled) && !errors.Is(err, errStopped) {
		return err
	}
	return nil
}

// errStopped ends the parts that have begun when another could not begin.
var errStopped = errors.New("stopped")

// stop ends what work has begun, and waits for it.
func stop(work *errgroup.Group) error {
	work.Go(func() error { return errStopped })
	if err := work.Wait(); !errors.Is(err, errStopped) && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func (l *lab) startAlipay(ctx context.Context, work *errgroup.Group, mux *http.ServeMux, p *Paper) error {
	dir, err := filepath.Abs(filepath.Join(l.dir, "alipay"))
	if err != nil {
		return err
	}
	g, err := alipay.New(alipay.Config{Dir: dir, Scale: l.scale, Log: l.log})
	if err != nil {
		return err
	}
	addr, err := l.listen(ctx, work, l.alipay, g)
	if err != nil {
		return err
	}
	work.Go(func() error { return g.Run(ctx) })
	mux.Handle("/", phone.Handler(g))
	p.Gateway, p.AppID = "http://"+addr+"/gateway.do", alipay.AppID
	p.AppKey, p.AlipayKey = g.Keys().AppPrivate, g.Keys().AlipayPublic
	return nil
}

// stopMax is how long calls that are under way may take when the lab stops.
const stopMax = time.Second

// listen serves h at addr until ctx ends, and returns the address that it got.
func (l *lab) listen(ctx context.Context, work *errgroup.Group, addr string, h http.Handler) (string, error) {
	if host, _, err := net.SplitHostPort(addr); err != nil || !l.anywhere && !isLoopback(host) {
		return "", fmt.Errorf("%q is not an address of this machine alone, as 127.0.0.1:7080 is; see --anywhere", addr)
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return "", err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	work.Go(func() error {
		if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	work.Go(func() error {
		<-ctx.Done()
		limit, cancel := context.WithTimeout(context.Background(), stopMax)
		defer cancel()
		if s.Shutdown(limit) != nil {
			_ = s.Close() // a delay on command may last longer than anybody wants to wait
		}
		return ctx.Err()
	})
	return ln.Addr().String(), nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// guard keeps web pages from elsewhere, which a browser on this machine may
// have open, from working the lab.
func (l *lab) guard(next http.Handler) http.Handler {
	same := http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if !l.anywhere && !isLoopback(host) {
			http.Error(w, "the lab answers to 127.0.0.1 and localhost only", http.StatusMisdirectedRequest)
			return
		}
		same.ServeHTTP(w, r)
	})
}

func (l *lab) paper() string { return filepath.Join(l.dir, "lab.json") }

// publish writes lab.json, and tells people the same.
func (l *lab) publish(p Paper) error {
	b, err := json.MarshalIndent(p, "", "\t")
	if err != nil {
		return err
	}
	file := l.paper()
	if err := os.WriteFile(file+".new", append(b, '\n'), 0o600); err != nil {
		return err
	}
	if err := os.Rename(file+".new", file); err != nil {
		return err
	}
	fmt.Fprintf(l.out, "The lab is running. Control: %s (also in %s)\n", p.Control, file)
	if p.Gateway != "" {
		fmt.Fprintf(l.out, "Student's phone: %s/\nAlipay gateway:  %s for app %s\n", p.Control, p.Gateway, p.AppID)
		fmt.Fprintf(l.out, "  merchant's key: %s\n  Alipay's key:   %s\n", p.AppKey, p.AlipayKey)
	}
	if l.phones != "" {
		fmt.Fprintf(l.out, "Virtual cards:   %s/wallet/\n", p.Control)
	}
	if p.VPCD != "" {
		fmt.Fprintf(l.out, "Cards are laid on the reader at %s\n", p.VPCD)
	}
	if p.Printer != "" {
		fmt.Fprintf(l.out, "Receipt printer: tcp:%s\n", p.Printer)
	}
	for name, address := range map[string]string{"network": p.Network, "electricity": p.Electricity} {
		if address != "" {
			fmt.Fprintf(l.out, "Biller:          %s at %s, certificate in %s\n", name, address,
				filepath.Join(l.dir, name, breaker.CertificateFile))
		}
	}
	if l.anywhere {
		fmt.Fprintln(l.out, "Other machines may reach it, and it asks nobody who they are.")
	} else {
		fmt.Fprintln(l.out, "Only this machine can reach it. Stop it with Ctrl-C.")
	}
	return nil
}
