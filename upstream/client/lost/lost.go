// Package lost is how a terminal reports a lost card for a holder who has a number
// and a PIN and no card to show, and says that a lost card lies on its reader.
//
// It has its calls in common with package client, and its rule: no error is "done",
// a *[Refusal] or *client.Refusal is "certainly nothing has happened", and every
// other error is "unknown". After that the caller asks again under the same ref.
package lost

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"quancun/money"
	"quancun/upstream/client"
	"quancun/upstream/wire"
	v1 "quancun/upstream/wire/quancun/v1"
	"quancun/upstream/wire/quancun/v1/quancunv1connect"
)

// quick is the deadline of a call, for callers that set no earlier one.
const quick = 5 * time.Second

// Desk makes the calls of one terminal. It is safe for concurrent use.
type Desk struct {
	client *client.Client
	rpc    quancunv1connect.LostServiceClient
}

// New returns the desk of the terminal that c is the connection of.
func New(c *client.Client) *Desk {
	w := c.Way()
	return &Desk{c, quancunv1connect.NewLostServiceClient(w.HTTP, w.URL, w.Options...)}
}

// Loss is a report, and how far it has come.
type Loss struct {
	Ref          string
	MaskedName   string
	MaskedNumber string    // student or staff number
	Stopped      time.Time // when the cards were; before this report if Again
	Again        bool      // somebody had reported them before

	Terminals int       // that take cards
	Told      int       // of them, those that know
	AtRisk    money.Fen // at most, that can still be spent at the others at the holder's risk
	Free      time.Time // from when on the school bears what is spent with the cards
	Over      bool      // the cards can be used again, or were replaced
	Found     *Found    // where one of them was laid down last; nil for nowhere
}

// Found is where a lost card was laid down.
type Found struct {
	Place string       // terminal ID
	Where client.Place // it stood then
	At    time.Time
}

// Reason says why the upstream refused. The numbers are printed: never renumbered.
type Reason int

// The reasons, as on the wire.
const (
	Malformed  Reason = 1
	Wrong      Reason = 2 // number or PIN: nobody is told which
	TooOften   Reason = 3 // wrong, for this number or at this terminal; until Until
	NoCard     Reason = 4 // there is none that could be stopped
	Conflict   Reason = 5 // the ref is of another report
	Ended      Reason = 6 // by [Desk.End]
	RefUnknown Reason = 7
	NotLost    Reason = 8
)

// String returns the name on the wire.
func (r Reason) String() string { return v1.LossReason(r).String() }

// Refusal is the upstream's "no": nothing has happened. Find it with [errors.As].
type Refusal struct {
	Reason Reason
	Until  time.Time // with TooOften
}

// Error names the reason.
func (r *Refusal) Error() string { return "upstream refused: " + r.Reason.String() }

// ErrNotSent means that the upstream was away before the report was sent: nothing has
// happened, and nothing is on its way.
var ErrNotSent = errors.New("lost: not sent")

// Report stops the cards of whoever has a student or staff number, if pin is theirs.
// The same ref again is the same report, as it stands by then. The caller has written
// ref down before, and wipes pin; no copy of it is left here.
//
// Refusals: Wrong, TooOften with Until, NoCard, Conflict, Ended, and those of
// client.Refusal. ErrNotSent is one of the errors after which nothing has happened.
func (d *Desk) Report(ctx context.Context, ref, number string, pin *[wire.PINLen]byte) (Loss, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*quick)
	defer cancel()
	r, err := d.rpc.PrepareLoss(ctx, connect.NewRequest(&v1.PrepareLossRequest{Number: number}))
	if err != nil {
		return Loss{}, errors.Join(ErrNotSent, explain("prepare loss", err))
	}
	sealed, err := d.client.SealPIN(ctx, r.Msg.Challenge, wire.LossPIN(number), pin)
	if err != nil {
		return Loss{}, errors.Join(ErrNotSent, fmt.Errorf("report loss: %w", err))
	}
	done, err := d.rpc.ReportLoss(ctx, connect.NewRequest(&v1.ReportLossRequest{
		Ref: ref, Number: number, Challenge: r.Msg.Challenge, SealedPin: sealed,
	}))
	if err != nil {
		return Loss{}, explain("report loss", err)
	}
	return loss(done.Msg.Loss), nil
}

// Get returns a report of this terminal as it stands. Refusal: RefUnknown.
func (d *Desk) Get(ctx context.Context, ref string) (Loss, error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	r, err := d.rpc.GetLoss(ctx, connect.NewRequest(&v1.GetLossRequest{Ref: ref}))
	if err != nil {
		return Loss{}, explain("get loss", err)
	}
	return loss(r.Msg.Loss), nil
}

// End returns a report of this terminal if it was made, and otherwise sees to it that
// it never is; made says which. It may be repeated.
func (d *Desk) End(ctx context.Context, ref string) (l Loss, made bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	r, err := d.rpc.EndLoss(ctx, connect.NewRequest(&v1.EndLossRequest{Ref: ref}))
	if err != nil {
		return Loss{}, false, explain("end loss", err)
	}
	if r.Msg.Loss == nil {
		return Loss{}, false, nil
	}
	return loss(r.Msg.Loss), true, nil
}

// ReportFound says that a lost card was laid on this terminal's reader. It may be
// said again. Refusal: NotLost, for a card that can be used or was replaced.
func (d *Desk) ReportFound(ctx context.Context, cardNo string, at time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	_, err := d.rpc.ReportFound(ctx, connect.NewRequest(&v1.ReportFoundRequest{
		CardNo: cardNo, At: timestamppb.New(at),
	}))
	if err != nil {
		return explain("report found card", err)
	}
	return nil
}

// explain makes a Refusal of an error that carries one, and leaves every other to
// package client.
func explain(call string, err error) error {
	var ce *connect.Error
	if errors.As(err, &ce) && connect.IsWireError(err) {
		for _, d := range ce.Details() {
			m, err := d.Value()
			if no, ok := m.(*v1.LossRefusal); err == nil && ok && no.Reason != 0 {
				return &Refusal{Reason(no.Reason), moment(no.Until)}
			}
		}
	}
	return client.Explain(call, err)
}

func loss(m *v1.Loss) Loss {
	l := Loss{
		Ref: m.GetRef(), MaskedName: m.GetMaskedName(), MaskedNumber: m.GetMaskedNumber(),
		Stopped: moment(m.GetStopped()), Again: m.GetAgain(), Terminals: int(m.GetTerminals()), Told: int(m.GetTold()),
		AtRisk: money.Fen(m.GetAtRiskFen()), Free: moment(m.GetFree()), Over: m.GetOver(),
	}
	if f := m.GetFound(); f != nil {
		l.Found = &Found{f.Place, client.Place{ZH: f.PlaceZh, EN: f.PlaceEn}, moment(f.At)}
	}
	return l
}

func moment(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
