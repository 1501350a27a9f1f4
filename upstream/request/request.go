// Package request holds what terminals' journals say of holders' requests against what
// the books have of them under the same references.
//
// A request is done here, so nothing follows from what a journal says of it: what does
// not fit is for people. It reads what packages such as biller write, and no more.
package request

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// Told is the end of a request, out of a terminal's journal. Its rules were checked.
type Told struct {
	Terminal string
	Entry    journal.Entry
}

// Misfit is what does not fit of something that was told.
type Misfit int

// What does not fit. None of it changes a request.
const (
	Missing Misfit = 1 // it was done, says the journal, and the books know nothing of it
	Differs Misfit = 2 // the books have something else, or say otherwise
)

// Finding is a misfit of one of several ends.
type Finding struct {
	Told   int // its place among them
	Misfit Misfit
	Detail string
}

// match says what does not fit of the end of one service's request; 0 for nothing.
type match func(ctx context.Context, tx *sqldb.Tx, t Told) (Misfit, string, error)

// matches are the services whose requests are held against the books.
var matches = map[string]match{
	"bill":        bill,
	"bath":        stands("bath_reservations WHERE ref = ?", "a shower was reserved"), // package bath brings it back
	"bath_cancel": stands("bath_acts WHERE ref = ? AND kind = 1", "a shower was given up"),
	"bath_settle": stands("bath_acts WHERE ref = ? AND kind = 2 AND tries IS NULL", "a shower was settled"),
	journal.Loss:  stands("lost_reports WHERE ref = ?", "a card was reported lost"),
}

// Note holds ends against what was done. One that does not say of which service it is
// is left alone.
func Note(ctx context.Context, tx *sqldb.Tx, all []Told) (found []Finding, err error) {
	for i, t := range all {
		r, err := t.Entry.Request()
		if err != nil || matches[r.Service] == nil {
			continue
		}
		misfit, detail, err := matches[r.Service](ctx, tx, t)
		if err != nil {
			return nil, fmt.Errorf("match a request of %s: %w", t.Terminal, err)
		}
		if misfit != 0 {
			found = append(found, Finding{i, misfit, detail})
		}
	}
	return found, nil
}

// States of a bill that count here; package biller has them all.
const (
	billPaid     = 4
	billReleased = 5
)

// bill holds the end of a bill against the bill. One that was not paid may have been
// paid late since: the books then know that, and the terminal could not.
func bill(ctx context.Context, tx *sqldb.Tx, t Told) (Misfit, string, error) {
	var terminal string
	var account store.Account
	var amount money.Fen
	var state int
	var late bool
	err := tx.QueryRow(ctx, `SELECT terminal, account, amount_fen, state, late FROM bills WHERE order_no = ?`,
		t.Entry.Ref).Scan(&terminal, &account, &amount, &state, &late)
	done := t.Entry.Outcome == journal.Done
	switch {
	case errors.Is(err, sql.ErrNoRows) && done:
		return Missing, fmt.Sprintf("bill of %s yuan for %s", t.Entry.Amount, t.Entry.Account), nil
	case errors.Is(err, sql.ErrNoRows):
		return 0, "", nil
	case err != nil:
		return 0, "", err
	case terminal != t.Terminal || account.No() != t.Entry.Account || amount != t.Entry.Amount:
		return Differs, fmt.Sprintf("bill of %s yuan for %s, and here %s for %s at %s",
			t.Entry.Amount, t.Entry.Account, amount, account.No(), terminal), nil
	case done && state != billPaid, !done && state != billReleased && !late:
		return Differs, fmt.Sprintf("bill of %s yuan for %s is %s, and here in state %d",
			t.Entry.Amount, t.Entry.Account, t.Entry.Outcome, state), nil
	}
	return 0, "", nil
}

// stands holds the end of what moves no money here against the rows that have it:
// whoever was told that it is done must not find it gone because these books are older
// than they were.
func stands(rows, what string) match {
	return func(ctx context.Context, tx *sqldb.Tx, t Told) (Misfit, string, error) {
		var terminal string
		err := tx.QueryRow(ctx, `SELECT terminal FROM `+rows, t.Entry.Ref).Scan(&terminal)
		here := err == nil && terminal == t.Terminal
		done := t.Entry.Outcome == journal.Done
		switch {
		case err != nil && !errors.Is(err, sql.ErrNoRows):
			return 0, "", err
		case done && !here:
			r, err := t.Entry.Request()
			return Missing, fmt.Sprintf("%s for %s %s", what, t.Entry.Account, r.What), err
		case !done && here:
			return Differs, what + ", and the terminal has said that it was not", nil
		}
		return 0, "", nil
	}
}
