// Package risk says how much money terminals may have sold for of which these books
// know nothing yet: "campusd risk".
//
// It keeps apart what is known and what is bounded. Known is what a terminal has told
// of: entries that it had when it was last heard from and that are not here, and sums
// that are held for sales which were asked about. The rest is a bound: what the
// school's rules let a terminal sell without asking, in the time since then. It may
// have sold nothing.
package risk

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"quancun/kiosk/rules"
	"quancun/money"
	"quancun/upstream/ingest"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// thereMax is how long a terminal that says nothing still counts as there. It calls
// every five seconds, and asks before each sale.
const thereMax = 2 * time.Minute

// Terminal is how one stands. Times are zero where there is none.
type Terminal struct {
	ID      string    `json:"terminal"`
	Revoked bool      `json:"revoked,omitempty"`
	Sells   bool      `json:"has_sold"`             // it has, ever
	Heard   time.Time `json:"heard,omitzero"`       // of last, in any call or upload
	Dark    bool      `json:"dark"`                 // since Heard
	Stops   time.Time `json:"sells_until,omitzero"` // without asking, if it stays dark

	// ListAge is how old its hotlist is at least, in seconds. Behind is by how many
	// versions it was behind when it was heard from; -1 if it has not said.
	ListAge int64 `json:"hotlist_age_seconds"`
	Behind  int64 `json:"hotlist_behind"`

	Unsent int64     `json:"unsent_entries"` // known
	Held   money.Fen `json:"held_fen"`       // known
	Holds  int       `json:"holds"`
	AtMost money.Fen `json:"at_most_fen"` // a bound on what was sold besides
}

// Report is how all of them stand, the worst first.
type Report struct {
	At        time.Time  `json:"at"`
	Terminals []Terminal `json:"terminals"`

	Unsent int64     `json:"unsent_entries"` // known
	Held   money.Fen `json:"held_fen"`       // known
	AtMost money.Fen `json:"at_most_fen"`    // of terminals that have ever sold and may call
	// What the rules would have let the others sell: kiosks, and those shut out.
	Unsold  money.Fen `json:"never_sold_at_most_fen"`
	Revoked money.Fen `json:"revoked_at_most_fen"`
}

// Read reads how the terminals of books stand.
func Read(ctx context.Context, b *store.Books) (Report, error) {
	r := Report{At: b.Now().UTC().Truncate(time.Second), Terminals: []Terminal{}}
	s := &site{books: b, now: r.At, rules: map[uint64]rules.Rules{}}
	if err := s.read(ctx); err != nil {
		return Report{}, fmt.Errorf("risk: %w", err)
	}
	for _, t := range s.terminals {
		if t.Heard.IsZero() && s.pushed[t.ID].IsZero() {
			continue // it has never been a machine
		}
		x, err := s.terminal(ctx, t)
		if err != nil {
			return Report{}, fmt.Errorf("risk of %s: %w", t.ID, err)
		}
		r.add(x)
	}
	slices.SortStableFunc(r.Terminals, func(a, b Terminal) int {
		return cmp.Or(cmp.Compare(b.AtMost+b.Held, a.AtMost+a.Held), a.Heard.Compare(b.Heard))
	})
	return r, nil
}

func (r *Report) add(x Terminal) {
	r.Terminals = append(r.Terminals, x)
	r.Unsent, r.Held = r.Unsent+x.Unsent, r.Held+x.Held
	switch {
	case x.Revoked:
		r.Revoked += x.AtMost
	case !x.Sells:
		r.Unsold += x.AtMost
	default:
		r.AtMost += x.AtMost
	}
}

// site is what is read once for all terminals.
type site struct {
	books     *store.Books
	now       time.Time
	terminals []store.Terminal
	holds     map[string]ingest.Holding
	pushed    map[string]time.Time
	newest    map[string]uint64
	rules     map[uint64]rules.Rules // by version of the settings
}

