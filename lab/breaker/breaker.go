// Package breaker is what the lab's billers have in common: a certificate that
// they have made themselves, as vendors' boxes do, ways to be broken on command,
// and a file that outlives a restart.
package breaker

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Kind is a way to be broken.
type Kind string

// The kinds. [Fault.Booked] says whether the request has its effect all the same;
// from outside the two look alike.
const (
	Delay   Kind = "delay"    // answers late; with Booked the effect comes first
	Drop    Kind = "drop"     // closes the connection without an answer
	HTML    Kind = "html"     // answers with a page, and status 200
	HTTP500 Kind = "http-500" // answers with a page, and status 500
	Half    Kind = "half"     // answers with half of what it would say
	Empty   Kind = "empty"    // answers "done" and nothing else: a success without a number
	Refuse  Kind = "refuse"   // says no, in the wire's own way, without effect
	Late    Kind = "late"     // says nothing and books nothing, until Delay has passed
)

// Kinds are all of them.
var Kinds = []Kind{Delay, Drop, HTML, HTTP500, Half, Empty, Refuse, Late}

// Fault is one way in which a stand-in breaks, once or until it is cleared.
type Fault struct {
	Method   string   `json:"method"` // as the stand-in names it; "*" is any
	Kind     Kind     `json:"kind"`
	Booked   bool     `json:"booked"`
	Delay    Duration `json:"delay"`
	Standing bool     `json:"standing"` // goes on; otherwise it happens once
}

// Duration is a time.Duration that is written "1.5s".
type Duration time.Duration

// MarshalText writes d as "1.5s".
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads "1.5s".
func (d *Duration) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*d = 0
		return nil
	}
	v, err := time.ParseDuration(string(b))
	if err != nil || v < 0 || v > time.Hour {
		return fmt.Errorf("%q is not a time such as 5s, up to an hour", b)
	}
	*d = Duration(v)
	return nil
}

// Board holds what is armed. Its methods are safe for concurrent use.
type Board struct {
	methods []string

	mu     sync.Mutex
	faults []Fault // guarded by mu
}

// NewBoard returns the board of a stand-in with these methods.
func NewBoard(methods ...string) *Board { return &Board{methods: append(methods, "*")} }

// Methods returns what can be broken.
func (b *Board) Methods() []string { return slices.Clone(b.methods) }

// ParseFault reads a fault as it comes over the control interface. What it does
// not know is an error, so that a test with a misspelt fault fails.
func ParseFault(text []byte) (f Fault, err error) {
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return Fault{}, fmt.Errorf("not a fault: %w", err)
	}
	return f, nil
}

// Arm makes f happen the next time.
func (b *Board) Arm(f Fault) error {
	switch {
	case !slices.Contains(b.methods, f.Method):
		return fmt.Errorf("there is no method %q; there are %v", f.Method, b.methods)
	case !slices.Contains(Kinds, f.Kind):
		return fmt.Errorf("there is no way %q to be broken; there are %v", f.Kind, Kinds)
	case (f.Kind == Delay || f.Kind == Late) && f.Delay <= 0:
		return fmt.Errorf("%s needs a delay", f.Kind)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, f)
	return nil
}

// Faults returns what is armed.
func (b *Board) Faults() []Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.faults)
}

// Clear disarms everything.
func (b *Board) Clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = nil
}

func (b *Board) take(method string) Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, f := range b.faults {
		if f.Method == method || f.Method == "*" {
			if !f.Standing {
				b.faults = slices.Delete(b.faults, i, i+1)
			}
			return f
		}
	}
	return Fault{}
}

// Call is a request that may break.
type Call struct {
	Method  string
	Do      func() any // has the effect, and returns what the wire answers
	Refused any        // what the wire answers when it says no
	Done    any        // and when it says no more than that it is done
}

// Serve answers a call in JSON, broken by what is armed for its method.
func (b *Board) Serve(w http.ResponseWriter, r *http.Request, c Call) {
	f := b.take(c.Method)
	var answer any
	switch {
	case f.Kind == Refuse:
		answer = c.Refused
	case f.Kind == Late:
		go func() { // nobody waits for it, as with a vendor's own queue
			time.Sleep(time.Duration(f.Delay))
			c.Do()
		}()
		panic(http.ErrAbortHandler)
	case f.Kind == "" || f.Booked || f.Kind == Half || f.Kind == Empty && c.Done != nil:
		answer = c.Do()
	}
	text, err := json.Marshal(answer)
	if err != nil {
		panic("lab: internal error: " + err.Error())
	}
	b.reply(w, r, broken{f, c, text})
}

// broken is an answer and what becomes of it.
type broken struct {
	f    Fault
	c    Call
	text []byte
}

func (b *Board) reply(w http.ResponseWriter, r *http.Request, p broken) {
	const page = "<html><head><title>502 Bad Gateway</title></head><body>系统繁忙</body></html>"
	switch p.f.Kind {
	case Delay:
		select {
		case <-time.After(time.Duration(p.f.Delay)):
		case <-r.Context().Done():
			return
		}
		if !p.f.Booked {
			p.text, _ = json.Marshal(p.c.Do())
		}
	case Drop:
		panic(http.ErrAbortHandler)
	case HTML, HTTP500:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if p.f.Kind == HTTP500 {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = w.Write([]byte(page))
		return
	case Half:
		p.text = p.text[:len(p.text)/2]
	case Empty:
		if p.c.Done != nil {
			p.text, _ = json.Marshal(p.c.Done)
		}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(p.text)
}
