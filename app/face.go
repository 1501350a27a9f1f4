package app

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"fyne.io/fyne/v2"
	"golang.org/x/sync/errgroup"

	"quancun/app/paper"
	"quancun/kiosk"
	"quancun/kiosk/till"
	"quancun/reader"
	"quancun/reader/scanner"
	"quancun/ui"
)

// face is what a person meets at the terminal: a flow, and the window that shows
// it.
type face interface {
	// serve runs the flow until ctx ends. It is called once the journal is open.
	serve(ctx context.Context) error
	// outOfOrder shows that the terminal takes nobody's money, and why.
	outOfOrder(fault kiosk.Code)
	// window makes the window, on the main goroutine.
	window(a fyne.App, o ui.Options) window
}

// window is a face's window.
type window interface {
	Open()
	Run(ctx context.Context) error
	// forward shows each view of the flow until ctx ends. It is the only place
	// where the flow meets Fyne.
	forward(ctx context.Context) error
}

// line is what goes between a flow and its window: views of one sort, inputs of
// another.
type line[V, I any] struct {
	views  chan V
	inputs chan I
	log    *slog.Logger
}

func newLine[V, I any](log *slog.Logger) line[V, I] {
	return line[V, I]{make(chan V, 64), make(chan I, 16), log}
}

// show never blocks the flow: the screen wants the newest view, and drops what
// it has not drawn yet.
func (l line[V, I]) show(v V) {
	for {
		select {
		case l.views <- v:
			return
		default:
		}
		select {
		case <-l.views:
		default:
		}
	}
}

// send hands on what a person did, or reports that it was dropped. It never
// waits, because it is called by the screen: a flow that has not taken sixteen
// taps will not miss another.
func (l line[V, I]) send(in I) bool {
	select {
	case l.inputs <- in:
		return true
	default:
		l.log.Warn("input dropped")
		return false
	}
}

