package app_test

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"quancun/app"
	"quancun/journal"
	"quancun/ledger"
)

// runApp runs a command and returns what it prints.
func runApp(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	var b bytes.Buffer
	code = app.Run(args, &b, &b)
	return b.String(), code
}

// TestLedgerTools uses every tool for a journal on a copy of one, as somebody
// who has only the file and the campus's public key.
func TestLedgerTools(t *testing.T) {
	dir := t.TempDir()
	path, keyFile := filepath.Join(dir, "copy.db"), filepath.Join(dir, "campus.key")
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	campus := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize))
	if err := os.WriteFile(keyFile, fmt.Appendf(nil, "%x\n", campus.Public()), 0o600); err != nil {
		t.Fatal(err)
	}
	book, err := ledger.Open(t.Context(), path, ledger.Options{Terminal: "K01", Key: key})
	if err != nil {
		t.Fatal(err)
	}
	sold := journal.Entry{Kind: journal.CodeSale, Ref: "S1", Account: "2026012345", Merchant: "M1", Amount: 1250}
	if _, err := book.Append(t.Context(), sold); err != nil {
		t.Fatal(err)
	}
	cert, err := journal.Certify("K01", key.Public().(ed25519.PublicKey), time.Now(), campus)
	if err != nil {
		t.Fatal(err)
	}
	r, err := book.Receipt(t.Context(), "S1", cert)
	if err != nil {
		t.Fatal(err)
	}

	// The terminal is at work.
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"ledger", "verify", "-campus", keyFile, "-receipt", r.Text(), path}, "whole: head "},
		{[]string{"ledger", "export", "-format", "csv", path}, ",code sale,"},
		{[]string{"ledger", "export", "-format", "hledger", path}, "liabilities:merchant:M1"},
		{[]string{"receipt", "verify", r.Text(), "-campus", keyFile}, "genuine: 12.50 yuan, code sale"},
		{[]string{"receipt", "verify", "-campus", keyFile, r.Text()}, "entry 2, reference S1"},
	} {
		if out, code := runApp(t, tt.args...); code != 0 || !strings.Contains(out, tt.want) {
			t.Errorf("%v: exit %d, %q, want %q", tt.args, code, out, tt.want)
		}
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if out, code := runApp(t, "ledger", "export", "-format", "csv", "-o", path, path); code == 0 {
		t.Errorf("exit %d, %q, want that it writes over no journal", code, out)
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("another file is in the journal's place, %v", err)
	}
	if err := book.Close(); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"ledger"}, {"ledger", "mend"}, {"receipt"}, {"ledger", "verify", "a", "b"},
		{"ledger", "export", "-format", "xml", path},
	} {
		if out, code := runApp(t, args...); code != 2 || !strings.Contains(out, "usage") {
			t.Errorf("%v: exit %d, %q, want the usage and 2", args, code, out)
		}
	}
	if out, code := runApp(t, "receipt", "verify", r.Text()+"A", "-campus", keyFile); code != 1 {
		t.Errorf("a changed receipt: exit %d, %q", code, out)
	}

	// A receipt of an entry that the journal has not got gives it away.
	forged, err := journal.NewReceipt(journal.Entry{Terminal: "K01", Epoch: r.Epoch, Seq: 9, At: r.At, Kind: r.Kind,
		Amount: r.Amount, Ref: "S9"}, r.Hash, cert, key)
	if err != nil {
		t.Fatal(err)
	}
	out, code := runApp(t, "ledger", "verify", "-campus", keyFile, "-receipt", forged.Text(), path)
	if code != 1 || !strings.Contains(out, "entry 2: the journal ends here, and an entry 9 is known elsewhere") {
		t.Errorf("older image: exit %d, %q", code, out)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	i := bytes.Index(text, []byte("2026012345"))
	text[i] ^= 1
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := runApp(t, "ledger", "verify", path); code != 1 ||
		!strings.Contains(out, "entry 2: body and hash do not match") {
		t.Errorf("flipped byte: exit %d, %q", code, out)
	}
}

