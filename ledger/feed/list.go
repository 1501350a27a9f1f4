package feed

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// list is the hotlist in memory. It is never changed: an update makes another.
//
// A card's number has 80 bits. They are stirred so that numbers which differ in
// their last digits only are spread out. The upper 17 then choose one of 128Ki
// places, and the lower 64 are kept there in order: nothing is dropped, so what
// is found is the card and no other, at nine bytes and half a byte a card.
//
// To look into memory is what a check costs, three times for a card that is hot
// and twice for all others. Between them little is done, so that a processor
// comes to the next check while it waits for this one.
type list struct {
	start  [places + 1]uint32 // the index of a place's first card
	low    []uint64           // of each card
	reason []Reason           // of the card at the same index
}

const places = 1 << 17

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
	return key{high ^ uint16(low), low}
}

// place returns where the key is kept: its upper 17 bits.
func (k key) place() int { return int(k.high)<<1 | int(k.low>>63) }

func (k key) compare(l key) int {
	return cmp.Or(cmp.Compare(k.high, l.high), cmp.Compare(k.low, l.low))
}

// len returns the number of cards.
func (l *list) len() int { return int(l.start[places]) }

func (l *list) find(c Card) (Reason, bool) {
	k := keyOf(c)
	at := k.place()
	first, end := l.start[at], l.start[at+1]
	for i, low := range l.low[first:end] {
		if low == k.low {
			return l.reason[int(first)+i], true
		}
		if low > k.low {
			break
		}
	}
	return 0, false
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
	size := l.len() + len(u.Adds)
	next := &list{low: make([]uint64, 0, size), reason: make([]Reason, 0, size)}
	copied := 0 // places that next has already
	for len(todo) > 0 {
		at, n := todo[0].place(), 1
		for n < len(todo) && todo[n].place() == at {
			n++
		}
		next.copy(l, copied, at)
		next.start[at] = uint32(len(next.low))
		next.merge(l, at, todo[:n])
		copied, todo = at+1, todo[n:]
	}
	next.copy(l, copied, places)
	next.start[places] = uint32(len(next.low))
	return next
}

// copy appends the places of old from first to the one before end.
func (l *list) copy(old *list, first, end int) {
	from := old.start[first]
	shift := uint32(len(l.low)) - from // what wraps around here wraps back below
	for at := first; at < end; at++ {
		l.start[at] = old.start[at] + shift
	}
	l.addAll(old, from, old.start[end])
}

// merge appends a place of old as todo changes it.
func (l *list) merge(old *list, at int, todo []change) {
	i, end := old.start[at], old.start[at+1]
	for _, c := range todo {
		from := i
		for i < end && old.low[i] < c.low {
			i++
		}
		l.addAll(old, from, i)
		if i < end && old.low[i] == c.low {
			i++
		}
		if !c.gone {
			l.low, l.reason = append(l.low, c.low), append(l.reason, c.reason)
		}
	}
	l.addAll(old, i, end)
}

// addAll appends the cards of old from one index to before another.
func (l *list) addAll(old *list, from, to uint32) {
	l.low = append(l.low, old.low[from:to]...)
	l.reason = append(l.reason, old.reason[from:to]...)
}
