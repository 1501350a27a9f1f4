package code

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/gossip"
	"quancun/kiosk/tender"
	"quancun/kiosk/today"
	"quancun/ledger"
	"quancun/ledger/feed"
	"quancun/money"
	"quancun/paycode"
	"quancun/upstream/client"
	"quancun/upstream/ingest"
	"quancun/upstream/phone"
)

// TestPINGivenUp: a sale for which the money is held is given up when a PIN is asked, and
// made anew. No two sales come under one number, so the first keeps nothing from the second.
func TestPINGivenUp(t *testing.T) {
	w := newWorld(t)
	c := w.till("C01")
	c.refuses("s1", w.phone.show(), 60*yuan, tender.ErrPIN)
	w.pass(time.Minute)
	text := w.phone.show()
	c.refuses("s2", text, 70*yuan, tender.ErrPIN)
	sale := tender.Sale{Ref: "s2", Merchant: merchant, Amount: 70 * yuan, PIN: true}
	if s, err := c.Sell(t.Context(), text, sale); err != nil || s.Balance != 30*yuan {
		t.Errorf("with the PIN: %+v, %v", s, err)
	}
	c.push()
	if w.balance() != 30*yuan {
		t.Errorf("%s left", w.balance())
	}
}

// TestOnline sells by the account: the allowance of the dark does not count, and
// the money is held until the journal tells.
func TestOnline(t *testing.T) {
	w := newWorld(t)
	c := w.till("C01")
	s := c.sells("s1", w.phone.show(), 45*yuan)
	if !s.Known || s.Balance != 55*yuan || s.Holder != "王*" {
		t.Errorf("sold %+v, want 55.00 left", s)
	}
	item, err := c.book.Get(t.Context(), "s1")
	w.ok(err)
	d := tender.DetailsOf(item.First.Details)
	if want := (tender.Item{Name: "lunch", Count: 1, Price: 45 * yuan}); !d.Approved || len(d.Items) != 1 || d.Items[0] != want {
		t.Errorf("the journal has %s", item.First.Details)
	}
	c.push()
	w.pass(time.Minute)
	if again, err := c.sell("s1", mustCode(t, c, "s1"), 45*yuan); err != nil || again.Entry != s.Entry {
		t.Errorf("the same sale again: %+v, %v", again, err)
	}
	c.refuses("s2", w.phone.show(), lunch, tender.ErrPIN) // above 50 in a day
	text := w.phone.show()
	if _, err := c.Sell(t.Context(), text, tender.Sale{Ref: "s3", Merchant: merchant, Amount: lunch}); !errors.Is(err, tender.ErrPIN) {
		t.Fatal(err)
	}
	if err := c.Seller.CheckPIN(t.Context(), "s2", (*[6]byte)([]byte("271828"))); err == nil {
		t.Error("the PIN of a sale that is over was checked")
	}
	err = c.Seller.CheckPIN(t.Context(), "s3", (*[6]byte)([]byte("271828")))
	if err != nil || len(c.pins) != 1 || c.pins[0] != account+" 271828" {
		t.Errorf("asked about %q, %v", c.pins, err)
	}
	w.pass(100 * time.Second) // the holder is slow, and the code is too old by now
	if _, err := c.Sell(t.Context(), text, tender.Sale{Ref: "s3", Merchant: merchant, Amount: lunch, PIN: true}); err != nil {
		t.Errorf("with the PIN: %v", err)
	}
	c.push()
	if got := w.balance(); got != 43*yuan || w.inbox() != nil {
		t.Errorf("balance %s, inbox %q", got, w.inbox())
	}
	c.refuses("s4", w.phone.show(), 44*yuan, tender.ErrNotEnough)
}

