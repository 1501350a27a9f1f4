package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"quancun/upstream/store/sqldb"
)

// FeedHotlist is the feed that follows the cards' statuses. All other feeds
// have contents, see [Books.Publish].
const FeedHotlist = "hotlist"

// Feeds returns the newest version of each feed; 0 is one that has never had
// anything in it.
func (b *Books) Feeds(ctx context.Context) (map[string]uint64, error) {
	all := map[string]uint64{}
	err := sqldb.Each(ctx, b.db, func(rows *sql.Rows) error {
		var name string
		var version int64
		err := rows.Scan(&name, &version)
		all[name] = uint64(version)
		return err
	}, `SELECT name, version FROM feeds`)
	if err != nil {
		return nil, fmt.Errorf("read feeds: %w", err)
	}
	return all, nil
}

// FeedState is how far a feed has come.
type FeedState struct {
	Name    string
	Version uint64    // the newest; 0 if there has never been anything in it
	Changed time.Time // when it came; zero if it was there before feeds were
	Size    int64     // of its content in bytes, or of the hotlist in cards
	// Lost is the highest version that somebody has and these books have never
	// made; 0 if there is none that is newer than Version.
	Lost uint64
}

// FeedStates returns how far each feed has come, by name.
func (b *Books) FeedStates(ctx context.Context) (all []FeedState, err error) {
	err = sqldb.Each(ctx, b.db, func(rows *sql.Rows) error {
		var s FeedState
		var changed int64
		var whole uint64
		err := rows.Scan(&s.Name, &s.Version, &whole, &changed, &s.Size)
		if changed > 0 {
			s.Changed = time.UnixMilli(changed)
		}
		if whole > s.Version {
			s.Lost = whole - 1
		}
		all = append(all, s)
		return err
	}, `
		SELECT name, version, whole_from, changed_ms, CASE name
			WHEN ? THEN (SELECT count(*) FROM cards WHERE status <> 1)
			ELSE coalesce((SELECT length(c.content) FROM feed_contents c WHERE c.name = feeds.name
				ORDER BY c.version DESC LIMIT 1), 0) END
		FROM feeds ORDER BY name COLLATE "C"`, FeedHotlist)
	if err != nil {
		return nil, fmt.Errorf("read feeds: %w", err)
	}
	return all, nil
}

// nextVersion moves a feed one forward, and holds it until the transaction
// ends, so that nobody sees a version before what it brings. It passes over
// versions that somebody has been given by books that were lost.
func (b *Books) nextVersion(ctx context.Context, tx *sqldb.Tx, name string) (version int64, err error) {
	err = tx.QueryRow(ctx, `
		UPDATE feeds SET version = CASE WHEN whole_from > version THEN whole_from ELSE version + 1 END, changed_ms = ?
		WHERE name = ? RETURNING version`, b.ms(), name).Scan(&version)
	return version, none(err)
}

// hotChange notes in the hotlist that a card's status has changed.
func (b *Books) hotChange(ctx context.Context, tx *sqldb.Tx, no string, s CardStatus) error {
	version, err := b.nextVersion(ctx, tx, FeedHotlist)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO hot_changes (version, card_no, status, at_ms) VALUES (?, ?, ?, ?)`,
		version, no, s, b.ms())
	return err
}

// HotCard is a card's place on the hotlist.
type HotCard struct {
	CardNo string
	Status CardStatus // CardActive is one that is not on it any more
}

// Hotlist is a step of the hotlist to Version: what has changed since the
// version that was asked for, or all cards that are on it.
type Hotlist struct {
	Version uint64
	Whole   bool
	Cards   []HotCard // by number
}

// A step that leads over more versions than this, or changes more than three
// tenths of the list, is given whole.
const hotStepMax = 1000

// Hotlist returns what leads from version have to the newest, of one moment.
func (b *Books) Hotlist(ctx context.Context, have uint64) (h Hotlist, err error) {
	err = b.db.Read(ctx, func(tx *sqldb.Tx) error {
		h = Hotlist{}
		var size int
		var whole uint64
		err := tx.QueryRow(ctx, `
			SELECT version, whole_from, (SELECT count(*) FROM cards WHERE status <> 1) FROM feeds WHERE name = ?`,
			FeedHotlist).Scan(&h.Version, &whole, &size)
		if err != nil {
			return err
		}
		if have > h.Version {
			return ErrBackward
		}
		if have > 0 && have >= whole && h.Version-have <= hotStepMax {
			h.Cards, err = readHot(ctx, tx, `
				SELECT card_no, status FROM cards WHERE card_no IN (
					SELECT card_no FROM hot_changes WHERE version > ?) ORDER BY card_no COLLATE "C"`, have)
			if err != nil || 10*len(h.Cards) <= 3*size {
				return err
			}
		}
		h.Whole = true
		h.Cards, err = readHot(ctx, tx, `
			SELECT card_no, status FROM cards WHERE status <> 1 ORDER BY card_no COLLATE "C"`)
		return err
	})
	if err != nil {
		return Hotlist{}, fmt.Errorf("read hotlist: %w", err)
	}
	return h, nil
}

func readHot(ctx context.Context, tx *sqldb.Tx, query string, args ...any) (all []HotCard, err error) {
	err = sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		var c HotCard
		err := rows.Scan(&c.CardNo, &c.Status)
		all = append(all, c)
		return err
	}, query, args...)
	return all, err
}

// Publish gives a feed with contents new ones, and returns their version.
func (b *Books) Publish(ctx context.Context, name string, content []byte) (version uint64, err error) {
	if name == FeedHotlist {
		return 0, fmt.Errorf("publish %s: it follows the cards", name)
	}
	err = b.db.Write(ctx, func(tx *sqldb.Tx) error {
		version, err = b.PublishIn(ctx, tx, name, content)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("publish %s: %w", name, err)
	}
	return version, nil
}

// PublishIn is [Books.Publish] within a transaction that does more.
func (b *Books) PublishIn(ctx context.Context, tx *sqldb.Tx, name string, content []byte) (uint64, error) {
	next, err := b.nextVersion(ctx, tx, name)
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO feed_contents (name, version, content, at_ms) VALUES (?, ?, ?, ?)`,
		name, next, content, b.ms())
	return uint64(next), err
}

