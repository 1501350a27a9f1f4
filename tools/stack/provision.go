package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"

	"quancun/lab/alipay"
	"quancun/lab/breaker"
	"quancun/lab/portrait"
)

// provision makes what the programs need before their first start: the
// upstream's data with demonstration holders, and their cards. What an earlier
// run made, it keeps.
func (s *Stack) provision(ctx context.Context) error {
	if err := os.WriteFile(s.File("terminal.toml"), s.terminalConfig(s.own()), 0o600); err != nil {
		return err
	}
	if err := s.readdress(); err != nil {
		return err
	}
	if _, err := os.Stat(s.File("cards.json")); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	s.Tell("opening the demonstration accounts")
	if _, err := s.Campusd(ctx, "demo", "--cards", s.File("cards.json")); err != nil {
		return err
	}
	return s.portray(ctx)
}

// portray gives the demonstration's holders faces, and so photos for tills to show.
func (s *Stack) portray(ctx context.Context) error {
	cards, err := s.Cards()
	if err != nil {
		return err
	}
	folder := s.File("photos")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	for _, c := range cards {
		var b bytes.Buffer
		if err := png.Encode(&b, portrait.Draw(c.HolderNo)); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, c.HolderNo+".png"), b.Bytes(), 0o600); err != nil {
			return err
		}
	}
	_, err = s.Campusd(ctx, "holder", "photos", folder)
	return err
}

// Campusd runs a command of the upstream's to its end, on the stack's books, and
// returns what it printed.
func (s *Stack) Campusd(ctx context.Context, args ...string) ([]byte, error) {
	if s.Database != "" {
		line := fmt.Appendf(nil, "database = %q\n", s.Database)
		if err := os.WriteFile(s.File("database.toml"), line, 0o600); err != nil {
			return nil, err
		}
		args = append(args, "--config", s.File("database.toml"))
	}
	return output(exec.CommandContext(ctx, filepath.Join(s.Bin, "campusd"),
		append(args, "--data", s.File("upstream"))...))
}

func output(cmd *exec.Cmd) ([]byte, error) {
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w\n%s", filepath.Base(cmd.Path), cmd.Args[1], err, out)
	}
	return out, err
}

// enrol makes t a terminal, as an admin does: with a code from the upstream,
// which has to be there.
func (s *Stack) enrol(ctx context.Context, t terminal) error {
	if _, err := os.Stat(t.file("terminal.pem")); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	s.Tell("enrolling terminal " + t.name)
	out, err := s.Campusd(ctx, "terminal", "add", t.name, "--address", s.UpstreamAddr)
	if err != nil { // an earlier run has come as far as this
		out, err = s.Campusd(ctx, "terminal", "reset", t.name, "--address", s.UpstreamAddr)
	}
	if err != nil {
		return err
	}
	code := enrolmentCode.Find(out)
	if code == nil {
		return fmt.Errorf("campusd has printed no enrolment code: %s", out)
	}
	_, err = output(exec.CommandContext(ctx, s.TerminalPath,
		"enrol", "--config", t.file("terminal.toml"), "--code", string(code)))
	return err
}

// phoneAccounts are the demonstration's holders who have a phone.
var phoneAccounts = []string{"2026000101", "2026000102"}

// bindPhones makes phones virtual cards, as a holder does: with a code from the
// upstream.
func (s *Stack) bindPhones(ctx context.Context) error {
	for _, account := range phoneAccounts {
		if _, err := os.Stat(s.File("phones/" + account + ".phone")); !errors.Is(err, os.ErrNotExist) {
			continue
		}
		s.Tell("binding the phone of account " + account)
		out, err := s.Campusd(ctx, "phone", "invite", account, "--address", s.UpstreamAddr)
		if err != nil {
			return err
		}
		ticket := enrolmentCode.Find(out)
		if ticket == nil {
			return fmt.Errorf("campusd has printed no code for a phone: %s", out)
		}
		_, err = output(exec.CommandContext(ctx, filepath.Join(s.Bin, "campuslab"),
			"phone", "bind", string(ticket), "--dir", s.File("phones")))
		if err != nil {
			return err
		}
	}
	return nil
}

var enrolmentCode = regexp.MustCompile(`quancun://\S+`)

