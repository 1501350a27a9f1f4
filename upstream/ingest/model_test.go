package ingest_test

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"quancun/journal"
	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/ingest"
	"quancun/upstream/keys"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	v1 "quancun/upstream/wire/quancun/v1"
)

// TestModel plays random histories on SQLite, on PostgreSQL and on a model of a
// few maps. After every step balances, mirrors, heads and what is available are
// what the model says; a claim is only ever settled as the card knows it; and
// the two engines end in the same state, to the last byte of its hash.
//
// How many histories, and how long they are: -rapid.checks=1000 -rapid.steps=50.
// Without the flag there are a few, always the same.
func TestModel(t *testing.T) {
	fewCases(t, "15") // PostgreSQL syncs each step
	h := newHistories(t)
	onPostgres, err := booktest.Open(t.Context(), emptied(t), func() time.Time { return start })
	if err != nil {
		t.Fatal(err)
	}
	defer onPostgres.Close()
	rapid.Check(t, func(rt *rapid.T) {
		emptied(t)
		h.play(rt, h.onSQLite(rt), onPostgres)
	})
	if n := onPostgres.Retries(); n != 0 {
		t.Errorf("%d transactions had to give way, want none", n)
	}
}

// TestModelOnSQLite is [TestModel] on the faster of the engines alone.
func TestModelOnSQLite(t *testing.T) {
	fewCases(t, "60")
	h := newHistories(t)
	rapid.Check(t, func(rt *rapid.T) { h.play(rt, h.onSQLite(rt)) })
}

// fewCases has a test try n cases, the same at each run, when nobody has said how
// many. Whoever looks for more says so, and gets others each time.
func fewCases(t *testing.T, n string) {
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "rapid.checks" || f.Name == "rapid.seed" })
	if said {
		return
	}
	for name, value := range map[string]string{"rapid.checks": n, "rapid.seed": "1"} {
		v := flag.Lookup(name).Value // and not flag.Set, after which it would look as if it had been said
		was := v.String()
		if err := v.Set(value); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { v.Set(was) }) //nolint:errcheck // what it was
	}
}

// histories is what all cases of a test share.
type histories struct {
	t     *testing.T
	keys  *keys.Software
	empty []byte // a SQLite file of books with nothing in them: to make one takes long
	path  string
}

func newHistories(t *testing.T) *histories {
	h := &histories{t: t, path: filepath.Join(t.TempDir(), "books.db")}
	w := newWorld(t, h.path)
	h.keys = w.keys
	if err := w.books.Close(); err != nil {
		t.Fatal(err)
	}
	var err error
	if h.empty, err = os.ReadFile(h.path); err != nil {
		t.Fatal(err)
	}
	return h
}