// TestKept: a code that would have enough, but for what is kept for the card, is told
// how much that is; one that would not in any case is not.
func TestKept(t *testing.T) {
	const reserve = 60 * yuan // of a hundred
	w := newWorld(t)
	w.in = ingest.New(w.books, w.secrets, ingest.Policy{CardReserve: reserve, DailyLimit: 50 * yuan})
	c := w.till("C01")
	for i, tt := range []struct{ amount, kept money.Fen }{{41 * yuan, reserve}, {100 * yuan, reserve}, {101 * yuan, 0}} {
		_, err := c.sell(fmt.Sprint("s", i), w.phone.show(), tt.amount)
		var kept *tender.KeptError
		if is := errors.As(err, &kept); !errors.Is(err, tender.ErrNotEnough) || is != (tt.kept > 0) || is && kept.Kept != tt.kept {
			t.Errorf("%s: %v, want %s to be kept", tt.amount, err, tt.kept)
		}
	}
	c.sells("s9", w.phone.show(), 40*yuan)
}

// mustCode returns the code of a sale that is in the journal.
func mustCode(t *testing.T, c *till, ref string) string {
	t.Helper()
	item, err := c.book.Get(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	var p past
	p.Begin(nil)
	p.Add(item.End, today.Mark{})
	if len(p.codes) != 1 {
		t.Fatalf("%s has no code in it: %s", ref, item.End.Details)
	}
	d := item.End.Details
	return string(d[bytes.Index(d, []byte(`65A`)):bytes.LastIndexByte(d[:bytes.IndexByte(d, ',')], '"')])
}

// TestDark sells within the allowance, and what was sold is booked afterwards.
func TestDark(t *testing.T) {
	w := newWorld(t)
	c := w.till("C01")
	c.away = true
	c.refuses("s1", w.phone.show(), 31*yuan, tender.ErrAllowance) // more than a code is good for
	c.sells("s2", w.phone.show(), 30*yuan)
	c.refuses("s3", w.phone.show(), 11*yuan, tender.ErrAllowance) // more than a day
	c.sells("s4", w.phone.show(), 10*yuan)
	c.refuses("s5", w.phone.show(), 1, tender.ErrAllowance)
	w.pass(24 * time.Hour)
	c.sells("s6", w.phone.show(), 10*yuan) // another day
	w.pass(24*time.Hour + time.Second)
	c.refuses("s7", w.phone.show(), yuan, tender.ErrOffline)
	if _, err := c.sell("s8", w.phone.show(), yuan); kiosk.Explain(err) != kiosk.CodeOldList {
		t.Errorf("%v; want it said that the list of lost phones is two days old", err)
	}
	c.away = false
	c.push()
	if got := w.balance(); got != 50*yuan || w.inbox() != nil {
		t.Errorf("balance %s, inbox %q; want 50.00 and nothing odd", got, w.inbox())
	}
	c.sells("s8", w.phone.show(), yuan) // to ask needs no list
}

// TestRefused is each code that a till must not take. The phone's own codes, and
// what others make of them.
func TestRefused(t *testing.T) {
	w := newWorld(t)
	c := w.till("C01")
	other := newWorld(t)
	for _, away := range []bool{false, true} {
		c.away = away
		shot := w.phone.show()
		w.pass(paycode.LifeMax + paycode.Tolerance + time.Second)
		c.refuses("screenshot", shot, lunch, tender.ErrExpired)
		c.refuses("tomorrow", w.phone.showAt(w.now.Add(24*time.Hour)), lunch, tender.ErrEarly)
		c.refuses("forged", other.phone.showAt(w.now), lunch, tender.ErrInvalid) // the same number, and other keys
		text := w.phone.show()
		c.refuses("half", text[:len(text)/2/3*3], lunch, paycode.ErrHalf)
		c.refuses("none", "281234567890123456", lunch, tender.ErrInvalid)

		used := w.phone.show()
		c.sells("lunch "+c.when(), used, yuan)
		c.refuses("replay", used, yuan, tender.ErrSpent)
		c.restart()
		c.refuses("replay after a restart", used, yuan, tender.ErrSpent)
	}
	w.pass(3 * 24 * time.Hour)
	c.pull()
	w.pass(20 * time.Hour)
	c.refuses("expired", w.phone.show(), lunch, tender.ErrExpired)
}

// when makes a Ref of the time.
func (c *till) when() string { return c.w.now.Format("150405") }

// TestForeign refuses what another school has signed with its own number.
func TestForeign(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	signer, err := paycode.Hardware(other.secrets.Campus())
	w.ok(err)
	g, _, err := paycode.ParseGrant(other.phone.granted)
	w.ok(err)
	g.School = 32
	other.phone.granted, err = paycode.Issue(g, signer)
	w.ok(err)
	c := w.till("C01")
	c.refuses("foreign", other.phone.showAt(w.now), lunch, tender.ErrForeign)
}

// TestEveryBit: no bit of a code is there for nothing.
func TestEveryBit(t *testing.T) {
	w := newWorld(t)
	c := w.till("C01")
	c.away = true
	code, err := paycode.Parse(w.phone.show())
	w.ok(err)
	whole := code.Bytes()
	for i := range len(whole) * 8 {
		b := bytes.Clone(whole)
		b[i/8] ^= 1 << (i % 8)
		wrong, err := paycode.ParseBytes(b)
		if err != nil {
			continue // it has no text
		}
		if s, err := c.sell("x", wrong.Text(), yuan); err == nil {
			t.Fatalf("bit %d of byte %d: sold as %+v", i%8, i/8, s)
		}
	}
	c.sells("whole", code.Text(), yuan)
}

// TestDayInNewEpoch: codes that were taken, and what they came to today, are known in a
// new epoch too, also where the upstream had it all, so that nothing was carried over.
func TestDayInNewEpoch(t *testing.T) {
	for name, told := range map[string]bool{"the upstream has it": true, "carried over": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c := w.till("C01")
			c.away = true
			code := w.phone.show()
			c.sells("s1", code, 30*yuan)
			if told {
				c.push()
			}
			w.ok(c.book.NewEpoch(t.Context(), journal.ReasonForked, journal.Head{}))
			for range 2 {
				c.refuses("s2", code, yuan, tender.ErrSpent)
				c.refuses("s3", w.phone.show(), 11*yuan, tender.ErrAllowance) // more than a day
				c.restart()
			}
			c.sells("s4", w.phone.show(), 10*yuan)
		})
	}
}

