package counter_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/office/counter"
	"quancun/kiosk/shift"
	"quancun/kiosk/staff"
	"quancun/ledger"
	"quancun/money"
	"quancun/pboc"
	"quancun/reader"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/reader/sim"
	"quancun/upstream/client"
	"quancun/upstream/client/centre"
)

const yuan = money.Yuan

var clerk = staff.Member{No: "k9", Name: "李*", Role: staff.Clerk}

// errLost is an answer that was lost, or a machine that is dead.
var errLost = errors.New("no answer")

// power is the machine's: from one of its steps on, nothing works any more.
type power struct {
	mu    sync.Mutex
	left  int  // steps until it fails; less than 0: never
	after bool // the last step was still done
	off   func()
}

// step does f, unless the power fails before it, and is errLost if it fails before
// its answer.
func (p *power) step(f func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left == 0 {
		p.off()
		return errLost
	}
	p.left--
	if p.left == 0 && !p.after {
		p.off()
		return errLost
	}
	err := f()
	if p.left == 0 {
		p.off()
		return errLost
	}
	return err
}

// world is a terminal at the card centre, its upstream with one holder, and who
// stands at both sides of the counter.
type world struct {
	t    *testing.T
	path string
	book *ledger.Book

	allowed []int64 // numbers under which cash may be taken
	between func()  // somebody writes before the next entry that has a number
	slot    *sim.Slot
	power   *power
	fails   journal.Kind // at which the journal fails
	keeps   bool         // and has taken it all the same

	// The upstream's.
	holder    centre.Holder
	start     money.Fen // balance before the first entry
	acts      map[string]centre.Done
	closed    map[string]bool
	numbers   map[string]string // of cards that were begun, by ref
	chips     map[string]string // and the UIDs of their blanks
	pinOf     [6]byte
	register  map[string]string // the school's names, by number
	loseDo    bool              // answers to acts are lost
	loseClose bool
	over      bool  // the clerk's session
	barred    bool  // the clerk is none any more, from the second act on
	noKey     error // instead of what a card takes to say another name
	wrongKey  bool  // a card does not believe the name
	deaf      bool  // the upstream does not hear of cards that refuse
	refusals  []centre.NameRefused

	answers map[dialog.Word]func() dialog.Answer // to questions that have another answer than the usual
	asked   []dialog.Word
	card    *sim.Card // that is laid down when a card is asked for
	before  func(q dialog.Question)
	leave   bool // when a card is asked for, once
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, path: filepath.Join(t.TempDir(), "journal.db"), slot: sim.NewSlot(), power: &power{left: -1},
		start: 30 * yuan, acts: map[string]centre.Done{}, closed: map[string]bool{}, numbers: map[string]string{}, chips: map[string]string{},
		answers: map[dialog.Word]func() dialog.Answer{},
		holder: centre.Holder{
			Account: "1001", Name: "王小明", MaskedName: "王*明", Number: "2026000101", DailyLimit: 50 * yuan,
			TopUpMax: 200 * yuan, ReplacementFee: 15 * yuan,
			Cards: []centre.Card{{No: "00002026000000000001", Status: client.CardHot, Purse: 10 * yuan}},
		},
		card: sim.New(sim.NewBlank(profile.Default(), sim.LabTransport, [4]byte{1, 2, 3, 4})),
	}
	w.open()
	t.Cleanup(func() {
		if err := w.book.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) open() {
	w.t.Helper()
	var err error
	if w.book, err = ledger.Open(context.Background(), w.path, ledger.Options{Terminal: "K01"}); err != nil {
		w.t.Fatal(err)
	}
}

// reboot is a power cut: what is not on the disk is gone.
func (w *world) reboot() {
	w.t.Helper()
	if err := w.book.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.slot.Take()
	w.power = &power{left: -1}
	w.open()
}

// put writes an entry into the journal, as another part of the terminal does.
func (w *world) put(e journal.Entry) {
	w.t.Helper()
	if _, err := w.book.Append(context.Background(), e); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) openShift() {
	w.put(journal.Entry{Kind: journal.ShiftOpened, Ref: kiosk.NewRef(), Operator: clerk.No, Amount: 100 * yuan})
}

// run does a task to its end, and returns the last page.
func (w *world) run(task dialog.Word) office.View {
	w.t.Helper()
	return w.runOn(w.desk(), task)
}

// runOn runs a task at a desk.
func (w *world) runOn(d *counter.Desk, task dialog.Word) office.View {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.t.Context())
	defer stop()
	w.power.off = stop
	w.slot.Take()
	quiet := slog.New(slog.DiscardHandler)
	tasks := d.Tasks()
	views, changes := make(chan office.View, 256), make(chan reader.State)
	s := office.New(&office.Desk{
		Tasks: tasks, Device: w.slot, Profile: profile.Default(), Now: time.Now, Log: quiet,
	}, func(v office.View) { views <- v })
	s.Online(true)
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { _ = reader.Watch(ctx, w.slot, changes, quiet) })
	all.Go(func() {
		for now := range changes {
			s.Card(now)
		}
	})
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, clerk, reader.State{Connected: true}) }()
	defer func() { stop(); <-served }()
	return w.answer(ctx, s, views, task)
}

