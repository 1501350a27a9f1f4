package ingest_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"quancun/journal"
	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/ingest"
	"quancun/upstream/keys"
	"quancun/upstream/phone"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	"quancun/upstream/store/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	yuan     = money.Yuan
	reserve  = 20 * yuan
	merchant = "canteen-1"
)

// start is when every test begins: noon in Beijing.
var start = time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)

// world is an upstream's books and what pushes into them.
type world struct {
	t     testing.TB
	dsn   string
	books *store.Books
	keys  *keys.Software
	in    *ingest.Ingest
	now   time.Time
}

// onBoth runs a test on each engine, with the same keys. What it asks for is the
// same, and the books end in the same state.
func onBoth(t *testing.T, do func(*testing.T, *world)) {
	keys := filepath.Join(t.TempDir(), "keys.json")
	var ends [2][sha256.Size]byte
	play := func(t *testing.T, dsn string, end *[sha256.Size]byte) {
		w := newWorldWith(t, dsn, keys)
		do(t, w)
		var err error
		if *end, err = w.books.StateHash(t.Context()); err != nil {
			t.Error(err)
		}
	}
	t.Run("SQLite", func(t *testing.T) { play(t, filepath.Join(t.TempDir(), "books.db"), &ends[0]) })
	t.Run("PostgreSQL", func(t *testing.T) { play(t, emptied(t), &ends[1]) })
	if ends[0] != ends[1] && !t.Failed() {
		t.Errorf("SQLite ends in state %x, PostgreSQL in %x", ends[0], ends[1])
	}
}

// shared is the one database that tests on PostgreSQL use one after the other:
// to make one takes far longer than most of them.
var shared pgtest.Database

// emptyAll deletes what a test has left, without looking at what refers to
// what.
const emptyAll = `
	SET session_replication_role = replica;
	DO $$ DECLARE t TEXT; BEGIN
		FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public'
			AND tablename NOT IN ('schema_migrations', 'schema_objects', 'feeds')
		LOOP EXECUTE 'DELETE FROM ' || t; END LOOP;
	END $$;
	UPDATE feeds SET version = 0, whole_from = 0, changed_ms = 0`

// emptied returns the shared database with nothing in it.
func emptied(t testing.TB) (dsn string) {
	t.Helper()
	ctx := t.Context()
	if shared.DSN == "" {
		var err error
		if shared, err = pgtest.Shared(t).Create(ctx); err != nil {
			t.Fatal(err)
		}
		b, err := booktest.Open(ctx, shared.DSN, nil)
		if err := errors.Join(err, b.Close()); err != nil {
			t.Fatal(err)
		}
	}
	db, err := sql.Open("pgx", shared.Admin)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, emptyAll); err != nil {
		t.Fatal(err)
	}
	return shared.DSN
}

func newWorld(t testing.TB, dsn string) *world {
	t.Helper()
	return newWorldWith(t, dsn, filepath.Join(t.TempDir(), "keys.json"))
}

func newWorldWith(t testing.TB, dsn, keyFile string) *world {
	t.Helper()
	w := &world{t: t, dsn: dsn, now: start}
	var err error
	if w.keys, err = keys.OpenSoftware(keyFile); err != nil {
		t.Fatal(err)
	}
	if w.books, err = booktest.Open(t.Context(), dsn, func() time.Time { return w.now }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := w.books.Retries(); n != 0 {
			t.Errorf("%d transactions had to give way, want none", n)
		}
		if err := w.books.Close(); err != nil {
			t.Error(err)
		}
	})
	w.in = ingest.New(w.books, w.keys, ingest.Policy{CardReserve: reserve, DailyLimit: 50 * yuan})
	return w
}

func (w *world) campus() ed25519.PublicKey { return w.keys.Campus().Public().(ed25519.PublicKey) }

