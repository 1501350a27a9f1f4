// Package hot says what is known of a purchase with a card that may not be used: since
// when it may not, from when on its holder was promised to bear nothing, and whether the
// terminal could know. It decides nothing and posts nothing; people and package clearing
// do.
//
// When a purchase was is the word of a terminal that had no network. Which version of
// the hotlist it had then, nobody has written down; but a terminal says at each
// greeting which one it has, and its list only goes forward. So a greeting before the
// purchase with the version that has the card proves that it knew, and one after it with
// an older version that it did not.
package hot

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"quancun/journal"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// Kind is what the inbox calls a use. Stored: never renamed.
const Kind = "hot card"

// School is the account of the school's that bears what holders need not, and whatever
// else is written off.
const School store.Account = "over-short/clearing"

// ClaimRef names the line of the inbox about a purchase that was in doubt: by where it
// was announced, and by its own name, since two machines with one identity may have used
// one number.
func ClaimRef(at journal.Position, ref string) string { return at.String() + " " + ref }

// ClaimIn returns the name of the purchase that was in doubt and that a line is about.
func ClaimIn(lineRef string) (ref string, is bool) {
	_, ref, is = strings.Cut(lineRef, " ")
	return ref, is
}

// ClaimUsed returns when the card of a purchase that was in doubt was used, by the
// terminal's clock, or [store.ErrNone] if no holder has paid it.
func ClaimUsed(ctx context.Context, q sqldb.Querier, claim int64) (time.Time, error) {
	var ms int64
	err := q.QueryRow(ctx, `SELECT made_ms FROM entries WHERE claim_id = ? AND kind = ? ORDER BY id LIMIT 1`,
		claim, store.KindDoubt).Scan(&ms)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, store.ErrNone
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("when a card was used: %w", err)
	}
	return time.UnixMilli(ms).UTC(), nil
}

// Use is a purchase with a card that may not be used.
type Use struct {
	Card     string
	Terminal string
	At       time.Time // by the terminal's clock
	Listed   time.Time // what became of the card after this does not count; zero for now
	Now      time.Time // what is dated after it was while our clock was ahead, and counts
}

// Knowledge is whether a terminal knew.
type Knowledge int

// What can be known of it.
const (
	Unsaid  Knowledge = 0 // nobody can tell
	Knew    Knowledge = 1
	KnewNot Knowledge = 2
)

// Facts are what is known of a use.
type Facts struct {
	Status  store.CardStatus // with which the card came onto the hotlist; that it was replaced since does not count
	Version int64            // of the hotlist, with which it did
	Since   time.Time        // when it did
	Ahead   bool             // that was while our clock was ahead: nobody knows when it was
	Free    time.Time        // from when on its holder was promised to bear nothing; zero: nobody has promised
	Knew    Knowledge

	// Had is the newest version that the terminal had said before the purchase, at
	// HadAt; zero if it had said nothing.
	Had   int64
	HadAt time.Time
}

// aheadMax is how far another campusd's clock may be ahead.
const aheadMax = time.Hour

// Slack is by how much a terminal's clock may differ from ours before we would know.
const Slack = 5 * time.Minute

// Holders reports whether the use is the holder's to bear: the card was still good, or it
// was before the time from which on nothing is, and the terminal is not known to have had
// the list. What was listed and promised by a clock that was ahead is no reason: it would
// be the holder's until then.
func (f Facts) Holders(at time.Time) bool {
	if f.Ahead {
		return false
	}
	return at.Before(f.Since) || !f.Free.IsZero() && at.Before(f.Free) && f.Knew != Knew
}

