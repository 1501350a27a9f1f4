package kiosk_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/rules"
	"quancun/ledger"
	"quancun/ledger/feed"
	"quancun/money"
	"quancun/reader/purse"
	"quancun/reader/sim"
	"quancun/upstream/client"
	"quancun/upstream/ingest"
	"quancun/upstream/keys"
	"quancun/upstream/store"
)

// TestSale is lunch: twelve yuan from a card to the canteen.
func TestSale(t *testing.T) {
	t.Parallel()
	w, tills := newShop(t, "T01")
	c := tills[0]
	for range 2 {
		if v := c.sell(lunch, false); !v.sold {
			t.Fatalf("not sold: %v", v.err)
		}
	}
	w.told(c.post)
	if n := w.balanced(c); n != 2 {
		t.Errorf("%d lunches paid, want 2", n)
	}
}

// saleBreaks are all points at which the world can break a sale.
func saleBreaks() map[string]func(w *world, c *till) {
	all := make(map[string]func(*world, *till))
	for _, kept := range []bool{false, true} {
		suffix := "/Lost"
		if kept {
			suffix = "/Kept"
		}
		for _, call := range []string{"Authorize", "Push", "Hello", "Settlements"} {
			all[call+suffix] = func(_ *world, c *till) { c.up.set(brokenAt{call, kept}) }
		}
		all["away from Authorize on"+suffix] = func(_ *world, c *till) { c.up.goAway("Authorize", kept) }
		for _, kind := range []string{"sale intent", "sale end", "sale doubt"} {
			all["disk "+kind+suffix] = func(_ *world, c *till) { c.disk.set(brokenAt{kind, kept}) }
		}
		for name, ins := range map[string]byte{"MAC1": 0x70, "MAC2": 0x72} {
			all["SAM "+name+suffix] = func(_ *world, c *till) { c.sam.breakAt(ins, kept) }
		}
	}
	for name, how := range map[string]sim.How{
		"torn before": sim.TearBefore, "torn after": sim.TearAfter,
		"silent before": sim.SilentBefore, "silent after": sim.SilentAfter,
	} {
		for at, b := range map[string]sim.Break{
			"UID": {INS: 0xCA}, "select": {INS: 0xA4}, "read": {INS: 0xB0}, "balance": {INS: 0x5C},
			"init": {INS: 0x50}, "debit": {INS: 0x54},
		} {
			b.How = how
			all["card "+name+" "+at] = func(w *world, _ *till) { w.card.Break(b) }
		}
	}
	for name, how := range map[string]sim.How{"wrong": sim.WrongMAC, "zero": sim.ZeroMAC} {
		all["card "+name+" MAC2"] = func(w *world, _ *till) { w.card.Break(sim.Break{How: how, INS: 0x54}) }
	}
	return all
}

// TestSaleBroken breaks a sale at each point at which the world can break it:
// every call, every durable step, every command of card and SAM; with no effect,
// and with its effect but the answer lost. The card comes back at once, or
// leaves; then the power fails, and the card is laid down twice more.
//
// Wherever it broke: the cashier was not told what was not so, and in the end
// account, merchant, journal and card agree, with nothing left for a clerk.
func TestSaleBroken(t *testing.T) {
	for name, breaks := range saleBreaks() {
		for _, leaves := range []bool{false, true} {
			if leaves {
				name += ", leaves"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w, tills := newShop(t, "T01")
				c := tills[0]
				breaks(w, c)
				v := c.sell(lunch, leaves)
				w.surviveSale(v, c)
			})
		}
	}
}

// surviveSale turns the power off and on, has the card laid down twice, and
// checks each time that everything agrees with what the cashier was told.
func (w *world) surviveSale(v verdict, c *till) {
	w.t.Helper()
	if v.sold && w.purse() == opening || v.refused && w.purse() != opening {
		w.t.Errorf("told %+v, and the card has %s", v, w.purse())
	}
	for range 2 {
		c.restart()
		c.tap()
		w.told(c.post)
		n := w.balanced(c)
		if v.sold && n != 1 || v.refused && n != 0 {
			w.t.Errorf("told %+v, and %d lunches are paid", v, n)
		}
	}
}

