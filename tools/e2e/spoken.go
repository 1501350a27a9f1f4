package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"quancun/assets"
	"quancun/reader/evdev"
	"quancun/ui/sound"
)

// spoken: a person who sees nothing pays for the network, by the keys of a keypad and
// what the headphones say. The loudspeaker says nothing of it.
func spoken(s *stage) error {
	before, err := s.books()
	if err != nil {
		return err
	}
	jack, err := s.withHeadphones()
	if err != nil {
		return err
	}
	defer jack.Close()
	return s.steps(
		func() error { return s.plugIn(jack) }, s.choose("校园卡自助服务", "网费"),
		func() error { return s.hear("请把卡放在读卡区") }, s.lay,
		func() error { return s.hear("请输入密码", "密码不会读出") },
		func() error { return s.here.display.Press(strings.Split(s.pin, "")...) },
		s.choose("付多少", "十元"), s.choose("从校园卡账户付款", "确认办理"),
		func() error { return s.asked("network done") },
		func() error { return s.hear("十元", "按取消键，结束") },
		func() error { return s.here.display.Press("Escape") },
		s.home,
		s.billed(before, "network", 1),
		s.onlyHeadphones,
	)
}

// Files of the machine's devices, beside its configuration.
const (
	jackFile    = "jack"
	headFile    = "headphones.wav"
	speakerFile = "loudspeaker.wav"
)

// withHeadphones starts the terminal anew with a voice, whose devices write files, and
// with a jack that is said to have headphones in it by writing to it.
func (s *stage) withHeadphones() (jack *os.File, err error) {
	devices := "pcm.nothing { type null }\n"
	for name, file := range map[string]string{"head": headFile, "speaker": speakerFile} {
		devices += fmt.Sprintf("pcm.%s { type file file %q format wav truncate false slave.pcm nothing }\n",
			name, s.stack.File(file))
	}
	if err := os.WriteFile(filepath.Join(s.here.display.Home(), ".asoundrc"), []byte(devices), 0o600); err != nil {
		return nil, err
	}
	if out, err := exec.CommandContext(s.ctx, "mkfifo", s.stack.File(jackFile)).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("mkfifo: %w: %s", err, out)
	}
	config, err := os.OpenFile(s.stack.File("terminal.toml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	const sound = "\n[sound]\nspeech = true\nloudspeaker = \"speaker\"\nheadphones = \"head\"\njack = %q\n"
	_, err = fmt.Fprintf(config, sound, s.stack.File(jackFile))
	if err := errors.Join(err, config.Close()); err != nil {
		return nil, err
	}
	if err := s.here.terminal.Stop(); err != nil {
		return nil, err
	}
	if jack, err = os.OpenFile(s.stack.File(jackFile), os.O_RDWR, 0); err != nil {
		return nil, err
	}
	return jack, s.restart()
}

// plugIn plugs the headphones in, as the kernel tells it: EV_SW, SW_HEADPHONE_INSERT.
func (s *stage) plugIn(jack *os.File) error {
	event := evdev.Event{Kind: evdev.Switch, Code: 2, Value: 1}.Bytes()
	if _, err := jack.Write(event); err != nil {
		return err
	}
	return s.hear("语音已打开")
}

// hear waits until the person hears all of some words.
func (s *stage) hear(words ...string) error {
	said := ""
	for end := time.Now().Add(seeMax); time.Now().Before(end); {
		now, err := s.look(end)
		if err != nil {
			return err
		}
		said = strings.Join(now.Said, "|")
		missing := false
		for _, w := range words {
			missing = missing || !strings.Contains(said, w)
		}
		if !missing {
			return nil
		}
		if err := s.pause(100 * time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("%q is not heard, but %q", words, said)
}

var pressKey = regexp.MustCompile(`按 (\d)，(.*)`)

// choose presses the digit that is said to do what, on the page that says so much, and
// 0 if it is not among the first nine.
func (s *stage) choose(page, what string) func() error {
	return func() error {
		if err := s.hear(page); err != nil {
			return err
		}
		if err := s.pause(time.Second); err != nil { // one that comes at once is taken for a bounce
			return err
		}
		for range 3 {
			now, err := s.look(time.Now().Add(seeMax))
			if err != nil {
				return err
			}
			for _, words := range now.Said {
				if m := pressKey.FindStringSubmatch(words); m != nil && strings.HasPrefix(m[2], what) {
					return s.here.display.Press(m[1])
				}
			}
			if err := s.here.display.Press("0"); err != nil {
				return err
			}
			if err := s.pause(time.Second); err != nil {
				return err
			}
		}
		return fmt.Errorf("no key is said to do %q", what)
	}
}

// onlyHeadphones checks that words came out of the headphones, and out of the
// loudspeaker nothing but the short sounds that everybody hears.
func (s *stage) onlyHeadphones() error {
	heard, err := filepath.Glob(s.stack.File(headFile) + "*")
	if err == nil && len(heard) == 0 {
		err = errors.New("nothing came out of the headphones")
	}
	if err != nil {
		return err
	}
	aloud, err := filepath.Glob(s.stack.File(speakerFile) + "*")
	if err != nil {
		return err
	}
	for _, name := range aloud {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if !isTone(b) {
			return fmt.Errorf("everybody heard %s", name)
		}
	}
	return nil
}

// isTone reports whether a WAV is one of the terminal's own sounds, or the beginning
// of one that was cut off.
func isTone(wav []byte) bool {
	const header = 44
	wav = wav[min(header, len(wav)):]
	for _, name := range []sound.Name{
		sound.Key, sound.Erase, sound.Accepted, sound.OK, sound.Attention, sound.Refuse,
	} {
		tone := assets.Sound(string(name))[header:]
		n := min(len(tone), len(wav))
		if bytes.Equal(wav[:n], tone[:n]) && len(bytes.Trim(wav[n:], "\x00")) == 0 { // ALSA fills up with silence
			return true
		}
	}
	return false
}
