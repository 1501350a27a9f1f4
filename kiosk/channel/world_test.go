package channel_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/channel"
	"quancun/kiosk/tender"
	lab "quancun/lab/alipay"
	"quancun/ledger"
	"quancun/ledger/push"
	"quancun/money"
	"quancun/upstream/alipay"
	"quancun/upstream/client"
	"quancun/upstream/feed"
	"quancun/upstream/ingest"
	"quancun/upstream/keys"
	"quancun/upstream/payment"
	"quancun/upstream/server"
	"quancun/upstream/server/pki"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
)

const yuan = money.Yuan

// world is a till with a real journal, a real upstream over real TLS, and the
// lab's gateway. Its parts can be broken, and killed.
type world struct {
	t       *testing.T
	dir     string
	books   *store.Books
	keys    *keys.Software
	in      *ingest.Ingest
	gateway *lab.Gateway
	client  *client.Client
	key     ed25519.PrivateKey

	authority *pki.Authority
	addr      string // of the upstream

	up   *line
	book *disk
	hand *kiosk.InHand
}

// line is the way upstream. The call of a number is lost, before it arrives or on
// its way back.
type line struct {
	channel.Upstream
	mu    sync.Mutex
	n     int // calls so far; guarded by mu
	lost  int // number of the call that is lost; 0 for none
	kept  bool
	slow  time.Duration // before each call
	down  bool
	back  int // number of the call at which what is down is back; 0 for none
	calls []string
}

var errCut = errors.New("connection cut")

// over makes a call, unless it is lost.
func over[T any](l *line, name string, do func() (T, error)) (T, error) {
	l.mu.Lock()
	l.n++
	l.calls = append(l.calls, name)
	l.down = l.down && l.n != l.back
	lost, kept, slow, down := l.n == l.lost, l.kept, l.slow, l.down
	l.mu.Unlock()
	time.Sleep(slow)
	var none T
	if down || lost && !kept {
		return none, errCut
	}
	v, err := do()
	if lost {
		return none, errCut
	}
	return v, err
}

func (l *line) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

func (l *line) PayByCode(ctx context.Context, q client.CodeRequest) (client.CodePayment, error) {
	return over(l, "pay", func() (client.CodePayment, error) { return l.Upstream.PayByCode(ctx, q) })
}

func (l *line) GetCodePayment(ctx context.Context, no string, known client.CodePaymentState, wait time.Duration,
) (client.CodePayment, error) {
	return over(l, "get", func() (client.CodePayment, error) { return l.Upstream.GetCodePayment(ctx, no, known, wait) })
}

func (l *line) CancelCodePayment(ctx context.Context, q client.CodeRequest) (client.CodePayment, error) {
	return over(l, "cancel", func() (client.CodePayment, error) { return l.Upstream.CancelCodePayment(ctx, q) })
}

func (l *line) RefundCodePayment(ctx context.Context, no, refund string, amount money.Fen) (client.RefundState, error) {
	return over(l, "refund", func() (client.RefundState, error) {
		return l.Upstream.RefundCodePayment(ctx, no, refund, amount)
	})
}

// disk is a journal whose n-th write fails, with its effect or without; from then
// on every write fails, as in a process that is about to die.
type disk struct {
	*ledger.Book
	mu   sync.Mutex
	n    int // writes so far; guarded by mu
	bad  int // number of the write that fails; 0 for none
	kept bool

	copied int    // number of the write after which the journal is copied
	to     string // there; "" for no copy
}

var errDisk = errors.New("disk failed")

