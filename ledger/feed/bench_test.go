package feed

import (
	"testing"
	"time"
	"unsafe"
)

// million is the size at which the list has to be fast.
const million = 1_000_000

// BenchmarkHot is P8.lookup and P8.bytes: is a card on a list of a million?
func BenchmarkHot(b *testing.B) {
	u := many(million)
	l := new(list).apply(u)
	bytes := int(unsafe.Sizeof(*l)) + 9*cap(l.low)
	for name, of := range map[string]func(int) Card{
		"hit":  func(i int) Card { return u.Adds[i*7919%million].Card },
		"miss": func(i int) Card { c := u.Adds[i*7919%million].Card; c[0] = 9; return c },
	} {
		b.Run(name, func(b *testing.B) {
			asked := make([]Card, 1<<16)
			for i := range asked {
				asked[i] = of(i)
			}
			found := 0
			for i := 0; b.Loop(); i++ {
				if _, hot := l.find(asked[i%len(asked)]); hot {
					found++
				}
			}
			if (found > 0) != (name == "hit") {
				b.Fatalf("%d found", found)
			}
			b.ReportMetric(float64(bytes), "bytes")
		})
	}
}

// BenchmarkDelta is P8.delta: a thousand changes to a list of a million, on the
// disk and in force, and the longest that a check waited meanwhile.
func BenchmarkDelta(b *testing.B) {
	f := newFeeds(b, newPath(b))
	if err := f.Apply(b.Context(), many(million)); err != nil {
		b.Fatal(err)
	}
	stop, longest := make(chan struct{}), make(chan time.Duration)
	go func() {
		most := time.Duration(0)
		for {
			select {
			case <-stop:
				longest <- most
				return
			default:
			}
			start := time.Now()
			f.Hot(card(1))
			most = max(most, time.Since(start))
			time.Sleep(100 * time.Microsecond)
		}
	}()
	version := uint64(1)
	for b.Loop() {
		u := Update{Name: Hotlist, From: version, Version: version + 1, Issued: noon}
		for i := range 1000 {
			u.Adds = append(u.Adds, Hot{card(i*4001 + int(version)%4001), 2})
		}
		if err := f.Apply(b.Context(), u); err != nil {
			b.Fatal(err)
		}
		version++
	}
	close(stop)
	b.ReportMetric(float64((<-longest).Nanoseconds()), "longest-check-ns")
}

// BenchmarkOpen is the start of a terminal with a list of a million.
func BenchmarkOpen(b *testing.B) {
	path := newPath(b)
	f := newFeeds(b, path)
	if err := f.Apply(b.Context(), many(million)); err != nil {
		b.Fatal(err)
	}
	f.Close()
	for b.Loop() {
		f, err := Open(b.Context(), path)
		if err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}
