package app_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"quancun/app"
	"quancun/app/identity"
	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/file"
	"quancun/kiosk/till"
	"quancun/ledger"
	"quancun/ledger/push"
	"quancun/upstream/client"
	"quancun/upstream/keys"
	"quancun/upstream/server"
	"quancun/upstream/server/enrol"
	"quancun/upstream/server/pki"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	"quancun/upstream/wire"
)

// upstream is a real one that machines can be enrolled at.
type upstream struct {
	t      *testing.T
	books  *store.Books
	keys   *keys.Software
	pki    *pki.Authority
	addr   string
	silent atomic.Int32 // how many answers are still to be lost
}

func newUpstream(t *testing.T) *upstream {
	t.Helper()
	u, dir := &upstream{t: t}, t.TempDir()
	var err1, err2, err3 error
	u.keys, err1 = keys.OpenSoftware(filepath.Join(dir, "keys.json"))
	u.pki, err2 = pki.Open(dir, time.Now())
	u.books, err3 = booktest.Open(t.Context(), filepath.Join(dir, "books.db"), nil)
	l, err4 := net.Listen("tcp", "127.0.0.1:0")
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	u.addr = l.Addr().String()
	log := slog.New(slog.DiscardHandler)
	inside := server.New(server.Config{Books: u.books, Keys: u.keys, Log: log})
	door := enrol.New(enrol.Config{Books: u.books, PKI: u.pki, Campus: u.keys, Now: time.Now, Log: log})
	answers := door.Doors(inside.Handler())
	h := &http.Server{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answers.ServeHTTP(w, r)
			if u.silent.Add(-1) >= 0 {
				panic(http.ErrAbortHandler) // done, and the answer is lost
			}
		}),
	}
	var running sync.WaitGroup
	running.Go(func() { h.Serve(tls.NewListener(l, u.pki.Server())) }) //nolint:errcheck // it ends by Close
	t.Cleanup(func() {
		h.Close()
		running.Wait()
		if err := u.books.Close(); err != nil {
			t.Error(err)
		}
	})
	return u
}

// code makes a code for a new terminal.
func (u *upstream) code(id string) string {
	u.t.Helper()
	code := wire.NewCode()
	_, err := u.books.Invite(u.t.Context(), store.Invitation{
		Terminal: id, CodeHash: code.Hash(), Expires: time.Now().Add(time.Hour),
	})
	if err != nil {
		u.t.Fatal(err)
	}
	return wire.Ticket{Address: u.addr, Terminal: id, Code: code, CA: u.pki.Fingerprint()}.Text()
}

// reset makes a code for another machine in a terminal's place.
func (u *upstream) reset(id string) string {
	u.t.Helper()
	code := wire.NewCode()
	_, err := u.books.Invite(u.t.Context(), store.Invitation{
		Terminal: id, CodeHash: code.Hash(), Expires: time.Now().Add(time.Hour), Known: true,
	})
	if err != nil {
		u.t.Fatal(err)
	}
	return wire.Ticket{Address: u.addr, Terminal: id, Code: code, CA: u.pki.Fingerprint()}.Text()
}

// quancun runs a command with a configuration.
func quancun(config, name string, args ...string) (code int, out string) {
	var b bytes.Buffer
	code = app.Run(append([]string{name, "-config", config}, args...), &b, &b)
	return code, b.String()
}

// TestDamagedKeys flips bits all over the file of a terminal's keys: it is another
// key then, with which every journal would be signed in vain. Nothing is done with
// one.
func TestDamagedKeys(t *testing.T) {
	u, config := newUpstream(t), write(t, "terminal.toml", wholeConfig)
	if code, out := quancun(config, "enrol", "-code", u.code("K01")); code != 0 {
		t.Fatalf("enrol: exit %d, %s", code, out)
	}
	_, want := quancun(config, "identity")
	path := filepath.Join(filepath.Dir(config), "t.keys")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for at := range whole {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 1
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		code, out := quancun(config, "identity")
		if code == 1 && strings.Contains(out, "key") {
			refused++
		} else if code != 0 || out != want {
			t.Errorf("byte %d: exit %d, %s", at, code, out)
		}
	}
	if refused < len(whole)/3 {
		t.Errorf("%d of %d flips were refused", refused, len(whole))
	}
}