// Content returns the newest contents of a feed and their version, 0 for none.
func (b *Books) Content(ctx context.Context, name string) (version uint64, content []byte, err error) {
	return ContentIn(ctx, b.db, name)
}

// ContentIn is [Books.Content] as q sees it.
func ContentIn(ctx context.Context, q sqldb.Querier, name string) (version uint64, content []byte, err error) {
	err = q.QueryRow(ctx, `
		SELECT f.version, c.content FROM feeds f
		LEFT JOIN feed_contents c ON c.name = f.name AND c.version = (
			SELECT max(version) FROM feed_contents WHERE name = f.name)
		WHERE f.name = ?`, name).Scan(&version, &content)
	return version, content, none(err)
}

// versionMax is above every version that a feed comes to. Who says more has none of
// ours; to pass over it would leave no number for what comes next.
const versionMax = 1 << 40

// PassOver notes that somebody has a version of a feed that there never was: the
// books were restored from a copy. That number and those below it are given to
// nothing else, so that nobody takes what comes next for what they have. One that no
// feed can have come to is nothing to pass over.
func (b *Books) PassOver(ctx context.Context, tx *sqldb.Tx, name string, version uint64) error {
	if version >= versionMax {
		return nil
	}
	_, err := tx.Exec(ctx, `UPDATE feeds SET whole_from = ?1 WHERE name = ?2 AND version < ?1 AND whole_from < ?1`,
		int64(version)+1, name)
	if err != nil {
		return fmt.Errorf("pass over version %d of %s: %w", version, name, err)
	}
	return nil
}

// remade is whether these books have made a version of a feed later than a moment, or have
// only later come to one that is below it.
const remade = `(feeds.version <= ?2 AND feeds.changed_ms > ?3 OR EXISTS (
	SELECT 1 FROM hot_changes WHERE feeds.name = 'hotlist' AND hot_changes.version = ?2 AND at_ms > ?3
	UNION ALL SELECT 1 FROM feed_contents c WHERE c.name = feeds.name AND c.version = ?2 AND at_ms > ?3))`

// apartMax is how far the clocks of two campusd on these books may be apart.
const apartMax = time.Minute

// IsRemade reports whether the version of a feed that somebody was given at issued lacks what
// these books have in it, or below it: they were restored from a copy since, and have come to
// that number again, or have not yet. What was lost and what came then are different.
func (b *Books) IsRemade(ctx context.Context, name string, version uint64, issued time.Time) (is bool, err error) {
	if version == 0 || version >= versionMax || issued.IsZero() {
		return false, nil
	}
	err = b.db.QueryRow(ctx, `SELECT `+remade+` FROM feeds WHERE name = ?1`, name, int64(version),
		toMS(issued.Add(apartMax))).Scan(&is)
	return is, none(err)
}

// PassRemade moves a feed past a version that IsRemade, so that whoever has that number is
// given everything, and reports whether it did. Once it has, it does no more for that number.
func (b *Books) PassRemade(ctx context.Context, tx *sqldb.Tx, name string, version uint64, issued time.Time,
) (moved bool, err error) {
	err = changed(tx.Exec(ctx, `
		UPDATE feeds SET version = CASE WHEN version > ?2 THEN version ELSE ?2 END + 1,
			whole_from = CASE WHEN version > ?2 THEN version ELSE ?2 END + 1, changed_ms = ?4
		WHERE name = ?1 AND whole_from <= ?2 AND `+remade,
		name, int64(version), toMS(issued.Add(apartMax)), b.ms()))
	if errors.Is(err, ErrNone) {
		return false, nil
	}
	return err == nil, err
}

// ForwardFeed moves a feed to a version above one that terminals have been
// given by books that were lost since. What it says does not change, so
// somebody has looked at it before: terminals will believe it again, whole.
func (b *Books) ForwardFeed(ctx context.Context, name string, above uint64) error {
	return b.db.Write(ctx, func(tx *sqldb.Tx) error {
		err := changed(tx.Exec(ctx, `
			UPDATE feeds SET version = ?1, whole_from = ?1, changed_ms = ?2 WHERE name = ?3 AND version < ?1`,
			int64(above)+1, b.ms(), name))
		if err != nil {
			return fmt.Errorf("forward feed %s: %w", name, err)
		}
		return nil
	})
}
