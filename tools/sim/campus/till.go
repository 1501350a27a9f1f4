package campus

import (
	"context"

	"quancun/journal"
	"quancun/money"
	"quancun/tools/sim/virtual"
)

// cash is what happens to a drawer: the hands first or the books first, as
// people do it, and the books always before the next customer.
func (m *machine) cash(ctx context.Context) {
	c, d := m.campus, m.campus.dice
	h := virtual.Pick(d, c.holders)
	e := journal.Entry{Ref: c.ref("cash"), Operator: "clerk"}
	in := money.Fen(0)
	switch d.IntN(5) {
	case 0:
		e.Kind, e.Amount = journal.CashIn, d.Amount(200*yuan)
		in = e.Amount
	case 1:
		e.Kind, e.Amount = journal.CashOut, d.Amount(m.drawer)
		in = -e.Amount
	case 2, 3:
		e.Kind, e.Account, e.Amount = journal.CashTopUp, h.account, d.Amount(100*yuan)
		in = e.Amount
	default:
		e.Kind, e.Account, e.Amount = journal.PayOut, h.account, d.Amount(min(m.drawer, 20*yuan))
		in = -e.Amount
		h.clerks += e.Amount
	}
	if e.Amount == 0 {
		return
	}
	m.settleCash(ctx, e, in)
}

// settleCash books e, and moves the cash once that is done. A clerk whose
// journal fails does nothing until it is up again, and then looks.
func (m *machine) settleCash(ctx context.Context, e journal.Entry, in money.Fen) {
	_, err := m.append(ctx, e)
	m.campus.note("%s: %s %s %s: %v", m.name, e.Kind, e.Ref, e.Amount, err)
	if err == nil {
		m.drawer += in
		return
	}
	m.later = append(m.later, cashLater{e, in})
}

// cashLater is a movement of cash that waits for the journal.
type cashLater struct {
	entry journal.Entry
	in    money.Fen
}

// resume does what the clerk was about to do when the journal failed: the same
// under the same name, which is harmless if it was done.
func (m *machine) resume(ctx context.Context) {
	later := m.later
	m.later = nil
	for _, l := range later {
		m.settleCash(ctx, l.entry, l.in)
	}
}

// count counts the drawer at the end of a shift.
func (m *machine) count(ctx context.Context) {
	e := journal.Entry{Kind: journal.Counted, Ref: m.campus.ref("count"), Operator: "clerk", Amount: m.drawer}
	_, err := m.append(ctx, e)
	m.campus.note("%s: counted %s: %v", m.name, m.drawer, err)
}

// fee takes a fee from an account, such as that of a new card.
func (m *machine) fee(ctx context.Context) {
	h := virtual.Pick(m.campus.dice, m.campus.holders)
	h.clerks += 10 * yuan
	_, err := m.append(ctx, journal.Entry{
		Kind: journal.Fee, Ref: m.campus.ref("fee"), Account: h.account, Amount: 10 * yuan, Operator: "clerk",
	})
	m.campus.note("%s: fee of %s: %v", m.name, h.account, err)
}
