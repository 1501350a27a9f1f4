package kiosk_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/service"
	lab "quancun/lab/alipay"
	"quancun/ledger"
	"quancun/money"
	"quancun/reader"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/reader/sim"
	"quancun/upstream/alipay"
	"quancun/upstream/client"
	publish "quancun/upstream/feed"
	"quancun/upstream/ingest"
	"quancun/upstream/keys"
	"quancun/upstream/photo"
	"quancun/upstream/server"
	"quancun/upstream/server/pki"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
)

const (
	yuan    = money.Yuan
	opening = 30 * yuan // on the account and on the card
	pin     = "271828"
	cardNo  = "00002026000100012345"
)

// labKeys holds one set of RSA keys for the whole run: making them is slow.
var labKeys = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "kiosk-test-keys-")
	if err != nil {
		panic(err)
	}
	if _, err := lab.New(lab.Config{Dir: dir}); err != nil {
		panic(err)
	}
	return dir
})

func TestMain(m *testing.M) {
	code := m.Run()
	_ = os.RemoveAll(labKeys())
	os.Exit(code)
}

// world is the whole of a top-up in one process, every part the real one: an
// upstream behind mutual TLS with its store and keys, Alipay's gateway as the
// lab speaks it, a journal on disk, a card with real MACs, and the terminal.
type world struct {
	t    *testing.T
	dir  string
	keys *keys.Software

	gateway   *lab.Gateway
	books     *store.Books
	server    *server.Server
	authority *pki.Authority
	addr      string // of the upstream

	profile *profile.Profile
	slot    *sim.Slot
	card    *sim.Card

	*post   // of the kiosk
	views   chan kiosk.View
	current kiosk.View // seen last
	input   chan kiosk.Input
	crash   func()                                         // ends the terminal as a power cut would
	found   func(ctx context.Context, cardNo string) error // told of lost cards; nil: nobody is

	ended func(sale journal.Entry, o journal.Outcome) // hears of sales that a card ends at the kiosk; nil: nobody does

	paper    dialog.Paper // nil: the machine has no printer
	services []service.Service
	first    func(ctx context.Context, s client.Session) dialog.Word // what comes before the account; nil: nothing
}

func newWorld(t *testing.T) *world { return newWorldAhead(t, 0) }

// newWorldAhead is a world whose terminal has a clock that is wrong.
func newWorldAhead(t *testing.T, ahead time.Duration) *world {
	t.Helper()
	w := newCampus(t)
	w.startKiosk(ahead)
	return w
}

// newCampus is a world without a terminal.
func newCampus(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), profile: profile.Default(), slot: sim.NewSlot()}
	w.slot.Timeout = 500 * time.Millisecond
	w.startGateway()
	w.startUpstream()
	w.issue()
	return w
}

// startKiosk puts up the kiosk.
func (w *world) startKiosk(ahead time.Duration) {
	w.t.Helper()
	w.post = w.newPost("K01", ahead)
	w.startTerminal()
	w.t.Cleanup(func() { w.crash() })
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) startGateway() {
	dir := filepath.Join(w.dir, "lab")
	w.ok(os.CopyFS(dir, os.DirFS(labKeys())))
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	w.ok(err)
	for _, f := range files {
		w.ok(os.Chmod(f, 0o600))
	}
	w.gateway, err = lab.New(lab.Config{Dir: dir, Scale: 1200, Log: slog.New(slog.DiscardHandler)})
	w.ok(err)
}

// pace is a thousand times that of production.
var pace = server.Pace{
	Start: 2 * time.Second, Wait: 5 * time.Millisecond, Grace: 10 * time.Millisecond,
	Retry: 5 * time.Millisecond, Watch: 10 * time.Millisecond, Late: 90 * time.Second, Call: 20 * time.Second,
}

