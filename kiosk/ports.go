package kiosk

import (
	"context"
	"time"

	"quancun/journal"
	"quancun/money"
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
	History(ctx context.Context, s client.Session, page, size int) (client.History, error)
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

// Upstream is all of it. [client.Client] is one.
type Upstream interface {
	Gate
	Accounts
	TopUps
	Issuer
	Hello(ctx context.Context, h client.Hello) (client.Welcome, error)
}

// Book is the part of the journal that a flow writes: an intent before the
// act, its end after. [ledger.Book] is one.
type Book interface {
	Append(ctx context.Context, e journal.Entry) (journal.Entry, error)
	OpenFor(ctx context.Context, card string) ([]journal.Entry, error)
	Room(ctx context.Context) error
}

// Outbox is the part of the journal that the [Keeper] works off.
type Outbox interface {
	Append(ctx context.Context, e journal.Entry) (journal.Entry, error)
	OpenItems(ctx context.Context) ([]journal.Entry, error)
	Since(ctx context.Context, from int64, n int) ([]journal.Entry, error)
	Room(ctx context.Context) error
}
