package app

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"quancun/money"
	"quancun/reader"
	"quancun/reader/profile"
	"quancun/reader/purse"
)

// cardReport is what "quancun card" prints. Amounts are in fen.
type cardReport struct {
	ATR       string    `json:"atr"`
	UID       string    `json:"uid,omitempty"`
	CardNo    string    `json:"card_no"`
	Name      string    `json:"name,omitempty"`
	HolderNo  string    `json:"holder_no,omitempty"`
	Enabled   bool      `json:"enabled"`
	Start     string    `json:"start,omitempty"`
	Expiry    string    `json:"expiry,omitempty"`
	Valid     bool      `json:"valid_today"`
	Why       string    `json:"why,omitempty"` // it is not valid
	PurseFen  money.Fen `json:"purse_fen"`
	Log       []logLine `json:"log"`
	LogHidden string    `json:"log_hidden,omitempty"` // why there is none
}

type logLine struct {
	At        string    `json:"at"` // YYYYMMDDhhmmss
	Type      byte      `json:"type"`
	AmountFen money.Fen `json:"amount_fen"`
	Terminal  string    `json:"terminal"`
	Counter   uint16    `json:"counter"`
}

// card prints the card on the reader. Names and numbers are masked unless
// asked for whole, because what an admin prints ends up in a ticket.
func card(args []string, out io.Writer) error {
	f := flag.NewFlagSet("card", flag.ContinueOnError)
	config := f.String("config", "", "terminal's configuration; without one, the first PC/SC reader")
	name := f.String("reader", "", "part of the reader's name")
	wait := f.Duration("wait", 10*time.Second, "how long to wait for a card")
	whole := f.Bool("whole", false, "print names and numbers unmasked")
	if err := f.Parse(args); err != nil {
		return usageError(err)
	}
	c := &Config{Reader: ReaderConfig{Kind: "pcsc"}}
	if *config != "" {
		var err error
		if c, err = ReadConfig(*config); err != nil {
			return err
		}
	}
	if *name != "" {
		c.Reader.Name = *name
	}
	p, err := profile.Read(c.Profile)
	if err != nil {
		return err
	}
	device, err := openDevice(c.Reader)
	if err != nil {
		return err
	}
	defer device.Close()
	report, err := readCard(device, p, *wait)
	if err != nil {
		return err
	}
	if !*whole {
		report.mask()
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(report)
}

func readCard(device reader.Device, p *profile.Profile, wait time.Duration) (*cardReport, error) {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	var state reader.State
	for !state.Card {
		var err error
		if state, err = device.Wait(ctx, state); err != nil {
			if ctx.Err() != nil {
				return nil, errors.New("no card was laid down in time")
			}
			return nil, err
		}
	}
	card, err := device.Connect()
	if err != nil {
		return nil, err
	}
	defer card.Close()
	info, err := purse.Open(card, p)
	if err != nil {
		return nil, err
	}
	r := &cardReport{
		ATR: hex.EncodeToString(card.ATR()), UID: info.UID, CardNo: info.CardNo.Full(),
		Name: info.Name, HolderNo: info.HolderNo, Enabled: info.Enabled,
		Start: info.Start.String(), Expiry: info.Expiry.String(), PurseFen: info.Balance, Log: []logLine{},
	}
	if err := info.Check(purse.DateOf(time.Now())); err != nil {
		r.Why = err.Error()
	}
	r.Valid = r.Why == ""
	records, err := purse.ReadHistory(card, p)
	if err != nil {
		r.LogHidden = err.Error()
	}
	for _, l := range records {
		r.Log = append(r.Log, logLine{hex.EncodeToString(l.At[:]), l.Type, l.Amount, l.Terminal.String(), l.Counter})
	}
	return r, nil
}

func (r *cardReport) mask() {
	r.CardNo = "…" + r.CardNo[len(r.CardNo)-4:]
	r.UID = ""
	if name := []rune(r.Name); len(name) > 0 {
		r.Name = string(name[0]) + "…"
	}
	if n := len(r.HolderNo); n > 2 {
		r.HolderNo = "…" + r.HolderNo[n-2:]
	}
}

// usageError keeps "-h" and a mistake apart.
func usageError(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	return fmt.Errorf("%w: %w", errUsage, err)
}
