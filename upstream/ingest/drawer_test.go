package ingest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/clearing"
	"quancun/upstream/ingest"
	"quancun/upstream/store"
	v1 "quancun/upstream/wire/quancun/v1"
)

// opens begins a shift with a float.
func (c *till) opens(float money.Fen) {
	c.write(journal.Entry{Kind: journal.ShiftOpened, Ref: "shift", Amount: float, Operator: "k7"})
}

// takes takes cash onto an account.
func (c *till) takes(ref string, amount money.Fen) journal.Entry {
	return c.write(journal.Entry{Kind: journal.CashTopUp, Ref: ref, Account: "1001", Amount: amount, Operator: "k7"})
}

// drops puts cash into the safe.
func (c *till) drops(ref string, amount money.Fen) {
	c.write(journal.Entry{Kind: journal.CashOut, Ref: ref, Amount: amount, Operator: "k7"})
}

// counts says what is in the drawer. What the journal's own books have else is posted.
func (c *till) counts(ref string, amount money.Fen) {
	c.at = c.at.Add(1)
	e := journal.Entry{
		Terminal: c.terminal.ID, Epoch: c.epoch, Seq: c.next(), At: c.at, Clock: journal.ClockSynced,
		Kind: journal.Counted, Ref: ref, Amount: amount, Operator: "k7",
	}
	c.put(e.Post(false, -c.accounts()[journal.TillAccount(c.terminal.ID)]).Encode(c.head()))
}

// room is a question for room for cash, below a cap of 100 yuan.
func (c *till) room(attempt string, amount money.Fen) ingest.Request {
	q := c.request(&purse{}, attempt, amount)
	q.CardNo, q.Merchant, q.Account, q.Cap, q.Reading = "", "", "1001", 100*yuan, nil
	return q
}

// TestRoomInNewEpoch: room that is held for cash is held until the cash has come, also
// if it comes as an entry that a new epoch carries over; and no longer than that, if no
// cash was taken, or the entry is lost with a disk.
func TestRoomInNewEpoch(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a, c, d := w.holder("1001", 10*yuan), w.till("C01"), w.till("C02")
		c.opens(20 * yuan)
		c.push()
		d.opens(0)
		d.push()
		taken := c.room("in1", 60*yuan)
		c.approved(taken, 90*yuan)
		c.takes("in1", 60*yuan) // and the network goes
		n := c.reopen(c.next()-2, journal.ReasonForked)
		n.take(n.batch(1, 1))
		d.declined(d.room("in2", 31*yuan), v1.Reason_REASON_BALANCE_CAP)
		n.take(n.batch(2, n.next()-1))
		w.wants(map[store.Account]money.Fen{a: 70 * yuan, "till/C01": -80 * yuan})
		d.declined(d.room("in3", 31*yuan), v1.Reason_REASON_BALANCE_CAP)
		n.write(journal.Entry{Kind: journal.Started})
		n.push()
		d.declined(d.room("in4", 31*yuan), v1.Reason_REASON_BALANCE_CAP)

		n.approved(n.room("in5", 30*yuan), 30*yuan) // its number is given to another entry
		m := n.reopen(n.next()-1, journal.ReasonForked)
		m.push()
		d.approved(d.room("in6", 30*yuan), 30*yuan)
		m.takes("in7", 5*yuan) // nobody has asked: it is posted, the money is in the drawer
		m.push()
		w.wants(map[store.Account]money.Fen{a: 75 * yuan, "till/C01": -85 * yuan})
		got, err := w.states("in1", "in5", "in6")
		if want := []ingest.HoldState{ingest.HoldCaptured, ingest.HoldReleased, ingest.HoldPlaced}; err != nil ||
			!slices.Equal(got, want) {
			t.Errorf("holds %v, %v; want %v", got, err, want)
		}
		w.inbox(ingest.EpochOpened, ingest.EpochOpened)
		w.sound()
	})
}

