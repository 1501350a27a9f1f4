package reader_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"quancun/reader"
)

// TestPresence: one that waits is told of each change, and a card belongs to
// whoever claimed it first.
func TestPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p reader.Presence
		var last reader.State
		for _, step := range []struct {
			name string
			do   func()
			want reader.State
			use  error // what Claim says then
		}{
			{"plugged in", func() { p.Plug(true) }, reader.State{Connected: true}, reader.ErrNoCard},
			{"laid", func() { p.Lay() }, reader.State{Connected: true, Card: true, Insertions: 1}, nil},
			{"swapped", func() { p.Lay() }, reader.State{Connected: true, Card: true, Insertions: 2}, reader.ErrBusy},
			{"taken", p.Take, reader.State{Connected: true, Insertions: 2}, reader.ErrNoCard},
			{"unplugged", func() { p.Plug(false) }, reader.State{}, reader.ErrNoCard},
			{"plugged in again", func() { p.Plug(true) }, reader.State{Connected: true, Insertions: 2}, reader.ErrNoCard},
		} {
			var got reader.State
			var err error
			told := make(chan struct{})
			go func() {
				defer close(told)
				got, err = p.Wait(t.Context(), last)
			}()
			synctest.Wait() // it waits, because nothing has changed
			select {
			case <-told:
				t.Fatalf("before it is %s, Wait returned %+v, %v", step.name, got, err)
			default:
			}
			step.do()
			<-told
			if got != step.want || err != nil {
				t.Errorf("%s: %+v, %v; want %+v", step.name, got, err, step.want)
			}
			if err := p.Claim(); err != step.use {
				t.Errorf("%s: Claim = %v, want %v", step.name, err, step.use)
			}
			last = got
		}
	})
}

// TestPresenceEnds: a Wait ends with its context or its reader, and a reader
// that is closed or unplugged takes no card.
func TestPresenceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p reader.Presence
		if p.Lay() {
			t.Error("a card was laid on a reader that is unplugged")
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		wait := func() {
			_, err := p.Wait(ctx, reader.State{})
			ended <- err
		}
		go wait()
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Wait = %v, want context.Canceled", err)
		}
		ctx = t.Context()
		go wait()
		go wait()
		synctest.Wait()
		if !p.Close() || p.Close() {
			t.Error("the first Close is the second, or the other way round")
		}
		for range 2 {
			if err := <-ended; !errors.Is(err, reader.ErrClosed) {
				t.Errorf("Wait = %v, want ErrClosed", err)
			}
		}
		p.Plug(true)
		if p.Lay() {
			t.Error("a card was laid on a reader that was closed")
		}
		if err := p.Claim(); !errors.Is(err, reader.ErrClosed) {
			t.Errorf("Claim = %v, want ErrClosed", err)
		}
	})
}
