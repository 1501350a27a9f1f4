package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"quancun/money"
	"quancun/upstream/store/sqldb"
)

// Write runs do in a transaction of the books, all or nothing, and again from
// its start when the database asks for that; see package sqldb. It is for
// packages with tables of their own in the books: they keep the order of locks
// of this one.
func (b *Books) Write(ctx context.Context, do func(*sqldb.Tx) error) error {
	return b.db.Write(ctx, do)
}

// Read runs do on the rows of one moment.
func (b *Books) Read(ctx context.Context, do func(*sqldb.Tx) error) error { return b.db.Read(ctx, do) }

// Live reads what there is now, each statement for itself. It is for rows that
// never change.
func (b *Books) Live() sqldb.Querier { return b.db }

// Now is the clock by which rows are dated.
func (b *Books) Now() time.Time { return b.now() }

// Source is the terminal's entry that is posted: its journal's number, its own
// there, and 0, or more for what came under a number that was in use.
type Source struct{ Journal, Seq, Part int64 }

// Entry moves an amount from one account to another.
type Entry struct {
	ID       int64 // from LockAccounts; 0 for one that PostAll numbers
	Kind     Kind
	Place    string    // terminal or merchant
	Made     time.Time // when it is said to have happened; zero is now
	OrderNo  string    // "" for none
	Source   *Source   // nil for none
	Claim    int64     // that it is about; 0 for none
	Undoes   int64     // entry that it corrects or gives back; 0 for none
	UndoesAt int       // the same, when it is written by the same call: the how-manieth it is there; 0 for none

	Debit, Credit Account   // from and to; never the same
	Amount        money.Fen // above zero
}

// Posted is an entry in the books: its number, and what it has brought its
// accounts to.
type Posted struct {
	ID            int64
	Debit, Credit money.Fen
}

// LockAccounts holds accounts until the transaction ends, and returns where
// they stand. Those that have never moved are made. A transaction locks all its
// accounts in one call and after everything else. Then the entries of
// a slice that are going to move them get their numbers, if the caller knows them
// already: that saves asking once more.
func (b *Books) LockAccounts(ctx context.Context, tx *sqldb.Tx, accounts []Account, entries ...Entry,
) (map[Account]Footing, error) {
	if len(accounts) == 0 {
		return map[Account]Footing{}, nil
	}
	return b.lockAccounts(ctx, tx, accounts, entries)
}

// PostAll writes entries in their order. at is where all their accounts stand,
// from [Books.LockAccounts], and is brought to where they come to. However many
// entries there are, each account is written once.
func (b *Books) PostAll(ctx context.Context, tx *sqldb.Tx, at map[Account]Footing, entries []Entry,
) ([]Posted, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	if entries[0].ID == 0 {
		entries = slices.Clone(entries) // the caller's have no number if it is run again
		if err := tx.Run(ctx, number(tx, entries)...); err != nil {
			return nil, fmt.Errorf("number entries: %w", err)
		}
	}
	rows, moved := entryRows{}, make(map[Account]Footing, len(at))
	all := make([]Posted, len(entries))
	for i, e := range entries {
		if e.UndoesAt > 0 {
			e.Undoes = entries[e.UndoesAt-1].ID
		}
		debit, credit := at[e.Debit], at[e.Credit]
		all[i] = Posted{e.ID, debit.Balance - e.Amount, credit.Balance + e.Amount}
		rows.add(all[i], e, b.ms())
		rows.follow(debit.Last, credit.Last)
		at[e.Debit], at[e.Credit] = Footing{all[i].Debit, e.ID}, Footing{all[i].Credit, e.ID}
		moved[e.Debit], moved[e.Credit] = at[e.Debit], at[e.Credit]
	}
	if err := rows.insert(ctx, tx); err != nil {
		return nil, fmt.Errorf("write entries: %w", err)
	}
	return all, setFootings(ctx, tx, moved)
}

// number gives entries that are about to be written their numbers. Their accounts
// are locked, so in each of them numbers grow as its balance moves.
func number(tx *sqldb.Tx, entries []Entry) []sqldb.Step {
	if len(entries) == 0 {
		return nil
	}
	if tx.Engine() == sqldb.Postgres {
		next := 0
		return []sqldb.Step{{
			Statement: `SELECT nextval('entries_id_seq') FROM generate_series(1, ?)`,
			Args:      []any{len(entries)},
			Row: func(row sqldb.Row) error {
				err := row.Scan(&entries[next].ID)
				next = (next + 1) % len(entries) // as it is run again when accounts were missing
				return err
			},
		}}
	}
	return []sqldb.Step{{
		Statement: `SELECT coalesce(max(id), 0) FROM entries`,
		Row: func(row sqldb.Row) error {
			var last int64
			err := row.Scan(&last)
			for i := range entries {
				entries[i].ID = last + 1 + int64(i)
			}
			return err
		},
	}}
}

// entryRows are entries by column.
type entryRows struct {
	id, kind, at, debitBefore, creditBefore []int64
	place                                   []string
	orderNo                                 []*string
	made, journal, seq, part, claim, undoes []*int64
	debit, credit                           []Account
	amount, debitBalance, creditBalance     []money.Fen
}

