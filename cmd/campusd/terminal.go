package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/ingest"
	stand "quancun/upstream/place"
	"quancun/upstream/store"
	"quancun/upstream/wire"
)

func terminal(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	switch args[0] {
	case "add":
		return addTerminal(ctx, args[1:], out)
	case "list":
		return listTerminals(ctx, args[1:], out)
	case "show":
		return showTerminal(ctx, args[1:], out)
	case "place":
		return placeTerminal(ctx, args[1:], out)
	case "reset":
		return resetTerminal(ctx, args[1:], out)
	case "revoke":
		return revokeTerminal(ctx, args[1:], out)
	}
	return errUsage
}

// invitation is what an enrolment code is made with, from flags.
type invitation struct {
	address string
	valid   time.Duration
}

func (i *invitation) flags(f *flag.FlagSet) {
	f.StringVar(&i.address, "address", "127.0.0.1:8443", "host:port at which the terminal finds the upstream")
	f.DurationVar(&i.valid, "valid", 24*time.Hour, "how long the code can be used")
}

// validMax bounds the life of a code that may lie about on a piece of paper.
const validMax = 30 * 24 * time.Hour

func (i invitation) check() error {
	if host, port, err := net.SplitHostPort(i.address); err != nil || host == "" || port == "" {
		return fmt.Errorf("--address %q is not host:port", i.address)
	}
	if i.valid <= 0 || i.valid > validMax {
		return fmt.Errorf("--valid %v is not between 0 and %v", i.valid, validMax)
	}
	return nil
}

// invite makes a code, and prints it. It can not be printed again.
func (i invitation) invite(ctx context.Context, d data, s store.Invitation, out io.Writer) error {
	code := wire.NewCode()
	s.CodeHash, s.Expires = code.Hash(), time.Now().Add(i.valid)
	no, err := d.books.Invite(ctx, s)
	switch {
	case errors.Is(err, store.ErrConflict):
		return fmt.Errorf("terminal %s is there already: terminal reset makes a new code for it", s.Terminal)
	case errors.Is(err, store.ErrNone):
		return fmt.Errorf("no terminal %q", s.Terminal)
	case errors.Is(err, store.ErrJournalKey):
		return fmt.Errorf("terminal %s has never been a machine", s.Terminal)
	case err != nil:
		return err
	}
	ticket := wire.Ticket{Address: i.address, Terminal: s.Terminal, Code: code, CA: d.pki.Fingerprint()}
	_, err = fmt.Fprintf(out, "terminal %s, number %s\non the machine, before %s, once:\n\n  quancun enrol --code %s\n",
		s.Terminal, no, s.Expires.Format(time.RFC3339), ticket.Text())
	return err
}

// addTerminal makes a terminal known, and a code by which a machine becomes it.
func addTerminal(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("terminal add", flag.ContinueOnError)
	var p place
	var i invitation
	p.flags(f)
	i.flags(f)
	var s stands
	s.flags(f)
	number := f.String("terminal-no", "", "12 hexadecimal digits, such as the SAM's; the next free one if empty")
	id, err := parse(f, args, 1)
	if err != nil {
		return err
	}
	t := store.Invitation{Terminal: id[0]}
	if !wire.TerminalID(t.Terminal) {
		return fmt.Errorf("%q can not name a terminal", t.Terminal)
	}
	if raw, err := hex.DecodeString(*number); err != nil || *number != "" && len(raw) != len(t.No) {
		return fmt.Errorf("--terminal-no %q is not 12 hexadecimal digits", *number)
	} else if *number != "" {
		t.No = pboc.TerminalNo(raw)
	}
	if err := errors.Join(i.check(), s.check()); err != nil {
		return err
	}
	d, err := p.open(ctx)
	if err != nil {
		return err
	}
	if err = i.invite(ctx, d, t, out); err == nil {
		err = s.set(ctx, d.books, t.Terminal)
	}
	return errors.Join(err, d.books.Close())
}

// stands is where a terminal stands, from flags.
type stands stand.Place

func (s *stands) flags(f *flag.FlagSet) {
	f.StringVar(&s.ZH, "place", "", "where it stands, as holders say it, such as 一食堂三号窗口")
	f.StringVar(&s.EN, "place-en", "", "likewise in English; may be left out")
}

