package lost

import (
	"context"
	"errors"
	"sync"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/request"
	"quancun/kiosk/tender"
	"quancun/upstream/client/lost"
)

// Found is by what the journal knows that a lost card lies on the reader.
const Found = "found"

// toldFor is how long a card that lies there again is not told of again.
const toldFor = time.Hour

// told are the cards that were told of, so that a child who plays with one does not
// fill the journal.
type told struct {
	mu   sync.Mutex
	when map[string]time.Time // guarded by mu
}

// fresh reports whether a card was not told of lately, and notes that it is now.
func (t *told) fresh(card string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.when == nil {
		t.when = map[string]time.Time{}
	}
	for no, at := range t.when {
		if now.Sub(at) >= toldFor {
			delete(t.when, no)
		}
	}
	if _, again := t.when[card]; again {
		return false
	}
	t.when[card] = now
	return true
}

func (t *told) forget(card string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.when, card)
}

// Found tells the upstream that a lost card lies on the reader, for its owner. Once it
// has returned nil, the owner is or will be told. It is for [kiosk.Desk].
func (d *Desk) Found(ctx context.Context, cardNo string) error {
	at := d.now()
	if !d.told.fresh(cardNo, at) {
		return nil
	}
	r := request.Request{Ref: kiosk.NewRef(), Service: Found, Card: cardNo}
	_, err := d.Requests.Do(ctx, r, func(ctx context.Context) (journal.Outcome, error) {
		return d.tell(ctx, cardNo, at)
	})
	if errors.Is(err, tender.ErrUnknown) {
		return nil // it is written down
	}
	if err != nil {
		d.told.forget(cardNo)
	}
	return err
}

// AskFound tells the upstream of a found card that was written down.
func (d *Desk) AskFound(ctx context.Context, intent journal.Entry) (journal.Outcome, error) {
	o, err := d.tell(ctx, intent.Card, intent.At)
	if o == journal.NotDone {
		err = nil // it can be used again, or was replaced: nobody misses it
	}
	return o, err
}

func (d *Desk) tell(ctx context.Context, cardNo string, at time.Time) (journal.Outcome, error) {
	err := d.Upstream.ReportFound(ctx, cardNo, at)
	no := (*lost.Refusal)(nil)
	switch {
	case err == nil:
		return journal.Done, nil
	case errors.As(err, &no):
		return journal.NotDone, err
	}
	return 0, err
}
