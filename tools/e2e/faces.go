package main

import (
	"errors"
	"time"

	"quancun/kiosk"
	"quancun/kiosk/till"
)

// bothFaces: a kiosk is a till for as long as a cashier is signed in, and then it
// is a kiosk again. What it sells and what it loads are in one journal.
func bothFaces(s *stage) error {
	before, err := s.books()
	if err != nil {
		return err
	}
	return s.steps(
		func() error { return s.await(kiosk.Home, "staff") },
		s.without("staff"), // home and a locked till have one number
		func() error { return s.signIn("cashier") },
		s.typed("shift.float.ask", "200"), s.on("shift.open.sure", "done"), s.leave("shift.open done"),
		s.sold,
		func() error { return s.await(kiosk.Step(till.Ready), "lock") },
		s.without("lock"),
		func() error { return s.spent(before, lunch) },
		s.order,
		func() error { return s.lab("pay", "--last") },
		func() error { _, err := s.see(kiosk.Done); return err },
		s.home,
		func() error { return s.gained(before, twenty-lunch) },
	)
}

// without waits until the window shows nothing of that name to tap.
func (s *stage) without(target string) func() error {
	return func() error {
		for end := time.Now().Add(seeMax); time.Now().Before(end); {
			now, err := s.look(end)
			if err != nil {
				return err
			}
			if _, there := now.Targets[target]; !there {
				return nil
			}
			if err := s.pause(50 * time.Millisecond); err != nil {
				return err
			}
		}
		return errors.New("the window still shows " + target)
	}
}
