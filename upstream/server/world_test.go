package server_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"quancun/money"
	"quancun/upstream/client"
	"quancun/upstream/feed"
	"quancun/upstream/ingest"
	"quancun/upstream/keys"
	"quancun/upstream/server"
	"quancun/upstream/server/pki"
	"quancun/upstream/server/pki/pkitest"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	"quancun/upstream/store/pgtest"
	"quancun/upstream/wire"
	v1 "quancun/upstream/wire/quancun/v1"
	"quancun/upstream/wire/quancun/v1/quancunv1connect"
)

const (
	yuan       = money.Yuan
	account    = "2026000101"
	cardNo     = "00002026000100012345"
	rightPIN   = "271828"
	opening    = 100 * yuan
	mirrorFrom = 30 * yuan
)

// world is a whole upstream on the loopback interface, with real TLS, a real
// store and a payment service that can be broken, and one terminal.
type world struct {
	t    testing.TB
	dir  string
	dsn  string // of the books
	keys *keys.Software
	pki  *pki.Authority
	ch   *fakeChannel
	log  lockedBuffer
	now  func() time.Time
	pace server.Pace

	stretch func([32]byte, [16]byte) [32]byte // nil is Argon2id

	mu   sync.Mutex
	skew time.Duration // guarded by mu; added to the upstream's clock

	books    *store.Books
	broken   *brokenBooks // stands between the server and the books
	server   *server.Server
	journals *ingest.Ingest
	addr     string
	notify   http.Handler
	stop     func()

	client *client.Client
	card   *fakeCard
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// quickPace is a thousand times that of production, so that hours of watching
// take a second. Only Start and Call are long: a channel that answers in its own
// time, on a busy machine, must not find its order ended or its answer too late.
var quickPace = server.Pace{
	Start: 2 * time.Second, Wait: 3 * time.Millisecond, Grace: 10 * time.Millisecond,
	Retry: 2 * time.Millisecond, Watch: 5 * time.Millisecond, Late: 90 * time.Second, Call: 20 * time.Second,
}

// onPostgres keeps the books of every test in PostgreSQL, and not in a file.
var onPostgres = flag.Bool("postgres", false, "keep the books in PostgreSQL")

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOn(t, books(t))
}

// books is where a world's books are kept: "" is its folder.
func books(t testing.TB) string {
	if *onPostgres {
		return pgtest.New(t).DSN
	}
	return ""
}

// newWorldOn keeps the books where dsn says, or in the world's folder.
func newWorldOn(t testing.TB, dsn string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), dsn: dsn, ch: newChannel(), pace: quickPace, stretch: quickStretch}
	w.found()
	return w
}

// newSlowWorld is one whose PINs are kept as in production.
func newSlowWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), dsn: books(t), ch: newChannel(), pace: quickPace}
	w.found()
	return w
}

// quickStretch stands for Argon2id, which would take longer than all the rest.
func quickStretch(peppered [32]byte, salt [16]byte) [32]byte {
	return sha256.Sum256(append(peppered[:], salt[:]...))
}

// found begins a world.
func (w *world) found() {
	t := w.t
	t.Helper()
	if w.dsn == "" {
		w.dsn = filepath.Join(w.dir, "books.db")
	}
	w.now = func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		return time.Now().Add(w.skew)
	}
	var err error
	if w.keys, err = keys.OpenSoftware(filepath.Join(w.dir, "keys.json")); err != nil {
		t.Fatal(err)
	}
	if w.pki, err = pki.Open(w.dir, time.Now()); err != nil {
		t.Fatal(err)
	}
	w.start(true)
	t.Cleanup(func() { w.stop() })
	w.seed()
	w.client = w.newTerminal("K01")
}

