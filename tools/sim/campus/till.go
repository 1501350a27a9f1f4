package campus

import (
	"context"
	"errors"
	"fmt"

	"quancun/journal"
	"quancun/money"
	"quancun/tools/sim/virtual"
	"quancun/tools/sim/works"
	"quancun/upstream/client/centre"
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

// counter has a clerk do something for a holder: written down, asked for, and
// written down how it came out. What was not heard of is left open.
func (m *machine) counter(ctx context.Context) {
	c, d := m.campus, m.campus.dice
	if m.client.StaffSession(works.Clerk) == nil {
		pin := [6]byte([]byte(works.PIN))
		if _, err := m.client.SignInStaff(ctx, works.ClerkCard, &pin); err != nil {
			c.note("%s: the clerk signs in: %v", m.name, err)
			return
		}
	}
	a := centre.Act{
		Ref: c.ref("act"), Kind: virtual.Pick(d, []centre.Kind{centre.Limited, centre.Unlocked}),
		Account: virtual.Pick(d, c.holders).account, Document: centre.IDCard,
	}
	if a.Kind == centre.Limited {
		a.Limit = d.Amount(200 * yuan)
	}
	_, err := m.append(ctx, journal.Entry{
		Kind: journal.CentreIntent, Ref: a.Ref, Account: a.Account, Operator: works.Clerk,
		Details: fmt.Appendf(nil, `{"act":%d,"document":1}`, a.Kind),
	})
	if err != nil {
		c.note("%s: act %s is not written down: %v", m.name, a.Ref, err)
		return
	}
	var no *centre.Refusal
	_, err = centre.New(m.client).Do(ctx, works.Clerk, a, nil)
	c.note("%s: act %s, %d for %s: %v", m.name, a.Ref, a.Kind, a.Account, err)
	switch {
	case err == nil:
		m.endAct(ctx, a.Ref, journal.Done)
	case errors.As(err, &no):
		m.client.EndStaffSession(works.Clerk) // it is over, or the clerk is asked why
		m.endAct(ctx, a.Ref, journal.NotDone)
	}
}

func (m *machine) endAct(ctx context.Context, ref string, o journal.Outcome) {
	_, err := m.append(ctx, journal.Entry{Kind: journal.CentreEnd, Ref: ref, Operator: works.Clerk, Outcome: o})
	m.campus.note("%s: act %s is %s: %v", m.name, ref, o, err)
}

// endActs ends the acts that were left open: the upstream says whether they were
// done, and never does them afterwards.
func (m *machine) endActs(ctx context.Context) {
	open, err := m.book.OpenItems(ctx)
	if err != nil {
		m.campus.note("%s: read what is open: %v", m.name, err)
		return
	}
	for _, e := range open {
		if e.Kind != journal.CentreIntent {
			continue
		}
		_, was, err := centre.New(m.client).Close(ctx, e.Ref)
		if err != nil {
			m.campus.note("%s: close act %s: %v", m.name, e.Ref, err)
			return
		}
		m.campus.cover(map[bool]Branch{true: branchActHeard, false: branchActLost}[was])
		m.endAct(ctx, e.Ref, map[bool]journal.Outcome{true: journal.Done, false: journal.NotDone}[was])
	}
}