// TestSaleKilled turns the power off after each durable step, without a word
// to anybody.
func TestSaleKilled(t *testing.T) {
	for _, kind := range []string{"sale intent", "sale end", "sale doubt"} {
		for _, kept := range []bool{false, true} {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				w, tills := newShop(t, "T01")
				c := tills[0]
				if kind == "sale doubt" {
					w.card.Break(sim.Break{How: sim.TearAfter, INS: 0x54})
				}
				c.disk.set(brokenAt{kind, kept})
				v := c.sell(lunch, true)
				w.surviveSale(v, c)
			})
		}
	}
}

// TestSaleForged: a card that cannot prove itself to the SAM is not believed,
// however often it is laid down, and whatever its log says. Upstream finds out
// by the TAC: here it is the genuine card, over a bad line.
func TestSaleForged(t *testing.T) {
	t.Parallel()
	w, tills := newShop(t, "T01")
	c := tills[0]
	c.up.goAway("Push", false) // upstream has not checked yet
	w.card.Break(sim.Break{How: sim.WrongMAC, INS: 0x54})
	if v := c.sell(lunch, false); v.sold || v.refused || !errors.Is(v.err, kiosk.ErrNotGenuine) {
		t.Errorf("told %+v of a card that could not prove itself", v)
	}
	for range 2 {
		if v := c.ask(nil); v.sold || v.refused {
			t.Errorf("told %+v by the card's own word", v)
		}
	}
	c.restart()
	c.tap()
	w.told(c.post)
	if n := w.balanced(c); n != 1 {
		t.Errorf("%d lunches paid; the TAC proves one", n)
	}
}

// TestSaleRestored: a till is put back to a copy of the middle of a sale that ended, and the
// card never comes back. The till is told how it ended, and has nothing open any more.
func TestSaleRestored(t *testing.T) {
	t.Parallel()
	w, tills := newShop(t, "T01")
	c := tills[0]
	path, backup := filepath.Join(w.dir, c.id+".db"), filepath.Join(w.dir, "copy.db")
	_, err := c.tapAt("after sale intent", false, func() { w.ok(c.book.Backup(t.Context(), backup)) })
	w.ok(err)
	w.told(c.post)
	c.crash()
	c.slot.Take()
	w.ok(os.Remove(path))
	w.ok(ledger.Restore(t.Context(), backup, path, c.options))
	c.start()
	w.told(c.post)
	here, err := c.book.Balance(t.Context(), journal.SuspenseAccount(c.id))
	if got := w.booked(journal.MerchantAccount(merchant)); err != nil || got != lunch || here != 0 {
		t.Errorf("the merchant has %s, in suspense here are %s, %v", got, here, err)
	}
	lines, err := w.books.Exceptions(t.Context())
	w.ok(err)
	for _, x := range lines {
		if strings.Contains(x.NextStep, "book by hand") {
			t.Errorf("somebody is to book by hand what is booked: %+v", x)
		}
	}
}

// liar is a card whose proof is not what it was.
type liar struct{ purse.Card }

func (c liar) Transmit(command []byte) ([]byte, error) {
	answer, err := c.Card.Transmit(command)
	if err == nil && command[1] == 0x5A && len(answer) > 2 {
		answer[0] ^= 1
	}
	return answer, err
}

// TestSaleForgedBefore: a card that was torn off comes back for another sale, and cannot
// prove the one before. Nothing of the other has begun: it is refused, and not unknown.
func TestSaleForgedBefore(t *testing.T) {
	t.Parallel()
	w, tills := newShop(t, "T01")
	c := tills[0]
	c.up.goAway("Push", false)
	w.card.Break(sim.Break{How: sim.TearAfter, INS: 0x54})
	if v := c.sell(lunch, true); v.sold || v.refused {
		t.Fatalf("told %+v", v)
	}
	card, info, err := c.lay()
	w.ok(err)
	sold, err := c.seller.Sell(t.Context(), liar{card}, kiosk.Sale{
		Ref: kiosk.NewRef(), Card: info, Merchant: merchant, Operator: "c7", Amount: yuan,
	})
	card.Close()
	if code := kiosk.Explain(err); code != kiosk.CodeNotGenuine || sold.Ref != "" {
		t.Errorf("the other sale: code %d of %q, %v", code, sold.Ref, err)
	}
	c.restart()
	c.tap()
	w.told(c.post)
	if n := w.balanced(c); n != 1 {
		t.Errorf("%d lunches paid; the TAC proves one", n)
	}
}

