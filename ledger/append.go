package ledger

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

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
	return b.request(ctx, e, journal.Position{})
}

// AppendAt is Append for what has to have a number: the one that [Book.Next] has said. If
// another entry has come between, it writes nothing and returns [ErrBehind].
func (b *Book) AppendAt(ctx context.Context, e journal.Entry, epoch journal.Epoch, seq int64) (journal.Entry, error) {
	return b.request(ctx, e, journal.Position{Epoch: epoch, Seq: seq})
}

// requests are for use again: nobody else knows one that was written, and its wake
// is empty then.
var requests = sync.Pool{New: func() any { return &request{wake: make(chan struct{}, 1)} }}

func (b *Book) request(ctx context.Context, e journal.Entry, under journal.Position) (_ journal.Entry, err error) {
	if e, err = prepared(e); err != nil {
		return journal.Entry{}, err
	}
	if err := b.ready(ctx); err != nil {
		return journal.Entry{}, err
	}
	r := requests.Get().(*request)
	r.entry, r.under = e, under
	if r.entry.Kind == journal.Refund {
		if r.given, err = b.givenBack(ctx, r.entry); err != nil {
			return journal.Entry{}, err
		}
	}
	if err := b.write(ctx, r); err != nil {
		return journal.Entry{}, err
	}
	e = r.entry
	*r = request{wake: r.wake}
	requests.Put(r)
	return e, nil
}

// request is an entry on its way into the journal.
type request struct {
	entry journal.Entry    // owned by whoever writes; then as it was written
	given given            // of a refund's sale, before it
	under journal.Position // without a terminal: the number that it must have; 0 for any
	err   error            // owned as entry is
	leads bool             // it writes the next group, which it is the first of; guarded by Book.mu

	// wake says once that r leads, and then, if another wrote it, that it was written.
	wake chan struct{}
}

// write queues r and returns when it was written, or why it was not. Among those
// who are waiting, the first leads: it writes them all.
func (b *Book) write(ctx context.Context, r *request) error {
	b.inside.Add(1)
	defer b.inside.Add(-1)
	b.mu.Lock()
	b.queue = append(b.queue, r)
	leads := !b.led
	if leads {
		b.led, r.leads = true, true
	}
	b.mu.Unlock()
	if leads {
		return b.lead(ctx, r)
	}
	select {
	case b.queued <- struct{}{}:
	default: // whoever leads has not looked yet
	}
	select {
	case <-r.wake:
	case <-ctx.Done():
		if b.withdraw(r) {
			return ctx.Err()
		}
		<-r.wake // somebody is writing it
	}
	if r.leads {
		return b.lead(ctx, r)
	}
	return r.err
}

// withdraw takes r out of the queue, and reports whether it was still there. If
// it was to lead, the next one does.
func (b *Book) withdraw(r *request) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.queue, r)
	if i < 0 {
		return false
	}
	b.queue = slices.Delete(b.queue, i, i+1)
	if r.leads {
		b.passOn()
	}
	return true
}

// passOn has the first in the queue lead. Its caller has mu.
func (b *Book) passOn() {
	if b.led = len(b.queue) > 0; b.led {
		b.queue[0].leads = true
		b.queue[0].wake <- struct{}{}
	}
}

// lead writes a group that r is the first of.
//
// Writing and syncing a group takes longer than preparing it, and needs nothing
// of what the next one is prepared with. So the turn is given on before that, and
// the next group is prepared meanwhile, until the disk is free. Nobody is told
// anything before the own group is on the disk, and groups come there in order.
func (b *Book) lead(ctx context.Context, r *request) error {
	select {
	case b.turn <- struct{}{}:
	case <-ctx.Done():
		b.withdraw(r)
		return ctx.Err()
	}
	g := b.gather()
	b.commit(&g)
	if g.half {
		<-b.disk // first, for the other half
		g.tell(r)
		return r.err
	}
	g.tell(r)
	<-b.disk // last, so that they are back for the next group
	return r.err
}

// tell wakes all of a group but its leader.
func (g *group) tell(leader *request) {
	for _, r := range g.all {
		if r != leader {
			r.wake <- struct{}{}
		}
	}
}

// group is what is written in one transaction.
type group struct {
	all  []*request
	put  int   // how many of them have been put
	err  error // why it cannot be written
	half bool  // there is another as large, with which it takes turns
}

// gather takes what is waiting, and prepares it until the disk is free. Its
// caller has the turn, and then the disk too.
//
// Of many who append at once, most are still on their way back from the last
// group when the disk is free. So after a group, those who are ready to run go
// first. What comes alone finds no group before it, and waits for nobody.
func (b *Book) gather() (g group) {
	for more := b.fill(&g); more; more = b.fill(&g) {
		select {
		case b.disk <- struct{}{}:
			for n := 0; b.rush && more && n < len(g.all); more = b.fill(&g) {
				n = len(g.all)
				runtime.Gosched()
			}
			return b.gathered(g)
		case <-b.queued:
			runtime.Gosched() // there are more who are ready to
		}
	}
	b.disk <- struct{}{}
	return b.gathered(g)
}

