package server_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"quancun/bathcode"
	"quancun/journal"
	"quancun/kiosk"
	"quancun/ledger"
	"quancun/ledger/feed"
	"quancun/ledger/push"
	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/bath"
	"quancun/upstream/client"
	"quancun/upstream/ingest"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
	"quancun/water"
)

// machine is a terminal's real journal and feeds, and their way to the upstream
// over mutual TLS.
type machine struct {
	*ledger.Book
	w      *world
	path   string // of the journal
	o      ledger.Options
	client *client.Client
	feeds  *feed.Feeds
	pusher *push.Pusher
	puller *feed.Puller
}

func (w *world) newMachine(id string) *machine {
	w.t.Helper()
	seed := sha256.Sum256([]byte(id))
	key := ed25519.NewKeyFromSeed(seed[:])
	p := w.provision(id)
	p.CampusKey = w.keys.Campus().Public().(ed25519.PublicKey)
	err := w.books.Write(w.t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(w.t.Context(), `UPDATE terminals SET journal_key = ? WHERE id = ?`,
			[]byte(key.Public().(ed25519.PublicKey)), id)
		return err
	})
	m := &machine{
		w: w, path: filepath.Join(w.t.TempDir(), "journal.db"), client: client.Dial(p, client.Options{}),
		o: ledger.Options{Terminal: id, Key: key, Campus: p.CampusKey},
	}
	w.t.Cleanup(m.client.Close)
	if err == nil {
		m.feeds, err = feed.Open(w.t.Context(), filepath.Join(w.t.TempDir(), "feeds.db"))
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { m.feeds.Close() })
	m.open()
	w.t.Cleanup(func() { m.Close() })
	return m
}

// open starts the machine's program.
func (m *machine) open() {
	m.w.t.Helper()
	var err error
	if m.Book, err = ledger.Open(m.w.t.Context(), m.path, m.o); err != nil {
		m.w.t.Fatal(err)
	}
	m.dial()
}

// dial begins to speak to the upstream.
func (m *machine) dial() {
	log := slog.New(slog.NewTextHandler(m.w.t.Output(), nil))
	m.pusher = push.New(push.Options{Book: m.Book, Upstream: m.client, Campus: m.o.Campus, Log: log})
	m.puller = feed.NewPuller(m.feeds, kiosk.FeedSource(m.client), log)
}

// round greets the upstream, and pushes and pulls until all is level, as
// programs do by themselves.
func (m *machine) round() {
	m.w.t.Helper()
	ctx := m.w.t.Context()
	hello := m.greet()
	m.pusher.Heard(hello.Journal, false)
	for more := true; more; {
		var err error
		if more, err = m.pusher.Step(ctx); err != nil {
			m.w.t.Fatalf("%s: push: %v", m.o.Terminal, err)
		}
	}
	m.puller.Heard(ctx, hello.Feeds, hello.Time)
	if err := m.puller.Level(ctx); err != nil {
		m.w.t.Fatal(err)
	}
	if wait, err := m.Waiting(ctx); err != nil || wait.Count > 0 {
		m.w.t.Fatalf("%s: %d entries do not go up, %v", m.o.Terminal, wait.Count, err)
	}
}

// greet says how far the journal has come, and up to where it was acknowledged.
func (m *machine) greet() client.Welcome {
	m.w.t.Helper()
	ctx := m.w.t.Context()
	head, err1 := m.Head(ctx)
	acked, err2 := m.Acked(ctx)
	if err := errors.Join(err1, err2); err != nil {
		m.w.t.Fatal(err)
	}
	says := client.Hello{Version: "test", Journal: head, Acked: acked.Seq}
	hello, err := m.client.Hello(ctx, says)
	if err != nil { // a connection of before the crash
		if hello, err = m.client.Hello(ctx, says); err != nil {
			m.w.t.Fatal(err)
		}
	}
	return hello
}