func (s *stands) check() error {
	if *s == (stands{}) {
		return nil
	}
	return stand.Place(*s).Check()
}

// set writes the place down, if there is one.
func (s *stands) set(ctx context.Context, b *store.Books, terminal string) error {
	if *s == (stands{}) {
		return nil
	}
	return stand.Set(ctx, b, terminal, stand.Place(*s))
}

// stood is a terminal with where it stood, for people.
func stood(p stand.Place, terminal string) string {
	if p.ZH == "" {
		return terminal
	}
	return p.ZH + " (" + terminal + ")"
}

// placeTerminal says where a terminal stands from now on. What it did before keeps
// the place that it had then.
func placeTerminal(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("terminal place", flag.ContinueOnError)
	var s stands
	s.flags(f)
	return withFlags(ctx, f, args, 1, func(b *store.Books, id []string) error {
		err := stand.Set(ctx, b, id[0], stand.Place(s))
		switch {
		case errors.Is(err, store.ErrNone):
			return fmt.Errorf("no terminal %q", id[0])
		case errors.Is(err, stand.ErrPlace):
			return fmt.Errorf("--place is needed: %w", err)
		case err != nil:
			return err
		}
		_, err = fmt.Fprintf(out, "terminal %s stands at %s\n", id[0], s.ZH)
		return err
	})
}

// resetTerminal makes a new code for a terminal that is known. The machine that
// uses it is the terminal from then on.
func resetTerminal(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("terminal reset", flag.ContinueOnError)
	var p place
	var i invitation
	var o parting
	p.flags(f)
	i.flags(f)
	o.flags(f)
	same := f.Bool("same-machine", false, "only the machine that keeps the terminal's journal can use the code")
	id, err := parse(f, args, 1)
	if err != nil {
		return err
	}
	if err := i.check(); err != nil {
		return err
	}
	d, err := p.openOld(ctx)
	if err != nil {
		return err
	}
	if !*same { // the journal goes on
		err = p.part(ctx, d, id[0], o)
	}
	if err == nil {
		err = i.invite(ctx, d, store.Invitation{Terminal: id[0], Known: true, SameMachine: *same}, out)
	}
	return errors.Join(err, d.books.Close())
}

// revokeTerminal shuts a terminal out.
func revokeTerminal(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("terminal revoke", flag.ContinueOnError)
	var p place
	var o parting
	p.flags(f)
	o.flags(f)
	id, err := parse(f, args, 1)
	if err != nil {
		return err
	}
	d, err := p.openOld(ctx)
	if err != nil {
		return err
	}
	if err = p.part(ctx, d, id[0], o); err == nil {
		err = d.books.RevokeTerminal(ctx, id[0])
	}
	if err == nil { // it can ask for nothing any more
		if err = p.leave(ctx, d, id[0]); err != nil {
			err = fmt.Errorf("%s is shut out, and money may still be held for it: revoke it again: %w", id[0], err)
		}
	}
	if err := errors.Join(err, d.books.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "terminal %s is shut out\n", id[0])
	return err
}

// stateOf says how a terminal stands.
func stateOf(t store.Terminal) string {
	switch {
	case t.Revoked:
		return "revoked"
	case t.Fingerprint == [32]byte{}:
		return "waiting" // for its code to be used
	case !t.Expires.IsZero() && time.Now().After(t.Expires):
		return "expired"
	}
	return "good"
}

func listTerminals(ctx context.Context, args []string, out io.Writer) error {
	return onBooks(ctx, "terminal list", args, 0, func(b *store.Books, _ []string) error {
		all, err := b.Terminals(ctx)
		if err != nil {
			return err
		}
		newest, err := b.Feeds(ctx)
		if err != nil {
			return err
		}
		holds, err := ingest.Holdings(ctx, b)
		if err != nil {
			return err
		}
		places, err := stand.All(ctx, b)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tPLACE\tNUMBER\tSTATE\tVERSION\tHEARD\tCLOCK AHEAD\tCERTIFICATE UNTIL\t"+
			"FEEDS BEHIND\tHELD\tUNSENT")
		for _, t := range all {
			s, err := b.Standing(ctx, t.ID)
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\n", t.ID,
				cmp.Or(places.Now(t.ID).ZH, "-"), t.No, stateOf(t), t.Version, or(t.Heard, "never"), t.Drift,
				or(t.Expires, "-"), behind(t, newest), heldFor(holds[t.ID]), s.Unsent())
		}
		return w.Flush()
	})
}

