package kiosk

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"

	"quancun/beijing"
	"quancun/journal"
	"quancun/kiosk/dialog"
	"quancun/kiosk/service"
	"quancun/ledger/feed"
	"quancun/money"
	"quancun/reader"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/upstream/client"
)

// Desk performs what the steps ask for: it is the hands of the flow, as
// [Session] is its feet. It holds the card, the sign-in and the order of the
// person who stands there, and hands out to the screen only what may be seen.
//
// Everything below the last blank line belongs to the goroutine that performs acts.
type Desk struct {
	Device   reader.Device
	Upstream Upstream
	Book     Book
	Profile  *profile.Profile
	Clock    Clock
	Terms    *Terms  // what upstream has said at the last Hello
	InHand   *InHand // what the Keeper must not touch
	Log      *slog.Logger

	Certificate journal.Certificate // of the journal's key, for receipts

	Feeds Feeds // for lost cards, while the upstream is away; nil: they are not known then
	// Found has the upstream tell the owner of a lost card that it lies here. Once it
	// has returned nil, that is certain. nil: nobody is told.
	Found func(ctx context.Context, cardNo string) error

	// First returns the service that comes before what the person came for, such as the
	// check of a new card; "" is none. It may be nil.
	First func(ctx context.Context, s client.Session) dialog.Word

	// Ended, if not nil, hears of each sale in doubt of this terminal that its card has
	// ended here: somebody at the till may wait to know.
	Ended func(sale journal.Entry, o journal.Outcome)

	// Staff reports whether a card that was laid down where nobody stood is one of the
	// staff's, who are served at another face then. nil: nobody's is.
	Staff func(cardNo string) bool

	signed atomic.Pointer[service.Holder] // who is signed in, for the services

	card    reader.Card        // powered; nil: none
	info    purse.Info         // of the card that the session is about
	bought  []service.Purchase // that the card tells of, if the books may not know of all
	session client.Session
	account client.Account
	order   client.TopUp
}

// act returns what v's step asks for, or nil.
func (d *Desk) act(v View, in Input) act {
	switch v.Step {
	case Home, OutOfOrder:
		return d.home
	case Reading:
		return func(ctx context.Context, _ progress) outcome { return d.read(ctx, in.nobody) }
	case SigningIn:
		return func(ctx context.Context, _ progress) outcome { return d.signIn(ctx, in.PIN, v.Service) }
	case Account:
		return d.refresh
	case CardLog:
		return d.cardLog
	case Ordering:
		return func(ctx context.Context, _ progress) outcome { return d.makeOrder(ctx, in.Amount) }
	case Pay, Checking:
		return d.awaitPayment
	case Cancelling:
		return d.cancelOrder
	case Rereading:
		return d.reread
	case Unlocking:
		return func(ctx context.Context, _ progress) outcome { return d.unlock(ctx, in.PIN) }
	case Loading:
		return d.load
	case Settling:
		return d.settle
	}
	return nil
}

// home forgets the person.
func (d *Desk) home(context.Context, progress) outcome {
	d.leave()
	return outcome{}
}

func (d *Desk) leave() {
	d.letGo()
	d.info, d.session, d.account, d.order = purse.Info{}, nil, client.Account{}, client.TopUp{}
	d.bought = nil
	d.signed.Store(nil)
	d.InHand.Clear()
}

func (d *Desk) letGo() {
	if d.card != nil {
		if err := d.card.Close(); err != nil {
			d.Log.Warn("card was not let go", "err", err)
		}
		d.card = nil
	}
}

// fail is the outcome of a step that cannot go on.
func (d *Desk) fail(doing string, err error) outcome {
	code := Explain(err)
	d.Log.Warn("step failed", "doing", doing, "code", int(code), "err", err)
	return outcome{Failed, func(v *View) { v.Fault = code }}
}

// read takes up the card and asks upstream whether it may be used at all. nobody says
// that it was laid down where nobody had begun anything.
func (d *Desk) read(ctx context.Context, nobody bool) outcome {
	info, err := d.takeUp()
	if err != nil {
		return d.fail("read card", err)
	}
	if nobody && d.Staff != nil && d.Staff(info.CardNo.Full()) {
		return outcome{StaffCard, nil}
	}
	if err := info.Check(purse.DateOf(d.Clock.Now().In(beijing.Zone))); err != nil {
		return d.fail("check card", err)
	}
	d.info = info
	known, err := d.Upstream.LookUpCard(ctx, info.CardNo.Full())
	if err != nil && !refused(err) {
		d.Log.Warn("upstream did not know the card in time", "err", err)
		var listed bool
		if known.Status, listed = d.listed(); !listed {
			return outcome{Offline, d.cardAlone()}
		}
		err = nil
	}
	if err == nil {
		err = usable(known)
	}
	if err != nil {
		return d.fail("look up card", d.keep(ctx, err))
	}
	holder := d.holder()
	return outcome{CardRead, func(v *View) { v.Holder, v.Balance = holder, Balance{Purse: info.Balance} }}
}

