// Package app puts the parts of the terminal together: configuration, card
// reader, journal, upstream, flow and window, and the tools by which an admin
// finds out what is wrong with a machine.
//
// It decides nothing about money and draws nothing. It is the one place that
// knows every part and the only one that starts goroutines, in one group each
// of which ends with the program.
package app

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
)

// Exit codes: a supervisor and a script can tell them apart.
const (
	exitOK     = 0
	exitFailed = 1 // it could not do what it was asked
	exitUsage  = 2
	exitLocked = 3 // another instance has the journal
	exitUnsent = 4 // not everything is upstream: do not stop it for good
)

// command is something that the program can be asked to do.
type command struct {
	name, what string
	run        func(args []string, out io.Writer) error
}

func commands() []command {
	return []command{
		{"run", "serve at the terminal (what it does without a word, too)", run},
		{"card", "print the card on the reader as JSON", card},
		{"enrol", "make this machine a terminal, with a code from the upstream", enrol},
		{"identity", "say which terminal this machine is", showIdentity},
		{"ready-to-stop", "say whether everything is upstream (exit code 0) or not (4)", readyToStop},
		{"ledger", "verify, export, back up, restore and recover the journal", aLedger},
		{"receipt", "check the code of a receipt, with no network, or make one", aReceipt},
		{"till-codes", "write the sheet of codes for a till that is worked with a scanner alone", tillCodes},
		{"retire", "make this machine a terminal no more", retire},
		{"doctor", "say what is missing on this machine and how to mend it", doctor},
		{"tray", "show the lab's demo cards in a window of their own", showTray},
		{"version", "print the version", printVersion},
	}
}

// errUsage means that the command line was not understood.
var errUsage = errors.New("usage")

// Main runs the command that the program's arguments name, and exits.
func Main() { os.Exit(Run(os.Args[1:], os.Stdout, os.Stderr)) }

// Run is [Main] for a caller that lives on. It returns the exit code.
func Run(args []string, out, errOut io.Writer) int {
	name := "run"
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		name, args = args[0], args[1:]
	}
	all := commands()
	i := slices.IndexFunc(all, func(c command) bool { return c.name == name })
	if i < 0 {
		usage(errOut, all)
		return exitUsage
	}
	switch err := all[i].run(args, out); {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, errUsage):
		usage(errOut, all)
		return exitUsage
	default:
		fmt.Fprintf(errOut, "quancun %s: %v\n", name, err)
		return exitCode(err)
	}
}

func usage(w io.Writer, all []command) {
	fmt.Fprintln(w, "usage: quancun [command] [flags]")
	for _, c := range all {
		fmt.Fprintf(w, "  %-13s %s\n", c.name, c.what)
	}
	fmt.Fprintln(w, "\"quancun command -h\" lists a command's flags.")
}

// Version is the program's. "make package" takes it from FyneApp.toml, which
// a test keeps equal to this.
const Version = "0.1.0"

func printVersion(_ []string, out io.Writer) error {
	_, err := fmt.Fprintln(out, Version)
	return err
}
