package app

import (
	"context"
	"crypto/ed25519"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"quancun/app/front"
	"quancun/app/identity"
	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/channel"
	"quancun/kiosk/standing"
	"quancun/kiosk/till"
	"quancun/ledger"
	"quancun/ledger/feed"
	"quancun/ledger/push"
	"quancun/reader"
	"quancun/reader/profile"
	"quancun/reader/scanner"
	"quancun/upstream/client"
	"quancun/upstream/client/bath"
	"quancun/upstream/client/bill"
)

// keepEvery is how often the terminal asks how its upstream is, and ends what
// was left open.
const keepEvery = 5 * time.Second

// run serves at the terminal until it is told to stop.
func run(args []string, _ io.Writer) error {
	f := flag.NewFlagSet("run", flag.ContinueOnError)
	config := f.String("config", DefaultConfig, "terminal's configuration")
	window := f.Bool("window", false, "in a window, whatever the configuration says")
	if err := f.Parse(args); err != nil {
		return usageError(err)
	}
	c, err := ReadConfig(*config)
	if err != nil {
		return err
	}
	if *window {
		c.Panel.FullScreen = false
	}
	noCores()
	spareMemory()
	t, err := newTerminal(c)
	if err != nil {
		return err
	}
	return t.serve()
}

// noCores keeps what is in memory, a PIN for a second among it, off the disk
// when the program dies.
func noCores() {
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	debug.SetTraceback("single")
}

// spareMemory has Go collect its garbage early, and give back what only the
// start needed. A kiosk draws a page now and then and has little else to do,
// and the machine it runs on is small.
func spareMemory() {
	debug.SetGCPercent(25)
	time.AfterFunc(2*time.Second, debug.FreeOSMemory)
}

// terminal is every part, put together. It owns them.
type terminal struct {
	config  *Config
	log     *slog.Logger
	device  reader.Device
	book    *ledger.Book // nil: see fault
	fault   kiosk.Code   // why the journal cannot be used
	feeds   *feed.Feeds
	client  *client.Client
	renewer *identity.Renewer
	pusher  *push.Pusher
	puller  *feed.Puller
	keeper  *kiosk.Keeper
	campus  atomic.Pointer[ed25519.PublicKey] // whose word counts; papers that are renewed may name another
	clock   kiosk.Clock
	face    face
	closers []io.Closer                   // of what a face needs besides
	beside  []func(context.Context) error // what runs for it

	cards  chan reader.State
	health chan kiosk.Health
}

// newTerminal opens every part. A second instance on the same journal is an
// error; a journal that is damaged, or a disk that is full, is not: the
// terminal then shows that it is out of order, and why.
func newTerminal(c *Config) (_ *terminal, err error) {
	t := &terminal{
		config: c, log: slog.Default(), clock: kiosk.NewClock(time.Now, ledger.Uptime),
		cards: make(chan reader.State), health: make(chan kiosk.Health),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.close())
		}
	}()
	p, keys, err := openIdentity(c)
	if err != nil {
		return nil, err
	}
	cardProfile, err := profile.Read(c.Profile)
	if err != nil {
		return nil, err
	}
	if err := t.openBook(p, keys); err != nil {
		return nil, err
	}
	if t.book != nil { // else there is only a face that says so
		if t.feeds, err = feed.Open(context.Background(), c.Feeds); err != nil {
			return nil, err
		}
	}
	if t.device, err = openDevice(c.Reader); err != nil {
		return nil, err
	}
	t.client = client.Dial(p, client.Options{})
	t.renewer = &identity.Renewer{
		File: c.Terminal, Papers: p, Keys: keys, Client: t.client, Now: t.clock.Now, Log: t.log,
	}
	return t, t.join(p, keys, cardProfile)
}

