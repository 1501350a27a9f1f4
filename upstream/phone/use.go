package phone

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"quancun/beijing"
	"quancun/money"
	"quancun/paycode"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// Use is a code that a terminal has taken, by the journal entry that says so. Its
// signatures were checked.
type Use struct {
	Source store.Source
	Code   paycode.Code
	Amount money.Fen
	Made   time.Time // by the terminal's clock
	Alone  bool      // nobody was asked
}

// day returns the business day of the use.
func (u Use) day() string { return u.Made.In(beijing.Zone).Format(time.DateOnly) }

// Oddity says what is odd about a use.
type Oddity int

// What can be odd. None of it undoes a sale.
const (
	Twice   Oddity = iota + 1 // the same code was taken before
	Stray                     // by a phone that is not the account's, or was revoked before
	TooHigh                   // more than one code buys in the dark
	TooMuch                   // more than all of an account's codes buy in a day in the dark
)

// Finding is something odd about one of several uses.
type Finding struct {
	Use    int // its place among them
	Oddity Oddity
	Detail string
}

// Note writes uses down, each once, and returns what is odd about them. The caller
// holds the accounts' rows, so that nobody else notes a use of the same meanwhile.
func Note(ctx context.Context, tx *sqldb.Tx, uses []Use) ([]Finding, error) {
	if len(uses) == 0 {
		return nil, nil
	}
	n := &noting{ctx: ctx, tx: tx, uses: uses, phones: map[string]phoneRow{}, before: map[paycode.Use]string{},
		spent: map[accountDay]money.Fen{}}
	if err := n.read(); err != nil {
		return nil, err
	}
	for i, u := range uses {
		n.look(i, u)
	}
	return n.findings, n.write()
}

// noting is [Note] under way.
type noting struct {
	ctx      context.Context //nolint:containedctx // lives for one call
	tx       *sqldb.Tx
	uses     []Use
	phones   map[string]phoneRow
	before   map[paycode.Use]string // where a code was taken
	spent    map[accountDay]money.Fen
	findings []Finding
}

type phoneRow struct {
	account store.Account
	revoked sql.NullInt64
}

type accountDay struct{ account, day string }

// read reads what is known of the phones, the codes and the days.
func (n *noting) read() error {
	var devices, accounts, days []string
	first, last := n.uses[0].Code.Time.Unix(), n.uses[0].Code.Time.Unix()
	for _, u := range n.uses {
		devices, accounts = append(devices, u.Code.Device.ID().String()), append(accounts, u.Code.Account)
		days = append(days, u.day())
		first, last = min(first, u.Code.Time.Unix()), max(last, u.Code.Time.Unix())
	}
	err := sqldb.Each(n.ctx, n.tx, func(rows *sql.Rows) error {
		var device string
		var p phoneRow
		err := rows.Scan(&device, &p.account, &p.revoked)
		n.phones[device] = p
		return err
	}, `SELECT device, account, revoked_ms FROM phones WHERE device = ANY (?)`, devices)
	if err != nil {
		return fmt.Errorf("read phones: %w", err)
	}
	err = sqldb.Each(n.ctx, n.tx, func(rows *sql.Rows) error {
		var device, where string
		var u paycode.Use
		if err := rows.Scan(&device, &u.Time, &u.Counter, &where); err != nil {
			return err
		}
		err := u.Device.UnmarshalText([]byte(device))
		n.before[u] = where
		return err
	}, `
		SELECT u.device, u.made_s, u.counter, j.terminal || ' ' || u.seq
		FROM code_uses u JOIN journals j ON j.id = u.journal
		WHERE u.device = ANY (?) AND u.made_s BETWEEN ? AND ?`, devices, first, last)
	if err != nil {
		return fmt.Errorf("read uses of codes: %w", err)
	}
	err = sqldb.Each(n.ctx, n.tx, func(rows *sql.Rows) error {
		var k accountDay
		var sum money.Fen
		err := rows.Scan(&k.account, &k.day, &sum)
		n.spent[k] = sum
		return err
	}, `
		SELECT account, day, CAST(sum(amount_fen) AS BIGINT) FROM code_uses
		WHERE alone AND account = ANY (?) AND day = ANY (?) GROUP BY account, day`, accounts, days)
	if err != nil {
		return fmt.Errorf("read days of codes: %w", err)
	}
	return nil
}