// listed returns why the card is on the hotlist that the terminal has, if it is.
func (d *Desk) listed() (why client.CardStatus, listed bool) {
	if d.Feeds == nil {
		return 0, false
	}
	reason, listed := d.Feeds.Hot(feed.Card(d.info.CardNo))
	return client.CardStatus(reason), listed
}

// ErrKept means that the card was reported lost, and that its owner is being told
// that it lies here.
var ErrKept = errors.New("kiosk: a lost card, whose owner is being told")

// keep has the owner of a lost card told that it lies here, and returns why it may not
// be used.
func (d *Desk) keep(ctx context.Context, why error) error {
	no := (*client.Refusal)(nil)
	if d.Found == nil || !errors.As(why, &no) || no.Reason != client.CardIsHot {
		return why
	}
	if err := d.Found(ctx, d.info.CardNo.Full()); err != nil {
		d.Log.Warn("owner of a lost card is not told", "err", err)
		return why
	}
	return ErrKept
}

// takeUp powers the card and reads who it is. A card that falls silent is
// reported as such, whatever it fell silent over.
func (d *Desk) takeUp() (purse.Info, error) {
	d.letGo()
	card, err := d.Device.Connect()
	if err != nil {
		return purse.Info{}, errors.Join(ErrCardGone, err)
	}
	d.card = card
	info, err := purse.Open(card, d.Profile)
	if err != nil && Explain(err) == CodeInternal {
		err = errors.Join(ErrCardGone, err)
	}
	return info, err
}

// usable turns the status of a card into a refusal.
func usable(c client.Card) error {
	switch {
	case c.Status == client.CardHot:
		return &client.Refusal{Reason: client.CardIsHot}
	case c.Status == client.CardRetired:
		return &client.Refusal{Reason: client.CardIsRetired}
	case c.Status != client.CardActive:
		return &client.Refusal{Reason: client.CardIsUnknown}
	case c.PINLocked:
		return &client.Refusal{Reason: client.PINLocked}
	}
	return nil
}

// cardAlone shows what the card says of itself while upstream is away.
func (d *Desk) cardAlone() func(*View) {
	holder, purse := d.holder(), d.info.Balance
	log, err := d.readLog()
	if err != nil {
		d.Log.Info("card keeps its log to itself", "err", err)
	}
	return func(v *View) { v.Holder, v.Balance, v.Log = holder, Balance{Purse: purse}, log }
}

// holder is whose card it is, as the card says; after sign-in the account says.
func (d *Desk) holder() Holder { return HolderOf(d.info) }

// HolderOf is whose card it is, as the card says, and as far as a screen may
// show it.
func HolderOf(i purse.Info) Holder {
	return Holder{Name: maskName(i.Name), Number: maskNumber(i.HolderNo), Card: cardEnd(i)}
}

// cardEnd is as much of a card's number as a screen may show.
func cardEnd(i purse.Info) string { return strings.TrimPrefix(i.CardNo.String(), "…") }

// signIn checks the PIN upstream, where five tries are counted, and only then
// shows it to the card, which has but three and no way back.
func (d *Desk) signIn(ctx context.Context, pin *PIN, came Service) outcome {
	defer pin.Wipe()
	if o, ok := d.checkPIN(ctx, pin); !ok {
		return o
	}
	notice, err := d.settleQuietly(ctx)
	if err != nil {
		return d.fail("settle at sign-in", err)
	}
	d.readBought()
	show := d.shown(notice)
	if first := d.first(ctx); first != "" {
		return outcome{SignedInService, func(v *View) {
			show(v)
			v.then = pursuit{came, v.Chosen}
			v.Service, v.Chosen, v.Dialog.Task = OtherService, first, first
		}}
	}
	switch {
	case d.newsOfLate():
		return outcome{SignedIn, show} // the account page says so; it is said once
	case came == TopUpService:
		return outcome{SignedInTopUp, show}
	case came == OtherService:
		return outcome{SignedInService, show}
	case d.account.ToLoad > 0:
		return outcome{SignedInLevel, show}
	}
	return outcome{SignedIn, show}
}

