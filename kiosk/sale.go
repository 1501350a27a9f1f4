package kiosk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"quancun/journal"
	"quancun/kiosk/rules"
	"quancun/kiosk/tender"
	"quancun/ledger"
	"quancun/ledger/feed"
	"quancun/money"
	"quancun/pboc"
	"quancun/reader/apdu"
	"quancun/reader/purse"
	"quancun/upstream/client"
)

// What stops a sale, besides the rules of [rules.Rules] and what the upstream
// refuses. Unless it says otherwise, nothing has moved.
var (
	// ErrSaleInDoubt means that the card fell silent while it was being debited.
	// The amount stands in suspense until there is evidence: ask for the same
	// card, and call [Settler.SettleOpen].
	ErrSaleInDoubt = errors.New("kiosk: card did not confirm the sale")
	// ErrNotGenuine means that the card could not prove itself to the SAM. It says
	// that it was debited, which nobody has to believe: nothing may be handed
	// over, and the amount stands in suspense.
	ErrNotGenuine = errors.New("kiosk: card is not genuine")
	// ErrPaidBefore means that an earlier sale with this card, of which nobody knew
	// whether it was paid, has just turned out to be. It may be the one that is
	// being made again, so a person has to say.
	ErrPaidBefore = errors.New("kiosk: an earlier sale with this card has turned out to be paid")
	// ErrNoSAM means that the SAM does not do its part.
	ErrNoSAM = errors.New("kiosk: SAM does not answer")
	// ErrBusy means that the journal was written to each time the sale was about
	// to be. Try again.
	ErrBusy = errors.New("kiosk: journal is busy")
)

// Authorizer is what the upstream does for a sale: it holds the money under the
// number of the terminal's next entry.
type Authorizer interface {
	Authorize(ctx context.Context, q client.AuthorizeRequest) (client.Approval, error)
}

// Listener hears how far the upstream has the journal. A [Pusher] is one.
type Listener interface {
	Heard(theirs journal.Head, back bool)
}

// Seller sells for a card (刷卡消费), design chapter 3: the hands of the cashier's
// face, with no screen. One goroutine uses it, the one that holds the card; only
// [Seller.Outlook] is anybody's.
//
// The upstream is asked while the SAM computes, and for no longer than Budget, of
// which what was open of the card may have used a part. Without its answer the terminal
// decides alone, by the offline rules.
type Seller struct {
	Settler
	Upstream Authorizer
	Push     Listener
	Feeds    Feeds
	Terms    *Terms
	Clock    Clock
	Budget   time.Duration // that a tap may wait for the upstream, in all that it asks
	Log      *slog.Logger

	today   sync.Mutex
	day     day       // guarded by today
	waiting *attempt  // for a PIN; nil: none
	rest    *patience // that SettleOpen has left of a tap; nil: none
}

// Sale is what is sold to whom.
type Sale struct {
	// Ref names the sale for good: [NewRef]. Who sells again after [rules.ErrPIN]
	// uses the same, so that the money is held once.
	Ref      string
	Card     purse.Info // that lies on the reader
	Merchant string
	Operator string
	Amount   money.Fen
	Items    []tender.Item // see [tender.Sale]
	PIN      bool          // the holder's PIN was checked for this sale
	Alone    bool          // the upstream is known to be away: do not ask
	Settled  bool          // this tap began with [Seller.SettleOpen], which has used a part of what it may wait
}

// Sold is a sale that was made.
type Sold struct {
	Ref    string    // under which it is in the journal
	Purse  money.Fen // on the card, after it
	Entry  int64     // number of the journal entry that says so; 0: the journal failed
	Online bool      // the upstream has agreed

	// Before are earlier writes to the card that were settled first.
	Before []Settled
}

// triesMax is how often a sale is begun anew: after the upstream did not answer,
// after claims were settled, and after others wrote into the journal.
const triesMax = 6

// attempt is a sale on its way. Money is held for it under Ref and seq.
type attempt struct {
	Sale
	tries int
	told  bool // the card was asked about its open claims

	// declined is why the upstream would not have it, before the card was asked. If it is
	// silent then, this stands.
	declined error

	epoch    journal.Epoch
	seq      int64 // that the intent will have
	offer    purse.PurchaseOffer
	approval client.Approval // of the upstream, unless Alone
	held     bool            // money may be held for it
}

// errForged means that a card could not prove an earlier sale: no other is made with it.
var errForged = errors.New("kiosk: the card could not prove an earlier sale")