func (w *world) startUpstream() {
	gate := httptest.NewServer(w.gateway)
	ways, err := alipay.New(alipay.Config{
		AppID: lab.AppID, PrivateKeyFile: w.gateway.Keys().AppPrivate,
		AlipayPublicKeyFile: w.gateway.Keys().AlipayPublic, Gateway: gate.URL,
	})
	w.ok(err)
	w.keys, err = keys.OpenSoftware(filepath.Join(w.dir, "keys.json"))
	w.ok(err)
	w.authority, err = pki.Open(w.dir, time.Now())
	w.ok(err)
	w.books, err = booktest.Open(w.t.Context(), filepath.Join(w.dir, "books.db"), time.Now)
	w.ok(err)
	w.server = server.New(server.Config{
		Books: w.books, Keys: w.keys, Channel: ways, Stretch: stretch, Pace: pace,
		SchoolZH: "示范大学", SchoolEN: "Demo University",
		Journals: ingest.New(w.books, w.keys, ingest.Policy{DailyLimit: 50 * yuan}),
		Feeds:    &publish.Publisher{Books: w.books, Campus: w.keys.Campus()},
		Policy: server.Policy{
			TopUpChoices: []money.Fen{10 * yuan, 20 * yuan}, TopUpMin: yuan, TopUpMax: 500 * yuan,
			BalanceCap: 1000 * yuan, PurseCeiling: 1000 * yuan, Pay: 90 * time.Second,
		},
	})
	w.server.Services = []server.Service{photo.NewServer(w.books)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	w.ok(err)
	h := &http.Server{Handler: w.server.Handler(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { h.Serve(tls.NewListener(l, w.authority.Server())) }) //nolint:errcheck // ends by Close
	running.Go(func() { w.server.Run(ctx) })                                 //nolint:errcheck // ends by cancel
	running.Go(func() { w.gateway.Run(ctx) })                                //nolint:errcheck // ends by cancel
	w.t.Cleanup(func() {
		cancel()
		h.Close()
		gate.CloseClientConnections()
		gate.Close()
		running.Wait()
		w.books.Close()
	})
	w.addr = l.Addr().String()
}

// stretch stands for Argon2id, which would take a third of the time of these
// tests and is tested where it belongs.
func stretch(peppered [32]byte, salt [16]byte) [32]byte {
	return sha256.Sum256(append(peppered[:], salt[:]...))
}

// issue opens an account and gives it a card with keys of its own.
func (w *world) issue() {
	account := store.HolderAccount("2026012345")
	hash, err := w.server.NewPIN(w.t.Context(), account, (*[6]byte)([]byte(pin)))
	w.ok(err)
	holder := store.Holder{Account: account, Name: "欧阳晓明", Number: "2026012345"}
	w.ok(w.books.AddHolder(w.t.Context(), holder, hash, opening))
	no, err := purse.ParseCardNo(cardNo)
	w.ok(err)
	state, err := sim.Issue(w.profile, sim.Masters{}, sim.Holder{
		CardNo: no, UID: [4]byte{1, 2, 3, 4}, Name: "欧阳晓明", Number: "2026012345",
		Start: 20200101, Expiry: 20991231, PIN: pin, Balance: opening,
	})
	w.ok(err)
	var factor keys.Factor
	copy(factor[:], no[2:])
	own := w.keys.CardKeys(factor)
	state.Keys = sim.Keys{
		Load: sim.Key(own.DLK), Purchase: sim.Key(own.DPK), TAC: sim.Key(own.DTK), Reload: sim.Key(own.DRPK),
	}
	w.card = sim.New(state)
	w.ok(w.books.AddCard(w.t.Context(), store.Card{
		No: cardNo, Account: account, Factor: factor, UID: "01020304", Status: store.CardActive, Mirror: opening,
	}))
}

// startTerminal starts what a power cut ends: flow, keeper and journal.
func (w *world) startTerminal() {
	w.t.Helper()
	w.open()
	w.current = kiosk.View{}
	w.views, w.input = make(chan kiosk.View, 4096), make(chan kiosk.Input, 16)
	cards, health := make(chan reader.State), make(chan kiosk.Health)
	session := &kiosk.Session{
		Desk: &kiosk.Desk{
			Device: w.slot, Upstream: w.up, Book: w.journal(), Profile: w.profile, Clock: w.clock,
			Terms: w.terms, InHand: w.hand, Log: w.log, Certificate: w.word,
			Feeds: w.feeds, Found: w.found, First: w.first, Ended: w.ended,
		},
		Clock: w.clock, Cards: cards, Inputs: w.input, Health: health, Log: w.log, Services: w.services,
		Paper: w.paper,
		Show:  func(v kiosk.View) { w.views <- v },
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { session.Run(ctx) })                        //nolint:errcheck // ends by cancel
	running.Go(func() { reader.Watch(ctx, w.slot, cards, w.log) }) //nolint:errcheck // ends by cancel
	w.run(ctx, &running, health)
	w.crash = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		w.close()
	})
}

