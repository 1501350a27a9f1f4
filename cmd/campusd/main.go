// Command campusd is the upstream: accounts, cards, PINs, keys, orders and the
// way to be paid, for every terminal of a campus.
//
//	campusd serve --data DIR --listen ADDR --notify-listen ADDR --config FILE
//	campusd terminal add ID --data DIR --address HOST:PORT
//	campusd terminal place ID --place PLACE --data DIR
//	campusd terminal list --data DIR
//	campusd terminal show ID --data DIR
//	campusd terminal reset ID --data DIR --address HOST:PORT
//	campusd terminal revoke ID --data DIR
//	campusd staff add NO NAME --role ROLE --card CARD --data DIR
//	campusd staff list --data DIR
//	campusd staff role|card|revoke|reset-pin NO --data DIR
//	campusd keys show|generate|import --data DIR --config FILE
//	campusd keys sam ID --data DIR -o FILE
//	campusd keys blank --data DIR < TRANSPORT-KEY
//	campusd account NO --data DIR
//	campusd payment ORDER --data DIR
//	campusd verify --data DIR
//	campusd report --data DIR
//	campusd risk --data DIR [--json]
//	campusd reconcile --data DIR --config FILE [--day DAY]
//	campusd reconcile --data DIR --biller NAME --file FILE
//	campusd exceptions list|assign|bear|count|return|write-off|explain --data DIR
//	campusd bills list|settle|refund --data DIR
//	campusd settle list|close|pay --data DIR
//	campusd feed list|show|forward NAME --data DIR
//	campusd feed publish NAME --data DIR --file FILE
//	campusd phone list [ACCOUNT] --data DIR
//	campusd phone invite ACCOUNT --data DIR --address HOST:PORT
//	campusd phone revoke PHONE --data DIR --why TEXT
//	campusd bath hall|stall|slot|key|take … --data DIR
//	campusd books copy --data DIR --config FILE
//	campusd grant ROLE --data DIR --config FILE
//	campusd demo --data DIR --cards FILE
//
// The data folder holds everything: books.db (the accounts), keys.json (the
// secrets of cards and PINs; its loss is the loss of every card, so its copy
// belongs in a safe) with campus.pem (by which terminals know the campus),
// ca.pem and server.pem (made anew, if they are lost, at the price of enrolling
// every terminal again). The accounts may be in a PostgreSQL instead, and the
// keys in a PKCS #11 token: then every command is given the configuration that
// names them, with --config.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"quancun/cmd/campusd/bath"
	"quancun/upstream/keys/token"
	"quancun/upstream/server/pki"
	"quancun/upstream/store"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch code := exitOf(err); code {
	case 0:
	case exitUsage:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(code)
	default:
		fmt.Fprintln(os.Stderr, "campusd:", err)
		os.Exit(code)
	}
}

// The exit statuses. The unit does not start campusd again after exitPIN.
const (
	exitFailed = 1
	exitUsage  = 2
	exitPIN    = 3 // the token has not taken the PIN: a few more tries would lock it
)

func exitOf(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage), errors.Is(err, flag.ErrHelp):
		return exitUsage
	case errors.Is(err, token.ErrPIN):
		return exitPIN
	}
	return exitFailed
}

var errUsage = errors.New(
	"usage: campusd serve | terminal add|place|list|show|reset|revoke |\n" +
		"  staff add|list|role|card|revoke|reset-pin | keys show|generate|import|sam|blank |\n" +
		"  account NO | payment ORDER | holder show|untold|register|photo|photos|lost|found|limit|name|unlock|\n" +
		"    pin|open|retire |\n" +
		"  verify | report | risk | reconcile | exceptions list|assign|bear|count|return|write-off|explain |\n" +
		"  settle list|close|pay | feed list|show|publish|forward |\n" +
		"  phone list|invite|revoke |\n" +
		"  bath hall list|add|set | bath stall add|open|close | bath slot add|close | bath key | bath take |\n" +
		"  books copy | grant ROLE | demo\n(each with --data DIR)")

