package client

import (
	"errors"
	"fmt"

	"connectrpc.com/connect"

	"quancun/journal"
	"quancun/money"
	v1 "quancun/upstream/wire/quancun/v1"
)

// Reason says why the upstream refused. The numbers are printed as fault
// codes: never renumbered.
type Reason int

// The reasons, as on the wire.
const (
	CardIsUnknown    Reason = 1
	CardIsHot        Reason = 2
	CardIsRetired    Reason = 3
	PINWrong         Reason = 4
	PINLocked        Reason = 5
	ChallengeSpent   Reason = 6
	SessionOver      Reason = 7
	AmountOutOfRange Reason = 8
	BalanceCap       Reason = 9
	OrderConflict    Reason = 10 // the same number with other content
	OrderUnknown     Reason = 11
	ChannelRefused   Reason = 12 // the payment channel will not make this order
	MAC1Wrong        Reason = 13 // not a card of ours, or a wrong key
	NothingToLoad    Reason = 14 // the amount no longer fits the account
	LoadDone         Reason = 15 // this load is on the card already
	LoadConflict     Reason = 16 // the same load ID with other content
	CardAhead        Reason = 17 // the purse holds more than was ever loaded
	TerminalUnknown  Reason = 18
	Malformed        Reason = 19
	TACWrong         Reason = 20 // the evidence does not prove this load
	NotEnough        Reason = 21 // the account has less available
	AccountUnknown   Reason = 22
	NumberPassed     Reason = 23 // the journal is past this number, or of another epoch
	AttemptConflict  Reason = 24 // the same attempt with other content
	NotSaid          Reason = 25 // a biller has answered, and not with what it was asked
)

// String returns the name on the wire, such as "REASON_PIN_WRONG".
func (r Reason) String() string { return v1.Reason(r).String() }

// Refusal is the error of a call that the upstream understood and refused:
// nothing was moved. Find it with [errors.As]. Every other error of a call is
// "unknown": the upstream may have done it, and the caller asks again under
// the same number.
type Refusal struct {
	Reason    Reason
	TriesLeft int       // with PINWrong: before the PIN is locked
	Limit     money.Fen // with AmountOutOfRange the bound; with BalanceCap what may still be topped up
	Kept      money.Fen // with NotEnough: that would be enough, and only the card may spend
	Said      string    // with NotSaid: the code that it answered with; "" if that is none to be shown
}

// Error names the reason.
func (r *Refusal) Error() string { return "upstream refused: " + r.Reason.String() }

// Explain makes of an error of a call what the calls of this package return for
// it. It is for packages beside this one.
func Explain(call string, err error) error { return explain(call, err) }

// explain makes a Refusal, or a journal.PushError, of an error that carries
// one, and leaves every other error an unknown outcome.
func explain(call string, err error) error {
	if err == nil {
		return nil
	}
	var ce *connect.Error
	if errors.As(err, &ce) && connect.IsWireError(err) {
		for _, d := range ce.Details() {
			if refused := refusal(d); refused != nil {
				return refused
			}
		}
	}
	return fmt.Errorf("%s: %w", call, err)
}

// refusal returns what a detail of an error refuses, or nil.
func refusal(d *connect.ErrorDetail) error {
	m, err := d.Value()
	if err != nil {
		return nil
	}
	switch m := m.(type) {
	case *v1.Refusal:
		if m.Reason != v1.Reason_REASON_UNSPECIFIED {
			return &Refusal{Reason(m.Reason), int(m.TriesLeft), money.Fen(m.LimitFen), money.Fen(m.KeptFen), m.Said}
		}
	case *v1.StaffRefusal:
		if m.Reason != v1.StaffReason_STAFF_REASON_UNSPECIFIED {
			return &StaffRefusal{StaffReason(m.Reason), int(m.TriesLeft)}
		}
	case *v1.PushRejected:
		h, err := head(m.Head)
		if reason := pushReasons[m.Reason]; err == nil && reason != nil {
			return &journal.PushError{Reason: reason, Head: h}
		}
	}
	return nil
}

var pushReasons = map[v1.PushReason]error{
	v1.PushReason_PUSH_REASON_FORK:     journal.ErrFork,
	v1.PushReason_PUSH_REASON_GAP:      journal.ErrGap,
	v1.PushReason_PUSH_REASON_UNPROVEN: journal.ErrUnproven,
}
