package main

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"quancun/kiosk"
	"quancun/money"
)

// scenarios are the stories, in the order in which they are told. Each begins
// with a machine at its home screen and a person with a card in hand.
var scenarios = []scenario{
	{name: "topup", what: "twenty yuan from a phone to a card", play: topUp},
	{name: "topup-torn", what: "the card is torn off while it is written, and put back", play: topUpTorn},
	{name: "topup-late", what: "the order is cancelled, and paid all the same", play: topUpLate},
	{name: "topup-kill", what: "the machine loses power between payment and card", play: topUpKill},
	{name: "account", what: "balance and the card's own log, in English", play: account},
	{name: "reader", what: "the card service is restarted, and a foreign card laid down", play: readerRestarted},
	{name: "second", what: "a second instance on one journal explains itself and quits", play: secondInstance},
	{name: "sale-card", what: "lunch at a till, and the same once more", face: cashier, play: saleCard},
	{name: "sale-dark", what: "a card and a phone pay while the upstream is gone", face: cashier, play: saleDark},
	{name: "sale-limit", what: "the fifty-first yuan of the day asks for the PIN", face: cashier, play: saleLimit},
	{name: "sale-pad", what: "the holder types it on a pad of their own, which is unplugged amid that", face: cashier,
		play: salePad},
	{name: "code-pin", what: "a phone's code above the daily limit is paid by PIN", face: cashier, play: codePIN},
	{name: "scanner-only", what: "a till is worked with a scanner alone, and a printed sheet of keys", face: cashier,
		printer: true, play: scannerOnly},
	{name: "sale-psam", what: "a PSAM in a slot is pulled between two sales, and twice amid one", face: cashier,
		play: salePSAM},
	{name: "sale-torn-elsewhere", what: "torn off at a till, and settled at the next", face: cashier, play: saleTorn},
	{name: "sale-left", what: "the power is cut while a wallet pays", face: cashier, play: saleLeft},
	{name: "refund", what: "lunch is given back in two parts, each released by a supervisor",
		face: cashier, staff: true, play: refunded},
	{name: "shift-close", what: "a shift is opened, counted ten yuan short, and closed with a Z",
		face: cashier, staff: true, play: shiftClose},
	{name: "replace-card", what: "a lost card is replaced at the desk, for a fee in cash, and pays",
		face: cashier, staff: true, play: replaceCard},
	{name: "replace-cut", what: "the power is cut while a new card is written, and the clerk goes on",
		face: cashier, staff: true, play: replaceCut},
	{name: "lost-card", what: "reported at a kiosk: a till that has not heard sells in the dark, one that has refuses",
		face: cashier, play: lostCard},
	{name: "bath", what: "a shower is reserved at the kiosk, opened with no network, and settled", play: bathing},
	{name: "own", what: "what is open is found, a receipt taken along again, and the upstream goes away in between",
		play: ownMoney},
	{name: "print", what: "a top-up's receipt on paper; without, the page says why, and a phone takes it",
		printer: true, play: printing},
	{name: "network-fee", what: "ten yuan for the network, booked once", play: networkFee},
	{name: "spoken", what: "the same by a keypad and headphones, and without a look at the screen", play: spoken},
	{name: "electricity", what: "a room is found, paid for, and remembered", play: electricity},
	{name: "electricity-unknown", what: "the vendor's answer is lost: being checked, then done, billed once",
		play: electricityUnknown},
	{name: "both-faces", what: "a kiosk is a till while a cashier is signed in",
		face: both, staff: true, play: bothFaces},
	{name: "soak", what: "many visits of every kind, and neither program has grown", play: soak, named: true},
	{name: "soak-till", what: "many sales, and neither program has grown", face: cashier, play: soakTill, named: true},
}

const twenty = 20 * money.Yuan

// order walks from the home screen to the QR code of a top-up of twenty yuan.
func (s *stage) order() error {
	return s.steps(
		func() error { return s.await(kiosk.Home, "topup") },
		func() error { _, err := s.see(kiosk.Present); return err },
		s.lay,
		func() error { return s.typePIN(kiosk.EnterPIN) },
		func() error { return s.await(kiosk.Amount, "amount-20.00") },
		func() error { _, err := s.see(kiosk.Pay); return err },
	)
}

