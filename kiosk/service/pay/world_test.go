package pay_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/request"
	"quancun/kiosk/service"
	"quancun/kiosk/service/electricity"
	"quancun/kiosk/service/network"
	"quancun/kiosk/service/pay"
	"quancun/lab/breaker"
	"quancun/lab/breaker/breakertest"
	labelectricity "quancun/lab/electricity"
	labsrun "quancun/lab/srun"
	"quancun/ledger"
	"quancun/money"
	"quancun/upstream/biller"
	upstream "quancun/upstream/biller/service"
	"quancun/upstream/biller/service/servicetest"
	"quancun/upstream/biller/setup"
	"quancun/upstream/client"
	"quancun/upstream/client/bill"
	"quancun/upstream/server/call"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	v1 "quancun/upstream/wire/quancun/v1"
)

const (
	yuan   = money.Yuan
	holder = store.Account("holder/2026000101")
)

var session = []byte("signed in")

// holders are whoever says that they are signed in.
type holders struct{}

func (holders) Holder(_ context.Context, token []byte) (store.Account, error) {
	if string(token) != string(session) {
		return "", call.Refuse(v1.Reason_REASON_SESSION_OVER)
	}
	return holder, nil
}

func (h holders) Spender(ctx context.Context, token []byte) (store.Account, error) {
	return h.Holder(ctx, token)
}

// world is a kiosk with a real journal, an upstream with real books, and the lab's
// vendors over TLS. Its parts can be broken, and the kiosk killed.
type world struct {
	t       *testing.T
	dir     string
	books   *store.Books
	network *labsrun.Box
	campus  *labelectricity.Campus
	biller  *biller.Desk
	client  *bill.Desk
	key     ed25519.PrivateKey

	power *power
	book  *ledger.Book
	hand  *kiosk.InHand
	asked []dialog.Question

	reserve money.Fen // that only the card may spend, as the holder's account says
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// pace is a hundredth of the real one. No vendor of these tests is silent, so a call
// has all the time that a busy machine may take for it.
var pace = biller.Pace{
	Send: time.Second, Call: 10 * time.Second, Retry: 20 * time.Millisecond, Settle: time.Second, Watch: time.Hour,
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), power: new(power)}
	var err error
	w.books, err = booktest.Open(t.Context(), filepath.Join(w.dir, "books.db"), nil)
	w.ok(err)
	t.Cleanup(func() { _ = w.books.Close() })
	_, err = w.books.AddTerminal(t.Context(), store.Terminal{ID: "K01"})
	w.ok(err)
	h := store.Holder{Account: holder, Name: "张三", Number: "2026000101"}
	w.ok(w.books.AddHolder(t.Context(), h, store.PIN{}, 200*yuan))
	w.openVendors()
	seed := sha256.Sum256([]byte("kiosk"))
	w.key = ed25519.NewKeyFromSeed(seed[:])
	w.open()
	t.Cleanup(func() { _ = w.book.Close() })
	return w
}

func (w *world) openVendors() {
	w.t.Helper()
	dir, dir2 := w.t.TempDir(), w.t.TempDir()
	var err error
	w.network, err = labsrun.New(labsrun.Config{Dir: dir})
	w.ok(err)
	w.ok(w.network.Add(labsrun.User{Name: "2026000101", RealName: "张三丰", Wallet: 5}))
	w.campus, err = labelectricity.New(labelectricity.Config{Dir: dir2, Key: "secret"})
	w.ok(err)
	w.ok(w.campus.Build())
	w.ok(os.WriteFile(filepath.Join(dir2, "secret"), []byte("secret"), 0o600))
	c := setup.Config{
		Network: setup.Network{
			Address:         breakertest.Serve(w.t, dir, w.network).URL,
			CertificateFile: filepath.Join(dir, breaker.CertificateFile),
		},
		Electricity: setup.Electricity{
			Wire: "rest", Address: breakertest.Serve(w.t, dir2, w.campus).URL,
			CertificateFile: filepath.Join(dir2, breaker.CertificateFile),
			KeyFile:         "secret",
		},
	}
	c.Resolve(dir2)
	w.ok(c.Check())
	billers, err := c.Open()
	w.ok(err)
	w.biller = biller.New(biller.Config{Books: w.books, Billers: billers.Payable, Pace: pace})
	s := upstream.New(upstream.Config{Desk: w.biller, Holders: holders{}, Books: w.books, Billers: billers.Shown})
	certificate, err := breaker.Certificate(dir)
	w.ok(err)
	w.client = bill.New(client.Dial(&client.Provisioning{CA: certificate.Leaf},
		client.Options{Address: "upstream", Transport: servicetest.Transport{Service: s, Terminal: "K01"}}))
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = w.biller.Run(ctx) })
	w.t.Cleanup(func() { stop(); running.Wait() })
}

