// Command demo runs the whole system on this machine, for a look at it: the
// upstream, the lab with its virtual cards, and the terminal in a window. It is
// what make run does.
//
// All that it makes is in run/, and stays there: the next run goes on with the
// same accounts and cards. Remove run/ to begin anew.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"text/tabwriter"
	"time"

	"quancun/tools/stack"
	"quancun/tools/xvfb"
)

// On a screen that nobody sees, the tray that the cards lie on is put beside
// the terminal.
const (
	trayTitle = "Demo cards"
	trayWidth = 480 // pixels
	trayMax   = 30 * time.Second
)

func main() {
	dir := flag.String("dir", "run", "keeps everything; remove it to begin anew")
	reader := flag.String("reader", os.Getenv("READER"), `"vpcd", or "pcsc" for a real card stack (or READER)`)
	face := flag.String("face", os.Getenv("FACE"), `"kiosk", or "cashier" for a till (or FACE)`)
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := run(ctx, stack.Options{Dir: *dir, Reader: stack.Reader(*reader), Face: *face})
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o stack.Options) (err error) {
	if err := build(ctx); err != nil {
		return err
	}
	o.TerminalArgs, o.Tell = []string{"--window"}, say
	var display *xvfb.Display
	if os.Getenv("DISPLAY") == "" {
		say("there is no screen here: starting one that nobody sees")
		p := stack.DefaultPanel
		if display, err = xvfb.Start(ctx, p.WidthPX+trayWidth, p.HeightPX); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, display.Close()) }()
		o.Env = display.Env()
	}
	s, err := stack.New(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	if err := s.Start(ctx); err != nil {
		return err
	}
	if err := s.Tray.Start(); err != nil {
		return err
	}
	if display != nil {
		ctx, cancel := context.WithTimeout(ctx, trayMax)
		err := display.Move(ctx, trayTitle, s.Panel.WidthPX, 0)
		cancel()
		if err != nil {
			return err
		}
	}
	explain(s, display)
	pictures(ctx, s, display)
	err = s.Wait(ctx)
	signal.Reset() // a second Ctrl-C ends this program at once, and by its death the others
	say("ending everything")
	return err
}

// build builds the three programs into bin/.
func build(ctx context.Context) error {
	say("building the programs; the first time takes some minutes, for the window library")
	if err := os.MkdirAll("bin", 0o755); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "x11,no_emoji,migrated_fynedo",
		"-o", "bin"+string(filepath.Separator), ".", "./cmd/...")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for start := time.Now(); ; {
		select {
		case err := <-done:
			if err != nil {
				return fmt.Errorf("build: %w", err)
			}
			return nil
		case <-time.After(15 * time.Second):
			say(fmt.Sprintf("still building, after %v", time.Since(start).Round(time.Second)))
		}
	}
}

// explain says what runs where and what to do with it.
func explain(s *stack.Stack, display *xvfb.Display) {
	fmt.Printf(`
  terminal      quancun, process %d, card reader %q
  cards         the window beside it: lay one down, take it away, tear it off
  phone         %s is the student's phone: pay an order there, or break it
  virtual card  %s/wallet/ shows the codes of a phone; a till takes them
  billers       campuslab biller network (or electricity) says what they have booked, and breaks them
  showers       CAMPUSLAB=%s bin/campuslab bath: type a reservation's code there
  lab           bin/campuslab help says what else can be done
  upstream      %s
  logs          %s
`, s.Terminal.PID(), s.Reader, s.LabURL(), s.LabURL(), s.LabURL(), s.UpstreamAddr, s.File("log"))
	if cards, err := s.Cards(); err != nil {
		say(err.Error())
	} else {
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
		fmt.Fprintln(w, "\n  PIN\tcard\tin the purse\tholder")
		for _, c := range cards {
			fmt.Fprintf(w, "  %s\t%s\t%v\t%s\n", c.PIN, c.Kind, c.Purse, c.Name)
		}
		w.Flush()
		fmt.Println()
	}
	if display != nil {
		fmt.Printf("  screen        %s, which nobody sees: \"kill -USR1 %d\" writes a picture to %s\n",
			display.Name(), os.Getpid(), s.File("screen.png"))
		if _, err := exec.LookPath("x11vnc"); err == nil {
			fmt.Printf("                or look at it with: x11vnc -localhost -display %s\n", display.Name())
		}
	}
	fmt.Println("  Ctrl-C ends all of it.")
}

// pictures writes the screen to a file whenever this program is asked to by a
// signal, until ctx ends.
func pictures(ctx context.Context, s *stack.Stack, display *xvfb.Display) {
	if display == nil {
		return
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-asked:
			}
			if err := display.Screenshot(s.File("screen.png")); err != nil {
				say(err.Error())
			} else {
				say("wrote " + s.File("screen.png"))
			}
		}
	}()
}

func say(text string) { fmt.Println("==", text) }
