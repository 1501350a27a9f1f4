package clearing

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/hot"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// ErrHolders means that by the rule the holder bears what a line is about: the card was
// used before the time from which on it is the school's, at a terminal that is not known
// to have had it on its list.
var ErrHolders = errors.New("clearing: the holder bears this")

// ErrOlder means that a newer line of the same drawer has the cash of this one in it.
var ErrOlder = errors.New("clearing: a newer line of this drawer has this one's cash in it")

// Bearing is the word of two persons that the school bears a purchase.
type Bearing struct {
	Signature

	// Goodwill says that the school does although the rule leaves it to the holder.
	Goodwill bool
}

// Bear gives a holder back what was bought with a card that might not be used any more,
// and books it as the school's loss; the merchant, who has sold, keeps the price. What
// was given back of it before is left out. Asked again by the same persons for the same
// reason it returns the entry that it has made. Its errors are ErrHolders, ErrNotThat,
// ErrClosed and ErrUnsigned.
func (h *House) Bear(ctx context.Context, id int64, b Bearing) (entry int64, err error) {
	if b.Signature, err = b.check(true); err != nil {
		return 0, err
	}
	err = h.books.Write(ctx, func(tx *sqldb.Tx) error {
		x, err := lockException(ctx, tx, id)
		if errors.Is(err, ErrClosed) {
			entry, err = borne(ctx, tx, id, hot.Kind, b.Signature)
			return err
		}
		if err != nil {
			return err
		}
		if entry, err = h.bear(ctx, tx, x, b); err != nil {
			return err
		}
		return h.sign(ctx, tx, x, closing{entry, writtenOff, b.Signature})
	})
	if err != nil {
		return 0, fmt.Errorf("bear: %w", err)
	}
	return entry, nil
}

// Count says what became of the cash that the books have in a drawer and a terminal does
// not know of: counted was found, and has gone into the safe. The rest is a loss, or a
// surplus. Asked again it returns what [House.Bear] does. Its errors are also [ErrOlder],
// however the newer line has ended: each is over all that the books have in the drawer.
func (h *House) Count(ctx context.Context, id int64, counted money.Fen, s Signature) (entry int64, err error) {
	if s, err = s.check(true); err != nil {
		return 0, err
	}
	err = h.books.Write(ctx, func(tx *sqldb.Tx) error {
		if err := lockTerminal(ctx, tx, id); err != nil {
			return err
		}
		x, err := lockException(ctx, tx, id)
		if errors.Is(err, ErrClosed) {
			entry, err = borne(ctx, tx, id, store.DrawerDiffers, s)
			return err
		}
		if err != nil {
			return err
		}
		if x.Kind != store.DrawerDiffers || x.Amount == 0 || counted < 0 || counted > journal.AmountMax {
			return ErrNotThat
		}
		if err := newestOfDrawer(ctx, tx, x); err != nil {
			return err
		}
		if entry, err = h.count(ctx, tx, x, counted); err != nil {
			return err
		}
		return h.sign(ctx, tx, x, closing{entry, writtenOff, s})
	})
	if err != nil {
		return 0, fmt.Errorf("count: %w", err)
	}
	return entry, nil
}

// lockTerminal holds back what the terminal of a line sends, which could find the drawer
// as it was before the count.
func lockTerminal(ctx context.Context, tx *sqldb.Tx, id int64) error {
	_, err := tx.Exec(ctx, `SELECT 1 FROM terminals WHERE id = (SELECT terminal FROM exceptions WHERE id = ?)
		FOR NO KEY UPDATE`, id)
	return err
}

func newestOfDrawer(ctx context.Context, tx *sqldb.Tx, x Exception) error {
	var newest int64
	err := tx.QueryRow(ctx, `SELECT max(id) FROM exceptions WHERE kind = ? AND account = ?`, x.Kind, x.Account).
		Scan(&newest)
	if err == nil && newest != x.ID {
		err = fmt.Errorf("%w: #%d", ErrOlder, newest)
	}
	return err
}

// count books what a drawer has over, which is below zero as all that the school owns.
func (h *House) count(ctx context.Context, tx *sqldb.Tx, x Exception, counted money.Fen) (int64, error) {
	const safe = store.Account(journal.Safe)
	accounts, err := h.books.LockAccounts(ctx, tx, []store.Account{x.Account, safe, OverShort})
	if err != nil {
		return 0, err
	}
	var all []store.Entry
	book := func(to store.Account, f money.Fen) {
		e := store.Entry{Kind: store.KindCorrection, Place: "clearing", Debit: to, Credit: x.Account, Amount: f}
		if f < 0 {
			e.Debit, e.Credit, e.Amount = x.Account, to, -f
		}
		if f != 0 {
			all = append(all, e)
		}
	}
	book(safe, counted)
	book(OverShort, -x.Amount-counted)
	posted, err := h.books.PostAll(ctx, tx, accounts, all)
	if err != nil {
		return 0, err
	}
	return posted[len(posted)-1].ID, nil
}

