// Package staff knows who works at a campus's terminals, and lets them sign in
// there: a staff number, a card, a PIN and a role for each member.
//
// It keeps them in tables of its own in the books, and answers terminals behind
// the upstream's usual door ([Server]). What a role may do is the
// terminals' business.
//
// A member's row is locked before it is changed, and nothing else with it.
package staff

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// Role is what a member is. Stored and on the wire: never renumbered.
type Role int

// The roles.
const (
	Cashier    Role = 1 // (收银员)
	Supervisor Role = 2 // (主管)
	Clerk      Role = 3 // (卡务员) of the card centre
	Admin      Role = 4 // (管理员) of terminals
)

var roles = map[Role]string{Cashier: "cashier", Supervisor: "supervisor", Clerk: "clerk", Admin: "admin"}

// String returns the role as commands know it.
func (r Role) String() string { return roles[r] }

// ParseRole reads what [Role.String] writes.
func ParseRole(s string) (Role, error) {
	for r, name := range roles {
		if name == s {
			return r, nil
		}
	}
	return 0, fmt.Errorf("%w: %q is no role: cashier, supervisor, clerk or admin", ErrMalformed, s)
}

// Errors that callers act upon. Besides them there are the store's own: ErrNone
// for nobody, ErrConflict for a number or a card that somebody has, ErrPINLocked.
var (
	ErrMalformed = errors.New("staff: malformed")
	// ErrRevoked means that the member may do nothing any more.
	ErrRevoked = errors.New("staff: revoked")
)

// Member is somebody of the staff.
type Member struct {
	No         string // staff number: up to 16 letters, digits and dashes
	Name       string
	Role       Role
	Card       string // 20 hexadecimal digits, upper case; "" for none
	Locked     bool   // too many wrong PINs in a row
	PINVersion int64
	Revoked    time.Time // zero if not
}

// Owner is whose PIN it is, for the key store.
func (m Member) Owner() store.Account { return store.Account("staff/" + m.No) }

func (m Member) check() error {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"
	if m.No == "" || len(m.No) > 16 || strings.Trim(m.No, letters) != "" {
		return fmt.Errorf("%w: staff number %q", ErrMalformed, m.No)
	}
	if m.Name == "" || len(m.Name) > 100 || roles[m.Role] == "" {
		return fmt.Errorf("%w: name %q, role %d", ErrMalformed, m.Name, m.Role)
	}
	return checkCard(m.Card)
}

func checkCard(no string) error {
	if len(no) != 20 || strings.Trim(no, "0123456789ABCDEF") != "" {
		return fmt.Errorf("%w: card number %q", ErrMalformed, no)
	}
	return nil
}

// Roll is the list of the staff (名册). It is safe for concurrent use, and by
// several programs on one database.
type Roll struct{ books *store.Books }

// NewRoll returns the staff of books.
func NewRoll(books *store.Books) *Roll { return &Roll{books} }

// Add adds a member. by is who does so. It returns store.ErrConflict if somebody
// has, or had, that number, or has that card.
func (r *Roll) Add(ctx context.Context, m Member, pin store.PIN, by string) error {
	if err := m.check(); err != nil {
		return err
	}
	return r.write(ctx, "add", func(tx *sqldb.Tx) error {
		n, err := affected(tx.Exec(ctx, `
			INSERT INTO staff (no, name, role, card_no, pin_salt, pin_hash) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT DO NOTHING`,
			m.No, m.Name, int(m.Role), m.Card, pin.Salt[:], pin.Hash[:]))
		switch {
		case err != nil:
			return err
		case n == 0:
			return store.ErrConflict
		}
		return r.note(ctx, tx, change{no: m.No, what: "added as " + m.Role.String(), by: by})
	})
}

// SetRole gives a member another role.
func (r *Roll) SetRole(ctx context.Context, no string, role Role, by string) error {
	if roles[role] == "" {
		return fmt.Errorf("%w: role %d", ErrMalformed, role)
	}
	return r.change(ctx, change{no: no, what: "role " + role.String(), by: by}, `role = ?`, int(role))
}

// SetCard gives a member another card, in place of the one that is gone, and ends what
// was begun with that: whoever has found it may have the PIN, too. It returns
// store.ErrConflict if somebody else has the card.
func (r *Roll) SetCard(ctx context.Context, no, card, by string) error {
	if err := checkCard(card); err != nil {
		return err
	}
	return r.change(ctx, change{no: no, what: "another card", by: by, card: card},
		`card_no = ?, pin_version = pin_version + 1`, card)
}

// SetPIN gives a member another PIN, and forgets wrong tries of the one before.
func (r *Roll) SetPIN(ctx context.Context, no string, pin store.PIN, by string) error {
	return r.change(ctx, change{no: no, what: "another PIN", by: by},
		`pin_salt = ?, pin_hash = ?, pin_wrong = 0, pin_version = pin_version + 1`, pin.Salt[:], pin.Hash[:])
}

