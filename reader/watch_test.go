package reader_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"quancun/reader"
)

var errUnplugged = errors.New("unplugged")

// played is a device that plays states and errors, and then waits for ctx.
type played struct{ play []any }

func (d *played) Wait(ctx context.Context, last reader.State) (reader.State, error) {
	if len(d.play) == 0 {
		<-ctx.Done()
		return last, ctx.Err()
	}
	next := d.play[0]
	d.play = d.play[1:]
	if err, ok := next.(error); ok {
		return reader.State{}, err
	}
	return next.(reader.State), nil
}

func (*played) Connect() (reader.Card, error) { return nil, reader.ErrNoCard }
func (*played) Close() error                  { return nil }

func TestWatch(t *testing.T) {
	empty := reader.State{Connected: true}
	card := reader.State{Connected: true, Card: true, Insertions: 1}
	swapped := reader.State{Connected: true, Card: true, Insertions: 2}
	synctest.Test(t, func(t *testing.T) {
		d := &played{play: []any{empty, card, swapped, errUnplugged, errUnplugged, errUnplugged, empty}}
		ctx, cancel := context.WithCancel(t.Context())
		changes, start := make(chan reader.State), time.Now()
		done := make(chan error)
		go func() { done <- reader.Watch(ctx, d, changes, slog.New(slog.DiscardHandler)) }()

		for i, want := range []reader.State{empty, card, swapped, {}, empty} {
			if got := <-changes; got != want {
				t.Errorf("change %d = %+v, want %+v", i, got, want)
			}
		}
		if got, want := time.Since(start), 700*time.Millisecond; got != want {
			t.Errorf("came back after %v, want %v (100+200+400 ms)", got, want)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Watch = %v, want context.Canceled", err)
		}
		if _, open := <-changes; open {
			t.Error("changes was not closed")
		}
	})
}

// TestWatchEndsUnheard ends a Watch that nobody listens to.
func TestWatchEndsUnheard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		d := &played{play: []any{reader.State{Connected: true}}}
		err := reader.Watch(ctx, d, make(chan reader.State), slog.New(slog.DiscardHandler))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Watch = %v, want context.DeadlineExceeded", err)
		}
	})
}

// TestWatchBacksOff counts how often an hour without a reader asks for it.
func TestWatchBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		d := &played{}
		for range 10000 {
			d.play = append(d.play, errUnplugged)
		}
		if err := reader.Watch(ctx, d, make(chan reader.State), slog.New(slog.DiscardHandler)); err == nil {
			t.Error("Watch ended by itself")
		}
		// 0.1+0.2+…+3.2 s, then every 5 s.
		if got := 10000 - len(d.play); got < 715 || got > 730 {
			t.Errorf("asked %d times in an hour, want about 725", got)
		}
	})
}
