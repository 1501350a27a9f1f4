package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"quancun/lab/bath"
	"quancun/water"
)

// bathsServe runs water controllers alone.
func bathsServe(ctx context.Context, args []string, out io.Writer) error {
	o := options{http: "127.0.0.1:7080"}
	f := flag.NewFlagSet("baths", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&o.dir, "dir", "", "`folder` for the controllers' journals; made if it is not there")
	f.StringVar(&o.baths, "baths", "", "`files` of their setups, with commas")
	f.StringVar(&o.http, "http", o.http, "`address` of the control interface")
	f.BoolVar(&o.anywhere, "anywhere", false, "let other machines in; anybody there can press keys")
	if err := f.Parse(args); err != nil {
		return err
	}
	if o.dir == "" || o.baths == "" || f.NArg() > 0 {
		return fmt.Errorf("baths needs --dir, a folder for journals, and --baths, and no words\n%w", errUsage)
	}
	return newLab(o, out).run(ctx)
}

// startBaths starts the water controllers. The caller calls done in the end.
func (l *lab) startBaths(ctx context.Context, work *errgroup.Group, mux *http.ServeMux,
) (done func(), err error) {
	dir := filepath.Join(l.dir, "baths")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	var boxes []*bath.Box
	done = func() {
		for _, b := range boxes {
			_ = b.Close() // as a plug is pulled
		}
	}
	for _, path := range strings.Split(l.baths, ",") {
		b, err := openBath(path, dir)
		if err != nil {
			done()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		boxes = append(boxes, b)
		work.Go(func() error { return b.Run(ctx) })
	}
	mux.Handle("/baths", bath.Handler(boxes...))
	mux.Handle("/baths/", bath.Handler(boxes...))
	return done, nil
}

func openBath(path, dir string) (*bath.Box, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s, err := water.ParseSetup(text)
	if err != nil {
		return nil, err
	}
	return bath.Open(s, dir)
}

// bath shows the water controllers, or works one of them.
func (e *errand) bath(ctx context.Context) error {
	var all []bath.State
	listing := len(e.words) == 0
	raw := e.json
	e.json = raw && listing
	if err := e.call(ctx, "/baths", nil, &all); err != nil || e.json {
		return err
	}
	e.json = raw
	if listing {
		for _, s := range all {
			if err := e.bathShown(s); err != nil {
				return err
			}
		}
		return nil
	}
	s, stall, err := findBath(all, e.words[0])
	if err != nil {
		return err
	}
	path := fmt.Sprintf("/baths/%d/%d", s.Hall, s.Stall)
	if slices.Equal(e.words[1:], []string{"log"}) {
		e.json = true // it is printed as it comes
		return e.call(ctx, path+"/log", nil, nil)
	}
	body, err := bathHand(e.words[1:], s)
	if err != nil {
		return err
	}
	body["stall"] = stall
	if err := e.call(ctx, path, body, &s); err != nil || e.json {
		return err
	}
	return e.bathShown(s)
}

// findBath returns the controller that works a stall, written as HALL/STALL.
func findBath(all []bath.State, name string) (s bath.State, stall uint16, err error) {
	for _, s := range all {
		for _, n := range s.Stalls {
			if name == fmt.Sprintf("%d/%d", s.Hall, n) {
				return s, n, nil
			}
		}
	}
	return s, 0, fmt.Errorf("no controller works a stall %q; HALL/STALL as in the list of campuslab bath", name)
}

// bathHand returns what words have a hand do.
func bathHand(words []string, s bath.State) (map[string]any, error) {
	bad := fmt.Errorf("keys, or water LITRES, power on|off, clock lost|good|+SECONDS, or log\n%w", errUsage)
	switch {
	case len(words) == 2 && words[0] == "water":
		litres, err := strconv.ParseUint(words[1], 10, 16)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%q are no litres", words[1]), bad)
		}
		return map[string]any{"pulses": int64(litres) * s.Meter}, nil
	case len(words) == 2 && words[0] == "power" && (words[1] == "on" || words[1] == "off"):
		return map[string]any{"power": words[1] == "on"}, nil
	case len(words) == 2 && words[0] == "clock" && (words[1] == "lost" || words[1] == "good"):
		return map[string]any{"clock_lost": words[1] == "lost"}, nil
	case len(words) == 2 && words[0] == "clock":
		ahead, err := strconv.ParseInt(words[1], 10, 32)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%q are no seconds", words[1]), bad)
		}
		return map[string]any{"clock_ahead_s": ahead}, nil
	case len(words) == 0 || words[0] == "water" || words[0] == "power" || words[0] == "clock":
		return nil, bad
	}
	keys := ""
	for _, w := range words {
		switch w {
		case "confirm":
			w = "#"
		case "cancel":
			w = "*"
		}
		keys += w
	}
	return map[string]any{"keys": keys}, nil
}

func (e *errand) bathShown(s bath.State) error {
	_, err := fmt.Fprintf(e.out, "hall %d, %s: power %t, clock lost %t, ahead %d s\n",
		s.Hall, s.Name, s.Power, s.Lost, s.Ahead)
	for _, p := range s.Panels {
		_, err1 := fmt.Fprintf(e.out, "  %d/%d %s: %s (%d pulses)\n", s.Hall, p.Stall, p.Step, p.Text, p.Pulses)
		err = errors.Join(err, err1)
	}
	return err
}
