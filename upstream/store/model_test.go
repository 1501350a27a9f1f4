package store_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
)

// model is the books as plain values: what TestModel holds both engines to.
type model struct {
	balances map[store.Account]money.Fen
	orders   map[string]*store.Order
	mirrors  map[string]money.Fen // by card
	loads    map[string]*store.Load
	wrong    map[store.Account]int // PINs
	alarms   map[string]int
	heads    map[string]int64 // of journals
}

// machine does the same to the model and to books on both engines, and
// compares what they say.
type machine struct {
	model
	books []*store.Books
	now   time.Time
	stamp byte
}

var (
	modelHolders   = []store.Account{"holder/1001", "holder/1002"}
	modelCards     = []string{"0000000000000000000A", "0000000000000000000B"} // of these holders
	modelTerminals = []string{"K01", "K02"}
	modelOrders    = []string{"O1", "O2", "O3", "O4", "O5", "O6"}
	modelLoads     = []string{strings.Repeat("1", 32), strings.Repeat("2", 32), strings.Repeat("3", 32)}
)

const modelCap = 500 * yuan

// emptyDatabase deletes what a case has left on PostgreSQL, without looking at
// what refers to what. A new database for each case would take far longer.
const emptyDatabase = `
	SET session_replication_role = replica;
	DO $$ DECLARE t TEXT; BEGIN
		FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public'
			AND tablename NOT IN ('schema_migrations', 'schema_objects', 'feeds')
		LOOP EXECUTE 'DELETE FROM ' || t; END LOOP;
	END $$;
	UPDATE feeds SET version = 0, whole_from = 0, changed_ms = 0`

// TestModel plays random histories on the model, a SQLite and a PostgreSQL:
// all three give the same answers, and the two end in the same state, to the
// last byte of its hash.
func TestModel(t *testing.T) {
	postgres, admin, dir := inPostgres(t), "", t.TempDir()
	admin = strings.Replace(postgres.dsn, "//campusd@", "//postgres@", 1)
	m := &machine{}
	clock := func() time.Time { return m.now }
	onPostgres := open(t, postgres, clock)
	empty := place{admin, "pgx"}.attack(t)
	cases := 0
	rapid.Check(t, func(rt *rapid.T) {
		if _, err := empty.Exec(emptyDatabase); err != nil {
			rt.Fatal(err)
		}
		cases++
		onSQLite, err := booktest.Open(t.Context(), filepath.Join(dir, fmt.Sprint(cases)), clock)
		if err != nil {
			rt.Fatal(err)
		}
		defer onSQLite.Close()
		*m = machine{books: []*store.Books{onSQLite, onPostgres}, now: time.UnixMilli(1_800_000_000_000)}
		m.fill(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"":              m.advanceClock,
			"create order":  m.createOrder,
			"advance order": m.advance,
			"pay order":     m.pay,
			"open load":     m.openLoad,
			"settle load":   m.settle,
			"PIN":           m.pin,
			"alarm":         m.alarm,
			"hear":          m.hear,
			"card status":   m.cardStatus,
			"history":       m.history,
			"view":          m.view,
		})
		m.compare(rt)
	})
}

func (m *machine) advanceClock(*rapid.T) { m.now = m.now.Add(time.Second) }

// each does the same on both books, which have to say what the model says.
func each[R any](t *rapid.T, m *machine, want R, wantErr error, do func(*store.Books) (R, error)) {
	for i, b := range m.books {
		got, err := do(b)
		if kind(err) != kind(wantErr) || err == nil && fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Fatalf("books %d say %+v, %v\nmodel says %+v, %v", i, got, err, want, wantErr)
		}
	}
}

// kind is what callers see of an error.
func kind(err error) string {
	var full *store.CapError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &full):
		return full.Error()
	case errors.Is(err, store.ErrNone):
		return "none"
	case errors.Is(err, store.ErrConflict):
		return "conflict"
	case errors.Is(err, store.ErrBackward):
		return "backward"
	case errors.Is(err, store.ErrPINLocked):
		return "locked"
	}
	return err.Error()
}

