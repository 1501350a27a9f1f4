// Package audio says things aloud: it has espeak-ng speak and aplay play it on one of
// two of ALSA's devices, the loudspeaker and the headphones. What is private is said
// on headphones only, and only while they are plugged in.
//
// It decides nothing about what is said (ui/speech), never waits for a device on
// behalf of a caller, and a device or program that is missing costs a line in the log
// and nothing else: nobody's money depends on being heard.
package audio

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"

	"quancun/ui/speech"
)

// Config says where sound comes out.
type Config struct {
	// Loudspeaker and Headphones are names of ALSA's devices, as "aplay -L" lists
	// them. Without headphones nothing private is said at all.
	Loudspeaker, Headphones string
	// Jack is the switch that says whether headphones are plugged in: part of the
	// name of an input device of the kernel, or its path; see [jack].
	Jack string
	// Rate is words a minute, 80 to 450.
	Rate int
}

// Port says one script at a time: a new one takes the place of the one before, in the
// middle of a word.
type Port struct {
	c    Config
	log  *slog.Logger
	wake chan struct{}
	jack chan bool

	mu      sync.Mutex // guards what follows
	next    *speech.Script
	stop    context.CancelFunc // of what is being said; nil: nothing is
	aloud   bool               // and is said on the loudspeaker, whatever is plugged in
	plugged bool
	told    bool // that something is withheld, in this visit

	failed bool // what was said last could not be heard, and the log says so; owned by Run
}

// New makes a port. [Port.Run] says what it is given.
func New(c Config, log *slog.Logger) *Port {
	return &Port{c: c, log: log, wake: make(chan struct{}, 1), jack: make(chan bool, 1)}
}

// Say has s said in place of whatever is being said. An empty one is silence. It does
// not wait.
func (p *Port) Say(s speech.Script) {
	p.mu.Lock()
	p.next = &s
	if p.stop != nil {
		p.stop()
	}
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Plugged reports whether headphones are plugged in.
func (p *Port) Plugged() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.plugged
}

// Jack has whether headphones are plugged in, each time that changes. Who is late gets
// the newest.
func (p *Port) Jack() <-chan bool { return p.jack }

// Run says what Say was given, and watches the jack, until ctx ends. It returns ctx's
// error and leaves no process behind.
func (p *Port) Run(ctx context.Context) error {
	// What it starts is to die with this program, which the kernel ties to the thread
	// that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var watching sync.WaitGroup
	defer watching.Wait()
	if p.c.Headphones != "" {
		watching.Go(func() { p.watch(ctx) })
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.wake:
			p.script(ctx)
		}
	}
}

// script says the newest script, up to its end or the next one.
func (p *Port) script(ctx context.Context) {
	p.mu.Lock()
	s := p.next
	p.next = nil
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if s != nil && s.Anew {
		p.told = false
	}
	p.stop, p.aloud = stop, s != nil && s.Aloud
	p.mu.Unlock()
	defer p.done()
	if s == nil {
		return
	}
	for _, u := range s.Parts {
		if u, device, ok := p.route(u, *s); ok && ctx.Err() == nil {
			p.report(ctx, Speak(ctx, u, device, p.c.Rate), device)
		}
		if ctx.Err() != nil {
			return
		}
	}
}

func (p *Port) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stop, p.aloud = nil, false
}

// route decides on which device u is said, or what is said instead of it. From here to
// its end whoever pulls the headphones out stops it.
func (p *Port) route(u speech.Utterance, s speech.Script) (_ speech.Utterance, device string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.plugged && !s.Aloud:
		return u, p.c.Headphones, true
	case !u.Private:
		return u, p.c.Loudspeaker, true
	case p.told || s.Withheld.Text == "":
		return u, "", false
	}
	p.told = true
	return s.Withheld, p.c.Loudspeaker, true
}

// report writes down that nobody can hear anything, once until it can be heard again.
func (p *Port) report(ctx context.Context, err error, device string) {
	switch {
	case ctx.Err() != nil, errors.Is(err, context.Canceled):
		return
	case err == nil && p.failed:
		p.log.Info("speech is heard again", "device", device)
	case err != nil && !p.failed:
		p.log.Warn("speech is not heard", "device", device, "err", err)
	}
	p.failed = err != nil
}

// plug takes what the jack says. What is being said on headphones ends with them: the
// page is said anew by whoever is told.
func (p *Port) plug(in bool) {
	p.mu.Lock()
	changed := p.plugged != in
	p.plugged = in
	if changed && p.stop != nil && !p.aloud {
		p.stop()
	}
	if in {
		p.told = false
	}
	p.mu.Unlock()
	if !changed {
		return
	}
	p.log.Info("headphones", "plugged", in)
	select {
	case <-p.jack: // nobody has taken it, and it is old
	default:
	}
	p.jack <- in
}
