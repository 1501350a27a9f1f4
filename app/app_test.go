package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"quancun/app"
	"quancun/journal"
	"quancun/kiosk/keysheet"
	labprinter "quancun/lab/printer"
	"quancun/ledger"
	"quancun/ledger/feed"
	"quancun/money"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/reader/sim"
)

// write puts text into a file of the test's own and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const wholeConfig = `
terminal = "t.pem"
journal = "j.db"
[reader]
kind = "vpcd"
listen = "127.0.0.1:0"
[panel]
width_px = 1280
height_px = 1024
width_mm = 338
`

func TestReadConfig(t *testing.T) {
	path := write(t, "terminal.toml", wholeConfig)
	c, err := app.ReadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(filepath.Dir(path), "j.db"); c.Journal != want || c.Reader.Kind != "vpcd" {
		t.Errorf("got %+v, want the journal %s", c, want)
	}
	for _, tt := range []struct{ name, old, new string }{
		{"Misspelt", "journal", "jurnal"}, // a setting that silently does not take
		{"NoTerminal", `"t.pem"`, `""`},
		{"OtherReader", `"vpcd"`, `"usb"`},
		{"NotMeasured", "338", "0"},
		{"Tiny", "1024", "100"},
		{"NotTOML", "[panel]", "[panel"},
		{"MirrorIsJournal", `"j.db"`, "\"j.db\"\nmirror = \"./j.db\""}, // each would be written over the other
		{"MirrorIsFeeds", `"j.db"`, "\"j.db\"\nmirror = \"feeds.db\""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad := write(t, "terminal.toml", strings.Replace(wholeConfig, tt.old, tt.new, 1))
			if c, err := app.ReadConfig(bad); err == nil {
				t.Errorf("got %+v, want an error", c)
			}
		})
	}
}

// TestPrinterConfig refuses a printer that no till could have.
func TestPrinterConfig(t *testing.T) {
	whole := `face = "cashier"` + wholeConfig + `
