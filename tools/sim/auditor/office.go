// Package auditor looks over programs' shoulders: after every act of a story it
// reads what is new in an upstream's books and in a terminal's journal, adds it
// up again by itself, and says what is not as it must be. A look costs what has
// changed since the look before, and not what is there.
//
// It knows tables and entries, and nothing of how the programs come to them.
package auditor

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"quancun/bathcode"
	"quancun/journal"
	"quancun/money"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// Office looks at the books of an upstream for as long as that runs. Make
// another one after every start: what a crash has taken was never promised.
type Office struct {
	books   *store.Books
	reserve money.Fen // of each balance, that only the physical card may spend

	// Lost are the reservations, by reference, that the books once lost, and of which a
	// terminal's journal says that its holder has them. They may come back.
	Lost map[string]bool

	entry, move, hold int64 // the last that were seen
	balances          map[string]money.Fen
	mirrors           map[string]money.Fen
	heads             map[journal.Epoch]journal.Head
	versions          map[string]int64
	named             map[journal.Epoch]int64
	hot               map[string]bool
	doubts            map[string]money.Fen // in suspense, by the account that it is of
	baths             baths

	fresh  bool // entries have come since the look before
	broken []string
}

// NewOffice returns an auditor who has seen nothing yet. reserve is the part of
// each balance that virtual cards may not spend.
func NewOffice(books *store.Books, reserve money.Fen) *Office {
	return &Office{
		books: books, reserve: reserve, balances: map[string]money.Fen{}, mirrors: map[string]money.Fen{},
		heads: map[journal.Epoch]journal.Head{}, versions: map[string]int64{}, hot: map[string]bool{},
		baths: baths{
			known: map[string]Reservation{}, sealed: map[bathcode.Slot]bool{},
		},
	}
}

// Head returns how far the upstream has a journal, as of the last look.
func (o *Office) Head(e journal.Epoch) (journal.Head, bool) {
	h, ok := o.heads[e]
	return h, ok
}

// Mirror returns what a card's purse holds by the books, as of the last look.
func (o *Office) Mirror(cardNo string) money.Fen { return o.mirrors[cardNo] }

// Balance returns what an account holds, as of the last look.
func (o *Office) Balance(a store.Account) money.Fen { return o.balances[string(a)] }

// Hot reports whether a card may not be used by the books, as of the last look.
func (o *Office) Hot(cardNo string) bool { return o.hot[cardNo] }

// Doubt returns what of an account is in suspense, and may come back, as of the last look.
func (o *Office) Doubt(a store.Account) money.Fen { return o.doubts[string(a)] }

// Look returns what is wrong, one line each.
func (o *Office) Look(ctx context.Context) (broken []string, err error) {
	o.broken, o.fresh = nil, false
	err = o.books.Read(ctx, func(tx *sqldb.Tx) error {
		for _, look := range []func(context.Context, *sqldb.Tx) error{
			o.lookAtPostings, o.lookAtAccounts, o.lookAtMoves, o.lookAtBaths, o.lookAtHolds, o.lookAtSuspense,
			o.lookAtJournals, o.lookAtFeeds,
		} {
			if err := look(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
	return o.broken, err
}

func (o *Office) wrong(format string, args ...any) {
	o.broken = append(o.broken, fmt.Sprintf(format, args...))
}

// lookAtPostings adds up what was posted: each entry comes to nothing (M1), and
// the balance that is written beside each posting is the sum of all of them (M2).
func (o *Office) lookAtPostings(ctx context.Context, tx *sqldb.Tx) error {
	sums := map[int64]money.Fen{}
	err := sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		var account string
		var amount, balance money.Fen
		if err := rows.Scan(&o.entry, &account, &amount, &balance); err != nil {
			return err
		}
		o.fresh = true
		sums[o.entry] += amount
		o.balances[account] += amount
		if o.balances[account] != balance {
			o.wrong("entry %d leaves %s with %s, its postings with %s", o.entry, account, balance, o.balances[account])
		}
		return nil
	}, `SELECT entry_id, account, amount_fen, balance_fen FROM postings WHERE entry_id > ? ORDER BY entry_id`, o.entry)
	for id, sum := range sums {
		if sum != 0 {
			o.wrong("entry %d sums to %s", id, sum)
		}
	}
	return err
}

// lookAtAccounts checks that no account has changed but by an entry, and that
// all of them come to nothing.
func (o *Office) lookAtAccounts(ctx context.Context, tx *sqldb.Tx) error {
	var all money.Fen
	err := sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		var account string
		var balance money.Fen
		if err := rows.Scan(&account, &balance); err != nil {
			return err
		}
		all += balance
		if o.balances[account] != balance {
			o.wrong("%s holds %s, by its entries %s", account, balance, o.balances[account])
		}
		return nil
	}, `SELECT account, balance_fen FROM accounts`)
	if all != 0 {
		o.wrong("all accounts come to %s", all)
	}
	return err
}

// lookAtMoves does for the cards' mirrors what is done for accounts.
func (o *Office) lookAtMoves(ctx context.Context, tx *sqldb.Tx) error {
	err := sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		var no string
		var amount money.Fen
		err := rows.Scan(&o.move, &no, &amount)
		o.mirrors[no] += amount
		return err
	}, `SELECT id, card_no, amount_fen FROM purse_moves WHERE id > ? ORDER BY id`, o.move)
	if err != nil {
		return err
	}
	return sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		var no string
		var mirror money.Fen
		var status store.CardStatus
		if err := rows.Scan(&no, &mirror, &status); err != nil {
			return err
		}
		o.hot[no] = status != store.CardActive
		if o.mirrors[no] != mirror {
			o.wrong("mirror of %s holds %s, by its moves %s", no, mirror, o.mirrors[no])
		}
		return nil
	}, `SELECT card_no, mirror_fen, status FROM cards`)
}