// forward hands each view to a window.
func (l line[V, I]) forward(ctx context.Context, show func(V)) error {
	for {
		select {
		case v := <-l.views:
			show(v)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// kioskFace is the face for holders.
type kioskFace struct {
	line[kiosk.View, kiosk.Input]
	session *kiosk.Session // nil: the journal cannot be used
}

func (f *kioskFace) serve(ctx context.Context) error { return f.session.Run(ctx) }

func (f *kioskFace) outOfOrder(fault kiosk.Code) {
	f.show(kiosk.View{Step: kiosk.OutOfOrder, Fault: fault, Health: kiosk.Health{Fault: fault}})
}

func (f *kioskFace) window(a fyne.App, o ui.Options) window {
	f.listen(&o)
	return kioskWindow{ui.New(a, o), f}
}

// listen takes what a person does.
func (f *kioskFace) listen(o *ui.Options) {
	o.OnInput = func(in kiosk.Input) {
		if !f.send(in) {
			in.PIN.Wipe()
		}
	}
}

// drain forgets what was done while another face was shown.
func (f *kioskFace) drain() {
	for len(f.inputs) > 0 {
		(<-f.inputs).PIN.Wipe()
	}
}

type kioskWindow struct {
	*ui.Window
	face *kioskFace
}

func (w kioskWindow) forward(ctx context.Context) error { return w.face.forward(ctx, w.Show) }

// tillFace is the face for cashiers.
type tillFace struct {
	line[till.View, till.Input]
	session *till.Session            // nil: the journal cannot be used
	clerk   *paper.Clerk             // nil: there is no printer
	scans   chan scanner.Scan        // of a serial scanner
	away    atomic.Bool              // another face is shown
	pad     padRelay                 // of the holders' PIN pad
	news    chan till.News           // of sales and refunds that were left open
	knows   func(cardNo string) bool // whether it is of a member who has signed in here; nil: nobody does
}

func (f *tillFace) serve(ctx context.Context) error { return f.session.Run(ctx) }

// see shows a view, and has a receipt printed of a sale in it.
func (f *tillFace) see(v till.View) {
	if f.clerk != nil {
		f.clerk.See(v)
	}
	f.show(v)
}

func (f *tillFace) outOfOrder(fault kiosk.Code) {
	f.show(till.View{Step: till.OutOfOrder, Fault: fault, Health: kiosk.Health{Fault: fault}})
}

func (f *tillFace) window(a fyne.App, o ui.Options) window {
	f.listen(&o)
	return tillWindow{ui.NewTill(a, o), f}
}

// listen takes what a person does, or a scanner that types.
func (f *tillFace) listen(o *ui.Options) {
	o.OnTill = func(in till.Input) {
		if !f.send(in) {
			in.Wipe()
		}
	}
	o.Staff = f.session != nil && f.session.Desk.Staff != nil
	o.Keys = (&wedge{scans: f.scan, do: fyne.Do}).take
}

// drain forgets what was done while another face was shown.
func (f *tillFace) drain() {
	for len(f.inputs) > 0 {
		(<-f.inputs).Wipe()
	}
}

type tillWindow struct {
	*ui.Till
	face *tillFace
}

func (w tillWindow) forward(ctx context.Context) error { return w.face.forward(ctx, w.Show) }

// bothFaces are a kiosk that is a till while one of the staff is signed in. One
// flow runs at a time, and each ends where nothing of anybody's is under way.
type bothFaces struct {
	kiosk *kioskFace
	till  *tillFace
	cards relay[reader.State]
	state relay[kiosk.Health]

	home   atomic.Bool   // nobody stands at the kiosk
	laid   atomic.Uint32 // insertion of the newest card
	asked  chan struct{} // the staff ask for the till
	leave  chan struct{} // nobody is signed in at the till
	signed bool          // somebody has been; belongs to the flow that runs, as all that follows
	tried  bool          // a card was laid down to sign in
	byCard bool          // a card of the staff has led to the till
	led    uint32        // insertion that leads to it no more: it does so once
	alone  *time.Timer   // ends a till at which nobody signs in
}

// signInMax is how long a till waits for somebody to sign in before it is a kiosk
// again.
const signInMax = time.Minute

func newBothFaces(k *kioskFace, t *tillFace, cards chan reader.State, health chan kiosk.Health) *bothFaces {
	f := &bothFaces{
		kiosk: k, till: t, cards: newRelay(cards), state: newRelay(health),
		asked: make(chan struct{}, 1), leave: make(chan struct{}, 1),
	}
	f.cards.heard = func(s reader.State) { f.laid.Store(s.Insertions) }
	k.session.Show, t.session.Show = f.seeKiosk, f.seeTill
	k.session.Cards, t.session.Cards = f.cards.out, f.cards.out
	k.session.Health, t.session.Health = f.state.out, f.state.out
	t.away.Store(true)
	return f
}

func (f *bothFaces) serve(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return f.cards.run(ctx) })
	g.Go(func() error { return f.state.run(ctx) })
	g.Go(func() error {
		for {
			if err := until(ctx, f.kiosk.serve, f.asked); err != nil {
				return err
			}
			if err := f.serveTill(ctx); err != nil {
				return err
			}
			f.again()
		}
	})
	return g.Wait()
}

// again tells the flow that begins how reader and terminal are.
func (f *bothFaces) again() {
	f.cards.again()
	f.state.again()
	f.till.pad.again()
}

// serveTill is a till until nobody is signed in. What was pressed meanwhile on the
// other face is nobody's.
func (f *bothFaces) serveTill(ctx context.Context) error {
	f.till.drain()
	f.till.away.Store(false)
	drain(f.leave)
	f.signed, f.tried, f.alone = false, false, time.AfterFunc(signInMax, func() { put(f.leave) })
	f.again()
	err := until(ctx, f.till.serve, f.leave)
	f.alone.Stop()
	f.till.away.Store(true)
	f.kiosk.drain()
	f.byCard, f.led = false, f.laid.Load() // what lies there now has had its turn
	drain(f.asked)
	if err != nil {
		return err
	}
	return f.till.session.Desk.Staff.SignOut(ctx) // if its flow has not come to it
}

// until runs serve until somebody asks to leave, and returns nil then.
func until(ctx context.Context, serve func(context.Context) error, leave <-chan struct{}) error {
	inner, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- serve(inner) }()
	select {
	case err := <-ended:
		return err
	case <-leave:
		stop()
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		return err
	}
	return ctx.Err()
}

func (f *bothFaces) seeKiosk(v kiosk.View) {
	f.home.Store(v.Step == kiosk.Home)
	f.kiosk.show(v)
}