// TestSaleAlone: while upstream is away the rules decide, and what was sold is
// upstream once it is back.
func TestSaleAlone(t *testing.T) {
	t.Parallel()
	w, tills := newShop(t, "T01")
	c := tills[0]
	c.up.goAway("Authorize", false)
	if v := c.sell(lunch, false); !v.sold {
		t.Errorf("alone: %v", v.err)
	}
	if v := c.sell(lunch+1, false); !v.sold {
		t.Errorf("alone, again: %v", v.err)
	}
	if v := c.sell(lunch, false); !v.refused || !errors.Is(v.err, rules.ErrPurse) {
		t.Errorf("more than the purse holds: %+v", v)
	}
	if open, err := c.book.OpenItems(t.Context()); err != nil || len(open) > 0 {
		t.Errorf("open: %+v, %v", open, err)
	}
	c.up.set(brokenAt{})
	w.told(c.post)
	w.balanced(c)
	if got := w.booked(journal.MerchantAccount(merchant)); got != 2*lunch+1 {
		t.Errorf("the canteen has %s", got)
	}
}

// TestSaleUnheard: the upstream has nothing of the journal yet, and so holds no
// money for it. That is no refusal: the rules decide, the journal is pushed, and
// the next sale is made online.
func TestSaleUnheard(t *testing.T) {
	t.Parallel()
	w, tills := newShop(t, "T01")
	c := tills[0]
	away := &waiting{upstream: c.up.whole(), may: make(chan struct{})}
	c.crash()
	for _, end := range []string{"", "-wal", "-shm"} { // a new disk
		if err := os.Remove(filepath.Join(w.dir, "T01.db") + end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	c.up.replace(away)
	c.start()
	c.heard()
	if v := c.sell(lunch, false); !v.sold || v.online {
		t.Errorf("first sale: %+v, want it sold by the rules", v)
	}
	close(away.may)
	w.told(c.post)
	if v := c.sell(lunch, false); !v.sold || !v.online {
		t.Errorf("second sale: %+v, want it sold online", v)
	}
	w.told(c.post)
	if got := w.booked(journal.MerchantAccount(merchant)); got != 2*lunch {
		t.Errorf("the canteen has %s, want %s", got, 2*lunch)
	}
}

// waiting is an upstream that takes no journal before it may.
type waiting struct {
	upstream
	may chan struct{}
}

func (u *waiting) Push(ctx context.Context, b journal.Batch) (journal.Ack, error) {
	select {
	case <-u.may:
		return u.upstream.Push(ctx, b)
	case <-ctx.Done():
		return journal.Ack{}, ctx.Err()
	}
}

// TestSaleSuperseded: the upstream says that the journal's numbers are over, and
// the terminal does not know why. It sells by the rules, and not in circles.
func TestSaleSuperseded(t *testing.T) {
	t.Parallel()
	w, tills := newShop(t, "T01")
	c := tills[0]
	c.up.replace(passing{c.up.whole()})
	if v := c.sell(lunch, false); !v.sold || v.online {
		t.Errorf("told %+v, want it sold by the rules", v)
	}
	w.told(c.post)
	w.balanced(c)
}

// passing is an upstream that holds nothing for this journal any more.
type passing struct{ upstream }

func (passing) Authorize(context.Context, client.AuthorizeRequest) (client.Approval, error) {
	return client.Approval{Reason: client.NumberPassed}, nil
}

// TestSaleFirst: the first sale of a new terminal is made online, within the
// time that a tap may take.
func TestSaleFirst(t *testing.T) {
	t.Parallel()
	w, tills := newShop(t, "T01")
	c := tills[0]
	w.told(c.post) // its start is upstream before anybody can lay a card down
	if v := c.sell(lunch, false); !v.sold || !v.online {
		t.Errorf("told %+v, want it sold online", v)
	}
}

// TestSaleAloneRules: the rules are asked with what journal, list and card say.
func TestSaleAloneRules(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(w *world, c *till)
		amount  money.Fen
		want    error
		code    kiosk.Code // that the cashier reads; 0: a PIN is asked for
	}{
		"never heard of upstream": {func(w *world, c *till) { w.ok(os.Remove(filepath.Join(w.dir, "T01-feeds.db"))) },
			lunch, rules.ErrList, kiosk.CodeOldList},
		"hot card": {func(w *world, c *till) {
			w.ok(w.books.SetCardStatus(w.t.Context(), cardNo, store.CardHot))
			w.eventually(func() string {
				if c.feeds.HotCount() == 0 {
					return "the hotlist did not come"
				}
				return ""
			})
		}, lunch, rules.ErrHot, kiosk.CodeHot},
		"more than the school allows": {func(w *world, c *till) {
			_, err := w.books.Publish(w.t.Context(), "settings", []byte(`{"offline_sale_max_fen":1199}`))
			w.ok(err)
			w.eventually(func() string {
				if c.terms.Rules().SaleMax != 1199 {
					return "the settings did not come"
				}
				return ""
			})
		}, lunch, rules.ErrSale, kiosk.CodeAlone},
		"daily limit": {func(w *world, c *till) {
			_, err := w.books.Publish(w.t.Context(), "settings", []byte(`{"daily_limit_fen":2399}`))
			w.ok(err)
			w.eventually(func() string {
				if c.terms.Rules().DailyLimit != 2399 {
					return "the settings did not come"
				}
				return ""
			})
			if v := c.sell(lunch, false); !v.sold {
				w.t.Errorf("the first: %v", v.err)
			}
		}, lunch, rules.ErrPIN, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, tills := newShop(t, "T01")
			c := tills[0]
			if strings.HasPrefix(name, "never") {
				c.crash()
				tt.prepare(w, c)
				c.up.leave()
				c.start()
			} else {
				tt.prepare(w, c)
				c.up.goAway("Authorize", false)
			}
			before := w.purse()
			if v := c.sell(tt.amount, false); !errors.Is(v.err, tt.want) || w.purse() != before {
				t.Errorf("told %+v, want %v; the purse has %s", v, tt.want, w.purse())
			} else if code := kiosk.Explain(v.err); tt.code != 0 && code != tt.code {
				t.Errorf("the cashier reads E-%d, want E-%d", code, tt.code)
			}
		})
	}
}

