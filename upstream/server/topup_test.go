package server_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"quancun/money"
	"quancun/upstream/channel"
	"quancun/upstream/client"
	"quancun/upstream/server"
	"quancun/upstream/store"
	"quancun/upstream/store/pgtest"
	"quancun/upstream/store/sqldb"
)

// TestTopUpBroken breaks a top-up of 20 yuan at each point where the world can
// break it, outside and on disk, and then crashes. Every break comes in two
// kinds: it had no effect, or it had its effect and only the answer was lost.
//
// The customer pays if ever a code was shown, and otherwise the terminal asks
// for the code again under the same number, as after a power cut. Wherever the
// break: in the end the account is credited once if the channel was paid, and
// not at all if not, and nothing is left open.
func TestTopUpBroken(t *testing.T) {
	const amount = 20 * yuan
	for _, point := range []string{
		"create", "precreate", "waiting", "query", "paid", // a customer who pays
		"checking", "cancel", "closed", "returned", // one who walks away
	} {
		for _, kept := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/kept=%t", point, kept), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				s := w.session()
				w.breakAt(point, kept)
				o, err := w.client.CreateTopUp(t.Context(), s, "B1", amount)
				if reason(err) != 0 {
					t.Fatalf("CreateTopUp: %v, want done or unknown", err)
				}
				if err != nil {
					w.restart()
					if o, err = w.client.CreateTopUp(t.Context(), s, "B1", amount); err != nil {
						t.Fatalf("CreateTopUp again: %v", err)
					}
				}
				leaves := point == "checking" || point == "cancel" || point == "closed" || point == "returned"
				if point == "returned" {
					w.ch.breakNext(fault{method: "query"}) // so that the payment crosses the cancellation
				}
				if !leaves && o.QR != "" || point == "returned" {
					w.ch.pay("B1")
				}
				if leaves {
					w.client.CancelTopUp(t.Context(), "B1") //nolint:errcheck // its answer is what breaks
				}
				if o, err := w.books.Order(t.Context(), "B1"); point == "closed" && (err != nil || o.State == store.OrderWaiting) {
					t.Errorf("cancelled, and still %+v, %v; want it not to look payable", o, err)
				}
				time.Sleep(5 * time.Millisecond) // the engine may meet the break too
				w.restart()
				if leaves {
					if _, err := w.client.CancelTopUp(t.Context(), "B1"); err != nil {
						t.Errorf("CancelTopUp again: %v", err)
					}
				}
				w.settled("B1", amount)
			})
		}
	}
}

// breakAt breaks the channel or the disk at a point.
func (w *world) breakAt(point string, kept bool) {
	switch point {
	case "precreate", "query", "cancel":
		for range 3 { // as often as it is tried
			w.ch.breakNext(fault{method: point, kept: kept})
		}
	default:
		w.broken.breakNext(point, kept)
	}
}

