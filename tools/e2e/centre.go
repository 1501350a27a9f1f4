package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"quancun/kiosk"
	"quancun/kiosk/till"
)

// newPIN is what the holder chooses for a new card.
const newPIN = "246802"

// signIn has a member of the staff of that kind show card and PIN, and take the card
// again.
func (s *stage) signIn(kind string) error {
	mine := *s
	if err := mine.holdCard(kind); err != nil {
		return err
	}
	s.shots = mine.shots
	if err := s.steps(s.at(till.Locked), mine.lay); err != nil {
		return err
	}
	return s.steps(s.at(till.StaffPIN), func() error { return s.digits(mine.pin) }, s.take)
}

func (s *stage) take() error { return s.lab("take") }

// digits taps digits.
func (s *stage) digits(all string) error {
	for _, d := range all {
		if err := s.tap("digit-" + string(d)); err != nil {
			return err
		}
	}
	return nil
}

// readFor is how long somebody looks at a page at least: the last word before
// something happens is not taken sooner.
const readFor = 400 * time.Millisecond

// conversations are the steps of both faces at which a script has the screen.
var conversations = []kiosk.Step{kiosk.Step(till.Office), kiosk.Serving, kiosk.Served}

// asked waits until the office, or a service of a kiosk, shows a part, and takes a
// picture.
func (s *stage) asked(part string) error {
	var now screen
	for end := time.Now().Add(seeMax); time.Now().Before(end); {
		var err error
		if now, err = s.look(end); err != nil {
			return err
		}
		if slices.Contains(conversations, now.Step) && now.Part == part {
			_ = s.pause(readFor)
			s.shot(strings.ReplaceAll(strings.ReplaceAll(part, ".", "-"), " ", "-"))
			return nil
		}
		if err := s.pause(50 * time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("the window shows %q in step %d, and not %q", now.Part, now.Step, part)
}

// on waits for a part of the office and taps targets on it, one after the other.
func (s *stage) on(part string, targets ...string) func() error {
	return func() error {
		if err := s.asked(part); err != nil {
			return err
		}
		for _, t := range targets {
			if err := s.tap(t); err != nil {
				return err
			}
		}
		return nil
	}
}

// turnMax is when a page that was turned has surely been drawn.
const turnMax = time.Second

// pick begins a task, which is in a group of the menu, on whichever page of it.
func (s *stage) pick(group, task string) func() error {
	return func() error {
		if err := s.on("menu", "group-"+group)(); err != nil {
			return err
		}
		for range 5 {
			if err := s.pause(turnMax); err != nil {
				return err
			}
			now, err := s.look(time.Now().Add(seeMax))
			if err != nil {
				return err
			}
			if _, there := now.Targets["pick-"+task]; there {
				return s.tap("pick-" + task)
			}
			if err := s.tap("next"); err != nil {
				return err
			}
		}
		return fmt.Errorf("the menu has no %s", task)
	}
}

// typed has digits and letters typed on a page, by taps.
func (s *stage) typed(part, text string) func() error {
	targets := make([]string, 0, len(text)+1)
	for _, r := range text {
		key := "letter-"
		if unicode.IsDigit(r) {
			key = "digit-"
		}
		targets = append(targets, key+string(r))
	}
	return s.on(part, append(targets, "done")...)
}

// found finds the person by their number.
func (s *stage) found() error {
	return s.steps(
		s.on("centre.find", "option-0"),
		s.typed("centre.number", s.account),
	)
}

// documented says which document the person shows.
func (s *stage) documented() error {
	return s.steps(
		s.on("centre.document", "option-0"),
		s.typed("centre.evidence", "123X"),
	)
}

// leave goes back to the menu from what came of a task.
func (s *stage) leave(part string) func() error {
	return func() error {
		return s.steps(func() error { return s.asked(part) }, func() error { return s.here.display.Press("Escape") })
	}
}

// chooses has the holder type a PIN twice.
func (s *stage) chooses(pin string) error {
	return s.steps(
		func() error { return s.asked("centre.pin.new") }, func() error { return s.digits(pin) },
		func() error { return s.asked("centre.pin.again") }, func() error { return s.digits(pin) },
	)
}

// atTheDesk signs a clerk in, who opens a shift.
func (s *stage) atTheDesk() error {
	return s.steps(
		func() error { return s.signIn("clerk") },
		s.pick("1", "shift.open"), s.typed("shift.float.ask", "100"),
		s.on("shift.open.sure", "done"), s.leave("shift.open done"),
	)
}

// begun has a blank laid down that is to be the person's card, and the fee paid in
// cash: from then on it is made.
func (s *stage) begun(blank string) error {
	return s.steps(
		s.pick("4", "centre.replace"), s.found, s.documented, s.on("centre.fee", "option-0"),
		func() error { return s.chooses(newPIN) },
		func() error { return s.asked("centre.blank") },
		func() error { s.card, s.pin = blank, newPIN; return s.lay() },
		s.on("centre.cash.in", "done"),
	)
}

// replaceCard: the person has lost the card. At the card centre it is reported, and
// a blank becomes another one, for a fee in cash. At the till of the same terminal
// the new one pays what is on the account, and the old one does not.
func replaceCard(s *stage) error {
	old := s.card
	before, err := s.books()
	if err != nil {
		return err
	}
	blank, err := s.named("blank")
	if err != nil {
		return err
	}
	return s.steps(
		s.atTheDesk,
		s.pick("4", "centre.lost"), s.found, s.documented,
		s.on("centre.sure", "done"), s.leave("centre.lost done"),

		func() error { return s.begun(blank) }, s.leave("centre.replace done"),
		s.take,
		func() error { return s.spent(before, 0) }, // the fee came in cash, and went
		func() error { return s.here.display.Press("Escape") },

		func() error { return s.signIn("cashier") },
		s.paysFirst,
		func() error { return s.spent(before, lunch) },
		s.priced, s.at(till.Present),
		func() error { s.card = old; return s.lay() },
		s.at(till.Declined), s.again,
		func() error { s.card = blank; return nil },
	)
}

// paysFirst pays with a card whose purse has to be loaded first.
func (s *stage) paysFirst() error {
	return s.steps(
		s.priced, s.at(till.Present), s.lay,
		func() error { return s.await(kiosk.Step(till.Declined), "load-first") },
		func() error { return s.typePIN(kiosk.Step(till.EnterPIN)) },
		s.at(till.Sold), s.again,
	)
}

// slowly is what a card takes for a command while its power is cut in the middle of
// being made.
const slowly = "400"

// replaceCut cuts the power while a card is written. The clerk goes on with it, and
// the fee is not asked for again.
func replaceCut(s *stage) error {
	before, err := s.books()
	if err != nil {
		return err
	}
	blank, err := s.named("blank")
	if err != nil {
		return err
	}
	return s.steps(
		s.atTheDesk,
		func() error { return s.begun(blank) },
		func() error { return s.lab("slow", slowly) },
		func() error { return s.asked("centre.writing") },
		func() error { s.here.terminal.Kill(); return s.take() },
		func() error { return s.lab("mend") },
		s.restart,
		func() error { return s.signIn("clerk") },
		s.pick("4", "centre.open"), s.on("centre.open.which", "option-0"), s.on("centre.open.how", "option-0"),
		func() error { return s.chooses(newPIN) },
		func() error { return s.asked("centre.blank") }, s.lay,
		s.leave("centre.open done"), s.take,
		func() error { return s.spent(before, 0) },
		func() error { return s.here.display.Press("Escape") },
		func() error { return s.signIn("cashier") },
		s.paysFirst,
		func() error { return s.spent(before, lunch) },
	)
}
