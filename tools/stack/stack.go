// Package stack starts the whole system on one machine: the upstream, the lab
// with its virtual cards, and the terminal. The demonstration, the end-to-end
// scenarios and the benchmarks use it, so that they all test what is shipped.
//
// It knows the programs only from outside, by their flags and configuration
// files. All that they write is below one directory, and none of them outlives
// Stop, nor the program that uses this package.
package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"quancun/reader/pcsctest"
)

// readyMax is how long a program may take until it listens.
const readyMax = 30 * time.Second

// Terminal is the name of the stack's own terminal.
const Terminal = "demo01"

// Reader is how the terminal reaches a card.
type Reader string

// VPCD has the virtual cards connect to the terminal itself. PCSC has them
// connect to a pcscd of the stack's own, with the vpcd driver, and the terminal
// use that as it would use a real reader.
const (
	VPCD Reader = "vpcd"
	PCSC Reader = "pcsc"
)

// Options say what to start. Only Dir is required.
type Options struct {
	Dir    string // keeps everything; made with mode 0700, may exist from an earlier run
	Bin    string // where campusd, campuslab and quancun are; "bin" if empty
	Reader Reader // VPCD if empty
	Panel  Panel  // DefaultPanel if zero

	Face       string // of the terminal: "kiosk", "cashier" for a till, or "both"; a kiosk if empty
	SignIn     bool   // the staff of a till sign in with their cards
	Printer    bool   // the terminals have the lab's receipt printer
	PaySeconds int    // that a payment may take; 90 if zero

	Database string // connection string of a PostgreSQL for the upstream's books; "" for a file

	// TerminalPath is another terminal than Bin's quancun, such as one that
	// was built for tests. TerminalArgs are added to its command line.
	TerminalPath string
	TerminalArgs []string

	// Env is the environment of the programs with a window. Nil is our own.
	Env []string

	// Tell is told of each step. It may be nil.
	Tell func(step string)
}

// Panel is the screen that the terminal is told it has.
type Panel struct {
	WidthPX, HeightPX, WidthMM int
	FullScreen                 bool
}

// DefaultPanel is a 17-inch kiosk screen of 1280 by 1024 pixels in a window.
var DefaultPanel = Panel{WidthPX: 1280, HeightPX: 1024, WidthMM: 338}

// Stack is the system on one machine. Each of its programs can be stopped,
// killed, frozen and started again alone.
type Stack struct {
	Options
	Addresses

	Upstream *Process // campusd serve
	Lab      *Process // campuslab serve
	Terminal *Process // quancun run
	Tray     *Process // quancun tray; the part of the screen that cards lie on

	others []*Process // terminals from Another
	setups []string   // files of the lab's water controllers

	// Service is the stack's own pcscd: nil unless Reader is PCSC, and before
	// the start. There can be one in a program.
	Service *pcsctest.Service
}

// New prepares o.Dir, with addresses that are free, and starts nothing.
func New(o Options) (*Stack, error) {
	s := &Stack{Options: o}
	if err := s.complete(); err != nil {
		return nil, err
	}
	for _, sub := range []string{"", "log", "upstream", "lab"} {
		if err := os.MkdirAll(s.File(sub), 0o700); err != nil {
			return nil, err
		}
	}
	var err error
	if s.Addresses, err = addressesIn(s.File("addresses.json")); err != nil {
		return nil, err
	}
	s.define()
	return s, nil
}

// complete fills in the options that were left out.
func (o *Options) complete() (err error) {
	o.Bin = cmp.Or(o.Bin, "bin")
	o.Reader = cmp.Or(o.Reader, VPCD)
	o.PaySeconds = cmp.Or(o.PaySeconds, 90)
	o.Face = cmp.Or(o.Face, "kiosk")
	o.Panel = cmp.Or(o.Panel, DefaultPanel)
	if o.Tell == nil {
		o.Tell = func(string) {}
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return err
	}
	if o.Bin, err = filepath.Abs(o.Bin); err != nil {
		return err
	}
	o.TerminalPath = cmp.Or(o.TerminalPath, filepath.Join(o.Bin, "quancun"))
	if o.Reader != VPCD && o.Reader != PCSC {
		return fmt.Errorf("reader %q: either %q or %q", o.Reader, VPCD, PCSC)
	}
	return nil
}

// File returns the path of a file in the stack's directory.
func (s *Stack) File(name string) string { return filepath.Join(s.Dir, name) }