// TestDayGone: the old journal of today is missing. Nobody can tell what was taken, so no
// code is taken in the dark any more, with the reason of that, until it is tomorrow or the
// upstream is back.
func TestDayGone(t *testing.T) {
	w := newWorld(t)
	c := w.till("C01")
	c.away = true
	c.sells("s1", w.phone.show(), 30*yuan)
	c.push()
	old := strings.TrimSuffix(c.path, ".db") + "." + c.book.Epoch().String() + ".db"
	w.ok(c.book.NewEpoch(t.Context(), journal.ReasonForked, journal.Head{}))
	w.ok(os.Remove(old))
	for range 2 {
		if o := c.Outlook(t.Context()); !o.Unknown || o.Closed != nil {
			t.Errorf("before a code is shown it says %+v", o)
		}
		_, err := c.sell("s2", w.phone.show(), yuan)
		if !errors.Is(err, tender.ErrOffline) || kiosk.Explain(err) != kiosk.CodePast {
			t.Errorf("sold in the dark: %v (%d), want CodePast", err, kiosk.Explain(err))
		}
		c.restart()
	}
	c.away = false
	c.push()
	c.sells("s3", w.phone.show(), yuan)
	c.away = true
	w.pass(13 * time.Hour)
	c.pull()
	if o := c.Outlook(t.Context()); o != (tender.Outlook{}) {
		t.Errorf("on the next day it says %+v", o)
	}
	c.sells("s4", w.phone.show(), yuan)
}

