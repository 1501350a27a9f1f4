package standing

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"quancun/beijing"
	"quancun/kiosk"
	"quancun/upstream/client/bath"
	"quancun/upstream/client/bill"
)

// answers are what an upstream says next.
type answers struct {
	billers []bill.Biller
	halls   []bath.Hall
	err     error
	asked   int
}

func (a *answers) Billers(context.Context) ([]bill.Biller, error) { a.asked++; return a.billers, a.err }

func (a *answers) Halls(context.Context) (bath.Halls, error) {
	return bath.Halls{Halls: a.halls}, a.err
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, beijing.Zone)

func TestStandings(t *testing.T) {
	down, worked := noon.Add(-time.Hour), noon.Add(-2*time.Hour)
	network := bill.Biller{Kind: bill.Network, DownSince: down.UTC(), Answered: worked.UTC()}
	east := bill.Biller{Kind: bill.Electricity, DownSince: down}
	west := bill.Biller{Kind: bill.Electricity, Answered: noon}
	away := kiosk.Standing{Service: kiosk.NetworkService, Since: down, Worked: worked}
	for name, c := range map[string]struct {
		a    answers
		want []kiosk.Standing
	}{
		"Nothing": {answers{}, nil},
		"Away":    {answers{billers: []bill.Biller{network}}, []kiosk.Standing{away}},
		"OneOfTwo": {answers{billers: []bill.Biller{east, west}},
			[]kiosk.Standing{{Service: kiosk.ElectricityService}}},
		"BothOfTwo": {answers{billers: []bill.Biller{{Kind: bill.Network, DownSince: noon}, network}},
			[]kiosk.Standing{{Service: kiosk.NetworkService, Since: noon}}},
		"Newer":      {answers{billers: []bill.Biller{{Kind: 9}}}, nil},
		"BathClosed": {answers{halls: []bath.Hall{{Closed: true}}}, []kiosk.Standing{{Service: kiosk.BathService, Closed: true}}},
		"BathOpen":   {answers{halls: []bath.Hall{{Closed: true}, {}}}, []kiosk.Standing{{Service: kiosk.BathService}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := &Board{Bills: &c.a, Baths: &c.a, Now: func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler)}
			if got := b.All(t.Context()); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// TestSilence: what is not answered is as it was, and nobody is asked all the time.
func TestSilence(t *testing.T) {
	now, a := noon, &answers{halls: []bath.Hall{{}}}
	b := &Board{Bills: a, Baths: a, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}
	want := []kiosk.Standing{{Service: kiosk.BathService}}
	for _, step := range []struct {
		after time.Duration
		asked int
	}{{0, 1}, {5 * time.Second, 1}, {askEvery, 2}, {-time.Hour, 3}} {
		now = now.Add(step.after)
		if got := b.All(t.Context()); !reflect.DeepEqual(got, want) || a.asked != step.asked {
			t.Errorf("%s later: %+v after %d questions, want %+v after %d", step.after, got, a.asked, want, step.asked)
		}
		a.err, a.halls = errors.New("away"), nil
	}
}