// Look returns what is known of a use, or [store.ErrNone] for a card that was on no
// hotlist, or is not on it any more.
func Look(ctx context.Context, q sqldb.Querier, u Use) (f Facts, err error) {
	until := int64(1<<63 - 1)
	if !u.Listed.IsZero() {
		until = u.Listed.UnixMilli()
	}
	var since, free int64
	err = q.QueryRow(ctx, `
		SELECT CAST(coalesce(max(h.version), 0) AS BIGINT), CAST(coalesce(max(h.status), 0) AS BIGINT),
			CAST(coalesce(max(h.at_ms), 0) AS BIGINT), CAST(coalesce(min(r.free_ms), 0) AS BIGINT)
		FROM hot_changes h JOIN cards c ON c.card_no = h.card_no
		LEFT JOIN lost_reports r ON r.account = c.account AND r.version >= h.version AND NOT EXISTS (
			SELECT 1 FROM hot_changes x WHERE x.card_no = ?1 AND x.status = 4
			AND x.version BETWEEN h.version AND r.version)
		WHERE h.version = (SELECT min(version) FROM hot_changes
			WHERE card_no = ?1 AND (at_ms <= ?2 OR at_ms > ?3) AND version > (
				SELECT coalesce(max(version), 0) FROM hot_changes
				WHERE card_no = ?1 AND (at_ms <= ?2 OR at_ms > ?3) AND status = 1))`,
		u.Card, until, u.Now.Add(aheadMax).UnixMilli()).
		Scan(&f.Version, &f.Status, &since, &free)
	if err != nil {
		return Facts{}, fmt.Errorf("since when a card is hot: %w", err)
	}
	if f.Version == 0 {
		return Facts{}, store.ErrNone
	}
	f.Since = time.UnixMilli(since).UTC()
	f.Ahead = f.Since.After(u.Now.Add(aheadMax))
	if free > 0 {
		f.Free = time.UnixMilli(free).UTC()
	}
	return f, f.ask(ctx, q, u)
}

// ask finds out what the terminal has said of its list, before the use and after.
func (f *Facts) ask(ctx context.Context, q sqldb.Querier, u Use) error {
	before, after := u.At.Add(-Slack).UnixMilli(), u.At.Add(Slack).UnixMilli()
	var knew, not bool
	var had int64
	err := q.QueryRow(ctx, `
		SELECT EXISTS (SELECT 1 FROM hotlists_heard WHERE terminal = ?1 AND version >= ?2 AND first_ms <= ?3),
			EXISTS (SELECT 1 FROM hotlists_heard WHERE terminal = ?1 AND version < ?2 AND last_ms >= ?4),
			CAST(coalesce((SELECT max(version) FROM hotlists_heard
				WHERE terminal = ?1 AND first_ms <= ?3), 0) AS BIGINT),
			CAST(coalesce((SELECT first_ms FROM hotlists_heard WHERE terminal = ?1 AND first_ms <= ?3
				ORDER BY version DESC LIMIT 1), 0) AS BIGINT)`, u.Terminal, f.Version, before, after).
		Scan(&knew, &not, &f.Had, &had)
	if err != nil {
		return fmt.Errorf("which hotlist a terminal had: %w", err)
	}
	if had > 0 {
		f.HadAt = time.UnixMilli(had).UTC()
	}
	switch { // both: an old image of its disk was put back
	case knew && !not:
		f.Knew = Knew
	case not && !knew:
		f.Knew = KnewNot
	}
	return nil
}

// Text says it in a line of the inbox.
func (f Facts) Text(u Use) string {
	text := fmt.Sprintf("card %s has status %d since %s, and was used at %s by the terminal's clock",
		u.Card, f.Status, utc(f.Since), utc(u.At))
	if !f.Free.IsZero() {
		text += "; its holder was promised to bear nothing from " + utc(f.Free) + " on"
	}
	text += fmt.Sprintf("; hotlist %d has it, ", f.Version)
	if f.HadAt.IsZero() {
		text += "and the terminal had not said which one it had"
	} else {
		text += fmt.Sprintf("and the terminal had said %d at %s", f.Had, utc(f.HadAt))
	}
	return text + map[Knowledge]string{
		Knew: ": it knew", KnewNot: ": it did not know, as it said later", Unsaid: ": nobody can tell whether it knew",
	}[f.Knew]
}

func utc(t time.Time) string { return t.UTC().Format(time.RFC3339) }
