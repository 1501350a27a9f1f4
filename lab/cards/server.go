// Package cards keeps the virtual cards of the lab and lays them, one at a
// time, onto a reader that speaks vpcd's protocol: pcscd with vpcd, or the
// terminal's own listener. Both listen, and the card dials in.
//
// The cards are models that compute and remember (package reader/sim). What
// one of them did is on disk before it answers, so a card survives everything
// but the loss of its file. They can be torn off, be slow and fall silent on
// command.
//
// Section numbers refer to the project's notes on the card, chapter 9.
package cards

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"quancun/money"
	"quancun/reader/purse"
	"quancun/reader/sim"
)

// Errors that callers tell apart.
var (
	ErrNoCard    = errors.New("lab/cards: there is no such card")
	ErrAmbiguous = errors.New("lab/cards: more than one card goes by that name")
	ErrNoneLaid  = errors.New("lab/cards: no card lies on the reader")
	ErrNoReader  = errors.New("lab/cards: nobody listens where the reader should be")
)

// Config says which cards there are and where they are laid.
type Config struct {
	File string // the personalised cards, JSON
	Dir  string // where cards remember; made if it is not there
	VPCD string // the reader, such as 127.0.0.1:35963
	Log  *slog.Logger
}

// Server keeps the cards. Its methods are safe for concurrent use. Close it to
// take the card away and stop.
type Server struct {
	vpcd string
	log  *slog.Logger
	wait atomic.Int64 // time.Duration before each command reaches the card

	cards []*card // fixed after New

	mu   sync.Mutex // guards what follows, and is held while a card is laid or taken
	laid *laid      // nil if the reader is empty
}

// card is one of the server's cards.
type card struct {
	Personal
	*sim.Card

	name string // in calls and logs; no other card has it

	mu     sync.Mutex
	ending string // how it last left the reader; guarded by mu
}

// laid is a card on the reader.
type laid struct {
	*card
	at   string
	take context.CancelFunc
	gone chan struct{} // closed when it has left
}

// Info is what the lab tells of a card.
type Info struct {
	Card     string    `json:"card"` // its name in calls
	Name     string    `json:"name"`
	Note     string    `json:"note"`   // what is special about it; its kind if the file says nothing
	Masked   string    `json:"masked"` // the end of its number
	HolderNo string    `json:"holder_no"`
	Kind     string    `json:"kind"`
	Purse    money.Fen `json:"purse_fen"`
	Online   uint16    `json:"online_counter"`
	Offline  uint16    `json:"offline_counter"`
	Laid     bool      `json:"laid"`
	Where    string    `json:"where"`  // the reader's address, while it lies there
	Ending   string    `json:"ending"` // how it last left a reader: taken or torn
}

// New opens the cards in c.File.
func New(c Config) (*Server, error) {
	b, err := os.ReadFile(c.File)
	if err != nil {
		return nil, fmt.Errorf("lab/cards: %w", err)
	}
	all, err := Parse(b)
	if err != nil {
		return nil, err
	}
	dir := c.Dir
	if dir == "" {
		dir = filepath.Join(filepath.Dir(c.File), "cards")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("lab/cards: %w", err)
	}
	s := &Server{vpcd: c.VPCD, log: c.Log}
	if s.log == nil {
		s.log = slog.Default()
	}
	for i, p := range all {
		k, fresh, err := p.open(dir)
		if err != nil {
			return nil, fmt.Errorf("lab/cards: card %d: %w", i+1, err)
		}
		if fresh {
			s.log.Info("card issued", "card", i+1, "kind", p.Kind)
		}
		s.cards = append(s.cards, &card{Personal: p, Card: k})
	}
	baptize(s.cards)
	return s, nil
}

// Close takes the card away, and closes all cards.
func (s *Server) Close() error {
	err := s.Take()
	if errors.Is(err, ErrNoneLaid) {
		err = nil
	}
	for _, c := range s.cards {
		err = errors.Join(err, c.Card.Close())
	}
	return err
}

// List returns all cards, in the order of the file.
func (s *Server) List() []Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Info, 0, len(s.cards))
	for _, c := range s.cards {
		state := c.State()
		i := Info{
			Card: c.name, Name: c.Name, Note: cmp.Or(c.Note, c.Kind), Kind: c.Kind,
			Masked: c.masked(), HolderNo: c.HolderNo,
			Purse: money.Fen(state.Balance), Online: state.Online, Offline: state.Offline, Ending: c.left(),
		}
		if s.lies() == c {
			i.Laid, i.Where, i.Ending = true, s.laid.at, ""
		}
		list = append(list, i)
	}
	return list
}