// TestDrawerOfImage: a machine is put back to an image of before, and does not know of
// cash that it has taken since. Its next count makes a surplus of that; the inbox says
// so, and two persons take both out of the books again.
func TestDrawerOfImage(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a, c := w.holder("1001", 10*yuan), w.till("C01")
		c.opens(100 * yuan)
		c.takes("in1", 50*yuan)
		image := c.rewind(c.next() - 1)
		c.takes("in2", 30*yuan)
		c.push()
		n := image.reopen(image.next()-1, journal.ReasonRewound)
		n.push()
		w.inbox(ingest.EpochOpened) // it may still bring it over
		n.counts("count", 180*yuan)
		n.drops("drop", 180*yuan)
		n.push()
		w.inbox(ingest.EpochOpened, ingest.DrawerDiffers)
		w.wants(map[store.Account]money.Fen{
			a: 90 * yuan, "till/C01": -30 * yuan, "over-short/C01": 30 * yuan, "safe": -80 * yuan,
		})
		w.counted(-30*yuan, 0)
		w.wants(map[store.Account]money.Fen{"till/C01": 0, "over-short/C01": 30 * yuan, clearing.OverShort: -30 * yuan})
		again := n.reopen(n.next()-1, journal.ReasonForked)
		again.write(journal.Entry{Kind: journal.Started})
		again.push()
		w.inbox(ingest.EpochOpened, ingest.EpochOpened) // now both have the same
		w.sound()
	})
}

// TestShiftInTwoJournals: a till's image is cloned in the middle of a shift, and both
// machines go on. The line about each new journal says since when the shift is open, and
// what every journal has in the one drawer. The machine without the cash counts all the
// same, and makes a shortage of it; when the till is reset, two persons even that out.
func TestShiftInTwoJournals(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a, c := w.holder("1001", 10*yuan), w.till("C01")
		c.opens(100 * yuan)
		c.takes("in1", 50*yuan)
		image := c.rewind(c.next() - 1)
		c.takes("in2", 30*yuan)
		c.push()
		shift := c.entries()
		n := image.reopen(2, journal.ReasonRewound, shift[:2]...)
		n.push()
		const since = "a shift is open since 2026-03-02 12:00:00 (k7), "
		end := fmt.Sprintf("; %s to number 3: %s180.00 in the drawer", c.epoch, since)
		w.says(n, "rewound", end+"; this one: "+since+"150.00 in the drawer")

		c.takes("in3", 5*yuan) // the other machine, which is told that its epoch has ended
		m := c.reopen(3, journal.ReasonForked, shift...)
		n.takes("in4", 7*yuan)
		n.push()
		m.push()
		w.says(m, "forked", end+fmt.Sprintf("; %s to number 4, which carries on the same: %s157.00 in the drawer; "+
			"this one: %s185.00 in the drawer", n.epoch, since, since))

		n.counts("count", 0)
		n.push()
		m.drops("drop", 192*yuan)
		m.push()
		w.wants(map[store.Account]money.Fen{a: 102 * yuan, "till/C01": 157 * yuan, "over-short/C01": -157 * yuan})
		w.inbox(ingest.EpochOpened, ingest.EpochOpened, ingest.DrawerDiffers, ingest.DrawerDiffers)
		if err := w.in.Part(t.Context(), m.terminal); err != nil {
			t.Fatal(err)
		}
		w.onlyNewest()
		count := w.counted(157*yuan, 0) // what differed before is in it
		w.onlyNewest()
		w.explained(count)
		w.wants(map[store.Account]money.Fen{"till/C01": 0, clearing.OverShort: 157 * yuan})
		w.sound()
	})
}

