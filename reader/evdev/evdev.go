// Package evdev reads input devices of the Linux kernel (linux/input.h): a switch, or
// a keypad that is to be nobody else's. It knows events and their codes, and nothing
// of what they mean.
package evdev

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Size is how long a struct input_event is on a 64-bit kernel, in bytes.
const Size = 24

// Kinds of events (linux/input-event-codes.h).
const (
	Syn    = 0x00 // EV_SYN
	Key    = 0x01 // EV_KEY; its value is 1 for pressed, 0 for let go, 2 for held
	Switch = 0x05 // EV_SW
)

// Dropped is the code of a [Syn] event after which events are missing: nobody has
// read them in time.
const Dropped = 3 // SYN_DROPPED

const (
	switches = 8 // bytes that EVIOCGSW is asked for, an int of ours

	// getSwitches is EVIOCGSW(8): _IOC(_IOC_READ, 'E', 0x1b, 8).
	getSwitches = 2<<30 | switches<<16 | 'E'<<8 | 0x1b
	// grab is EVIOCGRAB: _IOW('E', 0x90, int). Its argument is itself a number.
	grab = 1<<30 | 4<<16 | 'E'<<8 | 0x90
)

// Event is what a device says. When it was is left out.
type Event struct {
	Kind, Code uint16
	Value      int32
}

// Bytes returns e as the kernel writes it.
func (e Event) Bytes() []byte {
	b := make([]byte, Size)
	binary.NativeEndian.PutUint16(b[16:], e.Kind)
	binary.NativeEndian.PutUint16(b[18:], e.Code)
	binary.NativeEndian.PutUint32(b[20:], uint32(e.Value))
	return b
}

// Device is an open device. One goroutine reads it; [Device.Close] may be called on
// any, and ends the read.
type Device struct {
	f   *os.File
	raw [Size]byte // of the event that was read last, until it is wiped
}

// ErrNone means that no input device has a name with the configured words in it.
var ErrNone = errors.New("no input device of that name")

// inputs is where the kernel lists its input devices. Numbers change from start to
// start, names do not.
const inputs = "/sys/class/input/event*/device/name"

// Open opens the device that has name in its name, or that is at that path. A pipe at
// that path that speaks as the kernel does is one, too.
func Open(name string) (*Device, error) {
	path := name
	if !strings.HasPrefix(name, "/") {
		var err error
		if path, err = find(name); err != nil {
			return nil, err
		}
	}
	// Without O_NONBLOCK nobody could end a read.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return &Device{f: f}, nil
}

func find(name string) (string, error) {
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
	return "", fmt.Errorf("%w: %q", ErrNone, name)
}

// Close lets the device go, to whoever else wants it.
func (d *Device) Close() error { return d.f.Close() }

// Next waits for the next event. It keeps nothing of it.
func (d *Device) Next() (Event, error) {
	defer clear(d.raw[:])
	if _, err := io.ReadFull(d.f, d.raw[:]); err != nil {
		return Event{}, err
	}
	return Event{
		Kind: binary.NativeEndian.Uint16(d.raw[16:]), Code: binary.NativeEndian.Uint16(d.raw[18:]),
		Value: int32(binary.NativeEndian.Uint32(d.raw[20:])),
	}, nil
}

// Grab keeps the device's events from everybody else, the screen's server before all,
// until it is closed (EVIOCGRAB). The error is [unix.EBUSY] if somebody else does so
// already. What is no device of the kernel's has nobody else to keep them from.
func (d *Device) Grab() error {
	info, err := d.f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return err
	}
	return d.control(func(fd int) error { return unix.IoctlSetInt(fd, grab, 1) })
}

// On asks the device how its switch of that code stands now.
func (d *Device) On(code uint16) (on bool, err error) {
	err = d.control(func(fd int) error {
		bits, err := unix.IoctlGetInt(fd, getSwitches)
		on = bits>>code&1 != 0
		return err
	})
	return on && err == nil, err
}

func (d *Device) control(do func(fd int) error) error {
	raw, err := d.f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = do(int(fd)) }); err != nil {
		return err
	}
	return failed
}
