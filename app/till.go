package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"quancun/kiosk"
	"quancun/kiosk/till"
	"quancun/money"
	"quancun/pboc"
	"quancun/reader/pcsc"
	"quancun/reader/purse"
	"quancun/reader/sam"
	"quancun/reader/scanner"
)

// TillConfig says what a cashier's face sells, and for whom.
type TillConfig struct {
	Merchant string `toml:"merchant"` // account of the upstream that is credited
	Place    string `toml:"place"`    // as the screen calls the till; the merchant if empty

	// Operator sells where nobody signs in with a staff card.
	Operator     string `toml:"operator"`
	OperatorName string `toml:"operator_name"`

	BudgetMS int `toml:"budget_ms"` // that a tap may wait for the upstream

	Products []ProductConfig `toml:"product"`
	Meals    []MealConfig    `toml:"meal"`
}

// ProductConfig is a key of the till.
type ProductConfig struct {
	Name  string `toml:"name"`
	Price string `toml:"price"` // in yuan, such as "12.50"
}

// MealConfig is a time of the day in which everybody pays the same.
type MealConfig struct {
	Name  string `toml:"name"`
	From  string `toml:"from"` // such as "11:00"
	To    string `toml:"to"`
	Price string `toml:"price"`
}

// SAMConfig says which SAM proves the till to the cards.
type SAMConfig struct {
	Kind string `toml:"kind"` // "file", or "pcsc" for a SAM in a slot
	File string `toml:"file"` // from "campusd keys sam"
	Name string `toml:"name"` // pcsc: part of the slot's name
}

// plan reads what the till sells.
func (c TillConfig) plan() (till.Plan, error) {
	p := till.Plan{
		Merchant: c.Merchant, Place: c.Place, Operator: till.Operator{No: c.Operator, Name: c.OperatorName},
	}
	if p.Place == "" {
		p.Place = c.Merchant
	}
	var errs []error
	price := func(s string) money.Fen {
		f, err := money.Parse(s)
		errs = append(errs, err)
		return f
	}
	minute := func(s string) till.Minute {
		m, err := till.ParseMinute(s)
		errs = append(errs, err)
		return m
	}
	for _, x := range c.Products {
		p.Products = append(p.Products, till.Product{Name: x.Name, Price: price(x.Price)})
	}
	for _, m := range c.Meals {
		p.Meals = append(p.Meals, till.Meal{
			Name: m.Name, From: minute(m.From), To: minute(m.To), Price: price(m.Price),
		})
	}
	return p, errors.Join(append(errs, p.Check())...)
}

// openSAM opens the SAM that the configuration names, for the terminal of that
// number. One in a slot that is not there yet is no error: the till says so when
// it is to sell.
func openSAM(c SAMConfig, terminal pboc.TerminalNo) (purse.Card, io.Closer, error) {
	switch c.Kind {
	case "file":
		s, err := sam.Open(c.File, terminal)
		return s, s, err
	case "pcsc":
		s := &sam.Slot{
			Device: pcsc.New(pcsc.Options{Reader: c.Name, Timeout: answerMax}), Terminal: terminal,
		}
		return s, s, nil
	}
	return nil, nil, fmt.Errorf("sam.kind %q is not known", c.Kind)
}

// joinTill makes the flow of a till, and what works beside it.
func (t *terminal) joinTill(j joined, face *tillFace) (*till.Session, error) {
	plan, err := t.config.Till.plan()
	if err != nil {
		return nil, err
	}
	module, closer, err := openSAM(t.config.SAM, j.terms.TerminalNo())
	if err != nil {
		return nil, err
	}
	t.closers = append(t.closers, closer)
	seller := &kiosk.Seller{
		Settler: kiosk.Settler{
			Book: t.book, Issuer: t.client, Profile: j.profile, Terminal: j.terms.TerminalNo(), SAM: module,
		},
		Upstream: t.client, Push: t.pusher, Feeds: t.feeds, Terms: j.terms, Clock: t.clock,
		Budget: time.Duration(t.config.Till.BudgetMS) * time.Millisecond, Log: t.log,
	}
	desk := &till.Desk{
		Device: t.device, Cards: seller, Gate: t.client, Book: t.book, Plan: plan, Profile: j.profile,
		Ways: t.ways(j), Clock: t.clock, Log: t.log,
	}
	if t.config.Staff.SignIn {
		if desk.Staff, err = t.staffDesk(j.keys, face); err != nil {
			return nil, err
		}
	}
	if port := t.config.Scanner.Serial; port != "" {
		serial := scanner.Serial{Port: port, Baud: t.config.Scanner.Baud, Log: t.log}
		t.beside = append(t.beside, face.readScans,
			func(ctx context.Context) error { return serial.Run(ctx, face.scans) })
	}
	return &till.Session{
		Desk: desk, Terms: j.terms, Feeds: t.feeds, Cards: t.cards, Health: t.health, Log: t.log,
	}, nil
}
