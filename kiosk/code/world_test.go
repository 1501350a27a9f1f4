package code

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"quancun/journal"
	"quancun/kiosk/rules"
	"quancun/kiosk/tender"
	"quancun/ledger"
	"quancun/ledger/feed"
	"quancun/money"
	"quancun/paycode"
	"quancun/upstream/client"
	"quancun/upstream/ingest"
	"quancun/upstream/keys"
	"quancun/upstream/phone"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	yuan     = money.Yuan
	account  = "2026000101"
	merchant = "canteen-1"
	lunch    = 12 * yuan
)

var errAway = errors.New("upstream is away")

// world is a campus: the books behind campusd, a holder with a phone, and tills.
// Nothing is between them but function calls, which can be cut.
type world struct {
	t        *testing.T
	start    time.Time
	now      time.Time
	books    *store.Books
	in       *ingest.Ingest
	registry *phone.Registry
	phone    *handset
	secrets  *keys.Software
}

func newWorld(t *testing.T) *world {
	t.Helper()
	noon := time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)
	w := &world{t: t, start: noon, now: noon}
	dir := t.TempDir()
	var err error
	w.secrets, err = keys.OpenSoftware(filepath.Join(dir, "keys.json"))
	w.ok(err)
	w.books, err = booktest.Open(t.Context(), filepath.Join(dir, "books.db"), func() time.Time { return w.now })
	w.ok(err)
	t.Cleanup(func() { w.books.Close() })
	w.in = ingest.New(w.books, w.secrets, ingest.Policy{DailyLimit: 50 * yuan})
	signer, err := paycode.Hardware(w.secrets.Campus())
	w.ok(err)
	p := phone.Policy{School: 31, CodeMax: 30 * yuan, DayMax: 40 * yuan, Days: 3}
	w.registry, err = phone.Open(t.Context(), w.books, p, signer)
	w.ok(err)
	h := store.Holder{Account: store.HolderAccount(account), Name: "王喆", Number: account}
	w.ok(w.books.AddHolder(t.Context(), h, store.PIN{}, 100*yuan))
	w.phone = w.bind([32]byte{1})
	return w
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// pass lets time pass.
func (w *world) pass(d time.Duration) { w.now = w.now.Add(d) }

// balance is the holder's.
func (w *world) balance() money.Fen {
	w.t.Helper()
	b, err := w.books.Balance(w.t.Context(), store.HolderAccount(account))
	w.ok(err)
	return b
}

// inbox returns the kinds of what somebody has to look at.
func (w *world) inbox() (kinds []string) {
	w.t.Helper()
	all, err := w.books.Exceptions(w.t.Context())
	w.ok(err)
	for _, x := range all {
		kinds = append(kinds, x.Kind)
	}
	return kinds
}

// handset is a phone.
type handset struct {
	w       *world
	key     *paycode.PrivateKey
	granted []byte
	made    uint16
}

// bind makes a phone the holder's.
func (w *world) bind(code [32]byte) *handset {
	w.t.Helper()
	key, err := paycode.GenerateKey(paycode.Ed25519)
	w.ok(err)
	w.ok(phone.Invite(w.t.Context(), w.books, account, code, w.now.Add(time.Hour)))
	granted, err := w.registry.Bind(w.t.Context(), code, key.Public(), "phone")
	w.ok(err)
	return &handset{w: w, key: key, granted: granted}
}

// show returns the next code.
func (h *handset) show() string { return h.showAt(h.w.now) }

func (h *handset) showAt(at time.Time) string {
	h.w.t.Helper()
	h.made++
	c, err := paycode.Show(h.granted, at, h.made, h.key)
	h.w.ok(err)
	return c.Text()
}

// till is a terminal.
type till struct {
	*Seller
	w    *world
	id   string
	path string
	key  ed25519.PrivateKey
	book *ledger.Book
	away bool // upstream is

	ahead  time.Duration // by which its machine's clock is
	booted time.Time     // when its machine was started

	pins []string // that the upstream was asked about, after their accounts
}

func (w *world) till(id string) *till {
	w.t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	w.ok(err)
	_, err = w.books.AddTerminal(w.t.Context(), store.Terminal{ID: id})
	w.ok(err)
	c := &till{w: w, id: id, path: filepath.Join(w.t.TempDir(), "journal.db"), key: key}
	c.booted = w.start.Add(-time.Hour)
	c.start()
	w.t.Cleanup(func() { c.book.Close() })
	c.pull()
	c.push()
	return c
}

// start starts the terminal's program.
func (c *till) start() {
	c.w.t.Helper()
	var err error
	c.book, err = ledger.Open(c.w.t.Context(), c.path, ledger.Options{
		Terminal: c.id, Key: c.key, Now: c.clock, Uptime: func() time.Duration { return c.w.now.Sub(c.booted) },
	})
	c.w.ok(err)
	feeds, err := feed.Open(c.w.t.Context(), filepath.Join(filepath.Dir(c.path), "feeds.db"))
	c.w.ok(err)
	c.w.t.Cleanup(func() { feeds.Close() })
	c.Seller = &Seller{
		Book: c.book, Upstream: c, Push: c, Feeds: feeds, Rules: rules.Default, Now: c.clock,
		Budget: 10 * time.Second, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	}
}

