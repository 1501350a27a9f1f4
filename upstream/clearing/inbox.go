package clearing

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"quancun/money"
	"quancun/upstream/channel"
	"quancun/upstream/reconcile"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// compared is a comparison to be written down.
type compared struct {
	source  reconcile.Source
	day     channel.Day // "" for none
	scope   []string
	entries []string // of ours that it has taken into account
	result  reconcile.Result
}

// apply brings the inbox in line with a comparison.
func (h *House) apply(ctx context.Context, tx *sqldb.Tx, c compared) (opened, closed int, err error) {
	if err := tx.Lock(ctx, "exceptions of "+string(c.source)); err != nil {
		return 0, 0, err
	}
	if closed, err = h.closeExplained(ctx, tx, c); err != nil {
		return 0, 0, err
	}
	known, err := readKnown(ctx, tx, c)
	if err != nil {
		return 0, 0, err
	}
	for _, f := range c.result.Findings {
		if known[f.Title()+" "+f.Ref()] {
			continue
		}
		if err := h.open(ctx, tx, f); err != nil {
			return 0, 0, fmt.Errorf("list %s: %w", f.Title(), err)
		}
		opened++
	}
	_, err = tx.Exec(ctx, `
		UPDATE statements SET compared_ms = ? WHERE source = ? AND day = ? AND superseded_ms IS NULL`,
		h.ms(), c.source, c.day)
	return opened, closed, err
}

// readKnown returns the findings of a comparison that are not listed: those that are, that
// were closed by an entry that the comparison did not know of yet, or that people have
// explained: the difference between the two books is theirs then. One that is found
// although the entry was compared too is about other money, which is alike. It is one
// question for all: nobody sells while the inbox is written.
func readKnown(ctx context.Context, tx *sqldb.Tx, c compared) (map[string]bool, error) {
	all, err := sqldb.Texts(ctx, tx, `
		SELECT x.kind || ' ' || x.ref FROM differences d JOIN exceptions x ON x.id = d.exception_id
		LEFT JOIN corrections c ON c.exception_id = x.id
		WHERE d.source = ? AND d.about = ANY (?) AND (x.closed_ms IS NULL OR c.kind = ?
			OR x.closing_entry IS NOT NULL AND NOT CAST(x.closing_entry AS TEXT) = ANY (?))`,
		c.source, c.scope, explained, c.entries)
	known := make(map[string]bool, len(all))
	for _, x := range all {
		known[x] = true
	}
	return known, err
}