// TestEnrol: a machine becomes a terminal, although an answer is lost, and is
// one no more when it is retired.
func TestEnrol(t *testing.T) {
	u, config := newUpstream(t), write(t, "terminal.toml", wholeConfig)
	dir := filepath.Dir(config)
	if code, out := quancun(config, "run"); code != 1 || !strings.Contains(out, "quancun enrol --code") {
		t.Errorf("run before enrolment: exit %d, %s", code, out)
	}
	if code, out := quancun(config, "enrol", "-code", "nonsense"); code != 1 || !strings.Contains(out, "enrolment code") {
		t.Errorf("a code that is none: exit %d, %s", code, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "t.keys")); err == nil {
		t.Error("keys were made for a code that is none")
	}
	u.silent.Store(1)
	ticket := u.code("K01")
	code, out := quancun(config, "enrol", "-code", ticket)
	if code != 0 || !strings.Contains(out, "trying again") || !strings.Contains(out, "K01, number 000000000001") {
		t.Fatalf("enrol: exit %d, %s", code, out)
	}
	for _, name := range []string{"t.pem", "t.keys"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", name, info, err)
		}
	}
	if code, out := quancun(config, "doctor"); !strings.Contains(out, "ok    upstream") {
		t.Errorf("doctor: exit %d, %s", code, out)
	}
	if code, out := quancun(config, "enrol", "-code", u.code("K02")); code != 1 || !strings.Contains(out, "quancun retire") {
		t.Errorf("enrol as another terminal: exit %d, %s", code, out)
	}
	if code, out := quancun(config, "retire"); code != 0 {
		t.Fatalf("retire: exit %d, %s", code, out)
	}
	if code, out := quancun(config, "identity"); code != 1 || !strings.Contains(out, "not a terminal yet") {
		t.Errorf("identity of a retired machine: exit %d, %s", code, out)
	}
	if code, out := quancun(config, "enrol", "-code", ticket); code != 1 || !strings.Contains(out, "terminal reset") {
		t.Errorf("enrol with a used code: exit %d, %s", code, out)
	}
}

// sells has the terminal with its papers in dir sell something that is upstream, and returns
// where its journal ends.
func (u *upstream) sells(t *testing.T, dir string) (end journal.Head, signs ed25519.PrivateKey) {
	t.Helper()
	book, signs := openBook(t, dir)
	_, sold := book.Append(t.Context(), journal.Entry{
		Kind: journal.CodeSale, Ref: "S1", Account: "1001", Merchant: "M1", Amount: 1,
	})
	acknowledge(t.Context(), t, book, journal.Campus{Name: push.CampusName, Key: u.keys.Campus()}, signs)
	end, read := book.Head(t.Context())
	if err := errors.Join(sold, read, book.Close()); err != nil {
		t.Fatal(err)
	}
	return end, signs
}

// TestEnrolAgain: a terminal that was retired is enrolled again on the same machine,
// or that machine as another one. The new keys have not signed what the old ones
// have: the terminal begins a journal of its own, and the old one is kept.
func TestEnrolAgain(t *testing.T) {
	for _, next := range []string{"K01", "K02"} {
		t.Run(next, func(t *testing.T) {
			u, config := newUpstream(t), write(t, "terminal.toml", "mirror = \"mirror\"\n"+wholeConfig)
			dir := filepath.Dir(config)
			if code, out := quancun(config, "enrol", "-code", u.code("K01")); code != 0 {
				t.Fatalf("enrol: exit %d, %s", code, out)
			}
			old, signs := u.sells(t, dir)
			news, err := json.Marshal([]till.News{{Ref: "S1", Amount: 1, With: till.ByCard, Done: true}})
			told := filepath.Join(dir, "news.unread")
			if err := errors.Join(err, file.Replace(told, file.Sealed(news))); err != nil {
				t.Fatal(err)
			}
			if code, out := quancun(config, "retire"); code != 0 || !strings.Contains(out, old.Epoch.String()) {
				t.Fatalf("retire: exit %d, %s", code, out)
			}
			if _, err := os.Stat(told); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the next terminal is told what has become of this one's sales: %v", err)
			}
			if code, out := quancun(config, "retire"); code != 0 {
				t.Errorf("retire again: exit %d, %s", code, out)
			}
			again := u.code
			if next == "K01" {
				again = u.reset
			}
			if code, out := quancun(config, "enrol", "-code", again(next)); code != 0 {
				t.Fatalf("enrol again: exit %d, %s", code, out)
			}
			book, _ := openBook(t, dir)
			if book.Epoch() == old.Epoch {
				t.Error("the journal goes on with another key")
			}
			if err := book.Close(); err != nil {
				t.Fatal(err)
			}
			out, code := runApp(t, "ledger", "verify", "-config", config)
			if code != 0 || !strings.Contains(out, "whole") {
				t.Errorf("verify: exit %d, %s", code, out)
			}
			kept := filepath.Join(dir, "j."+old.Epoch.String()+".db")
			r, err := ledger.VerifyFile(t.Context(), kept, ledger.Trust{Key: signs.Public().(ed25519.PublicKey)})
			if err != nil || r.Head != old {
				t.Errorf("the old journal: %v, %v; want %v", r, err, old)
			}
		})
	}
}

