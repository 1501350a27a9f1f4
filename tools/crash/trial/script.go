package trial

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"quancun/journal"
	"quancun/lab/disk"
	"quancun/ledger"
	"quancun/money"
	"quancun/pboc"
)

// station is a terminal with its journal, its clocks and its upstream.
type station struct {
	disk     *disk.Disk
	pages    int    // of the "-wal" before a checkpoint
	mirror   string // path, if it has one
	wall     time.Time
	up       time.Duration
	upstream journal.Frontier // what upstream has
	copies   map[string]int64 // files that hold so many entries
	broken   bool             // calls to its disk fail

	book *ledger.Book
}

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// open starts the terminal's program.
func (s *station) open(ctx context.Context) (err error) {
	s.book, err = ledger.Open(ctx, path, ledger.Options{
		Terminal: terminal, Key: terminalKey, Campus: public(campusKey), Version: "1.0",
		FS: files{s.disk}, WALPages: s.pages, Mirror: s.mirror,
		Now:    func() time.Time { return s.wall },
		Uptime: func() time.Duration { return s.up },
	})
	return err
}

// close ends the program, if it runs.
func (s *station) close() error {
	if s.book == nil {
		return nil
	}
	return s.book.Close()
}

// pass lets both clocks run.
func (s *station) pass(d time.Duration) { s.wall, s.up = s.wall.Add(d), s.up+d }

// act is one thing that happens at a terminal.
type act struct {
	name string
	says *journal.Entry // that is appended, if that is all
	do   func(context.Context, *station) error

	// mayFail says that the journal goes on as it was, when only this fails.
	mayFail bool
}

func says(e journal.Entry) act {
	return act{name: fmt.Sprintf("%s %s", e.Kind, e.Ref), says: &e,
		do: func(ctx context.Context, s *station) error {
			s.pass(time.Second)
			_, err := s.book.Append(ctx, e)
			return err
		}}
}

// The acts that are more than an entry.
var (
	restart = act{name: "restart", do: func(ctx context.Context, s *station) error {
		s.pass(time.Minute)
		if err := s.book.Close(); err != nil {
			return err
		}
		return s.open(ctx)
	}}
	clockForward = act{name: "clock forward", do: func(_ context.Context, s *station) error {
		s.wall = s.wall.Add(time.Hour)
		return nil
	}}
	clockBack = act{name: "clock back", do: func(_ context.Context, s *station) error {
		s.wall = s.wall.Add(-time.Hour)
		return nil
	}}
	next = act{name: "ask for the next number", do: func(ctx context.Context, s *station) error {
		_, _, err := s.book.Next(ctx)
		return err
	}}
	push   = act{name: "push", do: pushAll}
	backUp = act{name: "back up", do: backUpNow, mayFail: true}
	epoch  = act{name: "new epoch", do: newEpoch, mayFail: true}

	others = []act{restart, restart, push, push, push, clockForward, clockBack, next, backUp, epoch}
)

// pushAll gives upstream what it lacks, and notes that it has it.
func pushAll(ctx context.Context, s *station) error {
	batch, err := s.book.Batch(ctx, s.upstream.Size+1, journal.BatchMax)
	if err != nil || len(batch.Bodies) == 0 {
		return err
	}
	var last journal.Hash
	for _, body := range batch.Bodies {
		last = journal.HashOf(body)
		s.upstream.Append(last)
	}
	note, err := campus.Cosign(batch.Note, public(terminalKey), s.wall)
	if err != nil {
		return err
	}
	return s.book.Acknowledge(ctx, journal.Ack{
		Head: journal.Head{Epoch: batch.Epoch, Seq: s.upstream.Size, Hash: last}, Note: note,
	})
}

func backUpNow(ctx context.Context, s *station) error {
	head, err := s.book.Head(ctx)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("/backup%d.db", head.Seq)
	if err := s.book.Backup(ctx, name); err != nil {
		return err
	}
	s.copies[name] = head.Seq
	return nil
}

func newEpoch(ctx context.Context, s *station) error {
	old, err := s.book.Head(ctx)
	if err != nil {
		return err
	}
	theirs := journal.Head{Epoch: old.Epoch, Seq: old.Seq + 1}
	if err := s.book.NewEpoch(ctx, journal.ReasonForked, theirs); err != nil {
		return err
	}
	s.upstream = journal.Frontier{} // which has nothing of what comes
	s.copies[fmt.Sprintf("/journal.%s.db", old.Epoch)] = old.Seq
	return nil
}

// scene is what follows each other under one Ref.
type scene func(r *rand.Rand, ref string) []journal.Entry

// scenes has every kind of entry that a terminal writes, and each way in which
// what it begins may end.
var scenes = []scene{
	topUp(journal.Paid), topUp(journal.Closed), topUp(journal.Refused),
	written(journal.LoadIntent, false, journal.Written),
	written(journal.LoadIntent, false, journal.NotWritten),
	written(journal.LoadIntent, true, journal.Written),
	written(journal.SaleIntent, false, journal.Written),
	written(journal.SaleIntent, false, journal.NotWritten),
	written(journal.SaleIntent, true, journal.Written),
	written(journal.SaleIntent, true, journal.NotWritten),
	written(journal.SaleIntent, true, journal.ElsewhereNot),
	written(journal.SaleIntent, true, 0),
	written(journal.LoadIntent, false, 0),
	alone(journal.CodeSale), alone(journal.ChannelSale), alone(journal.Refund), alone(journal.CashTopUp),
	alone(journal.PayOut), alone(journal.CashIn), alone(journal.CashOut), alone(journal.Counted),
	alone(journal.Fee), alone(journal.Sighting), alone(journal.Evidence), alone(journal.ShiftOpened),
	alone(journal.DrawerOpened), alone(journal.SignedIn), alone(journal.SignedOut),
	byChannel(journal.PaymentIntent, journal.Paid), byChannel(journal.PaymentIntent, journal.Closed),
	byChannel(journal.PaymentIntent, 0), byChannel(journal.ReturnIntent, journal.Paid),
	byChannel(journal.ReturnIntent, journal.Refused), byChannel(journal.ReturnIntent, 0),
}

