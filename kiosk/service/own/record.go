package own

import (
	"context"
	"slices"
	"time"

	"quancun/beijing"
	"quancun/kiosk/dialog"
	"quancun/kiosk/service"
	"quancun/upstream/client"
	"quancun/upstream/client/holder"
)

const (
	askSort   dialog.Word = "own.ask.sort"
	askPeriod dialog.Word = "own.ask.period"
	askRecord dialog.Word = "own.ask.record"
	noRecord  dialog.Word = "own.no.record"

	allSorts  dialog.Word = "own.sort.all"
	topUps    dialog.Word = "own.sort.topups"
	purchases dialog.Word = "own.sort.purchases"
	bills     dialog.Word = "own.sort.bills"
	baths     dialog.Word = "own.sort.baths"
	others    dialog.Word = "own.sort.others"

	today   dialog.Word = "own.period.today"
	week    dialog.Word = "own.period.week"
	month   dialog.Word = "own.period.month"
	anyTime dialog.Word = "own.period.any"

	older   dialog.Word = "own.older"
	newer   dialog.Word = "own.newer"
	proves  dialog.Word = "own.proves"
	factSum dialog.Word = "own.fact.change"

	factAfter  dialog.Word = "own.fact.after"
	factAt     dialog.Word = "own.fact.at"
	factFor    dialog.Word = "own.fact.for"
	factRecord dialog.Word = "own.fact.record"
)

// Kinds of movements.
const (
	kindTopUp      dialog.Word = "own.kind.topup"
	kindLoad       dialog.Word = "own.kind.load"
	kindRefund     dialog.Word = "own.kind.refund"
	kindPurchase   dialog.Word = "own.kind.purchase"
	kindOpening    dialog.Word = "own.kind.opening"
	kindDoubt      dialog.Word = "own.kind.doubt"
	kindSettlement dialog.Word = "own.kind.settlement"
	kindCash       dialog.Word = "own.kind.cash"
	kindPayOut     dialog.Word = "own.kind.payout"
	kindFee        dialog.Word = "own.kind.fee"
	kindCorrection dialog.Word = "own.kind.correction"
	kindBill       dialog.Word = "own.kind.bill"
	kindBath       dialog.Word = "own.kind.bath"
	kindOther      dialog.Word = "own.kind.other"
)

var kinds = map[client.MovementKind]dialog.Word{
	client.MovementTopUp: kindTopUp, client.MovementLoad: kindLoad, client.MovementRefund: kindRefund,
	client.MovementPurchase: kindPurchase, client.MovementOpening: kindOpening, client.MovementDoubt: kindDoubt,
	client.MovementSettlement: kindSettlement, client.MovementCashTopUp: kindCash, client.MovementPayOut: kindPayOut,
	client.MovementFee: kindFee, client.MovementCorrection: kindCorrection, client.MovementBill: kindBill,
	client.MovementBath: kindBath,
}

func kindOf(k client.MovementKind) dialog.Word {
	if word, known := kinds[k]; known {
		return word
	}
	return kindOther
}

// groups are the sorts of records that somebody looks for.
var groups = []struct {
	name  dialog.Word
	kinds []client.MovementKind
}{
	{allSorts, nil},
	{purchases, []client.MovementKind{
		client.MovementPurchase, client.MovementRefund, client.MovementDoubt, client.MovementSettlement,
	}},
	{topUps, []client.MovementKind{client.MovementTopUp, client.MovementLoad, client.MovementCashTopUp}},
	{bills, []client.MovementKind{client.MovementBill}},
	{baths, []client.MovementKind{client.MovementBath}},
	{others, []client.MovementKind{
		client.MovementOpening, client.MovementPayOut, client.MovementFee, client.MovementCorrection,
	}},
}

// periods are how far back one looks, in days of Beijing with today.
var periods = []struct {
	name dialog.Word
	days int // 0: as far as there is any
}{{today, 1}, {week, 7}, {month, 30}, {anyTime, 0}}

// since returns the midnight with which a period begins.
func since(now time.Time, days int) time.Time {
	if days == 0 {
		return time.Time{}
	}
	return beijing.Midnight(now).AddDate(0, 0, 1-days)
}

// shown is how many records are on a page.
const shown = 6

