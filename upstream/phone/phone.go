// Package phone keeps whose phone is a holder's virtual card, for how much it may
// show codes, and which codes were taken. It has tables of its own in the books,
// and signs what phones are given.
//
// # What it promises
//
// An account has one phone at a time, and what was signed for it ends by itself
// within a week, so that a phone which nobody has reported is an end too. A
// revoked phone is on the list that terminals get, the feed "keys", for as long
// as anything that was signed for it is good.
//
// # What it refuses to know
//
// It takes no code and moves no money: a terminal does the one, package ingest the
// other. What is odd about a code that was taken it says, and nothing is refused:
// the food is eaten.
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

// Policy is what the school has decided.
type Policy struct {
	School  uint16    // its number, which no other school has
	CodeMax money.Fen // of one code, where nobody can be asked; whole yuan
	DayMax  money.Fen // of an account's codes in a day, likewise
	Days    int       // that an authorisation lasts, besides the day on which it is given
}

// DaysMax is the most that [Policy.Days] may be: the list of revoked phones may be
// as old as an authorisation lasts.
const DaysMax = 6

// Check says why a policy cannot be one.
func (p Policy) Check() error {
	limit := func(f money.Fen) bool { return f >= 0 && f <= paycode.LimitMax && f%money.Yuan == 0 }
	switch {
	case p.Days < 1 || p.Days > DaysMax:
		return fmt.Errorf("phone: days is not between 1 and %d", DaysMax)
	case !limit(p.CodeMax) || !limit(p.DayMax):
		return errors.New("phone: a limit is not a number of whole yuan")
	}
	return nil
}

// Registry is the part of the books that this package keeps. It is safe for
// concurrent use, and by several programs on one database.
type Registry struct {
	books   *store.Books
	policy  Policy
	signers []paycode.Signer
}

// Reasons why something is not done. Nothing was changed.
var (
	ErrCode      = errors.New("phone: no such code")
	ErrCodeOver  = errors.New("phone: the code was not used in time, or by another phone")
	ErrUnknown   = errors.New("phone: unknown")
	ErrRevoked   = errors.New("phone: revoked")
	ErrAlgorithm = errors.New("phone: the school has no key that signs so")
	ErrAccount   = errors.New("phone: no holder's account, or one whose number does not fit into a code")
)

// Open returns the registry of books. It writes down the public keys of who signs
// that are new, and tells terminals.
func Open(ctx context.Context, books *store.Books, p Policy, signers ...paycode.Signer) (*Registry, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	r := &Registry{books: books, policy: p, signers: signers}
	err := books.Write(ctx, func(tx *sqldb.Tx) error {
		for _, s := range signers {
			if err := r.addIssuer(ctx, tx, s.Public()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("open phones: %w", err)
	}
	return r, r.Publish(ctx)
}

func (r *Registry) addIssuer(ctx context.Context, tx *sqldb.Tx, k paycode.PublicKey) error {
	var known, last, foreign int64
	err := tx.QueryRow(ctx, `
		SELECT count(CASE WHEN public_key = ? THEN 1 END), coalesce(max(issuer), 0),
			count(CASE WHEN school <> ? THEN 1 END) FROM code_issuers`, k.Bytes, int64(r.policy.School)).
		Scan(&known, &last, &foreign)
	switch {
	case err != nil:
		return err
	case foreign > 0: // terminals would take every code for another school's
		return errors.New("the books have signed for phones under another number of the school")
	case known > 0:
		return nil
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO code_issuers (issuer, school, algorithm, public_key, since_ms) VALUES (?, ?, ?, ?, ?)`,
		last+1, int64(r.policy.School), int64(k.Algorithm), k.Bytes, r.books.Now().UnixMilli())
	if err != nil {
		return fmt.Errorf("add issuer: %w", err)
	}
	return nil
}

// signer returns who signs with an algorithm, and its number.
func (r *Registry) signer(ctx context.Context, tx *sqldb.Tx, a paycode.Algorithm) (paycode.Signer, byte, error) {
	for _, s := range r.signers {
		if s.Public().Algorithm != a {
			continue
		}
		var issuer int64
		err := tx.QueryRow(ctx, `SELECT issuer FROM code_issuers WHERE public_key = ?`, s.Public().Bytes).Scan(&issuer)
		return s, byte(issuer), err
	}
	return nil, 0, ErrAlgorithm
}

// Invite writes down a one-time code by which a phone becomes an account's. Only
// its hash is given. [ErrAccount] for an account that can have none.
func Invite(ctx context.Context, books *store.Books, account string, codeHash [32]byte, expires time.Time) error {
	if !fits(account) {
		return ErrAccount
	}
	a := store.HolderAccount(account)
	err := books.Write(ctx, func(tx *sqldb.Tx) error {
		var one int
		err := tx.QueryRow(ctx, `SELECT 1 FROM holders WHERE account = ?`, a).Scan(&one)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrAccount
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO phone_invitations (code_hash, account, made_ms, expires_ms) VALUES (?, ?, ?, ?)`,
			codeHash[:], a, books.Now().UnixMilli(), expires.UnixMilli())
		return err
	})
	if err != nil {
		return fmt.Errorf("invite phone: %w", err)
	}
	return nil
}

func fits(account string) bool {
	for _, c := range []byte(account) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return account != "" && len(account) <= paycode.AccountLenMax
}

// Bind uses a code: the phone with this key is its account's from now on, and
// the account's earlier one is revoked. It returns what is signed for it. The same
// code with the same key gets an answer again: the first may have been lost.
func (r *Registry) Bind(ctx context.Context, codeHash [32]byte, k paycode.PublicKey, name string) ([]byte, error) {
	var granted []byte
	err := r.books.Write(ctx, func(tx *sqldb.Tx) error {
		var account store.Account
		var expires int64
		var used sql.NullString
		err := tx.QueryRow(ctx, `
			SELECT account, expires_ms, device FROM phone_invitations WHERE code_hash = ? FOR UPDATE`, codeHash[:]).
			Scan(&account, &expires, &used)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return ErrCode
		case err != nil:
			return err
		case used.Valid && used.String != k.ID().String(),
			!used.Valid && r.books.Now().UnixMilli() >= expires:
			return ErrCodeOver
		case !used.Valid:
			if err := r.bind(ctx, tx, Phone{Device: k.ID(), Account: account.No(), Key: k, Name: name}); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `UPDATE phone_invitations SET used_ms = ?, device = ? WHERE code_hash = ?`,
				r.books.Now().UnixMilli(), k.ID().String(), codeHash[:])
			if err != nil {
				return err
			}
		}
		granted, err = r.grant(ctx, tx, k)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("bind phone: %w", err)
	}
	return granted, r.Publish(ctx)
}