func (b *Book) gathered(g group) group {
	g.half = b.share() < groupMax
	b.rush, b.among = len(g.all) > 1, b.inside.Load()
	return g
}

// fill adds to a group and prepares it, and reports whether it may become larger
// without the disk.
func (b *Book) fill(g *group) bool {
	most := b.share()
	b.mu.Lock()
	n := max(0, min(len(b.queue), most-len(g.all)))
	g.all = append(g.all, b.queue[:n]...)
	b.queue = slices.Delete(b.queue, 0, n)
	b.mu.Unlock()
	b.w.ahead = true
	defer func() { b.w.ahead = false }()
	return b.w.putAll(g) && len(g.all) < most
}

// Where a sync is shorter than what precedes it, two groups that take turns get
// further than one: each is prepared while the other is on its way to the disk.
// Of fewer than halfMin callers, the second sync costs more than that gains.
const (
	halfMin   = 256
	preparing = 6 * time.Microsecond // about what an entry and its caller take until it can be written
)

// share is how large the next group may become. Its caller has the turn.
func (b *Book) share() int {
	all := max(b.inside.Load(), b.among)
	if all < halfMin || time.Duration(all)*preparing < time.Duration(b.w.syncing.Load()) {
		return groupMax
	}
	return min(groupMax, int(all+1)/2)
}

// putAll puts the entries of a group, as far as that goes without the disk, and
// reports whether that was all. What is refused is refused before anything of it
// is written, and does not disturb the others.
func (w *writer) putAll(g *group) bool {
	for g.err == nil && g.put < len(g.all) {
		r := g.all[g.put]
		e, err := w.put(r)
		if errors.Is(err, errAhead) {
			return false
		}
		if r.entry, r.err = e, err; err != nil && !refused(err) {
			g.err = err
			return false
		}
		g.put++
	}
	return g.err == nil
}

// commit writes a group in one transaction. Its caller has the turn, which is
// given on, and the disk.
func (b *Book) commit(g *group) {
	holds := true
	release := func() {
		holds = false
		<-b.turn
		b.mu.Lock()
		b.passOn()
		b.mu.Unlock()
	}
	err := b.transact("append", func(w *writer) error {
		w.putAll(g)
		return g.err
	}, release)
	if holds {
		release()
	}
	for _, r := range g.all {
		if err != nil {
			r.err = err
		}
	}
}

// transact has f write in one transaction and tells the world. Its caller has
// the turn and the disk. After f nothing but the disk is needed, and ready is
// called, if it is not nil.
func (b *Book) transact(op string, f func(*writer) error, ready func()) error {
	if err := b.err(); err != nil {
		return err
	}
	var end tail
	err := b.s.conn.Raw(func(any) (err error) {
		end, err = b.w.transact(func() error { return f(b.w) }, ready)
		return err
	})
	if err != nil {
		return b.fail(op, err)
	}
	if end.seq == 0 {
		return nil
	}
	if b.o.Sentinel {
		if _, err := verify(context.Background(), b.s.conn, b.o.trust(), wholeSpan); err != nil {
			return b.fail(op, err)
		}
	}
	b.announce(end)
	return nil
}

// announce tells the world how far the journal has come. Its caller has the disk.
func (b *Book) announce(end tail) {
	b.mu.Lock()
	b.head = journal.Head{Epoch: b.w.epoch, Seq: end.seq, Hash: end.hash}
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
func (w *writer) put(r *request) (journal.Entry, error) {
	e := r.entry
	i, err := w.itemOf(e.Ref)
	if err != nil {
		return e, err
	}
	e, written, err := i.admit(e)
	if err != nil || written.Seq > 0 {
		return written, err
	}
	if r.under.Seq > 0 {
		_, stepped := w.clock.step(w.moment(), w.at) // which is journalled first
		if next := (journal.Position{Epoch: w.epoch, Seq: w.seq + 1}); stepped || r.under != next {
			return e, fmt.Errorf("%w: number %d is another's", ErrBehind, r.under.Seq)
		}
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
		if err := w.refundable(e, r.given); err != nil {
			return e, err
		}
	}
	if w.ahead && !w.knows(e.Postings) {
		return e, errAhead
	}
	return w.write(e) // which cannot be refused any more
}

// refundable returns [ErrRefund] unless e gives back no more than is left of
// the sale that it names. What was sold elsewhere, or in an older journal, only
// upstream knows, which takes the refund and lists what is too much.
func (w *writer) refundable(e journal.Entry, before given) error {
	if e.Origin.Terminal != w.terminal || e.Origin.Epoch != w.epoch {
		return nil
	}
	if w.ahead {
		return errAhead
	}
	if err := w.flush(w.batch); err != nil {
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
