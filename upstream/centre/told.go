package centre

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"quancun/journal"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// Told is an entry by which a terminal's journal announces an act, or says how it
// ended. Its rules were checked.
type Told struct {
	Terminal string
	Entry    journal.Entry
}

// Misfit is what does not fit of something that was told.
type Misfit int

// What does not fit. None of it changes an act.
const (
	Twice    Misfit = 1 // announced, or ended, in two ways
	Unknown  Misfit = 2 // it was never announced
	Missing  Misfit = 3 // it was done, says the journal, and the books know nothing of it
	Differs  Misfit = 4 // the books have another act under its name
	DoneHere Misfit = 5 // it was not done, says the journal, and the books say that it was
)

// Finding is a misfit of one of several entries.
type Finding struct {
	Told   int // its place among them
	Misfit Misfit
	Detail string
}

// Note writes down what journals tell, in their order, and holds the ends against
// the acts. The caller keeps other pushes of the terminal out.
func Note(ctx context.Context, tx *sqldb.Tx, all []Told) (found []Finding, err error) {
	for i, t := range all {
		note := t.begin
		if t.Entry.Kind == journal.CentreEnd {
			note = t.end
		}
		misfit, detail, err := note(ctx, tx)
		if err != nil {
			return nil, fmt.Errorf("note an act of %s: %w", t.Terminal, err)
		}
		if misfit != 0 {
			found = append(found, Finding{i, misfit, detail})
		}
	}
	return found, nil
}

// begin takes an intent. One that was carried over may come again.
func (t Told) begin(ctx context.Context, tx *sqldb.Tx) (Misfit, string, error) {
	e := t.Entry
	d, err := e.Centre()
	if err != nil {
		return 0, "", err
	}
	is := row{
		clerk: e.Operator, kind: Kind(d.Act), account: e.Account, card: e.Card, document: Document(d.Document),
	}
	made, err := affected(tx.Exec(ctx, `
		INSERT INTO centre_told (terminal, ref, clerk, kind, account, card_no, document, told_ms)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		t.Terminal, e.Ref, is.clerk, is.kind, is.account, is.card, is.document, e.At.UnixMilli()))
	if err != nil || made {
		return 0, "", err
	}
	was, err := t.read(ctx, tx)
	if err == nil && was.announced() != is {
		return Twice, fmt.Sprintf("%s for %s, and before %s for %s", is.kind, is.account, was.kind, was.account), nil
	}
	return 0, "", err
}

// end takes an end, and holds it against the act.
func (t Told) end(ctx context.Context, tx *sqldb.Tx) (Misfit, string, error) {
	was, err := t.read(ctx, tx)
	switch {
	case errors.Is(err, store.ErrNone):
		return Unknown, t.Entry.Outcome.String(), nil
	case err != nil:
		return 0, "", err
	case was.outcome != 0 && was.outcome != t.Entry.Outcome:
		return Twice, fmt.Sprintf("%s, and before that %s", t.Entry.Outcome, was.outcome), nil
	case was.outcome != 0:
		return 0, "", nil
	}
	_, err = tx.Exec(ctx, `UPDATE centre_told SET outcome = ?, ended_ms = ? WHERE terminal = ? AND ref = ?`,
		int64(t.Entry.Outcome), t.Entry.At.UnixMilli(), t.Terminal, t.Entry.Ref)
	if err != nil {
		return 0, "", err
	}
	return t.match(ctx, tx, was)
}

// match holds what was announced, and has ended, against the act of its name.
func (t Told) match(ctx context.Context, tx *sqldb.Tx, was row) (Misfit, string, error) {
	act, err := readAct(ctx, tx, t.Entry.Ref)
	missing := errors.Is(err, store.ErrNone)
	if err != nil && !missing {
		return 0, "", err
	}
	is := row{clerk: act.Clerk, kind: act.Kind, account: act.Account.No(), card: act.Card, document: act.Document}
	switch done := t.Entry.Outcome == journal.Done; {
	case done && missing:
		return Missing, fmt.Sprintf("%s for %s", was.kind, was.account), nil
	case missing:
		return 0, "", nil
	case !done:
		return DoneHere, fmt.Sprintf("%s for %s", act.Kind, is.account), nil
	case act.Place != t.Terminal || is != was.announced():
		return Differs, fmt.Sprintf("%s for %s by %s, and here %s for %s by %s at %s",
			was.kind, was.account, was.clerk, act.Kind, is.account, act.Clerk, act.Place), nil
	}
	return 0, "", nil
}

// row is a line of centre_told.
type row struct {
	clerk    string
	kind     Kind
	account  string // account number
	card     string
	document Document
	outcome  journal.Outcome // 0 before it has ended
}

// announced is r without its end.
func (r row) announced() row {
	r.outcome = 0
	return r
}

func (t Told) read(ctx context.Context, tx *sqldb.Tx) (r row, err error) {
	err = tx.QueryRow(ctx, `
		SELECT clerk, kind, account, card_no, document, coalesce(outcome, 0) FROM centre_told
		WHERE terminal = ? AND ref = ?`, t.Terminal, t.Entry.Ref).
		Scan(&r.clerk, &r.kind, &r.account, &r.card, &r.document, &r.outcome)
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNone
	}
	return r, err
}

// Untold is an act of a terminal that its journal and the books have not both told
// to its end.
type Untold struct {
	Ref, Terminal, Clerk string
	Kind                 Kind
	Account              string // account number
	Done                 bool   // here; otherwise it was only announced
	At                   time.Time
}

// Untold returns them, the oldest first. One that is old means that its terminal is
// away, or that nobody there has gone on with it.
func (d *Desk) Untold(ctx context.Context) (all []Untold, err error) {
	err = d.books.Read(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
			var u Untold
			var at int64
			err := rows.Scan(&u.Ref, &u.Terminal, &u.Clerk, &u.Kind, &u.Account, &u.Done, &at)
			u.Account, u.At = store.Account(u.Account).No(), time.UnixMilli(at).UTC()
			all = append(all, u)
			return err
		}, `
		SELECT a.ref, a.place, a.clerk, a.kind, a.account, true, a.at_ms AS at FROM centre_acts a
			LEFT JOIN centre_told t ON t.terminal = a.place AND t.ref = a.ref
			WHERE a.place <> ? AND t.outcome IS NULL
		UNION ALL
		SELECT t.ref, t.terminal, t.clerk, t.kind, t.account, false, t.told_ms FROM centre_told t
			LEFT JOIN centre_acts a ON a.ref = t.ref
			WHERE t.outcome IS NULL AND a.ref IS NULL
		ORDER BY at, 1`, Console)
	})
	if err != nil {
		return nil, fmt.Errorf("read what terminals have not told: %w", err)
	}
	return all, nil
}
