package app

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"

	"quancun/app/audio"
	"quancun/app/identity"
	"quancun/reader/profile"
)

// Config is a terminal's configuration file. Paths in it are relative to the
// file's own folder.
type Config struct {
	Terminal string `toml:"terminal"` // provisioning file, from "quancun enrol"
	Journal  string `toml:"journal"`  // SQLite file; made if absent
	Mirror   string `toml:"mirror"`   // file on a second medium, for what upstream does not have yet; none if empty
	Feeds    string `toml:"feeds"`    // SQLite file, made if absent; "feeds.db" beside the journal if empty
	Profile  string `toml:"profile"`  // card profile; the common one if empty
	Face     string `toml:"face"`     // "kiosk", or "cashier" for a till; a kiosk if empty

	Keys   KeysConfig   `toml:"keys"`
	Reader ReaderConfig `toml:"reader"`
	Panel  PanelConfig  `toml:"panel"`
	Help   HelpConfig   `toml:"help"`

	Till TillConfig `toml:"till"` // of the cashier's face
	SAM  SAMConfig  `toml:"sam"`

	Gossip  GossipConfig  `toml:"gossip"` // of the cashier's face
	Staff   StaffConfig   `toml:"staff"`
	Scanner ScannerConfig `toml:"scanner"`
	PINPad  PINPadConfig  `toml:"pinpad"`
	Printer PrinterConfig `toml:"printer"`
	Sound   SoundConfig   `toml:"sound"`
}

// The faces.
const (
	kioskName   = "kiosk"
	cashierName = "cashier"
	bothName    = "both" // a kiosk that is a till while one of the staff is signed in
)

// KeysConfig says where the machine keeps the terminal's own keys.
type KeysConfig struct {
	File string `toml:"file"` // beside the provisioning file if empty
	TPM  string `toml:"tpm"`  // device of a TPM 2.0, without which the file is worth nothing; none if empty
}

// ReaderConfig says where cards are laid down.
type ReaderConfig struct {
	Kind   string `toml:"kind"`   // "pcsc", or "vpcd" for virtual cards without pcscd
	Name   string `toml:"name"`   // pcsc: part of the reader's name; the first reader if empty
	Listen string `toml:"listen"` // vpcd: loopback address that virtual cards dial
}

// PanelConfig is the screen as it hangs on the wall.
type PanelConfig struct {
	WidthPX    int  `toml:"width_px"`
	HeightPX   int  `toml:"height_px"`
	WidthMM    int  `toml:"width_mm"` // measured; panels lie about it
	FullScreen bool `toml:"full_screen"`
	HideCursor bool `toml:"hide_cursor"`
}

// HelpConfig is where a person is sent who needs one.
type HelpConfig struct {
	Phone string `toml:"phone"`
}

// SoundConfig says what is said aloud, and where sound comes out. Devices are called
// as ALSA calls them.
type SoundConfig struct {
	Speech bool `toml:"speech"` // pages are read aloud to who asks for it
	Till   bool `toml:"till"`   // a till says how each sale ended

	Loudspeaker string `toml:"loudspeaker"`
	Headphones  string `toml:"headphones"` // nothing private is said without them; none if empty
	Jack        string `toml:"jack"`       // who knows that they are there: part of an input device's name, or a path
	Rate        int    `toml:"rate"`       // words a minute
}

func (c SoundConfig) check() error {
	switch {
	case c.Rate < 80 || c.Rate > 450: // espeak-ng's own limits
		return errors.New("sound.rate: between 80 and 450 words a minute")
	case c.Headphones != "" && c.Jack == "":
		return errors.New("sound.jack: name the switch that says whether headphones are plugged in")
	}
	return nil
}

func (c SoundConfig) port() audio.Config {
	return audio.Config{Loudspeaker: c.Loudspeaker, Headphones: c.Headphones, Jack: c.Jack, Rate: c.Rate}
}

// DefaultConfig is where an installed terminal has its configuration.
const DefaultConfig = "/etc/quancun/terminal.toml"

