// Package centre is how a terminal at the card centre talks to the upstream: what
// a clerk does for a holder who stands there with a document.
//
// It has its calls in common with package client, and its rule: no error is
// "done", a *[Refusal] is "certainly nothing has happened", and every other error
// is "unknown". After that the caller asks again under the same ref, or closes it.
//
// Who the clerk is, is said by their staff number; the session that stands for it
// was opened by client.SignInStaff and is kept by the client.
package centre

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/client"
	"quancun/upstream/wire"
	v1 "quancun/upstream/wire/quancun/v1"
	"quancun/upstream/wire/quancun/v1/quancunv1connect"
)

// Deadlines of calls, for callers that set no earlier one.
const (
	quick  = 5 * time.Second
	sealed = 10 * time.Second // with a PIN: a call for the challenge, and hashing
)

// Desk makes the calls of one terminal. It is safe for concurrent use.
type Desk struct {
	client *client.Client
	rpc    quancunv1connect.CentreServiceClient
}

// New returns the desk of the terminal that c is the connection of.
func New(c *client.Client) *Desk {
	w := c.Way()
	return &Desk{c, quancunv1connect.NewCentreServiceClient(w.HTTP, w.URL, w.Options...)}
}

// Kind says what is done. Numbers as on the wire, in the journal and in
// upstream/centre: never renumbered.
type Kind int

// The kinds of acts.
const (
	Lost      Kind = 1  // a card was reported lost (挂失)
	Found     Kind = 2  // it may be used again (解挂)
	Limited   Kind = 3  // another daily limit (改限额)
	Named     Kind = 4  // the name was corrected
	PINReset  Kind = 5  // another PIN
	Unlocked  Kind = 6  // wrong tries of the PIN are forgotten
	Issued    Kind = 7  // another card, in place of those before (发卡, 补卡)
	Opened    Kind = 8  // an account for a time, without a card (临时人员)
	Retired   Kind = 9  // the account is closed (销户)
	Rewritten Kind = 10 // a card was written to say the name that was corrected
)

// Document is what a clerk has seen. Numbers as on the wire, in the journal and in
// upstream/centre: never renumbered.
type Document int

// The documents.
const (
	IDCard      Document = 1 // 身份证
	StudentCard Document = 2 // 学生证
	StaffCard   Document = 3 // 工作证
	Passport    Document = 4 // or a residence permit
)

// Act is something to do. What does not belong to its kind is zero.
type Act struct {
	Ref      string // in the journal before it is asked for
	Kind     Kind
	Account  string // account number; Opened: the new one's
	Document Document
	Card     string    // Lost, Found, Rewritten: which; Issued: what [Desk.Begin] has given
	Limit    money.Fen // Limited
	Name     string    // Named, Opened; Rewritten: what the card says
	Until    time.Time // Opened
}

// Done is an act that was done. Of the Act it has Ref, Kind, Account, Document and
// Card; the rest is in words in Before and After.
type Done struct {
	Act
	Place, Clerk  string
	Before, After string
	At            time.Time
}

// Do does an act. pin is six ASCII digits with PINReset and Opened, and nil with
// the others; the caller wipes it. The same ref again is the same act: nothing is
// done twice, and a PIN that came with it first stays.
//
// Refusals: HolderUnknown, CardUnknown, ActRefused, LeftOver (of Retired),
// ActConflict, ActClosed.
func (d *Desk) Do(ctx context.Context, clerk string, a Act, pin *[wire.PINLen]byte) (Done, error) {
	ctx, cancel := context.WithTimeout(ctx, sealed)
	defer cancel()
	q := &v1.DoActRequest{Act: said(a)}
	var err error
	if pin != nil {
		if q.Challenge, q.SealedPin, err = d.seal(ctx, clerk, a.Account, pin); err != nil {
			return Done{}, err
		}
	}
	if q.Session, err = d.session(clerk); err != nil {
		return Done{}, err
	}
	r, err := d.rpc.DoAct(ctx, connect.NewRequest(q))
	if err != nil {
		return Done{}, explain("do act", err)
	}
	return done(r.Msg.Done), nil
}

