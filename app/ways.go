package app

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"quancun/app/back"
	"quancun/app/codes"
	"quancun/app/paper"
	"quancun/app/printer"
	"quancun/kiosk"
	"quancun/kiosk/channel"
	"quancun/kiosk/code"
	"quancun/kiosk/dialog"
	"quancun/kiosk/file"
	"quancun/kiosk/gossip"
	"quancun/kiosk/keysheet"
	"quancun/kiosk/staff"
	"quancun/kiosk/till"
	"quancun/paycode"
	"quancun/reader/scanner"
	"quancun/upstream/client"
)

// StaffConfig says whether cashiers sign in.
type StaffConfig struct {
	SignIn       bool   `toml:"sign_in"`       // by staff card and PIN; otherwise till.operator sells
	AtKiosk      bool   `toml:"at_kiosk"`      // face = "both": a staff card on the kiosk leads to the till
	OfflineHours int    `toml:"offline_hours"` // after a sign-in upstream, in which the till may do it alone
	Keep         string `toml:"keep"`          // file of those who may; "staff.keep" beside the journal if empty
}

// ScannerConfig says where codes are read. A scanner that types as a keyboard
// does needs no setting.
type ScannerConfig struct {
	Serial string `toml:"serial"` // such as /dev/ttyACM0; none if empty
	Baud   int    `toml:"baud"`
}

// keys is the sheet of codes that are a till's keys. Its secret lies beside the
// journal.
func (c *Config) keys(terminal string) keysheet.Sheet {
	return keysheet.Sheet{File: filepath.Join(filepath.Dir(c.Journal), "till.codes"), Terminal: terminal}
}

// tillCodes writes the sheet of codes by which a scanner alone works a till. It may be
// asked beside a terminal at work, which takes the newest sheet's codes at once.
func tillCodes(args []string, out io.Writer) error {
	f := flag.NewFlagSet("till-codes", flag.ContinueOnError)
	config := f.String("config", DefaultConfig, "terminal's configuration")
	to := f.String("o", "till-codes.pdf", "file that is written, to be printed on A4")
	anew := f.Bool("new", false, "make another sheet: what was printed before ends at once, such as when it was lost")
	if err := f.Parse(args); err != nil {
		return usageError(err)
	}
	c, err := ReadConfig(*config)
	if err != nil {
		return err
	}
	if !c.sells() {
		return fmt.Errorf("%s: a kiosk has no keys that a scanner could press", *config)
	}
	plan, err := c.Till.plan()
	if err != nil {
		return err
	}
	who, err := client.ReadProvisioning(c.Terminal)
	if err != nil {
		return err
	}
	sheet := codes.Sheet{Keys: c.keys(who.Terminal), Products: plan.Products, Place: plan.Place, At: time.Now()}
	there, err := sheet.Keys.Exists()
	if err != nil && !*anew {
		return err
	}
	if !there || *anew {
		if err := sheet.Keys.Renew(); err != nil {
			return err
		}
	}
	page, err := sheet.PDF()
	if err != nil {
		return err
	}
	if err := file.Replace(*to, page); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s: print it, and keep it from customers' eyes\n", *to)
	return err
}

// PrinterConfig is where receipts come out.
type PrinterConfig struct {
	Address  string `toml:"address"`  // such as "usb:/dev/usb/lp0" or "tcp:192.168.1.20:9100"; none if empty
	WidthMM  int    `toml:"width_mm"` // of the paper: 58 or 80
	Drawer   bool   `toml:"drawer"`   // a cash drawer is plugged into it
	Receipts string `toml:"receipts"` // folder for what is not printed yet; "receipts" beside the journal if empty
}

// widths are the printer's columns, by the width of the paper in millimetres.
var widths = map[int]printer.Width{58: printer.Paper58, 80: printer.Paper80}

func (c PrinterConfig) check() error {
	if c.Address == "" {
		return nil
	}
	var errs []error
	if err := printer.CheckAddress(c.Address); err != nil {
		errs = append(errs, fmt.Errorf("printer.address: %w", err))
	}
	if widths[c.WidthMM] == 0 {
		errs = append(errs, errors.New("printer.width_mm: 58 or 80"))
	}
	return errors.Join(errs...)
}

// advice is how to mend a printer, by what it says.
var advice = map[error]string{
	printer.ErrPaper:   "put a new roll in",
	printer.ErrCover:   "close its cover",
	printer.ErrOffline: "look at its lights: its manual says what they mean",
	printer.ErrAway:    "is it switched on? The user needs the group lp for USB, dialout for a serial line",
}

// examine says how the printer is. A till sells without one.
func (c PrinterConfig) examine() finding {
	const name = "printer"
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	s, err := (&printer.Printer{Address: c.Address, Width: widths[c.WidthMM]}).Status(ctx)
	if err == nil {
		err = s.Err()
	}
	switch {
	case err != nil:
		mend := cmp.Or(advice[err], "look at printer.address")
		return finding{name, fmt.Sprintf("%s: %v", c.Address, err), mend, true}
	case s.Paper == printer.PaperLow:
		return finding{name, c.Address + ": paper is low", "have a new roll ready", true}
	}
	return finding{name, c.Address, "", false}
}

