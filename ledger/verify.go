package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
)

// Report is what a verification found.
type Report struct {
	Entries  int64 // read, whether right or wrong
	Head     Hash  // of the last entry
	Open     int   // intents without an end
	Problems []Problem
}

// Problem is one thing that is wrong with a journal.
type Problem struct {
	Seq  int64 // the entry it was found at, 0 if it concerns the file
	What string
}

// String returns the problem as a line of a report.
func (p Problem) String() string { return fmt.Sprintf("entry %d: %s", p.Seq, p.What) }

// problemsMax bounds a report: a file of noise has a problem in every row, and
// the first few already say that it must not be trusted.
const problemsMax = 100

// Verify reads the whole journal and proves that it is what was written:
// gapless, chained, each hash right, time strictly increasing, each end after
// its intent, and each table that follows from the journal as the journal says.
//
// It returns [ErrTampered] with the report if anything is wrong, and another
// error if the journal cannot be read. It takes a second for half a million
// entries and holds up appends meanwhile.
func (b *Book) Verify(ctx context.Context) (Report, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed != nil {
		return Report{}, b.failed
	}
	r, err := verify(ctx, b.db)
	if err == nil || errors.Is(err, ErrTampered) {
		return r, err
	}
	return r, b.judge(ctx, "verify", err)
}

// VerifyFile is [Book.Verify] for a file that no Book has open: a copy, also on
// a medium that cannot be written to, or the journal of a running terminal. It
// changes nothing.
func VerifyFile(ctx context.Context, path string) (_ Report, err error) {
	path, err = resolve(path)
	if err != nil {
		return Report{}, fmt.Errorf("verify: %w", err)
	}
	if _, err := os.Stat(path); err != nil {
		return Report{}, fmt.Errorf("verify: %w", err) // SQLite would only say that it cannot open it
	}
	params := "mode=ro&_query_only=on&_busy_timeout=5000"
	if wal, err := os.Stat(path + "-wal"); err != nil || wal.Size() == 0 {
		params += "&immutable=1" // nobody has it open, and SQLite need not make files beside it
	}
	db := openDB(path, params, checkVersion)
	defer func() { err = errors.Join(err, db.Close()) }()
	version, err := versionOf(ctx, db)
	if err != nil {
		return Report{}, fmt.Errorf("verify: %w", named(err))
	}
	if known, err := migrations.ReadDir("migrations"); err != nil || version != len(known) {
		return Report{}, errors.Join(err, fmt.Errorf("verify: journal is version %d, not %d", version, len(known)))
	}
	return verify(ctx, db)
}

// verifier collects what is wrong, and what the tables should hold.
type verifier struct {
	Report
	last  tail
	items map[string]itemRow
	kinds map[int64]Kind
}

// itemRow is a row of the table item.
type itemRow struct {
	kind        Kind
	card        string
	intent, end int64 // end is 0 while the item is open
}

func verify(ctx context.Context, q querier) (Report, error) {
	v := &verifier{items: map[string]itemRow{}, kinds: map[int64]Kind{}}
	for _, check := range []func(context.Context, querier) error{v.file, v.journal, v.itemTable, v.outbox} {
		if err := check(ctx, q); err != nil {
			return v.Report, fmt.Errorf("verify: %w", named(err))
		}
	}
	if n := len(v.Problems); n > 0 {
		return v.Report, fmt.Errorf("%w: %s (%d problems in all)", ErrTampered, v.Problems[0], n)
	}
	return v.Report, nil
}

func (v *verifier) found(seq int64, format string, args ...any) {
	if len(v.Problems) < problemsMax {
		v.Problems = append(v.Problems, Problem{seq, fmt.Sprintf(format, args...)})
	}
}

// file asks SQLite whether its pages and constraints are whole.
func (v *verifier) file(ctx context.Context, q querier) error {
	return each(ctx, q, `PRAGMA quick_check(10)`, func(rows *sql.Rows) error {
		var what string
		err := rows.Scan(&what)
		if err == nil && what != "ok" {
			v.found(0, "file: %s", what)
		}
		return err
	})
}