// baptize gives each card a name that only it has: its holder's number; where
// a holder has several, as after a replacement, the end of the card's number
// with it; and the whole number at the worst.
func baptize(cards []*card) {
	for _, name := range []func(*card) string{
		func(c *card) string { return cmp.Or(c.HolderNo, c.masked()) },
		func(c *card) string { return c.HolderNo + "-" + strings.TrimPrefix(c.masked(), "…") },
		func(c *card) string { return c.id() },
	} {
		used := map[string]int{}
		for _, c := range cards {
			used[c.name]++
		}
		for _, c := range cards {
			if used[c.name] > 1 || c.name == "" {
				c.name = name(c)
			}
		}
	}
}

func (c *card) masked() string {
	if no, err := purse.ParseCardNo(c.CardNo); err == nil {
		return no.String()
	}
	return c.id()
}

func (c *card) left() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ending
}

// lies returns the card on the reader, or nil. Its caller holds mu.
func (s *Server) lies() *card {
	if s.laid == nil {
		return nil
	}
	select {
	case <-s.laid.gone:
		s.laid = nil
		return nil
	default:
		return s.laid.card
	}
}

// find returns the card that ref names: exactly by the holder's number, the
// card's number or its end, or the name, or else by a part of the name.
func (s *Server) find(ref string) (*card, error) {
	own := func(c *card) bool { return ref == c.name }
	exact := func(c *card) bool {
		return ref == c.HolderNo || ref == c.Name || strings.EqualFold(ref, c.CardNo) ||
			ref == c.masked() || ref == c.Kind && c.foreign() != ""
	}
	part := func(c *card) bool { return strings.Contains(c.Name, ref) }
	for _, fits := range []func(*card) bool{own, exact, part} {
		var found []*card
		for _, c := range s.cards {
			if ref != "" && fits(c) {
				found = append(found, c)
			}
		}
		switch len(found) {
		case 0:
		case 1:
			return found[0], nil
		default:
			return nil, ErrAmbiguous
		}
	}
	return nil, ErrNoCard
}

// Lay lays a card on the reader, in place of one that lies there. It returns
// when the reader has taken the connection; the terminal sees the card some
// tenths of a second later.
func (s *Server) Lay(ref string) error { return s.LayAt(ref, s.vpcd) }

// LayAt lays a card on another reader than the server's own, as a holder does
// who goes to the next till. A card that lies anywhere is taken away first.
func (s *Server) LayAt(ref, vpcd string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(ref)
	if err != nil {
		return err
	}
	if s.lies() != nil {
		s.takeAway()
	}
	ctx, take := context.WithCancel(context.Background())
	r, err := s.join(ctx, vpcd)
	if err != nil {
		take()
		return fmt.Errorf("%w (%s)", ErrNoReader, vpcd)
	}
	l := &laid{card: c, at: vpcd, take: take, gone: make(chan struct{})}
	s.laid = l
	go func() {
		defer close(l.gone)
		defer take()
		how := s.lie(ctx, r, l)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ending = how
		s.log.Info("card left the reader", "card", c.masked(), "how", how)
	}()
	return nil
}

// redial is how long a card waits before it looks for its reader again.
const redial = 200 * time.Millisecond

// lie keeps a card on the reader until it is taken away or torn off, and says
// which. A reader that hangs up, as one does whose terminal starts anew, finds
// the card where it was.
func (s *Server) lie(ctx context.Context, r *relay, l *laid) (how string) {
	for {
		if r != nil {
			if err := r.serve(ctx, l.Card); errors.Is(err, sim.ErrTorn) {
				return "torn"
			}
		}
		select {
		case <-ctx.Done():
			return "taken"
		case <-time.After(redial):
		}
		r, _ = s.join(ctx, l.at) // without a reader it is nil, and the card goes on waiting
	}
}

// Take takes the card away.
func (s *Server) Take() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lies() == nil {
		return ErrNoneLaid
	}
	s.takeAway()
	return nil
}

// takeAway takes the card away and waits until it has left. Its caller holds
// mu and knows that a card lies there.
func (s *Server) takeAway() {
	s.laid.take()
	<-s.laid.gone
	s.laid = nil
}

// Break breaks a card at a later command; without a ref the one that lies on
// the reader.
func (s *Server) Break(ref string, b sim.Break) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.lies()
	if ref != "" {
		var err error
		if c, err = s.find(ref); err != nil {
			return err
		}
	}
	if c == nil {
		return ErrNoneLaid
	}
	c.Card.Break(b)
	return nil
}

// Mend takes back all breaks of all cards that have not happened yet, and
// makes them fast again.
func (s *Server) Mend() {
	s.wait.Store(0)
	for _, c := range s.cards {
		c.Card.Mend()
	}
}

// Slow makes every command of every card take so much longer, from now on.
func (s *Server) Slow(d time.Duration) { s.wait.Store(int64(d)) }
