package clearing

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"quancun/money"
	"quancun/upstream/channel"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// Errors of settling.
var (
	// ErrNotOver means that a day has not ended.
	ErrNotOver = errors.New("clearing: this day is not over")
	// ErrOwes means that a merchant's days come to less than nothing: refunds
	// are more than sales. Later days have to make up for it.
	ErrOwes = errors.New("clearing: this merchant owes more than it is owed")
	// ErrOtherAmount means that unpaid days come to another amount than the bank was told,
	// as when a day was closed since.
	ErrOtherAmount = errors.New("clearing: the unpaid days come to another amount")
)

const merchantPrefix = "merchant/"

// MerchantAccount returns what is owed to a merchant.
func MerchantAccount(id string) store.Account { return store.Account(merchantPrefix + id) }

// Settlement is what a merchant's day came to. A day that is closed does not
// change: a sale that arrives later is in the next one that is closed, marked
// late. Days of which there was nothing have none.
type Settlement struct {
	Merchant string
	Day      channel.Day
	Lines    int
	Late     int // of these, from days that were closed
	Sales    money.Fen
	Refunds  money.Fen
	Owed     money.Fen // sales less refunds; may be below zero
	Closed   time.Time
	Settled  time.Time // zero until it is paid
	By       string    // who paid it
	Entry    int64     // by which it was paid; 0 if not, or if nothing was owed
}

// CloseDays closes every merchant's days up to and including a day. Those that
// are closed stay as they are. It returns [ErrNotOver] for a day that is not over
// by the clock, and [ErrClockAhead] if the clock is not believed.
func (h *House) CloseDays(ctx context.Context, through channel.Day) (closed int, err error) {
	c, err := h.calendar(ctx)
	switch {
	case err != nil:
		return 0, err
	case through > c.clock:
		return 0, fmt.Errorf("close %s: %w", through, ErrNotOver)
	case c.doubt && through > c.over:
		return 0, c.error()
	}
	return h.closeDays(ctx, through)
}

func (h *House) closeDays(ctx context.Context, through channel.Day) (closed int, err error) {
	if err := h.believe(ctx, through, ""); err != nil {
		return 0, err
	}
	merchants, err := h.merchants(ctx)
	if err != nil {
		return 0, fmt.Errorf("close days: %w", err)
	}
	for _, account := range merchants {
		n, err := h.closeDaysOf(ctx, account, through)
		if err != nil {
			return closed, fmt.Errorf("close days of %s: %w", account, err)
		}
		closed += n
	}
	return closed, nil
}

func (h *House) merchants(ctx context.Context) (all []string, err error) {
	err = h.books.Read(ctx, func(tx *sqldb.Tx) error {
		all, err = sqldb.Texts(ctx, tx, `SELECT account FROM accounts WHERE account LIKE ? ORDER BY account`,
			merchantPrefix+"%")
		return err
	})
	return all, err
}

// closeDaysOf closes a merchant's days, unless another does it. With the account
// locked, nothing can be posted to it meanwhile.
func (h *House) closeDaysOf(ctx context.Context, account string, through channel.Day) (closed int, err error) {
	o := open{account: account, through: through}
	err = h.books.Read(ctx, func(tx *sqldb.Tx) error { return o.read(ctx, tx, h.books.Now()) })
	if err != nil || len(o.days()) == 0 { // which is most, most hours
		return 0, err
	}
	err = h.books.Write(ctx, func(tx *sqldb.Tx) error {
		if err := tx.Lock(ctx, "days of "+account); err != nil {
			return err
		}
		if _, err := h.books.LockAccounts(ctx, tx, []store.Account{store.Account(account)}); err != nil {
			return err
		}
		if err := o.read(ctx, tx, h.books.Now()); err != nil {
			return err
		}
		days := o.days()
		closed = len(days)
		for _, d := range days {
			if err := d.insert(ctx, tx, h.ms()); err != nil {
				return err
			}
		}
		return nil
	})
	return closed, err
}

// sale is a posting on a merchant's account that is in no day yet.
type sale struct {
	entry  int64
	amount money.Fen
	day    channel.Day // its own; "" if no clock says
}

// sales are the postings of an account after an entry that are in no day. What was paid
// for days is in none; what was transferred and is for no days is in one, see Transfer.
var sales = store.Lines(`l.before_id > ?2`) + `
	SELECT l.entry_id, l.amount_fen, e.made_ms, e.at_ms FROM lines l JOIN entries e ON e.id = l.entry_id
	WHERE l.entry_id > ?2
	AND (e.kind <> ?3 OR NOT EXISTS (SELECT 1 FROM settlements p WHERE p.account = ?1 AND p.entry_id = l.entry_id))
	AND NOT EXISTS (SELECT 1 FROM settlement_lines s WHERE s.account = ?1 AND s.entry_id = l.entry_id)
	ORDER BY l.entry_id`

// Bounds on what a terminal's clock is believed. A terminal that was without
// network for longer, or whose battery is flat, does not open old days.
const (
	behindMax = 60 * 24 * time.Hour
	aheadMax  = time.Hour
)

