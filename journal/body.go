package journal

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"quancun/money"
)

// The forms of an entry's bytes. A later form gets the next number, and
// [Decode] goes on reading every older one. The first byte tells: the first
// form is JSON and begins with a brace.
const (
	formJSON   = '{' // of version 0.1; decode only
	formBinary = 2
)

// Where the second form keeps what a schema can check without decoding it.
const (
	PrevAt  = 1             // 32 bytes: hash of the entry before
	SeqAt   = PrevAt + 32   // 8 bytes, big-endian
	headEnd = SeqAt + 8 + 8 // epoch
)

// Encode returns the bytes of e as the entry after the one with hash prev, in
// the newest form. Equal entries have equal bytes. It panics if e is too large
// to encode, which [Entry.Check] refuses.
//
// All integers are big-endian. Text is one byte of length and ASCII.
//
//	form 1, prev 32, seq 8, epoch 8, at 8 (ms since 1970), uptime 8 (ms),
//	clock 1, kind 2, outcome 1, amount 8,
//	terminal, ref, card, account, merchant, operator (text each),
//	origin: 0, or 1 terminal epoch 8 seq 8,
//	purse: 0, or 1 balance 4, counter 2, key version 1, algorithm 1,
//	       terminal number 6, trace number 4, stamp 7, TAC 4,
//	postings: count 1, then account (text) and amount 8 each,
//	details: length 4 and JSON
func (e Entry) Encode(prev Hash) []byte {
	b := append(make([]byte, 0, 256+len(e.Details)), formBinary)
	b = append(b, prev[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Seq))
	b = append(b, e.Epoch[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(e.At.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Uptime.Milliseconds()))
	b = append(b, uint8(e.Clock))
	b = binary.BigEndian.AppendUint16(b, uint16(e.Kind))
	b = append(b, uint8(e.Outcome))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Amount))
	for _, s := range [...]string{e.Terminal, e.Ref, e.Card, e.Account, e.Merchant, e.Operator} {
		b = appendText(b, s)
	}
	if e.Origin == (Position{}) {
		b = append(b, 0)
	} else {
		b = append(appendText(append(b, 1), e.Origin.Terminal), e.Origin.Epoch[:]...)
		b = binary.BigEndian.AppendUint64(b, uint64(e.Origin.Seq))
	}
	if e.Purse == nil {
		b = append(b, 0)
	} else {
		b = e.Purse.append(append(b, 1))
	}
	b = append(b, uint8(len(e.Postings)))
	for _, p := range e.Postings {
		b = binary.BigEndian.AppendUint64(appendText(b, string(p.Account)), uint64(p.Amount))
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.Details)))
	return append(b, e.Details...)
}

func appendText(b []byte, s string) []byte {
	if len(s) > math.MaxUint8 {
		panic("journal: internal error: text too long to encode") // Check refuses it
	}
	return append(append(b, uint8(len(s))), s...)
}

func (p *Purse) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, p.Balance)
	b = binary.BigEndian.AppendUint16(b, p.Counter)
	b = append(b, p.KeyVersion, p.Algorithm)
	b = append(b, p.TerminalNo[:]...)
	b = binary.BigEndian.AppendUint32(b, p.TraceNo)
	b = append(b, p.Stamp[:]...)
	return append(b, p.TAC[:]...)
}

// Decode reads the bytes of an entry of any form, and the hash of the entry
// before it. It returns [ErrNewer] for a form that a later program has
// written, and [ErrMalformed] for what no program can have written: nothing
// but Encode's own bytes can be read. Rules are [Entry.Check]'s.
func Decode(body []byte) (e Entry, prev Hash, err error) {
	switch {
	case len(body) == 0:
		return e, prev, fmt.Errorf("%w: no bytes", ErrMalformed)
	case body[0] == formJSON:
		return decodeJSON(body)
	case body[0] > formBinary && body[0] < ' ':
		return e, prev, fmt.Errorf("%w: form %d", ErrNewer, body[0])
	case body[0] != formBinary:
		return e, prev, fmt.Errorf("%w: form %d", ErrMalformed, body[0])
	}
	r := reader{s: body[1:]}
	r.fill(prev[:])
	r.entry(&e)
	if !r.whole() {
		return Entry{}, prev, fmt.Errorf("%w: entry", ErrMalformed)
	}
	return e, prev, nil
}

