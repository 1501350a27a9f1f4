package app

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"fyne.io/fyne/v2"

	"quancun/app/paper"
	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/channel"
	"quancun/kiosk/till"
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
	o.OnInput = func(in kiosk.Input) {
		if !f.send(in) {
			in.PIN.Wipe()
		}
	}
	return kioskWindow{ui.New(a, o), f}
}

type kioskWindow struct {
	*ui.Window
	face *kioskFace
}

func (w kioskWindow) forward(ctx context.Context) error { return w.face.forward(ctx, w.Show) }

// tillFace is the face for cashiers.
type tillFace struct {
	line[till.View, till.Input]
	session *till.Session     // nil: the journal cannot be used
	clerk   *paper.Clerk      // nil: there is no printer
	scans   chan scanner.Scan // of a serial scanner
	news    chan till.News    // of sales and refunds that were left open
}

func (f *tillFace) serve(ctx context.Context) error { return f.session.Run(ctx) }

// ended tells the cashier what became of a sale or a refund that was left open. A
// kiosk, and a cashier who has read nothing for long, do without: it is in the
// journal.
func (f *tillFace) ended(intent journal.Entry, done bool) {
	n, ok := till.NewsOf(intent, strings.TrimPrefix(intent.Ref, channel.IntentPrefix), done)
	if !ok {
		return
	}
	select {
	case f.news <- n:
	default:
	}
}

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
	o.OnTill = func(in till.Input) {
		if !f.send(in) {
			in.Wipe()
		}
	}
	o.Staff = f.session != nil && f.session.Desk.Staff != nil
	o.Keys = (&wedge{scans: f.scan}).take
	return tillWindow{ui.NewTill(a, o), f}
}

type tillWindow struct {
	*ui.Till
	face *tillFace
}

func (w tillWindow) forward(ctx context.Context) error { return w.face.forward(ctx, w.Show) }

// wedge tells what a scanner types from what a person does.
type wedge struct {
	scans func(scanner.Scan)

	mu   sync.Mutex
	keys scanner.Wedge // guarded by mu
}

// lookAfter is when keys that were held back are looked at again.
const lookAfter = 60 * time.Millisecond

// take takes a key; '\n' is Enter. What a person has pressed is passed on, now or
// a moment later.
func (w *wedge) take(key rune, pass func(rune)) {
	w.with(pass, func(at time.Time) scanner.Typed {
		if key == '\n' {
			return w.keys.Enter(at)
		}
		return w.keys.Key(key, at)
	})
}

func (w *wedge) with(pass func(rune), do func(at time.Time) scanner.Typed) {
	w.mu.Lock()
	out := do(time.Now())
	pending := w.keys.Pending()
	w.mu.Unlock()
	for _, r := range out.Keys {
		pass(r)
	}
	if out.Done {
		w.scans(out.Scan)
	}
	if pending {
		time.AfterFunc(lookAfter, func() { w.with(pass, w.keys.Idle) })
	}
}

// scan hands a code to the flow. Half of one is answered too: a cashier hears
// that something was read, and scans again.
func (f *tillFace) scan(s scanner.Scan) {
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
