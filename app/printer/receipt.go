package printer

import (
	"fmt"
	"time"

	"quancun/journal"
	"quancun/money"
)

// Issuer is who gives receipts.
type Issuer struct {
	School   string
	Merchant string // as customers know it
	Terminal string
	Zone     *time.Location
	Training bool // every receipt says that it is none
}

// Line is one article.
type Line struct {
	Name   string
	Amount money.Fen
}

// Sale is what a receipt of a sale, or of a refund, says.
type Sale struct {
	Entry    journal.Entry // that says that it was paid, or given back
	Lines    []Line        // of what was sold; none: one amount
	Paid     Means
	Holder   string    // masked; "" if it is not known
	Balance  money.Fen // afterwards; meaningful if Known
	Known    bool
	Offline  bool   // the upstream has not agreed yet
	Original string // receipt number of what a refund gives back
	Proof    string // the signed code, of [journal.Receipt.Text]; "" for none
}

// Means is what was paid with. Never renumbered.
type Means int

// The means.
const (
	ByCard    Means = 1
	ByCode    Means = 2 // 虚拟卡码
	ByChannel Means = 3 // 支付宝付款码
)

// Sale returns the receipt of a sale or, if its entry is a refund, of that.
func (i Issuer) Sale(w Words, s Sale) Slip {
	title, means := w.Sale, w.Means[s.Paid]
	if s.Entry.Kind == journal.Refund {
		title = w.Refund
	}
	slip := i.head(w, title, s.Entry)
	if s.Original != "" {
		slip.add(Row{Left: w.Original, Right: s.Original})
	}
	slip.add(Row{Style: Rule})
	for _, l := range s.Lines {
		slip.add(Row{Left: l.Name, Right: l.Amount.String()})
	}
	slip.add(Row{Left: w.Total, Right: "￥" + s.Entry.Amount.String(), Style: Strong}, Row{Left: w.Paid, Right: means})
	if s.Entry.Card != "" {
		slip.add(Row{Left: w.Card, Right: masked(s.Entry.Card)})
	}
	if s.Holder != "" {
		slip.add(Row{Left: w.Holder, Right: s.Holder})
	}
	if s.Known {
		slip.add(Row{Left: w.Balance, Right: "￥" + s.Balance.String()})
	}
	if s.Offline {
		slip.add(Row{Left: w.Offline, Style: Centre})
	}
	i.foot(w, &slip, s.Proof)
	return slip
}

// Report returns what is printed of a shift: an X report, or the Z report that
// ends it.
func (i Issuer) Report(w Words, e journal.Entry, r journal.Report, proof string) Slip {
	title := fmt.Sprintf(w.X, r.X)
	if e.Kind == journal.ShiftClosed {
		title = fmt.Sprintf(w.Z, r.Z)
	}
	slip := i.head(w, title, e)
	sum := func(name string, s journal.Sum) {
		slip.add(Row{Left: fmt.Sprintf("%s × %d", name, s.Count), Right: s.Amount.String()})
	}
	amount := func(name string, f money.Fen) { slip.add(Row{Left: name, Right: f.String()}) }
	slip.add(Row{Style: Rule})
	sum(w.Means[ByCard], r.Card)
	sum(w.Means[ByCode], r.Code)
	sum(w.Means[ByChannel], r.Channel)
	sum(w.Refund, r.Refunds)
	sum(w.Fees, r.Fees)
	slip.add(Row{Style: Rule})
	amount(w.Brought, r.Brought)
	amount(w.Float, r.Float)
	sum(w.CashTopUps, r.TopUps)
	sum(w.PayOuts, r.PayOuts)
	sum(w.CashIn, r.CashIn)
	sum(w.CashOut, r.CashOut)
	amount(w.Over, r.Over)
	amount(w.Short, r.Short)
	slip.add(Row{Left: w.Till, Right: "￥" + r.Till.String(), Style: Strong})
	slip.add(Row{Style: Rule})
	amount(w.Suspense, r.Suspense)
	amount(w.Perpetual, r.Perpetual)
	slip.add(Row{Left: w.NoSales, Right: fmt.Sprint(r.NoSales)})
	if r.Unsynced > 0 {
		slip.add(Row{Left: w.Unsynced, Right: fmt.Sprint(r.Unsynced)})
	}
	if r.Part {
		slip.add(Row{Left: w.Part, Style: Centre})
	}
	i.foot(w, &slip, proof)
	return slip
}

// head begins a slip about an entry of the journal.
func (i Issuer) head(w Words, title string, e journal.Entry) Slip {
	zone := i.Zone
	if zone == nil {
		zone = time.FixedZone("", 8*60*60)
	}
	s := Slip{ID: e.Ref, Rows: []Row{{Left: i.School, Style: Centre}}}
	if i.Merchant != "" {
		s.add(Row{Left: i.Merchant, Style: Centre})
	}
	if i.Training {
		s.add(Row{Left: w.Training, Style: Title})
	}
	s.add(Row{Left: title, Style: Title})
	s.add(Row{Left: w.Time, Right: e.At.In(zone).Format("2006-01-02 15:04:05")},
		Row{Left: w.Number, Right: fmt.Sprintf("%s-%d", i.Terminal, e.Seq)})
	if e.Operator != "" {
		s.add(Row{Left: w.Operator, Right: e.Operator})
	}
	return s
}

// foot ends a slip with what proves it.
func (i Issuer) foot(w Words, s *Slip, proof string) {
	if i.Training {
		return // nothing proves what is none
	}
	s.Code = proof
	if proof != "" {
		s.add(Row{Style: Rule}, Row{Left: w.Proof, Style: Centre})
	}
}

func (s *Slip) add(rows ...Row) { s.Rows = append(s.Rows, rows...) }

// masked hides a card's number but for its end.
func masked(card string) string {
	if len(card) <= 4 {
		return card
	}
	return "****" + card[len(card)-4:]
}
