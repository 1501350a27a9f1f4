package staff_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/staff"
	"quancun/ledger"
	"quancun/reader/purse"
	"quancun/upstream/client"
	upstream "quancun/upstream/staff"
	"quancun/upstream/staff/stafftest"
)

const (
	card1 = "00002026000100012345"
	card2 = "00002026000100012346"
	right = "271828"
	wrong = "314159"
)

var errLost = errors.New("the answer was lost")

// line is the way to the upstream, which may be broken.
type line struct {
	*client.Client
	away bool // nobody answers
	kept bool // although the question has arrived

	answered func() // is called while the answer about members is on its way
}

func (l *line) SignInStaff(ctx context.Context, cardNo string, pin *[kiosk.PINLength]byte) (client.Staff, error) {
	if l.away && !l.kept {
		return client.Staff{}, errLost
	}
	s, err := l.Client.SignInStaff(ctx, cardNo, pin)
	if l.away {
		return client.Staff{}, errLost
	}
	return s, err
}

func (l *line) CheckStaff(ctx context.Context, nos []string) ([]client.Staff, error) {
	if l.away {
		return nil, errLost
	}
	all, err := l.Client.CheckStaff(ctx, nos)
	if l.answered != nil {
		l.answered()
	}
	return all, err
}

// post is a terminal at which the staff sign in, over a real upstream in which c7
// is a cashier and s1 a supervisor.
type post struct {
	t    *testing.T
	up   *stafftest.World
	line *line
	book *ledger.Book
	path string // of the keep
	now  time.Time
	log  bytes.Buffer
	*staff.Desk
}

func newPost(t *testing.T) *post {
	t.Helper()
	dir := t.TempDir()
	p := &post{
		t: t, up: stafftest.New(t, filepath.Join(dir, "books.db")), path: filepath.Join(dir, "staff"),
		now: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC),
	}
	p.up.Add(upstream.Member{No: "c7", Name: "李小明", Role: upstream.Cashier, Card: card1}, right)
	p.up.Add(upstream.Member{No: "s1", Name: "王芳", Role: upstream.Supervisor, Card: card2}, right)
	p.line = &line{Client: p.up.Client("K01")}
	var err error
	p.book, err = ledger.Open(t.Context(), filepath.Join(dir, "journal.db"), ledger.Options{Terminal: "K01"})
	p.ok(err)
	t.Cleanup(func() { p.ok(p.book.Close()) })
	p.restart(1)
	return p
}

// restart starts the terminal's program, with one of several keys.
func (p *post) restart(key byte) {
	p.t.Helper()
	secret, err := staff.Secret(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{key}, 32)))
	p.ok(err)
	keep, err := staff.OpenKeep(p.path, secret)
	p.ok(err)
	p.Desk = staff.NewDesk(staff.Config{
		Upstream: p.line, Book: p.book, Keep: keep, Offline: 72 * time.Hour, Patience: 10 * time.Second,
		Now: func() time.Time { return p.now }, Log: slog.New(slog.NewTextHandler(&p.log, nil)),
	})
}

