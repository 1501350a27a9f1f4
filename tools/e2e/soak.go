package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"quancun/kiosk"
	"quancun/kiosk/till"
	"quancun/tools/stack"
)

// What programs may grow by in a soak: their caches fill up in the first visits, and
// then stay.
const (
	soakSettled = 25 // visits after which the caches are full
	soakGrowth  = 12 << 10
	soakFiles   = 4 // more or less than before are open by chance, when they are counted
	soakThreads = 6
)

// soak has the same person come to the kiosk again and again, and do what can be done
// without money moving, so that there is no end to it.
func soak(s *stage) error {
	return s.outlasts([]func() error{
		s.looksAtAccount, s.ordersAndLeaves, s.asksForRoom, s.turnsToEnglish, s.looksAtBaths,
	})
}

// soakTill has wallets pay at a till, which take from no account, and people go away.
func soakTill(s *stage) error {
	pays := func() error { return s.steps(s.priced, s.at(till.Present), s.alipay, s.at(till.Sold), s.back) }
	return s.outlasts([]func() error{
		pays, pays, pays,
		func() error { return s.steps(s.priced, s.at(till.Present), s.back) },
		func() error {
			return s.steps(s.priced, s.at(till.Present),
				func() error { return s.scan("https://example.com/a-poster-on-the-wall") }, s.at(till.Declined), s.back)
		},
	})
}

// outlasts plays visits of all kinds in turn, as many as were asked for, and holds what
// the programs take of their machine against what they took when they had warmed up.
func (s *stage) outlasts(all []func() error) error {
	if s.visits <= soakSettled {
		return fmt.Errorf("%d visits are not enough: the caches take %d", s.visits, soakSettled)
	}
	var settled [2]size
	for i := range s.visits {
		if err := all[i%len(all)](); err != nil {
			return fmt.Errorf("visit %d: %w", i+1, err)
		}
		if i+1 == soakSettled {
			var err error
			if settled, err = s.sizes(); err != nil {
				return err
			}
		}
	}
	now, err := s.sizes()
	if err != nil {
		return err
	}
	for i, name := range []string{"terminal", "upstream"} {
		fmt.Printf("      soak: %s: %s after %d visits, %s after %d\n", name, settled[i], soakSettled, now[i], s.visits)
		err = errors.Join(err, now[i].beyond(name, settled[i]))
	}
	return err
}

func (s *stage) looksAtAccount() error {
	return s.steps(
		s.to("account"),
		func() error { return s.await(kiosk.Account, "cardlog") },
		func() error { _, err := s.see(kiosk.CardLog); return err },
		s.home,
	)
}

func (s *stage) ordersAndLeaves() error {
	return s.steps(
		s.order,
		func() error { return s.tap("leave") },
		func() error { _, err := s.see(kiosk.Unpaid); return err },
		s.home,
	)
}

func (s *stage) asksForRoom() error {
	return s.steps(
		s.to("electricity"), s.toRoom,
		func() error { return s.asked("pay.amount") },
		s.home,
	)
}

func (s *stage) turnsToEnglish() error {
	return s.steps(
		func() error { return s.await(kiosk.Home, "language") },
		func() error { return s.tap("network") },
		func() error { _, err := s.see(kiosk.Present); return err },
		s.lay,
		func() error { return s.typePIN(kiosk.EnterPIN) },
		func() error { return s.asked("pay.amount") },
		s.home,
	)
}

func (s *stage) looksAtBaths() error {
	return s.steps(
		s.to("bath"),
		s.on("bath.hall", "option-1"), s.on("bath.day", "option-0"),
		func() error { return s.asked("bath.slot") },
		s.home,
	)
}

// size is what a program takes of its machine.
type size struct{ kb, files, threads int }

// String names the size in a report.
func (s size) String() string {
	return fmt.Sprintf("%d MB, %d files, %d threads", s.kb>>10, s.files, s.threads)
}

// beyond returns an error if a program has grown by more than caches do.
func (s size) beyond(name string, settled size) error {
	if s.kb-settled.kb > soakGrowth || s.files-settled.files > soakFiles || s.threads-settled.threads > soakThreads {
		return fmt.Errorf("the %s has grown from %s to %s", name, settled, s)
	}
	return nil
}

// sizes returns what the terminal and the upstream take.
func (s *stage) sizes() (all [2]size, err error) {
	for i, p := range []*stack.Process{s.here.terminal, s.stack.Upstream} {
		if all[i], err = sizeOf(p); err != nil {
			return all, err
		}
	}
	return all, nil
}

func sizeOf(p *stack.Process) (n size, err error) {
	dir := fmt.Sprintf("/proc/%d/", p.PID())
	text, err1 := os.ReadFile(dir + "status")
	files, err2 := os.ReadDir(dir + "fd")
	if err := errors.Join(err1, err2); err != nil {
		return n, err
	}
	n.files = len(files)
	for line := range bytes.Lines(text) {
		_, _ = fmt.Sscanf(string(line), "VmRSS: %d kB", &n.kb) // of some other line it takes nothing
		_, _ = fmt.Sscanf(string(line), "Threads: %d", &n.threads)
	}
	if n.kb == 0 || n.threads == 0 {
		return n, errors.New("the program does not run")
	}
	return n, nil
}
