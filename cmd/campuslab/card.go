package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"quancun/cmd/internal/lockfile"
	"quancun/lab/cards"
)

const cardUsage = `One card alone, on the reader of a terminal or of this machine's pcscd, for as
long as the command runs. No lab is needed:
  campuslab card serve --cards FILE --card NAME [--vpcd ADDR]
                                  lay it down; take it away with Ctrl-C. NAME is a
                                  holder's number or name, or a card's number. What
                                  the card remembers is in the folder cards beside FILE
  campuslab card serve --help     all of its flags

The cards of a lab that runs, as without the word card:
  campuslab card lay CARD | take | tear | silent | slow | mend
  campuslab cards                 which there are
  campuslab help                  what these do
`

// card executes a command line that begins with the word card.
func card(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(out, cardUsage)
		return errUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		fmt.Fprint(out, cardUsage)
		return nil
	case "serve":
		return cardServe(ctx, args[1:], out)
	}
	return hand(ctx, args[0], args[1:], out)
}

// cardServe lays one card on a reader until ctx ends.
func cardServe(ctx context.Context, args []string, out io.Writer) (err error) {
	var file, name, vpcd string
	var slow int
	f := flag.NewFlagSet("card serve", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&file, "cards", "", "`file` of personalised cards, as campusd demo writes it")
	f.StringVar(&name, "card", "", "`name` or number of the card, or its holder's number")
	readerFlags(f, &vpcd, &slow)
	if err := f.Parse(args); err != nil {
		return err
	}
	switch {
	case file == "" || name == "":
		return fmt.Errorf("card serve needs --cards, a file, and --card, a name\n%w", errUsage)
	case f.NArg() > 0:
		return fmt.Errorf("card serve does not know %q\n%w", f.Arg(0), errUsage)
	}
	s, err := openCards(cards.Config{
		File: file, Dir: filepath.Join(filepath.Dir(file), "cards"),
		VPCD: vpcd, Log: slog.New(slog.NewTextHandler(out, nil)),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	s.Slow(time.Duration(max(slow, 0)) * time.Millisecond)
	if err := s.Lay(name); err != nil {
		return err
	}
	for _, c := range s.List() {
		if c.Laid {
			fmt.Fprintf(out, "Card %s of %s, purse %s, is laid on the reader at %s. Take it away with Ctrl-C.\n",
				c.Masked, cmp.Or(c.Name, "nobody"), c.Purse, c.Where)
		}
	}
	<-ctx.Done()
	return nil
}

// readerFlags are those of whoever lays cards.
func readerFlags(f *flag.FlagSet, vpcd *string, slow *int) {
	f.StringVar(vpcd, "vpcd", "127.0.0.1:35963", "`address` of the reader: vpcd's, or the terminal's own")
	f.IntVar(slow, "slow", 0, "`milliseconds` that each command to a card takes longer; 15 is a real pace")
}

// deck is cards that no other process has: two of one card would be a forgery.
type deck struct {
	*cards.Server
	unlock func() error
}

// openCards opens the cards that c says, and makes the folder in which they
// remember. The caller closes the deck.
func openCards(c cards.Config) (deck, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return deck{}, err
	}
	unlock, err := alone(filepath.Join(c.Dir, "lock"))
	if err != nil {
		return deck{}, fmt.Errorf("another campuslab has the cards in %s: %w", c.Dir, err)
	}
	s, err := cards.New(c)
	if err != nil {
		return deck{}, errors.Join(err, unlock())
	}
	return deck{s, unlock}, nil
}

// Close takes the card away, and lets others have the cards.
func (d deck) Close() error { return errors.Join(d.Server.Close(), d.unlock()) }

// alone keeps other labs away from a folder, until unlock. Where there are no
// such locks, that is up to whoever starts them.
func alone(path string) (unlock func() error, err error) {
	unlock, err = lockfile.Take(path)
	if errors.Is(err, errors.ErrUnsupported) {
		return func() error { return nil }, nil
	}
	return unlock, err
}
