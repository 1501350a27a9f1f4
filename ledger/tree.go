package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"

	"quancun/journal"
)

// tiles is the right edge of the tree over the hashes: the hashes that no
// stored node covers yet, and on each level above, the nodes that no higher
// node does. That is all that appending needs, and the root follows from it.
// The zero tiles is the edge of the empty tree.
type tiles struct {
	size int64
	rows [][]journal.Hash // by level; fewer than TileSpan in each
}

// node is a hash over TileSpan^level entries, the n-th of its kind.
type node struct {
	level int
	n     int64
	hash  journal.Hash
}

// add appends the hash of the next entry and returns the nodes that it
// completes, the lowest first.
func (t *tiles) add(h journal.Hash) (full []node) {
	t.size++
	span := int64(1)
	for level := 0; ; level++ {
		if level == len(t.rows) {
			t.rows = append(t.rows, make([]journal.Hash, 0, journal.TileSpan))
		}
		t.rows[level] = append(t.rows[level], h)
		if len(t.rows[level]) < journal.TileSpan {
			return full
		}
		h = journal.Fold(t.rows[level])
		t.rows[level] = t.rows[level][:0]
		span *= journal.TileSpan
		full = append(full, node{level + 1, t.size/span - 1, h})
	}
}

// root returns the root of the whole tree.
func (t *tiles) root() journal.Hash {
	var peaks []byte
	for level := len(t.rows) - 1; level >= 0; level-- {
		row := t.rows[level]
		for n := len(row); n > 0; { // the largest whole subtrees, from the left
			width := 1 << (bits.Len(uint(n)) - 1)
			peak := fold(row[:width])
			peaks, row, n = append(peaks, peak[:]...), row[width:], n-width
		}
	}
	f, err := journal.ParseFrontier(t.size, peaks)
	if err != nil {
		panic("ledger: internal error: " + err.Error()) // one peak for each bit of the size
	}
	return f.Root()
}

// fold returns the root over a power of two of hashes.
func fold(row []journal.Hash) journal.Hash {
	if len(row) == 1 {
		return row[0]
	}
	half := len(row) / 2
	return tlog.NodeHash(fold(row[:half]), fold(row[half:]))
}

const insertNode = `INSERT INTO node (level, n, hash) VALUES (?, ?, ?)`

// nodes reads the stored tree, for proofs and for roots of smaller trees.
type nodes struct {
	ctx context.Context
	q   querier
}

// Leaves implements [journal.Nodes].
func (s nodes) Leaves(n int64, count int) ([]journal.Hash, error) {
	return s.hashes(`SELECT hash FROM journal WHERE seq > ? ORDER BY seq LIMIT ?`, n, count)
}

// Node implements [journal.Nodes].
func (s nodes) Node(level int, n int64) (journal.Hash, error) {
	h, err := s.hashes(`SELECT hash FROM node WHERE level = ? AND n = ?`, level, n)
	if err != nil || len(h) != 1 {
		return journal.Hash{}, missing(err, "node %d of level %d", n, level)
	}
	return h[0], nil
}

func missing(err error, format string, args ...any) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: %s is missing", ErrTampered, fmt.Sprintf(format, args...))
}

func (s nodes) hashes(query string, args ...any) (all []journal.Hash, err error) {
	err = each(s.ctx, s.q, query, func(rows *sql.Rows) error {
		var h []byte
		if err := rows.Scan(&h); err != nil {
			return err
		}
		if len(h) != len(journal.Hash{}) {
			return fmt.Errorf("%w: a hash of %d bytes", ErrTampered, len(h))
		}
		all = append(all, journal.Hash(h))
		return nil
	}, args...)
	return all, err
}

// root returns the root of the tree over the first size entries.
func (s nodes) root(size int64) (journal.Hash, error) {
	return tlog.TreeHash(size, journal.HashReader(s))
}

// tiles reads the right edge of the tree over the first size entries.
func (s nodes) tiles(size int64) (t tiles, err error) {
	t.size = size
	for level, count := 0, size; count > 0; level, count = level+1, count/journal.TileSpan {
		rest := int(count % journal.TileSpan)
		var row []journal.Hash
		if level == 0 {
			row, err = s.Leaves(count-int64(rest), rest)
		} else {
			row, err = s.hashes(`SELECT hash FROM node WHERE level = ? AND n >= ? ORDER BY n LIMIT ?`,
				level, count-int64(rest), rest)
		}
		if err != nil || len(row) != rest {
			return t, missing(err, "a part of the tree at level %d", level)
		}
		t.rows = append(t.rows, append(make([]journal.Hash, 0, journal.TileSpan), row...))
	}
	return t, nil
}
