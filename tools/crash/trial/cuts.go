package trial

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"quancun/lab/disk"
	"quancun/ledger"
)

// setting is the kind of disk and database that a script runs on.
type setting struct {
	options disk.Options
	page    int    // bytes
	pages   int    // of the "-wal" before a checkpoint
	mirror  bool   // there is one
	old     []byte // the journal file to start with, if any
}

// String names the setting in a report.
func (s setting) String() string {
	return fmt.Sprintf("page %d, checkpoint %d, strict %v, mirror %v, old %d bytes",
		s.page, s.pages, s.options.Strict, s.mirror, len(s.old))
}

// settings are all that there are, in an order in which a few that follow each
// other have a bit of everything.
func settings(old [][]byte) (list []setting) {
	starts := append([][]byte{nil}, old...)
	pages, sizes := []int{10, 40, 1000}, []int{512, 4096}
	for i := range len(pages) * len(sizes) * 4 * len(starts) {
		list = append(list, setting{
			page: sizes[i%2], pages: pages[i/2%3], mirror: i/6%2 == 1, options: disk.Options{Strict: i/12%2 == 1},
			old: starts[(i+i/len(starts))%len(starts)],
		})
	}
	return list
}

// prepare makes a station on a new disk, whose caller closes it, and says what
// is promised about the journal on it.
func (s setting) prepare() (t *station, first promise, err error) {
	t = newStation(disk.New(s.options), s)
	defer func() {
		if err != nil {
			t.disk.Close()
		}
	}()
	if s.old == nil {
		return t, first, format(t.disk, s.page)
	}
	if err := t.disk.WriteFile(path, s.old); err != nil {
		return t, first, err
	}
	first.head, err = headOf(t.disk, path)
	newest, err2 := newestVersion()
	if version := versionIn(s.old); version < newest { // otherwise there is nothing to bring up to date
		t.copies[fmt.Sprintf("%s.v%d.bak", path, version)] = first.head.Seq
	}
	return t, first, errors.Join(err, err2)
}

// versionIn reads user_version out of the header of SQLite's file.
func versionIn(file []byte) uint32 { return binary.BigEndian.Uint32(file[60:]) }

// newestVersion returns the version of a journal that this program makes.
var newestVersion = sync.OnceValues(func() (uint32, error) {
	s := newStation(disk.New(disk.Options{}), setting{})
	defer s.disk.Close()
	if err := errors.Join(s.open(context.Background()), s.close()); err != nil {
		return 0, err
	}
	file, err := s.disk.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return versionIn(file), nil
})

func newStation(d *disk.Disk, s setting) *station {
	t := &station{disk: d, pages: s.pages, wall: noon, up: time.Hour, copies: map[string]int64{}}
	if s.mirror {
		t.mirror = "/second/journal.mirror"
	}
	return t
}

// record runs a script and returns what happened.
func (s setting) record(ctx context.Context, acts []act) (*disk.Recording, *history, error) {
	t, first, err := s.prepare()
	if err != nil {
		return nil, nil, err
	}
	defer t.disk.Close()
	rec := t.disk.Record()
	h, err := t.run(ctx, acts, first)
	err = errors.Join(err, t.close())
	rec.Stop()
	if err != nil {
		rec.Close()
		return nil, nil, fmt.Errorf("%s: %w", s, err)
	}
	return rec, h, nil
}

// run plays acts until one fails that must not.
func (s *station) run(ctx context.Context, acts []act, first promise) (*history, error) {
	h := newHistory(s, acts, first)
	if err := s.open(ctx); err != nil {
		return h, fmt.Errorf("open: %w", err)
	}
	if err := h.promise(ctx, s); err != nil {
		return h, err
	}
	for _, a := range acts {
		err := a.do(ctx, s)
		if s.broken && a.mayFail && !errors.Is(err, ledger.ErrFailed) {
			err = nil
		}
		if err != nil {
			return h, fmt.Errorf("%s: %w", a.name, err)
		}
		if err := h.promise(ctx, s); err != nil {
			return h, err
		}
	}
	return h, nil
}

// again is how many of the states of one recovery are looked at, and every how
// many-th state is cut again.
const (
	againStates = 12
	againEvery  = 40
)

// openingEvery is by how much fewer states are looked at while a journal is
// being made or migrated: they are many, much alike, and take longest.
const openingEvery = 8