// behind says which feeds a terminal does not have in their newest version, and
// by how many it is behind.
func behind(t store.Terminal, newest map[string]uint64) string {
	if t.Feeds == nil {
		return "unknown"
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(newest)) {
		switch have := t.Feeds[name]; {
		case have < newest[name]:
			all = append(all, fmt.Sprintf("%s:%d", name, newest[name]-have))
		case have > newest[name]: // these books were restored from a copy
			all = append(all, fmt.Sprintf("%s:ahead", name))
		}
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ",")
}

// heldFor says how much is held for a terminal, in how many sales, and since when.
func heldFor(h ingest.Holding) string {
	if h.Count == 0 {
		return "-"
	}
	return fmt.Sprintf("%s in %d since %s", h.Amount, h.Count, h.Since.Format(time.RFC3339))
}

func or(t time.Time, none string) string {
	if t.IsZero() {
		return none
	}
	return t.Format(time.RFC3339)
}

type terminalReport struct {
	ID          string    `json:"id"`
	No          string    `json:"terminal_no"`
	Place       string    `json:"place,omitempty"`
	PlaceEN     string    `json:"place_en,omitempty"`
	State       string    `json:"state"`
	Version     string    `json:"version"`
	Heard       time.Time `json:"heard,omitzero"`
	Fingerprint string    `json:"certificate_sha256"`
	Expires     time.Time `json:"certificate_until,omitzero"`
	Next        string    `json:"renewed_certificate_sha256,omitempty"` // and not used yet
	JournalKey  string    `json:"journal_public_key,omitempty"`
	Epoch       string    `json:"journal_epoch"`
	Said        int64     `json:"journal_head_said"` // by the terminal
	Held        int64     `json:"journal_head_held"` // here
	Carrying    bool      `json:"journal_carries_another,omitempty"`
	Fault       string    `json:"journal_fault,omitempty"`
	Holds       int       `json:"holds"` // for sales that have not ended
	HoldsFen    money.Fen `json:"holds_fen"`
	HoldsSince  time.Time `json:"holds_since,omitzero"` // when the oldest was placed

	Feeds map[string]feedReport `json:"feeds,omitempty"` // nil: it has not said
}

// feedReport is what a terminal has of a feed.
type feedReport struct {
	Version uint64 `json:"version"`
	Newest  uint64 `json:"newest"`
}

// showTerminal prints all that is known of a terminal.
func showTerminal(ctx context.Context, args []string, out io.Writer) error {
	return onBooks(ctx, "terminal show", args, 1, func(b *store.Books, id []string) error {
		t, err := b.Terminal(ctx, id[0])
		if errors.Is(err, store.ErrNone) {
			return fmt.Errorf("no terminal %q", id[0])
		}
		if err != nil {
			return err
		}
		s, err := b.Standing(ctx, t.ID)
		if err != nil {
			return err
		}
		r := terminalReport{
			ID: t.ID, No: t.No.String(), State: stateOf(t), Version: t.Version, Heard: t.Heard,
			Fingerprint: hex.EncodeToString(t.Fingerprint[:]), Expires: t.Expires,
			JournalKey: hex.EncodeToString(t.JournalKey),
			Epoch:      s.Epoch, Said: s.Said, Held: s.Held, Carrying: s.Carrying, Fault: t.Fault,
		}
		newest, err1 := b.Feeds(ctx)
		holds, err2 := ingest.Holdings(ctx, b)
		places, err3 := stand.All(ctx, b)
		if err := errors.Join(err1, err2, err3); err != nil {
			return err
		}
		r.Place, r.PlaceEN = places.Now(t.ID).ZH, places.Now(t.ID).EN
		r.Holds, r.HoldsFen, r.HoldsSince = holds[t.ID].Count, holds[t.ID].Amount, holds[t.ID].Since
		for name, version := range t.Feeds {
			if r.Feeds == nil {
				r.Feeds = map[string]feedReport{}
			}
			r.Feeds[name] = feedReport{version, newest[name]}
		}
		if t.Next != [32]byte{} {
			r.Next = hex.EncodeToString(t.Next[:])
		}
		e := json.NewEncoder(out)
		e.SetIndent("", "\t")
		return e.Encode(r)
	})
}
