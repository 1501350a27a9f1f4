package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quancun/lab/cards"
	"quancun/reader"
	"quancun/reader/pcsc"
	"quancun/reader/pcsctest"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/reader/vpcd"
)

// desk is a reader, and the file of a card beside it.
type desk struct {
	reader.Device
	addr      string // where a card dials in
	dir, file string
}

func newDesk(t *testing.T, d reader.Device, addr string) desk {
	t.Helper()
	t.Cleanup(func() { d.Close() })
	dir := t.TempDir()
	file := filepath.Join(dir, "demo.json")
	if err := os.WriteFile(file, []byte(cardFile), 0o600); err != nil {
		t.Fatal(err)
	}
	return desk{d, addr, dir, file}
}

// ownDesk has the reader that a terminal listens on itself.
func ownDesk(t *testing.T) desk {
	t.Helper()
	d, err := vpcd.Listen("127.0.0.1:0", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return newDesk(t, d, d.Addr())
}

// pcscDesk has a reader of a real pcscd with vpcd.
func pcscDesk(t *testing.T) desk {
	t.Helper()
	pcsctest.Need(t)
	s, err := pcsctest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	return newDesk(t, pcsc.New(pcsc.Options{Reader: s.Reader(0), Timeout: time.Second}), s.Addr(0))
}

// waitFor waits until a card is on the reader, or none.
func (d desk) waitFor(t *testing.T, card bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for s := (reader.State{}); !s.Connected || s.Card != card; {
		var err error
		if s, err = d.Wait(ctx, s); err != nil {
			t.Fatalf("waiting for card %t: %v", card, err)
		}
	}
}

// lay runs `campuslab card serve` until take, which returns what it said.
func (d desk) lay(t *testing.T, name string) (take func() string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	said, done := new(safe), make(chan error, 1)
	go func() {
		args := []string{"card", "serve", "--cards", d.file, "--card", name, "--vpcd", d.addr}
		done <- run(ctx, args, said)
	}()
	d.waitFor(t, true)
	return func() string {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("card serve: %v", err)
		}
		d.waitFor(t, false)
		return said.String()
	}
}

// misspell shows the card a wrong PIN, and returns how many tries are left.
func (d desk) misspell(t *testing.T) (left int) {
	t.Helper()
	card, err := d.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer card.Close()
	info, err := purse.Open(card, profile.Default())
	if err != nil || info.HolderNo != "2024001" || info.Balance != 1234 {
		t.Fatalf("Open = %+v, %v", info, err)
	}
	pin := purse.PIN([]byte("999999"))
	left, wrong := purse.PINTries(purse.VerifyPIN{PIN: &pin, Encoding: profile.Default().PIN.Encoding}.Send(card))
	if !wrong {
		t.Fatal("the card took any PIN")
	}
	return left
}

// TestCardServe: a card lies on a reader without a lab, and remembers what
// happened to it there.
func TestCardServe(t *testing.T) {
	for name, desk := range map[string]func(*testing.T) desk{"Own": ownDesk, "PCSC": pcscDesk} {
		t.Run(name, func(t *testing.T) { testCardServe(t, desk(t)) })
	}
}

func testCardServe(t *testing.T, d desk) {
	take := d.lay(t, "2024001")
	first := d.misspell(t)
	for _, line := range []string{
		"card serve --cards " + d.file + " --card 张三 --vpcd " + d.addr,
		"serve --dir " + d.dir + " --alipay= --http 127.0.0.1:0 --cards " + d.file,
	} {
		err := run(t.Context(), strings.Fields(line), new(bytes.Buffer))
		if err == nil || !strings.Contains(err.Error(), "another campuslab has the cards") {
			t.Errorf("campuslab %s: %v, want the cards to be taken", line, err)
		}
	}
	if said := take(); !strings.Contains(said, "12.34") || !strings.Contains(said, d.addr) ||
		strings.Contains(said, "00001234000000000001") || strings.Contains(said, "0001020304") {
		t.Errorf("card serve said:\n%s", said)
	}
	take = d.lay(t, "张三")
	if second := d.misspell(t); second != first-1 {
		t.Errorf("%d tries left, and %d after the card was laid down again, want one less", first, second)
	}
	take()
	if names, err := filepath.Glob(filepath.Join(d.dir, "cards", "*.json")); err != nil || len(names) != 1 {
		t.Errorf("the folder of cards holds %q, %v; want one card", names, err)
	}
}

func TestCardUsage(t *testing.T) {
	d := ownDesk(t)
	for _, line := range []string{
		"card", "card dance", "card lay", "card serve", "card serve --cards " + d.file, "card serve --card 1",
		"card serve --cards " + d.file + " --card 1 more",
	} {
		if err := run(t.Context(), strings.Fields(line), new(bytes.Buffer)); !errors.Is(err, errUsage) {
			t.Errorf("campuslab %s: %v, want errUsage", line, err)
		}
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"card"}, &out); err == nil || !strings.Contains(out.String(), "--card NAME") {
		t.Errorf("campuslab card said %q, %v; want its usage", &out, err)
	}
	if said := do(t, "card help"); said != out.String() {
		t.Errorf("campuslab card help said:\n%s", said)
	}
	nobody := ownDesk(t)
	nobody.Close()
	for line, want := range map[string]error{
		"card serve --card 9 --cards " + d.file + " --vpcd " + d.addr:            cards.ErrNoCard,
		"card serve --card 2024001 --cards " + d.file + " --vpcd " + nobody.addr: cards.ErrNoReader,
		"card serve --card 2024001 --cards " + d.dir + "/none":                   os.ErrNotExist,
	} {
		if err := run(t.Context(), strings.Fields(line), new(bytes.Buffer)); !errors.Is(err, want) {
			t.Errorf("campuslab %s: %v, want %v", line, err, want)
		}
	}
}