func (m *machine) fill(t *rapid.T) {
	m.model = model{
		balances: map[store.Account]money.Fen{}, orders: map[string]*store.Order{}, mirrors: map[string]money.Fen{},
		loads: map[string]*store.Load{}, wrong: map[store.Account]int{}, alarms: map[string]int{},
		heads: map[string]int64{},
	}
	for i, id := range modelTerminals {
		each(t, m, fmt.Sprintf("%012d", i+1), nil, func(b *store.Books) (string, error) {
			no, err := b.AddTerminal(t.Context(), store.Terminal{ID: id})
			return no.String(), err
		})
	}
	for i, a := range modelHolders {
		opening := money.Fen(rapid.IntRange(0, 20_000).Draw(t, "opening"))
		m.balances[a], m.mirrors[modelCards[i]] = opening, opening/2
		m.balances[store.Opening] -= opening
		each(t, m, 0, nil, func(b *store.Books) (int, error) {
			err := b.AddHolder(t.Context(), store.Holder{Account: a, Number: a.No()}, store.PIN{}, opening)
			return 0, errors.Join(err, b.AddCard(t.Context(),
				store.Card{No: modelCards[i], Account: a, Status: store.CardActive, Mirror: opening / 2}))
		})
	}
}

func (m *machine) createOrder(t *rapid.T) {
	who := rapid.IntRange(0, 1).Draw(t, "holder")
	o := store.Order{
		No: rapid.SampledFrom(modelOrders).Draw(t, "order"), Terminal: rapid.SampledFrom(modelTerminals).Draw(t, "terminal"),
		CardNo: modelCards[who], Account: modelHolders[who], Amount: money.Fen(rapid.IntRange(1, 3).Draw(t, "amount")) * 50 * yuan,
		Created: m.now.UTC(), Expires: m.now.Add(time.Minute).UTC(),
	}
	var wantErr error
	want := o
	room := modelCap - m.balances[o.Account]
	for _, other := range m.orders {
		if other.Account == o.Account && other.State <= store.OrderChecking {
			room -= other.Amount
		}
	}
	switch old := m.orders[o.No]; {
	case old != nil && old.Terminal == o.Terminal && old.Account == o.Account && old.Amount == o.Amount:
		want = *old
	case old != nil:
		wantErr = store.ErrConflict
		m.alarms[string(store.AlarmOrderConflict)+o.No]++
	case o.Amount > room:
		wantErr = &store.CapError{Room: max(room, 0)}
	default:
		want.State = store.OrderCreated
		m.orders[o.No] = new(want)
	}
	each(t, m, want, wantErr, func(b *store.Books) (store.Order, error) {
		return b.CreateOrder(t.Context(), o, modelCap)
	})
}

func (m *machine) advance(t *rapid.T) {
	to := store.OrderState(rapid.IntRange(1, 6).Draw(t, "state"))
	s := store.OrderStep{To: to, Mismatch: rapid.IntRange(0, 9).Draw(t, "mismatch") == 0, Tries: rapid.IntRange(0, 3).Draw(t, "tries")}
	if rapid.Bool().Draw(t, "again") {
		s.Next = m.now.Add(time.Minute).UTC()
	}
	m.step(t, s)
}

func (m *machine) pay(t *rapid.T) { m.step(t, store.OrderStep{To: store.OrderPaid, TradeNo: "T"}) }

