package campus

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"

	"quancun/journal"
	"quancun/money"
	"quancun/tools/sim/virtual"
)

// forger is a terminal in the wrong hands: its key and its certificate are good,
// and what it says is whatever dice make up. It keeps its own journal by hand,
// so that it can break every rule that the real one keeps.
type forger struct {
	*machine
	epoch  journal.Epoch
	bodies [][]byte
	tree   journal.Frontier
	prev   journal.Hash
	acked  int64 // by upstream
}

// newForger puts a station that nobody else has into the wrong hands. A campus
// that has none left has no forger.
func (c *Campus) newForger() *forger {
	s := c.works.Stations[len(c.works.Stations)-1]
	if len(c.machines) == len(c.works.Stations) {
		return nil
	}
	f := &forger{machine: c.newMachine(s, "forger", s.Disk.Clone())}
	_, _ = virtual.Chance{Dice: c.dice}.Read(f.epoch[:])
	return f
}

// attack lets the forger do something.
func (c *Campus) attack(ctx context.Context) {
	if c.forger != nil {
		c.forger.attack(ctx)
	}
}

// add makes body the next entry, whatever it says.
func (f *forger) add(body []byte) {
	f.bodies = append(f.bodies, body)
	f.prev = journal.HashOf(body)
	f.tree.Append(f.prev)
}

// entry fills in where e stands, and returns its bytes.
func (f *forger) entry(e journal.Entry) []byte {
	e.Terminal, e.Epoch, e.Seq = f.station.ID, f.epoch, f.tree.Size+1
	e.At, e.Clock = f.watch.Now().UTC(), journal.ClockAlone
	return e.Encode(f.prev)
}

// forged reports whether e is of the forger's making.
func forged(e journal.Entry) bool { return strings.HasPrefix(e.Ref, "forged") }

// forgery makes up an entry that must move nothing, be it that it breaks a rule,
// speaks for somebody else, or ends what was never begun.
func (f *forger) forgery() []byte {
	d, c := f.campus.dice, f.campus
	e := journal.Entry{
		Kind: journal.CodeSale, Ref: c.ref("forged"), Account: virtual.Pick(d, c.holders).account,
		Merchant: c.merchants[0], Amount: d.Amount(50 * yuan),
	}
	switch d.IntN(9) {
	case 0: // unbalanced
		e = e.Post(false, 0)
		e.Postings[0].Amount++
	case 1: // balanced, but not what the kind moves
		e.Postings = []journal.Posting{
			{Account: journal.Account("holder/" + e.Account), Amount: 100 * yuan},
			{Account: journal.Safe, Amount: -100 * yuan},
		}
	case 2: // of another terminal
		e = e.Post(false, 0)
		e.Terminal, e.Epoch, e.Seq, e.At = c.machines[0].station.ID, f.epoch, f.tree.Size+1, f.watch.Now().UTC()
		return e.Encode(f.prev)
	case 3: // no entry at all
		b := make([]byte, d.Between(1, 300))
		_, _ = virtual.Chance{Dice: d}.Read(b)
		return b
	case 4: // a number from the future
		b := f.entry(e.Post(false, 0))
		binary.BigEndian.PutUint64(b[journal.SeqAt:], uint64(f.tree.Size+1000))
		return b
	case 5: // does not follow the one before
		b := f.entry(e.Post(false, 0))
		b[journal.PrevAt] ^= 1
		return b
	case 6: // a kind that nobody knows
		e.Kind, e.Details = 9999, json.RawMessage(`{"new":true}`)
	case 7: // an end of what was never begun
		e.Kind, e.Card, e.Outcome = journal.SaleEnd, virtual.Pick(d, c.cards).no, journal.Written
		e = e.Post(d.OneIn(2), 0)
	case 8: // more than there is in the world
		e.Amount = journal.AmountMax + money.Fen(d.Between(1, 1000))
	}
	return f.entry(e)
}

// attack pushes forgeries, in batches that are sometimes broken themselves.
func (f *forger) attack(ctx context.Context) {
	c, d := f.campus, f.campus.dice
	for range d.Between(1, 3) {
		f.add(f.forgery())
	}
	b := journal.Batch{Epoch: f.epoch, From: f.acked + 1, Bodies: f.bodies[f.acked:]}
	key, size, root := f.station.Key, f.tree.Size, f.tree.Root()
	broken := d.IntN(8)
	switch broken {
	case 0: // signed by somebody else
		key = c.machines[0].station.Key
	case 1: // of another root
		root[0] ^= 1
	case 2: // of more than there is
		size++
	case 3: // from the future
		b.From += 5
	}
	note, err := journal.Checkpoint{Terminal: f.station.ID, Epoch: f.epoch, Size: size, Root: root}.Sign(key)
	if err != nil {
		c.wrong("sign: %v", err)
		return
	}
	b.Note = note
	ack, err := f.client.Push(ctx, b)
	no := (*journal.PushError)(nil)
	switch {
	case err == nil && broken <= 3:
		c.wrong("a broken batch (%d) of %s was taken", broken, f.name)
	case err == nil:
		f.acked = ack.Head.Seq
		c.cover(branchPoison)
	case errors.As(err, &no):
		c.cover(branchBatchRefused)
		f.acked = no.Head.Seq // after a restored upstream, less
	}
	c.note("%s attacks, broken %d: %v", f.name, broken, err)
}
