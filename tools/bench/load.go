package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"quancun/app/identity"
	"quancun/kiosk"
	"quancun/ledger"
	"quancun/money"
	"quancun/reader"
	"quancun/reader/pcsc"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/tools/stack"
	"quancun/upstream/client"
)

const (
	loads     = 15 // measured loads
	apduDelay = 15 // ms that the card thinks over each APDU
)

// loadBench is a terminal without a window: a card on a real pcscd, a journal
// on the disk, and the upstream behind mutual TLS.
type loadBench struct {
	stack   *stack.Stack
	device  *pcsc.Device
	book    *ledger.Book
	who     *client.Provisioning
	client  *client.Client
	profile *profile.Profile
	card    labCard
	welcome client.Welcome
}

// labCard is a card of the demonstration.
type labCard struct {
	Card string `json:"card"`
	Kind string `json:"kind"`
	PIN  string `json:"pin"`
	No   string `json:"holder_no"`
}

// recorder is a card of which every command is kept, to be sent again.
type recorder struct {
	reader.Card
	commands [][]byte
}

func (r *recorder) Transmit(command []byte) ([]byte, error) {
	r.commands = append(r.commands, bytes.Clone(command))
	return r.Card.Transmit(command)
}

// measureLoad measures a whole load, from powering the card up to the
// upstream's receipt, against nothing but the exchange of the same APDUs with
// the same card, turn by turn.
func measureLoad(ctx context.Context, dir string) (_ []figure, err error) {
	b, stop, err := newLoadBench(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	var whole, bare []time.Duration
	apdus := 0
	for i := range loads + 1 {
		session, err := b.topUp(ctx)
		if err != nil {
			return nil, fmt.Errorf("top up: %w", err)
		}
		start := time.Now()
		commands, err := b.load(ctx, session)
		took := time.Since(start)
		if err != nil {
			return nil, fmt.Errorf("load: %w", err)
		}
		start = time.Now()
		if err := b.replay(commands); err != nil {
			return nil, fmt.Errorf("replay: %w", err)
		}
		if i > 0 { // the first pays for connections
			whole, bare = append(whole, took), append(bare, time.Since(start))
		}
		apdus = len(commands)
	}
	note := fmt.Sprintf("%d APDUs at %d ms; whole %v, bare %v, medians of %d; aim 1.15",
		apdus, apduDelay, median(whole).Round(100*time.Microsecond), median(bare).Round(100*time.Microsecond), loads)
	return []figure{{
		Name: "load.ratio", Value: median(whole).Seconds() / median(bare).Seconds(), Unit: "",
		RatioTo: "the same APDUs, bare", Note: note,
	}}, nil
}

func newLoadBench(ctx context.Context, dir string) (_ *loadBench, stop func() error, err error) {
	b := &loadBench{profile: profile.Default()}
	stop = func() error { return b.close() }
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.stack, err = stack.New(stack.Options{Dir: dir, Reader: stack.PCSC}); err != nil {
		return nil, nil, err
	}
	if err := b.stack.StartServices(ctx); err != nil {
		return nil, nil, err
	}
	for _, pair := range b.stack.Service.Env() {
		name, value, _ := strings.Cut(pair, "=")
		if err := os.Setenv(name, value); err != nil {
			return nil, nil, err
		}
	}
	b.device = pcsc.New(pcsc.Options{Reader: b.stack.Service.Reader(0)})
	if err := b.open(ctx); err != nil {
		return nil, nil, err
	}
	if b.welcome, err = b.client.Hello(ctx, client.Hello{Version: "bench"}); err != nil {
		return nil, nil, err
	}
	return b, stop, b.lay(ctx)
}

// open makes this process the stack's terminal.
func (b *loadBench) open(ctx context.Context) (err error) {
	if b.who, err = client.ReadProvisioning(b.stack.File("terminal.pem")); err != nil {
		return err
	}
	k, err := identity.Open(identity.Config{File: b.stack.File("terminal.keys")})
	if err == nil {
		err = b.who.Use(k.TLS)
	}
	if err != nil {
		return err
	}
	b.client = client.Dial(b.who, client.Options{})
	b.book, err = ledger.Open(ctx, b.stack.File("bench.db"), ledger.Options{
		Terminal: b.who.Terminal, Key: k.Journal, Campus: b.who.CampusKey,
	})
	return err
}

func (b *loadBench) close() error {
	var errs []error
	if b.client != nil {
		b.client.Close()
	}
	if b.device != nil {
		errs = append(errs, b.device.Close())
	}
	if b.book != nil {
		errs = append(errs, b.book.Close())
	}
	if b.stack != nil {
		errs = append(errs, b.stack.Stop())
	}
	return errors.Join(errs...)
}

// lay puts the demonstration's level card on the reader, slowed down to a real
// one.
func (b *loadBench) lay(ctx context.Context) error {
	text, err := os.ReadFile(b.stack.File("cards.json"))
	if err != nil {
		return err
	}
	var made []labCard
	if err := json.Unmarshal(text, &made); err != nil {
		return err
	}
	for _, c := range made {
		if c.Kind == "level" {
			b.card = c
		}
	}
	err = errors.Join(
		b.post("/cards/slow", map[string]any{"ms": apduDelay}),
		b.post("/cards/lay", map[string]any{"card": b.card.No}))
	for state := (reader.State{}); err == nil && !state.Card; {
		state, err = b.device.Wait(ctx, state)
	}
	return err
}

func (b *loadBench) post(path string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.Post(b.stack.LabURL()+path, "application/json", bytes.NewReader(text))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode >= http.StatusBadRequest {
		why, _ := io.ReadAll(r.Body)
		return fmt.Errorf("lab %s: %s: %s", path, r.Status, why)
	}
	return nil
}

// topUp credits the account with one yuan, so that there is something to load.
func (b *loadBench) topUp(ctx context.Context) (client.Session, error) {
	card, err := b.device.Connect()
	if err != nil {
		return nil, err
	}
	info, err := purse.Open(card, b.profile)
	if err := errors.Join(err, card.Close()); err != nil {
		return nil, err
	}
	known, err := b.client.LookUpCard(ctx, info.CardNo.Full())
	if err != nil {
		return nil, err
	}
	session, _, err := b.client.SignIn(ctx, info.CardNo.Full(), known.Challenge, b.pin())
	if err != nil {
		return nil, err
	}
	order, err := b.client.CreateTopUp(ctx, session, fmt.Sprintf("bench_%d", time.Now().UnixNano()), money.Yuan)
	if err != nil {
		return nil, err
	}
	if err := b.post("/control/pay", map[string]any{"ref": order.QR}); err != nil {
		return nil, err
	}
	for !order.State.Final() {
		if order, err = b.client.GetTopUp(ctx, order.OrderNo, order.State, 10*time.Second); err != nil {
			return nil, err
		}
	}
	return session, nil
}

func (b *loadBench) pin() *[kiosk.PINLength]byte {
	pin := new([kiosk.PINLength]byte)
	copy(pin[:], b.card.PIN)
	return pin
}

// load is what the terminal does from the moment the card is there and its PIN
// known until the journal and the upstream have the card's receipt.
func (b *loadBench) load(ctx context.Context, session client.Session) ([][]byte, error) {
	connected, err := b.device.Connect()
	if err != nil {
		return nil, err
	}
	defer connected.Close()
	card := &recorder{Card: connected}
	info, err := purse.Open(card, b.profile)
	if err != nil {
		return nil, err
	}
	err = purse.VerifyPIN{
		PIN: (*purse.PIN)(b.pin()), Encoding: b.profile.PIN.Encoding, Key: b.profile.PIN.Key,
	}.Send(card)
	if err != nil {
		return nil, err
	}
	l := kiosk.Loader{Settler: kiosk.Settler{
		Book: b.book, Issuer: b.client, Profile: b.profile, Terminal: b.welcome.TerminalNo,
	}}
	done, err := l.Load(ctx, card, kiosk.LoadRequest{
		Session: session, Card: info,
	}, func(kiosk.LoadStage, money.Fen) {})
	if err == nil && done.Amount == 0 {
		err = errors.New("nothing was loaded")
	}
	return card.commands, err
}

// replay exchanges the same APDUs and does nothing else.
func (b *loadBench) replay(commands [][]byte) error {
	card, err := b.device.Connect()
	if err != nil {
		return err
	}
	for _, c := range commands {
		if _, err := card.Transmit(c); err != nil {
			return errors.Join(err, card.Close())
		}
	}
	return card.Close()
}