// TestBackUpAndRestore: a terminal's disk dies, and its backup takes its place. A
// terminal's that is not this one does not, and neither does one that was changed.
func TestBackUpAndRestore(t *testing.T) {
	config := write(t, "terminal.toml", wholeConfig)
	if code, out := quancun(config, "enrol", "-code", newUpstream(t).code("K01")); code != 0 {
		t.Fatalf("enrol: exit %d, %s", code, out)
	}
	dir := filepath.Dir(config)
	path, copied := filepath.Join(dir, "j.db"), filepath.Join(dir, "copy.db")
	entry := journal.Entry{Kind: journal.CodeSale, Ref: "S1", Account: "1001", Merchant: "M1", Amount: 1}
	keep := func(path, terminal string) *ledger.Book {
		book, err := ledger.Open(t.Context(), path, ledger.Options{Terminal: terminal})
		if err == nil {
			_, err = book.Append(t.Context(), entry)
		}
		if err != nil {
			t.Fatal(err)
		}
		return book
	}
	ledgerTool := func(want int, says string, args ...string) {
		t.Helper()
		args = append([]string{"ledger", args[0], "-config", config}, args[1:]...)
		if out, code := runApp(t, args...); code != want || !strings.Contains(out, says) {
			t.Errorf("%v: exit %d, %q; want %d and %q", args, code, out, want, says)
		}
	}
	book := keep(path, "K01")
	ledgerTool(0, "2 entries", "backup", copied)
	ledgerTool(3, "in use", "restore", copied)
	if err := book.Close(); err != nil {
		t.Fatal(err)
	}
	ledgerTool(1, "exists", "restore", copied)
	remove := func() {
		t.Helper()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	remove()
	ledgerTool(0, "is there again", "restore", copied)
	ledgerTool(0, "2 entries", "verify")
	remove()
	foreign := filepath.Join(dir, "k02.db")
	if err := keep(foreign, "K02").Close(); err != nil {
		t.Fatal(err)
	}
	ledgerTool(1, "it is that of K02, this is K01", "restore", foreign)
	text, err := os.ReadFile(copied)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("1001"), []byte("1002"), 1)
	if err := os.WriteFile(copied, text, 0o600); err != nil {
		t.Fatal(err)
	}
	ledgerTool(1, "damaged", "restore", copied)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a journal is there after all: %v", err)
	}
}

// TestPackageRefuses: a package of a terminal with unsent money is neither
// removed nor replaced, unless somebody says so in as many words.
func TestPackageRefuses(t *testing.T) {
	script, err := filepath.Abs("../packaging/deb/quancun.prerm")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "quancun")
	for name, body := range map[string]string{
		"runuser": `[ "$*" = "-u quancun -- ` + program + ` ready-to-stop" ] || exit 99; exit $STANDS`,
		"getent":  `exit 0`, "systemctl": `exit 0`,
		"quancun": `exit 99`,
		"prerm":   strings.ReplaceAll(string(text), "/usr/bin/quancun", program),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, action := range []string{"remove", "upgrade", "failed-upgrade"} {
		for _, tt := range []struct {
			stands, lose string
			refuses      bool
		}{{"0", "", false}, {"4", "", true}, {"1", "", true}, {"4", "yes", false}, {"4", "no", true}} {
			cmd := exec.CommandContext(t.Context(), "sh", filepath.Join(dir, "prerm"), action)
			cmd.Env = []string{"PATH=" + dir + ":/usr/bin:/bin", "STANDS=" + tt.stands, "QUANCUN_LOSE_UNSENT=" + tt.lose}
			out, err := cmd.CombinedOutput()
			if (err != nil) != tt.refuses || tt.refuses && !strings.Contains(string(out), "not everything is upstream") {
				t.Errorf("%s where ready-to-stop says %s, with %q: %v, %s", action, tt.stands, tt.lose, err, out)
			}
		}
	}
}

