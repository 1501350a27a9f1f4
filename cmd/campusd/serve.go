package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"quancun/cmd/campusd/bath"
	"quancun/cmd/internal/lockfile"
	"quancun/upstream/alipay"
	upbath "quancun/upstream/bath"
	"quancun/upstream/biller"
	"quancun/upstream/biller/service"
	"quancun/upstream/centre/counter"
	"quancun/upstream/clearing"
	"quancun/upstream/feed"
	"quancun/upstream/holder"
	"quancun/upstream/ingest"
	"quancun/upstream/keys"
	"quancun/upstream/lost"
	"quancun/upstream/payment"
	"quancun/upstream/photo"
	"quancun/upstream/reconcile"
	"quancun/upstream/server"
	"quancun/upstream/server/enrol"
	"quancun/upstream/staff"
	"quancun/upstream/store"
)

// stopMax is how long calls under way may take after the signal to stop. It
// is longer than any call that waits for the payment channel.
const stopMax = 25 * time.Second

// gcPercent is how much garbage there may be for each byte that is used. A
// server of a few megabytes would otherwise collect it with every second batch.
const gcPercent = 400

// serve answers terminals and the payment channel until ctx ends.
func serve(ctx context.Context, args []string, out io.Writer) (err error) {
	f := flag.NewFlagSet("serve", flag.ContinueOnError)
	var p place
	p.flags(f)
	listen := f.String("listen", ":8443", "for terminals")
	notify := f.String("notify-listen", "127.0.0.1:8080", "for the payment channel, behind the reverse proxy")
	if _, err := parse(f, args, 0); err != nil {
		return err
	}
	if p.config == "" {
		p.config = "campusd.toml"
	}
	debug.SetGCPercent(gcPercent)
	c, err := readConfig(p.config)
	if err != nil {
		return err
	}
	ch, err := alipay.New(c.alipay())
	if err != nil {
		return err
	}
	d, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.books.Close()) }()
	k, done, err := p.keysOf(ctx, c, d.books)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	unlock, err := lockfile.Take(filepath.Join(p.dir, "serve.lock"))
	if err != nil {
		return fmt.Errorf("another campusd serves %s: %w", p.dir, err)
	}
	defer unlock()

	log := slog.New(slog.NewTextHandler(out, nil))
	pays := payment.New(payment.Config{Books: d.books, Channel: ch, Log: log})
	s := server.New(server.Config{
		Books: d.books, Keys: k, Channel: ch, Policy: c.Policy.server(),
		Journals: ingest.New(d.books, k, c.Policy.ingest()),
		Feeds:    &feed.Publisher{Books: d.books, Campus: k.Campus()},
		Notices:  pays, SchoolZH: c.School.ZH, SchoolEN: c.School.EN, Log: log,
	})
	services, err := p.services(ctx, c, d, s)
	if err != nil {
		return err
	}
	s.Services = append(s.Services, pays)
	phones, err := p.phones(ctx, c, d.books, k, log)
	if err != nil {
		return err
	}
	door := enrol.New(enrol.Config{
		Books: d.books, PKI: d.pki, Campus: k, Phones: phones, Now: time.Now, Log: log,
	})
	terminals, notices, err := listenBoth(*listen, *notify)
	if err != nil {
		return err
	}
	log.Info("serving", "terminals", terminals.Addr().String(), "notices", notices.Addr().String())
	daily := &clearing.Daily{House: house(d.books), Source: alipaySource, Statements: ch, Log: log}
	err = serveAll(ctx, together(append(services, s.Run, daily.Run, pays.Run, phones.Run)...),
		endpoint{httpServer(door.Doors(s.Handler()), log), tls.NewListener(terminals, d.pki.Server())},
		endpoint{httpServer(s.NotifyHandler(), log), notices})
	log.Info("stopped", "err", err)
	return err
}

// services has s answer what is beside its own calls, and returns what that has to
// run.
func (p place) services(ctx context.Context, c config, d data, s *server.Server,
) (run []func(context.Context) error, err error) {
	baths, err := bath.Open(ctx, bath.Data{
		Books: d.books, Dir: p.dir, Policy: c.Baths, Reserve: c.Policy.CardReserve, Log: s.Log,
	})
	if err != nil {
		return nil, err
	}
	holders := holder.New(holder.Config{
		Books: d.books, Keys: s.Keys, CA: d.pki.Fingerprint(), Terms: c.holder(), Log: s.Log,
		BathDue: time.Duration(c.Baths.ReleaseHours) * time.Hour,
	})
	s.Services = append(counters(d.books, s, c.Policy), upbath.NewServer(baths, s), holder.NewServer(holders, s),
		lost.NewServer(lost.New(d.books, c.Policy.lost()), s), photo.NewServer(d.books))
	bills, err := billing(c, d.books, s, s.Log)
	return append(bills, baths.Run), err
}

// billing has s answer about bills, and returns what moves them on and reconciles
// them with billers that tell what they have booked.
func billing(c config, b *store.Books, s *server.Server, log *slog.Logger,
) (parts []func(context.Context) error, err error) {
	billers, err := c.Config.Open()
	if err != nil {
		return nil, err
	}
	desk := biller.New(biller.Config{
		Books: b, Billers: billers.Payable, Reserve: c.Policy.CardReserve, Log: log,
	})
	answers := service.New(service.Config{Desk: desk, Holders: s, Books: b, Billers: billers.Shown})
	s.Services = append(s.Services, answers)
	parts = append(parts, desk.Run, answers.Run)
	for name, statements := range billers.Statements {
		daily := &clearing.Daily{
			House: house(b), Source: reconcile.Source(biller.AccountOf(name)), Statements: statements, Log: log,
		}
		parts = append(parts, daily.Run)
	}
	return parts, nil
}

// counters are where the staff sign in, and where clerks stand.
func counters(b *store.Books, s *server.Server, p policy) []server.Service {
	signs := staff.NewServer(staff.NewRoll(b), s)
	blanks, _ := s.Keys.(keys.Personaliser) // a store that makes no cards is none
	return []server.Service{signs, counter.New(counter.Config{
		Books: b, Server: s, Sessions: signs.Sessions(), Blanks: blanks, Terms: p.counter(),
	})}
}

// listenBoth listens for terminals and for the payment channel.
func listenBoth(terminals, notices string) (t, n net.Listener, err error) {
	if t, err = net.Listen("tcp", terminals); err != nil {
		return nil, nil, err
	}
	if n, err = net.Listen("tcp", notices); err != nil {
		return nil, nil, errors.Join(err, t.Close())
	}
	return t, n, nil
}

// together runs all of parts, until the first of them ends.
func together(parts ...func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		g, ctx := errgroup.WithContext(ctx)
		for _, run := range parts {
			g.Go(func() error { return run(ctx) })
		}
		return g.Wait()
	}
}

type endpoint struct {
	server   *http.Server
	listener net.Listener
}

// serveAll serves until ctx ends or one part fails, and then lets calls under
// way come to their end.
func serveAll(ctx context.Context, engine func(context.Context) error, all ...endpoint) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return engine(ctx) })
	for _, e := range all {
		g.Go(func() error {
			if err := e.server.Serve(e.listener); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
		g.Go(func() error {
			<-ctx.Done()
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopMax)
			defer cancel()
			return errors.Join(e.server.Shutdown(stop), e.server.Close())
		})
	}
	if err := g.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func httpServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       75 * time.Second, // longer than a terminal takes for a batch over a bad line
		WriteTimeout:      90 * time.Second, // longer than that, and than the longest wait for an order
		IdleTimeout:       5 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		HTTP2:             &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // strangers' handshakes
	}
}
