package printer_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/png"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"quancun/lab/printer"
)

// desk is a printer that is switched on, and a line to it.
type desk struct {
	t       *testing.T
	printer *printer.Printer
	conn    net.Conn
	answers *bufio.Reader
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, printer: printer.New(32, slog.New(slog.DiscardHandler))}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	d.ok(err)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = d.printer.Serve(ctx, l) })
	t.Cleanup(func() { stop(); running.Wait() })
	d.conn, err = net.Dial("tcp", l.Addr().String())
	d.ok(err)
	t.Cleanup(func() { _ = d.conn.Close() })
	d.ok(d.conn.SetDeadline(time.Now().Add(time.Minute)))
	d.answers = bufio.NewReader(d.conn)
	return d
}

func (d *desk) ok(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// send sends bytes as they are.
func (d *desk) send(bytes string) {
	d.t.Helper()
	_, err := io.WriteString(d.conn, bytes)
	d.ok(err)
}

// ask asks one question, and returns the byte that answers it.
func (d *desk) ask(question string) byte {
	d.t.Helper()
	d.send(question)
	b, err := d.answers.ReadByte()
	d.ok(err)
	return b
}

// printed waits until all that was sent is printed: GS r stands in line behind it.
func (d *desk) printed() []printer.Receipt {
	d.t.Helper()
	d.ask("\x1Dr\x01")
	return d.printer.Receipts()
}

// Commands as the reference has them.
const (
	begin   = "\x1B@\x1C&"               // ESC @, FS &
	centred = "\x1Ba\x01"                // ESC a 1
	left    = "\x1Ba\x00"                // ESC a 0
	bold    = "\x1BE\x01"                // ESC E 1
	light   = "\x1BE\x00"                // ESC E 0
	large   = "\x1D!\x11"                // GS ! 11
	normal  = "\x1D!\x00"                // GS ! 0
	cut     = "\x1DV\x42\x00"            // GS V B 0
	card    = "\xD0\xA3\xD4\xB0\xBF\xA8" // 校园卡 in GB 18030
	rare    = "\x95\x32\x82\x36"         // 𠀀, which has four bytes
)

// code is GS ( k for a QR code: its model and module, what it says, and print it.
func code(says string) string {
	n := len(says) + 3
	return "\x1D(k\x04\x001A2\x00" + "\x1D(k\x03\x001C\x04" + "\x1D(k" + string([]byte{byte(n), byte(n >> 8)}) + "1P0" + says +
		"\x1D(k\x03\x001Q0"
}

// TestText: rows of GB 18030 come out as they were sent, a code as what it says, a
// command that it does not know as nothing, and what is no character as its bytes.
func TestText(t *testing.T) {
	d := newDesk(t)
	d.send(begin + centred + large + card + "\n" + normal + left + "A 12.50   \n" + bold + rare + light + "\n" +
		"\x1BZ\x07" + "after a command\n" + "\x1Bd\x02" + code("QCR1:ABC") + "\xFF\n" + "the last row" + cut)
	d.send(begin + "another\n" + cut)
	all := d.printed()
	if len(all) != 2 {
		t.Fatalf("%d receipts, want 2", len(all))
	}
	want := "校园卡\nA 12.50\n\U00020000\nafter a command\n\n\n\uFFFD\nthe last row\n"
	if got := all[0].Text; got != want {
		t.Errorf("text %q, want %q", got, want)
	}
	if !slices.Equal(all[0].Codes, []string{"QCR1:ABC"}) || all[1].Text != "another\n" || all[1].Codes != nil {
		t.Errorf("receipts %+v", all)
	}
}

// ink counts the dark dots of a part of a picture.
func ink(p image.Image, part image.Rectangle) (n int) {
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			if r, _, _, _ := p.At(x, y).RGBA(); r < 0x8000 {
				n++
			}
		}
	}
	return n
}

// TestPicture: the picture is as wide as the paper and as high as its rows; text
// stands where it was put, a bold row has more ink than a light one, and a large one
// is twice as high and wide; the code has the three corners that a camera looks for.
func TestPicture(t *testing.T) {
	const wide, margin, row, module = 32*12 + 2*16, 16, 30, 4
	d := newDesk(t)
	d.send(begin + card + "\n" + bold + card + "\n" + light + large + card + "\n" + normal + centred + card + "\n" +
		code("A") + cut)
	b, err := d.printed()[0].Picture(32)
	d.ok(err)
	p, err := png.Decode(bytes.NewReader(b))
	d.ok(err)
	const side = (21 + 2*4) * module // of the smallest code, with its quiet zone
	if got, want := p.Bounds(), image.Rect(0, 0, wide, 2*margin+5*row+side+row); got != want {
		t.Fatalf("picture of %v, want %v", got, want)
	}
	band := func(from, to, x0, x1 int) int { return ink(p, image.Rect(x0, margin+from*row, x1, margin+to*row)) }
	left, right := margin+6*12, margin+12*12
	plain, strong := band(0, 1, 0, left), band(1, 2, 0, left+1)
	if plain == 0 || strong <= plain || band(0, 1, left, wide) != 0 {
		t.Errorf("light %d dots, bold %d", plain, strong)
	}
	if band(2, 3, 0, right) == 0 || band(3, 4, 0, right) == 0 || band(2, 4, left, right) == 0 {
		t.Error("the large row is not twice as high and wide")
	}
	if middle := (wide - 6*12) / 2; band(4, 5, 0, middle) != 0 || band(4, 5, middle, middle+6*12) == 0 {
		t.Error("the centred row is not in the middle")
	}
	top, start := margin+5*row+4*module, (wide-side)/2+4*module
	for name, at := range map[string]image.Point{
		"top left": {start, top}, "top right": {start + 14*module, top}, "bottom left": {start, top + 14*module},
	} {
		square := func(from, size int) int { // of modules
			return ink(p, image.Rect(0, 0, size*module, size*module).Add(at).Add(image.Pt(from*module, from*module)))
		}
		const m = module * module
		if square(0, 7) != (49-25+9)*m || square(1, 5) != 9*m || square(2, 3) != 9*m {
			t.Errorf("%s is no corner of a code: %d, %d, %d dots", name, square(0, 7), square(1, 5), square(2, 3))
		}
	}
}

