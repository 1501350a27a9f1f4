// Package pcsc is a card reader on the machine's PC/SC service: pcscd on Linux,
// the Smart Card service on Windows.
//
// It is built for a machine that nobody looks after. The service may be
// restarted, the reader's cable pulled and plugged, a card may be torn away or
// never answer: the [Device] reports each, and is back in service by itself.
//
// Every call into PC/SC that depends on a card has a deadline, because PC/SC has
// none: a card that stays silent holds SCardTransmit for as long as it lies
// there. Such a call is given up and left behind in a goroutine, which ends and
// cleans up when the card is taken away.
//
// Section numbers refer to the project's notes on the card.
package pcsc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ebfe/scard"

	"quancun/reader"
)

// Options choose a reader.
type Options struct {
	// Reader is a part of the reader's name, in any case. Empty is the first
	// reader that is not the slot of a SAM.
	Reader string

	// Timeout is how long a card may take to answer; 0 is [DefaultTimeout].
	Timeout time.Duration
}

// DefaultTimeout is how long a card may take to answer. The slowest command of a
// purse takes a few hundred milliseconds.
const DefaultTimeout = 3 * time.Second

// slice is how long one look at the reader lasts. Changes are seen at once;
// this bounds how late an ended context or a new reader is noticed.
const slice = 250 * time.Millisecond

// Device is one reader. Make one with [New].
type Device struct {
	options Options
	waiting sync.Mutex // held by Wait, which owns service, flags and laid

	service *scard.Context // nil while there is none
	flags   scard.StateFlag
	laid    uint32

	mu       sync.Mutex
	name     string    // of the reader, or "" while there is none
	unclean  bool      // the card on the reader was in use before
	doubtful time.Time // when a connection died, until the service is known to be right; or zero
	doubts   int       // in a row, without an answer of a card
	closed   bool
}

// New returns a device. It does not talk to the service yet, which may not even
// be running.
func New(o Options) *Device {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	return &Device{options: o}
}

// Wait implements [reader.Device].
func (d *Device) Wait(ctx context.Context, last reader.State) (reader.State, error) {
	d.waiting.Lock()
	defer d.waiting.Unlock()
	now := d.state()
	for {
		switch {
		case d.isClosed():
			d.drop()
			return reader.State{}, reader.ErrClosed
		case ctx.Err() != nil:
			return last, ctx.Err()
		case now != last && d.service != nil:
			return now, nil
		}
		var err error
		if now, err = d.look(ctx); err != nil {
			d.drop()
			return reader.State{}, fmt.Errorf("pc/sc: %w", err)
		}
	}
}

// look waits for at most a [slice] for something to happen.
func (d *Device) look(ctx context.Context) (reader.State, error) {
	if d.service == nil {
		service, err := scard.EstablishContext()
		if err != nil {
			return reader.State{}, err
		}
		d.service = service
	}
	if d.reader() == "" {
		name, err := d.find()
		if err != nil {
			return reader.State{}, err
		}
		if name == "" {
			pause(ctx)
			return reader.State{}, nil
		}
		d.setReader(name)
		d.flags = 0 // of the one before, if a Connect has missed that
	}
	// The high half of the flags counts insertions and removals. Passing it
	// back makes the service tell of a card that was swapped in between.
	s := []scard.ReaderState{{Reader: d.reader(), CurrentState: d.flags}}
	switch err := d.service.GetStatusChange(s, slice); {
	case isAny(err, scard.ErrTimeout):
	case isAny(err, scard.ErrUnknownReader, scard.ErrReaderUnavailable, scard.ErrNoReadersAvailable):
		d.lose()
	case err != nil:
		return reader.State{}, err
	default:
		d.note(s[0].EventState)
	}
	d.settleDoubt()
	return d.state(), nil
}

// doubtMin is how long the service may take to see that a card has left. pcscd
// asks readers without an interrupt about twice a second. For a card that fails
// again and again it doubles, so often.
const (
	doubtMin     = 1200 * time.Millisecond
	doublingsMax = 5 // 38 s
)

