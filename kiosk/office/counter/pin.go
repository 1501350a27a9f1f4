package counter

import (
	"context"
	"errors"

	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/reader"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/upstream/client/centre"
)

// What is asked, and said, of a PIN.
const (
	pinCard  dialog.Word = "centre.pin.card"  // the card does not have it yet: do it again
	pinBoth  dialog.Word = "centre.pin.both"  // upstream and card have it
	pinTwice dialog.Word = "centre.pin.twice" // lay the card down again
)

// pin gives upstream and card a new PIN that the holder types. The upstream comes
// first: a card that was torn then takes it at the next try.
func (s *serving) pin(ctx context.Context) (dialog.Report, error) {
	c, err := s.Card(ctx, askCard)
	if err != nil {
		return dialog.Report{}, err
	}
	m := &making{card: c}
	m.plan.CardNo = c.Info.CardNo.Full()
	defer m.letGo()
	if err := s.lookUp(ctx, centre.Find{Card: m.plan.CardNo}); err != nil {
		return dialog.Report{}, err
	}
	if err := s.mustBeOpen(); err != nil {
		return dialog.Report{}, err
	}
	if err := s.document(ctx); err != nil {
		return dialog.Report{}, err
	}
	pin, err := s.NewPIN(ctx, askPIN, askAgain)
	if err != nil {
		return dialog.Report{}, err
	}
	defer pin.Wipe()
	r := dialog.Report{No: short(s.Ref()), Facts: s.with(dialog.Text(factCard, end(m.plan.CardNo))), Next: pinBoth}
	if err := s.Confirm(ctx, sure, r.Facts...); err != nil {
		return dialog.Report{}, err
	}
	if _, err := s.do(ctx, s.new(centre.PINReset), pin); err != nil {
		return r, err
	}
	if err := s.reload(ctx, m, pin); err != nil {
		s.Log.Warn("card has not taken the PIN", "err", err)
		r.Next = pinCard
	}
	return r, nil
}

// newPIN gives a new card its PIN.
func (s *serving) newPIN(ctx context.Context, m *making, pin *kiosk.PIN) error {
	if _, err := s.do(ctx, centre.Act{Ref: kiosk.NewRef(), Kind: centre.PINReset}, pin); err != nil {
		s.Log.Warn("new card has no PIN", "err", err)
		return err
	}
	err := s.reload(ctx, m, pin)
	if err != nil {
		s.Log.Warn("new card has no PIN", "err", err)
	}
	return err
}

// reload has the card take a PIN that the upstream has taken. One that falls silent
// is asked for again: the same PIN twice is no harm.
func (s *serving) reload(ctx context.Context, m *making, pin *kiosk.PIN) error {
	if err := s.Work(ctx, writing); err != nil {
		return err
	}
	mac, err := s.Centre.SignPIN(ctx, s.clerk, centre.NewPIN{
		Account: s.holder.Account, CardNo: m.plan.CardNo, ASCII: s.Profile.PIN.Encoding == profile.PINASCII,
	}, pin.Digits())
	if err != nil {
		return err
	}
	for {
		err := s.reloadNow(m, purse.ReloadPIN{
			New: (*purse.PIN)(pin.Digits()), MAC: mac, Encoding: s.Profile.PIN.Encoding, Key: s.Profile.PIN.Key,
		})
		if err == nil || !cards(err) {
			return err
		}
		s.Log.Warn("card has not taken the PIN, and is asked for again", "err", err)
		m.letGo()
		c, err := s.Card(ctx, pinTwice, s.masked()...)
		if err != nil {
			return err
		}
		m.card = c
	}
}

// errOther means that another card was laid down.
var errOther = errors.New("counter: another card was laid down")

func (s *serving) reloadNow(m *making, c purse.ReloadPIN) error {
	if m.card == nil {
		return reader.ErrGone
	}
	info, err := purse.Open(m.card, s.Profile)
	if err != nil {
		return err
	}
	if info.CardNo.Full() != m.plan.CardNo {
		return errors.Join(errOther, reader.ErrGone)
	}
	return c.Send(m.card)
}