// settled waits until an order is final, and holds books and channel against
// each other.
func (w *world) settled(no string, amount money.Fen) {
	w.t.Helper()
	var o client.TopUp
	// An upstream that has died is not asking any more, but another might think
	// so until its time is over.
	for end := time.Now().Add(patience); time.Now().Before(end); {
		var err error
		if o, err = w.client.GetTopUp(w.t.Context(), no, 0, 0); err != nil {
			w.t.Fatal(err)
		}
		if o.State.Final() {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	trade, err := w.ch.Query(w.t.Context(), no)
	if err != nil {
		w.t.Fatal(err)
	}
	balance := money.Fen(opening)
	if trade.Status == channel.Paid {
		balance += amount
	}
	want := map[channel.Status]client.TopUpState{
		channel.Paid: client.TopUpPaid, channel.Closed: client.TopUpClosed, channel.Returned: client.TopUpReturned,
	}[trade.Status]
	if o.State != want {
		w.t.Errorf("order in state %d, the channel in status %d\n%s", o.State, trade.Status, w.log.String())
	}
	w.check(balance)
}

func TestPrecreateUnknown(t *testing.T) {
	for _, kept := range []bool{false, true} {
		w := newWorld(t)
		s := w.session()
		w.ch.breakNext(fault{method: "precreate", kept: kept})
		o, err := w.client.CreateTopUp(t.Context(), s, "P1", 20*yuan)
		if err != nil || o.State != client.TopUpWaiting || w.ch.count("precreate") != 2 {
			t.Errorf("kept %t, once: %+v, %v; want it tried again", kept, o, err)
		}
		for range 3 {
			w.ch.breakNext(fault{method: "precreate", kept: kept})
		}
		o, err = w.client.CreateTopUp(t.Context(), s, "P2", 20*yuan)
		if err != nil || o.State != client.TopUpClosed || o.QR != "" {
			t.Errorf("kept %t, always: %+v, %v; want what nobody was shown closed", kept, o, err)
		}
		w.check(opening)
	}
}

func TestChannelRefused(t *testing.T) {
	w := newWorld(t)
	s := w.session()
	w.ch.breakNext(fault{method: "precreate", err: channel.ErrRefused})
	_, err := w.client.CreateTopUp(t.Context(), s, "R1", 20*yuan)
	wantReason(t, "CreateTopUp", err, client.ChannelRefused)
	if o, err := w.client.GetTopUp(t.Context(), "R1", 0, 0); err != nil || o.State != client.TopUpClosed {
		t.Errorf("order = %+v, %v; want it closed", o, err)
	}
}

// TestAmounts tries the edges of what may be topped up (feature list, failure
// 10): the account holds 100 yuan, and may hold 1000.
func TestAmounts(t *testing.T) {
	w := newWorld(t)
	s := w.session()
	for i, tt := range []struct {
		amount money.Fen
		reason client.Reason
		limit  money.Fen
	}{
		{-yuan, client.AmountOutOfRange, yuan},
		{0, client.AmountOutOfRange, yuan},
		{yuan - 1, client.AmountOutOfRange, yuan},
		{500*yuan + 1, client.AmountOutOfRange, 500 * yuan},
		{500 * yuan, 0, 0},
		{400*yuan + 1, client.BalanceCap, 400 * yuan}, // the first is waiting, and counts
		{400 * yuan, 0, 0},
		{yuan, client.BalanceCap, 0},
	} {
		_, err := w.client.CreateTopUp(t.Context(), s, fmt.Sprintf("A%d", i), tt.amount)
		var no client.Refusal
		if p := (*client.Refusal)(nil); errors.As(err, &p) {
			no = *p
		}
		if no.Reason != tt.reason || no.Limit != tt.limit || tt.reason == 0 && err != nil {
			t.Errorf("%s: %v with limit %s, want %v with %s", tt.amount, err, no.Limit, tt.reason, tt.limit)
		}
	}
	for _, no := range []string{"", strings.Repeat("x", 65), "a-b", "a b", "单"} {
		_, err := w.client.CreateTopUp(t.Context(), s, no, 20*yuan)
		wantReason(t, "order number "+no, err, client.Malformed)
	}
}

// TestTopUpEnded: an account whose time is over, or that was closed while its holder
// stood at the kiosk, takes no more money. An order that was made before goes on.
func TestTopUpEnded(t *testing.T) {
	a := store.HolderAccount(account)
	for name, end := range map[string]func(w *world, tx *sqldb.Tx) error{
		"over": func(w *world, tx *sqldb.Tx) error {
			return w.books.SetUntil(t.Context(), tx, a, w.books.Now().Add(-time.Minute))
		},
		"closed": func(w *world, tx *sqldb.Tx) error { // after its card was looked at
			return w.books.CloseHolder(t.Context(), tx, a, w.books.Now())
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.session()
			if _, err := w.client.CreateTopUp(t.Context(), s, "E1", 20*yuan); err != nil {
				t.Fatal(err)
			}
			err := w.books.Write(t.Context(), func(tx *sqldb.Tx) error { return end(w, tx) })
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.client.CreateTopUp(t.Context(), s, "E2", 20*yuan)
			wantReason(t, "a new order", err, client.CardIsRetired)
			if _, err := w.client.CreateTopUp(t.Context(), s, "E1", 20*yuan); err != nil {
				t.Errorf("the order that was made before: %v", err)
			}
		})
	}
}

// TestOrderConflict is failure 1 of the feature list: a number that is known
// must not be answered when what it names is something else.
func TestOrderConflict(t *testing.T) {
	w := newWorld(t)
	s := w.session()
	first, err := w.client.CreateTopUp(t.Context(), s, "C1", 20*yuan)
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.client.CreateTopUp(t.Context(), s, "C1", 20*yuan)
	if err != nil || again != first || w.ch.count("precreate") != 1 {
		t.Errorf("the same again = %+v, %v; want %+v without another call", again, err, first)
	}
	_, err = w.client.CreateTopUp(t.Context(), s, "C1", 30*yuan)
	wantReason(t, "another amount", err, client.OrderConflict)
	other := w.newTerminal("K02")
	_, err = other.GetTopUp(t.Context(), "C1", 0, 0)
	wantReason(t, "an order of another terminal", err, client.OrderUnknown)
	_, err = other.CancelTopUp(t.Context(), "C1")
	wantReason(t, "cancelling it", err, client.OrderUnknown)
	_, err = w.client.GetTopUp(t.Context(), "C2", 0, 0)
	wantReason(t, "an order of nobody", err, client.OrderUnknown)
	if got := w.alarms(); len(got) != 1 || got[0] != store.AlarmOrderConflict || !strings.Contains(w.log.String(), "other content") {
		t.Errorf("alarms %q, want one conflict, and in the log too", got)
	}
}

// TestManySubmits is failure 36 of the feature list: a nervous finger.
func TestManySubmits(t *testing.T) {
	w := newWorld(t)
	s := w.session()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if o, err := w.client.CreateTopUp(t.Context(), s, "M1", 20*yuan); err != nil || o.QR == "" {
				t.Errorf("CreateTopUp = %+v, %v", o, err)
			}
		})
	}
	wg.Wait()
	if got := w.ch.count("precreate"); got != 1 {
		t.Errorf("%d orders at the channel, want 1", got)
	}
	w.ch.pay("M1")
	w.await("M1", client.TopUpPaid)
	w.check(opening + 20*yuan)
}

