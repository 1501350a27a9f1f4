package bath_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"quancun/bathcode"
	"quancun/beijing"
	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/request"
	"quancun/kiosk/service"
	"quancun/kiosk/service/bath"
	lab "quancun/lab/bath"
	"quancun/lab/breaker"
	"quancun/ledger"
	"quancun/money"
	upstream "quancun/upstream/bath"
	"quancun/upstream/biller/service/servicetest"
	"quancun/upstream/client"
	way "quancun/upstream/client/bath"
	"quancun/upstream/server/call"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	v1 "quancun/upstream/wire/quancun/v1"
	"quancun/water"
)

const (
	yuan   = money.Yuan
	holder = store.Account("holder/2026000101")
	rival  = store.Account("holder/2026000102")
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

// world is a kiosk with a real journal, and an upstream with real books and two baths,
// at noon. The way between them can be broken, and the kiosk killed.
type world struct {
	t      *testing.T
	dir    string
	clock  time.Time
	books  *store.Books
	desk   *upstream.Desk
	client *way.Desk
	key    ed25519.PrivateKey
	book   *ledger.Book
	hand   *kiosk.InHand
	asked  []dialog.Question
	faults []fault // of the next calls that change something
	arrive func()  // has the slow one come

	lost bool // the controllers' clocks are

	hear      func(dialog.Question) // before it is answered
	meanwhile func()                // before what is being checked is waited for
	next      script                // what is answered from then on
}

// fault is what becomes of a call: it is lost on its way, or its answer is.
type fault int

const (
	none   fault = 0
	lost   fault = 1
	silent fault = 2
	door   fault = 3 // the session is over
	slow   fault = 4 // it is long on its way: see [world.arrive]
)

var errLost = errors.New("connection cut")

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), clock: time.Date(2026, 11, 26, 12, 0, 0, 0, beijing.Zone)}
	var err error
	w.books, err = booktest.Open(t.Context(), filepath.Join(w.dir, "books.db"), func() time.Time { return w.clock })
	w.ok(err)
	t.Cleanup(func() {
		broken, err := upstream.Verify(context.Background(), w.books)
		if err != nil || len(broken) > 0 {
			t.Errorf("Verify = %q, %v", broken, err)
		}
		_ = w.books.Close()
	})
	_, err = w.books.AddTerminal(t.Context(), store.Terminal{ID: "K01"})
	w.ok(err)
	for _, a := range []store.Account{holder, rival} {
		w.ok(w.books.AddHolder(t.Context(), store.Holder{Account: a, Name: "张三", Number: a.No()}, store.PIN{}, 20*yuan))
	}
	w.desk = upstream.New(upstream.Config{Books: w.books, Master: bathcode.Master{7}})
	for _, h := range []upstream.Hall{
		{No: 1, Name: "龙山浴室", Merchant: "bath-1"}, {No: 2, Name: "菱湖浴室", Merchant: "bath-2", Whole: true},
	} {
		h.Cap, h.Cancel, h.Tariff = 5*yuan, 10, water.Tariff{PerLitre: 4, PulsesPerLitre: 100}
		w.ok(w.desk.AddHall(t.Context(), h))
		w.ok(w.desk.SetStall(t.Context(), h.No, upstream.Stall{No: 1}))
		_, err := w.desk.AddSlots(t.Context(), h.No, water.Time{From: 17 * 60, To: 18 * 60}, 30)
		w.ok(err)
	}
	dir := t.TempDir()
	certificate, err := breaker.Certificate(dir)
	w.ok(err)
	w.client = way.New(client.Dial(&client.Provisioning{CA: certificate.Leaf},
		client.Options{Address: "upstream", Transport: servicetest.Transport{
			Service: upstream.NewServer(w.desk, holders{}), Terminal: "K01",
		}}))
	seed := sha256.Sum256([]byte("kiosk"))
	w.key = ed25519.NewKeyFromSeed(seed[:])
	w.open()
	t.Cleanup(func() { _ = w.book.Close() })
	return w
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