func (r *entryRows) add(p Posted, e Entry, now int64) {
	r.id, r.kind, r.at = append(r.id, p.ID), append(r.kind, int64(e.Kind)), append(r.at, now)
	r.place, r.orderNo = append(r.place, e.Place), append(r.orderNo, unlessZero(e.OrderNo))
	var made *int64
	if !e.Made.IsZero() {
		ms := e.Made.UnixMilli()
		made = &ms
	}
	var journal, seq, part *int64
	if s := e.Source; s != nil {
		journal, seq, part = &s.Journal, &s.Seq, &s.Part
	}
	r.made = append(r.made, made)
	r.journal, r.seq, r.part = append(r.journal, journal), append(r.seq, seq), append(r.part, part)
	r.claim, r.undoes = append(r.claim, unlessZero(e.Claim)), append(r.undoes, unlessZero(e.Undoes))
	r.debit, r.credit, r.amount = append(r.debit, e.Debit), append(r.credit, e.Credit), append(r.amount, e.Amount)
	r.debitBalance, r.creditBalance = append(r.debitBalance, p.Debit), append(r.creditBalance, p.Credit)
}

// follow names the entries before the one that was added last.
func (r *entryRows) follow(debit, credit int64) {
	r.debitBefore, r.creditBefore = append(r.debitBefore, debit), append(r.creditBefore, credit)
}

func unlessZero[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}

func (r *entryRows) insert(ctx context.Context, tx *sqldb.Tx) error {
	into := `entries (id, kind, at_ms, place, order_no, made_ms, journal, seq, part, claim_id, undoes,
		debit, credit, amount_fen, debit_balance_fen, credit_balance_fen, debit_before, credit_before)`
	if tx.Engine() == sqldb.Postgres {
		into += " OVERRIDING SYSTEM VALUE" // the numbers are its own, see entryIDs
	}
	return tx.Insert(ctx, into, "",
		r.id, r.kind, r.at, r.place, r.orderNo, r.made, r.journal, r.seq, r.part, r.claim, r.undoes,
		r.debit, r.credit, r.amount, r.debitBalance, r.creditBalance, r.debitBefore, r.creditBefore)
}

// PurseMove is a purchase by which a purse holds less, or one that is taken back
// because it was not made, together with an entry of the ledger.
type PurseMove struct {
	CardNo  string
	Entry   int64
	Amount  money.Fen // negative for what was bought
	Balance money.Fen // of the account, after the entry
	Place   string
	Counter uint16    // of the card, before it
	Before  money.Fen // what the card said that it held, before it
	Proven  bool      // by the card's TAC
}

// MovePurses writes movements of purses whose cards are locked.
func (b *Books) MovePurses(ctx context.Context, tx *sqldb.Tx, moves []PurseMove) error {
	if len(moves) == 0 {
		return nil
	}
	n := len(moves)
	kind, entry, counter, at := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	amount, balance, before := make([]money.Fen, n), make([]money.Fen, n), make([]money.Fen, n)
	no, place, proven := make([]string, n), make([]string, n), make([]bool, n)
	sums, proved := map[string]money.Fen{}, map[string]int64{}
	for i, m := range moves {
		kind[i], entry[i], counter[i], at[i] = int64(KindPurchase), m.Entry, int64(m.Counter), b.ms()
		amount[i], balance[i], before[i] = m.Amount, m.Balance, m.Before
		no[i], place[i], proven[i] = m.CardNo, m.Place, m.Proven
		sums[m.CardNo] += m.Amount
		if m.Proven && m.Amount < 0 {
			proved[m.CardNo] = max(proved[m.CardNo], counter[i])
		}
	}
	err := tx.Insert(ctx, `purse_moves (card_no, kind, amount_fen, balance_fen, place, at_ms,
		entry_id, counter, before_fen, proven)`, "",
		no, kind, amount, balance, place, at, entry, counter, before, proven)
	if err == nil && tx.Engine() != sqldb.SQLite { // there a trigger has done it
		cards, amounts, counters := make([]string, 0, n), make([]money.Fen, 0, n), make([]int64, 0, n)
		for c, f := range sums {
			last, some := proved[c]
			if !some {
				last = -1
			}
			cards, amounts, counters = append(cards, c), append(amounts, f), append(counters, last)
		}
		err = tx.Later(ctx, sqldb.Step{Statement: `
			UPDATE cards SET mirror_fen = cards.mirror_fen + moved.amount_fen,
				proven_counter = greatest(cards.proven_counter, moved.counter)
			FROM unnest(CAST(? AS TEXT[]), CAST(? AS BIGINT[]), CAST(? AS BIGINT[]))
				AS moved (card_no, amount_fen, counter)
			WHERE cards.card_no = moved.card_no`, Args: []any{cards, amounts, counters}})
	}
	if err != nil {
		return fmt.Errorf("write purse moves: %w", err)
	}
	return nil
}
