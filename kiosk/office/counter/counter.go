// Package counter is the card centre's desk (卡务窗口) at a terminal: what a clerk
// does for a holder who stands there with a document.
//
// Each task looks the holder up, shows who it is, asks, and has the clerk confirm.
// Then it writes down what it is about to do, has the upstream do it, writes the
// card, and writes down what came of it. The upstream does an act of a reference
// once, so that whatever was left open by a lost answer or a power cut is asked
// after and ended: by itself ([Desk.Run]) or, where a card is in hand, by the clerk
// ([Open]).
//
// Money moves by entries of their own: cash onto an account or off it, and a fee.
// Cash is the holder's from the moment in which it is in the drawer, whatever
// becomes of what it was for.
//
// It refuses to know screens, and holds no key: what a card gets comes from the
// upstream for this card, concealed.
package counter

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"quancun/journal"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/shift"
	"quancun/kiosk/staff"
	"quancun/ledger"
	"quancun/pboc"
	"quancun/reader/profile"
	"quancun/upstream/client"
	"quancun/upstream/client/centre"
)

// Centre is what the upstream does for a clerk. [centre.Desk] is it.
type Centre interface {
	Find(ctx context.Context, clerk string, f centre.Find) (centre.Holder, error)
	Registered(ctx context.Context, clerk, number string) (name string, err error)
	AllowCash(ctx context.Context, clerk string, c centre.Cash) error
	Acts
	Cards
}

// Acts are done once.
type Acts interface {
	Do(ctx context.Context, clerk string, a centre.Act, pin *[6]byte) (centre.Done, error)
	Did(ctx context.Context, ref string) (centre.Done, error)
	Close(ctx context.Context, ref string) (a centre.Done, was bool, err error)
}

// Cards is what takes the keys of cards.
type Cards interface {
	Begin(ctx context.Context, clerk string, b centre.Blank) (centre.Plan, error)
	Command(ctx context.Context, clerk string, c centre.Command) ([]byte, error)
	SignPIN(ctx context.Context, clerk string, n centre.NewPIN, pin *[6]byte) (pboc.MAC, error)
	HolderCommand(ctx context.Context, clerk string, r centre.Rewrite) ([]byte, error)
	RefuseName(ctx context.Context, clerk string, r centre.NameRefused) error
}

// Authorizer holds money under the number of the next entry. [client.Client] is
// one.
type Authorizer interface {
	Authorize(ctx context.Context, q client.AuthorizeRequest) (client.Approval, error)
}

// Listener hears how far the upstream has the journal, and pushes.
type Listener interface {
	Heard(theirs journal.Head, back bool)
}

// Book is the journal. [ledger.Book] is one.
type Book interface {
	Append(ctx context.Context, e journal.Entry) (journal.Entry, error)
	// AppendAt writes under a number, or returns [ledger.ErrBehind].
	AppendAt(ctx context.Context, e journal.Entry, epoch journal.Epoch, seq int64) (journal.Entry, error)
	Get(ctx context.Context, ref string) (ledger.Item, error)
	OpenItems(ctx context.Context) ([]journal.Entry, error)
	// Next returns the position that the next entry will have.
	Next(ctx context.Context) (journal.Epoch, int64, error)
	Waiting(ctx context.Context) (ledger.Waiting, error)
}

// Shift says whether one is open. [shift.Drawer] is one.
type Shift interface {
	State(ctx context.Context) (shift.State, error)
}

// Config is what the desk works with.
type Config struct {
	Centre  Centre
	Money   Authorizer
	Push    Listener
	Book    Book
	Shift   Shift
	Profile *profile.Profile
	Now     func() time.Time
	Log     *slog.Logger
	Pause   time.Duration // between two looks at the upstream; 0 is a quarter of a second
}