// TestDayInNewEpoch: what a card has spent today is still known in a new epoch, whether
// the upstream had it, in which case nothing was carried over, or not, and after a start.
func TestDayInNewEpoch(t *testing.T) {
	for name, told := range map[string]bool{"the upstream has it": true, "carried over": false, "file is gone": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, tills := newShop(t, "T01")
			c := tills[0]
			_, err := w.books.Publish(t.Context(), "settings", []byte(`{"offline_day_max_fen":2399}`))
			w.ok(err)
			hear := func() {
				w.eventually(func() string {
					if c.terms.Rules().DayMax != 2399 {
						return "the settings did not come"
					}
					return ""
				})
			}
			hear()
			if !told {
				c.up.leave()
			}
			if v := c.sell(lunch, false); !v.sold {
				t.Fatalf("the first: %+v", v)
			}
			if told {
				w.told(c.post)
			}
			old := c.oldJournal()
			w.ok(c.book.NewEpoch(t.Context(), journal.ReasonForked, journal.Head{}))
			if name == "file is gone" { // the card's own log says what is no longer here
				w.ok(os.Remove(old))
			}
			for i, more := range []money.Fen{lunch, yuan} {
				c.up.goAway("Authorize", false)
				if v := c.sell(more, false); !errors.Is(v.err, rules.ErrDay) {
					t.Errorf("more: %+v, want %v", v, rules.ErrDay)
				}
				if v := c.sell(lunch-1, false); i == 0 && !v.sold {
					t.Errorf("what is left of the day: %+v", v)
				}
				c.restart()
				hear()
			}
		})
	}
}

