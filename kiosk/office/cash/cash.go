// Package cash is what the staff do with the drawer: open a shift with a float,
// put cash in and take it out, count it blind, and close the shift with a Z
// report.
//
// Everything is journalled by a [shift.Drawer] before the drawer is unlocked, so
// that none opens without an entry that says why. What should be in the drawer is
// never shown before it was counted, and neither is by how much a count differs
// before it is taken.
package cash

import (
	"context"
	"errors"
	"fmt"

	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/shift"
	"quancun/kiosk/staff"
	"quancun/kiosk/tender"
	"quancun/ledger"
	"quancun/money"
)

// Config is what the tasks work with.
type Config struct {
	Drawer *shift.Drawer
	// Kick unlocks the drawer. nil: it has a key only.
	Kick func(ctx context.Context) error
}

// Tasks returns the tasks, in the order of the menu.
func Tasks(c Config) []office.Task {
	return []office.Task{
		{Name: Open, Group: office.Drawer, Needs: staff.OpenShift, Run: c.open},
		{Name: In, Group: office.Drawer, Needs: staff.CashMove, Run: c.in},
		{Name: Out, Group: office.Drawer, Needs: staff.CashMove, Run: c.out},
		{Name: Drop, Group: office.Drawer, Needs: staff.Drop, Run: c.drop},
		{Name: NoSale, Group: office.Drawer, Needs: staff.NoSale, Run: c.noSale},
		{Name: Count, Group: office.Drawer, Needs: staff.Count, Run: c.countOnly},
		{Name: X, Group: office.Drawer, Needs: staff.XReport, Run: c.x},
		{Name: Close, Group: office.Drawer, Needs: staff.CloseShift, Run: c.close},
		{Name: Past, Group: office.Reports, Needs: staff.XReport, Run: c.past},
	}
}

// floatMax and moveMax keep a slip of the finger from being a fortune.
const (
	floatMax = 10_000 * money.Yuan
	moveMax  = 100_000 * money.Yuan
)

// actOf is who does the task, and who has released it.
func actOf(t *office.Talk) shift.Act {
	return shift.Act{Ref: t.Ref(), By: t.Member(), Release: t.Release()}
}

// open opens a shift with a float.
func (c Config) open(ctx context.Context, t *office.Talk) (dialog.Report, error) {
	s, err := c.Drawer.State(ctx)
	switch {
	case err != nil:
		return dialog.Report{}, named(err)
	case s.Open:
		return dialog.Report{Facts: opened(s)}, dialog.Refuse(alreadyOpen, shift.ErrOpen)
	}
	float, err := t.Amount(ctx, askFloat, 0, floatMax)
	if err != nil {
		return dialog.Report{}, err
	}
	facts := []dialog.Fact{strong(dialog.Amount(fFloat, float)), dialog.Text(fBy, t.Member().No)}
	if err := t.Confirm(ctx, sureOpen, facts...); err != nil {
		return dialog.Report{}, err
	}
	return c.do(ctx, t, func(ctx context.Context) error {
		return c.Drawer.Open(ctx, actOf(t), float)
	}, facts)
}

// in puts cash into the drawer that nobody has paid.
func (c Config) in(ctx context.Context, t *office.Talk) (dialog.Report, error) {
	return c.move(ctx, t, movement{askIn, sureIn, whyIn, c.Drawer.CashIn})
}

// out takes cash out of the drawer other than a drop.
func (c Config) out(ctx context.Context, t *office.Talk) (dialog.Report, error) {
	return c.move(ctx, t, movement{askOut, sureOut, whyOut, c.Drawer.CashOut})
}

// drop takes cash out of the drawer and into the safe.
func (c Config) drop(ctx context.Context, t *office.Talk) (dialog.Report, error) {
	return c.move(ctx, t, movement{ask: askDrop, sure: sureDrop, do: c.Drawer.Drop})
}

// movement is cash that goes into the drawer or out of it.
type movement struct {
	ask, sure dialog.Word
	why       []reason // none: it needs no reason
	do        func(context.Context, shift.Act, money.Fen) error
}