// start starts the upstream on what is in its folder. The engine may be left
// out, for tests that need orders to stand still.
func (w *world) start(engine bool) {
	w.t.Helper()
	var err error
	if w.books, err = booktest.Open(w.t.Context(), w.dsn, w.now); err != nil {
		w.t.Fatal(err)
	}
	w.broken = &brokenBooks{Books: w.books}
	w.journals = ingest.New(w.books, w.keys, ingest.Policy{CardReserve: 30 * yuan, DailyLimit: 50 * yuan})
	w.server = w.newServer()
	w.notify = w.server.NotifyHandler()
	l := pkitest.Listen(w.t, w.addr)
	w.addr = l.Addr().String()
	h := &http.Server{Handler: w.server.Handler(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { h.Serve(tls.NewListener(l, w.pki.Server())) }) //nolint:errcheck // it ends by Close
	if engine {
		running.Go(func() { w.server.Run(ctx) }) //nolint:errcheck // it ends by cancel
	}
	w.stop = sync.OnceFunc(func() {
		cancel()
		h.Close()
		running.Wait()
		if err := w.books.Close(); err != nil {
			w.t.Error(err)
		}
	})
}

// newServer returns an upstream on the world's books.
func (w *world) newServer() *server.Server {
	return server.New(server.Config{
		Journals: w.journals, Feeds: &feed.Publisher{Books: w.books, Campus: w.keys.Campus()},
		Books: w.broken, Keys: w.keys, Channel: w.ch, Pace: w.pace, Now: w.now, Stretch: w.stretch,
		Log:      slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		SchoolZH: "示范大学", SchoolEN: "Demo University",
		Policy: server.Policy{
			TopUpChoices: []money.Fen{20 * yuan, 50 * yuan}, TopUpMin: yuan, TopUpMax: 500 * yuan,
			BalanceCap: 1000 * yuan, PurseCeiling: 800 * yuan, Pay: 90 * time.Second,
		},
	})
}

// brokenBooks are books whose disk fails on command: the next write of a name
// has no effect or, when kept, has it and reports an error all the same. From
// then on every write fails, as for a process that is about to die.
type brokenBooks struct {
	*store.Books
	mu   sync.Mutex
	name string // "" while whole; guarded by mu
	kept bool
	dead bool
}

var errDisk = errors.New("disk failed")

func (b *brokenBooks) breakNext(name string, kept bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.name, b.kept = name, kept
}

// fails reports whether a write is to fail, and whether it is to have its
// effect before.
func (b *brokenBooks) fails(name string) (fails, kept bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dead {
		return true, false
	}
	b.dead = b.name == name
	return b.dead, b.kept
}

func (b *brokenBooks) CreateOrder(ctx context.Context, o store.Order, limit money.Fen) (store.Order, error) {
	fails, kept := b.fails("create")
	if fails && !kept {
		return store.Order{}, errDisk
	}
	o, err := b.Books.CreateOrder(ctx, o, limit)
	if fails {
		err = errDisk
	}
	return o, err
}

var stateNames = map[store.OrderState]string{
	store.OrderWaiting: "waiting", store.OrderChecking: "checking", store.OrderPaid: "paid",
	store.OrderClosed: "closed", store.OrderReturned: "returned",
}

func (b *brokenBooks) Advance(ctx context.Context, no string, s store.OrderStep) (store.Order, error) {
	fails, kept := b.fails(stateNames[s.To])
	if fails && !kept {
		return store.Order{}, errDisk
	}
	o, err := b.Books.Advance(ctx, no, s)
	if fails {
		err = errDisk
	}
	return o, err
}

// restart is a crash of the upstream, as far as anybody else can tell: what is
// not in the store is gone.
func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.start(true)
	for range 50 { // a connection of before the crash costs a terminal an unknown outcome
		if _, err := w.client.LookUpCard(w.t.Context(), cardNo); err == nil {
			return
		}
	}
	w.t.Fatal("the upstream does not come back")
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.skew += d
}