func (t *terminal) openBook(p *client.Provisioning, keys client.Keys) error {
	options := bookOptions(t.config, p, keys)
	book, err := ledger.Open(context.Background(), t.config.Journal, options)
	if errors.Is(err, ledger.ErrLost) {
		t.log.Error("journal has lost entries, and is recovered", "err", err)
		var r ledger.Recovered
		if r, err = ledger.Recover(context.Background(), t.config.Journal, options); err == nil {
			t.log.Warn("journal recovered", "epoch", r.Epoch, "read", r.Journal, "mirror", r.Mirror, "gone", r.Gone)
			book, err = ledger.Open(context.Background(), t.config.Journal, options)
		}
	}
	switch {
	case err == nil:
		t.book = book
		if err := noteBegun(t.config); err != nil {
			t.log.Error("nothing notes that a journal is begun", "err", err)
		}
	case errors.Is(err, ledger.ErrLocked), errors.Is(err, os.ErrNotExist):
		return err // nothing that a screen could help with
	default:
		t.log.Error("journal cannot be used", "err", err)
		t.fault = kiosk.Explain(err)
		if t.fault == kiosk.CodeInternal {
			t.fault = kiosk.CodeJournal
		}
	}
	return nil
}

// bookOptions says whose journal it is.
func bookOptions(c *Config, p *client.Provisioning, keys client.Keys) ledger.Options {
	return ledger.Options{
		Terminal: p.Terminal, Key: keys.Journal, Campus: p.CampusKey, Version: Version, Mirror: c.Mirror,
		Begun: wasBegun(c),
	}
}

// begun is the file, beside the terminal's papers, that notes that it has begun a journal:
// when the journal's disk is not there, another one must not be begun in its place.
func (c *Config) begun() string {
	return strings.TrimSuffix(c.Terminal, filepath.Ext(c.Terminal)) + ".begun"
}

func wasBegun(c *Config) bool {
	_, err := os.Stat(c.begun())
	return err == nil
}

func noteBegun(c *Config) error {
	if wasBegun(c) {
		return nil
	}
	return writeWhole(c.begun(), func(w io.Writer) error {
		_, err := fmt.Fprintln(w, c.Journal)
		return err
	})
}

// joined is what both faces stand on.
type joined struct {
	profile *profile.Profile
	terms   *kiosk.Terms
	hand    *kiosk.InHand
	keys    client.Keys
}

// join connects the parts. Without a journal there is only a face that says so.
func (t *terminal) join(who *client.Provisioning, keys client.Keys, p *profile.Profile) (err error) {
	clock, terms, hand := t.clock, kiosk.NewTerms(who.Terminal, who.TerminalNo), new(kiosk.InHand)
	holders := &kioskFace{line: newLine[kiosk.View, kiosk.Input](t.log)}
	cashiers := &tillFace{line: newLine[till.View, till.Input](t.log), scans: make(chan scanner.Scan),
		news: make(chan till.News, 16)}
	if t.face = holders; t.config.Face == cashierName {
		t.face = cashiers
	}
	if t.book == nil {
		return nil
	}
	t.pusher = push.New(push.Options{Book: t.book, Upstream: t.client, Campus: who.CampusKey, Log: t.log})
	t.puller = feed.NewPuller(t.feeds, kiosk.FeedSource(t.client), t.log)
	t.campus.Store(&who.CampusKey)
	t.renewer.Adopted = func(p *client.Provisioning) {
		t.campus.Store(&p.CampusKey)
		t.pusher.Trust(p.CampusKey)
	}
	t.keeper = &kiosk.Keeper{
		Upstream: t.client, Outbox: t.book, Push: t.pusher, Pull: t.puller, Feeds: t.feeds,
		Clock: clock, Terms: terms, InHand: hand, Version: Version,
		Health: t.health, Every: keepEvery, Log: t.log,
	}
	// What a till has left open is ended under either face: a till may have become
	// a kiosk since.
	left := &channel.Keeper{
		Book: t.book, Upstream: t.client, InHand: hand, Every: keepEvery, Log: t.log,
		Ended: cashiers.left,
	}
	told := func(sale journal.Entry, o journal.Outcome) { cashiers.ended(sale, o.Happened()) }
	t.keeper.Ended = told
	t.beside = append(t.beside, left.Run)
	desk := &kiosk.Desk{
		Device: t.device, Upstream: t.client, Book: t.book, Feeds: t.feeds, Profile: p,
		Clock: clock, Terms: terms, InHand: hand, Log: t.log, Certificate: who.JournalCertificate, Ended: told,
	}
	services := front.New(front.Parts{
		Desk: desk,
		Book: t.book, Client: t.client, InHand: hand, Now: time.Now, Log: t.log,
		Beside: func(run func(context.Context) error) { t.beside = append(t.beside, run) },
	})
	if t.config.sells() {
		if err := t.joinTill(joined{p, terms, hand, keys}, cashiers); err != nil || t.config.Face == cashierName {
			return err
		}
	}
	holders.session = &kiosk.Session{
		Desk:  desk,
		Clock: clock, Cards: t.cards, Inputs: holders.inputs, Health: t.health, Show: holders.show, Log: t.log,
		Services: services,
	}
	if holders.session.Paper, err = t.holdersPaper(cashiers, terms); err != nil {
		return err
	}
	t.keeper.Others = (&standing.Board{
		Bills: bill.New(t.client), Baths: bath.New(t.client), Now: time.Now, Log: t.log,
	}).All
	if t.config.Face == bothName {
		both := newBothFaces(holders, cashiers, t.cards, t.health)
		if t.config.Staff.AtKiosk {
			both.byCards(cashiers.knows)
		}
		t.face = both
	}
	return nil
}