// holder adds a holder with a balance.
func (w *world) holder(no string, balance money.Fen) store.Account {
	w.t.Helper()
	a := store.HolderAccount(no)
	err := w.books.AddHolder(w.t.Context(), store.Holder{Account: a, Name: "张三", Number: no}, store.PIN{}, balance)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// purse is a card that keeps its own books, with real keys.
type purse struct {
	w       *world
	no      string
	keys    keys.CardKeys
	balance uint32
	offline uint16
	online  uint16
}

// card issues a card, whose purse holds an amount, to an account.
func (w *world) card(n int, a store.Account, holds money.Fen) *purse {
	w.t.Helper()
	p := w.stranger(n, holds)
	var factor keys.Factor
	binary.BigEndian.PutUint64(factor[:], uint64(n))
	err := w.books.AddCard(w.t.Context(), store.Card{
		No: p.no, Account: a, Factor: factor, Status: store.CardActive, Mirror: holds,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// stranger is a card that the upstream does not know.
func (w *world) stranger(n int, holds money.Fen) *purse {
	w.t.Helper()
	var factor keys.Factor
	binary.BigEndian.PutUint64(factor[:], uint64(n))
	k, err := w.keys.IssueCard(w.t.Context(), factor)
	if err != nil {
		w.t.Fatal(err)
	}
	return &purse{w: w, no: fmt.Sprintf("%020X", n), keys: k, balance: uint32(holds), offline: 7, online: 3}
}

// till is a terminal's journal, written as the terminal would.
type till struct {
	w        *world
	terminal store.Terminal
	key      ed25519.PrivateKey
	epoch    journal.Epoch
	bodies   [][]byte
	hashes   []journal.Hash
	at       time.Time
	trace    uint32
	doubts   map[string]bool // sales in doubt, by ref
}

// till adds a terminal with an empty journal.
func (w *world) till(id string) *till {
	w.t.Helper()
	seed := sha256.Sum256([]byte(id))
	c := &till{w: w, key: ed25519.NewKeyFromSeed(seed[:]), at: start, doubts: map[string]bool{}}
	copy(c.epoch[:], seed[:])
	if _, err := w.books.AddTerminal(w.t.Context(), store.Terminal{ID: id}); err != nil {
		w.t.Fatal(err)
	}
	t, err := w.books.Terminal(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	t.JournalKey = c.key.Public().(ed25519.PublicKey)
	c.terminal = t
	return c
}

func (c *till) head() journal.Hash {
	if len(c.hashes) == 0 {
		return journal.Hash{}
	}
	return c.hashes[len(c.hashes)-1]
}

func (c *till) next() int64 { return int64(len(c.bodies)) + 1 }

// write appends an entry with the postings that it leads to, and returns it.
func (c *till) write(e journal.Entry) journal.Entry {
	if e.Kind == journal.SaleDoubt {
		c.doubts[e.Ref] = true
	}
	return c.append(e, e.Kind == journal.SaleEnd && c.doubts[e.Ref])
}

func (c *till) append(e journal.Entry, doubted bool) journal.Entry {
	c.at = c.at.Add(time.Millisecond)
	e.Terminal, e.Epoch, e.Seq, e.At, e.Clock = c.terminal.ID, c.epoch, c.next(), c.at, journal.ClockSynced
	e = e.Post(doubted, e.Amount)
	c.put(e.Encode(c.head()))
	return e
}

func (c *till) put(body []byte) {
	c.bodies = append(c.bodies, body)
	c.hashes = append(c.hashes, journal.HashOf(body))
}

// batch returns entries from a number to another, proved.
func (c *till) batch(from, to int64) journal.Batch {
	c.w.t.Helper()
	var tree journal.Frontier
	for _, h := range c.hashes[:to] {
		tree.Append(h)
	}
	note, err := journal.Checkpoint{Terminal: c.terminal.ID, Epoch: c.epoch, Size: to, Root: tree.Root()}.Sign(c.key)
	if err != nil {
		c.w.t.Fatal(err)
	}
	return journal.Batch{Epoch: c.epoch, From: from, Bodies: c.bodies[from-1 : to], Note: note}
}

// push pushes all that the upstream does not have.
func (c *till) push() {
	c.w.t.Helper()
	h, err := c.w.in.Head(c.w.t.Context(), c.terminal.ID, c.epoch)
	if err != nil {
		c.w.t.Fatal(err)
	}
	if h.Seq < c.next()-1 {
		c.take(c.batch(h.Seq+1, c.next()-1))
	}
}

// take pushes a batch, and checks the answer as a terminal does.
func (c *till) take(b journal.Batch) {
	c.w.t.Helper()
	ack, err := c.w.in.Push(c.w.t.Context(), c.terminal, b)
	if err != nil {
		c.w.t.Fatal(err)
	}
	c.checkAck(b, ack)
}

func (c *till) checkAck(b journal.Batch, ack journal.Ack) {
	c.w.t.Helper()
	signed, _, err := journal.OpenCosigned(ack.Note, ingest.CosignerName, c.w.campus())
	sent, err2 := journal.OpenCheckpoint(b.Note, c.terminal.JournalKey)
	if err := errors.Join(err, err2); err != nil || signed != sent || ack.Head.Seq < sent.Size ||
		ack.Head.Epoch != c.epoch || ack.Head.Hash != c.hashes[ack.Head.Seq-1] {
		c.w.t.Errorf("%+v acknowledged as %+v by %+v, %v", sent, ack.Head, signed, err)
	}
}

// rejects pushes a batch that is not to be taken.
func (c *till) rejects(b journal.Batch, reason error, have int64) {
	c.w.t.Helper()
	_, err := c.w.in.Push(c.w.t.Context(), c.terminal, b)
	var e *journal.PushError
	if !errors.As(err, &e) || e.Reason != reason || e.Head.Seq != have {
		c.w.t.Errorf("push = %v, want %v with %d", err, reason, have)
	}
}

// intend writes that a card is about to be debited.
func (c *till) intend(p *purse, ref string, amount money.Fen) journal.Entry {
	return c.intendFor(merchant, p, ref, amount)
}

// intendFor is intend for another merchant.
func (c *till) intendFor(merchant string, p *purse, ref string, amount money.Fen) journal.Entry {
	c.trace++
	return c.write(journal.Entry{
		Kind: journal.SaleIntent, Ref: ref, Card: p.no, Merchant: merchant, Amount: amount,
		Purse: &journal.Purse{
			Balance: p.balance, Counter: p.offline, KeyVersion: 1, TerminalNo: c.terminal.No, TraceNo: c.trace,
			Stamp: pboc.Stamp{0x20, 0x26, 0x03, 0x02, 0x12, 0, byte(c.trace)},
		},
	})
}

// debit is the card's part of a purchase.
func (p *purse) debit(intent journal.Entry) pboc.MAC {
	p.balance -= uint32(intent.Amount)
	p.offline++
	return pboc.Purchase{
		Amount: intent.Amount, Terminal: intent.Purse.TerminalNo, TraceNo: intent.Purse.TraceNo, At: intent.Purse.Stamp,
	}.TAC(p.keys.DTK)
}

// credit is the card's part of a load.
func (p *purse) credit(intent journal.Entry) pboc.MAC {
	l := pboc.Load{
		Balance: p.balance, Counter: p.online, Amount: intent.Amount,
		Terminal: intent.Purse.TerminalNo, At: intent.Purse.Stamp,
	}
	p.balance += uint32(intent.Amount)
	p.online++
	return l.TAC(p.keys.DTK)
}

// end writes how a purchase came out.
func (c *till) end(intent journal.Entry, o journal.Outcome, tac pboc.MAC) journal.Entry {
	e := intent
	said := *intent.Purse
	said.TAC = tac
	e.Kind, e.Outcome, e.Purse = journal.SaleEnd, o, &said
	return c.write(e)
}

func (c *till) doubt(intent journal.Entry) journal.Entry {
	intent.Kind = journal.SaleDoubt
	return c.write(intent)
}

// sell is a whole purchase.
func (c *till) sell(p *purse, ref string, amount money.Fen) journal.Entry {
	in := c.intend(p, ref, amount)
	return c.end(in, journal.Written, p.debit(in))
}

// sellByCode is a sale to a virtual card.
func (c *till) sellByCode(account, ref string, amount money.Fen) journal.Entry {
	return c.write(journal.Entry{Kind: journal.CodeSale, Ref: ref, Account: account, Merchant: merchant, Amount: amount})
}

// sighted writes what a card says while nothing is written.
func (c *till) sighted(p *purse) {
	c.write(journal.Entry{
		Kind: journal.Sighting, Ref: fmt.Sprintf("sight-%d", c.next()), Card: p.no,
		Purse:   &journal.Purse{Balance: p.balance, Counter: p.offline},
		Details: fmt.Appendf(nil, `{"online":%d}`, p.online),
	})
}

// evidence writes what a card says of another terminal's claim.
func (c *till) evidence(of journal.Claim, o journal.Outcome, by string, tac pboc.MAC) {
	said := of.Purse
	said.TAC = tac
	c.write(journal.Entry{
		Kind: journal.Evidence, Ref: fmt.Sprintf("evidence-%d", c.next()), Card: of.Card, Origin: of.Position,
		Outcome: o, Purse: &said, Details: fmt.Appendf(nil, `{"by":%q}`, by),
	})
}

// wants checks balances, in fen.
func (w *world) wants(balances map[store.Account]money.Fen) {
	w.t.Helper()
	for a, want := range balances {
		got, err := w.books.Balance(w.t.Context(), a)
		if err != nil && !errors.Is(err, store.ErrNone) || got != want {
			w.t.Errorf("%s has %s, %v; want %s", a, got, err, want)
		}
	}
}

// mirror checks what the books say that a purse holds.
func (w *world) mirror(p *purse, want money.Fen) {
	w.t.Helper()
	c, err := w.books.Card(w.t.Context(), p.no)
	if err != nil || c.Mirror != want {
		w.t.Errorf("mirror of %s is %s, %v; want %s", p.no, c.Mirror, err, want)
	}
}

// inbox checks the kinds of the open exceptions, in any order.
func (w *world) inbox(want ...ingest.ExceptionKind) {
	w.t.Helper()
	lines, err := w.books.Exceptions(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var got []ingest.ExceptionKind
	for _, l := range lines {
		if l.Owner == "" || l.NextStep == "" {
			w.t.Errorf("%s has no owner or no next step", l.Kind)
		}
		got = append(got, ingest.ExceptionKind(l.Kind))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.t.Errorf("inbox %q, want %q", got, want)
		for _, l := range lines {
			w.t.Logf("%s: %s: %s", l.Kind, l.Ref, l.Detail)
		}
	}
}

// sound checks all that must hold of the books.
func (w *world) sound() {
	w.t.Helper()
	broken, err := w.books.Verify(w.t.Context())
	more, err2 := w.in.Verify(w.t.Context())
	codes, err3 := phone.Verify(w.t.Context(), w.books)
	if err := errors.Join(err, err2, err3); err != nil {
		w.t.Fatal(err)
	}
	for _, b := range slices.Concat(broken, more, codes) {
		w.t.Error(b)
	}
}

func (w *world) claims(p *purse) []journal.Claim {
	w.t.Helper()
	all, err := w.in.Claims(w.t.Context(), p.no)
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func suspense(id string) store.Account { return store.Account(journal.SuspenseAccount(id)) }

const payee = store.Account("merchant/" + merchant)
