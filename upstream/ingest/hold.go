package ingest

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// HoldState says how far a hold has come. Stored: never renumbered.
type HoldState int

// The states of a hold.
const (
	HoldPlaced   HoldState = 1 // the journal has not come to its number
	HoldBound    HoldState = 2 // the entry with its number is its attempt
	HoldCaptured HoldState = 3 // and the money has moved
	HoldReleased HoldState = 4
)

// Holding is what is held for a terminal.
type Holding struct {
	Count  int
	Amount money.Fen // room that is held for cash is none
	Since  time.Time // when the oldest of it was placed
}

// Holdings returns what is held in books for each terminal for which anything is.
// A terminal that never comes back keeps it: nothing but its journal lets go of
// it, or [Ingest.Part], which somebody has to decide upon.
func Holdings(ctx context.Context, books *store.Books) (map[string]Holding, error) {
	all := map[string]Holding{}
	err := sqldb.Each(ctx, books.Live(), func(rows *sql.Rows) error {
		var terminal string
		var h Holding
		var since int64
		err := rows.Scan(&terminal, &h.Count, &h.Amount, &since)
		h.Since = time.UnixMilli(since).UTC()
		all[terminal] = h
		return err
	}, `SELECT terminal, count(*), CAST(sum(CASE WHEN room THEN 0 ELSE amount_fen END) AS BIGINT), min(placed_ms)
		FROM holds WHERE state <= 2 GROUP BY terminal`)
	if err != nil {
		return nil, fmt.Errorf("read holds: %w", err)
	}
	return all, nil
}

// endOf returns what the end of a purchase does to its hold.
func endOf(e journal.Entry) HoldState {
	if e.Outcome.Happened() {
		return HoldCaptured
	}
	return HoldReleased
}

// release lets go of what is held under numbers of an epoch above one.
type release struct {
	epoch journal.Epoch
	above int64
}

// hold is a hold that is not closed.
type hold struct {
	id      int64
	at      journal.Position
	attempt string
	state   HoldState
}

// passHolds moves the holds on whose numbers the journals have passed. Entries
// say it, and never the time.
func (k *taking) passHolds(facts []fact) error {
	if err := k.missHolds(facts, k.holds); err != nil || len(k.holds) == 0 {
		return err
	}
	passed := map[journal.Epoch]int64{k.push.batch.Epoch: k.push.checkpoint.Size}
	attempts := map[journal.Position]string{}
	for i := range facts {
		f := &facts[i]
		passed[f.Epoch] = max(passed[f.Epoch], f.Seq)
		if f.fault == nil && (ofSale(f.entry.Kind) || f.entry.Kind == journal.CashTopUp) {
			attempts[f.Position] = f.entry.Ref
		}
	}
	moved := map[HoldState][]int64{}
	for _, h := range k.holds {
		now := h.state
		if h.state == HoldPlaced && h.at.Seq <= passed[h.at.Epoch] {
			now = HoldReleased
			if attempts[h.at] == h.attempt {
				now = HoldBound
			}
		}
		if h.state == HoldPlaced && now == HoldPlaced && k.released(h.at) {
			now = HoldReleased
		}
		if end, ok := k.desk.ended[h.attempt]; ok && now == HoldBound {
			now = end
		}
		if now != h.state {
			moved[now] = append(moved[now], h.id)
		}
	}
	for s, ids := range moved {
		if err := k.moveHolds(s, ids); err != nil {
			return err
		}
	}
	return nil
}

// ofSale reports whether entries of a kind are what money is held for in a sale.
func ofSale(k journal.Kind) bool { return k == journal.SaleIntent || k == journal.CodeSale }

// missHolds notes that sales come which we have approved, and that we hold
// nothing for them: these books were restored from a copy.
func (k *taking) missHolds(facts []fact, open []hold) error {
	var missed []*fact
	var refs []string
	for i := range facts {
		f := &facts[i]
		var d struct{ Approved bool }
		if f.fault == nil && ofSale(f.entry.Kind) && len(f.entry.Details) > 0 {
			details(f.entry, &d)
		}
		if d.Approved && !slices.ContainsFunc(open, func(h hold) bool { return h.attempt == f.entry.Ref }) {
			missed, refs = append(missed, f), append(refs, f.entry.Ref)
		}
	}
	if len(missed) == 0 {
		return nil
	}
	closed, err := sqldb.Texts(k.ctx, k.tx, `SELECT attempt FROM holds WHERE terminal = ? AND attempt = ANY (?)`,
		k.push.terminal.ID, refs)
	if err != nil {
		return fmt.Errorf("read holds: %w", err)
	}
	missed = slices.DeleteFunc(missed, func(f *fact) bool { // its number was passed by another entry
		return slices.Contains(closed, f.entry.Ref)
	})
	if len(missed) > 0 {
		f := missed[0]
		e := exception(HoldLost, f.Position, fmt.Sprintf("of %d sales, the first is %s", len(missed), f.entry.Ref))
		e.Ref, e.Amount = f.Terminal+"/"+f.Epoch.String(), f.entry.Amount // one line for each journal
		k.desk.exceptions = append(k.desk.exceptions, e)
	}
	return nil
}

// released reports whether an epoch will never come to a number. A terminal has
// one journal: what is held under numbers of others, which nobody has brought, is
// free when this one goes on. One that was restored from a copy may not know of
// the newest of them, and one whose disk was lost knows none. Where two machines
// have one name, which is listed, each also lets go of what the other's last sale
// holds; that counts all the same.
func (k *taking) released(at journal.Position) bool {
	if k.alone && at.Epoch != k.push.batch.Epoch {
		return true
	}
	for _, r := range k.releases {
		if r.epoch == at.Epoch && at.Seq > r.above {
			return true
		}
	}
	return false
}

// findHolds finds the terminal's holds that are not closed. As the terminal is
// locked, nobody else moves them.
func (k *taking) findHolds() sqldb.Step {
	t := k.push.terminal.ID
	k.holds = nil
	return sqldb.Step{
		Statement: `SELECT id, epoch, seq, attempt, state FROM holds WHERE terminal = ? AND state <= 2`,
		Args:      []any{t},
		Row: func(row sqldb.Row) error {
			h := hold{at: journal.Position{Terminal: t}}
			var epoch []byte
			if err := row.Scan(&h.id, &epoch, &h.at.Seq, &h.attempt, &h.state); err != nil {
				return err
			}
			h.at.Epoch = journal.Epoch(epoch)
			k.holds = append(k.holds, h)
			return nil
		},
	}
}

func (k *taking) moveHolds(s HoldState, ids []int64) error {
	var closed any
	if s == HoldCaptured || s == HoldReleased {
		closed = k.now.UnixMilli()
	}
	_, err := k.tx.Exec(k.ctx, `UPDATE holds SET state = ?, closed_ms = ? WHERE id = ANY (?)`, int64(s), closed, ids)
	if err != nil {
		return fmt.Errorf("move holds: %w", err)
	}
	return nil
}