// TestNoShiftInNewJournal: nothing is said of a drawer where there is none, and without a
// shift only that it has cash.
func TestNoShiftInNewJournal(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.holder("1001", 10*yuan)
		k, c := w.till("K01"), w.till("C01")
		k.write(journal.Entry{Kind: journal.Started})
		k.push()
		k2 := k.reopen(1, journal.ReasonForked)
		k2.push()
		w.says(k2, "forked", "")

		c.opens(100 * yuan)
		c.takes("in1", 50*yuan)
		c.closes("z1")
		c.push()
		n := c.reopen(3, journal.ReasonForked, c.entries()[2])
		n.push()
		w.says(n, "forked", fmt.Sprintf("; %s to number 3: no shift is open, 150.00 in the drawer; "+
			"this one: no shift is open, 150.00 in the drawer", c.epoch))
		w.sound()
	})
}

// entries are those of the journal.
func (c *till) entries() (all []journal.Entry) {
	c.w.t.Helper()
	for _, b := range c.bodies {
		e, _, err := journal.Decode(b)
		if err != nil {
			c.w.t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// closes ends the shift.
func (c *till) closes(ref string) {
	c.w.t.Helper()
	sum := journal.NewTally(c.terminal.ID)
	for _, e := range c.entries() {
		if err := sum.Add(e); err != nil {
			c.w.t.Fatal(err)
		}
	}
	r := sum.Report(journal.ShiftClosed)
	details, err := json.Marshal(r)
	if err != nil {
		c.w.t.Fatal(err)
	}
	c.write(journal.Entry{
		Kind: journal.ShiftClosed, Ref: ref, Operator: "k7", Amount: r.Till, Origin: sum.Last(), Details: details,
	})
}

// says checks the line about a new journal: why it was begun, and what it ends in.
func (w *world) says(c *till, why, drawer string) {
	w.t.Helper()
	lines, err := w.books.Exceptions(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	i := slices.IndexFunc(lines, func(x store.Exception) bool {
		return x.Kind == string(ingest.EpochOpened) && bytes.Equal(x.Epoch, c.epoch[:])
	})
	if i < 0 {
		w.t.Fatalf("no line about epoch %s in %+v", c.epoch, lines)
	}
	e, err := c.entries()[0].Opening()
	head := fmt.Sprintf("%s: %s ended with %d, we had acknowledged %d", why, e.Epoch, e.Head, c.entries()[0].Origin.Seq)
	if err != nil || lines[i].Detail != head+drawer {
		w.t.Errorf("the line says\n%s, want\n%s", lines[i].Detail, head+drawer)
	}
	if open := strings.Contains(drawer, "is open since"); strings.Contains(lines[i].NextStep, "before it counts") != open {
		w.t.Errorf("next step %q, want a word about counting: %t", lines[i].NextStep, open)
	}
}

// TestDrawerOfLostDisk: a disk is lost in the middle of a shift. The cash in the drawer
// is of no journal any more, and the inbox says how much the books have in it.
func TestDrawerOfLostDisk(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.holder("1001", 10*yuan)
		c := w.till("C01")
		c.opens(100 * yuan)
		c.takes("in1", 50*yuan)
		c.push()
		n := *c
		n.bodies, n.hashes = nil, nil
		n.epoch[0]++
		n.opens(20 * yuan)
		n.push()
		w.inbox(ingest.EpochUnexplained, ingest.DrawerDiffers)
		w.counted(-150*yuan, 148*yuan) // two are missing
		w.wants(map[store.Account]money.Fen{
			"till/C01": -20 * yuan, clearing.OverShort: -2 * yuan, "safe": 120*yuan - 148*yuan,
		})
		w.inbox(ingest.EpochUnexplained)
		for range 2 {
			if err := w.in.Part(t.Context(), n.terminal); err != nil {
				t.Fatal(err)
			}
		}
		w.inbox(ingest.EpochUnexplained, ingest.DrawerDiffers) // 20 that nobody answers for
		w.counted(-20*yuan, 20*yuan)
		w.wants(map[store.Account]money.Fen{"till/C01": 0, clearing.OverShort: -2 * yuan, "safe": -48 * yuan})
		w.sound()
	})
}

// TestDrawerOfFoundMachine: a till is gone and parted with, and then found again. What it
// has taken by then is in its sealed export, and the line about its drawer says so.
func TestDrawerOfFoundMachine(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.holder("1001", 10*yuan)
		c := w.till("C01")
		c.opens(100 * yuan)
		c.push()
		carry := func() {
			h, err := w.in.Head(t.Context(), c.terminal.ID, c.epoch)
			if err == nil && h.Seq < c.next()-1 {
				_, err = w.in.Carry(t.Context(), c.terminal, c.batch(h.Seq+1, c.next()-1))
			}
			if err := errors.Join(err, w.in.Part(t.Context(), c.terminal)); err != nil {
				t.Fatal(err)
			}
		}
		carry()
		w.inbox(ingest.DrawerDiffers)
		c.takes("in1", 30*yuan)
		carry()
		carry()
		w.inbox(ingest.DrawerDiffers)
		w.counted(-130*yuan, 130*yuan)
		w.wants(map[store.Account]money.Fen{"till/C01": 0, clearing.OverShort: 0, "safe": -30 * yuan})
		c.takes("in2", 5*yuan)
		carry()
		w.inbox(ingest.DrawerDiffers)
		c.write(journal.Entry{Kind: journal.CashOut, Ref: "out1", Amount: 5 * yuan})
		carry()
		w.inbox() // nothing is in it any more
		w.sound()
	})
}