func (d *disk) Append(ctx context.Context, e journal.Entry) (journal.Entry, error) {
	d.mu.Lock()
	d.n++
	fails, kept := d.bad > 0 && d.n >= d.bad, d.kept && d.n == d.bad
	copies := d.to != "" && d.n == d.copied
	d.mu.Unlock()
	if !fails {
		written, err := d.Book.Append(ctx, e)
		if copies {
			err = errors.Join(err, d.Book.Backup(ctx, d.to))
		}
		return written, err
	}
	if kept {
		if _, err := d.Book.Append(ctx, e); err != nil {
			return journal.Entry{}, err
		}
	}
	return journal.Entry{}, errDisk
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	seed := sha256.Sum256([]byte("till"))
	w.key = ed25519.NewKeyFromSeed(seed[:])
	var err error
	w.books, err = booktest.Open(t.Context(), filepath.Join(w.dir, "books.db"), nil)
	w.ok(err)
	t.Cleanup(func() { w.ok(w.books.Close()) })
	w.keys, err = keys.OpenSoftware(filepath.Join(w.dir, "keys.json"))
	w.ok(err)
	authority, err := pki.Open(w.dir, time.Now())
	w.ok(err)
	w.serve(authority)
	w.open()
	t.Cleanup(func() { w.ok(w.book.Close()) })
	return w
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// pace is a thirtieth of the real one.
var pace = payment.Pace{
	Pay: 1500 * time.Millisecond, Wait: 100 * time.Millisecond, Retry: 50 * time.Millisecond, Watch: time.Second,
	Call: 2 * time.Second,
}

// serve starts the gateway, and the upstream as campusd has it.
func (w *world) serve(authority *pki.Authority) {
	w.t.Helper()
	log := slog.New(slog.DiscardHandler)
	var err error
	w.gateway, err = lab.New(lab.Config{Dir: filepath.Join(w.dir, "alipay"), Log: log})
	w.ok(err)
	gate := httptest.NewServer(w.gateway)
	w.t.Cleanup(gate.Close)
	ch, err := alipay.New(alipay.Config{
		AppID: lab.AppID, PrivateKeyFile: w.gateway.Keys().AppPrivate,
		AlipayPublicKeyFile: w.gateway.Keys().AlipayPublic, Gateway: gate.URL,
	})
	w.ok(err)
	desk := payment.New(payment.Config{Books: w.books, Channel: ch, Pace: pace})
	w.in = ingest.New(w.books, w.keys, ingest.Policy{})
	s := server.New(server.Config{
		Books: w.books, Keys: w.keys, Channel: ch, Journals: w.in, Services: []server.Service{desk}, Notices: desk,
		Feeds: &feed.Publisher{Books: w.books, Campus: w.keys.Campus()},
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	w.ok(err)
	h := &http.Server{Handler: s.Handler(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = h.Serve(tls.NewListener(l, authority.Server())) })
	running.Go(func() { _ = desk.Run(ctx) })
	w.t.Cleanup(func() { stop(); _ = h.Close(); running.Wait() })
	w.client = client.Dial(w.enrol(authority, l.Addr().String()), client.Options{})
	w.t.Cleanup(w.client.Close)
	w.up = &line{Upstream: w.client}
}

// enrol is an enrolment without its conversation.
func (w *world) enrol(authority *pki.Authority, addr string) *client.Provisioning {
	w.t.Helper()
	w.authority, w.addr = authority, addr
	return w.member("code", false)
}

// enrolAgain makes the till a terminal again that was shut out: the same machine, with
// the same journal.
func (w *world) enrolAgain() {
	w.t.Helper()
	w.client.Adopt(w.member("another code", true))
}

func (w *world) member(secret string, known bool) *client.Provisioning {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.ok(err)
	public := w.key.Public().(ed25519.PublicKey)
	code := sha256.Sum256([]byte(secret))
	no, err := w.books.Invite(w.t.Context(), store.Invitation{
		Terminal: "T01", CodeHash: code, Expires: time.Now().Add(time.Hour), Known: known,
	})
	w.ok(err)
	cert, err := w.authority.Certify("T01", &key.PublicKey)
	w.ok(err)
	_, raw, err := w.books.Enrol(w.t.Context(), code, store.Membership{
		Terminal: "T01", Certificate: cert, JournalKey: public,
	})
	w.ok(err)
	word, err := journal.Certify("T01", public, time.Now(), w.keys.Campus())
	w.ok(err)
	text, err := client.File{
		Terminal: "T01", TerminalNo: no.String(), Address: w.addr, CA: string(w.authority.CA()),
		Certificate:        string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})),
		CampusKey:          hex.EncodeToString(w.keys.Campus().Public().(ed25519.PublicKey)),
		JournalCertificate: hex.EncodeToString(word.Bytes()),
	}.Encode()
	w.ok(err)
	who, err := client.ParseProvisioning(text)
	w.ok(err)
	w.ok(who.Use(key))
	return who
}

func (w *world) open() {
	w.t.Helper()
	b, err := ledger.Open(w.t.Context(), filepath.Join(w.dir, "journal.db"), ledger.Options{
		Terminal: "T01", Key: w.key, Campus: w.keys.Campus().Public().(ed25519.PublicKey),
	})
	w.ok(err)
	w.book, w.hand = &disk{Book: b}, new(kiosk.InHand)
}

// restart is a till that died, wherever it was.
func (w *world) restart() {
	w.t.Helper()
	w.ok(w.book.Close())
	w.open()
	w.up.set(func() { w.up.lost, w.up.slow, w.up.down = 0, 0, false })
}

