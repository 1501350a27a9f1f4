// Package bath is the part of campusd's command line that is about baths: halls,
// stalls, slots, the setups of water controllers and their reports. It keeps the key
// from which all codes are made.
//
//	campusd bath hall list
//	campusd bath hall add|set NO --name NAME --merchant ID --cap FEN --litre FEN --pulses N [--whole]
//	campusd bath stall add|close|open HALL NO
//	campusd bath slot add HALL --from 17:00 --to 22:30 --minutes 30
//	campusd bath slot close HALL NO
//	campusd bath key HALL [STALL] -o FILE
//	campusd bath key --all -o FOLDER
//	campusd bath take FILE
package bath

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"

	"quancun/bathcode"
	"quancun/money"
	"quancun/upstream/bath"
	"quancun/upstream/keys"
	"quancun/upstream/store"
	"quancun/water"
)

// ErrUsage means that a command line cannot be understood.
var ErrUsage = errors.New("usage: campusd bath hall list|add|set | stall add|close|open | slot add|close | key | take")

// Place is where the books are, as flags say it.
type Place interface {
	Flags(f *flag.FlagSet)
	// Data opens the books. The caller closes them.
	Data(ctx context.Context) (Data, error)
}

// Data is what a desk works on.
type Data struct {
	Books   *store.Books
	Dir     string // of the books' keys
	Policy  Settings
	Reserve money.Fen    // see [bath.Config]
	Log     *slog.Logger // nil for none
}

// Open returns the desk of d. It makes the key if there is none, unless codes were
// made with one that is not there any more: their controllers would take none of
// the new ones.
func Open(ctx context.Context, d Data) (*bath.Desk, error) {
	path := filepath.Join(d.Dir, "bath.key")
	m, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		m, err = newKey(ctx, d.Books, path)
	}
	if err != nil {
		return nil, err
	}
	return bath.New(bath.Config{
		Books: d.Books, Master: m, Policy: d.Policy.policy(), Reserve: d.Reserve, Hearing: bath.Hearing, Log: d.Log,
	}), nil
}

func readKey(path string) (m bathcode.Master, err error) {
	text, err := keys.ReadSecret(path)
	if err != nil {
		return m, err
	}
	defer clear(text)
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	defer clear(b)
	if err != nil || copy(m[:], b) != len(b) || len(b) != len(m) {
		return m, fmt.Errorf("%s is not a key", path) // the decoder's words may quote it
	}
	return m, nil
}

func newKey(ctx context.Context, books *store.Books, path string) (m bathcode.Master, err error) {
	halls, err := bath.New(bath.Config{Books: books}).Halls(ctx)
	if err != nil {
		return m, err
	}
	if len(halls) > 0 {
		return m, fmt.Errorf("the books have baths, and %s is not there: bring the key of their codes", path)
	}
	if _, err := rand.Read(m[:]); err != nil {
		return m, err
	}
	return m, keys.WriteSecret(path, hex.AppendEncode(nil, m[:]))
}

// command is a command line that is being done.
type command struct {
	ctx   context.Context //nolint:containedctx // lives for one command
	place Place
	out   io.Writer
	flags *flag.FlagSet
}

// Run does what a command line says, after the word "bath".
func Run(ctx context.Context, args []string, p Place, out io.Writer) error {
	if len(args) == 0 {
		return ErrUsage
	}
	c := command{ctx, p, out, flag.NewFlagSet("bath "+args[0], flag.ContinueOnError)}
	c.flags.SetOutput(io.Discard)
	p.Flags(c.flags)
	switch args[0] {
	case "key":
		return c.key(args[1:])
	case "take":
		return c.take(args[1:])
	}
	if len(args) < 2 {
		return ErrUsage
	}
	switch what, args := args[0]+" "+args[1], args[2:]; what {
	case "hall list":
		return c.listHalls(args)
	case "hall add", "hall set":
		return c.hall(args, what == "hall add")
	case "stall add", "stall open", "stall close":
		return c.stall(args, what == "stall close")
	case "slot add":
		return c.addSlots(args)
	case "slot close":
		return c.closeSlot(args)
	}
	return ErrUsage
}

// on parses n words and the flags after them, and calls do with the desk.
func (c command) on(args []string, n int, do func(d *bath.Desk, words []string) error) error {
	if len(args) < n {
		return ErrUsage
	}
	if err := c.flags.Parse(args[n:]); err != nil {
		return fmt.Errorf("%w\n%w", err, ErrUsage)
	}
	if c.flags.NArg() > 0 {
		return ErrUsage
	}
	data, err := c.place.Data(c.ctx)
	if err != nil {
		return err
	}
	d, err := Open(c.ctx, data)
	if err == nil {
		err = do(d, args[:n])
	}
	return errors.Join(err, data.Books.Close())
}

// numbers reads words that are numbers from 0 to 65535.
func numbers(words []string) (all []uint16, err error) {
	for _, w := range words {
		n, err := strconv.ParseUint(w, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("%q is not a number: %w", w, ErrUsage)
		}
		all = append(all, uint16(n))
	}
	return all, nil
}