// bind puts a phone in the place of its account's earlier one.
func (r *Registry) bind(ctx context.Context, tx *sqldb.Tx, p Phone) error {
	var one int
	err := tx.QueryRow(ctx, `SELECT 1 FROM phones WHERE device = ?`, p.Device.String()).Scan(&one)
	switch {
	case err == nil:
		return ErrRevoked // a key is bound once: a phone makes another
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	now := r.books.Now().UnixMilli()
	_, err1 := tx.Exec(ctx, `
		UPDATE phones SET revoked_ms = ?, revoked_why = ? WHERE account = ? AND revoked_ms IS NULL`,
		now, replaced, store.HolderAccount(p.Account))
	_, err2 := tx.Exec(ctx, `
		INSERT INTO phones (device, account, algorithm, public_key, name, bound_ms) VALUES (?, ?, ?, ?, ?, ?)`,
		p.Device.String(), store.HolderAccount(p.Account), int64(p.Key.Algorithm), p.Key.Bytes, p.Name, now)
	return errors.Join(err1, err2)
}

const replaced = "replaced by another phone"

// Renew returns what is signed anew for a phone that is an account's.
func (r *Registry) Renew(ctx context.Context, k paycode.PublicKey) (granted []byte, err error) {
	err = r.books.Write(ctx, func(tx *sqldb.Tx) error {
		granted, err = r.grant(ctx, tx, k)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("renew phone: %w", err)
	}
	return granted, nil
}

// grant signs for a phone until the end of a day, so that who asks twice in a day
// gets the same, and writes that down.
func (r *Registry) grant(ctx context.Context, tx *sqldb.Tx, k paycode.PublicKey) ([]byte, error) {
	var account store.Account
	var until sql.NullInt64 // the account's end
	var over bool
	now := r.books.Now()
	err := tx.QueryRow(ctx, `
		SELECT p.account, h.until_ms,
			p.revoked_ms IS NOT NULL OR h.closed_ms IS NOT NULL OR coalesce(h.until_ms <= ?, false)
		FROM phones p JOIN holders h ON h.account = p.account WHERE p.device = ?`,
		now.UnixMilli(), k.ID().String()).Scan(&account, &until, &over)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, ErrUnknown
	case err != nil:
		return nil, err
	case over:
		return nil, ErrRevoked
	}
	s, issuer, err := r.signer(ctx, tx, k.Algorithm)
	if err != nil {
		return nil, err
	}
	g := paycode.Grant{
		School: r.policy.School, Purpose: paycode.Pay, Issuer: issuer, Account: account.No(),
		CodeMax: r.policy.CodeMax, DayMax: r.policy.DayMax,
		Expires: r.ends(now, until), Device: k,
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO phone_grants (device, issuer, code_max_fen, day_max_fen, issued_ms, expires_ms)
		SELECT CAST(?1 AS TEXT), CAST(?2 AS BIGINT), CAST(?3 AS BIGINT), CAST(?4 AS BIGINT), CAST(?5 AS BIGINT),
			CAST(?6 AS BIGINT)
		WHERE NOT EXISTS (SELECT 1 FROM phone_grants WHERE device = ?1 AND issuer = ?2 AND code_max_fen = ?3
			AND day_max_fen = ?4 AND expires_ms = ?6)`,
		k.ID().String(), int64(issuer), g.CodeMax, g.DayMax, now.UnixMilli(), g.Expires.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("write grant: %w", err)
	}
	return paycode.Issue(g, s)
}

// ends returns when what is signed now ends: at the end of a day, and no later than
// the account does.
func (r *Registry) ends(now time.Time, until sql.NullInt64) time.Time {
	end := beijing.Midnight(now).AddDate(0, 0, r.policy.Days+1).UTC()
	if t := time.UnixMilli(until.Int64).UTC().Truncate(time.Second); until.Valid && t.Before(end) {
		return t
	}
	return end
}
