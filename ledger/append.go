package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// Append journals e and returns it with its Seq and At. When it returns
// without an error, the entry is on the disk.
//
// Saying the same again is harmless and returns the entry that was written
// first, so a caller that does not know whether it said something says it
// again. Otherwise Append returns
//
//   - [ErrInvalid] if e breaks a rule of [Entry],
//   - [ErrConflict] if e is an intent and its Ref has another, or an end whose
//     Card or Amount is not its intent's,
//   - [ErrNoIntent] if e ends what was never begun,
//   - [ErrResolved] if e ends what has ended differently,
//
// and has written nothing. With [ErrFailed] nobody knows whether it has: the
// program must restart, and look. A ctx that ends during the write no longer
// stops it, so a context error too means that nothing was written.
func (b *Book) Append(ctx context.Context, e Entry) (written Entry, err error) {
	if e, err = e.checked(); err != nil {
		return Entry{}, err
	}
	err = b.transact(ctx, "append "+e.Kind.String(), func(ctx context.Context, tx *sql.Tx) error {
		item, err := itemOf(ctx, tx, e.Ref)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if e, written, err = item.admit(e); err != nil || written.Seq > 0 {
			return err
		}
		written, err = b.write(ctx, tx, e)
		return err
	})
	if err != nil {
		return Entry{}, err
	}
	return written, nil
}

// admit decides whether e may follow what is known under its Ref. It returns e
// with what an end takes from its intent and, if e was written before, the
// entry that it was written as.
func (i Item) admit(e Entry) (full, written Entry, err error) {
	begun := i.Intent.Seq > 0
	switch {
	case e.Kind.isIntent() && !begun:
		return e, Entry{}, nil
	case e.Kind.isIntent() && i.Intent.same(e):
		return e, i.Intent, nil
	case e.Kind.isIntent():
		return e, Entry{}, fmt.Errorf("%w: %q is entry %d", ErrConflict, e.Ref, i.Intent.Seq)
	case !begun || i.Intent.Kind != e.Kind.intent():
		return e, Entry{}, fmt.Errorf("%w: %s %q", ErrNoIntent, e.Kind, e.Ref)
	}
	if e.Card == "" {
		e.Card = i.Intent.Card
	}
	if e.Amount == 0 {
		e.Amount = i.Intent.Amount
	}
	switch {
	case e.Card != i.Intent.Card || e.Amount != i.Intent.Amount:
		return e, Entry{}, fmt.Errorf("%w: card or amount of %q is not that of entry %d",
			ErrConflict, e.Ref, i.Intent.Seq)
	case i.Open():
		return e, Entry{}, nil
	case i.End.same(e):
		return e, i.End, nil
	}
	return e, Entry{}, fmt.Errorf("%w: %q is %s since entry %d", ErrResolved, e.Ref, i.End.Outcome, i.End.Seq)
}

// transact runs f in one durable transaction, or leaves no trace of it. Once
// f has begun, ctx no longer stops it: half a millisecond of patience is
// cheaper than a commit of which nobody knows whether it happened.
func (b *Book) transact(ctx context.Context, op string, f func(context.Context, *sql.Tx) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed != nil {
		return b.failed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return b.judge(ctx, op, err)
	}
	if err := f(ctx, tx); err != nil {
		if rollback := tx.Rollback(); rollback != nil {
			return b.judge(ctx, op, errors.Join(named(err), fmt.Errorf("roll back: %w", rollback)))
		}
		return b.judge(ctx, op, err)
	}
	return b.judge(ctx, op, tx.Commit())
}

// tail is what the next entry follows. Before the first entry it is zero.
type tail struct {
	seq  int64
	hash Hash
	at   time.Time
}

// tailOf reads the last entry, and so checks it before anything is added.
func tailOf(ctx context.Context, q querier) (tail, error) {
	rows, err := readRows(ctx, q, `ORDER BY seq DESC LIMIT 1`)
	if err != nil || len(rows) == 0 {
		return tail{}, err
	}
	return tail{rows[0].Seq, rows[0].hash, rows[0].At}, nil
}

// write adds e to the journal, after a [ClockStep] if the clock has stepped.
func (b *Book) write(ctx context.Context, tx *sql.Tx, e Entry) (Entry, error) {
	last, err := tailOf(ctx, tx)
	if err != nil {
		return Entry{}, err
	}
	r := b.clock.read()
	if step, ok := b.clock.step(r, last.at); ok {
		if _, last, err = put(ctx, tx, last, step, r.wall); err != nil {
			return Entry{}, err
		}
	}
	b.clock.last = r // if the commit fails, nothing is written ever again
	e, _, err = put(ctx, tx, last, e, r.wall)
	return e, err
}

// put adds e as the entry after last.
func put(ctx context.Context, tx *sql.Tx, last tail, e Entry, wall time.Time) (Entry, tail, error) {
	e.Seq = last.seq + 1
	e.At = wall.Truncate(time.Millisecond)
	if earliest := last.at.Add(time.Millisecond); last.seq > 0 && e.At.Before(earliest) {
		e.At = earliest
	}
	data, err := encode(e, last.hash)
	if err != nil {
		return e, last, err
	}
	hash := hashOf(data)
	_, err = tx.ExecContext(ctx, `INSERT INTO journal (seq, body, hash) VALUES (?, ?, ?)`, e.Seq, data, hash[:])
	if err != nil {
		return e, last, fmt.Errorf("write entry %d: %w", e.Seq, err)
	}
	if err := project(ctx, tx, e); err != nil {
		return e, last, fmt.Errorf("project entry %d: %w", e.Seq, err)
	}
	return e, tail{e.Seq, hash, e.At}, nil
}

// project brings the tables that follow from the journal up to e.
func project(ctx context.Context, tx *sql.Tx, e Entry) error {
	switch {
	case e.Kind.isIntent():
		_, err := tx.ExecContext(ctx, `INSERT INTO item (ref, kind, card, intent_seq) VALUES (?, ?, ?, ?)`,
			e.Ref, int(e.Kind), e.Card, e.Seq)
		return err
	case e.Kind.isEnd():
		result, err := tx.ExecContext(ctx, `UPDATE item SET end_seq = ? WHERE ref = ?`, e.Seq, e.Ref)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n != 1 {
			return errors.Join(fmt.Errorf("%d items ended", n), err)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO outbox (seq) VALUES (?)`, e.Seq)
		return err
	}
	return nil
}

// start journals that the program has started, and puts up for report the
// loads that the last run left in doubt.
func (b *Book) start(ctx context.Context, version string) error {
	details, err := json.Marshal(started{version, b.epoch.String(), bootID()})
	if err != nil {
		return fmt.Errorf("start journal: %w", err)
	}
	return b.transact(ctx, "start", func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO outbox (seq) SELECT intent_seq FROM item
			WHERE kind = ? AND end_seq IS NULL AND intent_seq NOT IN (SELECT seq FROM outbox)
			ORDER BY intent_seq`, int(LoadIntent)); err != nil {
			return fmt.Errorf("put up loads in doubt: %w", err)
		}
		_, err := b.write(ctx, tx, Entry{Kind: Started, Details: details})
		return err
	})
}

// started is the Details of a [Started] entry.
type started struct {
	Version string `json:"version"`
	Epoch   string `json:"epoch"`
	Boot    string `json:"boot"` // the kernel's boot ID, empty if it has none
}

func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "" // it only helps people who read the journal
	}
	return strings.TrimSpace(string(id))
}
