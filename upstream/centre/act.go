package centre

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// check refuses what no books are needed to refuse.
func (a Act) check() error {
	switch {
	case a.Ref == "" || len(a.Ref) > refMax || a.Clerk == "" || a.Place == "":
		return refused("it has no name, no clerk or no place")
	case a.Document < IDCard || a.Document > Passport:
		return refused("no document was seen")
	case a.Kind < Lost || a.Kind > Rewritten:
		return refused("%s is not done here", a.Kind)
	case a.Kind == Limited && (a.Limit < 0 || a.Limit > LimitMax):
		return refused("a limit of %s", a.Limit)
	case (a.Kind == Named || a.Kind == Opened || a.Kind == Rewritten) && !isName(a.Name):
		return refused("that is no name")
	case a.Kind == Opened && (!journal.IsName(a.Account.No()) || a.Until.IsZero()):
		return refused("it has no number, or no end")
	case (a.Kind == PINReset || a.Kind == Opened) && a.PIN == store.PIN{}:
		return refused("there is no PIN")
	}
	return nil
}

// isName reports whether s can be a person's name.
func isName(s string) bool {
	n := utf8.RuneCountInString(s)
	return utf8.ValidString(s) && n > 0 && n <= nameMax && strings.TrimSpace(s) == s &&
		!strings.ContainsFunc(s, unicode.IsControl)
}

// same returns nil if b is a, done before, and store.ErrConflict if it is
// something else.
func (a Act) same(b Act) error {
	want := ""
	switch b.Kind {
	case Limited:
		want = fen(b.Limit)
	case Named, Rewritten:
		want = b.Name
	case Opened:
		want = opening(b)
	}
	if a.Place != b.Place || a.Clerk != b.Clerk || a.Kind != b.Kind || a.Account != b.Account ||
		a.Card != b.Card || a.Document != b.Document || want != "" && a.After != want {
		return fmt.Errorf("%w: %q is %s of %s", store.ErrConflict, a.Ref, a.Kind, a.At)
	}
	return nil
}

// acting is an act under way, in a transaction.
type acting struct {
	ctx   context.Context //nolint:containedctx // lives for one transaction
	books *store.Books
	tx    *sqldb.Tx
	Act

	fresh bool // the holder was made by this act
}

func (t *acting) mayBegin() error { return mayBegin(t.ctx, t.tx, t.Ref) }

// lockHolder keeps other acts for the holder out until the transaction ends. It
// makes the one whose account is to be opened.
func (t *acting) lockHolder() error {
	h := store.Holder{Account: t.Account, Name: t.Name, Number: t.Account.No()}
	if t.Kind == Opened {
		fresh, err := t.books.OpenHolder(t.ctx, t.tx, h, t.PIN)
		if err != nil {
			return err
		}
		t.fresh = fresh
	}
	_, err := t.books.LockHolder(t.ctx, t.tx, t.Account)
	if t.Kind == Opened && errors.Is(err, store.ErrNone) {
		return refused("%s is the number of somebody with another account", t.Account.No())
	}
	return err
}

// mustBeOpen returns [ErrEnded] for what nothing is done for any more: a lost card
// may still be reported. Whose time is over may still be paid out and closed.
func (t *acting) mustBeOpen() error {
	if t.Kind == Lost || t.Kind == Opened {
		return nil
	}
	err := (&Desk{t.books}).mustBeOpen(t.ctx, t.tx, t.Account)
	if t.Kind == Retired && errors.Is(err, errOver) {
		return nil
	}
	return err
}

// errOver is [ErrEnded] by time alone.
var errOver = fmt.Errorf("%w: its time is over", ErrEnded)

// mustBeOpen returns nil if the account of a holder is neither closed nor over.
func (d *Desk) mustBeOpen(ctx context.Context, tx *sqldb.Tx, a store.Account) error {
	var closed, over bool
	err := tx.QueryRow(ctx, `
		SELECT closed_ms IS NOT NULL, coalesce(until_ms <= ?, false) FROM holders WHERE account = ?`,
		d.books.Now().UnixMilli(), a).Scan(&closed, &over)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return store.ErrNone
	case err != nil:
		return err
	case closed:
		return ErrEnded
	case over:
		return errOver
	}
	return nil
}