// define describes the programs.
func (s *Stack) define() {
	s.Upstream = s.process("campusd", filepath.Join(s.Bin, "campusd"), "serve",
		"--data", s.File("upstream"), "--listen", s.UpstreamAddr, "--notify-listen", s.NotifyAddr,
		"--config", s.File("campusd.toml"))
	s.Lab = s.process("campuslab", filepath.Join(s.Bin, "campuslab"), s.labArgs()...)
	s.Terminal = s.process("quancun", s.TerminalPath,
		append([]string{"run", "--config", s.File("terminal.toml")}, s.TerminalArgs...)...)
	s.Tray = s.process("tray", s.TerminalPath, "tray", "--lab", s.LabURL())
	s.Terminal.Env, s.Tray.Env = s.Env, s.Env
}

func (s *Stack) labArgs() []string {
	args := []string{
		"serve",
		"--dir", s.File("lab"), "--alipay", s.AlipayAddr, "--http", s.LabAddr,
		"--cards", s.File("cards.json"), "--vpcd", s.VPCDAddr, "--phones", s.File("phones"),
		"--network", s.NetworkAddr, "--electricity", s.ElectricityAddr,
	}
	if s.Printer {
		args = append(args, "--printer", s.PrinterAddr)
	}
	if len(s.setups) > 0 {
		args = append(args, "--baths", strings.Join(s.setups, ","))
	}
	return args
}

// startService starts a pcscd of the stack's own, and has the virtual cards
// connect to that.
func (s *Stack) startService() (err error) {
	s.Tell("starting pcscd with a virtual reader")
	if s.Service, err = pcsctest.Start(); err != nil {
		return err
	}
	s.VPCDAddr = s.Service.Addr(0)
	s.Lab.Args = s.labArgs()
	if s.Env != nil {
		s.Terminal.Env = append(slices.Clone(s.Env), s.Service.Env()...)
	}
	return nil
}

func (s *Stack) process(name, path string, args ...string) *Process {
	return &Process{Name: name, Path: path, Args: args, Dir: s.Dir, Log: s.File("log/" + name + ".log")}
}

// Start starts everything but the tray, each program when those that it needs
// are ready. If it fails, nothing is left running.
func (s *Stack) Start(ctx context.Context) error {
	err := s.StartServices(ctx)
	if err == nil {
		s.Tell("starting the terminal")
		err = s.Terminal.Start()
	}
	if err != nil {
		return errors.Join(err, s.Stop())
	}
	return nil
}

// StartServices starts what a terminal needs, and no terminal. If it fails,
// the caller has to call Stop all the same.
func (s *Stack) StartServices(ctx context.Context) error {
	if s.Reader == PCSC && s.Service == nil {
		if err := s.startService(); err != nil {
			return err
		}
	}
	if err := s.provision(ctx); err != nil {
		return err
	}
	if err := s.giveSetups(ctx); err != nil {
		return err
	}
	if err := s.StartAndWait(ctx, s.Lab, s.LabAddr); err != nil {
		return err
	}
	if err := s.upstreamConfig(); err != nil {
		return err
	}
	if err := s.StartAndWait(ctx, s.Upstream, s.UpstreamAddr); err != nil {
		return err
	}
	if err := s.enrol(ctx, s.own()); err != nil {
		return err
	}
	if err := s.makeSAM(ctx, s.own()); err != nil {
		return err
	}
	return s.bindPhones(ctx)
}

// StartAndWait starts p and returns when it listens on addr.
func (s *Stack) StartAndWait(ctx context.Context, p *Process, addr string) error {
	s.Tell("starting " + p.Name)
	if err := p.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyMax)
	defer cancel()
	return p.listening(ctx, addr)
}

// processes returns the programs in the order in which they depend on each
// other.
func (s *Stack) processes() []*Process {
	return append([]*Process{s.Lab, s.Upstream, s.Terminal, s.Tray}, s.others...)
}

// Wait returns when ctx or one of the programs ends, with the program's error.
func (s *Stack) Wait(ctx context.Context) error {
	cases := []reflect.SelectCase{{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())}}
	ps := s.processes()
	for _, p := range ps {
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(p.Ended())})
	}
	n, _, _ := reflect.Select(cases)
	if n == 0 {
		return ctx.Err()
	}
	p := ps[n-1]
	if err := p.Err(); err != nil {
		return err
	}
	return fmt.Errorf("%s ended by itself", p.Name)
}

// Stop ends the programs, the terminal before the services that it needs. It
// may be called more than once.
func (s *Stack) Stop() error {
	var errs []error
	for _, p := range slices.Backward(s.processes()) {
		errs = append(errs, p.Stop())
	}
	if s.Service != nil {
		errs = append(errs, s.Service.Stop())
		s.Service = nil
	}
	return errors.Join(errs...)
}
