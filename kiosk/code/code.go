// Package code sells for a virtual card's code (虚拟卡码), design chapter 3: what a
// phone shows is read, believed or not, authorised against the account, and
// written down.
//
// Online the upstream decides, and holds the money under the number of the next
// entry. Without its answer in time the terminal decides alone: within what the
// campus has signed for the phone, by lists that are not too old, and once. Which
// codes were taken is in the journal and nowhere else, so a start after a power
// cut knows it; neighbours on the network tell theirs.
//
// It knows no screen and no scanner, and no card.
package code

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"quancun/beijing"
	"quancun/journal"
	"quancun/kiosk/gossip"
	"quancun/kiosk/rules"
	"quancun/kiosk/tender"
	"quancun/kiosk/today"
	"quancun/ledger"
	"quancun/ledger/feed"
	"quancun/money"
	"quancun/paycode"
	"quancun/upstream/client"
)

// Book is the part of the journal that a sale reads and writes. [ledger.Book] is
// one.
type Book interface {
	Append(ctx context.Context, e journal.Entry) (journal.Entry, error)
	// AppendAt writes under a number, or returns [ledger.ErrBehind].
	AppendAt(ctx context.Context, e journal.Entry, epoch journal.Epoch, seq int64) (journal.Entry, error)
	Get(ctx context.Context, ref string) (ledger.Item, error)
	Since(ctx context.Context, from int64, n int) ([]journal.Entry, error)
	Before(ctx context.Context, since time.Time) ([]journal.Entry, error) // in older epochs
	// Next returns the position that the next entry will have.
	Next(ctx context.Context) (journal.Epoch, int64, error)
	Head(ctx context.Context) (journal.Head, error)
	Waiting(ctx context.Context) (ledger.Waiting, error)
	Room(ctx context.Context) error
}

// Authorizer is what the upstream does for a sale: it holds the money under the
// number of the terminal's next entry, and says whether a PIN is the account's.
type Authorizer interface {
	Authorize(ctx context.Context, q client.AuthorizeRequest) (client.Approval, error)
	CheckPIN(ctx context.Context, account string, pin *[pinLength]byte) error
}

// pinLength is how many ASCII digits a PIN has.
const pinLength = 6

// Listener hears how far the upstream has the journal.
type Listener interface {
	Heard(theirs journal.Head, back bool)
}

// Feeds are what the upstream has published. [feed.Feeds] is one.
type Feeds interface {
	Status(name string) feed.Status
	Content(ctx context.Context, name string) ([]byte, error)
}

// Neighbours are the terminals on the network. [gossip.Circle] is one.
type Neighbours interface {
	Tell(s gossip.Spent)
	Taken(code paycode.Use) (terminal string, taken bool)
	Sum(account string, since time.Time) money.Fen
}

// Seller sells for codes. It is safe for concurrent use: one sale is made at a time.
type Seller struct {
	Book       Book
	Upstream   Authorizer
	Push       Listener
	Feeds      Feeds
	Neighbours Neighbours // nil for none
	Rules      func() rules.Rules
	Now        func() time.Time     // as well as the upstream's time is known
	Ahead      func() time.Duration // by which the machine's clock, which dates the journal, is ahead of Now; nil for 0
	Budget     time.Duration        // that a holder may wait for the upstream
	Log        *slog.Logger

	mu    sync.Mutex // of a sale, from its beginning to its end
	keys  keyRing    // guarded by mu
	past  past       // guarded by mu
	asked scan       // for a PIN; guarded by mu
}

// Outlook says what every code would be refused for, whoever shows it. It reads of the
// journal what a sale would, so that a sale finds it read.
func (s *Seller) Outlook(ctx context.Context) (o tender.Outlook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.keys.read(ctx, s.Feeds); ctx.Err() == nil {
		o.Closed = err
	}
	// What the journal refuses to say is the Keeper's to tell.
	o.Unknown = s.readPast(ctx) == nil && s.past.gap
	return o
}

// triesMax is how often the upstream is asked when others write into the journal
// meanwhile.
const triesMax = 6

// attempt is a sale on its way.
type attempt struct {
	tender.Sale
	code  paycode.Code
	text  string
	epoch journal.Epoch
	seq   int64 // under which money is held, unless Alone

	approval client.Approval
}

