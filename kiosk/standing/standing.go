// Package standing says how the services stand that others than the campus give:
// those whose bills are paid at the kiosk, and the baths. It asks the upstream, which
// knows; it asks none of them itself, and it decides nothing.
package standing

import (
	"context"
	"log/slog"
	"time"

	"quancun/beijing"
	"quancun/kiosk"
	"quancun/upstream/client/bath"
	"quancun/upstream/client/bill"
)

// Bills says how billers are. A [*bill.Desk] does.
type Bills interface {
	Billers(ctx context.Context) ([]bill.Biller, error)
}

// Baths says which baths there are. A [*bath.Desk] does.
type Baths interface {
	Halls(ctx context.Context) (bath.Halls, error)
}

// askEvery is how old an answer may be. Baths rarely close, and the upstream itself
// needs a quarter of a minute to find a biller again.
const askEvery = 15 * time.Second

// Board has how they stood when somebody asked last. It belongs to one goroutine.
type Board struct {
	Bills Bills
	Baths Baths
	Now   func() time.Time
	Log   *slog.Logger

	asked time.Time
	bills []kiosk.Standing
	baths []kiosk.Standing
}

// All returns how they stand, asking anew if it is time. What is not answered is as
// it was: the kiosk says by itself that its upstream is away.
func (b *Board) All(ctx context.Context) []kiosk.Standing {
	if b.Now().Sub(b.asked).Abs() >= askEvery { // a clock may have been put back
		b.asked = b.Now()
		b.ask(ctx)
	}
	return append(append([]kiosk.Standing(nil), b.bills...), b.baths...)
}

func (b *Board) ask(ctx context.Context) {
	if all, err := b.Bills.Billers(ctx); err != nil {
		b.Log.Warn("billers not heard of", "err", err)
	} else {
		b.bills = ofBillers(all)
	}
	if all, err := b.Baths.Halls(ctx); err != nil {
		b.Log.Warn("baths not heard of", "err", err)
	} else {
		b.baths = ofHalls(all)
	}
}

// services are what the kinds of billers are for.
var services = map[bill.BillerKind]string{
	bill.Network: kiosk.NetworkService, bill.Electricity: kiosk.ElectricityService,
}

// ofBillers returns a standing for each service. One that several billers give works
// while one of them answers.
func ofBillers(all []bill.Biller) (out []kiosk.Standing) {
	for _, b := range all {
		name := services[b.Kind]
		if name == "" {
			continue // of an upstream that is newer
		}
		now := kiosk.Standing{Service: name}
		if !b.DownSince.IsZero() {
			now.Since, now.Worked = b.DownSince.In(beijing.Zone), inBeijing(b.Answered)
		}
		out = merge(out, now)
	}
	return out
}

func merge(all []kiosk.Standing, s kiosk.Standing) []kiosk.Standing {
	for i, other := range all {
		if other.Service != s.Service {
			continue
		}
		if s.Since.IsZero() || !other.Since.IsZero() && s.Since.After(other.Since) {
			all[i] = s
		}
		return all
	}
	return append(all, s)
}

// ofHalls returns the standing of the baths, if there are any.
func ofHalls(all bath.Halls) []kiosk.Standing {
	if len(all.Halls) == 0 {
		return nil
	}
	s := kiosk.Standing{Service: kiosk.BathService, Closed: true}
	for _, h := range all.Halls {
		s.Closed = s.Closed && h.Closed
	}
	return []kiosk.Standing{s}
}

func inBeijing(at time.Time) time.Time {
	if at.IsZero() {
		return at
	}
	return at.In(beijing.Zone)
}
