// Package refund gives sales back (退款), whole or in part and never more than
// was paid, to where the money came from: the holder's account, or the payer's
// wallet. Of what is above a limit a second person has to know.
//
// It gives back what is in this terminal's own journal, which says what was paid
// and what was given back before. The rest is the card centre's.
package refund

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"quancun/journal"
	"quancun/kiosk/channel"
	"quancun/kiosk/tender"
	"quancun/ledger"
	"quancun/money"
)

// What stops a refund. Nothing has moved.
var (
	// ErrNotFound means that this journal has no such sale.
	ErrNotFound = errors.New("refund: no such sale in this journal")
	// ErrOpen means that nobody knows yet whether the sale was paid.
	ErrOpen = errors.New("refund: nobody knows yet whether the sale was paid")
	// ErrBefore means that the sale is from before this journal was restored, so
	// that only the upstream knows what is left of it.
	ErrBefore = errors.New("refund: the sale is from before this journal was restored")
	// ErrRelease means that a second person has to release it.
	ErrRelease = errors.New("refund: a second person has to release it")
	// ErrVoid means that a sale of which some was given back cannot be voided.
	ErrVoid = errors.New("refund: some of it was given back before")
)

// TooMuchError means that less is left of the sale.
type TooMuchError struct{ Left money.Fen }

// Error says how much is left.
func (e *TooMuchError) Error() string {
	return "refund: only " + e.Left.String() + " is left of the sale"
}

// Book is the part of the journal that is written and read here. [ledger.Book]
// is one.
type Book interface {
	channel.Book
	// Next returns the position that the next entry will have.
	Next(ctx context.Context) (journal.Epoch, int64, error)
	// GivenBack returns how much of a sale of this journal was given back so far.
	GivenBack(ctx context.Context, sale journal.Entry) (money.Fen, error)
}

// Source is where a sale's money came from and goes back to.
type Source int

// The sources.
const (
	FromCard    Source = 1 // the holder of a card
	FromAccount Source = 2 // the holder of a virtual card
	FromChannel Source = 3 // a wallet
)

// Standing is a sale, and how it stands.
type Standing struct {
	Sale   journal.Entry // that says that it was paid
	Source Source
	Given  money.Fen // back so far, or about to be
	Left   money.Fen // that may still be given back
}

// Request asks for a refund.
type Request struct {
	Ref      string    // names the refund for good
	Sale     string    // reference of the sale, as its receipt has it
	Amount   money.Fen // 0: all that is left
	Operator string
	Reason   string
	Released string // staff number of who has released it, besides Operator; "" for nobody
	Void     bool   // the sale is to be as if it had not been
	Alone    bool   // the upstream is known to be away
}

// Done is a refund that was made.
type Done struct {
	Entry  journal.Entry
	Source Source
	Left   money.Fen // of the sale
}

// Desk makes refunds. It is safe for concurrent use: one after the other, so
// that no two of them give the same money back.
type Desk struct {
	Book    Book
	Channel *channel.Refunder // nil: this terminal takes no codes of wallets
	Limit   money.Fen         // above which a second person has to release it; 0: always

	mu sync.Mutex
}

// Look returns how the sale of a reference stands.
func (d *Desk) Look(ctx context.Context, ref string) (Standing, error) {
	item, err := d.Book.Get(ctx, ref)
	if errors.Is(err, ledger.ErrNotFound) {
		return Standing{}, ErrNotFound
	}
	if err != nil {
		return Standing{}, fmt.Errorf("look at sale: %w", err)
	}
	s := Standing{Sale: item.End}
	switch {
	case item.First.Kind == journal.SaleIntent && item.Open():
		return s, ErrOpen
	case item.First.Kind == journal.SaleIntent && item.End.Outcome.Happened():
		s.Source = FromCard
	case item.First.Kind == journal.CodeSale:
		s.Source = FromAccount
	case item.First.Kind == journal.ChannelSale:
		s.Source = FromChannel
	default:
		return s, ErrNotFound
	}
	epoch, _, err := d.Book.Next(ctx)
	if err == nil && s.Sale.Epoch != epoch {
		err = ErrBefore
	}
	if err != nil {
		return s, err
	}
	if s.Given, err = d.given(ctx, s.Sale); err != nil {
		return s, fmt.Errorf("look at sale: %w", err)
	}
	s.Left = s.Sale.Amount - s.Given
	return s, nil
}

