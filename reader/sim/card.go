package sim

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"quancun/pboc"
	"quancun/reader"
	"quancun/reader/apdu"
)

// ErrTorn is what the reader's side sees when a [Break] pulls the card.
var ErrTorn = fmt.Errorf("sim: card was torn: %w", reader.ErrGone)

// How is the way in which a card breaks.
type How uint8

// The ways to break. Every tear comes in two kinds, one before the card has
// done what it was told and one after, because from outside they look the same.
const (
	TearBefore   How = iota + 1 // pulled; the command had no effect
	TearAfter                   // pulled; the command had its effect, the answer is lost
	SilentBefore                // stays, and never answers; no effect
	SilentAfter                 // stays, and never answers; the command had its effect
	Slow                        // answers after Break.Delay
	WrongMAC                    // flips a bit in the last four bytes of the answer, a MAC
	ZeroMAC                     // the last four bytes of the answer are zero
)

// Break breaks the card once, at one command.
type Break struct {
	How   How
	INS   byte          // at a command with this instruction byte; 0 is any
	Skip  int           // how many such commands pass first
	Delay time.Duration // of Slow
}

// Card is a virtual card. It is powered when made. It implements
// [reader.Card], so that it can also be used without a reader.
type Card struct {
	served chan struct{} // holds one token while a Serve has the card

	mu     sync.Mutex
	state  State
	store  func(State) error // keeps a change before it is answered; may be nil
	random io.Reader
	breaks []Break

	volatile
}

// volatile is what a card forgets without power (chapter 2).
type volatile struct {
	powered  bool
	inDF     bool // the application is selected, and not the MF
	file     byte // the transparent file selected by identifier, or 0
	verified bool // the PIN was
	mf       bool // the card's control key was (external authentication)
	pending  pending

	challenge *pboc.Challenge // for the next command
	drawn     *pboc.Challenge // for this command; nil: there was none
}

// New returns a card with the given state, in memory only.
func New(s State) *Card {
	return &Card{
		served: make(chan struct{}, 1),
		state:  s.clone(), random: rand.Reader, volatile: volatile{powered: true},
	}
}

// clone copies what changes and what a caller might change.
func (s State) clone() State {
	s.Log = slices.Clone(s.Log) // the records themselves are never changed
	s.Files = maps.Clone(s.Files)
	return s
}

// SetRandom makes the card draw its random numbers from r, so that a test knows
// them in advance.
func (c *Card) SetRandom(r io.Reader) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.random = r
}

// State returns a copy of what the card remembers.
func (c *Card) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.clone()
}

// Update changes the card as only its issuer could, such as for another expiry
// date, and keeps the change.
func (c *Card) Update(change func(*State)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.state.clone()
	change(&s)
	return c.keep(s)
}

// keep makes s the card's state, on disk first if there is one.
func (c *Card) keep(s State) error {
	if c.store != nil {
		if err := c.store(s); err != nil {
			return err
		}
	}
	c.state = s
	return nil
}

// Break breaks the card at a later command. Breaks queue up: each waits for
// the ones before it.
func (c *Card) Break(b Break) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.breaks = append(c.breaks, b)
}

// Mend takes back every [Card.Break] that has not happened yet.
func (c *Card) Mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.breaks = nil
}

// PowerOn powers the card up, as laying it down does. A card that was powered
// is reset.
func (c *Card) PowerOn() { c.power(true) }

// PowerOff powers the card down. It forgets its PIN and what it was about to do.
func (c *Card) PowerOff() { c.power(false) }

func (c *Card) power(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.volatile = volatile{powered: on}
}

// ATR returns the answer to reset.
func (c *Card) ATR() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.state.ATR)
}

// Close powers the card down.
func (c *Card) Close() error {
	c.PowerOff()
	return nil
}

// Transmit lets the card execute one command. After a tear it answers nothing
// until [Card.PowerOn]. A broken card that stays silent fails at once with
// [reader.ErrSilent]: without a reader nobody measures time.
func (c *Card) Transmit(command []byte) ([]byte, error) {
	return c.exchange(context.Background(), command)
}

// exchange is Transmit on a reader, where the field ends with ctx.
func (c *Card) exchange(ctx context.Context, command []byte) ([]byte, error) {
	return c.perform(ctx, command, c.due(command))
}