// run is main without the process: tests start it.
func run(ctx context.Context, args []string, out, log io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	name, args := args[0], args[1:]
	switch name {
	case "serve":
		return serve(ctx, args, log)
	case "terminal":
		return terminal(ctx, args, out)
	case "staff":
		return staffCommand(ctx, args, out)
	case "keys":
		return keysCommand(ctx, args, out)
	case "account":
		return account(ctx, args, out)
	case "payment":
		return paymentCommand(ctx, args, out)
	case "holder":
		return holderCommand(ctx, args, out)
	case "verify":
		return verify(ctx, args, out)
	case "report":
		return report(ctx, args, out)
	case "risk":
		return riskCommand(ctx, args, out)
	case "reconcile":
		return reconcileDays(ctx, args, out)
	case "bills":
		return bills(ctx, args, out)
	case "exceptions":
		return exceptions(ctx, args, out)
	case "settle":
		return settle(ctx, args, out)
	case "feed":
		return feedCommand(ctx, args, out)
	case "books":
		return booksCommand(ctx, args, out)
	case "phone":
		return phoneCommand(ctx, args, out)
	case "bath":
		err := bath.Run(ctx, args, new(place), out)
		if errors.Is(err, bath.ErrUsage) {
			err = errors.Join(err, errUsage)
		}
		return err
	case "grant":
		return grant(ctx, args, out)
	case "demo":
		return demo(ctx, args, out)
	}
	return errUsage
}

// parse reads flags that may follow the positional arguments, of which there
// are n.
func parse(f *flag.FlagSet, args []string, n int) (positional []string, err error) {
	f.SetOutput(io.Discard)
	if len(args) < n {
		return nil, errUsage
	}
	if err := f.Parse(args[n:]); err != nil {
		return nil, fmt.Errorf("%w\n%w", err, errUsage)
	}
	if f.NArg() > 0 {
		return nil, errUsage
	}
	return args[:n], nil
}

// place is where a command's flags say that the books are.
type place struct {
	dir    string
	config string // "" for none: the books are in dir
}

func (p *place) flags(f *flag.FlagSet) {
	f.StringVar(&p.dir, "data", "", "data folder")
	f.StringVar(&p.config, "config", "", "configuration, if it names a database or a token")
}

// Flags implements [bath.Place].
func (p *place) Flags(f *flag.FlagSet) { p.flags(f) }

// Data implements [bath.Place].
func (p *place) Data(ctx context.Context) (bath.Data, error) {
	c, err := p.read()
	if err != nil {
		return bath.Data{}, err
	}
	d, err := p.openOld(ctx)
	return bath.Data{Books: d.books, Dir: p.dir, Policy: c.Baths}, err
}

// onBooks does what a command does on books that are there, with the n words
// of its command line.
func onBooks(ctx context.Context, name string, args []string, n int, do func(*store.Books, []string) error) error {
	return withFlags(ctx, flag.NewFlagSet(name, flag.ContinueOnError), args, n, do)
}

// withFlags is onBooks for a command that has flags of its own.
func withFlags(ctx context.Context, f *flag.FlagSet, args []string, n int, do func(*store.Books, []string) error,
) error {
	var p place
	p.flags(f)
	words, err := parse(f, args, n)
	if err != nil {
		return err
	}
	d, err := p.openOld(ctx)
	if err != nil {
		return err
	}
	return errors.Join(do(d.books, words), d.books.Close())
}

// data is an opened data folder.
type data struct {
	books *store.Books
	pki   *pki.Authority
}

// read returns the configuration, with all defaults if there is none.
func (p place) read() (config, error) {
	if p.config == "" {
		return config{Policy: defaults(), Baths: bath.Usual()}, nil
	}
	return readConfig(p.config)
}

// database returns the connection string of the books.
func (p place) database() (string, error) {
	c, err := p.read()
	if err != nil || c.Database != "" {
		return c.Database, err
	}
	return filepath.Join(p.dir, "books.db"), nil
}

// openOld opens books that are there. A folder that is misspelt must not look
// like an empty school.
func (p place) openOld(ctx context.Context) (data, error) {
	database, err := p.database()
	if err != nil {
		return data{}, err
	}
	if _, err := os.Stat(database); p.dir != "" && err != nil && !store.IsShared(database) {
		return data{}, err
	}
	return p.open(ctx)
}

// open opens the data folder and the books, and makes what is missing.
func (p place) open(ctx context.Context) (d data, err error) {
	if p.dir == "" {
		return d, fmt.Errorf("--data is missing\n%w", errUsage)
	}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return d, err
	}
	database, err := p.database()
	if err != nil {
		return d, err
	}
	if d.pki, err = pki.Open(p.dir, time.Now()); err != nil {
		return d, err
	}
	d.books, err = store.OpenDSN(ctx, database, nil)
	return d, err
}
