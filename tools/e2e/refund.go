package main

import (
	"errors"
	"time"

	"quancun/kiosk"
	"quancun/kiosk/till"
	"quancun/money"
)

// refunded: lunch is given back in two parts, each released by a supervisor, since
// this till has no limit below which a cashier may alone. More than is left is not
// taken, and then nothing is left to give.
func refunded(s *stage) error {
	before, err := s.books()
	if err != nil {
		return err
	}
	return s.steps(
		func() error { return s.signIn("cashier") },
		s.typed("shift.float.ask", "200"), s.on("shift.open.sure", "done"), s.leave("shift.open done"),
		s.sold,
		func() error { return s.spent(before, lunch) },
		func() error { return s.await(kiosk.Step(till.Ready), "office") },

		s.givesBack("5"), s.meant, s.released,
		func() error { return s.spent(before, lunch-5*money.Yuan) },

		s.givesBack("8"), // of which seven are left: it is asked again
		func() error { return s.pause(turnMax) },
		s.sum("7"), s.meant, s.released,
		func() error { return s.spent(before, 0) },

		s.pick("2", "refund"), s.on("sale.which", "option-1"), s.leave("refund refused"),
		func() error { return s.here.display.Press("Escape") },
		s.at(till.Ready),
		func() error { s.aside = -lunch; return nil }, // it is on the account, and not on the card
	)
}

// givesBack asks for so many yuan of the last sale to be given back, up to the reason.
func (s *stage) givesBack(yuan string) func() error {
	return func() error {
		return s.steps(
			s.pick("2", "refund"), s.on("sale.which", "option-1"), s.on("refund.howmuch", "option-1"),
			s.sum(yuan),
		)
	}
}

// sum types an amount of one digit, and takes it once the page does.
func (s *stage) sum(yuan string) func() error {
	return func() error {
		if err := s.on("refund.amount", "digit-"+yuan)(); err != nil {
			return err
		}
		for end := time.Now().Add(seeMax); time.Now().Before(end); {
			now, err := s.look(end)
			if err != nil {
				return err
			}
			if now.Targets["done"].Enabled {
				return s.tap("done")
			}
		}
		return errors.New("the page does not take the amount")
	}
}

// meant says why, and the last word.
func (s *stage) meant() error {
	return s.steps(s.on("refund.why", "option-0"), s.on("refund.sure", "done"))
}

// released has a supervisor say yes, and waits for what came of the refund.
func (s *stage) released() error {
	second := *s
	if err := second.holdCard("supervisor"); err != nil {
		return err
	}
	return s.steps(
		func() error { return s.asked("second.card") }, second.lay,
		func() error { return s.asked("second.pin") }, func() error { return s.digits(second.pin) },
		s.take, s.leave("refund done"),
	)
}