// suspect notes that the card on the reader has failed, and so may not be the
// same one any more.
func (d *Device) suspect() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unclean, d.doubtful = true, time.Now()
}

// settleDoubt counts a card that failed, and of which the service says that it
// never left, as laid down anew: it was put back between two looks, or it had
// only slipped. Otherwise nobody would ever ask it again.
func (d *Device) settleDoubt() {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.doubtful.IsZero():
	case d.flags&scard.StatePresent == 0:
		d.doubtful = time.Time{}
	case time.Since(d.doubtful) > doubtMin<<min(d.doubts, doublingsMax):
		d.doubtful = time.Time{}
		d.doubts++
		d.laid++
	}
}

// believe ends the row of doubts: the card on the reader has answered.
func (d *Device) believe() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.doubts = 0
}

// trust ends any doubt: the service has just seen a card being laid down.
func (d *Device) trust() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.doubtful, d.doubts = time.Time{}, 0
	d.unclean = false
}

// soil notes that the card on the reader has been in use.
func (d *Device) soil() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unclean = true
}

// takeUnclean reports whether the card must be reset when it is connected.
func (d *Device) takeUnclean() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.unclean
	d.unclean = false
	return was
}

// note takes down what the service says about the reader.
func (d *Device) note(flags scard.StateFlag) {
	if flags&(scard.StateUnknown|scard.StateUnavailable|scard.StateIgnore) != 0 {
		d.lose()
		return
	}
	const events = 16 // from this bit on
	if flags&scard.StatePresent != 0 &&
		(d.flags&scard.StatePresent == 0 || flags>>events != d.flags>>events) {
		d.laid++
		d.trust()
	}
	d.flags = flags &^ scard.StateChanged
}

// state is what is known of the reader.
func (d *Device) state() reader.State {
	if d.reader() == "" || d.flags == 0 {
		return reader.State{}
	}
	return reader.State{Connected: true, Card: d.flags&scard.StatePresent != 0, Insertions: d.laid}
}

// lose forgets the reader, which is gone.
func (d *Device) lose() {
	d.setReader("")
	d.flags = 0
}

// drop forgets the service, which has failed or is not needed any more.
func (d *Device) drop() {
	d.lose()
	if d.service != nil {
		_ = d.service.Release() // there may be nobody left to tell
		d.service = nil
	}
}

// find returns the name of the reader that the options choose, or "".
func (d *Device) find() (string, error) {
	names, err := d.service.ListReaders()
	if isAny(err, scard.ErrNoReadersAvailable, scard.ErrReaderUnavailable) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return choose(names, d.options.Reader), nil
}

func choose(names []string, want string) string {
	want = strings.ToLower(want)
	for _, name := range names {
		lower := strings.ToLower(name)
		if want == "" && !strings.Contains(lower, "sam") || want != "" && strings.Contains(lower, want) {
			return name
		}
	}
	return ""
}

// Close implements [reader.Device].
func (d *Device) Close() error {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.waiting.Lock() // a Wait ends within a slice
	defer d.waiting.Unlock()
	d.drop()
	return nil
}

func (d *Device) isClosed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}

func (d *Device) reader() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.name
}

func (d *Device) setReader(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.name = name
}

// forget forgets the reader if it still has a name by which there is none: nobody may be
// looking, and it has another name where it was plugged in as another slot.
func (d *Device) forget(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.name == name {
		d.name = ""
	}
}

func pause(ctx context.Context) {
	select {
	case <-time.After(slice):
	case <-ctx.Done():
	}
}

// isAny reports whether err is one of those of PC/SC.
func isAny(err error, codes ...scard.Error) bool {
	var e scard.Error
	if !errors.As(err, &e) {
		return false
	}
	for _, c := range codes {
		if e == c {
			return true
		}
	}
	return false
}
