package refund_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk/channel"
	"quancun/kiosk/refund"
	"quancun/kiosk/tender"
	"quancun/lab/disk"
	"quancun/ledger"
	"quancun/money"
	"quancun/upstream/client"
)

// bank gives back what a wallet has paid, once for each number.
type bank struct {
	channel.Upstream
	made  map[string]money.Fen
	asked func(no string)
}

func (b *bank) RefundCodePayment(_ context.Context, _, no string, amount money.Fen) (client.RefundState, error) {
	if b.asked != nil {
		b.asked(no)
	}
	b.made[no] = amount
	return client.RefundDone, nil
}

// till is a terminal that has sold by card, code and wallet, and gives back.
type till struct {
	*ledger.Book
	*refund.Desk
	*bank
}

func open(d *disk.Disk, made map[string]money.Fen) (till, error) {
	b, err := ledger.Open(context.Background(), "/journal.db", ledger.Options{Terminal: "T01", FS: files{d}})
	u := &bank{made: made}
	return till{b, &refund.Desk{
		Book: b, Limit: 100 * yuan,
		Channel: &channel.Refunder{Book: b, Upstream: u, InHand: hand{}, Log: slog.New(slog.DiscardHandler)},
	}, u}, err
}

// files is a disk as the ledger wants to see it.
type files struct{ *disk.Disk }

func (f files) Open(path string, flag int) (ledger.File, error) { return f.Disk.Open(path, flag) }
func (f files) Lock(path string) (io.Closer, error)             { return f.Disk.Lock(path) }

// gives are the refunds, of every source: in parts, and a void.
var gives = []refund.Request{
	{Ref: "r0", Sale: "code", Amount: 5 * yuan},
	{Ref: "r1", Sale: "alipay", Amount: 5 * yuan},
	{Ref: "r2", Sale: "card", Amount: 20 * yuan, Void: true},
	{Ref: "r3", Sale: "alipay", Amount: 15 * yuan},
	{Ref: "r4", Sale: "code", Amount: 15 * yuan},
}

var sales = []string{"card", "code", "alipay"}

