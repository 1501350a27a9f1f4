package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"quancun/upstream/store/sqldb"
)

// AlarmKind says what somebody has to look at. Stored: never renamed.
type AlarmKind string

// The kinds of alarm. Ref is a card number, an order number, a load ID or a
// terminal ID, as each says.
const (
	AlarmOrderConflict  AlarmKind = "order conflict"  // order: the same number came with other content
	AlarmAmountMismatch AlarmKind = "amount mismatch" // order: the channel was paid another amount
	AlarmOrderStuck     AlarmKind = "order stuck"     // order: the channel does not say what it came to
	AlarmOrderReversed  AlarmKind = "order reversed"  // order: the channel has given back what was taken for paid
	AlarmLoadConflict   AlarmKind = "load conflict"   // load: the same ID came with other content
	AlarmLoadUnknown    AlarmKind = "load unknown"    // load: reported, never authorized here
	AlarmLoadCorrected  AlarmKind = "load corrected"  // load: called not written, proved written
	AlarmMAC1Wrong      AlarmKind = "MAC1 wrong"      // card: not ours, or a wrong key
	AlarmTACWrong       AlarmKind = "TAC wrong"       // load: the card's evidence does not prove it
	AlarmCounter        AlarmKind = "counter"         // card: its online counter fits no load that we know
	AlarmCardAhead      AlarmKind = "card ahead"      // card: its purse holds more than was ever loaded
	AlarmNoticeForged   AlarmKind = "notice forged"   // address: a notification that the channel did not sign
	AlarmJournalRewound AlarmKind = "journal rewound" // terminal: its journal is shorter than it was
	AlarmJournalFault   AlarmKind = "journal fault"   // terminal: its journal is damaged, or cannot be written
	AlarmJournalLost    AlarmKind = "journal lost"    // terminal: it was parted with, and entries had not come
	AlarmRestored       AlarmKind = "books older"     // terminal: it was told of more than these books have
)

// Alarm is something that somebody has to look at.
type Alarm struct {
	Kind   AlarmKind
	Ref    string
	Detail string
	First  time.Time
	Last   time.Time
	Times  int
}

// Alarm writes an alarm down. The same kind and ref again only counts; first
// reports whether it is new.
func (b *Books) Alarm(ctx context.Context, a Alarm) (first bool, err error) {
	err = b.db.Write(ctx, func(tx *sqldb.Tx) error {
		first, err = b.alarm(ctx, tx, a)
		return err
	})
	return first, err
}

// Reversed says that the channel has given back what an order, or a payment by code, was
// taken for paid with, if that is what err is about: [ErrBackward] on the way to returned.
// It returns err, and whatever goes wrong besides.
func (b *Books) Reversed(ctx context.Context, no string, err error) error {
	if !errors.Is(err, ErrBackward) {
		return err
	}
	_, failed := b.Alarm(ctx, Alarm{
		Kind: AlarmOrderReversed, Ref: no, Detail: "the channel gave it back, and it was taken for paid before",
	})
	return errors.Join(err, failed)
}

func (b *Books) alarm(ctx context.Context, tx *sqldb.Tx, a Alarm) (first bool, err error) {
	var times int
	err = tx.QueryRow(ctx, `
		INSERT INTO alarms (kind, ref, detail, first_ms, last_ms) VALUES (?, ?, ?, ?4, ?4)
		ON CONFLICT (kind, ref) DO UPDATE
		SET times = alarms.times + 1, last_ms = excluded.last_ms, detail = excluded.detail
		RETURNING times`, a.Kind, a.Ref, a.Detail, b.ms()).Scan(&times)
	return times == 1, err
}

// NoteRestored notes that a terminal was told of more than these books have: they were
// restored from a copy.
func (b *Books) NoteRestored(ctx context.Context, tx *sqldb.Tx, terminal, detail string) error {
	_, err := b.alarm(ctx, tx, Alarm{Kind: AlarmRestored, Ref: terminal, Detail: detail})
	return err
}

// Restored returns when a terminal was last told of more than these books have, or zero:
// since then nothing of it is missing.
func Restored(ctx context.Context, q sqldb.Querier) (time.Time, error) {
	var last sql.NullInt64
	err := q.QueryRow(ctx, `SELECT max(last_ms) FROM alarms WHERE kind = ?`, AlarmRestored).Scan(&last)
	if err != nil {
		return time.Time{}, fmt.Errorf("read alarms: %w", err)
	}
	return fromMS(last), nil
}

// Alarms returns all alarms, newest first.
func (b *Books) Alarms(ctx context.Context) (all []Alarm, err error) {
	err = sqldb.Each(ctx, b.db, func(rows *sql.Rows) error {
		var a Alarm
		var first, last sql.NullInt64
		if err := rows.Scan(&a.Kind, &a.Ref, &a.Detail, &first, &last, &a.Times); err != nil {
			return err
		}
		a.First, a.Last = fromMS(first), fromMS(last)
		all = append(all, a)
		return nil
	}, `SELECT kind, ref, detail, first_ms, last_ms, times FROM alarms ORDER BY last_ms DESC, id DESC`)
	return all, err
}