func (p *post) ok(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func pinOf(digits string) *kiosk.PIN {
	pin := new(kiosk.PIN)
	for _, d := range []byte(digits) {
		pin.Add(d)
	}
	return pin
}

func infoOf(card string) purse.Info {
	no, err := purse.ParseCardNo(card)
	if err != nil {
		panic(err)
	}
	return purse.Info{CardNo: no}
}

// signIn signs in, and checks that the PIN is gone.
func (p *post) signIn(card, digits string) (staff.Member, error) {
	p.t.Helper()
	pin := pinOf(digits)
	m, err := p.SignIn(p.t.Context(), infoOf(card), pin)
	if pin.Len() != 0 {
		p.t.Error("the PIN is still there")
	}
	return m, err
}

// wants checks what an attempt has come to.
func (p *post) wants(what string, err, want error) {
	p.t.Helper()
	if !errors.Is(err, want) {
		p.t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// told returns what the journal says of the staff.
func (p *post) told() string {
	p.t.Helper()
	all, err := p.book.Since(p.t.Context(), 1, 100)
	p.ok(err)
	var lines []string
	for _, e := range all {
		if e.Operator != "" {
			lines = append(lines, e.Kind.String()+" "+e.Operator+" "+string(e.Details))
		}
	}
	return strings.Join(lines, "; ")
}

// TestSessions: what the upstream lets somebody ask is over when they have gone, and
// for who only releases something at once.
func TestSessions(t *testing.T) {
	p := newPost(t)
	has := func(want string) {
		t.Helper()
		var got string
		for _, no := range []string{"c7", "s1"} {
			if len(p.line.StaffSession(no)) > 0 {
				got += no
			}
		}
		if got != want {
			t.Errorf("sessions of %q, want %q", got, want)
		}
	}
	_, err := p.signIn(card1, right)
	p.ok(err)
	has("c7")
	_, err = p.Release(t.Context(), infoOf(card2), pinOf(right), staff.Ask{Privilege: staff.NoSale, Ref: "r1"})
	p.ok(err)
	p.ok(p.Unlock(t.Context(), infoOf(card2), pinOf(right)))
	has("c7")
	_, err = p.signIn(card1, right) // once more
	p.ok(err)
	has("c7")
	_, err = p.signIn(card2, right)
	p.ok(err)
	has("s1")
	p.ok(p.SignOut(t.Context()))
	has("")
}

func TestSignIn(t *testing.T) {
	p := newPost(t)
	if m := p.Current(); m != (staff.Member{}) {
		t.Errorf("%+v is signed in", m)
	}
	m, err := p.signIn(card1, right)
	if want := (staff.Member{No: "c7", Name: "李*明", Role: staff.Cashier}); err != nil || m != want || p.Current() != want {
		t.Errorf("SignIn = %+v, %v; %+v is signed in", m, err, p.Current())
	}
	_, err = p.signIn("00002026000100019999", right)
	p.wants("a card of nobody", err, staff.ErrNobody)
	_, err = p.signIn(card2, wrong)
	if w := (*staff.PINWrong)(nil); !errors.As(err, &w) || w.Left != 4 {
		t.Errorf("a wrong PIN: %v", err)
	}
	_, err = p.signIn(card2, "12345")
	if err == nil || p.Current().No != "c7" {
		t.Errorf("five digits: %v; %+v is signed in", err, p.Current())
	}
	_, err = p.signIn(card2, right)
	p.ok(err)
	p.ok(p.SignOut(t.Context()))
	p.ok(p.SignOut(t.Context())) // nobody is
	want := `signed in c7 {"role":"cashier"}; signed out c7 {}; signed in s1 {"role":"supervisor"}; signed out s1 {}`
	if got := p.told(); got != want {
		t.Errorf("the journal says %s, want %s", got, want)
	}
}

// TestOffline: who has signed in here with the upstream can do so without it, for
// as long as is set, also after a restart; with their PIN and no other.
func TestOffline(t *testing.T) {
	p := newPost(t)
	_, err := p.signIn(card1, right)
	p.ok(err)
	p.line.away = true
	p.restart(1)
	m, err := p.signIn(card1, right)
	if err != nil || m.No != "c7" || m.Role != staff.Cashier {
		t.Errorf("SignIn = %+v, %v", m, err)
	}
	if told := p.told(); !strings.HasSuffix(told, `signed in c7 {"role":"cashier","offline":true}`) {
		t.Errorf("the journal says %s", told)
	}
	_, err = p.signIn(card2, right)
	p.wants("who was never here", err, staff.ErrAway)
	_, err = p.signIn(card1, wrong)
	if w := (*staff.PINWrong)(nil); !errors.As(err, &w) || w.Left != 4 {
		t.Errorf("a wrong PIN: %v", err)
	}
	p.now = p.now.Add(73 * time.Hour)
	_, err = p.signIn(card1, right)
	p.wants("after three days", err, staff.ErrAway)
	p.now = p.now.Add(-48 * time.Hour) // a clock that is set back
	_, err = p.signIn(card1, right)
	p.wants("with the clock set back", err, staff.ErrAway)
	p.line.away = false
	_, err = p.signIn(card1, right)
	p.ok(err)
	p.restart(2) // another machine has the file, and not the key
	p.line.away = true
	_, err = p.signIn(card1, right)
	p.wants("with another key", err, staff.ErrAway)
}

// TestClockAhead: a clock that was ahead for a moment keeps nobody out for longer than
// until they have signed in with the upstream once more, and makes no sign-in younger.
func TestClockAhead(t *testing.T) {
	p := newPost(t)
	for _, card := range []string{card1, card2} {
		_, err := p.signIn(card, right)
		p.ok(err)
	}
	p.line.away = true
	p.now = p.now.AddDate(30, 0, 0)
	_, err := p.signIn(card1, right)
	p.wants("thirty years ahead", err, staff.ErrAway)
	p.line.away = false
	_, err = p.signIn(card2, right) // with the upstream, at a time that is none
	p.ok(err)
	p.now = p.now.AddDate(-30, 0, 0).Add(80 * time.Hour)
	_, err = p.signIn(card1, right)
	p.ok(err)
	p.line.away = true
	p.restart(1)
	p.now = p.now.Add(time.Hour)
	_, err = p.signIn(card1, right)
	p.ok(err)
	_, err = p.signIn(card2, right)
	p.wants("who was let in at a time that is none", err, staff.ErrAway)
}

// TestOfflineLock: five wrong PINs lock, whatever is pulled in between, and only
// the upstream unlocks.
func TestOfflineLock(t *testing.T) {
	p := newPost(t)
	_, err := p.signIn(card1, right)
	p.ok(err)
	p.line.away = true
	for left := 4; left >= 0; left-- {
		p.restart(1)
		_, err := p.signIn(card1, wrong)
		w := (*staff.PINWrong)(nil)
		if left > 0 && (!errors.As(err, &w) || w.Left != left) || left == 0 && !errors.Is(err, staff.ErrPINLocked) {
			t.Errorf("with %d left: %v", left, err)
		}
	}
	p.restart(1)
	_, err = p.signIn(card1, right)
	p.wants("the right PIN", err, staff.ErrPINLocked)
	p.line.away = false
	_, err = p.signIn(card1, right)
	p.ok(err)
	p.line.away = true
	_, err = p.signIn(card1, right)
	p.ok(err)
}

// TestAnswerLost: whether the upstream has heard the question makes no difference.
func TestAnswerLost(t *testing.T) {
	p := newPost(t)
	_, err := p.signIn(card1, right)
	p.ok(err)
	p.line.away, p.line.kept = true, true
	_, err = p.signIn(card1, right)
	p.ok(err)
	_, err = p.signIn(card2, right)
	p.wants("who was never here", err, staff.ErrAway)
}

// TestRevokedAtContact: whoever was revoked is signed out at the next contact,
// and does not come in again, with the upstream or without it.
func TestRevokedAtContact(t *testing.T) {
	p := newPost(t)
	ctx := t.Context()
	_, err := p.signIn(card1, right)
	p.ok(err)
	p.ok(p.up.Roll.Revoke(ctx, "c7", "test"))
	p.line.away = true
	if err := p.Refresh(ctx); err == nil || p.Current().No != "c7" {
		t.Errorf("without a contact: %v, %+v is signed in", err, p.Current())
	}
	p.line.away = false
	p.ok(p.Refresh(ctx))
	if m := p.Current(); m.No != "" {
		t.Errorf("%+v is signed in", m)
	}
	if told := p.told(); !strings.HasSuffix(told, `signed out c7 {"revoked":true}`) {
		t.Errorf("the journal says %s", told)
	}
	_, err = p.signIn(card1, right)
	p.wants("with the upstream", err, staff.ErrNobody)
	p.line.away = true
	_, err = p.signIn(card1, right)
	p.wants("without it", err, staff.ErrAway)
}

// TestRelievedMeanwhile: an answer about who was signed in says nothing of who has
// signed in since.
func TestRelievedMeanwhile(t *testing.T) {
	p := newPost(t)
	ctx := t.Context()
	_, err := p.signIn(card1, right)
	p.ok(err)
	p.ok(p.up.Roll.Revoke(ctx, "c7", "test"))
	p.line.answered = func() {
		_, err := p.signIn(card2, right)
		p.ok(err)
	}
	p.ok(p.Refresh(ctx))
	if m := p.Current(); m.No != "s1" {
		t.Errorf("%+v is signed in; the journal says %s", m, p.told())
	}
	p.restart(1)
	p.line.away = true
	if m, err := p.signIn(card2, right); err != nil || m.No != "s1" {
		t.Errorf("offline, %+v is signed in, %v", m, err)
	}
}

// TestRefresh: another role counts at once, and another PIN or card ends what the
// terminal keeps of the old one.
func TestRefresh(t *testing.T) {
	p := newPost(t)
	ctx := t.Context()
	_, err := p.signIn(card1, right)
	p.ok(err)
	p.ok(p.up.Roll.SetRole(ctx, "c7", upstream.Supervisor, "test"))
	p.ok(p.Refresh(ctx))
	if m := p.Current(); m.Role != staff.Supervisor {
		t.Errorf("%+v is signed in", m)
	}
	p.restart(1)
	p.line.away = true
	m, err := p.signIn(card1, right)
	if err != nil || m.Role != staff.Supervisor {
		t.Errorf("offline, %+v is signed in, %v", m, err)
	}
	p.line.away = false
	p.ok(p.up.Roll.SetPIN(ctx, "c7", p.up.PIN("c7", wrong), "test"))
	p.ok(p.Refresh(ctx))
	p.restart(1)
	p.line.away = true
	_, err = p.signIn(card1, right)
	p.wants("with the old PIN", err, staff.ErrAway)
}

// TestRelease: a second person releases one thing, and may not be the same or
// somebody who may do it no more than the first.
func TestRelease(t *testing.T) {
	p := newPost(t)
	ctx := t.Context()
	cashier, err := p.signIn(card1, right)
	p.ok(err)
	ask := staff.Ask{Privilege: staff.NoSale, Ref: "R1"}
	r, err := p.Release(ctx, infoOf(card2), pinOf(right), ask)
	if err != nil || r.By.No != "s1" || cashier.Allow(staff.NoSale, "R1", r) != nil {
		t.Errorf("Release = %+v, %v", r, err)
	}
	_, err = p.Release(ctx, infoOf(card1), pinOf(right), ask)
	p.wants("by the cashier", err, staff.ErrForbidden)
	_, err = p.Release(ctx, infoOf(card2), pinOf(right), staff.Ask{Privilege: staff.Settings, Ref: "R1"})
	p.wants("settings by a supervisor", err, staff.ErrForbidden)
	if _, err = p.Release(ctx, infoOf(card2), pinOf(wrong), ask); err == nil {
		t.Error("released with a wrong PIN")
	}
	if p.Current() != cashier {
		t.Errorf("%+v is signed in", p.Current())
	}
	p.ok(p.Unlock(ctx, infoOf(card1), pinOf(right)))
	p.ok(p.Unlock(ctx, infoOf(card2), pinOf(right)))
	_, err = p.signIn(card2, right)
	p.ok(err)
	p.wants("a cashier unlocks a supervisor's till", p.Unlock(ctx, infoOf(card1), pinOf(right)), staff.ErrForbidden)
}

// TestNothingSecret: neither the file, the journal nor the log has a PIN.
func TestNothingSecret(t *testing.T) {
	p := newPost(t)
	for _, digits := range []string{right, wrong, right} {
		_, _ = p.signIn(card1, digits)
		p.line.away = true
	}
	kept, err := os.ReadFile(p.path)
	p.ok(err)
	for name, text := range map[string]string{"file": string(kept), "journal": p.told(), "log": p.log.String()} {
		if strings.Contains(text, right) || strings.Contains(text, wrong) {
			t.Errorf("the %s has a PIN: %s", name, text)
		}
	}
	if i, err := os.Stat(p.path); err != nil || i.Mode() != 0o600 {
		t.Errorf("the file's mode is %v, %v", i.Mode(), err)
	}
}

// TestKeepTampered: a file that somebody has changed lets nobody in.
func TestKeepTampered(t *testing.T) {
	p := newPost(t)
	_, err := p.signIn(card1, right)
	p.ok(err)
	whole, err := os.ReadFile(p.path)
	p.ok(err)
	p.line.away = true
	for name, change := range map[string]func([]byte) []byte{
		"Role":  func(b []byte) []byte { return bytes.Replace(b, []byte(`"Role":1`), []byte(`"Role":4`), 1) },
		"Cut":   func(b []byte) []byte { return b[:len(b)-1] },
		"Empty": func([]byte) []byte { return nil },
		"Whole": func(b []byte) []byte { return b },
	} {
		p.ok(os.WriteFile(p.path, change(bytes.Clone(whole)), 0o600))
		p.restart(1)
		if _, err := p.signIn(card1, right); (err == nil) != (name == "Whole") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestJournalFails: nobody is signed in of whom the journal does not know.
func TestJournalFails(t *testing.T) {
	p := newPost(t)
	c := p.Config
	c.Book = failing{}
	d := staff.NewDesk(c)
	if m, err := d.SignIn(t.Context(), infoOf(card1), pinOf(right)); !errors.Is(err, errLost) || d.Current() != m {
		t.Errorf("SignIn = %+v, %v; %+v is signed in", m, err, d.Current())
	}
}

// failing is a journal whose disk has failed.
type failing struct{}

func (failing) Append(context.Context, journal.Entry) (journal.Entry, error) {
	return journal.Entry{}, errLost
}