// Revoke takes everything from a member for good, the card too.
func (r *Roll) Revoke(ctx context.Context, no, by string) error {
	c := change{no: no, what: "revoked", by: by}
	return r.change(ctx, c, `card_no = NULL, revoked_ms = ?`, r.books.Now().UnixMilli())
}

// change is something that was changed of a member.
type change struct {
	no, what, by string
	card         string // that is the member's from now on; "" if it is another change
}

// change changes columns of a member who is not revoked.
func (r *Roll) change(ctx context.Context, c change, set string, args ...any) error {
	return r.write(ctx, c.what, func(tx *sqldb.Tx) error {
		m, err := read(ctx, tx, `no = ?`+forUpdate(tx), c.no)
		switch {
		case err != nil:
			return err
		case !m.Revoked.IsZero():
			return ErrRevoked
		}
		if c.card != "" {
			other, err := read(ctx, tx, `card_no = ?`, c.card)
			if err == nil && other.No != c.no {
				return store.ErrConflict
			}
			if err != nil && !errors.Is(err, store.ErrNone) {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `UPDATE staff SET `+set+` WHERE no = ?`, append(args, c.no)...); err != nil {
			return err
		}
		return r.note(ctx, tx, c)
	})
}

// note writes down a change.
func (r *Roll) note(ctx context.Context, tx *sqldb.Tx, c change) error {
	_, err := tx.Exec(ctx, `INSERT INTO staff_changes (no, what, by_who, at_ms) VALUES (?, ?, ?, ?)`,
		c.no, c.what, c.by, r.books.Now().UnixMilli())
	return err
}

func (r *Roll) write(ctx context.Context, what string, do func(*sqldb.Tx) error) error {
	if err := r.books.Write(ctx, do); err != nil {
		return fmt.Errorf("staff: %s: %w", what, err)
	}
	return nil
}

// forUpdate locks the row that is read, where readers and writers are several.
func forUpdate(tx *sqldb.Tx) string {
	if tx.Engine() == sqldb.Postgres {
		return ` FOR NO KEY UPDATE`
	}
	return ""
}

func affected(res sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// columns are what a Member is read from.
const columns = `SELECT no, name, role, coalesce(card_no, ''), pin_wrong >= 5, pin_version, revoked_ms FROM staff `

func scan(row interface{ Scan(...any) error }) (m Member, err error) {
	var revoked sql.NullInt64
	err = row.Scan(&m.No, &m.Name, &m.Role, &m.Card, &m.Locked, &m.PINVersion, &revoked)
	if revoked.Valid {
		m.Revoked = time.UnixMilli(revoked.Int64).UTC()
	}
	return m, err
}

func read(ctx context.Context, q sqldb.Querier, where string, args ...any) (Member, error) {
	m, err := scan(q.QueryRow(ctx, columns+`WHERE `+where, args...))
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNone
	}
	return m, err
}

// Get returns a member by staff number, revoked or not, or store.ErrNone.
func (r *Roll) Get(ctx context.Context, no string) (m Member, err error) {
	return r.read(ctx, `no = ?`, no)
}

// ByCard returns the member who has a card, or store.ErrNone.
func (r *Roll) ByCard(ctx context.Context, card string) (Member, error) {
	return r.read(ctx, `card_no = ?`, card)
}

func (r *Roll) read(ctx context.Context, where string, args ...any) (m Member, err error) {
	err = r.books.Read(ctx, func(tx *sqldb.Tx) error {
		m, err = read(ctx, tx, where, args...)
		return err
	})
	return m, err
}

// All returns every member, in the order of their numbers.
func (r *Roll) All(ctx context.Context) (all []Member, err error) {
	err = r.books.Read(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
			m, err := scan(rows)
			all = append(all, m)
			return err
		}, columns+`ORDER BY no`)
	})
	return all, err
}

// ReservePINTry counts a try as wrong before anybody knows, and returns what the
// PIN is to be checked against and how many tries would then be left, as the
// store's does for holders. Its error is store.ErrPINLocked when there is none.
func (r *Roll) ReservePINTry(ctx context.Context, no string) (pin store.PIN, left int, err error) {
	var salt, hash []byte
	var wrong int
	err = r.books.Write(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `
			UPDATE staff SET pin_wrong = pin_wrong + 1 WHERE no = ? AND pin_wrong < ? AND revoked_ms IS NULL
			RETURNING pin_salt, pin_hash, pin_wrong`, no, store.PINTriesMax).Scan(&salt, &hash, &wrong)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return store.PIN{}, 0, store.ErrPINLocked
	}
	if err != nil {
		return store.PIN{}, 0, fmt.Errorf("staff: count PIN try: %w", err)
	}
	return store.PIN{Salt: [16]byte(salt), Hash: [32]byte(hash)}, store.PINTriesMax - wrong, nil
}

// ResetPINTries forgets the wrong tries, after a right one.
func (r *Roll) ResetPINTries(ctx context.Context, no string) error {
	return r.write(ctx, "reset PIN tries", func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE staff SET pin_wrong = 0 WHERE no = ?`, no)
		return err
	})
}
