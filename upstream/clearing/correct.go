package clearing

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"quancun/upstream/channel"
	"quancun/upstream/reconcile"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// Errors that people are told.
var (
	// ErrClosed means that a line of the inbox is closed already.
	ErrClosed = errors.New("clearing: closed already")
	// ErrReturned means that the money of a line has been given back, or that
	// nobody knows yet whether it has.
	ErrReturned = errors.New("clearing: it is being given back")
	// ErrNotThat means that this is not how such a line can be closed.
	ErrNotThat = errors.New("clearing: this line is not closed in this way")
	// ErrUnsigned means that a reason or a name is missing, or that one person
	// stands for two.
	ErrUnsigned = errors.New("clearing: a reason and two different names are needed")
)

// Signature is who closes a line of the inbox, and why.
type Signature struct {
	Reason   string
	One, Two string // two persons; the second may be left out where no money is lost
}

func (s Signature) check(both bool) (Signature, error) {
	s = Signature{strings.TrimSpace(s.Reason), strings.TrimSpace(s.One), strings.TrimSpace(s.Two)}
	if s.Reason == "" || s.One == "" || both && s.Two == "" || strings.EqualFold(s.One, s.Two) {
		return s, ErrUnsigned
	}
	return s, nil
}

// The kinds of a correction. Stored: never renumbered.
const (
	assigned   = 1
	writtenOff = 2
	explained  = 3
)

// Assign books an open amount for the holder whose it is: money that a channel
// has been paid and that we have booked for nobody, or what stands in suspense
// because a terminal has named nobody that we know, or on a closed account. If
// it pays the holder's own order, that becomes a paid order; otherwise it is a
// correction. It returns the entry.
func (h *House) Assign(ctx context.Context, id int64, to store.Account, s Signature) (entry int64, err error) {
	if s, err = s.check(false); err != nil {
		return 0, err
	}
	err = h.books.Write(ctx, func(tx *sqldb.Tx) error {
		x, err := lockUnreturned(ctx, tx, id)
		if err != nil {
			return err
		}
		if !x.surplus() && !x.suspended() && !x.late() || !isHolder(to) || to == x.Account {
			return ErrNotThat
		}
		if entry, err = h.creditOrder(ctx, tx, x, to); err != nil {
			return err
		}
		if entry == 0 {
			if entry, err = h.correct(ctx, tx, x, to); err != nil {
				return err
			}
		}
		return h.sign(ctx, tx, x, closing{entry, assigned, s})
	})
	if err != nil {
		return 0, fmt.Errorf("assign: %w", err)
	}
	return entry, nil
}

// surplus reports whether somebody has surely paid a channel more than we have
// booked.
func (x Exception) surplus() bool {
	switch x.Kind {
	case title(channel.Payment, reconcile.OnlyTheirs), title(channel.Payment, reconcile.PaidTwice),
		title(channel.Payment, reconcile.AmountDiffers):
		return x.Source != "" && !x.Source.Biller() && x.Gap > 0
	}
	return false
}

// suspended reports whether x is an amount that waits in suspense.
func (x Exception) suspended() bool {
	return x.Source == "" && x.Amount != 0 && strings.HasPrefix(string(x.Account), "suspense/")
}

func isHolder(a store.Account) bool {
	return a != store.HolderAccount("") && a == store.HolderAccount(a.No())
}

// creditOrder lets the order that x is about become paid, if it is a payment
// of it in full, to its own holder, and can be. Otherwise it returns 0.
func (h *House) creditOrder(ctx context.Context, tx *sqldb.Tx, x Exception, to store.Account) (int64, error) {
	if x.Kind != title(channel.Payment, reconcile.OnlyTheirs) {
		return 0, nil
	}
	var at int64
	err := tx.QueryRow(ctx, `
		SELECT l.at_ms FROM statement_lines l JOIN statements s ON s.id = l.statement
		WHERE s.source = ? AND s.superseded_ms IS NULL AND l.about = ? AND l.kind = 1 AND l.amount_fen = ?
		ORDER BY s.day, l.line LIMIT 1`, x.Source, x.About, x.Gap).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	o, err := h.books.OrderIn(ctx, tx, x.About)
	if errors.Is(err, store.ErrNone) || err == nil &&
		(o.Account != to || o.Amount != x.Gap || !o.State.CanBecome(store.OrderPaid)) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	_, err = h.books.AdvanceIn(ctx, tx, x.About, store.OrderStep{
		To: store.OrderPaid, TradeNo: x.Params["trade"], PaidAt: time.UnixMilli(at),
	})
	if err != nil {
		return 0, err
	}
	var entry int64
	err = tx.QueryRow(ctx, `SELECT id FROM entries WHERE order_no = ? AND kind = 1`, x.About).Scan(&entry)
	return entry, err
}