// open lists a finding.
func (h *House) open(ctx context.Context, tx *sqldb.Tx, f reconcile.Finding) error {
	params, err := json.Marshal(f.Params())
	if err != nil {
		return err
	}
	err = h.books.Except(ctx, tx, []store.Exception{{
		Kind: f.Title(), Ref: f.Ref(), Account: store.Account(f.Source), Amount: f.Amount(),
		Detail: detail(f), Owner: string(f.Owner), NextStep: string(f.Step),
	}})
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO differences (exception_id, source, about, gap_fen, params)
		SELECT id, ?, ?, ?, ? FROM exceptions WHERE kind = ? AND ref = ? AND closed_ms IS NULL`,
		f.Source, f.About(), f.Gap(), string(params), f.Title(), f.Ref())
	return err
}

// detail says what both sides have.
func detail(f reconcile.Finding) string {
	var parts []string
	if f.Entry.ID != "" {
		parts = append(parts, "ours "+entryText(f.Entry))
	}
	if f.Line.No > 0 {
		parts = append(parts, "theirs "+lineText(f.Line))
	}
	return strings.Join(parts, ", ")
}

func entryText(e reconcile.Entry) string {
	return fmt.Sprintf("entry %s: %s %s", e.ID, e.Kind, e.Amount)
}

func lineText(l reconcile.Line) string {
	return fmt.Sprintf("%s line %d: %s %s, trade %s", l.Day, l.No, l.Kind, l.Amount, l.TradeNo)
}

// closeExplained closes what is open of the comparison's scope and no
// difference any more.
func (h *House) closeExplained(ctx context.Context, tx *sqldb.Tx, c compared) (closed int, err error) {
	still := map[string]bool{}
	for _, f := range c.result.Findings {
		still[f.Title()+" "+f.Ref()] = true
	}
	why := explain(c.result)
	open, err := readOpen(ctx, tx, c.source, c.scope)
	if err != nil {
		return 0, err
	}
	for _, x := range open {
		if still[x.kind+" "+x.ref] {
			continue
		}
		e := why[x.about]
		entry, err := newest(ctx, tx, e.entries, x.opened)
		if err != nil {
			return 0, err
		}
		text := strings.Join(e.texts, "; ")
		if text == "" {
			text = "the statement that had it is superseded, and the one that counts has not"
		}
		if err := h.books.CloseException(ctx, tx, x.id, entry, text); err != nil {
			return 0, fmt.Errorf("close exception %d: %w", x.id, err)
		}
		closed++
	}
	return closed, nil
}

// explanation is what both sides have of an order that is even.
type explanation struct {
	texts   []string
	entries []string
}

// explain returns by what each order has become even.
func explain(r reconcile.Result) map[string]explanation {
	why := map[string]explanation{}
	entry := func(e reconcile.Entry) {
		x := why[e.OrderNo]
		why[e.OrderNo] = explanation{append(x.texts, entryText(e)), append(x.entries, e.ID)}
	}
	line := func(l reconcile.Line) {
		x := why[l.About()]
		why[l.About()] = explanation{append(x.texts, lineText(l)), x.entries}
	}
	for _, p := range r.Matched {
		entry(p.Entry)
		line(p.Line)
	}
	for _, e := range r.Even.Entries {
		entry(e)
	}
	for _, l := range r.Even.Lines {
		line(l)
	}
	return why
}

// openException is a difference in the inbox.
type openException struct {
	id               int64
	kind, ref, about string
	opened           int64
}

func readOpen(ctx context.Context, tx *sqldb.Tx, source reconcile.Source, scope []string,
) (all []openException, err error) {
	err = sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		var x openException
		err := rows.Scan(&x.id, &x.kind, &x.ref, &x.about, &x.opened)
		all = append(all, x)
		return err
	}, `
		SELECT x.id, x.kind, x.ref, d.about, x.opened_ms FROM exceptions x JOIN differences d ON d.exception_id = x.id
		WHERE d.source = ? AND x.closed_ms IS NULL AND d.about = ANY (?) ORDER BY x.id`, source, scope)
	return all, err
}

// newest returns the last of entries that was made after a time, or 0.
func newest(ctx context.Context, tx *sqldb.Tx, entries []string, after int64) (id int64, err error) {
	err = tx.QueryRow(ctx, `
		SELECT coalesce(max(id), 0) FROM entries WHERE CAST(id AS TEXT) = ANY (?) AND at_ms >= ?`,
		entries, after).Scan(&id)
	return id, err
}

// Exception is a line of the inbox, with what this package knows of it.
type Exception struct {
	store.Exception
	Source reconcile.Source  // whose books differ; "" for a line of another kind
	About  string            // the order or trade
	Gap    money.Fen         // how much more has come in by their books than by ours
	Params map[string]string // of the text of the next step
}

// Age is how long a line has been open at a time, or was.
func (x Exception) Age(now time.Time) time.Duration {
	if !x.Closed.IsZero() {
		now = x.Closed
	}
	return now.Sub(x.Opened)
}

// Exceptions returns the lines of the inbox, oldest first; closed ones too, if
// all of them are wanted.
func (h *House) Exceptions(ctx context.Context, all bool) (list []Exception, err error) {
	err = h.books.Read(ctx, func(tx *sqldb.Tx) error {
		where := `WHERE closed_ms IS NULL ORDER BY id`
		if all {
			where = `ORDER BY id`
		}
		list, err = readExceptions(ctx, tx, where)
		return err
	})
	return list, err
}

func readExceptions(ctx context.Context, tx *sqldb.Tx, where string, args ...any) ([]Exception, error) {
	plain, err := store.ReadExceptions(ctx, tx, where, args...)
	if err != nil {
		return nil, err
	}
	list := make([]Exception, len(plain))
	place := make(map[int64]*Exception, len(plain))
	ids := make([]int64, len(plain))
	for i, x := range plain {
		list[i].Exception, ids[i] = x, x.ID
		place[x.ID] = &list[i]
	}
	return list, sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		var id int64
		var x Exception
		var params string
		if err := rows.Scan(&id, &x.Source, &x.About, &x.Gap, &params); err != nil {
			return err
		}
		p := place[id]
		p.Source, p.About, p.Gap = x.Source, x.About, x.Gap
		return json.Unmarshal([]byte(params), &p.Params)
	}, `SELECT exception_id, source, about, gap_fen, params FROM differences WHERE exception_id = ANY (?)`, ids)
}

// lockException holds an open line of the inbox until the transaction ends. One that is
// closed comes with [ErrClosed].
func lockException(ctx context.Context, tx *sqldb.Tx, id int64) (Exception, error) {
	var one int
	err := tx.QueryRow(ctx, `SELECT 1 FROM exceptions WHERE id = ? FOR NO KEY UPDATE`, id).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return Exception{}, store.ErrNone
	}
	if err != nil {
		return Exception{}, err
	}
	list, err := readExceptions(ctx, tx, `WHERE id = ?`, id)
	if err != nil {
		return Exception{}, err
	}
	if !list[0].Closed.IsZero() {
		return list[0], ErrClosed
	}
	return list[0], nil
}