// TestDayByAnotherClock: a machine's clock is years ahead, or days behind, and dates the
// journal; what a card may spend there in a day it may all the same, and no more.
func TestDayByAnotherClock(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"ahead": 3 * 365 * 24 * time.Hour, "behind": -50 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, tills := newShop(t, "T01")
			c := tills[0]
			_, err := w.books.Publish(t.Context(), "settings", []byte(`{"offline_day_max_fen":2399}`))
			w.ok(err)
			c.crash()
			c.ahead = ahead
			c.start()
			w.eventually(func() string {
				if c.terms.Rules().DayMax != 2399 || c.clock.Drift() == 0 {
					return "the settings or the time did not come"
				}
				return ""
			})
			for i, tt := range []struct {
				amount money.Fen
				want   error
			}{{lunch, nil}, {lunch, rules.ErrDay}, {lunch - 1, nil}, {1, rules.ErrDay}} {
				c.up.goAway("Authorize", false)
				if v := c.sell(tt.amount, false); v.sold != (tt.want == nil) || !errors.Is(v.err, tt.want) {
					t.Errorf("sale %d, of %s: %+v, want %v", i, tt.amount, v, tt.want)
				}
			}
		})
	}
}

// TestDayUnknown: the older journal that has the beginning of the day is missing, and all
// of a card's log is of today, so that it may have spent more: it waits for the upstream.
func TestDayUnknown(t *testing.T) {
	t.Parallel()
	w, tills := newShop(t, "T01")
	c := tills[0]
	c.up.goAway("Authorize", false)
	for i := range 10 {
		if v := c.sell(1, false); !v.sold {
			t.Fatalf("sale %d: %+v", i, v)
		}
	}
	old := c.oldJournal()
	w.ok(c.book.NewEpoch(t.Context(), journal.ReasonForked, journal.Head{}))
	w.ok(os.Remove(old))
	if v := c.sell(1, false); !errors.Is(v.err, rules.ErrPast) || kiosk.Explain(v.err) != kiosk.CodePast {
		t.Errorf("%+v, want %v", v, rules.ErrPast)
	}
}

// oldJournal is where the journal will be once a new epoch has begun.
func (c *till) oldJournal() string {
	return filepath.Join(c.world.dir, c.id+"."+c.book.Epoch().String()+".db")
}

// TestSaleDeclined: what upstream declines leaves nothing behind, here or there.
func TestSaleDeclined(t *testing.T) {
	t.Parallel()
	w, tills := newShop(t, "T01")
	c := tills[0]
	w.ok(w.books.SetCardStatus(t.Context(), cardNo, store.CardHot))
	no := (*client.Refusal)(nil)
	if v := c.sell(lunch, false); !errors.As(v.err, &no) || no.Reason != client.CardIsHot {
		t.Errorf("told %+v", v)
	}
	w.told(c.post)
	if n := w.balanced(c); n != 0 {
		t.Errorf("%d lunches paid", n)
	}
}

// TestSaleRefusedUntold: the power fails before a refusal of which the upstream holds the
// money is written down. The next start is the entry that lets go of it.
func TestSaleRefusedUntold(t *testing.T) {
	t.Parallel()
	w, tills := newShop(t, "T01")
	c := tills[0]
	c.sam.breakAt(0x70, false)
	c.disk.set(brokenAt{point: "sighting"})
	if v := c.sell(lunch, false); !v.refused || !errors.Is(v.err, kiosk.ErrNoSAM) {
		t.Fatalf("told %+v", v)
	}
	held, err := ingest.Holdings(t.Context(), w.books)
	if w.ok(err); held[c.id].Amount != lunch {
		t.Fatalf("held: %+v, want lunch", held)
	}
	c.restart()
	w.told(c.post)
	held, err = ingest.Holdings(t.Context(), w.books)
	if w.ok(err); len(held) > 0 {
		t.Errorf("held after the next start: %+v", held)
	}
	if n := w.balanced(c); n != 0 {
		t.Errorf("%d lunches paid", n)
	}
}