// Desk is the card centre's desk of one terminal.
type Desk struct {
	Config

	// busy is held by whoever has acts in hand: a task, or who ends what was left
	// open.
	busy sync.Mutex
	// stubborn are the cards that have refused to say another name, which busy guards.
	// They are not tried again: three wrong MACs in a row lock a card for good. Those in
	// untold the upstream, which warns all other desks, has not heard of.
	stubborn map[string]bool
	untold   []centre.NameRefused
}

// New returns a desk.
func New(c Config) *Desk {
	if c.Pause == 0 {
		c.Pause = time.Second / 4
	}
	return &Desk{Config: c, stubborn: map[string]bool{}}
}

// Tasks returns what a clerk does. All of it needs the upstream, since nothing
// here is anybody's to decide alone.
func (d *Desk) Tasks() []office.Task {
	task := func(name dialog.Word, needs staff.Privilege, run script) office.Task {
		return office.Task{Name: name, Group: office.Holders, Needs: needs, Online: true, Run: d.task(run)}
	}
	return []office.Task{
		task(Look, staff.Serve, (*serving).look),
		task(TopUp, staff.CashTopUp, (*serving).topUp),
		task(Lost, staff.Serve, (*serving).lost),
		task(Found, staff.UndoLoss, (*serving).found),
		task(Replace, staff.Replace, (*serving).replace),
		task(Issue, staff.IssueCard, (*serving).issue),
		task(Limit, staff.ChangeLimit, (*serving).limit),
		task(PIN, staff.ChangePIN, (*serving).pin),
		task(Name, staff.CorrectHolder, (*serving).name),
		task(Rewrite, staff.CorrectHolder, (*serving).rewrite),
		task(Temporary, staff.Temporary, (*serving).temporary),
		task(Retire, staff.PayOut, (*serving).retire),
		task(Open, staff.Serve, (*serving).open),
	}
}

// Run ends what was left open, until ctx ends, and returns ctx's error.
func (d *Desk) Run(ctx context.Context) error {
	for {
		d.Round(ctx)
		select {
		case <-time.After(roundEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// roundEvery is how often is looked for what was left open.
const roundEvery = 20 * time.Second

// Round ends what was left open and takes nobody to end, unless a task is under way.
func (d *Desk) Round(ctx context.Context) {
	if d.busy.TryLock() {
		defer d.busy.Unlock()
		d.settle(ctx)
	}
}

// serving is one run of a task.
type serving struct {
	*Desk
	*office.Talk
	clerk  string // staff number of who answers for it upstream
	holder centre.Holder
	seen   seen
	kept   dialog.Word // what is so although the task was not done; "": nothing has happened
}

type script func(s *serving, ctx context.Context) (dialog.Report, error)

// task returns a script as a task runs it. What an earlier one has left open is
// ended first, as far as that takes nobody.
func (d *Desk) task(run script) func(context.Context, *office.Talk) (dialog.Report, error) {
	return func(ctx context.Context, t *office.Talk) (dialog.Report, error) {
		d.busy.Lock()
		defer d.busy.Unlock()
		s := &serving{Desk: d, Talk: t, clerk: t.Member().No}
		if r := t.Release(); r != nil {
			s.clerk = r.By.No
		}
		d.settle(ctx)
		r, err := run(s, ctx)
		if err != nil {
			r.Next = s.kept // what else it says is so once it is done
		}
		return r, err
	}
}

// The tasks.
const (
	Look      dialog.Word = "centre.look"
	TopUp     dialog.Word = "centre.topup"
	Lost      dialog.Word = "centre.lost"
	Found     dialog.Word = "centre.found"
	Replace   dialog.Word = "centre.replace"
	Issue     dialog.Word = "centre.issue"
	Limit     dialog.Word = "centre.limit"
	PIN       dialog.Word = "centre.pin"
	Name      dialog.Word = "centre.name"
	Rewrite   dialog.Word = "centre.rewrite"
	Temporary dialog.Word = "centre.temporary"
	Retire    dialog.Word = "centre.retire"
	Open      dialog.Word = "centre.open"
)
