package printer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"quancun/journal"
	lab "quancun/lab/printer"
	"quancun/money"
)

// newPrinter is a printer of the lab, and the one of this package that prints on
// it.
func newPrinter(t *testing.T, w Width) (*lab.Printer, *Printer) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	there := lab.New(int(w), slog.New(slog.NewTextHandler(t.Output(), nil)))
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = there.Serve(ctx, l) })
	t.Cleanup(func() { stop(); running.Wait() })
	return there, &Printer{Address: "tcp:" + l.Addr().String(), Width: w}
}

func set(t *testing.T, p *lab.Printer, s lab.State) {
	t.Helper()
	if s.Paper == "" {
		s.Paper = "ok"
	}
	if err := p.Set(s); err != nil {
		t.Fatal(err)
	}
}

const proof = "QCR1:ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

// aSale is a receipt with all that one can have.
func aSale(ref string) Slip {
	i := Issuer{School: "示范大学", Merchant: "第一食堂 3 号窗", Terminal: "T-01"}
	return i.Sale(Chinese, Sale{
		Entry: journal.Entry{
			Kind: journal.SaleEnd, Ref: ref, Seq: 42, Card: "00002026000100012345", Operator: "c1",
			Amount: 1250, At: time.Date(2026, 11, 26, 4, 5, 6, 0, time.UTC),
		},
		Lines: []Line{{"红烧牛肉面（大碗，加一份青菜和一个卤蛋）", 1150}, {"豆浆", 100}},
		Paid:  ByCard, Holder: "张*三", Balance: 8750, Known: true, Proof: proof,
	})
}

