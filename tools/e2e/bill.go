package main

import (
	"fmt"
	"strings"

	"quancun/kiosk"
	"quancun/money"
)

// bill is what is paid to a biller: its default.
const bill = 10 * money.Yuan

// networkFee: the default is paid to the network, and booked there once. Its receipt is
// on the screen.
func networkFee(s *stage) error {
	before, err := s.books()
	if err != nil {
		return err
	}
	return s.steps(
		s.to("network"), s.paid("network done"), s.receiptProves, s.leave("network done"), s.home,
		s.billed(before, "network", 1),
	)
}

// electricity: a room is found through area, building and floor; the next time it is
// offered at once.
func electricity(s *stage) error {
	before, err := s.books()
	if err != nil {
		return err
	}
	return s.steps(
		s.to("electricity"), s.toRoom, s.paid("electricity done"), s.leave("electricity done"), s.home,
		s.billed(before, "electricity", 1),
		s.to("electricity"), s.on("electricity.mine", "option-0"),
		s.paid("electricity done"), s.leave("electricity done"), s.home,
		s.billed(before, "electricity", 2),
	)
}

// electricityUnknown: the vendor books and its answer is lost, and it cannot be asked
// for a while. The person reads that the payment is being checked; the page says by
// itself that it is done. It was billed once.
func electricityUnknown(s *stage) error {
	before, err := s.books()
	if err != nil {
		return err
	}
	fault := func(args ...string) func() error {
		return func() error { return s.lab(append([]string{"biller", "electricity"}, args...)...) }
	}
	return s.steps(
		fault("fault", "recharge", "drop", "--booked"),
		fault("fault", "order", "html", "--standing"),
		s.to("electricity"), s.toRoom, s.paid("electricity unknown"),
		fault("mend"),
		func() error { return s.asked("electricity done") },
		s.leave("electricity done"), s.home,
		s.billed(before, "electricity", 1),
	)
}

// to has the person choose a service on Home and sign in for it.
func (s *stage) to(service string) func() error {
	return func() error {
		return s.steps(
			func() error { return s.await(kiosk.Home, service) },
			func() error { _, err := s.see(kiosk.Present); return err },
			s.lay,
			func() error { return s.typePIN(kiosk.EnterPIN) },
		)
	}
}

// toRoom goes to the first room of the first building.
func (s *stage) toRoom() error {
	return s.steps(
		s.on("electricity.area", "option-0"), s.on("electricity.building", "option-0"),
		s.on("electricity.floor", "option-0"), s.on("electricity.room", "option-0"),
	)
}

// paid pays the default, and sees that it came to end.
func (s *stage) paid(end string) func() error {
	return func() error {
		return s.steps(
			s.on("pay.amount", "option-0"), s.on("pay.sure", "done"),
			func() error { return s.asked(end) },
		)
	}
}

// billed checks that a biller has booked n bills, and the account has paid as many.
func (s *stage) billed(before books, biller string, n int) func() error {
	return func() error {
		text, err := s.tool("campuslab", "biller", biller)
		if err != nil {
			return err
		}
		if want := fmt.Sprintf("%d booked;", n); !strings.Contains(string(text), want) {
			return fmt.Errorf("want %s: %s", want, text)
		}
		s.aside = money.Fen(n) * bill
		return s.gained(before, -s.aside)
	}
}
