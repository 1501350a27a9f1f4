package service_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"quancun/lab/breaker"
	"quancun/lab/breaker/breakertest"
	labelectricity "quancun/lab/electricity"
	labsrun "quancun/lab/srun"
	"quancun/money"
	"quancun/upstream/biller"
	"quancun/upstream/biller/service"
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

// world is a terminal's client, the service, and the vendors of the lab over TLS.
type world struct {
	t       *testing.T
	books   *store.Books
	network *labsrun.Box
	campus  *labelectricity.Campus
	service *service.Service
	pay     *bill.Desk
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func newWorld(t *testing.T, wire string) *world {
	t.Helper()
	w, dir, dir2 := &world{t: t}, t.TempDir(), t.TempDir()
	var err error
	w.books, err = booktest.Open(t.Context(), filepath.Join(t.TempDir(), "books.db"), nil)
	w.must(err)
	t.Cleanup(func() { _ = w.books.Close() })
	_, err = w.books.AddTerminal(t.Context(), store.Terminal{ID: "K01"})
	w.must(err)
	h := store.Holder{Account: holder, Name: "张三", Number: "2026000101"}
	w.must(w.books.AddHolder(t.Context(), h, store.PIN{}, 50*yuan))

	w.network, err = labsrun.New(labsrun.Config{Dir: dir})
	w.must(err)
	w.must(w.network.Add(labsrun.User{Name: "2026000101", RealName: "张三丰", Wallet: 5}))
	w.campus, err = labelectricity.New(labelectricity.Config{Dir: dir2, Key: "secret"})
	w.must(err)
	w.must(w.campus.Add(labelectricity.Room{
		Area: labelectricity.Place{ID: "1", Name: "东区"}, Building: labelectricity.Place{ID: "3", Name: "3号楼"},
		Room: labelectricity.Place{ID: "301", Name: "301"}, Energy: 1440, Money: 806,
	}))
	w.must(os.WriteFile(filepath.Join(dir2, "secret"), []byte("secret"), 0o600))
	c := setup.Config{
		Network: setup.Network{
			Address:         breakertest.Serve(w.t, dir, w.network).URL,
			CertificateFile: filepath.Join(dir, breaker.CertificateFile),
		},
		Electricity: setup.Electricity{
			Wire: wire, Address: breakertest.Serve(w.t, dir2, w.campus).URL,
			CertificateFile: filepath.Join(dir2, breaker.CertificateFile),
			KeyFile:         "secret", App: labelectricity.App, Account: "1", PayProject: "726", SchoolCode: "43",
		},
	}
	c.Resolve(dir2)
	w.must(c.Check())
	billers, err := c.Open()
	w.must(err)
	s := service.New(service.Config{
		Desk:    biller.New(biller.Config{Books: w.books, Billers: billers.Payable}),
		Holders: holders{}, Books: w.books, Billers: billers.Shown,
	})
	w.service = s
	certificate, err := breaker.Certificate(dir)
	w.must(err)
	w.pay = bill.New(client.Dial(&client.Provisioning{CA: certificate.Leaf}, client.Options{
		Address: "upstream", Transport: servicetest.Transport{Service: s, Terminal: "K01"},
	}))
	return w
}

func reason(err error) client.Reason {
	if no := (*client.Refusal)(nil); errors.As(err, &no) {
		return no.Reason
	}
	return 0
}

func TestNetwork(t *testing.T) {
	w := newWorld(t, "rest")
	all, err := w.pay.Billers(t.Context())
	if err != nil || len(all) != 2 || all[0].Name != "network" || all[0].Default != 10*yuan || !all[0].Pays ||
		all[1].Kind != bill.Electricity || all[0].TitleZH != "校园网" || all[0].TitleEN != "Campus network" {
		t.Fatalf("Billers = %+v, %v", all, err)
	}
	a, err := w.pay.Network(t.Context(), session, "network")
	if err != nil || a.Wallet != 5 || a.MaskedName != "张*丰" || a.Status != bill.NetworkNormal {
		t.Errorf("Network = %+v, %v", a, err)
	}
	b, err := w.pay.Pay(t.Context(), session, bill.Order{OrderNo: "N1", Biller: "network", Amount: 10 * yuan})
	if err != nil || b.State != bill.Paid {
		t.Fatalf("Pay = %+v, %v", b, err)
	}
	if b, err = w.pay.Get(t.Context(), "N1", bill.Sent, time.Second); err != nil || b.State != bill.Paid {
		t.Errorf("Get = %+v, %v", b, err)
	}
	if list, err := w.pay.List(t.Context(), session); err != nil || len(list) != 1 || list[0].OrderNo != "N1" {
		t.Errorf("List = %+v, %v", list, err)
	}
	if f, err := w.books.Balance(t.Context(), holder); err != nil || f != 40*yuan {
		t.Errorf("balance = %s, %v", f, err)
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t, "wanxiao")
	order := bill.Order{OrderNo: "N1", Biller: "network", Amount: 10 * yuan}
	pay := func(token []byte, change func(*bill.Order)) client.Reason {
		o := order
		change(&o)
		_, err := w.pay.Pay(t.Context(), token, o)
		return reason(err)
	}
	for name, c := range map[string]struct {
		token  []byte
		change func(*bill.Order)
		want   client.Reason
	}{
		"Session":  {nil, func(*bill.Order) {}, client.SessionOver},
		"Number":   {session, func(o *bill.Order) { o.OrderNo = "a b" }, client.Malformed},
		"Biller":   {session, func(o *bill.Order) { o.Biller = "gas" }, client.Malformed},
		"Little":   {session, func(o *bill.Order) { o.Amount = 1 }, client.AmountOutOfRange},
		"Much":     {session, func(o *bill.Order) { o.Amount = 201 * yuan }, client.AmountOutOfRange},
		"Money":    {session, func(o *bill.Order) { o.Amount = 60 * yuan }, client.NotEnough},
		"OnlyShow": {session, func(o *bill.Order) { o.Biller = "electricity" }, client.Malformed},
	} {
		if got := pay(c.token, c.change); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if _, err := w.pay.Get(t.Context(), "N1", 0, 0); reason(err) != client.OrderUnknown {
		t.Errorf("Get = %v", err)
	}
	b, err := w.pay.End(t.Context(), session, order)
	if err != nil || b.State != bill.Released || b.Cause != bill.CauseEnded {
		t.Errorf("End = %+v, %v", b, err)
	}
	if got := pay(session, func(o *bill.Order) { o.Amount = 11 * yuan }); got != client.OrderConflict {
		t.Errorf("the same number for another amount: %s", got)
	}
	if n := len(w.network.Records()); n != 0 {
		t.Errorf("%d are booked", n)
	}
}

// TestElectricity goes down to a room, and pays for its meter, on both wires that
// can be paid.
func TestElectricity(t *testing.T) {
	for _, wire := range []string{"rest", "synjones"} {
		t.Run(wire, func(t *testing.T) {
			w := newWorld(t, wire)
			var room []bill.Place
			for range 3 {
				below, err := w.pay.Places(t.Context(), session, "electricity", room)
				if err != nil || len(below) != 1 {
					t.Fatalf("Places below %v = %v, %v", room, below, err)
				}
				room = append(room, below[0])
			}
			title, meters, err := w.pay.Room(t.Context(), session, "electricity", room)
			if err != nil || title != "东区 3号楼 301" || len(meters) != 1 || *meters[0].Money != 806 ||
				!meters[0].Payable {
				t.Fatalf("Room = %q, %+v, %v", title, meters, err)
			}
			b, err := w.pay.Pay(t.Context(), session, bill.Order{
				OrderNo: "E1", Biller: "electricity", Amount: 20 * yuan, Room: room, Meter: meters[0].ID,
			})
			if err != nil || b.State != bill.Paid || b.Title != "电费 东区 3号楼 301" {
				t.Errorf("Pay = %+v, %v", b, err)
			}
			if all := w.campus.Recharges(); len(all) != 1 || all[0].Fen != 2000 {
				t.Errorf("booked: %+v", all)
			}
			rooms, err := w.pay.Rooms(t.Context(), session, "electricity")
			if err != nil || len(rooms) != 1 || !slices.Equal(rooms[0], room) {
				t.Errorf("Rooms = %+v, %v", rooms, err)
			}
			room[2].ID = "999"
			if _, _, err := w.pay.Room(t.Context(), session, "electricity", room); reason(err) != client.AccountUnknown {
				t.Errorf("a room that is not there: %v", err)
			}
		})
	}
}

// TestLook: what is away is found again by itself, and terminals know since when it
// was away and when it last answered.
func TestLook(t *testing.T) {
	w := newWorld(t, "rest")
	stands := func() bill.Biller {
		all, err := w.pay.Billers(t.Context())
		w.must(err)
		return all[0]
	}
	if b := stands(); !b.DownSince.IsZero() || !b.Answered.IsZero() {
		t.Fatalf("nobody has asked, and it stands as %+v", b)
	}
	w.service.Look(t.Context())
	first := stands()
	if !first.DownSince.IsZero() || first.Answered.IsZero() {
		t.Fatalf("after a look: %+v", first)
	}
	w.must(w.network.Arm(breaker.Fault{Method: "*", Kind: breaker.HTML, Standing: true}))
	w.service.Look(t.Context())
	if b := stands(); b != first {
		t.Errorf("one that has just answered was asked again: %+v", b)
	}
	if _, err := w.pay.Network(t.Context(), session, "network"); err == nil {
		t.Fatal("a page instead of an answer was taken")
	}
	w.service.Look(t.Context())
	if b := stands(); b.DownSince.IsZero() || !b.Answered.Equal(first.Answered) {
		t.Errorf("while it is away: %+v", b)
	}
	w.network.Clear()
	w.service.Look(t.Context())
	if b := stands(); !b.DownSince.IsZero() || !b.Answered.After(first.Answered) {
		t.Errorf("when it is back: %+v", b)
	}
}

// TestMeterOffline: of a meter that is offline its room is told, and nobody else: its
// vendor is well.
func TestMeterOffline(t *testing.T) {
	for _, wire := range []string{"rest", "synjones", "wanxiao"} {
		w := newWorld(t, wire)
		w.must(w.campus.Add(labelectricity.Room{
			Area: labelectricity.Place{ID: "1", Name: "东区"}, Building: labelectricity.Place{ID: "3", Name: "3号楼"},
			Room: labelectricity.Place{ID: "302", Name: "302"}, Offline: true,
		}))
		id := "302"
		if wire == "wanxiao" {
			id = "1-3--302"
		}
		_, meters, err := w.pay.Room(t.Context(), session, "electricity", []bill.Place{
			{Kind: bill.Area, ID: "1"}, {Kind: bill.Building, ID: "3"}, {Kind: bill.Room, ID: id},
		})
		if err != nil || len(meters) != 1 || meters[0] != (bill.Meter{}) {
			t.Errorf("%s: Room = %+v, %v", wire, meters, err)
		}
		all, err := w.pay.Billers(t.Context())
		if err != nil || !all[1].DownSince.IsZero() || all[1].Answered.IsZero() {
			t.Errorf("%s: and its vendor stands as %+v, %v", wire, all[1], err)
		}
	}
}

// TestNotSaid: a box that answers with a code that nobody knows says nothing of the holder's
// account, and is not taken for away.
func TestNotSaid(t *testing.T) {
	w := newWorld(t, "rest")
	w.must(w.network.Arm(breaker.Fault{Method: "view", Kind: breaker.Refuse}))
	_, err := w.pay.Network(t.Context(), session, "network")
	if no := (*client.Refusal)(nil); !errors.As(err, &no) || no.Reason != client.NotSaid || no.Said != "10001" {
		t.Errorf("Network = %v; want its code", err)
	}
	all, err := w.pay.Billers(t.Context())
	if err != nil || !all[0].DownSince.IsZero() {
		t.Errorf("the network stands as %+v, %v", all, err)
	}
	if _, err := w.pay.Network(t.Context(), session, "network"); err != nil {
		t.Errorf("asked again: %v", err)
	}
}

// TestEndLost ends, for a holder who has gone, what never arrived, so that it comes too
// late; and nothing that has.
func TestEndLost(t *testing.T) {
	w := newWorld(t, "rest")
	lost := bill.Order{OrderNo: "N1", Biller: "network", Amount: 10 * yuan}
	if _, err := w.pay.EndLost(t.Context(), "7", lost); reason(err) != client.AccountUnknown {
		t.Errorf("for nobody: %v", err)
	}
	for range 2 {
		b, err := w.pay.EndLost(t.Context(), "2026000101", lost)
		if err != nil || b.State != bill.Released || b.Cause != bill.CauseEnded {
			t.Errorf("EndLost = %+v, %v", b, err)
		}
	}
	if b, err := w.pay.Pay(t.Context(), session, lost); err != nil || b.State != bill.Released {
		t.Errorf("the request that comes too late: %+v, %v", b, err)
	}
	here := bill.Order{OrderNo: "N2", Biller: "network", Amount: 10 * yuan}
	if b, err := w.pay.Pay(t.Context(), session, here); err != nil || b.State != bill.Paid {
		t.Fatalf("Pay = %+v, %v", b, err)
	}
	if b, err := w.pay.EndLost(t.Context(), "2026000101", here); err != nil || b.State != bill.Paid {
		t.Errorf("EndLost of what is here = %+v, %v", b, err)
	}
	if f, err := w.books.Balance(t.Context(), holder); err != nil || f != 40*yuan || len(w.network.Records()) != 1 {
		t.Errorf("balance = %s, %v; %d booked", f, err, len(w.network.Records()))
	}
}
