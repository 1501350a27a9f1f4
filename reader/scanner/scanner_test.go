package scanner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const alipayCode = "281234567890123456"

func TestKindOf(t *testing.T) {
	for text, want := range map[string]Kind{
		alipayCode: Alipay, "2512345678901234": Alipay, "301234567890123456789012": Alipay,
		"134567890123456789": WeChat, "101234567890123456": WeChat,
		"6212345678901234567": UnionPay, "0112345678901234567": ECNY,
		"65A" + strings.Repeat("0", 279): Campus, "75A" + strings.Repeat("0", 281): Campus,
		"示范大学 QCR1:ABC": Receipt,
		// What is nobody's, or only half of somebody's.
		"": Unknown, "28123456789012": Unknown, "28123456789012345x": Unknown, "241234567890123456": Unknown,
		"311234567890123456": Unknown, "13456789012345678": Unknown, "621234567890123456": Unknown,
		"6901234567892": Unknown, "2812345678901234567890123": Unknown,
	} {
		if got := KindOf(text); got != want {
			t.Errorf("KindOf(%.30q) = %v, want %v", text, got, want)
		}
	}
}

// busy is a time for which a window takes neither keys nor looks.
type busy time.Duration

// hand plays keys into a wedge: each is a pause in milliseconds before it and
// what is typed then at once; "\n" is Enter.
func hand(w *Wedge, keys ...any) (typed string, scans []Scan) {
	at := time.Unix(0, 0)
	take := func(out Typed) {
		typed += string(out.Keys)
		if out.Done {
			scans = append(scans, out.Scan)
		}
	}
	for _, k := range keys {
		switch k := k.(type) {
		case int:
			for range k {
				at = at.Add(time.Millisecond)
				take(w.Idle(at))
			}
		case busy:
			at = at.Add(time.Duration(k))
			take(w.Idle(at)) // which was due before the keys were taken
		case string:
			for _, r := range k {
				if r == '\n' {
					take(w.Enter(at))
				} else {
					w.Key(r, at)
				}
				at = at.Add(2 * time.Millisecond)
			}
		}
	}
	return typed, scans
}