// TestSalePIN: above the daily limit the PIN is asked, and the money is held
// once, until it was typed or the sale was given up.
func TestSalePIN(t *testing.T) {
	for _, typed := range []bool{true, false} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			w, tills := newShop(t, "T01")
			c := tills[0]
			w.limit(20 * yuan)
			if v := c.sell(lunch, false); !v.sold {
				t.Fatal(v.err)
			}
			w.told(c.post)
			card, info, err := c.lay()
			w.ok(err)
			defer card.Close()
			sale := kiosk.Sale{Ref: kiosk.NewRef(), Card: info, Merchant: merchant, Amount: lunch}
			if _, err := c.seller.Sell(t.Context(), card, sale); !errors.Is(err, rules.ErrPIN) {
				t.Fatalf("err = %v, want %v", err, rules.ErrPIN)
			}
			if sale.PIN = typed; typed {
				_, err = c.seller.Sell(t.Context(), card, sale)
				w.ok(err)
			} else {
				c.seller.Drop(t.Context())
			}
			w.told(c.post)
			if n := w.balanced(c); typed != (n == 2) {
				t.Errorf("%d lunches paid", n)
			}
		})
	}
}

// TestSaleNumberTaken: somebody else writes into the journal between the
// question and the intent, so that upstream lets go of the money. It is held
// anew before the card is debited.
func TestSaleNumberTaken(t *testing.T) {
	t.Parallel()
	w, tills := newShop(t, "T01")
	c := tills[0]
	c.seller.Book = &hurried{brokenBook: c.journal(), times: 1}
	if v := c.sell(lunch, false); !v.sold {
		t.Errorf("not sold: %v", v.err)
	}
	w.told(c.post)
	if n := w.balanced(c); n != 1 {
		t.Errorf("%d lunches paid", n)
	}
	entries, err := c.book.Recent(t.Context(), 10)
	w.ok(err)
	intents := slices.DeleteFunc(entries, func(e journal.Entry) bool { return e.Kind != journal.SaleIntent })
	if len(intents) != 1 {
		t.Errorf("%d intents, want one", len(intents))
	}
	c.seller.Book = &hurried{brokenBook: c.journal(), times: 100}
	if v := c.sell(yuan, false); !errors.Is(v.err, kiosk.ErrBusy) {
		t.Errorf("told %+v: %v", v, v.err)
	}
	w.told(c.post)
	w.balanced(c)
}

// TestSaleNumberTakenPIN: the sale is begun anew, and by then it wants the holder's PIN.
func TestSaleNumberTakenPIN(t *testing.T) {
	t.Parallel()
	w, tills := newShop(t, "T01")
	c := tills[0]
	c.seller.Book = &hurried{brokenBook: c.journal(), times: 1, do: func() { w.limit(10 * yuan) }}
	card, info, err := c.lay()
	w.ok(err)
	defer card.Close()
	sale := kiosk.Sale{Ref: kiosk.NewRef(), Card: info, Merchant: merchant, Amount: lunch}
	if _, err := c.seller.Sell(t.Context(), card, sale); !errors.Is(err, rules.ErrPIN) {
		t.Fatalf("err = %v, want %v", err, rules.ErrPIN)
	}
	sale.PIN = true
	if _, err := c.seller.Sell(t.Context(), card, sale); err != nil {
		t.Errorf("with the PIN: %v", err)
	}
	w.told(c.post)
	if n := w.balanced(c); n != 1 {
		t.Errorf("%d lunches paid", n)
	}
}

// TestSaleNumberTakenOnce: a sale whose number was taken is held for once, also where the
// upstream has not heard what took the number: its holder has as much as it costs.
func TestSaleNumberTakenOnce(t *testing.T) {
	t.Parallel()
	w, tills := newShop(t, "T01")
	c := tills[0]
	c.up.goAway("Push", false)
	c.seller.Book = &hurried{brokenBook: c.journal(), times: 1}
	if v := c.sell(opening-yuan, false); !v.sold || !v.online {
		t.Errorf("told %+v: %v", v, v.err)
	}
	c.up.set(brokenAt{})
	w.told(c.post)
	w.balanced(c)
}

// hurried is a journal into which somebody writes just before each intent of a sale for
// which money is held.
type hurried struct {
	*brokenBook
	times int
	do    func() // besides; nil: nothing
}

