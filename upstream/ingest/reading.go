package ingest

import (
	"database/sql"
	"errors"
	"fmt"

	"quancun/journal"
	"quancun/money"
	"quancun/pboc"
)

// Reading is what a card says of itself. Counters only grow, so a reading
// tells about what was before it, whenever it arrives; that a counter has not
// moved yet tells nothing, since the reading may be the older one.
type Reading struct {
	Purse   money.Fen
	Offline uint16
	Online  *uint16 // nil when it was not read
}

func readingOf(p journal.Purse) Reading {
	return Reading{Purse: money.Fen(p.Balance), Offline: p.Counter}
}

// sight takes a card's counters and purse, read while nothing was written.
func (d *desk) sight(f *fact) error {
	e := f.entry
	if e.Purse == nil {
		return nil
	}
	r := readingOf(*e.Purse)
	var more struct {
		Online *uint16 `json:"online"`
	}
	details(e, &more)
	r.Online = more.Online
	if err := d.keepSighting(e.Card, r); err != nil {
		return err
	}
	return d.settleByReading(e.Card, r)
}

func (d *desk) keepSighting(card string, r Reading) error {
	var online any
	if r.Online != nil {
		online = int64(*r.Online)
	}
	_, err := d.tx.Exec(d.ctx, `
		INSERT INTO sightings (card_no, purse_fen, offline, online, terminal, seen_ms) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (card_no) DO UPDATE SET purse_fen = excluded.purse_fen, offline = excluded.offline,
			online = coalesce(excluded.online, sightings.online),
			terminal = excluded.terminal, seen_ms = excluded.seen_ms
		WHERE excluded.offline >= sightings.offline
			AND coalesce(excluded.online, 65535) >= coalesce(sightings.online, 0)`,
		card, r.Purse, int64(r.Offline), online, d.terminal, d.now.UnixMilli())
	if err != nil {
		return fmt.Errorf("write sighting: %w", err)
	}
	return nil
}

// settleBySighting settles a claim by what the card has last said.
func (d *desk) settleBySighting(c *claim) error {
	var r Reading
	var online sql.NullInt64
	err := d.tx.QueryRow(d.ctx, `SELECT purse_fen, offline, online FROM sightings WHERE card_no = ?`, c.Card).
		Scan(&r.Purse, &r.Offline, &online)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read sighting: %w", err)
	}
	if online.Valid {
		n := uint16(online.Int64)
		r.Online = &n
	}
	return d.settleByReading(c.Card, r)
}

// settleByReading settles the open claims on a card that a reading is certain
// about.
func (d *desk) settleByReading(card string, r Reading) error {
	for _, c := range d.openOn(card) {
		if c.wordless() {
			continue
		}
		done := c.saleDone(r)
		if c.Kind == journal.LoadIntent {
			var err error
			if done, err = d.loadDone(c, r); err != nil {
				return err
			}
		}
		if !done {
			continue
		}
		v := verdict{happened: true, by: counter + " at " + d.terminal, at: c.Position, made: d.now}
		if err := d.settle(c, v); err != nil {
			return err
		}
	}
	return nil
}

// wordless reports whether the terminal has not said what the card had said.
func (c *claim) wordless() bool { return c.Purse.TerminalNo == (pboc.TerminalNo{}) }

// saleDone reports whether a card has made a purchase: the counter is the next
// one, and what it held then is less by the amount. When the counter is further
// on, others have come in between, and only the card's log can tell. Another
// purchase of the same amount, at a till that has not pushed yet, looks the
// same: when it comes, it corrects this one ([desk.settleRivals]).
func (c *claim) saleDone(r Reading) bool {
	return int(r.Offline) == int(c.Purse.Counter)+1 && r.Purse == money.Fen(c.Purse.Balance)-c.Amount
}

// settleRivals settles the claims on a card at the counter at which it has
// proved another purchase: there is one for each value. A claim that a counter
// alone has called written was that other purchase all the time.
func (d *desk) settleRivals(e journal.Entry) error {
	for _, c := range d.unproven(e.Card) {
		if c.Kind != journal.SaleIntent || c.Purse.Counter != e.Purse.Counter || c.wordless() || c.Ref == e.Ref {
			continue
		}
		if err := d.settle(c, verdict{rival: true, by: rivalry, at: e.Position(), made: e.At}); err != nil {
			return err
		}
	}
	return nil
}
