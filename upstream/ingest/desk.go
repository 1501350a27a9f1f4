package ingest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/centre"
	"quancun/upstream/phone"
	"quancun/upstream/request"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// desk is where what entries say is worked out, in a transaction and in their
// order, before all of it is written at once. What it reads is locked in the
// books' order: cards first, accounts last.
type desk struct {
	ctx      context.Context //nolint:containedctx // lives for one transaction
	g        *Ingest
	tx       *sqldb.Tx
	now      time.Time
	terminal string
	cards    map[string]card
	hot      map[string]store.CardStatus // of these cards, those that may not be used
	holders  map[string]bool
	orders   map[string]store.OrderState
	intents  map[string]*intent // of the terminal, by ref
	claims   map[int64]*claim

	bookings   []booking
	exceptions []store.Exception
	ended      map[string]HoldState // what has become of attempts, by ref
	uses       []phone.Use          // codes that were taken
	usedAt     []journal.Position   // by which entries
	uncoded    []*fact              // sales to codes that show none
	refunds    []refund             // of what was paid
	told       []centre.Told        // of the card centre's acts
	asked      []request.Told       // ends of holders' requests
	proved     map[string]int64     // by card, the highest counter at which it has proved a purchase

	also []store.Account                 // to be locked with those of the bookings
	held map[store.Account]store.Footing // where all that are locked stand, once they are
}

// booking is an entry that is to be posted, and what goes with it.
type booking struct {
	store.Entry
	at   journal.Position // that it is about
	move *store.PurseMove // of the card; nil for none

	closes int64 // the line of the inbox that has led to it; 0 for none
}

func newDesk(ctx context.Context, g *Ingest, tx *sqldb.Tx, terminal string) *desk {
	return &desk{
		ctx: ctx, g: g, tx: tx, now: g.books.Now(), terminal: terminal,
		intents: map[string]*intent{}, claims: map[int64]*claim{}, ended: map[string]HoldState{},
	}
}

// except puts a line into the inbox.
func (d *desk) except(k ExceptionKind, at journal.Position, format string, args ...any) {
	d.exceptions = append(d.exceptions, exception(k, at, fmt.Sprintf(format, args...)))
}

// exceptAmount is except for what moved nothing, with the amount that it is
// about.
func (d *desk) exceptAmount(k ExceptionKind, at journal.Position, amount money.Fen, detail string) {
	d.exceptions = append(d.exceptions, standing(exception(k, at, detail), "", amount))
}

// move is an amount that goes from one account to another.
type move struct {
	from, to store.Account
	amount   money.Fen
}

// entry returns e as one that makes the move.
func (m move) entry(e store.Entry) store.Entry {
	e.Debit, e.Credit, e.Amount = m.from, m.to, m.amount
	return e
}

// book adds an entry. One that moves nothing, or from an account to itself, is
// none.
func (d *desk) book(b booking) {
	if b.Amount > 0 && b.Debit != b.Credit {
		d.bookings = append(d.bookings, b)
	}
}

// holder returns the account of the holder that an entry names: the card's,
// and where there is no card the one of its number.
func (d *desk) holder(e journal.Entry) (store.Account, bool) {
	if e.Card != "" {
		c, ok := d.cards[e.Card]
		return c.account, ok
	}
	return store.HolderAccount(e.Account), d.holders[e.Account]
}

// explode returns what an entry moves, with the holder's own account in the
// place of the control account. What is of nobody that we know is in suspense,
// and in the inbox. By its kind's rule an entry has two postings or none.
func (d *desk) explode(e journal.Entry) (m move) {
	for _, p := range e.Postings {
		a := store.Account(p.Account)
		if p.Account == journal.Holder {
			a = d.ownerOf(e, p.Amount)
		}
		if p.Amount > 0 {
			m.to, m.amount = a, p.Amount
		} else {
			m.from = a
		}
	}
	return m
}

