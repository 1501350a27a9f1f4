package ledger

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"quancun/journal"
	"quancun/money"
	"quancun/pboc"
)

// groupMax bounds how many entries share one commit, so that none of them
// waits for long.
const groupMax = 1000

// detailsMax bounds an entry's Details, so that the whole entry can be carried
// in the Details of another.
const detailsMax = 44 << 10

// Append journals e and returns it with what the ledger adds: its position,
// its times, its postings, and what an end takes from its intent. When it
// returns without an error, the entry is on the disk. Entries that are
// appended at the same time share one sync; one that comes alone waits for
// nobody.
//
// Saying the same again is harmless and returns the entry that was written
// first, so a caller that does not know whether it said something says it
// again. Otherwise Append returns
//
//   - [journal.ErrRule] if e breaks a rule of [journal.Entry],
//   - [ErrConflict] if the Ref is taken by something else, or an end does not
//     agree with its intent,
//   - [ErrNoIntent] if e ends or doubts what was never begun,
//   - [ErrResolved] if e ends what has ended differently, or doubts what has
//     ended,
//   - [ErrShort] if e takes more out of the drawer than is in it,
//   - [ErrBehind] if e adds up the journal, and that has gone on since,
//   - [ErrRefund] if e gives back more than is left of a sale of this journal, or
//     names no sale in it,
//
// and has written nothing of e. With [ErrFailed] nobody knows whether it has:
// the program must restart, and look. A ctx that ends during the write no
// longer stops it, so a context error too means that nothing was written.
func (b *Book) Append(ctx context.Context, e journal.Entry) (journal.Entry, error) {
	e, err := prepared(e)
	if err != nil {
		return journal.Entry{}, err
	}
	if err := b.ready(ctx); err != nil {
		return journal.Entry{}, err
	}
	r := &request{entry: e, done: make(chan struct{})}
	if e.Kind == journal.Refund {
		if r.given, err = b.givenBack(ctx, e); err != nil {
			return journal.Entry{}, err
		}
	}
	b.mu.Lock()
	b.queue = append(b.queue, r)
	b.mu.Unlock()
	select {
	case <-r.done:
	case b.turn <- struct{}{}:
		b.serve(r)
		<-b.turn
	case <-ctx.Done():
		if b.withdraw(r) {
			return journal.Entry{}, ctx.Err()
		}
		<-r.done // somebody is writing it
	}
	if r.err != nil {
		return journal.Entry{}, r.err
	}
	return r.entry, nil
}

// request is an entry on its way into the journal.
type request struct {
	entry journal.Entry // owned by whoever writes, until done is closed; then as it was written
	given given         // of a refund's sale, before it
	err   error         // owned as entry is
	done  chan struct{}
}

// serve writes what is waiting, until r is written. Its caller has the turn.
//
// Of many who append at once, half are still on their way back from the last
// commit when the next begins, and would need one more. So after a group, those
// who are ready to run go first. One that comes alone finds no group before it.
func (b *Book) serve(r *request) {
	for {
		select {
		case <-r.done: // somebody else has just written it
			return
		default:
		}
		b.mu.Lock()
		for n := -1; b.rush && n < len(b.queue); {
			n = len(b.queue)
			b.mu.Unlock()
			runtime.Gosched()
			b.mu.Lock()
		}
		n := min(len(b.queue), groupMax)
		b.rush = n > 1
		group := slices.Clone(b.queue[:n])
		b.queue = slices.Delete(b.queue, 0, n)
		b.mu.Unlock()
		b.commit("append", group)
	}
}

// withdraw takes r out of the queue, and reports whether it was still there.
func (b *Book) withdraw(r *request) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.queue, r)
	if i < 0 {
		return false
	}
	b.queue = slices.Delete(b.queue, i, i+1)
	return true
}

// commit writes a group of entries in one transaction. What is refused is
// refused before anything of it is written, and does not disturb the others. Its caller
// has the turn.
func (b *Book) commit(op string, group []*request) {
	err := b.transact(op, func(w *writer) error {
		for _, r := range group {
			r.entry, r.err = w.put(r.entry, r.given)
			if r.err != nil && !refused(r.err) {
				return r.err
			}
		}
		return nil
	})
	for _, r := range group {
		if err != nil {
			r.err = err
		}
		close(r.done)
	}
}

// transact has f write in one transaction and tells the world. Its caller has
// the turn.
func (b *Book) transact(op string, f func(*writer) error) error {
	if err := b.err(); err != nil {
		return err
	}
	before := b.w.seq
	err := b.s.conn.Raw(func(any) error { return b.w.transact(func() error { return f(b.w) }) })
	if err != nil {
		return b.fail(op, err)
	}
	if b.w.seq == before {
		return nil
	}
	if b.o.Sentinel {
		if _, err := verify(context.Background(), b.s.conn, b.o.trust(), wholeSpan); err != nil {
			return b.fail(op, err)
		}
	}
	b.announce()
	return nil
}

