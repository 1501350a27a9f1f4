package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/BurntSushi/toml"

	"quancun/cmd/campusd/bath"
	"quancun/money"
	"quancun/upstream/alipay"
	"quancun/upstream/biller/setup"
	"quancun/upstream/centre/counter"
	"quancun/upstream/holder"
	"quancun/upstream/ingest"
	"quancun/upstream/lost"
	"quancun/upstream/server"
	"quancun/upstream/store"
)

// config is the file that serve is given. Its paths are relative to it.
type config struct {
	// Database names a PostgreSQL that keeps the books. It may hold a password,
	// so it is never shown.
	Database string `toml:"database"`
	School   struct {
		ZH string `toml:"zh"`
		EN string `toml:"en"`
	} `toml:"school"`
	Policy policy `toml:"policy"`
	// Codes are those of virtual cards.
	Codes codes         `toml:"codes"`
	Baths bath.Settings `toml:"bath"`
	// Keys is where the keys are, if they are in a PKCS #11 token.
	Keys struct {
		Module  string `toml:"module"`
		Slot    uint   `toml:"slot"`
		PINFile string `toml:"pin_file"`
	} `toml:"keys"`
	setup.Config // billers
	Alipay       struct {
		AppID               string `toml:"app_id"`
		PrivateKeyFile      string `toml:"private_key_file"`
		AlipayPublicKeyFile string `toml:"alipay_public_key_file"`
		Gateway             string `toml:"gateway"`
		NotifyURL           string `toml:"notify_url"`
	} `toml:"alipay"`
}

// policy is what the school decides. What it leaves out is as in defaults.
type policy struct {
	TopUpChoices []money.Fen `toml:"top_up_choices_fen"`
	TopUpMin     money.Fen   `toml:"top_up_min_fen"`
	TopUpMax     money.Fen   `toml:"top_up_max_fen"`
	BalanceCap   money.Fen   `toml:"balance_cap_fen"`
	PurseCeiling money.Fen   `toml:"purse_ceiling_fen"`
	PaySeconds   int         `toml:"pay_seconds"`
	CardReserve  money.Fen   `toml:"card_reserve_fen"`
	DailyLimit   money.Fen   `toml:"daily_limit_fen"`

	ReplacementFee money.Fen `toml:"replacement_fee_fen"`
	LossRiskHours  int       `toml:"loss_risk_hours"` // for which a holder bears what is spent in the dark
	HolderFile     int       `toml:"holder_file"`     // short identifier of what cards say of their holder
}

// defaults is a policy of its own each time: what reads a file into it writes
// into its slices.
func defaults() policy {
	return policy{
		TopUpChoices: []money.Fen{
			10 * money.Yuan, 20 * money.Yuan, 30 * money.Yuan, 50 * money.Yuan, 100 * money.Yuan, 200 * money.Yuan,
		},
		TopUpMin:     1 * money.Yuan,
		TopUpMax:     500 * money.Yuan,
		BalanceCap:   1000 * money.Yuan,
		PurseCeiling: 1000 * money.Yuan,
		PaySeconds:   90,
		DailyLimit:   50 * money.Yuan,

		ReplacementFee: 15 * money.Yuan,
		LossRiskHours:  24,
		HolderFile:     0x16,
	}
}

// readConfig reads the file and refuses what it does not understand: a
// misspelt cap would be no cap.
func readConfig(path string) (c config, err error) {
	c.Policy, c.Codes, c.Baths = defaults(), defaultCodes(), bath.Usual()
	meta, err := toml.DecodeFile(path, &c)
	if err != nil {
		return c, fmt.Errorf("read config: %w", err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return c, fmt.Errorf("read config: %s is not a setting", unknown[0])
	}
	dir := filepath.Dir(path)
	for _, p := range []*string{&c.Alipay.PrivateKeyFile, &c.Alipay.AlipayPublicKeyFile, &c.Keys.PINFile} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	c.Config.Resolve(dir)
	if c.Database != "" && !store.IsShared(c.Database) {
		return c, errors.New("read config: database does not start with postgres://")
	}
	if (c.Keys.Module == "") != (c.Keys.PINFile == "") {
		return c, errors.New("read config: keys: a token needs module and pin_file")
	}
	if err := errors.Join(c.Policy.check(), c.Codes.policy().Check(), c.Baths.Check(), c.Config.Check()); err != nil {
		return c, fmt.Errorf("read config: %w", err)
	}
	return c, nil
}

func (p policy) check() error {
	switch {
	case p.TopUpMin <= 0 || p.TopUpMin > p.TopUpMax:
		return errors.New("top_up_min_fen is not between 1 and top_up_max_fen")
	case p.TopUpMax > p.BalanceCap:
		return errors.New("top_up_max_fen is above balance_cap_fen")
	case p.PurseCeiling <= 0 || p.PurseCeiling > 1<<31-1:
		return errors.New("purse_ceiling_fen does not fit on a card")
	case p.PaySeconds < 10 || p.PaySeconds > 600:
		return errors.New("pay_seconds is not between 10 and 600")
	case p.CardReserve < 0 || p.DailyLimit < 0 || p.ReplacementFee < 0:
		return errors.New("card_reserve_fen, daily_limit_fen or replacement_fee_fen is below zero")
	case p.HolderFile < 1 || p.HolderFile > 30:
		return errors.New("holder_file is not between 1 and 30")
	case p.LossRiskHours < 0 || p.LossRiskHours > 31*24:
		return errors.New("loss_risk_hours is not between 0 and 744")
	}
	for _, f := range p.TopUpChoices {
		if f < p.TopUpMin || f > p.TopUpMax {
			return fmt.Errorf("top_up_choices_fen: %d is out of range", f)
		}
	}
	return nil
}

func (p policy) server() server.Policy {
	return server.Policy{
		CardReserve:  p.CardReserve,
		TopUpChoices: p.TopUpChoices, TopUpMin: p.TopUpMin, TopUpMax: p.TopUpMax,
		BalanceCap: p.BalanceCap, PurseCeiling: p.PurseCeiling, Pay: time.Duration(p.PaySeconds) * time.Second,
	}
}

func (p policy) ingest() ingest.Policy {
	return ingest.Policy{CardReserve: p.CardReserve, DailyLimit: p.DailyLimit}
}

func (p policy) counter() counter.Terms {
	return counter.Terms{
		DailyLimit: p.DailyLimit, ReplacementFee: p.ReplacementFee, HolderFile: byte(p.HolderFile),
	}
}

func (p policy) lost() lost.Policy {
	return lost.Policy{Risk: time.Duration(p.LossRiskHours) * time.Hour}
}

// holder is what holders are told of it.
func (c config) holder() holder.Terms {
	return holder.Terms{
		DailyLimit: c.Policy.DailyLimit, CardReserve: c.Policy.CardReserve, PurseCeiling: c.Policy.PurseCeiling,
		BalanceCap: c.Policy.BalanceCap, CodeMax: c.Codes.CodeMax, CodeDayMax: c.Codes.DayMax,
		Phones: c.Codes.School != 0, PhoneAddress: c.Codes.Address,
	}
}

func (c config) alipay() alipay.Config {
	return alipay.Config{
		AppID: c.Alipay.AppID, PrivateKeyFile: c.Alipay.PrivateKeyFile,
		AlipayPublicKeyFile: c.Alipay.AlipayPublicKeyFile, Gateway: c.Alipay.Gateway, NotifyURL: c.Alipay.NotifyURL,
	}
}
