package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"quancun/beijing"
	"quancun/money"
	"quancun/upstream/centre"
	"quancun/upstream/keys"
	"quancun/upstream/photo"
	"quancun/upstream/server"
	"quancun/upstream/store"
	"quancun/upstream/wire"
)

// holderAct is what "campusd holder" does by one of its words, with an account
// number and the words after it.
type holderAct struct {
	words int    // after the account number
	pin   bool   // it asks for a new PIN
	usage string // of the words
	fill  func(a *centre.Act, words []string, until string) error
}

var holderActs = map[string]holderAct{
	"lost":  {1, false, "CARD", func(a *centre.Act, w []string, _ string) error { return card(a, centre.Lost, w[0]) }},
	"found": {1, false, "CARD", func(a *centre.Act, w []string, _ string) error { return card(a, centre.Found, w[0]) }},
	"limit": {1, false, "YUAN", func(a *centre.Act, w []string, _ string) (err error) {
		a.Kind = centre.Limited
		a.Limit, err = money.Parse(w[0])
		return err
	}},
	"name": {1, false, "NAME", func(a *centre.Act, w []string, _ string) error {
		a.Kind, a.Name = centre.Named, w[0]
		return nil
	}},
	"unlock": {0, false, "", func(a *centre.Act, _ []string, _ string) error {
		a.Kind = centre.Unlocked
		return nil
	}},
	"pin": {0, true, "", func(a *centre.Act, _ []string, _ string) error {
		a.Kind = centre.PINReset
		return nil
	}},
	"open": {1, true, "NAME --until YYYY-MM-DD", func(a *centre.Act, w []string, until string) error {
		a.Kind, a.Name = centre.Opened, w[0]
		end, err := time.ParseInLocation(time.DateOnly, until, beijing.Zone)
		a.Until = end.AddDate(0, 0, 1) // the day is part of it
		return err
	}},
	"retire": {0, false, "", func(a *centre.Act, _ []string, _ string) error {
		a.Kind = centre.Retired
		return nil
	}},
}

func card(a *centre.Act, k centre.Kind, no string) error {
	a.Kind, a.Card = k, strings.ToUpper(no)
	return nil
}

var documents = map[string]centre.Document{
	"id-card": centre.IDCard, "student-card": centre.StudentCard, "staff-card": centre.StaffCard,
	"passport": centre.Passport,
}

// holderCommand is the card centre's counter at the upstream itself.
func holderCommand(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	name, args := args[0], args[1:]
	switch name {
	case "show":
		return showHolder(ctx, args, out)
	case "untold":
		return showUntold(ctx, args, out)
	case "register":
		return loadRegister(ctx, args, out)
	case "photo":
		return setPhoto(ctx, args, out)
	case "photos":
		return loadPhotos(ctx, args, out)
	}
	act, ok := holderActs[name]
	if !ok {
		return errUsage
	}
	f := flag.NewFlagSet("holder "+name, flag.ContinueOnError)
	clerk := f.String("clerk", "", "your staff number")
	document := f.String("document", "", "what you have seen: id-card, student-card, staff-card or passport")
	until := f.String("until", "", "open: the last day")
	var p place
	p.flags(f)
	words, err := parse(f, args, 1+act.words)
	if err != nil {
		return fmt.Errorf("campusd holder %s NO %s --clerk NO --document KIND: %w", name, act.usage, err)
	}
	a := centre.Act{
		Ref: rand.Text(), Place: centre.Console, Clerk: *clerk, Document: documents[*document],
		Account: store.HolderAccount(words[0]),
	}
	if err := act.fill(&a, words[1:], *until); err != nil {
		return err
	}
	d, err := p.openOld(ctx)
	if err != nil {
		return err
	}
	if act.pin {
		a.PIN, err = p.askPIN(ctx, d, a.Account)
	}
	if err == nil {
		a, err = centre.New(d.books).Do(ctx, a)
	}
	if err := errors.Join(err, d.books.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, told(a))
	return err
}

// askPIN reads a new PIN, twice, from the standard input, and returns how it is
// kept. On a card the old one stays: that is changed where the card is.
func (p place) askPIN(ctx context.Context, d data, a store.Account) (kept store.PIN, err error) {
	c, err := p.read()
	if err != nil {
		return kept, err
	}
	k, done, err := p.keysOf(ctx, c, d.books)
	if err != nil {
		return kept, err
	}
	kept, err = readPIN(ctx, os.Stdin, k, a)
	return kept, errors.Join(err, done())
}