// restore puts a copy in the journal's place, as it was at some time before.
func (w *world) restore(from string) {
	w.t.Helper()
	w.ok(w.book.Close())
	path := filepath.Join(w.dir, "journal.db")
	for _, ending := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + ending); err != nil && !errors.Is(err, os.ErrNotExist) {
			w.t.Fatal(err)
		}
	}
	w.ok(ledger.Restore(w.t.Context(), from, path, ledger.Options{Terminal: "T01"}))
	w.open()
}

func (w *world) seller() *channel.Seller {
	return &channel.Seller{
		Book: w.book, Upstream: w.up, InHand: w.hand, Log: slog.New(slog.DiscardHandler),
		Patience: channel.Patience{Pay: 10 * time.Second, Cancel: 10 * time.Second, Retry: 20 * time.Millisecond},
	}
}

func (w *world) keeper() *channel.Keeper {
	return &channel.Keeper{
		Book: w.book, Upstream: w.up, InHand: w.hand, Every: 20 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	}
}

// keep has the keeper work until nothing is open any more.
func (w *world) keep() {
	w.t.Helper()
	k := w.keeper()
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		k.Round(w.t.Context())
		open, err := w.book.OpenItems(w.t.Context())
		w.ok(err)
		if len(open) == 0 {
			return
		}
		if time.Since(begin) > 30*time.Second {
			w.t.Fatalf("still open after 30 s: %+v", open)
		}
	}
}

func (w *world) sale(amount money.Fen) tender.Sale {
	return tender.Sale{
		Ref: kiosk.NewRef(), Merchant: "canteen", Operator: "c1", Amount: amount,
		Items: []tender.Item{{Name: "lunch", Count: 1, Price: amount}},
	}
}

func (w *world) code() string {
	w.t.Helper()
	code, err := w.gateway.Code()
	w.ok(err)
	return code
}

func (w *world) arm(f lab.Fault) {
	w.t.Helper()
	_, err := w.gateway.Arm(f)
	w.ok(err)
}

// kept is what the channel has of payers' money.
func (w *world) kept() (f money.Fen) {
	for _, t := range w.gateway.Trades() {
		if !t.PaidAt.IsZero() {
			f += t.Amount - t.Refunded()
		}
	}
	return f
}

// push has the upstream take the journal as far as it goes now.
func (w *world) push() {
	w.t.Helper()
	p := push.New(push.Options{
		Book: w.book.Book, Upstream: w.client, Campus: w.keys.Campus().Public().(ed25519.PublicKey),
		Log: slog.New(slog.DiscardHandler),
	})
	ctx, stop := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer stop()
	var pushing sync.WaitGroup
	pushing.Go(func() { _ = p.Run(ctx) })
	for ctx.Err() == nil {
		head, err := w.book.Head(ctx) // which a new epoch changes
		w.ok(err)
		if acked, err := w.book.Acked(ctx); err == nil && acked == head {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	pushing.Wait()
}

// agree pushes the journal, and holds it, the books and the channel against each
// other, with nothing for the operator to look at.
func (w *world) agree(want money.Fen) {
	w.t.Helper()
	w.push()
	w.compare(want, want)
	open, err := w.books.Exceptions(w.t.Context())
	if err != nil || len(open) > 0 {
		w.t.Errorf("inbox %+v, %v; want it empty", open, err)
	}
}

// compare holds what the till says it has sold against what it should say, and
// the books and the channel against what was sold.
func (w *world) compare(own, want money.Fen) {
	w.t.Helper()
	here, err := w.book.Balance(w.t.Context(), journal.MerchantAccount("canteen"))
	w.ok(err)
	there, err := w.books.Balance(w.t.Context(), "merchant/canteen")
	if err != nil && !errors.Is(err, store.ErrNone) {
		w.t.Fatal(err)
	}
	if here != own || there != want || w.kept() != want {
		w.t.Errorf("the till has sold %s, want %s; the books have %s and the channel %s, want %s",
			here, own, there, w.kept(), want)
	}
	for _, verify := range []func(context.Context) ([]string, error){
		w.books.Verify, w.in.Verify,
		func(ctx context.Context) ([]string, error) { return payment.Verify(ctx, w.books) },
	} {
		if broken, err := verify(w.t.Context()); err != nil || len(broken) > 0 {
			w.t.Errorf("Verify = %q, %v", broken, err)
		}
	}
}