// TestUnitStops: who stops the unit has the terminal told to end, and waits for it. What
// the unit runs would take its screen away at once, and end it with SIGHUP.
func TestUnitStops(t *testing.T) {
	unit, err := os.ReadFile("../packaging/systemd/quancun.service")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, body := range map[string]string{
		"quancun": `trap 'sleep 1; echo finished; exit' TERM; echo ready; while :; do sleep 0.05; done`,
		"xinit":   `"${0%/*}/quancun" & trap "kill -HUP $!; exit 1" TERM; wait $!`, // as the real one does
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	xinit := exec.CommandContext(t.Context(), filepath.Join(dir, "xinit"))
	said, err := xinit.StdoutPipe()
	if err == nil {
		err = xinit.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	words := bufio.NewReader(said)
	if word, err := words.ReadString('\n'); word != "ready\n" {
		t.Fatalf("%q, %v", word, err)
	}
	for _, script := range regexp.MustCompile(`(?m)^ExecStop=/bin/sh -c '(.*)'$`).FindAllStringSubmatch(string(unit), -1) {
		stop := exec.CommandContext(t.Context(), "/bin/sh", "-c", script[1])
		stop.Env = append(os.Environ(), fmt.Sprintf("MAINPID=%d", xinit.Process.Pid))
		if out, err := stop.CombinedOutput(); err != nil {
			t.Errorf("stop: %v, %s", err, out)
		}
	}
	_ = xinit.Process.Signal(syscall.SIGTERM) // systemd's, to what is left; it may have ended
	rest, err := io.ReadAll(words)
	if string(rest) != "finished\n" || err != nil {
		t.Errorf("the terminal has said %q, %v; want that it has finished what it was at", rest, err)
	}
	_ = xinit.Wait() // it may have been ended
}

// TestVerifyOldCopy: what an update has left beside the journal can be proved, and
// the answer says that it was done in a copy.
func TestVerifyOldCopy(t *testing.T) {
	old, err := os.ReadFile(filepath.Join("..", "ledger", "testdata", "v3.db"))
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, "journal.db.v3.bak", string(old))
	out, code := runApp(t, "ledger", "verify", path)
	if code != 0 || !strings.Contains(out, "is of version 3, and is verified in a copy that is brought up to date\n") ||
		!strings.Contains(out, ": 15 entries of epoch ") || !strings.Contains(out, "\nwhole: head ") {
		t.Errorf("verify: exit %d, %s", code, out)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, old) {
		t.Errorf("the copy is not what it was: %v", err)
	}
}

// TestReceiptOfEntry: whoever asks for a receipt gets a code that proves itself,
// by a reference or by the number that the screen has shown, and of nothing that
// has no outcome.
func TestReceiptOfEntry(t *testing.T) {
	config := write(t, "terminal.toml", wholeConfig)
	if code, out := quancun(config, "enrol", "-code", newUpstream(t).code("K01")); code != 0 {
		t.Fatalf("enrol: exit %d, %s", code, out)
	}
	book, err := ledger.Open(t.Context(), filepath.Join(filepath.Dir(config), "j.db"), ledger.Options{Terminal: "K01"})
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	for _, e := range []journal.Entry{ // 2 to 4, after the start
		{Kind: journal.TopUpIntent, Ref: "T1", Account: "1001", Amount: 5000},
		{Kind: journal.TopUpEnd, Ref: "T1", Account: "1001", Amount: 5000, Outcome: journal.Paid},
		{Kind: journal.TopUpIntent, Ref: "T2", Account: "1001", Amount: 100},
	} {
		if _, err := book.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"T1"}, {"-entry", "2"}, {"-entry", "3"}} {
		shown, code := runApp(t, append([]string{"receipt", "show", "-config", config}, args...)...)
		if code != 0 {
			t.Errorf("show %v: exit %d, %s", args, code, shown)
		}
		out, code := runApp(t, "receipt", "verify", "-config", config, strings.TrimSpace(shown))
		if code != 0 || !strings.Contains(out, "genuine: 50.00 yuan, top-up end, paid") || !strings.Contains(out, "entry 3, reference T1") {
			t.Errorf("verify of %v: exit %d, %s", args, code, out)
		}
	}
	for _, args := range [][]string{{"T2"}, {"-entry", "4"}, {"-entry", "1"}, {"-entry", "9"}, {"nobody"}} {
		if out, code := runApp(t, append([]string{"receipt", "show", "-config", config}, args...)...); code != 1 {
			t.Errorf("show %v: exit %d, %s; want 1", args, code, out)
		}
	}
	for _, args := range [][]string{{}, {"-entry", "3", "T1"}, {"T1", "T2"}} {
		if out, code := runApp(t, append([]string{"receipt", "show", "-config", config}, args...)...); code != 2 {
			t.Errorf("show %v: exit %d, %s; want 2", args, code, out)
		}
	}
}
