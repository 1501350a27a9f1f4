package ingest_test

import (
	"database/sql"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"quancun/beijing"
	"quancun/journal"
	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// total is what a terminal has done of one kind on a day.
type total struct {
	terminal, day string
	kind          store.Kind
}

// sum is how often, and how much in all.
type sum struct {
	count  int
	amount money.Fen
}

type totals map[total]sum

func (all totals) add(t total, amount money.Fen) {
	if amount != 0 { // what moves nothing is no line of the books
		all[t] = sum{all[t].count + 1, all[t].amount + amount}
	}
}

// kinds are those under which the books have what a journal says.
var kinds = map[journal.Kind]store.Kind{
	journal.SaleDoubt: store.KindDoubt, journal.SaleEnd: store.KindPurchase, journal.CodeSale: store.KindPurchase,
	journal.ChannelSale: store.KindPurchase, journal.Refund: store.KindRefund, journal.CashTopUp: store.KindCashTopUp,
	journal.PayOut: store.KindPayOut, journal.CashIn: store.KindCash, journal.CashOut: store.KindCash,
	journal.Counted: store.KindCount, journal.Fee: store.KindFee,
}

// said adds up what a journal says, as a terminal does for its own report: each
// entry once, though a later epoch has brought it over.
func (all totals) said(t *testing.T, brought map[journal.Hash]bool, bodies [][]byte) {
	for _, body := range bodies {
		e, _, err := journal.Decode(body)
		if err == nil && e.Kind == journal.Carried {
			body, err = e.Body()
			if err == nil {
				e, err = e.Inner()
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		if hash := journal.HashOf(body); brought[hash] {
			continue
		} else {
			brought[hash] = true
		}
		kind := kinds[e.Kind]
		if e.Kind == journal.SaleEnd && e.Doubted() {
			kind = store.KindSettlement
		}
		var moved money.Fen
		for _, p := range e.Postings {
			moved += max(0, p.Amount)
		}
		all.add(total{e.Terminal, e.At.In(beijing.Zone).Format(time.DateOnly), kind}, moved)
	}
}

// posted adds up what the books have of terminals' entries.
func (all totals) posted(t *testing.T, w *world) {
	err := sqldb.Each(t.Context(), w.books.Live(), func(rows *sql.Rows) error {
		var of total
		var made int64
		var amount money.Fen
		err := rows.Scan(&of.terminal, &of.kind, &made, &amount)
		of.day = time.UnixMilli(made).In(beijing.Zone).Format(time.DateOnly)
		all.add(of, amount)
		return err
	}, `SELECT j.terminal, e.kind, e.made_ms, e.amount_fen FROM entries e JOIN journals j ON j.id = e.journal`)
	if err != nil {
		t.Fatal(err)
	}
}

// TestDayTotals is I17: by terminal, day and kind, what journals say was moved is
// what the books have posted, to the fen, whatever came late, twice or in another
// epoch.
func TestDayTotals(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	onBoth(t, func(t *testing.T, w *world) {
		rng := rand.New(rand.NewPCG(seed, 0))
		w.holder("1001", 500*yuan)
		owner := w.holder("1002", 500*yuan)
		c, d := w.till("C01"), w.till("C02")
		cards := map[string][]*purse{ // of each till its own: no counter settles what the other has in doubt
			"C01": {w.card(1, owner, 400*yuan), w.stranger(3, 400*yuan)},
			"C02": {w.card(2, owner, 400*yuan), w.stranger(4, 400*yuan)},
		}
		want, brought := totals{}, map[journal.Hash]bool{}
		for day := range 3 {
			for _, till := range []*till{c, d} {
				till.at = start.AddDate(0, 0, day).Add(12*time.Hour - time.Second) // a second before midnight in Beijing
				for i := range 25 {
					till.anything(rng, cards[till.terminal.ID], fmt.Sprintf("%s-%d-%d", till.terminal.ID, day, i))
					till.at = till.at.Truncate(100 * time.Millisecond).Add(time.Duration(1+rng.IntN(3)) * 100 * time.Millisecond)
					if rng.IntN(8) == 0 {
						till.push()
					}
				}
				want.said(t, brought, till.bodies)
			}
			if day == 1 { // restored from an older copy: what it has not lost comes in another epoch
				d.push()
				d = d.reopen(d.next()/2, journal.ReasonRewound)
			}
		}
		c.push()
		d.push()
		c.take(c.batch(1, c.next()-1)) // and again
		got := totals{}
		got.posted(t, w)
		if !maps.Equal(got, want) {
			for of := range want {
				if got[of] != want[of] {
					t.Errorf("%+v: the books have %+v, the journals say %+v", of, got[of], want[of])
				}
			}
			t.Errorf("%d totals, want %d", len(got), len(want))
		}
		days := map[string]bool{}
		for of := range got {
			days[of.day] = true
		}
		if len(days) < 4 || len(got) < 30 {
			t.Errorf("%d totals of the days %q: where are the others?", len(got), slices.Sorted(maps.Keys(days)))
		}
		w.sound()
	})
}

// anything writes down one thing of those that a till does.
func (c *till) anything(rng *rand.Rand, cards []*purse, ref string) {
	amount := money.Fen(1 + rng.IntN(500))
	alone := journal.Entry{Ref: ref, Account: "1001", Merchant: merchant, Amount: amount}
	switch n := rng.IntN(14); n {
	case 0, 1, 2, 3, 4:
		p := cards[rng.IntN(2)]
		if n > 2 {
			p = cards[0] // what a stranger has in doubt is in suspense as it is
		}
		in := c.intend(p, ref, amount)
		happens := rng.IntN(3) > 0
		outcome, tac := journal.NotWritten, pboc.MAC{}
		if happens {
			outcome, tac = journal.Written, p.debit(in)
		}
		if n > 2 {
			c.doubt(in)
		}
		c.end(in, outcome, tac)
	case 5, 6:
		alone.Kind, alone.Origin = journal.Refund, journal.Position{Terminal: "C01", Epoch: c.epoch, Seq: 1}
		c.write(alone)
	default:
		alone.Kind = []journal.Kind{
			journal.CodeSale, journal.ChannelSale, journal.CashTopUp, journal.PayOut, journal.CashIn, journal.CashOut,
			journal.Fee,
		}[n-7]
		c.write(alone)
	}
}