func (v *verifier) journal(ctx context.Context, q querier) error {
	epoch, err := epochOf(ctx, q)
	if err != nil {
		return err
	}
	err = each(ctx, q, `SELECT seq, body, hash FROM journal ORDER BY seq`, func(rows *sql.Rows) error {
		var seq int64
		var data, hash []byte
		if err := rows.Scan(&seq, &data, &hash); err != nil {
			return err
		}
		r, problem := parseRow(seq, data, hash)
		if problem != "" {
			v.found(seq, "%s", problem)
		}
		v.follow(seq, r)
		if seq == 1 && problem == "" {
			v.first(r.Entry, epoch)
		}
		return nil
	})
	v.Head = v.last.hash
	return err
}

// first checks that the journal begins as the journal of its epoch.
func (v *verifier) first(e Entry, epoch Epoch) {
	var s started
	if err := json.Unmarshal(e.Details, &s); e.Kind != Started || err != nil || s.Epoch != epoch.String() {
		v.found(e.Seq, "journal of epoch %s does not begin here", epoch)
	}
}

// follow checks r, which stands in row seq, against the row before it.
func (v *verifier) follow(seq int64, r row) {
	v.Entries++
	if gap := seq - v.last.seq - 1; gap != 0 {
		v.found(seq, "%d entries are missing before it", gap)
	} else if r.Seq > 0 && r.prev != v.last.hash {
		v.found(seq, "it does not follow entry %d, which is not what it was", v.last.seq)
	}
	at := r.At
	if r.Seq > 0 && !at.After(v.last.at) {
		v.found(seq, "it is not later than the entry before")
	}
	if r.Seq == 0 {
		at = v.last.at // unreadable
	}
	v.last = tail{seq, r.hash, at}
	if r.Seq == seq {
		v.kinds[seq] = r.Kind
		v.replay(r.Entry)
	}
}

// replay applies the rules of intents and ends to the rebuilt items, apart
// from the code that applied them when the entry was written.
func (v *verifier) replay(e Entry) {
	item, begun := v.items[e.Ref]
	switch {
	case e.Kind.isIntent() && begun:
		v.found(e.Seq, "%q was begun before, in entry %d", e.Ref, item.intent)
	case e.Kind.isIntent():
		v.items[e.Ref] = itemRow{kind: e.Kind, card: e.Card, intent: e.Seq}
		v.Open++
	case e.Kind.isEnd() && (!begun || item.kind != e.Kind.intent()):
		v.found(e.Seq, "%q ends and was never begun", e.Ref)
	case e.Kind.isEnd() && item.end > 0:
		v.found(e.Seq, "%q had ended before, in entry %d", e.Ref, item.end)
	case e.Kind.isEnd():
		item.end = e.Seq
		v.items[e.Ref] = item
		v.Open--
	}
}

// itemTable compares the table item with the items rebuilt from the bodies.
func (v *verifier) itemTable(ctx context.Context, q querier) error {
	missing := maps.Clone(v.items)
	err := each(ctx, q, `SELECT ref, kind, card, intent_seq, coalesce(end_seq, 0) FROM item ORDER BY intent_seq`,
		func(rows *sql.Rows) error {
			var ref string
			var r itemRow
			if err := rows.Scan(&ref, &r.kind, &r.card, &r.intent, &r.end); err != nil {
				return err
			}
			if want, ok := v.items[ref]; !ok || r != want {
				v.found(r.intent, "table item has %q as %+v, the journal %+v", ref, r, want)
			}
			delete(missing, ref)
			return nil
		})
	for _, ref := range slices.Sorted(maps.Keys(missing)) {
		v.found(missing[ref].intent, "table item lacks %q", ref)
	}
	return err
}

// outbox checks that every end has its report, and nothing but ends and loads.
func (v *verifier) outbox(ctx context.Context, q querier) error {
	due := map[int64]bool{}
	for _, item := range v.items {
		if item.end > 0 {
			due[item.end] = true
		}
	}
	err := each(ctx, q, `SELECT seq FROM outbox ORDER BY seq`, func(rows *sql.Rows) error {
		var seq int64
		if err := rows.Scan(&seq); err != nil {
			return err
		}
		if !due[seq] && v.kinds[seq] != LoadIntent {
			v.found(seq, "table outbox reports what is neither an end nor a load")
		}
		delete(due, seq)
		return nil
	})
	for _, seq := range slices.Sorted(maps.Keys(due)) {
		v.found(seq, "table outbox lacks this end")
	}
	return err
}

// each calls f for every row of a query.
func each(ctx context.Context, q querier, query string, f func(*sql.Rows) error) (err error) {
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