// TestReceipt prints a sale on both widths of paper, and reads what came out.
func TestReceipt(t *testing.T) {
	want := map[Width]string{
		Paper58: `示范大学
第一食堂 3 号窗
消费小票
时间         2026-11-26 12:05:06
票号                     T-01-42
收银员                        c1
--------------------------------
红烧牛肉面（大碗，加一份青菜和一
个卤蛋）                   11.50
豆浆                        1.00
合计                     ￥12.50
支付方式                  校园卡
卡号                    ****2345
持卡人                     张*三
余额                     ￥87.50
--------------------------------
扫码核验本小票
`,
		Paper80: `示范大学
第一食堂 3 号窗
消费小票
时间                         2026-11-26 12:05:06
票号                                     T-01-42
收银员                                        c1
------------------------------------------------
红烧牛肉面（大碗，加一份青菜和一个卤蛋）   11.50
豆浆                                        1.00
合计                                     ￥12.50
支付方式                                  校园卡
卡号                                    ****2345
持卡人                                     张*三
余额                                     ￥87.50
------------------------------------------------
扫码核验本小票
`,
	}
	for w, want := range want {
		there, p := newPrinter(t, w)
		if err := p.Print(t.Context(), aSale("S1")); err != nil {
			t.Fatal(err)
		}
		all := there.Receipts()
		if len(all) != 1 || all[0].Text != want || !slices.Equal(all[0].Codes, []string{proof}) {
			t.Errorf("%d columns: %+v\nwant\n%s", w, all, want)
			continue
		}
		for _, l := range strings.Split(all[0].Text, "\n") {
			if columnsOf(l) > int(w) {
				t.Errorf("%q has %d columns, and the paper %d", l, columnsOf(l), w)
			}
		}
		picture, err := all[0].Picture(int(w))
		if err != nil {
			t.Fatal(err)
		}
		if img, err := png.Decode(bytes.NewReader(picture)); err != nil || img.Bounds().Dx() < int(w)*12 {
			t.Errorf("picture: %v", err)
		}
		if dir := os.Getenv("PICTURES"); dir != "" {
			if err := os.WriteFile(fmt.Sprintf("%s/receipt%d.png", dir, w), picture, 0o600); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestReports prints a refund and a shift's reports.
func TestReports(t *testing.T) {
	there, p := newPrinter(t, Paper58)
	i := Issuer{School: "Demo University", Terminal: "T-01", Training: true}
	e := journal.Entry{Kind: journal.Refund, Ref: "R1", Seq: 43, Amount: 500, At: time.Unix(1_800_000_000, 0)}
	z := journal.Entry{Kind: journal.ShiftClosed, Ref: "Z1", Seq: 44, At: time.Unix(1_800_000_100, 0)}
	r := journal.Report{Z: 7, Card: journal.Sum{Count: 3, Amount: 3000}, Short: 100, Till: 20000, Unsynced: 2, Part: true}
	for _, s := range []Slip{
		i.Sale(English, Sale{Entry: e, Paid: ByChannel, Original: "T-01-42", Proof: proof}), i.Report(English, z, r, proof),
	} {
		if err := p.Print(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	all := there.Receipts()
	for n, want := range [][]string{
		{"TRAINING", "Refund", "Of receipt               T-01-42", "Total                     ￥5.00", "Paid by                   Alipay"},
		{"Z report 7", "Campus card × 3           30.00", "Short                       1.00", "Not sent yet                   2"},
	} {
		for _, line := range want {
			if !slices.Contains(strings.Split(all[n].Text, "\n"), line) {
				t.Errorf("receipt %d lacks %q:\n%s", n, line, all[n].Text)
			}
		}
		if len(all[n].Codes) > 0 {
			t.Errorf("receipt %d proves itself, and is none", n)
		}
	}
}

// TestStatus asks a printer in each state, and one that is not there.
func TestStatus(t *testing.T) {
	there, p := newPrinter(t, Paper80)
	for _, tt := range []struct {
		state lab.State
		want  Status
		err   error
	}{
		{lab.State{}, Status{Answers: true, Online: true, Paper: PaperOK}, nil},
		{lab.State{Paper: "low"}, Status{Answers: true, Online: true, Paper: PaperLow}, nil},
		{lab.State{Paper: "out"}, Status{Answers: true, Paper: PaperOut}, ErrPaper},
		{lab.State{Cover: true}, Status{Answers: true, Cover: true, Paper: PaperOK}, ErrCover},
		{lab.State{Offline: true}, Status{Answers: true, Paper: PaperOK}, ErrOffline},
		{lab.State{Fault: true}, Status{Answers: true, Fault: true, Paper: PaperOK}, ErrOffline},
	} {
		set(t, there, tt.state)
		got, err := p.Status(t.Context())
		if err != nil || got != tt.want || !errors.Is(got.Err(), tt.err) {
			t.Errorf("%+v: %+v, %v (%v); want %+v", tt.state, got, err, got.Err(), tt.want)
		}
		if err := p.Print(t.Context(), aSale("S1")); !errors.Is(err, tt.err) {
			t.Errorf("%+v: Print: %v, want %v", tt.state, err, tt.err)
		}
	}
	if n := len(there.Receipts()); n != 2 {
		t.Errorf("%d receipts came out, want 2", n)
	}
	away := &Printer{Address: "tcp:127.0.0.1:1", Width: Paper58}
	if s, err := away.Status(t.Context()); err != nil || s.Answers || !errors.Is(s.Err(), ErrAway) {
		t.Errorf("nobody there: %+v, %v", s, err)
	}
	for _, bad := range []string{"", "tcp:nowhere", "lpt:1", "usb:", "serial:/dev/null?baud=x"} {
		if _, err := (&Printer{Address: bad}).Status(t.Context()); err == nil && bad != "serial:/dev/null?baud=x" {
			t.Errorf("%q is taken for an address", bad)
		}
	}
}

func newTray(t *testing.T, dir string) *Tray {
	t.Helper()
	tray, err := OpenTray(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return tray
}

// TestOutOfPaper has the paper end between a sale and its receipt, and in the
// middle of a receipt: neither is called printed, both are kept over a restart,
// and come out when there is paper, in their order.
func TestOutOfPaper(t *testing.T) {
	there, p := newPrinter(t, Paper58)
	dir := t.TempDir()
	d := &Desk{Printer: p, Tray: newTray(t, dir), Marks: Chinese.Marks}
	set(t, there, lab.State{Paper: "out"})
	if err := d.Print(t.Context(), aSale("S1")); !errors.Is(err, ErrPaper) {
		t.Fatalf("Print: %v, want ErrPaper", err)
	}
	set(t, there, lab.State{Lines: 5})
	if n, err := d.PrintKept(t.Context()); n != 0 || !errors.Is(err, ErrUnsure) {
		t.Errorf("PrintKept = %d, %v; want none, and nobody knows", n, err)
	}
	if err := d.Print(t.Context(), aSale("S2")); !errors.Is(err, ErrPaper) {
		t.Fatalf("Print: %v, want ErrPaper", err)
	}
	d.Tray = newTray(t, dir) // the power fails
	kept := d.Tray.Unprinted()
	if len(kept) != 2 || kept[0].Slip.ID != "S1" || !kept[0].Unsure || kept[1].Unsure {
		t.Fatalf("kept %+v, want both, and the first unsure", kept)
	}
	if n := len(there.Receipts()); n != 0 {
		t.Errorf("%d receipts came out, want none", n)
	}
	set(t, there, lab.State{}) // new paper; the printer goes on with what it had begun
	if n, err := d.PrintKept(t.Context()); n != 2 || err != nil {
		t.Errorf("PrintKept = %d, %v; want both", n, err)
	}
	all := there.Receipts()
	if len(all) != 3 || !strings.HasPrefix(all[1].Text, "补打\n") || strings.Contains(all[2].Text, "补打") {
		t.Errorf("%d receipts came out, want the begun one, it again and marked, and the second", len(all))
	}
	if kept := d.Tray.Unprinted(); len(kept) != 0 {
		t.Errorf("still kept: %+v", kept)
	}
}

// heard is a listener that tells when the lab's printer has answered the four
// questions of a caller.
type heard struct {
	net.Listener
	said chan struct{}
}

func (h heard) Accept() (net.Conn, error) {
	c, err := h.Listener.Accept()
	return &caller{Conn: c, said: h.said}, err
}

type caller struct {
	net.Conn
	said    chan struct{}
	answers int
}

func (c *caller) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if c.answers++; c.answers == 4 {
		c.said <- struct{}{}
	}
	return n, err
}

// TestLateAnswer has a printer that stopped in the middle come to the end of that
// receipt only when the next one is there: what it says then is of the first.
func TestLateAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	there := lab.New(int(Paper58), slog.New(slog.NewTextHandler(t.Output(), nil)))
	said := make(chan struct{}, 9)
	first := make(chan struct{})
	var once sync.Once
	there.Cut = func(lab.Receipt) { once.Do(func() { close(first); <-said }) }
	var running sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	running.Go(func() { _ = there.Serve(ctx, heard{l, said}) })
	defer func() { stop(); running.Wait() }()

	p := &Printer{Address: "tcp:" + l.Addr().String(), Width: Paper58}
	set(t, there, lab.State{Lines: 5})
	if err := p.Print(t.Context(), aSale("S1")); !errors.Is(err, ErrUnsure) {
		t.Fatalf("Print: %v, want ErrUnsure", err)
	}
	<-said
	set(t, there, lab.State{})
	<-first // it is at the end of the first, and has not said so
	for i := range 2 {
		if err := p.Print(t.Context(), aSale(fmt.Sprint("S", i+2))); err != nil {
			t.Errorf("Print: %v", err)
		}
		if n := len(there.Receipts()); n != i+2 {
			t.Errorf("called printed with %d receipts out, want %d", n, i+2)
		}
	}
}

// TestPrintedUnheard has the power fail when a receipt is on paper and nobody has heard
// of it yet: the next start knows that it may be. Where that cannot be written down
// nothing is printed, again and again.
func TestPrintedUnheard(t *testing.T) {
	there, p := newPrinter(t, Paper80)
	dir, cut := t.TempDir(), make(chan []Kept, 3)
	there.Cut = func(lab.Receipt) { cut <- newTray(t, dir).Unprinted() }
	d := &Desk{Printer: p, Tray: newTray(t, dir)}
	if err := d.Print(t.Context(), aSale("S1")); err != nil {
		t.Fatal(err)
	}
	if kept := <-cut; len(kept) != 1 || !kept[0].Unsure {
		t.Errorf("the next start would find %+v, want one that may be on paper", kept)
	}
	if k, err := d.Tray.Get("S1"); err != nil || !k.Printed || k.Unsure {
		t.Errorf("in the end it is %+v, %v", k, err)
	}
	if err := d.Tray.Keep(aSale("S2")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil { // the disk takes nothing
		t.Fatal(err)
	}
	for range 2 {
		if n, err := d.PrintKept(t.Context()); n != 0 || err == nil {
			t.Errorf("PrintKept = %d, %v", n, err)
		}
	}
	if all := there.Receipts(); len(all) != 1 {
		t.Errorf("%d receipts came out, want the first", len(all))
	}
}

// TestCopies marks and counts each copy, also over a restart, and before it is on
// paper.
func TestCopies(t *testing.T) {
	there, p := newPrinter(t, Paper80)
	dir := t.TempDir()
	d := &Desk{Printer: p, Tray: newTray(t, dir), Marks: Chinese.Marks}
	for range 2 { // the second time changes nothing
		if err := d.Print(t.Context(), aSale("S1")); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := d.Copy(t.Context(), "S1"); n != 1 || err != nil {
		t.Fatalf("Copy = %d, %v", n, err)
	}
	set(t, there, lab.State{Cover: true})
	if n, err := d.Copy(t.Context(), "S1"); n != 2 || !errors.Is(err, ErrCover) {
		t.Errorf("with the cover open: %d, %v", n, err)
	}
	set(t, there, lab.State{})
	d.Tray = newTray(t, dir)
	if n, err := d.Copy(t.Context(), "S1"); n != 3 || err != nil {
		t.Errorf("Copy = %d, %v; want the third", n, err)
	}
	if _, err := d.Copy(t.Context(), "S9"); !errors.Is(err, ErrNoSlip) {
		t.Errorf("of none: %v", err)
	}
	all := there.Receipts()
	if len(all) != 3 || strings.HasPrefix(all[0].Text, "副本") || !strings.HasPrefix(all[1].Text, "副本 1\n") ||
		!strings.HasPrefix(all[2].Text, "副本 3\n") {
		t.Errorf("came out: %+v", all)
	}
}

// TestTrayDamaged leaves a file alone that is no receipt, and says so.
func TestTrayDamaged(t *testing.T) {
	dir := t.TempDir()
	tray := newTray(t, dir)
	for _, id := range []string{"", "../S1", "S 1", strings.Repeat("x", 65)} {
		if err := tray.Keep(Slip{ID: id}); err == nil {
			t.Errorf("%q is taken for a name", id)
		}
	}
	if err := tray.Keep(aSale("S1")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/S2.json", []byte(`{"slip":`), 0o600); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(dir + "/S1.json")
	if err != nil {
		t.Fatal(err)
	}
	for at := range whole { // an amount with another digit is on no paper
		damaged := bytes.Clone(whole)
		damaged[at] ^= 1
		other := t.TempDir()
		if err := os.WriteFile(other+"/S1.json", damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		again, err := OpenTray(other, time.Now)
		if err == nil || !strings.Contains(err.Error(), "S1.json") || again == nil || len(again.Unprinted()) != 0 {
			t.Fatalf("byte %d: OpenTray: %v", at, err)
		}
		if err := again.Keep(aSale("S1")); err != nil { // out of the journal
			t.Fatal(err)
		}
	}
	again, err := OpenTray(dir, time.Now)
	if err == nil || !strings.Contains(err.Error(), "S2.json") || again == nil || len(again.Unprinted()) != 1 {
		t.Errorf("OpenTray: %v", err)
	}
}

// TestLines lays rows out: nothing is wider than the paper, and no text is a
// command.
func TestLines(t *testing.T) {
	for _, tt := range []struct {
		row  Row
		want []string
	}{
		{Row{Left: "a", Right: "b"}, []string{"a        b"}},
		{Row{Left: "红烧牛肉面", Right: "1.00"}, []string{"红烧牛肉面", "      1.00"}},
		{Row{Left: "红烧牛肉面条", Right: "1.00"}, []string{"红烧牛肉面", "条    1.00"}},
		{Row{Left: "", Right: ""}, []string{""}},
		{Row{Left: "a\x1b@\x10\x04\x01b"}, []string{"a @   b"}},
		{Row{Left: "x", Right: "红烧牛肉面条"}, []string{"x", "红烧牛肉面", "        条"}},
	} {
		if got := tt.row.lines(10); !slices.Equal(got, tt.want) {
			t.Errorf("%+v: %q, want %q", tt.row, got, tt.want)
		}
	}
}

// TestDevices prints over what looks like a USB printer's file and a serial line,
// behind which a printer of the lab sits.
func TestDevices(t *testing.T) {
	for _, address := range []string{"usb:%s", "serial:%s?baud=115200"} {
		there, p := newPrinter(t, Paper58)
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.Address, "tcp:"))
		if err != nil {
			t.Fatal(err)
		}
		m, name := rawPTY(t)
		var joined sync.WaitGroup
		joined.Go(func() { join(m, conn) })
		joined.Go(func() { join(conn, m) })
		p.Address = fmt.Sprintf(address, name)
		if s, err := p.Status(t.Context()); err != nil || !s.Ready() {
			t.Errorf("%s: %+v, %v", address, s, err)
		}
		if err := p.Print(t.Context(), aSale("S1")); err != nil || len(there.Receipts()) != 1 {
			t.Errorf("%s: %v, and %d receipts", address, err, len(there.Receipts()))
		}
		set(t, there, lab.State{Paper: "out"})
		if err := p.Print(t.Context(), aSale("S2")); !errors.Is(err, ErrPaper) {
			t.Errorf("%s: %v, want ErrPaper", address, err)
		}
		_, _ = conn.Close(), m.Close()
		joined.Wait()
	}
}

// join copies until one side ends. A line on which nobody listens is no end.
func join(to, from interface {
	Read([]byte) (int, error)
	Write([]byte) (int, error)
}) {
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		if errors.Is(err, unix.EIO) {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		if err != nil {
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// rawPTY is a device file whose other end is the printer's.
func rawPTY(t *testing.T) (printer *os.File, name string) {
	t.Helper()
	m, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := m.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	err2 := raw.Control(func(fd uintptr) {
		settings, err1 := unix.IoctlGetTermios(int(fd), unix.TCGETS)
		if err1 == nil {
			settings.Iflag, settings.Oflag, settings.Lflag = 0, 0, 0
			err1 = unix.IoctlSetTermios(int(fd), unix.TCSETS, settings)
		}
		no, err2 := unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		n, err = no, errors.Join(err1, err2, unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0))
	})
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	return m, fmt.Sprintf("/dev/pts/%d", n)
}

// TestYuan keeps amounts exact on their way to paper.
func TestYuan(t *testing.T) {
	e := journal.Entry{Kind: journal.SaleEnd, Ref: "S", Seq: 1, Amount: money.Fen(999_999_999_999_99), At: time.Unix(0, 0)}
	s := Issuer{School: "X", Terminal: "T"}.Sale(English, Sale{Entry: e, Paid: ByCode})
	i := slices.IndexFunc(s.Rows, func(r Row) bool { return r.Style == Strong })
	if got := s.Rows[i].Right; got != "￥999999999999.99" {
		t.Errorf("got %s", got)
	}
}

// TestKick unlocks the drawer, and says so only if the printer would do it now.
func TestKick(t *testing.T) {
	there, p := newPrinter(t, Paper80)
	if err := p.Kick(t.Context()); err != nil || there.Kicks() != 1 || len(there.Receipts()) != 0 {
		t.Errorf("Kick: %v, %d kicks", err, there.Kicks())
	}
	set(t, there, lab.State{Cover: true})
	if err := p.Kick(t.Context()); !errors.Is(err, ErrCover) || there.Kicks() != 1 {
		t.Errorf("with an open cover: %v, %d kicks", err, there.Kicks())
	}
}

// TestSlowAnswer: a printer whose answer takes its time on the way is no printer that is
// away: who stands there gets the paper.
func TestSlowAnswer(t *testing.T) {
	there, p := newPrinter(t, Paper58)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	defer running.Wait()
	defer l.Close()
	to := strings.TrimPrefix(p.Address, "tcp:")
	running.Go(func() {
		here, err := l.Accept()
		if err != nil {
			return
		}
		defer here.Close()
		beyond, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		running.Go(func() { _, _ = io.Copy(beyond, here); beyond.Close() })
		time.Sleep(3 * time.Second / 2)
		_, _ = io.Copy(here, beyond)
	})
	p.Address = "tcp:" + l.Addr().String()
	if err := p.Print(t.Context(), aSale("S1")); err != nil || len(there.Receipts()) != 1 {
		t.Errorf("Print = %v, %d are on paper", err, len(there.Receipts()))
	}
}
