package ingest

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"quancun/journal"
	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
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
	return Reading{Purse: pboc.Fen(p.Balance), Offline: p.Counter}
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
	open := d.openOn(card)
	for _, c := range open {
		if c.state != ClaimOpen || c.wordless() || slices.ContainsFunc(open, c.looksLike) {
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

// looksLike reports whether o is another open claim that a counter and a purse
// cannot tell from c: somebody else has asked for the same amount at the same
// value of the counter. Only the card's log or its TAC can say who is to be paid.
func (c *claim) looksLike(o *claim) bool {
	return o.id != c.id && o.state == ClaimOpen && c.twin(o)
}

// twin reports whether c and o are purchases of one amount at one value of the
// counter, for two merchants.
func (c *claim) twin(o *claim) bool {
	return c.Kind == journal.SaleIntent && o.Kind == c.Kind && !o.wordless() && o.merchant != c.merchant &&
		o.Purse.Counter == c.Purse.Counter && o.Purse.Balance == c.Purse.Balance && o.Amount == c.Amount
}

// wordless reports whether the terminal has not said what the card had said.
func (c *claim) wordless() bool { return c.Purse.TerminalNo == (pboc.TerminalNo{}) }

// saleDone reports whether a card has made a purchase: the counter is the next
// one, and what it held then is less by the amount. When the counter is further
// on, others have come in between, and only the card's log can tell. Another
// purchase of the same amount, at a till that has not pushed yet, looks the
// same: when it comes, it corrects this one ([desk.settleRivals]).
func (c *claim) saleDone(r Reading) bool {
	return int(r.Offline) == int(c.Purse.Counter)+1 && r.Purse == pboc.Fen(c.Purse.Balance)-c.Amount
}

// use is a value of a card's offline counter. A card uses it for one purchase.
type use struct {
	card    string
	counter uint16
	ref     string // of the purchase
}

func (c *claim) use() use { return use{c.Card, c.Purse.Counter, c.Ref} }

// settleRivals settles the other claims at a counter that a purchase is known to
// have used. One that is open was not made. One that was called written without
// the card's proof was this purchase all the time, if this one is proved; if
// neither is, the first one stands, and nothing is called written after it
// ([desk.settleLate]) but by proof.
func (d *desk) settleRivals(u use, v verdict) error {
	for _, c := range d.unproven(u.card) {
		rival := c.Kind == journal.SaleIntent && c.Purse.Counter == u.counter && !c.wordless() && c.Ref != u.ref
		if !rival || c.state == ClaimWritten && !v.proven {
			continue
		}
		err := d.settle(c, verdict{rival: v.proven, by: rivalry, at: c.Position, made: v.made})
		if err != nil {
			return err
		}
	}
	return nil
}

// settleByMoves settles a claim of a purchase by the purchases that the books
// have of its card: another one at its counter, or the next one, which says what
// the purse held.
func (d *desk) settleByMoves(c *claim) error {
	others, err := d.readClaims(`WHERE c.card_no = ? AND c.counter = ? AND c.kind = 40 AND c.id <> ?`,
		c.Card, int64(c.Purse.Counter), c.id)
	if err != nil {
		return err
	}
	for _, o := range others {
		if o.state == ClaimWritten && !o.wordless() {
			if c.twin(o) && !o.proven {
				d.exceptAmount(Contradicted, c.Position, c.Amount, fmt.Sprintf(
					"%s of the same amount, for %s, was called written by %s", o.Position, o.merchant, o.evidence))
			}
			return d.settle(c, verdict{by: rivalry, at: c.Position, made: d.now})
		}
	}
	moves, err := d.movesAt(c)
	if err != nil {
		return err
	}
	for _, m := range moves {
		v := verdict{at: c.Position, made: d.now}
		switch {
		case m.Counter == c.Purse.Counter && m.Proven:
			v.by = rivalry
		case m.Counter == c.Purse.Counter+1 && m.Before == pboc.Fen(c.Purse.Balance)-c.Amount:
			v.happened, v.by = true, counter
		default:
			continue
		}
		return d.settle(c, v)
	}
	return nil
}

// movesAt returns the purchases of a claim's card at its counter, and then those
// at the next one, of this push too.
func (d *desk) movesAt(c *claim) (all []store.PurseMove, err error) {
	first := int64(c.Purse.Counter)
	err = sqldb.Each(d.ctx, d.tx, func(rows *sql.Rows) error {
		var m store.PurseMove
		err := rows.Scan(&m.Counter, &m.Before, &m.Proven)
		all = append(all, m)
		return err
	}, `SELECT counter, before_fen, proven FROM purse_moves
		WHERE card_no = ? AND kind = 4 AND amount_fen < 0 AND counter BETWEEN ? AND ? ORDER BY counter, id`,
		c.Card, first, first+1)
	if err != nil {
		return nil, fmt.Errorf("read purse moves: %w", err)
	}
	for _, b := range d.bookings {
		if m := b.move; m != nil && m.CardNo == c.Card && m.Amount < 0 {
			all = append(all, *m)
		}
	}
	slices.SortStableFunc(all, func(a, b store.PurseMove) int { return int(a.Counter) - int(b.Counter) })
	return all, nil
}

// findProved finds how far the cards have proved purchases that are proved
// another one now.
func (d *desk) findProved(facts []fact) []sqldb.Step {
	d.proved = map[string]int64{}
	cards := map[string]bool{}
	for i := range facts {
		if f := &facts[i]; f.tac == tacRight {
			cards[f.entry.Card] = true
		}
	}
	nos := names(cards)
	if len(nos) == 0 {
		return nil
	}
	return []sqldb.Step{{
		Statement: `SELECT card_no, proven_counter FROM cards WHERE card_no = ANY (?)`,
		Args:      []any{nos},
		Row: func(row sqldb.Row) error {
			var no string
			var counter int64
			err := row.Scan(&no, &counter)
			d.proved[no] = counter
			return err
		},
	}}
}

// noteTwice puts a purchase into the inbox that is proved at a counter at which
// another one is. A card uses it once, so there are two cards, or somebody has
// its keys. Both have happened, and are posted.
func (d *desk) noteTwice(f *fact) error {
	e := f.entry
	if f.tac != tacRight {
		return nil
	}
	last, counter := d.proved[e.Card], int64(e.Purse.Counter)
	d.proved[e.Card] = max(last, counter)
	if counter > last {
		return nil
	}
	other, amount, err := d.provedAt(e.Card, counter)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // it was pushed late, by a terminal that was away
	}
	if err != nil {
		return err
	}
	d.exceptAmount(CounterTwice, e.Position(), e.Amount,
		fmt.Sprintf("card %s, counter %d: %s for %s is proved too", e.Card, counter, other, amount))
	return nil
}

// provedAt returns the entry, and the amount, of the purchase that a card has
// proved at a counter: the end of one, or the intent of one that was in doubt.
func (d *desk) provedAt(card string, counter int64) (at journal.Position, amount money.Fen, err error) {
	for _, b := range d.bookings {
		if m := b.move; m != nil && m.CardNo == card && int64(m.Counter) == counter && m.Proven && m.Amount < 0 {
			return b.at, -m.Amount, nil
		}
	}
	var epoch []byte
	err = d.tx.QueryRow(d.ctx, `
		SELECT j.terminal, j.epoch, coalesce(c.seq, e.seq), -m.amount_fen FROM purse_moves m
		JOIN entries e ON e.id = m.entry_id LEFT JOIN claims c ON c.id = e.claim_id
		JOIN journals j ON j.id = coalesce(c.journal, e.journal)
		WHERE m.card_no = ? AND m.counter = ? AND m.proven AND m.kind = 4 AND m.amount_fen < 0 ORDER BY m.id LIMIT 1`,
		card, counter).Scan(&at.Terminal, &epoch, &at.Seq, &amount)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("read purse moves: %w", err)
	}
	if err == nil {
		at.Epoch = journal.Epoch(epoch)
	}
	return at, amount, err
}