// endOrder ends the order that was paid without our booking it, so that nobody
// credits it any more: whoever asks the channel may have heard a moment ago
// that it is paid. Its error is ErrNotThat if it was credited meanwhile.
func (h *House) endOrder(ctx context.Context, tx *sqldb.Tx, x Exception) error {
	if x.Source == "" || x.Source.Biller() || x.Kind != title(channel.Payment, reconcile.OnlyTheirs) {
		return nil // it is not about a payment that an order waits for
	}
	_, err := h.books.AdvanceIn(ctx, tx, x.About, store.OrderStep{To: store.OrderReturned, TradeNo: x.Params["trade"]})
	switch {
	case errors.Is(err, store.ErrNone): // a stranger's
		return nil
	case errors.Is(err, store.ErrBackward):
		return ErrNotThat
	}
	return err
}

func title(k channel.Kind, d reconcile.Difference) string { return k.String() + " " + string(d) }

// WriteOff books a difference, or what stands in suspense or on a closed account, as a
// loss or a surplus. Two persons stand for it.
func (h *House) WriteOff(ctx context.Context, id int64, s Signature) (entry int64, err error) {
	if s, err = s.check(true); err != nil {
		return 0, err
	}
	err = h.books.Write(ctx, func(tx *sqldb.Tx) error {
		x, err := lockUnreturned(ctx, tx, id)
		if err != nil {
			return err
		}
		if x.Source == "" && !x.suspended() && !x.late() {
			return ErrNotThat
		}
		if entry, err = h.correct(ctx, tx, x, OverShort); err != nil {
			return err
		}
		return h.sign(ctx, tx, x, closing{entry, writtenOff, s})
	})
	if err != nil {
		return 0, fmt.Errorf("write off: %w", err)
	}
	return entry, nil
}

// Explain closes a line by an entry that is in the books already, such as the
// terminal's own that came late. It is for lines of any kind.
func (h *House) Explain(ctx context.Context, id, entry int64, s Signature) (err error) {
	if s, err = s.check(false); err != nil {
		return err
	}
	err = h.books.Write(ctx, func(tx *sqldb.Tx) error {
		x, err := lockException(ctx, tx, id)
		if err != nil {
			return err
		}
		var there bool
		err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM entries WHERE id = ?)`, entry).Scan(&there)
		if err != nil || !there {
			return errors.Join(err, store.ErrNone)
		}
		return h.sign(ctx, tx, x, closing{entry, explained, s})
	})
	if err != nil {
		return fmt.Errorf("explain: %w", err)
	}
	return nil
}

// correct books what a line is about against an account: what a source has and
// we had not, or what stands in suspense. An order that it is about is ended.
func (h *House) correct(ctx context.Context, tx *sqldb.Tx, x Exception, against store.Account) (int64, error) {
	if err := h.endOrder(ctx, tx, x); err != nil {
		return 0, err
	}
	amount := posted(x.Source, x.Gap)
	if x.suspended() {
		amount = -x.Amount
	}
	at, err := h.books.LockAccounts(ctx, tx, []store.Account{x.Account, against})
	if err != nil {
		return 0, err
	}
	if x.late() { // what has come since gets a line of its own
		amount = -min(x.Amount, at[x.Account].Balance)
	}
	if amount == 0 || x.late() && amount > 0 {
		return 0, ErrNotThat
	}
	e := store.Entry{
		Kind: store.KindCorrection, Place: "clearing", Debit: against, Credit: x.Account, Amount: amount,
	}
	if amount < 0 {
		e.Debit, e.Credit, e.Amount = x.Account, against, -amount
	}
	all, err := h.books.PostAll(ctx, tx, at, []store.Entry{e})
	if err != nil {
		return 0, err
	}
	return all[0].ID, nil
}

// closing is by what a line is closed.
type closing struct {
	entry int64
	kind  int
	by    Signature
}

// sign closes a line by an entry, with who has done it.
func (h *House) sign(ctx context.Context, tx *sqldb.Tx, x Exception, c closing) error {
	names := c.by.One
	if c.by.Two != "" {
		names += " and " + c.by.Two
	}
	if err := h.books.CloseException(ctx, tx, x.ID, c.entry, c.by.Reason+" ("+names+")"); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO corrections (exception_id, entry_id, kind, reason, by_one, by_two, at_ms)
		VALUES (?, ?, ?, ?, ?, ?, ?)`, x.ID, c.entry, c.kind, c.by.Reason, c.by.One, c.by.Two, h.ms())
	return err
}