// Sell takes a code. No error is "sold"; [tender.ErrUnknown] is "unknown", and the
// program has to be started again to know; after every other error nothing has
// moved. [paycode.ErrHalf] asks for another scan, [tender.ErrPIN] for the holder's
// PIN. The same Ref with the same code and amount is the same sale.
//
// Where the upstream has agreed and the sale is given up for a PIN that does not
// come, the money stays held until the next entry of the journal, whatever that
// is.
func (s *Seller) Sell(ctx context.Context, text string, sale tender.Sale) (tender.Sold, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sold, err := s.sell(ctx, text, sale)
	if err != nil {
		return tender.Sold{}, fmt.Errorf("sell for a code: %w", err)
	}
	return sold, nil
}

func (s *Seller) sell(ctx context.Context, text string, sale tender.Sale) (tender.Sold, error) {
	if err := s.Book.Room(ctx); err != nil {
		return tender.Sold{}, err
	}
	a := &attempt{Sale: sale, text: text}
	var err error
	if a.code, err = paycode.Parse(text); err != nil {
		return tender.Sold{}, named(err)
	}
	if done, err := s.again(ctx, a); err != nil || done.Entry > 0 {
		return done, err
	}
	keys, err := s.keys.read(ctx, s.Feeds)
	if err != nil {
		return tender.Sold{}, err
	}
	if err := keys.Check(a.code, paycode.Pay, s.seen(a), s.Rules().CodeLife.Duration()); err != nil {
		return tender.Sold{}, named(err)
	}
	if err := s.unspent(ctx, a.code.Use()); err != nil {
		return tender.Sold{}, err
	}
	for range triesMax {
		err := s.decide(ctx, a)
		if errors.Is(err, tender.ErrPIN) {
			s.asked = scan{sale.Ref, text, s.seen(a)}
		}
		var sold tender.Sold
		if err == nil {
			sold, err = s.write(ctx, a)
		}
		if !errors.Is(err, errAgain) {
			return sold, err
		}
	}
	return tender.Sold{}, ErrBusy
}

// scan is a code that waits for its holder's PIN. It is as old as it was when it
// was scanned.
type scan struct {
	ref, text string
	at        time.Time
}

// CheckPIN asks the upstream about the PIN that the sale of a reference waits for,
// after [tender.ErrPIN]. Its refusals are those of [client.Client.CheckPIN]; any
// other error is no answer. The caller wipes pin.
func (s *Seller) CheckPIN(ctx context.Context, ref string, pin *[pinLength]byte) error {
	s.mu.Lock()
	asked := s.asked
	s.mu.Unlock()
	if asked.ref != ref {
		return fmt.Errorf("code: internal error: sale %s waits for no PIN", ref)
	}
	c, err := paycode.Parse(asked.text)
	if err != nil {
		return fmt.Errorf("check PIN: %w", err)
	}
	return s.Upstream.CheckPIN(ctx, c.Account, pin)
}

// pinMax is how long a code may wait for a PIN.
const pinMax = 2 * time.Minute

// seen returns when the code of an attempt was scanned: now, unless it waits for
// its holder's PIN.
func (s *Seller) seen(a *attempt) time.Time {
	now := s.Now()
	if s.asked.ref == a.Ref && s.asked.text == a.text && now.Sub(s.asked.at).Abs() < pinMax {
		return s.asked.at
	}
	return now
}

// errAgain means that the upstream has to be asked anew, under another number.
var errAgain = errors.New("code: ask again")

// stillNext returns errAgain if somebody has taken the number that the upstream was
// asked about.
func (s *Seller) stillNext(ctx context.Context, a *attempt) error {
	epoch, seq, err := s.Book.Next(ctx)
	if err == nil && (epoch != a.epoch || seq != a.seq) {
		return errAgain
	}
	return err
}

// ErrBusy means that the journal was written to each time the sale was about to
// be. Try again.
var ErrBusy = errors.New("code: journal is busy")

