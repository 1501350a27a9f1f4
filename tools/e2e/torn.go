package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/till"
	"quancun/ledger"
	"quancun/money"
	"quancun/pboc"
	"quancun/reader"
	"quancun/reader/pcsc"
	"quancun/reader/sam"
	"quancun/reader/vpcd"
)

// side and drink are what the fourth and the sixth key of the till cost.
const (
	side  = 3 * money.Yuan
	drink = 2 * money.Yuan
)

// saleTorn has a card torn off at one till, and its holder go to the next. First
// the card has paid and the till has not heard it, of which the counter that the
// next till reads is proof enough. Then it has not paid: of that a counter tells
// nothing, so that the next till hears of the open claim and asks the card's log.
// At last it has paid, and no till can ask the upstream, which finds out from what
// both journals say later.
func saleTorn(s *stage) error {
	before, err := s.books()
	if err != nil {
		return err
	}
	first := s.here
	next, err := s.another("demo02", cashier)
	if err != nil {
		return err
	}
	return s.steps(
		s.tornAt(first, "after", "F1"), s.upstreamHas(first), s.soldAt(next, "F1"),
		s.hearsAt(first, journal.Elsewhere),
		func() error { return s.spent(before, 2*lunch) },

		s.tornAt(first, "before", "F4"), s.upstreamHas(first), s.soldAt(next, "F4"),
		func() error { return s.said(next, journal.Evidence, journal.NotWritten) },
		s.hearsAt(first, journal.ElsewhereNot),
		func() error { return s.spent(before, 2*lunch+side) },

		s.stack.Upstream.Stop,
		s.tornAt(first, "after", "F6"), s.soldAt(next, "F6"),
		func() error { return s.stack.StartAndWait(s.ctx, s.stack.Upstream, s.stack.UpstreamAddr) },
		s.hearsAt(first, journal.Elsewhere),
		func() error { return s.spent(before, 2*lunch+side+2*drink) },
	)
}

// tornAt has a card torn off at a window, before or after it has done the debit of
// what a key of the till costs.
func (s *stage) tornAt(w *window, when, key string) func() error {
	return func() error {
		return s.steps(
			s.goTo(w), s.keyed(key), s.at(till.Present),
			func() error { return s.lab("tear", when, "debit", "--card", s.card) },
			s.lay, s.at(till.Doubt),
		)
	}
}

// soldAt sells at a window what a key of the till costs.
func (s *stage) soldAt(w *window, key string) func() error {
	return func() error {
		return s.steps(s.goTo(w), s.keyed(key), s.at(till.Present), s.lay, s.at(till.Sold), s.again)
	}
}

// upstreamHas waits until the upstream has all that a window's journal says.
func (s *stage) upstreamHas(w *window) func() error {
	return func() error {
		return s.written(w, func(r ledger.Report) bool { return r.Acked == r.Entries })
	}
}

// hearsAt waits until a window that is in doubt has heard from the upstream what
// became of the sale, and goes back to the price there.
func (s *stage) hearsAt(w *window, want journal.Outcome) func() error {
	return func() error {
		return s.steps(
			s.goTo(w),
			func() error { return s.settled(w) },
			func() error { return s.said(w, journal.SaleEnd, want) },
			func() error { return s.here.display.Press("Escape") }, s.at(till.Unknown),
			s.back,
		)
	}
}

// said checks that the last entry of a kind in a window's journal has an
// outcome.
func (s *stage) said(w *window, kind journal.Kind, want journal.Outcome) error {
	_, last, err := s.entries(w, kind)
	if err != nil {
		return err
	}
	if last.Outcome != want {
		return fmt.Errorf("journal %s says %v in its last %s (entry %d), not %v",
			w.journal(), last.Outcome, kind, last.Seq, want)
	}
	return nil
}

// wrote checks how many entries of a kind are in a window's journal.
func (s *stage) wrote(w *window, kind journal.Kind, want int) error {
	got, _, err := s.entries(w, kind)
	if err == nil && got != want {
		err = fmt.Errorf("journal %s has %d entries of %s, not %d", w.journal(), got, kind, want)
	}
	return err
}

// entries reads how many entries of a kind are in a window's journal, and the last.
func (s *stage) entries(w *window, kind journal.Kind) (n int, last journal.Entry, err error) {
	err = ledger.ReadFile(s.ctx, w.journal(), func(snapshot ledger.Snapshot) error {
		for line, err := range snapshot.Lines(snapshot.Head.Seq) {
			if err != nil {
				return err
			}
			if line.Entry.Kind == kind {
				n, last = n+1, line.Entry
			}
		}
		return nil
	})
	return n, last, err
}

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
		s.alipay,
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