// ownerOf returns where the holder's posting of an entry goes.
func (d *desk) ownerOf(e journal.Entry, amount money.Fen) store.Account {
	a, ok := d.holder(e)
	if ok {
		if e.Account != "" && e.Account != a.No() {
			d.except(AccountDiffers, e.Position(), "entry says %s, the card's is %s", e.Account, a.No())
		}
		return a
	}
	suspense := store.Account(journal.SuspenseAccount(d.terminal))
	k, detail := UnknownAccount, "account "+e.Account
	if e.Card != "" {
		k, detail = UnknownCard, "card "+e.Card
	}
	d.exceptions = append(d.exceptions, standing(exception(k, e.Position(), detail), suspense, amount))
	return suspense
}

// lockCards locks cards, and reads what may change.
func (d *desk) lockCards(nos []string) error {
	if err := d.tx.Run(d.ctx, d.findCards(nos)...); err != nil {
		return fmt.Errorf("lock cards: %w", err)
	}
	return nil
}

// findCards locks the cards that entries name, and finds those that may not be
// used.
func (d *desk) findCards(nos []string) (steps []sqldb.Step) {
	if d.hot = map[string]store.CardStatus{}; len(nos) == 0 {
		return nil
	}
	if d.tx.Engine() == sqldb.Postgres { // SQLite has one writer
		steps = append(steps, sqldb.Step{
			Statement: `SELECT card_no FROM cards WHERE card_no = ANY (?) ORDER BY card_no FOR NO KEY UPDATE`,
			Args:      []any{nos},
		})
	}
	hot := d.hot
	return append(steps, sqldb.Step{
		Statement: `SELECT card_no, status FROM cards WHERE card_no = ANY (?) AND status <> 1`,
		Args:      []any{nos},
		Row: func(row sqldb.Row) error {
			var no string
			var s store.CardStatus
			err := row.Scan(&no, &s)
			hot[no] = s
			return err
		},
	})
}

// strangers returns the cards that entries open or settle claims on and that
// have no row to lock.
func (d *desk) strangers(facts []fact) []string {
	strangers := map[string]bool{}
	for i := range facts {
		e := facts[i].entry
		_, known := d.cards[e.Card]
		if !known && (e.Kind.IsDoubt() || e.Kind == journal.Evidence || e.Doubted()) {
			strangers[e.Card] = true
		}
	}
	return names(strangers)
}

// lockStrangers locks cards by steps, and keeps others away from the claims on
// cards that have no row to lock.
func (d *desk) lockStrangers(steps []sqldb.Step, nos []string) error {
	if err := d.tx.Run(d.ctx, steps...); err != nil {
		return fmt.Errorf("lock cards: %w", err)
	}
	for _, no := range slices.Sorted(slices.Values(nos)) {
		if err := d.tx.Lock(d.ctx, "card "+no); err != nil {
			return err
		}
	}
	return nil
}

// write locks the accounts and writes all that was worked out.
func (d *desk) write() error {
	if err := d.post(); err != nil {
		return err
	}
	if err := d.writeIntents(); err != nil {
		return err
	}
	if err := d.writeClaims(); err != nil {
		return err
	}
	if err := errors.Join(d.writeUses(), d.writeTold(), d.matchAsked()); err != nil {
		return err
	}
	return d.g.books.Except(d.ctx, d.tx, d.exceptions)
}

func (d *desk) post() (err error) {
	accounts := d.also
	entries := make([]store.Entry, len(d.bookings))
	for i, b := range d.bookings {
		entries[i] = b.Entry
		accounts = append(accounts, b.Debit, b.Credit)
	}
	if d.held, err = d.g.books.LockAccounts(d.ctx, d.tx, accounts, entries...); err != nil {
		return err
	}
	posted, err := d.g.books.PostAll(d.ctx, d.tx, d.held, entries)
	if err != nil {
		return err
	}
	var moves []store.PurseMove
	for i, b := range d.bookings {
		if b.move != nil {
			m := *b.move
			m.Entry, m.Balance = posted[i].ID, balanceOf(b, posted[i], d.cards[m.CardNo].account)
			moves = append(moves, m)
		}
		d.noteOverdrawn(b, posted[i])
		if b.closes == 0 {
			continue
		}
		if err := d.g.books.CloseException(d.ctx, d.tx, b.closes, posted[i].ID, evidenceUsed); err != nil {
			return err
		}
	}
	if err := d.noteRefunds(posted); err != nil {
		return err
	}
	return d.g.books.MovePurses(d.ctx, d.tx, moves)
}