// errAgain means that the attempt has to begin anew, with what it has learned.
var errAgain = errors.New("kiosk: begin again")

// Sell debits the card. The outcomes are three: no error is "sold";
// [ErrSaleInDoubt] and [ErrNotGenuine] are "unknown", of the sale that Sold.Ref
// names; and after every other error nothing has moved. [rules.ErrPIN] asks for
// the holder's PIN.
func (s *Seller) Sell(ctx context.Context, card purse.Card, sale Sale) (Sold, error) {
	if err := s.Book.Room(ctx); err != nil {
		return Sold{}, fmt.Errorf("sell: %w", err)
	}
	s.patience = &patience{s.Budget}
	if sale.Settled && s.rest != nil {
		s.patience = s.rest
	}
	s.rest = nil
	defer func() { s.patience = nil }()
	before, err := s.settleBefore(ctx, card, sale.Card)
	if err != nil {
		return Sold{Before: before}, err
	}
	a, sold := attempt{Sale: sale}, Sold{}
	s.waiting = nil
	for a.tries < triesMax && (a.tries == 0 || errors.Is(err, errAgain)) {
		if sold, err = s.try(ctx, card, &a); err == nil {
			sold.Before = before
			return sold, nil
		}
		a.tries++
	}
	if errors.Is(err, errAgain) {
		err = ErrBusy
	}
	switch {
	case a.held && errors.Is(err, rules.ErrPIN):
		s.waiting = &a
	case a.held:
		s.letGo(ctx, a)
	}
	sold.Before = before
	return sold, fmt.Errorf("sell: %w", err)
}

// SettleOpen is the [Settler]'s, for no longer than a tap may wait. What it leaves of
// that is what a sale in the same tap has: see [Sale].
func (s *Seller) SettleOpen(ctx context.Context, card purse.Card, info purse.Info) ([]Settled, error) {
	s.patience = &patience{s.Budget}
	defer func() { s.rest, s.patience = s.patience, nil }()
	return s.Settler.SettleOpen(ctx, card, info)
}

// patience is how long a tap may still wait for the upstream. One goroutine at a time
// uses it.
type patience struct{ left time.Duration }

// bound returns ctx with an end when the patience is over, and done, which takes off
// what was used; or an error if there is none left. A nil patience has no end.
func (p *patience) bound(ctx context.Context) (_ context.Context, done func(), err error) {
	if p == nil {
		return ctx, func() {}, nil
	}
	if p.left <= 0 {
		return nil, nil, context.DeadlineExceeded
	}
	begun := time.Now()
	ctx, stop := context.WithTimeout(ctx, p.left)
	return ctx, func() { stop(); p.left -= time.Since(begun) }, nil
}

// settleBefore ends what is open of this card. What has to wait for a PIN or for
// the upstream holds up no sale.
func (s *Seller) settleBefore(ctx context.Context, card purse.Card, info purse.Info) ([]Settled, error) {
	ended, err := s.Settler.SettleOpen(ctx, card, info)
	switch {
	case slices.ContainsFunc(ended, Settled.Paid): // it is not asked about any more
		return ended, ErrPaidBefore
	case errors.Is(err, ErrNotGenuine):
		// Not as the error that it is: of that sale nobody knows, and this one has not begun.
		return ended, fmt.Errorf("%w: %v", errForged, err) //nolint:errorlint // see above
	case err != nil && !errors.Is(err, ErrNeedPIN) && !errors.Is(err, ErrNoAnswer):
		return ended, fmt.Errorf("%w: %w", ErrCardGone, err) // nothing of this sale has begun
	}
	return ended, nil
}

// try makes the sale, or says why not; errAgain asks for another try.
func (s *Seller) try(ctx context.Context, card purse.Card, a *attempt) (sold Sold, err error) {
	if s.patience.left <= 0 {
		a.Alone = true // as if it had not answered
	}
	if a.Alone && a.declined != nil {
		return sold, a.declined
	}
	spent, err := s.spent(ctx, card, *a)
	if err != nil {
		return sold, err
	}
	offer, err := s.init(card, a.Amount)
	if err != nil {
		return sold, err
	}
	a.offer = offer
	at := stampOf(s.Clock.Now())
	sam, err := s.prove(ctx, a, at)
	if err != nil {
		return sold, err
	}
	if claims := a.approval.Claims; len(claims) > 0 && !a.told && !a.Alone {
		a.told = true
		if !a.approval.Approved && a.approval.Reason != client.NumberPassed {
			a.declined = &client.Refusal{Reason: a.approval.Reason}
		}
		wrote, err := s.Witness(ctx, card, claims)
		if err != nil || wrote {
			return sold, errors.Join(err, errAgain)
		}
		return sold, errAgain // the card was asked, and has forgotten its offer
	}
	if err := s.decide(ctx, a, spent); err != nil {
		return sold, err
	}
	return s.write(ctx, card, a, purse.DebitPurchase{TraceNo: sam.TraceNo, At: at, MAC1: sam.MAC1})
}