// again returns the sale if it is in the journal already: whoever asks did not get
// the answer.
func (s *Seller) again(ctx context.Context, a *attempt) (tender.Sold, error) {
	item, err := s.Book.Get(ctx, a.Ref)
	if errors.Is(err, ledger.ErrNotFound) {
		return tender.Sold{}, nil
	}
	if err != nil {
		return tender.Sold{}, err
	}
	var taken paycode.Taken
	e := item.End
	if e.Kind != journal.CodeSale || json.Unmarshal(e.Details, &taken) != nil || taken.Code != a.text ||
		e.Amount != a.Amount || e.Merchant != a.Merchant {
		return tender.Sold{}, fmt.Errorf("%w: the journal has another sale under %s", ledger.ErrConflict, a.Ref)
	}
	return tender.Sold{Ref: e.Ref, Entry: e.Seq, Online: taken.Approved}, nil
}

// unspent returns [tender.ErrSpent] for a code that was taken before, here or next
// door.
func (s *Seller) unspent(ctx context.Context, code paycode.Use) error {
	if err := s.readPast(ctx); err != nil {
		return err
	}
	if at, taken := s.past.codes[code]; taken {
		return fmt.Errorf("%w: here, as entry %d", tender.ErrSpent, at)
	}
	if s.Neighbours == nil {
		return nil
	}
	if terminal, taken := s.Neighbours.Taken(code); taken {
		return fmt.Errorf("%w: at %s", tender.ErrSpent, terminal)
	}
	return nil
}

// decide says whether the code may be taken: the upstream where it answers, and
// the rules where it does not.
func (s *Seller) decide(ctx context.Context, a *attempt) error {
	if !a.Alone {
		if err := s.ask(ctx, a); err != nil {
			return err
		}
	}
	if a.Alone {
		return s.alone(ctx, a)
	}
	r := a.approval
	switch {
	case r.Approved:
		if rules.NeedPIN(rules.Sale{Amount: a.Amount, PIN: a.PIN, Spent: r.SpentToday}, r.DailyLimit) != nil {
			return tender.ErrPIN
		}
		return nil
	case r.Reason == client.NotEnough && r.Kept > 0:
		return &tender.KeptError{Kept: r.Kept}
	case r.Reason == client.NotEnough:
		return tender.ErrNotEnough
	case r.Reason == client.ChallengeSpent:
		return fmt.Errorf("%w: at another terminal", tender.ErrSpent)
	case r.Reason == client.CardIsHot:
		return tender.ErrRevoked
	}
	return fmt.Errorf("%w: %w", tender.ErrRefused, &client.Refusal{Reason: r.Reason})
}

// ask asks the upstream, for no longer than Budget. Where it has not answered the
// attempt goes on alone.
func (s *Seller) ask(ctx context.Context, a *attempt) (err error) {
	if a.epoch, a.seq, err = s.Book.Next(ctx); err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, s.Budget)
	defer cancel()
	a.approval, err = s.Upstream.Authorize(within, client.AuthorizeRequest{
		Epoch: a.epoch, Seq: a.seq, Attempt: a.Ref, Account: a.code.Account, Merchant: a.Merchant, Amount: a.Amount,
		Virtual: true, Code: a.text,
	})
	no, behind := (*client.Refusal)(nil), (*journal.PushError)(nil)
	switch {
	case errors.As(err, &no):
		return fmt.Errorf("%w: %w", tender.ErrRefused, err)
	case errors.As(err, &behind):
		s.Push.Heard(behind.Head, true) // it holds nothing for a journal that it does not know
		a.Alone = true
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		s.Log.Info("upstream did not answer for a code in time", "err", err)
		a.Alone = true
	case a.approval.Reason == client.NumberPassed:
		// Either somebody has just written, or the upstream has another journal under
		// this one's name, which the Pusher finds out.
		err := s.stillNext(ctx, a)
		a.Alone = err == nil
		return err
	}
	return nil
}

// day returns the business day that it is.
func (s *Seller) day() today.Day {
	var ahead time.Duration
	if s.Ahead != nil {
		ahead = s.Ahead()
	}
	return today.DayOf(s.Now(), ahead)
}

// readPast brings the past up to the journal's head.
func (s *Seller) readPast(ctx context.Context) error {
	s.past.log = s.Log
	return s.past.read.Read(ctx, s.Book, s.day(), &s.past)
}

