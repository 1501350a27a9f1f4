package bath

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"quancun/lab/reply"
	"quancun/water"
)

// Box is a controller that hands can work: its keys and its meter, its plug and its
// clock. It is safe for concurrent use.
type Box struct {
	setup water.Setup
	path  string // of its journal

	mu    sync.Mutex
	is    *Controller   // nil while the power is off; guarded by mu
	disk  *file         // guarded by mu
	ahead time.Duration // of its clock; guarded by mu
	lost  bool          // its clock; guarded by mu
}

// Open returns a box whose power is on. Its journal is in a folder.
func Open(s water.Setup, dir string) (*Box, error) {
	b := &Box{setup: s, path: filepath.Join(dir, fmt.Sprintf("bath-%d-%d.journal", s.Hall, s.Stall))}
	return b, b.Power(true)
}

// Close switches the power off.
func (b *Box) Close() error { return b.Power(false) }

// Power switches the power on or off.
func (b *Box) Power(on bool) (err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case on == (b.is != nil):
		return nil
	case !on:
		b.is = nil
		return b.disk.f.Close()
	}
	if b.disk, err = openFile(b.path); err != nil {
		return err
	}
	// The controller calls its clock only while somebody has locked the box.
	clock := func() (time.Time, bool) { return time.Now().Add(b.ahead), !b.lost }
	if b.is, err = New(b.setup, b.disk, clock); err != nil {
		b.is = nil
		return errors.Join(err, b.disk.f.Close())
	}
	return nil
}

// on calls do with the controller, if the power is on.
func (b *Box) on(do func(*Controller) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.is == nil {
		return errOff
	}
	return do(b.is)
}

// Run lets time pass, until ctx ends. A controller that is off or broken waits for
// somebody.
func (b *Box) Run(ctx context.Context) error {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			_ = b.on((*Controller).Tick)
		}
	}
}

// State is how a box is.
type State struct {
	Hall   uint16        `json:"hall"`
	Stall  uint16        `json:"stall"`  // 0 for that of a whole hall
	Stalls []uint16      `json:"stalls"` // that it works
	Meter  int64         `json:"pulses_per_litre"`
	Name   string        `json:"name"`
	Power  bool          `json:"power"`
	Lost   bool          `json:"clock_lost"`
	Ahead  water.Seconds `json:"clock_ahead_s"`
	Panels []View        `json:"panels"` // none while the power is off
}

// State returns how the box is.
func (b *Box) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := State{
		Hall: b.setup.Hall, Stall: b.setup.Stall, Stalls: b.setup.Stalls, Meter: b.setup.Tariff.PulsesPerLitre,
		Name: b.setup.Name, Power: b.is != nil, Lost: b.lost,
		Ahead: water.Seconds(b.ahead / time.Second), Panels: []View{},
	}
	if b.is == nil {
		return s
	}
	_ = b.is.Tick() // if it is broken, the panels say so
	for _, n := range b.setup.Stalls {
		v, _ := b.is.View(n)
		s.Panels = append(s.Panels, v)
	}
	return s
}

// hand is what a hand does to a box. What is not named stays as it is.
type hand struct {
	Stall uint16         `json:"stall"` // of Keys and Pulses
	Keys  string         `json:"keys"`  // digits, '#' for confirm, '*' for cancel
	Pulse int64          `json:"pulses"`
	Power *bool          `json:"power"`
	Lost  *bool          `json:"clock_lost"`
	Ahead *water.Seconds `json:"clock_ahead_s"`
}

// pulsesMax is more than anybody lets run at once.
const pulsesMax = 1_000_000

func (b *Box) do(h hand) error {
	if len(h.Keys) > 64 || h.Pulse < 0 || h.Pulse > pulsesMax {
		return errors.New("lab/bath: more keys or more water than a hand can do at once")
	}
	b.mu.Lock()
	if h.Ahead != nil {
		b.ahead = h.Ahead.Duration()
	}
	if h.Lost != nil {
		b.lost = *h.Lost
	}
	b.mu.Unlock()
	if h.Power != nil {
		if err := b.Power(*h.Power); err != nil {
			return err
		}
	}
	if h.Keys == "" && h.Pulse == 0 {
		return nil
	}
	return b.on(func(c *Controller) error {
		for _, k := range []byte(h.Keys) {
			if err := c.Press(h.Stall, k); err != nil {
				return err
			}
		}
		_, err := c.Flow(h.Stall, h.Pulse)
		return err
	})
}

// handMax is the longest body of a call, in bytes.
const handMax = 4 << 10

// Handler is how boxes are worked from elsewhere. Bodies are JSON; a box is named by
// its hall and its stall, which is 0 for that of a whole hall.
//
//	GET  /baths            the list of [State]
//	GET  /baths/1/7        a box's [State]
//	POST /baths/1/7        what a hand does: {"stall": 7, "keys": "#12345678"},
//	                       {"stall": 7, "pulses": 300}, {"power": false},
//	                       {"clock_lost": true}, {"clock_ahead_s": 3600}
//	GET  /baths/1/7/log    its log, for campusd: a line for each report
func Handler(boxes ...*Box) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /baths", func(w http.ResponseWriter, _ *http.Request) {
		all := []State{}
		for _, b := range boxes {
			all = append(all, b.State())
		}
		reply.OK(w, all)
	})
	named := func(do func(*Box, http.ResponseWriter, *http.Request)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for _, b := range boxes {
				if r.PathValue("hall") == strconv.Itoa(int(b.setup.Hall)) &&
					r.PathValue("stall") == strconv.Itoa(int(b.setup.Stall)) {
					do(b, w, r)
					return
				}
			}
			http.NotFound(w, r)
		}
	}
	mux.HandleFunc("GET /baths/{hall}/{stall}", named(func(b *Box, w http.ResponseWriter, _ *http.Request) {
		reply.OK(w, b.State())
	}))
	mux.HandleFunc("POST /baths/{hall}/{stall}", named((*Box).handle))
	mux.HandleFunc("GET /baths/{hall}/{stall}/log", named((*Box).log))
	return mux
}

func (b *Box) handle(w http.ResponseWriter, r *http.Request) {
	var h hand
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, handMax))
	d.DisallowUnknownFields()
	if err := d.Decode(&h); err != nil {
		reply.Refuse(w, http.StatusBadRequest, fmt.Errorf("lab/bath: no hand does that: %w", err))
		return
	}
	if err := b.do(h); err != nil {
		reply.Refuse(w, http.StatusConflict, err)
		return
	}
	reply.OK(w, b.State())
}

func (b *Box) log(w http.ResponseWriter, _ *http.Request) {
	var lines []byte
	err := b.on(func(c *Controller) error {
		lines = c.Log()
		return nil
	})
	if err != nil {
		reply.Refuse(w, http.StatusConflict, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(lines)
}
