package holder_test

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"quancun/money"
	"quancun/paycode"
	"quancun/upstream/client"
	"quancun/upstream/client/holder"
	upstream "quancun/upstream/holder"
	"quancun/upstream/keys"
	"quancun/upstream/phone"
	"quancun/upstream/server"
	"quancun/upstream/server/pki"
	"quancun/upstream/server/pki/pkitest"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	"quancun/upstream/wire"
)

const (
	cardNo = "00002026000100012345"
	pin    = "271828"
	yuan   = money.Yuan
)

var account = store.HolderAccount("2026000101")

// world is an upstream on the loopback interface: real TLS, real books, real keys.
type world struct {
	t         *testing.T
	books     *store.Books
	clock     time.Time
	authority *pki.Authority
	desk      *holder.Desk
	client    *client.Client
	phones    *phone.Registry
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w, dir := &world{t: t, clock: time.Now()}, t.TempDir()
	now := func() time.Time { return w.clock }
	var err error
	w.books, err = booktest.Open(t.Context(), filepath.Join(dir, "books.db"), now)
	w.ok(err)
	k, err := keys.OpenSoftware(filepath.Join(dir, "keys.json"))
	w.ok(err)
	w.authority, err = pki.Open(dir, time.Now())
	w.ok(err)
	campus, err := paycode.Hardware(k.Campus())
	w.ok(err)
	w.phones, err = phone.Open(t.Context(), w.books, phone.Policy{School: 1, CodeMax: 50 * yuan, DayMax: 50 * yuan, Days: 3},
		campus)
	w.ok(err)
	s := server.New(server.Config{Books: w.books, Keys: k, Now: now})
	s.Services = append(s.Services, upstream.NewServer(upstream.New(upstream.Config{
		Books: w.books, Keys: k, CA: w.authority.Fingerprint(), Terms: upstream.Terms{DailyLimit: 50 * yuan, Phones: true},
	}), s))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	w.ok(err)
	h := &http.Server{Handler: s.Handler(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	var running sync.WaitGroup
	running.Go(func() { h.Serve(tls.NewListener(l, w.authority.Server())) }) //nolint:errcheck // it ends by Close
	t.Cleanup(func() { h.Close(); running.Wait(); w.ok(w.books.Close()) })

	p, err := server.NewPIN(t.Context(), k, account, (*[wire.PINLen]byte)([]byte(pin)))
	w.ok(err)
	w.ok(w.books.AddHolder(t.Context(), store.Holder{Account: account, Name: "张三", Number: account.No()}, p, 20*yuan))
	w.ok(w.books.AddCard(t.Context(), store.Card{No: cardNo, Account: account, UID: "01020304", Status: store.CardActive}))
	w.dial(l.Addr().String())
	return w
}

func (w *world) dial(addr string) {
	w.t.Helper()
	cert, key, fingerprint := pkitest.Terminal(w.t, w.authority, "kiosk1")
	no, err := w.books.AddTerminal(w.t.Context(), store.Terminal{ID: "kiosk1", Fingerprint: fingerprint})
	w.ok(err)
	text, err := client.File{
		Terminal: "kiosk1", TerminalNo: no.String(), Address: addr,
		CA: string(w.authority.CA()), Certificate: string(cert), Key: string(key),
	}.Encode()
	w.ok(err)
	p, err := client.ParseProvisioning(text)
	w.ok(err)
	w.client = client.Dial(p, client.Options{Now: func() time.Time { return w.clock }})
	w.t.Cleanup(w.client.Close)
	w.desk = holder.New(w.client)
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

// TestDesk makes every call.
func TestDesk(t *testing.T) {
	w := newWorld(t)
	s := w.session()
	is, err := w.desk.Open(t.Context(), s, holder.Card{No: cardNo})
	if err != nil || is.Balance != 20*yuan || is.Held != 0 || len(is.Open) > 0 || is.Purse != 0 || len(is.Purchases) > 0 {
		t.Errorf("open %+v, %v", is, err)
	}
	no := (*client.Refusal)(nil)
	if _, err := w.desk.Open(t.Context(), s, holder.Card{No: "00002026000100099999"}); !errors.As(err, &no) || no.Reason != client.CardIsUnknown {
		t.Errorf("with a card of nobody: %v", err)
	}
	all, pages, err := w.desk.Records(t.Context(), s, holder.Filter{
		Kinds: []client.MovementKind{client.MovementOpening}, To: w.clock.Add(time.Hour), Size: 10,
	})
	if err != nil || pages != 1 || len(all) != 1 || all[0].Amount != 20*yuan {
		t.Fatalf("records %+v, %d pages, %v", all, pages, err)
	}
	r, code, err := w.desk.Receipt(t.Context(), s, all[0].ID)
	if err != nil || r != all[0] || code == "" {
		t.Errorf("receipt %+v, %q, %v", r, code, err)
	}
	l, err := w.desk.Limits(t.Context(), s)
	if err != nil || l.Daily != 50*yuan || !l.Phones || l.Spent != 0 || l.Phone != "" {
		t.Errorf("limits %+v, %v", l, err)
	}
	c, err := w.desk.CardCheck(t.Context(), s)
	if err != nil || c != (holder.CardCheck{Name: "张三", Number: account.No(), InitialPIN: true}) {
		t.Errorf("card check %+v, %v", c, err)
	}
	w.ok(w.desk.CheckCard(t.Context(), s, true))
	if c, err = w.desk.CardCheck(t.Context(), s); err != nil || c.Wanted {
		t.Errorf("after it was checked: %+v, %v", c, err)
	}
}

// TestInvite binds a phone by what the screen shows, and is told of it afterwards.
func TestInvite(t *testing.T) {
	w := newWorld(t)
	s := w.session()
	i, err := w.desk.Invite(t.Context(), s)
	w.ok(err)
	ticket, err := wire.ParseTicket(i.Text)
	if err != nil || ticket.Terminal != account.No() || ticket.CA != w.authority.Fingerprint() ||
		!i.Expires.After(w.clock) {
		t.Fatalf("ticket %+v, %v", ticket, err)
	}
	k, err := paycode.GenerateKey(paycode.Ed25519)
	w.ok(err)
	_, err = w.phones.Bind(t.Context(), ticket.Code.Hash(), k.Public(), "Pixel")
	w.ok(err)
	if l, err := w.desk.Limits(t.Context(), s); err != nil || l.Phone != "Pixel" || l.PhoneSince.IsZero() {
		t.Errorf("after it was bound: %+v, %v", l, err)
	}
}

// TestRefused lets nobody see what is not theirs, and who has lost a card see where
// the money is and nothing more.
func TestRefused(t *testing.T) {
	w := newWorld(t)
	s := w.session()
	refused := func(call string, err error, why client.Reason) {
		t.Helper()
		if no := new(client.Refusal); !errors.As(err, &no) || no.Reason != why {
			t.Errorf("%s: %v, want %s", call, err, why)
		}
	}
	_, _, err := w.desk.Receipt(t.Context(), s, "E99")
	refused("record", err, client.OrderUnknown)
	_, _, err = w.desk.Records(t.Context(), s, holder.Filter{Size: 51})
	refused("page", err, client.Malformed)
	w.ok(w.books.SetCardStatus(t.Context(), cardNo, store.CardHot))
	if _, err := w.desk.Open(t.Context(), s, holder.Card{No: cardNo}); err != nil {
		t.Errorf("open, with a lost card: %v", err)
	}
	_, err = w.desk.Invite(t.Context(), s)
	refused("invite, with a lost card", err, client.CardIsHot)
	refused("check, with a lost card", w.desk.CheckCard(t.Context(), s, true), client.CardIsHot)
	w.clock = w.clock.Add(11 * time.Minute)
	_, err = w.desk.Open(t.Context(), s, holder.Card{No: cardNo})
	refused("after eleven minutes", err, client.SessionOver)
	_, err = w.desk.Open(t.Context(), client.Session("nobody"), holder.Card{})
	refused("nobody", err, client.SessionOver)
}
