package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"

	"quancun/lab/alipay"
)

// provision makes what the programs need before their first start: the
// upstream's data with demonstration holders, their cards, and the terminal's
// key. What an earlier run made, it keeps.
func (s *Stack) provision(ctx context.Context) error {
	if err := os.WriteFile(s.File("terminal.toml"), s.terminalConfig(), 0o600); err != nil {
		return err
	}
	if err := s.readdress(); err != nil {
		return err
	}
	for _, step := range []struct {
		makes string
		tell  string
		args  []string
	}{
		{"terminal.pem", "provisioning terminal " + Terminal,
			[]string{
				"terminal", "add", Terminal, "--data", s.File("upstream"),
				"--address", s.UpstreamAddr, "--out", s.File("terminal.pem"),
			}},
		{"cards.json", "opening the demonstration accounts",
			[]string{"demo", "--data", s.File("upstream"), "--cards", s.File("cards.json")}},
	} {
		if _, err := os.Stat(s.File(step.makes)); !errors.Is(err, os.ErrNotExist) {
			continue
		}
		s.Tell(step.tell)
		cmd := exec.CommandContext(ctx, filepath.Join(s.Bin, "campusd"), step.args...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", step.tell, err, out)
		}
	}
	return nil
}

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
	text := fmt.Appendf(nil, `# Written by tools/stack at each start.
[school]
zh = "示范大学"
en = "Example University"

[policy]
pay_seconds = %d

[alipay]
app_id = %q
private_key_file = %q
alipay_public_key_file = %q
gateway = "http://%s/gateway.do"
notify_url = "http://%s/alipay/notify"
`, s.PaySeconds, alipay.AppID, private, public, s.AlipayAddr, s.NotifyAddr)
	return os.WriteFile(s.File("campusd.toml"), text, 0o600)
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

// terminalConfig returns the terminal's configuration.
func (s *Stack) terminalConfig() []byte {
	name := ""
	if s.Service != nil {
		name = s.Service.Reader(0)
	}
	return fmt.Appendf(nil, `# Written by tools/stack at each start.
terminal = %q
journal = %q

[reader]
kind = %q
listen = %q
name = %q

[panel]
width_px = %d
height_px = %d
width_mm = %d
full_screen = %t
`, s.File("terminal.pem"), s.File("journal.db"), s.Reader, s.VPCDAddr, name,
		s.Panel.WidthPX, s.Panel.HeightPX, s.Panel.WidthMM, s.Panel.FullScreen)
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
