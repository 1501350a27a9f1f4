package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"quancun/money"
	"quancun/upstream/client"
	"quancun/upstream/store/pgtest"
	"quancun/upstream/wire"
)

// TestSecondServer has two campusd serve one PostgreSQL. The second is refused
// as long as it would make keys of its own; with those of the first, a person
// who has signed in at one pays at the other.
func TestSecondServer(t *testing.T) {
	s := newSite(t)
	s.keepIn(pgtest.New(t).DSN)
	s.must("demo", "--cards", s.path("cards.json"))
	addr, _ := s.serve()
	second := &site{t: t, dir: s.dir, data: s.path("second"), more: s.more, gateway: s.gateway}
	if _, err := second.campusd("serve", "--listen", "127.0.0.1:0"); err == nil || !strings.Contains(err.Error(), "bring their keys") {
		t.Fatalf("a second campusd with nothing in its folder: %v, want it refused", err)
	}
	for _, name := range []string{"keys.json", "campus.pem", "bath.key", "ca.pem", "server.pem"} {
		text, err := os.ReadFile(s.data + "/" + name)
		if err == nil {
			err = os.WriteFile(second.data+"/"+name, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	other, _ := second.serve()

	ctx, demo := t.Context(), s.card("to_load")
	papers := s.enrol("K01", addr).papers
	one, two := client.Dial(papers, client.Options{Address: addr}), client.Dial(papers, client.Options{Address: other})
	defer one.Close()
	defer two.Close()
	look, err := one.LookUpCard(ctx, demo.CardNo)
	if err != nil {
		t.Fatal(err)
	}
	session, _, err := one.SignIn(ctx, demo.CardNo, look.Challenge, (*[wire.PINLen]byte)([]byte(demo.PIN)))
	if err != nil {
		t.Fatal(err)
	}
	o, err := two.CreateTopUp(ctx, session, "K01_1", 20*money.Yuan)
	if err != nil || o.QR == "" {
		t.Fatalf("CreateTopUp = %+v, %v", o, err)
	}
	if _, err := s.gateway.Pay(o.QR, 0); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*client.Client{one, two} {
		o, err := c.GetTopUp(ctx, "K01_1", client.TopUpWaiting, 10*time.Second)
		if err != nil || o.State != client.TopUpPaid || o.Balance != 120*money.Yuan {
			t.Errorf("GetTopUp = %+v, %v; want it paid", o, err)
		}
	}
	s.must("verify")
}

// TestCampusKeyGone: a campus that terminals know gets no other key in place of its own, as
// on a second server, or one that was restored, to which only keys.json was brought.
func TestCampusKeyGone(t *testing.T) {
	s := newSite(t)
	s.must("demo", "--cards", s.path("cards.json"))
	campus := s.data + "/campus.pem"
	if err := os.Remove(campus); err != nil { // as on a site from before there was one
		t.Fatal(err)
	}
	addr, stop := s.serve()
	s.enrol("K01", addr)
	stop()
	if err := os.Remove(campus); err != nil {
		t.Fatal(err)
	}
	s.more = []string{"--config", s.path("campusd.toml")}
	for _, command := range [][]string{
		{"serve", "--listen", "not:an:address"}, {"terminal", "revoke", "K01", "--gone"}, {"keys", "show"},
	} {
		if _, err := s.campusd(command...); err == nil || !strings.Contains(err.Error(), "campus.pem") {
			t.Errorf("%s without the key that K01 knows = %v, want it refused", command, err)
		}
		if _, err := os.Lstat(campus); err == nil {
			t.Fatalf("%s has made another key", command)
		}
	}
}
