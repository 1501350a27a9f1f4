package clearing

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"quancun/money"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// role is what an account's money is to the school.
type role int

const (
	float   role = iota // owed to somebody: it is not the school's
	outside             // where money comes from and goes to
	income              // the school's own, gained or lost
)

// kinds are the kinds of account, by how their names begin, in the order in
// which they are shown.
var kinds = []struct {
	name string
	role role
}{
	{"holder", float}, {"merchant", float}, {"biller", float}, {"suspense", float},
	{"channel", outside}, {"till", outside}, {"safe", outside}, {"bank", outside}, {"opening", outside},
	{"fee", income}, {"over-short", income},
}

// Kind is what all accounts of a kind come to. Credits are positive: what is
// owed and earned is above zero, what is held below.
type Kind struct {
	Name     string
	Accounts int
	Balance  money.Fen
}

// Identity is where the money is: what people have brought in, less what was
// spent with the school itself and what has gone out to others, is what is
// owed. It is computed twice: the left side from the ledger's entries, the
// right side from the balances of accounts. What moves between the school's
// own accounts, such as to the bank or into a loss, is on neither side.
type Identity struct {
	Deposits money.Fen // came in from outside, and is owed
	Spends   money.Fen // became the school's own: fees
	Payouts  money.Fen // went out, and is owed no longer
	Float    money.Fen // owed, by the balances

	Kinds []Kind
	Odd   []string // accounts of no kind that we know
}

// Gap is what the identity misses, which is zero.
func (i Identity) Gap() money.Fen { return i.Deposits - i.Spends - i.Payouts - i.Float }

// Identity computes the identity on the live books, all of one moment.
func (h *House) Identity(ctx context.Context) (i Identity, err error) {
	err = h.books.Read(ctx, func(tx *sqldb.Tx) error {
		i, err = readIdentity(ctx, tx)
		return err
	})
	if err != nil {
		return Identity{}, fmt.Errorf("compute identity: %w", err)
	}
	return i, nil
}

func readIdentity(ctx context.Context, tx *sqldb.Tx) (i Identity, err error) {
	err = tx.QueryRow(ctx, `
		SELECT CAST(coalesce(sum(CASE WHEN outside < 0 THEN -outside ELSE 0 END), 0) AS BIGINT),
			CAST(coalesce(sum(CASE WHEN outside > 0 THEN outside ELSE 0 END), 0) AS BIGINT),
			CAST(coalesce(sum(income), 0) AS BIGINT)
		FROM (SELECT sum(CASE WHEN `+is(outside)+` THEN amount_fen ELSE 0 END) AS outside,
				sum(CASE WHEN `+is(income)+` THEN amount_fen ELSE 0 END) AS income
			FROM postings GROUP BY entry_id
			HAVING sum(CASE WHEN `+is(float)+` THEN amount_fen ELSE 0 END) <> 0) AS entries`).
		Scan(&i.Deposits, &i.Payouts, &i.Spends)
	if err != nil {
		return i, err
	}
	byName := map[string]*Kind{}
	for _, k := range kinds {
		i.Kinds = append(i.Kinds, Kind{Name: k.name})
	}
	for n := range i.Kinds {
		byName[i.Kinds[n].Name] = &i.Kinds[n]
	}
	err = sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		var account string
		var balance money.Fen
		if err := rows.Scan(&account, &balance); err != nil {
			return err
		}
		name, _, _ := strings.Cut(account, "/")
		k := byName[name]
		if k == nil {
			i.Odd = append(i.Odd, account)
			return nil
		}
		k.Accounts++
		k.Balance += balance
		return nil
	}, `SELECT account, balance_fen FROM accounts`)
	for n, k := range kinds {
		if k.role == float {
			i.Float += i.Kinds[n].Balance
		}
	}
	slices.Sort(i.Odd)
	return i, err
}

// is returns the condition that an account is of a role.
func is(r role) string {
	var any []string
	for _, k := range kinds {
		if k.role == r {
			any = append(any, "account = '"+k.name+"' OR account LIKE '"+k.name+"/%'")
		}
	}
	return "(" + strings.Join(any, " OR ") + ")"
}