// init has the card make its offer. Nothing moves.
func (s *Seller) init(card purse.Card, amount money.Fen) (purse.PurchaseOffer, error) {
	o, err := purse.InitPurchase{
		Kind: s.Profile.Purse.Kind, KeyIndex: s.Profile.Purse.PurchaseKey, Amount: amount, Terminal: s.Terminal,
	}.Send(card)
	switch {
	case errors.Is(err, apdu.NoBalance):
		return o, fmt.Errorf("%w: %w", rules.ErrPurse, err)
	case err != nil && !apdu.Answered(err):
		return o, fmt.Errorf("%w: %w", ErrCardGone, err)
	}
	return o, err
}

// prove has the SAM make MAC1 and asks the upstream meanwhile. The answer is in
// a.approval; without one the attempt goes on alone.
func (s *Seller) prove(ctx context.Context, a *attempt, at pboc.Stamp) (purse.SAMOffer, error) {
	var err error
	if a.epoch, a.seq, err = s.Book.Next(ctx); err != nil {
		return purse.SAMOffer{}, err
	}
	asked := make(chan error, 1)
	if a.Alone {
		asked <- nil
	} else {
		a.held = true // until the journal has passed the number
		go func() { asked <- s.ask(ctx, a) }()
	}
	sam, err := purse.InitSAM{
		Offer: a.offer, Amount: a.Amount, Type: s.Profile.Purse.Kind.PurchaseType(), At: at, Factor: a.Card.Factor,
	}.Send(s.SAM)
	s.begun = sam.TraceNo
	answer := <-asked
	no, behind := (*client.Refusal)(nil), (*journal.PushError)(nil)
	if errors.As(answer, &behind) {
		s.Push.Heard(behind.Head, true) // it holds nothing for a journal that it does not know
	}
	switch {
	case err != nil:
		return sam, fmt.Errorf("%w: %w", ErrNoSAM, err)
	case errors.As(answer, &no):
		a.held = false
		return sam, answer
	case answer != nil && ctx.Err() != nil:
		return sam, ctx.Err()
	case answer != nil:
		s.Log.Info("upstream did not answer a tap in time", "err", answer)
		a.Alone = true
		return sam, errAgain // the card's log counts now, and reading it ends the offer
	}
	return sam, nil
}

// ask asks the upstream, for no longer than a tap may wait.
func (s *Seller) ask(ctx context.Context, a *attempt) (err error) {
	ctx, done, err := s.patience.bound(ctx)
	if err != nil {
		return err
	}
	defer done()
	a.approval, err = s.Upstream.Authorize(ctx, client.AuthorizeRequest{
		Epoch: a.epoch, Seq: a.seq, Attempt: a.Ref,
		CardNo: a.Card.CardNo.Full(), Merchant: a.Merchant, Amount: a.Amount,
		Reading: client.Reading{Purse: pboc.Fen(a.offer.Balance), Offline: a.offer.Counter},
	})
	return err
}

// decide says whether the card may be debited: the upstream where it has
// answered, and the rules where it has not.
func (s *Seller) decide(ctx context.Context, a *attempt, spent spending) error {
	switch {
	case a.Alone, a.approval.Approved:
	case a.approval.Reason == client.NumberPassed:
		return s.passed(ctx, a)
	default:
		a.held = false // a decline leaves nothing behind
		return &client.Refusal{Reason: a.approval.Reason}
	}
	facts := rules.Sale{
		Amount: a.Amount, Purse: pboc.Fen(a.offer.Balance), PIN: a.PIN,
		Spent: max(spent.here, spent.card), Here: spent.here, HereCount: spent.count,
		Unknown: spent.unknown,
	}
	if !a.Alone {
		facts.Spent = max(facts.Spent, a.approval.SpentToday)
		return rules.NeedPIN(facts, a.approval.DailyLimit)
	}
	waiting, err := s.Book.Waiting(ctx)
	if err != nil {
		return err
	}
	now := s.Clock.Now()
	facts.ListAge = s.Feeds.Status(feed.Hotlist).Age(now)
	facts.QueueAmount, facts.QueueCount, facts.QueueHour = waiting.Amount, waiting.Count, waiting.Hour
	if waiting.Count > 0 {
		facts.QueueAge = now.Sub(waiting.Since)
	}
	_, facts.Hot = s.Feeds.Hot(feed.Card(a.Card.CardNo))
	return s.Terms.Rules().Alone(facts)
}

