// Package place knows where terminals stand: "一食堂三号窗口" says more to a holder than
// the terminal's ID. It moves no money, and nothing is decided by it.
//
// A terminal that is moved keeps the places it has had, so that a record says where
// the terminal stood then. The first place that a terminal is given counts for what it
// did before, too: it was given late, and the terminal stood there.
package place

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// Place is where a terminal stands, as people say it.
type Place struct{ ZH, EN string }

// In returns the place in English, if it is known and wanted.
func (p Place) In(english bool) string {
	if english && p.EN != "" {
		return p.EN
	}
	return p.ZH
}

// Max is how many characters a place may have: one line of a screen.
const Max = 40

// ErrPlace means that a text can not be a place.
var ErrPlace = errors.New("a place is one line of at most 40 characters, in Chinese first")

// Check returns ErrPlace if nobody could read p on a screen.
func (p Place) Check() error {
	if p.ZH == "" {
		return ErrPlace
	}
	for _, s := range []string{p.ZH, p.EN} {
		if !utf8.ValidString(s) || utf8.RuneCountInString(s) > Max || strings.TrimSpace(s) != s ||
			strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return ErrPlace
		}
	}
	return nil
}

// Set says where a terminal stands from now on. The same again changes nothing. It
// returns ErrPlace, or [store.ErrNone] if there is no such terminal.
func Set(ctx context.Context, b *store.Books, terminal string, p Place) error {
	if err := p.Check(); err != nil {
		return err
	}
	err := b.Write(ctx, func(tx *sqldb.Tx) error {
		var id string
		err := tx.QueryRow(ctx, `SELECT id FROM terminals WHERE id = ? FOR NO KEY UPDATE`, terminal).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return store.ErrNone
		}
		if err != nil {
			return err
		}
		var last int64
		var is Place
		err = tx.QueryRow(ctx, newest, terminal).Scan(&last, &is.ZH, &is.EN)
		if err != nil && !errors.Is(err, sql.ErrNoRows) || is == p {
			return err
		}
		// The clock may have been put back: the newest word counts all the same.
		_, err = tx.Exec(ctx, `INSERT INTO terminal_places (terminal, since_ms, zh, en) VALUES (?, ?, ?, ?)`,
			terminal, max(b.Now().UnixMilli(), last+1), p.ZH, p.EN)
		return err
	})
	if err != nil && !errors.Is(err, store.ErrNone) {
		return fmt.Errorf("place of %s: %w", terminal, err)
	}
	return err
}

// Map is where all terminals stand and have stood.
type Map struct {
	all map[string][]stand // by terminal, the oldest first
}

type stand struct {
	since int64
	place Place
}

// Read returns the map of this moment. There are as many rows as machines on a
// campus, and a few more.
func Read(ctx context.Context, q sqldb.Querier) (Map, error) {
	m := Map{map[string][]stand{}}
	err := sqldb.Each(ctx, q, func(rows *sql.Rows) error {
		var id string
		var s stand
		err := rows.Scan(&id, &s.since, &s.place.ZH, &s.place.EN)
		m.all[id] = append(m.all[id], s)
		return err
	}, `SELECT terminal, since_ms, zh, en FROM terminal_places ORDER BY terminal, since_ms`)
	if err != nil {
		return Map{}, fmt.Errorf("read places: %w", err)
	}
	return m, nil
}

// Books are what places are read from.
type Books interface {
	Read(ctx context.Context, do func(*sqldb.Tx) error) error
}

// All is [Read] outside a transaction.
func All(ctx context.Context, b Books) (m Map, err error) {
	err = b.Read(ctx, func(tx *sqldb.Tx) error {
		m, err = Read(ctx, tx)
		return err
	})
	return m, err
}

// Of returns where one terminal was last said to stand, or nothing if nobody has ever
// said.
func Of(ctx context.Context, b Books, terminal string) (p Place, err error) {
	err = b.Read(ctx, func(tx *sqldb.Tx) error {
		err := tx.QueryRow(ctx, newest, terminal).Scan(new(int64), &p.ZH, &p.EN)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return Place{}, fmt.Errorf("place of %s: %w", terminal, err)
	}
	return p, nil
}

// newest is the last that was said of a terminal.
const newest = `SELECT since_ms, zh, en FROM terminal_places WHERE terminal = ? ORDER BY since_ms DESC LIMIT 1`

// At returns where a terminal stood at a time, or nothing if nobody has ever said.
func (m Map) At(terminal string, at time.Time) (p Place) {
	for i, s := range m.all[terminal] {
		if i > 0 && s.since > at.UnixMilli() {
			break
		}
		p = s.place
	}
	return p
}

// Now returns where a terminal was last said to stand.
func (m Map) Now(terminal string) (p Place) {
	if all := m.all[terminal]; len(all) > 0 {
		p = all[len(all)-1].place
	}
	return p
}

// Terminal is one that a card has in its log.
type Terminal struct {
	No    [6]byte
	ID    string
	Place Place // zero: nobody has said
}

// Numbered returns the terminals that have these numbers, where they stand now. It
// leaves out numbers that nobody has.
func Numbered(ctx context.Context, b Books, numbers [][]byte) (all []Terminal, err error) {
	if len(numbers) == 0 {
		return nil, nil
	}
	err = b.Read(ctx, func(tx *sqldb.Tx) error {
		all = nil
		places, err := Read(ctx, tx)
		if err != nil {
			return err
		}
		for _, no := range numbers {
			t := Terminal{}
			err := tx.QueryRow(ctx, `SELECT id FROM terminals WHERE terminal_no = ?`, no).Scan(&t.ID)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			copy(t.No[:], no)
			t.Place = places.Now(t.ID)
			all = append(all, t)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read terminals: %w", err)
	}
	return all, nil
}
