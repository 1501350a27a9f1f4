package ingest

import (
	"context"
	"errors"
	"fmt"

	"quancun/journal"
	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/keys"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// LoadReport is what a terminal says of a load.
type LoadReport struct {
	Terminal string
	State    store.LoadState // LoadOpen is in doubt
	TAC      pboc.MAC        // zero for none
	Evidence string
}

// Errors of [ReportLoad]: what was said does not count.
var (
	// ErrTAC means that the TAC is not the card's word for this load.
	ErrTAC = errors.New("ingest: the TAC does not prove this load")
	// ErrForeignLoad means that a terminal speaks, without proof, of another's
	// load.
	ErrForeignLoad = errors.New("ingest: another terminal's load")
)

// ReportLoad writes down what became of a load. A TAC is proof whoever brings
// it; a word without one counts from the terminal of the load only, and never
// as proof that the card was written.
func ReportLoad(ctx context.Context, k Keys, c store.CardTx, id string, r LoadReport) error {
	l, err := c.Load(id)
	if err != nil {
		return err
	}
	if r.State == store.LoadWritten && r.TAC.Valid() {
		proven, err := LoadProven(ctx, k, c, l, r.TAC)
		switch {
		case err != nil:
			return err
		case !proven:
			return ErrTAC
		}
		return SettleWritten(c, l, "TAC by "+r.Evidence)
	}
	if l.Terminal != r.Terminal {
		return ErrForeignLoad
	}
	if r.State == store.LoadNotWritten && l.State == store.LoadOpen {
		return c.Settle(l.ID, store.LoadNotWritten, r.Evidence)
	}
	if l.State == store.LoadWritten {
		return nil // proved already
	}
	return c.Claim(l.ID, claims[r.State]+" by "+r.Evidence)
}

var claims = map[store.LoadState]string{
	store.LoadOpen: "doubt", store.LoadWritten: "written", store.LoadNotWritten: "not written",
}

// LoadProven checks the card's TAC over our own record of the load: the card
// carried out one of the offers that were answered.
func LoadProven(ctx context.Context, k Keys, c store.CardTx, l store.Load, tac pboc.MAC) (bool, error) {
	offers, err := c.Offers(l.ID)
	for _, o := range offers {
		err := k.CheckTAC(ctx, Words(l.Amount, c.Card().Factor, o), tac)
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, keys.ErrWrong) {
			return false, err
		}
	}
	return false, err
}

// Words returns a load as the card knows it.
func Words(amount money.Fen, f keys.Factor, o store.Offer) keys.Load {
	return keys.Load{Factor: f, Random: o.Random, Load: pboc.Load{
		Balance: o.Balance, Counter: o.Counter, Amount: amount, Terminal: o.Terminal, At: o.Stamp,
	}}
}

// SettleWritten raises the mirror by a load. That it was called not written
// before is worth an alarm, but evidence wins.
func SettleWritten(c store.CardTx, l store.Load, evidence string) error {
	var err error
	switch l.State {
	case store.LoadWritten:
		return nil
	case store.LoadNotWritten:
		err = c.Alarm(store.Alarm{Kind: store.AlarmLoadCorrected, Ref: l.ID,
			Detail: "not written by " + l.Evidence + ", written by " + evidence})
	case store.LoadOpen:
	}
	return errors.Join(err, c.Settle(l.ID, store.LoadWritten, evidence))
}

// endLoad takes the end of a load, as ReportLoad would have told of it.
func (d *desk) endLoad(f *fact) error {
	in, err := d.intentOf(f)
	if in == nil {
		return err
	}
	in.ended = true
	e := f.entry
	r := LoadReport{Terminal: d.terminal, Evidence: "journal"}
	switch e.Outcome {
	case journal.Written:
		r.State = store.LoadWritten
	case journal.NotWritten:
		r.State = store.LoadNotWritten
	default:
		return nil // we have told the terminal
	}
	if e.Purse != nil {
		r.TAC = e.Purse.TAC
	}
	return d.reportLoad(in, e.Position(), r)
}

// doubtLoad opens the claim of a load.
func (d *desk) doubtLoad(f *fact) error {
	in, err := d.intentOf(f)
	if in == nil {
		return err
	}
	if err := d.claimLoad(in); err != nil || !in.claimed {
		return err
	}
	return d.reportLoad(in, f.entry.Position(), LoadReport{
		Terminal: d.terminal, State: store.LoadOpen, Evidence: "journal",
	})
}