func (w *world) seed() {
	w.t.Helper()
	factor := keys.Factor{0x20, 0x26, 0, 1, 0, 1, 0x23, 0x45}
	w.addHolder(account, "张伟三", rightPIN, opening)
	err := w.books.AddCard(w.t.Context(), store.Card{
		No: cardNo, Account: store.HolderAccount(account), Factor: factor, UID: "01020304",
		Status: store.CardActive, Mirror: mirrorFrom,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.card = &fakeCard{no: cardNo, factor: factor, keys: w.keys.CardKeys(factor), purse: mirrorFrom, counter: 7}
}

func (w *world) addHolder(no, name, pin string, balance money.Fen) {
	w.t.Helper()
	a := store.HolderAccount(no)
	p, err := w.server.NewPIN(w.t.Context(), a, (*[wire.PINLen]byte)([]byte(pin)))
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.books.AddHolder(w.t.Context(), store.Holder{Account: a, Name: name, Number: no}, p, balance); err != nil {
		w.t.Fatal(err)
	}
}

// provision makes a terminal known, and returns what makes a machine it.
func (w *world) provision(id string) *client.Provisioning {
	w.t.Helper()
	cert, key, fingerprint := pkitest.Terminal(w.t, w.pki, id)
	no, err := w.books.AddTerminal(w.t.Context(), store.Terminal{ID: id, Fingerprint: fingerprint})
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := client.File{
		Terminal: id, TerminalNo: no.String(), Address: w.addr,
		CA: string(w.pki.CA()), Certificate: string(cert), Key: string(key),
	}.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	p, err := client.ParseProvisioning(text)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.card.terminal == [6]byte{} {
		w.card.terminal = no
	}
	return p
}

func (w *world) newTerminal(id string) *client.Client {
	w.t.Helper()
	c := client.Dial(w.provision(id), client.Options{})
	w.t.Cleanup(c.Close)
	return c
}

// signIn signs in with a PIN, from the look-up on.
func (w *world) signIn(pin string) (client.Session, client.Account, error) {
	card, err := w.client.LookUpCard(w.t.Context(), cardNo)
	if err != nil {
		return nil, client.Account{}, err
	}
	return w.client.SignIn(w.t.Context(), cardNo, card.Challenge, (*[wire.PINLen]byte)([]byte(pin)))
}

func (w *world) session() client.Session {
	w.t.Helper()
	s, _, err := w.signIn(rightPIN)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// patience is how long a test waits for what has to come: others may have the
// machine.
const patience = time.Minute

// await waits for an order to come to a state.
func (w *world) await(no string, want client.TopUpState) client.TopUp {
	w.t.Helper()
	var known client.TopUpState
	for end := time.Now().Add(patience); time.Now().Before(end); {
		o, err := w.client.GetTopUp(w.t.Context(), no, known, 5*time.Second)
		if err != nil {
			w.t.Fatal(err)
		}
		if o.State == want {
			return o
		}
		known = o.State
	}
	w.t.Fatalf("order %s stays in state %d, want %d\n%s", no, known, want, w.log.String())
	return client.TopUp{}
}

// check holds the books against their invariants, and the holder's balance
// against want.
func (w *world) check(want money.Fen) {
	w.t.Helper()
	broken, err := w.books.Verify(w.t.Context())
	if err != nil || broken != nil {
		w.t.Errorf("books: %q, %v; want them whole", broken, err)
	}
	v, err := w.books.View(w.t.Context(), cardNo, w.now())
	if err != nil || v.Balance != want {
		w.t.Errorf("balance %s, %v; want %s", v.Balance, err, want)
	}
}

// alarms returns the kinds of all alarms.
func (w *world) alarms() (kinds []store.AlarmKind) {
	w.t.Helper()
	all, err := w.books.Alarms(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, a := range all {
		kinds = append(kinds, a.Kind)
	}
	return kinds
}

// reason returns why a call was refused, or 0.
func reason(err error) client.Reason {
	var no *client.Refusal
	if errors.As(err, &no) {
		return no.Reason
	}
	return 0
}

func wantReason(t testing.TB, what string, err error, want client.Reason) {
	t.Helper()
	if reason(err) != want {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// authorize is the card's offer, and the upstream's answer to it.
func (w *world) authorize(id string, amount money.Fen) (client.LoadRequest, client.Authorization, error) {
	q := w.request(id, amount)
	a, err := w.client.AuthorizeLoad(w.t.Context(), q)
	return q, a, err
}

func (w *world) request(id string, amount money.Fen) client.LoadRequest {
	random, mac1 := w.card.offer(amount)
	return client.LoadRequest{
		LoadID: id, CardNo: w.card.no, Amount: amount, Factor: w.card.factor,
		Offer: client.LoadOffer{
			Balance: w.card.load.Balance, Counter: w.card.load.Counter, KeyVersion: 1, Random: random, MAC1: mac1,
		},
	}
}

func id(n int) string { return fmt.Sprintf("%032x", n) }

// history asks as terminals of before do.
func (w *world) history(s client.Session, size int32) (*v1.ListHistoryResponse, error) {
	way := w.client.Way()
	rpc := quancunv1connect.NewTerminalServiceClient(way.HTTP, way.URL, way.Options...)
	r, err := rpc.ListHistory(w.t.Context(), connect.NewRequest(&v1.ListHistoryRequest{Session: s, PageSize: size}))
	if err != nil {
		return nil, client.Explain("history", err)
	}
	return r.Msg, nil
}
