package lost_test

import (
	"context"
	"testing"
	"time"

	"quancun/kiosk/dialog"
	"quancun/kiosk/service/lost"
	"quancun/kiosk/service/tape/tapetest"
	"quancun/money"
	wire "quancun/upstream/client/lost"
)

// TestTape records what somebody sees who has lost a card.
func TestTape(t *testing.T) {
	w := newWorld(t)
	f := film{w, tapetest.New(t, "lost")}
	f.r.Now = time.Now
	w.Client("till1")
	w.hears("till1", 0) // and has no network from now on
	f.visit("wrong", w.desk, falsely, right)
	w.hears("kiosk1", 1)
	f.visit("partly", w.desk, right)
	w.hears("till1", 1)
	f.visit("again", w.desk, right)
	w.ok(w.desk.Found(t.Context(), card))
	f.visit("found", w.desk, right)
	for _, c := range []struct {
		name string
		says saying
	}{
		{"too-often", saying{err: &wire.Refusal{Reason: wire.TooOften}}}, {"no-card", saying{err: &wire.Refusal{Reason: wire.NoCard}}},
		{"offline", saying{err: wire.ErrNotSent}}, {"unknown", saying{err: context.DeadlineExceeded}},
		{"all", saying{loss: wire.Loss{
			MaskedName: "张*丰", MaskedNumber: "2026****01", Stopped: time.Now(), Told: 12, Terminals: 12,
		}}},
		{"risk", saying{loss: wire.Loss{
			MaskedName: "张*丰", MaskedNumber: "2026****01", Stopped: time.Now(), Told: 10, Terminals: 12,
			AtRisk: 30 * money.Yuan, Free: time.Now().Add(24 * time.Hour),
		}}},
	} {
		c.says.Upstream = w.desk.Upstream
		pace := lost.Pace{Try: 50 * time.Millisecond, Tell: 10 * time.Millisecond, Look: 10 * time.Second}
		d := &lost.Desk{Upstream: c.says, Requests: w.desk.Requests, Pace: pace}
		f.visit(c.name, d, right)
	}
}

// saying is an upstream that says one thing.
type saying struct {
	lost.Upstream
	loss wire.Loss
	err  error
}

func (s saying) Report(context.Context, string, string, *[6]byte) (wire.Loss, error) {
	return s.loss, s.err
}

// film is a recorder in a world.
type film struct {
	w *world
	r *tapetest.Recorder
}

// visit records somebody who reports a loss with these PINs, one after the other, and
// then leaves.
func (f film) visit(name string, d *lost.Desk, pins ...string) {
	f.w.t.Helper()
	v := tapetest.Visit{Name: name, Service: d.Service(), Answer: func(q dialog.Question) dialog.Answer {
		switch {
		case q.Kind == dialog.AskNumber:
			return dialog.Answer{Text: number}
		case q.Kind == dialog.AskPIN && len(pins) == 0:
			return dialog.Answer{Left: true}
		case q.Kind == dialog.AskPIN:
			defer func() { pins = pins[1:] }()
			return tapetest.PIN(pins[0])
		}
		return dialog.Answer{}
	}}
	if e := f.r.Record(v); e.Err != nil && e.Report.Follow != nil {
		f.r.Follow(v, e)
	}
}
