package kiosk

import (
	"context"
	"time"

	"quancun/journal"
	"quancun/ledger"
	"quancun/ledger/feed"
	"quancun/ledger/push"
	"quancun/money"
	"quancun/reader/purse"
	"quancun/upstream/client"
)

// Gate is what the upstream does for a sign-in. A *[client.Refusal] is
// "refused"; any other error is "unknown", here and in all of this file.
type Gate interface {
	LookUpCard(ctx context.Context, cardNo string) (client.Card, error)
	SignIn(ctx context.Context, cardNo string, challenge []byte, pin *[PINLength]byte) (
		client.Session, client.Account, error)
}

// Accounts is what the upstream tells of an account.
type Accounts interface {
	Account(ctx context.Context, s client.Session) (client.Account, error)
}

// TopUps is what the upstream does for an order. The order's number is the
// terminal's and is on its disk before it is sent.
type TopUps interface {
	CreateTopUp(ctx context.Context, s client.Session, orderNo string, amount money.Fen) (client.TopUp, error)
	GetTopUp(ctx context.Context, orderNo string, known client.TopUpState, wait time.Duration) (client.TopUp, error)
	CancelTopUp(ctx context.Context, orderNo string) (client.TopUp, error)
}

// Issuer is what the upstream does for a load: it checks the card's MAC1,
// answers with MAC2, and takes the TAC.
type Issuer interface {
	PlanLoad(ctx context.Context, s client.Session, purse money.Fen) (client.Plan, error)
	AuthorizeLoad(ctx context.Context, l client.LoadRequest) (client.Authorization, error)
	ReportLoad(ctx context.Context, l client.LoadReport) (client.LoadStatus, error)
}

// Claims is what the upstream knows of writes to cards whose outcome nobody
// knows.
type Claims interface {
	Claims(ctx context.Context, cardNo string) ([]journal.Claim, error)
	Settlements(ctx context.Context, refs []string) (map[string]journal.Outcome, error)
}

// Upstream is all of it. [client.Client] is one.
type Upstream interface {
	Gate
	Accounts
	TopUps
	Issuer
	Claims
	Hello(ctx context.Context, h client.Hello) (client.Welcome, error)
}

// Book is the part of the journal that a flow writes: an intent before the
// act, its end after; and that it reads. [ledger.Book] is one.
type Book interface {
	Append(ctx context.Context, e journal.Entry) (journal.Entry, error)
	// AppendAt writes under a number, or returns [ledger.ErrBehind].
	AppendAt(ctx context.Context, e journal.Entry, epoch journal.Epoch, seq int64) (journal.Entry, error)
	Get(ctx context.Context, ref string) (ledger.Item, error)
	OpenFor(ctx context.Context, card string) ([]journal.Entry, error)
	Since(ctx context.Context, from int64, n int) ([]journal.Entry, error)
	Before(ctx context.Context, since time.Time) ([]journal.Entry, error) // in older epochs
	// Next returns the position that the next entry will have.
	Next(ctx context.Context) (journal.Epoch, int64, error)
	Head(ctx context.Context) (journal.Head, error)
	Waiting(ctx context.Context) (ledger.Waiting, error)
	// Receipt returns the signed receipt for what came of a reference.
	Receipt(ctx context.Context, ref string, c journal.Certificate) (journal.Receipt, error)
	Room(ctx context.Context) error
}

// Outbox is what the [Keeper] works off besides.
type Outbox interface {
	Book
	OpenItems(ctx context.Context) ([]journal.Entry, error)
	Synced(at time.Time)
}

// Pusher carries the journal upstream. [push.Pusher] is one.
type Pusher interface {
	Heard(theirs journal.Head, back bool)
	Health() push.Health
}

// Puller keeps the feeds new. [feed.Puller] is one.
type Puller interface {
	Heard(ctx context.Context, newest map[string]uint64, at time.Time)
}

// Feeds are what the upstream has published. [feed.Feeds] is one.
type Feeds interface {
	Hot(card feed.Card) (feed.Reason, bool)
	Status(name string) feed.Status
	Content(ctx context.Context, name string) ([]byte, error)
}

// Publisher is what the upstream publishes to every terminal. [client.Client] is
// one.
type Publisher interface {
	Feed(ctx context.Context, name string, have uint64, issued time.Time) (client.Feed, error)
}

// FeedSource returns an upstream's feeds in the form in which they are kept.
func FeedSource(p Publisher) feed.Source { return source{p} }

type source struct{ upstream Publisher }

// Pull implements [feed.Source].
func (s source) Pull(ctx context.Context, name string, have uint64, issued time.Time) (feed.Update, error) {
	f, err := s.upstream.Feed(ctx, name, have, issued)
	if err != nil {
		return feed.Update{}, err
	}
	u := feed.Update{Name: f.Name, Version: f.Version, From: f.From, Issued: f.Issued, Content: f.Content}
	for _, h := range f.Adds {
		card, err := purse.ParseCardNo(h.CardNo)
		if err != nil {
			return feed.Update{}, err
		}
		u.Adds = append(u.Adds, feed.Hot{Card: feed.Card(card), Reason: feed.Reason(h.Reason)})
	}
	for _, h := range f.Removes {
		card, err := purse.ParseCardNo(h.CardNo)
		if err != nil {
			return feed.Update{}, err
		}
		u.Removes = append(u.Removes, feed.Card(card))
	}
	return u, nil
}
