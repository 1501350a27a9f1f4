package channel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"quancun/journal"
	"quancun/kiosk/tender"
	"quancun/ledger"
	"quancun/money"
	"quancun/upstream/client"
)

// Refunder gives back what was sold by code, to where it came from. It is safe
// for concurrent use.
type Refunder struct {
	Book     Book
	Upstream Upstream
	InHand   InHand
	Log      *slog.Logger
}

// Refund is what is given back of a sale.
type Refund struct {
	Ref      string        // names it for good
	Sale     journal.Entry // a [journal.ChannelSale] of this journal
	Amount   money.Fen
	Operator string
	Note     Note
}

// Note is what a refund's entry says besides: who has released it and why.
type Note struct {
	Reason   string `json:"reason,omitempty"`
	Released string `json:"released,omitempty"` // staff number of the second person
	Void     bool   `json:"void,omitempty"`     // of the whole sale, as if it had not been

	Sale string `json:"sale,omitempty"` // reference of the sale
}

// Refund has the channel give r back, and then writes it down. No error is
// "given back"; tender.ErrUnknown is "being checked", and the [Keeper] goes on;
// after every other error nothing has moved. The ledger has checked that this
// much is left of the sale.
func (s *Refunder) Refund(ctx context.Context, r Refund) (journal.Entry, error) {
	if r.Sale.Kind != journal.ChannelSale {
		return journal.Entry{}, ErrNotFound
	}
	if err := s.Book.Room(ctx); err != nil {
		return journal.Entry{}, fmt.Errorf("refund: %w", err)
	}
	r.Note.Sale = r.Sale.Ref
	note, err := json.Marshal(r.Note)
	if err != nil {
		return journal.Entry{}, fmt.Errorf("refund: %w", err)
	}
	intent := journal.Entry{
		Kind: journal.ReturnIntent, Ref: intentRef(r.Ref), Merchant: r.Sale.Merchant, Operator: r.Operator,
		Amount: r.Amount, Origin: r.Sale.Position(), Details: note,
	}
	s.InHand.Take(intent.Ref)
	defer s.InHand.Drop(intent.Ref)
	_, err = s.Book.Append(ctx, intent)
	if errors.Is(err, ledger.ErrFailed) {
		// If it is written all the same, the Keeper makes it after the next start.
		return journal.Entry{}, fmt.Errorf("%w: %w", tender.ErrUnknown, err)
	}
	if err != nil {
		return journal.Entry{}, fmt.Errorf("refund: %w", err) // nobody was asked
	}
	refund, err := giveBack(ctx, s.Book, s.Upstream, intent)
	if errors.Is(err, tender.ErrUnknown) {
		s.Log.Warn("refund by channel not decided", "ref", r.Ref, "err", err)
	}
	return refund, err
}

// saleOf is the sale that the intent of a refund is of, by its reference.
func saleOf(intent journal.Entry) (string, error) {
	var n Note
	if err := json.Unmarshal(intent.Details, &n); err != nil || n.Sale == "" {
		return "", fmt.Errorf("the intent of a refund names no sale (%v)", err)
	}
	return n.Sale, nil
}

// TooMuchError means that less is left of a sale than was to be given back.
type TooMuchError struct{ Left money.Fen }

// Error says how much is left.
func (e *TooMuchError) Error() string { return "channel: only " + e.Left.String() + " is left" }

// aboutRefund reports whether the upstream has refused a refund, rather than the terminal
// that asks: who is not let in is told nothing about what was asked for before.
func aboutRefund(no *client.Refusal) bool {
	switch no.Reason {
	case client.OrderUnknown, client.OrderConflict, client.AmountOutOfRange, client.ChannelRefused, client.Malformed:
		return true
	}
	return false
}

func refusalOf(no *client.Refusal) error {
	if no.Reason == client.AmountOutOfRange {
		return &TooMuchError{Left: no.Limit}
	}
	return fmt.Errorf("%w: %w", ErrChannel, no)
}