// HasForm reports whether body begins as the body of an entry does that [Decode]
// knows.
func HasForm(body []byte) bool {
	return len(body) > 0 && (body[0] == formBinary || body[0] == formJSON)
}

// reader reads until something is missing, and then only zeros.
type reader struct {
	s   []byte
	bad bool
}

// whole reports whether everything was there, and nothing more.
func (r *reader) whole() bool { return !r.bad && len(r.s) == 0 }

func (r *reader) entry(e *Entry) {
	e.Seq = int64(r.uint(8))
	r.fill(e.Epoch[:])
	e.At = time.UnixMilli(int64(r.uint(8))).UTC()
	uptime := r.uint(8)
	r.bad = r.bad || uptime > uptimeMax
	e.Uptime = time.Duration(uptime) * time.Millisecond
	e.Clock = ClockState(r.uint(1))
	e.Kind = Kind(r.uint(2))
	e.Outcome = Outcome(r.uint(1))
	e.Amount = money.Fen(r.uint(8))
	for _, s := range [...]*string{&e.Terminal, &e.Ref, &e.Card, &e.Account, &e.Merchant, &e.Operator} {
		*s = r.text()
	}
	if r.flag() {
		e.Origin.Terminal = r.text()
		r.fill(e.Origin.Epoch[:])
		e.Origin.Seq = int64(r.uint(8))
		r.bad = r.bad || e.Origin == Position{}
	}
	if r.flag() {
		e.Purse = r.purse()
	}
	n := r.uint(1)
	r.bad = r.bad || n > postingsMax
	for range n {
		if r.bad {
			return
		}
		e.Postings = append(e.Postings, Posting{Account(r.text()), money.Fen(r.uint(8))})
	}
	if n := r.uint(4); n > DetailsLenMax {
		r.bad = true
	} else if n > 0 {
		e.Details = r.bytes(int(n))
	}
	r.bad = r.bad || e.Seq <= 0 || !inRange(e.At)
}

// uptimeMax is what a Duration holds, in milliseconds: 292 years.
const uptimeMax = uint64(math.MaxInt64 / time.Millisecond)

// inRange keeps times within the years that every reader of text can read.
func inRange(t time.Time) bool { return t.Year() >= 1970 && t.Year() <= 9999 }

func (r *reader) purse() *Purse {
	var p Purse
	p.Balance = uint32(r.uint(4))
	p.Counter = uint16(r.uint(2))
	p.KeyVersion = byte(r.uint(1))
	p.Algorithm = byte(r.uint(1))
	r.fill(p.TerminalNo[:])
	p.TraceNo = uint32(r.uint(4))
	r.fill(p.Stamp[:])
	r.fill(p.TAC[:])
	return &p
}

// take returns the next n bytes where they lie, or none when they are not there.
func (r *reader) take(n int) []byte {
	if r.bad = r.bad || n > len(r.s); r.bad {
		return nil
	}
	b := r.s[:n]
	r.s = r.s[n:]
	return b
}

// fill reads as many bytes as b has.
func (r *reader) fill(b []byte) { copy(b, r.take(len(b))) }

// bytes returns the next n bytes, or n zeros when they are not there.
func (r *reader) bytes(n int) []byte {
	out := make([]byte, n)
	r.fill(out)
	return out
}

func (r *reader) uint(n int) (v uint64) {
	for _, b := range r.take(n) {
		v = v<<8 | uint64(b)
	}
	return v
}

func (r *reader) flag() bool {
	f := r.uint(1)
	r.bad = r.bad || f > 1
	return f == 1 && !r.bad
}

// text reads a name, which is printable ASCII, so that no entry can put
// anything else on a screen or into a log.
func (r *reader) text() string {
	s := string(r.take(int(r.uint(1))))
	r.bad = r.bad || s != "" && !isText(s)
	return s
}