// claimLoad opens the claim of a load that was authorized here. It stands as
// the load does.
func (d *desk) claimLoad(in *intent) error {
	l, card, err := d.load(in.Ref, in.Card)
	if errors.Is(err, store.ErrNone) {
		d.exceptAmount(LoadUnknown, in.Position(), in.Amount, "load "+in.Ref)
		return nil
	}
	if err != nil || in.claimed {
		return err
	}
	c, err := d.open(in, card.Card().Account)
	if err != nil || c == nil {
		return err
	}
	if l.State == store.LoadOpen {
		return d.settleLate(c)
	}
	c.state = ClaimState(l.State)
	_, err = d.tx.Exec(d.ctx, `UPDATE claims SET state = ?, evidence = ?, settled_ms = ? WHERE id = ?`,
		int64(c.state), l.Evidence, d.now.UnixMilli(), c.id)
	return err
}

// load returns a load of a card, with the card.
func (d *desk) load(id, cardNo string) (store.Load, store.CardTx, error) {
	card, err := d.g.books.CardTx(d.ctx, d.tx, cardNo)
	if err != nil {
		return store.Load{}, nil, err
	}
	l, err := card.Load(id)
	if err == nil && l.CardNo != cardNo {
		err = store.ErrNone
	}
	return l, card, err
}

// reportLoad does what the end or the doubt of a load says.
func (d *desk) reportLoad(in *intent, at journal.Position, r LoadReport) error {
	_, card, err := d.load(in.Ref, in.Card)
	if errors.Is(err, store.ErrNone) {
		if r.State != store.LoadNotWritten { // without our MAC2 nobody can have written it
			d.exceptAmount(LoadUnknown, at, in.Amount, "load "+in.Ref)
		}
		return nil
	}
	if err != nil {
		return err
	}
	err = ReportLoad(d.ctx, d.g.keys, card, in.Ref, r)
	if errors.Is(err, ErrTAC) || errors.Is(err, ErrForeignLoad) {
		d.exceptAmount(LoadTACWrong, at, in.Amount, err.Error())
		return nil
	}
	return err
}

// loadProven reports whether a TAC is the card's word for the load of a claim.
func (d *desk) loadProven(c *claim, tac pboc.MAC) (bool, error) {
	l, card, err := d.load(c.Ref, c.Card)
	if err != nil {
		return false, err
	}
	return LoadProven(d.ctx, d.g.keys, card, l, tac)
}

// settleLoad does what evidence says of a load. The load's claim moves with it.
func (d *desk) settleLoad(c *claim, v verdict) error {
	l, card, err := d.load(c.Ref, c.Card)
	if err != nil {
		return err
	}
	switch {
	case v.happened:
		err, c.state = SettleWritten(card, l, v.by), ClaimWritten
	case l.State == store.LoadOpen:
		err, c.state = card.Settle(l.ID, store.LoadNotWritten, v.by), ClaimNotWritten
	case l.State == store.LoadWritten:
		d.exceptAmount(Contradicted, v.at, c.Amount, fmt.Sprintf("load %s was written by %s, not by %s",
			l.ID, l.Evidence, v.by))
	}
	return err
}

// loadDone reports whether a card has carried out a load: its counter is the
// next one. Of several offers at one value only the last can have been carried
// out, since each INITIALIZE voids the MAC2 before it.
func (d *desk) loadDone(c *claim, r Reading) (bool, error) {
	if r.Online == nil || int(*r.Online) != int(c.Purse.Counter)+1 {
		return false, nil
	}
	_, card, err := d.load(c.Ref, c.Card)
	if err != nil {
		return false, err
	}
	last, err := card.LastOffer()
	if errors.Is(err, store.ErrNone) {
		return false, nil
	}
	return err == nil && last.LoadID == c.Ref && last.Counter == c.Purse.Counter, err
}

// findOrders finds how far top-ups have come that entries tell of.
func (d *desk) findOrders(nos []string) []sqldb.Step {
	if d.orders = map[string]store.OrderState{}; len(nos) == 0 {
		return nil
	}
	return []sqldb.Step{{
		Statement: `SELECT order_no, state FROM orders WHERE order_no = ANY (?)`,
		Args:      []any{nos},
		Row: func(row sqldb.Row) error {
			var no string
			var s store.OrderState
			err := row.Scan(&no, &s)
			d.orders[no] = s
			return err
		},
	}}
}

// topUp holds what a terminal says of a top-up against its order. The account
// is credited by the order alone.
func (d *desk) topUp(f *fact) error {
	e := f.entry
	state, known := d.orders[e.Ref]
	paid := state == store.OrderPaid
	switch {
	case !known && (e.Kind == journal.TopUpShown || e.Outcome == journal.Paid):
		d.exceptAmount(OrderUnknown, e.Position(), e.Amount, fmt.Sprintf("%s, order %s", e.Kind, e.Ref))
	case known && e.Kind == journal.TopUpEnd && (e.Outcome == journal.Paid) != paid && state != store.OrderReturned:
		d.exceptAmount(TopUpDiffers, e.Position(), e.Amount,
			fmt.Sprintf("order %s has state %d, not %s", e.Ref, state, e.Outcome))
	}
	return nil
}