// TestLatePayment is failures 3 and 39 of the feature list: money that comes
// after everybody has gone.
func TestLatePayment(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	s := w.session()
	if _, err := w.client.CreateTopUp(ctx, s, "L1", 20*yuan); err != nil {
		t.Fatal(err)
	}
	o, err := w.client.CancelTopUp(ctx, "L1")
	if err != nil || o.State != client.TopUpClosed {
		t.Fatalf("CancelTopUp = %+v, %v", o, err)
	}
	if again, err := w.client.CancelTopUp(ctx, "L1"); err != nil || again != o {
		t.Errorf("CancelTopUp again = %+v, %v; want %+v", again, err, o)
	}
	w.restart()
	w.ch.pay("L1")
	if o = w.await("L1", client.TopUpPaid); !o.Late {
		t.Errorf("%+v, want it late", o)
	}
	w.check(opening + 20*yuan)
	if _, err := w.client.Account(ctx, s); err != nil { // its sign-in was before the payment, and told nothing
		t.Fatal(err)
	}

	late := func(a client.Account) (n int) {
		for _, item := range a.Open {
			if item.Kind == client.OpenTopUpLate && item.Amount == 20*yuan && item.OrderNo == "L1" {
				n++
			}
		}
		return n
	}
	w.pass(time.Second)
	for range 2 { // an answer that got lost, and the next sign-in
		if _, a, err := w.signIn(rightPIN); err != nil || late(a) != 1 {
			t.Errorf("sign-in before it was seen: %+v, %v; want it told", a, err)
		}
	}
	s = w.session()
	for range 2 {
		w.pass(time.Second)
		if a, err := w.client.Account(ctx, s); err != nil || late(a) != 1 {
			t.Errorf("in the session that told: %+v, %v; want it still there", a, err)
		}
	}
	w.pass(time.Second)
	if _, a, err := w.signIn(rightPIN); err != nil || late(a) != 0 {
		t.Errorf("sign-in after it was seen: %+v, %v; want it gone", a, err)
	}
}