func (s *site) read(ctx context.Context) (err error) {
	if s.terminals, err = s.books.Terminals(ctx); err != nil {
		return err
	}
	if s.holds, err = ingest.Holdings(ctx, s.books); err != nil {
		return err
	}
	if s.newest, err = s.books.Feeds(ctx); err != nil {
		return err
	}
	s.pushed = map[string]time.Time{}
	return sqldb.Each(ctx, s.books.Live(), func(rows *sql.Rows) error {
		var id string
		var at int64
		err := rows.Scan(&id, &at)
		s.pushed[id] = time.UnixMilli(at).UTC()
		return err
	}, `SELECT terminal, max(pushed_ms) FROM journals WHERE pushed_ms IS NOT NULL GROUP BY terminal`)
}

func (s *site) terminal(ctx context.Context, t store.Terminal) (Terminal, error) {
	stands, err := s.books.Standing(ctx, t.ID)
	if err != nil {
		return Terminal{}, err
	}
	x := Terminal{
		ID: t.ID, Revoked: t.Revoked, Heard: t.Heard.UTC(), Unsent: stands.Unsent(),
		Held: s.holds[t.ID].Amount, Holds: s.holds[t.ID].Count,
	}
	if pushed := s.pushed[t.ID]; pushed.After(x.Heard) {
		x.Heard = pushed
	}
	if x.Sells, err = s.sells(ctx, t.ID); err != nil {
		return x, err
	}
	if err := s.list(ctx, t, &x); err != nil {
		return x, err
	}
	return x, s.bound(ctx, t, &x)
}

// sells reports whether a terminal has ever sold anything to a holder.
func (s *site) sells(ctx context.Context, id string) (yes bool, err error) {
	err = s.books.Live().QueryRow(ctx, `
		SELECT EXISTS (SELECT 1 FROM journals j JOIN entries e ON e.journal = j.id
			WHERE j.terminal = ? AND e.kind IN (?, ?))`, id, store.KindPurchase, store.KindDoubt).Scan(&yes)
	return yes, err
}

// list says how old the hotlist of a terminal is at least: it was the newest when the
// terminal was heard from, or the first change came that it did not have.
func (s *site) list(ctx context.Context, t store.Terminal, x *Terminal) error {
	as := x.Heard
	if x.Behind = -1; t.Feeds != nil {
		have := t.Feeds[store.FeedHotlist]
		x.Behind = max(0, int64(s.newest[store.FeedHotlist])-int64(have))
		var missed sql.NullInt64
		err := s.books.Live().QueryRow(ctx, `
			SELECT at_ms FROM hot_changes WHERE version > ? ORDER BY version LIMIT 1`, int64(have)).Scan(&missed)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if at := time.UnixMilli(missed.Int64); missed.Valid && at.Before(as) {
			as = at
		}
	}
	x.ListAge = int64(s.now.Sub(as) / time.Second)
	return nil
}

// bound says what the rules let a terminal sell besides what is held: what it had not
// sent when it was heard from, and what it can have sold since. The rules are those
// that it had then, or the newest, whichever let it sell more.
func (s *site) bound(ctx context.Context, t store.Terminal, x *Terminal) error {
	age := s.now.Sub(x.Heard)
	x.Dark = age > thereMax
	for _, version := range []uint64{t.Feeds["settings"], s.newest["settings"]} {
		r, err := s.rulesOf(ctx, version)
		if err != nil {
			return err
		}
		most := money.Fen(min(x.Unsent, int64(r.QueueMax/max(r.SaleMax, 1))+1)) * r.SaleMax
		if x.Dark {
			most += r.Most(age)
			x.Stops = latest(x.Stops, x.Heard.Add(r.Stops()))
		}
		x.AtMost = max(x.AtMost, min(most, r.QueueMax))
	}
	return nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// rulesOf returns the rules of a version of the settings, those of whoever has none
// for 0.
func (s *site) rulesOf(ctx context.Context, version uint64) (rules.Rules, error) {
	if r, ok := s.rules[version]; ok {
		return r, nil
	}
	var content []byte
	err := s.books.Live().QueryRow(ctx, `
		SELECT content FROM feed_contents WHERE name = 'settings' AND version <= ? ORDER BY version DESC LIMIT 1`,
		int64(version)).Scan(&content)
	r := rules.Default()
	if err == nil {
		r, err = rules.Parse(content)
	}
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	s.rules[version] = r
	return r, err
}
