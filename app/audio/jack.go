package audio

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The kernel says whether headphones are plugged in by a switch of an input device
// (linux/input-event-codes.h). A sound card's jack is one of its own, such as "HDA
// Intel PCH Headphone"; a keypad with a jack is one, too.
const (
	eventSwitch     = 0x05 // EV_SW
	headphoneInsert = 0x02 // SW_HEADPHONE_INSERT

	eventSize = 24 // struct input_event of a 64-bit kernel
	switches  = 8  // bytes that EVIOCGSW is asked for, an int of ours

	// getSwitches is EVIOCGSW(8): _IOC(_IOC_READ, 'E', 0x1b, 8).
	getSwitches = 2<<30 | switches<<16 | 'E'<<8 | 0x1b
)

// lookAgain is how often a jack is looked for that is not there.
const lookAgain = 3 * time.Second

// watch watches the jack until ctx ends. A jack that is gone has nothing plugged in.
func (p *Port) watch(ctx context.Context) {
	for last := ""; ctx.Err() == nil; {
		err := p.follow(ctx)
		p.plug(false)
		if ctx.Err() == nil && err.Error() != last { // once, and not each time that it is looked for
			p.log.Warn("no headphones", "jack", p.c.Jack, "err", err)
			last = err.Error()
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookAgain):
		}
	}
}

// follow reads the switch from its device until that is gone.
func (p *Port) follow(ctx context.Context) error {
	f, err := openJack(p.c.Jack)
	if err != nil {
		return err
	}
	defer f.Close()
	defer context.AfterFunc(ctx, func() { f.Close() })()
	if in, err := state(f); err == nil { // a device that cannot be asked will say so
		p.plug(in)
	}
	var event [eventSize]byte
	for {
		if _, err := io.ReadFull(f, event[:]); err != nil {
			return err
		}
		kind := binary.NativeEndian.Uint16(event[16:])
		code := binary.NativeEndian.Uint16(event[18:])
		if kind == eventSwitch && code == headphoneInsert {
			p.plug(binary.NativeEndian.Uint32(event[20:]) != 0)
		}
	}
}

// Plugged asks the jack that is called name, or is at that path, whether headphones are
// plugged in.
func Plugged(name string) (bool, error) {
	f, err := openJack(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	return state(f)
}

// errNoJack means that no input device has a name with the configured words in it.
var errNoJack = errors.New("no input device of that name")

// inputs is where the kernel lists its input devices. Numbers change from start to
// start, names do not.
const inputs = "/sys/class/input/event*/device/name"

// openJack opens the device that is called name, or is at that path.
func openJack(name string) (*os.File, error) {
	path := name
	if !strings.HasPrefix(name, "/") {
		var err error
		if path, err = findJack(name); err != nil {
			return nil, err
		}
	}
	// Without O_NONBLOCK nobody could end a read.
	return os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
}

func findJack(name string) (string, error) {
	all, err := filepath.Glob(inputs)
	if err != nil {
		return "", err
	}
	for _, file := range all {
		b, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(b), name) {
			return "/dev/input/" + filepath.Base(filepath.Dir(filepath.Dir(file))), nil
		}
	}
	return "", fmt.Errorf("%w: %q", errNoJack, name)
}

// state asks a device how its switch stands now.
func state(f *os.File) (in bool, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return false, err
	}
	bits, asked := 0, error(nil)
	if err := raw.Control(func(fd uintptr) { bits, asked = unix.IoctlGetInt(int(fd), getSwitches) }); err != nil {
		return false, err
	}
	return bits>>headphoneInsert&1 != 0, asked
}
