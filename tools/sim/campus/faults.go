package campus

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"quancun/journal"
	"quancun/lab/disk"
	"quancun/ledger"
	"quancun/tools/sim/outside"
	"quancun/tools/sim/virtual"
	"quancun/tools/sim/works"
	"quancun/upstream/client/bath"
)

// faults are what happens between two acts.
var faults = []act{
	{10, func(_ context.Context, c *Campus, m *machine) { m.partition() }},
	{8, func(_ context.Context, c *Campus, m *machine) { m.line.weak = virtual.Pick(c.dice, []int{0, 0, 3, 8}) }},
	{4, func(_ context.Context, c *Campus, m *machine) { m.line.flush() }},
	{6, func(_ context.Context, c *Campus, m *machine) { m.keepImage() }},
	{3, func(ctx context.Context, c *Campus, m *machine) { m.rollBack(ctx) }},
	{2, func(ctx context.Context, c *Campus, m *machine) { m.loseDisk(ctx) }},
	{5, func(ctx context.Context, c *Campus, m *machine) { m.damage(ctx) }},
	{20, func(ctx context.Context, c *Campus, m *machine) { c.damageOld(ctx) }},
	{8, func(ctx context.Context, c *Campus, m *machine) { m.outlive(ctx) }},
	{7, func(ctx context.Context, c *Campus, m *machine) { m.backUp(ctx) }},
	{20, func(ctx context.Context, c *Campus, m *machine) { m.restore(ctx) }},
	{3, func(ctx context.Context, c *Campus, m *machine) { m.cloneTo(ctx) }},
	{4, func(_ context.Context, c *Campus, m *machine) { m.setClock() }},
	{70, func(_ context.Context, c *Campus, m *machine) { m.fill() }},
	{6, func(ctx context.Context, c *Campus, m *machine) { c.office.keepBackup(ctx) }},
	{3, func(ctx context.Context, c *Campus, m *machine) { c.office.restore(ctx) }},
	{25, func(ctx context.Context, c *Campus, m *machine) { c.office.restoreBefore(ctx) }},
	{8, func(ctx context.Context, c *Campus, m *machine) { m.forget(ctx) }},
	{2, func(_ context.Context, c *Campus, m *machine) { c.office.crash() }},
	{6, func(_ context.Context, c *Campus, m *machine) { c.outage() }},
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

// outage takes a biller away, or brings it back.
func (c *Campus) outage() {
	b := virtual.Pick(c.dice, []*outside.Biller{c.network.Biller, c.meters})
	b.Down = !b.Down
	c.note("billers are down: network %t, electricity %t", c.network.Down, c.meters.Down)
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
	disk   *disk.Disk
	knows  []*said
	backup []*said
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
	m.image = &image{m.disk.Clone(), slices.Clone(m.knows), m.backup}
}

// rollBack puts the copy back in, as somebody does who wants to repair.
func (m *machine) rollBack(ctx context.Context) {
	if m.image == nil {
		return
	}
	m.campus.note("%s: an old disk is put in", m.name)
	m.stop()
	m.disk.Close()
	m.disk, m.backup = m.image.disk.Clone(), m.image.backup
	if m.card != nil && m.campus.dice.OneIn(2) { // it was changed together with the disk
		m.card.Close()
		m.card = works.NewDisk()
	}
	m.rewound = true
	clear(m.versions)
	m.campus.trouble(m)
	m.campus.oracle.forgets(ctx, m, m.andMirrored(m.image.knows))
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
	if m.card != nil {
		m.card.Close()
		m.card = works.NewDisk()
	}
}

// loseDisk has the disk die, and a new one put in. What the mirror has, which is
// on another medium, is left.
func (m *machine) loseDisk(ctx context.Context) {
	if m.card == nil {
		return
	}
	m.campus.note("%s: the disk has died", m.name)
	m.campus.cover(branchDiskLost)
	m.stop()
	m.disk.Close()
	m.disk, m.backup = works.NewDisk(), nil
	m.harmed(ctx, nil)
}

// harmed notes that the journal has lost all but then, and what is in the mirror.
func (m *machine) harmed(ctx context.Context, then []*said) {
	m.rewound = true
	clear(m.versions)
	m.campus.trouble(m)
	m.campus.oracle.forgets(ctx, m, m.andMirrored(then))
}

// andMirrored adds to then what the mirror has, read by the form that is written
// down in docs/JOURNAL.md.
func (m *machine) andMirrored(then []*said) []*said {
	all := slices.Clone(then)
	if m.card == nil {
		return all
	}
	content, err := m.card.ReadFile(works.MirrorPath)
	if err != nil {
		return all
	}
	known := &copied{entries: map[saying]journal.Entry{}}
	content, _ = bytes.CutPrefix(content, []byte("quancun journal mirror 1\n"))
	_, content = cutItem(content, 8+8+32) // the terminal; the epoch, and what was acknowledged
	for body, rest := cutItem(content, 32); body != nil; body, rest = cutItem(rest, 32) {
		if e, _, err := journal.Decode(body); err == nil {
			known.add(e.Position(), body, nil)
		}
	}
	for _, s := range m.knows {
		if _, has := known.entries[saying{s.Ref, s.Kind}]; has && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// cutItem returns bytes that have their length before them and so many bytes
// behind them, and what follows; nil at the end, where half of one may be.
func cutItem(content []byte, behind int) (item, rest []byte) {
	n, width := binary.Uvarint(content)
	if width <= 0 || n+uint64(behind) > uint64(len(content)-width) {
		return nil, nil
	}
	end := width + int(n)
	return content[width:end], content[end+behind:]
}

// Sizes of a disk's sectors, and of a database's pages.
const (
	sectorSize = 512
	pageSize   = 4096
)

// outlive has the upstream restored from a backup of before the machine has gone
// on in a new epoch, and of before something that it had pushed in the old one.
func (m *machine) outlive(ctx context.Context) {
	c := m.campus
	if c.office.down() {
		return
	}
	c.office.keepBackup(ctx)
	m.sellCode(ctx, virtual.Pick(c.dice, c.holders))
	m.count(ctx)
	m.round(ctx)
	// The upstream may have nothing of this epoch, if that did not go up: then the next one
	// has to say what was acknowledged before it. Only a pusher calls this, which has heard
	// of the upstream what it has; but a recovery opens an epoch above such a one too.
	err := m.book.NewEpoch(ctx, "asked for", journal.Head{})
	c.note("%s: goes on in a new epoch: %v", m.name, err)
	c.trouble(m)
	m.stop()
	if m.restart(ctx); !m.on() || c.office.down() {
		return
	}
	m.round(ctx)
	c.office.restore(ctx)
}

// forget has the books restored to before a holder has reserved a bath, or given it up
// again, and those who come to a kiosk first then want the same.
func (m *machine) forget(ctx context.Context) {
	c := m.campus
	if c.office.down() {
		return
	}
	c.office.keepBackup(ctx)
	n, h := len(c.baths.Tickets), virtual.Pick(c.dice, c.holders)
	calm := func() {}
	if m.wish(ctx, &bathing{after: calm}, h.account); c.office.down() || len(c.baths.Tickets) == n {
		return
	}
	t, other := c.baths.Tickets[n], c.otherThan(m.station.ID, m)
	then := c.dice.IntN(6)
	if then <= 1 {
		c.office.keepBackup(ctx)
		other.wish(ctx, &bathing{want: toGiveUp, about: t, after: calm}, t.Account)
	}
	c.office.restore(ctx)
	q := bath.Request{Hall: t.Slot.Place.Hall, Slot: t.Slot.No, Day: t.Slot.Day.Start()}
	switch then {
	case 2, 3:
		other.takePlace(ctx, h, q)
	case 4, 5:
		for range 4 {
			if rival := virtual.Pick(c.dice, c.holders); rival != h {
				other.takePlace(ctx, rival, q)
			}
		}
	}
	for _, one := range []*machine{m, other} {
		one.round(ctx)
	}
	c.office.lapse(ctx)
}

// damage has a sector of the journal's file change by itself.
func (m *machine) damage(ctx context.Context) {
	if m.card == nil {
		return
	}
	m.stop()
	size, err := m.disk.Size(works.JournalPath)
	if err != nil || size == 0 {
		return
	}
	page := m.campus.dice.Int64N(size/pageSize) * pageSize
	for i := range int64(sectorSize) {
		err = errors.Join(err, m.disk.Flip(works.JournalPath, page+i, 0x5A))
	}
	m.campus.note("%s: a sector of the journal at %d is another: %v", m.name, page, err)
	m.harmed(ctx, nil)
}

// damageOld has a byte change in the journals of epochs that are over, or somebody
// deletes them.
func (c *Campus) damageOld(ctx context.Context) {
	for _, m := range c.machines {
		if old := m.oldJournals(); len(old) > 0 {
			m.damageOld(ctx, old)
			return
		}
	}
}

// oldJournals returns the files of journals that are over.
func (m *machine) oldJournals() (old []string) {
	for _, path := range m.disk.Files() {
		if strings.HasPrefix(path, "/journal.") && strings.HasSuffix(path, ".db") && path != works.JournalPath {
			old = append(old, path)
		}
	}
	return old
}

func (m *machine) damageOld(ctx context.Context, old []string) {
	where := m.campus.dice.IntN(8) // thirds of a file; otherwise there is none any more
	for _, path := range old {
		size, err := m.disk.Size(path)
		if err == nil && where < 3 && size > 0 {
			err = m.disk.Flip(path, size*int64(where)/3, 1)
		} else if err == nil {
			err = m.disk.Remove(path)
		}
		if err != nil {
			m.campus.wrong("%s: %v", m.name, err)
		}
	}
	m.campus.note("%s: %d older journals are damaged", m.name, len(old))
	m.campus.cover(branchOldDamaged)
	var now journal.Epoch
	if m.on() {
		now = m.book.Epoch()
	}
	left := slices.DeleteFunc(slices.Clone(m.knows), func(s *said) bool { return s.Epoch != now })
	m.campus.oracle.forgets(ctx, m, m.andMirrored(left))
}

// recover puts the journal together after it was found lost or damaged.
func (m *machine) recover(ctx context.Context, why error) error {
	if errors.Is(why, ledger.ErrTampered) {
		m.campus.cover(branchPageDamaged)
	} else {
		m.campus.cover(branchMirrorAhead)
	}
	r, err := ledger.Recover(ctx, works.JournalPath, m.options())
	m.campus.note("%s: recovered %d entries, %d of the mirror, %d carried over: %v",
		m.name, r.Journal, r.Mirror, r.Carried, err)
	if err == nil {
		m.campus.cover(branchRecovered)
		m.campus.trouble(m)
	}
	return err
}

// backUp writes a copy of the journal beside it.
func (m *machine) backUp(ctx context.Context) {
	err := m.book.Backup(ctx, works.BackupPath)
	m.campus.note("%s: backed up: %v", m.name, err)
	if err == nil {
		m.backup = slices.Clone(m.knows)
	}
}

// restore puts the backup in the place of the journal.
func (m *machine) restore(ctx context.Context) {
	if m.backup == nil {
		m.backUp(ctx)
		return
	}
	m.stop()
	m.disk.Resize(0)
	m.full = false
	for _, ending := range []string{"", "-wal", "-shm", "-journal"} {
		if err := m.disk.Remove(works.JournalPath + ending); err != nil && !errors.Is(err, fs.ErrNotExist) {
			m.campus.wrong("%s: %v", m.name, err)
		}
	}
	err := ledger.Restore(ctx, works.BackupPath, works.JournalPath, m.options())
	m.campus.note("%s: journal restored from its backup: %v", m.name, err)
	if err != nil {
		m.campus.wrong("%s: restore: %v", m.name, err)
	}
	m.campus.cover(branchJournalRestored)
	m.harmed(ctx, m.backup)
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