// upstreamConfig writes the upstream's configuration. It needs the keys that
// the lab has made, since the lab is the payment channel.
func (s *Stack) upstreamConfig() error {
	private, err := s.find("lab", "app_private.pem")
	if err != nil {
		return err
	}
	public, err := s.find("lab", "alipay_public.pem")
	if err != nil {
		return err
	}
	database := ""
	if s.Database != "" {
		database = fmt.Sprintf("database = %q\n", s.Database)
	}
	text := fmt.Appendf(nil, `# Written by tools/stack at each start.
%s[school]
zh = "示范大学"
en = "Example University"

[policy]
pay_seconds = %d

[codes]
school = 31

[alipay]
app_id = %q
private_key_file = %q
alipay_public_key_file = %q
gateway = "http://%s/gateway.do"
notify_url = "http://%s/alipay/notify"
`, database, s.PaySeconds, alipay.AppID, private, public, s.AlipayAddr, s.NotifyAddr)
	text = append(text, s.billers()...)
	return os.WriteFile(s.File("campusd.toml"), text, 0o600)
}

// billers returns the part of the upstream's configuration that names the lab's
// vendors: each with the one certificate that it may show, and the key that its
// requests are signed with, which the lab has made.
func (s *Stack) billers() []byte {
	network, meters := s.File("lab/network"), s.File("lab/electricity")
	return fmt.Appendf(nil, `
[network]
no_account_codes = [10401] # of the lab
address = "https://%s"
certificate_file = %q

[electricity]
wire = "rest"
address = "https://%s"
certificate_file = %q
key_file = %q
`, s.NetworkAddr, filepath.Join(network, breaker.CertificateFile),
		s.ElectricityAddr, filepath.Join(meters, breaker.CertificateFile), filepath.Join(meters, breaker.KeyFile))
}

// find returns the path of the file called name somewhere below dir.
func (s *Stack) find(dir, name string) (found string, err error) {
	err = filepath.WalkDir(s.File(dir), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == name {
			found = path
			return fs.SkipAll
		}
		return err
	})
	if err == nil && found == "" {
		err = fmt.Errorf("no %s in %s", name, s.File(dir))
	}
	return found, err
}

// terminalConfig returns the configuration of t.
func (s *Stack) terminalConfig(t terminal) []byte {
	name, printer := "", ""
	if s.Service != nil {
		name = s.Service.Reader(t.slot)
	}
	if s.Printer {
		printer = "tcp:" + s.PrinterAddr
	}
	return fmt.Appendf(nil, `# Written by tools/stack at each start.
terminal = %q
journal = %q
face = %q

[reader]
kind = %q
listen = %q
name = %q

[panel]
width_px = %d
height_px = %d
width_mm = %d
full_screen = %t

[till]
merchant = "canteen-1"
place = "第一食堂 3 号窗"
operator = "c7"
operator_name = "王师傅"
product = [
	{ name = "套餐", price = "12.00", barcode = "CANTEEN-1/LUNCH" },
	{ name = "牛肉面", price = "14.00" }, { name = "盖浇饭", price = "11.00" },
	{ name = "小菜", price = "3.00", barcode = "2000000000015" }, { name = "米饭", price = "0.50" },
	{ name = "豆浆", price = "2.00", barcode = "20000011" },
]

[printer]
address = %q
width_mm = 58

[staff]
sign_in = %t

[sam]
kind = "file"
file = %q
`, t.file("terminal.pem"), t.file("journal.db"), t.face, s.Reader, s.VPCDAddr, name,
		s.Panel.WidthPX, s.Panel.HeightPX, s.Panel.WidthMM, s.Panel.FullScreen, printer, s.SignIn,
		t.file("terminal.sam"))
}

// makeSAM gives a till its SAM, as an admin does.
func (s *Stack) makeSAM(ctx context.Context, t terminal) error {
	if _, err := os.Stat(t.file("terminal.sam")); t.face == "kiosk" || !errors.Is(err, os.ErrNotExist) {
		return nil
	}
	_, err := s.Campusd(ctx, "keys", "sam", t.name, "-o", t.file("terminal.sam"))
	return err
}

// readdress has a terminal that an earlier run provisioned call the upstream
// where it is in this run.
func (s *Stack) readdress() error {
	path := s.File("terminal.pem")
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	line := fmt.Appendf(nil, "address = %q", s.UpstreamAddr)
	return os.WriteFile(path, addressLine.ReplaceAll(text, line), 0o600)
}

var addressLine = regexp.MustCompile(`(?m)^address = .*$`)
