package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"os/user"
	"strings"
	"text/tabwriter"

	"quancun/upstream/server"
	"quancun/upstream/staff"
	"quancun/upstream/store"
	"quancun/upstream/wire"
)

// staffAct is what "campusd staff" does to a member, by one of its words.
type staffAct struct {
	words int    // of the command line: the staff number, and what follows it
	usage string // of the words
	do    func(ctx context.Context, s staffDesk, words []string) error
}

var staffActs = map[string]staffAct{
	"add":  {2, "NO NAME --role ROLE --card CARD", addStaff},
	"role": {2, "NO ROLE", setStaffRole},
	"card": {2, "NO CARD", func(ctx context.Context, s staffDesk, w []string) error {
		return s.roll.SetCard(ctx, w[0], strings.ToUpper(w[1]), s.by)
	}},
	"revoke": {1, "NO", func(ctx context.Context, s staffDesk, w []string) error {
		return s.roll.Revoke(ctx, w[0], s.by)
	}},
	"reset-pin": {1, "NO", func(ctx context.Context, s staffDesk, w []string) error {
		return s.newPIN(ctx, w[0], func(kept store.PIN) error { return s.roll.SetPIN(ctx, w[0], kept, s.by) })
	}},
}

// staffDesk is what these acts need.
type staffDesk struct {
	roll       *staff.Roll
	keys       keyStore
	out        io.Writer
	by         string
	role, card string // of a new member
}

// staffCommand lists the staff, or changes it.
func staffCommand(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	name, args := args[0], args[1:]
	if name == "list" {
		return listStaff(ctx, args, out)
	}
	act, ok := staffActs[name]
	if !ok {
		return errUsage
	}
	s := staffDesk{out: out}
	f := flag.NewFlagSet("staff "+name, flag.ContinueOnError)
	f.StringVar(&s.by, "by", whoami(), "who does so")
	if name == "add" {
		f.StringVar(&s.role, "role", "cashier", "cashier, supervisor, clerk or admin")
		f.StringVar(&s.card, "card", "", "number of the member's card")
	}
	var p place
	p.flags(f)
	words, err := parse(f, args, act.words)
	if err != nil {
		return fmt.Errorf("campusd staff %s %s [--by WHO]: %w", name, act.usage, err)
	}
	d, err := p.openOld(ctx)
	if err != nil {
		return err
	}
	return errors.Join(p.withStaff(ctx, d, s, func(s staffDesk) error {
		return toldStaff(words[0], act.do(ctx, s, words))
	}), d.books.Close())
}

// withStaff calls do with the staff of books and the keys that guard their PINs.
func (p place) withStaff(ctx context.Context, d data, s staffDesk, do func(staffDesk) error) error {
	c, err := p.read()
	if err != nil {
		return err
	}
	k, done, err := p.keysOf(ctx, c, d.books)
	if err != nil {
		return err
	}
	s.roll, s.keys = staff.NewRoll(d.books), k
	return errors.Join(do(s), done())
}

// toldStaff says in words what the roll's errors mean.
func toldStaff(no string, err error) error {
	switch {
	case errors.Is(err, store.ErrNone):
		return fmt.Errorf("no member %q", no)
	case errors.Is(err, store.ErrConflict):
		return fmt.Errorf("%s: somebody has, or had, that number, or has that card", no)
	case errors.Is(err, staff.ErrRevoked):
		return fmt.Errorf("%s is revoked for good: add them again under another number", no)
	}
	return err
}

// whoami is who has logged in to this machine.
func whoami() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "campusd"
}

func addStaff(ctx context.Context, s staffDesk, words []string) error {
	role, err := staff.ParseRole(s.role)
	if err != nil {
		return err
	}
	m := staff.Member{No: words[0], Name: words[1], Role: role, Card: strings.ToUpper(s.card)}
	return s.newPIN(ctx, m.No, func(kept store.PIN) error { return s.roll.Add(ctx, m, kept, s.by) })
}

func setStaffRole(ctx context.Context, s staffDesk, words []string) error {
	role, err := staff.ParseRole(words[1])
	if err != nil {
		return err
	}
	return s.roll.SetRole(ctx, words[0], role, s.by)
}

// newPIN draws a PIN, has it kept, and prints it. It can not be printed again.
func (s staffDesk) newPIN(ctx context.Context, no string, keep func(store.PIN) error) error {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return err
	}
	var pin [wire.PINLen]byte
	defer clear(pin[:])
	copy(pin[:], fmt.Sprintf("%06d", n))
	kept, err := server.NewPIN(ctx, s.keys, staff.Member{No: no}.Owner(), &pin)
	if err != nil {
		return err
	}
	if err := keep(kept); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s: PIN %s\n", no, pin[:])
	return err
}

func listStaff(ctx context.Context, args []string, out io.Writer) error {
	return onBooks(ctx, "staff list", args, 0, func(b *store.Books, _ []string) error {
		all, err := staff.NewRoll(b).All(ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "NO\tNAME\tROLE\tCARD\tSTATE")
		for _, m := range all {
			state := "active"
			switch {
			case !m.Revoked.IsZero():
				state = "revoked"
			case m.Locked:
				state = "PIN locked"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", m.No, m.Name, m.Role, m.Card, state)
		}
		return w.Flush()
	})
}
