package journal

import (
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// Frontier is a Merkle tree (RFC 6962) as far as appending to it needs: the
// roots of its largest whole subtrees, from the left. The zero Frontier is the
// empty tree. It has at most 63 peaks, whatever its size.
type Frontier struct {
	Size  int64
	peaks []Hash
}

// Append adds the next leaf.
func (f *Frontier) Append(leaf Hash) {
	f.peaks = append(f.peaks, leaf)
	for n := f.Size; n&1 == 1; n >>= 1 { // each trailing one is a whole left neighbour
		last := len(f.peaks) - 1
		f.peaks = append(f.peaks[:last-1], tlog.NodeHash(f.peaks[last-1], f.peaks[last]))
	}
	f.Size++
}

// Root returns the root hash of the tree.
func (f Frontier) Root() Hash {
	if len(f.peaks) == 0 {
		root, err := tlog.TreeHash(0, nil)
		if err != nil {
			panic("journal: internal error: " + err.Error()) // an empty tree reads nothing
		}
		return root
	}
	root := f.peaks[len(f.peaks)-1]
	for _, peak := range slices.Backward(f.peaks[:len(f.peaks)-1]) {
		root = tlog.NodeHash(peak, root)
	}
	return root
}

// Clone returns a frontier that grows apart from f.
func (f Frontier) Clone() Frontier { return Frontier{f.Size, slices.Clone(f.peaks)} }

// Bytes returns the peaks one after the other, to be stored beside Size.
func (f Frontier) Bytes() []byte {
	b := make([]byte, 0, len(f.peaks)*hashSize)
	for _, p := range f.peaks {
		b = append(b, p[:]...)
	}
	return b
}

// ParseFrontier reads what [Frontier.Bytes] returned for a tree of that size.
func ParseFrontier(size int64, b []byte) (Frontier, error) {
	f := Frontier{Size: size}
	for len(b) >= hashSize {
		f.peaks = append(f.peaks, Hash(b[:hashSize]))
		b = b[hashSize:]
	}
	if size < 0 || len(b) != 0 || len(f.peaks) != ones(size) {
		return Frontier{}, fmt.Errorf("%w: frontier of a tree of %d", ErrMalformed, size)
	}
	return f, nil
}

// ones counts the whole subtrees of a tree: one for each bit of its size.
func ones(size int64) (n int) {
	for ; size > 0; size &= size - 1 {
		n++
	}
	return n
}

// TileSpan is how many leaves one stored node covers: a tree of ten million
// entries is then read from a few hundred rows.
const TileSpan = 1 << tileHeight

const tileHeight = 8

// Nodes reads a tree for proofs. Leaf returns the hashes of count entries from
// the n-th on, counted from 0. Node returns the hash over the TileSpan^level
// leaves that begin at n·TileSpan^level, for levels from 1 on; only whole ones
// are asked for.
type Nodes interface {
	Leaves(n int64, count int) ([]Hash, error)
	Node(level int, n int64) (Hash, error)
}

// HashReader returns a reader for x/mod's proofs ([tlog.ProveRecord],
// [tlog.ProveTree], [tlog.TreeHash]) that stores no more than nodes has.
func HashReader(nodes Nodes) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]Hash, error) {
		hashes := make([]Hash, len(indexes))
		for i, index := range indexes {
			level, n := tlog.SplitStoredHashIndex(index)
			h, err := nodeHash(nodes, level, n)
			if err != nil {
				return nil, err
			}
			hashes[i] = h
		}
		return hashes, nil
	})
}

// nodeHash combines the stored nodes, or leaves, below the n-th node of a level.
func nodeHash(nodes Nodes, level int, n int64) (Hash, error) {
	stored, up := level/tileHeight, level%tileHeight
	count := 1 << up
	var row []Hash
	if stored == 0 {
		leaves, err := nodes.Leaves(n<<up, count)
		if err != nil {
			return Hash{}, err
		}
		row = leaves
	}
	for i := range count {
		if stored == 0 {
			break
		}
		h, err := nodes.Node(stored, n<<up+int64(i))
		if err != nil {
			return Hash{}, err
		}
		row = append(row, h)
	}
	if len(row) != count {
		return Hash{}, fmt.Errorf("%w: %d hashes of %d", ErrMalformed, len(row), count)
	}
	return fold(slices.Clone(row)), nil
}

// fold returns the root over a power of two of hashes, which it overwrites.
func fold(row []Hash) Hash {
	for ; len(row) > 1; row = row[:len(row)/2] {
		for i := range len(row) / 2 {
			row[i] = tlog.NodeHash(row[2*i], row[2*i+1])
		}
	}
	return row[0]
}

// Fold returns the hash of a node from the TileSpan nodes or leaves below it.
// It panics for any other number of them.
func Fold(below []Hash) Hash {
	if len(below) != TileSpan {
		panic(fmt.Sprintf("journal: internal error: folding %d hashes", len(below)))
	}
	return fold(slices.Clone(below))
}