// passed goes on after the upstream has said that a number was passed: with the
// next one, unless the number is still the next. Then the upstream has another
// journal under this one's name, which the Pusher finds out.
func (s *Seller) passed(ctx context.Context, a *attempt) error {
	epoch, seq, err := s.Book.Next(ctx)
	if err != nil {
		return err
	}
	a.Alone = epoch == a.epoch && seq == a.seq
	return errAgain
}

// write writes the sale down, debits the card, and writes down what it said.
func (s *Seller) write(ctx context.Context, card purse.Card, a *attempt, debit purse.DebitPurchase) (Sold, error) {
	intent := journal.Entry{
		Kind: journal.SaleIntent, Ref: a.Ref, Details: tender.Details{Approved: !a.Alone, Items: a.Items}.JSON(),
		Card: a.Card.CardNo.Full(), Merchant: a.Merchant, Operator: a.Operator,
		Amount: a.Amount, Purse: &journal.Purse{
			Balance: a.offer.Balance, Counter: a.offer.Counter,
			KeyVersion: a.offer.KeyVersion, Algorithm: a.offer.Algorithm,
			TerminalNo: s.Terminal, TraceNo: debit.TraceNo, Stamp: debit.At,
		},
	}
	var err error
	if a.Alone {
		intent, err = s.Book.Append(ctx, intent)
	} else {
		intent, err = s.Book.AppendAt(ctx, intent, a.epoch, a.seq)
	}
	if err == nil || errors.Is(err, ledger.ErrBehind) {
		a.held = false // the journal has passed the number
	}
	switch {
	case errors.Is(err, ledger.ErrBehind):
		return Sold{}, errAgain // somebody else has used it, and the money is no longer held
	case err != nil:
		return Sold{}, err // the card is untouched
	}

	// From here on the card may have paid, so that nothing stops us from writing
	// down what happened.
	ctx = context.WithoutCancel(ctx)
	paid, err := debit.Send(card)
	switch {
	case purse.Certain(err):
		_, ending := s.end(ctx, intent, journal.NotWritten, word{by: statusOf(err)})
		return Sold{}, errors.Join(err, ending)
	case err != nil:
		open := errors.Join(fmt.Errorf("%w: %w", ErrSaleInDoubt, err), s.doubt(ctx, intent))
		return Sold{Ref: intent.Ref}, open
	}
	switch err := s.checkMAC2(intent, paid.MAC2); {
	case errors.Is(err, ErrNotGenuine), errors.Is(err, errNoProof):
		return Sold{Ref: intent.Ref}, errors.Join(ErrNotGenuine, err, s.doubtForged(ctx, intent, paid.TAC))
	case err != nil:
		s.Log.Error("SAM did not check MAC2; upstream will check the TAC", "ref", intent.Ref, "err", err)
	}
	// A journal that fails now leaves the intent open, which the next start
	// settles. The card has paid all the same.
	end, err := s.end(ctx, intent, journal.Written, word{paid.TAC, "response"})
	if err != nil {
		s.Log.Error("card debited, and the journal has not taken it", "ref", intent.Ref, "err", err)
	}
	return Sold{
		Ref: intent.Ref, Purse: pboc.Fen(a.offer.Balance) - a.Amount, Entry: end.Seq, Online: !a.Alone,
	}, nil
}

// letGo moves the journal past the number under which money may be held for a
// sale that was not made, by telling what the card said.
func (s *Seller) letGo(ctx context.Context, a attempt) {
	if err := s.sighting(context.WithoutCancel(ctx), a.Card.CardNo.Full(), a.offer, nil); err != nil {
		s.Log.Warn("hold stays until the next entry", "ref", a.Ref, "err", err)
	}
}

// Drop gives up the sale for which a PIN was asked, if there is one: until then
// the money may be held for it.
func (s *Seller) Drop(ctx context.Context) {
	if s.waiting != nil {
		s.letGo(ctx, *s.waiting)
		s.waiting = nil
	}
}