// first is the service that comes before what the person came for. Money that has
// come late is told of before that.
func (d *Desk) first(ctx context.Context) dialog.Word {
	if d.First == nil || d.newsOfLate() {
		return ""
	}
	return d.First(ctx, d.session)
}

// newsOfLate reports whether a payment has arrived after its machine gave up.
func (d *Desk) newsOfLate() bool {
	return slices.ContainsFunc(d.account.Open, func(i client.OpenItem) bool { return i.Kind == client.OpenTopUpLate })
}

// checkPIN reports whether upstream and card have both taken the PIN, or the
// outcome that says which has not.
func (d *Desk) checkPIN(ctx context.Context, pin *PIN) (outcome, bool) {
	no := d.info.CardNo.Full()
	card, err := d.Upstream.LookUpCard(ctx, no)
	if err == nil {
		err = usable(card)
	}
	if err == nil {
		d.session, d.account, err = d.Upstream.SignIn(ctx, no, card.Challenge, pin.Digits())
	}
	if err != nil {
		err = unanswered(err)
	}
	if no := (*client.Refusal)(nil); errors.As(err, &no) && no.Reason == client.PINWrong {
		return outcome{PINWrong, func(v *View) { v.PIN = PINHint{true, no.TriesLeft} }}, false
	}
	if err == nil {
		err = d.showCardPIN(pin)
	}
	if err != nil {
		return d.fail("check PIN", err), false
	}
	return outcome{}, true
}

// What the card says of a PIN that upstream has taken.
var (
	// ErrCardPIN means that the card's own PIN is another one.
	ErrCardPIN = errors.New("kiosk: the card has another PIN than the upstream")
	// ErrCardPINLock means that the card takes no PIN any more.
	ErrCardPINLock = errors.New("kiosk: the card's PIN is locked")
)

func (d *Desk) showCardPIN(pin *PIN) error {
	if !d.Profile.PIN.ForLoad && !d.Profile.PIN.ForLog {
		return nil
	}
	if d.card == nil {
		return ErrCardGone
	}
	err := purse.VerifyPIN{
		PIN: (*purse.PIN)(pin.Digits()), Encoding: d.Profile.PIN.Encoding, Key: d.Profile.PIN.Key,
	}.Send(d.card)
	left, wrong := purse.PINTries(err)
	switch {
	case wrong && left == 0:
		return errors.Join(ErrCardPINLock, err)
	case wrong:
		return errors.Join(ErrCardPIN, err)
	case err != nil && Explain(err) == CodeInternal:
		return errors.Join(ErrCardGone, err)
	}
	return err
}

// shown returns the account as the screen may show it.
func (d *Desk) shown(n Notice) func(*View) {
	a, p, policy := d.account, d.info.Balance, d.Terms.Policy()
	card := cardEnd(d.info)
	d.signed.Store(&service.Holder{
		Session: d.session, CardNo: d.info.CardNo.Full(), Account: a, Purse: p, Bought: d.bought,
	})
	return func(v *View) {
		v.Notice = n
		v.Holder = Holder{Name: a.MaskedName, Number: a.MaskedNumber, Card: card}
		v.Balance = Balance{Account: a.Balance, Available: a.Available, Kept: a.Kept, Purse: p, ToLoad: a.ToLoad}
		v.Open = openItems(a.Open)
		v.Amounts, v.Range = choices(policy, a.Balance)
	}
}

func openItems(items []client.OpenItem) []Open {
	open := make([]Open, 0, len(items))
	for _, i := range items {
		zh, en := i.Where.With(i.Place)
		open = append(open, Open{OpenKind(i.Kind), i.Amount, i.Since.In(beijing.Zone), i.OrderNo, zh, en})
	}
	return open
}

// choices returns the amounts of the policy, and what may be typed instead.
func choices(p client.Policy, balance money.Fen) ([]Choice, Range) {
	most := min(p.TopUpMax, p.BalanceCap-balance)
	var all []Choice
	for _, amount := range p.TopUpChoices {
		all = append(all, Choice{amount, amount <= most && amount >= p.TopUpMin})
	}
	return all, Range{p.TopUpMin, most}
}

func refused(err error) bool {
	var no *client.Refusal
	return errors.As(err, &no)
}
