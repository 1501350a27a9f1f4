// Package campus is a whole campus in one process, on virtual time: terminals
// on disks that are cut, a network that loses and repeats calls, cards that are
// pulled out, an upstream that is restored from yesterday. Everything that
// decides about money is the real program; what is simulated is what the
// programs stand on, and the people in front of them.
//
// One goroutine drives it all, one act after the other, and all chance comes
// from one seed, so that a story repeats to the byte.
//
// # What is right
//
// An oracle watches what really happens: the chips' own counters, cash that
// changes hands, payments that are made. Whatever the programs believe in
// between, in the end every fen that moved is in the books once, and no fen
// that did not. What the oracle knows it knows from the world alone; it never
// asks the code that it checks.
//
// # Faults
//
// Faults stop before the end: machines come up again, lines are mended, every
// card is seen once more. What is then still wrong would stay so.
package campus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"quancun/bathcode"
	"quancun/journal"
	"quancun/money"
	"quancun/tools/sim/bathhouse"
	"quancun/tools/sim/outside"
	"quancun/tools/sim/treasury"
	"quancun/tools/sim/virtual"
	"quancun/tools/sim/works"
)

// Config says which story to tell.
type Config struct {
	Seed  uint64
	Days  int       // 0 is 1
	Story io.Writer // nil: nobody reads along

	// Lying is the control: now and then a machine's disk loses what it has
	// confirmed, and nobody is told. The oracle has to find that.
	Lying bool
}

// Result is what a story came to.
type Result struct {
	Acts, Terminals, Cards int
	Story                  string // hash of all its lines
	Cover                  Coverage
}

// Campus is a campus in the middle of its story.
type Campus struct {
	works    *works.Works
	dice     virtual.Dice
	world    *virtual.World
	trace    *virtual.Trace
	log      *slog.Logger // of all programs
	searched bool         // for secrets, its logs and disks
	logged   bytes.Buffer // what the programs of a campus that is searched have said
	covered  Coverage

	office    *office
	payments  *outside.Payments
	network   outside.Asker   // takes the network fee
	meters    *outside.Biller // takes what electricity costs
	baths     *bathhouse.Baths
	treasury  *treasury.Office
	tooSoon   map[bathcode.Slot]bool // of which a controller's last word came before their end
	losses    map[string]loss        // by reference
	machines  []*machine
	cards     []*plastic
	holders   []*holder
	merchants []string
	orders    []*order // whose codes somebody has seen
	wallets   []string // sales to them
	refunded  map[journal.Position]money.Fen
	troubled  map[string]bool // stations, see [Campus.trouble]
	oracle    *oracle

	reserve money.Fen // of each balance, that only the physical card may spend
	forger  *forger

	acting   *machine // whose act it is
	busy     int      // acts of a day
	refs     int      // names given
	lying    bool     // see [Config.Lying]
	healed   bool     // faults have stopped
	restored bool     // the upstream was once restored from a backup
	acts     int
	broken   error // the first thing that was wrong
}

// Run tells the story of one seed. An error says what was wrong with it.
//
// While it runs, all programs of the process draw what they need of chance from
// the seed too (see [works.DrawFrom]), so one process tells one story at a time.
func Run(ctx context.Context, cfg Config) (Result, error) {
	w, err := works.Open()
	if err != nil {
		return Result{}, err
	}
	defer works.DrawFrom(cfg.Seed)()

	c := &Campus{
		works: w, dice: virtual.NewDice(cfg.Seed, virtual.StreamActs),
		refunded: map[journal.Position]money.Fen{}, troubled: map[string]bool{},
		losses: map[string]loss{}, tooSoon: map[bathcode.Slot]bool{},
		world: &virtual.World{Now: virtual.Morning}, trace: virtual.NewTrace(cfg.Story), lying: cfg.Lying,
		log: slog.New(slog.DiscardHandler),
	}
	if c.searched = cfg.Seed%8 == 0; c.searched { // to format what nobody reads takes long
		c.log = slog.New(slog.NewTextHandler(&c.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	c.oracle = newOracle(c)
	c.payments = outside.NewPayments(c.world, c.dice, func() { c.cover(branchPaidLate) })
	c.network, c.meters = outside.NewAsker(c.world, c.dice, c.met), outside.NewBiller(c.world, c.dice, c.met)
	c.baths = &bathhouse.Baths{World: c.world, Dice: c.dice, Met: c.bathed, Note: c.note, Wrong: c.wrong}
	c.baths.Open(w.Setups)
	c.treasury = c.newTreasury()
	defer c.close()
	whole := context.WithoutCancel(ctx) // see live
	err = c.open(whole)
	if err == nil {
		err = c.live(ctx, max(cfg.Days, 1))
	}
	if err == nil && c.broken == nil {
		err = c.end(whole)
	}
	return Result{
		Acts: c.acts, Terminals: len(c.machines), Cards: len(c.cards), Story: c.trace.Sum(), Cover: c.covered,
	}, errors.Join(err, c.broken)
}

// open has everybody in place on the morning of the first day.
func (c *Campus) open(ctx context.Context) error {
	// Most campuses are small and have a short day: what goes wrong needs few
	// people. A few are as large as life.
	t, terminals := c.works.Towns[works.TownSizes[0]], 2
	c.busy = c.dice.Between(10, 22)
	switch n := c.dice.IntN(200); {
	case n < 2:
		t, terminals, c.busy = c.works.Towns[works.TownSizes[2]], works.StationsMax, c.dice.Between(100, 300)
	case n < 20:
		t, terminals = c.works.Towns[works.TownSizes[1]], c.dice.Between(2, works.StationsMax)
		c.busy = c.dice.Between(30, 80)
	}
	c.office = &office{campus: c, disk: t.Disk.Clone(), lost: map[string]bool{}}
	for _, r := range t.Cards {
		c.enrol(r)
	}
	c.reserve = virtual.Pick(c.dice, []money.Fen{0, half, everything})
	c.merchants = []string{"canteen", "shop"}
	for _, s := range c.works.Stations[:terminals] {
		m := c.newMachine(s, s.ID, s.Disk.Clone())
		c.machines = append(c.machines, m)
		if err := m.start(ctx); err != nil {
			return err
		}
	}
	c.forger = c.newForger()
	c.office.keepBackup(ctx)
	return c.office.open(ctx)
}

func (c *Campus) close() {
	for _, m := range c.machines {
		m.close()
	}
	if c.forger != nil {
		c.forger.close()
	}
	if c.office != nil {
		c.office.close()
	}
}

// What the card reserve may be besides nothing: half of what holders have, on
// average, and more than anybody has.
const (
	half       = 50 * yuan
	everything = 1_000_000 * yuan
)

// ref returns a name that was never given before.
func (c *Campus) ref(prefix string) string {
	c.refs++
	return fmt.Sprintf("%s%04d", prefix, c.refs)
}

func (c *Campus) note(format string, args ...any) {
	c.trace.Add("%s "+format, append([]any{c.world.Now.Format("02 15:04:05.000")}, args...)...)
}

func (c *Campus) cover(b Branch) { c.covered[b]++ }

// wrong notes what must not be. The first of it ends the story.
func (c *Campus) wrong(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	c.note("WRONG: %v", err)
	if c.broken == nil {
		c.broken = err
	}
}