// clock is its machine's.
func (c *till) clock() time.Time { return c.w.now.Add(c.ahead) }

// boot is a machine that is switched off, and on again.
func (c *till) boot() {
	c.booted = c.w.now.Add(-time.Minute)
	c.restart()
}

// restart is what a power cut leaves.
func (c *till) restart() {
	c.w.t.Helper()
	c.w.ok(c.book.Close())
	c.Feeds.(*feed.Feeds).Close()
	c.start()
}

// terminal is this one as the upstream has it.
func (c *till) terminal() store.Terminal {
	t, err := c.w.books.Terminal(c.w.t.Context(), c.id)
	c.w.ok(err)
	t.JournalKey = c.key.Public().(ed25519.PublicKey)
	return t
}

// Authorize is the way upstream.
func (c *till) Authorize(ctx context.Context, q client.AuthorizeRequest) (client.Approval, error) {
	if c.away {
		return client.Approval{}, errAway
	}
	a, err := c.w.in.Authorize(ctx, c.terminal(), ingest.Request{
		Epoch: q.Epoch, Seq: q.Seq, Attempt: q.Attempt, CardNo: q.CardNo, Account: q.Account, Merchant: q.Merchant,
		Amount: q.Amount, Virtual: q.Virtual, Code: q.Code,
	})
	return client.Approval{
		Approved: a.Approved, Reason: client.Reason(a.Reason), Available: a.Available, SpentToday: a.SpentToday,
		Kept: a.Kept, DailyLimit: a.DailyLimit, Holder: "王*",
	}, err
}

// CheckPIN is the way upstream, for a PIN.
func (c *till) CheckPIN(_ context.Context, account string, pin *[6]byte) error {
	if c.away {
		return errAway
	}
	c.pins = append(c.pins, account+" "+string(pin[:]))
	return nil
}

// Heard is what a Pusher does.
func (c *till) Heard(journal.Head, bool) {}

// push tells the upstream all that it does not have.
func (c *till) push() {
	c.w.t.Helper()
	for {
		acked, err := c.book.Acked(c.w.t.Context())
		c.w.ok(err)
		b, err := c.book.Batch(c.w.t.Context(), acked.Seq+1, journal.BatchMax)
		c.w.ok(err)
		if len(b.Bodies) == 0 {
			return
		}
		ack, err := c.w.in.Push(c.w.t.Context(), c.terminal(), b)
		c.w.ok(err)
		c.w.ok(c.book.Acknowledge(c.w.t.Context(), ack))
	}
}

// pull gets the keys.
func (c *till) pull() {
	c.w.t.Helper()
	version, content, err := c.w.books.Content(c.w.t.Context(), feed.Keys)
	c.w.ok(err)
	err = c.Feeds.(*feed.Feeds).Apply(c.w.t.Context(), feed.Update{
		Name: feed.Keys, Version: version, Issued: c.w.now, Content: content,
	})
	if errors.Is(err, feed.ErrOld) {
		err = c.Feeds.(*feed.Feeds).Checked(c.w.t.Context(), feed.Keys, version, c.w.now)
	}
	c.w.ok(err)
}

// sell sells for a code, under a Ref of its own.
func (c *till) sell(ref, text string, amount money.Fen) (tender.Sold, error) {
	return c.Sell(c.w.t.Context(), text, tender.Sale{
		Ref: ref, Merchant: merchant, Amount: amount, Items: []tender.Item{{Name: "lunch", Count: 1, Price: amount}},
	})
}

// sells wants it to be sold.
func (c *till) sells(ref, text string, amount money.Fen) tender.Sold {
	c.w.t.Helper()
	ref = strings.ReplaceAll(ref, " ", "-")
	s, err := c.sell(ref, text, amount)
	if err != nil || s.Entry == 0 || s.Online == c.away {
		c.w.t.Errorf("%s: %+v, %v; want it sold", ref, s, err)
	}
	return s
}

// refuses wants it to be refused, and the journal to be as it was.
func (c *till) refuses(ref, text string, amount money.Fen, want error) {
	c.w.t.Helper()
	ref = strings.ReplaceAll(ref, " ", "-")
	before, err := c.book.Head(c.w.t.Context())
	c.w.ok(err)
	s, err := c.sell(ref, text, amount)
	after, _ := c.book.Head(c.w.t.Context())
	if !errors.Is(err, want) || errors.Is(err, tender.ErrUnknown) || s != (tender.Sold{}) || before != after {
		c.w.t.Errorf("%s: %+v, %v; want %v and an untouched journal", ref, s, err, want)
	}
}
