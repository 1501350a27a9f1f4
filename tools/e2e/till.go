package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/till"
	"quancun/lab/portrait"
	"quancun/money"
	"quancun/reader/evdev"
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

// faces waits until the holder's photo is on the screen: enough of the colour of its
// skin, which nothing else there has.
func (s *stage) faces() error {
	skin := color.RGBAModel.Convert(portrait.Draw(s.account).At(portrait.Width/2, portrait.Height*7/16)).(color.RGBA)
	var seen int
	for end := time.Now().Add(seeMax); time.Now().Before(end); {
		screen, err := s.here.display.Image()
		if err != nil {
			return err
		}
		if seen = near(screen, skin); seen > 500 {
			s.shot("photo")
			return nil
		}
		if err := s.pause(pollEvery); err != nil {
			return err
		}
	}
	return fmt.Errorf("no photo of %s is shown: %d pixels have its colour", s.account, seen)
}

// near counts the pixels of about a colour.
func near(i image.Image, c color.RGBA) (n int) {
	close := func(a uint32, b uint8) bool { return max(a>>8, uint32(b))-min(a>>8, uint32(b)) < 6 }
	for y := i.Bounds().Min.Y; y < i.Bounds().Max.Y; y++ {
		for x := i.Bounds().Min.X; x < i.Bounds().Max.X; x++ {
			if r, g, b, _ := i.At(x, y).RGBA(); close(r, c.R) && close(g, c.G) && close(b, c.B) {
				n++
			}
		}
	}
	return n
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
	return s.here.display.Scan(code)
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
		s.priced, s.at(till.Present), s.lay, s.at(till.Sold), s.faces, s.again,
		// The card still has its place at the reader when it is laid down again for
		// the same price: the till asks.
		s.priced, s.at(till.Present),
		s.lay,
		s.at(till.Ask),
		s.again,
		func() error { return s.spent(before, lunch) },
	)
}

// saleDark sells while the upstream is gone: the card, and a phone's code. Alipay
// says why it does not, before its code is scanned and after it, and nobody is asked
// for money. Then the upstream comes back, everything is booked, and Alipay pays.
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
		s.says("支付宝付款码不可用"), // by now the till knows
		s.priced, s.at(till.Present), s.says("要联网，网络中断"),
		s.alipay, s.at(till.Declined), s.says("这种付款方式要联网"), s.says("没有收到 ¥12.00"), s.back,
		func() error { return s.wrote(s.here, journal.PaymentIntent, 0) },
		func() error { return s.stack.StartAndWait(s.ctx, s.stack.Upstream, s.stack.UpstreamAddr) },
		func() error { return s.spent(before, 2*lunch) },
		s.priced, s.at(till.Present), s.says("付款码可用"),
		s.alipay, s.at(till.Sold), s.back,
		func() error { return s.wrote(s.here, journal.PaymentIntent, 1) },
		func() error { return s.wrote(s.here, journal.ChannelSale, 1) },
		func() error { return s.spent(before, 2*lunch) }, // a wallet pays from no account
		func() error { s.aside = lunch; return nil },
	)
}

// alipay has the till read a wallet's code.
func (s *stage) alipay() error {
	code, err := s.tool("campuslab", "code")
	if err != nil {
		return err
	}
	return s.scan(string(bytes.TrimSpace(code)))
}

// saleLimit spends up to the daily limit, and is asked for the PIN above it.
func saleLimit(s *stage) error {
	before, err := s.books()
	if err != nil {
		return err
	}
	return s.steps(
		s.aboveLimit,
		func() error { return s.typePIN(kiosk.Step(till.EnterPIN)) },
		s.at(till.Sold), s.again,
		func() error { return s.spent(before, 52*money.Yuan) },
	)
}

// aboveLimit spends 37 yuan, and has the card pay 15 more, which is above the daily
// limit.
func (s *stage) aboveLimit() error {
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
	)
}

// salePad is saleLimit at a till whose holders have a PIN pad of their own. The cashier
// types nothing there; the pad is unplugged amid the PIN, and plugged in again.
func salePad(s *stage) error {
	before, err := s.books()
	if err != nil {
		return err
	}
	pad, err := s.withPad()
	if err != nil {
		return err
	}
	defer func() { pad.pipe.Close() }()
	press := func(keys string) func() error { return func() error { return pad.press(keys) } }
	return s.steps(
		press("271828\n"), // nobody has asked
		s.aboveLimit,
		s.at(till.EnterPIN), s.says("顾客请在小键盘上输入密码"), s.noDigits,
		func() error { return s.here.display.Press(strings.Split(s.pin, "")...) },
		press("000000\n"), s.says("密码不对，还可以试 4 次"),
		press(s.pin[:3]), func() error { s.shot("half"); return pad.pull() },
		s.says("小键盘断开了，已输的几位已清除"),
		pad.plug, s.says("小键盘断开过"), s.noDigits,
		press(s.pin), func() error { s.shot("typed"); return pad.press("\n") },
		s.at(till.Sold), s.again,
		func() error { return s.spent(before, 52*money.Yuan) },
	)
}

// noDigits checks that the cashier has no key for a digit.
func (s *stage) noDigits() error {
	now, err := s.look(time.Now().Add(seeMax))
	if err == nil && now.Targets["digit-1"].Enabled {
		err = errors.New("the cashier has a key for a digit")
	}
	return err
}

// pad is the keypad on the customer's side of the till: a pipe that speaks as the
// kernel does.
type pad struct {
	path string
	pipe *os.File
}

// withPad starts the till anew with a PIN pad that is plugged in.
func (s *stage) withPad() (*pad, error) {
	p := &pad{path: s.stack.File("pad")}
	if err := p.plug(); err != nil {
		return nil, err
	}
	config, err := os.OpenFile(s.stack.File("terminal.toml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(config, "\n[pinpad]\ndevice = %q\n", p.path)
	if err := errors.Join(err, config.Close()); err != nil {
		return nil, err
	}
	return p, errors.Join(s.here.terminal.Stop(), s.restart())
}

// plug plugs the pad in. It is ready before it has its name.
func (p *pad) plug() (err error) {
	made := p.path + ".new"
	if out, err := exec.Command("mkfifo", made).CombinedOutput(); err != nil {
		return fmt.Errorf("mkfifo: %w: %s", err, out)
	}
	if p.pipe, err = os.OpenFile(made, os.O_RDWR, 0); err != nil {
		return err
	}
	return os.Rename(made, p.path)
}

// pull pulls it out.
func (p *pad) pull() error { return errors.Join(os.Remove(p.path), p.pipe.Close()) }

// padKeys are the keys of a keypad, as the kernel numbers them.
var padKeys = map[rune]uint16{
	'0': 82, '1': 79, '2': 80, '3': 81, '4': 75, '5': 76, '6': 77, '7': 71, '8': 72, '9': 73, '\n': 96,
}

// press presses keys of the pad, each of which is let go again.
func (p *pad) press(keys string) error {
	for _, k := range keys {
		up := evdev.Event{Kind: evdev.Key, Code: padKeys[k]}
		down := up
		down.Value = 1
		for _, e := range []evdev.Event{down, {}, up, {}} {
			if _, err := p.pipe.Write(e.Bytes()); err != nil {
				return err
			}
		}
	}
	return nil
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