// announce tells the world how far the journal has come.
func (b *Book) announce() {
	b.mu.Lock()
	b.head = journal.Head{Epoch: b.w.epoch, Seq: b.w.seq, Hash: b.w.hash}
	b.mu.Unlock()
	select {
	case b.appended <- struct{}{}:
	default:
	}
	b.mirror.nudge()
}

// prepared returns e as far as it can be checked without looking at the
// journal.
func prepared(e journal.Entry) (journal.Entry, error) {
	if e.Kind.LedgerOnly() || !e.Kind.Known() {
		return e, fmt.Errorf("%w: %s %q: the ledger alone writes this kind", journal.ErrRule, e.Kind, e.Ref)
	}
	e, err := e.CompactDetails()
	if err == nil && len(e.Details) > detailsMax {
		err = fmt.Errorf("%w: %s %q: details of %d bytes", journal.ErrRule, e.Kind, e.Ref, len(e.Details))
	}
	return e, err
}

// put decides whether e may be written, and then writes it.
func (w *writer) put(e journal.Entry, before given) (journal.Entry, error) {
	i, err := w.itemOf(e.Ref)
	if err != nil {
		return e, err
	}
	e, written, err := i.admit(e)
	if err != nil || written.Seq > 0 {
		return written, err
	}
	holds := -w.balance(w.till)
	e.Terminal = w.terminal
	e = e.Post(i.Doubt.Seq > 0, holds)
	if err := e.Check(); err != nil {
		return e, err
	}
	if in := drawn(e, w.till); in < 0 && holds+in < 0 {
		return e, fmt.Errorf("%w: it holds %s", ErrShort, holds)
	}
	if last := (journal.Position{Terminal: w.terminal, Epoch: w.epoch, Seq: w.seq}); e.Kind.Sums() && e.Origin != last {
		return e, fmt.Errorf("%w: the last entry is %d", ErrBehind, w.seq)
	}
	if e.Kind == journal.Refund {
		if err := w.refundable(e, before); err != nil {
			return e, err
		}
	}
	return w.write(e) // which cannot be refused any more
}

// given is what the entries up to a number have given back of a sale.
type given struct {
	through int64
	sum     money.Fen
}

// add adds what an entry gives back, if it is a refund of that sale.
func (g *given) add(body []byte, sale journal.Position) error {
	e, _, err := journal.Decode(body)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrTampered, err)
	}
	if e.Kind == journal.Refund && e.Origin == sale {
		g.sum += e.Amount
	}
	return nil
}

// Refunds are few, so they have no index that every sale would have to pay for.
// They are looked for among what came after the sale: by a reader, before the
// refund has its turn, and by the writer in what has come since.
const (
	selectRefunds = `SELECT body FROM journal WHERE seq > ?1 AND role = 8
		AND debit = (SELECT id FROM account WHERE name = ?2)`
	selectBody = `SELECT body FROM journal WHERE seq = ?`
)

// GivenBack returns how much was given back so far of a sale of this journal,
// which an entry of it says was paid.
func (b *Book) GivenBack(ctx context.Context, sale journal.Entry) (money.Fen, error) {
	g, err := b.givenBack(ctx, journal.Entry{Merchant: sale.Merchant, Origin: sale.Position()})
	return g.sum, err
}

// givenBack returns what has been given back so far of the sale that e names.
func (b *Book) givenBack(ctx context.Context, e journal.Entry) (g given, err error) {
	err = b.read(ctx, "read refunds", func(q querier) error {
		head, err := tailOf(ctx, q)
		if g = (given{through: head.seq}); err != nil {
			return err
		}
		return each(ctx, q, selectRefunds, func(rows *sql.Rows) error {
			var body []byte
			if err := rows.Scan(&body); err != nil {
				return err
			}
			return g.add(body, e.Origin)
		}, e.Origin.Seq, string(journal.MerchantAccount(e.Merchant)))
	})
	return g, err
}

// refundable returns [ErrRefund] unless e gives back no more than is left of
// the sale that it names. What was sold elsewhere, or in an older journal, only
// upstream knows, which takes the refund and lists what is too much.
func (w *writer) refundable(e journal.Entry, before given) error {
	if e.Origin.Terminal != w.terminal || e.Origin.Epoch != w.epoch {
		return nil
	}
	if err := w.flush(); err != nil {
		return err
	}
	a := journal.MerchantAccount(e.Merchant)
	paid, body := money.Fen(0), make([]driver.Value, 1)
	err := fetch(&w.body, body, func() error {
		sale, _, err := journal.Decode(body[0].([]byte))
		for _, p := range sale.Postings {
			if p.Account == a {
				paid += p.Amount
			}
		}
		return err
	}, e.Origin.Seq)
	if err != nil {
		return fmt.Errorf("read sale: %w", err)
	}
	err = fetch(&w.refunds, body, func() error { return before.add(body[0].([]byte), e.Origin) },
		before.through, string(a))
	if err != nil {
		return fmt.Errorf("read refunds: %w", err)
	}
	if before.sum+e.Amount > paid {
		return fmt.Errorf("%w: entry %d brought %s %s, %s was given back before",
			ErrRefund, e.Origin.Seq, e.Merchant, max(paid, 0), before.sum)
	}
	return nil
}