func (m *machine) write(e journal.Entry) journal.Entry {
	m.w.t.Helper()
	e, err := m.Append(m.w.t.Context(), e)
	if err != nil {
		m.w.t.Fatal(err)
	}
	return e
}

func (m *machine) sale(ref string, amount money.Fen) {
	m.w.t.Helper()
	m.write(journal.Entry{Kind: journal.CodeSale, Ref: ref, Account: account, Merchant: "m1", Amount: amount})
}

// intend announces a purchase at a counter of the card.
func (m *machine) intend(ref string, counter uint16, amount money.Fen, details string) {
	m.w.t.Helper()
	m.write(journal.Entry{
		Kind: journal.SaleIntent, Ref: ref, Card: cardNo, Merchant: "m1", Amount: amount, Details: json.RawMessage(details),
		Purse: &journal.Purse{
			Balance: 9000, Counter: counter, TraceNo: uint32(counter), Stamp: pboc.Stamp{0x20, 0x26},
			TerminalNo: pboc.TerminalNo{5: 9},
		},
	})
}

// reopen goes on in a new epoch, as if the upstream had called for it.
func (m *machine) reopen(reason string) {
	m.w.t.Helper()
	if err := m.NewEpoch(m.w.t.Context(), reason, journal.Head{}); err != nil {
		m.w.t.Fatal(err)
	}
	m.dial()
}

// copyBooks puts a copy of the books away, as every night.
func (w *world) copyBooks() (content []byte) {
	w.t.Helper()
	w.stop()
	content, err := os.ReadFile(w.dsn)
	if err != nil {
		w.t.Fatal(err)
	}
	w.start(true)
	return content
}

