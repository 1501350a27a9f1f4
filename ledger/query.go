package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Item is what the journal says under one Ref: an intent, and its end once
// there is one.
type Item struct {
	Intent Entry
	End    Entry // zero while the intent is open
}

// Open reports whether the outcome is still unknown.
func (i Item) Open() bool { return i.End.Seq == 0 }

// OpenItems returns the intents that have no end, oldest first. After a
// restart these are what has to be asked about before anything else is begun.
func (b *Book) OpenItems(ctx context.Context) (entries []Entry, err error) {
	err = b.read(ctx, "read open items", func(q querier) error {
		entries, err = readEntries(ctx, q,
			`WHERE seq IN (SELECT intent_seq FROM item WHERE end_seq IS NULL) ORDER BY seq`)
		return err
	})
	return entries, err
}

// OpenFor returns the intents that have no end and concern card, oldest first.
func (b *Book) OpenFor(ctx context.Context, card string) (entries []Entry, err error) {
	err = b.read(ctx, "read open items of a card", func(q querier) error {
		entries, err = readEntries(ctx, q,
			`WHERE seq IN (SELECT intent_seq FROM item WHERE end_seq IS NULL AND card = ?) ORDER BY seq`, card)
		return err
	})
	return entries, err
}

// Get returns what is known under ref, and [ErrNotFound] if nothing is.
func (b *Book) Get(ctx context.Context, ref string) (item Item, err error) {
	err = b.read(ctx, "read item", func(q querier) error {
		item, err = itemOf(ctx, q, ref)
		return err
	})
	return item, err
}

// Recent returns the last n entries, newest first.
func (b *Book) Recent(ctx context.Context, n int) (entries []Entry, err error) {
	err = b.read(ctx, "read recent entries", func(q querier) error {
		entries, err = readEntries(ctx, q, `ORDER BY seq DESC LIMIT ?`, max(n, 0))
		return err
	})
	return entries, err
}

// Head returns the number and the hash of the last entry. Two journals with
// the same head are the same journal.
func (b *Book) Head(ctx context.Context) (seq int64, hash Hash, err error) {
	err = b.read(ctx, "read head", func(q querier) error {
		last, err := tailOf(ctx, q)
		seq, hash = last.seq, last.hash
		return err
	})
	return seq, hash, err
}

// Count returns the number of entries, which is the Seq of the last.
func (b *Book) Count(ctx context.Context) (n int64, err error) {
	err = b.read(ctx, "count entries", func(q querier) error {
		return q.QueryRowContext(ctx, `SELECT count(*) FROM journal`).Scan(&n)
	})
	return n, err
}

// read runs f on the journal between two transactions.
func (b *Book) read(ctx context.Context, op string, f func(querier) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed != nil {
		return b.failed
	}
	return b.judge(ctx, op, f(b.db))
}

func itemOf(ctx context.Context, q querier, ref string) (i Item, err error) {
	var intent int64
	var end sql.NullInt64
	err = q.QueryRowContext(ctx, `SELECT intent_seq, end_seq FROM item WHERE ref = ?`, ref).Scan(&intent, &end)
	if errors.Is(err, sql.ErrNoRows) {
		return i, fmt.Errorf("%w: %q", ErrNotFound, ref)
	}
	if err != nil {
		return i, fmt.Errorf("read item: %w", err)
	}
	if i.Intent, err = entryAt(ctx, q, intent); err != nil || !end.Valid {
		return i, err
	}
	i.End, err = entryAt(ctx, q, end.Int64)
	return i, err
}

func entryAt(ctx context.Context, q querier, seq int64) (Entry, error) {
	entries, err := readEntries(ctx, q, `WHERE seq = ?`, seq)
	if err != nil {
		return Entry{}, err
	}
	if len(entries) != 1 {
		return Entry{}, fmt.Errorf("%w: entry %d is missing", ErrTampered, seq)
	}
	return entries[0], nil
}

func readEntries(ctx context.Context, q querier, where string, args ...any) ([]Entry, error) {
	rows, err := readRows(ctx, q, where, args...)
	entries := make([]Entry, len(rows))
	for i, r := range rows {
		entries[i] = r.Entry
	}
	return entries, err
}

// row is an entry with its place in the chain.
type row struct {
	Entry
	prev, hash Hash
}

// readRows reads part of the journal, each row checked by itself.
func readRows(ctx context.Context, q querier, where string, args ...any) (_ []row, err error) {
	rows, err := q.QueryContext(ctx, `SELECT seq, body, hash FROM journal `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var all []row
	for rows.Next() {
		var seq int64
		var data, hash []byte
		if err := rows.Scan(&seq, &data, &hash); err != nil {
			return nil, fmt.Errorf("read journal: %w", err)
		}
		r, problem := parseRow(seq, data, hash)
		if problem != "" {
			return nil, fmt.Errorf("%w: entry %d: %s", ErrTampered, seq, problem)
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

// parseRow reads one row, and says in words what is wrong with it.
func parseRow(seq int64, data, hash []byte) (r row, problem string) {
	r.hash = hashOf(data)
	if string(r.hash[:]) != string(hash) {
		return r, "body and hash do not match"
	}
	var err error
	if r.Entry, r.prev, err = decode(data); err != nil {
		return r, err.Error()
	}
	if r.Seq != seq {
		return r, fmt.Sprintf("its body is that of entry %d", r.Seq)
	}
	return r, ""
}