// open starts the kiosk's journal.
func (w *world) open() {
	w.t.Helper()
	var err error
	w.book, err = ledger.Open(w.t.Context(), filepath.Join(w.dir, "journal.db"), ledger.Options{
		Terminal: "K01", Key: w.key, Campus: w.key.Public().(ed25519.PublicKey),
	})
	w.ok(err)
	w.hand = new(kiosk.InHand)
}

// restart is a kiosk that was killed and comes back.
func (w *world) restart() {
	w.t.Helper()
	w.ok(w.book.Close())
	w.open()
	*w.power = power{}
}

// power fails at a step: a write to the journal, or a call upstream, before its effect
// or after. From then on nothing works.
type power struct {
	mu    sync.Mutex
	n     int  // steps so far; guarded by mu
	at    int  // 0 for never
	after bool // the step has its effect
	once  bool // only this step fails: its answer is lost, and nothing else
}

var errOff = errors.New("power failed")

// step does a step, unless there is no power.
func step[T any](p *power, do func() (T, error)) (v T, err error) {
	p.mu.Lock()
	p.n++
	n, at, after, once := p.n, p.at, p.after, p.once
	p.mu.Unlock()
	switch {
	case at == 0 || n < at || n > at && once:
		return do()
	case n == at && after:
		_, _ = do()
	}
	return v, errOff
}

// journalOf is the kiosk's journal while there is power.
type journalOf struct{ w *world }

func (j journalOf) Append(ctx context.Context, e journal.Entry) (journal.Entry, error) {
	return step(j.w.power, func() (journal.Entry, error) { return j.w.book.Append(ctx, e) })
}

func (j journalOf) OpenItems(ctx context.Context) ([]journal.Entry, error) {
	return j.w.book.OpenItems(ctx)
}

// line is the way upstream while there is power.
type line struct {
	*bill.Desk
	p *power
}

func (l line) Pay(ctx context.Context, session []byte, o bill.Order) (bill.Bill, error) {
	return step(l.p, func() (bill.Bill, error) { return l.Desk.Pay(ctx, session, o) })
}

func (l line) Get(ctx context.Context, no string, known bill.State, wait time.Duration) (bill.Bill, error) {
	return step(l.p, func() (bill.Bill, error) { return l.Desk.Get(ctx, no, known, wait) })
}

func (l line) End(ctx context.Context, session []byte, o bill.Order) (bill.Bill, error) {
	return step(l.p, func() (bill.Bill, error) { return l.Desk.End(ctx, session, o) })
}

func (w *world) desk() *pay.Desk {
	return &pay.Desk{
		Upstream: line{w.client, w.power}, Pause: 10 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
		Requests: &request.Desk{Book: journalOf{w}, InHand: w.hand, Log: slog.New(slog.DiscardHandler)},
		Proof: func(_ context.Context, s client.Session, ref string) string {
			if string(s) != string(session) {
				return ""
			}
			return proofOf(ref)
		},
	}
}

// proofOf stands for the code of a receipt: as long as one, and of what was paid.
func proofOf(ref string) string {
	return "QCC1:" + strings.Repeat("ABCDEFGH234567", 12) + ref
}

func (w *world) networkService() service.Service { return network.Service(w.client, w.desk()) }

func (w *world) electricityService() service.Service {
	return electricity.Service(w.client, w.desk(), time.Now)
}

// script says what is answered to each question, the first answer first; the last one
// answers for good. What is not in it is left.
type script map[dialog.Word][]dialog.Answer