// restoreBooks starts again from a copy.
func (w *world) restoreBooks(content []byte) {
	w.t.Helper()
	w.stop()
	if err := os.WriteFile(w.dsn, content, 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.start(true)
}

// inbox returns how many lines there are of each kind.
func (w *world) inbox() map[ingest.ExceptionKind]int {
	w.t.Helper()
	lines, err := w.books.Exceptions(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	kinds := map[ingest.ExceptionKind]int{}
	for _, l := range lines {
		kinds[ingest.ExceptionKind(l.Kind)]++
	}
	return kinds
}

func (w *world) openClaims() (refs []string) {
	w.t.Helper()
	claims, err := w.journals.Claims(w.t.Context(), cardNo)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range claims {
		refs = append(refs, c.Ref)
	}
	slices.Sort(refs)
	return refs
}

// TestUpstreamRestoredFromYesterday restores the upstream from a copy, several
// times, after which terminals have sold, gone on in new epochs, and settled what
// was open. Whatever the upstream had acknowledged comes again, and counts once.
func TestUpstreamRestoredFromYesterday(t *testing.T) {
	w := newWorldOn(t, "") // in a file, which can be copied
	a, b := w.newMachine("K10"), w.newMachine("K11")
	all := func() { a.round(); b.round() }
	a.sale("a1", yuan)
	b.intend("torn", 1, 2*yuan, "")
	b.write(journal.Entry{Kind: journal.SaleDoubt, Ref: "torn"})
	all()
	yesterday := w.copyBooks()

	a.sale("a2", 3*yuan)
	a.sale("a3", 4*yuan)
	b.write(journal.Entry{Kind: journal.SaleEnd, Ref: "torn", Outcome: journal.NotWritten})
	b.intend("torn2", 2, 5*yuan, "")
	b.write(journal.Entry{Kind: journal.SaleDoubt, Ref: "torn2"})
	all()
	a.sale("unsent", 6*yuan)
	a.reopen(journal.ReasonForked)
	a.sale("a4", 7*yuan)
	a.round()
	a.reopen(journal.ReasonRewound)
	a.sale("a5", 8*yuan)
	all()
	truth := func() {
		t.Helper()
		w.balance("merchant/m1", 29*yuan)
		w.balance("suspense/K11", 5*yuan)
		w.balance("holder/"+account, opening-34*yuan)
		if got := w.openClaims(); !slices.Equal(got, []string{"torn2"}) {
			t.Errorf("open claims %q", got)
		}
		w.whole()
	}
	truth()

	w.restoreBooks(yesterday)
	w.balance("merchant/m1", yuan)
	all()
	truth()
	if got := w.inbox(); got[ingest.Lost] != 4 || got[ingest.Gone]+got[ingest.Fork] > 0 {
		t.Errorf("inbox %v, want a line for each journal that has lost something, and no fork", got)
	}

	// Again, and again in the middle of what follows, and the machine too.
	w.restoreBooks(yesterday)
	a.sale("a6", 1) // no greeting: the push tells
	more, err := a.pusher.Step(t.Context())
	if err != nil { // on a connection of before the restart: the terminal steps again
		more, err = a.pusher.Step(t.Context())
	}
	if err != nil || !more {
		t.Errorf("a step = %v, %v", more, err)
	}
	half := w.copyBooks()
	a.round()
	w.restoreBooks(half)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a.open()
	all()
	w.balance("merchant/m1", 29*yuan+1)
	all()
	w.balance("merchant/m1", 29*yuan+1)
	w.balance("holder/"+account, opening-34*yuan-1)
	w.whole()
	if got := w.inbox(); got[ingest.Gone]+got[ingest.Fork] > 0 {
		t.Errorf("inbox %v, want nothing gone and no fork", got)
	}
}

// TestUnheardEpoch: a terminal has gone on in a new epoch and, before the upstream has
// heard of it, once more: asked to, or since its disk was damaged. The upstream is
// restored from a copy meanwhile. What it had acknowledged before all that comes again.
func TestUnheardEpoch(t *testing.T) {
	for name, again := range map[string]func(*machine){
		"asked": func(m *machine) { m.reopen(journal.ReasonForked) },
		"twice": func(m *machine) { m.reopen(journal.ReasonForked); m.reopen(journal.ReasonForked) },
		"recovered": func(m *machine) {
			m.sale("damaged", 8*yuan)
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			m.damage("damaged")
			if _, err := ledger.Recover(t.Context(), m.path, m.o); err != nil {
				t.Fatal(err)
			}
			m.open()
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorldOn(t, "") // in a file, which can be copied
			a := w.newMachine("K10")
			a.sale("a1", yuan)
			a.round()
			yesterday := w.copyBooks()
			a.sale("a2", 2*yuan)
			a.round()
			a.reopen(journal.ReasonForked)
			again(a)
			a.sale("a3", 4*yuan)
			w.restoreBooks(yesterday)
			a.round()
			w.balance("merchant/m1", 7*yuan)
			w.whole()
			if got := w.inbox(); got[ingest.Lost] != 1 || got[ingest.Gone]+got[ingest.Fork] > 0 {
				t.Errorf("inbox %v, want that the first journal had lost something, and no more", got)
			}
		})
	}
}

// TestUnheardEpochGone is the same, and the terminal has lost what it is asked for: that
// journal, or all journals before the present one. It says so, once, and goes on.
func TestUnheardEpochGone(t *testing.T) {
	for name, gone := range map[string]int{"first": 1, "all": 2} {
		t.Run(name, func(t *testing.T) {
			w := newWorldOn(t, "") // in a file, which can be copied
			a := w.newMachine("K10")
			a.sale("a1", yuan)
			a.round()
			yesterday := w.copyBooks()
			a.sale("a2", 2*yuan)
			a.round()
			var older []string
			for range 2 {
				older = append(older, strings.TrimSuffix(a.path, ".db")+"."+a.Epoch().String()+".db")
				a.reopen(journal.ReasonForked)
			}
			a.sale("a3", 4*yuan)
			w.restoreBooks(yesterday)
			for _, path := range older[:gone] {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
			a.round()
			w.balance("merchant/m1", 5*yuan)
			w.whole()
			if got := w.inbox(); got[ingest.Gone] != 1 || got[ingest.Lost] != 1 {
				t.Errorf("inbox %v, want that something was lost, and is gone", got)
			}
		})
	}
}

// damage changes an entry in the journal's file, whose program has ended.
func (m *machine) damage(ref string) {
	m.w.t.Helper()
	content, err := os.ReadFile(m.path)
	if err != nil {
		m.w.t.Fatal(err)
	}
	n := bytes.Count(content, []byte(ref))
	content = bytes.ReplaceAll(content, []byte(ref), bytes.Repeat([]byte{'x'}, len(ref)))
	if err := os.WriteFile(m.path, content, 0o600); err != nil || n == 0 {
		m.w.t.Fatalf("%d places, %v", n, err)
	}
}

// TestOneEntryLost: books that have lost a single entry would take it for news
// when it comes again. The greeting before that tells of it, once, and only when
// something was lost.
func TestOneEntryLost(t *testing.T) {
	w := newWorldOn(t, "") // in a file, which can be copied
	a, b := w.newMachine("K10"), w.newMachine("K11")
	a.sale("a1", yuan)
	a.round()
	b.round()
	yesterday := w.copyBooks()
	a.sale("a2", 2*yuan)
	a.round()
	b.sale("unsent", 4*yuan)
	b.greet()
	if got := w.inbox(); got[ingest.Lost] != 0 {
		t.Errorf("inbox %v, and nothing was lost", got)
	}
	w.restoreBooks(yesterday)
	a.round()
	a.round()
	b.round()
	lines, err := w.books.Exceptions(t.Context())
	lines = slices.DeleteFunc(lines, func(e store.Exception) bool { return e.Kind != string(ingest.Lost) })
	acked, err2 := a.Acked(t.Context())
	if err := errors.Join(err, err2); err != nil || len(lines) != 1 || lines[0].Terminal != "K10" || lines[0].Seq != acked.Seq ||
		lines[0].Detail != fmt.Sprintf("we have acknowledged %d, and have %d", acked.Seq, acked.Seq-1) {
		t.Errorf("inbox %+v, %v; want one line, of what K10 has brought again", lines, err)
	}
	w.balance("merchant/m1", 7*yuan)
	w.whole()
}

// TestHoldsOfRestoredUpstream: what was approved after the copy is not held any
// more. The sale counts all the same, and somebody is told.
func TestHoldsOfRestoredUpstream(t *testing.T) {
	w := newWorldOn(t, "") // in a file, which can be copied
	a, b := w.newMachine("K10"), w.newMachine("K11")
	ctx := t.Context()
	a.round()
	b.round()
	yesterday := w.copyBooks()
	epoch, seq, err := a.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	approve := func(m *machine, epoch journal.Epoch, seq int64, attempt string, amount money.Fen) bool {
		q := client.AuthorizeRequest{
			Epoch: epoch, Seq: seq, Attempt: attempt, Account: account, Merchant: "m1", Amount: amount,
		}
		got, err := m.client.Authorize(ctx, q)
		if err != nil {
			got, err = m.client.Authorize(ctx, q) // a connection of before the crash
		}
		if err != nil {
			t.Fatal(err)
		}
		return got.Approved
	}
	if !approve(a, epoch, seq, "held", 70*yuan) {
		t.Fatal("not approved")
	}
	w.restoreBooks(yesterday)
	epoch, next, err := b.Next(ctx)
	if err != nil || !approve(b, epoch, next, "spent", 60*yuan) {
		t.Fatalf("not approved, although nothing is held any more: %v", err)
	}
	b.intend("spent", 1, 60*yuan, `{"approved":true}`)
	b.write(journal.Entry{Kind: journal.SaleEnd, Ref: "spent", Outcome: journal.Written})
	b.round()
	if got := w.inbox(); got[ingest.HoldLost] > 0 {
		t.Errorf("inbox %v, and no hold was lost that was needed so far", got)
	}
	a.intend("held", 2, 70*yuan, `{"approved":true}`)
	a.write(journal.Entry{Kind: journal.SaleEnd, Ref: "held", Outcome: journal.Written})
	a.round()
	w.balance("holder/"+account, opening-130*yuan)
	w.balance("merchant/m1", 130*yuan)
	if got := w.inbox(); got[ingest.HoldLost] != 1 || got[ingest.Overdrawn] != 1 {
		t.Errorf("inbox %v, want the lost hold, and the account that is overdrawn", got)
	}
	w.whole()
}

// TestBathsOfRestoredUpstream: who has reserved after the copy was made has the place
// again, with the same code, once the terminal has pushed. Meanwhile nobody gets that code.
func TestBathsOfRestoredUpstream(t *testing.T) {
	w := newWorldOn(t, "") // in a file, which can be copied
	ctx := t.Context()
	m := w.newMachine("K10")
	open := func(hearing time.Duration) *bath.Desk {
		return bath.New(bath.Config{Books: w.books, Master: bathcode.Master{7}, Hearing: hearing})
	}
	other := store.HolderAccount("2026000199")
	err := errors.Join(
		open(0).AddHall(ctx, bath.Hall{No: 1, Name: "龙山浴室", Merchant: "bath-1", Whole: true, Cap: yuan,
			Tariff: water.Tariff{PerLitre: 4, PulsesPerLitre: 300}}),
		open(0).SetStall(ctx, 1, bath.Stall{No: 1}), open(0).SetStall(ctx, 1, bath.Stall{No: 2}),
		w.books.AddHolder(ctx, store.Holder{Account: other, Name: "李四", Number: other.No()}, store.PIN{}, 10*yuan))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(0).AddSlots(ctx, 1, water.Time{To: 24 * 60}, 12*60); err != nil {
		t.Fatal(err)
	}
	m.round()
	yesterday := w.copyBooks()
	day := bathcode.DayOf(w.now()) + 1
	reserve := func(ref string, a store.Account, hearing time.Duration) bath.Reservation {
		t.Helper()
		r, err := open(hearing).Reserve(ctx, bath.Request{
			Ref: ref, Terminal: "K10", Account: a, Hall: 1, Day: day, Slot: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	made := reserve("B1", store.HolderAccount(account), 0)
	told := fmt.Sprintf(`{"service":"bath","what":{"hall":1,"day":"%s","slot":1,"n":%d,"cap":100,"litre":4}}`,
		day.Start().Format(time.DateOnly), made.N)
	m.write(journal.Entry{Kind: journal.RequestIntent, Ref: "B1", Account: account,
		Details: json.RawMessage(`{"service":"bath"}`)})
	m.write(journal.Entry{Kind: journal.RequestEnd, Ref: "B1", Outcome: journal.Done, Details: json.RawMessage(told)})
	m.round()

	w.restoreBooks(yesterday)
	if r := reserve("B2", other, bath.Hearing); r.N == made.N {
		t.Error("two holders have one code")
	}
	m.round()
	if n, err := open(0).BringBack(ctx); n != 1 || err != nil {
		t.Fatalf("%d came back, %v", n, err)
	}
	all, err := open(0).Mine(ctx, store.HolderAccount(account))
	if err != nil || len(all) != 1 || all[0].State != bath.Reserved || open(0).Code(all[0]) != open(0).Code(made) {
		t.Errorf("the holder has %+v, %v; made was %+v", all, err, made)
	}
	if got := w.inbox(); got[ingest.RequestMissing] > 0 || got[ingest.Lost] != 1 {
		t.Errorf("inbox %v", got)
	}
	w.whole()
}

// TestFeedsOfRestoredUpstream: a terminal never goes back to an older version,
// has somebody told, and takes what comes next whole, whatever its number would
// have been.
func TestFeedsOfRestoredUpstream(t *testing.T) {
	w := newWorldOn(t, "") // in a file, which can be copied
	a, ctx := w.newMachine("K10"), t.Context()
	hot := func(n int, s store.CardStatus) {
		t.Helper()
		if err := w.books.SetCardStatus(ctx, fmt.Sprintf("%020d", n), s); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 20 {
		no := fmt.Sprintf("%020d", n)
		if err := w.books.AddCard(ctx, store.Card{No: no, Account: "holder/" + account, Status: store.CardActive}); err != nil {
			t.Fatal(err)
		}
	}
	a.round()
	yesterday := w.copyBooks()
	hot(1, store.CardHot)
	hot(2, store.CardHot)
	if _, err := w.books.Publish(ctx, "settings", []byte("of today")); err != nil {
		t.Fatal(err)
	}
	a.round()
	is := func(n int, want bool) {
		t.Helper()
		no := feed.Card(fmt.Appendf(nil, "%010d", 0))
		for i := range no {
			fmt.Sscanf(fmt.Sprintf("%020d", n)[2*i:2*i+2], "%x", &no[i])
		}
		if _, got := a.feeds.Hot(no); got != want {
			t.Errorf("card %d is hot: %v, want %v", n, got, want)
		}
	}
	is(1, true)
	w.restoreBooks(yesterday)
	a.round()
	is(1, true)
	is(2, true)
	if got := w.inbox()["feed ahead"]; got != 2 {
		t.Errorf("%d feeds are said to be ahead, want 2", got)
	}
	before := a.feeds.Status(feed.Hotlist).Version
	hot(3, store.CardHot)
	if _, err := w.books.Publish(ctx, "settings", []byte("of tomorrow")); err != nil {
		t.Fatal(err)
	}
	a.round()
	if now := a.feeds.Status(feed.Hotlist).Version; now != before+1 {
		t.Errorf("hotlist %d after %d", now, before)
	}
	is(1, false) // nobody has reported it again
	is(3, true)
	if got, err := a.feeds.Content(ctx, "settings"); err != nil || string(got) != "of tomorrow" {
		t.Errorf("settings %q, %v", got, err)
	}
}

// TestFeedOfTheSameNumber: restored books have come to the very number that a terminal has,
// before it is heard. Its list looks new, and it learns all the same what is in it now.
func TestFeedOfTheSameNumber(t *testing.T) {
	w := newWorldOn(t, "") // in a file, which can be copied
	a, ctx := w.newMachine("K10"), t.Context()
	yesterday := w.copyBooks()
	for _, today := range []string{"of today", "of tomorrow"} {
		if today == "of tomorrow" {
			w.restoreBooks(yesterday)
			w.mu.Lock()
			w.skew += time.Hour
			w.mu.Unlock()
		}
		if _, err := w.books.Publish(ctx, "settings", []byte(today)); err != nil {
			t.Fatal(err)
		}
		a.round()
		if got, err := a.feeds.Content(ctx, "settings"); err != nil || string(got) != today {
			t.Errorf("settings %q, %v, want %q", got, err, today)
		}
	}
	if got := w.inbox()["feed ahead"]; got != 1 {
		t.Errorf("%d feeds are said to be ahead, want 1", got)
	}
}

// TestOldJournalIsGone: a terminal that cannot bring what a restored upstream has
// lost brings all the rest, and both say how much is missing.
func TestOldJournalIsGone(t *testing.T) {
	for name, harm := range map[string]func(path string) error{
		"missing":  os.Remove,
		"no file":  func(path string) error { return os.WriteFile(path, []byte("not a database, and long enough"), 0o600) },
		"cut away": func(path string) error { return os.Truncate(path, 4096) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorldOn(t, "") // in a file, which can be copied
			a := w.newMachine("K10")
			a.sale("a1", yuan)
			a.round()
			yesterday := w.copyBooks()
			a.sale("a2", 2*yuan)
			a.sale("a3", 4*yuan)
			a.round()
			a.sale("unsent", 8*yuan)
			a.reopen(journal.ReasonForked)
			a.sale("a4", 16*yuan)
			a.round()
			w.restoreBooks(yesterday)
			old, err := filepath.Glob(filepath.Join(filepath.Dir(a.path), "journal.*.db"))
			if err != nil || len(old) != 1 {
				t.Fatal(old, err)
			}
			if err := harm(old[0]); err != nil {
				t.Fatal(err)
			}
			a.round()
			w.balance("merchant/m1", 25*yuan)
			lines, err := w.books.Exceptions(t.Context())
			i := slices.IndexFunc(lines, func(e store.Exception) bool { return e.Kind == string(ingest.Gone) })
			if err != nil || i < 0 {
				t.Fatalf("inbox %+v, %v; want a line of what is gone", lines, err)
			}
			t.Log(lines[i].Detail)
			a.round()
			w.whole()
			if _, err := a.Verify(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestCloneMeetsRestoredUpstream: of two machines with one identity the one is
// first at a restored upstream, and closes the epoch in which the other had sold
// more. All of that comes again all the same.
func TestCloneMeetsRestoredUpstream(t *testing.T) {
	w := newWorldOn(t, "") // in a file, which can be copied
	a := w.newMachine("K10")
	a.sale("a1", yuan)
	a.round()
	yesterday := w.copyBooks()
	clone := *a
	clone.path = filepath.Join(t.TempDir(), "journal.db")
	if err := a.Backup(t.Context(), clone.path); err != nil {
		t.Fatal(err)
	}
	a.sale("a2", 2*yuan)
	a.sale("a3", 4*yuan)
	a.round()
	clone.open()
	t.Cleanup(func() { clone.Close() })
	clone.sale("c1", 8*yuan)
	clone.round() // finds out
	a.sale("a4", 16*yuan)
	a.round() // finds out, too
	w.balance("merchant/m1", 31*yuan)
	for _, first := range []*machine{&clone, a} {
		w.restoreBooks(yesterday)
		first.again(t)
		clone.again(t)
		a.again(t)
		w.balance("merchant/m1", 31*yuan)
		w.whole()
	}
	if got := w.inbox(); got[ingest.Gone] > 0 {
		t.Errorf("inbox %v, want nothing gone", got)
	}
}

// TestCloneHasWhatIsGone: of two machines with one identity the one that is first
// at a restored upstream cannot bring what that has lost, and closes the epoch of
// both. The other still has it, and is asked.
func TestCloneHasWhatIsGone(t *testing.T) {
	w := newWorldOn(t, "") // in a file, which can be copied
	a := w.newMachine("K10")
	a.sale("a1", yuan)
	a.round()
	yesterday := w.copyBooks()
	a.sale("a2", 2*yuan)
	a.round()
	a.reopen(journal.ReasonForked)
	a.sale("a3", 4*yuan)
	a.round()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	clone := *a
	clone.path = filepath.Join(t.TempDir(), "journal.db")
	if err := os.CopyFS(filepath.Dir(clone.path), os.DirFS(filepath.Dir(a.path))); err != nil {
		t.Fatal(err)
	}
	old, err := filepath.Glob(filepath.Join(filepath.Dir(a.path), "journal.*.db"))
	if err != nil || len(old) != 1 {
		t.Fatal(old, err)
	}
	if err := os.Remove(old[0]); err != nil {
		t.Fatal(err)
	}
	w.restoreBooks(yesterday)
	a.open()
	a.round()
	w.balance("merchant/m1", 5*yuan)
	if got := w.inbox(); got[ingest.Gone] != 1 {
		t.Errorf("inbox %v, want a line of what is gone", got)
	}
	clone.open()
	t.Cleanup(func() { clone.Close() })
	clone.round()
	w.balance("merchant/m1", 7*yuan)
	w.whole()
}

// again starts the program again, as if it had been off for hours, and has it
// speak to the upstream.
func (m *machine) again(t *testing.T) {
	t.Helper()
	if err := m.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		t.Fatal(err)
	}
	m.open()
	m.round()
}