// held is what is held on an account.
type held struct {
	all   money.Fen
	under map[journal.Position]money.Fen // a number: only one of those who asked under it can come
	fresh int                            // of the holds, those that are new
	code  bool
}

// add adds what is held under a number, to whomever that is.
func (h *held) add(under journal.Position, amount money.Fen) {
	was := h.under[under]
	h.under[under] = max(was, amount)
	h.all += h.under[under] - was
}

// Named returns the highest number of an epoch under which money is held, as of
// the last look; 0 if there is none. It is held until the journal passes it.
func (o *Office) Named(e journal.Epoch) int64 { return o.named[e] }

// lookAtHolds checks that each hold is above zero and named by a number that its
// journal has not passed, and that no new one takes what is not there (M2).
func (o *Office) lookAtHolds(ctx context.Context, tx *sqldb.Tx) error {
	accounts, last := map[string]*held{}, o.hold
	o.named = map[journal.Epoch]int64{}
	err := sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		var id, state, seq, head int64
		var account, attempt string
		var epoch []byte
		var amount money.Fen
		var code, room bool
		if err := rows.Scan(&id, &account, &attempt, &amount, &code, &room, &state, &epoch, &seq, &head); err != nil {
			return err
		}
		o.named[journal.Epoch(epoch)] = max(o.named[journal.Epoch(epoch)], seq)
		if amount <= 0 || state == 1 && seq <= head {
			o.wrong("hold %s of %s on %s stands under %d, its journal at %d", attempt, amount, account, seq, head)
		}
		if room { // below the cap, and no money
			return nil
		}
		h := accounts[account]
		if h == nil {
			h = &held{under: map[journal.Position]money.Fen{}}
			accounts[account] = h
		}
		h.add(journal.Position{Epoch: journal.Epoch(epoch), Seq: seq}, amount)
		if id > last {
			h.fresh, h.code, o.hold = h.fresh+1, code, max(o.hold, id)
		}
		return nil
	}, `SELECT h.id, h.account, h.attempt, h.amount_fen, h.virtual, h.room, h.state, h.epoch, h.seq,
			coalesce(j.head_seq, 0)
		FROM holds h LEFT JOIN journals j ON j.terminal = h.terminal AND j.epoch = h.epoch WHERE h.state <= 2`)
	for account, n := range o.baths.fresh {
		if accounts[account] == nil {
			accounts[account] = &held{}
		}
		accounts[account].fresh, accounts[account].code = accounts[account].fresh+n, true
	}
	for account, h := range accounts {
		h.all += o.baths.held[account]
		least := money.Fen(0)
		if h.fresh == 1 && h.code {
			least = o.reserve
		}
		// Entries of the same act may have come after the hold.
		if left := o.balances[account] - h.all; h.fresh > 0 && !o.fresh && left < least {
			o.wrong("a hold leaves %s with %s, and must leave %s", account, left, least)
		}
	}
	return err
}

// lookAtSuspense checks that what is in suspense is what claims are open for, and
// what the inbox says (I10).
func (o *Office) lookAtSuspense(ctx context.Context, tx *sqldb.Tx) error {
	want := map[string]money.Fen{}
	o.doubts = map[string]money.Fen{}
	err := sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		var account, holder string
		var amount money.Fen
		err := rows.Scan(&account, &amount, &holder)
		want[account] += amount
		o.doubts[holder] += amount
		return err
	}, `SELECT 'suspense/' || terminal, amount_fen, account FROM claims WHERE state = 1 AND kind = 40 AND account <> ''
		UNION ALL SELECT account, amount_fen, '' FROM exceptions WHERE closed_ms IS NULL AND account LIKE 'suspense/%'`)
	for a, balance := range o.balances {
		if strings.HasPrefix(a, "suspense/") && balance != want[a] {
			o.wrong("%s holds %s, and %s is open", a, balance, want[a])
		}
	}
	return err
}

// lookAtJournals checks that what the upstream has of a journal only grows.
func (o *Office) lookAtJournals(ctx context.Context, tx *sqldb.Tx) error {
	return sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		var epoch, hash []byte
		var h journal.Head
		if err := rows.Scan(&epoch, &h.Seq, &hash); err != nil {
			return err
		}
		h.Epoch, h.Hash = journal.Epoch(epoch), journal.Hash(hash)
		if was := o.heads[h.Epoch]; h.Seq < was.Seq || h.Seq == was.Seq && was.Seq > 0 && h.Hash != was.Hash {
			o.wrong("journal %s was at %d, and is at %d", h.Epoch, was.Seq, h.Seq)
		}
		o.heads[h.Epoch] = h
		return nil
	}, `SELECT epoch, head_seq, head_hash FROM journals`)
}

// lookAtFeeds checks that feeds only go forward.
func (o *Office) lookAtFeeds(ctx context.Context, tx *sqldb.Tx) error {
	return sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		var name string
		var version int64
		if err := rows.Scan(&name, &version); err != nil {
			return err
		}
		if version < o.versions[name] {
			o.wrong("feed %s was at %d, and is at %d", name, o.versions[name], version)
		}
		o.versions[name] = version
		return nil
	}, `SELECT name, version FROM feeds`)
}