// date dates the act after all that were done for the holder before.
func (t *acting) date() error {
	var last int64
	err := t.tx.QueryRow(t.ctx, `SELECT CAST(coalesce(max(at_ms), 0) AS BIGINT) FROM centre_acts WHERE account = ?`,
		t.Account).Scan(&last)
	t.At = time.UnixMilli(max(t.books.Now().UnixMilli(), last+1)).UTC()
	return err
}

// do does what the act says, and notes what was so before and after it.
func (t *acting) do() error {
	switch t.Kind {
	case Lost:
		return t.setStatus(store.CardActive, store.CardHot)
	case Found:
		return t.setStatus(store.CardHot, store.CardActive)
	case Limited:
		return t.limit()
	case Named:
		return t.rename()
	case PINReset:
		return t.books.SetPIN(t.ctx, t.tx, t.Account, t.PIN)
	case Unlocked:
		return t.books.ForgetPINTries(t.ctx, t.tx, t.Account)
	case Issued:
		return t.issue()
	case Opened:
		return t.open()
	case Retired:
		return t.retire()
	case Rewritten:
		return t.rewritten()
	}
	panic("centre: internal error: an act was not checked")
}

// setStatus moves a card of the holder from one status to another. It may be
// there already: two clerks may be told of the same loss.
func (t *acting) setStatus(from, to store.CardStatus) error {
	c, err := t.books.CardTx(t.ctx, t.tx, t.Card)
	if err != nil {
		return err
	}
	card := c.Card()
	switch {
	case card.Account != t.Account:
		return refused("card %s is another holder's", t.Card)
	case card.Status != from && card.Status != to:
		return refused("card %s has status %d", t.Card, card.Status)
	}
	t.Before, t.After = status(card.Status), status(to)
	return t.books.ChangeCard(t.ctx, t.tx, t.Card, to)
}

func status(s store.CardStatus) string { return fmt.Sprintf("status %d", s) }

func (t *acting) limit() error {
	was, err := t.books.SetDailyLimit(t.ctx, t.tx, t.Account, t.Limit)
	t.After = fen(t.Limit)
	if was != nil {
		t.Before = fen(*was)
	}
	return err
}

func fen(f money.Fen) string { return strconv.FormatInt(int64(f), 10) }

func (t *acting) rename() error {
	h, err := t.books.LockHolder(t.ctx, t.tx, t.Account)
	if err != nil {
		return err
	}
	t.Before, t.After = h.Name, t.Name
	return t.books.SetName(t.ctx, t.tx, t.Account, t.Name)
}

// rewritten notes what a card of the holder says now. It is not asked whether that is
// still the name: the card says it.
func (t *acting) rewritten() error {
	c, err := t.books.CardTx(t.ctx, t.tx, t.Card)
	if err != nil {
		return err
	}
	if c.Card().Account != t.Account {
		return refused("card %s is another holder's", t.Card)
	}
	t.After = t.Name
	return nil
}

// issue gives the holder a card, and retires those before it: a holder has one.
// The new purse is empty and is brought level at its first contact; what the
// old one held is on the account.
func (t *acting) issue() error {
	if err := t.takeMade(); err != nil {
		return err
	}
	if _, err := t.books.Card(t.ctx, t.Card); !errors.Is(err, store.ErrNone) {
		if err == nil {
			err = refused("card %s was issued before", t.Card)
		}
		return err
	}
	before, _, err := t.retireCards()
	if err != nil {
		return err
	}
	t.Before, t.After = strings.Join(before, " "), t.Card
	return t.books.IssueCard(t.ctx, t.tx, store.Card{
		No: t.Card, Account: t.Account, Factor: t.Factor, UID: t.UID, Status: store.CardActive,
	})
}

// takeMade has the act issue the card that was made for it at its terminal. One
// that never was is [store.ErrNone]. The upstream itself issues cards that come
// with their keys.
func (t *acting) takeMade() error {
	if t.Place == Console {
		return nil
	}
	m, err := readMade(t.ctx, t.tx, t.Ref)
	if err != nil {
		return err
	}
	if m.Terminal != t.Place || m.Account != t.Account || m.CardNo != t.Card || m.Factor == nil {
		return store.ErrConflict
	}
	t.Factor, t.UID = *m.Factor, m.UID
	return nil
}

// open lets somebody who has no card spend by code until a day.
func (t *acting) open() error {
	switch {
	case !t.fresh:
		return refused("%s has an account", t.Account.No())
	case !t.Until.After(t.At), t.Until.Sub(t.At) > StayMax:
		return refused("until %s", t.Until.Format(time.DateOnly))
	}
	t.After = opening(t.Act)
	return t.books.SetUntil(t.ctx, t.tx, t.Account, t.Until)
}