// TestExportOfRetired: the upstream's books are restored from before a terminal was
// retired. Its machine is another terminal by now; its journal still goes up under seal.
func TestExportOfRetired(t *testing.T) {
	u, config := newUpstream(t), write(t, "terminal.toml", wholeConfig)
	dir := filepath.Dir(config)
	if code, out := quancun(config, "enrol", "-code", u.code("K01")); code != 0 {
		t.Fatalf("enrol: exit %d, %s", code, out)
	}
	old, _ := u.sells(t, dir)
	if code, out := quancun(config, "retire"); code != 0 {
		t.Fatalf("retire: exit %d, %s", code, out)
	}
	if code, out := quancun(config, "enrol", "-code", u.code("K02")); code != 0 {
		t.Fatalf("enrol again: exit %d, %s", code, out)
	}
	kept, sealed := filepath.Join(dir, "j."+old.Epoch.String()+".db"), filepath.Join(dir, "stick")
	out, code := runApp(t, "ledger", "export", "-config", config, "-sealed", sealed, kept)
	if code != 0 {
		t.Fatalf("export: exit %d, %s", code, out)
	}
	f, err := os.Open(sealed)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	campus := u.keys.Campus().Public().(ed25519.PublicKey)
	a, err := journal.ReadArchive(u.keys.OpenSealed(t.Context(), f), campus, func(int64, []byte) error { return nil })
	if err != nil || a.Checkpoint.Size != old.Seq || a.Certificate.Terminal != "K01" {
		t.Errorf("the archive is of %+v, %v; want %d entries of K01", a.Checkpoint, err, old.Seq)
	}
}

// TestRetireWithoutJournal: a disk has died, and not even the journal's folder is there.
func TestRetireWithoutJournal(t *testing.T) {
	config := write(t, "terminal.toml", strings.Replace(wholeConfig, `"j.db"`, `"gone/j.db"`, 1))
	if code, out := quancun(config, "enrol", "-code", newUpstream(t).code("K01")); code != 0 {
		t.Fatalf("enrol: exit %d, %s", code, out)
	}
	path := filepath.Join(filepath.Dir(config), "gone/j.db")
	code, out := quancun(config, "ready-to-stop")
	if code != 1 || !strings.Contains(out, path) || strings.Contains(out, "everything is upstream\n") {
		t.Errorf("ready-to-stop when its disk may only not be there: exit %d, %s", code, out)
	}
	code, out = quancun(config, "retire")
	if code != 0 || strings.Contains(out, "keep it") || !strings.Contains(out, "no journal at "+path) {
		t.Errorf("retire: exit %d, %s", code, out)
	}
	if code, out := quancun(config, "ready-to-stop"); code != 0 {
		t.Errorf("ready-to-stop of a machine that was retired: exit %d, %s", code, out)
	}
}

// TestJournalAway: the disk with the journal is not there when the terminal starts, and
// what it is mounted on can be written to. No other journal is begun in its place, in
// which sales would lie that nobody sees any more once the disk is back; the screen says
// that the terminal is out of order. A disk that is gone for good an admin gives up.
func TestJournalAway(t *testing.T) {
	path := write(t, "terminal.toml", strings.Replace(wholeConfig, `"j.db"`, `"disk/j.db"`, 1))
	if code, out := quancun(path, "enrol", "-code", newUpstream(t).code("K01")); code != 0 {
		t.Fatalf("enrol: exit %d, %s", code, out)
	}
	c, err := app.ReadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	disk, begun := filepath.Dir(c.Journal), filepath.Join(filepath.Dir(path), "t.begun")
	start := func(want kiosk.Code) {
		t.Helper()
		if fault, err := app.Start(c); err != nil || fault != want {
			t.Errorf("it starts with fault %d, %v; want %d", fault, err, want)
		}
	}
	mount := func(from, to string) {
		t.Helper()
		if err := errors.Join(os.Rename(disk, from), os.Rename(to, disk)); err != nil {
			t.Fatal(err)
		}
	}
	away, empty := disk+".away", disk+".empty"
	if err := errors.Join(os.Mkdir(disk, 0o700), os.Mkdir(empty, 0o700)); err != nil {
		t.Fatal(err)
	}
	start(0)
	mount(away, empty)
	start(kiosk.CodeJournal)
	if code, out := quancun(path, "doctor"); code != 1 || !strings.Contains(out, "is not there, and "+begun) {
		t.Errorf("doctor: exit %d, %s", code, out)
	}
	if out, code := runApp(t, "ledger", "recover", "-config", path); code != 1 || !strings.Contains(out, "not there") {
		t.Errorf("recover: exit %d, %s", code, out)
	}
	if _, err := os.Stat(c.Journal); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another journal is begun: %v", err)
	}
	mount(empty, away)
	start(0)
	mount(away, empty)
	if err := os.Remove(begun); err != nil {
		t.Fatal(err)
	}
	start(0)
	if code, out := quancun(path, "retire"); code != 0 {
		t.Errorf("retire: exit %d, %s", code, out)
	}
	if _, err := os.Stat(begun); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the next terminal is taken to have begun a journal: %v", err)
	}
}