// TestLostPhone: a terminal that knows refuses; one that does not sells what the
// upstream then lists.
func TestLostPhone(t *testing.T) {
	w := newWorld(t)
	near, far := w.till("C01"), w.till("C02")
	far.away = true
	w.pass(time.Minute)
	w.ok(phone.Revoke(t.Context(), w.books, w.phone.key.Public().ID(), "reported lost"))
	near.pull()
	w.pass(time.Second)
	near.refuses("lost", w.phone.show(), lunch, tender.ErrRevoked)
	far.sells("unheard of", w.phone.show(), lunch)
	far.push()
	if got := w.inbox(); !slices.Equal(got, []string{"code of a lost phone"}) || w.balance() != 88*yuan {
		t.Errorf("inbox %q, balance %s", got, w.balance())
	}
}

// TestNoKeys: a terminal that has not heard of any key takes nothing.
func TestNoKeys(t *testing.T) {
	w := newWorld(t)
	c := w.till("C01")
	feeds, err := feed.Open(t.Context(), filepath.Join(t.TempDir(), "feeds.db"))
	w.ok(err)
	defer feeds.Close()
	c.Feeds = feeds
	c.refuses("s1", w.phone.show(), lunch, tender.ErrClosed)
	if o := c.Outlook(t.Context()); !errors.Is(o.Closed, tender.ErrClosed) {
		t.Errorf("before a code is shown it says %+v", o)
	}
	c.pull()
	if o := c.Outlook(t.Context()); o != (tender.Outlook{}) {
		t.Errorf("once the keys are here it says %+v", o)
	}
	c.sells("s2", w.phone.show(), lunch)
}

// TestTwoTills shows one code at two terminals in the dark. Without gossip both
// sell, and the upstream lists it; with gossip the second refuses.
func TestTwoTills(t *testing.T) {
	w := newWorld(t)
	a, b := w.till("C01"), w.till("C02")
	a.away, b.away = true, true
	code := w.phone.show()
	a.sells("s1", code, lunch)
	b.sells("s2", code, lunch)
	a.push()
	b.push()
	if got := w.inbox(); !slices.Equal(got, []string{"code used twice"}) {
		t.Errorf("inbox %q, want the code to be listed", got)
	}

	w.circle(a, b)
	w.pass(24 * time.Hour) // another day's allowance
	code = w.phone.show()
	a.sells("s3", code, lunch)
	heard(t, b, code)
	b.refuses("s4", code, lunch, tender.ErrSpent)
	b.sells("s5", w.phone.show(), 28*yuan)
	b.refuses("s6", w.phone.show(), yuan, tender.ErrAllowance) // 12 next door and 28 here
	a.push()
	b.push()
	if got := w.inbox(); len(got) != 1 {
		t.Errorf("inbox %q, want nothing new", got)
	}
}

