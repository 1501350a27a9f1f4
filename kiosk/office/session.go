package office

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/staff"
	"quancun/reader"
	"quancun/reader/profile"
)

// How long a page waits for a person.
const (
	askMax  = 2 * time.Minute
	readMax = 2 * time.Minute // of what came of a task
	menuMax = 5 * time.Minute
)

// ErrLock means that the till is to be locked: somebody has asked for it, nobody
// stands there any more, or whoever was signed in is not.
var ErrLock = errors.New("office: lock the till")

// Files is where reports are saved.
type Files interface {
	// Save writes a report as a table and as a page, and returns where they are.
	Save(ctx context.Context, r dialog.Report) (place string, err error)
}

// Desk is what the tasks of a till work with.
type Desk struct {
	Tasks   []Task
	Staff   *staff.Desk  // nil: nobody signs in, and nobody can release anything
	Paper   dialog.Paper // nil: there is no printer
	Files   Files        // nil: nothing can be saved
	Device  reader.Device
	Profile *profile.Profile
	Now     func() time.Time
	Log     *slog.Logger
}

// Session is the back of a till. Its methods may be called from any goroutine;
// Serve runs once at a time.
type Session struct {
	Desk *Desk
	Show func(View) // must not block

	inputs chan dialog.Input
	cards  chan reader.State
	online atomic.Bool
	turned chan struct{} // online has changed

	// What follows belongs to the goroutine of Serve.
	first  dialog.Word // the task that the next Serve begins with
	view   View
	member staff.Member
	slot   reader.State
	taken  uint32 // insertion that has answered a question of this task
	pages  int    // shown so far
	lock   bool   // the till is to be locked
}

// New returns a session that shows its views to show.
func New(d *Desk, show func(View)) *Session {
	return &Session{Desk: d, Show: show, inputs: make(chan dialog.Input, 16), cards: make(chan reader.State, 16),
		turned: make(chan struct{}, 1)}
}

// Send hands over what a person did. It never waits; who is sixteen taps ahead
// will not miss one.
func (s *Session) Send(in dialog.Input) {
	select {
	case s.inputs <- in:
	default:
		in.Answer.PIN.Wipe()
	}
}

// Card hands over a change of the reader.
func (s *Session) Card(now reader.State) {
	select {
	case s.cards <- now:
	default: // the next look has the newest state
	}
}

// Online says whether the upstream answers.
func (s *Session) Online(yes bool) {
	if s.online.Swap(yes) == yes {
		return
	}
	select {
	case s.turned <- struct{}{}:
	default: // the menu has not looked yet
	}
}

// IsOnline reports whether the upstream answers.
func (s *Session) IsOnline() bool { return s.online.Load() }

// Begin has the next Serve begin with a task, and end after it, done or left. It
// belongs to the goroutine of Serve.
func (s *Session) Begin(task dialog.Word) { s.first = task }

// Serve serves m until m leaves, and returns nil, [ErrLock], or ctx's error. A
// task that is under way is at its end then.
func (s *Session) Serve(ctx context.Context, m staff.Member, slot reader.State) error {
	s.member, s.slot, s.lock = m, slot, false
	s.drain()
	for {
		s.page(View{View: dialog.View{Page: Menu}, Entries: s.menu()})
		in, begun, err := s.pick(ctx)
		switch {
		case err != nil:
			return err
		case s.lock || !s.still():
			return ErrLock
		case in.Event == dialog.Left:
			return nil
		case in.Event == dialog.Picked && s.canPick(in.Pick):
			err = s.run(ctx, s.Desk.Tasks[s.view.Entries[in.Pick].task])
		}
		if err != nil {
			return err
		}
		if s.lock || !s.still() {
			return ErrLock
		}
		if begun {
			return nil
		}
	}
}

// canPick reports whether the menu has an i-th entry that can be done now.
func (s *Session) canPick(i int) bool {
	return i >= 0 && i < len(s.view.Entries) && s.view.Entries[i].Why == ""
}

// pick returns what m does at the menu. What [Session.Begin] has named is begun
// without being asked for, unless it takes a second person.
func (s *Session) pick(ctx context.Context) (in dialog.Input, begun bool, err error) {
	i := slices.IndexFunc(s.view.Entries, func(e Entry) bool { return e.Name == s.first && !e.Release })
	s.first = ""
	if i >= 0 {
		return dialog.Input{Event: dialog.Picked, Pick: i}, true, nil
	}
	in, err = s.wait(ctx, menuMax)
	return in, false, err
}

// still reports whether the member is still signed in, and takes what the upstream
// has said of the member's role since.
func (s *Session) still() bool {
	if s.Desk.Staff == nil {
		return true
	}
	now := s.Desk.Staff.Current()
	if now.No != s.member.No {
		return false
	}
	s.member = now
	return true
}

// page begins a page.
func (s *Session) page(v View) {
	s.pages++
	v.No = s.pages
	s.view = v
}

// drain forgets what was done at pages that nobody sees any more.
func (s *Session) drain() {
	for {
		select {
		case in := <-s.inputs:
			in.Answer.PIN.Wipe()
		default:
			return
		}
	}
}

// menu is what m may do, and what can be done now. What only others may do is
// shown if one of them can release it.
func (s *Session) menu() (all []Entry) {
	for i, t := range s.Desk.Tasks {
		e := Entry{Name: t.Name, Group: t.Group, task: i}
		switch {
		case t.Online && !s.online.Load():
			e.Why = NeedsUpstream
		case !s.member.Role.May(t.Needs) && s.Desk.Staff == nil:
			continue
		case !s.member.Role.May(t.Needs):
			e.Release = true
		}
		all = append(all, e)
	}
	return all
}

