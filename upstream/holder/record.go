package holder

import (
	"context"
	"crypto"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/place"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// Record is a movement of an account, or a load of a card's purse.
type Record struct {
	ID       string // names it for [Desk.Record]
	At       time.Time
	Kind     store.Kind
	Amount   money.Fen // by which the account moved; for a load, the purse
	Balance  money.Fen // of the account, after it
	Place    string
	Ref      string
	Title    string      // who was paid, or which bath; "" for what has none
	RecordNo string      // the biller's
	Terminal string      // at which it was; "" for none
	Where    place.Place // that terminal stood then; zero: nobody has said
}

// Filter says which records are wanted. Its zero value is all of them.
type Filter struct {
	Kinds      []store.Kind
	From, To   time.Time // To is not included
	Page, Size int
}

// records are the movements of the account ?1. An entry's ID is E and its number,
// that of a load is L and its own.
var records = `(` + store.Lines(`true`) + `
	SELECT 'E' || CAST(e.id AS TEXT) AS id, coalesce(e.made_ms, e.at_ms) AS made, e.at_ms AS booked, e.kind,
		l.amount_fen, l.balance_fen, e.place, coalesce(e.order_no, b.order_no, r.ref, '') AS ref,
		coalesce(b.title, h.name, '') AS title, coalesce(b.record_no, '') AS record_no,
		coalesce(j.terminal, t.id, '') AS terminal, 0 AS part, e.id AS n
	FROM lines l JOIN entries e ON e.id = l.entry_id
	LEFT JOIN bills b ON b.entry_id = coalesce(e.undoes, e.id)
	LEFT JOIN bath_reservations r ON r.entry_id = coalesce(e.undoes, e.id)
	LEFT JOIN bath_halls h ON h.hall = r.hall
	LEFT JOIN journals j ON j.id = e.journal LEFT JOIN terminals t ON t.id = e.place
	UNION ALL
	SELECT 'L' || m.load_id, m.at_ms, m.at_ms, m.kind, m.amount_fen, m.balance_fen, m.place, m.load_id, '', '',
		m.place, 1, m.id
	FROM purse_moves m JOIN cards c ON c.card_no = m.card_no WHERE c.account = ?1 AND m.kind = 2) AS records`

const recordColumns = `SELECT id, made, kind, amount_fen, balance_fen, place, ref, title, record_no, terminal FROM `

// Records returns a page of an account's records, newest first, and how many pages
// there are. Pages count from 0.
func (d *Desk) Records(ctx context.Context, a store.Account, f Filter) (all []Record, pages int, err error) {
	where, args := f.where()
	args = append([]any{a}, args...)
	n := 0
	err = d.Books.Read(ctx, func(tx *sqldb.Tx) error {
		all = nil
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM `+records+where, args...).Scan(&n); err != nil {
			return err
		}
		// The page is no part of the text: statements are kept, and there are a million pages.
		const order = ` ORDER BY booked DESC, part DESC, n DESC LIMIT ? OFFSET ?`
		places, err := place.Read(ctx, tx)
		if err != nil {
			return err
		}
		return sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
			r, err := scanRecord(rows, places)
			all = append(all, r)
			return err
		}, recordColumns+records+where+order, slices.Concat(args, []any{f.Size, f.Page * f.Size})...)
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read records: %w", err)
	}
	return all, (n + f.Size - 1) / f.Size, nil
}

// where is the filter as a condition, with its parameters after the account.
func (f Filter) where() (string, []any) {
	var all []string
	var args []any
	add := func(condition string, arg any) {
		args = append(args, arg)
		all = append(all, strings.ReplaceAll(condition, "?", fmt.Sprintf("?%d", len(args)+1)))
	}
	if len(f.Kinds) > 0 {
		kinds := make([]int64, len(f.Kinds))
		for i, k := range f.Kinds {
			kinds[i] = int64(k)
		}
		add(`kind = ANY (?)`, kinds)
	}
	if !f.From.IsZero() {
		add(`made >= ?`, f.From.UnixMilli())
	}
	if !f.To.IsZero() {
		add(`made < ?`, f.To.UnixMilli())
	}
	if len(all) == 0 {
		return "", nil
	}
	return ` WHERE ` + strings.Join(all, " AND "), args
}

func scanRecord(rows interface{ Scan(into ...any) error }, places place.Map) (r Record, err error) {
	var made int64
	err = rows.Scan(&r.ID, &made, &r.Kind, &r.Amount, &r.Balance, &r.Place, &r.Ref, &r.Title, &r.RecordNo,
		&r.Terminal)
	r.At = fromMS(made)
	r.Where = places.At(r.Terminal, r.At)
	return r, err
}

// Record returns one record of an account, with a copy of its receipt, or
// [store.ErrNone].
func (d *Desk) Record(ctx context.Context, a store.Account, id string) (r Record, c journal.Copy, err error) {
	err = d.Books.Read(ctx, func(tx *sqldb.Tx) (err error) {
		places, err := place.Read(ctx, tx)
		if err != nil {
			return err
		}
		r, err = scanRecord(tx.QueryRow(ctx, recordColumns+records+` WHERE id = ?2`, a, id), places)
		if err != nil {
			return err
		}
		c = journal.Copy{
			No: r.ID, Account: mask(a.No()), At: r.At, Made: d.Books.Now(), What: words[r.Kind], Amount: r.Amount,
			Place: plain(r.Place), Ref: plain(r.Ref),
		}
		return origin(ctx, tx, &c)
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNone
	}
	if err == nil {
		err = c.Sign(d.campus())
	}
	if err != nil {
		return Record{}, journal.Copy{}, fmt.Errorf("read record: %w", err)
	}
	return r, c, nil
}

func (d *Desk) campus() crypto.Signer { return d.Keys.Campus() }

// sourceOf finds the entry of a journal that a record is of.
const sourceOf = `
	SELECT j.terminal, j.epoch, x.seq, x.hash, x.body, e.made_ms, e.amount_fen
	FROM entries e JOIN journals j ON j.id = e.journal
	JOIN journal_entries x ON x.journal = e.journal AND x.seq = e.seq WHERE e.id = ?`

// origin adds which entry of a terminal's journal a copy is of, if it is of one.
func origin(ctx context.Context, tx *sqldb.Tx, c *journal.Copy) error {
	var at journal.Position
	var epoch, hash, body []byte
	var made sql.NullInt64
	var amount money.Fen
	id, err := strconv.ParseInt(strings.TrimPrefix(c.No, "E"), 10, 64)
	if err != nil {
		return nil // it is a load
	}
	err = tx.QueryRow(ctx, sourceOf, id).Scan(&at.Terminal, &epoch, &at.Seq, &hash, &body, &made, &amount)
	switch {
	case errors.Is(err, sql.ErrNoRows), err == nil && !store.Fits(journal.Innermost(body), made, amount):
		return nil // or another entry has its number
	case err != nil:
		return err
	}
	at.Epoch = journal.Epoch(epoch)
	c.Source, c.Hash = at, journal.Hash(hash)
	return nil
}

// words are what a copy calls a movement. They are read in any language, by whoever
// checks the copy with a program.
var words = map[store.Kind]string{
	store.KindTopUp: "top-up", store.KindLoad: "load", store.KindRefund: "refund", store.KindPurchase: "purchase",
	store.KindOpening: "opening", store.KindDoubt: "set aside", store.KindSettlement: "settlement",
	store.KindCashTopUp: "cash top-up", store.KindPayOut: "pay-out", store.KindFee: "fee",
	store.KindCorrection: "correction", store.KindBill: "bill", store.KindBath: "bath",
}

// mask shows the end of an account number.
func mask(no string) string {
	const shown = 4
	if len(no) <= shown {
		return strings.Repeat("*", len(no))
	}
	return "***" + no[len(no)-shown:]
}

// plain leaves out what a copy cannot have.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, s[:min(len(s), 64)])
}