// line is the way upstream, with its faults.
type line struct {
	*way.Desk
	w *world
}

// through makes a call that changes something.
func through[T any](w *world, do func() (T, error)) (v T, err error) {
	f := none
	if len(w.faults) > 0 {
		f, w.faults = w.faults[0], w.faults[1:]
	}
	switch f {
	case lost:
		return v, errLost
	case slow:
		w.arrive = func() { _, _ = do() }
		return v, errLost
	case door:
		return v, &client.Refusal{Reason: client.SessionOver}
	}
	got, err := do()
	if f == silent {
		return v, errLost
	}
	return got, err
}

func (l line) Reserve(ctx context.Context, s client.Session, q way.Request) (way.Reservation, error) {
	ctx = context.WithoutCancel(ctx) // it arrives, whoever waits for it
	return through(l.w, func() (way.Reservation, error) { return l.Desk.Reserve(ctx, s, q) })
}

func (l line) Cancel(ctx context.Context, s client.Session, a way.Act) (way.Reservation, error) {
	return through(l.w, func() (way.Reservation, error) { return l.Desk.Cancel(ctx, s, a) })
}

func (l line) Close(ctx context.Context, s client.Session, a way.Act, stub string) (way.Reservation, error) {
	return through(l.w, func() (way.Reservation, error) { return l.Desk.Close(ctx, s, a, stub) })
}

func (w *world) service() *bath.Desk {
	log := slog.New(slog.DiscardHandler)
	return &bath.Desk{
		Upstream: line{w.client, w}, Pause: time.Millisecond, Log: log, Now: func() time.Time { return w.clock },
		Requests: &request.Desk{Book: w.book, InHand: w.hand, Log: log},
	}
}

// script says what is answered to each question: an option is chosen by its word, or
// by how its text begins. What is not in it is left.
type script map[dialog.Word]string

// visit has the holder who is signed in use the service, and returns how it ended.
func (w *world) visit(say script) (ref string, r dialog.Report, err error) {
	w.t.Helper()
	balance, err := w.books.Balance(w.t.Context(), holder)
	w.ok(err)
	held, err := store.Held(w.t.Context(), w.books.Live(), holder)
	w.ok(err)
	ref = kiosk.NewRef()
	c := dialog.Begin(w.t.Context(), ref, func(ctx context.Context, t *dialog.Talk) (dialog.Report, error) {
		return w.service().Service().Run(ctx, &service.Visit{Talk: t, Holder: service.Holder{
			Session: session, CardNo: "00002026000100012345",
			Account: client.Account{No: holder.No(), Balance: balance, Available: balance - held},
		}})
	})
	defer c.Stop()
	w.asked = nil
	for {
		select {
		case q := <-c.Asks():
			w.asked = append(w.asked, q)
			if q.Kind != dialog.Working {
				c.Answer(w.answer(q, say))
			}
		case e := <-c.Ended():
			return ref, e.Report, e.Err
		}
	}
}

func (w *world) answer(q dialog.Question, say script) dialog.Answer {
	w.t.Helper()
	if w.hear != nil {
		w.hear(q)
	}
	text, ok := say[q.Name]
	if !ok {
		text, ok = w.next[q.Name]
	}
	if !ok {
		return dialog.Answer{Left: true}
	}
	delete(say, q.Name) // once
	if q.Kind != dialog.AskChoice {
		return dialog.Answer{Text: text}
	}
	i := slices.IndexFunc(q.Options, func(o dialog.Option) bool {
		label := spelt(o.When) + o.Text
		return string(o.Word) == text || label != "" && strings.HasPrefix(label, text)
	})
	if i < 0 || q.Options[i].Note != "" {
		w.t.Fatalf("%s offers %+v, and not %q", q.Name, q.Options, text)
	}
	return dialog.Answer{Choice: i}
}