func (c Config) move(ctx context.Context, t *office.Talk, m movement) (dialog.Report, error) {
	if err := c.mustBeOpen(ctx); err != nil {
		return dialog.Report{}, err
	}
	amount, err := t.Amount(ctx, m.ask, 1, moveMax)
	if err != nil {
		return dialog.Report{}, err
	}
	a, facts := actOf(t), []dialog.Fact{strong(dialog.Amount(fAmount, amount))}
	if len(m.why) > 0 {
		r, err := because(ctx, t, askWhy, m.why)
		if err != nil {
			return dialog.Report{}, err
		}
		a.Reason, facts = r.kept, append(facts, dialog.Said(fWhy, r.word))
	}
	if err := t.Confirm(ctx, m.sure, facts...); err != nil {
		return dialog.Report{}, err
	}
	facts = append(facts, who(t)...)
	return c.do(ctx, t, func(ctx context.Context) error { return m.do(ctx, a, amount) }, facts)
}

// noSale opens the drawer without a sale.
func (c Config) noSale(ctx context.Context, t *office.Talk) (dialog.Report, error) {
	if c.Kick == nil {
		return dialog.Report{}, dialog.Refuse(noKick, nil)
	}
	if err := c.mustBeOpen(ctx); err != nil {
		return dialog.Report{}, err
	}
	r, err := because(ctx, t, askWhy, whyNoSale)
	if err != nil {
		return dialog.Report{}, err
	}
	a := actOf(t)
	a.Reason = r.kept
	return c.do(ctx, t, func(ctx context.Context) error { return c.Drawer.NoSale(ctx, a) },
		append([]dialog.Fact{dialog.Said(fWhy, r.word)}, who(t)...))
}

// do journals something and then unlocks the drawer. Nobody stops it from here on.
func (c Config) do(ctx context.Context, t *office.Talk, journal func(context.Context) error, facts []dialog.Fact,
) (dialog.Report, error) {
	if err := t.Work(ctx, working); err != nil {
		return dialog.Report{}, err
	}
	if err := journal(context.WithoutCancel(ctx)); err != nil {
		return dialog.Report{Facts: facts}, named(err)
	}
	return dialog.Report{Facts: facts, Next: c.unlock(ctx), Print: true}, nil
}

// unlock unlocks the drawer, and returns what the person does now. Where it stays
// locked there is a key.
func (c Config) unlock(ctx context.Context) dialog.Word {
	if c.Kick == nil || c.Kick(context.WithoutCancel(ctx)) != nil {
		return byKey
	}
	return closeIt
}

func (c Config) mustBeOpen(ctx context.Context) error {
	s, err := c.Drawer.State(ctx)
	if err == nil && !s.Open {
		err = shift.ErrClosed
	}
	return named(err)
}

// because asks for a reason. Nobody can type one in Chinese.
func because(ctx context.Context, t *office.Talk, name dialog.Word, all []reason) (reason, error) {
	var options []dialog.Option
	for _, r := range all {
		options = append(options, dialog.Option{Word: r.word})
	}
	i, err := t.Choose(ctx, name, options)
	if err != nil {
		return reason{}, err
	}
	return all[i], nil
}

// who are the people who have done it.
func who(t *office.Talk) []dialog.Fact {
	facts := []dialog.Fact{dialog.Text(fBy, t.Member().No)}
	if r := t.Release(); r != nil {
		facts = append(facts, dialog.Text(fReleased, r.By.No))
	}
	return facts
}

func strong(f dialog.Fact) dialog.Fact {
	f.Strong = true
	return f
}

// names are the words for what the drawer refuses.
var names = map[error]dialog.Word{
	shift.ErrOpen: alreadyOpen, shift.ErrClosed: notOpen, shift.ErrUncounted: notCounted,
	shift.ErrAmount: notAmount, ledger.ErrShort: notThere,
}

// named returns an error of the drawer with the words for it. A journal that may
// or may not have taken the entry makes it unknown.
func named(err error) error {
	if errors.Is(err, ledger.ErrFailed) {
		return fmt.Errorf("%w: %w", tender.ErrUnknown, err)
	}
	for of, is := range names {
		if errors.Is(err, of) {
			return dialog.Refuse(is, err)
		}
	}
	return err
}