// seeTill shows a view of the till, and leaves it when whoever was signed in is not
// any more. Who only tries to sign in has a minute.
func (f *bothFaces) seeTill(v till.View) {
	f.till.see(v)
	switch v.Step {
	case till.Locked:
		if f.signed || f.byCard && f.tried && v.Fault == 0 {
			put(f.leave)
		}
	case till.ReadingStaff, till.StaffPIN, till.SigningIn, till.OutOfOrder:
		f.tried = true
		f.alone.Reset(signInMax)
	default:
		f.signed = true
		f.alone.Stop()
	}
}

// byCards has a card of the staff lead to the till, if it is laid down where nobody
// stands, once. Whoever has chosen something before is served as the holder that they
// may be, too.
func (f *bothFaces) byCards(ofStaff func(cardNo string) bool) {
	f.kiosk.session.Desk.Staff = func(no string) bool {
		laid := f.laid.Load()
		if laid == f.led || !ofStaff(no) {
			return false
		}
		f.byCard = true
		put(f.asked)
		return true
	}
}

func (f *bothFaces) outOfOrder(fault kiosk.Code) { f.kiosk.outOfOrder(fault) }

func (f *bothFaces) window(a fyne.App, o ui.Options) window {
	f.kiosk.listen(&o)
	f.till.listen(&o)
	o.OnStaff = func() {
		if f.home.Load() { // who has just laid a card down is served first
			put(f.asked)
		}
	}
	return bothWindow{ui.NewFaces(a, o), f}
}

type bothWindow struct {
	*ui.Faces
	faces *bothFaces
}

func (w bothWindow) forward(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return w.faces.kiosk.forward(ctx, w.ShowKiosk) })
	g.Go(func() error { return w.faces.till.forward(ctx, w.ShowTill) })
	return g.Wait()
}

// put leaves word, if none is left.
func put(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func drain(c <-chan struct{}) {
	select {
	case <-c:
	default:
	}
}

// relay hands the newest of some states on, and once more to whoever is new.
type relay[T any] struct {
	in   <-chan T
	out  chan T
	anew chan struct{}

	heard func(T) // of each that is new; nil: nobody is told
}

func newRelay[T any](in <-chan T) relay[T] {
	return relay[T]{in: in, out: make(chan T), anew: make(chan struct{}, 1)}
}

// again hands the newest on once more.
func (r relay[T]) again() { put(r.anew) }

func (r relay[T]) run(ctx context.Context) error {
	var newest T
	var known bool
	var out chan<- T // nil: it has been handed on
	for {
		select {
		case newest = <-r.in:
			if known, out = true, r.out; r.heard != nil {
				r.heard(newest)
			}
		case <-r.anew:
			if known {
				out = r.out
			}
		case out <- newest:
			out = nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// wedge tells what a scanner types from what a person does. It belongs to the UI
// goroutine.
type wedge struct {
	scans func(scanner.Scan)

	// do runs f on the UI goroutine, after the keys that have come to it: [fyne.Do].
	do   func(f func())
	keys scanner.Wedge
	due  bool // a look is
}

// lookAfter is when keys that were held back are looked at, again and again.
const lookAfter = 20 * time.Millisecond

// take takes a key; '\n' is Enter. What a person has pressed is passed on, now or
// a moment later.
func (w *wedge) take(key rune, pass func(rune)) {
	if key == '\n' {
		w.took(w.keys.Enter(time.Now()), pass)
		return
	}
	w.keys.Key(key, time.Now())
	w.look(pass)
}

// look has the keys looked at in a moment, unless that is so already.
func (w *wedge) look(pass func(rune)) {
	if w.due || !w.keys.Pending() {
		return
	}
	w.due = true
	time.AfterFunc(lookAfter, func() {
		w.do(func() {
			w.due = false
			w.took(w.keys.Idle(time.Now()), pass)
			w.look(pass)
		})
	})
}

func (w *wedge) took(out scanner.Typed, pass func(rune)) {
	for _, r := range out.Keys {
		pass(r)
	}
	if out.Done {
		w.scans(out.Scan)
	}
}

// scan hands a code to the flow. Half of one is answered too: a cashier hears
// that something was read, and scans again.
func (f *tillFace) scan(s scanner.Scan) {
	if f.away.Load() {
		return // a kiosk sells for no code
	}
	if s.Half {
		s.Text = ""
		f.log.Info("half a code was thrown away")
	}
	f.send(till.Input{Event: till.Scanned, Code: s.Text})
}

// readScans hands on what a serial scanner reads.
func (f *tillFace) readScans(ctx context.Context) error {
	for {
		select {
		case s := <-f.scans:
			f.scan(s)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
