package lost_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/pin"
	"quancun/kiosk/request"
	"quancun/kiosk/service"
	"quancun/kiosk/service/lost"
	"quancun/kiosk/tender"
	"quancun/ledger"
	"quancun/money"
	wire "quancun/upstream/client/lost"
	"quancun/upstream/staff/stafftest"
	"quancun/upstream/store"
)

const (
	number  = "2026000101"
	account = store.Account("holder/1001")
	card    = "00002026000100010001"
	right   = "271828"
	falsely = "000000"
)

// quick is a kiosk at which nobody is kept waiting.
var quick = lost.Pace{Try: 2 * time.Second, Tell: 50 * time.Millisecond, Look: 10 * time.Millisecond}

// once asks once, and then calls it unknown.
var once = lost.Pace{Try: 400 * time.Millisecond, Tell: 10 * time.Millisecond, Look: 10 * time.Second}

// world is a kiosk with its journal and its upstream, over TLS, at which there is a
// holder who has lost a card with 30 yuan on it.
type world struct {
	*stafftest.World
	t      *testing.T
	book   *ledger.Book
	keeper *request.Keeper
	desk   *lost.Desk
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{World: stafftest.New(t, filepath.Join(t.TempDir(), "books.db")), t: t}
	w.ok(w.Books.AddHolder(t.Context(), store.Holder{Account: account, Name: "张三丰", Number: number},
		w.HolderPIN(account, right), 50*money.Yuan))
	w.ok(w.Books.AddCard(t.Context(), store.Card{
		No: card, Account: account, Factor: [8]byte{9}, UID: "01020304", Status: store.CardActive, Mirror: 30 * money.Yuan,
	}))
	var err error
	w.book, err = ledger.Open(t.Context(), filepath.Join(t.TempDir(), "journal.db"), ledger.Options{Terminal: "kiosk1"})
	w.ok(err)
	t.Cleanup(func() { w.ok(w.book.Close()) })
	hand, quiet := new(kiosk.InHand), slog.New(slog.DiscardHandler)
	w.desk = &lost.Desk{
		Upstream: wire.New(w.Client("kiosk1")), Pace: quick,
		Requests: &request.Desk{Book: w.book, InHand: hand, Log: quiet},
	}
	w.keeper = &request.Keeper{Book: w.book, InHand: hand, Log: quiet, Asks: map[string]request.Ask{
		journal.Loss: w.desk.Ask, lost.Found: w.desk.AskFound,
	}}
	w.hears("kiosk1", 0)
	return w
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// hears has a terminal tell that it has a version of the hotlist.
func (w *world) hears(id string, version uint64) {
	w.t.Helper()
	w.ok(w.Books.Hear(w.t.Context(), id, store.Heard{Feeds: map[string]uint64{store.FeedHotlist: version}}))
}

func (w *world) stopped() bool {
	w.t.Helper()
	c, err := w.Books.Card(w.t.Context(), card)
	w.ok(err)
	return c.Status == store.CardHot
}

// entries are the journal's requests, as "lost", "done" and so on.
func (w *world) entries() string {
	w.t.Helper()
	all, err := w.book.Since(w.t.Context(), 1, 100)
	w.ok(err)
	var words []string
	for _, e := range all {
		if e.Kind == journal.RequestEnd {
			words = append(words, e.Outcome.String())
		} else if r, err := e.Request(); err == nil {
			words = append(words, r.Service)
		}
		if body, err := e.Body(); err == nil && (strings.Contains(string(body), number) || strings.Contains(string(body), right)) {
			w.t.Errorf("entry %d says what was typed", e.Seq)
		}
	}
	return strings.Join(words, ", ")
}

func (w *world) journalled(want string) {
	w.t.Helper()
	if got := w.entries(); got != want {
		w.t.Errorf("journal has %q, want %q", got, want)
	}
}

// visit has somebody answer the service's questions, with the PINs one after the other,
// and go away at a question of a name.
func (w *world) visit(leave dialog.Word, pins ...string) dialog.End {
	w.t.Helper()
	c := dialog.Begin(w.t.Context(), kiosk.NewRef(), func(ctx context.Context, t *dialog.Talk) (dialog.Report, error) {
		return w.desk.Service().Run(ctx, &service.Visit{Talk: t})
	})
	for {
		select {
		case e := <-c.Ended():
			return e
		case q := <-c.Asks():
			a := dialog.Answer{Left: q.Name == leave}
			switch q.Kind {
			case dialog.Working:
				continue
			case dialog.AskNumber:
				a.Text = number
			case dialog.AskPIN:
				a.PIN = new(pin.PIN)
				for _, digit := range []byte(pins[0]) {
					a.PIN.Add(digit)
				}
				pins = pins[1:]
			}
			c.Answer(a)
		}
	}
}

func fact(r dialog.Report, name dialog.Word) dialog.Fact {
	for _, f := range r.Facts {
		if f.Name == name {
			return f
		}
	}
	return dialog.Fact{}
}

func why(err error) dialog.Word {
	if no := (*dialog.Refusal)(nil); errors.As(err, &no) {
		return no.Why
	}
	return ""
}

func TestReport(t *testing.T) {
	w := newWorld(t)
	w.Client("till1")
	w.hears("till1", 0) // and has no network from now on
	go func() {
		for !w.stopped() && t.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
		w.hears("kiosk1", 1)
	}()
	e := w.visit("", right)
	if e.Err != nil || e.Report.Title != "lost.done" || fact(e.Report, "lost.fact.name").Text != "张*丰" ||
		fact(e.Report, "lost.fact.know").Text != "1 / 2" || fact(e.Report, "lost.fact.risk").Amount != 30*money.Yuan ||
		time.Until(fact(e.Report, "lost.fact.free").At) < 23*time.Hour {
		t.Errorf("end = %+v", e)
	}
	w.journalled("lost, done")
	time.AfterFunc(50*time.Millisecond, func() { w.hears("till1", 1) })
	r, err := e.Report.Follow(t.Context()) // while the page stands
	if err != nil || fact(r, "lost.fact.know").Word != "lost.all.know" || r.Follow != nil {
		t.Errorf("a moment later: %+v, %v", r, err)
	}
	e = w.visit("", right)
	if e.Err != nil || e.Report.Title != "lost.already" || fact(e.Report, "lost.fact.know").Word != "lost.all.know" ||
		fact(e.Report, "lost.fact.risk").Amount != 0 || fact(e.Report, "lost.fact.free").Word != "lost.from.now" {
		t.Errorf("again: end = %+v", e)
	}
}

// TestWrong: whoever is wrong is asked again, and in the end told to come tomorrow.
func TestWrong(t *testing.T) {
	w := newWorld(t)
	e := w.visit("", falsely, falsely, right)
	if e.Err != nil || !w.stopped() {
		t.Errorf("end = %+v, stopped %t", e, w.stopped())
	}
	w.journalled("lost, not done, lost, not done, lost, done")
	e = w.visit("", falsely, falsely, falsely, falsely, falsely, right)
	if why(e.Err) != "lost.too.often" {
		t.Errorf("five times wrong: %v", e.Err)
	}
}

// TestLeft: who goes away at a question has done nothing.
func TestLeft(t *testing.T) {
	w := newWorld(t)
	for _, q := range []dialog.Word{"lost.sure", "lost.number", "lost.pin"} {
		if e := w.visit(q, right); !errors.Is(e.Err, dialog.ErrLeft) {
			t.Errorf("left at %s: %v", q, e.Err)
		}
	}
	w.journalled("")
	if w.stopped() {
		t.Error("card was stopped")
	}
}

// TestNoCard: who has only a phone has no card to stop.
func TestNoCard(t *testing.T) {
	w := newWorld(t)
	w.ok(w.Books.SetCardStatus(t.Context(), card, store.CardRetired))
	if e := w.visit("", right); why(e.Err) != "lost.no.card" {
		t.Errorf("end = %v", e.Err)
	}
	w.journalled("lost, not done")
}

// TestAnswerLost: a report whose answer is lost is sent again, and is one report.
func TestAnswerLost(t *testing.T) {
	for _, after := range []bool{false, true} {
		w := newWorld(t)
		w.Lose("ReportLoss", after)
		e := w.visit("", right)
		if e.Err != nil || e.Report.Title != "lost.done" || !w.stopped() {
			t.Errorf("after %t: end = %+v, stopped %t", after, e, w.stopped())
		}
		w.journalled("lost, done")
	}
}

// TestUnknown: while nobody knows, it is being checked; then the page says what came of
// it, and so does the journal.
func TestUnknown(t *testing.T) {
	for _, after := range []bool{false, true} {
		w := newWorld(t)
		w.desk.Pace = once
		w.Lose("ReportLoss", after)
		e := w.visit("", right)
		if !errors.Is(e.Err, tender.ErrUnknown) || e.Report.Follow == nil || w.stopped() != after {
			t.Fatalf("after %t: end = %+v, stopped %t", after, e, w.stopped())
		}
		w.journalled("lost")
		r, err := e.Report.Follow(t.Context())
		if after && (err != nil || r.Title != "lost.done") || !after && why(err) != "lost.not.done" {
			t.Errorf("after %t: it came to %+v, %v", after, r, err)
		}
		w.keeper.Round(t.Context())
		w.journalled(map[bool]string{false: "lost, not done", true: "lost, done"}[after])
	}
}

// TestAtTheDoor: the answer to a report is lost, and then the terminal is not let in: that
// is no word about the report, which is being checked.
func TestAtTheDoor(t *testing.T) {
	w := newWorld(t)
	w.Lose("ReportLoss", true)
	w.desk.Upstream = &shutting{Upstream: w.desk.Upstream, w: w}
	e := w.visit("", right)
	if how, _, _ := kiosk.HowEnded(e.Err); how != dialog.Unknown || !w.stopped() {
		t.Errorf("end = %+v, stopped %t", e, w.stopped())
	}
	w.journalled("lost")
	ctx, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer stop()
	r, err := e.Report.Follow(ctx) // while the page stands: it goes on saying so
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it came to %+v, %v", r, err)
	}
}

