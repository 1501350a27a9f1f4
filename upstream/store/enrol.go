package store

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"quancun/pboc"
	"quancun/upstream/store/sqldb"
)

// Errors of enrolment.
var (
	// ErrCodeOver means that a code was not used in time, or that a newer one
	// was made for its terminal.
	ErrCodeOver = errors.New("store: the code is over")
	// ErrCodeSpent means that a code was used, by other keys or too long ago to
	// be answered again.
	ErrCodeSpent = errors.New("store: the code is spent")
	// ErrJournalKey means that a journal's key is not the terminal's.
	ErrJournalKey = errors.New("store: another journal key than this terminal's")
)

// answerAgain is how long the same keys get the same certificate again: longer
// than a machine asks that did not get the answer.
const answerAgain = 15 * time.Minute

// Invitation is a one-time code for a terminal.
type Invitation struct {
	Terminal string
	CodeHash [32]byte
	Expires  time.Time

	// No is the terminal's number if it is new; the next free one if zero.
	No pboc.TerminalNo
	// Known says that the terminal is there already. Otherwise it is made.
	Known bool
	// SameMachine lets nobody use the code but the machine that keeps the
	// terminal's journal.
	SameMachine bool
}

// Invite writes an invitation down; earlier codes of its terminal are over. It
// returns the terminal's number. ErrConflict if a new terminal is there
// already, ErrNone if a known one is not, ErrJournalKey if the terminal has
// never had a journal and the same machine is wanted.
func (b *Books) Invite(ctx context.Context, i Invitation) (no pboc.TerminalNo, err error) {
	err = b.db.Write(ctx, func(tx *sqldb.Tx) error {
		if !i.Known {
			if err := b.addTerminal(ctx, tx, Terminal{ID: i.Terminal, No: i.No}); err != nil {
				return err
			}
		}
		t, err := lockTerminal(ctx, tx, i.Terminal)
		if err != nil {
			return err
		}
		no = t.No
		var only []byte
		if i.SameMachine {
			if only = t.JournalKey; only == nil {
				return ErrJournalKey
			}
		}
		if err := b.voidCodes(ctx, tx, i.Terminal); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO enrolments (code_hash, terminal, journal_key, made_ms, expires_ms) VALUES (?, ?, ?, ?, ?)`,
			i.CodeHash[:], i.Terminal, only, b.ms(), i.Expires.UnixMilli())
		return err
	})
	if err != nil {
		return no, fmt.Errorf("invite terminal: %w", err)
	}
	return no, nil
}

// voidCodes ends the codes for a terminal that were not used.
func (b *Books) voidCodes(ctx context.Context, tx *sqldb.Tx, terminal string) error {
	_, err := tx.Exec(ctx, `
		UPDATE enrolments SET void_ms = ? WHERE terminal = ? AND used_ms IS NULL AND void_ms IS NULL`, b.ms(), terminal)
	return err
}

// Invited returns the terminal that a code is for, whether it can still be used
// or not. ErrNone if it is no code of ours.
func (b *Books) Invited(ctx context.Context, codeHash [32]byte) (id string, err error) {
	err = b.db.QueryRow(ctx, `SELECT terminal FROM enrolments WHERE code_hash = ?`, codeHash[:]).Scan(&id)
	return id, none(err)
}

// Membership is what a machine gets when it becomes a terminal, or stays one.
type Membership struct {
	Terminal    string
	Certificate *x509.Certificate
	JournalKey  ed25519.PublicKey
}

// Enrol uses a code: the certificate is the terminal's from now on, and no
// earlier one is. It returns the terminal with the certificate to hand out. That
// is an earlier one if the same keys have used the code a moment ago: their
// answer was lost. ErrNone, ErrCodeOver, ErrCodeSpent, ErrJournalKey.
func (b *Books) Enrol(ctx context.Context, codeHash [32]byte, m Membership) (t Terminal, cert []byte, err error) {
	err = b.db.Write(ctx, func(tx *sqldb.Tx) error {
		if t, err = lockTerminal(ctx, tx, m.Terminal); err != nil {
			return err
		}
		e, err := enrolment(ctx, tx, codeHash)
		switch {
		case err != nil:
			return err
		case e.terminal != m.Terminal:
			return ErrNone
		case e.used.Valid:
			cert, err = b.sameAgain(ctx, tx, e, t, m)
			return err
		case e.void.Valid || b.ms() >= e.expires:
			return ErrCodeOver
		case e.only != nil && !m.JournalKey.Equal(e.only):
			return ErrJournalKey
		}
		fingerprint, err := b.addCertificate(ctx, tx, m)
		if err != nil {
			return err
		}
		cert = m.Certificate.Raw
		_, err1 := tx.Exec(ctx, `UPDATE enrolments SET used_ms = ?, fingerprint = ? WHERE code_hash = ?`,
			b.ms(), fingerprint[:], codeHash[:])
		_, err2 := tx.Exec(ctx, `
			UPDATE terminals SET fingerprint = ?, next_fingerprint = NULL, journal_key = ?, revoked_ms = NULL
			WHERE id = ?`,
			fingerprint[:], []byte(m.JournalKey), m.Terminal)
		return errors.Join(err1, err2)
	})
	if err != nil {
		return Terminal{}, nil, fmt.Errorf("enrol terminal: %w", err)
	}
	return t, cert, nil
}

// sameAgain returns the certificate that a used code was used for, to the keys
// that used it.
func (b *Books) sameAgain(ctx context.Context, tx *sqldb.Tx, e enrolmentRow, t Terminal, m Membership,
) ([]byte, error) {
	made, err := certificate(ctx, tx, e.fingerprint)
	if err != nil {
		return nil, err
	}
	late := b.ms() > e.used.Int64+answerAgain.Milliseconds()
	if late || t.Revoked || t.Fingerprint != e.fingerprint || made.keyHash != keyHashOf(m.Certificate) ||
		!m.JournalKey.Equal(t.JournalKey) {
		return nil, ErrCodeSpent
	}
	return made.der, nil
}

// Renew gives a terminal another certificate, which takes the place of the
// present one with its first use. caller is the fingerprint of the one that
// the terminal has shown. It returns the terminal with the certificate to hand
// out: an earlier one if the same key has asked a moment ago. ErrNone if caller
// is no good certificate of the terminal, ErrJournalKey.
func (b *Books) Renew(ctx context.Context, caller [32]byte, m Membership) (t Terminal, cert []byte, err error) {
	err = b.db.Write(ctx, func(tx *sqldb.Tx) error {
		if t, err = lockTerminal(ctx, tx, m.Terminal); err != nil {
			return err
		}
		if !t.Good(caller) {
			return ErrNone
		}
		if err := takeUp(ctx, tx, t, caller); err != nil {
			return err
		}
		if t.JournalKey != nil && !m.JournalKey.Equal(t.JournalKey) {
			return ErrJournalKey
		}
		if t.Next != caller && t.Next != ([32]byte{}) {
			if cert, err = b.recent(ctx, tx, t.Next, m); err != nil || cert != nil {
				return err
			}
		}
		fingerprint, err := b.addCertificate(ctx, tx, m)
		if err != nil {
			return err
		}
		cert = m.Certificate.Raw
		_, err = tx.Exec(ctx, `UPDATE terminals SET next_fingerprint = ?, journal_key = ? WHERE id = ?`,
			fingerprint[:], []byte(m.JournalKey), m.Terminal)
		return err
	})
	if err != nil {
		return Terminal{}, nil, fmt.Errorf("renew certificate: %w", err)
	}
	return t, cert, nil
}

// recent returns the certificate with the fingerprint if it was made for the
// same key a moment ago, or nil.
func (b *Books) recent(ctx context.Context, tx *sqldb.Tx, fingerprint [32]byte, m Membership) ([]byte, error) {
	made, err := certificate(ctx, tx, fingerprint)
	if err != nil || made.keyHash != keyHashOf(m.Certificate) || b.ms() > made.ms+answerAgain.Milliseconds() {
		return nil, err
	}
	return made.der, nil
}

// TakeUp notes that a terminal uses the certificate that it was given last. The
// one before is no longer good. ErrNone if that is not so.
func (b *Books) TakeUp(ctx context.Context, id string, fingerprint [32]byte) error {
	return b.db.Write(ctx, func(tx *sqldb.Tx) error {
		t, err := lockTerminal(ctx, tx, id)
		if err == nil && !t.Good(fingerprint) {
			err = ErrNone
		}
		if err != nil {
			return err
		}
		return takeUp(ctx, tx, t, fingerprint)
	})
}

func takeUp(ctx context.Context, tx *sqldb.Tx, t Terminal, fingerprint [32]byte) error {
	if t.Fingerprint == fingerprint {
		return nil
	}
	_, err := tx.Exec(ctx, `UPDATE terminals SET fingerprint = ?, next_fingerprint = NULL WHERE id = ?`,
		fingerprint[:], t.ID)
	return err
}

func (b *Books) addCertificate(ctx context.Context, tx *sqldb.Tx, m Membership) ([32]byte, error) {
	c := m.Certificate
	fingerprint, keyHash := sha256.Sum256(c.Raw), keyHashOf(c)
	_, err := tx.Exec(ctx, `
		INSERT INTO certificates (fingerprint, terminal, key_hash, der, made_ms, expires_ms) VALUES (?, ?, ?, ?, ?, ?)`,
		fingerprint[:], m.Terminal, keyHash[:], c.Raw, b.ms(), c.NotAfter.UnixMilli())
	return fingerprint, err
}

func keyHashOf(c *x509.Certificate) [32]byte { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

// certificateRow is a certificate as it is kept.
type certificateRow struct {
	keyHash [32]byte
	der     []byte
	ms      int64 // when it was made
}

func certificate(ctx context.Context, q sqldb.Querier, fingerprint [32]byte) (c certificateRow, err error) {
	var hash []byte
	err = q.QueryRow(ctx, `SELECT key_hash, der, made_ms FROM certificates WHERE fingerprint = ?`, fingerprint[:]).
		Scan(&hash, &c.der, &c.ms)
	copy(c.keyHash[:], hash)
	return c, none(err)
}

// enrolmentRow is a code as it is kept.
type enrolmentRow struct {
	terminal    string
	only        ed25519.PublicKey // nil: anybody
	expires     int64
	void, used  sql.NullInt64
	fingerprint [32]byte // zero before it was used
}

func enrolment(ctx context.Context, q sqldb.Querier, codeHash [32]byte) (e enrolmentRow, err error) {
	var only, fingerprint []byte
	err = q.QueryRow(ctx, `
		SELECT terminal, journal_key, expires_ms, void_ms, used_ms, fingerprint FROM enrolments WHERE code_hash = ?`,
		codeHash[:]).Scan(&e.terminal, &only, &e.expires, &e.void, &e.used, &fingerprint)
	e.only = only
	copy(e.fingerprint[:], fingerprint)
	return e, none(err)
}

// lockTerminal returns a terminal, and holds its row until the transaction
// ends. ErrNone if there is none.
func lockTerminal(ctx context.Context, tx *sqldb.Tx, id string) (Terminal, error) {
	if err := lockRow(ctx, tx, `SELECT 1 FROM terminals WHERE id = ? FOR NO KEY UPDATE`, id); err != nil {
		return Terminal{}, err
	}
	return scanTerminal(tx.QueryRow(ctx, `SELECT `+terminalColumns+` FROM terminals WHERE id = ?`, id))
}