func (t *terminal) campusKey() ed25519.PublicKey { return *t.campus.Load() }

// tryAgain is how long a terminal whose journal cannot be opened says so before
// it ends, for its supervisor to start it again: a full disk may have room then.
const tryAgain = time.Minute

// work runs everything but the window until ctx ends.
func (t *terminal) work(ctx context.Context) error {
	if t.book == nil {
		t.face.outOfOrder(t.fault)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(tryAgain):
			return fmt.Errorf("journal cannot be used, code %d: start again", t.fault)
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return reader.Watch(ctx, t.device, t.cards, t.log) })
	g.Go(func() error { return t.face.serve(ctx) })
	g.Go(func() error { return t.keeper.Run(ctx) })
	g.Go(func() error { return t.pusher.Run(ctx) })
	g.Go(func() error { return t.puller.Run(ctx) })
	g.Go(func() error { return t.renewer.Run(ctx) })
	g.Go(func() error { t.audit(ctx); return nil })
	for _, run := range t.beside {
		g.Go(func() error { return run(ctx) })
	}
	return g.Wait()
}

// audit verifies the whole journal once after every start, of which opening it
// has looked at the newest part. If something is wrong with it the Book ends,
// and what the flow tries next puts the terminal out of order.
func (t *terminal) audit(ctx context.Context) {
	if err := t.book.Audit(ctx); err != nil && ctx.Err() == nil {
		t.log.Error("journal was audited", "err", err)
	}
}

func (t *terminal) close() error {
	var errs []error
	if t.device != nil {
		errs = append(errs, t.device.Close())
	}
	if t.client != nil {
		t.client.Close()
	}
	for _, c := range t.closers {
		errs = append(errs, c.Close())
	}
	if t.feeds != nil {
		errs = append(errs, t.feeds.Close())
	}
	if t.book != nil {
		errs = append(errs, t.book.Close())
	}
	return errors.Join(errs...)
}

// stopMax is how long a stop may take: an act that has passed the point of no
// return, such as a write to a card, is finished first.
const stopMax = 45 * time.Second

// serve shows the window until the program is told to stop.
//
// Fyne's own shutdown can hang (a race between its main and its queue), and it ends
// its window as soon as it hears of the same signal. So it is never relied upon: the
// journal is closed and then the process ends.
func (t *terminal) serve() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	done := make(chan error, 1)
	go func() {
		err := t.work(ctx)
		if closing := t.close(); closing != nil {
			err = errors.Join(err, closing)
		}
		done <- err
	}()
	go func() {
		select {
		case err := <-done:
			exit(t.log, err)
		case <-ctx.Done():
		}
		select {
		case err := <-done:
			exit(t.log, err)
		case <-time.After(stopMax):
			t.log.Error("did not end in time")
			os.Exit(exitFailed)
		}
	}()
	if err := t.show(ctx); err != nil {
		return err
	}
	stop()    // where somebody has closed the window
	select {} // what is under way is finished without it, and the process ends above
}

func exit(log *slog.Logger, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		log.Error("ended", "err", err)
		os.Exit(exitCode(err))
	}
	os.Exit(exitOK)
}

func exitCode(err error) int {
	switch {
	case errors.Is(err, ledger.ErrLocked):
		return exitLocked
	case errors.Is(err, errUnsent):
		return exitUnsent
	}
	return exitFailed
}
