// Package setup makes the billers that a configuration names.
package setup

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"quancun/money"
	"quancun/upstream/biller/electricity"
	"quancun/upstream/biller/service"
	"quancun/upstream/biller/srun"
	"quancun/upstream/biller/vendor"
	"quancun/upstream/channel"
)

// Names of billers, in the books too: never renamed.
const (
	NetworkName     = "network"
	ElectricityName = "electricity"
)

// Amounts are what a holder may choose. What is left out is as in the defaults.
type Amounts struct {
	Default money.Fen `toml:"default_fen"` // 10 yuan
	Min     money.Fen `toml:"min_fen"`     // 1 yuan
	Max     money.Fen `toml:"max_fen"`     // 200 yuan
}

func (a Amounts) orDefault() Amounts {
	return Amounts{
		cmp.Or(a.Default, 10*money.Yuan), cmp.Or(a.Min, 1*money.Yuan), cmp.Or(a.Max, 200*money.Yuan),
	}
}

func (a Amounts) check() error {
	if a = a.orDefault(); a.Min < 1 || a.Min > a.Default || a.Default > a.Max {
		return errors.New("min_fen, default_fen and max_fen do not follow each other")
	}
	return nil
}

// Title is what holders call a biller: where there are several of a kind they choose by
// it, and it is in their records.
type Title struct {
	ZH string `toml:"title"`
	EN string `toml:"title_en"` // "": as the other, where that is set
}

// or is t or, where nobody has said, what is usual.
func (t Title) or(usual Title) Title {
	if t.ZH == "" {
		return Title{usual.ZH, cmp.Or(t.EN, usual.EN)}
	}
	return t
}

// titleMax is how many characters of a title a key at a kiosk has room for.
const titleMax = 40

func (t Title) check() error {
	for _, s := range []string{t.ZH, t.EN} {
		if utf8.RuneCountInString(s) > titleMax || strings.ContainsFunc(s, unicode.IsControl) {
			return fmt.Errorf("title %q is not one line of at most %d characters", s, titleMax)
		}
	}
	return nil
}

// Network is Srun's northbound interface; without an address there is none.
type Network struct {
	Address         string `toml:"address"`          // https://HOST:8001
	CertificateFile string `toml:"certificate_file"` // the one that it may show
	PayType         int    `toml:"pay_type_id"`      // of its console
	Product         bool   `toml:"product"`          // feed the product, and not the wallet
	DuplicateCode   int    `toml:"duplicate_code"`
	NoAccountCodes  []int  `toml:"no_account_codes"`
	Title
	Amounts
}

// Electricity is a vendor of meters; without an address there is none.
type Electricity struct {
	Wire            string `toml:"wire"` // "rest", "synjones" or "wanxiao"
	Address         string `toml:"address"`
	CertificateFile string `toml:"certificate_file"`
	KeyFile         string `toml:"key_file"` // rest: of signatures
	JobNo           string `toml:"job_no"`   // rest
	App             string `toml:"app"`      // synjones: aid
	Account         string `toml:"account"`  // synjones: the card account that it debits
	PayProject      string `toml:"pay_project"`
	SchoolCode      string `toml:"school_code"` // wanxiao
	Title
	Amounts
}

// Config is both.
type Config struct {
	Network     Network     `toml:"network"`
	Electricity Electricity `toml:"electricity"`
}

// Resolve makes paths relative to dir.
func (c *Config) Resolve(dir string) {
	for _, p := range []*string{&c.Network.CertificateFile, &c.Electricity.CertificateFile, &c.Electricity.KeyFile} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}

// Check refuses what cannot work, without a file or a call.
func (c Config) Check() error {
	if err := errors.Join(c.Network.Amounts.check(), c.Network.Title.check()); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	if err := errors.Join(c.Electricity.Amounts.check(), c.Electricity.Title.check()); err != nil {
		return fmt.Errorf("electricity: %w", err)
	}
	if _, ok := wires[c.Electricity.Wire]; c.Electricity.Address != "" && !ok {
		return fmt.Errorf("electricity: %q is no wire", c.Electricity.Wire)
	}
	return nil
}

// Billers are those of a configuration.
type Billers struct {
	Shown      []service.Biller         // to terminals
	Payable    map[string]vendor.Biller // for the desk
	Statements map[string]channel.Statements
}

// Open makes the billers. It makes no call.
func (c Config) Open() (b Billers, err error) {
	b.Payable, b.Statements = map[string]vendor.Biller{}, map[string]channel.Statements{}
	if c.Network.Address != "" {
		if err := b.addNetwork(c.Network); err != nil {
			return Billers{}, fmt.Errorf("network: %w", err)
		}
	}
	if c.Electricity.Address != "" {
		if err := b.addElectricity(c.Electricity); err != nil {
			return Billers{}, fmt.Errorf("electricity: %w", err)
		}
	}
	return b, nil
}

func (b *Billers) addNetwork(c Network) error {
	n, err := srun.New(srun.Config{
		Address: c.Address, CertificateFile: c.CertificateFile, PayType: c.PayType, Product: c.Product,
		DuplicateCode: c.DuplicateCode, NoAccountCodes: c.NoAccountCodes,
	})
	if err != nil {
		return err
	}
	a, t := c.Amounts.orDefault(), c.Title.or(Title{"校园网", "Campus network"})
	b.Payable[NetworkName], b.Statements[NetworkName] = n, n
	b.Shown = append(b.Shown, service.Biller{
		Name: NetworkName, TitleZH: t.ZH, TitleEN: t.EN, Default: a.Default, Min: a.Min, Max: a.Max,
		Network: n, Pays: true,
	})
	return nil
}

// wires make a vendor of meters each.
var wires = map[string]func(Electricity) (electricity.Vendor, error){
	"rest": func(c Electricity) (electricity.Vendor, error) {
		return electricity.NewRest(electricity.RestConfig{
			Address: c.Address, CertificateFile: c.CertificateFile, KeyFile: c.KeyFile, JobNo: c.JobNo,
		})
	},
	"synjones": func(c Electricity) (electricity.Vendor, error) {
		return electricity.NewSynjones(electricity.SynjonesConfig{
			Address: c.Address, CertificateFile: c.CertificateFile, App: c.App, Account: c.Account,
		})
	},
	"wanxiao": func(c Electricity) (electricity.Vendor, error) {
		return electricity.NewWanxiao(electricity.WanxiaoConfig{
			Address: c.Address, CertificateFile: c.CertificateFile, PayProject: c.PayProject, School: c.SchoolCode,
		})
	},
}

func (b *Billers) addElectricity(c Electricity) error {
	v, err := wires[c.Wire](c)
	if err != nil {
		return err
	}
	pays, ok := v.(vendor.Biller)
	if ok {
		b.Payable[ElectricityName] = pays
	}
	a, t := c.Amounts.orDefault(), c.Title.or(Title{"电费", "Electricity"})
	b.Shown = append(b.Shown, service.Biller{
		Name: ElectricityName, TitleZH: t.ZH, TitleEN: t.EN, Default: a.Default, Min: a.Min, Max: a.Max,
		Rooms: v, Pays: ok,
	})
	return nil
}
