package audio

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"quancun/reader/evdev"
	"quancun/ui/speech"
	"quancun/ui/text"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// room is a machine whose loudspeaker and headphones are files, and whose jack is a
// pipe that speaks as the kernel does.
type room struct {
	t    *testing.T
	dir  string
	port *Port
	jack *os.File
	log  *journal
}

// newRoom has a port say things to files of ALSA's own "file" device until the test
// ends. slow has the headphones be a pipe, which takes no more than somebody hears.
func newRoom(t *testing.T, slow bool) *room {
	t.Helper()
	r := &room{t: t, dir: t.TempDir(), log: &journal{}}
	device := func(name string) string {
		return fmt.Sprintf("pcm.%s { type file file %q format wav truncate false slave.pcm null }\n", name,
			filepath.Join(r.dir, name+".wav"))
	}
	head := device("head")
	if slow {
		r.pipe("heard")
		head = fmt.Sprintf("pcm.head { type file file %q format raw slave.pcm null }\n", filepath.Join(r.dir, "heard"))
	}
	config := filepath.Join(r.dir, "asound.conf")
	if err := os.WriteFile(config, []byte("pcm.null { type null }\n"+device("speaker")+head), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ALSA_CONFIG_PATH", config)
	r.jack = r.pipe("jack")
	r.port = New(Config{Loudspeaker: "speaker", Headphones: "head", Jack: r.jack.Name(), Rate: 200}, slog.New(r.log))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.port.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v, want context.Canceled", err)
		}
		if left := children(t); len(left) > 0 {
			t.Errorf("Run has left %v behind", left)
		}
	})
	return r
}

// pipe makes a named pipe, and opens it so that nobody waits for its other end.
func (r *room) pipe(name string) *os.File {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if out, err := exec.Command("mkfifo", path).CombinedOutput(); err != nil {
		r.t.Fatalf("mkfifo: %v: %s", err, out)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { f.Close() })
	return f
}

// plug says what a jack's device does, and waits until the port has heard it.
func (r *room) plug(in bool) {
	r.t.Helper()
	value := int32(0)
	if in {
		value = 1
	}
	b := evdev.Event{Kind: evdev.Switch, Code: headphoneInsert, Value: value}.Bytes()
	b = append(b, evdev.Event{}.Bytes()...) // the report's end, which is none of ours
	if _, err := r.jack.Write(b); err != nil {
		r.t.Fatal(err)
	}
	select {
	case got := <-r.port.Jack():
		if got != in {
			r.t.Fatalf("the jack says %v, want %v", got, in)
		}
	case <-time.After(10 * time.Second):
		r.t.Fatal("the jack says nothing")
	}
}

// say has a script said, and waits for its end.
func (r *room) say(s speech.Script) {
	r.t.Helper()
	r.port.Say(s)
	wait(r.t, "the end of a script", func() bool {
		r.port.mu.Lock()
		defer r.port.mu.Unlock()
		return r.port.next == nil && r.port.stop == nil
	})
}

func wait(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 1000 {
		if is() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("waited in vain for " + what)
}

// heard returns what came out of a device, an utterance after the other: ALSA numbers
// the files.
func (r *room) heard(device string) (all [][]byte) {
	r.t.Helper()
	files, err := filepath.Glob(filepath.Join(r.dir, device+".wav*"))
	if err != nil {
		r.t.Fatal(err)
	}
	slices.Sort(files)
	for _, name := range files {
		all = append(all, samples(r.t, name))
	}
	return all
}

// header is the length of a WAV's before its samples, as both programs write it.
const header = 44

func samples(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil || len(b) < header || string(b[:4]) != "RIFF" {
		t.Fatalf("%s is no WAV (%d bytes, %v)", name, len(b), err)
	}
	return b[header:]
}

// known are utterances that espeak-ng has been asked for.
var known = map[speech.Utterance][]byte{}

// spoken is u as the real espeak-ng says it.
func spoken(t *testing.T, u speech.Utterance) []byte {
	t.Helper()
	if known[u] == nil {
		known[u] = synthesise(t, u)
	}
	return known[u]
}

func synthesise(t *testing.T, u speech.Utterance) []byte {
	t.Helper()
	name := filepath.Join(t.TempDir(), "spoken.wav")
	c := exec.Command("espeak-ng", "--stdin", "-b", "1", "-v", voices[u.Language], "-s", "200", "-w", name)
	c.Stdin = strings.NewReader(u.Text)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("espeak-ng: %v: %s", err, out)
	}
	return samples(t, name)
}

// wantHeard compares what came out of a device with what those words sound like.
func (r *room) wantHeard(device string, want ...speech.Utterance) {
	r.t.Helper()
	got := r.heard(device)
	if len(got) != len(want) {
		r.t.Fatalf("%d utterances came out of the %s, want %d", len(got), device, len(want))
	}
	for i, u := range want {
		sound := spoken(r.t, u)
		if len(bytes.Trim(sound, "\x00")) < 22050/2 {
			r.t.Fatalf("%q sounds like silence", u.Text)
		}
		if !bytes.HasPrefix(got[i], sound) { // ALSA fills its last period with silence
			r.t.Errorf("utterance %d on the %s has %d bytes and is not %q, which has %d", i, device, len(got[i]),
				u.Text, len(sound))
		}
	}
}

func children(t *testing.T) (all []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[1] == fmt.Sprint(os.Getpid()) {
			all = append(all, string(b))
		}
	}
	return all
}

// journal keeps the log's messages.
type journal struct {
	mu    sync.Mutex
	lines []string // guarded by mu
}