// given is what of a sale was given back, and what a channel is being asked to
// give back.
func (d *Desk) given(ctx context.Context, sale journal.Entry) (money.Fen, error) {
	sum, err := d.Book.GivenBack(ctx, sale)
	if err != nil {
		return 0, err
	}
	open, err := d.Book.OpenItems(ctx)
	if err != nil {
		return 0, err
	}
	for _, intent := range open {
		if intent.Kind != journal.ReturnIntent || intent.Origin != sale.Position() {
			continue
		}
		_, err := d.Book.Get(ctx, strings.TrimPrefix(intent.Ref, channel.IntentPrefix))
		switch {
		case errors.Is(err, ledger.ErrNotFound):
			sum += intent.Amount
		case err != nil:
			return 0, err
		} // otherwise it is in the sum, and lacks only its end
	}
	return sum, nil
}

// Refund makes a refund. No error is "given back"; tender.ErrUnknown is "being
// checked": a channel has not said, and channel.Keeper goes on, or the journal
// has failed, and the next start knows. After every other error nothing has
// moved. The same request again gives back nothing twice.
func (d *Desk) Refund(ctx context.Context, q Request) (Done, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if done, err := d.before(ctx, q); err != nil || done.Entry.Seq > 0 {
		return done, err
	}
	s, err := d.Look(ctx, q.Sale)
	if err != nil {
		return Done{}, err
	}
	if q.Amount == 0 {
		q.Amount = s.Left
	}
	switch {
	case q.Void && (s.Given > 0 || q.Amount != s.Sale.Amount):
		return Done{}, ErrVoid
	case q.Amount < 1 || q.Amount > s.Left:
		return Done{}, &TooMuchError{Left: s.Left}
	case q.Amount > d.Limit && (q.Released == "" || q.Released == q.Operator):
		return Done{}, ErrRelease
	}
	if s.Source == FromChannel {
		return d.byChannel(ctx, q, s)
	}
	note, err := json.Marshal(noteOf(q))
	if err != nil {
		return Done{}, fmt.Errorf("refund: %w", err)
	}
	e, err := d.Book.Append(ctx, journal.Entry{
		Kind: journal.Refund, Ref: q.Ref, Card: s.Sale.Card, Account: s.Sale.Account, Merchant: s.Sale.Merchant,
		Operator: q.Operator, Amount: q.Amount, Origin: s.Sale.Position(), Details: note,
	})
	if errors.Is(err, ledger.ErrFailed) {
		err = fmt.Errorf("%w: %w", tender.ErrUnknown, err) // it may be written
	}
	if err != nil {
		return Done{}, fmt.Errorf("refund: %w", err)
	}
	return Done{Entry: e, Source: s.Source, Left: s.Left - q.Amount}, nil
}

// before returns the refund of this reference, if it was made before.
func (d *Desk) before(ctx context.Context, q Request) (Done, error) {
	if open, err := channel.Open(ctx, d.Book, q.Ref); err != nil || open {
		return Done{}, errors.Join(err, tender.ErrUnknown)
	}
	item, err := d.Book.Get(ctx, q.Ref)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return Done{}, nil
	case err != nil:
		return Done{}, fmt.Errorf("refund: %w", err)
	case item.First.Kind != journal.Refund:
		return Done{}, fmt.Errorf("refund: %w", ledger.ErrConflict)
	}
	s, err := d.Look(ctx, q.Sale)
	if err != nil {
		return Done{}, err
	}
	if item.First.Origin != s.Sale.Position() || q.Amount != 0 && q.Amount != item.First.Amount {
		return Done{}, fmt.Errorf("refund: %w", ledger.ErrConflict)
	}
	return Done{Entry: item.First, Source: s.Source, Left: s.Left}, nil
}

func (d *Desk) byChannel(ctx context.Context, q Request, s Standing) (Done, error) {
	if d.Channel == nil || q.Alone {
		return Done{}, tender.ErrOffline
	}
	e, err := d.Channel.Refund(ctx, channel.Refund{
		Ref: q.Ref, Sale: s.Sale, Amount: q.Amount, Operator: q.Operator, Note: noteOf(q),
	})
	var much *channel.TooMuchError
	if errors.As(err, &much) {
		err = &TooMuchError{Left: much.Left}
	}
	if err != nil {
		return Done{}, err
	}
	return Done{Entry: e, Source: s.Source, Left: s.Left - q.Amount}, nil
}

func noteOf(q Request) channel.Note {
	return channel.Note{Reason: q.Reason, Released: q.Released, Void: q.Void, Sale: q.Sale}
}