// openBook opens a terminal's journal as the terminal does when it starts.
func openBook(t *testing.T, dir string) (*ledger.Book, ed25519.PrivateKey) {
	t.Helper()
	p, err1 := client.ReadProvisioning(filepath.Join(dir, "t.pem"))
	k, err2 := identity.Open(identity.Config{File: filepath.Join(dir, "t.keys")})
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	book, err := ledger.Open(t.Context(), filepath.Join(dir, "j.db"), ledger.Options{
		Terminal: p.Terminal, Key: k.Journal, Campus: p.CampusKey, Mirror: filepath.Join(dir, "mirror"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return book, k.Journal.(ed25519.PrivateKey)
}

// TestFullDisk: a terminal whose disk has no room at all says so, instead of a screen
// that stays dark.
func TestFullDisk(t *testing.T) {
	path := write(t, "terminal.toml", wholeConfig)
	if code, out := quancun(path, "enrol", "-code", newUpstream(t).code("K01")); code != 0 {
		t.Fatalf("enrol: exit %d, %s", code, out)
	}
	c, err := app.ReadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skip("a small disk of our own:", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH) //nolint:errcheck // it goes with the test
	for b := make([]byte, 4096); ; b = append(b, b...) {
		if err := os.WriteFile(filepath.Join(dir, "rest"), b, 0o600); errors.Is(err, unix.ENOSPC) {
			break
		}
	}
	c.Journal, c.Feeds = filepath.Join(dir, "j.db"), filepath.Join(dir, "feeds.db")
	if fault, err := app.Start(c); err != nil || fault != kiosk.CodeFull {
		t.Errorf("it starts with fault %d, %v; want %d on the screen", fault, err, kiosk.CodeFull)
	}
}

// TestUnsentInMirror: the disk with the journal has died, or is one of before, and the
// second medium has what the upstream does not have.
func TestUnsentInMirror(t *testing.T) {
	for name, put := range map[string]func(path string, image []byte) error{
		"gone":  func(string, []byte) error { return nil },
		"image": func(path string, image []byte) error { return os.WriteFile(path, image, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			config := write(t, "terminal.toml", "mirror = \"mirror\"\n"+wholeConfig)
			dir := filepath.Dir(config)
			if code, out := quancun(config, "enrol", "-code", newUpstream(t).code("K01")); code != 0 {
				t.Fatalf("enrol: exit %d, %s", code, out)
			}
			path, image := filepath.Join(dir, "j.db"), filepath.Join(dir, "image.db")
			book, err := ledger.Open(t.Context(), path, ledger.Options{
				Terminal: "K01", Mirror: filepath.Join(dir, "mirror"), MirrorByHand: true,
			})
			if err != nil {
				t.Fatal(err)
			}
			err = book.Backup(t.Context(), image)
			_, sold := book.Append(t.Context(), journal.Entry{
				Kind: journal.CodeSale, Ref: "S1", Account: "1001", Merchant: "M1", Amount: 1,
			})
			book.Reflect()
			before, read := os.ReadFile(image)
			if err := errors.Join(err, sold, read, book.Close(), os.Remove(path), put(path, before)); err != nil {
				t.Fatal(err)
			}
			for _, command := range []string{"ready-to-stop", "retire"} {
				if code, out := quancun(config, command); code != 4 || !strings.Contains(out, "mirror") {
					t.Errorf("%s: exit %d, %s", command, code, out)
				}
			}
		})
	}
}

// TestUnsent: what is not upstream yet is told before the terminal is stopped
// for good, and it is not.
func TestUnsent(t *testing.T) {
	u, config := newUpstream(t), write(t, "terminal.toml", wholeConfig)
	if code, out := quancun(config, "ready-to-stop"); code != 0 {
		t.Errorf("a machine that was never a terminal: exit %d, %s", code, out)
	}
	if code, out := quancun(config, "enrol", "-code", u.code("K01")); code != 0 {
		t.Fatalf("enrol: exit %d, %s", code, out)
	}
	dir := filepath.Dir(config)
	p, err := client.ReadProvisioning(filepath.Join(dir, "t.pem"))
	if err != nil {
		t.Fatal(err)
	}
	_, signs, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	open := func() *ledger.Book {
		book, err := ledger.Open(t.Context(), filepath.Join(dir, "j.db"), ledger.Options{
			Terminal: "K01", Key: signs, Campus: p.CampusKey,
		})
		if err != nil {
			t.Fatal(err)
		}
		return book
	}
	book := open()
	if code, out := quancun(config, "ready-to-stop"); code != 0 {
		t.Errorf("when all that is not upstream is that it was started: exit %d, %s", code, out)
	}
	if code, out := quancun(config, "retire"); code != 3 || !strings.Contains(out, "in use") {
		t.Errorf("retire of a terminal at work: exit %d, %s", code, out)
	}
	_, err = book.Append(t.Context(), journal.Entry{
		Kind: journal.CodeSale, Ref: "S1", Account: "1001", Merchant: "M1", Amount: 1,
	})
	if err = errors.Join(err, book.Close()); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"ready-to-stop", "retire"} {
		if code, out := quancun(config, command); code != 4 || !strings.Contains(out, "not everything is upstream") {
			t.Errorf("%s with an entry that is not upstream: exit %d, %s", command, code, out)
		}
	}
	book = open()
	defer func() { book.Close() }()
	head, err := book.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = identity.Export(p, filepath.Join(dir, "stick"), filepath.Join(dir, "j.db"),
		func(io.Writer) (journal.Head, error) { return head, nil })
	if err != nil {
		t.Fatal(err)
	}
	if code, out := quancun(config, "ready-to-stop"); code != 0 {
		t.Errorf("when all is in a sealed export: exit %d, %s", code, out)
	}
	if err := os.Remove(filepath.Join(dir, "j.db.sealed")); err != nil {
		t.Fatal(err)
	}
	acknowledge(t.Context(), t, book, journal.Campus{Name: push.CampusName, Key: u.keys.Campus()}, signs)
	if code, out := quancun(config, "ready-to-stop"); code != 0 {
		t.Errorf("when all is upstream: exit %d, %s", code, out)
	}
	err = book.Close()
	for _, name := range []string{"j.db", "j.db-wal"} {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), []byte("nonsense"), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	if code, out := quancun(config, "ready-to-stop"); code != 1 || !strings.Contains(out, "nobody knows") {
		t.Errorf("when the journal can not be read: exit %d, %s", code, out)
	}
}

// acknowledge is what the upstream says to all that a journal holds.
func acknowledge(ctx context.Context, t *testing.T, b *ledger.Book, campus journal.Campus, key ed25519.PrivateKey) {
	t.Helper()
	batch, err := b.Batch(ctx, 1, journal.BatchMax)
	if err != nil {
		t.Fatal(err)
	}
	head, err1 := b.Head(ctx)
	note, err2 := campus.Cosign(batch.Note, key.Public().(ed25519.PublicKey), time.Now())
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if err := b.Acknowledge(ctx, journal.Ack{Head: head, Note: note}); err != nil {
		t.Fatal(err)
	}
}

// TestBegunLeft: an older program, which knows nothing of the note, has retired a terminal.
// What is enrolled on the machine next has begun no journal, and starts.
func TestBegunLeft(t *testing.T) {
	path, u := write(t, "terminal.toml", wholeConfig), newUpstream(t)
	enrols := func(id string) {
		t.Helper()
		if code, out := quancun(path, "enrol", "-code", u.code(id)); code != 0 {
			t.Fatalf("enrol: exit %d, %s", code, out)
		}
		c, err := app.ReadConfig(path)
		if err != nil {
			t.Fatal(err)
		}
		if fault, err := app.Start(c); err != nil || fault != 0 {
			t.Errorf("%s starts with fault %d, %v", id, fault, err)
		}
	}
	enrols("K01")
	begun := filepath.Join(filepath.Dir(path), "t.begun")
	note, err := os.ReadFile(begun)
	if err != nil {
		t.Fatal(err)
	}
	if code, out := quancun(path, "retire"); code != 0 {
		t.Fatalf("retire: exit %d, %s", code, out)
	}
	if err := os.WriteFile(begun, note, 0o600); err != nil {
		t.Fatal(err)
	}
	enrols("K02")
}
