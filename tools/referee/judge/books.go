package judge

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// entry is what the referee needs to know of one.
type entry struct {
	seq      int64
	at       int64
	kind     int
	outcome  int
	amount   int64
	terminal string
	epoch    []byte
	ref      string
	card     string
	account  string
	merchant string
	operator string
	postings []posting
	details  []byte
	origin   int64 // number of the entry there
}

type posting struct {
	account string
	amount  int64
}

// books follow a journal from its first entry on.
type books struct {
	terminal string
	epoch    []byte
	seq, at  int64
	last     []byte // hash of the entry before
	totals   map[string]int64
	begun    map[string]int  // kind of intent, by reference
	doubted  map[string]bool // by reference
	ended    map[string]bool
	drawer   drawer
}

func newBooks(terminal string) *books {
	return &books{
		drawer:   drawer{sums: map[string]*sum{}},
		terminal: terminal, last: make([]byte, 32), totals: map[string]int64{},
		begun: map[string]int{}, doubted: map[string]bool{}, ended: map[string]bool{},
	}
}

// take checks the next entry and adds what it moves.
func (b *books) take(body []byte) error {
	e, prev, err := read(body)
	if err != nil {
		return err
	}
	if !bytes.Equal(prev, b.last) {
		return errors.New("it does not follow the entry before")
	}
	if e.seq != b.seq+1 || b.seq > 0 && e.at <= b.at {
		return fmt.Errorf("number %d and time %d after %d and %d", e.seq, e.at, b.seq, b.at)
	}
	if e.epoch != nil { // the second form says where it belongs
		if e.terminal != b.terminal || b.epoch != nil && !bytes.Equal(b.epoch, e.epoch) {
			return fmt.Errorf("it is of terminal %s, epoch %x", e.terminal, e.epoch)
		}
		b.epoch = e.epoch
	}
	hash := sha256.Sum256(append([]byte{0}, body...))
	b.seq, b.at, b.last = e.seq, e.at, hash[:]
	if e.kind == 66 || e.kind == 67 {
		if err := b.drawer.check(e, b.totals); err != nil {
			return err
		}
	}
	if err := b.post(e); err != nil {
		return err
	}
	return b.drawer.add(e)
}

// post checks the order of things under a reference, and what the entry moves.
func (b *books) post(e entry) error {
	doubted := b.doubted[e.ref]
	switch e.kind {
	case 1:
		return b.start(e)
	case 2:
		return b.open(e)
	case 3:
		return b.carry(e)
	}
	if err := errors.Join(b.order(e), e.centre(), e.request()); err != nil {
		return err
	}
	var sum int64
	for _, p := range e.postings {
		sum += p.amount
		b.totals[p.account] += p.amount
	}
	if sum != 0 {
		return fmt.Errorf("its postings come to %d", sum)
	}
	if want := moves(e, doubted); !want.has(e) {
		return fmt.Errorf("kind %d moves %v, want from %q to %q", e.kind, e.postings, want.from, want.to)
	}
	return nil
}

// start reads the epoch out of a start of the first form.
func (b *books) start(e entry) error {
	if b.epoch != nil {
		return nil
	}
	var d struct{ Epoch string }
	if err := json.Unmarshal(e.details, &d); err != nil {
		return err
	}
	epoch, err := hex.DecodeString(d.Epoch)
	b.epoch = epoch
	return err
}

func (b *books) open(e entry) error {
	var d struct{ Accounts map[string]int64 }
	if err := json.Unmarshal(e.details, &d); err != nil || e.seq != 1 {
		return fmt.Errorf("an epoch is opened in entry %d (%v)", e.seq, err)
	}
	var sum int64
	for account, balance := range d.Accounts {
		b.totals[account] += balance
		sum += balance
	}
	if sum != 0 {
		return fmt.Errorf("the opening balances come to %d", sum)
	}
	return nil
}

// carry notes what an old entry has begun or ended. What has gone on in two
// copies of a journal may be carried over twice.
func (b *books) carry(e entry) error {
	var d struct{ Body []byte }
	if err := json.Unmarshal(e.details, &d); err != nil || len(e.postings) > 0 {
		return fmt.Errorf("it carries nothing over (%v)", err)
	}
	old, _, err := read(d.Body)
	if err != nil {
		return fmt.Errorf("it carries over: %w", err)
	}
	_ = b.order(old)
	return nil
}

// intents are the kinds of intent, by the kinds that go on with them.
var intents = map[int]int{11: 10, 12: 10, 21: 20, 22: 20, 41: 40, 42: 40, 81: 80, 83: 82, 91: 90, 93: 92}

func (b *books) order(e entry) error {
	intent, goesOn := intents[e.kind]
	switch {
	case e.kind <= 3 || e.kind == 30:
		return nil
	case !goesOn:
		if b.begun[e.ref] != 0 {
			return fmt.Errorf("reference %q is there already", e.ref)
		}
		b.begun[e.ref] = e.kind
		return nil
	case b.begun[e.ref] != intent || b.ended[e.ref]:
		return fmt.Errorf("kind %d of reference %q, which is not open", e.kind, e.ref)
	case e.kind == 11 || e.kind == 21 || e.kind == 41 || e.kind == 91 || e.kind == 93:
		b.ended[e.ref] = true
		return nil
	case e.kind == 81 || e.kind == 83:
		b.ended[e.ref] = true
		return b.told(e)
	case b.doubted[e.ref]:
		return fmt.Errorf("reference %q is in doubt twice", e.ref)
	}
	b.doubted[e.ref] = true
	return nil
}

