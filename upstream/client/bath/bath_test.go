package bath_test

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"quancun/bathcode"
	"quancun/money"
	upstream "quancun/upstream/bath"
	"quancun/upstream/client"
	"quancun/upstream/client/bath"
	"quancun/upstream/keys"
	"quancun/upstream/server"
	"quancun/upstream/server/pki"
	"quancun/upstream/server/pki/pkitest"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	"quancun/upstream/wire"
	"quancun/water"
)

const (
	cardNo = "00002026000100012345"
	pin    = "271828"
	yuan   = money.Yuan
)

var (
	account = store.HolderAccount("2026000101")
	master  = bathcode.Master{4, 2}
	zone    = time.FixedZone("CST", 8*60*60)
	tariff  = water.Tariff{PerLitre: 4, PulsesPerLitre: 100}
)

// world is an upstream with a bath, on the loopback interface: real TLS, real books,
// real keys. Its clock stands.
type world struct {
	t      *testing.T
	books  *store.Books
	clock  time.Time
	line   *line
	desk   *bath.Desk
	client *client.Client
}

// line is what calls go over. It loses answers on command.
type line struct {
	http.RoundTripper
	mu   sync.Mutex
	lose bool // the next answer, once; guarded by mu
}

func (l *line) RoundTrip(q *http.Request) (*http.Response, error) {
	r, err := l.RoundTripper.RoundTrip(q)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lose && err == nil {
		l.lose = false
		_, _ = io.Copy(io.Discard, r.Body) // the upstream has done it
		r.Body.Close()
		return nil, io.ErrUnexpectedEOF
	}
	return r, err
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w, dir := &world{t: t, clock: time.Date(2026, 11, 26, 12, 0, 0, 0, zone)}, t.TempDir()
	now := func() time.Time { return w.clock }
	var err error
	w.books, err = booktest.Open(t.Context(), filepath.Join(dir, "books.db"), now)
	w.ok(err)
	k, err := keys.OpenSoftware(filepath.Join(dir, "keys.json"))
	w.ok(err)
	authority, err := pki.Open(dir, time.Now())
	w.ok(err)
	desk := upstream.New(upstream.Config{Books: w.books, Master: master})
	w.ok(desk.AddHall(t.Context(), upstream.Hall{
		No: 1, Name: "东区浴室", Merchant: "bath-east", Cap: 6 * yuan, Tariff: tariff, Cancel: 10,
	}))
	w.ok(desk.SetStall(t.Context(), 1, upstream.Stall{No: 4}))
	for _, from := range []int{11 * 60, 17 * 60} {
		_, err = desk.AddSlots(t.Context(), 1, water.Time{From: from, To: from + 120}, 30)
		w.ok(err)
	}
	s := server.New(server.Config{Books: w.books, Keys: k, Now: now})
	s.Services = append(s.Services, upstream.NewServer(desk, s))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	w.ok(err)
	h := &http.Server{Handler: s.Handler(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	var running sync.WaitGroup
	running.Go(func() { h.Serve(tls.NewListener(l, authority.Server())) }) //nolint:errcheck // it ends by Close
	t.Cleanup(func() { h.Close(); running.Wait(); w.ok(w.books.Close()) })

	p, err := server.NewPIN(t.Context(), k, account, (*[wire.PINLen]byte)([]byte(pin)))
	w.ok(err)
	w.ok(w.books.AddHolder(t.Context(), store.Holder{Account: account, Name: "张三", Number: account.No()}, p, 20*yuan))
	w.ok(w.books.AddCard(t.Context(), store.Card{No: cardNo, Account: account, UID: "01020304", Status: store.CardActive}))
	w.dial(authority, l.Addr().String())
	return w
}

func (w *world) dial(authority *pki.Authority, addr string) {
	w.t.Helper()
	cert, key, fingerprint := pkitest.Terminal(w.t, authority, "kiosk1")
	no, err := w.books.AddTerminal(w.t.Context(), store.Terminal{ID: "kiosk1", Fingerprint: fingerprint})
	w.ok(err)
	text, err := client.File{
		Terminal: "kiosk1", TerminalNo: no.String(), Address: addr,
		CA: string(authority.CA()), Certificate: string(cert), Key: string(key),
	}.Encode()
	w.ok(err)
	p, err := client.ParseProvisioning(text)
	w.ok(err)
	direct := client.Dial(p, client.Options{})
	w.t.Cleanup(direct.Close)
	w.line = &line{RoundTripper: direct.Way().HTTP.(*http.Client).Transport}
	w.client = client.Dial(p, client.Options{Transport: w.line})
	w.desk = bath.New(w.client)
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) session() client.Session {
	w.t.Helper()
	c, err := w.client.LookUpCard(w.t.Context(), cardNo)
	w.ok(err)
	s, _, err := w.client.SignIn(w.t.Context(), cardNo, c.Challenge, (*[wire.PINLen]byte)([]byte(pin)))
	w.ok(err)
	return s
}

func (w *world) loseAnswer() {
	w.line.mu.Lock()
	defer w.line.mu.Unlock()
	w.line.lose = true
}

// TestBath goes from the halls to the water that was paid for. Every answer about
// money is lost once: the same question again finds what was done.
func TestBath(t *testing.T) {
	w := newWorld(t)
	halls, err := w.desk.Halls(t.Context())
	w.ok(err)
	want := bath.Halls{
		Halls: []bath.Hall{{
			No: 1, Name: "东区浴室", Cap: 6 * yuan, Litre: 4, CancelFor: 10 * time.Minute, Stalls: 1,
			Open: []bath.Time{{11 * time.Hour, 13 * time.Hour}, {17 * time.Hour, 19 * time.Hour}},
		}},
		DaysAhead: 2, Today: time.Date(2026, 11, 26, 0, 0, 0, 0, zone).UTC(), NoShows: 3, NoShowDays: 30,
	}
	if !reflect.DeepEqual(halls, want) {
		t.Errorf("halls: %+v\nwant   %+v", halls, want)
	}
	day, err := w.desk.Day(t.Context(), 1, 0)
	w.ok(err)
	if len(day.Slots) != 8 || day.Slots[4].No != 4 || day.Slots[4].Free != 1 || day.Slots[4].Stalls[0] != 4 {
		t.Fatalf("day: %+v", day)
	}
	s := w.session()
	q := bath.Request{Ref: "B1", Hall: 1, Slot: day.Slots[4].No, Day: day.Start}
	w.loseAnswer()
	if _, err := w.desk.Reserve(t.Context(), s, q); err == nil || errors.As(err, new(*bath.Refusal)) {
		t.Fatalf("answer lost: %v", err)
	}
	r, err := w.desk.Reserve(t.Context(), s, q)
	w.ok(err)
	if r.State != bath.Reserved || r.Hold != bath.Held || len(r.Code) != 8 || !r.From.Equal(day.Slots[4].From) ||
		r.Opens.After(r.From) || r.Stall != 4 || r.HallName != "东区浴室" {
		t.Errorf("reserved: %+v", r)
	}
	if reserved, err := w.desk.End(t.Context(), "B1"); err != nil || !reserved {
		t.Errorf("asked by its reference: %t, %v", reserved, err)
	}
	if a, err := w.client.Account(t.Context(), s); err != nil || a.Available != 14*yuan {
		t.Errorf("available: %s, %v", a.Available, err)
	}

	w.clock = r.From.Add(10 * time.Minute)
	slot := bathcode.Slot{Place: bathcode.Place{Hall: 1, Stall: 4}, Day: bathcode.DayOf(r.From), No: r.Slot}
	key := master.Key(slot.Place, slot.Day)
	n, ok := key.Check(bathcode.Code(r.Code), slot)
	line := water.Report{Slot: slot, Uses: []water.Use{{
		N: n, Stall: 4, Start: w.clock.Unix() - 500, End: w.clock.Unix(), Pulses: 5050, Amount: 202, Ending: water.ByKey,
	}}}.Seal(key)
	w.loseAnswer()
	if _, err := w.desk.Take(t.Context(), line); err == nil || !ok {
		t.Fatalf("code is one: %v; answer lost: %v", ok, err)
	}
	taken, err := w.desk.Take(t.Context(), line)
	if err != nil || !taken.Again {
		t.Errorf("brought again: %+v, %v", taken, err)
	}
	all, err := w.desk.Mine(t.Context(), w.session())
	w.ok(err)
	if len(all) != 1 || all[0].State != bath.Used || all[0].Captured != 202 || all[0].Code != "" ||
		all[0].Use == nil || all[0].Use.Millilitres != 50500 {
		t.Errorf("mine: %+v", all)
	}
}

// TestCancel gives up, and the answer is lost.
func TestCancel(t *testing.T) {
	w := newWorld(t)
	s := w.session()
	q := bath.Request{Ref: "B1", Hall: 1, Slot: 4, Day: w.clock}
	_, err := w.desk.Reserve(t.Context(), s, q)
	w.ok(err)
	w.loseAnswer()
	if _, err := w.desk.Cancel(t.Context(), s, bath.Act{Ref: "C1", Reservation: q.Ref}); err == nil || errors.As(err, new(*bath.Refusal)) {
		t.Fatalf("answer lost: %v", err)
	}
	r, err := w.desk.Cancel(t.Context(), s, bath.Act{Ref: "C1", Reservation: q.Ref})
	if err != nil || r.State != bath.Cancelled || r.Hold != bath.Held || r.Code != "" {
		t.Errorf("cancelled: %+v, %v", r, err)
	}
}

// TestClose pays by the stub that the shower has shown, and the answer is lost.
func TestClose(t *testing.T) {
	w := newWorld(t)
	s := w.session()
	made, err := w.desk.Reserve(t.Context(), s, bath.Request{Ref: "B1", Hall: 1, Slot: 4, Day: w.clock})
	w.ok(err)
	if made.Closed || !made.ReleasedBy.Equal(made.To.Add(24*time.Hour)) {
		t.Errorf("reserved: %+v", made)
	}
	no := new(bath.Refusal)
	_, err = w.desk.Close(t.Context(), s, bath.Act{Ref: "C1", Reservation: "B1"}, "12345678")
	if !errors.As(err, &no) || no.Reason != bath.StubWrong || no.Tries != 4 {
		t.Errorf("a wrong stub: %v", err)
	}
	slot := bathcode.Slot{Place: bathcode.Place{Hall: 1, Stall: 4}, Day: bathcode.DayOf(made.From), No: made.Slot}
	stub := master.Key(slot.Place, slot.Day).Stub(slot, 0, 202)
	w.loseAnswer()
	if _, err := w.desk.Close(t.Context(), s, bath.Act{Ref: "C2", Reservation: "B1"}, string(stub)); err == nil || errors.As(err, new(*bath.Refusal)) {
		t.Fatalf("answer lost: %v", err)
	}
	r, err := w.desk.Close(t.Context(), s, bath.Act{Ref: "C2", Reservation: "B1"}, string(stub))
	if err != nil || r.State != bath.Used || r.Captured != 202 || !r.Closed || r.Hold != bath.Captured {
		t.Errorf("closed: %+v, %v", r, err)
	}
}

// TestRefused says why not, in the bath's words or the session's.
func TestRefused(t *testing.T) {
	w := newWorld(t)
	s := w.session()
	good := bath.Request{Ref: "B1", Hall: 1, Slot: 4, Day: w.clock}
	for name, tt := range map[string]struct {
		change func(*bath.Request)
		want   bath.Reason
	}{
		"hall":      {func(q *bath.Request) { q.Hall = 2 }, bath.HallUnknown},
		"slot":      {func(q *bath.Request) { q.Slot = 99 }, bath.SlotUnknown},
		"over":      {func(q *bath.Request) { q.Slot = 0 }, bath.SlotOver},
		"stall":     {func(q *bath.Request) { q.Stall = 9 }, bath.SlotFull},
		"far":       {func(q *bath.Request) { q.Day = q.Day.AddDate(0, 0, 3) }, bath.TooFar},
		"malformed": {func(q *bath.Request) { q.Ref = "no ref" }, bath.Malformed},
	} {
		q := good
		tt.change(&q)
		_, err := w.desk.Reserve(t.Context(), s, q)
		if no := new(bath.Refusal); !errors.As(err, &no) || no.Reason != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.desk.Take(t.Context(), []byte("00 {}")); !errors.As(err, new(*bath.Refusal)) {
		t.Errorf("report of nobody: %v", err)
	}
	w.ok(w.books.SetCardStatus(t.Context(), cardNo, store.CardHot))
	_, err := w.desk.Reserve(t.Context(), s, good)
	if no := new(client.Refusal); !errors.As(err, &no) || no.Reason != client.CardIsHot {
		t.Errorf("hot card: %v", err)
	}
	if _, err := w.desk.Mine(t.Context(), s); err != nil {
		t.Errorf("who has lost a card may look: %v", err)
	}
	w.clock = w.clock.Add(11 * time.Minute)
	_, err = w.desk.Mine(t.Context(), s)
	if no := new(client.Refusal); !errors.As(err, &no) || no.Reason != client.SessionOver {
		t.Errorf("after eleven minutes: %v", err)
	}
}