// byChannel is what a channel is asked for: a sale, or to give some of one back.
// Without an outcome nobody ever hears of it.
func byChannel(intent journal.Kind, o journal.Outcome) scene {
	return func(r *rand.Rand, ref string) []journal.Entry {
		e := journal.Entry{
			Kind: intent, Ref: "pay_" + ref, Merchant: merchant(r), Amount: amount(r), Details: details(r),
		}
		moves := journal.Entry{Kind: journal.ChannelSale, Ref: ref, Merchant: e.Merchant, Amount: e.Amount}
		end := journal.Entry{Kind: journal.PaymentEnd, Ref: e.Ref, Outcome: o}
		if intent == journal.ReturnIntent {
			e.Origin = journal.Position{Terminal: "K02", Epoch: journal.Epoch{1}, Seq: 1 + r.Int64N(1000)}
			moves.Kind, moves.Origin, end.Kind = journal.Refund, e.Origin, journal.ReturnEnd
		}
		switch o {
		case 0:
			return []journal.Entry{e}
		case journal.Paid:
			return []journal.Entry{e, moves, end}
		}
		return []journal.Entry{e, end}
	}
}

func topUp(o journal.Outcome) scene {
	return func(r *rand.Rand, ref string) []journal.Entry {
		return []journal.Entry{
			{Kind: journal.TopUpIntent, Ref: ref, Card: card(r), Amount: amount(r), Details: details(r)},
			{Kind: journal.TopUpShown, Ref: ref},
			{Kind: journal.TopUpEnd, Ref: ref, Outcome: o},
		}
	}
}

// written is a card that is written to. Without an outcome it never comes back.
func written(intent journal.Kind, doubt bool, o journal.Outcome) scene {
	return func(r *rand.Rand, ref string) []journal.Entry {
		e := journal.Entry{
			Kind: intent, Ref: ref, Card: card(r), Amount: amount(r), Purse: purse(r), Details: details(r),
		}
		end := journal.LoadEnd
		if intent == journal.SaleIntent {
			e.Merchant, end = merchant(r), journal.SaleEnd
		}
		list := []journal.Entry{e}
		if doubt {
			list = append(list, journal.Entry{Kind: intent.Doubt(), Ref: ref})
		}
		if o != 0 {
			proof := *e.Purse
			if o == journal.Written {
				proof.TAC = pboc.MAC{1, 2, 3, 4}
			}
			list = append(list, journal.Entry{Kind: end, Ref: ref, Outcome: o, Purse: &proof})
		}
		return list
	}
}

func alone(k journal.Kind) scene {
	return func(r *rand.Rand, ref string) []journal.Entry {
		e := journal.Entry{Kind: k, Ref: ref, Amount: amount(r), Card: card(r), Operator: "c7", Details: details(r)}
		switch k {
		case journal.CodeSale, journal.ChannelSale, journal.Refund:
			e.Merchant = merchant(r)
		case journal.Evidence:
			e.Outcome = journal.Written
		case journal.Counted:
			e.Amount += 1_000_000 // so that there is still something to pay out
		}
		if k == journal.Refund || k == journal.Evidence {
			e.Origin = journal.Position{Terminal: "K02", Epoch: journal.Epoch{1}, Seq: 1 + r.Int64N(1000)}
		}
		return []journal.Entry{e}
	}
}

func card(r *rand.Rand) string      { return fmt.Sprintf("100%d", r.IntN(9)) }
func merchant(r *rand.Rand) string  { return fmt.Sprintf("M%d", r.IntN(3)) }
func amount(r *rand.Rand) money.Fen { return money.Fen(1 + r.IntN(5000)) }

func purse(r *rand.Rand) *journal.Purse {
	return &journal.Purse{Balance: uint32(r.IntN(100_000)), Counter: uint16(r.IntN(1000)), TraceNo: r.Uint32()}
}

// details are mostly short, and now and then of more than a page.
func details(r *rand.Rand) json.RawMessage {
	n := r.IntN(100)
	if r.IntN(10) == 0 {
		n = r.IntN(6000)
	}
	return json.RawMessage(`"` + strings.Repeat("x", n) + `"`)
}

// script returns n acts, the same for the same r: all scenes, mixed into each
// other as customers are, and what else happens to a terminal. First of all
// there is money in the drawer, so that there is some to pay out.
func script(r *rand.Rand, n int) []act {
	acts := []act{says(journal.Entry{Kind: journal.CashIn, Ref: "float", Amount: 1_000_000})}
	var waiting [][]journal.Entry
	order := r.Perm(len(scenes))
	for ref := 0; len(acts) < n; {
		if r.IntN(10) == 0 {
			acts = append(acts, others[r.IntN(len(others))])
			continue
		}
		if len(waiting) < 3 {
			waiting = append(waiting, scenes[order[ref%len(order)]](r, fmt.Sprintf("R%d", ref)))
			ref++
		}
		i := r.IntN(len(waiting))
		acts = append(acts, says(waiting[i][0]))
		if waiting[i] = waiting[i][1:]; len(waiting[i]) == 0 {
			waiting = append(waiting[:i], waiting[i+1:]...)
		}
	}
	return acts
}