// TestWedge tells a scanner from a person at one keyboard.
func TestWedge(t *testing.T) {
	half := Scan{Half: true}
	code := Scan{Text: alipayCode, Kind: Alipay}
	for _, tt := range []struct {
		name  string
		keys  []any
		typed string
		scans []Scan
	}{
		{"Code", []any{alipayCode + "\n", 100}, "", []Scan{code}},
		{"Person", []any{"1", 90, "2", 110, ".", 80, "5", 200, "\n"}, "12.5\n", nil},
		{"PersonThenCode", []any{"1", 90, "2", 90, alipayCode + "\n"}, "12", []Scan{code}},
		{"TwoKeysAtOnce", []any{"12", 90, "\n"}, "12\n", nil},
		{"BusyWindow", []any{"1250\n", 90}, "1250\n", nil}, // four keys of a person that came late, all at once
		{"BusyAfterFirst", []any{alipayCode[:1], busy(time.Second), alipayCode[1:] + "\n"}, "", []Scan{code}},
		{"BusyAmid", []any{alipayCode[:9], busy(time.Second), alipayCode[9:], busy(time.Second), "\n"}, "", []Scan{code}},
		{"PersonBusy", []any{"1", busy(time.Second), 90, "2", busy(time.Second), "\n"}, "12\n", nil},
		{"EnterAlone", []any{"\n"}, "\n", nil},
		{"HalfACode", []any{alipayCode[:9], 2000, "\n"}, "\n", []Scan{half}},
		{"HalfACodeThenWhole", []any{alipayCode[:9], 2000, alipayCode + "\n"}, "", []Scan{half, code}},
		{"Falters", []any{alipayCode[:9], 300, alipayCode[9:] + "\n", 2000, alipayCode + "\n"}, "", []Scan{half, half, code}},
		{"FaltersTwice", []any{alipayCode[:6], 300, alipayCode[6:10], 300, alipayCode[10:] + "\n"}, "", []Scan{half, half}},
		{"PersonAfterHalf", []any{alipayCode[:9], 2000, "1", 90, "2", 90, "\n"}, "12\n", []Scan{half}},
		{"TooLong", []any{strings.Repeat("9", codeMax+5) + "\n"}, "", []Scan{half}},
		{"Unknown", []any{"6901234567892\n"}, "", []Scan{{Text: "6901234567892"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var w Wedge
			typed, scans := hand(&w, tt.keys...)
			if typed != tt.typed || fmt.Sprint(scans) != fmt.Sprint(tt.scans) || w.Pending() {
				t.Errorf("typed %q, scanned %v, pending %t; want %q, %v", typed, scans, w.Pending(), tt.typed, tt.scans)
			}
		})
	}
}

// TestLine puts codes together that arrive in pieces, and throws halves away.
func TestLine(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(0, 0).Add(time.Duration(ms) * time.Millisecond) }
	var l line
	var got []string
	for _, f := range []struct {
		ms   int
		text string
	}{
		{0, alipayCode[:5]}, {20, alipayCode[5:] + "\r\n"}, // in two pieces
		{1000, alipayCode + "\r" + alipayCode + "\n"}, // two at once
		{2000, alipayCode[:7]}, {2300, ""},            // half, and nothing more
		{4000, alipayCode[:7]}, {4300, alipayCode[7:] + "\r"}, // it falters
		{7000, alipayCode + "\r"},
		{8000, "\r\n\r\n"}, {9000, "short\r"}, {10000, "2812345\x00890123456\r"},
		{11000, strings.Repeat("9", 3*codeMax)}, {11010, "9\r"},
	} {
		for _, s := range l.feed([]byte(f.text), at(f.ms)) {
			if s.Half {
				got = append(got, fmt.Sprint(f.ms, " half"))
			} else {
				got = append(got, fmt.Sprint(f.ms, " ", s.Kind))
			}
		}
	}
	want := []string{
		"20 Alipay", "1000 Alipay", "1000 Alipay", "2300 half", "4300 half", "4300 half", "7000 Alipay",
		"9000 half", "10000 half", "11010 half",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func FuzzLine(f *testing.F) {
	f.Add([]byte(alipayCode+"\r\n"), byte(3))
	f.Fuzz(func(t *testing.T, b []byte, cut byte) {
		var l line
		n := min(int(cut), len(b))
		all := append(l.feed(b[:n], time.Unix(0, 0)), l.feed(b[n:], time.Unix(0, 1))...)
		for _, s := range all {
			if s.Half != (s.Text == "") || len(s.Text) > codeMax || strings.ContainsAny(s.Text, "\r\n\x00") {
				t.Errorf("%+v", s)
			}
		}
	})
}

// pty is a serial line whose other end is the scanner's.
func pty(t *testing.T) (scanner *os.File, port string) {
	t.Helper()
	m, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(m.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(m.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	return m, fmt.Sprintf("/dev/pts/%d", n)
}

// TestSerial reads codes off a real line, which is pulled out and comes back.
func TestSerial(t *testing.T) {
	dir := t.TempDir()
	link := dir + "/scanner"
	ctx, stop := context.WithCancel(t.Context())
	scans, ended := make(chan Scan, 10), make(chan error, 1)
	go func() { ended <- Serial{Port: link, Log: slog.New(slog.DiscardHandler)}.Run(ctx, scans) }()
	for range 2 {
		m, port := pty(t)
		if err := os.Symlink(port, link); err != nil {
			t.Fatal(err)
		}
		got := func() Scan {
			for begin := time.Now(); time.Since(begin) < 20*time.Second; {
				if _, err := m.WriteString(alipayCode + "\r"); err != nil {
					t.Fatal(err)
				}
				select {
				case s := <-scans:
					return s
				case <-time.After(250 * time.Millisecond): // nobody listened yet
				}
			}
			return Scan{}
		}()
		if got != (Scan{Text: alipayCode, Kind: Alipay}) {
			t.Errorf("got %+v", got)
		}
		if err := errors.Join(os.Remove(link), m.Close()); err != nil {
			t.Fatal(err)
		}
		for len(scans) > 0 {
			<-scans
		}
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
}