// seal seals a PIN for an account.
func (d *Desk) seal(ctx context.Context, clerk, account string, pin *[wire.PINLen]byte,
) (challenge, cipher []byte, err error) {
	session, err := d.session(clerk)
	if err != nil {
		return nil, nil, err
	}
	r, err := d.rpc.PrepareAct(ctx, connect.NewRequest(&v1.PrepareActRequest{Session: session, Account: account}))
	if err != nil {
		return nil, nil, explain("prepare act", err)
	}
	cipher, err = d.client.SealPIN(ctx, r.Msg.Challenge, wire.CentrePIN(account), pin)
	return r.Msg.Challenge, cipher, err
}

// Did returns an act of this terminal. It needs no clerk. Refusal: ActUnknown.
func (d *Desk) Did(ctx context.Context, ref string) (Done, error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	r, err := d.rpc.GetAct(ctx, connect.NewRequest(&v1.GetActRequest{Ref: ref}))
	if err != nil {
		return Done{}, explain("get act", err)
	}
	return done(r.Msg.Done), nil
}

// Close ends an act of this terminal whose answer was lost. It returns the act if
// it was done. If it was not, it never will be: a request for it that is still on
// its way is refused with ActClosed. It needs no clerk. Refusal: ActConflict for
// another terminal's.
func (d *Desk) Close(ctx context.Context, ref string) (a Done, was bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	r, err := d.rpc.CloseAct(ctx, connect.NewRequest(&v1.CloseActRequest{Ref: ref}))
	if err != nil {
		return Done{}, false, explain("close act", err)
	}
	if r.Msg.Done == nil {
		return Done{}, false, nil
	}
	return done(r.Msg.Done), true, nil
}

// Cash is what is about to be taken onto an account. Epoch and Seq are the position
// that the terminal's next entry will have, Attempt is the Ref under which the cash
// would stand there.
type Cash struct {
	Epoch   journal.Epoch
	Seq     int64
	Attempt string
	Account string // account number
	Amount  money.Fen
}

// AllowCash returns nil if cash may be taken onto an account. Room for it is held
// until the journal has passed its number, whatever the time. The same again is the
// same room. Refusals: HolderUnknown, AccountClosed, AmountOutOfRange with what may
// be, NumberPassed, ActConflict.
//
// A [*journal.PushError] says that the upstream has to be told of this journal
// first, and how far it has it: nothing has happened.
func (d *Desk) AllowCash(ctx context.Context, clerk string, c Cash) error {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	session, err := d.session(clerk)
	if err != nil {
		return err
	}
	_, err = d.rpc.AllowCash(ctx, connect.NewRequest(&v1.AllowCashRequest{
		Session: session, Account: c.Account, AmountFen: int64(c.Amount),
		Epoch: c.Epoch[:], Seq: c.Seq, Attempt: c.Attempt,
	}))
	return explain("allow cash", err)
}

// session returns what stands for a clerk. Nobody is asked for one who has not
// signed in upstream since this program was started.
func (d *Desk) session(clerk string) ([]byte, error) {
	s := d.client.StaffSession(clerk)
	if s == nil {
		return nil, &Refusal{Reason: SessionOver}
	}
	return s, nil
}

func said(a Act) *v1.CentreAct {
	m := &v1.CentreAct{
		Ref: a.Ref, Kind: int32(a.Kind), Account: a.Account, Document: int32(a.Document), CardNo: a.Card,
		LimitFen: int64(a.Limit), Name: a.Name,
	}
	if !a.Until.IsZero() {
		m.Until = timestamppb.New(a.Until)
	}
	return m
}

func done(m *v1.CentreDone) Done {
	a := m.GetAct()
	return Done{
		Act: Act{
			Ref: a.GetRef(), Kind: Kind(a.GetKind()), Account: a.GetAccount(), Document: Document(a.GetDocument()),
			Card: a.GetCardNo(),
		},
		Place: m.GetPlace(), Clerk: m.GetClerk(), Before: m.GetBefore(), After: m.GetAfter(), At: at(m.GetAt()),
	}
}

// at returns a time, and the zero time for none.
func at(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
