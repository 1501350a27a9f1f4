package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"quancun/lab/breaker"
	"quancun/lab/electricity"
	"quancun/lab/srun"
)

// startBillers starts those that are asked for.
func (l *lab) startBillers(ctx context.Context, work *errgroup.Group, mux *http.ServeMux, p *Paper) (err error) {
	if l.network != "" {
		if p.Network, err = l.startNetwork(ctx, work, mux); err != nil {
			return err
		}
	}
	if l.electricity != "" {
		p.Electricity, err = l.startElectricity(ctx, work, mux)
	}
	return err
}

// startNetwork starts the network's vendor, and returns its address. Whoever is
// asked about has an account there.
func (l *lab) startNetwork(ctx context.Context, work *errgroup.Group, mux *http.ServeMux) (string, error) {
	dir := filepath.Join(l.dir, "network")
	certificate, err := breaker.Certificate(dir)
	if err != nil {
		return "", err
	}
	box, err := srun.New(srun.Config{Dir: dir, Anyone: true})
	if err != nil {
		return "", err
	}
	mux.Handle("/billers/network", box.Control(func() any { return box.Records() }))
	return l.listenTLS(ctx, work, tlsPart{l.network, certificate, box})
}

// startElectricity starts the vendor of meters, on all of its wires, and returns
// its address.
func (l *lab) startElectricity(ctx context.Context, work *errgroup.Group, mux *http.ServeMux) (string, error) {
	dir := filepath.Join(l.dir, "electricity")
	certificate, err := breaker.Certificate(dir)
	if err != nil {
		return "", err
	}
	key, err := breaker.Key(dir)
	if err != nil {
		return "", err
	}
	campus, err := electricity.New(electricity.Config{Dir: dir, Key: key})
	if err == nil {
		err = campus.Build()
	}
	if err != nil {
		return "", err
	}
	mux.Handle("/billers/electricity", campus.Control(func() any { return campus.Recharges() }))
	return l.listenTLS(ctx, work, tlsPart{l.electricity, certificate, campus})
}

// tlsPart is a part of the lab with a certificate of its own.
type tlsPart struct {
	addr        string
	certificate tls.Certificate
	handler     http.Handler
}

// listenTLS serves a part until ctx ends, and returns its address.
func (l *lab) listenTLS(ctx context.Context, work *errgroup.Group, p tlsPart) (string, error) {
	if host, _, err := net.SplitHostPort(p.addr); err != nil || !l.anywhere && !isLoopback(host) {
		return "", fmt.Errorf("%q is not an address of this machine alone, as 127.0.0.1:7082 is; see --anywhere",
			p.addr)
	}
	ln, err := tls.Listen("tcp", p.addr, &tls.Config{Certificates: []tls.Certificate{p.certificate}})
	if err != nil {
		return "", err
	}
	s := &http.Server{Handler: p.handler, ReadHeaderTimeout: 5 * time.Second}
	work.Go(func() error {
		if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	work.Go(func() error {
		<-ctx.Done()
		_ = s.Close() // a delay on command may last longer than anybody wants to wait
		return ctx.Err()
	})
	return "https://" + ln.Addr().String(), nil
}

// biller shows what one of the lab's billers has booked, or breaks it, or mends it.
func (e *errand) biller(ctx context.Context) error {
	if len(e.words) == 0 {
		return fmt.Errorf("this needs network or electricity\n%w", errUsage)
	}
	path := "/billers/" + e.words[0]
	var s breaker.Status
	var body any
	switch words := e.words[1:]; {
	case len(words) == 0:
	case len(words) == 1 && words[0] == "mend":
		if err := e.send(ctx, http.MethodDelete, path, nil, &s); err != nil || e.json {
			return err
		}
		return e.status(s)
	case len(words) == 3 && words[0] == "fault":
		body = map[string]any{
			"method": words[1], "kind": words[2], "booked": e.booked, "delay": e.delay, "standing": e.standing,
		}
	default:
		return fmt.Errorf("a biller is shown, or broken by fault METHOD KIND, or mended\n%w", errUsage)
	}
	if err := e.call(ctx, path, body, &s); err != nil || e.json {
		return err
	}
	return e.status(s)
}

func (e *errand) status(s breaker.Status) error {
	books, ok := s.Books.([]any)
	if !ok {
		books = nil // nothing is booked yet
	}
	for _, b := range books {
		if _, err := fmt.Fprintln(e.out, b); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(e.out, "%d booked; armed: %v\nmethods %v\nkinds %v\n",
		len(books), s.Faults, s.Methods, s.Kinds)
	return err
}
