package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"quancun/ledger/feed"
)

// hotCards is a hotlist far beyond any school's.
const hotCards = 1_000_000

// hotCard returns the i-th of many cards that look like chance and are the same
// in every run.
func hotCard(i int) (c feed.Card) {
	binary.BigEndian.PutUint64(c[2:], uint64(i)*0x9E3779B97F4A7C15)
	return c
}

func hotUpdate(version uint64, from, to int) feed.Update {
	u := feed.Update{Name: feed.Hotlist, Version: version, Issued: time.Now()}
	if version > 1 {
		u.From = version - 1
	}
	for i := from; i < to; i++ {
		u.Adds = append(u.Adds, feed.Hot{Card: hotCard(i), Reason: 2})
	}
	slices.SortFunc(u.Adds, func(a, b feed.Hot) int {
		return cmp.Compare(binary.BigEndian.Uint64(a.Card[2:]), binary.BigEndian.Uint64(b.Card[2:]))
	})
	return u
}

// measureHotlist measures P8: what a check costs at a million cards, what the
// list costs in memory, and how long a thousand changes take.
func measureHotlist(ctx context.Context, dir string) (_ []figure, err error) {
	raw, err := newRawDisk(dir) // for its folder
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, raw.close()) }()
	feeds, err := feed.Open(ctx, filepath.Join(dir, "feeds.db"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, feeds.Close()) }()
	empty := heap()
	if err := feeds.Apply(ctx, hotUpdate(1, 0, hotCards)); err != nil {
		return nil, err
	}
	used := int64(heap()) - int64(empty)
	var deltas []time.Duration
	for i := range turns {
		u := hotUpdate(uint64(i+2), hotCards+1000*i, hotCards+1000*(i+1))
		start := time.Now()
		if err := feeds.Apply(ctx, u); err != nil {
			return nil, err
		}
		deltas = append(deltas, time.Since(start))
	}
	look, bare, err := lookups(feeds)
	if err != nil {
		return nil, err
	}
	note := fmt.Sprintf("%d cards; ", feeds.HotCount())
	return []figure{
		{"P8.lookup", look, "ns", "", note + "half of the checks hit; at most 100"},
		{"P8.ratio", look / bare, "", "the least list",
			note + fmt.Sprintf("a check against %.0f ns in words in order with a directory, which know no reason "+
				"and eight bytes of a number; the machine's memory, and who else uses it, makes both", bare)},
		{"P8.bytes", float64(used), "B", "", note + "at most 10,000,000"},
		{"P8.delta", 1000 * median(deltas).Seconds(), "ms", "", note + "1,000 changes, durable; at most 150"},
	}, nil
}

// lookups returns nanoseconds for one check and, measured in turn, for one in the
// least list that can say yes or no.
func lookups(feeds *feed.Feeds) (check, bare float64, err error) {
	const n = 1 << 17
	asked, words := make([]feed.Card, n), make([]uint64, n)
	random := rand.New(rand.NewPCG(1, 1))
	for i := range asked {
		c := random.IntN(2 * hotCards)
		asked[i], words[i] = hotCard(c), leastWord(c)
	}
	least := newLeastList()
	found := 0
	var checks, reads []time.Duration
	for range turns {
		start := time.Now()
		for i := range asked {
			if _, hot := feeds.Hot(asked[i]); hot {
				found++
			}
		}
		checks = append(checks, time.Since(start))
		start = time.Now()
		for _, w := range words {
			if least.has(w) {
				found--
			}
		}
		reads = append(reads, time.Since(start))
	}
	if most := turns * (feeds.HotCount() - hotCards) * 2; found < 0 || found > most {
		return 0, 0, fmt.Errorf("one list found %d cards more than the other", found)
	}
	return float64(median(checks).Nanoseconds()) / n, float64(median(reads).Nanoseconds()) / n, nil
}

// leastList is words in order and a directory by their upper 16 bits.
type leastList struct {
	start [1<<16 + 1]uint32
	words []uint64
}

// leastWord is the i-th card's.
func leastWord(i int) uint64 { return uint64(i) * 0x9E3779B97F4A7C15 }

func newLeastList() *leastList {
	l := new(leastList)
	for i := range hotCards {
		l.words = append(l.words, leastWord(i))
	}
	slices.Sort(l.words)
	for i, w := range l.words {
		l.start[w>>48+1] = uint32(i + 1)
	}
	return l
}

func (l *leastList) has(w uint64) bool {
	_, is := slices.BinarySearch(l.words[l.start[w>>48]:l.start[w>>48+1]], w)
	return is
}

// heap returns the bytes in use after a collection.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