func (c command) listHalls(args []string) error {
	return c.on(args, 0, func(d *bath.Desk, _ []string) error {
		halls, err := d.Halls(c.ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "HALL\tNAME\tMERCHANT\tCODES\tCAP\tLITRE\tSTALLS\tSLOTS")
		for _, h := range halls {
			codes := "of a stall"
			if h.Whole {
				codes = "of the hall"
			}
			fmt.Fprintf(w, "%d\t%s%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
				h.No, h.Name, closed(h.Closed), h.Merchant, codes, h.Cap, h.Tariff.PerLitre, stalls(h), slots(h))
		}
		return w.Flush()
	})
}

func closed(is bool) string {
	if is {
		return " (closed)"
	}
	return ""
}

func stalls(h bath.Hall) string {
	var all []string
	for _, s := range h.Stalls {
		all = append(all, fmt.Sprintf("%d%s", s.No, closed(s.Closed)))
	}
	return strings.Join(all, " ")
}

func slots(h bath.Hall) string {
	var all []string
	for _, s := range h.Slots {
		all = append(all, fmt.Sprintf("%d: %s-%s%s", s.No, clock(s.From), clock(s.To), closed(s.Closed)))
	}
	return strings.Join(all, ", ")
}

func clock(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }

// hall adds a hall, or changes what the flags name of one.
func (c command) hall(args []string, add bool) error {
	h := bath.Hall{Cap: 5 * money.Yuan, Tariff: water.Tariff{PulsesPerLitre: 300}, Cancel: 10}
	name := c.flags.String("name", "", "of the hall, for people")
	merchant := c.flags.String("merchant", "", "to whom the water is owed")
	whole := c.flags.Bool("whole", false, "a code opens whichever stall is free")
	most := c.flags.Int64("cap", int64(h.Cap), "fen that are held for a shower, and that it costs at most")
	litre := c.flags.Int64("litre", 0, "fen for a litre")
	pulses := c.flags.Int64("pulses", h.Tariff.PulsesPerLitre, "of the meters, for a litre")
	cancel := c.flags.Int("cancel", h.Cancel, "minutes before a slot, until when it can be cancelled")
	shut := c.flags.Bool("closed", false, "nothing can be reserved")
	return c.on(args, 1, func(d *bath.Desk, words []string) error {
		n, err := numbers(words)
		if err != nil {
			return err
		}
		if h.No = n[0]; !add {
			if h, err = d.Hall(c.ctx, n[0]); err != nil {
				return err
			}
		}
		c.flags.Visit(func(f *flag.Flag) {
			switch f.Name {
			case "name":
				h.Name = *name
			case "cap":
				h.Cap = money.Fen(*most)
			case "litre":
				h.Tariff.PerLitre = money.Fen(*litre)
			case "pulses":
				h.Tariff.PulsesPerLitre = *pulses
			case "cancel":
				h.Cancel = *cancel
			case "closed":
				h.Closed = *shut
			}
		})
		if add {
			h.Merchant, h.Whole = *merchant, *whole
			return d.AddHall(c.ctx, h)
		}
		if err := d.SetHall(c.ctx, h); err != nil {
			return err
		}
		_, err = fmt.Fprintln(c.out, "If the price or the cap has changed, its controllers need a new setup: bath key")
		return err
	})
}

func (c command) stall(args []string, shut bool) error {
	return c.on(args, 2, func(d *bath.Desk, words []string) error {
		n, err := numbers(words)
		if err != nil {
			return err
		}
		return d.SetStall(c.ctx, n[0], bath.Stall{No: n[1], Closed: shut})
	})
}

func (c command) addSlots(args []string) error {
	from := c.flags.String("from", "", "when the first begins, as 17:00")
	to := c.flags.String("to", "", "when the last ends")
	minutes := c.flags.Int("minutes", 30, "of a slot")
	return c.on(args, 1, func(d *bath.Desk, words []string) error {
		n, err1 := numbers(words)
		a, err2 := parseClock(*from)
		b, err3 := parseClock(*to)
		if err := errors.Join(err1, err2, err3); err != nil {
			return err
		}
		added, err := d.AddSlots(c.ctx, n[0], water.Time{From: a, To: b}, *minutes)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.out, "%s\nIts controllers need a new setup: bath key\n", slots(bath.Hall{Slots: added}))
		return err
	})
}

func parseClock(text string) (minutes int, err error) {
	h, m, ok := strings.Cut(text, ":")
	hours, err1 := strconv.Atoi(h)
	mins, err2 := strconv.Atoi(m)
	if !ok || errors.Join(err1, err2) != nil || hours < 0 || hours > 24 || mins < 0 || mins > 59 {
		return 0, fmt.Errorf("%q is no time of a day: %w", text, ErrUsage)
	}
	return 60*hours + mins, nil
}

func (c command) closeSlot(args []string) error {
	return c.on(args, 2, func(d *bath.Desk, words []string) error {
		n, err := numbers(words)
		if err != nil || n[1] > 255 {
			return errors.Join(err, ErrUsage)
		}
		return d.CloseSlot(c.ctx, n[0], uint8(n[1]))
	})
}