func (b *hurried) AppendAt(ctx context.Context, e journal.Entry, epoch journal.Epoch, seq int64) (
	journal.Entry, error) {
	if e.Kind == journal.SaleIntent && b.times > 0 {
		b.times--
		if b.do != nil {
			b.do()
		}
		_, err := b.brokenBook.Append(ctx, journal.Entry{
			Kind: journal.CashIn, Ref: kiosk.NewRef(), Amount: 100,
		})
		if err != nil {
			return e, err
		}
	}
	return b.brokenBook.AppendAt(ctx, e, epoch, seq)
}

// TestSalePaidBefore: the cashier makes a sale again that the power cut had
// interrupted. The card has paid for it, and pays no second time by itself.
func TestSalePaidBefore(t *testing.T) {
	t.Parallel()
	w, tills := newShop(t, "T01")
	c := tills[0]
	c.disk.set(brokenAt{"sale end", false})
	c.sell(lunch, true)
	c.restart()
	if v := c.sell(lunch, false); !errors.Is(v.err, kiosk.ErrPaidBefore) {
		t.Errorf("told %+v", v)
	}
	if v := c.sell(lunch, false); !v.sold { // another one, says the cashier
		t.Error(v.err)
	}
	w.told(c.post)
	if n := w.balanced(c); n != 2 {
		t.Errorf("%d lunches paid", n)
	}
}

// TestSalePaidBeforeTorn: two sales of a card are in doubt. It proves that the first was paid,
// and is lifted while it is asked about the second: the cashier hears of the first all the
// same, which nobody asks it about any more. So it is where the card says that the second was
// not made.
func TestSalePaidBeforeTorn(t *testing.T) {
	for _, torn := range []func(*world){
		func(w *world) { w.card.Break(sim.Break{How: sim.TearBefore, INS: 0x5A, Skip: 1}) },
		func(*world) {},
	} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			w, tills := newShop(t, "T01")
			c := tills[0]
			w.card.Break(sim.Break{How: sim.TearAfter, INS: 0x54})
			c.sell(lunch, true)
			open, err := c.book.OpenItems(t.Context())
			w.ok(err)
			second := journal.Entry{
				Kind: journal.SaleIntent, Ref: kiosk.NewRef(), Card: open[0].Card, Merchant: merchant, Amount: yuan,
			}
			p := *open[0].Purse
			p.Counter, p.Balance, p.TraceNo, p.Stamp[6] = p.Counter+1, p.Balance-uint32(lunch), p.TraceNo+1, p.Stamp[6]^1
			second.Purse = &p
			_, err = c.book.Append(t.Context(), second)
			w.ok(err)
			torn(w)
			if v := c.sell(lunch, false); !errors.Is(v.err, kiosk.ErrPaidBefore) {
				t.Errorf("told %+v: %v", v, v.err)
			}
		})
	}
}

// TestSaleElsewhere tears a sale at one till, and has its card turn up
// somewhere else: at another till that is online, at one that is not, at the
// kiosk, or where nobody asks it anything. Wherever it turns up, the first till
// learns how it came out, and no fen stays in suspense.
func TestSaleElsewhere(t *testing.T) {
	meets := map[string]func(w *world, b *till){
		"online till sells":  func(w *world, b *till) { b.sell(lunch, false) },
		"offline till sells": func(w *world, b *till) { b.up.goAway("Authorize", false); b.sell(lunch, false) },
		"kiosk":              func(w *world, b *till) { w.look().visit(nil) },
		"twice": func(w *world, b *till) {
			b.up.goAway("Authorize", false)
			b.sell(lunch, false)
			b.up.set(brokenAt{})
			w.look().visit(nil)
		},
	}
	for name, meet := range meets {
		for _, how := range []sim.How{sim.TearBefore, sim.TearAfter} {
			for _, away := range []bool{false, true} { // the first till, until all is over
				t.Run(fmt.Sprintf("%s, torn %d, away %v", name, how, away), func(t *testing.T) {
					t.Parallel()
					w, tills := newShop(t, "T01", "T02")
					a, b := tills[0], tills[1]
					w.startKiosk(0)
					if away {
						a.up.goAway("Push", false)
					}
					w.card.Break(sim.Break{How: how, INS: 0x54})
					if v := a.sell(lunch, true); v.sold || v.refused {
						t.Errorf("told %+v", v)
					}
					if !away {
						w.claimed(b)
					}
					meet(w, b)
					a.up.set(brokenAt{})
					b.up.set(brokenAt{})
					if how == sim.TearBefore && name == "offline till sells" || away {
						b.tap() // before it had, nobody could know
						a.tap()
					}
					w.told(a.post, b.post, w.post)
					w.balanced(a, b)
				})
			}
		}
	}
}