func readPIN(ctx context.Context, in io.Reader, k keys.Store, a store.Account) (kept store.PIN, err error) {
	lines := bufio.NewReader(in)
	var pins [2][wire.PINLen]byte
	defer clear(pins[:])
	for i := range pins {
		fmt.Fprint(os.Stderr, []string{"new PIN: ", "again: "}[i])
		line, err := lines.ReadSlice('\n')
		if n := copy(pins[i][:], line); err != nil || n != wire.PINLen || len(line) != wire.PINLen+1 ||
			!wire.Digits(&pins[i]) {
			clear(line)
			return kept, errors.New("a PIN is six digits")
		}
		clear(line)
	}
	if pins[0] != pins[1] {
		return kept, errors.New("the two are not the same")
	}
	return server.NewPIN(ctx, k, a, &pins[0])
}

// told is an act in words, without names.
func told(a centre.Act) string {
	text := fmt.Sprintf("%s: %s, by %s", a.Account.No(), a.Kind, a.Clerk)
	if (a.Before != "" || a.After != "") && !personal(a.Kind) {
		text += fmt.Sprintf(", from %q to %q", a.Before, a.After)
	}
	return text
}

// personal reports whether what was so before and after an act is a name.
func personal(k centre.Kind) bool {
	return k == centre.Named || k == centre.Opened || k == centre.Rewritten
}

// showHolder prints what the counter has done for a holder.
func showHolder(ctx context.Context, args []string, out io.Writer) error {
	return onBooks(ctx, "holder show", args, 1, func(b *store.Books, no []string) error {
		a := store.HolderAccount(no[0])
		h, err := b.Holder(ctx, a)
		if errors.Is(err, store.ErrNone) {
			return fmt.Errorf("no holder %q", no[0])
		}
		if err != nil {
			return err
		}
		acts, err := centre.New(b).For(ctx, a)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s, PIN locked: %t\n", h.Number, h.PINLocked)
		if err := showFound(ctx, b, a, out); err != nil {
			return err
		}
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "WHEN\tWHAT\tBY\tAT\tCARD\tFROM\tTO")
		for _, x := range acts {
			before, after := x.Before, x.After
			if personal(x.Kind) {
				before, after = "-", "-" // names are nobody's business here
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", x.At.In(beijing.Zone).Format(time.DateTime), x.Kind, x.Clerk,
				x.Place, x.Card, before, after)
		}
		return w.Flush()
	})
}

// showUntold prints what terminals' journals and the books have not both told to
// its end.
func showUntold(ctx context.Context, args []string, out io.Writer) error {
	return onBooks(ctx, "holder untold", args, 0, func(b *store.Books, _ []string) error {
		all, err := centre.New(b).Untold(ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "WHEN\tWHAT\tFOR\tBY\tAT\tIN THE BOOKS\tREF")
		for _, u := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", u.At.In(beijing.Zone).Format(time.DateTime), u.Kind,
				u.Account, u.Clerk, u.Terminal, map[bool]string{true: "done", false: "not yet"}[u.Done], u.Ref)
		}
		return w.Flush()
	})
}

// showFound prints which lost cards of a holder lay on a terminal's reader since.
func showFound(ctx context.Context, b *store.Books, a store.Account, out io.Writer) error {
	p, err := centre.New(b).Find(ctx, centre.Key{Account: a.No()})
	if err != nil {
		return err
	}
	for _, c := range p.Cards {
		if at, ok := p.Found[c.No]; ok {
			fmt.Fprintf(out, "lost card %s lay on the reader of %s at %s\n", c.No, stood(at.Where, at.Terminal),
				at.At.In(beijing.Zone).Format(time.DateTime))
		}
	}
	return nil
}

// loadRegister puts the school's register, a table of numbers and names, in the
// place of the one before.
func loadRegister(ctx context.Context, args []string, out io.Writer) error {
	return onBooks(ctx, "holder register", args, 1, func(b *store.Books, file []string) error {
		f, err := os.Open(file[0])
		if err != nil {
			return err
		}
		defer f.Close()
		r, err := centre.ReadRegister(f)
		if err != nil {
			return err
		}
		if err := centre.New(b).SetRegister(ctx, r); err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%d people are in the register\n", len(r))
		return err
	})
}

// setPhoto keeps the photo in a file, or forgets the one that there is.
func setPhoto(ctx context.Context, args []string, out io.Writer) error {
	return onBooks(ctx, "holder photo", args, 2, func(b *store.Books, words []string) error {
		a, file := store.HolderAccount(words[0]), words[1]
		if file == "none" {
			return photo.Remove(ctx, b, a)
		}
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		small, err := photo.Shrink(f)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := photo.Put(ctx, b, a, small); err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s has a photo\n", a.No())
		return err
	})
}

// loadPhotos keeps the photos of a folder.
func loadPhotos(ctx context.Context, args []string, out io.Writer) error {
	return onBooks(ctx, "holder photos", args, 1, func(b *store.Books, folder []string) error {
		n, err := photo.Load(ctx, b, os.DirFS(folder[0]), func(file string, why error) {
			fmt.Fprintf(out, "not taken: %s: %v\n", file, why)
		})
		fmt.Fprintf(out, "%d photos were taken\n", n)
		return err
	})
}
