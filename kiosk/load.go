package kiosk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"quancun/journal"
	"quancun/money"
	"quancun/reader/apdu"
	"quancun/reader/purse"
	"quancun/upstream/client"
)

// What stops a load. Whatever it is, the holder's money is on the account.
var (
	// ErrInDoubt means that the card fell silent while it was being written.
	// The intent stays open until somebody has asked the card, or upstream has
	// seen its counter.
	ErrInDoubt = errors.New("kiosk: card did not confirm the load")
	// ErrCardGone means that the card fell silent before it was written.
	ErrCardGone = errors.New("kiosk: card is away; it was not written")
	// ErrNeedPIN means that the card wants its PIN again.
	ErrNeedPIN = errors.New("kiosk: card wants its PIN")
	// ErrNoAnswer means that the upstream fell silent before the card was
	// written.
	ErrNoAnswer = errors.New("kiosk: upstream did not answer")
)

// Loader brings a card's purse level with its account, upwards: a load (圈存),
// design chapter 3. It moves no money between accounts, it moves the mirror.
type Loader struct{ Settler }

// LoadRequest is whose card is to be brought level.
type LoadRequest struct {
	Session client.Session
	Card    purse.Info
	OrderNo string // the top-up that made it necessary, if any
}

// LoadResult is a load that has happened, or was in doubt and turned out to have,
// or the news that none was needed.
type LoadResult struct {
	Amount money.Fen // 0: the card was level already
	Purse  money.Fen // after it
	Entry  int64     // number of the journal entry that says so; 0: the journal failed
	Ref    string    // under which it is in the journal
}

// Load writes the purse up by what the account is ahead.
//
// The intent is durable in the journal before the card can be written, and is
// ended only by the card's own word. So whatever fails in between, from a
// pulled card to a power cut, leaves an open intent behind and never a wrong
// balance. tell is called before each stage. With an error it returns what was in doubt
// and has turned out to have been made before that.
func (l *Loader) Load(
	ctx context.Context, card purse.Card, r LoadRequest, tell func(LoadStage, money.Fen),
) (LoadResult, error) {
	doubts, err := l.Book.OpenFor(ctx, r.Card.CardNo.Full())
	if err != nil {
		return LoadResult{}, fmt.Errorf("load: %w", err)
	}
	if _, err := l.SettleOpen(ctx, card, r.Card); err != nil {
		return LoadResult{}, err
	}
	done, err := l.loadPlanned(ctx, card, r, tell)
	if no := (*client.Refusal)(nil); errors.As(err, &no) && no.Reason == client.NothingToLoad {
		// The card's counter has just taught upstream of a load that it did not
		// know the end of, and the plan was made without it. Now it can be settled.
		if _, err := l.SettleOpen(ctx, card, r.Card); err != nil {
			return LoadResult{}, err
		}
		done, err = l.loadPlanned(ctx, card, r, tell)
	}
	if done.Amount == 0 {
		done.Purse = r.Card.Balance
		done = l.loadedBefore(ctx, doubts, done)
	}
	return done, err
}

// loadedBefore returns the last of the loads in doubt that has been made after
// all, by which the card is level: its holder has not been told. Without one it
// returns none, which says that the card was level already. The journal is asked,
// because the Keeper may have been the first to hear.
func (l *Loader) loadedBefore(ctx context.Context, doubts []journal.Entry, none LoadResult) LoadResult {
	last := none
	for _, intent := range doubts {
		item, err := l.Book.Get(ctx, intent.Ref)
		if err == nil && intent.Kind == journal.LoadIntent && item.End.Outcome.Happened() {
			last = LoadResult{intent.Amount, none.Purse, item.End.Seq, intent.Ref}
		}
	}
	return last
}

func (l *Loader) loadPlanned(
	ctx context.Context, card purse.Card, r LoadRequest, tell func(LoadStage, money.Fen),
) (LoadResult, error) {
	tell(LoadAsking, 0)
	plan, err := l.Issuer.PlanLoad(ctx, r.Session, r.Card.Balance)
	if err != nil {
		return LoadResult{}, fmt.Errorf("load: %w", unanswered(err)) // nothing has moved
	}
	if plan.Amount == 0 {
		return LoadResult{Purse: r.Card.Balance}, nil
	}
	tell(LoadProving, plan.Amount)
	intent, credit, err := l.prepare(ctx, card, r, plan.Amount)
	if err != nil {
		return LoadResult{}, fmt.Errorf("load: %w", err) // the card is still untouched
	}
	tell(LoadWriting, plan.Amount)

	// From here on the card may hold the money, so that a person who walks
	// away no longer stops us from writing down what happened.
	ctx = context.WithoutCancel(ctx)
	tac, err := credit.Send(card)
	switch {
	case err == nil:
		// A journal that fails now leaves the intent open, which the next start
		// settles. The card has the money all the same, and its holder is told so.
		end, _ := l.end(ctx, intent, journal.Written, word{tac, "response"})
		tell(LoadFinished, plan.Amount)
		return LoadResult{plan.Amount, r.Card.Balance + plan.Amount, end.Seq, intent.Ref}, nil
	case purse.Certain(err):
		_, ending := l.end(ctx, intent, journal.NotWritten, word{by: statusOf(err)})
		return LoadResult{}, errors.Join(fmt.Errorf("load: %w", err), ending)
	default:
		return LoadResult{}, errors.Join(fmt.Errorf("%w: %w", ErrInDoubt, err), l.doubt(ctx, intent))
	}
}

// prepare has card and upstream prove themselves to each other, and writes the
// intent down. When it returns, one command is left to be sent.
func (l *Loader) prepare(ctx context.Context, card purse.Card, r LoadRequest, amount money.Fen) (
	intent journal.Entry, credit purse.CreditLoad, err error,
) {
	offer, err := purse.InitLoad{
		Kind: l.Profile.Purse.Kind, KeyIndex: l.Profile.Purse.LoadKey, Amount: amount, Terminal: l.Terminal,
	}.Send(card)
	switch {
	case errors.Is(err, apdu.NotAllowed):
		return intent, credit, ErrNeedPIN
	case err != nil && !apdu.Answered(err) && !errors.Is(err, purse.ErrZeroMAC):
		return intent, credit, fmt.Errorf("%w: %w", ErrCardGone, err)
	case err != nil:
		return intent, credit, err
	}
	loadID := NewRef()
	auth, err := l.Issuer.AuthorizeLoad(ctx, client.LoadRequest{
		LoadID: loadID, CardNo: r.Card.CardNo.Full(), Amount: amount, Offer: client.LoadOffer(offer),
		OrderNo: r.OrderNo, Factor: r.Card.Factor,
	})
	if err != nil {
		return intent, credit, unanswered(err)
	}
	intent, err = l.Book.Append(ctx, journal.Entry{
		Kind: journal.LoadIntent, Ref: loadID, Card: r.Card.CardNo.Full(), Amount: amount,
		Purse: &journal.Purse{
			Balance: offer.Balance, Counter: offer.Counter, KeyVersion: offer.KeyVersion, Algorithm: offer.Algorithm,
			TerminalNo: l.Terminal, Stamp: auth.At,
		},
		Details: orderDetails(r.OrderNo),
	})
	return intent, purse.CreditLoad{At: auth.At, MAC2: auth.MAC2}, err
}

// orderDetails is what the journal keeps of the order that a load carries out.
func orderDetails(no string) json.RawMessage {
	if no == "" {
		return nil
	}
	return details(struct {
		Order string `json:"order"`
	}{no})
}
