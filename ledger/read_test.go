package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"quancun/journal"
	ram "quancun/lab/disk"
)

// cutOff reads from a journal until it cannot any more.
type cutOff struct {
	querier
	left int // queries that are answered
}

var errCutOff = errors.New("cut off")

func (c *cutOff) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if c.left--; c.left < 0 {
		return nil, errCutOff
	}
	return c.querier.QueryContext(ctx, query, args...)
}

// TestScanCannotRead: a journal of which the rest cannot be read has not ended.
func TestScanCannotRead(t *testing.T) {
	t.Parallel()
	d := ram.New(ram.Options{})
	defer d.Close()
	b := must2(Open(t.Context(), "/journal.db", Options{Terminal: "K01", Key: key, FS: memory{d}}))
	defer b.Close()
	for i := range 3 * chunkSpan {
		must2(b.Append(t.Context(), sale(fmt.Sprint("S", i))))
	}
	for answered := range 3 {
		seen := 0
		err := scan(t.Context(), &cutOff{b.s.conn, answered}, 1, func(*line) error { seen++; return nil })
		if !errors.Is(err, errCutOff) || seen != answered*chunkSpan {
			t.Errorf("after %d queries: %d rows, %v", answered, seen, err)
		}
	}
}

// TestLinesOfDamaged: of a journal in which entries are missing, each that is left is
// read once.
func TestLinesOfDamaged(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	const last = 2*lineChunk + 50
	for l.head.Seq < last {
		l.append(t, journal.Entry{Kind: journal.CashIn, Ref: fmt.Sprint("C", l.head.Seq), Amount: 1})
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		`DROP TRIGGER journal_is_never_deleted`, `DELETE FROM journal WHERE seq BETWEEN 100 AND 199`,
	} {
		if _, err := behind(t, l.path).ExecContext(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	err := ReadFile(ctx, l.path, func(s Snapshot) error {
		before, n := int64(0), 0
		for line, err := range s.Lines(last - 10) {
			if err != nil || line.Seq <= before || line.Seq > last-10 {
				return fmt.Errorf("entry %d after %d, %w", line.Seq, before, err)
			}
			before = line.Seq
			n++
		}
		if n != last-110 {
			t.Errorf("%d lines, want %d", n, last-110)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
