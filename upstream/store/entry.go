package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/store/sqldb"
)

// Kind says what moved. Stored, and as on the wire: never renumbered. 6 is what
// terminals call a kind that they do not know.
type Kind int

// The kinds of entry and of purse movement.
const (
	KindTopUp    Kind = 1
	KindLoad     Kind = 2 // a purse movement only
	KindRefund   Kind = 3
	KindPurchase Kind = 4
	KindOpening  Kind = 5

	KindDoubt      Kind = 7 // into suspense: a card has gone in the middle of a purchase
	KindSettlement Kind = 8 // out of suspense
	KindCashTopUp  Kind = 9
	KindPayOut     Kind = 10
	KindCash       Kind = 11 // between a drawer and the safe
	KindCount      Kind = 12 // what a counted drawer differs by
	KindFee        Kind = 13
	KindCorrection Kind = 14 // of another entry, which it names, or of a difference with others' books
	KindPaidOut    Kind = 15 // to a merchant, for its days
	KindBill       Kind = 16 // to a biller, such as for the network

	KindBath Kind = 17 // water that has run in a bath
)

// post writes an entry, and returns the credited account's balance after it.
// The schema refuses a second credit of an order.
func (b *Books) post(ctx context.Context, tx *sqldb.Tx, e Entry) (balance money.Fen, err error) {
	entries := []Entry{e}
	at, err := b.lockAccounts(ctx, tx, []Account{e.Debit, e.Credit}, entries)
	if err != nil {
		return 0, err
	}
	posted, err := b.PostAll(ctx, tx, at, entries)
	if err != nil {
		return 0, err
	}
	return posted[0].Credit, nil
}

// Footing is where an account stands: what it has come to, and by which entry.
type Footing struct {
	Balance money.Fen
	Last    int64 // 0 when nothing has moved it
}

// lockAccounts holds accounts until the transaction ends, and returns where
// they stand. Those that have never moved are made. A transaction locks all its
// accounts in one call and after everything else, and they are locked in their
// order: so no two transactions wait for each other. entries are numbered then.
func (b *Books) lockAccounts(ctx context.Context, tx *sqldb.Tx, accounts []Account, entries []Entry,
) (map[Account]Footing, error) {
	accounts = slices.Compact(slices.Sorted(slices.Values(accounts)))
	at := make(map[Account]Footing, len(accounts))
	lock := sqldb.Step{
		Statement: `SELECT account, balance_fen, last_entry FROM accounts WHERE account = ANY (?)
			ORDER BY account FOR NO KEY UPDATE`,
		Args: []any{accounts},
		Row: func(row sqldb.Row) error {
			var a Account
			var s Footing
			err := row.Scan(&a, &s.Balance, &s.Last)
			at[a] = s
			return err
		},
	}
	if len(accounts) == 2 { // a list costs SQLite more than what it is asked for
		lock.Statement = strings.Replace(lock.Statement, "= ANY (?)", "IN (?, ?)", 1)
		lock.Args = []any{accounts[0], accounts[1]}
	}
	steps, strange := append([]sqldb.Step{lock}, number(tx, entries)...), b.unmet(tx, accounts)
	for range 2 {
		if err := makeAccounts(ctx, tx, strange); err != nil {
			return nil, err
		}
		if err := tx.Run(ctx, steps...); err != nil {
			return nil, fmt.Errorf("lock accounts: %w", err)
		}
		if len(at) == len(accounts) {
			b.meet(strange, at)
			return at, nil
		}
		strange = accounts // in SQLite; elsewhere somebody has put older books in the place of these
	}
	return nil, fmt.Errorf("lock accounts: %d of %d are there: %w", len(at), len(accounts), ErrNone)
}

// unmet returns accounts that may have to be made before any is locked, or two
// transactions that make some would wait for each other. SQLite has one writer,
// who makes them when he sees that they are not there.
func (b *Books) unmet(tx *sqldb.Tx, accounts []Account) []Account {
	if tx.Engine() == sqldb.SQLite {
		return nil
	}
	b.met.Lock()
	defer b.met.Unlock()
	return slices.DeleteFunc(slices.Clone(accounts), func(a Account) bool { return b.met.accounts[a] })
}

// meet notes those of the accounts that something has moved before: whatever
// becomes of this transaction, they are there.
func (b *Books) meet(accounts []Account, at map[Account]Footing) {
	b.met.Lock()
	defer b.met.Unlock()
	for _, a := range accounts {
		if at[a].Last > 0 {
			b.met.accounts[a] = true
		}
	}
}

// makeAccounts makes those that are not a holder's: such a one is made with its holder, or
// not at all.
func makeAccounts(ctx context.Context, tx *sqldb.Tx, accounts []Account) error {
	accounts = slices.DeleteFunc(slices.Clone(accounts), Account.ofHolder)
	if err := tx.Insert(ctx, "accounts (account)", "ON CONFLICT DO NOTHING", accounts); err != nil {
		return fmt.Errorf("make accounts: %w", err)
	}
	return nil
}