func (w *world) desk() *counter.Desk {
	up := &upstream{w}
	return counter.New(counter.Config{
		Centre: up, Money: up, Push: up, Book: book{w}, Profile: profile.Default(), Now: time.Now,
		Shift: shift.New(w.book, "K01", shift.Rules{}), Pause: time.Millisecond, Log: slog.New(slog.DiscardHandler),
	})
}

// answer answers whatever is asked.
func (w *world) answer(ctx context.Context, s *office.Session, views <-chan office.View, task dialog.Word) office.View {
	w.t.Helper()
	picked, replied, last := 0, 0, office.View{} // numbers of pages
	for {
		select {
		case <-ctx.Done():
			return last
		case <-time.After(20 * time.Second):
			w.t.Fatalf("nothing more after %+v", last)
		case last = <-views:
		}
		switch {
		case last.Page == dialog.Ended, last.Page == office.Menu && picked != 0 && last.No != picked:
			return last
		case last.Page == office.Menu && picked == 0:
			picked = last.No
			for i, e := range last.Entries {
				if e.Name == task {
					s.Send(dialog.Input{No: last.No, Event: dialog.Picked, Pick: i})
				}
			}
		case last.Page == dialog.Asking && last.Question.Kind != dialog.Working && last.No != replied:
			replied = last.No
			w.reply(s, last)
		}
	}
}

func (w *world) reply(s *office.Session, v office.View) {
	q := v.Question
	w.asked = append(w.asked, q.Name)
	if w.before != nil {
		w.before(q)
	}
	a := dialog.Answer{}
	switch q.Kind {
	case dialog.AskNumber:
		a.Text = w.holder.Number
	case dialog.AskText:
		a.Text = "123X"
	case dialog.AskAmount:
		a.Amount = 20 * yuan
	case dialog.AskPIN:
		a.PIN = digits("246802")
	case dialog.AskCard:
		w.slot.Take()
		if a.Left = w.leave; !a.Left {
			w.slot.Lay(w.card)
			return
		}
		w.leave = false
	}
	if f := w.answers[q.Name]; f != nil {
		a = f()
	}
	if a.Left {
		s.Send(dialog.Input{No: v.No, Event: dialog.Left})
		return
	}
	s.Send(dialog.Input{No: v.No, Event: dialog.Answered, Answer: a})
}

func digits(s string) *kiosk.PIN {
	p := new(kiosk.PIN)
	for i := range s {
		p.Add(s[i])
	}
	return p
}

// choose answers a question with one of its options.
func (w *world) choose(name dialog.Word, n int) {
	w.answers[name] = func() dialog.Answer { return dialog.Answer{Choice: n} }
}

