package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"quancun/kiosk"
	"quancun/kiosk/till"
)

// lostCard: a card is reported lost at a kiosk, with nothing but a number and the PIN.
// A till that has had no network since sells to it, which is the risk that the kiosk
// has told; the same till, once it has synchronised, refuses it, again without a
// network. Then somebody lays the card on the kiosk.
func lostCard(s *stage) error {
	before, err := s.books()
	if err != nil {
		return err
	}
	counter := s.here
	machine, err := s.another("kiosk", "kiosk")
	if err != nil {
		return err
	}
	back := func() error { return s.stack.StartAndWait(s.ctx, s.stack.Upstream, s.stack.UpstreamAddr) }
	synced := func() error { return s.pause(heardMax) }
	return s.steps(
		s.at(till.Ready), synced, s.cutPower,
		s.goTo(machine), s.reportLost,
		s.stack.Upstream.Stop,
		s.goTo(counter), s.restart, s.sold,
		back,
		func() error { return s.spent(before, lunch) }, synced,
		s.stack.Upstream.Stop,
		s.keyed("F2"), s.at(till.Present), s.lay, s.at(till.Declined), s.again,
		back, synced,
		s.goTo(machine), s.findLost,
		func() error { return s.spent(before, lunch) },
	)
}

// reportLost has the person report the card lost, and looks whether it is, and whether
// the page says that one of two machines knows, what is at risk meanwhile, and until when.
func (s *stage) reportLost() error {
	return s.steps(
		func() error { return s.await(kiosk.Home, "lost") },
		s.on("lost.sure", "done"),
		s.typed("lost.number", s.account),
		func() error { return s.asked("lost.pin") },
		func() error { return s.digits(s.pin) },
		func() error { return s.asked("lost done") },
		s.reads("1 / 2", "断网的机器上最多还能刷", "损失不由您承担，从"),
		s.leave("lost done"),
		func() error { _, err := s.see(kiosk.Home); return err },
	)
}

// reads checks that the window shows some lines.
func (s *stage) reads(lines ...string) func() error {
	return func() error {
		now, err := s.look(time.Now().Add(seeMax))
		if err != nil {
			return err
		}
		for _, line := range lines {
			if !slices.Contains(now.Texts, line) {
				return fmt.Errorf("the window does not show %q, but %q", line, now.Texts)
			}
		}
		return nil
	}
}

// findLost lays the lost card on the kiosk's reader, and takes it away again.
func (s *stage) findLost() error {
	return s.steps(
		func() error { return s.await(kiosk.Home, "account") },
		func() error { _, err := s.see(kiosk.Present); return err },
		s.lay,
		func() error { return s.await(kiosk.Fault, "leave") },
		s.home,
	)
}

// ownMoney: a shower that is reserved is found under where is my money. Then the holder
// looks up a movement and takes its receipt along once more, which proves itself. There
// is none of another sort. Then the upstream goes away between two questions: nothing is
// made up, and what the card itself says can still be looked at.
func ownMoney(s *stage) error {
	return s.steps(
		s.reserve, s.leave("bath done"), s.home,
		s.to("own.money"), s.on("own.ask.money", "option-0"), s.leave("own.money done"), s.home,
		func() error { return s.await(kiosk.Home, "account") },
		func() error { _, err := s.see(kiosk.Present); return err },
		s.lay,
		func() error { return s.typePIN(kiosk.EnterPIN) },
		func() error { return s.await(kiosk.Account, "own.records") },
		s.on("own.ask.sort", "option-0"), s.on("own.ask.period", "option-3"), s.on("own.ask.record", "option-0"),
		func() error { return s.asked("own.records done") },
		s.receiptProves,
		s.on("own.records done", "back"),

		func() error { return s.await(kiosk.Account, "own.records") },
		s.on("own.ask.sort", "option-3"), s.on("own.ask.period", "option-3"), s.says("这段时间没有记录"), // of bills
		s.on("own.records done", "back"),

		func() error { return s.await(kiosk.Account, "own.records") },
		s.on("own.ask.sort", "option-0"), s.on("own.ask.period", "option-3"),
		func() error { return s.asked("own.ask.record") },
		s.stack.Upstream.Stop,
		s.on("own.ask.record", "option-0"),
		s.says("钱和卡都没有变动"), s.on("own.records refused", "back"),
		func() error { return s.await(kiosk.Account, "cardlog") },
		func() error { _, err := s.see(kiosk.CardLog); return err },
		s.home,
		func() error { return s.stack.StartAndWait(s.ctx, s.stack.Upstream, s.stack.UpstreamAddr) },
	)
}

