// Package server answers terminals: it is the upstream but for its database,
// its keys and its way to be paid, which it is given.
//
// The account at the upstream is the truth, and the purse on a card is its
// offline mirror. A top-up credits the account once, when the channel has been
// paid. A load moves nothing between accounts: it writes the purse up to the
// account, by the amount that the books say is missing and never by what a
// card claims.
//
// What has its own rules has its own file: sign-in (PIN, challenge, session),
// top-ups (the engine), loads. Which terminal asks is what its certificate
// says.
package server

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"quancun/beijing"
	"quancun/journal"
	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/channel"
	"quancun/upstream/feed"
	"quancun/upstream/ingest"
	"quancun/upstream/keys"
	"quancun/upstream/place"
	"quancun/upstream/store"
	"quancun/upstream/wire/quancun/v1/quancunv1connect"
)

// Books is what the server needs of a database: [store.Books] or its equal.
type Books interface {
	terminalBooks
	holderBooks
	orderBooks
	loadBooks
	// Alarm writes down what somebody has to look at; first reports whether
	// it is new.
	Alarm(ctx context.Context, a store.Alarm) (first bool, err error)
	// Reversed makes an alarm of an error which means that what was credited has gone
	// back to the payer, and returns the error.
	Reversed(ctx context.Context, no string, err error) error
}

type terminalBooks interface {
	Terminal(ctx context.Context, id string) (store.Terminal, error)
	Hear(ctx context.Context, id string, h store.Heard) error
	TakeUp(ctx context.Context, id string, fingerprint [32]byte) error
}

type holderBooks interface {
	place.Books
	Card(ctx context.Context, no string) (store.Card, error)
	Holder(ctx context.Context, a store.Account) (store.Holder, error)
	ReservePINTry(ctx context.Context, a store.Account) (pin store.PIN, left int, err error)
	ResetPINTries(ctx context.Context, a store.Account) error
	View(ctx context.Context, cardNo string, since time.Time) (store.View, error)
	MarkSeen(ctx context.Context, a store.Account, since time.Time) error
	History(ctx context.Context, a store.Account, page, size int) ([]store.Movement, int, error)
}

type orderBooks interface {
	CreateOrder(ctx context.Context, o store.Order, limit money.Fen) (store.Order, error)
	Advance(ctx context.Context, no string, s store.OrderStep) (store.Order, error)
	Order(ctx context.Context, no string) (store.Order, error)
	DueOrders(ctx context.Context, now time.Time, limit int) (due []store.Order, next time.Time, err error)
	TakeDue(ctx context.Context, o store.Order, until time.Time) (taken bool, err error)
	Hasten(ctx context.Context, no string) error
}

type loadBooks interface {
	Load(ctx context.Context, id string) (store.Load, error)
	WithCard(ctx context.Context, no string, do func(store.CardTx) error) error
}

// Policy is what the school has decided.
type Policy struct {
	TopUpChoices []money.Fen
	TopUpMin     money.Fen
	TopUpMax     money.Fen
	BalanceCap   money.Fen     // no top-up may lift an account above it
	PurseCeiling money.Fen     // no load may lift a purse above it
	CardReserve  money.Fen     // of each balance, that only the card may spend
	Pay          time.Duration // how long a QR code is shown
}

// Config is what a server is made of. Pace, Now, Log and Stretch may be left
// out.
type Config struct {
	Books    Books
	Keys     keys.Store
	Channel  channel.Channel
	Policy   Policy
	Journals *ingest.Ingest  // takes terminals' journals; nil serves none
	Feeds    *feed.Publisher // with Journals
	SchoolZH string
	SchoolEN string
	Services []Service // besides those of this package
	Notices  Notices   // hears of orders that are not top-ups; nil for nobody
	Pace     Pace
	Now      func() time.Time
	Log      *slog.Logger

	// Stretch makes it slow to guess at a PIN of which the hash was stolen. It
	// is Argon2id, unless a simulation or a test, which has no time for that,
	// brings something else.
	Stretch func(peppered [32]byte, salt [16]byte) [32]byte
}

