package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/client"
	"quancun/upstream/store/pgtest"
	"quancun/upstream/wire"
)

// TestCopyBooks takes a school from a file to PostgreSQL: its terminals, money
// and feeds are there, what is numbered goes on, and what is there already
// is not touched.
func TestCopyBooks(t *testing.T) {
	s := newSite(t)
	s.must("demo", "--cards", s.path("cards.json"))
	s.write("feed", "for the halls")
	s.must("feed", "publish", wire.FeedBath, "--file", s.path("feed"))
	addr, stop := s.serve()
	m := s.enrol("K01", addr)
	s.payInto(m, addr, "K01_1")
	c := client.Dial(m.papers, client.Options{Address: addr})
	defer c.Close()
	batch, err := m.book(t, 3).Batch(t.Context(), 1, journal.BatchMax)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Push(t.Context(), batch); err != nil {
		t.Fatal(err)
	}

	s.keepIn(pgtest.New(t).DSN)
	if out, err := s.campusd("books", "copy"); err == nil || !strings.Contains(err.Error(), "stop it first") {
		t.Errorf("copy while it serves: %q, %v", out, err)
	}
	stop()
	file := &site{t: t, dir: s.dir, data: s.data}
	was := file.must("verify")
	out := s.must("books", "copy")
	if !strings.Contains(out, "rows are copied\n"+was) {
		t.Errorf("copy said %q, want it to end with %q", out, was)
	}
	if out, err := s.campusd("books", "copy"); err == nil || !strings.Contains(err.Error(), "copy terminals: sqldb: there are rows") {
		t.Errorf("a second copy: %q, %v", out, err)
	}
	if now := s.must("verify"); now != was {
		t.Errorf("after a copy that was refused: %q, want %q", now, was)
	}
	addr, stop = s.serve()
	s.payInto(m, addr, "K01_2")
	stop()
	s.must("verify")
	if out := s.must("feed", "show", wire.FeedBath); out != "for the halls" {
		t.Errorf("feed show: %q", out)
	}
	if out := s.must("account", s.card("to_load").HolderNo); !strings.Contains(out, fmt.Sprintf(`"balance_fen": %d`, 140*money.Yuan)) {
		t.Errorf("account: %s", out)
	}
	if now := file.must("verify"); now != was {
		t.Errorf("the file has become %q, want %q", now, was)
	}

	for name, s := range map[string]*site{
		"no database":  file,
		"no such file": {t: t, dir: s.dir, data: filepath.Join(s.dir, "nothing"), more: s.more},
	} {
		if out, err := s.campusd("books", "copy"); err == nil {
			t.Errorf("%s: %q", name, out)
		}
	}
}

// payInto pays 20 yuan into the account of the card to_load.
func (s *site) payInto(m machine, addr, no string) {
	s.t.Helper()
	ctx, demo := s.t.Context(), s.card("to_load")
	c := client.Dial(m.papers, client.Options{Address: addr})
	defer c.Close()
	look, err := c.LookUpCard(ctx, demo.CardNo)
	if err != nil {
		s.t.Fatal(err)
	}
	session, _, err := c.SignIn(ctx, demo.CardNo, look.Challenge, (*[wire.PINLen]byte)([]byte(demo.PIN)))
	if err != nil {
		s.t.Fatal(err)
	}
	o, err := c.CreateTopUp(ctx, session, no, 20*money.Yuan)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.gateway.Pay(o.QR, 0); err != nil {
		s.t.Fatal(err)
	}
	if o, err = c.GetTopUp(ctx, no, client.TopUpWaiting, 10*time.Second); err != nil || o.State != client.TopUpPaid {
		s.t.Fatalf("GetTopUp = %+v, %v; want it paid", o, err)
	}
}
