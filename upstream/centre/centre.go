// Package centre is the card centre (一卡通管理中心): what its clerks do for a
// holder who stands at the counter with a document. Each act is one transaction
// of the books, in which it is also written down who did it, where, on sight of
// which document, and what was so before and after.
//
// The terminal's journal has the same under the same reference. It is written
// there first as an intent, so an act may come twice: the second time nothing
// happens, and the answer is the same.
//
// It keeps store's order of locks, with the holder before the holder's cards.
package centre

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"quancun/money"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// Kind says what was done. Stored and on the wire: never renumbered.
type Kind int

// The kinds of acts.
const (
	Lost      Kind = 1  // a card was reported lost (挂失)
	Found     Kind = 2  // a card that was reported lost may be used again (解挂)
	Limited   Kind = 3  // the daily limit was changed (改限额)
	Named     Kind = 4  // the name was corrected
	PINReset  Kind = 5  // a new PIN was set
	Unlocked  Kind = 6  // wrong tries of the PIN were forgotten
	Issued    Kind = 7  // a card was given to a holder, in place of the one before (发卡, 补卡)
	Opened    Kind = 8  // an account was opened for somebody without a card, for a time (临时人员)
	Retired   Kind = 9  // an account was closed, of which all was paid out (销户)
	Rewritten Kind = 10 // a card was written to say the name that was corrected
)

// Document is what a clerk has seen. Stored and on the wire: never renumbered.
// No number of it is kept.
type Document int

// The documents.
const (
	IDCard      Document = 1 // 身份证
	StudentCard Document = 2 // 学生证
	StaffCard   Document = 3 // 工作证
	Passport    Document = 4 // or a residence permit
)

// Console is the place of what was done at the upstream itself.
const Console = "console"

// Act is one of them. What does not belong to its kind is zero.
type Act struct {
	Ref      string // names it for good
	Place    string // terminal, or Console
	Clerk    string // staff number
	Document Document

	Kind    Kind
	Account store.Account
	Card    string // Lost, Found, Rewritten: which; Issued: the new one

	Limit  money.Fen // Limited
	Name   string    // Named, Opened; Rewritten: what the card says
	Until  time.Time // Opened: when it ends
	PIN    store.PIN // PINReset, Opened: how it is kept
	Factor [8]byte   // Issued: of the card's keys
	UID    string    // Issued

	// What follows is written down by [Desk.Do].
	Before, After string
	At            time.Time
}

// Limits of an act.
const (
	LimitMax = 1000 * money.Yuan
	StayMax  = 400 * 24 * time.Hour // of somebody who is there for a time
	nameMax  = 40                   // characters
	refMax   = 64
)

// ErrRefused means that the books say no, and that nothing has changed.
var ErrRefused = errors.New("centre: refused")

// Kinds of refusal that a counter has words of its own for.
var (
	ErrEnded = fmt.Errorf("%w: the account was closed, or is over", ErrRefused)
	ErrLeft  = fmt.Errorf("%w: something is left", ErrRefused) // of an account that is to be closed
)

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

// Desk does acts in the books. It is safe for concurrent use, and by several
// programs on one database.
type Desk struct{ books *store.Books }

// New returns the desk of books.
func New(books *store.Books) *Desk { return &Desk{books} }

// Do does an act. Nothing happens if it was done before, and a PIN that came with
// it first stays, since no two of them can be compared; the same reference
// with another content is [store.ErrConflict]. A holder or card that is not in
// the books is [store.ErrNone], and what may not be is [ErrRefused], of which
// [ErrEnded], [ErrLeft] and [ErrClosed] are kinds. After every
// other error it is not known whether it was done: do it again.
func (d *Desk) Do(ctx context.Context, a Act) (done Act, err error) {
	if err := a.check(); err != nil {
		return Act{}, err
	}
	err = d.books.Write(ctx, func(tx *sqldb.Tx) error {
		if err := lockRef(ctx, tx, a.Ref); err != nil {
			return err
		}
		if done, err = readAct(ctx, tx, a.Ref); err == nil {
			return done.same(a)
		}
		if !errors.Is(err, store.ErrNone) {
			return err
		}
		t := &acting{ctx: ctx, books: d.books, tx: tx, Act: a}
		for _, step := range []func() error{t.mayBegin, t.lockHolder, t.date, t.mustBeOpen, t.do} {
			if err := step(); err != nil {
				return err
			}
		}
		done = t.Act
		return t.write()
	})
	if err != nil {
		return Act{}, fmt.Errorf("%s for %s: %w", a.Kind, a.Account, err)
	}
	return done, nil
}

// Again returns the act of a's reference, if it was done before: nothing else can
// come of doing a. It returns [store.ErrNone] if it was not, and
// [store.ErrConflict] if it was another.
func (d *Desk) Again(ctx context.Context, a Act) (Act, error) {
	done, err := d.Did(ctx, a.Ref)
	if err == nil {
		err = done.same(a)
	}
	return done, err
}

// Did returns the act of a reference, or [store.ErrNone].
func (d *Desk) Did(ctx context.Context, ref string) (Act, error) {
	return readAct(ctx, d.books.Live(), ref)
}

// For returns what was done for a holder, the newest first.
func (d *Desk) For(ctx context.Context, a store.Account) (all []Act, err error) {
	err = sqldb.Each(ctx, d.books.Live(), func(rows *sql.Rows) error {
		act, err := scanAct(rows)
		all = append(all, act)
		return err
	}, selectAct+`WHERE account = ? ORDER BY at_ms DESC, ref`, a)
	return all, err
}

const selectAct = `SELECT ref, place, clerk, kind, account, card_no, document, before, after, at_ms
	FROM centre_acts `

func readAct(ctx context.Context, q sqldb.Querier, ref string) (Act, error) {
	a, err := scanAct(q.QueryRow(ctx, selectAct+`WHERE ref = ?`, ref))
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNone
	}
	return a, err
}

func scanAct(row interface{ Scan(places ...any) error }) (a Act, err error) {
	var at int64
	err = row.Scan(&a.Ref, &a.Place, &a.Clerk, &a.Kind, &a.Account, &a.Card, &a.Document, &a.Before, &a.After, &at)
	a.At = time.UnixMilli(at).UTC()
	return a, err
}

// String names the kind.
func (k Kind) String() string {
	name, ok := map[Kind]string{
		Lost: "report loss", Found: "undo loss", Limited: "change limit", Named: "correct name",
		PINReset: "reset PIN", Unlocked: "unlock PIN", Issued: "issue card", Opened: "open account",
		Retired: "retire account", Rewritten: "write name on card",
	}[k]
	if !ok {
		return fmt.Sprintf("act of kind %d", int(k))
	}
	return name
}
