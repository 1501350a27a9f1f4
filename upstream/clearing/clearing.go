// Package clearing settles with everybody outside (清分, 清算): it keeps what
// channels and billers say of a day beside what our ledger says, lists every
// fen that does not match in the inbox, closes what an entry or a later
// statement explains, and fixes what each merchant is owed for a day.
//
// What matches and what is to be done about the rest is decided in package
// reconcile, which knows no database. This package has tables of its own in
// the books and posts to the ledger through package store.
//
// It keeps store's order of locks, with its own before it: statements of a
// source, exceptions, a merchant's days. Nothing here is closed by a clock.
package clearing

import (
	"context"
	"database/sql"
	"time"

	"quancun/money"
	"quancun/upstream/hot"
	"quancun/upstream/reconcile"
	"quancun/upstream/store"
)

// Accounts of this package.
const (
	// Bank is the school's own account, from which merchants are paid.
	Bank store.Account = "bank/settlement"
	// OverShort takes what is written off: a loss below zero, a surplus above.
	OverShort = hot.School
)

// House is the part of the books that this package keeps. It is safe for
// concurrent use, and by several programs on one database.
type House struct {
	books *store.Books

	// Database returns what time it is by the database's clock: no day is closed
	// before it is over by both. nil if nobody else has a clock. It is set before
	// anything is called.
	Database func(context.Context) (time.Time, error)
}

// New returns the house of books.
func New(books *store.Books) *House { return &House{books: books} }

func (h *House) ms() int64 { return h.books.Now().UnixMilli() }

func fromMS(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}

// posted is what a movement of f into a source is on its account in our
// ledger, where credits are positive: a channel holds money for us, and to a
// biller we owe it.
func posted(s reconcile.Source, f money.Fen) money.Fen {
	if s.Biller() {
		return f
	}
	return -f
}