// claimed waits until upstream has an open claim on the card.
func (w *world) claimed(c *till) {
	w.t.Helper()
	w.eventually(func() string {
		claims, err := c.client.Claims(w.t.Context(), cardNo)
		w.ok(err)
		if len(claims) == 0 {
			return "no claim came upstream"
		}
		return ""
	})
}

// TestSaleEndedAtKiosk: a terminal with both faces has sold to a card that was torn off, and
// the card comes back when it is a kiosk. The cashier, who was told that nobody knows,
// hears what came of it.
func TestSaleEndedAtKiosk(t *testing.T) {
	t.Parallel()
	w := newCampus(t)
	heard := make(chan string, 8)
	w.ended = func(sale journal.Entry, o journal.Outcome) { heard <- sale.Ref + " " + o.String() }
	w.startKiosk(0)
	w.eventually(func() string {
		if w.feeds.Status(feed.Hotlist).Checked.IsZero() {
			return "upstream was never heard"
		}
		return ""
	})
	w.told(w.post)
	secrets, err := keys.ReadSecrets(filepath.Join(w.dir, "keys.json"))
	w.ok(err)
	seller := &kiosk.Seller{
		Settler: kiosk.Settler{
			Book: w.journal(), Issuer: w.up, Profile: w.profile, Terminal: w.number,
			SAM: sim.NewSAM(w.number, secrets.Purchase, 1),
		},
		Upstream: w.up, Push: w.pusher, Feeds: w.feeds, Terms: w.terms, Clock: w.clock, Budget: 20 * time.Second, Log: w.log,
	}
	c := &till{post: w.post, slot: sim.NewSlot(), seller: seller}
	w.card.Break(sim.Break{How: sim.TearAfter, INS: 0x54})
	if v := c.sell(lunch, true); v.sold || v.refused {
		t.Fatalf("told %+v", v)
	}
	c.slot.Take()
	w.look().visit(nil)
	open, err := w.book.OpenItems(t.Context())
	if w.ok(err); len(open) > 0 {
		t.Fatalf("open: %+v", open)
	}
	select {
	case got := <-heard:
		if !strings.HasSuffix(got, " "+journal.Written.String()) {
			t.Errorf("heard %q", got)
		}
	default:
		t.Error("nobody heard of it")
	}
}

// TestLoadElsewhere tears a load at the kiosk, and has another terminal meet
// the card, where its holder types the PIN.
func TestLoadElsewhere(t *testing.T) {
	for _, how := range []sim.How{sim.TearBefore, sim.TearAfter} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			w, tills := newShop(t, "T01")
			b := tills[0]
			w.startKiosk(0)
			w.card.Break(sim.Break{How: how, INS: 0x52})
			p := w.topUp()
			p.keeps = true
			p.visit(nil)
			w.claimed(b)
			card, _, err := b.lay()
			w.ok(err)
			digits := purse.PIN([]byte(pin))
			w.ok(purse.VerifyPIN{PIN: &digits, Encoding: w.profile.PIN.Encoding, Key: w.profile.PIN.Key}.Send(card))
			claims, err := b.client.Claims(t.Context(), cardNo)
			w.ok(err)
			if wrote, err := b.seller.Witness(t.Context(), card, claims); err != nil || !wrote {
				t.Errorf("Witness = %v, %v", wrote, err)
			}
			card.Close()
			b.slot.Take()
			w.told(b.post, w.post)
			w.look().visit(nil)
			w.told(b.post, w.post)
			w.balanced(b)
			if w.purse() != opening+20*yuan {
				t.Errorf("purse %s", w.purse())
			}
		})
	}
}