// TestLastLookUnanswered has the channel keep silent when it is asked for the
// last time about an order that was closed a day ago, and paid since: it has to
// be asked again.
func TestLastLookUnanswered(t *testing.T) {
	w := newWorld(t)
	if _, err := w.client.CreateTopUp(t.Context(), w.session(), "L2", 20*yuan); err != nil {
		t.Fatal(err)
	}
	if o, err := w.client.CancelTopUp(t.Context(), "L2"); err != nil || o.State != client.TopUpClosed {
		t.Fatalf("CancelTopUp = %+v, %v", o, err)
	}
	w.stop()
	w.ch.pay("L2")
	w.pass(26 * time.Hour)
	w.start(false)
	w.ch.breakNext(fault{method: "query"})
	for range 2 {
		if err := w.server.Attend(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.pass(2 * time.Hour)
	}
	o, err := w.books.Order(t.Context(), "L2")
	if err != nil || o.State != store.OrderPaid || !o.Late {
		t.Errorf("order %+v, %v; want it paid late", o, err)
	}
	w.check(opening + 20*yuan)
}

func TestAmountMismatch(t *testing.T) {
	w := newWorld(t)
	s := w.session()
	if _, err := w.client.CreateTopUp(t.Context(), s, "X1", 20*yuan); err != nil {
		t.Fatal(err)
	}
	w.ch.payAmount("X1", 2*yuan)
	w.await("X1", client.TopUpChecking)
	time.Sleep(50 * time.Millisecond) // the engine goes on asking, and must not give the money back
	for range 20 {
		w.ch.breakNext(fault{method: "query"}) // also when the channel does not say so again
	}
	o, err := w.client.CancelTopUp(t.Context(), "X1")
	if err != nil || o.State != client.TopUpChecking || w.ch.count("cancel") != 0 {
		t.Errorf("CancelTopUp = %+v, %v; want it left to people", o, err)
	}
	_, a, err := w.signIn(rightPIN)
	if err != nil || len(a.Open) == 0 || a.Open[0].Kind != client.OpenTopUpChecking {
		t.Errorf("account %+v, %v; want it shown as being checked", a, err)
	}
	if got := w.alarms(); len(got) != 1 || got[0] != store.AlarmAmountMismatch {
		t.Errorf("alarms %q, want a mismatch", got)
	}
	w.check(opening)
}

// TestCancelUnknown has the channel out of reach: the order is being checked,
// and says so, until the channel is back.
func TestCancelUnknown(t *testing.T) {
	for _, paid := range []bool{false, true} {
		w := newWorld(t)
		s := w.session()
		if _, err := w.client.CreateTopUp(t.Context(), s, "U1", 20*yuan); err != nil {
			t.Fatal(err)
		}
		for range 200 {
			w.ch.breakNext(fault{method: "query"})
			w.ch.breakNext(fault{method: "cancel"})
		}
		o, err := w.client.CancelTopUp(t.Context(), "U1")
		if err != nil || o.State != client.TopUpChecking {
			t.Errorf("CancelTopUp = %+v, %v; want it being checked", o, err)
		}
		if paid {
			w.ch.pay("U1")
		}
		w.ch.mend()
		w.settled("U1", 20*yuan)
	}
}

// TestAbandoned leaves orders alone: one that is shown and not paid is ended
// by the engine, and so is one whose terminal died before it was shown.
func TestAbandoned(t *testing.T) {
	w := newWorld(t)
	s := w.session()
	if _, err := w.client.CreateTopUp(t.Context(), s, "E1", 20*yuan); err != nil {
		t.Fatal(err)
	}
	w.broken.breakNext("create", true)
	if _, err := w.client.CreateTopUp(t.Context(), s, "E2", 20*yuan); err == nil {
		t.Fatal("the disk was to fail")
	}
	w.restart()
	w.await("E2", client.TopUpClosed) // it was never shown, so nobody waits for it
	if o, err := w.client.GetTopUp(t.Context(), "E1", 0, 0); err != nil || o.State != client.TopUpWaiting {
		t.Errorf("E1 = %+v, %v; want it waiting for its time", o, err)
	}
	w.pass(91 * time.Second)
	w.await("E1", client.TopUpClosed)
	w.check(opening)
}

// TestAttend moves orders on without Run, as a simulation does: once each time
// that it is asked, and no order that is not due.
func TestAttend(t *testing.T) {
	w := newWorld(t)
	w.pace.Wait = time.Hour
	w.stop()
	w.start(false)
	s := w.session()
	for _, no := range []string{"A1", "A2"} {
		if _, err := w.client.CreateTopUp(t.Context(), s, no, 20*yuan); err != nil {
			t.Fatal(err)
		}
		w.ch.pay(no)
	}
	want := func(state client.TopUpState) {
		t.Helper()
		if err := w.server.Attend(t.Context()); err != nil {
			t.Error(err)
		}
		for _, no := range []string{"A1", "A2"} {
			if o, err := w.client.GetTopUp(t.Context(), no, 0, 0); err != nil || o.State != state {
				t.Errorf("%s = %+v, %v; want state %d", no, o, err, state)
			}
		}
	}
	want(client.TopUpWaiting)
	w.pass(time.Hour)
	want(client.TopUpPaid)
	w.check(opening + 40*yuan)
}

// TestPaidWhileCancelled: a payer pays while the cancellation of the order is on its way,
// which gives the money back. Another upstream on the same books does not credit it
// then, whether it begins to ask or was asking.
func TestPaidWhileCancelled(t *testing.T) {
	for _, asking := range []bool{false, true} {
		t.Run(fmt.Sprintf("asking=%t", asking), func(t *testing.T) {
			t.Parallel()
			w, other := newPair(t)
			attend := func() {
				w.pass(5 * time.Second)
				if err := other.Attend(t.Context()); err != nil {
					t.Error(err)
				}
			}
			paid, arrive, done := make(chan bool), make(chan bool), make(chan bool)
			cancel := func() {
				w.ch.arriving = func(method string) {
					if method == "cancel" {
						w.ch.pay("C1")
						close(paid)
						<-arrive
					}
				}
				go func() {
					defer close(done)
					o, err := w.client.CancelTopUp(t.Context(), "C1")
					if err != nil || o.State != client.TopUpReturned {
						t.Errorf("CancelTopUp = %+v, %v; want it returned", o, err)
					}
				}()
				<-paid
			}
			if asking {
				w.ch.arriving = func(string) { cancel() }
			} else {
				cancel()
				if err := w.books.Hasten(t.Context(), "C1"); err != nil {
					t.Error(err)
				}
			}
			attend()
			close(arrive)
			<-done
			w.check(opening)
		})
	}
}

// newPair returns a world with another upstream on the same books, and with a top-up
// that is waited for, C1.
func newPair(t *testing.T) (*world, *server.Server) {
	w := newWorldOn(t, pgtest.New(t).DSN)
	w.pace = server.Pace{Call: 7 * time.Second}
	w.stop()
	w.start(false)
	if _, err := w.client.CreateTopUp(t.Context(), w.session(), "C1", 20*yuan); err != nil {
		t.Fatal(err)
	}
	return w, w.newServer()
}

// TestReversed: a cancellation is under way for longer than anybody waits for it, and what
// then goes back to the payer was credited meanwhile. People are told.
func TestReversed(t *testing.T) {
	w, other := newPair(t)
	w.ch.arriving = func(method string) {
		if method != "cancel" {
			return
		}
		w.ch.arriving = nil
		w.ch.pay("C1")
		w.pass(time.Minute)
		if err := other.Attend(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if o, err := w.client.CancelTopUp(t.Context(), "C1"); err == nil && o.State == client.TopUpReturned {
		t.Errorf("CancelTopUp = %+v, want not returned: it was credited", o)
	}
	if got := w.alarms(); len(got) != 1 || got[0] != store.AlarmOrderReversed {
		t.Errorf("alarms %q, want that it was reversed", got)
	}
	w.check(opening + 20*yuan)
}

// TestClockBack sets the clock back by a day: orders that are due in the
// future, as it seems now, are asked about all the same.
func TestClockBack(t *testing.T) {
	w := newWorld(t)
	s := w.session()
	if _, err := w.client.CreateTopUp(t.Context(), s, "K1", 20*yuan); err != nil {
		t.Fatal(err)
	}
	w.pass(-24 * time.Hour)
	w.ch.pay("K1")
	w.await("K1", client.TopUpPaid)
	w.check(opening + 20*yuan)
}

func TestNotify(t *testing.T) {
	w := newWorld(t)
	w.stop()
	w.pace.Wait = time.Hour // only the notice makes the engine ask
	w.start(true)
	if _, err := w.client.CreateTopUp(t.Context(), w.session(), "N1", 20*yuan); err != nil {
		t.Fatal(err)
	}
	send := func(no, sign string) *httptest.ResponseRecorder {
		form := url.Values{"out_trade_no": {no}, "sign": {sign}}
		r := httptest.NewRequest(http.MethodPost, "/alipay/notify", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		p := httptest.NewRecorder()
		w.notify.ServeHTTP(p, r)
		return p
	}
	if p := send("N1", "good"); p.Body.String() != "success" { // it says paid, which it is not
		t.Errorf("notice: %d %q", p.Code, p.Body)
	}
	for range 3 {
		if p := send("N1", "bad"); p.Code != http.StatusBadRequest {
			t.Errorf("forged notice: %d %q, want it refused", p.Code, p.Body)
		}
	}
	time.Sleep(20 * time.Millisecond)
	if o, err := w.client.GetTopUp(t.Context(), "N1", 0, 0); err != nil || o.State != client.TopUpWaiting {
		t.Errorf("after a notice that is not true: %+v, %v; want it waiting", o, err)
	}
	w.ch.pay("N1")
	for range 3 { // resent, as it happens
		if p := send("N1", "good"); p.Body.String() != "success" {
			t.Errorf("notice: %d %q", p.Code, p.Body)
		}
	}
	w.await("N1", client.TopUpPaid)
	if p := send("N1", "good"); p.Body.String() != "success" {
		t.Errorf("notice of what is done: %d %q", p.Code, p.Body)
	}
	if p := send("OTHER", "good"); p.Body.String() != "success" {
		t.Errorf("notice of another program's order: %d %q", p.Code, p.Body)
	}
	w.check(opening + 20*yuan)
	if n := strings.Count(w.log.String(), "notice forged"); n != 1 {
		t.Errorf("forged notices logged %d times, want once", n)
	}
	if r := httptest.NewRequest(http.MethodGet, "/alipay/notify", nil); true {
		p := httptest.NewRecorder()
		w.notify.ServeHTTP(p, r)
		if p.Code != http.StatusMethodNotAllowed {
			t.Errorf("GET: %d, want it refused", p.Code)
		}
	}
}

// TestPoison has one order that the channel never answers about ahead of many
// that are paid (failure 5 of the feature list).
func TestPoison(t *testing.T) {
	w := newWorld(t)
	w.addHolder("2026000199", "李堃", rightPIN, 0)
	s := w.session()
	const n = 40
	for i := range n {
		if _, err := w.client.CreateTopUp(t.Context(), s, fmt.Sprintf("Q%02d", i), yuan); err != nil {
			t.Fatal(err)
		}
	}
	w.ch.payAmount("Q00", 5) // never settles
	for i := range n - 1 {
		w.ch.pay(fmt.Sprintf("Q%02d", i+1))
	}
	for i := range n - 1 {
		w.await(fmt.Sprintf("Q%02d", i+1), client.TopUpPaid)
	}
	w.check(opening + (n-1)*yuan)
}

// TestLongPoll waits for an order without asking the database again and again:
// the answer comes with the change, and not when the books are looked at again. A
// busy machine may be late, but not each time.
func TestLongPoll(t *testing.T) {
	w := newWorld(t)
	order := func(no string) {
		t.Helper()
		if _, err := w.client.CreateTopUp(t.Context(), w.session(), no, 20*yuan); err != nil {
			t.Fatal(err)
		}
	}
	order("W0")
	start := time.Now()
	o, err := w.client.GetTopUp(t.Context(), "W0", client.TopUpWaiting, 200*time.Millisecond)
	if d := time.Since(start); err != nil || o.State != client.TopUpWaiting || d < 200*time.Millisecond {
		t.Errorf("a wait in vain took %v: %+v, %v", d, o, err)
	}
	const again = 2 * time.Second // when the books are looked at
	fastest := again
	for i := 1; i <= 10 && fastest >= again/2; i++ {
		no := fmt.Sprintf("W%d", i)
		order(no)
		time.AfterFunc(50*time.Millisecond, func() { w.ch.pay(no) })
		start := time.Now()
		o, err := w.client.GetTopUp(t.Context(), no, client.TopUpWaiting, 20*time.Second)
		if err != nil || o.State != client.TopUpPaid {
			t.Fatalf("of a payment it was told %+v, %v", o, err)
		}
		fastest = min(fastest, time.Since(start))
	}
	if fastest >= again/2 {
		t.Errorf("a payment was never told sooner than after %v", fastest)
	}
}

// TestStuck has a channel that has not said for an hour what an order came to:
// somebody is told.
func TestStuck(t *testing.T) {
	w := newWorld(t)
	if _, err := w.client.CreateTopUp(t.Context(), w.session(), "S1", 20*yuan); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		w.ch.breakNext(fault{method: "query"})
		w.ch.breakNext(fault{method: "cancel"})
	}
	_, err := w.books.Advance(t.Context(), "S1", store.OrderStep{To: store.OrderChecking, Tries: 19, Next: w.now()})
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if got := w.alarms(); len(got) == 1 && got[0] == store.AlarmOrderStuck {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("alarms %q, want a stuck order", w.alarms())
}

// TestWatchEnds looks for late payments for a while, and then no more.
func TestWatchEnds(t *testing.T) {
	w := newWorld(t)
	if _, err := w.client.CreateTopUp(t.Context(), w.session(), "V1", 20*yuan); err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.CancelTopUp(t.Context(), "V1"); err != nil {
		t.Fatal(err)
	}
	if o, err := w.books.Order(t.Context(), "V1"); err != nil || o.Next.IsZero() {
		t.Errorf("order = %+v, %v; want it watched", o, err)
	}
	w.pass(w.pace.Late)
	w.restart() // its nap was by the old clock
	for end := time.Now().Add(patience); time.Now().Before(end); {
		o, err := w.books.Order(t.Context(), "V1")
		if err != nil {
			t.Fatal(err)
		}
		if o.Next.IsZero() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Error("a closed order is watched for ever")
}

// TestEndIsPatient: a terminal that asks for the end of an order again and again,
// while the channel says nothing, does not make the upstream ask the channel
// more often, and does not make it cry for help early.
func TestEndIsPatient(t *testing.T) {
	w := newWorld(t)
	w.pace.Retry = time.Hour
	w.restart()
	if _, err := w.client.CreateTopUp(t.Context(), w.session(), "P1", 20*yuan); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		w.ch.breakNext(fault{method: "query", err: errCut})
		w.ch.breakNext(fault{method: "cancel", err: errCut})
	}
	for range 30 {
		o, err := w.client.CancelTopUp(t.Context(), "P1")
		if err != nil || o.State != client.TopUpChecking {
			t.Fatalf("got %+v, %v", o, err)
		}
	}
	if alarms := w.alarms(); len(alarms) > 0 {
		t.Errorf("alarms %v", alarms)
	}
}
