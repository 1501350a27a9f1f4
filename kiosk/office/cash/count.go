package cash

import (
	"context"
	"errors"

	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/shift"
	"quancun/kiosk/staff"
	"quancun/money"
)

// worth are the notes and coins that a drawer has, the largest first: as many as
// fit on an upright panel. The coins below a jiao, which hardly anybody has seen,
// are counted by the fen.
var worth = []money.Fen{
	100 * money.Yuan, 50 * money.Yuan, 20 * money.Yuan, 10 * money.Yuan, 5 * money.Yuan, money.Yuan, 50, 10, 1,
}

// countOnly counts the drawer during a shift.
func (c Config) countOnly(ctx context.Context, t *office.Talk) (dialog.Report, error) {
	if err := c.mustBeOpen(ctx); err != nil {
		return dialog.Report{}, err
	}
	facts, err := c.count(ctx, t)
	if err != nil {
		return dialog.Report{}, err
	}
	return dialog.Report{Facts: facts, Next: closeIt, Print: true}, nil
}

// count has the drawer counted blind until a count is taken, and returns what is
// to be said of it.
func (c Config) count(ctx context.Context, t *office.Talk) ([]dialog.Fact, error) {
	a := shift.Act{Ref: kiosk.NewRef(), By: t.Member()}
	if err := c.openToCount(ctx, t); err != nil {
		return nil, err
	}
	for {
		n, err := c.counted(ctx, t, a.Ref)
		if err != nil {
			return nil, err
		}
		difference, err := c.take(ctx, t, a, n)
		if !errors.Is(err, shift.ErrDiffers) {
			return found(n, a, difference, err)
		}
		r, err := because(ctx, t, askDiffers, append([]reason{{word: countAgain}}, whyDiffers...))
		if err != nil {
			return nil, err
		}
		if r.word == countAgain {
			continue
		}
		a.Reason = r.kept
		difference, err = c.take(ctx, t, a, n)
		return found(n, a, difference, err)
	}
}

// openToCount unlocks the drawer, once that is written down.
func (c Config) openToCount(ctx context.Context, t *office.Talk) error {
	if c.Kick == nil {
		return nil
	}
	if err := t.Confirm(ctx, sureCount); err != nil {
		return err
	}
	if err := t.Work(ctx, working); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	if err := c.Drawer.OpenToCount(ctx, shift.Act{Ref: kiosk.NewRef(), By: t.Member()}); err != nil {
		return named(err)
	}
	c.unlock(ctx) // where it stays locked there is a key
	return nil
}

// counted asks for the pieces and, where two have to count, for the second
// person's word that they are these.
func (c Config) counted(ctx context.Context, t *office.Talk, ref string) (n shift.Count, err error) {
	if n.Pieces, err = t.Pieces(ctx, askPieces, worth); err != nil {
		return n, err
	}
	sum, err := n.Sum()
	if err != nil {
		return n, named(err)
	}
	if err := t.Confirm(ctx, sureSum, strong(dialog.Amount(fCounted, sum))); err != nil {
		return n, err
	}
	if c.Drawer.Rules().TwoPersons {
		n.Second, err = t.SecondFor(ctx, staff.SignCount, ref)
	}
	return n, err
}

// take journals a count. Nobody stops it from here on.
func (c Config) take(ctx context.Context, t *office.Talk, a shift.Act, n shift.Count) (money.Fen, error) {
	if err := t.Work(ctx, working); err != nil {
		return 0, err
	}
	return c.Drawer.Count(context.WithoutCancel(ctx), a, n)
}

// found says what a count that was taken has found.
func found(n shift.Count, a shift.Act, difference money.Fen, err error,
) ([]dialog.Fact, error) {
	if err != nil {
		return nil, named(err)
	}
	sum, err := n.Sum()
	if err != nil {
		return nil, named(err)
	}
	facts := []dialog.Fact{strong(dialog.Amount(fCounted, sum)), dialog.Amount(fShould, sum-difference)}
	switch {
	case difference > 0:
		facts = append(facts, strong(dialog.Amount(fOver, difference)))
	case difference < 0:
		facts = append(facts, strong(dialog.Amount(fShort, -difference)))
	default:
		facts = append(facts, dialog.Said(fDifference, none))
	}
	for _, r := range whyDiffers {
		if difference != 0 && r.kept == a.Reason {
			facts = append(facts, dialog.Said(fWhy, r.word))
		}
	}
	facts = append(facts, dialog.Text(fBy, a.By.No))
	if n.Second != nil {
		facts = append(facts, dialog.Text(fSecond, n.Second.By.No))
	}
	return facts, nil
}
