package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"quancun/ledger"
	"quancun/money"
)

// labCard is a card as the lab lists it.
type labCard struct {
	Card     string    `json:"card"`
	HolderNo string    `json:"holder_no"`
	Kind     string    `json:"kind"`
	PurseFen money.Fen `json:"purse_fen"`
}

// holdCard gives the person the first card of a kind, and its PIN.
func (s *stage) holdCard(kind string) error {
	cards, err := s.cards()
	if err != nil {
		return err
	}
	var made []struct {
		HolderNo string `json:"holder_no"`
		PIN      string `json:"pin"`
	}
	text, err := os.ReadFile(s.stack.File("cards.json"))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &made); err != nil {
		return err
	}
	for _, c := range cards {
		if c.Kind != kind {
			continue
		}
		s.card, s.account = c.Card, c.HolderNo
		for _, m := range made {
			if m.HolderNo == c.HolderNo {
				s.pin = m.PIN
			}
		}
		return nil
	}
	return fmt.Errorf("the lab has no card of kind %q", kind)
}

func (s *stage) cards() (cards []labCard, err error) {
	r, err := http.Get(s.stack.LabURL() + "/cards")
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return cards, json.Unmarshal(body, &cards)
}

func (s *stage) purse() (money.Fen, error) {
	cards, err := s.cards()
	if err != nil {
		return 0, err
	}
	for _, c := range cards {
		if c.Card == s.card {
			return c.PurseFen, nil
		}
	}
	return 0, fmt.Errorf("the lab has no card %s any more", s.card)
}

// books is an account as the upstream's program prints it.
type books struct {
	BalanceFen money.Fen `json:"balance_fen"`
	Cards      []struct {
		CardNo    string    `json:"card_no"`
		Status    string    `json:"status"`
		MirrorFen money.Fen `json:"mirror_fen"`
		Loads     []struct {
			State string `json:"state"`
		} `json:"loads"`
	} `json:"cards"`
	Orders []struct {
		State     string    `json:"state"`
		AmountFen money.Fen `json:"amount_fen"`
		Late      bool      `json:"late"`
	} `json:"orders"`
	Alarms []any `json:"alarms"`
}

func (s *stage) books() (b books, err error) {
	text, err := s.tool("campusd", "account", s.account, "--data", s.stack.File("upstream"))
	if err != nil {
		return b, err
	}
	return b, json.Unmarshal(text, &b)
}

// mirrors is what the cards that may be used hold, by the books.
func (b books) mirrors() (all []money.Fen) {
	for _, c := range b.Cards {
		if c.Status != "retired" {
			all = append(all, c.MirrorFen)
		}
	}
	return all
}

// agree ends the terminals and checks that card, journals and upstream tell the
// same story, with nothing open and nothing to be alarmed about.
func (s *stage) agree() error {
	for _, w := range s.windows {
		if err := s.settled(w); err != nil {
			return err
		}
	}
	for _, w := range s.windows {
		if err := w.terminal.Stop(); err != nil {
			return fmt.Errorf("stop the terminal: %w", err)
		}
	}
	if _, err := s.tool("campusd", "verify", "--data", s.stack.File("upstream")); err != nil {
		return err
	}
	b, err := s.books()
	if err != nil {
		return err
	}
	purse, err := s.purse()
	if err != nil {
		return err
	}
	mirrors := b.mirrors()
	if len(mirrors) != 1 || purse != b.BalanceFen+s.aside || mirrors[0] != purse {
		return fmt.Errorf("account %s, mirror %+v, purse %s", b.BalanceFen, b.Cards, purse)
	}
	if len(b.Alarms) > 0 {
		return fmt.Errorf("alarms: %v", b.Alarms)
	}
	for _, w := range s.windows {
		report, err := ledger.VerifyFile(s.ctx, w.journal(), ledger.Trust{})
		if err != nil || report.Open != 0 {
			return fmt.Errorf("journal %s: %d open, %w", w.journal(), report.Open, errors.Join(err))
		}
	}
	return nil
}

// settled waits until a terminal's keeper has ended what was left open.
func (s *stage) settled(w *window) error {
	return s.written(w, func(r ledger.Report) bool { return r.Open == 0 })
}

// written waits until a terminal's journal is as ok says.
func (s *stage) written(w *window, ok func(ledger.Report) bool) error {
	var report ledger.Report
	for range 60 {
		var err error
		if report, err = ledger.VerifyFile(s.ctx, w.journal(), ledger.Trust{}); err == nil && ok(report) {
			return nil
		}
		if err := s.pause(pollEvery); err != nil {
			return err
		}
	}
	return fmt.Errorf("journal %s: %d entries, %d open, %d upstream", w.journal(), report.Entries, report.Open,
		report.Acked)
}

const pollEvery = 500 * time.Millisecond

// creditedQuietly waits until the upstream has credited a payment that the
// terminal has not heard of.
func (s *stage) creditedQuietly(before books) error {
	for range 60 {
		b, err := s.books()
		if err != nil {
			return err
		}
		if b.BalanceFen == before.BalanceFen+twenty {
			return nil
		}
		if err := s.pause(pollEvery); err != nil {
			return err
		}
	}
	return errors.New("the payment was never credited")
}