func opening(a Act) string { return a.Name + " until " + a.Until.UTC().Format(time.RFC3339) }

// retire closes an account of which nothing is left, and nothing is under way.
// What the holder had was paid out before, from a drawer, by the journal.
func (t *acting) retire() error {
	cards, inHand, err := t.retireCards()
	if err != nil {
		return err
	}
	left, err := t.books.LeftOf(t.ctx, t.tx, t.Account, inHand)
	if err != nil {
		return err
	}
	if left != "" {
		return fmt.Errorf("%w: %s", ErrLeft, left)
	}
	t.Before = strings.Join(cards, " ")
	return t.books.CloseHolder(t.ctx, t.tx, t.Account, t.At)
}

// retireCards retires the cards of the holder, and returns those that it had, and which
// of them were not lost.
func (t *acting) retireCards() (retired, inHand []string, err error) {
	cards, err := t.books.CardsIn(t.ctx, t.tx, t.Account)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range cards {
		if c.Status == store.CardRetired {
			continue
		}
		retired = append(retired, c.No)
		if c.Status == store.CardActive {
			inHand = append(inHand, c.No)
		}
		if err := t.books.ChangeCard(t.ctx, t.tx, c.No, store.CardRetired); err != nil {
			return nil, nil, err
		}
	}
	return retired, inHand, nil
}

func (t *acting) write() error {
	_, err := t.tx.Exec(t.ctx, `
		INSERT INTO centre_acts (ref, place, clerk, kind, account, card_no, document, before, after, at_ms)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		t.Ref, t.Place, t.Clerk, t.Kind, t.Account, t.Card, t.Document, t.Before, t.After, t.At.UnixMilli())
	return err
}

// checks are what must hold of the acts, each a query for what breaks it.
var checks = []struct{ name, query string }{
	{"holder has not the limit that the centre has set", last(Limited) + `
		AND (h.daily_limit_fen IS NULL OR CAST(h.daily_limit_fen AS TEXT) <> a.after)`},
	{"holder has not the name that the centre has set", last(Named) + ` AND h.name <> a.after`},
	{"card was issued to another holder", `
		SELECT a.card_no FROM centre_acts a LEFT JOIN cards c ON c.card_no = a.card_no
		WHERE a.kind = 7 AND (c.account IS NULL OR c.account <> a.account)`},
	{"act was done, and closed", `SELECT a.ref FROM centre_acts a JOIN centre_closed c ON c.ref = a.ref`},
	{"card was issued at a counter that was not made there", `
		SELECT a.card_no FROM centre_acts a LEFT JOIN centre_cards m ON m.ref = a.ref
		LEFT JOIN cards c ON c.card_no = a.card_no
		WHERE a.kind = 7 AND a.place <> 'console' AND (m.ref IS NULL OR m.card_no <> a.card_no OR m.account <> a.account
			OR m.terminal <> a.place OR m.factor IS NULL OR m.factor <> c.factor)`},
	{"card of another holder was written", `
		SELECT a.card_no FROM centre_acts a LEFT JOIN cards c ON c.card_no = a.card_no
		WHERE a.kind = 10 AND (c.account IS NULL OR c.account <> a.account)`},
	{"two cards have the same keys", `
		SELECT m.card_no FROM centre_cards m JOIN cards c ON c.factor = m.factor AND c.card_no <> m.card_no`},
}

// last selects the holders with the last act of a kind.
func last(k Kind) string {
	return fmt.Sprintf(`
		SELECT a.account FROM centre_acts a JOIN holders h ON h.account = a.account
		WHERE a.kind = %d AND a.at_ms = (SELECT max(b.at_ms) FROM centre_acts b
			WHERE b.account = a.account AND b.kind = a.kind)`, int(k))
}

// Verify returns a line for each holder of whom the books do not say what the
// last act of the centre has made of them.
func (d *Desk) Verify(ctx context.Context) (broken []string, err error) {
	err = d.books.Read(ctx, func(tx *sqldb.Tx) error {
		broken = nil
		for _, c := range checks {
			lines, err := sqldb.Texts(ctx, tx, c.query)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			for _, which := range lines {
				broken = append(broken, c.name+": "+which)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("verify acts of the card centre: %w", err)
	}
	return broken, nil
}
