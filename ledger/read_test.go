package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"

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