// balanceOf returns what an account has come to by an entry.
func balanceOf(b booking, p store.Posted, a store.Account) money.Fen {
	switch a {
	case b.Debit:
		return p.Debit
	case b.Credit:
		return p.Credit
	}
	return 0 // the entry is between suspense and the merchant
}

// noteOverdrawn puts a holder into the inbox who is below zero. One line is
// enough until it is closed.
func (d *desk) noteOverdrawn(b booking, p store.Posted) {
	if p.Debit < 0 && strings.HasPrefix(string(b.Debit), "holder/") {
		e := exception(Overdrawn, b.at, fmt.Sprintf("%s after %s", p.Debit, b.at))
		e.Ref = string(b.Debit)
		d.exceptions = append(d.exceptions, standing(e, b.Debit, p.Debit))
	}
}

// report adds up again what a Z report says, and lists it if it differs. It
// moves nothing, and is kept whatever it says.
func (d *desk) report(f *fact) error {
	from, whole, err := d.lastZ(f)
	if err != nil || !whole || f.source.Part > 0 {
		return err // what came before it is not here, and nobody can tell
	}
	t, _, err := d.tally(f, from)
	if err != nil {
		return err
	}
	if err := t.Check(f.entry); err != nil {
		d.except(ReportDiffers, f.Position, "%.300s", err.Error())
	}
	return nil
}

// tally adds up the entries of a journal from a number to the one before f. unread are
// those of them that say nothing to us.
func (d *desk) tally(f *fact, from int64) (t *journal.Tally, unread int, err error) {
	t = journal.NewTally(f.Terminal)
	for from < f.Seq {
		page, err := d.page(f, `seq >= ? AND seq < ? ORDER BY seq`, from, f.Seq)
		if err != nil || len(page) == 0 {
			return t, unread, err
		}
		for i := range page {
			if page[i].fault != nil {
				unread++
			}
			page[i].addTo(t)
		}
		from = page[len(page)-1].Seq + 1
	}
	return t, unread, nil
}

// lastZ returns the number of the last Z before a report, or 1, and whether we
// have every entry since.
func (d *desk) lastZ(f *fact) (seq int64, whole bool, err error) {
	for seq = f.Seq; seq > 1; {
		page, err := d.page(f, `seq < ? ORDER BY seq DESC`, seq)
		if err != nil || len(page) == 0 {
			return seq, false, err
		}
		for i := range page {
			if page[i].Seq != seq-1 {
				return seq, false, nil
			}
			if seq = page[i].Seq; page[i].fault == nil && page[i].entry.Kind == journal.ShiftClosed {
				return seq, true, nil
			}
		}
	}
	return seq, true, nil
}

// page reads entries of the journal that f is of, as many as are in memory at a
// time.
func (d *desk) page(f *fact, which string, args ...any) (page []item, err error) {
	args = append([]any{f.journal}, args...)
	err = sqldb.Each(d.ctx, d.tx, func(rows *sql.Rows) error {
		at := f.Position
		var body []byte
		err := rows.Scan(&at.Seq, &body)
		page = append(page, readItem(at, body))
		return err
	}, `SELECT seq, body FROM journal_entries WHERE journal = ? AND `+which+fmt.Sprintf(" LIMIT %d", pageLen), args...)
	if err != nil {
		return nil, fmt.Errorf("read journal entries: %w", err)
	}
	return page, nil
}

// entryAt reads the entry at a position that is the one which is meant, whoever has
// brought it; the zero Entry if there is none.
func (d *desk) entryAt(at journal.Position, meant func(journal.Entry) bool) (e journal.Entry, err error) {
	all, err := store.EntriesAt(d.ctx, d.tx, at)
	for _, found := range all {
		if meant(found) {
			e = found
		}
	}
	return e, err
}
