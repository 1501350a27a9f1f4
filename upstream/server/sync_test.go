package server_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"quancun/journal"
	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/client"
	"quancun/upstream/ingest"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
	"quancun/upstream/wire"
)

// book is a terminal's journal, as the upstream sees it.
type book struct {
	w      *world
	id     string
	key    ed25519.PrivateKey
	client *client.Client
	epoch  journal.Epoch
	bodies [][]byte
	at     time.Time
}

// newBook returns a terminal that was enrolled, with an empty journal.
func (w *world) newBook(id string) *book {
	w.t.Helper()
	seed := sha256.Sum256([]byte(id))
	b := &book{w: w, id: id, key: ed25519.NewKeyFromSeed(seed[:]), at: time.Now()}
	copy(b.epoch[:], seed[:])
	p := w.provision(id)
	p.CampusKey = w.keys.Campus().Public().(ed25519.PublicKey)
	b.client = client.Dial(p, client.Options{})
	w.t.Cleanup(b.client.Close)
	err := w.books.Write(w.t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(w.t.Context(), `UPDATE terminals SET journal_key = ? WHERE id = ?`,
			[]byte(b.key.Public().(ed25519.PublicKey)), id)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (b *book) head() journal.Head {
	h := journal.Head{Epoch: b.epoch, Seq: int64(len(b.bodies))}
	if h.Seq > 0 {
		h.Hash = journal.HashOf(b.bodies[h.Seq-1])
	}
	return h
}

func (b *book) write(e journal.Entry) journal.Entry {
	b.at = b.at.Add(time.Millisecond)
	e.Terminal, e.Epoch, e.Seq, e.At = b.id, b.epoch, b.head().Seq+1, b.at
	e = e.Post(false, 0)
	b.bodies = append(b.bodies, e.Encode(b.head().Hash))
	return e
}

func (b *book) batch(from int64) journal.Batch {
	b.w.t.Helper()
	var tree journal.Frontier
	for _, body := range b.bodies {
		tree.Append(journal.HashOf(body))
	}
	note, err := journal.Checkpoint{Terminal: b.id, Epoch: b.epoch, Size: tree.Size, Root: tree.Root()}.Sign(b.key)
	if err != nil {
		b.w.t.Fatal(err)
	}
	return journal.Batch{Epoch: b.epoch, From: from, Bodies: b.bodies[from-1:], Note: note}
}

func (b *book) push(from int64) {
	b.w.t.Helper()
	batch := b.batch(from)
	ack, err := b.client.Push(b.w.t.Context(), batch)
	if err != nil || ack.Head != b.head() {
		b.w.t.Fatalf("Push = %+v, %v; want %+v", ack.Head, err, b.head())
	}
	campus := b.w.keys.Campus().Public().(ed25519.PublicKey)
	if c, _, err := journal.OpenCosigned(ack.Note, ingest.CosignerName, campus); err != nil || c.Size != ack.Head.Seq {
		b.w.t.Errorf("cosigned %+v, %v", c, err)
	}
}

func (b *book) sale(ref string, amount money.Fen) {
	b.write(journal.Entry{Kind: journal.CodeSale, Ref: ref, Account: account, Merchant: "m1", Amount: amount})
}

// whole checks all that must hold of the books.
func (w *world) whole() {
	w.t.Helper()
	broken, err := w.books.Verify(w.t.Context())
	more, err2 := w.journals.Verify(w.t.Context())
	if err := errors.Join(err, err2); err != nil || len(broken)+len(more) > 0 {
		w.t.Errorf("broken %q %q, %v", broken, more, err)
	}
}

func (w *world) balance(a store.Account, want money.Fen) {
	w.t.Helper()
	if got, err := w.books.Balance(w.t.Context(), a); err != nil || got != want {
		w.t.Errorf("%s has %s, %v; want %s", a, got, err, want)
	}
}

// TestPushOverTheWire pushes over mutual TLS, and reads each answer.
func TestPushOverTheWire(t *testing.T) {
	w := newWorld(t)
	b := w.newBook("C01")
	ctx := t.Context()
	hello, err := b.client.Hello(ctx, client.Hello{Version: "test", Journal: b.head()})
	if err != nil || hello.Journal != (journal.Head{Epoch: b.epoch}) || len(hello.Feeds) != 4 {
		t.Errorf("Hello = %+v, %v; want an empty journal and four feeds", hello, err)
	}
	b.sale("s1", 3*yuan)
	b.sale("s2", 2*yuan)
	b.push(1)
	b.push(1)
	hello, err = b.client.Hello(ctx, client.Hello{Version: "test", Journal: b.head()})
	if err != nil || hello.Journal != b.head() {
		t.Errorf("Hello = %+v, %v; want %+v", hello.Journal, err, b.head())
	}
	w.balance("holder/"+account, 95*yuan)

	for name, c := range map[string]struct {
		batch func() journal.Batch
		want  error
	}{
		"gap": {func() journal.Batch {
			b.sale("s3", yuan)
			b.sale("s4", yuan)
			return b.batch(4)
		}, journal.ErrGap},
		"unproven": {func() journal.Batch {
			x := b.batch(1)
			x.Note = nil
			return x
		}, journal.ErrUnproven},
		"fork": {func() journal.Batch {
			x := *b
			x.bodies = nil
			x.sale("other", 1)
			return x.batch(1)
		}, journal.ErrFork},
	} {
		_, err := b.client.Push(ctx, c.batch())
		var no *journal.PushError
		if !errors.As(err, &no) || !errors.Is(err, c.want) || no.Head.Seq != 2 || no.Head.Epoch != b.epoch {
			t.Errorf("%s: %v, want %v with 2", name, err, c.want)
		}
		if reason(err) != 0 {
			t.Errorf("%s is a refusal", name)
		}
	}

	old := w.newTerminal("C02") // was never enrolled, so nobody knows its key
	if _, err := old.Push(ctx, b.batch(1)); !errors.Is(err, journal.ErrUnproven) {
		t.Errorf("push with another's journal: %v, want %v", err, journal.ErrUnproven)
	}
	if err := w.books.RevokeTerminal(ctx, "C01"); err != nil {
		t.Fatal(err)
	}
	_, err = b.client.Push(ctx, b.batch(3))
	wantReason(t, "push of a revoked terminal", err, client.TerminalUnknown)
	w.balance("holder/"+account, 95*yuan)
	w.whole()
}

func TestAuthorizeOverTheWire(t *testing.T) {
	w := newWorld(t)
	b, c := w.newBook("C01"), w.newBook("C02")
	ctx := t.Context()
	q := client.AuthorizeRequest{
		Epoch: b.epoch, Seq: 2, Attempt: "a1", CardNo: cardNo, Merchant: "m1", Amount: 60 * yuan,
		Reading: client.Reading{Purse: mirrorFrom, Offline: 4, Online: 7},
	}
	_, err := b.client.Authorize(ctx, q)
	if no := (*journal.PushError)(nil); !errors.As(err, &no) || no.Head != (journal.Head{Epoch: b.epoch}) {
		t.Errorf("Authorize under an unknown journal: %v, want %v", err, journal.ErrGap)
	}
	for _, x := range []*book{b, c} {
		x.write(journal.Entry{Kind: journal.Started})
		if _, err := x.client.Push(ctx, x.batch(1)); err != nil {
			t.Fatal(err)
		}
	}
	a, err := b.client.Authorize(ctx, q)
	if err != nil || !a.Approved || a.Available != opening || a.DailyLimit != 50*yuan || a.SpentToday != 0 {
		t.Errorf("Authorize = %+v, %v", a, err)
	}
	q.Epoch, q.Attempt = c.epoch, "a2"
	a, err = c.client.Authorize(ctx, q)
	if err != nil || a.Approved || a.Reason != client.NotEnough || a.Available != 40*yuan {
		t.Errorf("Authorize = %+v, %v; want it declined", a, err)
	}
	virtual := q
	virtual.CardNo, virtual.Account, virtual.Virtual, virtual.Reading = "", account, true, client.Reading{}
	virtual.Amount = 40 * yuan
	a, err = c.client.Authorize(ctx, virtual)
	if err != nil || a.Approved || a.Reason != client.NotEnough || a.Available != 10*yuan || a.Kept != 30*yuan {
		t.Errorf("Authorize = %+v, %v; want it declined, for what is kept for the card", a, err)
	}
	q.Amount = 0
	_, err = c.client.Authorize(ctx, q)
	wantReason(t, "nothing", err, client.Malformed)

	// A torn purchase travels, and comes back settled.
	purse := &journal.Purse{
		Balance: 3000, Counter: 4, TerminalNo: pboc.TerminalNo{5: 9}, TraceNo: 1, Stamp: pboc.Stamp{0x20, 0x26},
	}
	sale := journal.Entry{Kind: journal.SaleIntent, Ref: "a1", Card: cardNo, Merchant: "m1", Amount: 60 * yuan, Purse: purse}
	in := b.write(sale)
	sale.Kind = journal.SaleDoubt
	b.write(sale)
	b.push(1)
	w.balance("suspense/C01", 60*yuan)
	_, shown, err := w.signIn(rightPIN)
	doubt := client.OpenItem{Kind: client.OpenPurchaseDoubt, Amount: 60 * yuan, Place: "m1"}
	if len(shown.Open) > 0 {
		doubt.Since = shown.Open[0].Since
	}
	if err != nil || shown.Balance != 40*yuan || len(shown.Open) != 2 || shown.Open[0] != doubt ||
		doubt.Since.Sub(in.At).Abs() > time.Second || shown.Open[1].Kind != client.OpenNotLevel {
		t.Errorf("the holder is shown %+v, %v; want %+v, made at %v", shown, err, doubt, in.At)
	}
	claims, err := c.client.Claims(ctx, cardNo)
	if err != nil || len(claims) != 1 || claims[0].Position != in.Position() || claims[0].Purse != *purse ||
		claims[0].Kind != journal.SaleIntent || claims[0].Ref != "a1" || claims[0].Amount != 60*yuan {
		t.Fatalf("Claims = %+v, %v", claims, err)
	}
	c.write(journal.Entry{
		Kind: journal.Evidence, Ref: "e1", Card: cardNo, Origin: claims[0].Position, Outcome: journal.NotWritten,
		Purse: purse, Details: []byte(`{"by":"counter"}`),
	})
	c.push(1)
	w.balance("suspense/C01", 0)
	w.balance("holder/"+account, opening)
	if _, shown, err = w.signIn(rightPIN); err != nil || shown.Balance != opening || len(shown.Open) > 1 {
		t.Errorf("the holder is shown %+v, %v; want nothing set aside", shown, err)
	}
	settled, err := b.client.Settlements(ctx, []string{"a1", "other"})
	if err != nil || len(settled) != 1 || settled["a1"] != journal.ElsewhereNot {
		t.Errorf("Settlements = %v, %v", settled, err)
	}
	w.whole()
}

// TestLoadInJournal has the journal tell what became of loads, as ReportLoad
// does for older terminals.
func TestLoadInJournal(t *testing.T) {
	for _, tt := range []struct {
		name    string
		written bool
		outcome journal.Outcome // 0 is a doubt only
		tac     bool
		state   store.LoadState
		inbox   []ingest.ExceptionKind
	}{
		{"Written", true, journal.Written, true, store.LoadWritten, nil},
		{"NotWritten", false, journal.NotWritten, false, store.LoadNotWritten, nil},
		{"WordOnly", true, journal.Written, false, store.LoadOpen, nil},
		{"Forged", false, journal.Written, true, store.LoadOpen, []ingest.ExceptionKind{ingest.LoadTACWrong}},
		{"Doubt", true, 0, false, store.LoadOpen, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			b := w.newBook("K01")
			w.client = b.client // its certificate is new
			id := fmt.Sprintf("%032x", 1)
			q, a := w.mustAuthorize(id, 20*yuan)
			said := journal.Purse{
				Balance: q.Offer.Balance, Counter: q.Offer.Counter, TerminalNo: w.card.terminal, Stamp: a.At,
			}
			if tt.written {
				tac := w.mustCredit(a)
				if tt.tac {
					said.TAC = tac
				}
			} else if tt.tac {
				said.TAC = pboc.MAC{1, 2, 3, 4}
			}
			e := journal.Entry{Kind: journal.LoadIntent, Ref: id, Card: cardNo, Amount: 20 * yuan}
			unsaid := said
			unsaid.TAC = pboc.MAC{}
			e.Purse = &unsaid
			in := b.write(e)
			if e.Kind, e.Purse, e.Outcome = journal.LoadEnd, &said, tt.outcome; tt.outcome == 0 {
				e.Kind = journal.LoadDoubt
			}
			b.write(e)
			b.push(1)
			if l := w.loadState(id); l.State != tt.state {
				t.Errorf("load %+v, want state %d", l, tt.state)
			}
			var kinds []ingest.ExceptionKind
			lines, err := w.books.Exceptions(t.Context())
			for _, l := range lines {
				kinds = append(kinds, ingest.ExceptionKind(l.Kind))
			}
			if err != nil || !slices.Equal(kinds, tt.inbox) {
				t.Errorf("inbox %q, %v; want %q", kinds, err, tt.inbox)
			}
			if tt.outcome == 0 {
				w.settleLoadElsewhere(in)
			}
			w.whole()
		})
	}
}

// settleLoadElsewhere has another terminal see the card's counter.
func (w *world) settleLoadElsewhere(in journal.Entry) {
	w.t.Helper()
	c := w.newBook("C09")
	claims, err := c.client.Claims(w.t.Context(), cardNo)
	if err != nil || len(claims) != 1 || claims[0].Position != in.Position() || claims[0].Kind != journal.LoadIntent {
		w.t.Fatalf("Claims = %+v, %v", claims, err)
	}
	c.write(journal.Entry{
		Kind: journal.Sighting, Ref: "seen", Card: cardNo, Purse: &journal.Purse{Balance: 5000},
		Details: fmt.Appendf(nil, `{"online":%d}`, in.Purse.Counter+1),
	})
	c.push(1)
	if l := w.loadState(in.Ref); l.State != store.LoadWritten || w.mirror() != mirrorFrom+20*yuan {
		w.t.Errorf("load %+v, mirror %s; want it written", l, w.mirror())
	}
	settled, err := w.client.Settlements(w.t.Context(), []string{in.Ref})
	if err != nil || settled[in.Ref] != journal.Elsewhere {
		w.t.Errorf("Settlements = %v, %v", settled, err)
	}
}

// TestFeedOverTheWire follows the hotlist step by step and by snapshots, and
// comes to the same.
func TestFeedOverTheWire(t *testing.T) {
	w := newWorld(t)
	b := w.newBook("C01")
	ctx := t.Context()
	empty, err := b.client.Feed(ctx, wire.FeedHotlist, 0, time.Time{})
	if err != nil || !empty.Snapshot || empty.Version != 0 || len(empty.Adds) != 0 {
		t.Errorf("an empty hotlist = %+v, %v", empty, err)
	}
	followed, version := map[string]client.CardStatus{}, uint64(0)
	whole := func() map[string]client.CardStatus {
		f, err := b.client.Feed(ctx, wire.FeedHotlist, 0, time.Time{})
		if err != nil || !f.Snapshot {
			t.Fatalf("snapshot = %+v, %v", f, err)
		}
		all := map[string]client.CardStatus{}
		for _, h := range f.Adds {
			all[h.CardNo] = h.Reason
		}
		return all
	}
	var deltas int
	for i := range 40 {
		no := fmt.Sprintf("%020X", 0xA00+i%25)
		if i < 25 {
			err := w.books.AddCard(ctx, store.Card{No: no, Account: "holder/" + account, Status: store.CardActive})
			if err != nil {
				t.Fatal(err)
			}
		}
		s := []store.CardStatus{store.CardHot, store.CardRetired, store.CardActive, store.CardHot}[i%4]
		if err := w.books.SetCardStatus(ctx, no, s); err != nil {
			t.Fatal(err)
		}
		f, err := b.client.Feed(ctx, wire.FeedHotlist, version, time.Time{})
		if err != nil || f.Version < version || time.Since(f.Issued) > time.Minute {
			t.Fatalf("step from %d = %+v, %v", version, f, err)
		}
		if f.Snapshot {
			clear(followed)
		} else if f.Version > version {
			deltas++
		}
		for _, h := range f.Adds {
			followed[h.CardNo] = h.Reason
		}
		for _, h := range f.Removes {
			delete(followed, h.CardNo)
		}
		version = f.Version
		if got, want := fmt.Sprint(followed), fmt.Sprint(whole()); got != want {
			t.Fatalf("followed to %s, want %s", got, want)
		}
	}
	if deltas == 0 {
		t.Error("there was no step that was not whole")
	}
	again, err := b.client.Feed(ctx, wire.FeedHotlist, version, time.Time{})
	if err != nil || again.Snapshot || again.Version != version || len(again.Adds)+len(again.Removes) != 0 {
		t.Errorf("nothing new = %+v, %v", again, err)
	}
	if _, err := b.client.Feed(ctx, wire.FeedHotlist, version+5, time.Time{}); err == nil || reason(err) != 0 {
		t.Errorf("a later version than there is: %v, want it unknown", err)
	}
	if err := w.books.ForwardFeed(ctx, wire.FeedHotlist, version+5); err != nil {
		t.Fatal(err)
	}
	forward, err := b.client.Feed(ctx, wire.FeedHotlist, version+5, time.Time{})
	if err != nil || !forward.Snapshot || forward.Version != version+6 || len(forward.Adds) != len(followed) {
		t.Errorf("moved forward = %+v, %v; want all of it", forward, err)
	}
	lines, err := w.books.Exceptions(ctx)
	if err != nil || len(lines) != 1 || lines[0].Kind != "feed ahead" {
		t.Errorf("inbox %+v, %v", lines, err)
	}
}

func TestContentFeeds(t *testing.T) {
	w := newWorld(t)
	b := w.newBook("C01")
	ctx := t.Context()
	for i, text := range []string{"one", "two"} {
		if v, err := w.books.Publish(ctx, wire.FeedBath, []byte(text)); err != nil || v != uint64(i)+1 {
			t.Fatalf("Publish = %d, %v", v, err)
		}
		f, err := b.client.Feed(ctx, wire.FeedBath, uint64(i), time.Time{})
		if err != nil || !f.Snapshot || f.Version != uint64(i)+1 || string(f.Content) != text {
			t.Errorf("Feed = %+v, %v; want %q", f, err, text)
		}
	}
	if f, err := b.client.Feed(ctx, wire.FeedBath, 2, time.Time{}); err != nil || f.Snapshot || f.From != 2 || len(f.Content) != 0 {
		t.Errorf("nothing new = %+v, %v", f, err)
	}
	_, err := b.client.Feed(ctx, "lottery", 0, time.Time{})
	wantReason(t, "an unknown feed", err, client.Malformed)
	if _, err := w.books.Publish(ctx, wire.FeedHotlist, nil); err == nil {
		t.Error("the hotlist was published past the cards")
	}
	p := w.provision("C03")
	p.CampusKey, _ = hex.DecodeString(fmt.Sprintf("%064d", 1))
	other := client.Dial(p, client.Options{})
	defer other.Close()
	if _, err := other.Feed(ctx, wire.FeedBath, 0, time.Time{}); !errors.Is(err, wire.ErrFeed) {
		t.Errorf("a feed of another campus: %v, want %v", err, wire.ErrFeed)
	}
}