// shutting is an upstream that shuts the terminal out once an answer was lost.
type shutting struct {
	lost.Upstream
	w    *world
	shut bool
}

func (s *shutting) Report(ctx context.Context, ref, number string, pin *[6]byte) (wire.Loss, error) {
	l, err := s.Upstream.Report(ctx, ref, number, pin)
	if err == nil || s.shut {
		return l, err
	}
	s.shut = true
	return l, errors.Join(err, s.w.Books.RevokeTerminal(context.WithoutCancel(ctx), "kiosk1"))
}

// TestAway: without an upstream nothing was sent, and that is known.
func TestAway(t *testing.T) {
	w := newWorld(t)
	w.desk.Pace = once
	w.Lose("PrepareLoss", false)
	e := w.visit("", right)
	if how, code, why := kiosk.HowEnded(e.Err); how != dialog.Refused || code != kiosk.CodeOffline ||
		why != "lost.offline" || w.stopped() {
		t.Errorf("end = %v, %d, stopped %t", e.Err, code, w.stopped())
	}
	w.journalled("lost, not done")
}

// TestKilled: a kiosk that dies between its steps ends what it has begun at its next
// start, and what it had not sent is never done.
func TestKilled(t *testing.T) {
	w := newWorld(t)
	for _, sent := range []bool{false, true} {
		ref := kiosk.NewRef()
		_, err := w.book.Append(t.Context(), journal.Entry{
			Kind: journal.RequestIntent, Ref: ref, Details: []byte(`{"service":"lost"}`),
		})
		w.ok(err)
		if sent {
			_, err := w.desk.Upstream.Report(t.Context(), ref, number, (*[6]byte)([]byte(right)))
			w.ok(err)
		}
		w.Lose("EndLoss", true)
		w.keeper.Round(t.Context()) // the answer is lost, too
		w.keeper.Round(t.Context())
		if w.stopped() != sent {
			t.Errorf("sent %t, stopped %t", sent, w.stopped())
		}
	}
	w.journalled("lost, not done, lost, done")
}

// TestFound: a lost card on the reader is told of, once an hour, whatever fails.
func TestFound(t *testing.T) {
	w := newWorld(t)
	if err := w.desk.Found(t.Context(), card); err == nil {
		t.Error("a card that is not lost was told of")
	}
	w.ok(w.Books.SetCardStatus(t.Context(), card, store.CardHot))
	w.Lose("ReportFound", false)
	for range 2 {
		w.ok(w.desk.Found(t.Context(), card))
	}
	w.journalled("found, not done, found")
	w.keeper.Round(t.Context())
	w.journalled("found, not done, found, done")
	e := w.visit("", right)
	if e.Err != nil || fact(e.Report, "lost.fact.found").Text != "kiosk1" || e.Report.Next != "lost.next.found" {
		t.Errorf("its owner is told %+v", e)
	}
	w.desk.Now = func() time.Time { return time.Now().Add(time.Hour) }
	w.ok(w.desk.Found(t.Context(), card))
	w.journalled("found, not done, found, done, lost, done, found, done")
}
