package feed

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
)

// list is the hotlist in memory. It is never changed: an update makes another.
//
// A card's number has 80 bits. They are stirred so that numbers which differ in
// their last digits only are spread out, and then divided: the upper 16 choose
// one of 64Ki places, the lower 64 are kept there in order. Nothing is dropped,
// so what is found is the card and no other, at nine bytes and a bit a card.
//
// To look into memory is what a check costs, so that a line of the processor's
// cache is filled with what belongs together. The places follow each other
// without a gap: a line may have the end of one and the beginning of the next.
type list struct {
	start [places + 1]uint32 // the index of a place's first card
	lines []line
	n     uint32 // cards
}

// line is a few cards, as many as 64 bytes hold.
type line struct {
	low    [lineCards]uint64
	reason [lineCards + 1]Reason // of the card at the same index; the last is always 0
}

const (
	places    = 1 << 16
	lineCards = 7
)

// key is a card's number, stirred.
type key struct {
	high uint16
	low  uint64
}

// keyOf stirs a number as the finalizer of SplitMix64 does, which leaves no
// pattern of numbers that schools give. Each step can be undone, so that
// different numbers have different keys.
//
// The number is read in the parts in which it was just handed over, the first eight
// bytes and the last two: a processor waits for what two stores have written, until
// all that was begun before is done, and could not look into memory ahead.
func keyOf(c Card) key {
	first, last := binary.BigEndian.Uint64(c[:8]), binary.BigEndian.Uint16(c[8:])
	high, low := uint16(first>>48), first<<16|uint64(last)
	low = (low ^ low>>30) * 0xBF58476D1CE4E5B9
	low = (low ^ low>>27) * 0x94D049BB133111EB
	low ^= low >> 31
	return key{high ^ uint16(low), low} // the uppermost bits are left to order a place by
}

func (k key) compare(l key) int {
	return cmp.Or(cmp.Compare(k.high, l.high), cmp.Compare(k.low, l.low))
}

// len returns the number of cards.
func (l *list) len() int { return int(l.n) }

func (l *list) find(c Card) (Reason, bool) {
	k := keyOf(c)
	first, end := l.start[k.high], l.start[uint32(k.high)+1]
	if first == end {
		return 0, false
	}
	// The stirred numbers of a place are spread evenly, so that a card is found
	// near to where its number says, mostly in that very line.
	share, _ := bits.Mul64(k.low, uint64(end-first))
	i := (first + uint32(share)) / lineCards
	for i*lineCards > first && l.lines[i].low[0] > k.low {
		i--
	}
	for (i+1)*lineCards < end && l.lines[i].low[lineCards-1] < k.low {
		i++
	}
	return l.lines[i].find(k.low, first, end, i*lineCards)
}

// find looks for a card in a line, of which those of the place have the indexes
// from first to before end, and the line's own first card has the index at. It
// never branches on what it finds, which no processor can guess.
func (l *line) find(low uint64, first, end, at uint32) (Reason, bool) {
	var found uint32
	for i := range uint32(lineCards) {
		found |= same(l.low[i], low) << i
	}
	found &= 1<<min(end-at, lineCards) - 1
	found &^= 1<<(max(first, at)-at) - 1
	return l.reason[bits.TrailingZeros32(found|1<<lineCards)], found != 0
}

// same returns 1 for equal numbers, and otherwise 0.
func same(a, b uint64) uint32 {
	differ := a ^ b
	return uint32((differ|-differ)>>63) ^ 1
}

// change is what becomes of one card.
type change struct {
	key
	reason Reason
	gone   bool
}

// changes returns what u does, each card once, in the list's order. Adding
// comes after removing.
func changes(u Update) []change {
	all := make([]change, 0, len(u.Removes)+len(u.Adds))
	for _, c := range u.Removes {
		all = append(all, change{key: keyOf(c), gone: true})
	}
	for _, h := range u.Adds {
		all = append(all, change{key: keyOf(h.Card), reason: h.Reason})
	}
	slices.SortStableFunc(all, func(a, b change) int { return a.compare(b.key) })
	last := all[:0]
	for i, c := range all {
		if i+1 == len(all) || all[i+1].key != c.key {
			last = append(last, c)
		}
	}
	return last
}

// nothing is the list without a card.
var nothing = new(list)

// apply returns the list after u. Only the places that u touches are gone
// through card by card; what lies between them is copied as a whole.
func (l *list) apply(u Update) *list {
	todo := changes(u)
	if u.From == 0 {
		l = nothing
	}
	if len(todo) == 0 {
		return l
	}
	next := &list{lines: make([]line, (l.len()+len(u.Adds)+lineCards-1)/lineCards)}
	copied := 0 // places that next has already
	for len(todo) > 0 {
		high, n := int(todo[0].high), 1
		for n < len(todo) && int(todo[n].high) == high {
			n++
		}
		next.copy(l, copied, high)
		next.start[high] = next.n
		next.merge(l, high, todo[:n])
		copied, todo = high+1, todo[n:]
	}
	next.copy(l, copied, places)
	next.start[places] = next.n
	return next
}

// copy appends the places of old from first to the one before end.
func (l *list) copy(old *list, first, end int) {
	from := old.start[first]
	shift := l.n - from // what wraps around here wraps back below
	for high := first; high < end; high++ {
		l.start[high] = old.start[high] + shift
	}
	l.addAll(old, from, old.start[end])
}

// merge appends a place of l as todo changes it.
func (l *list) merge(old *list, high int, todo []change) {
	i, end := old.start[high], old.start[high+1]
	for _, c := range todo {
		from := i
		for i < end && old.low(i) < c.low {
			i++
		}
		l.addAll(old, from, i)
		if i < end && old.low(i) == c.low {
			i++
		}
		if !c.gone {
			l.add(c.low, c.reason)
		}
	}
	l.addAll(old, i, end)
}

// low returns what is kept of the number of the card at index i.
func (l *list) low(i uint32) uint64 { return l.lines[i/lineCards].low[i%lineCards] }

// addAll appends the cards of old from one index to before another.
func (l *list) addAll(old *list, from, to uint32) {
	for i := from; i < to; i++ {
		at := &old.lines[i/lineCards]
		l.add(at.low[i%lineCards], at.reason[i%lineCards])
	}
}

func (l *list) add(low uint64, r Reason) {
	at := &l.lines[l.n/lineCards]
	at.low[l.n%lineCards], at.reason[l.n%lineCards] = low, r
	l.n++
}
