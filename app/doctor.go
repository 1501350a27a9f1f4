package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"quancun/app/audio"
	"quancun/ledger"
	"quancun/ledger/feed"
	"quancun/reader"
	"quancun/ui/speech"
	"quancun/ui/text"
	"quancun/upstream/client"
)

// finding is what one check found: how things are and, unless that is good,
// how to mend it.
type finding struct {
	name string
	is   string
	mend string // empty: good
	warn bool   // works without it
}

// errSick means that a check found something that keeps the terminal from
// working.
var errSick = errors.New("this machine is not ready; the lines marked FIX say what to do")

// doctor says what is missing on this machine. It changes nothing and may run
// beside a working terminal.
func doctor(args []string, out io.Writer) error {
	f := flag.NewFlagSet("doctor", flag.ContinueOnError)
	config := f.String("config", DefaultConfig, "terminal's configuration")
	aloud := f.Bool("say", false, "say a sentence on each device for sound, too")
	if err := f.Parse(args); err != nil {
		return usageError(err)
	}
	if *aloud {
		c, err := ReadConfig(*config)
		if err != nil {
			return err
		}
		if err := c.Sound.say(context.Background()); err != nil {
			return err
		}
	}
	sick := false
	for _, found := range examine(*config) {
		mark := "ok  "
		switch {
		case found.mend != "" && found.warn:
			mark = "warn"
		case found.mend != "":
			mark, sick = "FIX ", true
		}
		fmt.Fprintf(out, "%s  %-13s %s\n", mark, found.name, found.is)
		if found.mend != "" {
			fmt.Fprintf(out, "      %-13s → %s\n", "", found.mend)
		}
	}
	if sick {
		return errSick
	}
	return nil
}

func examine(config string) []finding {
	all := []finding{libraries(), display(), sound()}
	c, err := ReadConfig(config)
	if err != nil {
		const mend = "write it; packaging/terminal.toml is an example"
		return append(all, finding{"configuration", err.Error(), mend, false})
	}
	all = append(all, finding{"configuration", config, "", false}, panel(c.Panel), cardReader(c.Reader),
		journalFile(c), queue(c.Journal), feeds(c.Feeds))
	if c.Mirror != "" {
		all = append(all, mirrored(c.Journal, c.Mirror))
	}
	if c.Printer.Address != "" {
		all = append(all, c.Printer.examine())
	}
	if c.PINPad.Device != "" {
		all = append(all, c.PINPad.examine())
	}
	if c.Sound.Speech || c.Sound.Till {
		all = append(all, c.Sound.examine()...)
	}
	return append(all, upstream(c)...)
}

// xLibraries are loaded by name while the program runs, so that no package
// manager knows of them, with the Debian packages that hold them.
var xLibraries = [][2]string{
	{"libGL.so.1", "libgl1"}, {"libX11.so.6", "libx11-6"}, {"libXcursor.so.1", "libxcursor1"},
	{"libXrandr.so.2", "libxrandr2"}, {"libXinerama.so.1", "libxinerama1"}, {"libXi.so.6", "libxi6"},
	{"libXxf86vm.so.1", "libxxf86vm1"}, {"libXext.so.6", "libxext6"}, {"libXrender.so.1", "libxrender1"},
}

func libraries() finding {
	list, err := exec.Command("/sbin/ldconfig", "-p").Output()
	if err != nil {
		return finding{"libraries", "ldconfig does not say", "install libc-bin", true}
	}
	var missing, packages []string
	for _, l := range xLibraries {
		if !strings.Contains(string(list), l[0]+" ") {
			missing, packages = append(missing, l[0]), append(packages, l[1])
		}
	}
	if len(missing) > 0 {
		return finding{"libraries", "missing " + strings.Join(missing, ", "),
			"apt-get install libgl1-mesa-dri " + strings.Join(packages, " "), false}
	}
	return finding{"libraries", "X11 and OpenGL are there", "", false}
}

func display() finding {
	const mend = "start it under X: xinit /usr/bin/quancun -- :0, or set DISPLAY"
	name := os.Getenv("DISPLAY")
	if name == "" {
		return finding{"display", "DISPLAY is not set", mend, false}
	}
	_, number, _ := strings.Cut(name, ":")
	number, _, _ = strings.Cut(number, ".")
	if host, _, _ := strings.Cut(name, ":"); host == "" {
		conn, err := net.DialTimeout("unix", "/tmp/.X11-unix/X"+number, time.Second)
		if err != nil {
			return finding{"display", name + ": " + err.Error(), mend, false}
		}
		conn.Close()
	}
	return finding{"display", name, "", false}
}