// wait shows the view and returns what the person did. Nothing for long means
// that they have left: what came of a task, or the till.
func (s *Session) wait(ctx context.Context, long time.Duration) (dialog.Input, error) {
	s.view.Ends = s.Desk.Now().Add(long)
	s.Show(s.view)
	timer := time.NewTimer(long)
	defer timer.Stop()
	for {
		select {
		case in := <-s.inputs:
			if s.heard(&in) {
				return in, nil
			}
		case <-s.turned:
			if s.view.Page == Menu {
				s.view.Entries = s.menu()
				s.Show(s.view)
			}
		case s.slot = <-s.cards:
		case <-timer.C:
			s.lock = s.view.Page == Menu && s.Desk.Staff != nil
			return dialog.Input{Event: dialog.Left}, nil
		case <-ctx.Done():
			return dialog.Input{}, ctx.Err()
		}
	}
}

// heard reports whether in is about the page that is shown, and not about one
// that is over. Who locks the till leaves everything.
func (s *Session) heard(in *dialog.Input) bool {
	if in.No != 0 && in.No != s.view.No {
		in.Answer.PIN.Wipe()
		return false
	}
	if in.Event == dialog.LockUp {
		s.lock = true
		in.Event = dialog.Left
	}
	return true
}

// run runs a task to its end and shows what came of it.
func (s *Session) run(ctx context.Context, t Task) error {
	s.taken = 0
	talk := dialog.Begin(ctx, kiosk.NewRef(), func(ctx context.Context, d *dialog.Talk) (r dialog.Report, err error) {
		talk := &Talk{Talk: d, desk: s.Desk, member: s.member}
		if talk.given, err = talk.Need(ctx, t.Needs); err != nil {
			return r, err
		}
		return t.Run(ctx, talk)
	})
	defer talk.Stop()
	for {
		select {
		case q := <-talk.Asks():
			s.page(View{View: dialog.View{Page: dialog.Asking, Task: t.Name, Question: q}})
			if q.Kind == dialog.Working {
				s.Show(s.view)
				continue
			}
			a, err := s.question(ctx, q)
			if err != nil {
				<-talk.Ended()
				return err
			}
			talk.Answer(a)
		case s.slot = <-s.cards:
		case in := <-s.inputs: // nobody leaves what is being done
			in.Answer.PIN.Wipe()
		case e := <-talk.Ended():
			return s.end(ctx, t, e)
		}
	}
}

// question waits for the answer to q. A card that lies there already answers, but
// for one that has answered another question of this task.
func (s *Session) question(ctx context.Context, q dialog.Question) (dialog.Answer, error) {
	s.view.Ends = s.Desk.Now().Add(askMax)
	s.Show(s.view)
	timer := time.NewTimer(askMax)
	defer timer.Stop()
	for {
		if q.WantsCard() && s.slot.Card && s.slot.Insertions != s.taken {
			s.taken = s.slot.Insertions
			return dialog.Answer{Card: true}, nil
		}
		select {
		case in := <-s.inputs:
			if !s.heard(&in) {
				continue
			}
			if a, ok := q.Reply(in); ok {
				return a, nil
			}
		case s.slot = <-s.cards:
		case <-timer.C:
			return dialog.Answer{Left: true}, nil
		case <-ctx.Done():
			return dialog.Answer{}, ctx.Err()
		}
	}
}

// end shows how a task ended until it was read. Who has left needs no telling.
func (s *Session) end(ctx context.Context, t Task, e dialog.End) error {
	if errors.Is(e.Err, dialog.ErrLeft) {
		return nil
	}
	if ctx.Err() != nil && e.Err != nil {
		return ctx.Err()
	}
	s.page(View{View: dialog.View{Page: dialog.Ended, Task: t.Name, Report: e.Report}})
	s.view.CanPrint, s.view.CanSave = s.Desk.Paper != nil, s.Desk.Files != nil
	s.view.Outcome, s.view.Fault, s.view.Why = kiosk.HowEnded(e.Err)
	if e.Err != nil {
		s.Desk.Log.Warn("task ended", "task", string(t.Name), "outcome", int(s.view.Outcome), "err", e.Err)
	}
	if e.Report.Print && e.Err == nil {
		s.print(ctx)
	}
	for {
		in, err := s.wait(ctx, readMax)
		if err != nil {
			return err
		}
		switch in.Event {
		case dialog.Left:
			return nil
		case dialog.PrintIt:
			s.print(ctx)
		case dialog.SaveIt:
			s.save(ctx)
		}
	}
}

// print prints the report that is shown, and says so on the page.
func (s *Session) print(ctx context.Context) {
	if s.Desk.Paper == nil {
		return
	}
	s.view.Printed = dialog.Printing
	s.Show(s.view)
	if s.view.Printed = dialog.Printed; s.Desk.Paper.Print(ctx, s.view.Titled()) != nil {
		s.view.Printed = dialog.NotYet
	}
}

// save writes the report that is shown into files, and says where on the page.
func (s *Session) save(ctx context.Context) {
	if s.Desk.Files == nil {
		return
	}
	place, err := s.Desk.Files.Save(ctx, s.view.Titled())
	if err != nil {
		s.Desk.Log.Error("report not saved", "err", err)
	}
	s.view.Saved, s.view.NotSaved = place, err != nil
}
