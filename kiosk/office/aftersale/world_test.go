package aftersale_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/channel"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/office/aftersale"
	"quancun/kiosk/refund"
	"quancun/kiosk/staff"
	"quancun/kiosk/tender"
	"quancun/ledger"
	"quancun/money"
	"quancun/pboc"
	"quancun/reader"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/reader/sim"
	"quancun/upstream/client"
	upstream "quancun/upstream/staff"
	"quancun/upstream/staff/stafftest"
)

const (
	yuan = money.Yuan
	pin  = "271828"
)

// world is a till with a real journal at whose back somebody stands.
type world struct {
	t      *testing.T
	book   *ledger.Book
	word   journal.Certificate
	wallet *wallet
	paper  *paper
	online bool
	now    time.Time
	member staff.Member

	slot    *sim.Slot
	laid    uint32
	config  aftersale.Config
	desk    *office.Desk
	asked   []dialog.Question // by the last task
	answers map[dialog.Word]dialog.Answer
}

// wallet is the upstream of a wallet's payments, which gives back, refuses, or
// says nothing.
type wallet struct {
	channel.Upstream
	state client.RefundState
	err   error
	calls int

	sold tender.Sold // of Query
	ask  error
}

func (w *wallet) RefundCodePayment(context.Context, string, string, money.Fen) (client.RefundState, error) {
	w.calls++
	return w.state, w.err
}

func (w *wallet) Query(context.Context, string) (tender.Sold, error) { return w.sold, w.ask }

// paper is a printer's tray without a printer.
type paper struct {
	state   dialog.Word
	waiting int
	copies  map[string]int
	err     error
}

func (p *paper) Printer(context.Context) (dialog.Word, int) { return p.state, p.waiting }

func (p *paper) PrintWaiting(context.Context) (int, error) {
	n := p.waiting
	p.waiting = 0
	return n, p.err
}

func (p *paper) Copy(_ context.Context, ref string) (int, error) {
	if p.copies == nil {
		p.copies = map[string]int{}
	}
	p.copies[ref]++
	return p.copies[ref], p.err
}

// hand keeps nobody off anything.
type hand struct{}

func (hand) Take(string)     {}
func (hand) Drop(string)     {}
func (hand) Has(string) bool { return false }

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, wallet: &wallet{state: client.RefundDone}, paper: &paper{state: aftersale.PrinterReady}, online: true,
		now: time.Now(), slot: sim.NewSlot(), member: staff.Member{No: "c7", Name: "李*", Role: staff.Cashier},
	}
	public, key, err := ed25519.GenerateKey(rand.Reader)
	w.ok(err)
	campus, campusKey, err := ed25519.GenerateKey(rand.Reader)
	w.ok(err)
	w.word, err = journal.Certify("T01", public, time.Now(), campusKey)
	w.ok(err)
	w.book, err = ledger.Open(t.Context(), filepath.Join(t.TempDir(), "journal.db"), ledger.Options{Terminal: "T01", Key: key})
	w.ok(err)
	t.Cleanup(func() { w.ok(w.book.Close()) })
	log := slog.New(slog.DiscardHandler)
	w.config = aftersale.Config{
		Terminal: "T01", Book: w.book, Wallet: w.wallet, Receipts: w.paper,
		Campus: func() ed25519.PublicKey { return campus },
		Online: func() bool { return w.online }, Now: func() time.Time { return w.now },
		Refunds: &refund.Desk{
			Book: w.book, Limit: 50 * yuan,
			Channel: &channel.Refunder{Book: w.book, Upstream: w.wallet, InHand: hand{}, Log: log},
		},
	}
	w.desk = &office.Desk{
		Tasks: aftersale.Tasks(w.config), Device: w.slot, Profile: profile.Default(), Now: time.Now, Log: log,
	}
	return w
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
	up.Add(upstream.Member{No: "c7", Name: "李小明", Role: upstream.Cashier, Card: infoOf(w, cashier).CardNo.Full()}, pin)
	up.Add(upstream.Member{No: "s1", Name: "王芳", Role: upstream.Supervisor, Card: infoOf(w, supervisor).CardNo.Full()}, pin)
	secret, err := staff.Secret(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)))
	w.ok(err)
	keep, err := staff.OpenKeep(filepath.Join(w.t.TempDir(), "staff"), secret)
	w.ok(err)
	w.desk.Staff = staff.NewDesk(staff.Config{
		Upstream: up.Client("T01"), Book: w.book, Keep: keep, Offline: time.Hour, Patience: 10 * time.Second,
		Log: slog.New(slog.DiscardHandler),
	})
	w.member, err = w.desk.Staff.SignIn(w.t.Context(), infoOf(w, cashier), pinOf(pin))
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

func infoOf(w *world, c *sim.Card) purse.Info {
	w.t.Helper()
	slot := sim.NewSlot()
	slot.Lay(c)
	card, err := slot.Connect()
	w.ok(err)
	info, err := purse.Open(card, profile.Default())
	w.ok(errors.Join(err, card.Close()))
	slot.Take()
	return info
}

func pinOf(digits string) *kiosk.PIN {
	p := new(kiosk.PIN)
	for _, d := range []byte(digits) {
		p.Add(d)
	}
	return p
}

// sell writes a sale down as the till does, and returns the entry that says so.
func (w *world) sell(kind journal.Kind, ref string, amount money.Fen) journal.Entry {
	w.t.Helper()
	e := journal.Entry{Kind: kind, Ref: ref, Merchant: "canteen", Operator: "c7", Amount: amount}
	switch kind {
	case journal.SaleIntent:
		e.Card, e.Purse = "00002026000100012345", new(journal.Purse)
		w.append(e)
		e = journal.Entry{Kind: journal.SaleEnd, Ref: ref, Outcome: journal.Written}
	case journal.CodeSale:
		e.Account = "1001"
	}
	return w.append(e)
}

func (w *world) append(e journal.Entry) journal.Entry {
	w.t.Helper()
	e, err := w.book.Append(w.t.Context(), e)
	w.ok(err)
	return e
}

// do runs a task, gives each question the answer of its name, and returns how it
// ended. A question without an answer is left.
func (w *world) do(task dialog.Word, answers map[dialog.Word]dialog.Answer, laid ...*sim.Card) office.View {
	w.t.Helper()
	views := make(chan office.View, 64)
	s := office.New(w.desk, func(v office.View) { views <- v })
	s.Online(w.online)
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
	s.Send(dialog.Input{No: menu.No, Event: dialog.Picked, Pick: i})
	for v := range views {
		switch {
		case v.No == menu.No: // it was drawn anew, since the upstream answers
			continue
		case v.Page != dialog.Asking:
			return v
		case v.Question.Kind == dialog.Working:
			continue
		}
		w.asked = append(w.asked, v.Question)
		if v.Question.Kind == dialog.AskStaffCard && len(laid) > 0 {
			w.slot.Lay(laid[0])
			w.laid++
			s.Card(reader.State{Connected: true, Card: true, Insertions: w.laid})
			continue
		}
		a, ok := answers[v.Question.Name]
		if !ok {
			s.Send(dialog.Input{No: v.No, Event: dialog.Left})
			continue
		}
		if v.Question.Kind == dialog.AskStaffPIN {
			a.PIN = pinOf(pin)
		}
		s.Send(dialog.Input{No: v.No, Event: dialog.Answered, Answer: a})
	}
	return office.View{}
}

func (w *world) names() string {
	s := ""
	for _, q := range w.asked {
		s += fmt.Sprintf("%s ", q.Name)
	}
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