// record makes the refunds on a disk. It marks each as the bank is asked for it,
// and as it is done, and returns these marks in words.
func record(t *testing.T) (*disk.Recording, []string) {
	t.Helper()
	d := disk.New(disk.Options{Strict: true})
	t.Cleanup(d.Close)
	c, err := open(d, map[string]money.Fen{})
	if err != nil {
		t.Fatal(err)
	}
	write(t, c.Book,
		intent("card"), journal.Entry{Kind: journal.SaleEnd, Ref: "card", Outcome: journal.Written},
		journal.Entry{Kind: journal.CodeSale, Ref: "code", Account: "1001", Merchant: "canteen", Amount: 20 * yuan},
		journal.Entry{Kind: journal.ChannelSale, Ref: "alipay", Merchant: "canteen", Amount: 20 * yuan},
	)
	rec := d.Record()
	t.Cleanup(rec.Close)
	var marks []string
	mark := func(s string) {
		marks = append(marks, s)
		d.Mark(len(marks))
	}
	c.asked = func(no string) { mark("asked " + no) }
	for _, q := range gives {
		if _, err := c.Refund(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		mark("done " + q.Ref)
	}
	rec.Stop()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	return rec, marks
}

// recovers starts the till after a power cut, before which the marks were made.
// Whoever stands there knows only what was done, and asks for the rest: under the
// same names, or anew. If lost is set, the last question never reached the bank.
func recovers(d *disk.Disk, marks []string, anew, lost bool) (err error) {
	made := map[string]money.Fen{}
	done := map[string]bool{}
	for i, m := range marks {
		what, ref, _ := strings.Cut(m, " ")
		if done[ref] = what == "done"; what == "asked" && !(lost && i == len(marks)-1) {
			made[ref] = amountOf(ref)
		}
	}
	c, err := open(d, made)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	ctx := context.Background()
	for ref, is := range done {
		if _, err := c.Get(ctx, ref); is && err != nil {
			return fmt.Errorf("%s was done: %w", ref, err)
		}
	}
	if err := c.answered(ctx, marks); err != nil {
		return err
	}
	again := c.same
	if anew {
		again = c.anew
	}
	if err := again(ctx); err != nil {
		return err
	}
	k := &channel.Keeper{
		Book: c.Book, Upstream: c.bank, InHand: hand{}, Every: time.Hour, Log: slog.New(slog.DiscardHandler),
	}
	k.Round(ctx)
	if err := again(ctx); err != nil { // all of it is given back by now: this moves nothing
		return err
	}
	return c.stands(ctx)
}

// answered: what the journal says was given back was asked for and answered.
func (c till) answered(ctx context.Context, marks []string) error {
	for _, m := range marks {
		what, ref, _ := strings.Cut(m, " ")
		_, err := c.Get(ctx, ref)
		switch {
		case err == nil && what == "asked":
			c.made[ref] = amountOf(ref)
		case err != nil && !errors.Is(err, ledger.ErrNotFound):
			return err
		}
	}
	return nil
}

func amountOf(ref string) money.Fen {
	for _, q := range gives {
		if q.Ref == ref {
			return q.Amount
		}
	}
	return 0
}

// same asks for all refunds once more.
func (c till) same(ctx context.Context) error {
	for _, q := range gives {
		if _, err := c.Refund(ctx, q); err != nil && !errors.Is(err, tender.ErrUnknown) {
			return fmt.Errorf("%s again: %w", q.Ref, err)
		}
	}
	return nil
}

// anew gives back what is left of each sale.
func (c till) anew(ctx context.Context) error {
	for _, sale := range sales {
		s, err := c.Look(ctx, sale)
		if err != nil {
			return err
		}
		if s.Left == 0 {
			continue
		}
		q := refund.Request{Ref: fmt.Sprintf("new-%s-%d", sale, s.Given), Sale: sale}
		if _, err := c.Refund(ctx, q); err != nil && !errors.Is(err, tender.ErrUnknown) {
			return fmt.Errorf("what is left of %s: %w", sale, err)
		}
	}
	return nil
}

// stands checks that all was given back, once, by everybody.
func (c till) stands(ctx context.Context) error {
	for _, sale := range sales {
		if s, err := c.Look(ctx, sale); err != nil || s.Given != s.Sale.Amount {
			return fmt.Errorf("of %s %s was given back, %w", sale, s.Given, err)
		}
	}
	var bank money.Fen
	for _, f := range c.made {
		bank += f
	}
	owed, err := c.Balance(ctx, journal.MerchantAccount("canteen"))
	if err != nil || owed != 0 || bank != 20*yuan {
		return fmt.Errorf("the merchant has %s, the bank gave %s (%v), %w", owed, bank, c.made, err)
	}
	if open, err := c.OpenItems(ctx); err != nil || len(open) > 0 {
		return fmt.Errorf("open: %+v, %w", open, err)
	}
	_, err = c.Verify(ctx)
	return err
}

// TestPowerCutInRefund cuts the power after every operation of the disk while
// sales are given back, and drops, keeps and tears what was not synchronised. Of
// what the wallet's bank was asked for, the last question may never have arrived.
func TestPowerCutInRefund(t *testing.T) {
	rec, marks := record(t)
	var group sync.WaitGroup
	work := make(chan disk.State)
	var states, bad atomic.Int64
	for range 2 {
		group.Go(func() {
			for s := range work {
				for i := s.At % 2; i < 4; i += 2 {
					d := s.Disk.Clone()
					states.Add(1)
					if err := recovers(d, marks[:s.Acked], i%2 == 1, i/2 == 1); err != nil && bad.Add(1) <= 3 {
						t.Errorf("%v, way %d: %v", s, i, err)
					}
					d.Close()
				}
				s.Disk.Close()
			}
		})
	}
	for s := range rec.States(disk.Choice{Seed: 1, Each: 1}) {
		work <- s
	}
	close(work)
	group.Wait()
	t.Logf("%d of %d states are bad", bad.Load(), states.Load())
	if states.Load() < 400 {
		t.Errorf("only %d states", states.Load())
	}
}
