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
// so what is found is the card and no other, at nine bytes a card.
type list struct {
	start  [places + 1]uint32 // where a place begins in low
	low    []uint64
	reason []Reason // of the card at the same index
}

const places = 1 << 16

// key is a card's number, stirred.
type key struct {
	high uint16
	low  uint64
}

// keyOf stirs a number as the finalizer of SplitMix64 does, which leaves no
// pattern of numbers that schools give. Each step can be undone, so that
// different numbers have different keys.
func keyOf(c Card) key {
	high, low := binary.BigEndian.Uint16(c[:]), binary.BigEndian.Uint64(c[2:])
	low = (low ^ low>>30) * 0xBF58476D1CE4E5B9
	low = (low ^ low>>27) * 0x94D049BB133111EB
	low ^= low >> 31
	return key{high ^ uint16(low), low} // the uppermost bits are left to order a place by
}

func (k key) compare(l key) int {
	return cmp.Or(cmp.Compare(k.high, l.high), cmp.Compare(k.low, l.low))
}

// len returns the number of cards.
func (l *list) len() int { return len(l.low) }

func (l *list) find(c Card) (Reason, bool) {
	k := keyOf(c)
	first, end := l.start[k.high], l.start[uint32(k.high)+1]
	// The stirred numbers of a place are spread evenly, so that a card is found
	// near to where its number says, mostly in one line of the processor's cache.
	share, _ := bits.Mul64(k.low, uint64(end-first))
	i := first + uint32(share)
	for i > first && l.low[i-1] >= k.low {
		i--
	}
	for i < end && l.low[i] < k.low {
		i++
	}
	if i == end || l.low[i] != k.low {
		return 0, false
	}
	return l.reason[i], true
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
	next := &list{
		low:    make([]uint64, 0, l.len()+len(u.Adds)),
		reason: make([]Reason, 0, l.len()+len(u.Adds)),
	}
	copied := 0 // places that next has already
	for len(todo) > 0 {
		high, n := int(todo[0].high), 1
		for n < len(todo) && int(todo[n].high) == high {
			n++
		}
		next.copy(l, copied, high)
		next.start[high] = uint32(len(next.low))
		next.merge(l, high, todo[:n])
		copied, todo = high+1, todo[n:]
	}
	next.copy(l, copied, places)
	next.start[places] = uint32(len(next.low))
	return next
}

// copy appends the places of old from first to the one before end.
func (l *list) copy(old *list, first, end int) {
	from, to := old.start[first], old.start[end]
	shift := uint32(len(l.low)) - from // what wraps around here wraps back below
	for high := first; high < end; high++ {
		l.start[high] = old.start[high] + shift
	}
	l.low = append(l.low, old.low[from:to]...)
	l.reason = append(l.reason, old.reason[from:to]...)
}

// merge appends a place of l as todo changes it.
func (l *list) merge(old *list, high int, todo []change) {
	i, end := old.start[high], old.start[high+1]
	for _, c := range todo {
		for ; i < end && old.low[i] < c.low; i++ {
			l.add(old.low[i], old.reason[i])
		}
		if i < end && old.low[i] == c.low {
			i++
		}
		if !c.gone {
			l.add(c.low, c.reason)
		}
	}
	l.low = append(l.low, old.low[i:end]...)
	l.reason = append(l.reason, old.reason[i:end]...)
}

func (l *list) add(low uint64, r Reason) {
	l.low, l.reason = append(l.low, low), append(l.reason, r)
}