// told checks that what a channel has done was said before its end: the sale, or
// the refund, under the reference without its prefix.
func (b *books) told(e entry) error {
	ref, ok := strings.CutPrefix(e.ref, "pay_")
	if want := map[int]int{81: 46, 83: 50}[e.kind]; e.outcome == 1 && (!ok || b.begun[ref] != want) {
		return fmt.Errorf("reference %q was paid, and no kind %d says so", e.ref, want)
	}
	return nil
}

// movement is from where to where an entry moves its amount; empty for none.
type movement struct{ from, to string }

func (m movement) has(e entry) bool {
	if e.kind == 64 { // counted: the difference, from or to the drawer
		return len(e.postings) == 0 || len(e.postings) == 2 &&
			slices.Contains([]string{"till/" + e.terminal, "over-short/" + e.terminal}, e.postings[0].account)
	}
	if m == (movement{}) {
		return len(e.postings) == 0
	}
	return slices.Equal(e.postings, []posting{{m.from, -e.amount}, {m.to, e.amount}})
}

// moves is the table of the document.
func moves(e entry, doubted bool) movement {
	merchant, till, suspense := "merchant/"+e.merchant, "till/"+e.terminal, "suspense/"+e.terminal
	written := e.outcome == 11 || e.outcome == 13
	switch e.kind {
	case 41:
		switch {
		case written && doubted:
			return movement{suspense, merchant}
		case written:
			return movement{"holder", merchant}
		case doubted:
			return movement{suspense, "holder"}
		}
	case 42:
		return movement{"holder", suspense}
	case 45:
		return movement{"holder", merchant}
	case 46:
		return movement{"channel/alipay", merchant}
	case 50:
		if e.card == "" && e.account == "" {
			return movement{merchant, "channel/alipay"}
		}
		return movement{merchant, "holder"}
	case 60:
		return movement{till, "holder"}
	case 61:
		return movement{"holder", till}
	case 62:
		return movement{till, "safe"}
	case 65:
		if e.amount > 0 {
			return movement{till, "safe"}
		}
	case 63:
		return movement{"safe", till}
	case 70:
		return movement{"holder", "fee/replacement"}
	}
	return movement{}
}

// read reads the bytes of an entry of either form.
func read(body []byte) (e entry, prev []byte, err error) {
	if len(body) > 0 && body[0] == '{' {
		return readFirst(body)
	}
	c := cursor{b: body}
	if c.number(1) != 2 {
		return e, nil, errors.New("neither of the forms")
	}
	prev = c.bytes(32)
	e.seq, e.epoch, e.at = c.number(8), c.bytes(8), c.number(8)
	c.bytes(8 + 1) // uptime, clock
	e.kind, e.outcome, e.amount = int(c.number(2)), int(c.number(1)), c.number(8)
	e.terminal, e.ref, e.card, e.account, e.merchant = c.text(), c.text(), c.text(), c.text(), c.text()
	e.operator = c.text()
	if c.number(1) == 1 {
		c.text()
		c.bytes(8)
		e.origin = c.number(8)
	}
	if c.number(1) == 1 {
		c.bytes(29)
	}
	for n := c.number(1); n > 0 && !c.short; n-- {
		e.postings = append(e.postings, posting{c.text(), c.number(8)})
	}
	e.details = c.bytes(int(c.number(4)))
	if c.short || len(c.b) > 0 {
		return e, nil, errors.New("not the bytes of an entry")
	}
	return e, prev, nil
}

func readFirst(body []byte) (e entry, prev []byte, err error) {
	var d struct {
		V, Seq        int64
		Prev, At, Ref string
		Kind, Outcome int
		Amount        int64
		Details       json.RawMessage
	}
	if err := json.Unmarshal(body, &d); err != nil || d.V != 1 {
		return e, nil, fmt.Errorf("first form: version %d (%v)", d.V, err)
	}
	at, err := time.Parse("2006-01-02T15:04:05.000Z", d.At)
	if err != nil {
		return e, nil, err
	}
	prev, err = hex.DecodeString(d.Prev)
	return entry{
		seq: d.Seq, at: at.UnixMilli(), kind: d.Kind, outcome: d.Outcome, ref: d.Ref, details: d.Details,
	}, prev, err
}

// cursor reads fields until one is missing.
type cursor struct {
	b     []byte
	short bool
}

func (c *cursor) bytes(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.short = true
		return make([]byte, min(max(n, 0), 64))
	}
	out := c.b[:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) number(n int) int64 {
	wide := make([]byte, 8)
	copy(wide[8-n:], c.bytes(n))
	return int64(binary.BigEndian.Uint64(wide))
}

func (c *cursor) text() string { return string(c.bytes(int(c.number(1)))) }