// ReadConfig reads and checks the configuration at path. A key that it does
// not know is an error: a misspelt setting must not look like one that took.
func ReadConfig(path string) (*Config, error) {
	c := &Config{
		Face:    kioskName,
		Till:    TillConfig{BudgetMS: 300}, // design 2, rule 3: a tap takes less than a second
		Staff:   StaffConfig{OfflineHours: 72},
		PINPad:  PINPadConfig{Fallback: true},
		Printer: PrinterConfig{WidthMM: 80},
		Sound:   SoundConfig{Loudspeaker: "default", Rate: 160},
		Reader:  ReaderConfig{Kind: "pcsc", Listen: "127.0.0.1:35963"},
		Panel:   PanelConfig{WidthPX: 1080, HeightPX: 1920, WidthMM: 268, FullScreen: true},
	}
	meta, err := toml.DecodeFile(path, c)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return nil, fmt.Errorf("configuration %s: unknown keys %v", path, unknown)
	}
	if c.Keys.File == "" {
		c.Keys.File = strings.TrimSuffix(c.Terminal, filepath.Ext(c.Terminal)) + ".keys"
	}
	if c.Feeds == "" && c.Journal != "" {
		c.Feeds = filepath.Join(filepath.Dir(c.Journal), "feeds.db")
	}
	if c.Staff.Keep == "" && c.Journal != "" {
		c.Staff.Keep = filepath.Join(filepath.Dir(c.Journal), "staff.keep")
	}
	if c.Till.Reports == "" && c.Journal != "" {
		c.Till.Reports = filepath.Join(filepath.Dir(c.Journal), "reports")
	}
	for _, p := range []*string{
		&c.Terminal, &c.Journal, &c.Mirror, &c.Feeds, &c.Profile, &c.Keys.File, &c.SAM.File, &c.Staff.Keep,
		&c.Printer.Receipts, &c.Till.Reports, &c.Till.Media,
	} {
		switch {
		case filepath.IsAbs(*p):
			*p = filepath.Clean(*p)
		case *p != "":
			*p = filepath.Join(filepath.Dir(path), *p)
		}
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	return c, nil
}

func (c *Config) check() error {
	var errs []error
	check := func(ok bool, text string) {
		if !ok {
			errs = append(errs, errors.New(text))
		}
	}
	check(c.Terminal != "", "terminal: name the provisioning file")
	check(c.Journal != "", "journal: name the journal's file")
	check(c.Mirror == "" || c.Mirror != c.Journal && c.Mirror != c.Feeds, "mirror: a file on another medium")
	check(c.Reader.Kind == "pcsc" || c.Reader.Kind == "vpcd", `reader.kind: "pcsc" or "vpcd"`)
	check(c.Panel.WidthPX >= 640 && c.Panel.HeightPX >= 640, "panel: at least 640 by 640 pixels")
	check(c.Panel.WidthMM >= 100, "panel.width_mm: measure the panel, in millimetres")
	if _, err := profile.Read(c.Profile); err != nil {
		errs = append(errs, err)
	}
	check(c.Face == kioskName || c.sells(), `face: "kiosk", "cashier" or "both"`)
	check(c.Face != bothName || c.Staff.SignIn, "staff.sign_in: a kiosk is a till only for who signs in")
	check(c.Face == bothName || !c.Staff.AtKiosk, `staff.at_kiosk: only with face = "both"`)
	check(c.PINPad.Device == "" || c.sells(), "pinpad: it is a till's; a kiosk's keypad types as a keyboard does")
	errs = append(errs, c.Printer.check(), c.Sound.check())
	if c.sells() {
		_, err := c.Till.plan()
		errs = append(errs, err)
		check(c.SAM.Kind == "file" && c.SAM.File != "" || c.SAM.Kind == "pcsc",
			`sam: kind "file" and a file, or "pcsc"`)
		check(!c.Staff.SignIn || c.Staff.OfflineHours >= 0 && c.Staff.OfflineHours <= 24*31,
			"staff.offline_hours: between 0 and 744")
		check(c.Till.BudgetMS > 0 && c.Till.BudgetMS <= 5000, "till.budget_ms: between 1 and 5000")
	}
	return errors.Join(errs...)
}

// sells reports whether there is a till.
func (c *Config) sells() bool { return c.Face == cashierName || c.Face == bothName }

func (c KeysConfig) identity() identity.Config { return identity.Config{File: c.File, TPM: c.TPM} }