func (m *machine) step(t *rapid.T, s store.OrderStep) {
	no := rapid.SampledFrom(modelOrders).Draw(t, "order")
	if s.To == store.OrderPaid {
		s.PaidAt = m.now.UTC()
	}
	var want store.Order
	var wantErr error
	switch o := m.orders[no]; {
	case o == nil:
		wantErr = store.ErrNone
	case o.State == store.OrderPaid && s.To == store.OrderPaid:
		want = *o
	case o.State != s.To && !o.State.CanBecome(s.To):
		wantErr = store.ErrBackward
	default:
		o.Late = o.Late || o.State == store.OrderClosed && s.To == store.OrderPaid
		o.State, o.PaidAt, o.Next, o.Tries = s.To, s.PaidAt, s.Next, s.Tries
		o.Mismatch = o.Mismatch || s.Mismatch
		if s.TradeNo != "" {
			o.TradeNo = s.TradeNo
		}
		if s.To == store.OrderPaid {
			m.balances[o.Account] += o.Amount
			m.balances[store.ChannelAlipay] -= o.Amount
			o.Balance = m.balances[o.Account]
		}
		want = *o
	}
	each(t, m, want, wantErr, func(b *store.Books) (store.Order, error) { return b.Advance(t.Context(), no, s) })
}

func (m *machine) openLoad(t *rapid.T) {
	no, id := rapid.SampledFrom(modelCards).Draw(t, "card"), rapid.SampledFrom(modelLoads).Draw(t, "load")
	l := store.Load{ID: id, CardNo: no, Terminal: "K01", Amount: money.Fen(rapid.IntRange(1, 99).Draw(t, "amount")), State: store.LoadOpen}
	if m.loads[id] != nil {
		return
	}
	m.stamp++
	o := store.Offer{LoadID: id, Counter: uint16(m.stamp), Stamp: pboc.Stamp{m.stamp}}
	l.Created = m.now.UTC()
	m.loads[id] = &l
	each(t, m, o, nil, func(b *store.Books) (last store.Offer, err error) {
		err = b.WithCard(t.Context(), no, func(c store.CardTx) error {
			if err := errors.Join(c.AddLoad(l), c.AddOffer(o)); err != nil {
				return err
			}
			last, err = c.LastOffer()
			return err
		})
		return last, err
	})
}

func (m *machine) settle(t *rapid.T) {
	id := rapid.SampledFrom(modelLoads).Draw(t, "load")
	to := store.LoadState(rapid.IntRange(1, 3).Draw(t, "state"))
	l := m.loads[id]
	if l == nil {
		return
	}
	var wantErr error
	switch {
	case l.State == to:
	case l.State == store.LoadWritten:
		wantErr = store.ErrBackward
	default:
		l.State, l.Evidence = to, "TAC"
		if to == store.LoadWritten {
			m.mirrors[l.CardNo] += l.Amount
		}
	}
	each(t, m, m.mirrors[l.CardNo], wantErr, func(b *store.Books) (mirror money.Fen, err error) {
		err = b.WithCard(t.Context(), l.CardNo, func(c store.CardTx) error {
			err := c.Settle(id, to, "TAC")
			mirror = c.Card().Mirror
			return err
		})
		return mirror, err
	})
	each(t, m, *l, nil, func(b *store.Books) (store.Load, error) { return b.Load(t.Context(), id) })
}

func (m *machine) pin(t *rapid.T) {
	a, reset := rapid.SampledFrom(modelHolders).Draw(t, "holder"), rapid.IntRange(0, 4).Draw(t, "reset") == 0
	var wantErr error
	switch {
	case reset:
		m.wrong[a] = 0
	case m.wrong[a] == store.PINTriesMax:
		wantErr = store.ErrPINLocked
	default:
		m.wrong[a]++
	}
	each(t, m, store.PINTriesMax-m.wrong[a], wantErr, func(b *store.Books) (int, error) {
		if reset {
			return store.PINTriesMax, b.ResetPINTries(t.Context(), a)
		}
		_, left, err := b.ReservePINTry(t.Context(), a)
		return left, err
	})
}