// restart is the end of a power cut. What broke is mended.
func (w *world) restart() {
	w.t.Helper()
	w.crash()
	w.slot.Take()
	w.up.set(brokenAt{})
	w.disk.set(brokenAt{})
	w.card.Mend()
	w.startTerminal()
}

// paid is what the payer has given and not got back.
func (w *world) paid() (sum money.Fen) {
	for _, t := range w.gateway.Trades() {
		if t.Status == lab.Success {
			sum += t.Amount - t.Refunded()
		}
	}
	return sum
}

func (w *world) balance() money.Fen {
	w.t.Helper()
	v, err := w.books.View(w.t.Context(), cardNo, time.Now())
	w.ok(err)
	return v.Balance
}

func (w *world) purse() money.Fen { return money.Fen(w.card.State().Balance) }

// agree checks, once nothing is open any more, that card, journal, account and
// payer tell the same story.
func (w *world) agree() {
	w.t.Helper()
	deadline := time.Now().Add(time.Minute) // others may have the machine
	for {
		open, err := w.book.OpenItems(w.t.Context())
		w.ok(err)
		if len(open) == 0 {
			break
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the journal stays open: %+v", open)
		}
		time.Sleep(10 * time.Millisecond)
	}
	want := opening + w.paid()
	if w.balance() != want || w.purse() != want {
		w.t.Errorf("account %s, purse %s; the payer has given for %s", w.balance(), w.purse(), want)
	}
	if broken, err := w.books.Verify(w.t.Context()); err != nil || broken != nil {
		w.t.Errorf("books: %q, %v", broken, err)
	}
	if _, err := w.book.Verify(w.t.Context()); err != nil {
		w.t.Errorf("journal: %v", err)
	}
	if alarms, err := w.books.Alarms(w.t.Context()); err != nil || len(alarms) > 0 {
		w.t.Errorf("alarms: %+v, %v", alarms, err)
	}
}

// errLost is what is heard of a call whose request or answer was lost.
var errLost = errors.New("connection was lost")

// brokenAt names a point at which the world breaks once: with no effect, or
// with its effect and no answer.
type brokenAt struct {
	point string
	kept  bool
}

// take reports whether b breaks point now, and mends it.
func (b *brokenAt) take(point string) (broken, kept bool) {
	if b.point != point {
		return false, false
	}
	kept = b.kept
	*b = brokenAt{}
	return true, kept
}

// brokenDisk is where the disk of a journal fails.
type brokenDisk struct {
	mu sync.Mutex
	at brokenAt // guarded by mu
}

func (d *brokenDisk) set(at brokenAt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = at
}

func (d *brokenDisk) take(point string) (broken, kept bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.at.take(point)
}

// brokenBook is a journal whose disk fails at one point.
type brokenBook struct {
	*ledger.Book
	disk *brokenDisk
}

func (b *brokenBook) Append(ctx context.Context, e journal.Entry) (journal.Entry, error) {
	return b.AppendAt(ctx, e, journal.Epoch{}, 0)
}

func (b *brokenBook) AppendAt(ctx context.Context, e journal.Entry, epoch journal.Epoch, seq int64) (
	journal.Entry, error) {
	broken, kept := b.disk.take(e.Kind.String())
	if !broken {
		return b.Book.AppendAt(ctx, e, epoch, seq)
	}
	if kept {
		if _, err := b.Book.AppendAt(ctx, e, epoch, seq); err != nil {
			return journal.Entry{}, err
		}
	}
	return journal.Entry{}, ledger.ErrFailed
}

// describe writes down all that a view holds.
func describe(b *strings.Builder, v kiosk.View) { fmt.Fprintf(b, "%+v\n", v) }

// searchFiles fails if a file that the terminal or the upstream wrote holds one
// of the secrets.
func (w *world) searchFiles(secrets ...string) {
	w.t.Helper()
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Base(filepath.Dir(path)) == "lab" {
			return err
		}
		text, err := os.ReadFile(path)
		for _, s := range secrets {
			if bytes.Contains(text, []byte(s)) {
				w.t.Errorf("%s holds %q", filepath.Base(path), s)
			}
		}
		return err
	})
	w.ok(err)
}
