package audio

import (
	"context"
	"time"

	"quancun/reader/evdev"
)

// headphoneInsert is the switch of an input device by which the kernel says whether
// headphones are plugged in (SW_HEADPHONE_INSERT). A sound card's jack is one of its
// own, such as "HDA Intel PCH Headphone"; a keypad with a jack is one, too.
const headphoneInsert = 0x02

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
	d, err := evdev.Open(p.c.Jack)
	if err != nil {
		return err
	}
	defer d.Close()
	defer context.AfterFunc(ctx, func() { d.Close() })()
	if in, err := d.On(headphoneInsert); err == nil { // a device that cannot be asked will say so
		p.plug(in)
	}
	for {
		e, err := d.Next()
		if err != nil {
			return err
		}
		if e.Kind == evdev.Switch && e.Code == headphoneInsert {
			p.plug(e.Value != 0)
		}
	}
}

// Plugged asks the jack that is called name, or is at that path, whether headphones are
// plugged in.
func Plugged(name string) (bool, error) {
	d, err := evdev.Open(name)
	if err != nil {
		return false, err
	}
	defer d.Close()
	return d.On(headphoneInsert)
}
