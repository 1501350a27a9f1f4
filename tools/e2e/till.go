package main

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"quancun/kiosk"
	"quancun/kiosk/till"
	"quancun/money"
)

// lunch is what the first key of the till costs.
const lunch = 12 * money.Yuan

// heardMax is when a till has surely taken the lists and keys that are published:
// after two greetings.
const heardMax = 12 * time.Second

// at waits until the till shows a step.
func (s *stage) at(step till.Step) func() error {
	return func() error { _, err := s.see(kiosk.Step(step)); return err }
}

// priced keys lunch, once the till asks for a price.
func (s *stage) priced() error { return s.keyed("F1")() }

// keyed keys a price, once the till asks for one: by a function key, as who sells
// all day does.
func (s *stage) keyed(key string) func() error {
	return func() error { return s.steps(s.at(till.Ready), func() error { return s.here.display.Press(key) }) }
}

// again goes back to the price, with the card taken away.
func (s *stage) again() error {
	if err := s.lab("take"); err != nil {
		return err
	}
	return s.back()
}

// back goes back to the price.
func (s *stage) back() error {
	if err := s.here.display.Press("Escape"); err != nil {
		return err
	}
	return s.at(till.Ready)()
}

// sold sells lunch to the card in hand.
func (s *stage) sold() error {
	return s.steps(
		s.priced, s.at(till.Present),
		s.lay,
		s.at(till.Sold), s.again,
	)
}

// spent waits until the upstream has booked that the account has spent so much.
func (s *stage) spent(before books, want money.Fen) error {
	var got money.Fen
	for range 60 {
		b, err := s.books()
		if err != nil {
			return err
		}
		if got = before.BalanceFen - b.BalanceFen; got == want {
			return nil
		}
		if err := s.pause(pollEvery); err != nil {
			return err
		}
	}
	return fmt.Errorf("the account has spent %s, not %s", got, want)
}

// scan has the till's scanner type a code, as fast as scanners do.
func (s *stage) scan(code string) error {
	if err := s.here.display.Type(code); err != nil {
		return err
	}
	return s.here.display.Press("Return")
}

// campusCode is what a phone shows that is the virtual card of the person's
// account.
func (s *stage) campusCode() (string, error) {
	out, err := s.tool("campuslab", "phone", "show", s.account, "--dir", s.stack.File("phones"), "--once")
	if err != nil {
		return "", err
	}
	code := campusText.Find(out)
	if code == nil {
		return "", errors.New("the phone shows no code")
	}
	return string(code), nil
}

var campusText = regexp.MustCompile(`(?m)^[0-9A-Z $%*+./:-]{200,}$`)

func saleCard(s *stage) error {
	before, err := s.books()
	if err != nil {
		return err
	}
	return s.steps(
		s.sold,
		// The card still has its place at the reader when it is laid down again for
		// the same price: the till asks.
		s.priced, s.at(till.Present),
		s.lay,
		s.at(till.Ask),
		s.again,
		func() error { return s.spent(before, lunch) },
	)
}

// saleDark sells while the upstream is gone: the card, and a phone's code. Then
// it comes back, and everything is booked.
func saleDark(s *stage) error {
	before, err := s.books()
	if err != nil {
		return err
	}
	return s.steps(
		s.at(till.Ready),
		func() error { return s.pause(heardMax) }, // lists and keys have come
		s.stack.Upstream.Stop,
		s.sold,
		s.priced, s.at(till.Present),
		func() error {
			code, err := s.campusCode()
			if err != nil {
				return err
			}
			return s.scan(code)
		},
		s.at(till.Sold), s.back,
		func() error { return s.stack.StartAndWait(s.ctx, s.stack.Upstream, s.stack.UpstreamAddr) },
		func() error { return s.spent(before, 2*lunch) },
		func() error { s.aside = lunch; return nil },
	)
}

// saleLimit spends up to the daily limit, and is asked for the PIN above it.
func saleLimit(s *stage) error {
	before, err := s.books()
	if err != nil {
		return err
	}
	for _, product := range []string{"product-1", "product-2", "product-3"} { // 37 yuan
		err := s.steps(
			func() error { return s.await(kiosk.Step(till.Ready), product) }, s.at(till.Present),
			s.lay,
			s.at(till.Sold), s.again,
		)
		if err != nil {
			return err
		}
	}
	return s.steps(
		func() error { return s.await(kiosk.Step(till.Ready), "digit-1") },
		func() error { return s.tap("digit-5") },
		func() error { return s.tap("charge") }, // 52 yuan in all
		s.at(till.Present),
		s.lay,
		func() error { return s.typePIN(kiosk.Step(till.EnterPIN)) },
		s.at(till.Sold), s.again,
		func() error { return s.spent(before, 52*money.Yuan) },
	)
}

// codePIN pays 52 yuan by a virtual card's code, which is above the daily limit: the
// holder types the PIN, and the upstream takes it from the account.
func codePIN(s *stage) error {
	const amount = 52 * money.Yuan
	before, err := s.books()
	if err != nil {
		return err
	}
	return s.steps(
		func() error { return s.await(kiosk.Step(till.Ready), "digit-5") },
		func() error { return s.tap("digit-2") },
		func() error { return s.tap("charge") },
		s.at(till.Present),
		func() error {
			code, err := s.campusCode()
			if err != nil {
				return err
			}
			return s.scan(code)
		},
		func() error { return s.typePIN(kiosk.Step(till.EnterPIN)) },
		s.at(till.Sold), s.back,
		func() error { return s.spent(before, amount) },
		func() error { s.aside = amount; return nil },
	)
}