// look finds what is odd about a use, and counts it.
func (n *noting) look(i int, u Use) {
	odd := func(o Oddity, format string, args ...any) {
		n.findings = append(n.findings, Finding{i, o, fmt.Sprintf(format, args...)})
	}
	code := u.Code.Use()
	if where, again := n.before[code]; again {
		odd(Twice, "phone %s has shown code %d before, at %s", code.Device, code.Counter, where)
	}
	n.before[code] = fmt.Sprintf("%s in the same journal", u.Code.Time.In(beijing.Zone).Format(time.DateTime))
	switch p, known := n.phones[code.Device.String()]; {
	case !known:
		odd(Stray, "phone %s is not in these books", code.Device)
	case p.account.No() != u.Code.Account:
		odd(Stray, "phone %s is account %s's", code.Device, p.account.No())
	case p.revoked.Valid && u.Made.UnixMilli() > p.revoked.Int64:
		at := fromMS(p.revoked.Int64).In(beijing.Zone)
		odd(Stray, "phone %s was revoked at %s", code.Device, at.Format(time.DateTime))
	}
	if !u.Alone {
		return
	}
	if u.Amount > u.Code.CodeMax {
		odd(TooHigh, "a code is good for %s", u.Code.CodeMax)
	}
	k := accountDay{u.Code.Account, u.day()}
	if n.spent[k] += u.Amount; n.spent[k] > u.Code.DayMax {
		odd(TooMuch, "%s on %s, of %s", n.spent[k], k.day, u.Code.DayMax)
	}
}

// write writes the uses down.
func (n *noting) write() error {
	var journals, seqs, parts, mades, counters, amounts []int64
	var devices, accounts, days []string
	var alones []bool
	for _, u := range n.uses {
		code := u.Code.Use()
		journals, seqs = append(journals, u.Source.Journal), append(seqs, u.Source.Seq)
		parts = append(parts, u.Source.Part)
		devices, mades, counters = append(devices, code.Device.String()), append(mades, code.Time),
			append(counters, int64(code.Counter))
		accounts, days = append(accounts, u.Code.Account), append(days, u.day())
		alones, amounts = append(alones, u.Alone), append(amounts, int64(u.Amount))
	}
	const into = "code_uses (journal, seq, part, device, made_s, counter, account, day, alone, amount_fen)"
	err := n.tx.Insert(n.ctx, into, "",
		journals, seqs, parts, devices, mades, counters, accounts, days, alones, amounts)
	if err != nil {
		return fmt.Errorf("write uses of codes: %w", err)
	}
	return nil
}

// asksKept is how long it is known which terminal has asked for a code: longer
// than one can be shown.
const asksKept = 10 * 60 // seconds

// Ask notes that a terminal is given a hold for a code. It reports false if another
// terminal was, or has taken the code. The same terminal may ask again: what it has
// taken it knows itself.
func Ask(ctx context.Context, tx *sqldb.Tx, u paycode.Use, terminal string) (first bool, err error) {
	device := u.Device.String()
	_, err1 := tx.Exec(ctx, `DELETE FROM code_asks WHERE device = ? AND made_s < ?`, device, u.Time-asksKept)
	_, err2 := tx.Exec(ctx, `
		INSERT INTO code_asks (device, made_s, counter, terminal) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		device, u.Time, int64(u.Counter), terminal)
	if err := errors.Join(err1, err2); err != nil {
		return false, fmt.Errorf("ask for a code: %w", err)
	}
	var others int64
	err = tx.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM code_asks
				WHERE device = ?1 AND made_s = ?2 AND counter = ?3 AND terminal <> ?4)
			+ (SELECT count(*) FROM code_uses u JOIN journals j ON j.id = u.journal
				WHERE u.device = ?1 AND u.made_s = ?2 AND u.counter = ?3 AND j.terminal <> ?4)`,
		device, u.Time, int64(u.Counter), terminal).Scan(&others)
	if err != nil {
		return false, fmt.Errorf("ask for a code: %w", err)
	}
	return others == 0, nil
}
