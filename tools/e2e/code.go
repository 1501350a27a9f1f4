package main

import (
	"quancun/kiosk"
	"quancun/kiosk/till"
	"quancun/money"
)

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