// circle makes tills neighbours.
func (w *world) circle(all ...*till) {
	w.t.Helper()
	var conns []net.PacketConn
	for range all {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		w.ok(err)
		conns = append(conns, conn)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for i, c := range all {
		paper, err := journal.Certify(c.id, c.key.Public().(ed25519.PublicKey), w.now, w.secrets.Campus())
		w.ok(err)
		var peers []net.Addr
		for _, conn := range conns { // itself too, as in a group
			peers = append(peers, conn.LocalAddr())
		}
		at := w.now.Add(24 * time.Hour) // the world's clock belongs to the test
		g := gossip.New(gossip.Config{
			Key: c.key, Paper: paper,
			Campus: w.secrets.Campus().Public().(ed25519.PublicKey), Now: func() time.Time { return at },
			Log: slog.New(slog.DiscardHandler),
		})
		c.Neighbours = g
		running.Go(func() { g.Run(ctx, conns[i], peers) })
	}
	w.t.Cleanup(func() {
		cancel()
		running.Wait()
		for _, conn := range conns {
			conn.Close()
		}
	})
}

// heard waits until a till has heard of a code.
func heard(t *testing.T, c *till, text string) {
	t.Helper()
	code, err := paycode.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(time.Millisecond) {
		if _, taken := c.Neighbours.Taken(code.Use()); taken {
			return
		}
	}
	t.Fatal("not heard")
}

// TestSlow: an upstream that does not answer in time is none. What it holds all
// the same is captured by the sale that was made without it.
func TestSlow(t *testing.T) {
	w := newWorld(t)
	c := w.till("C01")
	c.Upstream = deaf{c}
	s, err := c.sell("s1", w.phone.show(), lunch)
	if err != nil || s.Online || s.Known {
		t.Fatalf("sold %+v, %v; want it sold alone", s, err)
	}
	c.Upstream = c
	c.push()
	if got := w.balance(); got != 88*yuan || w.inbox() != nil {
		t.Errorf("balance %s, inbox %q", got, w.inbox())
	}
	c.sells("s2", w.phone.show(), 30*yuan)
	if c.push(); w.balance() != 58*yuan { // nothing is held any more
		t.Errorf("balance %s", w.balance())
	}
}

// deaf is an upstream whose answers get lost.
type deaf struct{ Authorizer }

func (d deaf) Authorize(ctx context.Context, q client.AuthorizeRequest) (client.Approval, error) {
	if _, err := d.Authorizer.Authorize(ctx, q); err != nil {
		return client.Approval{}, err
	}
	return client.Approval{}, context.DeadlineExceeded
}

// TestMidnight: a code that was taken before midnight is spent after it.
func TestMidnight(t *testing.T) {
	w := newWorld(t)
	c := w.till("C01")
	c.away = true
	w.now = time.Date(2026, 3, 2, 15, 59, 50, 0, time.UTC)
	code := w.phone.show()
	c.sells("s1", code, lunch)
	w.pass(20 * time.Second)
	c.refuses("s2", code, lunch, tender.ErrSpent)
	c.restart()
	c.refuses("s3", code, lunch, tender.ErrSpent)
	c.sells("s4", w.phone.show(), 30*yuan)
}

// TestClockJumps has the clock of a till in the dark run three years ahead for a while,
// in which something is written, and set back: its journal is dated by then for years.
// What a phone may spend in a day is spent in a day, neither more nor less.
func TestClockJumps(t *testing.T) {
	w := newWorld(t)
	c := w.till("C01")
	c.away = true
	c.sells("s1", w.phone.show(), 10*yuan)
	const years = 3 * 365 * 24 * time.Hour
	c.ahead = years
	c.notes("n1")
	c.refuses("s2", w.phone.showAt(w.now.Add(years)), 31*yuan, tender.ErrExpired) // its grant has ended by then
	c.ahead = 0
	c.sells("s3", w.phone.show(), 20*yuan)
	c.refuses("s4", w.phone.show(), 11*yuan, tender.ErrAllowance)
	c.restart()
	c.refuses("s5", w.phone.show(), 11*yuan, tender.ErrAllowance)
	c.sells("s6", w.phone.show(), 10*yuan)
	for day := range 3 {
		w.pass(20 * time.Hour)
		c.boot() // it is switched off at night
		c.pull()
		w.pass(time.Hour)
		c.sells(fmt.Sprint("t", day), w.phone.show(), 30*yuan)
		c.refuses(fmt.Sprint("u", day), w.phone.show(), 11*yuan, tender.ErrAllowance)
		c.sells(fmt.Sprint("v", day), w.phone.show(), 10*yuan)
		c.refuses(fmt.Sprint("w", day), w.phone.show(), 1, tender.ErrAllowance)
		w.pass(3 * time.Hour)
	}
}

// TestClockWrong has a machine's clock wrong for good, and the upstream's time is gone
// by: what the journal dates in three years is today's.
func TestClockWrong(t *testing.T) {
	w := newWorld(t)
	c := w.till("C01")
	c.away = true
	for _, ahead := range []time.Duration{3 * 365 * 24 * time.Hour, -30 * time.Hour} {
		c.ahead = ahead
		c.Seller.Now, c.Seller.Ahead = func() time.Time { return w.now }, func() time.Duration { return ahead }
		for day := range 2 {
			ref := fmt.Sprint(ahead, day)
			c.sells("s"+ref, w.phone.show(), 30*yuan)
			c.refuses("t"+ref, w.phone.show(), 11*yuan, tender.ErrAllowance)
			w.pass(24 * time.Hour)
			c.pull()
		}
	}
}

// notes writes something that is no sale.
func (c *till) notes(ref string) {
	c.w.t.Helper()
	_, err := c.book.Append(c.w.t.Context(), journal.Entry{
		Kind: journal.SaleIntent, Ref: ref, Card: "00002026000100012345", Merchant: merchant, Amount: yuan,
	})
	c.w.ok(err)
}

// TestBusy: somebody else writes between the question and the sale.
func TestBusy(t *testing.T) {
	w := newWorld(t)
	c := w.till("C01")
	times := 2
	c.Upstream = writing{c, func() {
		if times--; times >= 0 {
			_, err := c.book.Append(t.Context(), journal.Entry{
				Kind: journal.DrawerOpened, Ref: fmt.Sprintf("drawer-%d", times), Operator: "c7",
			})
			w.ok(err)
		}
	}}
	c.sells("s1", w.phone.show(), lunch)
	c.push()
	if got := w.balance(); got != 88*yuan || w.inbox() != nil {
		t.Errorf("balance %s, inbox %q", got, w.inbox())
	}
	times = 100
	if s, err := c.sell("s2", w.phone.show(), lunch); !errors.Is(err, ErrBusy) {
		t.Errorf("sold %+v, %v; want ErrBusy", s, err)
	}
}

// TestBetween: somebody else writes between the upstream's word and the entry, and takes
// the number under which the money is held. The sale is asked for again, under its own.
func TestBetween(t *testing.T) {
	w := newWorld(t)
	c := w.till("C01")
	b := &between{Book: c.book}
	b.write = func() {
		b.write = nil
		_, err := c.book.Append(t.Context(), journal.Entry{Kind: journal.DrawerOpened, Ref: "drawer", Operator: "c7"})
		w.ok(err)
	}
	var asked []int64
	c.Book, c.Upstream = b, noting{c, func(seq int64) { asked = append(asked, seq) }}
	s := c.sells("s1", w.phone.show(), lunch)
	if len(asked) != 2 || s.Entry != asked[1] || asked[1] != asked[0]+1 {
		t.Errorf("sold as entry %d, asked for as %d", s.Entry, asked)
	}
	c.push()
	if got := w.balance(); got != 88*yuan || w.inbox() != nil {
		t.Errorf("balance %s, inbox %q", got, w.inbox())
	}
}

// between is a journal into which somebody else writes just before an entry.
type between struct {
	Book
	write func()
}

func (b *between) first() {
	if b.write != nil {
		b.write()
	}
}

func (b *between) Append(ctx context.Context, e journal.Entry) (journal.Entry, error) {
	b.first()
	return b.Book.Append(ctx, e)
}

func (b *between) AppendAt(ctx context.Context, e journal.Entry, epoch journal.Epoch, seq int64) (journal.Entry, error) {
	b.first()
	return b.Book.AppendAt(ctx, e, epoch, seq)
}

// noting is an upstream that is asked for numbers.
type noting struct {
	Authorizer
	asked func(seq int64)
}

func (u noting) Authorize(ctx context.Context, q client.AuthorizeRequest) (client.Approval, error) {
	u.asked(q.Seq)
	return u.Authorizer.Authorize(ctx, q)
}

// writing is an upstream while which answers something is written.
type writing struct {
	Authorizer
	write func()
}

func (u writing) Authorize(ctx context.Context, q client.AuthorizeRequest) (client.Approval, error) {
	a, err := u.Authorizer.Authorize(ctx, q)
	u.write()
	return a, err
}

// TestKilled ends the program while the sale is being written down, before the
// entry is on the disk and after. Whoever asks again gets one sale, and the code is
// good for no other.
func TestKilled(t *testing.T) {
	for _, kept := range []bool{false, true} {
		for _, away := range []bool{false, true} {
			w := newWorld(t)
			c := w.till("C01")
			c.away = away
			c.Book = dying{c.book, kept}
			text := w.phone.show()
			if s, err := c.sell("s1", text, lunch); !errors.Is(err, tender.ErrUnknown) {
				t.Errorf("kept %t: %+v, %v; want it unknown", kept, s, err)
			}
			c.restart()
			if kept {
				c.refuses("s2", text, lunch, tender.ErrSpent)
			}
			if s, err := c.sell("s1", text, lunch); err != nil || s.Entry == 0 {
				t.Errorf("kept %t, away %t: %+v, %v; want it sold", kept, away, s, err)
			}
			c.refuses("s3", text, lunch, tender.ErrSpent)
			c.push()
			if got := w.balance(); got != 88*yuan || w.inbox() != nil {
				t.Errorf("kept %t, away %t: balance %s, inbox %q", kept, away, got, w.inbox())
			}
		}
	}
}

// dying is a journal whose disk fails.
type dying struct {
	Book
	kept bool // what it was given is on the disk all the same
}

func (d dying) Append(ctx context.Context, e journal.Entry) (journal.Entry, error) {
	return d.fail(func() (journal.Entry, error) { return d.Book.Append(ctx, e) })
}

func (d dying) AppendAt(ctx context.Context, e journal.Entry, epoch journal.Epoch, seq int64) (journal.Entry, error) {
	return d.fail(func() (journal.Entry, error) { return d.Book.AppendAt(ctx, e, epoch, seq) })
}

func (d dying) fail(write func() (journal.Entry, error)) (journal.Entry, error) {
	if d.kept {
		if _, err := write(); err != nil {
			return journal.Entry{}, err
		}
	}
	return journal.Entry{}, ledger.ErrFailed
}

// TestConflict: a Ref is one sale. What else is asked for under it is refused.
func TestConflict(t *testing.T) {
	w := newWorld(t)
	c := w.till("C01")
	c.sells("s1", w.phone.show(), lunch)
	c.refuses("s1", w.phone.show(), lunch, ledger.ErrConflict)
	c.refuses("s1", mustCode(t, c, "s1"), lunch+1, ledger.ErrConflict)
}

// TestTwoTillsOnline: the upstream gives one terminal the money for a code, and no
// other, also before the first has told of the sale.
func TestTwoTillsOnline(t *testing.T) {
	w := newWorld(t)
	a, b := w.till("C01"), w.till("C02")
	code := w.phone.show()
	a.sells("s1", code, lunch)
	b.refuses("s2", code, lunch, tender.ErrSpent)
	a.push()
	b.refuses("s3", code, lunch, tender.ErrSpent)
	b.sells("s4", w.phone.show(), lunch)

	code = w.phone.show()
	a.away = true
	a.sells("s5", code, lunch) // in the dark, and told of before the other asks
	a.push()
	b.refuses("s6", code, lunch, tender.ErrSpent)

	w.pass(time.Second)
	w.ok(phone.Revoke(t.Context(), w.books, w.phone.key.Public().ID(), "reported lost"))
	b.refuses("s7", w.phone.show(), lunch, tender.ErrRevoked) // of which only the upstream knows
	b.push()
	if got := w.balance(); got != 64*yuan || w.inbox() != nil {
		t.Errorf("balance %s, inbox %q", got, w.inbox())
	}
}