[till]
merchant = "canteen"
operator = "c1"
[sam]
kind = "pcsc"
[scanner]
serial = "/dev/ttyACM0"
[printer]
address = "tcp:192.168.1.20:9100"
width_mm = 58
`
	if _, err := app.ReadConfig(write(t, "terminal.toml", whole)); err != nil {
		t.Fatal(err)
	}
	for old, wrong := range map[string]string{"tcp:192": "lpt:192", "= 58": "= 57", "address": "adress"} {
		bad := write(t, "terminal.toml", strings.Replace(whole, old, wrong, 1))
		if _, err := app.ReadConfig(bad); err == nil {
			t.Errorf("%s for %s is taken", wrong, old)
		}
	}
}

// TestBarcodeConfig: a product's barcode is proved when the configuration is read.
func TestBarcodeConfig(t *testing.T) {
	const sells = "[till]\nmerchant = \"canteen-1\"\noperator = \"c1\"\nproduct = [ %s ]\n[sam]\nkind = \"pcsc\"\n"
	product := func(code string) string { return fmt.Sprintf("{ name = %[1]q, price = \"3\", barcode = %[1]q }", code) }
	for products, good := range map[string]bool{
		product("6901028075831"):                                  true,
		product("6901028075831") + ", " + product("NOODLES-1"):    true,
		product("6901028075832"):                                  false, // its last digit is wrong
		product("690102807583"):                                   false,
		product("281234567890123456"):                             false, // Alipay's
		product("036000291452") + ", " + product("0036000291452"): false, // one code in two forms
	} {
		path := write(t, "terminal.toml", "face = \"cashier\""+wholeConfig+fmt.Sprintf(sells, products))
		if _, err := app.ReadConfig(path); (err == nil) != good {
			t.Errorf("%s: %v", products, err)
		}
	}
}

// TestTillCodes: a sheet is printed again as it is, and another one when that is asked
// for; a kiosk has none.
func TestTillCodes(t *testing.T) {
	config := write(t, "terminal.toml", "face = \"cashier\""+wholeConfig+
		"[till]\nmerchant = \"canteen-1\"\noperator = \"c1\"\n[sam]\nkind = \"pcsc\"\n")
	if code, out := quancun(config, "enrol", "-code", newUpstream(t).code("K01")); code != 0 {
		t.Fatalf("enrol: exit %d, %s", code, out)
	}
	dir := filepath.Dir(config)
	sheet := keysheet.Sheet{File: filepath.Join(dir, "till.codes"), Terminal: "K01"}
	print := func(args ...string) string {
		t.Helper()
		page := filepath.Join(dir, "sheet.pdf")
		args = append([]string{"till-codes", "-config", config, "-o", page}, args...)
		if out, code := runApp(t, args...); code != 0 || !strings.Contains(out, page) {
			t.Fatalf("%v: exit %d, %s", args, code, out)
		}
		if b, err := os.ReadFile(page); err != nil || !strings.HasPrefix(string(b), "%PDF-") {
			t.Fatalf("%v: %v", args, err)
		}
		text, err := sheet.Code(keysheet.Yes)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	first := print()
	if again := print(); again != first {
		t.Error("printed once more it is another sheet")
	}
	if err := os.WriteFile(sheet.File, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := runApp(t, "till-codes", "-config", config); code != 1 || !strings.Contains(out, "damaged") {
		t.Errorf("a damaged secret: exit %d, %s", code, out)
	}
	if anew := print("-new"); anew == first {
		t.Error("the lost sheet is good still")
	}
	kiosk := write(t, "terminal.toml", wholeConfig)
	if out, code := runApp(t, "till-codes", "-config", kiosk); code != 1 || !strings.Contains(out, "kiosk") {
		t.Errorf("of a kiosk: exit %d, %s", code, out)
	}
}

// padConfig is the configuration of a till whose PIN pad is at a path.
func padConfig(path string) string {
	return "face = \"cashier\"" + wholeConfig + "[till]\nmerchant = \"canteen-1\"\n" +
		"[sam]\nkind = \"file\"\nfile = \"sam\"\n" + fmt.Sprintf("[pinpad]\ndevice = %q\n", path)
}

// TestPINPadConfig: the panel takes a PIN while the pad is away unless that is
// forbidden, and a pad is a till's.
func TestPINPadConfig(t *testing.T) {
	whole := padConfig("/dev/input/by-id/pad")
	c, err := app.ReadConfig(write(t, "terminal.toml", whole))
	if err != nil || c.PINPad.Device != "/dev/input/by-id/pad" || !c.PINPad.Fallback {
		t.Fatalf("%+v, %v", c, err)
	}
	if c, err = app.ReadConfig(write(t, "terminal.toml", whole+"fallback = false\n")); err != nil || c.PINPad.Fallback {
		t.Errorf("without a fallback: %+v, %v", c, err)
	}
	if _, err := app.ReadConfig(write(t, "terminal.toml", strings.Replace(whole, "cashier", "kiosk", 1))); err == nil {
		t.Error("a kiosk's pad is taken")
	}
}

// TestDoctorPINPad: a pad that is not there is said, and keeps a till from working only
// where the panel may not do instead.
func TestDoctorPINPad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pad")
	says := func(config, want string) {
		t.Helper()
		var out bytes.Buffer
		app.Run([]string{"doctor", "-config", write(t, "terminal.toml", config)}, &out, &out)
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
	says(padConfig(path), "warn  PIN pad       "+path)
	says(padConfig(path)+"fallback = false\n", "FIX   PIN pad       "+path)
	says(padConfig("/dev/null"), "/dev/null: grab: ") // it cannot be kept from others
	if out, err := exec.Command("mkfifo", path).CombinedOutput(); err != nil {
		t.Fatalf("mkfifo: %v: %s", err, out)
	}
	says(padConfig(path), "ok    PIN pad       "+path+" can be read")
}

// TestSoundConfig refuses what could say something private to everybody, or nothing at
// all.
func TestSoundConfig(t *testing.T) {
	const whole = wholeConfig + "[sound]\nspeech = true\nheadphones = \"head\"\njack = \"Headphone\"\nrate = 200\n"
	if _, err := app.ReadConfig(write(t, "terminal.toml", whole)); err != nil {
		t.Fatal(err)
	}
	for old, wrong := range map[string]string{`"Headphone"`: `""`, "= 200": "= 20", "speech": "speach"} {
		bad := write(t, "terminal.toml", strings.Replace(whole, old, wrong, 1))
		if _, err := app.ReadConfig(bad); err == nil {
			t.Errorf("%s for %s is taken", wrong, old)
		}
	}
}

// TestDoctorSound: what nobody hears is named, and is no reason not to work. It says a
// sentence through the real programs, into a file.
func TestDoctorSound(t *testing.T) {
	dir := t.TempDir()
	heard := filepath.Join(dir, "heard.wav")
	alsa := write(t, "asound.conf", "pcm.null { type null }\n"+
		fmt.Sprintf("pcm.speaker { type file file %q format wav truncate false slave.pcm null }\n", heard))
	t.Setenv("ALSA_CONFIG_PATH", alsa)
	const sound = "[sound]\nspeech = true\nloudspeaker = \"speaker\"\n"
	var out bytes.Buffer
	config := write(t, "terminal.toml", wholeConfig+sound+"headphones = \"gone\"\njack = \"no such jack\"\n")
	app.Run([]string{"doctor", "-config", config}, &out, &out)
	for _, want := range []string{"ok    speech", "ok    loudspeaker", "warn  headphones    gone: ", "warn  jack"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
	config = write(t, "terminal.toml", wholeConfig+sound)
	app.Run([]string{"doctor", "-say", "-config", config}, &out, &out)
	// ALSA numbers its files: the first examination's silence, and then the sentence.
	if b, err := os.ReadFile(heard + ".0001"); err != nil || len(b) < 20000 {
		t.Errorf("%d bytes were heard, %v:\n%s", len(b), err, out.String())
	}
}

// TestUsage: a command line that is not understood says what there is.
func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"fly"}, 2, "usage: quancun"},
		{[]string{"card", "-wings"}, 2, "usage: quancun"},
		{[]string{"version"}, 0, app.Version},
		{[]string{"run", "-config", "/nowhere.toml"}, 1, "/nowhere.toml"},
	} {
		var out bytes.Buffer
		if code := app.Run(tt.args, &out, &out); code != tt.code || !strings.Contains(out.String(), tt.says) {
			t.Errorf("%q: exit %d, %q; want %d, %q", tt.args, code, out.String(), tt.code, tt.says)
		}
	}
}

// TestVersion: the program and its package have one version.
func TestVersion(t *testing.T) {
	text, err := os.ReadFile("../FyneApp.toml")
	if err != nil || !strings.Contains(string(text), `Version = "`+app.Version+`"`) {
		t.Errorf("FyneApp.toml does not say version %s (%v)", app.Version, err)
	}
}

// TestCard prints a card that lies on the reader, masked and whole.
func TestCard(t *testing.T) {
	addr := freeAddr(t)
	config := write(t, "terminal.toml", strings.Replace(wholeConfig, "127.0.0.1:0", addr, 1))
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan struct{})
	go func() {
		defer close(served)
		for ctx.Err() == nil { // each command opens the reader anew
			_ = sim.Serve(ctx, addr, campusCard(t))
			time.Sleep(20 * time.Millisecond)
		}
	}()
	defer func() { cancel(); <-served }()

	for _, tt := range []struct {
		args           []string
		name, cardNo   string
		holder, hidden string
	}{
		{nil, "欧…", "…2345", "…45", "欧阳"},
		{[]string{"-whole"}, "欧阳晓明", "00002026000100012345", "2026012345", "…"},
	} {
		var out, errOut bytes.Buffer
		if code := app.Run(append([]string{"card", "-config", config}, tt.args...), &out, &errOut); code != 0 {
			t.Fatalf("exit %d: %s", code, errOut.String())
		}
		var got struct {
			CardNo   string    `json:"card_no"`
			Name     string    `json:"name"`
			HolderNo string    `json:"holder_no"`
			PurseFen money.Fen `json:"purse_fen"`
			Valid    bool      `json:"valid_today"`
		}
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if got.Name != tt.name || got.CardNo != tt.cardNo || got.HolderNo != tt.holder ||
			got.PurseFen != 5000 || !got.Valid || strings.Contains(out.String(), tt.hidden) {
			t.Errorf("%v: got %s", tt.args, out.String())
		}
	}
}

func TestNoCard(t *testing.T) {
	config := write(t, "terminal.toml", wholeConfig)
	var out, errOut bytes.Buffer
	code := app.Run([]string{"card", "-config", config, "-wait", "50ms"}, &out, &errOut)
	if code != 1 || !strings.Contains(errOut.String(), "no card was laid down") {
		t.Errorf("exit %d: %s", code, errOut.String())
	}
}

// TestDoctor: what is missing is named, with what to do about it.
func TestDoctor(t *testing.T) {
	t.Setenv("DISPLAY", "")
	config := write(t, "terminal.toml", wholeConfig)
	var out, errOut bytes.Buffer
	code := app.Run([]string{"doctor", "-config", config}, &out, &errOut)
	text := out.String()
	for _, want := range []string{
		"FIX   display", "→ start it under X", "ok    card reader", "ok    journal", "will be made",
		"FIX   identity", "→ quancun enrol",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
	if code != 1 {
		t.Errorf("exit %d", code)
	}
}

// TestDoctorPrinter: a printer that does not print is no reason not to sell, and
// what has to be done about it is said.
func TestDoctorPrinter(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	there := labprinter.New(48, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { _ = there.Serve(ctx, l) })
	defer func() { stop(); serving.Wait() }()
	config := write(t, "terminal.toml", wholeConfig+"[printer]\naddress = \"tcp:"+l.Addr().String()+"\"\n")
	for _, tt := range []struct{ paper, want string }{
		{"ok", "ok    printer       tcp:127"}, {"low", "→ have a new roll ready"}, {"out", "→ put a new roll in"},
	} {
		if err := there.Set(labprinter.State{Paper: tt.paper}); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		app.Run([]string{"doctor", "-config", config}, &out, &out)
		if !strings.Contains(out.String(), tt.want) {
			t.Errorf("with paper %s it does not say %q:\n%s", tt.paper, tt.want, out.String())
		}
	}
}

// TestDoctorMirror: a medium that is not there, or takes nothing more, is told of.
func TestDoctorMirror(t *testing.T) {
	config := write(t, "terminal.toml", "mirror = \"card/mirror\"\n"+wholeConfig)
	dir := filepath.Dir(config)
	o := ledger.Options{
		Terminal: "T1", Mirror: filepath.Join(dir, "card", "mirror"), MirrorByHand: true,
		Now: func() time.Time { return time.Now().Add(-time.Hour) },
	}
	book, err := ledger.Open(t.Context(), filepath.Join(dir, "j.db"), o)
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	order := journal.Entry{Kind: journal.TopUpIntent, Ref: "K01", Card: "1001", Amount: 100}
	if _, err := book.Append(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	says := func(want string) {
		t.Helper()
		var out bytes.Buffer
		app.Run([]string{"doctor", "-config", config}, &out, &out)
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
	book.Reflect()
	says("warn  mirror")
	if err := os.MkdirAll(filepath.Join(dir, "card"), 0o700); err != nil {
		t.Fatal(err)
	}
	book.Reflect()
	says("ok    mirror")
	order.Ref = "K02"
	if _, err := book.Append(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	says("lacks 1 of")
	says("warn  mirror")
}

// TestDoctorJournal: a journal is verified whole, and a damaged one is said to
// be damaged.
func TestDoctorJournal(t *testing.T) {
	config := write(t, "terminal.toml", wholeConfig)
	path := filepath.Join(filepath.Dir(config), "j.db")
	book, err := ledger.Open(t.Context(), path, ledger.Options{Terminal: "T1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := book.Close(); err != nil {
		t.Fatal(err)
	}
	examine := func() string {
		var out bytes.Buffer
		app.Run([]string{"doctor", "-config", config}, &out, &out)
		return out.String()
	}
	whole := examine()
	for _, want := range []string{
		"ok    journal       1 entries, 0 open, chain is whole",
		"ok    queue         0 entries that move 0.00 yuan are not upstream, 0 acts have no end",
		"ok    feeds         none yet",
	} {
		if !strings.Contains(whole, want) {
			t.Errorf("a whole journal: it does not say %q:\n%s", want, whole)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	i := bytes.Index(text, []byte(`"boot"`))
	if i < 0 {
		t.Fatal("the journal's entry is not in its file")
	}
	text[i+1] ^= 1
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if text := examine(); !strings.Contains(text, "FIX   journal") {
		t.Errorf("a damaged journal:\n%s", text)
	}
}

// TestDoctorFeeds: how old the feeds are is said, and that an old hotlist is
// worth a visit.
func TestDoctorFeeds(t *testing.T) {
	config := write(t, "terminal.toml", wholeConfig)
	feeds, err := feed.Open(t.Context(), filepath.Join(filepath.Dir(config), "feeds.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer feeds.Close()
	for _, tt := range []struct {
		age  time.Duration
		want string
	}{
		{80 * time.Hour, "warn  feeds         hotlist 7, 80h0m0s old; settings 0, age unknown;"},
		{3 * time.Hour, "ok    feeds         hotlist 7, 3h0m0s old;"},
	} {
		err := errors.Join(
			feeds.Apply(t.Context(), feed.Update{Name: feed.Hotlist, Version: 7, Issued: time.Now().Add(-tt.age)}),
			feeds.Checked(t.Context(), feed.Hotlist, 7, time.Now().Add(-tt.age)))
		if err != nil && !errors.Is(err, feed.ErrOld) {
			t.Fatal(err)
		}
		var out bytes.Buffer
		app.Run([]string{"doctor", "-config", config}, &out, &out)
		if !strings.Contains(out.String(), tt.want) {
			t.Errorf("it does not say %q:\n%s", tt.want, out.String())
		}
	}
}

func campusCard(t *testing.T) *sim.Card {
	no, err := purse.ParseCardNo("00002026000100012345")
	if err != nil {
		t.Error(err)
	}
	state, err := sim.Issue(profile.Default(), sim.Masters{}, sim.Holder{
		CardNo: no, UID: [4]byte{1, 2, 3, 4}, Name: "欧阳晓明", Number: "2026012345",
		Start: 20200101, Expiry: 20991231, Balance: 50 * money.Yuan,
	})
	if err != nil {
		t.Error(err)
	}
	return sim.New(state)
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
