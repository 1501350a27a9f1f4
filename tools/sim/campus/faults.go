package campus

import (
	"context"
	"errors"
	"slices"
	"time"

	"quancun/lab/disk"
	"quancun/ledger"
	"quancun/tools/sim/virtual"
)

// faults are what happens between two acts.
var faults = []act{
	{6, func(_ context.Context, c *Campus, m *machine) { m.partition() }},
	{8, func(_ context.Context, c *Campus, m *machine) { m.line.weak = virtual.Pick(c.dice, []int{0, 0, 3, 8}) }},
	{4, func(_ context.Context, c *Campus, m *machine) { m.line.flush() }},
	{6, func(_ context.Context, c *Campus, m *machine) { m.keepImage() }},
	{3, func(ctx context.Context, c *Campus, m *machine) { m.rollBack(ctx) }},
	{3, func(ctx context.Context, c *Campus, m *machine) { m.cloneTo(ctx) }},
	{4, func(_ context.Context, c *Campus, m *machine) { m.setClock() }},
	{20, func(_ context.Context, c *Campus, m *machine) { m.fill() }},
	{6, func(ctx context.Context, c *Campus, m *machine) { c.office.keepBackup(ctx) }},
	{5, func(ctx context.Context, c *Campus, m *machine) { c.office.restore(ctx) }},
	{2, func(_ context.Context, c *Campus, m *machine) { c.office.crash() }},
}

// fault lets something go wrong, or end, that is nobody's act.
func (c *Campus) fault(ctx context.Context, m *machine) {
	total := 0
	for _, f := range faults {
		total += f.weight
	}
	n := c.dice.IntN(total)
	for _, f := range faults {
		if n -= f.weight; n < 0 {
			f.do(ctx, c, m)
			return
		}
	}
}

// strike may let a disk fail in the middle of the act that follows. It returns
// what is to be done after the act.
func (c *Campus) strike(m *machine) (after func(context.Context)) {
	switch n := c.dice.IntN(100); {
	case n < 6: // power cut at any call
		m.disk.Break(disk.Fault{Nth: c.dice.Between(1, 60), Failure: disk.IO, Forever: true})
		return func(context.Context) {
			c.note("%s: power cut", m.name)
			c.cover(branchPowerCut)
			m.crash()
		}
	case n < 9: // a call fails, and the disk goes on
		m.disk.Break(disk.Fault{
			Nth: c.dice.Between(1, 60), Failure: virtual.Pick(c.dice, []disk.Failure{disk.IO, disk.Full, disk.Short}),
		})
		return func(ctx context.Context) {
			m.disk.Break(disk.Fault{})
			m.stopIfFailed(ctx)
		}
	case n < 11: // the same at the upstream
		c.office.disk.Break(disk.Fault{Nth: c.dice.Between(1, 80), Failure: disk.IO, Forever: true})
		return func(context.Context) { c.office.crash() }
	}
	return m.stopIfFailed
}

// stopIfFailed ends the program if its journal has failed: it does that itself,
// and whoever watches over it starts it again.
func (m *machine) stopIfFailed(ctx context.Context) {
	if !m.on() {
		return
	}
	if _, err := m.book.Head(ctx); errors.Is(err, ledger.ErrFailed) {
		m.campus.note("%s: the journal has failed", m.name)
		m.campus.cover(branchDiskError)
		m.stop()
	}
}

// partition cuts the line, or mends it.
func (m *machine) partition() {
	m.line.dead = !m.line.dead
	m.campus.note("%s: line is dead: %t", m.name, m.line.dead)
}

// fill leaves little room on the disk, or makes room again.
func (m *machine) fill() {
	if m.full = !m.full; m.full {
		m.disk.Resize(m.disk.Used() + int64(m.campus.dice.Between(0, 32<<10)))
	} else {
		m.disk.Resize(0)
	}
	m.campus.note("%s: disk is full: %t", m.name, m.full)
}

// image is a machine's disk as it once was: a backup, or what an installer has
// copied from it.
type image struct {
	disk  *disk.Disk
	knows []*said
}

// restart brings a machine up again after its power has failed or its program
// has stopped.
func (m *machine) restart(ctx context.Context) {
	if err := m.start(ctx); err != nil {
		m.campus.note("%s does not start: %v", m.name, err)
		if errors.Is(err, ledger.ErrFull) {
			m.campus.cover(branchDiskFull)
			m.fill()
		}
		return
	}
	if err := m.campus.oracle.recall(ctx, m); err != nil {
		m.campus.note("%s cannot look: %v", m.name, err)
		m.stop()
		return
	}
	m.resume(ctx)
}

// keepImage puts a copy of the disk away.
func (m *machine) keepImage() {
	if m.image != nil {
		m.image.disk.Close()
	}
	m.image = &image{m.disk.Clone(), slices.Clone(m.knows)}
}

// rollBack puts the copy back in, as somebody does who wants to repair.
func (m *machine) rollBack(ctx context.Context) {
	if m.image == nil {
		return
	}
	m.campus.note("%s: an old disk is put in", m.name)
	m.stop()
	m.disk.Close()
	m.disk = m.image.disk.Clone()
	m.rewound = true
	clear(m.versions)
	m.campus.trouble(m)
	m.campus.oracle.forgets(ctx, m, m.image.knows)
}

// trouble notes that a terminal's journal is in two places, or was. What its
// machines sell no hold can stand behind: the numbers of the one are passed by
// the other.
func (c *Campus) trouble(m *machine) {
	m.suspect = true
	c.troubled[m.station.ID] = true
}

// lie has the disk lose what it has confirmed since it was installed, and tells
// nobody.
func (m *machine) lie() {
	m.campus.note("%s: the disk has lied", m.name)
	m.stop()
	m.disk.Close()
	m.disk = m.station.Disk.Clone()
}

// cloneTo sets a second machine up from a copy of the disk: two with one name.
func (m *machine) cloneTo(ctx context.Context) {
	c := m.campus
	if m.cloned || m.clone || len(c.machines) > machinesMax {
		return
	}
	m.cloned = true
	twin := c.newMachine(m.station, m.name+"'", m.disk.Clone())
	twin.clone, twin.knows = true, slices.Clone(m.knows)
	c.trouble(m)
	twin.suspect = true
	c.note("%s: there are two of it", m.name)
	c.machines = append(c.machines, twin)
	twin.restart(ctx)
}

// machinesMax is how many a campus may come to have by cloning.
const machinesMax = 10

// setClock makes the machine's clock wrong, or right again.
func (m *machine) setClock() {
	d := m.campus.dice
	switch d.IntN(4) {
	case 0:
		m.watch.Off -= time.Hour
	case 1:
		m.watch.Off += 24 * time.Hour
	case 2:
		m.watch.Set(time.Unix(int64(d.IntN(1_000_000)), 0))
	default:
		m.watch.Off = 0
	}
	m.campus.note("%s: the clock says %s", m.name, m.watch.Now().Format(time.RFC3339))
}