// onSQLite returns books with nothing in them. The ones before are closed.
func (h *histories) onSQLite(t *rapid.T) *store.Books {
	for _, end := range []string{"-wal", "-shm"} {
		if err := os.RemoveAll(h.path + end); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(h.path, h.empty, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := booktest.Open(t.Context(), h.path, func() time.Time { return start })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// history is one case: upstreams that hear the same, and what tells it.
type history struct {
	*plain
	worlds   []*world
	cards    []*purse
	acts     map[string]*act // what the cards know, by ref
	written  map[string]bool // loads that the books have as written
	machines []*machine
	images   []*machine // copies that were made of machines
	settled  map[string]journal.Outcome

	// twins lets all purchases be of one amount, so that a counter may deceive:
	// then a claim may be settled wrongly, until the other purchase is heard of.
	twins bool
	count int
}

// act is a purchase or a load as it really was.
type act struct {
	intent journal.Entry
	card   *purse
	made   bool
	tac    pboc.MAC
}

// machine is a terminal as it stands somewhere. After a clone there are several
// with one identity.
type machine struct {
	*till
	acked   int64
	items   map[string]item // by ref
	attempt string          // that it has asked for money for, "" for none
}

// item is a purchase or a load in a machine's journal.
type item struct {
	first, doubt, end int64 // numbers of its entries in this journal; 0 for none
}

const (
	modelReserve = reserve
	modelAccount = "1003" // of nobody's card

	// loadAmount is more than any purchase, so that nothing that a purse holds
	// after a purchase and a load looks like a purchase alone.
	loadAmount = 50 * yuan
)

var modelCards = []string{"1001", "1001", "1002"} // the accounts of the cards

func (h *histories) play(t *rapid.T, books ...*store.Books) {
	s := &history{
		plain: &plain{
			balances: map[store.Account]money.Fen{}, mirrors: map[string]money.Fen{},
			owners: map[string]store.Account{}, journals: map[journal.Epoch]*copied{}, brought: map[copyOf]bool{},
			intents: map[string]*announced{}, claims: map[string]*announced{}, ended: map[string]bool{},
		},
		acts: map[string]*act{}, twins: rapid.IntRange(0, 3).Draw(t, "twins") == 0,
	}
	for _, b := range books {
		in := ingest.New(b, h.keys, ingest.Policy{CardReserve: reserve, DailyLimit: 50 * yuan})
		s.worlds = append(s.worlds, &world{t: h.t, books: b, keys: h.keys, in: in, now: start})
	}
	s.fill()
	steps := map[string]func(*rapid.T){
		"":           func(t *rapid.T) { s.check(t) },
		"sell":       s.sell,
		"load":       s.load,
		"by code":    s.byCode,
		"cash":       s.cash,
		"refund":     s.refund,
		"resolve":    s.resolve,
		"sight":      s.sight,
		"evidence":   s.bringEvidence,
		"authorize":  s.authorize,
		"push":       func(t *rapid.T) { s.push(t, s.any(t)) },
		"push a bit": s.pushSome,
		"repeat":     s.repeat,
		"gap":        s.gap,
		"cut":        s.cut,
	}
	if !s.twins { // what a machine loses might be what would have told
		steps["copy"], steps["restore"], steps["clone"], steps["told"] = s.copy, s.restore, s.clone, s.told
	}
	t.Repeat(steps)
	s.finish(t)
}

// fill adds holders, cards and terminals.
func (s *history) fill() {
	first := s.worlds[0]
	for _, no := range []string{"1001", "1002", modelAccount} {
		for _, w := range s.worlds {
			w.holder(no, 100*yuan)
		}
		s.balances[store.HolderAccount(no)] = 100 * yuan
	}
	for i, no := range modelCards {
		var p *purse
		for _, w := range slices.Backward(s.worlds) {
			p = w.card(i+1, store.HolderAccount(no), 1000*yuan)
		}
		s.cards = append(s.cards, p)
		s.mirrors[p.no], s.owners[p.no] = 1000*yuan, store.HolderAccount(no)
	}
	for _, id := range []string{"C01", "C02", "C03"} {
		var c *till
		for _, w := range slices.Backward(s.worlds) {
			c = w.till(id)
		}
		c.w = first
		s.machines = append(s.machines, &machine{till: c, items: map[string]item{}})
	}
}

func (s *history) any(t *rapid.T) *machine { return pick(t, "machine", s.machines) }

// pick draws one of all by its place, which is what is printed.
func pick[E any](t *rapid.T, what string, all []E) E {
	return all[rapid.IntRange(0, len(all)-1).Draw(t, what)]
}

// ref returns a name that was never used, which is the machine's attempt if it
// has one under way.
func (s *history) ref(m *machine) string {
	ref := m.attempt
	if m.attempt = ""; ref == "" {
		ref = s.fresh()
	}
	return ref
}

func (s *history) fresh() string {
	s.count++
	return fmt.Sprintf("r%d", s.count)
}

// amount returns what a purchase is of. No two are the same, unless all are.
func (s *history) amount(t *rapid.T) money.Fen {
	if s.twins {
		return 3 * yuan
	}
	s.count++
	return money.Fen(rapid.IntRange(0, 9).Draw(t, "amount"))*yuan + money.Fen(s.count)
}

// sell has a card buy something, which goes well or not.
func (s *history) sell(t *rapid.T) {
	m, p := s.any(t), pick(t, "card", s.cards)
	s.write(t, m, p, m.intend(p, s.ref(m), s.amount(t)))
}

// load has a card written up.
func (s *history) load(t *rapid.T) {
	m, p := s.any(t), pick(t, "card", s.cards)
	s.count++
	id := fmt.Sprintf("%032x", s.count)
	offer := store.Offer{
		LoadID: id, Balance: p.balance, Counter: p.online, Terminal: m.terminal.No,
		Stamp: pboc.Stamp{0x20, 0x26, 0x03, 0x02, 0x11, byte(s.count >> 8), byte(s.count)},
	}
	for _, w := range s.worlds {
		s.authorizeLoad(t, w, p, store.Load{ID: id, CardNo: p.no, Terminal: m.terminal.ID, Amount: loadAmount}, offer)
	}
	s.write(t, m, p, m.write(journal.Entry{
		Kind: journal.LoadIntent, Ref: id, Card: p.no, Amount: loadAmount, Purse: &journal.Purse{
			Balance: p.balance, Counter: p.online, TerminalNo: m.terminal.No, Stamp: offer.Stamp,
		},
	}))
}

// authorizeLoad does what the server does when a card asks to be written up: its
// counter says what has become of what was open.
func (s *history) authorizeLoad(t *rapid.T, w *world, p *purse, l store.Load, o store.Offer) {
	err := w.books.WithCard(t.Context(), p.no, func(c store.CardTx) error {
		open, err := c.Open()
		for _, old := range open {
			if s.acts[old.ID].made {
				err = errors.Join(err, ingest.SettleWritten(c, old, "counter"))
			} else {
				err = errors.Join(err, c.Settle(old.ID, store.LoadNotWritten, "counter"))
			}
		}
		return errors.Join(err, c.AddLoad(l), c.AddOffer(o))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// write has a card written to as an intent says, which goes well or not.
func (s *history) write(t *rapid.T, m *machine, p *purse, in journal.Entry) {
	fate := rapid.SampledFrom([]string{"written", "not", "torn", "torn not", "open", "open not"}).Draw(t, "fate")
	done := &act{intent: in, card: p, made: fate == "written" || fate == "torn" || fate == "open"}
	switch {
	case done.made && in.Kind == journal.LoadIntent:
		done.tac = p.credit(in)
	case done.made:
		done.tac = p.debit(in)
	}
	s.acts[in.Ref] = done
	m.items[in.Ref] = item{first: in.Seq}
	switch fate {
	case "written", "not":
		s.end(m, in.Ref)
	case "torn", "torn not":
		s.lose(m, in.Ref)
	}
}

// lose writes that nobody knows how something came out.
func (s *history) lose(m *machine, ref string) {
	e := s.acts[ref].intent
	e.Kind = e.Kind.Doubt()
	it := m.items[ref]
	it.doubt = m.append(e, false).Seq
	m.items[ref] = it
}

// end writes how something came out.
func (s *history) end(m *machine, ref string) {
	sold := s.acts[ref]
	o := journal.NotWritten
	if sold.made {
		o = journal.Written
	}
	s.endAs(m, ref, o, sold.tac)
}

var ends = map[journal.Kind]journal.Kind{journal.SaleIntent: journal.SaleEnd, journal.LoadIntent: journal.LoadEnd}

func (s *history) endAs(m *machine, ref string, o journal.Outcome, tac pboc.MAC) {
	e, it := s.acts[ref].intent, m.items[ref]
	said := *e.Purse
	said.TAC = tac
	e.Kind, e.Outcome, e.Purse = ends[e.Kind], o, &said
	it.end = m.append(e, it.doubt != 0).Seq
	m.items[ref] = it
}

// anOpen returns what a machine has open, or "".
func (m *machine) anOpen(t *rapid.T) string {
	refs := m.open()
	if len(refs) == 0 {
		return ""
	}
	return rapid.SampledFrom(refs).Draw(t, "open")
}

func (m *machine) open() (refs []string) {
	for ref, it := range m.items {
		if it.end == 0 {
			refs = append(refs, ref)
		}
	}
	slices.Sort(refs)
	return refs
}

// resolve has a machine find out how something came out, or give up on it.
func (s *history) resolve(t *rapid.T) {
	m := s.any(t)
	switch ref := m.anOpen(t); {
	case ref == "":
	case m.items[ref].doubt == 0 && rapid.Bool().Draw(t, "lost"):
		s.lose(m, ref)
	default:
		s.end(m, ref)
	}
}

// told has a machine ask what has become of a doubt of its own.
func (s *history) told(t *rapid.T) {
	m := s.any(t)
	ref := m.anOpen(t)
	if o := s.settled[ref]; o != 0 {
		s.endAs(m, ref, o, pboc.MAC{})
	}
}

func (s *history) byCode(t *rapid.T) {
	m := s.any(t)
	account := rapid.SampledFrom([]string{"1001", modelAccount}).Draw(t, "account")
	m.sellByCode(account, s.ref(m), s.amount(t))
}

func (s *history) cash(t *rapid.T) {
	m := s.any(t)
	kind := rapid.SampledFrom([]journal.Kind{journal.CashTopUp, journal.PayOut, journal.Fee, journal.CashIn}).Draw(t, "kind")
	m.append(journal.Entry{Kind: kind, Ref: s.ref(m), Account: modelAccount, Amount: s.amount(t)}, false)
}

// refund gives back something that was sold, whether the upstream has heard of
// that or not.
func (s *history) refund(t *rapid.T) {
	m := s.any(t)
	of := journal.Position{Terminal: m.terminal.ID, Epoch: m.epoch, Seq: int64(rapid.IntRange(1, 30).Draw(t, "of"))}
	m.append(journal.Entry{
		Kind: journal.Refund, Ref: s.ref(m), Account: "1002", Merchant: merchant, Amount: s.amount(t), Origin: of,
	}, false)
}

func (s *history) sight(t *rapid.T) {
	s.any(t).sighted(pick(t, "card", s.cards))
}

// bringEvidence has a card say at one machine what it knows of another's claim.
func (s *history) bringEvidence(t *rapid.T) {
	m, p := s.any(t), pick(t, "card", s.cards)
	claims := s.askClaims(t, p)
	if len(claims) == 0 {
		return
	}
	c := pick(t, "claim", claims)
	switch sold := s.acts[c.Ref]; {
	case !sold.made:
		m.evidence(c, journal.NotWritten, "counter", pboc.MAC{})
	case rapid.Bool().Draw(t, "log"):
		m.evidence(c, journal.Written, "log", pboc.MAC{})
	default:
		m.evidence(c, journal.Written, "prove", sold.tac)
	}
}

func (s *history) askClaims(t *rapid.T, p *purse) (claims []journal.Claim) {
	for i, w := range s.worlds {
		found, err := w.in.Claims(t.Context(), p.no)
		if err != nil || i > 0 && !slices.Equal(found, claims) {
			t.Fatalf("upstream %d has claims %+v, %v; the first has %+v", i, found, err, claims)
		}
		claims = found
	}
	return claims
}

// authorize asks for money under a machine's next number.
func (s *history) authorize(t *rapid.T) {
	m, p := s.any(t), pick(t, "card", s.cards)
	q := m.request(p, s.fresh(), 10*s.amount(t))
	account := s.owners[p.no]
	switch rapid.IntRange(0, 2).Draw(t, "how") {
	case 0:
		q.CardNo, q.Account, q.Virtual = "", modelAccount, true
		account = store.HolderAccount(modelAccount)
	case 1:
		q.Reading = &ingest.Reading{Purse: money.Fen(p.balance), Offline: p.offline, Online: &p.online}
	}
	j := s.journal(m.epoch)
	var answers []ingest.Approval
	for i, w := range s.worlds {
		a, err := w.in.Authorize(t.Context(), m.terminal, q)
		unknown := len(j.hashes) == 0 && !j.superseded
		if no := (*journal.PushError)(nil); unknown != errors.As(err, &no) || !unknown && err != nil {
			t.Fatalf("upstream %d answers %v, and has %d of the journal", i, err, len(j.hashes))
		}
		answers = append(answers, a)
	}
	if len(j.hashes) == 0 && !j.superseded {
		return
	}
	s.check(t) // which hears what the reading has settled
	balances, _ := s.books(s.settled)
	at := journal.Position{Terminal: m.terminal.ID, Epoch: m.epoch, Seq: q.Seq}
	want := ingest.Approval{Available: balances[account] - s.holding(account, at)}
	if q.Virtual {
		want.Available -= modelReserve
	}
	switch {
	case j.superseded || q.Seq <= int64(len(j.hashes)):
		want.Reason = v1.Reason_REASON_NUMBER_PASSED
	case q.Amount > want.Available:
		want.Reason = v1.Reason_REASON_NOT_ENOUGH
		if before := want.Available + modelReserve; q.Virtual && q.Amount <= before {
			want.Kept = min(before, modelReserve)
		}
	default:
		want.Approved = true
		m.attempt = q.Attempt
		s.holds = append(s.holds, &held{at, q.Attempt, account, q.Amount, ingest.HoldPlaced})
	}
	for i, a := range answers {
		if a.Approved != want.Approved || a.Reason != want.Reason || a.Available != want.Available ||
			a.Kept != want.Kept {
			t.Fatalf("upstream %d answers %+v, want %+v", i, a, want)
		}
	}
}

// send pushes a batch to all upstreams, which say what the model says.
func (s *history) send(t *rapid.T, m *machine, from, to int64) (refused bool) {
	want := s.refuses(m.epoch, m.hashes, from, to)
	s.sendAs(t, m, m.batch(from, to), want)
	if want == nil {
		s.take(m.epoch, m.bodies, to)
	}
	for i, w := range s.worlds {
		j := s.journal(m.epoch)
		if h, err := w.in.Head(t.Context(), m.terminal.ID, m.epoch); err != nil || h.Seq != int64(len(j.hashes)) ||
			h.Seq > 0 && h.Hash != j.hashes[h.Seq-1] {
			t.Fatalf("upstream %d has %d of %s, %v; want %d", i, h.Seq, m.epoch, err, len(j.hashes))
		}
	}
	return want != nil
}

func (s *history) sendAs(t *rapid.T, m *machine, b journal.Batch, want error) {
	for i, w := range s.worlds {
		ack, err := w.in.Push(t.Context(), m.terminal, b)
		var e *journal.PushError
		switch {
		case want == nil && err == nil:
			s.checkAck(t, m, b, ack)
		case want == nil || !errors.As(err, &e) || e.Reason != want || e.Head.Seq != int64(len(s.journal(m.epoch).hashes)):
			t.Fatalf("upstream %d: %s from %d: %v, want %v", i, m.epoch, b.From, err, want)
		}
	}
}

// checkAck checks an answer as a terminal does. The upstream may have more: a
// clone's.
func (s *history) checkAck(t *rapid.T, m *machine, b journal.Batch, ack journal.Ack) {
	have := s.journal(m.epoch).hashes
	if to := b.From + int64(len(b.Bodies)) - 1; to > int64(len(have)) {
		have = m.hashes[:to]
	}
	signed, _, err := journal.OpenCosigned(ack.Note, ingest.CosignerName, m.w.campus())
	sent, err2 := journal.OpenCheckpoint(b.Note, m.terminal.JournalKey)
	want := journal.Head{Epoch: m.epoch, Seq: int64(len(have)), Hash: have[len(have)-1]}
	if err := errors.Join(err, err2); err != nil || signed != sent || ack.Head != want {
		t.Fatalf("%+v acknowledged as %+v by %+v, %v; want %+v", sent, ack.Head, signed, err, want)
	}
}

// push brings a machine's whole journal upstream, as its pusher does: in a new
// epoch, when the upstream has another journal under its name.
func (s *history) push(t *rapid.T, m *machine) { s.pushTo(t, m, m.next()-1) }

func (s *history) pushSome(t *rapid.T) {
	m := s.any(t)
	if m.next() > 1 {
		s.pushTo(t, m, int64(rapid.IntRange(1, len(m.bodies)).Draw(t, "to")))
	}
}

func (s *history) pushTo(t *rapid.T, m *machine, to int64) {
	have := s.journal(m.epoch).hashes
	theirs := journal.Head{Seq: int64(len(have))}
	var at journal.Hash
	if theirs.Seq > 0 {
		theirs.Hash = have[theirs.Seq-1]
	}
	if theirs.Seq > 0 && theirs.Seq < m.next() {
		at = m.hashes[theirs.Seq-1]
	}
	switch journal.Compare(journal.Head{Seq: m.next() - 1}, theirs, at) {
	case journal.Rewound:
		s.reopen(m, journal.ReasonRewound)
	case journal.Forked:
		s.reopen(m, journal.ReasonForked)
	case journal.Ahead:
		to = max(to, theirs.Seq+1)
		if s.send(t, m, theirs.Seq+1, to) {
			s.reopen(m, journal.ReasonForked)
		} else {
			m.acked = to
		}
	case journal.Level:
		m.acked = theirs.Seq
	}
}

// repeat sends again what was sent, as after a lost answer, late, and from
// anywhere: with what is new behind it, or without.
func (s *history) repeat(t *rapid.T) {
	m := s.any(t)
	have := min(int64(len(s.journal(m.epoch).hashes)), m.next()-1)
	if have == 0 {
		return
	}
	from := int64(rapid.IntRange(1, int(have)).Draw(t, "from"))
	to := int64(rapid.IntRange(int(from), int(m.next()-1)).Draw(t, "to"))
	s.send(t, m, from, to)
}

// gap sends the second of two batches first.
func (s *history) gap(t *rapid.T) {
	m := s.any(t)
	have := int64(len(s.journal(m.epoch).hashes))
	if m.next()-1 >= have+2 {
		s.send(t, m, have+2, m.next()-1)
	}
}

// cut sends a batch of which the end was lost on the way, or the order.
func (s *history) cut(t *rapid.T) {
	m := s.any(t)
	have := int64(len(s.journal(m.epoch).hashes))
	if m.next()-1 < have+2 || s.refuses(m.epoch, m.hashes, have+1, m.next()-1) != nil {
		return
	}
	b := m.batch(have+1, m.next()-1)
	b.Bodies = slices.Clone(b.Bodies)
	if rapid.Bool().Draw(t, "swapped") {
		slices.Reverse(b.Bodies)
	} else {
		b.Bodies = b.Bodies[:len(b.Bodies)-1]
	}
	s.sendAs(t, m, b, journal.ErrUnproven)
}

// copy makes an image of a machine's disk.
func (s *history) copy(t *rapid.T) { s.images = append(s.images, s.any(t).image()) }

func (m *machine) image() *machine {
	c := *m
	c.till = new(*m.till)
	c.bodies, c.hashes = slices.Clone(m.bodies), slices.Clone(m.hashes)
	c.items = maps.Clone(m.items)
	return &c
}

// restore brings a machine back to an image. What it had not pushed is lost.
func (s *history) restore(t *rapid.T) {
	if len(s.images) == 0 {
		return
	}
	old := pick(t, "image", s.images)
	for i, m := range s.machines {
		if m.terminal.ID == old.terminal.ID {
			s.machines[i] = old.image()
			s.machines[i].attempt = ""
			return
		}
	}
}

// clone starts a second machine from an image of one.
func (s *history) clone(t *rapid.T) {
	if len(s.machines) < 5 {
		s.machines = append(s.machines, s.any(t).image())
		s.machines[len(s.machines)-1].attempt = ""
	}
}

// reopen goes on in a new epoch, as a terminal's ledger does: it carries over
// what was not acknowledged, and what that and all that is open needs.
func (s *history) reopen(m *machine, reason string) {
	old := *m.till
	s.count++
	binary.BigEndian.PutUint64(m.epoch[:], uint64(s.count))
	m.bodies, m.hashes, m.attempt = nil, nil, ""
	o := journal.Opening{
		Reason: reason, Epoch: old.epoch, Head: old.next() - 1, Hash: journal.Hex(old.head()), Version: "test",
		Accounts: old.accounts(),
	}
	m.append(o.Entry(journal.Position{Terminal: m.terminal.ID, Epoch: old.epoch, Seq: m.acked}), false)
	needed := map[int64]bool{}
	for seq := m.acked + 1; seq < old.next(); seq++ {
		needed[seq] = true
	}
	for _, it := range m.items {
		if it.end == 0 || max(it.doubt, it.end) > m.acked {
			needed[it.first], needed[it.doubt] = true, true
		}
	}
	delete(needed, 0)
	moved := map[int64]int64{}
	for _, seq := range slices.Sorted(maps.Keys(needed)) {
		moved[seq] = m.carry(&old, seq)
	}
	for ref, it := range m.items {
		if m.items[ref] = (item{moved[it.first], moved[it.doubt], moved[it.end]}); moved[it.first] == 0 {
			delete(m.items, ref)
		}
	}
	m.acked = 0
}

// carry carries an entry of an old epoch over, with the position that it had
// first, and returns its new number.
func (m *machine) carry(old *till, seq int64) int64 {
	at, body := journal.Position{Terminal: old.terminal.ID, Epoch: old.epoch, Seq: seq}, old.bodies[seq-1]
	e, _, err := journal.Decode(body)
	if err == nil && e.Kind == journal.Carried {
		at = e.Origin
		body, err = e.Body()
	}
	if err != nil {
		m.w.t.Fatal(err)
	}
	return m.append(journal.Carry(at, body), false).Seq
}

// check compares what the upstreams say with the model, and what they have made
// of claims with what the cards know.
func (s *history) check(t *rapid.T) {
	refs := map[string][]string{}
	for ref, a := range s.acts { // in doubt, or known to a machine that has lost its end
		refs[a.intent.Terminal] = append(refs[a.intent.Terminal], ref)
	}
	for i, w := range s.worlds {
		settled := map[string]journal.Outcome{}
		for id, all := range refs {
			some, err := w.in.Settlements(t.Context(), id, all)
			if err != nil {
				t.Fatal(err)
			}
			maps.Copy(settled, some)
		}
		if i > 0 && !maps.Equal(settled, s.settled) {
			t.Fatalf("upstream %d has settled %v, the first %v", i, settled, s.settled)
		}
		s.settled = settled
	}
	for ref, o := range s.settled {
		if o.Happened() != s.acts[ref].made && !s.twins {
			t.Fatalf("%s is settled as %s, and the card knows better", ref, o)
		}
	}
	s.checkLoads(t)
	balances, mirrors := s.books(s.settled)
	for ref := range s.written {
		mirrors[s.acts[ref].card.no] += loadAmount
	}
	for i, w := range s.worlds {
		for a, want := range balances {
			got, err := w.books.Balance(t.Context(), a)
			if err != nil && !errors.Is(err, store.ErrNone) || got != want {
				t.Fatalf("upstream %d has %s on %s, %v; want %s", i, got, a, err, want)
			}
		}
		for no, want := range mirrors {
			if c, err := w.books.Card(t.Context(), no); err != nil || c.Mirror != want {
				t.Fatalf("upstream %d has %s in the purse of %s, %v; want %s", i, c.Mirror, no, err, want)
			}
		}
	}
}

// checkLoads asks what has become of loads, which is what the cards know. Those
// that a terminal has told the end of are not open.
func (s *history) checkLoads(t *rapid.T) {
	s.written = map[string]bool{}
	for ref, a := range s.acts {
		if a.intent.Kind != journal.LoadIntent {
			continue
		}
		for i, w := range s.worlds {
			l, err := w.books.Load(t.Context(), ref)
			if err != nil || l.State != store.LoadOpen && (l.State == store.LoadWritten) != a.made ||
				l.State == store.LoadOpen && s.ended[ref] || i > 0 && (l.State == store.LoadWritten) != s.written[ref] {
				t.Fatalf("upstream %d has load %s in state %d by %q, %v; that the card was written is %t",
					i, ref, l.State, l.Evidence, err, a.made)
			}
			if l.State == store.LoadWritten {
				s.written[ref] = true
			}
		}
	}
}

// finish has every machine say all that it knows, and the cards the rest. Then
// nothing is in doubt, nothing is held, and every account has what is its own.
func (s *history) finish(t *rapid.T) {
	for _, m := range s.machines {
		for _, ref := range m.open() {
			s.end(m, ref)
		}
		m.append(journal.Entry{Kind: journal.Started}, false)
		for _, h := range s.holds { // a restored machine has not come to its old numbers yet
			for h.at.Epoch == m.epoch && m.next() <= h.at.Seq {
				m.append(journal.Entry{Kind: journal.Started}, false)
			}
		}
		for tries := 0; m.acked < m.next()-1 || m.carriesLast(); tries++ {
			if tries > 5 {
				t.Fatalf("%s cannot get rid of its journal", m.terminal.ID)
			}
			if m.acked == m.next()-1 { // an entry of its own says that it has brought over all that it will
				m.append(journal.Entry{Kind: journal.Started}, false)
			}
			s.push(t, m)
		}
	}
	last := s.machines[0]
	for _, p := range s.cards {
		for _, c := range s.askClaims(t, p) {
			sold, o := s.acts[c.Ref], journal.NotWritten
			if sold.made {
				o = journal.Written
			}
			last.evidence(c, o, "log", pboc.MAC{})
		}
	}
	last.append(journal.Entry{Kind: journal.Started}, false)
	for last.acked < last.next()-1 {
		s.push(t, last)
	}
	s.check(t)
	for ref := range s.claims {
		if o := s.settled[ref]; o == 0 || o.Happened() != s.acts[ref].made {
			t.Errorf("%s is settled as %s in the end; that the card was written is %t", ref, o, s.acts[ref].made)
		}
	}
	for _, h := range s.holds {
		if h.state <= ingest.HoldBound {
			t.Errorf("%s is still held at %s for %s (state %d)", h.amount, h.at, h.attempt, h.state)
		}
	}
	s.sound(t)
}

// carriesLast reports whether a machine's newest entry is of an epoch before.
func (m *machine) carriesLast() bool {
	e, _, err := journal.Decode(m.bodies[len(m.bodies)-1])
	return err == nil && e.Kind == journal.Carried
}

// sound checks all that must hold of books, and that all books are the same.
func (s *history) sound(t *rapid.T) {
	var hash [2][32]byte
	for i, w := range s.worlds {
		broken, err := w.books.Verify(t.Context())
		more, err2 := w.in.Verify(t.Context())
		lines, err3 := w.books.Exceptions(t.Context())
		if err := errors.Join(err, err2, err3); err != nil || len(broken)+len(more) > 0 {
			t.Fatalf("upstream %d: %v\n%q", i, err, append(broken, more...))
		}
		for _, l := range lines {
			if !s.expects(ingest.ExceptionKind(l.Kind)) || l.Owner == "" || l.NextStep == "" {
				t.Errorf("upstream %d lists %+v", i, l)
			}
		}
		if hash[i], err = w.books.StateHash(t.Context()); err != nil || hash[i] != hash[0] {
			t.Fatalf("upstream %d ends in state %x, %v; the first in %x", i, hash[i], err, hash[0])
		}
	}
}

// expects reports whether a history may lead to a kind of exception: none of
// these says that something honest was not understood.
func (s *history) expects(k ingest.ExceptionKind) bool {
	always := []ingest.ExceptionKind{
		ingest.Fork, ingest.EpochOpened, ingest.Lost, ingest.Overdrawn, ingest.RefundUnmatched, ingest.RefundTooHigh,
		ingest.EarlyEvidence, ingest.DrawerDiffers,
	}
	copied := []ingest.ExceptionKind{ingest.NoIntent, ingest.IntentTwice} // both machines have ended what was open
	twins := []ingest.ExceptionKind{ingest.Contradicted, ingest.Corrected}
	return slices.Contains(always, k) || s.twins && slices.Contains(twins, k) || !s.twins && slices.Contains(copied, k)
}