func sound() finding {
	if _, err := exec.LookPath("aplay"); err != nil {
		return finding{"sound", "no aplay: the terminal stays silent", "apt-get install alsa-utils", true}
	}
	return finding{"sound", "aplay is there", "", false}
}

// examine says whether speech can be heard. A terminal that nobody hears works.
func (c SoundConfig) examine() (all []finding) {
	add := func(name, is, mend string) { all = append(all, finding{name, is, mend, true}) }
	if err := audio.Programs(); err != nil {
		add("speech", err.Error(), "apt-get install espeak-ng alsa-utils")
		return all
	}
	add("speech", "espeak-ng and aplay are there", "")
	devices := [][2]string{{"loudspeaker", c.Loudspeaker}, {"headphones", c.Headphones}}
	for _, d := range devices {
		if d[1] == "" {
			continue
		}
		if err := audio.Try(context.Background(), d[1]); err != nil {
			add(d[0], d[1]+": "+err.Error(), "aplay -L lists devices; the terminal's user has to be in the group audio")
			continue
		}
		add(d[0], d[1]+" plays", "")
	}
	if c.Headphones == "" {
		return all
	}
	switch in, err := audio.Plugged(c.Jack); {
	case err != nil:
		add("jack", err.Error(),
			"grep . /sys/class/input/event*/device/name lists names; the user has to be in the group input")
	case in:
		add("jack", c.Jack+": headphones are plugged in", "")
	default:
		add("jack", c.Jack+": nothing is plugged in", "")
	}
	return all
}

// say says a sentence on each device, for who sets a machine up.
func (c SoundConfig) say(ctx context.Context) error {
	all := [][2]string{{c.Loudspeaker, "扬声器，二十三元五角。"}, {c.Headphones, "耳机，二十三元五角。"}}
	for _, d := range all {
		if d[0] == "" {
			continue
		}
		u := speech.Utterance{Text: d[1], Language: text.Chinese}
		if err := audio.Speak(ctx, u, d[0], c.Rate); err != nil {
			return err
		}
	}
	return nil
}

// panel says whether a finger can hit what is drawn.
func panel(c PanelConfig) finding {
	is := fmt.Sprintf("%d by %d pixels, %d mm wide", c.WidthPX, c.HeightPX, c.WidthMM)
	if err := screenPanel(c).Check(); err != nil {
		return finding{"panel", is + ": " + err.Error(), "measure width_mm; a larger panel has larger keys", true}
	}
	return finding{"panel", is, "", false}
}

// readerWait is how long a reader may take to show up.
const readerWait = 2 * time.Second

func cardReader(c ReaderConfig) finding {
	if c.Kind != "pcsc" {
		return finding{"card reader", "virtual cards dial " + c.Listen, "", false}
	}
	socket := os.Getenv("PCSCLITE_CSOCK_NAME")
	if socket == "" {
		socket = "/run/pcscd/pcscd.comm"
	}
	if conn, err := net.DialTimeout("unix", socket, time.Second); err != nil {
		return finding{"card reader", "no PC/SC service: " + err.Error(),
			"apt-get install pcscd && systemctl enable --now pcscd.socket", false}
	} else {
		conn.Close()
	}
	device, err := openDevice(c)
	if err != nil {
		return finding{"card reader", err.Error(), "mend reader in the configuration", false}
	}
	defer device.Close()
	ctx, cancel := context.WithTimeout(context.Background(), readerWait)
	defer cancel()
	state, err := device.Wait(ctx, reader.State{})
	if err != nil || !state.Connected {
		return finding{"card reader", fmt.Sprintf("no reader named %q", c.Name),
			"plug it in; install its driver (apt-get install libccid); compare reader.name", false}
	}
	return finding{"card reader", "connected", "", false}
}

// roomMin is the free space, in bytes, below which the journal's disk counts
// as nearly full.
const roomMin = 256 << 20

func journalFile(c *Config) finding {
	path, dir := c.Journal, filepath.Dir(c.Journal)
	if err := unix.Access(dir, unix.W_OK); err != nil {
		return finding{"journal", dir + " cannot be written to", "make it and give it to the terminal's user", false}
	}
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err == nil && int64(s.Bavail)*s.Bsize < roomMin {
		return finding{"journal", fmt.Sprintf("%d MB left on its disk", int64(s.Bavail)*s.Bsize>>20),
			"make room: below 64 MB the terminal takes no money", false}
	}
	report, err := ledger.VerifyFile(context.Background(), path, ledger.Trust{})
	switch {
	case errors.Is(err, fs.ErrNotExist) && wasBegun(c):
		return finding{"journal", path + " is not there, and " + c.begun() + " says that it was begun",
			"bring its disk back, or a copy (quancun ledger restore); if it is lost for good, remove that file", false}
	case errors.Is(err, fs.ErrNotExist):
		return finding{"journal", path + " will be made", "", false}
	case errors.Is(err, ledger.ErrTampered):
		return finding{"journal", fmt.Sprintf("damaged: %v", report.Problems[:min(3, len(report.Problems))]),
			"keep the file, take the machine out of service, call the operator", false}
	case err != nil:
		return finding{"journal", err.Error(), "see whether the disk is well", false}
	}
	is := fmt.Sprintf("%d entries, %d open, chain is whole", report.Entries, report.Open)
	return finding{"journal", is, "", false}
}

