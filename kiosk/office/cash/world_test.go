package cash_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/office/cash"
	"quancun/kiosk/shift"
	"quancun/kiosk/staff"
	"quancun/ledger"
	"quancun/money"
	"quancun/pboc"
	"quancun/reader"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/reader/sim"
	upstream "quancun/upstream/staff"
	"quancun/upstream/staff/stafftest"
)

const (
	yuan = money.Yuan
	pin  = "271828"
)

// world is a till with a real journal and a drawer, at whose back somebody stands.
type world struct {
	t      *testing.T
	path   string
	rules  shift.Rules
	book   *ledger.Book
	drawer *shift.Drawer
	kicked int
	locked error // why the drawer does not open
	member staff.Member

	slot  *sim.Slot
	laid  uint32
	desk  *office.Desk
	asked []dialog.Question // by the last task
}

// script gives each question the answers of its name, one after the other; the
// last one again and again. A question without any is left.
type script map[dialog.Word][]dialog.Answer

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, path: filepath.Join(t.TempDir(), "journal.db"), slot: sim.NewSlot(),
		member: staff.Member{No: "c7", Name: "李*", Role: staff.Cashier},
	}
	w.ok(w.start())
	t.Cleanup(func() { w.ok(w.book.Close()) })
	return w
}

// start starts the terminal's program.
func (w *world) start() (err error) {
	w.book, err = ledger.Open(context.Background(), w.path, ledger.Options{Terminal: "T01"})
	w.serve(shift.New(w.book, "T01", w.rules))
	return err
}

// serve has the tasks work with a drawer.
func (w *world) serve(d *shift.Drawer) {
	w.drawer = d
	w.desk = &office.Desk{
		Tasks: cash.Tasks(cash.Config{Drawer: d, Kick: w.kick}), Device: w.slot, Profile: profile.Default(),
		Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
}

// kick counts, and looks whether the journal says why the drawer opens.
func (w *world) kick(ctx context.Context) error {
	last, err := w.book.Recent(ctx, 1)
	if err != nil || len(last) == 0 {
		w.t.Errorf("the drawer opens, and the journal has %v, %v", last, err)
	}
	w.kicked++
	return w.locked
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// staff has c7, a cashier, sign in, over a real upstream that knows s1, a
// supervisor, too; both have the same PIN.
func (w *world) staff() (supervisor *sim.Card) {
	w.t.Helper()
	up := stafftest.New(w.t, filepath.Join(w.t.TempDir(), "books.db"))
	cashier, supervisor := w.issue(7), w.issue(8)
	up.Add(upstream.Member{No: "c7", Name: "李小明", Role: upstream.Cashier, Card: w.read(cashier).CardNo.Full()}, pin)
	up.Add(upstream.Member{No: "s1", Name: "王芳", Role: upstream.Supervisor, Card: w.read(supervisor).CardNo.Full()}, pin)
	secret, err := staff.Secret(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)))
	w.ok(err)
	keep, err := staff.OpenKeep(filepath.Join(w.t.TempDir(), "staff"), secret)
	w.ok(err)
	w.desk.Staff = staff.NewDesk(staff.Config{
		Upstream: up.Client("T01"), Book: w.book, Keep: keep, Offline: time.Hour, Patience: 10 * time.Second,
		Log: slog.New(slog.DiscardHandler),
	})
	w.member, err = w.desk.Staff.SignIn(w.t.Context(), w.read(cashier), pinOf(pin))
	w.ok(err)
	return supervisor
}

func (w *world) issue(no byte) *sim.Card {
	w.t.Helper()
	state, err := sim.Issue(profile.Default(), sim.Masters{Load: pboc.Key{1}, TAC: pboc.Key{2}}, sim.Holder{
		CardNo: purse.CardNo{0, 0, 0x20, 0x26, 0, 1, 0, 1, 0x23, no}, UID: [4]byte{1, 2, 3, no}, Name: "测试",
		Start: 20200101, Expiry: 20991231,
	})
	w.ok(err)
	return sim.New(state)
}

func (w *world) read(c *sim.Card) purse.Info {
	w.t.Helper()
	slot := sim.NewSlot()
	slot.Lay(c)
	card, err := slot.Connect()
	w.ok(err)
	info, err := purse.Open(card, profile.Default())
	w.ok(errors.Join(err, card.Close()))
	return info
}

func pinOf(digits string) *kiosk.PIN {
	p := new(kiosk.PIN)
	for _, d := range []byte(digits) {
		p.Add(d)
	}
	return p
}

// pieces answers a count: so many notes of 100 yuan, of 10, and of 1.
func pieces(hundred, ten, one int64) dialog.Answer {
	return dialog.Answer{Pieces: []int64{hundred, 0, 0, ten, 0, one, 0, 0, 0}}
}

func yes() []dialog.Answer { return []dialog.Answer{{}} }

func choice(n int) []dialog.Answer { return []dialog.Answer{{Choice: n}} }

func amount(f money.Fen) []dialog.Answer { return []dialog.Answer{{Amount: f}} }

// do runs a task as the script says, and returns how it ended.
func (w *world) do(task dialog.Word, answers script, laid ...*sim.Card) office.View {
	w.t.Helper()
	views := make(chan office.View, 256)
	s := office.New(w.desk, func(v office.View) { views <- v })
	ctx, stop := context.WithCancel(w.t.Context())
	over := make(chan error, 1)
	go func() { over <- s.Serve(ctx, w.member, reader.State{}) }()
	defer func() { stop(); <-over }()
	w.asked = nil
	menu := <-views
	i := slices.IndexFunc(menu.Entries, func(e office.Entry) bool { return e.Name == task })
	if i < 0 {
		w.t.Fatalf("the menu has no %s", task)
	}
	s.Send(dialog.Input{Event: dialog.Picked, Pick: i})
	for v := range views {
		switch {
		case v.Page != dialog.Asking:
			return v
		case v.Question.Kind == dialog.Working:
			continue
		}
		w.asked = append(w.asked, v.Question)
		w.answer(s, v.Question, answers, laid)
	}
	return office.View{}
}

func (w *world) answer(s *office.Session, q dialog.Question, answers script, laid []*sim.Card) {
	if q.Kind == dialog.AskStaffCard && len(laid) > 0 {
		w.slot.Lay(laid[0])
		w.laid++
		s.Card(reader.State{Connected: true, Card: true, Insertions: w.laid})
		return
	}
	all := answers[q.Name]
	if q.Kind == dialog.AskStaffPIN {
		all = []dialog.Answer{{PIN: pinOf(pin)}}
	}
	if len(all) == 0 {
		s.Send(dialog.Input{Event: dialog.Left})
		return
	}
	if len(all) > 1 {
		answers[q.Name] = all[1:]
	}
	s.Send(dialog.Input{Event: dialog.Answered, Answer: all[0]})
}

// entries returns what the journal has of a kind.
func (w *world) entries(kind journal.Kind) (all []journal.Entry) {
	w.t.Helper()
	page, err := w.book.Since(w.t.Context(), 1, 1000)
	w.ok(err)
	for _, e := range page {
		if e.Kind == kind {
			all = append(all, e)
		}
	}
	return all
}

func (w *world) state() shift.State {
	w.t.Helper()
	s, err := w.drawer.State(w.t.Context())
	w.ok(err)
	return s
}

func fact(facts []dialog.Fact, name dialog.Word) dialog.Fact {
	for _, f := range facts {
		if f.Name == name {
			return f
		}
	}
	return dialog.Fact{}
}