// Cuts looks at disks that a power cut may leave of scripts of a seed, on every
// setting in turn, until there are enough.
func Cuts(ctx context.Context, o Options) (Result, error) {
	o = o.filled()
	all := settings(o.Old)
	c := &cutter{o: o, pool: newPool(), most: o.States/len(all) + 1}
	var err error
	for round := 0; err == nil && !c.enough(ctx); round++ {
		err = c.cut(ctx, all[round%len(all)], uint64(round))
	}
	return c.pool.wait(), errors.Join(err, ctx.Err())
}

// cutter is a trial of power cuts that is going on.
type cutter struct {
	o      Options
	pool   *pool
	most   int // states of one script, about
	looked int
}

func (c *cutter) enough(ctx context.Context) bool {
	return ctx.Err() != nil || c.pool.states() >= c.o.States ||
		c.o.For > 0 && time.Since(c.pool.begun) >= c.o.For
}

// cut runs one script, and looks at states evenly spread over all of it.
func (c *cutter) cut(ctx context.Context, s setting, round uint64) error {
	r := rand.New(rand.NewPCG(c.o.Seed, round))
	rec, h, err := s.record(ctx, script(r, c.o.Acts))
	if err != nil {
		return err
	}
	defer rec.Close()
	name := fmt.Sprintf("seed %d, round %d (%s)", c.o.Seed, round, s)
	const perOperation = 14 // states, the same ones among them
	choice := disk.Choice{Seed: r.Uint64(), Each: 4, Every: max(1, len(rec.Ops())*perOperation/c.most)}
	opening := 0
	for state := range rec.States(choice) {
		if state.Acked == 0 {
			opening++
		}
		if state.Acked == 0 && opening%openingEvery != 0 {
			state.Disk.Close()
			continue
		}
		if c.enough(ctx) {
			state.Disk.Close()
			break
		}
		c.looked++
		again := c.looked%againEvery == 0
		c.pool.do(func() (string, []error) {
			defer state.Disk.Close()
			return name + ", " + state.String(), h.look(ctx, state, again)
		})
	}
	return nil
}

// look checks one state. If again is set it cuts the power a second time while
// the journal recovers, and checks some of what that leaves.
func (h *history) look(ctx context.Context, s disk.State, again bool) []error {
	if !again {
		return []error{h.check(ctx, s.Disk, s.Acked, false)}
	}
	f := h.fork(s.Acked)
	rec := s.Disk.Record()
	results := []error{f.check(ctx, s.Disk, s.Acked, true)}
	rec.Stop()
	defer rec.Close()
	if results[0] != nil {
		return results
	}
	every := max(1, len(rec.Ops())*4/againStates)
	for second := range rec.States(disk.Choice{Seed: uint64(s.At), Each: 1, Every: every}) {
		if len(results) <= againStates {
			last := max(s.Acked, second.Acked)
			results = append(results, f.check(ctx, second.Disk, last, false))
		}
		second.Disk.Close()
	}
	return results
}

// Weakened names what Control has SQLite do instead of what the ledger asks
// for and reads back.
type Weakened struct {
	Name   string
	ignore map[string]string
}

// The controls, each of which has to lose what was acknowledged.
var (
	Normal = Weakened{"WAL, synchronous = NORMAL", map[string]string{"synchronous": "3"}}
	Delete = Weakened{"journal_mode = DELETE, FULL", map[string]string{"synchronous": "2", "journal_mode": "wal"}}
)

// Control cuts the power at every operation of one script, on an SQLite that
// promises less than the ledger reads back, and keeps nothing that was not
// synced.
func Control(ctx context.Context, o Options, w Weakened) (Result, error) {
	o = o.filled()
	s := setting{page: 4096, pages: 40, options: disk.Options{Ignore: w.ignore}}
	rec, h, err := s.record(ctx, script(rand.New(rand.NewPCG(o.Seed, 0)), o.Acts))
	if err != nil {
		return Result{}, err
	}
	defer rec.Close()
	p := newPool()
	for state := range rec.States(disk.Choice{AllLost: true}) {
		if state.Acked == 0 { // nothing has been promised that could be lost
			state.Disk.Close()
			continue
		}
		p.do(func() (string, []error) {
			defer state.Disk.Close()
			return state.String(), h.look(ctx, state, false)
		})
	}
	return p.wait(), nil
}