// steps does one thing after the other, until one fails.
func (s *stage) steps(all ...func() error) error {
	for i, step := range all {
		if err := step(); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

// home takes the card away and waits for the machine to be free.
func (s *stage) home() error {
	if err := s.lab("take"); err != nil {
		return err
	}
	_, err := s.see(kiosk.Home)
	return err
}

// gained checks by how much the account has grown.
func (s *stage) gained(before books, want money.Fen) error {
	after, err := s.books()
	if err != nil {
		return err
	}
	if got := after.BalanceFen - before.BalanceFen; got != want {
		return fmt.Errorf("the account has gained %s, not %s", got, want)
	}
	return nil
}

func topUp(s *stage) error {
	before, err := s.books()
	if err != nil {
		return err
	}
	return s.steps(
		s.order,
		func() error { return s.lab("pay", "--last") },
		func() error { _, err := s.see(kiosk.Done); return err },
		s.home,
		func() error { return s.gained(before, twenty) },
	)
}

func topUpTorn(s *stage) error {
	before, err := s.books()
	if err != nil {
		return err
	}
	return s.steps(
		s.order,
		func() error { return s.lab("tear", "after", "credit") },
		func() error { return s.lab("pay", "--last") },
		func() error { _, err := s.see(kiosk.Doubt); return err },
		s.lay,
		func() error { _, err := s.see(kiosk.Done); return err },
		s.home,
		func() error { return s.gained(before, twenty) },
		// And again, torn before the card has done anything: it has to be loaded
		// anew, with the PIN that the card forgot.
		s.order,
		func() error { return s.lab("tear", "before", "credit") },
		func() error { return s.lab("pay", "--last") },
		func() error { _, err := s.see(kiosk.Doubt); return err },
		s.lay,
		func() error { return s.typePIN(kiosk.ReenterPIN) },
		func() error { _, err := s.see(kiosk.Done); return err },
		s.home,
		func() error { return s.gained(before, 2*twenty) },
	)
}

func topUpLate(s *stage) error {
	before, err := s.books()
	if err != nil {
		return err
	}
	return s.steps(
		s.order,
		func() error { return s.lab("pay", "--last", "--late", "4s") },
		func() error { return s.tap("leave") },
		func() error { _, err := s.see(kiosk.Unpaid); return err },
		s.home,
		func() error { return s.credited(before) },
		// The next visit says so, and brings the card level.
		func() error { return s.tap("account") },
		func() error { _, err := s.see(kiosk.Present); return err },
		s.lay,
		func() error { return s.typePIN(kiosk.EnterPIN) },
		func() error { return s.await(kiosk.Account, "level") },
		func() error { return s.await(kiosk.Done, "account") },
		func() error { _, err := s.see(kiosk.Account); return err },
		s.home,
		func() error { return s.gained(before, twenty) },
	)
}

// credited waits until the late payment has arrived, once, and marked as late.
func (s *stage) credited(before books) error {
	for range 60 {
		b, err := s.books()
		if err != nil {
			return err
		}
		if b.BalanceFen != before.BalanceFen {
			if len(b.Orders) != 1 || !b.Orders[0].Late || b.Orders[0].State != "paid" {
				return fmt.Errorf("orders: %+v", b.Orders)
			}
			return s.gained(before, twenty)
		}
		if err := s.pause(pollEvery); err != nil {
			return err
		}
	}
	return fmt.Errorf("the late payment was never credited")
}

func topUpKill(s *stage) error {
	before, err := s.books()
	if err != nil {
		return err
	}
	return s.steps(
		s.order,
		// The terminal does not hear of the payment: it is dead when it comes.
		func() error { s.stack.Terminal.Freeze(); return nil },
		func() error { return s.lab("pay", "--last") },
		func() error { return s.creditedQuietly(before) },
		func() error { s.stack.Terminal.Kill(); return s.lab("take") },
		s.restart,
		func() error { return s.await(kiosk.Home, "account") },
		func() error { _, err := s.see(kiosk.Present); return err },
		s.lay,
		func() error { return s.typePIN(kiosk.EnterPIN) },
		func() error { _, err := s.see(kiosk.Done); return err },
		s.home,
		func() error { return s.gained(before, twenty) },
	)
}

// account walks through everything that can be looked at, with a card that has
// money waiting: it is brought level first.
func account(s *stage) error {
	return s.steps(
		func() error { return s.holdCard("to_load") },
		func() error { return s.await(kiosk.Home, "language") },
		func() error { return s.tap("account") },
		func() error { _, err := s.see(kiosk.Present); return err },
		s.lay,
		func() error { return s.typePIN(kiosk.EnterPIN) },
		func() error { return s.await(kiosk.Done, "account") },
		func() error { return s.await(kiosk.Account, "cardlog") },
		func() error { return s.await(kiosk.CardLog, "back") },
		func() error { return s.await(kiosk.Account, "leave") },
		func() error { _, err := s.see(kiosk.TakeCard); return err },
		s.home,
	)
}

// readerRestarted: the machine comes back by itself from what its card service
// does, and turns away what is no campus card.
func readerRestarted(s *stage) error {
	before, err := s.books()
	if err != nil {
		return err
	}
	bank, err := s.named("bank")
	if err != nil {
		return err
	}
	return s.steps(
		func() error { _, err := s.see(kiosk.Home); return err },
		s.stack.Service.Restart,
		func() error { return s.pause(2 * time.Second) },
		func() error { return s.lab("lay", bank) },
		func() error { _, err := s.see(kiosk.Fault); return err },
		s.home,
		s.order,
		func() error { return s.lab("pay", "--last") },
		func() error { _, err := s.see(kiosk.Done); return err },
		s.home,
		func() error { return s.gained(before, twenty) },
	)
}

// named returns the lab's name of the first card of a kind.
func (s *stage) named(kind string) (string, error) {
	cards, err := s.cards()
	for _, c := range cards {
		if c.Kind == kind {
			return c.Card, nil
		}
	}
	return "", errors.Join(err, fmt.Errorf("the lab has no card of kind %q", kind))
}

// secondInstance starts the terminal once more on the same journal.
func secondInstance(s *stage) error {
	if _, err := s.see(kiosk.Home); err != nil {
		return err
	}
	cmd := exec.CommandContext(s.ctx, s.stack.TerminalPath, "run", "--config", s.stack.File("terminal.toml"))
	cmd.Env = s.stack.Terminal.Env
	out, err := cmd.CombinedOutput()
	const locked = 3
	if cmd.ProcessState.ExitCode() != locked || !strings.Contains(string(out), "journal is in use") {
		return fmt.Errorf("the second instance: %w\n%s", err, out)
	}
	_, err = s.see(kiosk.Home) // the first does not mind
	return err
}
