package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"quancun/journal"
	"quancun/ledger"
	"quancun/money"
	"quancun/upstream/client"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// machine is a terminal that was enrolled.
type machine struct {
	keys   client.Keys
	papers *client.Provisioning
}

var ticketLine = regexp.MustCompile(`quancun enrol --code (\S+)\n`)

// ticket returns the code that a command has printed.
func (s *site) ticket(args ...string) client.Ticket {
	s.t.Helper()
	out := s.must(args...)
	line := ticketLine.FindStringSubmatch(out)
	if line == nil {
		s.t.Fatalf("campusd %q has printed no code: %s", args, out)
	}
	t, err := client.ParseTicket(line[1])
	if err != nil {
		s.t.Fatal(err)
	}
	return t
}

func newKeys(t *testing.T) client.Keys {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, signs, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return client.Keys{TLS: key, Journal: signs}
}

// enrol makes a machine a new terminal of a campusd that serves.
func (s *site) enrol(id, addr string) machine {
	s.t.Helper()
	return s.use(s.ticket("terminal", "add", id, "--address", addr), newKeys(s.t))
}

func (s *site) use(t client.Ticket, k client.Keys) machine {
	s.t.Helper()
	f, err := client.Enrol(s.t.Context(), t, k, client.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := f.Encode()
	if err != nil {
		s.t.Fatal(err)
	}
	p, err := client.ParseProvisioning(text)
	if err == nil {
		err = p.Use(k.TLS)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return machine{k, p}
}

// book opens a machine's journal, and writes down that 5 yuan came into the
// drawer, until it has n entries.
func (m machine) book(t *testing.T, n int64) *ledger.Book {
	t.Helper()
	b, err := ledger.Open(t.Context(), filepath.Join(t.TempDir(), "journal.db"), ledger.Options{
		Terminal: m.papers.Terminal, Key: m.keys.Journal, Campus: m.papers.CampusKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	for i := int64(1); i < n; i++ { // the first says that it was started
		e := journal.Entry{Kind: journal.CashIn, Ref: fmt.Sprintf("C%d", i), Amount: 5 * money.Yuan}
		if _, err := b.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// say tells the upstream how far a journal has come.
func (m machine) say(t *testing.T, head journal.Head) {
	t.Helper()
	c := client.Dial(m.papers, client.Options{})
	defer c.Close()
	if _, err := c.Hello(t.Context(), client.Hello{Version: "1", Journal: head}); err != nil {
		t.Fatal(err)
	}
}

func headOf(t *testing.T, b *ledger.Book) journal.Head {
	t.Helper()
	h, err := b.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// export writes a sealed export of a journal's first n entries.
func (m machine) export(t *testing.T, path string, b *ledger.Book, n int64) {
	t.Helper()
	var tree journal.Frontier
	bodies := func(yield func([]byte, error) bool) {
		for tree.Size < n {
			batch, err := b.Batch(t.Context(), tree.Size+1, journal.BatchMax)
			for _, body := range batch.Bodies[:min(n-tree.Size, int64(len(batch.Bodies)))] {
				tree.Append(journal.HashOf(body))
				yield(body, err)
			}
		}
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := m.papers.Seal(f)
	if err != nil {
		t.Fatal(err)
	}
	err = journal.WriteArchive(w, m.papers.JournalCertificate, bodies, func() ([]byte, error) {
		c := journal.Checkpoint{Terminal: m.papers.Terminal, Epoch: b.Epoch(), Size: tree.Size, Root: tree.Root()}
		return c.Sign(m.keys.Journal)
	})
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestUnsentMoney: nobody parts with a terminal whose money is not all here.
func TestUnsentMoney(t *testing.T) {
	s := newSite(t)
	addr, _ := s.serve()
	m, other := s.enrol("K01", addr), s.enrol("K02", addr)
	const n = journal.BatchMax + 5 // more than goes up at once
	book, others := m.book(t, n), other.book(t, 3)
	head := headOf(t, book)
	m.say(t, head)
	if got := s.must("terminal", "list"); !regexp.MustCompile(`(?m)^K01 .* 1005$`).MatchString(got) {
		t.Errorf("terminal list: %s", got)
	}
	m.export(t, s.path("good"), book, n)
	m.export(t, s.path("short"), book, n-1)
	other.export(t, s.path("others"), others, 3)
	whole, err := os.ReadFile(s.path("good"))
	if err != nil {
		t.Fatal(err)
	}
	s.write("cut", string(whole[:len(whole)-1]))
	s.write("nonsense", "nonsense")
	stranger := newSite(t)
	strange, stop := stranger.serve()
	away := stranger.enrol("K01", strange)
	away.export(t, s.path("strange"), away.book(t, 3), 3)
	stop()
	for _, command := range []string{"revoke", "reset"} {
		if _, err := s.campusd("terminal", command, "K01"); err == nil || !strings.Contains(err.Error(), "not here yet") {
			t.Errorf("terminal %s with unsent money: %v, want it refused", command, err)
		}
		for _, file := range []string{"others", "cut", "nonsense", "strange", "none", "short"} {
			if _, err := s.campusd("terminal", command, "K01", "--sealed", s.path(file)); err == nil {
				t.Errorf("terminal %s with a sealed file that is %s was not refused", command, file)
			}
		}
	}
	m.say(t, head) // it is still a terminal
	for range 2 {  // and again, as if the first answer had been lost
		s.must("terminal", "revoke", "K01", "--sealed", s.path("good"))
	}
	kept, err := os.ReadFile(s.path(fmt.Sprintf("data/sealed/K01-%s-%d.sealed", book.Epoch(), n)))
	if err != nil || !bytes.Equal(kept, whole) {
		t.Errorf("the export is not kept: %v", err)
	}
	if got := s.must("terminal", "list"); !regexp.MustCompile(`(?m)^K01 .* revoked .* 0$`).MatchString(got) {
		t.Errorf("terminal list: %s", got)
	}
	other.say(t, headOf(t, others))
	s.must("terminal", "revoke", "K02", "--gone")
	s.wantMoney("till/K01", -(n-1)*5*money.Yuan)
	s.wantMoney("till/K02", 0)
	if got := s.must("verify"); !strings.HasPrefix(got, "the books are whole") {
		t.Errorf("verify: %q", got)
	}
}

// TestSealedOfSilent: what a terminal wrote down after it was last heard of is in its sealed
// export alone, and comes into the books although the upstream knows of nothing that it lacks.
func TestSealedOfSilent(t *testing.T) {
	s := newSite(t)
	addr, _ := s.serve()
	for terminal, command := range map[string]string{"K01": "revoke", "K02": "reset"} {
		m := s.enrol(terminal, addr)
		book := m.book(t, 3)
		m.say(t, journal.Head{Epoch: book.Epoch()}) // before its first entry; then the line is cut
		m.export(t, s.path(terminal), book, 3)
		s.must("terminal", command, terminal, "--sealed", s.path(terminal))
		s.onBooks(func(b *store.Books) error {
			got, err := b.Balance(t.Context(), store.Account("till/"+terminal))
			if want := -2 * 5 * money.Yuan; err != nil || got != want {
				t.Errorf("%s: till stands at %s, %v; want %s of its sealed export", command, got, err, want)
			}
			return nil
		})
	}
}

// TestSealedOfOlderCopy: a terminal's disk was put back to an older copy, and it has sold
// since, under numbers that the upstream has something else under. Its export is not
// passed over because it ends before what is here.
func TestSealedOfOlderCopy(t *testing.T) {
	s := newSite(t)
	addr, _ := s.serve()
	m := s.enrol("K01", addr)
	path := filepath.Join(t.TempDir(), "journal.db")
	sell := func(path, ref string, n int) {
		t.Helper()
		b, err := ledger.Open(t.Context(), path, ledger.Options{
			Terminal: "K01", Key: m.keys.Journal, Campus: m.papers.CampusKey,
		})
		for i := range n {
			if err == nil {
				_, err = b.Append(t.Context(), journal.Entry{
					Kind: journal.CashIn, Ref: fmt.Sprint(ref, i), Amount: 5 * money.Yuan,
				})
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		m.export(t, s.path(ref), b, headOf(t, b).Seq)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	sell(path, "first", 1)
	copied := filepath.Join(t.TempDir(), "journal.db")
	if err := ledger.BackupFile(t.Context(), path, copied); err != nil {
		t.Fatal(err)
	}
	sell(path, "then", 3)
	sell(copied, "older", 1)
	s.must("terminal", "reset", "K01", "--sealed", s.path("then"))
	s.must("terminal", "reset", "K01", "--sealed", s.path("first")) // which is part of it
	if out, err := s.campusd("terminal", "revoke", "K01", "--sealed", s.path("older")); err == nil {
		t.Errorf("it is parted with: %q", out)
	}
}

// TestPlaceOfTerminal: where a terminal stands is said when it is added, or later, and
// every list that names a terminal says it.
func TestPlaceOfTerminal(t *testing.T) {
	s := newSite(t)
	s.must("terminal", "add", "K01", "--address", "127.0.0.1:8443", "--place", "一食堂一楼", "--place-en", "Canteen 1")
	s.must("terminal", "add", "K02", "--address", "127.0.0.1:8443")
	list := func(want string) {
		t.Helper()
		if got := s.must("terminal", "list"); !regexp.MustCompile(`(?m)^` + want).MatchString(got) {
			t.Errorf("terminal list: %s\nwant %s", got, want)
		}
	}
	list(`K01 +一食堂一楼 `)
	list(`K02 +- `)
	if got := s.must("terminal", "show", "K01"); !strings.Contains(got, `"place_en": "Canteen 1"`) {
		t.Errorf("terminal show: %s", got)
	}
	s.must("terminal", "place", "K02", "--place", "二食堂门口")
	list(`K02 +二食堂门口 `)
	for _, wrong := range [][]string{
		{"place", "K03", "--place", "东门"}, {"place", "K01"}, {"place", "K01", "--place", " 东门"},
		{"add", "K04", "--address", "127.0.0.1:8443", "--place", "东\n门"},
	} {
		if _, err := s.campusd(append([]string{"terminal"}, wrong...)...); err == nil {
			t.Errorf("terminal %q is taken", wrong)
		}
	}
	if got := s.must("terminal", "list"); strings.Contains(got, "K04") {
		t.Errorf("a terminal whose place is wrong was added: %s", got)
	}
	s.onBooks(func(b *store.Books) error {
		return b.Write(t.Context(), func(tx *sqldb.Tx) error {
			return b.Except(t.Context(), tx, []store.Exception{{
				Kind: "hot", Ref: "S1", Terminal: "K02", Owner: "card centre", Detail: "lost", NextStep: "look",
			}})
		})
	})
	if got := s.must("exceptions", "list"); !strings.Contains(got, "二食堂门口 (K02)") {
		t.Errorf("exceptions list: %s", got)
	}
}

// TestHeldForSilentTerminal: a terminal that stays away keeps what is held for it,
// and both lists say how much that is and since when. Revoking it lets go.
func TestHeldForSilentTerminal(t *testing.T) {
	s := newSite(t)
	s.must("demo", "--cards", s.path("cards.json"))
	s.onBooks(func(b *store.Books) error {
		_, err1 := b.AddTerminal(t.Context(), store.Terminal{ID: "K01"})
		_, err2 := b.AddTerminal(t.Context(), store.Terminal{ID: "K02"})
		return errors.Join(err1, err2, hold(t.Context(), b, "S1", 1230, 1_700_000_060_000),
			hold(t.Context(), b, "S2", 70, 1_700_000_000_000))
	})
	for row, want := range map[string]string{
		"K01": `unknown +13\.00 in 2 since 2023-11-14T22:13:20Z +0`, "K02": `unknown +- +0`,
	} {
		if got := s.must("terminal", "list"); !regexp.MustCompile(`(?m)^` + row + ` .* ` + want + `$`).MatchString(got) {
			t.Errorf("terminal list: %s\nwant %s", got, want)
		}
	}
	show := func(want string) {
		t.Helper()
		var r terminalReport
		if err := json.Unmarshal([]byte(s.must("terminal", "show", "K01")), &r); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(r.Holds, " ", r.HoldsFen, " ", r.HoldsSince.Unix()); got != want {
			t.Errorf("terminal show: %s, want %s", got, want)
		}
	}
	show("2 13.00 1700000000")
	s.must("terminal", "revoke", "K01")
	show(fmt.Sprint("0 0.00 ", time.Time{}.Unix()))
}

// hold has an amount held for K01.
func hold(ctx context.Context, b *store.Books, attempt string, amount money.Fen, placed int64) error {
	return b.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO holds
			(terminal, epoch, seq, attempt, account, card_no, merchant, amount_fen, virtual, placed_ms)
			SELECT 'K01', ?, 7, ?, account, '', 'canteen', ?, true, ? FROM holders ORDER BY account LIMIT 1`,
			[]byte("an epoch"), attempt, amount, placed)
		return err
	})
}

// TestRevokeDies has the program die after a terminal is shut out, and before what
// is held for it is free. That is seen, and the same command again ends it.
func TestRevokeDies(t *testing.T) {
	s := newSite(t)
	s.must("demo", "--cards", s.path("cards.json"))
	s.onBooks(func(b *store.Books) error {
		_, err1 := b.AddTerminal(t.Context(), store.Terminal{ID: "K01"})
		return errors.Join(err1, hold(t.Context(), b, "S1", 100, 0), b.RevokeTerminal(t.Context(), "K01"))
	})
	if out, err := s.campusd("verify"); err == nil || !strings.Contains(out+err.Error(), "K01 S1") {
		t.Errorf("verify: %q, %v; want what is held for K01", out, err)
	}
	s.must("terminal", "revoke", "K01")
	s.check("the books are whole", "verify")
}

// wantMoney looks into the books, and for the alarm about what was lost.
func (s *site) wantMoney(a store.Account, want money.Fen) {
	s.t.Helper()
	p := place{dir: s.path("data")}
	d, err := p.openOld(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	defer d.books.Close()
	got, err := d.books.Balance(s.t.Context(), a)
	if errors.Is(err, store.ErrNone) {
		err = nil
	}
	if err != nil || got != want {
		s.t.Errorf("balance of %s = %s, %v; want %s", a, got, err, want)
	}
	alarms, err := d.books.Alarms(s.t.Context())
	if err != nil || len(alarms) != 1 || alarms[0].Kind != store.AlarmJournalLost || alarms[0].Ref != "K02" {
		s.t.Errorf("alarms are %+v, %v; want that entries of K02 are lost", alarms, err)
	}
}

// TestReset: a terminal moves to another machine, or comes back on its own.
func TestReset(t *testing.T) {
	s := newSite(t)
	addr, _ := s.serve()
	m := s.enrol("K01", addr)
	m.say(t, journal.Head{Epoch: journal.Epoch{1}, Seq: 5})
	back := s.ticket("terminal", "reset", "K01", "--same-machine", "--address", addr)
	if _, err := client.Enrol(t.Context(), back, newKeys(t), client.Options{}); err == nil {
		t.Error("another machine has used a code for the same machine")
	}
	m = s.use(back, m.keys)
	m.say(t, journal.Head{Epoch: journal.Epoch{1}, Seq: 6})
	moved := s.use(s.ticket("terminal", "reset", "K01", "--gone", "--address", addr), newKeys(t))
	moved.say(t, journal.Head{Epoch: journal.Epoch{2}})
	c := client.Dial(m.papers, client.Options{})
	defer c.Close()
	if _, err := c.Ping(t.Context()); err == nil {
		t.Error("the machine before is still the terminal")
	}
	var report terminalReport
	if err := json.Unmarshal([]byte(s.must("terminal", "show", "K01")), &report); err != nil {
		t.Fatal(err)
	}
	if report.State != "good" || report.JournalKey != fmt.Sprintf("%x", moved.keys.Journal.Public()) ||
		time.Until(report.Expires) < 89*24*time.Hour {
		t.Errorf("terminal show: %+v", report)
	}
}

// TestToken: a campus whose keys are in a token, from the first day, or since
// it has got one.
func TestToken(t *testing.T) {
	s := newSite(t)
	text, err := os.ReadFile(s.path("campusd.toml"))
	if err != nil {
		t.Fatal(err)
	}
	s.write("campusd.toml", string(text)+newToken(t, s.path("token")))
	s.more = []string{"--config", s.path("campusd.toml")}
	if _, err := s.campusd("demo", "--cards", s.path("cards.json")); err == nil {
		t.Error("an empty token was used")
	}
	first := s.must("keys", "generate")
	if got := s.must("keys", "show"); got != first || !strings.Contains(got, "token in slot") {
		t.Errorf("keys show: %s, want %s", got, first)
	}
	s.must("demo", "--cards", s.path("cards.json"))
	typed(t, strings.Repeat("0123456789ABCDEF", 2)+"\n")
	s.check("key is in the token", "keys", "blank")
	for _, file := range []string{"data/keys.json", "data/blanks.json"} {
		if _, err := os.Stat(s.path(file)); err == nil {
			t.Errorf("keys were made in %s, too", file)
		}
	}
	addr, stop := s.serve()
	s.enrol("K01", addr).say(t, journal.Head{Epoch: journal.Epoch{1}, Seq: 1})
	stop()

	soft := newSite(t)
	soft.must("demo", "--cards", soft.path("cards.json"))
	before := soft.must("keys", "show")
	soft.write("campusd.toml", newToken(t, soft.path("token")))
	soft.more = []string{"--config", soft.path("campusd.toml")}
	if _, err := soft.campusd("keys", "generate"); err == nil {
		t.Error("new keys were made for a campus that has issued cards")
	}
	after := soft.must("keys", "import")
	public := regexp.MustCompile(`(?m)public key +[0-9a-f]{64}$`)
	a, b := public.FindAllString(before, -1), public.FindAllString(after, -1)
	if len(a) != 3 || fmt.Sprint(a) != fmt.Sprint(b) {
		t.Errorf("public keys before %q, and after %q", a, b)
	}
}

// TestTokenPIN: a PIN that the token does not take is tried once, and not at each start of
// the service, which would lock the token within seconds.
func TestTokenPIN(t *testing.T) {
	s := newSite(t)
	text, err := os.ReadFile(s.path("campusd.toml"))
	if err != nil {
		t.Fatal(err)
	}
	s.write("campusd.toml", string(text)+newToken(t, s.path("token")))
	s.more = []string{"--config", s.path("campusd.toml")}
	s.must("keys", "generate")
	s.must("demo", "--cards", s.path("cards.json"))
	s.write("token/pin", "00000000\n")
	_, err = s.campusd("serve", "--listen", "127.0.0.1:0")
	unit, err2 := os.ReadFile("../../packaging/systemd/campusd.service")
	if err == nil || err2 != nil || !strings.Contains(string(unit), fmt.Sprintf("\nRestartPreventExitStatus=%d\n", exitOf(err))) {
		t.Errorf("serve ended with %v, status %d, %v, and is started again", err, exitOf(err), err2)
	}
}

// newToken makes a SoftHSM token, and returns the lines of a configuration that
// name it.
func newToken(t *testing.T, dir string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	conf, pin := filepath.Join(dir, "softhsm2.conf"), filepath.Join(dir, "pin")
	for path, text := range map[string]string{
		conf: "directories.tokendir = " + dir + "\nobjectstore.backend = file\nlog.level = ERROR\n", pin: "87654321\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("SOFTHSM2_CONF", conf)
	out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", "campus",
		"--so-pin", "12345678", "--pin", "87654321").CombinedOutput()
	slot := regexp.MustCompile(`slot (\d+)\s*$`).FindSubmatch(out)
	if err != nil || slot == nil {
		t.Fatalf("softhsm2-util: %v\n%s", err, out)
	}
	return fmt.Sprintf("\n[keys]\nmodule = %q\nslot = %s\npin_file = %q\n",
		"/usr/lib/softhsm/libsofthsm2.so", slot[1], pin)
}
