package store

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"quancun/pboc"
	"quancun/upstream/store/sqldb"
)

// Terminal is a machine that may call.
type Terminal struct {
	ID          string
	No          pboc.TerminalNo
	Fingerprint [32]byte          // SHA-256 of its certificate; zero before it was enrolled
	Next        [32]byte          // SHA-256 of a renewed one that it has not used yet; zero if there is none
	Expires     time.Time         // of its certificate; zero if that was made with the terminal's key
	JournalKey  ed25519.PublicKey // signs its journal; nil before it was enrolled
	Revoked     bool
	Heard       time.Time // of its last Hello; zero before
	Version     string
	Drift       time.Duration     // by which its clock was ahead
	Feeds       map[string]uint64 // version of each that it had; nil if it has not said
	Fault       string            // what was wrong with its journal; "" for nothing
}

// Heard is what a terminal said of itself.
type Heard struct {
	Version     string
	Drift       time.Duration
	Epoch       string
	JournalHead int64
	Feeds       map[string]uint64
	Fault       string // of its journal, which does not say then how far it has come
}

// Good reports whether a certificate with this fingerprint is good for t.
func (t Terminal) Good(fingerprint [32]byte) bool {
	return !t.Revoked && fingerprint != [32]byte{} && (fingerprint == t.Fingerprint || fingerprint == t.Next)
}

// AddTerminal adds t, or gives a known terminal a new certificate and takes it
// back into service. A new terminal whose No is zero gets the next free one;
// a known one keeps its own. It returns the number.
func (b *Books) AddTerminal(ctx context.Context, t Terminal) (no pboc.TerminalNo, err error) {
	err = b.db.Write(ctx, func(tx *sqldb.Tx) error {
		err := b.addTerminal(ctx, tx, t)
		if errors.Is(err, ErrConflict) {
			_, err = tx.Exec(ctx, `
				UPDATE terminals SET fingerprint = ?, next_fingerprint = NULL, revoked_ms = NULL WHERE id = ?`,
				t.Fingerprint[:], t.ID)
		}
		if err != nil {
			return err
		}
		now, err := lockTerminal(ctx, tx, t.ID)
		no = now.No
		return err
	})
	if err != nil {
		return pboc.TerminalNo{}, fmt.Errorf("add terminal: %w", err)
	}
	return no, nil
}

// addTerminal adds a terminal. ErrConflict if it is there already.
func (b *Books) addTerminal(ctx context.Context, tx *sqldb.Tx, t Terminal) (err error) {
	if err := tx.Lock(ctx, "terminal numbers"); err != nil {
		return err
	}
	if t.No == (pboc.TerminalNo{}) {
		if t.No, err = freeTerminalNo(ctx, tx); err != nil {
			return err
		}
	}
	return fresh(tx.Exec(ctx, `
		INSERT INTO terminals (id, terminal_no, fingerprint, added_ms) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
		t.ID, t.No[:], t.Fingerprint[:], b.ms()))
}

// HasJournalKeys reports whether any terminal has a journal's key, for which the campus has
// signed a certificate.
func (b *Books) HasJournalKeys(ctx context.Context) (has bool, err error) {
	err = b.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM terminals WHERE journal_key IS NOT NULL)`).Scan(&has)
	return has, err
}

// freeTerminalNo returns the number after the count of terminals, or the next
// one that nobody has: some bring a number of their own.
func freeTerminalNo(ctx context.Context, tx *sqldb.Tx) (no pboc.TerminalNo, err error) {
	var n int64
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM terminals`).Scan(&n); err != nil {
		return no, err
	}
	for taken := true; taken && err == nil; {
		n++
		no = bcd(n)
		err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM terminals WHERE terminal_no = ?)`, no[:]).Scan(&taken)
	}
	return no, err
}

// bcd writes n so that people read the same digits in every tool.
func bcd(n int64) (no pboc.TerminalNo) {
	for i := len(no) - 1; i >= 0; i-- {
		no[i] = byte(n%10 | n/10%10<<4)
		n /= 100
	}
	return no
}

// RevokeTerminal shuts a terminal out, and whoever has a code for it that was not used.
// Its rows stay.
func (b *Books) RevokeTerminal(ctx context.Context, id string) error {
	return b.db.Write(ctx, func(tx *sqldb.Tx) error {
		err := changed(tx.Exec(ctx, `UPDATE terminals SET revoked_ms = ? WHERE id = ?`, b.ms(), id))
		if err != nil {
			return err
		}
		return b.voidCodes(ctx, tx, id) // the terminal is locked: none is being used
	})
}

// Standing is how much of a terminal's present journal we hold.
type Standing struct {
	Epoch string // as the terminal said last; "" before its first word
	Said  int64  // entries that it had then
	Held  int64  // entries that we have of it
	// Carrying says that the journal is bringing over what one before it had
	// not sent yet.
	Carrying bool
}

// Unsent returns how many entries we know of and do not have. There may be more
// of which the terminal has not told yet.
func (s Standing) Unsent() int64 { return max(0, s.Said-s.Held) }

