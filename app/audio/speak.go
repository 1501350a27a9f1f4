package audio

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"quancun/ui/speech"
	"quancun/ui/text"
)

// voices are espeak-ng's. Its "cmn" takes the tones of its own dictionary for English
// numbers in the release that Debian 12 has ("an four" for 按); the one that reads
// Latin letters as Pinyin is the same voice without that.
var voices = map[text.Language]string{text.Chinese: "cmn-latn-pinyin", text.English: "en"}

// utteranceMax ends what a device holds up. No page says anything that long in one
// breath.
const utteranceMax = time.Minute

// Programs says what is not installed.
func Programs() error {
	var errs []error
	for _, name := range []string{"espeak-ng", "aplay"} {
		_, err := exec.LookPath(name)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Try plays a moment of silence on a device.
func Try(ctx context.Context, device string) error {
	ctx, cancel := context.WithTimeout(ctx, tryMax)
	defer cancel()
	c := command(ctx, "aplay", "-q", "-D", device, "-t", "raw", "-f", "S16_LE", "-r", "22050", "-c", "1")
	c.Stdin = bytes.NewReader(make([]byte, 4096))
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, firstLine(string(out)))
	}
	return nil
}

// tryMax is how long a tenth of a second may take.
const tryMax = 5 * time.Second

// Speak says u on a device, to its end or ctx's. The words go through a pipe: the
// arguments of a program are read by everybody on a machine.
func Speak(ctx context.Context, u speech.Utterance, device string, rate int) error {
	ctx, cancel := context.WithTimeout(ctx, utteranceMax)
	defer cancel()
	voice := command(ctx, "espeak-ng", "--stdin", "--stdout", "-b", "1", "-v", voices[u.Language],
		"-s", strconv.Itoa(rate))
	play := command(ctx, "aplay", "-q", "-D", device)
	var said, played bytes.Buffer
	voice.Stdin, voice.Stderr, play.Stderr = strings.NewReader(u.Text), &said, &played
	from, to, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("speech: %w", err)
	}
	voice.Stdout, play.Stdin = to, from
	playing := play.Start()
	speaking := voice.Start()
	from.Close() // each has its own end now
	to.Close()
	if playing == nil {
		playing = play.Wait()
	}
	if speaking == nil {
		speaking = voice.Wait()
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case playing != nil: // the voice then has nobody to speak to, so this comes first
		return fmt.Errorf("aplay: %w: %s", playing, firstLine(played.String()))
	case speaking != nil:
		return fmt.Errorf("espeak-ng: %w: %s", speaking, firstLine(said.String()))
	}
	return nil
}

// command is a program that dies with ctx, and with this one, and takes along whatever
// it has started.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = time.Second
	return c
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