// entries returns all that is in the journal of a kind.
func (w *world) entries(k journal.Kind) (all []journal.Entry) {
	w.t.Helper()
	every, err := w.book.Since(context.Background(), 1, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range every {
		if e.Kind == k {
			all = append(all, e)
		}
	}
	return all
}

// balance is what the upstream has booked, which is all of the journal.
func (w *world) balance() money.Fen {
	b := w.start
	for _, e := range w.entries(journal.CashTopUp) {
		b += e.Amount
	}
	for _, k := range []journal.Kind{journal.PayOut, journal.Fee} {
		for _, e := range w.entries(k) {
			b -= e.Amount
		}
	}
	return b
}

// opens reads the card in hand.
func (w *world) opens() (purse.Info, error) {
	w.card.PowerOn()
	return purse.Open(w.card, profile.Default())
}

// blank is a chip that nobody has.
func (w *world) blank(n byte) sim.State {
	return sim.NewBlank(profile.Default(), sim.LabTransport, [4]byte{n})
}

// book is the journal on a machine whose power may fail.
type book struct{ *world }

func (b book) Append(ctx context.Context, e journal.Entry) (done journal.Entry, err error) {
	return b.write(e.Kind, func() (journal.Entry, error) { return b.book.Append(ctx, e) })
}

func (b book) AppendAt(ctx context.Context, e journal.Entry, epoch journal.Epoch, seq int64) (journal.Entry, error) {
	return b.write(e.Kind, func() (journal.Entry, error) {
		if between := b.between; between != nil {
			b.between = nil
			between()
		}
		return b.book.AppendAt(ctx, e, epoch, seq)
	})
}

func (b book) write(k journal.Kind, do func() (journal.Entry, error)) (done journal.Entry, err error) {
	if k == b.fails {
		if b.keeps {
			_, err = do()
		}
		return journal.Entry{}, errors.Join(ledger.ErrFailed, err)
	}
	err = b.power.step(func() error { done, err = do(); return err })
	return done, err
}

func (b book) Get(ctx context.Context, ref string) (ledger.Item, error) { return b.book.Get(ctx, ref) }

func (b book) OpenItems(ctx context.Context) ([]journal.Entry, error) { return b.book.OpenItems(ctx) }

func (b book) Next(ctx context.Context) (journal.Epoch, int64, error) { return b.book.Next(ctx) }

func (b book) Waiting(ctx context.Context) (ledger.Waiting, error) { return b.book.Waiting(ctx) }

// upstream is a card centre in memory: it does each act once, and what is closed
// never.
type upstream struct{ *world }

func no(r centre.Reason) error { return &centre.Refusal{Reason: r} }

func (u *upstream) Find(_ context.Context, _ string, f centre.Find) (centre.Holder, error) {
	if u.over {
		u.over = false
		return centre.Holder{}, no(centre.SessionOver)
	}
	h := u.holder
	card := false
	for _, c := range h.Cards {
		card = card || f.Card == c.No
	}
	if f.Account != h.Account && f.Number != h.Number && !card {
		return centre.Holder{}, no(centre.HolderUnknown)
	}
	h.Balance, h.Available = u.balance(), u.balance()
	return h, nil
}

func (u *upstream) Registered(_ context.Context, _, number string) (string, error) {
	if name := u.register[number]; name != "" {
		return name, nil
	}
	return "", no(centre.HolderUnknown)
}

func (u *upstream) AllowCash(ctx context.Context, _ string, c centre.Cash) error {
	epoch, seq, err := u.book.Next(ctx)
	switch {
	case err != nil:
		return err
	case c.Epoch != epoch || c.Seq != seq:
		return no(centre.NumberPassed)
	case c.Amount > u.holder.TopUpMax:
		return no(centre.AmountOutOfRange)
	}
	u.allowed = append(u.allowed, c.Seq)
	return nil
}

func (u *upstream) Do(_ context.Context, _ string, a centre.Act, pin *[6]byte) (done centre.Done, err error) {
	if u.barred && len(u.acts) > 0 {
		return centre.Done{}, no(centre.Forbidden)
	}
	err = u.power.step(func() error { done, err = u.act(a, pin); return err })
	if err == nil && u.loseDo {
		return centre.Done{}, errLost
	}
	return done, err
}

func (u *upstream) act(a centre.Act, pin *[6]byte) (centre.Done, error) {
	if done, ok := u.acts[a.Ref]; ok {
		return done, nil
	}
	switch {
	case u.closed[a.Ref]:
		return centre.Done{}, no(centre.ActClosed)
	case a.Kind == centre.Retired && u.balance() != 0:
		return centre.Done{}, no(centre.LeftOver)
	case a.Kind == centre.Opened:
		u.holder = centre.Holder{Account: a.Account, Name: a.Name, Number: a.Account, Until: a.Until}
	case a.Kind == centre.Limited:
		u.holder.DailyLimit = a.Limit
	case a.Kind == centre.Named:
		u.holder.Name = a.Name
	case a.Kind == centre.Retired:
		u.holder.Closed = true
	}
	if pin != nil {
		u.pinOf = *pin
	}
	for i := range u.holder.Cards {
		c := &u.holder.Cards[i]
		switch {
		case a.Kind == centre.Issued:
			c.Status = client.CardRetired
		case a.Kind == centre.Lost && c.No == a.Card:
			c.Status = client.CardHot
		case a.Kind == centre.Found && c.No == a.Card:
			c.Status = client.CardActive
		}
	}
	if a.Kind == centre.Issued {
		u.holder.Cards = append(u.holder.Cards, centre.Card{No: a.Card, Status: client.CardActive})
	}
	u.acts[a.Ref] = centre.Done{Act: a, At: time.Now()}
	return u.acts[a.Ref], nil
}

func (u *upstream) Did(_ context.Context, ref string) (centre.Done, error) {
	if done, ok := u.acts[ref]; ok {
		return done, nil
	}
	return centre.Done{}, no(centre.ActUnknown)
}

func (u *upstream) Close(_ context.Context, ref string) (done centre.Done, was bool, err error) {
	if u.loseClose {
		return done, false, errLost
	}
	err = u.power.step(func() error {
		if done, was = u.acts[ref]; !was {
			u.closed[ref] = true
		}
		return nil
	})
	return done, was, err
}

func (u *upstream) Begin(_ context.Context, _ string, b centre.Blank) (p centre.Plan, err error) {
	err = u.power.step(func() error {
		if uid := u.chips[b.Ref]; uid != "" && uid != b.UID {
			return no(centre.ActConflict)
		}
		if u.numbers[b.Ref] == "" {
			u.chips[b.Ref] = b.UID
			u.numbers[b.Ref] = "0000202600000000" + string(rune('A'+len(u.numbers))) + "000"
		}
		p = centre.Plan{
			CardNo: u.numbers[b.Ref], Name: u.holder.Name, Number: u.holder.Number,
			Start: time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC), Expiry: time.Date(2036, 8, 31, 0, 0, 0, 0, time.UTC),
		}
		return nil
	})
	return p, err
}