// Service is a part of the upstream with calls of its own, such as payments by
// code. Its handlers find in package call which terminal asks.
type Service interface {
	// Handler returns where its calls arrive, as connect's own constructors do.
	Handler(options ...connect.HandlerOption) (path string, h http.Handler)
}

// Notices is who else the channel may send word about.
type Notices interface {
	// Hasten has an order asked about; one that is not there is [store.ErrNone].
	Hasten(ctx context.Context, orderNo string) error
}

// Server answers terminals.
type Server struct {
	quancunv1connect.UnimplementedTerminalServiceHandler
	quancunv1connect.UnimplementedSyncServiceHandler

	Config
	challenges challenges
	hashing    chan struct{} // one place for each core
	engine     *engine
}

// New returns a server. It answers as soon as its handlers are served; orders
// that nobody asks about move only while [Server.Run] runs.
func New(c Config) *Server {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Stretch == nil {
		c.Stretch = argon
	}
	return &Server{
		Config:     c,
		challenges: challenges{keys: c.Keys, now: c.Now},
		hashing:    newHashing(),
		engine:     newEngine(c),
	}
}

// Run moves orders on until ctx ends, from wherever they stand, and returns
// ctx's error. Calls that wait for an order then end too.
func (s *Server) Run(ctx context.Context) error { return s.engine.clerk.Run(ctx) }

// Attend asks once about each order that is due, and returns when all of them
// have been asked about. It is for who has no time to let Run take its own, such
// as a simulation on a clock of its own.
func (s *Server) Attend(ctx context.Context) error { return s.engine.clerk.Attend(ctx) }

// Handler serves terminals. It belongs behind mutual TLS that verifies client
// certificates against the campus CA.
func (s *Server) Handler() http.Handler {
	options := connect.WithHandlerOptions(
		connect.WithCompressMinBytes(compressMin),
		connect.WithInterceptors(connect.UnaryInterceptorFunc(s.intercept)),
		connect.WithRecover(func(_ context.Context, spec connect.Spec, _ http.Header, v any) error {
			s.Log.Error("call panicked", "call", spec.Procedure, "panic", v)
			return errInternal
		}))
	mux := http.NewServeMux()
	path, h := quancunv1connect.NewTerminalServiceHandler(s, options, connect.WithReadMaxBytes(64<<10))
	mux.Handle(path, identify(h))
	if s.Journals != nil {
		path, h := quancunv1connect.NewSyncServiceHandler(s, options, connect.WithReadMaxBytes(pushMax))
		mux.Handle(path, identify(h))
	}
	for _, other := range s.Services {
		path, h := other.Handler(options, connect.WithReadMaxBytes(64<<10))
		mux.Handle(path, identify(h))
	}
	return mux
}

// compressMin is the least answer that is worth compressing: most are a
// signature and a few numbers.
const compressMin = 4 << 10

// pushMax is the longest request: a batch and what is around it.
const pushMax = 2 * journal.BatchBytesMax

type certificateKey struct{}

// stampOf returns t as a card knows it.
func stampOf(t time.Time) (p pboc.Stamp) {
	t = t.In(beijing.Zone)
	for i, n := range []int{t.Year() / 100, t.Year() % 100, int(t.Month()), t.Day(), t.Hour(), t.Minute(), t.Second()} {
		p[i] = byte(n/10<<4 | n%10)
	}
	return p
}

// stampTime returns the time that p says.
func stampTime(p pboc.Stamp) time.Time {
	var n [len(p)]int
	for i, b := range p {
		n[i] = int(b>>4)*10 + int(b&15)
	}
	return time.Date(n[0]*100+n[1], time.Month(n[2]), n[3], n[4], n[5], n[6], 0, beijing.Zone)
}
