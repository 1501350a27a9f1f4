// Package alipay is the stand-in for Alipay's gateway. It speaks the real wire:
// form posts signed with RSA2, answers signed over their raw bytes,
// notifications that repeat themselves until somebody answers "success". So a
// site swaps an address and a key, and no code.
//
// It also plays the payer, and can be broken on command: see [Fault]. Trades
// outlive a restart; faults do not.
//
// It knows nothing of the program that it serves, and the adapter under test
// shares no code with it.
package alipay

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// AppID is the one merchant that the lab knows.
const AppID = "2021000000000001"

// Config says where the stand-in keeps its things.
type Config struct {
	// Dir holds the keys and the trades. It is made if it is not there; the
	// keys are made on the first run.
	Dir string

	// Scale divides the intervals at which notifications are sent again, which
	// are minutes to hours in reality; 60 if it is zero.
	Scale int

	// Fee is what the service keeps of a payment, in hundredths of a percent:
	// 60 is 0.60 %. It shows in the bill only.
	Fee int

	HTTP *http.Client // delivers notifications; one with 5 s of patience if nil
	// Now dates trades, bills and what happens by itself; time.Now if nil.
	// Requests are held against the real time, which their senders know.
	Now func() time.Time
	Log *slog.Logger // slog.Default if nil
}

// Gateway is the stand-in. It is an http.Handler for the gateway's address;
// [Gateway.Run] does what happens by itself. Its methods are safe for
// concurrent use.
type Gateway struct {
	keys  Keys
	scale time.Duration
	fee   int
	http  *http.Client
	now   func() time.Time
	log   *slog.Logger
	file  string
	wake  chan struct{} // buffered: somebody has made something due

	app     *rsa.PublicKey
	service *rsa.PrivateKey
	forger  *rsa.PrivateKey

	mu     sync.Mutex // guards what follows
	trades []*Trade   // oldest first
	codes  []*payCode // of payers' phones
	faults []Fault
	serial int                 // of trades and faults
	files  map[string]billFile // by the token in their address
}

// New opens the stand-in in c.Dir.
func New(c Config) (*Gateway, error) {
	g := &Gateway{
		scale: time.Duration(c.Scale), fee: c.Fee, http: c.HTTP, now: c.Now, log: c.Log,
		file: filepath.Join(c.Dir, "trades.json"), wake: make(chan struct{}, 1),
		files: map[string]billFile{},
	}
	if g.now == nil {
		g.now = time.Now
	}
	if g.scale <= 0 {
		g.scale = 60
	}
	if g.http == nil {
		g.http = &http.Client{Timeout: 5 * time.Second}
	}
	if g.log == nil {
		g.log = slog.Default()
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("lab/alipay: %w", err)
	}
	if err := g.openKeys(c.Dir); err != nil {
		return nil, fmt.Errorf("lab/alipay: %w", err)
	}
	return g, g.load()
}

// saved is the file of trades.
type saved struct {
	Serial int        `json:"serial"`
	Trades []*Trade   `json:"trades"`
	Codes  []*payCode `json:"codes"`
}

func (g *Gateway) load() error {
	b, err := os.ReadFile(g.file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("lab/alipay: %w", err)
	}
	var s saved
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return fmt.Errorf("lab/alipay: %s is damaged: %w", g.file, err)
	}
	g.serial, g.trades, g.codes = s.Serial, s.Trades, s.Codes
	return nil
}

// save writes all trades, and makes the file the new one only when it is
// whole. Its caller holds mu, and has changed the trades.
func (g *Gateway) save() error {
	b, err := json.MarshalIndent(saved{g.serial, g.trades, g.codes}, "", "\t")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(g.file), "trades-*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), g.file)
}

// Run delivers notifications and makes late payments until ctx ends.
func (g *Gateway) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-g.wake:
		case <-timer.C:
		}
		g.payDue(g.now())
		for _, d := range g.due(g.now()) {
			g.deliver(ctx, d)
		}
		timer.Reset(g.untilNext(g.now()))
	}
}

// nudge tells Run that something may be due.
func (g *Gateway) nudge() {
	select {
	case g.wake <- struct{}{}:
	default: // it has been told
	}
}
