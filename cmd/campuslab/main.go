// Campuslab is the lab: stand-ins for what is outside of a terminal and its
// upstream, in one process. There are virtual cards for a real reader, the
// Alipay gateway, and the student's phone. They speak the real wire.
//
// The same program is the hand that works them: it lays cards, pays, and
// breaks things, by calling the control interface of a lab that runs.
//
// It is for development, training and tests. It authenticates nobody, and
// listens on the loopback interface unless told otherwise.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "campuslab:", err)
		os.Exit(1)
	}
}

// errUsage is a command line that can not be understood. Exit status 2.
var errUsage = errors.New("try: campuslab help")

const usage = `Campuslab stands in for what is outside of a campus-card terminal: cards, the
Alipay gateway, and the student's phone. No real money moves.

Start it:
  campuslab serve --dir DIR [--cards FILE] [--vpcd ADDR]
                                  keep everything in DIR; stop with Ctrl-C
  campuslab serve --help          all of its flags

The student's phone (or open the address that serve prints in a browser):
  campuslab trades                what has been ordered, the newest first
  campuslab pay QR                scan a code and pay it; also an order number
  campuslab pay --last            pay the newest order
  campuslab pay --last --late 5s  pay 5 seconds from now, even if cancelled by then
  campuslab scan QR               scan, and do not pay yet
  campuslab close QR              turn the payment down
  campuslab forge QR              send a "paid" that Alipay did not sign
  campuslab code                  show a payment code, for a till's scanner

A receipt printer alone, which prints to this screen and as pictures:
  campuslab printer --dir DIR [--listen ADDR] [--columns 32]
  campuslab paper [ok|low|out|open|close|offline|online|jam|free]
                                  do that to it, or ask how it is (also with serve --printer)

Water controllers of baths, with no network, by what "campusd bath key" writes:
  campuslab baths --dir DIR --baths FILE[,FILE]    them alone; also with serve --baths
  campuslab bath                  how they are
  campuslab bath HALL/STALL KEYS  press keys: confirm, cancel, or a code
  campuslab bath HALL/STALL water LITRES | power on|off | clock lost|good|+SECONDS
  campuslab bath HALL/STALL log   its log, for "campusd bath take"

The vendors of the network and of electricity (serve --network, --electricity):
  campuslab biller network        what it has booked; also electricity
  campuslab biller network fault recharge drop --booked
                                  break its next recharge; the answer names the METHODs and
                                  KINDs that there are; also --delay 5s and --standing
  campuslab biller network mend   none any more

The student's phone as a virtual card, whose codes a till takes:
  campuslab phone bind TICKET     TICKET is what "campusd phone invite" prints
  campuslab phone show ACCOUNT    codes that change, as QR and as text; also at
                                  /wallet/ of a lab that was started with --phones
  campuslab phone help            the rest of it

One card alone, without a lab:
  campuslab card serve --cards FILE --card NAME [--vpcd ADDR]
                                  on a terminal's reader, or this machine's pcscd

Cards:
  campuslab cards                 which there are, and which lies on the reader
  campuslab lay CARD              lay one down; CARD is a number or name from the list
      --vpcd ADDR                 on another reader than the lab's own
  campuslab take                  take it away
  campuslab tear before|after [COMMAND]
                                  tear it off at its next COMMAND, before or after the
                                  card has done it; COMMAND is credit if left out, or
                                  debit, init, prove, verify, select, read, record,
                                  any, or 3 for the third from now
  campuslab silent before|after [COMMAND]
                                  it stays, and never answers that command
  campuslab slow MS               each command takes so much longer; 0 ends it
  campuslab mend                  no tear, no silence, no slowness any more

Faults of the gateway:
  campuslab fault METHOD KIND     break the next call of METHOD, once
      --booked                    the call has its effect, only the answer is broken
      --delay 5s  --code 40004  --sub ACQ.SYSTEM_ERROR  --fen 1   what KIND needs
      --standing                  go on until cleared
  campuslab fault kinds           which METHODs and KINDs there are
  campuslab fault list            which are armed
  campuslab fault clear           none any more

All but serve, printer, baths, card serve and phone ask the lab at $CAMPUSLAB, or --at URL;
http://127.0.0.1:7080 if neither is there. With --json they print what the lab
answered, for scripts.
"campuslab card lay X" is the same as "campuslab lay X".
`

// run executes one command line.
func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(out, usage)
		return errUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		fmt.Fprint(out, usage)
		return nil
	case "serve":
		return serve(ctx, args[1:], out)
	case "phone":
		return phoneCommand(ctx, args[1:], out)
	case "card":
		return card(ctx, args[1:], out)
	case "printer":
		return printerServe(ctx, args[1:], out)
	case "baths":
		return bathsServe(ctx, args[1:], out)
	}
	return hand(ctx, args[0], args[1:], out)
}
