package main

import (
	"bytes"
	"os"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/till"
)

// saleLeft cuts a till's power while a wallet is asked to pay: once the payer
// pays all the same, and once not. Both are brought to their end, whatever face
// the machine has when it comes back.
func saleLeft(s *stage) error {
	return s.steps(
		s.walletAsked,
		func() error { s.here.terminal.Freeze(); return s.lab("pay", "--last") },
		s.cutPower, s.restart, s.at(till.Ready),
		func() error { return s.settled(s.here) },
		func() error { return s.said(s.here, journal.PaymentEnd, journal.Paid) },

		s.walletAsked,
		s.cutPower, s.becomeKiosk, s.restart,
		func() error { _, err := s.see(kiosk.Home); return err },
		func() error { return s.settled(s.here) },
		func() error { return s.said(s.here, journal.PaymentEnd, journal.Closed) },
	)
}

// walletAsked has the till ask a wallet for lunch, whose owner takes time.
func (s *stage) walletAsked() error {
	return s.steps(
		func() error { return s.lab("fault", "pay", "wait") },
		s.priced, s.at(till.Present),
		func() error {
			code, err := s.tool("campuslab", "code")
			if err != nil {
				return err
			}
			return s.scan(string(bytes.TrimSpace(code)))
		},
		s.at(till.Paying),
		func() error { return s.pause(pollEvery) }, // the wallet has been asked
	)
}

func (s *stage) cutPower() error { s.here.terminal.Kill(); return nil }

// becomeKiosk makes the machine one for holders from its next start on.
func (s *stage) becomeKiosk() error {
	path := s.stack.File("terminal.toml")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, bytes.Replace(text, []byte(`face = "cashier"`), []byte(`face = "kiosk"`), 1), 0o600)
}