// borne returns the entry by which a line was closed in this way, or ErrClosed.
func borne(ctx context.Context, tx *sqldb.Tx, id int64, kind string, s Signature) (entry int64, err error) {
	err = tx.QueryRow(ctx, `
		SELECT c.entry_id FROM corrections c JOIN exceptions x ON x.id = c.exception_id
		WHERE x.id = ? AND x.kind = ? AND c.kind = ? AND c.reason = ? AND c.by_one = ? AND c.by_two = ?`,
		id, kind, writtenOff, s.Reason, s.One, s.Two).Scan(&entry)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrClosed
	}
	return entry, err
}

func (h *House) bear(ctx context.Context, tx *sqldb.Tx, x Exception, b Bearing) (entry int64, err error) {
	if x.Kind != hot.Kind {
		return 0, ErrNotThat
	}
	s, err := spentBy(ctx, tx, x, h.books.Now())
	if err != nil {
		return 0, err
	}
	f, err := hot.Look(ctx, tx, s.use)
	if err != nil {
		return 0, err
	}
	if f.Holders(s.use.At) && !b.Goodwill {
		return 0, ErrHolders
	}
	accounts, err := h.books.LockAccounts(ctx, tx, []store.Account{s.holder, OverShort})
	if err != nil {
		return 0, err
	}
	// With the accounts locked nobody gives it back at the same time.
	left, err := s.left(ctx, tx)
	if err != nil {
		return 0, err
	}
	if left <= 0 {
		return 0, fmt.Errorf("%w: all of it was given back before", ErrNotThat)
	}
	all, err := h.books.PostAll(ctx, tx, accounts, []store.Entry{{
		Kind: store.KindCorrection, Place: s.place, Debit: OverShort, Credit: s.holder, Amount: left, Undoes: s.id,
	}})
	if err != nil {
		return 0, err
	}
	return all[0].ID, nil
}

// spending is the entry that a line is about, or the last one of its claim, by which the
// merchant was paid.
type spending struct {
	id     int64
	claim  int64 // 0 for none
	holder store.Account
	place  string
	use    hot.Use
}

// spentBy returns what a line's card was used for, or ErrNotThat if no holder has paid it.
func spentBy(ctx context.Context, tx *sqldb.Tx, x Exception, now time.Time) (s spending, err error) {
	if ref, is := hot.ClaimIn(x.Ref); is {
		s, err = claimedBy(ctx, tx, x.Terminal, ref)
		s.use.Now = now
	} else {
		s, err = soldBy(ctx, tx, x, now)
	}
	if errors.Is(err, sql.ErrNoRows) || errors.Is(err, store.ErrNone) || err == nil && !isHolder(s.holder) {
		return spending{}, ErrNotThat
	}
	return s, err
}

// soldBy returns the purchase at a line's position with a card that was listed: of the
// several that clones of a terminal have made there, the others are with other cards.
func soldBy(ctx context.Context, tx *sqldb.Tx, x Exception, now time.Time) (s spending, err error) {
	var all []spending
	err = sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		err := rows.Scan(&s.id, &s.holder, &s.place)
		all = append(all, s)
		return err
	}, `
		SELECT e.id, e.debit, e.place FROM entries e JOIN journals j ON j.id = e.journal
		WHERE j.terminal = ? AND j.epoch = ? AND e.seq = ? AND e.kind = ?
		ORDER BY CASE WHEN e.amount_fen = ? THEN 0 ELSE 1 END, e.part`,
		x.Terminal, x.Epoch, x.Seq, store.KindPurchase, x.Amount)
	if err != nil {
		return s, err
	}
	for _, s := range all {
		e, err := store.PostedFor(ctx, tx, s.id)
		if err != nil {
			return s, err
		}
		s.use = hot.Use{Card: e.Card, Terminal: x.Terminal, At: e.At, Listed: x.Opened, Now: now}
		if _, err := hot.Look(ctx, tx, s.use); !errors.Is(err, store.ErrNone) {
			return s, err
		}
	}
	return spending{}, store.ErrNone
}

// claimedBy returns a purchase that was in doubt, by its name at its terminal. What was
// known of the card when we were told of it is what counts.
func claimedBy(ctx context.Context, tx *sqldb.Tx, terminal, ref string) (s spending, err error) {
	var opened int64
	s.use.Terminal = terminal
	err = tx.QueryRow(ctx, `
		SELECT c.id, c.account, c.merchant, c.card_no, c.opened_ms,
			coalesce((SELECT max(id) FROM entries WHERE claim_id = c.id), 0)
		FROM claims c WHERE c.terminal = ? AND c.ref = ?`, terminal, ref).
		Scan(&s.claim, &s.holder, &s.place, &s.use.Card, &opened, &s.id)
	if err != nil {
		return s, err
	}
	s.use.Listed = time.UnixMilli(opened)
	s.use.At, err = hot.ClaimUsed(ctx, tx, s.claim)
	return s, err
}

// left is what the holder has paid and not got back.
func (s spending) left(ctx context.Context, tx *sqldb.Tx) (left money.Fen, err error) {
	err = tx.QueryRow(ctx, `
		SELECT CAST(coalesce(sum(CASE WHEN debit = ?1 THEN amount_fen ELSE -amount_fen END), 0) AS BIGINT)
		FROM entries WHERE ?1 IN (debit, credit) AND (id = ?2 OR undoes = ?2
			OR claim_id = ?3 OR undoes IN (SELECT id FROM entries WHERE claim_id = ?3))`, s.holder, s.id, s.claim).
		Scan(&left)
	return left, err
}