// salePSAM sells with a PSAM in the reader's second slot. It is pulled between two
// customers: the till says what is the matter, before a card is laid down and after,
// sells to a phone, and needs no restart once it is back. Then it is pulled twice in
// the middle of a sale: before it has answered, when the card has not been debited, and
// after that, when the card has.
func salePSAM(s *stage) error {
	before, err := s.books()
	if err != nil {
		return err
	}
	m, err := s.withPSAM()
	if err != nil {
		return err
	}
	defer m.pull()
	const out = "PSAM 卡不在读卡器里" // beside the card, in the list of ways to pay
	noSAM := s.says("安全模块（PSAM）没有响应")
	return s.steps(
		s.soldAt(s.here, "F1"),

		func() error { return m.pull() }, m.is(s, false),
		s.keyed("F2"), s.at(till.Present), s.says(out), s.lay, s.at(till.Declined), noSAM, s.again,
		s.priced, s.at(till.Present), s.scanPhone, s.at(till.Sold), s.back,
		s.keyed("F2"), s.says(out), func() error { return m.insert(0) }, s.saysNoMore(out),
		s.lay, s.at(till.Sold), s.again,

		func() error { return m.pull() }, m.is(s, false),
		func() error { return m.insert(initPurchase) }, m.is(s, true),
		s.keyed("F4"), s.at(till.Present), s.lay, s.at(till.Declined), noSAM, s.again,
		m.is(s, false), func() error { return m.insert(checkMAC2) }, m.is(s, true),
		s.soldAt(s.here, "F4"),
		m.is(s, false), func() error { return m.insert(0) }, m.is(s, true),
		s.soldAt(s.here, "F6"),

		func() error { return s.spent(before, 2*lunch+noodles+side+drink) },
		func() error { s.aside = lunch; return nil },
	)
}

// noodles are what the second key of the till costs.
const noodles = 14 * money.Yuan

// The SAM's instructions at which it is pulled.
const (
	initPurchase = 0x70 // it is asked for MAC1
	checkMAC2    = 0x72 // the card has been debited, and it is asked whether that is true
)

// psam is the PSAM of the stage's terminal, in the second slot of its pcscd.
type psam struct {
	module *sam.Software
	slot   *pcsc.Device
	addr   string
	done   sync.WaitGroup
	conn   net.Conn // nil: it was pulled
}

// withPSAM starts the till anew with the keys that were in its file in a slot.
func (s *stage) withPSAM() (*psam, error) {
	keys, err := os.ReadFile(s.stack.File("terminal.sam"))
	if err != nil {
		return nil, err
	}
	file, err := pboc.ParseSAMFile(keys)
	if err != nil {
		return nil, err
	}
	m := &psam{addr: s.stack.Service.Addr(1),
		slot: pcsc.New(pcsc.Options{Reader: s.stack.Service.Reader(1), Timeout: seeMax})}
	if m.module, err = sam.Open(s.stack.File("terminal.sam"), file.Terminal); err != nil {
		return nil, err
	}
	if err := errors.Join(m.insert(0), m.is(s, true)()); err != nil {
		return nil, err
	}
	path := s.stack.File("terminal.toml")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	slot := fmt.Appendf(nil, "kind = \"pcsc\"\nname = %q", s.stack.Service.Reader(1))
	if err := os.WriteFile(path, bytes.Replace(text, []byte(`kind = "file"`), slot, 1), 0o600); err != nil {
		return nil, err
	}
	return m, errors.Join(s.here.terminal.Stop(), s.restart())
}

// is waits until pcscd says whether there is a card in the slot.
func (m *psam) is(s *stage, there bool) func() error {
	return func() error {
		ctx, stop := context.WithTimeout(s.ctx, seeMax)
		defer stop()
		for last := (reader.State{}); ; {
			now, err := m.slot.Wait(ctx, last)
			if err != nil || now.Connected && now.Card == there {
				return err
			}
			last = now
		}
	}
}

// insert puts the PSAM into its slot, from where it is pulled when it is asked for an
// instruction, or not for 0.
func (m *psam) insert(pullAt byte) error {
	conn, err := net.Dial("tcp", m.addr)
	if err != nil {
		return err
	}
	m.conn = conn
	m.done.Go(func() {
		defer conn.Close()
		card := vpcd.Conn{Conn: conn}
		for {
			frame, err := card.ReadFrame()
			var answer []byte
			switch {
			case err != nil, len(frame) > 1 && pullAt != 0 && frame[1] == pullAt:
				return
			case len(frame) > 1:
				answer, err = m.module.Transmit(frame)
			case frame[0] == vpcd.ControlATR:
				answer = []byte{0x3B, 0x60, 0x00, 0x00} // T=0, no historical bytes
			default:
				continue
			}
			if err != nil || card.WriteFrame(answer) != nil {
				return
			}
		}
	})
	return nil
}

// pull pulls the PSAM out, if it is in.
func (m *psam) pull() error {
	if m.conn == nil {
		return nil
	}
	err := m.conn.Close()
	m.conn = nil
	m.done.Wait()
	if errors.Is(err, net.ErrClosed) { // it was pulled by what it was asked
		return nil
	}
	return err
}
