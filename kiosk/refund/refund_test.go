package refund_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"

	"quancun/journal"
	"quancun/kiosk/channel"
	"quancun/kiosk/refund"
	"quancun/kiosk/tender"
	"quancun/ledger"
	"quancun/money"
)

const yuan = money.Yuan

func newBook(t *testing.T) *ledger.Book {
	t.Helper()
	b, err := ledger.Open(t.Context(), filepath.Join(t.TempDir(), "journal.db"), ledger.Options{Terminal: "T01"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func write(t *testing.T, b *ledger.Book, all ...journal.Entry) {
	t.Helper()
	for _, e := range all {
		if _, err := b.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

const card = "00002026000100012345"

func intent(ref string) journal.Entry {
	return journal.Entry{
		Kind: journal.SaleIntent, Ref: ref, Card: card, Merchant: "canteen", Amount: 20 * yuan, Purse: new(journal.Purse),
	}
}

// TestSources gives back to the holder of a card and of a virtual card, with no
// upstream, and nothing of what was not paid.
func TestSources(t *testing.T) {
	b := newBook(t)
	write(t, b,
		intent("card"), journal.Entry{Kind: journal.SaleEnd, Ref: "card", Outcome: journal.Written},
		intent("not"), journal.Entry{Kind: journal.SaleEnd, Ref: "not", Outcome: journal.NotWritten},
		intent("doubt"), journal.Entry{Kind: journal.SaleDoubt, Ref: "doubt"},
		journal.Entry{Kind: journal.CodeSale, Ref: "code", Account: "1001", Merchant: "canteen", Amount: 20 * yuan},
		journal.Entry{Kind: journal.ChannelSale, Ref: "alipay", Merchant: "canteen", Amount: 20 * yuan},
	)
	d := &refund.Desk{Book: b, Limit: 100 * yuan}
	for ref, want := range map[string]error{
		"card": nil, "code": nil, "not": refund.ErrNotFound, "doubt": refund.ErrOpen, "none": refund.ErrNotFound,
	} {
		q := refund.Request{Ref: "R" + ref, Sale: ref, Amount: 5 * yuan, Operator: "c1", Reason: "wrong price", Alone: true}
		for range 2 { // the same again
			done, err := d.Refund(t.Context(), q)
			if !errors.Is(err, want) || err == nil && done.Left != 15*yuan {
				t.Errorf("%s: %+v, %v; want %v", ref, done, err, want)
			}
		}
		if want != nil {
			continue
		}
		q.Amount = 6 * yuan
		if _, err := d.Refund(t.Context(), q); !errors.Is(err, ledger.ErrConflict) {
			t.Errorf("%s: the name of another refund: %v, want ErrConflict", ref, err)
		}
	}
	s, err := d.Look(t.Context(), "alipay")
	if err != nil || s.Source != refund.FromChannel || s.Left != 20*yuan {
		t.Errorf("Look = %+v, %v", s, err)
	}
	if _, err := d.Refund(t.Context(), refund.Request{Ref: "R", Sale: "alipay", Amount: yuan}); err == nil {
		t.Error("given back with nobody to ask the wallet")
	}
	holder, err := b.Balance(t.Context(), journal.Holder)
	if err != nil || holder != -(3*20-2*5)*yuan { // the doubt is in suspense
		t.Errorf("holders stand at %s, %v", holder, err)
	}
}

// TestVoid takes a whole sale back, once, with a second person.
func TestVoid(t *testing.T) {
	b := newBook(t)
	write(t, b, intent("S"), journal.Entry{Kind: journal.SaleEnd, Ref: "S", Outcome: journal.Written})
	d := &refund.Desk{Book: b}
	q := refund.Request{Ref: "V", Sale: "S", Operator: "c1", Void: true}
	if _, err := d.Refund(t.Context(), q); !errors.Is(err, refund.ErrRelease) {
		t.Errorf("by one person: %v, want ErrRelease", err)
	}
	q.Released = "s1"
	done, err := d.Refund(t.Context(), q)
	if err != nil || done.Left != 0 || done.Entry.Card != card || done.Entry.Amount != 20*yuan {
		t.Fatalf("Refund = %+v, %v", done, err)
	}
	if want := `{"released":"s1","void":true,"sale":"S"}`; string(done.Entry.Details) != want {
		t.Errorf("details %s, want %s", done.Entry.Details, want)
	}
	q.Ref = "V2"
	if _, err := d.Refund(t.Context(), q); !errors.Is(err, refund.ErrVoid) {
		t.Errorf("voided twice: %v, want ErrVoid", err)
	}
	q.Void = false
	if much := (*refund.TooMuchError)(nil); !errors.As(second(d.Refund(t.Context(), q)), &much) || much.Left != 0 {
		t.Errorf("given back twice: left %v", much)
	}
}

// failing is a journal whose disk fails as it is written to.
type failing struct {
	*ledger.Book
	kept bool // what was being written is there all the same
}

func (f failing) Append(ctx context.Context, e journal.Entry) (journal.Entry, error) {
	if f.kept {
		if _, err := f.Book.Append(ctx, e); err != nil {
			return journal.Entry{}, err
		}
	}
	return journal.Entry{}, fmt.Errorf("%w: disk", ledger.ErrFailed)
}

// hand keeps nobody off anything.
type hand struct{}

func (hand) Take(string)     {}
func (hand) Drop(string)     {}
func (hand) Has(string) bool { return false }

// TestJournalFails: a refund that may have been written down is being checked,
// and not refused.
func TestJournalFails(t *testing.T) {
	for _, kept := range []bool{false, true} {
		b := newBook(t)
		write(t, b,
			journal.Entry{Kind: journal.CodeSale, Ref: "code", Account: "1001", Merchant: "canteen", Amount: 20 * yuan},
			journal.Entry{Kind: journal.ChannelSale, Ref: "alipay", Merchant: "canteen", Amount: 20 * yuan},
		)
		bad := failing{b, kept}
		d := &refund.Desk{
			Book: bad, Limit: 100 * yuan,
			Channel: &channel.Refunder{Book: bad, InHand: hand{}, Log: slog.New(slog.DiscardHandler)},
		}
		for _, sale := range []string{"code", "alipay"} {
			q := refund.Request{Ref: "R" + sale, Sale: sale, Operator: "c1"}
			if _, err := d.Refund(t.Context(), q); !errors.Is(err, tender.ErrUnknown) {
				t.Errorf("%s, kept %t: %v, want ErrUnknown", sale, kept, err)
			}
		}
	}
}

func second(_ refund.Done, err error) error { return err }
