package printer

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// Bytes that begin commands.
const (
	dle = 0x10
	eot = 0x04
	esc = 0x1B
	fs  = 0x1C
	gs  = 0x1D
)

// row is a line of the paper as it looks, or a QR code.
type row struct {
	text   string
	large  bool
	bold   bool
	centre bool
	code   string
	module int // dots of a module of the code
}

// source gives bytes from the printer's buffer.
type source struct {
	ctx   context.Context //nolint:containedctx // lives as long as a call
	queue <-chan byte
}

// next returns the next byte, and false when there is none any more.
func (s source) next() (byte, bool) {
	select {
	case b, ok := <-s.queue:
		return b, ok
	case <-s.ctx.Done():
		return 0, false
	}
}

// decoder prints what stands in line.
type decoder struct {
	printer *Printer
	in      source

	line   []byte
	style  row
	stored string // a QR code that waits to be printed
	module int
	paper  Receipt
}

// run prints until the lab ends.
func (d *decoder) run() {
	for {
		b, ok := d.in.next()
		if !ok || !d.printer.await(d.in.ctx) {
			return
		}
		switch b {
		case esc:
			ok = d.escape()
		case gs:
			ok = d.group()
		case fs:
			_, ok = d.in.next() // FS & and FS .: Chinese on and off; it is always on
		case '\n':
			d.feed()
		default:
			if b >= ' ' {
				d.line = append(d.line, b)
			}
		}
		if !ok {
			return
		}
	}
}

// feed prints the line.
func (d *decoder) feed() {
	text, err := simplifiedchinese.GB18030.NewDecoder().Bytes(d.line)
	if err != nil {
		text = []byte(fmt.Sprintf("?%x", d.line))
	}
	r := d.style
	r.text = string(text)
	d.line = d.line[:0]
	d.print(r)
}

func (d *decoder) print(r row) {
	d.printer.use()
	d.paper.rows = append(d.paper.rows, r)
}

func (d *decoder) escape() bool {
	c, ok := d.in.next()
	if !ok || c == '@' {
		d.style, d.stored, d.line = row{}, "", nil
		return ok
	}
	if c == 'p' {
		return d.pulse()
	}
	n, ok := d.in.next() // each of the others has one parameter
	switch c {
	case 'a':
		d.style.centre = n == 1
	case 'E':
		d.style.bold = n&1 == 1
	case 'd':
		for range n {
			d.feed()
		}
	case '!', 't', 'R', '3':
	default:
		d.printer.Log.Warn("printer does not know a command", "command", fmt.Sprintf("ESC %q", c))
	}
	return ok
}

// pulse unlocks the drawer: ESC p, with the pin and two times.
func (d *decoder) pulse() bool {
	for range 3 {
		if _, ok := d.in.next(); !ok {
			return false
		}
	}
	d.printer.kick()
	return true
}

func (d *decoder) group() bool {
	c, ok := d.in.next()
	if !ok {
		return false
	}
	switch c {
	case '(':
		return d.symbol()
	case 'V':
		return d.cut()
	}
	n, ok := d.in.next()
	switch c {
	case '!':
		d.style.large = n != 0
	case 'r':
		b := byte(0) // bits 4 and 7 are never set
		if d.printer.State().Paper != "ok" {
			b = 0x03
		}
		d.printer.say(b)
	default:
		d.printer.Log.Warn("printer does not know a command", "command", fmt.Sprintf("GS %q", c))
	}
	return ok
}

func (d *decoder) cut() bool {
	m, ok := d.in.next()
	if ok && m >= 65 {
		_, ok = d.in.next() // how far it feeds before
	}
	if len(d.line) > 0 {
		d.feed()
	}
	var text strings.Builder
	for _, r := range d.paper.rows {
		if r.code != "" {
			d.paper.Codes = append(d.paper.Codes, r.code)
			continue
		}
		text.WriteString(strings.TrimRight(r.text, " ") + "\n")
	}
	d.paper.Text, d.paper.At = text.String(), time.Now()
	d.printer.cut(d.paper)
	d.paper = Receipt{}
	return ok
}

// symbol reads GS ( k, of which it knows QR codes (cn 49).
func (d *decoder) symbol() bool {
	var head [3]byte
	for i := range head {
		b, ok := d.in.next()
		if !ok {
			return false
		}
		head[i] = b
	}
	data := make([]byte, int(head[1])+int(head[2])<<8)
	for i := range data {
		b, ok := d.in.next()
		if !ok {
			return false
		}
		data[i] = b
	}
	if head[0] != 'k' || len(data) < 3 || data[0] != 49 {
		d.printer.Log.Warn("printer does not know a symbol")
		return true
	}
	switch data[1] {
	case 67:
		d.module = int(data[2])
	case 80:
		d.stored = string(data[3:])
	case 81:
		r := row{code: d.stored, module: max(d.module, 1), centre: d.style.centre}
		d.print(r)
	}
	return true
}