// records looks for a record by its sort and time, and gives its receipt again.
func (d *Desk) records(ctx context.Context, v *service.Visit) (dialog.Report, error) {
	f, err := d.filter(ctx, v)
	if err != nil {
		return dialog.Report{}, err
	}
	for {
		if err := v.Work(ctx, looking); err != nil {
			return dialog.Report{}, err
		}
		all, pages, err := d.Upstream.Records(ctx, v.Session, f)
		if err != nil {
			return dialog.Report{}, err
		}
		if len(all) == 0 {
			return dialog.Report{Title: noRecord, Told: true}, nil
		}
		turn, i, err := pick(ctx, v, all, f.Page, pages)
		switch {
		case err != nil:
			return dialog.Report{}, err
		case turn == 0:
			return d.receipt(ctx, v, all[i].ID)
		}
		f.Page += turn
	}
}

// filter asks for what is looked for.
func (d *Desk) filter(ctx context.Context, v *service.Visit) (holder.Filter, error) {
	var sorts, times []dialog.Option
	for _, g := range groups {
		sorts = append(sorts, dialog.Option{Word: g.name})
	}
	for _, p := range periods {
		times = append(times, dialog.Option{Word: p.name})
	}
	g, err := v.Choose(ctx, askSort, sorts)
	if err != nil {
		return holder.Filter{}, err
	}
	p, err := v.Choose(ctx, askPeriod, times)
	if err != nil {
		return holder.Filter{}, err
	}
	return holder.Filter{Kinds: groups[g].kinds, From: since(d.Now(), periods[p].days), Size: shown}, nil
}

// pick asks which record it is, or for another page: turn is by how many.
func pick(ctx context.Context, v *service.Visit, all []holder.Record, page, pages int) (turn, i int, err error) {
	var options []dialog.Option
	for _, r := range all {
		options = append(options, dialog.Option{
			Word: kindOf(r.Kind), Text: yuan(r.Amount), When: dialog.Moment("", r.At),
		})
	}
	turns := map[int]int{}
	for _, t := range []struct {
		word  dialog.Word
		by    int
		there bool
	}{{older, 1, page+1 < pages}, {newer, -1, page > 0}} {
		if t.there {
			turns[len(options)] = t.by
			options = append(options, dialog.Option{Word: t.word})
		}
	}
	i, err = v.Choose(ctx, askRecord, options)
	return turns[i], i, err
}

// Proof returns a function for the code of a copy of the receipt of what was just paid
// under a reference, of one of these kinds; "" if nobody can make it now.
func (d *Desk) Proof(kinds ...client.MovementKind) func(context.Context, client.Session, string) string {
	return func(ctx context.Context, s client.Session, ref string) string {
		all, _, err := d.Upstream.Records(ctx, s, holder.Filter{Kinds: kinds, Size: shown})
		if err != nil {
			return ""
		}
		i := slices.IndexFunc(all, func(r holder.Record) bool { return r.Ref == ref })
		if i < 0 {
			return ""
		}
		_, code, err := d.Upstream.Receipt(ctx, s, all[i].ID)
		if err != nil {
			return ""
		}
		return code
	}
}

// receipt shows a record with a code that proves it.
func (d *Desk) receipt(ctx context.Context, v *service.Visit, id string) (dialog.Report, error) {
	if err := v.Work(ctx, looking); err != nil {
		return dialog.Report{}, err
	}
	r, code, err := d.Upstream.Receipt(ctx, v.Session, id)
	if err != nil {
		return dialog.Report{}, err
	}
	facts := []dialog.Fact{
		strong(dialog.Text(factSum, yuan(r.Amount))), dialog.Said(factWhy, kindOf(r.Kind)), dialog.Moment(factAt, r.At),
	}
	zh, en := r.Where.With(r.Place)
	for _, f := range []dialog.Fact{
		dialog.Text(factFor, r.Title), dialog.Named(factPlace, zh, en), dialog.Text(factRef, r.Ref),
		dialog.Text(factRecord, r.RecordNo),
	} {
		if f.Text != "" {
			facts = append(facts, f)
		}
	}
	facts = append(facts, dialog.Amount(factAfter, r.Balance))
	return dialog.Report{Facts: facts, QR: code, Next: proves, Told: true}, nil
}
