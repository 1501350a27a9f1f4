package alipay_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"quancun/beijing"
	lab "quancun/lab/alipay"
	adapter "quancun/upstream/alipay"
	"quancun/upstream/channel"
)

// patience is how long the adapter waits in these tests: long enough for a busy
// machine. Where the gateway is slow, by late, it waits for less.
const (
	patience      = 20 * time.Second
	patienceShort = time.Second
	late          = 1300 * time.Millisecond
)

// keyDir holds one set of keys for the whole run, because making them is slow.
var keyDir = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "lab-keys-")
	if err != nil {
		panic(err)
	}
	if _, err := lab.New(lab.Config{Dir: dir}); err != nil {
		panic(err)
	}
	return dir
})

// TestMain sees to it that no test leaves a goroutine behind, nor keys.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(keyDir())
		os.Exit(code)
	}))
}

// world is a stand-in at work, the adapter that speaks with it, and a receiver
// of notifications.
type world struct {
	*lab.Gateway
	*adapter.Client
	dir, url  string
	notifyURL string
	shut      func()                    // stops the stand-in
	clock     atomic.Pointer[time.Time] // the stand-in's, if it stands still

	mu      sync.Mutex
	notices []channel.Trade // genuine ones, guarded by mu
	forged  int             // guarded by mu
	refuse  bool            // the receiver answers 503; guarded by mu
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{dir: t.TempDir()}
	files, err := filepath.Glob(filepath.Join(keyDir(), "*.pem"))
	if err != nil || len(files) == 0 {
		t.Fatal("no keys", err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(w.dir, filepath.Base(f)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.open(t)
	return w
}

// open starts the stand-in over what is in w.dir, until the test ends.
func (w *world) open(t *testing.T) {
	t.Helper()
	g, err := lab.New(lab.Config{Dir: w.dir, Scale: 1200, Fee: 60, Now: w.now}) // the first resend after 200 ms
	if err != nil {
		t.Fatal(err)
	}
	w.Gateway = g
	server := httptest.NewServer(g)
	receiver := httptest.NewServer(http.HandlerFunc(w.receive))
	w.url = server.URL
	w.notifyURL = receiver.URL
	w.Client, err = newAdapter(w, &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- g.Run(ctx) }()
	w.shut = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run() = %v", err)
		}
		server.Close()
		receiver.Close()
	})
	t.Cleanup(w.shut)
}

// now is the stand-in's clock.
func (w *world) now() time.Time {
	if at := w.clock.Load(); at != nil {
		return *at
	}
	return time.Now()
}

// set stops the stand-in's clock at a time in Beijing.
func (w *world) set(t *testing.T, at string) {
	t.Helper()
	to, err := time.ParseInLocation(time.DateTime, at, beijing.Zone)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Store(&to)
}

func newAdapter(w *world, h *http.Client) (*adapter.Client, error) {
	return adapter.New(adapter.Config{
		AppID: lab.AppID, PrivateKeyFile: w.Keys().AppPrivate, AlipayPublicKeyFile: w.Keys().AlipayPublic,
		Gateway: w.url, NotifyURL: w.notifyURL, HTTP: h,
	})
}

func (w *world) receive(rw http.ResponseWriter, r *http.Request) {
	got, err := w.Notice(r)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.refuse:
		http.Error(rw, "busy", http.StatusServiceUnavailable)
	case errors.Is(err, channel.ErrForged):
		w.forged++
		http.Error(rw, "forged", http.StatusForbidden)
	case err == nil:
		w.notices = append(w.notices, got)
		w.Acknowledge(rw)
	}
}

func (w *world) received() (notices, forged int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.notices), w.forged
}

func (w *world) said() []channel.Trade {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.notices)
}

// order returns an order for the terminal to place.
func order(no string) channel.Order {
	return channel.Order{No: no, Amount: 2000, Subject: "校园卡充值", Terminal: "K01", Life: 2 * time.Minute}
}

// place places an order and lets the payer go as far as said.
func (w *world) place(t *testing.T, no string, payer lab.Status) (qr string) {
	t.Helper()
	qr, err := w.Precreate(t.Context(), order(no))
	if err == nil {
		switch payer {
		case lab.Waiting:
			_, err = w.Scan(qr)
		case lab.Success:
			_, err = w.Pay(qr, 0)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return qr
}

func (w *world) arm(t *testing.T, f lab.Fault) {
	t.Helper()
	if _, err := w.Arm(f); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for what happens by itself.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: did not happen within 20 s", what)
		}
	}
}