// spelt is a part of a day as scripts name it; "" for none.
func spelt(f dialog.Fact) string {
	if f.At.IsZero() {
		return ""
	}
	return f.At.Format("2006-01-02 15:04") + f.Till.Format("-15:04 ")
}

// reserving answers all that a reservation asks for.
func reserving(hall, slot string) script {
	return script{
		"bath.what": "bath.reserve", "bath.hall": hall, "bath.day": "bath.today", "bath.slot": slot, "bath.sure": "",
	}
}

// owning chooses what is to be done about the only reservation; "" for nothing.
func owning(deed dialog.Word) script {
	s := script{"bath.what": "bath.mine", "bath.which": "2026", "bath.deed": string(deed), "bath.cancel.sure": ""}
	if deed == "" {
		delete(s, "bath.deed")
	}
	return s
}

// keep has the keeper of requests look once.
func (w *world) keep() {
	w.t.Helper()
	k := &request.Keeper{
		Book: w.book, InHand: w.hand, Log: slog.New(slog.DiscardHandler), Asks: map[string]request.Ask{},
	}
	for _, name := range bath.Services {
		k.Asks[name] = w.service().Ask
	}
	k.Round(w.t.Context())
}

// end returns what the journal says of a request: 0 if it is open.
func (w *world) end(ref string) journal.Outcome {
	w.t.Helper()
	item, err := w.book.Get(w.t.Context(), ref)
	w.ok(err)
	return item.End.Outcome
}

// money checks what the holder has, and how much of it is held.
func (w *world) money(balance, held money.Fen) {
	w.t.Helper()
	b, err1 := w.books.Balance(w.t.Context(), holder)
	h, err2 := store.Held(w.t.Context(), w.books.Live(), holder)
	if err := errors.Join(err1, err2); err != nil || b != balance || h != held {
		w.t.Errorf("the holder has %s, %s of it held, %v; want %s, %s", b, h, err, balance, held)
	}
}

func fact(facts []dialog.Fact, name dialog.Word) dialog.Fact {
	i := slices.IndexFunc(facts, func(f dialog.Fact) bool { return f.Name == name })
	if i < 0 {
		return dialog.Fact{}
	}
	return facts[i]
}

// last returns the question of that name that was asked last.
func (w *world) last(name dialog.Word) (q dialog.Question) {
	for _, a := range w.asked {
		if a.Name == name {
			q = a
		}
	}
	return q
}

// box is the controller of a stall of hall 1, or of the whole of hall 2, with no
// network.
type box struct {
	w *world
	*lab.Controller
}

// memory is its disk.
type memory struct{ text []byte }

func (m *memory) Load() ([]byte, error) { return bytes.Clone(m.text), nil }

func (m *memory) Append(b []byte) error {
	m.text = append(m.text, b...)
	return nil
}

func (m *memory) Truncate(n int) error {
	m.text = m.text[:n]
	return nil
}

func (w *world) controller(stall uint16) *box {
	w.t.Helper()
	s, err := w.desk.Setup(w.t.Context(), 2-stall, stall)
	w.ok(err)
	c, err := lab.New(s, &memory{}, func() (time.Time, bool) { return w.clock, !w.lost })
	w.ok(err)
	return &box{w, c}
}

func (b *box) press(keys string) lab.View {
	b.w.t.Helper()
	for _, key := range []byte(keys) {
		b.w.ok(b.Press(1, key))
	}
	v, err := b.View(1)
	b.w.ok(err)
	return v
}

// open types a code.
func (b *box) open(code string) lab.Step { return b.press("#" + code).Step }

// shower lets so many pulses run, ends it, and returns the stub that the panel shows.
func (b *box) shower(pulses int64) (stub string) {
	b.w.t.Helper()
	_, err := b.Flow(1, pulses)
	b.w.ok(err)
	return string(b.press("*").Stub)
}