// setFootings writes where accounts that are locked have come to by entries
// that have just been written. In SQLite a trigger has done it.
func setFootings(ctx context.Context, tx *sqldb.Tx, moved map[Account]Footing) error {
	if tx.Engine() == sqldb.SQLite {
		return nil
	}
	var accounts []Account
	var balances []money.Fen
	var last []int64
	for a, s := range moved {
		accounts, balances, last = append(accounts, a), append(balances, s.Balance), append(last, s.Last)
	}
	return tx.Later(ctx, sqldb.Step{
		Statement: `
			UPDATE accounts SET balance_fen = new.balance_fen, last_entry = new.last_entry
			FROM unnest(CAST(? AS TEXT[]), CAST(? AS BIGINT[]), CAST(? AS BIGINT[]))
				AS new (account, balance_fen, last_entry)
			WHERE accounts.account = new.account`,
		Args:  []any{accounts, balances, last},
		Count: mustBe(len(accounts)),
	})
}

// purseMove changes what a purse holds by the books.
type purseMove struct {
	card   string
	kind   Kind
	loadID string // "" for none
	amount money.Fen
	place  string
}

// movePurse writes a movement of a purse whose card is locked.
func (b *Books) movePurse(ctx context.Context, tx *sqldb.Tx, m purseMove) error {
	err := changed(tx.Exec(ctx, `
		INSERT INTO purse_moves (card_no, kind, load_id, amount_fen, place, at_ms, balance_fen)
		SELECT ?1, ?2, ?3, ?4, ?5, ?6, a.balance_fen
		FROM cards c JOIN accounts a ON a.account = c.account WHERE c.card_no = ?1`,
		m.card, m.kind, orNull(m.loadID), m.amount, m.place, b.ms()))
	if err == nil && tx.Engine() != sqldb.SQLite { // there a trigger has done it
		err = changed(tx.Exec(ctx, `UPDATE cards SET mirror_fen = mirror_fen + ? WHERE card_no = ?`, m.amount, m.card))
	}
	if err != nil {
		return fmt.Errorf("write purse move: %w", err)
	}
	return nil
}

// Balance returns an account's balance, or ErrNone if it has never moved.
func (b *Books) Balance(ctx context.Context, a Account) (f money.Fen, err error) {
	err = b.db.QueryRow(ctx, `SELECT balance_fen FROM accounts WHERE account = ?`, a).Scan(&f)
	return f, none(err)
}

// EntriesAt returns the entries that terminals have brought for a position of a journal:
// the one that is there, and those that a later epoch has carried over. What cannot be
// read is none.
func EntriesAt(ctx context.Context, q sqldb.Querier, at journal.Position) (all []journal.Entry, err error) {
	err = sqldb.Each(ctx, q, func(rows *sql.Rows) error {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return err
		}
		if e := journal.Innermost(body); e.Kind != 0 {
			all = append(all, e)
		}
		return nil
	}, `SELECT e.body FROM journals j JOIN journal_entries e ON e.journal = j.id AND e.seq = ?3
		WHERE j.terminal = ?1 AND j.epoch = ?2
		UNION ALL SELECT e.body FROM journals j JOIN carried_entries c ON c.journal = j.id AND c.seq = ?3
		JOIN journal_entries e ON e.journal = c.by_journal AND e.seq = c.by_seq
		WHERE j.terminal = ?1 AND j.epoch = ?2`, at.Terminal, at.Epoch[:], at.Seq)
	if err != nil {
		return nil, fmt.Errorf("read entry %s: %w", at, err)
	}
	return all, nil
}

// PostedFor returns the entry of a terminal that an entry of the ledger was posted for; the
// zero Entry if there is none, or none that can be read. Where several have come under one
// number, it is the one that was made when the ledger says and moves as much.
func PostedFor(ctx context.Context, q sqldb.Querier, id int64) (journal.Entry, error) {
	var at journal.Position
	var epoch []byte
	var made sql.NullInt64
	var amount money.Fen
	err := q.QueryRow(ctx, `SELECT j.terminal, j.epoch, e.seq, e.made_ms, e.amount_fen
		FROM entries e JOIN journals j ON j.id = e.journal WHERE e.id = ?`, id).
		Scan(&at.Terminal, &epoch, &at.Seq, &made, &amount)
	if errors.Is(err, sql.ErrNoRows) {
		return journal.Entry{}, nil
	}
	if err != nil {
		return journal.Entry{}, fmt.Errorf("read entry %d: %w", id, err)
	}
	copy(at.Epoch[:], epoch)
	all, err := EntriesAt(ctx, q, at)
	for _, e := range all {
		if Fits(e, made, amount) {
			return e, err
		}
	}
	return journal.Entry{}, err
}

// Fits reports whether an entry of the ledger that was made then, and moves so much either
// way, can be posted for e.
func Fits(e journal.Entry, made sql.NullInt64, amount money.Fen) bool {
	return made.Valid && e.At.UnixMilli() == made.Int64 && slices.ContainsFunc(e.Postings,
		func(p journal.Posting) bool { return p.Amount == amount || p.Amount == -amount })
}