// alone decides by the rules.
func (s *Seller) alone(ctx context.Context, a *attempt) error {
	waiting, err := s.Book.Waiting(ctx)
	if err != nil {
		return err
	}
	now := s.Now()
	here := s.past.spent(a.code.Account, s.day())
	facts := rules.Sale{
		Amount: a.Amount, PIN: a.PIN, ListAge: s.Feeds.Status(feed.Keys).Age(now),
		Spent: here.all, Here: here.all, HereCount: here.count, Unknown: s.past.gap,
		QueueAmount: waiting.Amount, QueueCount: waiting.Count, QueueHour: waiting.Hour,
	}
	if waiting.Count > 0 {
		facts.QueueAge = now.Sub(waiting.Since)
	}
	allowance := rules.Allowance{CodeMax: a.code.CodeMax, DayMax: a.code.DayMax, Spent: here.alone}
	if s.Neighbours != nil {
		there := s.Neighbours.Sum(a.code.Account, beijing.Midnight(now))
		facts.Spent += there
		allowance.Spent += there
	}
	switch err := s.Rules().AloneCode(facts, allowance); {
	case errors.Is(err, rules.ErrKeys), errors.Is(err, rules.ErrQueue), errors.Is(err, rules.ErrHour),
		errors.Is(err, rules.ErrPast):
		return fmt.Errorf("%w: %w", tender.ErrOffline, err)
	case err != nil:
		return fmt.Errorf("%w: %w", tender.ErrAllowance, err)
	}
	return nil
}

// said is what the entry of a sale says besides.
type said struct {
	paycode.Taken
	Items []tender.Item `json:"items,omitempty"`
}

// write writes the sale down: from then on it is one. It returns errAgain if somebody
// has taken the number under which the money is held, which let it go.
func (s *Seller) write(ctx context.Context, a *attempt) (tender.Sold, error) {
	details, err := json.Marshal(said{paycode.Taken{Code: a.text, Approved: !a.Alone}, a.Items})
	if err != nil {
		return tender.Sold{}, err
	}
	e := journal.Entry{
		Kind: journal.CodeSale, Ref: a.Ref, Account: a.code.Account, Merchant: a.Merchant, Operator: a.Operator,
		Amount: a.Amount, Details: details,
	}
	if a.Alone {
		e, err = s.Book.Append(ctx, e)
	} else {
		e, err = s.Book.AppendAt(ctx, e, a.epoch, a.seq)
	}
	switch {
	case errors.Is(err, ledger.ErrBehind):
		return tender.Sold{}, errAgain
	case errors.Is(err, ledger.ErrFailed):
		return tender.Sold{}, fmt.Errorf("%w: %w", tender.ErrUnknown, err)
	case err != nil:
		return tender.Sold{}, err // nothing was written
	}
	if s.Neighbours != nil {
		s.Neighbours.Tell(gossip.Spent{
			Code: a.code.Use(), Account: a.code.Account, Amount: a.Amount, Alone: a.Alone,
			At: s.Now().UTC().Truncate(time.Second),
		})
	}
	sold := tender.Sold{Ref: a.Ref, Entry: e.Seq, Online: !a.Alone}
	if sold.Online {
		sold.Balance, sold.Known, sold.Holder = a.approval.Available-a.Amount, true, a.approval.Holder
	}
	return sold, nil
}

// names are the tills' words for what is wrong with a code.
var names = map[error]error{
	paycode.ErrMalformed: tender.ErrInvalid,
	paycode.ErrHalf:      tender.ErrInvalid,
	paycode.ErrForged:    tender.ErrInvalid,
	paycode.ErrIssuer:    tender.ErrInvalid,
	paycode.ErrPurpose:   tender.ErrForeign,
	paycode.ErrSchool:    tender.ErrForeign,
	paycode.ErrRevoked:   tender.ErrRevoked,
	paycode.ErrExpired:   tender.ErrExpired,
	paycode.ErrStale:     tender.ErrExpired,
	paycode.ErrEarly:     tender.ErrEarly,
}

// named returns an error of a code that is also the tills' word for it.
func named(err error) error {
	for of, is := range names {
		if errors.Is(err, of) {
			return fmt.Errorf("%w: %w", is, err)
		}
	}
	return err
}
