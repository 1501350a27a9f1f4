package request_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/request"
	"quancun/kiosk/tender"
	"quancun/ledger"
	"quancun/money"
)

var quiet = slog.New(slog.DiscardHandler)

func newBook(t *testing.T) *ledger.Book {
	t.Helper()
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	b, err := ledger.Open(t.Context(), filepath.Join(t.TempDir(), "journal.db"), ledger.Options{
		Terminal: "K01", Key: key, Campus: key.Public().(ed25519.PublicKey),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func of(ref string) request.Request {
	return request.Request{
		Ref: ref, Service: "bill", Account: "1001", Amount: 10 * money.Yuan, What: map[string]string{"biller": "network"},
	}
}

// TestDo writes a request down before it is asked for, keeps it in hand meanwhile, and
// writes down what came of it. What nobody knows stays open.
func TestDo(t *testing.T) {
	no := errors.New("no")
	for name, c := range map[string]struct {
		said    journal.Outcome
		err     error
		unknown bool
	}{
		"Done":        {said: journal.Done},
		"NotDone":     {said: journal.NotDone, err: no},
		"Unknown":     {err: no, unknown: true},
		"SaysNothing": {unknown: true},
	} {
		t.Run(name, func(t *testing.T) {
			b, hand := newBook(t), new(kiosk.InHand)
			d := &request.Desk{Book: b, InHand: hand, Log: quiet}
			got, err := d.Do(t.Context(), of("R1"), func(ctx context.Context) (journal.Outcome, error) {
				item, err := b.Get(ctx, "R1")
				if err != nil || !item.Open() || !hand.Has("R1") {
					t.Errorf("asked while the journal has %+v, %v; in hand %t", item, err, hand.Has("R1"))
				}
				return c.said, c.err
			})
			if got != c.said || errors.Is(err, tender.ErrUnknown) != c.unknown || c.err != nil && !errors.Is(err, c.err) {
				t.Errorf("Do = %s, %v", got, err)
			}
			item, err := b.Get(t.Context(), "R1")
			if err != nil || item.End.Outcome != c.said || item.Open() != c.unknown || hand.Has("R1") {
				t.Errorf("the journal has %+v, %v", item, err)
			}
			if r, err := item.First.Request(); err != nil || r.Service != "bill" || string(r.What) != `{"biller":"network"}` {
				t.Errorf("announced %+v, %v", r, err)
			}
		})
	}
}

// TestKeeper asks about what was left open until it has ended, and about nothing that
// is in hand, of another service, or no request.
func TestKeeper(t *testing.T) {
	b, hand := newBook(t), new(kiosk.InHand)
	d := &request.Desk{Book: b, InHand: hand, Log: quiet}
	left := func(r request.Request) {
		t.Helper()
		if _, err := d.Do(t.Context(), r, func(context.Context) (journal.Outcome, error) { return 0, nil }); err == nil {
			t.Fatal("nobody knows, and there is no error")
		}
	}
	left(of("R1"))
	left(of("R2"))
	other := of("R3")
	other.Service = "bath"
	left(other)
	if _, err := b.Append(t.Context(), journal.Entry{Kind: journal.TopUpIntent, Ref: "T1", Amount: 1}); err != nil {
		t.Fatal(err)
	}
	hand.Take("R2")
	answers := map[string][]journal.Outcome{"R1": {0, journal.Done}, "R2": {journal.NotDone}}
	var asked []string
	k := &request.Keeper{Book: b, InHand: hand, Log: quiet, Asks: map[string]request.Ask{
		"bill": func(_ context.Context, intent journal.Entry) (journal.Outcome, error) {
			asked = append(asked, intent.Ref)
			o := answers[intent.Ref][0]
			answers[intent.Ref] = answers[intent.Ref][1:]
			return o, nil
		},
	}}
	k.Round(t.Context())
	k.Round(t.Context())
	hand.Drop("R2")
	k.Round(t.Context())
	k.Round(t.Context())
	if want := []string{"R1", "R1", "R2"}; len(asked) != 3 || asked[0] != want[0] || asked[2] != want[2] {
		t.Errorf("asked about %q, want %q", asked, want)
	}
	for ref, want := range map[string]journal.Outcome{"R1": journal.Done, "R2": journal.NotDone, "R3": 0, "T1": 0} {
		if item, err := b.Get(t.Context(), ref); err != nil || item.End.Outcome != want {
			t.Errorf("%s: %s, %v; want %s", ref, item.End.Outcome, err, want)
		}
	}
}

// silent is a journal with one request that stays open.
type silent struct{}

func (silent) Append(context.Context, journal.Entry) (journal.Entry, error) {
	return journal.Entry{}, errors.New("nothing is to be written")
}

func (silent) OpenItems(context.Context) ([]journal.Entry, error) {
	return []journal.Entry{{Kind: journal.RequestIntent, Ref: "R1", Details: []byte(`{"service":"bill"}`)}}, nil
}

// TestRun goes on by itself, round after round, until ctx ends.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rounds := 0
		k := &request.Keeper{Book: silent{}, InHand: new(kiosk.InHand), Every: time.Minute, Log: quiet,
			Asks: map[string]request.Ask{"bill": func(context.Context, journal.Entry) (journal.Outcome, error) {
				rounds++
				return 0, errors.New("the upstream is away")
			}}}
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute+time.Second)
		defer stop()
		if err := k.Run(ctx); !errors.Is(err, context.DeadlineExceeded) || rounds != 11 {
			t.Errorf("Run = %v after %d rounds", err, rounds)
		}
	})
}