// TestAnswers holds the answer to each real-time question to the bits of the
// reference, also while nothing is printed.
func TestAnswers(t *testing.T) {
	d := newDesk(t)
	for name, tt := range map[string]struct {
		state printer.State
		want  [4]byte // to DLE EOT 1 to 4
	}{
		"ready":   {printer.State{Paper: "ok"}, [4]byte{0x12, 0x12, 0x12, 0x12}},
		"low":     {printer.State{Paper: "low"}, [4]byte{0x12, 0x12, 0x12, 0x1E}},
		"out":     {printer.State{Paper: "out"}, [4]byte{0x1A, 0x32, 0x12, 0x7E}},
		"cover":   {printer.State{Paper: "ok", Cover: true}, [4]byte{0x1A, 0x16, 0x12, 0x12}},
		"offline": {printer.State{Paper: "ok", Offline: true}, [4]byte{0x1A, 0x12, 0x12, 0x12}},
		"fault":   {printer.State{Paper: "ok", Fault: true}, [4]byte{0x1A, 0x52, 0x1A, 0x12}},
	} {
		d.ok(d.printer.Set(tt.state))
		for i, want := range tt.want {
			if got := d.ask("\x10\x04" + string([]byte{byte(i + 1)})); got != want {
				t.Errorf("%s: question %d is answered %#02x, want %#02x", name, i+1, got, want)
			}
		}
	}
	if err := d.printer.Set(printer.State{Paper: "much"}); err == nil {
		t.Error("any word is a state of the paper")
	}
}

// TestPaperEnds: the roll ends in the middle of a receipt, which stops there, and is
// printed to its end, once, when a new one is in. The drawer is unlocked in its turn.
func TestPaperEnds(t *testing.T) {
	d := newDesk(t)
	d.ok(d.printer.Set(printer.State{Paper: "ok", Lines: 2}))
	d.send(begin + "one\ntwo\nthree\n" + "\x1Bp\x00\x19\xFA" + cut)
	for d.printer.State().Paper != "out" {
		time.Sleep(time.Millisecond) // until two lines are printed
	}
	if b := d.ask("\x10\x04\x04"); b != 0x7E || len(d.printer.Receipts()) != 0 || d.printer.Kicks() != 0 {
		t.Errorf("out of paper: %#02x, %d receipts, %d kicks", b, len(d.printer.Receipts()), d.printer.Kicks())
	}
	d.ok(d.printer.Set(printer.State{Paper: "ok"}))
	if all := d.printed(); len(all) != 1 || all[0].Text != "one\ntwo\nthree\n" || d.printer.Kicks() != 1 {
		t.Errorf("with a new roll: %+v, %d kicks", all, d.printer.Kicks())
	}
}

// TestHandler handles it from elsewhere, as the lab's commands do.
func TestHandler(t *testing.T) {
	d := newDesk(t)
	h := d.printer.Handler()
	call := func(method, path, body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
		return w
	}
	d.send(begin + card + "\n" + code("A") + cut)
	d.printed()
	var all []printer.Receipt
	d.ok(json.Unmarshal(call("GET", "/printer/receipts", "").Body.Bytes(), &all))
	if len(all) != 1 || all[0].Text != "校园卡\n" || !slices.Equal(all[0].Codes, []string{"A"}) {
		t.Errorf("receipts %+v", all)
	}
	if w := call("GET", "/printer/receipts/1", ""); w.Header().Get("Content-Type") != "image/png" {
		t.Errorf("picture: %d %s", w.Code, w.Header())
	} else if _, err := png.Decode(w.Body); err != nil {
		t.Errorf("picture: %v", err)
	}
	for path, want := range map[string]int{"/printer/receipts/0": http.StatusNotFound,
		"/printer/receipts/2": http.StatusNotFound, "/printer/receipts/x": http.StatusNotFound} {
		if w := call("GET", path, ""); w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
	for body, want := range map[string]int{`{"paper":"out"}`: 200, `{"paper":"much"}`: 400, `{"cover":1}`: 400,
		`{"ink":"black"}`: 400} {
		if w := call("POST", "/printer", body); w.Code != want {
			t.Errorf("%s: %d, want %d", body, w.Code, want)
		}
	}
	if s := d.printer.State(); s.Paper != "out" {
		t.Errorf("state %+v after it was set", s)
	}
}