// Standing returns how much of a terminal's journal we hold, or ErrNone.
func (b *Books) Standing(ctx context.Context, id string) (s Standing, err error) {
	err = b.db.QueryRow(ctx, `SELECT epoch, journal_head FROM terminals WHERE id = ?`, id).Scan(&s.Epoch, &s.Said)
	if err != nil {
		return s, none(err)
	}
	epoch, err := hex.DecodeString(s.Epoch)
	if err != nil {
		return s, nil // a program from before journals were sent
	}
	err = b.db.QueryRow(ctx, `SELECT head_seq, carrying FROM journals WHERE terminal = ? AND epoch = ?`, id, epoch).
		Scan(&s.Held, &s.Carrying)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return s, err
}

const terminalColumns = `
	id, terminal_no, fingerprint, next_fingerprint, journal_key, revoked_ms IS NOT NULL, heard_ms, version, drift_ms,
	feeds, fault, (SELECT expires_ms FROM certificates WHERE certificates.fingerprint = terminals.fingerprint)`

// Terminal returns a terminal, or ErrNone.
func (b *Books) Terminal(ctx context.Context, id string) (Terminal, error) {
	row := b.db.QueryRow(ctx, `SELECT `+terminalColumns+` FROM terminals WHERE id = ?`, id)
	return scanTerminal(row)
}

// Terminals returns all terminals by ID.
func (b *Books) Terminals(ctx context.Context) (all []Terminal, err error) {
	err = sqldb.Each(ctx, b.db, func(rows *sql.Rows) error {
		t, err := scanTerminal(rows)
		all = append(all, t)
		return err
	}, `SELECT `+terminalColumns+` FROM terminals ORDER BY id`)
	return all, err
}

type scanner interface{ Scan(dest ...any) error }

func scanTerminal(row scanner) (t Terminal, err error) {
	var no, fingerprint, next, journalKey []byte
	var heard, expires sql.NullInt64
	var drift int64
	var feeds string
	err = row.Scan(&t.ID, &no, &fingerprint, &next, &journalKey, &t.Revoked, &heard, &t.Version, &drift,
		&feeds, &t.Fault, &expires)
	if err != nil {
		return Terminal{}, none(err)
	}
	if feeds != "" {
		if err := json.Unmarshal([]byte(feeds), &t.Feeds); err != nil {
			return Terminal{}, fmt.Errorf("feeds of %s: %w", t.ID, err)
		}
	}
	t.No, t.Fingerprint, t.Heard, t.Expires = pboc.TerminalNo(no), [32]byte(fingerprint), fromMS(heard), fromMS(expires)
	copy(t.Next[:], next)
	t.JournalKey = journalKey
	t.Drift = time.Duration(drift) * time.Millisecond
	return t, nil
}

// Hear notes what a terminal said of itself. A journal that has become
// shorter in the same epoch was restored from a backup, and numbers may have
// been given twice: an alarm. So is a journal with a fault, once each time that
// it is found.
func (b *Books) Hear(ctx context.Context, id string, h Heard) error {
	return b.db.Write(ctx, func(tx *sqldb.Tx) error {
		var epoch, fault string
		var head int64
		err := tx.QueryRow(ctx,
			`SELECT epoch, journal_head, fault FROM terminals WHERE id = ? FOR NO KEY UPDATE`, id).
			Scan(&epoch, &head, &fault)
		if err != nil {
			return none(err)
		}
		if h.Fault != "" {
			h.Epoch, h.JournalHead = epoch, head
		}
		if h.Fault != "" && h.Fault != fault {
			if _, err := b.alarm(ctx, tx, Alarm{Kind: AlarmJournalFault, Ref: id, Detail: h.Fault}); err != nil {
				return err
			}
		}
		feeds, err := feedsText(h.Feeds)
		if err != nil {
			return err
		}
		if epoch == h.Epoch && h.JournalHead < head {
			detail := fmt.Sprintf("head %d after %d in epoch %s", h.JournalHead, head, epoch)
			if _, err := b.alarm(ctx, tx, Alarm{Kind: AlarmJournalRewound, Ref: id, Detail: detail}); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `
			UPDATE terminals SET heard_ms = ?, version = ?, drift_ms = ?, epoch = ?, journal_head = ?,
				feeds = ?, fault = ?
			WHERE id = ?`,
			b.ms(), h.Version, h.Drift.Milliseconds(), h.Epoch, h.JournalHead, feeds, h.Fault, id)
		if err != nil {
			return err
		}
		return b.hearHotlist(ctx, tx, id, h.Feeds)
	})
}

// hearHotlist notes which hotlist a terminal has, if these books have come to it: books that
// were restored will have something else under a number that they have not come to yet.
func (b *Books) hearHotlist(ctx context.Context, tx *sqldb.Tx, id string, feeds map[string]uint64) error {
	version, said := feeds[FeedHotlist]
	if !said {
		return nil
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO hotlists_heard (terminal, version, first_ms, last_ms)
		SELECT ?1, ?2, ?3, ?3 FROM feeds WHERE name = ?4 AND version >= ?2
		ON CONFLICT (terminal, version) DO UPDATE SET last_ms = excluded.last_ms
		WHERE hotlists_heard.last_ms < excluded.last_ms`, id, int64(version), b.ms(), FeedHotlist)
	return err
}

// feedsText is how the versions of feeds are stored.
func feedsText(versions map[string]uint64) (string, error) {
	if len(versions) == 0 {
		return "", nil // a program from before they were said
	}
	text, err := json.Marshal(versions)
	return string(text), err
}