func (j *journal) Enabled(context.Context, slog.Level) bool { return true }
func (j *journal) WithAttrs([]slog.Attr) slog.Handler       { return j }
func (j *journal) WithGroup(string) slog.Handler            { return j }
func (j *journal) Handle(_ context.Context, r slog.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, r.Message)
	return nil
}

func (j *journal) count(message string) (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, line := range j.lines {
		if line == message {
			n++
		}
	}
	return n
}

var (
	title    = speech.Utterance{Text: "请输入密码", Language: text.Chinese}
	english  = speech.Utterance{Text: "Account balance", Language: text.English}
	amount   = speech.Utterance{Text: "二十三元五角", Language: text.Chinese, Private: true}
	withheld = speech.Utterance{Text: "金额只在耳机里读", Language: text.Chinese}
)

// TestPrivate: what is private comes out of headphones that are plugged in and of
// nothing else. That it is withheld is said once a visit.
func TestPrivate(t *testing.T) {
	r := newRoom(t, false)
	page := speech.Script{Parts: []speech.Utterance{title, amount, english, amount}, Withheld: withheld, Anew: true}
	r.say(page)
	r.wantHeard("speaker", title, withheld, english)
	r.wantHeard("head")

	page.Anew = false
	r.say(page)
	r.wantHeard("speaker", title, withheld, english, title, english)

	r.plug(true)
	r.say(page)
	r.wantHeard("speaker", title, withheld, english, title, english)
	r.wantHeard("head", title, amount, english, amount)

	sale := speech.Script{Parts: []speech.Utterance{title}, Aloud: true}
	r.say(sale)
	r.wantHeard("speaker", title, withheld, english, title, english, title)

	r.plug(false)
	r.say(page)
	r.wantHeard("head", title, amount, english, amount)
	r.wantHeard("speaker", title, withheld, english, title, english, title, title, withheld, english)
}

// long is more than a pipe holds, so that it is still being said while nobody reads.
var long = speech.Utterance{Text: strings.Repeat("二十三元五角，", 20), Language: text.Chinese, Private: true}

// TestPulledOut: headphones that are pulled out in the middle of an amount hear no more
// of it, and neither does anybody else.
func TestPulledOut(t *testing.T) {
	r := newRoom(t, true)
	ear, err := os.OpenFile(filepath.Join(r.dir, "heard"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer ear.Close()
	r.plug(true)
	r.port.Say(speech.Script{Parts: []speech.Utterance{long, amount}, Withheld: withheld})
	if _, err := io.ReadFull(ear, make([]byte, 4096)); err != nil { // it is being said
		t.Fatal(err)
	}
	r.plug(false)
	wait(t, "silence", func() bool { return len(children(t)) == 0 })
	rest := drain(t, ear)
	if all := len(spoken(t, long)); rest+4096 > all/2 {
		t.Errorf("%d of %d bytes were heard", rest+4096, all)
	}
	r.wantHeard("speaker")
}

// drain reads what is left in a pipe that nobody writes to any more.
func drain(t *testing.T, f *os.File) (n int) {
	t.Helper()
	b := make([]byte, 1<<20)
	for {
		if err := f.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		m, err := f.Read(b)
		if n += m; err != nil {
			return n
		}
	}
}

// TestNext: the next script is said at once, however long the one before is.
func TestNext(t *testing.T) {
	r := newRoom(t, true)
	r.plug(true)
	r.port.Say(speech.Script{Parts: []speech.Utterance{long}})
	wait(t, "a voice", func() bool { return len(children(t)) > 0 })
	r.port.Say(speech.Script{Parts: []speech.Utterance{long}})
	r.say(speech.Script{Parts: []speech.Utterance{title}, Aloud: true})
	r.wantHeard("speaker", title)
	r.port.Say(speech.Script{Parts: []speech.Utterance{long}})
	wait(t, "a voice", func() bool { return len(children(t)) > 0 })
	r.say(speech.Script{})
	if left := children(t); len(left) > 0 {
		t.Errorf("silence has left %v behind", left)
	}
}

// TestNobodyHears: a device that is not there, and programs that are not, are a line in
// the log, and speech goes on when they are back.
func TestNobodyHears(t *testing.T) {
	r := newRoom(t, false)
	config := filepath.Join(r.dir, "asound.conf")
	good, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	write := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(config, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := speech.Script{Parts: []speech.Utterance{title, english}}
	write([]byte("pcm.null { type null }\n"))
	r.say(s)
	r.say(s)
	if n := r.log.count("speech is not heard"); n != 1 {
		t.Errorf("the log has it %d times, want once", n)
	}
	write(good)
	r.say(s)
	r.wantHeard("speaker", title, english)
	t.Setenv("PATH", t.TempDir())
	r.say(s)
	if n := r.log.count("speech is not heard"); n != 2 || r.log.count("speech is heard again") != 1 {
		t.Errorf("without programs the log has %q", r.log.lines)
	}
}

// TestNoJack: a jack that is not there has nothing plugged in, and neither has one that
// goes away.
func TestNoJack(t *testing.T) {
	if _, err := evdev.Open("no such jack"); !errors.Is(err, evdev.ErrNone) {
		t.Errorf("a jack that is not there: %v", err)
	}
	r := newRoom(t, false)
	r.plug(true)
	if !r.port.Plugged() {
		t.Error("they are plugged in, and nobody knows")
	}
	r.jack.Close()
	wait(t, "a jack that is gone", func() bool { return !r.port.Plugged() })
}