// queueMax is how long something may wait before it is worth a visit, and listMax
// how old the hotlist may be: from then on less may be sold without the upstream.
const (
	queueMax = 24 * time.Hour
	listMax  = 72 * time.Hour
)

// queue says what the upstream has not been told.
func queue(path string) finding {
	w, open, err := ledger.WaitingFile(context.Background(), path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return finding{"queue", "nothing was ever written down", "", false}
	case err != nil:
		return finding{"queue", err.Error(), "see the journal", true}
	}
	is := fmt.Sprintf("%d entries that move %s yuan are not upstream, %d acts have no end", w.Count, w.Amount, open)
	if w.Count == 0 || time.Since(w.Since) < queueMax {
		return finding{"queue", is, "", false}
	}
	return finding{"queue", is + "; the oldest is of " + w.Since.Local().Format(time.DateTime),
		"they go up when the upstream answers; do not reset this machine before", true}
}

// mirrorMax is how long the mirror may lack an entry: its medium may be put in late.
const mirrorMax = 10 * time.Minute

// mirrored says whether the second medium has what the upstream does not have.
func mirrored(path, mirror string) finding {
	const mend = "put the medium in, or a new one; if it was out when the program started, start that again"
	lacks, since, err := ledger.MirrorFile(context.Background(), path, mirror)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return finding{"mirror", "nothing was ever written down", "", false}
	case err != nil:
		return finding{"mirror", err.Error(), mend, true}
	}
	is := fmt.Sprintf("%s lacks %d of the entries that are not upstream", mirror, lacks)
	if lacks == 0 || time.Since(since) < mirrorMax {
		return finding{"mirror", is, "", false}
	}
	return finding{"mirror", is + ", since " + since.Local().Format(time.DateTime), mend, true}
}

// feeds says how old is what the terminal goes by when it is alone.
func feeds(path string) finding {
	all, err := feed.Look(context.Background(), path)
	const mend = "they come when the upstream answers; without a new hotlist less is sold, and then nothing"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return finding{"feeds", "none yet", "", false}
	case err != nil:
		return finding{"feeds", err.Error(), "delete the file: it is fetched again", true}
	}
	var words []string
	for _, s := range all {
		age := "age unknown"
		if a := s.Age(time.Now()); a != feed.Unknown {
			age = a.Round(time.Minute).String() + " old"
		}
		words = append(words, fmt.Sprintf("%s %d, %s", s.Name, s.Version, age))
	}
	is := strings.Join(words, "; ")
	if all[0].Age(time.Now()) > listMax { // the hotlist
		return finding{"feeds", is, mend, true}
	}
	return finding{"feeds", is, "", false}
}

// driftMax is how far the clock may be off before it is worth a visit.
const driftMax = time.Minute

func upstream(config *Config) []finding {
	p, _, err := readIdentity(config)
	if err != nil {
		is, _, _ := strings.Cut(err.Error(), "\n")
		return []finding{{"identity", is, "quancun enrol --code CODE; campusd terminal add ID prints one", false}}
	}
	all := []finding{{"identity", "terminal " + p.Terminal, "", false}}
	if left := time.Until(p.Expires()); left < 0 {
		all = append(all, finding{"certificate", "over since " + p.Expires().Format(time.DateOnly),
			"it is renewed when the upstream answers, for a month; then: campusd terminal reset ID", true})
	}
	c := client.Dial(p, client.Options{})
	defer c.Close()
	w, err := c.Ping(context.Background())
	no := (*client.Refusal)(nil)
	switch {
	case errors.As(err, &no):
		return append(all, finding{"upstream", err.Error(), "the operator has to add this terminal again", false})
	case err != nil:
		return append(all, finding{"upstream", p.Address + ": " + err.Error(),
			"see whether the network reaches it and campusd runs there", false})
	}
	all = append(all, finding{"upstream", p.Address + " answers", "", false})
	if w.Drift.Abs() > driftMax {
		return append(all, finding{"clock", fmt.Sprintf("off by %v", w.Drift.Round(time.Second)),
			"apt-get install systemd-timesyncd; the terminal goes by the upstream's clock meanwhile", true})
	}
	return append(all, finding{"clock", "right", "", false})
}