// explained closes all lines by an entry.
func (w *world) explained(entry int64) {
	w.t.Helper()
	lines, err := w.books.Exceptions(w.t.Context())
	for _, x := range lines {
		by := clearing.Signature{Reason: "清点", One: "王敏"}
		err = errors.Join(err, clearing.New(w.books).Explain(w.t.Context(), x.ID, entry, by))
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.inbox()
}

// onlyNewest checks that no line about a drawer but the newest can be counted.
func (w *world) onlyNewest() {
	w.t.Helper()
	lines, err := w.books.Exceptions(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	tried, by := 0, clearing.Signature{Reason: "清点", One: "王敏", Two: "刘强"}
	for _, x := range lines {
		if x.Kind != string(ingest.DrawerDiffers) || x.Amount == 157*yuan {
			continue
		}
		tried++
		if _, err := clearing.New(w.books).Count(w.t.Context(), x.ID, 0, by); !errors.Is(err, clearing.ErrOlder) {
			w.t.Errorf("count of #%d = %v, want ErrOlder", x.ID, err)
		}
	}
	if tried == 0 {
		w.t.Error("there is no older line")
	}
}

// counted closes the line about a drawer, of an amount, and returns the entry that does.
func (w *world) counted(stands, found money.Fen) int64 {
	w.t.Helper()
	ctx, house := w.t.Context(), clearing.New(w.books)
	lines, err := w.books.Exceptions(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	i := slices.IndexFunc(lines, func(x store.Exception) bool {
		return x.Kind == string(ingest.DrawerDiffers) && x.Amount == stands
	})
	if i < 0 || lines[i].Account != "till/C01" {
		w.t.Fatalf("inbox %+v, want %s in the drawer", lines, stands)
	}
	by := clearing.Signature{Reason: "清点", One: "王敏"}
	if _, err := house.Count(ctx, lines[i].ID, found, by); !errors.Is(err, clearing.ErrUnsigned) {
		w.t.Errorf("one person alone: %v", err)
	}
	by.Two = "刘强"
	if _, err := house.Count(ctx, lines[i].ID, -1, by); !errors.Is(err, clearing.ErrNotThat) {
		w.t.Errorf("less than nothing: %v", err)
	}
	first, err := house.Count(ctx, lines[i].ID, found, by)
	again, err2 := house.Count(ctx, lines[i].ID, found, by)
	if err != nil || err2 != nil || first == 0 || first != again {
		w.t.Fatalf("Count = %d, %v; again %d, %v", first, err, again, err2)
	}
	if broken, err := house.Verify(ctx); err != nil || len(broken) > 0 {
		w.t.Errorf("after a count: %q, %v", broken, err)
	}
	return first
}