// ownDay returns the business day of what a terminal says was made at made, and
// what arrived at. made is zero for what did not come from a terminal. What
// arrived after now came while our own clock was ahead: then the terminal's counts,
// and "" says that there is none that could.
func ownDay(made, at, now time.Time) channel.Day {
	ahead := at.Sub(now) > aheadMax
	if ahead {
		at = now
	}
	switch {
	case !made.IsZero() && believed(made, at):
		return channel.DayOf(made)
	case ahead:
		return ""
	}
	return channel.DayOf(at)
}

// believed reports whether a terminal may have made at made what arrived at at.
func believed(made, at time.Time) bool { return at.Sub(made) <= behindMax && made.Sub(at) <= aheadMax }

// open is what a merchant has sold and is in no day yet.
type open struct {
	account string
	through channel.Day // that days are to be closed

	closed channel.Day // the last one that is, and that is over; "" if none is
	swept  int64       // all postings up to it are in a day
	sales  []sale
}

// read reads it. A day that was closed by a clock that was ahead stands in nobody's
// way: it is not over.
func (o *open) read(ctx context.Context, tx *sqldb.Tx, now time.Time) error {
	o.sales = nil
	err := tx.QueryRow(ctx, `
		SELECT coalesce(max(CASE WHEN day <= ? THEN day END), ''), coalesce(max(swept), 0)
		FROM settlements WHERE account = ?`, o.through, o.account).Scan(&o.closed, &o.swept)
	if err != nil || o.closed == o.through {
		return err
	}
	return sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		var s sale
		var made, at sql.NullInt64
		err := rows.Scan(&s.entry, &s.amount, &made, &at)
		s.day = ownDay(fromMS(made), fromMS(at), now)
		o.sales = append(o.sales, s)
		return err
	}, sales, o.account, o.swept, store.KindPaidOut)
}

// days returns the days that are to be closed, the oldest first: those of the sales,
// and late ones with the first of them.
func (o *open) days() []*dayLines {
	byDay := map[channel.Day]*dayLines{}
	late := false
	for _, s := range o.sales {
		switch {
		case s.day > o.through:
		case s.day <= o.closed:
			late = true
		case byDay[s.day] == nil:
			byDay[s.day] = &dayLines{account: o.account, day: s.day}
		}
	}
	if late && len(byDay) == 0 {
		byDay[o.through] = &dayLines{account: o.account, day: o.through}
	}
	all := slices.SortedFunc(maps.Values(byDay), func(a, b *dayLines) int { return cmp.Compare(a.day, b.day) })
	swept, left := o.swept, false
	for _, s := range o.sales {
		if left = left || s.day > o.through; !left {
			swept = s.entry
		}
		switch {
		case s.day > o.through:
		case s.day <= o.closed:
			all[0].add(s)
		default:
			byDay[s.day].add(s)
		}
	}
	for _, d := range all {
		d.swept = swept
	}
	return all
}

// dayLines are the lines of a day that is being closed.
type dayLines struct {
	account string
	day     channel.Day
	swept   int64

	accounts, days []string
	entries        []int64
	late           []bool
	lateCount      int
	sales, refunds money.Fen
}

func (d *dayLines) add(s sale) {
	d.accounts, d.days = append(d.accounts, d.account), append(d.days, string(d.day))
	d.entries, d.late = append(d.entries, s.entry), append(d.late, s.day < d.day)
	if s.day < d.day {
		d.lateCount++
	}
	if s.amount > 0 {
		d.sales += s.amount
	} else {
		d.refunds -= s.amount
	}
}

func (d *dayLines) insert(ctx context.Context, tx *sqldb.Tx, now int64) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO settlements (account, day, lines, late_lines, sales_fen, refunds_fen, owed_fen, swept, closed_ms)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, d.account, d.day, len(d.entries), d.lateCount,
		d.sales, d.refunds, d.sales-d.refunds, d.swept, now)
	if err != nil {
		return err
	}
	return tx.Insert(ctx, "settlement_lines (account, entry_id, day, late)", "", d.accounts, d.entries, d.days, d.late)
}

// Settlements returns what merchants' days came to, from a day on, by day and
// merchant.
func (h *House) Settlements(ctx context.Context, from channel.Day) (all []Settlement, err error) {
	err = h.books.Read(ctx, func(tx *sqldb.Tx) error {
		return sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
			var s Settlement
			var account string
			var closed, settled, entry sql.NullInt64
			err := rows.Scan(&account, &s.Day, &s.Lines, &s.Late, &s.Sales, &s.Refunds, &s.Owed,
				&closed, &settled, &s.By, &entry)
			s.Merchant = strings.TrimPrefix(account, merchantPrefix)
			s.Closed, s.Settled, s.Entry = fromMS(closed), fromMS(settled), entry.Int64
			all = append(all, s)
			return err
		}, `
			SELECT account, day, lines, late_lines, sales_fen, refunds_fen, owed_fen, closed_ms, settled_ms,
				settled_by, entry_id
			FROM settlements WHERE day >= ? ORDER BY day, account`, from)
	})
	if err != nil {
		return nil, fmt.Errorf("read settlements: %w", err)
	}
	return all, nil
}