func (m *machine) alarm(t *rapid.T) {
	a := store.Alarm{Kind: store.AlarmCounter, Ref: rapid.SampledFrom(modelCards).Draw(t, "card"), Detail: "no UTF-8: \xff, \x00"}
	m.alarms[string(a.Kind)+a.Ref]++
	each(t, m, m.alarms[string(a.Kind)+a.Ref] == 1, nil, func(b *store.Books) (bool, error) { return b.Alarm(t.Context(), a) })
}

func (m *machine) hear(t *rapid.T) {
	id, head := rapid.SampledFrom(modelTerminals).Draw(t, "terminal"), int64(rapid.IntRange(0, 9).Draw(t, "head"))
	if head < m.heads[id] {
		m.alarms[string(store.AlarmJournalRewound)+id]++
	}
	m.heads[id] = head
	each(t, m, 0, nil, func(b *store.Books) (int, error) {
		return 0, b.Hear(t.Context(), id, store.Heard{JournalHead: head})
	})
}

func (m *machine) cardStatus(t *rapid.T) {
	no := rapid.SampledFrom(append(slices.Clone(modelCards), "nobody's")).Draw(t, "card")
	var wantErr error
	if no == "nobody's" {
		wantErr = store.ErrNone
	}
	each(t, m, 0, wantErr, func(b *store.Books) (int, error) {
		return 0, b.SetCardStatus(t.Context(), no, store.CardHot)
	})
}

func (m *machine) history(t *rapid.T) {
	a := rapid.SampledFrom(modelHolders).Draw(t, "holder")
	page, size := rapid.IntRange(0, 2).Draw(t, "page"), rapid.IntRange(1, 5).Draw(t, "size")
	first, n, err := m.books[0].History(t.Context(), a, page, size)
	if err != nil {
		t.Fatal(err)
	}
	each(t, m, fmt.Sprint(first, n), nil, func(b *store.Books) (string, error) {
		all, n, err := b.History(t.Context(), a, page, size)
		return fmt.Sprint(all, n), err
	})
}

func (m *machine) view(t *rapid.T) {
	who := rapid.IntRange(0, 1).Draw(t, "holder")
	since := m.now.Add(-time.Duration(rapid.IntRange(0, 20).Draw(t, "signed in")) * time.Second)
	first, err := m.books[0].View(t.Context(), modelCards[who], since)
	if err != nil || first.Balance != m.balances[modelHolders[who]] || first.Card.Mirror != m.mirrors[modelCards[who]] {
		t.Fatalf("View = %+v, %v", first, err)
	}
	each(t, m, first, nil, func(b *store.Books) (store.View, error) { return b.View(t.Context(), modelCards[who], since) })
	each(t, m, 0, nil, func(b *store.Books) (int, error) { return 0, b.MarkSeen(t.Context(), modelHolders[who], since) })
	due, next, err := m.books[0].DueOrders(t.Context(), m.now, 3)
	if err != nil {
		t.Fatal(err)
	}
	each(t, m, fmt.Sprint(len(due), next), nil, func(b *store.Books) (string, error) {
		due, next, err := b.DueOrders(t.Context(), m.now, 3)
		return fmt.Sprint(len(due), next), err
	})
}

// compare looks at the whole state at the end of a case.
func (m *machine) compare(t *rapid.T) {
	each(t, m, fmt.Sprint(m.alarms), nil, func(b *store.Books) (string, error) {
		all, err := b.Alarms(t.Context())
		got := map[string]int{}
		for _, a := range all {
			got[string(a.Kind)+a.Ref] = a.Times
		}
		return fmt.Sprint(got), err
	})
	for a, f := range m.balances {
		if f == 0 {
			continue // it may never have moved
		}
		each(t, m, f, nil, func(b *store.Books) (money.Fen, error) { return b.Balance(t.Context(), a) })
	}
	each(t, m, []string(nil), nil, func(b *store.Books) ([]string, error) { return b.Verify(t.Context()) })
	want, err := m.books[0].StateHash(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	each(t, m, want, nil, func(b *store.Books) ([32]byte, error) { return b.StateHash(t.Context()) })
}