// receiptProves reads the code off the screen, as a phone does, and checks it with no
// network.
func (s *stage) receiptProves() error {
	picture := filepath.Join(s.dir, "receipt.png")
	if err := s.here.display.Screenshot(picture); err != nil {
		return err
	}
	code, err := exec.CommandContext(s.ctx, "zbarimg", "--quiet", "--raw", picture).Output()
	if err != nil {
		return fmt.Errorf("read the code off the screen: %w", err)
	}
	return s.copyProves(strings.TrimSpace(string(code)))
}

// proves checks the code of a receipt with no network.
func (s *stage) proves(code string) error { return s.verified(code, "genuine: ") }

// copyProves checks the code of a copy with no network.
func (s *stage) copyProves(code string) error { return s.verified(code, "genuine copy") }

func (s *stage) verified(code, as string) error {
	out, err := s.tool("quancun-e2e", "receipt", "verify", code, "--config", s.stack.File("terminal.toml"))
	if err == nil && !strings.HasPrefix(string(out), as) {
		err = errors.New(string(out))
	}
	return err
}

// printing: the receipt of a top-up is printed where it ends, not without paper, and then
// with some; and out of the records. Then there is no paper, the cover is open and the
// printer paused: the page says which, a phone takes the receipt off the screen, and nothing
// comes out later, when somebody else stands there.
func printing(s *stage) error {
	return s.steps(
		s.order,
		func() error { return s.lab("pay", "--last") },
		s.receiptOfTopUp,
		func() error { return s.await(kiosk.Done, "account") },
		func() error { return s.await(kiosk.Account, "own.records") },
		s.on("own.ask.sort", "option-2"), s.on("own.ask.period", "option-0"), s.on("own.ask.record", "option-0"),
		s.on("own.records done", "print"), s.says("已打印"),
		func() error { return s.onPaper(2, s.copyProves) },

		func() error { return s.lab("paper", "out") },
		s.on("own.records done", "print"), s.says("没有纸"), s.receiptProves,
		func() error { return s.lab("paper", "ok") },
		func() error { return s.lab("paper", "open") },
		s.on("own.records done", "print"), s.says("盖子开着"), s.receiptProves,
		func() error { return s.lab("paper", "close") },
		func() error { return s.lab("paper", "offline") },
		s.on("own.records done", "print"), s.says("停用"), s.receiptProves,
		func() error { return s.lab("paper", "online") },
		func() error { return s.onPaper(2, s.copyProves) },
		s.on("own.records done", "print"), s.says("已打印"),
		func() error { return s.onPaper(3, s.copyProves) },
		s.leave("own.records done"), s.home,
	)
}

// receipt is one that the lab's printer has cut off.
type receipt struct {
	Text  string   `json:"text"`
	Codes []string `json:"codes"`
}

// paper is all that the lab's printer has cut off.
func (s *stage) paper() (all []receipt, err error) {
	r, err := http.Get(s.stack.LabURL() + "/printer/receipts")
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	return all, json.NewDecoder(r.Body).Decode(&all)
}

// receiptOfTopUp has the receipt printed at the end of a top-up, first without paper.
func (s *stage) receiptOfTopUp() error {
	return s.steps(
		func() error { return s.lab("paper", "out") },
		func() error { return s.await(kiosk.Done, "print") }, s.says("没有纸"),
		func() error { return s.lab("paper", "ok") },
		func() error { return s.await(kiosk.Done, "print") }, s.says("已打印"),
		func() error { return s.onPaper(1, s.proves) },
	)
}

// onPaper checks that the lab's printer has cut off n receipts, of which the last is of
// a top-up of twenty yuan and proves itself.
func (s *stage) onPaper(n int, proves func(code string) error) error {
	all, err := s.paper()
	if err != nil {
		return err
	}
	if len(all) != n || len(all[n-1].Codes) != 1 || !strings.Contains(all[n-1].Text, twenty.String()) {
		return fmt.Errorf("on paper, and not %d receipts of %s with a code: %+v", n, twenty, all)
	}
	return proves(all[n-1].Codes[0])
}