// checks are the promises of this package as queries for what breaks them.
var checks = []struct{ name, query string }{
	{"C1: statement is not its lines", `
		SELECT s.source || ' ' || s.day FROM statements s LEFT JOIN statement_lines l ON l.statement = s.id
		GROUP BY s.id, s.source, s.day, s.lines, s.paid_fen, s.returned_fen, s.fee_fen
		HAVING count(l.line) <> s.lines OR coalesce(sum(l.fee_fen), 0) <> s.fee_fen
			OR coalesce(sum(CASE WHEN l.kind = 1 THEN l.amount_fen ELSE 0 END), 0) <> s.paid_fen
			OR coalesce(sum(CASE WHEN l.kind = 2 THEN l.amount_fen ELSE 0 END), 0) <> s.returned_fen`},
	{"C2: movement is not its posting", `
		SELECT m.account || ' in ' || m.entry_id FROM movements m
		LEFT JOIN postings p ON p.entry_id = m.entry_id AND p.account = m.account
		WHERE p.amount_fen IS NULL OR p.amount_fen <> m.amount_fen`},
	{"C3: exception was closed by nothing", `
		SELECT id FROM exceptions WHERE closed_ms IS NOT NULL AND closing_entry IS NULL AND evidence = ''
			OR closing_entry NOT IN (SELECT id FROM entries)`},
	{"C4: correction does not book its difference", `
		SELECT c.exception_id FROM corrections c JOIN differences d ON d.exception_id = c.exception_id
		LEFT JOIN postings p ON p.entry_id = c.entry_id AND p.account = d.source
		WHERE c.kind <> 3 AND (p.amount_fen IS NULL
			OR p.amount_fen <> CASE WHEN d.source LIKE 'biller/%' THEN d.gap_fen ELSE -d.gap_fen END)`},
	{"C5: closed day is not its lines", `
		SELECT s.account || ' ' || s.day FROM settlements s
		LEFT JOIN settlement_lines l ON l.account = s.account AND l.day = s.day
		LEFT JOIN postings p ON p.entry_id = l.entry_id AND p.account = l.account
		GROUP BY s.account, s.day, s.lines, s.owed_fen
		HAVING count(p.entry_id) <> s.lines OR coalesce(sum(p.amount_fen), 0) <> s.owed_fen`},
	{"C6: paid days are not what was paid for them", `
		SELECT s.account || ' ' || s.entry_id FROM settlements s
		LEFT JOIN postings p ON p.entry_id = s.entry_id AND p.account = s.account
		WHERE s.settled_ms IS NOT NULL AND s.entry_id IS NOT NULL
		GROUP BY s.account, s.entry_id, p.amount_fen
		HAVING p.amount_fen IS NULL OR sum(s.owed_fen) <> -p.amount_fen`},
	{"C7: merchant is not owed what its days say", `
		SELECT a.account FROM accounts a LEFT JOIN (
			SELECT p.account, sum(p.amount_fen) AS amount_fen FROM postings p JOIN entries e ON e.id = p.entry_id
			WHERE p.account LIKE 'merchant/%' AND NOT EXISTS
				(SELECT 1 FROM settlement_lines l WHERE l.account = p.account AND l.entry_id = p.entry_id)
				AND NOT EXISTS (SELECT 1 FROM settlements s WHERE s.account = p.account AND s.entry_id = p.entry_id)
			GROUP BY p.account) AS open ON open.account = a.account
		WHERE a.account LIKE 'merchant/%' AND a.balance_fen <> coalesce(open.amount_fen, 0) +
			(SELECT coalesce(sum(owed_fen), 0) FROM settlements s
				WHERE s.account = a.account AND (s.settled_ms IS NULL OR s.entry_id IS NULL))`},
	{"C8: transfer is not its entries", `
		SELECT t.account || ' ' || t.no FROM transfers t
		LEFT JOIN postings p ON p.account = t.account AND p.entry_id IN (t.entry_id, t.carried_id)
		GROUP BY t.account, t.no, t.amount_fen HAVING coalesce(sum(p.amount_fen), 0) <> -t.amount_fen`},
	{"C9: correction was signed by nobody", `
		SELECT e.id FROM entries e WHERE e.kind = 14 AND e.claim_id IS NULL AND e.id NOT IN (
			SELECT entry_id FROM corrections
			UNION SELECT CASE x.account WHEN n.debit THEN n.debit_before ELSE n.credit_before END
				FROM corrections c JOIN exceptions x ON x.id = c.exception_id AND x.kind = '` + store.DrawerDiffers + `'
				JOIN entries n ON n.id = c.entry_id)`},
	{"C10: entry pays no merchant's days", `
		SELECT id FROM entries WHERE kind = 15 AND id NOT IN (
			SELECT entry_id FROM settlements WHERE entry_id IS NOT NULL
			UNION SELECT entry_id FROM transfers WHERE entry_id IS NOT NULL
			UNION SELECT carried_id FROM transfers WHERE carried_id IS NOT NULL)`},
}

// Verify checks what must always hold of this part of the books. It returns
// one line for each break, and none when all is well. It only reads.
func (h *House) Verify(ctx context.Context) (broken []string, err error) {
	err = h.books.Read(ctx, func(tx *sqldb.Tx) error { // all of one moment
		broken = nil
		for _, c := range checks {
			lines, err := sqldb.Texts(ctx, tx, c.query)
			for _, which := range lines {
				broken = append(broken, c.name+": "+which)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
		i, err := readIdentity(ctx, tx)
		if i.Gap() != 0 {
			broken = append(broken, fmt.Sprintf("I20: deposits %s - spends %s - payouts %s is not the float %s",
				i.Deposits, i.Spends, i.Payouts, i.Float))
		}
		for _, account := range i.Odd {
			broken = append(broken, "I20: account of no kind: "+account)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	return broken, nil
}