// perform is exchange with the break that is due.
func (c *Card) perform(ctx context.Context, command []byte, b Break) ([]byte, error) {
	if b.How == Slow {
		select {
		case <-time.After(b.Delay):
		case <-ctx.Done():
			return nil, ErrTorn // it had not begun yet
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken(b.How, command)
}

// due returns the break that is due at command, if any.
func (c *Card) due(command []byte) Break {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.breaks) == 0 || len(command) < 2 {
		return Break{}
	}
	b := &c.breaks[0]
	if b.INS != 0 && b.INS != command[1] {
		return Break{}
	}
	if b.Skip > 0 {
		b.Skip--
		return Break{}
	}
	due := *b
	c.breaks = c.breaks[1:]
	return due
}

// broken executes command, and breaks it. The caller holds mu.
func (c *Card) broken(how How, command []byte) ([]byte, error) {
	if !c.powered {
		return nil, reader.ErrGone
	}
	var response []byte
	if how != TearBefore && how != SilentBefore {
		response = c.execute(command)
	}
	switch how {
	case TearBefore, TearAfter:
		c.volatile = volatile{}
		return nil, ErrTorn
	case SilentBefore, SilentAfter:
		return nil, reader.ErrSilent
	case WrongMAC:
		if len(response) >= 6 {
			response[len(response)-3] ^= 0x01
		}
	case ZeroMAC:
		if len(response) >= 6 {
			clear(response[len(response)-6 : len(response)-2])
		}
	}
	return response, nil
}

// execute answers one command as the card's model does. The caller holds mu.
func (c *Card) execute(wire []byte) []byte {
	cmd, s := parse(wire)
	var data []byte
	switch {
	case s != apdu.OK:
	case cmd.cla == 0xFF:
		data, s = c.readerCommand(cmd)
	default:
		data, s = c.dispatch(cmd)
	}
	if s != apdu.OK {
		data = nil
	}
	response := append([]byte(nil), data...)
	return append(response, byte(s>>8), byte(s))
}

// readerCommand answers for the reader: FF CA is its own command, which vpcd
// passes on (chapters 7 and 9).
func (c *Card) readerCommand(cmd command) ([]byte, apdu.Status) {
	if cmd.ins == 0xCA && cmd.p1 == 0 && cmd.p2 == 0 {
		return c.state.UID, apdu.OK
	}
	return nil, apdu.Unsupported
}

func (c *Card) dispatch(cmd command) ([]byte, apdu.Status) {
	switch c.state.Model {
	case M1:
		return nil, 0x6300 // the reader's word for a card that understands nothing
	case Bank:
		return c.selectForeign(cmd)
	}
	c.drawn, c.challenge = c.challenge, nil
	handle, ok := commands[[2]byte{cmd.cla, cmd.ins}]
	switch {
	case ok:
		return handle(c, cmd)
	case cmd.cla == 0x00 || cmd.cla == 0x80:
		return nil, apdu.UnknownINS
	}
	return nil, apdu.UnknownCLA
}

// commands are what a campus card knows, and a blank, by CLA and INS.
var commands = map[[2]byte]func(*Card, command) ([]byte, apdu.Status){
	{0x00, 0xA4}: (*Card).selectFile,
	{0x00, 0xB0}: (*Card).readBinary,
	{0x00, 0xB2}: (*Card).readRecord,
	{0x00, 0x84}: (*Card).getChallenge,
	{0x00, 0x20}: (*Card).verifyPIN,
	{0x80, 0x5E}: (*Card).changePIN,
	{0x80, 0x5C}: (*Card).getBalance,
	{0x80, 0x50}: (*Card).initialize,
	{0x80, 0x52}: (*Card).creditLoad,
	{0x80, 0x54}: (*Card).debitPurchase,
	{0x80, 0x5A}: (*Card).prove,

	// What makes a blank a campus card.
	{0x00, 0x82}: (*Card).authenticate,
	{0x80, 0xE0}: (*Card).createFile,
	{0x80, 0x0E}: (*Card).eraseDF,
	{0x84, 0xD4}: (*Card).writeKey,
	{0x04, 0xD6}: (*Card).updateBinary,
}