// answers is one answer to each question.
func answers(all map[dialog.Word]dialog.Answer) script {
	s := script{}
	for name, a := range all {
		s[name] = []dialog.Answer{a}
	}
	return s
}

// visit has a holder who is signed in use a service, and returns its reference and how
// it ended.
func (w *world) visit(s service.Service, say script) (ref string, r dialog.Report, err error) {
	w.t.Helper()
	ref = kiosk.NewRef()
	balance, err := w.books.Balance(w.t.Context(), holder)
	w.ok(err)
	held, err := store.Held(w.t.Context(), w.books.Live(), holder)
	w.ok(err)
	c := dialog.Begin(w.t.Context(), ref, func(ctx context.Context, t *dialog.Talk) (dialog.Report, error) {
		return s.Run(ctx, &service.Visit{Talk: t, Holder: service.Holder{
			Session: session, CardNo: "00002026000100012345",
			Account: client.Account{
				No: "2026000101", Balance: balance, Available: balance - held, Kept: store.Kept(balance-held, w.reserve),
			},
		}})
	})
	defer c.Stop()
	w.asked = nil
	for {
		select {
		case q := <-c.Asks():
			w.asked = append(w.asked, q)
			if q.Kind == dialog.Working {
				continue
			}
			c.Answer(w.answer(q, say))
		case e := <-c.Ended():
			return ref, e.Report, e.Err
		}
	}
}

func (w *world) answer(q dialog.Question, say script) dialog.Answer {
	all := say[q.Name]
	if len(all) == 0 {
		return dialog.Answer{Left: true}
	}
	if len(all) > 1 {
		say[q.Name] = all[1:]
	}
	if q.Kind == dialog.AskChoice && all[0].Text != "" { // chosen by its text
		i := slices.IndexFunc(q.Options, func(o dialog.Option) bool { return o.Text == all[0].Text })
		if i < 0 {
			w.t.Fatalf("%s offers %+v, and not %q", q.Name, q.Options, all[0].Text)
		}
		return dialog.Answer{Choice: i}
	}
	return all[0]
}

// keep has the keeper work until nothing is open any more.
func (w *world) keep() {
	w.t.Helper()
	k := &request.Keeper{
		Book: w.book, InHand: w.hand, Log: slog.New(slog.DiscardHandler),
		Asks: map[string]request.Ask{pay.Service: pay.Ask(w.client)},
	}
	for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
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

// moneys is what the account has, what of it is held, and what vendors have booked.
type moneys struct{ balance, held, booked money.Fen }

// want holds the money against what it should be, and every promise of the books.
func (w *world) want(m moneys) {
	w.t.Helper()
	var got moneys
	var err1, err2 error
	got.balance, err1 = w.books.Balance(w.t.Context(), holder)
	got.held, err2 = store.Held(w.t.Context(), w.books.Live(), holder)
	w.ok(errors.Join(err1, err2))
	for _, r := range w.network.Records() {
		got.booked += money.Fen(r.Fen)
	}
	for _, r := range w.campus.Recharges() {
		got.booked += money.Fen(r.Fen)
	}
	if got != m {
		w.t.Errorf("money = %+v, want %+v", got, m)
	}
	broken, err := biller.Verify(w.t.Context(), w.books)
	if err != nil || len(broken) > 0 {
		w.t.Errorf("Verify = %q, %v", broken, err)
	}
}

// end returns what the journal says of a request: 0 if it is open, -1 if it was never
// begun.
func (w *world) end(ref string) int {
	w.t.Helper()
	item, err := w.book.Get(w.t.Context(), ref)
	if errors.Is(err, ledger.ErrNotFound) {
		return -1
	}
	w.ok(err)
	return int(item.End.Outcome)
}

func fact(r dialog.Report, name dialog.Word) dialog.Fact { return factIn(r.Facts, name) }

func factIn(facts []dialog.Fact, name dialog.Word) dialog.Fact {
	i := slices.IndexFunc(facts, func(f dialog.Fact) bool { return f.Name == name })
	if i < 0 {
		return dialog.Fact{}
	}
	return facts[i]
}