func (u *upstream) Command(_ context.Context, _ string, c centre.Command) (field []byte, err error) {
	err = u.power.step(func() error { field, err = keys(c.Factor).Field(c.Order); return err })
	return field, err
}

// keys are those of a card that is made here.
func keys(f [8]byte) pboc.NewKeys {
	k := sim.LabMasters.For(f)
	return pboc.NewKeys{
		Transport: sim.LabTransport, Issuer: pboc.Key{1}, Control: pboc.Key{2}, Maintenance: pboc.Key{3},
		TAC: pboc.Key(k.TAC), Reload: pboc.Key(k.Reload), Purchase: pboc.Key(k.Purchase), Load: pboc.Key(k.Load),
	}
}

func (u *upstream) HolderCommand(_ context.Context, _ string, r centre.Rewrite) (field []byte, err error) {
	no, err := purse.ParseCardNo(r.CardNo)
	if err != nil {
		return nil, err
	}
	if u.noKey != nil {
		return nil, u.noKey
	}
	k := keys([8]byte(no[2:]))
	if u.wrongKey && r.Part == pboc.PartFile {
		k.Maintenance[0]++
	}
	err = u.power.step(func() error { field, err = k.Field(r.Order); return err })
	return field, err
}

func (u *upstream) RefuseName(_ context.Context, _ string, r centre.NameRefused) error {
	if u.deaf {
		return errLost
	}
	u.refusals = append(u.refusals, r)
	for i, c := range u.holder.Cards {
		if c.No == r.CardNo {
			u.holder.Cards[i].Refused, u.holder.Cards[i].RefusedAt = r.Status, "K01"
		}
	}
	return nil
}

func (u *upstream) SignPIN(_ context.Context, _ string, n centre.NewPIN, pin *[6]byte) (pboc.MAC, error) {
	if *pin != u.pinOf {
		return pboc.MAC{}, no(centre.PINWrong)
	}
	no, err := purse.ParseCardNo(n.CardNo)
	if err != nil {
		return pboc.MAC{}, err
	}
	var packed [3]byte
	for i := range packed {
		packed[i] = (pin[2*i]-'0')<<4 | (pin[2*i+1] - '0')
	}
	return pboc.Key(sim.LabMasters.For([8]byte(no[2:])).Reload).Folded().MAC(packed[:]), nil
}

func (u *upstream) Authorize(_ context.Context, q client.AuthorizeRequest) (a client.Approval, err error) {
	err = u.power.step(func() error {
		if a.Approved = u.balance() >= q.Amount; !a.Approved {
			a.Reason = client.NotEnough
		}
		return nil
	})
	return a, err
}

func (u *upstream) Heard(journal.Head, bool) {}
