package kiosk_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/reader/purse"
	"quancun/upstream/client"
)

// line is the way upstream, which is cut or mended in the middle of a tap. While it is
// cut, a tap's question is heard of nowhere, and keeps waiting; all else fails at once.
type line struct {
	upstream
	t *testing.T

	mu      sync.Mutex
	cut     bool                     // guarded by mu
	late    bool                     // what is asked while it is cut arrives when it is mended
	pending *client.AuthorizeRequest // guarded by mu; that has not arrived
}

// set cuts or mends it. What was on its way arrives, and nobody waits for the answer.
func (l *line) set(cut bool) {
	l.mu.Lock()
	l.cut = cut
	late := l.pending
	if !cut {
		l.pending = nil
	}
	l.mu.Unlock()
	if late != nil && !cut {
		_, err := l.upstream.Authorize(context.Background(), *late)
		l.t.Logf("a question arrived late: %v", err)
	}
}

func (l *line) isCut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut
}

func (l *line) Authorize(ctx context.Context, q client.AuthorizeRequest) (client.Approval, error) {
	l.mu.Lock()
	cut := l.cut
	if cut && l.late {
		l.pending = &q
	}
	l.mu.Unlock()
	if !cut {
		return l.upstream.Authorize(ctx, q)
	}
	if end, ok := ctx.Deadline(); !ok || time.Until(end) > tapBudget {
		l.t.Errorf("a tap waits until %v", end)
		return client.Approval{}, errLost
	}
	<-ctx.Done()
	return client.Approval{}, ctx.Err()
}

func (l *line) Push(ctx context.Context, b journal.Batch) (journal.Ack, error) {
	if l.isCut() {
		return journal.Ack{}, errLost
	}
	return l.upstream.Push(ctx, b)
}

func (l *line) Hello(ctx context.Context, h client.Hello) (client.Welcome, error) {
	if l.isCut() {
		return client.Welcome{}, errLost
	}
	return l.upstream.Hello(ctx, h)
}

// steps has something happen when a tap comes to one of its steps for the first time.
type steps struct {
	at   string
	do   func()
	once sync.Once
}

func (s *steps) come(at string) {
	if at == s.at {
		s.once.Do(s.do)
	}
}

// stepCard is a card, or a SAM, whose commands are steps, by their names in the
// specification.
type stepCard struct {
	purse.Card
	names map[byte]string
	steps *steps
}

func (c stepCard) Transmit(command []byte) ([]byte, error) {
	name := c.names[command[1]]
	c.steps.come("before " + name)
	answer, err := c.Card.Transmit(command)
	c.steps.come("after " + name)
	return answer, err
}

// stepBook is a journal whose entries are steps.
type stepBook struct {
	kiosk.Book
	steps *steps
}

func (b stepBook) OpenFor(ctx context.Context, card string) ([]journal.Entry, error) {
	b.steps.come("open")
	return b.Book.OpenFor(ctx, card)
}

func (b stepBook) Append(ctx context.Context, e journal.Entry) (journal.Entry, error) {
	b.steps.come("before " + e.Kind.String())
	e, err := b.Book.Append(ctx, e)
	b.steps.come("after " + e.Kind.String())
	return e, err
}

func (b stepBook) AppendAt(ctx context.Context, e journal.Entry, epoch journal.Epoch, seq int64) (
	journal.Entry, error) {
	b.steps.come("before " + e.Kind.String())
	e, err := b.Book.AppendAt(ctx, e, epoch, seq)
	b.steps.come("after " + e.Kind.String())
	return e, err
}

// tapSteps are the steps of a tap in their order, those before the upstream is asked,
// those beside that, and those after it.
var tapSteps = []struct {
	when  string
	steps []string
}{
	{"before", []string{"open", "before INITIALIZE", "after INITIALIZE"}},
	{"beside", []string{"before INIT SAM", "after INIT SAM"}},
	{"after", []string{"before sale intent", "after sale intent", "before DEBIT", "after DEBIT",
		"before CHECK MAC2", "after CHECK MAC2", "before sale end", "after sale end"}},
}

// tapAt has a card pay for lunch, and something happen at a step of the tap.
func (c *till) tapAt(at string, alone bool, do func()) (kiosk.Sold, error) {
	c.world.t.Helper()
	s := &steps{at: at, do: do}
	card, info, err := c.lay()
	c.world.ok(err)
	defer card.Close()
	c.seller.Book = stepBook{c.journal(), s}
	c.seller.SAM = stepCard{c.sam, map[byte]string{0x70: "INIT SAM", 0x72: "CHECK MAC2"}, s}
	sold, err := c.seller.Sell(c.world.t.Context(),
		stepCard{card, map[byte]string{0x50: "INITIALIZE", 0x54: "DEBIT"}, s},
		kiosk.Sale{Ref: kiosk.NewRef(), Card: info, Merchant: merchant, Operator: "c7", Amount: lunch, Alone: alone})
	s.once.Do(func() { c.world.t.Errorf("the tap did not come to %q", at) })
	return sold, err
}

// TestMidTap: the upstream goes away, or comes back, at each step of a tap. It comes
// back with or without the question that a tap has asked meanwhile, and also to a till
// that knew it to be away. The customer pays once, the till asks no longer than it may,
// it says that the upstream has agreed only where it has, and what was held is captured.
func TestMidTap(t *testing.T) {
	for name, tt := range map[string]struct {
		cut, late, alone bool
		online           map[string]bool // by whether the change comes before or after the question
	}{
		"goes":               {online: map[string]bool{"before": false, "after": true}},
		"comes":              {cut: true, online: map[string]bool{"before": true, "after": false}},
		"comes with a word":  {cut: true, late: true, online: map[string]bool{"before": true, "after": false}},
		"comes to the alone": {cut: true, alone: true, online: map[string]bool{"before": false, "after": false}},
	} {
		for _, part := range tapSteps {
			for _, at := range part.steps {
				t.Run(name+"/"+at, func(t *testing.T) {
					t.Parallel()
					w, tills := newShop(t, "T01")
					c := tills[0]
					l := &line{upstream: c.up.whole(), t: t, cut: tt.cut, late: tt.late}
					c.up.replace(l)
					online, sure := tt.online[part.when]
					if !online { // otherwise the answer may take its time, on a machine that has more to do
						c.seller.Budget = tapBudget
					}
					sold, err := c.tapAt(at, tt.alone, func() { l.set(!tt.cut) })
					if err != nil || sure && sold.Online != online {
						t.Errorf("sold %+v, %v; want it sold, by the upstream's word: %t", sold, err, online)
					}
					l.set(false)
					w.told(c.post)
					if n := w.balanced(c); n != 1 {
						t.Errorf("%d lunches paid, want 1", n)
					}
					entries, err := c.book.Since(t.Context(), 1, 100)
					w.ok(err)
					wrote := map[journal.Kind]int{}
					for _, e := range entries {
						wrote[e.Kind]++
					}
					if wrote[journal.SaleIntent] != 1 || wrote[journal.SaleEnd] != 1 {
						t.Errorf("the journal has %v, want one sale and its end", wrote)
					}
				})
			}
		}
	}
}