// ways are the ways of paying by a code.
func (t *terminal) ways(j joined, wallet *channel.Seller) []till.Way {
	return []till.Way{t.takeCodes(j), {
		Kind: till.ByAlipay, Online: true, Seller: wallet,
		Takes: func(code string) bool { return scanner.KindOf(code) == scanner.Alipay },
	}}
}

// staffPatience is how long the upstream may take to check a member's PIN.
const staffPatience = 5 * time.Second

// staffDesk is where cashiers sign in.
func (t *terminal) staffDesk(keys client.Keys, face *tillFace) (*staff.Desk, error) {
	secret, err := staff.Secret(keys.Journal)
	if err != nil {
		return nil, err
	}
	keep, err := staff.OpenKeep(t.config.Staff.Keep, secret)
	if err != nil {
		return nil, err
	}
	d := staff.NewDesk(staff.Config{
		Upstream: t.client, Book: t.book, Keep: keep, Patience: staffPatience, Now: t.clock.Now, Log: t.log,
		Offline: time.Duration(t.config.Staff.OfflineHours) * time.Hour,
	})
	face.knows = keep.Knows
	t.beside = append(t.beside, func(ctx context.Context) error { return t.refreshStaff(ctx, d, face) })
	return d, nil
}

// refreshEvery is how soon a member who was revoked can sell no more.
const refreshEvery = time.Minute

// refreshStaff asks what has become of members until ctx ends, and locks a till
// at which nobody is signed in any more as soon as no sale is under way.
func (t *terminal) refreshStaff(ctx context.Context, d *staff.Desk, face *tillFace) error {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		if err := d.Refresh(ctx); err != nil && ctx.Err() == nil {
			t.log.Info("staff was not refreshed", "err", err)
		}
		if d.Current().No == "" && !face.away.Load() {
			face.send(till.Input{Event: till.Lock}) // which means nothing to a till that is locked
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// GossipConfig says how tills on one network tell each other which codes they
// have taken.
type GossipConfig struct {
	Listen string   `toml:"listen"` // UDP: a multicast group's address, or this machine's own; none if empty
	Peers  []string `toml:"peers"`  // the neighbours' addresses, if it is no group
}

// takeCodes returns the way of paying by a virtual card's code.
func (t *terminal) takeCodes(j joined) till.Way {
	s := &code.Seller{
		Book: t.book, Upstream: t.client, Push: t.pusher, Feeds: t.feeds, Rules: j.terms.Rules, Now: t.clock.Now,
		Ahead: t.clock.Drift, Budget: time.Duration(t.config.Till.BudgetMS) * time.Millisecond, Log: t.log,
	}
	if c := t.config.Gossip; c.Listen != "" {
		who := t.renewer.Papers
		circle := gossip.New(gossip.Config{
			Key: t.renewer.Keys.Journal, Paper: who.JournalCertificate, Campus: who.CampusKey,
			Now: t.clock.Now, Log: t.log,
		})
		s.Neighbours = circle
		t.beside = append(t.beside, func(ctx context.Context) error { return circle.Keep(ctx, c.Listen, c.Peers) })
	}
	return till.Way{Kind: till.ByCode, Takes: paycode.Ours, Same: paycode.SamePhone, Seller: s}
}

// paperEvery is how often the printer is looked at for receipts that wait.
const paperEvery = 10 * time.Second

// printer is the terminal's printer, whoever prints there; nil: there is none.
func (t *terminal) printer() *printer.Printer {
	c := t.config.Printer
	if c.Address == "" {
		return nil
	}
	return &printer.Printer{Address: c.Address, Width: widths[c.WidthMM]}
}

// holdersPaper is where what came of a holder's service is printed; nil: nowhere.
func (t *terminal) holdersPaper(cashiers *tillFace, terms *kiosk.Terms) (dialog.Paper, error) {
	p := t.printer()
	if cashiers.clerk != nil {
		p = cashiers.clerk.Desk.Printer // one at a time speaks to it
	}
	if p == nil {
		return nil, nil
	}
	return back.HoldersPaper(p, back.Site{Terminal: terms.Terminal(), Place: terms.Place}, t.clock.Now)
}

// openPrinter returns who prints receipts, or nil if there is no printer.
func (t *terminal) openPrinter(plan till.Plan) (*paper.Clerk, error) {
	c := t.config.Printer
	if c.Address == "" {
		return nil, nil
	}
	if c.Receipts == "" {
		c.Receipts = filepath.Join(filepath.Dir(t.config.Journal), "receipts")
	}
	tray, err := printer.OpenTray(c.Receipts, t.clock.Now)
	if tray == nil {
		return nil, err
	}
	if err != nil {
		t.log.Error("some kept receipts are not read", "err", err)
	}
	clerk := (&paper.Clerk{
		Book: t.book, Words: printer.Chinese, Certificate: t.renewer.Papers.JournalCertificate,
		Issuer: printer.Issuer{Merchant: plan.Place, Terminal: t.renewer.Papers.Terminal},
		Desk: &printer.Desk{
			Printer: t.printer(), Tray: tray,
			Marks: printer.Chinese.Marks,
		},
		Every: paperEvery, Told: make(chan till.Printer, 1), Log: t.log,
	}).Start()
	t.beside = append(t.beside, clerk.Run)
	return clerk, nil
}