// drawn is what e puts into the drawer; less than zero if it takes from it.
func drawn(e journal.Entry, till journal.Account) (sum money.Fen) {
	for _, p := range e.Postings {
		if p.Account == till {
			sum -= p.Amount
		}
	}
	return sum
}

// admit decides whether e may follow what is known under its Ref. It returns e
// with what it takes from its intent and, if e was written before, the entry
// that it was written as.
func (i Item) admit(e journal.Entry) (full, written journal.Entry, err error) {
	begun, begins := i.First.Seq > 0, begins(e.Kind)
	switch {
	case begins && !begun:
		return e, written, nil
	case begins && i.First.Says(e):
		return e, i.First, nil
	case begins:
		return e, written, fmt.Errorf("%w: %q is entry %d", ErrConflict, e.Ref, i.First.Seq)
	case !begun || i.First.Kind != e.Kind.Intent():
		return e, written, fmt.Errorf("%w: %s %q", ErrNoIntent, e.Kind, e.Ref)
	}
	if e, err = inherit(e, i.First); err != nil {
		return e, written, err
	}
	before := &i.Doubt
	if e.Kind.IsEnd() {
		before = &i.End
	}
	switch {
	case before.Seq > 0 && before.Says(e):
		return e, *before, nil
	case !i.Open():
		return e, written, fmt.Errorf("%w: %q is %s since entry %d", ErrResolved, e.Ref, i.End.Outcome, i.End.Seq)
	case before.Seq > 0:
		return e, written, fmt.Errorf("%w: %q is in doubt since entry %d", ErrConflict, e.Ref, before.Seq)
	}
	return e, written, nil
}

// inherit returns e with what its intent says and e does not. What both say
// has to be the same, but for the card's TAC, which comes last.
func inherit(e, intent journal.Entry) (journal.Entry, error) {
	for _, s := range []struct{ mine, its *string }{
		{&e.Card, &intent.Card}, {&e.Account, &intent.Account}, {&e.Merchant, &intent.Merchant},
	} {
		if *s.mine == "" {
			*s.mine = *s.its
		}
	}
	if e.Amount == 0 {
		e.Amount = intent.Amount
	}
	if e.Purse == nil {
		e.Purse = intent.Purse
	}
	if e.Card != intent.Card || e.Account != intent.Account || e.Merchant != intent.Merchant ||
		e.Amount != intent.Amount || !samePurse(e.Purse, intent.Purse) {
		return e, fmt.Errorf("%w: %s %q is not about the card, account, merchant, amount and purse of entry %d",
			ErrConflict, e.Kind, e.Ref, intent.Seq)
	}
	return e, nil
}

func samePurse(a, b *journal.Purse) bool {
	if a == nil || b == nil {
		return a == b
	}
	p, q := *a, *b
	p.TAC, q.TAC = pboc.MAC{}, pboc.MAC{}
	return p == q
}

// start journals that the program has started, and puts in doubt the loads and
// sales that the last run has left open.
func (b *Book) start(ctx context.Context) error {
	open, err := openItems(ctx, b.s.conn)
	if err != nil {
		return b.fail("start", err)
	}
	details, err := json.Marshal(started{b.o.Version, bootID()})
	if err != nil {
		return fmt.Errorf("start journal: %w", err)
	}
	return b.transact("start", func(w *writer) error {
		if _, err := w.write(journal.Entry{Kind: journal.Started, Details: details}); err != nil {
			return err
		}
		for _, i := range open {
			if i.Doubt.Seq > 0 || i.First.Kind.Doubt() == 0 {
				continue // it is known to be in doubt, or an order, of which upstream knows
			}
			if _, err := w.put(journal.Entry{Kind: i.First.Kind.Doubt(), Ref: i.First.Ref}, given{}); err != nil {
				return fmt.Errorf("put %q in doubt: %w", i.First.Ref, err)
			}
		}
		return nil
	})
}

// started is the Details of a [journal.Started] entry.
type started struct {
	Version string `json:"version"`
	Boot    string `json:"boot"` // the kernel's boot ID, empty if it has none
}

func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "" // it only helps people who read the journal
	}
	return strings.TrimSpace(string(id))
}
